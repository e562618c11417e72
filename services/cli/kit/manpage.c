/* SPDX-License-Identifier: Apache-2.0
 *
 * groff from the tables.
 */
#include "services/cli/kit/manpage.h"

#include "base/file.h"
#include "base/guard.h"
#include "services/cli/kit/help.h"

#include <string.h>

/* Text without meaning for groff: backslashes, hyphens, and control characters at a line's start.
 */
static void add_text(struct rn_buffer *out, const char *text)
{
    bool start = true;
    for (const char *c = text; *c != '\0'; c++) {
        if (start && (*c == '.' || *c == '\'')) {
            rn_buffer_format(out, "\\&");
        }
        start = *c == '\n';
        if (*c == '\\') {
            rn_buffer_format(out, "\\e");
        } else if (*c == '-') {
            rn_buffer_format(out, "\\-");
        } else if (*c == '^' || *c == '~' || *c == '`') {
            rn_buffer_format(out, "\\(%s", *c == '^' ? "ha" : *c == '~' ? "ti" : "ga");
        } else {
            rn_buffer_u8(out, (uint8_t)*c);
        }
    }
}

static void add_line(struct rn_buffer *out, const char *macro, const char *text)
{
    rn_buffer_format(out, "%s", macro);
    add_text(out, text);
    rn_buffer_format(out, "\n");
}

void rn_manual_name(const struct rn_program *program, const struct rn_command_def *def,
                    char out[static RN_COMMAND_NAME_MAX])
{
    const char *name = def == NULL ? "" : def->name;
    RN_BUG_IF(!rn_text_format(out, RN_COMMAND_NAME_MAX, "%s%s%s", program->name,
                              name[0] == '\0' ? "" : "-", name));
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == ' ' ? '-' : *c;
    }
}

static void add_head(struct rn_buffer *out, const struct rn_program *program,
                     const struct rn_command_def *def, const char *summary)
{
    char name[RN_COMMAND_NAME_MAX];
    char upper[RN_COMMAND_NAME_MAX];
    rn_manual_name(program, def, name);
    memcpy(upper, name, sizeof upper);
    for (char *c = upper; *c != '\0'; c++) {
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    }
    rn_buffer_format(out, ".TH \"");
    add_text(out, upper);
    rn_buffer_format(out, "\" 1 \"\" \"Rondo %s\" \"Rondo\"\n.SH NAME\n", RN_VERSION);
    add_text(out, name);
    rn_buffer_format(out, " \\- ");
    add_text(out, summary);
    rn_buffer_format(out, "\n");
}

static void add_synopsis(struct rn_buffer *out, const char *title, const struct rn_command_def *def)
{
    char operands[128];
    struct rn_option_at at = {.def = def};
    add_line(out, ".SH SYNOPSIS\n.nh\n.B ", title);
    while (rn_option_next(&at)) {
        if (at.option.required) {
            rn_buffer_format(out, "\\fB\\-\\-");
            add_text(out, at.option.name);
            rn_buffer_format(out, "\\fR \\fI");
            add_text(out, rn_option_value_text(&at.option));
            rn_buffer_format(out, "\\fR\n");
        }
    }
    RN_BUG_IF(!rn_operands_text(def, operands, sizeof operands));
    rn_buffer_format(out, "[\\fIoptions\\fR] \\fI");
    add_text(out, operands);
    rn_buffer_format(out, "\\fR\n.hy\n");
}

static void add_paragraphs(struct rn_buffer *out, const char *text)
{
    rn_buffer_format(out, ".SH DESCRIPTION\n");
    for (const char *at = text; *at != '\0';) {
        const char *end = strstr(at, "\n\n");
        const size_t length = end == NULL ? strlen(at) : (size_t)(end - at);
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer paragraph = {0};
        rn_buffer_append(&paragraph, at, length);
        add_line(out, at == text ? "" : ".PP\n", rn_buffer_text(&paragraph));
        at += length + strspn(at + length, "\n");
    }
}

static void add_options(struct rn_buffer *out, const struct rn_command_def *def)
{
    struct rn_option_at at = {.def = def};
    const char *title = NULL;
    rn_buffer_format(out, ".SH OPTIONS\n");
    while (rn_option_next(&at)) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer help = {0};
        const char *value = rn_option_value_text(&at.option);
        if (title == NULL || strcmp(title, at.group) != 0) {
            title = at.group;
            add_line(out, ".SS ", title);
        }
        rn_buffer_format(out, ".TP\n\\fB\\-\\-");
        add_text(out, at.option.name);
        rn_buffer_format(out, "\\fR%s", value[0] == '\0' ? "" : " \\fI");
        add_text(out, value);
        rn_buffer_format(out, "%s\n", value[0] == '\0' ? "" : "\\fR");
        rn_buffer_format(&help, "%s", at.option.help);
        rn_option_facts_text(&at.option, &help);
        add_line(out, "", rn_buffer_text(&help));
    }
}

static void add_exits(struct rn_buffer *out, const struct rn_command_def *def)
{
    int codes[RN_EXITS_MAX];
    const size_t count = rn_exits_of(def, codes);
    rn_buffer_format(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < count; i++) {
        rn_buffer_format(out, ".TP\n.B %d\n", codes[i]);
        add_line(out, "", rn_exit_text(codes[i]));
    }
}

static void add_see(struct rn_buffer *out, const char *name, bool last)
{
    rn_buffer_format(out, ".BR ");
    add_text(out, name);
    rn_buffer_format(out, " (1)%s\n", last ? "" : ",");
}

/* The other programs and this one's page. */
static void add_see_also(struct rn_buffer *out, const char *name)
{
    static const char *const programs[] = {"rondo", "rondo-bench", "rondo-coordinator",
                                           "rondo-trainer"};
    const size_t count = RN_ARRAY_LENGTH(programs);
    const bool last_is_own = strcmp(programs[count - 1], name) == 0;
    rn_buffer_format(out, ".SH SEE ALSO\n");
    for (size_t i = 0; i < count; i++) {
        if (strcmp(programs[i], name) != 0) {
            add_see(out, programs[i], i + 1 == count - (last_is_own ? 1 : 0));
        }
    }
}

static void add_commands(struct rn_buffer *out, const struct rn_program *program)
{
    struct rn_command_at at = {0};
    const char *title = NULL;
    rn_buffer_format(out, ".SH SYNOPSIS\n.B %s\n\\fICOMMAND\\fR [\\fIoptions\\fR]\n.SH COMMANDS\n",
                     program->name);
    while (rn_command_next(program, &at)) {
        char name[RN_COMMAND_NAME_MAX];
        if (at.def->hidden) {
            continue;
        }
        if (title == NULL || strcmp(title, at.group) != 0) {
            title = at.group;
            add_line(out, ".SS ", title);
        }
        rn_manual_name(program, at.def, name);
        rn_buffer_format(out, ".TP\n.BR ");
        add_text(out, name);
        rn_buffer_format(out, " (1)\n");
        add_line(out, "", at.def->summary);
    }
}

void rn_manual_page(const struct rn_program *program, const struct rn_command_def *def,
                    struct rn_buffer *out)
{
    char name[RN_COMMAND_NAME_MAX];
    char title[RN_COMMAND_NAME_MAX];
    rn_manual_name(program, def, name);
    add_head(out, program, def, def == NULL ? program->summary : def->summary);
    if (def == NULL) {
        add_commands(out, program);
        add_see_also(out, name);
        return;
    }
    rn_command_title(program, def, title);
    add_synopsis(out, title, def);
    if (def->detail != NULL) {
        add_paragraphs(out, def->detail);
    }
    add_options(out, def);
    if (def->examples != NULL) {
        add_line(out, ".SH EXAMPLES\n.nf\n", def->examples);
        rn_buffer_format(out, ".fi\n");
    }
    add_exits(out, def);
    add_see_also(out, name);
}

static rn_result write_page(const struct rn_program *program, const struct rn_command_def *def,
                            const char *directory, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    char name[RN_COMMAND_NAME_MAX];
    char file[RN_COMMAND_NAME_MAX + 2];
    char path[RN_PATH_MAX];
    rn_manual_name(program, def, name);
    (void)rn_text_format(file, sizeof file, "%s.1", name);
    RN_TRY(rn_path_join(path, directory, file, err));
    rn_manual_page(program, def, &text);
    return rn_file_write(path, rn_buffer_view(&text), 0644, err);
}

rn_result rn_manual_write(const struct rn_program *program, const char *directory,
                          struct rn_error *err)
{
    struct rn_command_at at = {0};
    if (program->groups[0].commands[0]->name[0] != '\0') {
        RN_TRY(write_page(program, NULL, directory, err));
    }
    while (rn_command_next(program, &at)) {
        if (!at.def->hidden && !at.def->raw) { /* what it hands over to has its own page */
            RN_TRY(write_page(program, at.def, directory, err));
        }
    }
    return rn_ok();
}
