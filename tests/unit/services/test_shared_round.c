/* SPDX-License-Identifier: Apache-2.0
 *
 * A round whose noise is shared: whole numbers in, their exact sum out, and the same step at every
 * site. privacy case 33: at the ends of the range, under masks modulo 2^b, nothing wraps, and what
 * is out of range is refused.
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
#include "crypto/random.h"
#include "policy/plan.h"
#include "policy/sharedplan.h"
#include "services/round/roundmodel.h"
#include "services/round/roundsession.h"

#define MEMBERS 5
#define EACH 21
#define COUNT (2 * EACH)

static const struct rn_segment whole_adapter[] = {
    {.name = "q.A", .kind = RN_SEGMENT_A, .rows = 3, .cols = 7, .offset = 0, .count = EACH},
    {.name = "q.B", .kind = RN_SEGMENT_B, .rows = 7, .cols = 3, .offset = EACH, .count = EACH},
    {.name = "head",
     .kind = RN_SEGMENT_HEAD,
     .rows = 7,
     .cols = 3,
     .offset = COUNT,
     .count = EACH}};
static const struct rn_segment b_and_head[] = {
    {.name = "q.B", .kind = RN_SEGMENT_B, .rows = 7, .cols = 3, .offset = 0, .count = EACH},
    {.name = "head", .kind = RN_SEGMENT_HEAD, .rows = 7, .cols = 3, .offset = EACH, .count = EACH}};

static struct rn_plan *plan;
static struct rn_round_layout layout;
static struct rn_round_model model;
static struct rn_error error;

static int set_up(void **state)
{
    (void)state;
    plan = rn_alloc(1, sizeof *plan);
    plan->rounds = 6;
    plan->lora.head = RN_PLAN_HEAD_FEDERATED;
    plan->training.batch = 30;
    plan->training.lr_b = 0.5;
    plan->training.lr_head = 0.25;
    plan->privacy.mode = RN_PLAN_PRIVACY_SHARED;
    plan->privacy.rate = 0.1;
    plan->privacy.noise = 1.5;
    plan->privacy.clip = 0.75;
    plan->privacy.denominator = 6;
    plan->secagg.colluding = 1;
    plan->secagg.losses = 1;
    plan->secagg.honest = 3;
    plan->secagg.bits = 16;
    plan->secagg.scale_a = plan->secagg.scale_b = plan->secagg.scale_head = 0.125;
    struct rn_round_spec spec;
    assert_true(rn_is_ok(rn_round_spec_derive(plan, 1, 0, &spec, &error)));
    assert_true(rn_is_ok(
        rn_round_layout_init(&spec, b_and_head, RN_ARRAY_LENGTH(b_and_head), &layout, &error)));
    assert_int_equal(layout.elements, COUNT);
    model = (struct rn_round_model){.adapter = {.segments = whole_adapter,
                                                .segment_count = 3,
                                                .count = 3 * EACH,
                                                .values = rn_alloc(3 * EACH, sizeof(float))},
                                    .shared_head = true};
    for (size_t i = 0; i < 3 * EACH; i++) {
        model.adapter.values[i] = (float)i / 8;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rn_round_model_clear(&model);
    rn_free(plan);
    return 0;
}

/* One member's vector by the way that services take, in two ranges. */
static void encode(const int64_t whole[COUNT], uint64_t out[COUNT])
{
    const struct rn_secret32 key = {{1}};
    struct rn_round_update update = {0};
    RN_CLEANUP(rn_round_encoder_clear) struct rn_round_encoder encoder = {0};
    assert_true(rn_is_ok(rn_round_update_take_whole(&model, &layout, model.adapter.values, whole,
                                                    COUNT, &update, &error)));
    assert_true(rn_is_ok(rn_round_update_encode(&update, &layout, &key, &encoder, &error)));
    assert_true(rn_is_ok(rn_round_encoder_read(&encoder, 0, 5, out, &error)));
    assert_true(rn_is_ok(rn_round_encoder_read(&encoder, 5, COUNT - 5, out + 5, &error)));
    rn_round_update_clear(&update);
}

static rn_result read_values(const void *context, uint64_t first, uint32_t count, uint64_t *out,
                             struct rn_error *err)
{
    (void)err;
    memcpy(out, (const uint64_t *)context + first, count * sizeof *out);
    return rn_ok();
}

static rn_result apply(const uint64_t sum[COUNT], uint32_t members)
{
    struct rn_round_total total;
    const struct rn_round_sum read = {read_values, sum, members};
    return rn_round_model_apply(&model, &layout, &read, &total, &error);
}

/* next = value - rate clip K / (2^20 denominator n), rounded to float32 twice. */
static void the_step_is_the_mean_gradient(void **state)
{
    (void)state;
    int64_t whole[COUNT];
    uint64_t one[COUNT];
    uint64_t sum[COUNT] = {0};
    int64_t total[COUNT] = {0};
    for (int64_t m = 0; m < MEMBERS; m++) {
        for (int64_t i = 0; i < COUNT; i++) {
            whole[i] = (i - 20) * 123457 * (m + 1) + (m == 3 ? 1 : 0);
            total[i] += whole[i];
        }
        encode(whole, one);
        for (size_t i = 0; i < COUNT; i++) {
            sum[i] += one[i];
        }
    }
    assert_true(rn_is_ok(apply(sum, MEMBERS)));
    for (size_t i = 0; i < EACH; i++) {
        assert_true(model.adapter.values[i] == (float)i / 8); /* A is frozen in this round */
    }
    for (size_t i = 0; i < COUNT; i++) {
        const double rate = i < EACH ? 0.5 : 0.25;
        const double before = (double)(EACH + i) / 8;
        const double step = rate * 0.75 * (double)total[i] / (0x1p20 * 6 * MEMBERS);
        const double after = (double)model.adapter.values[EACH + i];
        assert_true(fabs(after - (before - step)) <=
                    0x1p-24 * (fabs(before - step) + fabs(step)) * 1.001);
        assert_true(after < before || after > before || llabs(total[i]) < 1000);
    }
}

/* Every element at either end, for every number of members that may be in the sum. */
static void the_ends_of_the_range(void **state)
{
    (void)state;
    const int64_t reach = (int64_t)layout.spec.reach;
    int64_t whole[COUNT];
    uint64_t one[COUNT];
    assert_int_equal(reach, (int64_t)rn_shared_reach(plan));
    for (uint32_t members = 1; members <= 1024; members *= 2) {
        uint64_t sum[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            whole[i] = i % 2 == 0 ? reach : -reach;
            model.adapter.values[EACH + i] = 0;
        }
        encode(whole, one);
        for (size_t i = 0; i < COUNT; i++) {
            assert_true(one[i] == (i % 2 == 0 ? rn_round_value_max(&layout.spec) : 0));
            sum[i] = one[i] * members;
        }
        assert_true(rn_is_ok(apply(sum, members)));
        for (size_t i = 0; i < COUNT; i++) {
            const double step = layout.spec.step[i < EACH ? RN_SEGMENT_B : RN_SEGMENT_HEAD];
            const double want = (i % 2 == 0 ? -1.0 : 1.0) * (double)reach * step;
            assert_true(fabs((double)model.adapter.values[EACH + i] - want) <=
                        0x1p-23 * fabs(want));
        }
        sum[7] = 2 * (uint64_t)reach * members + 1;
        assert_int_equal(apply(sum, members).code, RN_E_ROUND_SUM);
    }
    whole[11] = reach + 1;
    const struct rn_secret32 key = {{1}};
    struct rn_round_encoder encoder = {0};
    struct rn_round_update update = {.whole = whole, .count = COUNT};
    assert_int_equal(rn_round_update_encode(&update, &layout, &key, &encoder, &error).code,
                     RN_E_ROUND_NUMERIC);
    whole[11] = -reach - 1;
    assert_int_equal(rn_round_update_encode(&update, &layout, &key, &encoder, &error).code,
                     RN_E_ROUND_NUMERIC);
    whole[11] = -reach;
    assert_true(rn_is_ok(rn_round_update_encode(&update, &layout, &key, &encoder, &error)));
}

/* privacy case 33: masks of b bits go around many times and leave the sum as it was; the sum's own
 * bits are those that the session is made with. */
static void masks_modulo_two_to_the_b(void **state)
{
    (void)state;
    struct rn_plan_numbers numbers;
    const struct rn_secret32 seed = {{9}};
    RN_CLEANUP(rn_stream_clear) struct rn_stream stream;
    rn_stream_init(&stream, &seed);
    assert_true(rn_is_ok(rn_plan_feasible(plan, MEMBERS, &numbers, &error)));
    assert_true(numbers.value_max == rn_round_value_max(&layout.spec));
    const uint64_t modulus = UINT64_C(1) << numbers.sum_bits;
    for (int64_t run = 0; run < 100; run++) {
        uint64_t masked = 0;
        uint64_t masks = 0;
        int64_t plain = 0;
        for (int m = 0; m < MEMBERS; m++) {
            const int64_t value = run % 3 == 0
                                      ? (int64_t)layout.spec.reach
                                      : (int64_t)rn_stream_below(&stream, numbers.value_max + 1) -
                                            (int64_t)layout.spec.reach;
            const uint64_t mask = rn_stream_below(&stream, modulus);
            masked = (masked + (uint64_t)(value + (int64_t)layout.spec.reach) + mask) % modulus;
            masks = (masks + mask) % modulus;
            plain += value;
        }
        const uint64_t sum = (masked + modulus - masks) % modulus;
        assert_true((int64_t)sum - MEMBERS * (int64_t)layout.spec.reach == plain);
    }
}

/* What a session is made of says that its noise is shared, and how; other rounds keep their hash.
 */
static void a_session_is_of_one_kind(void **state)
{
    (void)state;
    struct rn_round_spec other = layout.spec;
    uint8_t hashes[4][32];
    rn_round_spec_hash(&layout.spec, hashes[0]);
    other.reach++;
    rn_round_spec_hash(&other, hashes[1]);
    other = layout.spec;
    other.step[2] = nextafter(other.step[2], 1);
    rn_round_spec_hash(&other, hashes[2]);
    other.shared = false;
    rn_round_spec_hash(&other, hashes[3]);
    for (int i = 1; i < 4; i++) {
        for (int k = 0; k < i; k++) {
            assert_memory_not_equal(hashes[i], hashes[k], 32);
        }
    }
    struct rn_round_update update = {0};
    const int64_t whole[COUNT] = {0};
    assert_int_equal(rn_round_update_take_whole(&model, &layout, model.adapter.values, whole,
                                                COUNT - 1, &update, &error)
                         .code,
                     RN_E_INTERNAL);
    const struct rn_round_report report = {.weight = 1};
    assert_int_equal(rn_round_update_take(&model, &layout, model.adapter.values,
                                          model.adapter.values, &report, &update, &error)
                         .code,
                     RN_E_INTERNAL);
    assert_false(update.valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_step_is_the_mean_gradient, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_ends_of_the_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(masks_modulo_two_to_the_b, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_session_is_of_one_kind, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
