/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What every security probe uses: counters, filters and the record's header.
 */
#ifndef QUANTUMOS_COMMON_H
#define QUANTUMOS_COMMON_H

#include "kernel.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "events.h"

/*
 * Bounds a number by a mask, in the very register: the compiler can neither leave it out nor check another copy than
 * the one that is used.
 */
#define BOUND(number, mask) asm volatile("%0 &= %1" : "+r"(number) : "i"(mask))

/* Thread group of the loader: its own opens and connects are not reported. 0 reports them too. */
const volatile __u32 ignored_pid = 0;

/* Records that found no room in their ring. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_CLASSES);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

/* Times a hook of the class fired, before any filter: how a self-test knows that it does. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_CLASSES);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

/* Records dropped by a filter below. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_CLASSES);
	__type(key, __u32);
	__type(value, __u64);
} filtered SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} ignored_cgroups SEC(".maps");

struct comm_key {
	__u8 comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct comm_key);
	__type(value, __u8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} ignored_comms SEC(".maps");

/* Records dropped because their cgroup had more than its limit in the second. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_CLASSES);
	__type(key, __u32);
	__type(value, __u64);
} limited SEC(".maps");

struct bucket_key {
	__u64 cgroup;
	__u32 class;
	__u32 reserved;
};

struct bucket {
	__u64 second; /* of the boot clock */
	__u64 events;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct bucket_key);
	__type(value, struct bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

static __always_inline struct config *get_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

/* Not 0 while the reader looks by itself every now and then. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} reader SEC(".maps");

/* When a record last woke the reader, by the boot clock. */
__u64 woken_ns = 0;

static __always_inline bool is_looking(void)
{
	__u32 zero = 0, *looks = bpf_map_lookup_elem(&reader, &zero);

	return looks && *looks;
}

/* Whether a record wakes the reader: that costs more than the record, by far where the processor is a virtual one. */
static __always_inline __u64 waking(void)
{
	if (is_looking())
		return BPF_RB_NO_WAKEUP;
	woken_ns = bpf_ktime_get_boot_ns();
	return 0;
}

/* The same for a record of this time that nobody needs at once: soon after another the reader looks again anyway. */
static __always_inline __u64 waking_unless_soon(__u64 time_ns)
{
	if (is_looking() || time_ns - woken_ns < SOON_NS)
		return BPF_RB_NO_WAKEUP;
	woken_ns = time_ns;
	return 0;
}

static __always_inline void count(void *counters, __u32 class)
{
	__u64 *n = bpf_map_lookup_elem(counters, &class);

	if (n)
		*n += 1;
}

/*
 * Whether the cgroup has had its events of this second. Processors that start a new second at the same time can
 * each start it: then a few more pass.
 */
static __always_inline bool is_limited(__u32 class, __u64 cgroup)
{
	struct config *config = get_config();
	struct bucket_key key = { .cgroup = cgroup, .class = class };
	struct bucket fresh = { .events = 1 };
	struct bucket *bucket;
	__u32 limit;

	if (!config || class >= EVENT_CLASSES)
		return false;
	limit = config->limits[class];
	if (!limit)
		return false;
	fresh.second = bpf_ktime_get_boot_ns() / 1000000000;
	bucket = bpf_map_lookup_elem(&buckets, &key);
	if (!bucket) {
		bpf_map_update_elem(&buckets, &key, &fresh, BPF_ANY);
		return false;
	}
	if (bucket->second != fresh.second) {
		bucket->second = fresh.second;
		bucket->events = 0;
	}
	__sync_fetch_and_add(&bucket->events, 1);
	if (bucket->events <= limit)
		return false;
	count(&limited, class);
	return true;
}

/* Whether a filter or a limit drops what the current task does. */
static __always_inline bool is_ignored(__u32 class)
{
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct comm_key key = {};

	if (bpf_map_lookup_elem(&ignored_cgroups, &cgroup)) {
		count(&filtered, class);
		return true;
	}
	bpf_get_current_comm(&key, sizeof(key));
	if (bpf_map_lookup_elem(&ignored_comms, &key)) {
		count(&filtered, class);
		return true;
	}
	return is_limited(class, cgroup);
}

static __always_inline bool is_own(void)
{
	return ignored_pid && bpf_get_current_pid_tgid() >> 32 == ignored_pid;
}

static __always_inline void fill_header(struct event_header *header, __u32 kind)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	const struct cred *cred = BPF_CORE_READ(task, cred);
	__u64 ids = bpf_get_current_pid_tgid();

	header->time_ns = bpf_ktime_get_boot_ns();
	header->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	header->parent_start_ns = BPF_CORE_READ(parent, group_leader, start_boottime);
	header->cgroup_id = bpf_get_current_cgroup_id();
	header->kind = kind;
	header->flags = 0;
	header->pid = ids >> 32;
	header->tid = (__u32)ids;
	header->ppid = BPF_CORE_READ(parent, tgid);
	header->uid = BPF_CORE_READ(cred, uid.val);
	header->gid = BPF_CORE_READ(cred, gid.val);
	header->euid = BPF_CORE_READ(cred, euid.val);
	header->egid = BPF_CORE_READ(cred, egid.val);
	header->reserved = 0;
	bpf_get_current_comm(header->comm, sizeof(header->comm));
}

#endif
