/* SPDX-License-Identifier: Apache-2.0
 *
 * The option parser. The help text is in help.c.
 */
#include "services/cli/kit/options.h"

#include "base/bytes.h"
#include "base/guard.h"
#include "services/cli/kit/help.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES_MAX 64

bool rn_terminal_colour(int descriptor)
{
    const char *no_colour = getenv("NO_COLOR");

    return (no_colour == NULL || no_colour[0] == '\0') && isatty(descriptor) == 1;
}

/* Levenshtein distance of names shorter than NAME_BYTES_MAX. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES_MAX + 1];
    const size_t columns = strlen(b);

    for (size_t j = 0; j <= columns; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < columns; j++) {
            const size_t change = diagonal + (a[i] != b[j]);
            const size_t left = row[j] + 1;
            diagonal = row[j + 1];
            const size_t up = diagonal + 1;
            row[j + 1] = change < left ? change : left;
            row[j + 1] = up < row[j + 1] ? up : row[j + 1];
        }
    }
    return row[columns];
}

const char *rn_nearest_name(const char *wrong, const char *const *names, size_t count)
{
    const size_t length = strlen(wrong);
    const char *best = NULL;
    size_t best_distance = length / 3 < 2 ? 3 : length / 3 + 1;

    if (length >= NAME_BYTES_MAX || length == 0) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) >= NAME_BYTES_MAX) {
            continue;
        }
        const size_t d = strncmp(names[i], wrong, length) == 0 ? 0 : distance(wrong, names[i]);
        if (d < best_distance && d < strlen(names[i])) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

static rn_result fail_unknown_option(const struct rn_command_text *text, const char *name,
                                     size_t length, struct rn_error *err)
{
    const char *names[RN_OPTIONS_MAX + 3] = {"format", "quiet", "help"};
    char wrong[NAME_BYTES_MAX];

    if (!rn_text_format(wrong, sizeof wrong, "%.*s", (int)length, name)) {
        return rn_fail(err, RN_E_USAGE, "unknown option (too long); see rondo %s --help",
                       text->name);
    }
    for (size_t i = 0; i < text->option_count; i++) {
        names[3 + i] = text->options[i].name;
    }
    const char *near = rn_nearest_name(wrong, names, text->option_count + 3);
    if (near != NULL) {
        return rn_fail(err, RN_E_USAGE, "unknown option --%s; did you mean --%s?", wrong, near);
    }
    return rn_fail(err, RN_E_USAGE, "unknown option --%s; see rondo %s --help", wrong, text->name);
}

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

static rn_result set_count(const struct rn_option *option, const char *value, struct rn_error *err)
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
    *(uint64_t *)option->value = number;
    return rn_ok();
}

static rn_result set_number(const struct rn_option *option, const char *value, struct rn_error *err)
{
    char *end = NULL;

    const double number = strtod(value, &end);
    RN_ENSURE(end != value && *end == '\0' && isfinite(number), err, RN_E_USAGE,
              "--%s takes a number, not \"%.40s\"", option->name, value);
    const bool bounded = option->least != 0 || option->most != 0;
    RN_ENSURE(!bounded || (number >= option->least && number <= option->most), err, RN_E_USAGE,
              "--%s must be from %g to %g, not %.40s", option->name, option->least, option->most,
              value);
    *(double *)option->value = number;
    return rn_ok();
}

static rn_result set_value(const struct rn_option *option, const char *value, struct rn_error *err)
{
    switch (option->type) {
    case RN_OPTION_FLAG:
        *(bool *)option->value = true;
        return rn_ok();
    case RN_OPTION_TEXT:
        RN_ENSURE(value[0] != '\0', err, RN_E_USAGE, "--%s must not be empty", option->name);
        *(const char **)option->value = value;
        return rn_ok();
    case RN_OPTION_COUNT:
        return set_count(option, value, err);
    case RN_OPTION_NUMBER:
        return set_number(option, value, err);
    case RN_OPTION_CHOICE:
        RN_ENSURE(choice_matches(option->choices, value), err, RN_E_USAGE,
                  "--%s takes %s, not \"%.40s\"", option->name, option->choices, value);
        *(const char **)option->value = value;
        return rn_ok();
    }
    return rn_fail(err, RN_E_INTERNAL, "option --%s has no type", option->name);
}

/* The three options that every command has, as rows like the others. */
struct common {
    struct rn_option rows[3];
    char formats[64];
    bool help;
    bool given[3];
};

static void common_init(struct common *common, struct rn_command *command)
{
    const char *extra = command->text->extra_formats;

    command->format = "text";
    (void)rn_text_format(common->formats, sizeof common->formats, "text|json%s",
                         extra == NULL ? "" : extra);
    common->rows[0] = (struct rn_option){
        "format", NULL, RN_OPTION_CHOICE, &command->format, 0, 0, common->formats, 0, NULL};
    common->rows[1] =
        (struct rn_option){"quiet", NULL, RN_OPTION_FLAG, &command->quiet, 0, 0, NULL, 0, NULL};
    common->rows[2] =
        (struct rn_option){"help", NULL, RN_OPTION_FLAG, &common->help, 0, 0, NULL, 0, NULL};
}

static const struct rn_option *find_option(const struct rn_command_text *text,
                                           struct common *common, struct rn_command *command,
                                           const char *name, size_t length, bool **out_given)
{
    for (size_t i = 0; i < text->option_count; i++) {
        if (strlen(text->options[i].name) == length &&
            memcmp(text->options[i].name, name, length) == 0) {
            *out_given = &command->given[i];
            return &text->options[i];
        }
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(common->rows); i++) {
        if (strlen(common->rows[i].name) == length &&
            memcmp(common->rows[i].name, name, length) == 0) {
            *out_given = &common->given[i];
            return &common->rows[i];
        }
    }
    return NULL;
}

/* argument is "--name" or "--name=value"; next is the following word or NULL. */
static rn_result parse_option(struct rn_command *command, struct common *common,
                              const char *argument, const char *next, bool *out_next_used,
                              struct rn_error *err)
{
    const char *name = argument + 2;
    const char *equals = strchr(name, '=');
    const size_t length = equals == NULL ? strlen(name) : (size_t)(equals - name);
    bool *given = NULL;
    const struct rn_option *option =
        find_option(command->text, common, command, name, length, &given);

    *out_next_used = false;
    if (option == NULL) {
        return fail_unknown_option(command->text, name, length, err);
    }
    RN_ENSURE(!*given, err, RN_E_USAGE, "--%s is given twice", option->name);
    *given = true;
    if (option->type == RN_OPTION_FLAG) {
        RN_ENSURE(equals == NULL, err, RN_E_USAGE, "--%s takes no value", option->name);
        return set_value(option, "", err);
    }
    if (equals != NULL) {
        return set_value(option, equals + 1, err);
    }
    RN_ENSURE(next != NULL && strncmp(next, "--", 2) != 0, err, RN_E_USAGE, "--%s needs a value",
              option->name);
    *out_next_used = true;
    return set_value(option, next, err);
}

static rn_result check_complete(const struct rn_command *command, struct rn_error *err)
{
    const struct rn_command_text *text = command->text;

    for (size_t i = 0; i < text->option_count; i++) {
        RN_ENSURE(!text->options[i].required || command->given[i], err, RN_E_USAGE,
                  "--%s is missing; see rondo %s --help", text->options[i].name, text->name);
    }
    RN_ENSURE(command->operand_count >= text->operands_least, err, RN_E_USAGE,
              "%s is missing; see rondo %s --help",
              text->operands == NULL ? "an operand" : text->operands, text->name);
    return rn_ok();
}

rn_result rn_command_parse(struct rn_command *out, const struct rn_command_text *text, int argc,
                           char **argv, bool *out_help, struct rn_error *err)
{
    struct common common = {0};
    bool options_ended = false;

    RN_BUG_IF(text->option_count > RN_OPTIONS_MAX || text->operands_most > RN_OPERANDS_MAX);
    *out = (struct rn_command){.text = text};
    common_init(&common, out);
    for (int i = 1; i < argc; i++) {
        if (!options_ended && strcmp(argv[i], "--") == 0) {
            options_ended = true;
        } else if (!options_ended && strcmp(argv[i], "-h") == 0) {
            common.help = true;
        } else if (!options_ended && strncmp(argv[i], "--", 2) == 0) {
            bool next_used = false;
            RN_TRY(parse_option(out, &common, argv[i], i + 1 < argc ? argv[i + 1] : NULL,
                                &next_used, err));
            i += next_used ? 1 : 0;
        } else {
            RN_ENSURE(options_ended || argv[i][0] != '-' || argv[i][1] == '\0', err, RN_E_USAGE,
                      "unknown option %.40s; see rondo %s --help", argv[i], text->name);
            RN_ENSURE(out->operand_count < text->operands_most, err, RN_E_USAGE,
                      "unexpected word \"%.40s\"; see rondo %s --help", argv[i], text->name);
            out->operands[out->operand_count++] = argv[i];
        }
        if (common.help) {
            *out_help = true;
            return rn_ok();
        }
    }
    *out_help = false;
    out->json = strcmp(out->format, "json") == 0;
    return check_complete(out, err);
}

bool rn_command_begin(struct rn_command *out, const struct rn_command_text *text, int argc,
                      char **argv)
{
    struct rn_error err = {{0}};
    bool help = false;

    const rn_result result = rn_command_parse(out, text, argc, argv, &help, &err);
    if (!rn_is_ok(result)) {
        out->exit_code = rn_command_end(out, result, &err);
        return false;
    }
    if (help) {
        rn_help_print(text);
        out->exit_code = 0;
        return false;
    }
    return true;
}

bool rn_command_given(const struct rn_command *command, const char *name)
{
    for (size_t i = 0; i < command->text->option_count; i++) {
        if (strcmp(command->text->options[i].name, name) == 0) {
            return command->given[i];
        }
    }
    return false;
}

static void print_error_json(const char *code, const char *sentence)
{
    json_t *root = json_pack("{s:{s:s, s:s%}}", "error", "code", code, "message", sentence,
                             strnlen(sentence, RN_ERROR_TEXT_MAX));

    if (root != NULL) {
        (void)json_dumpf(root, stderr, JSON_COMPACT);
        (void)fputc('\n', stderr);
        json_decref(root);
    }
}

int rn_command_end(const struct rn_command *command, rn_result result, const struct rn_error *err)
{
    if (rn_is_ok(result)) {
        if (fflush(stdout) == 0 && ferror(stdout) == 0) {
            return 0;
        }
        static const struct rn_error cannot_write = {"cannot write to standard output"};
        return rn_command_end(command, (rn_result){RN_E_IO}, &cannot_write);
    }
    const char *code = rn_code_name(result.code);
    const char *sentence = err == NULL || err->text[0] == '\0' ? code : err->text;
    if (command->format != NULL && strcmp(command->format, "text") != 0) {
        print_error_json(code, sentence);
        return rn_exit_code(result);
    }
    const bool colour = rn_terminal_colour(STDERR_FILENO);
    (void)fprintf(stderr, "%srondo %s:%s %s\n", colour ? "\033[1;31m" : "", command->text->name,
                  colour ? "\033[0m" : "", sentence);
    return rn_exit_code(result);
}
