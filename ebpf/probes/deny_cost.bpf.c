// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * What it costs to decide whether an execution is refused, on a kernel without security hooks: the same decision, where
 * nothing can be refused any more.
 */
#include "deny.h"

SEC("tp_btf/sched_process_exec")
int BPF_PROG(deny_cost, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	return is_denied(BPF_CORE_READ(bprm, file)) ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";
