/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * netlink.h - what Weir asks of rtnetlink, by libmnl: links, addresses, routes to VIPs, and the
 * veth pair for processes of this node. Addresses are struct addr (IPv4 mapped); errors carry a
 * message that names the object. Everything happens in the network namespace of the process.
 *
 * netlink.c is the socket and the sysctls, netlink_link.c links and the pair, netlink_route.c
 * routes and addresses; what they share is in netlink_socket.h.
 */
#ifndef WEIR_NETLINK_H
#define WEIR_NETLINK_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct netlink; /* an open NETLINK_ROUTE socket */

int netlink_open(struct netlink **ret_netlink, struct err *err);
void netlink_close(struct netlink *netlink); /* NULL is fine */

struct netlink_link {
	uint32_t ifindex;
	char name[16];
	char kind[16]; /* "veth", "bridge", ""... (IFLA_INFO_KIND) */
	uint16_t type; /* ARPHRD_*: only ARPHRD_ETHER can carry Weir */
	uint32_t flags; /* IFF_* */
	uint32_t mtu;
	uint32_t master; /* ifindex of its bridge or bond, or 0 */
	uint32_t peer; /* IFLA_LINK: ifindex of the other end, in its namespace */
	bool has_peer_elsewhere; /* IFLA_LINK_NETNSID is there: the other end is in another namespace */
	bool is_port; /* of a bridge */
	uint8_t mac[6];
};

/* All links; the array is the caller's to free(3). */
int netlink_links(struct netlink *netlink, struct netlink_link **ret_links, size_t *ret_count,
		  struct err *err);
int netlink_link(struct netlink *netlink, const char *name, struct netlink_link *ret_link,
		 struct err *err); /* -ENODEV */

/*
 * The pair: `host` gets the routes to VIPs, `node` carries our program. Both have the same MAC,
 * IFF_NOARP, the given MTU, are up, and have no IPv6 address generation. -EEXIST when one is there.
 * Also sets the sysctls of the two (netlink_link.c has the table): no strict rp_filter, packets
 * from an address of this node are accepted, no redirects, no router advertisements, IPv6 on,
 * and forwarding on `node`; and gives `node` the address 192.0.0.8, without which the stack would
 * refuse packets from an address of this node there. After a failure neither link is there.
 */
int netlink_pair_add(struct netlink *netlink, const char *host, const char *node, uint32_t mtu,
		     struct err *err);
int netlink_link_delete(struct netlink *netlink, const char *name, struct err *err);

/*
 * Our routes: to a VIP (/32, /128), in table main, protocol WEIR_ROUTE_PROTOCOL. They have a
 * metric of their own, so that a route to the same address by somebody else is never replaced: in
 * IPv4, one without a metric wins over ours.
 */
#define WEIR_ROUTE_PROTOCOL 87 /* 'W': RTPROT_ of our routes */
#define WEIR_ROUTE_METRIC   87
struct netlink_route {
	struct addr vip;
	struct addr source; /* preferred; all zero: the kernel's choice */
};

/* Route to `vip` out of `ifindex`; ours is replaced if it is there. `source` NULL: any. */
int netlink_route_set(struct netlink *netlink, const struct addr *vip, uint32_t ifindex,
		      const struct addr *source, struct err *err);
int netlink_route_delete(struct netlink *netlink, const struct addr *vip, uint32_t ifindex,
			 struct err *err); /* absent is fine */

/* The same for many, in few system calls. Goes on after a failure; the first one is returned. */
int netlink_routes_set(struct netlink *netlink, uint32_t ifindex,
		       const struct netlink_route *routes, size_t count, struct err *err);
int netlink_routes_delete(struct netlink *netlink, uint32_t ifindex,
			  const struct netlink_route *routes, size_t count, struct err *err);

/* Our routes out of `ifindex`, in no order; free(3) the array. */
int netlink_routes(struct netlink *netlink, uint32_t ifindex, struct netlink_route **ret_routes,
		   size_t *ret_count, struct err *err);

/* The source address that the kernel would use towards `addr`; -ENETUNREACH and others. */
int netlink_source(struct netlink *netlink, const struct addr *addr, struct addr *ret_source,
		   struct err *err);
/* Is it an address of this node (RTN_LOCAL)? */
int netlink_is_local(struct netlink *netlink, const struct addr *addr, bool *ret_is_local,
		     struct err *err);
/* All addresses of this node's interfaces, in no order; free(3) the array. */
int netlink_addresses(struct netlink *netlink, struct addr **ret_addrs, size_t *ret_count,
		      struct err *err);

/* Write and read /proc/sys/net/PATH ("ipv4/conf/eth0/rp_filter"); -ENOENT: the caller judges. */
int netlink_sysctl_set(const char *path, const char *value, struct err *err);
int netlink_sysctl_get(const char *path, long *ret_value, struct err *err);

#endif
