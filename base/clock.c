/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks.
 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t rn_clock_monotonic_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000u;
}
uint64_t rn_clock_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}
uint64_t rn_clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000u;
}

void rn_clock_format(char out[static 25], uint64_t wall_ms)
{
    const time_t seconds = (time_t)(wall_ms / 1000u);
    struct tm utc = {0};
    char date[64];
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out, 25, "%.19s.%03uZ", date, (unsigned)(wall_ms % 1000u));
}
