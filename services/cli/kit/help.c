/* SPDX-License-Identifier: Apache-2.0
 *
 * Help texts from the tables.
 */
#include "services/cli/kit/help.h"

#include "base/guard.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void rn_text_wrap(struct rn_buffer *out, const char *text, size_t column, size_t indent,
                  size_t width)
{
    bool begun = false; /* a word stands in this line */
    for (const char *at = text + strspn(text, " \n"); *at != '\0'; at += strspn(at, " \n")) {
        const size_t length = strcspn(at, " \n");
        if (begun && column + 1 + length > width) {
            rn_buffer_format(out, "\n%*s", (int)indent, "");
            column = indent;
            begun = false;
        }
        rn_buffer_format(out, "%s%.*s", begun ? " " : "", (int)length, at);
        column += length + (begun ? 1 : 0);
        begun = true;
        at += length;
    }
}

/* Paragraphs between empty lines, wrapped; a paragraph that begins with spaces stays as it is. */
static void add_paragraphs(struct rn_buffer *out, const char *text, size_t width)
{
    for (const char *at = text; *at != '\0';) {
        const char *end = strstr(at, "\n\n");
        const size_t length = end == NULL ? strlen(at) : (size_t)(end - at);
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer paragraph = {0};
        rn_buffer_append(&paragraph, at, length);
        if (at[0] == ' ') {
            rn_buffer_format(out, "%s", rn_buffer_text(&paragraph));
        } else {
            rn_text_wrap(out, rn_buffer_text(&paragraph), 0, 0, width);
        }
        rn_buffer_format(out, "\n\n");
        at += length + strspn(at + length, "\n");
    }
}

const char *rn_option_value_text(const struct rn_option *option)
{
    return option->kind == RN_OPTION_CHOICE ? option->choices
           : option->value == NULL          ? ""
                                            : option->value;
}

void rn_option_facts_text(const struct rn_option *option, struct rn_buffer *out)
{
    const bool bounded =
        option->most != 0 && (option->kind == RN_OPTION_COUNT || option->kind == RN_OPTION_NUMBER);
    char bounds[64] = "";
    if (option->required) {
        rn_buffer_format(out, " (required)");
        return;
    }
    if (bounded && option->kind == RN_OPTION_COUNT) {
        (void)rn_text_format(bounds, sizeof bounds, "%.0f to %.0f", option->least, option->most);
    } else if (bounded) {
        (void)rn_text_format(bounds, sizeof bounds, "%g to %g", option->least, option->most);
    }
    if (bounded || option->fallback != NULL) {
        rn_buffer_format(out, " [%s%s%s]", option->fallback == NULL ? "" : option->fallback,
                         bounded && option->fallback != NULL ? "; " : "", bounds);
    }
}

static void add_option(struct rn_buffer *out, const struct rn_option *option, size_t width)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    char left[192];
    const char *value = rn_option_value_text(option);

    RN_BUG_IF(!rn_text_format(left, sizeof left, "  --%s%s%s", option->name,
                              value[0] == '\0' ? "" : " ", value));
    if (strlen(left) > RN_HELP_COLUMN - 2) {
        rn_buffer_format(out, "%s\n%*s", left, RN_HELP_COLUMN, "");
    } else {
        rn_buffer_format(out, "%-*s", RN_HELP_COLUMN, left);
    }
    rn_buffer_format(&text, "%s", option->help);
    rn_option_facts_text(option, &text);
    rn_text_wrap(out, rn_buffer_text(&text), RN_HELP_COLUMN, RN_HELP_COLUMN, width);
    rn_buffer_format(out, "\n");
}

bool rn_operands_text(const struct rn_command_def *def, char *out, size_t capacity)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < RN_OPERAND_KINDS_MAX && def->operands[i].name != NULL; i++) {
        const struct rn_operand *operand = &def->operands[i];
        const bool may = operand->least == 0;
        if (!rn_text_format(out + length, capacity - length, "%s%s%s%s%s", i == 0 ? "" : " ",
                            may ? "[" : "", operand->name, operand->most > 1 ? "..." : "",
                            may ? "]" : "")) {
            return false;
        }
        length += strlen(out + length);
    }
    return true;
}

static void add_synopsis(struct rn_buffer *out, const char *title, const struct rn_command_def *def,
                         size_t width)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    char operands[128];
    struct rn_option_at at = {.def = def};

    rn_buffer_format(&text, "Usage: %s", title);
    while (rn_option_next(&at)) {
        if (at.option.required) {
            rn_buffer_format(&text, " --%s %s", at.option.name, rn_option_value_text(&at.option));
        }
    }
    RN_BUG_IF(!rn_operands_text(def, operands, sizeof operands));
    rn_buffer_format(&text, " [options] %s", operands);
    rn_text_wrap(out, rn_buffer_text(&text), 0, 8, width);
    rn_buffer_format(out, "\n\n");
}

static void add_options(struct rn_buffer *out, const struct rn_command_def *def, size_t width)
{
    struct rn_option_at at = {.def = def};
    const char *title = NULL;

    while (rn_option_next(&at)) {
        if (title == NULL || strcmp(title, at.group) != 0) {
            rn_buffer_format(out, "%s%s:\n", title == NULL ? "" : "\n", at.group);
            title = at.group;
        }
        add_option(out, &at.option, width);
    }
}

static void add_exits(struct rn_buffer *out, const struct rn_command_def *def, size_t width)
{
    int codes[RN_EXITS_MAX];
    const size_t count = rn_exits_of(def, codes);

    rn_buffer_format(out, "\nExit codes:\n");
    for (size_t i = 0; i < count; i++) {
        rn_buffer_format(out, "  %2d  ", codes[i]);
        rn_text_wrap(out, rn_exit_text(codes[i]), 6, 6, width);
        rn_buffer_format(out, "\n");
    }
}

void rn_help_text(const struct rn_program *program, const struct rn_command_def *def, size_t width,
                  struct rn_buffer *out)
{
    char title[RN_COMMAND_NAME_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer first = {0};

    rn_command_title(program, def, title);
    rn_buffer_format(&first, "%s: %s", title, def->summary);
    rn_text_wrap(out, rn_buffer_text(&first), 0, 4, width);
    rn_buffer_format(out, "\n\n");
    add_synopsis(out, title, def, width);
    if (def->detail != NULL) {
        add_paragraphs(out, def->detail, width);
    }
    add_options(out, def, width);
    if (def->examples != NULL) {
        rn_buffer_format(out, "\nExamples:\n%s\n", def->examples);
    }
    add_exits(out, def, width);
}

void rn_program_help_text(const struct rn_program *program, size_t width, struct rn_buffer *out)
{
    struct rn_command_at at = {0};
    const char *title = NULL;

    rn_buffer_format(out, "%s %s: %s\n\nUsage: %s COMMAND [options]      %s COMMAND --help\n",
                     program->name, RN_VERSION, program->summary, program->name, program->name);
    while (rn_command_next(program, &at)) {
        if (at.def->hidden) {
            continue;
        }
        if (title == NULL || strcmp(title, at.group) != 0) {
            rn_buffer_format(out, "\n%s:\n", at.group);
            title = at.group;
        }
        rn_buffer_format(out, "  %-16s ", at.def->name);
        rn_text_wrap(out, at.def->summary, 19, 19, width);
        rn_buffer_format(out, "\n");
    }
    rn_buffer_format(out,
                     "\nEach command lists its options, examples and exit codes with --help.\n");
}

static size_t width_of(int descriptor)
{
    struct winsize size = {0};
    if (isatty(descriptor) != 1 || ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return 80;
    }
    const size_t width = size.ws_col;
    return width < RN_HELP_WIDTH_MIN   ? RN_HELP_WIDTH_MIN
           : width > RN_HELP_WIDTH_MAX ? RN_HELP_WIDTH_MAX
                                       : width;
}

void rn_help_print(const struct rn_program *program, const struct rn_command_def *def)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_help_text(program, def, width_of(STDOUT_FILENO), &text);
    printf("%s", rn_buffer_text(&text));
}

void rn_program_help_print(const struct rn_program *program, FILE *out)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_program_help_text(program, width_of(fileno(out)), &text);
    (void)fprintf(out, "%s", rn_buffer_text(&text));
}
