/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/params.h"

#include "base/guard.h"
#include "crypto/maskstream.h"
#include "crypto/pack.h"
#include "crypto/roster.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secret.h"

#include <string.h>

/* The share graph in the params hash. */
enum { GRAPH_COMPLETE = 0, GRAPH_RING = 1 };
enum { KEM_NONE = 0, KEM_HYBRID = 1 };

static rn_result check_times(const struct rn_sa_params *params, struct rn_error *err)
{
    const struct {
        const char *name;
        struct rn_sa_timeout timeout;
    } all[] = {{"ready", params->ready},      {"shares", params->shares},
               {"acks", params->acks},        {"upload", params->upload},
               {"vote", params->vote},        {"unmask", params->unmask},
               {"receipts", params->receipts}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(all); i++) {
        const struct rn_sa_timeout *t = &all[i].timeout;
        RN_ENSURE(t->soft_ms > 0 && t->soft_ms <= t->hard_ms && t->hard_ms <= RN_SA_TIMEOUT_MS_MAX,
                  err, RN_E_CONFIG,
                  "secagg: time-outs of stage %s must be 0 < soft <= hard <= 30 days", all[i].name);
    }
    RN_ENSURE(params->retry_ms <= RN_SA_TIMEOUT_MS_MAX, err, RN_E_CONFIG,
              "secagg: retry time exceeds 30 days");
    return rn_ok();
}

/* Of each dealer in the circle: envelope, commitments, leaves, one entry. */
rn_result rn_sa_graph_check(const struct rn_sa_params *params, struct rn_error *err)
{
    struct rn_sa_graph_sizes sizes;
    rn_sa_sizes(params, &sizes);
    const size_t circle = sizes.degree + 1;
    const size_t part = RN_SA_ENVELOPE_BYTES + 2 * (size_t)(sizes.threshold - 1) * 32 +
                        circle * RN_HASH_BYTES + RN_SA_SEALED_BYTES;
    RN_ENSURE(RN_SA_ENVELOPE_BYTES + 4 + circle * part <= RN_SA_MESSAGE_MAX, err, RN_E_CONFIG,
              "secagg: with %u members, colluding %u and losses %u each holds shares of %u others, "
              "more than a message takes; lower colluding or losses",
              params->members, params->colluding, params->losses, sizes.degree);
    return rn_ok();
}

rn_result rn_sa_params_check(const struct rn_sa_params *params, struct rn_error *err)
{
    const uint32_t n = params->members;
    RN_ENSURE(n >= RN_SA_MEMBERS_MIN && n <= RN_SA_MEMBERS_MAX, err, RN_E_CONFIG,
              "secagg: %u members in the roster; it takes %u to %u", n, RN_SA_MEMBERS_MIN,
              RN_SA_MEMBERS_MAX);
    RN_ENSURE(params->colluding >= 1, err, RN_E_CONFIG,
              "secagg: colluding must be at least 1: a coordinator may win over one member");
    RN_ENSURE(params->honest >= 2, err, RN_E_CONFIG,
              "secagg: honest must be at least 2: the sum over one honest member is its input");
    RN_ENSURE(params->colluding < n && params->honest < n && params->losses < n &&
                  params->colluding + params->honest <= n,
              err, RN_E_CONFIG, "secagg: %u members are too few for colluding %u plus honest %u", n,
              params->colluding, params->honest);
    const uint32_t floor = rn_sa_floor(params, 0);
    RN_ENSURE(n >= params->losses + floor, err, RN_E_CONFIG,
              "secagg: of %u members at least %u must remain, so %u losses are at most possible, "
              "not %u",
              n, floor, n >= floor ? n - floor : 0, params->losses);
    RN_TRY(rn_sa_graph_check(params, err));
    RN_ENSURE(params->value_max >= 1 && rn_sa_bits(params) != 0, err, RN_E_CONFIG,
              "secagg: the largest value of an element must be at least 1 and its sum over %u "
              "members fit %u bits",
              n, RN_SA_BITS_MAX - 1);
    RN_ENSURE(params->chunk_elements <= RN_SA_CHUNK_ELEMENTS_MAX, err, RN_E_CONFIG,
              "secagg: a chunk holds at most %u elements", RN_SA_CHUNK_ELEMENTS_MAX);
    return check_times(params, err);
}

uint32_t rn_sa_quorum(const struct rn_sa_params *params)
{
    return (params->members + params->colluding) / 2 + 1;
}

uint32_t rn_sa_floor(const struct rn_sa_params *params, uint32_t local_minimum)
{
    uint32_t floor = rn_sa_quorum(params);
    if (floor < params->colluding + params->honest) {
        floor = params->colluding + params->honest;
    }
    if (floor < RN_SA_MEMBERS_MIN) {
        floor = RN_SA_MEMBERS_MIN;
    }
    return floor < local_minimum ? local_minimum : floor;
}

void rn_sa_sizes(const struct rn_sa_params *params, struct rn_sa_graph_sizes *out)
{
    const uint32_t n = params->members;
    if (!rn_is_ok(rn_sa_graph_plan(n, params->colluding, params->losses, out, NULL))) {
        *out = (struct rn_sa_graph_sizes){
            .complete = true, .degree = n == 0 ? 0 : n - 1, .threshold = rn_sa_quorum(params)};
    }
}

uint32_t rn_sa_threshold(const struct rn_sa_params *params)
{
    struct rn_sa_graph_sizes sizes;
    rn_sa_sizes(params, &sizes);
    return sizes.threshold;
}

_Static_assert(RN_SA_ELEMENTS_MAX /
                       (RN_SA_CHUNK_ELEMENTS_DEFAULT * RN_SA_CHUNK_CROWD / RN_SA_MEMBERS_MAX) <=
                   RN_SA_CHUNKS_MAX,
               "the largest vector of the largest roster has no more chunks than may be");

uint32_t rn_sa_chunk_elements(uint32_t members)
{
    uint32_t elements = RN_SA_CHUNK_ELEMENTS_DEFAULT;
    for (uint32_t crowd = RN_SA_CHUNK_CROWD; members > crowd; crowd *= 2) {
        elements /= 2;
    }
    return elements;
}

uint32_t rn_sa_spare(const struct rn_sa_params *params)
{
    const uint32_t floor = rn_sa_floor(params, 0);
    return params->members > floor ? params->members - floor : 0;
}

uint32_t rn_sa_auditors(const struct rn_sa_params *params)
{
    return params->members <= RN_SA_AUDIT_ALL_MAX
               ? params->members
               : params->members - rn_sa_quorum(params) + params->colluding + 1;
}

uint32_t rn_sa_bits(const struct rn_sa_params *params)
{
    const uint64_t limit = (uint64_t)1 << (RN_SA_BITS_MAX - 1);
    if (params->members == 0 || params->value_max > (limit - 1) / params->members) {
        return 0;
    }
    const uint64_t largest = params->members * params->value_max; /* of a sum */
    uint32_t bits = 0;
    while (bits < 64 && (largest >> bits) != 0) {
        bits++;
    }
    return bits + 1;
}

static uint32_t full_chunk(const struct rn_sa_params *params)
{
    return params->chunk_elements == 0 ? RN_SA_CHUNK_ELEMENTS_DEFAULT : params->chunk_elements;
}

/* A complete graph has none: two members must not disagree over a number that means nothing. */
static rn_result check_seed(const struct rn_sa_params *params, const struct rn_sa_context *context,
                            struct rn_error *err)
{
    static const uint8_t none[RN_HASH_BYTES] = {0};
    struct rn_sa_graph_sizes sizes;
    rn_sa_sizes(params, &sizes);
    const bool given = memcmp(context->graph_seed, none, RN_HASH_BYTES) != 0;
    RN_ENSURE(!given || !sizes.complete, err, RN_E_CONFIG,
              "secagg: the share graph of %u members is complete and takes no seed",
              params->members);
    RN_ENSURE(given || sizes.complete, err, RN_E_CONFIG,
              "secagg: the sparse share graph of %u members needs its seed", params->members);
    return rn_ok();
}

rn_result rn_sa_context_check(const struct rn_sa_params *params,
                              const struct rn_sa_context *context, struct rn_error *err)
{
    RN_ENSURE(context->roster != NULL && context->roster->count == params->members, err,
              RN_E_CONFIG, "secagg: the plan and the roster differ in the number of members");
    RN_ENSURE(context->elements >= 1 && context->elements <= RN_SA_ELEMENTS_MAX, err, RN_E_CONFIG,
              "secagg: a vector has 1 to 2^28 elements");
    const uint32_t full = full_chunk(params);
    RN_ENSURE((context->elements + full - 1) / full <= RN_SA_CHUNKS_MAX, err, RN_E_CONFIG,
              "secagg: more than %u chunks; make chunks larger", RN_SA_CHUNKS_MAX);
    RN_ENSURE(context->blind || rn_secret_is_zero(context->group_hash, RN_HASH_BYTES), err,
              RN_E_CONFIG, "secagg: only a blind job has a group key");
    RN_ENSURE(context->blind || !context->hybrid, err, RN_E_CONFIG,
              "secagg: only a blind job's group key is hybrid");
    RN_ENSURE(context->attempt >= 1, err, RN_E_CONFIG, "secagg: attempts count from 1");
    RN_TRY(check_seed(params, context, err));
    return rn_ok();
}

void rn_sa_layout_init(struct rn_sa_layout *layout, const struct rn_sa_params *params,
                       const struct rn_sa_context *context)
{
    const uint32_t full = full_chunk(params);
    layout->elements = context->elements;
    layout->chunk_elements = full;
    layout->chunks = (uint32_t)((context->elements + full - 1) / full);
    layout->bits = rn_sa_bits(params);
    layout->lane_bytes = layout->bits <= 32 ? 4 : 8;
    layout->lanes = layout->elements + (uint64_t)layout->chunks * RN_SA_CANARIES;
}

uint32_t rn_sa_layout_chunk_elements(const struct rn_sa_layout *layout, uint32_t chunk)
{
    RN_BUG_IF(chunk >= layout->chunks);
    const uint64_t first = (uint64_t)chunk * layout->chunk_elements;
    const uint64_t left = layout->elements - first;
    return left < layout->chunk_elements ? (uint32_t)left : layout->chunk_elements;
}

uint64_t rn_sa_layout_chunk_lane(const struct rn_sa_layout *layout, uint32_t chunk)
{
    return (uint64_t)chunk * (layout->chunk_elements + RN_SA_CANARIES);
}

size_t rn_sa_layout_chunk_bytes(const struct rn_sa_layout *layout, uint32_t chunk)
{
    const size_t lanes = (size_t)rn_sa_layout_chunk_elements(layout, chunk) + RN_SA_CANARIES;
    return rn_pack_size(lanes, layout->bits);
}

uint64_t rn_sa_layout_vector_bytes(const struct rn_sa_layout *layout)
{
    const uint64_t last = rn_sa_layout_chunk_bytes(layout, layout->chunks - 1);
    return layout->chunks == 1
               ? last
               : (layout->chunks - 1) * (uint64_t)rn_sa_layout_chunk_bytes(layout, 0) + last;
}

void rn_sa_params_hash(uint8_t out[static RN_HASH_BYTES], const struct rn_sa_params *params,
                       const struct rn_sa_context *context)
{
    struct rn_sa_graph_sizes sizes;
    rn_sa_sizes(params, &sizes);
    uint8_t bytes[256];
    struct rn_writer w = rn_writer_to(bytes, sizeof bytes);
    rn_write_u32(&w, params->members);
    rn_write_u32(&w, params->colluding);
    rn_write_u32(&w, params->losses);
    rn_write_u32(&w, params->honest);
    rn_write_u64(&w, params->value_max);
    rn_write_u32(&w, rn_sa_bits(params));
    rn_write_u32(&w, full_chunk(params));
    rn_write_u32(&w, RN_SA_CANARIES);
    rn_write_u32(&w, RN_MASK_PRG_AES256_CTR);
    rn_write_u32(&w, 1); /* sum check: replay */
    rn_write_u32(&w, sizes.complete ? GRAPH_COMPLETE : GRAPH_RING);
    rn_write_u32(&w, context->hybrid ? KEM_HYBRID : KEM_NONE);
    rn_write_u64(&w, context->elements);
    rn_write_bytes(&w, context->scales_hash, RN_HASH_BYTES);
    rn_write_u32(&w, context->blind ? 1 : 0);
    rn_write_bytes(&w, context->group_hash, RN_HASH_BYTES);
    rn_write_bytes(&w, context->graph_seed, RN_HASH_BYTES);
    RN_BUG_IF(!rn_writer_done(&w));
    const struct rn_view view = rn_view_of(bytes, w.position);
    rn_sha256(out, "rondo/v1 secagg params", &view, 1);
}

void rn_sa_session_id(uint8_t out[static RN_HASH_BYTES], const struct rn_sa_params *params,
                      const struct rn_sa_context *context,
                      const uint8_t roster_hash[static RN_HASH_BYTES],
                      const uint8_t nonce[static 32])
{
    uint8_t params_hash[RN_HASH_BYTES];
    rn_sa_params_hash(params_hash, params, context);
    uint8_t bytes[320];
    struct rn_writer w = rn_writer_to(bytes, sizeof bytes);
    rn_write_u32(&w, RN_SA_VERSION);
    rn_write_bytes(&w, context->plan_hash, RN_HASH_BYTES);
    rn_write_bytes(&w, roster_hash, RN_HASH_BYTES);
    rn_write_u64(&w, context->round);
    rn_write_u32(&w, context->attempt);
    rn_write_bytes(&w, context->base_hash, RN_HASH_BYTES);
    rn_write_bytes(&w, context->adapter_hash, RN_HASH_BYTES);
    rn_write_u32(&w, context->active);
    rn_write_bytes(&w, context->layout_hash, RN_HASH_BYTES);
    rn_write_bytes(&w, params_hash, RN_HASH_BYTES);
    rn_write_bytes(&w, nonce, 32);
    RN_BUG_IF(!rn_writer_done(&w));
    const struct rn_view view = rn_view_of(bytes, w.position);
    rn_sha256(out, "rondo/v1 secagg session id", &view, 1);
}
