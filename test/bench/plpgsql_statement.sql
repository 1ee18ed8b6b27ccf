-- plpgsql_statement.sql: the same funnel in PL/pgSQL, with statement-level triggers and transition tables, as one would
-- write it with care: old and new rows are joined once, then summed up; rules and counters are looked at per group.
CREATE FUNCTION track_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad record;
BEGIN
    WITH grouped AS MATERIALIZED (
        SELECT n.stage, COALESCE(n.source, '(none)') AS source, count(*) AS leads, COALESCE(sum(n.value), 0) AS value, min(n.id) AS id
        FROM new_leads AS n GROUP BY 1, 2
    ), logged AS (
        INSERT INTO log (lead_id, move, cycle, cycle_ended, from_stage, to_stage, effective_at, recorded_at, actor, source, value)
        SELECT n.id, COALESCE(l.move, 0) + 1, COALESCE(l.cycle, 0) + 1, false, NULL, n.stage, now(), now(), CURRENT_USER, n.source, n.value
        FROM new_leads AS n
        LEFT JOIN LATERAL (SELECT x.move, x.cycle FROM log AS x WHERE x.lead_id = n.id ORDER BY x.move DESC LIMIT 1) AS l ON true
    ), stocked AS (
        INSERT INTO stock AS s SELECT g.stage, g.source, g.leads, g.value FROM grouped AS g ORDER BY 1, 2
        ON CONFLICT (stage, source) DO UPDATE SET leads = s.leads + EXCLUDED.leads, value = s.value + EXCLUDED.value
    ), flowed AS (
        INSERT INTO flow AS f (day, stage, source, entries, value_in)
        SELECT CURRENT_DATE, g.stage, g.source, g.leads, g.value FROM grouped AS g ORDER BY 1, 2, 3
        ON CONFLICT (day, stage, source) DO UPDATE
        SET entries = f.entries + EXCLUDED.entries, value_in = f.value_in + EXCLUDED.value_in
    )
    SELECT g.id, g.stage INTO bad FROM grouped AS g
    WHERE NOT EXISTS (SELECT FROM rule AS r WHERE r.from_stage IS NULL AND r.to_stage = g.stage) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'lead % cannot enter as "%"', bad.id, bad.stage USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION track_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad record;
BEGIN
    WITH changed AS MATERIALIZED (
        SELECT n.id, o.stage AS from_stage, n.stage AS to_stage, o.source AS old_source, n.source, o.value AS old_value, n.value
        FROM old_leads AS o JOIN new_leads AS n USING (id)
        WHERE o.stage IS DISTINCT FROM n.stage OR o.source IS DISTINCT FROM n.source OR o.value IS DISTINCT FROM n.value
    ), grouped AS MATERIALIZED (
        SELECT c.from_stage, c.to_stage, COALESCE(c.old_source, '(none)') AS old_source, COALESCE(c.source, '(none)') AS source,
            count(*) AS leads, COALESCE(sum(c.old_value), 0) AS old_value, COALESCE(sum(c.value), 0) AS value, min(c.id) AS id
        FROM changed AS c GROUP BY 1, 2, 3, 4
    ), logged AS (
        INSERT INTO log (lead_id, move, cycle, cycle_ended, from_stage, to_stage, effective_at, recorded_at, actor, source, value)
        SELECT c.id, l.move + 1, l.cycle + l.cycle_ended::integer,
            c.to_stage IN ('won', 'lost', 'rejected', 'recycled', 'disqualified'), c.from_stage, c.to_stage,
            GREATEST(now(), l.effective_at), now(), CURRENT_USER, c.source, c.value
        FROM changed AS c
        CROSS JOIN LATERAL (SELECT * FROM log AS x WHERE x.lead_id = c.id ORDER BY x.move DESC LIMIT 1) AS l
        WHERE c.from_stage <> c.to_stage
    ), stocked AS (
        INSERT INTO stock AS s
        SELECT v.stage, v.source, sum(v.leads), sum(v.value) FROM grouped AS g
        CROSS JOIN LATERAL (VALUES (g.from_stage, g.old_source, -g.leads, -g.old_value), (g.to_stage, g.source, g.leads, g.value))
            AS v (stage, source, leads, value)
        GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (stage, source) DO UPDATE SET leads = s.leads + EXCLUDED.leads, value = s.value + EXCLUDED.value
    ), flowed AS (
        INSERT INTO flow AS f (day, stage, source, entries, exits, value_in, value_out)
        SELECT CURRENT_DATE, v.stage, v.source, sum(v.entries), sum(v.exits), sum(v.value_in), sum(v.value_out) FROM grouped AS g
        CROSS JOIN LATERAL (VALUES (g.from_stage, g.old_source, 0, g.leads, 0, g.old_value), (g.to_stage, g.source, g.leads, 0, g.value, 0))
            AS v (stage, source, entries, exits, value_in, value_out)
        WHERE g.from_stage <> g.to_stage
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (day, stage, source) DO UPDATE
        SET entries = f.entries + EXCLUDED.entries, exits = f.exits + EXCLUDED.exits,
            value_in = f.value_in + EXCLUDED.value_in, value_out = f.value_out + EXCLUDED.value_out
    )
    SELECT g.id, g.from_stage, g.to_stage INTO bad FROM grouped AS g
    WHERE g.from_stage <> g.to_stage
        AND NOT EXISTS (SELECT FROM rule AS r WHERE r.from_stage = g.from_stage AND r.to_stage = g.to_stage
            AND (NOT r.requires_reason OR COALESCE(current_setting('app.reason', true), '') <> '')) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'lead % cannot move from "%" to "%"', bad.id, bad.from_stage, bad.to_stage USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION track_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH grouped AS MATERIALIZED (
        SELECT o.stage, COALESCE(o.source, '(none)') AS source, count(*) AS leads, COALESCE(sum(o.value), 0) AS value
        FROM old_leads AS o GROUP BY 1, 2
    ), logged AS (
        INSERT INTO log (lead_id, move, cycle, cycle_ended, from_stage, to_stage, effective_at, recorded_at, actor, source, value)
        SELECT o.id, l.move + 1, l.cycle, true, o.stage, NULL, GREATEST(now(), l.effective_at), now(), CURRENT_USER, o.source, o.value
        FROM old_leads AS o
        CROSS JOIN LATERAL (SELECT * FROM log AS x WHERE x.lead_id = o.id ORDER BY x.move DESC LIMIT 1) AS l
    ), stocked AS (
        INSERT INTO stock AS s SELECT g.stage, g.source, -g.leads, -g.value FROM grouped AS g ORDER BY 1, 2
        ON CONFLICT (stage, source) DO UPDATE SET leads = s.leads + EXCLUDED.leads, value = s.value + EXCLUDED.value
    )
    INSERT INTO flow AS f (day, stage, source, exits, value_out)
    SELECT CURRENT_DATE, g.stage, g.source, g.leads, g.value FROM grouped AS g ORDER BY 1, 2, 3
    ON CONFLICT (day, stage, source) DO UPDATE SET exits = f.exits + EXCLUDED.exits, value_out = f.value_out + EXCLUDED.value_out;
    RETURN NULL;
END
$$;

CREATE TRIGGER track_insert AFTER INSERT ON leads REFERENCING NEW TABLE AS new_leads
    FOR EACH STATEMENT EXECUTE FUNCTION track_insert();
CREATE TRIGGER track_update AFTER UPDATE ON leads REFERENCING OLD TABLE AS old_leads NEW TABLE AS new_leads
    FOR EACH STATEMENT EXECUTE FUNCTION track_update();
CREATE TRIGGER track_delete AFTER DELETE ON leads REFERENCING OLD TABLE AS old_leads
    FOR EACH STATEMENT EXECUTE FUNCTION track_delete();
