--
-- Views of the handshake: hand-overs and what became of them
--
-- The rows of a lead that count are cut behind each row that decides: sales
-- takes the lead, or turns it down, or it goes back to marketing or leaves the
-- funnel. What is left from the row that hands over to the cut is a hand-over;
-- so each one has one fate. find_handover() in src/handshake.c does the same
-- for one lead.
--

-- "opens" has no backfilled rows: what was handed over before tracking began is
-- opening stock. It stays undecided in the eyes of accept() all the same.
--
-- Most rows say nothing about a hand-over and are left out as early as may be,
-- which halves the time: the entry of a lead as lead, which is the first of its
-- rows, and all that neither opens nor decides nor carries a hand-over. So is
-- what decides straight after another row that did, since a part of its own
-- that nothing opens is no hand-over.
CREATE VIEW lead_funnel._handover_row AS
SELECT o.funnel_id, o.funnel, o.timezone, o.lead, o.lead_id, o.move, o.cycle, o.epoch, o.kind, o.origin,
    o.effective_at, o.entered_at, o.handed_over_at, o.from_stage, o.to_stage, o.rules_version, o.actor, o.role_name,
    o.reason, o.note, o.source, o.campaign, o.owner, o.segment, o.currency,
    o.opens AND o.origin <> 'b' AS opens,
    o.verdict,
    pg_catalog.count(o.verdict) OVER (
        PARTITION BY o.lead_id, o.lead, o.funnel_id, o.funnel ORDER BY o.move
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS part
FROM (
    SELECT v.funnel, v.timezone, v.funnel_id, v.lead, v.lead_id, v.move, v.cycle, v.epoch, v.kind, v.origin,
        v.effective_at, v.entered_at, v.handed_over_at, v.from_stage, v.to_stage, v.rules_version, v.actor, v.role_name,
        v.reason, v.note, v.source, v.campaign, v.owner, v.segment, v.currency, v.verdict,
        v.handed_over_at IS NOT NULL AND (
            pg_catalog.lag(v.handed_over_at) OVER w IS NULL
            OR pg_catalog.lag(v.cycle) OVER w <> v.cycle
            -- back from sales to mql
            OR (v.kind = 'm' AND v.to_stage OPERATOR(@extschema@.=) 'mql'
                AND pg_catalog.lag(v.to_stage) OVER w OPERATOR(@extschema@.<>) 'lead'
                AND pg_catalog.lag(v.to_stage) OVER w OPERATOR(@extschema@.<>) 'nurture'
                AND (pg_catalog.lag(v.handed_over_at) OVER w <> v.handed_over_at OR v.handed_over_at = v.effective_at)))
            AS opens,
        pg_catalog.lag(v.verdict) OVER w AS last_verdict
    FROM (
        SELECT r.funnel, r.timezone, j.funnel_id, j.lead, j.lead_id, j.move, j.cycle, j.epoch, j.kind, j.origin,
            j.effective_at, j.entered_at, j.handed_over_at, j.from_stage, j.to_stage, j.rules_version, j.actor,
            j.role_name, j.reason, j.note, j.source, j.campaign, j.owner, j.segment, j.currency,
            CASE
                WHEN j.to_stage OPERATOR(@extschema@.>=) 'sal' AND j.to_stage OPERATOR(@extschema@.<=) 'won' THEN 'accepted'
                WHEN j.to_stage OPERATOR(@extschema@.>=) 'recycled' THEN 'rejected'
                WHEN j.kind = 'm' AND (j.to_stage IS NULL OR j.to_stage OPERATOR(@extschema@.<>) 'mql' AND j.handed_over_at IS NULL)
                THEN CASE j.origin WHEN 'x' THEN 'expired' ELSE 'withdrawn' END
            END AS verdict
        FROM lead_funnel._readable r
        JOIN lead_funnel._counted_row j ON j.funnel_id = r.funnel_id
        WHERE j.kind <> 'k'
            AND (j.move > 1 OR j.handed_over_at IS NOT NULL OR j.to_stage OPERATOR(@extschema@.<>) 'lead')
    ) v
    WINDOW w AS (PARTITION BY v.lead_id, v.lead, v.funnel_id, v.funnel ORDER BY v.move)
) o
WHERE o.opens
    OR o.verdict IS NOT NULL AND o.last_verdict IS NULL
    OR o.verdict IS NULL AND (o.handed_over_at IS NOT NULL OR o.kind = 'c' AND o.origin = 'x');
COMMENT ON VIEW lead_funnel._handover_row IS
    'one row per journal row of a lead that counts and says something about a hand-over: whether it hands over, what it decides, and how many decided before it';

CREATE VIEW lead_funnel.handovers WITH (security_barrier) AS
SELECT h.funnel,
    h.lead,
    h.lead_id,
    h.cycle,
    h.move,
    h.handed_over_at,
    (pg_catalog.date_trunc('month', h.handed_over_at AT TIME ZONE h.timezone))::date AS month,
    COALESCE(h.source, '(none)') AS source,
    COALESCE(h.campaign, '(none)') AS campaign,
    COALESCE(h.owner, '(none)') AS owner,
    COALESCE(h.segment, '(none)') AS segment,
    COALESCE(h.currency, '(none)') AS currency,
    f.fate,
    CASE WHEN f.fate <> 'undecided' THEN COALESCE(h.decided_at, m.effective_at) END AS decided_at,
    CASE WHEN f.fate <> 'undecided' THEN COALESCE(h.decided_by, m.actor, m.role_name) END AS decided_by,
    h.decided_move,
    h.from_stage::pg_catalog.text AS from_stage,
    h.to_stage::pg_catalog.text AS to_stage,
    h.reason,
    h.note,
    h.rules_version,
    d.due_at,
    CASE
        WHEN d.due_at IS NULL OR f.fate = 'withdrawn' THEN NULL
        WHEN f.fate = 'expired' THEN 'missed'
        WHEN f.fate = 'undecided' THEN CASE WHEN d.due_at < pg_catalog.now() THEN 'missed' ELSE 'running' END
        WHEN h.decided_at <= d.due_at THEN 'met'
        ELSE 'missed'
    END AS sla,
    h.escalated_at
FROM (
    SELECT j.funnel_id, j.funnel, j.timezone, j.lead, j.lead_id, j.epoch, j.part,
        pg_catalog.max(j.cycle) FILTER (WHERE j.opens) AS cycle,
        pg_catalog.max(j.move) FILTER (WHERE j.opens) AS move,
        lead_funnel._last_date(j.move, j.handed_over_at) AS handed_over_at,
        pg_catalog.max(j.source) FILTER (WHERE j.opens) AS source,
        pg_catalog.max(j.campaign) FILTER (WHERE j.opens) AS campaign,
        pg_catalog.max(j.owner) FILTER (WHERE j.opens) AS owner,
        pg_catalog.max(j.segment) FILTER (WHERE j.opens) AS segment,
        pg_catalog.max(j.currency) FILTER (WHERE j.opens) AS currency,
        pg_catalog.max(j.verdict) AS verdict,
        pg_catalog.max(CASE j.kind WHEN 'm' THEN j.effective_at ELSE j.entered_at END) FILTER (WHERE j.verdict IS NOT NULL)
            AS decided_at,
        pg_catalog.max(COALESCE(j.actor, j.role_name)) FILTER (WHERE j.verdict IS NOT NULL) AS decided_by,
        pg_catalog.max(j.move) FILTER (WHERE j.verdict IS NOT NULL) AS decided_move,
        @extschema@.max(j.from_stage) FILTER (WHERE j.verdict IS NOT NULL) AS from_stage,
        @extschema@.max(j.to_stage) FILTER (WHERE j.verdict IS NOT NULL) AS to_stage,
        pg_catalog.max(j.reason) FILTER (WHERE j.verdict IS NOT NULL) AS reason,
        pg_catalog.max(j.note) FILTER (WHERE j.verdict IS NOT NULL) AS note,
        pg_catalog.max(j.rules_version) FILTER (WHERE j.verdict IS NOT NULL) AS rules_version,
        pg_catalog.min(j.effective_at) FILTER (WHERE j.kind = 'c' AND j.origin = 'x') AS escalated_at
    FROM lead_funnel._handover_row j
    GROUP BY j.lead_id, j.lead, j.funnel_id, j.funnel, j.timezone, j.epoch, j.part
    HAVING pg_catalog.bool_or(j.opens)
) h
LEFT JOIN lead_funnel._marker m ON m.funnel_id = h.funnel_id AND m.epoch = h.epoch + 1
CROSS JOIN LATERAL (
    SELECT COALESCE(h.verdict, CASE WHEN m.epoch IS NOT NULL THEN 'withdrawn' ELSE 'undecided' END) AS fate
) f
CROSS JOIN LATERAL (SELECT lead_funnel._due_at(h.funnel_id, 'mql', h.handed_over_at) AS due_at) d;
COMMENT ON VIEW lead_funnel.handovers IS
    'one row per hand-over of a lead from marketing to sales, with its fate. Waiting for sales: WHERE fate = ''undecided''; the moves of a lead: funnel_history with this lead';
COMMENT ON COLUMN lead_funnel.handovers.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.handovers.lead IS 'key of the lead as text';
COMMENT ON COLUMN lead_funnel.handovers.lead_id IS 'key of the lead if it is an integer, to join the lead table';
COMMENT ON COLUMN lead_funnel.handovers.cycle IS 'pass of the lead through the funnel, 1, 2, ...';
COMMENT ON COLUMN lead_funnel.handovers.move IS 'number of the journal row of the lead that handed it over';
COMMENT ON COLUMN lead_funnel.handovers.handed_over_at IS 'when the lead was handed over: as the hand-over column last said before the decision, else when it entered mql';
COMMENT ON COLUMN lead_funnel.handovers.month IS 'first day of the month of handed_over_at, in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.handovers.source IS 'source as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.handovers.campaign IS 'campaign as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.handovers.owner IS 'owner as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.handovers.segment IS 'segment as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.handovers.currency IS 'currency of value as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.handovers.fate IS 'accepted, rejected, expired, withdrawn or undecided: the first of them that happened';
COMMENT ON COLUMN lead_funnel.handovers.decided_at IS 'when that happened; NULL while undecided';
COMMENT ON COLUMN lead_funnel.handovers.decided_by IS 'who did it: the actor that the application named, else the database role; NULL while undecided';
COMMENT ON COLUMN lead_funnel.handovers.decided_move IS 'number of the journal row of the lead that did it; NULL while undecided, or if all leads left at once';
COMMENT ON COLUMN lead_funnel.handovers.from_stage IS 'stage that the lead left then';
COMMENT ON COLUMN lead_funnel.handovers.to_stage IS 'stage that it went to; NULL: out of the funnel, or undecided';
COMMENT ON COLUMN lead_funnel.handovers.reason IS 'reason given with the decision';
COMMENT ON COLUMN lead_funnel.handovers.note IS 'note given with the decision';
COMMENT ON COLUMN lead_funnel.handovers.rules_version IS 'version of the rules that the decision was checked against';
COMMENT ON COLUMN lead_funnel.handovers.due_at IS 'until when sales should decide: by the SLA of mql, from the hand-over on; NULL without an SLA';
COMMENT ON COLUMN lead_funnel.handovers.sla IS 'met, missed or, while there is time, running; NULL without an SLA, or if withdrawn';
COMMENT ON COLUMN lead_funnel.handovers.escalated_at IS 'when run_due() found it overdue and escalated it; NULL: it did not';

CREATE VIEW lead_funnel.sal_acceptance WITH (security_barrier) AS
SELECT a.funnel,
    a.month,
    a.source,
    a.campaign,
    a.owner,
    a.segment,
    a.currency,
    a.handed_over,
    a.accepted,
    a.rejected,
    a.expired,
    a.withdrawn,
    a.undecided,
    a.accepted::double precision / a.handed_over AS sal_rate,
    a.accepted::double precision / NULLIF(a.accepted + a.rejected, 0) AS acceptance_rate_decided,
    a.rejected::double precision / a.handed_over AS rejection_rate,
    a.sla_met,
    a.sla_missed,
    ((a.month + interval '1 month') AT TIME ZONE r.timezone <= pg_catalog.now() AND a.waiting = 0) AS is_mature
FROM (
    SELECT h.funnel, h.month, h.source, h.campaign, h.owner, h.segment, h.currency,
        pg_catalog.count(*) AS handed_over,
        pg_catalog.count(*) FILTER (WHERE h.fate = 'accepted') AS accepted,
        pg_catalog.count(*) FILTER (WHERE h.fate = 'rejected') AS rejected,
        pg_catalog.count(*) FILTER (WHERE h.fate = 'expired') AS expired,
        pg_catalog.count(*) FILTER (WHERE h.fate = 'withdrawn') AS withdrawn,
        pg_catalog.count(*) FILTER (WHERE h.fate = 'undecided') AS undecided,
        pg_catalog.count(*) FILTER (WHERE h.fate = 'undecided' AND h.sla IS DISTINCT FROM 'missed') AS waiting,
        pg_catalog.count(*) FILTER (WHERE h.sla = 'met') AS sla_met,
        pg_catalog.count(*) FILTER (WHERE h.sla = 'missed') AS sla_missed
    FROM lead_funnel.handovers h
    GROUP BY h.funnel, h.month, h.source, h.campaign, h.owner, h.segment, h.currency
) a
JOIN lead_funnel._readable r ON r.funnel = a.funnel;
COMMENT ON VIEW lead_funnel.sal_acceptance IS
    'one row per month of hand-over and dimensions. accepted + rejected + expired + withdrawn + undecided = handed_over. Leads behind a number: handovers with this month, these dimensions and fate';
COMMENT ON COLUMN lead_funnel.sal_acceptance.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.sal_acceptance.month IS 'first day of the month in which the leads were handed over, in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.sal_acceptance.source IS 'source as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.sal_acceptance.campaign IS 'campaign as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.sal_acceptance.owner IS 'owner as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.sal_acceptance.segment IS 'segment as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.sal_acceptance.currency IS 'currency of value as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.sal_acceptance.handed_over IS 'hand-overs; a lead may be handed over more than once. Backfilled leads are not counted';
COMMENT ON COLUMN lead_funnel.sal_acceptance.accepted IS 'of these, accepted by sales: moved to sal or past it';
COMMENT ON COLUMN lead_funnel.sal_acceptance.rejected IS 'of these, turned down: moved to rejected, disqualified, recycled or lost, not having been accepted';
COMMENT ON COLUMN lead_funnel.sal_acceptance.expired IS 'of these, moved to nurture by run_due(), nobody having decided in time';
COMMENT ON COLUMN lead_funnel.sal_acceptance.withdrawn IS 'of these, taken back by marketing (moved to nurture or lead) or out of the funnel, while undecided';
COMMENT ON COLUMN lead_funnel.sal_acceptance.undecided IS 'of these, waiting for sales';
COMMENT ON COLUMN lead_funnel.sal_acceptance.sal_rate IS 'accepted / handed_over; falls short while some are undecided';
COMMENT ON COLUMN lead_funnel.sal_acceptance.acceptance_rate_decided IS 'accepted / (accepted + rejected); NULL: none decided';
COMMENT ON COLUMN lead_funnel.sal_acceptance.rejection_rate IS 'rejected / handed_over';
COMMENT ON COLUMN lead_funnel.sal_acceptance.sla_met IS 'of the hand-overs, decided in time; 0 without an SLA';
COMMENT ON COLUMN lead_funnel.sal_acceptance.sla_missed IS 'of the hand-overs, decided late, expired, or undecided and overdue; 0 without an SLA';
COMMENT ON COLUMN lead_funnel.sal_acceptance.is_mature IS 'whether the month is over and nothing is undecided, or all that is undecided is overdue';

CREATE VIEW lead_funnel.rejection_reasons WITH (security_barrier) AS
SELECT h.funnel,
    h.month,
    h.source,
    h.campaign,
    h.owner,
    h.segment,
    h.currency,
    COALESCE(h.reason, '(none)') AS reason,
    h.from_stage,
    h.rules_version,
    pg_catalog.count(*) AS rejections,
    pg_catalog.sum(pg_catalog.count(*)) OVER w::bigint AS rejected,
    pg_catalog.count(*)::double precision / pg_catalog.sum(pg_catalog.count(*)) OVER w::double precision AS share
FROM lead_funnel.handovers h
WHERE h.fate = 'rejected'
GROUP BY h.funnel, h.month, h.source, h.campaign, h.owner, h.segment, h.currency, COALESCE(h.reason, '(none)'), h.from_stage,
    h.rules_version
WINDOW w AS (PARTITION BY h.funnel, h.month, h.source, h.campaign, h.owner, h.segment, h.currency);
COMMENT ON VIEW lead_funnel.rejection_reasons IS
    'one row per month of hand-over, dimensions, reason, stage and version of the rules with rejected hand-overs. Leads behind it: handovers WHERE fate = ''rejected'' with these';
COMMENT ON COLUMN lead_funnel.rejection_reasons.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.rejection_reasons.month IS 'first day of the month in which the leads were handed over, in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.rejection_reasons.source IS 'source as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.rejection_reasons.campaign IS 'campaign as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.rejection_reasons.owner IS 'owner as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.rejection_reasons.segment IS 'segment as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.rejection_reasons.currency IS 'currency of value as of the hand-over; (none) if missing';
COMMENT ON COLUMN lead_funnel.rejection_reasons.reason IS 'reason code, or the free text of an UPDATE as it was given; (none) if missing';
COMMENT ON COLUMN lead_funnel.rejection_reasons.from_stage IS 'stage that the leads left';
COMMENT ON COLUMN lead_funnel.rejection_reasons.rules_version IS 'version of the rules that the rejections were checked against';
COMMENT ON COLUMN lead_funnel.rejection_reasons.rejections IS 'hand-overs rejected for this reason';
COMMENT ON COLUMN lead_funnel.rejection_reasons.rejected IS 'all hand-overs of the month and dimensions that were rejected';
COMMENT ON COLUMN lead_funnel.rejection_reasons.share IS 'rejections / rejected';

CREATE VIEW lead_funnel.reason_codes WITH (security_barrier) AS
SELECT r.funnel,
    c.code,
    c.position,
    c.label,
    c.needs_note
FROM lead_funnel._readable r
CROSS JOIN LATERAL lead_funnel._reason_codes(r.funnel_id) c;
COMMENT ON VIEW lead_funnel.reason_codes IS
    'one row per funnel and reason for which reject() rejects leads. Leads rejected for it: handovers WHERE reason = code';
COMMENT ON COLUMN lead_funnel.reason_codes.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.reason_codes.code IS 'what reject() is given, and what is journalled as the reason';
COMMENT ON COLUMN lead_funnel.reason_codes.position IS 'order in which to show the codes';
COMMENT ON COLUMN lead_funnel.reason_codes.label IS 'what it means, for people';
COMMENT ON COLUMN lead_funnel.reason_codes.needs_note IS 'whether reject() wants a note as well';

REVOKE ALL ON
    lead_funnel._handover_row,
    lead_funnel.handovers,
    lead_funnel.sal_acceptance,
    lead_funnel.rejection_reasons,
    lead_funnel.reason_codes
    FROM PUBLIC;
