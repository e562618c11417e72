/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo tokenize: the token ids of a data file.
 */
#include "base/guard.h"
#include "services/cli/desk/datacolumns.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/options.h"

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

int rn_cmd_tokenize(int argc, char **argv)
{
    struct rn_data_columns columns = {0};
    const char *model = NULL;
    uint64_t max_length = 0;
    const struct rn_option options[] = {
        {"model", "DIR", RN_OPTION_TEXT, &model, .required = true,
         .help = "Hugging Face directory with tokenizer.json"},
        RN_DATA_OPTIONS(columns),
        {"max-length", "N", RN_OPTION_COUNT, &max_length, .most = UINT32_MAX,
         .help = "tokens per record, special ones included; 0: no limit"},
    };
    const struct rn_command_text text = {
        .name = "tokenize",
        .summary = "show the token ids of a data file",
        .options = options,
        .option_count = RN_ARRAY_LENGTH(options),
        .extra_formats = "|jsonl",
        .detail = "Prints one line per record: ids between spaces, or with --format jsonl an\n"
                  "object {\"ids\":[...]}. --format json prints one object with the totals.",
        .examples = "  rondo tokenize --model encoder --data dev.tsv.gz --text sentence\n"
                    "  rondo tokenize --model encoder --data dev.tsv --text question,sentence \\\n"
                    "      --max-length 128 --format jsonl",
    };
    struct rn_command command;
    struct rn_data_spec spec;
    struct rn_error err = {{0}};

    if (!rn_command_begin(&command, &text, argc, argv)) {
        return command.exit_code;
    }
    struct totals totals = {.lines = !command.json, .json = strcmp(command.format, "jsonl") == 0};
    rn_result result = rn_data_columns_spec(&columns, &spec, &err);
    if (rn_is_ok(result)) {
        result = rn_text_tokenize(model, &spec, (uint32_t)max_length, print_ids, &totals, &err);
    }
    if (rn_is_ok(result) && command.json) {
        printf("{\"records\": %llu, \"tokens\": %llu, \"longest\": %llu}\n",
               (unsigned long long)totals.records, (unsigned long long)totals.tokens,
               (unsigned long long)totals.longest);
    }
    return rn_command_end(&command, result, &err);
}
