/* SPDX-License-Identifier: Apache-2.0
 *
 * What mail does to text files, and containers that went through it: either exactly what was
 * written comes back, or the text is left alone or refused by name.
 */
#include "base/guard.h"
#include "policy/bundle.h"
#include "policy/mailtext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define INVITE                                                                       \
    "rondo-invite 1\nfield coordinator "                                             \
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\nfile ca.crt " \
    "26\n-----\nAA=="                                                                \
    "\n-----\n\nr\xc3\xa9sum\xc3\xa9\nend\n"

static void fill(struct rn_buffer *text, const char *content)
{
    rn_buffer_clear(text);
    rn_buffer_append(text, content, strlen(content));
}

static void line_ends_and_mark(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"a\nb\n", "a\nb\n"},
        {"a\r\nb\r\n", "a\nb\n"},
        {"\xef\xbb\xbf"
         "a\r\n",
         "a\n"},
        {"\xef\xbb\xbf", ""},
        {"\xef\xbb", "\xef\xbb"},
        {"a\rb\r", "a\rb\r"}, /* a lone CR is no line end */
        {"a\r\r\n", "a\r\n"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        fill(&text, cases[i].in);
        assert_int_equal(rn_mailtext_plain(&text) != NULL, strcmp(cases[i].in, cases[i].out) != 0);
        assert_string_equal(rn_buffer_text(&text), cases[i].out);
    }
}

static void quoted_printable(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* out NULL: none */
    } cases[] = {
        {"a=3Db", "a=b"},       {"a=\nb", "ab"}, {"a=\r\nb", "ab"}, {"=3d=3D=\n", "=="},
        {"=C3=A9", "\xc3\xa9"}, {"plain", NULL}, {"a=b", NULL},     {"a=3", NULL},
        {"a=", NULL},           {"a==\n", NULL}, {"=\r", NULL},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        fill(&text, cases[i].in);
        assert_int_equal(rn_mailtext_unquote(&text), cases[i].out != NULL);
        assert_string_equal(rn_buffer_text(&text),
                            cases[i].out != NULL ? cases[i].out : cases[i].in);
    }
}

/* As `quopri` does it: lines of at most 75 characters and "=". */
static void quote(const char *text, const char *line_end, struct rn_buffer *out)
{
    size_t column = 0;
    rn_buffer_clear(out);
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        const bool plain = byte == '\n' || (byte >= 0x20 && byte < 0x7f && byte != '=');
        if (byte != '\n' && column + (plain ? 1 : 3) > 75) {
            rn_buffer_format(out, "=%s", line_end);
            column = 0;
        }
        if (byte == '\n') {
            rn_buffer_format(out, "%s", line_end);
            column = 0;
        } else {
            rn_buffer_format(out, plain ? "%c" : "=%02X", byte);
            column += plain ? 1 : 3;
        }
    }
}

static void mends(const char *mailed, size_t length)
{
    struct rn_buffer RN_CLEANUP(rn_bundle_text_clear) text = {0};
    struct rn_error err = {{0}};
    rn_buffer_append(&text, mailed, length);
    if (!rn_is_ok(rn_bundle_mend(&text, "x", &err))) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(rn_buffer_text(&text), INVITE);
}

static void containers_come_back(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    mends(INVITE, sizeof INVITE - 1);
    mends(INVITE, sizeof INVITE - 2); /* the last line break is missing */
    mends("\xef\xbb\xbf" INVITE "\n\r\n  ", sizeof INVITE - 1 + 8);
    quote(INVITE, "\n", &text);
    assert_non_null(strstr(rn_buffer_text(&text), "=\n"));
    mends(rn_buffer_text(&text), text.length);
    quote(INVITE, "\r\n", &text);
    mends(rn_buffer_text(&text), text.length);
}

/* A soft line break that stands where a file's end would be is no proof of a whole container. */
static void a_chance_fit_is_no_proof(void **state)
{
    (void)state;
    static const char quoted[] = "rondo-invite 1\nfield a =\nb\nfile f 3\nabc\nend\n";
    struct rn_buffer RN_CLEANUP(rn_bundle_text_clear) text = {0};
    fill(&text, quoted);
    assert_true(rn_is_ok(rn_bundle_mend(&text, "x", NULL)));
    assert_string_equal(rn_buffer_text(&text), "rondo-invite 1\nfield a b\nfile f 3\nabc\nend\n");
}

static void others_are_left_alone_or_named(void **state)
{
    (void)state;
    static const char *const alone[] = {
        "",
        "x",
        "rondo-",
        "rondo-invite 1\nfield a b\n",
        "nothing\r\nlike it\r\n",
        "a=\nb=\nc=\n",
        "rondo-invite 1\nfile f 9\nAA=\n-----\nend\n", /* the "=" of base64, and cut */
    };
    static const struct {
        const char *text, *says;
    } named[] = {
        {"rondo-invite 1\r\nfield a b\r\n", "CR LF"},
        {"\xef\xbb\xbfrondo-invite 1\nfield a b\n", "byte-order mark"},
        {"\xef\xbb\xbfrondo-invite 1\r\nfield a b\r\n", "CR LF"},
        {"rondo-invite 1\nfield a=\n b=\nc\nfile f 400\n", "quoted-printable"},
        {"rondo-invite 1\r\nfile f 4\r\na\r\nb\r\nend\r\n", "CR LF"}, /* had CR LF inside */
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(alone); i++) {
        struct rn_buffer RN_CLEANUP(rn_bundle_text_clear) text = {0};
        fill(&text, alone[i]);
        assert_true(rn_is_ok(rn_bundle_mend(&text, "x", NULL)));
        assert_string_equal(rn_buffer_text(&text), alone[i]);
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(named); i++) {
        struct rn_buffer RN_CLEANUP(rn_bundle_text_clear) text = {0};
        struct rn_error err = {{0}};
        fill(&text, named[i].text);
        assert_int_equal(rn_bundle_mend(&text, "x", &err).code, RN_E_DATA);
        assert_non_null(strstr(err.text, named[i].says));
        assert_string_equal(rn_buffer_text(&text), named[i].text);
    }
}

static void kinds(void **state)
{
    (void)state;
    assert_non_null(strstr(rn_mailtext_kind(rn_view_text("")), "empty"));
    assert_non_null(strstr(rn_mailtext_kind(rn_view_text("PK\x03\x04...")), "zip"));
    assert_non_null(strstr(rn_mailtext_kind(rn_view_of("\xff\xfer\0", 4)), "UTF-16"));
    assert_non_null(strstr(rn_mailtext_kind(rn_view_text("Subject: x\n")), "mail message"));
    assert_non_null(strstr(rn_mailtext_kind(rn_view_text("rondo-request 1\n")), "operator"));
    assert_null(rn_mailtext_kind(rn_view_text("P")));
    assert_null(rn_mailtext_kind(rn_view_text("something")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_ends_and_mark),
        cmocka_unit_test(quoted_printable),
        cmocka_unit_test(containers_come_back),
        cmocka_unit_test(a_chance_fit_is_no_proof),
        cmocka_unit_test(others_are_left_alone_or_named),
        cmocka_unit_test(kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
