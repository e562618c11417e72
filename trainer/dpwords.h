/* SPDX-License-Identifier: Apache-2.0
 *
 * DP-SGD inside rn_trainer_train (rn_train_spec.dp). Part of trainer/trainer.h.
 *
 * A step: noise is drawn (for the whole call before the first record is chosen, while the pool fits
 * RN_DP_POOL_BYTES_MAX; else for this step, before its records are taken); the records of the step
 * are chosen; each record's own gradient of every trained value (its own loss, scale 1) is clipped
 * to clip_norm (one norm over everything that trains: both matrices and the head), truncated to
 * whole numbers of clip_norm / grid and checked to be no longer than grid, exactly (kernels.h,
 * clip_add); the whole numbers are added; noise of deviation noise_multiplier * grid is added to
 * every trained value; the result times clip_norm / (grid * denominator) is the gradient that the
 * optimiser sees.
 *
 * The head's matrices see one row of each record, so their part of its gradient is a product of two
 * rows. Where the backend can (kernels.h, clip_add_outer) no such product is stored or rounded: its
 * norm is the product of the rows' norms, and its whole numbers are formed one row of the sum at a
 * time, checked with the rest. They depend, as all others, on the record alone.
 *
 * Adding or removing a record moves the sum of whole numbers by at most grid (in the 2-norm) in
 * every step whose draw is no larger than rn_train_spec.batch: the other records keep their exact
 * bits whatever batch they are in. Where more are drawn the batch is cut, and a record that joins
 * can put another out: then the sum moves by up to 2 grid. An accountant must count that event,
 * whose probability follows from the sampling rate, the number of records and the batch, or forbid
 * it. A backend that cannot promise that has no clip_add, and training refuses with
 * RN_E_UNSUPPORTED.
 *
 * No accountant is here: nothing in this header is a claim of any epsilon.
 *
 * What comes back from rn_trainer_train holds no number that depends on the data: its losses are
 * NaN, examples, tokens and seconds are 0, in the report and in the progress; a gradient or loss
 * that is not finite is a zero vector and no error. `diagnostics` holds such numbers for the owner
 * of the data; they must not leave the site.
 */
#ifndef RN_TRAINER_DPWORDS_H
#define RN_TRAINER_DPWORDS_H

#include <stddef.h>
#include <stdint.h>

#define RN_DP_GRID_DEFAULT (1u << 20)
#define RN_DP_GRID_MAX (1u << 23)
#define RN_DP_CLIP_MIN 1e-9
#define RN_DP_CLIP_MAX 1e9
#define RN_DP_NOISE_MAX 512.0
#define RN_DP_DENOMINATOR_MAX 1e15
/* Host memory of noise drawn ahead, 8 bytes for each trained value and step. */
#define RN_DP_POOL_BYTES_MAX ((size_t)256 << 20)
/* Device memory of gradients of examples in one lane; a block holds no more examples than fit (one
 * always does). */
#define RN_DP_GRADIENTS_BYTES_MAX ((size_t)128 << 20)

/* A constant of automatic clipping, in units of a gradient's norm. */
#define RN_DP_GAMMA 0.01

/* How a record's gradient g comes to be no longer than clip_norm. */
enum rn_dp_clipping {
    RN_DP_CLIP_FLAT, /* by min(1, clip_norm / |g|): Abadi et al. 2016 */
    /* By clip_norm / (|g| + RN_DP_GAMMA): Bu et al. 2023, "Automatic clipping". Every record comes
     * to nearly clip_norm, so that clip_norm is but a factor of the learning rate: nothing is there
     * to be tuned on the records. */
    RN_DP_CLIP_AUTOMATIC
};

/* ALLOCATION: most steps of a call, and most records times picks (the memory is 8 bytes each). */
#define RN_DP_ALLOCATION_STEPS_MAX ((uint32_t)1 << 24)
#define RN_DP_ALLOCATION_PICKS_MAX ((uint64_t)1 << 27)

enum rn_dp_sampling {
    RN_DP_BATCHES, /* rn_train_spec.batch records of a permuted epoch, as without dp: to measure */
    RN_DP_POISSON, /* each record for itself, the batch cut to rn_train_spec.batch at random */
    /* Each record in exactly `picks` of the call's steps, every choice of them as likely, each
     * record for itself, drawn before the first step; batches cut as above. Random allocation:
     * Feldman and Shenfeld 2025. */
    RN_DP_ALLOCATION
};

struct rn_dp_diagnostics {
    uint64_t examples;
    uint64_t tokens;
    uint64_t empty_batches;
    uint64_t cut_batches; /* more records were drawn than rn_train_spec.batch */
    uint64_t clipped;     /* norm above clip_norm; AUTOMATIC: norm + RN_DP_GAMMA above it */
    uint64_t not_finite;  /* counted as the zero vector */
    double norm_sum;      /* of the finite norms, before clipping */
    double loss_sum;      /* of the finite losses */
    double loss_first;    /* mean of the first batch that is not empty */
    double loss_last;
    double seconds; /* wall time of the steps and of all their noise */
};

struct rn_dp_spec {
    double clip_norm; /* RN_DP_CLIP_MIN..MAX */
    enum rn_dp_clipping clipping;
    double noise_multiplier; /* 0 (no noise: for tests of the sum) .. RN_DP_NOISE_MAX */
    uint32_t grid;           /* 1..RN_DP_GRID_MAX [RN_DP_GRID_DEFAULT] */
    double denominator;      /* a public number, 1..RN_DP_DENOMINATOR_MAX: the expected batch */
    enum rn_dp_sampling sampling;
    /* POISSON: a record is in the batch when its 64 bits are below this: rate * 2^64; at least 1,
     * UINT64_MAX = every record. */
    uint64_t threshold;
    uint32_t picks; /* ALLOCATION: 1..rn_train_spec.steps */
    void *context;
    /* n whole numbers round(Z), Z normal with this deviation, independent. */
    void (*noise)(void *context, size_t n, double deviation, int64_t *out);
    /* n uniform 64-bit numbers; not for BATCHES. */
    void (*uniform)(void *context, size_t n, uint64_t *out);
    struct rn_dp_diagnostics *diagnostics; /* may be NULL */
};

/* rate * 2^64 rounded down, at least 1, for 0 < rate < 1; UINT64_MAX for 1. A rate that is not in
 * (0, 1] is a bug. */
uint64_t rn_dp_threshold(double rate);

#endif
