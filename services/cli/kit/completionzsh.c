/* SPDX-License-Identifier: Apache-2.0
 *
 * The script for zsh: _arguments for each command.
 */
#include "base/guard.h"
#include "services/cli/kit/completion.h"

#include <string.h>

/* Text inside a specification of _arguments or _describe: brackets, colons and backslashes with a
 * backslash before them; still to be put in quotes. */
static void add_escaped(struct rn_buffer *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (strchr("[]:\\", *c) != NULL) {
            rn_buffer_u8(out, '\\');
        }
        rn_buffer_u8(out, (uint8_t)*c);
    }
}

/* ":NAME:action" */
static void add_action(struct rn_buffer *spec, const char *name, enum rn_option_kind kind,
                       const char *choices)
{
    rn_buffer_format(spec, ":");
    add_escaped(spec, name);
    if (choices != NULL) {
        rn_buffer_format(spec, ":(");
        rn_completion_choices(spec, choices);
        rn_buffer_format(spec, ")");
    } else {
        rn_buffer_format(spec, ":%s",
                         kind == RN_OPTION_DIRECTORY ? "_files -/"
                         : kind == RN_OPTION_FILE    ? "_files"
                                                     : " ");
    }
}

static void add_option(struct rn_buffer *out, const struct rn_option *option)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer spec = {0};
    const bool flag = option->kind == RN_OPTION_FLAG;
    rn_buffer_format(&spec, "--%s%s[", option->name, flag ? "" : "=");
    add_escaped(&spec, option->help);
    rn_buffer_format(&spec, "]");
    if (!flag) {
        add_action(&spec, option->value == NULL ? option->name : option->value, option->kind,
                   option->choices);
    }
    rn_buffer_format(out, " \\\n            ");
    rn_completion_quote(out, rn_buffer_text(&spec), false);
}

static void add_command(struct rn_buffer *out, const struct rn_command_def *def)
{
    struct rn_option_at at = {.def = def};
    rn_buffer_format(out, "    (");
    rn_completion_quote(out, def->name, false);
    rn_buffer_format(out, ")\n        _arguments -s");
    while (!def->raw && rn_option_next(&at)) {
        add_option(out, &at.option);
    }
    for (size_t i = 0; i < RN_OPERAND_KINDS_MAX && def->operands[i].name != NULL; i++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer spec = {0};
        rn_buffer_format(&spec, "%s", def->operands[i].most > 1 ? "*" : "");
        add_action(&spec, def->operands[i].name, def->operands[i].kind, def->operands[i].choices);
        rn_buffer_format(out, " \\\n            ");
        rn_completion_quote(out, rn_buffer_text(&spec), false);
    }
    rn_buffer_format(out, " ;;\n");
}

/* 'word:summary' for _describe. */
static void add_described(struct rn_buffer *out, const char *word, const char *summary)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer spec = {0};
    add_escaped(&spec, word);
    rn_buffer_format(&spec, ":");
    add_escaped(&spec, summary);
    rn_buffer_format(out, "            ");
    rn_completion_quote(out, rn_buffer_text(&spec), false);
    rn_buffer_format(out, "\n");
}

static void add_verbs(struct rn_buffer *out, const struct rn_program *program, const char *noun)
{
    const size_t length = strlen(noun);
    struct rn_command_at at = {0};
    rn_buffer_format(out, "    (%s)\n        if ((CURRENT == 3)); then\n            names=(\n",
                     noun);
    while (rn_command_next(program, &at)) {
        if (!at.def->hidden && strncmp(at.def->name, noun, length) == 0 &&
            at.def->name[length] == ' ') {
            add_described(out, at.def->name + length + 1, at.def->summary);
        }
    }
    rn_buffer_format(out,
                     "            )\n            _describe verb names\n            return\n"
                     "        fi\n        words=(\"$words[2] $words[3]\" \"${(@)words[4,-1]}\")\n"
                     "        ((CURRENT -= 2)) ;;\n");
}

static void add_choose(struct rn_buffer *out, const struct rn_program *program)
{
    char word[RN_COMMAND_NAME_MAX];
    struct rn_command_at at = {0};
    rn_buffer_format(out, "    if ((CURRENT == 2)); then\n        names=(\n");
    while (rn_command_next(program, &at)) {
        if (rn_completion_first_word(program, at.def, word)) {
            add_described(out, word, at.def->summary);
        }
    }
    rn_buffer_format(out, "        )\n        _describe command names\n        return\n    fi\n"
                          "    case $words[2] in\n");
    at = (struct rn_command_at){0};
    while (rn_command_next(program, &at)) {
        if (strchr(at.def->name, ' ') != NULL && rn_completion_first_word(program, at.def, word)) {
            add_verbs(out, program, word);
        }
    }
    rn_buffer_format(out, "    (*)\n        shift words\n        ((CURRENT--)) ;;\n    esac\n");
}

void rn_completion_zsh(const struct rn_program *program, struct rn_buffer *out)
{
    char name[RN_COMMAND_NAME_MAX];
    struct rn_command_at at = {0};
    const bool single = program->groups[0].commands[0]->name[0] == '\0';
    rn_completion_identifier(program, name);
    rn_buffer_format(out, "#compdef %s\n# zsh completion of %s %s\n_%s() {\n    local -a names\n",
                     program->name, program->name, RN_VERSION, name);
    if (!single) {
        add_choose(out, program);
    }
    rn_buffer_format(out, "    case %s in\n", single ? "''" : "$words[1]");
    while (rn_command_next(program, &at)) {
        if (!at.def->hidden) {
            add_command(out, at.def);
        }
    }
    rn_buffer_format(out, "    esac\n}\n_%s \"$@\"\n", name);
}
