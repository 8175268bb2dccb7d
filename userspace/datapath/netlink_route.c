/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * netlink_route.c - routes to VIPs, and what the kernel's tables say about an address.
 */
#include "datapath/netlink.h"
#include "datapath/netlink_socket.h"

#include "base/err.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Each that fails is answered: so few that the answers fit into the socket's receive buffer. */
#define ROUTES_PER_SEND 64

static const struct addr none;

static int addr_family(const struct addr *addr)
{
	return addr_is_v4(addr) ? AF_INET : AF_INET6;
}

static size_t family_len(int family)
{
	return family == AF_INET ? 4 : 16;
}

static void put_addr(struct nlmsghdr *request, uint16_t type, const struct addr *addr)
{
	size_t len = family_len(addr_family(addr));

	mnl_attr_put(request, type, len, addr->bytes + 16 - len);
}

static void set_addr(struct addr *addr, int family, const void *bytes)
{
	size_t len = family_len(family);

	*addr = none;
	if (family == AF_INET)
		memset(addr->bytes + 10, 0xff, 2);
	memcpy(addr->bytes + 16 - len, bytes, len);
}

/* Attribute that holds an address of the message's family; false when it is not there. */
static bool get_addr(const struct nlmsghdr *message, size_t header, uint16_t type,
		     struct addr *ret_addr)
{
	const uint8_t *family = mnl_nlmsg_get_payload(message); /* first in each of the headers */
	const void *bytes = netlink_attr(message, header, type, family_len(*family));

	if (bytes)
		set_addr(ret_addr, *family, bytes);
	return bytes;
}

static void put_route(struct nlmsghdr *request, uint32_t ifindex, const struct netlink_route *route)
{
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(request, sizeof(*rtm));
	bool is_delete = request->nlmsg_type == RTM_DELROUTE;

	rtm->rtm_family = addr_family(&route->vip);
	rtm->rtm_dst_len = 8 * family_len(rtm->rtm_family);
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = WEIR_ROUTE_PROTOCOL;
	rtm->rtm_scope = is_delete ? RT_SCOPE_NOWHERE : RT_SCOPE_LINK;
	rtm->rtm_type = RTN_UNICAST;
	put_addr(request, RTA_DST, &route->vip);
	mnl_attr_put_u32(request, RTA_OIF, ifindex);
	mnl_attr_put_u32(request, RTA_PRIORITY, WEIR_ROUTE_METRIC);
	if (!is_delete && !addr_equal(&route->source, &none))
		put_addr(request, RTA_PREFSRC, &route->source);
}

/* One send of up to ROUTES_PER_SEND routes. */
static int send_routes(struct netlink *netlink, uint16_t type, uint32_t ifindex,
		       const struct netlink_route *routes, size_t count, struct err *err)
{
	uint16_t flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	char text[ADDR_TEXT_LEN];
	size_t i;
	int rc;

	put_route(netlink_begin(netlink, type, flags), ifindex, &routes[0]);
	for (i = 1; i < count; i++)
		put_route(netlink_append(netlink, type, flags), ifindex, &routes[i]);
	if (type == RTM_DELROUTE)
		netlink->tolerated = ESRCH;
	rc = netlink_run(netlink, NULL, NULL);
	if (rc)
		return err_set(err, rc, "route to %s: %s",
			       addr_format(&routes[netlink->failed].vip, text),
			       netlink_cause(netlink, rc));
	return 0;
}
_Static_assert(ROUTES_PER_SEND * 128 + NETLINK_MESSAGE_MAX <=
		       sizeof(((struct netlink *)NULL)->request),
	       "request");

static int change_routes(struct netlink *netlink, uint16_t type, uint32_t ifindex,
			 const struct netlink_route *routes, size_t count, struct err *err)
{
	int first_error = 0;
	size_t i, n;
	int rc;

	for (i = 0; i < count; i += n) {
		n = count - i < ROUTES_PER_SEND ? count - i : ROUTES_PER_SEND;
		rc = send_routes(netlink, type, ifindex, routes + i, n, first_error ? NULL : err);
		if (!first_error)
			first_error = rc;
	}
	return first_error;
}

int netlink_routes_set(struct netlink *netlink, uint32_t ifindex,
		       const struct netlink_route *routes, size_t count, struct err *err)
{
	return change_routes(netlink, RTM_NEWROUTE, ifindex, routes, count, err);
}

int netlink_routes_delete(struct netlink *netlink, uint32_t ifindex,
			  const struct netlink_route *routes, size_t count, struct err *err)
{
	return change_routes(netlink, RTM_DELROUTE, ifindex, routes, count, err);
}

int netlink_route_set(struct netlink *netlink, const struct addr *vip, uint32_t ifindex,
		      const struct addr *source, struct err *err)
{
	struct netlink_route route = {.vip = *vip, .source = source ? *source : none};

	return netlink_routes_set(netlink, ifindex, &route, 1, err);
}

int netlink_route_delete(struct netlink *netlink, const struct addr *vip, uint32_t ifindex,
			 struct err *err)
{
	struct netlink_route route = {.vip = *vip};

	return netlink_routes_delete(netlink, ifindex, &route, 1, err);
}

/* The list comes first: netlink_dump hands it to add_route. */
struct route_dump {
	struct netlink_list list;
	uint8_t family;
	uint32_t ifindex;
};

/*
 * The kernel has filtered by protocol and interface, if it can (4.20), but not by the rest; and
 * one without IPv6 answers a dump of its routes with those of all families.
 */
static bool is_ours(const struct nlmsghdr *message, const struct route_dump *dump)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(message);

	return message->nlmsg_type == RTM_NEWROUTE && rtm->rtm_family == dump->family &&
	       rtm->rtm_protocol == WEIR_ROUTE_PROTOCOL && rtm->rtm_table == RT_TABLE_MAIN &&
	       rtm->rtm_dst_len == 8 * family_len(rtm->rtm_family) &&
	       netlink_attr_u32(message, sizeof(*rtm), RTA_PRIORITY) == WEIR_ROUTE_METRIC &&
	       netlink_attr_u32(message, sizeof(*rtm), RTA_OIF) == dump->ifindex;
}

static int add_route(const struct nlmsghdr *message, void *arg)
{
	struct route_dump *dump = arg;
	struct netlink_route *route;

	if (!is_ours(message, dump))
		return 0;
	route = netlink_list_add(&dump->list);
	if (!route)
		return -ENOMEM;
	get_addr(message, sizeof(struct rtmsg), RTA_DST, &route->vip);
	get_addr(message, sizeof(struct rtmsg), RTA_PREFSRC, &route->source);
	return 0;
}

static int dump_routes(struct netlink *netlink, struct route_dump *dump)
{
	struct nlmsghdr *request = netlink_begin(netlink, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(request, sizeof(*rtm));

	rtm->rtm_family = dump->family;
	rtm->rtm_protocol = WEIR_ROUTE_PROTOCOL;
	mnl_attr_put_u32(request, RTA_OIF, dump->ifindex);
	return netlink_dump(netlink, add_route, &dump->list);
}

int netlink_routes(struct netlink *netlink, uint32_t ifindex, struct netlink_route **ret_routes,
		   size_t *ret_count, struct err *err)
{
	struct route_dump dump = {
		.list.size = sizeof(struct netlink_route),
		.family = AF_INET,
		.ifindex = ifindex,
	};
	int rc = dump_routes(netlink, &dump);

	if (!rc) {
		dump.family = AF_INET6;
		rc = dump_routes(netlink, &dump);
	}
	if (rc) {
		free(dump.list.items);
		return err_set(err, rc, "routes out of interface %u: %s", ifindex,
			       netlink_cause(netlink, rc));
	}
	*ret_routes = dump.list.items;
	*ret_count = dump.list.count;
	return 0;
}

struct lookup {
	uint8_t type; /* RTN_* */
	bool has_source;
	struct addr source;
};

static int take_lookup(const struct nlmsghdr *message, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(message);
	struct lookup *lookup = arg;

	lookup->type = rtm->rtm_type;
	lookup->has_source = get_addr(message, sizeof(*rtm), RTA_PREFSRC, &lookup->source);
	return 0;
}

/* `ip route get`: the route that a packet to `addr` would take. */
static int look_up(struct netlink *netlink, const struct addr *addr, struct lookup *ret_lookup)
{
	struct nlmsghdr *request = netlink_begin(netlink, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(request, sizeof(*rtm));

	rtm->rtm_family = addr_family(addr);
	rtm->rtm_dst_len = 8 * family_len(rtm->rtm_family);
	put_addr(request, RTA_DST, addr);
	return netlink_run(netlink, take_lookup, ret_lookup);
}

/* IPv4 answers with an error where IPv6 answers with a route of such a type. */
static int type_error(uint8_t type)
{
	switch (type) {
	case RTN_BLACKHOLE:
		return -EINVAL;
	case RTN_PROHIBIT:
		return -EACCES;
	case RTN_UNREACHABLE:
		return -EHOSTUNREACH;
	default:
		return -ENETUNREACH;
	}
}

int netlink_source(struct netlink *netlink, const struct addr *addr, struct addr *ret_source,
		   struct err *err)
{
	struct lookup lookup = {};
	char text[ADDR_TEXT_LEN];
	int rc = look_up(netlink, addr, &lookup);

	if (!rc && (!lookup.has_source || addr_equal(&lookup.source, &none)))
		rc = type_error(lookup.type);
	if (rc)
		return err_set(err, rc, "source address towards %s: %s", addr_format(addr, text),
			       netlink_cause(netlink, rc));
	*ret_source = lookup.source;
	return 0;
}

int netlink_is_local(struct netlink *netlink, const struct addr *addr, bool *ret_is_local,
		     struct err *err)
{
	struct lookup lookup = {};
	char text[ADDR_TEXT_LEN];
	int rc = look_up(netlink, addr, &lookup);

	switch (-rc) {
	case 0:
	case ENETUNREACH: /* no route, or one of the types that refuse: certainly not local */
	case EHOSTUNREACH:
	case EACCES:
	case EINVAL:
		*ret_is_local = !rc && lookup.type == RTN_LOCAL;
		return 0;
	default:
		return err_set(err, rc, "route to %s: %s", addr_format(addr, text),
			       netlink_cause(netlink, rc));
	}
}

static int add_address(const struct nlmsghdr *message, void *arg)
{
	struct addr *addr = netlink_list_add(arg);

	if (!addr)
		return -ENOMEM;
	/* With a point-to-point address, IFA_ADDRESS is the other end's. */
	if (!get_addr(message, sizeof(struct ifaddrmsg), IFA_LOCAL, addr))
		get_addr(message, sizeof(struct ifaddrmsg), IFA_ADDRESS, addr);
	return 0;
}

int netlink_addresses(struct netlink *netlink, struct addr **ret_addrs, size_t *ret_count,
		      struct err *err)
{
	struct netlink_list list = {.size = sizeof(struct addr)};
	struct nlmsghdr *request = netlink_begin(netlink, RTM_GETADDR, NLM_F_DUMP);
	int rc;

	mnl_nlmsg_put_extra_header(request, sizeof(struct ifaddrmsg));
	rc = netlink_dump(netlink, add_address, &list);
	if (rc) {
		free(list.items);
		return err_set(err, rc, "list of addresses: %s", netlink_cause(netlink, rc));
	}
	*ret_addrs = list.items;
	*ret_count = list.count;
	return 0;
}
