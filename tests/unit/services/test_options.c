/* SPDX-License-Identifier: Apache-2.0
 *
 * The option parser: types, bounds, near matches.
 */
#include "base/bytes.h"
#include "base/guard.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/shellword.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct settings {
    bool flag;
    const char *text;
    uint64_t count, seed;
    double number;
    const char *choice;
};

static const struct rn_option options[] = {
    {"flag", RN_OPT_FLAG(struct settings, flag), .help = "a flag"},
    {"text", RN_OPT_TEXT(struct settings, text, "T"), .required = true, .help = "a text"},
    {"batch-size", RN_OPT_COUNT(struct settings, count, "N"), .fallback = "3", .least = 2,
     .most = 5, .help = "a count"},
    {"seed", RN_OPT_COUNT(struct settings, seed, "N"), .help = "a count without bounds"},
    {"rate", RN_OPT_NUMBER(struct settings, number, "X"), .least = 0, .most = 1,
     .help = "a number"},
    {NULL}};
static const struct rn_option more_options[] = {
    {"kind", RN_OPT_CHOICE(struct settings, choice, "red|green"), .help = "a choice"}, {NULL}};
static const struct rn_option_group groups[] = {
    {"First", options, 0}, {"Second", more_options, 0}, {NULL}};
static const struct rn_option_renamed renamed[] = {{"colour", "kind"}, {NULL, NULL}};
static const struct rn_command_def thing = {
    .name = "thing do",
    .summary = "a test",
    .groups = groups,
    .settings_size = sizeof(struct settings),
    .renamed = renamed,
    .operands = {{"FILE", RN_OPTION_FILE, 0, 2}},
    .formats = "text|json|jsonl",
};
static const struct rn_command_def *const commands[] = {&thing, NULL};
static const struct rn_command_group tree[] = {{"Things", commands}, {NULL, NULL}};
static const struct rn_program program = {"rondo", "tests", tree};

static struct settings *values;
static struct rn_command command;
static struct rn_error err;

/* Parses words between spaces. */
static rn_result parse(const char *line, bool *out_help)
{
    static char copy[512];
    char *argv[32] = {copy};
    int argc = 1;
    char *rest = copy;

    rn_command_clear(&command);
    err.text[0] = '\0';
    (void)rn_text_format(copy, sizeof copy, "%s", line);
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        argv[argc++] = word;
    }
    const rn_result result = rn_command_parse(&program, &thing, argc, argv, &command, &err);
    values = command.settings;
    *out_help = command.help;
    return result;
}

static void accepted(const char *line)
{
    bool help = true;

    if (!rn_is_ok(parse(line, &help)) || help) {
        print_error("%s: %s\n", line, err.text);
        fail();
    }
}

static void refused(const char *line, const char *part)
{
    bool help = false;

    const rn_result result = parse(line, &help);
    if (result.code != RN_E_USAGE || strstr(err.text, part) == NULL) {
        print_error("%s: %s\nexpected \"%s\"\n", line, err.text, part);
        fail();
    }
}

static void values_are_read(void **state)
{
    (void)state;
    accepted("--text a --batch-size 5 --rate=0.25 --kind green --flag x y");
    assert_string_equal(values->text, "a");
    assert_int_equal(values->count, 5);
    assert_true(values->number == 0.25);
    assert_string_equal(values->choice, "green");
    assert_true(values->flag);
    assert_int_equal(command.operand_count, 2);
    assert_string_equal(command.operands[1], "y");
    assert_true(rn_command_given(&command, "rate"));
    assert_false(rn_command_given(&command, "seed"));
    accepted("--seed=18446744073709551615 --text=b");
    assert_true(values->seed == UINT64_MAX);
    assert_int_equal(values->count, 3); /* its default */
    accepted("--text a --format jsonl -- --flag");
    assert_string_equal(command.format, "jsonl");
    assert_string_equal(command.operands[0], "--flag");
    assert_false(values->flag);
    accepted("--text a --format json --quiet");
    assert_true(command.json && command.quiet);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    refused("--batch-size 2", "--text is missing");
    refused("--text a --batch 2", "did you mean --batch-size");
    refused("--text a --sede 2", "did you mean --seed");
    refused("--text a --colour red", "--colour is called --kind now");
    refused("--text a --formta json", "did you mean --format");
    refused("--text a --zzzzzzzz 2", "see rondo thing do --help");
    refused("--text a --batch-size 1", "from 2 to 5");
    refused("--text a --batch-size 6", "from 2 to 5");
    refused("--text a --batch-size -3", "whole number");
    refused("--text a --batch-size 3x", "whole number");
    refused("--text a --seed 18446744073709551616", "whole number");
    refused("--text a --rate 1.01", "from 0 to 1");
    refused("--text a --rate nan", "number");
    refused("--text a --rate inf", "number");
    refused("--text a --kind blue", "red|green");
    refused("--text a --kind red|green", "red|green");
    refused("--text a --format yaml", "text|json|jsonl");
    refused("--text a --text b", "twice");
    refused("--text a --flag=1", "no value");
    refused("--text --flag", "needs a value");
    refused("--text", "needs a value");
    refused("--text=", "empty");
    refused("--text a x y z", "unexpected word \"z\"");
    refused("--text a -x", "unknown option -x");
}

/* A mistake is told in the form that was asked for, wherever --format stands. */
static void mistakes_know_the_format(void **state)
{
    static const char *const lines[][2] = {
        {"--nonsense --format json", "json"},    {"--seed x --format=jsonl", "jsonl"},
        {"a b c --format json", "json"},         {"--text --format json", "json"},
        {"--nonsense --format xml", "text"},     {"--nonsense --format", "text"},
        {"--nonsense -- --format json", "text"},
    };
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(lines); i++) {
        refused(lines[i][0], "");
        assert_string_equal(command.format, lines[i][1]);
    }
}

static void help_wins(void **state)
{
    bool help = false;

    (void)state;
    assert_true(rn_is_ok(parse("--help --nonsense", &help)));
    assert_true(help);
    assert_true(rn_is_ok(parse("--text a -h", &help)));
    assert_true(help);
}

static void near_names(void **state)
{
    static const char *const names[] = {"train", "tokenize", "plan check"};

    (void)state;
    assert_string_equal(rn_nearest_name("trian", names, 3), "train");
    assert_string_equal(rn_nearest_name("tokenise", names, 3), "tokenize");
    assert_string_equal(rn_nearest_name("plan chekc", names, 3), "plan check");
    assert_null(rn_nearest_name("xyzzy", names, 3));
    assert_null(rn_nearest_name("", names, 3));
}

static void shell_words(void **state)
{
    static const char *const pairs[][2] = {
        {"plain/path-1.x", "plain/path-1.x"},
        {"two words", "'two words'"},
        {"it's", "'it'\\''s'"},
        {"", "''"},
        {"$HOME", "'$HOME'"},
        {"~", "'~'"},
    };
    char out[RN_SHELL_WORD_MAX];
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(pairs); i++) {
        assert_string_equal(rn_shell_word(pairs[i][0], out), pairs[i][1]);
    }
}

/* What a later run must have alike: own options in their order, without those that are free. */
static void settings_as_text(void **state)
{
    static const char *const skip[] = {"text", NULL};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    (void)state;
    accepted("--text a --rate 0.1 --flag --kind red");
    rn_command_settings_text(&command, skip, &text);
    assert_string_equal(rn_buffer_text(&text), "flag=yes\nbatch-size=3\nseed=0\n"
                                               "rate=0.10000000000000001\nkind=red\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(mistakes_know_the_format),
        cmocka_unit_test(help_wins),
        cmocka_unit_test(near_names),
        cmocka_unit_test(shell_words),
        cmocka_unit_test(settings_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
