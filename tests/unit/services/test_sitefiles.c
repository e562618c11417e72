/* SPDX-License-Identifier: Apache-2.0
 *
 * A state directory belongs to a role and an identity for ever, and its job to one plan.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "services/host/sitefiles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char directory[] = "/tmp/rondo-sitefiles-XXXXXX";

static struct rn_site_files *site_make(uint8_t seed, enum rn_site_role role, uint8_t plan)
{
    const struct rn_secret32 secret = {{seed}};
    struct rn_site_files *site = rn_alloc(1, sizeof *site);
    site->identity = rn_identity_from_seed(&secret);
    site->site.role = role;
    site->plan.hash[0] = plan;
    (void)rn_text_format(site->state, sizeof site->state, "%s", directory);
    return site;
}

static rn_result bind(uint8_t seed, enum rn_site_role role, uint8_t plan, const char *certificate,
                      struct rn_error *err)
{
    struct rn_journal *journal = NULL;
    struct rn_site_files *site = site_make(seed, role, plan);
    rn_buffer_format(&site->chain_pem, "%s", certificate);
    assert_true(rn_is_ok(rn_journal_open(directory, &journal, NULL)));
    const rn_result result = rn_site_files_bind(site, journal, err);
    rn_journal_close(&journal);
    rn_site_files_free(site);
    return result;
}

static void bound_to_owner_and_plan(void **state)
{
    (void)state;
    struct rn_error err = {{0}};
    assert_non_null(mkdtemp(directory));
    assert_true(rn_is_ok(rn_crypto_setup(&err)));
    assert_true(rn_is_ok(bind(1, RN_SITE_MEMBER, 7, "old", &err)));
    assert_true(rn_is_ok(bind(1, RN_SITE_MEMBER, 7, "renewed", &err)));
    assert_int_equal(bind(2, RN_SITE_MEMBER, 7, "old", &err).code, RN_E_CONFIG);
    assert_non_null(strstr(err.text, "another identity"));
    assert_int_equal(bind(1, RN_SITE_COORDINATOR, 7, "old", &err).code, RN_E_CONFIG);
    assert_int_equal(bind(1, RN_SITE_MEMBER, 8, "old", &err).code, RN_E_CONFIG);
    assert_non_null(strstr(err.text, "another plan"));
    assert_true(rn_is_ok(bind(1, RN_SITE_MEMBER, 7, "old", &err)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bound_to_owner_and_plan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
