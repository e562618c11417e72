/* SPDX-License-Identifier: Apache-2.0
 *
 * Time. Only main programs and services/rpc read a clock; sans-I/O code is handed milliseconds as a
 * number.
 */
#ifndef RN_BASE_CLOCK_H
#define RN_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds on the monotonic clock; never goes back. */
uint64_t rn_clock_monotonic_ms(void);
/* Nanoseconds on the monotonic clock, for measurements. */
uint64_t rn_clock_monotonic_ns(void);
/* Milliseconds since 1970-01-01 UTC. */
uint64_t rn_clock_wall_ms(void);
/* "2026-01-31T12:00:00.123Z" of a wall time; out holds 25 characters. */
void rn_clock_format(char out[static 25], uint64_t wall_ms);

#endif
