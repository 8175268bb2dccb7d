/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* sorted.c - the elements of a model in order; see sorted.h. */
#include "model/sorted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool sorted_is_known(const struct addr *addr)
{
	static const struct addr zeros;

	return !addr_equal(addr, &zeros);
}

static int compare_places(struct place a, struct place b)
{
	if (a.line != b.line)
		return a.line < b.line ? -1 : 1;
	return (a.column > b.column) - (a.column < b.column);
}

static int compare_services(const void *a, const void *b)
{
	const struct service *x = *(const struct service *const *)a;
	const struct service *y = *(const struct service *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : compare_places(x->place, y->place);
}

int sorted_services(const struct model *model, struct sorted_services *ret_sorted)
{
	const struct service **list = calloc(model->service_count + 1, sizeof(*list));
	size_t count = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < model->service_count; i++) {
		if (!model->services[i].is_leaving)
			list[count++] = &model->services[i];
	}
	qsort(list, count, sizeof(*list), compare_services);
	*ret_sorted = (struct sorted_services){.list = list, .count = count};
	return 0;
}

static int compare_name(const void *name, const void *service)
{
	return strcmp(name, (*(const struct service *const *)service)->name);
}

const struct service *sorted_find_service(const struct sorted_services *services, const char *name)
{
	const struct service **found = bsearch(name, services->list, services->count,
					       sizeof(*services->list), compare_name);

	return found ? *found : NULL;
}

int sorted_compare_backends(const struct backend *a, const struct backend *b)
{
	int order = addr_compare(&a->addr, &b->addr);

	return order ? order : (a->port > b->port) - (a->port < b->port);
}

static int compare_backends(const void *a, const void *b)
{
	const struct backend *x = *(const struct backend *const *)a;
	const struct backend *y = *(const struct backend *const *)b;
	int order = sorted_compare_backends(x, y);

	return order ? order : compare_places(x->place, y->place);
}

int sorted_backends(const struct service *service, struct sorted_backends *ret_sorted)
{
	const struct backend **list = calloc(service->backend_count + 1, sizeof(*list));
	size_t count = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < service->backend_count; i++) {
		if (!service->backends[i].is_leaving)
			list[count++] = &service->backends[i];
	}
	qsort(list, count, sizeof(*list), compare_backends);
	*ret_sorted = (struct sorted_backends){.list = list, .count = count};
	return 0;
}

int sorted_compare_vips(const struct vip_entry *entry, const struct addr *addr, uint8_t protocol,
			uint16_t port)
{
	int order = addr_compare(&entry->vip->addr, addr);

	if (order)
		return order;
	if (entry->service->protocol != protocol)
		return entry->service->protocol < protocol ? -1 : 1;
	return (entry->vip->port > port) - (entry->vip->port < port);
}

static int compare_entries(const void *a, const void *b)
{
	const struct vip_entry *x = a, *y = b;
	int order = sorted_compare_vips(x, &y->vip->addr, y->service->protocol, y->vip->port);

	return order ? order : compare_places(x->vip->place, y->vip->place);
}

int sorted_vips(const struct model *model, struct sorted_vips *ret_sorted)
{
	struct vip_entry *list;
	size_t count = 0;

	for (size_t i = 0; i < model->service_count; i++)
		count += model->services[i].vip_count;
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < model->service_count; i++) {
		const struct service *service = &model->services[i];

		if (service->is_leaving || !service->protocol)
			continue;
		for (size_t j = 0; j < service->vip_count; j++) {
			if (sorted_is_known(&service->vips[j].addr))
				list[count++] = (struct vip_entry){&service->vips[j], service};
		}
	}
	qsort(list, count, sizeof(*list), compare_entries);
	*ret_sorted = (struct sorted_vips){.list = list, .count = count};
	return 0;
}

const struct vip_entry *sorted_find_vip(const struct sorted_vips *vips, const struct addr *addr,
					uint8_t protocol, uint16_t port)
{
	size_t low = 0, high = vips->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sorted_compare_vips(&vips->list[middle], addr, protocol, port) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < vips->count ? &vips->list[low] : NULL;
}
