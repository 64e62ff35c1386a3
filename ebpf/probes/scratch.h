/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Room for a record with its strings, too large for the stack. A task can be preempted in a hook, and another task
 * on this CPU must not get the same room: each takes what is free. Whoever finds nothing free counts its event
 * as lost.
 */
#ifndef QUANTUMOS_SCRATCH_H
#define QUANTUMOS_SCRATCH_H

#include "common.h"
#include "path.h"

/* Longest text that is no path, with its terminator: the target of a symbolic link, a name. */
#define TEXT_LIMIT 256

struct open_record {
	struct open_event event;
	__u8 path[PATH_LIMIT];
};

struct action_record {
	struct action_event event;
	__u8 strings[4 * PATH_LIMIT];
};

struct scratch {
	union {
		struct open_record open;
		struct action_record action;
	};
	struct watch_key key;
	__u32 users;
	__u32 which; /* its path buffer */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/*
 * Takes a scratch that nobody uses. An addition and a look instead of an exchange, which 5.10 lacks: at most one
 * task on this CPU finds itself alone.
 */
static __always_inline struct scratch *take_scratch(void)
{
	for (__u32 i = 0; i < SCRATCHES; i++) {
		__u32 key = i;
		struct scratch *scratch = bpf_map_lookup_elem(&scratches, &key);

		if (!scratch)
			return 0;
		__sync_fetch_and_add(&scratch->users, 1);
		if (*(volatile __u32 *)&scratch->users == 1) {
			scratch->which = PATH_BUFFER_SCRATCH + i;
			return scratch;
		}
		__sync_fetch_and_add(&scratch->users, -1);
	}
	return 0;
}

static __always_inline void give_back(struct scratch *scratch)
{
	__sync_fetch_and_add(&scratch->users, -1);
}

#endif
