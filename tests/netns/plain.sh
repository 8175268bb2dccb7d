# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# plain.sh - the lab itself, without weir: when one of these fails, no other result means much.

# Every backend answers over TCP and UDP, has seen the client itself, and nobody else answers.
check_backend() { # NAME ADDRESS (in brackets for IPv6)
  local output
  output=$(on c1 load --tcp "$2:8080" --requests 40 --concurrency 4 --keepalive 5 --check-client)
  assert_eq "$(value "$output" "backend $1")" 40
  assert_between "$(value "$output" connections)" 8 11
  output=$(on c1 load --tcp "$2:8080" --path /bytes/1000000 --requests 2)
  assert_eq "$(value "$output" ok)" 2
  output=$(on c1 load --udp "$2:5300" --requests 20 --size 1200 --check-client)
  assert_eq "$(value "$output" "backend $1")" 20
}

# it routes TCP and UDP over IPv4 and IPv6 from the client to every backend
test_plain_routes() {
  local i
  make_net
  for i in 1 2 3; do
    start_backend "b$i" "be$i"
    check_backend "be$i" "10.2.$i.2"
    check_backend "be$i" "[fd00:2:$i::2]"
  done
  assert_eq "$(stop_backend be2)" "served tcp 84 udp 40"

  # a server on every address answers from the one that was asked
  ip_n b1 addr add 10.2.1.9/24 dev eth0
  ip_n b1 addr add fd00:2:1::9/64 dev eth0 nodad
  for i in 2 9; do
    on c1 load --udp "10.2.1.$i:5300" --timeout 1000
    on c1 load --udp "[fd00:2:1::$i]:5300" --timeout 1000
  done
}

# it joins client and backends in one subnet of a bridge
test_plain_bridge() {
  make_bridge
  start_backend b1 be1
  start_backend b3 be3
  check_backend be1 10.3.0.11
  check_backend be3 '[fd00:3::13]'
  assert_contains "$(on n bridge -o link show)" "master br0"
  assert_contains "$(on c1 ip route get 10.3.0.13)" "10.3.0.13 dev eth0"
}

# it carries many clients: a second one, and a range of source addresses
test_plain_sources() {
  local output address
  make_net
  add_client c2 1
  add_sources c1 10.9.0.0/24 10.1.0.2
  start_backend b1 be1
  output=$(on c2 load --tcp 10.2.1.2:8080 --check-client)
  assert_eq "$(value "$output" ok)" 1
  on n nft -f - <<END
table ip count {
  set seen { type ipv4_addr; flags dynamic; }
  chain forward {
    type filter hook forward priority 0
    tcp flags syn / syn,ack add @seen { ip saddr }
  }
}
END
  on c1 load --tcp 10.2.1.2:8080 --requests 20 --source 10.9.0.5-9 --source-port 7777 --check-client
  output=$(on n nft list set ip count seen)
  for address in 10.9.0.{5..9}; do
    assert_contains "$output" "$address"
  done
  assert_lacks "$output" 10.9.0.4
  assert_lacks "$output" 10.9.0.10
}

# it tells a closed port, a black hole, a reset and a connection cut short from each other
test_plain_failures() {
  make_net
  start_backend b1 be1
  assert_fails on c1 load --tcp 10.2.1.2:81 --requests 3
  assert_eq "$(value "$output" failed) $(value "$output" refused)" "3 3"
  assert_fails on c1 load --udp '[fd00:2:1::2]:81'
  assert_eq "$(value "$output" failed) $(value "$output" refused)" "1 1"
  on n nft add table ip hole
  on n nft add chain ip hole forward '{ type filter hook forward priority 0; }'
  on n nft add rule ip hole forward ip daddr 10.2.3.2 drop
  assert_fails on c1 load --tcp 10.2.3.2:8080 --requests 2 --concurrency 2 --timeout 100
  assert_eq "$(value "$output" failed) $(value "$output" timeout)" "2 2"

  # held connections survive, but for a backend that ends or a path that answers with a RST
  start held c1 load --tcp 10.2.1.2:8080 --hold 20
  wait_for "grep -qx 'holding 20' '$LOGS/held'"
  signal held USR1
  finish held
  assert_eq "$(value "$(cat "$LOGS/held")" survived)" 20
  start_backend b2 be2
  start held c1 load --tcp 10.2.2.2:8080 --hold 20
  wait_for "grep -qx 'holding 20' '$LOGS/held'"
  stop_backend be2
  signal held USR1
  assert_fails finish held
  output=$(cat "$LOGS/held")
  assert_eq "$(value "$output" survived) $(value "$output" short)" "0 20"
  start held c1 load --tcp 10.2.1.2:8080 --hold 20
  wait_for "grep -qx 'holding 20' '$LOGS/held'"
  on n nft add rule ip hole forward ip daddr 10.2.1.2 tcp dport 8080 reject with tcp reset
  signal held USR1
  assert_fails finish held
  output=$(cat "$LOGS/held")
  assert_eq "$(value "$output" survived) $(value "$output" reset)" "0 20"
}
