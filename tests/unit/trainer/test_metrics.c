/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics against scikit-learn and scipy, and the cases in which those give NaN.
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/learn/metrics.h"

#include "golden_metrics.h"
#include <math.h>

static void near(double got, double expected, double tolerance, const char *what, size_t index)
{
    if (!(fabs(got - expected) <= tolerance)) {
        print_error("%s of case %zu: got %.17g, expected %.17g\n", what, index, got, expected);
        fail();
    }
}

static void classification(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(golden_classes); i++) {
        const struct golden_class *g = &golden_classes[i];
        near(rn_metrics_accuracy(g->label, g->predicted, g->count), g->accuracy, 1e-12, "accuracy",
             i);
        near(rn_metrics_f1(g->label, g->predicted, g->count, g->classes), g->f1, 1e-12, "f1", i);
        near(rn_metrics_matthews(g->label, g->predicted, g->count, g->classes), g->matthews, 1e-12,
             "matthews", i);
    }
}

static void regression(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(golden_targets); i++) {
        const struct golden_target *g = &golden_targets[i];
        /* scipy saw the decimals, not the floats nearest to them. */
        near(rn_metrics_pearson(g->target, g->predicted, g->count), g->pearson, 1e-6, "pearson", i);
        near(rn_metrics_spearman(g->target, g->predicted, g->count), g->spearman, 1e-12, "spearman",
             i);
    }
}

static void degenerate_cases_are_zero(void **state)
{
    const float same[] = {1, 1, 1};
    const float rising[] = {1, 2, 3};
    const float holes[] = {1, NAN, 3};

    (void)state;
    near(rn_metrics_accuracy(NULL, NULL, 0), 0, 0, "accuracy", 0);
    near(rn_metrics_f1(NULL, NULL, 0, 3), 0, 0, "f1", 0);
    near(rn_metrics_matthews(NULL, NULL, 0, 2), 0, 0, "matthews", 0);
    near(rn_metrics_pearson(same, rising, 3), 0, 0, "pearson", 0);
    near(rn_metrics_spearman(rising, same, 3), 0, 0, "spearman", 0);
    near(rn_metrics_pearson(rising, rising, 1), 0, 0, "pearson", 1);
    (void)rn_metrics_spearman(rising, holes, 3); /* comes back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classification),
        cmocka_unit_test(regression),
        cmocka_unit_test(degenerate_cases_are_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
