/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* memory.h - what the maps take, as the kernel says it. */
#ifndef WEIR_MEMORY_H
#define WEIR_MEMORY_H

#include "datapath/maps.h"

#include <stdint.h>

uint64_t memory_map(const struct maps *maps, enum map_id id); /* bytes; 0: not known */
uint64_t memory_total(const struct maps *maps);

#endif
