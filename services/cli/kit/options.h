/* SPDX-License-Identifier: Apache-2.0
 *
 * Command-line options as a table: one row per option gives parser, bounds, default and help text.
 *
 *     static struct settings s = {.batch = 32};
 *     const struct rn_option options[] = {
 *         {"data", "FILE", RN_OPTION_TEXT, &s.data, .required = true, .help = "training data"},
 *         {"batch", "N", RN_OPTION_COUNT, &s.batch, .least = 1, .most = 4096, .help = "..."},
 *     };
 *     const struct rn_command_text text = {"train", "one sentence", options,
 * RN_ARRAY_LENGTH(options), .examples = "..."}; struct rn_command command; if
 * (!rn_command_begin(&command, &text, argc, argv)) { return command.exit_code;
 *     }
 *     ...
 *     return rn_command_end(&command, result, &err);
 *
 * A default is what the variable holds before the call; one outside its bounds, or NaN, means "not
 * set" and is not shown. Every command also takes --format, --quiet
 * and --help. Both "--name value" and "--name=value" are read, "--" ends the options, an option
 * given twice is refused. Unknown options and choices are refused with the nearest known one.
 */
#ifndef RN_SERVICES_CLI_KIT_OPTIONS_H
#define RN_SERVICES_CLI_KIT_OPTIONS_H

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_OPTIONS_MAX 64
#define RN_OPERANDS_MAX 64

enum rn_option_type {
    RN_OPTION_FLAG,   /* bool *: no value, sets true */
    RN_OPTION_TEXT,   /* const char **: any text that is not empty, borrowed from argv */
    RN_OPTION_COUNT,  /* uint64_t *: decimal integer */
    RN_OPTION_NUMBER, /* double *: finite decimal */
    RN_OPTION_CHOICE, /* const char **: one of choices */
};

struct rn_option {
    const char *name;     /* without the dashes */
    const char *argument; /* what the help calls the value: "FILE", "N"; NULL for a flag */
    enum rn_option_type type;
    void *value;
    double least, most;  /* COUNT and NUMBER; both 0: no bounds */
    const char *choices; /* "adamw|sgd" */
    bool required;
    const char *help; /* one sentence, no full stop, may hold \n */
};

struct rn_command_text {
    const char *name;    /* "train" or "plan check", as typed after rondo */
    const char *summary; /* one sentence */
    const struct rn_option *options;
    size_t option_count;
    const char *operands;      /* "DIR" for the synopsis; NULL: none are taken */
    size_t operands_least;     /* how many there must be */
    size_t operands_most;      /* and may be, at most RN_OPERANDS_MAX */
    const char *detail;        /* further paragraphs, or NULL */
    const char *examples;      /* lines, or NULL */
    const char *extra_formats; /* "|jsonl" where the command has formats beside text and json */
};

struct rn_command {
    const struct rn_command_text *text;
    const char *operands[RN_OPERANDS_MAX];
    size_t operand_count;
    const char *format; /* "text", "json", or an extra format */
    bool json;          /* format is json */
    bool quiet;
    bool given[RN_OPTIONS_MAX]; /* given[i]: option i stood on the command line */
    int exit_code;              /* when begin returned false */
};

/* Parses argv[1..]. False when there is nothing more to do: --help was printed (exit code 0), or
 * the error was printed (exit code 64). */
bool rn_command_begin(struct rn_command *out, const struct rn_command_text *text, int argc,
                      char **argv);

/* Prints a failure (text: "rondo train: sentence"; json: {"error": {"code": ..., "message": ...}}
 * as one line) to stderr and gives the exit code; silent for success. */
int rn_command_end(const struct rn_command *command, rn_result result, const struct rn_error *err);

/* True when the option of this name stood on the command line. */
bool rn_command_given(const struct rn_command *command, const char *name);

/* Parsing without printing, for tests: RN_E_USAGE with a sentence. *out_help when --help was there.
 */
RN_MUST rn_result rn_command_parse(struct rn_command *out, const struct rn_command_text *text,
                                   int argc, char **argv, bool *out_help, struct rn_error *err);

/* The nearest of count names if it is near enough to be a typing mistake, else NULL. */
const char *rn_nearest_name(const char *wrong, const char *const *names, size_t count);

/* Lines of the exit code table, for --help. */
void rn_exit_codes_print(void);

/* Whether to colour on this descriptor: a terminal and no NO_COLOR in the environment. */
bool rn_terminal_colour(int descriptor);

#endif
