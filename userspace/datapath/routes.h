/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * routes.h - the node's own way to VIPs: a route to each of them out of weir0, with the node's
 * address as source; and which VIPs are addresses of the node (WEIR_VIP_LOCAL).
 */
#ifndef WEIR_ROUTES_H
#define WEIR_ROUTES_H

#include "datapath/maps.h"

/*
 * Make the routes out of weir0 those of the installed VIPs that are not the node's own, and set
 * WEIR_VIP_LOCAL on those that are. A VIP whose service has no backend to route to takes any
 * source. Called after apply_changes when VIPs changed.
 */
int routes_sync(struct maps *maps, struct err *err);

#endif
