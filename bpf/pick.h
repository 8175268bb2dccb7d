/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * pick.h - 4: else choose a backend.
 *
 * A service's slots are one region of the flat array `slots`; each slot names a primary and a
 * secondary. Neither usable: rehash a few times, then walk the region. Regions and backend ids
 * are used again by others, so a choice counts only if the backend is of this service now.
 */
#ifndef WEIR_PICK_H
#define WEIR_PICK_H

#include "service.h"
#include "siphash.h"

#define PICK_REHASHES 3 /* other slots tried before the walk */
#define PICK_WALK_MAX (1u << 20)

/* What a choice must respect, and what was chosen. */
struct pick {
	struct weir_address client; /* never its own backend */
	__u32 service;
	__u32 avoid; /* backend id that clashed, or WEIR_NONE */
	__u32 start, size; /* the region */
	__u32 index;
	int chosen; /* backend id, or PICK_NOBODY */
	__u32 is_hairpin; /* the client itself was passed over */
};

static __always_inline bool pick_is_usable(struct pick *pick, __u32 id)
{
	struct weir_backend *backend = map_at(backends, id);

	if (!backend || READ_ONCE(backend->reasons) || READ_ONCE(backend->service) != pick->service)
		return false;
	if (address_equal(&backend->address, &pick->client)) {
		pick->is_hairpin = true;
		return false;
	}
	return id != pick->avoid;
}

/* First usable of the pair in a slot. */
static __always_inline bool pick_slot(struct pick *pick, __u32 index)
{
	struct weir_slot *slot = map_at(slots, pick->start + (index & (pick->size - 1)));

	if (!slot)
		return false;
	if (likely(pick_is_usable(pick, slot->primary))) {
		pick->chosen = slot->primary;
		return true;
	}
	if (pick_is_usable(pick, slot->secondary)) {
		internal_count(WEIR_INTERNAL_SECONDARY);
		pick->chosen = slot->secondary;
		return true;
	}
	return false;
}

static long pick_walk_step(__u32 step, void *arg)
{
	struct pick *pick = arg;

	return pick_slot(pick, pick->index + step);
}

/* Both of the pair are out: other slots, then all of them. The order is the flow's own. */
static __always_inline int pick_elsewhere(struct pick *pick, __u64 hash)
{
	__u32 steps = pick->size < PICK_WALK_MAX ? pick->size : PICK_WALK_MAX;

	internal_count(WEIR_INTERNAL_REHASHED);
	for (int i = 1; i <= PICK_REHASHES; i++)
		if (pick_slot(pick, hash >> (i * 16)))
			return 0;
	bpf_loop(steps, pick_walk_step, pick, 0);
	return 0;
}

/* siphash of the 5-tuple: addresses, then ports and protocol in the last, short block. */
static __always_inline __u64 pick_hash(const struct packet *packet)
{
	__u64 ports = (__u64)packet->protocol << 32 | (__u32)packet->destination_port << 16 |
		      packet->source_port;

	if (packet->is_v6) {
		__u64 word[4] = {
			(__u64)packet->source.word[0] << 32 | packet->source.word[1],
			(__u64)packet->source.word[2] << 32 | packet->source.word[3],
			(__u64)packet->destination.word[0] << 32 | packet->destination.word[1],
			(__u64)packet->destination.word[2] << 32 | packet->destination.word[3],
		};

		return siphash_rest(word, 4, ports, 5, config.hash_seed[0], config.hash_seed[1]);
	}
	__u64 word = (__u64)packet->source.word[3] << 32 | packet->destination.word[3];

	return siphash_rest(&word, 1, ports, 5, config.hash_seed[0], config.hash_seed[1]);
}

/*
 * Choose for the first packet of a flow, not `avoid`: a backend id, or PICK_NOBODY; PICK_HAIRPIN
 * where only the client itself was usable.
 */
#define PICK_NOBODY  -1
#define PICK_HAIRPIN -2
__noinline int pick_backend(const struct packet *packet, __u32 service_id, __u32 avoid)
{
	struct weir_service *service = map_at(services, service_id);
	struct pick pick = {.service = service_id, .avoid = avoid, .chosen = PICK_NOBODY};
	__u64 region, hash;

	if (!packet || !service)
		return PICK_NOBODY;
	pick.client = packet->source;
	region = READ_ONCE(service->region);
	pick.start = region;
	pick.size = region >> 32;
	if (!pick.size)
		return PICK_NOBODY;
	hash = pick_hash(packet);
	pick.index = hash;
	if (unlikely(!pick_slot(&pick, hash)))
		pick_elsewhere(&pick, hash);
	if (pick.is_hairpin) {
		internal_count(WEIR_INTERNAL_HAIRPIN);
		if (pick.chosen == PICK_NOBODY)
			return PICK_HAIRPIN;
	}
	return pick.chosen;
}

#endif
