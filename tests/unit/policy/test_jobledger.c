/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger of jobs: one text, damaged ones refused, which plan may follow which.
 */
#include "policy/jobledger.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct rn_job_ledger ledger;
static struct rn_job_ledger read_back;
static struct rn_plan plan;
static struct rn_error error;
static const struct rn_identity_public owner = {{7, 0xab, 0xcd, 0xef}};

static const struct rn_plan *plan_of(uint8_t hash, uint8_t model, uint64_t seed)
{
    memset(&plan, 0, sizeof plan);
    plan.hash[0] = hash;
    plan.hash[1] = (uint8_t)(hash + 1);
    plan.model_hash[0] = model;
    plan.seed = seed;
    return &plan;
}

static void charge(uint8_t hash, uint8_t model, uint64_t seed)
{
    assert_int_equal(rn_job_ledger_charge(&ledger, plan_of(hash, model, seed), &error).code, RN_OK);
}

static enum rn_code check(uint8_t hash, uint8_t model, uint64_t seed, uint32_t jobs_max)
{
    return rn_job_ledger_check(&ledger, plan_of(hash, model, seed), jobs_max, &error).code;
}

/* case 19 */
static void one_job_a_base_model(void **state)
{
    (void)state;
    rn_job_ledger_init(&ledger, &owner);
    assert_int_equal(check(1, 1, 1, 1), RN_OK);
    charge(1, 1, 1);
    assert_int_equal(check(1, 1, 1, 1), RN_OK); /* itself, again and again */
    assert_int_equal(check(2, 1, 2, 1), RN_E_REFUSED);
    assert_non_null(strstr(error.text, "raise it to 2"));
    assert_int_equal(check(2, 9, 2, 1), RN_OK); /* another base model */
    assert_int_equal(check(2, 1, 2, 2), RN_OK);
    charge(2, 1, 2);
    assert_int_equal(check(1, 1, 1, 1), RN_OK);
    assert_int_equal(check(3, 1, 3, 2), RN_E_REFUSED);
    assert_int_equal(check(3, 1, 3, 3), RN_OK);
}

/* case 19 */
static void same_seed_is_refused_whatever_is_allowed(void **state)
{
    (void)state;
    rn_job_ledger_init(&ledger, &owner);
    charge(1, 1, 5);
    assert_int_equal(check(2, 1, 5, 1000), RN_E_REFUSED);
    assert_non_null(strstr(error.text, "another seed"));
    assert_int_equal(check(2, 2, 5, 1000), RN_OK);
}

static enum rn_code parse(struct rn_view text, const struct rn_identity_public *identity)
{
    return rn_job_ledger_parse(text, "ledger", identity, &read_back, &error).code;
}

static void reads_what_it_writes(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_job_ledger_init(&ledger, &owner);
    charge(1, 1, 0);
    charge(2, 1, UINT64_MAX);
    rn_job_ledger_write(&ledger, &text);
    assert_int_equal(parse(rn_buffer_view(&text), &owner), RN_OK);
    assert_memory_equal(&ledger, &read_back, sizeof ledger);
    const struct rn_identity_public other = {{8}};
    assert_int_equal(parse(rn_buffer_view(&text), &other), RN_E_IDENTITY);
}

/* Every byte matters: a cut or changed file is an error, or other values, never a shorter ledger.
 */
static void damage_is_refused(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_job_ledger_init(&ledger, &owner);
    charge(1, 1, 77);
    charge(2, 1, 78);
    rn_job_ledger_write(&ledger, &text);
    const size_t line = (text.length - strlen("rondo-jobs 1\nidentity \n") - 64) / 2;
    for (size_t length = 0; length < text.length; length++) {
        const bool whole_lines = length == text.length - line || length == text.length - 2 * line;
        assert_int_equal(parse(rn_view_of(text.data, length), &owner) == RN_OK, whole_lines);
    }
    for (size_t at = 0; at < text.length; at++) {
        const uint8_t kept = text.data[at];
        text.data[at] = '~';
        assert_int_not_equal(parse(rn_buffer_view(&text), &owner), RN_OK);
        text.data[at] = kept;
    }
    for (size_t at = strlen("rondo-jobs 1\n"); at < text.length; at++) { /* one text alone */
        const uint8_t kept = text.data[at];
        if (kept >= 'a' && kept <= 'z') {
            text.data[at] = (uint8_t)(kept - 'a' + 'A');
            assert_int_not_equal(parse(rn_buffer_view(&text), &owner), RN_OK);
            text.data[at] = kept;
        }
    }
    char entry[256];
    assert_true(line <= sizeof entry);
    memcpy(entry, text.data + text.length - line, line);
    rn_buffer_append(&text, entry, line); /* twice */
    assert_int_equal(parse(rn_buffer_view(&text), &owner), RN_E_DATA);
    char seed[] = "18446744073709551616"; /* 2^64 */
    rn_job_ledger_write(&ledger, &text);
    memcpy(text.data + text.length - 21, seed, strlen(seed));
    assert_int_equal(parse(rn_buffer_view(&text), &owner), RN_E_DATA);
}

static void limit(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_job_ledger_init(&ledger, &owner);
    for (uint32_t i = 0; i < RN_JOB_LEDGER_MAX; i++) {
        memset(&plan, 0, sizeof plan);
        memcpy(plan.hash, &i, sizeof i);
        plan.seed = i;
        assert_int_equal(rn_job_ledger_check(&ledger, &plan, 1000, &error).code, RN_OK);
        assert_int_equal(rn_job_ledger_charge(&ledger, &plan, &error).code, RN_OK);
    }
    rn_job_ledger_write(&ledger, &text);
    assert_true(text.length <= RN_JOB_LEDGER_BYTES_MAX);
    assert_int_equal(parse(rn_buffer_view(&text), &owner), RN_OK);
    assert_int_equal(check(5, 9, 0, 1000), RN_E_REFUSED);
    assert_non_null(strstr(error.text, "is full"));
    memset(&plan, 0, sizeof plan);
    assert_int_equal(rn_job_ledger_check(&ledger, &plan, 1, &error).code, RN_OK); /* charged */
    plan.hash[31] = 1;
    assert_int_equal(rn_job_ledger_charge(&ledger, &plan, &error).code, RN_E_REFUSED);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer more = {0};
    struct rn_job_ledger *one = rn_alloc(1, sizeof *one);
    rn_job_ledger_init(one, &owner);
    assert_int_equal(rn_job_ledger_charge(one, &plan, &error).code, RN_OK);
    rn_job_ledger_write(one, &more);
    rn_free(one);
    const char *entry = strstr(rn_buffer_text(&more), "job ");
    rn_buffer_append(&text, entry, strlen(entry));
    assert_int_equal(parse(rn_buffer_view(&text), &owner), RN_E_DATA);
}

static void jobs_are_counted_by_base_model(void **state)
{
    (void)state;
    uint32_t at = 0;
    struct rn_job_model model;
    rn_job_ledger_init(&ledger, &owner);
    assert_false(rn_job_ledger_next_model(&ledger, &at, &model));
    static const uint8_t models[] = {5, 9, 5, 7, 9, 5};
    for (uint8_t i = 0; i < sizeof models; i++) {
        charge((uint8_t)(i + 1), models[i], i);
    }
    static const struct {
        uint8_t model;
        uint32_t jobs;
    } expected[] = {{5, 3}, {9, 2}, {7, 1}};
    at = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_true(rn_job_ledger_next_model(&ledger, &at, &model));
        assert_int_equal(model.hash[0], expected[i].model);
        assert_int_equal(model.jobs, expected[i].jobs);
    }
    assert_false(rn_job_ledger_next_model(&ledger, &at, &model));
    assert_false(rn_job_ledger_next_model(&ledger, &at, &model));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_job_a_base_model),
        cmocka_unit_test(same_seed_is_refused_whatever_is_allowed),
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(limit),
        cmocka_unit_test(jobs_are_counted_by_base_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
