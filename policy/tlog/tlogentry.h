/* SPDX-License-Identifier: Apache-2.0
 *
 * What a federation's log says: one JSON object an entry, ASCII, its keys in the order below, no
 * white space. Exactly these bytes are hashed. Hashes are lower-case hex. Every entry but the first
 * two kinds names its plan and its number in that plan's job, from 0 without a gap.
 *
 *     {"kind":"log","federation":F,"key":VKEY,"statement":S}            the first entry
 *     {"kind":"witness","member":M,"key":VKEY,"statement":S}
 *     {"kind":"plan","plan":H,"n":0,"name":N,"roster":H,"base":H,"method":M,"rounds":R,"adapter":H}
 *     {"kind":"round","plan":H,"n":K,"round":R,"attempt":A,"outcome":"ok"|CODE,"included":I,
 *      "lost":L,"session":H,"sum":H,"before":H,"after":H}
 *     {"kind":"blame","plan":H,"n":K,"round":R,"attempt":A,"members":"M,M"}
 *     {"kind":"end","plan":H,"n":K,"round":R,"outcome":"ok"|CODE,"adapter":H}
 *
 * H: SHA-256. adapter, before, after: the adapter's hash as members compute it; sum: of the checked
 * sum. CODE: rn_code_name. VKEY and S: tlogkeys.h.
 */
#ifndef RN_POLICY_TLOGENTRY_H
#define RN_POLICY_TLOGENTRY_H

#include "crypto/roster.h"
#include "policy/tlog/tlogkeys.h"

enum rn_tlog_kind {
    RN_TLOG_LOG = 1,
    RN_TLOG_WITNESS,
    RN_TLOG_PLAN,
    RN_TLOG_ROUND,
    RN_TLOG_BLAME,
    RN_TLOG_END,
};

/* Zero-initialise; only what the kind has is written, and is filled by reading. */
struct rn_tlog_entry {
    enum rn_tlog_kind kind;
    char name[RN_NAME_MAX + 1]; /* federation, member, plan's name */
    char key[RN_TLOG_KEY_TEXT_MAX + 1];
    uint8_t statement[RN_SIGNATURE_BYTES];
    uint8_t plan[RN_HASH_BYTES];
    uint64_t number;
    uint32_t round, attempt, rounds, included, lost;
    enum rn_code outcome;
    char method[RN_NAME_MAX + 1];
    uint8_t roster[RN_HASH_BYTES], base[RN_HASH_BYTES];
    uint8_t session[RN_HASH_BYTES], sum[RN_HASH_BYTES];
    uint8_t before[RN_HASH_BYTES], after[RN_HASH_BYTES]; /* adapter: after */
    struct rn_view members; /* BLAME: names with commas between; borrowed, printable */
};

void rn_tlog_entry_write(const struct rn_tlog_entry *entry, struct rn_buffer *out);
/* RN_E_DATA unless the bytes are what rn_tlog_entry_write gives for *out. A kind that is not known
 * here is RN_E_UNSUPPORTED. */
RN_MUST rn_result rn_tlog_entry_read(struct rn_view bytes, struct rn_tlog_entry *out,
                                     struct rn_error *err);

#endif
