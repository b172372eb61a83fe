# The certificate changes under load, as Kubernetes changes a Secret.

publish pod1 pod2 pod3
dns_start
pod_start pod1 pod2 pod3
edge_start "$reference/edge.envoy.yaml"
within 15 lives >/dev/null

shown() { in_ns client openssl s_client -connect "${address[edge]}:443" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
file() { openssl x509 -noout -serial -in "$work/secret/tls.crt"; }
shows_file() { is "$(file)" "$(shown)"; }
updates() { stat edge listener.0.0.0.0_443.ssl.certificate_update; }
rejected() { [ "$(stat edge listener.0.0.0.0_443.ssl.certificate_update_rejected)" -ge "$1" ]; }
# A probe each 20 ms, each on a connection of its own.
start client probes sh -c 'while sleep 0.02; do
  curl -sk --http1.1 --no-alpn --max-time 1 -o /dev/null -w "%{http_code}\n" -H "x-envoy-livenessprobe: healthz" "$1"
done' sh "https://${address[edge]}/healthz"
load_start
begin="$(now)"

check "the certificate" shows_file
first="$(shown)"
certificate_make second
certificate_use second
check "a new one is shown" within 10 shows_file
check "that is another" test "$first" != "$(shown)"
check "it is counted" is 1 "$(updates)"

certificate_make third
openssl genrsa -out "$work/secret/..third/tls.key" 2048 2>/dev/null
certificate_use third
check "a key that does not fit is rejected" within 10 rejected 1
check "the log names the file" matches '/etc/ssl/envoy/tls.key' "$(grep -i 'WARN\|ERROR' "$work/edge.err" | grep certif)"
check "the last good one is shown on" is 1 "$(updates)"
certificate_make fourth
certificate_use fourth
check "until there is one that fits" within 10 shows_file
rm -r "$work/secret/..first" "$work/secret/..second" "$work/secret/..third"

check "no call fails" all_answered "$begin" "$(now)"
check "no probe fails" is 200 "$(sort -u "$work/probes.out")"
stop load
stop probes KILL
