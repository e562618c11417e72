/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/jobledger.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

void rn_job_ledger_init(struct rn_job_ledger *ledger, const struct rn_identity_public *identity)
{
    memset(ledger, 0, sizeof *ledger);
    ledger->identity = *identity;
}

void rn_job_ledger_write(const struct rn_job_ledger *ledger, struct rn_buffer *out)
{
    char a[65];
    char b[65];
    rn_buffer_clear(out);
    rn_hex_encode(a, ledger->identity.bytes, 32);
    rn_buffer_format(out, "rondo-jobs 1\nidentity %s\n", a);
    for (uint32_t i = 0; i < ledger->count; i++) {
        const struct rn_job_entry *entry = &ledger->entries[i];
        rn_hex_encode(a, entry->plan_hash, 32);
        rn_hex_encode(b, entry->model_hash, 32);
        rn_buffer_format(out, "job %s model %s seed %020" PRIu64 "\n", a, b, entry->seed);
    }
}

/* ---- Reading: fields of a fixed width, so that what is read is what would be written. */

static bool take_word(struct rn_reader *reader, const char *word)
{
    const struct rn_view view = rn_read_view(reader, strlen(word));
    return !reader->failed && memcmp(view.data, word, view.length) == 0;
}

static bool take_hash(struct rn_reader *reader, uint8_t out[static 32])
{
    char text[65];
    const struct rn_view view = rn_read_view(reader, 64);
    if (reader->failed) {
        return false;
    }
    memcpy(text, view.data, 64);
    text[64] = '\0';
    if (!rn_hex_decode(out, 32, text)) {
        return false;
    }
    rn_hex_encode(text, out, 32); /* in lower case alone */
    return memcmp(text, view.data, 64) == 0;
}

static bool take_number(struct rn_reader *reader, uint64_t *out)
{
    const struct rn_view view = rn_read_view(reader, 20);
    *out = 0;
    for (size_t i = 0; !reader->failed && i < 20; i++) {
        const uint8_t digit = (uint8_t)(view.data[i] - '0');
        if (digit > 9 || *out > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *out = *out * 10 + digit;
    }
    return !reader->failed;
}

static bool take_entry(struct rn_reader *reader, struct rn_job_entry *out)
{
    return take_word(reader, "job ") && take_hash(reader, out->plan_hash) &&
           take_word(reader, " model ") && take_hash(reader, out->model_hash) &&
           take_word(reader, " seed ") && take_number(reader, &out->seed) &&
           take_word(reader, "\n");
}

rn_result rn_job_ledger_parse(struct rn_view text, const char *source,
                              const struct rn_identity_public *identity, struct rn_job_ledger *out,
                              struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(text);
    struct rn_identity_public owner;
    rn_job_ledger_init(out, identity);
    RN_ENSURE(take_word(&reader, "rondo-jobs 1\nidentity ") && take_hash(&reader, owner.bytes) &&
                  take_word(&reader, "\n"),
              err, RN_E_DATA, "%s: no ledger of jobs, or a damaged one", source);
    RN_ENSURE(rn_identity_public_equal(&owner, identity), err, RN_E_IDENTITY,
              "%s: the ledger of another identity than identity.key beside it", source);
    while (rn_reader_left(&reader) > 0) {
        RN_ENSURE(out->count < RN_JOB_LEDGER_MAX && take_entry(&reader, &out->entries[out->count]),
                  err, RN_E_DATA, "%s: entry %u is damaged, or more than %u", source,
                  out->count + 1, RN_JOB_LEDGER_MAX);
        RN_ENSURE(!rn_job_ledger_has(out, out->entries[out->count].plan_hash), err, RN_E_DATA,
                  "%s: entry %u stands there twice", source, out->count + 1);
        out->count++;
    }
    return rn_ok();
}

/* ---- The rule. */

bool rn_job_ledger_has(const struct rn_job_ledger *ledger, const uint8_t plan_hash[static 32])
{
    for (uint32_t i = 0; i < ledger->count; i++) {
        if (memcmp(ledger->entries[i].plan_hash, plan_hash, 32) == 0) {
            return true;
        }
    }
    return false;
}

static rn_result room_check(const struct rn_job_ledger *ledger, struct rn_error *err)
{
    RN_ENSURE(ledger->count < RN_JOB_LEDGER_MAX, err, RN_E_REFUSED,
              "the ledger of jobs is full: an identity takes part in at most %u plans",
              RN_JOB_LEDGER_MAX);
    return rn_ok();
}

rn_result rn_job_ledger_check(const struct rn_job_ledger *ledger, const struct rn_plan *plan,
                              uint32_t jobs_max, struct rn_error *err)
{
    uint32_t jobs = 1;
    char hash[65] = "";
    if (rn_job_ledger_has(ledger, plan->hash)) {
        return rn_ok();
    }
    for (uint32_t i = 0; i < ledger->count; i++) {
        const struct rn_job_entry *entry = &ledger->entries[i];
        if (memcmp(entry->model_hash, plan->model_hash, 32) != 0) {
            continue;
        }
        jobs++;
        rn_hex_encode(hash, entry->plan_hash, 32);
        RN_ENSURE(entry->seed != plan->seed, err, RN_E_REFUSED,
                  "the plan begins with the model and seed of plan %.16s..., which this site's "
                  "updates went into: sums of both jobs over other members would show one member's "
                  "update; give it another seed",
                  hash);
    }
    RN_ENSURE(
        jobs <= jobs_max, err, RN_E_REFUSED,
        "this site's updates went into %u job(s) over this base model already, the last of "
        "plan %.16s...: a sum of each, over other members, differ by this site's contribution "
        "up to training noise. upload.jobs_max of policy.yaml allows %u; raise it to %u if "
        "this organisation accepts that",
        jobs - 1, hash, jobs_max, jobs);
    return room_check(ledger, err);
}

static rn_result append(struct rn_job_ledger *ledger, const struct rn_job_entry *entry,
                        struct rn_error *err)
{
    if (rn_job_ledger_has(ledger, entry->plan_hash)) {
        return rn_ok();
    }
    RN_TRY(room_check(ledger, err));
    ledger->entries[ledger->count++] = *entry;
    return rn_ok();
}

rn_result rn_job_ledger_charge(struct rn_job_ledger *ledger, const struct rn_plan *plan,
                               struct rn_error *err)
{
    struct rn_job_entry entry = {.seed = plan->seed};
    memcpy(entry.plan_hash, plan->hash, 32);
    memcpy(entry.model_hash, plan->model_hash, 32);
    return append(ledger, &entry, err);
}

rn_result rn_job_ledger_merge(struct rn_job_ledger *ledger, const struct rn_job_ledger *copy,
                              struct rn_error *err)
{
    for (uint32_t i = 0; i < copy->count; i++) {
        RN_TRY(append(ledger, &copy->entries[i], err));
    }
    return rn_ok();
}

/* ---- For those who look. */

static uint32_t jobs_over(const struct rn_job_ledger *ledger, uint32_t from, uint32_t to,
                          const uint8_t model[static 32])
{
    uint32_t jobs = 0;
    for (uint32_t i = from; i < to; i++) {
        jobs += memcmp(ledger->entries[i].model_hash, model, 32) == 0 ? 1 : 0;
    }
    return jobs;
}

bool rn_job_ledger_next_model(const struct rn_job_ledger *ledger, uint32_t *at,
                              struct rn_job_model *out)
{
    for (; *at < ledger->count; (*at)++) {
        const uint8_t *model = ledger->entries[*at].model_hash;
        if (jobs_over(ledger, 0, *at, model) == 0) {
            memcpy(out->hash, model, 32);
            out->jobs = jobs_over(ledger, *at, ledger->count, model);
            (*at)++;
            return true;
        }
    }
    return false;
}
