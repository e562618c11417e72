/* SPDX-License-Identifier: Apache-2.0
 *
 * case 40. After every way out of a session no secret of the member is left anywhere in the memory
 * of its process: every writable mapping is searched, dead stack and freed heap too. (The simulator
 * has all members and the coordinator in one process: what is searched for is what none of them may
 * hold then.)
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/member_state.h"

#define MEMBERS 5u
#define VICTIM 0u
#define SECRETS_MAX 64u
#define VEIL 0xa5u

/* Kept veiled, so that the search does not find its own notes. */
struct notes {
    struct {
        const char *name;
        uint8_t veiled[32];
    } items[SECRETS_MAX];
    size_t count;
    bool taken;
    enum rn_sa_type lose; /* messages of the victim that are lost; 0: none */
    bool lose_votes;
    bool free_then;
    bool everything; /* its own b and shares of b too: the session ends without opening any */
    bool follows;    /* the victim is lost: its s is opened, its b is not */
};

static void note(struct notes *notes, const char *name, const void *secret)
{
    assert_true(notes->count < SECRETS_MAX);
    notes->items[notes->count].name = name;
    for (size_t i = 0; i < 32; i++) {
        notes->items[notes->count].veiled[i] =
            (uint8_t)(((const volatile uint8_t *)secret)[i] ^ VEIL);
    }
    notes->count++;
}

static void take_notes(struct notes *notes, const struct rn_sa_member *m)
{
    const struct rn_sa_vault *vault = m->vault;
    notes->taken = true;
    note(notes, "channel key", vault->session.channel.bytes);
    if (!notes->follows) {
        note(notes, "mask key s", vault->session.mask_secret.bytes);
    }
    if (notes->everything || notes->follows) {
        note(notes, "self seed b", vault->session.self_seed.bytes);
    }
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct rn_sa_slot *slot = &vault->session.slots[i];
        assert_int_equal(slot->state, RN_SA_SLOT_BOTH);
        note(notes, "share of s", slot->share_s.bytes);
        if (notes->everything || notes->follows) {
            note(notes, "share of b", slot->share_b.bytes);
        }
    }
}

static bool watch(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct notes *notes = sim->options.tamper_context;
    const enum rn_sa_type type = sim_parse(message).type;
    (void)to;
    if (from == VICTIM && type == RN_SA_ACK && !notes->taken) {
        take_notes(notes, sim->members[VICTIM]);
    }
    return !(from == VICTIM && type == notes->lose) && !(type == RN_SA_VOTE && notes->lose_votes);
}

/* ---- The search */

static uint8_t needle[32]; /* found once, where it is */

static const char *search_mapping(const struct notes *notes, const uint8_t *from, size_t size)
{
    for (size_t k = 0; k < notes->count; k++) {
        for (size_t i = 0; i < sizeof needle; i++) {
            needle[i] = (uint8_t)(notes->items[k].veiled[i] ^ VEIL);
        }
        const uint8_t *at = from;
        const uint8_t *hit = NULL;
        while ((hit = memmem(at, size - (size_t)(at - from), needle, sizeof needle)) != NULL) {
            if (hit != needle) {
                rn_secret_wipe(needle, sizeof needle);
                return notes->items[k].name;
            }
            at = hit + 1;
        }
    }
    rn_secret_wipe(needle, sizeof needle);
    return NULL;
}

/* Name of a secret that is somewhere, or NULL. */
static const char *search(const struct notes *notes)
{
    const char *found = NULL;
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    assert_non_null(maps);
    while (found == NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from = 0;
        unsigned long to = 0;
        char rights[5] = "";
        if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) == 3 && strncmp(rights, "rw", 2) == 0) {
            found = search_mapping(notes, (const uint8_t *)from, to - from);
        }
    }
    (void)fclose(maps);
    return found;
}

static void check_gone(struct notes *notes)
{
    assert_true(notes->taken);
    const char *found = search(notes);
    if (found != NULL) {
        fail_msg("%s is still in memory", found);
    }
}

/* ---- Ways out */

/* Each test has secrets of its own: what one opened may still lie in freed memory in the next. */
static struct sim *session_with(struct notes *notes, uint64_t seed)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their own memory may not be read */
#endif
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = seed,
                                        .delay_ms = 300,
                                        .tamper = watch,
                                        .tamper_context = notes};
    return sim_new(&options);
}

/* case 40 */
static void test_after_finish(void **state)
{
    (void)state;
    struct notes notes = {.count = 0};
    struct sim *sim = session_with(&notes, 1);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), MEMBERS);
    check_gone(&notes);
    sim_free(sim);
}

/* case 3, case 40 */
static void test_after_abort(void **state)
{
    (void)state;
    struct notes notes = {.lose_votes = true, .everything = true};
    struct sim *sim = session_with(&notes, 2);
    sim_run(sim, 400000);
    assert_true(sim->nodes[VICTIM].aborted);
    check_gone(&notes);
    sim_free(sim);
}

/* case 40 */
static void test_after_following(void **state)
{
    (void)state;
    struct notes notes = {.lose = RN_SA_DONE, .follows = true};
    struct sim *sim = session_with(&notes, 3);
    sim_run(sim, 400000);
    assert_true(sim->nodes[VICTIM].following);
    check_gone(&notes);
    sim_free(sim);
}

/* case 40. All processes end in the middle of the session. */
static void test_after_free(void **state)
{
    (void)state;
    struct notes notes = {.everything = true};
    struct sim *sim = session_with(&notes, 4);
    while (!notes.taken) {
        sim_run(sim, 1);
    }
    assert_non_null(search(&notes)); /* the search finds what is there */
    sim_free(sim);
    check_gone(&notes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_finish),
        cmocka_unit_test(test_after_abort),
        cmocka_unit_test(test_after_following),
        cmocka_unit_test(test_after_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
