# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# interfaces.sh - the programs at the hooks: one each, on interfaces that come and go.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

# it has one program at each hook, however often the file is applied
test_interface_once() {
  make_net
  weir_up
  assert_attached tcx wl0 up1 up2 up3 weir1
  apply
  apply
  weir_on n load "$LOGS/weir.yaml"
  apply
  assert_attached tcx wl0 up1 up2 up3 weir1
  ask_usual c1
  # an interface that the file no longer names is left alone
  sed -i 's/match: up\*/match: "up[12]"/' "$LOGS/weir.yaml"
  apply
  assert_attached tcx wl0 up1 up2 weir1
  weir_on n unload
  assert_eq "$(attached_programs)" ""
}

# it attaches to interfaces that come anew at the next apply
test_interface_anew() {
  make_net
  weir_up
  hold held c1 --tcp "$vip:80" --hold 20
  ip_n n link del up3
  ip netns del "$NET-b3" # its processes go on to the end of the test
  add_host b3 up3 10.2.3 fd00:2:3:
  add_client c2 1
  wait_for_lab b3:10.2.3 c2:10.1.1
  pids[be3_old]=${pids[be3]}
  start_backend b3 be3
  apply
  assert_attached tcx wl0 wl1 up1 up2 up3 weir1
  ask_usual c1
  ask_usual c2
  apply
  assert_attached tcx wl0 wl1 up1 up2 up3 weir1
  kill -KILL "${pids[be3_old]}"
  survivors held
  assert_between "$(value "$output" survived)" 2 20
}

# it works with clsact filters too, beside those of others, and takes its own away
test_interface_clsact() {
  make_net
  start_backends
  on n tc qdisc add dev wl0 clsact
  on n tc filter add dev wl0 ingress prio 5 protocol ip u32 match ip src 192.0.2.1 classid 1:1
  write_config 'hook: clsact' < <(usual_services)
  load_and_apply
  assert_eq "$(attached_programs | sed 's/ [0-9]*$//' | grep -v weir1 | sort)" "$(
    for i in up1 up2 up3 wl0; do
      printf '%s egress clsact\n%s ingress clsact\n' $i $i
    done
  )"
  ask_usual c1
  ask_usual n
  ask_large c1 5000000
  apply
  weir_on n load "$LOGS/weir.yaml"
  apply
  assert_eq "$(attached_programs | grep -c clsact)" 8
  ask_usual c1
  assert_no_drops
  assert_no_bad_packets
  weir_on n unload
  assert_eq "$(attached_programs)" ""
  assert_contains "$(on n tc filter show dev wl0 ingress)" "pref 5 u32" "another's filter"
}

# it changes from clsact to tcx and back under load, never both at once
test_interface_hook_switch() {
  make_net
  start_backends
  write_config 'hook: clsact' < <(usual_services)
  load_and_apply
  start_load traffic c1 --tcp "$vip:80" --concurrency 4 --keepalive 10 --rate 500
  write_config 'hook: tcx' < <(usual_services)
  apply
  assert_attached tcx wl0 up1 up2 up3 weir1
  write_config 'hook: clsact' < <(usual_services)
  apply
  assert_eq "$(attached_programs | grep -c clsact)" 8
  assert_eq "$(attached_programs | grep -v weir1 | grep -c tcx || true)" 0
  ask_usual c1
  release traffic
}

# it tells an interface that is not there, and one that cannot carry programs
test_interface_missing() {
  make_net
  start_backends
  {
    echo 'interfaces: [{match: lo, role: workload}]'
    usual_services
  } >"$LOGS/weir.yaml"
  weir_on n load "$LOGS/weir.yaml"
  assert_fails apply
  assert_contains "$output" lo
  assert_fails ip_n n route show table local dev nosuch
}
