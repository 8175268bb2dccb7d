# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# topology.sh - other places for clients and backends: a bridge's ports, local veths, one host.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

check_bridge() { # PATH
  make_bridge_for_weir
  # the VIPs have no address on the wire: clients route them to the gateway
  weir_up "path: $1"
  ask_usual c1
  ask_large c1 3000000
  assert_no_drops
  assert_no_bad_packets
}

# it balances between ports of a bridge, client and backends in one subnet
test_bridge_fast() {
  check_bridge fast
  assert_outcome FORWARDED 500
}

# it balances between ports of a bridge through the stack
test_bridge_stack() {
  check_bridge stack
}

# it refuses a bridge that is named as an interface, and passes over one that a glob matches
test_bridge_refused() {
  make_bridge_for_weir
  start_backends
  {
    echo 'interfaces: [{match: br0, role: workload}]'
    usual_services
  } >"$LOGS/weir.yaml"
  weir_on n load "$LOGS/weir.yaml"
  assert_fails apply
  assert_contains "$output" br0
  {
    echo 'interfaces: [{match: "*", role: workload}]'
    usual_services
  } >"$LOGS/weir.yaml"
  apply
  ask_usual c1
  assert_lacks "$(weir_on n status -j)" br0
}

# it hands packets to local backends without the host's queues, and back to local clients
test_local_backends() {
  make_net
  start_backends
  {
    printf 'interfaces:\n  - {match: wl*, role: workload}\n  - {match: up*, role: workload}\n'
    usual_services
  } >"$LOGS/weir.yaml"
  load_and_apply
  ask_usual c1
  ask_large c1 10000000
  set_gro on
  ask_large c1 10000000
  assert_outcome FORWARDED 500
  assert_outcome REPLIED 500
  assert_no_drops
  assert_no_bad_packets

  # redirect_peer goes past the egress of up1, which routing takes
  nft_on n <<'END'
table netdev test {
  counter sent { }
  chain up1 {
    type filter hook egress device "up1" priority 0
    tcp dport 8080 counter name sent
  }
}
END
  ask c1 --tcp "$vip:80" --requests 60
  assert_everybody_served
  assert_eq "$(on n nft list counter netdev test sent | awk '/packets/ { print $2 }')" 0
  ask c1 --tcp 10.2.1.2:8080
  assert_between "$(on n nft list counter netdev test sent | awk '/packets/ { print $2 }')" 3 20
}

# it sends a backend's own request to another backend of its service
test_hairpin_other() {
  local address i
  make_net
  weir_up
  for i in 1 2 3; do
    for address in "$vip" "[$vip6]"; do
      ask "b$i" --tcp "$address:80" --requests 40 --check-client
      assert_eq "$(value "$output" "backend be$i")" 0
      ask "b$i" --udp "$address:53" --requests 40 --check-client
      assert_eq "$(value "$output" "backend be$i")" 0
    done
  done
  assert_between "$(internal HAIRPIN)" 50 100000
}

# it refuses a backend's own request at once when nobody else could serve it
test_hairpin_alone() {
  make_net
  backends=(1)
  weir_up
  assert_refused b1 --tcp "$vip:80"
  assert_refused b1 --tcp "[$vip6]:80"
  assert_fails on b1 load --udp "$vip:53" --timeout 200
  assert_outcome REFUSED_HAIRPIN 10 10
  assert_outcome DROP_HAIRPIN 1 1
  ask_usual c1
}
