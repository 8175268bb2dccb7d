/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * view.h - services and backends by their ids, in the order in which they are shown. The arrays
 * that these functions look at must be mapped: view_open does that. A writer may be at work
 * meanwhile; no walk leaves the arrays.
 */
#ifndef WEIR_VIEW_H
#define WEIR_VIEW_H

#include "base/addr.h"
#include "datapath/maps.h"

struct table;

/* session_read, and all arrays about services and backends mapped. */
int view_open(struct maps **ret_maps);

/* Ids by name; only the one called `name`, unless that is NULL. An exit code, said. free(3). */
int view_services(struct maps *maps, const char *name, __u32 **ret_ids, size_t *ret_count);

/* Ids of a service's backends by address and port. The same. */
int view_backends(struct maps *maps, __u32 service, __u32 **ret_ids, size_t *ret_count);

const char *view_service_name(struct maps *maps, __u32 service); /* "" for none */
bool view_is_leaving(struct maps *maps, __u32 service);

/* "10.0.0.1:80"; `text` holds ENDPOINT_TEXT_LEN bytes. */
const char *view_endpoint(struct maps *maps, __u32 backend, char *text);

/* "usable", "leaving", "drained", "down", "ejected", "weight-0" */
const char *view_state(struct maps *maps, __u32 backend);
bool view_is_usable(struct maps *maps, __u32 backend);

/* Until a leaving backend is gone, ms. */
uint64_t view_time_left(struct maps *maps, __u32 backend);

/* Tables: all services; the backends of the service `name` (NULL: all). An exit code, said. */
int view_table_services(struct maps *maps, struct table *ret_table);
int view_table_backends(struct maps *maps, const char *name, struct table *ret_table);

#endif
