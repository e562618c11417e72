/* SPDX-License-Identifier: Apache-2.0
 *
 * For the fuzz targets of secure aggregation: a small session whose messages are known beforehand.
 * All seeds are fixed, so a machine fed the same messages makes the same ones again; the input of a
 * target says which message comes when, and what is changed in it before its sender signs it.
 */
#ifndef RN_TESTS_SECAGGWORLD_H
#define RN_TESTS_SECAGGWORLD_H

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/identity.h"
#include "crypto/roster.h"
#include "crypto/secagg/aggregator.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secagg/member.h"
#include "crypto/secagg/spent.h"

#include <string.h>

#define WORLD_MEMBERS 4u
#define WORLD_MESSAGES_MAX 256u

/* A message of the honest run. */
struct world_message {
    uint32_t from, to; /* WORLD_MEMBERS is the coordinator */
    struct rn_buffer bytes;
};

struct world {
    struct rn_roster roster;
    struct rn_identity *identities[WORLD_MEMBERS + 1];
    struct rn_sa_params params;
    struct rn_sa_context context;
    struct world_message messages[WORLD_MESSAGES_MAX];
    size_t count;
};

static rn_result world_read(void *context, uint64_t first, uint32_t count, uint64_t *out,
                            struct rn_error *err)
{
    (void)context;
    (void)err;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (first + i) * 7 % 1000;
    }
    return rn_ok();
}

static struct rn_sa_member *world_member(struct world *world, uint32_t i, struct rn_sa_spent *spent)
{
    struct rn_secret32 seed = {{0}};
    seed.bytes[0] = (uint8_t)(i + 1);
    const struct rn_sa_member_config config = {
        .identity = world->identities[i],
        .self = i,
        .params = world->params,
        .context = world->context,
        .spent = spent,
        .seed = &seed,
        .input = {world_read, NULL},
    };
    struct rn_sa_member *member = NULL;
    const rn_result made = rn_sa_member_new(&config, &member, NULL);
    RN_BUG_IF(!rn_is_ok(made));
    return member;
}

static struct rn_sa_aggregator_config world_aggregator(const struct world *world)
{
    return (struct rn_sa_aggregator_config){
        .identity = world->identities[WORLD_MEMBERS],
        .params = world->params,
        .context = world->context,
        .nonce = {42},
    };
}

static void world_keep(struct world *world, uint32_t from, uint32_t to, struct rn_view bytes)
{
    RN_BUG_IF(world->count == WORLD_MESSAGES_MAX);
    struct world_message *message = &world->messages[world->count++];
    *message = (struct world_message){.from = from, .to = to};
    rn_buffer_append(&message->bytes, bytes.data, bytes.length);
}

/* Does what a member's service does; every message it sends is appended to world when keep. */
static void world_serve(struct world *world, uint32_t i, struct rn_sa_member *member,
                        struct rn_sa_actions *actions, bool keep)
{
    for (size_t k = 0; k < actions->count; k++) {
        const struct rn_sa_action *action = &actions->items[k];
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) more = {0};
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) chunk = {0};
        switch (action->kind) {
        case RN_SA_SEND:
            if (keep) {
                world_keep(world, i, WORLD_MEMBERS, rn_buffer_view(&action->bytes));
            }
            break;
        case RN_SA_WANT_INPUT:
            (void)!rn_is_ok(rn_sa_member_input(member, 0, &more, NULL));
            break;
        case RN_SA_SEND_BULK:
            for (uint32_t c = 0; c < action->chunks; c++) {
                if (rn_sa_action_wants(action, c) &&
                    rn_is_ok(rn_sa_member_chunk(member, c, &chunk, NULL)) && keep) {
                    world_keep(world, i, WORLD_MEMBERS, rn_buffer_view(&chunk));
                }
            }
            (void)!rn_is_ok(rn_sa_member_bulk_sent(member, 0, &more, NULL));
            break;
        case RN_SA_SUM: {
            const uint8_t adapter[RN_HASH_BYTES] = {1};
            (void)!rn_is_ok(rn_sa_member_adapter(member, adapter, 0, &more, NULL));
            break;
        }
        case RN_SA_APPLY: {
            const uint8_t adapter[RN_HASH_BYTES] = {1};
            (void)!rn_is_ok(rn_sa_member_applied(member, adapter, 0, &more, NULL));
            break;
        }
        default:
            break;
        }
        if (more.count > 0) {
            world_serve(world, i, member, &more, keep);
        }
    }
}

static void world_broadcast(struct world *world, struct rn_sa_aggregator *aggregator,
                            const struct rn_sa_actions *actions)
{
    for (size_t k = 0; k < actions->count; k++) {
        const struct rn_sa_action *action = &actions->items[k];
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) chunk = {0};
        for (uint32_t to = 0; to < WORLD_MEMBERS; to++) {
            if (!rn_sa_set_has(&action->to, to)) {
                continue;
            }
            if (action->kind == RN_SA_SEND) {
                world_keep(world, WORLD_MEMBERS, to, rn_buffer_view(&action->bytes));
            }
            if (action->kind == RN_SA_SEND_SHARES &&
                rn_is_ok(rn_sa_aggregator_share_set(aggregator, to, &chunk, NULL))) {
                world_keep(world, WORLD_MEMBERS, to, rn_buffer_view(&chunk));
            }
            for (uint32_t c = 0; action->kind == RN_SA_SEND_BULK && c < action->chunks; c++) {
                if (rn_sa_action_wants(action, c) &&
                    rn_is_ok(rn_sa_aggregator_chunk(aggregator, c, &chunk, NULL))) {
                    world_keep(world, WORLD_MEMBERS, to, rn_buffer_view(&chunk));
                }
            }
        }
    }
}

static void world_setup(struct world *world)
{
    (void)rn_text_format(world->roster.federation, sizeof world->roster.federation, "fuzz");
    world->roster.count = WORLD_MEMBERS;
    for (uint32_t i = 0; i <= WORLD_MEMBERS; i++) {
        struct rn_secret32 seed = {{(uint8_t)(100 + i)}};
        world->identities[i] = rn_identity_from_seed(&seed);
        const struct rn_identity_public key = *rn_identity_public_of(world->identities[i]);
        if (i == WORLD_MEMBERS) {
            world->roster.coordinator = key;
            break;
        }
        struct rn_roster_member *member = &world->roster.members[i];
        (void)rn_text_format(member->name, sizeof member->name, "site-%u", i);
        member->key = key;
    }
    const struct rn_sa_timeout quick = {30000, 120000};
    world->params = (struct rn_sa_params){.members = WORLD_MEMBERS,
                                          .colluding = 1,
                                          .losses = 1,
                                          .honest = 2,
                                          .value_max = 1000,
                                          .chunk_elements = 3,
                                          .ready = {3600000, 86400000},
                                          .shares = quick,
                                          .acks = quick,
                                          .upload = {600000, 1800000},
                                          .vote = quick,
                                          .unmask = quick,
                                          .receipts = quick,
                                          .retry_ms = 15000};
    world->context = (struct rn_sa_context){
        .roster = &world->roster, .round = 1, .attempt = 1, .active = 1, .elements = 5};
}

/* The honest run, once: every message in the order in which it was sent. */
static void world_run(struct world *world)
{
    world_setup(world);
    const struct rn_sa_aggregator_config config = world_aggregator(world);
    struct rn_sa_aggregator *aggregator = NULL;
    const rn_result made = rn_sa_aggregator_new(&config, &aggregator, NULL);
    RN_BUG_IF(!rn_is_ok(made));
    struct rn_sa_member *members[WORLD_MEMBERS];
    struct rn_sa_spent *spent[WORLD_MEMBERS];
    for (uint32_t i = 0; i < WORLD_MEMBERS; i++) {
        spent[i] = rn_sa_spent_new();
        members[i] = world_member(world, i, spent[i]);
    }
    struct rn_sa_actions actions = {0};
    rn_sa_aggregator_start(aggregator, 0, &actions);
    world_broadcast(world, aggregator, &actions);
    for (size_t k = 0; k < world->count; k++) {
        const struct world_message message = world->messages[k]; /* the list may grow */
        rn_sa_actions_clear(&actions);
        const struct rn_view bytes = rn_buffer_view(&message.bytes);
        if (message.to == WORLD_MEMBERS) {
            (void)!rn_is_ok(
                rn_sa_aggregator_receive(aggregator, message.from, bytes, 0, &actions, NULL));
            world_broadcast(world, aggregator, &actions);
        } else {
            struct rn_sa_member *member = members[message.to];
            (void)!rn_is_ok(rn_sa_member_receive(member, bytes, 0, &actions, NULL));
            world_serve(world, message.to, member, &actions, true);
        }
    }
    RN_BUG_IF(rn_sa_aggregator_stage(aggregator) != RN_SA_STAGE_FINISHED);
    rn_sa_actions_clear(&actions);
    rn_sa_aggregator_free(aggregator);
    for (uint32_t i = 0; i < WORLD_MEMBERS; i++) {
        rn_sa_member_free(members[i]);
        rn_sa_spent_free(spent[i]);
    }
}

/* Message k of those to a machine (k modulo their number), and then up to four changed bytes. */
static const struct world_message *world_pick(const struct world *world, uint32_t to, uint32_t k)
{
    size_t count = 0;
    for (size_t i = 0; i < world->count; i++) {
        count += world->messages[i].to == to;
    }
    k %= (uint32_t)count;
    for (size_t i = 0; i < world->count; i++) {
        if (world->messages[i].to == to && k-- == 0) {
            return &world->messages[i];
        }
    }
    return NULL;
}

/* The picked message with bytes of its body (or transcript hash, recipient, length) changed as the
 * reader says, signed again by its sender. */
static void world_change(const struct world *world, const struct world_message *picked,
                         struct rn_reader *r, struct rn_buffer *out)
{
    struct rn_sa_message m;
    const rn_result parsed = rn_sa_message_parse(rn_buffer_view(&picked->bytes), &m, NULL);
    RN_BUG_IF(!rn_is_ok(parsed));
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    const uint32_t changes = rn_read_u8(r) % 4;
    for (uint32_t c = 0; c < changes; c++) {
        const uint32_t at = rn_read_u16(r);
        const uint8_t value = rn_read_u8(r);
        if (at < body.length) {
            body.data[at] ^= value;
        } else {
            m.transcript[at % RN_HASH_BYTES] ^= value;
        }
    }
    const uint32_t shape = rn_read_u8(r);
    size_t length = body.length;
    if (shape % 4 == 1) {
        length -= length < shape ? length : shape;
    } else if (shape % 4 == 2) {
        (void)rn_buffer_grow(&body, shape);
        length = body.length;
    } else if (shape % 4 == 3) {
        m.recipient = shape / 4;
    }
    const struct rn_sa_outgoing outgoing = {
        .type = m.type,
        .session = m.session,
        .round = m.round,
        .sender = m.sender,
        .recipient = m.recipient,
        .transcript = m.transcript,
        .body = rn_view_of(body.data, length),
        .body_hash = m.type == RN_SA_SHARES ? m.body_hash : NULL,
    };
    rn_sa_message_write(&outgoing, world->identities[picked->from], out);
}

#endif
