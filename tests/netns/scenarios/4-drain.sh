# The end of an edge: what is in flight, what is new, when it is over.

# With a route to the streaming methods, which last longer than the route timeout of 15 s.
mended | sed 's|prefix: "/api.Echo/"|prefix: "/api."|; s|^\( *\)cluster: echo-grpc$|&\n\1timeout: 0s|' >"$work/streams.yaml"
publish pod1 pod2 pod3
dns_start
pod_start pod1 pod2 pod3

drain_start() { # drain_start [ARGUMENT...]: an edge that serves
  edge_start "$work/streams.yaml" "$@"
  within 15 lives >/dev/null || note "the edge does not come up: $(cat "$work/edge.err")"
}
signal_edge() {
  begin="$(now)"
  kill -s "${1:-TERM}" "${pid[edge]}"
}
fails_health() { is 503 "$(alive)"; }
refuses() { is 000 "$(alive)"; }
at() { # at MILLISECONDS: waits until so long after the signal
  local left=$((begin + $1 - $(now)))
  [ "$left" -le 0 ] || sleep "$(printf '%d.%03d' $((left / 1000)) $((left % 1000)))"
}
ends_within() { # ends_within MIN MAX: in milliseconds after the signal
  within $(($2 / 1000 + 2)) --from "$begin" ends edge >/dev/null || true
  between "$1" "$2" $(($(now) - begin))
}

note "with streams and calls in flight"
drain_start
load_start
stream_start stream 9
signal_edge
check "the health check fails at once" within 1 --from "$begin" fails_health
check "it still admits calls" call
at 4700
check "and new connections 4.7 s later" fails_health
check "no call that began within 4.9 s fails" all_answered "$begin" $((begin + 4900))
check "then nothing new is accepted" within 6 --from "$begin" refuses
check "calls fail only for want of a connection" refused_only "$begin"
check "the process ends with its last stream" ends_within 6000 10500
ended edge
check "with code 0" is 0 "$code"
check "the stream is whole" is 90 "$(messages stream)"
ended stream
check "and its call succeeds" is 0 "$code"
check "its line is in the log" matches '"POST /api.StreamEcho/Repeat HTTP/2" 200 - ' "$(cat "$work/edge.out")"
stop load
check "each call that succeeded is in the log" is "$(grep -c ' pod' "$work/load.out")" \
  "$(grep -c 'POST /api.Echo/Echo HTTP/2" 200 - 11 11 .*grpc-python' "$work/edge.out")"

note "with connections that say nothing"
drain_start
start client silent "$python" "$here/silent.py" "${address[edge]}:443"
within 5 test -s "$work/silent.out" >/dev/null
signal_edge
check "the process ends" ends_within 5000 6500
ended edge
check "with code 0" is 0 "$code"
sleep 0.2
note "$(awk -v from="$begin" '!/connected/ { printf "%s after %.1f s, ", $1, ($2 - from) / 1000 }' "$work/silent.out")"

note "with a stream that does not end"
drain_start --drain-time-s 8
stream_start stream 60
signal_edge
check "it ends after the drain time" ends_within 8000 9000
ended edge
check "with code 0" is 0 "$code"
check "the stream was there until then" between 70 90 "$(messages stream)"
check "and is reset" within 1 ends stream
check "the client sees that it was cut" matches 'Code: (Unavailable|Internal|Canceled|Cancelled|Unknown)' "$(cat "$work/stream.err")"
check "its line is in the log" matches '"POST /api.StreamEcho/Repeat HTTP/2" 200 [A-Z,]+ ' "$(cat "$work/edge.out")"

note "a second signal"
drain_start
stream_start stream 60
signal_edge
sleep 0.5
signal_edge INT
check "ends it at once" ends_within 0 1000
ended edge
check "with code 0" is 0 "$code"
stop stream

note "before it has served"
stop dns
edge_start "$work/streams.yaml"
sleep 1
signal_edge
check "it ends at once" ends_within 0 500
ended edge
check "with code 0" is 0 "$code"
dns_start

note "by the admin interface"
drain_start
begin="$(now)"
check "GET is refused" matches '^HTTP/1.1 405' "$(admin edge /quitquitquit -i)"
check "POST is not" is OK "$(admin edge /quitquitquit -X POST)"
check "it ends at once" ends_within 0 1000
ended edge
check "with code 0" is 0 "$code"

note "health checks failed by the admin interface"
drain_start
check "fail" is OK "$(admin edge /healthcheck/fail -X POST)"
check "the probe fails" is 503 "$(alive)"
check "calls succeed, with a hint" matches '^x-envoy-immediate-health-check-fail: true$' "$(call -v 2>&1)"
check "ok" is OK "$(admin edge /healthcheck/ok -X POST)"
check "the probe passes" is 200 "$(alive)"
check "the hint is gone" is 0 "$(call -v 2>&1 | grep -c x-envoy-immediate-health-check-fail)"

