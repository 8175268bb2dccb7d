/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * slots.c - builds the table of a service; see slots.h.
 *
 * Primaries: each backend walks its own permutation of the table (offset, odd skip) and takes the
 * next free slot when it is its turn. With the largest weight `most`, a backend of weight w takes
 * its first slot in turn 1 and its k-th in turn ceil((2k - 1) * most / 2w): Envoy's rule with
 * the targets moved by a half, so that rounding favours nobody. A quota ends it within one slot of
 * its exact share. Turns are a ring of lists, which keeps one heavy backend among thousands of
 * light ones linear.
 */
#include "datapath/slots.h"

#include "bpf/siphash.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY 0xffffffffu

struct walker {
	uint32_t at, skip; /* the permutation */
	uint32_t weight;
	uint32_t taken, quota; /* slots so far, and in the end */
	uint32_t next; /* in the list of its turn */
	/* dealing of secondaries, in units of weight << 32 */
	uint64_t point, step;
	uint32_t cursor;
};

struct turn {
	uint32_t head, tail;
};

struct table {
	struct slots_backend *backends;
	struct walker *walkers;
	uint64_t *ends; /* cumulative weight up to and with each backend */
	struct turn *turns; /* ring */
	uint64_t *used; /* a bit for each slot */
	uint32_t count, size, most, turn_mask;
};

uint32_t slots_size(size_t count)
{
	uint32_t size = SLOTS_MIN;

	if (!count)
		return 0;
	while (size < count * SLOTS_PER_BACKEND)
		size <<= 1;
	return size;
}

static int compare_identity(const void *a, const void *b)
{
	const struct slots_backend *one = a, *other = b;
	int order = memcmp(&one->addr, &other->addr, sizeof(one->addr));

	return order ? order : (int)one->port - (int)other->port;
}

static uint64_t hash_identity(const struct slots_backend *backend, uint64_t purpose,
			      const uint64_t seed[2])
{
	__u64 words[3];

	memcpy(words, &backend->addr, sizeof(backend->addr));
	words[2] = purpose << 32 | backend->port;
	return siphash(words, 3, seed[0], seed[1]);
}

static void start_walkers(struct table *table, const uint64_t seed[2])
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < table->count; i++) {
		uint64_t hash = hash_identity(&table->backends[i], 1, seed);
		uint32_t weight = table->backends[i].weight;

		table->walkers[i] = (struct walker){
			.at = (uint32_t)hash & (table->size - 1),
			.skip = (uint32_t)(hash >> 32) | 1,
			.weight = weight,
		};
		if (weight > table->most)
			table->most = weight;
		sum += weight;
		table->ends[i] = sum;
	}
}

/* Where the exact shares, laid end to end over the table, reach the middle of a slot. */
static void set_quotas(struct table *table)
{
	uint64_t sum = table->ends[table->count - 1], before = 0;

	for (uint32_t i = 0; i < table->count; i++) {
		uint64_t end = (table->ends[i] * table->size + sum / 2) / sum;

		table->walkers[i].quota = end > before ? (uint32_t)(end - before) : 1;
		before = end;
	}
}

static int table_init(struct table *table, struct slots_backend *backends, uint32_t count,
		      uint32_t size, const uint64_t seed[2])
{
	*table = (struct table){.backends = backends, .count = count, .size = size};
	table->walkers = malloc(count * sizeof(*table->walkers));
	table->ends = malloc(count * sizeof(*table->ends));
	table->used = calloc((size + 63) / 64, sizeof(*table->used));
	if (!table->walkers || !table->ends || !table->used)
		return -ENOMEM;
	start_walkers(table, seed);
	set_quotas(table);
	/* A backend is due again after at most most / weight + 1 turns, twice that for its second. */
	table->turn_mask = 1;
	while (table->turn_mask <= 2 * table->most + 2)
		table->turn_mask <<= 1;
	table->turns = malloc(table->turn_mask * sizeof(*table->turns));
	if (!table->turns)
		return -ENOMEM;
	memset(table->turns, 0xff, table->turn_mask * sizeof(*table->turns));
	table->turn_mask--;
	return 0;
}

static void table_free(struct table *table)
{
	free(table->walkers);
	free(table->ends);
	free(table->used);
	free(table->turns);
}

static void join_turn(struct table *table, uint32_t number, uint32_t i)
{
	struct turn *turn = &table->turns[number & table->turn_mask];

	table->walkers[i].next = NOBODY;
	if (turn->head == NOBODY)
		turn->head = i;
	else
		table->walkers[turn->tail].next = i;
	turn->tail = i;
}

static uint32_t next_turn(const struct table *table, const struct walker *walker, uint32_t turn)
{
	uint64_t due;

	if (walker->weight == table->most)
		return turn + 1;
	due = ((2ull * walker->taken + 1) * table->most + 2 * walker->weight - 1) /
	      (2 * walker->weight);
	return due > turn ? (uint32_t)due : turn + 1;
}

static uint32_t take_slot(struct table *table, struct walker *walker)
{
	uint32_t mask = table->size - 1, at = walker->at;

	while (table->used[at / 64] & 1ull << (at % 64))
		at = (at + walker->skip) & mask;
	table->used[at / 64] |= 1ull << (at % 64);
	walker->at = (at + walker->skip) & mask;
	walker->taken++;
	return at;
}

/* Fills `primary` with indexes into `backends`; deal_secondaries makes ids of them. */
static void fill_primaries(struct table *table, struct weir_slot *slots)
{
	uint32_t left = table->size;

	for (uint32_t i = 0; i < table->count; i++)
		join_turn(table, 1, i);
	for (uint32_t turn = 1; left; turn++) {
		uint32_t i = table->turns[turn & table->turn_mask].head, next;

		table->turns[turn & table->turn_mask].head = NOBODY;
		for (; i != NOBODY && left; i = next) {
			struct walker *walker = &table->walkers[i];

			next = walker->next;
			slots[take_slot(table, walker)].primary = i;
			left--;
			if (walker->taken < walker->quota)
				join_turn(table, next_turn(table, walker, turn), i);
		}
	}
}

/*
 * Systematic sampling: the weights of the others lie end to end on a line, and the primary's
 * slots are points on it at equal distances from a start that its identity gives. So each other
 * backend gets its share to within one slot. The line of everybody but i is that of everybody
 * with i's stretch skipped.
 */
static void start_dealing(struct table *table, const uint64_t seed[2])
{
	uint64_t all = table->ends[table->count - 1];

	for (uint32_t i = 0; i < table->count; i++) {
		struct walker *walker = &table->walkers[i];
		uint64_t fraction = hash_identity(&table->backends[i], 2, seed) >> 32;

		walker->step = ((all - walker->weight) << 32) / walker->taken;
		walker->point = (uint64_t)((unsigned __int128)walker->step * fraction >> 32);
		walker->cursor = 0;
	}
}

static uint32_t deal_secondary(const struct table *table, uint32_t primary)
{
	struct walker *walker = &table->walkers[primary];

	for (;;) {
		uint64_t end = table->ends[walker->cursor];

		if (walker->cursor > primary)
			end -= walker->weight;
		if (walker->cursor != primary && walker->point < end << 32)
			break;
		walker->cursor++;
	}
	walker->point += walker->step;
	return walker->cursor;
}

static void deal_secondaries(struct table *table, struct weir_slot *slots, const uint64_t seed[2])
{
	bool is_alone = table->count == 1;

	start_dealing(table, seed);
	for (uint32_t at = 0; at < table->size; at++) {
		uint32_t primary = slots[at].primary;
		uint32_t secondary = is_alone ? primary : deal_secondary(table, primary);

		slots[at].primary = table->backends[primary].id;
		slots[at].secondary = table->backends[secondary].id;
	}
}

int slots_build(struct slots_backend *backends, size_t count, const uint64_t seed[2], uint32_t size,
		struct weir_slot *slots)
{
	struct table table;
	int rc;

	if (!count)
		return 0;
	if (size < count) /* slots_size never asks for it, and somebody would have no slot */
		return -EINVAL;
	qsort(backends, count, sizeof(*backends), compare_identity);
	rc = table_init(&table, backends, (uint32_t)count, size, seed);
	if (!rc) {
		fill_primaries(&table, slots);
		deal_secondaries(&table, slots, seed);
	}
	table_free(&table);
	return rc;
}
