/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The end of system calls: where no security hook works, opens and connections without a state machine are seen
 * here. It looks at the file or socket that the call left behind, not at its arguments.
 */
#ifndef QUANTUMOS_SYSCALL_H
#define QUANTUMOS_SYSCALL_H

#include "connect.h"
#include "open.h"

enum call {
	CALL_OTHER,
	CALL_OPEN,
	CALL_CONNECT,
};

#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 2

static __always_inline enum call which_call(struct pt_regs *regs)
{
	unsigned long number = BPF_CORE_READ(regs, orig_ax);
	struct task_struct *task;

	/* Most calls are none of these, whichever table their number is from. */
	switch (number) {
	case 2:
	case 5:
	case 8:
	case 42:
	case 85:
	case 257:
	case 295:
	case 304:
	case 342:
	case 362:
	case 437:
		break;
	default:
		return CALL_OTHER;
	}
	task = (void *)bpf_get_current_task();
	if (BPF_CORE_READ(task, thread_info.status) & TS_COMPAT) {
		switch (number) {
		case 5: /* open */
		case 8: /* creat */
		case 295: /* openat */
		case 342: /* open_by_handle_at */
		case 437: /* openat2 */
			return CALL_OPEN;
		case 362: /* connect; the older socketcall() is not followed */
			return CALL_CONNECT;
		}
		return CALL_OTHER;
	}
	switch (number) {
	case 2: /* open */
	case 85: /* creat */
	case 257: /* openat */
	case 304: /* open_by_handle_at */
	case 437: /* openat2 */
		return CALL_OPEN;
	case 42: /* connect */
		return CALL_CONNECT;
	}
	return CALL_OTHER;
}

static __always_inline __u32 first_argument(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, di);
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline enum call which_call(struct pt_regs *regs)
{
	switch (BPF_CORE_READ(regs, syscallno)) {
	case 56: /* openat */
	case 265: /* open_by_handle_at */
	case 437: /* openat2 */
		return CALL_OPEN;
	case 203: /* connect */
		return CALL_CONNECT;
	}
	return CALL_OTHER;
}

static __always_inline __u32 first_argument(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, orig_x0);
}
#endif

/* The open file that a descriptor of the current task stands for. */
static __always_inline struct file *file_of(__u32 descriptor)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = 0;

	if (descriptor >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
	return file;
}

#define TYPE_OF_MODE 0170000
#define TYPE_SOCKET 0140000

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long result)
{
	struct config *config;
	struct file *file;
	enum call call;

	if (result < 0)
		return 0;
	call = which_call(regs);
	if (call == CALL_OTHER)
		return 0;
	config = get_config();
	if (!config)
		return 0;
	if (call == CALL_OPEN && (config->syscalls & SYSCALL_OPENS)) {
		__u32 which = PATH_BUFFER_SYSCALL;
		struct open_scratch *scratch = bpf_map_lookup_elem(&open_scratch, &which);

		count(&seen, EVENT_OPEN);
		file = file_of(result);
		if (file && scratch)
			report_open(file, scratch, which);
	} else if (call == CALL_CONNECT && (config->syscalls & SYSCALL_CONNECTS)) {
		struct socket *socket;
		__u32 protocol;

		file = file_of(first_argument(regs));
		if (!file ||
		    (BPF_CORE_READ(file, f_inode, i_mode) & TYPE_OF_MODE) != TYPE_SOCKET)
			return 0;
		socket = BPF_CORE_READ(file, private_data);
		protocol = BPF_CORE_READ(socket, sk, sk_protocol);
		/* These two were seen when they changed their state. */
		if (protocol == IPPROTO_TCP_NUMBER || protocol == IPPROTO_MPTCP_NUMBER)
			return 0;
		report_peer(BPF_CORE_READ(socket, sk), protocol);
	}
	return 0;
}

#endif
