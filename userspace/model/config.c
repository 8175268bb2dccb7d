/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * config.c - walks the events of libyaml along the keyword table and fills a model; see config.h.
 *
 * Events, not libyaml's document: a file of 250,000 backends would cost two million nodes. Each
 * read_ function is entered with the first event of a node at hand and left with its last.
 */
#include "model/config.h"

#include "base/err.h"
#include "base/text.h"
#include "model/config_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the one at hand */
	const char *text; /* the whole file */
	size_t len;
	unsigned int depth;
	int rc; /* not 0: nothing more can be read */
	struct config_errors *errors;
};

static struct place place_of(yaml_mark_t mark)
{
	return (struct place){.line = mark.line + 1, .column = mark.column + 1};
}

static struct place here(const struct reader *reader)
{
	return place_of(reader->event.start_mark);
}

/* The decoder runs ahead of the scanner: its errors come with a byte, not with a line. */
static struct place place_of_byte(const struct reader *reader, size_t offset)
{
	struct place place = {.line = 1, .column = 1};

	for (size_t i = 0; i < offset && i < reader->len; i++) {
		place.column++;
		if (reader->text[i] == '\n')
			place = (struct place){.line = place.line + 1, .column = 1};
	}
	return place;
}

static void report_syntax(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	struct place place = place_of(parser->problem_mark);
	bool has_context = parser->context && parser->error != YAML_READER_ERROR;

	reader->rc = -EINVAL;
	if (parser->error == YAML_MEMORY_ERROR) {
		reader->rc = -ENOMEM;
		return;
	}
	if (parser->error == YAML_READER_ERROR)
		place = place_of_byte(reader, parser->problem_offset);
	config_errors_add(reader->errors, place, NULL, "got bad YAML (%s%s%s), wanted good YAML",
			  has_context ? parser->context : "", has_context ? ": " : "",
			  parser->problem);
}

/* Anchors, aliases and tags stand beside a node, whatever it is: refused for all in one place. */
static void check_decoration(struct reader *reader)
{
	const yaml_event_t *event = &reader->event;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	} else if (event->type == YAML_ALIAS_EVENT) {
		config_errors_add(
			reader->errors, here(reader), NULL,
			"got an alias, wanted the value itself: aliases are not supported");
	}
	if (anchor)
		config_errors_add(
			reader->errors, here(reader), NULL,
			"got an anchor, wanted the value alone: anchors are not supported");
	if (tag)
		config_errors_add(reader->errors, here(reader), NULL,
				  "got a tag, wanted the value alone: tags are not supported");
}

static void count_depth(struct reader *reader)
{
	yaml_event_type_t type = reader->event.type;

	if (type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT)
		reader->depth--;
	if (type != YAML_SEQUENCE_START_EVENT && type != YAML_MAPPING_START_EVENT)
		return;
	if (++reader->depth <= CONFIG_DEPTH_MAX)
		return;
	config_errors_add(reader->errors, here(reader), NULL, "got a nesting of %d, wanted 1-%d",
			  CONFIG_DEPTH_MAX + 1, CONFIG_DEPTH_MAX);
	reader->rc = -EINVAL;
}

/* Take the next event in hand; false at the end of all reading. */
static bool next_event(struct reader *reader)
{
	yaml_event_delete(&reader->event);
	if (reader->rc)
		return false;
	if (!yaml_parser_parse(&reader->parser, &reader->event)) {
		report_syntax(reader);
		return false;
	}
	check_decoration(reader);
	count_depth(reader);
	return !reader->rc;
}

static void skip_node(struct reader *reader)
{
	yaml_event_type_t type = reader->event.type;
	unsigned int depth = reader->depth;

	if (type != YAML_SEQUENCE_START_EVENT && type != YAML_MAPPING_START_EVENT)
		return;
	while (next_event(reader) && reader->depth >= depth)
		;
}

/* Say that the node at hand is of the wrong kind, and pass it by. */
static void refuse_node(struct reader *reader, const char *where, const char *wanted)
{
	const yaml_event_t *event = &reader->event;
	char shown[TEXT_SHOWN_LEN];
	const char *got = "a list";

	if (event->type == YAML_MAPPING_START_EVENT)
		got = "a mapping";
	if (event->type == YAML_SCALAR_EVENT)
		got = text_show((const char *)event->data.scalar.value, shown);
	if (event->type == YAML_SCALAR_EVENT && !event->data.scalar.length)
		got = "nothing";
	if (event->type != YAML_ALIAS_EVENT)
		config_errors_add(reader->errors, here(reader), where, "got %s, wanted %s", got,
				  wanted);
	skip_node(reader);
}

/* The text of a scalar, as long as the event is at hand; NULL when it is none. */
static const char *read_text(struct reader *reader, const char *where)
{
	const yaml_event_t *event = &reader->event;

	if (event->type != YAML_SCALAR_EVENT) {
		refuse_node(reader, where, "text or a number");
		return NULL;
	}
	if (memchr(event->data.scalar.value, '\0', event->data.scalar.length)) {
		config_errors_add(reader->errors, here(reader), where,
				  "got text with a NUL byte, wanted text without");
		return NULL;
	}
	return (const char *)event->data.scalar.value;
}

static bool read_scalar(struct reader *reader, const struct config_key *key, void *element)
{
	const char *text = read_text(reader, key->name);
	struct err err = {};

	if (text && !config_set(key, element, text, &err))
		return true;
	if (text)
		config_errors_add(reader->errors, here(reader), key->name, "%s", err.text);
	/* A default that stays would lead the checks across elements astray. */
	memset((char *)element + key->offset, 0, key->size);
	return false;
}

static bool read_label(struct reader *reader, const struct config_key *key, void *element)
{
	const char *text = read_text(reader, key->name);
	char name[LABELS_LEN]; /* cut where no label could be as long */
	bool is_named = text;
	struct err err = {};

	snprintf(name, sizeof(name), "%s", text ? text : "");
	if (!next_event(reader))
		return false;
	if (!is_named) {
		skip_node(reader);
		return false;
	}
	text = read_text(reader, key->name);
	if (text && !config_add_label(element, name, text, &err))
		return true;
	if (text)
		config_errors_add(reader->errors, here(reader), key->name, "%s", err.text);
	return false;
}

static bool read_labels(struct reader *reader, const struct config_key *key, void *element)
{
	bool is_good = true;

	if (reader->event.type != YAML_MAPPING_START_EVENT) {
		refuse_node(reader, key->name, "a mapping");
		return false;
	}
	while (next_event(reader) && reader->event.type != YAML_MAPPING_END_EVENT)
		is_good &= read_label(reader, key, element);
	return is_good;
}

static const char *join_keys(const struct config_key *keys, char *text, size_t size)
{
	size_t len = 0;

	for (; keys->name && len < size; keys++)
		len += snprintf(text + len, size - len, "%s%s", len ? ", " : "one of ", keys->name);
	return text;
}

/* The key that was probably meant, or the list of all. */
static const char *suggest_key(const struct config_key *keys, const char *name, char *text,
			       size_t size)
{
	unsigned int best = 3, distance;
	const char *nearest = NULL;

	for (const struct config_key *key = keys; key->name; key++) {
		distance = text_distance(key->name, name);
		if (distance < best && distance < strlen(name)) {
			best = distance;
			nearest = key->name;
		}
	}
	return nearest ? nearest : join_keys(keys, text, size);
}

/* The row of the key at hand; NULL, and said so, when it is unknown or there already. */
static const struct config_key *read_key(struct reader *reader, const char *where,
					 const struct config_key *keys, uint64_t *seen)
{
	char shown[TEXT_SHOWN_LEN], known[256];
	const struct config_key *key;
	const char *name = read_text(reader, where);

	if (!name)
		return NULL;
	key = config_find_key(keys, name);
	if (!key) {
		config_errors_add(reader->errors, here(reader), where, "got key %s, wanted %s",
				  text_show(name, shown),
				  suggest_key(keys, name, known, sizeof(known)));
		return NULL;
	}
	if (*seen & 1ull << (key - keys)) {
		config_errors_add(reader->errors, here(reader), where,
				  "got key %s a second time, wanted it once", name);
		return NULL;
	}
	*seen |= 1ull << (key - keys);
	return key;
}

/* Whether the required keys are there; says which are not. */
static bool check_required(struct reader *reader, struct place place, const char *where,
			   const struct config_key *keys, uint64_t seen)
{
	const struct config_key *other;
	bool is_good = true;

	for (const struct config_key *key = keys; key->name; key++) {
		other = key->alternative ? config_find_key(keys, key->alternative) : key;
		if (!key->is_required || seen & (1ull << (key - keys) | 1ull << (other - keys)))
			continue;
		config_errors_add(reader->errors, place, where, "got no %s%s%s, wanted one",
				  key->name, key->alternative ? " and no " : "",
				  key->alternative ? key->alternative : "");
		is_good = false;
	}
	return is_good;
}

/* An element that is not known for certain would be compared with others as what it is not. */
static void clear_identity(const struct config_key *keys, void *element)
{
	for (; keys->name; keys++) {
		if (keys->is_identity)
			memset((char *)element + keys->offset, 0, keys->size);
	}
}

static bool read_value(struct reader *reader, const struct config_key *key, void *element);

static void read_mapping(struct reader *reader, const char *where, const struct config_key *keys,
			 void *element)
{
	struct place place = here(reader);
	const struct config_key *key;
	bool is_known = true;
	uint64_t seen = 0;

	if (reader->event.type != YAML_MAPPING_START_EVENT) {
		refuse_node(reader, where, "a mapping");
		return;
	}
	config_set_defaults(keys, element);
	while (next_event(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		key = read_key(reader, where, keys, &seen);
		if (!next_event(reader))
			return;
		if (!key)
			skip_node(reader);
		else if (!read_value(reader, key, element) && key->is_identity)
			is_known = false;
	}
	if (reader->rc)
		return;
	if (!check_required(reader, place, where, keys, seen) || !is_known)
		clear_identity(keys, element);
}

static void read_element(struct reader *reader, const struct config_key *key, void *parent)
{
	struct err err = {};
	const char *text;
	void *element = key->add(parent);

	if (!element) {
		reader->rc = -ENOMEM;
		return;
	}
	*(struct place *)((char *)element + key->place_offset) = here(reader);
	if (!key->parse || reader->event.type != YAML_SCALAR_EVENT) {
		read_mapping(reader, key->name, key->keys, element);
		return;
	}
	config_set_defaults(key->keys, element);
	text = read_text(reader, key->name);
	if (text && key->parse(element, text, &err))
		config_errors_add(reader->errors, here(reader), key->name, "%s", err.text);
}

static void read_list(struct reader *reader, const struct config_key *key, void *parent)
{
	struct place place = here(reader);
	size_t count = 0;

	if (reader->event.type != YAML_SEQUENCE_START_EVENT) {
		refuse_node(reader, key->name, "a list");
		return;
	}
	while (next_event(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		if (++count == key->max + 1 && key->max)
			config_errors_add(reader->errors, here(reader), key->name,
					  "got more than %llu elements, wanted %llu-%llu",
					  (unsigned long long)key->max,
					  (unsigned long long)key->min,
					  (unsigned long long)key->max);
		if (!key->max || count <= key->max)
			read_element(reader, key, parent);
		else
			skip_node(reader);
	}
	if (!reader->rc && count < key->min)
		config_errors_add(reader->errors, place, key->name,
				  "got an empty list, wanted at least one element");
}

/* false: said to be wrong. Only scalars need the answer. */
static bool read_value(struct reader *reader, const struct config_key *key, void *element)
{
	switch (key->kind) {
	case CONFIG_MAP:
		read_mapping(reader, key->name, key->keys, (char *)element + key->offset);
		return true;
	case CONFIG_LIST:
		read_list(reader, key, element);
		return true;
	case CONFIG_ELEMENT:
		read_element(reader, key, element);
		return true;
	case CONFIG_LABELS:
		return read_labels(reader, key, element);
	default:
		return read_scalar(reader, key, element);
	}
}

/* A document that holds nothing is an empty configuration, as a file without a document is. */
static bool is_nothing(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT && !event->data.scalar.length &&
	       event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static void read_stream(struct reader *reader, struct model *model)
{
	if (!next_event(reader) || !next_event(reader)) /* start of the stream */
		return;
	if (reader->event.type == YAML_STREAM_END_EVENT || !next_event(reader))
		return;
	if (!is_nothing(&reader->event))
		read_mapping(reader, NULL, config_keys, model);
	if (!next_event(reader) || !next_event(reader)) /* end of the document */
		return;
	if (reader->event.type != YAML_STREAM_END_EVENT)
		config_errors_add(reader->errors, here(reader), NULL,
				  "got a second YAML document, wanted one");
}

static int read_model(struct reader *reader, struct model *model)
{
	if (!yaml_parser_initialize(&reader->parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *)reader->text,
				     reader->len);
	read_stream(reader, model);
	yaml_event_delete(&reader->event);
	yaml_parser_delete(&reader->parser);
	return reader->rc;
}

int config_parse(const char *name, const char *text, size_t len, struct model *ret_model,
		 struct config_errors *ret_errors)
{
	struct reader reader = {.text = text, .len = len, .errors = ret_errors};
	struct model model;
	int rc;

	config_errors_init(ret_errors, name);
	model_init(&model);
	rc = read_model(&reader, &model);
	/* What stands after a place that stopped us is unknown, so no checks across it. */
	if (!rc)
		rc = config_check(&model, ret_errors);
	if (!rc && ret_errors->count + ret_errors->left_out)
		rc = -EINVAL;
	if (rc == -ENOMEM)
		config_errors_add(ret_errors, (struct place){}, NULL, "out of memory");
	config_errors_sort(ret_errors);
	if (rc)
		model_free(&model);
	else
		*ret_model = model;
	return rc;
}

/* Read to the end of a file, a pipe or a device; at most CONFIG_SIZE_MAX bytes. */
static int read_all(FILE *file, char **text, size_t *len)
{
	size_t size = 0;
	char *grown;

	do {
		if (size > CONFIG_SIZE_MAX)
			return -EFBIG;
		size = size ? size * 2 : 1 << 16;
		grown = realloc(*text, size);
		if (!grown)
			return -ENOMEM;
		*text = grown;
		*len += fread(*text + *len, 1, size - *len, file);
		if (ferror(file))
			return -errno;
	} while (*len == size);
	return *len > CONFIG_SIZE_MAX ? -EFBIG : 0;
}

int config_read(const char *path, struct model *ret_model, struct config_errors *ret_errors)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t len = 0;
	int rc;

	config_errors_init(ret_errors, path);
	rc = file ? read_all(file, &text, &len) : -errno;
	if (rc)
		config_errors_add(ret_errors, (struct place){}, NULL, "%s", strerror(-rc));
	else
		rc = config_parse(path, text, len, ret_model, ret_errors);
	free(text);
	if (file)
		fclose(file);
	return rc;
}
