/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* cmd_backend.c - weir backend list, add, remove, weight, drain, undrain. */
#include "base/err.h"
#include "model/config_keys.h"
#include "weir/cmd.h"
#include "weir/edit.h"
#include "weir/print.h"
#include "weir/request.h"
#include "weir/table.h"
#include "weir/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_backend_list(const struct request *request)
{
	struct table table;
	struct maps *maps;
	int code = view_open(&maps);

	if (code)
		return code;
	code = view_table_backends(maps, request->operands[0], &table);
	if (!code) {
		code = table_print(&table, request_has(request, OPTION_JSON));
		table_free(&table);
	}
	maps_close(maps);
	return code;
}

/* The second operand, "10.0.0.1:80"; all else as the defaults of the configuration. */
static int read_backend(const struct request *request, struct backend *ret_backend)
{
	const struct config_key *key = config_find_key(config_service_keys, "backends");
	struct backend backend = {};
	struct err err = {};

	config_set_defaults(config_backend_keys, &backend);
	if (key->parse(&backend, request->operands[1], &err))
		return request_misuse(request, "%s", err.text);
	*ret_backend = backend;
	return EXIT_DONE;
}

/* "rack=r1,version=v7" */
static int read_labels(struct backend *backend, const char *text, struct err *err)
{
	char copy[2 * LABELS_LEN], *rest = copy, *label, *value;
	int rc = 0;

	if (strlen(text) >= sizeof(copy))
		return err_set(err, -EINVAL, "got %zu bytes of labels, wanted 1-%d", strlen(text),
			       LABELS_LEN - 1);
	strcpy(copy, text);
	while (!rc && (label = strsep(&rest, ","))) {
		value = strchr(label, '=');
		if (!value)
			return err_set(err, -EINVAL, "got %s, wanted KEY=VALUE", text);
		*value++ = '\0';
		rc = config_add_label(backend, label, value, err);
	}
	return rc;
}

static int set_backend(const struct request *request, const char *name, const char *text,
		       struct backend *backend)
{
	const struct config_key *key = config_find_key(config_backend_keys, name);
	struct err err = {};
	int rc;

	rc = key->kind == CONFIG_LABELS ? read_labels(backend, text, &err)
					: config_set(key, backend, text, &err);
	return rc ? request_misuse(request, "%s: %s", name, err.text) : EXIT_DONE;
}

static int add_backend(struct edit *edit, const struct backend *wanted)
{
	const struct service *service = edit_service(edit);
	struct backend *backend = service_find_backend(service, &wanted->addr, wanted->port);
	char text[ENDPOINT_TEXT_LEN];
	int code;

	if (service->is_leaving)
		return print_fail("service %s is leaving: `weir service add` brings it back",
				  service->name);
	if (backend && !backend->is_leaving)
		return print_fail("service %s has backend %s already", service->name,
				  endpoint_format(&wanted->addr, wanted->port, text));
	backend = service_add_backend(edit_service(edit));
	if (!backend)
		return print_no_memory();
	*backend = *wanted;
	code = edit_check_backend(edit, backend);
	if (!code)
		code = edit_add(edit,
				(struct change){.kind = CHANGE_BACKEND_ADD, .backend = backend});
	return code ? code : edit_apply(edit);
}

int cmd_backend_add(const struct request *request)
{
	struct backend backend;
	struct edit edit;
	int code = read_backend(request, &backend);

	for (size_t i = 0; !code && i < request->setting_count; i++)
		code = set_backend(request, request->settings[i].keyword->name,
				   request->settings[i].text, &backend);
	if (!code)
		code = edit_begin(&edit, request->operands[0], false);
	if (code)
		return code;
	code = add_backend(&edit, &backend);
	edit_end(&edit);
	return code;
}

/* A change of a backend that is there. `weight`: a new one as text, or NULL. */
static int change_backend(const struct request *request, struct change change, const char *weight)
{
	struct backend named, *backend;
	char text[ENDPOINT_TEXT_LEN];
	struct edit edit;
	int code = read_backend(request, &named);

	if (!code && weight)
		code = set_backend(request, "weight", weight, &named);
	if (!code)
		code = edit_begin(&edit, request->operands[0], false);
	if (code)
		return code;
	backend = service_find_backend(edit_service(&edit), &named.addr, named.port);
	if (!backend) {
		code = print_fail("service %s has no backend %s", request->operands[0],
				  endpoint_format(&named.addr, named.port, text));
	} else {
		if (weight)
			backend->weight = named.weight;
		change.backend = backend;
		code = edit_add(&edit, change);
		if (!code)
			code = edit_apply(&edit);
	}
	edit_end(&edit);
	return code;
}

int cmd_backend_remove(const struct request *request)
{
	struct change change = {
		.kind = CHANGE_BACKEND_REMOVE,
		.is_now = request_has(request, OPTION_NOW),
	};

	return change_backend(request, change, NULL);
}

int cmd_backend_weight(const struct request *request)
{
	return change_backend(request, (struct change){.kind = CHANGE_BACKEND_SET},
			      request->operands[2]);
}

int cmd_backend_drain(const struct request *request)
{
	return change_backend(request, (struct change){.kind = CHANGE_BACKEND_DRAIN}, NULL);
}

int cmd_backend_undrain(const struct request *request)
{
	return change_backend(request, (struct change){.kind = CHANGE_BACKEND_UNDRAIN}, NULL);
}
