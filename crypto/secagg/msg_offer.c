/* SPDX-License-Identifier: Apache-2.0
 *
 * Offer, coordinator to all: the hashes of the round spelled out, so that a difference gets a clear
 * sentence, and the nonce. The session id is never copied: it is computed from own values.
 */
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/member.h"
#include "crypto/secagg/messages.h"

#include <string.h>

struct offer {
    uint8_t plan[RN_HASH_BYTES];
    uint8_t roster[RN_HASH_BYTES];
    uint8_t base[RN_HASH_BYTES];
    uint8_t adapter[RN_HASH_BYTES];
    uint8_t layout[RN_HASH_BYTES];
    uint8_t params[RN_HASH_BYTES];
    uint64_t round;
    uint32_t attempt;
    uint32_t active;
    uint8_t nonce[32];
};

static void own_offer(const struct rn_sa_transcript *transcript, struct offer *out)
{
    const struct rn_sa_context *context = &transcript->context;
    memcpy(out->plan, context->plan_hash, RN_HASH_BYTES);
    memcpy(out->roster, transcript->roster_hash, RN_HASH_BYTES);
    memcpy(out->base, context->base_hash, RN_HASH_BYTES);
    memcpy(out->adapter, context->adapter_hash, RN_HASH_BYTES);
    memcpy(out->layout, context->layout_hash, RN_HASH_BYTES);
    rn_sa_params_hash(out->params, &transcript->params, context);
    out->round = context->round;
    out->attempt = context->attempt;
    out->active = context->active;
}

static rn_result read_offer(struct rn_view body, struct offer *out, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    rn_read_copy(&r, out->plan, RN_HASH_BYTES);
    rn_read_copy(&r, out->roster, RN_HASH_BYTES);
    rn_read_copy(&r, out->base, RN_HASH_BYTES);
    rn_read_copy(&r, out->adapter, RN_HASH_BYTES);
    rn_read_copy(&r, out->layout, RN_HASH_BYTES);
    rn_read_copy(&r, out->params, RN_HASH_BYTES);
    out->round = rn_read_u64(&r);
    out->attempt = rn_read_u32(&r);
    out->active = rn_read_u32(&r);
    rn_read_copy(&r, out->nonce, sizeof out->nonce);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "offer: wrong length");
    return rn_ok();
}

void rn_sa_offer_write(const struct rn_sa_transcript *transcript, const uint8_t nonce[static 32],
                       const struct rn_identity *identity, struct rn_buffer *out)
{
    struct offer offer;
    own_offer(transcript, &offer);
    uint8_t body[RN_SA_OFFER_BODY];
    struct rn_writer w = rn_writer_to(body, sizeof body);
    rn_write_bytes(&w, offer.plan, RN_HASH_BYTES);
    rn_write_bytes(&w, offer.roster, RN_HASH_BYTES);
    rn_write_bytes(&w, offer.base, RN_HASH_BYTES);
    rn_write_bytes(&w, offer.adapter, RN_HASH_BYTES);
    rn_write_bytes(&w, offer.layout, RN_HASH_BYTES);
    rn_write_bytes(&w, offer.params, RN_HASH_BYTES);
    rn_write_u64(&w, offer.round);
    rn_write_u32(&w, offer.attempt);
    rn_write_u32(&w, offer.active);
    rn_write_bytes(&w, nonce, 32);
    RN_BUG_IF(!rn_writer_done(&w) || w.position != sizeof body);
    const struct rn_sa_draft draft = {
        .type = RN_SA_OFFER,
        .sender = RN_SA_COORDINATOR,
        .recipient = RN_SA_EVERYONE,
        .hash = transcript->session,
        .body = rn_view_of(body, sizeof body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, RN_HASH_BYTES) == 0;
}

rn_result rn_sa_offer_apply(struct rn_sa_transcript *transcript,
                            const struct rn_sa_message *message, struct rn_error *err)
{
    struct offer theirs;
    RN_TRY(read_offer(message->body, &theirs, err));
    struct offer own = {0};
    own_offer(transcript, &own);
    const struct {
        const char *name;
        bool equal;
    } checks[] = {
        {"plan", same(own.plan, theirs.plan)},
        {"roster", same(own.roster, theirs.roster)},
        {"base model", same(own.base, theirs.base)},
        {"adapter", same(own.adapter, theirs.adapter)},
        {"vector layout", same(own.layout, theirs.layout)},
        {"parameters", same(own.params, theirs.params)},
        {"round", own.round == theirs.round && message->round == own.round},
        {"attempt", own.attempt == theirs.attempt},
        {"active matrix", own.active == theirs.active},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(checks); i++) {
        RN_ENSURE(checks[i].equal, err, RN_E_ROUND_STALE,
                  "offer: the coordinator's %s is not the one this site computed", checks[i].name);
    }
    uint8_t session[RN_HASH_BYTES];
    rn_sa_session_id(session, &transcript->params, &transcript->context, transcript->roster_hash,
                     theirs.nonce);
    RN_ENSURE(same(session, message->session) && same(session, message->transcript), err,
              RN_E_PEER_PROTOCOL, "offer: the session id does not follow from its content");
    rn_sa_transcript_start(transcript, theirs.nonce);
    return rn_ok();
}

rn_result rn_sa_offer_read(struct rn_view bytes, const struct rn_roster *roster,
                           struct rn_sa_offer *out, struct rn_error *err)
{
    struct rn_sa_message message;
    RN_TRY(rn_sa_message_parse(bytes, &message, err));
    RN_ENSURE(message.type == RN_SA_OFFER && message.sender == RN_SA_COORDINATOR, err,
              RN_E_PEER_PROTOCOL, "offer: another message is in its place");
    RN_TRY(rn_sa_message_verify(&message, &roster->coordinator, err));
    struct offer offer;
    RN_TRY(read_offer(message.body, &offer, err));
    memcpy(out->session, message.session, RN_HASH_BYTES);
    memcpy(out->plan_hash, offer.plan, RN_HASH_BYTES);
    memcpy(out->base_hash, offer.base, RN_HASH_BYTES);
    memcpy(out->adapter_hash, offer.adapter, RN_HASH_BYTES);
    out->round = offer.round;
    out->attempt = offer.attempt;
    out->active = offer.active;
    return rn_ok();
}

bool rn_sa_message_session(struct rn_view bytes, uint8_t out[static RN_HASH_BYTES])
{
    struct rn_sa_message message;
    if (!rn_is_ok(rn_sa_message_parse(bytes, &message, NULL))) {
        return false;
    }
    memcpy(out, message.session, RN_HASH_BYTES);
    return true;
}
