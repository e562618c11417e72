/* SPDX-License-Identifier: Apache-2.0
 *
 * jobs.ledger of a site: one service an identity, charged once, never silently empty.
 */
#include "services/host/siteledger.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/host/jobhost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/rondo-siteledger-XXXXXX";
static char state[] = "/tmp/rondo-siteledger-state-XXXXXX";
static struct rn_plan plan;
static struct rn_error error;
static const struct rn_identity_public owner = {{7}};
static const struct rn_siteledger_state fresh = {false, false}, bound = {true, false},
                                        ran = {true, true};

static const struct rn_siteledger_place place = {directory, state, &owner};

static enum rn_code open(struct rn_siteledger_state job, struct rn_siteledger **out)
{
    return rn_siteledger_open(&place, &plan, 1, job, out, &error).code;
}

static enum rn_code tried(struct rn_siteledger_state job)
{
    struct rn_siteledger *ledger = NULL;
    const enum rn_code code = open(job, &ledger);
    rn_siteledger_free(ledger);
    return code;
}

static void file_remove(const char *where, const char *name)
{
    char path[RN_PATH_MAX];
    assert_int_equal(rn_path_join(path, where, name, NULL).code, RN_OK);
    (void)unlink(path);
}

/* case 32 */
static void one_service_an_identity(void **unused)
{
    (void)unused;
    struct rn_siteledger *first = NULL;
    assert_int_equal(open(fresh, &first), RN_OK);
    assert_int_equal(tried(fresh), RN_E_BUSY);
    assert_non_null(strstr(error.text, "another rondo-trainer"));
    rn_siteledger_free(first);
    assert_int_equal(tried(fresh), RN_OK);
}

/* A plan that is charged and a state that was bound belong together; one without the other is a
 * loss. Charged and bound without a record: the crash in between. */
static void ledger_and_state_have_to_fit(void **unused)
{
    (void)unused;
    struct rn_siteledger *ledger = NULL;
    assert_int_equal(tried(bound), RN_OK); /* started, no session yet */
    assert_int_equal(tried(ran), RN_E_DATA);
    assert_int_equal(open(fresh, &ledger), RN_OK);
    assert_int_equal(rn_siteledger_charge(ledger, &error).code, RN_OK);
    assert_int_equal(rn_siteledger_charge(ledger, &error).code, RN_OK);
    rn_siteledger_free(ledger);
    assert_int_equal(tried(fresh), RN_E_DATA);
    assert_non_null(strstr(error.text, "it was lost"));
    assert_int_equal(tried(bound), RN_OK);
    assert_int_equal(tried(ran), RN_OK);
    plan.hash[0]++; /* another plan over the same base model, another seed */
    plan.seed++;
    assert_int_equal(tried(fresh), RN_E_REFUSED);
    plan.hash[0]--;
    plan.seed--;
    file_remove(directory, RN_SITE_LEDGER); /* each copy is enough, and the other comes back */
    assert_int_equal(tried(ran), RN_OK);
    file_remove(state, RN_SITE_LEDGER);
    assert_int_equal(tried(fresh), RN_E_DATA);
    assert_int_equal(tried(ran), RN_OK);
    file_remove(directory, RN_SITE_LEDGER);
    assert_int_equal(open(ran, &ledger), RN_OK);
    assert_int_equal(rn_siteledger_charge(ledger, &error).code, RN_OK);
    rn_siteledger_free(ledger);
    file_remove(state, RN_SITE_LEDGER);
    assert_int_equal(tried(ran), RN_OK);
    assert_int_equal(tried(fresh), RN_E_DATA);
    file_remove(state, RN_SITE_LEDGER);
    file_remove(directory, RN_SITE_LEDGER);
    assert_int_equal(tried(ran), RN_E_DATA);
}

static void another_identity_is_refused(void **unused)
{
    (void)unused;
    struct rn_siteledger *ledger = NULL;
    const struct rn_identity_public other = {{8}};
    assert_int_equal(open(fresh, &ledger), RN_OK);
    assert_int_equal(rn_siteledger_charge(ledger, &error).code, RN_OK);
    rn_siteledger_free(ledger);
    const struct rn_siteledger_place foreign = {directory, state, &other};
    assert_int_equal(rn_siteledger_open(&foreign, &plan, 1, ran, &ledger, &error).code,
                     RN_E_IDENTITY);
}

/* The program hangs the charge before the batch that holds the first record of a session, and no
 * other; one that cannot be charged is not committed (test_executor). */
static void a_session_is_charged_before_its_first_record(void **unused)
{
    (void)unused;
    struct rn_executor_config config;
    const struct rn_jobhost_program program = {.role = RN_SITE_MEMBER};
    struct rn_jobhost *host = rn_alloc(1, sizeof *host);
    RN_CLEANUP(rn_effects_clear) struct rn_effects effects = {0};
    struct rn_record_key key = {.kind = RN_RECORD_PLAN};
    file_remove(directory, RN_SITE_LEDGER);
    file_remove(state, RN_SITE_LEDGER);
    host->program = &program;
    assert_int_equal(open(fresh, &host->ledger), RN_OK);
    rn_jobhost_executor(host, &config);
    (void)rn_job_batch_write(rn_effects_commit(&effects), &key);
    const struct rn_job_batch *batch = &effects.items[0].batch;
    assert_int_equal(config.before(config.outlet.context, batch, &error).code, RN_OK);
    assert_int_equal(rn_siteledger_jobs(host->ledger)->count, 0);
    key.kind = RN_RECORD_SPENT;
    (void)rn_job_batch_write(rn_effects_commit(&effects), &key);
    batch = &effects.items[0].batch;
    assert_int_equal(batch->write_count, 2);
    assert_int_equal(rmdir(state), 0); /* the disk fails */
    assert_int_equal(config.before(config.outlet.context, batch, &error).code, RN_E_IO);
    assert_int_equal(mkdir(state, 0700), 0);
    assert_int_equal(config.before(config.outlet.context, batch, &error).code, RN_OK);
    rn_siteledger_free(host->ledger);
    rn_free(host);
    assert_int_equal(tried(ran), RN_OK);
    file_remove(directory, RN_SITE_LEDGER);
    assert_int_equal(tried(ran), RN_OK); /* both copies */
}

/* As status and doctor print it. */
static void what_it_holds_is_shown(void **unused)
{
    (void)unused;
    struct rn_siteledger *ledger = NULL;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    file_remove(directory, RN_SITE_LEDGER);
    file_remove(state, RN_SITE_LEDGER);
    assert_int_equal(open(fresh, &ledger), RN_OK);
    rn_siteledger_json(rn_siteledger_jobs(ledger), 2, &text);
    assert_string_equal(rn_buffer_text(&text), "{\"jobs\":0,\"jobs_max\":2,\"models\":[]}");
    assert_int_equal(rn_siteledger_charge(ledger, &error).code, RN_OK);
    rn_buffer_clear(&text);
    rn_siteledger_json(rn_siteledger_jobs(ledger), 2, &text);
    assert_string_equal(rn_buffer_text(&text),
                        "{\"jobs\":1,\"jobs_max\":2,\"models\":[{\"model\":\"0000000000000000000000"
                        "000000000000000000000000000000000000000000\",\"jobs\":1}]}");
    rn_siteledger_free(ledger);
}

static int setup(void **unused)
{
    (void)unused;
    return mkdtemp(directory) == NULL || mkdtemp(state) == NULL;
}

static int teardown(void **unused)
{
    (void)unused;
    file_remove(directory, RN_SITE_LEDGER);
    file_remove(directory, RN_SITE_LEDGER ".lock");
    file_remove(state, RN_SITE_LEDGER);
    return rmdir(directory) | rmdir(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_service_an_identity),
        cmocka_unit_test(ledger_and_state_have_to_fit),
        cmocka_unit_test(another_identity_is_refused),
        cmocka_unit_test(a_session_is_charged_before_its_first_record),
        cmocka_unit_test(what_it_holds_is_shown),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
