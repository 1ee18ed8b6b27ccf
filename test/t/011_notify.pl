# What listeners are told of moves: each payload is JSON and says what the journal says, whatever has moved the lead; a logical
# subscriber tells, too.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $settings = "autovacuum = off\ntimezone = 'UTC'\nfsync = off\nwal_retrieve_retry_interval = 100ms\n";
my ($node, $sub) = map {
	my $n = PostgreSQL::Test::Cluster->new($_);
	$n->init(allows_streaming => 'logical');
	$n->append_conf('postgresql.conf', $settings);
	$n->start;
	$n
} 'main', 'subscriber';
$node->safe_psql('postgres', q{
SET client_min_messages = warning;
CREATE EXTENSION lead_funnel;
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', why text, score int, deleted boolean);
INSERT INTO leads SELECT generate_series(1, 5);
SELECT lead_funnel.attach('leads', 'stage', reason_column => 'why', score_column => 'score', excluded_column => 'deleted');
CREATE TABLE told (n int GENERATED ALWAYS AS IDENTITY, payload jsonb);
});

# what a session that listens gets while it runs this, as psql prints it
sub told
{
	my ($n, $sql) = @_;
	return $n->safe_psql('postgres', "SET client_min_messages = warning; LISTEN moves; $sql") =~ /^Asynchronous notification "moves" with payload "(.*)" received/mg;
}

is(join('', told($node, q{UPDATE leads SET stage = 'mql' WHERE id = 1})), '', 'no message of a funnel that was not asked to send any');
is(join('', told($node, q{SELECT lead_funnel.detach('leads', purge => true);
	SELECT lead_funnel.attach('leads', 'stage', reason_column => 'why', score_column => 'score', excluded_column => 'deleted');
	SELECT lead_funnel.set_notify('leads', 'moves')})), '', 'none of leads that are there when the table is attached');

my @payloads = told($node, q{
SELECT lead_funnel.allow('leads', 'sal', 'sql', min_score => 10, check_at => 'commit');
UPDATE leads SET stage = 'sal' WHERE id = 1;
SELECT lead_funnel.undo_move('leads', 1);
SELECT lead_funnel.accept('leads', 1);
UPDATE leads SET deleted = true WHERE id = 2;
UPDATE leads SET deleted = false, stage = 'mql' WHERE id = 2;
BEGIN; SET LOCAL lead_funnel.override = 'board'; UPDATE leads SET stage = 'won' WHERE id = 3; COMMIT;
BEGIN; SET LOCAL lead_funnel.override = 'board'; UPDATE leads SET stage = 'sql' WHERE id = 1; COMMIT;
SELECT lead_funnel.set_mode('leads', 'observe');
UPDATE leads SET stage = 'opportunity' WHERE id = 2;
ALTER TABLE leads DISABLE TRIGGER USER; UPDATE leads SET stage = 'lost' WHERE id = 2; ALTER TABLE leads ENABLE TRIGGER USER;
SELECT lead_funnel.reconcile('leads');
SELECT lead_funnel.set_mode('leads', 'enforce');
UPDATE leads SET id = 40 WHERE id = 4;
UPDATE leads SET score = 3;
DELETE FROM leads WHERE id = 5;
TRUNCATE leads;
});
for my $payload (@payloads)
{
	(my $quoted = $payload) =~ s/'/''/g;
	$node->safe_psql('postgres', "INSERT INTO told (payload) VALUES ('$quoted')");
}
my $columns = q{funnel, lead, move, from_stage, to_stage, effective_at, origin, undoes};
my $told = q{SELECT payload->>'funnel', payload->>'lead', (payload->>'move')::int, payload->>'from', payload->>'to', (payload->>'at')::timestamptz, payload->>'origin', (payload->>'undoes')::int FROM told};
is($node->safe_psql('postgres', "SELECT (SELECT count(*) FROM told) - (SELECT count(*) FROM lead_funnel.funnel_history WHERE origin <> 'backfill'), "
	. "(SELECT count(*) FROM (SELECT $columns FROM lead_funnel.funnel_history WHERE origin <> 'backfill' EXCEPT $told) x)"), '0|0', 'each row of funnel_history has been told, and nothing else');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT payload->>'origin', ' ' ORDER BY payload->>'origin') FROM told}),
	'delete exclude override reconcile truncate undo violation write', 'moves of these origins');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT (payload->>'at')::timestamptz < lag((payload->>'at')::timestamptz) OVER (ORDER BY n) AS back FROM told) x WHERE back}), 0, 'in their order');

# up to 1000 moves of a transaction are told one by one, each once
is(scalar(() = told($node, 'INSERT INTO leads SELECT generate_series(101, 1100)')), 1000, '1000 moves are told one by one');
is_deeply([ told($node, 'INSERT INTO leads SELECT generate_series(2001, 3001)') ], ['{"funnel": "leads", "moves": 1001}'], '1001 moves are told as a number');
# many savepoints, each of which moves a lead
is(scalar(() = told($node, q{DO $$ BEGIN FOR i IN 4001 .. 4700 LOOP BEGIN INSERT INTO leads VALUES (i); IF i % 7 = 0 THEN RAISE division_by_zero; END IF; EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$})),
	600, 'those of savepoints, if they were not rolled back');

# a table that is dropped
is_deeply([ map { s/"at": "[^"]*"/"at": "x"/r } told($node, 'DROP TABLE leads') ],
	['{"funnel": "leads", "lead": null, "move": 2, "from": null, "to": null, "at": "x", "origin": "truncate"}'], 'a table that is dropped');

# a logical subscriber tells of what it applies, in the order in which it does
$_->safe_psql('postgres', 'SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS lead_funnel; CREATE TABLE deals (id int PRIMARY KEY, stage lead_stage)') for $node, $sub;
$sub->safe_psql('postgres', q{SELECT lead_funnel.attach('deals', 'stage', always => true); SELECT lead_funnel.set_notify('deals', 'moves')});
$node->safe_psql('postgres', 'CREATE PUBLICATION pub FOR TABLE deals');
$sub->safe_psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '" . $node->connstr . " dbname=postgres' PUBLICATION pub");
$sub->wait_for_subscription_sync($node, 'sub');
# listens, then looks until the last row is here
my ($out, $err) = ('', '');
my $listener = IPC::Run::start([ 'psql', '-X', '-q', '-d', $sub->connstr('postgres'), '-c', 'LISTEN moves', '-c',
	q{DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM deals WHERE id = 3) LOOP PERFORM pg_sleep(0.05); END LOOP; END $$} ], '>', \$out, '2>', \$err);
$sub->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DO $$ BEGIN WHILE%'}) or die;
$node->safe_psql('postgres', $_) for q{INSERT INTO deals VALUES (1, 'lead')}, q{UPDATE deals SET stage = 'mql'}, q{UPDATE deals SET stage = 'won'}, q{INSERT INTO deals VALUES (2, 'lead')},
	q{BEGIN; INSERT INTO deals VALUES (3, 'lead'), (4, 'lead'); COMMIT};
$listener->finish;
is($err, '', 'the listener on the subscriber');
is_deeply([ map { s/"at": "[^"]*", //r } $out =~ /with payload "(.*)" received/g ], [ map { qq({"funnel": "deals", $_}) }
	'"lead": "1", "move": 1, "from": null, "to": "lead", "origin": "replicated"', '"lead": "1", "move": 2, "from": "lead", "to": "mql", "origin": "replicated"',
	'"lead": "1", "move": 3, "from": "mql", "to": "won", "origin": "violation"', '"lead": "2", "move": 1, "from": null, "to": "lead", "origin": "replicated"',
	'"lead": "3", "move": 1, "from": null, "to": "lead", "origin": "replicated"', '"lead": "4", "move": 1, "from": null, "to": "lead", "origin": "replicated"' ],
	'what a subscriber applies is told, in the order of commits');
done_testing();
