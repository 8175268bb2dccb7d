# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2154
#
# lib_weir.sh - for tests with weir in the lab: services, requests to them, what weir counted.
#
# The usual services are four, each with the lab's backends be1 to be3:
#
#   web, dns     10.96.0.10:80 over TCP, :53 over UDP        web6, dns6     [fd00:96::10], the same

vip=10.96.0.10 vip6=fd00:96::10
backends=(1 2 3) # those that the usual services name
backend4=10.2.%d.2 backend6=fd00:2:%d::2 # printf formats of their addresses
python=/usr/bin/python3

# The lab of a bridge: client and backends are ports of br0.
make_bridge_for_weir() {
  make_bridge
  backend4=10.3.0.1%d backend6=fd00:3::1%d
}

start_backends() {
  local i
  for i in "${backends[@]}"; do
    start_backend "b$i" "be$i"
  done
}

# --- the configuration --------------------------------------------------------------------------

lab_interfaces() {
  cat <<END
interfaces:
  - {match: wl*, role: workload${1:+, $1}}
  - {match: up*, role: uplink${1:+, $1}}
END
}

# The lab's interfaces, and what stdin adds, as $LOGS/weir.yaml.
write_config() { # [FURTHER_KEY_OF_INTERFACES]
  { lab_interfaces "$@" && cat; } >"$LOGS/weir.yaml"
}

list_backends() { # FORMAT PORT
  local i list=
  for i in "${backends[@]}"; do
    # shellcheck disable=SC2059 # it is a format
    list+=", \"$(printf "$1" "$i"):$2\""
  done
  printf '[%s]' "${list:2}"
}

usual_services() { # [FURTHER_KEYS_OF_EACH], as in: usual_services 'path: stack, drain_timeout: 1s'
  local more=${1:+, $1}
  cat <<END
services:
  - {name: web, vip: "$vip:80", backends: $(list_backends "$backend4" 8080)$more}
  - {name: web6, vip: "[$vip6]:80", backends: $(list_backends "[$backend6]" 8080)$more}
  - {name: dns, protocol: udp, vip: "$vip:53", backends: $(list_backends "$backend4" 5300)$more}
  - {name: dns6, protocol: udp, vip: "[$vip6]:53",
     backends: $(list_backends "[$backend6]" 5300)$more}
END
}

apply() {
  weir_on n apply "$LOGS/weir.yaml"
}

# Load and apply the file that write_config has written.
load_and_apply() {
  weir_on n load "$LOGS/weir.yaml"
  apply
}

# The usual services in the usual lab, served.
weir_up() { # [FURTHER_KEYS_OF_EACH]
  write_config < <(usual_services "$@")
  start_backends
  load_and_apply
}

# --- requests -----------------------------------------------------------------------------------

# All requests must be good; the output of load is in $output.
ask() { # NAMESPACE ARGUMENT-OF-LOAD...
  local status=0
  output=$(on "$1" load "${@:2}" 2>&1) || status=$?
  ((status == 0)) || fail "load ${*:2}: exit $status" "$output"
}

assert_everybody_served() {
  local i
  for i in "${backends[@]}"; do
    assert_between "$(value "$output" "backend be$i")" 1 100000000 "be$i was not asked: $output"
  done
}

# The four usual services, each backend seen, each of which sees the client itself.
ask_usual() { # NAMESPACE
  ask "$1" --tcp "$vip:80" --requests 60 --concurrency 4 --check-client
  assert_everybody_served
  ask "$1" --tcp "[$vip6]:80" --requests 60 --concurrency 4 --check-client
  assert_everybody_served
  ask "$1" --udp "$vip:53" --requests 60 --concurrency 4 --check-client
  assert_everybody_served
  ask "$1" --udp "[$vip6]:53" --requests 60 --concurrency 4 --check-client
  assert_everybody_served
}

# Large bodies, both ways, both families.
ask_large() { # NAMESPACE BYTES
  local address
  for address in "$vip" "[$vip6]"; do
    ask "$1" --tcp "$address:80" --path "/bytes/$2"
    ask "$1" --tcp "$address:80" --path /echo --size "$2"
  done
}

# Every request must be refused, each within 100 ms.
assert_refused() { # NAMESPACE ARGUMENT-OF-LOAD...
  assert_fails on "$1" load "${@:2}" --requests 5 --timeout 2000
  assert_eq "$(value "$output" failed) $(value "$output" refused)" "5 5" "$output"
  assert_between "$(value "$output" elapsed_us)" 0 500000 "refused, but late"
}

# Requests in the background until `release NAME`, which asserts that none failed.
start_load() { # NAME NAMESPACE ARGUMENT-OF-LOAD...
  start "$1" "$2" "$tools/load" "${@:3}" --until-file "$LOGS/$1.enough" --timeout 3000
}

release() { # NAME
  local status=0
  touch "$LOGS/$1.enough"
  finish "$1" || status=$?
  output=$(<"$LOGS/$1")
  ((status == 0)) || fail "load $1: exit $status" "$output"
}

# Connections that stay open, see survivors.
hold() { # NAME NAMESPACE ARGUMENT-OF-LOAD...
  start "$1" "$2" "$tools/load" "${@:3}" --timeout 3000
  wait_for "grep -q '^holding' '$LOGS/$1'"
}

# Use the held connections once more, and end them; how many still worked.
survivors() { # NAME
  signal "$1" USR1
  finish "$1" || true
  output=$(<"$LOGS/$1")
}

# --- what weir says -----------------------------------------------------------------------------

# Packets that ended so, over all hooks.
outcome() { # NAME
  weir_on n outcomes -j | "$python" -c '
import json, sys
rows = json.load(sys.stdin)["outcomes"]
print(sum(row["ingress"] + row["egress"] for row in rows if row["outcome"] == sys.argv[1]))' "$1"
}

internal() { # NAME
  weir_on n outcomes -j | "$python" -c '
import json, sys
rows = json.load(sys.stdin)["internals"]
print(sum(row["count"] for row in rows if row["internal"] == sys.argv[1]))' "$1"
}

# A column of `weir stats`, summed over the backends of a service, or one of them.
stat_of() { # SERVICE COLUMN [ADDRESS:PORT]
  weir_on n stats -j | "$python" -c '
import json, sys
service, column, backend = sys.argv[1:]
rows = [row for row in json.load(sys.stdin) if row["service"] == service and row["backend"]]
print(sum(row[column] for row in rows if backend in ("", row["backend"])))' "$1" "$2" "${3:-}"
}

assert_outcome() { # NAME MIN [MAX]
  assert_between "$(outcome "$1")" "$2" "${3:-1000000000}" "packets with outcome $1"
}

# No packet was dropped by any name; but weir0's own multicast (MLD) ends at weir1.
assert_no_drops() {
  assert_eq "$(weir_on n outcomes -j | "$python" -c '
import json, sys
print([row for row in json.load(sys.stdin)["outcomes"]
      if row["outcome"].startswith("DROP") and row["outcome"] != "DROP_FROM_NODE"
      and row["ingress"] + row["egress"]])')" "[]"
}

# --- what the kernel says -----------------------------------------------------------------------

# Packets with a wrong checksum or header, of all protocols.
bad_packets() { # NAMESPACE
  on "$1" nstat -asz '*CsumErrors' IpInHdrErrors Ip6InHdrErrors |
    awk '!/^#/ { sum += $2; rows++ } END { print rows ? sum : "nstat failed" }'
}

assert_no_bad_packets() {
  local namespace
  for namespace in $(namespaces); do
    assert_eq "$(bad_packets "${namespace#"$NET-"}")" 0 "bad packets received in $namespace"
  done
}

# nftables in a namespace: rules from stdin.
nft_on() { # NAMESPACE
  on "$1" nft -f -
}

# Packets that a named counter of `table inet test` has seen.
counted() { # NAMESPACE COUNTER
  on "$1" nft list counter inet test "$2" | awk '/packets/ { print $2 }'
}

# What a careful administrator has: nothing INVALID, nothing that nobody asked for.
drop_invalid() {
  nft_on n <<'END'
table inet careful {
  chain forward {
    type filter hook forward priority 0; policy drop
    ct state invalid counter drop
    ct state established,related accept
    ct state new iifname "wl*" accept
    meta l4proto ipv6-icmp accept
  }
  chain input {
    type filter hook input priority 0
    ct state invalid counter drop
  }
  chain output {
    type filter hook output priority 0
    ct state invalid counter drop
  }
}
END
}

set_strict_rp_filter() {
  local interface
  on n sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1
  for interface in $(ip_n n -o link show | sed 's/^[0-9]*: \([^:@]*\).*/\1/'); do
    on n sysctl -qw "net.ipv4.conf.$interface.rp_filter=1"
  done
}

# The programs at the hooks of the node's interfaces, each as "wl0 ingress tcx 123".
attached_programs() {
  on n "$python" "$repository/tests/netns/hooks.py"
}

# One program at each hook of each of the interfaces, and none elsewhere.
assert_attached() { # KIND INTERFACE...
  local interface wanted=
  for interface in "${@:2}"; do
    wanted+="$interface egress $1"$'\n'"$interface ingress $1"$'\n'
  done
  assert_eq "$(attached_programs | sed 's/ [0-9]*$//' | LC_ALL=C sort)" \
    "$(printf '%s' "$wanted" | LC_ALL=C sort)" "programs at hooks"
}
