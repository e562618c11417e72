/* SPDX-License-Identifier: Apache-2.0
 *
 * The script for fish: one `complete` line for each word and option.
 */
#include "base/guard.h"
#include "services/cli/kit/completion.h"

#include <string.h>

/* -n with the condition that the line begins with these words. */
static void add_condition(struct rn_buffer *out, const char *function, const char *words)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer condition = {0};
    rn_buffer_format(&condition, "__%s_begins %s", function, words);
    rn_buffer_format(out, " -n ");
    rn_completion_quote(out, rn_buffer_text(&condition), true);
}

static void add_choices(struct rn_buffer *out, const char *choices)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer words = {0};
    rn_completion_choices(&words, choices);
    rn_buffer_format(out, " -a ");
    rn_completion_quote(out, rn_buffer_text(&words), true);
}

static void add_option(struct rn_buffer *out, const struct rn_program *program,
                       const char *function, const struct rn_command_def *def,
                       const struct rn_option *option)
{
    rn_buffer_format(out, "complete -c %s", program->name);
    add_condition(out, function, def->name);
    rn_buffer_format(out, " -l %s", option->name);
    if (option->kind == RN_OPTION_FILE) {
        rn_buffer_format(out, " -r -F");
    } else if (option->kind == RN_OPTION_DIRECTORY) {
        rn_buffer_format(out, " -x -a '(__fish_complete_directories)'");
    } else if (option->kind != RN_OPTION_FLAG) {
        rn_buffer_format(out, " -x");
    }
    if (option->choices != NULL) {
        add_choices(out, option->choices);
    }
    rn_buffer_format(out, " -d ");
    rn_completion_quote(out, option->help, true);
    rn_buffer_format(out, "\n");
}

static void add_command(struct rn_buffer *out, const struct rn_program *program,
                        const char *function, const struct rn_command_def *def)
{
    const struct rn_operand *operand = rn_completion_operand(def);
    const char *verb = strchr(def->name, ' ');
    struct rn_option_at at = {.def = def};
    if (verb != NULL) {
        rn_buffer_format(out, "complete -c %s -n '__%s_at 2 %.*s' -a %s -d ", program->name,
                         function, (int)(verb - def->name), def->name, verb + 1);
        rn_completion_quote(out, def->summary, true);
        rn_buffer_format(out, "\n");
    }
    while (!def->raw && rn_option_next(&at)) {
        add_option(out, program, function, def, &at.option);
    }
    if (operand == NULL || operand->kind == RN_OPTION_TEXT) {
        return;
    }
    rn_buffer_format(out, "complete -c %s", program->name);
    add_condition(out, function, def->name);
    if (operand->choices != NULL) {
        add_choices(out, operand->choices);
    } else {
        rn_buffer_format(
            out, operand->kind == RN_OPTION_FILE ? " -F" : " -a '(__fish_complete_directories)'");
    }
    rn_buffer_format(out, "\n");
}

void rn_completion_fish(const struct rn_program *program, struct rn_buffer *out)
{
    char function[RN_COMMAND_NAME_MAX];
    char word[RN_COMMAND_NAME_MAX];
    struct rn_command_at at = {0};
    rn_completion_identifier(program, function);
    rn_buffer_format(out,
                     "# fish completion of %s %s\n"
                     "function __%s_begins\n"
                     "    set -l words (commandline -opc)\n"
                     "    set -e words[1]\n"
                     "    set -l n (count $argv)\n"
                     "    test $n -eq 0; and return 0\n"
                     "    test (count $words) -ge $n; and test \"$words[1..$n]\" = \"$argv\"\n"
                     "end\n"
                     "function __%s_at\n"
                     "    set -l words (commandline -opc)\n"
                     "    test (count $words) -eq $argv[1]; and __%s_begins $argv[2..-1]\n"
                     "end\n"
                     "complete -c %s -f\n",
                     program->name, RN_VERSION, function, function, function, program->name);
    while (rn_command_next(program, &at)) {
        if (at.def->name[0] != '\0' && rn_completion_first_word(program, at.def, word)) {
            rn_buffer_format(out, "complete -c %s -n '__%s_at 1' -a %s -d ", program->name,
                             function, word);
            rn_completion_quote(out, at.def->summary, true);
            rn_buffer_format(out, "\n");
        }
        if (!at.def->hidden) {
            add_command(out, program, function, at.def);
        }
    }
}
