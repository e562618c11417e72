/* SPDX-License-Identifier: Apache-2.0
 *
 * What fixes a secure-aggregation session: the numbers of the signed plan (rn_sa_params), the round
 * they are used for (rn_sa_context), and what follows from both (quorum, floor, bits, chunk
 * layout, session id). Every member computes all of it from its OWN values; what the coordinator
 * says must match. Formulas: PROTOCOL.md, section "Numbers".
 */
#ifndef RN_CRYPTO_SECAGG_PARAMS_H
#define RN_CRYPTO_SECAGG_PARAMS_H

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/secagg/graph.h"
#include "crypto/secagg/memberset.h"
#include "crypto/sha256.h"

#include <stddef.h>
#include <stdint.h>

struct rn_roster;

#define RN_SA_VERSION 5u
#define RN_SA_MEMBERS_MIN 3u
/* Ring width: the sum, plus a guard bit, stays exact in a double. */
#define RN_SA_BITS_MAX 53u
/* Elements of the vector without canaries. */
#define RN_SA_ELEMENTS_MAX ((uint64_t)1 << 28)
/* Zero elements at the end of each chunk; their sum must be exactly 0. */
#define RN_SA_CANARIES 8u
#define RN_SA_CHUNK_ELEMENTS_MIN 1u
#define RN_SA_CHUNK_ELEMENTS_MAX ((uint32_t)1 << 18)
#define RN_SA_CHUNK_ELEMENTS_DEFAULT ((uint32_t)1 << 17)
#define RN_SA_CHUNKS_MAX ((uint32_t)1 << 15)
/* Rosters up to this size: every member replays the whole sum. */
#define RN_SA_AUDIT_ALL_MAX 16u
#define RN_SA_TIMEOUT_MS_MAX ((uint64_t)30 * 24 * 3600 * 1000)

/* A stage advances when everyone expected has answered, or when soft_ms have passed and the rules
 * of the stage are met; it aborts the session at hard_ms. */
struct rn_sa_timeout {
    uint64_t soft_ms;
    uint64_t hard_ms; /* >= soft_ms > 0 */
};

/* From the signed plan. */
struct rn_sa_params {
    uint32_t members;        /* n_max: entries in the roster */
    uint32_t colluding;      /* n_c >= 1: members that may work with the coordinator */
    uint32_t losses;         /* D: absent or lost members that a round must survive, R0 included */
    uint32_t honest;         /* h_min >= 2: honest contributors that must remain in the sum */
    uint64_t value_max;      /* largest value of one element of one member, e.g. 2^q - 2 */
    uint32_t chunk_elements; /* data elements of one chunk; 0: RN_SA_CHUNK_ELEMENTS_DEFAULT */
    struct rn_sa_timeout ready, shares, acks, upload, vote, unmask, receipts;
    /* Members send their last message again after this long without an answer, and the
     * coordinator its abort call; 0: never (then call rn_sa_*_resend after a reconnect). */
    uint64_t retry_ms;
};

/* Is the plan feasible? RN_E_CONFIG with the reason and the number to change. */
RN_MUST rn_result rn_sa_params_check(const struct rn_sa_params *params, struct rn_error *err);

/* The three numbers of a cohort follow from the roster's size n_max = params->members alone, never
 * from who came: policy, plan check and run time all ask these functions. */
/* Q = floor((n_max + n_c) / 2) + 1 signers of a certificate. */
uint32_t rn_sa_quorum(const struct rn_sa_params *params);
/* Graph and threshold (graph.h); of numbers that rn_sa_params_check refuses, the complete graph's.
 */
void rn_sa_sizes(const struct rn_sa_params *params, struct rn_sa_graph_sizes *out);
/* Does the longest message of such a graph, a share set, fit RN_SA_MESSAGE_MAX? RN_E_CONFIG. */
RN_MUST rn_result rn_sa_graph_check(const struct rn_sa_params *params, struct rn_error *err);
/* t alone: shares that open a secret. */
uint32_t rn_sa_threshold(const struct rn_sa_params *params);
/* F = max(Q, n_c + h_min, RN_SA_MEMBERS_MIN, local_minimum): least |T0|, |U2| and |U3|.
 * local_minimum: the member's own, or 0. */
uint32_t rn_sa_floor(const struct rn_sa_params *params, uint32_t local_minimum);
/* Members that may be absent or get lost: n_max - F, or 0. */
uint32_t rn_sa_spare(const struct rn_sa_params *params);
/* Members that replay each chunk of a sum (PROTOCOL.md, "The sum is checked"): all of a small
 * roster, else n_max - Q + n_c + 1, so that any Q receipts hold one of an honest auditor of it. */
uint32_t rn_sa_auditors(const struct rn_sa_params *params);
/* b = ceil(log2(n_max * value_max + 1)) + 1, or 0 when it exceeds RN_SA_BITS_MAX. */
uint32_t rn_sa_bits(const struct rn_sa_params *params);

/* The round. All hashes are the caller's own, never copied from a message. */
struct rn_sa_context {
    const struct rn_roster *roster; /* borrowed; outlives the machine */
    uint8_t plan_hash[RN_HASH_BYTES];
    uint8_t base_hash[RN_HASH_BYTES];    /* the frozen model */
    uint8_t adapter_hash[RN_HASH_BYTES]; /* the adapter this round starts from */
    uint8_t layout_hash[RN_HASH_BYTES];  /* which element of the vector is what */
    uint8_t scales_hash[RN_HASH_BYTES];  /* this round's quantiser scales */
    uint8_t graph_seed[RN_HASH_BYTES];   /* of the ring; zeros where the graph is complete */
    uint64_t round;
    uint32_t attempt; /* 1, 2, ...; (round, attempt) strictly increases within a plan */
    bool blind;       /* the coordinator sees neither sum nor adapter ("Blind coordinator") */
    bool hybrid;      /* a blind job whose group key is sealed by crypto/hybrid.h too */
    uint8_t group_hash[RN_HASH_BYTES]; /* of a blind job's group key document; else zero */
    uint32_t active;   /* which parts of the adapter the vector holds, a bit each (rule A9) */
    uint64_t elements; /* d */
};

RN_MUST rn_result rn_sa_context_check(const struct rn_sa_params *params,
                                      const struct rn_sa_context *context, struct rn_error *err);

/* Data elements of one chunk in a roster of so many members: RN_SA_CHUNK_ELEMENTS_DEFAULT up to
 * RN_SA_CHUNK_CROWD of them, and halved as often as keeps members times chunk within that. What a
 * coordinator holds of one chunk a member then does not grow with the roster. At 1024 members each
 * chunk has 2^14 elements, and the largest vector 2^14 chunks. */
#define RN_SA_CHUNK_CROWD 128u
uint32_t rn_sa_chunk_elements(uint32_t members);

/* How the vector is cut. Chunk c carries data elements [c * chunk_elements, ...) and then
 * RN_SA_CANARIES zeros; the mask position of its first lane is c * (chunk_elements +
 * RN_SA_CANARIES). */
struct rn_sa_layout {
    uint64_t elements;       /* d */
    uint32_t chunk_elements; /* of a full chunk */
    uint32_t chunks;
    uint32_t bits;       /* b */
    uint32_t lane_bytes; /* 4 when b <= 32, else 8 */
    uint64_t lanes;      /* d + chunks * RN_SA_CANARIES */
};

/* params and context have passed their checks. */
void rn_sa_layout_init(struct rn_sa_layout *layout, const struct rn_sa_params *params,
                       const struct rn_sa_context *context);
uint32_t rn_sa_layout_chunk_elements(const struct rn_sa_layout *layout, uint32_t chunk);
uint64_t rn_sa_layout_chunk_lane(const struct rn_sa_layout *layout, uint32_t chunk);
/* Bytes of the packed lanes of one chunk. */
size_t rn_sa_layout_chunk_bytes(const struct rn_sa_layout *layout, uint32_t chunk);
/* Packed bytes of one member's whole vector; also the spool one upload needs. */
uint64_t rn_sa_layout_vector_bytes(const struct rn_sa_layout *layout);

void rn_sa_params_hash(uint8_t out[static RN_HASH_BYTES], const struct rn_sa_params *params,
                       const struct rn_sa_context *context);
/* roster_hash is rn_roster_hash_of the context's roster. */
void rn_sa_session_id(uint8_t out[static RN_HASH_BYTES], const struct rn_sa_params *params,
                      const struct rn_sa_context *context,
                      const uint8_t roster_hash[static RN_HASH_BYTES],
                      const uint8_t nonce[static 32]);

#endif
