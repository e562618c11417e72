/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of a round: phases, layouts, exact means with and without weights, metrics inside
 * the vector, frozen matrices that keep their bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/guard.h"
#include "crypto/quantise.h"
#include "crypto/random.h"
#include "services/round/roundvector.h"

#define MEMBERS 5
#define ROWS 3
#define COLS 7
#define MODULES 2

static const char *const NAMES[MODULES * 2] = {"l0.q.lora_A.weight", "l0.q.lora_B.weight",
                                               "l0.v.lora_A.weight", "l0.v.lora_B.weight"};

/* Two modules with A and B each and, with_head, a head: the segments of a selection. */
static size_t make_segments(unsigned active, bool with_head, struct rn_segment *out,
                            size_t *out_elements)
{
    size_t count = 0;
    size_t offset = 0;
    for (int i = 0; i < MODULES * 2 + 1; i++) {
        const bool head = i == MODULES * 2;
        const enum rn_segment_kind kind = head         ? RN_SEGMENT_HEAD
                                          : i % 2 == 0 ? RN_SEGMENT_A
                                                       : RN_SEGMENT_B;
        const bool wanted = head                   ? with_head
                            : kind == RN_SEGMENT_A ? (active & RN_ROUND_A) != 0
                                                   : (active & RN_ROUND_B) != 0;
        if (!wanted) {
            continue;
        }
        struct rn_segment *segment = &out[count++];
        *segment = (struct rn_segment){.rows = kind == RN_SEGMENT_A ? ROWS : COLS,
                                       .cols = kind == RN_SEGMENT_A ? COLS : ROWS,
                                       .kind = kind,
                                       .offset = offset,
                                       .count = (size_t)ROWS * COLS};
        (void)rn_text_format(segment->name, sizeof(segment->name), "%s",
                             head ? "classifier.weight" : NAMES[i]);
        offset += segment->count;
    }
    *out_elements = offset;
    return count;
}

static struct rn_round_spec make_spec(unsigned active)
{
    return (struct rn_round_spec){.round = 1,
                                  .active = active,
                                  .with_head = true,
                                  .bits = 16,
                                  .exponent = {-3, -2, -4},
                                  .weight_max = 1,
                                  .metrics = true};
}

struct world {
    struct rn_segment segments[8];
    struct rn_round_layout layout;
    uint64_t *sum;
    uint64_t *one;
    float *mean;
    float deltas[MEMBERS][256];
    struct rn_secret32 keys[MEMBERS];
};

static void world_init(struct world *world, const struct rn_round_spec *spec)
{
    size_t elements = 0;
    memset(world, 0, sizeof(*world));
    const size_t count = make_segments(spec->active, spec->with_head, world->segments, &elements);
    assert_true(rn_is_ok(rn_round_layout_init(spec, world->segments, count, &world->layout, NULL)));
    assert_int_equal(world->layout.delta_count, elements);
    world->sum = rn_alloc(world->layout.elements, sizeof(uint64_t));
    world->one = rn_alloc(world->layout.elements, sizeof(uint64_t));
    world->mean = rn_alloc(elements, sizeof(float));
    const struct rn_secret32 seed = {{42}};
    RN_CLEANUP(rn_stream_clear) struct rn_stream stream;
    rn_stream_init(&stream, &seed);
    for (int m = 0; m < MEMBERS; m++) {
        rn_stream_read(&stream, world->keys[m].bytes, sizeof(world->keys[m].bytes));
        for (size_t i = 0; i < elements; i++) {
            world->deltas[m][i] =
                (float)((double)rn_stream_below(&stream, 1u << 20) / (1u << 20) - 0.5) * 0.25f;
        }
    }
}

static void world_clear(struct world *world)
{
    rn_free(world->sum);
    rn_free(world->one);
    rn_free(world->mean);
}

/* The whole vector at once: out has layout->elements. */
static rn_result encode_whole(const struct rn_round_layout *layout,
                              const struct rn_round_report *report, const float *delta,
                              const struct rn_secret32 *key, uint64_t *out, uint64_t *out_clipped,
                              struct rn_error *err)
{
    RN_CLEANUP(rn_round_encoder_clear) struct rn_round_encoder encoder = {0};
    RN_TRY(rn_round_encoder_init(&encoder, layout, report, delta, key, err));
    if (out_clipped != NULL) {
        *out_clipped = encoder.clipped;
    }
    return rn_round_encoder_read(&encoder, 0, layout->elements, out, err);
}

static void add_member(struct world *world, int m, uint64_t weight)
{
    const struct rn_round_report report = {
        .weight = weight, .examples = 100 + (uint64_t)m, .loss_sum = 50.25 * (m + 1)};
    uint64_t clipped = 0;
    struct rn_error err = {0};
    if (!rn_is_ok(encode_whole(&world->layout, &report, world->deltas[m], &world->keys[m],
                               world->one, &clipped, &err))) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < world->layout.elements; i++) {
        assert_true(world->one[i] <= rn_round_value_max(&world->layout.spec));
        world->sum[i] += world->one[i];
    }
}

/* k c / (Z W) in long double, independently of the code under test. */
static void check_mean(const struct world *world, const uint64_t *weights)
{
    uint64_t weight = 0;
    for (int m = 0; m < MEMBERS; m++) {
        weight += weights[m];
    }
    for (size_t s = 0; s < world->layout.segment_count; s++) {
        const struct rn_segment *segment = &world->layout.segments[s];
        const double scale = ldexp(1, world->layout.spec.exponent[segment->kind]);
        const double step = scale / 32767;
        for (size_t i = 0; i < segment->count; i++) {
            const size_t at = segment->offset + i;
            const int64_t k =
                (int64_t)world->sum[world->layout.delta_offset + at] - (int64_t)(32767 * weight);
            const float exact = (float)(((double)k * scale) / (32767.0 * (double)weight));
            assert_memory_equal(&world->mean[at], &exact, sizeof(exact));
            double real = 0;
            for (int m = 0; m < MEMBERS; m++) {
                const double x = world->deltas[m][at];
                real += (double)weights[m] * fmin(fmax(x, -scale), scale);
            }
            assert_true(fabs(real / (double)weight - (double)world->mean[at]) <= step * 1.0001);
        }
    }
}

static void mean_is_exact_for(bool weighted, unsigned active)
{
    struct rn_round_spec spec = make_spec(active);
    spec.weighted = weighted;
    spec.weight_max = weighted ? 70000 : 1;
    struct world world;
    world_init(&world, &spec);
    const uint64_t even[MEMBERS] = {1, 1, 1, 1, 1};
    const uint64_t uneven[MEMBERS] = {1, 70000, 3, 999, 65536};
    const uint64_t *weights = weighted ? uneven : even;
    for (int m = 0; m < MEMBERS; m++) {
        add_member(&world, m, weights[m]);
    }
    struct rn_round_total total;
    assert_true(rn_is_ok(rn_round_total_read(&world.layout, world.sum, MEMBERS, &total, NULL)));
    assert_int_equal(total.weight, weighted ? 1 + 70000 + 3 + 999 + 65536 : MEMBERS);
    assert_true(total.has_metrics);
    assert_int_equal(total.examples, 510);
    assert_true(fabs(total.loss - 50.25 * 15 / 510) < 1e-5);
    assert_true(rn_is_ok(rn_round_mean(&world.layout, world.sum, &total, world.mean, NULL)));
    check_mean(&world, weights);
    world_clear(&world);
}

/* case 30 */
static void mean_is_exact(void **state)
{
    (void)state;
    mean_is_exact_for(false, RN_ROUND_B);
    mean_is_exact_for(false, RN_ROUND_A);
    mean_is_exact_for(false, RN_ROUND_A | RN_ROUND_B);
    mean_is_exact_for(true, RN_ROUND_B);
}

static void same_key_same_integers(void **state)
{
    (void)state;
    const struct rn_round_spec spec = make_spec(RN_ROUND_B);
    struct world world;
    world_init(&world, &spec);
    add_member(&world, 0, 1);
    uint64_t *first = rn_alloc(world.layout.elements, sizeof(uint64_t));
    memcpy(first, world.one, world.layout.elements * sizeof(uint64_t));
    add_member(&world, 0, 1);
    assert_memory_equal(first, world.one, world.layout.elements * sizeof(uint64_t));
    world.keys[0].bytes[0] ^= 1;
    add_member(&world, 0, 1);
    assert_memory_not_equal(first, world.one, world.layout.elements * sizeof(uint64_t));
    rn_free(first);
    world_clear(&world);
}

static void counts_what_the_scale_cut_off(void **state)
{
    (void)state;
    const struct rn_round_spec spec = make_spec(RN_ROUND_B);
    struct world world;
    world_init(&world, &spec);
    memset(world.deltas[0], 0, sizeof(world.deltas[0]));
    world.deltas[0][0] = 0.2500001f; /* just over 2^-2 */
    world.deltas[0][1] = -1e30f;
    world.deltas[0][2] = 0.25f; /* exactly at the scale: not cut */
    add_member(&world, 0, 1);
    struct rn_round_total total;
    assert_true(rn_is_ok(rn_round_total_read(&world.layout, world.sum, 1, &total, NULL)));
    assert_int_equal(total.clipped, 2);
    world_clear(&world);
}

/* case 30 */
static void refuses_wrong_updates(void **state)
{
    (void)state;
    struct rn_round_spec spec = make_spec(RN_ROUND_B);
    spec.weighted = true;
    spec.weight_max = 1000;
    struct world world;
    world_init(&world, &spec);
    struct rn_round_report report = {.weight = 1000, .examples = 1, .loss_sum = 1};
    assert_true(rn_is_ok(encode_whole(&world.layout, &report, world.deltas[0], &world.keys[0],
                                      world.one, NULL, NULL)));
    report.weight = 1001;
    assert_int_equal(
        encode_whole(&world.layout, &report, world.deltas[0], &world.keys[0], world.one, NULL, NULL)
            .code,
        RN_E_REFUSED);
    report.weight = 0;
    assert_int_equal(
        encode_whole(&world.layout, &report, world.deltas[0], &world.keys[0], world.one, NULL, NULL)
            .code,
        RN_E_REFUSED);
    report.weight = 1;
    world.deltas[0][5] = NAN;
    assert_int_equal(
        encode_whole(&world.layout, &report, world.deltas[0], &world.keys[0], world.one, NULL, NULL)
            .code,
        RN_E_ROUND_NUMERIC);
    world_clear(&world);
}

/* Every range of the vector is the slice of the whole, over heads, segments and their borders;
 * beyond the end there is nothing. */
static void ranges_are_slices(void **state)
{
    (void)state;
    struct rn_round_spec spec = make_spec(RN_ROUND_B);
    spec.weighted = true;
    spec.weight_max = 1000;
    spec.metrics = true;
    spec.evaluation = true;
    struct world world;
    world_init(&world, &spec);
    const uint64_t elements = world.layout.elements;
    const struct rn_round_report report = {.weight = 7, .examples = 3, .loss_sum = 1.5};
    assert_true(rn_is_ok(encode_whole(&world.layout, &report, world.deltas[0], &world.keys[0],
                                      world.one, NULL, NULL)));
    RN_CLEANUP(rn_round_encoder_clear) struct rn_round_encoder encoder = {0};
    assert_true(rn_is_ok(rn_round_encoder_init(&encoder, &world.layout, &report, world.deltas[0],
                                               &world.keys[0], NULL)));
    uint64_t *part = rn_alloc(elements + 1, sizeof(*part));
    for (uint64_t first = 0; first <= elements; first++) {
        for (uint64_t count = 0; count <= elements - first; count += 1 + count / 7) {
            part[count] = UINT64_MAX;
            assert_true(rn_is_ok(rn_round_encoder_read(&encoder, first, count, part, NULL)));
            assert_memory_equal(part, world.one + first, count * sizeof(*part));
            assert_true(part[count] == UINT64_MAX);
        }
        assert_int_equal(
            rn_round_encoder_read(&encoder, first, elements - first + 1, part, NULL).code,
            RN_E_INTERNAL);
    }
    rn_free(part);
    world_clear(&world);
}

/* case 30 */
static void refuses_a_sum_out_of_range(void **state)
{
    (void)state;
    const struct rn_round_spec spec = make_spec(RN_ROUND_B);
    struct world world;
    world_init(&world, &spec);
    for (int m = 0; m < MEMBERS; m++) {
        add_member(&world, m, 1);
    }
    struct rn_round_total total;
    const uint64_t kept = world.sum[0];
    world.sum[0] = 32767u * MEMBERS; /* the most that five limbs of 15 bits can be */
    assert_true(rn_is_ok(rn_round_total_read(&world.layout, world.sum, MEMBERS, &total, NULL)));
    world.sum[0]++;
    assert_int_equal(rn_round_total_read(&world.layout, world.sum, MEMBERS, &total, NULL).code,
                     RN_E_ROUND_SUM);
    world.sum[0] = kept;
    assert_true(rn_is_ok(rn_round_total_read(&world.layout, world.sum, MEMBERS, &total, NULL)));
    world.sum[world.layout.elements - 1] = 65534u * MEMBERS; /* all at the end of their scale */
    assert_true(rn_is_ok(rn_round_mean(&world.layout, world.sum, &total, world.mean, NULL)));
    world.sum[world.layout.elements - 1]++;
    assert_int_equal(rn_round_mean(&world.layout, world.sum, &total, world.mean, NULL).code,
                     RN_E_ROUND_SUM);
    world_clear(&world);
}

static void metrics_saturate_at_any_width(void **state)
{
    (void)state;
    for (uint32_t bits = 2; bits <= 30; bits++) {
        struct rn_round_spec spec = make_spec(RN_ROUND_B);
        spec.bits = bits;
        struct world world;
        world_init(&world, &spec);
        const struct rn_round_report report = {
            .weight = 1, .examples = UINT64_MAX, .loss_sum = 1e300};
        for (int m = 0; m < 128; m++) {
            assert_true(rn_is_ok(encode_whole(&world.layout, &report, world.deltas[0],
                                              &world.keys[0], world.one, NULL, NULL)));
            for (size_t i = 0; i < world.layout.elements; i++) {
                assert_true(world.one[i] <= rn_round_value_max(&spec));
                world.sum[i] += world.one[i];
            }
        }
        struct rn_round_total total;
        assert_true(rn_is_ok(rn_round_total_read(&world.layout, world.sum, 128, &total, NULL)));
        assert_int_equal(total.examples, 128 * (((uint64_t)1 << RN_ROUND_FIELD_BITS) - 1));
        world_clear(&world);
    }
}

static void encode_start(struct world *world, int m, double metric, double loss, bool valid)
{
    const struct rn_round_report report = {
        .weight = 1, .start = {.valid = valid, .metric = metric, .loss = loss}};
    assert_true(rn_is_ok(encode_whole(&world->layout, &report, world->deltas[m], &world->keys[m],
                                      world->one, NULL, NULL)));
    for (size_t i = 0; i < world->layout.elements; i++) {
        world->sum[i] += world->one[i];
    }
}

/* What the members' development sets say is the plain mean, to half a unit each; what is no number
 * counts as 0, and what is out of range as the range's end. */
static void start_is_the_mean_of_the_members(void **state)
{
    (void)state;
    static const double metrics[MEMBERS] = {1, -1, 0.3333333, NAN, 7};
    static const double losses[MEMBERS] = {0, 0.25, 1e4, 3.3333, 2};
    for (uint32_t bits = 4; bits <= 24; bits += 5) {
        struct rn_round_spec spec = make_spec(RN_ROUND_B);
        spec.bits = bits;
        spec.evaluation = true;
        struct world world;
        struct rn_round_total total;
        world_init(&world, &spec);
        for (int m = 0; m < MEMBERS; m++) {
            encode_start(&world, m, metrics[m], losses[m], true);
        }
        assert_true(rn_is_ok(rn_round_total_read(&world.layout, world.sum, MEMBERS, &total, NULL)));
        assert_true(total.start.valid);
        assert_true(fabs(total.start.metric - (1 - 1 + 0.3333333 + 0 + 1) / MEMBERS) <= 0x1p-11);
        assert_true(fabs(total.start.loss - (0.25 + 1e4 + 3.3333 + 2) / MEMBERS) <= 0x1p-17);
        /* 8 x 2^11 more, in the limb of bit 11: five members' most is 10 x 2^10. */
        const int32_t limb =
            world.layout.field_offset[RN_ROUND_METRIC] + (int32_t)(11 / (bits - 1));
        world.sum[limb] += UINT64_C(8) << 11 % (bits - 1);
        assert_int_equal(rn_round_total_read(&world.layout, world.sum, MEMBERS, &total, NULL).code,
                         RN_E_ROUND_SUM);
        world_clear(&world);
    }
}

/* Who does not measure adds nothing. */
static void no_measure_is_zero(void **state)
{
    (void)state;
    struct rn_round_spec spec = make_spec(RN_ROUND_B);
    spec.evaluation = true;
    struct world world;
    world_init(&world, &spec);
    encode_start(&world, 0, 0.5, 2, false);
    for (int field = RN_ROUND_METRIC; field <= RN_ROUND_DEV_LOSS; field++) {
        for (uint32_t i = 0; i < world.layout.limbs; i++) {
            assert_int_equal(world.one[world.layout.field_offset[field] + (int32_t)i], 0);
        }
    }
    world_clear(&world);
}

/* A vector of fields alone: no matrix is active. */
static void a_round_may_only_measure(void **state)
{
    (void)state;
    struct rn_round_spec spec = make_spec(0);
    struct rn_round_layout layout;
    spec.with_head = false;
    assert_int_equal(rn_round_layout_init(&spec, NULL, 0, &layout, NULL).code, RN_E_CONFIG);
    spec.evaluation = true;
    assert_true(rn_is_ok(rn_round_layout_init(&spec, NULL, 0, &layout, NULL)));
    assert_int_equal(layout.elements, layout.delta_offset);
    assert_int_equal(layout.delta_count, 0);
}

static void frozen_matrices_keep_their_bytes(void **state)
{
    (void)state;
    const struct rn_round_spec spec = make_spec(RN_ROUND_B);
    struct world world;
    world_init(&world, &spec);
    struct rn_segment all[8];
    struct rn_round_adapter adapter = {.segments = all};
    adapter.segment_count = make_segments(RN_ROUND_A | RN_ROUND_B, true, all, &adapter.count);
    float *before = rn_alloc(adapter.count, sizeof(float));
    adapter.values = rn_alloc(adapter.count, sizeof(float));
    for (size_t i = 0; i < adapter.count; i++) {
        before[i] = adapter.values[i] = i % 3 == 0 ? -0.0f : (float)i / 7;
    }
    for (size_t i = 0; i < world.layout.delta_count; i++) {
        world.mean[i] = 0.5f;
    }
    assert_true(rn_is_ok(rn_round_step(&world.layout, world.mean, &adapter, NULL)));
    for (size_t s = 0; s < adapter.segment_count; s++) {
        for (size_t i = all[s].offset; i < all[s].offset + all[s].count; i++) {
            const float want = all[s].kind == RN_SEGMENT_A ? before[i] : before[i] + 0.5f;
            assert_memory_equal(&adapter.values[i], &want, sizeof(want));
        }
    }
    float delta[256];
    assert_true(
        rn_is_ok(rn_round_delta(&world.layout, &adapter, before, adapter.values, delta, NULL)));
    for (size_t i = 0; i < world.layout.delta_count; i++) {
        assert_true(fabs((double)delta[i] - 0.5) < 1e-5);
    }
    /* A single flipped bit of a frozen matrix is seen, even the sign of a zero. */
    assert_int_equal(all[0].kind, RN_SEGMENT_A);
    adapter.values[0] = 0.0f;
    assert_int_equal(
        rn_round_delta(&world.layout, &adapter, before, adapter.values, delta, NULL).code,
        RN_E_INTERNAL);
    /* An overflow changes nothing at all. */
    memcpy(adapter.values, before, adapter.count * sizeof(float));
    adapter.values[adapter.count - 1] = 3e38f;
    world.mean[world.layout.delta_count - 1] = 3e38f;
    assert_int_equal(rn_round_step(&world.layout, world.mean, &adapter, NULL).code,
                     RN_E_ROUND_NUMERIC);
    assert_memory_equal(adapter.values, before, (adapter.count - 1) * sizeof(float));
    rn_free(adapter.values);
    rn_free(before);
    world_clear(&world);
}

static void hashes_see_everything(void **state)
{
    (void)state;
    struct rn_round_spec spec = make_spec(RN_ROUND_B);
    struct world world;
    world_init(&world, &spec);
    uint8_t first[32];
    uint8_t other[32];
    rn_round_layout_hash(&world.layout, first);
    world.segments[0].cols++;
    rn_round_layout_hash(&world.layout, other);
    assert_memory_not_equal(first, other, 32);
    world.segments[0].cols--;
    rn_round_layout_hash(&world.layout, other);
    assert_memory_equal(first, other, 32);

    rn_round_spec_hash(&spec, first);
    spec.exponent[2]++;
    rn_round_spec_hash(&spec, other);
    assert_memory_not_equal(first, other, 32);

    const size_t count = world.layout.segment_count;
    rn_round_adapter_hash(world.segments, count, world.deltas[0], first);
    world.deltas[0][world.layout.delta_count - 1] += 1e-7f;
    rn_round_adapter_hash(world.segments, count, world.deltas[0], other);
    assert_memory_not_equal(first, other, 32);
    world_clear(&world);
}

/* case 29 */
static void limits_of_the_layout(void **state)
{
    (void)state;
    const struct rn_round_spec spec = make_spec(RN_ROUND_B);
    struct rn_segment segment = {.kind = RN_SEGMENT_B, .count = RN_ROUND_ELEMENTS_MAX};
    struct rn_round_layout layout;
    assert_true(rn_is_ok(rn_round_layout_init(&spec, &segment, 1, &layout, NULL)));
    segment.count++;
    assert_int_equal(rn_round_layout_init(&spec, &segment, 1, &layout, NULL).code, RN_E_CONFIG);
    assert_int_equal(rn_round_layout_init(&spec, &segment, 0, &layout, NULL).code, RN_E_CONFIG);
    assert_int_equal(
        rn_round_layout_init(&spec, &segment, RN_ROUND_SEGMENTS_MAX + 1, &layout, NULL).code,
        RN_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_is_exact),
        cmocka_unit_test(same_key_same_integers),
        cmocka_unit_test(counts_what_the_scale_cut_off),
        cmocka_unit_test(refuses_wrong_updates),
        cmocka_unit_test(ranges_are_slices),
        cmocka_unit_test(refuses_a_sum_out_of_range),
        cmocka_unit_test(metrics_saturate_at_any_width),
        cmocka_unit_test(start_is_the_mean_of_the_members),
        cmocka_unit_test(no_measure_is_zero),
        cmocka_unit_test(a_round_may_only_measure),
        cmocka_unit_test(frozen_matrices_keep_their_bytes),
        cmocka_unit_test(hashes_see_everything),
        cmocka_unit_test(limits_of_the_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
