/**
 * Two tiny programs that make the holder of an address speak, in Perl, which every Debian has and
 * which, unlike Node, can send raw frames. They go on until they are killed; an error in sending is
 * what a cable that is out looks like, and no reason to end.
 */

/**
 * Words: address, ports. Asks on each port every 10 ms by ARP for the address, as a host that does
 * not exist (02:00:00:00:ff:fe, 10.77.0.254).
 */
export const ASK_HOSTS = String.raw`
use strict; use Socket;
my ($vip, @ports) = @ARGV;
my ($mac, $all) = (pack("H12", "02000000fffe"), "\xff" x 6);
my $question = $all . $mac . pack("nnnCCn", 0x0806, 1, 0x0800, 6, 4, 1) . $mac
  . inet_aton("10.77.0.254") . "\0" x 6 . inet_aton($vip) . "\0" x 18;
socket(my $socket, 17, SOCK_RAW, 0) or die "raw socket: $!\n";
my @places = map {
  open(my $file, "<", "/sys/class/net/$_/ifindex") or die "port $_: $!\n";
  pack("SnlSCCa8", 17, 0x0806, int(<$file>), 0, 0, 6, $all)
} @ports;
while (1) {
  send($socket, $question, 0, $_) for @places;
  select(undef, undef, undef, 0.010);
}
`;

/** Word: address. Sends it an echo request every millisecond. */
export const ASK_VIP = String.raw`
use strict; use Socket;
my $place = pack_sockaddr_in(0, inet_aton($ARGV[0]));
socket(my $socket, PF_INET, SOCK_RAW, 1) or die "raw socket: $!\n";
shutdown($socket, 0);
my $id = $$ & 0xffff;
for (my $number = 0; ; $number = ($number + 1) & 0xffff) {
  my $sum = 0x0800 + $id + $number;
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  send($socket, pack("CCnnn", 8, 0, ~$sum & 0xffff, $id, $number), 0, $place);
  select(undef, undef, undef, 0.001);
}
`;
