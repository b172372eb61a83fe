# Two workers: connections spread over them, and no connection to a pod is used by both.

mended >"$work/mended.yaml"
publish pod1 pod2 pod3
dns_start
pod_start pod1 pod2 pod3
edge_start "$work/mended.yaml" --concurrency 2
within 15 lives >/dev/null
load_start --threads 8 --pause-ms 2
begin="$(now)"

upstream() { in_ns edge ss -Htnp state established dport = 8081 | grep -c "pid=${pid[edge]},"; }
downstream() { in_ns edge ss -Htn state established sport = 443 | wc -l; }
connected() { [ "$(downstream)" = 8 ] && [ "$(upstream)" = 9 ]; }
check "8 connections of clients; to the pods one for each worker and each pod, and those of 3 health checks" within 5 connected
check "workers" is "wrk:worker_0 wrk:worker_1" "$(cat "/proc/${pid[edge]}"/task/*/comm | grep wrk | sort | xargs)"

# Which thread writes to which socket, for two seconds.
if command -v strace >/dev/null; then
  in_ns edge timeout 2 strace -f -yy -e trace=write,writev,sendto,sendmsg -s 0 -p "${pid[edge]}" -o "$work/strace" 2>/dev/null || true
  # Lines such as: 123 writev(17<TCP:[10.77.0.10:40000->10.77.0.11:8081]>, ...
  sed -n 's/^\([0-9]*\) *[a-z]*(\([0-9]*<TCP:\[[^]]*->[^]]*:8081\]\).*/\1 \2/p' "$work/strace" | sort | uniq -c >"$work/upstream"
  sed -n 's/^\([0-9]*\) *[a-z]*([0-9]*<TCP:\[[^]]*:443->\([^]]*\)\].*/\1 \2/p' "$work/strace" | sort -u >"$work/downstream"
  check "both workers wrote to all pods" is "3 3" "$(awk '$1 > 20 { count[$2]++ } END { for (thread in count) print count[thread] }' "$work/upstream" | xargs)"
  check "connections to pods that were written to" in_range 6 9 "$(awk '{ print $3 }' "$work/upstream" | sort -u | wc -l)"
  check "no such connection was written to by two threads" is "" "$(awk '{ print $3 }' "$work/upstream" | sort | uniq -d)"
  check "each worker has half of the clients" is "4 4" "$(awk '{ count[$1]++ } END { for (thread in count) print count[thread] }' "$work/downstream" | xargs)"
else
  note "no strace here: which worker uses which connection is not looked at"
fi
check "no call fails" all_answered "$begin" "$(now)"
stop load
none_left() { [ "$(downstream)" = 0 ]; }
check "clients gone, connections gone" within 2 none_left
check "and counted down" is "0 0" "$(stat edge http.ingress_https.downstream_cx_active) $(stat edge cluster.echo-grpc.upstream_rq_active)"
