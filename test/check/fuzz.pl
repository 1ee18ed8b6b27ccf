# fuzz.pl: whatever comes to the input functions of our types, as text or as binary, is a value or one of the errors that
# bad input may give; and what is a value comes back the same by text and by binary.
#
# FUZZ_SEED, FUZZ_ROUNDS (20): 500 texts and 100 binary files of each type in a round.
use strict;
use warnings;
use IPC::Open2;

my $seed = $ENV{FUZZ_SEED} || 1;
my $rounds = $ENV{FUZZ_ROUNDS} || 20;
my $dir = $ENV{PGHOST};
srand $seed;
print "FUZZ_SEED=$seed FUZZ_ROUNDS=$rounds\n";

# good values, from which bad ones are made
my %good = (
	lead_stage => [qw(lead mql sal sql opportunity won nurture recycled rejected disqualified lost LOST)],
	engagement => [ '42.5@2026-11-23 10:00:00+00/7 days', '-1e300@1999-12-31 23:59:59.999999-12/1 second', '0@2026-02-29/36525 days',
		'1e-308@294276-12-31 00:00:00+00/1 day', '5@4713-01-01 00:00:00+00 BC/12:30:00' ],
	qualification => [ 'bant(budget=2,authority=1,need=3)', 'meddpicc(metrics=0)', 'champ()', 'spiced(situation=3, pain=1)' ]);
# of bad input: 22P02, 22P03, 22007, 22008, 22003, 22015, 22021 (a NUL or no UTF-8), 22023, 08P01 (binary), 22P04 (the file), 54000
my $allowed = "'22P02', '22P03', '22007', '22008', '22003', '22015', '22021', '22023', '08P01', '22P04', '54000', '22009'";

my $pid = open2(my $out, my $in, qw(psql -qXAt -v ON_ERROR_STOP=1)) or die;
$in->autoflush(1);

sub sql
{
	my @lines;
	print $in "$_[0];\n\\echo (done)\n";
	while (defined(my $line = readline $out))
	{
		chomp $line;
		return @lines if $line eq '(done)';
		push @lines, $line;
	}
	die "the server is gone, or refused:\n" . substr($_[0], 0, 2000) . "\n";
}

sub any { return $_[ rand @_ ]; }

sub mutate
{
	my ($text, $is_binary) = @_;
	for (1 .. 1 + int rand 4)
	{
		my $at = int rand(1 + length $text);
		my $n = int rand 4;
		my $bytes = join '', map { chr($is_binary ? int rand 256 : any(1 + int rand 127, unpack('C*', '(),=@/ :-+.eE0123456789'))) } 0 .. $n;
		my $what = int rand 5;
		if ($what == 0) { substr $text, $at, $n, ''; }
		elsif ($what == 1) { substr $text, $at, 0, $bytes; }
		elsif ($what == 2) { substr $text, $at, length $bytes, $bytes; }
		elsif ($what == 3) { $text = substr($text, 0, $at); }
		else { $text .= substr $text, $at; }
	}
	$text = $text x int rand 2000 if rand() < .01;
	return $text;
}

sub quote { my $t = shift; $t =~ s/(['\\])/$1$1/g; return "E'$t'"; }

sql('CREATE EXTENSION lead_funnel; SET client_min_messages = warning');
my @types = grep { (sql("SELECT to_regtype('$_') IS NOT NULL"))[0] eq 't' } sort keys %good;
sql(qq{CREATE FUNCTION try_text(type regtype, input text) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE
	same boolean;
BEGIN
	EXECUTE format('SELECT (%1\$L::%2\$s)::text::%2\$s = %1\$L::%2\$s', input, type) INTO same;
	RETURN CASE WHEN same THEN NULL ELSE 'not the same: ' || input END;
EXCEPTION
	WHEN OTHERS THEN
		RETURN CASE WHEN SQLSTATE NOT IN ($allowed) THEN format('%s, %s: %s', SQLSTATE, SQLERRM, input) END;
END
\$\$});
sql(qq{CREATE FUNCTION try_file(type regtype, file text) RETURNS text LANGUAGE plpgsql AS \$\$
BEGIN
	EXECUTE format('COPY fuzz_%s FROM %L (FORMAT binary)', type, file);
	RETURN NULL;
EXCEPTION
	WHEN OTHERS THEN
		RETURN CASE WHEN SQLSTATE NOT IN ($allowed) THEN format('%s, %s: %s', SQLSTATE, SQLERRM, file) END;
END
\$\$});
sql("CREATE TABLE fuzz_$_ (value $_); CREATE TABLE again_$_ (value $_)") for @types;

my @problems;
for my $round (1 .. $rounds)
{
	for my $type (@types)
	{
		push @problems, grep { $_ ne '' } sql(join ";\n", map { "SELECT try_text('$type', " . quote(mutate(any(@{ $good{$type} }))) . ')' } 1 .. 500);
		my @files;
		for my $n (1 .. 100)
		{
			my $bytes = mutate(any(@{ $good{$type} }), 1);
			push @files, "$dir/fuzz_$n";
			open my $f, '>:raw', $files[-1] or die;
			print $f "PGCOPY\n\xff\r\n\0", pack('NN', 0, 0), pack('n N/a*', 1, $bytes), pack('n', 0xffff);
			close $f;
		}
		push @problems, grep { $_ ne '' } sql(join ";\n", map { "SELECT try_file('$type', '$_')" } @files);
		last if @problems;
		unlink @files;
		# there and back
		sql("COPY fuzz_$type TO '$dir/fuzz' (FORMAT binary); TRUNCATE again_$type; COPY again_$type FROM '$dir/fuzz' (FORMAT binary)");
		push @problems, map { "not the same in binary: $type $_" } sql("(TABLE fuzz_$type EXCEPT ALL TABLE again_$type) UNION ALL (TABLE again_$type EXCEPT ALL TABLE fuzz_$type)");
	}
	last if @problems;
}
printf "%s: %d texts and %d files each; %s came in by file\n", join(', ', @types), 500 * $rounds, 100 * $rounds,
	join(', ', map { (sql("SELECT count(*) FROM fuzz_$_"))[0] } @types);
print "$_\n" for @problems;
print @problems ? "failed; FUZZ_SEED=$seed repeats it\n" : "passed\n";
exit(@problems ? 1 : 0);
