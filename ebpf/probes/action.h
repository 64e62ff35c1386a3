/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The record that everything but programs, connections and opens shares: what was done, with which arguments, to
 * which process, socket or file. One record starts with begin_action() and ends with submit_action() or
 * give_back().
 */
#ifndef QUANTUMOS_ACTION_H
#define QUANTUMOS_ACTION_H

#include "watch.h"

#define AF_INET 2
#define AF_INET6 10

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} privilege_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} file_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} socket_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} kernel_events SEC(".maps");

/* The two ways to hook one check: as a security module, and at the entry of the function that asks the modules. */
#define HOOK(name, check)                                        \
	SEC("lsm/" #check)                                       \
	int name##_lsm(__u64 *ctx)                               \
	{                                                        \
		return see_##name(ctx);                          \
	}                                                        \
	SEC("fentry/security_" #check)                           \
	int name##_function(__u64 *ctx)                          \
	{                                                        \
		return see_##name(ctx);                          \
	}

/*
 * A hook's argument as a plain address: to the verifier it is more than a number, and global functions take
 * numbers.
 */
static __always_inline const void *address_of(__u64 argument)
{
	volatile __u64 spilled = argument;
	const void *address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), (const void *)&spilled);
	return address;
}

static __always_inline __u32 class_of(__u32 action)
{
	if (action < ACTION_UNLINK)
		return EVENT_PRIVILEGE;
	if (action < ACTION_BIND)
		return EVENT_FILE;
	if (action < ACTION_MODULE)
		return EVENT_SOCKET;
	return EVENT_KERNEL;
}

/* A record without fields, in a scratch of its own. */
static __always_inline struct scratch *start_record(__u32 action)
{
	struct scratch *scratch = take_scratch();
	__u32 class = class_of(action);
	struct action_event *event;

	if (!scratch) {
		count(&lost, class);
		return 0;
	}
	event = &scratch->action.event;
	__builtin_memset(event, 0, sizeof(*event));
	fill_header(&event->header, class);
	event->action = action;
	return scratch;
}

/* The same for what no path decides about; none where a filter drops it. */
static __always_inline struct scratch *begin_action(__u32 action)
{
	__u32 class = class_of(action);

	count(&seen, class);
	if (is_own() || is_ignored(class))
		return 0;
	return start_record(action);
}

static __always_inline void submit_action(struct scratch *scratch, __u32 class)
{
	struct action_record *record = &scratch->action;
	__u64 size = sizeof(record->event) + record->event.first_len + record->event.second_len;
	long failed;

	/* Forgets what the verifier knows, and says anew what holds. */
	asm volatile("" : "+r"(size));
	if (size > sizeof(*record))
		size = sizeof(*record);
	switch (class) {
	case EVENT_PRIVILEGE:
		failed = bpf_ringbuf_output(&privilege_events, record, size, waking());
		break;
	case EVENT_FILE:
		failed = bpf_ringbuf_output(&file_events, record, size, waking());
		break;
	case EVENT_SOCKET:
		failed = bpf_ringbuf_output(&socket_events, record, size, waking());
		break;
	default:
		failed = bpf_ringbuf_output(&kernel_events, record, size, waking());
	}
	if (failed)
		count(&lost, class);
	give_back(scratch);
}

/* Writes a path at strings[at], and asks for its watches if `watched` is there. Returns its length. */
static __always_inline __u32 append_dentry(struct scratch *scratch, __u32 at, const void *mnt,
					   const void *dentry, __u32 flag, __u8 *watched)
{
	__u32 which = scratch->which;
	__u32 start = write_path((__u64)mnt, (__u64)dentry, which);
	struct path_buffer *buffer = bpf_map_lookup_elem(&path_buffers, &which);
	__u32 length;

	if (start & PATH_TRUNCATED)
		scratch->action.event.header.flags |= flag;
	start &= PATH_LIMIT - 1;
	length = PATH_LIMIT - 1 - start;
	if (!buffer || at > 2 * PATH_LIMIT)
		return 0;
	if (watched)
		*watched |= watched_name(dentry) | watched_path(scratch, &buffer->data[start]);
	bpf_probe_read_kernel(&scratch->action.strings[at], length, &buffer->data[start]);
	return length;
}

static __always_inline __u32 append_path_of(struct scratch *scratch, __u32 at,
					    const struct path *path, __u32 flag)
{
	return append_dentry(scratch, at, BPF_CORE_READ(path, mnt), BPF_CORE_READ(path, dentry),
			     flag, 0);
}

/* Writes a text of the kernel's at strings[at]. Returns its length. */
static __always_inline __u32 append_text(struct scratch *scratch, __u32 at, const void *text)
{
	long length;

	if (!text || at > 2 * PATH_LIMIT)
		return 0;
	length = bpf_probe_read_kernel_str(&scratch->action.strings[at], TEXT_LIMIT, text);
	return length > 0 ? (length - 1) & (TEXT_LIMIT - 1) : 0;
}

static __always_inline void fill_inode(struct action_event *event, struct inode *inode)
{
	if (!inode)
		return;
	event->inode = BPF_CORE_READ(inode, i_ino);
	event->device = BPF_CORE_READ(inode, i_sb, s_dev);
	event->mode = BPF_CORE_READ(inode, i_mode);
	event->owner = BPF_CORE_READ(inode, i_uid.val);
}

static __always_inline void fill_target(struct action_event *event, struct task_struct *task)
{
	event->target_pid = BPF_CORE_READ(task, tgid);
	event->target_start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	bpf_core_read(event->label, sizeof(event->label), &task->comm);
}

#endif
