/* SPDX-License-Identifier: Apache-2.0
 *
 * flood: more messages than anybody needs, of every kind that a member must look at to refuse it.
 */
#include "attacks.h"

#include "base/guard.h"
#include "tests/scenario/hostile.h"

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
    send_to(actions, to, rn_buffer_view(&a->sent[RN_SA_OFFER])); /* once more, and once more */
    send_to(actions, to, rn_view_of(a->sent[RN_SA_OFFER].data, 1 + count % 150));
    memcpy(nonce, &count, sizeof count);
    t.context.attempt = NO_ATTEMPT;
    rn_sa_transcript_start(&t, nonce); /* a session that there is not */
    rn_sa_offer_write(&t, nonce, a->config.identity, &message);
    send_to(actions, to, rn_buffer_view(&message));
    write_broadcast(a, &t, RN_SA_ABORT_CERTIFICATE, rn_view_of(NULL, 0), &message);
    send_to(actions, to, rn_buffer_view(&message));
    write_broadcast(a, &a->t, RN_SA_SUM_CHUNK, rn_view_of(nonce, sizeof nonce), &message);
    send_to(actions, to, rn_buffer_view(&message)); /* signed, and no chunk of any sum */
    message.data[RN_SA_ENVELOPE_BYTES - 1] ^= 1;
    send_to(actions, to, rn_buffer_view(&message)); /* not even signed */
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
        attack_tell("flooded", "flood", &a->t.context);
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
        send_to(actions, &to, rn_buffer_view(&large));
    }
}

const struct attack attack_flood = {.name = "flood", .act = flood};
