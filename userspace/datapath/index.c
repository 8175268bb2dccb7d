/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* index.c - see index.h. */
#include "datapath/index.h"

#include <errno.h>
#include <stdlib.h>

static void put(struct index *index, struct index_cell cell)
{
	uint32_t mask = index->size - 1, at = cell.hash & mask;

	while (index->cells[at].entry)
		at = (at + 1) & mask;
	index->cells[at] = cell;
}

static int grow(struct index *index)
{
	struct index bigger = {.size = index->size ? index->size * 2 : 16};

	bigger.count = index->count;
	bigger.cells = calloc(bigger.size, sizeof(*bigger.cells));
	if (!bigger.cells)
		return -ENOMEM;
	for (uint32_t i = 0; i < index->size; i++) {
		if (index->cells[i].entry)
			put(&bigger, index->cells[i]);
	}
	free(index->cells);
	*index = bigger;
	return 0;
}

int index_add(struct index *index, uint64_t hash, uint32_t entry)
{
	if (2 * index->count >= index->size && grow(index))
		return -ENOMEM;
	put(index, (struct index_cell){.hash = (uint32_t)hash, .entry = entry + 1});
	index->count++;
	return 0;
}

void index_free(struct index *index)
{
	free(index->cells);
	*index = (struct index){};
}

uint32_t index_first(const struct index *index, uint64_t hash)
{
	return index->size ? (uint32_t)hash & (index->size - 1) : 0;
}

uint32_t index_next(const struct index *index, uint64_t hash, uint32_t *at)
{
	if (!index->size)
		return INDEX_END;
	for (;;) {
		struct index_cell cell = index->cells[*at];

		if (!cell.entry)
			return INDEX_END;
		*at = (*at + 1) & (index->size - 1);
		if (cell.hash == (uint32_t)hash)
			return cell.entry - 1;
	}
}

uint64_t index_hash(const void *data, size_t len)
{
	const unsigned char *bytes = data;
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ull;
	return hash ^ hash >> 32;
}
