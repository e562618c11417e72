/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo plan propose: another plan in the place of the present one. The job before is kept
 * (jobs.h); every member takes its new welcome and signs.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/setup.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/shellword.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/jobs.h"
#include "services/cli/setup/planmodel.h"

struct proposal {
    struct rn_setup *setup; /* plan and plan_bytes become the new ones */
    char kept[RN_PATH_MAX];
};

static void proposal_clear(struct proposal *proposal)
{
    rn_setup_free(proposal->setup);
}

/* The file's exact bytes, but for the hashes that bind it to this federation. */
static rn_result plan_take(struct rn_setup *setup, const char *path, struct rn_error *err)
{
    uint8_t roster_hash[RN_HASH_BYTES] = {0};
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = NULL;
    RN_TRY(rn_setup_identity(setup->directory, &identity, err));
    RN_TRY(rn_file_read(path, RN_PLAN_BYTES_MAX, &setup->plan_bytes, err));
    RN_TRY(rn_plan_parse(rn_buffer_view(&setup->plan_bytes), path, &setup->plan, err));
    RN_ENSURE(strcmp(setup->plan.federation, setup->site.federation) == 0, err, RN_E_CONFIG,
              "%s: is for federation '%s', not '%s'", path, setup->plan.federation,
              setup->site.federation);
    if (setup->has_roster) {
        rn_roster_hash(rn_buffer_view(&setup->roster_bytes), roster_hash);
    }
    RN_TRY(rn_setup_replace_hash(&setup->plan_bytes, "roster", "hash", roster_hash, err));
    RN_TRY(rn_setup_replace_hash(&setup->plan_bytes, "roster", "coordinator",
                                 rn_identity_public_of(identity)->bytes, err));
    return rn_plan_parse(rn_buffer_view(&setup->plan_bytes), path, &setup->plan, err);
}

/* The roster can keep the plan's promise, no job began like it, and the model can run it. */
static rn_result plan_holds(const struct rn_setup *setup, struct rn_error *err)
{
    struct rn_plan_numbers numbers;
    struct rn_plan_examples found;
    if (setup->has_roster) {
        RN_TRY(rn_plan_feasible(&setup->plan, setup->roster.count, &numbers, err));
    }
    RN_TRY(rn_job_start_check(setup->directory, &setup->site, &setup->plan, err));
    return rn_plan_setup_check(setup, &found, err);
}

/* Without a roster there are open invitations at most: they follow the plan. */
static rn_result plan_finish(struct rn_setup *setup, struct rn_error *err)
{
    size_t changed = 0;
    return setup->has_roster ? rn_enrol_finish(setup, err) : rn_enrol_refresh(setup, &changed, err);
}

static rn_result plan_put(struct proposal *proposal, bool changed, struct rn_error *err)
{
    struct rn_setup *setup = proposal->setup;
    RN_TRY(rn_job_switch(setup->directory, &setup->site, setup->plan.hash, proposal->kept, err));
    RN_TRY(rn_setup_write(setup->directory, "plan.yaml", rn_buffer_view(&setup->plan_bytes), 0644,
                          err));
    if (changed) {
        rn_signatures_init(&setup->signatures, &setup->plan);
    }
    return plan_finish(setup, err);
}

static rn_result propose(struct proposal *proposal, const char *directory, const char *path,
                         struct rn_error *err)
{
    uint8_t before[32];
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_setup_lock(directory, &lock, err));
    RN_TRY(rn_setup_open(directory, &proposal->setup, err));
    struct rn_setup *setup = proposal->setup;
    RN_ENSURE(setup->site.role == RN_SITE_COORDINATOR, err, RN_E_USAGE,
              "%s is a member's directory; plans are proposed from the operator's", directory);
    memcpy(before, setup->plan.hash, sizeof before);
    RN_TRY(plan_take(setup, path, err));
    RN_TRY(plan_holds(setup, err));
    return plan_put(proposal, memcmp(before, setup->plan.hash, sizeof before) != 0, err);
}

static rn_result report(const struct rn_command *command, const struct proposal *proposal,
                        struct rn_error *err)
{
    char hash[65];
    const struct rn_setup *setup = proposal->setup;
    const char *directory = command->operands[0];
    const unsigned members = setup->has_roster ? setup->roster.count : 0;
    rn_hex_encode(hash, setup->plan.hash, sizeof setup->plan.hash);
    if (command->json) {
        return rn_json_print(json_pack("{s:s, s:s, s:i, s:s}", "plan", hash, "name",
                                       setup->plan.name, "members", (int)members, "kept",
                                       proposal->kept),
                             err);
    }
    if (command->quiet) {
        return rn_ok();
    }
    printf("Plan '%s' (%.16s...) is the plan of %s now.\n", setup->plan.name, hash, directory);
    if (proposal->kept[0] != '\0') {
        printf("The job before, with its adapters, is kept in %s.\n", proposal->kept);
    }
    char word[RN_SHELL_WORD_MAX];
    directory = rn_shell_word(directory, word);
    if (members == 0) {
        printf("\nNext:\n  1. rondo invite %s NAME...\n", directory);
        return rn_ok();
    }
    printf("\nNext:\n"
           "  1. send each member its file of %s/welcome (the members are the same: no\n"
           "     fingerprint to compare, where they joined with the roster before)\n"
           "  2. each member: rondo join NAME.welcome --dir DIR --sign\n"
           "  3. rondo plan sign %s NAME.signature...\n"
           "  4. rondo run %s; each member: rondo run DIR\n",
           directory, directory, directory);
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct proposal RN_CLEANUP(proposal_clear) proposal = {0};
    RN_TRY(propose(&proposal, command->operands[0], command->operands[1], err));
    return report(command, &proposal, err);
}

const struct rn_command_def rn_cmd_plan_propose = {
    .name = "plan propose",
    .summary = "put another plan in the place of the present one, and keep its job",
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}, {"FILE", RN_OPTION_FILE, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 71, 75, 77, 78, 79, 80),
    .detail = "Stop the services first. The plan is bound to the roster and signed by the "
              "coordinator, and every member gets a new welcome; nothing runs before enough of "
              "them have signed. State and adapters of the job before stay in state/jobs, at the "
              "operator now and at each member when it takes the welcome; they come back when "
              "their plan is proposed again.",
    .examples = "  rondo plan propose consortium longer.yaml\n"
                "  rondo plan propose consortium consortium/state/jobs/0123456789abcdef/plan.yaml",
    .run = run,
};
