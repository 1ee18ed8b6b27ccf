-- lead_funnel: the sales funnel inside the database.
-- Built by make from sql/parts; edit there.

\echo Use "CREATE EXTENSION lead_funnel" to load this file. \quit

-- Types, their operators and casts go to the schema that CREATE EXTENSION
-- names; everything else goes to schema lead_funnel, which we create.
DO $$
BEGIN
    IF '@extschema@' = 'lead_funnel' THEN
        RAISE EXCEPTION 'extension "lead_funnel" cannot put its types in schema "lead_funnel"'
            USING ERRCODE = 'invalid_schema_name',
                  DETAIL = 'The extension creates and owns schema "lead_funnel" for its functions, tables and views; '
                           'its types must be found by the search_path of every application.',
                  HINT = 'Drop schema "lead_funnel" and run CREATE EXTENSION lead_funnel, with or without SCHEMA public.';
    END IF;
END
$$;

CREATE SCHEMA lead_funnel;
GRANT USAGE ON SCHEMA lead_funnel TO PUBLIC;
COMMENT ON SCHEMA lead_funnel IS
    'lead funnel: functions to attach a lead table and views for BI tools';
