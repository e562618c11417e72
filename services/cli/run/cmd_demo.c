/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo demo: a whole federation on this machine, on the embedded input or on the user's own.
 */
#include "base/clock.h"
#include "base/guard.h"
#include "services/cli/desk/datacolumns.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/shellword.h"
#include "services/cli/kit/stopflag.h"
#include "services/cli/rondo.h"
#include "services/cli/run/demo.h"
#include "trainer/trainer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVALUATE_LIMIT_MS 600000
#define OUTPUT_BYTES_MAX ((size_t)16 << 20)

struct outcome {
    double accuracy_before;
    double accuracy_after;
    char adapter[RN_PATH_MAX];
    double seconds;
    struct rn_buffer claims; /* with --epsilon: the first member's page */
};

/* The user's own input, or the embedded one below --embedded. */
static rn_result resolve_inputs(struct rn_demo_settings *s, struct rn_error *err)
{
    static char model[RN_PATH_MAX], train[RN_PATH_MAX], dev[RN_PATH_MAX];
    RN_ENSURE((s->model == NULL) == (s->train == NULL) && (s->train == NULL) == (s->dev == NULL),
              err, RN_E_USAGE, "give --model, --data and --dev together, or none of them");
    if (s->model != NULL) {
        RN_ENSURE(s->text != NULL && s->label != NULL, err, RN_E_USAGE,
                  "--text and --label must name the columns of your data");
        return rn_ok();
    }
    RN_ENSURE(s->embedded != NULL && rn_file_exists(s->embedded), err, RN_E_NO_INPUT,
              "no embedded input found; start it as deploy/demo, or give --embedded DIR");
    RN_TRY(rn_path_join(model, s->embedded, "model", err));
    RN_TRY(rn_path_join(train, s->embedded, "train.tsv.gz", err));
    RN_TRY(rn_path_join(dev, s->embedded, "dev.tsv.gz", err));
    s->model = model;
    s->train = train;
    s->dev = dev;
    s->text = "sentence";
    s->label = "label";
    s->labels = "complaint,praise";
    return rn_ok();
}

/* The classes of the training data, unless --labels names them. */
static rn_result resolve_labels(struct rn_demo_settings *s, struct rn_error *err)
{
    static char joined[8192];
    size_t length = 0;
    if (s->labels != NULL) {
        return rn_ok();
    }
    RN_CLEANUP(rn_label_list_clear) struct rn_label_list list = {0};
    struct rn_data_columns columns = {.path = s->train,
                                      .format = s->format,
                                      .text = s->text,
                                      .label = s->label,
                                      .no_header = s->no_header};
    struct rn_data_spec data;
    RN_TRY(rn_data_columns_spec(&columns, &data, err));
    RN_TRY(rn_label_list_discover(&data, &list, err));
    for (size_t i = 0; i < list.count; i++) {
        RN_ENSURE(rn_text_format(joined + length, sizeof(joined) - length, "%s%s", i > 0 ? "," : "",
                                 list.names[i]),
                  err, RN_E_USAGE, "too many classes for the demonstration");
        length += strlen(joined + length);
    }
    s->labels = joined;
    return rn_ok();
}

static rn_result make_directory(struct rn_demo *demo, struct rn_error *err)
{
    const char *wanted = demo->settings->directory;
    if (wanted != NULL) {
        RN_ENSURE(!rn_file_exists(wanted), err, RN_E_USAGE,
                  "%s exists already; name a new directory", wanted);
        RN_TRY(rn_directory_make(wanted, 0700, err));
        RN_ENSURE(realpath(wanted, demo->directory) != NULL, err, RN_E_IO, "%s: not usable",
                  wanted);
        return rn_ok();
    }
    const char *temporary = getenv("TMPDIR");
    RN_ENSURE(rn_text_format(demo->directory, sizeof(demo->directory), "%s/rondo-demo-XXXXXX",
                             temporary != NULL && temporary[0] != '\0' ? temporary : "/tmp"),
              err, RN_E_USAGE, "path too long");
    RN_ENSURE(mkdtemp(demo->directory) != NULL, err, RN_E_IO, "%s: cannot make it",
              demo->directory);
    return rn_ok();
}

/* `rondo evaluate` on the development set; adapter NULL: the untrained one. */
static rn_result evaluate(struct rn_demo *demo, const char *adapter, const char *name,
                          double *out_accuracy, struct rn_error *err)
{
    const struct rn_demo_settings *s = demo->settings;
    char output[RN_PATH_MAX];
    char max_length[24];
    RN_TRY(rn_demo_path(demo, output, err, "evaluate-%s.log", name));
    (void)rn_text_format(max_length, sizeof(max_length), "%llu", (unsigned long long)s->max_length);
    const char *arguments[24] = {"evaluate", "--model",      s->model,   "--data",
                                 s->dev,     "--text",       s->text,    "--label",
                                 s->label,   "--labels",     s->labels,  "--format",
                                 "json",     "--max-length", max_length, "--quiet"};
    size_t count = 16;
    if (adapter != NULL) {
        arguments[count++] = "--adapter";
        arguments[count++] = adapter;
    }
    if (s->format != NULL) {
        arguments[count++] = "--data-format";
        arguments[count++] = s->format;
    }
    if (s->no_header) {
        arguments[count++] = "--no-header";
    }
    RN_TRY(rn_child_run("rondo", arguments, output, EVALUATE_LIMIT_MS, err));
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_file_read(output, OUTPUT_BYTES_MAX, &text, err));
    json_t *root = json_loadb(rn_buffer_text(&text), text.length, JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *accuracy = json_object_get(root, "accuracy");
    const bool there = json_is_number(accuracy);
    *out_accuracy = there ? json_number_value(accuracy) : 0.0;
    json_decref(root);
    RN_ENSURE(there, err, RN_E_INTERNAL, "%s: no accuracy in it", output);
    return rn_ok();
}

static void say(const struct rn_demo *demo, const char *sentence)
{
    if (!demo->quiet) {
        (void)fprintf(stderr, "%s\n", sentence);
    }
}

static rn_result run_demo(struct rn_demo *demo, struct outcome *out, struct rn_error *err)
{
    const uint64_t start = rn_clock_monotonic_ms();
    char line[256];
    (void)rn_text_format(line, sizeof(line),
                         "%u organisations, %s, secure aggregation over mutual TLS; files in",
                         (unsigned)demo->settings->members, demo->settings->method);
    say(demo, line);
    say(demo, demo->directory);
    RN_TRY(rn_demo_sites_make(demo, err));
    demo->victim = demo->settings->lose_none ? demo->members : demo->members - 1;
    demo->victim_round = (uint32_t)(demo->settings->rounds + 1) / 2;
    RN_TRY(rn_demo_run(demo, err));
    RN_TRY(evaluate(demo, NULL, "before", &out->accuracy_before, err));
    RN_TRY(rn_demo_path(demo, out->adapter, err, "%s/state/adapters/final", rn_demo_watched(demo)));
    RN_TRY(evaluate(demo, out->adapter, "after", &out->accuracy_after, err));
    if (demo->settings->epsilon > 0) {
        RN_TRY(rn_demo_privacy_claims(demo, &out->claims, err));
    }
    out->seconds = (double)(rn_clock_monotonic_ms() - start) / 1000.0;
    return rn_ok();
}

static rn_result print_json(const struct rn_demo *demo, struct outcome *out, struct rn_error *err)
{
    json_t *root = json_pack(
        "{s:f, s:f, s:s, s:I, s:i, s:I, s:I, s:s, s:I, s:s, s:f}", "accuracy_before",
        out->accuracy_before, "accuracy_after", out->accuracy_after, "adapter", out->adapter,
        "rounds", (json_int_t)demo->rounds_done, "organisations_lost", demo->victim_killed ? 1 : 0,
        "uplink_bytes", (json_int_t)demo->uplink_bytes, "uplink_bytes_lora",
        (json_int_t)demo->uplink_lora_bytes, "method", demo->settings->method, "organisations",
        (json_int_t)demo->members, "directory", demo->directory, "seconds", out->seconds);
    if (demo->settings->epsilon > 0) {
        (void)json_object_set_new(root, "epsilon_promised", json_real(demo->settings->epsilon));
        (void)json_object_set_new(root, "epsilon_spent", json_real(demo->spent));
        (void)json_object_set_new(root, "delta", json_real(demo->privacy.delta));
        (void)json_object_set_new(root, "claims", json_string(rn_buffer_text(&out->claims)));
    }
    return rn_json_print(root, err);
}

static void print_next(const struct rn_demo *demo, const char *adapter)
{
    const struct rn_demo_settings *s = demo->settings;
    char words[5][RN_SHELL_WORD_MAX];
    (void)rn_shell_word(demo->directory, words[4]);
    (void)printf("\nTry next:\n"
                 "  rondo predict --model %s \\\n      --adapter %s \\\n"
                 "      --data %s --text %s --format jsonl\n"
                 "  rondo curves %s/%s/state/rounds.csv --out curve.svg\n"
                 "  rondo plan show %s/north\n"
                 "  deploy/demo --model DIR --data FILE --dev FILE --text COL --label COL\n",
                 rn_shell_word(s->model, words[0]), rn_shell_word(adapter, words[1]),
                 rn_shell_word(s->dev, words[2]), rn_shell_word(s->text, words[3]), words[4],
                 rn_demo_watched(demo), words[4]);
}

static void print_text(const struct rn_demo *demo, struct outcome *out)
{
    (void)printf("\n%u rounds in %.0f s; %s\n", demo->rounds_done, out->seconds,
                 demo->victim_killed ? "one organisation lost, the others finished"
                                     : "no organisation lost");
    (void)printf("accuracy on the development set: %.1f %% untrained, %.1f %% now\n",
                 100.0 * out->accuracy_before, 100.0 * out->accuracy_after);
    (void)printf(
        "sent by each organisation: %.0f KiB (%.0f %% of plain LoRA: both matrices every round)\n",
        (double)demo->uplink_bytes / 1024.0,
        100.0 * (double)demo->uplink_bytes / (double)demo->uplink_lora_bytes);
    (void)printf("adapter, a PEFT directory: %s\n", out->adapter);
    print_next(demo, out->adapter);
    if (demo->settings->epsilon > 0) {
        (void)printf("\nWhat \"%s\" can say to those whose records it holds (rondo privacy claims):"
                     "\n\n%s",
                     demo->names[0], rn_buffer_text(&out->claims));
    }
}

/* With a promise no count and no loss leaves a member. */
static rn_result check_private(const struct rn_demo_settings *s, struct rn_error *err)
{
    RN_ENSURE(s->epsilon == 0 || strcmp(s->weights, "uniform") == 0, err, RN_E_USAGE,
              "--epsilon needs --weights uniform: a count of records is not public");
    return rn_ok();
}

static rn_result finish(const struct rn_command *command, struct rn_demo *demo,
                        struct outcome *outcome, struct rn_error *err)
{
    if (command->json) {
        return print_json(demo, outcome, err);
    }
    print_text(demo, outcome);
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    static struct rn_demo demo;
    struct rn_demo_settings *s = command->settings;
    struct outcome outcome = {0};

    demo.settings = s;
    demo.quiet = command->quiet;
    s->lose_none = s->lose_none || s->members == RN_DEMO_MEMBERS_MIN;
    rn_stop_catch();
    RN_TRY(check_private(s, err));
    RN_TRY(resolve_inputs(s, err));
    RN_TRY(resolve_labels(s, err));
    RN_TRY(make_directory(&demo, err));
    const rn_result result = run_demo(&demo, &outcome, err);
    rn_demo_stop(&demo);
    if (!rn_is_ok(result)) {
        return rn_fail_context(err, result, "logs are in %s", demo.directory);
    }
    const rn_result printed = finish(command, &demo, &outcome, err);
    rn_buffer_clear(&outcome.claims);
    return printed;
}

static const struct rn_option input_options[] = {
    {"model", RN_OPT_DIRECTORY(struct rn_demo_settings, model),
     .help = "your encoder, a Hugging Face directory"},
    {"data", RN_OPT_FILE(struct rn_demo_settings, train),
     .help = "your training data; it is cut up"},
    {"dev", RN_OPT_FILE(struct rn_demo_settings, dev), .help = "your development data"},
    {"text", RN_OPT_TEXT(struct rn_demo_settings, text, "COL[,COL]"),
     .help = "column of the text, or of the two texts of a pair"},
    {"label", RN_OPT_TEXT(struct rn_demo_settings, label, "COL"), .help = "column of the label"},
    {"labels", RN_OPT_TEXT(struct rn_demo_settings, labels, "NAME,..."),
     .help = "class names in order, when not all that the data holds"},
    {"data-format", RN_OPT_CHOICE(struct rn_demo_settings, format, RN_CHOICES_DATA_FORMAT),
     .help = "when the files' names do not tell"},
    {"no-header", RN_OPT_FLAG(struct rn_demo_settings, no_header),
     .help = "columns are numbers from 0"},
    {"embedded", RN_OPT_DIRECTORY(struct rn_demo_settings, embedded),
     .help = "where the embedded input is"},
    {"dir", RN_OPT_DIRECTORY(struct rn_demo_settings, directory),
     .help = "new directory for everything it makes; without: one in TMPDIR, else /tmp, kept"},
    {NULL}};

static const struct rn_option federation_options[] = {
    {"members", RN_OPT_COUNT(struct rn_demo_settings, members, "N"), .fallback = "4",
     .least = RN_DEMO_MEMBERS_MIN, .most = RN_DEMO_MEMBERS_MAX,
     .help = "how many; with three none may be lost"},
    {"blind", RN_OPT_FLAG(struct rn_demo_settings, blind),
     .help = "a coordinator that sees neither sums nor adapters; the members publish"},
    {"epsilon", RN_OPT_NUMBER(struct rn_demo_settings, epsilon, "E"), RN_BOUNDS_EPSILON,
     .help = "differential privacy: what each member promises for each of its records"},
    {"dp-clip", RN_OPT_NUMBER(struct rn_demo_settings, clip, "C"), .fallback = "1",
     .least = RN_DP_CLIP_MIN, .most = RN_DP_CLIP_MAX,
     .help = "with --epsilon: most that a record's gradient is long"},
    {"lose-none", RN_OPT_FLAG(struct rn_demo_settings, lose_none), .help = "do not kill a trainer"},
    {"skew", RN_OPT_NUMBER(struct rn_demo_settings, skew, "X"), .fallback = "0.6", .least = 0,
     .most = 1, .help = "how much the members' classes differ"},
    {"method", RN_OPT_CHOICE(struct rn_demo_settings, method, RN_CHOICES_METHOD),
     .fallback = "rolora", .help = "which matrices a round trains"},
    {"weights", RN_OPT_CHOICE(struct rn_demo_settings, weights, RN_CHOICES_WEIGHTS),
     .fallback = "uniform", .help = "how members weigh in the mean"},
    {"rounds", RN_OPT_COUNT(struct rn_demo_settings, rounds, "N"), .fallback = "12",
     RN_BOUNDS_ROUNDS, .help = "rounds of the job"},
    {"scale", RN_OPT_NUMBER(struct rn_demo_settings, scale, "X"), .fallback = "0.125",
     RN_BOUNDS_SCALE, .help = "largest change of one element in a round, a power of two"},
    {NULL}};

static const struct rn_option training_options[] = {
    {"steps", RN_OPT_COUNT(struct rn_demo_settings, steps, "N"), .fallback = "25", RN_BOUNDS_STEPS,
     .help = "local steps a round"},
    {"batch", RN_OPT_COUNT(struct rn_demo_settings, batch, "N"), .fallback = "32", RN_BOUNDS_BATCH,
     .help = "records per step"},
    {"rank", RN_OPT_COUNT(struct rn_demo_settings, rank, "N"), .fallback = "8", RN_BOUNDS_RANK,
     .help = "of the LoRA matrices"},
    {"alpha", RN_OPT_NUMBER(struct rn_demo_settings, alpha, "X"), .fallback = "16", RN_BOUNDS_ALPHA,
     .help = "scaling is alpha / rank"},
    {"targets", RN_OPT_TEXT(struct rn_demo_settings, targets, "NAME,..."), .fallback = "all-linear",
     .help = "modules to adapt, as in peft, or all-linear"},
    {"head", RN_OPT_CHOICE(struct rn_demo_settings, head, "frozen|federated|local"),
     .fallback = "federated", .help = "what happens to the classifier"},
    {"lr", RN_OPT_NUMBER(struct rn_demo_settings, lr, "X"), .fallback = "0.003", RN_BOUNDS_RATE,
     .help = "learning rate"},
    {"max-length", RN_OPT_COUNT(struct rn_demo_settings, max_length, "N"), .fallback = "64",
     RN_BOUNDS_LENGTH, .help = "tokens per record, special ones included"},
    {"seed", RN_OPT_COUNT(struct rn_demo_settings, seed, "N"), .fallback = "1", RN_BOUNDS_SEED,
     .help = "of the split, the adapter and batches"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Input", input_options, 0},
                                                {"Federation", federation_options, 0},
                                                {"Training", training_options, 0},
                                                {NULL}};

static const struct rn_option_renamed renamed[] = {
    {"organisations", "members"}, {"train", "data"}, {NULL, NULL}};

const struct rn_command_def rn_cmd_demo = {
    .name = "demo",
    .summary = "run a whole federation on this machine",
    .groups = groups,
    .settings_size = sizeof(struct rn_demo_settings),
    .renamed = renamed,
    .exits = RN_EXITS(65, 66, 69, 71, 75, 78, 81, 82),
    .detail = "Real processes, certificates, mutual TLS, secure aggregation and policies. In the "
              "middle of a round one trainer is killed; the others finish.",
    .examples = "  rondo demo --embedded deploy/embedded\n"
                "  rondo demo --embedded deploy/embedded --blind\n"
                "  rondo demo --embedded deploy/embedded --epsilon 3\n"
                "  rondo demo --model encoder --data train.tsv.gz --dev dev.tsv.gz \\\n"
                "      --text sentence --label label --members 3 --lose-none",
    .run = run,
};
