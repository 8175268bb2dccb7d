/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* lock.c - the writers' lock; see lock.h. */
#include "datapath/lock.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 10

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The process with an flock on the inode of `fd`, or 0. */
static int find_holder(int fd)
{
	struct stat status;
	FILE *locks;
	char line[256];
	int holder = 0;

	if (fstat(fd, &status))
		return 0;
	locks = fopen("/proc/locks", "re");
	if (!locks)
		return 0;
	while (!holder && fgets(line, sizeof(line), locks)) {
		unsigned int major_id, minor_id;
		unsigned long inode;
		int pid;

		/* "1: FLOCK  ADVISORY  WRITE 1234 00:1d:567 0 EOF"; waiters have "->" before FLOCK */
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major_id, &minor_id,
			   &inode) != 4)
			continue;
		if (inode == status.st_ino && major_id == major(status.st_dev) &&
		    minor_id == minor(status.st_dev))
			holder = pid;
	}
	fclose(locks);
	return holder;
}

static int refuse(int fd, const char *directory, struct err *err)
{
	char path[32], command[32] = "";
	int pid = find_holder(fd);
	FILE *file;

	if (pid <= 0) /* gone by now, or in a PID namespace that we do not see */
		return err_set(err, -EBUSY, "%s is locked by another process", directory);
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (file) {
		if (fgets(command, sizeof(command), file))
			command[strcspn(command, "\n")] = '\0';
		fclose(file);
	}
	return err_set(err, -EBUSY, "%s is locked by process %d (%s)", directory, pid,
		       *command ? command : "unknown");
}

/* `weir unload` may have deleted the directory while we waited: then its lock protects nothing. */
static bool is_still_there(int fd, const char *directory)
{
	struct stat ours, theirs;

	return !fstat(fd, &ours) && !stat(directory, &theirs) && ours.st_ino == theirs.st_ino &&
	       ours.st_dev == theirs.st_dev;
}

static int wait_for_lock(int fd, const char *directory, int wait_ms, struct err *err)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	long deadline = now_ms() + wait_ms;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(err, -errno, "%s: flock: %s", directory, strerror(errno));
		if (now_ms() >= deadline)
			return refuse(fd, directory, err);
		nanosleep(&pause, NULL);
	}
	return 0;
}

int lock_take(const char *directory, int wait_ms, struct err *err)
{
	for (;;) {
		int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int rc;

		if (fd < 0)
			return err_set(err, -errno, "%s: %s", directory, strerror(errno));
		rc = wait_for_lock(fd, directory, wait_ms, err);
		if (!rc && is_still_there(fd, directory))
			return fd;
		close(fd);
		if (rc)
			return rc;
	}
}
