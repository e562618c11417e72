/* SPDX-License-Identifier: Apache-2.0
 *
 *     RONDO_ATTACK="shrink@1.1 ..." hostilecoordinator SITE
 *
 * rondo-coordinator with its federation's own keys, whose session machine is not trusted to follow
 * the protocol: what members say to it and what it wants done passes through an attack
 * (-Wl,--wrap). In the sessions that RONDO_ATTACK names (attacks.h) it
 *
 *   shrink   is content with three members, whatever the roster says
 *   split    runs two machines with one session id, each with half of the members
 *   faces    shows either half other survivors, and a certificate of that half's votes
 *   flood    sends whoever is ready hundreds of messages a second, 20 MiB, signed and unsigned
 *   amnesia  offers rounds again that its members say they are through with
 *   forged   announces a sum in which one element differs
 *   twosums  announces the sum to one half of the members, and that one to the other
 *
 * A further attack is a row of the table `attacks`: its act may change, replace and add whatever
 * goes to whomever, and a broadcast of its own is signed with write_broadcast.
 */
#include "attacks.h"

#include <unistd.h>

#include "base/guard.h"
#include "crypto/secagg/aggregator_state.h"
#include "services/cli/kit/program.h"
#include "services/coordinator/coordinatorservice.h"
#include "services/wire/wire.h"

/* How long an attack waits for what no member should send: nothing that an honest one does is cut
 * short by it. */
#define PATIENCE_MS 2000u

struct attack {
    const char *name;
    /* Before the machine starts. */
    void (*prepare)(struct rn_sa_aggregator *a, uint64_t now_ms, struct rn_sa_actions *actions);
    /* A member's message, before the machine sees it; true: the machine shall not see it. */
    bool (*hear)(struct rn_sa_aggregator *a, struct rn_view message, struct rn_sa_actions *actions);
    /* After each call: what the machine wants done now is items[from ...] of the list. */
    void (*act)(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from);
    /* The sum, before anything of it is announced or kept. */
    void (*sum)(struct rn_sa_vector *sum);
};

/* faces: what one half of the members is shown. */
struct face {
    struct rn_sa_set half;
    struct rn_sa_transcript t;
    struct rn_buffer survivors;
    struct rn_buffer votes[RN_SA_MEMBERS_MAX];
    struct rn_sa_set voted;
    bool revealed;
};

/* The session that is under attack. */
static struct {
    const struct attack *attack; /* NULL: none */
    struct rn_sa_aggregator *machine;
    struct rn_sa_aggregator *twin; /* split: with the other half */
    bool told;                     /* shrink, split: the small sets are out */
    uint32_t floor;                /* what it takes for F; 0: the true one */
    struct face faces[2];
    bool faced;
    bool certified;
    uint8_t other_root[RN_HASH_BYTES]; /* twosums: of what the second half is shown */
    bool won;
} here;

void __real_rn_sa_aggregator_start(struct rn_sa_aggregator *a, uint64_t now_ms,
                                   struct rn_sa_actions *out_actions);
void __wrap_rn_sa_aggregator_start(struct rn_sa_aggregator *a, uint64_t now_ms,
                                   struct rn_sa_actions *out_actions);
void __real_rn_sa_aggregator_free(struct rn_sa_aggregator *a);
void __wrap_rn_sa_aggregator_free(struct rn_sa_aggregator *a);
rn_result __real_rn_sa_aggregator_receive(struct rn_sa_aggregator *a, uint32_t from,
                                          struct rn_view message, uint64_t now_ms,
                                          struct rn_sa_actions *out_actions, struct rn_error *err);
rn_result __wrap_rn_sa_aggregator_receive(struct rn_sa_aggregator *a, uint32_t from,
                                          struct rn_view message, uint64_t now_ms,
                                          struct rn_sa_actions *out_actions, struct rn_error *err);
void __real_rn_sa_aggregator_tick(struct rn_sa_aggregator *a, uint64_t now_ms,
                                  struct rn_sa_actions *out_actions);
void __wrap_rn_sa_aggregator_tick(struct rn_sa_aggregator *a, uint64_t now_ms,
                                  struct rn_sa_actions *out_actions);
void __real_rn_sa_aggregator_sum_root(const struct rn_sa_aggregator *a,
                                      uint8_t out[static RN_HASH_BYTES]);
void __wrap_rn_sa_aggregator_sum_root(const struct rn_sa_aggregator *a,
                                      uint8_t out[static RN_HASH_BYTES]);
uint32_t __real_rn_sa_floor(const struct rn_sa_params *params, uint32_t local_minimum);
uint32_t __wrap_rn_sa_floor(const struct rn_sa_params *params, uint32_t local_minimum);
rn_result __real_rn_wire_envelope_decode(struct rn_view bytes, struct rn_wire_envelope *out,
                                         struct rn_error *err);
rn_result __wrap_rn_wire_envelope_decode(struct rn_view bytes, struct rn_wire_envelope *out,
                                         struct rn_error *err);

static void struck(void)
{
    attack_tell("struck", here.attack->name, &here.machine->t.context);
}

static void won(void)
{
    if (!here.won) {
        here.won = true;
        attack_tell("won", here.attack->name, &here.machine->t.context);
    }
}

/* The first or the second half of the roster. */
static struct rn_sa_set half_of(const struct rn_sa_aggregator *a, uint32_t which)
{
    const struct rn_sa_set all = rn_sa_set_first(a->config.params.members);
    const struct rn_sa_set first = rn_sa_set_first(a->config.params.members / 2);
    return which == 0 ? first : rn_sa_set_minus(&all, &first);
}

static bool is_of_type(struct rn_view bytes, enum rn_sa_type type, struct rn_sa_message *out)
{
    return rn_is_ok(rn_sa_message_parse(bytes, out, NULL)) && out->type == type;
}

/* A broadcast under the hash that the transcript ends with. */
static void write_broadcast(const struct rn_sa_aggregator *a, const struct rn_sa_transcript *t,
                            enum rn_sa_type type, struct rn_view body, struct rn_buffer *out)
{
    const struct rn_sa_draft draft = {.type = type,
                                      .sender = RN_SA_COORDINATOR,
                                      .recipient = RN_SA_EVERYONE,
                                      .hash = rn_sa_transcript_hash(t),
                                      .body = body};
    rn_sa_transcript_write(t, &draft, a->config.identity, out);
}

static void send(struct rn_sa_actions *actions, const struct rn_sa_set *to, struct rn_view message)
{
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND);
    action->to = *to;
    rn_buffer_append(&action->bytes, message.data, message.length);
}

/* ---- shrink, split ---- */

/* With the members of one half alone. */
static void shrink_to(struct rn_sa_aggregator *a, uint32_t which)
{
    here.floor = RN_SA_MEMBERS_MIN;
    a->config.excluded = half_of(a, 1 - which);
}

static void shrink(struct rn_sa_aggregator *a, uint64_t now_ms, struct rn_sa_actions *actions)
{
    (void)now_ms;
    (void)actions;
    shrink_to(a, 0);
    struck();
}

/* The twin lives in no journal and no log: what it sends to its half is all that is seen of it. */
static void take_twins(struct rn_sa_actions *actions, const struct rn_sa_actions *twins)
{
    for (size_t i = 0; i < twins->count; i++) {
        if (twins->items[i].kind == RN_SA_SEND) {
            const struct rn_sa_set to =
                rn_sa_set_minus(&twins->items[i].to, &here.twin->config.excluded);
            send(actions, &to, rn_buffer_view(&twins->items[i].bytes));
        }
    }
}

static void split(struct rn_sa_aggregator *a, uint64_t now_ms, struct rn_sa_actions *actions)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) twins = {0};
    const rn_result made = rn_sa_aggregator_new(&a->config, &here.twin, NULL);
    RN_BUG_IF(!rn_is_ok(made)); /* its brother was made from the same values */
    shrink_to(a, 0);
    shrink_to(here.twin, 1);
    __real_rn_sa_aggregator_start(here.twin, now_ms, &twins); /* byte for byte the same offer */
    take_twins(actions, &twins);
    struck();
}

/* Once all have been told of their small session their shares are waited for, for so long. */
static void be_patient(struct rn_sa_aggregator *a)
{
    const bool told = a->stage >= RN_SA_STAGE_SHARES &&
                      (here.twin == NULL || here.twin->stage >= RN_SA_STAGE_SHARES);
    if (told && !here.told) {
        here.told = true;
        a->config.params.shares.hard_ms = a->now_ms - a->stage_since_ms + PATIENCE_MS;
    }
}

/* The twin's time passes, and it ends, with the machine that the service knows. */
static void tick_twin(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) twins = {0};
    if (a->stage == RN_SA_STAGE_ABORTED) {
        rn_sa_aggregator_abort(here.twin, a->now_ms, &twins);
    } else {
        __real_rn_sa_aggregator_tick(here.twin, a->now_ms, &twins);
    }
    take_twins(actions, &twins);
}

static void keep_apart(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    for (size_t i = from; i < actions->count; i++) {
        struct rn_sa_action *action = &actions->items[i];
        action->to = rn_sa_set_minus(&action->to, &a->config.excluded);
    }
    if (here.twin != NULL) {
        tick_twin(a, actions);
    }
    be_patient(a);
    if (a->t.level == RN_SA_LEVEL_RESULT &&
        (here.twin == NULL || here.twin->t.level == RN_SA_LEVEL_RESULT)) {
        won();
    }
}

/* What the other half says is for the other machine. */
static bool hear_apart(struct rn_sa_aggregator *a, struct rn_view message,
                       struct rn_sa_actions *actions)
{
    struct rn_sa_message m;
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) twins = {0};
    if (here.twin == NULL || !rn_is_ok(rn_sa_message_parse(message, &m, NULL)) ||
        !rn_sa_set_has(&a->config.excluded, m.sender)) {
        return false;
    }
    (void)rn_is_ok(
        __real_rn_sa_aggregator_receive(here.twin, m.sender, message, a->now_ms, &twins, NULL));
    take_twins(actions, &twins);
    return true;
}

/* ---- faces ---- */

/* The second half is told that the first member is lost. */
static void make_faces(const struct rn_sa_aggregator *a)
{
    for (uint32_t which = 0; which < 2; which++) {
        struct face *face = &here.faces[which];
        struct rn_sa_set survivors = a->complete;
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        if (which == 1) {
            rn_sa_set_remove(&survivors, 0);
        }
        face->half = half_of(a, which);
        face->t = a->t;
        rn_sa_survivors_write(a->inbox[RN_SA_DONE], &survivors, &body);
        const rn_result allowed = rn_sa_survivors_apply(&face->t, rn_buffer_view(&body), NULL);
        RN_BUG_IF(!rn_is_ok(allowed));
        write_broadcast(a, &face->t, RN_SA_SURVIVORS, rn_buffer_view(&body), &face->survivors);
    }
    here.faced = true;
    struck();
}

static void show_faces(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    struct rn_sa_message m;
    for (size_t i = from, count = actions->count; i < count; i++) {
        if (actions->items[i].kind != RN_SA_SEND ||
            !is_of_type(rn_buffer_view(&actions->items[i].bytes), RN_SA_SURVIVORS, &m)) {
            continue;
        }
        if (!here.faced) {
            make_faces(a);
        }
        const struct rn_sa_set to = actions->items[i].to;
        for (uint32_t which = 0; which < 2; which++) {
            const struct rn_sa_set half = rn_sa_set_both(&to, &here.faces[which].half);
            send(actions, &half, rn_buffer_view(&here.faces[which].survivors));
        }
        actions->items[i].to = (struct rn_sa_set){{0}};
    }
}

/* Both certificates go to everybody: the own half's, and the other's, which contradicts it. */
static void certify_faces(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    for (uint32_t which = 0; which < 2; which++) {
        struct face *face = &here.faces[which];
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
        rn_sa_votes_write(face->votes, &face->voted, &body);
        write_broadcast(a, &face->t, RN_SA_CERTIFICATE, rn_buffer_view(&body), &message);
        send(actions, &a->t.joined, rn_buffer_view(&message));
    }
    here.certified = true;
    a->config.params.vote.hard_ms = a->now_ms - a->stage_since_ms + PATIENCE_MS;
}

static bool hear_faces(struct rn_sa_aggregator *a, struct rn_view message,
                       struct rn_sa_actions *actions)
{
    struct rn_sa_message m;
    if (!here.faced || !rn_is_ok(rn_sa_message_parse(message, &m, NULL))) {
        return false;
    }
    for (uint32_t which = 0; which < 2; which++) {
        struct face *face = &here.faces[which];
        if (m.type == RN_SA_REVEAL && memcmp(m.transcript, face->t.t2, RN_HASH_BYTES) == 0) {
            face->revealed = true;
        } else if (m.type == RN_SA_VOTE && m.body.length == RN_SA_VOTE_BODY &&
                   !rn_sa_set_has(&face->voted, m.sender) &&
                   memcmp(m.body.data + 4, face->t.t2, RN_HASH_BYTES) == 0) {
            rn_buffer_append(&face->votes[m.sender], message.data, message.length);
            rn_sa_set_add(&face->voted, m.sender);
        }
    }
    if (!here.certified && rn_sa_set_equal(&here.faces[0].voted, &here.faces[0].half) &&
        rn_sa_set_equal(&here.faces[1].voted, &here.faces[1].half)) {
        certify_faces(a, actions);
    }
    if (here.faces[0].revealed && here.faces[1].revealed) {
        won();
    }
    return m.type == RN_SA_VOTE || m.type == RN_SA_REVEAL;
}

/* ---- flood ---- */

/* Of each kind to each member at once: below what one stream holds (RN_RPC_QUEUE_MESSAGES_MAX), so
 * that what the round needs still finds room. */
#define BURST 24u
#define LARGE 4u
#define LARGE_BYTES (1u << 20)
#define NO_ATTEMPT 4711u /* not the round's: who refuses that one would be taken at its word */
#define FLOOD_MS 200u
/* Bursts to all but one of the members, 160 MiB to each, after which the log says so and the large
 * messages end. */
#define ENOUGH 40u

static void flood_once(const struct rn_sa_aggregator *a, const struct rn_sa_set *to, uint32_t count,
                       struct rn_sa_actions *actions)
{
    static uint8_t nonce[32];
    struct rn_sa_transcript t = a->t;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    send(actions, to, rn_buffer_view(&a->sent[RN_SA_OFFER])); /* once more, and once more */
    send(actions, to, rn_view_of(a->sent[RN_SA_OFFER].data, 1 + count % 150));
    memcpy(nonce, &count, sizeof count);
    t.context.attempt = NO_ATTEMPT;
    rn_sa_transcript_start(&t, nonce); /* a session that there is not */
    rn_sa_offer_write(&t, nonce, a->config.identity, &message);
    send(actions, to, rn_buffer_view(&message));
    write_broadcast(a, &t, RN_SA_ABORT_CERTIFICATE, rn_view_of(NULL, 0), &message);
    send(actions, to, rn_buffer_view(&message));
    write_broadcast(a, &a->t, RN_SA_SUM_CHUNK, rn_view_of(nonce, sizeof nonce), &message);
    send(actions, to, rn_buffer_view(&message)); /* signed, and no chunk of any sum */
    message.data[RN_SA_ENVELOPE_BYTES - 1] ^= 1;
    send(actions, to, rn_buffer_view(&message)); /* not even signed */
}

static void flood(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    static const uint8_t zeros[LARGE_BYTES];
    static uint32_t count;
    static uint32_t bursts;
    static uint64_t last_ms;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) large = {0};
    (void)from;
    if (a->now_ms - last_ms < FLOOD_MS) {
        return;
    }
    last_ms = a->now_ms;
    bursts += rn_sa_set_count(&a->got[RN_SA_READY]) + 1 >= a->config.params.members;
    if (bursts == ENOUGH) {
        attack_tell("flooded", here.attack->name, &a->t.context);
    }
    if (count == 0) {
        struck();
    }
    const struct rn_sa_set to = a->got[RN_SA_READY]; /* others would train for a new offer */
    for (uint32_t k = 0; k < BURST; k++) {
        flood_once(a, &to, count++, actions);
    }
    write_broadcast(a, &a->t, RN_SA_SUM_CHUNK, rn_view_of(zeros, sizeof zeros), &large);
    for (uint32_t k = 0; k < LARGE && bursts <= ENOUGH; k++) {
        send(actions, &to, rn_buffer_view(&large));
    }
}

/* ---- forged, twosums ---- */

static void flip_first(struct rn_sa_vector *sum)
{
    if (sum->layout.lane_bytes == 4) {
        ((uint32_t *)sum->lanes)[0] ^= 1;
    } else {
        ((uint64_t *)sum->lanes)[0] ^= 1;
    }
}

/* In place of the right one everywhere: root, chunks, journal, the coordinator's own adapter. */
static void forge(struct rn_sa_vector *sum)
{
    flip_first(sum);
    struck();
}

/* The sum is held out until the file RONDO_ATTACK_UNTIL is there: members take their time to look
 * at it. */
static void hold_out(struct rn_sa_aggregator *a)
{
    const char *until = getenv("RONDO_ATTACK_UNTIL");
    if (until != NULL && access(until, F_OK) == 0) {
        a->config.params.receipts.hard_ms = a->config.params.receipts.soft_ms = 0;
    }
}

static void count_receipts(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    (void)actions;
    (void)from;
    hold_out(a);
    if (rn_sa_set_count(&a->got[RN_SA_RECEIPT]) >= a->config.params.colluding + 1) {
        won(); /* an honest member stands for it */
    }
}

/* A Result that names the root of the other sum. */
static void write_other_result(struct rn_sa_aggregator *a, struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    flip_first(&a->vector);
    __real_rn_sa_aggregator_sum_root(a, here.other_root);
    flip_first(&a->vector);
    rn_sa_result_write(&a->t, here.other_root, a->secrets, rn_view_of(NULL, 0), &body);
    write_broadcast(a, &a->t, RN_SA_RESULT, rn_buffer_view(&body), out);
}

/* The first chunk is the one that differs. */
static void send_other_sum(struct rn_sa_aggregator *a, const struct rn_sa_set *to,
                           struct rn_sa_actions *actions)
{
    for (uint32_t i = 0; i < a->t.layout.chunks; i++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
        flip_first(&a->vector);
        const rn_result made = rn_sa_aggregator_chunk(a, i, &message, NULL);
        flip_first(&a->vector);
        RN_BUG_IF(!rn_is_ok(made)); /* the Result is out */
        send(actions, to, rn_buffer_view(&message));
    }
}

/* What item i of the list brings the second half of the members is replaced. */
static void show_other_sum(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t i)
{
    struct rn_sa_message m;
    struct rn_sa_action *action = &actions->items[i];
    const struct rn_sa_set second = half_of(a, 1);
    const struct rn_sa_set to = rn_sa_set_both(&action->to, &second);
    const bool bulk = action->kind == RN_SA_SEND_BULK && action->chunks == a->t.layout.chunks;
    const bool result =
        action->kind == RN_SA_SEND && is_of_type(rn_buffer_view(&action->bytes), RN_SA_RESULT, &m);
    if (rn_sa_set_empty(&to) || (!bulk && !result)) {
        return;
    }
    action->to = rn_sa_set_minus(&action->to, &second);
    if (bulk) {
        send_other_sum(a, &to, actions);
        return;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    write_other_result(a, &message);
    send(actions, &to, rn_buffer_view(&message));
    struck();
}

static void show_two_sums(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    for (size_t i = from, count = actions->count; i < count; i++) {
        show_other_sum(a, actions, i);
    }
    hold_out(a);
}

/* A receipt for the other sum. */
static bool hear_two_sums(struct rn_sa_aggregator *a, struct rn_view message,
                          struct rn_sa_actions *actions)
{
    struct rn_sa_message m;
    (void)a;
    (void)actions;
    if (is_of_type(message, RN_SA_RECEIPT, &m) && m.body.length == RN_SA_RECEIPT_BODY &&
        memcmp(m.body.data, here.other_root, RN_HASH_BYTES) == 0) {
        won();
    }
    return false;
}

/* ---- The table ---- */

static void forget(struct rn_sa_aggregator *a, uint64_t now_ms, struct rn_sa_actions *actions)
{
    (void)now_ms;
    (void)actions;
    a->config.params.ready.hard_ms = PATIENCE_MS / 4; /* six sessions of it end a job */
    struck();
}

static void await_ready(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    (void)actions;
    (void)from;
    if (!rn_sa_set_empty(&a->got[RN_SA_READY])) {
        won();
    }
}

static const struct attack attacks[] = {
    {.name = "shrink", .prepare = shrink, .hear = hear_apart, .act = keep_apart},
    {.name = "split", .prepare = split, .hear = hear_apart, .act = keep_apart},
    {.name = "faces", .hear = hear_faces, .act = show_faces},
    {.name = "flood", .act = flood},
    {.name = "amnesia", .prepare = forget, .act = await_ready},
    {.name = "forged", .act = count_receipts, .sum = forge},
    {.name = "twosums", .hear = hear_two_sums, .act = show_two_sums},
};

/* ---- The machine's calls ---- */

static void leave(void)
{
    __real_rn_sa_aggregator_free(here.twin);
    for (uint32_t which = 0; which < 2; which++) {
        rn_buffer_clear(&here.faces[which].survivors);
        for (uint32_t i = 0; i < RN_SA_MEMBERS_MAX; i++) {
            rn_buffer_clear(&here.faces[which].votes[i]);
        }
    }
    memset(&here, 0, sizeof here);
}

void __wrap_rn_sa_aggregator_start(struct rn_sa_aggregator *a, uint64_t now_ms,
                                   struct rn_sa_actions *out_actions)
{
    leave();
    for (size_t i = 0; i < RN_ARRAY_LENGTH(attacks); i++) {
        if (attack_strikes(attacks[i].name, &a->t.context)) {
            here.attack = &attacks[i];
            here.machine = a;
        }
    }
    if (here.attack != NULL && here.attack->prepare != NULL) {
        here.attack->prepare(a, now_ms, out_actions);
    }
    const size_t from = out_actions->count;
    __real_rn_sa_aggregator_start(a, now_ms, out_actions);
    if (here.attack != NULL) {
        here.attack->act(a, out_actions, from);
    }
}

static bool attacked(const struct rn_sa_aggregator *a)
{
    return here.attack != NULL && here.machine == a;
}

rn_result __wrap_rn_sa_aggregator_receive(struct rn_sa_aggregator *a, uint32_t from,
                                          struct rn_view message, uint64_t now_ms,
                                          struct rn_sa_actions *out_actions, struct rn_error *err)
{
    if (attacked(a) && here.attack->hear != NULL && here.attack->hear(a, message, out_actions)) {
        return rn_ok();
    }
    const size_t before = out_actions->count;
    const rn_result result =
        __real_rn_sa_aggregator_receive(a, from, message, now_ms, out_actions, err);
    if (attacked(a)) {
        here.attack->act(a, out_actions, before);
    }
    return result;
}

void __wrap_rn_sa_aggregator_tick(struct rn_sa_aggregator *a, uint64_t now_ms,
                                  struct rn_sa_actions *out_actions)
{
    const size_t from = out_actions->count;
    __real_rn_sa_aggregator_tick(a, now_ms, out_actions);
    if (attacked(a)) {
        here.attack->act(a, out_actions, from);
    }
}

void __wrap_rn_sa_aggregator_free(struct rn_sa_aggregator *a)
{
    if (a != NULL && here.machine == a) {
        leave();
    }
    __real_rn_sa_aggregator_free(a);
}

void __wrap_rn_sa_aggregator_sum_root(const struct rn_sa_aggregator *a,
                                      uint8_t out[static RN_HASH_BYTES])
{
    if (attacked(a) && here.attack->sum != NULL) {
        here.attack->sum(&here.machine->vector);
    }
    __real_rn_sa_aggregator_sum_root(a, out);
}

uint32_t __wrap_rn_sa_floor(const struct rn_sa_params *params, uint32_t local_minimum)
{
    return here.floor != 0 ? here.floor : __real_rn_sa_floor(params, local_minimum);
}

/* Nobody is ahead of a coordinator that has lost its memory. */
rn_result __wrap_rn_wire_envelope_decode(struct rn_view bytes, struct rn_wire_envelope *out,
                                         struct rn_error *err)
{
    const rn_result result = __real_rn_wire_envelope_decode(bytes, out, err);
    if (rn_is_ok(result) && out->body == RN_WIRE_HELLO &&
        strstr(attacks_ordered(), "amnesia@") != NULL) {
        out->as.hello.next_round = 1;
    }
    return result;
}

int main(int argc, char **argv)
{
    const char *names[RN_ARRAY_LENGTH(attacks) + 1] = {NULL};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(attacks); i++) {
        names[i] = attacks[i].name;
    }
    if (!attacks_known(names)) {
        (void)fprintf(stderr, "hostilecoordinator: unknown attack in '%s'\n", attacks_ordered());
        return 64;
    }
    return rn_program_main(&rn_program_coordinator, argc, argv);
}
