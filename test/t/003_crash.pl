# A crash loses nothing and invents nothing: immediate stop, a killed server and a killed backend among writers, prepared transactions.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"autovacuum = off\ntimezone = 'UTC'\nmax_prepared_transactions = 10\nrestart_after_crash = on\nsynchronous_commit = off\nwal_writer_delay = 1ms\n");
$node->start;
$node->safe_psql('postgres', q{
SET client_min_messages = warning;
CREATE EXTENSION lead_funnel;
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', source text, amount numeric);
INSERT INTO leads SELECT g, 'lead', 's' || g % 3, g FROM generate_series(1, 200) g;
SELECT lead_funnel.attach('leads', 'stage', preset => 'open', source_column => 'source', value_column => 'amount');
CREATE TABLE parts (id text, region int, status text, since timestamptz) PARTITION BY LIST (region);
CREATE TABLE parts0 PARTITION OF parts FOR VALUES IN (0);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
SELECT lead_funnel.attach('parts', 'status', preset => 'open', key_column => 'id', source_column => 'region', entered_column => 'since');
});

my $verify = q{SELECT 'leads', v FROM lead_funnel.verify('leads') v UNION ALL SELECT 'parts', v FROM lead_funnel.verify('parts') v};
my $off = q{
WITH stock AS (SELECT funnel, stage, source, leads, value FROM lead_funnel.funnel_stages WHERE leads <> 0 OR value <> 0),
lead_table AS (SELECT 'leads', stage::text, source, count(*), sum(amount) FROM leads GROUP BY 2, 3
	UNION ALL SELECT 'parts', status, region::text, count(*), 0 FROM parts GROUP BY 2, 3)
SELECT 'stock', * FROM (TABLE stock EXCEPT TABLE lead_table) a UNION ALL SELECT 'table', * FROM (TABLE lead_table EXCEPT TABLE stock) b};

sub healthy
{
	my $what = shift;
	is($node->safe_psql('postgres', $verify), '', "$what: verify()");
	is($node->safe_psql('postgres', $off), '', "$what: stock equals table");
	return;
}

my $script = $node->basedir . '/work.sql';
append_to_file($script, q{
\set id random(1, 400)
\set s random(1, 11)
\set what random(1, 30)
\if :what <= 12
UPDATE leads SET stage = (stages)[:s], amount = amount + :s FROM (SELECT '{lead,mql,sal,sql,opportunity,won,nurture,recycled,rejected,disqualified,lost}'::lead_stage[] AS stages) e WHERE id = :id;
\elif :what <= 18
INSERT INTO leads VALUES (:id, 'mql', 's' || :s, :s) ON CONFLICT (id) DO UPDATE SET source = excluded.source, stage = 'sal';
\elif :what <= 20
DELETE FROM leads WHERE id = :id;
\elif :what <= 26
BEGIN;
DELETE FROM parts WHERE id = 'c' || :client_id || '.' || :id;
INSERT INTO parts VALUES ('c' || :client_id || '.' || :id, :s % 2, 'lead');
SAVEPOINT s;
UPDATE parts SET region = 1 - region, status = 'mql' WHERE id = 'c' || :client_id || '.' || :id;
RELEASE SAVEPOINT s;
COMMIT;
\elif :what <= 28
SELECT lead_funnel.compact();
\elif :what = 29 and :id < 40
SELECT lead_funnel.rebuild('leads');
\elif :what = 30 and :id < 20
TRUNCATE parts;
\endif
});

sub start_work
{
	return IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 1000000, '-f', $script, $node->connstr('postgres') ],
		'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
}

# wait until so many journal rows have come
sub wait_for_rows
{
	my $more = shift;
	my $have = $node->safe_psql('postgres', 'SELECT count(*) FROM lead_funnel.journal');
	$node->poll_query_until('postgres', "SELECT count(*) > $have + $more FROM lead_funnel.journal") or die 'no work is done';
	return;
}

# not $node->start: it takes the file that a killed server leaves behind for a running one; backends have to notice and end first
sub start_at_once
{
	my @start = ('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start');
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return $node->_update_pid(1) if system_log(@start) == 0;
		select undef, undef, undef, 0.1;
	}
	die 'the server does not start';
}

# these are of all three crashes
$node->safe_psql('postgres', q{
BEGIN; INSERT INTO leads SELECT g, 'lead', 'load', 1 FROM generate_series(5001, 5010) g; UPDATE leads SET stage = 'mql' WHERE id > 5005; PREPARE TRANSACTION 'load1';
BEGIN; INSERT INTO leads SELECT g, 'lead', 'load', 1 FROM generate_series(5011, 5020) g; UPDATE leads SET stage = 'mql' WHERE id > 5015; PREPARE TRANSACTION 'load2';
});
for my $round (1 .. 3)
{
	my $run = start_work();
	wait_for_rows(300 * $round);
	$node->safe_psql('postgres', 'CHECKPOINT') if $round == 2;
	if ($round == 3)
	{
		$node->kill9;
		start_at_once();
		$run->finish;
		healthy('killed server');
		next;
	}
	$node->stop('immediate');
	$run->finish;
	$node->start;
	healthy("immediate stop $round");
}
$node->safe_psql('postgres', q{COMMIT PREPARED 'load1'; ROLLBACK PREPARED 'load2'});
healthy('prepared before, ended after three crashes');
is($node->safe_psql('postgres', q{SELECT stage, sum(leads) FROM lead_funnel.funnel_stages WHERE funnel = 'leads' AND source = 'load' GROUP BY 1 ORDER BY 1}), "lead|5\nmql|5", 'what was committed counts');
$node->safe_psql('postgres', q{DELETE FROM leads WHERE id > 5000});

# one backend is killed, the others are thrown out
my $run = start_work();
wait_for_rows(300);
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY state = 'active' DESC, pid LIMIT 1});
kill 'KILL', $pid;
$run->finish;
$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
healthy('killed backend');
like(slurp_file($node->logfile), qr/\(PID $pid\) was terminated by signal 9/, 'the server has noticed');

# prepared transactions outlive a crash; folds and rebuilds meanwhile must neither count nor miss them
$node->safe_psql('postgres', q{DELETE FROM parts; DELETE FROM leads WHERE id > 100; INSERT INTO leads SELECT g, 'lead', 'p', 1 FROM generate_series(1001, 1010) g;
	INSERT INTO parts VALUES ('p1', 0, 'lead'), ('p2', 1, 'lead')});
$node->safe_psql('postgres', q{
BEGIN;
UPDATE leads SET stage = 'mql' WHERE id IN (1001, 1002);
SAVEPOINT a;
UPDATE leads SET stage = 'won' WHERE id = 1002;
ROLLBACK TO a;
UPDATE parts SET region = 1, status = 'mql' WHERE id = 'p1';
INSERT INTO leads VALUES (2001, 'lead', 'p', 1);
PREPARE TRANSACTION 'kept';
BEGIN;
UPDATE leads SET stage = 'lost', amount = 77 WHERE id = 1003;
DELETE FROM parts WHERE id = 'p2';
INSERT INTO leads VALUES (2002, 'lead', 'p', 1);
PREPARE TRANSACTION 'dropped';
BEGIN;
UPDATE leads SET id = 3004 WHERE id = 1004;
PREPARE TRANSACTION 'renamed';
UPDATE leads SET stage = 'sal' WHERE id = 1005;
SELECT lead_funnel.compact();
UPDATE leads SET stage = 'sal' WHERE id = 1006;
});
healthy('prepared');
$node->stop('immediate');
$node->start;
healthy('prepared, after a crash');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), '3', 'all three are there');
$node->safe_psql('postgres', q{SELECT lead_funnel.compact(); SELECT lead_funnel.rebuild('leads')});
$node->safe_psql('postgres', q{COMMIT PREPARED 'kept'; ROLLBACK PREPARED 'dropped'; UPDATE leads SET stage = 'mql' WHERE id = 1003});
healthy('committed and rolled back');
$node->safe_psql('postgres', q{SELECT lead_funnel.rebuild('parts'); SELECT lead_funnel.compact(); COMMIT PREPARED 'renamed'; SELECT lead_funnel.compact()});
healthy('all done');
is($node->safe_psql('postgres', q{SELECT lead, to_stage FROM lead_funnel.funnel_history WHERE funnel = 'leads' AND lead_id IN (1002, 1003, 1004, 2001, 2002, 3004) ORDER BY lead_id, move}),
	"1002|lead\n1002|mql\n1003|lead\n1003|mql\n2001|lead\n3004|lead", 'history of the prepared transactions');
# a truncate that is prepared, and one that is rolled back
$node->safe_psql('postgres', q{BEGIN; INSERT INTO leads VALUES (4001, 'lead', 'p', 1); TRUNCATE leads; INSERT INTO leads VALUES (4002, 'mql', 'p', 1); PREPARE TRANSACTION 'truncate'});
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{COMMIT PREPARED 'truncate'; UPDATE leads SET stage = 'sal'});
healthy('a truncate that was prepared');
is($node->safe_psql('postgres', q{SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'leads'}), 'sal|1', 'one lead is left');
$node->safe_psql('postgres', q{BEGIN; TRUNCATE leads, parts; INSERT INTO leads VALUES (4002, 'mql', 'p', 1); PREPARE TRANSACTION 'truncate'; ROLLBACK PREPARED 'truncate'; UPDATE leads SET stage = 'sql'});
healthy('a prepared truncate that was rolled back');

# indexes of the journal after all this
is($node->safe_psql('postgres', q{SET enable_seqscan = off; SELECT count(*) FROM lead_funnel.journal WHERE lead_id IS NOT NULL}),
	$node->safe_psql('postgres', q{SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; SELECT count(*) FROM lead_funnel.journal WHERE lead_id IS NOT NULL}),
	'index and table of the journal agree');
unlike(slurp_file($node->logfile), qr/(PANIC:|TRAP:|deadlock detected|XX\d\d\d)/, 'nothing bad in the log');
$node->stop;
done_testing();
