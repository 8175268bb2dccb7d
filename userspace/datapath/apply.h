/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * apply.h - the only writer of the maps about services: carries out a list of changes.
 *
 * Order within each service, so that no packet meets a half-made state: new backends, then the
 * slots (built aside, flipped by one store), then frontends; removals in reverse, after all that
 * is added anywhere. A backend that is removed drains first: it leaves the slots at once, keeps
 * its flows until `gone_at`, and its id is free for another use when that is over, collect has
 * run, and it has rested a second. It comes back, with its flows, if it is added before.
 *
 * A service that is removed has no new flows from then on; it is gone with its last backend. Added
 * before that it comes back, but for the VIPs and backends that are not added with it; with
 * another protocol it is a new one, and what is left of the old one ends at once. The flows of a
 * VIP that is removed from a service end at once. A VIP moves to another service without a gap if
 * one list takes it there and gives it here, in any order.
 *
 * `settings.is_dirty` is set while changes are made. A run that finds it set (the last one was
 * killed) calls repair first, which rebuilds every list and filter from the arrays. To that run's
 * list, what is there already, or gone already, is no error: it may be the killed one's again.
 */
#ifndef WEIR_APPLY_H
#define WEIR_APPLY_H

#include "datapath/maps.h"
#include "model/diff.h"

/*
 * Make the changes; the caller holds the lock. Capacity is checked for the whole list before the
 * first write: -ENOSPC names the limit, and nothing is changed. -ENOENT, -EEXIST for a service
 * or backend that is not, or already, there. Also collects first.
 */
int apply_changes(struct maps *maps, const struct change_list *list, struct err *err);

/* Free the ids of backends and services whose drain is over. Part of every apply. */
int apply_collect(struct maps *maps, struct err *err);

/* Rebuild lists, filters and counts from the arrays after a killed run; finish half-made things. */
int apply_repair(struct maps *maps, struct err *err);

/* An empty installation: everything free. Called once by load on new maps. */
int apply_format(struct maps *maps, struct err *err);

#endif
