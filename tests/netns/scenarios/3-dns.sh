# Start with DNS dead, in each way it can be, and its return.

pods_of_dns="pod1 pod2 pod3"
# shellcheck disable=SC2086
pod_start $pods_of_dns

no_answer() { ! in_ns edge timeout 1 "$python" -c '
import socket, sys
query = socket.socket(type=socket.SOCK_DGRAM)
query.settimeout(0.3)
query.connect((sys.argv[1], 53))
query.send(bytes.fromhex("000001000001000000000000") + b"\4pod1\5local\0" + bytes.fromhex("00010001"))
query.recv(512)
' "${address[dns]}" 2>/dev/null; }
calls() { call -max-time 1 >/dev/null; }
refused_calls() { sed -n 's/.* 200 \([A-Z,]*\) 0 0 .*/\1/p' "$work/edge.out" | sort | uniq -c | xargs; }
one_refused() { is "1 UH" "$(refused_calls)"; }

# dns_dies_by HOW, dns_returns_from HOW
dns_dies_by() {
  case "$1" in
    refusal) ;;                         # nothing listens: ICMP says so
    silence)                            # a server that takes queries and answers none
      dns_start
      within 5 has_dns >/dev/null
      kill -s STOP "${pid[dns]}" ;;
    loss)                               # its answers are lost on the way
      dns_start
      in_ns dns ip route add blackhole "${address[edge]}/32" ;;
    absence) in_ns dns ip addr del "${address[dns]}/24" dev eth0 ;; # no such machine: ARP finds none
  esac
}
dns_returns_from() {
  case "$1" in
    refusal) dns_start ;;
    silence) kill -s CONT "${pid[dns]}" ;;
    loss) in_ns dns ip route del blackhole "${address[edge]}/32" ;;
    absence) in_ns dns ip addr add "${address[dns]}/24" dev eth0; dns_start ;;
  esac
}
has_dns() { ! no_answer; }

# shellcheck disable=SC2086
publish $pods_of_dns
for dead in refusal:10 silence:11 loss:12 absence:13 loss:14 loss:15 loss:16; do
  IFS=: read -r way seconds_dead <<<"$dead"
  note "DNS is dead by $way for $seconds_dead s"
  dns_dies_by "$way"
  check "a query gets no answer" no_answer
  begin="$(now)"
  edge_start "$reference/edge.envoy.yaml"
  check "the edge answers the kubelet's probe" within 15 --from "$begin" lives
  refusal="$(call 2>&1 || true)"
  check "a call is told" matches 'Code: Unavailable' "$refusal"
  check "why" matches 'Message: no healthy upstream' "$refusal"
  check "and logged" within 2 one_refused
  # It comes back at different moments between two tries.
  sleep $((seconds_dead - ($(now) - begin) / 1000))
  check "the edge still lives" lives
  begin="$(now)"
  dns_returns_from "$way"
  check "calls succeed once DNS is back" within 6 --from "$begin" calls
  check "all hosts are there" is 3 "$(stat edge cluster.echo-grpc.membership_total)"
  stop edge KILL
  stop dns KILL
done
