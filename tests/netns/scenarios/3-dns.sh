# Start with DNS dead, in each way it can be, and its return.


pod_start pod1 pod2 pod3

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

publish pod1 pod2 pod3
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

note "what DNS says of an edge that serves"
total() { is "$1" "$(stat edge cluster.echo-grpc.membership_total)"; }
failures() { [ "$(stat edge cluster.echo-grpc.update_failure)" -ge "$1" ]; }
publish pod1 pod2 pod3
dns_start
edge_start "$reference/edge.envoy.yaml"
within 15 lives >/dev/null
load_start
begin="$(now)"
stop dns KILL
check "no server: two failures" within 20 failures 2
check "the hosts are kept" total 3
dns_start
succeeded() { [ "$(stat edge cluster.echo-grpc.update_success)" -gt "$1" ]; }
check "the server is back" within 6 succeeded "$(stat edge cluster.echo-grpc.update_success)"
check "no call has failed" all_answered "$begin" "$(now)"
stop load

publish
check "no such name, as long as no pod is ready: the hosts go" within 6 total 0
check "calls are told" matches 'Message: no healthy upstream' "$(call 2>&1 || true)"
check "the edge still lives" lives
begin="$(now)"
publish pod1 pod2 pod3
check "calls succeed once a pod is ready" within 6 --from "$begin" calls

for host in $(seq 100 250); do echo "10.77.0.$host echo-grpc.envoy.svc.cluster.local"; done >"$work/hosts"
kill -s HUP "${pid[dns]}"
check "151 pods: an answer too long for UDP" within 6 total 151
