/* SPDX-License-Identifier: Apache-2.0
 *
 * An expression of Oniguruma (Ruby's syntax, UTF-8) as one of PCRE2 that gives the same matches.
 */
#include "trainer/text/textpattern.h"

#include "base/guard.h"
#include "trainer/text/unicodetext.h"

#include <string.h>

/* Parts of a class. White_Space is written out because \s of PCRE2 10.42 also holds U+180E. */
#define SPACE                                                                          \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}" \
    "\\x{202f}\\x{205f}\\x{3000}"
#define WORD_IN_CLASS "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
/* Outside a class Oniguruma asks a table for Latin-1, which also holds the raised digits and the
 * fractions. */
#define WORD WORD_IN_CLASS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define ANY "[\\x{0}-\\x{10ffff}]"

struct translation {
    struct rn_view text;
    size_t at;
    struct rn_buffer *out;
    size_t depth;      /* open groups */
    bool quantifiable; /* what stands before may take a quantifier */
    bool caseless;     /* (?i) stands somewhere before */
    uint32_t before;   /* the literal right before, or 0 */
};

static rn_result refuse(const struct translation *to, const char *what, struct rn_error *err)
{
    return rn_fail(err, RN_E_UNSUPPORTED, "the Regex has %s at byte %zu, which is not supported",
                   what, to->at + 1);
}

static uint32_t peek(const struct translation *to)
{
    size_t at = to->at;

    return at < to->text.length ? rn_utf8_next(to->text, &at) : 0;
}

static bool take(struct translation *to, const char *word)
{
    const size_t length = strlen(word);
    const bool here =
        to->text.length - to->at >= length && memcmp(to->text.data + to->at, word, length) == 0;

    to->at += here ? length : 0;
    return here;
}

static void put(struct translation *to, const char *text)
{
    rn_buffer_append(to->out, text, strlen(text));
}

/* ---- Characters ---------------------------------------------------------------------------- */

/* Under (?i) Oniguruma also folds one character to several: U+FB06 is "st" there. */
static bool folds_wide(uint32_t before, uint32_t point)
{
    static const char pairs[][2] = {{'s', 's'}, {'s', 't'}, {'f', 'f'}, {'f', 'i'}, {'f', 'l'}};
    bool found = false;

    for (size_t i = 0; i < RN_ARRAY_LENGTH(pairs); i++) {
        found = found || ((before | 0x20) == (uint32_t)pairs[i][0] &&
                          (point | 0x20) == (uint32_t)pairs[i][1]);
    }
    return found;
}

static rn_result put_point(struct translation *to, uint32_t point, struct rn_error *err)
{
    if (to->caseless &&
        (point >= 0x80 ? rn_unicode_is_word(point) : folds_wide(to->before, point))) {
        return refuse(to, "this letter under (?i)", err);
    }
    to->before = point;
    rn_buffer_format(to->out, "\\x{%x}", point);
    return rn_ok();
}

static bool hex_digit(uint32_t point, uint32_t *value)
{
    const uint32_t lower = point | 0x20;
    const bool letter = lower >= 'a' && lower <= 'f';
    const bool digit = point >= '0' && point <= '9';

    if (letter || digit) {
        *value = *value * 16 + (letter ? lower - 'a' + 10 : point - '0');
    }
    return letter || digit;
}

/* Up to most digits; how many there were. */
static size_t take_hex(struct translation *to, size_t most, uint32_t *out)
{
    size_t count = 0;

    *out = 0;
    while (count < most && hex_digit(peek(to), out)) {
        to->at++;
        count++;
    }
    return count;
}

/* Behind "\x" or "\u". */
static rn_result take_number(struct translation *to, bool wide, uint32_t *out, struct rn_error *err)
{
    const bool braces = !wide && take(to, "{");
    const size_t count = take_hex(to, braces ? 6 : wide ? 4 : 2, out);
    const bool closed = !braces || take(to, "}");
    const bool plain = braces || wide ? *out <= 0x10ffff && (*out < 0xd800 || *out > 0xdfff)
                                      : *out < 0x80; /* \xHH is a byte there */

    return closed && plain && count > 0 && (!wide || count == 4)
               ? rn_ok()
               : refuse(to, "a character's number", err);
}

/* A control letter, a sign that stands for itself, or false. */
static bool escaped_point(uint32_t letter, uint32_t *out)
{
    static const char names[] = "ntrfvae";
    static const char values[] = "\n\t\r\f\v\a\x1b";
    const char *name = letter < 0x80 && letter != 0 ? strchr(names, (int)letter) : NULL;

    *out = name != NULL ? (uint32_t)values[name - names] : letter;
    return name != NULL || letter == ' ' || (letter < 0x80 && rn_unicode_is_punctuation(letter));
}

/* Behind a backslash: one character's number; found false when it is something else. */
static rn_result take_escaped(struct translation *to, uint32_t *out, bool *out_found,
                              struct rn_error *err)
{
    const uint32_t letter = peek(to);

    *out_found = true;
    if (letter == 'x' || letter == 'u') {
        to->at++;
        return take_number(to, letter == 'u', out, err);
    }
    *out_found = escaped_point(letter, out);
    to->at += *out_found ? 1 : 0;
    return rn_ok();
}

/* ---- Sorts of characters ------------------------------------------------------------------- */

/* \p{Name}, \P{Name}, \p{^Name}: general categories mean the same; a script by its own name, since
 * PCRE2 would take Script_Extensions. */
static rn_result put_property(struct translation *to, bool negated, struct rn_error *err)
{
    char name[32] = "";
    size_t length = 0;

    if (!take(to, "{")) {
        return refuse(to, "a property", err);
    }
    negated = take(to, "^") != negated;
    for (uint32_t c = peek(to); (c | 0x20) >= 'a' && (c | 0x20) <= 'z' && length < sizeof name - 1;
         c = peek(to)) {
        name[length++] = (char)c;
        to->at++;
    }
    if (length == 0 || strcmp(name, "Any") == 0 || !take(to, "}")) {
        return refuse(to, "a property", err);
    }
    rn_buffer_format(to->out, "\\%c{%s%s}", negated ? 'P' : 'p', length <= 2 ? "" : "sc:", name);
    return rn_ok();
}

/* Behind a backslash: \s and its like; found false when it is something else. */
static rn_result put_sort(struct translation *to, bool in_class, bool *out_found,
                          struct rn_error *err)
{
    static const struct {
        char letter;
        const char *alone, *in_class; /* NULL: not there */
    } sorts[] = {
        {'s', "[" SPACE "]", SPACE},        {'S', "[^" SPACE "]", NULL},
        {'w', "[" WORD "]", WORD_IN_CLASS}, {'W', "[^" WORD "]", NULL},
        {'d', "\\p{Nd}", "\\p{Nd}"},        {'D', "\\P{Nd}", "\\P{Nd}"},
        {'h', "[0-9a-fA-F]", "0-9a-fA-F"},
    };
    const uint32_t letter = peek(to);

    *out_found = true;
    if (letter == 'p' || letter == 'P') {
        to->at++;
        return put_property(to, letter == 'P', err);
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(sorts); i++) {
        const char *text = in_class ? sorts[i].in_class : sorts[i].alone;
        if ((uint32_t)sorts[i].letter == letter) {
            RN_ENSURE(text != NULL, err, RN_E_UNSUPPORTED,
                      "the Regex has \\%c in a class at byte %zu, which is not supported",
                      sorts[i].letter, to->at);
            to->at++;
            put(to, text);
            return rn_ok();
        }
    }
    *out_found = false;
    return rn_ok();
}

/* Behind a backslash: a place in the text. Lines are Ruby's: ^ and $ know each. */
static bool put_place(struct translation *to)
{
    static const char *const places[][2] = {
        {"b", "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))"},
        {"B", "(?:(?<=[" WORD "])(?=[" WORD "])|(?<![" WORD "])(?![" WORD "]))"},
        {"A", "\\A"},
        {"z", "\\z"},
    };

    for (size_t i = 0; i < RN_ARRAY_LENGTH(places); i++) {
        if (take(to, places[i][0])) {
            put(to, places[i][1]);
            return true;
        }
    }
    return false;
}

/* ---- Classes ------------------------------------------------------------------------------- */

/* One character of a class, or a sort (then *out_sort). */
static rn_result class_item(struct translation *to, uint32_t *out, bool *out_sort,
                            struct rn_error *err)
{
    bool found = false;

    *out_sort = false;
    if (to->at == to->text.length) {
        return refuse(to, "an open class", err);
    }
    if (peek(to) == '[' || (peek(to) == '&' && take(to, "&&"))) {
        return refuse(to, "a class in a class", err);
    }
    if (!take(to, "\\")) {
        *out = rn_utf8_next(to->text, &to->at);
        return rn_ok();
    }
    RN_TRY(put_sort(to, true, out_sort, err));
    if (!*out_sort) {
        RN_TRY(take_escaped(to, out, &found, err));
    }
    return found || *out_sort ? rn_ok() : refuse(to, "an escape in a class", err);
}

static rn_result class_range(struct translation *to, struct rn_error *err)
{
    uint32_t low = 0;
    uint32_t high = 0;
    bool sort = false;

    RN_TRY(class_item(to, &low, &sort, err));
    if (sort) {
        return rn_ok();
    }
    to->before = 0;
    RN_TRY(put_point(to, low, err));
    if (peek(to) != '-' || (to->at + 1 < to->text.length && to->text.data[to->at + 1] == ']')) {
        return rn_ok();
    }
    to->at++;
    RN_TRY(class_item(to, &high, &sort, err));
    if (sort || high < low) {
        return refuse(to, "a range", err);
    }
    put(to, "-");
    to->before = 0;
    return put_point(to, high, err);
}

/* Behind "[". */
static rn_result put_class(struct translation *to, struct rn_error *err)
{
    if (take(to, "\\s\\S]") || take(to, "\\S\\s]")) {
        put(to, ANY);
        return rn_ok();
    }
    put(to, take(to, "^") ? "[^" : "[");
    if (peek(to) == ']') {
        return refuse(to, "an empty class", err);
    }
    do {
        RN_TRY(class_range(to, err));
    } while (!take(to, "]"));
    put(to, "]");
    to->before = 0;
    return rn_ok();
}

/* ---- Groups and quantifiers ---------------------------------------------------------------- */

/* Behind "(". */
static rn_result put_group(struct translation *to, bool first, struct rn_error *err)
{
    static const char *const openings[] = {"?:", "?=", "?!", "?<=", "?<!", "?>", "?i:"};

    to->quantifiable = false;
    to->before = 0;
    if (first && take(to, "?i)")) {
        to->caseless = true;
        put(to, "(?i)");
        return rn_ok();
    }
    to->depth++;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(openings); i++) {
        if (take(to, openings[i])) {
            to->caseless = to->caseless || strcmp(openings[i], "?i:") == 0;
            put(to, "(");
            put(to, openings[i]);
            return rn_ok();
        }
    }
    if (peek(to) == '?' || peek(to) == '*') {
        return refuse(to, "a group", err);
    }
    put(to, "(?:");
    return rn_ok();
}

static size_t take_digits(struct translation *to, uint32_t *out)
{
    size_t count = 0;

    *out = 0;
    for (uint32_t c = peek(to); c >= '0' && c <= '9' && count < 4; c = peek(to), count++) {
        *out = *out * 10 + (c - '0');
        to->at++;
    }
    return count;
}

/* Behind "{": a number of times. Ruby reads {n}? and {n,m}+ as two quantifiers. */
static rn_result put_times(struct translation *to, struct rn_error *err)
{
    uint32_t low = 0;
    uint32_t high = 0;
    const size_t lows = take_digits(to, &low);
    const bool comma = take(to, ",");
    const size_t highs = comma ? take_digits(to, &high) : 0;

    if (!take(to, "}") || (lows == 0 && highs == 0) || (highs > 0 && high < low) ||
        peek(to) == '?' || peek(to) == '+') {
        return refuse(to, "a number of times", err);
    }
    rn_buffer_format(to->out, "{%u%s", low, comma ? "," : "");
    if (highs > 0) {
        rn_buffer_format(to->out, "%u", high);
    }
    put(to, "}");
    return rn_ok();
}

static rn_result put_quantifier(struct translation *to, struct rn_error *err)
{
    const char sign[2] = {(char)peek(to), '\0'};

    if (!to->quantifiable) {
        return refuse(to, "a quantifier", err);
    }
    to->at++;
    to->quantifiable = false;
    to->before = 0;
    if (sign[0] == '{') {
        return put_times(to, err);
    }
    put(to, sign);
    if (take(to, "?")) {
        put(to, "?");
    } else if (take(to, "+")) {
        put(to, "+");
    }
    return rn_ok();
}

/* ---- The whole ----------------------------------------------------------------------------- */

/* Behind a backslash, outside a class. */
static rn_result put_escape(struct translation *to, struct rn_error *err)
{
    uint32_t point = 0;
    bool found = false;

    to->quantifiable = true;
    RN_TRY(put_sort(to, false, &found, err));
    if (found) {
        to->before = 0;
        return rn_ok();
    }
    if (put_place(to)) {
        to->quantifiable = false;
        to->before = 0;
        return rn_ok();
    }
    RN_TRY(take_escaped(to, &point, &found, err));
    return found ? put_point(to, point, err) : refuse(to, "an escape", err);
}

/* A sign that stands for something; found false for a literal. */
static rn_result put_sign(struct translation *to, uint32_t sign, bool *out_found,
                          struct rn_error *err)
{
    const bool first = to->at == 1;

    *out_found = true;
    to->quantifiable = sign == '.' || sign == '[' || sign == ')' || sign == '\\';
    switch (sign) {
    case '.':
        put(to, "[^\\n]");
        break;
    case '^':
        put(to, "(?:\\A|(?<=\\n)(?!\\z))");
        break;
    case '$':
        put(to, "(?:(?=\\n)|\\z)");
        break;
    case '|':
        put(to, "|");
        break;
    case '(':
        return put_group(to, first, err);
    case ')':
        if (to->depth-- == 0) {
            return refuse(to, "a parenthesis that nothing opened", err);
        }
        put(to, ")");
        break;
    case '[':
        return put_class(to, err);
    case '\\':
        return put_escape(to, err);
    default:
        *out_found = false;
        return rn_ok();
    }
    to->before = 0;
    return rn_ok();
}

static rn_result put_next(struct translation *to, struct rn_error *err)
{
    const uint32_t sign = peek(to);
    bool found = false;

    if (sign == '*' || sign == '+' || sign == '?' || sign == '{') {
        return put_quantifier(to, err);
    }
    if (sign == '}' || sign == ']' || sign == 0) {
        return refuse(to, "this sign without a backslash", err);
    }
    (void)rn_utf8_next(to->text, &to->at);
    RN_TRY(put_sign(to, sign, &found, err));
    to->quantifiable = to->quantifiable || !found;
    return found ? rn_ok() : put_point(to, sign, err);
}

rn_result rn_regex_translate(struct rn_view text, struct rn_buffer *out, struct rn_error *err)
{
    struct translation to = {.text = text, .out = out};

    while (to.at < text.length) {
        RN_TRY(put_next(&to, err));
    }
    if (to.depth > 0) {
        return refuse(&to, "an open parenthesis", err);
    }
    RN_ENSURE(!out->failed, err, RN_E_UNSUPPORTED, "the Regex is too long");
    return rn_ok();
}
