# The reference files as they are. Every health check of the edge fails (the sidecar has no route for it), so that all
# calls are routed in panic mode.

publish pod1 pod2 pod3
dns_start
pod_start pod1 pod2 pod3
begin="$(now)"
edge_start "$reference/edge.envoy.yaml"
check "the edge answers the kubelet's probe" within 15 --from "$begin" lives

answer="$(call -v 2>&1 || true)"
sed 's/^/      /' <<<"$answer"
for line in 'content-type: application/grpc' 'date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT' \
  'hostname: pod[123]' 'server: envoy' 'x-envoy-upstream-service-time: [0-9]+' '  "content": "echo"'; do
  check "grpcurl prints" matches "^$line\$" "$answer"
done
check "and neither more headers" is 5 "$(sed -n '/^Response headers/,/^$/p' <<<"$answer" | grep -c ': ')"
check "nor an error" matches '^Sent 1 request and received 1 response$' "$answer"

check "300 calls of grpcio" grpcio count 300 80 120
check "300 connections of grpcio" grpcio count 300 70 130 --connections
check "probe with the header" is 200 "$(alive)"
check "probe without it" is 404 "$(probe /healthz)"
check "probe of a path with a query" is 404 "$(probe '/healthz?x=1' -H 'x-envoy-livenessprobe: healthz')"

# What an Envoy shows: hosts, health, panic.
hosts="$(admin edge /clusters)"
check "/clusters names each host" is 3 "$(grep -c '^echo-grpc::10.77.0.1[123]:8786::health_flags::/failed_active_hc$' <<<"$hosts")"
check "by the name it was found by" is 3 "$(grep -c '^echo-grpc::10.77.0.1[123]:8786::hostname::echo-grpc.envoy.svc.cluster.local$' <<<"$hosts")"
check "and counts its requests" is 601 "$(sed -n 's/^echo-grpc::.*::rq_total:://p' <<<"$hosts" | paste -sd+ | sed 's/^/echo $((/; s/$/))/' | sh)"
check "each call was routed in panic mode" is 601 "$(stat edge cluster.echo-grpc.lb_healthy_panic)"
check "no check has succeeded" is 0 "$(stat edge cluster.echo-grpc.health_check.success)"
check "no host is healthy" is 0 "$(stat edge cluster.echo-grpc.membership_healthy)"
check "of three" is 3 "$(stat edge cluster.echo-grpc.membership_total)"
check "the admin interface counts itself" in_range 1 100 "$(stat edge listener.admin.downstream_cx_total)"
check "the sidecar finds its application healthy" is 1 "$(stat pod1 cluster.echo-grpc.membership_healthy)"
check "the admin interface is on 127.0.0.1 alone" is "127.0.0.1:8090" "$(in_ns edge ss -Htln 'sport = 8090' | awk '{print $4}')"

# The access log: the same request in both.
lines() { grep -c "$1" "$work/edge.out"; }
all_lines() { [ "$(lines ' /api.Echo/Echo ')" = 601 ]; }
check "each call is a line, within a second" within 1 all_lines
id='[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'
time='\[20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z\]'
edge_line="^$time \"POST /api\\.Echo/Echo HTTP/2\" 200 - 11 11 [0-9]+ [0-9]+ \"-\" \"grpcurl/[^\"]+\" \"$id\" \"10\\.77\\.0\\.10:443\" \"10\\.77\\.0\\.1[123]:8786\"\$"
sidecar_line="^$time \"POST /api\\.Echo/Echo HTTP/2\" 200 - 11 11 [0-9]+ [0-9]+ \"-\" \"grpcurl/[^\"]+\" \"$id\" \"10\\.77\\.0\\.10:443\" \"127\\.0\\.0\\.1:8081\"\$"
check "the edge logs" contains "$work/edge.out" "$edge_line"
request="$(grep -E -m 1 -- "$edge_line" "$work/edge.out" | cut -d'"' -f8 || true)"
check "the sidecar logs the same request" matches "$sidecar_line" "$(grep -hF "${request:-none}" "$work"/pod?-sidecar.out)"
check "the kubelet's probe" contains "$work/edge.out" "^$time \"GET /healthz HTTP/1\\.1\" 200 - 0 0 [0-9]+ - \"-\" \"curl/[^\"]+\" \"$id\" \"10\\.77\\.0\\.10\" \"-\"\$"
check "a failed check in the sidecar" contains "$work/pod1-sidecar.out" "^$time \"POST /grpc\\.health\\.v1\\.Health/Check HTTP/2\" 200 NR [0-9]+ 0 [0-9]+ - \"-\" \"Envoy/HC\" \"$id\" \"echo-grpc\" \"-\"\$"
check "an admin's request" within 2 contains "$work/edge.out" "^$time \"GET /clusters HTTP/1\\.1\" 200 - 0 [0-9]+ [0-9]+ - \"[0-9.]+\" \"curl/[^\"]+\" \"-\" \"127\\.0\\.0\\.1:8090\" \"-\"\$"
check "no line is anything else" is "" "$(grep -vE "^$time \"(GET|POST) [^\"]+ HTTP/(1\\.1|2)\" (200|404) " "$work/edge.out")"
