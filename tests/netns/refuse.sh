# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# refuse.sh - nobody there to serve: clients fail at once.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

check_refused() { # NAMESPACE
  assert_refused "$1" --tcp "$vip:80"
  assert_refused "$1" --tcp "[$vip6]:80"
  assert_outcome REFUSED_NO_BACKEND 10 10
  assert_fails on "$1" load --udp "$vip:53" --timeout 100
  assert_eq "$(value "$output" timeout)" 1 "$output"
  assert_fails on "$1" load --udp "[$vip6]:53" --timeout 100
  assert_outcome DROP_NO_BACKEND 2 2
  assert_refused "$1" --tcp "$vip:81"
  assert_refused "$1" --tcp "[$vip6]:81"
  assert_outcome REFUSED_PORT 10 10
  assert_fails on "$1" load --udp "$vip:54" --timeout 100
  assert_fails on "$1" load --udp "[$vip6]:54" --timeout 100
  assert_outcome DROP_NO_PORT 2 2
  assert_no_bad_packets
}

# A service each, with nobody behind it.
make_empty() { # [KEYS]
  make_net
  backends=()
  write_config < <(usual_services "$@")
  load_and_apply
}

# it refuses TCP at once and drops UDP where a service has no backend, or a VIP no such port
test_refuse_empty() {
  make_empty
  check_refused c1
}

# it refuses the same for path: stack, with segments whose checksums were computed in software
test_refuse_empty_stack() {
  make_empty 'path: stack'
  on c1 ethtool -K eth0 tx off >"$LOGS/ethtool"
  on n ethtool -K wl0 tx off >"$LOGS/ethtool"
  check_refused c1
}

# it refuses processes on the node the same way
test_refuse_empty_node() {
  make_empty
  check_refused n
}

# it refuses new connections when every backend is drained or has weight 0, and keeps the others
test_refuse_drained() {
  make_net
  backends=(1 2)
  weir_up
  hold held c1 --tcp "$vip:80" --hold 10
  weir_on n backend drain web 10.2.1.2:8080
  weir_on n backend weight web 10.2.2.2:8080 0
  assert_refused c1 --tcp "$vip:80"
  ask c1 --tcp "[$vip6]:80" --requests 5
  survivors held
  assert_eq "$(value "$output" survived)" 10
  weir_on n backend undrain web 10.2.1.2:8080
  ask c1 --tcp "$vip:80" --requests 20
  assert_eq "$(value "$output" "backend be1")" 20
  weir_on n backend weight web 10.2.2.2:8080 3
  ask c1 --tcp "$vip:80" --requests 40
  assert_everybody_served
}

# it passes other ports of a VIP that is an address of the node
test_refuse_local_vip() {
  make_net
  ip_n n addr add "$vip/32" dev lo
  ip_n n addr add "$vip6/128" dev lo nodad
  weir_up
  start_backend n own --tcp 0.0.0.0:88 --tcp '[::]:88' --udp 0.0.0.0:5353 --udp '[::]:5353'
  ask_usual c1
  for address in "$vip" "[$vip6]"; do
    ask c1 --tcp "$address:88" --requests 10 --check-client
    assert_eq "$(value "$output" "backend own")" 10
    ask c1 --udp "$address:5353" --check-client
    ask n --tcp "$address:88" --check-client
  done
  assert_outcome PASS_LOCAL_PORT 30
  on c1 ping -nqc1 -W1 "$vip" >"$LOGS/ping"
  assert_refused c1 --tcp "$vip:89" # by the node's own kernel
  assert_eq "$(outcome REFUSED_PORT)" 0
}

# it drops packets that claim to come from a VIP
test_refuse_vip_source() {
  make_net
  weir_up
  ip_n c1 addr add "$vip/32" dev lo
  ip_n c1 addr add 10.96.0.11/32 dev lo
  {
    usual_services
    echo "  - {name: other, vip: \"10.96.0.11:80\", backends: $(list_backends "$backend4" 8080)}"
  } | write_config
  apply
  ip_n c1 addr del 10.96.0.11/32 dev lo
  assert_fails on c1 load --tcp 10.96.0.11:80 --source "$vip" --timeout 200
  assert_outcome DROP_VIP_SOURCE 1
  ask c1 --tcp 10.96.0.11:80 --source 10.1.0.2
}
