--
-- Views: what BI tools read
--
-- Nobody but the owner of the extension has a right on the tables. A view
-- runs with its owner's rights, so each public view joins _readable, which
-- holds the funnels that the caller may read, and is a security barrier: no
-- function in a query sees a row that its caller may not read. The usual
-- comparisons are leakproof and pass the barrier, so indexes are used.
--
-- Columns of type name have the collation "C" and would hand it on to clients:
-- a row comparison of such a column with a text fails. Only lead keeps it, as
-- the index on lead_key needs.
--
-- The stock is read by a function in C: planning the query that would do the
-- same took longer than reading. It is a query of flows that must be asked for
-- days, so those are read from their table, where a condition on day finds the
-- index, and only the deltas come from a function.
--

-- Internal views

-- Views call functions with the rights of their reader, so everybody may call
-- these, whatever the default privileges are. They look themselves who it is.
CREATE FUNCTION lead_funnel._may_read(relation pg_catalog.regclass, attached_by pg_catalog.name)
    RETURNS pg_catalog.bool
    LANGUAGE C STABLE PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'lf_may_read_sql';
COMMENT ON FUNCTION lead_funnel._may_read(pg_catalog.regclass, pg_catalog.name) IS
    'whether the current user may read the funnel of a table: as its owner, as a reader or, once it is gone, as the role that attached it';
GRANT EXECUTE ON FUNCTION lead_funnel._may_read(pg_catalog.regclass, pg_catalog.name) TO PUBLIC;

CREATE FUNCTION lead_funnel._stock(funnel_id pg_catalog.int4, missing pg_catalog.text)
    RETURNS TABLE (stage @extschema@.lead_stage, source pg_catalog.text, campaign pg_catalog.text,
                   owner pg_catalog.text, segment pg_catalog.text, currency pg_catalog.text,
                   leads pg_catalog.int8, value pg_catalog.numeric)
    LANGUAGE C STABLE PARALLEL SAFE COST 1000 ROWS 100
    AS 'MODULE_PATHNAME', 'lf_stock';
COMMENT ON FUNCTION lead_funnel._stock(pg_catalog.int4, pg_catalog.text) IS
    'leads and value per stage and dimensions now; the second argument stands for a missing dimension';
GRANT EXECUTE ON FUNCTION lead_funnel._stock(pg_catalog.int4, pg_catalog.text) TO PUBLIC;

-- the columns of flow_cell, in its order
CREATE FUNCTION lead_funnel._flow_tail(funnel_id pg_catalog.int4)
    RETURNS TABLE (day pg_catalog.date, opening pg_catalog.int8, entries pg_catalog.int8, exits pg_catalog.int8,
                   adjustments pg_catalog.int8, stage @extschema@.lead_stage, value_in pg_catalog.numeric,
                   value_out pg_catalog.numeric, value_adjustments pg_catalog.numeric, source pg_catalog.text,
                   campaign pg_catalog.text, owner pg_catalog.text, segment pg_catalog.text, currency pg_catalog.text)
    LANGUAGE C STABLE PARALLEL SAFE COST 1000 ROWS 100
    AS 'MODULE_PATHNAME', 'lf_flow_tail';
COMMENT ON FUNCTION lead_funnel._flow_tail(pg_catalog.int4) IS
    'flows per day, stage and dimensions of the deltas that no fold has taken in yet';
GRANT EXECUTE ON FUNCTION lead_funnel._flow_tail(pg_catalog.int4) TO PUBLIC;

CREATE FUNCTION lead_funnel._pending_deltas(funnel_id pg_catalog.int4)
    RETURNS pg_catalog.int8
    LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'lf_pending_deltas';
COMMENT ON FUNCTION lead_funnel._pending_deltas(pg_catalog.int4) IS
    'number of deltas that no fold has taken in yet';
GRANT EXECUTE ON FUNCTION lead_funnel._pending_deltas(pg_catalog.int4) TO PUBLIC;

-- OFFSET 0 keeps the planner from asking for roles once per journal row.
CREATE VIEW lead_funnel._readable AS
SELECT f.funnel_id,
    f.name::pg_catalog.text COLLATE pg_catalog."default" AS funnel,
    f.relation,
    f.status,
    f.mode,
    f.preset,
    f.timezone,
    f.always,
    f.stage_column,
    f.key_column,
    f.entered_column,
    f.handover_column,
    f.attached_at,
    f.notify_channel
FROM lead_funnel.funnel f
WHERE lead_funnel._may_read(f.relation, f.attached_by)
OFFSET 0;
COMMENT ON VIEW lead_funnel._readable IS
    'one row per funnel that the current user may read';

CREATE VIEW lead_funnel._stage AS
SELECT s.stage,
    s.stage::pg_catalog.text AS label,
    @extschema@.stage_rank(s.stage) AS rank
FROM (VALUES
    ('lead'::@extschema@.lead_stage), ('mql'), ('sal'), ('sql'), ('opportunity'), ('won'),
    ('nurture'), ('recycled'), ('rejected'), ('disqualified'), ('lost')) AS s (stage);
COMMENT ON VIEW lead_funnel._stage IS
    'one row per stage, with its label and rank';

-- Two branches, so that a condition on lead finds the index on lead_key as
-- one on lead_id finds its own. A funnel has rows in one of them only.
CREATE VIEW lead_funnel._lead_row AS
SELECT j.funnel_id, j.lead_id, j.lead_key, j.lead_id::pg_catalog.text COLLATE pg_catalog."C" AS lead,
    j.move, j.undoes, j.effective_at, j.recorded_at, j.entered_at, j.handed_over_at, j.cycle, j.cycle_move, j.epoch,
    j.rules_version, j.from_stage, j.to_stage, j.furthest_stage, j.kind, j.origin, j.breach, j.cycle_ended,
    j.from_status, j.to_status, j.source, j.campaign, j.owner, j.segment, j.currency, j.value,
    j.actor, j.role_name, j.reason, j.note, j.score, j.qualification,
    j.score_model, j.score_version
FROM lead_funnel.journal j
WHERE j.lead_id IS NOT NULL
UNION ALL
SELECT j.funnel_id, j.lead_id, j.lead_key, j.lead_key,
    j.move, j.undoes, j.effective_at, j.recorded_at, j.entered_at, j.handed_over_at, j.cycle, j.cycle_move, j.epoch,
    j.rules_version, j.from_stage, j.to_stage, j.furthest_stage, j.kind, j.origin, j.breach, j.cycle_ended,
    j.from_status, j.to_status, j.source, j.campaign, j.owner, j.segment, j.currency, j.value,
    j.actor, j.role_name, j.reason, j.note, j.score, j.qualification,
    j.score_model, j.score_version
FROM lead_funnel.journal j
WHERE j.lead_key IS NOT NULL;
COMMENT ON VIEW lead_funnel._lead_row IS
    'one row per journal row of a lead, with its key as text; no markers';

-- An undo takes the place of the move that it takes back and of what came in
-- between: a row does not count if a later one goes back to it or before it.
-- Undoes have an index of their own, so that a nested loop, which the planner
-- takes where it has no statistics of the funnel yet, costs little as well.
CREATE VIEW lead_funnel._counted_row AS
SELECT j.funnel_id, j.lead_id, j.lead_key, j.lead_id::pg_catalog.text COLLATE pg_catalog."C" AS lead,
    j.move, j.undoes, j.effective_at, j.recorded_at, j.entered_at, j.handed_over_at, j.cycle, j.cycle_move, j.epoch,
    j.rules_version, j.from_stage, j.to_stage, j.furthest_stage, j.kind, j.origin, j.breach, j.cycle_ended,
    j.from_status, j.to_status, j.source, j.campaign, j.owner, j.segment, j.currency, j.value,
    j.actor, j.role_name, j.reason, j.note
FROM lead_funnel.journal j
WHERE j.lead_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM lead_funnel.journal u
                    WHERE u.lead_id = j.lead_id AND u.funnel_id = j.funnel_id AND u.undoes IS NOT NULL
                      AND u.undoes <= j.move AND u.move > j.move)
UNION ALL
SELECT j.funnel_id, j.lead_id, j.lead_key, j.lead_key,
    j.move, j.undoes, j.effective_at, j.recorded_at, j.entered_at, j.handed_over_at, j.cycle, j.cycle_move, j.epoch,
    j.rules_version, j.from_stage, j.to_stage, j.furthest_stage, j.kind, j.origin, j.breach, j.cycle_ended,
    j.from_status, j.to_status, j.source, j.campaign, j.owner, j.segment, j.currency, j.value,
    j.actor, j.role_name, j.reason, j.note
FROM lead_funnel.journal j
WHERE j.lead_key IS NOT NULL
    AND NOT EXISTS (SELECT FROM lead_funnel.journal u
                    WHERE u.lead_key = j.lead_key AND u.funnel_id = j.funnel_id AND u.undoes IS NOT NULL
                      AND u.undoes <= j.move AND u.move > j.move);
COMMENT ON VIEW lead_funnel._counted_row IS
    'one row per journal row of a lead that counts: no moves that were taken back; an undo (kind u) counts as a change';

CREATE VIEW lead_funnel._marker AS
SELECT j.funnel_id, j.epoch, j.effective_at, j.recorded_at, j.cycle, j.move, j.origin, j.rules_version,
    j.actor, j.role_name, j.reason, j.note
FROM lead_funnel.journal j
WHERE j.lead_id IS NULL AND j.lead_key IS NULL;
COMMENT ON VIEW lead_funnel._marker IS
    'one row per truncate or detach, which begins an epoch: all leads of the epoch before left the funnel then';

CREATE VIEW lead_funnel._lead_state AS
SELECT s.funnel_id, s.lead_id, s.lead_key, s.stage, s.source, s.campaign, s.owner, s.segment, s.currency, s.value,
    s.entered_at, s.handed_over_at, s.move, s.cycle
FROM (
    SELECT DISTINCT ON (j.lead_id, j.lead_key, j.funnel_id)
        j.funnel_id, j.lead_id, j.lead_key, j.to_stage AS stage, j.source, j.campaign, j.owner, j.segment, j.currency,
        j.value, j.entered_at, j.handed_over_at, j.move, j.cycle, j.epoch
    FROM lead_funnel.journal j
    WHERE j.lead_id IS NOT NULL OR j.lead_key IS NOT NULL
    ORDER BY j.lead_id, j.lead_key, j.funnel_id, j.move DESC
) s
WHERE s.stage IS NOT NULL
    AND NOT EXISTS (SELECT FROM lead_funnel._marker m WHERE m.funnel_id = s.funnel_id AND m.epoch = s.epoch + 1);
COMMENT ON VIEW lead_funnel._lead_state IS
    'one row per lead that is in a funnel, as its last journal row says';

-- The statistics as the journal has them, not looking at what is stored. A
-- row of a lead brings it into a cell; the row after it, or the marker that
-- ends its epoch, takes it out again. Key renames (k) do neither. An undo (u) is
-- a change from where the lead was before the move taken back. Steps are
-- counted first and spread over columns then: that halves the time.
CREATE VIEW lead_funnel._journal_flow AS
SELECT c.funnel_id, c.day, c.stage, c.source, c.campaign, c.owner, c.segment, c.currency,
    COALESCE(pg_catalog.sum(c.steps) FILTER (WHERE c.step = 'opening'), 0)::bigint AS opening,
    COALESCE(pg_catalog.sum(c.steps) FILTER (WHERE c.step = 'entry'), 0)::bigint AS entries,
    COALESCE(pg_catalog.sum(c.steps) FILTER (WHERE c.step = 'exit'), 0)::bigint AS exits,
    pg_catalog.sum(CASE c.step WHEN 'in' THEN c.steps WHEN 'out' THEN -c.steps ELSE 0 END)::bigint AS adjustments,
    COALESCE(pg_catalog.sum(c.value) FILTER (WHERE c.step = 'entry'), 0) AS value_in,
    COALESCE(pg_catalog.sum(c.value) FILTER (WHERE c.step = 'exit'), 0) AS value_out,
    pg_catalog.sum(CASE WHEN c.step IN ('opening', 'in') THEN c.value WHEN c.step = 'out' THEN -c.value ELSE 0 END)
        AS value_adjustments
FROM (
    SELECT j.funnel_id,
        (CASE WHEN s.arrives THEN j.effective_at WHEN j.next_epoch = j.epoch THEN j.next_at ELSE m.effective_at END
            AT TIME ZONE f.timezone)::date AS day,
        j.stage,
        CASE
            WHEN s.arrives AND j.kind = 'm' THEN CASE j.origin WHEN 'b' THEN 'opening' ELSE 'entry' END
            WHEN s.arrives THEN CASE j.kind WHEN 'c' THEN 'in' END
            WHEN j.next_epoch = j.epoch THEN CASE j.next_kind WHEN 'm' THEN 'exit' WHEN 'c' THEN 'out' END
            WHEN m.effective_at IS NOT NULL THEN 'exit'
        END AS step,
        j.source, j.campaign, j.owner, j.segment, j.currency,
        pg_catalog.count(*) AS steps,
        COALESCE(pg_catalog.sum(j.value), 0) AS value
    FROM (
        SELECT e.funnel_id, e.epoch, CASE e.kind WHEN 'u' THEN 'c' ELSE e.kind END AS kind, e.origin, e.effective_at, e.to_stage AS stage,
            e.source, e.campaign, e.owner, e.segment, e.currency, e.value,
            pg_catalog.lead(e.epoch) OVER w AS next_epoch,
            pg_catalog.lead(CASE e.kind WHEN 'u' THEN 'c' ELSE e.kind END) OVER w AS next_kind,
            pg_catalog.lead(e.effective_at) OVER w AS next_at
        FROM lead_funnel._counted_row e
        WINDOW w AS (PARTITION BY e.funnel_id, e.lead_id, e.lead_key ORDER BY e.move)
    ) j
    JOIN lead_funnel.funnel f ON f.funnel_id = j.funnel_id
    LEFT JOIN lead_funnel._marker m ON m.funnel_id = j.funnel_id AND m.epoch = j.epoch + 1
    CROSS JOIN (VALUES (true), (false)) AS s (arrives)
    WHERE j.stage IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
) c
WHERE c.step IS NOT NULL
GROUP BY c.funnel_id, c.day, c.stage, c.source, c.campaign, c.owner, c.segment, c.currency
HAVING pg_catalog.bool_or(c.step IN ('opening', 'entry', 'exit'))
    OR pg_catalog.sum(CASE c.step WHEN 'in' THEN c.steps WHEN 'out' THEN -c.steps ELSE 0 END) <> 0
    OR pg_catalog.sum(CASE c.step WHEN 'in' THEN c.value WHEN 'out' THEN -c.value ELSE 0 END) <> 0;
COMMENT ON VIEW lead_funnel._journal_flow IS
    'one row per funnel, day, stage and dimensions with a change, derived from the journal alone';

CREATE VIEW lead_funnel._flow_part AS
SELECT c.funnel_id, c.day, c.stage, c.source, c.campaign, c.owner, c.segment, c.currency,
    c.opening, c.entries, c.exits, c.adjustments, c.value_in, c.value_out, c.value_adjustments
FROM lead_funnel.flow_cell c
UNION ALL
SELECT f.funnel_id, t.day, t.stage, t.source, t.campaign, t.owner, t.segment, t.currency,
    t.opening, t.entries, t.exits, t.adjustments, t.value_in, t.value_out, t.value_adjustments
FROM lead_funnel.funnel f
CROSS JOIN LATERAL lead_funnel._flow_tail(f.funnel_id) t;
COMMENT ON VIEW lead_funnel._flow_part IS
    'flows as stored, cells of all folds and of the deltas since: to be summed';

CREATE VIEW lead_funnel._flow AS
SELECT p.funnel_id, p.day, p.stage, p.source, p.campaign, p.owner, p.segment, p.currency,
    pg_catalog.sum(p.opening)::bigint AS opening,
    pg_catalog.sum(p.entries)::bigint AS entries,
    pg_catalog.sum(p.exits)::bigint AS exits,
    pg_catalog.sum(p.adjustments)::bigint AS adjustments,
    pg_catalog.sum(p.value_in) AS value_in,
    pg_catalog.sum(p.value_out) AS value_out,
    pg_catalog.sum(p.value_adjustments) AS value_adjustments
FROM lead_funnel._flow_part p
GROUP BY p.funnel_id, p.day, p.stage, p.source, p.campaign, p.owner, p.segment, p.currency
HAVING pg_catalog.sum(p.opening) <> 0 OR pg_catalog.sum(p.entries) <> 0 OR pg_catalog.sum(p.exits) <> 0
    OR pg_catalog.sum(p.adjustments) <> 0 OR pg_catalog.sum(p.value_in) <> 0 OR pg_catalog.sum(p.value_out) <> 0
    OR pg_catalog.sum(p.value_adjustments) <> 0;
COMMENT ON VIEW lead_funnel._flow IS
    'one row per funnel, day, stage and dimensions with a change, as stored';

-- Funnels, rules, health

CREATE VIEW lead_funnel.funnels WITH (security_barrier) AS
SELECT r.funnel,
    CASE WHEN c.oid IS NOT NULL THEN pg_catalog.format('%I.%I', n.nspname, c.relname) COLLATE pg_catalog."default" END AS relation,
    r.stage_column::pg_catalog.text COLLATE pg_catalog."default" AS stage_column,
    r.key_column::pg_catalog.text COLLATE pg_catalog."default" AS key_column,
    r.mode,
    r.preset,
    r.timezone,
    v.version AS rules_version,
    r.attached_at,
    r.notify_channel::pg_catalog.text COLLATE pg_catalog."default" AS notify_channel
FROM lead_funnel._readable r
LEFT JOIN pg_catalog.pg_class c ON c.oid = r.relation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT pg_catalog.max(x.version) AS version FROM lead_funnel.rule_version x WHERE x.funnel_id = r.funnel_id
) v ON true;
COMMENT ON VIEW lead_funnel.funnels IS
    'one row per funnel that the current user may read. Its leads now: lead_visits of the funnel WHERE exited_at IS NULL';
COMMENT ON COLUMN lead_funnel.funnels.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnels.relation IS 'lead table with its schema; NULL once detached';
COMMENT ON COLUMN lead_funnel.funnels.stage_column IS 'column of the lead table that holds the stage';
COMMENT ON COLUMN lead_funnel.funnels.key_column IS 'column of the lead table that holds the key';
COMMENT ON COLUMN lead_funnel.funnels.mode IS 'enforce: a move against the rules is refused; observe: it is journalled as a violation';
COMMENT ON COLUMN lead_funnel.funnels.preset IS 'rules that the funnel began with';
COMMENT ON COLUMN lead_funnel.funnels.timezone IS 'time zone of all days of the funnel';
COMMENT ON COLUMN lead_funnel.funnels.rules_version IS 'version of the rules in force; NULL if the funnel never had rules';
COMMENT ON COLUMN lead_funnel.funnels.attached_at IS 'when the table was attached';
COMMENT ON COLUMN lead_funnel.funnels.notify_channel IS 'channel on which listeners are told of moves; NULL: none';

CREATE VIEW lead_funnel.funnel_rules WITH (security_barrier) AS
SELECT r.funnel,
    v.version,
    u.from_stage::pg_catalog.text AS from_stage,
    u.to_stage::pg_catalog.text AS to_stage,
    pg_catalog.array_to_string(u.requires, '; ') AS requires,
    u.min_score,
    u.requires_reason,
    u.allowed_role::pg_catalog.text COLLATE pg_catalog."default" AS allowed_role,
    u.automatic,
    u.check_at,
    v.valid_from,
    v.valid_to,
    v.changed_by::pg_catalog.text COLLATE pg_catalog."default" AS changed_by,
    COALESCE(u.note, v.note) AS note,
    u.min_criteria,
    u.min_level,
    u.no_blockers,
    u.min_qualification_score,
    u.below_score
FROM lead_funnel._readable r
JOIN (
    SELECT x.funnel_id, x.version, x.valid_from, x.changed_by, x.note,
        pg_catalog.lead(x.valid_from) OVER (PARTITION BY x.funnel_id ORDER BY x.version) AS valid_to
    FROM lead_funnel.rule_version x
) v ON v.funnel_id = r.funnel_id
JOIN lead_funnel.rule u ON u.funnel_id = v.funnel_id AND u.version = v.version;
COMMENT ON VIEW lead_funnel.funnel_rules IS
    'one row per allowed move and version of the rules; what has no row is not allowed. Leads that made the move under these rules: funnel_history with this rules_version, from_stage and to_stage';
COMMENT ON COLUMN lead_funnel.funnel_rules.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_rules.version IS 'version of the rules, 1, 2, ...';
COMMENT ON COLUMN lead_funnel.funnel_rules.from_stage IS 'stage that the lead leaves; NULL: entry to the funnel';
COMMENT ON COLUMN lead_funnel.funnel_rules.to_stage IS 'stage that the lead enters';
COMMENT ON COLUMN lead_funnel.funnel_rules.requires IS 'qualification that the move needs, one for each framework that it may be by; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_rules.min_score IS 'score that the move needs at least; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_rules.requires_reason IS 'whether the move needs a reason';
COMMENT ON COLUMN lead_funnel.funnel_rules.allowed_role IS 'role whose members may make the move; NULL: everyone';
COMMENT ON COLUMN lead_funnel.funnel_rules.automatic IS 'whether the move is made as soon as its requirements are met';
COMMENT ON COLUMN lead_funnel.funnel_rules.check_at IS 'when the requirements are checked: statement or commit';
COMMENT ON COLUMN lead_funnel.funnel_rules.valid_from IS 'when this version came into force';
COMMENT ON COLUMN lead_funnel.funnel_rules.valid_to IS 'when the next version replaced it; NULL: in force';
COMMENT ON COLUMN lead_funnel.funnel_rules.changed_by IS 'role that made this version';
COMMENT ON COLUMN lead_funnel.funnel_rules.note IS 'note on the rule, else on the change that made this version';
COMMENT ON COLUMN lead_funnel.funnel_rules.min_criteria IS 'how many criteria must have min_level; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_rules.min_level IS 'level of min_criteria: 0 an answer, 1 identified, 2 validated, 3 confirmed';
COMMENT ON COLUMN lead_funnel.funnel_rules.no_blockers IS 'whether no criterion may have the answer no';
COMMENT ON COLUMN lead_funnel.funnel_rules.min_qualification_score IS 'score of the qualification that the move needs at least, 0 to 1; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_rules.below_score IS 'score below which a lead makes the automatic move; NULL: none';

CREATE VIEW lead_funnel.funnel_health WITH (security_barrier) AS
SELECT r.funnel,
    CASE r.status
        WHEN 'active' THEN NOT EXISTS (
            -- pg_inherits, not pg_partition_tree(), which locks each partition
            WITH RECURSIVE tree (relid) AS (
                SELECT r.relation::pg_catalog.oid
                UNION ALL
                SELECT i.inhrelid
                FROM tree t
                JOIN pg_catalog.pg_class p ON p.oid = t.relid AND p.relkind = 'p'
                JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relid
                JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p')
            )
            SELECT
            FROM tree t
            CROSS JOIN (VALUES
                ('lead_funnel_track'::pg_catalog.name), ('lead_funnel_track_update'), ('lead_funnel_flush'),
                ('lead_funnel_truncate'), ('lead_funnel_stamp')) AS e (tgname)
            WHERE (e.tgname <> 'lead_funnel_stamp' OR r.entered_column IS NOT NULL OR EXISTS (
                    SELECT
                    FROM lead_funnel.rule a
                    WHERE a.funnel_id = r.funnel_id AND a.automatic
                        AND a.version = (SELECT pg_catalog.max(x.version) FROM lead_funnel.rule_version x WHERE x.funnel_id = r.funnel_id)))
                AND NOT EXISTS (
                    SELECT
                    FROM pg_catalog.pg_trigger g
                    JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
                    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'lead_funnel'
                    WHERE g.tgrelid = t.relid AND g.tgname = e.tgname
                        AND (g.tgenabled = 'A' OR g.tgenabled = 'O' AND NOT r.always)))
        WHEN 'suspended' THEN false
    END AS triggers_ok,
    lead_funnel._pending_deltas(r.funnel_id) AS pending_deltas,
    (SELECT g.folded_at FROM lead_funnel.generation g WHERE g.funnel_id = r.funnel_id ORDER BY g.generation DESC LIMIT 1)
        AS last_fold_at,
    pg_catalog.pg_total_relation_size('lead_funnel.journal'::pg_catalog.regclass) AS journal_bytes,
    r.attached_at AS tracked_since
FROM lead_funnel._readable r;
COMMENT ON VIEW lead_funnel.funnel_health IS
    'one row per funnel: whether it is kept, and how far folding is behind. Disagreements in detail: verify(funnel); missed changes are journalled by reconcile(funnel)';
COMMENT ON COLUMN lead_funnel.funnel_health.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_health.triggers_ok IS 'whether all triggers are on the lead table and its partitions and enabled; false while suspended, NULL once detached';
COMMENT ON COLUMN lead_funnel.funnel_health.pending_deltas IS 'changes of the statistics not yet folded; each read adds them up, numbers are exact all the same';
COMMENT ON COLUMN lead_funnel.funnel_health.last_fold_at IS 'when statistics were last folded; NULL: never';
COMMENT ON COLUMN lead_funnel.funnel_health.journal_bytes IS 'size on disk of the journal with its indexes, of all funnels together';
COMMENT ON COLUMN lead_funnel.funnel_health.tracked_since IS 'when tracking began: earlier moves are unknown';

CREATE VIEW lead_funnel.rule_violations WITH (security_barrier) AS
SELECT r.funnel,
    v.from_stage::pg_catalog.text AS from_stage,
    v.to_stage::pg_catalog.text AS to_stage,
    lead_funnel._constraint_name(v.breach) AS constraint_name,
    v.moves,
    v.first_at,
    v.last_at,
    v.last_lead COLLATE pg_catalog."default" AS last_lead,
    v.last_actor
FROM lead_funnel._readable r
CROSS JOIN LATERAL (
    SELECT j.from_stage, j.to_stage, j.breach,
        pg_catalog.count(*) AS moves,
        pg_catalog.min(j.effective_at) AS first_at,
        pg_catalog.max(j.effective_at) AS last_at,
        (pg_catalog.array_agg(j.lead
            ORDER BY j.effective_at DESC, j.recorded_at DESC, j.lead_id DESC, j.lead DESC, j.move DESC))[1] AS last_lead,
        (pg_catalog.array_agg(COALESCE(j.actor, j.role_name)
            ORDER BY j.effective_at DESC, j.recorded_at DESC, j.lead_id DESC, j.lead DESC, j.move DESC))[1] AS last_actor
    FROM lead_funnel._lead_row j
    WHERE j.funnel_id = r.funnel_id AND j.breach IS NOT NULL AND j.origin = 'v'
    GROUP BY j.from_stage, j.to_stage, j.breach
) v;
COMMENT ON VIEW lead_funnel.rule_violations IS
    'one row per move and rule that it broke while the funnel only observed. Leads behind it: funnel_history WHERE origin = ''violation'' with this from_stage and to_stage';
COMMENT ON COLUMN lead_funnel.rule_violations.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.rule_violations.from_stage IS 'stage before; NULL: entry to the funnel';
COMMENT ON COLUMN lead_funnel.rule_violations.to_stage IS 'stage after';
COMMENT ON COLUMN lead_funnel.rule_violations.constraint_name IS 'rule that was broken, named as in the error that mode enforce raises';
COMMENT ON COLUMN lead_funnel.rule_violations.moves IS 'number of such moves';
COMMENT ON COLUMN lead_funnel.rule_violations.first_at IS 'when the first one took effect';
COMMENT ON COLUMN lead_funnel.rule_violations.last_at IS 'when the last one took effect';
COMMENT ON COLUMN lead_funnel.rule_violations.last_lead IS 'lead of the last one, its key as text';
COMMENT ON COLUMN lead_funnel.rule_violations.last_actor IS 'who made the last one';

-- Statistics

CREATE VIEW lead_funnel.funnel_stages WITH (security_barrier) AS
SELECT r.funnel,
    c.stage::pg_catalog.text AS stage,
    @extschema@.stage_rank(c.stage) AS stage_rank,
    c.source,
    c.campaign,
    c.owner,
    c.segment,
    c.currency,
    c.leads,
    c.value
FROM lead_funnel._readable r
CROSS JOIN LATERAL lead_funnel._stock(r.funnel_id, '(none)') c;
COMMENT ON VIEW lead_funnel.funnel_stages IS
    'one row per stage and dimensions that hold leads now, exact. Leads behind a number: the lead table with this stage and these dimensions; of a whole stage also lead_visits WHERE stage = ... AND exited_at IS NULL';
COMMENT ON COLUMN lead_funnel.funnel_stages.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_stages.stage IS 'stage';
COMMENT ON COLUMN lead_funnel.funnel_stages.stage_rank IS 'order of the stages: lead 1 to lost 11';
COMMENT ON COLUMN lead_funnel.funnel_stages.source IS 'source of the leads now; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_stages.campaign IS 'campaign of the leads now; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_stages.owner IS 'owner of the leads now; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_stages.segment IS 'segment of the leads now; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_stages.currency IS 'currency of value of the leads now; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_stages.leads IS 'number of leads now';
COMMENT ON COLUMN lead_funnel.funnel_stages.value IS 'sum of their values, in this currency; a missing value counts 0';

-- Days are counted in integers: a series of timestamps would follow the
-- session's time zone. An infinite day has no place in a calendar.
CREATE VIEW lead_funnel.funnel_daily WITH (security_barrier) AS
SELECT r.funnel,
    d.day,
    d.stage::pg_catalog.text AS stage,
    @extschema@.stage_rank(d.stage) AS stage_rank,
    d.opening,
    d.entries,
    d.exits,
    d.stock,
    d.value_stock
FROM lead_funnel._readable r
CROSS JOIN LATERAL (
    WITH flow AS MATERIALIZED (
        SELECT p.day, p.stage,
            pg_catalog.sum(p.opening)::bigint AS opening,
            pg_catalog.sum(p.entries)::bigint AS entries,
            pg_catalog.sum(p.exits)::bigint AS exits,
            pg_catalog.sum(p.opening + p.entries - p.exits + p.adjustments) AS net,
            pg_catalog.sum(p.value_in - p.value_out + p.value_adjustments) AS value_net
        FROM lead_funnel._flow_part p
        WHERE p.funnel_id = r.funnel_id AND pg_catalog.isfinite(p.day)
        GROUP BY p.day, p.stage
    ), span AS (
        SELECT pg_catalog.min(f.day) AS first_day,
            GREATEST(pg_catalog.max(f.day), (pg_catalog.now() AT TIME ZONE r.timezone)::date) AS last_day
        FROM flow f
        HAVING pg_catalog.count(*) > 0
    )
    SELECT x.first_day + n.n AS day,
        s.stage,
        COALESCE(f.opening, 0) AS opening,
        COALESCE(f.entries, 0) AS entries,
        COALESCE(f.exits, 0) AS exits,
        pg_catalog.sum(COALESCE(f.net, 0)) OVER w::bigint AS stock,
        pg_catalog.sum(COALESCE(f.value_net, 0)) OVER w AS value_stock
    FROM span x
    CROSS JOIN LATERAL pg_catalog.generate_series(0, x.last_day - x.first_day) AS n (n)
    CROSS JOIN lead_funnel._stage s
    LEFT JOIN flow f ON f.day = x.first_day + n.n AND f.stage OPERATOR(@extschema@.=) s.stage
    WINDOW w AS (PARTITION BY s.stage ORDER BY n.n ROWS UNBOUNDED PRECEDING)
) d;
COMMENT ON VIEW lead_funnel.funnel_daily IS
    'one row per day and stage, from the first day of the funnel to today, no day missing. Leads behind entries: funnel_history WHERE to_stage = stage AND effective_day = day AND origin <> ''backfill'' AND undoes IS NULL AND undone_by IS NULL; behind opening: the same with origin = ''backfill''; behind exits: lead_visits WHERE exited_day = day; behind stock: lead_visits WHERE entered_day <= day AND (exited_day > day OR exited_day IS NULL)';
COMMENT ON COLUMN lead_funnel.funnel_daily.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_daily.day IS 'day in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_daily.stage IS 'stage';
COMMENT ON COLUMN lead_funnel.funnel_daily.stage_rank IS 'order of the stages: lead 1 to lost 11';
COMMENT ON COLUMN lead_funnel.funnel_daily.opening IS 'leads that were there when the table was attached: opening stock, not entries; on the day since when the table says they are in the stage, else on that of attaching';
COMMENT ON COLUMN lead_funnel.funnel_daily.entries IS 'entries to the stage on this day, from another stage or from outside';
COMMENT ON COLUMN lead_funnel.funnel_daily.exits IS 'exits from the stage on this day, to another stage or out of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_daily.stock IS 'leads in the stage at the end of the day: stock of the day before + opening + entries - exits';
COMMENT ON COLUMN lead_funnel.funnel_daily.value_stock IS 'sum of their values at the end of the day, all currencies added';

CREATE VIEW lead_funnel.funnel_flow WITH (security_barrier) AS
SELECT r.funnel,
    c.day,
    c.stage::pg_catalog.text AS stage,
    @extschema@.stage_rank(c.stage) AS stage_rank,
    c.source,
    c.campaign,
    c.owner,
    c.segment,
    c.currency,
    c.opening,
    c.entries,
    c.exits,
    c.adjustments,
    c.value_in,
    c.value_out,
    c.value_adjustments
FROM lead_funnel._readable r
CROSS JOIN LATERAL (
    SELECT p.day, p.stage,
        COALESCE(p.source, '(none)') AS source,
        COALESCE(p.campaign, '(none)') AS campaign,
        COALESCE(p.owner, '(none)') AS owner,
        COALESCE(p.segment, '(none)') AS segment,
        COALESCE(p.currency, '(none)') AS currency,
        pg_catalog.sum(p.opening)::bigint AS opening,
        pg_catalog.sum(p.entries)::bigint AS entries,
        pg_catalog.sum(p.exits)::bigint AS exits,
        pg_catalog.sum(p.adjustments)::bigint AS adjustments,
        pg_catalog.sum(p.value_in) AS value_in,
        pg_catalog.sum(p.value_out) AS value_out,
        pg_catalog.sum(p.value_adjustments) AS value_adjustments
    FROM lead_funnel._flow_part p
    WHERE p.funnel_id = r.funnel_id
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    HAVING pg_catalog.sum(p.opening) <> 0 OR pg_catalog.sum(p.entries) <> 0 OR pg_catalog.sum(p.exits) <> 0
        OR pg_catalog.sum(p.adjustments) <> 0 OR pg_catalog.sum(p.value_in) <> 0 OR pg_catalog.sum(p.value_out) <> 0
        OR pg_catalog.sum(p.value_adjustments) <> 0
) c;
COMMENT ON VIEW lead_funnel.funnel_flow IS
    'one row per day, stage and dimensions with a change. Leads behind entries: funnel_history WHERE to_stage = stage AND effective_day = day AND origin <> ''backfill'' AND undoes IS NULL AND undone_by IS NULL with these dimensions; behind opening: the same with origin = ''backfill''; behind exits: lead_visits WHERE exited_day = day with this stage, dimensions as of entry';
COMMENT ON COLUMN lead_funnel.funnel_flow.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_flow.day IS 'day in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_flow.stage IS 'stage';
COMMENT ON COLUMN lead_funnel.funnel_flow.stage_rank IS 'order of the stages: lead 1 to lost 11';
COMMENT ON COLUMN lead_funnel.funnel_flow.source IS 'source as of the move: after it for entries, before it for exits; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_flow.campaign IS 'campaign as of the move: after it for entries, before it for exits; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_flow.owner IS 'owner as of the move: after it for entries, before it for exits; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_flow.segment IS 'segment as of the move: after it for entries, before it for exits; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_flow.currency IS 'currency of value as of the move: after it for entries, before it for exits; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_flow.opening IS 'leads that were there when the table was attached: opening stock, not entries; on the day since when the table says they are in the stage, else on that of attaching';
COMMENT ON COLUMN lead_funnel.funnel_flow.entries IS 'entries to the stage';
COMMENT ON COLUMN lead_funnel.funnel_flow.exits IS 'exits from the stage';
COMMENT ON COLUMN lead_funnel.funnel_flow.adjustments IS 'leads that came to these dimensions less those that went, without a move';
COMMENT ON COLUMN lead_funnel.funnel_flow.value_in IS 'value of the leads that entered';
COMMENT ON COLUMN lead_funnel.funnel_flow.value_out IS 'value of the leads that left';
COMMENT ON COLUMN lead_funnel.funnel_flow.value_adjustments IS 'change of value without a move, and value of opening';

-- Leads

CREATE VIEW lead_funnel.funnel_history WITH (security_barrier) AS
SELECT r.funnel,
    j.lead,
    j.lead_id,
    j.cycle,
    j.move,
    j.from_stage::pg_catalog.text AS from_stage,
    j.to_stage::pg_catalog.text AS to_stage,
    COALESCE(j.from_status, j.from_stage::pg_catalog.text) AS from_status,
    COALESCE(j.to_status, j.to_stage::pg_catalog.text) AS to_status,
    j.effective_at,
    (j.effective_at AT TIME ZONE r.timezone)::date AS effective_day,
    j.recorded_at,
    COALESCE(j.actor, j.role_name) AS actor,
    j.role_name,
    j.reason,
    j.note,
    lead_funnel._origin(j.origin) AS origin,
    j.rules_version,
    COALESCE(j.source, '(none)') AS source,
    COALESCE(j.campaign, '(none)') AS campaign,
    COALESCE(j.owner, '(none)') AS owner,
    COALESCE(j.segment, '(none)') AS segment,
    COALESCE(j.currency, '(none)') AS currency,
    j.value,
    j.score,
    j.qualification::pg_catalog.text AS qualification,
    j.undoes,
    -- looked for only where it is asked for, and only in the lead's own rows
    CASE WHEN j.lead_id IS NOT NULL
        THEN (SELECT pg_catalog.min(u.move) FROM lead_funnel.journal u
              WHERE u.lead_id = j.lead_id AND u.funnel_id = j.funnel_id AND u.undoes = j.move AND u.move > j.move)
        ELSE (SELECT pg_catalog.min(u.move) FROM lead_funnel.journal u
              WHERE u.lead_key = j.lead AND u.funnel_id = j.funnel_id AND u.undoes = j.move AND u.move > j.move)
    END AS undone_by,
    (SELECT o.name::pg_catalog.text COLLATE pg_catalog."default" FROM lead_funnel.score_model o
     WHERE o.model_id = j.score_model) AS score_model,
    j.score_version
FROM lead_funnel._readable r
JOIN (
    SELECT m.funnel_id, m.lead, m.lead_id, m.cycle, m.move, m.from_stage, m.to_stage, m.from_status, m.to_status,
        m.effective_at, m.recorded_at, m.actor, m.role_name, m.reason, m.note, m.origin, m.rules_version,
        m.source, m.campaign, m.owner, m.segment, m.currency, m.value, m.score, m.qualification, m.undoes,
        m.score_model, m.score_version
    FROM lead_funnel._lead_row m
    WHERE m.kind IN ('m', 'u')
    UNION ALL
    SELECT t.funnel_id, NULL, NULL, t.cycle, t.move, NULL, NULL, NULL, NULL,
        t.effective_at, t.recorded_at, t.actor, t.role_name, t.reason, t.note, t.origin, t.rules_version,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM lead_funnel._marker t
) j ON j.funnel_id = r.funnel_id;
COMMENT ON VIEW lead_funnel.funnel_history IS
    'one row per move of a lead, entry and exit included, also of one that was taken back, and one without a lead per truncate or detach, which takes all leads out of the funnel. Moves that count: WHERE undoes IS NULL AND undone_by IS NULL. Leads behind a move: WHERE from_stage = ... AND to_stage = ...';
COMMENT ON COLUMN lead_funnel.funnel_history.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_history.lead IS 'key of the lead as text';
COMMENT ON COLUMN lead_funnel.funnel_history.lead_id IS 'key of the lead if it is an integer, to join the lead table';
COMMENT ON COLUMN lead_funnel.funnel_history.cycle IS 'pass of the lead through the funnel, 1, 2, ...';
COMMENT ON COLUMN lead_funnel.funnel_history.move IS 'number of the journal row within the lead; changes without a move take numbers, too';
COMMENT ON COLUMN lead_funnel.funnel_history.from_stage IS 'stage before; NULL: entry to the funnel';
COMMENT ON COLUMN lead_funnel.funnel_history.to_stage IS 'stage after; NULL: exit from the funnel';
COMMENT ON COLUMN lead_funnel.funnel_history.from_status IS 'stage before as it stood in the lead table';
COMMENT ON COLUMN lead_funnel.funnel_history.to_status IS 'stage after as it stands in the lead table';
COMMENT ON COLUMN lead_funnel.funnel_history.effective_at IS 'when the move took effect';
COMMENT ON COLUMN lead_funnel.funnel_history.effective_day IS 'day of effective_at in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_history.recorded_at IS 'when the move was recorded';
COMMENT ON COLUMN lead_funnel.funnel_history.actor IS 'who made the move: the actor that the application named, else the database role';
COMMENT ON COLUMN lead_funnel.funnel_history.role_name IS 'database role that made the move';
COMMENT ON COLUMN lead_funnel.funnel_history.reason IS 'reason given';
COMMENT ON COLUMN lead_funnel.funnel_history.note IS 'note given';
COMMENT ON COLUMN lead_funnel.funnel_history.origin IS 'how it came about: write, backfill, override, violation, automatic, expiry, undo, import, merge, erase, exclude, delete, truncate, reconcile or replicated';
COMMENT ON COLUMN lead_funnel.funnel_history.rules_version IS 'version of the rules that the move was checked against';
COMMENT ON COLUMN lead_funnel.funnel_history.source IS 'source after the move; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_history.campaign IS 'campaign after the move; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_history.owner IS 'owner after the move; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_history.segment IS 'segment after the move; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_history.currency IS 'currency of value after the move; (none) if missing';
COMMENT ON COLUMN lead_funnel.funnel_history.value IS 'value after the move';
COMMENT ON COLUMN lead_funnel.funnel_history.score IS 'score at the move, as it was judged; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_history.qualification IS 'qualification at the move, as it was judged; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_history.undoes IS 'number of the move that this row takes back; neither of the two counts in any other view';
COMMENT ON COLUMN lead_funnel.funnel_history.undone_by IS 'number of the row that took this move back; NULL: it counts';
COMMENT ON COLUMN lead_funnel.funnel_history.score_model IS 'scoring model that made the score; NULL: none, a column held it, or the model is gone';
COMMENT ON COLUMN lead_funnel.funnel_history.score_version IS 'version of the scoring model that made the score; NULL: none, or a column held it';

-- The window's partition holds the columns of the view that name a lead, so
-- that conditions on them reach the journal's indexes.
CREATE VIEW lead_funnel.lead_visits WITH (security_barrier) AS
SELECT v.funnel,
    v.lead,
    v.lead_id,
    v.cycle,
    v.stage::pg_catalog.text AS stage,
    @extschema@.stage_rank(v.stage) AS stage_rank,
    v.entered_at,
    (v.entered_at AT TIME ZONE v.timezone)::date AS entered_day,
    x.exited_at,
    (x.exited_at AT TIME ZONE v.timezone)::date AS exited_day,
    CASE WHEN v.next_epoch = v.epoch THEN v.next_stage::pg_catalog.text END AS exit_to,
    EXTRACT(epoch FROM x.exited_at - v.entered_at)::double precision AS seconds,
    COALESCE(v.source, '(none)') AS source,
    COALESCE(v.campaign, '(none)') AS campaign,
    COALESCE(v.owner, '(none)') AS owner,
    COALESCE(v.segment, '(none)') AS segment,
    COALESCE(v.currency, '(none)') AS currency
FROM (
    SELECT r.funnel, r.timezone, j.funnel_id, j.lead, j.lead_id, j.cycle, j.epoch, j.to_stage AS stage, j.entered_at,
        j.source, j.campaign, j.owner, j.segment, j.currency,
        pg_catalog.lead(j.epoch) OVER w AS next_epoch,
        pg_catalog.lead(j.effective_at) OVER w AS next_at,
        pg_catalog.lead(j.to_stage) OVER w AS next_stage
    FROM lead_funnel._readable r
    JOIN lead_funnel._counted_row j ON j.funnel_id = r.funnel_id
    WHERE j.kind = 'm'
    WINDOW w AS (PARTITION BY j.lead_id, j.lead, j.funnel_id, r.funnel ORDER BY j.move)
) v
LEFT JOIN lead_funnel._marker m ON m.funnel_id = v.funnel_id AND m.epoch = v.epoch + 1
-- who truncates may have begun before the lead came, and waited
CROSS JOIN LATERAL (SELECT CASE WHEN v.next_epoch = v.epoch THEN v.next_at
                                WHEN m.effective_at < v.entered_at THEN v.entered_at ELSE m.effective_at END AS exited_at) x
WHERE v.stage IS NOT NULL;
COMMENT ON VIEW lead_funnel.lead_visits IS
    'one row per stay of a lead in a stage; the visits of a lead in the funnel join without gaps. Leads in a stage at a time t: WHERE stage = ... AND entered_at <= t AND (exited_at > t OR exited_at IS NULL)';
COMMENT ON COLUMN lead_funnel.lead_visits.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.lead_visits.lead IS 'key of the lead as text';
COMMENT ON COLUMN lead_funnel.lead_visits.lead_id IS 'key of the lead if it is an integer, to join the lead table';
COMMENT ON COLUMN lead_funnel.lead_visits.cycle IS 'pass of the lead through the funnel, 1, 2, ...';
COMMENT ON COLUMN lead_funnel.lead_visits.stage IS 'stage';
COMMENT ON COLUMN lead_funnel.lead_visits.stage_rank IS 'order of the stages: lead 1 to lost 11';
COMMENT ON COLUMN lead_funnel.lead_visits.entered_at IS 'when the lead entered the stage; for a backfilled lead as the table says, else when it was attached';
COMMENT ON COLUMN lead_funnel.lead_visits.entered_day IS 'day of entered_at in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.lead_visits.exited_at IS 'when the lead left the stage; NULL: it is there now';
COMMENT ON COLUMN lead_funnel.lead_visits.exited_day IS 'day of exited_at in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.lead_visits.exit_to IS 'stage that it went to; NULL: still there, or left the funnel';
COMMENT ON COLUMN lead_funnel.lead_visits.seconds IS 'length of the visit in seconds; NULL while it lasts';
COMMENT ON COLUMN lead_funnel.lead_visits.source IS 'source as of entry; (none) if missing';
COMMENT ON COLUMN lead_funnel.lead_visits.campaign IS 'campaign as of entry; (none) if missing';
COMMENT ON COLUMN lead_funnel.lead_visits.owner IS 'owner as of entry; (none) if missing';
COMMENT ON COLUMN lead_funnel.lead_visits.segment IS 'segment as of entry; (none) if missing';
COMMENT ON COLUMN lead_funnel.lead_visits.currency IS 'currency of value as of entry; (none) if missing';

-- No aggregate is ordered, so that groups can be hashed: the stage in which a
-- cycle ended is the lowest of (move, rank) packed into one number. A backfill
-- row is the first of its lead in an epoch, so of its cycle.
CREATE VIEW lead_funnel.lead_milestones WITH (security_barrier) AS
SELECT c.funnel,
    c.lead,
    c.lead_id,
    c.cycle,
    c.started_at,
    c.mql_at,
    c.handed_over_at,
    c.sal_at,
    c.sql_at,
    c.opportunity_at,
    c.won_at,
    c.rejected_at,
    CASE WHEN c.end_move IS NULL THEN m.effective_at WHEN NOT c.backfilled_end THEN c.ended_at END AS ended_at,
    e.label AS end_stage,
    c.furthest_stage::pg_catalog.text AS furthest_stage,
    @extschema@.stage_rank(c.furthest_stage) AS furthest_stage_rank
FROM (
    SELECT j.funnel, j.funnel_id, j.lead, j.lead_id, j.cycle,
        pg_catalog.max(j.epoch) AS epoch,
        pg_catalog.min(j.effective_at) FILTER (WHERE j.moved AND NOT j.backfilled AND j.move = j.cycle_move) AS started_at,
        pg_catalog.min(j.effective_at) FILTER (WHERE j.entered OPERATOR(@extschema@.=) 'mql') AS mql_at,
        -- a date that is given for the first time behind the decision is one, too
        COALESCE(lead_funnel._last_date(j.move, j.undecided_handover), lead_funnel._last_date(-j.move, j.handed_over_at))
            AS handed_over_at,
        pg_catalog.min(j.effective_at) FILTER (WHERE j.entered OPERATOR(@extschema@.=) 'sal') AS sal_at,
        pg_catalog.min(j.effective_at) FILTER (WHERE j.entered OPERATOR(@extschema@.=) 'sql') AS sql_at,
        pg_catalog.min(j.effective_at) FILTER (WHERE j.entered OPERATOR(@extschema@.=) 'opportunity') AS opportunity_at,
        pg_catalog.min(j.effective_at) FILTER (WHERE j.entered OPERATOR(@extschema@.=) 'won') AS won_at,
        pg_catalog.min(j.effective_at) FILTER (WHERE j.entered OPERATOR(@extschema@.=) 'rejected') AS rejected_at,
        pg_catalog.min(j.effective_at) FILTER (WHERE j.moved AND j.cycle_ended) AS ended_at,
        pg_catalog.min(j.move * 16::bigint + COALESCE(@extschema@.stage_rank(j.to_stage), 0))
            FILTER (WHERE j.moved AND j.cycle_ended) AS end_move,
        pg_catalog.bool_or(j.backfilled AND j.cycle_ended) AS backfilled_end,
        @extschema@.max(j.furthest_stage) AS furthest_stage
    FROM (
        SELECT r.funnel, l.funnel_id, l.lead, l.lead_id, l.cycle, l.epoch, l.move, l.cycle_move, l.cycle_ended,
            l.effective_at, l.handed_over_at, l.furthest_stage, l.to_stage,
            -- up to the row that decides: another date that comes later changes nothing
            CASE WHEN l.to_stage OPERATOR(@extschema@.<=) 'mql' OR l.to_stage OPERATOR(@extschema@.=) 'nurture'
                      OR l.from_stage IS NULL OR l.from_stage OPERATOR(@extschema@.<=) 'mql'
                      OR l.from_stage OPERATOR(@extschema@.=) 'nurture'
                 THEN l.handed_over_at END AS undecided_handover,
            l.kind = 'm' AS moved,
            l.origin = 'b' AS backfilled,
            CASE WHEN l.kind = 'm' AND l.origin <> 'b' THEN l.to_stage END AS entered
        FROM lead_funnel._readable r
        JOIN lead_funnel._counted_row l ON l.funnel_id = r.funnel_id
    ) j
    GROUP BY j.lead_id, j.lead, j.cycle, j.funnel_id, j.funnel
) c
LEFT JOIN lead_funnel._marker m ON m.funnel_id = c.funnel_id AND m.epoch = c.epoch + 1
LEFT JOIN lead_funnel._stage e ON e.rank = c.end_move % 16;
COMMENT ON VIEW lead_funnel.lead_milestones IS
    'one row per lead and cycle, one pass through the funnel. Cycles that reached a stage: WHERE sal_at IS NOT NULL and so on; the moves behind it: funnel_history with this lead and cycle';
COMMENT ON COLUMN lead_funnel.lead_milestones.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.lead_milestones.lead IS 'key of the lead as text';
COMMENT ON COLUMN lead_funnel.lead_milestones.lead_id IS 'key of the lead if it is an integer, to join the lead table';
COMMENT ON COLUMN lead_funnel.lead_milestones.cycle IS 'pass of the lead through the funnel, 1, 2, ...';
COMMENT ON COLUMN lead_funnel.lead_milestones.started_at IS 'when the cycle started; NULL: before tracking began';
COMMENT ON COLUMN lead_funnel.lead_milestones.mql_at IS 'when the lead first entered mql in this cycle; NULL: never, or known by backfill only';
COMMENT ON COLUMN lead_funnel.lead_milestones.handed_over_at IS 'when the lead was last handed over to sales in this cycle; NULL: never';
COMMENT ON COLUMN lead_funnel.lead_milestones.sal_at IS 'when the lead first entered sal in this cycle; NULL: never, or known by backfill only';
COMMENT ON COLUMN lead_funnel.lead_milestones.sql_at IS 'when the lead first entered sql in this cycle; NULL: never, or known by backfill only';
COMMENT ON COLUMN lead_funnel.lead_milestones.opportunity_at IS 'when the lead first entered opportunity in this cycle; NULL: never, or known by backfill only';
COMMENT ON COLUMN lead_funnel.lead_milestones.won_at IS 'when the lead first entered won in this cycle; NULL: never, or known by backfill only';
COMMENT ON COLUMN lead_funnel.lead_milestones.rejected_at IS 'when the lead first entered rejected in this cycle; NULL: never, or known by backfill only';
COMMENT ON COLUMN lead_funnel.lead_milestones.ended_at IS 'when the cycle ended; NULL: it has not, or known by backfill only';
COMMENT ON COLUMN lead_funnel.lead_milestones.end_stage IS 'stage that ended the cycle: won, recycled, rejected, disqualified or lost; NULL: open, or the lead left the funnel';
COMMENT ON COLUMN lead_funnel.lead_milestones.furthest_stage IS 'furthest stage of this cycle on the path from lead to won; NULL: none';
COMMENT ON COLUMN lead_funnel.lead_milestones.furthest_stage_rank IS 'order of furthest_stage: lead 1 to won 6';

-- Nobody but the owner of these views has a right on them, whatever the
-- default privileges of the database are; attach() and grant_reader() grant.
REVOKE ALL ON
    lead_funnel._readable,
    lead_funnel._stage,
    lead_funnel._lead_row,
    lead_funnel._counted_row,
    lead_funnel._marker,
    lead_funnel._lead_state,
    lead_funnel._journal_flow,
    lead_funnel._flow_part,
    lead_funnel._flow,
    lead_funnel.funnels,
    lead_funnel.funnel_rules,
    lead_funnel.funnel_health,
    lead_funnel.rule_violations,
    lead_funnel.funnel_stages,
    lead_funnel.funnel_daily,
    lead_funnel.funnel_flow,
    lead_funnel.funnel_history,
    lead_funnel.lead_visits,
    lead_funnel.lead_milestones
    FROM PUBLIC;
