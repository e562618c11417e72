/* SPDX-License-Identifier: Apache-2.0
 *
 * Command-line options as static tables. One row gives parser, bounds, default, --help, completion
 * and manual page; its value goes to an offset of the command's settings struct.
 *
 *     struct train_settings { const char *out; uint64_t batch; };
 *     static const struct rn_option rows[] = {
 *         {"out", RN_OPT_DIRECTORY(struct train_settings, out), .required = true, .help = "..."},
 *         {"batch", RN_OPT_COUNT(struct train_settings, batch, "N"), .fallback = "32", .least = 1,
 *          .most = 4096, .help = "records per step"},
 *         {NULL}};
 *     static const struct rn_option_group groups[] = {{"Training", rows, 0}, {NULL}};
 *
 * Rows that several commands share are bound to a struct of their own; the group says where that
 * struct lies in the command's settings. A binding to a member of another type does not compile.
 *
 * Rules for a table (tests/unit/services/test_commands.c): names are unique in a command; help is
 * one sentence without a full stop, wrapped when it is printed; a default obeys its own bounds; a
 * name means the same in every command.
 */
#ifndef RN_SERVICES_CLI_KIT_OPTIONS_H
#define RN_SERVICES_CLI_KIT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_OPTIONS_MAX 96    /* of one command */
#define RN_OPERANDS_MAX 4096 /* of one kind */

enum rn_option_kind {
    RN_OPTION_FLAG,      /* bool: no value, sets true */
    RN_OPTION_TEXT,      /* const char *: any text that is not empty, borrowed from argv */
    RN_OPTION_FILE,      /* const char *: likewise; completion offers files */
    RN_OPTION_DIRECTORY, /* const char *: likewise; completion offers directories */
    RN_OPTION_COUNT,     /* uint64_t: decimal integer */
    RN_OPTION_NUMBER,    /* double: finite decimal */
    RN_OPTION_CHOICE,    /* const char *: one of choices */
};

struct rn_option {
    const char *name; /* without the dashes; NULL ends a table */
    enum rn_option_kind kind;
    size_t offset;        /* of the value in the settings */
    const char *value;    /* what the help calls the value: "FILE", "N"; NULL: a flag or a choice */
    const char *fallback; /* the value where it is not given, as one would type it; NULL: zero */
    double least, most;   /* COUNT and NUMBER; both 0: no bounds */
    const char *choices;  /* "adamw|sgd" */
    bool required;
    const char *help;
};

/* Offset of a member that must have this type. */
#define RN_FIELD(struct_, member_, type_) \
    (offsetof(struct_, member_) + 0 * sizeof(char[_Generic(((struct_ *)0)->member_, type_ : 1)]))

/* Kind, offset and value name of a row. */
#define RN_OPT_FLAG(struct_, member_) \
    .kind = RN_OPTION_FLAG, .offset = RN_FIELD(struct_, member_, bool)
#define RN_OPT_TEXT(struct_, member_, value_) \
    .kind = RN_OPTION_TEXT, .offset = RN_FIELD(struct_, member_, const char *), .value = (value_)
#define RN_OPT_FILE(struct_, member_) \
    .kind = RN_OPTION_FILE, .offset = RN_FIELD(struct_, member_, const char *), .value = "FILE"
#define RN_OPT_DIRECTORY(struct_, member_) \
    .kind = RN_OPTION_DIRECTORY, .offset = RN_FIELD(struct_, member_, const char *), .value = "DIR"
#define RN_OPT_COUNT(struct_, member_, value_) \
    .kind = RN_OPTION_COUNT, .offset = RN_FIELD(struct_, member_, uint64_t), .value = (value_)
#define RN_OPT_NUMBER(struct_, member_, value_) \
    .kind = RN_OPTION_NUMBER, .offset = RN_FIELD(struct_, member_, double), .value = (value_)
#define RN_OPT_CHOICE(struct_, member_, choices_)                                 \
    .kind = RN_OPTION_CHOICE, .offset = RN_FIELD(struct_, member_, const char *), \
    .choices = (choices_)

struct rn_option_group {
    const char *title;            /* heading in the help: "Training" */
    const struct rn_option *rows; /* ended by a row without name; NULL ends the list of groups */
    size_t base;                  /* added to each row's offset */
};

/* Words that are no options, in their order. */
struct rn_operand {
    const char *name;         /* "DIR", as the help calls it; NULL: no more */
    enum rn_option_kind kind; /* FILE, DIRECTORY, TEXT, CHOICE: what completion offers */
    size_t least, most;       /* how many; most at most RN_OPERANDS_MAX */
    const char *choices;
};

/* An option that had another name: using the old one is refused with the new one. */
struct rn_option_renamed {
    const char *was, *is;
};

/* The nearest of count names if it is near enough to be a typing mistake, else NULL. */
const char *rn_nearest_name(const char *wrong, const char *const *names, size_t count);

#endif
