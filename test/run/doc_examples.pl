# doc_examples.pl FILE...: what kind_doc.sh says, of Markdown files. Needs a server; WRITE=1 writes the outputs into the files.
#
# Each ```sql block is one psql session, the blocks of a file run in order in a database of its own that has the extension.
# A ```text or ``` block that follows is what the session prints, errors too, but for their CONTEXT. Without one, the session
# must not fail. A block below the comment "<!-- not run -->" is left alone.
use strict;
use warnings;

my ($passed, $failed) = (0, 0);
my ($in, $out) = map { "$ENV{PGHOST}/example.$_" } qw(in out);

sub check { my ($ok, $what) = @_; $ok ? $passed++ : $failed++; print "not ok: $what\n" unless $ok; }
sub slurp { my ($f) = @_; open my $h, '<', $f or die "$f: $!\n"; local $/; <$h> // '' }
sub spew { my ($f, $text) = @_; open my $h, '>', $f or die "$f: $!\n"; print $h $text; close $h or die "$f: $!\n" }
sub trim { my ($text) = @_; $text =~ s/[ \t]+$//mg; $text =~ s/\n*\z/\n/; $text }
sub admin { system('psql', '-qXd', 'postgres', map { ('-c', $_) } @_) == 0 or die "cannot set up a database\n" }

sub run
{
	my ($sql, $stop) = @_;
	spew($in, $sql);
	my $rc = system("psql -X -v SHOW_CONTEXT=never -v ON_ERROR_STOP=$stop -d doc <$in >$out 2>&1");
	return ($rc, trim(slurp($out)));
}

sub run_examples
{
	my ($file, $text) = @_;
	admin('CREATE DATABASE doc');
	system(q(psql -qXd doc -c "CREATE EXTENSION lead_funnel")) == 0 or die "cannot create the extension\n";
	$text =~ s{^(<!--\ not\ run\ -->\n+)?```sql\n(.*?)^```\n(\n*```(?:text)?\n)?((?(3).*?^```\n))}{
		my ($kept, $skip, $sql, $fence, $shown) = ($&, $1, $2, $3, $4);
		my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
		if (!$skip)
		{
			my ($rc, $got) = run($sql, defined $fence ? 0 : 1);
			(my $expected = $shown // '') =~ s/^```\n\z//m;
			if (!defined $fence)
			{
				check($rc == 0, "$file:$line fails\n$got");
			}
			elsif ($ENV{WRITE})
			{
				$kept = "```sql\n$sql```\n$fence$got```\n";
			}
			else
			{
				spew("$out.expected", trim($expected));
				spew($out, $got);
				my $same = trim($expected) eq $got;
				check($same, "$file:$line prints something else");
				system("diff -u $out.expected $out | tail -n +3") unless $same;
			}
		}
		$kept;
	}gemsx;
	admin('DROP DATABASE doc WITH (FORCE)');
	# roles are the cluster's, and another file may want the same names
	my $roles = join ' ', split ' ', qx(psql -AtXd postgres -c "SELECT quote_ident(rolname) FROM pg_roles WHERE oid >= 16384");
	admin("DROP ROLE $_") for split ' ', $roles;
	spew($file, $text) if $ENV{WRITE};
}

sub check_links
{
	my ($file, $text) = @_;
	(my $folder = $file) =~ s{[^/]*\z}{};
	$text =~ s/^```.*?^```$//msg;
	while ($text =~ /\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)
	{
		my ($path, $anchor) = ($1, $2);
		my $target = $path eq '' ? $file : "$folder$path";
		my $found = -e $target;
		if ($found && defined $anchor)
		{
			# as GitHub makes them
			my %anchors = map { my $a = lc; $a =~ s/[^\w\- ]//g; $a =~ tr/ /-/; ($a => 1) } slurp($target) =~ /^#+ +(.*?) *$/mg;
			$found = $anchors{$anchor};
		}
		check($found, "$file links to $path" . (defined $anchor ? "#$anchor" : '') . ', which is not there');
	}
}

# Messages with a * for what varies: %s in C, % in PL/pgSQL, capitals in the documentation
sub vary { my ($s) = @_; $s =~ s/[A-Z][A-Z_]+/*/g; $s }

sub check_messages
{
	my ($file, $text) = @_;
	my (%raised, %documented);
	for my $source (glob 'src/*.[ch]')
	{
		my $code = slurp($source);
		while ($code =~ /\b(?:errmsg|psprintf)\(\s*"((?:[^"\\]|\\.)*)"(?:,\s*"(\w+)")?/g)
		{
			my ($message, $type) = ($1, $2);
			next unless $& =~ m{^errmsg} || $message =~ /violates check constraint/;
			$message =~ s/\\"/"/g;
			$message =~ s/%(?:\.\*)?[a-z]/*/g;
			$message =~ s/\*/$type/ if defined $type;
			$raised{vary($message)} = $source;
		}
	}
	for my $source (glob 'sql/parts/*.sql')
	{
		my $code = slurp($source);
		while ($code =~ /\bRAISE (?:EXCEPTION|WARNING|NOTICE|INFO|LOG) '((?:[^']|'')*)'/g)
		{
			(my $message = $1) =~ s/''/'/g;
			$message =~ s/%/*/g;
			$raised{vary($message)} = $source;
		}
	}
	$documented{$1} = join '\S+', map { quotemeta } split /\*/, vary($1), -1 while $text =~ /^\| `([^`]* [^`]*)` \|/mg;
	for my $message (sort keys %raised)
	{
		check(scalar(grep { $message =~ /^$_$/ } values %documented), "$file lacks a message of $raised{$message}: $message");
	}
	for my $message (sort keys %documented)
	{
		check(scalar(grep { /^$documented{$message}$/ } keys %raised), "$file has a message that nothing raises: $message");
	}
}

my @files = grep { -e } @ARGV;
for my $file (@files)
{
	my $text = slurp($file);
	run_examples($file, $text);
	check_links($file, $text);
	check_messages($file, $text) if $file eq 'doc/errors.md';
}
print "$passed passed, $failed failed\n";
