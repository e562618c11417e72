/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/modelhash.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"
#include "crypto/sha256.h"
#include "trainer/trainer.h"

static rn_result hash_file(struct rn_sha256 *state, const char *directory, const char *name,
                           struct rn_error *err)
{
    char path[RN_PATH_MAX];
    uint8_t file_hash[RN_HASH_BYTES];
    RN_TRY(rn_path_join(path, directory, name, err));
    RN_TRY(rn_sha256_file(path, file_hash, err));
    uint8_t head[4];
    struct rn_writer writer = rn_writer_to(head, sizeof(head));
    rn_write_u32(&writer, (uint32_t)strlen(name));
    rn_sha256_update(state, head, writer.position);
    rn_sha256_update(state, name, strlen(name));
    rn_sha256_update(state, file_hash, sizeof(file_hash));
    return rn_ok();
}

rn_result rn_model_hash(const char *model_dir, uint8_t out_hash[static 32], struct rn_error *err)
{
    char **names = NULL;
    size_t count = 0;
    RN_TRY(rn_model_files_list(model_dir, &names, &count, err));
    struct rn_sha256 state;
    rn_sha256_init(&state, "rondo/v1 base model");
    rn_result result = rn_ok();
    for (size_t i = 0; i < count; i++) {
        if (rn_is_ok(result)) {
            result = hash_file(&state, model_dir, names[i], err);
        }
        rn_free(names[i]);
    }
    rn_free(names);
    if (rn_is_ok(result)) {
        rn_sha256_final(&state, out_hash);
    }
    rn_sha256_clear(&state);
    return result;
}
