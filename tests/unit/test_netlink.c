/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_netlink.c - links, the pair, routes and addresses, against the kernel: each test in a new
 * network namespace. Needs root and iproute2, which makes what others would have made.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "datapath/netlink.h"
#include "datapath/netlink_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const uint8_t pair_mac[6] = {0x02, 0x57, 0x45, 0x49, 0x52, 0x00};

static int run(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command);
}

static void must(const char *command)
{
	if (run("%s", command))
		fail_msg("failed: %s", command);
}

static struct addr addr_of(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr, NULL), 0);
	return addr;
}

static void assert_addr(const struct addr *addr, const char *text)
{
	char got[ADDR_TEXT_LEN];

	assert_string_equal(addr_format(addr, got), text);
}

/* A new namespace with d0 (10.1.0.1/24, fd00:1::1/64), whose other end is p0. */
static int enter_namespace(void **state)
{
	struct netlink *netlink = NULL;

	*state = NULL;
	if (unshare(CLONE_NEWNET))
		return errno == EPERM ? 0 : -1;
	if (run("ip link set lo up && ip link add d0 type veth peer name p0 &&"
		"ip link set d0 up && ip link set p0 up && ip addr add 10.1.0.1/24 dev d0 &&"
		"ip addr add fd00:1::1/64 dev d0 nodad"))
		return -1;
	if (netlink_open(&netlink, NULL))
		return -1;
	*state = netlink;
	return 0;
}

static int leave_namespace(void **state)
{
	netlink_close(*state);
	return 0;
}

static struct netlink *need_namespace(void **state)
{
	if (!*state) {
		print_message("SKIP: a network namespace needs root (CAP_SYS_ADMIN)\n");
		skip();
	}
	return *state;
}

static struct netlink_link link_of(struct netlink *netlink, const char *name)
{
	struct netlink_link link;
	struct err err = {};

	if (netlink_link(netlink, name, &link, &err))
		fail_msg("%s", err.text);
	return link;
}

static struct netlink_link add_pair(struct netlink *netlink)
{
	struct err err = {};

	if (netlink_pair_add(netlink, "weir0", "weir1", 1500, &err))
		fail_msg("%s", err.text);
	return link_of(netlink, "weir0");
}

static void links_are_listed_with_what_they_are(void **state)
{
	struct netlink *netlink = need_namespace(state);
	const struct netlink_link *bridge = NULL, *port = NULL, *lo = NULL;
	struct netlink_link *links;
	size_t count;

	must("ip link add br0 address 02:00:00:00:00:07 type bridge");
	must("ip link set p0 master br0 mtu 1400");
	assert_int_equal(netlink_links(netlink, &links, &count, NULL), 0);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(links[i].name, "br0"))
			bridge = &links[i];
		if (!strcmp(links[i].name, "p0"))
			port = &links[i];
		if (!strcmp(links[i].name, "lo"))
			lo = &links[i];
	}
	assert_true(bridge && port && lo);
	assert_string_equal(bridge->kind, "bridge");
	assert_int_equal(bridge->type, ARPHRD_ETHER);
	assert_int_equal(bridge->master, 0);
	assert_memory_equal(bridge->mac, "\x02\0\0\0\0\x07", 6);
	assert_false(bridge->flags & IFF_UP);
	assert_string_equal(port->kind, "veth");
	assert_int_equal(port->master, bridge->ifindex);
	assert_int_equal(port->mtu, 1400);
	assert_int_equal(port->peer, if_nametoindex("d0"));
	assert_int_equal(port->ifindex, if_nametoindex("p0"));
	assert_false(port->has_peer_elsewhere);
	assert_true(port->flags & IFF_UP);
	assert_int_equal(lo->type, ARPHRD_LOOPBACK);
	assert_string_equal(lo->kind, "");
	free(links);
}

static void other_end_elsewhere_is_seen(void **state)
{
	struct netlink *netlink = need_namespace(state);
	char command[64];
	char byte = 0;
	int ends[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pid = fork();
	if (!pid) {
		/* Says when it is in a namespace of its own, and stays until the test closes. */
		close(ends[0]);
		if (unshare(CLONE_NEWNET) || write(ends[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(ends[1], &byte, 1) != 0);
	}
	assert_true(pid > 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	snprintf(command, sizeof(command), "ip link set p0 netns %d", pid);
	must(command);
	assert_true(link_of(netlink, "d0").has_peer_elsewhere);
	close(ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void absent_link_is_named(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct netlink_link link = {.ifindex = 99};
	struct err err = {};

	assert_int_equal(netlink_link(netlink, "nope0", &link, &err), -ENODEV);
	assert_string_equal(err.text, "link nope0: No such device");
	assert_int_equal(netlink_link(netlink, "a-name-of-16-chr", &link, &err), -ENODEV);
	assert_int_equal(netlink_link(netlink, "", &link, &err), -ENODEV);
	assert_int_equal(link.ifindex, 99);
	assert_int_equal(netlink_link_delete(netlink, "nope0", &err), -ENODEV);
	assert_string_equal(err.text, "link nope0: delete: No such device");
	assert_int_equal(netlink_link(netlink, "nope0", &link, NULL), -ENODEV);
}

static long sysctl_of(const char *path)
{
	long value = -1;
	struct err err = {};

	if (netlink_sysctl_get(path, &value, &err))
		fail_msg("%s", err.text);
	return value;
}

static void pair_is_as_the_packet_path_needs_it(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct netlink_link host, node;

	must("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
	assert_int_equal(netlink_pair_add(netlink, "weir0", "weir1", 1400, NULL), 0);
	host = link_of(netlink, "weir0");
	node = link_of(netlink, "weir1");
	assert_string_equal(host.kind, "veth");
	assert_int_equal(host.peer, node.ifindex);
	assert_int_equal(node.peer, host.ifindex);
	assert_int_equal(host.mtu, 1400);
	assert_int_equal(node.mtu, 1400);
	assert_memory_equal(host.mac, pair_mac, 6);
	assert_memory_equal(node.mac, pair_mac, 6);
	assert_int_equal(host.flags & (IFF_UP | IFF_NOARP), IFF_UP | IFF_NOARP);
	assert_int_equal(node.flags & (IFF_UP | IFF_NOARP), IFF_UP | IFF_NOARP);
	assert_int_equal(sysctl_of("ipv4/conf/weir0/rp_filter"), 2);
	assert_int_equal(sysctl_of("ipv4/conf/weir1/rp_filter"), 2);
	assert_int_equal(sysctl_of("ipv4/conf/weir1/accept_local"), 1);
	assert_int_equal(sysctl_of("ipv4/conf/weir0/accept_local"), 1);
	assert_int_equal(sysctl_of("ipv4/conf/weir1/forwarding"), 1);
	assert_int_equal(sysctl_of("ipv4/conf/weir0/forwarding"), 0);
	assert_int_equal(sysctl_of("ipv4/conf/weir1/send_redirects"), 0);
	assert_int_equal(sysctl_of("ipv6/conf/weir0/disable_ipv6"), 0);
	assert_int_equal(sysctl_of("ipv6/conf/weir0/accept_ra"), 0);
	assert_int_equal(sysctl_of("ipv6/conf/weir1/accept_dad"), 0);
	assert_int_equal(sysctl_of("ipv6/conf/weir1/forwarding"), 1);
	assert_int_equal(sysctl_of("ipv6/conf/all/forwarding"), 0);
	assert_int_not_equal(run("ip addr show dev weir0 | grep -q inet"), 0);
	assert_int_not_equal(run("ip -6 addr show dev weir1 | grep -q inet"), 0);
	assert_int_equal(netlink_link_delete(netlink, "weir1", NULL), 0);
	assert_int_equal(netlink_link(netlink, "weir0", &host, NULL), -ENODEV);
}

static void pair_that_is_there_is_left_alone(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct netlink_link link;
	struct err err = {};

	assert_int_equal(netlink_pair_add(netlink, "weir0", "d0", 1500, &err), -EEXIST);
	assert_string_equal(err.text, "veth pair weir0 and d0: File exists");
	assert_int_equal(netlink_link(netlink, "weir0", &link, NULL), -ENODEV);
	add_pair(netlink);
	link = link_of(netlink, "weir1");
	assert_int_equal(netlink_pair_add(netlink, "weir0", "weir1", 1500, NULL), -EEXIST);
	assert_int_equal(link_of(netlink, "weir1").ifindex, link.ifindex);
}

static void bad_mtu_leaves_no_pair(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct netlink_link link;
	struct err err = {};

	assert_int_equal(netlink_pair_add(netlink, "weir0", "weir1", 70000, &err), -EINVAL);
	assert_non_null(strstr(err.text, "veth pair weir0 and weir1: Invalid argument"));
	assert_int_equal(netlink_link(netlink, "weir0", &link, NULL), -ENODEV);
	assert_int_equal(netlink_link(netlink, "weir1", &link, NULL), -ENODEV);
}

/* The next packet on a packet socket; its length, and where it came from. */
static ssize_t next_packet(int fd, uint8_t *packet, size_t size, struct sockaddr_ll *from)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	socklen_t len = sizeof(*from);

	if (poll(&pollfd, 1, 2000) != 1)
		fail_msg("no packet within 2 s");
	return recvfrom(fd, packet, size, 0, (struct sockaddr *)from, &len);
}

static int listen_on(const char *name)
{
	struct sockaddr_ll place = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&place, sizeof(place)), 0);
	return fd;
}

static void send_datagram(const char *to)
{
	struct addr addr = addr_of(to);
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(53)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	bool is_v4 = addr_is_v4(&addr);
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);

	memcpy(&v4.sin_addr, addr.bytes + 12, 4);
	memcpy(&v6.sin6_addr, addr.bytes, 16);
	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, "hello", 5, 0,
				is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
				is_v4 ? sizeof(v4) : sizeof(v6)),
			 5);
	close(fd);
}

/* Skip our own transmissions; what else arrives counts: nobody else may speak on the pair. */
static void next_arrival(int fd, uint8_t *packet, size_t size)
{
	struct sockaddr_ll from = {.sll_pkttype = PACKET_OUTGOING};

	while (from.sll_pkttype == PACKET_OUTGOING)
		assert_true(next_packet(fd, packet, size, &from) > 0);
	assert_int_equal(from.sll_pkttype, PACKET_HOST);
	assert_memory_equal(packet, pair_mac, 6);
	assert_memory_equal(packet + 6, pair_mac, 6);
}

static void datagram_to_a_vip_arrives_at_the_other_end(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct addr source4 = addr_of("10.1.0.1"), source6 = addr_of("fd00:1::1");
	struct addr vip4 = addr_of("192.0.2.10"), vip6 = addr_of("2001:db8::10");
	uint8_t frame[2 + 2048] __attribute__((aligned(4))), *packet = frame + 2;
	struct ip *ip = (void *)(packet + 14);
	struct ip6_hdr *ip6 = (void *)(packet + 14);
	uint32_t host;
	int fd;

	must("echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter");
	host = add_pair(netlink).ifindex;
	fd = listen_on("weir1");
	assert_int_equal(netlink_route_set(netlink, &vip4, host, &source4, NULL), 0);
	assert_int_equal(netlink_route_set(netlink, &vip6, host, &source6, NULL), 0);

	send_datagram("2001:db8::10");
	next_arrival(fd, packet, 2048);
	assert_int_equal(packet[12] << 8 | packet[13], ETH_P_IPV6);
	assert_memory_equal(&ip6->ip6_dst, vip6.bytes, 16);
	assert_memory_equal(&ip6->ip6_src, source6.bytes, 16);
	assert_int_equal(ip6->ip6_nxt, IPPROTO_UDP);

	send_datagram("192.0.2.10");
	next_arrival(fd, packet, 2048);
	assert_int_equal(packet[12] << 8 | packet[13], ETH_P_IP);
	assert_memory_equal(&ip->ip_dst, vip4.bytes + 12, 4);
	assert_memory_equal(&ip->ip_src, source4.bytes + 12, 4);
	assert_int_equal(ip->ip_p, IPPROTO_UDP);
	assert_int_equal(ip->ip_ttl, 64);

	/*
	 * Without our program, the stack routes it on, out of weir0 again: so `path: stack` works
	 * for it, although its source is an address of this node and rp_filter is strict.
	 */
	next_arrival(fd, packet, 2048);
	assert_memory_equal(&ip->ip_dst, vip4.bytes + 12, 4);
	assert_int_equal(ip->ip_ttl, 63);
	close(fd);
}

static const struct netlink_route *find_route(const struct netlink_route *routes, size_t count,
					      const char *vip)
{
	struct addr addr = addr_of(vip);

	for (size_t i = 0; i < count; i++) {
		if (addr_equal(&routes[i].vip, &addr))
			return &routes[i];
	}
	fail_msg("no route to %s", vip);
	return NULL;
}

static size_t count_routes(struct netlink *netlink, uint32_t ifindex)
{
	struct netlink_route *routes;
	size_t count;

	assert_int_equal(netlink_routes(netlink, ifindex, &routes, &count, NULL), 0);
	free(routes);
	return count;
}

static void routes_are_set_replaced_and_deleted(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct addr vip4 = addr_of("192.0.2.1"), vip6 = addr_of("2001:db8::1");
	struct addr source4 = addr_of("10.1.0.1"), source6 = addr_of("fd00:1::1");
	struct addr other4 = addr_of("10.1.0.2"), got;
	uint32_t host = add_pair(netlink).ifindex;
	struct netlink_route *routes;
	size_t count;

	must("ip addr add 10.1.0.2/24 dev d0");
	assert_int_equal(count_routes(netlink, host), 0);
	assert_int_equal(netlink_route_set(netlink, &vip4, host, &source4, NULL), 0);
	assert_int_equal(netlink_route_set(netlink, &vip6, host, NULL, NULL), 0);
	assert_int_equal(netlink_routes(netlink, host, &routes, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_addr(&find_route(routes, count, "192.0.2.1")->source, "10.1.0.1");
	assert_addr(&find_route(routes, count, "2001:db8::1")->source, "::");
	free(routes);

	assert_int_equal(netlink_route_set(netlink, &vip4, host, &other4, NULL), 0);
	assert_int_equal(netlink_route_set(netlink, &vip6, host, &source6, NULL), 0);
	assert_int_equal(count_routes(netlink, host), 2);
	assert_int_equal(netlink_source(netlink, &vip4, &got, NULL), 0);
	assert_addr(&got, "10.1.0.2");
	assert_int_equal(netlink_source(netlink, &vip6, &got, NULL), 0);
	assert_addr(&got, "fd00:1::1");

	assert_int_equal(netlink_route_delete(netlink, &vip4, host, NULL), 0);
	assert_int_equal(count_routes(netlink, host), 1);
	assert_int_equal(netlink_route_delete(netlink, &vip4, host, NULL), 0);
	assert_int_equal(netlink_route_delete(netlink, &vip6, host, NULL), 0);
	assert_int_equal(count_routes(netlink, host), 0);
}

static void routes_of_others_stay(void **state)
{
	static const char *const theirs[] = {
		"192.0.2.1/32 dev d0 proto static",
		"192.0.2.2/32 dev weir0 proto static",
		"192.0.2.3/32 dev weir0 proto static metric 5",
		"192.0.2.0/28 dev weir0 proto 87 metric 87",
		"2001:db8::1/128 dev d0 proto static",
		"2001:db8::2/128 dev weir0 proto static",
	};
	static const char *const vips[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1",
					   "2001:db8::2"};
	struct netlink *netlink = need_namespace(state);
	uint32_t host = add_pair(netlink).ifindex;
	const size_t count = sizeof(vips) / sizeof(vips[0]);

	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		assert_int_equal(run("ip route add %s", theirs[i]), 0);
	for (size_t i = 0; i < count; i++) {
		struct addr vip = addr_of(vips[i]);

		assert_int_equal(netlink_route_delete(netlink, &vip, host, NULL), 0);
		assert_int_equal(netlink_route_set(netlink, &vip, host, NULL, NULL), 0);
	}
	assert_int_equal(count_routes(netlink, host), count);
	for (size_t i = 0; i < count; i++) {
		struct addr vip = addr_of(vips[i]);

		assert_int_equal(netlink_route_delete(netlink, &vip, host, NULL), 0);
	}
	assert_int_equal(count_routes(netlink, host), 0);
	/* Each is still there exactly as it was made: it can be deleted so. */
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		assert_int_equal(run("ip route del %s", theirs[i]), 0);
}

#define MANY 3000

static struct netlink_route *many_routes(void)
{
	struct netlink_route *routes = calloc(MANY, sizeof(*routes));

	assert_non_null(routes);
	for (uint32_t i = 0; i < MANY; i++) {
		routes[i].vip = addr_of(i % 2 ? "192.0.0.0" : "2001:db8::");
		routes[i].vip.bytes[14] = i >> 8;
		routes[i].vip.bytes[15] = i;
	}
	return routes;
}

static void many_routes_go_on_after_one_that_fails(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct netlink_route *routes = many_routes();
	uint32_t host = add_pair(netlink).ifindex;
	struct err err = {};

	routes[100].source = addr_of("2001:db8:ffff::1"); /* not ours: refused */
	routes[2001].source = addr_of("10.77.0.1");
	assert_int_equal(netlink_routes_set(netlink, host, routes, MANY, &err), -EINVAL);
	assert_non_null(strstr(err.text, "route to 2001:db8::64: Invalid argument"));
	assert_int_equal(count_routes(netlink, host), MANY - 2);
	assert_int_equal(netlink_routes_delete(netlink, host, routes, MANY, &err), 0);
	assert_int_equal(count_routes(netlink, host), 0);
	free(routes);
}

static void every_failure_of_a_full_send_is_survived(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct netlink_route *routes = many_routes();
	struct addr vip = addr_of("192.0.2.1");
	uint32_t host = add_pair(netlink).ifindex;
	struct err err = {};

	assert_int_equal(netlink_routes_set(netlink, 9999, routes, MANY, &err), -ENODEV);
	assert_non_null(strstr(err.text, "route to 2001:db8::: No such device"));
	/* Nothing of it is left in the socket. */
	assert_int_equal(netlink_route_set(netlink, &vip, host, NULL, &err), 0);
	assert_int_equal(count_routes(netlink, host), 1);
	free(routes);
}

static void ipv6_switched_off_is_said(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct netlink_route routes[] = {{.vip = addr_of("2001:db8::1")},
					 {.vip = addr_of("192.0.2.1")}};
	uint32_t host = add_pair(netlink).ifindex;
	struct err err = {};

	assert_int_equal(netlink_sysctl_set("ipv6/conf/weir0/disable_ipv6", "1", &err), 0);
	assert_true(netlink_routes_set(netlink, host, routes, 2, &err) < 0);
	assert_non_null(strstr(err.text, "route to 2001:db8::1: "));
	assert_non_null(strstr(err.text, "IPv6 is disabled"));
	assert_int_equal(count_routes(netlink, host), 1);
}

static void source_is_what_the_kernel_would_use(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct addr near4 = addr_of("10.1.0.9"), near6 = addr_of("fd00:1::9"), got;
	struct addr far4 = addr_of("203.0.113.1"), far6 = addr_of("2001:db8:1::1");
	struct err err = {};

	assert_int_equal(netlink_source(netlink, &near4, &got, NULL), 0);
	assert_addr(&got, "10.1.0.1");
	assert_int_equal(netlink_source(netlink, &near6, &got, NULL), 0);
	assert_addr(&got, "fd00:1::1");
	assert_int_equal(netlink_source(netlink, &far4, &got, &err), -ENETUNREACH);
	assert_string_equal(err.text, "source address towards 203.0.113.1: Network is unreachable");
	assert_int_equal(netlink_source(netlink, &far6, &got, &err), -ENETUNREACH);
	assert_addr(&got, "fd00:1::1");
	must("ip route add unreachable 203.0.113.0/24");
	must("ip route add unreachable 2001:db8:1::/48");
	assert_int_equal(netlink_source(netlink, &far4, &got, NULL), -EHOSTUNREACH);
	assert_int_equal(netlink_source(netlink, &far6, &got, NULL), -EHOSTUNREACH);
}

static void local_addresses_are_known(void **state)
{
	static const struct {
		const char *addr;
		bool is_local;
	} rows[] = {
		{"10.1.0.1", true},     {"10.1.0.9", false},    {"10.1.0.255", false},
		{"127.0.0.1", true},    {"fd00:1::1", true},    {"fd00:1::2", false},
		{"::1", true},          {"10.9.0.1", true},     {"10.9.0.2", false},
		{"203.0.113.1", false}, {"2001:db8::1", false},
	};
	struct netlink *netlink = need_namespace(state);
	struct addr *addrs;
	size_t count;

	must("ip addr add 10.9.0.1 peer 10.9.0.2 dev p0");
	assert_int_equal(netlink_addresses(netlink, &addrs, &count, NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr = addr_of(rows[i].addr);
		bool is_local = !rows[i].is_local, is_listed = false;

		assert_int_equal(netlink_is_local(netlink, &addr, &is_local, NULL), 0);
		assert_int_equal(is_local, rows[i].is_local);
		for (size_t j = 0; j < count; j++)
			is_listed |= addr_equal(&addrs[j], &addr);
		assert_int_equal(is_listed, rows[i].is_local);
	}
	free(addrs);
}

struct toggler {
	struct netlink *netlink;
	uint32_t ifindex;
	bool is_over;
};

/* Comes and goes: each change makes a dump that is under way inconsistent. */
static void *toggle_links(void *arg)
{
	const struct timespec pause = {.tv_nsec = 200 * 1000};
	struct toggler *toggler = arg;

	while (!__atomic_load_n(&toggler->is_over, __ATOMIC_RELAXED)) {
		netlink_pair_add(toggler->netlink, "t0", "t1", 1500, NULL);
		netlink_link_delete(toggler->netlink, "t0", NULL);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* Until the kernel has called a dump inconsistent: then there was one request more. */
static void list_is_whole_while_links_come_and_go(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct toggler toggler = {};
	struct netlink_link *links;
	uint32_t first, requests = 0;
	pthread_t thread;
	size_t count;

	for (int i = 0; i < 60; i++)
		assert_int_equal(run("ip link add x%d type veth peer name y%d", i, i), 0);
	assert_int_equal(netlink_open(&toggler.netlink, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, toggle_links, &toggler), 0);
	for (int round = 0; round < 5000 && requests <= 2; round++) {
		size_t stable = 0;

		first = netlink->last;
		assert_int_equal(netlink_links(netlink, &links, &count, NULL), 0);
		requests = netlink->last - first;
		for (size_t i = 0; i < count; i++)
			stable += links[i].name[0] == 'x' || links[i].name[0] == 'y';
		assert_int_equal(stable, 120);
		assert_true(count == 123 || count == 124 || count == 125);
		free(links);
	}
	__atomic_store_n(&toggler.is_over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	netlink_close(toggler.netlink);
	assert_true(requests > 2); /* one is begun, one is sent, and again */
}

static void answer_to_an_older_request_is_passed_over(void **state)
{
	struct netlink *netlink = need_namespace(state);
	struct netlink_link link;
	struct nlmsghdr *request = netlink_begin(netlink, RTM_GETLINK, 0);

	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request, IFLA_IFNAME, "p0");
	assert_true(mnl_socket_sendto(netlink->socket, request, request->nlmsg_len) > 0);
	assert_int_equal(netlink_link(netlink, "nope0", &link, NULL), -ENODEV);
	assert_true(mnl_socket_sendto(netlink->socket, request, request->nlmsg_len) > 0);
	assert_string_equal(link_of(netlink, "d0").name, "d0");
}

static void sysctls_are_written_and_read(void **state)
{
	struct err err = {};
	long value = 0;

	need_namespace(state);
	assert_int_equal(netlink_sysctl_set("ipv4/conf/d0/rp_filter", "2", &err), 0);
	assert_int_equal(netlink_sysctl_get("ipv4/conf/d0/rp_filter", &value, &err), 0);
	assert_int_equal(value, 2);
	assert_int_equal(netlink_sysctl_set("ipv4/conf/d0/nonsense", "2", &err), -ENOENT);
	assert_string_equal(err.text,
			    "/proc/sys/net/ipv4/conf/d0/nonsense: No such file or directory");
	assert_int_equal(netlink_sysctl_set("ipv4/conf/d0/rp_filter", "x", &err), -EINVAL);
	assert_string_equal(err.text, "/proc/sys/net/ipv4/conf/d0/rp_filter: x: Invalid argument");
	assert_int_equal(netlink_sysctl_get("ipv4/tcp_congestion_control", &value, &err), -EINVAL);
	assert_non_null(strstr(err.text, "wanted a number"));
	assert_int_equal(value, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_namespace, leave_namespace)
		TEST(links_are_listed_with_what_they_are),
		TEST(other_end_elsewhere_is_seen),
		TEST(absent_link_is_named),
		TEST(pair_is_as_the_packet_path_needs_it),
		TEST(pair_that_is_there_is_left_alone),
		TEST(bad_mtu_leaves_no_pair),
		TEST(datagram_to_a_vip_arrives_at_the_other_end),
		TEST(routes_are_set_replaced_and_deleted),
		TEST(routes_of_others_stay),
		TEST(many_routes_go_on_after_one_that_fails),
		TEST(every_failure_of_a_full_send_is_survived),
		TEST(ipv6_switched_off_is_said),
		TEST(source_is_what_the_kernel_would_use),
		TEST(local_addresses_are_known),
		TEST(list_is_whole_while_links_come_and_go),
		TEST(answer_to_an_older_request_is_passed_over),
		TEST(sysctls_are_written_and_read),
	};

	return cmocka_run_group_tests_name("netlink", tests, NULL, NULL);
}
