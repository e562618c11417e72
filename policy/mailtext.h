/* SPDX-License-Identifier: Apache-2.0
 *
 * What mail programs and editors do to a text file on its way, and undoing it: byte order marks,
 * CR LF line ends, quoted-printable lines. Pure; whether the result is what was sent is for the
 * file's own lengths and signatures to tell.
 */
#ifndef RN_POLICY_MAILTEXT_H
#define RN_POLICY_MAILTEXT_H

#include "base/bytes.h"

/* Removes a UTF-8 byte-order mark and turns CR LF into LF; in place. What it undid, as a phrase;
 * NULL: nothing. */
const char *rn_mailtext_plain(struct rn_buffer *text);

/* Undoes quoted-printable (RFC 2045, 6.7), in place: "=" and a line end joins two lines, "=XX" is a
 * byte. False, and nothing is changed, when an "=" stands otherwise or there is none. */
bool rn_mailtext_unquote(struct rn_buffer *text);

/* What a file that should begin with "rondo-" is instead, as a phrase with the remedy ("a whole
 * mail message: save its attachment alone"); NULL when it is nothing that is known here. */
const char *rn_mailtext_kind(struct rn_view text);

#endif
