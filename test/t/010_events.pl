# Sixteen clients record, replay, correct and delete events of a few leads, some of it rolled back; afterwards each lead's
# engagement is what its events add up to, by a fold in plain SQL that knows nothing of ours.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', join "\n",
	'autovacuum = off', "timezone = 'UTC'", 'fsync = off', 'max_connections = 40', 'deadlock_timeout = 100ms', "log_line_prefix = '%m [%p] %e '", '');
$node->start;
$node->safe_psql('postgres', q{
SET client_min_messages = warning;
CREATE EXTENSION lead_funnel;
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', week engagement, quarter engagement);
INSERT INTO leads SELECT generate_series(1, 12);
SELECT lead_funnel.attach('leads', 'stage');
SELECT lead_funnel.create_model('m'), lead_funnel.set_scoring('leads', 'm');
-- the type of an event follows from its number: t0 and t1 without a cap, t2 once, t3 twice a day, t4 with another half-life
SELECT lead_funnel.set_event_type('m', 't0', 1), lead_funnel.set_event_type('m', 't1', -2.5), lead_funnel.set_event_type('m', 't2', 5, max_count => 1),
	lead_funnel.set_event_type('m', 't3', 3, max_count => 2, per => 'day'), lead_funnel.set_event_type('m', 't4', 40, '90 days');
SELECT lead_funnel.set_engagement_column('leads', 'week'), lead_funnel.set_engagement_column('leads', 'quarter', '90 days');
CREATE FUNCTION happened(n int) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT '2026-11-01 00:00+00'::timestamptz + (n * 7919 % 20000) * interval '1 minute' $$;
});

my $dir = PostgreSQL::Test::Utils::tempdir;
my %script = (
	record => q{SELECT lead_funnel.record_event('leads', :n % 12 + 1, 't' || :n % 5, happened(:n), 'e' || :n, 'web')},
	delete => q{SELECT lead_funnel.delete_event('leads', 'e' || :n, 'web')},
	correct => q{SELECT lead_funnel.correct_event('leads', 'e' || :n, 'web', at => happened(:n + 1), points => CASE WHEN :n % 5 < 2 THEN :n % 7 END)},
	retype => q{SELECT lead_funnel.correct_event('leads', 'e' || :n, 'web', event_type => 't' || :n % 5)},
	bulk => q{SELECT lead_funnel.record_events('leads', ARRAY[:n % 12 + 1, :n % 12 + 1]::text[], ARRAY['t' || :n % 5, 't0'], ARRAY[happened(:n), happened(:n + 3)], ARRAY['e' || :n, 'b' || :n], 'web')},
	undone => q{BEGIN; SAVEPOINT s; SELECT lead_funnel.record_event('leads', :n % 12 + 1, 't' || :n % 5, happened(:n), 'e' || :n, 'web'); ROLLBACK TO s;
		SELECT lead_funnel.record_event('leads', :n % 12 + 1, 't' || :n % 5, happened(:n), 'e' || :n, 'web'); },
	renewed => q{UPDATE leads SET stage = CASE stage WHEN 'lead' THEN 'mql' ELSE 'nurture' END::lead_stage WHERE id = :n % 12 + 1 AND stage IN ('lead', 'nurture')});
$script{undone} =~ s/\s*$/ ROLLBACK/;
for my $name (keys %script)
{
	(my $sql = $script{$name}) =~ s/\s*\n\s*/ /g;
	open my $f, '>', "$dir/$name" or die;
	print $f "\\set n random(1, 400)\n$sql;\n";
	close $f;
}

my @outputs;

sub pgbench
{
	my ($isolation, $clients, $transactions) = @_;
	my $out = '';
	push @outputs, \$out;
	local $ENV{PGOPTIONS} = "-c default_transaction_isolation=$isolation";
	return IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-t', $transactions, '--max-tries=1000', '-h', $node->host, '-p', $node->port,
		(map { my ($k, $w) = split /=/; ('-f', "$dir/$k\@$w") } qw(record=10 delete=2 correct=2 retype=1 bulk=2 undone=1 renewed=1)), 'postgres' ],
		'>', \$out, '2>', \$out);
}

sub differing
{
	my ($column, $half_life) = @_;
	return $node->safe_psql('postgres', qq{
		WITH counted AS (
			SELECT e.*, row_number() OVER (PARTITION BY lead_id, event_type, bucket ORDER BY happened_at, external_id, source) AS n
			FROM lead_funnel.event AS e),
		sums AS (
			SELECT lead_id, sum(points * power(2::numeric, ((extract(epoch FROM happened_at) - 1796083200) / half_life))) AS points, sum(abs(points)) AS size
			FROM counted WHERE half_life = $half_life AND n <= coalesce(max_count, n) GROUP BY lead_id)
		SELECT l.id, l.$column, s.points FROM leads AS l LEFT JOIN sums AS s ON s.lead_id = l.id
		WHERE (l.$column IS NULL) <> (s.points IS NULL) OR abs(points_at(l.$column, '2026-12-01 00:00+00') - s.points) > 1e-9 * s.size});
}

for my $round (1 .. 2)
{
	my @runs = map { pgbench(@$_) } ([ 'read\ committed', 10, 60 ], [ 'repeatable\ read', 3, 40 ], [ 'serializable', 3, 40 ]);
	my @failed = grep { !IPC::Run::finish($_) } @runs;
	is(scalar(@failed), 0, "round $round: nobody fails") or diag map { $$_ } @outputs;
	cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM lead_funnel.event'), '>', 150, 'there are events');
	is(differing('week', 604800), '', 'the engagement of each lead is that of its events');
	is(differing('quarter', 7776000), '', 'with the other half-life, too');
	is($node->safe_psql('postgres', "SELECT * FROM lead_funnel.verify_engagement('leads')"), '', 'as verify_engagement says');
	is($node->safe_psql('postgres', "SELECT * FROM lead_funnel.verify('leads')"), '', 'and the funnel is right');
}

# all of it again, twice: nothing changes
my $before = $node->safe_psql('postgres', 'SELECT * FROM leads ORDER BY id');
$node->safe_psql('postgres', q{
	SELECT lead_funnel.record_events('leads', array_agg(lead), array_agg(event_type), array_agg(happened_at), array_agg(external_id), 'web')
	FROM lead_funnel.lead_events, generate_series(1, 2)});
is($node->safe_psql('postgres', 'SELECT * FROM leads ORDER BY id'), $before, 'replaying all events twice changes nothing');

# a lead that is deleted and comes back has its events again; so has one whose column was emptied
$node->safe_psql('postgres', q{
	DELETE FROM leads WHERE id = 1; INSERT INTO leads VALUES (1); UPDATE leads SET week = NULL WHERE id = 2;
	SELECT lead_funnel.record_event('leads', g, t, '2026-11-20', 'back' || g || t) FROM generate_series(1, 2) AS g, unnest('{t0,t4}'::text[]) AS t});
is(differing('week', 604800) . differing('quarter', 7776000), '', 'a column that was empty is folded anew');

my $log = slurp_file($node->logfile);
unlike($log, qr/ 40P01 /, 'no deadlock');
unlike($log, qr/ (?:XX|23505)/, 'no internal error, no duplicate');
$node->stop;
done_testing();
