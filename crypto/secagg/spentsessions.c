/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/spentsessions.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/spent.h"

#include <search.h>
#include <string.h>

/* The trees are those of tsearch(3); their nodes point to entries. An update that several sessions
 * spent (about other parts of it) has one node, at the first of a list. */

static int compare_sessions(const void *a, const void *b)
{
    const struct rn_sa_spent_session *x = a;
    const struct rn_sa_spent_session *y = b;
    return memcmp(x->session, y->session, RN_HASH_BYTES);
}

static int compare_updates(const void *a, const void *b)
{
    const struct rn_sa_spent_session *x = a;
    const struct rn_sa_spent_session *y = b;
    const int adapters = memcmp(x->adapter, y->adapter, RN_HASH_BYTES);
    return adapters != 0 ? adapters : memcmp(x->base, y->base, RN_HASH_BYTES);
}

static void leave(void *entry)
{
    (void)entry; /* the other tree frees it */
}

void rn_sa_spent_sessions_clear(struct rn_sa_spent_sessions *sessions)
{
    tdestroy(sessions->by_update, leave);
    tdestroy(sessions->by_session, rn_free);
    memset(sessions, 0, sizeof *sessions);
}

const struct rn_sa_spent_session *
rn_sa_spent_sessions_find(const struct rn_sa_spent_sessions *sessions,
                          const uint8_t session[static RN_HASH_BYTES])
{
    struct rn_sa_spent_session key;
    memcpy(key.session, session, RN_HASH_BYTES);
    struct rn_sa_spent_session *const *node = tfind(&key, &sessions->by_session, compare_sessions);
    return node == NULL ? NULL : *node;
}

const struct rn_sa_spent_session *
rn_sa_spent_sessions_of(const struct rn_sa_spent_sessions *sessions,
                        const uint8_t base[static RN_HASH_BYTES],
                        const uint8_t adapter[static RN_HASH_BYTES], uint32_t active)
{
    struct rn_sa_spent_session key;
    memcpy(key.base, base, RN_HASH_BYTES);
    memcpy(key.adapter, adapter, RN_HASH_BYTES);
    struct rn_sa_spent_session *const *node = tfind(&key, &sessions->by_update, compare_updates);
    const struct rn_sa_spent_session *entry = node == NULL ? NULL : *node;
    while (entry != NULL && (entry->active & active) == 0) {
        entry = entry->same;
    }
    return entry;
}

rn_result rn_sa_spent_sessions_add(struct rn_sa_spent_sessions *sessions,
                                   const struct rn_sa_spent_session *entry, struct rn_error *err)
{
    if (rn_sa_spent_sessions_find(sessions, entry->session) != NULL) {
        return rn_ok();
    }
    RN_ENSURE(sessions->count < RN_SA_SPENT_MAX, err, RN_E_DATA,
              "more than %u sessions without an end", RN_SA_SPENT_MAX);
    struct rn_sa_spent_session *added = rn_alloc(1, sizeof *added);
    *added = *entry;
    added->same = NULL;
    struct rn_sa_spent_session **update = tsearch(added, &sessions->by_update, compare_updates);
    void *const *node = tsearch(added, &sessions->by_session, compare_sessions);
    RN_BUG_IF(update == NULL || node == NULL); /* no memory for a node: as rn_alloc */
    if (*update != added) {
        added->same = (*update)->same;
        (*update)->same = added;
    }
    sessions->count++;
    return rn_ok();
}

/* Out of the list of its update; the tree keeps one node for what is left of that. */
static void unlink_update(struct rn_sa_spent_sessions *sessions, struct rn_sa_spent_session *entry)
{
    struct rn_sa_spent_session **node = tfind(entry, &sessions->by_update, compare_updates);
    if (*node == entry && entry->same == NULL) {
        (void)tdelete(entry, &sessions->by_update, compare_updates);
        return;
    }
    struct rn_sa_spent_session **link = node;
    while (*link != entry) {
        link = &(*link)->same;
    }
    *link = entry->same;
}

void rn_sa_spent_sessions_remove(struct rn_sa_spent_sessions *sessions,
                                 const uint8_t session[static RN_HASH_BYTES])
{
    struct rn_sa_spent_session key;
    memcpy(key.session, session, RN_HASH_BYTES);
    struct rn_sa_spent_session *const *node = tfind(&key, &sessions->by_session, compare_sessions);
    if (node != NULL) {
        struct rn_sa_spent_session *entry = *node;
        unlink_update(sessions, entry);
        (void)tdelete(entry, &sessions->by_session, compare_sessions);
        rn_free(entry);
        sessions->count--;
    }
}
