/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* print.h - talk on stderr, data on stdout, and how values look there. */
#ifndef WEIR_PRINT_H
#define WEIR_PRINT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct config_errors;

/* "weir: ..." on stderr. */
void print_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same; returns EXIT_FAILED. */
int print_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int print_no_memory(void);

/* Each as a line of its own. */
void print_config_errors(const struct config_errors *errors);

/* Write out what is left of stdout. EXIT_DONE, or EXIT_FAILED when not all could be written. */
int print_flush(void);

/* The value as a document; takes the reference, NULL is out of memory. An exit code. */
int print_json(json_t *json);

/* "12.3 MiB"; `text` holds PRINT_SIZE_LEN bytes. */
#define PRINT_SIZE_LEN 16
const char *print_size(uint64_t bytes, char *text);

/* "1 service", "2 services". */
#define PRINT_COUNT_LEN 64
const char *print_count(size_t count, const char *noun, char *text);

#endif
