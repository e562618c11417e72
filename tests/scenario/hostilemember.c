/* SPDX-License-Identifier: Apache-2.0
 *
 *     RONDO_ATTACK="garbage@1.1 ..." hostilemember SITE
 *
 * rondo-trainer with its site's own keys, in which single functions of crypto/ are replaced
 * (-Wl,--wrap): in the sessions that RONDO_ATTACK names (attacks.h) it
 *
 *   one-share       deals one wrong share, to the member after it
 *   wrong-shares    ... to the two members after it: more than may lie when n_c is 1
 *   off-polynomial  deals shares that lie on a polynomial of one degree too many
 *   commitments     commits to another polynomial than the one that it deals
 *   garbage         uploads a value far outside the range
 *   votes-twice     votes for the survivors, and then for an abort
 *   false-share     reveals a share that is not the one it acknowledged
 *
 * Every other byte that it sends is the honest program's.
 */
#include "attacks.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/feldman.h"
#include "crypto/secagg/member_state.h"
#include "crypto/shamir.h"
#include "services/cli/kit/program.h"
#include "services/trainer/memberservice.h"

static const char *const names[] = {"one-share", "wrong-shares", "off-polynomial", "commitments",
                                    "garbage",   "votes-twice",  "false-share",    NULL};

/* Of the session that the machine is in. */
static struct rn_sa_context here;
static uint32_t self;
static uint32_t roster_size;

static bool strikes(const char *name)
{
    const bool now = attack_strikes(name, &here);
    if (now) {
        attack_tell("struck", name, &here);
    }
    return now;
}

rn_result __real_rn_sa_member_receive(struct rn_sa_member *m, struct rn_view message,
                                      uint64_t now_ms, struct rn_sa_actions *out_actions,
                                      struct rn_error *err);
rn_result __wrap_rn_sa_member_receive(struct rn_sa_member *m, struct rn_view message,
                                      uint64_t now_ms, struct rn_sa_actions *out_actions,
                                      struct rn_error *err);
void __real_rn_shamir_evaluate(const struct rn_scalar *coefficients, size_t threshold,
                               uint32_t holder, struct rn_scalar *out_share);
void __wrap_rn_shamir_evaluate(const struct rn_scalar *coefficients, size_t threshold,
                               uint32_t holder, struct rn_scalar *out_share);
void __real_rn_feldman_commit(const struct rn_scalar *coefficients, size_t threshold,
                              struct rn_point *out_commitments);
void __wrap_rn_feldman_commit(const struct rn_scalar *coefficients, size_t threshold,
                              struct rn_point *out_commitments);
rn_result __real_rn_sa_chunk_mask(const struct rn_sa_layout *layout, uint32_t chunk,
                                  const uint64_t *values, struct rn_mask_set *masks, uint8_t *out,
                                  struct rn_error *err);
rn_result __wrap_rn_sa_chunk_mask(const struct rn_sa_layout *layout, uint32_t chunk,
                                  const uint64_t *values, struct rn_mask_set *masks, uint8_t *out,
                                  struct rn_error *err);
void __real_rn_sa_reveal_write(const struct rn_sa_transcript *transcript, uint32_t own,
                               const struct rn_sa_secrets *secrets,
                               const struct rn_identity *identity, struct rn_buffer *out);
void __wrap_rn_sa_reveal_write(const struct rn_sa_transcript *transcript, uint32_t own,
                               const struct rn_sa_secrets *secrets,
                               const struct rn_identity *identity, struct rn_buffer *out);

/* ---- R1 ---- */

/* The k-th member after this one. */
static uint32_t after(uint32_t k)
{
    return (self + k) % roster_size;
}

/* share += x^t: t commitments would be needed, and there is room for t - 1. */
static void raise_degree(uint32_t holder, size_t threshold, struct rn_scalar *share)
{
    struct rn_scalar x;
    struct rn_scalar power;
    rn_scalar_from_u64((uint64_t)holder + 1, &x);
    power = x;
    for (size_t k = 1; k < threshold; k++) {
        rn_scalar_mul(&power, &x, &power);
    }
    rn_scalar_add(share, &power, share);
}

void __wrap_rn_shamir_evaluate(const struct rn_scalar *coefficients, size_t threshold,
                               uint32_t holder, struct rn_scalar *out_share)
{
    __real_rn_shamir_evaluate(coefficients, threshold, holder, out_share);
    const bool first = holder == after(1);
    if ((first && strikes("one-share")) ||
        ((first || holder == after(2)) && strikes("wrong-shares"))) {
        out_share->bytes[0] ^= 1;
    } else if (holder != self && strikes("off-polynomial")) {
        raise_degree(holder, threshold, out_share);
    }
}

void __wrap_rn_feldman_commit(const struct rn_scalar *coefficients, size_t threshold,
                              struct rn_point *out_commitments)
{
    __real_rn_feldman_commit(coefficients, threshold, out_commitments);
    if (strikes("commitments")) {
        out_commitments[0] = out_commitments[threshold - 2];
    }
}

/* ---- R2 ---- */

rn_result __wrap_rn_sa_chunk_mask(const struct rn_sa_layout *layout, uint32_t chunk,
                                  const uint64_t *values, struct rn_mask_set *masks, uint8_t *out,
                                  struct rn_error *err)
{
    if (!strikes("garbage")) {
        return __real_rn_sa_chunk_mask(layout, chunk, values, masks, out, err);
    }
    const uint32_t count = rn_sa_layout_chunk_elements(layout, chunk);
    uint64_t *RN_CLEANUP(rn_free_cleanup) changed = rn_alloc(count, sizeof *changed);
    memcpy(changed, values, count * sizeof *changed);
    changed[0] = (uint64_t)1 << (layout->bits - 1);
    return __real_rn_sa_chunk_mask(layout, chunk, changed, masks, out, err);
}

/* ---- R3 ---- */

static bool is_vote(const struct rn_sa_action *action)
{
    struct rn_sa_message message;
    return action->kind == RN_SA_SEND &&
           rn_is_ok(rn_sa_message_parse(rn_buffer_view(&action->bytes), &message, NULL)) &&
           message.type == RN_SA_VOTE;
}

rn_result __wrap_rn_sa_member_receive(struct rn_sa_member *m, struct rn_view message,
                                      uint64_t now_ms, struct rn_sa_actions *out_actions,
                                      struct rn_error *err)
{
    here = m->t.context;
    self = m->config.self;
    roster_size = m->config.params.members;
    const rn_result result = __real_rn_sa_member_receive(m, message, now_ms, out_actions, err);
    for (size_t i = 0, count = out_actions->count; i < count; i++) {
        if (is_vote(&out_actions->items[i]) && strikes("votes-twice")) {
            struct rn_sa_action *second = rn_sa_actions_add(out_actions, RN_SA_SEND);
            rn_sa_vote_write(&m->t, self, RN_SA_VOTE_ABORT, m->config.identity, &second->bytes);
        }
    }
    return result;
}

/* ---- R4 ---- */

void __wrap_rn_sa_reveal_write(const struct rn_sa_transcript *transcript, uint32_t own,
                               const struct rn_sa_secrets *secrets,
                               const struct rn_identity *identity, struct rn_buffer *out)
{
    if (strikes("false-share")) { /* it is written once, and wiped then */
        struct rn_sa_slot *slot = rn_sa_secrets_slot(secrets, after(1));
        slot->share_b.bytes[0] ^= 1;
        slot->share_s.bytes[0] ^= 1;
    }
    __real_rn_sa_reveal_write(transcript, own, secrets, identity, out);
}

int main(int argc, char **argv)
{
    if (!attacks_known(names)) {
        (void)fprintf(stderr, "hostilemember: unknown attack in '%s'\n", attacks_ordered());
        return 64;
    }
    return rn_program_main(&rn_program_trainer, argc, argv);
}
