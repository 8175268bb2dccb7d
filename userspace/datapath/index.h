/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * index.h - from a hash to the numbers of entries in an array that the caller keeps: open
 * addressing, entries are only added. Pure.
 *
 *	for (at = index_first(index, hash); (i = index_next(index, hash, &at)) != INDEX_END;)
 *		if (entries[i] is it) ...
 */
#ifndef WEIR_INDEX_H
#define WEIR_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define INDEX_END 0xffffffffu

struct index_cell {
	uint32_t hash;
	uint32_t entry; /* one more than the number; 0: empty */
};

struct index {
	struct index_cell *cells; /* owned */
	uint32_t size, count; /* size is 0 or a power of two */
};

int index_add(struct index *index, uint64_t hash, uint32_t entry); /* 0 or -ENOMEM */
void index_free(struct index *index); /* zeroed is fine */

uint32_t index_first(const struct index *index, uint64_t hash);
uint32_t index_next(const struct index *index, uint64_t hash, uint32_t *at);

/* FNV-1a with a final mix; not secret: the keys are the operator's. */
uint64_t index_hash(const void *data, size_t len);

#endif
