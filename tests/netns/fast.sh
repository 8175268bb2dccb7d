# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# fast.sh - `path: fast` between namespaces: what arrives, from whom, how, and unharmed.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

# it balances TCP and UDP over IPv4 and IPv6, and backends see the client itself
test_fast_basics() {
  make_net
  weir_up
  ask_usual c1
  ask c1 --tcp "$vip:80" --requests 60 --keepalive 20 --check-client
  assert_between "$(value "$output" connections)" 3 3
  ask c1 --udp "$vip:53" --requests 20 --size 1400 --same-socket
  assert_outcome FORWARDED 500
  assert_outcome REPLIED 500
  assert_eq "$(outcome FORWARDED_STACK) $(outcome REPLIED_STACK)" "0 0"
  assert_no_drops
  assert_no_bad_packets
}

# it carries 10 MB bodies both ways in large segments, GRO off and on
test_fast_large() {
  make_net
  weir_up
  ask_large c1 10000000
  set_gro on
  ask_large c1 10000000
  assert_no_drops
  assert_no_bad_packets
}

# Each side in turn computes checksums itself, so that each receiver verifies them.
ask_without_offload() { # NAMESPACE INTERFACE
  on "$1" ethtool -K "$2" tx off >"$LOGS/ethtool"
  ask_usual c1
  ask_large c1 2000000
  on "$1" ethtool -K "$2" tx on >"$LOGS/ethtool"
}

# it leaves checksums right when client, node or backend compute them in software
test_fast_checksums() {
  local i
  make_net
  weir_up
  ask_without_offload c1 eth0
  ask_without_offload n wl0
  for i in 1 2 3; do
    ask_without_offload n "up$i"
    ask_without_offload "b$i" eth0
  done
  assert_no_drops
  assert_no_bad_packets
}

# it leaves checksums right with GRO, which merges what was verified
test_fast_checksums_gro() {
  local i
  make_net
  weir_up
  set_gro on
  on c1 ethtool -K eth0 tx off >"$LOGS/ethtool"
  for i in 1 2 3; do
    on "b$i" ethtool -K eth0 tx off >"$LOGS/ethtool"
  done
  ask_usual c1
  ask_large c1 5000000
  assert_no_drops
  assert_no_bad_packets
}

# it shares out new connections by weight
test_fast_weights() {
  make_net
  start_backends
  write_config <<END
services:
  - name: web
    vip: $vip:80
    backends:
      - {address: 10.2.1.2, port: 8080, weight: 1}
      - {address: 10.2.2.2, port: 8080, weight: 2}
      - {address: 10.2.3.2, port: 8080, weight: 5}
  - name: dns6
    protocol: udp
    vip: "[$vip6]:53"
    backends:
      - {address: "fd00:2:1::2", port: 5300, weight: 3}
      - {address: "fd00:2:2::2", port: 5300, weight: 1}
      - {address: "fd00:2:3::2", port: 5300, weight: 0}
END
  load_and_apply
  # five standard deviations of 1600 draws, and 2 % for the table: be1 200 +- 70, be2 400 +- 95
  ask c1 --tcp "$vip:80" --requests 1600 --concurrency 16
  assert_between "$(value "$output" "backend be1")" 130 270
  assert_between "$(value "$output" "backend be2")" 305 495
  assert_between "$(value "$output" "backend be3")" 895 1105
  ask c1 --udp "[$vip6]:53" --requests 1600 --concurrency 16
  assert_between "$(value "$output" "backend be1")" 1100 1300
  assert_between "$(value "$output" "backend be2")" 300 500
  assert_eq "$(value "$output" "backend be3")" 0
}

# it balances many clients, each with one backend for each of its ports
test_fast_sources() {
  local address first
  make_net
  add_client c2 1
  add_sources c1 10.9.0.0/24 10.1.0.2
  weir_up
  ask c2 --tcp "$vip:80" --requests 30 --check-client
  assert_everybody_served
  ask c1 --tcp "$vip:80" --requests 200 --source 10.9.0.1-200 --source-port 7777 --check-client
  assert_everybody_served
  # the same addresses and port choose the same backend again
  ask c1 --udp "$vip:53" --requests 1 --source 10.9.0.9 --source-port 5555
  first=$(grep '^backend' <<<"$output")
  ask c1 --udp "$vip:53" --requests 5 --source 10.9.0.9 --source-port 5555
  assert_eq "$(grep '^backend' <<<"$output" | sed 's/ [0-9]*$//')" "${first% *}"
}

# it passes fragments by: a datagram larger than the MTU reaches no backend and does not loop
test_fast_fragments() {
  local address
  make_net
  weir_up
  for address in "$vip" "[$vip6]"; do
    assert_fails on c1 load --udp "$address:53" --size 4000 --requests 2 --timeout 200
    assert_eq "$(value "$output" timeout)" 2 "$output"
  done
  # three fragments each: passed as they come in, dropped where routing brings them to weir1
  assert_outcome PASS_FRAGMENT 12 30
  assert_outcome DROP_FROM_NODE 12 30
  assert_eq "$(stat_of dns forward_packets)" 0
  ask c1 --udp "$vip:53" --size 1400
}

# it lets a client close its half and still get the answer
test_fast_half_closed() {
  local i address sockets=$repository/tests/netns/sockets.py
  make_net
  weir_up
  for i in 1 2 3; do
    start "half$i" "b$i" "$python" "$sockets" serve-half-closed 9000 300000
    wait_for "grep -qx ready '$LOGS/half$i'"
  done
  write_config <<END
services:
  - {name: half, vip: "$vip:90", backends: $(list_backends "$backend4" 9000)}
  - {name: half6, vip: "[$vip6]:90", backends: $(list_backends "[$backend6]" 9000)}
END
  apply
  for address in "$vip" "$vip6"; do
    assert_eq "$(on c1 "$python" "$sockets" half-close "$address" 90 50000)" \
      "sent 50000 got 300000"
  done
}

# it hands on a client's abort and a server's reset, and the peer is the VIP
test_fast_resets() {
  local i address sockets=$repository/tests/netns/sockets.py
  make_net
  backends=(1)
  start aborted b1 "$python" "$sockets" serve-abort 9000
  start resetting b1 "$python" "$sockets" serve-reset 9001
  wait_for "grep -qx ready '$LOGS/aborted' && grep -qx ready '$LOGS/resetting'"
  write_config <<END
services:
  - {name: aborted, vip: "$vip:90", backends: $(list_backends "$backend4" 9000)}
  - {name: aborted6, vip: "[$vip6]:90", backends: $(list_backends "[$backend6]" 9000)}
  - {name: reset, vip: "$vip:91", backends: $(list_backends "$backend4" 9001)}
  - {name: reset6, vip: "[$vip6]:91", backends: $(list_backends "[$backend6]" 9001)}
END
  load_and_apply
  i=0
  for address in "$vip" "$vip6"; do
    assert_eq "$(on c1 "$python" "$sockets" abort "$address" 90)" "peer $address 90"
    wait_for "[[ \$(grep -cx reset '$LOGS/aborted') == $((++i)) ]]"
    assert_eq "$(on c1 "$python" "$sockets" read "$address" 91)" "reset by $address 91"
  done
}

# Counters of what arrives, on a client or a backend.
count_arrivals() { # NAMESPACE
  nft_on "$1" <<'END'
table inet test {
  counter ttl { }
  counter ttl_other { }
  counter marked { }
  counter marked_other { }
  chain input {
    type filter hook input priority 0
    meta l4proto { icmp, ipv6-icmp } accept
    ip ttl 63 counter name ttl
    ip6 hoplimit 63 counter name ttl
    ip ttl != 63 counter name ttl_other
    ip6 hoplimit != 63 counter name ttl_other
    ip dscp ef ip ecn ect0 counter name marked
    ip6 dscp ef ip6 ecn ect0 counter name marked
    ip dscp != ef counter name marked_other
    ip6 dscp != ef counter name marked_other
    ip ecn != ect0 counter name marked_other
    ip6 ecn != ect0 counter name marked_other
  }
  chain output {
    type filter hook output priority 0
    ip dscp set ef ip ecn set ect0
    ip6 dscp set ef ip6 ecn set ect0
  }
}
END
}

check_headers() { # PATH
  local namespace
  make_net
  weir_up "path: $1"
  for namespace in c1 b1 b2 b3; do
    count_arrivals "$namespace"
  done
  ask_usual c1
  for namespace in c1 b1 b2 b3; do
    assert_eq "$(counted "$namespace" ttl_other)" 0 "$namespace: packets of another TTL than 63"
    assert_eq "$(counted "$namespace" marked_other)" 0 "$namespace: packets of other DSCP or ECN"
    assert_between "$(counted "$namespace" ttl)" 50 5000
    assert_eq "$(counted "$namespace" marked)" "$(counted "$namespace" ttl)"
  done
  assert_no_bad_packets
}

# it lowers the TTL by one each way and preserves DSCP and ECN
test_fast_headers() {
  check_headers fast
}

# it lowers the TTL by one each way and preserves DSCP and ECN with path: stack
test_stack_headers() {
  check_headers stack
}

# it leaves TCP options to the ends: window scale, timestamps, selective acknowledgement
test_fast_tcp_options() {
  local address client server
  make_net
  backends=(1)
  weir_up
  for address in "$vip" "[$vip6]"; do
    hold held c1 --tcp "$address:80" --hold 1
    client=$(on c1 ss -Htino state established dst "$address")
    server=$(on b1 ss -Htino state established sport = :8080)
    for text in "$client" "$server"; do
      assert_contains "$text" " ts "
      assert_contains "$text" " sack "
      assert_contains "$text" "wscale:"
      assert_contains "$text" "mss:"
    done
    assert_contains "$client" "$address:80"
    survivors held
    assert_eq "$(value "$output" survived)" 1
  done
}

# it serves every port of a VIP, and a service of its own at one of them
test_fast_any_port() {
  local i address port
  make_net
  for i in 1 2 3; do
    start_backend "b$i" "be$i" --tcp 0.0.0.0:9000-9003 --tcp '[::]:9000-9003' \
      --udp 0.0.0.0:9000-9003 --udp '[::]:9000-9003'
  done
  write_config <<END
services:
  - {name: all, vip: "$vip:*", backends: [10.2.1.2, 10.2.2.2, 10.2.3.2]}
  - {name: all6, vip: "[$vip6]:*", backends: ["[fd00:2:1::2]", "[fd00:2:2::2]", "[fd00:2:3::2]"]}
  - {name: udp, protocol: udp, vip: "$vip:*", backends: [10.2.1.2, 10.2.2.2, 10.2.3.2]}
  - {name: udp6, protocol: udp, vip: "[$vip6]:*", backends: ["[fd00:2:1::2]", "[fd00:2:3::2]"]}
  - {name: one, vip: "$vip:9002", backends: ["10.2.1.2:9003"]}
END
  load_and_apply
  for address in "$vip" "[$vip6]"; do
    for port in 9000 9001 9003; do
      ask c1 --tcp "$address:$port" --requests 30 --check-client
      assert_everybody_served
      ask c1 --udp "$address:$port" --requests 30 --check-client
    done
    ask n --tcp "$address:9001" --requests 10
    assert_refused c1 --tcp "$address:9009" # by the backends' own kernels
  done
  ask c1 --tcp "$vip:9002" --requests 30
  assert_eq "$(value "$output" "backend be1")" 30
  # one client port to two ports of the VIP at once is two flows
  hold held c1 --tcp "$vip:9000" --hold 1 --source-port 7777
  ask c1 --tcp "$vip:9001" --requests 5 --source-port 7777
  survivors held
  assert_eq "$(value "$output" survived)" 1
  assert_no_drops
  assert_no_bad_packets
}

# it is unimpressed by strict rp_filter and a firewall that would forward nothing
test_fast_careful() {
  make_net
  weir_up
  nft_on n <<'END'
table inet closed {
  chain forward {
    type filter hook forward priority 0; policy drop
    counter
  }
}
END
  set_strict_rp_filter
  ask_usual c1
  ask_large c1 1000000
  assert_contains "$(on n nft list table inet closed)" "packets 0 "
}

# it leaves a datagram without a checksum as it is
test_fast_no_checksum() {
  make_net
  weir_up
  count_unchecked c1
  for i in 1 2 3; do
    count_unchecked "b$i"
  done
  on c1 "$python" "$repository/tests/netns/sockets.py" datagram "$vip" 53 100 no-checksum \
    >"$LOGS/datagram"
  assert_eq "$(($(counted b1 unchecked) + $(counted b2 unchecked) + $(counted b3 unchecked)))" 1
  assert_eq "$(counted c1 unchecked)" 0
  assert_no_bad_packets
}

count_unchecked() { # NAMESPACE
  nft_on "$1" <<'END'
table inet test {
  counter unchecked { }
  chain input {
    type filter hook input priority 0
    udp checksum 0 counter name unchecked
  }
}
END
}
