/* SPDX-License-Identifier: Apache-2.0
 *
 * Process-wide preparation: libraries, locked memory, no dumps.
 */
#include "crypto/setup.h"

#include "base/guard.h"
#include "crypto/random.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* One session's secrets and the long-term key, with their page rounding. */
#define LOCKED_BYTES_NEEDED ((size_t)64 << 10)

/* Leak checkers attach to their own process, so they need it to stay dumpable. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static rn_result forbid_dumps(struct rn_error *err)
{
    const struct rlimit none = {0, 0};
    RN_ENSURE(setrlimit(RLIMIT_CORE, &none) == 0, err, RN_E_SYSTEM, "cannot forbid core dumps: %s",
              strerror(errno));
    if (!SANITIZED) {
        RN_ENSURE(prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) == 0, err, RN_E_SYSTEM,
                  "cannot make the process undumpable: %s", strerror(errno));
    }
    return rn_ok();
}

static rn_result prove_locking(struct rn_error *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &limit); /* the proof below decides */
    }
    void *memory =
        mmap(NULL, LOCKED_BYTES_NEEDED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    RN_ENSURE(memory != MAP_FAILED, err, RN_E_SYSTEM, "cannot map memory: %s", strerror(errno));
    const bool locked = mlock(memory, LOCKED_BYTES_NEEDED) == 0;
    const int reason = errno;
    (void)munmap(memory, LOCKED_BYTES_NEEDED);
    RN_ENSURE(locked, err, RN_E_SYSTEM,
              "cannot lock %zu KiB of memory for keys: %s; raise the locked-memory limit "
              "(ulimit -l, LimitMEMLOCK=)",
              LOCKED_BYTES_NEEDED >> 10, strerror(reason));
    return rn_ok();
}

static rn_result prove_openssl(struct rn_error *err)
{
    EVP_MD *digest = EVP_MD_fetch(NULL, "SHA256", NULL);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    const bool both = digest != NULL && cipher != NULL;
    EVP_MD_free(digest);
    EVP_CIPHER_free(cipher);
    RN_ENSURE(both, err, RN_E_SYSTEM,
              "OpenSSL offers no SHA-256 or no AES-256-CTR; check its "
              "provider configuration (openssl list -providers)");
    return rn_ok();
}

rn_result rn_crypto_setup(struct rn_error *err)
{
    RN_ENSURE(sodium_init() >= 0, err, RN_E_SYSTEM, "libsodium cannot be initialised");
    RN_TRY(forbid_dumps(err));
    RN_TRY(prove_locking(err));
    RN_TRY(prove_openssl(err));
    uint8_t probe[16];
    return rn_random_bytes(probe, sizeof(probe), err);
}

const char *rn_crypto_sodium_version(void)
{
    return sodium_version_string();
}
