/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/transcript.h"

#include "base/guard.h"
#include "crypto/roster.h"

#include <string.h>

void rn_sa_transcript_init(struct rn_sa_transcript *transcript, const struct rn_sa_params *params,
                           const struct rn_sa_context *context)
{
    memset(transcript, 0, sizeof *transcript);
    transcript->params = *params;
    transcript->context = *context;
    rn_sa_layout_init(&transcript->layout, params, context);
    rn_roster_hash_of(context->roster, transcript->roster_hash);
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

uint32_t rn_sa_transcript_place(const struct rn_sa_transcript *transcript, uint32_t member)
{
    RN_BUG_IF(!rn_sa_set_has(&transcript->joined, member));
    uint32_t place = 0;
    for (uint32_t i = 0; i < member; i++) {
        place += rn_sa_set_has(&transcript->joined, i) ? 1 : 0;
    }
    return place;
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
