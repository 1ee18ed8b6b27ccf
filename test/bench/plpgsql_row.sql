-- plpgsql_row.sql: the same funnel in PL/pgSQL, with row-level triggers, a log and upserted counters, as one would write it
-- with care: rules in a table, the log's last row by index, no work for other columns, counters changed in one order.
CREATE FUNCTION track_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last log%ROWTYPE;
BEGIN
    IF NOT EXISTS (SELECT FROM rule AS r WHERE r.from_stage IS NULL AND r.to_stage = NEW.stage) THEN
        RAISE EXCEPTION 'lead % cannot enter as "%"', NEW.id, NEW.stage USING ERRCODE = 'check_violation';
    END IF;
    -- deleted, and inserted again
    SELECT * INTO last FROM log AS l WHERE l.lead_id = NEW.id ORDER BY l.move DESC LIMIT 1;
    INSERT INTO log (lead_id, move, cycle, cycle_ended, from_stage, to_stage, effective_at, recorded_at, actor, source, value)
    VALUES (NEW.id, COALESCE(last.move, 0) + 1, COALESCE(last.cycle, 0) + 1, false, NULL, NEW.stage, now(), now(),
            CURRENT_USER, NEW.source, NEW.value);
    INSERT INTO stock AS s VALUES (NEW.stage, COALESCE(NEW.source, '(none)'), 1, COALESCE(NEW.value, 0))
    ON CONFLICT (stage, source) DO UPDATE SET leads = s.leads + EXCLUDED.leads, value = s.value + EXCLUDED.value;
    INSERT INTO flow AS f (day, stage, source, entries, value_in)
    VALUES (CURRENT_DATE, NEW.stage, COALESCE(NEW.source, '(none)'), 1, COALESCE(NEW.value, 0))
    ON CONFLICT (day, stage, source) DO UPDATE SET entries = f.entries + 1, value_in = f.value_in + EXCLUDED.value_in;
    RETURN NULL;
END
$$;

CREATE FUNCTION track_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    needs boolean;
    last log%ROWTYPE;
BEGIN
    SELECT r.requires_reason INTO needs FROM rule AS r WHERE r.from_stage = OLD.stage AND r.to_stage = NEW.stage;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lead % cannot move from "%" to "%"', NEW.id, OLD.stage, NEW.stage USING ERRCODE = 'check_violation';
    END IF;
    IF needs AND COALESCE(current_setting('app.reason', true), '') = '' THEN
        RAISE EXCEPTION 'lead % needs a reason', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    SELECT * INTO last FROM log AS l WHERE l.lead_id = NEW.id ORDER BY l.move DESC LIMIT 1;
    INSERT INTO log (lead_id, move, cycle, cycle_ended, from_stage, to_stage, effective_at, recorded_at, actor, source, value)
    VALUES (NEW.id, last.move + 1, last.cycle + last.cycle_ended::integer,
            NEW.stage IN ('won', 'lost', 'rejected', 'recycled', 'disqualified'), OLD.stage, NEW.stage,
            GREATEST(now(), last.effective_at), now(), CURRENT_USER, NEW.source, NEW.value);
    INSERT INTO stock AS s
    SELECT * FROM (VALUES (OLD.stage, COALESCE(OLD.source, '(none)'), -1, -COALESCE(OLD.value, 0)),
                          (NEW.stage, COALESCE(NEW.source, '(none)'), 1, COALESCE(NEW.value, 0))) AS v ORDER BY 1, 2
    ON CONFLICT (stage, source) DO UPDATE SET leads = s.leads + EXCLUDED.leads, value = s.value + EXCLUDED.value;
    INSERT INTO flow AS f (day, stage, source, entries, exits, value_in, value_out)
    SELECT * FROM (VALUES (CURRENT_DATE, OLD.stage, COALESCE(OLD.source, '(none)'), 0, 1, 0, COALESCE(OLD.value, 0)),
                          (CURRENT_DATE, NEW.stage, COALESCE(NEW.source, '(none)'), 1, 0, COALESCE(NEW.value, 0), 0)) AS v
    ORDER BY 1, 2, 3
    ON CONFLICT (day, stage, source) DO UPDATE
    SET entries = f.entries + EXCLUDED.entries, exits = f.exits + EXCLUDED.exits,
        value_in = f.value_in + EXCLUDED.value_in, value_out = f.value_out + EXCLUDED.value_out;
    RETURN NULL;
END
$$;

-- another source or value without a move
CREATE FUNCTION track_adjustment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.source IS NOT DISTINCT FROM NEW.source THEN
        UPDATE stock AS s SET value = s.value + COALESCE(NEW.value, 0) - COALESCE(OLD.value, 0)
        WHERE s.stage = NEW.stage AND s.source = COALESCE(NEW.source, '(none)');
    ELSE
        INSERT INTO stock AS s
        SELECT * FROM (VALUES (OLD.stage, COALESCE(OLD.source, '(none)'), -1, -COALESCE(OLD.value, 0)),
                              (NEW.stage, COALESCE(NEW.source, '(none)'), 1, COALESCE(NEW.value, 0))) AS v ORDER BY 1, 2
        ON CONFLICT (stage, source) DO UPDATE SET leads = s.leads + EXCLUDED.leads, value = s.value + EXCLUDED.value;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION track_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log (lead_id, move, cycle, cycle_ended, from_stage, to_stage, effective_at, recorded_at, actor, source, value)
    SELECT OLD.id, l.move + 1, l.cycle, true, OLD.stage, NULL, GREATEST(now(), l.effective_at), now(), CURRENT_USER, OLD.source, OLD.value
    FROM log AS l WHERE l.lead_id = OLD.id ORDER BY l.move DESC LIMIT 1;
    UPDATE stock AS s SET leads = s.leads - 1, value = s.value - COALESCE(OLD.value, 0)
    WHERE s.stage = OLD.stage AND s.source = COALESCE(OLD.source, '(none)');
    INSERT INTO flow AS f (day, stage, source, exits, value_out)
    VALUES (CURRENT_DATE, OLD.stage, COALESCE(OLD.source, '(none)'), 1, COALESCE(OLD.value, 0))
    ON CONFLICT (day, stage, source) DO UPDATE SET exits = f.exits + 1, value_out = f.value_out + EXCLUDED.value_out;
    RETURN NULL;
END
$$;

CREATE TRIGGER track_insert AFTER INSERT ON leads FOR EACH ROW EXECUTE FUNCTION track_insert();
CREATE TRIGGER track_move AFTER UPDATE ON leads FOR EACH ROW
    WHEN (OLD.stage IS DISTINCT FROM NEW.stage) EXECUTE FUNCTION track_move();
CREATE TRIGGER track_adjustment AFTER UPDATE OF source, value ON leads FOR EACH ROW
    WHEN (OLD.stage = NEW.stage AND (OLD.source IS DISTINCT FROM NEW.source OR OLD.value IS DISTINCT FROM NEW.value))
    EXECUTE FUNCTION track_adjustment();
CREATE TRIGGER track_delete AFTER DELETE ON leads FOR EACH ROW EXECUTE FUNCTION track_delete();
