/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The watch list: which accesses of which files are reported, by the start of the path or by the last component.
 */
#ifndef QUANTUMOS_WATCH_H
#define QUANTUMOS_WATCH_H

#include "scratch.h"

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

static __always_inline __u8 watched_name(const struct dentry *dentry)
{
	struct name_key key = {};
	__u8 *accesses;

	if (BPF_CORE_READ(dentry, d_name.len) >= sizeof(key.name))
		return 0;
	bpf_probe_read_kernel_str(key.name, sizeof(key.name), BPF_CORE_READ(dentry, d_name.name));
	accesses = bpf_map_lookup_elem(&watched_names, &key);
	return accesses ? *accesses : 0;
}

/* For a path in a map's memory, with its terminator. */
static __always_inline __u8 watched_path(struct scratch *scratch, const void *path)
{
	__u8 *accesses;

	scratch->key.prefix_bits = WATCH_KEY_MAX * 8;
	bpf_probe_read_kernel(scratch->key.path, WATCH_KEY_MAX, path);
	accesses = bpf_map_lookup_elem(&watched_paths, &scratch->key);
	return accesses ? *accesses : 0;
}

#endif
