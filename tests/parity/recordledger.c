/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes privacy ledgers for a verifier that shares no code: good ones, whose numbers are printed,
 * and ones in which the owner of the key signed something that does not hold.
 *
 *     recordledger FOLDER      prints "NAME filter-sum filter-epsilon rdp-epsilon" of each good one
 */
#include "../unit/policy/privacyworld.h"
#include "base/file.h"
#include "policy/ledger/privacychain.h"
#include "policy/ledger/privacysummary.h"

#include <inttypes.h>
#include <stdio.h>

static struct rn_identity *owner;
static struct rn_privacy_ledger *ledger;
static struct rn_buffer text;
static struct rn_error error;
static const char *folder;

static void demand(rn_result result)
{
    if (!rn_is_ok(result)) {
        (void)fprintf(stderr, "recordledger: %s\n", error.text);
        RN_BUG_IF(true);
    }
}

static struct rn_privacy_record add(struct rn_privacy_record record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    size_t taken = 0;
    demand(rn_privacy_ledger_append(ledger, owner, &record, &line, &error));
    demand(rn_privacy_ledger_replay(ledger, rn_buffer_view(&line), RN_PRIVACY_SIGNATURES_EACH,
                                    &taken, &error));
    rn_buffer_append(&text, line.data, line.length);
    return record;
}

static void begin(struct rn_privacy_record header)
{
    rn_privacy_ledger_free(ledger);
    ledger = rn_privacy_ledger_new();
    rn_buffer_clear(&text);
    (void)add(header);
}

static void save(const char *name, struct rn_view bytes)
{
    char path[RN_PATH_MAX];
    demand(rn_path_join(path, folder, name, &error));
    demand(rn_file_write(path, bytes, 0644, &error));
}

static void good(const char *name)
{
    struct rn_privacy_summary summary;
    char file[64];
    RN_BUG_IF(!rn_text_format(file, sizeof file, "%s.ledger", name));
    demand(rn_privacy_summarise(ledger, &summary, &error));
    save(file, rn_buffer_view(&text));
    printf("%s %.17g %.17g %.17g\n", name, summary.filter_reserved, summary.filter_epsilon,
           summary.rdp);
}

/* One more record, signed as it is. */
static void lie(const char *name, const struct rn_privacy_record *record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer whole = {0};
    char file[64];
    RN_BUG_IF(!rn_text_format(file, sizeof file, "lie-%s.ledger", name));
    rn_privacy_record_write(record, &body);
    rn_buffer_append(&whole, text.data, text.length);
    rn_privacy_line_write(ledger->chain, rn_buffer_view(&body), owner, &whole);
    save(file, rn_buffer_view(&whole));
}

static void live(void)
{
    begin(privacy_header(owner));
    (void)add(privacy_plan_record(1));
    (void)add(privacy_intent_record(1, 1));
    (void)add(privacy_commit_record(1, 0, RN_PRIVACY_FAILED));
    (void)add(privacy_intent_record(1, 1));
    (void)add(privacy_commit_record(2, 8, RN_PRIVACY_SENT));
    (void)add(privacy_close_record(1));
    (void)add(privacy_release_record("accuracy", 0.25, 1e-9));
    (void)add(privacy_release_record("version", 0, 0));
    (void)add(privacy_plan_record(2));
    (void)add(privacy_intent_record(2, 1));
}

/* Persons of four records; every record in each step, then a rate far below one. */
static void persons(void)
{
    struct rn_privacy_record header = privacy_header(owner);
    struct rn_privacy_record plan = privacy_plan_record(1);
    header.as.header.unit = RN_PRIVACY_UNIT_PERSON;
    header.as.header.group = 4;
    begin(header);
    plan.as.plan.sampler = RN_PRIVACY_SAMPLER_ALL;
    plan.as.plan.threshold = UINT64_MAX;
    plan.as.plan.cap = 10000;
    plan.as.plan.noise = 200;
    (void)add(plan);
    (void)add(privacy_intent_record(1, 1));
    (void)add(privacy_close_record(1));
    plan = privacy_plan_record(2);
    plan.as.plan.threshold = 0x20c49ba5e353f7u; /* 0.0005, no power of two */
    plan.as.plan.noise = 1.5;
    (void)add(plan);
    (void)add(privacy_intent_record(2, 1));
}

/* Noise in shares under a filter between two whole orders; then persons, whose records are one
 * group, and a plan with noise of its own beside it. */
static void shared(void)
{
    struct rn_privacy_record header = privacy_header(owner);
    header.as.header.order = 6.3;
    begin(header);
    (void)add(privacy_shared_record(1));
    struct rn_privacy_record intent = privacy_intent_record(1, 1);
    intent.as.intent.steps = 1;
    (void)add(intent);
    (void)add(privacy_commit_record(1, 8, RN_PRIVACY_SENT));
}

static void shared_persons(void)
{
    struct rn_privacy_record header = privacy_header(owner);
    header.as.header.unit = RN_PRIVACY_UNIT_PERSON;
    header.as.header.group = 4;
    begin(header);
    struct rn_privacy_record record = privacy_shared_record(1);
    record.as.plan.noise = 100;
    (void)add(record);
    (void)add(privacy_close_record(1));
    record = privacy_plan_record(2);
    record.as.plan.noise = 4;
    (void)add(record);
}

/* Each record in three of a training's steps, then in one. */
static void allocated(void)
{
    struct rn_privacy_record plan = privacy_plan_record(1);
    begin(privacy_header(owner));
    plan.as.plan.sampler = RN_PRIVACY_SAMPLER_ALLOCATION;
    plan.as.plan.threshold = 3;
    plan.as.plan.cap = 10000;
    plan.as.plan.noise = 4;
    (void)add(plan);
    (void)add(privacy_intent_record(1, 1));
    (void)add(privacy_close_record(1));
    plan = privacy_plan_record(2);
    plan.as.plan.sampler = RN_PRIVACY_SAMPLER_ALLOCATION;
    plan.as.plan.threshold = 1;
    plan.as.plan.cap = 10000;
    plan.as.plan.noise = 4;
    (void)add(plan);
}

static struct rn_privacy_record derived(struct rn_privacy_record record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    demand(rn_privacy_ledger_append(ledger, owner, &record, &line, &error));
    return record;
}

static void lies_of_shares(void)
{
    (void)add(privacy_close_record(1));
    struct rn_privacy_record record = derived(privacy_shared_record(2));
    record.as.plan.honest = 30; /* whose shares would be smaller */
    lie("honest", &record);
    record = derived(privacy_shared_record(2));
    record.as.plan.deviation *= 2;
    lie("share", &record);
    record = derived(privacy_shared_record(2));
    record.as.plan.steps = 2;
    lie("shared-steps", &record);
    record = derived(privacy_shared_record(2));
    record.as.plan.filter_after = record.as.plan.filter_before;
    lie("shared-cost", &record);
}

static void lies_of_trainings(void)
{
    struct rn_privacy_record record = derived(privacy_intent_record(2, 2));
    record.as.intent.counter++;
    lie("counter", &record);
    record = derived(privacy_intent_record(2, 2));
    record.as.intent.training--;
    lie("training", &record);
    record = derived(privacy_intent_record(2, 2));
    record.as.intent.round = 21;
    lie("round", &record);
    record.as.intent.round = 2;
    record.as.intent.matrices = RN_PRIVACY_MATRICES_BOTH;
    lie("matrices", &record);
    record = privacy_commit_record(2, 8, RN_PRIVACY_ABORTED);
    lie("commit", &record);
    record = derived(privacy_close_record(2));
    record.as.close.filter *= 1 - 1e-6;
    lie("close", &record);
    record = privacy_nonprivate_record(9);
    lie("nonprivate", &record);
}

static void lies_of_plans(void)
{
    (void)add(privacy_close_record(2));
    struct rn_privacy_record record = derived(privacy_plan_record(3));
    record.as.plan.noise = 1.5;
    lie("noise", &record);
    record.as.plan.deviation *= 1.5;
    lie("noise-and-deviation", &record);
    record = derived(privacy_plan_record(3));
    record.as.plan.cut /= 2;
    lie("cut", &record);
    record = derived(privacy_plan_record(3));
    record.as.plan.hash[0] = 1;
    lie("twice", &record);
    record = derived(privacy_plan_record(3));
    record.as.plan.trainings *= 40;
    record.as.plan.cut *= 40;
    record.as.plan.filter_after +=
        39 * (record.as.plan.filter_after - record.as.plan.filter_before);
    lie("budget", &record);
    record = derived(privacy_release_record("f1", 0.5, 0));
    record.as.release.filter /= 2;
    lie("release", &record);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 64;
    }
    folder = argv[1];
    owner = privacy_identity(3);
    shared();
    good("shared");
    lies_of_shares();
    shared_persons();
    good("shared-persons");
    persons();
    good("persons");
    allocated();
    good("allocated");
    live();
    good("records");
    lies_of_trainings();
    lies_of_plans();
    rn_privacy_ledger_free(ledger);
    rn_buffer_clear(&text);
    rn_identity_free(owner);
    return 0;
}
