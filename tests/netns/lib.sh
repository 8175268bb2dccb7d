# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash
#
# lib.sh - what a namespace test may use: the lab, commands in it, waiting, asserting.
#
# `run` starts one bash for each test, which reads this file, then the test's file, and calls the
# test. It exports NET (the prefix of our namespaces), WEIR_ROOT (our pins), LOGS (a directory
# for logs). Everything that a test starts must run inside a namespace (on, start): `run` ends
# what is left there, removes the namespaces and the pins, however the test ended.
#
# make_net:                                            make_bridge, one subnet 10.3.0.0/24:
#
#   c1 10.1.0.2 --- wl0 [      ] up1 --- 10.2.1.2 b1     c1 10.3.0.2  --- wl0 [ n:  ]
#      fd00:1::2        [  n   ]         fd00:2:1::2     b1 10.3.0.11 --- up1 [ br0 ] 10.3.0.1
#   c2 10.1.1.2 --- wl1 [      ] up2 --- 10.2.2.2 b2     b2 10.3.0.12 --- up2 [     ] fd00:3::1
#      (add_client)     [ .1,  ]         fd00:2:2::2     b3 10.3.0.13 --- up3 [     ]
#                       [ ::1  ] up3 --- 10.2.3.2 b3        fd00:3::2, ::11, ::12, ::13
#                                        fd00:2:3::2
#
# Every other end of a veth is `eth0`; n is everybody's gateway. GRO is as the kernel makes veths
# (off); `set_gro on` changes it.

set -Eeuo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$repository/build/tools
weir=${WEIR:-$repository/build/weir}
PATH=$repository/build:$tools:$PATH
declare -A pids=()

# --- the end of a test ------------------------------------------------------------------------

fail() {
  trap - ERR
  exec >&2
  printf '%s\n' "$@"
  local i
  for ((i = 1; i < ${#FUNCNAME[@]}; i++)); do
    case ${FUNCNAME[i]} in
      test_*) printf 'at %s:%s\n' "${BASH_SOURCE[i]}" "${BASH_LINENO[i - 1]}" ;;
    esac
  done
  exit 1
}

# The test needs something that this machine lacks.
skip() {
  printf '%s' "$*" >"$LOGS/skip"
  exit 77
}

trap 'fail "command failed ($?): $BASH_COMMAND"' ERR

assert_eq() { # GOT WANTED [WHAT]
  [[ $1 == "$2" ]] || fail "${3:-values differ}" "  got:    $1" "  wanted: $2"
}

assert_contains() { # TEXT PART [WHAT]
  [[ $1 == *"$2"* ]] || fail "${3:-text lacks a part}" "  got:    $1" "  wanted: $2"
}

assert_lacks() { # TEXT PART [WHAT]
  [[ $1 != *"$2"* ]] || fail "${3:-text has a part too many}" "  got:      $1" "  unwanted: $2"
}

assert_between() { # GOT MIN MAX [WHAT]; whole numbers
  if ! [[ $1 =~ ^-?[0-9]+$ ]] || (($1 < $2 || $1 > $3)); then
    fail "${4:-number out of range}" "  got:    $1" "  wanted: $2 to $3"
  fi
}

# The command must fail; its output is left in $output. No subshell: it may be `finish`.
assert_fails() { # COMMAND...
  local status=0
  "$@" >"$LOGS/.fails" 2>&1 || status=$?
  output=$(<"$LOGS/.fails")
  ((status)) || fail "succeeded, should fail: $*" "$output"
}

# Poll until the command succeeds; the only way to wait.
wait_for() { # COMMAND [SECONDS]
  local deadline=$((${EPOCHREALTIME/[.,]/} + ${2:-5} * 1000000))
  until eval "$1" >/dev/null 2>&1; do
    ((${EPOCHREALTIME/[.,]/} < deadline)) || fail "not within ${2:-5} s: $1"
    sleep 0.02
  done
}

# --- commands in a namespace ------------------------------------------------------------------

on() { # NAMESPACE COMMAND...
  "$tools/in-netns" "$NET-$1" "${@:2}"
}

# weir inside a namespace; the pins are those of this test.
weir_on() { # NAMESPACE ARGUMENT...
  on "$1" "$weir" "${@:2}"
}

# In the background, output in $LOGS/NAME; see finish.
start() { # NAME NAMESPACE COMMAND...
  : >"$LOGS/$1" # here, not in the child: who waits for a line must not see an earlier one's
  "$tools/in-netns" "$NET-$2" "${@:3}" >"$LOGS/$1" 2>&1 </dev/null &
  pids[$1]=$!
}

# Wait for the end of what start began; its exit status.
finish() { # NAME
  local pid=${pids[$1]}
  unset "pids[$1]"
  wait "$pid"
}

# Send a signal to what start began (default TERM).
signal() { # NAME [SIGNAL]
  kill "-${2:-TERM}" "${pids[$1]}"
}

# tools/backend; without listeners named: port 8080 and UDP 5300, both families, every address.
start_backend() { # NAMESPACE NAME [ARGUMENT...]
  local namespace=$1 name=$2
  shift 2
  (($#)) || set -- --tcp 0.0.0.0:8080 --tcp '[::]:8080' --udp 0.0.0.0:5300 --udp '[::]:5300'
  start "$name" "$namespace" "$tools/backend" --name "$name" "$@"
  wait_for "grep -qx ready '$LOGS/$name' || ! kill -0 ${pids[$name]}"
  grep -qx ready "$LOGS/$name" || fail "backend $name did not start: $(cat "$LOGS/$name")"
}

# Ends it, its sockets closed; prints "served tcp N udp M". No `wait`, so that it may stand in $( ).
stop_backend() { # NAME
  signal "$1"
  wait_for "grep -q '^State:.Z' /proc/${pids[$1]}/status || [[ ! -e /proc/${pids[$1]} ]]"
  grep '^served' "$LOGS/$1"
}

# The value of a key in the output of tools/load; a backend's count as "backend be1", absent 0.
value() { # TEXT KEY
  awk -v key="$2 " 'index($0, key) == 1 { print $NF; found = 1 } END { if (!found) print 0 }' \
    <<<"$1"
}

# --- the lab ----------------------------------------------------------------------------------

ip_n() { # NAMESPACE ARGUMENT...
  ip -n "$NET-$1" "${@:2}"
}

# A namespace with its loopback up and no DAD, in which anything would have to wait a second.
add_namespace() { # NAME
  ip netns add "$NET-$1"
  on "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
    net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
  ip_n "$1" link set lo up
}

add_node() {
  add_namespace n
  on n sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
}

# A namespace behind its own veth, both subnets' .1 and ::1 on the node's end.
add_host() { # NAME NODE_INTERFACE SUBNET4 SUBNET6, as in: add_host b1 up1 10.2.1 fd00:2:1:
  add_namespace "$1"
  ip_n n -batch - <<END
link add $2 type veth peer name eth0 netns $NET-$1
addr add $3.1/24 dev $2
addr add $4:1/64 dev $2 nodad
link set $2 up
END
  ip_n "$1" -batch - <<END
addr add $3.2/24 dev eth0
addr add $4:2/64 dev eth0 nodad
link set eth0 up
route add default via $3.1
route add default via $4:1
END
}

# One more client: add_client c2 1 is 10.1.1.2 and fd00:1:1::2 behind wl1.
add_client() { # NAME NUMBER
  add_host "$1" "wl$2" "10.1.$2" "fd00:1:$2:"
}

# More source addresses: the whole prefix is the client's, as are its sockets bound there.
add_sources() { # CLIENT PREFIX GATEWAY, as in: add_sources c1 10.9.0.0/24 10.1.0.2
  ip_n "$1" route add local "$2" dev lo
  ip_n n route add "$2" via "$3"
}

set_gro() { # on|off
  local interface namespace
  for namespace in $(namespaces); do
    for interface in $("$tools/in-netns" "$namespace" ip -o link show type veth |
      sed 's/^[0-9]*: \([^@]*\)@.*/\1/'); do
      "$tools/in-netns" "$namespace" ethtool -K "$interface" gro "$1"
    done
  done
}

make_net() {
  local i
  add_node
  add_client c1 0
  for i in 1 2 3; do
    add_host "b$i" "up$i" "10.2.$i" "fd00:2:$i:"
  done
  wait_for_lab c1:10.1.0 b1:10.2.1 b2:10.2.2 b3:10.2.3
}

add_port() { # NAME NODE_INTERFACE LAST_PART
  add_namespace "$1"
  ip_n n -batch - <<END
link add $2 type veth peer name eth0 netns $NET-$1
link set $2 master br0 up
END
  ip_n "$1" -batch - <<END
addr add 10.3.0.$3/24 dev eth0
addr add fd00:3::$3/64 dev eth0 nodad
link set eth0 up
route add default via 10.3.0.1
route add default via fd00:3::1
END
}

make_bridge() {
  local i
  add_node
  ip_n n -batch - <<END
link add br0 type bridge
addr add 10.3.0.1/24 dev br0
addr add fd00:3::1/64 dev br0 nodad
link set br0 up
END
  add_port c1 wl0 2
  for i in 1 2 3; do
    add_port "b$i" "up$i" "1$i"
  done
  wait_for_lab c1:10.3.0 b1:10.3.0 b2:10.3.0 b3:10.3.0
}

# Carrier and addresses come a moment after `link set up`: wait until each host hears its gateway.
wait_for_lab() { # NAME:SUBNET4...
  local host
  for host; do
    wait_for "on ${host%%:*} ping -nqc1 -W1 ${host#*:}.1"
    wait_for "on ${host%%:*} ping -nqc1 -W1 \$(on ${host%%:*} ip -6 route show default |
      awk '{ print \$3; exit }')"
  done
}

# --- for run ----------------------------------------------------------------------------------

namespaces() { # full names
  ip netns list | awk -v prefix="$NET-" 'index($1, prefix) == 1 { print $1 }'
}

# What a failed test leaves to look at.
dump_state() {
  local log
  if [[ -x $weir && -e $WEIR_ROOT ]]; then
    weir_on n status || true
    weir_on n outcomes || true
  fi
  for log in "$LOGS"/*; do
    [[ -s $log ]] && printf -- '--- last of %s\n' "${log##*/}" && tail -n 10 "$log"
  done
  return 0
}

# Ends what still runs in our namespaces, removes them and the pins. May be called at any time.
clean_net() {
  local namespace pid
  for namespace in $(namespaces); do
    for pid in $(ip netns pids "$namespace"); do
      kill -KILL "$pid" 2>/dev/null || true
    done
    ip netns del "$namespace" || true
  done
  rm -rf "$WEIR_ROOT"
}
