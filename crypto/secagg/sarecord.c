/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/sarecord.h"

#include "base/guard.h"

#define MAGIC 0x4a534e52u /* "RNSJ" */
#define VERSION 1u
/* A record with the sum of the largest vector, and room. */
#define RECORD_MAX ((size_t)1 << 31)

void rn_sa_record_begin(struct rn_buffer *out, enum rn_sa_record_kind kind,
                        const uint8_t session[static RN_HASH_BYTES])
{
    rn_buffer_clear(out);
    rn_buffer_init(out, RECORD_MAX);
    rn_buffer_u32(out, MAGIC);
    rn_buffer_u16(out, VERSION);
    rn_buffer_u16(out, (uint16_t)kind);
    rn_buffer_append(out, session, RN_HASH_BYTES);
}

rn_result rn_sa_record_read(struct rn_view bytes, struct rn_sa_record *out, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(bytes);
    const bool ours = rn_read_u32(&r) == MAGIC && rn_read_u16(&r) == VERSION;
    out->kind = (enum rn_sa_record_kind)rn_read_u16(&r);
    rn_read_copy(&r, out->session, RN_HASH_BYTES);
    RN_ENSURE(ours && !r.failed, err, RN_E_DATA, "journal: not a secagg record of this version");
    out->body = r;
    return rn_ok();
}
