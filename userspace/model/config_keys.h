/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * config_keys.h - the keyword table: every key of the configuration, once. The parser, the
 * operator's commands, help and the test of docs/config.md walk it.
 */
#ifndef WEIR_CONFIG_KEYS_H
#define WEIR_CONFIG_KEYS_H

#include "model/service.h"

struct err;

enum config_kind {
	CONFIG_NUMBER, /* min-max */
	CONFIG_SECONDS, /* a duration of whole seconds, stored as seconds; min, max in ms */
	CONFIG_MILLISECONDS, /* a duration; min, max in ms */
	CONFIG_CHOICE, /* one of `names` */
	CONFIG_TEXT, /* what `parse` takes */
	CONFIG_LABELS, /* a mapping of free words */
	CONFIG_MAP, /* a mapping of `keys`, in the struct at `offset` */
	CONFIG_LIST, /* `min` elements or more; `max` at most, 0: no bound */
	CONFIG_ELEMENT, /* one element without a list around it */
};

struct config_key {
	const char *name;
	enum config_kind kind;
	bool is_required;
	const char *alternative; /* the key that may stand instead of a required one */
	bool is_identity; /* part of what names the element: a bad one makes the element unknown */
	size_t offset, size; /* of the field that it fills */
	uint64_t min, max;
	const struct name *names; /* CONFIG_CHOICE */

	/* From text into `element`; -EINVAL with "got ..., wanted ...". Elements: their short form. */
	int (*parse)(void *element, const char *text, struct err *err);

	const struct config_key *keys; /* what a mapping here holds; the last has no name */
	void *(*add)(void *parent); /* CONFIG_LIST, CONFIG_ELEMENT: a new element, or NULL */
	size_t place_offset; /* its struct place */

	const char *format; /* what may stand here, where the fields above do not say it */
	const char *fallback; /* the default, as text; NULL: none */
	const char *help; /* one line */
};

extern const struct config_key config_keys[]; /* the file */
extern const struct config_key config_service_keys[], config_backend_keys[], config_vip_keys[],
	config_interface_keys[];

const struct config_key *config_find_key(const struct config_key *keys, const char *name);

/* Set what a scalar key stands for. -EINVAL with "got ..., wanted ..."; `element` is untouched. */
int config_set(const struct config_key *key, void *element, const char *text, struct err *err);

/* All defaults of a zeroed element: a service, backend, ... */
void config_set_defaults(const struct config_key *keys, void *element);

/* Put key=value into the labels, in their order. -EINVAL with a message. */
int config_add_label(struct backend *backend, const char *key, const char *value, struct err *err);

/* What may stand there: "1-65535", "tcp or udp", "0s-24h", ... `text` has `size` bytes. */
const char *config_format_range(const struct config_key *key, char *text, size_t size);

#endif
