/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * attach.c - programs on interfaces; see attach.h.
 *
 * A tcx link is pinned as link_<ifindex>_<hook> and found again by that name; when its interface
 * goes, the kernel empties the link and we drop the pin. A clsact filter has no pin: it is found
 * by its fixed handle and priority. The map `interfaces` says what is where.
 */
#include "datapath/attach.h"

#include "base/err.h"
#include "datapath/netlink.h"
#include "datapath/programs.h"
#include "kernel-headers/weir_kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fnmatch.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILTER_HANDLE   0x57 /* 'W' */
#define FILTER_PRIORITY 87

static const struct {
	const char *name, *program;
	int tcx;
	enum bpf_tc_attach_point clsact;
} hooks[] = {
	{"ingress", PROGRAM_INGRESS, WEIR_TCX_INGRESS, BPF_TC_INGRESS},
	{"egress", PROGRAM_EGRESS, WEIR_TCX_EGRESS, BPF_TC_EGRESS},
};
#define HOOK_COUNT (sizeof(hooks) / sizeof(hooks[0]))

struct attach_programs {
	int fds[HOOK_COUNT];
	__u32 ids[HOOK_COUNT];
};

static __u32 program_id(int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

static void close_programs(struct attach_programs *programs)
{
	for (size_t i = 0; i < HOOK_COUNT; i++)
		if (programs->fds[i] >= 0)
			close(programs->fds[i]);
}

static int open_programs(const struct maps *maps, struct attach_programs *programs, struct err *err)
{
	char path[320];

	for (size_t i = 0; i < HOOK_COUNT; i++)
		programs->fds[i] = -1;
	for (size_t i = 0; i < HOOK_COUNT; i++) {
		snprintf(path, sizeof(path), "%s/%s", maps->directory, hooks[i].program);
		programs->fds[i] = bpf_obj_get(path);
		if (programs->fds[i] < 0) {
			int rc = err_set(err, -errno, "%s: %s", path, strerror(errno));

			close_programs(programs);
			return rc;
		}
		programs->ids[i] = program_id(programs->fds[i]);
	}
	return 0;
}

static void link_path(const struct maps *maps, __u32 ifindex, size_t hook, char *path, size_t size)
{
	snprintf(path, size, "%s/link_%u_%s", maps->directory, ifindex, hooks[hook].name);
}

/* A tcx link's info begins with its ifindex, 0 once the interface is gone. */
static bool link_is_of(int fd, __u32 ifindex, __u32 *ret_program_id)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	*ret_program_id = info.prog_id;
	return info.xdp.ifindex == ifindex;
}

/* 1: there was a link and it carries the program now; 0: there was none that lives. */
static int tcx_update(const char *path, __u32 ifindex, int program, __u32 program_id)
{
	int fd = bpf_obj_get(path), rc = 0;
	__u32 carried;

	if (fd < 0)
		return 0;
	if (!link_is_of(fd, ifindex, &carried))
		unlink(path);
	else if (carried == program_id || !bpf_link_update(fd, program, NULL))
		rc = 1;
	else
		rc = -errno;
	close(fd);
	return rc;
}

static int tcx_attach(const struct maps *maps, __u32 ifindex, size_t hook,
		      const struct attach_programs *programs)
{
	char path[320];
	int fd, rc;

	link_path(maps, ifindex, hook, path, sizeof(path));
	rc = tcx_update(path, ifindex, programs->fds[hook], programs->ids[hook]);
	if (rc)
		return rc < 0 ? rc : 0;
	fd = bpf_link_create(programs->fds[hook], (int)ifindex, hooks[hook].tcx, NULL);
	if (fd < 0)
		return -errno;
	rc = bpf_obj_pin(fd, path) ? -errno : 0;
	close(fd);
	return rc;
}

static int clsact_attach(__u32 ifindex, size_t hook, int program)
{
	LIBBPF_OPTS(bpf_tc_hook, where, .ifindex = (int)ifindex,
		    .attach_point = hooks[hook].clsact);
	LIBBPF_OPTS(bpf_tc_opts, what, .prog_fd = program, .handle = FILTER_HANDLE,
		    .priority = FILTER_PRIORITY, .flags = BPF_TC_F_REPLACE);
	int rc = bpf_tc_hook_create(&where);

	if (rc && rc != -EEXIST)
		return rc;
	return bpf_tc_attach(&where, &what);
}

/* The qdisc stays: others may have filters there. */
static void clsact_detach(__u32 ifindex, size_t hook)
{
	LIBBPF_OPTS(bpf_tc_hook, where, .ifindex = (int)ifindex,
		    .attach_point = hooks[hook].clsact);
	LIBBPF_OPTS(bpf_tc_opts, what, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	bpf_tc_detach(&where, &what);
}

static bool clsact_carries(__u32 ifindex, size_t hook, __u32 program_id)
{
	LIBBPF_OPTS(bpf_tc_hook, where, .ifindex = (int)ifindex,
		    .attach_point = hooks[hook].clsact);
	LIBBPF_OPTS(bpf_tc_opts, what, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	return !bpf_tc_query(&where, &what) && what.prog_id == program_id;
}

static void detach(const struct maps *maps, __u32 ifindex, const struct weir_interface *interface)
{
	char path[320];

	for (size_t hook = 0; hook < HOOK_COUNT; hook++) {
		link_path(maps, ifindex, hook, path, sizeof(path));
		unlink(path);
		if (interface->hook == WEIR_HOOK_CLSACT)
			clsact_detach(ifindex, hook);
	}
	bpf_map_delete_elem(maps->fds[MAP_interfaces], &ifindex);
}

/* All hooks of one interface, by tcx or clsact. */
static int attach_hooks(const struct maps *maps, __u32 ifindex, __u8 kind,
			const struct attach_programs *programs)
{
	int rc = 0;

	for (size_t hook = 0; !rc && hook < HOOK_COUNT; hook++)
		rc = kind == WEIR_HOOK_TCX ? tcx_attach(maps, ifindex, hook, programs)
					   : clsact_attach(ifindex, hook, programs->fds[hook]);
	return rc;
}

/* `auto` takes tcx where the kernel has it: only an attempt tells. */
static int attach_one(const struct maps *maps, __u32 ifindex, struct weir_interface *interface,
		      enum hook wanted, const struct attach_programs *programs, struct err *err)
{
	int rc = -EINVAL;

	if (wanted != HOOK_CLSACT) {
		interface->hook = WEIR_HOOK_TCX;
		rc = attach_hooks(maps, ifindex, WEIR_HOOK_TCX, programs);
	}
	if (rc == -EINVAL && wanted != HOOK_TCX) {
		interface->hook = WEIR_HOOK_CLSACT;
		rc = attach_hooks(maps, ifindex, WEIR_HOOK_CLSACT, programs);
	}
	if (rc)
		return err_set(err, rc, "%s: cannot attach: %s%s", interface->name, strerror(-rc),
			       rc == -EINVAL && wanted == HOOK_TCX
				       ? " (this kernel has no tcx; use hook: auto)"
				       : "");
	if (bpf_map_update_elem(maps->fds[MAP_interfaces], &ifindex, interface, BPF_ANY))
		return err_set(err, -errno, "map interfaces: %s", strerror(errno));
	return 0;
}

const struct interface_rule *attach_rule(const struct interface_rule *rules, size_t count,
					 const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!fnmatch(rules[i].pattern, name, 0))
			return &rules[i];
	return NULL;
}

const char *attach_obstacle(const struct netlink_link *link)
{
	if (link->type != ARPHRD_ETHER)
		return "not an Ethernet interface";
	if (!strcmp(link->kind, "bridge"))
		return "a bridge: name its ports instead";
	return NULL;
}

static void describe(const struct netlink_link *link, const struct interface_rule *rule,
		     struct weir_interface *ret_interface)
{
	memset(ret_interface, 0, sizeof(*ret_interface));
	memcpy(ret_interface->name, link->name, sizeof(ret_interface->name));
	ret_interface->role = (__u8)rule->role;
	if (rule->role == ROLE_WORKLOAD && !strcmp(link->kind, "veth") && link->has_peer_elsewhere)
		ret_interface->flags |= WEIR_INTERFACE_PEER;
	if (link->is_port)
		ret_interface->flags |= WEIR_INTERFACE_PORT;
}

static bool is_hook_as_wanted(const struct weir_interface *interface, enum hook wanted)
{
	return wanted == HOOK_AUTO || (wanted == HOOK_TCX) == (interface->hook == WEIR_HOOK_TCX);
}

/* Attach to one link by its rule; what was there by another hook is taken off first. */
static int attach_link(struct maps *maps, const struct netlink_link *link,
		       const struct interface_rule *rule, const struct attach_programs *programs,
		       struct attach_report *report, struct err *err)
{
	struct weir_interface before, now;
	const char *obstacle = attach_obstacle(link);
	bool was_there = !bpf_map_lookup_elem(maps->fds[MAP_interfaces], &link->ifindex, &before);
	int rc;

	if (obstacle && strpbrk(rule->pattern, "*?["))
		return 0;
	if (obstacle)
		return err_set(err, -EINVAL, "interface %s: %s", link->name, obstacle);
	if (was_there && !is_hook_as_wanted(&before, rule->hook))
		detach(maps, link->ifindex, &before);
	describe(link, rule, &now);
	rc = attach_one(maps, link->ifindex, &now, rule->hook, programs, err);
	if (rc)
		return rc;
	if (was_there)
		report->kept++;
	else
		report->attached++;
	return 0;
}

static const struct netlink_link *find_link(const struct netlink_link *links, size_t count,
					    __u32 ifindex)
{
	for (size_t i = 0; i < count; i++)
		if (links[i].ifindex == ifindex)
			return &links[i];
	return NULL;
}

/* Entries whose interface is gone, or that no rule asks for any more. weir1 is not theirs. */
static void detach_unwanted(struct maps *maps, const struct netlink_link *links, size_t count,
			    const struct interface_rule *rules, size_t rule_count,
			    struct attach_report *report)
{
	__u32 key, next, *previous = NULL;
	int fd = maps->fds[MAP_interfaces];

	while (!bpf_map_get_next_key(fd, previous, &next)) {
		struct weir_interface interface;
		const struct netlink_link *link = find_link(links, count, next);

		if (bpf_map_lookup_elem(fd, &next, &interface) ||
		    (link && interface.role == WEIR_ROLE_NODE) ||
		    (link && attach_rule(rules, rule_count, link->name))) {
			key = next;
			previous = &key;
			continue;
		}
		detach(maps, next, &interface);
		report->detached++;
		previous = NULL;
	}
}

static int attach_links(struct maps *maps, const struct netlink_link *links, size_t count,
			const struct interface_rule *rules, size_t rule_count,
			struct attach_report *report, struct err *err)
{
	struct attach_programs programs;
	int rc = open_programs(maps, &programs, err);

	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < count; i++) {
		const struct interface_rule *rule = attach_rule(rules, rule_count, links[i].name);

		if (rule && links[i].ifindex != maps->settings->node_ifindex &&
		    links[i].ifindex != maps->settings->host_ifindex)
			rc = attach_link(maps, &links[i], rule, &programs, report, err);
	}
	close_programs(&programs);
	return rc;
}

int attach_interfaces(struct maps *maps, const struct interface_rule *rules, size_t count,
		      struct attach_report *ret_report, struct err *err)
{
	struct attach_report report = {};
	struct netlink_link *links = NULL;
	struct netlink *netlink;
	size_t link_count = 0;
	int rc = netlink_open(&netlink, err);

	if (rc)
		return rc;
	rc = netlink_links(netlink, &links, &link_count, err);
	netlink_close(netlink);
	if (rc)
		return rc;
	detach_unwanted(maps, links, link_count, rules, count, &report);
	rc = attach_links(maps, links, link_count, rules, count, &report, err);
	free(links);
	if (!rc && ret_report)
		*ret_report = report;
	return rc;
}

/* What is left of a weir1 that was deleted and made anew. */
static void forget_old_nodes(struct maps *maps)
{
	__u32 key, next, *previous = NULL;
	int fd = maps->fds[MAP_interfaces];

	while (!bpf_map_get_next_key(fd, previous, &next)) {
		struct weir_interface interface;

		key = next;
		previous = &key;
		if (bpf_map_lookup_elem(fd, &key, &interface) || interface.role != WEIR_ROLE_NODE ||
		    key == maps->settings->node_ifindex)
			continue;
		detach(maps, key, &interface);
		previous = NULL;
	}
}

int attach_node(struct maps *maps, struct err *err)
{
	struct weir_interface interface = {.name = "weir1", .role = WEIR_ROLE_NODE};
	struct attach_programs programs;
	int rc = open_programs(maps, &programs, err);

	if (rc)
		return rc;
	forget_old_nodes(maps);
	rc = attach_one(maps, maps->settings->node_ifindex, &interface, HOOK_AUTO, &programs, err);
	close_programs(&programs);
	return rc;
}

void attach_remove_node(struct maps *maps)
{
	struct weir_interface interface;
	__u32 ifindex = maps->settings->node_ifindex;

	if (!bpf_map_lookup_elem(maps->fds[MAP_interfaces], &ifindex, &interface))
		detach(maps, ifindex, &interface);
}

int attach_refresh(struct maps *maps, struct err *err)
{
	struct attach_programs programs;
	__u32 key, next, *previous = NULL;
	int fd = maps->fds[MAP_interfaces];
	int rc = open_programs(maps, &programs, err);

	if (rc)
		return rc;
	for (; !rc && !bpf_map_get_next_key(fd, previous, &next); previous = &key) {
		struct weir_interface interface;

		key = next;
		if (bpf_map_lookup_elem(fd, &key, &interface))
			continue;
		rc = attach_hooks(maps, key, interface.hook, &programs);
		if (rc == -ENODEV)
			rc = 0;
		if (rc)
			err_set(err, rc, "%s: cannot replace the program: %s", interface.name,
				strerror(-rc));
	}
	close_programs(&programs);
	return rc;
}

static bool is_live(const struct maps *maps, __u32 ifindex, const struct weir_interface *interface,
		    const struct attach_programs *programs)
{
	char path[320];
	__u32 carried = 0;

	for (size_t hook = 0; hook < HOOK_COUNT; hook++) {
		int fd;
		bool is_ours;

		if (interface->hook == WEIR_HOOK_CLSACT) {
			if (!clsact_carries(ifindex, hook, programs->ids[hook]))
				return false;
			continue;
		}
		link_path(maps, ifindex, hook, path, sizeof(path));
		fd = bpf_obj_get(path);
		if (fd < 0)
			return false;
		is_ours = link_is_of(fd, ifindex, &carried) && carried == programs->ids[hook];
		close(fd);
		if (!is_ours)
			return false;
	}
	return true;
}

static int compare_states(const void *a, const void *b)
{
	const struct attach_state *left = a, *right = b;

	return strcmp(left->interface.name, right->interface.name);
}

int attach_list(struct maps *maps, struct attach_state **ret_states, size_t *ret_count,
		struct err *err)
{
	struct attach_programs programs;
	struct attach_state *states = NULL, *more;
	__u32 key, next, *previous = NULL;
	size_t count = 0;
	int rc = open_programs(maps, &programs, err);

	if (rc)
		return rc;
	for (; !bpf_map_get_next_key(maps->fds[MAP_interfaces], previous, &next); previous = &key) {
		key = next;
		more = realloc(states, (count + 1) * sizeof(*states));
		if (!more) {
			rc = err_set(err, -ENOMEM, "out of memory");
			break;
		}
		states = more;
		states[count].ifindex = key;
		if (bpf_map_lookup_elem(maps->fds[MAP_interfaces], &key, &states[count].interface))
			continue;
		states[count].is_live = is_live(maps, key, &states[count].interface, &programs);
		count++;
	}
	close_programs(&programs);
	if (rc) {
		free(states);
		return rc;
	}
	if (count)
		qsort(states, count, sizeof(*states), compare_states);
	*ret_states = states;
	*ret_count = count;
	return 0;
}
