-- warm leads, and the index that is the order of their warmth at any time
CREATE TABLE warm AS
SELECT i AS id, make_engagement(1 + i * 7919::bigint % 1000, timestamptz '2026-11-25' - (i * 101::bigint % 1000) * interval '1 hour', '7 days') AS warmth
FROM generate_series(1, :leads * 10) AS i;
CREATE INDEX ON warm (warmth);
VACUUM ANALYZE warm;
