-- changed_types: columns whose type changes behind a funnel are not read as what they were; triggers made by hand

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_ct_owner;
CREATE SCHEMA ct AUTHORIZATION regress_ct_owner;
SET ROLE regress_ct_owner;
SET search_path = ct, public;
\set SHOW_CONTEXT never

-- a suspended funnel's columns are its owner's, but a trigger of ours that fires then was made by hand
CREATE TABLE h (id int PRIMARY KEY, stage text);
SELECT lead_funnel.attach('h', 'stage', mode => 'observe');
INSERT INTO h VALUES (1, 'lead');
SELECT lead_funnel.suspend('h');
CREATE TRIGGER lead_funnel_track AFTER INSERT OR DELETE ON h FOR EACH ROW EXECUTE FUNCTION lead_funnel.track();
INSERT INTO h VALUES (2, 'mql'); -- fails
ALTER TABLE h ALTER stage TYPE float8 USING 1e300;
INSERT INTO h VALUES (2, 5e200); -- fails
SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'h';
DROP TRIGGER lead_funnel_track ON h;
SELECT lead_funnel.resume('h'); -- fails
ALTER TABLE h ALTER stage TYPE text USING 'lead';
SELECT lead_funnel.resume('h');
SELECT * FROM lead_funnel.verify('h');

-- a table of a type, whose attributes change without a word to us
CREATE TYPE row_type AS (id int, stage lead_stage, since timestamptz);
CREATE TABLE typed OF row_type (PRIMARY KEY (id));
SELECT lead_funnel.attach('typed', 'stage', entered_column => 'since');
ALTER TYPE row_type ALTER ATTRIBUTE since TYPE text CASCADE;
INSERT INTO typed VALUES (1, 'lead', 'abcdefghi'); -- fails
SELECT problem, expected FROM lead_funnel.verify('typed');
SELECT lead_funnel.detach('typed');

-- another type that is called lead_stage is none
CREATE TYPE ct.lead_stage AS (rank int);
CREATE TABLE other (id int PRIMARY KEY, stage ct.lead_stage);
SELECT lead_funnel.attach('other', 'stage'); -- fails

-- no trigger function is for calling
SELECT lead_funnel.flush(); -- fails
SELECT lead_funnel.track(); -- fails

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{h,typed}'::name[]) f;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA ct CASCADE;
DROP OWNED BY regress_ct_owner;
DROP ROLE regress_ct_owner;
