/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * load.c - brings the programs and maps into the kernel and takes them out again; see load.h.
 *
 * A first load creates and pins the maps, fills `settings`, and writes its ABI version last: a
 * load that was killed before that is begun anew. Later loads keep the maps and only exchange the
 * programs, so flows go on.
 */
#include "datapath/load.h"

#include "base/err.h"
#include "datapath/apply.h"
#include "datapath/attach.h"
#include "datapath/lock.h"
#include "datapath/netlink.h"
#include "datapath/programs.h"
#include "datapath/routes.h"
#include "tc.skel.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define BPFFS            "/sys/fs/bpf"
#define BPFFS_MAGIC      0xcafe4a11
#define AGE_UNIT_S       2 /* at least: the power of two of jiffies above; 8192 units > 16000 s */
#define FILTER_WORDS_MIN 1024
#define PAIR_MTU         1500 /* of weir0 and weir1 where no uplink says otherwise */
#define RATE_PER_SECOND  10000 /* packets of our own, for each CPU */
#define RATE_BURST       1000
#define LOCK_WAIT_MS     5000

static uint32_t power_of_two(uint64_t least)
{
	uint64_t power = 1;

	while (power < least)
		power *= 2;
	return (uint32_t)power;
}

static int ensure_bpffs(struct err *err)
{
	struct statfs fs;

	if (!statfs(BPFFS, &fs) && fs.f_type == BPFFS_MAGIC)
		return 0;
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700"))
		return err_set(err, -errno, BPFFS ": cannot mount bpffs: %s", strerror(errno));
	return 0;
}

static int ensure_directory(const char *directory, struct err *err)
{
	char parent[256];

	snprintf(parent, sizeof(parent), "%s", directory);
	*strrchr(parent, '/') = '\0';
	if ((mkdir(parent, 0700) && errno != EEXIST) || (mkdir(directory, 0700) && errno != EEXIST))
		return err_set(err, -errno, "%s: cannot create: %s", directory, strerror(errno));
	return 0;
}

/* The length of a jiffy is that of the coarse clock: 1/HZ, which nothing else tells user space. */
static uint32_t read_jiffies_per_second(void)
{
	struct timespec tick = {};

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || !tick.tv_nsec)
		return 100;
	return (uint32_t)((1000000000l + tick.tv_nsec / 2) / tick.tv_nsec);
}

/* What a new installation is, but for its ABI version and lists. */
static int fill_settings(struct weir_settings *set, const struct model *model, struct err *err)
{
	const struct limits *limits = &model->limits;

	memset(set, 0, sizeof(*set));
	set->cpus = (uint32_t)libbpf_num_possible_cpus();
	set->services = limits->services;
	set->frontends = limits->frontends;
	set->backends = limits->backends;
	set->slots = limits->slots;
	set->flow_buckets = power_of_two(limits->flows / WEIR_WAYS);
	set->flow_wide_buckets = set->flow_buckets;
	set->vip_filter_words = power_of_two(limits->frontends / 2);
	set->backend_filter_words = power_of_two(limits->backends / 2);
	if (set->vip_filter_words < FILTER_WORDS_MIN)
		set->vip_filter_words = FILTER_WORDS_MIN;
	if (set->backend_filter_words < FILTER_WORDS_MIN)
		set->backend_filter_words = FILTER_WORDS_MIN;
	set->jiffies_per_second = read_jiffies_per_second();
	set->age_shift =
		(uint32_t)__builtin_ctz(power_of_two(AGE_UNIT_S * set->jiffies_per_second));
	if (getrandom(set->flow_seed, sizeof(set->flow_seed), 0) != sizeof(set->flow_seed) ||
	    getrandom(set->hash_seed, sizeof(set->hash_seed), 0) != sizeof(set->hash_seed))
		return err_set(err, -EIO, "getrandom: %s", strerror(errno));
	if (model->has_hash_seed)
		memcpy(set->hash_seed, model->hash_seed, sizeof(set->hash_seed));
	set->timeouts = (struct weir_timeouts){
		.tcp = model->timeouts.tcp,
		.closing = model->timeouts.closing,
		.closed = model->timeouts.closed,
		.unproven = model->timeouts.unproven,
		.udp = model->timeouts.udp,
		.udp_unanswered = model->timeouts.udp_unanswered,
	};
	return 0;
}

int load_check_limits(const struct weir_settings *set, const struct model *model, struct err *err)
{
	const struct limits *limits = &model->limits;
	const struct {
		const char *name;
		uint32_t loaded, wanted;
	} rows[] = {
		{"services", set->services, limits->services},
		{"frontends", set->frontends, limits->frontends},
		{"backends", set->backends, limits->backends},
		{"slots", set->slots, limits->slots},
		{"flows", set->flow_buckets * WEIR_WAYS,
		 power_of_two(limits->flows / WEIR_WAYS) * WEIR_WAYS},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].loaded != rows[i].wanted)
			return err_set(err, -EEXIST,
				       "limits.%s: loaded with %u, wanted %u: limits change only "
				       "after `weir unload`, which ends all flows",
				       rows[i].name, rows[i].loaded, rows[i].wanted);
	return 0;
}

/* The pair should not take packets that the narrowest uplink cannot send. */
static uint32_t pair_mtu(const struct netlink_link *links, size_t count, const struct model *model)
{
	uint32_t mtu = 0;

	for (size_t i = 0; i < count; i++) {
		const struct interface_rule *rule =
			attach_rule(model->interfaces, model->interface_count, links[i].name);

		if (rule && rule->role == ROLE_UPLINK && (!mtu || links[i].mtu < mtu))
			mtu = links[i].mtu;
	}
	return mtu ? mtu : PAIR_MTU;
}

/* Find or make weir0 and weir1, and note them in `set`. */
static int ensure_pair(struct netlink *netlink, const struct model *model,
		       struct weir_settings *set, __u8 *ret_mac, struct err *err)
{
	struct netlink_link host, node, *links = NULL;
	size_t count = 0;
	int rc;

	if (netlink_link(netlink, LOAD_HOST, &host, NULL) ||
	    netlink_link(netlink, LOAD_NODE, &node, NULL)) {
		rc = netlink_links(netlink, &links, &count, err);
		if (rc)
			return rc;
		rc = netlink_pair_add(netlink, LOAD_HOST, LOAD_NODE, pair_mtu(links, count, model),
				      err);
		free(links);
		if (rc)
			return rc;
		rc = netlink_link(netlink, LOAD_HOST, &host, err);
		if (!rc)
			rc = netlink_link(netlink, LOAD_NODE, &node, err);
		if (rc)
			return rc;
	}
	set->host_ifindex = host.ifindex;
	set->node_ifindex = node.ifindex;
	memcpy(ret_mac, node.mac, sizeof(node.mac));
	return 0;
}

static void size_maps(struct tc_bpf *tc, const struct weir_settings *set)
{
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} rows[] = {
		{tc->maps.frontends, set->frontends},
		{tc->maps.frontend_list, set->frontends},
		{tc->maps.vips, set->frontends},
		{tc->maps.services, set->services},
		{tc->maps.service_info, set->services},
		{tc->maps.service_index, set->services},
		{tc->maps.slots, set->slots},
		{tc->maps.backends, set->backends},
		{tc->maps.backend_info, set->backends},
		{tc->maps.gauges, set->backends},
		{tc->maps.counters, set->backends * set->cpus},
		{tc->maps.flows, set->flow_buckets},
		{tc->maps.flow_details, set->flow_buckets * WEIR_WAYS},
		{tc->maps.flows_wide, set->flow_wide_buckets},
		{tc->maps.flow_details_wide, set->flow_wide_buckets * WEIR_WAYS},
		{tc->maps.nexthops, WEIR_NEXTHOPS * set->cpus},
		{tc->maps.vip_filter, set->vip_filter_words},
		{tc->maps.backend_filter, set->backend_filter_words},
		{tc->maps.outcomes, WEIR_HOOKS * set->cpus},
		{tc->maps.internals, set->cpus},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		bpf_map__set_max_entries(rows[i].map, rows[i].entries);
}

static void fill_constants(struct weir_constants *config, const struct weir_settings *set,
			   const __u8 *mac)
{
	*config = (struct weir_constants){
		.flow_seed = {set->flow_seed[0], set->flow_seed[1]},
		.hash_seed = {set->hash_seed[0], set->hash_seed[1]},
		.flow_buckets = set->flow_buckets,
		.flow_wide_buckets = set->flow_wide_buckets,
		.vip_filter_words = set->vip_filter_words,
		.backend_filter_words = set->backend_filter_words,
		.backends = set->backends,
		.age_shift = set->age_shift,
		.rate_refill =
			(RATE_PER_SECOND + set->jiffies_per_second - 1) / set->jiffies_per_second,
		.rate_burst = RATE_BURST,
		.node_ifindex = set->node_ifindex,
		.has_csum_ipv6 = programs_know_csum_ipv6(),
		.has_kern_ctx = programs_know_kern_ctx(),
	};
	memcpy(config->node_mac, mac, sizeof(config->node_mac));
}

/* Every map but the programs' own read-only data is pinned, and found again by its pin. */
static int pin_maps(struct tc_bpf *tc, const char *directory, struct err *err)
{
	struct bpf_map *map;
	char path[320];

	bpf_object__for_each_map(map, tc->obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, bpf_map__name(map));
		if (bpf_map__set_pin_path(map, path))
			return err_set(err, -errno, "%s: cannot set the pin path", path);
	}
	return 0;
}

static int open_and_load(const char *directory, const struct weir_settings *set, const __u8 *mac,
			 struct tc_bpf **ret_tc, struct err *err)
{
	struct tc_bpf *tc = tc_bpf__open();
	int rc;

	if (!tc)
		return err_set(err, -errno, "cannot open the programs: %s", strerror(errno));
	size_maps(tc, set);
	fill_constants((struct weir_constants *)&tc->rodata->config, set, mac);
	rc = pin_maps(tc, directory, err);
	if (!rc && tc_bpf__load(tc))
		rc = err_set(err, -errno,
			     "the kernel refused the programs or maps: %s (libbpf's messages: "
			     "WEIR_DEBUG=1)",
			     strerror(errno));
	if (rc) {
		tc_bpf__destroy(tc);
		return rc;
	}
	*ret_tc = tc;
	return 0;
}

/* Write `settings` of a new installation, and give it its empty lists. */
static int format_new(const struct weir_settings *set, struct err *err)
{
	struct maps *maps;
	int rc = maps_open(&maps, err);

	if (rc)
		return rc;
	*maps->settings = *set;
	rc = apply_format(maps, err);
	if (!rc)
		__atomic_store_n(&maps->settings->abi_version, WEIR_ABI_VERSION, __ATOMIC_RELEASE);
	maps_close(maps);
	return rc;
}

/* Read `settings` of an installation that is there; false when there is none, or only half of it. */
static bool read_settings(const char *directory, struct weir_settings *ret_set)
{
	char path[320];
	__u32 zero = 0;
	int fd;
	bool is_there;

	snprintf(path, sizeof(path), "%s/settings", directory);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	is_there = programs_map_has_size(fd, sizeof(*ret_set)) &&
		   !bpf_map_lookup_elem(fd, &zero, ret_set) &&
		   ret_set->abi_version == WEIR_ABI_VERSION;
	close(fd);
	return is_there;
}

/* Unpin everything in the directory: maps, programs, and links, which detaches those. */
static void remove_pins(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* The interfaces of the pair may be new ones: `settings` follows. */
static int note_pair(const struct weir_settings *set, struct err *err)
{
	struct maps *maps;
	int rc = maps_open(&maps, err);

	if (rc)
		return rc;
	maps->settings->host_ifindex = set->host_ifindex;
	maps->settings->node_ifindex = set->node_ifindex;
	rc = attach_node(maps, err);
	if (!rc)
		rc = attach_refresh(maps, err);
	if (!rc)
		rc = routes_sync(maps, err);
	maps_close(maps);
	return rc;
}

static int install(const char *directory, const struct model *model, struct netlink *netlink,
		   struct err *err)
{
	struct weir_settings set;
	struct tc_bpf *tc = NULL;
	__u8 mac[6];
	bool is_new = !read_settings(directory, &set);
	int rc;

	rc = is_new ? fill_settings(&set, model, err) : load_check_limits(&set, model, err);
	if (!rc)
		rc = ensure_pair(netlink, model, &set, mac, err);
	if (rc)
		return rc;
	if (is_new)
		remove_pins(directory);
	rc = open_and_load(directory, &set, mac, &tc, err);
	if (rc)
		return rc;
	if (is_new)
		rc = format_new(&set, err);
	if (!rc)
		rc = programs_pin(tc, directory, err);
	if (!rc)
		rc = programs_start_sweep(tc, err);
	tc_bpf__destroy(tc);
	return rc ? rc : note_pair(&set, err);
}

int load_install(const struct model *model, struct err *err)
{
	char directory[256];
	struct netlink *netlink;
	int lock, rc;

	libbpf_set_print(programs_print);
	maps_directory(directory, sizeof(directory));
	rc = ensure_bpffs(err);
	if (!rc)
		rc = maps_check_version(err);
	if (!rc)
		rc = ensure_directory(directory, err);
	if (rc)
		return rc;
	lock = lock_take(directory, LOCK_WAIT_MS, err);
	if (lock < 0)
		return lock;
	rc = netlink_open(&netlink, err);
	if (rc)
		goto unlock;
	rc = install(directory, model, netlink, err);
	netlink_close(netlink);
unlock:
	close(lock);
	return rc;
}

/* Filters of clsact outlive their pins: take them off by the list of interfaces first. */
static void detach_all(void)
{
	struct maps *maps;

	if (maps_open(&maps, NULL))
		return;
	attach_interfaces(maps, NULL, 0, NULL, NULL);
	attach_remove_node(maps);
	maps_close(maps);
}

static int remove_versions(const char *root, struct err *err)
{
	DIR *dir = opendir(root);
	struct dirent *entry;
	char path[600];

	if (!dir)
		return err_set(err, -ENOENT, "not loaded: no %s", root);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != 'v')
			continue;
		snprintf(path, sizeof(path), "%s/%s", root, entry->d_name);
		remove_pins(path);
		rmdir(path);
	}
	closedir(dir);
	rmdir(root);
	return 0;
}

int load_remove(struct err *err)
{
	char directory[256];
	struct netlink *netlink;
	int lock, rc;

	libbpf_set_print(programs_print);
	maps_directory(directory, sizeof(directory));
	lock = lock_take(directory, LOCK_WAIT_MS, err);
	if (lock < 0 && lock != -ENOENT)
		return lock;
	detach_all();
	rc = netlink_open(&netlink, err);
	if (!rc) {
		netlink_link_delete(netlink, LOAD_HOST, NULL);
		netlink_close(netlink);
		*strrchr(directory, '/') = '\0';
		rc = remove_versions(directory, err);
	}
	if (lock >= 0)
		close(lock);
	return rc;
}
