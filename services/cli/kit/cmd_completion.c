/* SPDX-License-Identifier: Apache-2.0
 *
 * completion SHELL, and what the three scripts share.
 */
#include "base/guard.h"
#include "services/cli/kit/completion.h"

#include <stdio.h>
#include <string.h>

void rn_completion_identifier(const struct rn_program *program,
                              char out[static RN_COMMAND_NAME_MAX])
{
    RN_BUG_IF(!rn_text_format(out, RN_COMMAND_NAME_MAX, "%s", program->name));
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
}

void rn_completion_quote(struct rn_buffer *out, const char *text, bool fish)
{
    rn_buffer_u8(out, '\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'') {
            rn_buffer_format(out, "%s", fish ? "\\'" : "'\\''");
        } else if (*c == '\\' && fish) {
            rn_buffer_format(out, "\\\\");
        } else {
            rn_buffer_u8(out, (uint8_t)*c);
        }
    }
    rn_buffer_u8(out, '\'');
}

void rn_completion_choices(struct rn_buffer *out, const char *choices)
{
    for (const char *c = choices; *c != '\0'; c++) {
        rn_buffer_u8(out, *c == '|' ? ' ' : (uint8_t)*c);
    }
}

bool rn_completion_first_word(const struct rn_program *program, const struct rn_command_def *def,
                              char out[static RN_COMMAND_NAME_MAX])
{
    const size_t length = strcspn(def->name, " ");
    struct rn_command_at at = {0};
    (void)rn_text_format(out, RN_COMMAND_NAME_MAX, "%.*s", (int)length, def->name);
    while (rn_command_next(program, &at) && at.def != def) {
        if (!at.def->hidden && strncmp(at.def->name, def->name, length) == 0 &&
            strcspn(at.def->name, " ") == length) {
            return false;
        }
    }
    return !def->hidden;
}

const struct rn_operand *rn_completion_operand(const struct rn_command_def *def)
{
    const struct rn_operand *last = NULL;
    for (size_t i = 0; i < RN_OPERAND_KINDS_MAX && def->operands[i].name != NULL; i++) {
        last = &def->operands[i];
    }
    return last;
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    static const struct {
        const char *shell;
        void (*write)(const struct rn_program *program, struct rn_buffer *out);
    } shells[] = {
        {"bash", rn_completion_bash}, {"zsh", rn_completion_zsh}, {"fish", rn_completion_fish}};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    (void)err;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(shells); i++) {
        if (strcmp(shells[i].shell, command->operands[0]) == 0) {
            shells[i].write(command->program, &text);
        }
    }
    printf("%s", rn_buffer_text(&text));
    return rn_ok();
}

const struct rn_command_def rn_cmd_completion = {
    .name = "completion",
    .summary = "print the completion script for a shell",
    .operands = {{"SHELL", RN_OPTION_CHOICE, 1, 1, "bash|zsh|fish"}},
    .formats = "text",
    .detail = "Installed packages bring the scripts along. Otherwise: bash sources it from "
              "~/.bashrc, zsh finds it as _rondo in a folder of its fpath, fish as rondo.fish in "
              "~/.config/fish/completions.",
    .examples = "  source <(rondo completion bash)\n"
                "  rondo completion fish > ~/.config/fish/completions/rondo.fish",
    .run = run,
};
