/* SPDX-License-Identifier: Apache-2.0
 *
 * A member that lacks signatures of the plan which its policy asks for: it takes no offer and
 * trains nothing until they are there, hold, and are durable; whatever the coordinator sends.
 */
#include "tests/unit/services/participationworld.h"

#include "crypto/setup.h"
#include "services/federation/participationstate.h"

#define COORDINATOR (1u << SITES)

/* Site 0 of a world where the others lack nothing. */
static struct site *site_with(uint32_t held)
{
    struct world *w = make_world("2");
    struct site *site = &w->sites[0];
    stop_site(site);
    site->held = held;
    memset(site->events, 0, sizeof(site->events));
    start_site(site);
    return site;
}

static void say_text(struct site *site, struct rn_view text)
{
    send_to(site, &(struct rn_wire_envelope){.body = RN_WIRE_SIGNATURES, .as.signatures = text});
    pump(site->world);
}

static void write_signatures(const struct site *site, uint32_t signers, struct rn_buffer *out)
{
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) set = rn_alloc(1, sizeof(*set));
    sign_plan(site->world, signers, set);
    assert_true(rn_is_ok(rn_signatures_write(set, &site->world->roster, out, NULL)));
}

static void say_signatures(struct site *site, uint32_t signers)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) text = {0};
    write_signatures(site, signers, &text);
    say_text(site, rn_buffer_view(&text));
}

static void kept(struct site *site, enum rn_code code)
{
    step(site, (struct rn_input){
                   .kind = RN_INPUT_KEPT, .code = code, .text = "plan.yaml.sigs: disk full"});
    pump(site->world);
}

/* Whose signatures the newest KEEP holds, each checked. */
static uint32_t kept_signers(const struct site *site)
{
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) set = rn_alloc(1, sizeof(*set));
    const struct world *w = site->world;
    struct rn_plan_signers who;
    uint32_t bits = 0;
    assert_true(
        rn_is_ok(rn_signatures_parse(rn_buffer_view(&site->file), "plan.yaml.sigs", set, NULL)));
    assert_true(rn_is_ok(rn_signatures_verify(set, &w->plan, &w->roster, &who, NULL)));
    for (uint32_t i = 0; i < SITES; i++) {
        bits |= (uint32_t)who.members[i] << i;
    }
    return bits | (who.coordinator ? COORDINATOR : 0);
}

static void assert_untouched(const struct site *site)
{
    for (size_t type = 0; type < TYPES; type++) {
        assert_int_equal(site->sent[type], 0);
    }
    assert_int_equal(site->begun, 0);
    assert_true(view_of(site).waits);
    assert_false(view_of(site).in_session);
}

/* ---- Waiting */

static void nothing_is_trained_before_the_policy_is_satisfied(void **state)
{
    (void)state;
    struct site *site = site_with(1 | COORDINATOR);
    struct world *w = site->world;
    assert_int_equal(site->events[RN_JOB_POLICY_WAITS], 1);
    assert_non_null(strstr(site->event_text[RN_JOB_POLICY_WAITS], "site-1, site-2"));
    assert_string_equal(view_of(site).missing, site->event_text[RN_JOB_POLICY_WAITS]);
    connect_all(w, 1);
    assert_true(site->hello.waits);
    assert_false(w->sites[1].hello.waits);

    offer(w, 1, 1);
    assert_untouched(site);
    assert_int_equal(site->events[RN_JOB_OFFER_REFUSED], 1);
    assert_non_null(strstr(site->event_text[RN_JOB_OFFER_REFUSED], "site-1, site-2"));
    assert_int_equal(site->status.reason, RN_E_REFUSED);
    assert_int_equal(site->status.round, 1);
    assert_int_equal(w->sites[1].begun, 1);

    say_signatures(site, ALL_SIGNED); /* known, and not durable yet */
    assert_int_equal(site->keeps, 1);
    assert_int_equal(kept_signers(site), ALL_SIGNED);
    offer(w, 1, 2);
    assert_untouched(site);

    kept(site, RN_OK);
    assert_false(view_of(site).waits);
    assert_string_equal(view_of(site).missing, "");
    assert_int_equal(site->events[RN_JOB_POLICY_SATISFIED], 1);
    assert_int_equal(site->status.reason, RN_E_ROUND_STALE); /* asks for the offer */
    offer(w, 1, 3);
    assert_int_equal(site->begun, 1);
    free_world(w);
}

static void two_writings_are_waited_for(void **state)
{
    (void)state;
    struct site *site = site_with(1 | COORDINATOR);
    struct world *w = site->world;
    connect_all(w, 1);
    say_signatures(site, 2);
    say_signatures(site, 4);
    assert_int_equal(site->keeps, 2);
    assert_int_equal(kept_signers(site), ALL_SIGNED);
    kept(site, RN_OK); /* of the first: the third signature may not be on the disk */
    offer(w, 1, 1);
    assert_untouched(site);
    kept(site, RN_OK);
    assert_false(view_of(site).waits);
    free_world(w);
}

/* What the coordinator leaves out stays: sets only grow. */
static void what_is_held_is_never_taken_away(void **state)
{
    (void)state;
    struct site *site = site_with(1 | COORDINATOR);
    struct world *w = site->world;
    connect_all(w, 1);
    say_signatures(site, 2);
    assert_int_equal(kept_signers(site), 1 | 2 | COORDINATOR);
    kept(site, RN_OK);
    assert_int_equal(site->events[RN_JOB_POLICY_WAITS], 2);
    assert_null(strstr(site->event_text[RN_JOB_POLICY_WAITS], "site-1"));
    assert_non_null(strstr(site->event_text[RN_JOB_POLICY_WAITS], "site-2"));
    say_signatures(site, 0);
    say_signatures(site, 2);
    assert_int_equal(site->keeps, 1); /* nothing new */
    say_signatures(site, 4);
    assert_int_equal(kept_signers(site), ALL_SIGNED);
    kept(site, RN_OK);
    assert_false(view_of(site).waits);
    say_signatures(site, 2);
    assert_false(view_of(site).waits);
    free_world(w);
}

static void a_full_set_waits_for_nothing(void **state)
{
    (void)state;
    struct site *site = site_with(ALL_SIGNED);
    struct world *w = site->world;
    connect_all(w, 1);
    assert_false(site->hello.waits);
    say_signatures(site, ALL_SIGNED);
    assert_int_equal(site->keeps, 0);
    assert_int_equal(site->events[RN_JOB_POLICY_WAITS], 0);
    offer(w, 1, 1);
    assert_int_equal(site->begun, 1);
    free_world(w);
}

/* This site's own file counts like the wire: `rondo plan sign` while the service runs. */
static void a_file_that_has_grown_counts(void **state)
{
    (void)state;
    struct site *site = site_with(1 | COORDINATOR);
    struct world *w = site->world;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) text = {0};
    write_signatures(site, ALL_SIGNED, &text);
    step(site, (struct rn_input){.kind = RN_INPUT_SIGNATURES, .bytes = rn_buffer_view(&text)});
    kept(site, RN_OK);
    assert_false(view_of(site).waits);
    free_world(w);
}

/* ---- What does not hold */

static void a_forged_signature_changes_nothing(void **state)
{
    (void)state;
    struct site *site = site_with(1 | COORDINATOR);
    struct world *w = site->world;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) text = {0};
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) set = rn_alloc(1, sizeof(*set));
    connect_all(w, 1);

    write_signatures(site, ALL_SIGNED, &text); /* the last digit of the last one */
    uint8_t *digit = &text.data[text.length - 2];
    *digit = *digit == '0' ? '1' : '0';
    say_text(site, rn_buffer_view(&text));
    assert_int_equal(site->events[RN_JOB_SIGNATURES_REFUSED], 1);
    assert_non_null(strstr(site->event_text[RN_JOB_SIGNATURES_REFUSED], "'site-2'"));

    struct rn_plan other = w->plan; /* all of them, over another plan */
    other.hash[0] ^= 9;
    rn_signatures_init(set, &other);
    for (uint32_t i = 0; i <= SITES; i++) {
        assert_true(rn_is_ok(rn_signatures_add(set, &other, identity_of(w, i), NULL)));
    }
    rn_buffer_clear(&text);
    assert_true(rn_is_ok(rn_signatures_write(set, &w->roster, &text, NULL)));
    say_text(site, rn_buffer_view(&text));
    assert_int_equal(site->events[RN_JOB_SIGNATURES_REFUSED], 2);

    memcpy(set->plan_hash, w->plan.hash, RN_HASH_BYTES); /* carried over to this plan */
    rn_buffer_clear(&text);
    assert_true(rn_is_ok(rn_signatures_write(set, &w->roster, &text, NULL)));
    say_text(site, rn_buffer_view(&text));
    say_text(site, rn_view_text("rondo-signatures 1\nplan "));
    assert_int_equal(site->events[RN_JOB_SIGNATURES_REFUSED], 4);

    assert_int_equal(site->keeps, 0);
    assert_int_equal(site->closed, 0); /* the connection stands */
    offer(w, 1, 1);
    assert_untouched(site);
    say_signatures(site, ALL_SIGNED); /* the right ones are taken all the same */
    kept(site, RN_OK);
    assert_false(view_of(site).waits);
    free_world(w);
}

static void own_signature_is_not_delivered(void **state)
{
    (void)state;
    struct site *site = site_with(ALL_SIGNED);
    struct rn_effects effects = {0};
    struct rn_error err = {0};
    struct rn_participation *p = NULL;
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) set = rn_alloc(1, sizeof(*set));
    static const uint32_t held[] = {2 | 4 | COORDINATOR, ALL_SIGNED & ~COORDINATOR};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(held); i++) {
        sign_plan(site->world, held[i], set);
        const struct rn_participation_config config = {.basis = &site->basis,
                                                       .model = &site->model,
                                                       .policy = &site->policy,
                                                       .signatures = set,
                                                       .weight = 1,
                                                       .name = "site-0"};
        const rn_result result =
            rn_participation_new(&config, now_of(site->world), &effects, &p, &err);
        assert_int_equal(result.code, RN_E_REFUSED);
        rn_effects_clear(&effects);
    }
    free_world(site->world);
}

/* ---- Disk and restart */

static void a_disk_that_fails_ends_who_waits(void **state)
{
    (void)state;
    struct site *site = site_with(1 | COORDINATOR);
    struct world *w = site->world;
    connect_all(w, 1);
    say_signatures(site, ALL_SIGNED);
    kept(site, RN_E_IO);
    assert_true(site->ended);
    assert_int_equal(site->end_result.code, RN_E_IO);
    assert_string_equal(site->end_text, "plan.yaml.sigs: disk full");
    assert_int_equal(site->begun, 0);
    free_world(w);
}

/* A member whose session is in its journal says nothing of it while it waits, and then takes it up.
 */
static void a_journalled_session_waits_too(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    w->hold = ACK_SET;
    run_round(w, 1);
    assert_int_equal(site->sent[SHARES], 1);
    stop_site(site);
    memset(site->sent, 0, sizeof(site->sent));
    site->begun = 0;
    site->held = 1 | COORDINATOR;
    start_site(site);
    open_connection(site);
    greet(site, 1);
    tick(w, 5000);
    assert_untouched(site);
    say_signatures(site, ALL_SIGNED);
    assert_untouched(site);
    kept(site, RN_OK);
    assert_true(view_of(site).in_session && view_of(site).following);
    free_world(w);
}

static int set_up(void **state)
{
    (void)state;
    struct rn_error err = {0};
    return rn_is_ok(rn_crypto_setup(&err)) ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_trained_before_the_policy_is_satisfied),
        cmocka_unit_test(two_writings_are_waited_for),
        cmocka_unit_test(what_is_held_is_never_taken_away),
        cmocka_unit_test(a_full_set_waits_for_nothing),
        cmocka_unit_test(a_file_that_has_grown_counts),
        cmocka_unit_test(a_forged_signature_changes_nothing),
        cmocka_unit_test(own_signature_is_not_delivered),
        cmocka_unit_test(a_disk_that_fails_ends_who_waits),
        cmocka_unit_test(a_journalled_session_waits_too),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
