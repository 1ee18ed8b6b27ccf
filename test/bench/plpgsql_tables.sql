-- plpgsql_tables.sql: tables of the two funnels in PL/pgSQL, filled with the same rules, history and numbers as lead_funnel has.
CREATE TABLE rule (from_stage lead_stage, to_stage lead_stage NOT NULL, requires_reason boolean NOT NULL);
INSERT INTO rule
SELECT from_stage::lead_stage, to_stage::lead_stage, requires_reason FROM lead_funnel.funnel_rules
WHERE funnel = 'bench' AND valid_to IS NULL;
CREATE UNIQUE INDEX rule_move ON rule (from_stage, to_stage);

CREATE TABLE log (
    lead_id      bigint NOT NULL,
    effective_at timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    move         integer NOT NULL,
    cycle        integer NOT NULL,
    from_stage   lead_stage,
    to_stage     lead_stage,
    cycle_ended  boolean NOT NULL,
    actor        text NOT NULL,
    source       text,
    value        numeric
);
INSERT INTO log
SELECT lead_id, effective_at, recorded_at, move, cycle, from_stage::lead_stage, to_stage::lead_stage,
    to_stage IN ('won', 'lost', 'rejected', 'recycled', 'disqualified'), actor, source, value
FROM lead_funnel.funnel_history WHERE funnel = 'bench' ORDER BY move, lead_id % 10, lead_id;
ALTER TABLE log ADD PRIMARY KEY (lead_id, move);

CREATE TABLE stock (
    stage  lead_stage,
    source text,
    leads  bigint NOT NULL,
    value  numeric NOT NULL,
    PRIMARY KEY (stage, source)
) WITH (fillfactor = 50);
INSERT INTO stock SELECT stage, source, count(*), sum(value) FROM leads GROUP BY stage, source;

CREATE TABLE flow (
    day       date,
    stage     lead_stage,
    source    text,
    entries   bigint NOT NULL DEFAULT 0,
    exits     bigint NOT NULL DEFAULT 0,
    value_in  numeric NOT NULL DEFAULT 0,
    value_out numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (day, stage, source)
) WITH (fillfactor = 50);
INSERT INTO flow
SELECT day, stage::lead_stage, source, entries, exits, value_in, value_out FROM lead_funnel.funnel_flow WHERE funnel = 'bench';
