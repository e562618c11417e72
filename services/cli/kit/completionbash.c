/* SPDX-License-Identifier: Apache-2.0
 *
 * The script for bash: one function with two lookups, by option and by command.
 */
#include "base/guard.h"
#include "services/cli/kit/completion.h"

#include <string.h>

/* "a|b|" of the options that take a value beside choices, files and folders. */
static void add_value(struct rn_buffer *out, const struct rn_command_def *def,
                      const struct rn_option *option)
{
    rn_buffer_format(out, "    '%s|--%s') ", def->name, option->name);
    switch (option->kind) {
    case RN_OPTION_CHOICE:
        rn_buffer_format(out, "words='");
        rn_completion_choices(out, option->choices);
        rn_buffer_format(out, "' kind=words;;\n");
        return;
    case RN_OPTION_FILE:
        rn_buffer_format(out, "kind=file;;\n");
        return;
    case RN_OPTION_DIRECTORY:
        rn_buffer_format(out, "kind=directory;;\n");
        return;
    default:
        rn_buffer_format(out, "kind=any;;\n");
        return;
    }
}

static void add_command(struct rn_buffer *out, const struct rn_command_def *def)
{
    const struct rn_operand *operand = rn_completion_operand(def);
    struct rn_option_at at = {.def = def};
    rn_buffer_format(out, "    '%s') options='", def->name);
    while (!def->raw && rn_option_next(&at)) {
        rn_buffer_format(out, "--%s ", at.option.name);
    }
    rn_buffer_format(out, "'");
    if (operand != NULL && operand->choices != NULL) {
        rn_buffer_format(out, " words='");
        rn_completion_choices(out, operand->choices);
        rn_buffer_format(out, "' kind=words");
    } else {
        rn_buffer_format(out, " kind=%s",
                         operand == NULL                        ? "none"
                         : operand->kind == RN_OPTION_DIRECTORY ? "directory"
                         : operand->kind == RN_OPTION_FILE      ? "file"
                                                                : "any");
    }
    rn_buffer_format(out, ";;\n");
}

/* Which command the line begins with: of two words, of one, or none yet. */
static void add_find(struct rn_buffer *out, const struct rn_program *program)
{
    struct rn_command_at at = {0};
    rn_buffer_format(out, "    command=none\n"
                          "    case \"${COMP_WORDS[1]-} ${COMP_WORDS[2]-}\" in\n");
    while (rn_command_next(program, &at)) {
        if (at.def->hidden) {
            continue;
        }
        if (at.def->name[0] == '\0') {
            rn_buffer_format(out, "    *) command='' first=1;;\n");
        } else if (strchr(at.def->name, ' ') != NULL) {
            rn_buffer_format(out, "    '%s') command='%s' first=3;;\n", at.def->name, at.def->name);
        } else {
            rn_buffer_format(out, "    '%s '*) command='%s' first=2;;\n", at.def->name,
                             at.def->name);
        }
    }
    rn_buffer_format(out, "    esac\n");
}

/* The words that can begin a command, and those that follow "plan". */
static void add_names(struct rn_buffer *out, const struct rn_program *program)
{
    char word[RN_COMMAND_NAME_MAX];
    struct rn_command_at at = {0};
    rn_buffer_format(out, "    if ((COMP_CWORD == 1)) && [[ $command != '' ]]; then\n"
                          "        COMPREPLY=($(compgen -W '");
    while (rn_command_next(program, &at)) {
        if (rn_completion_first_word(program, at.def, word)) {
            rn_buffer_format(out, "%s ", word);
        }
    }
    rn_buffer_format(out, "help --help --version' -- \"$current\"))\n        return\n    fi\n"
                          "    if ((COMP_CWORD == 2)); then\n"
                          "        case ${COMP_WORDS[1]} in\n");
    at = (struct rn_command_at){0};
    while (rn_command_next(program, &at)) {
        struct rn_command_at verb = {0};
        if (strchr(at.def->name, ' ') == NULL || !rn_completion_first_word(program, at.def, word)) {
            continue;
        }
        rn_buffer_format(out, "        %s) COMPREPLY=($(compgen -W '", word);
        while (rn_command_next(program, &verb)) {
            const size_t length = strlen(word);
            if (!verb.def->hidden && strncmp(verb.def->name, word, length) == 0 &&
                verb.def->name[length] == ' ') {
                rn_buffer_format(out, "%s ", verb.def->name + length + 1);
            }
        }
        rn_buffer_format(out, "' -- \"$current\")); return;;\n");
    }
    rn_buffer_format(out, "        esac\n    fi\n");
}

static const char head[] =
    "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local command first=0 options='' words='' kind=none\n"
    "    COMPREPLY=()\n"
    "    # --name=value comes as three words.\n"
    "    if [[ $current == '=' ]]; then\n"
    "        current=''\n"
    "    elif [[ $previous == '=' ]]; then\n"
    "        previous=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    fi\n";

static const char tail[] = "    case $kind in\n"
                           "    words) COMPREPLY=($(compgen -W \"$words\" -- \"$current\"));;\n"
                           "    file)\n"
                           "        compopt -o filenames 2>/dev/null\n"
                           "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\");;\n"
                           "    directory)\n"
                           "        compopt -o filenames 2>/dev/null\n"
                           "        mapfile -t COMPREPLY < <(compgen -d -- \"$current\");;\n"
                           "    esac\n"
                           "}\n";

void rn_completion_bash(const struct rn_program *program, struct rn_buffer *out)
{
    char name[RN_COMMAND_NAME_MAX];
    struct rn_command_at at = {0};
    rn_completion_identifier(program, name);
    rn_buffer_format(out, "# bash completion of %s %s\n_%s() {\n%s", program->name, RN_VERSION,
                     name, head);
    add_find(out, program);
    add_names(out, program);
    rn_buffer_format(out, "    case $command in\n");
    while (rn_command_next(program, &at)) {
        if (!at.def->hidden) {
            add_command(out, at.def);
        }
    }
    rn_buffer_format(out, "    esac\n    if [[ $current == -* ]]; then\n"
                          "        kind=words words=$options\n    fi\n"
                          "    ((COMP_CWORD <= first)) || case \"$command|$previous\" in\n");
    at = (struct rn_command_at){0};
    while (rn_command_next(program, &at)) {
        struct rn_option_at option = {.def = at.def};
        while (!at.def->hidden && !at.def->raw && rn_option_next(&option)) {
            if (option.option.kind != RN_OPTION_FLAG) {
                add_value(out, at.def, &option.option);
            }
        }
    }
    rn_buffer_format(out, "    esac\n%scomplete -F _%s %s\n", tail, name, program->name);
}
