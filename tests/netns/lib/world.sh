# The world: a network, its DNS server, pods, an edge. One address per name, on one bridge.

declare -A address=(
  [edge]=10.77.0.10 [pod1]=10.77.0.11 [pod2]=10.77.0.12 [pod3]=10.77.0.13 [pod4]=10.77.0.14
  [dns]=10.77.0.53 [client]=10.77.0.99
)
declare -A pid=() # of each process by its name

# A configuration of the edge that checks and calls the applications themselves, on port 8081.
mended() { sed "s/port_value: 8786/port_value: 8081/" "$reference/edge.envoy.yaml"; }

world_begin() {
  work="$(mktemp -d)"
  trap 'rmdir "$work" 2>/dev/null || true' EXIT
  trap 'exit 1' INT TERM HUP
  # On a file system that ends with the namespace. The empty directory below it is all that a SIGKILL leaves.
  mount -t tmpfs -o mode=755 none "$work"
  mkdir -p /run/netns
  mount -t tmpfs none /run/netns
  ip link add br0 type bridge
  ip link set br0 up
  local name
  for name in "${!address[@]}"; do
    ip netns add "$name"
    ip link add "$name" type veth peer name eth0 netns "$name"
    ip link set "$name" master br0 up
    in_ns "$name" ip addr add "${address[$name]}/24" dev eth0
    in_ns "$name" ip link set eth0 up
    in_ns "$name" ip link set lo up
  done
  # As the kubelet writes it: the search list goes first for every name with fewer than five dots.
  printf '%s\n' "nameserver ${address[dns]}" 'search envoy.svc.cluster.local svc.cluster.local cluster.local' \
    'options ndots:5' >"$work/resolv.conf"
  certificate first
  trap 'world_clear; umount "$work"; rmdir "$work"' EXIT
}

# Ends all processes, so that the next scenario begins as the first one did.
world_clear() {
  local name
  for name in "${!pid[@]}"; do stop "$name" KILL; done
}

in_ns() {
  local ns="$1"
  shift
  ip netns exec "$ns" "$@"
}

# start NAMESPACE NAME COMMAND...: its output goes to NAME.out and NAME.err.
start() {
  local ns="$1" name="$2"
  shift 2
  ip netns exec "$ns" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
  pid[$name]=$!
}

# stop NAME [SIGNAL]: and wait for its end.
stop() {
  kill -s "${2:-TERM}" "${pid[$1]}" 2>/dev/null || true
  # Bash tells of what a signal ended.
  wait "${pid[$1]}" 2>/dev/null || true
  unset "pid[$1]"
}

# ended NAME: sets `code` to the exit code of a process, once it has ended. Not for a subshell: it has no children.
ended() {
  code=0
  wait "${pid[$1]}" 2>/dev/null || code=$?
  unset "pid[$1]"
}

# runs NAME: it has not ended. A zombie has.
runs() { grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/${pid[$1]}/status" 2>/dev/null; }

ends() { ! runs "$1"; }

# certificate NAME: makes one as the reference does and puts it where the edge finds it, as Kubernetes does: all files
# appear under a new directory, then one symbolic link is replaced.
certificate() {
  local secret="$work/secret"
  mkdir -p "$secret/..$1"
  openssl req -x509 -nodes -newkey rsa:2048 -days 365 -subj "/CN=${address[edge]}" \
    -keyout "$secret/..$1/tls.key" -out "$secret/..$1/tls.crt" 2>/dev/null
  ln -sfn "..$1" "$secret/..data_tmp"
  mv -T "$secret/..data_tmp" "$secret/..data"
  ln -sfn ..data/tls.key "$secret/tls.key"
  ln -sfn ..data/tls.crt "$secret/tls.crt"
}

# publish POD...: their addresses are the service's from now on.
publish() {
  local pod
  for pod; do echo "${address[$pod]} echo-grpc.envoy.svc.cluster.local"; done >"$work/hosts"
  [ -z "${pid[dns]:-}" ] || kill -s HUP "${pid[dns]}"
}

dns_start() {
  start dns dns dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --local=/cluster.local/ \
    --addn-hosts="$work/hosts" --listen-address="${address[dns]}" --bind-interfaces --user=root --pid-file= \
    --local-ttl=5
}

# pod_start NAME...: each with its application and its sidecar.
pod_start() {
  local pod
  for pod; do
    start "$pod" "$pod-app" env PORT=8081 HOSTNAME="$pod" "$ECHO_GRPC"
    start "$pod" "$pod-sidecar" "$MESHLIB" -c "$reference/sidecar.envoy.yaml"
  done
  for pod; do
    within 15 in_ns "$pod" curl -sf http://127.0.0.1:8090/ready >/dev/null || note "the sidecar of $pod is not ready"
  done
}

# edge_start CONFIG [ARGUMENT...]: with a resolv.conf and a certificate mounted where only the edge sees them.
edge_start() {
  local config="$1"
  shift
  # shellcheck disable=SC2016
  start edge edge unshare --mount sh -c '
    work="$1"; shift
    mount --bind "$work/resolv.conf" /etc/resolv.conf && mount -t tmpfs none /etc/ssl && mkdir /etc/ssl/envoy &&
    mount --bind "$work/secret" /etc/ssl/envoy && exec "$@"
  ' sh "$work" "$MESHLIB" -c "$config" "$@"
}

