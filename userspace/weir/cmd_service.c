/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* cmd_service.c - weir service list, show, add, remove. */
#include "base/err.h"
#include "base/num.h"
#include "datapath/installed.h"
#include "model/config_keys.h"
#include "weir/cmd.h"
#include "weir/edit.h"
#include "weir/print.h"
#include "weir/request.h"
#include "weir/table.h"
#include "weir/view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int cmd_service_list(const struct request *request)
{
	struct table table;
	struct maps *maps;
	int code = view_open(&maps);

	if (code)
		return code;
	code = view_table_services(maps, &table);
	if (!code) {
		code = table_print(&table, request_has(request, OPTION_JSON));
		table_free(&table);
	}
	maps_close(maps);
	return code;
}

/* One service, and the table of its backends. */
struct shown {
	const struct service *service;
	uint32_t slots;
	struct table backends;
};

static json_t *vips_json(const struct service *service)
{
	json_t *vips = json_array();
	char text[ENDPOINT_TEXT_LEN];

	for (size_t i = 0; i < service->vip_count; i++) {
		const struct vip *vip = &service->vips[i];

		json_array_append_new(vips,
				      json_string(endpoint_format(&vip->addr, vip->port, text)));
	}
	return vips;
}

static int show_json(const struct shown *shown)
{
	const struct service *service = shown->service;

	return print_json(
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:I, s:o, s:o}", "service", service->name,
			  "protocol", protocol_name(service->protocol), "algorithm",
			  algorithm_name(service->algorithm), "path", path_name(service->path),
			  "drain_timeout_ms", (json_int_t)service->drain_timeout_ms, "leaving",
			  (int)service->is_leaving, "slots", (json_int_t)shown->slots, "vips",
			  vips_json(service), "backends", table_json(&shown->backends)));
}

static int show_text(const struct shown *shown)
{
	const struct service *service = shown->service;
	char text[ENDPOINT_TEXT_LEN], drain[DURATION_TEXT_LEN];

	printf("service        %s%s\n", service->name,
	       service->is_leaving ? " (leaving: no new connections)" : "");
	for (size_t i = 0; i < service->vip_count; i++)
		printf("vip            %s\n",
		       endpoint_format(&service->vips[i].addr, service->vips[i].port, text));
	printf("protocol       %s\n", protocol_name(service->protocol));
	printf("algorithm      %s\n", algorithm_name(service->algorithm));
	printf("path           %s\n", path_name(service->path));
	printf("drain-timeout  %s\n", duration_format(service->drain_timeout_ms, drain));
	printf("slots          %u\n", shown->slots);
	if (shown->backends.cells)
		putchar('\n');
	return table_print_text(&shown->backends, stdout);
}

int cmd_service_show(const struct request *request)
{
	const char *name = request->operands[0];
	struct shown shown = {};
	struct model model;
	struct err err = {};
	struct maps *maps;
	int code = view_open(&maps);

	if (code)
		return code;
	if (installed_read_service(maps, name, &model, &err)) {
		maps_close(maps);
		return print_fail("%s", err.text);
	}
	shown.service = &model.services[0];
	code = view_table_backends(maps, name, &shown.backends);
	if (!code) {
		__u32 id = installed_service_id(maps, name);

		if (id != WEIR_NONE)
			shown.slots = (uint32_t)(maps_services(maps)[id].region >> 32);
		code = request_has(request, OPTION_JSON) ? show_json(&shown) : show_text(&shown);
		table_free(&shown.backends);
	}
	model_free(&model);
	maps_close(maps);
	return code;
}

/* "drain-timeout" is the key drain_timeout of the configuration. */
static const struct config_key *find_key(const char *keyword)
{
	char name[32];

	snprintf(name, sizeof(name), "%s", keyword);
	for (char *at = name; (at = strchr(at, '-'));)
		*at = '_';
	return config_find_key(config_service_keys, name);
}

/* What the words say, into an empty service. */
static int read_service(const struct request *request, struct service *service)
{
	struct err err = {};
	int rc;

	config_set_defaults(config_service_keys, service);
	rc = config_set(config_find_key(config_service_keys, "name"), service, request->operands[0],
			&err);
	if (rc)
		return request_misuse(request, "name: %s", err.text);
	for (size_t i = 0; i < request->setting_count; i++) {
		const struct setting *setting = &request->settings[i];
		const struct config_key *key = find_key(setting->keyword->name);

		if (key->kind == CONFIG_ELEMENT) {
			void *element = key->add(service);

			rc = element ? key->parse(element, setting->text, &err) : -ENOMEM;
		} else {
			rc = config_set(key, service, setting->text, &err);
		}
		if (rc == -ENOMEM)
			return print_no_memory();
		if (rc)
			return request_misuse(request, "%s: %s", setting->keyword->name, err.text);
	}
	return EXIT_DONE;
}

static int add_service_changes(struct edit *edit)
{
	const struct service *service;
	int code = edit_check_vips(edit);

	if (!code)
		code = edit_add(edit, (struct change){.kind = CHANGE_SERVICE_ADD});
	service = edit_service(edit);
	for (size_t i = 0; !code && i < service->vip_count; i++)
		code = edit_add(edit, (struct change){
					      .kind = CHANGE_VIP_ADD,
					      .vip = &service->vips[i],
				      });
	return code ? code : edit_apply(edit);
}

/* The words are checked before the kernel is asked: misuse is misuse, loaded or not. */
int cmd_service_add(const struct request *request)
{
	struct model words;
	struct service *service;
	struct edit edit;
	int code;

	model_init(&words);
	service = model_add_service(&words);
	code = service ? read_service(request, service) : print_no_memory();
	if (!code)
		code = edit_begin(&edit, service->name, true);
	if (!code) {
		struct service empty = *edit_service(&edit);

		*edit_service(&edit) = *service;
		*service = empty;
		code = add_service_changes(&edit);
		edit_end(&edit);
	}
	model_free(&words);
	return code;
}

int cmd_service_remove(const struct request *request)
{
	struct edit edit;
	int code = edit_begin(&edit, request->operands[0], false);

	if (code)
		return code;
	code = edit_add(&edit, (struct change){
				       .kind = CHANGE_SERVICE_REMOVE,
				       .is_now = request_has(request, OPTION_NOW),
			       });
	if (!code)
		code = edit_apply(&edit);
	edit_end(&edit);
	return code;
}
