#!/bin/bash
# upgrade.sh: pg_upgrade of a database with funnels keeps rules, history and statistics, and work goes on.
# OLD_PG_CONFIG and NEW_PG_CONFIG name the two servers. Builds and installs the extension in both, since pg_upgrade loads
# the library of each; as root it runs the servers as user postgres. Not part of "make test": few machines have two.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${OLD_PG_CONFIG:?say which server to upgrade from: OLD_PG_CONFIG=/path/to/pg_config}"
: "${NEW_PG_CONFIG:?say which server to upgrade to: NEW_PG_CONFIG=/path/to/pg_config}"
unset ${!PG@}
export TZ=UTC LC_ALL=C.UTF-8 PGUSER=postgres PGDATABASE=postgres

work=$(mktemp -d /tmp/lf_upgrade.XXXXXX)
export PGHOST=$work
as=
if [ "$(id -u)" = 0 ]; then
	as="runuser -u postgres --"
	chown postgres: "$work"
fi
leave()
{
	for side in old new; do
		[ ! -e "$work/$side/postmaster.pid" ] || $as "$(bin $side)/pg_ctl" -s -D "$work/$side" -m immediate stop || :
	done
	rm -rf "$work"
}
trap leave EXIT

config() { if [ "$1" = old ]; then echo "$OLD_PG_CONFIG"; else echo "$NEW_PG_CONFIG"; fi }
bin() { "$(config "$1")" --bindir; }
# SIDE ...: psql of that server
sql() { local side=$1; shift; "$(bin "$side")/psql" -XqAt -v ON_ERROR_STOP=1 "$@"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
same() { diff -u "$work/$1" "$work/$2" >&2 || fail "$3"; }

for side in old new; do
	mkdir "$work/build_$side"
	tar --exclude=./.git --exclude=./test_output --exclude='*.o' --exclude='*.so' -cf - . | tar -xf - -C "$work/build_$side"
	make --no-print-directory -s -C "$work/build_$side" with_llvm=no PG_CONFIG="$(config $side)" install >"$work/build.log" 2>&1 ||
		{ cat "$work/build.log" >&2; fail "building for $("$(config $side)" --version)"; }
	# checksums as both can have them; 18 has them by default
	$as "$(bin $side)/initdb" -k -D "$work/$side" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$work/initdb.log" ||
		{ cat "$work/initdb.log" >&2; fail initdb; }
	cat >>"$work/$side/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$work'
		fsync = off
		timezone = 'UTC'
		autovacuum = off
	END
done

start() { $as "$(bin "$1")/pg_ctl" -s -w -D "$work/$1" -l "$work/log_$1" start || { cat "$work/log_$1" >&2; fail "start of the $1 server"; } }
stop() { $as "$(bin "$1")/pg_ctl" -s -w -D "$work/$1" -m fast stop; }

start old
# the extension's types elsewhere than in public, tables of every kind, deltas folded and not, funnels in each status
sql old >/dev/null <<'SQL'
SET client_min_messages = warning;
CREATE ROLE crm;
CREATE ROLE sales;
CREATE ROLE bi;
CREATE SCHEMA types;
GRANT USAGE ON SCHEMA types TO PUBLIC;
CREATE EXTENSION lead_funnel SCHEMA types;
SET search_path = public, types;
SELECT lead_funnel.grant_reader('bi');

CREATE TYPE status AS ENUM ('New', 'mql', 'sal', 'sql', 'Closed');
CREATE DOMAIN some_status AS status;
CREATE TABLE leads (id bigint PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', source text, amount numeric(12, 2),
    since timestamptz, deleted_at timestamptz, stages lead_stage[]);
CREATE INDEX ON leads (stage);
CREATE INDEX ON leads USING hash (stage);
CREATE MATERIALIZED VIEW by_stage AS SELECT stage, count(*) FROM leads GROUP BY stage;
CREATE TABLE parts (region text, old int, id uuid, status some_status, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts2 (status some_status, id uuid NOT NULL, region text NOT NULL);
ALTER TABLE parts DROP old;
ALTER TABLE parts ATTACH PARTITION parts2 DEFAULT;
CREATE TABLE gone (id int PRIMARY KEY, stage text);
CREATE TABLE paused (id int PRIMARY KEY, stage char(8));
ALTER TABLE leads OWNER TO crm;
SET ROLE crm;
INSERT INTO leads SELECT g, 'mql', 's' || g % 3, g FROM generate_series(1, 100) g;
SELECT lead_funnel.attach('leads', 'stage', source_column => 'source', value_column => 'amount', entered_column => 'since',
    excluded_column => 'deleted_at', timezone => 'Europe/Berlin');
SELECT lead_funnel.allow('leads', 'mql', 'sal', allowed_role => 'sales', note => 'sales only');
SELECT lead_funnel.allow('leads', 'won', 'recycled', requires_reason => true);
RESET ROLE;
SELECT lead_funnel.attach('parts', 'status', key_column => 'id', segment_column => 'region', mode => 'observe', stage_map => '{"lead": "New", "won": "Closed"}');
SELECT lead_funnel.attach('gone', 'stage', preset => 'open');
SELECT lead_funnel.attach('paused', 'stage', stage_map => '{"won": "done  ", "lead": [null, "x"]}');
INSERT INTO gone SELECT g, 'lead' FROM generate_series(1, 20) g;
UPDATE gone SET stage = 'won' WHERE id < 5;
SELECT lead_funnel.detach('gone');
INSERT INTO paused VALUES (1, NULL), (2, 'mql');
SELECT lead_funnel.suspend('paused');
INSERT INTO parts SELECT CASE WHEN g % 2 = 0 THEN 'a' ELSE 'b' END, md5(g::text)::uuid, 'New' FROM generate_series(1, 50) g;
UPDATE parts SET status = 'mql' WHERE region = 'a';
UPDATE parts SET region = 'c', status = 'Closed' WHERE region = 'a';
SELECT lead_funnel.grant_override('leads', 'sales');
GRANT crm TO sales;
SET ROLE sales;
UPDATE leads SET stage = 'sal', amount = amount * 2 WHERE id <= 60;
RESET ROLE;
SELECT lead_funnel.compact();
UPDATE leads SET stage = 'sql' WHERE id <= 40;
BEGIN; SET LOCAL lead_funnel.reason = 'no answer'; UPDATE leads SET stage = 'recycled' WHERE id <= 10; COMMIT;
UPDATE leads SET deleted_at = now() WHERE id = 11;
DELETE FROM leads WHERE id = 12;
BEGIN; UPDATE leads SET stage = 'opportunity' WHERE id = 13; ROLLBACK;
SQL

# SIDE FILE: all that the views say, but for what a view says of the server's own files, and of now
look()
{
	local view
	for view in $(sql "$1" -c "SELECT relname FROM pg_class WHERE relnamespace = 'lead_funnel'::regnamespace AND relkind = 'v'
			AND relname NOT IN ('funnel_health', 'stage_ageing', 'sla_status') AND NOT starts_with(relname, '_') ORDER BY 1"); do
		echo "-- $view"
		sql "$1" -c "SELECT * FROM lead_funnel.$view v ORDER BY v::text COLLATE \"C\""
	done >"$work/$2"
	sql "$1" >>"$work/$2" <<-'SQL'
		SELECT * FROM lead_funnel.stage_map ORDER BY 1, 2, 3;
		SELECT * FROM lead_funnel.override_role ORDER BY 1, 2;
		SELECT * FROM lead_funnel.reader ORDER BY 1;
		SELECT relation, status, attached_by, funnel_id FROM lead_funnel.funnel ORDER BY funnel_id;
		SELECT f.name, v.problem, v.lead FROM lead_funnel.funnel AS f CROSS JOIN lead_funnel.verify(f.name) AS v ORDER BY 1, 2, 3;
		SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgname LIKE 'lead\_funnel%' ORDER BY 1, 2;
		SELECT evtname, evtenabled FROM pg_event_trigger ORDER BY 1;
	SQL
}
look old before
grep -qx 'paused|suspended|' "$work/before" && [ "$(grep -c '|suspended|$' "$work/before")" = 1 ] || fail "verify() before the upgrade: $(grep '|suspended' "$work/before")"
stop old

(cd "$work" && $as "$(bin new)/pg_upgrade" -U postgres -b "$(bin old)" -B "$(bin new)" -d "$work/old" -D "$work/new" -s "$work" >"$work/log_upgrade" 2>&1) ||
	{ cat "$work/log_upgrade" >&2; grep -rhE -A 3 "ERROR|FATAL|error:" "$work/new/pg_upgrade_output.d" >&2 || :; fail pg_upgrade; }

start new
look new after
same before after "the views say something else after the upgrade"

# work goes on: the same rules, one more entry and move of each kind, folds of what the old server has written
sql new >/dev/null <<'SQL'
SET client_min_messages = warning;
SET search_path = public, types;
DO $$
BEGIN
    UPDATE leads SET stage = 'won' WHERE id = 50;
    RAISE 'a move against the rules was not refused';
EXCEPTION WHEN check_violation THEN
    NULL;
END
$$;
SET ROLE crm;
INSERT INTO leads (id, stage) VALUES (1001, 'lead'), (1002, 'mql');
UPDATE leads SET stage = 'mql' WHERE id = 1001;
SELECT lead_funnel.move('leads', 50, 'sql');
RESET ROLE;
SELECT lead_funnel.resume('paused');
UPDATE paused SET stage = 'nurture' WHERE id = 2;
UPDATE parts SET status = 'Closed' WHERE region = 'b';
SELECT lead_funnel.compact();
SELECT lead_funnel.attach('gone', 'stage', preset => 'open');
INSERT INTO gone VALUES (21, 'lead');
CREATE TABLE parts3 PARTITION OF parts FOR VALUES IN ('d');
INSERT INTO parts VALUES ('d', md5('d')::uuid, 'New');
CREATE TABLE fresh (id int PRIMARY KEY, stage lead_stage);
SELECT lead_funnel.attach('fresh', 'stage');
INSERT INTO fresh VALUES (1, 'lead');
SQL
[ -z "$(sql new -c "SELECT f.name, v.problem, v.lead FROM lead_funnel.funnel AS f CROSS JOIN lead_funnel.verify(f.name) AS v")" ] ||
	fail "verify() after some work: $(sql new -c "SELECT f.name, v FROM lead_funnel.funnel AS f CROSS JOIN lead_funnel.verify(f.name) AS v")"
[ "$(sql new -c "SELECT sum(leads) = (SELECT count(*) FROM public.leads WHERE deleted_at IS NULL) FROM lead_funnel.funnel_stages WHERE funnel = 'leads'")" = t ] ||
	fail "the stock is not what the table has"
look new kept
sql new -c "SELECT lead_funnel.rebuild(name) FROM lead_funnel.funnel" >/dev/null
look new rebuilt
same kept rebuilt "rebuild() changes numbers"

# what is there now can be dumped, restored, and given up
"$(bin new)/createdb" copy
"$(bin new)/pg_dump" postgres | sql new -d copy >/dev/null
[ -z "$(sql new -d copy -c "SELECT f.name, v FROM lead_funnel.funnel AS f CROSS JOIN lead_funnel.verify(f.name) AS v")" ] || fail "verify() of a restored dump"
sql new >/dev/null 2>&1 <<'SQL'
SELECT lead_funnel.detach(name, purge => true) FROM lead_funnel.funnel;
DROP TABLE fresh;
DROP MATERIALIZED VIEW by_stage;
ALTER TABLE leads DROP stages, DROP stage;
DROP EXTENSION lead_funnel;
SQL
! grep -hE 'PANIC:|TRAP:|terminated by signal|XX[0-9]{3}' "$work/log_old" "$work/log_new" >&2 || fail "the servers' logs"
stop new
echo "upgrade from $("$OLD_PG_CONFIG" --version) to $("$NEW_PG_CONFIG" --version): all is as it was, and work goes on"
