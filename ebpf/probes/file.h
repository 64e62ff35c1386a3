/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Changes of names and attributes of files. Paths are made from the kernel's own objects, before the change.
 */
#ifndef QUANTUMOS_FILE_H
#define QUANTUMOS_FILE_H

#include "action.h"

#define MODE_TYPE 0170000
#define MODE_REGULAR 0100000

struct change {
	__u32 action;
	const void *mnt;
	const void *dentry;
	/* A second path... */
	const void *other_mnt;
	const void *other_dentry;
	/* ... or a text. */
	const void *text;
	__u64 argument;
	__u64 argument2;
};

static __always_inline int report_change(const struct change *change)
{
	struct config *config = get_config();
	struct action_event *event;
	/* Not inside the macro: it would have the kernel's types searched for `struct change`. */
	const struct dentry *dentry = change->dentry;
	struct scratch *scratch;
	bool everywhere;
	__u8 watched = 0;
	__u32 length;

	count(&seen, EVENT_FILE);
	if (!config || is_own())
		return 0;
	everywhere = config->everywhere & (1U << (change->action - ACTION_UNLINK));
	/* Most files that change are not worth a limit's count. */
	if (everywhere && is_ignored(EVENT_FILE))
		return 0;
	scratch = start_record(change->action);
	if (!scratch)
		return 0;
	event = &scratch->action.event;
	event->arguments[0] = change->argument;
	event->arguments[1] = change->argument2;
	fill_inode(event, BPF_CORE_READ(dentry, d_inode));
	length = append_dentry(scratch, 0, change->mnt, change->dentry, FLAG_PATH_TRUNCATED,
			       &watched) & (PATH_LIMIT - 1);
	event->first_len = length;
	if (change->other_dentry)
		event->second_len = append_dentry(scratch, length, change->other_mnt,
						  change->other_dentry, FLAG_OTHER_TRUNCATED,
						  &watched);
	else if (change->text)
		event->second_len = append_text(scratch, length, change->text);
	if (!everywhere) {
		if (!(watched & WATCH_CHANGE)) {
			count(&filtered, EVENT_FILE);
			give_back(scratch);
			return 0;
		}
		if (is_ignored(EVENT_FILE)) {
			give_back(scratch);
			return 0;
		}
	}
	submit_action(scratch, EVENT_FILE);
	return 0;
}

static __always_inline const void *mount_of(__u64 address)
{
	const struct path *path = (const void *)address;

	return BPF_CORE_READ(path, mnt);
}

static __always_inline const void *dentry_of(__u64 address)
{
	const struct path *path = (const void *)address;

	return BPF_CORE_READ(path, dentry);
}

#define DIRECTORY_ENTRY(number) \
	.mnt = mount_of(ctx[number]), .dentry = address_of(ctx[number + 1])
#define WHOLE_PATH(number) .mnt = mount_of(ctx[number]), .dentry = dentry_of(ctx[number])

static __always_inline int see_unlink(__u64 *ctx)
{
	struct change change = { .action = ACTION_UNLINK, DIRECTORY_ENTRY(0) };

	return report_change(&change);
}

HOOK(unlink, path_unlink)

static __always_inline int see_rmdir(__u64 *ctx)
{
	struct change change = { .action = ACTION_RMDIR, DIRECTORY_ENTRY(0) };

	return report_change(&change);
}

HOOK(rmdir, path_rmdir)

static __always_inline int see_mkdir(__u64 *ctx)
{
	struct change change = {
		.action = ACTION_MKDIR, DIRECTORY_ENTRY(0), .argument = (__u16)ctx[2],
	};

	return report_change(&change);
}

HOOK(mkdir, path_mkdir)

/* Also asked for each new regular file: those are seen when they are opened. */
static __always_inline int see_mknod(__u64 *ctx)
{
	struct change change = {
		.action = ACTION_MKNOD,
		DIRECTORY_ENTRY(0),
		.argument = (__u16)ctx[2],
		.argument2 = (__u32)ctx[3],
	};
	__u32 type = change.argument & MODE_TYPE;

	return !type || type == MODE_REGULAR ? 0 : report_change(&change);
}

HOOK(mknod, path_mknod)

static __always_inline int see_rename(__u64 *ctx)
{
	struct change change = {
		.action = ACTION_RENAME,
		DIRECTORY_ENTRY(0),
		.other_mnt = mount_of(ctx[2]),
		.other_dentry = address_of(ctx[3]),
	};

	return report_change(&change);
}

HOOK(rename, path_rename)

/* First the file that is there, then its new name. */
static __always_inline int see_link(__u64 *ctx)
{
	struct change change = {
		.action = ACTION_LINK,
		.mnt = mount_of(ctx[1]),
		.dentry = address_of(ctx[0]),
		.other_mnt = mount_of(ctx[1]),
		.other_dentry = address_of(ctx[2]),
	};

	return report_change(&change);
}

HOOK(link, path_link)

/* First the new name, then what it stands for, as it was given. */
static __always_inline int see_symlink(__u64 *ctx)
{
	struct change change = {
		.action = ACTION_SYMLINK, DIRECTORY_ENTRY(0), .text = (const void *)ctx[2],
	};

	return report_change(&change);
}

HOOK(symlink, path_symlink)

static __always_inline int see_chmod(__u64 *ctx)
{
	struct change change = {
		.action = ACTION_CHMOD, WHOLE_PATH(0), .argument = (__u16)ctx[1],
	};

	return report_change(&change);
}

HOOK(chmod, path_chmod)

static __always_inline int see_chown(__u64 *ctx)
{
	struct change change = {
		.action = ACTION_CHOWN,
		WHOLE_PATH(0),
		.argument = (__u32)ctx[1],
		.argument2 = (__u32)ctx[2],
	};

	return report_change(&change);
}

HOOK(chown, path_chown)

static __always_inline int see_truncate(__u64 *ctx)
{
	struct change change = { .action = ACTION_TRUNCATE, WHOLE_PATH(0) };

	return report_change(&change);
}

HOOK(truncate, path_truncate)

/* Since 6.2 for open files. */
static __always_inline int see_ftruncate(__u64 *ctx)
{
	const struct file *file = (const void *)ctx[0];
	struct change change = {
		.action = ACTION_TRUNCATE,
		.mnt = BPF_CORE_READ(file, f_path.mnt),
		.dentry = BPF_CORE_READ(file, f_path.dentry),
	};

	return report_change(&change);
}

HOOK(ftruncate, file_truncate)

#endif
