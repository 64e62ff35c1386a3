/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Absolute paths by a walk from the dentry to the root of its mount namespace. It takes no lock,
 * so a rename during the walk can mix the old and the new place. bpf_d_path() is no choice here:
 * only a few hooks may call it, and it stops at a chroot's root.
 */
#ifndef QUANTUMOS_PATH_H
#define QUANTUMOS_PATH_H

#include "common.h"

/* Exec has a buffer of its own; whoever can be preempted takes one of the others: see scratch.h. */
#define PATH_BUFFER_EXEC 0
#define PATH_BUFFER_SCRATCH 1
#define SCRATCHES 4
#define PATH_BUFFERS (PATH_BUFFER_SCRATCH + SCRATCHES)

/* The path grows downwards from data[PATH_LIMIT]; the slack keeps the verifier's bounds simple. */
struct path_buffer {
	__u8 data[PATH_LIMIT + 256];
	/* Where the walk is. */
	struct dentry *dentry;
	struct dentry *root;
	struct mount *mount;
	__u32 at;
	__u32 truncated;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PATH_BUFFERS);
	__type(key, __u32);
	__type(value, struct path_buffer);
} path_buffers SEC(".maps");

/* Set in what write_path() returns when leading components are missing. */
#define PATH_TRUNCATED 0x10000

/* Components that one call of walk() follows. */
#define PATH_STEPS 4

/*
 * Follows some components towards the root; 0 when there are more. A global function: the verifier looks at it once
 * and not for each of the components that a path may have, which is most of its work.
 */
__noinline __u32 walk(__u32 which)
{
	struct path_buffer *buffer = bpf_map_lookup_elem(&path_buffers, &which);
	struct dentry *dentry, *root;
	struct mount *mount;
	__u32 at, done = 1;

	if (!buffer)
		return 1;
	dentry = buffer->dentry;
	root = buffer->root;
	mount = buffer->mount;
	at = buffer->at;
	for (int i = 0; i < PATH_STEPS; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		const unsigned char *name;
		__u32 length;

		/*
		 * Forget what is known of `at`: else its bounds differ from one way through the loop
		 * to another, and the verifier tries all of them.
		 */
		asm volatile("%0 &= %1" : "+r"(at) : "i"(PATH_LIMIT - 1));
		if (dentry == root) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount) {
				buffer->truncated = 0;
				goto out;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			root = BPF_CORE_READ(mount, mnt.mnt_root);
			continue;
		}
		length = BPF_CORE_READ(dentry, d_name.len) & 255;
		if (at <= length + 1)
			goto out;
		at -= length;
		name = BPF_CORE_READ(dentry, d_name.name);
		bpf_probe_read_kernel(&buffer->data[at & (PATH_LIMIT - 1)], length, name);
		at -= 1;
		buffer->data[at & (PATH_LIMIT - 1)] = '/';
		if (dentry == parent) {
			/* A file that was never in a tree: a memfd, a pipe. */
			buffer->truncated = 0;
			goto out;
		}
		dentry = parent;
	}
	buffer->dentry = dentry;
	buffer->root = root;
	buffer->mount = mount;
	done = 0;
out:
	buffer->at = at;
	return done;
}

/*
 * Writes the path of a dentry below a mount (a `struct dentry` and a `struct vfsmount` of the kernel's) into a
 * buffer, with a terminator, so that it ends at data[PATH_LIMIT]. Returns where it starts. A global function
 * with plain numbers as arguments: the verifier looks at it once, on its own, and kernel 5.10 takes it.
 */
__noinline __u32 write_path(__u64 mnt, __u64 entry, __u32 which)
{
	struct path_buffer *buffer = bpf_map_lookup_elem(&path_buffers, &which);
	struct vfsmount *vfsmount = (void *)mnt;
	__u32 at;

	if (!buffer)
		return PATH_LIMIT - 1;
	buffer->data[PATH_LIMIT - 1] = 0;
	buffer->dentry = (void *)entry;
	buffer->mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	buffer->root = BPF_CORE_READ(vfsmount, mnt_root);
	buffer->truncated = PATH_TRUNCATED;
	buffer->at = PATH_LIMIT - 1;
	for (int i = 0; i < PATH_DEPTH / PATH_STEPS; i++) {
		if (walk(which))
			break;
	}
	at = buffer->at;
	if (at == PATH_LIMIT - 1) {
		at -= 1;
		buffer->data[PATH_LIMIT - 2] = '/';
	}
	return at | buffer->truncated;
}

/* The same for a `struct path`. */
static __always_inline __u32 write_path_of(const struct path *path, __u32 which)
{
	return write_path((__u64)BPF_CORE_READ(path, mnt), (__u64)BPF_CORE_READ(path, dentry),
			  which);
}

#endif
