-- leads with a ledger of events, and a bare table that takes the same events
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', name text, warmth engagement) WITH (fillfactor = 80);
INSERT INTO leads (id, name) SELECT i, 'name of lead ' || i FROM generate_series(1, :leads) AS i;
SELECT lead_funnel.attach('leads', 'stage', 'scoring');
SELECT lead_funnel.create_model('events');
SELECT lead_funnel.set_event_type('events', 'visit', 1), lead_funnel.set_scoring('scoring', 'events');
CREATE TABLE bare_event (
    lead_id int NOT NULL, event_type text NOT NULL, happened_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now(),
    points float8 NOT NULL, source text NOT NULL, external_id text NOT NULL, UNIQUE (external_id, source));
CREATE INDEX ON bare_event (lead_id, happened_at);
CREATE SEQUENCE event_number;
VACUUM ANALYZE leads;
