/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* main.c - `weir`, the control binary: finds the command in commands.c and runs it. */
#include "datapath/maps.h"
#include "weir/print.h"
#include "weir/request.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/*
 * A map or a lock must not become standard output because that was closed. Read-only, so that
 * writing there is still the error that it should be.
 */
static void fill_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

static int run(const struct request *request)
{
	if (request_has(request, OPTION_HELP))
		commands_print_help(stdout, request->path);
	else if (request_has(request, OPTION_VERSION))
		printf("weir %s, ABI v%d\n", VERSION, WEIR_ABI_VERSION);
	else
		return request->command->run(request);
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct request request;
	int code, flushed;

	fill_descriptors();
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write: print_flush says it */
	code = request_parse(argc, argv, &request);
	if (code)
		return code;
	code = run(&request);
	request_free(&request);
	flushed = print_flush();
	return flushed ? flushed : code;
}
