/* SPDX-License-Identifier: Apache-2.0
 *
 * Mask streams. Blocks of lanes outside, keys inside: a block of lanes and its key stream stay in
 * the first-level cache whatever the number of keys.
 */
#include "crypto/maskstream.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/maskvaes.h"

#include <endian.h>
#include <openssl/evp.h>
#include <string.h>

#define AES_BLOCK 16
#define PIECE ((size_t)16 << 10) /* bytes of lanes worked on at once */
#define UNROLL 16                /* lanes per inner loop, a fixed count for the vectoriser */

/* Key stream of one piece; a range may begin inside an AES block, hence one block more. */
union piece {
    uint8_t bytes[PIECE + AES_BLOCK];
    uint32_t u32[(PIECE + AES_BLOCK) / 4];
    uint64_t u64[(PIECE + AES_BLOCK) / 8];
};

struct stream {
    int sign;
    EVP_CIPHER_CTX *cipher;           /* RN_MASK_EVP */
    uint64_t next_block;              /* where the cipher's counter stands */
    struct rn_mask_schedule schedule; /* RN_MASK_VAES */
};

struct rn_mask_set {
    enum rn_mask_kernel kernel;
    size_t capacity;
    size_t count;
    struct stream *streams;
};

static const uint8_t zeros[PIECE + AES_BLOCK];

bool rn_mask_kernel_here(enum rn_mask_kernel kernel)
{
    return kernel == RN_MASK_EVP || rn_mask_vaes_here();
}

enum rn_mask_kernel rn_mask_kernel_best(void)
{
    return rn_mask_kernel_here(RN_MASK_VAES) ? RN_MASK_VAES : RN_MASK_EVP;
}

const char *rn_mask_kernel_name(enum rn_mask_kernel kernel)
{
    return kernel == RN_MASK_VAES ? "vaes" : "evp";
}

static rn_result stream_init(struct stream *stream, enum rn_mask_kernel kernel,
                             const struct rn_secret32 *key, int sign, struct rn_error *err)
{
    static const uint8_t first_block[AES_BLOCK];
    RN_BUG_IF(sign != 1 && sign != -1);
    memset(stream, 0, sizeof *stream);
    stream->sign = sign;
    if (kernel == RN_MASK_VAES) {
        rn_mask_vaes_schedule(key, &stream->schedule);
        return rn_ok();
    }
    stream->cipher = EVP_CIPHER_CTX_new();
    if (stream->cipher == NULL ||
        EVP_EncryptInit_ex(stream->cipher, EVP_aes_256_ctr(), NULL, key->bytes, first_block) != 1) {
        EVP_CIPHER_CTX_free(stream->cipher);
        stream->cipher = NULL;
        return rn_fail(err, RN_E_SYSTEM, "OpenSSL cannot set up AES-256-CTR");
    }
    return rn_ok();
}

static void stream_clear(struct stream *stream)
{
    EVP_CIPHER_CTX_free(stream->cipher); /* wipes the key schedule; NULL is fine */
    rn_secret_wipe(stream, sizeof *stream);
}

static bool stream_seek(struct stream *stream, uint64_t block)
{
    if (stream->next_block == block) {
        return true;
    }
    uint8_t iv[AES_BLOCK] = {0};
    for (unsigned k = 0; k < 8; k++) {
        iv[AES_BLOCK - 1 - k] = (uint8_t)(block >> (8 * k));
    }
    stream->next_block = block;
    return EVP_EncryptInit_ex(stream->cipher, NULL, NULL, NULL, iv) == 1;
}

/* Whole blocks that hold stream bytes [start, start + length), through OpenSSL; *out_skip is where
 * start lies. */
static rn_result stream_expand(struct stream *stream, uint64_t start, size_t length,
                               union piece *out, size_t *out_skip, struct rn_error *err)
{
    const size_t skip = (size_t)(start % AES_BLOCK);
    const size_t blocks = (skip + length + AES_BLOCK - 1) / AES_BLOCK;
    int written = 0;
    RN_ENSURE(stream_seek(stream, start / AES_BLOCK) &&
                  EVP_EncryptUpdate(stream->cipher, out->bytes, &written, zeros,
                                    (int)(blocks * AES_BLOCK)) == 1 &&
                  (size_t)written == blocks * AES_BLOCK,
              err, RN_E_SYSTEM, "OpenSSL failed while making a mask");
    stream->next_block += blocks;
    *out_skip = skip;
    return rn_ok();
}

/* Two identical bodies per lane width rather than a sign multiplied in: the loops stay one load,
 * one add, one store. The inner loops have a fixed count so that they become vector code. */
static void apply_u32(uint32_t *restrict lanes, const uint32_t *restrict mask, size_t count,
                      int sign)
{
    size_t k = 0;
    if (sign > 0) {
        for (; k + UNROLL <= count; k += UNROLL) {
            for (size_t i = 0; i < UNROLL; i++) {
                lanes[k + i] += le32toh(mask[k + i]);
            }
        }
        for (; k < count; k++) {
            lanes[k] += le32toh(mask[k]);
        }
        return;
    }
    for (; k + UNROLL <= count; k += UNROLL) {
        for (size_t i = 0; i < UNROLL; i++) {
            lanes[k + i] -= le32toh(mask[k + i]);
        }
    }
    for (; k < count; k++) {
        lanes[k] -= le32toh(mask[k]);
    }
}

static void apply_u64(uint64_t *restrict lanes, const uint64_t *restrict mask, size_t count,
                      int sign)
{
    size_t k = 0;
    if (sign > 0) {
        for (; k + UNROLL <= count; k += UNROLL) {
            for (size_t i = 0; i < UNROLL; i++) {
                lanes[k + i] += le64toh(mask[k + i]);
            }
        }
        for (; k < count; k++) {
            lanes[k] += le64toh(mask[k]);
        }
        return;
    }
    for (; k + UNROLL <= count; k += UNROLL) {
        for (size_t i = 0; i < UNROLL; i++) {
            lanes[k + i] -= le64toh(mask[k + i]);
        }
    }
    for (; k < count; k++) {
        lanes[k] -= le64toh(mask[k]);
    }
}

struct lanes {
    void *at;
    unsigned width; /* bytes of a lane: 4 or 8 */
};

static struct lanes lanes_from(struct lanes lanes, size_t lane)
{
    return (struct lanes){(uint8_t *)lanes.at + lane * lanes.width, lanes.width};
}

/* mask bytes from skip on, a multiple of the lane's width, to count lanes. */
static void apply(struct lanes lanes, const union piece *mask, size_t skip, size_t count, int sign)
{
    if (lanes.width == 4) {
        apply_u32(lanes.at, mask->u32 + skip / 4, count, sign);
    } else {
        apply_u64(lanes.at, mask->u64 + skip / 8, count, sign);
    }
}

/* Lanes whose stream begins at byte `start`, fewer than fill a group. */
static void fused_ragged(const struct stream *stream, struct lanes lanes, uint64_t start,
                         size_t count, union piece *piece)
{
    if (count > 0) {
        rn_mask_vaes_expand(&stream->schedule, (uint32_t)(start / AES_BLOCK), piece->bytes);
        apply(lanes, piece, (size_t)(start % AES_BLOCK), count, stream->sign);
    }
}

/* What lies before the first whole block, whole groups, and the rest. */
static void fused(const struct stream *stream, struct lanes lanes, uint64_t start, size_t count,
                  union piece *piece)
{
    const size_t into = (size_t)(start % AES_BLOCK);
    const size_t to_block = into == 0 ? 0 : (AES_BLOCK - into) / lanes.width;
    const size_t head = count < to_block ? count : to_block;
    const size_t groups = (count - head) * lanes.width / RN_MASK_GROUP_BYTES;
    const size_t done = head + groups * (RN_MASK_GROUP_BYTES / lanes.width);
    const uint64_t whole = start + head * lanes.width;
    fused_ragged(stream, lanes, start, head, piece);
    rn_mask_vaes_add(&stream->schedule, (uint32_t)(whole / AES_BLOCK), lanes_from(lanes, head).at,
                     groups, lanes.width, stream->sign);
    fused_ragged(stream, lanes_from(lanes, done), start + done * lanes.width, count - done, piece);
}

static rn_result mask_piece(struct stream *stream, struct lanes lanes, uint64_t start, size_t count,
                            union piece *piece, struct rn_error *err)
{
    if (stream->cipher == NULL) {
        fused(stream, lanes, start, count, piece);
        return rn_ok();
    }
    size_t skip = 0;
    RN_TRY(stream_expand(stream, start, count * lanes.width, piece, &skip, err));
    apply(lanes, piece, skip, count, stream->sign);
    return rn_ok();
}

static rn_result mask_all(struct stream *streams, size_t streams_count, struct lanes lanes,
                          uint64_t first, size_t count, struct rn_error *err)
{
    _Alignas(64) union piece piece;
    const size_t at_once = PIECE / lanes.width;
    rn_result result = rn_ok();
    for (size_t at = 0; at < count && rn_is_ok(result);) {
        /* Ends on a piece boundary of the stream, so that every later piece begins a block. */
        const size_t to_boundary = at_once - (size_t)((first + at) % at_once);
        const size_t now = count - at < to_boundary ? count - at : to_boundary;
        for (size_t s = 0; s < streams_count && rn_is_ok(result); s++) {
            result = mask_piece(&streams[s], lanes_from(lanes, at), (first + at) * lanes.width, now,
                                &piece, err);
        }
        at += now;
    }
    rn_secret_wipe(&piece, sizeof(piece));
    return result;
}

static rn_result mask_one(struct lanes lanes, uint64_t first, size_t count,
                          const struct rn_secret32 *key, int sign, struct rn_error *err)
{
    RN_CLEANUP(stream_clear) struct stream stream;
    RN_TRY(stream_init(&stream, rn_mask_kernel_best(), key, sign, err));
    return mask_all(&stream, 1, lanes, first, count, err);
}

static void check_range(uint64_t first, size_t count, uint64_t max)
{
    RN_BUG_IF(first > max || count > max - first);
}

rn_result rn_mask_add_u32(uint32_t *lanes, uint64_t first, size_t count,
                          const struct rn_secret32 *key, int sign, struct rn_error *err)
{
    check_range(first, count, RN_MASK_ELEMENTS_MAX_U32);
    return mask_one((struct lanes){lanes, 4}, first, count, key, sign, err);
}

rn_result rn_mask_add_u64(uint64_t *lanes, uint64_t first, size_t count,
                          const struct rn_secret32 *key, int sign, struct rn_error *err)
{
    check_range(first, count, RN_MASK_ELEMENTS_MAX_U64);
    return mask_one((struct lanes){lanes, 8}, first, count, key, sign, err);
}

struct rn_mask_set *rn_mask_set_new_on(enum rn_mask_kernel kernel, size_t capacity)
{
    RN_BUG_IF(capacity > RN_MASK_SET_MAX || !rn_mask_kernel_here(kernel));
    struct rn_mask_set *set = rn_alloc(1, sizeof(*set));
    set->kernel = kernel;
    set->capacity = capacity;
    set->streams = rn_alloc(capacity, sizeof(*set->streams));
    return set;
}

struct rn_mask_set *rn_mask_set_new(size_t capacity)
{
    return rn_mask_set_new_on(rn_mask_kernel_best(), capacity);
}

rn_result rn_mask_set_copy(const struct rn_mask_set *from, struct rn_mask_set **out,
                           struct rn_error *err)
{
    RN_CLEANUP(rn_mask_set_free_cleanup)
    struct rn_mask_set *set = rn_mask_set_new_on(from->kernel, from->count);
    for (; set->count < from->count; set->count++) {
        struct stream *stream = &set->streams[set->count];
        const struct stream *source = &from->streams[set->count];
        *stream = *source;
        if (source->cipher != NULL) {
            stream->cipher = EVP_CIPHER_CTX_new();
            const bool copied =
                stream->cipher != NULL && EVP_CIPHER_CTX_copy(stream->cipher, source->cipher) == 1;
            if (!copied) {
                stream_clear(stream);
                return rn_fail(err, RN_E_SYSTEM, "OpenSSL cannot copy a cipher");
            }
        }
    }
    *out = RN_TAKE(set);
    return rn_ok();
}

void rn_mask_set_free(struct rn_mask_set *set)
{
    if (set == NULL) {
        return;
    }
    for (size_t s = 0; s < set->count; s++) {
        stream_clear(&set->streams[s]);
    }
    rn_free(set->streams);
    rn_free(set);
}

void rn_mask_set_free_cleanup(struct rn_mask_set **set)
{
    rn_mask_set_free(*set);
    *set = NULL;
}

rn_result rn_mask_set_insert(struct rn_mask_set *set, const struct rn_secret32 *key, int sign,
                             struct rn_error *err)
{
    RN_BUG_IF(set->count >= set->capacity);
    RN_TRY(stream_init(&set->streams[set->count], set->kernel, key, sign, err));
    set->count++;
    return rn_ok();
}

size_t rn_mask_set_count(const struct rn_mask_set *set)
{
    return set->count;
}

rn_result rn_mask_set_add_u32(struct rn_mask_set *set, uint32_t *lanes, uint64_t first,
                              size_t count, struct rn_error *err)
{
    check_range(first, count, RN_MASK_ELEMENTS_MAX_U32);
    return mask_all(set->streams, set->count, (struct lanes){lanes, 4}, first, count, err);
}

rn_result rn_mask_set_add_u64(struct rn_mask_set *set, uint64_t *lanes, uint64_t first,
                              size_t count, struct rn_error *err)
{
    check_range(first, count, RN_MASK_ELEMENTS_MAX_U64);
    return mask_all(set->streams, set->count, (struct lanes){lanes, 8}, first, count, err);
}

rn_result rn_mask_yardstick(uint8_t *buffer, size_t size, uint64_t calls, struct rn_error *err)
{
    static const struct rn_secret32 key = {{0}};
    RN_CLEANUP(stream_clear) struct stream stream;
    RN_BUG_IF(size > RN_MASK_YARDSTICK_BYTES);
    RN_TRY(stream_init(&stream, RN_MASK_EVP, &key, 1, err));
    for (uint64_t call = 0; call < calls; call++) {
        int written = 0;
        RN_ENSURE(EVP_EncryptUpdate(stream.cipher, buffer, &written, buffer, (int)size) == 1, err,
                  RN_E_SYSTEM, "OpenSSL failed while encrypting");
    }
    return rn_ok();
}
