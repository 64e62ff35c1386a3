/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Outgoing IPv4 and IPv6 connections, as they are attempted. The address is always the kernel's copy: another
 * thread cannot change it between the check and the use.
 */
#ifndef QUANTUMOS_CONNECT_H
#define QUANTUMOS_CONNECT_H

#include "socket.h"

#define IPPROTO_TCP_NUMBER 6
#define IPPROTO_MPTCP_NUMBER 262
#define TCP_SYN_SENT 2

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} connect_events SEC(".maps");

static __always_inline void report_connect(const struct socket_address *address, __u32 protocol)
{
	struct connect_event *event;

	if (is_own() || is_ignored(EVENT_CONNECT))
		return;
	event = bpf_ringbuf_reserve(&connect_events, sizeof(*event), 0);
	if (!event) {
		count(&lost, EVENT_CONNECT);
		return;
	}
	fill_header(&event->header, EVENT_CONNECT);
	event->family = address->family;
	event->protocol = protocol;
	event->port = __builtin_bswap16(address->port);
	event->reserved = 0;
	if (address->family == AF_INET) {
		__builtin_memset(event->address, 0, sizeof(event->address));
		__builtin_memcpy(event->address, &address->ipv4, sizeof(address->ipv4));
	} else {
		__builtin_memcpy(event->address, address->ipv6, sizeof(address->ipv6));
	}
	bpf_ringbuf_submit(event, waking());
}

/* The peer that the socket itself has. */
static __always_inline void report_peer(const struct sock *sk, __u32 protocol)
{
	struct socket_address address = {};

	/* AF_UNSPEC dissolves an association. */
	if (!read_address(sk, true, &address) || (!address.port && !address.ipv4))
		return;
	report_connect(&address, protocol);
}

/* What the security hooks get: an address that the kernel has already copied. */
static __always_inline int check_connect(struct socket *sock, const void *from, int length)
{
	struct socket_address address = {};

	count(&seen, EVENT_CONNECT);
	if (!copy_address(&address, from, length))
		return 0;
	report_connect(&address, BPF_CORE_READ(sock, sk, sk_protocol));
	return 0;
}

SEC("lsm/socket_connect")
int BPF_PROG(connect_lsm, struct socket *sock, void *address, int length)
{
	return check_connect(sock, address, length);
}

SEC("fentry/security_socket_connect")
int BPF_PROG(connect_function, struct socket *sock, void *address, int length)
{
	return check_connect(sock, address, length);
}

/* TCP only: the rest comes from syscall_exit. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(connect_state, const struct sock *sk, int old_state, int new_state)
{
	if (new_state != TCP_SYN_SENT)
		return 0;
	count(&seen, EVENT_CONNECT);
	report_peer(sk, BPF_CORE_READ(sk, sk_protocol));
	return 0;
}

#endif
