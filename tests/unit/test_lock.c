/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* test_lock.c - one writer at a time, and who it is. */
#include "base/err.h"
#include "datapath/lock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

/* A process called "holder" that has the lock until it is killed; returns once it has it. */
static pid_t start_holder(void)
{
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		prctl(PR_SET_NAME, "holder");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (lock_take(directory, 0, NULL) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static void stop(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void test_taken_and_given_back(void **state)
{
	struct err err = {};
	int fd = lock_take(directory, 0, &err);

	assert_true(fd >= 0);
	assert_int_equal(lock_take(directory, 0, &err), -EBUSY);
	close(fd);
	fd = lock_take(directory, 0, &err);
	assert_true(fd >= 0);
	close(fd);
}

static void test_names_the_holder(void **state)
{
	pid_t child = start_holder();
	struct err err = {};
	char want[64];

	assert_int_equal(lock_take(directory, 30, &err), -EBUSY);
	snprintf(want, sizeof(want), "process %d (holder)", child);
	if (!strstr(err.text, want))
		fail_msg("got \"%s\", wanted \"%s\" in it", err.text, want);
	stop(child);
}

static void test_dies_with_its_process(void **state)
{
	int fd;

	stop(start_holder());
	fd = lock_take(directory, 0, NULL);
	assert_true(fd >= 0);
	close(fd);
}

static void *release(void *fd)
{
	poll(NULL, 0, 30);
	close(*(int *)fd);
	return NULL;
}

static void test_waits(void **state)
{
	int held = lock_take(directory, 0, NULL), fd;
	pthread_t thread;

	assert_true(held >= 0);
	assert_int_equal(pthread_create(&thread, NULL, release, &held), 0);
	fd = lock_take(directory, 10000, NULL);
	assert_true(fd >= 0);
	pthread_join(thread, NULL);
	close(fd);
}

/* Unloaded and loaded again while we waited: the lock must be on the new directory. */
static void *replace(void *fd)
{
	rmdir(directory);
	mkdir(directory, 0700);
	return release(fd);
}

static void test_directory_is_replaced(void **state)
{
	int held = lock_take(directory, 0, NULL), fd;
	struct stat ours, theirs;
	pthread_t thread;

	assert_true(held >= 0);
	assert_int_equal(pthread_create(&thread, NULL, replace, &held), 0);
	fd = lock_take(directory, 10000, NULL);
	assert_true(fd >= 0);
	pthread_join(thread, NULL);
	assert_int_equal(fstat(fd, &ours), 0);
	assert_int_equal(stat(directory, &theirs), 0);
	assert_true(ours.st_ino == theirs.st_ino);
	close(fd);
}

static void test_no_directory(void **state)
{
	struct err err = {};

	assert_int_equal(lock_take("/nowhere/at/all", 1000, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_and_given_back),
		cmocka_unit_test(test_names_the_holder),
		cmocka_unit_test(test_dies_with_its_process),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_directory_is_replaced),
		cmocka_unit_test(test_no_directory),
	};
	int rc;

	snprintf(directory, sizeof(directory), "/tmp/weir-lock-%d", getpid());
	if (mkdir(directory, 0700))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return rc;
}
