/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * store.h - how a writer changes the maps: one word, one text or one key at a time, in program
 * order, each visible to packets before the next.
 *
 * A run may be killed between any two of them. STORED() marks these places: the test of killed
 * runs (tests/unit/test_apply_kill.c) defines it and includes all C files that use this one, so
 * their static names must differ.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include "base/err.h"
#include "datapath/maps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#ifndef STORED
#define STORED() ((void)0)
#endif

#define STORE(place, value)                                            \
	do {                                                           \
		__atomic_store_n(&(place), (value), __ATOMIC_RELEASE); \
		STORED();                                              \
	} while (0)

/* Words in which others change other bits. */
#define STORE_OR(place, bits)                                          \
	do {                                                           \
		__atomic_fetch_or(&(place), (bits), __ATOMIC_ACQ_REL); \
		STORED();                                              \
	} while (0)
#define STORE_AND(place, bits)                                          \
	do {                                                            \
		__atomic_fetch_and(&(place), (bits), __ATOMIC_ACQ_REL); \
		STORED();                                               \
	} while (0)

/* `to` has `size` bytes, zeroed behind the text; both are arrays of the maps' and the model's. */
static inline void store_text(char *to, const char *from, size_t size)
{
	if (!strncmp(to, from, size))
		return;
	memset(to, 0, size);
	memcpy(to, from, strnlen(from, size - 1));
	STORED();
}

static inline int store_key(struct maps *maps, enum map_id id, const void *key, const void *value,
			    struct err *err)
{
	if (bpf_map_update_elem(maps->fds[id], key, value, BPF_ANY))
		return err_set(err, -errno, "map %s: cannot add a key: %s", map_names[id],
			       strerror(errno));
	STORED();
	return 0;
}

/* An absent key is fine. */
static inline int store_delete(struct maps *maps, enum map_id id, const void *key, struct err *err)
{
	if (bpf_map_delete_elem(maps->fds[id], key) && errno != ENOENT)
		return err_set(err, -errno, "map %s: cannot delete a key: %s", map_names[id],
			       strerror(errno));
	STORED();
	return 0;
}

static inline __u64 store_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

#endif
