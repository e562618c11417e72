/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo tokenize: the token ids of a data file.
 */
#include "base/guard.h"
#include "services/cli/desk/datacolumns.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/rondo.h"

#include <stdio.h>
#include <string.h>

struct totals {
    bool lines; /* print every record */
    bool json;
    uint64_t records, tokens, longest;
};

/* {"ids":[0,5,2]} for JSON lines, "0 5 2" for text. */
static rn_result print_ids(void *context, size_t index, const uint32_t *ids, size_t count,
                           struct rn_error *err)
{
    struct totals *totals = context;

    totals->records++;
    totals->tokens += count;
    totals->longest = count > totals->longest ? count : totals->longest;
    if (!totals->lines) {
        return rn_ok();
    }
    (void)fputs(totals->json ? "{\"ids\":[" : "", stdout);
    for (size_t i = 0; i < count; i++) {
        printf("%s%u", i == 0 ? "" : totals->json ? "," : " ", ids[i]);
    }
    (void)fputs(totals->json ? "]}\n" : "\n", stdout);
    RN_ENSURE(ferror(stdout) == 0, err, RN_E_IO, "cannot write record %zu to standard output",
              index);
    return rn_ok();
}

struct tokenize_settings {
    const char *model;
    struct rn_data_columns columns;
    uint64_t max_length;
};

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct tokenize_settings *s = command->settings;
    struct totals totals = {.lines = !command->json, .json = strcmp(command->format, "jsonl") == 0};
    struct rn_data_seen seen = {0};
    struct rn_data_spec spec;

    RN_TRY(rn_data_columns_spec(&s->columns, &spec, err));
    spec.seen = &seen;
    RN_TRY(rn_text_tokenize(s->model, &spec, (uint32_t)s->max_length, print_ids, &totals, err));
    if (seen.quoted > 0) {
        rn_command_note(command, RN_DESK_QUOTED_NOTE, s->columns.path,
                        (unsigned long long)seen.quoted_line, (unsigned long long)seen.quoted);
    }
    if (command->json) {
        printf("{\"records\": %llu, \"tokens\": %llu, \"longest\": %llu}\n",
               (unsigned long long)totals.records, (unsigned long long)totals.tokens,
               (unsigned long long)totals.longest);
    }
    return rn_ok();
}

static const struct rn_option model_options[] = {
    {"model", RN_OPT_DIRECTORY(struct tokenize_settings, model), .required = true,
     .help = "Hugging Face directory with tokenizer.json"},
    {"max-length", RN_OPT_COUNT(struct tokenize_settings, max_length, "N"), RN_BOUNDS_LENGTH,
     .help = "tokens per record, special ones included; without: no limit"},
    {NULL}};

static const struct rn_option_group groups[] = {
    {"Model", model_options, 0},
    {"Data", rn_data_options, offsetof(struct tokenize_settings, columns)},
    {NULL}};

const struct rn_command_def rn_cmd_tokenize = {
    .name = "tokenize",
    .summary = "show the token ids of a data file",
    .groups = groups,
    .settings_size = sizeof(struct tokenize_settings),
    .formats = "text|json|jsonl",
    .exits = RN_EXITS(65, 66, 69),
    .detail = "Prints one line per record: ids between spaces, or with --format jsonl an object "
              "{\"ids\":[...]}. --format json prints one object with the totals.",
    .examples = "  rondo tokenize --model encoder --data dev.tsv.gz --text sentence\n"
                "  rondo tokenize --model encoder --data dev.tsv --text question,sentence \\\n"
                "      --max-length 128 --format jsonl",
    .run = run,
};
