/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* table.c - see table.h. */
#include "weir/table.h"

#include "weir/commands.h"
#include "weir/print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ABSENT "\1" /* no text of ours has it */

void table_init(struct table *table, const struct column *columns)
{
	*table = (struct table){.columns = columns};
	while (columns[table->width].key)
		table->width++;
	for (size_t i = 0; i < table->width; i++)
		table->widths[i] = columns[i].heading ? strlen(columns[i].heading) : 0;
}

void table_free(struct table *table)
{
	free(table->text);
	*table = (struct table){};
}

/* A cell for people; `buffer` holds 24 bytes. */
static const char *show_cell(enum column_kind kind, const char *cell, char *buffer)
{
	if (!*cell || !strcmp(cell, ABSENT))
		return "-";
	if (kind != COLUMN_MS)
		return cell;
	snprintf(buffer, 24, "%llus", (strtoull(cell, NULL, 10) + 999) / 1000);
	return buffer;
}

static bool make_room(struct table *table, size_t len)
{
	size_t room = table->room ? table->room * 2 : 4096;
	char *text;

	if (table->room - table->len >= len)
		return true;
	while (room - table->len < len)
		room *= 2;
	text = realloc(table->text, room);
	if (!text)
		return false;
	table->text = text;
	table->room = room;
	return true;
}

void table_add_text(struct table *table, const char *text)
{
	size_t len = strlen(text) + 1, column = table->cells % table->width, shown;
	char buffer[24];

	if (table->has_failed || !make_room(table, len)) {
		table->has_failed = true;
		return;
	}
	memcpy(table->text + table->len, text, len);
	table->len += len;
	table->cells++;
	shown = strlen(show_cell(table->columns[column].kind, text, buffer));
	if (table->columns[column].heading && shown > table->widths[column])
		table->widths[column] = shown;
}

void table_add_number(struct table *table, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	table_add_text(table, text);
}

void table_add_bool(struct table *table, bool value)
{
	table_add_text(table, value ? "yes" : "no");
}

void table_add_absent(struct table *table)
{
	table_add_text(table, ABSENT);
}

static bool is_right(enum column_kind kind)
{
	return kind == COLUMN_NUMBER || kind == COLUMN_MS;
}

/* Columns stand two blanks apart; a line does not end in blanks. */
static void print_cell(const struct table *table, size_t column, const char *text, FILE *out)
{
	int width = (int)table->widths[column];
	bool is_last = true;

	for (size_t i = column + 1; i < table->width; i++)
		is_last = is_last && !table->columns[i].heading;
	if (is_right(table->columns[column].kind))
		fprintf(out, "%*s", width, text);
	else
		fprintf(out, "%-*s", is_last ? 0 : width, text);
	fputs(is_last ? "\n" : "  ", out);
}

int table_print_text(const struct table *table, FILE *out)
{
	const char *cell = table->text;
	char buffer[24];

	if (table->has_failed)
		return print_no_memory();
	for (size_t i = 0; table->cells && i < table->width; i++) {
		if (table->columns[i].heading)
			print_cell(table, i, table->columns[i].heading, out);
	}
	for (size_t i = 0; i < table->cells; i++, cell += strlen(cell) + 1) {
		const struct column *column = &table->columns[i % table->width];

		if (column->heading)
			print_cell(table, i % table->width, show_cell(column->kind, cell, buffer),
				   out);
	}
	return EXIT_DONE;
}

/* "a,b" to ["a", "b"]; "a=1,b=2" to {"a": "1", "b": "2"}. */
static json_t *split_cell(const char *cell, bool has_keys)
{
	json_t *json = has_keys ? json_object() : json_array();
	int rc = json ? 0 : -1;

	while (!rc && *cell) {
		size_t len = strcspn(cell, ","), key = has_keys ? strcspn(cell, "=") : 0;

		if (has_keys && key < len)
			rc = json_object_setn_new(json, cell, key,
						  json_stringn(cell + key + 1, len - key - 1));
		else if (!has_keys)
			rc = json_array_append_new(json, json_stringn(cell, len));
		cell += len + (cell[len] == ',');
	}
	if (rc) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static json_t *cell_json(enum column_kind kind, const char *cell)
{
	bool is_absent = !strcmp(cell, ABSENT);

	switch (kind) {
	case COLUMN_LIST:
	case COLUMN_LABELS:
		return split_cell(is_absent ? "" : cell, kind == COLUMN_LABELS);
	case COLUMN_NUMBER:
	case COLUMN_MS:
		return is_absent ? json_null() : json_integer(strtoll(cell, NULL, 10));
	case COLUMN_BOOL:
		return is_absent ? json_null() : json_boolean(!strcmp(cell, "yes"));
	default:
		return is_absent ? json_null() : json_string(cell);
	}
}

/* The row whose first cell is `*cell`, which goes on to the next row. */
static json_t *row_json(const struct table *table, const char **cell)
{
	json_t *row = json_object();

	for (size_t i = 0; i < table->width; i++) {
		const struct column *column = &table->columns[i];

		if (row && json_object_set_new(row, column->key, cell_json(column->kind, *cell))) {
			json_decref(row);
			row = NULL;
		}
		*cell += strlen(*cell) + 1;
	}
	return row;
}

int table_print_json(const struct table *table, FILE *out, const char *between)
{
	const char *cell = table->text;

	if (table->has_failed)
		return print_no_memory();
	fputc('[', out);
	for (size_t i = 0; i < table->cells; i += table->width) {
		json_t *row = row_json(table, &cell);

		if (!row)
			return print_no_memory();
		fputs(i ? between : "", out);
		json_dumpf(row, out, 0); /* failures to write stay in ferror */
		json_decref(row);
	}
	fputs("]\n", out);
	return EXIT_DONE;
}

int table_print(const struct table *table, bool is_json)
{
	return is_json ? table_print_json(table, stdout, ",\n ") : table_print_text(table, stdout);
}

json_t *table_json(const struct table *table)
{
	const char *cell = table->text;
	json_t *rows = table->has_failed ? NULL : json_array();

	for (size_t i = 0; rows && i < table->cells; i += table->width) {
		if (json_array_append_new(rows, row_json(table, &cell))) {
			json_decref(rows);
			rows = NULL;
		}
	}
	return rows;
}
