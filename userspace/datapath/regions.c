/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* regions.c - first fit of aligned powers of two, the buddy rule without its lists; regions.h. */
#include "datapath/regions.h"

#include "datapath/slots.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define WORD_BLOCKS 64

int regions_init(struct regions *regions, uint32_t slots)
{
	uint32_t blocks = slots / SLOTS_MIN;

	regions->used = calloc((blocks + WORD_BLOCKS - 1) / WORD_BLOCKS + 1, sizeof(uint64_t));
	if (!regions->used)
		return -ENOMEM;
	regions->blocks = blocks;
	return 0;
}

void regions_free(struct regions *regions)
{
	free(regions->used);
	regions->used = NULL;
}

/* The bits of blocks [start, start + count) that lie in the word of `start`. */
static uint64_t word_mask(uint32_t start, uint32_t count)
{
	if (count >= WORD_BLOCKS)
		return ~0ull;
	return ((1ull << count) - 1) << (start % WORD_BLOCKS);
}

static bool is_free(const struct regions *regions, uint32_t start, uint32_t count)
{
	for (uint32_t at = start; at < start + count; at += WORD_BLOCKS) {
		if (regions->used[at / WORD_BLOCKS] & word_mask(at, count))
			return false;
	}
	return true;
}

/* A region beyond the end (maps that lie) marks what there is of it. */
static void set_used(struct regions *regions, uint32_t start, uint32_t size, bool is_used)
{
	uint32_t first = start / SLOTS_MIN, count = size / SLOTS_MIN;

	for (uint32_t at = first; at - first < count && at < regions->blocks; at += WORD_BLOCKS) {
		uint64_t mask = word_mask(at, count);

		if (is_used)
			regions->used[at / WORD_BLOCKS] |= mask;
		else
			regions->used[at / WORD_BLOCKS] &= ~mask;
	}
}

void regions_mark(struct regions *regions, uint32_t start, uint32_t size)
{
	set_used(regions, start, size, true);
}

void regions_clear(struct regions *regions, uint32_t start, uint32_t size)
{
	set_used(regions, start, size, false);
}

uint32_t regions_take(struct regions *regions, uint32_t size)
{
	uint32_t count = size / SLOTS_MIN;

	if (!count || count > regions->blocks)
		return REGION_NONE;
	for (uint32_t at = 0; at <= regions->blocks - count; at += count) {
		/* Small ones skip a full word at once; that keeps them aligned. */
		if (count < WORD_BLOCKS && at % WORD_BLOCKS == 0 &&
		    regions->used[at / WORD_BLOCKS] == ~0ull) {
			at += WORD_BLOCKS - count;
			continue;
		}
		if (is_free(regions, at, count)) {
			regions_mark(regions, at * SLOTS_MIN, size);
			return at * SLOTS_MIN;
		}
	}
	return REGION_NONE;
}
