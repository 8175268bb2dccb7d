/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* text.c - foreign text in messages, and distances between words; see text.h. */
#include "base/text.h"

#include <string.h>

#define WORD_MAX 32

const char *text_show(const char *text, char *shown)
{
	size_t len = strnlen(text, TEXT_SHOWN_LEN);
	bool is_cut = len >= TEXT_SHOWN_LEN;

	if (!len)
		return strcpy(shown, "\"\"");
	if (is_cut)
		len = TEXT_SHOWN_LEN - 4;
	for (size_t i = 0; i < len; i++)
		shown[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	strcpy(shown + len, is_cut ? "..." : "");
	return shown;
}

static unsigned int min2(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int text_distance(const char *a, const char *b)
{
	unsigned int cost[WORD_MAX + 1][WORD_MAX + 1];
	size_t a_len = strnlen(a, WORD_MAX + 1), b_len = strnlen(b, WORD_MAX + 1);

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return TEXT_FAR;
	for (size_t i = 0; i <= a_len; i++)
		cost[i][0] = i;
	for (size_t j = 0; j <= b_len; j++)
		cost[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int best = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			best = min2(best, cost[i - 1][j] + 1);
			best = min2(best, cost[i][j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = min2(best, cost[i - 2][j - 2] + 1);
			cost[i][j] = best;
		}
	}
	return cost[a_len][b_len];
}
