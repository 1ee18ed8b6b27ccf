# Calls by the fast path of the protocol: there is no expression, so nothing says of which types the arguments are.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION lead_funnel;
CREATE ROLE crm LOGIN;
CREATE ROLE stranger LOGIN;
CREATE TABLE leads (id int PRIMARY KEY, stage text);
ALTER TABLE leads OWNER TO crm;
SET ROLE crm;
SELECT lead_funnel.attach('leads', 'stage');
INSERT INTO leads VALUES (1, 'lead');
});

# the next message: its type and body
sub receive
{
	my ($socket, $header, $body) = (shift, '', '');
	while (length $header < 5) { sysread($socket, $header, 5 - length $header, length $header) or die 'the server has gone' }
	my ($type, $length) = unpack 'aN', $header;
	while (length $body < $length - 4) { sysread($socket, $body, $length - 4 - length $body, length $body) or die 'the server has gone' }
	return ($type, $body);
}

# SQLSTATE, or what the function returns
sub answer
{
	my ($socket, $result) = (shift, undef);
	while (1)
	{
		my ($type, $body) = receive($socket);
		last if $type eq 'Z';
		$result = $1 if $type eq 'E' && $body =~ /\0C(\w{5})\0/;
		# NULL has no length; void is an empty text
		$result = unpack('N', $body) == 0xFFFFFFFF ? 'NULL' : 'ok: ' . substr($body, 4) if $type eq 'V';
	}
	return $result;
}

my %session;

# calls the function as the role, with these texts as arguments, undef for NULL
sub call
{
	my ($role, $function, @arguments) = @_;
	if (!$session{$role})
	{
		$session{$role} = $node->raw_connect;
		my $parameters = pack('N', 196608) . "user\0$role\0database\0postgres\0\0";
		syswrite $session{$role}, pack('N', 4 + length $parameters) . $parameters;
		answer($session{$role});
	}
	my $message = pack('N n n n', $node->safe_psql('postgres', "SELECT '$function'::regprocedure::oid"), 1, 0, scalar @arguments);
	$message .= defined $_ ? pack('N', length $_) . $_ : pack('N', 0xFFFFFFFF) for @arguments;
	$message .= pack 'n', 0;
	syswrite $session{$role}, 'F' . pack('N', 4 + length $message) . $message;
	return answer($session{$role});
}

my $status = q{SELECT status FROM lead_funnel.funnel};
my @suspend = ('lead_funnel.suspend(name)', 'leads');
is(call('stranger', @suspend), '42501', 'a stranger suspends a funnel');
is(call('stranger', @suspend), '42501', 'and again');
is($node->safe_psql('postgres', $status), 'active', 'it is not suspended');
like(call('crm', @suspend), qr/^ok/, 'its owner suspends it');
is($node->safe_psql('postgres', $status), 'suspended', 'it is');
is(call('stranger', 'lead_funnel.resume(name)', 'leads'), '42501', 'a stranger resumes it');
like(call('crm', 'lead_funnel.resume(name)', 'leads'), qr/^ok/, 'its owner resumes it');
is($node->safe_psql('postgres', $status), 'active', 'it is active again');
is(call('crm', 'lead_funnel.suspend(name)', undef), '22004', 'no funnel');
is(call('crm', 'lead_funnel.suspend(name)', 'none'), '42704', 'an unknown funnel');
is(call('crm', 'lead_funnel.verify(name)', 'leads'), '0A000', 'a function that returns rows');
is(call('stranger', 'lead_funnel.map_stage(name,text,lead_stage)', 'leads', 'New', 'won'), '42501', 'a stranger maps a stage');
like(call('crm', 'lead_funnel.map_stage(name,text,lead_stage)', 'leads', 'New', 'won'), qr/^ok/, 'its owner does');
is(call('crm', 'lead_funnel.reconcile(name)', 'leads'), 'ok: 0', 'a function that returns a value');

# the first argument is a table
my @columns = ('leads', 'stage', 'again', 'classic', 'enforce', (undef) x 15, 'UTC', 't', 'f');
my $attach = $node->safe_psql('postgres', q{SELECT 'lead_funnel.attach'::regproc::oid::regprocedure});
is(call('stranger', $attach, @columns), '42501', 'a stranger attaches the table');
is(call('crm', $attach, @columns), '55000', 'its owner attaches it again');
like(call('crm', 'lead_funnel.detach(name,boolean,text)', 'leads', 't', undef), qr/^ok/, 'its owner gives it up');
is(call('crm', $attach, @columns), 'ok: again', 'and attaches it');

# what only triggers may call, and what nobody may
is(call('crm', 'lead_funnel.flush()'), '39P01', 'flush()');
is(call('crm', 'lead_funnel.track()'), '39P01', 'track()');
is(call('stranger', 'lead_funnel.track()'), '42501', 'track() as a stranger');
is(call('crm', 'lead_funnel._suspend(name)', 'again'), '42501', 'a private function');

is($node->safe_psql('postgres', q{SELECT count(*) FROM lead_funnel.verify('again')}), '0', 'verify()');
unlike(slurp_file($node->logfile), qr/(PANIC:|TRAP:|terminated by signal|XX\d\d\d)/, 'nothing bad in the log');
$node->stop;
done_testing();
