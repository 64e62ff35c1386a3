// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * Run-queue latency of each cgroup: how long its tasks were runnable before they ran. A task becomes
 * runnable by a wake-up or when it is preempted; the wait ends when it is switched to.
 */
#include "kernel.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "events.h"

/* Waits shorter than this are not counted, in nanoseconds: 0 counts all. */
const volatile __u64 min_latency_ns = 0;

/* When a task became runnable, by its thread id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u64);
} runnable SEC(".maps");

/*
 * By cgroup v2 id. An LRU map: cgroups that come and go cannot fill it. The counts of an evicted
 * cgroup start again from zero.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 512);
	__type(key, __u64);
	__type(value, struct latency);
} latencies SEC(".maps");

/* Waits that could not be timed because `runnable` was full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} missed SEC(".maps");

/* The value that a new cgroup starts with; too large for the stack. */
static const struct latency nothing;

static __always_inline int enqueue(struct task_struct *task)
{
	__u32 pid = task->pid;
	__u64 now;

	/* The idle task always waits. */
	if (!pid)
		return 0;
	now = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&runnable, &pid, &now, BPF_ANY)) {
		__u32 zero = 0;
		__u64 *n = bpf_map_lookup_elem(&missed, &zero);

		if (n)
			*n += 1;
	}
	return 0;
}

/* floor(log2(value)), 0 for 0. */
static __always_inline __u32 log2_of(__u64 value)
{
	__u32 exponent = 0;

	if (value >> 32) {
		value >>= 32;
		exponent += 32;
	}
	if (value >> 16) {
		value >>= 16;
		exponent += 16;
	}
	if (value >> 8) {
		value >>= 8;
		exponent += 8;
	}
	if (value >> 4) {
		value >>= 4;
		exponent += 4;
	}
	if (value >> 2) {
		value >>= 2;
		exponent += 2;
	}
	return exponent + (value >> 1 ? 1 : 0);
}

/*
 * Slot 0 holds what is below 2^LATENCY_FIRST_EXPONENT; then each power of two has two slots, split
 * at one and a half.
 */
static __always_inline __u32 slot_of(__u64 ns)
{
	__u32 exponent = log2_of(ns);
	__u32 slot;

	if (exponent < LATENCY_FIRST_EXPONENT)
		return 0;
	slot = 1 + 2 * (exponent - LATENCY_FIRST_EXPONENT) + ((ns >> (exponent - 1)) & 1);
	return slot < LATENCY_SLOTS ? slot : LATENCY_SLOTS - 1;
}

static __always_inline bool is_running(struct task_struct *task)
{
	struct task_struct___state *old = (void *)task;

	if (bpf_core_field_exists(old->state))
		return !BPF_CORE_READ(old, state);
	return !task->__state;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(latency_wakeup, struct task_struct *task)
{
	return enqueue(task);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(latency_wakeup_new, struct task_struct *task)
{
	return enqueue(task);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(latency_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct latency *latency;
	__u64 *since, wait, cgroup;
	__u32 pid, slot;

	if (preempt || is_running(prev))
		enqueue(prev);
	pid = next->pid;
	since = bpf_map_lookup_elem(&runnable, &pid);
	if (!since)
		return 0;
	wait = bpf_ktime_get_ns() - *since;
	bpf_map_delete_elem(&runnable, &pid);
	/* Negative when the two CPUs' clocks differ by more than the wait. */
	if ((__s64)wait < 0 || wait < min_latency_ns)
		return 0;
	cgroup = next->cgroups->dfl_cgrp->kn->id;
	latency = bpf_map_lookup_elem(&latencies, &cgroup);
	if (!latency) {
		bpf_map_update_elem(&latencies, &cgroup, &nothing, BPF_NOEXIST);
		latency = bpf_map_lookup_elem(&latencies, &cgroup);
		if (!latency)
			return 0;
	}
	latency->wakeups += 1;
	latency->sum_ns += wait;
	if (wait > latency->max_ns)
		latency->max_ns = wait;
	slot = slot_of(wait);
	if (slot < LATENCY_SLOTS)
		latency->slots[slot] += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
