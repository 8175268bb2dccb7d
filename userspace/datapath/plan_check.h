/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* plan_check.h - can this plan be carried out, and where do its tables go? */
#ifndef WEIR_PLAN_CHECK_H
#define WEIR_PLAN_CHECK_H

#include "datapath/plan.h"

struct err;

/*
 * Refuse mixed families, VIPs that two services want, and what exceeds a limit (-EINVAL, -EEXIST,
 * -ENOSPC with a message); fill in family, has_new_table, serving and start of each service.
 */
int plan_check(struct maps *maps, struct plan *plan, __u64 now, struct err *err);

#endif
