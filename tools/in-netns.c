/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * in-netns.c - run a command in a network namespace and change nothing else.
 *
 * `ip netns exec` also mounts a new /sys, which hides /sys/fs/bpf and /sys/fs/cgroup: no program
 * could be pinned. Here the mounts stay, so /sys/class/net shows the caller's interfaces;
 * /proc/sys/net and /proc/net follow the namespace.
 *
 * Exit: that of the command; 125 when the namespace cannot be entered, 126 or 127 when the
 * command cannot be run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int enter(const char *name)
{
	char path[256];
	int fd, ret;

	snprintf(path, sizeof(path), strchr(name, '/') ? "%s" : "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = setns(fd, CLONE_NEWNET) ? -errno : 0;
	close(fd);
	return ret;
}

int main(int argc, char **argv)
{
	int err;

	if (argc < 3) {
		fprintf(stderr, "usage: in-netns NAME|PATH COMMAND [ARGUMENT...]\n");
		return 125;
	}
	err = enter(argv[1]);
	if (err) {
		fprintf(stderr, "in-netns: %s: %s\n", argv[1], strerror(-err));
		return 125;
	}
	execvp(argv[2], argv + 2);
	err = errno;
	fprintf(stderr, "in-netns: %s: %s\n", argv[2], strerror(err));
	return err == ENOENT ? 127 : 126;
}
