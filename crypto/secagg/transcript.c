/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/transcript.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/epoch.h"

#include <string.h>

static void make_graph(struct rn_sa_graph *graph, const struct rn_sa_params *params,
                       const struct rn_sa_context *context, const struct rn_sa_graph_sizes *sizes)
{
    uint32_t permutation[RN_SA_GRAPH_MEMBERS_MAX];
    if (!sizes->complete) {
        rn_sa_epoch_permutation(context->graph_seed, params->members, permutation);
    }
    rn_sa_graph_init(graph, sizes, params->members, sizes->complete ? NULL : permutation);
}

void rn_sa_transcript_init(struct rn_sa_transcript *transcript, const struct rn_sa_params *params,
                           const struct rn_sa_context *context)
{
    memset(transcript, 0, sizeof *transcript);
    transcript->params = *params;
    transcript->context = *context;
    rn_sa_layout_init(&transcript->layout, params, context);
    rn_roster_hash_of(context->roster, transcript->roster_hash);
    transcript->quorum = rn_sa_quorum(params);
    struct rn_sa_graph_sizes sizes;
    rn_sa_sizes(params, &sizes);
    transcript->threshold = sizes.threshold;
    make_graph(&transcript->graph, params, context, &sizes);
    transcript->peers = rn_alloc(params->members, sizeof *transcript->peers);
}

void rn_sa_transcript_clear(struct rn_sa_transcript *transcript)
{
    rn_free(RN_TAKE(transcript->peers));
}

struct rn_sa_transcript rn_sa_transcript_copy(const struct rn_sa_transcript *transcript)
{
    struct rn_sa_transcript copy = *transcript;
    const size_t members = transcript->graph.members;
    copy.peers = rn_alloc(members, sizeof *copy.peers);
    memcpy(copy.peers, transcript->peers, members * sizeof *copy.peers);
    return copy;
}

void rn_sa_transcript_become(struct rn_sa_transcript *transcript, struct rn_sa_transcript *other)
{
    rn_free(transcript->peers);
    *transcript = *other;
    other->peers = NULL;
}

void rn_sa_transcript_start(struct rn_sa_transcript *transcript, const uint8_t nonce[static 32])
{
    rn_sa_session_id(transcript->session, &transcript->params, &transcript->context,
                     transcript->roster_hash, nonce);
    transcript->level = RN_SA_LEVEL_SESSION;
}

const uint8_t *rn_sa_transcript_hash(const struct rn_sa_transcript *transcript)
{
    if (transcript->level >= RN_SA_LEVEL_SURVIVORS) {
        return transcript->t2;
    }
    if (transcript->level == RN_SA_LEVEL_LINKED) {
        return transcript->t1;
    }
    return transcript->level == RN_SA_LEVEL_JOINED ? transcript->t0 : transcript->session;
}

struct rn_sa_set rn_sa_transcript_circle(const struct rn_sa_transcript *transcript, uint32_t member)
{
    uint32_t neighbours[RN_SA_GRAPH_MEMBERS_MAX];
    const uint32_t count = rn_sa_graph_neighbours(&transcript->graph, member, neighbours);
    struct rn_sa_set circle = rn_sa_set_only(member);
    for (uint32_t k = 0; k < count; k++) {
        rn_sa_set_add(&circle, neighbours[k]);
    }
    return circle;
}

struct rn_sa_set rn_sa_transcript_holders(const struct rn_sa_transcript *transcript,
                                          uint32_t dealer)
{
    RN_BUG_IF(!rn_sa_set_has(&transcript->joined, dealer));
    const struct rn_sa_set circle = rn_sa_transcript_circle(transcript, dealer);
    return rn_sa_set_both(&circle, &transcript->joined);
}

const struct rn_identity_public *rn_sa_transcript_key(const struct rn_sa_transcript *transcript,
                                                      uint32_t sender)
{
    const struct rn_roster *roster = transcript->context.roster;
    if (sender == RN_SA_COORDINATOR) {
        return &roster->coordinator;
    }
    return sender < roster->count ? &roster->members[sender].key : NULL;
}

rn_result rn_sa_transcript_nested(const struct rn_sa_transcript *transcript,
                                  const struct rn_sa_message *message, enum rn_sa_type type,
                                  const uint8_t *hash, struct rn_error *err)
{
    const char *name = rn_sa_type_name(type);
    RN_ENSURE(message->type == type && message->recipient == RN_SA_COORDINATOR &&
                  message->sender < transcript->context.roster->count,
              err, RN_E_PEER_PROTOCOL, "%s: another message is in its place", name);
    RN_ENSURE(memcmp(message->session, transcript->session, RN_HASH_BYTES) == 0 &&
                  message->round == transcript->context.round,
              err, RN_E_PEER_REPLAY, "%s: of another session", name);
    RN_ENSURE(memcmp(message->transcript, hash, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "%s: follows another transcript", name);
    const struct rn_identity_public *key = rn_sa_transcript_key(transcript, message->sender);
    if (message->body.length == 0) {
        return rn_sa_envelope_verify(message, key, err);
    }
    return rn_sa_message_verify(message, key, err);
}

void rn_sa_transcript_write(const struct rn_sa_transcript *transcript,
                            const struct rn_sa_draft *draft, const struct rn_identity *identity,
                            struct rn_buffer *out)
{
    const struct rn_sa_outgoing message = {
        .type = draft->type,
        .session = transcript->session,
        .round = transcript->context.round,
        .sender = draft->sender,
        .recipient = draft->recipient,
        .transcript = draft->hash,
        .body = draft->body,
        .body_hash = draft->body_hash,
    };
    rn_sa_message_write(&message, identity, out);
}

void rn_sa_set_write(struct rn_buffer *out, const struct rn_sa_set *set)
{
    for (uint32_t w = 0; w < RN_SA_SET_WORDS; w++) {
        rn_buffer_u64(out, set->word[w]);
    }
}

struct rn_sa_set rn_sa_set_read(struct rn_reader *reader)
{
    struct rn_sa_set set;
    for (uint32_t w = 0; w < RN_SA_SET_WORDS; w++) {
        set.word[w] = rn_read_u64(reader);
    }
    return set;
}
