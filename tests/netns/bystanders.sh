# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# bystanders.sh - what is not ours passes unchanged.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

# it lets clients reach backends directly: TCP, UDP, ping and fragments, over IPv4 and IPv6
test_bystander_direct() {
  local i address
  make_net
  weir_up
  set_gro on
  for i in 1 2 3; do
    for address in "10.2.$i.2" "fd00:2:$i::2"; do
      on c1 ping -nqc1 -W1 "$address" >"$LOGS/ping"
      on c1 ping -nqc1 -W1 -s 4000 "$address" >"$LOGS/ping"
      # a datagram of several fragments, and an answer of as many
      on c1 "$python" "$repository/tests/netns/sockets.py" datagram "$address" 5300 6000 \
        >"$LOGS/datagram"
      [[ $address != *:* ]] || address="[$address]"
      ask c1 --tcp "$address:8080" --requests 10 --check-client
      assert_eq "$(value "$output" "backend be$i")" 10
      ask c1 --udp "$address:5300" --requests 10 --check-client
      assert_eq "$(value "$output" "backend be$i")" 10
      ask c1 --tcp "$address:8080" --path /bytes/3000000
      ask n --tcp "$address:8080" --requests 10 --check-client
    done
  done
  assert_outcome PASS_FRAGMENT 30
  assert_outcome PASS_NO_FLOW 100
  assert_outcome PASS_PROTOCOL 12
  assert_eq "$(outcome FORWARDED) $(outcome REPLIED) $(outcome REPLIED_STACK)" "0 0 0"
  assert_no_drops
  assert_no_bad_packets
}

# it lets backends talk to clients and to each other
test_bystander_others() {
  local namespace
  make_net
  weir_up
  start_backend c1 client
  ask b1 --tcp 10.1.0.2:8080 --requests 10 --check-client
  ask b1 --udp '[fd00:1::2]:5300' --requests 10 --check-client
  ask b1 --tcp '[fd00:2:2::2]:8080' --requests 10 --check-client
  stop_backend be1
  ask b1 --tcp 10.2.3.2:8080 --requests 10 --source-port 8080 # a backend's own end as a client
  assert_eq "$(outcome FORWARDED) $(outcome REPLIED) $(outcome REPLIED_STACK)" "0 0 0"
  assert_no_drops
}

# it leaves tagged frames and frames for other hosts alone, though they ask for a VIP
test_bystander_frames() {
  local sockets=$repository/tests/netns/sockets.py gateway before
  make_net
  weir_up
  gateway=$(ip_n n -o link show wl0 | sed 's/.* link.ether \([^ ]*\).*/\1/')
  on c1 "$python" "$sockets" frame eth0 "$gateway" "$vip" 53 7 # sanity: this one is served
  wait_for '(($(stat_of dns reply_packets) == 1))'
  on c1 "$python" "$sockets" frame eth0 "$gateway" "$vip" 53 8 5
  wait_for '(($(outcome PASS_VLAN) == 1))'
  before=$(outcome PASS_OTHER_HOST)
  on c1 "$python" "$sockets" frame eth0 02:00:00:00:00:99 "$vip" 53 9
  wait_for "((\$(outcome PASS_OTHER_HOST) > $before))"
  assert_eq "$(stat_of dns chosen)" 1
}

# it leaves a client's TTL-limited probes to the stack, which answers them
test_bystander_ttl() {
  make_net
  weir_up
  nft_on c1 <<'END'
table inet test {
  counter exceeded { }
  chain output {
    type filter hook output priority 0
    tcp dport 80 ip ttl set 1
    tcp dport 80 ip6 hoplimit set 1
  }
  chain input {
    type filter hook input priority 0
    icmp type time-exceeded counter name exceeded
    icmpv6 type time-exceeded counter name exceeded
  }
}
END
  assert_fails on c1 load --tcp "$vip:80" --timeout 200
  wait_for '(($(counted c1 exceeded) >= 1))'
  on c1 nft reset counters >"$LOGS/nft"
  assert_fails on c1 load --tcp "[$vip6]:80" --timeout 200
  wait_for '(($(counted c1 exceeded) >= 1))'
  assert_outcome PASS_TTL 2
}
