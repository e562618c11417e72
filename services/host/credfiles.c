/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/credfiles.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/guard.h"
#include "crypto/secret.h"

static const char *const names[RN_CREDFILES] = {"tls.key", "tls.crt", "ca.crt"};
enum { KEY, CHAIN, AUTHORITY };

/* --- PEM blocks ------------------------------------------------------------------------------- */

static const uint8_t *find(const uint8_t *from, const uint8_t *end, const char *text)
{
    return memmem(from, (size_t)(end - from), text, strlen(text));
}

/* Does the line that starts a block, "-----BEGIN <label>-----", end with this kind of label? */
static bool begins_kind(const uint8_t *begin, const uint8_t *end, const char *kind)
{
    const uint8_t *label = begin + strlen("-----BEGIN ");
    const uint8_t *dashes = find(label, end, "-----");
    const size_t length = strlen(kind);
    return dashes != NULL && (size_t)(dashes - label) >= length &&
           memcmp(dashes - length, kind, length) == 0;
}

/* Copies the blocks whose label ends with kind: "CERTIFICATE", "PRIVATE KEY". */
static void copy_blocks(struct rn_view pem, const char *kind, struct rn_buffer *out)
{
    const uint8_t *end = pem.data + pem.length;
    const uint8_t *begin = pem.length > 0 ? find(pem.data, end, "-----BEGIN ") : NULL;
    while (begin != NULL) {
        const uint8_t *last = find(begin, end, "-----END ");
        const uint8_t *line = last != NULL ? memchr(last, '\n', (size_t)(end - last)) : NULL;
        const uint8_t *after = line != NULL ? line + 1 : end;
        if (begins_kind(begin, after, kind)) {
            rn_buffer_append(out, begin, (size_t)(after - begin));
        }
        begin = find(after, end, "-----BEGIN ");
    }
}

/* --- files ------------------------------------------------------------------------------------ */

static rn_result path_of(const char *directory, unsigned which, char out[static RN_PATH_MAX],
                         struct rn_error *err)
{
    return rn_path_join(out, directory, names[which], err);
}

static void wipe(struct rn_buffer *buffer)
{
    if (buffer->data != NULL) {
        rn_secret_wipe(buffer->data, buffer->length);
    }
    rn_buffer_clear(buffer);
}

static rn_result read_all(const char *directory, struct rn_credfiles *out, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(wipe) struct rn_buffer chain = {0};
    RN_TRY(path_of(directory, AUTHORITY, path, err));
    RN_TRY(rn_file_read(path, RN_RPC_PEM_MAX, &out->ca_pem, err));
    RN_TRY(path_of(directory, CHAIN, path, err));
    RN_TRY(rn_file_read(path, RN_RPC_PEM_MAX, &chain, err));
    copy_blocks(rn_buffer_view(&chain), "CERTIFICATE", &out->chain_pem);
    RN_TRY(path_of(directory, KEY, path, err));
    if (rn_file_exists(path)) {
        return rn_file_read(path, RN_RPC_PEM_MAX, &out->key_pem, err);
    }
    /* Room for all from the start: growing later would leave a copy behind. */
    (void)rn_buffer_grow(&out->key_pem, chain.length);
    out->key_pem.length = 0;
    copy_blocks(rn_buffer_view(&chain), "PRIVATE KEY", &out->key_pem);
    RN_ENSURE(out->key_pem.length > 0, err, RN_E_NO_INPUT,
              "%s is missing, and %s beside it holds no private key", path, names[CHAIN]);
    return rn_ok();
}

rn_result rn_credfiles_read(const char *directory, struct rn_credfiles *out, struct rn_error *err)
{
    memset(out, 0, sizeof(*out));
    const rn_result result = read_all(directory, out, err);
    if (!rn_is_ok(result)) {
        rn_credfiles_clear(out);
    }
    return result;
}

void rn_credfiles_clear(struct rn_credfiles *files)
{
    wipe(&files->key_pem);
    rn_buffer_clear(&files->chain_pem);
    rn_buffer_clear(&files->ca_pem);
}

struct rn_rpc_material rn_credfiles_material(const struct rn_credfiles *files)
{
    return (struct rn_rpc_material){.key_pem = rn_buffer_view(&files->key_pem),
                                    .chain_pem = rn_buffer_view(&files->chain_pem),
                                    .ca_pem = rn_buffer_view(&files->ca_pem)};
}

/* --- stamps ----------------------------------------------------------------------------------- */

void rn_credfiles_stamp(const char *directory, struct rn_credfiles_stamp *out)
{
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < RN_CREDFILES; i++) {
        char path[RN_PATH_MAX];
        struct stat info;
        if (!rn_is_ok(path_of(directory, i, path, NULL)) || stat(path, &info) != 0) {
            continue;
        }
        out->files[i].device = (uint64_t)info.st_dev;
        out->files[i].inode = (uint64_t)info.st_ino;
        out->files[i].bytes = (uint64_t)info.st_size;
        out->files[i].modified_s = (int64_t)info.st_mtim.tv_sec;
        out->files[i].modified_ns = (int64_t)info.st_mtim.tv_nsec;
    }
}

bool rn_credfiles_stamp_equal(const struct rn_credfiles_stamp *a,
                              const struct rn_credfiles_stamp *b)
{
    return memcmp(a, b, sizeof(*a)) == 0; /* no padding, and zeroed first */
}
