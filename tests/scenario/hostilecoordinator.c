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
 *   loglies  tells the federation's log that one member more was in the sum than was
 *   twosums  announces the sum to one half of the members, and that one to the other
 *
 * A further attack is a row of the table `attacks` (hostile.h): its act may change, replace and add
 * whatever goes to whomever, and a broadcast of its own is signed with write_broadcast.
 */
#include "attacks.h"

#include "base/guard.h"
#include "services/cli/kit/program.h"
#include "services/coordinator/coordinatorservice.h"
#include "services/wire/wire.h"
#include "tests/scenario/hostile.h"

struct attacked attacked;

void __wrap_rn_sa_aggregator_start(struct rn_sa_aggregator *a, uint64_t now_ms,
                                   struct rn_sa_actions *out_actions);
void __wrap_rn_sa_aggregator_free(struct rn_sa_aggregator *a);
rn_result __wrap_rn_sa_aggregator_receive(struct rn_sa_aggregator *a, uint32_t from,
                                          struct rn_view message, uint64_t now_ms,
                                          struct rn_sa_actions *out_actions, struct rn_error *err);
void __wrap_rn_sa_aggregator_tick(struct rn_sa_aggregator *a, uint64_t now_ms,
                                  struct rn_sa_actions *out_actions);
void __wrap_rn_sa_aggregator_sum_root(const struct rn_sa_aggregator *a,
                                      uint8_t out[static RN_HASH_BYTES]);
uint32_t __wrap_rn_sa_floor(const struct rn_sa_params *params, uint32_t local_minimum);
rn_result __wrap_rn_wire_envelope_decode(struct rn_view bytes, struct rn_wire_envelope *out,
                                         struct rn_error *err);
uint32_t __real_rn_sa_floor(const struct rn_sa_params *params, uint32_t local_minimum);
rn_result __real_rn_wire_envelope_decode(struct rn_view bytes, struct rn_wire_envelope *out,
                                         struct rn_error *err);

/* ---- What attacks are made of ---- */

void struck(void)
{
    attack_tell("struck", attacked.attack->name, &attacked.machine->t.context);
}

void won(void)
{
    if (!attacked.won) {
        attacked.won = true;
        attack_tell("won", attacked.attack->name, &attacked.machine->t.context);
    }
}

struct rn_sa_set half_of(const struct rn_sa_aggregator *a, uint32_t which)
{
    const struct rn_sa_set all = rn_sa_set_first(a->config.params.members);
    const struct rn_sa_set first = rn_sa_set_first(a->config.params.members / 2);
    return which == 0 ? first : rn_sa_set_minus(&all, &first);
}

bool is_of_type(struct rn_view bytes, enum rn_sa_type type, struct rn_sa_message *out)
{
    return rn_is_ok(rn_sa_message_parse(bytes, out, NULL)) && out->type == type;
}

void write_broadcast(const struct rn_sa_aggregator *a, const struct rn_sa_transcript *t,
                     enum rn_sa_type type, struct rn_view body, struct rn_buffer *out)
{
    const struct rn_sa_draft draft = {.type = type,
                                      .sender = RN_SA_COORDINATOR,
                                      .recipient = RN_SA_EVERYONE,
                                      .hash = rn_sa_transcript_hash(t),
                                      .body = body};
    rn_sa_transcript_write(t, &draft, a->config.identity, out);
}

void send_to(struct rn_sa_actions *actions, const struct rn_sa_set *to, struct rn_view message)
{
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND);
    action->to = *to;
    rn_buffer_append(&action->bytes, message.data, message.length);
}

/* ---- amnesia ---- */

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

static const struct attack attack_amnesia = {
    .name = "amnesia", .prepare = forget, .act = await_ready};

static const struct attack *const attacks[] = {
    &attack_shrink,  &attack_split,  &attack_faces,   &attack_flood,
    &attack_amnesia, &attack_forged, &attack_twosums, &attack_loglies,
};

/* ---- The machine's calls ---- */

static void leave(void)
{
    if (attacked.attack != NULL && attacked.attack->leave != NULL) {
        attacked.attack->leave();
    }
    attacked = (struct attacked){0};
}

void __wrap_rn_sa_aggregator_start(struct rn_sa_aggregator *a, uint64_t now_ms,
                                   struct rn_sa_actions *out_actions)
{
    leave();
    for (size_t i = 0; i < RN_ARRAY_LENGTH(attacks); i++) {
        if (attack_strikes(attacks[i]->name, &a->t.context)) {
            attacked.attack = attacks[i];
            attacked.machine = a;
        }
    }
    if (attacked.attack != NULL && attacked.attack->prepare != NULL) {
        attacked.attack->prepare(a, now_ms, out_actions);
    }
    const size_t from = out_actions->count;
    __real_rn_sa_aggregator_start(a, now_ms, out_actions);
    if (attacked.attack != NULL) {
        attacked.attack->act(a, out_actions, from);
    }
}

static bool is_attacked(const struct rn_sa_aggregator *a)
{
    return attacked.attack != NULL && attacked.machine == a;
}

rn_result __wrap_rn_sa_aggregator_receive(struct rn_sa_aggregator *a, uint32_t from,
                                          struct rn_view message, uint64_t now_ms,
                                          struct rn_sa_actions *out_actions, struct rn_error *err)
{
    if (is_attacked(a) && attacked.attack->hear != NULL &&
        attacked.attack->hear(a, message, out_actions)) {
        return rn_ok();
    }
    const size_t before = out_actions->count;
    const rn_result result =
        __real_rn_sa_aggregator_receive(a, from, message, now_ms, out_actions, err);
    if (is_attacked(a)) {
        attacked.attack->act(a, out_actions, before);
    }
    return result;
}

void __wrap_rn_sa_aggregator_tick(struct rn_sa_aggregator *a, uint64_t now_ms,
                                  struct rn_sa_actions *out_actions)
{
    const size_t from = out_actions->count;
    __real_rn_sa_aggregator_tick(a, now_ms, out_actions);
    if (is_attacked(a)) {
        attacked.attack->act(a, out_actions, from);
    }
}

void __wrap_rn_sa_aggregator_free(struct rn_sa_aggregator *a)
{
    if (a != NULL && attacked.machine == a) {
        leave();
    }
    __real_rn_sa_aggregator_free(a);
}

void __wrap_rn_sa_aggregator_sum_root(const struct rn_sa_aggregator *a,
                                      uint8_t out[static RN_HASH_BYTES])
{
    if (is_attacked(a) && attacked.attack->sum != NULL) {
        attacked.attack->sum(&attacked.machine->vector);
    }
    __real_rn_sa_aggregator_sum_root(a, out);
}

uint32_t __wrap_rn_sa_floor(const struct rn_sa_params *params, uint32_t local_minimum)
{
    return attacked.floor != 0 ? attacked.floor : __real_rn_sa_floor(params, local_minimum);
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
        names[i] = attacks[i]->name;
    }
    if (!attacks_known(names)) {
        (void)fprintf(stderr, "hostilecoordinator: unknown attack in '%s'\n", attacks_ordered());
        return 64;
    }
    return rn_program_main(&rn_program_coordinator, argc, argv);
}
