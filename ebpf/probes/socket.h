/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Sockets beside connections: those that wait for peers and what they accept, datagrams to new peers, and sockets
 * that see or make raw packets. Of the families only IPv4, IPv6 and packets are looked at.
 */
#ifndef QUANTUMOS_SOCKET_H
#define QUANTUMOS_SOCKET_H

#include "action.h"

#define AF_PACKET 17
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_TYPE 15

/* Network order, at the offsets of struct sockaddr_in and struct sockaddr_in6. */
struct socket_address {
	__u16 family;
	__u16 port;
	__u32 ipv4; /* IPv6: flow label */
	__u8 ipv6[16];
};

/* Peers that a process has sent datagrams to. */
struct peer_key {
	__u64 start_ns;
	__u32 pid;
	__u32 reserved;
	struct socket_address address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct peer_key);
	__type(value, __u8);
} datagram_peers SEC(".maps");

static __always_inline bool is_internet(__u32 family)
{
	return family == AF_INET || family == AF_INET6;
}

static __always_inline void fill_address(struct action_event *event,
					 const struct socket_address *address, __u32 protocol)
{
	event->family = address->family;
	event->port = __builtin_bswap16(address->port);
	event->protocol = protocol;
	if (address->family == AF_INET)
		__builtin_memcpy(event->address, &address->ipv4, sizeof(address->ipv4));
	else
		__builtin_memcpy(event->address, address->ipv6, sizeof(address->ipv6));
}

/* The address that a socket is bound to, or its peer's. */
static __always_inline bool read_address(const struct sock *sk, bool peer,
					 struct socket_address *address)
{
	address->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (peer)
		address->port = BPF_CORE_READ(sk, __sk_common.skc_dport);
	else
		address->port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_num));
	if (address->family == AF_INET) {
		if (peer)
			address->ipv4 = BPF_CORE_READ(sk, __sk_common.skc_daddr);
		else
			address->ipv4 = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		return true;
	}
	if (address->family != AF_INET6 || !bpf_core_field_exists(sk->__sk_common.skc_v6_daddr))
		return false;
	if (peer)
		bpf_probe_read_kernel(address->ipv6, sizeof(address->ipv6),
				      __builtin_preserve_access_index(
					      &sk->__sk_common.skc_v6_daddr));
	else
		bpf_probe_read_kernel(address->ipv6, sizeof(address->ipv6),
				      __builtin_preserve_access_index(
					      &sk->__sk_common.skc_v6_rcv_saddr));
	return true;
}

static __always_inline int report_socket(__u32 action, const struct sock *sk,
					 const struct socket_address *address, __u64 argument)
{
	struct scratch *scratch = begin_action(action);

	if (!scratch)
		return 0;
	scratch->action.event.arguments[0] = argument;
	fill_address(&scratch->action.event, address, BPF_CORE_READ(sk, sk_protocol));
	submit_action(scratch, EVENT_SOCKET);
	return 0;
}

/* An address in the kernel's memory. */
static __always_inline bool copy_address(struct socket_address *address, const void *from,
					 int length)
{
	if (bpf_probe_read_kernel(&address->family, sizeof(address->family), from))
		return false;
	if (address->family == AF_INET && length >= 8)
		return !bpf_probe_read_kernel(address, 8, from);
	if (address->family == AF_INET6 && length >= 24)
		return !bpf_probe_read_kernel(address, 24, from);
	return false;
}

static __always_inline int see_bind(__u64 *ctx)
{
	const struct socket *socket = (const void *)ctx[0];
	struct socket_address address = {};

	if (!copy_address(&address, (const void *)ctx[1], ctx[2]))
		return 0;
	return report_socket(ACTION_BIND, BPF_CORE_READ(socket, sk), &address, 0);
}

HOOK(bind, socket_bind)

/* Argument: the backlog. */
static __always_inline int see_listen(__u64 *ctx)
{
	const struct socket *socket = (const void *)ctx[0];
	const struct sock *sk = BPF_CORE_READ(socket, sk);
	struct socket_address address = {};

	if (!read_address(sk, false, &address))
		return 0;
	return report_socket(ACTION_LISTEN, sk, &address, (__u32)ctx[1]);
}

HOOK(listen, socket_listen)

/* A connection gets its socket in the process that accepts it. Argument: our own port. */
static __always_inline int see_accept(__u64 *ctx)
{
	const struct sock *sk = (const void *)ctx[0];
	struct socket_address address = {};

	if (!read_address(sk, true, &address) || !address.port)
		return 0;
	return report_socket(ACTION_ACCEPT, sk, &address,
			     BPF_CORE_READ(sk, __sk_common.skc_num));
}

HOOK(accept, sock_graft)

/* Whether this process sends there for the first time, as far as is remembered. */
static __always_inline bool is_new_peer(const struct socket_address *address)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct peer_key key = {};
	__u8 yes = 1;

	key.pid = bpf_get_current_pid_tgid() >> 32;
	key.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	key.address = *address;
	if (address->family == AF_INET6)
		key.address.ipv4 = 0;
	if (bpf_map_lookup_elem(&datagram_peers, &key))
		return false;
	bpf_map_update_elem(&datagram_peers, &key, &yes, BPF_ANY);
	return true;
}

static __always_inline int see_send(__u64 *ctx)
{
	const struct socket *socket = (const void *)ctx[0];
	const struct msghdr *message = (const void *)ctx[1];
	const void *name = BPF_CORE_READ(message, msg_name);
	struct socket_address address = {};
	const struct sock *sk;

	if (!name)
		return 0;
	sk = BPF_CORE_READ(socket, sk);
	if (!is_internet(BPF_CORE_READ(sk, __sk_common.skc_family)) ||
	    BPF_CORE_READ(sk, sk_type) != SOCK_DGRAM)
		return 0;
	if (!copy_address(&address, name, BPF_CORE_READ(message, msg_namelen)) ||
	    !is_new_peer(&address))
		return 0;
	return report_socket(ACTION_SEND, sk, &address, 0);
}

HOOK(send, socket_sendmsg)

/* Arguments: family, type, protocol. */
static __always_inline int report_raw(__u32 family, __u32 type, __u32 protocol)
{
	struct scratch *scratch;

	type &= SOCK_TYPE;
	if (family != AF_PACKET && !(is_internet(family) && type == SOCK_RAW))
		return 0;
	scratch = begin_action(ACTION_RAW_SOCKET);
	if (!scratch)
		return 0;
	scratch->action.event.arguments[0] = family;
	scratch->action.event.arguments[1] = type;
	scratch->action.event.arguments[2] = protocol;
	submit_action(scratch, EVENT_SOCKET);
	return 0;
}

static __always_inline int see_raw_socket(__u64 *ctx)
{
	/* The last argument is set for sockets of the kernel's own. */
	return (int)ctx[3] ? 0 : report_raw(ctx[0], ctx[1], ctx[2]);
}

HOOK(raw_socket, socket_create)

#endif
