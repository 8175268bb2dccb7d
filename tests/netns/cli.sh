# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# cli.sh - what an operator types: every verb for real, exit codes, JSON, refusals.

# weir on n must end with this exit code; its stdout is left in $output, its stderr in $errors.
expect() { # CODE ARGUMENT...
  local status=0
  weir_on n "${@:2}" >"$LOGS/.out" 2>"$LOGS/.err" || status=$?
  output=$(<"$LOGS/.out") errors=$(<"$LOGS/.err")
  [[ $status == "$1" ]] || fail "weir ${*:2}: exit $status, wanted $1" "$output" "$errors"
}

# A value of $output, which must be JSON: a Python expression over `d`.
json() { # EXPRESSION
  python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1" \
    <<<"$output" || fail "no JSON, or not like that: $1" "$output"
}

write_config() {
  cat >"$LOGS/weir.yaml" <<'END'
interfaces:
  - {match: "wl*", role: workload}
  - {match: "up*", role: uplink}
limits: {services: 16, frontends: 16, backends: 64, slots: 65536, flows: 4096}
services:
  - name: web
    vip: 10.96.0.10:80
    drain_timeout: 30s
    backends:
      - {address: 10.2.1.2, port: 8080, weight: 2, zone: z1, labels: {rack: r1}}
      - 10.2.2.2:8080
  - name: dns
    protocol: udp
    path: stack
    vips: ["[fd00:96::10]:53", "[fd00:96::11]:53"]
    backends: ["[fd00:2:1::2]:5300"]
END
  config=$LOGS/weir.yaml
}

# The lab, loaded and applied.
make_applied() {
  make_net
  write_config
  expect 0 load "$config"
  expect 0 apply "$config"
}

# it says "not loaded" with exit code 3 for every command that needs maps
test_cli_not_loaded() {
  local words
  make_net
  write_config
  while read -r words; do
    # shellcheck disable=SC2086
    expect 3 $words
    assert_contains "$errors" "weir: not loaded" "$words"
    assert_contains "$errors" "weir load" "$words"
    assert_eq "$output" ""
  done <<END

status
apply $config
apply $config --dry-run
service list
service show web
service add web vip 10.0.0.1:80
service remove web
backend list
backend add web 10.0.0.1:80
backend remove web 10.0.0.1:80 --now
backend weight web 10.0.0.1:80 1
backend drain web 10.0.0.1:80
backend undrain web 10.0.0.1:80
stats
stats --watch
outcomes
flows
END
  expect 3 unload
  assert_contains "$errors" "not loaded"
  expect 3 status -j
  assert_eq "$(json 'd["loaded"]')" False
}

# it refuses misuse with exit code 2 and the usage line, loaded or not
test_cli_misuse() {
  local words
  make_net
  while read -r words; do
    # shellcheck disable=SC2086
    expect 2 $words
    assert_eq "$output" ""
    [[ $errors == "weir: "*$'\n'* ]] || fail "no message and usage: $words" "$errors"
  done <<'END'
nonsense
s
service
service add
service add web
service add web vip
service add web vip 10.0.0.1
service add web vip 127.0.0.1:80
service add web vip 10.0.0.1:80 protocol sctp
service add web vip 10.0.0.1:80 drain-timeout 60
service add we!b vip 10.0.0.1:80
service list more
backend add web
backend add web 10.0.0.1:80 weight 1001
backend add web 10.0.0.1:80 weight
backend add web 10.0.0.1:80 labels x
backend add web 10.0.0.1:80 zone a!b
backend add web 10.0.0.1:80x
backend weight web 10.0.0.1:80
backend weight web 10.0.0.1:80 -1
backend weight web 10.0.0.1:80 1x
backend drain web 10.0.0.1:80 --now
stats --watch 0
stats --dry-run
apply
config check
flows limit 0
flows client 10.0.0.1:80
flows backend x
unload now
END
}

# it explains each command and each object, on stdout
test_cli_help() {
  make_net
  expect 0 --help
  assert_contains "$output" "weir backend weight SERVICE ADDR:PORT N"
  expect 0 service -h
  assert_contains "$output" "weir service show NAME"
  assert_lacks "$output" "weir backend"
  expect 0 backend add -h
  assert_contains "$output" "usage: weir backend add SERVICE ADDR:PORT [weight N]"
  expect 0 --version
  assert_contains "$output" "weir "
  assert_contains "$output" "ABI v1"
}

# it loads with the limits of a file, keeps them when loaded again, and refuses others
test_cli_load() {
  make_net
  write_config
  expect 0 load "$config"
  assert_contains "$output" "loaded: ABI v1 at $WEIR_ROOT/v1"
  assert_contains "$output" "services 16, frontends 16, backends 64, slots 65536, flows 4096"
  expect 0 apply "$config"
  expect 0 load
  assert_contains "$output" "maps and flows kept"
  assert_contains "$output" "services 16,"
  expect 0 load "$config"
  expect 0 service list -j
  assert_eq "$(json '[s["service"] for s in d]')" "['dns', 'web']"
  sed 's/services: 16/services: 17/' "$config" >"$LOGS/other.yaml"
  expect 1 load "$LOGS/other.yaml"
  assert_contains "$errors" "limits.services: loaded with 16, wanted 17"
  expect 0 apply "$LOGS/other.yaml"
  assert_contains "$errors" "warning: limits.services: loaded with 16, wanted 17"
  { echo 'hash_seed: "00112233445566778899aabbccddeeff"' && cat "$config"; } >"$LOGS/other.yaml"
  expect 0 apply "$LOGS/other.yaml"
  assert_contains "$errors" "warning: hash_seed"
  expect 1 load "$LOGS/absent.yaml"
  assert_contains "$errors" "absent.yaml"
  expect 0 unload
  on n test ! -e "$WEIR_ROOT"
  assert_fails ip_n n link show weir0
}

# it shows the differences first, then makes them, then finds none
test_cli_apply() {
  make_net
  write_config
  expect 0 load "$config"
  expect 4 apply "$config" --dry-run
  assert_contains "$output" "service web: add, tcp, algorithm hash, path fast, drain_timeout 30s"
  assert_contains "$output" "backend web 10.2.1.2:8080: add, weight 2, zone z1, labels rack=r1"
  assert_contains "$output" "vip dns [fd00:96::11]:53 udp: add"
  assert_contains "$output" "interface wl0: attach, role workload, hook auto"
  expect 0 service list -j
  assert_eq "$(json d)" "[]" "a dry run changed something"
  expect 0 apply "$config"
  assert_eq "$output" \
    "applied: 2 services added, 3 backends added, 3 VIPs added, 4 interfaces attached"
  expect 0 apply "$config" --dry-run
  assert_eq "$output" ""
  expect 0 apply "$config"
  assert_eq "$output" "applied: nothing differs"

  sed -e 's/weight: 2/weight: 5/' -e '/up\*/d' -e 's/, "\[fd00:96::11\]:53"//' \
    "$config" >"$LOGS/other.yaml"
  expect 4 apply "$LOGS/other.yaml" --dry-run
  assert_contains "$output" "backend web 10.2.1.2:8080: set, weight 5, zone z1, labels rack=r1"
  assert_contains "$output" "vip dns [fd00:96::11]:53 udp: remove"
  assert_contains "$output" "interface up2: detach"
  expect 0 apply "$LOGS/other.yaml"
  assert_eq "$output" "applied: 1 backend changed, 1 VIP removed, 3 interfaces detached"
  expect 0 apply "$LOGS/other.yaml" --dry-run
}

# it says all errors of a file, and such a file changes nothing
test_cli_refused_file() {
  local before
  make_applied
  expect 0 config check "$config"
  assert_eq "$output" "$config: 2 services, 3 backends: good"
  expect 0 backend list -j
  before=$output
  sed -e 's/weight: 2/weight: 2000/' -e 's/protocol: udp/protocol: sctp/' \
    -e 's/10.2.2.2/10.2.9.2/' "$config" >"$LOGS/bad.yaml"
  expect 1 config check "$LOGS/bad.yaml"
  assert_contains "$errors" "bad.yaml:10:"
  assert_contains "$errors" "weight: got 2000, wanted 0-1000"
  assert_contains "$errors" "protocol: got sctp, wanted tcp or udp"
  expect 1 apply "$LOGS/bad.yaml"
  assert_contains "$errors" "weight: got 2000, wanted 0-1000"
  expect 1 apply "$LOGS/bad.yaml" --dry-run

  # an interface that cannot carry us is found before the first change
  ip_n n link add br9 type bridge
  sed -e 's/up\*/br9/' -e 's/10.2.2.2/10.2.9.2/' "$config" >"$LOGS/bad.yaml"
  expect 1 apply "$LOGS/bad.yaml"
  assert_contains "$errors" "interface br9: a bridge"
  expect 0 backend list -j
  assert_eq "$output" "$before" "a refused file changed something"
  expect 0 apply "$config" --dry-run
}

# it lists, shows, adds and removes services
test_cli_services() {
  make_applied
  expect 0 service add api vip 10.96.0.20:80 '10.96.0.20:*' path stack drain-timeout 5s
  expect 0 service list
  assert_contains "$output" "SERVICE"
  [[ $output =~ api\ +tcp\ +stack\ +0\ +0\ +0\ +refusing\ +10.96.0.20:\*,10.96.0.20:80 ]] ||
    fail "no row of api" "$output"
  expect 0 service show api -j
  assert_eq "$(json '(d["drain_timeout_ms"], d["path"], d["protocol"], d["backends"])')" \
    "(5000, 'stack', 'tcp', [])"
  assert_contains "$(on n ip -4 route show dev weir0)" 10.96.0.20

  expect 1 service add api vip 10.96.0.21:80
  assert_contains "$errors" "service api is already there"
  expect 1 service add other vip 10.96.0.10:80
  assert_contains "$errors" "10.96.0.10:80, which is a VIP of service web"
  expect 1 service add other vip 10.2.2.2:8080
  assert_contains "$errors" "10.2.2.2:8080, which is a VIP of service other, wanted a server"
  expect 1 service add other vip 10.96.0.30:80 '[fd00:96::30]:80'
  assert_contains "$errors" "wanted IPv4"
  expect 1 service show other
  assert_contains "$errors" "no service other"

  expect 0 service remove api
  expect 1 service show api # nothing to drain: gone at once
  expect 1 service remove nothing
  assert_contains "$errors" "no service nothing"
}

# it drains a removed service, and ends it at once when asked
test_cli_service_remove() {
  make_applied
  expect 0 service remove web
  expect 0 service show web -j
  assert_eq "$(json '(d["leaving"], d["vips"], [b["state"] for b in d["backends"]])')" \
    "(True, [], ['leaving', 'leaving'])"
  expect 1 service remove web
  assert_contains "$errors" "being removed already"
  expect 1 backend add web 10.2.3.2:8080
  assert_contains "$errors" "service web is leaving"
  expect 0 service add web vip 10.96.0.10:80
  expect 0 service show web -j
  assert_eq "$(json 'd["leaving"]')" False
  expect 0 service remove web --now
  expect 1 service show web
  expect 0 stats -j
  assert_eq "$(json '{s["service"] for s in d}')" "{'dns'}"
}

# it changes one backend at a time, and shows the state of each
test_cli_backends() {
  local before
  make_applied
  expect 0 backend add web 10.2.3.2:8080 weight 3 zone z3 labels rack=r3,a=b
  expect 0 backend list web -j
  assert_eq "$(json '[(b["backend"], b["weight"], b["zone"], b["labels"]) for b in d][2]')" \
    "('10.2.3.2:8080', 3, 'z3', {'a': 'b', 'rack': 'r3'})"
  expect 0 backend weight web 10.2.3.2:8080 0
  expect 0 backend drain web 10.2.1.2:8080
  expect 0 backend remove web 10.2.2.2:8080
  expect 0 b l web -j
  assert_eq "$(json '[b["state"] for b in d]')" "['drained', 'leaving', 'weight-0']"
  assert_eq "$(json '[b["leaves_in_ms"] is None for b in d]')" "[True, False, True]"
  assert_between "$(json 'd[1]["leaves_in_ms"]')" 20000 30000
  assert_eq "$(json '(d[2]["zone"], d[2]["labels"])')" "('z3', {'a': 'b', 'rack': 'r3'})"
  expect 0 backend undrain web 10.2.1.2:8080
  expect 0 backend add web 10.2.2.2:8080
  expect 0 backend weight web 10.2.3.2:8080 7
  expect 0 backend list web -j
  assert_eq "$(json '[(b["state"], b["weight"]) for b in d]')" \
    "[('usable', 2), ('usable', 1), ('usable', 7)]"
  expect 0 backend remove web 10.2.3.2:8080 --now
  expect 0 backend list web -j
  assert_eq "$(json 'len(d)')" 2
  before=$output

  expect 1 backend add web 10.2.1.2:8080
  assert_contains "$errors" "service web has backend 10.2.1.2:8080 already"
  expect 1 backend add web 10.96.0.10:80
  assert_contains "$errors" "10.96.0.10:80, which is a VIP of service web, wanted a server"
  expect 1 backend add web '[fd00::2]:80'
  assert_contains "$errors" "wanted IPv4"
  expect 1 backend add web 10.2.3.2
  assert_contains "$errors" "without a port"
  expect 1 backend weight web 10.2.1.9:8080 1
  assert_contains "$errors" "service web has no backend 10.2.1.9:8080"
  expect 1 backend add nothing 10.2.3.2:8080
  assert_contains "$errors" "no service nothing"
  expect 1 backend list nothing
  expect 0 backend list web -j
  assert_eq "$output" "$before" "a refusal changed something"
}

# it refuses a backend at a VIP of another service, with a port, any port, or none
test_cli_backend_is_vip() {
  make_applied
  expect 0 service add all vip '10.96.0.20:*'
  expect 1 backend add web 10.96.0.20:8080
  assert_contains "$errors" "which is a VIP of service all"
  expect 1 backend add all 10.96.0.10
  assert_contains "$errors" "which is a VIP of service web"
  expect 0 backend add all 10.2.3.2
  expect 0 service add udp vip 10.96.0.40:53 protocol udp
  expect 0 backend add web 10.96.0.40:53
}

# it leaves an operator's drain alone when the file is applied again
test_cli_drain_survives_apply() {
  make_applied
  expect 0 backend drain web 10.2.1.2:8080
  expect 0 apply "$config"
  assert_eq "$output" "applied: nothing differs"
  expect 0 backend list web -j
  assert_eq "$(json '[b["state"] for b in d]')" "['drained', 'usable']"
}

# it undoes by apply what single commands changed
test_cli_apply_restores() {
  make_applied
  expect 0 backend weight web 10.2.1.2:8080 9
  expect 0 backend remove web 10.2.2.2:8080
  expect 0 service add extra vip 10.96.0.50:80
  expect 4 apply "$config" --dry-run
  expect 0 apply "$config"
  assert_contains "$output" "1 backend added, 1 backend changed, 1 service removed"
  expect 0 apply "$config" --dry-run
  expect 0 backend list web -j
  assert_eq "$(json '[(b["state"], b["weight"]) for b in d]')" "[('usable', 2), ('usable', 1)]"
}

# it counts connections, packets and bytes, lists flows by filters, and names outcomes
test_cli_traffic() {
  make_applied
  start_backend b1 be1
  start_backend b2 be2
  on c1 load --tcp 10.96.0.10:80 --requests 40 --check-client
  on c1 load --udp '[fd00:96::10]:53' --requests 10
  expect 0 stats -j
  assert_eq "$(json '[(s["service"], s["opened"]) for s in d if s["backend"] is None]')" \
    "[('dns', 10), ('web', 40)]"
  assert_eq "$(json 'sum(s["chosen"] for s in d if s["service"] == "web" and s["backend"])')" 40
  assert_eq "$(json 'd[1]["forward_packets"], d[1]["reply_packets"]')" "(10, 10)"
  expect 0 stats web
  assert_lacks "$output" dns
  expect 1 stats nothing

  expect 0 flows service web -j
  assert_eq "$(json 'len(d), {f["vip"] for f in d}')" "(40, {'10.96.0.10:80'})"
  assert_eq "$(json '{f["client"].split(":")[0] for f in d}')" "{'10.1.0.2'}"
  expect 0 flows limit 7 -j
  assert_eq "$(json 'len(d)')" 7
  expect 0 flows backend 10.2.1.2:8080 -j
  assert_eq "$(json '{f["backend"] for f in d}')" "{'10.2.1.2:8080'}"
  expect 0 flows backend 10.2.1.2:8081 -j
  assert_eq "$(json d)" "[]"
  expect 0 flows client 10.1.0.3 -j
  assert_eq "$(json d)" "[]"
  expect 0 flows client fd00:1::2 -j
  assert_eq "$(json 'len(d), {f["protocol"] for f in d}')" "(10, {'udp'})"
  expect 1 flows service nothing

  expect 0 outcomes
  [[ $output =~ FORWARDED\ +sent\ +[1-9] ]] || fail "no outcome FORWARDED" "$output"
  assert_lacks "$output" DROP_GONE
  expect 0 outcomes --all -j
  assert_eq "$(json '[o["ingress"] for o in d["outcomes"] if o["outcome"] == "DROP_GONE"]')" "[0]"
  assert_eq "$(json '[i["count"] for i in d["internals"] if i["internal"] == "FLOW_ADDED"]')" "[50]"
  expect 0 status -j
  assert_eq "$(json '(d["counts"]["flows"], d["counts"]["services"], d["healthy"])')" \
    "(50, 2, True)"
}

# it prints rates until it is interrupted, and ends well
test_cli_watch() {
  local signal_name
  make_applied
  start_backend b1 be1
  start_backend b2 be2
  for signal_name in INT TERM; do
    start watch n weir stats web --watch 1 -j
    wait_for "[[ -s '$LOGS/watch' ]]"
    on c1 load --tcp 10.96.0.10:80 --requests 60
    wait_for "grep -q '\"backend\": null, \"active\": [0-9]*, \"chosen_per_s\": [1-9]' '$LOGS/watch'"
    signal watch "$signal_name"
    finish watch
    while read -r output; do
      json 'd[0]["service"]' >"$LOGS/.service"
      assert_eq "$(<"$LOGS/.service")" web
    done <"$LOGS/watch"
  done
  start watch n weir stats --watch
  wait_for "grep -q CHOSEN/s '$LOGS/watch'"
  expect 0 unload
  assert_fails finish watch
  assert_contains "$(<"$LOGS/watch")" "not loaded"
}

# it tells what is loaded and attached, and what is wrong
test_cli_status() {
  make_applied
  expect 0 status -j
  assert_eq "$(json '(d["abi_version"], d["limits"]["backends"], d["timeouts"]["closed"])')" \
    "(1, 64, 120)"
  assert_eq "$(json '[(i["name"], i["role"], i["live"]) for i in d["interfaces"]][0]')" \
    "('up1', 'uplink', True)"
  assert_eq "$(json 'sum(d["memory_by_map"].values()) == d["memory_bytes"] > 1 << 20')" True
  assert_lacks "$output" seed
  assert_eq "$(json 'd["warnings"]')" "[]"
  expect 0
  [[ $output =~ web\ +tcp\ +fast ]] || fail "weir alone shows no services" "$output"
  expect 0 -j
  assert_eq "$(json '[s["service"] for s in d["services"]]')" "['dns', 'web']"

  on n sysctl -qw net.ipv4.ip_forward=0
  expect 0 status
  assert_contains "$output" "ipv4/ip_forward is 0"
  on n sysctl -qw net.ipv4.ip_forward=1
  rm "$WEIR_ROOT"/v1/link_*_egress
  expect 4 status
  assert_contains "$output" "interface wl0 does not carry the program"
  expect 4 status -j
  assert_eq "$(json 'd["healthy"]')" False
  expect 0 load
  expect 0 apply "$config"
  expect 0 status
  ip_n n link del weir0
  expect 4 status
  assert_contains "$output" "weir0 and weir1 are not here"
  expect 0 load
  expect 0 status
}

# it prints JSON that a strict reader takes, wherever there is data
test_cli_json() {
  local words
  make_applied
  while read -r words; do
    # shellcheck disable=SC2086
    expect 0 $words
    python3 -m json.tool <<<"$output" >"$LOGS/.json" || fail "$words: no JSON" "$output"
  done <<'END'
-j
status --json
service list -j
service show web -j
-j backend list
backend list dns -j
stats -j
stats web -j
outcomes -j
outcomes --all -j
flows -j
END
}

# it notices that its output cannot be written
test_cli_output_fails() {
  local status=0
  make_applied
  on n weir stats >/dev/full 2>"$LOGS/.err" || status=$?
  assert_eq "$status" 1
  assert_contains "$(<"$LOGS/.err")" "standard output: No space left on device"
  status=0
  on n weir stats >&- 2>"$LOGS/.err" || status=$?
  assert_eq "$status" 1
  # the reader is gone before the first byte
  mkfifo "$LOGS/pipe"
  exec 7<>"$LOGS/pipe"
  { exec 8>"$LOGS/pipe" 7<&-; } 7<>"$LOGS/pipe"
  exec 7<&-
  status=0
  on n weir stats >&8 2>"$LOGS/.err" || status=$?
  exec 8>&-
  assert_eq "$status" 1
  assert_contains "$(<"$LOGS/.err")" "Broken pipe"
}

# it waits for the lock, says who holds it, and readers need none
test_cli_lock() {
  make_applied
  start holder n flock -o "$WEIR_ROOT/v1" sleep 30
  wait_for "! flock -n '$WEIR_ROOT/v1' true"
  expect 0 status
  expect 0 backend list
  expect 0 apply "$config" --dry-run
  expect 1 backend drain web 10.2.1.2:8080
  assert_contains "$errors" "$WEIR_ROOT/v1 is locked by process ${pids[holder]} (flock)"
  start late n weir backend drain web 10.2.1.2:8080
  wait_for "ls -l /proc/${pids[late]}/fd | grep -q '$WEIR_ROOT/v1'"
  signal holder
  finish holder || true
  finish late
  expect 0 backend list web -j
  assert_eq "$(json '[b["state"] for b in d]')" "['drained', 'usable']"
}

# it repairs what a killed run has left, and apply then finds what differs
test_cli_apply_after_kill() {
  local i status killed=0
  type -P strace >/dev/null || skip "no strace"
  make_applied
  {
    sed '/^services:/q' "$config"
    for i in 1 2 3 4; do
      echo "  - {name: s$i, vip: \"10.96.1.$i:80\", backends: [10.2.1.2:80$i, 10.2.2.2:80$i]}"
    done
  } >"$LOGS/many.yaml"
  # killed at one of its system calls about maps, later and later, until it lives
  for ((i = 47; i < 400; i += 4)); do
    status=0
    on n strace -qqq -o /dev/null -e "inject=bpf:signal=KILL:when=$i" \
      "$repository/build/weir" apply "$LOGS/many.yaml" >"$LOGS/.out" 2>&1 || status=$?
    ((status == 137)) || break
    ((++killed))
    if ((killed % 2)); then
      expect 0 apply "$LOGS/many.yaml"
      expect 0 apply "$LOGS/many.yaml" --dry-run
    fi
    expect 0 apply "$config"
    expect 0 apply "$config" --dry-run
    expect 0 status
    expect 0 service list -j
    assert_eq "$(json '[(s["service"], s["usable"]) for s in d if s["state"] != "leaving"]')" \
      "[('dns', 1), ('web', 2)]"
    expect 0 service list
    sed -n 's/^\(s[1-4]\) .*/\1/p' <<<"$output" >"$LOGS/leaving"
    while read -r output; do
      expect 0 service remove "$output" --now
    done <"$LOGS/leaving"
  done
  assert_eq "$status" 0 "the run that lived"
  assert_between "$killed" 5 100 "runs that were killed"
  expect 0 apply "$LOGS/many.yaml" --dry-run
}

# it completes words, keywords, services and backends as the table has them
test_cli_completion() {
  make_applied
  expect 0 completion bash
  printf '%s\n' "$output" >"$LOGS/completion"
  cat >"$LOGS/complete" <<'END'
. "$1"
COMP_LINE=$2 COMP_POINT=${#2}
_weir
printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
END
  check_completion "weir " \
    "apply backend completion config flows load outcomes service stats status unload"
  check_completion "weir st" "stats status"
  check_completion "weir service " "add list remove show"
  check_completion "weir serv sh" "show"
  check_completion "weir service show " "dns web"
  check_completion "weir backend drain web " "10.2.1.2:8080 10.2.2.2:8080"
  check_completion "weir service add x vip 10.0.0.1:80 pro" "protocol"
  check_completion "weir service add x vip 10.0.0.1:80 protocol " "tcp udp"
  check_completion "weir flows service " "dns web"
  check_completion "weir stats --" "--help --json --version --watch"
  check_completion "weir backend remove web 10.2.1.2:80" "8080"
}

check_completion() { # LINE WANTED
  local got
  got=$(on n bash "$LOGS/complete" "$LOGS/completion" "$1")
  assert_eq "${got% }" "$2" "completion of: $1"
}
