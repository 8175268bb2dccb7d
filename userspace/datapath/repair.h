/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * repair.h - what apply_repair does (apply.h), once the arrays are mapped. Sets is_dirty; the caller
 * clears it.
 */
#ifndef WEIR_REPAIR_H
#define WEIR_REPAIR_H

#include "datapath/maps.h"

struct err;

int repair_run(struct maps *maps, struct err *err);

#endif
