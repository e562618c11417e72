/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's state machine: whole rounds with every record before its message, when a signal ends
 * it, what is published and what never is, connections that replace each other, and trainings that
 * are discarded, kept or used again.
 */
#include "tests/unit/services/participationworld.h"

#include "crypto/setup.h"
#include "services/federation/participationstate.h"

#define DRAIN_MS 30000u
#define FINISHED_ALONE_MS 10000u

/* ---- Rounds */

static void rounds_end_in_one_adapter(void **state)
{
    (void)state;
    struct world *w = make_world("6");
    connect_all(w, 1);
    for (uint32_t round = 1; round <= 6; round++) {
        run_round(w, round);
    }
    for (uint32_t i = 0; i < SITES; i++) {
        struct site *site = &w->sites[i];
        static const unsigned types[] = {READY, SHARES, ACK, DONE, VOTE, REVEAL, RECEIPT};
        for (size_t t = 0; t < RN_ARRAY_LENGTH(types); t++) {
            assert_int_equal(site->sent[types[t]], 6);
        }
        assert_int_equal(site->begun, 6);
        assert_int_equal(site->events[RN_JOB_ROUND], 6);
        assert_int_equal(site->status.stage, RN_SA_STAGE_FINISHED);
        assert_int_equal(site->status.round, 7);
        assert_int_equal(site->member_kept_from, 2); /* after round 6: four rounds */
        assert_memory_equal(site->model.adapter_hash, w->model.adapter_hash, RN_HASH_BYTES);
        assert_true(view_of(site).sent > 6 * 1000);
        assert_false(site->p->update.valid); /* wiped: nobody may ask for it again */
        close_job(site, RN_OK, true);
        assert_int_equal(site->published, 1);
        assert_int_equal(site->final.round, 6);
        assert_true(site->final.final && site->final.evaluate);
        assert_false(site->ended);
        publish_done(site);
        assert_end(site, RN_OK, "");
        assert_int_equal(site->events[RN_JOB_ENDED], 1);
        assert_int_equal(site->events[RN_JOB_EVALUATED], 1);
    }
    free_world(w);
}

static void a_round_that_was_taken_is_not_taken_twice(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    run_round(w, 1);
    const size_t records = site->record_count;
    stop_site(site);
    start_site(site); /* before its receipt was known to be there */
    assert_int_equal(view_of(site).next_round, 2);
    open_connection(site);
    greet(site, 2);
    struct rn_sa_actions actions = {0};
    rn_sa_aggregator_resend(w->aggregator, 0, &actions);
    perform(w, &actions);
    pump(w);
    tick(w, 15000);
    assert_int_equal(site->sent[RECEIPT], 2);
    assert_int_equal(site->record_count, records); /* no second result */
    assert_memory_equal(site->model.adapter_hash, w->model.adapter_hash, RN_HASH_BYTES);
    run_round(w, 2);
    assert_memory_equal(site->model.adapter_hash, w->model.adapter_hash, RN_HASH_BYTES);
    free_world(w);
}

static void a_failed_upload_only_follows(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    connect_all(w, 1);
    w->break_upload = true;
    run_round(w, 1);
    for (uint32_t i = 0; i < SITES; i++) {
        assert_int_equal(w->sites[i].events[RN_JOB_UPLOAD_FAILED], 1);
        assert_int_equal(w->sites[i].sent[DONE], 0);
        assert_true(view_of(&w->sites[i]).following);
    }
    free_world(w);
}

static void chunks_are_gone_after_the_vote(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) chunk = {0};
    uint8_t session[RN_HASH_BYTES];
    connect_all(w, 1);
    w->hold = SURVIVORS;
    run_round(w, 1);
    rn_sa_aggregator_session(w->aggregator, session);
    struct site *site = &w->sites[0];
    assert_true(rn_is_ok(rn_participation_chunk(site->p, session, 0, &chunk, NULL)));
    w->hold = 13; /* the certificate */
    struct rn_sa_actions actions = {0};
    rn_sa_aggregator_resend(w->aggregator, 0, &actions);
    perform(w, &actions);
    pump(w);
    assert_int_equal(site->sent[VOTE], 1);
    assert_false(rn_is_ok(rn_participation_chunk(site->p, session, 0, &chunk, NULL)));
    free_world(w);
}

/* ---- Signals */

static void a_signal_ends_what_can_be_resumed(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    drain(&w->sites[0], 1); /* not connected */
    assert_end(&w->sites[0], RN_OK, "");
    open_connection(&w->sites[1]);
    greet(&w->sites[1], 1);
    offer(w, 1, 1); /* training */
    assert_int_equal(w->sites[1].begun, 1);
    drain(&w->sites[1], 1);
    assert_end(&w->sites[1], RN_OK, "");
    assert_int_equal(w->sites[1].cancelled, 1);
    free_world(w);
}

static void a_signal_waits_for_a_session_and_not_for_ever(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    connect_all(w, 1);
    w->hold = ACK_SET;
    run_round(w, 1);
    for (uint32_t i = 0; i < SITES; i++) {
        assert_int_equal(view_of(&w->sites[i]).stage, RN_SA_STAGE_ACKS);
        drain(&w->sites[i], 1);
        assert_false(w->sites[i].ended);
    }
    lose_connection(&w->sites[0]);
    assert_end(&w->sites[0], RN_OK, "");
    drain(&w->sites[1], 2);
    assert_end(&w->sites[1], RN_OK, "");
    assert_true(w->sites[1].ended_now);
    tick(w, DRAIN_MS - 1);
    assert_false(w->sites[2].ended);
    tick(w, 1);
    assert_end(&w->sites[2], RN_OK, "");
    assert_false(w->sites[2].ended_now);
    free_world(w);
}

static void a_signal_lets_a_session_end(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    connect_all(w, 1);
    w->hold = ACK_SET;
    run_round(w, 1);
    drain(&w->sites[0], 1);
    w->hold = 0;
    for (uint32_t i = 0; i < SITES; i++) {
        struct rn_sa_actions actions = {0};
        rn_sa_aggregator_resend(w->aggregator, i, &actions);
        perform(w, &actions);
    }
    pump(w);
    assert_int_equal(w->sites[0].sent[RECEIPT], 1);
    assert_end(&w->sites[0], RN_OK, "");
    assert_false(w->sites[1].ended);
    drain(&w->sites[1], 1); /* its session is over */
    assert_end(&w->sites[1], RN_OK, "");
    free_world(w);
}

static void a_signal_does_not_wait_for_a_resumed_session(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    w->hold = ACK_SET;
    run_round(w, 1);
    stop_site(site);
    start_site(site);
    assert_true(view_of(site).in_session && view_of(site).following);
    open_connection(site);
    greet(site, 1);
    drain(site, 1);
    assert_end(site, RN_OK, "");
    free_world(w);
}

/* ---- End of the job */

static void a_finished_site_needs_no_coordinator(void **state)
{
    (void)state;
    struct world *w = make_world("1");
    connect_all(w, 1);
    run_round(w, 1);
    tick(w, 10 * FINISHED_ALONE_MS); /* connected: the coordinator will say when */
    lose_connection(&w->sites[0]);
    tick(w, FINISHED_ALONE_MS - 1);
    assert_int_equal(w->sites[0].published, 0);
    tick(w, 1);
    assert_int_equal(w->sites[0].published, 1);
    publish_done(&w->sites[0]);
    assert_end(&w->sites[0], RN_OK, "");

    stop_site(&w->sites[1]); /* started again after the end */
    start_site(&w->sites[1]);
    tick(w, FINISHED_ALONE_MS - 1);
    step(&w->sites[1], (struct rn_input){.kind = RN_INPUT_UNREACHABLE, .code = RN_E_UNSUPPORTED});
    assert_int_equal(w->sites[1].published, 0);
    tick(w, 1);
    assert_int_equal(w->sites[1].published, 1);
    assert_int_equal(w->sites[2].published, 0);
    free_world(w);
}

static void an_unfinished_site_waits_for_its_coordinator(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    connect_all(w, 1);
    run_round(w, 1);
    lose_connection(&w->sites[0]);
    tick(w, 100 * FINISHED_ALONE_MS);
    assert_int_equal(w->sites[0].published, 0);
    assert_false(w->sites[0].ended);
    step(&w->sites[0], (struct rn_input){.kind = RN_INPUT_UNREACHABLE, .code = RN_E_UNAVAILABLE});
    assert_false(w->sites[0].ended);
    step(&w->sites[0], (struct rn_input){.kind = RN_INPUT_UNREACHABLE, .code = RN_E_UNSUPPORTED});
    assert_end(&w->sites[0], RN_E_UNSUPPORTED, "rondo doctor");
    free_world(w);
}

/* What a site misses is not kept any more. */
static void a_stranded_site_says_the_remedy(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    connect_all(w, 1);
    run_round(w, 1);
    close_job(&w->sites[0], RN_E_ROUND_STALE, false);
    assert_end(&w->sites[0], RN_E_INCOMPLETE, "next plan");
    assert_int_equal(w->sites[0].published, 0);
    free_world(w);
}

static void nothing_is_published_that_was_not_reached(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    connect_all(w, 1);
    close_job(&w->sites[0], RN_OK, true); /* no round at all */
    assert_end(&w->sites[0], RN_E_INCOMPLETE, "no round");
    close_job(&w->sites[1], RN_E_ROUND_QUORUM, true);
    assert_end(&w->sites[1], RN_E_INCOMPLETE, rn_code_name(RN_E_ROUND_QUORUM));
    close_job(&w->sites[2], RN_E_UNAVAILABLE, false); /* it comes back */
    assert_false(w->sites[2].ended);
    for (uint32_t i = 0; i < SITES; i++) {
        assert_int_equal(w->sites[i].published, 0);
    }
    free_world(w);

    w = make_world("4");
    connect_all(w, 1);
    run_round(w, 1);
    say_summary(&w->sites[0], 2, RN_OK, 0xee); /* a sum that it has not seen */
    assert_true(view_of(&w->sites[0]).behind);
    close_job(&w->sites[0], RN_OK, true);
    assert_end(&w->sites[0], RN_E_INCOMPLETE, "once more");
    open_connection(&w->sites[1]);
    greet(&w->sites[1], 2);
    send_to(&w->sites[1],
            &(struct rn_wire_envelope){.body = RN_WIRE_WELCOME,
                                       .as.welcome = {.round = 4, .attempt = 1, .members = SITES}});
    pump(w); /* two rounds have passed, and nobody said how */
    assert_true(view_of(&w->sites[1]).behind);
    close_job(&w->sites[1], RN_E_ROUND_QUORUM, true);
    assert_end(&w->sites[1], RN_E_INCOMPLETE, rn_code_name(RN_E_ROUND_QUORUM));
    for (uint32_t i = 0; i < SITES; i++) {
        assert_int_equal(w->sites[i].published, 0);
    }
    free_world(w);
}

/* What the coordinator says again of a round that is over takes nothing back of its greeting, which
 * named a later one that starts from the adapter held here. */
static void an_older_offer_is_no_news(void **state)
{
    (void)state;
    struct world *w = make_world("3");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    run_round(w, 1);
    open_connection(site);
    greet(site, 4); /* rounds 2 and 3 gave no sum */
    assert_false(view_of(site).behind);
    offer(w, 2, 1);
    send_to(site,
            &(struct rn_wire_envelope){.body = RN_WIRE_WELCOME,
                                       .as.welcome = {.round = 4, .attempt = 0, .members = SITES}});
    pump(w);
    assert_false(view_of(site).behind);
    close_job(site, RN_OK, true);
    assert_int_equal(site->published, 1);
    free_world(w);
}

/* A round that was skipped between the coordinator's greeting and its welcome was no sum. */
static void a_welcome_says_what_came_of_the_round_before(void **state)
{
    (void)state;
    struct world *w = make_world("3");
    struct site *site = &w->sites[0];
    struct rn_wire_envelope welcome = {.body = RN_WIRE_WELCOME,
                                       .as.welcome = {.round = 4, .members = SITES}};
    welcome.as.welcome.adapter_hash.present = true;
    memcpy(welcome.as.welcome.adapter_hash.bytes, w->model.adapter_hash, RN_HASH_BYTES);
    connect_all(w, 1);
    run_round(w, 1);
    open_connection(site);
    greet(site, 3);
    send_to(site, &welcome); /* of the start's adapter: there is a sum that it has not seen */
    pump(w);
    assert_true(view_of(site).behind);
    memcpy(welcome.as.welcome.adapter_hash.bytes, w->model.adapter_hash, RN_HASH_BYTES);
    send_to(site, &welcome);
    pump(w);
    assert_false(view_of(site).behind);
    close_job(site, RN_OK, true);
    assert_int_equal(site->published, 1);
    free_world(w);
}

static void what_was_reached_is_published(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    connect_all(w, 1);
    run_round(w, 1);
    say_summary(&w->sites[0], 1, RN_OK, 0);
    say_summary(&w->sites[0], 2, RN_E_ROUND_ABORTED, 0); /* skipped: nothing to miss */
    assert_false(view_of(&w->sites[0]).behind);
    close_job(&w->sites[0], RN_E_ROUND_QUORUM, true);
    assert_int_equal(w->sites[0].published, 1);
    assert_int_equal(w->sites[0].final.round, 1);
    publish_done(&w->sites[0]);
    assert_end(&w->sites[0], RN_E_INCOMPLETE, rn_code_name(RN_E_ROUND_QUORUM));
    free_world(w);
}

/* ---- Connections */

static void the_newest_connection_counts(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    struct site *site = &w->sites[0];
    open_connection(site);
    greet(site, 1);
    const uint64_t old = site->connection;
    assert_int_equal(site->hellos, 1);
    open_connection(site);
    assert_int_equal(site->closed, old);
    assert_int_equal(site->closed_code, RN_E_PEER_REPLAY);
    assert_int_equal(site->hellos, 2);
    assert_false(view_of(site).connected);
    step(site, (struct rn_input){.kind = RN_INPUT_GONE, .connection = old});
    assert_int_equal(site->events[RN_JOB_DISCONNECTED],
                     0); /* the end of the old one says nothing */
    greet(site, 1);
    assert_true(view_of(site).connected);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) bytes = {0};
    const struct rn_wire_envelope closing = {.body = RN_WIRE_CLOSING,
                                             .as.closing = {.reason = RN_E_CONFIG}};
    assert_true(rn_is_ok(rn_wire_envelope_encode(&closing, &bytes, NULL)));
    step(site, (struct rn_input){
                   .kind = RN_INPUT_MESSAGE, .connection = old, .bytes = rn_buffer_view(&bytes)});
    assert_false(site->ended);
    free_world(w);
}

static void bad_bytes_close_the_connection(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    struct site *site = &w->sites[0];
    open_connection(site);
    const uint64_t first = site->connection;
    step(site, (struct rn_input){.kind = RN_INPUT_MESSAGE,
                                 .connection = first,
                                 .bytes = rn_view_text("\xff\xff\xff")});
    assert_int_equal(site->closed, first);
    assert_int_equal(rn_class_of((rn_result){site->closed_code}), RN_CLASS_PEER);
    open_connection(site); /* a message before the greeting */
    say_summary(site, 1, RN_OK, 1);
    assert_int_equal(site->closed, site->connection);
    assert_int_equal(site->closed_code, RN_E_PEER_PROTOCOL);
    assert_false(site->ended);
    free_world(w);
}

static void what_may_be_lost_is_said_again(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    w->hold = 3; /* the set of Readys */
    run_round(w, 1);
    assert_int_equal(site->sent[READY], 1);
    step(site, (struct rn_input){.kind = RN_INPUT_LOST, .connection = site->connection});
    assert_int_equal(site->sent[READY], 2);
    lose_connection(site);
    step(site, (struct rn_input){.kind = RN_INPUT_BULK_OPENED});
    assert_int_equal(site->sent[READY], 2);
    open_connection(site);
    greet(site, 1); /* said twice: the bulk stream stood before */
    assert_int_equal(site->sent[READY], 4);
    free_world(w);

    w = make_world("2");
    connect_all(w, 1);
    offer(w, 1, 1);
    train_with(&w->sites[0], (rn_result){RN_E_ROUND_NUMERIC}); /* it follows */
    const unsigned told = w->sites[0].statuses;
    step(&w->sites[0],
         (struct rn_input){.kind = RN_INPUT_LOST, .connection = w->sites[0].connection});
    assert_int_equal(w->sites[0].statuses, told + 1);
    assert_int_equal(w->sites[0].status.reason, RN_E_ROUND_ABORTED);
    free_world(w);
}

/* case 32 */
static void a_second_process_is_given_up_on(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    struct site *site = &w->sites[0];
    for (uint32_t i = 0; i < 2; i++) {
        open_connection(site);
        close_job(site, RN_E_PEER_REPLAY, false);
        assert_int_equal(site->ended, i == 1);
        tick(w, 100000);
    }
    assert_end(site, RN_E_IDENTITY, "another process");
    free_world(w);
}

/* ---- Offers and trainings */

static void an_offer_that_is_refused_is_answered(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    offer(w, 1, 3); /* the plan's last attempt */
    assert_int_equal(site->begun, 1);
    offer(w, 1, 4);
    assert_int_equal(site->status.reason, RN_E_PEER_PROTOCOL);
    assert_int_equal(site->status.attempt, 4);
    assert_int_equal(site->events[RN_JOB_OFFER_REFUSED], 1);
    w->model.adapter.values[0] += 1; /* the others have another adapter */
    rn_round_model_hash(&w->model);
    offer(w, 3, 1);
    assert_int_equal(site->status.reason, RN_E_ROUND_STALE);
    assert_int_equal(site->status.round, 1);
    assert_true(view_of(site).behind);
    assert_false(site->ended);
    assert_int_equal(site->begun, 1);
    free_world(w);
}

/* A coordinator that offers without end is answered so often, and then once a second. */
static void refusals_have_a_limit(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    const unsigned before = site->statuses;
    for (uint32_t k = 0; k < RN_PART_REFUSALS_BURST; k++) {
        offer(w, 1, 4); /* beyond the plan's last attempt */
    }
    assert_int_equal(site->statuses - before, RN_PART_REFUSALS_BURST);
    for (uint32_t k = 0; k < 10; k++) {
        offer(w, 1, 4);
    }
    assert_int_equal(site->statuses - before, RN_PART_REFUSALS_BURST);
    assert_int_equal(site->events[RN_JOB_OFFER_REFUSED], RN_PART_REFUSALS_BURST + 10);
    tick(w, RN_PART_REFUSALS_EVERY_MS);
    offer(w, 1, 4);
    offer(w, 1, 4);
    assert_int_equal(site->statuses - before, RN_PART_REFUSALS_BURST + 1);
    free_world(w);
}

static void a_training_of_an_older_round_is_discarded(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    offer(w, 1, 1);
    assert_int_equal(site->order_round, 1);
    offer(w, 2, 1); /* round 1 was skipped: same adapter, other matrix */
    assert_int_equal(site->begun, 1);
    assert_int_equal(site->cancelled, 1);
    assert_false(view_of(site).training);
    train(site); /* it was done before the cancel arrived */
    assert_int_equal(site->events[RN_JOB_TRAIN_DONE], 0);
    assert_false(site->p->update.valid);
    assert_int_equal(site->sent[READY], 0);
    assert_int_equal(site->begun, 2);
    assert_int_equal(site->order_round, 2);
    train(site);
    assert_int_equal(site->sent[READY], 1);
    free_world(w);
}

static void a_training_goes_on_through_attempts(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    offer(w, 1, 1);
    offer(w, 1, 2);
    assert_int_equal(site->cancelled, 0);
    train(site);
    assert_int_equal(site->sent[READY], 1);
    assert_int_equal(site->begun, 1);
    free_world(w);
}

static void an_update_is_used_again(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    w->hold = 3;
    run_round(w, 1);
    assert_int_equal(site->sent[READY], 1);
    w->hold = 0;
    offer(w, 1, 2); /* runs to its end without any training */
    for (uint32_t i = 0; i < SITES; i++) {
        assert_int_equal(w->sites[i].begun, 1);
        assert_int_equal(w->sites[i].events[RN_JOB_TRAIN_REUSED], 1);
        assert_int_equal(w->sites[i].sent[RECEIPT], 1);
    }
    offer(w, 2, 1); /* and not in another round */
    assert_int_equal(site->begun, 2);
    free_world(w);
}

/* privacy case 32. With privacy.reply_s: training ends 5 s after the offer and the update leaves at
 * 30 s, in whose multiple alone the coordinator sees when; offered again it does not leave earlier,
 * and afterwards, when nothing is trained for it, at once. */
static void an_update_leaves_at_a_multiple(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    w->plan.privacy = (struct rn_plan_privacy){.rate = 0.5, .reply_s = 30};
    connect_all(w, 1);
    offer(w, 1, 1);
    tick(w, 5000);
    train(site);
    assert_int_equal(site->sent[READY], 0);
    tick(w, 5000);
    offer(w, 1, 2);
    assert_int_equal(site->sent[READY], 0);
    tick(w, 19800);
    assert_int_equal(site->sent[READY], 0);
    tick(w, 200);
    assert_int_equal(site->sent[READY], 1);
    offer(w, 1, 3);
    assert_int_equal(site->sent[READY], 2);
    assert_int_equal(site->begun, 1);
    free_world(w);
}

/* A coordinator that hears nothing for three minutes waits for it no longer, and by when it falls
 * silent knows when training ended: signs of life go on until the update leaves. */
static void a_waiting_update_gives_signs_of_life(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    w->plan.privacy = (struct rn_plan_privacy){.rate = 0.5, .reply_s = 300};
    connect_all(w, 1);
    offer(w, 1, 1);
    tick(w, 5000);
    train(site);
    for (unsigned minute = 1; minute <= 4; minute++) {
        tick(w, minute == 1 ? 55000 : 60000);
        assert_int_equal(site->status.beats, minute);
    }
    assert_int_equal(site->sent[READY], 0);
    tick(w, 60000);
    assert_int_equal(site->sent[READY], 1);
    free_world(w);
}

static void a_failed_training_only_follows(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    connect_all(w, 1);
    offer(w, 1, 1);
    train_with(&w->sites[0], (rn_result){RN_E_ROUND_NUMERIC});
    assert_false(w->sites[0].ended);
    assert_true(view_of(&w->sites[0]).following);
    assert_int_equal(w->sites[0].status.reason, RN_E_ROUND_ABORTED);
    train_with(&w->sites[1], (rn_result){RN_E_IO});
    assert_end(&w->sites[1], RN_E_IO, "");
    free_world(w);
}

/* To the owner of the data; what the coordinator hears stands in test_part_measure.c. */
static void progress_is_told_every_two_seconds(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    offer(w, 1, 1);
    const unsigned before = site->statuses;
    struct rn_input input = {.kind = RN_INPUT_TICK, .training = {.step = 3, .steps = 20}};
    w->now_ms += 1999;
    step(site, input);
    assert_int_equal(site->events[RN_JOB_TRAINING], 0);
    w->now_ms += 1;
    step(site, input);
    assert_int_equal(site->events[RN_JOB_TRAINING], 1);
    assert_int_equal(site->statuses, before);
    free_world(w);
}

static void a_late_member_follows(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    send_to(site,
            &(struct rn_wire_envelope){
                .body = RN_WIRE_WELCOME,
                .as.welcome = {.round = 1, .attempt = 1, .members = SITES, .joined_late = true}});
    offer(w, 1, 1);
    assert_int_equal(site->begun, 0);
    assert_true(view_of(site).following);
    offer(w, 1, 2); /* the next attempt is open */
    assert_int_equal(site->begun, 1);
    free_world(w);
}

/* A coordinator says earlier attempts again for the sake of their abort certificates. */
static void an_earlier_attempt_ends_no_session(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    offer(w, 2, 1); /* round 1 was skipped */
    send_to(site,
            &(struct rn_wire_envelope){.body = RN_WIRE_WELCOME,
                                       .as.welcome = {.round = 2, .attempt = 1, .members = SITES}});
    offer(w, 1, 1);
    assert_true(view_of(site).training);
    assert_false(view_of(site).following);
    train(site);
    assert_int_equal(site->sent[READY], 1);
    free_world(w);
}

/* The welcome is not signed. Whatever it says, a session that was joined is not given up for
 * another one of the same attempt: a second machine for it would vote a second time. */
static void a_joined_session_is_not_begun_again(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    w->hold = CERTIFICATE;
    run_round(w, 1);
    assert_int_equal(site->sent[VOTE], 1);
    send_to(site,
            &(struct rn_wire_envelope){
                .body = RN_WIRE_WELCOME,
                .as.welcome = {.round = 1, .attempt = 1, .members = SITES, .joined_late = true}});
    w->nonce = 1;
    offer(w, 1, 1);
    assert_int_equal(site->events[RN_JOB_OFFER_REFUSED], 1);
    assert_int_equal(site->status.reason, RN_E_ROUND_STALE);
    assert_int_equal(view_of(site).stage, RN_SA_STAGE_VOTE);
    assert_false(view_of(site).following);
    free_world(w);
}

/* What a crash between any two effects leaves behind is taken up, or refused for what it is. */
static void records_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct world *w = make_world("2");
    struct site *site = &w->sites[0];
    connect_all(w, 1);
    run_round(w, 1);
    stop_site(site);
    for (size_t i = 0; i < site->record_count; i++) {
        if (site->records[i].key.kind == RN_RECORD_ADAPTER) {
            site->records[i].key.round = 2; /* the adapter of round 1 is missing */
        }
    }
    const struct rn_participation_config config = {
        .basis = &site->basis, .model = &site->model, .weight = 1, .name = "site-0"};
    struct rn_effects effects = {0};
    struct rn_error err = {0};
    make_model(w, &site->model);
    const rn_result result = rn_participation_new(&config, now_of(w), &effects, &site->p, &err);
    assert_int_equal(result.code, RN_E_DATA);
    assert_non_null(strstr(err.text, "adapter after round 1"));
    rn_effects_clear(&effects);
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
        cmocka_unit_test(rounds_end_in_one_adapter),
        cmocka_unit_test(a_round_that_was_taken_is_not_taken_twice),
        cmocka_unit_test(a_failed_upload_only_follows),
        cmocka_unit_test(chunks_are_gone_after_the_vote),
        cmocka_unit_test(a_signal_ends_what_can_be_resumed),
        cmocka_unit_test(a_signal_waits_for_a_session_and_not_for_ever),
        cmocka_unit_test(a_signal_lets_a_session_end),
        cmocka_unit_test(a_signal_does_not_wait_for_a_resumed_session),
        cmocka_unit_test(a_finished_site_needs_no_coordinator),
        cmocka_unit_test(an_unfinished_site_waits_for_its_coordinator),
        cmocka_unit_test(a_stranded_site_says_the_remedy),
        cmocka_unit_test(nothing_is_published_that_was_not_reached),
        cmocka_unit_test(what_was_reached_is_published),
        cmocka_unit_test(an_older_offer_is_no_news),
        cmocka_unit_test(a_welcome_says_what_came_of_the_round_before),
        cmocka_unit_test(the_newest_connection_counts),
        cmocka_unit_test(bad_bytes_close_the_connection),
        cmocka_unit_test(what_may_be_lost_is_said_again),
        cmocka_unit_test(a_second_process_is_given_up_on),
        cmocka_unit_test(an_offer_that_is_refused_is_answered),
        cmocka_unit_test(refusals_have_a_limit),
        cmocka_unit_test(a_training_of_an_older_round_is_discarded),
        cmocka_unit_test(a_training_goes_on_through_attempts),
        cmocka_unit_test(an_update_is_used_again),
        cmocka_unit_test(an_update_leaves_at_a_multiple),
        cmocka_unit_test(a_waiting_update_gives_signs_of_life),
        cmocka_unit_test(a_failed_training_only_follows),
        cmocka_unit_test(progress_is_told_every_two_seconds),
        cmocka_unit_test(a_late_member_follows),
        cmocka_unit_test(an_earlier_attempt_ends_no_session),
        cmocka_unit_test(a_joined_session_is_not_begun_again),
        cmocka_unit_test(records_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
