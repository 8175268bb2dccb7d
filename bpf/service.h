/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * service.h - 2: is it for a service of ours?
 *
 * The filters answer "certainly not" in two loads for everybody else's packets. The exact hashes
 * are asked by the first packet of a flow only.
 */
#ifndef WEIR_BPF_SERVICE_H
#define WEIR_BPF_SERVICE_H

#include "filter.h"
#include "maps.h"
#include "packet.h"

static __always_inline bool service_maybe_vip(const struct weir_address *address)
{
	__u64 hash = filter_hash(address), bits = filter_bits(hash);
	__u64 *word = map_at(vip_filter, filter_word(hash, config.vip_filter_words));

	return word && (*word & bits) == bits;
}

static __always_inline bool service_maybe_backend(const struct weir_address *address)
{
	__u64 hash = filter_hash(address), bits = filter_bits(hash);
	__u64 *word = map_at(backend_filter, filter_word(hash, config.backend_filter_words));

	return word && (*word & bits) == bits;
}

static __always_inline struct weir_vip *service_vip(const struct weir_address *address)
{
	return bpf_map_lookup_elem(&vips, address);
}

/* Frontend id for the packet's destination: its port, else any port; WEIR_NONE for neither. */
static __always_inline __u32 service_find(const struct packet *packet)
{
	struct weir_frontend_key key = {
		.vip = packet->destination,
		.port = packet->destination_port,
		.protocol = packet->protocol,
	};
	__u32 *id = bpf_map_lookup_elem(&frontends, &key);

	if (id)
		return *id;
	key.port = 0;
	id = bpf_map_lookup_elem(&frontends, &key);
	return id ? *id : WEIR_NONE;
}

/* Is a backend of this id what the flow was given, and still there? */
static __always_inline bool backend_is_there(const struct weir_backend *backend, __u32 service,
					     __u8 generation)
{
	__u64 gone_at = READ_ONCE(backend->gone_at);

	if (backend->generation != generation || READ_ONCE(backend->service) != service ||
	    READ_ONCE(backend->reasons) & WEIR_REASON_GONE)
		return false;
	return likely(!gone_at) || bpf_ktime_get_coarse_ns() < gone_at;
}

#endif
