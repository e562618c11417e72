/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole blind jobs: the members arrive at the adapter of the plain sum (jobcheck.c looks at each
 * round's), and the coordinator at its hash alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/groupsign.h"
#include "services/federation/coordinationstate.h"
#include "services/store/store.h"
#include "tests/simulation/jobparts.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)
#define COORDINATOR 4u
#define ALL_SIGNED 31u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 31u
#else
#define STRIDE 5u
#endif

static struct job_options blind_calm(void)
{
    struct job_options options = job_calm();
    options.blind = true;
    options.training_ms = 300;
    return options;
}

/* ---- Well */

/* The boxes are hybrid ones; the coordinator comes back in the second round, from its journal. */
static void test_hybrid_jobs(void **state)
{
    (void)state;
    struct job_options options = blind_calm();
    options.hybrid = true;
    options.own_signatures = true;
    if (!rn_hybrid_here()) {
        print_message("libsodium is older than 1.0.22 and has no X-Wing\n");
        skip();
    }
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_UPLOAD, 5 * MINUTE_MS);
    const struct rn_coordination *c = job->nodes[COORDINATOR].coordination;
    assert_int_equal(c->signatures.document_bytes, RN_GROUP_HYBRID_DOCUMENT_BYTES(COORDINATOR));
    job_crash(job, COORDINATOR, 2000);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds);
    for (uint32_t i = 0; i < COORDINATOR; i++) {
        assert_int_equal(job->nodes[i].watch->finals, 1);
    }
    job_free(job);
}

static void test_members_publish_and_the_coordinator_does_not(void **state)
{
    (void)state;
    const struct job_options options = blind_calm();
    struct job *job = job_directed(&options);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    const struct job_watch *watch = job->nodes[COORDINATOR].watch;
    assert_int_equal(job->sums, options.rounds);
    assert_int_equal(watch->finals, 0);
    assert_int_equal(watch->events[RN_JOB_ROUND], options.rounds);
    assert_int_equal(watch->events[RN_JOB_ENDED], 1);
    assert_int_equal(watch->events[RN_JOB_EVALUATED] + watch->events[RN_JOB_WRITTEN], 0);
    assert_memory_equal(watch->last[RN_JOB_ROUND].hash, job->truth[options.rounds].after,
                        RN_HASH_BYTES);
    assert_true(watch->last[RN_JOB_ROUND].loss != watch->last[RN_JOB_ROUND].loss); /* not told */
    for (uint32_t i = 0; i < COORDINATOR; i++) {
        assert_int_equal(job->nodes[i].watch->finals, 1);
        assert_true(job->nodes[i].watch->last[RN_JOB_ROUND].loss >= 0);
    }
    job_free(job);
}

/* Whatever else the job is like. */
static void test_methods_heads_and_weights(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 18; k++) {
        struct job_options options = blind_calm();
        options.method = (enum rn_plan_method)(k % 3);
        options.head = (enum rn_plan_head)(k / 3 % 3);
        options.weights = (enum rn_plan_weights)(k / 9);
        options.rounds = 2;
        options.own_signatures = k % 2 == 0;
        struct job *job = job_directed(&options);
        job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
        assert_int_equal(job->sums, 2);
        job_free(job);
    }
}

/* Bytes of the values that a round has changed, on the coordinator's disk. */
struct search {
    const uint8_t *needle;
    size_t length;
    uint64_t seen;
    bool found;
};

static rn_result search_record(void *argument, uint64_t position, const struct rn_store_key *key,
                               struct rn_view body, struct rn_error *err)
{
    struct search *search = argument;
    (void)position;
    (void)key;
    (void)err;
    search->seen += body.length;
    search->found |= memmem(body.data, body.length, search->needle, search->length) != NULL;
    return rn_ok();
}

static bool disk_holds(struct job *job, uint32_t place, const float *values, size_t count)
{
    const struct rn_store_options options = {.kept_kinds = 0};
    struct search search = {(const uint8_t *)values, count * sizeof(*values), 0, false};
    struct rn_store *store = NULL;
    RN_BUG_IF(!rn_is_ok(rn_memory_store_open(job->nodes[place].disk, &options, &store, NULL)));
    for (uint32_t kind = 1; kind <= RN_RECORD_GROUP; kind++) {
        const struct rn_store_query query = {.kind = kind};
        RN_BUG_IF(!rn_is_ok(rn_store_scan(store, &query, search_record, &search, NULL)));
    }
    rn_store_close(&store);
    assert_true(search.seen > 0);
    return search.found;
}

/* Two changed values of each round's adapter, as bytes: on the members' disks (of the last round),
 * and of no round on the coordinator's; in an open job they are there. */
static void test_disks(void **state)
{
    (void)state;
    for (int blind = 0; blind < 2; blind++) {
        struct job_options options = blind_calm();
        options.blind = blind != 0;
        struct job *job = job_directed(&options);
        job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
        for (uint32_t round = 1; round <= options.rounds; round++) {
            const float *before = job->truth[round - 1].values;
            const float *after = job->truth[round].values;
            uint32_t at = 0;
            while (before[at] == after[at] || before[at + 1] == after[at + 1]) {
                at++;
            }
            const bool last = round == options.rounds;
            assert_true(blind || !last || disk_holds(job, COORDINATOR, after + at, 2));
            assert_false(blind && disk_holds(job, COORDINATOR, after + at, 2));
            assert_true(!last || disk_holds(job, 1, after + at, 2));
        }
        job_free(job);
    }
}

/* ---- Processes that stop, and members that come late */

static bool crash_at(uint32_t place, uint64_t point, bool after_commit)
{
    struct job_options options = blind_calm();
    options.rounds = 2;
    options.own_signatures = true; /* the group key is made on the way */
    struct job *job = job_directed(&options);
    job->nodes[place].crash_in = point;
    job->nodes[place].crash_after_commit = after_commit;
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    const bool crashed = job->nodes[place].starts > 1;
    assert_int_equal(job->sums, options.rounds);
    job_free(job);
    return crashed;
}

static void test_crashes_at_every_effect(void **state)
{
    (void)state;
    static const uint32_t places[] = {RN_GROUP_MAKER, 1, COORDINATOR};
    for (size_t p = 0; p < RN_ARRAY_LENGTH(places); p++) {
        uint64_t points = 0;
        while (crash_at(places[p], points, points % 2 == 1)) {
            points += STRIDE;
        }
        assert_true(points > 30);
    }
}

static void test_away_for_two_rounds(void **state)
{
    (void)state;
    struct job_options options = blind_calm();
    struct job *job = job_directed(&options);
    job_until_round(job, 2, 5 * MINUTE_MS);
    job_crash(job, 2, 15000);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds);
    assert_true(job->nodes[2].watch->events[RN_JOB_FOLLOW] > 0);
    job_free(job);
}

/* With an empty disk it gets every blinded sum again, and has nothing to lose but its records: the
 * maker's own key comes back from its document. */
static void test_lost_state(void **state)
{
    (void)state;
    for (uint32_t place = 0; place < 2; place++) {
        struct job_options options = blind_calm();
        struct job *job = job_directed(&options);
        job_until_stage(job, 3, RN_SA_STAGE_READY, 5 * MINUTE_MS);
        job_crash(job, place, 500);
        job_pass(job, 300);
        job_empty_disk(job, place);
        rn_buffer_clear(&job->nodes[place].signatures);
        job_sign(job, place, ALL_SIGNED); /* without the document */
        job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
        assert_int_equal(job->sums, options.rounds);
        job_free(job);
    }
}

/* The operator's file has no document: the coordinator has it in its journal, and takes up the
 * session that hangs on it. */
static void test_coordinator_without_the_document(void **state)
{
    (void)state;
    struct job_options options = blind_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_VOTE, 5 * MINUTE_MS);
    job_crash(job, COORDINATOR, 2000);
    rn_buffer_clear(&job->nodes[COORDINATOR].signatures);
    job_sign(job, COORDINATOR, ALL_SIGNED);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds);
    job_free(job);
}

/* ---- Without the maker */

static void test_the_maker_never_comes(void **state)
{
    (void)state;
    const struct job_options options = blind_calm();
    struct job *job = job_directed(&options);
    job->nodes[RN_GROUP_MAKER].start_at = JOB_NEVER;
    job_pass(job, 60 * MINUTE_MS);
    const struct job_watch *watch = job->nodes[COORDINATOR].watch;
    assert_int_equal(watch->events[RN_JOB_OFFER], 0);
    assert_non_null(strstr(watch->text[RN_JOB_WAITING], "'site-0' makes the group key"));
    for (uint32_t i = 1; i < COORDINATOR; i++) {
        assert_int_equal(job->nodes[i].watch->events[RN_JOB_TRAIN_BEGIN], 0);
        assert_non_null(
            strstr(job->nodes[i].watch->text[RN_JOB_POLICY_WAITS], "'site-0' makes it"));
    }
    job_start_node(job, RN_GROUP_MAKER);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds);
    job_free(job);
}

/* All have to sign, whatever their policies ask for. */
static void test_one_has_not_signed(void **state)
{
    (void)state;
    struct job_options options = blind_calm();
    options.own_signatures = true;
    struct job *job = job_directed(&options);
    for (uint32_t i = 0; i < COORDINATOR; i++) {
        job->nodes[i].policy.plan.signers = 3;
    }
    job_sign(job, COORDINATOR, ALL_SIGNED & ~(1u << 2));
    job_pass(job, 30 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], 0);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    job_signatures_text(job, ALL_SIGNED, &text);
    job_tell_signatures(job, COORDINATOR, rn_buffer_view(&text));
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds);
    job_free(job);
}

/* ---- A maker that lies */

/* All signatures and a document of the maker, with the box of one member spoilt: none, place
 * COORDINATOR. */
static void forge_document(struct job *job, uint32_t spoilt, struct rn_buffer *out)
{
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) set = rn_alloc(1, sizeof(*set));
    rn_signatures_init(set, &job->plan);
    for (uint32_t i = 0; i <= COORDINATOR; i++) {
        RN_BUG_IF(!rn_is_ok(rn_signatures_add(set, &job->plan, job->nodes[i].identity, NULL)));
    }
    assert_true(rn_signatures_group_make(set, &job->roster, job->nodes[0].identity, 0));
    const size_t length = set->document_bytes - RN_SIGNATURE_BYTES;
    if (spoilt < COORDINATOR) {
        set->document[length - (COORDINATOR - spoilt) * RN_GROUP_BOX_BYTES] ^= 1;
    }
    rn_identity_sign(job->nodes[0].identity, "rondo/v1 group key",
                     rn_view_of(set->document, length), set->document + length);
    RN_BUG_IF(!rn_is_ok(rn_signatures_write(set, &job->roster, out, NULL)));
}

static void keep_forged(struct job *job, uint32_t place, uint32_t spoilt)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    forge_document(job, spoilt, &text);
    rn_buffer_clear(&job->nodes[place].signatures);
    job_keep(&job->nodes[place], rn_buffer_view(&text));
}

/* Garbage in one member's box: it says so and stays out; the others have their job. */
static void test_garbage_for_one(void **state)
{
    (void)state;
    struct job_options options = blind_calm();
    options.rounds = 2;
    struct job *job = job_directed(&options);
    for (uint32_t i = 0; i <= COORDINATOR; i++) {
        keep_forged(job, i, 3);
    }
    (void)job_run(job, 60 * MINUTE_MS);
    assert_int_equal(job->sums, 2);
    assert_int_equal(job->nodes[3].watch->events[RN_JOB_TRAIN_BEGIN], 0);
    assert_int_equal(job->nodes[3].watch->finals, 0);
    assert_non_null(strstr(job->nodes[3].watch->text[RN_JOB_POLICY_WAITS], "does not open"));
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(job->nodes[i].watch->finals, 1);
    }
    job_free(job);
}

/* A second document: the first stays, whoever brings the other. */
static void test_second_document_is_refused(void **state)
{
    (void)state;
    const struct job_options options = blind_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 1, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    forge_document(job, 3, &text);
    for (uint32_t i = 1; i <= COORDINATOR; i++) {
        job_tell_signatures(job, i, rn_buffer_view(&text));
        job_pass(job, 10);
        assert_int_equal(job->nodes[i].watch->events[RN_JOB_SIGNATURES_REFUSED], 1);
        assert_non_null(
            strstr(job->nodes[i].watch->text[RN_JOB_SIGNATURES_REFUSED], "maker signed two"));
    }
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds);
    job_free(job);
}

/* Two documents for two halves: each half's session id is another, and neither has a quorum. */
static void test_two_halves(void **state)
{
    (void)state;
    const struct job_options options = blind_calm();
    struct job *job = job_directed(&options);
    for (uint32_t i = 2; i < COORDINATOR; i++) {
        keep_forged(job, i, 0); /* opens for them: it is member 0's box that is spoilt */
    }
    job_pass(job, 30 * MINUTE_MS);
    assert_int_equal(job->sums, 0);
    assert_true(job->nodes[2].watch->events[RN_JOB_OFFER_REFUSED] > 0);
    assert_true(job->nodes[3].watch->events[RN_JOB_OFFER_REFUSED] > 0);
    job_free(job);
}

/* The others have the document from elsewhere, and the coordinator has not: it offers nothing that
 * they would refuse, until the maker has brought it. */
static void test_the_coordinator_alone_lacks_it(void **state)
{
    (void)state;
    struct job_options options = blind_calm();
    options.rounds = 2;
    struct job *job = job_directed(&options);
    job->nodes[RN_GROUP_MAKER].start_at = JOB_NEVER;
    for (uint32_t i = 1; i < COORDINATOR; i++) {
        keep_forged(job, i, COORDINATOR); /* whole: the maker's own */
    }
    job_pass(job, 10 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], 0);
    job_start_node(job, RN_GROUP_MAKER);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, 2);
    job_free(job);
}

/* The maker greets while its document is being written, and is welcomed when it is: whatever comes
 * first, it waits no longer. */
static void test_satisfied_between_greeting_and_welcome(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct job_options options = blind_calm();
        options.seed = seed;
        options.rounds = 1;
        options.members = 3; /* of whom none may be missing */
        options.losses = 0;
        options.commit_min_ms = 600;
        options.commit_ms = 900;
        struct job *job = job_directed(&options);
        job->nodes[job->coordinator].start_at =
            1000 + 100 * seed; /* it greets when that is durable */
        job_until_all_end(job, RN_OK, 30 * MINUTE_MS);
        assert_int_equal(job->sums, 1);
        job_free(job);
    }
}

/* Only the maker brings anything, and only so often. */
static void test_others_bring_nothing(void **state)
{
    (void)state;
    const struct job_options options = blind_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 1, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    struct rn_coordination *c = job->nodes[COORDINATOR].coordination;
    const uint32_t refused = job->nodes[COORDINATOR].watch->events[RN_JOB_SIGNATURES_REFUSED];
    const uint8_t garbage[] = "garbage";
    const struct rn_wire_envelope envelope = {
        .body = RN_WIRE_SIGNATURES,
        .as.signatures = rn_view_of(garbage, sizeof(garbage)),
    };
    job_forge(job, 1, c->peers[1].connection, &envelope);
    job_pass(job, 200);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_SIGNATURES_REFUSED], refused);
    for (uint32_t i = 0; i < 2 * RN_COORD_DOCUMENTS_BURST; i++) {
        job_forge(job, 0, c->peers[0].connection, &envelope);
    }
    job_pass(job, 200);
    const uint32_t now = job->nodes[COORDINATOR].watch->events[RN_JOB_SIGNATURES_REFUSED];
    assert_in_range(now - refused, 1, RN_COORD_DOCUMENTS_BURST);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    job_free(job);
}

/* ---- Sums that are none */

/* The members find it, say so in their receipts, and the coordinator skips the round as that of an
 * open job does; RoLoRA survives one and ends with the second. */
static void test_poisoned_sums(void **state)
{
    (void)state;
    for (int blind = 0; blind < 2; blind++) {
        struct job_options options = blind_calm();
        options.blind = blind != 0;
        struct job *job = job_directed(&options);
        job->nodes[1].mood = JOB_POISONS;
        job_until_all_end(job, RN_E_INCOMPLETE, 10 * MINUTE_MS);
        const struct job_watch *watch = job->nodes[COORDINATOR].watch;
        assert_int_equal(job->sums, 0);
        assert_int_equal(watch->events[RN_JOB_SUM_REFUSED], 2);
        assert_int_equal(watch->events[RN_JOB_SKIPPED], 2);
        job_free(job);
    }
}

/* One such round in the middle: the next one starts from the adapter before. */
static void test_one_poisoned_round(void **state)
{
    (void)state;
    struct job_options options = blind_calm();
    struct job *job = job_directed(&options);
    job_until_round(job, 2, 5 * MINUTE_MS);
    job->nodes[1].mood = JOB_POISONS;
    job_until_round(job, 3, 5 * MINUTE_MS);
    job->nodes[1].mood = JOB_WILLING;
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds - 1);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_SUM_REFUSED], 1);
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_publish_and_the_coordinator_does_not),
        cmocka_unit_test(test_hybrid_jobs),
        cmocka_unit_test(test_methods_heads_and_weights),
        cmocka_unit_test(test_disks),
        cmocka_unit_test(test_crashes_at_every_effect),
        cmocka_unit_test(test_away_for_two_rounds),
        cmocka_unit_test(test_lost_state),
        cmocka_unit_test(test_coordinator_without_the_document),
        cmocka_unit_test(test_the_maker_never_comes),
        cmocka_unit_test(test_one_has_not_signed),
        cmocka_unit_test(test_garbage_for_one),
        cmocka_unit_test(test_second_document_is_refused),
        cmocka_unit_test(test_two_halves),
        cmocka_unit_test(test_the_coordinator_alone_lacks_it),
        cmocka_unit_test(test_satisfied_between_greeting_and_welcome),
        cmocka_unit_test(test_others_bring_nothing),
        cmocka_unit_test(test_poisoned_sums),
        cmocka_unit_test(test_one_poisoned_round),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
