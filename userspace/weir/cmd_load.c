/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* cmd_load.c - weir load, weir unload. */
#include "base/err.h"
#include "datapath/load.h"
#include "weir/cmd.h"
#include "weir/file.h"
#include "weir/memory.h"
#include "weir/print.h"
#include "weir/request.h"
#include "weir/session.h"

#include <errno.h>
#include <stdio.h>

static struct limits loaded_limits(const struct weir_settings *settings)
{
	return (struct limits){
		.services = settings->services,
		.frontends = settings->frontends,
		.backends = settings->backends,
		.slots = settings->slots,
		.flows = settings->flow_buckets * WEIR_WAYS,
	};
}

/* Is it loaded already? Then that keeps its limits, unless the file says otherwise. */
static bool find_loaded(struct limits *ret_limits)
{
	struct maps *maps;
	bool is_loaded;

	if (maps_open(&maps, NULL))
		return false;
	is_loaded = maps->settings->abi_version;
	if (is_loaded)
		*ret_limits = loaded_limits(maps->settings);
	maps_close(maps);
	return is_loaded;
}

static int report(const struct model *model, bool was_loaded)
{
	struct limits limits;
	char size[PRINT_SIZE_LEN];
	struct maps *maps;
	int code = session_read(&maps);

	if (code)
		return code;
	file_warn(maps, model);
	limits = loaded_limits(maps->settings);
	printf("%s: ABI v%u at %s, %s of maps\n",
	       was_loaded ? "programs exchanged, maps and flows kept" : "loaded", WEIR_ABI_VERSION,
	       maps->directory, print_size(memory_total(maps), size));
	printf("limits: services %u, frontends %u, backends %u, slots %u, flows %u\n",
	       limits.services, limits.frontends, limits.backends, limits.slots, limits.flows);
	maps_close(maps);
	return EXIT_DONE;
}

int cmd_load(const struct request *request)
{
	struct limits limits;
	struct err err = {};
	bool was_loaded = find_loaded(&limits);
	struct model model;
	int code = EXIT_DONE;

	if (request->operands[0]) {
		code = file_read(request->operands[0], &model);
	} else {
		model_init(&model);
		if (was_loaded)
			model.limits = limits;
	}
	if (code)
		return code;
	if (load_install(&model, &err))
		code = print_fail("%s", err.text);
	else
		code = report(&model, was_loaded);
	model_free(&model);
	return code;
}

int cmd_unload(const struct request *request)
{
	struct err err = {};
	int rc = load_remove(&err);

	if (rc) {
		print_say("%s", err.text);
		return rc == -ENOENT ? EXIT_NOT_LOADED : EXIT_FAILED;
	}
	puts("unloaded");
	return EXIT_DONE;
}
