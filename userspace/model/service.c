/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* service.c - what Weir balances, as plain data; see service.h. */
#include "model/service.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

void model_init(struct model *model)
{
	*model = (struct model){
		.limits =
			{
				.services = 4096,
				.frontends = 8192,
				.backends = 16384,
				.slots = 4194304,
				.flows = 262144,
			},
		.timeouts =
			{
				.tcp = 8000,
				.closing = 10,
				.closed = 120,
				.unproven = 10,
				.udp = 60,
				.udp_unanswered = 30,
			},
	};
}

void model_free(struct model *model)
{
	for (size_t i = 0; i < model->service_count; i++) {
		free(model->services[i].vips);
		free(model->services[i].backends);
	}
	free(model->services);
	free(model->interfaces);
	*model = (struct model){};
}

/*
 * Room for one more element. An array grows when its count is 0 or a power of two, so its
 * capacity need not be stored.
 */
static void *make_room(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	return reallocarray(array, count ? count * 2 : 1, size);
}

#define ADD_ELEMENT(array, count)                                                    \
	({                                                                           \
		typeof(array) grown = make_room((array), (count), sizeof(*(array))); \
		if (grown)                                                           \
			(array) = grown;                                             \
		grown ? memset(&grown[(count)++], 0, sizeof(*grown)) : NULL;         \
	})

struct interface_rule *model_add_interface(struct model *model)
{
	return ADD_ELEMENT(model->interfaces, model->interface_count);
}

struct service *model_add_service(struct model *model)
{
	return ADD_ELEMENT(model->services, model->service_count);
}

struct vip *service_add_vip(struct service *service)
{
	return ADD_ELEMENT(service->vips, service->vip_count);
}

struct backend *service_add_backend(struct service *service)
{
	return ADD_ELEMENT(service->backends, service->backend_count);
}

struct service *model_find_service(const struct model *model, const char *name)
{
	for (size_t i = 0; i < model->service_count; i++) {
		if (!strcmp(model->services[i].name, name))
			return &model->services[i];
	}
	return NULL;
}

struct backend *service_find_backend(const struct service *service, const struct addr *addr,
				     uint16_t port)
{
	for (size_t i = 0; i < service->backend_count; i++) {
		struct backend *backend = &service->backends[i];

		if (backend->port == port && addr_equal(&backend->addr, addr))
			return backend;
	}
	return NULL;
}

const struct name protocol_names[] = {
	{.text = "tcp", .value = IPPROTO_TCP},
	{.text = "udp", .value = IPPROTO_UDP},
	{},
};

const struct name algorithm_names[] = {
	{.text = "hash", .value = ALGORITHM_HASH},
	{},
};

const struct name path_names[] = {
	{.text = "fast", .value = PATH_FAST},
	{.text = "stack", .value = PATH_STACK},
	{},
};

const struct name role_names[] = {
	{.text = "workload", .value = ROLE_WORKLOAD},
	{.text = "uplink", .value = ROLE_UPLINK},
	{},
};

const struct name hook_names[] = {
	{.text = "auto", .value = HOOK_AUTO},
	{.text = "tcx", .value = HOOK_TCX},
	{.text = "clsact", .value = HOOK_CLSACT},
	{},
};

int name_value(const struct name *names, const char *text)
{
	for (; names->text; names++) {
		if (!strcmp(names->text, text))
			return names->value;
	}
	return -EINVAL;
}

static const char *name_text(const struct name *names, int value)
{
	for (; names->text; names++) {
		if (names->value == value)
			return names->text;
	}
	return NULL;
}

const char *protocol_name(uint8_t protocol)
{
	return name_text(protocol_names, protocol);
}

const char *algorithm_name(enum algorithm algorithm)
{
	return name_text(algorithm_names, algorithm);
}

const char *path_name(enum path path)
{
	return name_text(path_names, path);
}

const char *role_name(enum role role)
{
	return name_text(role_names, role);
}

const char *hook_name(enum hook hook)
{
	return name_text(hook_names, hook);
}
