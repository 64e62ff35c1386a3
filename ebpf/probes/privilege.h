/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What changes a process's rights, or reaches into another process: credentials, capabilities, ptrace, signals.
 */
#ifndef QUANTUMOS_PRIVILEGE_H
#define QUANTUMOS_PRIVILEGE_H

#include "action.h"

#define PTRACE_MODE_ATTACH 2
#define SI_TKILL -6
#define SI_QUEUE -1
#define SI_USER 0

/* Arguments: the new real and effective id, then the old ones. */
static __always_inline int see_setuid(__u64 *ctx)
{
	const struct cred *new = (void *)ctx[0], *old = (void *)ctx[1];
	__u32 uid = BPF_CORE_READ(new, uid.val), euid = BPF_CORE_READ(new, euid.val);
	__u32 old_uid = BPF_CORE_READ(old, uid.val), old_euid = BPF_CORE_READ(old, euid.val);
	struct scratch *scratch;
	__u64 *arguments;

	if (uid == old_uid && euid == old_euid &&
	    BPF_CORE_READ(new, suid.val) == BPF_CORE_READ(old, suid.val))
		return 0;
	scratch = begin_action(ACTION_SETUID);
	if (!scratch)
		return 0;
	arguments = scratch->action.event.arguments;
	arguments[0] = uid;
	arguments[1] = euid;
	arguments[2] = old_uid;
	arguments[3] = old_euid;
	submit_action(scratch, EVENT_PRIVILEGE);
	return 0;
}

HOOK(setuid, task_fix_setuid)

static __always_inline int see_setgid(__u64 *ctx)
{
	const struct cred *new = (void *)ctx[0], *old = (void *)ctx[1];
	__u32 gid = BPF_CORE_READ(new, gid.val), egid = BPF_CORE_READ(new, egid.val);
	__u32 old_gid = BPF_CORE_READ(old, gid.val), old_egid = BPF_CORE_READ(old, egid.val);
	struct scratch *scratch;
	__u64 *arguments;

	if (gid == old_gid && egid == old_egid &&
	    BPF_CORE_READ(new, sgid.val) == BPF_CORE_READ(old, sgid.val))
		return 0;
	scratch = begin_action(ACTION_SETGID);
	if (!scratch)
		return 0;
	arguments = scratch->action.event.arguments;
	arguments[0] = gid;
	arguments[1] = egid;
	arguments[2] = old_gid;
	arguments[3] = old_egid;
	submit_action(scratch, EVENT_PRIVILEGE);
	return 0;
}

HOOK(setgid, task_fix_setgid)

/* Arguments: the new effective and permitted set, then the old ones. */
static __always_inline int see_capset(__u64 *ctx)
{
	const struct cred *old = (void *)ctx[1];
	__u64 effective = 0, permitted = 0, old_effective = 0, old_permitted = 0;
	struct scratch *scratch;
	__u64 *arguments;

	bpf_probe_read_kernel(&effective, sizeof(effective), (void *)ctx[2]);
	bpf_probe_read_kernel(&permitted, sizeof(permitted), (void *)ctx[4]);
	bpf_core_read(&old_effective, sizeof(old_effective), &old->cap_effective);
	bpf_core_read(&old_permitted, sizeof(old_permitted), &old->cap_permitted);
	if (effective == old_effective && permitted == old_permitted)
		return 0;
	scratch = begin_action(ACTION_CAPSET);
	if (!scratch)
		return 0;
	arguments = scratch->action.event.arguments;
	arguments[0] = effective;
	arguments[1] = permitted;
	arguments[2] = old_effective;
	arguments[3] = old_permitted;
	submit_action(scratch, EVENT_PRIVILEGE);
	return 0;
}

HOOK(capset, capset)

/* Also asked for /proc/PID/mem, process_vm_writev() and the like. Looking at a process (ps, top) is no attachment. */
static __always_inline int see_ptrace(__u64 *ctx)
{
	struct task_struct *child = (void *)ctx[0];
	__u32 mode = ctx[1];
	struct scratch *scratch;

	if (!(mode & PTRACE_MODE_ATTACH) ||
	    (__u32)BPF_CORE_READ(child, tgid) == (__u32)(bpf_get_current_pid_tgid() >> 32))
		return 0;
	scratch = begin_action(ACTION_PTRACE);
	if (!scratch)
		return 0;
	scratch->action.event.arguments[0] = mode;
	fill_target(&scratch->action.event, child);
	submit_action(scratch, EVENT_PRIVILEGE);
	return 0;
}

HOOK(ptrace, ptrace_access_check)

static __always_inline int see_traceme(__u64 *ctx)
{
	struct scratch *scratch = begin_action(ACTION_TRACEME);

	if (!scratch)
		return 0;
	fill_target(&scratch->action.event, (void *)ctx[0]);
	submit_action(scratch, EVENT_PRIVILEGE);
	return 0;
}

HOOK(traceme, ptrace_traceme)

/* Signals that a process sends to another; arguments: the signal, and how it was sent (SI_*). */
SEC("tp_btf/signal_generate")
int BPF_PROG(kill_signal, int signal, struct kernel_siginfo *info, struct task_struct *task)
{
	struct scratch *scratch;
	int code;

	/* 0 and 1 stand for signals of the kernel's own. */
	if ((__u64)info < 2)
		return 0;
	code = BPF_CORE_READ(info, si_code);
	if (code != SI_USER && code != SI_QUEUE && code != SI_TKILL)
		return 0;
	if ((__u32)BPF_CORE_READ(task, tgid) == (__u32)(bpf_get_current_pid_tgid() >> 32))
		return 0;
	scratch = begin_action(ACTION_KILL);
	if (!scratch)
		return 0;
	scratch->action.event.arguments[0] = signal;
	scratch->action.event.arguments[1] = (__u32)code;
	fill_target(&scratch->action.event, task);
	submit_action(scratch, EVENT_PRIVILEGE);
	return 0;
}

#endif
