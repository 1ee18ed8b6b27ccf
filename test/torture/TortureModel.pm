# Random lead tables and random statements on them. All randomness is rand(): srand() repeats it.
package TortureModel;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT_OK = qw(any new_table setup_sql trigger_sql attach_sql statement transaction ddl);

my @stages = qw(lead mql sal sql opportunity won nurture recycled rejected disqualified lost);
my @dims = qw(source campaign owner segment currency);
my %dim_column = (source => 'src', campaign => 'cam', owner => 'own', segment => 'seg', currency => 'cur');
my $chars = "E' \\t\\r\\n'";

sub any { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }
sub quoted { my $v = shift; $v =~ s/'/''/g; return "'$v'"; }

# ---------- tables ----------

# options: name, keys (how many), plain (no partitions), deletes_rows (see below)
sub new_table
{
	my %o = @_;
	my $t = { name => $o{name}, keys => $o{keys} };
	my $name = $t->{name};

	$t->{key_type} = any(qw(int2 int4 int8 uuid text), 'varchar(60)', "${name}_key");
	$t->{stage_type} = any('lead_stage', 'lead_stage', 'text', 'varchar(30)', "${name}_stage", 'int', "${name}_domain");
	my $integer = $t->{stage_type} eq 'int';
	$t->{integer_stage} = $integer;
	# the values of each stage; undef is NULL
	my %raw = map { $_ => [ $_ ] } @stages;
	my %map;
	if ($integer)
	{
		$raw{ $stages[$_] } = [ $_ + 1 ] for 0 .. $#stages;
		push @{ $raw{sal} }, 31, 32;
		push @{ $raw{lead} }, undef if chance(.5);
		%map = map { $_ => [ @{ $raw{$_} } ] } @stages;
	}
	elsif ($t->{stage_type} eq 'lead_stage')
	{
		if (chance(.4)) { push @{ $raw{lead} }, undef; $map{lead} = [undef]; }
	}
	elsif (chance(.8))
	{
		%map = (lead => [ 'New', undef ], sal => [ 'Accepted', "in work's" ], won => [ 'Closed Won', '7' ]);
		push @{ $raw{$_} }, @{ $map{$_} } for keys %map;
	}
	$t->{raw} = \%raw;
	$t->{map} = \%map;
	$t->{nonsense} = $t->{stage_type} eq 'lead_stage' ? undef : $integer ? 99 : 'nonsense';
	# not NULL if that means nothing: then it is the one value that means nothing for a lead_stage
	$t->{null_means_nothing} = !grep { !defined } map { @$_ } values %raw;

	$t->{type} = {
		src => any('text', 'int', 'boolean'), cam => any('text', 'varchar(20)', 'uuid'), own => 'text', seg => any('int', 'text'), cur => any('char(3)', 'text'),
		val => any('int', 'numeric', 'numeric(12,2)', 'float8'), ex => any('boolean', 'timestamptz'), ent => any('timestamptz', 'timestamp', 'date') };
	$t->{partitioned} = $o{plain} || chance(.5) ? '' : any('r', 'r', 'k', 'st');
	$t->{used} = { map { $_ => chance(.5) } @dims, 'value', 'excluded', 'entered', 'reason', 'actor', 'handover' };
	$t->{used}{owner} = 1 if $t->{partitioned} eq 'st';
	# what makes the key unique
	$t->{unique} = $t->{partitioned} eq 'r' ? 'with r' : $t->{partitioned} eq 'st' ? 'none' : any('key', 'key', 'key', 'deferrable', $t->{partitioned} ? 'key' : 'none');
	$t->{unique} = 'key' if $t->{partitioned} eq 'k';
	$t->{preset} = any('open', 'open', 'classic', 'without_sal');
	$t->{mode} = any('enforce', 'enforce', 'enforce', 'observe');
	$t->{timezone} = any('UTC', 'Europe/Berlin', 'Asia/Kolkata', 'America/St_Johns');
	# all and none of the values of the stage column, for the partitions
	$t->{labels} = [ map { map { defined $_ ? "$_" : () } @{ $raw{$_} } } @stages ];
	push @{ $t->{labels} }, $t->{nonsense} if defined $t->{nonsense};
	$t->{movable} = $t->{partitioned} eq 'r' ? "${name}_4" : undef;
	$t->{leaves} = $t->{partitioned} eq 'r' ? [ map { "${name}_$_" } qw(0 1 2a 2b 4) ]
	  : $t->{partitioned} eq 'k' ? [ map { "${name}_$_" } 0 .. 2 ] : $t->{partitioned} eq 'st' ? [ "${name}_0", "${name}_1" ] : [$name];
	return $t;
}

sub key_text
{
	my ($t, $n) = @_;
	my $type = $t->{key_type};
	return $n if $type =~ /^int/;
	return sprintf '00000000-0000-4000-8000-%012d', $n if $type eq 'uuid';
	return "k$n" if $type =~ /_key$/;
	return $n % 7 == 0 ? "O'Brien $n" : $n % 11 == 0 ? "\x{e9}" x 3 . $n : $n % 13 == 0 ? 'long' x 10 . $n : "k$n";
}

# the enum has so many labels; what lies above is no key at all
sub key { my ($t, $n) = @_; return quoted(key_text($t, $n)) . "::$t->{key_type}"; }

sub raw_stage
{
	my ($t, $raw) = @_;
	return (defined $raw ? quoted($raw) : 'NULL') . "::$t->{stage_type}";
}

sub stage
{
	my $t = shift;
	my $s = any(@_ ? @_ : (@stages, 'lead', 'mql', 'mql', 'sal', 'won'));
	return raw_stage($t, $t->{nonsense}) if chance(.02) && defined $t->{nonsense};
	return raw_stage($t, undef) if chance(.02);
	return raw_stage($t, any(@{ $t->{raw}{$s} }));
}

sub column_value
{
	my ($t, $c) = @_;
	my $type = $t->{type}{$c} || '';
	return any('NULL', 'false', 'false', 'true') if $type eq 'boolean';
	return any('NULL', 'NULL', 'now()') if $c eq 'ex';
	return any('NULL', 'now()', "now() - interval '1 hour'", "now() - interval '3 days'", "'2020-02-02'", "'2999-01-01'", "'infinity'") if $c eq 'ent';
	return any('NULL', int rand 3) if $c ne 'val' && $type eq 'int';
	return any('NULL', "'00000000-0000-0000-0000-00000000000" . int(rand 3) . "'") if $type eq 'uuid';
	return any('NULL', int rand 100, int rand 10, $type ne 'int' ? (any(1.5, '12.25'), $type =~ /,/ ? 0 : "'NaN'") : ()) if $c eq 'val';
	return any("'EUR'", "'USD'", 'NULL', "''") if $c eq 'cur';
	return any('NULL', "'a'", "'b'", "' '", "''", "'a b'");
}

sub setup_sql
{
	my $t = shift;
	my $name = $t->{name};
	my @sql;
	push @sql, "CREATE TYPE ${name}_key AS ENUM (" . join(', ', map { quoted(key_text($t, $_)) } -1 .. 2 * $t->{keys} + 20) . ')' if $t->{key_type} =~ /_key$/;
	push @sql, "CREATE TYPE ${name}_stage AS ENUM (" . join(', ', map { quoted($_) } @{ $t->{labels} }) . ')' if $t->{stage_type} =~ /_stage$/ && $t->{stage_type} ne 'lead_stage';
	push @sql, "CREATE DOMAIN ${name}_domain AS text" if $t->{stage_type} =~ /_domain$/;
	my %type = (%{ $t->{type} }, k => $t->{key_type}, r => 'int', st => $t->{stage_type}, rea => 'text', act => 'text', hand => 'timestamptz', note => 'text', v => 'bigint', pv => 'bigint');
	my $columns = sub {
		my @columns = map { [ rand, $_ ] } @_;
		return join ', ', map { "$_->[1] " . ($type{ $_->[1] } || 'int') . ($_->[1] =~ /^[kr]$/ ? ' NOT NULL' : '') } sort { $a->[0] <=> $b->[0] } @columns;
	};
	# a partition of its own making: other order, dropped columns
	my $foreign = sub {
		my $part = shift;
		return "CREATE TABLE $part (" . $columns->(keys %type, 'gone1', 'gone2') . ')', "ALTER TABLE $part DROP COLUMN gone1, DROP COLUMN gone2";
	};
	my $by = $t->{partitioned};
	push @sql, "CREATE TABLE $name (" . $columns->(keys %type) . ')' . ($by eq 'r' ? ' PARTITION BY LIST (r)' : $by eq 'k' ? ' PARTITION BY HASH (k)' : $by eq 'st' ? ' PARTITION BY LIST (st)' : '');
	my $key = $t->{unique} eq 'with r' ? 'PRIMARY KEY (k, r)' : $t->{unique} eq 'key' ? 'PRIMARY KEY (k)' : $t->{unique} eq 'deferrable' ? 'PRIMARY KEY (k) DEFERRABLE' : '';
	push @sql, $key ? "ALTER TABLE $name ADD $key" : "CREATE INDEX ON $name (k)";
	if ($by eq 'r')
	{
		push @sql, "CREATE TABLE ${name}_0 PARTITION OF $name FOR VALUES IN (0)", $foreign->("${name}_1"),
		  "ALTER TABLE $name ATTACH PARTITION ${name}_1 FOR VALUES IN (1)", "CREATE TABLE ${name}_2 PARTITION OF $name FOR VALUES IN (2, 3) PARTITION BY LIST (r)",
		  "CREATE TABLE ${name}_2a PARTITION OF ${name}_2 FOR VALUES IN (2)", $foreign->("${name}_2b"),
		  "ALTER TABLE ${name}_2 ATTACH PARTITION ${name}_2b FOR VALUES IN (3)", "CREATE TABLE ${name}_4 PARTITION OF $name FOR VALUES IN (4)";
	}
	elsif ($by eq 'k')
	{
		push @sql, "CREATE TABLE ${name}_0 PARTITION OF $name FOR VALUES WITH (MODULUS 3, REMAINDER 0)", $foreign->("${name}_1"),
		  "ALTER TABLE $name ATTACH PARTITION ${name}_1 FOR VALUES WITH (MODULUS 3, REMAINDER 1)", "CREATE TABLE ${name}_2 PARTITION OF $name FOR VALUES WITH (MODULUS 3, REMAINDER 2)";
	}
	elsif ($by eq 'st')
	{
		my @half = @{ $t->{labels} }[ 0 .. int($#{ $t->{labels} } / 2) ];
		push @sql, "CREATE TABLE ${name}_0 PARTITION OF $name FOR VALUES IN (" . join(', ', map { quoted($_) } @half) . ')', $foreign->("${name}_1"),
		  "ALTER TABLE $name ATTACH PARTITION ${name}_1 DEFAULT";
	}

	# The audit: each version of a row gets a number, v, and that of the version before, pv, by the last BEFORE trigger.
	# So versions are in order however triggers fire. Deletes are noted before, as there is no version after.
	my $text = sub { my $c = shift; return "CASE WHEN btrim($c\:\:text, $chars) <> '' THEN $c\:\:text ELSE '(none)' END"; };
	my $row = join ', ', '%1$s.k::text', '%1$s.st::text', (!$t->{used}{excluded} ? 'false' : $t->{type}{ex} eq 'boolean' ? '%1$s.ex IS TRUE' : '%1$s.ex IS NOT NULL'),
	  (map { my $x = $text->("%1\$s.$dim_column{$_}"); $x } @dims), q{CASE WHEN %1$s.val::text NOT IN ('NaN', 'Infinity', '-Infinity') THEN %1$s.val::numeric END};
	my ($new, $old) = map { my $r = $row; my $x = $_; $r =~ s/%1\$s/$x/g; $r } 'NEW', 'OLD';
	(my $table = $row) =~ s/%1\$s/t/g;
	my $into = 'INSERT INTO audit (funnel, op, v, pv, a, leaf, old_k, k, st, ex, source, campaign, owner, segment, currency, value)';
	push @sql, qq{CREATE FUNCTION ${name}_version() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
		IF TG_OP = 'INSERT' THEN
			-- a row that comes from another partition has its numbers
			IF NEW.v IS NULL THEN NEW.v := nextval('version'); END IF;
			RETURN NEW;
		ELSIF TG_OP = 'UPDATE' THEN
			NEW.pv := OLD.v; NEW.v := nextval('version');
			RETURN NEW;
		END IF;
		$into VALUES ('$name', 'D', nextval('version'), OLD.v, NULL, TG_RELID, NULL, $old);
		RETURN OLD;
	END \$\$},
	  qq{CREATE FUNCTION ${name}_audit() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
		$into VALUES ('$name', 'W', NEW.v, NEW.pv, nextval('version'), TG_RELID, CASE WHEN TG_OP = 'UPDATE' THEN OLD.k::text END, $new);
		RETURN NULL;
	END \$\$},
	  qq{CREATE FUNCTION ${name}_truncated() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
		INSERT INTO audit (funnel, op, v, leaf) VALUES ('$name', 'T', nextval('version'), TG_RELID);
		RETURN NULL;
	END \$\$},
	  "CREATE TRIGGER zzz_version BEFORE INSERT OR UPDATE OR DELETE ON $name FOR EACH ROW EXECUTE FUNCTION ${name}_version()",
	  "CREATE TRIGGER zzz_audit AFTER INSERT OR UPDATE ON $name FOR EACH ROW EXECUTE FUNCTION ${name}_audit()",
	  (map { "CREATE TRIGGER zzz_truncated BEFORE TRUNCATE ON $_ FOR EACH STATEMENT EXECUTE FUNCTION ${name}_truncated()" } $name, $by ? @{ $t->{leaves} } : ());
	$t->{rows_of} = sub { my ($leaf, $op) = @_;
		return "$into SELECT '$name', '$op', t.v, NULL, NULL, t.tableoid, NULL, $table FROM $leaf t"; };
	# some rows before the funnel
	my $some = int($t->{keys} / 3);
	push @sql, map { my $n = 1 + int rand $t->{keys}; insert_sql($t, $name, $n, 1) . ($t->{unique} =~ /key/ ? ' ON CONFLICT DO NOTHING' : '') } 1 .. $some if $t->{unique} =~ /key/;
	push @sql, map { insert_sql($t, $name, 2 * $_, 1) } 1 .. $some if $t->{unique} !~ /key/;
	push @sql, "UPDATE $name SET st = " . raw_stage($t, $t->{raw}{lead}[0]) . ($t->{type}{ex} eq 'boolean' ? ' WHERE ' : ' WHERE ') . 'st IS NULL' if $t->{null_means_nothing};
	push @sql, "UPDATE $name SET st = " . raw_stage($t, $t->{raw}{mql}[0]) . ' WHERE st::text = ' . quoted($t->{nonsense}) if defined $t->{nonsense};
	return @sql;
}

sub json
{
	my $v = shift;
	return defined $v ? $v =~ /^\d+$/ && $v < 90 ? $v : do { my $x = $v; $x =~ s/(["\\])/\\$1/g; "\"$x\"" } : 'null';
}

sub map_json
{
	my $map = shift;
	return '{' . join(', ', map { "\"$_\": [" . join(', ', map { json($_) } @{ $map->{$_} }) . ']' } sort keys %$map) . '}';
}

sub attach_sql
{
	my ($t, %o) = @_;
	my %column = (%dim_column, value => 'val', excluded => 'ex', entered => 'ent', reason => 'rea', actor => 'act', handover => 'hand');
	my @args = map { "$_\_column => '$column{$_}'" } grep { $t->{used}{$_} } sort keys %column;
	push @args, 'stage_map => ' . quoted(map_json($t->{map})) if %{ $t->{map} };
	push @args, "key_column => 'k'" if $t->{unique} !~ /^key|^def/;
	push @args, "preset => '$t->{preset}'", "mode => '$t->{mode}'", "timezone => '$t->{timezone}'";
	return "SELECT lead_funnel.attach('$t->{name}', 'st', " . join(', ', @args) . ')';
}

# ---------- triggers of a user's ----------

# Level 1: triggers that move a lead again where events stay in order or nearly so; level 2: whatever triggers can do.
sub trigger_sql
{
	my ($t, $level) = @_;
	my $name = $t->{name};
	my $k = "\$1::$t->{key_type}";
	my @actions = map { "UPDATE $name SET st = " . stage($t) . " WHERE k = $k" } 1 .. 3;
	push @actions, "UPDATE $name SET note = 'n', src = " . column_value($t, 'src') . " WHERE k = $k", "UPDATE $name SET val = " . column_value($t, 'val') . " WHERE k = $k",
	  "SELECT count(*) FROM lead_funnel.funnel_history WHERE funnel = '$name' AND lead = \$1";
	if ($level > 1)
	{
		push @actions, map { my $a = 1 + int rand $t->{keys};
			"UPDATE $name SET st = " . stage($t) . ' WHERE k IN (' . key($t, $a) . ", $k)",
			"DELETE FROM $name WHERE k = $k",
			"UPDATE $name SET ex = " . column_value($t, 'ex') . " WHERE k = $k",
			"DELETE FROM $name WHERE k = " . key($t, $a),
			insert_sql($t, $name, $a, 0),
			"UPDATE $name SET k = " . key($t, $a) . " WHERE k = $k AND NOT EXISTS (SELECT FROM $name WHERE k = " . key($t, $a) . ')',
			"UPDATE $name SET r = " . int(rand 5) . ", st = " . stage($t) . " WHERE k = $k" } 1 .. 2;
		(my $again = insert_sql($t, $name, 1, 0)) =~ s/VALUES \(('[^']*')::\S+?,/VALUES ($k,/;
		push @actions, $again;
	}
	my @sql = ("INSERT INTO actions (funnel, id, action) VALUES " . join ', ', map { "('$name', $_, " . quoted($actions[$_]) . ')' } 0 .. $#actions);
	push @sql, qq{CREATE FUNCTION ${name}_acts() RETURNS trigger LANGUAGE plpgsql AS \$\$
	DECLARE
		what text; key text;
	BEGIN
		IF pg_trigger_depth() <= TG_ARGV[0]::int AND random() < TG_ARGV[1]::float8 THEN
			key := CASE WHEN TG_LEVEL = 'STATEMENT' THEN (SELECT t.k::text FROM $name t ORDER BY random() LIMIT 1) WHEN TG_OP = 'DELETE' THEN OLD.k::text ELSE NEW.k::text END;
			FOR what IN SELECT a.action FROM actions a WHERE a.funnel = '$name' ORDER BY random() LIMIT 1 + (random() < 0.3)::int LOOP
				IF random() < 0.3 THEN
					BEGIN
						EXECUTE what USING key;
						IF random() < 0.3 THEN RAISE division_by_zero; END IF;
					EXCEPTION WHEN division_by_zero OR unique_violation OR check_violation OR triggered_data_change_violation OR invalid_text_representation THEN NULL;
					END;
				ELSE
					EXECUTE what USING key;
				END IF;
			END LOOP;
		END IF;
		RETURN CASE WHEN TG_WHEN = 'AFTER' THEN NULL WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
	END \$\$},
	  qq{CREATE FUNCTION ${name}_changes() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
		IF random() < 0.1 THEN NEW.st := } . stage($t) . qq{; END IF;
		IF random() < 0.1 THEN NEW.own := 'trigger'; END IF;
		IF random() < 0.05 THEN RETURN NULL; END IF;
		RETURN NEW;
	END \$\$};
	push @sql, "CREATE TRIGGER m_before BEFORE INSERT OR UPDATE ON $name FOR EACH ROW EXECUTE FUNCTION ${name}_changes()" if chance(.5);
	push @sql, "CREATE TRIGGER z_after AFTER INSERT OR UPDATE OR DELETE ON $name FOR EACH ROW EXECUTE FUNCTION ${name}_acts(2, 0.3)" if chance(.7);
	push @sql, "CREATE TRIGGER a_after AFTER INSERT OR UPDATE OR DELETE ON $name FOR EACH ROW EXECUTE FUNCTION ${name}_acts(2, 0.3)" if $level > 1 && chance(.7);
	push @sql, "CREATE TRIGGER b_before BEFORE INSERT OR UPDATE OR DELETE ON $name FOR EACH ROW EXECUTE FUNCTION ${name}_acts(2, 0.1)" if $level > 1 && chance(.3);
	push @sql, "CREATE TRIGGER s_after AFTER INSERT OR UPDATE OR DELETE ON $name FOR EACH STATEMENT EXECUTE FUNCTION ${name}_acts(2, 0.2)" if chance(.4);
	push @sql, "CREATE CONSTRAINT TRIGGER d_after AFTER INSERT OR UPDATE ON $name DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${name}_acts(2, 0.2)" if chance(.4);
	$t->{triggers} = 1;
	return @sql;
}

# ---------- statements ----------

sub insert_sql
{
	my ($t, $into, $n, $simple) = @_;
	my $st = $simple ? raw_stage($t, any(@{ $t->{raw}{ any('lead', 'mql', 'mql', 'sal') } })) : stage($t, 'lead', 'mql', 'lead', 'mql', 'sal', 'won');
	return "INSERT INTO $into (k, r, st, src, cam, own, seg, cur, val, ex, ent) VALUES (" . join(', ', key($t, $n), int(rand 5), $st,
		(map { column_value($t, $_) } qw(src cam own seg cur val)), $simple ? 'NULL' : chance(.85) ? 'NULL' : column_value($t, 'ex'), $simple || chance(.7) ? 'NULL' : column_value($t, 'ent')) . ')';
}

# the leads with keys of the list, locked in the order of keys: the lists are in that order, and each row is locked by itself
sub in_order
{
	my ($t, @n) = @_;
	return "k = ANY (ARRAY(SELECT x.k FROM (VALUES " . join(', ', map { "($_, " . key($t, $n[$_]) . ')' } 0 .. $#n) . ") o (i, k) JOIN $t->{name} x ON x.k = o.k ORDER BY o.i FOR NO KEY UPDATE OF x))";
}

sub changes
{
	my $t = shift;
	my @set;
	push @set, "$_ = " . column_value($t, $_) for grep { chance(.2) } qw(src cam own seg cur val);
	push @set, 'st = ' . stage($t) if chance(.5) || !@set;
	push @set, 'ent = ' . any('now()', column_value($t, 'ent')) if chance(.1);
	push @set, 'rea = ' . quoted(any('price', 'no budget', '', ' ', rand)) if chance(.2);
	push @set, 'hand = now()' if chance(.1);
	push @set, "act = 'somebody'" if chance(.1);
	return join ', ', @set;
}

# One statement on leads with keys from $n on. Returns it and the last key it touches: whoever goes on from there locks leads
# in the order of keys. With $free it need not.
sub statement
{
	my ($t, $n, $free, $file) = @_;
	my $name = $t->{name};
	my $what = rand;
	my $k = key($t, $n);
	my $one = $t->{unique} eq 'key' || $t->{unique} eq 'deferrable';
	my @next = map { $n + $_ } sort { $a <=> $b } map { int rand 10 } 1 .. 1 + int rand 4;
	my $many = sub { return $free ? 'k IN (' . join(', ', map { key($t, $_) } @next) . ')' : in_order($t, @next); };
	my $leaf = any(@{ $t->{leaves} });

	return ("UPDATE $name SET " . changes($t) . " WHERE k = $k", $n) if ($what -= .20) < 0;
	return ("UPDATE $name SET " . changes($t) . ' WHERE ' . $many->(), $next[-1]) if ($what -= .12) < 0;
	return (insert_sql($t, $name, $n), $n) if ($what -= .10) < 0;
	if (($what -= .04) < 0)
	{
		my @rows = map { insert_sql($t, $name, $_) } @next;
		s/^.*? VALUES // for @rows[ 1 .. $#rows ];
		return (join(', ', @rows), $next[-1]);
	}
	if (($what -= .03) < 0 && $file)
	{
		my $data = '';
		for my $i (@next)
		{
			my $st = any(@{ $t->{raw}{ any('lead', 'mql') } });
			$data .= join("\t", key_text($t, $i), int(rand 5), defined $st ? $st : '\\N', any('a', 'b', '')) . "\n";
		}
		return ("\\copy $name (k, r, st, own) FROM '" . $file->($data) . "'", $next[-1]);
	}
	if (($what -= .07) < 0)
	{
		return ("UPDATE $name SET st = " . stage($t) . " WHERE k = $k AND r < 9", $n) if $t->{unique} eq 'none' || $t->{unique} eq 'deferrable';
		my $conflict = $one ? '(k)' : '(k, r)';
		my @rows = map { insert_sql($t, $name, $_) } do { my %seen; grep { !$seen{$_}++ } @next };
		s/^.*? VALUES // for @rows[ 1 .. $#rows ];
		return (join(', ', @rows) . " ON CONFLICT $conflict DO " . any('NOTHING', 'UPDATE SET st = excluded.st, own = excluded.own', 'UPDATE SET ' . changes($t)), $next[-1]);
	}
	return ("MERGE INTO $name t USING (VALUES ($k)) s (k) ON t.k = s.k WHEN MATCHED AND t.st = " . stage($t) . ' THEN DELETE WHEN MATCHED THEN UPDATE SET ' . changes($t)
		. " WHEN NOT MATCHED THEN INSERT (k, r, st) VALUES (s.k, " . int(rand 5) . ', ' . stage($t, 'lead', 'mql') . ')', $n) if ($what -= .04) < 0;
	return (any(
			"WITH d AS (DELETE FROM $name WHERE k = $k RETURNING *) INSERT INTO $name (k, r, st, own, val) SELECT k, " . int(rand 5) . ', ' . stage($t, 'lead', 'mql') . ', own, val FROM d',
			"WITH u AS (UPDATE $name SET " . changes($t) . " WHERE k = $k RETURNING k) UPDATE $name SET note = 'cte' WHERE k IN (SELECT k FROM u)",
			"WITH u AS (UPDATE $name SET st = " . stage($t) . " WHERE k = $k RETURNING *) SELECT count(*) FROM u",
			# the functions read the journal, and write, before the event of the UPDATE has come
			map { "WITH u AS (UPDATE $name SET st = " . stage($t) . " WHERE k = $k RETURNING k) SELECT count(f.lead) FROM u, lead_funnel.$_ f" }
			  "accept('$name', u.k::text)", "reject('$name', u.k::text, 'no_need')", "recycle('$name', u.k::text, 'later')", "undo_move('$name', u.k::text)"), $n)
	  if ($what -= .07) < 0;
	if (($what -= .05) < 0)
	{
		my $to = $n + 1 + int rand 6;
		my $toward = key($t, $to);
		return ("UPDATE $name SET k = $toward" . (chance(.3) ? ', ' . changes($t) : '') . " WHERE k = $k", $to) if !$free || chance(.6);
		return ("UPDATE $name SET k = CASE k WHEN $k THEN $toward ELSE $k END WHERE k IN ($k, $toward)", $to);
	}
	return ("UPDATE $name SET r = " . int(rand 5) . (chance(.5) ? ', ' . changes($t) : '') . " WHERE k = $k", $n) if ($what -= .06) < 0;
	return ("DELETE FROM $name WHERE " . (chance(.6) ? "k = $k" : $many->()), $next[-1]) if ($what -= .06) < 0;
	return ("UPDATE $name SET ex = " . column_value($t, 'ex') . " WHERE k = $k", $n) if ($what -= .04) < 0;
	return ("SELECT lead_funnel.move('$name', " . (($t->{key_type} =~ /^int/) ? "$n\:\:bigint" : quoted(key_text($t, $n)) . '::' . ($t->{key_type} eq 'uuid' ? 'uuid' : 'text'))
		. ", '" . any(@stages) . "', reason => " . any('NULL', "'r'") . ')', $n) if ($what -= .05) < 0;
	return (any("UPDATE $leaf SET " . changes($t) . " WHERE k = $k", "DELETE FROM $leaf WHERE k = $k", insert_sql($t, $leaf, $n)), $n) if ($what -= .04) < 0;
	return ("UPDATE $name SET note = 'x' WHERE k = $k", $n) if ($what -= .02) < 0;
	if (($what -= .05) < 0)
	{
		# caught errors: subtransactions inside of a statement
		my ($a, $last) = statement($t, $n, $free);
		my ($b, $end) = statement($t, $last, $free);
		s/^SELECT/PERFORM/ for $a, $b;
		return ('SELECT 1', $n) if "$a$b" =~ /^\\|\bSELECT count|\$x\$/;
		return ("DO \$x\$ BEGIN\n $a;\n BEGIN\n  $b;\n  " . any('NULL', 'RAISE division_by_zero', 'PERFORM 1 / 0') . ";\n EXCEPTION WHEN OTHERS THEN\n"
			. "  IF SQLSTATE IN ('XX000', '40P01', '40001', '57014') OR SQLSTATE LIKE 'TT%' THEN RAISE; END IF;\n END;\nEND \$x\$", $end);
	}
	return ("DO \$x\$ DECLARE c CURSOR FOR SELECT * FROM $name WHERE k = $k FOR UPDATE; x record; BEGIN OPEN c; FETCH c INTO x; IF FOUND THEN UPDATE $name SET " . changes($t)
		. ' WHERE CURRENT OF c; END IF; CLOSE c; END $x$', $n) if ($what -= .02) < 0;
	return ("UPDATE $name SET " . changes($t) . " WHERE k = " . key($t, $t->{keys} + 3), $n) if ($what -= .01) < 0;
	return (any('SELECT 1 / 0', "UPDATE $name SET k = NULL WHERE k = $k", "UPDATE $name SET st = " . raw_stage($t, $t->{nonsense}) . " WHERE k = $k",
			"SELECT count(*) FROM lead_funnel.funnel_stages", "SELECT * FROM $name WHERE k = $k FOR UPDATE"), $n);
}

# A transaction. Options: free (no order of keys), calm (nobody truncates or changes tables beside: verify() inside is
# empty, too), alone (nobody else is there), file (makes a file), prepare (name of a prepared transaction)
sub transaction
{
	my ($tables, %o) = @_;
	my $level = any('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');
	my @sql = ("BEGIN ISOLATION LEVEL $level");
	push @sql, 'SELECT setseed(' . sprintf('%.6f', rand) . ')';
	push @sql, "SET LOCAL statement_timeout = '" . int(1 + rand 40) . "ms'" if !$o{alone} && chance(.04);
	push @sql, "SET LOCAL lead_funnel.override = 'o'" if chance(.15);
	push @sql, "SET LOCAL lead_funnel.reason = 'r'" if chance(.4);
	push @sql, 'SET CONSTRAINTS ALL IMMEDIATE' if chance(.1);
	my $savepoints = 0;
	for my $t ($o{free} ? map { $_->[1] } sort { $a->[0] <=> $b->[0] } map { [ rand, $_ ] } @$tables : @$tables)
	{
		next if chance(.4);
		my $n = 1 + int rand $t->{keys};
		for (1 .. 1 + int rand 5)
		{
			if (chance(.25)) { push @sql, 'SAVEPOINT s'; $savepoints++; }
			my ($sql, $last) = statement($t, $n, $o{free}, $o{file});
			push @sql, $sql;
			$n = $o{free} ? 1 + int rand $t->{keys} : $last + int rand 4;
			last if $n > 2 * $t->{keys};
			push @sql, 'SET CONSTRAINTS ALL IMMEDIATE' if chance(.03);
			push @sql, "SELECT torture_verify('$t->{name}')" if $level eq 'READ COMMITTED' && $o{calm} && chance(.05);
			if ($savepoints && chance(.4))
			{
				push @sql, any('ROLLBACK TO s', 'RELEASE s');
				$savepoints-- if $sql[-1] eq 'RELEASE s';
			}
		}
	}
	if ($o{free} && $level eq 'READ COMMITTED' && chance(.03))
	{
		push @sql, any('SELECT lead_funnel.compact()', "SELECT lead_funnel.rebuild('" . any(@$tables)->{name} . "')");
	}
	push @sql, $o{prepare} && chance(.1) ? "PREPARE TRANSACTION '$o{prepare}'" : chance(.15) ? 'ROLLBACK' : 'COMMIT';
	return @sql;
}

# ---------- DDL and upkeep: a transaction of its own ----------

sub note { my ($t, $op, $extra) = @_; return "INSERT INTO audit (funnel, op, v, k) VALUES ('$t->{name}', '$op', nextval('version'), " . (defined $extra ? quoted($extra) : 'NULL') . ')'; }

# Options: quiet (nothing that takes a table lock), alone
sub ddl
{
	my ($tables, %o) = @_;
	my $t = any(@$tables);
	my $name = $t->{name};
	my $leaf = any(@{ $t->{leaves} });
	my @quiet = (
		["SELECT lead_funnel.compact()"], ["SELECT lead_funnel.rebuild('$name')"],
		[ 'BEGIN', (map { my ($a, $b) = (any('NULL', map { quoted($_) } @stages), any(@stages)); $a eq "'$b'" ? () : any("SELECT lead_funnel.allow('$name', $a, '$b', requires_reason => " . any('true', 'false') . ')',
			"SELECT lead_funnel.forbid('$name', $a, '$b')") } 1 .. 1 + int rand 3), any('COMMIT', 'COMMIT', 'ROLLBACK') ],
		["SELECT lead_funnel.set_mode('$name', '" . any('enforce', 'observe') . "')"],
		['VACUUM lead_funnel.journal, lead_funnel.delta, lead_funnel.flow_cell, lead_funnel.stock_cell, lead_funnel.generation'], ["VACUUM $name"], ["ANALYZE $name"]);
	return any(@quiet) if $o{quiet} || chance(.3);
	my @loud = (
		["SELECT torture_reconcile('$name')"],
		[ 'BEGIN', "TRUNCATE $name", (chance(.5) ? insert_sql($t, $name, 1 + int rand $t->{keys}) : ()), any('COMMIT', 'COMMIT', 'ROLLBACK') ],
		["TRUNCATE $name, " . any(@$tables)->{name}],
		[ 'BEGIN', "ALTER TABLE $name ADD extra int DEFAULT random()", "ALTER TABLE $name DROP extra", 'COMMIT' ],
		[ 'BEGIN', "ALTER TABLE $name RENAME rea TO rea_x", "UPDATE $name SET st = " . stage($t) . ', rea_x = \'x\' WHERE k = ' . key($t, 1 + int rand $t->{keys}), "ALTER TABLE $name RENAME rea_x TO rea", 'COMMIT' ],
		[ 'BEGIN', "ALTER TABLE $name RENAME TO ${name}_x", "UPDATE ${name}_x SET note = 'x' WHERE k = " . key($t, 1), "ALTER TABLE ${name}_x RENAME TO $name", any('COMMIT', 'ROLLBACK') ],
		["ALTER TABLE $name DROP st"], ["ALTER TABLE $name ALTER note TYPE varchar(" . any(100, 200) . ')'],
		[ "CREATE INDEX CONCURRENTLY ${name}_i ON $leaf (note)", "DROP INDEX ${name}_i" ],
		["VACUUM FULL $leaf"], ["REINDEX TABLE lead_funnel." . any('journal', 'delta', 'flow_cell')],
		["REINDEX TABLE CONCURRENTLY lead_funnel." . any('journal', 'delta', 'flow_cell', 'stock_cell', 'generation')], ["VACUUM FULL lead_funnel." . any('journal', 'delta', 'flow_cell', 'generation')],
		[ 'BEGIN', "SELECT lead_funnel.suspend('$name')", note($t, 'S'), 'COMMIT', (map { (statement($t, 1 + int rand $t->{keys}, 1))[0] } 1 .. 3),
			(map { "DELETE FROM $name WHERE " . ($t->{null_means_nothing} ? 'st IS NULL' : 'false') . (defined $t->{nonsense} ? ' OR st::text = ' . quoted($t->{nonsense}) : '') } 1),
			'BEGIN', "SELECT lead_funnel.resume('$name')", note($t, 'R'), 'COMMIT' ],
		[ 'BEGIN', "SELECT lead_funnel.suspend('$name')", note($t, 'S'), (map { (statement($t, 1 + int rand $t->{keys}, 1))[0] } 1 .. 2), "SELECT lead_funnel.resume('$name')", note($t, 'R'), any('COMMIT', 'ROLLBACK') ],
		[ 'BEGIN', "SELECT lead_funnel.detach('$name')", note($t, 'X'), attach_sql($t), note($t, 'B'), any('COMMIT', 'ROLLBACK') ],
		["SELECT lead_funnel.alter_funnel('$name', timezone => '" . any('UTC', 'Europe/Berlin', 'Asia/Tokyo') . "')"]);
	push @loud, ["TRUNCATE $leaf"], ["TRUNCATE $leaf"] if $t->{partitioned};
	if (my $m = $t->{movable})
	{
		my $audit = "CREATE TRIGGER zzz_truncated BEFORE TRUNCATE ON $m FOR EACH STATEMENT EXECUTE FUNCTION ${name}_truncated()";
		my $out = "INSERT INTO audit (funnel, op, v, leaf) VALUES ('$name', 'O', nextval('version'), '$m'::regclass)";
		my $order = "LOCK TABLE $name IN ACCESS EXCLUSIVE MODE";
		push @loud, ([ 'BEGIN', $order, $out, "ALTER TABLE $name DETACH PARTITION $m", 'COMMIT', "UPDATE $m SET st = " . stage($t, 'lead', 'mql') . ', pv = NULL WHERE k = ' . key($t, 1 + int rand $t->{keys}),
			"DELETE FROM $m WHERE " . ($t->{null_means_nothing} ? 'st IS NULL' : 'false') . (defined $t->{nonsense} ? ' OR st::text = ' . quoted($t->{nonsense}) : '')
			. " OR k IN (SELECT k FROM $name)",
			'BEGIN', $order, "DELETE FROM $m WHERE k IN (SELECT k FROM $name)", "ALTER TABLE $name ATTACH PARTITION $m FOR VALUES IN (4)", $t->{rows_of}->($m, 'A'), 'COMMIT' ]) x 2,
		  [ 'BEGIN', $order, $out, "DROP TABLE $m", "CREATE TABLE $m PARTITION OF $name FOR VALUES IN (4)", $audit, any('COMMIT', 'ROLLBACK') ];
	}
	if (%{ $t->{map} } && $t->{stage_type} ne 'lead_stage')
	{
		my $value = $t->{integer_stage} ? any(31, 32) : any('Accepted', 'New');
		my $to = any(@stages);
		push @loud, [ 'BEGIN', "LOCK TABLE $name IN SHARE ROW EXCLUSIVE MODE", "SELECT lead_funnel.map_stage('$name', '$value', '$to')", note($t, 'M', "$value\t$to"), any('COMMIT', 'COMMIT', 'ROLLBACK') ];
	}
	return any(@loud);
}

1;
