--
-- Views of calendars, SLAs and how long leads have been waiting
--
-- As in the views before: each joins _readable and is a security barrier.
-- Calendars are of the whole database, whoever may read a view reads them all.
--

CREATE VIEW lead_funnel.calendars WITH (security_barrier) AS
SELECT c.calendar,
    c.timezone,
    c.owner::pg_catalog.text COLLATE pg_catalog."default" AS owner,
    w.monday, w.tuesday, w.wednesday, w.thursday, w.friday, w.saturday, w.sunday,
    (SELECT pg_catalog.count(*) FROM lead_funnel.holiday h WHERE h.calendar = c.calendar) AS holidays,
    c.note,
    c.created_at
FROM lead_funnel.calendar c
CROSS JOIN LATERAL (
    SELECT pg_catalog.string_agg(s.span, ', ' ORDER BY s.from_time) FILTER (WHERE s.weekday = 1) AS monday,
        pg_catalog.string_agg(s.span, ', ' ORDER BY s.from_time) FILTER (WHERE s.weekday = 2) AS tuesday,
        pg_catalog.string_agg(s.span, ', ' ORDER BY s.from_time) FILTER (WHERE s.weekday = 3) AS wednesday,
        pg_catalog.string_agg(s.span, ', ' ORDER BY s.from_time) FILTER (WHERE s.weekday = 4) AS thursday,
        pg_catalog.string_agg(s.span, ', ' ORDER BY s.from_time) FILTER (WHERE s.weekday = 5) AS friday,
        pg_catalog.string_agg(s.span, ', ' ORDER BY s.from_time) FILTER (WHERE s.weekday = 6) AS saturday,
        pg_catalog.string_agg(s.span, ', ' ORDER BY s.from_time) FILTER (WHERE s.weekday = 7) AS sunday
    FROM (
        SELECT h.weekday, h.from_time,
            pg_catalog.regexp_replace(h.from_time::pg_catalog.text, ':00$', '') || '-'
                || pg_catalog.regexp_replace(h.to_time::pg_catalog.text, ':00$', '') AS span
        FROM lead_funnel.working_hours h
        WHERE h.calendar = c.calendar
    ) s
) w;
COMMENT ON VIEW lead_funnel.calendars IS
    'one row per calendar of the database: the hours in which time counts. Who uses one: sla_targets with this calendar';
COMMENT ON COLUMN lead_funnel.calendars.calendar IS 'name of the calendar';
COMMENT ON COLUMN lead_funnel.calendars.timezone IS 'time zone of its hours and days';
COMMENT ON COLUMN lead_funnel.calendars.owner IS 'role whose members may change it';
COMMENT ON COLUMN lead_funnel.calendars.monday IS 'working hours on Monday, such as 09:00-12:30, 13:00-17:00; NULL: none';
COMMENT ON COLUMN lead_funnel.calendars.tuesday IS 'working hours on Tuesday; NULL: none';
COMMENT ON COLUMN lead_funnel.calendars.wednesday IS 'working hours on Wednesday; NULL: none';
COMMENT ON COLUMN lead_funnel.calendars.thursday IS 'working hours on Thursday; NULL: none';
COMMENT ON COLUMN lead_funnel.calendars.friday IS 'working hours on Friday; NULL: none';
COMMENT ON COLUMN lead_funnel.calendars.saturday IS 'working hours on Saturday; NULL: none';
COMMENT ON COLUMN lead_funnel.calendars.sunday IS 'working hours on Sunday; NULL: none';
COMMENT ON COLUMN lead_funnel.calendars.holidays IS 'number of holidays, past ones, too';
COMMENT ON COLUMN lead_funnel.calendars.note IS 'note on the calendar';
COMMENT ON COLUMN lead_funnel.calendars.created_at IS 'when it was created';

CREATE VIEW lead_funnel.calendar_holidays WITH (security_barrier) AS
SELECT h.calendar, h.day, h.note
FROM lead_funnel.holiday h;
COMMENT ON VIEW lead_funnel.calendar_holidays IS 'one row per holiday of a calendar';
COMMENT ON COLUMN lead_funnel.calendar_holidays.calendar IS 'name of the calendar';
COMMENT ON COLUMN lead_funnel.calendar_holidays.day IS 'day on which no time counts';
COMMENT ON COLUMN lead_funnel.calendar_holidays.note IS 'note on the day';

CREATE VIEW lead_funnel.sla_targets WITH (security_barrier) AS
SELECT r.funnel,
    s.stage::pg_catalog.text AS stage,
    @extschema@.stage_rank(s.stage) AS stage_rank,
    EXTRACT(epoch FROM s.target)::double precision AS target_seconds,
    s.business_days,
    s.calendar,
    s.valid_from,
    s.valid_to,
    s.changed_by::pg_catalog.text COLLATE pg_catalog."default" AS changed_by
FROM lead_funnel._readable r
JOIN (
    SELECT x.funnel_id, x.stage, x.target, x.business_days, x.calendar, x.valid_from, x.changed_by,
        pg_catalog.lead(x.valid_from) OVER (PARTITION BY x.funnel_id, x.stage ORDER BY x.valid_from) AS valid_to
    FROM lead_funnel.sla x
) s ON s.funnel_id = r.funnel_id
WHERE s.calendar IS NOT NULL;
COMMENT ON VIEW lead_funnel.sla_targets IS
    'one row per stage and time in which leads may stay in it only so long; the present one has valid_to NULL';
COMMENT ON COLUMN lead_funnel.sla_targets.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.sla_targets.stage IS 'stage';
COMMENT ON COLUMN lead_funnel.sla_targets.stage_rank IS 'order of the stages: lead 1 to lost 11';
COMMENT ON COLUMN lead_funnel.sla_targets.target_seconds IS 'working time that a lead may stay, in seconds; NULL: business_days count';
COMMENT ON COLUMN lead_funnel.sla_targets.business_days IS 'working days that a lead may stay; NULL: target_seconds count';
COMMENT ON COLUMN lead_funnel.sla_targets.calendar IS 'calendar by which time counts';
COMMENT ON COLUMN lead_funnel.sla_targets.valid_from IS 'clocks that start from then on run by it';
COMMENT ON COLUMN lead_funnel.sla_targets.valid_to IS 'clocks that start from then on run by another one, or none; NULL: in force';
COMMENT ON COLUMN lead_funnel.sla_targets.changed_by IS 'role that set it';

-- A journal row carries the state after it, so the last row of a stay says what
-- was known at its end: the hand-over, which may come after the entry, and
-- whose lead it was. A lead that comes back to mql brings the old hand-over
-- along: that one has been used up by the stay before.
CREATE VIEW lead_funnel._stay AS
SELECT v.funnel, v.funnel_id, v.lead, v.lead_id, v.cycle, v.stage, v.owner, v.entered_at,
    CASE WHEN v.stage OPERATOR(@extschema@.<>) 'mql' THEN v.entered_at
         WHEN v.handed_over_at <> v.used_handover OR v.used_handover IS NULL AND v.handed_over_at IS NOT NULL THEN v.handed_over_at
         WHEN v.handover_column IS NULL THEN v.entered_at END AS started_at,
    CASE WHEN v.next_epoch = v.epoch THEN v.next_at
         WHEN m.effective_at < v.entered_at THEN v.entered_at ELSE m.effective_at END AS exited_at,
    CASE WHEN v.next_epoch = v.epoch THEN v.next_stage END AS exit_to,
    CASE WHEN v.next_epoch = v.epoch THEN v.next_origin END AS exit_origin
FROM (
    SELECT r.funnel, r.handover_column, j.funnel_id, j.lead, j.lead_id, j.cycle, j.epoch, j.to_stage AS stage,
        j.entered_at, j.handed_over_at, j.owner,
        pg_catalog.max(j.handed_over_at) FILTER (WHERE j.kind = 'm' AND j.from_stage OPERATOR(@extschema@.=) 'mql') OVER w
            AS used_handover,
        pg_catalog.lead(j.kind) OVER w AS next_kind,
        pg_catalog.lead(j.epoch) OVER w AS next_epoch,
        pg_catalog.lead(j.effective_at) OVER w AS next_at,
        pg_catalog.lead(j.to_stage) OVER w AS next_stage,
        pg_catalog.lead(j.origin) OVER w AS next_origin
    FROM lead_funnel._readable r
    JOIN lead_funnel._counted_row j ON j.funnel_id = r.funnel_id
    WINDOW w AS (PARTITION BY j.lead_id, j.lead, j.funnel_id, r.funnel ORDER BY j.move)
) v
LEFT JOIN lead_funnel._marker m ON m.funnel_id = v.funnel_id AND m.epoch = v.epoch + 1
WHERE v.stage IS NOT NULL
    AND (v.next_kind = 'm' OR v.next_kind IS NULL OR v.next_epoch <> v.epoch);
COMMENT ON VIEW lead_funnel._stay IS
    'one row per stay of a lead in a stage, with what was known at its end, and since when its clock runs: in mql since the hand-over';

-- OFFSET 0 keeps the due date from being computed once per use.
CREATE VIEW lead_funnel.sla_status WITH (security_barrier) AS
SELECT v.funnel,
    v.lead,
    v.lead_id,
    v.stage::pg_catalog.text AS stage,
    @extschema@.stage_rank(v.stage) AS stage_rank,
    COALESCE(v.owner, '(none)') AS owner,
    v.started_at,
    d.due_at,
    CASE WHEN NOT e.withdrawn THEN v.exited_at END AS decided_at,
    CASE WHEN v.exited_at IS NULL THEN CASE WHEN d.due_at < pg_catalog.now() THEN 'overdue' ELSE 'open' END
         WHEN v.exited_at > d.due_at OR e.expired THEN 'missed'
         WHEN e.withdrawn THEN 'withdrawn'
         ELSE 'met' END AS state
FROM lead_funnel._stay v
CROSS JOIN LATERAL (SELECT lead_funnel._due_at(v.funnel_id, v.stage, v.started_at) AS due_at OFFSET 0) d
CROSS JOIN LATERAL (
    SELECT v.exit_to IS NULL
            OR v.stage OPERATOR(@extschema@.=) 'mql'
                AND (v.exit_to OPERATOR(@extschema@.=) 'nurture' OR v.exit_to OPERATOR(@extschema@.=) 'lead') AS withdrawn,
        COALESCE(lead_funnel._origin(v.exit_origin) = 'expiry', false) AS expired
) e
WHERE d.due_at IS NOT NULL;
COMMENT ON VIEW lead_funnel.sla_status IS
    'one row per stay of a lead in a stage with an SLA, once its clock runs: in mql from the hand-over on. Leads to look after now: WHERE state = ''overdue''';
COMMENT ON COLUMN lead_funnel.sla_status.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.sla_status.lead IS 'key of the lead as text';
COMMENT ON COLUMN lead_funnel.sla_status.lead_id IS 'key of the lead if it is an integer, to join the lead table';
COMMENT ON COLUMN lead_funnel.sla_status.stage IS 'stage';
COMMENT ON COLUMN lead_funnel.sla_status.stage_rank IS 'order of the stages: lead 1 to lost 11';
COMMENT ON COLUMN lead_funnel.sla_status.owner IS 'owner now or, once the lead has left the stage, at its end; (none) if missing';
COMMENT ON COLUMN lead_funnel.sla_status.started_at IS 'when the clock started: in mql with the hand-over, else with the entry';
COMMENT ON COLUMN lead_funnel.sla_status.due_at IS 'when the lead is, or was, to have left the stage; infinity: the calendar leaves no time';
COMMENT ON COLUMN lead_funnel.sla_status.decided_at IS 'when it left the stage; NULL: not yet, or it was withdrawn';
COMMENT ON COLUMN lead_funnel.sla_status.state IS 'open: waits, not yet due; overdue: waits, past due; met: left in time; missed: left too late, or expired; withdrawn: left the funnel in time, or mql for nurture or lead, so that nobody decided';

CREATE VIEW lead_funnel.stage_ageing WITH (security_barrier) AS
SELECT v.funnel,
    v.lead,
    v.lead_id,
    v.stage::pg_catalog.text AS stage,
    @extschema@.stage_rank(v.stage) AS stage_rank,
    v.entered_at,
    a.seconds AS age_seconds,
    CASE WHEN a.seconds < 2 * 86400 THEN '0-1'
         WHEN a.seconds < 4 * 86400 THEN '2-3'
         WHEN a.seconds < 8 * 86400 THEN '4-7'
         WHEN a.seconds < 15 * 86400 THEN '8-14'
         WHEN a.seconds < 31 * 86400 THEN '15-30'
         ELSE '>30' END AS age_band,
    d.due_at,
    COALESCE(d.due_at < pg_catalog.now(), false) AS is_overdue
FROM lead_funnel._stay v
CROSS JOIN LATERAL (SELECT EXTRACT(epoch FROM pg_catalog.now() - v.entered_at)::double precision AS seconds) a
CROSS JOIN LATERAL (SELECT lead_funnel._due_at(v.funnel_id, v.stage, v.started_at) AS due_at OFFSET 0) d
WHERE v.exited_at IS NULL
    AND v.stage OPERATOR(@extschema@.<=) 'opportunity';
COMMENT ON VIEW lead_funnel.stage_ageing IS
    'one row per lead that is in an open stage now, lead to opportunity: how long it has been there. Leads of a band: WHERE stage = ... AND age_band = ...';
COMMENT ON COLUMN lead_funnel.stage_ageing.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.stage_ageing.lead IS 'key of the lead as text';
COMMENT ON COLUMN lead_funnel.stage_ageing.lead_id IS 'key of the lead if it is an integer, to join the lead table';
COMMENT ON COLUMN lead_funnel.stage_ageing.stage IS 'stage';
COMMENT ON COLUMN lead_funnel.stage_ageing.stage_rank IS 'order of the stages: lead 1 to lost 11';
COMMENT ON COLUMN lead_funnel.stage_ageing.entered_at IS 'when the lead entered the stage';
COMMENT ON COLUMN lead_funnel.stage_ageing.age_seconds IS 'seconds since then, days off included';
COMMENT ON COLUMN lead_funnel.stage_ageing.age_band IS 'full days of 24 hours since then: 0-1, 2-3, 4-7, 8-14, 15-30 or >30';
COMMENT ON COLUMN lead_funnel.stage_ageing.due_at IS 'when the lead is to have left the stage; NULL: there is no SLA, or its clock does not run yet';
COMMENT ON COLUMN lead_funnel.stage_ageing.is_overdue IS 'whether that has passed; false if there is none';

REVOKE ALL ON
    lead_funnel._stay,
    lead_funnel.calendars,
    lead_funnel.calendar_holidays,
    lead_funnel.sla_targets,
    lead_funnel.sla_status,
    lead_funnel.stage_ageing
    FROM PUBLIC;
