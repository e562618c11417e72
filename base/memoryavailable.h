/* SPDX-License-Identifier: Apache-2.0
 *
 * How much memory this process may still take.
 */
#ifndef RN_BASE_MEMORYAVAILABLE_H
#define RN_BASE_MEMORYAVAILABLE_H

#include <stdint.h>

/* The least of MemAvailable of /proc/meminfo and what the control groups (version 2 or 1) of this
 * process leave; UINT64_MAX when the system says nothing. */
uint64_t rn_memory_available(void);

/* The same from other roots than "/proc" and "/sys/fs/cgroup", for tests. */
uint64_t rn_memory_available_in(const char *proc, const char *cgroup);

#endif
