/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * installed.h - reads back what is installed, as a model.
 */
#ifndef WEIR_INSTALLED_H
#define WEIR_INSTALLED_H

#include "datapath/maps.h"
#include "model/service.h"

/*
 * All services, sorted by name, their VIPs and backends by address and port; limits and time-outs.
 * Leaving services are marked, and have backends but no VIPs. Interface rules are not kept.
 */
int installed_read(struct maps *maps, struct model *ret_model, struct err *err);

/* Service id by name, or WEIR_NONE. One look-up. */
__u32 installed_service_id(struct maps *maps, const char *name);

/* One service by name, without reading the others: -ENOENT with a message. The model holds that one service. */
int installed_read_service(struct maps *maps, const char *name, struct model *ret_model,
			   struct err *err);

/* Walk the backend ids of a service: first, then next; WEIR_NONE ends. */
__u32 installed_first_backend(struct maps *maps, __u32 service);
__u32 installed_next_backend(struct maps *maps, __u32 backend);

#endif
