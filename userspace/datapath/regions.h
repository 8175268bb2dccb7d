/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * regions.h - which parts of `slots` are in use: a bit for each block of SLOTS_MIN slots. Pure.
 *
 * Nothing of it is kept in the maps: a writer derives it from the regions of the services, so a
 * killed run cannot leak slots.
 */
#ifndef WEIR_REGIONS_H
#define WEIR_REGIONS_H

#include <stdint.h>

#define REGION_NONE 0xffffffffu

struct regions {
	uint64_t *used; /* owned */
	uint32_t blocks;
};

int regions_init(struct regions *regions, uint32_t slots); /* all free; 0 or -ENOMEM */
void regions_free(struct regions *regions); /* zeroed is fine */

/* `size` is a power of two and at least SLOTS_MIN, `start` a multiple of it. */
void regions_mark(struct regions *regions, uint32_t start, uint32_t size);
void regions_clear(struct regions *regions, uint32_t start, uint32_t size);

/* Mark the first free aligned region and return its start, or REGION_NONE. */
uint32_t regions_take(struct regions *regions, uint32_t size);

#endif
