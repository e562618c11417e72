/* SPDX-License-Identifier: Apache-2.0
 *
 * Every command of every program: rules of the tables, the layout of --help, and that manual and
 * completion hold all of them.
 */
#include "base/bytes.h"
#include "base/guard.h"
#include "policy/plan.h"
#include "services/bench/benchprogram.h"
#include "services/cli/kit/completion.h"
#include "services/cli/kit/help.h"
#include "services/cli/kit/manpage.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/planoptions.h"
#include "services/coordinator/coordinatorservice.h"
#include "services/trainer/memberservice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct rn_program *const programs[] = {&rn_program_rondo, &rn_program_bench,
                                                    &rn_program_coordinator, &rn_program_trainer};

typedef void (*check_fn)(const struct rn_program *program, const struct rn_command_def *def);

static void each_command(check_fn check)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(programs); i++) {
        struct rn_command_at at = {0};
        while (rn_command_next(programs[i], &at)) {
            check(programs[i], at.def);
        }
    }
}

static void expect(bool good, const struct rn_command_def *def, const char *what, const char *text)
{
    if (!good) {
        print_error("%s: %s: %s\n", def->name, what, text);
        fail();
    }
}

/* ---- Tables ---- */

static void option_holds(const struct rn_command_def *def, const struct rn_option *option)
{
    const bool number = option->kind == RN_OPTION_COUNT || option->kind == RN_OPTION_NUMBER;
    const size_t help = option->help == NULL ? 0 : strlen(option->help);
    expect(help > 0 && option->help[help - 1] != '.', def, "help", option->name);
    expect(help > 0 && strchr(option->help, '\n') == NULL, def, "wrapped by hand", option->name);
    expect(!option->required || option->fallback == NULL, def, "never used", option->name);
    expect(number || (option->least == 0 && option->most == 0), def, "bounds", option->name);
    expect((option->kind == RN_OPTION_CHOICE) == (option->choices != NULL), def, "choices",
           option->name);
    expect((option->kind == RN_OPTION_FLAG || option->kind == RN_OPTION_CHOICE) ==
               (option->value == NULL),
           def, "value name", option->name);
    expect(option->offset < def->settings_size, def, "offset", option->name);
}

static void table_holds(const struct rn_program *program, const struct rn_command_def *def)
{
    struct rn_command command;
    char word[] = "x";
    char *argv[] = {word, NULL};
    struct rn_option_at at = {.def = def};

    while (rn_option_next(&at)) {
        struct rn_option_at other = {.def = def};
        if (!at.common) {
            option_holds(def, &at.option);
        }
        while (rn_option_next(&other)) {
            expect(other.number == at.number || strcmp(other.option.name, at.option.name) != 0, def,
                   "twice", at.option.name);
        }
    }
    for (const struct rn_option_renamed *each = def->renamed; each != NULL && each->was != NULL;
         each++) {
        struct rn_option_at now = {.def = def};
        bool found = false;
        while (rn_option_next(&now)) {
            expect(strcmp(now.option.name, each->was) != 0, def, "still there", each->was);
            found = found || strcmp(now.option.name, each->is) == 0;
        }
        expect(found, def, "renamed to nothing", each->is);
    }
    expect(def->raw || def->run != NULL, def, "run", "");
    for (const uint8_t *code = def->exits; code != NULL && *code != 0; code++) {
        expect(rn_exit_text(*code) != NULL, def, "exit code", "");
    }
    /* Aborts where a default is outside its own bounds. */
    (void)rn_is_ok(rn_command_parse(program, def, 1, argv, &command, NULL));
    rn_command_clear(&command);
}

static void tables_hold(void **state)
{
    (void)state;
    each_command(table_holds);
}

/* ---- One name for one thing ---- */

/* "a" and "b" are choices of "a|b|c". */
static bool choices_within(const char *few, const char *many)
{
    for (const char *at = few; *at != '\0';) {
        const size_t length = strcspn(at, "|");
        const char *found = many;
        while (strcspn(found, "|") != length || strncmp(found, at, length) != 0) {
            found += strcspn(found, "|");
            if (*found++ == '\0') {
                return false;
            }
        }
        at += length + (at[length] == '|');
    }
    return true;
}

/* Where two commands mean a list and its length, or a file and a folder, or have limits of their
 * own: demo's members are processes on one machine, a benchmark waits for hours, an accountant
 * counts the steps of all rounds. */
static bool may_differ(const char *name)
{
    static const char *const names[] = {"members", "out", "steps", "timeout"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void same_thing(const struct rn_command_def *def, const struct rn_option *one,
                       const struct rn_option *two)
{
    if (strcmp(one->name, two->name) != 0 || may_differ(one->name)) {
        return;
    }
    expect(one->kind == two->kind, def, "another kind elsewhere", one->name);
    expect(one->least == two->least && one->most == two->most, def, "other bounds elsewhere",
           one->name);
    expect(one->value == NULL || strcmp(one->value, two->value) == 0, def,
           "another value name elsewhere", one->name);
    expect(one->choices == NULL || choices_within(one->choices, two->choices) ||
               choices_within(two->choices, one->choices),
           def, "other choices elsewhere", one->name);
}

static void names_mean_the_same(const struct rn_program *program, const struct rn_command_def *def)
{
    struct rn_option_at one = {.def = def};
    while (!def->hidden && rn_option_next(&one)) {
        struct rn_command_at other = {0};
        while (rn_command_next(program, &other)) {
            struct rn_option_at two = {.def = other.def};
            while (!other.def->hidden && rn_option_next(&two)) {
                same_thing(def, &one.option, &two.option);
            }
        }
    }
}

static void one_name_for_one_thing(void **state)
{
    (void)state;
    each_command(names_mean_the_same);
}

/* The bounds, choices and defaults of the options that make a plan are those of its fields. */
static void option_fits_field(const struct rn_command_def *def, const struct rn_option *option,
                              const struct rn_field *field)
{
    static struct rn_plan from_option, from_field;
    char text[256];
    expect(field != NULL, def, "no field of the plan", option->name);
    if (field->kind <= RN_FIELD_REAL) {
        expect(option->least == field->least && option->most == field->most, def,
               "bounds of the plan", option->name);
    }
    if (field->kind == RN_FIELD_WORD) {
        size_t used = 0;
        for (size_t i = 0; i < field->word_count; i++) {
            assert_true(rn_text_format(text + used, sizeof text - used, "%s%s", i == 0 ? "" : "|",
                                       field->words[i].text));
            used = strlen(text);
        }
        expect(strcmp(option->choices, text) == 0, def, "words of the plan", option->name);
    }
    if (option->fallback != NULL) {
        memset(&from_option, 0, sizeof from_option);
        memset(&from_field, 0, sizeof from_field);
        const bool list = rn_field_is_list(field);
        assert_true(rn_text_format(text, sizeof text, list ? "[%s]" : "%s", option->fallback));
        assert_true(rn_is_ok(rn_field_set_text(field, &from_option, text, NULL)));
        assert_true(rn_is_ok(rn_field_set_text(field, &from_field, field->fallback, NULL)));
        expect(memcmp(&from_option, &from_field, sizeof from_field) == 0, def,
               "default of the plan", option->name);
    }
}

static void plan_options_fit_the_plan(void **state)
{
    static const struct rn_command_def *const defs[] = {&rn_cmd_init, &rn_cmd_plan_new};
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(defs); i++) {
        size_t compared = 0;
        struct rn_option_at at = {.def = defs[i]};
        while (rn_option_next(&at)) {
            const char *const *paths = rn_plan_option_paths(at.option.name);
            for (compared += paths != NULL; paths != NULL && *paths != NULL; paths++) {
                option_fits_field(defs[i], &at.option, rn_field_find(rn_plan_fields(), *paths));
            }
        }
        assert_true(compared > 30);
    }
}

/* ---- Layout of the help ---- */

static size_t width;

/* The line that shows this option; NULL when there is none. */
static const char *line_of(const char *help, const char *name, const char *value)
{
    char wanted[256];
    assert_true(rn_text_format(wanted, sizeof wanted, "\n  --%s%s%s", name,
                               value[0] == '\0' ? "" : " ", value));
    const char *found = strstr(help, wanted);
    return found == NULL ? NULL : found + strlen(wanted);
}

static void columns_stand_apart(const struct rn_program *program, const struct rn_command_def *def)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_help_text(program, def, width, &text);
    const char *help = rn_buffer_text(&text);
    struct rn_option_at at = {.def = def};
    while (rn_option_next(&at)) {
        const char *rest = line_of(help, at.option.name, rn_option_value_text(&at.option));
        expect(rest != NULL, def, "not in the help", at.option.name);
        expect(*rest == '\n' || strncmp(rest, "  ", 2) == 0, def, "runs into its help",
               at.option.name);
        const char *words = rest + strspn(rest, " \n");
        const char *begin = words;
        while (begin[-1] != '\n') {
            begin--;
        }
        expect(words - begin == RN_HELP_COLUMN, def, "column", at.option.name);
        expect(strncmp(words, at.option.help, strcspn(at.option.help, " ")) == 0, def, "help text",
               at.option.name);
    }
}

/* Only a word that is longer than the room may stick out, and the examples are as they are. */
static void lines_fit(const struct rn_program *program, const struct rn_command_def *def)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_help_text(program, def, width, &text);
    for (const char *line = rn_buffer_text(&text); *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        const char *last = line + length;
        while (last > line && last[-1] != ' ') {
            last--;
        }
        const bool one_word =
            strspn(line, " ") == (size_t)(last - line) || strncmp(line, "  --", 4) == 0;
        const bool example = def->examples != NULL && length > 0 &&
                             strstr(def->examples, "  ") != NULL &&
                             memmem(def->examples, strlen(def->examples), line, length) != NULL;
        if (length > width && !one_word && (!example || width >= 80)) {
            print_error("%s at %zu: %.*s\n", def->name, width, (int)length, line);
            fail();
        }
        line += length + (line[length] == '\n');
    }
}

static void help_is_laid_out(void **state)
{
    static const size_t widths[] = {RN_HELP_WIDTH_MIN, 60, 80, RN_HELP_WIDTH_MAX};
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(widths); i++) {
        width = widths[i];
        each_command(columns_stand_apart);
        each_command(lines_fit);
    }
}

static void wrapping(void **state)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    (void)state;
    rn_text_wrap(&text, "one two  three\nfour", 0, 2, 7);
    assert_string_equal(rn_buffer_text(&text), "one two\n  three\n  four");
    rn_buffer_clear(&text);
    rn_text_wrap(&text, "averylongword b", 4, 4, 8);
    assert_string_equal(rn_buffer_text(&text), "averylongword\n    b");
}

/* ---- Manual and completion ---- */

static void expect_text(const struct rn_command_def *def, struct rn_buffer *text,
                        const char *wanted, const char *where)
{
    if (strstr(rn_buffer_text(text), wanted) == NULL) {
        print_error("%s: \"%s\" is not in the %s\n", def->name, wanted, where);
        fail();
    }
}

/* "--max-length" as a manual page writes it. */
static void manual_dashes(const char *name, char *out, size_t capacity)
{
    size_t length = 0;
    for (const char *c = name; *c != '\0' && length + 3 < capacity; c++) {
        if (*c == '-') {
            out[length++] = '\\';
        }
        out[length++] = *c;
    }
    out[length] = '\0';
}

static void options_are_everywhere(const struct rn_program *program,
                                   const struct rn_command_def *def)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer manual = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bash = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer zsh = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer fish = {0};
    struct rn_option_at at = {.def = def};
    char wanted[256];
    char dashes[128];
    if (def->hidden || def->raw) {
        return;
    }
    rn_manual_page(program, def, &manual);
    rn_completion_bash(program, &bash);
    rn_completion_zsh(program, &zsh);
    rn_completion_fish(program, &fish);
    while (rn_option_next(&at)) {
        const struct rn_option *option = &at.option;
        const bool flag = option->kind == RN_OPTION_FLAG;
        manual_dashes(option->name, dashes, sizeof dashes);
        (void)rn_text_format(wanted, sizeof wanted, ".TP\n\\fB\\-\\-%s\\fR", dashes);
        expect_text(def, &manual, wanted, "manual");
        (void)(flag ? rn_text_format(wanted, sizeof wanted, "--%s ", option->name)
                    : rn_text_format(wanted, sizeof wanted, "    '%s|--%s') ", def->name,
                                     option->name));
        expect_text(def, &bash, wanted, "bash script");
        (void)rn_text_format(wanted, sizeof wanted, "'--%s%s", option->name, flag ? "[" : "=[");
        expect_text(def, &zsh, wanted, "zsh script");
        (void)rn_text_format(wanted, sizeof wanted, "_begins %s' -l %s ", def->name, option->name);
        expect_text(def, &fish, wanted, "fish script");
    }
}

static void commands_are_everywhere(const struct rn_program *program,
                                    const struct rn_command_def *def)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer manual = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer help = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bash = {0};
    char wanted[256];
    char name[RN_COMMAND_NAME_MAX];
    char dashes[128];
    if (def->name[0] == '\0') {
        return;
    }
    rn_manual_page(program, NULL, &manual);
    rn_program_help_text(program, 80, &help);
    rn_completion_bash(program, &bash);
    rn_manual_name(program, def, name);
    manual_dashes(name, dashes, sizeof dashes);
    if (def->hidden) {
        assert_null(strstr(rn_buffer_text(&manual), dashes));
        return;
    }
    expect_text(def, &manual, dashes, "program's manual");
    (void)rn_text_format(wanted, sizeof wanted, "\n  %s ", def->name);
    expect_text(def, &help, wanted, "program's help");
    (void)rn_text_format(wanted, sizeof wanted, "command='%s'", def->name);
    expect_text(def, &bash, wanted, "bash script");
}

static void every_text_has_every_option(void **state)
{
    (void)state;
    each_command(options_are_everywhere);
    each_command(commands_are_everywhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_hold),
        cmocka_unit_test(one_name_for_one_thing),
        cmocka_unit_test(plan_options_fit_the_plan),
        cmocka_unit_test(help_is_laid_out),
        cmocka_unit_test(wrapping),
        cmocka_unit_test(every_text_has_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
