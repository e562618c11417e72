/* SPDX-License-Identifier: Apache-2.0
 *
 * The privacy ledger's parser and rules. The input as it is; then each line of it as a record that
 * the owner of the key seals, so that lies get beyond the signature: whatever is taken, it is what
 * would be written, and the filter's sum stays within its bound.
 */
#include "base/guard.h"
#include "policy/ledger/privacychain.h"
#include "policy/ledger/privacyledger.h"

#include <string.h>

enum { RECORDS_MAX = 64 }; /* each is signed and verified */

static const struct rn_identity *owner(void)
{
    static struct rn_identity *identity;
    if (identity == NULL) {
        struct rn_secret32 seed = {{0}};
        memset(seed.bytes, 3, sizeof seed.bytes);
        identity = rn_identity_from_seed(&seed);
    }
    return identity;
}

static void raw(struct rn_view input)
{
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *ledger = rn_privacy_ledger_new();
    struct rn_error err = {{0}};
    size_t taken = 0;
    const rn_result result =
        rn_privacy_ledger_replay(ledger, input, RN_PRIVACY_SIGNATURES_EACH, &taken, &err);
    RN_BUG_IF(taken > input.length || (!rn_is_ok(result) && err.text[0] == '\0'));
}

/* Text in front of a seal, if there is one. */
static struct rn_view text_of(struct rn_view line)
{
    struct rn_privacy_line split;
    return rn_privacy_line_split(line, &split) ? split.text : line;
}

static bool sealed(struct rn_privacy_ledger *ledger, struct rn_view text)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    struct rn_error err = {{0}};
    size_t taken = 0;
    rn_privacy_line_write(ledger->chain, text, owner(), &line);
    const rn_result result = rn_privacy_ledger_replay(ledger, rn_buffer_view(&line),
                                                      RN_PRIVACY_SIGNATURES_EACH, &taken, &err);
    RN_BUG_IF(!rn_is_ok(result) && err.text[0] == '\0');
    if (!rn_is_ok(result)) {
        return false;
    }
    RN_BUG_IF(rn_privacy_ledger_filter(ledger, true) > ledger->terms.bound * (1 + 1e-6));
    RN_BUG_IF(ledger->counter > ledger->lines || ledger->plan_count > ledger->lines);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *ledger = rn_privacy_ledger_new();
    raw(rn_view_of(data, size));
    for (int i = 0; i < RECORDS_MAX && size > 0; i++) {
        const uint8_t *end = memchr(data, '\n', size);
        const size_t length = end != NULL ? (size_t)(end - data) : size;
        if (!sealed(ledger, text_of(rn_view_of(data, length)))) {
            break;
        }
        size -= end != NULL ? length + 1 : length;
        data = end != NULL ? end + 1 : data + length;
    }
    return 0;
}
