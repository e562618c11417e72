/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo: the operator's, engineer's and auditor's commands. `rondo <noun> <verb>` or `rondo
 * <verb>`.
 */
#include "base/bytes.h"
#include "base/guard.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/options.h"

#include <stdio.h>
#include <string.h>

struct command_row {
    const char *name; /* one or two words; NULL starts a group of the help, named by summary */
    int (*run)(int argc, char **argv);
    const char *summary;
};

/* Order of the help. */
static const struct command_row commands[] = {
    {NULL, NULL, "At an engineer's desk, without a federation"},
    {"train", rn_cmd_train, "fine-tune a LoRA adapter on one machine"},
    {"trainer plan", rn_cmd_trainer_plan, "the memory that training would take, before it does"},
    {"evaluate", rn_cmd_evaluate, "metrics of a model and adapter on labelled data"},
    {"predict", rn_cmd_predict, "label and logits of every record"},
    {"tokenize", rn_cmd_tokenize, "show the token ids of a data file"},
    {"model hash", rn_cmd_model_hash, "the hash by which a plan names its base model"},
    {"data split", rn_cmd_data_split, "cut a data file into skewed parts, for experiments"},
    {"model inspect", rn_cmd_model_inspect, "say what a model or adapter directory holds"},
    {"bench train", rn_cmd_bench_train, "measure training here, beside torch and peft"},
    {"bench gemm", rn_cmd_bench_gemm, "measure this machine's matrix products"},
    {"bench plot", rn_cmd_bench_plot, "draw the ratios of bench train's CSV files"},
    {NULL, NULL, "Setting up a federation"},
    {"init", rn_cmd_init, "make the operator's directory: CA, coordinator, plan, invitations"},
    {"invite", rn_cmd_invite, "invite members, and accept their requests"},
    {"join", rn_cmd_join, "join a federation with an invitation, then with a welcome"},
    {"plan check", rn_cmd_plan_check, "check a plan against cohort, base model and own policy"},
    {"plan show", rn_cmd_plan_show, "show a plan and what follows from it"},
    {"plan sign", rn_cmd_plan_sign, "sign the plan, and take over others' signatures"},
    {"doctor", rn_cmd_doctor, "check whether a site is ready to run"},
    {NULL, NULL, "Running it"},
    {"run", rn_cmd_run, "run the service of a site, coordinator or member"},
    {"status", rn_cmd_status, "ask a running coordinator or trainer where it stands"},
    {"curves", rn_cmd_curves, "draw the rounds of one or more jobs as an SVG"},
    {"demo", rn_cmd_demo, "run a whole federation on this machine"},
};

static void print_usage(FILE *out)
{
    (void)fprintf(out,
                  "rondo %s: privacy-hardened federated LoRA fine-tuning\n\n"
                  "Usage: rondo COMMAND [options]      rondo COMMAND --help\n",
                  RN_VERSION);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(commands); i++) {
        if (commands[i].name == NULL) {
            (void)fprintf(out, "\n%s:\n", commands[i].summary);
        } else {
            (void)fprintf(out, "  %-16s %s\n", commands[i].name, commands[i].summary);
        }
    }
}

/* The row whose one or two words stand at argv[1..]; *out_words says how many it took. */
static const struct command_row *find_command(int argc, char **argv, int *out_words)
{
    char both[128];

    for (int words = argc > 2 ? 2 : 1; words >= 1; words--) {
        if (words == 2 && !rn_text_format(both, sizeof both, "%s %s", argv[1], argv[2])) {
            continue;
        }
        const char *name = words == 2 ? both : argv[1];
        for (size_t i = 0; i < RN_ARRAY_LENGTH(commands); i++) {
            if (commands[i].name != NULL && strcmp(commands[i].name, name) == 0) {
                *out_words = words;
                return &commands[i];
            }
        }
    }
    return NULL;
}

/* "plan" alone: list its verbs. */
static bool print_verbs(const char *noun)
{
    const size_t length = strlen(noun);
    bool any = false;

    for (size_t i = 0; i < RN_ARRAY_LENGTH(commands); i++) {
        const char *name = commands[i].name;
        if (name != NULL && strncmp(name, noun, length) == 0 && name[length] == ' ') {
            (void)fprintf(stderr, "%srondo %s: %s\n", any ? "" : "rondo: choose one of\n  ", name,
                          commands[i].summary);
            any = true;
        }
    }
    return any;
}

static void print_unknown(int argc, char **argv)
{
    const char *names[RN_ARRAY_LENGTH(commands)];
    size_t count = 0;
    char both[128];

    for (size_t i = 0; i < RN_ARRAY_LENGTH(commands); i++) {
        if (commands[i].name != NULL) {
            names[count++] = commands[i].name;
        }
    }
    (void)rn_text_format(both, sizeof both, "%.60s %.60s", argv[1], argc > 2 ? argv[2] : "");
    const char *near = rn_nearest_name(argv[1], names, count);
    near = near != NULL ? near : rn_nearest_name(both, names, count);
    (void)fprintf(stderr, "rondo: unknown command \"%.60s\"%s%s%s; see rondo --help\n", argv[1],
                  near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
                  near == NULL ? "" : "\"?");
}

int main(int argc, char **argv)
{
    const int usage_code = rn_exit_code((rn_result){RN_E_USAGE});
    int words = 0;

    if (argc < 2) {
        print_usage(stderr);
        return usage_code;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("rondo %s\n", RN_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && argc == 2)) {
        print_usage(stdout);
        printf("\nExit codes:\n");
        rn_exit_codes_print();
        return 0;
    }
    if (strcmp(argv[1], "help") == 0) {
        const struct command_row *row = find_command(argc - 1, argv + 1, &words);
        char help[] = "--help";
        char *arguments[] = {argv[1], help, NULL};
        if (row != NULL) {
            return row->run(2, arguments);
        }
        print_unknown(argc - 1, argv + 1);
        return usage_code;
    }
    const struct command_row *row = find_command(argc, argv, &words);
    if (row != NULL) {
        return row->run(argc - words, argv + words);
    }
    if (!print_verbs(argv[1])) {
        print_unknown(argc, argv);
    }
    return usage_code;
}
