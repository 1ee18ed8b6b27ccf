# Eight clients do what they like, folds and rebuilds in between; after each round the numbers must agree.
# LEAD_FUNNEL_SEED repeats a run's statements (not their timing); LEAD_FUNNEL_ROUNDS makes it longer.
#
# Each transaction takes its row locks in one order: table leads before table parts, ascending keys. So a deadlock, if there
# is one, is the extension's; but for two sessions that give up and take one key of parts, where the unique index is not on the
# key alone (see doc/operations.md).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{LEAD_FUNNEL_SEED} || int(rand(2**31));
my $rounds = $ENV{LEAD_FUNNEL_ROUNDS} || 4;
diag "seed $seed";
srand($seed);

my ($clients, $transactions, $keys) = (8, 100, 150);
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', join "\n",
	'autovacuum = off', "timezone = 'UTC'", 'deadlock_timeout = 100ms', "log_line_prefix = '%m [%p] %e '", 'max_connections = 40', 'fsync = off',
	'shared_buffers = 64MB', 'log_statement = none', 'statement_timeout = 0', 'lock_timeout = 0', "default_transaction_isolation = 'read committed'", '');
$node->start;
$node->safe_psql('postgres', q{
SET client_min_messages = warning;
CREATE EXTENSION lead_funnel;
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', source text, owner text, amount numeric, since timestamptz, deleted boolean);
SELECT lead_funnel.attach('leads', 'stage', source_column => 'source', owner_column => 'owner', value_column => 'amount', entered_column => 'since', excluded_column => 'deleted');
SELECT lead_funnel.allow('leads', 'won', 'lead'), lead_funnel.allow('leads', 'disqualified', 'mql'), lead_funnel.allow('leads', 'mql', 'rejected');
-- the key alone has no unique index here
CREATE TABLE parts (region int, id text, status text, currency char(3), PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE parts0 PARTITION OF parts FOR VALUES IN (0);
CREATE TABLE parts1 (junk int, currency char(3), status text, id text NOT NULL, region int NOT NULL);
ALTER TABLE parts1 DROP COLUMN junk;
ALTER TABLE parts ATTACH PARTITION parts1 FOR VALUES IN (1);
CREATE TABLE parts2 PARTITION OF parts FOR VALUES IN (2, 3) PARTITION BY LIST (region);
CREATE TABLE parts2a PARTITION OF parts2 FOR VALUES IN (2);
CREATE TABLE parts2b PARTITION OF parts2 FOR VALUES IN (3);
SELECT lead_funnel.attach('parts', 'status', key_column => 'id', preset => 'open', segment_column => 'region', currency_column => 'currency',
	stage_map => '{"lead": ["New", null], "won": ["Closed Won"]}');
CREATE TABLE tmp_lock (a int, b int);
});

# DDL elsewhere in the database does not wait for a lead table that somebody has locked
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE leads, parts IN ACCESS EXCLUSIVE MODE');
for my $ddl ('CREATE TEMP TABLE t (a int, b int); DROP TABLE t', 'ALTER TABLE tmp_lock RENAME b TO c; ALTER TABLE tmp_lock DROP COLUMN c', 'CREATE VIEW v AS SELECT 1; DROP VIEW v',
	'CREATE TABLE pt (a int) PARTITION BY LIST (a); CREATE TABLE pt1 PARTITION OF pt FOR VALUES IN (1); ALTER TABLE pt DETACH PARTITION pt1; DROP TABLE pt, pt1', 'DROP TABLE tmp_lock')
{
	my ($rc, $out, $err) = $node->psql('postgres', "SET lock_timeout = '3s'; $ddl");
	is($rc, 0, "while the lead tables are locked: $ddl") or diag $err;
}
$holder->query_safe('ROLLBACK');
$holder->quit;

my @stages = qw(lead mql sal sql opportunity won nurture recycled rejected disqualified lost);
sub any { return $_[ rand @_ ]; }
sub lit { my $v = shift; return defined $v ? "'$v'" : 'NULL'; }

# one statement on leads with keys from $k on; returns it and the last key that it touches
sub on_leads
{
	my $k = shift;
	my $what = rand;
	my $stage = any(@stages, ('mql') x 3, ('lead') x 3);
	my $source = lit(any('web', 'fair', 'web', '', undef));
	return ("UPDATE leads SET stage = '$stage' WHERE id = $k", $k) if $what < .30;
	return ("UPDATE leads SET source = $source, amount = amount + 1 WHERE id = $k", $k) if $what < .40;
	return ("INSERT INTO leads VALUES ($k, '" . any('lead', 'mql', 'lead', 'won') . "', $source, 'o" . int(rand 3) . "', " . int(rand 100) . ')', $k) if $what < .52;
	return ("INSERT INTO leads (id, stage, source, amount) VALUES ($k, 'lead', $source, 5), (" . ($k + 1) . ", 'mql', $source, NULL) "
		. "ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, owner = 'upsert'", $k + 1) if $what < .62;
	return ("DELETE FROM leads WHERE id = $k", $k) if $what < .69;
	return ("UPDATE leads SET deleted = " . any('true', 'false', 'NULL') . " WHERE id = $k", $k) if $what < .74;
	# locked in the order of keys first
	return ("UPDATE leads SET stage = '" . any(@stages) . "', owner = 'bulk' WHERE id = ANY (ARRAY(SELECT id FROM leads WHERE id BETWEEN $k AND " . ($k + 6)
		. ' ORDER BY id FOR NO KEY UPDATE))', $k + 6) if $what < .82;
	return ("SELECT lead_funnel.move('leads', $k, '$stage', note => 'm')", $k) if $what < .90;
	return ("WITH gone AS (DELETE FROM leads WHERE id = $k RETURNING *) INSERT INTO leads SELECT id, 'lead', source, owner, amount FROM gone", $k) if $what < .94;
	return ("MERGE INTO leads l USING (VALUES ($k)) v (id) ON l.id = v.id WHEN MATCHED AND l.stage = 'won' THEN DELETE WHEN MATCHED THEN UPDATE SET stage = '$stage' "
		. "WHEN NOT MATCHED THEN INSERT (id, stage) VALUES (v.id, 'mql')", $k) if $what < .98;
	return ("SELECT 1 / 0", $k);
}

sub on_parts
{
	my $k = shift;
	my $key = sprintf 'k%03d', $k;
	my $what = rand;
	my $status = lit(any('New', 'mql', 'MQL', 'sal', 'Closed Won', 'lost', undef));
	my $region = int rand 4;
	return ("INSERT INTO parts VALUES ($region, '$key', $status, 'EUR')", $k) if $what < .22;
	return ("UPDATE parts SET status = $status WHERE id = '$key'", $k) if $what < .42;
	return ("UPDATE parts SET region = $region WHERE id = '$key'", $k) if $what < .57;
	return ("UPDATE parts SET region = $region, status = $status, currency = '" . any('EUR', 'USD') . "' WHERE id = '$key'", $k) if $what < .70;
	return ("DELETE FROM parts WHERE id = '$key'", $k) if $what < .78;
	return ("INSERT INTO " . any('parts1 (id, region, status)', 'parts2 (id, region, status)') . " VALUES ('$key', " . any(1, 2, 3) . ", 'mql')", $k) if $what < .84;
	return ("DELETE FROM parts" . any(0, 1, '2a') . " WHERE id = '$key'", $k) if $what < .88;
	return ("INSERT INTO parts VALUES ($region, '$key', $status, 'EUR') ON CONFLICT (region, id) DO UPDATE SET status = excluded.status", $k) if $what < .94;
	return ("UPDATE parts SET status = 'nonsense' WHERE id = '$key'", $k) if $what < .96;
	return ("UPDATE parts SET id = id || 'x' WHERE id = '$key'", $k);
}

sub transaction
{
	my @sql = ('BEGIN ISOLATION LEVEL ' . any('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'));
	push @sql, "SET LOCAL statement_timeout = '" . int(1 + rand 30) . "ms'" if rand() < .05;
	push @sql, "SET LOCAL lead_funnel.override = 'o'" if rand() < .1;
	push @sql, "SET LOCAL lead_funnel.reason = 'r'" if rand() < .3;
	my $savepoint = 0;
	for my $table (\&on_leads, \&on_parts)
	{
		next if rand() < .3;
		my $k = 1 + int rand $keys;
		for (1 .. 1 + int rand 4)
		{
			if (rand() < .25)
			{
				push @sql, 'SAVEPOINT s';
				$savepoint++;
			}
			my ($sql, $last) = $table->($k);
			push @sql, $sql;
			$k = $last + int rand 5;
			if ($savepoint && rand() < .4)
			{
				push @sql, any('ROLLBACK TO s', 'RELEASE s');
				$savepoint-- if $sql[-1] eq 'RELEASE s';
			}
		}
	}
	push @sql, "SELECT sum(leads) FROM lead_funnel.funnel_stages" if rand() < .1;
	push @sql, rand() < .12 ? 'ROLLBACK' : 'COMMIT';
	return join ";\n", @sql, '';
}

sub script
{
	return join '', map {
		rand() < .7 ? transaction()
		  : rand() < .6 ? (on_leads(1 + int rand $keys))[0] . ";\n"
		  : (on_parts(1 + int rand $keys))[0] . ";\n"
	} 1 .. $transactions;
}

# what must hold after each round: name, query that returns nothing
my @laws = (
	[ 'verify()', q{SELECT 'leads', v FROM lead_funnel.verify('leads') v UNION ALL SELECT 'parts', v FROM lead_funnel.verify('parts') v} ],
	[ 'stock = GROUP BY of the tables', q{
		WITH stock AS (SELECT funnel, stage, source, owner, segment, currency, leads, value FROM lead_funnel.funnel_stages WHERE leads <> 0 OR value <> 0),
		t AS (SELECT 'leads', stage::text, coalesce(nullif(source, ''), '(none)'), coalesce(owner, '(none)'), '(none)', '(none)', count(*), sum(coalesce(amount, 0))
			FROM leads WHERE deleted IS NOT TRUE GROUP BY 2, 3, 4
			UNION ALL SELECT 'parts', CASE WHEN status IS NULL OR status = 'New' THEN 'lead' WHEN status = 'Closed Won' THEN 'won' ELSE lower(status) END,
				'(none)', '(none)', region::text, coalesce(currency, '(none)'), count(*), 0 FROM parts GROUP BY 2, 5, 6)
		SELECT 'stock', * FROM (TABLE stock EXCEPT TABLE t) a UNION ALL SELECT 'table', * FROM (TABLE t EXCEPT TABLE stock) b} ],
	[ 'stock = sum of flows', q{
		SELECT funnel, stage, source, owner, segment, currency, sum(leads), sum(value)
		FROM (SELECT funnel, stage, source, owner, segment, currency, leads, value FROM lead_funnel.funnel_stages
			UNION ALL SELECT funnel, stage, source, owner, segment, currency, -(opening + entries - exits + adjustments), -(value_in - value_out + value_adjustments)
			FROM lead_funnel.funnel_flow) x
		GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(leads) <> 0 OR sum(value) <> 0} ],
	[ 'the last day of funnel_daily = stock', q{
		SELECT funnel, stage, sum(leads), sum(value) FROM (SELECT funnel, stage, leads, value FROM lead_funnel.funnel_stages
			UNION ALL SELECT funnel, stage, -stock, -value_stock FROM lead_funnel.funnel_daily d
			WHERE day = (SELECT max(day) FROM lead_funnel.funnel_daily m WHERE m.funnel = d.funnel)) x
		GROUP BY 1, 2 HAVING sum(leads) <> 0 OR sum(value) <> 0} ],
	[ 'moves follow each other', q{
		SELECT * FROM (SELECT funnel, lead, move, from_stage, effective_at, rules_version, origin,
			lag(to_stage) OVER w AS was, lag(effective_at) OVER w AS was_at, lag(cycle) OVER w AS was_cycle, cycle
			FROM lead_funnel.funnel_history WHERE lead IS NOT NULL WINDOW w AS (PARTITION BY funnel, lead ORDER BY move)) h
		WHERE from_stage IS DISTINCT FROM was OR effective_at < was_at OR cycle < was_cycle OR origin NOT IN ('write', 'delete', 'exclude', 'override')} ],
	[ 'visits tile time', q{
		SELECT 'visit', * FROM (SELECT funnel, lead, exit_to, exited_at FROM lead_funnel.lead_visits WHERE exit_to IS NOT NULL
			EXCEPT ALL SELECT funnel, lead, to_stage, effective_at FROM lead_funnel.funnel_history WHERE from_stage IS NOT NULL AND to_stage IS NOT NULL) a
		UNION ALL SELECT 'move', * FROM (SELECT funnel, lead, to_stage, effective_at FROM lead_funnel.funnel_history WHERE to_stage IS NOT NULL
			EXCEPT ALL SELECT funnel, lead, stage, entered_at FROM lead_funnel.lead_visits) b
		UNION ALL SELECT 'open', funnel, stage, sum(n)::text, NULL FROM (SELECT funnel, stage, 1 AS n FROM lead_funnel.lead_visits WHERE exited_at IS NULL
			UNION ALL SELECT funnel, stage, -leads FROM lead_funnel.funnel_stages) c GROUP BY 2, 3 HAVING sum(n) <> 0
		UNION ALL SELECT 'negative', funnel, lead, stage, entered_at FROM lead_funnel.lead_visits WHERE exited_at < entered_at} ],
	[ 'milestones agree with the visits', q{
		SELECT m.funnel, m.lead, m.cycle, m.furthest_stage_rank, v.furthest FROM lead_funnel.lead_milestones m
		LEFT JOIN (SELECT funnel, lead, cycle, max(stage_rank) FILTER (WHERE stage_rank <= 6) AS furthest, min(entered_at) FILTER (WHERE stage = 'won') AS won_at
			FROM lead_funnel.lead_visits GROUP BY 1, 2, 3) v USING (funnel, lead, cycle)
		WHERE m.furthest_stage_rank IS DISTINCT FROM v.furthest OR m.won_at IS DISTINCT FROM v.won_at} ],
	[ 'reached at least never increases by rank', q{
		SELECT * FROM (SELECT funnel, r, n, lag(n) OVER (PARTITION BY funnel ORDER BY r) AS before
			FROM (SELECT funnel, r, count(*) FILTER (WHERE furthest_stage_rank >= r) AS n FROM lead_funnel.lead_milestones, generate_series(1, 6) r GROUP BY 1, 2) x) y
		WHERE n > before} ]);

# a snapshot that is older than all folds keeps its numbers
my $old = $node->background_psql('postgres');
my ($kept, $kept_query) = ('', q{SELECT string_agg(x::text, ';' ORDER BY x::text) FROM (SELECT funnel, stage, leads, value FROM lead_funnel.funnel_stages
	UNION ALL SELECT funnel, stage, entries, value_in FROM lead_funnel.funnel_flow) x});

my $keeper = $node->background_psql('postgres');
for my $round (1 .. $rounds)
{
	my @runs;
	for my $client (1 .. $clients)
	{
		my $file = $node->basedir . "/round$round.client$client.sql";
		# half of them go on after an error, behind a savepoint for each statement
		append_to_file($file, "\\set ON_ERROR_STOP 0\n\\set ON_ERROR_ROLLBACK " . ($client % 2 ? 'off' : 'on') . "\n" . script());
		push @runs, IPC::Run::start([ 'psql', '-qX', '-d', $node->connstr('postgres') . ' application_name=client', '-f', $file ],
			'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	}
	# meanwhile: upkeep, cancelled statements
	my $upkeep = 0;
	while (grep { $_->pumpable } @runs)
	{
		my $what = any(
			'SELECT lead_funnel.compact()', "SELECT lead_funnel.rebuild('leads')", "SELECT lead_funnel.rebuild('parts')",
			q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'client' AND state = 'active' ORDER BY query_start LIMIT 1});
		my $out = $keeper->query_safe($what);
		$upkeep++;
	}
	$_->finish for @runs;

	for my $law (@laws)
	{
		my $out = $node->safe_psql('postgres', $law->[1]);
		is($out, '', "round $round: $law->[0]");
	}
	# not beside the writers: its table lock may deadlock with one that holds a partition
	is($node->safe_psql('postgres', "SELECT lead_funnel.reconcile('leads') + lead_funnel.reconcile('parts')"), '0', "round $round: nothing to reconcile");
	if ($round == 1)
	{
		$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
		$kept = $old->query_safe($kept_query);
	}
	note "round $round: $upkeep times upkeep, journal rows: "
	  . $node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE to_stage IS NULL), max(cycle) FROM lead_funnel.journal');
}
$keeper->quit;
$node->safe_psql('postgres', 'SELECT lead_funnel.compact(); SELECT lead_funnel.compact(); VACUUM');
is($old->query_safe($kept_query), $kept, 'an old snapshot has kept its numbers');
$old->query_safe('COMMIT');
is($old->query_safe($kept_query), $node->safe_psql('postgres', $kept_query), 'a new one has the new numbers');
$old->quit;

# errors: what users' own doing may cause, and nothing else
my %states;
my $log = slurp_file($node->logfile);
$states{$1}++ while $log =~ /\] (\w{5}) (?:ERROR|FATAL|PANIC):/g;
# of a deadlock the log tells the statements that are in it
my ($deadlocks, $of_one_key) = (0, 0);
while ($log =~ /\] 40P01 ERROR: .*\n[^\n]+ DETAIL:\s+((?:Process \d+ waits for .*\n\s*)+)((?:Process \d+: .*\n\s*)+)/g)
{
	my ($waits, $statements) = ($1, $2);
	my %keys = map { $_ => 1 } $statements =~ /\b(k\d{3})x*'/g;
	$deadlocks++;
	$of_one_key++ if keys %keys == 1 && $waits !~ /waits for (?!ShareLock on (?:transaction|speculative token))/
	  && !grep { !/^Process \d+: (?:INSERT INTO|UPDATE|DELETE FROM) parts/ } split /\n\s*/, $statements;
}
note "$deadlocks deadlocks, $of_one_key of one key";
$states{'40P01'} -= $of_one_key if $of_one_key;
delete $states{'40P01'} if exists $states{'40P01'} && $states{'40P01'} == 0;
note join ', ', map { "$_: $states{$_}" } sort keys %states;
my %allowed = map { $_ => 1 } qw(22012 22P02 25P01 23505 23514 25P02 3B001 40001 57014 P0002);
is(join(' ', grep { !$allowed{$_} } sort keys %states), '', 'no other errors than expected; no deadlock');
cmp_ok($states{23514} || 0, '>', 5, 'moves were refused');
$node->stop;
done_testing();
