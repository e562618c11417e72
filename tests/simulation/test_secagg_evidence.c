/* SPDX-License-Identifier: Apache-2.0
 *
 * case 15, case 50. What is proven against whom, to somebody who has the roster alone; and that
 * nothing is proven against anybody who followed the protocol.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/member_state.h"

#define MEMBERS 5u
#define HEARD_MAX 512u

/* Every message of a session, in the order it was sent. */
struct heard {
    struct rn_buffer messages[HEARD_MAX];
    size_t count;
};

static bool listen(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct heard *heard = sim->options.tamper_context;
    (void)from;
    (void)to;
    if (heard->count < HEARD_MAX) {
        struct rn_buffer *copy = &heard->messages[heard->count++];
        rn_buffer_append(copy, message->data, message->length);
    }
    return true;
}

static struct sim *hear_a_session(struct heard *heard)
{
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = 7,
                                        .tamper = listen,
                                        .tamper_context = heard};
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), MEMBERS);
    assert_true(heard->count > 30 && heard->count < HEARD_MAX);
    return sim;
}

static void forget(struct heard *heard, struct sim *sim)
{
    for (size_t i = 0; i < heard->count; i++) {
        rn_buffer_clear(&heard->messages[i]);
    }
    sim_free(sim);
}

static const struct rn_buffer *find(const struct heard *heard, enum rn_sa_type type,
                                    uint32_t sender)
{
    for (size_t i = 0; i < heard->count; i++) {
        const struct rn_sa_message m = sim_parse(&heard->messages[i]);
        if (m.type == type && m.sender == sender) {
            return &heard->messages[i];
        }
    }
    fail_msg("no %s of %u", rn_sa_type_name(type), (unsigned)sender);
    return NULL;
}

static bool proves(const struct sim *sim, enum rn_sa_evidence_kind kind, struct rn_view first,
                   struct rn_view second, struct rn_sa_evidence *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) document = {0};
    rn_sa_evidence_write(kind, first, second, &document);
    return rn_is_ok(rn_sa_evidence_check(rn_buffer_view(&document), &sim->roster, out, NULL));
}

/* ---- Nobody honest */

/* No two messages of a session in which everybody followed the protocol prove anything. */
static void test_no_evidence_against_the_honest(void **state)
{
    (void)state;
    struct heard heard = {.count = 0};
    struct sim *sim = hear_a_session(&heard);
    struct rn_sa_evidence evidence;
    for (size_t i = 0; i < heard.count; i++) {
        for (size_t k = 0; k < heard.count; k++) {
            for (int kind = 0; kind <= RN_SA_EVIDENCE_LAST_; kind++) {
                assert_false(proves(sim, (enum rn_sa_evidence_kind)kind,
                                    rn_buffer_view(&heard.messages[i]),
                                    rn_buffer_view(&heard.messages[k]), &evidence));
            }
        }
    }
    forget(&heard, sim);
}

/* ---- Two envelopes */

/* Another message of the same signer, type, session and recipient. */
static void second_version(struct sim *sim, const struct rn_buffer *message, struct rn_buffer *out)
{
    const struct rn_sa_message m = sim_parse(message);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[body.length - 1] ^= 1;
    uint8_t root[RN_HASH_BYTES] = {1};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, m.type == RN_SA_SHARES ? root : NULL, out);
}

static void test_two_versions_of_a_message(void **state)
{
    (void)state;
    static const enum rn_sa_type single[] = {RN_SA_READY,   RN_SA_SHARES,    RN_SA_ACK,
                                             RN_SA_DONE,    RN_SA_VOTE,      RN_SA_REVEAL,
                                             RN_SA_RECEIPT, RN_SA_READY_SET, RN_SA_SHARES_SET,
                                             RN_SA_ACK_SET, RN_SA_SURVIVORS, RN_SA_RESULT};
    struct heard heard = {.count = 0};
    struct sim *sim = hear_a_session(&heard);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(single); i++) {
        const bool coordinator = rn_sa_type_from_coordinator(single[i]);
        const struct rn_buffer *first =
            find(&heard, single[i], coordinator ? RN_SA_COORDINATOR : 2);
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) second = {0};
        struct rn_sa_evidence evidence;
        second_version(sim, first, &second);
        assert_true(proves(sim, RN_SA_EVIDENCE_ENVELOPES, rn_buffer_view(first),
                           rn_buffer_view(&second), &evidence));
        const struct rn_sa_set members = coordinator ? (struct rn_sa_set){{0}} : rn_sa_set_only(2);
        assert_int_equal(evidence.coordinator, coordinator);
        assert_true(rn_sa_set_equal(&evidence.members, &members));
        assert_true(rn_sa_set_empty(&evidence.one_of));
        assert_int_equal(evidence.types[0], single[i]);
        assert_int_equal(evidence.round, sim->context.round);
        /* forged by somebody else */
        second.data[RN_SA_HEADER_BYTES] ^= 1;
        assert_false(proves(sim, RN_SA_EVIDENCE_ENVELOPES, rn_buffer_view(first),
                            rn_buffer_view(&second), &evidence));
    }
    forget(&heard, sim);
}

/* ---- Certificates */

/* Whatever else the member makes of it. */
static void hand(struct sim *sim, uint32_t to, const struct rn_buffer *message,
                 struct rn_sa_actions *out)
{
    const rn_result result =
        rn_sa_member_receive(sim->members[to], rn_buffer_view(message), sim->now, out, NULL);
    assert_true(rn_is_ok(result) || rn_class_of(result) == RN_CLASS_PEER);
}

/* An abort certificate over votes that these members sign now, by the coordinator. */
static void abort_certificate(struct sim *sim, const struct heard *heard, const uint32_t *voters,
                              uint32_t count, struct rn_buffer *out)
{
    const struct rn_sa_message certificate =
        sim_parse(find(heard, RN_SA_CERTIFICATE, RN_SA_COORDINATOR));
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    uint8_t ballot[RN_SA_VOTE_BODY] = {RN_SA_VOTE_ABORT};
    rn_buffer_u32(&body, count);
    struct rn_sa_message vote = sim_parse(find(heard, RN_SA_VOTE, voters[0]));
    uint8_t t0[RN_HASH_BYTES];
    memcpy(t0, vote.transcript, sizeof(t0));
    for (uint32_t i = 0; i < count; i++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) signed_vote = {0};
        vote.sender = voters[i];
        sim_sign_again(sim, &vote, rn_view_of(ballot, sizeof(ballot)), NULL, NULL, &signed_vote);
        rn_buffer_append(&body, signed_vote.data, signed_vote.length);
    }
    struct rn_sa_message m = certificate;
    m.type = RN_SA_ABORT_CERTIFICATE;
    sim_sign_again(sim, &m, rn_buffer_view(&body), t0, NULL, out);
}

/* case 15. A member that holds a certificate gets an abort certificate of the same session: the
 * votes in both name those who voted twice. */
static void test_certificate_against_abort_certificate(void **state)
{
    (void)state;
    static const uint32_t voters[] = {1, 2, 3, 4};
    struct heard heard = {.count = 0};
    struct sim *sim = hear_a_session(&heard);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) abort = {0};
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    abort_certificate(sim, &heard, voters, RN_ARRAY_LENGTH(voters), &abort);
    const struct rn_buffer *certificate = find(&heard, RN_SA_CERTIFICATE, RN_SA_COORDINATOR);
    struct rn_sa_set expected = {{0}};
    const struct rn_view votes = sim_parse(certificate).body;
    for (size_t at = 4; at < votes.length; at += RN_SA_VOTE_BYTES) {
        struct rn_sa_message vote;
        assert_true(rn_is_ok(
            rn_sa_message_parse(rn_view_of(votes.data + at, RN_SA_VOTE_BYTES), &vote, NULL)));
        if (vote.sender != 0) {
            rn_sa_set_add(&expected, vote.sender);
        }
    }
    assert_true(rn_sa_set_count(&expected) >= 2); /* more than n_c */
    hand(sim, 0, &abort, &actions);
    assert_int_equal(actions.count, 1);
    const struct rn_sa_evidence evidence = sim_prove(sim, &actions.items[0]);
    assert_int_equal(evidence.kind, RN_SA_EVIDENCE_CERTIFICATES);
    assert_true(evidence.coordinator);
    assert_true(rn_sa_set_equal(&evidence.members, &expected));
    /* once is enough */
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) again = {0};
    hand(sim, 0, &abort, &again);
    assert_int_equal(again.count, 0);
    forget(&heard, sim);
}

/* The other way round: at a member whose session ended with an abort certificate, also when it
 * restarted in between. */
static bool no_certificate(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const enum rn_sa_type type = sim_parse(message).type;
    (void)listen(sim, from, to, message);
    return type != RN_SA_CERTIFICATE && type != RN_SA_ABORT_CALL;
}

static void abort_then_certificate(bool restarts)
{
    static const uint32_t voters[] = {1, 2, 3, 4};
    struct heard heard = {.count = 0};
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = 7,
                                        .tamper = no_certificate,
                                        .tamper_context = &heard};
    struct sim *sim = sim_new(&options);
    sim_run(sim, 20000);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) abort = {0};
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    const struct rn_buffer *certificate = find(&heard, RN_SA_CERTIFICATE, RN_SA_COORDINATOR);
    abort_certificate(sim, &heard, voters, RN_ARRAY_LENGTH(voters), &abort);
    assert_true(rn_is_ok(
        rn_sa_member_receive(sim->members[0], rn_buffer_view(&abort), sim->now, &actions, NULL)));
    assert_int_equal(actions.items[0].kind, RN_SA_PERSIST);
    execute(sim, 0, &actions);
    if (restarts) {
        crash(sim, 0);
        restart(sim, 0);
    }
    rn_sa_actions_clear(&actions);
    hand(sim, 0, certificate, &actions);
    assert_int_equal(actions.count, 1);
    const struct rn_sa_evidence evidence = sim_prove(sim, &actions.items[0]);
    assert_true(evidence.coordinator);
    assert_true(rn_sa_set_count(&evidence.members) >= 2);
    assert_false(rn_sa_set_has(&evidence.members, 0));
    forget(&heard, sim);
}

/* case 15 */
static void test_abort_certificate_against_certificate(void **state)
{
    (void)state;
    abort_then_certificate(false);
    abort_then_certificate(true);
}

/* ---- Receipts */

static void test_receipts_name_one_of_two(void **state)
{
    (void)state;
    struct heard heard = {.count = 0};
    struct sim *sim = hear_a_session(&heard);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) second = {0};
    struct rn_sa_evidence evidence;
    second_version(sim, find(&heard, RN_SA_RECEIPT, 3), &second);
    assert_true(proves(sim, RN_SA_EVIDENCE_RECEIPTS, rn_buffer_view(find(&heard, RN_SA_RECEIPT, 1)),
                       rn_buffer_view(&second), &evidence));
    assert_false(evidence.coordinator);
    assert_true(rn_sa_set_empty(&evidence.members));
    assert_int_equal(rn_sa_set_count(&evidence.one_of), 2);
    assert_true(rn_sa_set_has(&evidence.one_of, 1) && rn_sa_set_has(&evidence.one_of, 3));
    forget(&heard, sim);
}

/* ---- Documents */

/* case 50. No byte of a document can be another, and none be missing or too many. */
static void test_every_byte_counts(void **state)
{
    (void)state;
    static const uint32_t voters[] = {1, 2, 3, 4};
    struct heard heard = {.count = 0};
    struct sim *sim = hear_a_session(&heard);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) abort = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) document = {0};
    struct rn_sa_evidence evidence;
    abort_certificate(sim, &heard, voters, RN_ARRAY_LENGTH(voters), &abort);
    rn_sa_evidence_write(RN_SA_EVIDENCE_CERTIFICATES,
                         rn_buffer_view(find(&heard, RN_SA_CERTIFICATE, RN_SA_COORDINATOR)),
                         rn_buffer_view(&abort), &document);
    const struct rn_view whole = rn_buffer_view(&document);
    assert_true(rn_is_ok(rn_sa_evidence_check(whole, &sim->roster, &evidence, NULL)));
    for (size_t i = 0; i < document.length; i++) {
        document.data[i] ^= 1;
        const rn_result result = rn_sa_evidence_check(whole, &sim->roster, &evidence, NULL);
        assert_int_equal(rn_class_of(result), RN_CLASS_PEER);
        document.data[i] ^= 1;
        assert_false(rn_is_ok(
            rn_sa_evidence_check(rn_view_of(whole.data, i), &sim->roster, &evidence, NULL)));
    }
    rn_buffer_append(&document, "", 1);
    assert_false(
        rn_is_ok(rn_sa_evidence_check(rn_buffer_view(&document), &sim->roster, &evidence, NULL)));
    forget(&heard, sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_evidence_against_the_honest),
        cmocka_unit_test(test_two_versions_of_a_message),
        cmocka_unit_test(test_certificate_against_abort_certificate),
        cmocka_unit_test(test_abort_certificate_against_certificate),
        cmocka_unit_test(test_receipts_name_one_of_two),
        cmocka_unit_test(test_every_byte_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
