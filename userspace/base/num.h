/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * num.h - numbers and durations as text. The whole string counts: "80x", "+80", "080" are errors.
 */
#ifndef WEIR_NUM_H
#define WEIR_NUM_H

#include <stdint.h>

struct err;

#define DURATION_TEXT_LEN 24

/* Decimal, unsigned. -EINVAL with a message "got 70000, wanted 1-65535". */
int num_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value, struct err *err);

/* "250ms", "30s", "5m", "2h" to ms. -EINVAL with a message "got 25h, wanted 0s-24h". */
int duration_parse(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ms,
		   struct err *err);

/* In the largest unit that divides it: 90000 is "90s". `text` holds DURATION_TEXT_LEN bytes. */
const char *duration_format(uint64_t ms, char *text);

#endif
