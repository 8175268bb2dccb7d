/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* cmd_config.c - weir config check. */
#include "weir/cmd.h"
#include "weir/file.h"
#include "weir/print.h"
#include "weir/request.h"

#include <stdio.h>

int cmd_config_check(const struct request *request)
{
	char services[PRINT_COUNT_LEN], backends[PRINT_COUNT_LEN];
	struct model model;
	size_t count = 0;
	int code = file_read(request->operands[0], &model);

	if (code)
		return code;
	for (size_t i = 0; i < model.service_count; i++)
		count += model.services[i].backend_count;
	printf("%s: %s, %s: good\n", request->operands[0],
	       print_count(model.service_count, "service", services),
	       print_count(count, "backend", backends));
	model_free(&model);
	return EXIT_DONE;
}
