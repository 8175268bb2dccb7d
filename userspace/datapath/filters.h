/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * filters.h - keeps `vip_filter` and `backend_filter` (bpf/filter.h): a bit is set before what
 * needs it is reachable; bits that nothing needs any more are cleared by an occasional rebuild.
 */
#ifndef WEIR_FILTERS_H
#define WEIR_FILTERS_H

#include "datapath/maps.h"

void filters_add_vip(struct maps *maps, const struct weir_address *vip);
void filters_add_backend(struct maps *maps, const struct weir_address *address);

/*
 * Rebuild a filter when more than an eighth of what it was sized for was removed since the last
 * time, or always with `is_forced`. A bit that is needed is never clear meanwhile. 0 or -ENOMEM.
 */
int filters_tidy(struct maps *maps, bool is_forced);

#endif
