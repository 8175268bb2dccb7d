/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * netlink_link.c - links: what there is, and the veth pair that brings packets of this node's
 * processes to our program.
 *
 * Both ends of the pair have one MAC, and neither asks for neighbours: the kernel then fills in
 * the MAC of the device itself as that of every neighbour, which is also that of the other end.
 */
#include "datapath/netlink.h"
#include "datapath/netlink_socket.h"

#include "base/err.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t pair_mac[6] = {0x02, 'W', 'E', 'I', 'R', 0x00}; /* locally administered */

static void read_kind(const struct nlattr *linkinfo, struct netlink_link *link)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, linkinfo)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			snprintf(link->kind, sizeof(link->kind), "%s", mnl_attr_get_str(attr));
		if (mnl_attr_get_type(attr) == IFLA_INFO_SLAVE_KIND)
			link->is_port = !strcmp(mnl_attr_get_str(attr), "bridge");
	}
}

static void read_link(const struct nlmsghdr *message, struct netlink_link *link)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr;

	*link = (struct netlink_link){
		.ifindex = info->ifi_index,
		.type = info->ifi_type,
		.flags = info->ifi_flags,
		.mtu = netlink_attr_u32(message, sizeof(*info), IFLA_MTU),
		.master = netlink_attr_u32(message, sizeof(*info), IFLA_MASTER),
		.peer = netlink_attr_u32(message, sizeof(*info), IFLA_LINK),
	};
	mnl_attr_for_each(attr, message, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			snprintf(link->name, sizeof(link->name), "%s", mnl_attr_get_str(attr));
			break;
		case IFLA_LINKINFO:
			read_kind(attr, link);
			break;
		case IFLA_LINK_NETNSID:
			link->has_peer_elsewhere = true;
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(link->mac))
				memcpy(link->mac, mnl_attr_get_payload(attr), sizeof(link->mac));
		}
	}
}

static int add_link(const struct nlmsghdr *message, void *arg)
{
	struct netlink_link *link = netlink_list_add(arg);

	if (!link)
		return -ENOMEM;
	read_link(message, link);
	return 0;
}

int netlink_links(struct netlink *netlink, struct netlink_link **ret_links, size_t *ret_count,
		  struct err *err)
{
	struct netlink_list list = {.size = sizeof(struct netlink_link)};
	struct nlmsghdr *request = netlink_begin(netlink, RTM_GETLINK, NLM_F_DUMP);
	int rc;

	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	rc = netlink_dump(netlink, add_link, &list);
	if (rc) {
		free(list.items);
		return err_set(err, rc, "list of links: %s", netlink_cause(netlink, rc));
	}
	*ret_links = list.items;
	*ret_count = list.count;
	return 0;
}

static int take_link(const struct nlmsghdr *message, void *arg)
{
	read_link(message, arg);
	return 0;
}

int netlink_link(struct netlink *netlink, const char *name, struct netlink_link *ret_link,
		 struct err *err)
{
	struct netlink_link link = {};
	struct nlmsghdr *request;
	int rc = -ENODEV;

	if (name[0] && strlen(name) < IFNAMSIZ) {
		request = netlink_begin(netlink, RTM_GETLINK, 0);
		mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
		mnl_attr_put_strz(request, IFLA_IFNAME, name);
		mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		rc = netlink_run(netlink, take_link, &link);
	}
	if (rc)
		return err_set(err, rc, "link %s: %s", name, strerror(-rc));
	*ret_link = link;
	return 0;
}

static void put_end(struct nlmsghdr *request, const char *name, uint32_t mtu)
{
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	mnl_attr_put(request, IFLA_ADDRESS, sizeof(pair_mac), pair_mac);
	mnl_attr_put_u32(request, IFLA_MTU, mtu);
}

static int create_pair(struct netlink *netlink, const char *host, const char *node, uint32_t mtu,
		       struct err *err)
{
	struct nlmsghdr *request = netlink_begin(netlink, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *linkinfo, *data, *peer;
	int rc;

	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	put_end(request, host, mtu);
	linkinfo = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(request, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	put_end(request, node, mtu);
	mnl_attr_nest_end(request, peer);
	mnl_attr_nest_end(request, data);
	mnl_attr_nest_end(request, linkinfo);
	rc = netlink_run(netlink, NULL, NULL);
	if (rc)
		return err_set(err, rc, "veth pair %s and %s: %s", host, node,
			       netlink_cause(netlink, rc));
	return 0;
}

static int set_up(struct netlink *netlink, const char *name, struct err *err)
{
	struct nlmsghdr *request = netlink_begin(netlink, RTM_NEWLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	int rc;

	info->ifi_flags = IFF_UP | IFF_NOARP;
	info->ifi_change = IFF_UP | IFF_NOARP;
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	rc = netlink_run(netlink, NULL, NULL);
	if (rc)
		return err_set(err, rc, "link %s: up: %s", name, netlink_cause(netlink, rc));
	return 0;
}

/* In this order: what IPv6 does when it starts is set before it is switched on. */
static const struct {
	const char *family, *name, *value;
	bool is_node_only;
} pair_sysctls[] = {
	/* Loose: the larger of this and `all` counts, so 0 would not help against strict `all`. */
	{"ipv4", "rp_filter", "2", false},
	/* Requests carry an address of this node as their source, and come in by weir1. */
	{"ipv4", "accept_local", "1", false},
	{"ipv4", "send_redirects", "0", false},
	/* For `path: stack`; and bpf_fib_lookup asks for it, too. */
	{"ipv4", "forwarding", "1", true},
	{"ipv6", "addr_gen_mode", "1", false}, /* none: nobody has to know the pair by an address */
	{"ipv6", "accept_ra", "0", false},
	{"ipv6", "accept_dad", "0", false},
	{"ipv6", "forwarding", "1", true},
	{"ipv6", "disable_ipv6", "0", false},
};

static int set_sysctls(const char *link, bool is_node, struct err *err)
{
	struct err reason = {};
	char path[128];
	size_t i;
	int rc;

	for (i = 0; i < sizeof(pair_sysctls) / sizeof(pair_sysctls[0]); i++) {
		if (pair_sysctls[i].is_node_only && !is_node)
			continue;
		snprintf(path, sizeof(path), "%s/conf/%s/%s", pair_sysctls[i].family, link,
			 pair_sysctls[i].name);
		rc = netlink_sysctl_set(path, pair_sysctls[i].value, &reason);
		/* A kernel that was started without IPv6 has none of these, and needs none. */
		if (rc == -ENOENT && !strcmp(pair_sysctls[i].family, "ipv6"))
			continue;
		if (rc)
			return err_set(err, rc, "%s", reason.text);
	}
	return 0;
}

/*
 * On an interface without any address, fib_validate_source refuses an unexpected source even if
 * rp_filter is loose. So `node` gets the address that means nothing to anybody, with a scope in
 * which nobody takes it for a source.
 */
static int add_dummy_address(struct netlink *netlink, const char *name, struct err *err)
{
	static const uint8_t dummy[4] = {192, 0, 0, 8}; /* RFC 7600: IPv4 dummy address */
	struct netlink_link link;
	struct nlmsghdr *request;
	struct ifaddrmsg *ifa;
	int rc = netlink_link(netlink, name, &link, err);

	if (rc)
		return rc;
	request = netlink_begin(netlink, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	ifa = mnl_nlmsg_put_extra_header(request, sizeof(*ifa));
	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = 32;
	ifa->ifa_scope = RT_SCOPE_LINK;
	ifa->ifa_index = link.ifindex;
	mnl_attr_put(request, IFA_LOCAL, sizeof(dummy), dummy);
	rc = netlink_run(netlink, NULL, NULL);
	if (rc)
		return err_set(err, rc, "link %s: address 192.0.0.8: %s", name,
			       netlink_cause(netlink, rc));
	return 0;
}

static int set_end(struct netlink *netlink, const char *name, bool is_node, struct err *err)
{
	int rc = set_sysctls(name, is_node, err);

	if (!rc && is_node)
		rc = add_dummy_address(netlink, name, err);
	return rc ? rc : set_up(netlink, name, err);
}

int netlink_pair_add(struct netlink *netlink, const char *host, const char *node, uint32_t mtu,
		     struct err *err)
{
	int rc = create_pair(netlink, host, node, mtu, err);

	if (rc)
		return rc;
	rc = set_end(netlink, host, false, err);
	if (rc)
		goto delete_pair;
	rc = set_end(netlink, node, true, err);
	if (rc)
		goto delete_pair;
	return 0;

delete_pair:
	netlink_link_delete(netlink, host, NULL);
	return rc;
}

int netlink_link_delete(struct netlink *netlink, const char *name, struct err *err)
{
	struct nlmsghdr *request;
	int rc = -ENODEV;

	if (name[0] && strlen(name) < IFNAMSIZ) {
		request = netlink_begin(netlink, RTM_DELLINK, 0);
		mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
		mnl_attr_put_strz(request, IFLA_IFNAME, name);
		rc = netlink_run(netlink, NULL, NULL);
	}
	if (rc)
		return err_set(err, rc, "link %s: delete: %s", name, strerror(-rc));
	return 0;
}
