/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * purge.h - frees the flows of frontends that are no longer VALID, before their ids are used
 * again: a flow knows its frontend by id alone.
 */
#ifndef WEIR_PURGE_H
#define WEIR_PURGE_H

#include "datapath/maps.h"

/* Waits for packets that are under way, then walks the flow tables and the spill map. */
int purge_flows(struct maps *maps, struct err *err);

#endif
