# bench.pl: what the extension costs a writer, and what reading costs, as ratios to the same work on a bare table.
#
# The same leads are in a table of four schemas: bare; funnel, which is attached; row and statement, which have the same
# funnel in PL/pgSQL, with row-level triggers and with statement-level ones. A run does the same work in each, in turn, so
# that a busy machine hits all alike; the medians are compared. CPU is that of the backend alone.
#
# BENCH_LEADS     leads in each table (1000000)
# BENCH_RUNS      runs of each row (5)
# BENCH_SECONDS   of each run of pgbench (10)
# BENCH_CLIENTS   of pgbench (8)
# BENCH_LIMIT     seconds after which a statement is given up (30)
# BENCH_ROWS      a pattern: only the rows of the result whose names match; score, hottest, events and notify fill no more than they need
# BENCH_SCHEMAS   (bare funnel row statement)
# BENCH_BUFFERS   shared_buffers of the server (1GB)
# BENCH_HUGE_PAGES  off: do not reserve huge pages, for which root is needed (on)
use strict;
use warnings;
use FindBin;
use IPC::Open2;
use Time::HiRes qw(sleep time);

my $leads = $ENV{BENCH_LEADS} || 1_000_000;
my $runs = $ENV{BENCH_RUNS} || 5;
my $seconds = $ENV{BENCH_SECONDS} || 10;
my $clients = $ENV{BENCH_CLIENTS} || 8;
my $limit = $ENV{BENCH_LIMIT} || 30;
my $rows = qr/${\($ENV{BENCH_ROWS} || '.')}/;
my @schemas = split ' ', $ENV{BENCH_SCHEMAS} || 'bare funnel row statement';
my $some = int $leads / 5;
my $dir = $ENV{PGHOST};
my %session;

# ---------- sessions ----------

sub session
{
	my $name = shift;
	return $session{$name} //= do {
		my $pid = open2(my $out, my $in, qw(psql -qXAt -v ON_ERROR_STOP=1)) or die;
		$in->autoflush(1);
		my $s = { in => $in, out => $out, psql => $pid };
		$session{$name} = $s;
		sql($name, "SET client_min_messages = error; SET search_path = $name, public");
		($s->{backend}) = sql($name, 'SELECT pg_backend_pid()');
		$s;
	};
}

sub sql
{
	my ($name, $sql) = @_;
	my $s = session($name);
	my @lines;
	print { $s->{in} } "$sql;\n\\echo (done)\n";
	while (defined(my $line = readline $s->{out}))
	{
		chomp $line;
		return @lines if $line eq '(done)';
		push @lines, $line;
	}
	die "failed: $sql\n";
}

sub end_session { my $s = delete $session{ $_[0] }; close $s->{in}; close $s->{out}; waitpid $s->{psql}, 0; return; }

# of the backend, in seconds
sub cpu
{
	my $pid = session($_[0])->{backend};
	open my $f, '<', "/proc/$pid/schedstat" or die "this needs Linux: $!";
	return (split ' ', <$f>)[0] / 1e9;
}

sub resident
{
	open my $f, '<', "/proc/$_[0]/status" or return 0;
	return (map { /^RssAnon:\s+(\d+)/ } <$f>)[0] * 1024;
}

sub median { my @v = sort { $a <=> $b } @_; return @v % 2 ? $v[ @v / 2 ] : ($v[ @v / 2 - 1 ] + $v[ @v / 2 ]) / 2; }

# ---------- results ----------

sub head { print "\n| $_[0] | ", join(' | ', @{ $_[1] }), " | target |\n|---", '|---:' x @{ $_[1] }, "|---:|\n"; return; }

# bare as it is, the others as medians of their ratios to bare in the same run, with the range
sub report
{
	my ($name, $unit, $target, $values) = @_;
	my @cells = sprintf "%.4g $unit", median(@{ $values->{bare} });
	for my $s (grep { $_ ne 'bare' } @schemas)
	{
		my @ratios = sort { $a <=> $b } map { $values->{$s}[$_] / $values->{bare}[$_] } grep { defined $values->{$s}[$_] } 0 .. $#{ $values->{bare} };
		push @cells, @ratios ? sprintf('%.2f (%.2f-%.2f)', median(@ratios), $ratios[0], $ratios[-1]) : "over $limit s";
	}
	print "| $name | ", join(' | ', @cells), " | $target |\n";
	return;
}

# ---------- the tables ----------

sub fill
{
	sql('public', "CREATE EXTENSION IF NOT EXISTS lead_funnel; \\i $FindBin::Bin/functions.sql");
	sql('public', "CREATE SCHEMA $_") for @schemas;
	sql('funnel', "\\i $FindBin::Bin/table.sql");
	sql('funnel', q{SELECT lead_funnel.attach('leads', 'stage', 'bench', source_column => 'source', value_column => 'value')});
	sql('funnel', "INSERT INTO leads SELECT * FROM new_leads(1, $leads)");
	# the last moves by stripes, as the leads of a real table do not lie in the order in which they moved last
	for my $step (1 .. 5)
	{
		for my $stripe ($step < 2 ? (0 .. 9) : -1)
		{
			sql('funnel', "BEGIN; SET LOCAL lead_funnel.reason = 'r'; UPDATE leads SET stage = w.stages[$step] FROM way w "
				. "WHERE lane(id, $leads) BETWEEN w.first_lane AND w.last_lane AND cardinality(w.stages) >= $step"
				. ($stripe < 0 ? '' : " AND id % 10 = $stripe") . '; COMMIT');
		}
		sql('funnel', 'VACUUM leads');
	}
	sql('funnel', 'VACUUM FULL leads');
	for my $schema (grep { $_ ne 'funnel' } @schemas)
	{
		sql($schema, "\\i $FindBin::Bin/table.sql");
		sql($schema, 'INSERT INTO leads SELECT * FROM funnel.leads ORDER BY id');
		next if $schema eq 'bare';
		sql($schema, "\\i $FindBin::Bin/plpgsql_tables.sql");
		sql($schema, "\\i $FindBin::Bin/plpgsql_$schema.sql");
	}
	sql('public', "COPY (SELECT * FROM new_leads($leads + 1, $leads + $some)) TO '$dir/new_leads'");
	sql('public', 'VACUUM ANALYZE');
	sql('public', 'CHECKPOINT');
	return;
}

# The work and what it leaves to be done before commit; then all is put back.
sub bulk
{
	my ($name, $target, $sql) = @_;
	return if $name !~ $rows;
	my (%cpu, %wall, %too_long);
	for my $run (1 .. $runs)
	{
		for my $schema ($run % 2 ? @schemas : reverse @schemas)
		{
			next if $too_long{$schema};
			my ($c, $t) = (cpu($schema), time);
			# counters that are updated for each row grow old versions without end in one transaction
			sql($schema, "\\set ON_ERROR_STOP 0\nBEGIN; SET LOCAL statement_timeout = '${limit}s'; $sql; PREPARE TRANSACTION 'bench'");
			($c, $t) = (cpu($schema) - $c, time - $t);
			if (!sql($schema, "\\set ON_ERROR_STOP 1\nSELECT gid FROM pg_prepared_xacts"))
			{
				die "cancelled\n" if $schema eq 'bare';
				sql($schema, 'ROLLBACK');
				$too_long{$schema} = 1;
				next;
			}
			push @{ $cpu{$schema} }, $c;
			push @{ $wall{$schema} }, $t;
			sql($schema, "ROLLBACK PREPARED 'bench'");
			sql($schema, 'VACUUM leads');
			sql($schema, $schema eq 'funnel' ? 'VACUUM lead_funnel.journal' : 'VACUUM log') if $schema ne 'bare';
		}
		sql('public', 'CHECKPOINT');
	}
	report("$name, CPU", 's', $target, \%cpu);
	report("$name, wall", 's', '', \%wall);
	return;
}

# ---------- many small transactions ----------

my $move = "UPDATE leads SET stage = CASE stage WHEN 'mql' THEN 'nurture' ELSE 'mql' END::lead_stage WHERE id = ";
my %script = (
	one => "\\set id 5 * random(1, $some)\n$move :id;\n",
	held => "\\set id 5 * random(1, $some)\nBEGIN;\n$move :id;\n\\sleep 5 ms\nCOMMIT;\n",
	two => "\\set a 5 * random(1, $some)\n\\set b 5 * random(1, $some)\nBEGIN;\n$move :a;\n$move :b;\nCOMMIT;\n",
	other => "\\set id 5 * random(1, $some)\nUPDATE leads SET clicks = clicks + 1 WHERE id = :id;\n");

# transactions a second, deadlocks, bytes of WAL a transaction
sub pgbench
{
	my ($schema, $script, $n, $options) = @_;
	my $file = "$dir/pgbench.sql";
	open my $f, '>', $file or die; print $f $script{$script}; close $f;
	my $jobs = $n < 2 ? 1 : 2;
	my ($start) = sql('public', 'SELECT pg_current_wal_insert_lsn()');
	my $out = `PGOPTIONS='-c search_path=$schema,public $options' pgbench -n -M prepared -c $n -j $jobs -T $seconds --max-tries=0 --failures-detailed -f $file 2>&1`;
	die $out if $?;
	my ($tps) = $out =~ /tps = ([\d.]+)/ or die $out;
	my ($count) = $out =~ /actually processed: (\d+)/;
	my ($retries) = $out =~ /total number of retries: (\d+)/;
	my ($wal) = sql('public', "SELECT pg_current_wal_insert_lsn() - '$start'");
	return ($tps, $retries || 0, $wal / $count);
}

sub small
{
	my ($name, $target, $script, $n, $options) = @_;
	return if $name !~ $rows;
	my (%tps, %deadlocks, %wal);
	for my $run (1 .. $runs)
	{
		for my $schema ($run % 2 ? @schemas : reverse @schemas)
		{
			sql('public', 'CHECKPOINT');
			my ($tps, $deadlocks, $wal) = pgbench($schema, $script, $n, $options);
			push @{ $tps{$schema} }, $tps;
			push @{ $wal{$schema} }, $wal;
			$deadlocks{$schema} += $deadlocks;
			sql($schema, 'VACUUM leads');
		}
	}
	report($name, 'tps', $target, \%tps);
	report("$name: WAL a transaction", 'bytes', '', \%wal);
	print "| $name: deadlocks | ", join(' | ', map { $deadlocks{$_} } @schemas), " | |\n" if $script eq 'two';
	return;
}

# ---------- reading ----------

sub read_stages
{
	my $when = shift;
	my @ms;
	for (1 .. 31)
	{
		my $t = time;
		sql('reader', q{SELECT count(*) FROM lead_funnel.funnel_stages WHERE funnel = 'bench'});
		push @ms, 1000 * (time - $t);
	}
	my ($cells) = sql('reader', q{SELECT count(*) FROM lead_funnel.funnel_stages WHERE funnel = 'bench'});
	my ($tail) = sql('reader', q{SELECT pending_deltas FROM lead_funnel.funnel_health WHERE funnel = 'bench'});
	printf "| %s | %.2f ms | %d | %d | <= 1 ms |\n", $when, median(@ms), $cells, $tail;
	return;
}

sub reading
{
	return if 'reading' !~ $rows;
	head('funnel_stages, from the client', [ 'median', 'cells', 'tail' ]);
	read_stages('as it is');
	my $keep = $seconds;
	pgbench('funnel', 'one', $clients, '');
	read_stages('after moves');
	pgbench('funnel', 'one', $clients, '-c default_transaction_isolation=repeatable\ read');
	read_stages('after moves, all REPEATABLE READ');
	sql('holder', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	$seconds *= 3;
	pgbench('funnel', 'one', $clients, '');
	$seconds = $keep;
	read_stages('after moves beside an old snapshot');
	sql('holder', 'COMMIT');
	my $t = time;
	sql('bare', 'SELECT stage, source, count(*), sum(value) FROM leads GROUP BY 1, 2');
	printf "| GROUP BY on the table | %.0f ms | | | |\n", 1000 * (time - $t);
	return;
}

# ---------- gates ----------

# The same funnel with and without gates, on copies of the leads with a qualification and a score, and the bare copy:
# how much more the gates cost, as a share of bare.
sub gates
{
	return if 'gates' !~ $rows;
	my @copies = qw(g_bare g_plain g_gates);
	for my $schema (@copies)
	{
		sql('public', "CREATE SCHEMA $schema");
		sql($schema, "\\i $FindBin::Bin/table.sql");
		sql($schema, "ALTER TABLE leads ADD bant qualification, ADD score integer");
		sql($schema, "INSERT INTO leads SELECT l.*, bant(2, (id % 4)::integer, 1, 3), (id % 100)::integer FROM funnel.leads l WHERE id <= $some ORDER BY id");
		next if $schema eq 'g_bare';
		my $columns = $schema eq 'g_gates' ? "qualification_column => 'bant', score_column => 'score'," : '';
		sql($schema, "SELECT lead_funnel.attach('leads', 'stage', '$schema', $columns source_column => 'source', value_column => 'value')");
	}
	sql('g_gates', q{SELECT lead_funnel.allow('g_gates', 'mql', 'sal', requires => 'bant(budget=2,need=1)', min_criteria => 3, min_score => -1)});
	sql('public', 'VACUUM ANALYZE');
	head('gates', ['CPU of bare', 'without gates', 'with gates', 'more']);
	my (%cpu, @more);
	for my $run (1 .. $runs)
	{
		for my $schema ($run % 2 ? @copies : reverse @copies)
		{
			my $c = cpu($schema);
			sql($schema, "BEGIN; UPDATE leads SET stage = 'sal'; PREPARE TRANSACTION 'bench'");
			push @{ $cpu{$schema} }, cpu($schema) - $c;
			sql($schema, "ROLLBACK PREPARED 'bench'");
			sql($schema, 'VACUUM leads');
			sql($schema, 'VACUUM lead_funnel.journal') if $schema ne 'g_bare';
		}
		push @more, ($cpu{g_gates}[-1] - $cpu{g_plain}[-1]) / $cpu{g_bare}[-1];
	}
	my $bare = median(@{ $cpu{g_bare} });
	printf "| move %d leads | %.3g s | %.2f | %.2f | %.2f | <= 0.10 |\n", $some, $bare, median(@{ $cpu{g_plain} }) / $bare,
		median(@{ $cpu{g_gates} }) / $bare, median(@more);
	return;
}

# Expressions in the target list of a scan, less a scan that reads the same columns, as ratios to the same in plain SQL.
# The short ones stand there 40 times, with other constants, so that they can be told from the noise.
sub expressions
{
	return if 'expressions' !~ $rows;
	my $n = 1_000_000;
	sql('g_expr', "CREATE SCHEMA g_expr; CREATE UNLOGGED TABLE v AS SELECT i::integer AS a, bant(i % 4, i % 3, (i / 7) % 4, (i / 5) % 4) AS q, (i % 2000)::numeric AS amount, "
		. "1000::numeric AS price, (ARRAY['CEO', 'champion', 'intern', 'clerk'])[i % 4 + 1] AS role, (ARRAY['slow', NULL])[i % 2 + 1] AS problem, "
		. "i % 3 = 0 AS fits, '2026-01-01'::date + i % 400 AS decision FROM generate_series(1, $n) i; VACUUM ANALYZE v");
	my $case = q{CASE WHEN amount IS NULL THEN NULL WHEN amount <= 0 THEN 0 WHEN price IS NULL OR price <= 0 THEN 1 WHEN amount >= price * 1.0 THEN 3 WHEN amount >= price * 0.8 THEN 2 ELSE 1 END,
		CASE WHEN role IS NULL OR btrim(role) = '' THEN NULL WHEN lower(role) IN ('ceo', 'cfo', 'owner', 'founder') THEN 3 WHEN lower(role) IN ('champion', 'director', 'manager') THEN 2 WHEN lower(role) IN ('intern', 'student') THEN 0 ELSE 1 END,
		CASE WHEN NOT fits THEN 0 WHEN fits THEN 2 WHEN btrim(problem) <> '' THEN 1 END,
		CASE WHEN decision IS NULL THEN NULL WHEN decision = 'infinity' THEN 0 WHEN decision < '2026-02-01'::date THEN 1 WHEN decision <= '2026-02-01'::date + interval '3 months' THEN 3 WHEN decision <= '2026-02-01'::date + interval '6 months' THEN 2 ELSE 1 END};
	my @pairs = ([ 'qualification @>', 40, 'a', join(', ', map { "a > $_" } 1 .. 40), 'q', join(', ', map { sprintf q{q @> 'bant(budget=%d,need=%d)'}, $_ % 4, $_ / 4 % 4 } 1 .. 40) ],
		[ 'bant_evaluate', 1, 'decision', $case, 'decision', q{bant_evaluate(amount => amount, price => price, role => role, problem => problem, fits => fits, decision => decision, as_of => '2026-02-01')} ]);
	head('expressions, less the scan', [ 'plain SQL', 'ratio' ]);
	for my $pair (@pairs)
	{
		my ($name, $times, @expression) = @$pair;
		my (@plain, @ratio);
		for (1 .. $runs)
		{
			my @c;
			for my $e (@expression)
			{
				my $c = cpu('g_expr');
				# evaluates the target list of each row and keeps nothing
				sql('g_expr', "SELECT $e FROM v OFFSET $n");
				push @c, cpu('g_expr') - $c;
			}
			push @plain, $c[1] - $c[0];
			push @ratio, ($c[3] - $c[2]) / ($c[1] - $c[0]);
		}
		printf "| %s | %.1f ns | %.2f | <= 2 |\n", $name, 1e9 * median(@plain) / $n / $times, median(@ratio);
	}
	return;
}

# ---------- attach and memory ----------

sub attaching
{
	return if 'attach' !~ $rows;
	head('attach', ['CPU']);
	my (@attach, @copy);
	for (1 .. ($runs < 3 ? $runs : 3))
	{
		my $c = cpu('bare');
		sql('bare', q{SELECT lead_funnel.attach('leads', 'stage', 'again', source_column => 'source', value_column => 'value')});
		push @attach, cpu('bare') - $c;
		$c = cpu('bare');
		sql('bare', q{CREATE TABLE copy AS SELECT j.* FROM lead_funnel.journal j JOIN lead_funnel.funnel f USING (funnel_id) WHERE f.name = 'again';
			CREATE UNIQUE INDEX ON copy (funnel_id, lead_id, move) WHERE lead_id IS NOT NULL});
		push @copy, cpu('bare') - $c;
		sql('bare', q{DROP TABLE copy; SELECT lead_funnel.detach('again', purge => true)});
		sql('bare', 'VACUUM lead_funnel.journal');
	}
	printf "| attach(), %d leads | %.2f s | |\n", $leads, median(@attach);
	printf "| CREATE TABLE AS of the same journal rows and its index | %.2f s | |\n", median(@copy);
	printf "| ratio | %.2f | <= 2 |\n", median(@attach) / median(@copy);
	return;
}

# how far the backend grows beyond what the bare table takes
sub growth
{
	my $schema = shift;
	end_session($schema) if $session{$schema};
	my $pid = session($schema)->{backend};
	# what it needs once
	sql($schema, "BEGIN; UPDATE leads SET stage = 'nurture' WHERE id = 5; ROLLBACK");
	my $before = resident($pid);
	my $watcher = open my $f, '-|';
	if (!$watcher)
	{
		my $most = 0;
		local $SIG{TERM} = sub { print "$most\n"; close STDOUT; require POSIX; POSIX::_exit(0) };
		while (1) { my $now = resident($pid); $most = $now if $now > $most; sleep 0.01; }
	}
	sql($schema, q{BEGIN; UPDATE leads SET stage = CASE WHEN stage IN ('nurture', 'lead') THEN 'mql' ELSE 'disqualified' END::lead_stage
		WHERE stage NOT IN ('won', 'lost', 'rejected', 'disqualified')});
	my ($n) = sql($schema, q{SELECT count(*) FROM leads WHERE xmin = pg_current_xact_id()::xid});
	kill 'TERM', $watcher;
	my $most = readline $f;
	close $f;
	sql($schema, 'ROLLBACK');
	sql($schema, 'VACUUM leads');
	return ($most - $before) / $n;
}

sub memory
{
	return if 'memory' !~ $rows;
	head('one statement that moves most leads', [ 'bytes a row' ]);
	printf "| backend grows, %s | %.1f | %s |\n", $_, growth($_), $_ eq 'funnel' ? '< 32' : '' for grep { /bare|funnel/ } @schemas;
	return;
}

# ---------- scores and events ----------

# CPU of queries that do the same, in turn; of the slow ones only a part of the rows
sub score_rows
{
	return if 'score' !~ $rows;
	sql('scoring', "\\i $FindBin::Bin/score.sql");
	my ($case) = sql('scoring', q{SELECT string_agg(format('CASE WHEN %s THEN %s ELSE 0 END', condition, points), ' + ' ORDER BY n) FROM rule});
	my %query = (read => 'SELECT count(l.source) FROM scored l', case => "SELECT sum($case) FROM scored l", score => q{SELECT sum(lead_funnel.score('bench', l)) FROM scored l},
		map { ("plpgsql_$_->[0]" => "SELECT sum($_->[1](l)) FROM (SELECT * FROM scored LIMIT " . int($leads / $_->[2]) . ') l') } [ 'ifs', 'score_plpgsql', 10 ], [ 'rules', 'score_rules', 500 ]);
	die "score() and CASE differ\n" if (sql('scoring', $query{case}))[0] != (sql('scoring', $query{score}))[0];
	my %us;
	for my $run (1 .. $runs)
	{
		for my $kind (sort keys %query)
		{
			my $c = cpu('scoring');
			sql('scoring', $query{$kind});
			push @{ $us{$kind} }, 1e6 * (cpu('scoring') - $c) / int($leads / ($kind eq 'plpgsql_ifs' ? 10 : $kind eq 'plpgsql_rules' ? 500 : 1));
		}
	}
	my %m = map { $_ => median(@{ $us{$_} }) } keys %us;
	head("score of 20 rules, $leads leads", [ 'CPU a lead', 'multiple of score()' ]);
	printf "| %s | %.3f us | %.2f | %s |\n", @$_ for [ 'reading the columns', $m{read}, $m{read} / $m{score}, '' ], [ 'score()', $m{score}, 1, 'reading + 1 us' ],
		[ 'CASE', $m{case}, $m{case} / $m{score}, '>= 3' ], [ 'PL/pgSQL, an IF a rule', $m{plpgsql_ifs}, $m{plpgsql_ifs} / $m{score}, '' ],
		[ 'PL/pgSQL, rules from a table', $m{plpgsql_rules}, $m{plpgsql_rules} / $m{score}, '>= 30' ];
	return;
}

sub hottest
{
	return if 'hottest' !~ $rows;
	sql('scoring', "\\i $FindBin::Bin/hottest.sql");
	my (@index, @all);
	for (1 .. $runs)
	{
		my $t = time;
		sql('scoring', 'SELECT * FROM warm ORDER BY warmth DESC LIMIT 100');
		push @index, 1000 * (time - $t);
		$t = time;
		sql('scoring', 'SELECT * FROM warm ORDER BY points_at(warmth, now()) DESC LIMIT 100');
		push @all, 1000 * (time - $t);
	}
	head('100 hottest of ' . 10 * $leads . ' leads, from the client', ['median']);
	printf "| by the index | %.2f ms | <= 1 ms |\n| rescoring all | %.0f ms | |\n", median(@index), median(@all);
	return;
}

sub events
{
	return if 'events' !~ $rows;
	sql('scoring', "\\i $FindBin::Bin/events.sql");
	my %sql = (bare => q{INSERT INTO bare_event (lead_id, event_type, happened_at, points, source, external_id) VALUES (:id, 'visit', now(), 1, 'web', nextval('event_number'))},
		ledger => q{SELECT lead_funnel.record_event('scoring', :id, 'visit', now(), nextval('event_number')::text, 'web')});
	$script{"event_$_"} = "\\set id random(1, $leads)\n$sql{$_};\n" for keys %sql;
	head('record_event, one a transaction', [ 'INSERT of the event', 'record_event' ]);
	for my $column ('NULL', q{'warmth'})
	{
		sql('scoring', "SELECT lead_funnel.set_engagement_column('scoring', $column)");
		for my $options ('', '-c synchronous_commit=off')
		{
			my (@bare, @ratio);
			for my $run (1 .. $runs)
			{
				my ($one) = pgbench('scoring', 'event_bare', $clients, $options);
				my ($other) = pgbench('scoring', 'event_ledger', $clients, $options);
				push @bare, $one;
				push @ratio, $other / $one;
			}
			printf "| %s%s | %.0f tps | %.2f | %s |\n", $column eq 'NULL' ? 'ledger only' : 'ledger and column', $options ? ', synchronous_commit off' : '', median(@bare), median(@ratio),
				$options ? '' : '>= 0.6';
		}
	}
	die "the engagement is wrong\n" if sql('scoring', q{SELECT * FROM lead_funnel.verify_engagement('scoring') LIMIT 1});
	return;
}

sub scoring
{
	sql('public', 'CREATE EXTENSION IF NOT EXISTS lead_funnel; CREATE SCHEMA scoring');
	sql('scoring', "\\set leads $leads\nSELECT 1");
	score_rows();
	hottest();
	events();
	return;
}

# ---------- notifications ----------

# the same funnel with and without, in turn
sub notifying
{
	return if 'notify' !~ $rows;
	sql('public', 'CREATE SCHEMA n_bench');
	sql('n_bench', "CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL); INSERT INTO leads SELECT i, 'mql' FROM generate_series(1, $leads) i");
	sql('n_bench', q{SELECT lead_funnel.attach('leads', 'stage', 'n_bench')});
	sql('public', 'VACUUM ANALYZE; CHECKPOINT');
	head('one move a transaction', [ 'silent', 'set_notify' ]);
	for my $options ('', '-c synchronous_commit=off')
	{
		my (@silent, @ratio);
		for my $run (1 .. $runs)
		{
			my %tps;
			for my $channel ($run % 2 ? ('NULL', q{'moves'}) : (q{'moves'}, 'NULL'))
			{
				sql('n_bench', "SELECT lead_funnel.set_notify('n_bench', $channel)");
				($tps{$channel}) = pgbench('n_bench', 'one', $clients, $options);
			}
			push @silent, $tps{NULL};
			push @ratio, $tps{q{'moves'}} / $tps{NULL};
		}
		printf "| %d clients%s | %.0f tps | %.2f | |\n", $clients, $options ? ', synchronous_commit off' : '', median(@silent), median(@ratio);
	}
	return;
}

# ---------- all of it ----------

$| = 1;
my ($version, $huge_pages) = sql('public', 'SHOW server_version; SHOW huge_pages');
printf "PostgreSQL %s, huge pages %s, %d leads, %d runs, %d s of pgbench; medians (lowest-highest)\n",
	$version, $huge_pages, $leads, $runs, $seconds;
scoring();
notifying();
exit if ($ENV{BENCH_ROWS} || '') =~ /^(?:(?:score|hottest|events|notify)\b\|?)+$/;
fill();
printf "\nleads of %d bytes\n", sql('bare', 'SELECT avg(pg_column_size(l))::integer FROM leads l');
head('multiples of bare', \@schemas);
bulk('move a fifth, contiguous', '<= 1.65', "UPDATE leads SET stage = 'sal' WHERE id <= $some");
bulk('move every fifth', '<= 1.65', "UPDATE leads SET stage = 'sal' WHERE id % 5 = 0");
bulk('change another column', '<= 1.05', "UPDATE leads SET clicks = clicks + 1 WHERE id <= $some");
bulk('COPY new leads', '<= 1.40', "COPY leads FROM '$dir/new_leads'");
# before leads are moved for good, which are no longer all mql then
gates();
small('one move a transaction', '>= 0.80', 'one', $clients, '');
small('one move, synchronous_commit off', '>= 0.70', 'one', $clients, '-c synchronous_commit=off');
small('one change of another column, synchronous_commit off', '', 'other', $clients, '-c synchronous_commit=off');
small('one move, held 5 ms, 32 clients', '>= 0.97', 'held', 32, '');
small('two leads in any order', '', 'two', $clients, '');
reading();
expressions();
attaching();
memory();
for my $problem (sql('public', q{SELECT * FROM lead_funnel.verify('bench')}),
	sql('funnel', q{SELECT * FROM ((SELECT * FROM count_leads('funnel.leads') EXCEPT SELECT stage, source, leads, value FROM lead_funnel.funnel_stages WHERE funnel = 'bench')
		UNION ALL (SELECT stage, source, leads, value FROM lead_funnel.funnel_stages WHERE funnel = 'bench' EXCEPT SELECT * FROM count_leads('funnel.leads'))) x}))
{
	die "the funnel is wrong: $problem\n";
}
