/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What changes the kernel, its view of the file system, or how memory is executed.
 */
#ifndef QUANTUMOS_SURFACE_H
#define QUANTUMOS_SURFACE_H

#include "action.h"

#define VM_EXEC 4
#define PROT_EXEC 4

/* Label: the module's name. */
SEC("tp_btf/module_load")
int BPF_PROG(module_loaded, struct module *module)
{
	struct scratch *scratch = begin_action(ACTION_MODULE);

	if (!scratch)
		return 0;
	scratch->action.event.first_len =
		append_text(scratch, 0, __builtin_preserve_access_index(&module->name));
	submit_action(scratch, EVENT_KERNEL);
	return 0;
}

/* The commands of bpf() that load, attach, detach or take hold of another's objects. */
static __always_inline bool is_told(__u32 command)
{
	switch (command) {
	case 5: /* BPF_PROG_LOAD */
	case 7: /* BPF_OBJ_GET */
	case 8: /* BPF_PROG_ATTACH */
	case 9: /* BPF_PROG_DETACH */
	case 13: /* BPF_PROG_GET_FD_BY_ID */
	case 14: /* BPF_MAP_GET_FD_BY_ID */
	case 17: /* BPF_RAW_TRACEPOINT_OPEN */
	case 28: /* BPF_LINK_CREATE */
	case 29: /* BPF_LINK_UPDATE */
	case 30: /* BPF_LINK_GET_FD_BY_ID */
	case 34: /* BPF_LINK_DETACH */
		return true;
	}
	return false;
}

/* Arguments: the command, and the first number of its attributes: a program's type, an object's id. */
static __always_inline int report_bpf(__u32 command, const void *attributes, bool of_user)
{
	struct scratch *scratch;
	__u32 first = 0;

	if (!is_told(command))
		return 0;
	scratch = begin_action(ACTION_BPF);
	if (!scratch)
		return 0;
	if (of_user)
		bpf_probe_read_user(&first, sizeof(first), attributes);
	else
		bpf_probe_read_kernel(&first, sizeof(first), attributes);
	scratch->action.event.arguments[0] = command;
	scratch->action.event.arguments[1] = first;
	if (command == 5) {
		/* The program's name. */
		if (of_user)
			bpf_probe_read_user(scratch->action.event.label, 16, attributes + 48);
		else
			bpf_probe_read_kernel(scratch->action.event.label, 16, attributes + 48);
	}
	submit_action(scratch, EVENT_KERNEL);
	return 0;
}

static __always_inline int see_bpf(__u64 *ctx)
{
	return report_bpf(ctx[0], (const void *)ctx[1], false);
}

HOOK(bpf, bpf)

/* First where, then what. Argument: the flags; label: the type. */
static __always_inline int see_mount(__u64 *ctx)
{
	struct scratch *scratch = begin_action(ACTION_MOUNT);
	struct action_event *event;
	__u32 length;

	if (!scratch)
		return 0;
	event = &scratch->action.event;
	event->arguments[0] = ctx[3];
	bpf_probe_read_kernel_str(event->label, sizeof(event->label), (const void *)ctx[2]);
	length = append_path_of(scratch, 0, (const void *)ctx[1], FLAG_PATH_TRUNCATED) &
		 (PATH_LIMIT - 1);
	event->first_len = length;
	event->second_len = append_text(scratch, length, (const void *)ctx[0]);
	submit_action(scratch, EVENT_KERNEL);
	return 0;
}

HOOK(mount, sb_mount)

/* Two paths, of which the second hook argument comes first. */
static __always_inline int report_two(__u32 action, const struct path *first,
				      const struct path *second)
{
	struct scratch *scratch = begin_action(action);
	struct action_event *event;
	__u32 length;

	if (!scratch)
		return 0;
	event = &scratch->action.event;
	length = append_path_of(scratch, 0, first, FLAG_PATH_TRUNCATED) & (PATH_LIMIT - 1);
	event->first_len = length;
	event->second_len = append_path_of(scratch, length, second, FLAG_OTHER_TRUNCATED);
	submit_action(scratch, EVENT_KERNEL);
	return 0;
}

static __always_inline int see_move_mount(__u64 *ctx)
{
	return report_two(ACTION_MOUNT, (const void *)ctx[1], (const void *)ctx[0]);
}

HOOK(move_mount, move_mount)

/* First the new root, then where the old one goes. */
static __always_inline int see_pivot_root(__u64 *ctx)
{
	return report_two(ACTION_PIVOT_ROOT, (const void *)ctx[1], (const void *)ctx[0]);
}

HOOK(pivot_root, sb_pivotroot)

static __always_inline int see_umount(__u64 *ctx)
{
	const struct vfsmount *mnt = address_of(ctx[0]);
	struct scratch *scratch = begin_action(ACTION_UMOUNT);

	if (!scratch)
		return 0;
	scratch->action.event.arguments[0] = (__u32)ctx[1];
	scratch->action.event.first_len =
		append_dentry(scratch, 0, mnt, BPF_CORE_READ(mnt, mnt_root), FLAG_PATH_TRUNCATED, 0);
	submit_action(scratch, EVENT_KERNEL);
	return 0;
}

HOOK(umount, sb_umount)

/* Memory that becomes executable; the path of the file that it is of, if any. Argument: the protection. */
static __always_inline int see_mprotect(__u64 *ctx)
{
	const struct vm_area_struct *area = (const void *)ctx[0];
	__u64 protection = ctx[2];
	const struct file *file;
	struct scratch *scratch;

	if (!(protection & PROT_EXEC))
		return 0;
	if (bpf_core_field_exists(area->vm_flags) && (BPF_CORE_READ(area, vm_flags) & VM_EXEC))
		return 0;
	scratch = begin_action(ACTION_MPROTECT);
	if (!scratch)
		return 0;
	scratch->action.event.arguments[0] = protection;
	file = BPF_CORE_READ(area, vm_file);
	if (file) {
		fill_inode(&scratch->action.event, BPF_CORE_READ(file, f_inode));
		scratch->action.event.first_len =
			append_path_of(scratch, 0,
				       __builtin_preserve_access_index(&file->f_path),
				       FLAG_PATH_TRUNCATED);
	}
	submit_action(scratch, EVENT_KERNEL);
	return 0;
}

HOOK(mprotect, file_mprotect)

/* Argument: what is asked of the kernel's log. Reading it is nothing to tell. */
static __always_inline int report_syslog(__u32 what)
{
	struct scratch *scratch;

	/* SYSLOG_ACTION_READ_CLEAR, CLEAR, CONSOLE_OFF, CONSOLE_ON, CONSOLE_LEVEL */
	if (what < 4 || what > 8)
		return 0;
	scratch = begin_action(ACTION_SYSLOG);
	if (!scratch)
		return 0;
	scratch->action.event.arguments[0] = what;
	submit_action(scratch, EVENT_KERNEL);
	return 0;
}

static __always_inline int see_syslog(__u64 *ctx)
{
	return report_syslog(ctx[0]);
}

HOOK(syslog, syslog)

#endif
