/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers as lists of steps: every family's programs keep the rules; a list that breaks one is named
 * by it; the last layer computes what it must and no more; no gradient is overwritten while the
 * backward walk still needs it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/guard.h"
#include "trainer/model/family.h"
#include "trainer/pass/passparts.h"

/* Slots and steps of BERT's layer, as bert.c names them. */
enum { X = RN_SLOT_IN, OUT = RN_SLOT_OUT, Q = RN_SLOT_FIRST, K, V, O, Y1, X1, G, Y2, SLOTS };
enum { VALUE, KEY, QUERY, ATTEND, JOIN, NORM_1, INNER, OUTER, NORM_2, STEPS };

static void every_family_keeps_the_rules(void **state)
{
    (void)state;
    size_t count = 0;
    for (; rn_family_at(count) != NULL; count++) {
        const struct rn_family *family = rn_family_at(count);
        struct rn_program program;
        assert_ptr_equal(rn_family_find(family->model_type), family);
        rn_program_whole(family->layer, &program);
        assert_null(rn_program_fault(&program));
        rn_program_last(family->layer, &program);
        assert_null(rn_program_fault(&program));
        for (size_t i = 0; i < count; i++) {
            assert_int_not_equal(rn_family_at(i)->number, family->number);
        }
    }
    assert_true(count >= 2);
    assert_null(rn_family_find("BERT"));
}

/* ---- Lists that break a rule ---- */

struct broken {
    const char *part; /* of the sentence */
    int step;         /* changed to: */
    struct rn_step to;
};

static const struct broken broken[] = {
    {"too few", KEY, {RN_OP_LINEAR, .out = K, .module = 1}},
    {"too few", ATTEND, {RN_OP_ATTEND, .out = O, .in = Q, .with = K}},
    {"or too many", NORM_1, {RN_OP_NORM, .out = X1, .in = Y1, .with = X}},
    {"does not exist", KEY, {RN_OP_LINEAR, .out = K, .in = SLOTS, .module = 1}},
    {"before it is produced", KEY, {RN_OP_LINEAR, .out = K, .in = X1, .module = 1}},
    {"produces no slot", KEY, {RN_OP_LINEAR, .out = X, .in = X, .module = 1}},
    {"no producer, or two", NORM_2, {RN_OP_NORM, .out = X1, .in = Y2, .module = 1}},
    {"before it is produced", KEY, {RN_OP_LINEAR, .out = V, .in = X, .module = 1}},
    {"read by none", ATTEND, {RN_OP_ATTEND, .out = O, .in = Q, .with = K, .also = K}},
    {"module that does not exist", KEY, {RN_OP_LINEAR, .out = K, .in = X, .module = 6}},
    {"module that does not exist", NORM_1, {RN_OP_NORM, .out = X1, .in = Y1, .module = 2}},
    {"module is used by no step, or by two", KEY, {RN_OP_LINEAR, .out = K, .in = X, .module = 0}},
    {"norm is used by no step, or by two", NORM_1, {RN_OP_NORM, .out = X1, .in = Y1, .module = 1}},
    {"wrong width or role", KEY, {RN_OP_LINEAR, .out = K, .in = X, .module = 5}},
    {"wrong width or role", KEY, {RN_OP_LINEAR, .out = K, .in = X, .module = 4}},
    {"wrong width or role", JOIN, {RN_OP_LINEAR, .out = Y1, .in = O, .with = V, .module = 3}},
    {"one linear step",
     JOIN,
     {RN_OP_LINEAR, .out = Y1, .in = O, .with = X, .module = 3, .activation = RN_ACTIVATION_GELU}},
};

static const char *fault_of(const struct rn_block *block)
{
    struct rn_program program;
    rn_program_whole(block, &program);
    const char *fault = rn_program_fault(&program);
    return fault == NULL ? "" : fault;
}

static void a_broken_list_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(broken); i++) {
        struct rn_step steps[STEPS];
        struct rn_block block = rn_bert_layer;
        memcpy(steps, block.steps, sizeof(steps));
        steps[broken[i].step] = broken[i].to;
        block.steps = steps;
        if (strstr(fault_of(&block), broken[i].part) == NULL) {
            fail_msg("list %zu: %s, not %s", i, fault_of(&block), broken[i].part);
        }
    }
}

static void the_layer_ends_as_it_begins(void **state)
{
    (void)state;
    struct rn_slot_row slots[SLOTS];
    struct rn_block block = rn_bert_layer;
    memcpy(slots, block.slots, sizeof(slots));
    block.slots = slots;
    slots[OUT].role = RN_ROLE_ACTIVATION;
    assert_non_null(strstr(fault_of(&block), "input and output differ"));
    slots[OUT] = slots[X];
    slots[X1].role = RN_ROLE_ACTIVATION;
    assert_non_null(strstr(fault_of(&block), "wrong width or role"));
}

/* x' = LayerNorm(f(x W1) W2 + x + ...) in forms that are right and wrong for gradients alone. */
static void gradients_have_rules_of_their_own(void **state)
{
    (void)state;
    enum { A = RN_SLOT_FIRST, B, C, COUNT };
    const struct rn_slot_row wide = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN};
    const struct rn_slot_row slots[COUNT] = {
        [X] = wide, [OUT] = wide, [A] = wide, [B] = wide, [C] = wide};
    const struct rn_module_row row = {"one", RN_DIM_HIDDEN, RN_DIM_HIDDEN, .bias = true};
    const struct rn_module_row modules[3] = {row, row, row};
    const char *const norms[1] = {"norm"};
    struct rn_step steps[4] = {
        {RN_OP_LINEAR, .out = A, .in = X, .activation = RN_ACTIVATION_GELU},
        {RN_OP_LINEAR, .out = B, .in = A, .with = X, .module = 1},
        {RN_OP_NORM, .out = C, .in = B},
        {RN_OP_LINEAR, .out = OUT, .in = C, .module = 2},
    };
    const struct rn_block block = {slots, modules, norms, steps, COUNT, 3, 1, 4};
    assert_string_equal(fault_of(&block), "");
    steps[3].with = B; /* what the norm reads */
    assert_non_null(strstr(fault_of(&block), "read once more"));
    steps[3].with = A; /* what has an activation */
    assert_non_null(strstr(fault_of(&block), "one linear step"));
    steps[0].activation = RN_ACTIVATION_NONE;
    assert_string_equal(fault_of(&block), "");
    steps[3].with = X; /* a residual twice */
    assert_non_null(strstr(fault_of(&block), "read after"));
    steps[3].with = C; /* its own input */
    assert_non_null(strstr(fault_of(&block), "residual"));
    steps[3].with = RN_SLOT_NONE;
    steps[3].activation = RN_ACTIVATION_GELU; /* whose slope no step would take in */
    assert_non_null(strstr(fault_of(&block), "one linear step"));
    steps[3].activation = RN_ACTIVATION_NONE;
    assert_string_equal(fault_of(&block), "");
    steps[2] = (struct rn_step){RN_OP_LINEAR, .out = OUT, .in = B}; /* produced twice, read never */
    assert_non_null(strstr(fault_of(&block), "before it is produced"));
    steps[3].in = B;
    const struct rn_block twice = {slots, modules, norms, steps, COUNT - 1, 3, 1, 4};
    assert_non_null(strstr(fault_of(&twice), "no producer, or two"));
}

/* ---- The last layer ---- */

static void the_last_layer_computes_asked_rows(void **state)
{
    (void)state;
    struct rn_program p;
    rn_program_last(&rn_bert_layer, &p);
    static const uint8_t every_row[] = {X, K, V};
    for (uint8_t slot = X; slot < SLOTS; slot++) {
        assert_int_equal(p.asked[slot], memchr(every_row, slot, sizeof(every_row)) == NULL);
    }
    assert_int_equal(p.step_count, STEPS + 1);
    assert_int_equal(p.slot_count, SLOTS + 1);
    assert_true(p.asked[SLOTS]);
    assert_int_equal(p.steps[QUERY].op, RN_OP_GATHER);
    assert_int_equal(p.steps[QUERY].in, X);
    assert_int_equal(p.steps[QUERY + 1].in, SLOTS);
    assert_int_equal(p.steps[JOIN + 1].with, SLOTS);
    assert_int_equal(p.steps[KEY].in, X);
    assert_int_equal(p.steps[VALUE].in, X);
    assert_int_equal(p.steps[ATTEND + 1].with, K);
}

static void a_gathered_slot_is_not_read_after(void **state)
{
    (void)state;
    struct rn_step steps[STEPS];
    struct rn_block block = rn_bert_layer;
    struct rn_program p;
    memcpy(steps, block.steps, sizeof(steps));
    steps[VALUE] = rn_bert_layer.steps[QUERY];
    steps[QUERY] = rn_bert_layer.steps[VALUE];
    block.steps = steps;
    assert_string_equal(fault_of(&block), ""); /* every row: any order */
    rn_program_last(&block, &p);
    assert_non_null(strstr(rn_program_fault(&p), "gathered slot is read after"));
}

/* Where no token sees another the last layer is like the others. */
static void without_attention_every_row_is_asked(void **state)
{
    (void)state;
    const struct rn_slot_row slots[3] = {
        [X] = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN}, [OUT] = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN}};
    const struct rn_module_row row = {"one", RN_DIM_HIDDEN, RN_DIM_HIDDEN, .bias = false};
    const struct rn_step step = {RN_OP_LINEAR, .out = OUT, .in = X};
    const struct rn_block block = {slots, &row, NULL, &step, 3, 1, 0, 1};
    struct rn_program p;
    rn_program_last(&block, &p);
    assert_null(rn_program_fault(&p));
    assert_int_equal(p.step_count, 1);
    assert_false(p.asked[OUT]);
}

/* ---- Memory of gradients ---- */

/* Walks backward with names for values: whose gradient each buffer holds now. A residual's share
 * lies in the output's buffer until a linear step takes it. */
static void walk_by_name(const struct rn_program *p, const struct rn_pass_gradients *pool,
                         const uint8_t *of_slot)
{
    uint8_t holds[RN_SLOTS_MAX] = {0};
    uint8_t waits[RN_SLOTS_MAX] = {0}; /* the slot whose buffer holds this one's share */
    bool begun[RN_SLOTS_MAX] = {false};
    holds[of_slot[OUT]] = OUT;
    for (unsigned i = p->step_count; i-- > 0;) {
        const struct rn_step *step = &p->steps[i];
        uint8_t read[3];
        const unsigned count = rn_step_reads(step, read);
        assert_int_equal(holds[of_slot[step->out]], step->out);
        for (unsigned j = 0; j < count; j++) {
            const uint8_t slot = read[j];
            const uint8_t buffer = of_slot[slot];
            if (step->op == RN_OP_LINEAR && slot == step->with) {
                waits[slot] = step->out;
                continue;
            }
            assert_true(buffer < pool->count);
            assert_int_equal(pool->rows[buffer].role, p->slots[slot].role);
            assert_int_equal(pool->rows[buffer].width, p->slots[slot].width);
            assert_true(p->asked[slot] || pool->per_token[buffer]);
            if (waits[slot] != 0) {
                assert_int_equal(holds[of_slot[waits[slot]]], waits[slot]);
                waits[slot] = 0;
            }
            assert_true(!begun[slot] || holds[buffer] == slot);
            begun[slot] = true;
            holds[buffer] = slot;
            /* What the step reads and every other share it writes are still there. */
            assert_int_equal(holds[of_slot[step->out]], step->out);
        }
        for (unsigned j = 0; j < count && step->op == RN_OP_ATTEND; j++) {
            assert_int_equal(holds[of_slot[read[j]]], read[j]);
        }
    }
    assert_int_equal(of_slot[X], 0);
    assert_int_equal(of_slot[OUT], 0);
    assert_int_equal(holds[0], X);
}

static void check_gradients(const struct rn_block *block)
{
    struct rn_pass_gradients pool = {0};
    struct rn_program programs[2];
    uint8_t of_slot[2][RN_SLOTS_MAX];
    rn_program_whole(block, &programs[0]);
    rn_program_last(block, &programs[1]);
    for (size_t i = 0; i < 2; i++) {
        rn_pass_gradients_plan(&programs[i], &pool, of_slot[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        walk_by_name(&programs[i], &pool, of_slot[i]);
    }
}

/* The queries of the second come from x by two modules: x has a share while theirs is formed. */
static void gradients_stand_until_they_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; rn_family_at(i) != NULL; i++) {
        if (!rn_family_at(i)->rows) { /* whose input has no gradient */
            check_gradients(rn_family_at(i)->layer);
        }
    }
    enum { A = RN_SLOT_FIRST, ASK, KEYS, VALUES, MIXED, COUNT };
    const struct rn_slot_row wide = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN};
    const struct rn_slot_row inner = {RN_ROLE_ACTIVATION, RN_DIM_HIDDEN};
    const struct rn_slot_row slots[COUNT] = {
        [X] = wide,     [OUT] = wide,     [A] = wide,     [ASK] = inner,
        [KEYS] = inner, [VALUES] = inner, [MIXED] = inner};
    const struct rn_module_row row = {"one", RN_DIM_HIDDEN, RN_DIM_HIDDEN, .bias = true};
    const struct rn_module_row modules[5] = {row, row, row, row, row};
    const struct rn_step steps[6] = {
        {RN_OP_LINEAR, .out = A, .in = X},
        {RN_OP_LINEAR, .out = ASK, .in = A, .module = 1},
        {RN_OP_LINEAR, .out = KEYS, .in = X, .module = 2},
        {RN_OP_LINEAR, .out = VALUES, .in = X, .module = 3},
        {RN_OP_ATTEND, .out = MIXED, .in = ASK, .with = KEYS, .also = VALUES},
        {RN_OP_LINEAR, .out = OUT, .in = MIXED, .module = 4},
    };
    const struct rn_block block = {slots, modules, NULL, steps, COUNT, 5, 0, 6};
    assert_string_equal(fault_of(&block), "");
    check_gradients(&block);
}

/* x, y1 and their like in turns in two of them; o, q, k, v; the inside; the asked rows of x. */
static void gradients_of_bert_take_eight_buffers(void **state)
{
    (void)state;
    struct rn_pass_gradients pool = {0};
    struct rn_program program;
    uint8_t of_slot[RN_SLOTS_MAX];
    rn_program_whole(&rn_bert_layer, &program);
    rn_pass_gradients_plan(&program, &pool, of_slot);
    assert_int_equal(pool.count, 7);
    rn_program_last(&rn_bert_layer, &program);
    rn_pass_gradients_plan(&program, &pool, of_slot);
    assert_int_equal(pool.count, 8);
    assert_false(pool.per_token[of_slot[SLOTS]]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_keeps_the_rules),
        cmocka_unit_test(a_broken_list_is_named),
        cmocka_unit_test(the_layer_ends_as_it_begins),
        cmocka_unit_test(gradients_have_rules_of_their_own),
        cmocka_unit_test(the_last_layer_computes_asked_rows),
        cmocka_unit_test(a_gathered_slot_is_not_read_after),
        cmocka_unit_test(without_attention_every_row_is_asked),
        cmocka_unit_test(gradients_stand_until_they_are_read),
        cmocka_unit_test(gradients_of_bert_take_eight_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
