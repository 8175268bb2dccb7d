/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * bpf_native.h - what bpf/ wants of the kernel, for tests that compile it natively: maps, clocks,
 * loops, timers and CPUs. The helpers that take a packet are in native_skb.h.
 *
 * A map is opened by the test with native_open(&map, entries) before anything looks into it. An
 * ARRAY is one block of memory, so that the address sanitizer sees what leaves it. A HASH reuses
 * the memory of a deleted element at once, as the kernel's preallocated hash does. Each thread of
 * a test is a CPU (native_cpu); clocks stand still until the test moves them.
 */
#ifndef WEIR_BPF_NATIVE_H
#define WEIR_BPF_NATIVE_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>

/* Global functions of bpf/ are called by nobody else and have no prototype; unroll is clang's. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wunknown-pragmas"

#define SEC(name)
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#define barrier()             __asm__ volatile("" ::: "memory")
#define barrier_var(variable) __asm__ volatile("" : "+r"(variable))

/*
 * In the kernel a volatile access of a word is one access. Under the thread sanitizer it must be
 * said in its terms, so that what remains to be reported are the plain ones.
 */
#if defined(__SANITIZE_THREAD__) && !defined(READ_ONCE)
#define READ_ONCE(x)         __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, value) __atomic_store_n(&(x), (value), __ATOMIC_RELAXED)
#endif

/* --- maps ----------------------------------------------------------------------------------- */

/* The first member of a map definition is its type; its place holds the opened map. */
#define __uint(name, number)                      \
	union {                                   \
		int (*name)[number];              \
		struct native_map *name##_native; \
	}
#define __type(name, kind) typeof(kind) *name

struct native_map {
	__u32 type, max_entries, key_size, value_size;
	__u8 *values;
	__u8 *keys; /* HASH only, as are the others below */
	bool *is_used;
	pthread_mutex_t lock;
};

#define NATIVE_CPUS 4
static __thread __u32 native_cpu;

static inline void *native_alloc(size_t count, size_t size)
{
	void *memory = NULL;

	/* a bucket of flows lies in one cache line */
	if (posix_memalign(&memory, 64, count * size))
		abort();
	memset(memory, 0, count * size);
	return memory;
}

static inline struct native_map *native_map_open(__u32 type, __u32 entries, __u32 key_size,
						 __u32 value_size)
{
	struct native_map *map = native_alloc(1, sizeof(*map));
	__u32 copies = type == BPF_MAP_TYPE_PERCPU_ARRAY ? NATIVE_CPUS : 1;

	map->type = type;
	map->max_entries = entries;
	map->key_size = key_size;
	map->value_size = value_size;
	map->values = native_alloc((size_t)entries * copies, value_size);
	if (type == BPF_MAP_TYPE_HASH) {
		map->keys = native_alloc(entries, key_size);
		map->is_used = native_alloc(entries, sizeof(*map->is_used));
	}
	pthread_mutex_init(&map->lock, NULL);
	return map;
}

static inline void native_map_close(struct native_map **map)
{
	if (!*map)
		return;
	free((*map)->values);
	free((*map)->keys);
	free((*map)->is_used);
	pthread_mutex_destroy(&(*map)->lock);
	free(*map);
	*map = NULL;
}

/* Forget all that is in the map. */
static inline void native_map_clear(struct native_map *map)
{
	__u32 copies = map->type == BPF_MAP_TYPE_PERCPU_ARRAY ? NATIVE_CPUS : 1;

	memset(map->values, 0, (size_t)map->max_entries * copies * map->value_size);
	if (map->is_used)
		memset(map->is_used, 0, map->max_entries * sizeof(*map->is_used));
}

#define native_open(map, entries)                                                            \
	((map)->type_native = native_map_open(sizeof(*(map)->type) / sizeof(int), (entries), \
					      sizeof(*(map)->key), sizeof(*(map)->value)))
#define native_close(map)  native_map_close(&(map)->type_native)
#define native_clear(map)  native_map_clear((map)->type_native)
#define native_values(map) ((typeof((map)->value))(void *)(map)->type_native->values)

static inline struct native_map *native_map_of(const void *map)
{
	struct native_map *opened;

	memcpy(&opened, map, sizeof(opened));
	if (!opened) {
		fprintf(stderr, "a map was used before native_open\n");
		abort();
	}
	return opened;
}

/* Place of the key in a HASH, of a free one (`key` NULL), or max_entries. Locked by the caller. */
static inline __u32 native_hash_find(const struct native_map *map, const void *key)
{
	__u32 at = 0;

	for (; at < map->max_entries; at++) {
		if (!key ? !map->is_used[at]
			 : map->is_used[at] &&
				    !memcmp(map->keys + at * map->key_size, key, map->key_size))
			break;
	}
	return at;
}

static inline void *native_hash_lookup(struct native_map *map, const void *key)
{
	__u32 at;

	pthread_mutex_lock(&map->lock);
	at = native_hash_find(map, key);
	pthread_mutex_unlock(&map->lock);
	return at < map->max_entries ? map->values + (size_t)at * map->value_size : NULL;
}

static inline void *bpf_map_lookup_elem(const void *any, const void *key)
{
	struct native_map *map = native_map_of(any);
	__u32 index;

	if (map->type == BPF_MAP_TYPE_HASH)
		return native_hash_lookup(map, key);
	memcpy(&index, key, sizeof(index));
	if (index >= map->max_entries)
		return NULL;
	if (map->type == BPF_MAP_TYPE_PERCPU_ARRAY)
		index += native_cpu * map->max_entries;
	return map->values + (size_t)index * map->value_size;
}

/* HASH only: bpf/ changes the values of an ARRAY in place. */
static inline long bpf_map_update_elem(const void *any, const void *key, const void *value,
				       __u64 flags)
{
	struct native_map *map = native_map_of(any);
	long answer = 0;
	__u32 at;

	if (map->type != BPF_MAP_TYPE_HASH)
		abort();
	pthread_mutex_lock(&map->lock);
	at = native_hash_find(map, key);
	if (at < map->max_entries && flags == BPF_NOEXIST)
		answer = -EEXIST;
	else if (at == map->max_entries && flags == BPF_EXIST)
		answer = -ENOENT;
	else if (at == map->max_entries)
		at = native_hash_find(map, NULL);
	if (!answer && at == map->max_entries)
		answer = -E2BIG;
	if (!answer) {
		memcpy(map->keys + at * map->key_size, key, map->key_size);
		memcpy(map->values + (size_t)at * map->value_size, value, map->value_size);
		map->is_used[at] = true;
	}
	pthread_mutex_unlock(&map->lock);
	return answer;
}

static inline long bpf_map_delete_elem(const void *any, const void *key)
{
	struct native_map *map = native_map_of(any);
	__u32 at;

	pthread_mutex_lock(&map->lock);
	at = native_hash_find(map, key);
	if (at < map->max_entries)
		map->is_used[at] = false;
	pthread_mutex_unlock(&map->lock);
	return at < map->max_entries ? 0 : -ENOENT;
}

/* Elements may come and go under the walk, as in the kernel. */
static inline long bpf_for_each_map_elem(void *any, void *step, void *arg, __u64 flags)
{
	long (*call)(void *, const void *, void *, void *) = step;
	struct native_map *map = native_map_of(any);
	long done = 0;

	if (flags || map->type != BPF_MAP_TYPE_HASH)
		return -EINVAL;
	for (__u32 at = 0; at < map->max_entries; at++) {
		bool is_used;

		pthread_mutex_lock(&map->lock);
		is_used = map->is_used[at];
		pthread_mutex_unlock(&map->lock);
		if (!is_used)
			continue;
		done++;
		if (call(any, map->keys + at * map->key_size,
			 map->values + (size_t)at * map->value_size, arg))
			break;
	}
	return done;
}

/* --- CPUs, clocks, loops -------------------------------------------------------------------- */

static __u64 native_jiffies, native_ns;

static inline __u32 bpf_get_smp_processor_id(void)
{
	return native_cpu;
}

static inline __u64 bpf_jiffies64(void)
{
	return __atomic_load_n(&native_jiffies, __ATOMIC_RELAXED);
}

static inline __u64 bpf_ktime_get_ns(void)
{
	return __atomic_load_n(&native_ns, __ATOMIC_RELAXED);
}

static inline __u64 bpf_ktime_get_coarse_ns(void)
{
	return bpf_ktime_get_ns();
}

static inline long bpf_loop(__u32 times, void *step, void *arg, __u64 flags)
{
	long (*call)(__u32, void *) = step;

	if (flags)
		return -EINVAL;
	if (times > 1u << 23)
		return -E2BIG;
	for (__u32 i = 0; i < times; i++)
		if (call(i, arg))
			return i + 1;
	return times;
}

/* --- timers --------------------------------------------------------------------------------- */

#define NATIVE_TIMERS 64

/* One for each bpf_timer that was set up; `due` 0 is not running. */
struct native_timer {
	struct bpf_timer *timer;
	void *map;
	int (*call)(void *map, __u32 *key, void *value);
	__u64 due;
};
static struct native_timer native_timers[NATIVE_TIMERS];

static inline struct native_timer *native_timer_of(const struct bpf_timer *timer)
{
	for (int i = 0; i < NATIVE_TIMERS; i++)
		if (native_timers[i].timer == timer)
			return &native_timers[i];
	return NULL;
}

static inline long bpf_timer_init(struct bpf_timer *timer, void *map, __u64 flags)
{
	struct native_timer *place = native_timer_of(NULL);

	if (native_timer_of(timer))
		return -EBUSY;
	if (!place)
		return -ENOMEM;
	*place = (struct native_timer){.timer = timer, .map = map};
	return 0;
}

static inline long bpf_timer_set_callback(struct bpf_timer *timer, void *call)
{
	struct native_timer *place = native_timer_of(timer);

	if (!place)
		return -EINVAL;
	place->call = call;
	return 0;
}

static inline long bpf_timer_start(struct bpf_timer *timer, __u64 delay, __u64 flags)
{
	struct native_timer *place = native_timer_of(timer);

	if (!place || flags)
		return -EINVAL;
	place->due = native_ns + delay;
	return 0;
}

/* Let the time become `ns`: timers go off as they are due, the earliest first. */
static inline void native_timers_run(__u64 ns)
{
	for (;;) {
		struct native_timer *next = NULL;
		struct native_map *map;
		__u32 key;

		for (int i = 0; i < NATIVE_TIMERS; i++) {
			struct native_timer *timer = &native_timers[i];

			if (timer->due && timer->due <= ns && (!next || timer->due < next->due))
				next = timer;
		}
		if (!next)
			break;
		native_ns = next->due;
		next->due = 0;
		map = native_map_of(next->map);
		key = (__u32)(((__u8 *)next->timer - map->values) / map->value_size);
		next->call(next->map, &key, map->values + (size_t)key * map->value_size);
	}
	native_ns = ns;
}

#include "native_skb.h"

#endif
