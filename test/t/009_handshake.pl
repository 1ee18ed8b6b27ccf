# Sixteen clients decide the same leads, by functions and by UPDATE, take decisions back and hand leads over again, while four
# clocks let overdue ones expire. Afterwards each hand-over has one fate, each decision was made once, and all numbers agree.
# LEAD_FUNNEL_SEED repeats a run's statements (not their timing); LEAD_FUNNEL_ROUNDS makes it longer.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{LEAD_FUNNEL_SEED} || 4711;
my $rounds = $ENV{LEAD_FUNNEL_ROUNDS} || 2;
diag "seed $seed";
srand($seed);

my ($clients, $clocks, $statements, $leads) = (16, 4, 60, 24);
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', join "\n",
	'autovacuum = off', "timezone = 'UTC'", 'deadlock_timeout = 100ms', "log_line_prefix = '%m [%p] %e '", 'max_connections = 40', 'fsync = off',
	'log_statement = none', 'statement_timeout = 0', 'lock_timeout = 0', "default_transaction_isolation = 'read committed'", '');
$node->start;
$node->safe_psql('postgres', qq{
SET client_min_messages = warning;
CREATE EXTENSION lead_funnel;
CREATE TABLE leads (id int PRIMARY KEY, stage text NOT NULL, source text, since timestamptz, why text);
SELECT lead_funnel.attach('leads', 'stage', source_column => 'source', entered_column => 'since', reason_column => 'why');
SELECT lead_funnel.set_sla('leads', 'mql', '30 milliseconds');
INSERT INTO leads (id, stage, source) SELECT i, 'mql', 's' || i % 3 FROM generate_series(1, $leads) i;
});

my $due = 0;
sub any { return $_[ rand @_ ]; }

# one statement of a client; decisions say lead, move and whether they are new
sub statement
{
	my $k = 1 + int rand $leads;
	my $what = rand;
	return "SELECT 'd', lead, move, is_new FROM lead_funnel.accept('leads', $k);" if $what < .16;
	return "SELECT 'd', lead, move, is_new FROM lead_funnel.reject('leads', $k, '" . any('no_need', 'no_budget', 'bad_data') . "');" if $what < .32;
	return "UPDATE leads SET stage = 'sal' WHERE id = $k;" if $what < .40;
	return "UPDATE leads SET stage = 'rejected', why = 'w' || random() WHERE id = $k;" if $what < .48;
	return "SELECT lead_funnel.undo_move('leads', $k, 'wrong');" if $what < .64;
	return "SELECT lead_funnel.recycle('leads', $k, 'later');" if $what < .70;
	return "UPDATE leads SET stage = '" . any('mql', 'mql', 'mql', 'nurture') . "' WHERE id = $k;" if $what < .90;
	return "UPDATE leads SET source = 's" . int(rand 3) . "' WHERE id = $k;" if $what < .95;
	return "DELETE FROM leads WHERE id = $k; INSERT INTO leads (id, stage, source) VALUES ($k, 'mql', 'new');" if $what < .97;
	# several in one transaction, in the order of keys
	return "BEGIN; SELECT count(*) FROM (SELECT lead_funnel.accept('leads', i) FROM generate_series($k, $k + 3) i) x; SAVEPOINT s; "
	  . "SELECT lead_funnel.undo_move('leads', $k); ROLLBACK TO s; " . any('COMMIT;', 'ROLLBACK;');
}

my @laws = (
	[ 'verify()', q{SELECT * FROM lead_funnel.verify('leads')} ],
	[ 'each hand-over has one fate', q{
		SELECT month, source, handed_over, accepted, rejected, expired, withdrawn, undecided FROM lead_funnel.sal_acceptance
		WHERE accepted + rejected + expired + withdrawn + undecided <> handed_over} ],
	[ 'each entry to mql that counts is a hand-over, and the other way round', q{
		SELECT * FROM (SELECT lead, move FROM lead_funnel.funnel_history WHERE to_stage = 'mql' AND undoes IS NULL AND undone_by IS NULL) m
		FULL JOIN lead_funnel.handovers h USING (lead, move) WHERE m.lead IS NULL OR h.lead IS NULL} ],
	[ 'its fate is the next move that counts', q{
		SELECT * FROM (SELECT lead, move, to_stage, lead(to_stage) OVER w AS next_to, lead(origin) OVER w AS next_origin, lead(move) OVER w AS next_move
			FROM lead_funnel.funnel_history WHERE undoes IS NULL AND undone_by IS NULL WINDOW w AS (PARTITION BY lead ORDER BY move)) m
		JOIN lead_funnel.handovers h USING (lead, move)
		WHERE h.decided_move IS DISTINCT FROM m.next_move
		   OR h.fate <> CASE WHEN m.next_move IS NULL THEN 'undecided' WHEN m.next_to = 'sal' THEN 'accepted' WHEN m.next_to = 'rejected' THEN 'rejected'
				WHEN m.next_origin = 'expiry' THEN 'expired' ELSE 'withdrawn' END} ],
	[ 'what is undecided waits in the table', q{
		SELECT * FROM (SELECT lead FROM lead_funnel.handovers WHERE fate = 'undecided') h
		FULL JOIN (SELECT id::text AS lead FROM leads WHERE stage = 'mql') l ON l.lead = h.lead WHERE l.lead IS NULL OR h.lead IS NULL} ],
	[ 'an undo takes back one move', q{
		SELECT lead, undoes FROM lead_funnel.funnel_history WHERE undoes IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1} ],
	[ 'visits tile time', q{
		SELECT * FROM (SELECT lead, entered_at, exited_at, lead(entered_at) OVER w AS next_at, lead(cycle) OVER w AS next_cycle, cycle
			FROM lead_funnel.lead_visits WINDOW w AS (PARTITION BY lead ORDER BY entered_at, exited_at)) v
		WHERE exited_at < entered_at OR (next_cycle = cycle AND next_at <> exited_at)} ],
	[ 'nothing expires before its time', q{
		SELECT lead, handed_over_at FROM lead_funnel.handovers WHERE fate = 'expired' AND decided_at < due_at} ]);

for my $round (1 .. $rounds)
{
	$node->safe_psql('postgres', "SELECT lead_funnel.set_expiry('leads', '" . ($round % 2 ? 'expire' : 'escalate') . "')");
	my (@runs, @files);
	for my $client (1 .. $clients + $clocks)
	{
		my $file = $node->basedir . "/round$round.client$client";
		my $script = "\\set ON_ERROR_STOP 0\n";
		if ($client > $clients)
		{
			$script .= "SELECT 'e', lead, handed_over_at, action FROM lead_funnel.run_due('leads');\n" x ($statements / 2);
		}
		else
		{
			$script .= "SET default_transaction_isolation = 'repeatable read';\n" if $client % 4 == 0;
			$script .= "SET lead_funnel.actor = 'c$client';\n" if $client % 2;
			$script .= statement() . "\n" for 1 .. $statements;
		}
		append_to_file("$file.sql", $script);
		push @files, "$file.out";
		push @runs, IPC::Run::start([ 'psql', '-qAtX', '-d', $node->connstr('postgres'), '-f', "$file.sql" ],
			'<', '/dev/null', '>', "$file.out", '2>', '/dev/null', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	}
	$_->finish for @runs;

	for my $law (@laws)
	{
		is($node->safe_psql('postgres', $law->[1]), '', "round $round: $law->[0]");
	}
	my (%new, @twice);
	for my $line (map { split /\n/, slurp_file($_) } @files)
	{
		my ($kind, $lead, $what, $is) = split /\|/, $line;
		push @twice, $line if $kind eq 'd' && $is eq 't' && $what ne '' && $new{"$lead $what"}++;
		$due++ if $kind eq 'e';
	}
	is(join(', ', @twice), '', "round $round: nobody decided what another one had decided");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM lead_funnel.journal WHERE origin = 'x'}), $due, "round $round: each expiry is one clock's");
	cmp_ok(scalar keys %new, '>', 20, "round $round: decisions were made");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM (VALUES ' . join(', ', map { '(' . join(', ', split / /) . ')' } keys %new) . q{) AS n (lead_id, move)
		LEFT JOIN lead_funnel.funnel_history h USING (lead_id, move)
		WHERE h.to_stage NOT IN ('sal', 'rejected') OR h.from_stage <> 'mql' OR h.lead IS NULL}), '0', "round $round: and stand in the history");
	note "round $round: " . $node->safe_psql('postgres', q{SELECT string_agg(fate || ' ' || n, ', ') FROM (SELECT fate, count(*) AS n FROM lead_funnel.handovers GROUP BY 1) f})
	  . ', undone ' . $node->safe_psql('postgres', 'SELECT count(undoes) FROM lead_funnel.funnel_history');
}
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT fate, ' ' ORDER BY fate) FROM lead_funnel.handovers WHERE fate <> 'undecided'}),
	'accepted expired rejected withdrawn', 'all of it happened');
$node->safe_psql('postgres', q{SELECT lead_funnel.rebuild('leads'); SELECT lead_funnel.compact()});
is($node->safe_psql('postgres', $laws[0][1]), '', 'computed anew from the journal it is the same');

# errors: what deciders may cause, and nothing else
my %states;
my $log = slurp_file($node->logfile);
$states{$1}++ while $log =~ /\] (\w{5}) (?:ERROR|FATAL|PANIC):/g;
note join ', ', map { "$_: $states{$_}" } sort keys %states;
my %allowed = map { $_ => 1 } qw(55000 23514 23505 25P02 3B001 40001 42501 P0002);
is(join(' ', grep { !$allowed{$_} } sort keys %states), '', 'no other errors than expected; no deadlock');
$node->stop;
done_testing();
