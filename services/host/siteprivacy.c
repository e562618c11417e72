/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/siteprivacy.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/roster.h"
#include "services/host/privacycopy.h"

#define LOCK RN_SITE_PRIVACY_PREFIX "ledger.lock"

enum { BESIDE, IN_STATE, COPIES };

struct rn_siteprivacy {
    const struct rn_identity *identity;
    struct rn_privacycopy copies[COPIES];
    bool writes[COPIES]; /* the copy is kept up */
    bool broken;         /* a write failed: what is durable is known after the next opening */
    int lock;
    struct rn_privacy_ledger *ledger;
};

rn_result rn_siteprivacy_path(const char *directory, const char *lineage,
                              char out[static RN_PATH_MAX], struct rn_error *err)
{
    char name[RN_PRIVACY_NAME_MAX + sizeof RN_SITE_PRIVACY_PREFIX RN_SITE_PRIVACY_SUFFIX];
    RN_ENSURE(rn_name_valid(lineage), err, RN_E_CONFIG,
              "a lineage's name has 1 to %d of the characters a-z, 0-9 and -", RN_PRIVACY_NAME_MAX);
    RN_BUG_IF(!rn_text_format(name, sizeof name, "%s%s%s", RN_SITE_PRIVACY_PREFIX, lineage,
                              RN_SITE_PRIVACY_SUFFIX));
    return rn_path_join(out, directory, name, err);
}

/* ---- Opening. */

/* In the state where the other directory is read-only, as for jobs.ledger. */
static rn_result lock_take(struct rn_siteprivacy *privacy, const struct rn_siteprivacy_place *place,
                           struct rn_error *err)
{
    char path[RN_PATH_MAX];
    const char *directory = privacy->writes[BESIDE] ? place->directory : place->state;
    RN_TRY(rn_path_join(path, directory, LOCK, err));
    const rn_result taken = rn_file_lock(path, &privacy->lock, err);
    return rn_is_ok(taken)
               ? taken
               : rn_fail_context(err, taken, "%s: another rondo-trainer holds the privacy ledger",
                                 directory);
}

static bool same_file(const struct rn_privacycopy *a, const struct rn_privacycopy *b)
{
    struct stat facts[2];
    return fstat(a->descriptor, &facts[0]) == 0 && fstat(b->descriptor, &facts[1]) == 0 &&
           facts[0].st_dev == facts[1].st_dev && facts[0].st_ino == facts[1].st_ino;
}

/* No file is made before it is known that there is to be a ledger. */
static rn_result copy_open(struct rn_siteprivacy *privacy, int which, const char *path, bool begin,
                           struct rn_error *err)
{
    struct rn_privacycopy *copy = &privacy->copies[which];
    if (!rn_file_exists(path) && (!begin || !privacy->writes[which])) {
        RN_BUG_IF(!rn_text_format(copy->path, sizeof copy->path, "%s", path));
        return rn_ok();
    }
    return rn_privacycopy_open(path, privacy->writes[which], copy, err);
}

static rn_result copies_open(struct rn_siteprivacy *privacy,
                             const struct rn_siteprivacy_place *place, bool begin,
                             struct rn_error *err)
{
    char paths[COPIES][RN_PATH_MAX];
    RN_TRY(rn_siteprivacy_path(place->directory, place->lineage, paths[BESIDE], err));
    RN_TRY(rn_siteprivacy_path(place->state, place->lineage, paths[IN_STATE], err));
    begin = begin || rn_file_exists(paths[BESIDE]) || rn_file_exists(paths[IN_STATE]);
    RN_ENSURE(begin, err, RN_E_NO_INPUT, "%s: there is no privacy ledger", paths[BESIDE]);
    RN_TRY(copy_open(privacy, BESIDE, paths[BESIDE], begin, err));
    RN_TRY(copy_open(privacy, IN_STATE, paths[IN_STATE], begin, err));
    if (same_file(&privacy->copies[BESIDE], &privacy->copies[IN_STATE])) {
        rn_privacycopy_close(&privacy->copies[BESIDE]); /* one directory is both */
        privacy->copies[BESIDE].whole = 0;
        privacy->writes[BESIDE] = false;
    }
    return rn_ok();
}

/* The longer of both; the other one is its beginning. */
static rn_result copies_choose(const struct rn_siteprivacy *privacy,
                               const struct rn_privacycopy **out, struct rn_error *err)
{
    const struct rn_privacycopy *a = &privacy->copies[BESIDE];
    const struct rn_privacycopy *b = &privacy->copies[IN_STATE];
    const uint64_t both = a->whole < b->whole ? a->whole : b->whole;
    *out = a->whole > b->whole ? a : b;
    return both > 0 ? rn_privacycopy_compare(a, b, both, err) : rn_ok();
}

static rn_result copies_bring_up(struct rn_siteprivacy *privacy, const struct rn_privacycopy *from,
                                 struct rn_error *err)
{
    for (int i = 0; i < COPIES; i++) {
        if (privacy->writes[i]) {
            RN_TRY(rn_privacycopy_bring_up(&privacy->copies[i], from, err));
        }
    }
    return rn_ok();
}

static rn_result write_line(struct rn_siteprivacy *privacy, struct rn_view line,
                            struct rn_error *err)
{
    for (int i = 0; i < COPIES; i++) {
        if (privacy->writes[i]) {
            RN_TRY(rn_privacycopy_append(&privacy->copies[i], line, err));
        }
    }
    return rn_ok();
}

/* Durable, then part of the ledger. */
static rn_result append(struct rn_siteprivacy *privacy, struct rn_privacy_record *record,
                        struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    size_t taken = 0;
    RN_ENSURE(!privacy->broken, err, RN_E_IO,
              "the privacy ledger could not be written before, so nothing more is; start again");
    RN_TRY(rn_privacy_ledger_append(privacy->ledger, privacy->identity, record, &line, err));
    privacy->broken = true;
    RN_TRY(write_line(privacy, rn_buffer_view(&line), err));
    RN_TRY(rn_privacy_ledger_replay(privacy->ledger, rn_buffer_view(&line),
                                    RN_PRIVACY_SIGNATURES_LAST, &taken, err));
    privacy->broken = false;
    return rn_ok();
}

static rn_result begin(struct rn_siteprivacy *privacy, const struct rn_privacy_terms *terms,
                       struct rn_error *err)
{
    struct rn_privacy_record record = {.kind = RN_PRIVACY_RECORD_HEADER, .as.header = *terms};
    return append(privacy, &record, err);
}

static rn_result is_own(const struct rn_siteprivacy *privacy,
                        const struct rn_siteprivacy_place *place, struct rn_error *err)
{
    const struct rn_privacy_terms *terms = &privacy->ledger->terms;
    RN_ENSURE(memcmp(terms->identity, rn_identity_public_of(place->identity)->bytes, 32) == 0, err,
              RN_E_IDENTITY,
              "%s: the privacy ledger of another identity than identity.key beside it",
              privacy->copies[BESIDE].path);
    RN_ENSURE(strcmp(terms->lineage, place->lineage) == 0, err, RN_E_DATA,
              "%s: the privacy ledger of lineage %s, under another name",
              privacy->copies[BESIDE].path, terms->lineage);
    return rn_ok();
}

static rn_result fill_terms(const struct rn_siteprivacy_place *place,
                            struct rn_privacy_terms *terms, struct rn_error *err)
{
    memcpy(terms->identity, rn_identity_public_of(place->identity)->bytes, 32);
    RN_ENSURE(rn_text_format(terms->lineage, sizeof terms->lineage, "%s", place->lineage), err,
              RN_E_CONFIG, "a lineage's name has 1 to %d of the characters a-z, 0-9 and -",
              RN_PRIVACY_NAME_MAX);
    return rn_privacy_terms_derive(terms, err);
}

static rn_result load(struct rn_siteprivacy *privacy, const struct rn_siteprivacy_place *place,
                      const struct rn_privacy_terms *terms, struct rn_error *err)
{
    const struct rn_privacycopy *from = NULL;
    RN_TRY(copies_choose(privacy, &from, err));
    RN_ENSURE(from->whole > 0 || terms != NULL, err, RN_E_NO_INPUT,
              "%s: there is no privacy ledger", privacy->copies[BESIDE].path);
    if (from->whole > 0) {
        RN_TRY(rn_privacycopy_replay(from, RN_PRIVACY_SIGNATURES_LAST, privacy->ledger, err));
        RN_TRY(is_own(privacy, place, err));
    }
    if (from->whole > 0 && terms != NULL) {
        RN_TRY(rn_privacy_terms_equal(&privacy->ledger->terms, terms, err));
    }
    RN_TRY(copies_bring_up(privacy, from, err));
    return from->whole > 0 ? rn_ok() : begin(privacy, terms, err);
}

static rn_result open_all(struct rn_siteprivacy *privacy, const struct rn_siteprivacy_place *place,
                          const struct rn_privacy_terms *terms, struct rn_error *err)
{
    struct rn_privacy_terms filled = terms != NULL ? *terms : (struct rn_privacy_terms){0};
    privacy->writes[BESIDE] = access(place->directory, W_OK) == 0;
    privacy->writes[IN_STATE] = true;
    if (terms != NULL) {
        RN_TRY(fill_terms(place, &filled, err));
    }
    RN_TRY(lock_take(privacy, place, err));
    RN_TRY(copies_open(privacy, place, terms != NULL, err));
    return load(privacy, place, terms != NULL ? &filled : NULL, err);
}

rn_result rn_siteprivacy_open(const struct rn_siteprivacy_place *place,
                              const struct rn_privacy_terms *terms, struct rn_siteprivacy **out,
                              struct rn_error *err)
{
    struct rn_siteprivacy *privacy = rn_alloc(1, sizeof *privacy);
    privacy->identity = place->identity;
    privacy->lock = privacy->copies[BESIDE].descriptor = privacy->copies[IN_STATE].descriptor = -1;
    privacy->ledger = rn_privacy_ledger_new();
    const rn_result result = open_all(privacy, place, terms, err);
    if (!rn_is_ok(result)) {
        rn_siteprivacy_free(privacy);
        return result;
    }
    *out = privacy;
    return rn_ok();
}

void rn_siteprivacy_free(struct rn_siteprivacy *privacy)
{
    if (privacy != NULL) {
        rn_privacycopy_close(&privacy->copies[BESIDE]);
        rn_privacycopy_close(&privacy->copies[IN_STATE]);
        rn_file_unlock(&privacy->lock);
        rn_privacy_ledger_free(privacy->ledger);
        rn_free(privacy);
    }
}

rn_result rn_siteprivacy_expect(const struct rn_siteprivacy *privacy, uint64_t counter,
                                struct rn_error *err)
{
    RN_ENSURE(privacy->ledger->counter >= counter, err, RN_E_DATA,
              "%s is an old copy: it knows %" PRIu64 " trainings, but training %" PRIu64
              " was begun here. Put the newest copy back; without it nobody knows what this "
              "lineage has spent, and its data cannot be trained on any more",
              privacy->copies[IN_STATE].path, privacy->ledger->counter, counter);
    return rn_ok();
}

/* ---- Records. */

static bool same_plan(const struct rn_privacy_plan *kept, const struct rn_privacy_plan *wanted)
{
    struct rn_privacy_record a = {.kind = rn_privacy_plan_kind(kept), .as.plan = *kept};
    struct rn_privacy_record b = {.kind = rn_privacy_plan_kind(wanted), .as.plan = *wanted};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text_a = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text_b = {0};
    b.as.plan.deviation = kept->deviation;
    b.as.plan.cut = kept->cut;
    b.as.plan.filter_before = kept->filter_before;
    b.as.plan.filter_after = kept->filter_after;
    b.as.plan.dimension = kept->dimension; /* a bound that the policy may move; the model stays */
    b.as.plan.epsilon = kept->epsilon;     /* of an accountant, whose version may be a newer one */
    rn_privacy_record_write(&a, &text_a);
    rn_privacy_record_write(&b, &text_b);
    return rn_view_equal(rn_buffer_view(&text_a), rn_buffer_view(&text_b));
}

rn_result rn_siteprivacy_begin_plan(struct rn_siteprivacy *privacy,
                                    const struct rn_privacy_plan *plan, struct rn_error *err)
{
    struct rn_privacy_record record = {.kind = rn_privacy_plan_kind(plan), .as.plan = *plan};
    const struct rn_privacy_planstate *known = rn_privacy_ledger_find(privacy->ledger, plan->hash);
    if (known != NULL) {
        RN_ENSURE(same_plan(&known->plan, plan), err, RN_E_REFUSED,
                  "plan %s was begun with other numbers than it has now", known->plan.name);
        return rn_ok();
    }
    return append(privacy, &record, err);
}

rn_result rn_siteprivacy_intent(struct rn_siteprivacy *privacy,
                                const struct rn_privacy_intent *intent, uint64_t *out_counter,
                                struct rn_error *err)
{
    struct rn_privacy_record record = {.kind = RN_PRIVACY_RECORD_INTENT, .as.intent = *intent};
    RN_TRY(append(privacy, &record, err));
    *out_counter = privacy->ledger->counter;
    return rn_ok();
}

rn_result rn_siteprivacy_commit(struct rn_siteprivacy *privacy, uint64_t counter,
                                const uint8_t output[static 32], enum rn_privacy_status status,
                                struct rn_error *err)
{
    struct rn_privacy_record record = {.kind = RN_PRIVACY_RECORD_COMMIT,
                                       .as.commit = {.counter = counter, .status = status}};
    const struct rn_privacy_ledger *ledger = privacy->ledger;
    const bool there = ledger->committed && ledger->counter == counter &&
                       ledger->commit.status == status &&
                       memcmp(ledger->commit.output, output, 32) == 0;
    memcpy(record.as.commit.output, output, 32);
    return there ? rn_ok() : append(privacy, &record, err);
}

rn_result rn_siteprivacy_close_plan(struct rn_siteprivacy *privacy, const uint8_t plan[static 32],
                                    struct rn_error *err)
{
    struct rn_privacy_record record = {.kind = RN_PRIVACY_RECORD_CLOSE};
    const struct rn_privacy_planstate *state = rn_privacy_ledger_find(privacy->ledger, plan);
    memcpy(record.as.close.plan, plan, 32);
    return state != NULL && state->closed ? rn_ok() : append(privacy, &record, err);
}

rn_result rn_siteprivacy_release(struct rn_siteprivacy *privacy,
                                 const struct rn_privacy_release *release, struct rn_error *err)
{
    struct rn_privacy_record record = {.kind = RN_PRIVACY_RECORD_RELEASE, .as.release = *release};
    return append(privacy, &record, err);
}

rn_result rn_siteprivacy_mark_nonprivate(struct rn_siteprivacy *privacy,
                                         const uint8_t plan[static 32], const char *name,
                                         struct rn_error *err)
{
    struct rn_privacy_record record = {.kind = RN_PRIVACY_RECORD_NONPRIVATE};
    struct rn_privacy_nonprivate *mark = &record.as.nonprivate;
    const struct rn_privacy_ledger *ledger = privacy->ledger;
    RN_ENSURE(rn_text_format(mark->name, sizeof mark->name, "%s", name), err, RN_E_CONFIG,
              "a plan's name has 1 to %d of the characters a-z, 0-9 and -", RN_PRIVACY_NAME_MAX);
    memcpy(mark->plan, plan, 32);
    const bool there =
        ledger->nonprivate > 0 && memcmp(ledger->nonprivate_plan, plan, 32) == 0 && !ledger->open;
    return there ? rn_ok() : append(privacy, &record, err);
}

const struct rn_privacy_ledger *rn_siteprivacy_ledger(const struct rn_siteprivacy *privacy)
{
    return privacy->ledger;
}
