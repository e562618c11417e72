/* SPDX-License-Identifier: Apache-2.0
 *
 * case 41. No key of a mask stream is derived for two purposes, over 1000 rounds: every key that
 * anybody puts into a mask set is looked at (this program is linked with --wrap).
 */
#include "tests/simulation/simulator.c"

#include "crypto/maskstream.h"
#include "crypto/secagg/lanevector.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 60u
#else
#define ROUNDS 1000u
#endif
#define MEMBERS 4u
#define KEYS (MEMBERS + MEMBERS * (MEMBERS - 1) / 2) /* of one session */
#define TABLE (1u << 15)

struct seen {
    uint8_t key[RN_SECRET_BYTES];
    uint32_t session; /* 0: an empty place */
    uint32_t uses;
};

static struct seen table[TABLE];
static uint32_t session;
static uint32_t distinct; /* of this session */

static struct seen *place_of(const uint8_t *key)
{
    uint32_t at = 0;
    memcpy(&at, key, sizeof at);
    while (table[at % TABLE].session != 0 &&
           memcmp(table[at % TABLE].key, key, RN_SECRET_BYTES) != 0) {
        at++;
    }
    return &table[at % TABLE];
}

rn_result __real_rn_mask_set_insert(struct rn_mask_set *set, const struct rn_secret32 *key,
                                    int sign, struct rn_error *err);
rn_result __wrap_rn_mask_set_insert(struct rn_mask_set *set, const struct rn_secret32 *key,
                                    int sign, struct rn_error *err);
rn_result __wrap_rn_mask_set_insert(struct rn_mask_set *set, const struct rn_secret32 *key,
                                    int sign, struct rn_error *err)
{
    struct seen *seen = place_of(key->bytes);
    if (seen->session == 0) {
        seen->session = session;
        memcpy(seen->key, key->bytes, sizeof seen->key);
        distinct++;
    }
    assert_int_equal(seen->session, session);
    seen->uses++;
    /* the two ends of a pair, and once it is opened the coordinator and all who replay its sum */
    assert_true(seen->uses <= 3 + MEMBERS);
    return __real_rn_mask_set_insert(set, key, sign, err);
}

/* Every 7th session loses the uploads of one member. */
static bool lose_uploads(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    (void)sim;
    return session % 7 != 0 || from != session % MEMBERS || sim_parse(message).type != RN_SA_DONE;
}

/* case 41 */
static void test_no_key_twice(void **state)
{
    (void)state;
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .elements = 3,
                                        .seed = 5,
                                        .tamper = lose_uploads};
    struct sim *sim = sim_new(&options);
    sim->quiet_tap = true; /* which looks through whole journals */
    for (session = 1; session <= ROUNDS; session++) {
        distinct = 0;
        if (session > 1) {
            sim->context.adapter_hash[8] = (uint8_t)session; /* an update of its own */
            sim->context.adapter_hash[9] = (uint8_t)(session >> 8);
            sim_next_session(sim, session, 1);
        }
        sim_run(sim, 400000);
        assert_true(sim_check_sums(sim) >= MEMBERS - 1);
        assert_int_equal(distinct, KEYS);
    }
    sim_free(sim);
}

/* case 41. The chunks of one vector, canaries included, lie behind each other in the streams: no
 * counter range is used twice. */
static void test_chunks_share_no_range(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {11, 4}, {12, 4}, {13, 4}, {1000, 7}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(sizes); k++) {
        const struct rn_sa_params params = {
            .members = 4, .value_max = 65534, .chunk_elements = sizes[k][1]};
        const struct rn_sa_context context = {.elements = sizes[k][0]};
        struct rn_sa_layout layout;
        rn_sa_layout_init(&layout, &params, &context);
        uint64_t next = 0;
        for (uint32_t c = 0; c < layout.chunks; c++) {
            assert_int_equal(rn_sa_layout_chunk_lane(&layout, c), next);
            next += rn_sa_layout_chunk_elements(&layout, c) + RN_SA_CANARIES;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_key_twice),
        cmocka_unit_test(test_chunks_share_no_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
