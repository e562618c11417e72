/* SPDX-License-Identifier: Apache-2.0
 *
 * Help texts from the option tables.
 */
#include "services/cli/kit/help.h"

#include "base/bytes.h"
#include "base/guard.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 26

static const struct {
    int code;
    const char *text;
} exit_codes[] = {
    {0, "done"},
    {64, "wrong command line"},
    {65, "a file's content is wrong"},
    {66, "a file is missing or unreadable"},
    {69, "valid, but this build cannot do it"},
    {70, "a bug, reported instead of crashing"},
    {71, "the operating system refused"},
    {74, "reading or writing failed, disk full"},
    {75, "try again: unreachable, busy or timed out"},
    {76, "a peer misbehaved"},
    {77, "not allowed"},
    {78, "plan, policy or configuration wrong"},
    {79, "refused by the member's policy"},
    {80, "own key or certificate unusable"},
    {81, "does not fit in memory"},
    {82, "the job or a round could not be completed"},
};

void rn_exit_codes_print(void)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(exit_codes); i++) {
        printf("  %2d  %s\n", exit_codes[i].code, exit_codes[i].text);
    }
}

static void print_default(const struct rn_option *option)
{
    switch (option->type) {
    case RN_OPTION_FLAG:
        return;
    case RN_OPTION_TEXT:
    case RN_OPTION_CHOICE:
        if (*(const char *const *)option->value != NULL) {
            printf(" [%s]", *(const char *const *)option->value);
        }
        return;
    case RN_OPTION_COUNT: {
        const uint64_t value = *(const uint64_t *)option->value;
        if ((double)value >= option->least) { /* below: not set */
            printf(" [%llu]", (unsigned long long)value);
        }
        return;
    }
    case RN_OPTION_NUMBER: {
        const double value = *(const double *)option->value;
        if (isfinite(value) && value >= option->least) {
            printf(" [%g]", value);
        }
        return;
    }
    }
}

static void print_option(const struct rn_option *option)
{
    char left[128];
    const char *argument = option->type == RN_OPTION_CHOICE ? option->choices : option->argument;

    (void)rn_text_format(left, sizeof left, "--%s%s%s", option->name, argument == NULL ? "" : " ",
                         argument == NULL ? "" : argument);
    if (strlen(left) >= HELP_COLUMN - 3) {
        printf("  %s\n%*s", left, HELP_COLUMN, "");
    } else {
        printf("  %-*s", HELP_COLUMN - 2, left);
    }
    for (const char *c = option->help; *c != '\0'; c++) {
        (void)putchar(*c);
        if (*c == '\n') {
            printf("%*s", HELP_COLUMN, "");
        }
    }
    if (option->required) {
        printf(" (required)");
    } else {
        print_default(option);
    }
    (void)putchar('\n');
}

void rn_help_print(const struct rn_command_text *text)
{
    printf("rondo %s: %s\n\nUsage: rondo %s", text->name, text->summary, text->name);
    for (size_t i = 0; i < text->option_count; i++) {
        const struct rn_option *option = &text->options[i];
        if (option->required) {
            printf(" --%s %s", option->name, option->argument == NULL ? "" : option->argument);
        }
    }
    printf(" [options]%s%s\n\n", text->operands == NULL ? "" : " ",
           text->operands == NULL ? "" : text->operands);
    if (text->detail != NULL) {
        printf("%s\n\n", text->detail);
    }
    printf("Options:\n");
    for (size_t i = 0; i < text->option_count; i++) {
        print_option(&text->options[i]);
    }
    printf("  --format text|json%-*sform of the result [text]\n", HELP_COLUMN - 20,
           text->extra_formats == NULL ? "" : text->extra_formats);
    printf("  %-*sprint results and errors only\n", HELP_COLUMN - 2, "--quiet");
    printf("  %-*sprint this text\n", HELP_COLUMN - 2, "--help");
    if (text->examples != NULL) {
        printf("\nExamples:\n%s\n", text->examples);
    }
    printf("\nExit codes:\n");
    rn_exit_codes_print();
}
