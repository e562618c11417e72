/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's promise in a federated job: reserved before data, charged before a gradient, across
 * restarts and plans (privacy cases 27 and 28, the service's part).
 */
#include "services/host/roundprivacy.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/privacyquote.h"
#include "policy/sharedplan.h"
#include "services/host/siteprivacy.h"
#include "tests/unit/policy/policytext.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 4
#define TRAININGS 5 /* one retry */

static struct rn_site_files *site;
static struct rn_error error;
static const uint8_t start[32] = {1, 2, 3};

static void plan_read(const char *text)
{
    if (!rn_is_ok(rn_plan_parse(rn_view_text(text), "plan", &site->plan, &error))) {
        fail_msg("%s", error.text);
    }
}

static int site_make(void **state)
{
    struct rn_secret32 seed = {{9}};
    (void)state;
    site = rn_alloc(1, sizeof *site);
    (void)rn_text_format(site->directory, sizeof site->directory, "/tmp/rondo-privacy-XXXXXX");
    (void)rn_text_format(site->state, sizeof site->state, "/tmp/rondo-privacy-XXXXXX");
    site->identity = rn_identity_from_seed(&seed);
    plan_read(private_plan_example);
    return mkdtemp(site->directory) == NULL || mkdtemp(site->state) == NULL ||
                   !rn_is_ok(rn_policy_parse(rn_view_text(promising_policy_example), "policy",
                                             &site->policy, &error))
               ? -1
               : 0;
}

static void remove_folder(const char *path)
{
    static const char *const names[] = {"privacy-wards.ledger", "privacy-wards.ledger.lock",
                                        "privacy-wards.ledger.salt"};
    char file[RN_PATH_MAX];
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        if (rn_is_ok(rn_path_join(file, path, names[i], NULL))) {
            (void)unlink(file);
        }
    }
    (void)rmdir(path);
}

static int site_free(void **state)
{
    (void)state;
    remove_folder(site->directory);
    remove_folder(site->state);
    rn_identity_free(site->identity);
    rn_free(site);
    return 0;
}

static enum rn_code open_with(uint32_t rounds, uint32_t round, struct rn_round_privacy **out)
{
    return rn_round_privacy_open(site, rounds, round, out, &error).code;
}

static struct rn_round_privacy *opened(void)
{
    struct rn_round_privacy *privacy = NULL;
    if (open_with(0, 0, &privacy) != RN_OK) {
        fail_msg("%s", error.text);
    }
    return privacy;
}

static enum rn_code begin(struct rn_round_privacy *privacy, uint32_t round)
{
    RN_CLEANUP(rn_dp_source_clear) struct rn_dp_source source = {0};
    struct rn_dp_spec spec = {0};
    const enum rn_code code =
        rn_round_privacy_begin(privacy, round, start, &source, &spec, &error).code;
    if (code == RN_OK) {
        assert_true(spec.noise != NULL && spec.uniform != NULL && spec.context == &source);
        assert_true(spec.noise_multiplier == 1.5 && spec.clip_norm == 0.5);
        assert_true(spec.threshold == rn_privacy_threshold(0.004));
        assert_true(spec.threshold == rn_dp_threshold(0.004)); /* the trainer's own rule */
        assert_int_equal(spec.sampling, RN_DP_POISSON);
        assert_int_equal(spec.grid, RN_PRIVACY_GRID);
    }
    return code;
}

/* What a reader of the file sees of the plan. */
static struct rn_privacy_planstate written(uint64_t *out_nonprivate)
{
    char path[RN_PATH_MAX];
    struct rn_privacy_ledger *ledger = NULL;
    assert_true(rn_is_ok(rn_siteprivacy_path(site->state, "wards", path, &error)));
    if (!rn_is_ok(rn_siteprivacy_read(path, &ledger, &error))) {
        fail_msg("%s", error.text);
    }
    const struct rn_privacy_planstate *known = rn_privacy_ledger_find(ledger, site->plan.hash);
    const struct rn_privacy_planstate found =
        known == NULL ? (struct rn_privacy_planstate){0} : *known;
    *out_nonprivate = ledger->nonprivate;
    rn_privacy_ledger_free(ledger);
    return found;
}

static void a_job_is_charged_and_closed(void **state)
{
    (void)state;
    const float values[3] = {1, 2, 3};
    const struct rn_view update = rn_view_of(values, sizeof values);
    uint64_t nonprivate = 0;
    struct rn_policy_spent spent = {0};
    struct rn_round_privacy *privacy = opened();
    assert_true(rn_round_privacy_on(privacy));
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        assert_int_equal(begin(privacy, round), RN_OK);
        assert_int_equal(rn_round_privacy_end(privacy, &update, &error).code, RN_OK);
    }
    assert_int_equal(rn_round_privacy_close(privacy, &error).code, RN_OK);
    rn_round_privacy_free(privacy);
    privacy = opened(); /* a service that stays, or is asked once more, has nothing to train */
    assert_int_equal(begin(privacy, ROUNDS), RN_E_REFUSED);
    rn_round_privacy_free(privacy);
    const struct rn_privacy_planstate plan = written(&nonprivate);
    assert_int_equal(plan.begun, ROUNDS);
    assert_int_equal(plan.outputs, ROUNDS);
    assert_true(plan.closed && nonprivate == 0);
    site->plan.hash[0] ^= 1; /* to another plan these trainings are spent, and nothing else */
    assert_true(rn_is_ok(rn_round_privacy_spent(site->directory, site->state, &site->policy,
                                                &site->plan, &spent, &error)));
    assert_true(spent.filter > 0 &&
                spent.filter <= (plan.plan.filter_after - plan.plan.filter_before) * ROUNDS /
                                    TRAININGS * (1 + 1e-12));
}

/* A process that was killed has paid: after each intent another one takes over. */
static void killed_trainings_are_paid_for(void **state)
{
    (void)state;
    uint64_t nonprivate = 0;
    for (uint32_t i = 0; i < TRAININGS; i++) {
        struct rn_round_privacy *privacy = opened();
        assert_int_equal(begin(privacy, 1), RN_OK);
        rn_round_privacy_free(privacy);
        assert_int_equal(written(&nonprivate).begun, i + 1);
    }
    struct rn_round_privacy *privacy = opened();
    assert_int_equal(begin(privacy, 1), RN_E_REFUSED);
    assert_int_equal(begin(privacy, 2), RN_E_REFUSED);
    rn_round_privacy_free(privacy);
    assert_int_equal(written(&nonprivate).begun, TRAININGS);
}

/* The journal knows in how many rounds an update of this member was encoded. */
static void an_older_ledger_is_noticed(void **state)
{
    (void)state;
    struct rn_round_privacy *privacy = opened();
    assert_int_equal(begin(privacy, 1), RN_OK);
    rn_round_privacy_free(privacy);
    assert_int_equal(open_with(1, 1, &privacy), RN_OK);
    rn_round_privacy_free(privacy);
    assert_int_equal(open_with(2, 1, &privacy), RN_E_DATA);
    assert_int_equal(open_with(1, 2, &privacy), RN_E_DATA);
    assert_non_null(strstr(error.text, "older copy"));
    assert_null(privacy);
}

static void a_plan_without_noise_is_written_down(void **state)
{
    (void)state;
    uint64_t nonprivate = 0;
    plan_read(plan_example);
    struct rn_round_privacy *privacy = opened();
    assert_non_null(privacy);
    assert_false(rn_round_privacy_on(privacy));
    rn_round_privacy_free(privacy);
    rn_round_privacy_free(opened());
    (void)written(&nonprivate);
    assert_int_equal(nonprivate, 1);
}

/* Neither plan nor policy speaks of privacy; then the same where a ledger says that they did. */
static void a_promise_cannot_be_forgotten(void **state)
{
    (void)state;
    struct rn_round_privacy *privacy = NULL;
    const struct rn_policy_privacy promise = site->policy.privacy;
    plan_read(plan_example);
    site->policy.privacy = (struct rn_policy_privacy){0};
    assert_null(opened());
    site->policy.privacy = promise;
    rn_round_privacy_free(opened());
    site->policy.privacy = (struct rn_policy_privacy){0};
    assert_int_equal(open_with(0, 0, &privacy), RN_E_CONFIG);
    assert_non_null(strstr(error.text, "'wards'"));
    char path[RN_PATH_MAX]; /* a site directory that is made anew has the copy in the state alone */
    assert_true(rn_is_ok(rn_siteprivacy_path(site->directory, "wards", path, &error)));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_with(0, 0, &privacy), RN_E_CONFIG);
}

/* A crash in the very first start leaves a file without a record, which nothing was done under. */
static void a_ledger_without_a_record_is_none(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    struct rn_policy_spent spent = {1, 1};
    assert_true(rn_is_ok(rn_siteprivacy_path(site->state, "wards", path, &error)));
    assert_true(rn_is_ok(rn_file_write(path, rn_view_text("header ver"), 0644, &error)));
    assert_true(rn_is_ok(rn_round_privacy_spent(site->directory, site->state, &site->policy,
                                                &site->plan, &spent, &error)));
    assert_true(spent.filter == 0 && spent.apart == 0);
    rn_round_privacy_free(opened());
}

/* The bound is 400. */
static void more_records_than_promised_train_nothing(void **state)
{
    (void)state;
    struct rn_round_privacy *privacy = opened();
    assert_int_equal(rn_round_privacy_records_check(privacy, 400, &error).code, RN_OK);
    assert_int_equal(rn_round_privacy_records_check(privacy, 401, &error).code, RN_E_REFUSED);
    assert_null(strstr(error.text, "401")); /* how many there are is nobody's business */
    assert_int_equal(rn_round_privacy_records_check(NULL, 401, &error).code, RN_OK);
    rn_round_privacy_free(privacy);
}

/* Terms are fixed for the life of a lineage; another lineage has a ledger of its own. */
/* Each record in exactly 2 of a round's 20 steps: the trainer is told so, and the ledger. */
static void an_allocation_is_the_trainers_own(void **state)
{
    (void)state;
    static char text[EDITED_MAX];
    static char both[EDITED_MAX];
    edited(text, private_plan_example, "sampling: poisson", "sampling: allocation");
    edited(both, text, "  rate: 0.004\n", "  rate: 0.1\n");
    plan_read(both);
    site->plan.training.batch = 300;
    site->policy.privacy.rate_max = 0.1;
    RN_CLEANUP(rn_dp_source_clear) struct rn_dp_source source = {0};
    struct rn_round_privacy *privacy = opened();
    struct rn_dp_spec spec = {0};
    assert_true(rn_is_ok(rn_round_privacy_begin(privacy, 1, start, &source, &spec, &error)));
    assert_int_equal(spec.sampling, RN_DP_ALLOCATION);
    assert_int_equal(spec.picks, 2);
    uint64_t nonprivate;
    const struct rn_privacy_planstate plan = written(&nonprivate);
    assert_int_equal(plan.plan.sampler, RN_PRIVACY_SAMPLER_ALLOCATION);
    assert_true(plan.plan.threshold == 2 && plan.begun == 1);
    site->policy.privacy.records_max = RN_PRIVACY_RECORDS_MAX;
    const uint64_t most = RN_DP_ALLOCATION_PICKS_MAX / 2;
    assert_true(rn_is_ok(rn_round_privacy_records_check(privacy, most, &error)));
    assert_int_equal(rn_round_privacy_records_check(privacy, most + 1, &error).code, RN_E_REFUSED);
    rn_round_privacy_free(privacy);
}

static void promises_do_not_change(void **state)
{
    (void)state;
    struct rn_round_privacy *privacy = NULL;
    rn_round_privacy_free(opened());
    site->policy.privacy.epsilon = 5;
    assert_int_equal(open_with(0, 0, &privacy), RN_E_CONFIG);
    site->policy.privacy.epsilon = 4;
    site->policy.privacy.records_max = 401;
    assert_int_equal(open_with(0, 0, &privacy), RN_E_CONFIG);
    site->policy.privacy.records_max = 400;
    rn_round_privacy_free(opened());
}

/* What the plan before did not begin is free again; what it began is not. */
static void plans_share_a_budget(void **state)
{
    (void)state;
    struct rn_privacy_quote quote;
    struct rn_round_privacy *privacy = NULL;
    uint32_t most = UINT32_MAX;
    site->plan.training.batch = 64;
    while (most > 6) { /* a plan that the budget holds a few of */
        site->plan.training.steps *= 2;
        assert_true(rn_is_ok(rn_privacy_quote(&site->plan, &site->policy, &quote, &error)));
        most = (uint32_t)(quote.terms.bound / quote.cost);
    }
    assert_true(most >= 1);
    uint32_t plans = 0;
    for (enum rn_code code = RN_OK; code == RN_OK && plans <= most + 1; site->plan.hash[0]++) {
        code = open_with(0, 0, &privacy);
        for (uint32_t i = 0; code == RN_OK && i < TRAININGS; i++) {
            assert_int_equal(begin(privacy, i < ROUNDS ? i + 1 : ROUNDS), RN_OK);
        }
        plans += code == RN_OK ? 1 : 0;
        assert_true(code == RN_OK || code == RN_E_REFUSED);
        rn_round_privacy_free(code == RN_OK ? privacy : NULL);
    }
    assert_int_equal(plans, most);
}

/* Kept by the owner alone, and the same at every start. */
static void the_lineage_has_one_salt(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    struct stat facts;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer first = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer second = {0};
    rn_round_privacy_free(opened());
    assert_true(rn_is_ok(rn_path_join(path, site->state, "privacy-wards.ledger.salt", &error)));
    assert_true(rn_is_ok(rn_file_read(path, 32, &first, &error)));
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    rn_round_privacy_free(opened());
    assert_true(rn_is_ok(rn_file_read(path, 32, &second, &error)));
    assert_int_equal(first.length, 32);
    assert_true(rn_view_equal(rn_buffer_view(&first), rn_buffer_view(&second)));
}

/* What a training of a shared plan would add to its sum. */
static void share_draw(struct rn_round_privacy *privacy, uint32_t round, size_t n, int64_t *out)
{
    RN_CLEANUP(rn_dp_source_clear) struct rn_dp_source source = {0};
    struct rn_dp_spec spec = {0};
    assert_int_equal(rn_round_privacy_begin(privacy, round, start, &source, &spec, &error).code,
                     RN_OK);
    assert_true(spec.noise_multiplier * spec.grid == rn_shared_deviation(&site->plan));
    spec.noise(spec.context, n, spec.noise_multiplier * spec.grid, out);
    /* of the discrete kind: at deviation 1 it is 0 with probability 0.39894, a rounded Gaussian
     * with 0.38292 */
    enum { M = 100000 };
    int64_t *small = rn_alloc(M, sizeof *small);
    double zeros = 0;
    spec.noise(spec.context, M, 1, small);
    for (size_t i = 0; i < M; i++) {
        zeros += small[i] == 0;
    }
    assert_true(fabs(zeros / M - 0.39894) < 4.9 * sqrt(0.24 / M));
    rn_free(small);
}

/* privacy case 30. Noise 1.5 by two honest members: a share has half of that variance, anew in each
 * training, also of one round, and each is charged. */
static void a_member_adds_its_share(void **state)
{
    (void)state;
    enum { N = 20000 };
    const double share = ceil(1.5 * 0x1p20 / sqrt(2));
    int64_t *first = rn_alloc(N, sizeof *first);
    int64_t *second = rn_alloc(N, sizeof *second);
    uint64_t nonprivate = 0;
    double square = 0;
    double both = 0;
    site->plan.privacy.mode = RN_PLAN_PRIVACY_SHARED;
    site->plan.training.steps = 1;
    struct rn_round_privacy *privacy = opened();
    share_draw(privacy, 1, N, first);
    const double once = written(&nonprivate).divergence;
    share_draw(privacy, 1, N, second);
    for (size_t i = 0; i < N; i++) {
        square += (double)first[i] * (double)first[i] / (share * share);
        both += (double)first[i] * (double)second[i] / (share * share);
    }
    assert_true(fabs(square / N - 1) < 4.9 * sqrt(2.0 / N));
    assert_true(fabs(both / N) < 4.9 / sqrt(N));
    const int64_t sum[3] = {1, -2, 3};
    const struct rn_view output = rn_view_of(sum, sizeof sum);
    assert_int_equal(rn_round_privacy_end(privacy, &output, &error).code, RN_OK);
    const struct rn_privacy_planstate plan = written(&nonprivate);
    assert_true(plan.plan.honest == 2 && plan.plan.deviation == share);
    assert_true(plan.begun == 2 && plan.outputs == 1 && once > 0);
    rn_round_privacy_free(privacy);
    rn_free(first);
    rn_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_is_charged_and_closed, site_make, site_free),
        cmocka_unit_test_setup_teardown(killed_trainings_are_paid_for, site_make, site_free),
        cmocka_unit_test_setup_teardown(an_older_ledger_is_noticed, site_make, site_free),
        cmocka_unit_test_setup_teardown(a_plan_without_noise_is_written_down, site_make, site_free),
        cmocka_unit_test_setup_teardown(a_promise_cannot_be_forgotten, site_make, site_free),
        cmocka_unit_test_setup_teardown(a_ledger_without_a_record_is_none, site_make, site_free),
        cmocka_unit_test_setup_teardown(more_records_than_promised_train_nothing, site_make,
                                        site_free),
        cmocka_unit_test_setup_teardown(an_allocation_is_the_trainers_own, site_make, site_free),
        cmocka_unit_test_setup_teardown(promises_do_not_change, site_make, site_free),
        cmocka_unit_test_setup_teardown(plans_share_a_budget, site_make, site_free),
        cmocka_unit_test_setup_teardown(the_lineage_has_one_salt, site_make, site_free),
        cmocka_unit_test_setup_teardown(a_member_adds_its_share, site_make, site_free),
    };
    return cmocka_run_group_tests_name("round privacy", tests, NULL, NULL);
}
