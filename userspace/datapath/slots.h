/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * slots.h - the table of a service: weighted Maglev primaries (Eisenbud et al., NSDI 2016), each
 * slot with a secondary. Pure: no maps, no clock.
 *
 * The size is a power of two and the skips are odd, so the packet path masks instead of dividing.
 * Each primary's slots deal their secondaries to the other backends in proportion to weight: when
 * one backend is out, the others keep their shares, and nobody else's slots move.
 */
#ifndef WEIR_SLOTS_H
#define WEIR_SLOTS_H

#include "base/addr.h"
#include "bpf/abi.h"

#include <stddef.h>
#include <stdint.h>

#define SLOTS_PER_BACKEND 128
#define SLOTS_MIN         256

struct slots_backend {
	uint32_t id;
	uint16_t weight; /* 1 and more */
	uint16_t port; /* host order */
	struct addr addr; /* address and port are its identity: ids do not matter to the table */
};

/* Slots of a service of `count` backends: a power of two; 0 for none. */
uint32_t slots_size(size_t count);

/*
 * Fill `slots[size]`. The result depends only on the set of (addr, port, weight) and `seed`, not
 * on the order: `backends` is sorted in place. Every backend gets a slot. 0 or -ENOMEM.
 */
int slots_build(struct slots_backend *backends, size_t count, const uint64_t seed[2], uint32_t size,
		struct weir_slot *slots);

#endif
