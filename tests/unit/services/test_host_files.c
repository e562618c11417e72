/* SPDX-License-Identifier: Apache-2.0
 *
 * What the services leave on disk for people: adapter directories that are swapped whole, and the
 * table of rounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/host/directoryswap.h"
#include "services/host/executor.h"
#include "services/host/roundstable.h"
#include "services/store/memorystore.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)rn_text_format(folder, sizeof(folder), "/tmp/rondo-host-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[96];
    (void)state;
    (void)rn_text_format(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static const char *inside(const char *name)
{
    static char paths[4][RN_PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    assert_true(rn_is_ok(rn_path_join(path, folder, name, NULL)));
    return path;
}

/* ---- Directories */

static void publish(const char *place, const char *content)
{
    char fresh[RN_PATH_MAX];
    char file[RN_PATH_MAX];
    struct rn_error err = {{0}};
    assert_true(rn_is_ok(rn_directory_swap_begin(place, fresh, &err)));
    assert_true(rn_is_ok(rn_directory_make(fresh, 0755, &err)));
    assert_true(rn_is_ok(rn_path_join(file, fresh, "rondo.json", &err)));
    assert_true(rn_is_ok(rn_file_write(file, rn_view_text(content), 0644, &err)));
    const rn_result result = rn_directory_swap(place, &err);
    if (!rn_is_ok(result)) {
        fail_msg("%s", err.text);
    }
}

static void check_content(const char *file, const char *content)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    assert_true(rn_is_ok(rn_file_read(file, 4096, &text, NULL)));
    assert_string_equal(rn_buffer_text(&text), content);
}

/* Any number of times, whatever files the one before holds. */
static void a_directory_is_published_again_and_again(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        char content[16];
        (void)rn_text_format(content, sizeof(content), "adapter %d", i);
        publish(inside("final"), content);
        check_content(inside("final/rondo.json"), content);
        /* Somebody put a file of his own beside it. */
        assert_true(
            rn_is_ok(rn_file_write(inside("final/notes.txt"), rn_view_text("x"), 0644, NULL)));
    }
    assert_false(rn_file_exists(inside("final.new")));
    assert_false(rn_file_exists(inside("final.old")));
}

/* Left behind by a crash between the two renames. */
static void leftovers_are_in_nobodys_way(void **state)
{
    (void)state;
    assert_true(rn_is_ok(rn_directory_make(inside("final.new"), 0755, NULL)));
    assert_true(rn_is_ok(rn_file_write(inside("final.new/part"), rn_view_text("x"), 0644, NULL)));
    assert_true(rn_is_ok(rn_directory_make(inside("final.old"), 0755, NULL)));
    assert_true(rn_is_ok(rn_file_write(inside("final.old/old"), rn_view_text("x"), 0644, NULL)));
    publish(inside("final"), "whole");
    assert_false(rn_file_exists(inside("final/part")));
    check_content(inside("final/rondo.json"), "whole");
}

static void what_holds_directories_is_not_removed(void **state)
{
    (void)state;
    struct rn_error err = {{0}};
    char fresh[RN_PATH_MAX];
    assert_true(rn_is_ok(rn_directory_make(inside("final.new/deep"), 0755, NULL)));
    assert_int_equal(rn_directory_swap_begin(inside("final"), fresh, &err).code, RN_E_IO);
    assert_non_null(strstr(err.text, "final.new"));
    assert_true(rn_file_exists(inside("final.new/deep")));
}

/* ---- Rounds */

struct place {
    struct rn_memory_disk *disk;
    struct rn_store *store;
    struct rn_executor *executor;
    struct rn_job_reader reader;
    struct rn_roundstable *table;
    struct rn_roundstable_config config;
};

static void open_place(struct place *place, bool judged)
{
    const struct rn_store_options options = {.post = NULL};
    const struct rn_executor_config config = {.peers = 1};
    *place = (struct place){.disk = rn_memory_disk_new(),
                            .executor = rn_executor_new(&config),
                            .config = {.state = folder, .rounds = 4, .judged = judged}};
    place->reader = rn_executor_reader(place->executor);
    assert_true(rn_is_ok(rn_memory_store_open(place->disk, &options, &place->store, NULL)));
    rn_executor_set_store(place->executor, place->store);
}

static void open_table(struct place *place)
{
    struct rn_error err = {{0}};
    assert_true(rn_is_ok(rn_roundstable_open(&place->config, &place->reader, &place->table, &err)));
}

static void close_place(struct place *place)
{
    rn_roundstable_close(place->table);
    rn_store_close(&place->store);
    rn_executor_free(place->executor);
    rn_memory_disk_free(&place->disk);
}

static void done(void *context, uint64_t sequence, rn_result result, const struct rn_error *err)
{
    (void)context;
    (void)sequence;
    (void)err;
    assert_int_equal(result.code, RN_OK);
}

/* The table first, then the store, as the executor does. */
static void write_record(struct place *place, enum rn_record_kind kind, uint32_t round,
                         const struct rn_buffer *body)
{
    struct rn_job_batch batch = {0};
    struct rn_store_batch stored = {0};
    const struct rn_record_key key = {.kind = kind, .round = round};
    const struct rn_store_key store_key = {.kind = (uint32_t)kind, .round = round};
    rn_buffer_append(rn_job_batch_write(&batch, &key), body->data, body->length);
    assert_true(rn_is_ok(rn_roundstable_take(place->table, &batch, NULL)));
    rn_job_batch_clear(&batch);
    rn_store_batch_append(&stored, &store_key, rn_buffer_view(body));
    assert_true(rn_is_ok(rn_store_commit(place->store, &stored, done, NULL, NULL, NULL)));
    assert_true(rn_memory_store_step(place->store));
}

static void write_result(struct place *place, uint32_t round, enum rn_code outcome)
{
    const struct rn_job_result result = {.outcome = (uint32_t)outcome,
                                         .round = round,
                                         .attempt = 1,
                                         .active = 1 + round % 2,
                                         .included = 3,
                                         .loss = outcome == RN_OK ? 0.5 : (double)NAN,
                                         .start = {outcome == RN_OK, 0.25, 0.875},
                                         .uplink_bytes = 300};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    rn_job_result_write(&result, &body);
    write_record(place, RN_RECORD_RESULT, round, &body);
}

static void write_metrics(struct place *place, uint32_t round, double accuracy)
{
    const struct rn_job_metrics metrics = {
        .evaluated = isfinite(accuracy),
        .values = {0.4, accuracy, (double)NAN, (double)NAN, (double)NAN, (double)NAN}};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    rn_job_metrics_write(&metrics, &body);
    write_record(place, RN_RECORD_METRICS, round, &body);
}

/* "0 1 2": the rounds of the rows of both files, which must agree. */
static void check_rounds(const char *expected)
{
    static const char *const files[] = {"rounds.csv", "rounds.jsonl"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(files); i++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        char found[64] = "";
        assert_true(rn_is_ok(rn_file_read(inside(files[i]), 65536, &text, NULL)));
        char *save = NULL;
        rn_buffer_u8(&text, 0);
        for (char *line = strtok_r((char *)text.data, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save)) {
            const char *number = i == 0 ? line : line + strlen("{\"round\":");
            const size_t used = strlen(found);
            if (strncmp(line, "round,", 6) != 0) {
                (void)rn_text_format(found + used, sizeof(found) - used, "%ld ",
                                     strtol(number, NULL, 10));
            }
        }
        assert_string_equal(found, expected);
    }
}

static void rows_come_in_order_once_complete(void **state)
{
    (void)state;
    struct place place;
    open_place(&place, true);
    open_table(&place);
    check_rounds("");
    write_metrics(&place, 0, 0.5);
    check_rounds("0 ");
    write_result(&place, 1, RN_OK);
    check_rounds("0 "); /* its adapter is being judged */
    write_result(&place, 2, RN_E_ROUND_ABORTED);
    check_rounds("0 ");
    write_metrics(&place, 1, 0.75);
    check_rounds("0 1 2 "); /* a skipped round is complete by itself, but waits for its turn */
    write_result(&place, 3, RN_OK);
    rn_roundstable_close(place.table);
    check_rounds("0 1 2 3 "); /* ended before the adapter was judged */
    open_table(&place);
    check_rounds("0 1 2 "); /* it will be: rewritten from the records */
    write_metrics(&place, 3, (double)NAN);
    check_rounds("0 1 2 3 ");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    assert_true(rn_is_ok(rn_file_read(inside("rounds.csv"), 65536, &text, NULL)));
    assert_non_null(
        strstr(rn_buffer_text(&text), "\n1,B,ok,1,3,0,0.5,0.4,0.75,,,,,0.25,0.875,0,0,300,100,0,"));
    assert_non_null(strstr(rn_buffer_text(&text), "\n2,A,round-aborted,1,3,0,,,,,,,,,,0,0,"));
    close_place(&place);
}

static void a_members_rows_are_complete_with_the_round(void **state)
{
    (void)state;
    struct place place;
    open_place(&place, false);
    open_table(&place);
    write_result(&place, 1, RN_OK);
    write_result(&place, 2, RN_OK);
    check_rounds("1 2 ");
    rn_roundstable_close(place.table);
    open_table(&place);
    check_rounds("1 2 ");
    close_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_directory_is_published_again_and_again, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(leftovers_are_in_nobodys_way, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_holds_directories_is_not_removed, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(rows_come_in_order_once_complete, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_members_rows_are_complete_with_the_round, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
