/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of an enrolment: whatever the parser accepts is written back byte for byte.
 */
#include "base/guard.h"
#include "policy/bundle.h"

#include <string.h>

static const char *const names[] = {"federation", "member", "+tls.crt", "+plan.yaml", "proof"};
#define ITEMS RN_ARRAY_LENGTH(names)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rn_bundle bundle;
    struct rn_error err = {{0}};
    const struct rn_view in = rn_view_of(data, size);
    if (!rn_is_ok(rn_bundle_parse(in, "bundle", RN_BUNDLE_REQUEST, names, ITEMS, &bundle, &err))) {
        RN_BUG_IF(err.text[0] == '\0');
        return 0;
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    rn_bundle_begin(&out, RN_BUNDLE_REQUEST);
    for (size_t i = 0; i < ITEMS; i++) {
        if (names[i][0] == '+') {
            rn_bundle_put_file(&out, names[i] + 1, rn_bundle_file(&bundle, i));
        } else {
            rn_bundle_put(&out, names[i], rn_bundle_value(&bundle, i));
        }
    }
    rn_bundle_end(&out);
    RN_BUG_IF(!rn_view_equal(in, rn_buffer_view(&out)));
    return 0;
}
