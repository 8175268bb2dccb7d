/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * routes.c - the node's routes to VIPs; see routes.h.
 *
 * What is there is read by one dump each of our routes and of the node's addresses; only the
 * differences are written. A source address is asked for once per service.
 */
#include "datapath/routes.h"

#include "base/addr.h"
#include "base/err.h"
#include "datapath/netlink.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct wanted {
	struct addr vip; /* first: what compare_vips looks at */
	__u32 service;
	bool is_local; /* an address of this node: needs no route */
	struct addr source; /* all zero: any */
};

/* What the node would use towards the first backend of a service. */
struct source {
	bool is_known;
	struct addr addr; /* all zero: any */
};

struct sync {
	struct maps *maps;
	struct netlink *netlink;
	struct wanted *wanted; /* sorted by VIP, each once */
	size_t count;
	struct source *sources; /* by service id */
	struct netlink_route *set, *gone; /* room for all that may come */
	size_t set_count, gone_count;
};

static const struct addr any;

/* For VIPs, addresses and routes: all of them start with a struct addr. */
static int compare_vips(const void *a, const void *b)
{
	return addr_compare(a, b);
}
_Static_assert(!offsetof(struct wanted, vip) && !offsetof(struct netlink_route, vip), "vip");

static void sort_vips(void *items, size_t count, size_t size)
{
	if (count)
		qsort(items, count, size, compare_vips);
}

static int compare_wanted(const void *a, const void *b)
{
	const struct wanted *first = a, *second = b;
	int order = addr_compare(&first->vip, &second->vip);

	return order ? order
		     : (first->service > second->service) - (first->service < second->service);
}

/* Is this a routing table's way to say no? */
static bool is_no_way(int error)
{
	return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EACCES ||
	       error == -EINVAL;
}

/* The source towards the service's first backend; any, when there is none or no way to it. */
static int find_source(struct sync *sync, __u32 service, struct addr *ret_source, struct err *err)
{
	const struct weir_service_info *infos = maps_service_info(sync->maps);
	const struct weir_backend *backends = maps_backends(sync->maps);
	struct source *source = &sync->sources[service];
	__u32 backend = infos[service].first_backend;
	struct err reason = {};
	struct addr addr;
	int rc;

	if (!source->is_known && backend < sync->maps->settings->backends) {
		memcpy(&addr, &backends[backend].address, sizeof(addr));
		rc = netlink_source(sync->netlink, &addr, &source->addr, &reason);
		if (rc && !is_no_way(rc))
			return err_set(err, rc, "%s", reason.text);
	}
	source->is_known = true;
	*ret_source = source->addr;
	return 0;
}

static bool is_wanted(const struct maps *maps, const struct weir_frontend *frontend)
{
	return frontend->flags & WEIR_FRONTEND_VALID &&
	       frontend->service < maps->settings->services;
}

/* Every pair of VIP and service; a frontend is one port of that. */
static int read_wanted(struct sync *sync)
{
	const struct weir_frontend *frontends = maps_frontends(sync->maps);
	__u32 limit = sync->maps->settings->frontends;
	size_t count = 0;
	__u32 i;

	for (i = 0; i < limit; i++)
		count += is_wanted(sync->maps, &frontends[i]);
	sync->wanted = calloc(count + 1, sizeof(*sync->wanted));
	if (!sync->wanted)
		return -ENOMEM;
	for (i = 0; i < limit && sync->count < count; i++) {
		struct wanted *wanted = &sync->wanted[sync->count];

		if (!is_wanted(sync->maps, &frontends[i]))
			continue;
		memcpy(&wanted->vip, &frontends[i].vip, sizeof(wanted->vip));
		wanted->service = frontends[i].service;
		sync->count++;
	}
	if (sync->count)
		qsort(sync->wanted, sync->count, sizeof(*sync->wanted), compare_wanted);
	return 0;
}

/* Keep each VIP once, with the source of the first of its services that has one. */
static int merge_wanted(struct sync *sync, struct err *err)
{
	size_t i, kept = 0;
	int rc;

	for (i = 0; i < sync->count; i++) {
		struct wanted wanted = sync->wanted[i];

		if (!kept || !addr_equal(&wanted.vip, &sync->wanted[kept - 1].vip))
			sync->wanted[kept++] = wanted;
		if (!sync->maps->settings->host_ifindex ||
		    !addr_equal(&sync->wanted[kept - 1].source, &any))
			continue;
		rc = find_source(sync, wanted.service, &sync->wanted[kept - 1].source, err);
		if (rc)
			return rc;
	}
	sync->count = kept;
	return 0;
}

/* A VIP without an entry has lost its service, and keeps its route until its flows are over. */
static int set_flag(struct maps *maps, const struct wanted *wanted, struct err *err)
{
	__u32 flag = wanted->is_local ? WEIR_VIP_LOCAL : 0;
	int fd = maps->fds[MAP_vips];
	char text[ADDR_TEXT_LEN];
	struct weir_vip vip;
	int rc = 0;

	if (bpf_map_lookup_elem(fd, &wanted->vip, &vip)) {
		rc = errno == ENOENT ? 0 : -errno;
	} else if ((vip.flags & WEIR_VIP_LOCAL) != flag) {
		vip.flags = (vip.flags & ~WEIR_VIP_LOCAL) | flag;
		if (bpf_map_update_elem(fd, &wanted->vip, &vip, BPF_EXIST))
			rc = -errno;
	}
	if (rc)
		err_set(err, rc, "VIP %s: %s", addr_format(&wanted->vip, text), strerror(-rc));
	return rc;
}

static int set_flags(struct sync *sync, struct err *err)
{
	struct addr *addresses = NULL;
	size_t count = 0, i;
	int rc = netlink_addresses(sync->netlink, &addresses, &count, err);

	sort_vips(addresses, count, sizeof(*addresses));
	for (i = 0; !rc && i < sync->count; i++) {
		struct wanted *wanted = &sync->wanted[i];

		wanted->is_local = count && bsearch(&wanted->vip, addresses, count,
						    sizeof(*addresses), compare_vips);
		rc = set_flag(sync->maps, wanted, err);
	}
	free(addresses);
	return rc;
}

/* Compare two sorted lists: fills sync->set and sync->gone. */
static void plan_routes(struct sync *sync, const struct netlink_route *routes, size_t route_count)
{
	size_t i = 0, j = 0;
	int order;

	while (i < sync->count || j < route_count) {
		const struct wanted *wanted = i < sync->count ? &sync->wanted[i] : NULL;
		const struct netlink_route *route = j < route_count ? &routes[j] : NULL;

		order = !wanted ? 1 : !route ? -1 : addr_compare(&wanted->vip, &route->vip);
		if (order > 0 || (order == 0 && wanted->is_local))
			sync->gone[sync->gone_count++] = *route;
		else if (!wanted->is_local &&
			 (order < 0 || !addr_equal(&wanted->source, &route->source)))
			sync->set[sync->set_count++] =
				(struct netlink_route){wanted->vip, wanted->source};
		i += order <= 0;
		j += order >= 0;
	}
}

static int set_routes(struct sync *sync, struct err *err)
{
	__u32 host = sync->maps->settings->host_ifindex;
	struct netlink_route *routes = NULL;
	size_t count;
	int rc, delete_rc;

	rc = netlink_routes(sync->netlink, host, &routes, &count, err);
	if (rc)
		return rc;
	rc = -ENOMEM;
	sync->set = calloc(sync->count + 1, sizeof(*sync->set));
	sync->gone = calloc(count + 1, sizeof(*sync->gone));
	if (sync->set && sync->gone) {
		sort_vips(routes, count, sizeof(*routes));
		plan_routes(sync, routes, count);
		rc = netlink_routes_set(sync->netlink, host, sync->set, sync->set_count, err);
		delete_rc = netlink_routes_delete(sync->netlink, host, sync->gone, sync->gone_count,
						  rc ? NULL : err);
		rc = rc ? rc : delete_rc;
	}
	free(routes);
	return rc;
}

static int run_sync(struct sync *sync, struct err *err)
{
	struct maps *maps = sync->maps;
	int rc = -ENOMEM;

	sync->sources = calloc(maps->settings->services + 1, sizeof(*sync->sources));
	if (sync->sources && maps_frontends(maps) && maps_service_info(maps) && maps_backends(maps))
		rc = read_wanted(sync);
	if (rc)
		return err_set(err, rc, "routes to VIPs: %s", strerror(-rc));
	rc = merge_wanted(sync, err);
	if (!rc)
		rc = set_flags(sync, err);
	if (!rc && maps->settings->host_ifindex)
		rc = set_routes(sync, err);
	return rc;
}

int routes_sync(struct maps *maps, struct err *err)
{
	struct sync sync = {.maps = maps};
	int rc = netlink_open(&sync.netlink, err);

	if (!rc)
		rc = run_sync(&sync, err);
	free(sync.gone);
	free(sync.set);
	free(sync.sources);
	free(sync.wanted);
	netlink_close(sync.netlink);
	return rc;
}
