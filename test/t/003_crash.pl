# What was committed is exact after a crash: of the server, of one backend, and
# of transactions that were prepared before it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 10\nrestart_after_crash = on\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION lead_funnel;
	CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL, source text, value numeric);
	SELECT lead_funnel.attach('leads', 'stage', preset => 'open', source_column => 'source', value_column => 'value');
	INSERT INTO leads SELECT g, 'lead', 's' || g % 4, g FROM generate_series(1, 200) AS g;
});

# The oracle: the table itself.
sub is_exact
{
	my ($when) = @_;
	is($node->safe_psql('postgres', q{SELECT * FROM lead_funnel.verify('leads')}), '', "verify after $when");
	is( $node->safe_psql('postgres', q{
			SELECT stage, source, leads, value FROM lead_funnel.funnel_stages WHERE leads <> 0 ORDER BY stage COLLATE "C", source COLLATE "C"}),
		$node->safe_psql('postgres', q{
			SELECT stage::text, source, count(*), sum(value) FROM leads GROUP BY stage::text, source ORDER BY stage::text COLLATE "C", source COLLATE "C"}),
		"stock after $when");
}

my $script = $node->basedir . '/moves.sql';
append_to_file($script, q{\set id random(1, 200)
\set s random(1, 5)
BEGIN;
UPDATE leads SET stage = (ARRAY['lead', 'mql', 'sal', 'sql', 'won'])[:s]::lead_stage, value = value + 1 WHERE id = :id;
SAVEPOINT s;
DELETE FROM leads WHERE id = :id;
ROLLBACK TO s;
COMMIT;
});

# Writers at work while the server dies
sub start_writers
{
	my ($out, $err) = ('', '');
	return IPC::Run::start(
		[ 'pgbench', '-n', '-c', '4', '-T', '60', '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', \$out, '2>', \$err);
}

sub wait_for_moves
{
	my $before = $node->safe_psql('postgres', 'SELECT max(recorded_at) FROM lead_funnel.funnel_history');
	$node->poll_query_until('postgres',
		"SELECT count(*) > 200 FROM lead_funnel.funnel_history WHERE recorded_at > '$before'") or die 'no moves';
}

my $writers = start_writers();
wait_for_moves();
$node->stop('immediate');
$writers->finish;
$node->start;
is_exact('an immediate stop');

$writers = start_writers();
wait_for_moves();
my $victim = $node->safe_psql('postgres',
	q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1});
kill 'KILL', $victim;
$writers->finish;
$node->poll_query_until('postgres', 'SELECT true') or die 'no recovery';
is_exact('the kill of a backend');

# Prepared transactions, decided after a restart
$node->safe_psql('postgres', q{BEGIN; UPDATE leads SET stage = 'nurture' WHERE id <= 10; PREPARE TRANSACTION 'yes'});
$node->safe_psql('postgres', q{BEGIN; UPDATE leads SET stage = 'lost' WHERE id > 190; PREPARE TRANSACTION 'no'});
$node->safe_psql('postgres', q{SELECT lead_funnel.compact()});
is_exact('two transactions are prepared');
$node->stop('immediate');
$node->start;
is_exact('a restart with prepared transactions');
$node->safe_psql('postgres', q{UPDATE leads SET stage = 'recycled' WHERE id = 100; SELECT lead_funnel.compact()});
$node->safe_psql('postgres', q{COMMIT PREPARED 'yes'});
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'no'});
is_exact('one is committed, one rolled back');
is($node->safe_psql('postgres', q{SELECT sum(leads) FROM lead_funnel.funnel_stages WHERE stage = 'nurture'}), '10',
	'the prepared moves count');

done_testing();
