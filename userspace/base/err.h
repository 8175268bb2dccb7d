/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * err.h - a message for a person, filled in where the cause is known and printed once, by a
 * program. Functions still return 0 or a negative errno; the text explains it.
 */
#ifndef WEIR_ERR_H
#define WEIR_ERR_H

struct err {
	char text[512]; /* without a final newline; empty: nothing said */
};

/* Set the text (the last call wins) and return `code`, a negative errno. `err` may be NULL. */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "prefix: " in front of the text that is there. */
void err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
