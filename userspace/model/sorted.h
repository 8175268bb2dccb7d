/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * sorted.h - the elements of a model in order, to compare many of them in O(n log n). The model
 * stays as it is, and must outlive the arrays. Leaving elements are left out everywhere.
 */
#ifndef WEIR_SORTED_H
#define WEIR_SORTED_H

#include "model/service.h"

struct sorted_services {
	const struct service **list; /* by name */
	size_t count;
};

struct sorted_backends {
	const struct backend **list; /* by address and port */
	size_t count;
};

/* Every VIP with its service, by address, protocol and port, so an any-port one comes first. */
struct sorted_vips {
	struct vip_entry {
		const struct vip *vip;
		const struct service *service;
	} * list;
	size_t count;
};

/* What is the same stands in the order of places. 0 or -ENOMEM; free(3) the list. */
int sorted_services(const struct model *model, struct sorted_services *ret_sorted);
int sorted_backends(const struct service *service, struct sorted_backends *ret_sorted);

/* Without VIPs whose address is zeros, and services whose protocol is 0. */
int sorted_vips(const struct model *model, struct sorted_vips *ret_sorted);

/* NULL for absent. */
const struct service *sorted_find_service(const struct sorted_services *services, const char *name);

/* Orders of strcmp: by address and port; by address, protocol and port. */
int sorted_compare_backends(const struct backend *a, const struct backend *b);
int sorted_compare_vips(const struct vip_entry *entry, const struct addr *addr, uint8_t protocol,
			uint16_t port);

/* The first VIP that is not before this one; NULL behind the last. */
const struct vip_entry *sorted_find_vip(const struct sorted_vips *vips, const struct addr *addr,
					uint8_t protocol, uint16_t port);

bool sorted_is_known(const struct addr *addr); /* not all zeros */

#endif
