# The program: its command line, its exit codes, what it says when it cannot start, its standard output.

edge() { in_ns edge "$here/lib/edge" "$work" "$MESHLIB" "$@"; }
# exits CODE COMMAND...: prints what it says; the last line is not the figure, the code is.
exits() {
  local code="$1" actual=0
  shift
  "$@" </dev/null >"$work/said" 2>&1 || actual=$?
  [ "$actual" = "$code" ] || { cat "$work/said"; echo "exit code $actual, not $code"; return 1; }
  echo "$actual"
}
said() { matches "$1" "$(cat "$work/said")"; }

check "--version" exits 0 edge --version
check "says" said '^meshlib [0-9]+\.[0-9]+\.[0-9]+'
check "--help" exits 0 edge --help
check "an unknown flag" exits 2 edge --frobnicate
check "a wrong value" exits 2 edge --concurrency many
check "two configurations" exits 2 edge -c a --config-yaml '{}'
check "an argument too many" exits 2 edge "$reference/edge.envoy.yaml"
check "a file that is not there" exits 1 edge -c "$work/nothing.yaml"
check "says" said 'nothing.yaml'
check "no file named, and none at the default place" exits 1 edge
check "says" said '/etc/envoy/envoy.yaml'

check "the edge is valid" exits 0 edge --mode validate -c "$reference/edge.envoy.yaml"
check "says" said 'OK'
check "the sidecar is valid" exits 0 edge --mode validate -c "$reference/sidecar.envoy.yaml"
check "so it is from the command line" exits 0 edge --mode validate --config-yaml "$(cat "$reference/sidecar.envoy.yaml")"

sed 's/port_value: 443/port: 443/; s/STRICT_DNS/STRICT_DSN/; s/connect_timeout: 0.5s/connect_timeout: 0.5/; s/healthy_threshold: 2/&\n      jitter_bug: 1/' \
  "$reference/edge.envoy.yaml" >"$work/wrong.yaml"
check "a file with mistakes is not valid" exits 1 edge --mode validate -c "$work/wrong.yaml"
check "and does not start" exits 1 edge -c "$work/wrong.yaml"
for mistake in 'wrong.yaml:6:9' 'did you mean `port_value`' 'did you mean `STRICT_DNS`' 'connect_timeout' 'jitter_bug'; do
  check "each mistake is named" said "$mistake"
done
check "no YAML at all" exits 1 edge --config-yaml $'a: [\n'

# Addresses that cannot be had.
publish pod1
dns_start
start pod1 pod1-app env PORT=8081 HOSTNAME=pod1 "$ECHO_GRPC"
start pod1 pod1-sidecar "$MESHLIB" -c "$reference/sidecar.envoy.yaml"
within 15 admin pod1 /ready -f >/dev/null
check "a second sidecar in the pod" exits 1 in_ns pod1 "$MESHLIB" -c "$reference/sidecar.envoy.yaml"
check "says" said 'cannot listen on 0.0.0.0:8786: Address (already )?in use'
check "and what to do" said 'ss -ltnp'
check "a second admin interface" exits 1 in_ns pod1 "$MESHLIB" --config-yaml \
  "$(sed 's/port_value: 8786/port_value: 8787/' "$reference/sidecar.envoy.yaml")"
check "says" said 'cannot listen on 127.0.0.1:8090: Address (already )?in use'
check "the first does not mind" is 200 "$(admin pod1 /ready -o /dev/null -w '%{http_code}')"
stop pod1-sidecar KILL

# Not root: port 443 is not to be had, and everything else is.
chmod 755 "$work/secret" "$work"/secret/..*
chmod 644 "$work"/secret/..*/tls.key
lines_begin() { test -s "$work/edge.out"; }
nobody=(setpriv --reuid 65532 --regid 65532 --clear-groups "$MESHLIB")
check "without the privilege for 443" exits 1 in_ns edge "$here/lib/edge" "$work" "${nobody[@]}" -c "$reference/edge.envoy.yaml"
check "says" said 'cannot listen on 0.0.0.0:443: Permission denied'
for remedy in CAP_NET_BIND_SERVICE ip_unprivileged_port_start=443 targetPort; do
  check "a remedy" said "$remedy"
done
in_ns edge sysctl -q -w net.ipv4.ip_unprivileged_port_start=443
start edge edge "$here/lib/edge" "$work" "${nobody[@]}" -c "$reference/edge.envoy.yaml"
check "with the second remedy it serves" within 15 lives
check "as nobody" is 65532 "$(awk '/^Uid:/ { print $2 }' "/proc/${pid[edge]}/status")"
check "and logs" within 2 lines_begin
stop edge KILL
in_ns edge sysctl -q -w net.ipv4.ip_unprivileged_port_start=1024

note "standard output is a pipe"
start pod1 pod1-sidecar "$MESHLIB" -c "$reference/sidecar.envoy.yaml"
mkfifo "$work/pipe"
# Opened for both, so that no open waits for the other side.
exec 9<>"$work/pipe"
# shellcheck disable=SC2016
start edge edge sh -c 'out="$1"; shift; exec "$@" >"$out" 9>&-' sh "$work/pipe" \
  "$here/lib/edge" "$work" "$MESHLIB" -c "$reference/edge.envoy.yaml"
# many: 20,000 requests on one connection, 2.5 MB of lines.
many() { in_ns client curl -sk --http1.1 -o /dev/null -w '%{http_code}\n' "https://${address[edge]}/[1-20000]" | sort | uniq -c | xargs; }
arrives() { matches grpcurl "$(timeout 3 grep -m 1 grpcurl <&9)"; }
dropped() { [ "$(stat edge access_logs.file_access_log.logs_dropped)" -gt 0 ] && stat edge access_logs.file_access_log.logs_dropped; }
check "it serves" within 15 lives
check "lines arrive" matches 'GET /healthz HTTP/1.1" 200' "$(timeout 3 head -n 1 <&9)"
check "nobody reads: 20,000 requests" is "20000 404" "$(many)"
check "lines that found no room are counted" within 2 dropped
check "kilobytes of memory" in_range 0 200000 "$(awk '/^VmRSS:/ { print $2 }' "/proc/${pid[edge]}/status")"
timeout 2 cat <&9 >"$work/read" || true
check "somebody reads again: lines that had waited" test "$(grep -c '" 404 NR ' "$work/read")" -gt 1000
call >/dev/null
check "lines arrive again" arrives
exec 9>&-
check "the reader is gone: 100 calls" grpcio count 100 0 100
check "it lives" lives
lost() { [ "$(stat edge filesystem.lines_lost)" -gt 99 ] && stat edge filesystem.lines_lost; }
check "lines that were lost are counted" within 2 lost
exec 9<>"$work/pipe"
call >/dev/null
check "a reader comes back: lines arrive again" arrives
stop edge KILL
exec 9>&-

note "standard output is closed"
# shellcheck disable=SC2016
start edge edge sh -c 'exec "$@" >&-' sh "$here/lib/edge" "$work" "$MESHLIB" -c "$reference/edge.envoy.yaml"
check "it serves" within 15 lives
check "100 calls" grpcio count 100 0 100
check "nothing has gone astray" is 200 "$(alive)"
