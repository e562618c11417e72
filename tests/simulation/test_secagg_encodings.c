/* SPDX-License-Identifier: Apache-2.0
 *
 * case 25, case 26, case 27, case 44. What a member may send as a key, a share, a list or a chunk:
 * everything that is no canonical encoding of it, has another length, or says another number than
 * it holds, is refused with its reason, signed well or not, and the round goes on with the honest
 * message.
 */
#include "tests/simulation/simulator.c"

#include "crypto/pack.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* Runs a round of five, of whom the last is lost before Done, in which member 0's first message of
 * the type is preceded by forged ones. */
struct attempt {
    enum rn_sa_type type;
    void (*lie)(struct sim *sim, const struct rn_sa_message *honest);
    bool done;
};

static bool before_message(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct attempt *attempt = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    (void)to;
    if (from == 0 && m.type == attempt->type && !attempt->done) {
        attempt->done = true;
        attempt->lie(sim, &m);
        assert_false(rn_sa_set_has(&sim->aggregator->got[m.type], 0));
    }
    return true;
}

static void run_with(enum rn_sa_type type,
                     void (*lie)(struct sim *sim, const struct rn_sa_message *honest))
{
    struct attempt attempt = {.type = type, .lie = lie};
    const struct sim_options options = {.members = 5,
                                        .colluding = 1,
                                        .losses = 1,
                                        .value_max = 131070, /* 21 bits: chunks have padding */
                                        .seed = 250,
                                        .tamper = before_message,
                                        .tamper_context = &attempt};
    struct sim *sim = sim_new(&options);
    sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_true(attempt.done);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

static void refuse_body(struct sim *sim, const struct rn_sa_message *m, struct rn_view body,
                        const char *reason)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    sim_sign_again(sim, m, body, NULL, NULL, &forged);
    lie_bytes_refused(sim, SIM_COORDINATOR, rn_buffer_view(&forged), reason);
}

/* ---- case 26: keys ---- */

/* Little-endian numbers as X25519 keys: points of order 1, 2, 4, 8, and numbers not below the
 * field's prime 2^255 - 19. */
static const char *const channel_keys[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0900000000000000000000000000000000000000000000000000000000000080",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};
/* As elements of ristretto255 (RFC 9496, appendix A.2 and A.3): the identity, no canonical field
 * element, negative field elements, no square, and the base point with a bit more. */
static const char *const points[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2df6",
};

static void put_hex(uint8_t *at, const char *hex)
{
    assert_true(rn_hex_decode(at, 32, hex));
}

static void bad_keys(struct sim *sim, const struct rn_sa_message *m)
{
    uint8_t body[RN_SA_READY_BODY];
    for (size_t k = 0; k < RN_ARRAY_LENGTH(channel_keys); k++) {
        memcpy(body, m->body.data, sizeof body);
        put_hex(body, channel_keys[k]);
        refuse_body(sim, m, rn_view_of(body, sizeof body), "no valid X25519 key");
    }
    for (size_t at = 32; at < sizeof body; at += 32) {
        for (size_t k = 0; k < RN_ARRAY_LENGTH(points); k++) {
            memcpy(body, m->body.data, sizeof body);
            put_hex(body + at, points[k]);
            refuse_body(sim, m, rn_view_of(body, sizeof body), "group element");
        }
    }
}

/* case 26 */
static void test_bad_keys(void **state)
{
    (void)state;
    run_with(RN_SA_READY, bad_keys);
}

/* S + L for the S of the signature: the same number to a careless verifier. */
static void other_signatures(struct sim *sim, const struct rn_sa_message *m)
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                      0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    rn_buffer_append(&forged, m->whole.data, m->whole.length);
    uint8_t *s = forged.data + RN_SA_HEADER_BYTES + 32;
    uint32_t carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (uint32_t)s[i] + order[i];
        s[i] = (uint8_t)carry;
        carry >>= 8;
    }
    lie_bytes_refused(sim, SIM_COORDINATOR, rn_buffer_view(&forged), "does not hold");
    memset(forged.data + RN_SA_HEADER_BYTES, 0, RN_SIGNATURE_BYTES);
    lie_bytes_refused(sim, SIM_COORDINATOR, rn_buffer_view(&forged), "does not hold");
    forged.data[RN_SA_HEADER_BYTES] = 1; /* R = the identity, S = 0 */
    lie_bytes_refused(sim, SIM_COORDINATOR, rn_buffer_view(&forged), "does not hold");
}

/* case 26 */
static void test_other_signatures(void **state)
{
    (void)state;
    run_with(RN_SA_READY, other_signatures);
    run_with(RN_SA_VOTE, other_signatures);
}

/* ---- case 44: versions ---- */

/* The frame with one byte of it changed, signed well: of another version, another kind of message,
 * with a reserved bit, or none of this protocol's at all. No version is guessed at. */
static void other_frames(struct sim *sim, const struct rn_sa_message *m)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *reason;
    } changes[] = {
        {4, RN_SA_VERSION - 1, "of another protocol version; this build speaks 5"},
        {4, RN_SA_VERSION + 1, "of another protocol version; this build speaks 5"},
        {5, 1, "of another protocol version; this build speaks 5"},
        {6, 0, "of no known type"},
        {6, RN_SA_TYPE_LAST_, "of no known type"},
        {7, 1, "of no known type"},
        {48, 1, "reserved bits are set"},
        {51, 0x80, "reserved bits are set"},
        {0, 'X', "no secagg message"},
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(changes); k++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        struct rn_error err = {{0}};
        rn_buffer_append(&forged, m->whole.data, m->whole.length);
        forged.data[changes[k].at] = changes[k].value;
        rn_identity_sign(sim->identities[0], "rondo/v1 secagg message",
                         rn_view_of(forged.data, RN_SA_HEADER_BYTES),
                         forged.data + RN_SA_HEADER_BYTES);
        const rn_result result = rn_sa_aggregator_receive(
            sim->aggregator, 0, rn_buffer_view(&forged), sim->now, &actions, &err);
        assert_int_equal(result.code, RN_E_PEER_FORMAT);
        assert_non_null(strstr(err.text, changes[k].reason));
        assert_int_equal(actions.count, 0);
    }
}

/* case 44 */
static void test_other_frames(void **state)
{
    (void)state;
    run_with(RN_SA_READY, other_frames);
    run_with(RN_SA_REVEAL, other_frames);
}

/* ---- case 25: answers ---- */

static void bad_answers(struct sim *sim, const struct rn_sa_message *m)
{
    const size_t entry = RN_SA_REVEAL_ENTRY;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    static const char *const lengths = "not one entry per member";
    rn_buffer_append(&body, m->body.data, m->body.length);
    rn_buffer_append(&body, m->body.data + m->body.length - entry, entry);
    refuse_body(sim, m, rn_view_of(body.data, 4), lengths);
    refuse_body(sim, m, rn_view_of(body.data, m->body.length - entry), lengths);
    refuse_body(sim, m, rn_view_of(body.data, m->body.length - 1), lengths);
    refuse_body(sim, m, rn_view_of(body.data, m->body.length + 1), lengths);
    refuse_body(sim, m, rn_buffer_view(&body), lengths);
    static const uint32_t counts[] = {0, 4, 6, 0x80000005u, UINT32_MAX};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(counts); k++) {
        struct rn_writer w = rn_writer_to(body.data, 4);
        rn_write_u32(&w, counts[k]);
        refuse_body(sim, m, rn_view_of(body.data, m->body.length), lengths);
    }
    struct rn_writer six = rn_writer_to(body.data, 4); /* an extra peer that is listed too */
    rn_write_u32(&six, 6);
    refuse_body(sim, m, rn_buffer_view(&body), lengths);
    memcpy(body.data, m->body.data, 4);
    /* each peer, each kind that is not due, a peer of nobody, a share of all ones */
    for (uint32_t peer = 0; peer < 5; peer++) {
        uint8_t *at = body.data + 4 + peer * entry;
        const uint8_t honest = at[4];
        for (uint8_t kind = 0; kind < 5; kind++) {
            at[4] = kind;
            if (kind != honest) {
                refuse_body(sim, m, rn_view_of(body.data, m->body.length),
                            "not the share of member");
            }
        }
        at[4] = honest;
        at[0] = 5;
        refuse_body(sim, m, rn_view_of(body.data, m->body.length), "not the share of member");
        at[0] = (uint8_t)peer;
        memset(at + 8, 0xff, 32);
        refuse_body(sim, m, rn_view_of(body.data, m->body.length), "scalar");
        memcpy(at + 8, m->body.data + 4 + peer * entry + 8, 32);
    }
}

/* case 25 */
static void test_bad_answers(void **state)
{
    (void)state;
    run_with(RN_SA_REVEAL, bad_answers);
}

/* ---- case 27: chunks ---- */

static void bad_chunks(struct sim *sim, const struct rn_sa_message *m)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m->body.data, m->body.length);
    rn_buffer_append(&body, m->body.data, 64);
    /* trailing bytes, one byte less, no lanes at all, the lanes of one b more and less */
    const struct rn_sa_layout *layout = &sim->aggregator->t.layout;
    const size_t lanes = rn_sa_layout_chunk_elements(layout, 0) + RN_SA_CANARIES;
    const size_t head = RN_SA_CHUNK_HEAD;
    const size_t sizes[] = {
        m->body.length + 1,
        m->body.length - 1,
        m->body.length + 8,
        head + 1,
        head + rn_pack_size(lanes, layout->bits + 1),
        head + rn_pack_size(lanes, layout->bits - 1),
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(sizes); k++) {
        assert_true(sizes[k] != m->body.length && sizes[k] <= body.length);
        refuse_body(sim, m, rn_view_of(body.data, sizes[k]), "chunk 0: wrong number of elements");
    }
    refuse_body(sim, m, rn_view_of(body.data, head), "body of impossible length");
    /* first + count wraps, is of no chunk, or of another one's length */
    static const struct {
        uint64_t first;
        uint32_t count;
        const char *reason;
    } heads[] = {
        {UINT64_MAX, 4, "does not start"},
        {UINT64_MAX - 3, 4, "does not start"},
        {(uint64_t)1 << 63, 4, "does not start"},
        {(uint64_t)1 << 32, 4, "does not start"},
        {12, 4, "does not start"}, /* beyond the end: 11 elements */
        {1, 4, "does not start"},
        {8, 4, "chunk 2: wrong number"}, /* the last one has three */
        {0, 3, "chunk 0: wrong number"},
        {0, 5, "chunk 0: wrong number"},
        {0, 0, "chunk 0: wrong number"},
        {0, UINT32_MAX, "chunk 0: wrong number"},
        {0, 0x40000001u, "chunk 0: wrong number"}, /* times 4 it would be 4 */
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(heads); k++) {
        struct rn_writer w = rn_writer_to(body.data, head);
        rn_write_u64(&w, heads[k].first);
        rn_write_u32(&w, heads[k].count);
        refuse_body(sim, m, rn_view_of(body.data, m->body.length), heads[k].reason);
    }
    memcpy(body.data, m->body.data, head);
    const uint32_t used = lanes * layout->bits % 8;
    for (uint32_t bit = used; used != 0 && bit < 8; bit++) { /* each padding bit */
        body.data[m->body.length - 1] ^= (uint8_t)(1u << bit);
        refuse_body(sim, m, rn_view_of(body.data, m->body.length), "padding bits are set");
        body.data[m->body.length - 1] ^= (uint8_t)(1u << bit);
    }
    assert_int_not_equal(used, 0);
}

/* case 27 */
static void test_bad_chunks(void **state)
{
    (void)state;
    run_with(RN_SA_CHUNK, bad_chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_keys),     cmocka_unit_test(test_other_signatures),
        cmocka_unit_test(test_other_frames), cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_bad_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
