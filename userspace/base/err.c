/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* err.c - messages for a person; see err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

void err_prefix(struct err *err, const char *format, ...)
{
	struct err before;
	va_list args;
	int len;

	if (!err)
		return;
	before = *err;
	va_start(args, format);
	len = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (len >= 0 && (size_t)len + 2 < sizeof(err->text))
		snprintf(err->text + len, sizeof(err->text) - len, ": %.*s",
			 (int)sizeof(err->text) - len - 3, before.text);
}
