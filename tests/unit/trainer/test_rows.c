/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of numbers: their text, ranges of columns, IDX files, and everything that is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/unit/base/textfixture.h"
#include "trainer/data/dataset.h"
#include "trainer/data/idxfile.h"

static const struct rn_row_scale plain = {1.0, 0.0, 1.0};

static void must(rn_result result, const struct rn_error *err)
{
    if (!rn_is_ok(result)) {
        fail_msg("%s", err->text);
    }
}

/* ---- The text of a row ---- */

static void numbers_between_commas_and_blanks(void **state)
{
    (void)state;
    static const char *const same[] = {"1,-2.5,3e2", " 1 ,\t-2.5 , 3e2 ", "1 -2.5\t300"};
    static const float wanted[] = {1.0f, -2.5f, 300.0f};
    struct rn_error err;
    float row[3];
    for (size_t i = 0; i < RN_ARRAY_LENGTH(same); i++) {
        must(rn_row_parse(rn_view_text(same[i]), &plain, 3, row, &err), &err);
        assert_memory_equal(row, wanted, sizeof(wanted));
    }
    const struct rn_row_scale scale = {255.0, 0.5, 0.25};
    must(rn_row_parse(rn_view_text("0,255,9999999,12345678"), &scale, 4, (float[4]){0}, &err),
         &err);
    must(rn_row_parse(rn_view_text("0,255,51"), &scale, 3, row, &err), &err);
    assert_true(row[0] == -2.0f && row[1] == 2.0f && row[2] == (float)((0.2 - 0.5) / 0.25));
}

static void what_is_no_row(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"", "has 0 numbers, the model reads 3"},
        {"1,2", "has 2 numbers"},
        {"1,2,3,4", "more than the 3 numbers"},
        {"1,2,3,", "more than the 3 numbers"},
        {"1,2,3, ", "more than the 3 numbers"},
        {"1,,3", "number 2 of the row is no finite number"},
        {",2,3", "number 1 "},
        {"1,secret,3", "number 2 "},
        {"1,2,nan", "number 3 "},
        {"1,inf,3", "number 2 "},
        {"1,1e999,3", "number 2 "},
        {"1,1e39,3", "number 2 of the row is too large"},
    };
    float row[3];
    struct rn_error err;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
        assert_failure(rn_row_parse(rn_view_text(bad[i].text), &plain, 3, row, &err), RN_E_DATA,
                       &err, bad[i].part);
        assert_null(strstr(err.text, "secret"));
    }
    char digits[RN_ROW_NUMBER_BYTES_MAX + 2];
    memset(digits, '0', sizeof(digits));
    must(rn_row_parse(rn_view_of(digits, RN_ROW_NUMBER_BYTES_MAX), &plain, 1, row, &err), &err);
    assert_failure(
        rn_row_parse(rn_view_of(digits, RN_ROW_NUMBER_BYTES_MAX + 1), &plain, 1, row, &err),
        RN_E_DATA, &err, "number 1 ");
    assert_failure(rn_row_parse(rn_view_of("1\0", 2), &plain, 1, row, &err), RN_E_DATA, &err,
                   "number 1 ");
}

/* ---- Files with columns ---- */

static rn_result load(const char *path, const char *columns, bool no_header, uint32_t width,
                      struct rn_dataset **out, struct rn_error *err)
{
    const struct rn_data_spec spec = {.path = path,
                                      .text_column = columns,
                                      .label_column = no_header ? "1" : "y",
                                      .no_header = no_header};
    const struct rn_label_spec labels = {.count = 3};
    return rn_dataset_load_rows(&plain, width, &spec, &labels, out, err);
}

static void assert_rows(const char *path, const char *columns, bool no_header, const float *wanted,
                        uint32_t width, size_t count)
{
    struct rn_error err;
    struct rn_dataset *set = NULL;
    must(load(path, columns, no_header, width, &set, &err), &err);
    assert_int_equal(rn_dataset_count(set), count);
    assert_int_equal(rn_dataset_range(set).width, width);
    for (size_t i = 0; i < count; i++) {
        const struct rn_example example = rn_dataset_at(set, i);
        assert_memory_equal(example.row, wanted + i * width, width * sizeof(float));
        assert_int_equal(example.label, 2 - (int)i);
        assert_int_equal(example.length, 1);
        assert_null(example.ids);
    }
    rn_dataset_free(set);
}

static void ranges_of_columns(void **state)
{
    (void)state;
    static const char text[] = "a,y,b,c\n1,2,3,4\n5,1,6,7\n";
    static const float all[] = {1, 3, 4, 5, 6, 7};
    static const float last[] = {3, 4, 6, 7};
    const char *path = fixture_text("rows.csv", text);
    assert_rows(path, "*", false, all, 3, 2);
    assert_rows(path, "a:c", false, all, 3, 2);
    assert_rows(path, "b:c", false, last, 2, 2);
    assert_rows(path, "y:c", false, last, 2, 2);
    path = fixture_text("bare.csv", text + strlen("a,y,b,c\n"));
    assert_rows(path, "*", true, all, 3, 2);
    assert_rows(path, "2:3", true, last, 2, 2);
    path = fixture_text("list.jsonl", "{\"a\": \"3, 4\", \"y\": 2}\n{\"a\": \"6 7\", \"y\": 1}\n");
    assert_rows(path, "a", false, last, 2, 2);
    path = fixture_text("colon.csv", "a:c,y\n3 4,2\n6 7,1\n");
    assert_rows(path, "a:c", false, last, 2, 2);
}

static void what_is_no_range(void **state)
{
    (void)state;
    static const struct {
        const char *text, *columns;
        bool bare;
        enum rn_code code;
        const char *part;
    } bad[] = {
        {"a,y,b\n1,2,3\n", "b:a", false, RN_E_USAGE, "wrong order"},
        {"a,y,b\n1,2,3\n", "a:z", false, RN_E_USAGE, "no column \"z\""},
        {"a,y,b\n1,2,3\n", "a:", false, RN_E_USAGE, "no column \"\""},
        {"1,2,3\n", "a:2", true, RN_E_USAGE, "its number from 0, not \"a\""},
        {"1,2,3\n", "0:3", true, RN_E_DATA, "rows.csv:1: 3 columns, so there is no column 3"},
        {"1,2,3\n", "0:1024", true, RN_E_USAGE, "beyond the limit"},
        {"a,y,b\n1,2,3\n1,2,oops\n", "*", false, RN_E_DATA, "rows.csv:3: number 2 of the row"},
        {"a,y,b\n1,2,3\n1,2\n", "*", false, RN_E_DATA, "rows.csv:3: 2 columns"},
        {"1,2,3\n1,2\n", "*", true, RN_E_DATA, "rows.csv:2: the row has 1 numbers"},
        {"a,y,b\n", "*", false, RN_E_DATA, "holds no record"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
        struct rn_error err;
        struct rn_dataset *set = NULL;
        const char *path = fixture_text("rows.csv", bad[i].text);
        assert_failure(load(path, bad[i].columns, bad[i].bare, 2, &set, &err), bad[i].code, &err,
                       bad[i].part);
        assert_null(strstr(err.text, "oops"));
    }
}

/* A model of texts takes no numbers for a text. */
static void rows_are_no_text(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_dataset *set = NULL;
    struct rn_tokenizer *tokenizer = NULL;
    char model[RN_PATH_MAX];
    const bool fits =
        rn_text_format(model, sizeof(model), "%s/tests/parity/golden/bert-24/model", RN_SOURCE_DIR);
    assert_true(fits);
    must(rn_tokenizer_open(model, &tokenizer, &err), &err);
    const struct rn_data_spec spec = {
        .path = fixture_text("rows.csv", "a,y\n1,2\n"), .text_column = "*", .label_column = "y"};
    const struct rn_label_spec labels = {.count = 3};
    assert_failure(rn_dataset_load(tokenizer, &spec, &labels, 16, &set, &err), RN_E_USAGE, &err,
                   "the model reads texts");
    rn_tokenizer_free(tokenizer);
}

/* ---- IDX ---- */

#define IMAGES "t-images-idx3-ubyte"
#define LABELS "t-labels-idx1-ubyte"

/* Two images of 1 x 3. */
static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2,   0,  0,  0,
                                 1, 0, 0, 0, 3, 0, 7, 255, 10, 99, 100};
static const uint8_t labels_of[] = {0, 0, 8, 1, 0, 0, 0, 2, 2, 1};

static const char *write_idx(const void *image, size_t image_bytes, const void *label,
                             size_t label_bytes)
{
    (void)fixture_file(LABELS, rn_view_of(label, label_bytes));
    return fixture_file(IMAGES, rn_view_of(image, image_bytes));
}

static void images_and_labels(void **state)
{
    (void)state;
    static const float wanted[] = {0, 7, 255, 10, 99, 100};
    const char *path = write_idx(images, sizeof(images), labels_of, sizeof(labels_of));
    assert_rows(path, "*", false, wanted, 3, 2);
    char command[2 * RN_PATH_MAX];
    (void)rn_text_format(command, sizeof(command), "cd %s && gzip -f %s %s", fixture_folder, IMAGES,
                         LABELS);
    assert_int_equal(system(command), 0);
    char zipped[RN_PATH_MAX];
    (void)rn_text_format(zipped, sizeof(zipped), "%s/%s.gz", fixture_folder, IMAGES);
    assert_rows(zipped, "*", false, wanted, 3, 2);
}

struct change {
    bool label; /* of the labels' file */
    size_t at;
    uint8_t value;
    const char *part;
};

static void what_is_no_idx_file(void **state)
{
    (void)state;
    static const struct change changes[] = {{false, 0, 1, "no IDX file of bytes"},
                                            {false, 2, 13, "no IDX file of bytes"},
                                            {false, 3, 0, "no IDX file of bytes"},
                                            {false, 3, 5, "no IDX file of bytes"},
                                            {false, 7, 3, "labels of 1 bytes, but there are 3"},
                                            {false, 15, 4, "more than the 3 numbers"},
                                            {false, 15, 0, "a record has 1 to"},
                                            {false, 8, 255, "a record has 1 to"},
                                            {false, 4, 255, "more than"},
                                            {true, 7, 1, "has 1 labels"},
                                            {true, 3, 2, "cut"},
                                            {true, 8, 3, "must hold a class number"}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(changes); i++) {
        uint8_t image[sizeof(images)];
        uint8_t label[sizeof(labels_of)];
        struct rn_error err;
        struct rn_dataset *set = NULL;
        memcpy(image, images, sizeof(images));
        memcpy(label, labels_of, sizeof(labels_of));
        (changes[i].label ? label : image)[changes[i].at] = changes[i].value;
        const char *path = write_idx(image, sizeof(image), label, sizeof(label));
        assert_failure(load(path, "*", false, 3, &set, &err), RN_E_DATA, &err, changes[i].part);
    }
}

/* Cut at every byte; one byte more; no file of labels; names that tell of none. */
static void idx_files_that_are_not_whole(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_dataset *set = NULL;
    for (size_t cut = 0; cut < sizeof(images); cut++) {
        const char *path = write_idx(images, cut, labels_of, sizeof(labels_of));
        assert_failure(load(path, "*", false, 3, &set, &err), RN_E_DATA, &err, "cut");
    }
    for (size_t cut = 0; cut < sizeof(labels_of); cut++) {
        const char *path = write_idx(images, sizeof(images), labels_of, cut);
        assert_failure(load(path, "*", false, 3, &set, &err), RN_E_DATA, &err, "cut");
    }
    uint8_t more[sizeof(images) + 1] = {0};
    memcpy(more, images, sizeof(images));
    const char *path = write_idx(more, sizeof(more), labels_of, sizeof(labels_of));
    assert_failure(load(path, "*", false, 3, &set, &err), RN_E_DATA, &err, "goes on after");
    path = fixture_file("lone-images.idx", rn_view_of(images, sizeof(images)));
    assert_failure(load(path, "*", false, 3, &set, &err), RN_E_NO_INPUT, &err, "lone-labels.idx");
    path = fixture_file("lone.idx", rn_view_of(images, sizeof(images)));
    assert_failure(load(path, "*", false, 3, &set, &err), RN_E_USAGE, &err, "must hold \"images\"");
}

/* A record of the greatest width, and of one byte more. */
static void idx_records_have_a_limit(void **state)
{
    (void)state;
    uint8_t *wide = rn_alloc(12 + RN_IDX_WIDTH_MAX + 1, 1);
    static const uint8_t head[] = {0, 0, 8, 2, 0, 0, 0, 1, 0, 1, 0, 0};
    static const uint8_t one[] = {0, 0, 8, 1, 0, 0, 0, 1, 2};
    struct rn_error err;
    struct rn_dataset *set = NULL;
    memcpy(wide, head, sizeof(head));
    const char *path = write_idx(wide, sizeof(head) + RN_IDX_WIDTH_MAX, one, sizeof(one));
    must(load(path, "*", false, RN_IDX_WIDTH_MAX, &set, &err), &err);
    rn_dataset_free(set);
    wide[11] = 1;
    path = write_idx(wide, sizeof(head) + RN_IDX_WIDTH_MAX + 1, one, sizeof(one));
    assert_failure(load(path, "*", false, RN_IDX_WIDTH_MAX, &set, &err), RN_E_DATA, &err,
                   "1 to 65536 bytes");
    rn_free(wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_between_commas_and_blanks),
        cmocka_unit_test(what_is_no_row),
        cmocka_unit_test(ranges_of_columns),
        cmocka_unit_test(what_is_no_range),
        cmocka_unit_test(rows_are_no_text),
        cmocka_unit_test(images_and_labels),
        cmocka_unit_test(what_is_no_idx_file),
        cmocka_unit_test(idx_files_that_are_not_whole),
        cmocka_unit_test(idx_records_have_a_limit),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_remove);
}
