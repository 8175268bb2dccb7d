/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* file.c - see file.h. */
#include "weir/file.h"

#include "base/err.h"
#include "datapath/load.h"
#include "model/config.h"
#include "weir/commands.h"
#include "weir/print.h"

#include <string.h>

int file_read(const char *path, struct model *ret_model)
{
	struct config_errors errors;
	int rc = config_read(path, ret_model, &errors);

	print_config_errors(&errors);
	config_errors_free(&errors);
	return rc ? EXIT_FAILED : EXIT_DONE;
}

void file_warn(struct maps *maps, const struct model *model)
{
	const struct weir_settings *settings = maps->settings;
	struct err err = {};

	if (load_check_limits(settings, model, &err))
		print_say("warning: %s", err.text);
	if (model->has_hash_seed &&
	    memcmp(settings->hash_seed, model->hash_seed, sizeof(model->hash_seed)))
		print_say("warning: hash_seed: loaded with another: it changes only after "
			  "`weir unload`, which ends all flows");
}
