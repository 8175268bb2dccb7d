/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * table.h - rows under columns: for people as aligned text, for programs as JSON. A quarter of a
 * million rows must fit, so a cell is its text only, until it is printed.
 */
#ifndef WEIR_TABLE_H
#define WEIR_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_MS, /* JSON: a number of ms; text: seconds, rounded up */
	COLUMN_LIST, /* text: "a,b"; JSON: ["a", "b"] */
	COLUMN_LABELS, /* text: "a=1,b=2"; JSON: {"a": "1", "b": "2"} */
	COLUMN_BOOL, /* text: yes, no */
};

struct column {
	const char *key; /* in JSON */
	const char *heading; /* as text; NULL: in JSON only */
	enum column_kind kind;
};

#define TABLE_COLUMNS_MAX 16

struct table {
	const struct column *columns; /* borrowed; the last has no key */
	size_t width; /* columns */
	char *text; /* owned: the cells one behind the other, each with a NUL */
	size_t len, room;
	size_t cells; /* added so far; a multiple of `width` when the last row is complete */
	size_t widths[TABLE_COLUMNS_MAX]; /* of the widest cell */
	bool has_failed; /* out of memory: printing says so */
};

void table_init(struct table *table, const struct column *columns);
void table_free(struct table *table);

/* The next cell. An absent one is "-" as text and null in JSON; of a list it is the empty list. */
void table_add_text(struct table *table, const char *text);
void table_add_number(struct table *table, uint64_t number);
void table_add_bool(struct table *table, bool value);
void table_add_absent(struct table *table);

/* Headings and rows; no rows, no headings. An exit code, as the others. */
int table_print_text(const struct table *table, FILE *out);
int table_print_json(const struct table *table, FILE *out, const char *between); /* rows */
int table_print(const struct table *table, bool is_json); /* on stdout */

/* An array of objects; NULL without memory. For tables that are part of a document. */
json_t *table_json(const struct table *table);

#endif
