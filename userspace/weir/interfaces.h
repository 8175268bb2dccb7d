/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* interfaces.h - what `apply` would do to the interfaces, without doing it. */
#ifndef WEIR_INTERFACES_H
#define WEIR_INTERFACES_H

#include "datapath/maps.h"
#include "model/service.h"

/*
 * Print a line for each difference on stdout when `is_shown`; count them. An interface that a
 * rule names but that cannot carry us is an error. An exit code, said.
 */
int interfaces_compare(struct maps *maps, const struct model *model, bool is_shown,
		       size_t *ret_differences);

#endif
