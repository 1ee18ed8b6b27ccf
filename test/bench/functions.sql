-- functions.sql: what leads the bench makes. Every value follows from the id, so that all tables hold the same leads.

-- Leads number a to b. 18 sources times 11 stages are 198 cells of statistics.
CREATE FUNCTION public.new_leads(a bigint, b bigint)
RETURNS TABLE (id bigint, created_at timestamptz, updated_at timestamptz, value numeric, stage lead_stage, employees integer,
    clicks integer, consent boolean, newsletter boolean, source text, campaign text, owner text, company text,
    first_name text, last_name text, email text, phone text, street text, city text, country text, industry text, note text)
LANGUAGE sql STABLE AS $$
    SELECT n, '2026-01-01Z'::timestamptz + n * interval '1 second', '2026-01-01Z'::timestamptz + n * interval '1 second',
        (n * 7919 % 100000)::numeric / 4, 'lead'::lead_stage, (n % 5000)::integer,
        0, n % 3 = 0, n % 2 = 0, 'source ' || n * 31 % 18, 'campaign ' || n * 37 % 400, 'owner ' || n * 41 % 60, 'Company ' || h || ' Ltd',
        'First' || n % 900, 'Last ' || substr(h, 1, 8), substr(h, 1, 12) || '@example.org', '+49 30 ' || n % 10000000,
        'Street ' || substr(h, 5, 6) || ' ' || n % 200, 'City ' || n % 700, 'DE', 'industry ' || n % 40, substr(h, 1, 20)
    FROM generate_series(a, b) AS n, LATERAL md5(n::text) AS h
$$;

-- The way of a lead through the funnel. The leads that the bench moves, the first fifth and every fifth, are "mql"; the
-- others are anywhere.
CREATE FUNCTION public.lane(id bigint, leads bigint) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN id <= leads / 5 OR id % 5 = 0 THEN 0 ELSE 1 + (id * 7919 % 100)::integer END $$;

CREATE TABLE public.way (first_lane integer, last_lane integer, stages lead_stage[]);
INSERT INTO public.way VALUES
    (0, 0, '{mql}'), (1, 20, '{}'), (21, 30, '{nurture}'), (31, 38, '{disqualified}'), (39, 53, '{mql,sal}'),
    (54, 61, '{mql,rejected}'), (62, 73, '{mql,sal,sql}'), (74, 81, '{mql,sal,sql,opportunity}'),
    (82, 89, '{mql,sal,sql,opportunity,won}'), (90, 95, '{mql,sal,sql,opportunity,lost}'), (96, 100, '{mql,sal,recycled}');

-- What a table has of its leads per cell, to compare statistics with
CREATE FUNCTION public.count_leads(lead_table regclass) RETURNS TABLE (stage text, source text, leads bigint, value numeric)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT stage::text, source, count(*), sum(value) FROM %s GROUP BY stage, source', lead_table);
END
$$;
