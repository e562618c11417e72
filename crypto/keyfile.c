/* SPDX-License-Identifier: Apache-2.0
 *
 * Private-key files. The DER of an Ed25519 PKCS#8 key is a constant prefix and the seed, 48 bytes,
 * which are exactly 64 base64 characters: the whole file has one length and one form.
 */
#include "crypto/keyfile.h"

#include "base/file.h"
#include "base/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define PEM_END "\n-----END PRIVATE KEY-----\n"
#define BEGIN_LENGTH (sizeof(PEM_BEGIN) - 1)
#define END_LENGTH (sizeof(PEM_END) - 1)
#define BASE64_LENGTH 64
#define FILE_LENGTH (BEGIN_LENGTH + BASE64_LENGTH + END_LENGTH)

/* SEQUENCE { INTEGER 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING { seed } } } */
static const uint8_t der_prefix[16] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                       0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

/* The working memory of one read or write; secret. */
struct keyfile {
    uint8_t der[sizeof(der_prefix) + RN_SECRET_BYTES];
    char text[FILE_LENGTH + 1]; /* one more, to notice a longer file */
};
_Static_assert(sizeof(((struct keyfile *)0)->der) * 4 == BASE64_LENGTH * 3, "no base64 padding");

static void close_cleanup(const int *descriptor)
{
    if (*descriptor >= 0) {
        (void)close(*descriptor);
    }
}

static rn_result read_text(const char *path, struct keyfile *file, size_t *out_length,
                           struct rn_error *err)
{
    RN_CLEANUP(close_cleanup) const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    RN_ENSURE(descriptor >= 0, err, RN_E_NO_INPUT, "%s: %s", path, strerror(errno));
    struct stat facts;
    RN_ENSURE(fstat(descriptor, &facts) == 0, err, RN_E_NO_INPUT, "%s: %s", path, strerror(errno));
    RN_ENSURE(S_ISREG(facts.st_mode), err, RN_E_IDENTITY, "%s: is not a plain file", path);
    RN_ENSURE((facts.st_mode & 077) == 0, err, RN_E_PERMISSION,
              "%s: others can reach this private key (mode %03o); run: chmod 600 %s", path,
              (unsigned)(facts.st_mode & 0777), path);
    size_t length = 0;
    while (length < sizeof(file->text)) {
        const ssize_t got = read(descriptor, file->text + length, sizeof(file->text) - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        RN_ENSURE(got >= 0, err, RN_E_IO, "%s: cannot read: %s", path, strerror(errno));
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    *out_length = length;
    return rn_ok();
}

/* False unless the text is exactly what encode makes. */
static bool decode(struct keyfile *file, size_t length)
{
    size_t decoded = 0;
    return length == FILE_LENGTH && memcmp(file->text, PEM_BEGIN, BEGIN_LENGTH) == 0 &&
           memcmp(file->text + BEGIN_LENGTH + BASE64_LENGTH, PEM_END, END_LENGTH) == 0 &&
           sodium_base642bin(file->der, sizeof(file->der), file->text + BEGIN_LENGTH, BASE64_LENGTH,
                             NULL, &decoded, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           decoded == sizeof(file->der) && memcmp(file->der, der_prefix, sizeof(der_prefix)) == 0;
}

static void encode(struct keyfile *file, const struct rn_secret32 *seed)
{
    memcpy(file->der, der_prefix, sizeof(der_prefix));
    memcpy(file->der + sizeof(der_prefix), seed->bytes, sizeof(seed->bytes));
    memcpy(file->text, PEM_BEGIN, BEGIN_LENGTH);
    (void)sodium_bin2base64(file->text + BEGIN_LENGTH, BASE64_LENGTH + 1, file->der,
                            sizeof(file->der), sodium_base64_VARIANT_ORIGINAL);
    memcpy(file->text + BEGIN_LENGTH + BASE64_LENGTH, PEM_END, END_LENGTH);
}

rn_result rn_keyfile_read(const char *path, struct rn_secret32 *out_seed, struct rn_error *err)
{
    RN_CLEANUP(rn_secret_free_cleanup) struct keyfile *file = rn_secret_alloc(sizeof(*file));
    size_t length = 0;
    RN_TRY(read_text(path, file, &length, err));
    RN_ENSURE(decode(file, length), err, RN_E_IDENTITY,
              "%s: not an Ed25519 private key as Rondo writes it (PKCS#8 PEM)", path);
    memcpy(out_seed->bytes, file->der + sizeof(der_prefix), sizeof(out_seed->bytes));
    return rn_ok();
}

rn_result rn_keyfile_write(const char *path, const struct rn_secret32 *seed, struct rn_error *err)
{
    RN_CLEANUP(rn_secret_free_cleanup) struct keyfile *file = rn_secret_alloc(sizeof(*file));
    encode(file, seed);
    return rn_file_write(path, rn_view_of(file->text, FILE_LENGTH), 0600, err);
}
