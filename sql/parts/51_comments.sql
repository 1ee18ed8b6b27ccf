--
-- Comments on the public views: what a row is, what lists the leads behind
-- a number, and each column
--

COMMENT ON VIEW lead_funnel.funnels IS
    'one row per funnel that the current user may read; the leads in the funnel: SELECT DISTINCT lead FROM lead_funnel.lead_visits WHERE funnel = ... AND exited_at IS NULL';
COMMENT ON COLUMN lead_funnel.funnels.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnels.relation IS
    'lead table, schema-qualified and quoted; NULL if the funnel is detached';
COMMENT ON COLUMN lead_funnel.funnels.stage_column IS
    'column of the lead table that holds the stage or status';
COMMENT ON COLUMN lead_funnel.funnels.key_column IS
    'column of the lead table that identifies a lead';
COMMENT ON COLUMN lead_funnel.funnels.mode IS
    'enforce: a move against the rules fails; observe: it is recorded as a violation';
COMMENT ON COLUMN lead_funnel.funnels.preset IS
    'rules that the funnel began with: classic, without_sal or open';
COMMENT ON COLUMN lead_funnel.funnels.timezone IS
    'time zone in which all days of the funnel begin and end';
COMMENT ON COLUMN lead_funnel.funnels.rules_version IS
    'number of the present version of the rules';
COMMENT ON COLUMN lead_funnel.funnels.attached_at IS
    'time when the table was attached';

COMMENT ON VIEW lead_funnel.funnel_rules IS
    'one row per allowed move and version of the rules; the present version has valid_to NULL; the leads that moved under a rule: SELECT lead FROM lead_funnel.funnel_history WHERE funnel = ... AND rules_version = ... AND from_stage = ... AND to_stage = ...';
COMMENT ON COLUMN lead_funnel.funnel_rules.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_rules.version IS
    'number of the version of the rules, from 1';
COMMENT ON COLUMN lead_funnel.funnel_rules.from_stage IS
    'stage that the move leaves; NULL: entry to the funnel';
COMMENT ON COLUMN lead_funnel.funnel_rules.to_stage IS
    'stage that the move leads to';
COMMENT ON COLUMN lead_funnel.funnel_rules.requires IS
    'qualification that the move requires; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_rules.min_score IS
    'least score that the move requires, in points; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_rules.requires_reason IS
    'whether the move requires a reason';
COMMENT ON COLUMN lead_funnel.funnel_rules.allowed_role IS
    'role whose members may make the move; NULL: everybody';
COMMENT ON COLUMN lead_funnel.funnel_rules.automatic IS
    'whether the move is made by the extension once its requirements are met';
COMMENT ON COLUMN lead_funnel.funnel_rules.check_at IS
    'when the rule is checked: statement or commit';
COMMENT ON COLUMN lead_funnel.funnel_rules.valid_from IS
    'start of the transaction that made the version';
COMMENT ON COLUMN lead_funnel.funnel_rules.valid_to IS
    'time when the next version replaced it; NULL: still valid';
COMMENT ON COLUMN lead_funnel.funnel_rules.changed_by IS
    'role that made the version';
COMMENT ON COLUMN lead_funnel.funnel_rules.note IS
    'note on the rule, else on the version; NULL: none';

COMMENT ON VIEW lead_funnel.funnel_health IS
    'one row per funnel: whether it is kept, and how much waits to be folded';
COMMENT ON COLUMN lead_funnel.funnel_health.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_health.triggers_ok IS
    'whether all triggers of the extension are there and enabled, on every partition; false if the funnel is suspended, NULL if detached';
COMMENT ON COLUMN lead_funnel.funnel_health.pending_deltas IS
    'changes of the statistics that no fold has taken in yet, in rows: each reader sums them';
COMMENT ON COLUMN lead_funnel.funnel_health.last_fold_at IS
    'time of the last fold; NULL: none yet';
COMMENT ON COLUMN lead_funnel.funnel_health.journal_bytes IS
    'size of the journal of all funnels together, with indexes, in bytes';
COMMENT ON COLUMN lead_funnel.funnel_health.tracked_since IS
    'time when the table was attached: no statistics are older';

COMMENT ON VIEW lead_funnel.rule_violations IS
    'one row per from stage, to stage and constraint that a recorded move broke (mode observe); the leads behind moves: SELECT lead, effective_at FROM lead_funnel.funnel_history WHERE funnel = ... AND origin = ''violation'' AND from_stage = ... AND to_stage = ...';
COMMENT ON COLUMN lead_funnel.rule_violations.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.rule_violations.from_stage IS
    'stage that the moves left; NULL: entry to the funnel';
COMMENT ON COLUMN lead_funnel.rule_violations.to_stage IS
    'stage that the moves led to; NULL: exit from the funnel';
COMMENT ON COLUMN lead_funnel.rule_violations.constraint_name IS
    'name of the constraint that mode enforce would have reported';
COMMENT ON COLUMN lead_funnel.rule_violations.moves IS
    'number of such moves, of all time';
COMMENT ON COLUMN lead_funnel.rule_violations.first_at IS
    'effective time of the first such move';
COMMENT ON COLUMN lead_funnel.rule_violations.last_at IS
    'effective time of the last such move';
COMMENT ON COLUMN lead_funnel.rule_violations.last_lead IS
    'key of the lead of the last such move, as text';
COMMENT ON COLUMN lead_funnel.rule_violations.last_actor IS
    'who made the last such move: value of the actor column, else the role';

COMMENT ON VIEW lead_funnel.funnel_stages IS
    'one row per stage and dimensions: the leads that are there now; no row where none are; the leads behind leads (by dimensions: filter the lead table, since a visit has the dimensions as of its entry): SELECT lead FROM lead_funnel.lead_visits WHERE funnel = ... AND stage = ... AND exited_at IS NULL';
COMMENT ON COLUMN lead_funnel.funnel_stages.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_stages.stage IS
    'stage';
COMMENT ON COLUMN lead_funnel.funnel_stages.stage_rank IS
    'place of the stage in the usual order, 1 to 11: to sort by';
COMMENT ON COLUMN lead_funnel.funnel_stages.source IS
    'value of the source column of the lead table as it is now; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_stages.campaign IS
    'value of the campaign column of the lead table as it is now; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_stages.owner IS
    'value of the owner column of the lead table as it is now; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_stages.segment IS
    'value of the segment column of the lead table as it is now; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_stages.currency IS
    'value of the currency column of the lead table as it is now; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_stages.leads IS
    'number of leads in the stage now';
COMMENT ON COLUMN lead_funnel.funnel_stages.value IS
    'sum of the value column over these leads, in the unit of that column and of the currency of the row; leads without a value count 0';

COMMENT ON VIEW lead_funnel.funnel_daily IS
    'one row per day and stage, all 11 stages, no day missing, from the first day of the funnel to today; the leads behind entries; origin = ''backfill'' those behind opening, from_stage = ... without a condition on to_stage and origin those behind exits, save those of a TRUNCATE, which lead_visits lists by exited_day: SELECT lead FROM lead_funnel.funnel_history WHERE funnel = ... AND to_stage = ... AND effective_day = ... AND origin <> ''backfill''';
COMMENT ON COLUMN lead_funnel.funnel_daily.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_daily.day IS
    'calendar day in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_daily.stage IS
    'stage';
COMMENT ON COLUMN lead_funnel.funnel_daily.stage_rank IS
    'place of the stage in the usual order, 1 to 11: to sort by';
COMMENT ON COLUMN lead_funnel.funnel_daily.opening IS
    'leads that were in the stage when the table was attached, on the day of attaching: no entries';
COMMENT ON COLUMN lead_funnel.funnel_daily.entries IS
    'moves into the stage on the day';
COMMENT ON COLUMN lead_funnel.funnel_daily.exits IS
    'moves out of the stage on the day, leads that left the funnel among them';
COMMENT ON COLUMN lead_funnel.funnel_daily.stock IS
    'leads in the stage at the end of the day: sum of opening + entries - exits + adjustments of all days up to it';
COMMENT ON COLUMN lead_funnel.funnel_daily.value_stock IS
    'value of the leads in the stage at the end of the day, all currencies added: sum of value_in - value_out + value_adjustments of all days up to it';

COMMENT ON VIEW lead_funnel.funnel_flow IS
    'one row per day, stage and dimensions with a change; the leads behind entries; origin = ''backfill'' those behind opening, from_stage = ... those behind exits (their row has the dimensions after the move): SELECT lead FROM lead_funnel.funnel_history WHERE funnel = ... AND to_stage = ... AND effective_day = ... AND source = ... AND origin <> ''backfill''';
COMMENT ON COLUMN lead_funnel.funnel_flow.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_flow.day IS
    'calendar day in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_flow.stage IS
    'stage';
COMMENT ON COLUMN lead_funnel.funnel_flow.stage_rank IS
    'place of the stage in the usual order, 1 to 11: to sort by';
COMMENT ON COLUMN lead_funnel.funnel_flow.source IS
    'value of the source column of the lead table as of the change: before it for exits, after it for entries; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_flow.campaign IS
    'value of the campaign column of the lead table as of the change: before it for exits, after it for entries; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_flow.owner IS
    'value of the owner column of the lead table as of the change: before it for exits, after it for entries; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_flow.segment IS
    'value of the segment column of the lead table as of the change: before it for exits, after it for entries; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_flow.currency IS
    'value of the currency column of the lead table as of the change: before it for exits, after it for entries; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_flow.opening IS
    'leads that were in the stage when the table was attached: no entries';
COMMENT ON COLUMN lead_funnel.funnel_flow.entries IS
    'moves into the stage on the day';
COMMENT ON COLUMN lead_funnel.funnel_flow.exits IS
    'moves out of the stage on the day, leads that left the funnel among them';
COMMENT ON COLUMN lead_funnel.funnel_flow.adjustments IS
    'leads that came to these dimensions less those that went from them without a move: net, may be negative';
COMMENT ON COLUMN lead_funnel.funnel_flow.value_in IS
    'value of the leads that entered, as of their entry';
COMMENT ON COLUMN lead_funnel.funnel_flow.value_out IS
    'value of the leads that left, as it was before';
COMMENT ON COLUMN lead_funnel.funnel_flow.value_adjustments IS
    'value of the opening leads, and net change of value without a move: may be negative';

COMMENT ON VIEW lead_funnel.funnel_history IS
    'one row per move, entry and exit of a lead, and one, without a lead, per TRUNCATE or detach, when all leads left; the leads that entered a stage on a day: SELECT lead FROM lead_funnel.funnel_history WHERE funnel = ... AND to_stage = ... AND effective_day = ...';
COMMENT ON COLUMN lead_funnel.funnel_history.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_history.lead IS
    'key of the lead, as text; NULL: all leads left at once';
COMMENT ON COLUMN lead_funnel.funnel_history.lead_id IS
    'key of the lead, as a number; NULL if the key column is no integer, or all leads left at once';
COMMENT ON COLUMN lead_funnel.funnel_history.cycle IS
    'number of the attempt with the lead, from 1';
COMMENT ON COLUMN lead_funnel.funnel_history.move IS
    'number of the row in the journal of the lead, from 1: its order; changes without a move take numbers too';
COMMENT ON COLUMN lead_funnel.funnel_history.from_stage IS
    'stage that the lead left; NULL: it was not in the funnel';
COMMENT ON COLUMN lead_funnel.funnel_history.to_stage IS
    'stage that the lead entered; NULL: it left the funnel';
COMMENT ON COLUMN lead_funnel.funnel_history.from_status IS
    'value of the stage column before; NULL: entry, or no status';
COMMENT ON COLUMN lead_funnel.funnel_history.to_status IS
    'value of the stage column after; NULL: exit, or no status';
COMMENT ON COLUMN lead_funnel.funnel_history.effective_at IS
    'time when the move took effect: statistics count it then';
COMMENT ON COLUMN lead_funnel.funnel_history.effective_day IS
    'day of effective_at in the time zone of the funnel';
COMMENT ON COLUMN lead_funnel.funnel_history.recorded_at IS
    'time when the move was written';
COMMENT ON COLUMN lead_funnel.funnel_history.actor IS
    'who made the move: value of the actor column, else the role';
COMMENT ON COLUMN lead_funnel.funnel_history.role_name IS
    'database role that made the move';
COMMENT ON COLUMN lead_funnel.funnel_history.reason IS
    'reason given for the move; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_history.note IS
    'note given with the move; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_history.origin IS
    'how the move came about: write, backfill, override, violation, automatic, expiry, undo, import, merge, erase, exclude, delete, truncate, reconcile or replicated';
COMMENT ON COLUMN lead_funnel.funnel_history.rules_version IS
    'version of the rules that held for the move; NULL: none';
COMMENT ON COLUMN lead_funnel.funnel_history.source IS
    'value of the source column of the lead table after the move, or before an exit from the funnel; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_history.campaign IS
    'value of the campaign column of the lead table after the move, or before an exit from the funnel; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_history.owner IS
    'value of the owner column of the lead table after the move, or before an exit from the funnel; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_history.segment IS
    'value of the segment column of the lead table after the move, or before an exit from the funnel; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_history.currency IS
    'value of the currency column of the lead table after the move, or before an exit from the funnel; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.funnel_history.value IS
    'value of the lead after the move, or before an exit from the funnel; NULL: none';

COMMENT ON VIEW lead_funnel.lead_visits IS
    'one row per stay of a lead in a stage; the leads that are in a stage now: SELECT lead FROM lead_funnel.lead_visits WHERE funnel = ... AND stage = ... AND exited_at IS NULL';
COMMENT ON COLUMN lead_funnel.lead_visits.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.lead_visits.lead IS
    'key of the lead, as text';
COMMENT ON COLUMN lead_funnel.lead_visits.lead_id IS
    'key of the lead, as a number; NULL if the key column is no integer';
COMMENT ON COLUMN lead_funnel.lead_visits.cycle IS
    'number of the attempt with the lead, from 1';
COMMENT ON COLUMN lead_funnel.lead_visits.stage IS
    'stage';
COMMENT ON COLUMN lead_funnel.lead_visits.stage_rank IS
    'place of the stage in the usual order, 1 to 11: to sort by';
COMMENT ON COLUMN lead_funnel.lead_visits.entered_at IS
    'time when the lead entered the stage; NULL: unknown, it was there before the table was attached';
COMMENT ON COLUMN lead_funnel.lead_visits.entered_day IS
    'day of entered_at in the time zone of the funnel; NULL as entered_at';
COMMENT ON COLUMN lead_funnel.lead_visits.exited_at IS
    'time when the lead left the stage; NULL: it is still there';
COMMENT ON COLUMN lead_funnel.lead_visits.exited_day IS
    'day of exited_at in the time zone of the funnel; NULL: it is still there';
COMMENT ON COLUMN lead_funnel.lead_visits.exit_to IS
    'stage that followed; NULL: the lead is still there, or left the funnel';
COMMENT ON COLUMN lead_funnel.lead_visits.seconds IS
    'length of the stay, exited_at - entered_at, in seconds; NULL: not over, or entered_at unknown';
COMMENT ON COLUMN lead_funnel.lead_visits.source IS
    'value of the source column of the lead table when the lead entered the stage; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.lead_visits.campaign IS
    'value of the campaign column of the lead table when the lead entered the stage; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.lead_visits.owner IS
    'value of the owner column of the lead table when the lead entered the stage; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.lead_visits.segment IS
    'value of the segment column of the lead table when the lead entered the stage; (none) if missing or blank';
COMMENT ON COLUMN lead_funnel.lead_visits.currency IS
    'value of the currency column of the lead table when the lead entered the stage; (none) if missing or blank';

COMMENT ON VIEW lead_funnel.lead_milestones IS
    'one row per lead and cycle: when it reached what for the first time; the leads that reached a stage in a period: SELECT lead FROM lead_funnel.lead_milestones WHERE funnel = ... AND sal_at >= ... AND sal_at < ...';
COMMENT ON COLUMN lead_funnel.lead_milestones.funnel IS
    'name of the funnel';
COMMENT ON COLUMN lead_funnel.lead_milestones.lead IS
    'key of the lead, as text';
COMMENT ON COLUMN lead_funnel.lead_milestones.lead_id IS
    'key of the lead, as a number; NULL if the key column is no integer';
COMMENT ON COLUMN lead_funnel.lead_milestones.cycle IS
    'number of the attempt with the lead, from 1';
COMMENT ON COLUMN lead_funnel.lead_milestones.started_at IS
    'time when the cycle began; NULL: before the table was attached';
COMMENT ON COLUMN lead_funnel.lead_milestones.mql_at IS
    'first time in the cycle that the lead entered mql; NULL: it did not, or had before the table was attached';
COMMENT ON COLUMN lead_funnel.lead_milestones.handed_over_at IS
    'time when the lead was handed over to sales in the cycle; NULL: it was not, or the time is unknown';
COMMENT ON COLUMN lead_funnel.lead_milestones.sal_at IS
    'first time in the cycle that the lead entered sal; NULL: it did not, or had before the table was attached';
COMMENT ON COLUMN lead_funnel.lead_milestones.sql_at IS
    'first time in the cycle that the lead entered sql; NULL: it did not, or had before the table was attached';
COMMENT ON COLUMN lead_funnel.lead_milestones.opportunity_at IS
    'first time in the cycle that the lead entered opportunity; NULL: it did not, or had before the table was attached';
COMMENT ON COLUMN lead_funnel.lead_milestones.won_at IS
    'first time in the cycle that the lead entered won; NULL: it did not, or had before the table was attached';
COMMENT ON COLUMN lead_funnel.lead_milestones.rejected_at IS
    'first time in the cycle that the lead entered rejected; NULL: it did not, or had before the table was attached';
COMMENT ON COLUMN lead_funnel.lead_milestones.ended_at IS
    'time when the cycle ended: with an end stage, or the lead left the funnel; NULL: still going on, or ended before the table was attached';
COMMENT ON COLUMN lead_funnel.lead_milestones.end_stage IS
    'stage in which the cycle ended; NULL: still going on, or the lead left the funnel';
COMMENT ON COLUMN lead_funnel.lead_milestones.furthest_stage IS
    'furthest stage from lead to won that the lead reached in the cycle; NULL: none of them';
COMMENT ON COLUMN lead_funnel.lead_milestones.furthest_stage_rank IS
    'place of furthest_stage in the usual order; NULL as furthest_stage';
