/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit of DP-SGD: its formulas; the mechanism holds what is claimed for it, in one run and,
 * with one canary in thousands of runs, nearly meets it; and each fault that is planted by
 * replacing a function of the mechanism at link time is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/noise.h"
#include "services/bench/auditbound.h"
#include "services/bench/auditrun.h"
#include "services/bench/benchplace.h"
#include "trainer/privacy/dp.h"

#include "tests/unit/trainer/goldenmodel.h"

/* ---- faults (linked with --wrap) ---- */

enum fault {
    NO_FAULT,
    NO_CLIP,         /* a record counts four times what is accounted */
    HALF_NOISE,      /* the deviation is half of what is accounted */
    CLIP_AFTER_MEAN, /* the mean of the records' gradients is clipped, not each of them */
    NOISE_REUSED,    /* every step has the noise of the first */
    FIXED_BATCH      /* the first records, as many as a batch should have, in every step */
};
static enum fault fault;

/* What the real functions see: specification and mechanism changed, as long as there is noise. */
static struct rn_train_spec changed_spec;
static struct rn_dp_spec changed_dp;
static const struct rn_dp_spec *told; /* by the caller */
static struct rn_lanes *lanes_of;

rn_result __real_rn_dp_new(struct rn_lanes *lanes, const struct rn_train_spec *spec,
                           const struct rn_pass_active *active, uint32_t steps, struct rn_dp **out,
                           struct rn_error *err);
rn_result __wrap_rn_dp_new(struct rn_lanes *lanes, const struct rn_train_spec *spec,
                           const struct rn_pass_active *active, uint32_t steps, struct rn_dp **out,
                           struct rn_error *err);
rn_result __wrap_rn_dp_new(struct rn_lanes *lanes, const struct rn_train_spec *spec,
                           const struct rn_pass_active *active, uint32_t steps, struct rn_dp **out,
                           struct rn_error *err)
{
    const bool unclipped = fault == NO_CLIP || fault == CLIP_AFTER_MEAN;
    const double times = fault == NO_CLIP ? 4.0 : 64.0; /* 64: no gradient is as long */
    lanes_of = lanes;
    told = spec->dp;
    if (!unclipped || spec->dp->noise_multiplier == 0.0) {
        return __real_rn_dp_new(lanes, spec, active, steps, out, err);
    }
    changed_spec = *spec;
    changed_dp = *spec->dp;
    changed_spec.dp = &changed_dp;
    changed_dp.clip_norm *= times;
    changed_dp.noise_multiplier /= times; /* the same noise on the sum of gradients */
    return __real_rn_dp_new(lanes, &changed_spec, active, steps, out, err);
}

/* The mean of the batch, clipped, times its number of records, and the noise. */
static rn_result clip_the_mean(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                               float *out_gradient, struct rn_error *err)
{
    const struct rn_pass_examples *each = &lanes_of->passes[0].each;
    const size_t n = rn_dp_elements(dp);
    const double unit = changed_dp.clip_norm / 0x1p20;
    int64_t *sum = rn_alloc(n, sizeof(*sum));
    int64_t *noise = rn_alloc(n, sizeof(*noise));
    double square = 0.0;
    RN_TRY(rn_dp_sum(dp, batch, count, sum, err));
    for (size_t j = 0; j < n; j++) {
        square += (double)sum[j] * unit * ((double)sum[j] * unit);
    }
    const double mean = sqrt(square) / fmax(1.0, count);
    const double f = fmin(1.0, told->clip_norm / mean);
    told->noise(told->context, n, told->noise_multiplier * 0x1p20, noise);
    for (size_t i = 0; i < each->run_count; i++) {
        const struct rn_pass_run *run = &each->runs[i];
        for (size_t j = 0; j < run->count; j++) {
            const size_t at = run->compact + j;
            out_gradient[run->place + j] = (float)(((double)sum[at] * unit * f +
                                                    (double)noise[at] * told->clip_norm / 0x1p20) /
                                                   told->denominator);
        }
    }
    rn_free(sum);
    rn_free(noise);
    return rn_ok();
}

rn_result __real_rn_dp_gradient(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                                float *out_gradient, struct rn_error *err);
rn_result __wrap_rn_dp_gradient(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                                float *out_gradient, struct rn_error *err);
rn_result __wrap_rn_dp_gradient(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                                float *out_gradient, struct rn_error *err)
{
    return fault == CLIP_AFTER_MEAN && told->noise_multiplier > 0.0
               ? clip_the_mean(dp, batch, count, out_gradient, err)
               : __real_rn_dp_gradient(dp, batch, count, out_gradient, err);
}

void __real_rn_noise_draw(struct rn_noise *noise, size_t n, double deviation, int64_t *out);
void __wrap_rn_noise_draw(struct rn_noise *noise, size_t n, double deviation, int64_t *out);
void __wrap_rn_noise_draw(struct rn_noise *noise, size_t n, double deviation, int64_t *out)
{
    if (fault == NOISE_REUSED) {
        noise->next = 0;
        rn_stream_seek(&noise->high, 0);
    }
    __real_rn_noise_draw(noise, n, fault == HALF_NOISE ? 0.5 * deviation : deviation, out);
}

size_t __real_rn_dp_choose(const struct rn_dp_spec *spec, size_t records, uint32_t most,
                           uint32_t *chosen);
size_t __wrap_rn_dp_choose(const struct rn_dp_spec *spec, size_t records, uint32_t most,
                           uint32_t *chosen);
size_t __wrap_rn_dp_choose(const struct rn_dp_spec *spec, size_t records, uint32_t most,
                           uint32_t *chosen)
{
    if (fault != FIXED_BATCH) {
        return __real_rn_dp_choose(spec, records, most, chosen);
    }
    const size_t count = (size_t)((double)records * (double)spec->threshold * 0x1p-64);
    for (size_t i = 0; i < count; i++) {
        chosen[i] = (uint32_t)i;
    }
    return count;
}

/* ---- formulas ---- */

/* Values computed by another implementation of the paper's algorithm. */
static void p_values_are_the_papers(void **state)
{
    (void)state;
    static const struct {
        uint32_t canaries, guesses, right;
        double epsilon, delta, p;
    } cases[] = {{1000, 100, 80, 1.0, 0.0, 0.07155625},
                 {1000, 100, 80, 1.0, 1e-5, 0.07300912},
                 {1000, 100, 80, 0.5, 1e-5, 8.69557e-4},
                 {1000, 200, 200, 3.0, 1e-5, 1.464896e-3},
                 {5000, 500, 400, 1.0, 1e-6, 4.056748e-4}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const double p = rn_audit_p_value(cases[i].canaries, cases[i].guesses, cases[i].right,
                                          cases[i].epsilon, cases[i].delta);
        assert_true(fabs(p / cases[i].p - 1.0) < 1e-6);
        /* and back: the greatest epsilon that is refused at this p-value */
        const double epsilon = rn_audit_epsilon(cases[i].canaries, cases[i].guesses, cases[i].right,
                                                cases[i].delta, p);
        assert_true(fabs(epsilon - cases[i].epsilon) < 1e-5);
    }
    assert_true(rn_audit_p_value(100, 100, 0, 1.0, 0.0) >= 1.0 - 1e-12);
    assert_true(rn_audit_epsilon(100, 100, 50, 0.0, 0.05) == 0.0);
    /* by hand: 64 right of 64 refuse every epsilon with (1 + e^-epsilon)^-64 <= 0.05 */
    const double all = rn_audit_epsilon(64, 64, 64, 0.0, 0.05);
    assert_true(fabs(pow(1.0 + exp(-all), -64.0) - 0.05) < 1e-6);
}

/* Gaussian trade-offs: one canary by hand, epsilon by the analytic Gaussian's table. */
static void gaussian_bounds(void **state)
{
    (void)state;
    static const double table[][3] = {/* mu, delta, epsilon */
                                      {1.0, 1e-5, 4.377178096},
                                      {2.0, 1e-5, 9.997256146},
                                      {0.5, 1e-5, 1.993091404},
                                      {0.1, 1e-6, 0.396857378}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(table); i++) {
        assert_true(fabs(rn_audit_gaussian_epsilon(table[i][0], table[i][1]) - table[i][2]) < 2e-9);
    }
    assert_true(rn_audit_gaussian_epsilon(0.0, 1e-5) == 0.0);
    assert_true(rn_audit_gaussian_epsilon(1e-6, 1e-5) == 0.0);
    /* One canary: right with probability Phi(mu / 2) at best, so Phi(1) refuses all below 2. */
    assert_true(fabs(rn_audit_mu(1, 1, 1, 0.8413447460685429) - 2.0) < 2e-6);
    assert_true(rn_audit_mu(100, 100, 50, 0.05) == 0.0);
    double before = 0.0; /* more right guesses, a greater bound */
    for (uint32_t right = 520; right <= 1024; right += 56) {
        const double mu = rn_audit_mu(1024, 1024, right, 0.01);
        assert_true(mu >= before);
        before = mu;
    }
    assert_true(before > 1.0);
}

/* P[Bin(n, p) >= least] */
static double binomial_tail(uint32_t n, uint32_t least, double p)
{
    double sum = 0.0;
    for (uint32_t k = n + 1; k-- > least;) {
        sum += exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) + k * log(p) +
                   (n - k) * log1p(-p));
    }
    return sum;
}

/* The strongest mechanisms there are: m Gaussians of distance mu side by side, each of whose coins
 * is guessed right with probability Phi(mu / 2), and randomised response. Whatever number of right
 * guesses came, with the exact probability of so many as the p-value, no bound is above the truth;
 * and randomised response's is met. */
static void bounds_are_never_above_the_truth(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 5, 20, 100};
    static const double truths[] = {0.1, 0.5, 1.0, 2.0, 4.0};
    for (size_t s = 0; s < RN_ARRAY_LENGTH(sizes); s++) {
        for (size_t t = 0; t < RN_ARRAY_LENGTH(truths); t++) {
            const uint32_t m = sizes[s];
            const double of_gaussian = 0.5 * erfc(-0.5 * truths[t] * sqrt(0.5));
            const double of_response = 1.0 / (1.0 + exp(-truths[t]));
            for (uint32_t right = 1; right <= m; right++) {
                const double p = fmin(0.999999, binomial_tail(m, right, of_gaussian));
                assert_true(rn_audit_mu(m, m, right, p) <= truths[t] + 1e-5);
                const double q = fmin(0.999999, binomial_tail(m, right, of_response));
                const double met = rn_audit_epsilon(m, m, right, 0.0, q);
                assert_true(met <= truths[t] + 1e-5);
                assert_true(met >= truths[t] - 1e-5 || q > 0.9);
            }
        }
    }
}

/* ---- the mechanism ---- */

/* Under a sanitizer, where the full size takes minutes, a small one for the memory alone: what
 * needs many canaries is asserted elsewhere. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SMALL = 1 };
#else
enum { SMALL = 0 };
#endif

static double measured(const struct rn_audit_spec *wanted, uint8_t key_byte)
{
    struct rn_audit_spec spec = *wanted;
    spec.canaries = SMALL ? 64 : spec.canaries;
    struct rn_bench_place place = {.kept = NULL};
    struct rn_audit_result found;
    struct rn_secret32 key;
    struct rn_error err;
    memset(key.bytes, key_byte, sizeof(key.bytes));
    must(rn_bench_place_open(NULL, &place, &err), &err);
    spec.key = &key;
    spec.dir = place.dir;
    must(rn_audit_run(&spec, &found, &err), &err);
    rn_bench_place_close(&place);
    print_message("epsilon >= %.4f: %u of %u right, by the %s\n", found.epsilon, found.right,
                  found.guesses, found.score);
    return found.epsilon;
}

/* Every record in the one step: epsilon 4.377178 at 1e-5. */
static const struct rn_audit_spec once = {.canaries = 2048,
                                          .steps = 1,
                                          .sampling = RN_DP_POISSON,
                                          .rate = 1.0,
                                          .noise = 1.0,
                                          .delta = 1e-5,
                                          .confidence = 0.95};
static const double once_epsilon = 4.377178;
/* Where twice the distance shows best: noise 4/3, the Gaussian of distance 0.75. */
static const struct rn_audit_spec quieter = {.canaries = 2048,
                                             .steps = 1,
                                             .sampling = RN_DP_POISSON,
                                             .rate = 1.0,
                                             .noise = 4.0 / 3.0,
                                             .delta = 1e-5,
                                             .confidence = 0.95};
/* At most 1.2786 at 1e-7 by Renyi divergences of order 18; a greater delta costs the bound too
 * much. */
static const struct rn_audit_spec sampled = {.canaries = 2048,
                                             .steps = 64,
                                             .sampling = RN_DP_POISSON,
                                             .rate = 0.05,
                                             .noise = 2.0,
                                             .delta = 1e-7,
                                             .confidence = 0.95};
static const double sampled_epsilon = 1.2786;

/* privacy case 25: what is claimed is not contradicted, and the audit has power. */
static void the_mechanism_holds(void **state)
{
    (void)state;
    fault = NO_FAULT;
    struct rn_audit_spec spec = once;
    const double flat = measured(&spec, 1);
    assert_true(flat <= once_epsilon && (SMALL || flat > 0.3 * once_epsilon));
    spec.clipping = RN_DP_CLIP_AUTOMATIC; /* which brings every record to nearly the clip norm */
    const double automatic = measured(&spec, 2);
    assert_true(automatic <= once_epsilon && (SMALL || automatic > 0.3 * once_epsilon));
    const double poisson = measured(&sampled, 3);
    assert_true(poisson <= sampled_epsilon && poisson >= 0.0);
    /* Each record in 2 of 8 steps: whoever knows which gets two Gaussians, 6.571 at 1e-5. */
    spec = (struct rn_audit_spec){.canaries = 512,
                                  .steps = 8,
                                  .sampling = RN_DP_ALLOCATION,
                                  .picks = 2,
                                  .noise = 1.0,
                                  .delta = 1e-5,
                                  .confidence = 0.95};
    const double allocated = measured(&spec, 4);
    assert_true(allocated <= rn_audit_gaussian_epsilon(sqrt(2.0), 1e-5) &&
                (SMALL || allocated > 0.1));
}

/* privacy cases 25 and 26. */
static void planted_faults_are_found(void **state)
{
    (void)state;
    const struct {
        enum fault fault;
        const struct rn_audit_spec *spec;
        double claimed;
    } cases[] = {{NO_CLIP, &once, once_epsilon},
                 {HALF_NOISE, &quieter, rn_audit_gaussian_epsilon(0.75, 1e-5)},
                 {CLIP_AFTER_MEAN, &once, once_epsilon},
                 {NOISE_REUSED, &sampled, sampled_epsilon},
                 {FIXED_BATCH, &sampled, sampled_epsilon}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        fault = cases[i].fault;
        assert_true(measured(cases[i].spec, (uint8_t)(10 + i)) > cases[i].claimed || SMALL);
    }
    fault = NO_FAULT;
}

/* ---- one canary, many runs ---- */

/* Clopper and Pearson: the least probability that k of n do not refuse at 1e-4. */
static double least_probability(uint32_t n, uint32_t k)
{
    double low = 0.0;
    double high = 1.0;
    for (int i = 0; i < 50 && k > 0; i++) {
        const double middle = 0.5 * (low + high);
        if (binomial_tail(n, k, middle) < 1e-4) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static double quantile(double p)
{
    double low = -20.0;
    double high = 20.0;
    for (int i = 0; i < 100; i++) {
        const double middle = 0.5 * (low + high);
        if (0.5 * erfc(-middle * sqrt(0.5)) < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static void draw_noise(void *context, size_t n, double deviation, int64_t *out)
{
    rn_noise_draw(context, n, deviation, out);
}

/* Runs with and without one record; how many of each pass the threshold in the record's own
 * direction, in clip norms. The record is in the batch with probability `rate`. */
static void many_runs(double rate, double threshold, uint32_t runs, uint32_t passed[2])
{
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_noise noise;
    struct rn_stream coins;
    struct rn_secret32 key;
    struct rn_error err;
    struct rn_dp *dp = NULL;
    memset(key.bytes, 99, sizeof(key.bytes));
    rn_noise_init(&noise, &key);
    memset(key.bytes, 98, sizeof(key.bytes));
    rn_stream_init(&coins, &key);
    const struct rn_dp_spec mechanism = {.clip_norm = 0.01,
                                         .noise_multiplier = 1.0,
                                         .denominator = 1.0,
                                         .context = &noise,
                                         .noise = draw_noise};
    const struct rn_train_spec spec = {.batch = 1, .steps = 1u << 20, .dp = &mechanism};
    struct rn_trainer *trainer = golden_trainer("roberta-24", "cpu", 1, RN_HEAD_LOCAL);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    const struct rn_example canary = rn_dataset_at(data, 0);
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    must(rn_dp_new(&trainer->lanes, &spec, &active, spec.steps, &dp, &err), &err);
    const struct rn_pass_examples *each = &trainer->lanes.passes[0].each;
    const size_t n = rn_dp_elements(dp);
    int64_t *direction = rn_alloc(n, sizeof(*direction));
    must(rn_dp_sum(dp, &canary, 1, direction, &err), &err);
    double norm = 0.0;
    for (size_t j = 0; j < n; j++) {
        norm += (double)direction[j] * (double)direction[j];
    }
    norm = sqrt(norm);
    assert_true(norm > 0.99 * 0x1p20);
    passed[0] = passed[1] = 0;
    for (uint32_t run = 0; run < 2 * runs; run++) {
        const bool drawn = rn_stream_u64(&coins) < rn_dp_threshold(rate) || rate == 1.0;
        rn_dp_begin_step(dp);
        must(rn_dp_gradient(dp, &canary, run % 2 == 1 && drawn, trainer->state.gradient, &err),
             &err);
        double score = 0.0;
        for (size_t i = 0; i < each->run_count; i++) {
            const struct rn_pass_run *part = &each->runs[i];
            for (size_t j = 0; j < part->count; j++) {
                score += (double)trainer->state.gradient[part->place + j] *
                         (double)direction[part->compact + j];
            }
        }
        passed[run % 2] += score / norm / mechanism.clip_norm > threshold;
    }
    rn_free(direction);
    rn_dp_free(dp);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
    rn_noise_clear(&noise);
    rn_stream_clear(&coins);
}

/* privacy case 24: at rate 1 the bound is below the claim and above 0.7 of it, so the noise is
 * neither too small nor drawn twice; at rate 0.25 it is below the claim. */
static void one_canary_in_many_runs(void **state)
{
    (void)state;
    fault = NO_FAULT;
    const uint32_t runs = getenv("RONDO_LONG") != NULL ? 20000 : 3000;
    uint32_t passed[2];
    many_runs(1.0, 0.5, runs, passed);
    const double tpr = least_probability(runs, passed[1]);
    const double fpr = 1.0 - least_probability(runs, runs - passed[0]);
    const double epsilon = rn_audit_gaussian_epsilon(quantile(tpr) - quantile(fpr), 1e-5);
    print_message("rate 1: epsilon >= %.4f of %.4f\n", epsilon, once_epsilon);
    assert_true(epsilon <= once_epsilon && epsilon >= 0.7 * once_epsilon);
    /* remove: delta(e) = q H(ln((e^e - 1 + q) / q)), so epsilon = ln(1 + q (e^g - 1)) with g that
     * of the Gaussian at delta / q */
    const double rate = 0.25;
    const double claimed = log1p(rate * expm1(rn_audit_gaussian_epsilon(1.0, 1e-5 / rate)));
    many_runs(rate, 2.0, runs, passed);
    const double sampled_tpr = least_probability(runs, passed[1]);
    const double sampled_fpr = 1.0 - least_probability(runs, runs - passed[0]);
    const double at_least = log((sampled_tpr - 1e-5) / sampled_fpr);
    print_message("rate 0.25: epsilon >= %.4f of %.4f\n", at_least, claimed);
    assert_true(at_least <= claimed && at_least > 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_values_are_the_papers),
        cmocka_unit_test(gaussian_bounds),
        cmocka_unit_test(bounds_are_never_above_the_truth),
        cmocka_unit_test(the_mechanism_holds),
        cmocka_unit_test(planted_faults_are_found),
        cmocka_unit_test(one_canary_in_many_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
