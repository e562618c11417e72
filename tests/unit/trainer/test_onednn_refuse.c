/* SPDX-License-Identifier: Apache-2.0
 *
 * A library whose products give a row other bits at another place of a strip, or beside other rows,
 * is not used: the product behind the trial is replaced by one that does so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "trainer/kernels/cpu/cpu_features.h"
#include "trainer/kernels/cpu/cpu_onednn.h"

enum wrong { EXACT, BY_PLACE, BY_LAST_PLACE, BY_NEIGHBOUR, BY_LAST_COLUMN };
static enum wrong wrong;

struct rn_strip_sums __real_rn_onednn_product(struct rn_onednn_lane *lane,
                                              const struct rn_onednn_matrix *matrix, size_t slice,
                                              const uint16_t *rows);
struct rn_strip_sums __wrap_rn_onednn_product(struct rn_onednn_lane *lane,
                                              const struct rn_onednn_matrix *matrix, size_t slice,
                                              const uint16_t *rows);

/* One unit in the last place. */
static void nudge(float *sum)
{
    uint32_t bits;
    memcpy(&bits, sum, sizeof(bits));
    bits ^= 1;
    memcpy(sum, &bits, sizeof(bits));
}

struct rn_strip_sums __wrap_rn_onednn_product(struct rn_onednn_lane *lane,
                                              const struct rn_onednn_matrix *matrix, size_t slice,
                                              const uint16_t *rows)
{
    static float sums[RN_STRIP_MAX * RN_ONEDNN_SLICE];
    struct rn_strip_sums out = __real_rn_onednn_product(lane, matrix, slice, rows);
    const size_t strip = rn_onednn_lane_strip(lane);
    memcpy(sums, out.sums, strip * out.ld * sizeof(*sums));
    out.sums = sums;
    if (wrong == BY_PLACE) {
        nudge(&sums[3 * out.ld]);
    } else if (wrong == BY_LAST_PLACE) {
        nudge(&sums[(strip - 1) * out.ld + out.count / 2]);
    } else if (wrong == BY_LAST_COLUMN) {
        nudge(&sums[5 * out.ld + out.count - 1]);
    }
    for (size_t i = 1; i < strip && wrong == BY_NEIGHBOUR; i++) {
        if (rows[(i - 1) * rn_onednn_depth(matrix)] & 1u) {
            nudge(&sums[i * out.ld]);
        }
    }
    return out;
}

static rn_result matrix_of(enum wrong how, size_t columns)
{
    struct rn_onednn *onednn = NULL;
    struct rn_onednn_matrix *matrix = NULL;
    struct rn_error err;
    float *w = rn_alloc(64 * columns, sizeof(float));
    for (size_t i = 0; i < 64 * columns; i++) {
        w[i] = (float)(i % 37) * 0x1p-5f - 0.5f;
    }
    wrong = EXACT;
    assert_true(rn_is_ok(rn_onednn_new(&onednn, &err)));
    wrong = how;
    const rn_result result =
        rn_onednn_matrix_new(onednn, w, 64, columns, columns, 1, &matrix, &err);
    rn_onednn_matrix_free(matrix);
    rn_onednn_free(onednn);
    rn_free(w);
    return result;
}

static void a_row_that_changes_is_refused(void **state)
{
    (void)state;
    if (!rn_cpu_features()->avx512_bf16) {
        skip(); /* the library refuses bfloat16 */
    }
    assert_true(rn_is_ok(matrix_of(EXACT, 48)));
    for (int how = BY_PLACE; how <= BY_LAST_COLUMN; how++) {
        assert_int_equal(matrix_of((enum wrong)how, 48).code, RN_E_UNSUPPORTED);
        assert_int_equal(matrix_of((enum wrong)how, 33).code, RN_E_UNSUPPORTED);
    }
}

/* Which is why the process does not offer it. */
static void the_class_is_refused(void **state)
{
    (void)state;
    wrong = BY_PLACE;
    assert_false(rn_onednn_row_exact());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_changes_is_refused),
        cmocka_unit_test(the_class_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
