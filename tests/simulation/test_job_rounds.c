/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole jobs without trouble, and with one kind of it at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/simulation/jobsim.h"

static const struct job_options calm = {
    .seed = 1,
    .members = 4,
    .losses = 1,
    .colluding = 1,
    .honest = 2,
    .method = RN_METHOD_ROLORA,
    .head = RN_PLAN_HEAD_FEDERATED,
    .rounds = 4,
    .attempts = 3,
    .delay_ms = 50,
    .commit_ms = 30,
    .training_ms = 2000,
    .publish_ms = 500,
};

static void test_calm(void **state)
{
    (void)state;
    for (int method = RN_METHOD_ROLORA; method <= RN_METHOD_FEDAVG_LORA; method++) {
        struct job_options options = calm;
        options.method = (enum rn_plan_method)method;
        struct job *job = job_new(&options);
        assert_true(job_run(job, 600000));
        assert_int_equal(job->sums, 4);
        assert_int_equal(job->skips, 0);
        for (uint32_t i = 0; i <= options.members; i++) {
            assert_int_equal(job->nodes[i].result.code, RN_OK);
            assert_true(job->nodes[i].final_published);
        }
        job_check_end(job);
        job_free(job);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
