/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * netlink_socket.h - requests and answers of rtnetlink: for netlink*.c only.
 *
 * A request is built in the socket's own buffer, one or several messages to a send, and run:
 *
 *	request = netlink_begin(netlink, RTM_NEWLINK, NLM_F_CREATE);
 *	...mnl_attr_put...
 *	rc = netlink_run(netlink, NULL, NULL);
 *	if (rc)
 *		return err_set(err, rc, "link %s: %s", name, netlink_cause(netlink, rc));
 */
#ifndef WEIR_NETLINK_SOCKET_H
#define WEIR_NETLINK_SOCKET_H

#include <libmnl/libmnl.h>

#include <stddef.h>
#include <stdint.h>

/* Room for the longest message that we build; a batch must leave as much free. */
#define NETLINK_MESSAGE_MAX 512

struct netlink {
	struct mnl_socket *socket;
	uint32_t first, last; /* sequence numbers of the request */
	struct nlmsghdr *message; /* the last one begun */
	int tolerated; /* an error that is none for this request (a positive errno), or 0 */
	uint32_t failed; /* index in the request of the message that failed first */
	char cause[192];
	char request[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	char answer[65536]
		__attribute__((aligned(NLMSG_ALIGNTO))); /* the kernel sends up to 32 KiB */
};

/* A growing array of elements of `size` bytes. */
struct netlink_list {
	void *items; /* free(3) */
	size_t count, capacity, size;
};
void *netlink_list_add(struct netlink_list *list); /* zeroed; NULL without memory */

/* Start a request, forgetting what was built before; or one more message in the same send. */
struct nlmsghdr *netlink_begin(struct netlink *netlink, uint16_t type, uint16_t flags);
struct nlmsghdr *netlink_append(struct netlink *netlink, uint16_t type, uint16_t flags);

/*
 * Send what was built and read all answers. `each` (may be NULL) gets every data message; the
 * first failure, its or the kernel's, is returned when all is read. -EINTR: a dump that is
 * inconsistent because something changed meanwhile.
 */
typedef int (*netlink_each)(const struct nlmsghdr *message, void *arg);
int netlink_run(struct netlink *netlink, netlink_each each, void *arg);

/*
 * Run a dump; `each` gets `list` as its `arg` and adds to it. An inconsistent one is run again,
 * without what it had added. All that a request has built is one message.
 */
int netlink_dump(struct netlink *netlink, netlink_each each, struct netlink_list *list);

/* Why the last run failed: strerror, and the kernel's own words where it has some. */
const char *netlink_cause(struct netlink *netlink, int error);

/* Attribute behind a header of `header` bytes, if it has at least `len` bytes; or NULL. */
const void *netlink_attr(const struct nlmsghdr *message, size_t header, uint16_t type, size_t len);
uint32_t netlink_attr_u32(const struct nlmsghdr *message, size_t header, uint16_t type); /* or 0 */

#endif
