/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * netlink.c - the rtnetlink socket: sends requests, reads all of their answers, and keeps the
 * kernel's explanation of a failure; and the sysctls, which netlink does not reach.
 *
 * Answers are always read to the end, also after a failure: what is left unread would be taken
 * for the answer to the next request.
 */
#include "datapath/netlink.h"
#include "datapath/netlink_socket.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DUMP_TRIES 32

static void set_option(struct netlink *netlink, int option)
{
	int on = 1;

	/* Both are there since 4.20; without them there is less filtering and less explanation. */
	mnl_socket_setsockopt(netlink->socket, option, &on, sizeof(on));
}

int netlink_open(struct netlink **ret_netlink, struct err *err)
{
	struct netlink *netlink = calloc(1, sizeof(*netlink));
	int rc;

	if (!netlink)
		return err_set(err, -ENOMEM, "netlink: %s", strerror(ENOMEM));
	netlink->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!netlink->socket || mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID)) {
		rc = -errno;
		netlink_close(netlink);
		return err_set(err, rc, "netlink: %s", strerror(-rc));
	}
	set_option(netlink, NETLINK_EXT_ACK);
	set_option(netlink, NETLINK_GET_STRICT_CHK);
	*ret_netlink = netlink;
	return 0;
}

void netlink_close(struct netlink *netlink)
{
	if (!netlink)
		return;
	if (netlink->socket)
		mnl_socket_close(netlink->socket);
	free(netlink);
}

void *netlink_list_add(struct netlink_list *list)
{
	size_t capacity = list->capacity ? list->capacity * 2 : 64;
	void *items;

	if (list->count == list->capacity) {
		items = reallocarray(list->items, capacity, list->size);
		if (!items)
			return NULL;
		list->items = items;
		list->capacity = capacity;
	}
	items = (char *)list->items + list->count++ * list->size;
	return memset(items, 0, list->size);
}

struct nlmsghdr *netlink_append(struct netlink *netlink, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *before = netlink->message;
	char *place = netlink->request;

	if (before)
		place = (char *)before + MNL_ALIGN(before->nlmsg_len);
	netlink->message = mnl_nlmsg_put_header(place);
	netlink->message->nlmsg_type = type;
	netlink->message->nlmsg_flags = NLM_F_REQUEST | flags;
	netlink->message->nlmsg_seq = ++netlink->last;
	return netlink->message;
}

struct nlmsghdr *netlink_begin(struct netlink *netlink, uint16_t type, uint16_t flags)
{
	netlink->message = NULL;
	netlink->first = netlink->last + 1;
	netlink->tolerated = 0;
	return netlink_append(netlink, type, flags);
}

static int send_request(struct netlink *netlink)
{
	struct nlmsghdr *last = netlink->message;
	size_t size = (char *)last + MNL_ALIGN(last->nlmsg_len) - netlink->request;

	/* A failure is always answered, a success only when asked: so asking once is enough. */
	if ((last->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		last->nlmsg_flags |= NLM_F_ACK;
	while (mnl_socket_sendto(netlink->socket, netlink->request, size) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* The kernel's words about a failure (NETLINK_EXT_ACK), or NULL. */
static const char *explanation(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	size_t header = sizeof(*error);
	const char *text;

	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(message->nlmsg_flags & NLM_F_CAPPED))
		header += mnl_nlmsg_get_payload_len(&error->msg);
	text = netlink_attr(message, header, NLMSGERR_ATTR_MSG, 1);
	return text;
}

static void note_failure(struct netlink *netlink, const struct nlmsghdr *message, int error)
{
	const char *text = explanation(message);

	netlink->failed = message->nlmsg_seq - netlink->first;
	if (text)
		snprintf(netlink->cause, sizeof(netlink->cause), "%s (%s)", strerror(-error), text);
}

/* What an answer says: the error in it, or 0. Sets `ret_is_last` on the end of the request. */
static int read_message(struct netlink *netlink, const struct nlmsghdr *message, netlink_each each,
			void *arg, bool *ret_is_last)
{
	int error = 0;

	if (message->nlmsg_seq - netlink->first > netlink->last - netlink->first)
		return 0; /* of a request before this one */
	switch (message->nlmsg_type) {
	case NLMSG_NOOP:
		break;
	case NLMSG_ERROR:
	case NLMSG_DONE: /* of a dump; carries an error, too */
		if (mnl_nlmsg_get_payload_len(message) >= sizeof(int))
			error = *(const int *)mnl_nlmsg_get_payload(message);
		*ret_is_last |= message->nlmsg_seq == netlink->last;
		break;
	default:
		error = each ? each(message, arg) : 0;
	}
	return -error == netlink->tolerated ? 0 : error;
}

static int receive_answers(struct netlink *netlink, netlink_each each, void *arg)
{
	const struct nlmsghdr *message;
	bool is_last = false;
	int first_error = 0;
	int error, len;

	while (!is_last) {
		len = mnl_socket_recvfrom(netlink->socket, netlink->answer,
					  sizeof(netlink->answer));
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		for (message = (void *)netlink->answer; mnl_nlmsg_ok(message, len);
		     message = mnl_nlmsg_next(message, &len)) {
			error = read_message(netlink, message, each, arg, &is_last);
			if (error && !first_error) {
				first_error = error;
				if (message->nlmsg_type == NLMSG_ERROR)
					note_failure(netlink, message, error);
			}
			if (message->nlmsg_flags & NLM_F_DUMP_INTR && !first_error)
				first_error = -EINTR;
		}
	}
	return first_error;
}

int netlink_run(struct netlink *netlink, netlink_each each, void *arg)
{
	int rc;

	netlink->cause[0] = '\0';
	netlink->failed = 0;
	rc = send_request(netlink);
	if (rc)
		return rc;
	return receive_answers(netlink, each, arg);
}

int netlink_dump(struct netlink *netlink, netlink_each each, struct netlink_list *list)
{
	size_t before = list->count;
	int rc = -EINTR;
	int i;

	for (i = 0; i < DUMP_TRIES && rc == -EINTR; i++) {
		list->count = before;
		netlink->first = ++netlink->last;
		netlink->message->nlmsg_seq = netlink->last;
		rc = netlink_run(netlink, each, list);
	}
	if (rc == -EINTR)
		snprintf(netlink->cause, sizeof(netlink->cause), "kept changing while it was read");
	return rc;
}

const char *netlink_cause(struct netlink *netlink, int error)
{
	return netlink->cause[0] ? netlink->cause : strerror(-error);
}

const void *netlink_attr(const struct nlmsghdr *message, size_t header, uint16_t type, size_t len)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, message, header)
	{
		if (mnl_attr_get_type(attr) == type && mnl_attr_get_payload_len(attr) >= len)
			return mnl_attr_get_payload(attr);
	}
	return NULL;
}

uint32_t netlink_attr_u32(const struct nlmsghdr *message, size_t header, uint16_t type)
{
	const uint32_t *value = netlink_attr(message, header, type, sizeof(*value));

	return value ? *value : 0;
}

static int open_sysctl(const char *path, int flags, struct err *err)
{
	char text[256];
	int fd, rc;

	if ((size_t)snprintf(text, sizeof(text), "/proc/sys/net/%s", path) >= sizeof(text))
		return err_set(err, -ENAMETOOLONG, "%s: %s", text, strerror(ENAMETOOLONG));
	fd = open(text, flags | O_CLOEXEC);
	rc = -errno;
	return fd < 0 ? err_set(err, rc, "%s: %s", text, strerror(-rc)) : fd;
}

int netlink_sysctl_set(const char *path, const char *value, struct err *err)
{
	int fd = open_sysctl(path, O_WRONLY, err);
	int rc = 0;

	if (fd < 0)
		return fd;
	if (write(fd, value, strlen(value)) < 0)
		rc = -errno;
	close(fd);
	if (rc)
		err_set(err, rc, "/proc/sys/net/%s: %s: %s", path, value, strerror(-rc));
	return rc;
}

int netlink_sysctl_get(const char *path, long *ret_value, struct err *err)
{
	int fd = open_sysctl(path, O_RDONLY, err);
	char text[64], *end;
	ssize_t len;
	long value;
	int rc;

	if (fd < 0)
		return fd;
	len = read(fd, text, sizeof(text) - 1);
	rc = len < 0 ? -errno : 0;
	close(fd);
	if (rc)
		return err_set(err, rc, "/proc/sys/net/%s: %s", path, strerror(-rc));
	text[len] = '\0';
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || (*end && *end != '\n'))
		return err_set(err, -EINVAL, "/proc/sys/net/%s: got \"%s\", wanted a number", path,
			       text);
	*ret_value = value;
	return 0;
}
