# A dump brings rules and history back; the statistics are derived anew from
# the journal, in whatever order the tables are loaded.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $dir = $node->backup_dir;
mkdir $dir;

$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', q{
	CREATE EXTENSION lead_funnel;
	-- integer keys, own type
	CREATE TABLE leads (id bigint PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', source text, value numeric);
	SELECT lead_funnel.attach('leads', 'stage', source_column => 'source', value_column => 'value', timezone => 'Europe/Berlin');
	INSERT INTO leads SELECT g, 'lead', 's' || g % 3, g FROM generate_series(1, 60) AS g;
	UPDATE leads SET stage = 'mql' WHERE id <= 40;
	UPDATE leads SET stage = 'sal' WHERE id <= 20;
	UPDATE leads SET source = 'moved' WHERE id % 7 = 0;
	DELETE FROM leads WHERE id IN (5, 50);
	INSERT INTO leads VALUES (5, 'lead', 'again', 1);
	SELECT lead_funnel.compact();
	UPDATE leads SET stage = 'sql' WHERE id <= 4;
	SELECT lead_funnel.allow('leads', 'sal', 'opportunity', requires_reason => true, note => 'fast track');
	-- text keys, mapped status
	CREATE TABLE contacts (code text PRIMARY KEY, status text);
	SELECT lead_funnel.attach('contacts', 'status', stage_map => '{"lead": ["New", null], "mql": ["Hot"]}', mode => 'observe');
	INSERT INTO contacts VALUES ('a', 'New'), ('b', NULL), ('c', 'Hot');
	TRUNCATE contacts;
	INSERT INTO contacts VALUES ('a', 'Hot'), ('d', 'won');
	-- partitions
	CREATE TABLE parted (id int, region text, stage lead_stage NOT NULL, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
	CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a');
	CREATE TABLE parted_b PARTITION OF parted FOR VALUES IN ('b');
	SELECT lead_funnel.attach('parted', 'stage', key_column => 'id', source_column => 'region');
	INSERT INTO parted SELECT g, CASE WHEN g % 2 = 0 THEN 'a' ELSE 'b' END, 'lead' FROM generate_series(1, 10) AS g;
	UPDATE parted SET region = 'a' WHERE id = 1;
	-- a detached one keeps its history
	CREATE TABLE gone (id int PRIMARY KEY, stage lead_stage);
	SELECT lead_funnel.attach('gone', 'stage');
	INSERT INTO gone VALUES (1, 'lead');
	SELECT lead_funnel.detach('gone');
});

# Everything that the views say.
sub contents
{
	my ($db) = @_;
	return join "\n", map {
		$node->safe_psql($db, "SELECT t FROM (SELECT * FROM lead_funnel.$_) AS t ORDER BY t::text COLLATE \"C\"")
	} qw(funnels funnel_rules funnel_stages funnel_flow funnel_daily funnel_history lead_visits lead_milestones);
}

sub complaints
{
	my ($db) = @_;
	return $node->safe_psql($db, q{
		SELECT f.funnel, v.* FROM lead_funnel.funnels AS f, lead_funnel.verify(f.funnel) AS v});
}

my $original = contents('original');
is(complaints('original'), '', 'the original is healthy');

sub check_restored
{
	my ($db, $how) = @_;
	is(contents($db), $original, "$how: the views say what the original's say");
	is(complaints($db), '', "$how: verify finds nothing");
	my ($rc, $out, $err) = $node->psql($db, q{UPDATE leads SET stage = 'won' WHERE id = 10});
	like($err, qr/lead_funnel_transition/, "$how: the rules are in force");
	$node->safe_psql($db, q{
		UPDATE leads SET stage = 'mql' WHERE id = 60;
		INSERT INTO contacts VALUES ('e', 'Hot');
		INSERT INTO parted VALUES (11, 'b', 'lead');
		UPDATE parted SET region = 'b' WHERE id = 2;
		TRUNCATE parted_a;
		CREATE TABLE fresh (id int PRIMARY KEY, stage lead_stage);
		SELECT lead_funnel.attach('fresh', 'stage');
		INSERT INTO fresh VALUES (1, 'lead');
	});
	is(complaints($db), '', "$how: the funnels go on");
}

my $connect = $node->connstr('original');
command_ok([ 'pg_dump', '-f', "$dir/plain.sql", '-d', $connect ], 'plain dump');
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", '-d', $connect ], 'custom dump');
command_ok([ 'pg_dump', '-Fd', '-j2', '-f', "$dir/directory", '-d', $connect ], 'directory dump');

$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(plain custom parallel data_only);
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain.sql", '-d', $node->connstr('plain') ], 'plain restore');
check_restored('plain', 'plain');
command_ok([ 'pg_restore', '-e', '-d', $node->connstr('custom'), "$dir/custom" ], 'custom restore');
check_restored('custom', 'custom');
command_ok([ 'pg_restore', '-e', '-j4', '-d', $node->connstr('parallel'), "$dir/directory" ], 'parallel restore');
check_restored('parallel', 'parallel');

# Data only, triggers off: the journal comes back, the statistics do not, and
# verify says so.
command_ok([ 'pg_restore', '-e', '--schema-only', '-d', $node->connstr('data_only'), "$dir/custom" ], 'schema-only restore');
command_ok([ 'pg_restore', '-e', '--data-only', '--disable-triggers', '-d', $node->connstr('data_only'), "$dir/custom" ],
	'data-only restore with triggers off');
isnt(complaints('data_only'), '', 'without statistics, verify says so');
$node->safe_psql('data_only', q{SELECT lead_funnel.rebuild(funnel) FROM lead_funnel.funnels});
check_restored('data_only', 'data only, rebuilt');

done_testing();
