/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's signed stop: its bytes, every length and every bit of it, limits at and beyond; and a
 * member with one: how long it waits for whom, and what it does with what it hears.
 */
#include "tests/unit/services/participationworld.h"

#include "crypto/setup.h"
#include "services/federation/participationstate.h"

#define ALONE_MS 10000u
#define ANSWERED_MS 300000u
#define HEAD_BYTES (RN_HASH_BYTES + 4u + 4u)
#define TAG "rondo/v1 job stop"

/* ---- The document */

/* By hand, after the layout in jobstop.h. */
static void write_stop(const struct world *w, uint32_t place, struct rn_view reason,
                       const struct rn_identity *by, struct rn_buffer *out)
{
    uint8_t signature[RN_SIGNATURE_BYTES];
    rn_buffer_clear(out);
    rn_buffer_append(out, w->plan.hash, RN_HASH_BYTES);
    rn_buffer_u32(out, place);
    rn_buffer_blob(out, reason);
    rn_identity_sign(by, TAG, rn_buffer_view(out), signature);
    rn_buffer_append(out, signature, sizeof(signature));
}

static enum rn_code read_code(const struct world *w, struct rn_view bytes)
{
    struct rn_job_stop stop;
    return rn_job_stop_read(bytes, &w->sites[0].basis, &stop, NULL).code;
}

static void the_layout_is_the_documented_one(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_job_stop stop;
    struct rn_job_stop read;
    assert_true(rn_is_ok(rn_job_stop_sign(&w->sites[2].basis, "why \"\\", &stop, NULL)));
    write_stop(w, 2, rn_view_text("why \"\\"), w->identities[2], &bytes);
    assert_true(rn_job_stop_equal(&stop, rn_buffer_view(&bytes)));
    assert_int_equal(stop.length, HEAD_BYTES + 6 + RN_SIGNATURE_BYTES);
    assert_true(
        rn_is_ok(rn_job_stop_read(rn_buffer_view(&bytes), &w->sites[0].basis, &read, NULL)));
    assert_memory_equal(&read, &stop, sizeof(read));
    assert_false(rn_job_stop_equal(&(struct rn_job_stop){0}, (struct rn_view){0}));
    free_world(w);
}

static void a_reason_has_limits(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    char text[RN_ABORT_TEXT_MAX + 2];
    struct rn_job_stop stop;
    memset(text, '~', sizeof(text));
    text[RN_ABORT_TEXT_MAX + 1] = '\0';
    for (size_t length = 0; length <= RN_ABORT_TEXT_MAX + 1; length++) {
        const bool good = length >= 1 && length <= RN_ABORT_TEXT_MAX;
        const struct rn_view reason = rn_view_of(text, length);
        write_stop(w, 1, reason, w->identities[1], &bytes);
        assert_int_equal(read_code(w, rn_buffer_view(&bytes)) == RN_OK, good);
        assert_int_equal(rn_abort_text_check(reason, NULL).code, good ? RN_OK : RN_E_PEER_LIMIT);
    }
    assert_int_equal(bytes.length, RN_JOB_STOP_BYTES_MAX + 1);
    assert_int_equal(read_code(w, rn_buffer_view(&bytes)), RN_E_PEER_LIMIT);
    assert_int_equal(rn_job_stop_sign(&w->sites[0].basis, text, &stop, NULL).code, RN_E_PEER_LIMIT);
    for (unsigned c = 0; c < 256; c++) {
        const bool good = c >= 0x20 && c <= 0x7e;
        text[1] = (char)c;
        write_stop(w, 1, rn_view_of(text, 3), w->identities[1], &bytes);
        assert_int_equal(read_code(w, rn_buffer_view(&bytes)), good ? RN_OK : RN_E_PEER_FORMAT);
    }
    free_world(w);
}

static void every_length_and_bit_counts(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    write_stop(w, 1, rn_view_text("wrong label column"), w->identities[1], &bytes);
    const size_t length = bytes.length;
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(read_code(w, rn_view_of(bytes.data, cut)), RN_E_PEER_FORMAT);
    }
    for (size_t bit = 0; bit < 8 * length; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_not_equal(read_code(w, rn_buffer_view(&bytes)), RN_OK);
        bytes.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    rn_buffer_u8(&bytes, 0);
    assert_int_equal(read_code(w, rn_buffer_view(&bytes)), RN_E_PEER_FORMAT);
    free_world(w);
}

static void members_alone_sign_and_for_themselves(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    const struct rn_view reason = rn_view_text("why");
    write_stop(w, SITES - 1, reason, w->identities[SITES - 1], &bytes);
    assert_int_equal(read_code(w, rn_buffer_view(&bytes)), RN_OK);
    write_stop(w, SITES, reason, w->identities[SITES - 1], &bytes);
    assert_int_equal(read_code(w, rn_buffer_view(&bytes)), RN_E_PEER_AUTH);
    write_stop(w, RN_SA_COORDINATOR, reason, w->coordinator, &bytes);
    assert_int_equal(read_code(w, rn_buffer_view(&bytes)), RN_E_PEER_AUTH);
    write_stop(w, 0, reason, w->identities[1], &bytes);
    assert_int_equal(read_code(w, rn_buffer_view(&bytes)), RN_E_PEER_AUTH);
    write_stop(w, 0, reason, w->coordinator, &bytes);
    assert_int_equal(read_code(w, rn_buffer_view(&bytes)), RN_E_PEER_AUTH);
    write_stop(w, 0, reason, w->identities[0], &bytes);
    w->plan.hash[31] ^= 1; /* the next plan */
    assert_int_equal(read_code(w, rn_buffer_view(&bytes)), RN_E_PEER_REPLAY);
    w->plan.hash[31] ^= 1;
    assert_int_equal(read_code(w, rn_buffer_view(&bytes)), RN_OK);
    free_world(w);
}

/* ---- At a member */

static void stop(struct site *site, const char *reason)
{
    step(site, (struct rn_input){.kind = RN_INPUT_ABORT, .text = reason});
    pump(site->world);
}

static void hear_stop(struct site *site, struct rn_view bytes)
{
    send_to(site, &(struct rn_wire_envelope){.body = RN_WIRE_STOP, .as.stop = bytes});
    pump(site->world);
}

/* One round done; then all are connected, and nothing runs. */
static struct world *one_round(void)
{
    struct world *w = make_world("3");
    connect_all(w, 1);
    run_round(w, 1);
    return w;
}

static void unheard_it_ends_by_itself(void **state)
{
    (void)state;
    struct world *w = one_round();
    struct site *site = &w->sites[0];
    stop(site, "why");
    assert_int_equal(view_of(site).stop.place, 0);
    assert_string_equal(view_of(site).stop.reason, "why");
    tick(w, ALONE_MS - 1); /* connected, and nobody says that it was heard */
    assert_int_equal(site->published, 0);
    tick(w, 1);
    assert_int_equal(site->published, 1);
    publish_done(site);
    assert_end(site, RN_E_INCOMPLETE, "why");
    assert_int_equal(w->sites[1].published, 0);

    stop_site(site); /* the next process does the same */
    start_site(site);
    assert_string_equal(view_of(site).stop.reason, "why");
    tick(w, ALONE_MS - 1);
    assert_int_equal(site->published, 1);
    tick(w, 1);
    assert_int_equal(site->published, 2);
    free_world(w);
}

static void heard_it_waits_for_the_end(void **state)
{
    (void)state;
    struct world *w = one_round();
    struct site *site = &w->sites[0];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    stop(site, "why");
    write_stop(w, 1, rn_view_text("another"), w->identities[1], &other);
    hear_stop(site, rn_buffer_view(&other)); /* that one was first, there */
    assert_string_equal(view_of(site).stop.reason, "why");
    assert_int_equal(site->events[RN_JOB_STOPPED], 1);
    tick(w, ANSWERED_MS - 1);
    assert_int_equal(site->published, 0);
    close_job(site, RN_OK, true); /* whatever the coordinator calls it */
    assert_int_equal(site->published, 1);
    publish_done(site);
    assert_end(site, RN_E_INCOMPLETE, "stopped by");
    free_world(w);
}

static void a_coordinator_that_never_ends_is_left(void **state)
{
    (void)state;
    struct world *w = one_round();
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    write_stop(w, 1, rn_view_text("why"), w->identities[1], &bytes);
    hear_stop(&w->sites[0], rn_buffer_view(&bytes));
    hear_stop(&w->sites[2], rn_buffer_view(&bytes));
    assert_int_equal(w->sites[0].events[RN_JOB_STOPPED], 1);
    tick(w, ANSWERED_MS - 1 - ALONE_MS);
    lose_connection(&w->sites[2]);
    tick(w, ALONE_MS - 1);
    assert_int_equal(w->sites[2].published, 0);
    tick(w, 1);
    assert_int_equal(w->sites[0].published, 0);
    assert_int_equal(w->sites[2].published, 1);
    tick(w, 1);
    assert_int_equal(w->sites[0].published, 1);
    free_world(w);
}

/* What is being trained is dropped, and the next offer is followed at most. */
static void nothing_is_trained_any_more(void **state)
{
    (void)state;
    struct world *w = one_round();
    struct site *site = &w->sites[0];
    offer(w, 2, 1);
    assert_int_equal(site->begun, 2);
    stop(site, "why");
    assert_int_equal(site->cancelled, 1);
    train_with(site, (rn_result){RN_E_ROUND_ABORTED});
    offer(w, 2, 2);
    assert_int_equal(site->begun, 2);
    assert_true(view_of(site).following);
    assert_int_equal(site->sent[READY], 1);
    free_world(w);
}

/* Its update has left: the survivors do not get its vote, nor its answer. */
static void it_helps_no_sum(void **state)
{
    (void)state;
    struct world *w = one_round();
    struct site *site = &w->sites[0];
    w->hold = SURVIVORS;
    run_round(w, 2);
    assert_int_equal(site->sent[DONE], 2);
    stop(site, "why");
    w->hold = 0;
    for (uint32_t i = 0; i < SITES; i++) {
        struct rn_sa_actions actions = {0};
        rn_sa_aggregator_resend(w->aggregator, i, &actions);
        perform(w, &actions);
    }
    pump(w);
    assert_int_equal(w->sites[1].sent[VOTE], 2);
    assert_int_equal(site->sent[VOTE], 1);
    assert_int_equal(site->sent[REVEAL], 1);
    free_world(w);
}

static int setup(void **state)
{
    (void)state;
    return rn_is_ok(rn_crypto_setup(NULL)) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_the_documented_one),
        cmocka_unit_test(a_reason_has_limits),
        cmocka_unit_test(every_length_and_bit_counts),
        cmocka_unit_test(members_alone_sign_and_for_themselves),
        cmocka_unit_test(unheard_it_ends_by_itself),
        cmocka_unit_test(heard_it_waits_for_the_end),
        cmocka_unit_test(a_coordinator_that_never_ends_is_left),
        cmocka_unit_test(nothing_is_trained_any_more),
        cmocka_unit_test(it_helps_no_sum),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
