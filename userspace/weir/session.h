/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* session.h - the installed maps, for a command that reads, or for one that writes. */
#ifndef WEIR_SESSION_H
#define WEIR_SESSION_H

#include "datapath/maps.h"

/* Readers take no lock. EXIT_DONE, or what to exit with when a message was said. */
int session_read(struct maps **ret_maps);

/* Waits for the lock, and finishes what a killed run has left. session_end follows. */
int session_write(struct maps **ret_maps, int *ret_lock);
void session_end(struct maps *maps, int lock);

#endif
