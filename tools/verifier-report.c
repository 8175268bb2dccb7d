/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * verifier-report.c - what the running kernel's verifier says of each program of an object file:
 * instructions walked of its million, peak states, stack, and the size of what was loaded.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_STATS 4 /* BPF_LOG_STATS */
#define LOG_SIZE  (1 << 20)

static int be_silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

/* The number that follows `word` in the log, or -1. */
static long find_number(const char *log, const char *word)
{
	const char *at = strstr(log, word);

	return at ? strtol(at + strlen(word), NULL, 10) : -1;
}

static void print_program(const struct bpf_program *program, const char *log)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	const char *stack = strstr(log, "stack depth ");

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len))
		return;
	printf("%-16s %9ld %8ld %10u %10u  %.*s\n", bpf_program__name(program),
	       find_number(log, "processed "), find_number(log, "peak_states "),
	       info.xlated_prog_len, info.jited_prog_len,
	       stack ? (int)strcspn(stack + 12, "\n") : 0, stack ? stack + 12 : "");
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct bpf_program *program;
	int status = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: verifier-report FILE.bpf.o\n");
		return 2;
	}
	libbpf_set_print(be_silent);
	object = bpf_object__open_file(argv[1], NULL);
	if (!object) {
		fprintf(stderr, "verifier-report: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	bpf_object__for_each_program(program, object)
	{
		bpf_program__set_log_level(program, LOG_STATS);
		bpf_program__set_log_buf(program, calloc(1, LOG_SIZE), LOG_SIZE);
	}
	if (!bpf_object__load(object)) {
		printf("%-16s %9s %8s %10s %10s  %s\n", "program", "walked", "states", "xlated B",
		       "jited B", "stack B, by function");
		status = 0;
	} else {
		fprintf(stderr, "verifier-report: %s: refused: %s\n", argv[1], strerror(errno));
	}
	bpf_object__for_each_program(program, object)
	{
		size_t size;
		const char *log = bpf_program__log_buf(program, &size);

		if (status)
			printf("%s: %s\n", bpf_program__name(program),
			       strlen(log) > 800 ? log + strlen(log) - 800 : log);
		else
			print_program(program, log);
	}
	bpf_object__close(object);
	return status;
}
