/* SPDX-License-Identifier: Apache-2.0
 *
 * The normalizer of tokenizer.json: steps that change a text before it is cut into words.
 */
#ifndef RN_TRAINER_NORMALIZER_H
#define RN_TRAINER_NORMALIZER_H

#include "base/bytes.h"
#include "trainer/text/charsmap.h"
#include "trainer/text/textpattern.h"
#include "trainer/text/unicodetext.h"

#include <jansson.h>

#define RN_NORMAL_STEPS_MAX 16
#define RN_NORMAL_REPLACE_BYTES_MAX 1024 /* content of Replace, text of Prepend */

enum rn_normalizer_kind {
    RN_NORMALIZER_UNICODE,
    RN_NORMALIZER_REPLACE,
    RN_NORMALIZER_STRIP,
    RN_NORMALIZER_PREPEND,
    RN_NORMALIZER_CHARSMAP, /* Precompiled */
};

struct rn_normalizer_step {
    enum rn_normalizer_kind kind;
    enum rn_normal_step unicode;
    struct rn_pattern pattern;   /* of REPLACE */
    char *content;               /* of REPLACE, PREPEND */
    struct rn_charsmap charsmap; /* of CHARSMAP */
    bool left, right;            /* of STRIP: white space at these ends */
};

struct rn_normalizer {
    struct rn_normalizer_step steps[RN_NORMAL_STEPS_MAX];
    size_t count;
};

/* value may be NULL or null: no step. Clear it in any case. */
RN_MUST rn_result rn_normalizer_read(const json_t *value, const char *name,
                                     struct rn_normalizer *out, struct rn_error *err);
void rn_normalizer_clear(struct rn_normalizer *normalizer);

/* Runs the steps over text; *out_text is in one of the two buffers, or text itself. */
RN_MUST rn_result rn_normalizer_run(const struct rn_normalizer *normalizer, struct rn_view text,
                                    struct rn_buffer buffers[static 2], struct rn_view *out_text,
                                    struct rn_error *err);

#endif
