/* SPDX-License-Identifier: Apache-2.0
 *
 * Data files written down as texts, and what is read of them.
 */
#ifndef RN_TESTS_UNIT_TRAINER_RECORDCASES_H
#define RN_TESTS_UNIT_TRAINER_RECORDCASES_H

#include "tests/unit/base/textfixture.h"

#include "trainer/data/recordfile.h"

/* All records as "text|pair|label@line;" into out. */
static inline rn_result read_all(const struct rn_data_spec *spec, struct rn_buffer *out,
                                 struct rn_error *err)
{
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    struct rn_record record;

    RN_TRY(rn_records_open(spec, &records, err));
    for (bool any = true;;) {
        RN_TRY(rn_records_next(records, &record, &any, err));
        if (!any) {
            return rn_ok();
        }
        rn_buffer_append(out, record.text.data, record.text.length);
        rn_buffer_u8(out, '|');
        rn_buffer_append(out, record.pair.data, record.pair.length);
        rn_buffer_u8(out, '|');
        rn_buffer_append(out, record.label.data, record.label.length);
        rn_buffer_format(out, "@%llu;", (unsigned long long)record.line);
    }
}

static inline void reads(const char *name, const char *content, struct rn_data_spec spec,
                         const char *expected)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
    struct rn_error err = {{0}};

    spec.path = fixture_text(name, content);
    assert_ok(read_all(&spec, &got, &err), &err);
    assert_string_equal(rn_buffer_text(&got), expected);
}

static inline void fails(const char *name, const char *content, struct rn_data_spec spec,
                         enum rn_code code, const char *part)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
    struct rn_error err = {{0}};

    spec.path = fixture_text(name, content);
    assert_failure(read_all(&spec, &got, &err), code, &err, part);
    assert_null(strstr(err.text, "SECRET")); /* a record's text never stands in an error */
}

#define TEXT_LABEL ((struct rn_data_spec){.text_column = "t", .label_column = "l"})
#define PAIR ((struct rn_data_spec){.text_column = "t", .pair_column = "p"})

#endif
