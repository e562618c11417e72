/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/sessionproof.h"

#include "base/guard.h"
#include "crypto/roster.h"

#include <string.h>

static const enum rn_sa_type parts[] = {RN_SA_OFFER, RN_SA_READY_SET, RN_SA_ACK_SET,
                                        RN_SA_SURVIVORS};

/* ---- Writing */

void rn_sa_session_numbers_write(const struct rn_sa_transcript *t, struct rn_buffer *out)
{
    rn_buffer_u32(out, t->params.colluding);
    rn_buffer_u32(out, t->params.losses);
    rn_buffer_u32(out, t->params.honest);
    rn_buffer_u64(out, t->params.value_max);
    rn_buffer_u32(out, t->layout.chunk_elements);
    rn_buffer_u64(out, t->layout.elements);
    rn_buffer_append(out, t->context.scales_hash, RN_HASH_BYTES);
    rn_buffer_u32(out, t->context.blind ? 1 : 0);
    rn_buffer_append(out, t->context.group_hash, RN_HASH_BYTES);
    rn_buffer_append(out, t->context.graph_seed, RN_HASH_BYTES);
}

bool rn_sa_session_broadcasts_write(const struct rn_buffer heard[static RN_SA_TYPE_LAST_],
                                    struct rn_buffer *out)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(parts); i++) {
        if (heard[parts[i]].length == 0) {
            return false;
        }
        rn_buffer_blob(out, rn_buffer_view(&heard[parts[i]]));
    }
    return !out->failed;
}

/* ---- Checking */

rn_result rn_sa_session_numbers_read(const struct rn_roster *roster, struct rn_reader *r,
                                     struct rn_sa_params *params, struct rn_sa_context *context,
                                     struct rn_error *err)
{
    const struct rn_sa_timeout any = {1, 1}; /* no time-out is in a hash */
    *context = (struct rn_sa_context){.roster = roster};
    *params = (struct rn_sa_params){.members = roster->count,
                                    .ready = any,
                                    .shares = any,
                                    .acks = any,
                                    .upload = any,
                                    .vote = any,
                                    .unmask = any,
                                    .receipts = any};
    params->colluding = rn_read_u32(r);
    params->losses = rn_read_u32(r);
    params->honest = rn_read_u32(r);
    params->value_max = rn_read_u64(r);
    params->chunk_elements = rn_read_u32(r);
    context->elements = rn_read_u64(r);
    rn_read_copy(r, context->scales_hash, RN_HASH_BYTES);
    const uint32_t blind = rn_read_u32(r);
    rn_read_copy(r, context->group_hash, RN_HASH_BYTES);
    context->blind = blind == 1;
    rn_read_copy(r, context->graph_seed, RN_HASH_BYTES);
    RN_ENSURE(!r->failed && blind <= 1 && params->chunk_elements > 0 &&
                  rn_is_ok(rn_sa_params_check(params, err)),
              err, RN_E_PEER_FORMAT, "proof: no numbers of a plan");
    return rn_ok();
}

/* The coordinator's next broadcast in the proof, of this type and session. */
static rn_result read_part(const struct rn_roster *roster, struct rn_reader *r,
                           enum rn_sa_type type, const uint8_t *session, struct rn_sa_message *out,
                           struct rn_error *err)
{
    RN_TRY(rn_sa_message_parse(rn_read_blob(r, RN_SA_MESSAGE_MAX), out, err));
    RN_ENSURE(out->type == type && out->sender == RN_SA_COORDINATOR &&
                  memcmp(out->session, session, RN_HASH_BYTES) == 0,
              err, RN_E_PEER_PROTOCOL, "proof: another message is in place of %s",
              rn_sa_type_name(type));
    return rn_sa_message_verify(out, &roster->coordinator, err);
}

/* Who offered it says what the caller of a session would know. */
static void adopt(const struct rn_sa_message *offer, struct rn_sa_context *context)
{
    struct rn_reader r = rn_reader_of(offer->body);
    rn_read_copy(&r, context->plan_hash, RN_HASH_BYTES);
    (void)rn_read_view(&r, RN_HASH_BYTES); /* the roster is the reader's own */
    rn_read_copy(&r, context->base_hash, RN_HASH_BYTES);
    rn_read_copy(&r, context->adapter_hash, RN_HASH_BYTES);
    rn_read_copy(&r, context->layout_hash, RN_HASH_BYTES);
    (void)rn_read_view(&r, RN_HASH_BYTES); /* params: computed */
    context->round = rn_read_u64(&r);
    context->attempt = rn_read_u32(&r);
    context->active = rn_read_u32(&r);
}

static rn_result apply(struct rn_sa_transcript *t, const struct rn_sa_message *m,
                       struct rn_error *err)
{
    const uint8_t *hash = NULL;
    switch (m->type) {
    case RN_SA_OFFER:
        return rn_sa_offer_apply(t, m, err);
    case RN_SA_READY_SET:
        RN_TRY(rn_sa_ready_set_apply(t, m->body, err));
        hash = t->t0;
        break;
    case RN_SA_ACK_SET:
        RN_TRY(rn_sa_ack_set_apply(t, m->body, err));
        hash = t->t1;
        break;
    default:
        RN_TRY(rn_sa_survivors_apply(t, m->body, err));
        hash = t->t2;
        break;
    }
    RN_ENSURE(memcmp(hash, m->transcript, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "proof: %s does not hash to its transcript", rn_sa_type_name(m->type));
    return rn_ok();
}

rn_result rn_sa_session_rebuild(const uint8_t session[static RN_HASH_BYTES],
                                const struct rn_sa_params *params, struct rn_sa_context *context,
                                struct rn_reader *r, struct rn_sa_transcript *out,
                                struct rn_error *err)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(parts); i++) {
        struct rn_sa_message message;
        RN_TRY(read_part(context->roster, r, parts[i], session, &message, err));
        if (i == 0) {
            adopt(&message, context);
            RN_ENSURE(rn_is_ok(rn_sa_context_check(params, context, err)), err, RN_E_PEER_FORMAT,
                      "proof: no round of such a plan");
            rn_sa_transcript_init(out, params, context);
        }
        RN_TRY(apply(out, &message, err));
    }
    return rn_ok();
}
