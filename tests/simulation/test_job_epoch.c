/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole jobs whose plan needs a share graph: it is drawn before the first offer, whoever withholds,
 * lies, stops or comes late (jobepoch.c looks at all that leaves). Eight members on a ring, each
 * linked with six others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/transcript.h"
#include "services/federation/coordinationstate.h"
#include "services/federation/participationstate.h"
#include "tests/simulation/jobparts.h"
#include "tests/simulation/jobwatch.h"
#include "tests/simulation/smallring.h"

#define MINUTE_MS UINT64_C(60000)
#define MEMBERS 8u
#define COORDINATOR MEMBERS
#define FLOOR 5u
#define ALL_SIGNED ((2u << MEMBERS) - 1)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 13u
#else
#define STRIDE 3u
#endif

static struct job_options ring_calm(void)
{
    struct job_options options = job_calm();
    options.members = MEMBERS;
    options.losses = 2;
    options.rounds = 2;
    options.training_ms = 300;
    plant(6, 0);
    return options;
}

static struct job *ring_job(void)
{
    const struct job_options options = ring_calm();
    return job_directed(&options);
}

static const struct job_watch *watch_of(const struct job *job, uint32_t place)
{
    return job->nodes[place].watch;
}

/* ---- Until */

static bool is_drawn(struct job *job)
{
    return job_view(job).graph_drawn;
}

static uint32_t revealed_under; /* attempt */

static bool others_revealed(struct job *job)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        count += job->nodes[i].revealed.attempt >= revealed_under;
    }
    return count >= MEMBERS - 1;
}

static void until_drawn(struct job *job)
{
    assert_true(job_run_until(job, is_drawn, 10 * MINUTE_MS));
}

/* All but one (or all) have revealed, and that has arrived. */
static void until_revealed(struct job *job, uint32_t attempt)
{
    revealed_under = attempt;
    assert_true(job_run_until(job, others_revealed, 10 * MINUTE_MS));
    job_pass(job, 200);
}

static void end_well(struct job *job)
{
    job_until_all_end(job, RN_OK, 20 * MINUTE_MS);
    assert_int_equal(job->sums, job->options.rounds);
}

/* Of a message as if the coordinator had sent it. */
static void tell_member(struct job *job, uint32_t member, enum rn_epoch_kind kind, uint32_t attempt,
                        struct rn_view body)
{
    struct rn_effects effects = {0};
    const struct rn_epoch_message message = {kind, attempt, body};
    rn_epoch_message_send(&effects, job->links[member].number, &message);
    job_node_input(&job->nodes[member],
                   (struct rn_input){.kind = RN_INPUT_MESSAGE,
                                     .connection = job->links[member].number,
                                     .peer = RN_SA_COORDINATOR,
                                     .bytes = rn_buffer_view(&effects.items[0].bytes)});
    rn_effects_clear(&effects);
}

static const struct rn_part_epoch *epoch_of(const struct job *job, uint32_t member)
{
    return job->nodes[member].participation->epoch;
}

/* The documents of an attempt in which the members of these bits take part, made from their keys;
 * an honest coordinator's where bits are who came. */
static void make_set(struct job *job, uint32_t attempt, uint32_t members, struct rn_buffer *out)
{
    uint8_t entries[MEMBERS][RN_SA_EPOCH_ENTRY_BYTES];
    struct rn_view views[MEMBERS] = {{0}};
    struct rn_job_epoch *epoch = rn_job_epoch_new(&job->nodes[0].basis);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if ((members >> i & 1) != 0) {
            assert_true(rn_is_ok(rn_sa_epoch_commit(&epoch->context, job->nodes[i].identity, i,
                                                    attempt, entries[i], NULL)));
            views[i] = rn_view_of(entries[i], sizeof(entries[i]));
        }
    }
    assert_true(rn_is_ok(rn_sa_epoch_set_write(&epoch->context, attempt, views, out, NULL)));
    rn_job_epoch_free(epoch);
}

/* ---- Well */

static void test_drawn_before_the_first_offer(void **state)
{
    (void)state;
    struct job *job = ring_job();
    until_drawn(job);
    const struct rn_coordination_view view = job_view(job);
    static const uint8_t none[RN_HASH_BYTES];
    assert_memory_not_equal(view.graph_seed, none, sizeof(none));
    assert_int_equal(view.graph_attempt, 1);
    job_until_stage(job, 1, RN_SA_STAGE_SHARES, 5 * MINUTE_MS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct rn_participation_view member = job_member_view(job, i);
        assert_memory_equal(member.graph_seed, view.graph_seed, RN_HASH_BYTES);
        assert_false(member.draws || member.outside);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_EPOCH_DRAWN], 1);
        assert_true(watch_of(job, i)->at_ms[RN_JOB_EPOCH_DRAWN] <=
                    watch_of(job, i)->at_ms[RN_JOB_OFFER]);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_OFFER_REFUSED], 0);
    }
    end_well(job);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 1);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_REFUSED], 0);
    job_free(job);
}

static void test_complete_graph_needs_none(void **state)
{
    (void)state;
    const struct job_options options = ring_calm();
    planted.degree = 0;
    struct job *job = job_directed(&options);
    end_well(job);
    for (uint32_t i = 0; i <= MEMBERS; i++) {
        assert_int_equal(job_records(job, i, RN_RECORD_EPOCH_SET), 0);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_EPOCH_DRAWN], 0);
    }
    job_free(job);
}

/* Nothing is said of the epoch before the plan has the signatures that a policy wants (jobepoch.c);
 * with them, the member asks. */
static void test_not_before_the_plan_is_signed(void **state)
{
    (void)state;
    struct job_options options = ring_calm();
    options.own_signatures = true;
    struct job *job = job_directed(&options);
    job_sign(job, COORDINATOR, 1u << MEMBERS);
    job->deaf = true; /* it does not hear that they wait */
    job_pass(job, 10000);
    assert_int_equal(job_view(job).phase, RN_COORDINATION_EPOCH);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EPOCH_SET), 0);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    job_signatures_text(job, ALL_SIGNED, &text);
    job_tell_signatures(job, COORDINATOR, rn_buffer_view(&text));
    end_well(job);
    assert_int_equal(job_view(job).graph_attempt, 0); /* it has ended */
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 1);
    job_free(job);
}

/* ---- Reveals that are withheld, or others */

/* The others go on without it; it follows, and has the adapter at the end. */
static void attempt_without(bool alters)
{
    struct job *job = ring_job();
    *(alters ? &job->alters : &job->mute) = 1u << 3;
    until_drawn(job);
    const struct job_watch *watch = watch_of(job, COORDINATOR);
    assert_int_equal(watch->events[RN_JOB_EPOCH_VOID], 1);
    assert_non_null(strstr(watch->text[RN_JOB_EPOCH_VOID], "site-3"));
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], alters);
    /* At once when the reveal is wrong; else when a stage's time is over. */
    assert_true((watch->at_ms[RN_JOB_EPOCH_VOID] < 30000) == alters);
    assert_int_equal(job_view(job).graph_attempt, 2);
    job_until_stage(job, 1, RN_SA_STAGE_UPLOAD, 5 * MINUTE_MS);
    assert_true(job_view(job).members[3].outside);
    assert_false(job_view(job).members[2].outside);
    assert_true(job_member_view(job, 3).outside);
    end_well(job);
    assert_int_equal(watch_of(job, 3)->events[RN_JOB_TRAIN_BEGIN], 0);
    assert_int_equal(watch_of(job, 3)->finals, 1);
    job_free(job);
}

static void test_reveal_withheld(void **state)
{
    (void)state;
    attempt_without(false);
}

static void test_reveal_changed(void **state)
{
    (void)state;
    attempt_without(true);
}

/* One that signs a wrong reveal takes nobody with it who was about to reveal. */
static void test_slow_reveals_beside_a_changed_one(void **state)
{
    (void)state;
    struct job_options options = ring_calm();
    options.commit_min_ms = 1;
    options.delay_ms = 4000;
    struct job *job = job_directed(&options);
    job->alters = 1u << 3;
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 2);
    assert_int_equal(rn_sa_set_count(&job->nodes[COORDINATOR].coordination->epoch->left_out), 1);
    end_well(job);
    job_free(job);
}

/* More of them than may be lost: the job ends, and says who. */
static void test_too_many_withhold(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 0xf;
    job_until_all_end(job, RN_E_INCOMPLETE, 20 * MINUTE_MS);
    const char *text = watch_of(job, COORDINATOR)->end_text;
    assert_non_null(strstr(text, "in 1 attempt(s): site-0, site-1, site-2, site-3 did not"));
    assert_int_equal(job->sums, 0);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_END), 1);
    job_start_node(job, COORDINATOR); /* and remembers */
    job_until_down(job, COORDINATOR, 5 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].result.code, RN_E_INCOMPLETE);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 1);
    job_free(job);
}

/* One after the other, as many as may be missing: each attempt goes without those before. */
static void test_one_more_each_attempt(void **state)
{
    (void)state;
    struct job *job = ring_job();
    for (uint32_t member = 1; member <= 2; member++) {
        job->mute = 1u << member;
        until_revealed(job, member);
        assert_false(job_run_until(job, is_drawn, 28000));
    }
    job->mute = 0;
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 3);
    assert_true(job_view(job).members[1].outside && job_view(job).members[2].outside);
    end_well(job);
    job_free(job);
}

/* ---- Attempts */

static void on_committed(void *context, uint64_t sequence, rn_result result,
                         const struct rn_error *err)
{
    (void)context;
    (void)sequence;
    (void)err;
    RN_BUG_IF(!rn_is_ok(result));
}

/* As if so many attempts had been void, with nobody to blame. */
static void spend_attempts(struct job *job, uint32_t attempts)
{
    const struct rn_store_options options = {.kept_kinds = 0};
    struct rn_store_key key = {.kind = RN_RECORD_EPOCH_VOID, .attempt = attempts};
    struct rn_store_batch batch = {0};
    struct rn_store *store = NULL;
    struct rn_buffer body = {0};
    uint64_t sequence = 0;
    const struct rn_sa_set none = {{0}};
    rn_sa_set_write(&body, &none);
    RN_BUG_IF(
        !rn_is_ok(rn_memory_store_open(job->nodes[COORDINATOR].disk, &options, &store, NULL)));
    rn_store_batch_move(&batch, &key, &body);
    RN_BUG_IF(!rn_is_ok(rn_store_commit(store, &batch, on_committed, NULL, &sequence, NULL)));
    while (rn_memory_store_step(store)) {
    }
    rn_store_close(&store);
}

static void test_sixteenth_attempt_draws(void **state)
{
    (void)state;
    struct job *job = ring_job();
    spend_attempts(job, RN_SA_EPOCH_ATTEMPTS_MAX - 1);
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, RN_SA_EPOCH_ATTEMPTS_MAX);
    end_well(job);
    job_free(job);
}

/* None is called, neither after a void sixteenth nor by a coordinator that starts behind it; the
 * members would not commit. */
static void test_seventeenth_attempt(void **state)
{
    (void)state;
    for (uint32_t spent = RN_SA_EPOCH_ATTEMPTS_MAX - 1; spent <= RN_SA_EPOCH_ATTEMPTS_MAX;
         spent++) {
        struct job *job = ring_job();
        job->mute = 1;
        spend_attempts(job, spent);
        job_until_all_end(job, RN_E_INCOMPLETE, 20 * MINUTE_MS);
        assert_non_null(strstr(watch_of(job, COORDINATOR)->end_text, "not drawn in 16 attempt(s)"));
        assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED],
                         RN_SA_EPOCH_ATTEMPTS_MAX - spent);
        job_free(job);
    }
}

static void test_member_commits_to_no_seventeenth(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1;
    until_revealed(job, 1);
    const struct job_watch *watch = watch_of(job, 1);
    const uint64_t sent = job_member_view(job, 1).sent;
    tell_member(job, 1, RN_EPOCH_CALL, RN_SA_EPOCH_ATTEMPTS_MAX + 1, (struct rn_view){0});
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 1);
    assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_LIMIT);
    assert_int_equal(job_member_view(job, 1).sent, sent);
    job_free(job);
}

/* ---- A coordinator with two faces */

/* Who has revealed refuses another set for that attempt, and any of an earlier one; so it does when
 * it was started again. */
static void test_two_sets_of_one_attempt(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer later = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer earlier = {0};
    struct job *job = ring_job();
    job->mute = 1u << 7;
    spend_attempts(job, 1);
    until_revealed(job, 2);
    make_set(job, 2, 0x7f, &other);
    make_set(job, 1, 0xff, &earlier);
    make_set(job, 3, 0x7f, &later);
    for (uint32_t again = 0; again < 2; again++) {
        const struct job_watch *watch = watch_of(job, 0);
        const uint32_t before = watch->events[RN_JOB_EPOCH_REFUSED];
        tell_member(job, 0, RN_EPOCH_SET, 2, rn_buffer_view(&other));
        assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], before + 1);
        assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_REPLAY);
        tell_member(job, 0, RN_EPOCH_SET, 1, rn_buffer_view(&earlier));
        assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], before + 2);
        assert_int_equal(epoch_of(job, 0)->revealed.attempt, 2);
        job_crash(job, 0, 500);
        job_pass(job, 3000);
        assert_true(job->links[0].number != 0);
    }
    tell_member(job, 0, RN_EPOCH_SET, 3, rn_buffer_view(&later)); /* a later one it may */
    assert_int_equal(epoch_of(job, 0)->revealed.attempt, 3);
    job_pass(job, 100); /* jobepoch.c looks at what leaves */
    assert_int_equal(job->nodes[0].revealed.attempt, 3);
    job_free(job);
}

/* Two sets for two halves: neither gets all its reveals, and nobody has the graph of either. The
 * next attempt goes without those who would not reveal. */
static void test_two_halves(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    struct job *job = ring_job();
    job->no_set = 0xf0;
    make_set(job, 1, 0x7f, &other);
    job_pass(job, 3000);
    for (uint32_t i = 4; i < MEMBERS; i++) {
        tell_member(job, i, RN_EPOCH_SET, 1, rn_buffer_view(&other));
    }
    job_pass(job, 3000);
    const struct job_watch *watch = watch_of(job, COORDINATOR);
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 3); /* 7 is not in the other set */
    assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_AUTH);
    job->no_set = 0; /* shown the first one now, they stay with theirs */
    for (uint32_t i = 4; i < MEMBERS; i++) {
        job_break(job, i, 100);
    }
    job_pass(job, 2000);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(job_records(job, i, RN_RECORD_EPOCH_REVEALS), 0);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_EPOCH_REFUSED], i >= 4 && i < 7);
    }
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 2);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(job_view(job).members[i].outside, i >= 4 && i < 7);
    }
    end_well(job);
    job_free(job);
}

/* The set reaches half of them: the others count as withholding, and are too many. */
static void test_set_sent_to_half(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->no_set = 0xf0;
    job_until_all_end(job, RN_E_INCOMPLETE, 20 * MINUTE_MS);
    assert_non_null(strstr(watch_of(job, COORDINATOR)->end_text, "site-4, site-5, site-6, site-7"));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(job_records(job, i, RN_RECORD_EPOCH_SET), i < 4);
        assert_int_equal(job_records(job, i, RN_RECORD_EPOCH_REVEALS), 0);
    }
    job_free(job);
}

/* The reveals reach half of them: the others take no offer, and ask; when they get them, all have
 * one graph. */
static void test_reveals_sent_to_half(void **state)
{
    (void)state;
    struct job_options options = ring_calm();
    options.attempts = 30;
    struct job *job = job_directed(&options);
    job->no_reveals = 0xf0;
    until_drawn(job);
    job_pass(job, 2000);
    assert_int_equal(job->sums, 0);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(job_member_view(job, i).draws, i >= 4);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_TRAIN_BEGIN] > 0, i < 4);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_OFFER_REFUSED] > 0, i >= 4);
    }
    job->no_reveals = 0;
    for (uint32_t i = 4; i < MEMBERS; i++) {
        job_break(job, i, 100);
    }
    job_pass(job, 2000);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_memory_equal(job_member_view(job, i).graph_seed, job_view(job).graph_seed,
                            RN_HASH_BYTES);
    }
    end_well(job);
    job_free(job);
}

/* Who has the seed answers no later attempt, neither with a commitment nor with a reveal. */
static void test_nothing_after_the_seed(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer later = {0};
    struct job *job = ring_job();
    job_until_stage(job, 1, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    make_set(job, 2, 0x7f, &later);
    job_pass(job, 100);
    struct rn_participation_view before = job_member_view(job, 0);
    tell_member(job, 0, RN_EPOCH_SET, 2, rn_buffer_view(&later));
    assert_int_equal(job_member_view(job, 0).sent, before.sent);
    tell_member(job, 0, RN_EPOCH_CALL, 2, (struct rn_view){0});
    assert_true(job_member_view(job, 0).sent < before.sent + 40); /* "drawn", no entry */
    assert_memory_equal(job_member_view(job, 0).graph_seed, before.graph_seed, RN_HASH_BYTES);
    end_well(job);
    job_free(job);
}

/* ---- Members that come late, or never */

static void test_one_never_comes(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->nodes[2].start_at = JOB_NEVER;
    job_pass(job, 25000);
    assert_int_equal(job_view(job).phase, RN_COORDINATION_EPOCH);
    assert_string_equal(job_view(job).graph_step, "commitments");
    assert_true(job_view(job).members[2].missing);
    assert_false(job_view(job).members[1].missing);
    job_pass(job, 6200);
    assert_non_null(strstr(watch_of(job, COORDINATOR)->text[RN_JOB_WAITING],
                           "drawing the graph, attempt 1: waits for the commitments of site-2"));
    assert_true(job_view(job).graph_drawn);
    assert_int_equal(job_view(job).graph_attempt, 1);
    end_well(job);
    job_free(job);
}

/* After the set is closed: it follows to the end. */
static void test_late_member(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->nodes[2].start_at = JOB_NEVER;
    until_drawn(job);
    job_start_node(job, 2);
    job_pass(job, 2000);
    assert_true(job_member_view(job, 2).outside);
    assert_memory_equal(job_member_view(job, 2).graph_seed, job_view(job).graph_seed,
                        RN_HASH_BYTES);
    end_well(job);
    assert_int_equal(watch_of(job, 2)->events[RN_JOB_TRAIN_BEGIN], 0);
    assert_int_equal(watch_of(job, 2)->finals, 1);
    job_free(job);
}

/* A coordinator that offers a session to one outside the epoch: it does not take part. */
static void test_outside_takes_no_part_when_offered(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->nodes[2].start_at = JOB_NEVER;
    until_drawn(job);
    job_start_node(job, 2);
    job->nodes[COORDINATOR].coordination->epoch->job->set.places[2] = 2; /* 3's place */
    job_until_stage(job, 1, RN_SA_STAGE_UPLOAD, 5 * MINUTE_MS);
    assert_int_equal(watch_of(job, 2)->events[RN_JOB_TRAIN_BEGIN], 0);
    assert_true(watch_of(job, 2)->events[RN_JOB_FOLLOW] > 0);
    job_free(job);
}

/* Before F are there, no attempt begins, and no time runs. */
static void test_too_few_are_there(void **state)
{
    (void)state;
    struct job *job = ring_job();
    for (uint32_t i = FLOOR - 1; i < MEMBERS; i++) {
        job->nodes[i].start_at = JOB_NEVER;
    }
    job_pass(job, 20 * MINUTE_MS);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 0);
    assert_null(job_view(job).graph_step);
    for (uint32_t i = FLOOR - 1; i < MEMBERS; i++) {
        job_start_node(job, i);
    }
    end_well(job);
    job_free(job);
}

/* F were there and one went before it had committed: nothing was spent, so nothing ends. */
static void test_commitments_wait_below_the_floor(void **state)
{
    (void)state;
    struct job *job = ring_job();
    for (uint32_t i = FLOOR; i < MEMBERS; i++) {
        job->nodes[i].start_at = JOB_NEVER;
    }
    job->nodes[0].policy.plan.signers = MEMBERS + 1; /* waits, which it does not say */
    job->deaf = true;
    job_pass(job, 20 * MINUTE_MS);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 1);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EPOCH_SET), 0);
    job->nodes[FLOOR].start_at = job->now;
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 1);
    job_free(job);
}

/* ---- Processes that stop, disks that are lost */

static bool crash_at(uint32_t place, uint64_t point, bool after_commit)
{
    struct job_options options = ring_calm();
    options.rounds = 1;
    options.own_signatures = point % 2 == 0;
    struct job *job = job_directed(&options);
    job->nodes[place].crash_in = point;
    job->nodes[place].crash_after_commit = after_commit;
    job_until_stage(job, 1, RN_SA_STAGE_UPLOAD, 10 * MINUTE_MS);
    const bool crashed = job->nodes[place].starts > 1;
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EPOCH_REVEALS), 1);
    job_free(job);
    return crashed;
}

static void test_crashes_at_every_effect(void **state)
{
    (void)state;
    static const uint32_t places[] = {0, COORDINATOR};
    for (size_t p = 0; p < RN_ARRAY_LENGTH(places); p++) {
        uint64_t points = 0;
        while (points < 120 && crash_at(places[p], points, points / STRIDE % 2 == 1)) {
            points += STRIDE;
        }
        assert_true(points > 30);
    }
}

/* Everybody at once, before anything else that happens: where the others stand is on their disks.
 */
static void test_all_stop_together(void **state)
{
    (void)state;
    for (uint64_t at = 100; at < 1200; at += STRIDE * 20) {
        struct job *job = ring_job();
        job_pass(job, at);
        for (uint32_t i = 0; i <= MEMBERS; i++) {
            job_crash(job, i, 500);
        }
        job_until_stage(job, 1, RN_SA_STAGE_UPLOAD, 10 * MINUTE_MS);
        job_free(job);
    }
}

/* Who was left out is not forgotten by a coordinator that starts again. */
static void test_left_out_survives_a_restart(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->alters = 1u << 3;
    job->mute = 1u << 4; /* so that the second attempt stands still */
    until_revealed(job, 2);
    assert_int_equal(job_view(job).graph_attempt, 2);
    job_crash(job, COORDINATOR, 1000);
    job->mute = job->alters = 0;
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 2);
    assert_true(job_view(job).members[3].outside);
    end_well(job);
    job_free(job);
}

/* One whose disk is lost gives the same contribution, and gets both documents again. */
static void test_member_loses_its_state(void **state)
{
    (void)state;
    for (int drawn = 0; drawn < 2; drawn++) {
        struct job *job = ring_job();
        job->mute = drawn ? 0 : 1u << 7;
        if (drawn) {
            job_until_stage(job, 1, RN_SA_STAGE_READY, 5 * MINUTE_MS);
        } else {
            until_revealed(job, 1);
        }
        job_crash(job, 0, 500);
        job_pass(job, 300);
        job_empty_disk(job, 0);
        job->mute = 0;
        job_break(job, 7, 100);
        until_drawn(job);
        assert_int_equal(job_view(job).graph_attempt, 1);
        job_pass(job, 3000);
        assert_memory_equal(job_member_view(job, 0).graph_seed, job_view(job).graph_seed,
                            RN_HASH_BYTES);
        end_well(job);
        job_free(job);
    }
}

/* What Lemma 12 asks of a member is in its records: without them it reveals under a second set. */
static void test_lost_state_is_a_second_reveal(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    make_set(job, 1, 0x7f, &other);
    uint8_t first[RN_HASH_BYTES];
    memcpy(first, job->nodes[0].revealed.set_hash, sizeof(first));
    job_crash(job, 0, 500);
    job_pass(job, 300);
    job_empty_disk(job, 0);
    job->no_set = 1;
    job_pass(job, 3000);
    tell_member(job, 0, RN_EPOCH_SET, 1, rn_buffer_view(&other));
    job_pass(job, 200);
    assert_memory_not_equal(job->nodes[0].revealed.set_hash, first, sizeof(first));
    job_free(job);
}

/* A coordinator whose disk is lost calls again, and hears that there is a graph: it ends, and says
 * that its state has to be restored. One member alone cannot make it. */
static void test_coordinator_loses_its_state(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job_until_stage(job, 1, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    job_pass(job, 200);
    job_crash(job, COORDINATOR, 500);
    job_pass(job, 300);
    job_empty_disk(job, COORDINATOR);
    job_until_down(job, COORDINATOR, 5 * MINUTE_MS);
    assert_non_null(strstr(watch_of(job, COORDINATOR)->end_text, "Restore the coordinator's"));
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EPOCH_SET), 0);
    job_free(job);
}

static void say_to_coordinator(struct job *job, uint32_t member,
                               const struct rn_epoch_message *message)
{
    struct rn_effects effects = {0};
    struct rn_coordination *c = job->nodes[COORDINATOR].coordination;
    rn_epoch_message_send(&effects, c->peers[member].connection, message);
    job_node_input(&job->nodes[COORDINATOR],
                   (struct rn_input){.kind = RN_INPUT_MESSAGE,
                                     .connection = c->peers[member].connection,
                                     .peer = member,
                                     .bytes = rn_buffer_view(&effects.items[0].bytes)});
    rn_effects_clear(&effects);
}

static void test_one_liar_about_a_graph(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    const struct rn_epoch_message lie = {.kind = RN_EPOCH_DRAWN, .attempt = 1};
    say_to_coordinator(job, 1, &lie);
    job_pass(job, 1000);
    assert_true(job_is_up(job, COORDINATOR));
    job->mute = 0;
    job_break(job, 7, 100);
    end_well(job);
    job_free(job);
}

/* ---- What one member may cost */

/* Every answer to a question may be two documents: a burst of them, then one every so often. */
static void test_questions_without_end(void **state)
{
    (void)state;
    struct job *job = ring_job();
    until_drawn(job);
    job_pass(job, 1000);
    const struct rn_epoch_message ask = {.kind = RN_EPOCH_ASK};
    const uint64_t before = job->order;
    for (uint32_t i = 0; i < 4 * RN_COORD_EPOCH_BURST; i++) {
        say_to_coordinator(job, 1, &ask);
    }
    assert_in_range(job->order - before, RN_COORD_EPOCH_BURST, 2 * RN_COORD_EPOCH_BURST + 8);
    end_well(job);
    job_free(job);
}

/* Entries of others, of no attempt under way, twice, and what is no message. */
static void test_entries_that_do_not_count(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    uint8_t entry[RN_SA_EPOCH_ENTRY_BYTES];
    struct rn_job_epoch *epoch = rn_job_epoch_new(&job->nodes[0].basis);
    struct rn_sa_epoch_revealed revealed = {0};
    assert_true(rn_is_ok(rn_sa_epoch_reveal(&epoch->context, job->nodes[7].identity, 7,
                                            &job->nodes[COORDINATOR].coordination->epoch->job->set,
                                            &revealed, entry, NULL)));
    const struct job_watch *watch = watch_of(job, COORDINATOR);
    struct rn_epoch_message message = {RN_EPOCH_REVEAL, 1, rn_view_of(entry, sizeof(entry))};
    say_to_coordinator(job, 6, &message); /* 6 was heard: said again */
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 0);
    message.attempt = 2; /* not under way */
    say_to_coordinator(job, 7, &message);
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 0);
    message.attempt = 1;
    entry[50] ^= 1; /* its signature */
    say_to_coordinator(job, 7, &message);
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 1);
    assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_AUTH);
    message.body = rn_view_of(entry, sizeof(entry) - 1);
    say_to_coordinator(job, 7, &message);
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 2);
    assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_FORMAT);
    job_pass(job, 1000);
    assert_int_equal(watch->events[RN_JOB_EPOCH_VOID], 0); /* a stranger's bytes void nothing */
    assert_true(job_view(job).members[7].missing);
    rn_job_epoch_free(epoch);
    job_free(job);
}

/* Another member's good entry in a member's own name. */
static void test_entry_of_another(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 0xc0;
    revealed_under = 1;
    assert_true(job_run_until(job, others_revealed, 10 * MINUTE_MS));
    job_pass(job, 200);
    uint8_t entry[RN_SA_EPOCH_ENTRY_BYTES];
    struct rn_job_epoch *epoch = rn_job_epoch_new(&job->nodes[0].basis);
    struct rn_sa_epoch_revealed revealed = {0};
    assert_true(rn_is_ok(rn_sa_epoch_reveal(&epoch->context, job->nodes[7].identity, 7,
                                            &job->nodes[COORDINATOR].coordination->epoch->job->set,
                                            &revealed, entry, NULL)));
    const struct rn_epoch_message message = {RN_EPOCH_REVEAL, 1, rn_view_of(entry, sizeof(entry))};
    say_to_coordinator(job, 6, &message);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_REFUSED], 1);
    assert_true(job_view(job).members[6].missing && job_view(job).members[7].missing);
    rn_job_epoch_free(epoch);
    job_free(job);
}

/* ---- The operator */

static void test_operator_ends_it(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    job_abort(job, "enough");
    job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
    assert_non_null(strstr(watch_of(job, COORDINATOR)->end_text, "enough"));
    job_free(job);
}

/* A signal: it ends at once, and goes on with the same set. */
static void test_signal_while_it_draws(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    job_signal(job, COORDINATOR);
    job_until_down(job, COORDINATOR, 2000);
    assert_int_equal(job->nodes[COORDINATOR].result.code, RN_OK);
    job->mute = 0;
    job_start_node(job, COORDINATOR);
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 1);
    end_well(job);
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawn_before_the_first_offer),
        cmocka_unit_test(test_complete_graph_needs_none),
        cmocka_unit_test(test_not_before_the_plan_is_signed),
        cmocka_unit_test(test_reveal_withheld),
        cmocka_unit_test(test_reveal_changed),
        cmocka_unit_test(test_slow_reveals_beside_a_changed_one),
        cmocka_unit_test(test_too_many_withhold),
        cmocka_unit_test(test_one_more_each_attempt),
        cmocka_unit_test(test_sixteenth_attempt_draws),
        cmocka_unit_test(test_seventeenth_attempt),
        cmocka_unit_test(test_member_commits_to_no_seventeenth),
        cmocka_unit_test(test_two_sets_of_one_attempt),
        cmocka_unit_test(test_two_halves),
        cmocka_unit_test(test_set_sent_to_half),
        cmocka_unit_test(test_reveals_sent_to_half),
        cmocka_unit_test(test_nothing_after_the_seed),
        cmocka_unit_test(test_one_never_comes),
        cmocka_unit_test(test_late_member),
        cmocka_unit_test(test_outside_takes_no_part_when_offered),
        cmocka_unit_test(test_too_few_are_there),
        cmocka_unit_test(test_commitments_wait_below_the_floor),
        cmocka_unit_test(test_crashes_at_every_effect),
        cmocka_unit_test(test_all_stop_together),
        cmocka_unit_test(test_left_out_survives_a_restart),
        cmocka_unit_test(test_member_loses_its_state),
        cmocka_unit_test(test_lost_state_is_a_second_reveal),
        cmocka_unit_test(test_coordinator_loses_its_state),
        cmocka_unit_test(test_one_liar_about_a_graph),
        cmocka_unit_test(test_questions_without_end),
        cmocka_unit_test(test_entries_that_do_not_count),
        cmocka_unit_test(test_entry_of_another),
        cmocka_unit_test(test_operator_ends_it),
        cmocka_unit_test(test_signal_while_it_draws),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
