/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* session.c - see session.h. */
#include "weir/session.h"

#include "base/err.h"
#include "datapath/apply.h"
#include "datapath/lock.h"
#include "weir/commands.h"
#include "weir/print.h"

#include <errno.h>
#include <unistd.h>

#define LOCK_WAIT_MS 5000

int session_read(struct maps **ret_maps)
{
	struct err err = {};
	struct maps *maps;
	int rc = maps_open(&maps, &err);

	if (!rc && !maps->settings->abi_version) {
		maps_close(maps);
		rc = err_set(&err, -ENOENT, "not loaded: a load was cut short (run `weir load`)");
	}
	if (rc) {
		print_say("%s", err.text);
		return rc == -ENOENT ? EXIT_NOT_LOADED : EXIT_FAILED;
	}
	*ret_maps = maps;
	return EXIT_DONE;
}

int session_write(struct maps **ret_maps, int *ret_lock)
{
	char directory[256];
	struct err err = {};
	int lock, code;

	lock = lock_take(maps_directory(directory, sizeof(directory)), LOCK_WAIT_MS, &err);
	if (lock < 0 && lock != -ENOENT)
		return print_fail("%s", err.text);
	code = session_read(ret_maps); /* also says what is missing when there is no directory */
	if (code || lock < 0) {
		if (!code)
			session_end(*ret_maps, lock);
		else if (lock >= 0)
			close(lock);
		return code ? code : print_fail("%s", err.text);
	}
	(*ret_maps)->is_writable = true;
	if (apply_collect(*ret_maps, &err)) {
		session_end(*ret_maps, lock);
		return print_fail("%s", err.text);
	}
	*ret_lock = lock;
	return EXIT_DONE;
}

void session_end(struct maps *maps, int lock)
{
	maps_close(maps);
	if (lock >= 0)
		close(lock);
}
