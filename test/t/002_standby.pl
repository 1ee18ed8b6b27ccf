# A standby reads what the primary has, folds or no folds, and goes on when it
# is promoted.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION lead_funnel;
	CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL, source text);
	SELECT lead_funnel.attach('leads', 'stage', source_column => 'source');
	INSERT INTO leads SELECT g, 'lead', 's' || g % 3 FROM generate_series(1, 50) AS g;
});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

my @views = qw(funnels funnel_rules funnel_stages funnel_flow funnel_daily funnel_history lead_visits lead_milestones
  rule_violations);

sub contents
{
	my ($node) = @_;
	return join "\n", map {
		$node->safe_psql('postgres', "SELECT t FROM (SELECT * FROM lead_funnel.$_) AS t ORDER BY t::text COLLATE \"C\"")
	} @views;
}

sub is_the_same
{
	my ($when) = @_;
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	is(contents($standby), contents($primary), "standby and primary agree $when");
	is($standby->safe_psql('postgres', q{SELECT * FROM lead_funnel.verify('leads')}), '', "verify on the standby $when");
	is($standby->safe_psql('postgres', q{SELECT triggers_ok FROM lead_funnel.funnel_health}), 't', "health on the standby $when");
}

is_the_same('after the base backup');
$primary->safe_psql('postgres', q{UPDATE leads SET stage = 'mql' WHERE id <= 30});
is_the_same('after moves');
$primary->safe_psql('postgres', q{SELECT lead_funnel.compact(); UPDATE leads SET stage = 'sal' WHERE id <= 10});
is_the_same('after a fold and moves');

# a writer that is open across the fold
my $writer = $primary->background_psql('postgres');
$writer->query_safe(q{BEGIN; UPDATE leads SET stage = 'nurture' WHERE id > 45});
$primary->safe_psql('postgres', q{UPDATE leads SET source = 'late' WHERE id = 1; SELECT lead_funnel.compact()});
is_the_same('beside an open writer');
$writer->query_safe(q{COMMIT});
$writer->quit;
is_the_same('after it has committed');

my ($rc, $out, $err) = $standby->psql('postgres', q{UPDATE leads SET stage = 'won'});
like($err, qr/read-only/, 'a standby is read-only');

$primary->stop;
$standby->promote;
$standby->safe_psql('postgres', q{
	UPDATE leads SET stage = 'sql' WHERE id <= 5;
	INSERT INTO leads VALUES (51, 'lead', 'new');
	SELECT lead_funnel.compact();
});
is($standby->safe_psql('postgres', q{SELECT * FROM lead_funnel.verify('leads')}), '', 'verify after the promotion');
is($standby->safe_psql('postgres', q{SELECT sum(leads) FROM lead_funnel.funnel_stages}), '51', 'all leads count after the promotion');

done_testing();
