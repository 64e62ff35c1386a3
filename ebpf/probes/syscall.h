/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The end of system calls, for what no security hook sees here. A table says for each call which of its arguments
 * are what. Where a call leaves a file or a socket behind, that is looked at; paths are the caller's strings,
 * completed by the directory that they are relative to.
 */
#ifndef QUANTUMOS_SYSCALL_H
#define QUANTUMOS_SYSCALL_H

#include "connect.h"
#include "open.h"
#include "socket.h"
#include "surface.h"

#define AT_FDCWD -100
#define F_DUPFD 0
#define F_DUPFD_CLOEXEC 1030
#define TYPE_OF_MODE 0170000
#define TYPE_SOCKET 0140000

/* What to do for each call, by its number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CALLS);
	__type(key, __u32);
	__type(value, struct calls);
} calls SEC(".maps");

/* The arguments of the call, one more than there can be: CALL_ABSENT is the last but one. */
struct arguments {
	__u64 of[8];
};

/* Read directly: every call of every program comes this way. */
#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 2

static __always_inline __u32 number_of(const struct pt_regs *regs)
{
	return regs->orig_ax;
}

static __always_inline bool is_compat(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

static __always_inline void read_arguments(const struct pt_regs *regs, bool compat,
					   struct arguments *arguments)
{
	if (compat) {
		arguments->of[0] = (__u32)BPF_CORE_READ(regs, bx);
		arguments->of[1] = (__u32)BPF_CORE_READ(regs, cx);
		arguments->of[2] = (__u32)BPF_CORE_READ(regs, dx);
		arguments->of[3] = (__u32)BPF_CORE_READ(regs, si);
		arguments->of[4] = (__u32)BPF_CORE_READ(regs, di);
		arguments->of[5] = (__u32)BPF_CORE_READ(regs, bp);
		return;
	}
	arguments->of[0] = BPF_CORE_READ(regs, di);
	arguments->of[1] = BPF_CORE_READ(regs, si);
	arguments->of[2] = BPF_CORE_READ(regs, dx);
	arguments->of[3] = BPF_CORE_READ(regs, r10);
	arguments->of[4] = BPF_CORE_READ(regs, r8);
	arguments->of[5] = BPF_CORE_READ(regs, r9);
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline __u32 number_of(const struct pt_regs *regs)
{
	return regs->syscallno;
}

/* 32-bit programs are not looked at. */
static __always_inline bool is_compat(void)
{
	return false;
}

static __always_inline void read_arguments(const struct pt_regs *regs, bool compat,
					   struct arguments *arguments)
{
	arguments->of[0] = BPF_CORE_READ(regs, orig_x0);
	arguments->of[1] = BPF_CORE_READ(regs, regs[1]);
	arguments->of[2] = BPF_CORE_READ(regs, regs[2]);
	arguments->of[3] = BPF_CORE_READ(regs, regs[3]);
	arguments->of[4] = BPF_CORE_READ(regs, regs[4]);
	arguments->of[5] = BPF_CORE_READ(regs, regs[5]);
}
#endif

static __always_inline __u64 argument_of(const struct arguments *arguments, __u8 place)
{
	/* Not by an index that varies: on the stack, the verifier wants to know which. */
	switch (place) {
	case 0:
		return arguments->of[0];
	case 1:
		return arguments->of[1];
	case 2:
		return arguments->of[2];
	case 3:
		return arguments->of[3];
	case 4:
		return arguments->of[4];
	case 5:
		return arguments->of[5];
	}
	return 0;
}

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

static __always_inline const struct sock *socket_of(__u32 descriptor)
{
	struct file *file = file_of(descriptor);
	struct socket *socket;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & TYPE_OF_MODE) != TYPE_SOCKET)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

/*
 * Writes the caller's path at strings[at], behind the directory that it is relative to. A global function, like
 * write_path(), for the verifier's sake. Returns its length.
 */
__noinline __u32 write_callers_path(__u32 slot, __u32 at, int directory, __u64 address)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct task_struct *task = (void *)bpf_get_current_task();
	const void *mnt, *dentry;
	__u32 start, length;
	char first = 0;
	long got;

	if (!scratch)
		return 0;
	BOUND(at, 2 * PATH_LIMIT - 1);
	start = at;
	bpf_probe_read_user(&first, sizeof(first), (const void *)address);
	if (first != '/') {
		if (directory == AT_FDCWD) {
			struct fs_struct *fs = BPF_CORE_READ(task, fs);

			mnt = BPF_CORE_READ(fs, pwd.mnt);
			dentry = BPF_CORE_READ(fs, pwd.dentry);
		} else {
			struct file *file = file_of(directory);

			mnt = BPF_CORE_READ(file, f_path.mnt);
			dentry = BPF_CORE_READ(file, f_path.dentry);
		}
		length = append_dentry(scratch, at, mnt, dentry, FLAG_PATH_TRUNCATED, 0);
		BOUND(length, PATH_LIMIT - 1);
		at += length;
		BOUND(at, 4 * PATH_LIMIT - 1);
		scratch->action.strings[at] = '/';
		at++;
	}
	BOUND(at, 4 * PATH_LIMIT - 1);
	if (at > 3 * PATH_LIMIT)
		return 0;
	got = bpf_probe_read_user_str(&scratch->action.strings[at], PATH_LIMIT, (const void *)address);
	if (got > 1)
		at += (got - 1) & (PATH_LIMIT - 1);
	return at - start;
}

static __always_inline int take_paths(const struct call *call, const struct arguments *arguments)
{
	__u32 action = call->action, class = class_of(action), slot, length = 0;
	struct config *config = get_config();
	struct action_event *event;
	struct scratch *scratch;
	long got;

	if (!config)
		return 0;
	if (class == EVENT_FILE && !(config->everywhere & (1U << ((action - ACTION_UNLINK) & 31)))) {
		/* Whose path the watch list would have to be asked about is not known for sure. */
		count(&filtered, class);
		return 0;
	}
	scratch = begin_action(action);
	if (!scratch)
		return 0;
	event = &scratch->action.event;
	slot = scratch->which - PATH_BUFFER_SCRATCH;
	event->header.flags |= FLAG_CALLERS_STRINGS;
	event->arguments[0] = argument_of(arguments, call->argument);
	event->arguments[1] = argument_of(arguments, call->argument2);
	if (call->first != CALL_ABSENT) {
		int directory = AT_FDCWD;

		if (call->first_directory != CALL_ABSENT)
			directory = argument_of(arguments, call->first_directory);
		length = write_callers_path(slot, 0, directory,
					    argument_of(arguments, call->first));
		BOUND(length, 2 * PATH_LIMIT - 1);
		event->first_len = length;
	}
	if (call->second != CALL_ABSENT) {
		__u64 address = argument_of(arguments, call->second);

		if (action == ACTION_SYMLINK || action == ACTION_MOUNT) {
			/* No path of ours: what was written, as it was written. */
			BOUND(length, 2 * PATH_LIMIT - 1);
			got = bpf_probe_read_user_str(&scratch->action.strings[length], TEXT_LIMIT,
						      (const void *)address);
			event->second_len = got > 0 ? (got - 1) & (TEXT_LIMIT - 1) : 0;
		} else {
			int directory = AT_FDCWD;

			if (call->second_directory != CALL_ABSENT)
				directory = argument_of(arguments, call->second_directory);
			event->second_len = write_callers_path(slot, length, directory, address);
		}
	}
	if (action == ACTION_MOUNT)
		bpf_probe_read_user_str(event->label, sizeof(event->label),
					(const void *)arguments->of[2]);
	submit_action(scratch, class);
	return 0;
}

/* The path of an open file: the call changed it by its descriptor. */
static __always_inline int take_file(const struct call *call, const struct arguments *arguments)
{
	struct file *file = file_of(argument_of(arguments, call->first));
	struct change change = {};

	if (!file)
		return 0;
	change.action = call->action;
	change.mnt = BPF_CORE_READ(file, f_path.mnt);
	change.dentry = BPF_CORE_READ(file, f_path.dentry);
	change.argument = argument_of(arguments, call->argument);
	change.argument2 = argument_of(arguments, call->argument2);
	return report_change(&change);
}

static __always_inline int take_send(const struct sock *sk, __u64 name)
{
	struct socket_address address = {};

	if (!name || !sk || BPF_CORE_READ(sk, sk_type) != SOCK_DGRAM)
		return 0;
	if (bpf_probe_read_user(&address.family, sizeof(address.family), (const void *)name))
		return 0;
	if (!is_internet(address.family))
		return 0;
	if (address.family == AF_INET)
		bpf_probe_read_user(&address, 8, (const void *)name);
	else
		bpf_probe_read_user(&address, 24, (const void *)name);
	if (!is_new_peer(&address))
		return 0;
	return report_socket(ACTION_SEND, sk, &address, 0);
}

/* A socket with a peer, or one that could have one, became a standard stream. Arguments: which, and which it was. */
static __always_inline int take_stdio(const struct arguments *arguments, __u64 result, bool fcntl)
{
	struct socket_address address = {};
	const struct sock *sk;

	if (result > 2)
		return 0;
	if (fcntl && arguments->of[1] != F_DUPFD && arguments->of[1] != F_DUPFD_CLOEXEC)
		return 0;
	sk = socket_of(result);
	if (!sk || !read_address(sk, true, &address))
		return 0;
	return report_socket(ACTION_DUP, sk, &address, result);
}

static __always_inline bool is_worth(__u32 action, const struct arguments *arguments)
{
	switch (action) {
	case ACTION_PTRACE:
		/* PTRACE_ATTACH and PTRACE_SEIZE; the calls on another's memory have larger first arguments. */
		return arguments->of[0] == 16 || arguments->of[0] == 0x4206;
	case ACTION_TRACEME:
		return arguments->of[0] == 0;
	case ACTION_PERSONALITY:
		/* Else it only asks. */
		return (__u32)arguments->of[0] != 0xffffffff;
	case ACTION_MPROTECT:
		return arguments->of[2] & PROT_EXEC;
	}
	return true;
}

/* Numbers, and perhaps a name. */
static __always_inline int take_plain(const struct call *call, const struct arguments *arguments)
{
	__u32 action = call->action;
	struct action_event *event;
	struct scratch *scratch;

	if (action == ACTION_PTRACE && arguments->of[0] == 0)
		action = ACTION_TRACEME;
	if (!is_worth(action, arguments))
		return 0;
	scratch = begin_action(action);
	if (!scratch)
		return 0;
	event = &scratch->action.event;
	event->header.flags |= FLAG_CALLERS_STRINGS;
	event->arguments[0] = argument_of(arguments, call->argument);
	event->arguments[1] = argument_of(arguments, call->argument2);
	if (action == ACTION_PTRACE)
		event->target_pid = arguments->of[1];
	if (action == ACTION_SETUID || action == ACTION_SETGID) {
		/* The call is over: these are the new ones, and the old ones are gone. */
		bool user = action == ACTION_SETUID;

		event->arguments[0] = user ? event->header.uid : event->header.gid;
		event->arguments[1] = user ? event->header.euid : event->header.egid;
		event->arguments[2] = event->arguments[3] = -1;
	}
	if (action == ACTION_CAPSET) {
		struct task_struct *task = (void *)bpf_get_current_task();
		const struct cred *cred = BPF_CORE_READ(task, cred);

		bpf_core_read(&event->arguments[0], 8, &cred->cap_effective);
		bpf_core_read(&event->arguments[1], 8, &cred->cap_permitted);
		event->arguments[2] = event->arguments[3] = -1;
	}
	if (call->first != CALL_ABSENT) {
		long got = bpf_probe_read_user_str(
			scratch->action.strings, TEXT_LIMIT,
			(const void *)argument_of(arguments, call->first));

		event->first_len = got > 0 ? (got - 1) & (TEXT_LIMIT - 1) : 0;
	}
	submit_action(scratch, class_of(action));
	return 0;
}

static __always_inline int take_open(__u64 result)
{
	struct file *file = file_of(result);

	return file ? check_open(file) : 0;
}

static __always_inline int take_connect(const struct sock *sk)
{
	__u32 protocol;

	if (!sk)
		return 0;
	protocol = BPF_CORE_READ(sk, sk_protocol);
	/* These two were seen when they changed their state. */
	if (protocol == IPPROTO_TCP_NUMBER || protocol == IPPROTO_MPTCP_NUMBER)
		return 0;
	count(&seen, EVENT_CONNECT);
	report_peer(sk, protocol);
	return 0;
}

static __always_inline int take_socket(const struct call *call, const struct arguments *arguments,
				       __u64 result)
{
	struct socket_address address = {};
	bool peer = call->kind == CALL_PEER;
	const struct sock *sk = socket_of(peer ? result : arguments->of[0]);
	__u64 argument = argument_of(arguments, call->argument);

	if (!sk || !read_address(sk, peer, &address))
		return 0;
	if (peer)
		argument = BPF_CORE_READ(sk, __sk_common.skc_num);
	return report_socket(call->action, sk, &address, argument);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long result)
{
	__u32 number = number_of(regs);
	struct arguments arguments = {};
	const struct call *call;
	struct calls *both;
	bool compat;

	both = bpf_map_lookup_elem(&calls, &number);
	/* Most calls are none of these, whichever table their number is from. */
	if (!both || !(both->native.kind | both->compat.kind))
		return 0;
	/* Failed. */
	if ((__u64)result > -4096ULL)
		return 0;
	compat = is_compat();
	call = compat ? &both->compat : &both->native;
	if (!call->kind || call->kind & CALL_OWN)
		return 0;
	read_arguments(regs, compat, &arguments);
	switch (call->kind) {
	case CALL_OPEN:
		return take_open(result);
	case CALL_CONNECT:
		return take_connect(socket_of(arguments.of[0]));
	case CALL_PATHS:
		return take_paths(call, &arguments);
	case CALL_FILE:
		return take_file(call, &arguments);
	case CALL_LOCAL:
	case CALL_PEER:
		return take_socket(call, &arguments, result);
	case CALL_SEND:
		return take_send(socket_of(arguments.of[0]), arguments.of[4]);
	case CALL_SENDMSG: {
		__u64 name = 0;

		bpf_probe_read_user(&name, sizeof(name), (const void *)arguments.of[1]);
		return take_send(socket_of(arguments.of[0]), name);
	}
	case CALL_STDIO:
		return take_stdio(&arguments, result, call->argument != CALL_ABSENT);
	case CALL_PLAIN:
		if (call->action == ACTION_RAW_SOCKET)
			return report_raw(arguments.of[0], arguments.of[1], arguments.of[2]);
		if (call->action == ACTION_BPF)
			return report_bpf(arguments.of[0], (const void *)arguments.of[1], true);
		if (call->action == ACTION_SYSLOG)
			return report_syslog(arguments.of[0]);
		return take_plain(call, &arguments);
	}
	return 0;
}

#endif
