/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * maps.h - every map. Layouts and writers are in abi.h, the manual in docs/maps.md. Sizes given
 * here as 1 are set by `weir load` from the configured limits.
 */
#ifndef WEIR_BPF_MAPS_H
#define WEIR_BPF_MAPS_H

#include "env.h"

/* Arrays that user space maps into its memory. An ARRAY is never full: its ids come from user space. */
#define MAPPED_ARRAY(name, type_of_value, entries) \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, entries);      \
		__type(key, __u32);                \
		__type(value, type_of_value);      \
	} name SEC(".maps")

/* Hashes. Those of user space refuse with E2BIG when full; `spill` does, and FLOW_UNTRACKED counts it. */
#define HASH(name, type_of_key, type_of_value, entries) \
	struct {                                        \
		__uint(type, BPF_MAP_TYPE_HASH);        \
		__uint(max_entries, entries);           \
		__type(key, type_of_key);               \
		__type(value, type_of_value);           \
	} name SEC(".maps")

MAPPED_ARRAY(settings, struct weir_settings, 1);
HASH(frontends, struct weir_frontend_key, __u32, 1);
MAPPED_ARRAY(frontend_list, struct weir_frontend, 1);
HASH(vips, struct weir_address, struct weir_vip, 1);
MAPPED_ARRAY(services, struct weir_service, 1);
MAPPED_ARRAY(slots, struct weir_slot, 1);
MAPPED_ARRAY(backends, struct weir_backend, 1);
MAPPED_ARRAY(gauges, struct weir_gauge, 1);
MAPPED_ARRAY(counters, struct weir_counters, 1);
MAPPED_ARRAY(flows, struct weir_bucket, 1);
MAPPED_ARRAY(flows_wide, struct weir_bucket_wide, 1);
MAPPED_ARRAY(flow_details, struct weir_flow_detail, 1);
MAPPED_ARRAY(flow_details_wide, struct weir_flow_detail, 1);
HASH(spill, struct weir_spill_key, struct weir_spill, 8192);
MAPPED_ARRAY(nexthops, struct weir_nexthop, 1);
HASH(interfaces, __u32, struct weir_interface, 4096);
MAPPED_ARRAY(vip_filter, __u64, 1);
MAPPED_ARRAY(backend_filter, __u64, 1);
MAPPED_ARRAY(outcomes, struct weir_outcome_counters, 1);
MAPPED_ARRAY(internals, struct weir_internal_counters, 1);

/* User space only: pinned beside the others so that one directory holds the whole state. */
MAPPED_ARRAY(service_info, struct weir_service_info, 1);
MAPPED_ARRAY(backend_info, struct weir_backend_info, 1);
HASH(service_index, struct weir_service_name, __u32, 1);

/* What happened beside the outcome, on this CPU. */
static __always_inline void internal_count(enum weir_internal internal)
{
	struct weir_internal_counters *counters = map_at(internals, bpf_get_smp_processor_id());

	if (counters)
		counters->count[internal]++;
}

#endif
