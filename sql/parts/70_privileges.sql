--
-- Who may touch the objects of the extension; the last part, since it looks at
-- all that the others have made
--

-- pg_write_all_data writes every table, without a grant that could be revoked.
-- C's own inserts fire no trigger, and functions that write run as the owner.
CREATE FUNCTION lead_funnel._refuse_write() RETURNS trigger
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    table_owner oid;
BEGIN
    SELECT r.relowner INTO STRICT table_owner FROM pg_class AS r WHERE r.oid = tg_relid;
    IF NOT pg_has_role(current_user, table_owner, 'USAGE') THEN
        RAISE EXCEPTION 'permission denied for table %', tg_table_name
            USING ERRCODE = 'insufficient_privilege',
                  SCHEMA = tg_table_schema,
                  TABLE = tg_table_name,
                  DETAIL = format('Only extension "lead_funnel" writes its tables; role "%s" is not its owner.', current_user),
                  HINT = 'Call the functions in schema lead_funnel; restore a dump as a superuser or as the owner of the extension.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION lead_funnel._refuse_write() IS 'trigger that keeps everybody but the owner from writing a table of the extension';
REVOKE ALL ON FUNCTION lead_funnel._refuse_write() FROM PUBLIC;

DO $$
DECLARE
    t pg_catalog.regclass;
    g pg_catalog.record;
BEGIN
    -- for this script only: CREATE EXTENSION puts back the caller's
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

    FOR t IN
        SELECT r.oid FROM pg_class AS r
        WHERE r.relnamespace = 'lead_funnel'::regnamespace AND r.relkind = 'r'
        ORDER BY r.relname
    LOOP
        EXECUTE format('CREATE TRIGGER refuse_write BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s '
                       'FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel._refuse_write()', t);
    END LOOP;

    -- What ALTER DEFAULT PRIVILEGES granted.  This script grants to PUBLIC
    -- alone: USAGE of the schema and EXECUTE of those functions from which it
    -- has not revoked it.
    FOR g IN
        SELECT DISTINCT o.kind, o.object, a.grantee
        FROM (SELECT CASE r.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, r.oid::regclass::text, r.relowner, r.relacl
              FROM pg_class AS r
              WHERE r.relnamespace = 'lead_funnel'::regnamespace
              UNION ALL
              SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner, p.proacl
              FROM pg_proc AS p
              WHERE p.pronamespace = 'lead_funnel'::regnamespace
              UNION ALL
              SELECT 'SCHEMA', n.oid::regnamespace::text, n.nspowner, n.nspacl
              FROM pg_namespace AS n
              WHERE n.oid = 'lead_funnel'::regnamespace) AS o (kind, object, owner, acl)
        CROSS JOIN LATERAL aclexplode(o.acl) AS a
        WHERE a.grantee <> o.owner
          AND NOT (a.grantee = 0 AND (o.kind = 'ROUTINE' OR o.kind = 'SCHEMA' AND a.privilege_type = 'USAGE'))
    LOOP
        EXECUTE format('REVOKE %s ON %s %s FROM %s',
                       CASE WHEN g.kind = 'SCHEMA' AND g.grantee = 0 THEN 'CREATE' ELSE 'ALL' END,
                       g.kind, g.object,
                       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END);
    END LOOP;
END
$$;
