/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * text.h - foreign text in messages, and which of some words was probably meant.
 */
#ifndef WEIR_TEXT_H
#define WEIR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define TEXT_SHOWN_LEN 72

/*
 * What a message may show of text from outside: anything but printable ASCII becomes "?", long
 * text is cut and ends in "...", nothing becomes `""`. Returns `shown`, of TEXT_SHOWN_LEN bytes.
 */
const char *text_show(const char *text, char *shown);

/* Edits (insert, delete, change, swap neighbours) from `a` to `b`; TEXT_FAR for long words. */
#define TEXT_FAR 1000
unsigned int text_distance(const char *a, const char *b);

#endif
