# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# changes.sh - what an operator does while traffic goes on, and what may happen to it then.

# shellcheck source=tests/netns/lib_weir.sh
. "$repository/tests/netns/lib_weir.sh"

# Mixed traffic of new and kept connections, TCP and UDP, both families; see end_traffic.
start_traffic() {
  start_load traffic4 c1 --tcp "$vip:80" --concurrency 4 --rate 400
  start_load traffic6 c1 --tcp "[$vip6]:80" --concurrency 4 --keepalive 10 --rate 400
  start_load traffic_dns c1 --udp "$vip:53" --concurrency 2 --rate 200
  start_load traffic_dns6 c1 --udp "[$vip6]:53" --concurrency 2 --rate 200
}

# None may have failed.
end_traffic() {
  local name
  for name in traffic4 traffic6 traffic_dns traffic_dns6; do
    release "$name"
    assert_between "$(value "$output" ok)" 20 1000000 "$name"
  done
}

# it drains a backend under load: no request fails, held connections go on, new ones go elsewhere
test_change_drain() {
  make_net
  weir_up
  start_traffic
  hold held c1 --tcp "$vip:80" --hold 30
  weir_on n backend drain web 10.2.3.2:8080
  weir_on n backend drain web6 "[fd00:2:3::2]:8080"
  ask c1 --tcp "$vip:80" --requests 60 --concurrency 4
  assert_eq "$(value "$output" "backend be3")" 0
  ask c1 --tcp "[$vip6]:80" --requests 60 --concurrency 4
  assert_eq "$(value "$output" "backend be3")" 0
  survivors held
  assert_eq "$(value "$output" survived)" 30
  assert_between "$(value "$output" "backend be3")" 1 60
  weir_on n backend undrain web 10.2.3.2:8080
  ask c1 --tcp "$vip:80" --requests 60
  assert_everybody_served
  end_traffic
}

# it removes a backend under load: connections go on until drain_timeout, then get a RST
test_change_remove() {
  local begin
  make_net
  weir_up 'drain_timeout: 1s'
  start_traffic
  hold early c1 --tcp "$vip:80" --hold 30
  hold late c1 --tcp "$vip:80" --hold 30
  weir_on n backend remove web 10.2.3.2:8080
  begin=${EPOCHREALTIME/[.,]/}
  ask c1 --tcp "$vip:80" --requests 60 --concurrency 4
  assert_eq "$(value "$output" "backend be3")" 0
  survivors early
  ((${EPOCHREALTIME/[.,]/} - begin < 900000)) || skip "too slow a machine"
  assert_eq "$(value "$output" survived)" 30
  assert_between "$(value "$output" "backend be3")" 2 60
  end_traffic
  while ((${EPOCHREALTIME/[.,]/} - begin < 1020000)); do sleep 0.02; done
  survivors late
  assert_between "$(value "$output" reset)" 1 29
  assert_eq "$(value "$output" failed)" "$(value "$output" reset)" "$output"
  assert_outcome REFUSED_GONE 1
}

# it ends the connections of a backend that is removed with --now by a RST, at once
test_change_remove_now() {
  make_net
  weir_up
  hold held c1 --tcp "$vip:80" --hold 30
  hold held6 c1 --tcp "[$vip6]:80" --hold 30
  hold held_node n --tcp "$vip:80" --hold 30
  weir_on n backend remove web 10.2.2.2:8080 --now
  weir_on n backend remove web6 "[fd00:2:2::2]:8080" --now
  for name in held held6 held_node; do
    survivors "$name"
    assert_between "$(value "$output" reset)" 1 29
    assert_eq "$(value "$output" failed)" "$(value "$output" reset)" "$output"
    assert_eq "$(value "$output" survived)" $((30 - $(value "$output" reset)))
    assert_between "$(value "$output" elapsed_us)" 0 10000000
  done
  ask c1 --tcp "$vip:80" --requests 20
  assert_no_bad_packets
}

# it moves a UDP flow at once when its backend is removed, its client's end unchanged
test_change_udp_moved() {
  local name service one two
  make_net
  backends=(1 2)
  weir_up
  for name in dns:"$vip" dns6:"[$vip6]"; do
    start "${name%%:*}" c1 "$tools/load" --udp "${name#*:}:53" --same-socket --source-port 7000 \
      --rate 200 --timeout 300 --until-file "$LOGS/enough"
  done
  for service in dns dns6; do
    one=10.2.1.2:5300 two=10.2.2.2:5300
    [[ $service == dns ]] || one='[fd00:2:1::2]:5300' two='[fd00:2:2::2]:5300'
    wait_for "((\$(stat_of $service reply_packets) > 5))"
    if (($(stat_of $service chosen "$two"))); then
      name=$one one=$two two=$name
    fi
    weir_on n backend remove $service "$one" --now
    wait_for "((\$(stat_of $service reply_packets '$two') > 5))"
  done
  touch "$LOGS/enough"
  # the one answer that was under way may be lost, nothing else
  for service in dns dns6; do
    finish $service || true
    output=$(<"$LOGS/$service")
    assert_between "$(value "$output" failed)" 0 1 "$output"
    assert_everybody_served
  done
}

# it adds a backend and changes weights without moving a held connection
test_change_add() {
  local i
  make_net
  start_backends
  backends=(1 2)
  write_config < <(usual_services)
  load_and_apply
  start_traffic
  hold held c1 --tcp "$vip:80" --hold 100
  hold held6 c1 --tcp "[$vip6]:80" --hold 100
  weir_on n backend add web 10.2.3.2:8080 weight 5
  ask c1 --tcp "$vip:80" --requests 200
  assert_between "$(value "$output" "backend be3")" 100 185 # 143 +- 5 sigma
  weir_on n backend weight web 10.2.1.2:8080 0
  ask c1 --tcp "$vip:80" --requests 100
  assert_eq "$(value "$output" "backend be1")" 0
  backends=(1 2 3)
  write_config < <(usual_services)
  apply
  ask_usual c1
  survivors held
  assert_eq "$(value "$output" survived)" 100
  assert_eq "$(value "$output" "backend be3")" 0
  survivors held6
  assert_eq "$(value "$output" survived)" 100
  end_traffic
}

# it changes nothing when the same file is applied again
test_change_nothing() {
  make_net
  weir_up
  hold held c1 --tcp "$vip:80" --hold 20
  weir_on n apply "$LOGS/weir.yaml" --dry-run # exits with 4 when something differs
  before=$(weir_on n stats -j)
  apply
  apply
  assert_eq "$(weir_on n stats -j)" "$before"
  # --dry-run says what would change, and changes nothing
  write_config < <(usual_services | sed 's/10.2.3.2:8080/10.2.3.9:8080/')
  status=0
  output=$(weir_on n apply "$LOGS/weir.yaml" --dry-run) || status=$?
  assert_eq "$status" 4
  assert_contains "$output" 10.2.3.9
  assert_eq "$(weir_on n stats -j)" "$before"
  survivors held
  assert_eq "$(value "$output" survived)" 20
}

# it refuses a bad file and goes on as before
test_change_bad_file() {
  make_net
  weir_up
  start_traffic
  usual_services | sed 's/:5300/:53000000/' | write_config
  assert_fails apply
  assert_contains "$output" weir.yaml:
  echo 'services: [' | write_config
  assert_fails apply
  ask_usual c1
  end_traffic
}

# it applies one change after another under load
test_change_often() {
  local i
  make_net
  weir_up 'drain_timeout: 30s'
  start_traffic
  hold held c1 --tcp "$vip:80" --hold 50
  for i in 1 2 3 1 2 3; do
    backends=("$i")
    write_config < <(usual_services 'drain_timeout: 30s')
    apply
  done
  backends=(1 2 3)
  write_config < <(usual_services 'drain_timeout: 30s')
  apply
  survivors held
  assert_eq "$(value "$output" survived)" 50
  ask_usual c1
  end_traffic
}

# it exchanges the programs in place under load: no request fails, flows are kept
test_change_reload() {
  local programs i
  make_net
  weir_up
  start_traffic
  hold held c1 --tcp "$vip:80" --hold 50
  hold held6 n --tcp "[$vip6]:80" --hold 50
  programs=$(attached_programs)
  weir_on n load "$LOGS/weir.yaml"
  assert_attached tcx wl0 up1 up2 up3 weir1
  assert_eq "$(comm -12 <(sort <<<"$programs") <(attached_programs | sort))" "" "old programs"
  end_traffic
  survivors held
  assert_eq "$(value "$output" survived)" 50
  survivors held6
  assert_eq "$(value "$output" survived)" 50
  ask_usual c1
  ask_usual n
}

# it survives that weir apply is killed at any moment: traffic goes on, the next run repairs
test_change_killed() {
  local i pid status kills=0
  make_net
  weir_up 'drain_timeout: 20s'
  cp "$LOGS/weir.yaml" "$LOGS/three.yaml"
  backends=(2 3)
  usual_services 'drain_timeout: 20s' | write_config
  # more to do, so that there is more to interrupt
  for i in {1..200}; do
    echo "  - {name: more$i, vip: \"10.97.0.$i:80\", backends: [10.2.1.2:8080, 10.2.2.2:8080]}"
  done >>"$LOGS/weir.yaml"
  cp "$LOGS/weir.yaml" "$LOGS/many.yaml"
  start_traffic
  hold held c1 --tcp "$vip:80" --hold 50
  for ((i = 1; i <= 20; i++)); do
    "$tools/in-netns" "$NET-n" "$weir" apply "$LOGS/$( ((i % 2)) && echo many || echo three).yaml" \
      >>"$LOGS/killed" 2>&1 &
    pid=$!
    sleep "0.00$((RANDOM % 8 + 1))$((RANDOM % 10))"
    kill -KILL "$pid" 2>/dev/null || true
    status=0
    wait "$pid" 2>/dev/null || status=$?
    ((status != 137)) || ((++kills))
  done
  assert_between "$kills" 10 20 "runs of apply killed"
  weir_on n apply "$LOGS/many.yaml"
  ask c1 --tcp 10.97.0.200:80 --requests 20
  weir_on n apply "$LOGS/three.yaml"
  ask_usual c1
  assert_refused c1 --tcp "$vip:81"
  end_traffic
  survivors held
  assert_eq "$(value "$output" survived)" 50
  weir_on n apply "$LOGS/three.yaml" --dry-run # exits with 4 when something differs
}

# it removes a service: what is open drains, others go on, and the VIP is nobody's at the end
test_change_service_removed() {
  make_net
  weir_up 'drain_timeout: 1s'
  start_load traffic c1 --tcp "[$vip6]:80" --concurrency 4 --keepalive 10 --rate 400
  hold early c1 --tcp "$vip:80" --hold 20
  hold late c1 --tcp "$vip:80" --hold 20
  weir_on n service remove web
  assert_refused c1 --tcp "$vip:80"
  survivors early
  assert_eq "$(value "$output" survived)" 20
  ask c1 --udp "$vip:53" --requests 20
  wait_for "! weir_on n apply '$LOGS/weir.yaml' --dry-run | grep -q nothing" 1
  release traffic
  survivors late
  weir_on n service remove web6 --now
  apply
  ask_usual c1
}

# it goes away cleanly: unloading leaves no program, route or interface, and routing goes on
test_change_unload() {
  make_net
  weir_up
  start_load direct c1 --tcp 10.2.1.2:8080 --concurrency 2 --keepalive 5 --rate 300
  start_load direct6 c1 --tcp '[fd00:2:1::2]:8080' --concurrency 2 --keepalive 5 --rate 300
  ask_usual c1
  weir_on n unload
  assert_eq "$(attached_programs)" ""
  assert_lacks "$(ip_n n link)" weir0
  assert_lacks "$(ip_n n route)" "$vip"
  [[ ! -e $WEIR_ROOT ]] || fail "pins are left: $(find "$WEIR_ROOT")"
  ask c1 --tcp 10.2.2.2:8080 --requests 10 --check-client
  release direct
  release direct6
  load_and_apply
  ask_usual c1
}
