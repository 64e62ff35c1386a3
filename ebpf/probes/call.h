/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * System calls that no security hook sees, each by a program of its own: other calls cost nothing then. They are
 * for the native calls; what a 32-bit program does is not seen.
 */
#ifndef QUANTUMOS_CALL_H
#define QUANTUMOS_CALL_H

#include "syscall.h"

#if defined(__TARGET_ARCH_x86)
#define CALL_FUNCTION "__x64_sys_"
#elif defined(__TARGET_ARCH_arm64)
#define CALL_FUNCTION "__arm64_sys_"
#endif

static __always_inline bool succeeded(__u64 result)
{
	return result <= -4096ULL;
}

static __always_inline int take_own(const struct pt_regs *regs, __u64 result)
{
	__u32 number = number_of(regs);
	struct arguments arguments = {};
	struct calls *both;

	if (!succeeded(result))
		return 0;
	both = bpf_map_lookup_elem(&calls, &number);
	if (!both)
		return 0;
	read_arguments(regs, false, &arguments);
	return take_plain(&both->native, &arguments);
}

static __always_inline int duplicated(const struct pt_regs *regs, __u64 result, bool fcntl)
{
	struct arguments arguments = {};

	/* Most are fcntl() for something else, or make a descriptor above the standard ones. */
	if (result > 2)
		return 0;
	read_arguments(regs, false, &arguments);
	return take_stdio(&arguments, result, fcntl);
}

#define PLAIN_CALL(name)                                                        \
	SEC("fexit/" CALL_FUNCTION #name)                                       \
	int BPF_PROG(name##_call, const struct pt_regs *regs, long result)      \
	{                                                                       \
		return take_own(regs, result);                                  \
	}

#define STDIO_CALL(name, fcntl)                                                 \
	SEC("fexit/" CALL_FUNCTION #name)                                       \
	int BPF_PROG(name##_call, const struct pt_regs *regs, long result)      \
	{                                                                       \
		return duplicated(regs, result, fcntl);                         \
	}

PLAIN_CALL(unshare)
PLAIN_CALL(setns)
PLAIN_CALL(userfaultfd)
PLAIN_CALL(memfd_create)
PLAIN_CALL(sysinfo)
PLAIN_CALL(personality)
STDIO_CALL(dup, false)
STDIO_CALL(dup2, false)
STDIO_CALL(dup3, false)
STDIO_CALL(fcntl, true)

#endif
