/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* rows.h - the table of rows; each rows_*.c adds those of its topic. */
#ifndef WEIR_TEST_ROWS_H
#define WEIR_TEST_ROWS_H

#include "talk.h"

struct row;
typedef void (*row_run)(struct lab *lab, const struct row *row);

struct row {
	char name[160]; /* a sentence */
	row_run run;
	const struct variant *variant;
	const void *arg;
};

#define IN_TCP4 (1u << TCP4)
#define IN_TCP6 (1u << TCP6)
#define IN_UDP4 (1u << UDP4)
#define IN_UDP6 (1u << UDP6)
#define IN_TCP  (IN_TCP4 | IN_TCP6)
#define IN_UDP  (IN_UDP4 | IN_UDP6)
#define IN_V4   (IN_TCP4 | IN_UDP4)
#define IN_V6   (IN_TCP6 | IN_UDP6)
#define IN_ALL  (IN_TCP | IN_UDP)

/* One row for each variant in the set; "%s" in the sentence becomes the variant's name. */
void rows_add(unsigned int variants, row_run run, const void *arg, const char *sentence);

/* A table of such rows, ended by one without a sentence. */
struct row_entry {
	const char *sentence;
	unsigned int variants;
	row_run run;
	const void *arg;
};
void rows_add_all(const struct row_entry *entries);

void rows_parse(void);
void rows_forward(void);
void rows_reply(void);
void rows_checksum(void);
void rows_refuse(void);
void rows_choose(void);
void rows_any(void);
void rows_change(void);
void rows_track(void);
void rows_close(void);
void rows_table(void);
void rows_sweep(void);
void rows_node(void);

#endif
