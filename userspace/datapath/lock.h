/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * lock.h - one writer: an flock(2) on the pin directory, which dies with its process.
 */
#ifndef WEIR_LOCK_H
#define WEIR_LOCK_H

struct err;

/*
 * Take the lock on `directory`, waiting up to `wait_ms`. Returns a descriptor to close(2), or
 * -EBUSY with a message that names the holder (pid and command, from /proc/locks), -ENOENT when
 * the directory is not there.
 */
int lock_take(const char *directory, int wait_ms, struct err *err);

#endif
