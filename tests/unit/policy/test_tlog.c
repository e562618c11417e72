/* SPDX-License-Identifier: Apache-2.0
 *
 * A log as files: the names and sizes that tlog-tiles states, at both sides of every full tile;
 * what is read back is what was written; proofs out of tiles.
 */
#include "tlogworld.h"

static struct memory_log memory;

static int close_log(void **state)
{
    (void)state;
    memory_log_clear(&memory);
    return 0;
}

static void expect_path(uint32_t level, uint64_t index, uint32_t width, const char *wanted)
{
    char path[RN_TLOG_PATH_MAX];
    rn_tlog_path(level, index, width, path);
    assert_string_equal(path, wanted);
}

static void test_names(void **state)
{
    (void)state;
    expect_path(0, 0, 0, "tile/0/000");
    expect_path(1, 999, 256, "tile/1/999");
    expect_path(0, 1000, 1, "tile/0/x001/000.p/1");
    expect_path(2, 1234067, 255, "tile/2/x001/x234/067.p/255");
    expect_path(RN_TLOG_ENTRIES, 70000, 0, "tile/entries/x070/000");
    expect_path(0, RN_TLOG_SIZE_MAX, 1, "tile/0/x001/x099/x511/x627/775.p/1");
}

/* The standard's example: 273 full tiles and one of 112, one full and one of 17, one of 1. */
static void test_seventy_thousand(void **state)
{
    (void)state;
    struct rn_tlog_end end;
    rn_tlog_end_init(&end);
    log_grow(&end, &memory, 70000);
    const struct rn_tlog_sink sink = memory_log_sink(&memory);
    assert_true(rn_is_ok(rn_tlog_end_flush(&end, &sink, NULL)));
    static const struct {
        const char *path;
        size_t hashes;
    } tiles[] = {{"tile/0/272", 256},
                 {"tile/0/273.p/112", 112},
                 {"tile/1/000", 256},
                 {"tile/1/001.p/17", 17},
                 {"tile/2/000.p/1", 1}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(tiles); k++) {
        const struct rn_buffer *file = memory_log_find(&memory, tiles[k].path);
        assert_non_null(file);
        assert_int_equal(file->length, tiles[k].hashes * RN_HASH_BYTES);
    }
    assert_int_equal(memory.count, 273 + 1 + 1 + 1 + 1 + 273 + 1);
    assert_non_null(memory_log_find(&memory, "tile/entries/273.p/112"));
    rn_tlog_end_clear(&end);
}

static void expect_same_end(uint64_t size, const struct rn_hash *root)
{
    struct rn_tlog_end again;
    struct rn_hash hash;
    const struct rn_tlog_files files = memory_log_files(&memory);
    assert_true(rn_is_ok(rn_tlog_end_read(&files, size, &again, NULL)));
    rn_tlog_end_root(&again, &hash);
    assert_memory_equal(&hash, root, sizeof hash);
    rn_tlog_end_clear(&again);
}

static void expect_entries(uint64_t size, const uint64_t *indices, size_t count)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bundle = {0};
    struct rn_tlog_reader reader;
    const struct rn_tlog_files files = memory_log_files(&memory);
    rn_tlog_reader_init(&reader, &files, size);
    for (size_t k = 0; k < count && indices[k] < size; k++) {
        char text[32];
        struct rn_view entry;
        assert_true(rn_is_ok(rn_tlog_reader_entry(&reader, indices[k], &bundle, &entry, NULL)));
        assert_true(rn_view_equal(entry, log_entry(indices[k], text)));
    }
    struct rn_view entry;
    assert_int_equal(rn_tlog_reader_entry(&reader, size, &bundle, &entry, NULL).code, RN_E_USAGE);
    rn_tlog_reader_clear(&reader);
}

static void expect_proofs(const struct rn_hash *leaves, uint64_t size, const struct rn_hash *root,
                          const uint64_t *indices, size_t count)
{
    struct rn_tlog_reader reader;
    const struct rn_tlog_files files = memory_log_files(&memory);
    rn_tlog_reader_init(&reader, &files, size);
    const struct rn_merkle_source source = rn_tlog_reader_source(&reader);
    for (size_t k = 0; k < count && indices[k] < size; k++) {
        struct rn_merkle_proof proof = {0};
        struct rn_hash before;
        assert_true(rn_is_ok(rn_merkle_inclusion(&source, indices[k], size, &proof, NULL)));
        assert_true(rn_merkle_inclusion_holds(&leaves[indices[k]], indices[k], size, &proof, root));
        assert_true(rn_is_ok(rn_merkle_consistency(&source, indices[k], size, &proof, NULL)));
        log_root(leaves, indices[k], &before);
        assert_true(rn_merkle_consistency_holds(indices[k], &before, size, root, &proof));
    }
    rn_tlog_reader_clear(&reader);
}

static const uint64_t edges[] = {0,   1,   2,   3,     100,   254,   255,   256,   257,
                                 511, 512, 513, 65535, 65536, 65537, 65792, 66049, 69999};

static void test_both_sides_of_full_tiles(void **state)
{
    (void)state;
    struct rn_hash *leaves = log_leaves(70000);
    struct rn_tlog_end end;
    const struct rn_tlog_sink sink = memory_log_sink(&memory);
    rn_tlog_end_init(&end);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(edges); k++) {
        struct rn_hash root;
        struct rn_hash wanted;
        log_grow(&end, &memory, edges[k]);
        assert_true(rn_is_ok(rn_tlog_end_flush(&end, &sink, NULL)));
        rn_tlog_end_root(&end, &root);
        log_root(leaves, edges[k], &wanted);
        assert_memory_equal(&root, &wanted, sizeof root);
        expect_same_end(edges[k], &root);
        expect_entries(edges[k], edges, RN_ARRAY_LENGTH(edges));
        expect_proofs(leaves, edges[k], &root, edges, RN_ARRAY_LENGTH(edges));
    }
    rn_tlog_end_clear(&end);
    rn_free(leaves);
}

static void test_an_end_read_goes_on(void **state)
{
    (void)state;
    struct rn_tlog_end end;
    struct rn_tlog_end again;
    struct rn_hash root;
    struct rn_hash wanted;
    const struct rn_tlog_sink sink = memory_log_sink(&memory);
    const struct rn_tlog_files files = memory_log_files(&memory);
    rn_tlog_end_init(&end);
    log_grow(&end, &memory, 300);
    assert_true(rn_is_ok(rn_tlog_end_flush(&end, &sink, NULL)));
    assert_true(rn_is_ok(rn_tlog_end_read(&files, 300, &again, NULL)));
    log_grow(&again, &memory, 600); /* the sink compares what both hand out */
    log_grow(&end, &memory, 600);
    rn_tlog_end_root(&end, &wanted);
    rn_tlog_end_root(&again, &root);
    assert_memory_equal(&root, &wanted, sizeof root);
    rn_tlog_end_clear(&end);
    rn_tlog_end_clear(&again);
}

static enum rn_code read_code(uint64_t size)
{
    struct rn_tlog_end end;
    struct rn_error err;
    const struct rn_tlog_files files = memory_log_files(&memory);
    const rn_result result = rn_tlog_end_read(&files, size, &end, &err);
    if (rn_is_ok(result)) {
        rn_tlog_end_clear(&end);
    }
    return result.code;
}

static void test_spoilt_files(void **state)
{
    (void)state;
    struct rn_tlog_end end;
    const struct rn_tlog_sink sink = memory_log_sink(&memory);
    rn_tlog_end_init(&end);
    log_grow(&end, &memory, 260);
    assert_true(rn_is_ok(rn_tlog_end_flush(&end, &sink, NULL)));
    rn_tlog_end_clear(&end);
    assert_int_equal(read_code(260), RN_OK);
    assert_int_equal(read_code(261), RN_E_NO_INPUT);
    assert_int_equal(read_code(RN_TLOG_SIZE_MAX + 1), RN_E_DATA);
    struct rn_buffer *bundle = memory_log_find(&memory, "tile/entries/001.p/4");
    struct rn_buffer *tile = memory_log_find(&memory, "tile/0/001.p/4");
    bundle->data[5] ^= 1; /* a byte of an entry */
    assert_int_equal(read_code(260), RN_E_DATA);
    bundle->data[5] ^= 1;
    bundle->data[0] = 0xff; /* a length beyond the file */
    assert_int_equal(read_code(260), RN_E_DATA);
    bundle->data[0] = 0;
    rn_buffer_u8(bundle, 0); /* half a length more */
    assert_int_equal(read_code(260), RN_E_DATA);
    bundle->length--;
    bundle->length -= 3;
    assert_int_equal(read_code(260), RN_E_DATA);
    bundle->length += 3;
    tile->length--;
    assert_int_equal(read_code(260), RN_E_DATA);
    tile->length++;
    assert_int_equal(read_code(260), RN_OK);
    rn_buffer_append(tile, tile->data, 1);
    assert_int_equal(read_code(260), RN_E_DATA);
}

static void test_the_longest_entry(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bundle = {0};
    uint8_t *bytes = rn_alloc(RN_TLOG_ENTRY_MAX + 1, 1);
    struct rn_tlog_end end;
    struct rn_error err;
    const struct rn_tlog_sink sink = memory_log_sink(&memory);
    const struct rn_tlog_files files = memory_log_files(&memory);
    rn_tlog_end_init(&end);
    const struct rn_view most = rn_view_of(bytes, RN_TLOG_ENTRY_MAX);
    const struct rn_view more = rn_view_of(bytes, RN_TLOG_ENTRY_MAX + 1);
    assert_int_equal(rn_tlog_end_append(&end, more, &sink, &err).code, RN_E_USAGE);
    assert_int_equal(end.size, 0);
    for (uint32_t k = 0; k < RN_TLOG_TILE_WIDTH; k++) {
        assert_true(rn_is_ok(rn_tlog_end_append(&end, most, &sink, &err)));
    }
    struct rn_tlog_reader reader;
    struct rn_view entry;
    rn_tlog_reader_init(&reader, &files, end.size);
    assert_true(rn_is_ok(rn_tlog_reader_entry(&reader, 255, &bundle, &entry, &err)));
    assert_true(rn_view_equal(entry, most));
    end.size = RN_TLOG_SIZE_MAX;
    assert_int_equal(rn_tlog_end_append(&end, rn_view_text("one more"), &sink, &err).code,
                     RN_E_USAGE);
    rn_tlog_reader_clear(&reader);
    rn_tlog_end_clear(&end);
    rn_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_teardown(test_seventy_thousand, close_log),
        cmocka_unit_test_teardown(test_both_sides_of_full_tiles, close_log),
        cmocka_unit_test_teardown(test_an_end_read_goes_on, close_log),
        cmocka_unit_test_teardown(test_spoilt_files, close_log),
        cmocka_unit_test_teardown(test_the_longest_entry, close_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
