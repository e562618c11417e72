/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/mailtext.h"

#include <string.h>

#include "base/guard.h"

#define MARK "\xef\xbb\xbf" /* U+FEFF in UTF-8 */

const char *rn_mailtext_plain(struct rn_buffer *text)
{
    const size_t before = text->length;
    const size_t mark = before >= 3 && memcmp(text->data, MARK, 3) == 0 ? 3 : 0;
    size_t from = mark;
    size_t to = 0;
    for (; from < before; from++) {
        if (text->data[from] != '\r' || from + 1 == before || text->data[from + 1] != '\n') {
            text->data[to++] = text->data[from];
        }
    }
    text->length = to;
    return to + mark != before ? "line ends are CR LF"
           : mark != 0         ? "it begins with a byte-order mark"
                               : NULL;
}

/* The bytes that the "=" at `at` stands for: their number (0 or 1) in *out_bytes and how much of
 * the text they take; 0 when it is no quoted-printable. */
static size_t quoted_length(struct rn_view text, size_t at, uint8_t *out_byte, size_t *out_bytes)
{
    char digits[3] = "";
    const size_t left = text.length - at;
    *out_bytes = 0;
    if (left >= 2 && text.data[at + 1] == '\n') {
        return 2;
    }
    if (left >= 3 && text.data[at + 1] == '\r' && text.data[at + 2] == '\n') {
        return 3;
    }
    if (left < 3) {
        return 0;
    }
    memcpy(digits, text.data + at + 1, 2);
    *out_bytes = 1;
    return rn_hex_decode(out_byte, 1, digits) ? 3 : 0;
}

/* Writes to out, which may be text.data itself: what is written is never longer than what was read.
 * Returns the length, or SIZE_MAX. out NULL: only counts. */
static size_t unquote(struct rn_view text, uint8_t *out)
{
    size_t to = 0;
    for (size_t at = 0; at < text.length;) {
        uint8_t byte = text.data[at];
        size_t bytes = 1;
        size_t taken = 1;
        if (byte == '=') {
            taken = quoted_length(text, at, &byte, &bytes);
        }
        if (taken == 0) {
            return SIZE_MAX;
        }
        if (out != NULL && bytes == 1) {
            out[to] = byte;
        }
        to += bytes;
        at += taken;
    }
    return to;
}

bool rn_mailtext_unquote(struct rn_buffer *text)
{
    const struct rn_view view = rn_buffer_view(text);
    const size_t length = unquote(view, NULL);
    if (length == SIZE_MAX || length == view.length) {
        return false;
    }
    text->length = unquote(view, text->data);
    return true;
}

static bool begins(struct rn_view text, const char *with, size_t length)
{
    return text.length >= length && memcmp(text.data, with, length) == 0;
}

const char *rn_mailtext_kind(struct rn_view text)
{
    static const struct {
        const char *begin;
        size_t length;
        const char *what;
    } kinds[] = {
#define KIND(begin, what) {begin, sizeof(begin) - 1, what}
        KIND("\xff\xfe", "text in UTF-16: save it again as UTF-8 or plain ASCII"),
        KIND("\xfe\xff", "text in UTF-16: save it again as UTF-8 or plain ASCII"),
        KIND("PK\x03\x04", "a zip archive: unpack it first"),
        KIND("\x1f\x8b", "a gzip file: unpack it first"),
        KIND("%PDF-", "a PDF document: ask for the file itself"),
        KIND("<", "a web page or HTML text: ask for the file itself"),
        KIND("cm9uZG8t", "in base64, as mail carries attachments: decode it (base64 -d)"),
        KIND("From ", "a whole mail message: save its attachment alone"),
        KIND("From:", "a whole mail message: save its attachment alone"),
        KIND("Received:", "a whole mail message: save its attachment alone"),
        KIND("Return-Path:", "a whole mail message: save its attachment alone"),
        KIND("Delivered-To:", "a whole mail message: save its attachment alone"),
        KIND("MIME-Version:", "a whole mail message: save its attachment alone"),
        KIND("Content-Type:", "a whole mail message: save its attachment alone"),
        KIND("Date:", "a whole mail message: save its attachment alone"),
        KIND("Subject:", "a whole mail message: save its attachment alone"),
        KIND("-----BEGIN ", "a PEM file with a key or certificate"),
        KIND("rondo-invite ", "an invitation: it goes to a member (rondo join)"),
        KIND("rondo-request ", "a request: it goes to the operator (rondo invite --accept)"),
        KIND("rondo-welcome ", "a welcome: it goes to a member (rondo join)"),
        KIND("rondo-renewal ", "a renewed certificate: it goes to a member (rondo join)"),
        KIND("rondo-signatures ", "a file of signatures: it is taken over by rondo plan sign"),
#undef KIND
    };
    if (text.length == 0) {
        return "an empty file";
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(kinds); i++) {
        if (begins(text, kinds[i].begin, kinds[i].length)) {
            return kinds[i].what;
        }
    }
    return NULL;
}
