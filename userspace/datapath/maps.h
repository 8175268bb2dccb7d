/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * maps.h - the installed, pinned maps of Weir, opened and mapped into memory.
 *
 * The pins lie in ROOT/v<ABI version>/ (ROOT is /sys/fs/bpf/weir, or $WEIR_ROOT). Opening checks
 * type, key and value size of every map before anything is read from it. Arrays are mapped on
 * first use: whole by maps_array, or the window around one element by maps_element, because the
 * kernel maps each page of them at once and that takes milliseconds for large ones. Both give the
 * same addresses. `slots`, the largest, is mapped region by region.
 */
#ifndef WEIR_MAPS_H
#define WEIR_MAPS_H

#include "bpf/abi.h"

#include <stdbool.h>
#include <stddef.h>

struct err;

/* Name of the pin and map, type (without BPF_MAP_TYPE_), key type, value type. */
#define MAPS(X)                                                     \
	X(settings, ARRAY, __u32, struct weir_settings)             \
	X(frontends, HASH, struct weir_frontend_key, __u32)         \
	X(frontend_list, ARRAY, __u32, struct weir_frontend)        \
	X(vips, HASH, struct weir_address, struct weir_vip)         \
	X(services, ARRAY, __u32, struct weir_service)              \
	X(slots, ARRAY, __u32, struct weir_slot)                    \
	X(backends, ARRAY, __u32, struct weir_backend)              \
	X(gauges, ARRAY, __u32, struct weir_gauge)                  \
	X(counters, ARRAY, __u32, struct weir_counters)             \
	X(flows, ARRAY, __u32, struct weir_bucket)                  \
	X(flows_wide, ARRAY, __u32, struct weir_bucket_wide)        \
	X(flow_details, ARRAY, __u32, struct weir_flow_detail)      \
	X(flow_details_wide, ARRAY, __u32, struct weir_flow_detail) \
	X(spill, HASH, struct weir_spill_key, struct weir_spill)    \
	X(nexthops, ARRAY, __u32, struct weir_nexthop)              \
	X(interfaces, HASH, __u32, struct weir_interface)           \
	X(vip_filter, ARRAY, __u32, __u64)                          \
	X(backend_filter, ARRAY, __u32, __u64)                      \
	X(outcomes, ARRAY, __u32, struct weir_outcome_counters)     \
	X(internals, ARRAY, __u32, struct weir_internal_counters)   \
	X(service_info, ARRAY, __u32, struct weir_service_info)     \
	X(backend_info, ARRAY, __u32, struct weir_backend_info)     \
	X(service_index, HASH, struct weir_service_name, __u32)

enum map_id {
#define X(name, type, key, value) MAP_##name,
	MAPS(X)
#undef X
	MAP_COUNT
};

struct maps {
	char directory[256]; /* ROOT/v1 */
	int fds[MAP_COUNT];
	void *memory[MAP_COUNT]; /* where the array is, or NULL before its first use */
	size_t sizes[MAP_COUNT]; /* bytes of the array */
	__u64 *windows[MAP_COUNT]; /* a bit for each window that is mapped; NULL: all of it is */
	struct weir_settings *settings;
	bool is_writable; /* opened by a writer that holds the lock (lock.h) */
};

extern const char *const map_names[MAP_COUNT];

/* ROOT/v<ABI version> for $WEIR_ROOT or the default. Returns `text`, of `size` bytes. */
const char *maps_directory(char *text, size_t size);

/* -EPROTO with a message when pins of another ABI version are there; else 0. */
int maps_check_version(struct err *err);

/*
 * Open what is pinned. -ENOENT: not loaded; -EPROTO: pins of another ABI version, or a map of
 * another shape (message says what to do); other errors of open and mmap, with a message.
 */
int maps_open(struct maps **ret_maps, struct err *err);
void maps_close(struct maps *maps); /* NULL is fine */

/* The whole array as memory, mapped on first use; NULL without memory. Not for `slots`. */
void *maps_array(struct maps *maps, enum map_id id);

/* One element. A process without memory for the window ends here; what it left is repaired. */
void *maps_element(struct maps *maps, enum map_id id, size_t index);

/* Slots [start, start + count) as memory, writable; release with the same numbers. NULL: errno. */
struct weir_slot *maps_slots_map(struct maps *maps, __u32 start, __u32 count);
void maps_slots_unmap(struct weir_slot *slots, __u32 start, __u32 count);

/* Shorthands: the array as its type. */
#define maps_services(m)     ((struct weir_service *)maps_array(m, MAP_services))
#define maps_service_info(m) ((struct weir_service_info *)maps_array(m, MAP_service_info))
#define maps_backends(m)     ((struct weir_backend *)maps_array(m, MAP_backends))
#define maps_backend_info(m) ((struct weir_backend_info *)maps_array(m, MAP_backend_info))
#define maps_frontends(m)    ((struct weir_frontend *)maps_array(m, MAP_frontend_list))
#define maps_gauges(m)       ((struct weir_gauge *)maps_array(m, MAP_gauges))
#define maps_counters(m)     ((struct weir_counters *)maps_array(m, MAP_counters))

/* The same for one element of the large ones. */
#define maps_backend_at(m, i) ((struct weir_backend *)maps_element(m, MAP_backends, i))
#define maps_backend_info_at(m, i) \
	((struct weir_backend_info *)maps_element(m, MAP_backend_info, i))
#define maps_gauge_at(m, i)    ((struct weir_gauge *)maps_element(m, MAP_gauges, i))
#define maps_counters_at(m, i) ((struct weir_counters *)maps_element(m, MAP_counters, i))

#endif
