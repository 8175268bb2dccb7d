/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* config_errors.c - all that is wrong with a configuration; see config_errors.h. */
#include "model/config_errors.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void config_errors_init(struct config_errors *errors, const char *file)
{
	memset(errors, 0, sizeof(*errors));
	errors->file = file;
}

void config_errors_free(struct config_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->errors[i].text);
	config_errors_init(errors, errors->file);
}

static void print_line(FILE *out, const char *file, struct place place, const char *where,
		       const char *format, va_list args)
{
	if (file)
		fprintf(out, "%s:", file);
	if (place.line)
		fprintf(out, "%d:%d:", place.line, place.column);
	if (file || place.line)
		fputc(' ', out);
	if (where)
		fprintf(out, "%s: ", where);
	vfprintf(out, format, args);
}

void config_errors_add(struct config_errors *errors, struct place place, const char *where,
		       const char *format, ...)
{
	struct config_error *error = &errors->errors[errors->count];
	char *text = NULL;
	va_list args;
	size_t len;
	FILE *out;

	if (errors->count == CONFIG_ERRORS_MAX || !(out = open_memstream(&text, &len))) {
		errors->left_out++;
		return;
	}
	va_start(args, format);
	print_line(out, errors->file, place, where, format, args);
	va_end(args);
	if (fclose(out)) {
		free(text);
		errors->left_out++;
		return;
	}
	*error = (struct config_error){
		.place = place,
		.number = errors->count++,
		.text = text,
	};
}

static int compare_errors(const void *a, const void *b)
{
	const struct config_error *x = a, *y = b;

	if (x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	if (x->place.column != y->place.column)
		return x->place.column < y->place.column ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

void config_errors_sort(struct config_errors *errors)
{
	qsort(errors->errors, errors->count, sizeof(errors->errors[0]), compare_errors);
}

void config_errors_print(const struct config_errors *errors, FILE *out)
{
	for (size_t i = 0; i < errors->count; i++)
		fprintf(out, "%s\n", errors->errors[i].text);
	if (errors->left_out)
		fprintf(out, "... and %zu more\n", errors->left_out);
}
