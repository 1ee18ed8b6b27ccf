-- what scores and events are measured by: leads with a model of 20 rules, and the same as CASE and in PL/pgSQL
CREATE TABLE scored AS
SELECT i AS id, 'Company ' || i AS company, (ARRAY['software', 'finance', 'insurance', 'retail', 'education', 'logistics'])[1 + i * 7::bigint % 6] AS industry,
    (i * 7919::bigint % 1000)::int AS employees, (ARRAY['DE', 'AT', 'CH', 'US', 'FR'])[1 + i * 13::bigint % 5] AS country,
    (ARRAY['Head of Sales', 'CEO', 'Intern', 'Developer', 'VP Marketing'])[1 + i * 3::bigint % 5] AS title, 'user' || i || '@example.com' AS email,
    (i * 31::bigint % 50)::int AS page_views, (i * 17::bigint % 9)::int AS downloads, now() - (i * 7919::bigint % 90) * interval '1 day' AS last_visit_at,
    i % 11 = 0 AS demo_requested, (i * 101::bigint % 100000)::numeric(10, 2) AS revenue,
    CASE WHEN i % 4 > 0 THEN (ARRAY['web', 'fair', 'ads'])[1 + i % 3] END AS source
FROM generate_series(1, :leads) AS i;

CREATE TABLE rule (n int, attribute text, operator text, operand text, points int, grp text, condition text);
INSERT INTO rule
VALUES (1, 'industry', 'in', '{software,finance,insurance}', 30, 'industry', $$l.industry IN ('software', 'finance', 'insurance')$$),
    (2, 'industry', '=', 'education', -10, 'industry', $$l.industry = 'education'$$), (3, 'industry', '=', 'retail', 5, 'industry', $$l.industry = 'retail'$$),
    (4, 'employees', 'between', '{50,500}', 25, 'size', 'l.employees BETWEEN 50 AND 500'), (5, 'employees', '>', '500', 15, 'size', 'l.employees > 500'),
    (6, 'employees', '<', '5', -20, 'size', 'l.employees < 5'), (7, 'country', 'in', '{DE,AT,CH}', 20, 'location', $$l.country IN ('DE', 'AT', 'CH')$$),
    (8, 'country', '=', 'US', 10, 'location', $$l.country = 'US'$$), (9, 'country', 'is null', NULL, -5, 'location', 'l.country IS NULL'),
    (10, 'title', 'like', 'Head%', 10, 'contact', $$l.title LIKE 'Head%'$$), (11, 'title', '=', 'CEO', 15, 'contact', $$l.title = 'CEO'$$),
    (12, 'title', '=', 'Intern', -20, 'contact', $$l.title = 'Intern'$$), (13, 'page_views', '>=', '3', 5, 'use', 'l.page_views >= 3'),
    (14, 'page_views', '>=', '8', 7, 'use', 'l.page_views >= 8'), (15, 'downloads', '>=', '1', 10, 'use', 'l.downloads >= 1'),
    (16, 'last_visit_at', 'within', '7 days', 30, 'recency', $$l.last_visit_at BETWEEN now() - interval '7 days' AND now()$$),
    (17, 'last_visit_at', 'within', '30 days', 10, 'recency', $$l.last_visit_at BETWEEN now() - interval '30 days' AND now()$$),
    (18, 'demo_requested', '=', 'true', 40, NULL, 'l.demo_requested'), (19, 'revenue', '>=', '50000', 10, NULL, 'l.revenue >= 50000'),
    (20, 'source', '=', 'fair', 5, NULL, $$l.source = 'fair'$$);
SELECT lead_funnel.create_model('bench');
SELECT lead_funnel.add_rule('bench', 'fit', attribute, operator, operand, points, grp) FROM rule ORDER BY n;
SELECT lead_funnel.activate_model('bench');
-- one after the other, with a variable, as one would write it
DO $$
BEGIN
    EXECUTE format('CREATE FUNCTION score_plpgsql(l scored) RETURNS int LANGUAGE plpgsql STABLE AS %L',
        (SELECT 'DECLARE points int := 0; BEGIN ' || string_agg(format('IF %s THEN points := points + %s; END IF; ', condition, points), '' ORDER BY n) || 'RETURN points; END' FROM rule));
END
$$;
-- rules as data, as score() has them
CREATE FUNCTION score_rules(l scored) RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE
    points int := 0;
    r rule;
    j jsonb := to_jsonb(l);
    v text;
BEGIN
    FOR r IN SELECT * FROM rule LOOP
        v := j ->> r.attribute;
        IF (CASE r.operator
               WHEN '=' THEN v = r.operand
               WHEN 'in' THEN v = ANY (r.operand::text[])
               WHEN 'like' THEN v LIKE r.operand
               WHEN 'is null' THEN v IS NULL
               WHEN '>' THEN v::numeric > r.operand::numeric
               WHEN '>=' THEN v::numeric >= r.operand::numeric
               WHEN '<' THEN v::numeric < r.operand::numeric
               WHEN 'between' THEN v::numeric BETWEEN (r.operand::numeric[])[1] AND (r.operand::numeric[])[2]
               WHEN 'within' THEN v::timestamptz BETWEEN now() - r.operand::interval AND now()
           END) THEN
            points := points + r.points;
        END IF;
    END LOOP;
    RETURN points;
END
$$;
VACUUM ANALYZE scored;
