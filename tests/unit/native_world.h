/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native_world.h - the packet path compiled natively, with all its maps open and small, and what
 * tests need to fill them: addresses, frontends, backends, tables, random numbers.
 */
#ifndef WEIR_NATIVE_WORLD_H
#define WEIR_NATIVE_WORLD_H

#include "bpf/skb.h"
#include "bpf/balance.h"
#include "bpf/sweep.h"

#define WORLD_FRONTENDS 64
#define WORLD_BACKENDS  256
#define WORLD_SERVICES  16
#define WORLD_HZ        250
#define WORLD_AGE_SHIFT 9 /* as `weir load` makes it of 250 jiffies a second: 2.048 s */

/* xorshift64*: the same numbers in every run. */
static inline __u64 world_random(__u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static inline struct weir_address world_v4(__u8 a, __u8 b, __u8 c, __u8 d)
{
	struct weir_address address;

	packet_address_v4(&address, bpf_htonl((__u32)a << 24 | b << 16 | c << 8 | d));
	return address;
}

/* fd00:net::host */
static inline struct weir_address world_v6(__u16 net, __u32 host)
{
	return (struct weir_address){
		.word = {bpf_htonl(0xfd000000u | net), 0, 0, bpf_htonl(host)},
	};
}

/* Every map, closed and opened again: the same list twice would go out of step. */
#define WORLD_MAPS(X, flow_buckets, flow_wide_buckets, spilled, slot_count) \
	X(settings, 1)                                                      \
	X(frontends, WORLD_FRONTENDS)                                       \
	X(frontend_list, WORLD_FRONTENDS)                                   \
	X(vips, WORLD_FRONTENDS)                                            \
	X(services, WORLD_SERVICES)                                         \
	X(slots, slot_count)                                                \
	X(backends, WORLD_BACKENDS)                                         \
	X(gauges, WORLD_BACKENDS)                                           \
	X(counters, WORLD_BACKENDS *NATIVE_CPUS)                            \
	X(flows, flow_buckets)                                              \
	X(flows_wide, flow_wide_buckets)                                    \
	X(flow_details, (flow_buckets)*WEIR_WAYS)                           \
	X(flow_details_wide, (flow_wide_buckets)*WEIR_WAYS)                 \
	X(spill, spilled)                                                   \
	X(nexthops, WEIR_NEXTHOPS *NATIVE_CPUS)                             \
	X(interfaces, 16)                                                   \
	X(vip_filter, 256)                                                  \
	X(backend_filter, 256)                                              \
	X(outcomes, WEIR_HOOKS *NATIVE_CPUS)                                \
	X(internals, NATIVE_CPUS)                                           \
	X(refuse_buckets, 1)                                                \
	X(sweepers, SWEEP_SHARDS)

static inline void world_close(void)
{
#define X(map, entries) native_close(&map);
	WORLD_MAPS(X, , , , )
#undef X
	memset(native_timers, 0, sizeof(native_timers));
}

static inline struct weir_settings *world_settings(void)
{
	return native_values(&settings);
}

/* Empty maps; tables of so many buckets, powers of two. */
static inline void world_open(__u32 flow_buckets, __u32 wide_buckets, __u32 spilled,
			      __u32 slot_count)
{
	world_close();
#define X(map, entries) native_open(&map, entries);
	WORLD_MAPS(X, flow_buckets, wide_buckets, spilled, slot_count)
#undef X
	config = (struct weir_constants){
		.flow_seed = {0x0123456789abcdefull, 0xfedcba9876543210ull},
		.hash_seed = {0x1111222233334444ull, 0x5555666677778888ull},
		.flow_buckets = flow_buckets,
		.flow_wide_buckets = wide_buckets,
		.vip_filter_words = 256,
		.backend_filter_words = 256,
		.backends = WORLD_BACKENDS,
		.age_shift = WORLD_AGE_SHIFT,
		.rate_refill = 1,
		.rate_burst = 100,
		.has_csum_ipv6 = 1,
		.has_kern_ctx = 1,
	};
	world_settings()->jiffies_per_second = WORLD_HZ;
	world_settings()->timeouts = (struct weir_timeouts){
		.tcp = 8000,
		.closing = 10,
		.closed = 120,
		.unproven = 10,
		.udp = 60,
		.udp_unanswered = 30,
	};
	native_jiffies = 1ull << 32;
	native_ns = 1000000000ull;
	native_cpu = 0;
}

static inline void world_filter_add(__u64 *words, const struct weir_address *address)
{
	__u64 hash = filter_hash(address);

	words[filter_word(hash, 256)] |= filter_bits(hash);
}

/* A frontend with its key and VIP. Port in network order, 0 for any. */
static inline void world_frontend(__u32 id, struct weir_address vip, __be16 port, __u8 protocol,
				  __u32 service, __u8 flags)
{
	struct weir_frontend_key key = {.vip = vip, .port = port, .protocol = protocol};
	struct weir_vip entry = {.frontends = 1};

	native_values(&frontend_list)[id] = (struct weir_frontend){
		.vip = vip,
		.port = port,
		.protocol = protocol,
		.flags = flags | WEIR_FRONTEND_VALID | (port ? 0 : WEIR_FRONTEND_ANY_PORT),
		.service = service,
	};
	if (bpf_map_update_elem(&frontends, &key, &id, BPF_ANY) ||
	    bpf_map_update_elem(&vips, &vip, &entry, BPF_ANY))
		abort();
	world_filter_add(native_values(&vip_filter), &vip);
	native_values(&services)[service].flags = WEIR_SERVICE_VALID;
	if (!port)
		world_settings()->any_port_frontends++;
}

static inline struct weir_backend *world_backend(__u32 id, struct weir_address address, __be16 port,
						 __u32 service)
{
	struct weir_backend *backend = &native_values(&backends)[id];

	*backend = (struct weir_backend){
		.address = address,
		.port = port,
		.generation = (__u8)(id * 7 + 1),
		.service = service,
	};
	world_filter_add(native_values(&backend_filter), &address);
	return backend;
}

static inline void world_region(__u32 service, __u32 start, __u32 size)
{
	WRITE_ONCE(native_values(&services)[service].region, (__u64)size << 32 | start);
}

static inline __u64 world_internal(enum weir_internal internal)
{
	__u64 sum = 0;

	for (int cpu = 0; cpu < NATIVE_CPUS; cpu++)
		sum += native_values(&internals)[cpu].count[internal];
	return sum;
}

/* A backend's counters over all CPUs. */
static inline struct weir_counters world_counters(__u32 id)
{
	struct weir_counters sum = {};

	for (int cpu = 0; cpu < NATIVE_CPUS; cpu++) {
		const struct weir_counters *of =
			&native_values(&counters)[cpu * WORLD_BACKENDS + id];

		sum.forward_packets += of->forward_packets;
		sum.forward_bytes += of->forward_bytes;
		sum.reply_packets += of->reply_packets;
		sum.reply_bytes += of->reply_bytes;
		sum.chosen += of->chosen;
		sum.opened += of->opened;
		sum.closed += of->closed;
		sum.revived += of->revived;
	}
	return sum;
}

/* Sweep both tables and the spill map, however few buckets there are. */
static inline void world_sweep(void)
{
	struct sweep sweep = {.now = flow_now()};

	for (__u32 i = 0; i < config.flow_buckets; i++)
		sweep_bucket(i, &sweep);
	for (__u32 i = 0; i < config.flow_wide_buckets; i++)
		sweep_bucket_wide(i, &sweep);
	bpf_for_each_map_elem(&spill, sweep_spilled, &sweep, 0);
}

#endif
