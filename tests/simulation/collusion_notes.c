/* SPDX-License-Identifier: Apache-2.0
 *
 * Chance, and what was signed and uploaded so far. Included by
 * test_secagg_corrupt.c.
 */
#include "tests/simulation/collusion.h"

static uint32_t below(struct plot *p, uint32_t bound)
{
    return sim_below(p->sim, bound);
}

static bool chance(struct plot *p, uint32_t percent)
{
    return below(p, 100) < percent;
}

/* Is it on the menu, and does it happen here? Counted by who does it: saw. */
static bool wants(struct plot *p, enum item item)
{
    return p->menu[item] && chance(p, 70);
}

static void saw(struct plot *p, enum item item)
{
    p->tally->seen[item]++;
}

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, RN_HASH_BYTES) == 0;
}

static uint64_t value_of(uint64_t vector, uint64_t element, uint64_t most)
{
    uint64_t z = vector * 0x9e3779b97f4a7c15u + element + 1;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % (most + 1);
}

static rn_result read_vector(void *context, uint64_t first, uint32_t count, uint64_t *out,
                             struct rn_error *err)
{
    (void)err;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = value_of(*(const uint64_t *)context, first + i, 65534);
    }
    return rn_ok();
}

/* The bytes stay where they are until the sequence ends. */
static struct note *write_down(struct plot *p, uint32_t from, struct rn_view bytes)
{
    if (p->note_count == p->note_capacity) {
        const size_t capacity = p->note_capacity == 0 ? 256 : 2 * p->note_capacity;
        p->notes = rn_realloc(p->notes, p->note_capacity, capacity, sizeof *p->notes);
        p->note_capacity = capacity;
    }
    struct note *note = &p->notes[p->note_count++];
    *note = (struct note){.from = from};
    rn_buffer_append(&note->bytes, bytes.data, bytes.length);
    note->m = sim_parse(&note->bytes);
    return note;
}

static struct upload *add_upload(struct plot *p)
{
    p->uploads = rn_realloc(p->uploads, p->upload_count, p->upload_count + 1, sizeof *p->uploads);
    struct upload *upload = &p->uploads[p->upload_count++];
    *upload = (struct upload){.at = p->note_count};
    return upload;
}

static const struct upload *find_upload(const struct plot *p, uint32_t member, const uint8_t *t1,
                                        const uint8_t *root)
{
    for (size_t k = p->upload_count; k-- > 0;) {
        const struct upload *u = &p->uploads[k];
        if (u->member == member && same(u->t1, t1) && (root == NULL || same(u->root, root))) {
            return u;
        }
    }
    return NULL;
}

static struct seance *find_seance(struct plot *p, const uint8_t *id)
{
    for (uint32_t k = 0; k < p->seance_count; k++) {
        if (same(p->seances[k].id, id)) {
            return &p->seances[k];
        }
    }
    return NULL;
}

/* The adapter that follows from a sum, as a service would name it. */
static void adapter_after(const uint8_t *before, const uint64_t *sum, uint8_t *out)
{
    const struct rn_view parts[] = {rn_view_of(before, RN_HASH_BYTES),
                                    rn_view_of(sum, ELEMENTS * sizeof *sum)};
    rn_sha256(out, "test adapter", parts, RN_ARRAY_LENGTH(parts));
}
