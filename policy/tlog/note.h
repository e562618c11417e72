/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed notes, checkpoints and cosignatures (C2SP signed-note v1.0.0, tlog-checkpoint v1.0.0,
 * tlog-cosignature v1.0.1).
 *
 *     <text, ends in a newline>
 *     <empty line>
 *     — <key name> base64(key id, 4 bytes || signature)
 *
 *     key id       = SHA-256(name || 0x0A || type || public key)[:4]
 *     verifier key = <name>+<key id, hexadecimal>+base64(type || public key)
 *
 * type 0x01: Ed25519 over the text. Type 0x04: a cosignature of a checkpoint: 8 bytes of time,
 * big-endian, then Ed25519 over "cosignature/v1\ntime <seconds>\n" || text. It does not name the
 * cosigner, so a key has one role alone.
 *
 * A checkpoint's text is three lines: origin, size in decimal, root in base64. Extension lines are
 * refused here: nobody could vouch for them.
 */
#ifndef RN_POLICY_NOTE_H
#define RN_POLICY_NOTE_H

#include "crypto/rolekey.h"
#include "crypto/sha256.h"

#define RN_NOTE_NAME_MAX 135u        /* bytes of a key's name, and of an origin */
#define RN_NOTE_SIGNATURES_MAX 1100u /* RN_ROSTER_MAX members, the log, and strangers */
#define RN_NOTE_BYTES_MAX ((size_t)1 << 20)
#define RN_NOTE_SIGNATURE_MAX 4096u /* bytes, id included: ML-DSA's are 2432 */
#define RN_CHECKPOINT_TEXT_MAX 256u

enum rn_note_type { RN_NOTE_ED25519 = 0x01, RN_NOTE_COSIGNATURE = 0x04 };

/* Who signs: configured, never taken from the note. */
struct rn_note_key {
    char name[RN_NOTE_NAME_MAX + 1];
    enum rn_note_type type;
    struct rn_identity_public public_key;
};

/* Not empty, no space (of Unicode either) nor '+', no control characters; ASCII here. */
RN_MUST bool rn_note_name_valid(const char *name);
void rn_note_key_id(const struct rn_note_key *key, uint8_t out[static 4]);
/* "example.com/foo+530d903a+AekyeR…" */
void rn_note_key_write(const struct rn_note_key *key, struct rn_buffer *out);
/* RN_E_DATA with a sentence. */
RN_MUST rn_result rn_note_key_read(struct rn_view text, struct rn_note_key *out,
                                   struct rn_error *err);

/* ---- Notes ---- */

struct rn_note {
    struct rn_view text;  /* borrowed; with its last newline */
    struct rn_view lines; /* borrowed; the signature lines */
};

/* RN_E_PEER_FORMAT unless the bytes are a note of at most RN_NOTE_BYTES_MAX, with at least one and
 * at most RN_NOTE_SIGNATURES_MAX signature lines, printable ASCII but for the dashes. Signatures
 * are not looked at. */
RN_MUST rn_result rn_note_split(struct rn_view bytes, struct rn_note *out, struct rn_error *err);
/* The note's signature by this key. RN_E_PEER_AUTH where it has none, or one with the key's name
 * and id that does not hold. out_time (may be NULL): of a cosignature, seconds since 1970. */
RN_MUST rn_result rn_note_verify(const struct rn_note *note, const struct rn_note_key *key,
                                 uint64_t *out_time, struct rn_error *err);
/* Appends the whole line of the key's first signature that holds; false where there is none. */
RN_MUST bool rn_note_line_find(const struct rn_note *note, const struct rn_note_key *key,
                               struct rn_buffer *out);
/* Appends the line of a signature over `text`. seconds: of a cosignature; at most 2^63 - 1. */
void rn_note_sign(struct rn_view text, const struct rn_note_key *key,
                  const struct rn_rolekey *secret, uint64_t seconds, struct rn_buffer *out);

/* ---- Checkpoints ---- */

struct rn_note_checkpoint {
    char origin[RN_NOTE_NAME_MAX + 1];
    uint64_t size;
    struct rn_hash root;
};

/* Appends the three lines. */
void rn_note_checkpoint_write(const struct rn_note_checkpoint *checkpoint, struct rn_buffer *out);
/* RN_E_PEER_FORMAT unless the text is what rn_note_checkpoint_write gives for some checkpoint. */
RN_MUST rn_result rn_note_checkpoint_read(struct rn_view text, struct rn_note_checkpoint *out,
                                          struct rn_error *err);

#endif
