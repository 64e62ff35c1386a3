/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Executions that are refused before they happen. The check is asked for each file that takes part in one: a
 * script and its interpreter.
 */
#ifndef QUANTUMOS_DENY_H
#define QUANTUMOS_DENY_H

#include "action.h"

#define EPERM 1

/* What is refused: a file by inode and device in any cgroup or in one, or (inode 0) all that one cgroup executes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct deny_key);
	__type(value, __u8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} denied SEC(".maps");

static __always_inline int report_denied(const struct file *file)
{
	struct scratch *scratch = start_record(ACTION_DENIED);

	if (!scratch)
		return -EPERM;
	fill_inode(&scratch->action.event, BPF_CORE_READ(file, f_inode));
	scratch->action.event.first_len =
		append_path_of(scratch, 0, __builtin_preserve_access_index(&file->f_path),
			       FLAG_PATH_TRUNCATED);
	submit_action(scratch, EVENT_KERNEL);
	return -EPERM;
}

static __always_inline bool is_denied(const struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct deny_key key = {};

	key.cgroup = bpf_get_current_cgroup_id();
	if (bpf_map_lookup_elem(&denied, &key))
		return true;
	key.inode = BPF_CORE_READ(inode, i_ino);
	key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	if (bpf_map_lookup_elem(&denied, &key))
		return true;
	key.cgroup = 0;
	return bpf_map_lookup_elem(&denied, &key);
}

SEC("lsm/bprm_check_security")
int BPF_PROG(deny_exec, struct linux_binprm *bprm, int verdict)
{
	const struct file *file = BPF_CORE_READ(bprm, file);

	/* Another program has refused it already. */
	if (verdict)
		return verdict;
	return is_denied(file) ? report_denied(file) : 0;
}

#endif
