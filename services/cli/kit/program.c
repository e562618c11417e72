/* SPDX-License-Identifier: Apache-2.0
 *
 * From the words of a command line to a command; failures to standard error.
 */
#include "services/cli/kit/program.h"

#include "base/bytes.h"
#include "base/guard.h"
#include "services/cli/kit/help.h"
#include "services/cli/kit/jsontext.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMANDS_MAX 128

/* A terminal, and no NO_COLOR in the environment. */
static bool terminal_colour(int descriptor)
{
    const char *no_colour = getenv("NO_COLOR");

    return (no_colour == NULL || no_colour[0] == '\0') && isatty(descriptor) == 1;
}

/* Prints the failure and gives the exit code. format: what the result would have had. */
static int end_failed(const char *title, const char *format, rn_result result, const char *sentence)
{
    const char *code = rn_code_name(result.code);
    const char *text = sentence[0] == '\0' ? code : sentence;

    if (strcmp(format, "text") != 0) {
        json_t *root =
            json_pack("{s:{s:s, s:o}}", "error", "code", code, "message", rn_json_sentence(text));
        (void)json_dumpf(root, stderr, JSON_COMPACT);
        (void)fputc('\n', stderr);
        json_decref(root);
        return rn_exit_code(result);
    }
    const bool colour = terminal_colour(STDERR_FILENO);
    (void)fprintf(stderr, "%s%s:%s %s\n", colour ? "\033[1;31m" : "", title,
                  colour ? "\033[0m" : "", text);
    return rn_exit_code(result);
}

/* Whatever a command did, text that standard output did not take is what failed. */
static int end(const struct rn_command *command, rn_result result, const struct rn_error *err)
{
    char title[RN_COMMAND_NAME_MAX];
    const bool taken = fflush(stdout) == 0 && ferror(stdout) == 0;

    if (taken && rn_is_ok(result)) {
        return 0;
    }
    rn_command_title(command->program, command->def, title);
    return end_failed(title, command->format, taken ? result : (rn_result){RN_E_IO},
                      taken ? err->text : "cannot write to standard output");
}

int rn_command_run(const struct rn_program *program, const struct rn_command_def *def, int argc,
                   char **argv)
{
    RN_CLEANUP(rn_command_clear) struct rn_command command;
    struct rn_error err = {{0}};

    rn_result result = rn_command_parse(program, def, argc, argv, &command, &err);
    if (rn_is_ok(result) && command.help) {
        rn_help_print(program, def);
    } else if (rn_is_ok(result)) {
        result = def->run(&command, &err);
    }
    return end(&command, result, &err);
}

/* The command whose one or two words stand at argv[1..]; *out_words says how many it took. */
static const struct rn_command_def *find_command(const struct rn_program *program, int argc,
                                                 char **argv, int *out_words)
{
    char both[128];

    for (int words = argc > 2 ? 2 : 1; words >= 1; words--) {
        if (words == 2 && !rn_text_format(both, sizeof both, "%s %s", argv[1], argv[2])) {
            continue;
        }
        const char *name = words == 2 ? both : argv[1];
        struct rn_command_at at = {0};
        while (rn_command_next(program, &at)) {
            if (strcmp(at.def->name, name) == 0) {
                *out_words = words;
                return at.def;
            }
        }
    }
    return NULL;
}

/* "plan" alone: its verbs. */
static void verbs_text(const struct rn_program *program, const char *noun, struct rn_buffer *out)
{
    const size_t length = strlen(noun);
    struct rn_command_at at = {0};

    while (rn_command_next(program, &at)) {
        const char *name = at.def->name;
        if (!at.def->hidden && strncmp(name, noun, length) == 0 && name[length] == ' ') {
            rn_buffer_format(out, "%s  %s %s: %s", out->length == 0 ? "choose one of\n" : "\n",
                             program->name, name, at.def->summary);
        }
    }
}

static void unknown_text(const struct rn_program *program, int argc, char **argv,
                         struct rn_buffer *out)
{
    const char *names[COMMANDS_MAX];
    char both[128];
    size_t count = 0;
    struct rn_command_at at = {0};

    while (rn_command_next(program, &at) && count < COMMANDS_MAX) {
        if (!at.def->hidden) {
            names[count++] = at.def->name;
        }
    }
    (void)rn_text_format(both, sizeof both, "%.60s %.60s", argv[1], argc > 2 ? argv[2] : "");
    const char *near = rn_nearest_name(argv[1], names, count);
    near = near != NULL ? near : rn_nearest_name(both, names, count);
    rn_buffer_format(out, "unknown command \"%.60s\"%s%s%s; see %s --help", argv[1],
                     near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
                     near == NULL ? "" : "\"?", program->name);
}

/* `rondo help plan check` is `rondo plan check --help`. */
static int help_of(const struct rn_program *program, int argc, char **argv)
{
    int words = 0;
    const struct rn_command_def *def = find_command(program, argc, argv, &words);

    if (def == NULL) {
        const char *format = rn_command_format_asked(argc, argv);
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        verbs_text(program, argv[1], &text);
        if (text.length == 0) {
            unknown_text(program, argc, argv, &text);
        }
        return end_failed(program->name, format == NULL ? "text" : format, (rn_result){RN_E_USAGE},
                          rn_buffer_text(&text));
    }
    rn_help_print(program, def);
    return fflush(stdout) == 0 ? 0 : rn_exit_code((rn_result){RN_E_IO});
}

static const struct rn_command_def *only_command(const struct rn_program *program)
{
    const struct rn_command_def *first = program->groups[0].commands[0];
    return first->name[0] == '\0' ? first : NULL;
}

int rn_program_main(const struct rn_program *program, int argc, char **argv)
{
    const struct rn_command_def *only = only_command(program);
    int words = 0;

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", program->name, RN_VERSION);
        return 0;
    }
    if (only != NULL) {
        return rn_command_run(program, only, argc, argv);
    }
    if (argc < 2) {
        rn_program_help_print(program, stderr);
        return rn_exit_code((rn_result){RN_E_USAGE});
    }
    const bool asks = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (asks && argc == 2)) {
        rn_program_help_print(program, stdout);
        return 0;
    }
    if (asks) {
        return help_of(program, argc - 1, argv + 1);
    }
    const struct rn_command_def *def = find_command(program, argc, argv, &words);
    if (def != NULL) {
        return rn_command_run(program, def, argc - words, argv + words);
    }
    return help_of(program, argc, argv);
}
