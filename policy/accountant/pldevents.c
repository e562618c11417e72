/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldevents.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>
#include <stdlib.h>

/* What the mechanism is made of and nothing else: fields of other kinds are zero. */
static struct rn_privacy_event bare(const struct rn_privacy_event *event)
{
    struct rn_privacy_event out = {.kind = event->kind, .count = event->count};
    if (event->kind == RN_PRIVACY_EPSILON_DELTA) {
        out.epsilon = event->epsilon;
        out.delta = event->delta;
        return out;
    }
    out.noise = event->noise;
    out.rate = event->kind == RN_PRIVACY_GAUSSIAN ? 1 : event->rate;
    out.rate = event->kind == RN_PRIVACY_ALLOCATION ? 0 : out.rate;
    switch (event->kind) {
    case RN_PRIVACY_TRUNCATED:
        out.records = event->records;
        out.cap = event->cap;
        break;
    case RN_PRIVACY_GROUP:
        out.group = event->group;
        break;
    case RN_PRIVACY_SHARED: /* which no PLD knows: pldmix.h says so */
        break;
    case RN_PRIVACY_ALLOCATION:
        out.picks = event->picks;
        out.slots = event->slots;
        break;
    default:
        out.kind = RN_PRIVACY_POISSON; /* GAUSSIAN is the rate 1 of it */
    }
    return out;
}

#define COMPARE(field)                       \
    if (a->field != b->field) {              \
        return a->field < b->field ? -1 : 1; \
    }
static int compare(const void *left, const void *right)
{
    const struct rn_privacy_event *a = left, *b = right;
    COMPARE(kind)
    COMPARE(noise)
    COMPARE(rate)
    COMPARE(records)
    COMPARE(cap)
    COMPARE(group)
    COMPARE(picks)
    COMPARE(slots)
    COMPARE(epsilon)
    COMPARE(delta)
    return 0;
}

/* One pick of some slots, `times` times: all records where it is one slot. */
static void add_picks(struct rn_privacy_event *list, size_t *listed,
                      const struct rn_privacy_event *event, uint32_t slots, uint64_t times)
{
    if (times > 0) {
        struct rn_privacy_event *out = &list[(*listed)++];
        *out = *event;
        out->kind = slots > 1 ? RN_PRIVACY_ALLOCATION : RN_PRIVACY_POISSON;
        out->rate = slots > 1 ? 0 : 1;
        out->picks = slots > 1 ? 1 : 0;
        out->slots = slots > 1 ? slots : 0;
        out->count = event->count * times;
    }
}

/* k picks of t slots are one pick each of k groups of slots, t / k or one more in each, where the
 * groups are chosen by chance and told (by symmetry every choice of k is as likely; and telling
 * only costs). */
static void split(struct rn_privacy_event *list, size_t *listed,
                  const struct rn_privacy_event *event)
{
    if (event->kind != RN_PRIVACY_ALLOCATION) {
        list[(*listed)++] = *event;
        return;
    }
    const uint32_t slots = event->slots / event->picks, more = event->slots % event->picks;
    add_picks(list, listed, event, slots, event->picks - more);
    add_picks(list, listed, event, slots + 1, more);
}

static struct rn_privacy_event *gather(const struct rn_privacy_event *events, size_t *count)
{
    struct rn_privacy_event *list = rn_alloc(2 * *count, sizeof *list);
    size_t listed = 0;
    for (size_t i = 0; i < *count; i++) {
        const struct rn_privacy_event event = bare(&events[i]);
        split(list, &listed, &event);
    }
    qsort(list, listed, sizeof *list, compare);
    size_t kept = 0;
    for (size_t i = 0; i < listed; i++) {
        if (kept > 0 && compare(&list[kept - 1], &list[i]) == 0) {
            list[kept - 1].count += list[i].count;
        } else {
            list[kept++] = list[i];
        }
    }
    *count = kept;
    return list;
}

static void measure(struct rn_pld_events *out, enum rn_pld_direction direction)
{
    double sum = 0;
    for (size_t j = 0; j < out->count; j++) {
        double mean, variance;
        rn_pld_mix_moments(&out->mix[direction][j], &mean, &variance);
        sum += out->mix[direction][j].repeats * variance;
    }
    out->width = fmax(out->width, sqrt(sum));
}

rn_result rn_pld_events_init(struct rn_pld_events *out, const struct rn_privacy_event *events,
                             size_t count, struct rn_error *err)
{
    *out = (struct rn_pld_events){.count = count};
    RN_CLEANUP(rn_free_cleanup) struct rn_privacy_event *list = gather(events, &out->count);
    for (size_t j = 0; j < out->count; j++) {
        out->repeats += (double)list[j].count;
        out->atom = fmax(out->atom, list[j].epsilon);
        out->allocated = out->allocated || list[j].kind == RN_PRIVACY_ALLOCATION;
    }
    for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
        out->mix[d] = rn_alloc(out->count, sizeof *out->mix[d]);
        for (size_t j = 0; j < out->count; j++) {
            RN_TRY(rn_pld_mix_init(&out->mix[d][j], &list[j], (enum rn_pld_direction)d, err));
        }
        measure(out, (enum rn_pld_direction)d);
    }
    return rn_ok();
}

void rn_pld_events_free(struct rn_pld_events *events)
{
    for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
        rn_free(RN_TAKE(events->mix[d]));
    }
}

rn_result rn_pld_steps_init(struct rn_pld_steps *out, const struct rn_pld_events *events,
                            enum rn_pld_direction direction, bool above, double h, double tail,
                            struct rn_error *err)
{
    *out = (struct rn_pld_steps){.h = h, .step = rn_alloc(events->count, sizeof *out->step)};
    uint32_t left = RN_PLD_BINS_MAX;
    for (size_t j = 0; j < events->count; j++) {
        struct rn_pld_step *step = &out->step[out->count++];
        const struct rn_pld_mix *mix = &events->mix[direction][j];
        RN_TRY(above ? rn_pld_step_above(step, mix, h, tail, left, err)
                     : rn_pld_step_below(step, mix, h, tail, left, err));
        left -= step->count;
    }
    return rn_ok();
}

void rn_pld_steps_free(struct rn_pld_steps *steps)
{
    for (size_t j = 0; j < steps->count; j++) {
        rn_pld_step_free(&steps->step[j]);
    }
    steps->count = 0;
    rn_free(RN_TAKE(steps->step));
}
