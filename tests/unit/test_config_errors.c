/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* test_config_errors.c - what each bad configuration is told, word for word. */
#include "model/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* All error lines in one string; free it. */
static char *lines_of(const struct config_errors *errors)
{
	char *lines;
	size_t len;
	FILE *out = open_memstream(&lines, &len);

	assert_non_null(out);
	config_errors_print(errors, out);
	assert_int_equal(fclose(out), 0);
	return lines;
}

/* Each row: what is wrong, the document, all lines that are said ("f:" in front of each). */
static const struct bad {
	const char *what, *text, *lines;
} bads[] = {
	{
		"a bracket that nobody closes",
		"services: [\n",
		"f:2:1: got bad YAML (while parsing a flow node: did not find expected node "
		"content), wanted good YAML\n",
	},
	{
		"a tab as indentation",
		"services:\n"
		"\t- name: a\n",
		"f:2:1: got bad YAML (while scanning for the next token: found character that "
		"cannot start any token), wanted good YAML\n",
	},
	{
		"bad UTF-8 with its line",
		"# one\n"
		"services: # \377\n",
		"f:2:13: got bad YAML (invalid leading UTF-8 octet), wanted good YAML\n",
	},
	{
		"a control character",
		"services: \001\n",
		"f:1:11: got bad YAML (control characters are not allowed), wanted good YAML\n",
	},
	{
		"two documents",
		"services: []\n"
		"---\n"
		"services: []\n",
		"f:2:1: got a second YAML document, wanted one\n",
	},
	{
		"an anchor and an alias",
		"interfaces: &x\n"
		"- {match: a, role: uplink}\n"
		"services: *x\n",
		"f:1:13: got an anchor, wanted the value alone: anchors are not supported\n"
		"f:3:11: got an alias, wanted the value itself: aliases are not supported\n",
	},
	{
		"an alias of a mapping that is merged",
		"services:\n"
		"- &a {name: a, vip: 10.0.0.1:80}\n"
		"- {<<: *a}\n",
		"f:2:3: got an anchor, wanted the value alone: anchors are not supported\n"
		"f:3:3: services: got no name, wanted one\n"
		"f:3:3: services: got no vip and no vips, wanted one\n"
		"f:3:4: services: got key <<, wanted one of name, protocol, algorithm, path, "
		"drain_timeout, vip, vips, backends\n"
		"f:3:8: got an alias, wanted the value itself: aliases are not supported\n",
	},
	{
		"a tag",
		"services:\n"
		"- name: a\n"
		"  vip: !!str 10.0.0.1:80\n",
		"f:3:8: got a tag, wanted the value alone: tags are not supported\n",
	},
	{
		"a nesting without end",
		"services: [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]\n",
		"f:1:12: services: got a list, wanted a mapping\n"
		"f:1:26: got a nesting of 17, wanted 1-16\n",
	},
	{
		"a NUL in text",
		"services:\n"
		"- name: a\n"
		"  vip: \"10.0.0.1:80\\0\"\n",
		"f:3:8: vip: got text with a NUL byte, wanted text without\n",
	},
	{
		"a list instead of the file's mapping",
		"- a\n"
		"- b\n",
		"f:1:1: got a list, wanted a mapping\n",
	},
	{
		"text instead of the file's mapping",
		"hello\n",
		"f:1:1: got hello, wanted a mapping\n",
	},
	{
		"services without a value",
		"services:\n",
		"f:1:10: services: got nothing, wanted a list\n",
	},
	{
		"services as a mapping",
		"services: {web: {vip: 10.0.0.1:80}}\n",
		"f:1:11: services: got a mapping, wanted a list\n",
	},
	{
		"a service that is text",
		"services: [web]\n",
		"f:1:12: services: got web, wanted a mapping\n",
	},
	{
		"a service that is a list",
		"services: [[web]]\n",
		"f:1:12: services: got a list, wanted a mapping\n",
	},
	{
		"limits as a list",
		"limits: [1]\n",
		"f:1:9: limits: got a list, wanted a mapping\n",
	},
	{
		"a mapping where a name belongs",
		"services:\n"
		"- name: {a: b}\n"
		"  vip: 10.0.0.1:80\n",
		"f:2:9: name: got a mapping, wanted text or a number\n",
	},
	{
		"a list where a port belongs",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: [80]}]\n",
		"f:4:40: port: got a list, wanted text or a number\n",
	},
	{
		"labels as a list",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, labels: [a]}]\n",
		"f:4:52: labels: got a list, wanted a mapping\n",
	},
	{
		"a list of VIPs in a list",
		"services:\n"
		"- name: a\n"
		"  vips: [[10.0.0.1:80]]\n",
		"f:3:10: vips: got a list, wanted a mapping\n",
	},
	{
		"one VIP under vips",
		"services:\n"
		"- name: a\n"
		"  vips: 10.0.0.1:80\n",
		"f:3:9: vips: got 10.0.0.1:80, wanted a list\n",
	},
	{
		"two VIPs under vip",
		"services:\n"
		"- name: a\n"
		"  vip: [10.0.0.1:80, 10.0.0.2:80]\n",
		"f:3:8: vip: got a list, wanted a mapping\n",
	},
	{
		"a key that is a list",
		"? [services]\n"
		": []\n",
		"f:1:3: got a list, wanted text or a number\n",
	},
	{
		"an unknown key",
		"colour: red\n",
		"f:1:1: got key colour, wanted one of interfaces, limits, timeouts, hash_seed, "
		"services\n",
	},
	{
		"swapped letters in a key",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  portocol: udp\n",
		"f:4:3: services: got key portocol, wanted protocol\n",
	},
	{
		"a letter too few in the key of a backend",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{adress: 10.1.0.1, port: 80}]\n",
		"f:4:14: backends: got no address, wanted one\n"
		"f:4:15: backends: got key adress, wanted address\n",
	},
	{
		"an unknown limit",
		"limits: {cpus: 2}\n",
		"f:1:10: limits: got key cpus, wanted one of services, frontends, backends, slots, "
		"flows\n",
	},
	{
		"a key in capitals",
		"Services: []\n",
		"f:1:1: got key Services, wanted services\n",
	},
	{
		"a key twice at the top",
		"services: []\n"
		"limits: {}\n"
		"services: []\n",
		"f:3:1: got key services a second time, wanted it once\n",
	},
	{
		"a key twice in a service",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  path: fast\n"
		"  path: stack\n",
		"f:5:3: services: got key path a second time, wanted it once\n",
	},
	{
		"a key twice in a backend",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, port: 81}]\n",
		"f:4:44: backends: got key port a second time, wanted it once\n",
	},
	{
		"a long unknown key",
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxx: 1\n",
		"f:1:1: got key "
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..., wanted "
		"one of interfaces, limits, timeouts, hash_seed, services\n",
	},
	{
		"a service without anything",
		"services:\n"
		"- {}\n",
		"f:2:3: services: got no name, wanted one\n"
		"f:2:3: services: got no vip and no vips, wanted one\n",
	},
	{
		"a service without a VIP",
		"services:\n"
		"- name: a\n",
		"f:2:3: services: got no vip and no vips, wanted one\n",
	},
	{
		"an empty list of VIPs",
		"services:\n"
		"- name: a\n"
		"  vips: []\n",
		"f:3:9: vips: got an empty list, wanted at least one element\n",
	},
	{
		"a backend without an address",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{port: 80}]\n",
		"f:4:14: backends: got no address, wanted one\n",
	},
	{
		"a VIP without a port",
		"services:\n"
		"- name: a\n"
		"  vip: {address: 10.0.0.1}\n",
		"f:3:8: vip: got no port, wanted one\n",
	},
	{
		"an interface without a role",
		"interfaces: [{match: eth0}]\n",
		"f:1:14: interfaces: got no role, wanted one\n",
	},
	{
		"an interface without a match",
		"interfaces: [{role: uplink}]\n",
		"f:1:14: interfaces: got no match, wanted one\n",
	},
	{
		"an unknown role",
		"interfaces: [{match: eth0, role: downlink}]\n",
		"f:1:34: role: got downlink, wanted workload or uplink\n",
	},
	{
		"an unknown hook",
		"interfaces: [{match: eth0, role: uplink, hook: xdp}]\n",
		"f:1:48: hook: got xdp, wanted auto, tcx or clsact\n",
	},
	{
		"an interface name of 16 characters",
		"interfaces: [{match: abcdefghijklmnop, role: uplink}]\n",
		"f:1:22: match: got abcdefghijklmnop, wanted a name or glob of 1-15 characters, as "
		"veth*\n",
	},
	{
		"an interface name with a slash",
		"interfaces: [{match: a/b, role: uplink}]\n",
		"f:1:22: match: got a/b, wanted a name or glob of 1-15 characters, as veth*\n",
	},
	{
		"an interface name with a space",
		"interfaces: [{match: a b, role: uplink}]\n",
		"f:1:22: match: got a b, wanted a name or glob of 1-15 characters, as veth*\n",
	},
	{
		"an empty interface name",
		"interfaces: [{match: \"\", role: uplink}]\n",
		"f:1:22: match: got \"\", wanted a name or glob of 1-15 characters, as veth*\n",
	},
	{
		"the same match twice",
		"interfaces:\n"
		"- {match: eth0, role: uplink}\n"
		"- {match: eth0, role: workload}\n",
		"f:3:3: match: got eth0 a second time, wanted it once (first at line 2)\n",
	},
	{
		"each limit below its range",
		"limits: {services: 0, frontends: 0, backends: 0, slots: 255, flows: 1023}\n",
		"f:1:20: services: got 0, wanted 1-131072\n"
		"f:1:34: frontends: got 0, wanted 1-131072\n"
		"f:1:47: backends: got 0, wanted 1-1048576\n"
		"f:1:57: slots: got 255, wanted 256-268435456\n"
		"f:1:69: flows: got 1023, wanted 1024-16777216\n",
	},
	{
		"each limit beyond its range",
		"limits:\n"
		"  services: 131073\n"
		"  frontends: 131073\n"
		"  backends: 1048577\n"
		"  slots: 268435457\n"
		"  flows: 16777217\n",
		"f:2:13: services: got 131073, wanted 1-131072\n"
		"f:3:14: frontends: got 131073, wanted 1-131072\n"
		"f:4:13: backends: got 1048577, wanted 1-1048576\n"
		"f:5:10: slots: got 268435457, wanted 256-268435456\n"
		"f:6:10: flows: got 16777217, wanted 1024-16777216\n",
	},
	{
		"a limit that is no number",
		"limits: {flows: many}\n",
		"f:1:17: flows: got many, wanted 1024-16777216\n",
	},
	{
		"time-outs beyond their range",
		"timeouts: {tcp: 16001s, udp: 0s}\n",
		"f:1:17: tcp: got 16001s, wanted 1s-16000s\n"
		"f:1:30: udp: got 0s, wanted 1s-16000s\n",
	},
	{
		"a time-out without a unit",
		"timeouts: {tcp: 8000}\n",
		"f:1:17: tcp: got 8000, wanted 1s-16000s: a number and one of ms, s, m, h\n",
	},
	{
		"a time-out of a fraction of a second",
		"timeouts: {tcp: 1500ms}\n",
		"f:1:17: tcp: got 1500ms, wanted whole seconds\n",
	},
	{
		"a seed of 31 digits",
		"hash_seed: 0001020304050607080901011121314\n",
		"f:1:12: hash_seed: got 0001020304050607080901011121314, wanted 32 hexadecimal "
		"digits\n",
	},
	{
		"a seed with a letter",
		"hash_seed: 000102030405060708090101112131g5\n",
		"f:1:12: hash_seed: got 000102030405060708090101112131g5, wanted 32 hexadecimal "
		"digits\n",
	},
	{
		"an empty name",
		"services:\n"
		"- {name: \"\", vip: 10.0.0.1:80}\n",
		"f:2:10: name: got \"\", wanted 1-63 of letters, digits, '.', '_', '/', '-'\n",
	},
	{
		"a name of 64 characters",
		"services:\n"
		"- {name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg, vip: "
		"10.0.0.1:80}\n",
		"f:2:10: name: got "
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg, wanted 1-63 of "
		"letters, digits, '.', '_', '/', '-'\n",
	},
	{
		"a name with a space",
		"services:\n"
		"- {name: my web, vip: 10.0.0.1:80}\n",
		"f:2:10: name: got my web, wanted 1-63 of letters, digits, '.', '_', '/', '-'\n",
	},
	{
		"a name that is not ASCII",
		"services:\n"
		"- {name: gr\303\266\303\237e, vip: 10.0.0.1:80}\n",
		"f:2:10: name: got gr????e, wanted 1-63 of letters, digits, '.', '_', '/', '-'\n",
	},
	{
		"a name twice",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80}\n"
		"- {name: b, vip: 10.0.0.2:80}\n"
		"- {name: a, vip: 10.0.0.3:80}\n",
		"f:4:3: name: got a a second time, wanted it once (first at line 2)\n",
	},
	{
		"a name three times",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80}\n"
		"- {name: a, vip: 10.0.0.2:80}\n"
		"- {name: a, vip: 10.0.0.3:80}\n",
		"f:3:3: name: got a a second time, wanted it once (first at line 2)\n"
		"f:4:3: name: got a a second time, wanted it once (first at line 3)\n",
	},
	{
		"an unknown protocol",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  protocol: sctp\n",
		"f:4:13: protocol: got sctp, wanted tcp or udp\n",
	},
	{
		"a protocol in capitals",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  protocol: TCP\n",
		"f:4:13: protocol: got TCP, wanted tcp or udp\n",
	},
	{
		"an unknown algorithm",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  algorithm: random\n",
		"f:4:14: algorithm: got random, wanted hash\n",
	},
	{
		"an unknown path",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  path: slow\n",
		"f:4:9: path: got slow, wanted fast or stack\n",
	},
	{
		"a drain beyond a day",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  drain_timeout: 25h\n",
		"f:4:18: drain_timeout: got 25h, wanted 0s-24h\n",
	},
	{
		"a drain without a unit",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  drain_timeout: 60\n",
		"f:4:18: drain_timeout: got 60, wanted 0s-24h: a number and one of ms, s, m, h\n",
	},
	{
		"a VIP without a port, short",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1\n",
		"f:3:8: vip: got 10.0.0.1, wanted address:port, or address:* for any port\n",
	},
	{
		"a VIP with port 0",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:0\n",
		"f:3:8: vip: got 10.0.0.1:0, wanted an address and a port, as 10.0.0.1:80 or "
		"[fd00::1]:80\n",
	},
	{
		"a VIP with a port beyond the range, as mapping",
		"services:\n"
		"- name: a\n"
		"  vip: {address: 10.0.0.1, port: 70000}\n",
		"f:3:34: port: got 70000, wanted 1-65535 or any\n",
	},
	{
		"a VIP that is a name",
		"services:\n"
		"- name: a\n"
		"  vip: web:80\n",
		"f:3:8: vip: got web:80, wanted an address and a port, as 10.0.0.1:80 or "
		"[fd00::1]:80\n",
	},
	{
		"an IPv6 VIP without brackets",
		"services:\n"
		"- name: a\n"
		"  vip: fd00::1:80\n",
		"f:3:8: vip: got fd00::1:80, wanted an address and a port, as 10.0.0.1:80 or "
		"[fd00::1]:80\n",
	},
	{
		"a loopback VIP",
		"services:\n"
		"- name: a\n"
		"  vip: 127.0.0.1:80\n",
		"f:3:8: vip: got 127.0.0.1:80 (a loopback address), wanted a unicast address\n",
	},
	{
		"a multicast VIP, as mapping",
		"services:\n"
		"- name: a\n"
		"  vip: {address: ff02::1, port: 80}\n",
		"f:3:18: address: got ff02::1 (a multicast address), wanted a unicast address\n",
	},
	{
		"a VIP twice in a service",
		"services:\n"
		"- name: a\n"
		"  vips: [10.0.0.1:80, {address: 10.0.0.1, port: 80}]\n",
		"f:3:23: vips: got 10.0.0.1:80, which is a VIP of service a (first at line 3), "
		"wanted another\n",
	},
	{
		"a VIP twice in one key and the other",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  vips: [10.0.0.1:80]\n",
		"f:4:10: vips: got 10.0.0.1:80, which is a VIP of service a (first at line 3), "
		"wanted another\n",
	},
	{
		"a VIP in two services",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80}\n"
		"- {name: b, vip: 10.0.0.1:80}\n",
		"f:3:18: vips: got 10.0.0.1:80, which is a VIP of service a (first at line 2), "
		"wanted another\n",
	},
	{
		"any port of one address in two services",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:*}\n"
		"- {name: b, vip: {address: 10.0.0.1, port: any}}\n",
		"f:3:18: vips: got 10.0.0.1:*, which is a VIP of service a (first at line 2), "
		"wanted another\n",
	},
	{
		"an IPv4 VIP written as IPv6 is the same",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80}\n"
		"- {name: b, vip: '[::ffff:10.0.0.1]:80'}\n",
		"f:3:18: vips: got 10.0.0.1:80, which is a VIP of service a (first at line 2), "
		"wanted another\n",
	},
	{
		"VIPs of two families",
		"services:\n"
		"- name: a\n"
		"  vips: [10.0.0.1:80, '[fd00::1]:80']\n",
		"f:3:23: vips: got fd00::1, wanted IPv4: the service has 10.0.0.1\n",
	},
	{
		"a backend of the other family",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: ['[fd00::2]:80', 10.1.0.1:80]\n",
		"f:4:14: backends: got fd00::2, wanted IPv4: the service has 10.0.0.1\n",
	},
	{
		"a backend with port 0",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 0}]\n",
		"f:4:40: port: got 0, wanted 1-65535\n",
	},
	{
		"a backend with a port beyond the range",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends:\n"
		"  - address: 10.1.0.1\n"
		"    port: 70000\n",
		"f:6:11: port: got 70000, wanted 1-65535\n",
	},
	{
		"a backend with a port with letters",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80x}]\n",
		"f:4:40: port: got 80x, wanted 1-65535\n",
	},
	{
		"a short backend with a port with letters",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [10.1.0.1:80x]\n",
		"f:4:14: backends: got 10.1.0.1:80x, wanted an address and a port, as 10.0.0.1:80 "
		"or [fd00::1]:80\n",
	},
	{
		"a backend without a port",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [10.1.0.1, {address: 10.1.0.2}]\n",
		"f:4:14: backends: got 10.1.0.1 without a port, wanted one: VIP 10.0.0.1:80 has "
		"one\n"
		"f:4:24: backends: got 10.1.0.2 without a port, wanted one: VIP 10.0.0.1:80 has "
		"one\n",
	},
	{
		"a backend without a port, one VIP with one",
		"services:\n"
		"- name: a\n"
		"  vips: [10.0.0.1:*, 10.0.0.1:80]\n"
		"  backends: [10.1.0.1]\n",
		"f:4:14: backends: got 10.1.0.1 without a port, wanted one: VIP 10.0.0.1:80 has "
		"one\n",
	},
	{
		"a weight beyond the range",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, weight: 1001}]\n",
		"f:4:52: weight: got 1001, wanted 0-1000\n",
	},
	{
		"a negative weight",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, weight: -1}]\n",
		"f:4:52: weight: got -1, wanted 0-1000\n",
	},
	{
		"a zone of 32 characters",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, zone: "
		"aaaaaaaaaabbbbbbbbbbccccccccccdd}]\n",
		"f:4:50: zone: got aaaaaaaaaabbbbbbbbbbccccccccccdd, wanted 1-31 of letters, "
		"digits, '.', '_', '/', '-'\n",
	},
	{
		"a label with a comma",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, labels: {a: 'x,y'}}]\n",
		"f:4:56: labels: got x,y, wanted letters, digits, '.', '_', '/', '-'\n",
	},
	{
		"a label with an empty key",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, labels: {'': x}}]\n",
		"f:4:57: labels: got key \"\", wanted letters, digits, '.', '_', '/', '-'\n",
	},
	{
		"a label key with an equals sign",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, labels: {a=b: x}}]\n",
		"f:4:58: labels: got key a=b, wanted letters, digits, '.', '_', '/', '-'\n",
	},
	{
		"a label twice",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, labels: {a: x, b: y, a: z}}]\n",
		"f:4:68: labels: got key a a second time, wanted it once\n",
	},
	{
		"labels of 152 bytes",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, labels: {k1: "
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, k2: "
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		"bbb}}]\n",
		"f:4:123: labels: got 152 bytes of labels, wanted 0-151\n",
	},
	{
		"a label that is a list",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, labels: {a: [x]}}]\n",
		"f:4:56: labels: got a list, wanted text or a number\n",
	},
	{
		"a label whose key is a list",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 10.1.0.1, port: 80, labels: {[a]: [x]}}]\n",
		"f:4:53: labels: got a list, wanted text or a number\n",
	},
	{
		"a loopback backend",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [127.0.0.1:80]\n",
		"f:4:14: backends: got 127.0.0.1:80 (a loopback address), wanted a unicast "
		"address\n",
	},
	{
		"a backend without an address of its own",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [{address: 0.0.0.0, port: 80}]\n",
		"f:4:24: address: got 0.0.0.0 (an unspecified address), wanted a unicast address\n",
	},
	{
		"a link-local backend",
		"services:\n"
		"- name: a\n"
		"  vip: '[fd00::1]:80'\n"
		"  backends: ['[fe80::1]:80']\n",
		"f:4:14: backends: got [fe80::1]:80 (a link-local address), wanted a unicast "
		"address\n",
	},
	{
		"the broadcast address as backend",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [255.255.255.255:80]\n",
		"f:4:14: backends: got 255.255.255.255:80 (the broadcast address), wanted a "
		"unicast address\n",
	},
	{
		"a backend twice",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends:\n"
		"  - 10.1.0.1:80\n"
		"  - 10.1.0.2:80\n"
		"  - {address: 10.1.0.1, port: 80, weight: 2}\n",
		"f:7:5: backends: got 10.1.0.1:80 a second time, wanted it once (first at line "
		"5)\n",
	},
	{
		"a VIP that is its own backend",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends: [10.0.0.1:80]\n",
		"f:4:14: backends: got 10.0.0.1:80, which is a VIP of service a, wanted a server\n",
	},
	{
		"a VIP of another service as backend",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80, backends: [10.0.0.2:80]}\n"
		"- {name: b, vip: 10.0.0.2:80}\n",
		"f:2:42: backends: got 10.0.0.2:80, which is a VIP of service b, wanted a server\n",
	},
	{
		"an any-port VIP as backend",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80, backends: [10.0.0.2:8080]}\n"
		"- {name: b, vip: 10.0.0.2:*}\n",
		"f:2:42: backends: got 10.0.0.2:8080, which is a VIP of service b, wanted a "
		"server\n",
	},
	{
		"a VIP as backend without a port",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:*, backends: [10.0.0.2]}\n"
		"- {name: b, vip: 10.0.0.2:80}\n",
		"f:2:41: backends: got 10.0.0.2:*, which is a VIP of service b, wanted a server\n",
	},
	{
		"more of everything than the limits",
		"limits: {services: 1, frontends: 1, backends: 1}\n"
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}\n"
		"- {name: b, vip: 10.0.0.2:80, backends: [10.1.0.1:80]}\n",
		"f:4:3: services: got 2 in all, wanted at most 1 (limits)\n"
		"f:4:18: vips: got 2 in all, wanted at most 1 (limits)\n"
		"f:4:42: backends: got 2 in all, wanted at most 1 (limits)\n",
	},
	{
		"all errors in one run, by place; a bad element is not compared",
		"services:\n"
		"- name: a\n"
		"  vip: 10.0.0.1:80\n"
		"  backends:\n"
		"  - {address: 10.1.0.1, port: 70000}\n"
		"  - {address: 10.1.0.1, port: 90000}\n"
		"- name: b\n"
		"  vip: 10.0.0.1:80\n"
		"  path: slow\n"
		"  backends:\n"
		"  - {address: 10.1.0.1, wieght: 2}\n"
		"- name: a b\n"
		"  protcol: udp\n"
		"  vip: 10.0.0.999:80\n"
		"colour: red\n",
		"f:5:31: port: got 70000, wanted 1-65535\n"
		"f:6:31: port: got 90000, wanted 1-65535\n"
		"f:8:8: vips: got 10.0.0.1:80, which is a VIP of service a (first at line 3), "
		"wanted another\n"
		"f:9:9: path: got slow, wanted fast or stack\n"
		"f:11:5: backends: got 10.1.0.1 without a port, wanted one: VIP 10.0.0.1:80 has "
		"one\n"
		"f:11:25: backends: got key wieght, wanted weight\n"
		"f:12:9: name: got a b, wanted 1-63 of letters, digits, '.', '_', '/', '-'\n"
		"f:13:3: services: got key protcol, wanted protocol\n"
		"f:14:8: vip: got 10.0.0.999:80, wanted an address and a port, as 10.0.0.1:80 or "
		"[fd00::1]:80\n"
		"f:15:1: got key colour, wanted one of interfaces, limits, timeouts, hash_seed, "
		"services\n",
	},
	{
		"what stands before bad YAML is told too",
		"limits: {flows: 1}\n"
		"services: [}\n",
		"f:1:17: flows: got 1, wanted 1024-16777216\n"
		"f:2:12: got bad YAML (while parsing a flow node: did not find expected node "
		"content), wanted good YAML\n",
	},
	{
		"a bad protocol gives no overlap",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80}\n"
		"- {name: b, vip: 10.0.0.1:80, protocol: upd}\n",
		"f:3:41: protocol: got upd, wanted tcp or udp\n",
	},
	{
		"a VIP with a bad port is no fixed one",
		"services:\n"
		"- name: a\n"
		"  vips: [10.0.0.1:*, {address: 10.0.0.2, port: x}]\n"
		"  backends: [10.1.0.1]\n",
		"f:3:48: port: got x, wanted 1-65535 or any\n",
	},
	{
		"two bad protocols give no overlap",
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80, protocol: upd}\n"
		"- {name: b, vip: 10.0.0.1:80, protocol: upd}\n",
		"f:2:41: protocol: got upd, wanted tcp or udp\n"
		"f:3:41: protocol: got upd, wanted tcp or udp\n",
	},
	{
		"a bad VIP has no family",
		"services:\n"
		"- {name: a, vips: [10.0.0.999:80, 10.0.0.1:80], backends: [10.1.0.1:80]}\n",
		"f:2:20: vips: got 10.0.0.999:80, wanted an address and a port, as 10.0.0.1:80 or "
		"[fd00::1]:80\n",
	},
	{
		"a key that shares nothing with its nearest",
		"timeouts: {t: 1s}\n",
		"f:1:12: timeouts: got key t, wanted one of tcp, closing, closed, unproven, udp, "
		"udp_unanswered\n",
	},
};

static void check_bad(const struct bad *bad)
{
	struct config_errors errors;
	struct model model, before;
	char *lines;
	int rc;

	memset(&model, 0x42, sizeof(model));
	before = model;
	rc = config_parse("f", bad->text, strlen(bad->text), &model, &errors);
	lines = lines_of(&errors);
	if (rc != -EINVAL || strcmp(lines, bad->lines))
		fail_msg("%s: %d\ngot:\n%swanted:\n%s", bad->what, rc, lines, bad->lines);
	assert_memory_equal(&model, &before, sizeof(model));
	if (!rc)
		model_free(&model);
	free(lines);
	config_errors_free(&errors);
}

static void test_bad_files_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bads); i++)
		check_bad(&bads[i]);
}

static void test_places_are_sorted_and_the_rest_is_counted(void **state)
{
	struct config_errors errors;
	struct model model;
	char *text, *lines;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("services:\n", out);
	for (int i = 0; i < 150; i++)
		fprintf(out, "- {name: s%d, vip: 10.0.0.1:x}\n", i);
	fclose(out);
	assert_int_equal(config_parse("f", text, len, &model, &errors), -EINVAL);
	assert_int_equal(errors.count, CONFIG_ERRORS_MAX);
	assert_int_equal(errors.left_out, 50);
	for (size_t i = 0; i < errors.count; i++)
		assert_int_equal(errors.errors[i].place.line, 2 + i);
	lines = lines_of(&errors);
	assert_non_null(strstr(lines, "\n... and 50 more\n"));
	free(lines);
	free(text);
	config_errors_free(&errors);
}

static void test_more_rules_than_the_bound_are_refused(void **state)
{
	struct config_errors errors;
	struct model model;
	char *text, *lines;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("interfaces:\n", out);
	for (int i = 0; i < INTERFACES_MAX + 5; i++)
		fprintf(out, "- {match: v%d, role: uplink}\n", i);
	fclose(out);
	assert_int_equal(config_parse("f", text, len, &model, &errors), -EINVAL);
	lines = lines_of(&errors);
	assert_string_equal(lines,
			    "f:258:3: interfaces: got more than 256 elements, wanted 0-256\n");
	free(lines);
	free(text);
	config_errors_free(&errors);
}

/* A duplicate far away is found, and twenty thousand backends are no work. */
static void test_many_backends_are_compared(void **state)
{
	struct config_errors errors;
	struct model model;
	char *text, *lines;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("limits: {backends: 65536}\nservices:\n- name: a\n  vip: 10.0.0.1:80\n  backends:\n",
	      out);
	for (int i = 0; i < 20000; i++)
		fprintf(out, "  - 10.1.%d.%d:80\n", i >> 8, i & 255);
	fputs("  - 10.1.0.0:80\n", out);
	fclose(out);
	assert_int_equal(config_parse("f", text, len, &model, &errors), -EINVAL);
	lines = lines_of(&errors);
	assert_string_equal(lines, "f:20006:5: backends: got 10.1.0.0:80 a second time, "
				   "wanted it once (first at line 6)\n");
	free(lines);
	free(text);
	config_errors_free(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_files_are_refused),
		cmocka_unit_test(test_places_are_sorted_and_the_rest_is_counted),
		cmocka_unit_test(test_more_rules_than_the_bound_are_refused),
		cmocka_unit_test(test_many_backends_are_compared),
	};

	return cmocka_run_group_tests_name("config_errors", tests, NULL, NULL);
}
