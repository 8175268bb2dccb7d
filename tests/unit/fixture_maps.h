/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * fixture_maps.h - real, pinned maps for a test, without programs: a bpffs of its own in a mount
 * namespace of its own, so nothing of the machine is touched and nothing stays behind. And the
 * check that an installation is whole.
 */
#ifndef WEIR_FIXTURE_MAPS_H
#define WEIR_FIXTURE_MAPS_H

#include "base/err.h"
#include "bpf/filter.h"
#include "datapath/apply.h"
#include "datapath/installed.h"
#include "datapath/maps.h"
#include "datapath/slots.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURE_FILTER_WORDS 256

struct fixture {
	char mount[64]; /* also WEIR_ROOT */
	char directory[256];
	struct maps *maps;
};

static const struct limits fixture_limits = {
	.services = 12,
	.frontends = 24,
	.backends = 48,
	.slots = 64 * 1024,
	.flows = 256,
};

static inline __u32 fixture_entries(const struct limits *limits, enum map_id id)
{
	switch (id) {
	case MAP_frontends:
	case MAP_frontend_list:
	case MAP_vips:
		return limits->frontends;
	case MAP_services:
	case MAP_service_info:
	case MAP_service_index:
		return limits->services;
	case MAP_slots:
		return limits->slots;
	case MAP_backends:
	case MAP_backend_info:
	case MAP_gauges:
		return limits->backends;
	case MAP_counters:
		return 2 * limits->backends;
	case MAP_flows:
	case MAP_flows_wide:
		return limits->flows / WEIR_WAYS;
	case MAP_vip_filter:
	case MAP_backend_filter:
		return limits->backends > 1024 ? limits->backends / 4 : FIXTURE_FILTER_WORDS;
	case MAP_settings:
		return 1;
	default:
		return 64;
	}
}

/* -errno when the kernel refuses. */
static inline int fixture_create_map(const struct fixture *fixture, const struct limits *limits,
				     enum map_id id, __u32 type, __u32 key, __u32 value)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);
	char path[sizeof(fixture->directory) + 64];
	int fd, rc;

	if (type == BPF_MAP_TYPE_ARRAY)
		options.map_flags = BPF_F_MMAPABLE;
	fd = bpf_map_create(type, NULL, key, value, fixture_entries(limits, id), &options);
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/%s", fixture->directory, map_names[id]);
	rc = bpf_obj_pin(fd, path) ? -errno : 0;
	close(fd);
	return rc;
}

static inline int fixture_create_maps(const struct fixture *fixture, const struct limits *limits)
{
	int rc = 0;

#define X(name, type, key, value)                                                         \
	if (!rc)                                                                          \
		rc = fixture_create_map(fixture, limits, MAP_##name, BPF_MAP_TYPE_##type, \
					sizeof(key), sizeof(value));
	MAPS(X)
#undef X
	return rc;
}

static inline void fixture_unpin(const struct fixture *fixture)
{
	char path[sizeof(fixture->directory) + 64];

	for (int id = 0; id < MAP_COUNT; id++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->directory, map_names[id]);
		unlink(path);
	}
	rmdir(fixture->directory);
}

static inline void fixture_fill_settings(struct maps *maps, const struct limits *limits)
{
	struct weir_settings *settings = maps->settings;

	settings->cpus = 2;
	settings->services = limits->services;
	settings->frontends = limits->frontends;
	settings->backends = limits->backends;
	settings->slots = limits->slots;
	settings->flow_buckets = settings->flow_wide_buckets = limits->flows / WEIR_WAYS;
	settings->vip_filter_words = fixture_entries(limits, MAP_vip_filter);
	settings->backend_filter_words = fixture_entries(limits, MAP_backend_filter);
	settings->hash_seed[0] = 1;
	settings->hash_seed[1] = 2;
}

/* New, empty maps in place of those that are there. */
static inline int fixture_load(struct fixture *fixture, const struct limits *limits)
{
	struct err err = {};
	int rc;

	maps_close(fixture->maps);
	fixture->maps = NULL;
	fixture_unpin(fixture);
	if (mkdir(fixture->directory, 0700))
		return -errno;
	rc = fixture_create_maps(fixture, limits);
	if (rc)
		return rc;
	if (maps_open(&fixture->maps, &err))
		fail_msg("%s", err.text);
	fixture_fill_settings(fixture->maps, limits);
	if (apply_format(fixture->maps, &err))
		fail_msg("%s", err.text);
	return 0;
}

/* 0, or a negative errno: this kernel or user may not. */
static inline int fixture_start(struct fixture *fixture)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	snprintf(fixture->mount, sizeof(fixture->mount), "/tmp/weir-test-%d", getpid());
	if (mkdir(fixture->mount, 0700) || mount("bpf", fixture->mount, "bpf", 0, NULL))
		return -errno;
	setenv("WEIR_ROOT", fixture->mount, 1);
	maps_directory(fixture->directory, sizeof(fixture->directory));
	return fixture_load(fixture, &fixture_limits);
}

static inline void fixture_stop(struct fixture *fixture)
{
	maps_close(fixture->maps);
	fixture->maps = NULL;
	umount2(fixture->mount, MNT_DETACH);
	rmdir(fixture->mount);
}

/* As a new process sees them. */
static inline struct maps *fixture_open(void)
{
	struct maps *maps;
	struct err err = {};

	if (maps_open(&maps, &err))
		fail_msg("%s", err.text);
	return maps;
}

static inline __u64 fixture_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

/* Free ids have rested and all drains are over: the clock, turned. */
static inline void fixture_pass_time(struct maps *maps)
{
	for (__u32 i = 0; i < maps->settings->backends; i++) {
		if (maps_backend_info(maps)[i].freed_at)
			maps_backend_info(maps)[i].freed_at = 1;
		if (maps_backends(maps)[i].gone_at)
			maps_backends(maps)[i].gone_at = 1;
	}
}

/* --- is it whole? --- */

static inline __u32 whole_count_free(struct maps *maps, const struct weir_list *list, int kind)
{
	__u32 count = 0, last = WEIR_NONE;

	for (__u32 id = list->head; id != WEIR_NONE; count++) {
		assert_in_range(count, 0, WEIR_BACKENDS_MAX);
		last = id;
		if (kind == 0) {
			assert_false(maps_services(maps)[id].flags);
			assert_int_equal(maps_service_info(maps)[id].name[0], 0);
			id = maps_service_info(maps)[id].next;
		} else if (kind == 1) {
			assert_false(maps_frontends(maps)[id].flags & WEIR_FRONTEND_VALID);
			id = maps_frontends(maps)[id].next;
		} else {
			assert_int_equal(maps_backends(maps)[id].service, WEIR_NONE);
			assert_true(maps_backends(maps)[id].reasons & WEIR_REASON_GONE);
			id = maps_backend_info(maps)[id].next;
		}
	}
	assert_int_equal(list->tail, last);
	return count;
}

static inline bool whole_is_in_filter(struct maps *maps, enum map_id id, __u32 words,
				      const struct weir_address *address)
{
	__u64 *filter = maps_array(maps, id), hash = filter_hash(address);

	return (filter[filter_word(hash, words)] & filter_bits(hash)) == filter_bits(hash);
}

static inline void whole_check_backend(struct maps *maps, __u32 service, __u32 id)
{
	const struct weir_backend *backend = &maps_backends(maps)[id];
	const struct weir_backend_info *info = &maps_backend_info(maps)[id];

	assert_int_equal(backend->service, service);
	assert_int_equal(!(backend->reasons & WEIR_REASON_WEIGHT), info->weight != 0);
	if (info->is_leaving) {
		assert_true(backend->reasons & WEIR_REASON_DRAINED);
		assert_true(backend->gone_at != 0);
	} else {
		assert_int_equal(backend->gone_at, 0);
		assert_false(backend->reasons & WEIR_REASON_GONE);
	}
	assert_true(whole_is_in_filter(maps, MAP_backend_filter,
				       maps->settings->backend_filter_words, &backend->address));
}

/* The table is exactly the one that slots_build gives for those that serve. */
static inline void whole_check_table(struct maps *maps, __u32 service)
{
	__u64 region = maps_services(maps)[service].region;
	__u32 start = (__u32)region, size = (__u32)(region >> 32), count = 0;
	const struct weir_service_info *info = &maps_service_info(maps)[service];
	struct slots_backend *serving = calloc(info->backends + 1, sizeof(*serving));
	struct weir_slot *want, *have;

	for (__u32 id = info->first_backend; id != WEIR_NONE;
	     id = maps_backend_info(maps)[id].next) {
		const struct weir_backend *backend = &maps_backends(maps)[id];

		if (backend->reasons &
		    (WEIR_REASON_DRAINED | WEIR_REASON_WEIGHT | WEIR_REASON_GONE))
			continue;
		serving[count].id = id;
		serving[count].weight = maps_backend_info(maps)[id].weight;
		serving[count].port = ntohs(backend->port);
		memcpy(&serving[count++].addr, &backend->address, sizeof(struct addr));
	}
	assert_int_equal(size, slots_size(count));
	if (size) {
		const uint64_t seed[2] = {maps->settings->hash_seed[0],
					  maps->settings->hash_seed[1]};

		want = calloc(size, sizeof(*want));
		assert_int_equal(slots_build(serving, count, seed, size, want), 0);
		have = maps_slots_map(maps, start, size);
		assert_non_null(have);
		assert_memory_equal(have, want, size * sizeof(*want));
		maps_slots_unmap(have, start, size);
		free(want);
	}
	free(serving);
}

static inline void whole_check_frontend(struct maps *maps, __u32 service, __u32 id)
{
	const struct weir_frontend *frontend = &maps_frontends(maps)[id];
	const struct weir_service_info *info = &maps_service_info(maps)[service];
	struct weir_frontend_key key = {
		.vip = frontend->vip, .port = frontend->port, .protocol = frontend->protocol};
	__u32 found = WEIR_NONE;

	assert_int_equal(frontend->service, service);
	assert_int_equal(frontend->protocol, info->protocol);
	assert_int_equal(!!(frontend->flags & WEIR_FRONTEND_PATH_STACK), info->path);
	assert_int_equal(!!(frontend->flags & WEIR_FRONTEND_ANY_PORT), !frontend->port);
	bpf_map_lookup_elem(maps->fds[MAP_frontends], &key, &found);
	if (info->is_leaving)
		assert_int_not_equal(found, id);
	else
		assert_int_equal(found, id);
	assert_true(whole_is_in_filter(maps, MAP_vip_filter, maps->settings->vip_filter_words,
				       &frontend->vip));
}

struct whole_sums {
	__u32 services, frontends, backends, leaving, published, any_port;
};

static inline void whole_check_service(struct maps *maps, __u32 id, struct whole_sums *sums)
{
	const struct weir_service_info *info = &maps_service_info(maps)[id];
	__u32 frontends = 0, backends = 0, i;
	struct weir_service_name name;
	__u32 found = WEIR_NONE;

	memcpy(name.name, info->name, sizeof(name.name));
	assert_true(name.name[0]);
	bpf_map_lookup_elem(maps->fds[MAP_service_index], &name, &found);
	assert_int_equal(found, id);
	for (i = info->first_frontend; i != WEIR_NONE; i = maps_frontends(maps)[i].next) {
		assert_true(maps_frontends(maps)[i].flags & WEIR_FRONTEND_VALID);
		whole_check_frontend(maps, id, i);
		sums->any_port += !maps_frontends(maps)[i].port;
		frontends++;
	}
	for (i = info->first_backend; i != WEIR_NONE; i = maps_backend_info(maps)[i].next) {
		whole_check_backend(maps, id, i);
		assert_true(!info->is_leaving || maps_backend_info(maps)[i].is_leaving);
		sums->leaving += maps_backend_info(maps)[i].is_leaving;
		backends++;
	}
	assert_int_equal(info->frontends, frontends);
	assert_int_equal(info->backends, backends);
	assert_true(!info->is_leaving || backends);
	whole_check_table(maps, id);
	sums->services++;
	sums->frontends += frontends;
	sums->backends += backends;
	sums->published += info->is_leaving ? 0 : frontends;
}

static inline void whole_check_regions(struct maps *maps)
{
	unsigned char *used = calloc(maps->settings->slots / SLOTS_MIN + 1, 1);

	for (__u32 id = 0; id < maps->settings->services; id++) {
		__u64 region = maps_services(maps)[id].region;
		__u32 start = (__u32)region, size = (__u32)(region >> 32);

		if (!size)
			continue;
		assert_int_equal(start % size, 0);
		assert_true(start + size <= maps->settings->slots);
		for (__u32 i = start / SLOTS_MIN; i < (start + size) / SLOTS_MIN; i++)
			assert_int_equal(used[i]++, 0);
	}
	free(used);
}

static inline void whole_check_vips(struct maps *maps, __u32 published)
{
	struct weir_address vip, *last = NULL;
	struct weir_frontend_key key, *last_key = NULL;
	__u32 sum = 0, keys = 0;

	while (!bpf_map_get_next_key(maps->fds[MAP_vips], last, &vip)) {
		struct weir_vip value;
		__u32 want = 0;

		last = &vip;
		assert_int_equal(bpf_map_lookup_elem(maps->fds[MAP_vips], &vip, &value), 0);
		for (__u32 i = 0; i < maps->settings->frontends; i++) {
			const struct weir_frontend *frontend = &maps_frontends(maps)[i];

			want += frontend->flags & WEIR_FRONTEND_VALID &&
				!memcmp(&frontend->vip, &vip, sizeof(vip)) &&
				!maps_service_info(maps)[frontend->service].is_leaving;
		}
		assert_int_equal(value.frontends, want);
		assert_true(want);
		sum += value.frontends;
	}
	assert_int_equal(sum, published);
	while (!bpf_map_get_next_key(maps->fds[MAP_frontends], last_key, &key)) {
		last_key = &key;
		keys++;
	}
	assert_int_equal(keys, published);
}

static inline __u32 whole_count_leaving(struct maps *maps)
{
	__u32 count = 0;

	for (__u32 id = maps->settings->leaving.head; id != WEIR_NONE;
	     id = maps_backend_info(maps)[id].next_leaving) {
		/* One that returned lies there until the next collect. */
		count += maps_backend_info(maps)[id].is_leaving;
	}
	return count;
}

static inline __u32 whole_count_keys(struct maps *maps, enum map_id id)
{
	unsigned char key[128], last[128];
	bool has_last = false;
	__u32 count = 0;

	while (!bpf_map_get_next_key(maps->fds[id], has_last ? last : NULL, key)) {
		memcpy(last, key, sizeof(key));
		has_last = true;
		count++;
	}
	return count;
}

/* Every list, count, key, table and filter says the same; no id is lost. */
static inline void whole_check(struct maps *maps)
{
	const struct weir_settings *settings = maps->settings;
	struct whole_sums sums = {};

	assert_int_equal(settings->is_dirty, 0);
	for (__u32 id = 0; id < settings->services; id++) {
		if (maps_services(maps)[id].flags & WEIR_SERVICE_VALID)
			whole_check_service(maps, id, &sums);
		else
			assert_int_equal(maps_services(maps)[id].region, 0);
	}
	assert_int_equal(sums.services + whole_count_free(maps, &settings->free_services, 0),
			 settings->services);
	assert_int_equal(sums.frontends + whole_count_free(maps, &settings->free_frontends, 1),
			 settings->frontends);
	assert_int_equal(sums.backends + whole_count_free(maps, &settings->free_backends, 2),
			 settings->backends);
	assert_int_equal(whole_count_leaving(maps), sums.leaving);
	assert_int_equal(settings->any_port_frontends, sums.any_port);
	assert_int_equal(whole_count_keys(maps, MAP_service_index), sums.services);
	whole_check_regions(maps);
	whole_check_vips(maps, sums.published);
}

#endif
