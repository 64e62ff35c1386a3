/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What the probes and the loader share: constants and the layout of every record.
 *
 * The build script reads this file too and turns each `#define EVENT_*`/`FLAG_*`/`WATCH_*`/...
 * NUMBER and each struct into Rust constants; it also makes the compiler assert that both sides agree on
 * every offset. Keep to that subset: one field a line, __u8/__u16/__u32/__u64 and arrays of them,
 * sizes as plain numbers or defined names, no implicit padding.
 */
#ifndef QUANTUMOS_EVENTS_H
#define QUANTUMOS_EVENTS_H

/* event_header.kind, and the index of the class in the `lost` and `seen` counters. */
#define EVENT_EXEC 0
#define EVENT_EXIT 1
#define EVENT_FORK 2
#define EVENT_CONNECT 3
#define EVENT_OPEN 4
#define EVENT_PRIVILEGE 5
#define EVENT_FILE 6
#define EVENT_SOCKET 7
#define EVENT_KERNEL 8
#define EVENT_CLASSES 9

/* action_event.action. What the fields of the record mean for each is in src/action.rs. */
#define ACTION_SETUID 1
#define ACTION_SETGID 2
#define ACTION_CAPSET 3
#define ACTION_PTRACE 4
#define ACTION_TRACEME 5
#define ACTION_KILL 6
#define ACTION_UNLINK 10
#define ACTION_RMDIR 11
#define ACTION_MKDIR 12
#define ACTION_MKNOD 13
#define ACTION_RENAME 14
#define ACTION_LINK 15
#define ACTION_SYMLINK 16
#define ACTION_CHMOD 17
#define ACTION_CHOWN 18
#define ACTION_TRUNCATE 19
#define ACTION_BIND 30
#define ACTION_LISTEN 31
#define ACTION_ACCEPT 32
#define ACTION_SEND 33
#define ACTION_RAW_SOCKET 34
#define ACTION_DUP 35
#define ACTION_MODULE 40
#define ACTION_BPF 41
#define ACTION_MOUNT 42
#define ACTION_UMOUNT 43
#define ACTION_UNSHARE 44
#define ACTION_SETNS 45
#define ACTION_PIVOT_ROOT 46
#define ACTION_USERFAULTFD 47
#define ACTION_MEMFD 48
#define ACTION_MPROTECT 49
#define ACTION_SYSLOG 50
#define ACTION_SYSINFO 51
#define ACTION_PERSONALITY 52
#define ACTION_DENIED 53

/* How the end of a system call is looked at: call.kind. */
#define CALL_NONE 0
#define CALL_OPEN 1
#define CALL_CONNECT 2
#define CALL_PATHS 3
#define CALL_FILE 4
#define CALL_LOCAL 5
#define CALL_PEER 6
#define CALL_SEND 7
#define CALL_SENDMSG 8
#define CALL_STDIO 9
#define CALL_PLAIN 10
/* The call has a program of its own: the one at the end of every call leaves it alone. */
#define CALL_OWN 128
/* No such argument. */
#define CALL_ABSENT 7
/* Numbers of calls that can be looked at are below. */
#define CALLS 512

/* Beginnings and ends of processes wake nobody so soon after a record that woke the reader. */
#define SOON_NS 50000000

/* Longest part of the arguments that is kept, in bytes; the rest is counted and flagged. */
#define EXEC_ARGV_MAX 4096
/* Longest path that is kept, in bytes, with its terminator. */
#define PATH_LIMIT 4096
/* Components of a path that are followed towards the root. */
#define PATH_DEPTH 40
/* Ancestors listed in an exec event, the parent first. */
#define EXEC_ANCESTORS 8
/* Bytes of a path that the watch list can look at: the limit of the kernel's LPM trie. */
#define WATCH_KEY_MAX 256
/* Longest file name that a watch can match by name, in bytes. */
#define WATCH_NAME_MAX 64

/* event_header.flags */
#define FLAG_ARGV_TRUNCATED 1
#define FLAG_ARGV_UNREADABLE 2
#define FLAG_PATH_TRUNCATED 4
#define FLAG_EXE_DELETED 8
#define FLAG_EXE_MEMFD 16
#define FLAG_CWD_TRUNCATED 32
#define FLAG_FILENAME_TRUNCATED 64
#define FLAG_CORE_DUMPED 128
#define FLAG_NEW_NAMESPACES 256
/* The second path of an action lacks its start or its end. */
#define FLAG_OTHER_TRUNCATED 512
/* The strings are the caller's: another thread could have changed them since the kernel read them. */
#define FLAG_CALLERS_STRINGS 1024

/* Which accesses of a watched path are reported. */
#define WATCH_READ 1
#define WATCH_WRITE 2
#define WATCH_CHANGE 4

/* open_event.access, as the kernel's FMODE_* bits. */
#define ACCESS_READ 1
#define ACCESS_WRITE 2
#define ACCESS_CREATED 1048576

/* The start of every record. */
struct event_header {
	__u64 time_ns;		/* boot clock */
	__u64 start_ns;		/* start of the process, boot clock: with pid, an identity */
	__u64 parent_start_ns;
	__u64 cgroup_id;	/* cgroup v2 */
	__u32 kind;
	__u32 flags;
	__u32 pid;		/* thread group, initial PID namespace */
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 reserved;
	__u8 comm[16];
};

struct ancestor {
	__u64 start_ns;
	__u32 pid;
	__u32 reserved;
	__u8 comm[16];
};

/* Followed by filename, executable, working directory, terminal and arguments, in this order. */
struct exec_event {
	struct event_header header;
	__u64 cap_effective;
	__u64 cap_permitted;
	__u64 argv_bytes;	/* before truncation */
	__u64 inode;
	__u32 device;		/* kernel encoding: major << 20 | minor */
	__u32 mode;
	__u32 owner;
	__u32 argc;
	__u32 login_uid;
	__u32 session_id;
	__u32 ns_mount;
	__u32 ns_pid;
	__u32 ns_net;
	__u32 ns_user;
	__u32 filename_len;
	__u32 executable_len;
	__u32 directory_len;
	__u32 terminal_len;
	__u32 argv_len;
	__u32 ancestors_len;
	struct ancestor ancestors[EXEC_ANCESTORS];
};

struct exit_event {
	struct event_header header;
	__u32 code;		/* as wait(2) gives it */
	__u32 reserved;
};

struct fork_event {
	struct event_header header;	/* of the caller */
	__u64 child_start_ns;
	__u32 child_pid;
	__u32 child_ppid;	/* differs from the caller's pid with CLONE_PARENT */
};

struct connect_event {
	struct event_header header;
	__u32 family;
	__u32 protocol;		/* IPPROTO_* */
	__u32 port;		/* host order */
	__u32 reserved;
	__u8 address[16];	/* network order; the first four bytes for IPv4 */
};

/* The key of a watched path: a struct bpf_lpm_trie_key. */
struct watch_key {
	__u32 prefix_bits;
	__u8 path[WATCH_KEY_MAX];
};

/* Can be changed while the probes run. */
struct config {
	__u32 path_accesses;	/* WATCH_* that any watched path has: others need no path */
	__u32 everywhere;	/* actions of class file that are reported whatever the path: 1 << (ACTION_* - 10) */
	__u32 limits[EVENT_CLASSES];	/* events a second of one cgroup that are reported; 0 for all */
	__u32 reserved;
};

/* Which executions are refused; 0 stands for any inode or any cgroup. */
struct deny_key {
	__u64 inode;
	__u64 cgroup;
	__u32 device;
	__u32 reserved;
};

/* What to do at the end of a system call: the places of its arguments, or CALL_ABSENT. */
struct call {
	__u8 kind;		/* CALL_* */
	__u8 action;
	__u8 first_directory;
	__u8 first;
	__u8 second_directory;
	__u8 second;
	__u8 argument;
	__u8 argument2;
};

struct calls {
	struct call native;
	struct call compat;
};

/* Followed by the two strings. */
struct action_event {
	struct event_header header;
	__u64 arguments[4];
	__u64 inode;
	__u64 target_start_ns;
	__u32 action;
	__u32 device;
	__u32 mode;
	__u32 owner;
	__u32 target_pid;
	__u32 family;
	__u32 protocol;
	__u32 port;		/* host order */
	__u8 address[16];	/* network order; the first four bytes for IPv4 */
	__u8 label[16];
	__u32 first_len;
	__u32 second_len;
};

/* Followed by the path. */
struct open_event {
	struct event_header header;
	__u64 inode;
	__u32 device;
	__u32 mode;
	__u32 owner;
	__u32 open_flags;	/* O_* */
	__u32 access;		/* FMODE_* */
	__u32 path_len;
};

/* Run-queue latency of one cgroup on one CPU. */
#define LATENCY_SLOTS 64
/* log2 of the first slot's upper bound, in nanoseconds: everything below is in slot 0. */
#define LATENCY_FIRST_EXPONENT 9
struct latency {
	__u64 wakeups;
	__u64 sum_ns;
	__u64 max_ns;
	__u64 slots[LATENCY_SLOTS];
};

#endif
