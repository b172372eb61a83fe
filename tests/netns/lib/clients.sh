# Clients: the reference's grpcurl line, the kubelet, an admin's curl, grpcio.

grpcurl="${GRPCURL:-grpcurl}"
python="${PYTHON:-python3}"

# call [ARGUMENT...]: the line of the reference's tutorial.
call() {
  in_ns client "$grpcurl" -max-time 5 -d '{"content":"echo"}' -import-path "$reference" -proto echo.proto -insecure "$@" \
    "${address[edge]}:443" api.Echo/Echo
}

# probe PATH [ARGUMENT...]: as the kubelet does: HTTP/1.1 over TLS without ALPN, a new connection each time. Prints the
# status; 000 if there is no answer.
probe() {
  in_ns client curl -sk --http1.1 --no-alpn --max-time 1 -o /dev/null -w '%{http_code}\n' "${@:2}" \
    "https://${address[edge]}$1" || true
}

alive() { probe /healthz -H 'x-envoy-livenessprobe: healthz'; }
lives() { is 200 "$(alive)"; }

# admin NAMESPACE PATH [ARGUMENT...]
admin() { in_ns "$1" curl -sS --max-time 2 "${@:3}" "http://127.0.0.1:8090$2"; }

# stat NAMESPACE NAME: the value of one counter or gauge.
stat() { admin "$1" /stats | sed -n "s/^$2: //p"; }

# hosts FLAGS: the hosts of the edge with exactly these health flags, one a line.
hosts() { admin edge /clusters | sed -n "s|^echo-grpc::\(.*\)::health_flags::$1\$|\1|p"; }

# flags POD PORT: the health flags of a host of the edge.
flags() { admin edge /clusters | sed -n "s/^echo-grpc::${address[$1]}:$2::health_flags:://p"; }

grpcio() { in_ns client "$python" "$here/grpcio.py" "$@" --proto "$reference/echo.proto" --target "${address[edge]}:443"; }

# load_start [ARGUMENT...]: calls without end, each of them a line of load.out: time in milliseconds, pod or error.
load_start() {
  start client load "$python" "$here/grpcio.py" load "$@" --proto "$reference/echo.proto" --target "${address[edge]}:443"
  within 10 test -s "$work/load.out" >/dev/null || note "the load does not begin: $(cat "$work/load.err")"
}

# answered POD FROM TO: how many calls a pod answered in that time (milliseconds of the wall clock).
answered() { awk -v pod="$1" -v from="$2" -v to="$3" '$1 >= from && $1 < to && $2 == pod' "$work/load.out" | wc -l; }

# all_answered FROM TO: no call failed in that time, and there were some.
all_answered() {
  awk -v from="$1" -v to="$2" '
    $1 < from || $1 >= to { next }
    $2 ~ /^pod/ { good++; next }
    { bad++; print }
    END { print good + 0 " calls, " bad + 0 " failed"; exit bad > 0 || good == 0 }
  ' "$work/load.out"
}

# pod_answers POD SINCE: it has answered a call that began then or later.
pod_answers() { [ "$(answered "$1" "$2" 9999999999999)" -gt 0 ]; }

# stream_start NAME SECONDS: a stream of ten messages a second.
stream_start() {
  start client "$1" "$grpcurl" -d "{\"content\":\"x\",\"count\":$(($2 * 10)),\"pause_ms\":100}" \
    -import-path "$root/examples/proto" -proto stream.proto -insecure "${address[edge]}:443" api.StreamEcho/Repeat
  within 5 test -s "$work/$1.out" >/dev/null || note "the stream does not begin: $(cat "$work/$1.err")"
}

# messages NAME: how many of them have arrived.
messages() { grep -c '"content"' "$work/$1.out" || true; }

# refused_only FROM: calls that began then or later failed only because nobody accepts connections.
refused_only() {
  awk -v from="$1" '
    $1 < from || $2 ~ /^pod/ { next }
    /UNAVAILABLE .*(refused|Failed to connect)/ { refused++; next }
    { bad++; print }
    END { print refused + 0 " refused"; exit bad > 0 || refused == 0 }
  ' "$work/load.out"
}
