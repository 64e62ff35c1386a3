// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * The probes of security-ai. Each class of event has its own ring and, where more than one hook
 * can see it, a program for each hook: the loader picks.
 */
#include "process.h"
#include "connect.h"
#include "open.h"
#include "privilege.h"
#include "file.h"
#include "socket.h"
#include "surface.h"
#include "syscall.h"
#include "call.h"
#include "deny.h"

char LICENSE[] SEC("license") = "GPL";
