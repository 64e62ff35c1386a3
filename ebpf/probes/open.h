/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Opens of watched files. The path is made from the open file, never from the caller's string, so that
 * symbolic links, relative paths and chroots hide nothing.
 */
#ifndef QUANTUMOS_OPEN_H
#define QUANTUMOS_OPEN_H

#include "watch.h"

/* In f_flags: the kernel opens a program to run it, which is reported as exec. */
#define OPEN_FOR_EXEC 0x20

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} open_events SEC(".maps");

static __always_inline void report_open(const struct file *file, struct scratch *scratch)
{
	struct open_event *event = &scratch->open.event;
	struct config *config = get_config();
	struct path_buffer *buffer;
	struct inode *inode;
	__u32 which = scratch->which;
	__u32 mode = BPF_CORE_READ(file, f_mode);
	__u32 flags = BPF_CORE_READ(file, f_flags);
	__u8 access = mode & (ACCESS_READ | ACCESS_WRITE);
	__u8 by_name;
	__u32 start, length;

	if (!config || !access || (flags & OPEN_FOR_EXEC))
		return;
	by_name = watched_name(BPF_CORE_READ(file, f_path.dentry)) & access;
	if (!by_name && !(config->path_accesses & access))
		goto filtered;
	start = write_path_of(__builtin_preserve_access_index(&file->f_path), which);
	length = start;
	start &= PATH_LIMIT - 1;
	buffer = bpf_map_lookup_elem(&path_buffers, &which);
	if (!buffer)
		return;
	if (!by_name && !(watched_path(scratch, &buffer->data[start]) & access))
		goto filtered;
	if (is_own() || is_ignored(EVENT_OPEN))
		return;
	fill_header(&event->header, EVENT_OPEN);
	if (length & PATH_TRUNCATED)
		event->header.flags |= FLAG_PATH_TRUNCATED;
	inode = BPF_CORE_READ(file, f_inode);
	event->inode = BPF_CORE_READ(inode, i_ino);
	event->device = BPF_CORE_READ(inode, i_sb, s_dev);
	event->mode = BPF_CORE_READ(inode, i_mode);
	event->owner = BPF_CORE_READ(inode, i_uid.val);
	event->open_flags = flags;
	event->access = mode & (ACCESS_READ | ACCESS_WRITE | ACCESS_CREATED);
	length = PATH_LIMIT - 1 - start;
	event->path_len = length;
	bpf_probe_read_kernel(scratch->open.path, length, &buffer->data[start]);
	if (bpf_ringbuf_output(&open_events, event, sizeof(*event) + length, waking()))
		count(&lost, EVENT_OPEN);
	return;
filtered:
	count(&filtered, EVENT_OPEN);
}

static __always_inline int check_open(const struct file *file)
{
	struct scratch *scratch;

	count(&seen, EVENT_OPEN);
	scratch = take_scratch();
	if (!scratch) {
		count(&lost, EVENT_OPEN);
		return 0;
	}
	report_open(file, scratch);
	give_back(scratch);
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(open_lsm, struct file *file)
{
	return check_open(file);
}

SEC("fentry/security_file_open")
int BPF_PROG(open_function, struct file *file)
{
	return check_open(file);
}

#endif
