# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# reuse.sh - one client port again and again, and towards two places at once.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

# it takes a new connection from the port of one that has just closed, without a pause
test_reuse_again() {
  local address
  make_net
  weir_up
  for address in "$vip" "[$vip6]"; do
    ask c1 --tcp "$address:80" --requests 100 --source-port 7777
    # a SYN that is not answered comes again after 1 s
    assert_between "$(value "$output" latency_max_us)" 1 500000
    ask n --tcp "$address:80" --requests 100 --source-port 7777
    assert_between "$(value "$output" latency_max_us)" 1 500000
  done
  assert_between "$(internal PORT_REUSED)" 300 400
}

# it takes a new connection from the port of an aborted one, whose backend is gone meanwhile
test_reuse_aborted() {
  local address
  make_net
  backends=(1)
  weir_up
  start_backend b2 be2
  for address in "$vip" "$vip6"; do
    on c1 "$python" "$repository/tests/netns/sockets.py" abort "$address" 80 7777
  done
  backends=(2)
  write_config < <(usual_services)
  apply
  for address in "$vip" "[$vip6]"; do
    ask c1 --tcp "$address:80" --source-port 7777
    assert_eq "$(value "$output" "backend be2")" 1
    assert_between "$(value "$output" latency_max_us)" 1 500000
  done
}

# Two VIPs with the backends that are set; held connections from one port to the first.
hold_one_port() {
  make_net
  start_backends
  write_config <<END
services:
  - {name: one, vip: "$vip:80", backends: $(list_backends "$backend4" 8080)}
  - {name: two, vip: "10.96.0.11:80", backends: $(list_backends "$backend4" 8080)}
  - {name: three, vip: "[$vip6]:80", backends: $(list_backends "[$backend6]" 8080)}
  - {name: four, vip: "[fd00:96::11]:80", backends: $(list_backends "[$backend6]" 8080)}
END
  load_and_apply
  hold held c1 --tcp "$vip:80" --hold 1 --source-port 7777
  hold held6 c1 --tcp "[$vip6]:80" --hold 1 --source-port 7777
}

# it gives a clash of one client port to two VIPs of the same backends to another backend
test_clash_other() {
  backends=(1 2)
  hold_one_port
  ask c1 --tcp 10.96.0.11:80 --source-port 7777 --requests 20
  local other=$output
  survivors held
  assert_eq "$(value "$output" survived)" 1
  for i in 1 2; do
    (($(value "$output" "backend be$i") == 0)) ||
      assert_eq "$(value "$other" "backend be$i")" 0 "one tuple for two connections"
  done
  ask c1 --tcp "[fd00:96::11]:80" --source-port 7777 --requests 20
  survivors held6
  assert_eq "$(value "$output" survived)" 1
  # of two VIPs, whichever came first: the ports differ or the choice does
  hold held c1 --tcp "$vip:80" --hold 100
  ask c1 --tcp 10.96.0.11:80 --requests 100
  survivors held
  assert_eq "$(value "$output" survived)" 100
}

# it refuses a clash that no other backend can solve, and neither connection sees the other
test_clash_refused() {
  backends=(1)
  hold_one_port
  assert_refused c1 --tcp 10.96.0.11:80 --source-port 7777
  assert_refused c1 --tcp "[fd00:96::11]:80" --source-port 7777
  assert_outcome REFUSED_CLASH 10 10
  survivors held
  assert_eq "$(value "$output" survived)" 1
  survivors held6
  assert_eq "$(value "$output" survived)" 1
  # over: now the port is free for the other VIP
  ask c1 --tcp 10.96.0.11:80 --source-port 7777 --requests 3
  ask c1 --tcp "[fd00:96::11]:80" --source-port 7777 --requests 3
  ask c1 --tcp "$vip:80" --source-port 7777 --requests 3
}

# it lets a client connect to a backend directly from the port of an old connection to the VIP
test_reuse_direct() {
  local line
  make_net
  backends=(1)
  weir_up
  for line in "$vip 80 10.2.1.2" "$vip6 80 fd00:2:1::2"; do
    # shellcheck disable=SC2086 # words
    output=$(on c1 "$python" "$repository/tests/netns/sockets.py" direct 7777 $line 8080)
    assert_between "$output" 0 500 "direct connection, ms"
    # and back again
    # shellcheck disable=SC2086
    set -- $line
    output=$(on c1 "$python" "$repository/tests/netns/sockets.py" direct 7778 "$3" 8080 "$1" 80)
    assert_between "$output" 0 500 "connection to the VIP after a direct one, ms"
  done
  assert_between "$(internal FLOW_INVALIDATED)" 2 2
}
