/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * load.c - the client of demo and tests: makes requests to tools/backend.c (or any HTTP/1.1
 * server that sends Content-Length), checks every byte of every answer, and counts who answered.
 *
 * One epoll loop, edge-triggered. A caller is one socket that makes one request at a time. A
 * request fails in exactly one named way (`failures`); the last request of a connection is good
 * only after the server's orderly close, so a lost FIN is seen too. The server closes first,
 * which leaves no TIME-WAIT here: a fixed --source-port can be used again at once.
 *
 * Exit: 0 when every request was good, 1 when one failed or none was made, 2 for bad usage.
 */
#define _GNU_SOURCE
#include "load_counts.h"
#include "load_options.h"
#include "net.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#define HEAD_LEN       4096 /* longest header of an answer */
#define CHUNK          65536
#define SCAN_US        10000 /* how exactly time-outs are kept */
#define FILE_US        20000 /* how often --until-file looks */
#define FAILURES_SHOWN 5

enum state {
	STATE_IDLE,
	STATE_CONNECTING,
	STATE_SENDING,
	STATE_HEAD, /* reading the answer's header */
	STATE_BODY,
	STATE_END, /* answer complete, waiting for the server's close */
	STATE_DATAGRAM, /* waiting for the reply */
};

struct caller {
	struct caller *next; /* in the queue of idle ones */
	int fd; /* -1: none */
	enum state state;
	uint64_t started_us, answered_us;
	uint64_t sequence; /* number of the request */
	uint64_t left; /* requests that this socket may still make */
	uint64_t sent;
	char name[NET_NAME_LEN]; /* who answered on this socket last; empty: nobody yet */

	char head[HEAD_LEN];
	size_t head_len;
	uint64_t body_len, body_got;
	char said[NET_NAME_LEN]; /* name in this answer */
};

static struct caller *callers, *idle_first, **idle_end = &idle_first;
static uint64_t caller_count, in_flight;
static int epoll_fd;
static volatile sig_atomic_t is_stopped, is_released;

/* --- the end of a request ------------------------------------------------------------------ */

static void caller_release(struct caller *caller)
{
	caller->state = STATE_IDLE;
	caller->next = NULL;
	*idle_end = caller;
	idle_end = &caller->next;
	in_flight--;
}

static void caller_close(struct caller *caller)
{
	close(caller->fd);
	caller->fd = -1;
	caller->name[0] = 0;
}

static void caller_fail(struct caller *caller, enum failure failure, const char *detail)
{
	struct linger abort = {.l_onoff = 1};

	if (count_failed() < FAILURES_SHOWN)
		fprintf(stderr, "load: request %llu: %s: %s\n",
			(unsigned long long)caller->sequence, failures[failure], detail);
	counts.failed[failure]++;
	if (caller->fd >= 0) {
		/* a socket that lingers would keep a fixed source port */
		if (options.source_port && !options.is_udp)
			setsockopt(caller->fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
		caller_close(caller);
	}
	caller_release(caller);
}

static void caller_fail_errno(struct caller *caller, int code)
{
	static const struct {
		int code;
		enum failure failure;
	} kinds[] = {
		{ECONNREFUSED, FAILURE_REFUSED},
		{ECONNRESET, FAILURE_RESET},
		{EPIPE, FAILURE_RESET},
		{ETIMEDOUT, FAILURE_TIMEOUT},
		{EHOSTUNREACH, FAILURE_UNREACHABLE},
		{ENETUNREACH, FAILURE_UNREACHABLE},
		{EACCES, FAILURE_UNREACHABLE},
	};
	enum failure failure = FAILURE_OTHER;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].code == code)
			failure = kinds[i].failure;
	caller_fail(caller, failure, strerror(code));
}

/* One TCP connection has one backend for life; a UDP socket may be moved, which is counted. */
static void caller_succeed(struct caller *caller)
{
	if (!caller->said[0]) {
		caller_fail(caller, FAILURE_WRONG, "nobody's name in the answer");
		return;
	}
	if (caller->name[0] && strcmp(caller->name, caller->said)) {
		counts.moved++;
		if (!options.is_udp) {
			caller_fail(caller, FAILURE_WRONG, "two backends on one connection");
			return;
		}
	}
	strcpy(caller->name, caller->said);
	count_latency(caller->answered_us - caller->started_us);
	count_backend(caller->said);
	counts.good++;
	if (!caller->left)
		caller_close(caller);
	caller_release(caller);
}

/* --- HTTP ---------------------------------------------------------------------------------- */

/* The value of header line `wanted` of the answer, cut to `max` bytes; false when absent. */
static bool get_header(const char *head, const char *wanted, char *value, size_t max)
{
	char key[32];
	const char *found;

	snprintf(key, sizeof(key), "\r\n%s: ", wanted);
	found = strcasestr(head, key);
	if (!found)
		return false;
	found += strlen(key);
	snprintf(value, max, "%.*s", (int)strcspn(found, "\r"), found);
	return true;
}

static bool is_own_end(struct caller *caller, const char *text)
{
	char shown[NET_TEXT_LEN];
	union net_address own = {};
	socklen_t len = sizeof(own);

	return !getsockname(caller->fd, &own.any, &len) && !strcmp(net_format(&own, shown), text);
}

/* NULL, or what is wrong with the header in `head`. */
static const char *check_head(struct caller *caller)
{
	char value[NET_TEXT_LEN];

	if (strncmp(caller->head, "HTTP/1.1 200 ", 13))
		return "status is not 200";
	if (!get_header(caller->head, "Content-Length", value, sizeof(value)) ||
	    net_parse_number(value, UINT64_MAX, &caller->body_len))
		return "no Content-Length";
	if (options.body != BODY_NAME && caller->body_len != options.body_len)
		return "Content-Length is not what was asked for";
	if (options.body == BODY_NAME && (!caller->body_len || caller->body_len > NET_NAME_LEN))
		return "the body is no name";
	if (options.check_client && (!get_header(caller->head, "X-Client", value, sizeof(value)) ||
				     !is_own_end(caller, value)))
		return "X-Client is not our end";
	caller->said[0] = 0;
	get_header(caller->head, "X-Backend", caller->said, sizeof(caller->said));
	return NULL;
}

/* A body that is a name is kept in `head`, which is free by then; the pattern is compared. */
static const char *check_body(struct caller *caller, const uint8_t *data, size_t len)
{
	if (len > caller->body_len - caller->body_got)
		return "more than Content-Length";
	for (size_t i = 0; i < len; i++) {
		if (options.body == BODY_NAME)
			caller->head[caller->body_got + i] = data[i];
		else if (data[i] != net_pattern(caller->body_got + i))
			return "a byte of the body is wrong";
	}
	caller->body_got += len;
	return NULL;
}

static const char *check_name(struct caller *caller)
{
	size_t len = caller->body_len - 1;

	if (options.body != BODY_NAME)
		return NULL;
	if (caller->head[len] != '\n' || memchr(caller->head, '\n', len))
		return "the body is no name";
	caller->head[len] = 0;
	if (caller->said[0] && strcmp(caller->said, caller->head))
		return "the body is not the name in X-Backend";
	strcpy(caller->said, caller->head);
	return NULL;
}

/* Look at `len` new bytes of the answer, and at what they complete. NULL, or what is wrong. */
static const char *take_bytes(struct caller *caller, const uint8_t *data, size_t len)
{
	const char *wrong;
	size_t room, before, used;
	char *end;

	if (caller->state == STATE_HEAD) {
		room = HEAD_LEN - 1 - caller->head_len;
		used = len < room ? len : room;
		before = caller->head_len;
		memcpy(caller->head + before, data, used);
		caller->head_len += used;
		caller->head[caller->head_len] = 0;
		end = strstr(caller->head, "\r\n\r\n");
		if (!end)
			return used < len || caller->head_len == HEAD_LEN - 1 ? "endless header"
									      : NULL;
		end[2] = 0;
		wrong = check_head(caller);
		if (wrong)
			return wrong;
		used = end + 4 - caller->head - before;
		data += used;
		len -= used;
		caller->state = STATE_BODY;
	}
	wrong = check_body(caller, data, len);
	if (wrong || caller->body_got < caller->body_len || caller->state == STATE_END)
		return wrong;
	caller->answered_us = net_now_us();
	caller->state = STATE_END;
	return check_name(caller);
}

/* --- TCP ----------------------------------------------------------------------------------- */

/* The next piece of the request: the header, then the pattern. */
static size_t next_piece(const struct caller *caller, const void **ret_piece)
{
	static uint8_t chunk[CHUNK];
	const char *head = request[!caller->left];
	uint64_t head_len = strlen(head), offset, left;

	if (caller->sent < head_len) {
		*ret_piece = head + caller->sent;
		return head_len - caller->sent;
	}
	offset = caller->sent - head_len;
	left = options.body == BODY_ECHO ? options.body_len - offset : 0;
	if (left > CHUNK)
		left = CHUNK;
	net_fill_pattern(chunk, offset, left);
	*ret_piece = chunk;
	return left;
}

static void caller_send(struct caller *caller)
{
	const void *piece;
	ssize_t sent;
	size_t len;

	while ((len = next_piece(caller, &piece))) {
		sent = send(caller->fd, piece, len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			caller_fail_errno(caller, errno);
			return;
		}
		caller->sent += sent;
	}
	caller->state = STATE_HEAD;
}

static void caller_receive(struct caller *caller)
{
	static uint8_t data[CHUNK];
	const char *wrong;
	ssize_t got;

	while (caller->state != STATE_END || !caller->left) {
		got = recv(caller->fd, data, sizeof(data), 0);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got < 0) {
			caller_fail_errno(caller, errno);
			return;
		}
		if (!got && caller->state == STATE_END)
			break;
		if (!got) {
			caller_fail(caller, FAILURE_SHORT, "closed before the answer was complete");
			return;
		}
		wrong = take_bytes(caller, data, got);
		if (wrong) {
			caller_fail(caller, FAILURE_WRONG, wrong);
			return;
		}
	}
	caller_succeed(caller);
}

static void caller_finish_connect(struct caller *caller)
{
	int code = 0;
	socklen_t len = sizeof(code);

	getsockopt(caller->fd, SOL_SOCKET, SO_ERROR, &code, &len);
	if (code) {
		caller_fail_errno(caller, code);
		return;
	}
	counts.connections++;
	caller->state = STATE_SENDING;
}

/* --- UDP ----------------------------------------------------------------------------------- */

/* The payload of request `sequence`: its number, then the pattern up to --size bytes. */
static size_t make_payload(uint64_t sequence, uint8_t *payload)
{
	size_t len = sprintf((char *)payload, "%llu ", (unsigned long long)sequence);

	if (len < options.size) {
		net_fill_pattern(payload + len, len, options.size - len);
		len = options.size;
	}
	return len;
}

static void caller_send_datagram(struct caller *caller)
{
	static uint8_t payload[CHUNK];
	size_t len = make_payload(caller->sequence, payload);

	if (send(caller->fd, payload, len, 0) < 0)
		caller_fail_errno(caller, errno);
	else
		caller->state = STATE_DATAGRAM;
}

/*
 * "NAME client-address:port payload". NULL, or what is wrong; `ret_late` for the reply to an
 * earlier request of this socket, which has failed by time-out.
 */
static const char *check_datagram(struct caller *caller, char *data, size_t len, bool *ret_late)
{
	static uint8_t payload[CHUNK];
	char *client = memchr(data, ' ', len), *end = data + len, *rest;
	size_t want = make_payload(caller->sequence, payload);

	if (!client || client - data >= NET_NAME_LEN)
		return "the datagram has no name";
	*client++ = 0;
	rest = memchr(client, ' ', end - client);
	if (!rest)
		return "the datagram has no client";
	*rest++ = 0;
	*ret_late = rest < end && strtoull(rest, NULL, 10) < caller->sequence;
	if ((size_t)(end - rest) != want || memcmp(rest, payload, want))
		return "the payload is not ours";
	if (options.check_client && !is_own_end(caller, client))
		return "the server saw another end than ours";
	strcpy(caller->said, data);
	return NULL;
}

static void caller_receive_datagram(struct caller *caller)
{
	static char data[CHUNK + NET_NAME_LEN + NET_TEXT_LEN + 1];
	const char *wrong;
	bool is_late;
	ssize_t got;

	do {
		got = recv(caller->fd, data, sizeof(data) - 1, 0);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got < 0) {
			caller_fail_errno(caller, errno);
			return;
		}
		data[got] = 0;
		is_late = false;
		wrong = check_datagram(caller, data, got, &is_late);
	} while (is_late);
	caller->answered_us = net_now_us();
	if (wrong)
		caller_fail(caller, FAILURE_WRONG, wrong);
	else
		caller_succeed(caller);
}

/* --- one request --------------------------------------------------------------------------- */

/* The source of the next socket: --source's addresses take turns. */
static int bind_source(int fd)
{
	union net_address source = options.source;
	unsigned int turn;
	static unsigned int turns;
	int one = 1;

	if (!source.any.sa_family) {
		if (!options.source_port)
			return 0;
		source.any.sa_family = options.target.any.sa_family;
	}
	turn = turns++ % options.sources;
	if (source.any.sa_family == AF_INET6)
		source.v6.sin6_addr.s6_addr[15] += turn;
	else
		source.v4.sin_addr.s_addr = htonl(ntohl(source.v4.sin_addr.s_addr) + turn);
	net_set_port(&source, options.source_port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* let connect() choose the port, which knows the whole tuple */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, &source.any, net_len(&source)) ? -errno : 0;
}

/* Open the caller's socket and begin to connect: 0 or a negative errno. */
static int caller_open(struct caller *caller)
{
	const union net_address *target = &options.target;
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = caller};
	int type = options.is_udp ? SOCK_DGRAM : SOCK_STREAM, one = 1, err;

	caller->fd = socket(target->any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (caller->fd < 0)
		return -errno;
	if (!options.is_udp)
		setsockopt(caller->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	caller->left = options.keepalive;
	err = bind_source(caller->fd);
	if (err)
		return err;
	if (connect(caller->fd, &target->any, net_len(target)) && errno != EINPROGRESS)
		return -errno;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, caller->fd, &event) ? -errno : 0;
}

static void caller_run(struct caller *caller)
{
	if (caller->state == STATE_CONNECTING)
		caller_finish_connect(caller);
	if (caller->state == STATE_SENDING)
		caller_send(caller);
	if (caller->state == STATE_HEAD || caller->state == STATE_BODY ||
	    caller->state == STATE_END)
		caller_receive(caller);
	else if (caller->state == STATE_DATAGRAM)
		caller_receive_datagram(caller);
}

static void caller_start(struct caller *caller)
{
	bool is_new = caller->fd < 0;
	int err;

	in_flight++;
	caller->sequence = ++counts.issued;
	caller->started_us = net_now_us();
	caller->sent = 0;
	caller->head_len = 0;
	caller->body_got = 0;
	caller->body_len = 0;
	err = is_new ? caller_open(caller) : 0;
	if (err) {
		caller_fail_errno(caller, -err);
		return;
	}
	caller->left--;
	if (options.is_udp) {
		counts.connections += is_new;
		caller_send_datagram(caller);
	} else if (is_new) {
		caller->state = STATE_CONNECTING;
	} else {
		caller->state = STATE_SENDING;
		caller_run(caller);
	}
}

/* --- the loop ------------------------------------------------------------------------------ */

static void expire_callers(void)
{
	static uint64_t last;
	uint64_t now = net_now_us();
	char detail[64];

	if (now - last < SCAN_US)
		return;
	last = now;
	for (uint64_t i = 0; i < caller_count; i++) {
		static const char *const doing[] = {
			[STATE_CONNECTING] = "connecting",
			[STATE_SENDING] = "sending",
			[STATE_HEAD] = "waiting for the answer",
			[STATE_BODY] = "reading the body",
			[STATE_END] = "waiting for the close",
			[STATE_DATAGRAM] = "waiting for the reply",
		};
		struct caller *caller = &callers[i];

		if (caller->state == STATE_IDLE ||
		    now - caller->started_us < options.timeout_ms * 1000)
			continue;
		snprintf(detail, sizeof(detail), "after %llu ms, %s",
			 (unsigned long long)(now - caller->started_us) / 1000,
			 doing[caller->state]);
		caller_fail(caller, FAILURE_TIMEOUT, detail);
	}
}

static bool is_over(uint64_t begin)
{
	static uint64_t looked;
	uint64_t now = net_now_us();

	if (is_stopped || (options.duration_s && now - begin >= options.duration_s * 1e6))
		return true;
	if (options.until_file && now - looked >= FILE_US) {
		looked = now;
		is_stopped = !access(options.until_file, F_OK);
	}
	return is_stopped;
}

/* Start what is due of requests `first` to `last`; returns how many ms to wait for events. */
static int start_due(uint64_t begin, uint64_t first, uint64_t last)
{
	uint64_t due;

	while (idle_first && counts.issued < last && in_flight < options.concurrency) {
		struct caller *caller = idle_first;

		due = options.rate ? begin + (counts.issued + 1 - first) * 1000000. / options.rate
				   : 0;
		if (due > net_now_us()) {
			due = (due - net_now_us()) / 1000 + 1;
			return due < SCAN_US / 1000 ? due : SCAN_US / 1000;
		}
		idle_first = caller->next;
		if (!idle_first)
			idle_end = &idle_first;
		caller_start(caller);
		if (is_over(begin))
			break;
	}
	return SCAN_US / 1000;
}

/* Make requests up to number `last`, or until it is over; returns with none in flight. */
static void make_requests(uint64_t last)
{
	struct epoll_event events[256];
	uint64_t begin = net_now_us();
	uint64_t first = counts.issued + 1;
	int count, wait_ms;

	for (;;) {
		bool over = is_over(begin) || counts.issued >= last;

		if (over && !in_flight)
			return;
		wait_ms = over ? SCAN_US / 1000 : start_due(begin, first, last);
		if (!in_flight && counts.issued >= last)
			return;
		count = epoll_wait(epoll_fd, events, 256, wait_ms);
		for (int i = 0; i < count; i++)
			caller_run(events[i].data.ptr);
		expire_callers();
	}
}

/* Wait for SIGUSR1 or a line on stdin; a closed stdin (a job in the background) says nothing. */
static void wait_for_release(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	sigset_t signals;
	char byte;

	sigemptyset(&signals);
	while (!is_released && !is_stopped) {
		if (ppoll(&input, 1, NULL, &signals) <= 0)
			continue;
		if (read(STDIN_FILENO, &byte, 1) <= 0)
			input.fd = -1;
		else if (byte == '\n')
			return;
	}
}

/* Open --hold connections, wait, and ask each of them once more. */
static void hold(void)
{
	struct caller *caller, **link;
	uint64_t good;

	make_requests(options.hold);
	for (link = &idle_first; (caller = *link);) {
		if (caller->fd < 0) {
			*link = caller->next;
			continue;
		}
		counts.held++;
		link = &caller->next;
	}
	idle_end = link;
	printf("holding %llu\n", (unsigned long long)counts.held);
	fflush(stdout);
	wait_for_release();
	good = counts.good;
	make_requests(counts.issued + counts.held);
	counts.survived = counts.good - good;
}

/* --- the program -------------------------------------------------------------------------- */

static void take_signal(int signal)
{
	if (signal == SIGUSR1)
		is_released = true;
	else
		is_stopped = true;
}

/* Blocked except in ppoll() (SIGUSR1), so that a release is never lost. */
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = take_signal};
	sigset_t release;

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigemptyset(&release);
	sigaddset(&release, SIGUSR1);
	sigprocmask(SIG_BLOCK, &release, NULL);
}

int main(int argc, char **argv)
{
	uint64_t begin = net_now_us();

	parse_options(argc, argv);
	net_raise_files();
	catch_signals();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	caller_count = options.hold ? options.hold : options.concurrency;
	callers = calloc(caller_count, sizeof(*callers));
	if (epoll_fd < 0 || !callers)
		die("cannot start");
	for (uint64_t i = 0; i < caller_count; i++) {
		callers[i].fd = -1;
		*idle_end = &callers[i];
		idle_end = &callers[i].next;
	}
	if (options.hold)
		hold();
	else
		make_requests(options.requests);
	print_results(net_now_us() - begin);
	return count_failed() || !counts.good;
}
