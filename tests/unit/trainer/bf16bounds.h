/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds for what a whole model gives in bfloat16, one per quantity (logits, one tensor's gradient,
 * ...): relative errors (Frobenius) of the ensemble of bf16model.h against float64 in the golden
 * file, their root mean square times BF16_SLACK. No number here comes from a machine.
 */
#ifndef RN_TESTS_UNIT_TRAINER_BF16BOUNDS_H
#define RN_TESTS_UNIT_TRAINER_BF16BOUNDS_H

#include "tests/unit/trainer/bf16model.h"
#include "trainer/trainerstate.h"

enum { BF16_QUANTITIES = 64 };

struct bf16_errors {
    size_t count;
    char name[BF16_QUANTITIES][RN_SEGMENT_NAME_MAX + 16];
    double error[BF16_QUANTITIES];
};

struct bf16_bounds {
    size_t count;
    double square_sum[BF16_QUANTITIES]; /* over the samples */
};

static inline double bf16_relative_error(const float *found, const float *expected, size_t count)
{
    double difference = 0.0;
    double size = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)found[i] - (double)expected[i];
        difference += d * d;
        size += (double)expected[i] * (double)expected[i];
    }
    return sqrt(difference / size);
}

static inline void bf16_error_add(struct bf16_errors *errors, const char *name, const float *found,
                                  const float *expected, size_t count)
{
    const size_t at = errors->count++;
    assert_true(at < BF16_QUANTITIES);
    assert_true(rn_text_format(errors->name[at], sizeof(errors->name[at]), "%s", name));
    errors->error[at] = bf16_relative_error(found, expected, count);
}

/* Each at most `tolerance`: for arithmetic that is not bfloat16. */
static inline void bf16_errors_check(const struct bf16_errors *errors, double tolerance,
                                     const char *model, const char *backend)
{
    for (size_t i = 0; i < errors->count; i++) {
        if (!(errors->error[i] <= tolerance)) {
            fail_msg("%s, %s, %s: relative error %g", model, backend, errors->name[i],
                     errors->error[i]);
        }
    }
}

static inline void bf16_bounds_add(struct bf16_bounds *bounds, const struct bf16_errors *errors)
{
    bounds->count = errors->count;
    for (size_t i = 0; i < errors->count; i++) {
        bounds->square_sum[i] += errors->error[i] * errors->error[i];
    }
}

static inline void bf16_bounds_check(const struct bf16_bounds *bounds,
                                     const struct bf16_errors *errors, const char *model,
                                     const char *backend)
{
    assert_int_equal(errors->count, bounds->count);
    for (size_t i = 0; i < errors->count; i++) {
        const double bound = BF16_SLACK * sqrt(bounds->square_sum[i] / BF16_SAMPLES);
        if (!(errors->error[i] <= bound)) {
            fail_msg("%s, %s, %s: relative error %g, bound %g", model, backend, errors->name[i],
                     errors->error[i], bound);
        }
    }
}

/* A trainer of one thread that was opened with the backend ref goes on in the model's arithmetic.
 */
static inline void bf16_model_use(struct rn_trainer *trainer, enum bf16_order order,
                                  enum bf16_rounding rounding, uint64_t seed)
{
    assert_int_equal(trainer->settled.threads, 1);
    trainer->lanes.kernels = bf16_model_table(order, rounding, seed);
    trainer->encoder.kernels = trainer->lanes.kernels;
}

#endif
