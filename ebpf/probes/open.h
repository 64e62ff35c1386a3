/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Opens of watched files. The path is made from the open file, never from the caller's string, so that
 * symbolic links, relative paths and chroots hide nothing.
 */
#ifndef QUANTUMOS_OPEN_H
#define QUANTUMOS_OPEN_H

#include "common.h"
#include "path.h"

/* In f_flags: the kernel opens a program to run it, which is reported as exec. */
#define OPEN_FOR_EXEC 0x20

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} open_events SEC(".maps");

/* Accesses (WATCH_*) to report, by the start of the path; a whole path ends in its terminator. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__type(key, struct watch_key);
	__type(value, __u8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} watched_paths SEC(".maps");

struct name_key {
	__u8 name[WATCH_NAME_MAX];
};

/* Accesses to report, by the last component of the path. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct name_key);
	__type(value, __u8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} watched_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

struct open_scratch {
	struct open_event event;
	__u8 path[PATH_LIMIT];
	struct watch_key key;
	__u32 busy;
	__u32 reserved;
};

/* One for each path buffer, with the same index. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PATH_BUFFERS);
	__type(key, __u32);
	__type(value, struct open_scratch);
} open_scratch SEC(".maps");

static __always_inline struct config *get_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline __u8 watched_name(const struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct name_key key = {};
	__u8 *accesses;

	if (BPF_CORE_READ(dentry, d_name.len) >= sizeof(key.name))
		return 0;
	bpf_probe_read_kernel_str(key.name, sizeof(key.name), BPF_CORE_READ(dentry, d_name.name));
	accesses = bpf_map_lookup_elem(&watched_names, &key);
	return accesses ? *accesses : 0;
}

static __always_inline void report_open(const struct file *file, struct open_scratch *scratch,
					__u32 which)
{
	struct open_event *event = &scratch->event;
	struct config *config = get_config();
	struct path_buffer *buffer;
	struct inode *inode;
	__u32 mode = BPF_CORE_READ(file, f_mode);
	__u32 flags = BPF_CORE_READ(file, f_flags);
	__u8 access = mode & (ACCESS_READ | ACCESS_WRITE);
	__u8 by_name;
	__u32 start, length;

	if (!config || !access || (flags & OPEN_FOR_EXEC))
		return;
	by_name = watched_name(file) & access;
	if (!by_name && !(config->path_accesses & access))
		goto filtered;
	start = write_path((__u64)__builtin_preserve_access_index(&file->f_path), which);
	length = start;
	start &= PATH_LIMIT - 1;
	buffer = bpf_map_lookup_elem(&path_buffers, &which);
	if (!buffer)
		return;
	if (!by_name) {
		__u8 *accesses;

		scratch->key.prefix_bits = WATCH_KEY_MAX * 8;
		bpf_probe_read_kernel(scratch->key.path, WATCH_KEY_MAX, &buffer->data[start]);
		accesses = bpf_map_lookup_elem(&watched_paths, &scratch->key);
		if (!accesses || !(*accesses & access))
			goto filtered;
	}
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
	bpf_probe_read_kernel(scratch->path, length, &buffer->data[start]);
	if (bpf_ringbuf_output(&open_events, event, sizeof(*event) + length, 0))
		count(&lost, EVENT_OPEN);
	return;
filtered:
	count(&filtered, EVENT_OPEN);
}

/*
 * For hooks where the task can be preempted: another task on this CPU must not get the same scratch.
 * A task that finds them all taken counts its event as lost.
 */
static __always_inline int check_open(const struct file *typed)
{
	const struct file *volatile spilled = typed;
	const struct file *file;

	count(&seen, EVENT_OPEN);
	/* To the verifier a hook's argument is more than a number, and write_path() takes numbers. */
	bpf_probe_read_kernel(&file, sizeof(file), (const void *)&spilled);
	for (__u32 i = PATH_BUFFER_HOOK; i < PATH_BUFFERS; i++) {
		__u32 which = i;
		struct open_scratch *scratch = bpf_map_lookup_elem(&open_scratch, &which);

		if (!scratch || __sync_lock_test_and_set(&scratch->busy, 1))
			continue;
		report_open(file, scratch, i);
		scratch->busy = 0;
		return 0;
	}
	count(&lost, EVENT_OPEN);
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
