/* SPDX-License-Identifier: Apache-2.0
 *
 * Token ids of a data file, facts of model and adapter directories.
 */
#include "trainer/trainertext.h"

#include "base/guard.h"
#include "trainer/recordfile.h"
#include "trainer/tokenizer.h"

rn_result rn_text_tokenize(const char *model_dir, const struct rn_data_spec *spec,
                           uint32_t max_length, rn_ids_fn each, void *context, struct rn_error *err)
{
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    RN_CLEANUP(rn_encoding_clear) struct rn_encoding encoding = {0};
    struct rn_record record;

    RN_TRY(rn_tokenizer_open(model_dir, &tokenizer, err));
    RN_TRY(rn_records_open(spec, &records, err));
    for (size_t index = 0;; index++) {
        bool any = false;
        RN_TRY(rn_records_next(records, &record, &any, err));
        if (!any) {
            RN_ENSURE(index > 0, err, RN_E_DATA, "%s: the file holds no record", spec->path);
            return rn_ok();
        }
        const rn_result encoded = rn_tokenizer_encode(
            tokenizer, record.text, spec->pair_column == NULL ? NULL : &record.pair, max_length,
            &encoding, err);
        if (!rn_is_ok(encoded)) {
            return rn_fail_context(err, encoded, "%s:%llu", spec->path,
                                   (unsigned long long)record.line);
        }
        RN_TRY(each(context, index, encoding.ids, encoding.length, err));
    }
}
