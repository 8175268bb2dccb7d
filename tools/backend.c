/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * backend.c - the little HTTP/1.1 and UDP server behind the balancer, in demo and tests.
 *
 * One process, one epoll loop, no dependency. Every answer says who answered and whom it saw:
 *
 *	GET  /          the name and a newline
 *	GET  /bytes/N   N bytes of the pattern of net.h
 *	POST /echo      the request's body (GET: an empty one)
 *	GET  /slow/MS   as `/`, after MS milliseconds
 *	UDP             "NAME client-address:port payload", from the address that was asked
 *
 * with the headers X-Backend (the name), X-Client (the peer's end) and X-Server (our end). Prints
 * `ready` once everything is bound, and `served tcp N udp M` (answers begun) on SIGTERM.
 *
 * A new behaviour is one function and one row of `routes`.
 */
#define _GNU_SOURCE
#include "net.h"

#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define REQUEST_LEN 8192 /* longest request header */
#define BODY_MAX    (64u << 20) /* largest body of a request */
#define BYTES_MAX   (1ull << 40) /* largest /bytes/N */
#define SLOW_MAX    3600000 /* ms */
#define CHUNK       65536

enum kind {
	KIND_SIGNAL,
	KIND_LISTENER,
	KIND_UDP,
	KIND_CONN
};

/* What an epoll event points to; the first member of whoever owns the descriptor. */
struct source {
	enum kind kind;
	int fd;
};

enum state {
	STATE_HEADER, /* reading the request's header */
	STATE_BODY, /* reading its body */
	STATE_WAITING, /* until `due_us` */
	STATE_WRITING,
	STATE_CLOSED,
};

struct conn {
	struct source source;
	enum state state;
	uint32_t events; /* what epoll watches for */
	bool is_last; /* close after this answer */

	char in[REQUEST_LEN];
	size_t in_len;
	char method[8], path[256];
	uint8_t *body; /* of the request */
	size_t body_len, body_got;

	char head[512]; /* header of the answer, and a short body */
	size_t head_len;
	const uint8_t *answer; /* its body; NULL: the pattern */
	uint64_t answer_len;
	uint64_t sent; /* of head and body together */

	uint64_t due_us;
	struct conn *next, *prev; /* among those that wait */
};

static const char *name = "backend";
static int epoll_fd;
static uint64_t served_tcp, served_udp;
static struct conn *waiting;

static void die(const char *what)
{
	fprintf(stderr, "backend: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(struct source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &event))
		die("epoll_ctl");
}

/* --- answers ------------------------------------------------------------------------------- */

static void answer(struct conn *conn, const char *status, const uint8_t *body, uint64_t len)
{
	char client[NET_TEXT_LEN] = "?", server[NET_TEXT_LEN] = "?";
	union net_address end = {};
	socklen_t end_len = sizeof(end);

	if (!getpeername(conn->source.fd, &end.any, &end_len))
		net_format(&end, client);
	end_len = sizeof(end);
	if (!getsockname(conn->source.fd, &end.any, &end_len))
		net_format(&end, server);
	conn->head_len = snprintf(conn->head, sizeof(conn->head),
				  "HTTP/1.1 %s\r\nContent-Length: %llu\r\nX-Backend: %s\r\n"
				  "X-Client: %s\r\nX-Server: %s\r\nConnection: %s\r\n\r\n",
				  status, (unsigned long long)len, name, client, server,
				  conn->is_last ? "close" : "keep-alive");
	conn->answer = body;
	conn->answer_len = len;
	conn->sent = 0;
	conn->state = STATE_WRITING;
	served_tcp++;
}

static void answer_text(struct conn *conn, const char *status, const char *text)
{
	answer(conn, status, (const uint8_t *)text, strlen(text));
}

/* After an error nobody knows where the next request begins. */
static void answer_error(struct conn *conn, const char *status)
{
	conn->is_last = true;
	answer_text(conn, status, "");
}

static void answer_name(struct conn *conn, uint64_t number)
{
	static char line[NET_NAME_LEN + 1];

	(void)number;
	snprintf(line, sizeof(line), "%s\n", name);
	answer_text(conn, "200 OK", line);
}

static void answer_bytes(struct conn *conn, uint64_t number)
{
	answer(conn, "200 OK", NULL, number);
}

static void answer_echo(struct conn *conn, uint64_t number)
{
	(void)number;
	answer(conn, "200 OK", conn->body ? conn->body : (const uint8_t *)"", conn->body_len);
}

static void answer_slow(struct conn *conn, uint64_t number)
{
	conn->due_us = net_now_us() + number * 1000;
	conn->state = STATE_WAITING;
	conn->prev = NULL;
	conn->next = waiting;
	if (waiting)
		waiting->prev = conn;
	waiting = conn;
}

static const struct route {
	const char *path;
	bool has_number; /* `path` is followed by a number, at most `max` */
	uint64_t max;
	void (*answer)(struct conn *conn, uint64_t number);
} routes[] = {
	{.path = "/", .answer = answer_name},
	{.path = "/bytes/", .has_number = true, .max = BYTES_MAX, .answer = answer_bytes},
	{.path = "/echo", .answer = answer_echo},
	{.path = "/slow/", .has_number = true, .max = SLOW_MAX, .answer = answer_slow},
};

static void answer_request(struct conn *conn)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		const struct route *route = &routes[i];
		size_t len = strlen(route->path);
		uint64_t number = 0;

		if (!route->has_number && strcmp(conn->path, route->path))
			continue;
		if (route->has_number && (strncmp(conn->path, route->path, len) ||
					  net_parse_number(conn->path + len, route->max, &number)))
			continue;
		route->answer(conn, number);
		return;
	}
	answer_text(conn, "404 Not Found", "");
}

/* --- one connection ------------------------------------------------------------------------ */

static void conn_stop_waiting(struct conn *conn)
{
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		waiting = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
}

static void conn_close(struct conn *conn)
{
	if (conn->state == STATE_WAITING)
		conn_stop_waiting(conn);
	conn->state = STATE_CLOSED;
}

static void conn_free(struct conn *conn)
{
	close(conn->source.fd);
	free(conn->body);
	free(conn);
}

/* The value of a header line of the request, or NULL; ends at the line's end. */
static const char *find_header(const char *header, const char *wanted)
{
	size_t len = strlen(wanted);
	const char *line = strstr(header, "\r\n");

	for (; line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, wanted, len) || line[len] != ':')
			continue;
		return line + len + 1 + strspn(line + len + 1, " \t");
	}
	return NULL;
}

static bool header_says(const char *header, const char *wanted, const char *value)
{
	const char *found = find_header(header, wanted);

	return found && !strncasecmp(found, value, strlen(value));
}

/* The length of the request's body, or -1 for one that we do not understand. */
static int64_t body_length(const char *header)
{
	const char *value = find_header(header, "Content-Length");
	char number[16] = "";
	uint64_t len;

	if (find_header(header, "Transfer-Encoding"))
		return -1;
	if (!value)
		return 0;
	snprintf(number, sizeof(number), "%.*s", (int)strspn(value, "0123456789"), value);
	return net_parse_number(number, BODY_MAX, &len) ? -1 : (int64_t)len;
}

/* The header is complete and ends with a NUL at `in[len]`; what follows stays in `in`. */
static void parse_header(struct conn *conn, size_t len)
{
	char version[16];
	int64_t body;

	conn->is_last = true;
	body = body_length(conn->in);
	if (sscanf(conn->in, "%7s %255s %15s", conn->method, conn->path, version) != 3 ||
	    strncmp(version, "HTTP/1.", 7)) {
		answer_error(conn, "400 Bad Request");
		return;
	}
	if (strcmp(conn->method, "GET") && strcmp(conn->method, "POST")) {
		answer_error(conn, "405 Method Not Allowed");
		return;
	}
	if (body < 0) {
		answer_error(conn, "413 Content Too Large");
		return;
	}
	if (!strcmp(version, "HTTP/1.0"))
		conn->is_last = !header_says(conn->in, "Connection", "keep-alive");
	else
		conn->is_last = header_says(conn->in, "Connection", "close");
	if (body && header_says(conn->in, "Expect", "100-continue"))
		send(conn->source.fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);

	free(conn->body);
	conn->body = NULL;
	conn->body_len = body;
	conn->body_got = 0;
	if (body) {
		conn->body = malloc(body);
		if (!conn->body)
			die("malloc");
	}
	conn->in_len -= len;
	memmove(conn->in, conn->in + len, conn->in_len);
	conn->state = STATE_BODY;
}

/* Read more of the header; true when something changed. */
static bool conn_read_header(struct conn *conn)
{
	char *end = memmem(conn->in, conn->in_len, "\r\n\r\n", 4);
	ssize_t got;

	if (end) {
		end[2] = 0; /* the second line end: find_header() stays inside */
		parse_header(conn, end + 4 - conn->in);
		return true;
	}
	if (conn->in_len == sizeof(conn->in)) {
		answer_error(conn, "431 Request Header Fields Too Large");
		return true;
	}
	got = recv(conn->source.fd, conn->in + conn->in_len, sizeof(conn->in) - conn->in_len, 0);
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0)
		conn_close(conn);
	else
		conn->in_len += got;
	return true;
}

static bool conn_read_body(struct conn *conn)
{
	size_t left = conn->body_len - conn->body_got;
	size_t here = conn->in_len < left ? conn->in_len : left;
	ssize_t got;

	if (!left) {
		answer_request(conn);
		return true;
	}
	if (here) {
		memcpy(conn->body + conn->body_got, conn->in, here);
		conn->body_got += here;
		conn->in_len -= here;
		memmove(conn->in, conn->in + here, conn->in_len);
		return true;
	}
	got = recv(conn->source.fd, conn->body + conn->body_got, left, 0);
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0)
		conn_close(conn);
	else
		conn->body_got += got;
	return true;
}

/* The next piece of the answer: header first, then the body. */
static size_t next_piece(const struct conn *conn, const uint8_t **ret_piece)
{
	static uint8_t chunk[CHUNK];
	uint64_t offset = conn->sent - conn->head_len;
	size_t len;

	if (conn->sent < conn->head_len) {
		*ret_piece = (const uint8_t *)conn->head + conn->sent;
		return conn->head_len - conn->sent;
	}
	len = conn->answer_len - offset < CHUNK ? conn->answer_len - offset : CHUNK;
	if (conn->answer) {
		*ret_piece = conn->answer + offset;
	} else {
		net_fill_pattern(chunk, offset, len);
		*ret_piece = chunk;
	}
	return len;
}

static bool conn_write(struct conn *conn)
{
	uint64_t total = conn->head_len + conn->answer_len;
	const uint8_t *piece;
	ssize_t sent;
	size_t len;

	if (conn->sent == total) {
		if (conn->is_last)
			conn_close(conn);
		else
			conn->state = STATE_HEADER;
		return true;
	}
	len = next_piece(conn, &piece);
	sent = send(conn->source.fd, piece, len,
		    MSG_NOSIGNAL | (conn->sent + len < total ? MSG_MORE : 0));
	if (sent < 0 && errno == EAGAIN)
		return false;
	if (sent < 0)
		conn_close(conn);
	else
		conn->sent += sent;
	return true;
}

/* Go on until the connection has to wait for something; frees it when it is over. */
static void conn_run(struct conn *conn)
{
	static bool (*const step[])(struct conn * conn) = {
		[STATE_HEADER] = conn_read_header,
		[STATE_BODY] = conn_read_body,
		[STATE_WRITING] = conn_write,
	};
	static const uint32_t wanted[] = {
		[STATE_HEADER] = EPOLLIN,
		[STATE_BODY] = EPOLLIN,
		[STATE_WAITING] = 0,
		[STATE_WRITING] = EPOLLOUT,
	};

	while (conn->state != STATE_CLOSED && conn->state != STATE_WAITING)
		if (!step[conn->state](conn))
			break;
	if (conn->state == STATE_CLOSED) {
		conn_free(conn);
		return;
	}
	if (conn->events != wanted[conn->state]) {
		struct epoll_event event = {.events = wanted[conn->state], .data.ptr = conn};

		conn->events = event.events;
		if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->source.fd, &event))
			die("epoll_ctl");
	}
}

/* An error or hang-up is reported even while we watch for nothing: the wait is over. */
static void conn_event(struct conn *conn, uint32_t events)
{
	if (conn->state == STATE_WAITING && (events & (EPOLLERR | EPOLLHUP)))
		conn_close(conn);
	conn_run(conn);
}

/* Answer those whose time has come; returns the ms until the next, or -1. */
static int finish_waiting(void)
{
	uint64_t now = net_now_us(), first = UINT64_MAX;
	struct conn *conn, *next;

	for (conn = waiting; conn; conn = next) {
		next = conn->next;
		if (conn->due_us <= now) {
			conn_stop_waiting(conn);
			answer_name(conn, 0);
			conn_run(conn);
		} else if (conn->due_us < first) {
			first = conn->due_us;
		}
	}
	return first == UINT64_MAX ? -1 : (int)((first - now) / 1000 + 1);
}

/* --- listeners ----------------------------------------------------------------------------- */

static void accept_all(const struct source *listener)
{
	int fd, one = 1;

	for (;;) {
		struct conn *conn;

		fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
			return;
		if (fd < 0)
			die("accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		conn = calloc(1, sizeof(*conn));
		if (!conn)
			die("calloc");
		conn->source = (struct source){KIND_CONN, fd};
		conn->events = EPOLLIN;
		watch(&conn->source, EPOLLIN);
		conn_run(conn);
	}
}

/*
 * The kernel tells the address that was asked in the very form in which it takes the address to
 * answer from. The interface is left to routing.
 */
static void answer_from_asked(struct msghdr *message)
{
	struct cmsghdr *control;

	for (control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
		if (control->cmsg_level == IPPROTO_IP) {
			struct in_pktinfo *info = (void *)CMSG_DATA(control);

			info->ipi_ifindex = 0;
			info->ipi_spec_dst = info->ipi_addr;
		} else {
			struct in6_pktinfo *info = (void *)CMSG_DATA(control);

			if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
				info->ipi6_ifindex = 0;
		}
	}
}

static void answer_datagrams(const struct source *listener)
{
	static char payload[65536], reply[sizeof(payload) + NET_NAME_LEN + NET_TEXT_LEN + 2];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	char client[NET_TEXT_LEN];
	union net_address from;
	ssize_t len;

	for (;;) {
		struct iovec data = {payload, sizeof(payload)};
		struct msghdr message = {.msg_name = &from,
					 .msg_namelen = sizeof(from),
					 .msg_iov = &data,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};

		len = recvmsg(listener->fd, &message, 0);
		if (len < 0)
			return;
		data.iov_base = reply;
		data.iov_len =
			snprintf(reply, sizeof(reply), "%s %s ", name, net_format(&from, client));
		memcpy(reply + data.iov_len, payload, len);
		data.iov_len += len;
		answer_from_asked(&message);
		message.msg_flags = 0;
		if (sendmsg(listener->fd, &message, 0) >= 0)
			served_udp++;
	}
}

static int open_socket(const union net_address *address, int type)
{
	int family = address->any.sa_family, fd, one = 1, room = 8 << 20;

	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (type == SOCK_DGRAM) {
		/* a few datagrams of 64 KiB fill the default; a drop here would look like ours */
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	}
	if (type == SOCK_DGRAM && family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	if (type == SOCK_DGRAM && family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	if (bind(fd, &address->any, net_len(address)) ||
	    (type == SOCK_STREAM && listen(fd, 65535))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* Returns how many there are. */
static int add_listeners(const char *text, int type)
{
	union net_address address;
	char shown[NET_TEXT_LEN];
	uint16_t first, last;

	if (net_parse_range(text, &address, &last)) {
		fprintf(stderr,
			"backend: got '%s', wanted ADDRESS:PORT, [ADDRESS]:PORT or "
			"ADDRESS:PORT-PORT\n",
			text);
		exit(2);
	}
	first = net_port(&address);
	for (unsigned int port = first; port <= last; port++) {
		struct source *source = malloc(sizeof(*source));

		if (!source)
			die("malloc");
		net_set_port(&address, port);
		source->kind = type == SOCK_STREAM ? KIND_LISTENER : KIND_UDP;
		source->fd = open_socket(&address, type);
		if (source->fd < 0) {
			errno = -source->fd;
			die(net_format(&address, shown));
		}
		watch(source, EPOLLIN);
	}
	return last - first + 1;
}

static void serve(void)
{
	struct epoll_event events[256];
	int count, timeout = -1;

	for (;;) {
		count = epoll_wait(epoll_fd, events, 256, timeout);
		for (int i = 0; i < count; i++) {
			struct source *source = events[i].data.ptr;

			switch (source->kind) {
			case KIND_SIGNAL:
				return;
			case KIND_LISTENER:
				accept_all(source);
				break;
			case KIND_UDP:
				answer_datagrams(source);
				break;
			case KIND_CONN:
				conn_event((struct conn *)source, events[i].events);
				break;
			}
		}
		timeout = finish_waiting();
	}
}

static void usage(void)
{
	fprintf(stderr, "usage: backend [--name NAME] [--tcp ADDRESS:PORT[-PORT]]... "
			"[--udp ADDRESS:PORT[-PORT]]...\n");
	exit(2);
}

static int signal_descriptor(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"name", required_argument, NULL, 'n'},
		{"tcp", required_argument, NULL, 't'},
		{"udp", required_argument, NULL, 'u'},
		{},
	};
	struct source signals = {KIND_SIGNAL, signal_descriptor()};
	int option, listeners = 0;

	net_raise_files();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || signals.fd < 0)
		die("cannot start");
	watch(&signals, EPOLLIN);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n' && *optarg && strlen(optarg) < NET_NAME_LEN)
			name = optarg;
		else if (option == 't')
			listeners += add_listeners(optarg, SOCK_STREAM);
		else if (option == 'u')
			listeners += add_listeners(optarg, SOCK_DGRAM);
		else
			usage();
	}
	if (!listeners || optind != argc)
		usage();
	puts("ready");
	fflush(stdout);
	serve();
	printf("served tcp %llu udp %llu\n", (unsigned long long)served_tcp,
	       (unsigned long long)served_udp);
	return 0;
}
