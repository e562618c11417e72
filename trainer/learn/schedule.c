/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning rate schedules.
 */
#include "trainer/learn/trainloop.h"

#include <math.h>

double rn_schedule_factor(enum rn_schedule schedule, uint64_t step, uint64_t warmup, uint64_t total)
{
    if (step < warmup) {
        return (double)step / (double)warmup;
    }
    const double left = total > warmup ? (double)(total - warmup) : 1.0;
    const double progress = (double)(step - warmup) / left;
    switch (schedule) {
    case RN_SCHEDULE_LINEAR:
        return progress < 1.0 ? 1.0 - progress : 0.0;
    case RN_SCHEDULE_COSINE:
        return progress < 1.0 ? 0.5 * (1.0 + cos(M_PI * progress)) : 0.0;
    case RN_SCHEDULE_CONSTANT:
        break;
    }
    return 1.0;
}
