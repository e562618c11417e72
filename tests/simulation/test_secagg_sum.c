/* SPDX-License-Identifier: Apache-2.0
 *
 * A coordinator that announces another sum, or two, moves no adapter: members replay what T2 fixed,
 * and take an adapter only under a quorum of receipts. PROTOCOL.md, "Cases":
 * case 20, case 21, case 50.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/audit.h"
#include "crypto/secagg/member_state.h"
#include "crypto/secagg/sumproof.h"

/* ---- A coordinator that forges well: what it announces is whole in itself */

static const struct rn_sa_vector *forge_in; /* the sum of the session under way; NULL: honest */
static uint64_t forge_lane;

bool __real_rn_sa_vector_in_range(const struct rn_sa_vector *vector, uint64_t largest);
bool __wrap_rn_sa_vector_in_range(const struct rn_sa_vector *vector, uint64_t largest);
/* The last look at the sum before its root is made. */
bool __wrap_rn_sa_vector_in_range(const struct rn_sa_vector *vector, uint64_t largest)
{
    if (vector == forge_in) {
        ((uint32_t *)vector->lanes)[forge_lane] ^= 1;
    }
    return __real_rn_sa_vector_in_range(vector, largest);
}

static struct sim_options options_of(uint32_t members, uint32_t colluding, uint32_t losses)
{
    return (struct sim_options){
        .members = members, .colluding = colluding, .losses = losses, .seed = members + losses};
}

static void expect_no_adapter(struct sim *sim, enum rn_sa_reason reason)
{
    assert_int_equal(sim_check_sums(sim), 0);
    assert_false(sim->nodes[SIM_COORDINATOR].summed);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, reason);
    for (uint32_t i = 0; i < sim->params.members; i++) {
        assert_false(sim->nodes[i].summed);
        assert_true(sim->nodes[i].aborted);
    }
}

/* Every element in turn, one unit in it, with and without a lost member. */
static void test_forged_element(void **state)
{
    (void)state;
    for (uint32_t lost = 0; lost < 2; lost++) {
        for (uint64_t element = 0; element < 11; element++) {
            const struct sim_options options = options_of(5, 1, 1);
            struct sim *sim = sim_new(&options);
            sim->nodes[4].silent_from = lost == 1 ? RN_SA_DONE : 0;
            forge_in = &sim->aggregator->vector;
            forge_lane = element + element / 4 * RN_SA_CANARIES;
            sim_run(sim, 400000);
            forge_in = NULL;
            sim->nodes[4].aborted |= lost == 1;
            expect_no_adapter(sim, RN_SA_REASON_RECEIPT_QUORUM);
            for (uint32_t i = 0; i < 5 - lost; i++) {
                assert_int_equal(sim->nodes[i].reason, RN_SA_REASON_SUM_FORGED);
                assert_true(rn_sa_spent_open(sim->spent[i]) == 1);
                assert_int_equal(sim->nodes[i].evidence, 1);
                assert_int_equal(sim->nodes[i].proof.kind, RN_SA_EVIDENCE_SUM);
                assert_true(sim->nodes[i].proof.coordinator);
                assert_true(rn_sa_set_empty(&sim->nodes[i].proof.members));
            }
            sim_free(sim);
        }
    }
}

/* Above the size where all replay all: whichever chunk is forged, more than n - Q + n_c members see
 * it, and the others are no quorum. */
static void test_forged_chunk_of_many(void **state)
{
    (void)state;
    const uint32_t chunks = 6;
    for (uint64_t chunk = 0; chunk < chunks; chunk++) {
        struct sim_options options = options_of(24, 8, 6);
        options.elements = 4 * chunks;
        struct sim *sim = sim_new(&options);
        forge_in = &sim->aggregator->vector;
        forge_lane = chunk * (4 + RN_SA_CANARIES);
        sim_run(sim, 400000);
        forge_in = NULL;
        expect_no_adapter(sim, RN_SA_REASON_RECEIPT_QUORUM);
        uint32_t saw = 0;
        for (uint32_t i = 0; i < 24; i++) {
            const bool has = rn_sa_audit_has(&sim->aggregator->t, i, (uint32_t)chunk);
            assert_true((sim->nodes[i].reason == RN_SA_REASON_SUM_FORGED) == has);
            saw += has;
        }
        assert_int_equal(saw, rn_sa_auditors(&sim->params));
        assert_true(saw > 24 - rn_sa_quorum(&sim->params) + 8);
        sim_free(sim);
    }
}

/* ---- The proof of a forgery */

static struct sim *run_one(bool forges)
{
    const struct sim_options options = options_of(5, 1, 1);
    struct sim *sim = sim_new(&options);
    sim->nodes[4].silent_from = RN_SA_DONE;
    forge_in = forges ? &sim->aggregator->vector : NULL;
    forge_lane = 5 + RN_SA_CANARIES;
    sim_run(sim, 400000);
    forge_in = NULL;
    return sim;
}

static bool is_proof(const struct sim *sim, const struct rn_buffer *document)
{
    struct rn_sa_evidence evidence;
    return rn_is_ok(rn_sa_evidence_check(rn_buffer_view(document), &sim->roster, &evidence, NULL));
}

/* Not one byte of it can be changed, and nothing be left out. */
static void test_proof_is_exact(void **state)
{
    (void)state;
    struct sim *sim = run_one(true);
    struct rn_buffer *document = &sim->nodes[2].document;
    assert_true(is_proof(sim, document));
    for (size_t at = 0; at < document->length; at += sim_is_long() ? 1 : 5) {
        document->data[at] ^= 0x10;
        assert_false(is_proof(sim, document));
        document->data[at] ^= 0x10;
    }
    for (size_t length = document->length; length > 0; length -= 1 + length / 50) {
        const size_t whole = document->length;
        document->length = length - 1;
        assert_false(is_proof(sim, document));
        document->length = whole;
    }
    assert_true(is_proof(sim, document));
    sim_free(sim);
}

/* The same session with an honest coordinator: its Result and leaves in such a document prove
 * nothing. */
static void test_honest_sum_has_no_proof(void **state)
{
    (void)state;
    struct sim *forged = run_one(true);
    struct sim *honest = run_one(false);
    struct rn_reader r = rn_reader_of(rn_buffer_view(&forged->nodes[2].document));
    (void)rn_read_view(&r, 8);
    (void)rn_read_blob(&r, RN_SA_MESSAGE_MAX);
    const struct rn_view proof = rn_read_blob(&r, RN_SA_SUM_PROOF_MAX);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) changed = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) document = {0};
    rn_buffer_append(&changed, proof.data, proof.length);
    const struct rn_sa_member *theirs = forged->members[0];
    const size_t leaves = (size_t)theirs->t.layout.chunks * RN_HASH_BYTES;
    uint8_t *place = memmem(changed.data, changed.length, theirs->sum_leaves, leaves);
    assert_non_null(place);
    memcpy(place, honest->members[0]->sum_leaves, leaves);
    assert_memory_equal(forged->members[0]->t.t2, honest->members[0]->t.t2, RN_HASH_BYTES);
    rn_sa_evidence_write(RN_SA_EVIDENCE_SUM,
                         rn_buffer_view(&honest->aggregator->sent[RN_SA_RESULT]),
                         rn_buffer_view(&changed), &document);
    struct rn_sa_evidence evidence;
    struct rn_error err = {{0}};
    assert_int_equal(
        rn_sa_evidence_check(rn_buffer_view(&document), &honest->roster, &evidence, &err).code,
        RN_E_PEER_PROTOCOL);
    assert_non_null(strstr(err.text, "the announced sum is right"));
    sim_free(forged);
    sim_free(honest);
}

/* ---- Two faces */

struct faces {
    uint32_t first; /* members from here on are shown the other sum */
    struct rn_buffer chunk[3];
};

/* The other face: element 0 one unit higher, under a root of its own. */
static void make_other(struct sim *sim, struct faces *faces, uint8_t out_root[RN_HASH_BYTES])
{
    struct rn_sa_aggregator *a = sim->aggregator;
    uint32_t *lanes = a->vector.lanes;
    lanes[0] ^= 1;
    for (uint32_t c = 0; c < 3; c++) {
        assert_true(rn_is_ok(rn_sa_aggregator_chunk(a, c, &faces->chunk[c], NULL)));
    }
    rn_sa_aggregator_sum_root(a, out_root);
    lanes[0] ^= 1;
}

static void replace(struct rn_buffer *message, struct rn_view with)
{
    rn_buffer_clear(message);
    rn_buffer_append(message, with.data, with.length);
}

static bool show_two(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct faces *faces = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (from != SIM_COORDINATOR || to < faces->first) {
        return true;
    }
    if (m.type == RN_SA_RESULT) {
        uint8_t root[RN_HASH_BYTES];
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        make_other(sim, faces, root);
        rn_buffer_append(&body, m.body.data, m.body.length);
        memcpy(body.data, root, sizeof root);
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        replace(message, rn_buffer_view(&forged));
    } else if (m.type == RN_SA_SUM_CHUNK && faces->chunk[0].length > 0) {
        struct rn_sa_chunk part;
        assert_true(rn_is_ok(rn_sa_chunk_read(&sim->aggregator->t, m.body, &part, NULL)));
        replace(message, rn_buffer_view(&faces->chunk[part.chunk]));
    }
    return true;
}

/* Shown to one, to as many as leave no quorum, to all: the adapter moves where Q members saw the
 * right sum, and nowhere else. */
static void test_two_faces(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 5; first++) {
        struct faces faces = {.first = first};
        struct sim_options options = options_of(5, 1, 1);
        options.tamper = show_two;
        options.tamper_context = &faces;
        struct sim *sim = sim_new(&options);
        sim_run(sim, 400000);
        const bool quorum = first >= rn_sa_quorum(&sim->params);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].summed, quorum);
        for (uint32_t i = 0; i < 5; i++) {
            assert_int_equal(sim->nodes[i].summed, quorum && i < first);
            assert_true(i < first || sim->nodes[i].reason == RN_SA_REASON_SUM_FORGED);
        }
        for (uint32_t c = 0; c < 3; c++) {
            rn_buffer_clear(&faces.chunk[c]);
        }
        sim_free(sim);
    }
}

/* ---- What the coordinator gives for the replay */

/* Other bytes, another member's, another chunk's place: each refused, and the replay goes on. */
static bool lie_in_replay(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    uint32_t *lies = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (from != SIM_COORDINATOR || (m.type != RN_SA_CHUNK && m.type != RN_SA_LEAVES) ||
        sim->members[to] == NULL || sim->members[to]->state != RN_SA_M_AUDITING) {
        return true;
    }
    const struct rn_sa_audit_request before = rn_sa_audit_wanted(sim->members[to]->audit);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    const size_t at = m.type == RN_SA_CHUNK ? RN_SA_CHUNK_HEAD : 4;
    const size_t places[] = {0, at, body.length - 1};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(places); k++) {
        body.data[places[k]] ^= 1; /* first element or member; the first byte; the last one */
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
        body.data[places[k]] ^= 1;
        (*lies)++;
    }
    if (m.type == RN_SA_CHUNK) { /* the same bytes as another's upload */
        struct rn_sa_message other = m;
        other.sender = (m.sender + 1) % sim->params.members;
        sim_sign_again(sim, &other, m.body, NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    const struct rn_sa_audit_request after = rn_sa_audit_wanted(sim->members[to]->audit);
    assert_true(before.leaves == after.leaves && before.chunk == after.chunk &&
                rn_sa_set_equal(&before.members, &after.members));
    return true;
}

static void test_lies_in_replay(void **state)
{
    (void)state;
    uint32_t lies = 0;
    struct sim_options options = options_of(4, 1, 1);
    options.tamper = lie_in_replay;
    options.tamper_context = &lies;
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_true(lies > 4 * 4 * 3);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

/* One that gives nothing gets no receipts. */
static bool withhold(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)sim;
    (void)to;
    const struct rn_sa_message m = sim_parse(message);
    return from != SIM_COORDINATOR || m.type != RN_SA_CHUNK || m.sender != 2;
}

static void test_withheld_upload(void **state)
{
    (void)state;
    struct sim_options options = options_of(4, 1, 1);
    options.tamper = withhold;
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    expect_no_adapter(sim, RN_SA_REASON_RECEIPT_QUORUM);
    for (uint32_t i = 0; i < 4; i++) {
        assert_false(sim->members[i]->receipted);
    }
    sim_free(sim);
}

/* ---- Receipts */

static void expect_refused_for(struct sim *sim, uint32_t to, const struct rn_sa_message *m,
                               const struct rn_buffer *body, const char *why)
{
    struct rn_error err = {{0}};
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    sim_sign_again(sim, m, rn_buffer_view(body), NULL, NULL, &forged);
    assert_false(rn_is_ok(
        rn_sa_member_receive(sim->members[to], rn_buffer_view(&forged), sim->now, &actions, &err)));
    assert_int_equal(actions.count, 0);
    if (strstr(err.text, why) == NULL) {
        fail_msg("%s, not: %s", err.text, why);
    }
}

/* Receipt k of the body again, with other bytes in it, signed by its member or another. */
static void sign_receipt(struct sim *sim, struct rn_buffer *body, uint32_t k, size_t at,
                         uint32_t signer)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) one = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    uint8_t *place = body->data + 4 + (size_t)k * RN_SA_RECEIPT_BYTES;
    rn_buffer_append(&one, place, RN_SA_RECEIPT_BYTES);
    one.data[RN_SA_ENVELOPE_BYTES + at] ^= 1;
    struct rn_sa_message m = sim_parse(&one);
    m.sender = signer;
    sim_sign_again(sim, &m, m.body, NULL, NULL, &forged);
    memcpy(place, forged.data, RN_SA_RECEIPT_BYTES);
}

static bool bad_receipts(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    bool *done = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (from != SIM_COORDINATOR || m.type != RN_SA_RECEIPTS || to != 0 || *done) {
        return true;
    }
    *done = true;
    const uint32_t count = m.body.data[0];
    const struct {
        uint32_t k;
        size_t at;
        uint32_t signer;
        const char *why;
    } forgeries[] = {
        {1, 0, 1, "for another sum"},
        {1, RN_HASH_BYTES, 1, "for different adapters"},
        {1, 0, 0, "for another sum"},
        {count - 1, RN_SA_RECEIPT_BODY - 1, count - 1, "for different adapters"},
    };
    for (size_t f = 0; f < RN_ARRAY_LENGTH(forgeries); f++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        rn_buffer_append(&body, m.body.data, m.body.length);
        sign_receipt(sim, &body, forgeries[f].k, forgeries[f].at, forgeries[f].signer);
        if (forgeries[f].signer != forgeries[f].k) {
            expect_refused_for(sim, to, &m, &body, "out of order");
        } else {
            expect_refused_for(sim, to, &m, &body, forgeries[f].why);
        }
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    const uint32_t quorum = rn_sa_quorum(&sim->params);
    rn_buffer_u32(&body, quorum - 1);
    rn_buffer_append(&body, m.body.data + 4, (size_t)(quorum - 1) * RN_SA_RECEIPT_BYTES);
    expect_refused_for(sim, to, &m, &body, "an adapter needs");
    rn_buffer_clear(&body);
    rn_buffer_u32(&body, quorum); /* one of them twice */
    rn_buffer_append(&body, m.body.data + 4, (size_t)(quorum - 1) * RN_SA_RECEIPT_BYTES);
    rn_buffer_append(&body, m.body.data + 4 + (size_t)(quorum - 2) * RN_SA_RECEIPT_BYTES,
                     RN_SA_RECEIPT_BYTES);
    expect_refused_for(sim, to, &m, &body, "repeat");
    return true;
}

static void test_bad_certificates(void **state)
{
    (void)state;
    bool done = false;
    struct sim_options options = options_of(5, 1, 1);
    options.tamper = bad_receipts;
    options.tamper_context = &done;
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_true(done);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* A member whose adapter differs (another base, a broken build) says so and does not go on; the
 * document names the two receipts. */
static bool other_adapter(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const struct rn_sa_message m = sim_parse(message);
    const uint32_t *first = sim->options.tamper_context; /* this one and those up to 3 */
    if (from < *first || from > 3 || m.type != RN_SA_RECEIPT) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[RN_HASH_BYTES] ^= 1;
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    replace(message, rn_buffer_view(&forged));
    rn_buffer_clear(&sim->members[from]->receipt); /* it is what it computed */
    rn_buffer_append(&sim->members[from]->receipt, forged.data, forged.length);
    return true;
}

static void test_adapter_differs(void **state)
{
    (void)state;
    uint32_t first = 3;
    struct sim_options options = options_of(5, 1, 1);
    options.tamper = other_adapter;
    options.tamper_context = &first;
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    assert_true(sim->nodes[3].aborted);
    assert_int_equal(sim->nodes[3].reason, RN_SA_REASON_ADAPTER_DIFFERS);
    assert_int_equal(sim->nodes[3].proof.kind, RN_SA_EVIDENCE_RECEIPTS);
    assert_true(rn_sa_set_has(&sim->nodes[3].proof.one_of, 3));
    assert_true(sim->nodes[SIM_COORDINATOR].evidence > 0);
    sim_free(sim);
}

/* A quorum of receipts that do not agree is none: no adapter moves. */
static void test_quorum_of_two_adapters(void **state)
{
    (void)state;
    uint32_t first = 2;
    struct sim_options options = options_of(5, 1, 1);
    options.tamper = other_adapter;
    options.tamper_context = &first;
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_false(sim->nodes[SIM_COORDINATOR].finished);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_RECEIPT_QUORUM);
    assert_int_equal(rn_sa_set_count(&sim->aggregator->got[RN_SA_RECEIPT]), 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_false(sim->nodes[i].finished);
    }
    sim_free(sim);
}

/* A certificate that comes to one who has not replayed saves it the work; one that comes before the
 * sum is there waits for it. */
static bool receipts_for_two(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    const bool stands = sim->aggregator->sent[RN_SA_RECEIPTS].length > 0;
    if (from == SIM_COORDINATOR && to == 1) {
        return m.type != RN_SA_SUM_CHUNK || stands; /* fetches until the end */
    }
    return from != SIM_COORDINATOR || to != 2 || m.type != RN_SA_CHUNK; /* replays nothing */
}

static void test_late_members_lean_on_receipts(void **state)
{
    (void)state;
    struct sim_options options = options_of(7, 1, 2);
    options.tamper = receipts_for_two;
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 7);
    assert_false(sim->members[1]->receipted);
    assert_false(sim->members[2]->receipted);
    assert_int_equal(rn_sa_set_count(&sim->aggregator->got[RN_SA_RECEIPT]), 5);
    sim_free(sim);
}

/* ---- The numbers: PROTOCOL.md, Lemma 8, for every plan that is feasible */

static void test_auditors(void **state)
{
    (void)state;
    uint32_t plans = 0;
    for (uint32_t n = 3; n <= RN_SA_MEMBERS_MAX; n++) {
        for (uint32_t c = 1; c + 2 <= n; c++) {
            const struct rn_sa_params params = {.members = n, .colluding = c, .honest = 2};
            const uint32_t quorum = rn_sa_quorum(&params);
            const uint32_t auditors = rn_sa_auditors(&params);
            if (quorum > n) {
                continue;
            }
            plans++;
            assert_true(auditors <= n);
            assert_true(auditors - (n - quorum) > c);
        }
    }
    assert_true(plans > 4000);
}

/* Each chunk is replayed by exactly that many. */
static void test_parts(void **state)
{
    (void)state;
    static struct rn_sa_transcript t;
    const uint32_t sizes[] = {3, 16, 17, 64, 128};
    for (size_t s = 0; s < RN_ARRAY_LENGTH(sizes); s++) {
        for (uint32_t seed = 0; seed < 40; seed++) {
            t.params = (struct rn_sa_params){.members = sizes[s], .colluding = 1, .honest = 2};
            memset(t.t2, 0, sizeof t.t2);
            memset(t.t2, (int)(seed * 7 + 250), seed % 5);
            for (uint32_t chunk = 0; chunk < 40; chunk++) {
                uint32_t count = 0;
                for (uint32_t i = 0; i < sizes[s]; i++) {
                    count += rn_sa_audit_has(&t, i, chunk);
                }
                assert_int_equal(count, rn_sa_auditors(&t.params));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forged_element),
        cmocka_unit_test(test_forged_chunk_of_many),
        cmocka_unit_test(test_proof_is_exact),
        cmocka_unit_test(test_honest_sum_has_no_proof),
        cmocka_unit_test(test_two_faces),
        cmocka_unit_test(test_quorum_of_two_adapters),
        cmocka_unit_test(test_lies_in_replay),
        cmocka_unit_test(test_withheld_upload),
        cmocka_unit_test(test_bad_certificates),
        cmocka_unit_test(test_adapter_differs),
        cmocka_unit_test(test_late_members_lean_on_receipts),
        cmocka_unit_test(test_auditors),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
