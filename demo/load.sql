-- A year of leads, from July 2025 to June 2026, through the attached table: each UPDATE below is judged and journalled like
-- any other. What happens to a lead is drawn from a table of odds; md5 instead of random() gives everybody the same leads.

CREATE SCHEMA demo;

CREATE FUNCTION demo.draw(lead integer, what text) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT ('x' || substr(md5(what || lead::text), 1, 8))::bit(32)::bigint / 4294967296.0 $$;

-- a clock that is behind July 2026 gets the same leads, dated earlier: a funnel takes no dates to come
CREATE TABLE demo.year AS
    SELECT d.last_day - 365 AS first_day, d.last_day
    FROM (SELECT least(date '2026-07-01', current_date) AS last_day) AS d;

-- quality: a lead of a good source goes further
CREATE TABLE demo.source (source text, campaigns text[], up_to float8, quality float8);
INSERT INTO demo.source VALUES
    ('website',     '{newsletter,price list}',        0.34, 1.00),
    ('paid search', '{brand,competitors}',            0.52, 0.75),
    ('webinar',     '{autumn series,spring series}',  0.68, 1.10),
    ('partner',     '{resellers,integrators}',        0.81, 1.30),
    ('trade fair',  '{Hannover,Nuremberg}',           0.92, 0.85),
    ('referral',    '{customers}',                    1.00, 1.60);

-- from a stage: where the lead goes next with which odds, and after how many days; the rest stays
CREATE TABLE demo.odds (from_stage lead_stage, to_stage lead_stage, odds float8, at_least float8, on_average float8);
INSERT INTO demo.odds VALUES
    ('lead', 'mql', 0.38, 0.1, 6),          ('lead', 'nurture', 0.12, 2, 20),     ('lead', 'disqualified', 0.14, 0.5, 8),
    ('nurture', 'mql', 0.22, 10, 45),
    ('mql', 'sal', 0.60, 0.05, 1.5),        ('mql', 'rejected', 0.25, 0.1, 2.5),  ('mql', 'nurture', 0.05, 2, 6),
    ('rejected', 'nurture', 0.40, 0.5, 6),  ('rejected', 'mql', 0.08, 1, 9),      ('rejected', 'disqualified', 0.20, 0.5, 4),
    ('sal', 'sql', 0.55, 0.5, 6),           ('sal', 'recycled', 0.28, 5, 15),     ('sal', 'disqualified', 0.08, 1, 6),
    ('sql', 'opportunity', 0.70, 0.5, 5),   ('sql', 'recycled', 0.17, 4, 15),     ('sql', 'disqualified', 0.04, 2, 8),
    ('opportunity', 'won', 0.25, 10, 30),   ('opportunity', 'lost', 0.48, 7, 30), ('opportunity', 'recycled', 0.06, 10, 40),
    ('lost', 'recycled', 0.12, 30, 60),
    ('recycled', 'nurture', 0.35, 1, 10),   ('recycled', 'mql', 0.20, 14, 50);

CREATE VIEW demo.path AS
    SELECT o.*, sum(o.odds) OVER (PARTITION BY o.from_stage ORDER BY o.odds DESC, o.to_stage) AS up_to
    FROM demo.odds AS o;

INSERT INTO leads (company, source, campaign, owner, segment, currency, value, stage, stage_since, changed_by)
SELECT format('%s %s %s', initcap(substr(md5('name' || n), 1, 5)),
              (ARRAY['Systems', 'Logistics', 'Foods', 'Tools', 'Media', 'Clinics'])[1 + floor(6 * demo.draw(n, 'branch'))::integer],
              CASE WHEN c.is_swiss THEN 'AG' ELSE 'GmbH' END),
       s.source,
       s.campaigns[1 + floor(cardinality(s.campaigns) * demo.draw(n, 'campaign'))::integer],
       (ARRAY['Ada', 'Ben', 'Cem', 'Dora', 'Eva'])[1 + floor(5 * demo.draw(n, 'owner'))::integer],
       c.segment,
       CASE WHEN c.is_swiss THEN 'CHF' ELSE 'EUR' END,
       round(((0.4 + 1.6 * demo.draw(n, 'value')) * CASE c.segment WHEN 'small' THEN 5000 WHEN 'medium' THEN 20000 ELSE 90000 END)::numeric, -2),
       'lead',
       -- the later the more, and in working hours
       date_trunc('minute', ((y.first_day + floor(363 * power((n - demo.draw(n, 'day')) / 20000, 0.85))::integer)
                             + interval '7 hours' + demo.draw(n, 'hour') * interval '13 hours') AT TIME ZONE 'Europe/Berlin'),
       'web form'
FROM generate_series(1, 20000) AS n
CROSS JOIN demo.year AS y
CROSS JOIN LATERAL (SELECT demo.draw(n, 'country') < 0.18 AS is_swiss,
                           CASE WHEN demo.draw(n, 'segment') < 0.60 THEN 'small'
                                WHEN demo.draw(n, 'segment') < 0.92 THEN 'medium'
                                ELSE 'large' END AS segment) AS c
CROSS JOIN LATERAL (SELECT o.* FROM demo.source AS o WHERE demo.draw(n, 'source') < o.up_to ORDER BY o.up_to LIMIT 1) AS s;

-- In each round every lead that goes somewhere within the year makes one move, all of them in one UPDATE. What is drawn
-- depends on since when the lead is in its stage: one that stays will draw the same in the next round, and stay.
DO $$
BEGIN
    LOOP
        UPDATE leads AS l
        SET stage = n.to_stage,
            stage_since = n.at,
            changed_by = CASE WHEN n.to_stage IN ('mql', 'nurture') THEN 'marketing' ELSE l.owner END,
            reason = CASE n.to_stage
                         WHEN 'rejected' THEN (ARRAY['no_budget', 'no_budget', 'not_icp', 'not_icp',
                                                     'wrong_title', 'bad_data', 'existing_customer'])
                                              [1 + floor(7 * n.why)::integer]
                         WHEN 'lost' THEN (ARRAY['price', 'price', 'competitor', 'no decision'])[1 + floor(4 * n.why)::integer]
                         WHEN 'recycled' THEN 'not now'
                     END
        FROM (SELECT c.id, p.to_stage, demo.draw(c.id, 'why' || v.visit) AS why,
                     c.stage_since + interval '1 second'
                     * floor(86400 * (p.at_least - (p.on_average - p.at_least) * ln(1 - demo.draw(c.id, 'days' || v.visit)))) AS at
              FROM leads AS c
              JOIN demo.source AS s USING (source)
              CROSS JOIN LATERAL (SELECT extract(epoch FROM c.stage_since)::bigint AS visit) AS v
              CROSS JOIN LATERAL (SELECT power(demo.draw(c.id, 'next' || v.visit),
                                               CASE WHEN c.stage IN ('lead', 'mql') THEN s.quality ELSE 1 END) AS drawn) AS d
              JOIN demo.path AS p ON p.from_stage = c.stage AND d.drawn < p.up_to AND d.drawn >= p.up_to - p.odds) AS n
        WHERE l.id = n.id AND n.at < (SELECT y.last_day::timestamp AT TIME ZONE 'Europe/Berlin' FROM demo.year AS y);
        EXIT WHEN NOT FOUND;
    END LOOP;
END
$$;

VACUUM ANALYZE leads;
