# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# limits.sh - full tables, floods, and counters that are exact.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

# The usual services with further lines at the top of the file.
weir_up_with() { # LINE...
  { printf '%s\n' "$@" && usual_services; } | write_config
  start_backends
  load_and_apply
}

# it serves more connections than the flow table holds: the rest spill
test_limit_spill() {
  local address service=web
  make_net
  weir_up_with 'limits: {flows: 1024}'
  for address in "$vip" "[$vip6]"; do
    hold held c1 --tcp "$address:80" --hold 3000 --concurrency 200
    ask c1 --tcp "$address:80" --requests 100
    survivors held
    assert_eq "$(value "$output" survived) $(value "$output" failed)" "3000 0" "$output"
    assert_eq "$(stat_of $service opened)" 3100
    service=web6
  done
  assert_between "$(internal FLOW_SPILLED)" 4152 4400
  assert_eq "$(internal FLOW_UNTRACKED)" 0
  ask_usual c1
  assert_no_drops
}

# it counts what it cannot track when the spill map is full too, and what it knows goes on
test_limit_untracked() {
  local port
  make_net
  add_sources c1 10.9.0.0/24 10.1.0.2
  weir_up_with 'limits: {flows: 1024}'
  hold held c1 --tcp "$vip:80" --hold 50
  # 1024 flows in the table and 8192 beside it; replies to the 9728 - 9166 others stay untranslated
  for port in {7001..7038}; do
    on c1 load --udp "$vip:53" --source 10.9.0.0-255 --source-port "$port" --requests 256 \
      --concurrency 256 --timeout 50 >>"$LOGS/flows" 2>&1 || true
  done
  assert_eq "$(internal FLOW_SPILLED)" 8192
  assert_between "$(internal FLOW_UNTRACKED)" 500 600
  survivors held
  assert_eq "$(value "$output" survived)" 50
}

# it keeps open connections through a flood of SYNs from random addresses
test_limit_syn_flood() {
  make_net
  add_sources c1 11.0.0.0/8 10.1.0.2
  # the flood's SYN-ACKs end at the client, which answers none of them
  nft_on c1 <<'END'
table ip flood {
  chain input {
    type filter hook input priority 0
    ip daddr 11.0.0.0/8 drop
  }
}
END
  weir_up_with 'limits: {flows: 1024}'
  hold held c1 --tcp "$vip:80" --hold 50
  start flood c1 "$python" "$repository/tests/netns/sockets.py" syn-flood "$vip" 80 20000
  ask c1 --tcp "$vip:80" --requests 100 --concurrency 4
  finish flood
  assert_contains "$(cat "$LOGS/flood")" "sent 20000"
  assert_between "$(internal FLOW_EVICTED)" 10000 21000
  assert_between "$(stat_of web chosen)" 19000 21000
  assert_between "$(stat_of web opened)" 150 150
  survivors held
  assert_eq "$(value "$output" survived)" 50
}

# The gauge says 0 when the sweep has seen that all is over; opened is exact.
wait_idle() { # SERVICE...
  local service
  for service; do
    wait_for "((\$(stat_of $service active) == 0))" 20
    assert_eq "$(stat_of "$service" closed)" \
      "$(($(stat_of "$service" opened) + $(stat_of "$service" revived)))" "$service: closed"
  done
}

# it counts connections exactly, however they end, and none as open once they are over
test_count_connections() {
  local sockets=$repository/tests/netns/sockets.py
  make_net
  weir_up_with 'timeouts: {closing: 1s, unproven: 1s, udp: 1s, udp_unanswered: 1s, closed: 1s}'
  hold held c1 --tcp "$vip:80" --hold 20
  assert_eq "$(stat_of web active) $(stat_of web opened)" "20 20"
  survivors held
  assert_eq "$(value "$output" survived)" 20
  on c1 "$python" "$sockets" closes "$vip" 80 10
  on c1 "$python" "$sockets" closes "$vip6" 80 10
  ask n --tcp "[$vip6]:80" --requests 10
  ask c1 --udp "$vip:53" --requests 25
  ask c1 --udp "[$vip6]:53" --requests 25 --same-socket
  assert_eq "$(stat_of web opened) $(stat_of web chosen)" "50 50"
  assert_eq "$(stat_of web6 opened) $(stat_of web6 chosen)" "40 40"
  assert_eq "$(stat_of dns opened) $(stat_of dns chosen)" "25 25"
  assert_eq "$(stat_of dns6 opened) $(stat_of dns6 chosen)" "1 1"
  wait_idle web web6 dns dns6
  assert_eq "$(stat_of web opened) $(stat_of web6 opened)" "50 40"
}

# Packets and IP bytes that a host has received from the other end: "PACKETS BYTES".
count_arrived() { # NAMESPACE
  on "$1" nft list counter inet test arrived | awk '/packets/ { print $2, $4 }'
}

# What weir counted for two services together, in the same form.
count_by_weir() { # forward|reply SERVICE SERVICE
  echo "$(($(stat_of "$2" "$1_packets") + $(stat_of "$3" "$1_packets")))" \
    "$(($(stat_of "$2" "$1_bytes") + $(stat_of "$3" "$1_bytes")))"
}

check_path_counts() { # PATH
  local namespace before_in before_out segments_in segments_out
  make_net
  backends=(1)
  weir_up "path: $1"
  for namespace in c1 b1; do
    nft_on "$namespace" <<'END'
table inet test {
  counter arrived { }
  chain input {
    type filter hook input priority 0
    udp dport 5300 counter name arrived
    udp sport 53 counter name arrived
    tcp dport 8080 counter name arrived
    tcp sport 80 counter name arrived
  }
}
END
  done
  ask c1 --udp "$vip:53" --requests 50 --size 100
  ask c1 --udp "[$vip6]:53" --requests 50 --size 1000
  assert_between "$(stat_of dns forward_packets)" 50 50
  assert_between "$(stat_of dns6 reply_packets)" 50 50
  assert_eq "$(count_by_weir forward dns dns6)" "$(count_arrived b1)" "UDP forward"
  assert_eq "$(count_by_weir reply dns dns6)" "$(count_arrived c1)" "UDP replies"

  # one packet for each segment
  for namespace in c1 b1; do
    on "$namespace" nft reset counters >"$LOGS/nft"
    on "$namespace" ethtool -K eth0 tso off gso off >"$LOGS/ethtool"
  done
  ask_large c1 200000
  wait_for '[[ $(count_by_weir forward web web6) == "$(count_arrived b1)" ]]'
  wait_for '[[ $(count_by_weir reply web web6) == "$(count_arrived c1)" ]]'

  # a packet of many segments is as many packets
  for namespace in c1 b1; do
    on "$namespace" ethtool -K eth0 tso on gso on >"$LOGS/ethtool"
  done
  before_in=$(stat_of web forward_packets) before_out=$(stat_of web reply_packets)
  on b1 nft reset counters >"$LOGS/nft"
  segments_in=$(segments c1) segments_out=$(segments b1)
  ask c1 --tcp "$vip:80" --path /echo --size 2000000
  wait_for "((\$(stat_of web forward_packets) - before_in == \$(segments c1) - segments_in))"
  wait_for "((\$(stat_of web reply_packets) - before_out == \$(segments b1) - segments_out))"
  assert_between $(($(stat_of web forward_packets) - before_in)) 1400 3000
  assert_between "$(count_arrived b1 | cut -d' ' -f1)" 1 1300 "packets: no offload in the lab?"
}

# TCP segments that a kernel has sent; those it receives it does not count one by one.
segments() { # NAMESPACE
  on "$1" nstat -asz TcpOutSegs | awk '/^TcpOutSegs/ { print $2 }'
}

# it counts packets and bytes as on the wire, large segments too
test_count_fast() {
  check_path_counts fast
}

# it counts the same packets and bytes through the stack
test_count_stack() {
  check_path_counts stack
}
