/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.yaml.sigs under a running service: what is written loses nothing that came into the file
 * meanwhile, and a change by somebody else is noticed once it stands still.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "policy/signature.h"
#include "services/host/sitesignatures.h"
#include "tests/unit/services/rpc_fixture.h"

#define MEMBERS 3
#define ALL 15u /* bits: members, then the coordinator */

static char site[RN_PATH_MAX], file[RN_PATH_MAX];
static struct rn_identity *identities[MEMBERS + 1];
static struct rn_roster roster;
static struct rn_plan plan = {.hash = {7}};
static struct end end;
static struct rn_site_signatures_watch *watch;
static struct rn_buffer told;
static unsigned texts, unread;

static void text_of(uint32_t signers, struct rn_buffer *out)
{
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) set = rn_alloc(1, sizeof(*set));
    rn_signatures_init(set, &plan);
    for (uint32_t i = 0; i <= MEMBERS; i++) {
        if ((signers >> i & 1u) != 0) {
            assert_true(rn_is_ok(rn_signatures_add(set, &plan, identities[i], NULL)));
        }
    }
    assert_true(rn_is_ok(rn_signatures_write(set, &roster, out, NULL)));
}

static void put(struct rn_view text)
{
    assert_true(rn_is_ok(rn_file_write(file, text, 0644, NULL)));
}

static void put_signers(uint32_t signers)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    text_of(signers, &text);
    put(rn_buffer_view(&text));
}

static void assert_file(uint32_t signers)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer expected = {0};
    text_of(signers, &expected);
    assert_true(rn_is_ok(rn_file_read(file, RN_SIGNATURES_BYTES_MAX, &text, NULL)));
    assert_true(rn_view_equal(rn_buffer_view(&text), rn_buffer_view(&expected)));
}

static rn_result keep(uint32_t signers)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_error err = {0};
    text_of(signers, &text);
    return rn_site_signatures_keep(site, &roster, rn_buffer_view(&text), &err);
}

/* --- keeping ---------------------------------------------------------------------------------- */

static void test_keep(void **state)
{
    (void)state;
    (void)unlink(file);
    assert_true(rn_is_ok(keep(9)));
    assert_file(9);
    put_signers(8 | 2); /* `rondo plan sign` took one over meanwhile */
    assert_true(rn_is_ok(keep(8 | 4)));
    assert_file(8 | 2 | 4);
    put(rn_view_text("rondo-signatures 1\nplan half of it"));
    assert_true(rn_is_ok(keep(9)));
    assert_file(9);
}

/* A signature that does not hold is not carried on, and neither is what stands beside it. */
static void test_keep_beside_a_forged_one(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    text_of(ALL, &text);
    text.data[text.length - 2] = text.data[text.length - 2] == '0' ? '1' : '0';
    put(rn_buffer_view(&text));
    assert_true(rn_is_ok(keep(9)));
    assert_file(9);
}

/* The file of the plan that took this one's place is left alone. */
static void test_keep_for_another_plan(void **state)
{
    (void)state;
    plan.hash[0] = 8;
    put_signers(ALL);
    plan.hash[0] = 7;
    assert_int_equal(keep(9).code, RN_E_CONFIG);
    plan.hash[0] = 8;
    assert_file(ALL);
    plan.hash[0] = 7;
}

static void test_keep_where_nothing_can_be_written(void **state)
{
    (void)state;
    char good[RN_PATH_MAX];
    memcpy(good, site, sizeof(good));
    RN_BUG_IF(!rn_text_format(site, sizeof(site), "%s/absent", good));
    assert_false(rn_is_ok(keep(9)));
    memcpy(site, good, sizeof(site));
}

/* --- watching --------------------------------------------------------------------------------- */

static void on_text(void *context, struct rn_view text)
{
    assert_ptr_equal(context, &end);
    rn_buffer_clear(&told);
    rn_buffer_append(&told, text.data, text.length);
    texts++;
}

static void on_unread(void *context, const struct rn_error *err)
{
    assert_ptr_equal(context, &end);
    assert_non_null(strstr(err->text, RN_SITE_SIGNATURES));
    unread++;
}

static void look_often(void)
{
    for (unsigned i = 0; i < 40; i++) {
        (void)usleep(3000);
        (void)rn_rpc_step(end.rpc, 0);
    }
}

static void assert_told(uint32_t signers)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer expected = {0};
    text_of(signers, &expected);
    assert_true(rn_view_equal(rn_buffer_view(&told), rn_buffer_view(&expected)));
}

static void test_watch(void **state)
{
    (void)state;
    const struct rn_site_signatures_options options = {.directory = site,
                                                       .period_ms = 1,
                                                       .on_text = on_text,
                                                       .on_unread = on_unread,
                                                       .context = &end};
    put_signers(9);
    end_open(&end, "alpha");
    watch = rn_site_signatures_watch_new(end.rpc, &options);
    look_often();
    assert_int_equal(texts, 1); /* what is there, once */
    assert_told(9);
    put_signers(ALL);
    look_often();
    assert_int_equal(texts, 2);
    assert_told(ALL);
    rn_site_signatures_watch_reload(watch); /* SIGHUP: changed or not */
    assert_int_equal(texts, 3);
    assert_int_equal(unread, 0);

    uint8_t *large = rn_alloc(RN_SIGNATURES_BYTES_MAX + 1, 1); /* at the limit, and beyond it */
    memset(large, 'a', RN_SIGNATURES_BYTES_MAX + 1);
    put(rn_view_of(large, RN_SIGNATURES_BYTES_MAX));
    look_often();
    assert_int_equal(texts, 4);
    put(rn_view_of(large, RN_SIGNATURES_BYTES_MAX + 1));
    look_often();
    assert_int_equal(texts, 4);
    assert_int_equal(unread, 1);
    (void)unlink(file);
    look_often();
    assert_int_equal(unread, 2);
    put_signers(9);
    look_often();
    assert_int_equal(texts, 5);
    rn_free(large);
    end_close(&end);
    rn_site_signatures_watch_free(watch);
}

static int set_up(void **state)
{
    (void)state;
    RN_BUG_IF(!certs_make() || !rn_text_format(site, sizeof(site), "%s/site", certs) ||
              !rn_text_format(file, sizeof(file), "%s/%s", site, RN_SITE_SIGNATURES));
    (void)mkdir(site, 0700);
    roster.count = MEMBERS;
    for (uint32_t i = 0; i <= MEMBERS; i++) {
        struct rn_secret32 seed = {{0}};
        seed.bytes[0] = (uint8_t)(i + 1);
        identities[i] = rn_identity_from_seed(&seed);
        if (i < MEMBERS) {
            roster.members[i].key = *rn_identity_public_of(identities[i]);
            (void)rn_text_format(roster.members[i].name, sizeof(roster.members[i].name), "m%u",
                                 (unsigned)i);
        }
    }
    roster.coordinator = *rn_identity_public_of(identities[MEMBERS]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= MEMBERS; i++) {
        rn_identity_free(identities[i]);
    }
    rn_buffer_clear(&told);
    certs_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_keep_beside_a_forged_one),
        cmocka_unit_test(test_keep_for_another_plan),
        cmocka_unit_test(test_keep_where_nothing_can_be_written),
        cmocka_unit_test(test_watch),
    };
    if (!rn_is_ok(rn_rpc_setup(NULL))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
