/* SPDX-License-Identifier: Apache-2.0
 *
 * The test vectors of crypto/secagg/PROTOCOL.md: every value that stands there is the one that this
 * code computes, and every value there is compared. Inputs as the section describes them.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "crypto/feldman.h"
#include "crypto/maskkey.h"
#include "crypto/roster.h"
#include "crypto/secagg/messages.h"
#include "crypto/shamir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DOCUMENT RN_SOURCE_DIR "/crypto/secagg/PROTOCOL.md"
#define DOCUMENT_BYTES_MAX ((size_t)1 << 20)
#define MEMBERS 4
#define VALUE_BYTES_MAX 1024

struct vectors {
    struct rn_buffer document;
    const char *section;
    uint32_t compared;
    struct rn_roster roster;
    struct rn_identity *identities[MEMBERS];
    struct rn_sa_params params;
    struct rn_sa_transcript t;
    struct rn_sa_secrets secrets[MEMBERS];
};

/* The digits after "    NAME =", which may go on in lines that begin with six spaces. */
static size_t read_value(const struct vectors *v, const char *name, uint8_t *out)
{
    char wanted[64];
    char digits[2 * VALUE_BYTES_MAX + 1];
    size_t count = 0;
    (void)rn_text_format(wanted, sizeof wanted, "\n    %s =", name);
    const char *at = strstr(v->section, wanted);
    if (at == NULL) {
        fail_msg("no vector \"%s\"", name);
    }
    for (at += strlen(wanted); *at != '\0'; at++) {
        if (*at == '\n' && strncmp(at, "\n      ", 7) != 0) {
            break;
        }
        if (*at != '\n' && *at != ' ') {
            assert_true(count < sizeof digits - 1);
            digits[count++] = *at;
        }
    }
    digits[count] = '\0';
    assert_true(rn_hex_decode(out, count / 2, digits));
    return count / 2;
}

static void compare(struct vectors *v, const char *name, const void *bytes, size_t length)
{
    uint8_t wanted[VALUE_BYTES_MAX];
    assert_int_equal(read_value(v, name, wanted), length);
    assert_memory_equal(bytes, wanted, length);
    v->compared++;
}

/* ---- the session ---- */

static void make_roster(struct vectors *v)
{
    struct rn_secret32 seed;
    memset(seed.bytes, 0x30, sizeof seed.bytes);
    struct rn_identity *coordinator = rn_identity_from_seed(&seed);
    v->roster.coordinator = *rn_identity_public_of(coordinator);
    rn_identity_free(coordinator);
    (void)rn_text_format(v->roster.federation, sizeof v->roster.federation, "vectors");
    v->roster.count = MEMBERS;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct rn_roster_member *member = &v->roster.members[i];
        memset(seed.bytes, (int)(0x20 + i), sizeof seed.bytes);
        v->identities[i] = rn_identity_from_seed(&seed);
        (void)rn_text_format(member->name, sizeof member->name, "m%u", i);
        member->key = *rn_identity_public_of(v->identities[i]);
    }
}

static void make_secrets(struct vectors *v)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct rn_sa_secrets *secrets = &v->secrets[i];
        struct rn_sa_peer *peer = &v->t.peers[i];
        memset(secrets->channel.bytes, (int)(0x10 + i), sizeof secrets->channel.bytes);
        rn_scalar_from_u64(2 + i, &secrets->mask_secret);
        rn_scalar_from_u64(102 + i, &secrets->self_seed);
        rn_channel_public_of(&secrets->channel, &peer->channel);
        rn_point_of_scalar(&secrets->mask_secret, &peer->mask);
        rn_point_of_scalar(&secrets->self_seed, &peer->self);
    }
}

static void chain(uint8_t *out, const char *tag, const uint8_t *before, const struct rn_sa_set *set,
                  const char *body)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) bytes = {0};
    rn_buffer_append(&bytes, before, RN_HASH_BYTES);
    if (set != NULL) {
        rn_sa_set_write(&bytes, set);
    }
    rn_buffer_append(&bytes, body, strlen(body));
    const struct rn_view view = rn_buffer_view(&bytes);
    rn_sha256(out, tag, &view, 1);
}

static int set_up(void **state)
{
    struct vectors *v = rn_alloc(1, sizeof *v);
    rn_buffer_init(&v->document, DOCUMENT_BYTES_MAX);
    assert_true(rn_is_ok(rn_file_read(DOCUMENT, DOCUMENT_BYTES_MAX, &v->document, NULL)));
    v->section = strstr(rn_buffer_text(&v->document), "\n## Test vectors\n");
    assert_non_null(v->section);
    make_roster(v);
    v->params = (struct rn_sa_params){.members = MEMBERS,
                                      .colluding = 1,
                                      .losses = 1,
                                      .honest = 2,
                                      .value_max = 65534,
                                      .chunk_elements = 4};
    struct rn_sa_context context = {
        .roster = &v->roster, .round = 7, .attempt = 2, .active = 2, .elements = 6};
    uint8_t *hashes[] = {context.plan_hash, context.base_hash, context.adapter_hash,
                         context.layout_hash, context.scales_hash};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(hashes); k++) {
        memset(hashes[k], (int)k + 1, RN_HASH_BYTES);
    }
    uint8_t nonce[32];
    memset(nonce, 6, sizeof nonce);
    rn_sa_transcript_init(&v->t, &v->params, &context);
    rn_sa_transcript_start(&v->t, nonce);
    v->t.n = MEMBERS;
    v->t.joined = rn_sa_set_first(MEMBERS);
    v->t.linked = rn_sa_set_first(3);
    chain(v->t.t0, "rondo/v1 secagg T0", v->t.session, NULL, "ready set");
    chain(v->t.t1, "rondo/v1 secagg T1", v->t.t0, &v->t.linked, "ack set");
    chain(v->t.t2, "rondo/v1 secagg T2", v->t.t1, NULL, "survivors");
    make_secrets(v);
    *state = v;
    return 0;
}

static int tear_down(void **state)
{
    struct vectors *v = *state;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        rn_identity_free(v->identities[i]);
    }
    rn_buffer_clear(&v->document);
    rn_sa_transcript_clear(&v->t);
    rn_free(v);
    return 0;
}

/* ---- the values ---- */

static void test_transcript(void **state)
{
    struct vectors *v = *state;
    uint8_t params[RN_HASH_BYTES];
    rn_sa_params_hash(params, &v->params, &v->t.context);
    compare(v, "roster hash", v->t.roster_hash, RN_HASH_BYTES);
    compare(v, "params hash", params, sizeof params);
    compare(v, "session id", v->t.session, RN_HASH_BYTES);
    compare(v, "T0", v->t.t0, RN_HASH_BYTES);
    compare(v, "T1", v->t.t1, RN_HASH_BYTES);
    compare(v, "T2", v->t.t2, RN_HASH_BYTES);
    struct rn_sa_set set = rn_sa_set_only(0);
    rn_sa_set_add(&set, 9);
    rn_sa_set_add(&set, 127);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) bytes = {0};
    rn_sa_set_write(&bytes, &set);
    compare(v, "set of 0, 9, 127", bytes.data, bytes.length);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) vote = {0};
    rn_sa_vote_write(&v->t, 2, RN_SA_VOTE_SURVIVORS, v->identities[2], &vote);
    compare(v, "vote of 2 for T2", vote.data, vote.length);
}

/* The same session if its job were blind, and member 0's stream in the open one. */
static void test_blind(void **state)
{
    struct vectors *v = *state;
    struct rn_sa_context context = v->t.context;
    struct rn_secret32 group;
    struct rn_secret32 key;
    uint8_t hash[RN_HASH_BYTES];
    uint8_t nonce[32];
    struct rn_mask_context keys;
    memcpy(keys.session, v->t.session, RN_HASH_BYTES);
    memcpy(keys.transcript, v->t.t1, RN_HASH_BYTES);
    memset(nonce, 6, sizeof nonce);
    memset(group.bytes, 7, sizeof group.bytes);
    context.blind = true;
    memset(context.group_hash, 8, sizeof context.group_hash);
    rn_mask_key_blind(&keys, &group, 0, &key);
    compare(v, "blind(0)", key.bytes, sizeof key.bytes);
    rn_sa_params_hash(hash, &v->params, &context);
    compare(v, "params hash of a blind job", hash, sizeof hash);
    rn_sa_session_id(hash, &v->params, &context, v->t.roster_hash, nonce);
    compare(v, "its session id", hash, sizeof hash);
    context.hybrid = true;
    rn_sa_params_hash(hash, &v->params, &context);
    compare(v, "params hash of a hybrid job", hash, sizeof hash);
}

/* Shares of member 0: 2 + 7x + 11x^2 and 102 + 13x + 17x^2. */
static void draw(struct rn_scalar s[static 3], struct rn_scalar b[static 3])
{
    const uint64_t numbers[2][3] = {{2, 7, 11}, {102, 13, 17}};
    for (size_t k = 0; k < 3; k++) {
        rn_scalar_from_u64(numbers[0][k], &s[k]);
        rn_scalar_from_u64(numbers[1][k], &b[k]);
    }
}

static void seal(const struct vectors *v, uint32_t holder, uint8_t out[static RN_SA_SEALED_BYTES])
{
    struct rn_scalar s[3];
    struct rn_scalar b[3];
    struct rn_scalar shares[2];
    draw(s, b);
    rn_shamir_evaluate(s, 3, holder, &shares[0]);
    rn_shamir_evaluate(b, 3, holder, &shares[1]);
    uint8_t plain[RN_SA_SEALED_BYTES - RN_CHANNEL_OVERHEAD];
    struct rn_writer w = rn_writer_to(plain, sizeof plain);
    rn_write_u32(&w, 0);
    rn_write_u32(&w, holder);
    rn_write_bytes(&w, v->t.session, RN_HASH_BYTES);
    rn_write_bytes(&w, shares, sizeof shares);
    assert_true(rn_writer_done(&w));
    struct rn_channel_context context = {.from = 0, .to = holder};
    memcpy(context.session, v->t.session, RN_HASH_BYTES);
    memcpy(context.transcript, v->t.t0, RN_HASH_BYTES);
    assert_true(rn_is_ok(rn_channel_seal(&v->secrets[0].channel, &v->t.peers[holder].channel,
                                         &context, rn_view_of(plain, sizeof plain), out, NULL)));
}

static void test_shares(void **state)
{
    struct vectors *v = *state;
    const struct rn_sa_peer *own = &v->t.peers[0];
    struct rn_scalar s[3];
    struct rn_scalar b[3];
    struct rn_point commitments[4];
    uint8_t entries[MEMBERS][RN_SA_SEALED_BYTES] = {{0}};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    draw(s, b);
    rn_feldman_commit(s, 3, commitments);
    rn_feldman_commit(b, 3, commitments + 2);
    for (uint32_t j = 1; j < MEMBERS; j++) {
        seal(v, j, entries[j]);
    }
    rn_buffer_append(&body, commitments, sizeof commitments);
    rn_buffer_append(&body, entries, sizeof entries);
    uint8_t leaves[MEMBERS * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    struct rn_sa_shares_hashes hashes;
    rn_sa_shares_hash(&v->t, 0, rn_buffer_view(&body), leaves, &hashes);
    rn_sa_shares_root(&v->t, 0, &hashes, root);
    compare(v, "X25519 key of 0", own->channel.bytes, sizeof own->channel.bytes);
    compare(v, "S of 0", own->mask.bytes, RN_POINT_BYTES);
    compare(v, "B of 0", own->self.bytes, RN_POINT_BYTES);
    compare(v, "commitments to s of 0", commitments, 2 * RN_POINT_BYTES);
    compare(v, "commitments to b of 0", commitments + 2, 2 * RN_POINT_BYTES);
    compare(v, "entry of 0 for 1", entries[1], RN_SA_SEALED_BYTES);
    compare(v, "leaf of it", leaves + RN_HASH_BYTES, RN_HASH_BYTES);
    compare(v, "root of Shares of 0", root, sizeof root);
    const uint32_t places[] = {0, 2, 3};
    struct rn_scalar weights[3];
    assert_true(rn_is_ok(rn_shamir_weights(places, 3, weights, NULL)));
    compare(v, "weights of places 0, 2, 3 at 0", weights, sizeof weights);
}

static struct rn_mask_set *keys_of_0(struct vectors *v, struct rn_secret32 *own,
                                     struct rn_secret32 *pair)
{
    struct rn_mask_context context;
    memcpy(context.session, v->t.session, RN_HASH_BYTES);
    memcpy(context.transcript, v->t.t1, RN_HASH_BYTES);
    struct rn_mask_set *set = rn_mask_set_new(3);
    rn_mask_key_self(&context, &v->secrets[0].self_seed, 0, own);
    assert_true(rn_is_ok(rn_mask_set_insert(set, own, 1, NULL)));
    for (uint32_t j = 2; j > 0; j--) {
        assert_true(rn_is_ok(rn_mask_key_pair(&context, &v->secrets[0].mask_secret, 0,
                                              &v->t.peers[j].mask, j, pair, NULL)));
        assert_true(rn_is_ok(rn_mask_set_insert(set, pair, rn_mask_sign(0, j), NULL)));
    }
    return set; /* pair is that of 0 and 1 */
}

static void test_vectors_of_0(void **state)
{
    struct vectors *v = *state;
    struct rn_secret32 own;
    struct rn_secret32 pair;
    struct rn_mask_set *RN_CLEANUP(rn_mask_set_free_cleanup) masks = keys_of_0(v, &own, &pair);
    compare(v, "self(0)", own.bytes, sizeof own.bytes);
    compare(v, "pair(0, 1)", pair.bytes, sizeof pair.bytes);
    uint32_t lanes32[3] = {0};
    uint64_t lanes64[3] = {0};
    assert_true(rn_is_ok(rn_mask_add_u32(lanes32, 5, 3, &own, 1, NULL)));
    assert_true(rn_is_ok(rn_mask_add_u64(lanes64, 5, 3, &own, 1, NULL)));
    compare(v, "u32 lanes 5, 6, 7 of self(0)", lanes32, sizeof lanes32);
    compare(v, "u64 lanes 5, 6, 7 of self(0)", lanes64, sizeof lanes64);

    const uint64_t values[] = {1, 2, 3, 4, 5, 6};
    uint8_t leaves[2 * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    for (uint32_t c = 0; c < 2; c++) {
        uint8_t packed[64];
        const size_t length = rn_sa_layout_chunk_bytes(&v->t.layout, c);
        const struct rn_sa_chunk chunk = {c, rn_view_of(packed, length)};
        assert_true(rn_is_ok(
            rn_sa_chunk_mask(&v->t.layout, c, values + 4 * (size_t)c, masks, packed, NULL)));
        rn_sa_chunk_leaf(&v->t, 0, &chunk, leaves + c * (size_t)RN_HASH_BYTES);
        compare(v, c == 0 ? "packed chunk 0 of 0" : "packed chunk 1 of 0", packed, length);
    }
    rn_sa_chunk_root(&v->t, 0, leaves, root);
    compare(v, "leaf of chunk 1 of 0", leaves + RN_HASH_BYTES, RN_HASH_BYTES);
    compare(v, "root of the upload of 0", root, sizeof root);
}

/* Last: no vector of the section was left out. */
static void test_all_compared(void **state)
{
    const struct vectors *v = *state;
    const char *end = strstr(v->section + 1, "\n## ");
    uint32_t count = 0;
    for (const char *at = v->section; (at = strstr(at, "\n    ")) != NULL && at < end; at++) {
        count += at[5] != ' ' ? 1 : 0;
    }
    assert_true(count > 0);
    assert_int_equal(v->compared, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transcript),   cmocka_unit_test(test_blind),
        cmocka_unit_test(test_shares),       cmocka_unit_test(test_vectors_of_0),
        cmocka_unit_test(test_all_compared),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
