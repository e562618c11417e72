/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache of the frozen prefix: the same bits as without it on every backend, when it runs full,
 * when its file is kept, stale, damaged or cut off; and its file's manners.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/base/textfixture.h"
#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/savingmodel.h"

#define BUDGET ((uint64_t)1 << 20)
#define EXAMPLES 18

/* Two epochs and a half in batches that mix seen and new. */
static const struct rn_train_spec training = {.active = RN_MATRIX_AB,
                                              .optimizer = RN_OPTIMIZER_ADAMW,
                                              .lr_a = 3e-3,
                                              .lr_b = 5e-3,
                                              .batch = 7,
                                              .steps = 8,
                                              .shuffle = true,
                                              .seed = 5};

struct outcome {
    float *values, *logits;
    size_t value_count, logit_count;
    struct rn_trainer_facts facts;
};

static void outcome_clear(struct outcome *outcome)
{
    rn_free(outcome->values);
    rn_free(outcome->logits);
}

static struct outcome outcome_of(const struct rn_trainer_spec *spec, const char *folder)
{
    struct rn_trainer *trainer = saving_open(spec);
    struct rn_dataset *data = golden_data(trainer, folder);
    struct rn_error err;
    must(rn_trainer_train(trainer, data, &training, NULL, NULL, NULL, &err), &err);
    struct outcome out = {0};
    out.values = saving_values(trainer, &out.value_count);
    out.logits = saving_predict(trainer, data, &out.logit_count);
    rn_trainer_facts(trainer, &out.facts);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
    return out;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->value_count, b->value_count);
    assert_memory_equal(a->values, b->values, a->value_count * sizeof(float));
    assert_memory_equal(a->logits, b->logits, a->logit_count * sizeof(float));
}

static void cached_equals_uncached(void **state)
{
    (void)state;
    static const char *const folders[] = {"roberta-24", "bert-40"};
    for (size_t i = 0; i < SAVING_BACKENDS * 2; i++) {
        const char *backend = saving_backends[i / 2];
        const char *folder = folders[i % 2];
        char model[RN_PATH_MAX];
        if (cpu_class_leaves_out(backend)) {
            continue;
        }
        struct rn_trainer_spec spec = saving_spec(model, folder, backend, true);
        struct outcome without = outcome_of(&spec, folder);
        assert_int_equal(without.facts.cache_hits + without.facts.cache_misses, 0);
        spec.cache_bytes = BUDGET;
        struct outcome with = outcome_of(&spec, folder);
        assert_same(&without, &with);
        assert_int_equal(with.facts.cache_examples, EXAMPLES);
        assert_in_range(with.facts.cache_misses, EXAMPLES, EXAMPLES + 2); /* two lanes at once */
        assert_true(with.facts.cache_hits >= EXAMPLES);
        outcome_clear(&with);
        spec.threads = 1;
        spec.cache_dir = fixture_folder;
        with = outcome_of(&spec, folder);
        assert_same(&without, &with);
        assert_int_equal(with.facts.cache_misses, EXAMPLES);
        outcome_clear(&with);
        outcome_clear(&without);
    }
}

static void no_cache_where_nothing_is_frozen(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = saving_spec(model, "roberta-24", "cpu", false);
    spec.cache_bytes = BUDGET;
    struct outcome out = outcome_of(&spec, "roberta-24");
    assert_int_equal(out.facts.cache_bytes, 0);
    assert_int_equal(out.facts.cache_misses, 0);
    outcome_clear(&out);
}

/* Some examples fit, the others are computed each time: blocks mix both. */
static void a_full_cache_changes_nothing(void **state)
{
    (void)state;
    for (size_t b = 0; b < SAVING_BACKENDS; b++) {
        if (cpu_class_leaves_out(saving_backends[b])) {
            continue;
        }
        char model[RN_PATH_MAX];
        struct rn_trainer_spec spec = saving_spec(model, "bert-40", saving_backends[b], true);
        struct outcome without = outcome_of(&spec, "bert-40");
        spec.cache_bytes = 3 * RN_CACHE_BYTES_MIN;
        struct outcome with = outcome_of(&spec, "bert-40");
        assert_same(&without, &with);
        assert_in_range(with.facts.cache_examples, 1, EXAMPLES - 1);
        assert_true(with.facts.cache_bytes <= spec.cache_bytes);
        assert_true(with.facts.cache_hits > 0 && with.facts.cache_misses > EXAMPLES);
        outcome_clear(&with);
        outcome_clear(&without);
    }
}

static void budget_has_a_least(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = saving_spec(model, "roberta-24", "cpu", true);
    struct rn_trainer *trainer = NULL;
    struct rn_error err = {{0}};
    spec.cache_bytes = RN_CACHE_BYTES_MIN - 1;
    assert_failure(rn_trainer_open(&spec, &trainer, &err), RN_E_CONFIG, &err, "prefix cache");
    spec.cache_bytes = RN_CACHE_BYTES_MIN;
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    rn_trainer_close(trainer);
}

static const char *cache_path(void)
{
    (void)rn_text_format(fixture_path, sizeof(fixture_path), "%s/%s", fixture_folder,
                         RN_PREFIX_FILE);
    return fixture_path;
}

static struct rn_trainer_spec kept_spec(char model[static RN_PATH_MAX], const char *folder)
{
    struct rn_trainer_spec spec = saving_spec(model, folder, "cpu", true);
    spec.cache_bytes = BUDGET;
    spec.cache_dir = fixture_folder;
    spec.cache_keep = true;
    spec.threads = 1;
    return spec;
}

static void kept_file_serves_the_next_run(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = kept_spec(model, "roberta-24");
    struct outcome first = outcome_of(&spec, "roberta-24");
    assert_int_equal(first.facts.cache_misses, EXAMPLES);
    struct stat facts;
    assert_int_equal(stat(cache_path(), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    struct outcome second = outcome_of(&spec, "roberta-24");
    assert_int_equal(second.facts.cache_misses, 0);
    assert_same(&first, &second);
    outcome_clear(&second);
    assert_int_equal(unlink(cache_path()), 0);
    outcome_clear(&first);
}

/* Another model, layer text or element type finds nothing of its own in the file. */
static void another_key_finds_nothing(void **state)
{
    (void)state;
    static const char *const folders[] = {"roberta-24", "bert-40", "roberta-24"};
    for (size_t i = 0; i < 3; i++) {
        char model[RN_PATH_MAX];
        struct rn_trainer_spec spec = kept_spec(model, folders[i]);
        struct outcome kept = outcome_of(&spec, folders[i]);
        assert_int_equal(kept.facts.cache_misses, EXAMPLES);
        outcome_clear(&kept);
    }
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = kept_spec(model, "roberta-24");
    spec.max_length = 12;
    struct outcome kept = outcome_of(&spec, "roberta-24");
    assert_true(kept.facts.cache_misses > 0);
    outcome_clear(&kept);
    assert_int_equal(unlink(cache_path()), 0);
}

/* One byte of the file changed, or the file cut, at places all over it. */
static void damage_is_found(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = kept_spec(model, "roberta-24");
    struct outcome good = outcome_of(&spec, "roberta-24");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer whole = {0};
    struct rn_error err;
    must(rn_file_read(cache_path(), (size_t)1 << 24, &whole, &err), &err);
    const size_t used = good.facts.cache_bytes;
    for (size_t i = 0; i < 24; i++) {
        const size_t at = i < 4 ? i * 30 : 4096 + (used - 4096) * (i - 4) / 20 + i;
        const bool cut = i % 2 == 1;
        whole.data[at] ^= 0x10;
        must(rn_file_write(cache_path(), (struct rn_view){whole.data, cut ? at : whole.length},
                           0600, &err),
             &err);
        whole.data[at] ^= 0x10;
        struct outcome again = outcome_of(&spec, "roberta-24");
        assert_same(&good, &again);
        assert_true(again.facts.cache_misses > 0 || at >= used);
        assert_int_equal(again.facts.cache_examples, EXAMPLES);
        outcome_clear(&again);
    }
    outcome_clear(&good);
    assert_int_equal(unlink(cache_path()), 0);
}

/* The golden model with one field of config.json changed, in the fixture's folder. */
static void changed_model(const char *dir, const char *old, const char *new)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer config = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer changed = {0};
    static const char *const others[] = {"model.safetensors", "tokenizer.json"};
    char from[RN_PATH_MAX];
    char to[RN_PATH_MAX];
    struct rn_error err;
    assert_int_equal(mkdir(dir, 0700), 0);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(others); i++) {
        char folder[RN_PATH_MAX];
        golden_path(folder, "roberta-24", "model");
        must(rn_path_join(from, folder, others[i], &err), &err);
        must(rn_path_join(to, dir, others[i], &err), &err);
        assert_int_equal(symlink(from, to), 0);
    }
    must(
        rn_file_read(golden_path(from, "roberta-24", "model/config.json"), 1u << 20, &config, &err),
        &err);
    const char *text = rn_buffer_text(&config);
    const char *hit = strstr(text, old);
    assert_non_null(hit);
    rn_buffer_append(&changed, text, (size_t)(hit - text));
    rn_buffer_append(&changed, new, strlen(new));
    rn_buffer_append(&changed, hit + strlen(old), strlen(hit + strlen(old)));
    must(rn_path_join(to, dir, "config.json", &err), &err);
    must(rn_file_write(to, rn_buffer_view(&changed), 0600, &err), &err);
}

/* The weights are the same, what is computed from them is not. */
static void another_arithmetic_finds_nothing(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"\"num_attention_heads\": 3", "\"num_attention_heads\": 2"},
        {"\"layer_norm_eps\": 1e-05", "\"layer_norm_eps\": 1e-02"},
        {"\"pad_token_id\": 1", "\"pad_token_id\": 0"}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(changes); i++) {
        char model[RN_PATH_MAX];
        char name[16];
        struct rn_trainer_spec spec = kept_spec(model, "roberta-24");
        spec.max_length = 16; /* the model's most would tell the padding id */
        struct outcome plain = outcome_of(&spec, "roberta-24");
        assert_true(rn_text_format(name, sizeof(name), "model-%zu", i));
        assert_true(rn_is_ok(rn_path_join(model, fixture_folder, name, NULL)));
        changed_model(model, changes[i][0], changes[i][1]);
        struct outcome changed = outcome_of(&spec, "roberta-24");
        assert_int_equal(changed.facts.cache_misses, EXAMPLES);
        spec.cache_bytes = 0;
        struct outcome uncached = outcome_of(&spec, "roberta-24");
        assert_same(&changed, &uncached);
        outcome_clear(&plain);
        outcome_clear(&changed);
        outcome_clear(&uncached);
        assert_int_equal(unlink(cache_path()), 0);
    }
}

/* As after a crash between a record's head and its data. */
static void unwritten_record_is_found(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = kept_spec(model, "roberta-24");
    struct outcome good = outcome_of(&spec, "roberta-24");
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer whole = {0};
    struct rn_error err;
    must(rn_file_read(cache_path(), (size_t)1 << 24, &whole, &err), &err);
    memset(whole.data + 4096 + 8, 0, 8); /* the checksum of the first record's data */
    must(rn_file_write(cache_path(), rn_buffer_view(&whole), 0600, &err), &err);
    struct outcome again = outcome_of(&spec, "roberta-24");
    assert_same(&good, &again);
    assert_int_equal(again.facts.cache_misses, 1);
    outcome_clear(&again);
    outcome_clear(&good);
    assert_int_equal(unlink(cache_path()), 0);
}

static void file_has_no_name_unless_kept(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = kept_spec(model, "roberta-24");
    spec.cache_keep = false;
    struct rn_trainer *trainer = saving_open(&spec);
    struct rn_dataset *data = golden_data(trainer, "roberta-24");
    struct rn_error err;
    must(rn_trainer_train(trainer, data, &training, NULL, NULL, NULL, &err), &err);
    assert_int_equal(access(cache_path(), F_OK), -1);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
    assert_int_equal(access(cache_path(), F_OK), -1);
}

static void one_process_at_a_time_and_no_links(void **state)
{
    (void)state;
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = kept_spec(model, "roberta-24");
    struct rn_trainer *first = saving_open(&spec);
    struct rn_trainer *second = saving_open(&spec);
    struct rn_dataset *data = golden_data(first, "roberta-24");
    struct rn_error err = {{0}};
    must(rn_trainer_train(first, data, &training, NULL, NULL, NULL, &err), &err);
    assert_failure(rn_trainer_train(second, data, &training, NULL, NULL, NULL, &err), RN_E_BUSY,
                   &err, "another process");
    rn_trainer_close(first);
    assert_int_equal(unlink(cache_path()), 0);
    assert_int_equal(symlink("elsewhere", cache_path()), 0);
    assert_failure(rn_trainer_train(second, data, &training, NULL, NULL, NULL, &err), RN_E_IO, &err,
                   "cannot be opened");
    assert_int_equal(unlink(cache_path()), 0);
    must(rn_trainer_train(second, data, &training, NULL, NULL, NULL, &err), &err);
    rn_trainer_data_close(data);
    rn_trainer_close(second);
    assert_int_equal(unlink(cache_path()), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_equals_uncached),
        cmocka_unit_test(no_cache_where_nothing_is_frozen),
        cmocka_unit_test(a_full_cache_changes_nothing),
        cmocka_unit_test(budget_has_a_least),
        cmocka_unit_test(kept_file_serves_the_next_run),
        cmocka_unit_test(another_key_finds_nothing),
        cmocka_unit_test(another_arithmetic_finds_nothing),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(unwritten_record_is_found),
        cmocka_unit_test(file_has_no_name_unless_kept),
        cmocka_unit_test(one_process_at_a_time_and_no_links),
    };
    return run_in_classes(CPU_CLASSES_UNLIKE,
                          &(struct class_tests){"prefix cache", tests, RN_ARRAY_LENGTH(tests),
                                                fixture_setup, fixture_remove});
}
