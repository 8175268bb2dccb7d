# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# stack.sh - `path: stack`: the node's routing and netfilter see each packet, and one consistent
# tuple in both directions: the client's address and the backend's.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

# it balances through the stack, TCP and UDP over IPv4 and IPv6, large bodies too
test_stack_basics() {
  make_net
  weir_up 'path: stack'
  ask_usual c1
  ask_large c1 10000000
  set_gro on
  ask_large c1 10000000
  assert_outcome FORWARDED_STACK 500
  assert_outcome PASS_TO_EGRESS 500
  assert_outcome REPLIED_STACK 500
  assert_eq "$(outcome FORWARDED) $(outcome REPLIED)" "0 0"
  assert_no_drops
  assert_no_bad_packets
}

# it leaves checksums right through the stack when client, node or backends compute them
test_stack_checksums() {
  local host
  make_net
  weir_up 'path: stack'
  for host in c1:eth0 n:wl0 n:up1 n:up2 n:up3 b1:eth0 b2:eth0 b3:eth0; do
    on "${host%:*}" ethtool -K "${host#*:}" tx off >"$LOGS/ethtool"
  done
  ask_usual c1
  ask_large c1 3000000
  assert_no_drops
  assert_no_bad_packets
}

# it works where netfilter drops what conntrack finds invalid, with strict rp_filter
test_stack_careful() {
  local entries pattern
  make_net
  drop_invalid
  set_strict_rp_filter
  weir_up 'path: stack'
  set_strict_rp_filter # weir0 and weir1 too
  ask_usual c1
  ask_large c1 3000000
  assert_lacks "$(on n nft list table inet careful | grep invalid | grep -v 'packets 0 ')" packets

  # conntrack has one tuple and its reverse, with the backend's address, established
  hold held c1 --tcp "$vip:80" --hold 3
  pattern='ESTABLISHED src=10.1.0.2 dst=10.2.[123].2 .* src=10.2.[123].2 dst=10.1.0.2 .*ASSURED'
  entries=$(on n grep -c "$pattern" /proc/net/nf_conntrack)
  assert_eq "$entries" 3
  assert_lacks "$(on n cat /proc/net/nf_conntrack)" "$vip"
  survivors held
  assert_eq "$(value "$output" survived)" 3
}

# it is subject to nftables where it goes through the stack, and is not on the fast path
test_stack_policy() {
  make_net
  start_backends
  write_config <<END
services:
  - {name: stack, path: stack, vip: "$vip:81", backends: $(list_backends "$backend4" 8080)}
  - {name: fast, vip: "$vip:82", backends: $(list_backends "$backend4" 8080)}
  - {name: stack6, path: stack, vip: "[$vip6]:81", backends: $(list_backends "[$backend6]" 8080)}
  - {name: fast6, vip: "[$vip6]:82", backends: $(list_backends "[$backend6]" 8080)}
END
  load_and_apply
  ask c1 --tcp "$vip:81"
  nft_on n <<'END'
table inet test {
  counter dropped { }
  chain forward {
    type filter hook forward priority 0
    tcp dport 8080 counter name dropped drop
  }
}
END
  for address in "$vip" "[$vip6]"; do
    assert_fails on c1 load --tcp "$address:81" --requests 2 --concurrency 2 --timeout 200
    assert_eq "$(value "$output" timeout)" 2 "$output"
  done
  assert_between "$(counted n dropped)" 4 20
  on n nft reset counter inet test dropped >"$LOGS/nft"
  ask c1 --tcp "$vip:82" --requests 20
  ask c1 --tcp "[$vip6]:82" --requests 20
  assert_eq "$(counted n dropped)" 0
}

# it changes from one path to the other under traffic
test_stack_switch() {
  make_net
  weir_up
  start_load traffic c1 --tcp "$vip:80" --concurrency 4 --keepalive 20
  hold held c1 --tcp "$vip:80" --hold 10
  write_config < <(usual_services 'path: stack')
  apply
  survivors held
  assert_eq "$(value "$output" survived)" 10
  ask c1 --tcp "$vip:80" --requests 50
  assert_outcome REPLIED_STACK 100
  write_config < <(usual_services 'path: fast')
  apply
  ask c1 --tcp "$vip:80" --requests 50
  release traffic
}

# Backends on the node: be1 there listens on the node's own addresses.
make_local_backend() { # PATH
  make_net
  backends=(1)
  backend4=10.2.%d.1 backend6=fd00:2:%d::1
  start_backend n be1
  write_config < <(usual_services "path: $1")
  load_and_apply
}

# it reaches a backend on the node itself through the stack, replies translated on egress
test_stack_local_backend() {
  make_local_backend stack
  set_strict_rp_filter
  drop_invalid
  ask_usual c1
  ask_large c1 2000000
  assert_outcome REPLIED_STACK 100
  assert_eq "$(outcome REPLIED) $(outcome PASS_TO_EGRESS)" "0 0"
  assert_no_drops
  assert_no_bad_packets
}

# it reaches a backend on the node itself where the service wants the fast path
test_fast_local_backend() {
  make_local_backend fast
  ask_usual c1
  ask_large c1 2000000
  assert_outcome FORWARDED_STACK 100
  assert_outcome REPLIED_STACK 100
  assert_eq "$(outcome FORWARDED)" 0
  assert_no_drops
  assert_no_bad_packets
}
