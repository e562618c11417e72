/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/coordinationstate.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/transcript.h"
#include "crypto/sha256.h"

static struct rn_record_key key_of(enum rn_record_kind kind, uint32_t round, uint32_t attempt,
                                   const uint8_t *session)
{
    struct rn_record_key key = {.kind = kind, .round = round, .attempt = attempt};
    if (session != NULL) {
        memcpy(key.session, session, RN_HASH_BYTES);
    }
    return key;
}

void rn_coord_write_attempt(struct rn_coordination *c, const struct rn_coord_session *session)
{
    const struct rn_record_key key =
        key_of(RN_RECORD_ATTEMPT, session->round, session->attempt, session->id);
    struct rn_job_batch *batch = rn_effects_commit(c->out);
    rn_buffer_append(rn_job_batch_write(batch, &key), session->before, RN_HASH_BYTES);
    rn_job_batch_prune(batch, RN_RECORD_ATTEMPT, rn_coord_open_from(c));
}

/* Moves the bytes. */
void rn_coord_write_machine(struct rn_coordination *c, const struct rn_coord_session *session,
                            enum rn_record_kind kind, struct rn_buffer *bytes)
{
    const struct rn_record_key key = key_of(kind, session->round, session->attempt, session->id);
    *rn_job_batch_write(rn_effects_commit(c->out), &key) = *bytes;
    *bytes = (struct rn_buffer){0};
}

void rn_coord_write_blamed(struct rn_coordination *c, const struct rn_coord_session *session,
                           const struct rn_sa_set *blamed)
{
    const struct rn_record_key key =
        key_of(RN_RECORD_BLAMED, session->round, session->attempt, session->id);
    rn_sa_set_write(rn_job_batch_write(rn_effects_commit(c->out), &key), blamed);
    c->blamed = rn_sa_set_either(&c->blamed, blamed);
    rn_coord_log_blamed(c, session, blamed);
}

rn_result rn_coord_read_blamed(void *coordination, const struct rn_record_key *key,
                               struct rn_view body, struct rn_error *err)
{
    struct rn_coordination *c = coordination;
    struct rn_reader r = rn_reader_of(body);
    const struct rn_sa_set blamed = rn_sa_set_read(&r);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_DATA, "journal: who was blamed in round %u is damaged",
              (unsigned)key->round);
    c->blamed = rn_sa_set_either(&c->blamed, &blamed);
    return rn_ok();
}

/* Once, it is left out of the rest of its round and the next one; then of two, four, ... */
static void take_silent(struct rn_coordination *c, const struct rn_record_key *key,
                        const struct rn_sa_set *silent)
{
    c->silent_round = key->round;
    c->silent_attempt = key->attempt;
    for (uint32_t i = rn_sa_set_next(silent, 0); i < c->peer_count;
         i = rn_sa_set_next(silent, i + 1)) {
        struct rn_coord_peer *peer = &c->peers[i];
        const uint32_t rounds = UINT32_C(1) << (peer->silences < 30 ? peer->silences : 30);
        peer->silences++;
        peer->out_until = key->round + rounds;
    }
}

void rn_coord_write_silent(struct rn_coordination *c, const struct rn_coord_session *session,
                           const struct rn_sa_set *silent)
{
    const struct rn_record_key key =
        key_of(RN_RECORD_SILENT, session->round, session->attempt, session->id);
    rn_sa_set_write(rn_job_batch_write(rn_effects_commit(c->out), &key), silent);
    take_silent(c, &key, silent);
}

rn_result rn_coord_read_silent(void *coordination, const struct rn_record_key *key,
                               struct rn_view body, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const struct rn_sa_set silent = rn_sa_set_read(&r);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_DATA,
              "journal: whose silence ended round %u is damaged", (unsigned)key->round);
    take_silent(coordination, key, &silent);
    return rn_ok();
}

void rn_coord_write_skipped(struct rn_coordination *c, const struct rn_job_result *result)
{
    const struct rn_record_key key =
        key_of(RN_RECORD_RESULT, result->round, result->attempt, result->session);
    rn_job_result_write(result, rn_job_batch_write(rn_effects_commit(c->out), &key));
}

rn_result rn_coord_write_sum(struct rn_coordination *c, const struct rn_job_result *result,
                             struct rn_error *err)
{
    struct rn_job_batch *batch = rn_effects_commit(c->out);
    if (c->blind) {
        const struct rn_record_key key =
            key_of(RN_RECORD_RESULT, result->round, result->attempt, result->session);
        rn_job_result_write(result, rn_job_batch_write(batch, &key));
        return rn_ok();
    }
    rn_job_batch_prune(batch, RN_RECORD_ADAPTER,
                       result->round < c->unpublished_from ? result->round : c->unpublished_from);
    return rn_job_sum_write(result, c->model, &c->course, batch, err);
}

void rn_coord_write_metrics(struct rn_coordination *c, uint32_t round,
                            const struct rn_job_metrics *metrics)
{
    const struct rn_record_key key = key_of(RN_RECORD_METRICS, round, 0, NULL);
    rn_job_metrics_write(metrics, rn_job_batch_write(rn_effects_commit(c->out), &key));
}

/* Signed: whoever reads the record later sees that this coordinator ended the job. */
void rn_coord_write_end(struct rn_coordination *c, rn_result result, const struct rn_error *err)
{
    const struct rn_record_key key = key_of(RN_RECORD_END, c->round, c->attempt, NULL);
    struct rn_job_end end = {.code = result.code};
    memcpy(end.text, err->text, sizeof(end.text));
    rn_job_end_sign(&end, c->basis->identity, c->basis->plan->hash, c->round);
    rn_job_end_write(&end, rn_job_batch_write(rn_effects_commit(c->out), &key));
}

/* ---- Index */

void rn_coord_index_add(struct rn_coordination *c, const struct rn_job_result *result)
{
    if (c->round_count == c->round_capacity) {
        const size_t capacity = c->round_capacity == 0 ? 16 : 2 * c->round_capacity;
        c->rounds = rn_realloc(c->rounds, c->round_capacity, capacity, sizeof(*c->rounds));
        c->round_capacity = capacity;
    }
    struct rn_coord_round *round = &c->rounds[c->round_count++];
    *round = (struct rn_coord_round){
        .round = result->round, .attempt = result->attempt, .start_round = c->course.last_start};
    memcpy(round->session, result->session, RN_HASH_BYTES);
    memcpy(round->before, result->before, RN_HASH_BYTES);
}

const struct rn_coord_round *rn_coord_index_find(const struct rn_coordination *c, uint32_t from)
{
    size_t low = 0;
    size_t high = c->round_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (c->rounds[middle].round < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < c->round_count ? &c->rounds[low] : NULL;
}

uint32_t rn_coord_start_of(const struct rn_coordination *c, uint32_t round)
{
    const struct rn_coord_round *summed = rn_coord_index_find(c, round);
    return summed != NULL ? summed->start_round : c->course.start_round;
}

/* ---- Pruning */

/* A stranded member cannot use them any more; one that was not seen since this process began may
 * need any of them. */
static uint32_t kept_from(const struct rn_coordination *c)
{
    uint32_t least = rn_coord_open_from(c);
    for (uint32_t i = 0; i < c->peer_count; i++) {
        const struct rn_coord_peer *peer = &c->peers[i];
        const struct rn_coord_round *missed =
            rn_coord_index_find(c, peer->known ? peer->next_round : 1);
        if (!peer->stranded && missed != NULL && missed->round < least) {
            least = missed->round;
        }
    }
    return least;
}

/* Two whole vectors of a summed round: the masked sum and the sum. */
static uint64_t kept_bytes(const struct rn_coordination *c, const struct rn_coord_round *round)
{
    const struct rn_job_basis *basis = c->basis;
    struct rn_sa_params params;
    struct rn_sa_context context;
    struct rn_sa_layout layout;
    if (!rn_is_ok(rn_round_session(c->model, basis->plan, basis->roster, basis->base_hash,
                                   round->round, round->attempt, round->start_round, round->before,
                                   &params, &context, NULL))) {
        return 0;
    }
    rn_sa_layout_init(&layout, &params, &context);
    return 2 * rn_sa_layout_vector_bytes(&layout);
}

/* The first round from `from` on whose vectors, with all later ones, are within the limit. */
static uint32_t within_limit(const struct rn_coordination *c, uint32_t from)
{
    const uint64_t limit =
        c->config.kept_bytes == 0 ? RN_COORD_KEPT_BYTES_DEFAULT : c->config.kept_bytes;
    uint64_t bytes = 0;
    for (size_t i = c->round_count; i-- > 0 && c->rounds[i].round >= from;) {
        bytes += kept_bytes(c, &c->rounds[i]);
        if (bytes > limit && i + 1 < c->round_count) {
            return c->rounds[i + 1].round;
        }
    }
    return from;
}

void rn_coord_prune(struct rn_coordination *c)
{
    const uint32_t wanted = kept_from(c);
    const uint32_t from = within_limit(c, wanted);
    if (from > wanted && from > c->pruned_below) {
        rn_effects_event(c->out,
                         (struct rn_job_event){.kind = RN_JOB_SUMS_DROPPED, .round = from - 1});
    }
    if (from > c->pruned_below) {
        c->pruned_below = from;
        rn_job_batch_prune(rn_effects_commit(c->out), RN_RECORD_AGGREGATOR, from);
    }
}
