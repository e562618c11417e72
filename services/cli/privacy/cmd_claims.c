/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo privacy claims: what a member may say of the privacy of its data, from its ledger alone.
 */
#include <stdio.h>

#include "base/guard.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/privacy/claimstext.h"
#include "services/cli/privacy/ledgerplaces.h"
#include "services/cli/rondo.h"

struct claims_settings {
    const char *out;
    const char *lineage;
};

static rn_result page_write(const struct rn_command *command, const struct rn_claims *claims,
                            const char *path, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer page = {0};
    rn_claims_text(claims, &page);
    if (path == NULL) {
        printf("%s", rn_buffer_text(&page));
        return rn_ok();
    }
    RN_TRY(rn_file_write(path, rn_buffer_view(&page), 0644, err));
    rn_json_out_print(command, path);
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct claims_settings *s = command->settings;
    RN_CLEANUP(rn_privacy_ledger_free_cleanup) struct rn_privacy_ledger *ledger = NULL;
    struct rn_claims claims;
    char path[RN_PATH_MAX];
    RN_TRY(rn_ledgerplaces_one(command->operands[0], s->lineage, path, err));
    RN_TRY(rn_siteprivacy_read(path, &ledger, err));
    RN_TRY(rn_claims_take(ledger, &claims, err));
    if (command->json && s->out == NULL) {
        return rn_json_print(rn_claims_json(&claims), err);
    }
    return page_write(command, &claims, s->out, err);
}

static const struct rn_option options[] = {
    {"out", RN_OPT_FILE(struct claims_settings, out), .help = "write the page to this file"},
    {"lineage", RN_OPT_TEXT(struct claims_settings, lineage, "NAME"),
     .help = "of this lineage of data alone"},
    {NULL}};
static const struct rn_option_group groups[] = {{"Claims", options, 0}, {NULL}};

const struct rn_command_def rn_cmd_privacy_claims = {
    .name = "privacy claims",
    .summary = "what a member may say of its data's privacy, from its ledger",
    .groups = groups,
    .settings_size = sizeof(struct claims_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 74, 78, 79, 80),
    .detail = "A page in Markdown in the order of NIST SP 800-226: unit, neighbouring data, "
              "mechanism, epsilon and delta, sampling, from whom, an attacker's success at most, "
              "hazards, and what is not protected. Refused (79) where a plan without noise ran "
              "over the data, or a training drew from a test's seed.",
    .examples = "  rondo privacy claims hospital --out claims.md",
    .run = run,
};
