/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_diff.c - the changes from one model to another: exact lists for single differences, and
 * for many random pairs that the changes, made one by one under the rules of the maps, end in the
 * wanted model and are safe at every step.
 */
#include "model/config.h"
#include "model/diff.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct model parse(const char *text)
{
	struct config_errors errors;
	struct model model;

	if (config_parse("f", text, strlen(text), &model, &errors)) {
		config_errors_print(&errors, stderr);
		fail_msg("%s", text);
	}
	config_errors_free(&errors);
	return model;
}

/* The changes as text, one line each; free it. */
static char *changes_between(const struct model *installed, const struct model *wanted)
{
	struct change_list list;
	char *lines;
	size_t len;
	FILE *out = open_memstream(&lines, &len);

	assert_int_equal(diff_models(installed, wanted, &list), 0);
	for (size_t i = 0; i < list.count; i++)
		change_print(out, &list.changes[i]);
	fclose(out);
	change_list_free(&list);
	return lines;
}

static const struct row {
	const char *what, *installed, *wanted, *lines;
} rows[] = {
	{
		"equal models need nothing",
		"services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}]",
		"services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}]",
		"",
	},
	{
		"the order in the file is no difference",
		"services:\n"
		"- {name: a, vips: [10.0.0.1:80, 10.0.0.2:80], backends: [10.1.0.1:80, "
		"10.1.0.2:80]}\n"
		"- {name: b, vip: 10.0.0.3:80}\n",
		"services:\n"
		"- {name: b, vip: 10.0.0.3:80}\n"
		"- {name: a, vips: [10.0.0.2:80, 10.0.0.1:80], backends: [10.1.0.2:80, "
		"10.1.0.1:80]}\n",
		"",
	},
	{
		"a new service: itself, its backends, its VIPs",
		"",
		"services: [{name: a, vips: [10.0.0.1:80, 10.0.0.2:*], protocol: udp, path: "
		"stack,\n"
		"  backends: [{address: 10.1.0.2, port: 80, weight: 7, zone: z, labels: {k: v}},\n"
		"  10.1.0.1:80]}]",
		"service a: add, udp, algorithm hash, path stack, drain_timeout 1m\n"
		"backend a 10.1.0.1:80: add, weight 1\n"
		"backend a 10.1.0.2:80: add, weight 7, zone z, labels k=v\n"
		"vip a 10.0.0.1:80 udp: add\n"
		"vip a 10.0.0.2:* udp: add\n",
	},
	{
		"a service that goes: itself alone",
		"services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}]",
		"",
		"service a: remove\n",
	},
	{
		"time-outs come first",
		"",
		"timeouts: {udp: 5s}\n"
		"services: [{name: a, vip: 10.0.0.1:80}]",
		"timeouts: set, tcp 8000s, closing 10s, closed 120s, unproven 10s, udp 5s, "
		"udp_unanswered 30s\n"
		"service a: add, tcp, algorithm hash, path fast, drain_timeout 1m\n"
		"vip a 10.0.0.1:80 tcp: add\n",
	},
	{
		"limits, interfaces and seeds are no changes",
		"",
		"limits: {flows: 4096}\nhash_seed: 000102030405060708090a0b0c0d0e0f\n"
		"interfaces: [{match: eth0, role: uplink}]",
		"",
	},
	{
		"a drain time-out alone",
		"services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}]",
		"services: [{name: a, vip: 10.0.0.1:80, drain_timeout: 5s, backends: "
		"[10.1.0.1:80]}]",
		"service a: set, tcp, algorithm hash, path fast, drain_timeout 5s\n",
	},
	{
		"a path alone",
		"services: [{name: a, vip: 10.0.0.1:80}]",
		"services: [{name: a, vip: 10.0.0.1:80, path: stack}]",
		"service a: set, tcp, algorithm hash, path stack, drain_timeout 1m\n",
	},
	{
		"a weight, a zone, a label: each sets its backend alone",
		"services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80, 10.1.0.2:80,\n"
		"  10.1.0.3:80, 10.1.0.4:80]}]",
		"services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80,\n"
		"  {address: 10.1.0.2, port: 80, weight: 0}, {address: 10.1.0.3, port: 80, zone: "
		"z},\n"
		"  {address: 10.1.0.4, port: 80, labels: {a: b}}]}]",
		"backend a 10.1.0.2:80: set, weight 0\n"
		"backend a 10.1.0.3:80: set, weight 1, zone z\n"
		"backend a 10.1.0.4:80: set, weight 1, labels a=b\n",
	},
	{
		"a new port is another backend: added before the old one goes",
		"services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}]",
		"services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:81]}]",
		"backend a 10.1.0.1:81: add, weight 1\n"
		"backend a 10.1.0.1:80: remove\n",
	},
	{
		"another VIP: added before the old one goes",
		"services: [{name: a, vip: 10.0.0.1:80}]",
		"services: [{name: a, vip: 10.0.0.1:81}]",
		"vip a 10.0.0.1:81 tcp: add\n"
		"vip a 10.0.0.1:80 tcp: remove\n",
	},
	{
		"a VIP moves to a later service, once its backends are there",
		"services:\n- {name: a, vips: [10.0.0.1:80, 10.0.0.2:80]}\n- {name: b, vip: "
		"10.0.0.3:80}\n",
		"services:\n- {name: a, vip: 10.0.0.2:80}\n"
		"- {name: b, vips: [10.0.0.1:80, 10.0.0.3:80], backends: [10.1.0.1:80]}\n",
		"backend b 10.1.0.1:80: add, weight 1\n"
		"vip a 10.0.0.1:80 tcp: remove\n"
		"vip b 10.0.0.1:80 tcp: add\n",
	},
	{
		"a VIP moves to an earlier service",
		"services:\n- {name: a, vip: 10.0.0.3:80}\n- {name: b, vips: [10.0.0.1:80, "
		"10.0.0.2:80]}\n",
		"services:\n- {name: a, vips: [10.0.0.3:80, 10.0.0.1:80]}\n- {name: b, vip: "
		"10.0.0.2:80}\n",
		"vip b 10.0.0.1:80 tcp: remove\n"
		"vip a 10.0.0.1:80 tcp: add\n",
	},
	{
		"a service gets another name: its VIP moves, then the old one goes",
		"services: [{name: old, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}]",
		"services: [{name: new, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}]",
		"service new: add, tcp, algorithm hash, path fast, drain_timeout 1m\n"
		"backend new 10.1.0.1:80: add, weight 1\n"
		"vip old 10.0.0.1:80 tcp: remove\n"
		"vip new 10.0.0.1:80 tcp: add\n"
		"service old: remove\n",
	},
	{
		"another protocol: removed at once, added",
		"services: [{name: a, vip: 10.0.0.1:53, backends: [10.1.0.1:53]}]",
		"services: [{name: a, vip: 10.0.0.1:53, protocol: udp, backends: [10.1.0.1:53]}]",
		"service a: remove now\n"
		"service a: add, udp, algorithm hash, path fast, drain_timeout 1m\n"
		"backend a 10.1.0.1:53: add, weight 1\n"
		"vip a 10.0.0.1:53 udp: add\n",
	},
	{
		"another family: removed at once, added",
		"services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}]",
		"services: [{name: a, vip: '[fd00::1]:80', backends: ['[fd00::2]:80']}]",
		"service a: remove now\n"
		"service a: add, tcp, algorithm hash, path fast, drain_timeout 1m\n"
		"backend a [fd00::2]:80: add, weight 1\n"
		"vip a [fd00::1]:80 tcp: add\n",
	},
	{
		"a VIP of a service that was removed to make room needs no removal",
		"services: [{name: b, vip: 10.0.0.1:53}]",
		"services:\n- {name: a, vip: 10.0.0.1:53}\n- {name: b, vip: 10.0.0.1:53, protocol: "
		"udp}\n",
		"service b: remove now\n"
		"service a: add, tcp, algorithm hash, path fast, drain_timeout 1m\n"
		"vip a 10.0.0.1:53 tcp: add\n"
		"service b: add, udp, algorithm hash, path fast, drain_timeout 1m\n"
		"vip b 10.0.0.1:53 udp: add\n",
	},
};

static void test_single_differences(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct model installed = parse(rows[i].installed), wanted = parse(rows[i].wanted);
		char *lines = changes_between(&installed, &wanted);

		if (strcmp(lines, rows[i].lines))
			fail_msg("%s\ngot:\n%swanted:\n%s", rows[i].what, lines, rows[i].lines);
		free(lines);
		model_free(&installed);
		model_free(&wanted);
	}
}

static void test_leaving_and_drained_states(void **state)
{
	const char *text = "services:\n"
			   "- {name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80, 10.1.0.2:80]}\n"
			   "- {name: b, vip: 10.0.0.2:80, backends: [10.1.0.1:80]}\n";
	struct model installed = parse(text), wanted = parse(text);
	char *lines;

	(void)state;
	installed.services[0].backends[0].is_drained = true;
	lines = changes_between(&installed, &wanted);
	assert_string_equal(lines, "");
	free(lines);
	installed.services[0].backends[0].is_leaving = true;
	installed.services[1].is_leaving = true;
	lines = changes_between(&installed, &wanted);
	assert_string_equal(lines,
			    "backend a 10.1.0.1:80: add, weight 1\n"
			    "service b: add, tcp, algorithm hash, path fast, drain_timeout 1m\n"
			    "backend b 10.1.0.1:80: add, weight 1\n"
			    "vip b 10.0.0.2:80 tcp: add\n");
	free(lines);
	model_free(&wanted);
	model_init(&wanted);
	lines = changes_between(&installed, &wanted);
	assert_string_equal(lines, "service a: remove\n");
	free(lines);
	model_free(&installed);
}

static void test_an_operators_change_is_printed(void **state)
{
	struct model model =
		parse("services: [{name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}]");
	const struct service *a = model.services;
	const struct change changes[] = {
		{.kind = CHANGE_BACKEND_DRAIN, .service = a, .backend = a->backends},
		{.kind = CHANGE_BACKEND_UNDRAIN, .service = a, .backend = a->backends},
		{.kind = CHANGE_BACKEND_REMOVE,
		 .is_now = true,
		 .service = a,
		 .backend = a->backends},
		{.kind = CHANGE_SERVICE_REMOVE, .is_now = true, .service = a},
	};
	struct change_list list = {};
	char *lines;
	size_t len;
	FILE *out = open_memstream(&lines, &len);

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++)
		assert_int_equal(change_list_add(&list, &changes[i]), 0);
	assert_int_equal(list.count, COUNT(changes));
	for (size_t i = 0; i < list.count; i++)
		change_print(out, &list.changes[i]);
	fclose(out);
	assert_string_equal(lines, "backend a 10.1.0.1:80: drain\n"
				   "backend a 10.1.0.1:80: undrain\n"
				   "backend a 10.1.0.1:80: remove now\n"
				   "service a: remove now\n");
	free(lines);
	change_list_free(&list);
	model_free(&model);
}

/* The maps as plain data: what apply would refuse fails the test here. */
static struct service *find_live(const struct model *model, const char *name)
{
	struct service *service = model_find_service(model, name);

	return service && !service->is_leaving ? service : NULL;
}

static void drop_service(struct model *model, struct service *service)
{
	free(service->vips);
	free(service->backends);
	*service = model->services[--model->service_count];
}

static void play_service_add(struct model *model, const struct change *change)
{
	struct service *service = model_find_service(model, change->service->name);

	assert_true(!service || service->is_leaving);
	if (service)
		drop_service(model, service);
	service = model_add_service(model);
	*service = *change->service;
	service->vips = NULL;
	service->vip_count = 0;
	service->backends = NULL;
	service->backend_count = 0;
}

static void play_service_set(struct service *service, const struct change *change)
{
	assert_int_equal(service->protocol, change->service->protocol);
	service->algorithm = change->service->algorithm;
	service->path = change->service->path;
	service->drain_timeout_ms = change->service->drain_timeout_ms;
}

static void play_backend(struct service *service, const struct change *change)
{
	struct backend *backend =
		service_find_backend(service, &change->backend->addr, change->backend->port);

	if (change->kind == CHANGE_BACKEND_ADD) {
		assert_true(!backend || backend->is_leaving);
		if (!backend)
			backend = service_add_backend(service);
	} else {
		assert_true(backend && !backend->is_leaving);
	}
	if (change->kind == CHANGE_BACKEND_REMOVE)
		*backend = service->backends[--service->backend_count];
	else
		*backend = *change->backend;
}

static struct vip *find_vip(const struct service *service, const struct vip *vip)
{
	for (size_t i = 0; i < service->vip_count; i++) {
		if (service->vips[i].port == vip->port &&
		    addr_equal(&service->vips[i].addr, &vip->addr))
			return &service->vips[i];
	}
	return NULL;
}

static void play_vip(struct model *model, struct service *service, const struct change *change)
{
	struct vip *vip;

	if (change->kind == CHANGE_VIP_REMOVE) {
		vip = find_vip(service, change->vip);
		assert_non_null(vip);
		*vip = service->vips[--service->vip_count];
		return;
	}
	for (size_t i = 0; i < model->service_count; i++) {
		if (!model->services[i].is_leaving &&
		    model->services[i].protocol == service->protocol)
			assert_null(find_vip(&model->services[i], change->vip));
	}
	*service_add_vip(service) = *change->vip;
}

static void play(struct model *model, const struct change *change)
{
	struct service *service;

	if (change->kind == CHANGE_TIMEOUTS) {
		model->timeouts = *change->timeouts;
		return;
	}
	if (change->kind == CHANGE_SERVICE_ADD) {
		play_service_add(model, change);
		return;
	}
	service = find_live(model, change->service->name);
	assert_non_null(service);
	if (change->kind == CHANGE_SERVICE_SET)
		play_service_set(service, change);
	else if (change->kind == CHANGE_SERVICE_REMOVE)
		drop_service(model, service);
	else if (change->vip)
		play_vip(model, service, change);
	else
		play_backend(service, change);
}

/* Random models under the rules of a good configuration, from few names and addresses. */
static unsigned int seed;

static unsigned int draw(unsigned int below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % below;
}

static struct addr make_addr(bool is_v4, unsigned int net, unsigned int host)
{
	struct addr addr = {.bytes = {[10] = 0xff, 0xff, 10, net, 0, host}};

	if (!is_v4)
		addr = (struct addr){.bytes = {0xfd, net, [15] = host}};
	return addr;
}

static bool is_vip_taken(const struct model *model, uint8_t protocol, const struct vip *vip)
{
	for (size_t i = 0; i < model->service_count; i++) {
		if (model->services[i].protocol == protocol && find_vip(&model->services[i], vip))
			return true;
	}
	return false;
}

static void draw_service(struct model *model, const char *name, bool is_installed)
{
	struct service *service = model_add_service(model);
	bool is_v4 = draw(4);

	strcpy(service->name, name);
	service->protocol = draw(4) ? IPPROTO_TCP : IPPROTO_UDP;
	service->path = draw(4) ? PATH_FAST : PATH_STACK;
	service->drain_timeout_ms = draw(4) ? 1000 : 2000;
	service->is_leaving = is_installed && !draw(6);
	for (unsigned int i = draw(4); i > 0; i--) {
		struct vip vip = {.addr = make_addr(is_v4, 0, draw(4)), .port = draw(3) * 80};

		if (!service->is_leaving && !is_vip_taken(model, service->protocol, &vip))
			*service_add_vip(service) = vip;
	}
	for (unsigned int i = draw(5); i > 0; i--) {
		struct backend backend = {.addr = make_addr(is_v4, 1, draw(5)), .port = 80};

		backend.weight = draw(2);
		backend.zone[0] = draw(4) ? '\0' : 'z';
		backend.labels[0] = draw(4) ? '\0' : 'l';
		backend.is_drained = is_installed && !draw(4);
		backend.is_leaving = is_installed && !draw(4);
		if (!service_find_backend(service, &backend.addr, backend.port))
			*service_add_backend(service) = backend;
	}
}

static struct model draw_model(bool is_installed)
{
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	struct model model;

	model_init(&model);
	model.timeouts.tcp += draw(2);
	for (size_t i = 0; i < COUNT(names); i++) {
		if (draw(4))
			draw_service(&model, names[is_installed ? i : COUNT(names) - 1 - i],
				     is_installed);
	}
	return model;
}

static size_t live_backends(const struct service *service)
{
	size_t count = 0;

	for (size_t i = 0; i < service->backend_count; i++)
		count += !service->backends[i].is_leaving;
	return count;
}

/* No service ever holds live elements of both families. */
static void check_families(const struct service *service)
{
	bool has[2] = {};

	for (size_t i = 0; i < service->vip_count; i++)
		has[addr_is_v4(&service->vips[i].addr)] = true;
	for (size_t i = 0; i < service->backend_count; i++) {
		if (!service->backends[i].is_leaving)
			has[addr_is_v4(&service->backends[i].addr)] = true;
	}
	assert_false(has[0] && has[1]);
}

/* A service with backends before and after serves all the time; a VIP opens on them. */
static void check_step(const struct model *model, const struct change *change,
		       const struct model *wanted)
{
	const struct service *now, *then;

	for (size_t i = 0; i < model->service_count; i++) {
		if (!model->services[i].is_leaving)
			check_families(&model->services[i]);
	}
	if (change->kind != CHANGE_VIP_ADD && change->kind != CHANGE_BACKEND_REMOVE)
		return;
	now = find_live(model, change->service->name);
	then = model_find_service(wanted, change->service->name);
	if (live_backends(then))
		assert_true(live_backends(now) > 0);
	if (change->kind == CHANGE_VIP_ADD)
		assert_true(live_backends(now) >= live_backends(then));
}

/* Groups: time-outs, room, changes by name, removals. A VIP's move stands in its new service. */
static void check_order(const struct change_list *list)
{
	int group = 0, before = 0;
	const char *name = "";

	for (size_t i = 0; i < list->count; i++) {
		const struct change *change = &list->changes[i], *next = change + 1;
		bool is_move = change->kind == CHANGE_VIP_REMOVE && i + 1 < list->count &&
			       next->kind == CHANGE_VIP_ADD &&
			       strcmp(next->service->name, change->service->name);
		const char *owner = is_move           ? next->service->name
				    : change->service ? change->service->name
						      : "";

		group = 2;
		if (change->kind == CHANGE_TIMEOUTS)
			group = 0;
		else if (change->kind == CHANGE_SERVICE_REMOVE)
			group = change->is_now ? 1 : 3;
		assert_true(group >= before);
		if (group == before)
			assert_true(strcmp(name, owner) <= 0);
		if (i && group == 2 && before == 2 && !is_move && !strcmp(name, owner))
			assert_true(change[-1].kind <= change->kind ||
				    strcmp(change[-1].service->name, owner));
		before = group;
		name = owner;
	}
}

static void assert_same_service(const struct service *now, const struct service *then)
{
	assert_int_equal(now->protocol, then->protocol);
	assert_int_equal(now->path, then->path);
	assert_int_equal(now->drain_timeout_ms, then->drain_timeout_ms);
	assert_int_equal(now->vip_count, then->vip_count);
	for (size_t i = 0; i < then->vip_count; i++)
		assert_non_null(find_vip(now, &then->vips[i]));
	assert_int_equal(live_backends(now), then->backend_count);
	for (size_t i = 0; i < then->backend_count; i++) {
		const struct backend *b = &then->backends[i];
		const struct backend *a = service_find_backend(now, &b->addr, b->port);

		assert_true(a && !a->is_leaving);
		assert_int_equal(a->weight, b->weight);
		assert_string_equal(a->zone, b->zone);
		assert_string_equal(a->labels, b->labels);
	}
}

/* Without the help of diff_models. */
static void assert_same(const struct model *now, const struct model *then)
{
	size_t live = 0;

	for (size_t i = 0; i < now->service_count; i++)
		live += !now->services[i].is_leaving;
	assert_int_equal(live, then->service_count);
	for (size_t i = 0; i < then->service_count; i++) {
		const struct service *service = find_live(now, then->services[i].name);

		assert_non_null(service);
		assert_same_service(service, &then->services[i]);
	}
	assert_memory_equal(&now->timeouts, &then->timeouts, sizeof(then->timeouts));
}

static size_t seen[CHANGE_SERVICE_REMOVE + 1];

static void check_pair(unsigned int number)
{
	struct model model, wanted;
	struct change_list list, again;

	seed = number;
	model = draw_model(true);
	wanted = draw_model(false);
	assert_int_equal(diff_models(&model, &wanted, &list), 0);
	check_order(&list);
	/* The list leads into the installed model, which the play changes: play on a copy. */
	seed = number;
	struct model copy = draw_model(true);

	for (size_t i = 0; i < list.count; i++) {
		play(&copy, &list.changes[i]);
		check_step(&copy, &list.changes[i], &wanted);
		seen[list.changes[i].kind]++;
	}
	assert_same(&copy, &wanted);
	assert_int_equal(diff_models(&copy, &wanted, &again), 0);
	assert_int_equal(again.count, 0);
	change_list_free(&list);
	change_list_free(&again);
	model_free(&model);
	model_free(&wanted);
	model_free(&copy);
}

static void test_random_pairs_end_in_the_wanted_model(void **state)
{
	(void)state;
	for (unsigned int i = 1; i <= 3000; i++)
		check_pair(i);
	for (int kind = 0; kind <= CHANGE_SERVICE_REMOVE; kind++) {
		bool is_by_hand = kind == CHANGE_BACKEND_DRAIN || kind == CHANGE_BACKEND_UNDRAIN;

		assert_true(is_by_hand ? seen[kind] == 0 : seen[kind] > 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single_differences),
		cmocka_unit_test(test_leaving_and_drained_states),
		cmocka_unit_test(test_an_operators_change_is_printed),
		cmocka_unit_test(test_random_pairs_end_in_the_wanted_model),
	};

	return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
