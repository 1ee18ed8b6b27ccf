# Random tables, random statements by many clients, DDL and upkeep beside, cancels, killed backends and crashes; after each
# round table, journal and statistics must agree, and the log must hold no error but what users' own doing may cause.
#
# TORTURE_SEED, TORTURE_ROUNDS, TORTURE_CLIENTS, TORTURE_TRANSACTIONS (of each client in a round) and TORTURE_SECONDS (no
# new round begins after) make it longer. A round depends on the seed and its number only: TORTURE_FIRST=7 TORTURE_ROUNDS=1
# repeats the seventh. TORTURE_TRIGGERS=1 adds triggers that move leads again, 2 triggers that do whatever they can.
# The statements of a round that failed are kept in the log folder.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../torture";
use File::Path;
use POSIX ':sys_wait_h';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use TortureModel qw(any new_table setup_sql trigger_sql attach_sql transaction ddl);

my $seed = $ENV{TORTURE_SEED} || 12;
my $first = $ENV{TORTURE_FIRST} || 1;
my $rounds = $ENV{TORTURE_ROUNDS} || 4;
my $clients = $ENV{TORTURE_CLIENTS} || 4;
my $transactions = $ENV{TORTURE_TRANSACTIONS} || 15;
my $seconds = $ENV{TORTURE_SECONDS} || 1e9;
my $triggers = $ENV{TORTURE_TRIGGERS} || 0;
diag "TORTURE_SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', join "\n", 'autovacuum = off', "timezone = 'UTC'", 'deadlock_timeout = 100ms', "log_line_prefix = '%m [%p] %e '",
	'max_connections = 60', 'fsync = off', 'max_prepared_transactions = 40', 'restart_after_crash = on', 'log_statement = none', '');
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION lead_funnel;
CREATE SEQUENCE version;
CREATE TABLE audit (funnel text, op "char", v bigint, pv bigint, a bigint, x xid8 DEFAULT pg_current_xact_id(), leaf oid, old_k text, k text, st text, ex boolean,
	source text, campaign text, owner text, segment text, currency text, value numeric);
CREATE TABLE actions (funnel text, id int, action text);
-- a status that means nothing came while the mode was observe
CREATE FUNCTION torture_verify(f text) RETURNS void LANGUAGE plpgsql AS $$ DECLARE p text; BEGIN
	SELECT string_agg(v::text, '; ') INTO p FROM lead_funnel.verify(f) v WHERE problem <> 'status is not mapped';
	IF p IS NOT NULL THEN RAISE 'verify: %', p USING ERRCODE = 'TT001'; END IF;
END $$;
CREATE FUNCTION torture_reconcile(f text) RETURNS void LANGUAGE plpgsql AS $$ DECLARE n bigint := lead_funnel.reconcile(f); BEGIN
	IF n <> 0 THEN RAISE 'reconciled % leads', n USING ERRCODE = 'TT002'; END IF;
END $$});

# what must be empty
my @laws = (
	[ 'stock = sum of flows', q{SELECT funnel, stage, source, owner, sum(leads), sum(value) FROM (
		SELECT funnel, stage, source, campaign, owner, segment, currency, leads, value FROM lead_funnel.funnel_stages
		UNION ALL SELECT funnel, stage, source, campaign, owner, segment, currency, -(opening + entries - exits + adjustments), -(value_in - value_out + value_adjustments) FROM lead_funnel.funnel_flow) x
		GROUP BY funnel, stage, source, campaign, owner, segment, currency HAVING sum(leads) <> 0 OR abs(sum(value)) > 0.000001} ],
	[ 'the last day = stock', q{WITH d AS MATERIALIZED (SELECT * FROM lead_funnel.funnel_daily), m AS MATERIALIZED (SELECT funnel, max(day) AS day FROM d GROUP BY 1)
		SELECT funnel, stage, sum(leads) FROM (SELECT funnel, stage, leads FROM lead_funnel.funnel_stages
		UNION ALL SELECT funnel, stage, -stock FROM d JOIN m USING (funnel, day)) x
		GROUP BY 1, 2 HAVING sum(leads) <> 0} ],
	# an override may give a date before the visit, and means it
	[ 'no visit ends before it begins, as many are open as leads are there', q{SELECT 'negative', v.lead, v.stage FROM lead_funnel.lead_visits v WHERE v.exited_at < v.entered_at
			AND NOT EXISTS (SELECT FROM lead_funnel.funnel_history h WHERE h.funnel = v.funnel AND h.lead = v.lead AND h.effective_at = v.exited_at AND h.origin = 'override')
		UNION ALL SELECT funnel, stage, sum(n)::text FROM (SELECT funnel, stage, 1 AS n FROM lead_funnel.lead_visits WHERE exited_at IS NULL
			UNION ALL SELECT funnel, stage, -leads FROM lead_funnel.funnel_stages) c GROUP BY 1, 2 HAVING sum(n) <> 0} ],
	[ 'the rules of the version knew the move', q{SELECT h.funnel, h.lead, h.move, h.from_stage, h.to_stage, h.rules_version FROM lead_funnel.funnel_history h
		WHERE h.origin = 'write' AND h.from_stage IS NOT NULL AND h.to_stage IS NOT NULL AND NOT EXISTS (SELECT FROM lead_funnel.funnel_rules r
			WHERE r.funnel = h.funnel AND r.version = h.rules_version AND r.from_stage = h.from_stage AND r.to_stage = h.to_stage AND (NOT r.requires_reason OR btrim(h.reason) <> ''))} ]);

# The audit of the test's own against the journal: as many entries, exits and moves between stages, and the last stage of each lead.
# A lead that changes keys takes its moves along, so they are counted by funnel. Only where nothing but writes happened.
my $moves = q{
WITH change AS (
	SELECT o.st AS before, o.ex AS was_out, n.st AS after, n.ex AS is_out, n.op
	FROM audit n LEFT JOIN audit o ON o.funnel = n.funnel AND o.v = n.pv AND o.op = 'W'
	WHERE n.funnel = '%s' AND (n.op = 'W' OR n.op = 'D' AND NOT EXISTS (SELECT FROM audit m WHERE m.funnel = n.funnel AND m.op = 'W' AND m.pv = n.pv))
), moved AS (
	SELECT f.stage AS from_stage, t.stage AS to_stage FROM change c
	LEFT JOIN meaning f ON f.funnel = '%1$s' AND f.raw IS NOT DISTINCT FROM c.before AND c.was_out IS FALSE
	LEFT JOIN meaning t ON t.funnel = '%1$s' AND t.raw IS NOT DISTINCT FROM c.after AND NOT c.is_out AND c.op = 'W'
), a AS (SELECT from_stage, to_stage, count(*) FROM moved WHERE from_stage IS DISTINCT FROM to_stage GROUP BY 1, 2),
b AS (SELECT from_stage, to_stage, count(*) FROM lead_funnel.funnel_history WHERE funnel = '%1$s' AND origin <> 'backfill' AND from_stage IS DISTINCT FROM to_stage GROUP BY 1, 2)
SELECT 'audit', * FROM (TABLE a EXCEPT TABLE b) x UNION ALL SELECT 'journal', * FROM (TABLE b EXCEPT TABLE a) y};

# The order of the moves of each lead that never changed its key: the lives of its rows, version by version, against the
# journal, from one entry to the next. (Two lives of a key are not in order: a row may get its number and then wait for the
# one before it to be deleted.)
my $order = q{
WITH RECURSIVE life AS (
	SELECT v, v AS born, k, st, ex, NULL::text AS before, NULL::boolean AS was_out FROM audit n WHERE funnel = '%1$s' AND op = 'W'
		AND NOT EXISTS (SELECT FROM audit o WHERE o.funnel = '%1$s' AND o.op = 'W' AND o.v = n.pv)
	UNION ALL
	SELECT a.v, life.born, CASE a.op WHEN 'W' THEN a.k ELSE life.k END, CASE a.op WHEN 'W' THEN a.st END, a.op = 'D' OR a.ex, life.st, life.ex
	FROM audit a JOIN life ON a.pv = life.v WHERE a.funnel = '%1$s' AND (a.op = 'W' OR a.op = 'D' AND NOT EXISTS (
		SELECT FROM audit m WHERE m.funnel = '%1$s' AND m.op = 'W' AND m.pv = a.pv))
), moved AS (
	SELECT l.k, l.born, l.v, f.stage AS from_stage, t.stage AS to_stage FROM life l
	LEFT JOIN meaning f ON f.funnel = '%1$s' AND f.raw IS NOT DISTINCT FROM l.before AND l.was_out IS FALSE
	LEFT JOIN meaning t ON t.funnel = '%1$s' AND t.raw IS NOT DISTINCT FROM l.st AND NOT l.ex
	WHERE f.stage IS DISTINCT FROM t.stage AND NOT EXISTS (SELECT FROM life x JOIN life y USING (born) WHERE x.k = l.k AND y.k <> l.k)
), a AS (
	SELECT k, born::text, string_agg(concat(from_stage, '>', to_stage), ' ' ORDER BY v) AS moves
	FROM (SELECT *, count(*) FILTER (WHERE from_stage IS NULL) OVER (PARTITION BY born ORDER BY v) AS stay FROM moved) m GROUP BY k, born, stay
), b AS (
	SELECT lead AS k, string_agg(concat(from_stage, '>', to_stage), ' ' ORDER BY move) AS moves
	FROM (SELECT *, count(*) FILTER (WHERE from_stage IS NULL) OVER (PARTITION BY lead ORDER BY move) AS stay FROM lead_funnel.funnel_history
		WHERE funnel = '%1$s' AND from_stage IS DISTINCT FROM to_stage AND lead IN (SELECT k FROM a)) m GROUP BY lead, stay
)
SELECT 'audit', x FROM (SELECT k, moves FROM a EXCEPT ALL TABLE b) x UNION ALL SELECT 'journal', y FROM (TABLE b EXCEPT ALL SELECT k, moves FROM a) y};

my %allowed = map { $_ => 1 } qw(0A000 22012 22P02 21000 23502 23505 23514 25001 25P01 25P02 27000 3B001 40001 42704 55000 55006 55P03 57014 57P01 57P02 57P03 P0002 09000);
# where tables come and go, and where leads are locked in any order
my %allowed_free = map { $_ => 1 } qw(40P01 2BP01 42P01 42703 42710 42P07 22023 42601 22003);

sub try_sql { my $sql = shift; my ($rc, $out, $err) = $node->psql('postgres', $sql, timeout => 120); return $rc == 0 ? $out : undef; }

sub resolve_prepared
{
	for my $gid (split /\n/, try_sql('SELECT gid FROM pg_prepared_xacts') // '')
	{
		try_sql(any('COMMIT', 'COMMIT', 'ROLLBACK') . " PREPARED '$gid'");
	}
	return;
}

my $begin = time;
my $log_offset = 0;
my $killed = 0;
for my $round ($first .. $first + $rounds - 1)
{
	last if time - $begin > $seconds;
	srand($seed + 7919 * $round);
	my $kind = ('ordered', 'free', 'ddl', 'crash')[ $round % 4 ];
	my $free = $kind ne 'ordered';
	my $loud = $kind eq 'ddl' || $kind eq 'crash';
	my @tables = map { new_table(name => "t${round}_$_", keys => 10 + 10 * $clients) } 1 .. 2;
	my $setup = '';
	for my $t (@tables)
	{
		$setup .= join '', map { "$_;\n" } setup_sql($t), 'TRUNCATE audit', attach_sql($t), ($triggers && $free ? trigger_sql($t, $triggers) : ());
	}
	my $failed = 0;
	my $dir = "${PostgreSQL::Test::Utils::log_path}/torture_${seed}_$round";
	mkdir $dir;
	my $save = sub { my ($file, $text) = @_; open my $f, '>:utf8', "$dir/$file" or die "$dir/$file: $!"; print $f $text; close $f; return "$dir/$file"; };
	$save->('setup.sql', "SET client_min_messages = warning;\n$setup");
	system('psql', '-qX', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$dir/setup.sql") == 0 or BAIL_OUT("round $round of seed $seed: setup failed");
	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS meaning; CREATE TABLE meaning (funnel text, raw text, stage text)');
	for my $t (@tables)
	{
		for my $stage (keys %{ $t->{raw} })
		{
			my %raw = map { defined $_ ? ($t->{integer_stage} ? $_ : $_) : "\0" => 1 } @{ $t->{raw}{$stage} };
			$node->safe_psql('postgres', 'INSERT INTO meaning VALUES ' . join ', ', map { my $r = $_; $r =~ s/'/''/g; "('$t->{name}', " . ($r eq "\0" ? 'NULL' : "'$r'") . ", '$stage')" } sort keys %raw);
		}
		# what is there at the beginning
		$node->safe_psql('postgres', $t->{rows_of}->($t->{name}, 'W'));
	}
	# their rows are backfilled: the journal does not count them as moves, nor does the audit
	my %at_start = map { $_->{name} => $node->safe_psql('postgres', "SELECT coalesce(max(v), 0) FROM audit WHERE funnel = '$_->{name}'") } @tables;

	my %running;
	my $files = 0;
	for my $c (1 .. $clients)
	{
		my $n = 0;
		my $script = "\\set ON_ERROR_ROLLBACK " . ($c % 2 ? 'off' : 'on') . "\nSET client_min_messages = warning;\n" . ($free ? "SET lock_timeout = '2s';\n" : '');
		for (1 .. $transactions)
		{
			my @sql = $loud && rand() < .15 ? @{ ddl(\@tables) } : rand() < .05 ? @{ ddl(\@tables, quiet => 1) }
			  : transaction(\@tables, free => $free, calm => !$loud, prepare => 'p' . $c . '_' . ++$n, file => sub { return $save->('copy' . ++$files, shift); });
			$script .= join '', map { /^\\/ ? "$_\n" : "$_;\n" } @sql;
			$script .= "ROLLBACK;\n";
		}
		my $file = $save->("client$c.sql", $script);
		my $pid = fork // die $!;
		if (!$pid)
		{
			open STDIN, '<', '/dev/null';
			open STDOUT, '>', "$dir/client$c.out";
			open STDERR, '>&', \*STDOUT;
			exec 'psql', '-eX', '-d', $node->connstr('postgres') . ' application_name=client', '-f', $file or POSIX::_exit(1);
		}
		$running{$pid} = $c;
	}
	my $crashes = $kind eq 'crash' ? 2 : 0;
	my $deadline = time + 180;
	while (%running && time < $deadline)
	{
		sleep 0.05 + rand 0.2;
		for my $pid (keys %running) { delete $running{$pid} if waitpid($pid, WNOHANG) != 0; }
		resolve_prepared();
		my $signal = rand;
		if ($signal < .4 && $kind ne 'ordered')
		{
			my $call = $signal < .05 ? 'pg_terminate_backend' : 'pg_cancel_backend';
			try_sql("SELECT $call(pid) FROM pg_stat_activity WHERE application_name = 'client' AND state = 'active' ORDER BY random() LIMIT 1");
		}
		elsif ($signal > .9 && $crashes-- > 0)
		{
			if (rand() < .5)
			{
				$node->stop('immediate');
				$node->start;
			}
			elsif (my $pid = try_sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'client' LIMIT 1"))
			{
				$killed++;
				kill 'KILL', $pid;
				$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
			}
		}
	}
	ok(!%running, "round $round ($kind): all clients are done") or do { $failed++; kill 'TERM', keys %running; waitpid $_, 0 for keys %running; };
	resolve_prepared();

	for my $t (@tables)
	{
		# a client that was killed may have left it suspended
		my $name = $t->{name};
		if ($loud && $node->safe_psql('postgres', "SELECT count(*) FROM lead_funnel.verify('$name') WHERE problem = 'suspended'") ne '0')
		{
			# what was written meanwhile may mean nothing, or share its key
			try_sql("SELECT lead_funnel.set_mode('$name', 'observe'); SELECT lead_funnel.resume('$name')") // do { note "$name cannot be resumed"; next; };
		}
		is($node->safe_psql('postgres', "SELECT v FROM lead_funnel.verify('$name') v WHERE problem <> 'status is not mapped'"), '', "round $round ($kind): verify($name)") or $failed++;
		next if $loud || $t->{unique} =~ /none|with r/;
		(my $query = sprintf $moves, $name) =~ s/n\.funnel = '\Q$name\E' AND/n.funnel = '$name' AND n.v > $at_start{$name} AND/;
		$query =~ s/%1\$s/$name/g;
		is($node->safe_psql('postgres', $query), '', "round $round ($kind): audit and journal of $name") or $failed++;
		is($node->safe_psql('postgres', $order =~ s/%1\$s/$name/gr), '', "round $round ($kind): order of the moves of $name") or $failed++;
	}
	for my $law (@laws)
	{
		is($node->safe_psql('postgres', $law->[1]), '', "round $round ($kind): $law->[0]") or $failed++;
	}
	my $log = substr slurp_file($node->logfile), $log_offset;
	$log_offset += length $log;
	my %states;
	$states{$1}++ while $log =~ /\] (\w{5}) (?:ERROR|FATAL|PANIC):/g;
	note join ', ', map { "$_: $states{$_}" } sort keys %states;
	# where no index makes a key unique at once, two who take it find each other at the end of their statements, and wait: so
	# they would with a deferrable constraint and without a funnel
	my @late = map { $_->{name} } grep { $_->{unique} ne 'key' } @tables;
	my $late = 0;
	while ($log =~ /\] 40P01 DETAIL:  (.*?)\n\S+ \S+ \S+ \[/sg)
	{
		my @statements = $1 =~ /^\tProcess \d+: (.*)/mg;
		$late++ if @statements == grep { my $statement = $_; grep { $statement =~ /\b\Q$_\E\b/ } @late } @statements;
	}
	delete $states{'40P01'} if $late && $late == $states{'40P01'};
	# DDL may alter a column of the table while a partition is detached, which then does not fit any more
	my $misfits = () = $log =~ /\] 42804 ERROR:  child table "\w+" has different type for column/g;
	delete $states{'42804'} if $misfits && $misfits == $states{'42804'};
	# where rows may share a key, and triggers do whatever they can, only commit settles who has it
	my @sharing = map { $_->{name} } grep { $_->{unique} ne 'key' } @tables;
	my $unsettled = $triggers < 2 ? 0 : grep { my $table = $_; grep { $table eq $_ } @sharing } $log =~ /\] TT001 STATEMENT:  SELECT torture_verify\('(\w+)'\)/g;
	delete $states{TT001} if $unsettled && $unsettled == $states{TT001};
	is(join(' ', grep { !$allowed{$_} && !($free && $allowed_free{$_}) } sort keys %states), '', "round $round ($kind): no other errors than expected") or $failed++;
	unlike($log, qr/PANIC:|TRAP:|terminated by signal (?!9\b)|WARNING:.* leak|concurrent (?:insert|delete) in progress/, "round $round ($kind): no crash of the server's own") or $failed++;
	if ($failed)
	{
		$save->('server.log', $log);
		for my $table ('lead_funnel.journal', 'audit', map { $_->{name} } @tables)
		{
			$save->("$table.txt", $node->safe_psql('postgres', "SELECT r.xmin, r.cmin, r.ctid, r FROM $table r"));
		}
		diag "TORTURE_SEED=$seed TORTURE_FIRST=$round TORTURE_ROUNDS=1 TORTURE_CLIENTS=$clients TORTURE_TRANSACTIONS=$transactions repeats it; its statements are in $dir";
		next if $ENV{TORTURE_GO_ON};
		last;
	}
	File::Path::rmtree($dir);
	for my $t (@tables) { $node->safe_psql('postgres', "SELECT lead_funnel.detach('$t->{name}', purge => true); DROP TABLE $t->{name}"); }
}
$node->stop;
done_testing();
