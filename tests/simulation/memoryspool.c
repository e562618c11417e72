/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulation/memoryspool.h"

#include "base/alloc.h"
#include "base/guard.h"

static struct rn_buffer *place_at(void *context, uint32_t member, uint32_t chunk)
{
    struct memory_spool *spool = context;
    RN_BUG_IF(member >= spool->members || chunk >= MEMORY_SPOOL_CHUNKS);
    return &spool->places[member * MEMORY_SPOOL_CHUNKS + chunk];
}

static rn_result spool_put(void *context, uint32_t member, uint32_t chunk, struct rn_view bytes,
                           struct rn_error *err)
{
    struct rn_buffer *place = place_at(context, member, chunk);
    (void)err;
    place->length = 0;
    rn_buffer_append(place, bytes.data, bytes.length);
    return rn_ok();
}

static rn_result spool_get(void *context, uint32_t member, uint32_t chunk, size_t length,
                           struct rn_buffer *out, struct rn_error *err)
{
    const struct rn_buffer *place = place_at(context, member, chunk);
    RN_ENSURE(place->length == length, err, RN_E_IO, "there is no such upload");
    rn_buffer_append(out, place->data, place->length);
    return rn_ok();
}

static void spool_drop(void *context, uint32_t member)
{
    for (uint32_t chunk = 0; chunk < MEMORY_SPOOL_CHUNKS; chunk++) {
        rn_buffer_clear(place_at(context, member, chunk));
    }
}

void memory_spool_init(struct memory_spool *spool, uint32_t members)
{
    spool->face = (struct rn_sa_spool){spool, spool_put, spool_get, spool_drop};
    spool->members = members;
    spool->places = rn_alloc((size_t)members * MEMORY_SPOOL_CHUNKS, sizeof *spool->places);
}

void memory_spool_forget(struct memory_spool *spool)
{
    for (uint32_t i = 0; i < spool->members; i++) {
        spool_drop(spool, i);
    }
}

void memory_spool_clear(struct memory_spool *spool)
{
    memory_spool_forget(spool);
    rn_free(spool->places);
}
