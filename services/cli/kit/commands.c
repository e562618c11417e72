/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking the tables, and the option parser.
 */
#include "services/cli/kit/commands.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/guard.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Walking ---- */

static const struct rn_option common_rows[] = {
    {"format", RN_OPT_CHOICE(struct rn_command, format, "text|json"), .fallback = "text",
     .help = "form of the result, and of an error"},
    {"quiet", RN_OPT_FLAG(struct rn_command, quiet), .help = "print results and errors only"},
    {"help", RN_OPT_FLAG(struct rn_command, help), .help = "print this text"},
    {NULL}};

bool rn_command_next(const struct rn_program *program, struct rn_command_at *at)
{
    const struct rn_command_group *group = &program->groups[at->group_number];
    while (group->title != NULL) {
        if (group->commands[at->number] != NULL) {
            at->def = group->commands[at->number++];
            at->group = group->title;
            return true;
        }
        at->group_number++;
        at->number = 0;
        group++;
    }
    return false;
}

/* The group of this number; behind the command's own come the common ones, then none. */
static struct rn_option_group group_of(const struct rn_command_def *def, size_t number,
                                       bool *out_common)
{
    size_t own = 0;
    while (def->groups != NULL && def->groups[own].rows != NULL) {
        own++;
    }
    *out_common = number == own;
    if (number < own) {
        return def->groups[number];
    }
    return (struct rn_option_group){"General", number == own ? common_rows : NULL, 0};
}

bool rn_option_next(struct rn_option_at *at)
{
    const bool first = at->group == NULL;
    for (;; at->group_number++, at->row = 0) {
        const struct rn_option_group group = group_of(at->def, at->group_number, &at->common);
        if (group.rows == NULL) {
            return false;
        }
        while (group.rows[at->row].name != NULL) {
            at->option = group.rows[at->row++];
            at->option.offset += group.base;
            at->group = group.title;
            const bool format = at->common && strcmp(at->option.name, "format") == 0;
            if (format && at->def->formats != NULL) {
                at->option.choices = at->def->formats;
                if (strchr(at->def->formats, '|') == NULL) {
                    continue;
                }
            }
            at->number = first ? 0 : at->number + 1;
            RN_BUG_IF(at->number >= RN_OPTIONS_MAX);
            return true;
        }
    }
}

static bool find_option(const struct rn_command_def *def, const char *name, size_t length,
                        struct rn_option_at *out)
{
    struct rn_option_at at = {.def = def};
    while (rn_option_next(&at)) {
        if (strlen(at.option.name) == length && memcmp(at.option.name, name, length) == 0) {
            *out = at;
            return true;
        }
    }
    return false;
}

bool rn_command_given(const struct rn_command *command, const char *name)
{
    struct rn_option_at at;
    return find_option(command->def, name, strlen(name), &at) && command->given[at.number];
}

void rn_command_title(const struct rn_program *program, const struct rn_command_def *def,
                      char out[static RN_COMMAND_NAME_MAX])
{
    RN_BUG_IF(!rn_text_format(out, RN_COMMAND_NAME_MAX, "%s%s%s", program->name,
                              def->name[0] == '\0' ? "" : " ", def->name));
}

void rn_command_note(const struct rn_command *command, const char *format, ...)
{
    va_list arguments;
    if (command->quiet) {
        return;
    }
    va_start(arguments, format);
    (void)fprintf(stderr, "note: ");
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    va_end(arguments);
}

/* ---- Values ---- */

static bool choice_matches(const char *choices, const char *value)
{
    const size_t length = strlen(value);

    for (const char *start = choices; start != NULL && *start != '\0';) {
        const char *end = strchr(start, '|');
        const size_t here = end == NULL ? strlen(start) : (size_t)(end - start);
        if (here == length && memcmp(start, value, length) == 0) {
            return true;
        }
        start = end == NULL ? NULL : end + 1;
    }
    return false;
}

static rn_result set_count(const struct rn_option *option, const char *value, uint64_t *out,
                           struct rn_error *err)
{
    char *end = NULL;

    errno = 0;
    const unsigned long long number = strtoull(value, &end, 10);
    RN_ENSURE(value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0, err, RN_E_USAGE,
              "--%s takes a whole number, not \"%.40s\"", option->name, value);
    const bool bounded = option->least != 0 || option->most != 0;
    const bool inside =
        (double)number >= option->least && (option->most == 0 || (double)number <= option->most);
    RN_ENSURE(!bounded || inside, err, RN_E_USAGE, "--%s must be from %.0f to %.0f, not %.40s",
              option->name, option->least, option->most, value);
    *out = number;
    return rn_ok();
}

static rn_result set_number(const struct rn_option *option, const char *value, double *out,
                            struct rn_error *err)
{
    char *end = NULL;

    const double number = strtod(value, &end);
    RN_ENSURE(end != value && *end == '\0' && isfinite(number), err, RN_E_USAGE,
              "--%s takes a number, not \"%.40s\"", option->name, value);
    const bool bounded = option->least != 0 || option->most != 0;
    RN_ENSURE(!bounded || (number >= option->least && number <= option->most), err, RN_E_USAGE,
              "--%s must be from %g to %g, not %.40s", option->name, option->least, option->most,
              value);
    *out = number;
    return rn_ok();
}

/* at: an option of the command; value: borrowed. */
static rn_result set_value(struct rn_command *command, const struct rn_option_at *at,
                           const char *value, struct rn_error *err)
{
    const struct rn_option *option = &at->option;
    void *to = (char *)(at->common ? (void *)command : command->settings) + option->offset;

    switch (option->kind) {
    case RN_OPTION_FLAG:
        *(bool *)to = true;
        return rn_ok();
    case RN_OPTION_TEXT:
    case RN_OPTION_FILE:
    case RN_OPTION_DIRECTORY:
        RN_ENSURE(value[0] != '\0', err, RN_E_USAGE, "--%s must not be empty", option->name);
        *(const char **)to = value;
        return rn_ok();
    case RN_OPTION_COUNT:
        return set_count(option, value, to, err);
    case RN_OPTION_NUMBER:
        return set_number(option, value, to, err);
    case RN_OPTION_CHOICE:
        RN_ENSURE(choice_matches(option->choices, value), err, RN_E_USAGE,
                  "--%s takes %s, not \"%.40s\"", option->name, option->choices, value);
        *(const char **)to = value;
        return rn_ok();
    }
    return rn_fail(err, RN_E_INTERNAL, "option --%s has no kind", option->name);
}

/* ---- The command line ---- */

static rn_result fail_unknown(const struct rn_command *command, const char *name, size_t length,
                              struct rn_error *err)
{
    const char *names[RN_OPTIONS_MAX];
    char title[RN_COMMAND_NAME_MAX];
    char wrong[64];
    size_t count = 0;

    rn_command_title(command->program, command->def, title);
    if (!rn_text_format(wrong, sizeof wrong, "%.*s", (int)length, name)) {
        return rn_fail(err, RN_E_USAGE, "unknown option (too long); see %s --help", title);
    }
    for (const struct rn_option_renamed *each = command->def->renamed;
         each != NULL && each->was != NULL; each++) {
        RN_ENSURE(strcmp(each->was, wrong) != 0, err, RN_E_USAGE, "--%s is called --%s now", wrong,
                  each->is);
    }
    struct rn_option_at at = {.def = command->def};
    while (rn_option_next(&at)) {
        names[count++] = at.option.name;
    }
    const char *near = rn_nearest_name(wrong, names, count);
    if (near != NULL) {
        return rn_fail(err, RN_E_USAGE, "unknown option --%s; did you mean --%s?", wrong, near);
    }
    return rn_fail(err, RN_E_USAGE, "unknown option --%s; see %s --help", wrong, title);
}

/* argument is "--name" or "--name=value"; next is the following word or NULL. */
static rn_result parse_option(struct rn_command *command, const char *argument, const char *next,
                              bool *out_next_used, struct rn_error *err)
{
    const char *name = argument + 2;
    const char *equals = strchr(name, '=');
    const size_t length = equals == NULL ? strlen(name) : (size_t)(equals - name);
    struct rn_option_at at;

    *out_next_used = false;
    if (!find_option(command->def, name, length, &at)) {
        return fail_unknown(command, name, length, err);
    }
    RN_ENSURE(!command->given[at.number], err, RN_E_USAGE, "--%s is given twice", at.option.name);
    command->given[at.number] = true;
    if (at.option.kind == RN_OPTION_FLAG) {
        RN_ENSURE(equals == NULL, err, RN_E_USAGE, "--%s takes no value", at.option.name);
        return set_value(command, &at, "", err);
    }
    if (equals != NULL) {
        return set_value(command, &at, equals + 1, err);
    }
    RN_ENSURE(next != NULL && strncmp(next, "--", 2) != 0, err, RN_E_USAGE, "--%s needs a value",
              at.option.name);
    *out_next_used = true;
    return set_value(command, &at, next, err);
}

static size_t operands_most(const struct rn_command_def *def)
{
    return def->operands[0].most + def->operands[1].most;
}

static rn_result parse_operand(struct rn_command *command, const char *word, bool options_ended,
                               struct rn_error *err)
{
    char title[RN_COMMAND_NAME_MAX];
    rn_command_title(command->program, command->def, title);
    RN_ENSURE(options_ended || word[0] != '-' || word[1] == '\0', err, RN_E_USAGE,
              "unknown option %.40s; see %s --help", word, title);
    RN_ENSURE(command->operand_count < operands_most(command->def), err, RN_E_USAGE,
              "unexpected word \"%.40s\"; see %s --help", word, title);
    command->operands[command->operand_count++] = word;
    return rn_ok();
}

static rn_result check_complete(const struct rn_command *command, struct rn_error *err)
{
    const struct rn_command_def *def = command->def;
    char title[RN_COMMAND_NAME_MAX];
    struct rn_option_at at = {.def = def};

    rn_command_title(command->program, def, title);
    while (rn_option_next(&at)) {
        RN_ENSURE(!at.option.required || command->given[at.number], err, RN_E_USAGE,
                  "--%s is missing; see %s --help", at.option.name, title);
    }
    size_t least = 0;
    for (size_t i = 0; i < RN_OPERAND_KINDS_MAX; i++) {
        const struct rn_operand *operand = &def->operands[i];
        least += operand->least;
        RN_ENSURE(operand->name == NULL || command->operand_count >= least, err, RN_E_USAGE,
                  "%s is missing; see %s --help", operand->name, title);
        const size_t before = least - operand->least;
        for (size_t k = before; operand->choices != NULL && k < command->operand_count; k++) {
            RN_ENSURE(choice_matches(operand->choices, command->operands[k]), err, RN_E_USAGE,
                      "%s is one of %s, not \"%.40s\"", operand->name, operand->choices,
                      command->operands[k]);
        }
    }
    return rn_ok();
}

static void set_defaults(struct rn_command *command)
{
    struct rn_option_at at = {.def = command->def};

    command->format = "text";
    while (rn_option_next(&at)) {
        RN_BUG_IF(at.option.fallback != NULL &&
                  !rn_is_ok(set_value(command, &at, at.option.fallback, NULL)));
    }
}

const char *rn_command_format_asked(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--format=", 9) == 0) {
            return argv[i] + 9;
        }
        if (strcmp(argv[i], "--format") == 0) {
            return i + 1 < argc ? argv[i + 1] : NULL;
        }
    }
    return NULL;
}

static void format_set(struct rn_command *command, int argc, char **argv)
{
    const char *format = rn_command_format_asked(argc, argv);
    struct rn_option_at at;

    if (format != NULL && find_option(command->def, "format", 6, &at) &&
        choice_matches(at.option.choices, format)) {
        command->format = format;
    }
}

rn_result rn_command_parse(const struct rn_program *program, const struct rn_command_def *def,
                           int argc, char **argv, struct rn_command *out, struct rn_error *err)
{
    bool options_ended = def->raw;

    *out = (struct rn_command){.program = program, .def = def, .argv = argv};
    out->settings = rn_alloc(1, def->settings_size);
    out->operands = rn_alloc((size_t)argc + 1, sizeof(*out->operands));
    set_defaults(out);
    format_set(out, argc, argv);
    for (int i = 1; i < argc && !def->raw && !out->help; i++) {
        if (!options_ended && strcmp(argv[i], "--") == 0) {
            options_ended = true;
        } else if (!options_ended && strcmp(argv[i], "-h") == 0) {
            out->help = true;
        } else if (!options_ended && strncmp(argv[i], "--", 2) == 0) {
            bool next_used = false;
            RN_TRY(parse_option(out, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &next_used, err));
            i += next_used ? 1 : 0;
        } else {
            RN_TRY(parse_operand(out, argv[i], options_ended, err));
        }
    }
    out->json = strcmp(out->format, "json") == 0;
    return out->help || def->raw ? rn_ok() : check_complete(out, err);
}

void rn_command_clear(struct rn_command *command)
{
    rn_free(command->settings);
    rn_free(command->operands);
    command->settings = NULL;
    command->operands = NULL;
}
