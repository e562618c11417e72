/* SPDX-License-Identifier: Apache-2.0
 *
 * A state directory belongs to a role and an identity for ever, whatever certificate the site has,
 * and its job to one plan.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "services/federation/jobrecords.h"
#include "services/host/sitefiles.h"

static void binding_of(uint8_t seed, enum rn_site_role role, uint8_t plan, const char *certificate,
                       struct rn_buffer *out)
{
    const struct rn_secret32 secret = {{seed}};
    struct rn_site_files *site = rn_alloc(1, sizeof *site);
    site->identity = rn_identity_from_seed(&secret);
    site->site.role = role;
    site->plan.hash[0] = plan;
    rn_buffer_format(&site->credentials.chain_pem, "%s", certificate);
    rn_site_files_binding(site, out);
    rn_site_files_free(site);
}

static bool same_owner(uint8_t seed, enum rn_site_role role, uint8_t plan, const char *certificate)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer first = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    binding_of(1, RN_SITE_MEMBER, 7, "old", &first);
    binding_of(seed, role, plan, certificate, &other);
    return rn_view_equal(rn_buffer_view(&first), rn_buffer_view(&other));
}

static void test_owner(void **state)
{
    (void)state;
    assert_true(rn_is_ok(rn_crypto_setup(NULL)));
    assert_true(same_owner(1, RN_SITE_MEMBER, 7, "renewed"));
    assert_true(same_owner(1, RN_SITE_MEMBER, 8, "old"));
    assert_false(same_owner(2, RN_SITE_MEMBER, 7, "old"));
    assert_false(same_owner(1, RN_SITE_COORDINATOR, 7, "old"));
}

/* Records of one kind: the plan's. */
static rn_result latest(void *context, enum rn_record_kind kind, int64_t round,
                        struct rn_record_key *out_key, struct rn_buffer *out_body, bool *out_found,
                        struct rn_error *err)
{
    const struct rn_buffer *held = context;
    (void)round;
    (void)err;
    assert_int_equal(kind, RN_RECORD_PLAN);
    *out_key = (struct rn_record_key){.kind = kind};
    *out_found = held->length > 0;
    rn_buffer_clear(out_body);
    rn_buffer_append(out_body, held->data, held->length);
    return rn_ok();
}

static rn_result bind_plan(uint8_t plan_byte, struct rn_buffer *held, struct rn_error *err)
{
    struct rn_plan *RN_CLEANUP(rn_free_cleanup) plan = rn_alloc(1, sizeof *plan);
    const struct rn_job_basis basis = {.plan = plan, .reader = {.context = held, .latest = latest}};
    RN_CLEANUP(rn_effects_clear) struct rn_effects effects = {0};
    plan->hash[0] = plan_byte;
    const rn_result result = rn_job_bind_plan(&basis, &effects, err);
    if (effects.count > 0) {
        assert_int_equal(effects.items[0].kind, RN_EFFECT_COMMIT);
        const struct rn_job_write *write = &effects.items[0].batch.writes[0];
        assert_int_equal(write->key.kind, RN_RECORD_PLAN);
        assert_int_equal(held->length, 0);
        rn_buffer_append(held, write->body.data, write->body.length);
    }
    return result;
}

static void test_plan(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer held = {0};
    struct rn_error err = {{0}};
    assert_true(rn_is_ok(bind_plan(7, &held, &err)));
    assert_int_equal(held.length, RN_HASH_BYTES);
    assert_true(rn_is_ok(bind_plan(7, &held, &err)));
    assert_int_equal(bind_plan(8, &held, &err).code, RN_E_CONFIG);
    assert_non_null(strstr(err.text, "another plan"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
