/* SPDX-License-Identifier: Apache-2.0
 *
 * Character classes and normal forms over utf8proc.
 */
#include "trainer/text/unicodetext.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <utf8proc.h>

bool rn_utf8_valid(struct rn_view text, size_t *out_bad)
{
    for (size_t at = 0; at < text.length;) {
        utf8proc_int32_t point = 0;
        const size_t left = text.length - at;
        const utf8proc_ssize_t used =
            text.data[at] < 0x80
                ? 1
                : utf8proc_iterate(text.data + at, left < 4 ? (utf8proc_ssize_t)left : 4, &point);
        if (used <= 0) {
            if (out_bad != NULL) {
                *out_bad = at;
            }
            return false;
        }
        at += (size_t)used;
    }
    return true;
}

uint32_t rn_utf8_next(struct rn_view text, size_t *position)
{
    utf8proc_int32_t point = 0;
    const size_t left = text.length - *position;

    RN_BUG_IF(left == 0);
    if (text.data[*position] < 0x80) {
        return text.data[(*position)++];
    }
    const utf8proc_ssize_t used =
        utf8proc_iterate(text.data + *position, left < 4 ? (utf8proc_ssize_t)left : 4, &point);
    RN_BUG_IF(used <= 0);
    *position += (size_t)used;
    return (uint32_t)point;
}

size_t rn_utf8_encode(uint32_t point, uint8_t out[static 4])
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)point, out);
}

uint32_t rn_utf8_before(struct rn_view text, size_t end, size_t *out_start)
{
    size_t start = end;

    RN_BUG_IF(end == 0 || end > text.length);
    do {
        start--;
    } while (start > 0 && (text.data[start] & 0xc0) == 0x80);
    *out_start = start;
    return rn_utf8_next(text, &start);
}

static utf8proc_category_t category(uint32_t point)
{
    return utf8proc_category((utf8proc_int32_t)point);
}

/* `tokenizers` asks tables of about Unicode 8 for punctuation, non-spacing marks and format
 * characters. Characters that got such a category later have none there; to give the same ids they
 * have none here. Found by comparing every code point (tests/parity/tokenizer_parity.py
 * --every-character). */
static const uint32_t younger[][2] = {
    {0x61d, 0x61d},     {0x7fd, 0x7fd},     {0x890, 0x8e2},     {0x9fd, 0x9fe},
    {0xa76, 0xa76},     {0xafa, 0xaff},     {0xb55, 0xb55},     {0xc04, 0xc3c},
    {0xc77, 0xc77},     {0xc84, 0xc84},     {0xd00, 0xd00},     {0xd3b, 0xd3c},
    {0xd81, 0xd81},     {0xeba, 0xeba},     {0xece, 0xece},     {0x1734, 0x1734},
    {0x180f, 0x1886},   {0x1abf, 0x1ace},   {0x1b7d, 0x1b7e},   {0x1df6, 0x1dfb},
    {0x2e43, 0x2e5d},   {0xa82c, 0xa82c},   {0xa8c5, 0xa8c5},   {0xa8ff, 0xa8ff},
    {0xa9bd, 0xa9bd},   {0x10d24, 0x10f89}, {0x11070, 0x11074}, {0x110c2, 0x110cd},
    {0x111c9, 0x111c9}, {0x111cf, 0x111cf}, {0x1123e, 0x11241}, {0x1133b, 0x1133b},
    {0x11438, 0x1145e}, {0x11660, 0x1166c}, {0x116b9, 0x116b9}, {0x1182f, 0x11fff},
    {0x12ff1, 0x13455}, {0x16e97, 0x16f4f}, {0x16fe2, 0x16fe4}, {0x1cf00, 0x1cf46},
    {0x1e000, 0x1e4ef}, {0x1e944, 0x1e95f},
};

/* Marks that StripAccents of `tokenizers` does not know, which asks another table of about
 * Unicode 9. Found in the same way. */
static const uint32_t younger_marks[][2] = {
    {0x7fd, 0x7fd},     {0x898, 0x8d3},     {0x9fe, 0x9fe},     {0xafa, 0xaff},
    {0xb55, 0xb55},     {0xc04, 0xc3c},     {0xcf3, 0xcf3},     {0xd00, 0xd00},
    {0xd3b, 0xd3c},     {0xd81, 0xd81},     {0xeba, 0xeba},     {0xece, 0xece},
    {0x1715, 0x1715},   {0x180f, 0x180f},   {0x1abf, 0x1ace},   {0x1cf7, 0x1cf7},
    {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0xa8ff, 0xa8ff},   {0x10d24, 0x10f85},
    {0x11070, 0x11074}, {0x110c2, 0x110c2}, {0x11145, 0x11146}, {0x111c9, 0x111c9},
    {0x111ce, 0x111cf}, {0x11241, 0x11241}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e},
    {0x1182c, 0x11a99}, {0x11d31, 0x11f42}, {0x16f4f, 0x16f4f}, {0x16f7f, 0x16f87},
    {0x16fe4, 0x16ff1}, {0x1cf00, 0x1cf46}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e4ef},
};

static bool in_ranges(const uint32_t (*ranges)[2], size_t count, uint32_t point)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (point > ranges[middle][1]) {
            low = middle + 1;
        } else if (point < ranges[middle][0]) {
            high = middle;
        } else {
            return true;
        }
    }
    return false;
}

static bool is_younger(uint32_t point)
{
    return in_ranges(younger, RN_ARRAY_LENGTH(younger), point);
}

/* Lower-case mappings that came after Unicode 15: from, to, step to lower case. */
static const struct {
    uint32_t first, last, lower;
} late_lower[] = {
    {0x1c89, 0x1c89, 0x1c8a},    {0xa7cb, 0xa7cb, 0x264},  {0xa7cc, 0xa7cc, 0xa7cd},
    {0xa7ce, 0xa7ce, 0xa7cf},    {0xa7d2, 0xa7d2, 0xa7d3}, {0xa7d4, 0xa7d4, 0xa7d5},
    {0xa7da, 0xa7da, 0xa7db},    {0xa7dc, 0xa7dc, 0x19b},  {0x10d50, 0x10d65, 0x10d70},
    {0x16ea0, 0x16eb8, 0x16ebb},
};

static uint32_t lower_of(uint32_t point)
{
    for (size_t i = 0; point >= late_lower[0].first && i < RN_ARRAY_LENGTH(late_lower); i++) {
        if (point >= late_lower[i].first && point <= late_lower[i].last) {
            return late_lower[i].lower + (point - late_lower[i].first);
        }
    }
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)point);
}

bool rn_unicode_is_space(uint32_t point)
{
    return (point >= 0x9 && point <= 0xd) || point == 0x20 || point == 0x85 || point == 0xa0 ||
           point == 0x1680 || (point >= 0x2000 && point <= 0x200a) || point == 0x2028 ||
           point == 0x2029 || point == 0x202f || point == 0x205f || point == 0x3000;
}

static bool is_mark(uint32_t point)
{
    const utf8proc_category_t c = category(point);

    return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ME;
}

bool rn_unicode_is_numeric(uint32_t point)
{
    const utf8proc_category_t c = category(point);

    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

bool rn_unicode_is_word(uint32_t point)
{
    const utf8proc_category_t c = category(point);

    /* Other_Alphabetic beyond letters and marks: circled letters (So) and Nl. */
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) || is_mark(point) ||
           c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_PC ||
           point == 0x200c || point == 0x200d || (point >= 0x24b6 && point <= 0x24e9) ||
           (point >= 0x1f130 && point <= 0x1f149) || (point >= 0x1f150 && point <= 0x1f169) ||
           (point >= 0x1f170 && point <= 0x1f189);
}

bool rn_unicode_is_punctuation(uint32_t point)
{
    if (point < 0x80) {
        return (point >= 0x21 && point <= 0x2f) || (point >= 0x3a && point <= 0x40) ||
               (point >= 0x5b && point <= 0x60) || (point >= 0x7b && point <= 0x7e);
    }
    const utf8proc_category_t c = category(point);
    const bool punctuation = c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
    /* Two that were punctuation once. */
    return (punctuation && !is_younger(point)) || point == 0x166d || point == 0x111c9;
}

void rn_unicode_next_cluster(struct rn_view text, size_t *position)
{
    utf8proc_int32_t before = (utf8proc_int32_t)rn_utf8_next(text, position);
    utf8proc_int32_t state = 0;

    for (size_t next = *position; next < text.length; *position = next) {
        const utf8proc_int32_t point = (utf8proc_int32_t)rn_utf8_next(text, &next);
        if (utf8proc_grapheme_break_stateful(before, point, &state)) {
            return;
        }
        before = point;
    }
}

/* The blocks that BERT's original code lists. */
static bool is_cjk(uint32_t point)
{
    return (point >= 0x4e00 && point <= 0x9fff) || (point >= 0x3400 && point <= 0x4dbf) ||
           (point >= 0x20000 && point <= 0x2a6df) || (point >= 0x2a700 && point <= 0x2b73f) ||
           (point >= 0x2b740 && point <= 0x2b81f) || (point >= 0x2b920 && point <= 0x2ceaf) ||
           (point >= 0xf900 && point <= 0xfaff) || (point >= 0x2f800 && point <= 0x2fa1f);
}

static bool is_dropped_by_clean(uint32_t point)
{
    if (point == 0 || point == 0xfffd) {
        return true;
    }
    if (point == '\t' || point == '\n' || point == '\r') {
        return false;
    }
    const utf8proc_category_t c = category(point);
    return c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CO ||
           (c == UTF8PROC_CATEGORY_CF && !is_younger(point));
}

static bool is_accent(uint32_t point)
{
    return (category(point) == UTF8PROC_CATEGORY_MN && !is_younger(point)) || point == 0x1734;
}

/* Two were marks once. */
static bool is_old_mark(uint32_t point)
{
    return (is_mark(point) && !in_ranges(younger_marks, RN_ARRAY_LENGTH(younger_marks), point)) ||
           point == 0x1cf2 || point == 0x1cf3;
}

static void append_point(struct rn_buffer *out, uint32_t point)
{
    uint8_t bytes[4];

    rn_buffer_append(out, bytes, rn_utf8_encode(point, bytes));
}

static void append_lower(struct rn_buffer *out, uint32_t point)
{
    if (point == 0x130) { /* the one character whose lower case is two */
        rn_buffer_append(out, "i\xcc\x87", 3);
        return;
    }
    append_point(out, lower_of(point));
}

static void transform_point(enum rn_normal_step step, uint32_t point, struct rn_buffer *out)
{
    switch (step) {
    case RN_NORMAL_BERT_CLEAN:
        if (!is_dropped_by_clean(point)) {
            append_point(out, rn_unicode_is_space(point) ? ' ' : point);
        }
        return;
    case RN_NORMAL_BERT_CJK:
        if (is_cjk(point)) {
            rn_buffer_u8(out, ' ');
            append_point(out, point);
            rn_buffer_u8(out, ' ');
            return;
        }
        append_point(out, point);
        return;
    case RN_NORMAL_LOWERCASE:
        append_lower(out, point);
        return;
    case RN_NORMAL_STRIP_ACCENTS:
        if (!is_old_mark(point)) {
            append_point(out, point);
        }
        return;
    case RN_NORMAL_BERT_ACCENTS:
        if (!is_accent(point)) {
            append_point(out, point);
        }
        return;
    default:
        RN_BUG_IF(true);
    }
}

static rn_result normal_form(utf8proc_option_t options, struct rn_view text, struct rn_buffer *out,
                             struct rn_error *err)
{
    const utf8proc_ssize_t needed =
        utf8proc_decompose(text.data, (utf8proc_ssize_t)text.length, NULL, 0, options);

    RN_ENSURE(needed >= 0, err, RN_E_DATA, "text cannot be normalised");
    RN_CLEANUP(rn_free_cleanup)
    utf8proc_int32_t *points = rn_alloc((size_t)needed + 1, sizeof *points);
    const utf8proc_ssize_t count =
        utf8proc_decompose(text.data, (utf8proc_ssize_t)text.length, points, needed, options);
    RN_ENSURE(count >= 0 && count <= needed, err, RN_E_DATA, "text cannot be normalised");
    const utf8proc_ssize_t composed = utf8proc_normalize_utf32(points, count, options);
    RN_ENSURE(composed >= 0, err, RN_E_DATA, "text cannot be normalised");
    for (utf8proc_ssize_t i = 0; i < composed; i++) {
        append_point(out, (uint32_t)points[i]);
    }
    return rn_ok();
}

static bool is_ascii(struct rn_view text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static bool is_normal_form(enum rn_normal_step step)
{
    return step >= RN_NORMAL_NFC;
}

static utf8proc_option_t form_options(enum rn_normal_step step)
{
    const bool composes = step == RN_NORMAL_NFC || step == RN_NORMAL_NFKC;
    const bool compatible = step == RN_NORMAL_NFKC || step == RN_NORMAL_NFKD;

    return UTF8PROC_STABLE | (composes ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
           (compatible ? UTF8PROC_COMPAT : 0);
}

static void transform_all(enum rn_normal_step step, struct rn_view text, struct rn_buffer *out)
{
    for (size_t at = 0; at < text.length;) {
        const uint32_t point = rn_utf8_next(text, &at);
        transform_point(step, point, out);
    }
}

rn_result rn_unicode_transform(enum rn_normal_step step, struct rn_view text, struct rn_buffer *out,
                               struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer decomposed = {0};

    out->length = 0;
    if (is_ascii(text) && (is_normal_form(step) || step == RN_NORMAL_BERT_ACCENTS)) {
        rn_buffer_append(out, text.data, text.length);
    } else if (is_normal_form(step)) {
        RN_TRY(normal_form(form_options(step), text, out, err));
    } else if (step == RN_NORMAL_BERT_ACCENTS) {
        rn_buffer_init(&decomposed, out->max);
        RN_TRY(normal_form(form_options(RN_NORMAL_NFD), text, &decomposed, err));
        transform_all(step, rn_buffer_view(&decomposed), out);
    } else {
        transform_all(step, text, out);
    }
    RN_ENSURE(!out->failed && !decomposed.failed, err, RN_E_DATA,
              "the normalised text is longer than %zu bytes", out->max);
    return rn_ok();
}
