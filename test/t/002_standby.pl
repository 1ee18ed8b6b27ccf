# A streaming standby reads all views and verify() while the primary works and folds; promoted when the primary fails, it goes on.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $settings = "autovacuum = off\ntimezone = 'UTC'\nhot_standby = on\nmax_standby_streaming_delay = 10s\nhot_standby_feedback = on\nwal_receiver_status_interval = 1s\n";
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', $settings);
$primary->start;
$primary->safe_psql('postgres', q{
SET client_min_messages = warning;
CREATE EXTENSION lead_funnel;
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', source text, amount numeric);
INSERT INTO leads SELECT g, 'lead', 's' || g % 3, g FROM generate_series(1, 100) g;
SELECT lead_funnel.attach('leads', 'stage', preset => 'open', source_column => 'source', value_column => 'amount');
CREATE TABLE parts (id int, region int, status text, since timestamptz) PARTITION BY LIST (region);
CREATE TABLE parts0 PARTITION OF parts FOR VALUES IN (0);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
SELECT lead_funnel.attach('parts', 'status', preset => 'open', key_column => 'id', source_column => 'region', entered_column => 'since');
SELECT lead_funnel.create_model('m'), lead_funnel.add_rule('m', 'fit', 'source', '=', 's1', 10), lead_funnel.activate_model('m'),
	lead_funnel.set_event_type('m', 'visit', 1), lead_funnel.set_scoring('leads', 'm');
SELECT lead_funnel.record_event('leads', id, 'visit', '2026-11-01', 'v') FROM (SELECT id FROM leads ORDER BY id LIMIT 1) l;
SELECT lead_funnel.create_calendar('office', 'Europe/Berlin');
SELECT lead_funnel.set_working_hours('office', '{1,2,3,4,5}', '9:00', '17:00');
SELECT lead_funnel.add_holiday('office', '2026-12-25');
SELECT lead_funnel.set_sla('leads', 'mql', '1 hour', 'office');
});
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;

my @views = split /\n/, $primary->safe_psql('postgres', q{SELECT relname FROM pg_class
	WHERE relnamespace = 'lead_funnel'::regnamespace AND relkind = 'v' AND relname NOT LIKE '\_%' ORDER BY 1});
my $verify = q{SELECT 'leads', v FROM lead_funnel.verify('leads') v UNION ALL SELECT 'parts', v FROM lead_funnel.verify('parts') v};
# one statement, one snapshot: the stock equals the table
my $off = q{
WITH stock AS (SELECT funnel, stage, source, leads, value FROM lead_funnel.funnel_stages WHERE leads <> 0 OR value <> 0),
lead_table AS (SELECT 'leads', stage::text, source, count(*), sum(amount) FROM leads GROUP BY 2, 3
	UNION ALL SELECT 'parts', status, region::text, count(*), 0 FROM parts GROUP BY 2, 3),
flow AS (SELECT funnel, stage, source, sum(opening + entries - exits + adjustments) AS leads, sum(value_in - value_out + value_adjustments) AS value
	FROM lead_funnel.funnel_flow GROUP BY 1, 2, 3)
SELECT 'stock', * FROM (TABLE stock EXCEPT TABLE lead_table) a UNION ALL SELECT 'table', * FROM (TABLE lead_table EXCEPT TABLE stock) b
UNION ALL SELECT 'flow', * FROM (SELECT * FROM flow WHERE leads <> 0 OR value <> 0 EXCEPT TABLE stock) c};

my $script = $primary->basedir . '/work.sql';
append_to_file($script, q{
\set id random(1, 300)
\set s random(1, 11)
\set what random(1, 40)
\if :what <= 20
UPDATE leads SET stage = (enum_range)[:s], amount = amount + :s FROM (SELECT '{lead,mql,sal,sql,opportunity,won,nurture,recycled,rejected,disqualified,lost}'::lead_stage[] AS enum_range) e WHERE id = :id;
\elif :what <= 25
INSERT INTO leads VALUES (:id, 'mql', 's' || :s, :s) ON CONFLICT (id) DO UPDATE SET source = excluded.source;
\elif :what <= 28
DELETE FROM leads WHERE id = :id;
\elif :what <= 32
BEGIN;
DELETE FROM parts WHERE id = :id + 1000 * :client_id;
INSERT INTO parts VALUES (:id + 1000 * :client_id, :s % 2, 'lead');
UPDATE parts SET region = 1 - region, status = 'mql' WHERE id = :id + 1000 * :client_id;
COMMIT;
\elif :what <= 36
BEGIN;
UPDATE leads SET stage = 'won' WHERE id = :id;
SAVEPOINT s;
UPDATE leads SET stage = 'lost' WHERE id = :id;
ROLLBACK TO s;
COMMIT;
\elif :what = 37
SELECT lead_funnel.compact();
\elif :what = 38 and :id < 30
SELECT lead_funnel.rebuild('leads');
\endif
});

sub work
{
	my ($node, $clients, $transactions) = @_;
	return IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $transactions, '-f', $script, $node->connstr('postgres') ],
		'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
}

# what the query returns, if anything; nothing if it was in the way of the replay
sub read_standby
{
	my ($rc, $out, $err) = $standby->psql('postgres', shift);
	return $err =~ /conflict with recovery/ ? () : "$out$err" ne '' ? "$out$err" : ();
}

# read on the standby as long as the work goes on
sub read_during
{
	my ($run, $what) = @_;
	my ($rounds, @wrong, @complaints, @errors) = (0);
	while ($run->pumpable)
	{
		push @wrong, read_standby($off);
		push @complaints, read_standby($verify);
		push @errors, map { $_ =~ /^\d+\n\d+$/ ? () : $_ }
		  read_standby(join ';', map { "SELECT count(*) FROM lead_funnel.$_ v WHERE v IS NOT NULL" } $views[$rounds % @views], $views[($rounds + 5) % @views]);
		$rounds++;
	}
	ok($run->finish, "$what: the work is done");
	note "$rounds rounds on the standby";
	cmp_ok($rounds, '>', 1, "$what: the standby has read meanwhile");
	is_deeply(\@wrong, [], "$what: the stock equalled the table in each snapshot");
	is_deeply(\@errors, [], "$what: all views could be read");
	is_deeply(\@complaints, [], "$what: verify() was empty each time");
	return;
}
read_during(work($primary, 4, 4000), 'on the standby');

$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($primary->safe_psql('postgres', $verify), '', 'verify() on the primary');
is($primary->safe_psql('postgres', $off), '', 'stock on the primary');
for my $view (@views)
{
	# an age depends on when it is asked for
	my $list = $view eq 'stage_ageing' ? 'funnel, lead, stage, entered_at, due_at' : '*';
	my $query = "SELECT $list FROM lead_funnel.$view v ORDER BY v::text COLLATE \"C\"";
	my $there = $primary->safe_psql('postgres', $query);
	isnt($there, '', "$view has rows") unless $view eq 'rule_violations';
	is($standby->safe_psql('postgres', $query), $there, "$view on the standby");
}
cmp_ok($primary->safe_psql('postgres', q{SELECT max(generation) FROM lead_funnel.generation}), '>', 5, 'there were folds');

# it is read-only
for my $call ("lead_funnel.compact()", "lead_funnel.rebuild('leads')", "lead_funnel.reconcile('leads')", "lead_funnel.move('leads', 1, 'mql')",
	"lead_funnel.allow('leads', 'won', 'lead', true)", "lead_funnel.detach('leads')")
{
	my ($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT $call");
	like($err, qr/ERROR:  (25006|55000)/, "$call is refused on the standby");
}

# the primary fails at work, all views have been read on the standby meanwhile; promoted, that one goes on
my $have = $standby->safe_psql('postgres', 'SELECT count(*) FROM lead_funnel.journal');
my $writers = work($primary, 4, 1000000);
is(join('', read_standby("SELECT FROM lead_funnel.$_ v WHERE v IS NULL")), '', "$_ while the primary works") for @views;
$standby->poll_query_until('postgres', "SELECT count(*) > $have + 300 FROM lead_funnel.journal") or die 'no work is done';
$primary->stop('immediate');
$writers->finish;
is($standby->safe_psql('postgres', 'SELECT pg_promote()'), 't', 'promoted');
is($standby->safe_psql('postgres', $verify), '', 'verify() after promotion');
is($standby->safe_psql('postgres', $off), '', 'stock after promotion');
read_during(work($standby, 4, 500), 'on the new primary');
$standby->safe_psql('postgres', 'SELECT lead_funnel.compact()');
is($standby->safe_psql('postgres', $verify), '', 'verify() on the new primary');
is($standby->safe_psql('postgres', $off), '', 'stock on the new primary');
unlike(slurp_file($standby->logfile), qr/(PANIC|TRAP|deadlock detected)/, 'nothing bad in its log');
$standby->stop;
done_testing();
