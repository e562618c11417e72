/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands and programs as static data: a program is a tree of commands, a command a table of
 * options and a function. --help, completion, manual pages and the tests walk the same tree.
 *
 *     static rn_result run(struct rn_command *command, struct rn_error *err)
 *     {
 *         const struct train_settings *s = command->settings;
 *         ...
 *     }
 *     const struct rn_command_def rn_cmd_train = {.name = "train", .groups = groups, .run = run,
 *                                                 .settings_size = sizeof(struct train_settings)};
 *
 * Every command also takes --format, --quiet and --help. Both "--name value" and "--name=value" are
 * read, "--" ends the options, an option given twice is refused. Unknown commands, options and
 * choices are refused with the nearest known one. A failure is printed to standard error as one
 * line, or as {"error": {"code": ..., "message": ...}} where the format is not text.
 */
#ifndef RN_SERVICES_CLI_KIT_COMMANDS_H
#define RN_SERVICES_CLI_KIT_COMMANDS_H

#include "base/bytes.h"
#include "services/cli/kit/options.h"

#define RN_OPERAND_KINDS_MAX 2
#define RN_COMMAND_NAME_MAX 48

struct rn_program;
struct rn_command;

struct rn_command_def {
    const char *name;    /* "train" or "plan check"; "": the program is the command */
    const char *summary; /* one sentence, lower case, no full stop */
    const struct rn_option_group *groups; /* ended by a group without rows; NULL: none */
    size_t settings_size; /* of the struct that the options fill; zeroed, then the defaults */
    struct rn_operand operands[RN_OPERAND_KINDS_MAX];
    const struct rn_option_renamed *renamed; /* ended by NULL; may be NULL */
    const char *detail;                      /* paragraphs between empty lines, or NULL */
    const char *examples;                    /* lines as they are, or NULL */
    const char *formats;  /* choices of --format; NULL: "text|json"; "text": no --format */
    const uint8_t *exits; /* RN_EXITS(...): codes beside those of every command */
    bool hidden;          /* neither in help nor in completion nor in the manual */
    bool raw; /* argv is not parsed: run finds it in command->argv; no options of its own */
    /* RN_OK and err untouched, or a failure with a sentence. */
    rn_result (*run)(struct rn_command *command, struct rn_error *err);
};

/* Codes beside 0 (done), 64 (wrong command line), 70 (a bug) and 74 (standard output cannot be
 * written), which every command can return. */
#define RN_EXITS(...) ((const uint8_t[]){__VA_ARGS__, 0})

/* A command with what stood on its command line. */
struct rn_command {
    const struct rn_program *program;
    const struct rn_command_def *def;
    void *settings;
    const char **operands;
    size_t operand_count;
    const char *format; /* one of def->formats */
    bool json;          /* format is json */
    bool quiet;
    bool help;
    bool given[RN_OPTIONS_MAX]; /* by the number of the option */
    char **argv;                /* as it came, ended by NULL; argv[0] is the command's name */
};

struct rn_command_group {
    const char *title;                            /* heading; NULL ends the list */
    const struct rn_command_def *const *commands; /* ended by NULL */
};

struct rn_program {
    const char *name;    /* "rondo" */
    const char *summary; /* one sentence */
    const struct rn_command_group *groups;
};

/* ---- Walking the tables ---- */

/* Start with {0}; false after the last. */
struct rn_command_at {
    const struct rn_command_def *def;
    const char *group; /* title */
    size_t group_number, number;
};
bool rn_command_next(const struct rn_program *program, struct rn_command_at *at);

/* The options of a command, --format, --quiet and --help last. Start with {.def = def}. */
struct rn_option_at {
    const struct rn_command_def *def;
    struct rn_option option; /* offset: in the settings, or where common in struct rn_command */
    const char *group;       /* title */
    size_t number;           /* from 0, over all groups */
    bool common;
    size_t group_number, row;
};
bool rn_option_next(struct rn_option_at *at);

/* "rondo plan check", or the program's name alone. */
void rn_command_title(const struct rn_program *program, const struct rn_command_def *def,
                      char out[static RN_COMMAND_NAME_MAX]);

/* ---- One command line ---- */

/* Parsing alone: RN_E_USAGE with a sentence. With --help out->help is set and nothing else is
 * checked. out->format is what --format asks for, wherever it stands, also when parsing fails.
 * Clear out in any case. */
RN_MUST rn_result rn_command_parse(const struct rn_program *program,
                                   const struct rn_command_def *def, int argc, char **argv,
                                   struct rn_command *out, struct rn_error *err);
void rn_command_clear(struct rn_command *command);

/* The word at "--format" of a line that need not be right otherwise: how its mistakes are told.
 * NULL when there is none. */
const char *rn_command_format_asked(int argc, char **argv);

/* True when the option of this name stood on the command line. */
bool rn_command_given(const struct rn_command *command, const char *name);

/* Appends "name=value" lines of the command's own options, as they were given or by default, but
 * not of those named in skip (ended by NULL): what a later run must have alike. */
void rn_command_settings_text(const struct rn_command *command, const char *const *skip,
                              struct rn_buffer *out);

/* One line "note: ..." to standard error, for what a person should know and a script need not;
 * nothing when quiet. */
void rn_command_note(const struct rn_command *command, const char *format, ...) RN_PRINTF(2, 3);

/* ---- Exit codes ---- */

/* The meaning of a code in a few words; NULL for a number that is none. */
const char *rn_exit_text(int code);
/* The codes of a command (NULL: of all), ascending; returns how many. */
#define RN_EXITS_MAX 32
size_t rn_exits_of(const struct rn_command_def *def, int out[static RN_EXITS_MAX]);

#endif
