/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * fuzz_config.c - any text as a configuration. Beyond not crashing: a refused one says why and
 * leaves the model alone; a taken one passes its own check again and differs from itself in nothing.
 */
#include "model/config.h"
#include "model/diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_taken(struct model *model)
{
	struct config_errors errors;
	struct change_list list = {};

	config_errors_init(&errors, NULL);
	require(!config_check(model, &errors));
	require(!diff_models(model, model, &list));
	require(list.count == 0);
	change_list_free(&list);
	model_free(model);
}

static void check_refused(const struct config_errors *errors)
{
	require(errors->count > 0);
	for (size_t i = 0; i < errors->count; i++) {
		const char *text = errors->errors[i].text;

		require(!strncmp(text, "f:", 2) && strstr(text, "got ") && strstr(text, "wanted "));
		for (; *text; text++)
			require(*text >= ' ' && *text <= '~');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors;
	struct model model;
	int rc;

	rc = config_parse("f", (const char *)data, size, &model, &errors);
	require(rc == 0 || rc == -EINVAL);
	if (rc)
		check_refused(&errors);
	else
		check_taken(&model);
	config_errors_free(&errors);
	return 0;
}
