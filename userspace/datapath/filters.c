/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* filters.c - the writer's side of the filters; see filters.h. */
#include "datapath/filters.h"

#include "bpf/filter.h"
#include "datapath/store.h"

#include <stdlib.h>

static void add_address(__u64 *words, __u32 count, const struct weir_address *address)
{
	__u64 hash = filter_hash(address);

	if (count)
		STORE_OR(words[filter_word(hash, count)], filter_bits(hash));
}

void filters_add_vip(struct maps *maps, const struct weir_address *vip)
{
	add_address(maps_array(maps, MAP_vip_filter), maps->settings->vip_filter_words, vip);
}

void filters_add_backend(struct maps *maps, const struct weir_address *address)
{
	add_address(maps_array(maps, MAP_backend_filter), maps->settings->backend_filter_words,
		    address);
}

/* What is needed is set in the old word and in the new one, so one store per word will do. */
static void replace_words(__u64 *words, const __u64 *wanted, __u32 count)
{
	for (__u32 i = 0; i < count; i++) {
		if (words[i] != wanted[i])
			STORE(words[i], wanted[i]);
	}
}

static int rebuild_vips(struct maps *maps)
{
	const struct weir_settings *settings = maps->settings;
	const struct weir_frontend *frontends = maps_frontends(maps);
	__u64 *wanted = calloc(settings->vip_filter_words, sizeof(*wanted));

	if (!wanted)
		return -ENOMEM;
	for (__u32 i = 0; i < settings->frontends; i++) {
		__u64 hash = filter_hash(&frontends[i].vip);

		if (frontends[i].flags & WEIR_FRONTEND_VALID)
			wanted[filter_word(hash, settings->vip_filter_words)] |= filter_bits(hash);
	}
	replace_words(maps_array(maps, MAP_vip_filter), wanted, settings->vip_filter_words);
	free(wanted);
	STORE(maps->settings->stale_vips, 0);
	return 0;
}

static int rebuild_backends(struct maps *maps)
{
	const struct weir_settings *settings = maps->settings;
	const struct weir_backend *backends = maps_backends(maps);
	__u32 words = settings->backend_filter_words;
	__u64 *wanted = calloc(words, sizeof(*wanted));

	if (!wanted)
		return -ENOMEM;
	for (__u32 i = 0; i < settings->backends; i++) {
		__u64 hash = filter_hash(&backends[i].address);

		if (backends[i].service != WEIR_NONE)
			wanted[filter_word(hash, words)] |= filter_bits(hash);
	}
	replace_words(maps_array(maps, MAP_backend_filter), wanted, words);
	free(wanted);
	STORE(maps->settings->stale_backends, 0);
	return 0;
}

int filters_tidy(struct maps *maps, bool is_forced)
{
	const struct weir_settings *settings = maps->settings;
	int rc = 0;

	if (settings->vip_filter_words &&
	    (is_forced || settings->stale_vips > settings->frontends / 8))
		rc = rebuild_vips(maps);
	if (!rc && settings->backend_filter_words &&
	    (is_forced || settings->stale_backends > settings->backends / 8))
		rc = rebuild_backends(maps);
	return rc;
}
