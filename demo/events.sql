-- What the open leads of demo/load.sql did in the sixty days before the end of their year: page views, downloads, forms. Drawn
-- as the leads are, some leads more often than others. Needs the event types of demo/tour.sql; one call takes all events.

SELECT lead_funnel.record_events('leads', array_agg(lead::text ORDER BY n), array_agg(event_type ORDER BY n),
                                 array_agg(at ORDER BY n), array_agg('event ' || n ORDER BY n), 'website') AS events
FROM (SELECT n, o.ids[1 + floor(cardinality(o.ids) * power(demo.draw(n, 'visitor'), 2.2))::integer] AS lead,
             CASE WHEN demo.draw(n, 'event') < 0.80 THEN 'page view'
                  WHEN demo.draw(n, 'event') < 0.97 THEN 'download'
                  ELSE 'form' END AS event_type,
             date_trunc('minute', (y.last_day - 60 * demo.draw(n, 'event day') * interval '1 day') AT TIME ZONE 'Europe/Berlin') AS at
      FROM generate_series(1, 10000) AS n
      CROSS JOIN demo.year AS y
      CROSS JOIN (SELECT array_agg(id ORDER BY demo.draw(id, 'interest'), id) AS ids
                  FROM leads WHERE stage IN ('lead', 'mql', 'sal', 'sql', 'opportunity') AND id <= 20000) AS o) AS e;

DROP SCHEMA demo CASCADE;
VACUUM ANALYZE leads;
