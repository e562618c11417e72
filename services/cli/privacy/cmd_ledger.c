/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo ledger show, verify, export: the privacy ledger of a member, for its owner and an auditor.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/privacy/ledgerplaces.h"
#include "services/cli/privacy/ledgershow.h"
#include "services/cli/rondo.h"
#include "services/host/privacycopy.h"

/* ---- show */

struct show_settings {
    const char *lineage;
};

static rn_result show_one(const char *path, json_t *list, bool first, struct rn_error *err)
{
    RN_CLEANUP(rn_privacy_ledger_free_cleanup) struct rn_privacy_ledger *ledger = NULL;
    struct rn_privacy_summary summary;
    RN_TRY(rn_siteprivacy_read(path, &ledger, err));
    RN_TRY(rn_privacy_summarise(ledger, &summary, err));
    if (list != NULL) {
        (void)json_array_append_new(list, rn_ledgershow_json(ledger, &summary));
        return rn_ok();
    }
    printf("%s", first ? "" : "\n");
    rn_ledgershow_text(ledger, &summary);
    return rn_ok();
}

static void json_release(json_t **value)
{
    json_decref(*value);
}

static rn_result show(struct rn_command *command, struct rn_error *err)
{
    const struct show_settings *s = command->settings;
    RN_CLEANUP(rn_free_cleanup) struct rn_ledgerplaces *places = rn_alloc(1, sizeof *places);
    RN_CLEANUP(json_release) json_t *list = command->json ? json_array() : NULL;
    RN_TRY(rn_ledgerplaces_find(command->operands[0], s->lineage, places, err));
    for (uint32_t i = 0; i < places->count; i++) {
        RN_TRY(show_one(places->paths[i], list, i == 0, err));
    }
    return command->json ? rn_json_print(json_pack("{sO}", "ledgers", list), err) : rn_ok();
}

static const struct rn_option show_options[] = {{"lineage",
                                                 RN_OPT_TEXT(struct show_settings, lineage, "NAME"),
                                                 .help = "of this lineage of data alone"},
                                                {NULL}};
static const struct rn_option_group show_groups[] = {{"Ledger", show_options, 0}, {NULL}};

const struct rn_command_def rn_cmd_ledger_show = {
    .name = "ledger show",
    .summary = "what a member's trainings have spent of its data's privacy, plan by plan",
    .groups = show_groups,
    .settings_size = sizeof(struct show_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 78, 80),
    .detail = "DIR is a member's site directory, or any that holds ledgers "
              "(privacy-LINEAGE.ledger). The guarantee is the epsilon and delta of the lineage, "
              "which the filter keeps however plans are chosen; epsilon by PLD and RDP is what it "
              "would be had all plans been fixed before the first one. Every signature is checked "
              "on the way.",
    .examples = "  rondo ledger show hospital\n  rondo ledger show hospital --format json",
    .run = show,
};

/* ---- verify */

struct verify_settings {
    const char *key;
    const char *lineage;
};

static rn_result path_of(const char *place, const char *lineage, char out[static RN_PATH_MAX],
                         struct rn_error *err)
{
    struct stat facts;
    if (stat(place, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        return rn_ledgerplaces_one(place, lineage, out, err);
    }
    RN_ENSURE(rn_text_format(out, RN_PATH_MAX, "%s", place), err, RN_E_USAGE, "path too long");
    return rn_ok();
}

static rn_result judge(const char *path, const uint8_t *key, struct rn_privacy_ledger *ledger,
                       struct rn_privacy_report *report, struct rn_error *err)
{
    struct rn_privacycopy copy;
    struct rn_error said = {{0}};
    RN_TRY(rn_privacycopy_open(path, false, &copy, err));
    const rn_result replayed =
        rn_privacycopy_replay(&copy, RN_PRIVACY_SIGNATURES_EACH, ledger, &said);
    const bool unfinished = copy.size > copy.whole;
    rn_privacycopy_close(&copy);
    return rn_privacy_verify(ledger, replayed, &said, unfinished, key, report, err);
}

static rn_result report_print(const struct rn_command *command,
                              const struct rn_privacy_ledger *ledger,
                              const struct rn_privacy_report *report, struct rn_error *err)
{
    if (command->json) {
        return rn_json_print(rn_ledgershow_report_json(ledger, report), err);
    }
    if (!command->quiet) {
        rn_ledgershow_report_text(ledger, report);
    }
    return rn_ok();
}

static rn_result verdict(const struct rn_privacy_report *report, const char *path,
                         struct rn_error *err)
{
    RN_ENSURE(report->passed, err, RN_E_DATA, "%s: the privacy ledger does not hold", path);
    return rn_ok();
}

static rn_result verify(struct rn_command *command, struct rn_error *err)
{
    const struct verify_settings *s = command->settings;
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *ledger = rn_privacy_ledger_new();
    RN_CLEANUP(rn_free_cleanup) struct rn_privacy_report *report = rn_alloc(1, sizeof *report);
    char path[RN_PATH_MAX];
    uint8_t key[32];
    RN_ENSURE(s->key == NULL || rn_hex_decode(key, sizeof key, s->key), err, RN_E_USAGE,
              "--key takes the 64 hex digits of an Ed25519 public key");
    RN_TRY(path_of(command->operands[0], s->lineage, path, err));
    RN_TRY(judge(path, s->key != NULL ? key : NULL, ledger, report, err));
    RN_TRY(report_print(command, ledger, report, err));
    return verdict(report, path, err);
}

static const struct rn_option verify_options[] = {
    {"key", RN_OPT_TEXT(struct verify_settings, key, "HEX"),
     .help = "the member's public key, as it came by another channel"},
    {"lineage", RN_OPT_TEXT(struct verify_settings, lineage, "NAME"),
     .help = "of this lineage of data alone"},
    {NULL}};
static const struct rn_option_group verify_groups[] = {{"Ledger", verify_options, 0}, {NULL}};

const struct rn_command_def rn_cmd_ledger_verify = {
    .name = "ledger verify",
    .summary = "check a privacy ledger from its bytes alone, offline",
    .groups = verify_groups,
    .settings_size = sizeof(struct verify_settings),
    .operands = {{"FILE|DIR", RN_OPTION_FILE, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 78, 80),
    .detail = "Chain, signatures, counters, intents before commits, numbers within their plans, "
              "every filter sum computed again, and epsilon by two accountants, rounded up. A line "
              "for each check; exit code 65 when one fails. Without --key the file is only known "
              "to be signed by the key that it names. A ledger whose newest lines were removed is "
              "a shorter ledger that holds: compare its number of records with a later one.",
    .examples = "  rondo ledger verify privacy-ward.ledger --key KEY\n"
                "  rondo ledger verify hospital --format json",
    .run = verify,
};

/* ---- export */

struct export_settings {
    const char *out;
    const char *lineage;
};

/* The bytes that were judged, and no later ones. */
static rn_result bytes_take(const char *path, struct rn_buffer *out, struct rn_error *err)
{
    struct rn_privacycopy copy;
    RN_TRY(rn_privacycopy_open(path, false, &copy, err));
    const uint64_t whole = copy.whole;
    rn_privacycopy_close(&copy);
    RN_TRY(rn_file_read(path, (size_t)RN_PRIVACY_BYTES_MAX + RN_PRIVACY_LINE_MAX, out, err));
    out->length = out->length < whole ? out->length : (size_t)whole; /* append-only */
    return rn_ok();
}

static rn_result export_judge(struct rn_view bytes, const char *path,
                              struct rn_privacy_ledger *ledger, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) struct rn_privacy_report *report = rn_alloc(1, sizeof *report);
    struct rn_error said = {{0}};
    size_t taken = 0;
    const rn_result replayed =
        rn_privacy_ledger_replay(ledger, bytes, RN_PRIVACY_SIGNATURES_EACH, &taken, &said);
    RN_TRY(rn_privacy_verify(ledger, replayed, &said, taken < bytes.length, NULL, report, err));
    RN_ENSURE(report->passed, err, RN_E_DATA,
              "%s: the privacy ledger does not hold, so it is not exported: rondo ledger verify "
              "says why",
              path);
    return rn_ok();
}

static rn_result export(struct rn_command *command, struct rn_error *err)
{
    const struct export_settings *s = command->settings;
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *ledger = rn_privacy_ledger_new();
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    char path[RN_PATH_MAX];
    RN_TRY(rn_ledgerplaces_one(command->operands[0], s->lineage, path, err));
    RN_TRY(bytes_take(path, &bytes, err));
    RN_TRY(export_judge(rn_buffer_view(&bytes), path, ledger, err));
    RN_TRY(rn_file_write(s->out, rn_buffer_view(&bytes), 0644, err));
    if (command->json) {
        rn_json_out_print(command, s->out);
    } else if (!command->quiet) {
        printf("%s: %" PRIu64 " records of lineage %s; `rondo ledger verify` checks it anywhere\n",
               s->out, ledger->lines, ledger->terms.lineage);
    }
    return rn_ok();
}

static const struct rn_option export_options[] = {
    {"out", RN_OPT_FILE(struct export_settings, out), .required = true,
     .help = "the file to write"},
    {"lineage", RN_OPT_TEXT(struct export_settings, lineage, "NAME"),
     .help = "of this lineage of data alone"},
    {NULL}};
static const struct rn_option_group export_groups[] = {{"Ledger", export_options, 0}, {NULL}};

const struct rn_command_def rn_cmd_ledger_export = {
    .name = "ledger export",
    .summary = "write a member's privacy ledger to one file for an auditor",
    .groups = export_groups,
    .settings_size = sizeof(struct export_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 74, 78, 80),
    .detail = "The exact bytes of the ledger, after the same checks as `rondo ledger verify`. It "
              "holds no data, no count of records that was not public, no loss and no key that "
              "opens anything.",
    .examples = "  rondo ledger export hospital --out hospital.ledger",
    .run = export,
};
