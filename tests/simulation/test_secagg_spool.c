/* SPDX-License-Identifier: Apache-2.0
 *
 * Uploads above the memory for them lie in the spool, complete ones until their sum is receipted; a
 * place that is full, forgets or changes what it was given costs repetitions, never a wrong sum.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

#define PLACES (16 * 64)

/* A spool that can misbehave. */
struct place {
    struct rn_buffer bytes[PLACES];
    uint32_t puts, gets, drops;
    uint32_t full_until;   /* that many puts fail first */
    uint32_t damage_every; /* every n-th get gives other bytes; 0: none */
    uint32_t lose_get;     /* this get fails; 0: none */
    uint32_t damage_get;   /* this get gives other bytes; 0: none */
};

static struct rn_buffer *at(struct place *place, uint32_t member, uint32_t chunk)
{
    assert_true(chunk < 64);
    return &place->bytes[member * 64 + chunk];
}

static rn_result put(void *context, uint32_t member, uint32_t chunk, struct rn_view bytes,
                     struct rn_error *err)
{
    struct place *place = context;
    if (place->puts++ < place->full_until) {
        return rn_fail(err, RN_E_IO, "no space left on device");
    }
    struct rn_buffer *kept = at(place, member, chunk);
    kept->length = 0;
    rn_buffer_append(kept, bytes.data, bytes.length);
    return rn_ok();
}

static rn_result get(void *context, uint32_t member, uint32_t chunk, size_t length,
                     struct rn_buffer *out, struct rn_error *err)
{
    struct place *place = context;
    const struct rn_buffer *kept = at(place, member, chunk);
    (void)length;
    place->gets++;
    if (place->gets == place->lose_get) {
        return rn_fail(err, RN_E_IO, "input/output error");
    }
    rn_buffer_append(out, kept->data, kept->length);
    const bool damaged = place->damage_every != 0 && place->gets % place->damage_every == 0;
    if ((damaged || place->gets == place->damage_get) && out->length > 0) {
        out->data[0] ^= 1;
    }
    return rn_ok();
}

static void drop(void *context, uint32_t member)
{
    struct place *place = context;
    place->drops++;
    for (uint32_t chunk = 0; chunk < 64; chunk++) {
        rn_buffer_clear(at(place, member, chunk));
    }
}

static struct sim *run(struct place *place, struct rn_sa_spool *spool, uint64_t vectors)
{
    const struct sim_options options = {
        .members = 5, .colluding = 1, .losses = 1, .elements = 50, .delay_ms = 300, .seed = 4};
    struct sim *sim = sim_new(&options);
    *spool = (struct rn_sa_spool){place, put, get, drop};
    sim->aggregator->config.spool = spool;
    sim->aggregator->config.spool_bytes_max =
        vectors * rn_sa_layout_vector_bytes(&sim->aggregator->t.layout);
    sim_run(sim, 400000);
    return sim;
}

static void clear(struct place *place)
{
    for (size_t i = 0; i < PLACES; i++) {
        assert_int_equal(place->bytes[i].length, 0); /* everything was dropped */
        rn_buffer_clear(&place->bytes[i]);
    }
    rn_free(place);
}

/* With memory for none to all uploads: the same sum, and in the end nothing is kept. */
static void test_above_memory(void **state)
{
    (void)state;
    for (uint64_t vectors = 0; vectors <= 5; vectors++) {
        struct place *place = rn_alloc(1, sizeof *place);
        struct rn_sa_spool spool;
        struct sim *sim = run(place, &spool, vectors);
        assert_int_equal(sim_check_sums(sim), 5);
        assert_int_equal(sim->aggregator->spool_bytes, 0);
        assert_int_equal(place->puts, 5 * 13); /* each chunk once, from the wire or from memory */
        sim_free(sim);
        clear(place);
    }
}

/* A full disk, and a place that gives back other bytes: asked for again until it is right. */
static void test_bad_place(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < 2; kind++) {
        struct place *place = rn_alloc(1, sizeof *place);
        struct rn_sa_spool spool;
        place->full_until = kind == 0 ? 40 : 0;
        place->damage_every = kind == 1 ? 61 : 0;
        struct sim *sim = run(place, &spool, 0);
        assert_int_equal(sim_check_sums(sim), 5);
        assert_true(kind == 0 ? place->puts > 40 : place->gets > 61);
        sim_free(sim);
        clear(place);
    }
}

/* What breaks between the check and the sum ends the session without one: half an upload in a sum
 * could not be taken out again. */
static void test_broken_while_added(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < 2; kind++) {
        struct place *place = rn_alloc(1, sizeof *place);
        struct rn_sa_spool spool;
        const uint32_t number = 13 + 5; /* 13 chunks are checked, then added */
        place->lose_get = kind == 0 ? number : 0;
        place->damage_get = kind == 1 ? number : 0;
        struct sim *sim = run(place, &spool, 0);
        assert_true(sim->nodes[SIM_COORDINATOR].aborted);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_SPOOL);
        assert_int_equal(sim_check_sums(sim), 0);
        /* Nothing of it waits for the session to be freed: the next one has the same places. */
        assert_int_equal(sim->aggregator->spool_bytes, 0);
        for (size_t i = 0; i < PLACES; i++) {
            assert_int_equal(place->bytes[i].length, 0);
        }
        sim_free(sim);
        clear(place);
    }
}

/* ---- The next session's uploads lie in the same places */

struct late_vote {
    struct rn_sa_aggregator *earlier;
    struct rn_buffer vote; /* of member 3, which completes the abort certificate of it */
    bool given;
};

/* When the replay of the later session begins. */
static bool vote_late(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct late_vote *late = sim->options.tamper_context;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    (void)from;
    if (to == SIM_COORDINATOR && sim_parse(message).type == RN_SA_AUDIT && !late->given) {
        assert_true(rn_is_ok(rn_sa_aggregator_receive(late->earlier, 3, rn_buffer_view(&late->vote),
                                                      sim->now, &actions, NULL)));
        assert_true(late->earlier->sent[RN_SA_ABORT_CERTIFICATE].length > 0);
        late->given = true;
    }
    return true;
}

/* Members 3 and 4 fall silent: three of four votes for the abort, and 3 holds one back. */
static void call_off(struct sim *sim, struct late_vote *late)
{
    sim->nodes[3].silent_from = sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_int_equal(sim->aggregator->stage, RN_SA_STAGE_ABORTED);
    assert_int_equal(sim->aggregator->sent[RN_SA_ABORT_CERTIFICATE].length, 0);
    assert_int_equal(rn_sa_set_count(&sim->aggregator->for_abort), 3);
    late->earlier = RN_TAKE(sim->aggregator);
    rn_sa_vote_write(&late->earlier->t, 3, RN_SA_VOTE_ABORT, sim->identities[3], &late->vote);
}

/* A late vote certifies the end of an earlier session while the sum of the next one is replayed:
 * the uploads of that one stay where they are. */
static void test_late_vote_of_an_earlier_session(void **state)
{
    (void)state;
    struct late_vote late = {0};
    const struct sim_options options = {.members = 5, .colluding = 1, .losses = 1, .seed = 4};
    struct sim *sim = sim_new(&options);
    call_off(sim, &late);
    sim->context.active = 1;
    sim->options.tamper = vote_late;
    sim->options.tamper_context = &late;
    sim_next_session(sim, 2, 1);
    sim_run(sim, 400000);
    assert_true(late.given);
    assert_int_equal(sim_check_sums(sim), 5);
    rn_sa_aggregator_free(late.earlier);
    rn_buffer_clear(&late.vote);
    sim_free(sim);
}

/* Member 1's upload trickles: a chunk a second at most, so that it is not there when the others
 * have waited for it long enough. */
struct trickle {
    uint64_t next_ms;
    uint32_t chunks;
};

static bool one_a_second(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct trickle *trickle = sim->options.tamper_context;
    (void)to;
    const struct rn_sa_message m = sim_parse(message);
    if (from != 1 || m.type != RN_SA_CHUNK) {
        return m.type != RN_SA_CHUNK || trickle->chunks > 1; /* the slow one comes first */
    }
    if (sim->now < trickle->next_ms) {
        return false;
    }
    trickle->next_ms = sim->now + 1000;
    trickle->chunks++;
    return true;
}

/* case 10. With memory for no, one, three and all uploads and a spool above it: no other waits for
 * the slow one beyond its stage, and it never holds more than the one place, though it was first.
 */
static void test_slowest_peer(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 1, 3, 5};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(places); k++) {
        struct trickle trickle = {.chunks = 0};
        const struct sim_options options = {.members = 5,
                                            .colluding = 1,
                                            .losses = 1,
                                            .elements = 200,
                                            .delay_ms = 300,
                                            .seed = 10,
                                            .tamper = one_a_second,
                                            .tamper_context = &trickle};
        struct place *place = rn_alloc(1, sizeof *place);
        struct rn_sa_spool spool = {place, put, get, drop};
        struct sim *sim = sim_new(&options);
        struct rn_sa_aggregator *a = sim->aggregator;
        const uint64_t limit = places[k] * rn_sa_layout_vector_bytes(&a->t.layout);
        a->config.spool = &spool;
        a->config.spool_bytes_max = limit;
        for (uint32_t n = 0; n < 1600 && !sim->nodes[SIM_COORDINATOR].finished; n++) {
            sim_run(sim, TICK_MS);
            assert_true(a->spool_bytes <= limit);
            /* a tick late at most: the others have what the stage needs */
            assert_true(a->stage != RN_SA_STAGE_UPLOAD ||
                        sim->now <= a->stage_since_ms + sim->params.upload.soft_ms + TICK_MS);
        }
        sim_run(sim, 400000); /* members hear of it */
        assert_true(trickle.chunks > 3 && trickle.chunks < a->t.layout.chunks);
        assert_false(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 1));
        assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, 4);
        assert_true(sim_check_sums(sim) >= 4);
        assert_int_equal(a->spool_bytes, 0);
        sim_free(sim);
        clear(place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_above_memory),
        cmocka_unit_test(test_bad_place),
        cmocka_unit_test(test_broken_while_added),
        cmocka_unit_test(test_late_vote_of_an_earlier_session),
        cmocka_unit_test(test_slowest_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
