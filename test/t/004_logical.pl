# A logical subscriber with always => true counts what comes, by initial copy and by stream, and refuses nothing.  Its columns stand in
# another order.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $settings = "autovacuum = off\nmax_prepared_transactions = 10\ntimezone = 'UTC'\nmax_logical_replication_workers = 8\nmax_worker_processes = 12\nlogical_decoding_work_mem = '64kB'\n"
	. "wal_retrieve_retry_interval = 100ms\nlog_line_prefix = '%m [%p] %e '\n";
my ($pub, $sub) = map {
	my $n = PostgreSQL::Test::Cluster->new($_);
	$n->init(allows_streaming => 'logical');
	$n->append_conf('postgresql.conf', $settings);
	$n->start;
	$n
} 'publisher', 'subscriber';

my $tables = q{
CREATE TABLE leads (id int PRIMARY KEY, stage text NOT NULL, source text, amount numeric, since timestamptz);
CREATE TABLE deals (id uuid, region int, stage lead_stage, why text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE deals0 PARTITION OF deals FOR VALUES IN (0);
CREATE TABLE deals1 PARTITION OF deals FOR VALUES IN (1);
CREATE TABLE quiet (id int PRIMARY KEY, stage lead_stage);
};
# the publisher has a funnel of its own, and publishes all that there is
$pub->safe_psql('postgres', "CREATE EXTENSION lead_funnel; $tables");
$pub->safe_psql('postgres', q{
SELECT lead_funnel.attach('leads', 'stage', preset => 'open');
INSERT INTO leads SELECT g, (ARRAY['lead', 'mql', 'won', 'Sal'])[g % 4 + 1], 's' || g % 3, g, '2026-01-01' FROM generate_series(1, 40) g;
INSERT INTO deals SELECT md5(g::text)::uuid, g % 2, 'lead' FROM generate_series(1, 10) g;
INSERT INTO quiet VALUES (1, 'lead');
CREATE PUBLICATION pub FOR TABLE leads, deals, quiet WITH (publish_via_partition_root = false);
});
my $rc;
for my $sql ("UPDATE leads SET stage = 'mql' WHERE id = 1", 'SELECT lead_funnel.compact()', "SELECT lead_funnel.rebuild('leads')",
	"SELECT lead_funnel.allow('leads', 'won', 'lead', note => 'x')", "SELECT lead_funnel.map_stage('leads', 'x', 'won')", "UPDATE leads SET id = 1000 WHERE id = 40")
{
	$rc = $pub->psql('postgres', "CREATE PUBLICATION every FOR ALL TABLES; $sql; DROP PUBLICATION every");
	is($rc, 0, "published FOR ALL TABLES: $sql");
}

$sub->safe_psql('postgres', q{SET client_min_messages = warning; CREATE EXTENSION lead_funnel;
CREATE TABLE leads (more int, since timestamptz, gone text, amount numeric, stage text NOT NULL, note text DEFAULT 'x', id int PRIMARY KEY, source text);
ALTER TABLE leads DROP gone;
CREATE TABLE deals (why text, stage lead_stage, gone int, region int, id uuid, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE deals0 (gone1 int, gone2 int, id uuid NOT NULL, why text, region int NOT NULL, gone int, stage lead_stage);
ALTER TABLE deals0 DROP gone1, DROP gone2;
ALTER TABLE deals ATTACH PARTITION deals0 FOR VALUES IN (0);
ALTER TABLE deals DROP gone;
CREATE TABLE deals1 PARTITION OF deals FOR VALUES IN (1);
CREATE TABLE quiet (stage lead_stage, id int PRIMARY KEY);
SELECT lead_funnel.attach('leads', 'stage', always => true, source_column => 'source', value_column => 'amount', entered_column => 'since');
SELECT lead_funnel.attach('deals', 'stage', always => true, key_column => 'id', segment_column => 'region', reason_column => 'why');
SELECT lead_funnel.attach('quiet', 'stage');
});
my $verify = q{SELECT 'leads', v FROM lead_funnel.verify('leads') v UNION ALL SELECT 'deals', v FROM lead_funnel.verify('deals') v};
my $off = q{
WITH stock AS (SELECT funnel, stage, source, segment, leads, value FROM lead_funnel.funnel_stages WHERE funnel <> 'quiet' AND (leads <> 0 OR value <> 0)),
lead_table AS (SELECT 'leads', lower(stage), coalesce(source, '(none)'), '(none)', count(*), sum(coalesce(amount, 0)) FROM leads GROUP BY 2, 3
	UNION ALL SELECT 'deals', stage::text, '(none)', region::text, count(*), 0 FROM deals GROUP BY 2, 4)
SELECT 'stock', * FROM (TABLE stock EXCEPT TABLE lead_table) a UNION ALL SELECT 'table', * FROM (TABLE lead_table EXCEPT TABLE stock) b};

my %columns = (leads => 'id, stage, source, amount, since', deals => 'id, region, stage, why');
# all that the publisher has committed is here, and counted
sub healthy
{
	my $what = shift;
	$pub->wait_for_catchup('sub');
	is($sub->safe_psql('postgres', $verify), '', "$what: verify()");
	is($sub->safe_psql('postgres', $off), '', "$what: stock equals table");
	for my $table ('leads', 'deals')
	{
		my $all = "SELECT $columns{$table} FROM $table ORDER BY id";
		is($sub->safe_psql('postgres', $all), $pub->safe_psql('postgres', $all), "$what: $table as published");
	}
	return;
}
sub history
{
	my ($funnel, $where) = @_;
	return $sub->safe_psql('postgres', "SELECT lead, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = '$funnel' AND $where ORDER BY lead, move");
}

# the initial copy
$sub->safe_psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '" . $pub->connstr . " dbname=postgres' PUBLICATION pub WITH (streaming = on, two_phase = true)");
$sub->wait_for_subscription_sync($pub, 'sub');
healthy('initial copy');
is(history('leads', "lead IN ('2', '3', '4')"), "2||won|violation\n3||sal|violation\n4||lead|replicated", 'initial copy: where leads enter');
is($sub->safe_psql('postgres', q{SELECT sum(moves), min(constraint_name) FROM lead_funnel.rule_violations WHERE funnel = 'leads' AND from_stage IS NULL}),
	$pub->safe_psql('postgres', q{SELECT count(*), 'lead_funnel_transition' FROM leads WHERE lower(stage) NOT IN ('lead', 'mql')}), 'initial copy: breaches are told');

# the stream: what the rules know, and what not
$pub->safe_psql('postgres', q{
UPDATE leads SET stage = 'mql', since = '2026-02-01' WHERE id = 4;
UPDATE leads SET stage = 'rejected', since = '2026-02-02' WHERE id = 4;
UPDATE leads SET stage = 'won' WHERE id = 8;
UPDATE leads SET stage = 'lead', since = '2025-01-01' WHERE id = 8;
UPDATE leads SET amount = 7, source = NULL WHERE id = 5;
UPDATE leads SET id = 1012 WHERE id = 12;
DELETE FROM leads WHERE id IN (16, 20);
INSERT INTO leads VALUES (16, 'nurture');
BEGIN; UPDATE leads SET stage = 'mql' WHERE id = 24; SAVEPOINT a; UPDATE leads SET stage = 'won' WHERE id = 24; ROLLBACK TO a;
UPDATE leads SET stage = 'sal' WHERE id = 24; UPDATE leads SET stage = 'sql' WHERE id = 24; COMMIT;
UPDATE deals SET stage = 'mql' WHERE region = 0;
UPDATE deals SET region = 1 - region, stage = 'disqualified' WHERE id = md5('2')::uuid;
UPDATE deals SET region = 1 WHERE id = md5('4')::uuid;
});
healthy('stream');
is(history('leads', "lead IN ('4', '8', '16', '24', '1012')"), join("\n", '1012||lead|replicated',
	'16||lead|replicated', '16|lead||delete', '16||nurture|violation', '24||lead|replicated', '24|lead|mql|replicated', '24|mql|sal|replicated', '24|sal|sql|replicated',
	'4||lead|replicated', '4|lead|mql|replicated', '4|mql|rejected|violation',
	'8||lead|replicated', '8|lead|won|violation', '8|won|lead|violation'), 'stream: history');
is($sub->safe_psql('postgres', q{SELECT constraint_name, from_stage, to_stage, moves FROM lead_funnel.rule_violations
	WHERE funnel = 'leads' AND from_stage IS NOT NULL ORDER BY 1, 2, 3}),
	"lead_funnel_reason|mql|rejected|1\nlead_funnel_transition|lead|won|1\nlead_funnel_transition|won|lead|1", 'stream: breaches');
# PostgreSQL sends a move between partitions as DELETE and INSERT
is(history('deals', "lead = md5('2')::uuid::text"), join("\n", map { $pub->safe_psql('postgres', q{SELECT md5('2')::uuid}) . "|$_" }
	'|lead|replicated', 'lead|mql|replicated', 'mql||delete', '|disqualified|violation'), 'stream: a move between partitions');

# more than fits in memory, streamed before it is committed; rolled back; prepared; folded meanwhile
$pub->safe_psql('postgres', q{
BEGIN;
INSERT INTO leads SELECT g, 'lead', 'bulk', 1 FROM generate_series(10001, 12000) g;
SAVEPOINT a;
UPDATE leads SET stage = 'won' WHERE id > 10000;
ROLLBACK TO a;
UPDATE leads SET stage = 'mql' WHERE id > 11000;
UPDATE leads SET stage = 'sal' WHERE id > 11500;
COMMIT;
BEGIN; INSERT INTO leads SELECT g, 'lead', 'gone', 1 FROM generate_series(20001, 21000) g; ROLLBACK;
});
$sub->safe_psql('postgres', 'SELECT lead_funnel.compact()');
$pub->safe_psql('postgres', q{UPDATE leads SET amount = amount + 1 WHERE source = 'bulk'; DELETE FROM leads WHERE id > 11990});
healthy('a large transaction');
is($sub->safe_psql('postgres', q{SELECT count(*) FROM lead_funnel.funnel_history WHERE funnel = 'leads' AND lead_id > 20000}), '0', 'nothing of what was rolled back');
$pub->safe_psql('postgres', q{BEGIN; UPDATE leads SET stage = 'sql' WHERE id > 11900; PREPARE TRANSACTION 'p'});
healthy('prepared') if $pub->safe_psql('postgres', 'SELECT lead_funnel.compact()') eq '';
$pub->safe_psql('postgres', q{COMMIT PREPARED 'p'});
healthy('prepared, then committed');
$pub->safe_psql('postgres', 'TRUNCATE deals; INSERT INTO deals VALUES (md5(\'x\')::uuid, 1, \'lead\')');
healthy('truncate');
$pub->safe_psql('postgres', q{BEGIN; TRUNCATE leads; INSERT INTO leads VALUES (1, 'won'), (2, 'lead'); UPDATE leads SET stage = 'mql' WHERE id = 2; COMMIT});
healthy('truncate and refill');

# who writes here is watched, too; nothing is refused; rebuild() and reconcile() find nothing to do
$sub->safe_psql('postgres', q{UPDATE leads SET stage = 'lead' WHERE id = 1});
is(history('leads', "lead = '1' AND effective_at >= (SELECT max(effective_at) FROM lead_funnel.funnel_history WHERE origin = 'truncate' AND funnel = 'leads')"),
	"1||won|violation\n1|won|lead|violation", 'a write on the subscriber');
is($sub->safe_psql('postgres', q{SELECT lead_funnel.reconcile('leads'), lead_funnel.reconcile('deals')}), '0|0', 'nothing to reconcile');
$sub->safe_psql('postgres', q{SELECT lead_funnel.rebuild('leads')});
is($sub->safe_psql('postgres', $verify), '', 'verify() at the end');

# without always the triggers do not fire for the worker, and verify() says what is missing
$pub->safe_psql('postgres', q{INSERT INTO quiet VALUES (2, 'won')});
$pub->wait_for_catchup('sub');
is($sub->safe_psql('postgres', q{SELECT problem, lead FROM lead_funnel.verify('quiet')}), "lead is in the table only|1\nlead is in the table only|2", 'a funnel without always');
is($sub->safe_psql('postgres', q{SELECT lead_funnel.reconcile('quiet')}), '2', 'reconcile() mends it');

is($sub->safe_psql('postgres', q{SELECT apply_error_count, sync_error_count FROM pg_stat_subscription_stats}), '0|0', 'no worker has failed');
unlike(slurp_file($sub->logfile), qr/ (XX\d\d\d|23514|55000|23505) /, 'nor is there an error in the log');
$sub->stop;
$pub->stop;
done_testing();
