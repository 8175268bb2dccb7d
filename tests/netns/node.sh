# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# node.sh - processes on the node as clients, by way of weir0 and weir1.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

# it serves processes on the node, TCP and UDP over IPv4 and IPv6
test_node_basics() {
  make_net
  weir_up
  ask_usual n
  ask_large n 10000000
  ask n --udp "$vip:53" --requests 20 --same-socket
  assert_no_drops
  assert_no_bad_packets
}

# it serves processes on the node where rp_filter is strict and conntrack's INVALID is dropped
test_node_careful() {
  make_net
  drop_invalid
  weir_up
  set_strict_rp_filter
  ask_usual n
  ask_large n 3000000
  assert_lacks "$(on n nft list table inet careful | grep invalid | grep -v 'packets 0 ')" packets
  assert_no_bad_packets
}

# it serves processes on a node that does not forward, by services with either path
test_node_no_forwarding() {
  make_net
  on n sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
  weir_up
  ask_usual n
  write_config < <(usual_services 'path: stack')
  apply
  ask_usual n
  assert_no_bad_packets
}

# it serves processes on the node by services with path: stack
test_node_stack() {
  make_net
  weir_up 'path: stack'
  ask_usual n
  ask_large n 3000000
  assert_no_drops
  assert_no_bad_packets
}

# it serves them where rp_filter is strict, INVALID is dropped, and nothing is forwarded for weir1
test_node_stack_careful() {
  make_net
  drop_invalid
  set_strict_rp_filter
  weir_up 'path: stack'
  ask_usual n
  ask_large n 3000000
  assert_lacks "$(on n nft list table inet careful | grep invalid | grep -v 'packets 0 ')" packets
  assert_no_bad_packets
}

# it refuses the node other ports of a VIP, drops its pings to one, and nothing goes round
test_node_no_service() {
  local before after
  make_net
  weir_up
  assert_refused n --tcp "$vip:81"
  assert_refused n --tcp "[$vip6]:81"
  assert_outcome REFUSED_PORT 10 10
  assert_fails on n ping -nqc1 -W0.2 "$vip"
  assert_fails on n ping -nqc1 -W0.2 "$vip6"
  assert_fails on n load --udp "$vip:54" --timeout 100
  assert_outcome DROP_NO_PORT 1 1
  before=$(outcome DROP_FROM_NODE)
  assert_fails on n ping -nqc5 -i0.01 -W0.2 "$vip"
  after=$(outcome DROP_FROM_NODE)
  assert_eq "$((after - before))" 5
}

# it refuses a process on the node at once when only the node itself could serve it
test_node_local_backend() {
  make_net
  backends=(1)
  backend4=10.2.%d.1 backend6=fd00:2:%d::1
  start_backend n be1
  write_config < <(usual_services)
  load_and_apply
  assert_refused n --tcp "$vip:80"
  assert_refused n --tcp "[$vip6]:80"
  assert_outcome REFUSED_HAIRPIN 10 10
  ask_usual c1
}

# it keeps the node's connections while backends come and go
test_node_changes() {
  make_net
  weir_up 'drain_timeout: 30s'
  hold held n --tcp "$vip:80" --hold 20
  start_load traffic n --tcp "$vip:80" --concurrency 4 --keepalive 10
  weir_on n backend drain web 10.2.1.2:8080
  weir_on n backend remove web 10.2.2.2:8080
  ask n --tcp "$vip:80" --requests 30
  assert_eq "$(value "$output" "backend be3")" 30
  survivors held
  assert_eq "$(value "$output" survived)" 20
  release traffic
}
