/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * exec, exit and fork of processes, by the scheduler's type-safe tracepoints. Arguments are read
 * after the new program is in place, so they are what it got and no other thread can change them
 * in between.
 */
#ifndef QUANTUMOS_PROCESS_H
#define QUANTUMOS_PROCESS_H

#include "common.h"
#include "path.h"

#define EEXIST 17
#define TMPFS_MAGIC 0x01021994

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} exec_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} exit_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} fork_events SEC(".maps");

struct process_key {
	__u64 start_ns;
	__u32 pid;
	__u32 reserved;
};

/*
 * Processes whose end was reported. Threads that end at the same time can each find that none is left.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct process_key);
	__type(value, __u8);
} ended SEC(".maps");

/* An exec record with its strings. */
struct exec_scratch {
	struct exec_event event;
	__u8 strings[3 * PATH_LIMIT + 64 + EXEC_ARGV_MAX];
};

/*
 * One a CPU is enough: the kernel never runs a tracing program inside itself on one CPU, and the
 * program has only one attachment.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_scratch);
} exec_scratch SEC(".maps");

/* Copies a path to strings[at]; returns its length. */
static __always_inline __u32 append_path(struct exec_scratch *scratch, __u32 at,
					 const struct path *path, __u32 flag)
{
	__u32 which = PATH_BUFFER_EXEC;
	__u32 start = write_path_of(path, which);
	struct path_buffer *buffer = bpf_map_lookup_elem(&path_buffers, &which);
	__u32 length;

	if (start & PATH_TRUNCATED)
		scratch->event.header.flags |= flag;
	start &= PATH_LIMIT - 1;
	length = PATH_LIMIT - 1 - start;
	if (!buffer || at > 2 * PATH_LIMIT)
		return 0;
	bpf_probe_read_kernel(&scratch->strings[at], length, &buffer->data[start]);
	return length;
}

static __always_inline void fill_executable(struct exec_event *event, const struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	event->inode = BPF_CORE_READ(inode, i_ino);
	event->device = BPF_CORE_READ(inode, i_sb, s_dev);
	event->mode = BPF_CORE_READ(inode, i_mode);
	event->owner = BPF_CORE_READ(inode, i_uid.val);
	if (!BPF_CORE_READ(inode, i_nlink)) {
		const unsigned char *name = BPF_CORE_READ(file, f_path.dentry, d_name.name);
		char start[8] = {};

		event->header.flags |= FLAG_EXE_DELETED;
		bpf_probe_read_kernel_str(start, sizeof(start), name);
		if (BPF_CORE_READ(inode, i_sb, s_magic) == TMPFS_MAGIC && start[0] == 'm' &&
		    start[1] == 'e' && start[2] == 'm' && start[3] == 'f' && start[4] == 'd' &&
		    start[5] == ':')
			event->header.flags |= FLAG_EXE_MEMFD;
	}
}

static __always_inline void fill_credentials(struct exec_event *event, struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);

	/* A pair of 32-bit words before 6.3, one of 64 bits since: the same bytes. */
	event->cap_effective = 0;
	event->cap_permitted = 0;
	bpf_core_read(&event->cap_effective, sizeof(event->cap_effective), &cred->cap_effective);
	bpf_core_read(&event->cap_permitted, sizeof(event->cap_permitted), &cred->cap_permitted);
	event->ns_user = BPF_CORE_READ(cred, user_ns, ns.inum);
	event->ns_mount = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	event->ns_pid = BPF_CORE_READ(task, nsproxy, pid_ns_for_children, ns.inum);
	event->ns_net = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	event->login_uid = -1;
	event->session_id = -1;
	if (bpf_core_field_exists(task->loginuid)) {
		event->login_uid = BPF_CORE_READ(task, loginuid.val);
		event->session_id = BPF_CORE_READ(task, sessionid);
	}
}

static __always_inline void fill_ancestors(struct exec_event *event, struct task_struct *task)
{
	__u32 n = 0;

	for (int i = 0; i < EXEC_ANCESTORS; i++) {
		struct ancestor *ancestor = &event->ancestors[i];
		struct task_struct *leader;

		task = BPF_CORE_READ(task, real_parent);
		leader = BPF_CORE_READ(task, group_leader);
		ancestor->pid = BPF_CORE_READ(task, tgid);
		if (!ancestor->pid)
			break;
		ancestor->reserved = 0;
		ancestor->start_ns = BPF_CORE_READ(leader, start_boottime);
		bpf_core_read(ancestor->comm, sizeof(ancestor->comm), &leader->comm);
		n++;
		if (ancestor->pid == 1)
			break;
	}
	event->ancestors_len = n;
}

/* Reads the arguments to strings[at]; returns how many bytes. */
static __always_inline __u32 append_arguments(struct exec_scratch *scratch, __u32 at,
					      struct task_struct *task)
{
	struct exec_event *event = &scratch->event;
	unsigned long start = BPF_CORE_READ(task, mm, arg_start);
	unsigned long end = BPF_CORE_READ(task, mm, arg_end);
	__u64 length = end - start;

	event->argv_bytes = length;
	if (length > EXEC_ARGV_MAX) {
		length = EXEC_ARGV_MAX;
		event->header.flags |= FLAG_ARGV_TRUNCATED;
	}
	if (at > sizeof(scratch->strings) - EXEC_ARGV_MAX)
		return 0;
	if (bpf_probe_read_user(&scratch->strings[at], length, (void *)start)) {
		event->header.flags |= FLAG_ARGV_UNREADABLE;
		return 0;
	}
	return length;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	__u32 zero = 0;
	struct exec_scratch *scratch;
	struct exec_event *event;
	struct file *file;
	struct tty_struct *tty;
	struct fs_struct *fs;
	long length;
	__u32 at = 0;

	count(&seen, EVENT_EXEC);
	if (is_ignored(EVENT_EXEC))
		return 0;
	scratch = bpf_map_lookup_elem(&exec_scratch, &zero);
	if (!scratch)
		return 0;
	event = &scratch->event;
	fill_header(&event->header, EVENT_EXEC);
	file = BPF_CORE_READ(bprm, file);
	fill_executable(event, file);
	fill_credentials(event, task);
	fill_ancestors(event, task);
	event->argc = BPF_CORE_READ(bprm, argc);

	length = bpf_probe_read_kernel_str(scratch->strings, PATH_LIMIT,
					   BPF_CORE_READ(bprm, filename));
	if (length < 1)
		length = 1;
	if (length >= PATH_LIMIT)
		event->header.flags |= FLAG_FILENAME_TRUNCATED;
	at = (length - 1) & (PATH_LIMIT - 1);
	event->filename_len = at;

	event->executable_len = append_path(scratch, at, &file->f_path, FLAG_PATH_TRUNCATED);
	at += event->executable_len & (PATH_LIMIT - 1);

	fs = BPF_CORE_READ(task, fs);
	event->directory_len = append_path(scratch, at, &fs->pwd, FLAG_CWD_TRUNCATED);
	at += event->directory_len & (PATH_LIMIT - 1);

	event->terminal_len = 0;
	tty = BPF_CORE_READ(task, signal, tty);
	if (tty && at <= 3 * PATH_LIMIT) {
		length = bpf_core_read_str(&scratch->strings[at], 64, &tty->name);
		if (length > 1) {
			event->terminal_len = (length - 1) & 63;
			at += event->terminal_len & 63;
		}
	}

	event->argv_len = append_arguments(scratch, at, task);
	if (event->argv_len <= EXEC_ARGV_MAX)
		at += event->argv_len;

	if (at > sizeof(scratch->strings))
		return 0;
	if (bpf_ringbuf_output(&exec_events, event, sizeof(*event) + at, waking()))
		count(&lost, EVENT_EXEC);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct process_key key = {};
	struct exit_event *event;
	__u8 yes = 1;
	int code;

	/* Threads come here one by one; the last one ends the process. */
	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	key.pid = BPF_CORE_READ(task, tgid);
	key.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	/* Before 6.4 the helper's result has only 32 bits that count. */
	if ((int)bpf_map_update_elem(&ended, &key, &yes, BPF_NOEXIST) == -EEXIST)
		return 0;
	count(&seen, EVENT_EXIT);
	if (is_ignored(EVENT_EXIT))
		return 0;
	event = bpf_ringbuf_reserve(&exit_events, sizeof(*event), 0);
	if (!event) {
		count(&lost, EVENT_EXIT);
		return 0;
	}
	fill_header(&event->header, EVENT_EXIT);
	code = BPF_CORE_READ(task, signal, group_exit_code);
	event->code = code ? code : BPF_CORE_READ(task, exit_code);
	event->reserved = 0;
	if (event->code & 0x80)
		event->header.flags |= FLAG_CORE_DUMPED;
	bpf_ringbuf_submit(event, waking_unless_soon(event->header.time_ns));
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct fork_event *event;

	/* A new thread is no new process. */
	if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid))
		return 0;
	count(&seen, EVENT_FORK);
	if (is_ignored(EVENT_FORK))
		return 0;
	event = bpf_ringbuf_reserve(&fork_events, sizeof(*event), 0);
	if (!event) {
		count(&lost, EVENT_FORK);
		return 0;
	}
	fill_header(&event->header, EVENT_FORK);
	event->child_pid = BPF_CORE_READ(child, tgid);
	event->child_start_ns = BPF_CORE_READ(child, start_boottime);
	event->child_ppid = BPF_CORE_READ(child, real_parent, tgid);
	if (BPF_CORE_READ(child, nsproxy) != BPF_CORE_READ(parent, nsproxy))
		event->header.flags |= FLAG_NEW_NAMESPACES;
	bpf_ringbuf_submit(event, waking_unless_soon(event->header.time_ns));
	return 0;
}

#endif
