/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that operator and sites hand to each other while a federation is set up (FORMATS.md):
 * an invitation, a request, a welcome, a renewed certificate. One text container for all: a first
 * line that names kind and version, then fields and whole files, then "end".
 *
 *     rondo-invite 1
 *     field NAME VALUE
 *     file NAME LENGTH
 *     ...exactly LENGTH bytes, then a line break...
 *     end
 *
 * Names are [a-z.-]; a value is printable ASCII without line break; nothing may appear twice or
 * stand after "end". Sans-I/O; every limit is named below.
 */
#ifndef RN_POLICY_BUNDLE_H
#define RN_POLICY_BUNDLE_H

#include "base/bytes.h"
#include "base/result.h"

/* The largest files in one are a welcome's, of a roster of RN_ROSTER_MEMBERS_MAX members: the
 * plan's signatures (RN_SIGNATURES_BYTES_MAX), the roster (RN_ROSTER_BYTES_MAX), plan and
 * certificate. */
#define RN_BUNDLE_BYTES_MAX ((size_t)1024 * 1024)
#define RN_BUNDLE_ITEMS_MAX 16
#define RN_BUNDLE_NAME_MAX 31
#define RN_BUNDLE_VALUE_MAX 511
#define RN_BUNDLE_FILE_MAX ((size_t)512 * 1024)

#define RN_BUNDLE_INVITE "rondo-invite 1"
#define RN_BUNDLE_REQUEST "rondo-request 1"
#define RN_BUNDLE_WELCOME "rondo-welcome 1"
#define RN_BUNDLE_RENEWAL "rondo-renewal 1"

struct rn_bundle_item {
    char name[RN_BUNDLE_NAME_MAX + 1];
    bool file;
    char value[RN_BUNDLE_VALUE_MAX + 1]; /* of a field */
    struct rn_view content;              /* of a file, borrowed from the text */
    size_t start;                        /* where the item's line begins in the text */
};

struct rn_bundle {
    size_t count;
    struct rn_bundle_item items[RN_BUNDLE_ITEMS_MAX];
};

/* Wipe and clear: an invitation holds a token. For RN_CLEANUP. */
void rn_bundle_clear(struct rn_bundle *bundle);
void rn_bundle_text_clear(struct rn_buffer *text);

/* True when text begins with the kind's first line. */
bool rn_bundle_is(struct rn_view text, const char *kind);

/* Undoes, in place, what mail programs and editors did to a container, where the lengths in it
 * prove that the result is what was written: a byte order mark, CR LF, quoted-printable lines,
 * blank lines after "end" or no line break there. Other texts stay as they are. RN_E_DATA naming
 * the alteration when there was one that could not be undone. */
RN_MUST rn_result rn_bundle_mend(struct rn_buffer *text, const char *source, struct rn_error *err);

/* Parses; names lists every item that must be there, in this order ("+name" for a file). Anything
 * else is RN_E_DATA with the line. text must outlive the bundle. */
RN_MUST rn_result rn_bundle_parse(struct rn_view text, const char *source, const char *kind,
                                  const char *const *names, size_t count,
                                  struct rn_bundle *out_bundle, struct rn_error *err);

/* Item i of the list given to rn_bundle_parse. */
const char *rn_bundle_value(const struct rn_bundle *bundle, size_t i);
struct rn_view rn_bundle_file(const struct rn_bundle *bundle, size_t i);

/* Writing: begin, then items in order, then end. A value that a reader would refuse is a bug. */
void rn_bundle_begin(struct rn_buffer *out, const char *kind);
void rn_bundle_put(struct rn_buffer *out, const char *name, const char *value);
void rn_bundle_put_file(struct rn_buffer *out, const char *name, struct rn_view content);
void rn_bundle_end(struct rn_buffer *out);

#endif
