# The mended deployment: the edge checks and calls the applications themselves, on port 8081, so that checks pass.

mended >"$work/mended.yaml"
publish pod1 pod2 pod3
dns_start
pod_start pod1 pod2 pod3
begin="$(now)"
edge_start "$work/mended.yaml"
healthy() { is "$1" "$(hosts healthy | wc -l)"; }
attempts() { stat edge cluster.echo-grpc.health_check.attempt; }
attempts_reach() { [ "$(attempts)" -ge "$1" ]; }
check "all hosts become healthy" within 15 --from "$begin" healthy 3
check "the edge answers the kubelet's probe" within 15 --from "$begin" lives
check "300 calls" grpcio count 300 80 120
check "no panic" is 0 "$(stat edge cluster.echo-grpc.lb_healthy_panic)"
check "no check has failed" is 0 "$(stat edge cluster.echo-grpc.health_check.failure)"

# Checks come every 60 s as long as there is no traffic; the first round was before it.
check "the second round of checks" within 65 --from "$begin" attempts_reach 6
load_start
begin="$(now)"
flagged() { is "$3" "$(flags "$1" "$2")"; }

kill -s USR1 "${pid[pod2-app]}"
check "NOT_SERVING is found by the next check" within 11 --from "$begin" flagged pod2 8081 /failed_active_hc
ejected="$(now)"
check "one such check is enough" is 1 "$(stat edge cluster.echo-grpc.health_check.failure)"
kill -s USR2 "${pid[pod2-app]}"
check "one good check is not enough" within 12 --from "$ejected" attempts_reach $(($(attempts) + 3))
check "the pod is still out" flagged pod2 8081 /failed_active_hc
check "it comes back with the second" within 22 --from "$ejected" flagged pod2 8081 healthy
back="$(now)"
check "two intervals later" between 18000 22000 $((back - ejected))
# A call that had picked its host when the check failed may still arrive; 100 ms are much for that.
check "calls it answered while it was out" is 0 "$(answered pod2 $((ejected + 100)) $((back - 100)))"
check "it answers again" within 2 pod_answers pod2 "$back"

start pod4 pod4-app env PORT=8081 HOSTNAME=pod4 "$ECHO_GRPC"
within 5 in_ns pod4 curl -s --http2-prior-knowledge -o /dev/null http://127.0.0.1:8081/ >/dev/null
begin="$(now)"
publish pod1 pod2 pod3 pod4
check "a pod added to DNS serves" within 11 --from "$begin" pod_answers pod4 "$begin"
check "four hosts are healthy" healthy 4

# A pod that dies: two failed checks, or its removal from DNS.
begin="$(now)"
publish pod1 pod2 pod3
check "a pod taken out of DNS is kept while its checks pass" within 7 --from "$begin" flagged pod4 8081 /pending_dynamic_removal
check "and serves" within 2 pod_answers pod4 "$(now)"
kill -s USR1 "${pid[pod4-app]}"
gone() { is "" "$(flags pod4 8081)"; }
check "it goes once a check has failed" within 17 gone

check "all the while" all_answered 0 "$(now)"
stop load
check "and still no panic" is 0 "$(stat edge cluster.echo-grpc.lb_healthy_panic)"
