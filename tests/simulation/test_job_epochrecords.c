/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of the drawing of the share graph that are damaged, class by class: whoever starts with
 * them is told so, and goes no further.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/transcript.h"
#include "services/federation/coordinationstate.h"
#include "services/federation/participationstate.h"
#include "tests/simulation/ringjob.h"

#define SET_BYTES 128

/* A node's records, but for those of one kind. */
struct tampered {
    const struct rn_job_reader *inner;
    enum rn_record_kind kind;
    struct rn_view bodies[2];
    uint32_t attempts[2];
    size_t count;
};

static rn_result scan(void *context, enum rn_record_kind kind, const uint8_t *session,
                      rn_record_visit visit, void *argument, struct rn_error *err)
{
    const struct tampered *t = context;
    if (kind != t->kind) {
        return t->inner->scan(t->inner->context, kind, session, visit, argument, err);
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct rn_record_key key = {.kind = kind, .attempt = t->attempts[i]};
        RN_TRY(visit(argument, &key, t->bodies[i], err));
    }
    return rn_ok();
}

static rn_result latest(void *context, enum rn_record_kind kind, int64_t round,
                        struct rn_record_key *out_key, struct rn_buffer *out_body, bool *out_found,
                        struct rn_error *err)
{
    const struct tampered *t = context;
    if (kind != t->kind) {
        return t->inner->latest(t->inner->context, kind, round, out_key, out_body, out_found, err);
    }
    *out_found = t->count > 0;
    rn_buffer_clear(out_body);
    rn_buffer_append(out_body, t->bodies[0].data, t->bodies[0].length);
    return rn_ok();
}

static struct rn_job_basis basis_with(const struct job *job, uint32_t place, struct tampered *t)
{
    struct rn_job_basis basis = job->nodes[place].basis;
    t->inner = &job->nodes[place].basis.reader;
    basis.reader = (struct rn_job_reader){.context = t, .scan = scan, .latest = latest};
    return basis;
}

static enum rn_code loads(const struct job *job, enum rn_record_kind kind, struct rn_view body)
{
    struct tampered t = {.kind = kind, .bodies = {body}, .count = 1};
    struct rn_error err = {{0}};
    const struct rn_job_basis basis = basis_with(job, COORDINATOR, &t);
    struct rn_job_epoch *epoch = rn_job_epoch_new(&basis);
    const rn_result result = rn_job_epoch_load(epoch, &basis.reader, &err);
    assert_int_equal(epoch->drawn, rn_is_ok(result));
    assert_true(rn_is_ok(result) || strstr(err.text, "share graph") != NULL);
    rn_job_epoch_free(epoch);
    return result.code;
}

/* Every byte of the head and of two entries, bit by bit in turn. */
static void flip(const struct job *job, enum rn_record_kind kind, struct rn_buffer *document,
                 size_t head)
{
    for (size_t at = 0; at < document->length; at++) {
        if (at >= head + RN_SA_EPOCH_ENTRY_BYTES &&
            at < document->length - RN_SA_EPOCH_ENTRY_BYTES) {
            continue;
        }
        document->data[at] ^= (uint8_t)(1u << at % 8);
        assert_int_equal(loads(job, kind, rn_buffer_view(document)), RN_E_DATA);
        document->data[at] ^= (uint8_t)(1u << at % 8);
    }
}

static void cut(const struct job *job, enum rn_record_kind kind, struct rn_buffer *document,
                size_t head)
{
    const size_t whole = document->length;
    const size_t lengths[] = {0,
                              1,
                              head - 1,
                              head,
                              head + 1,
                              head + RN_SA_EPOCH_ENTRY_BYTES,
                              whole - RN_SA_EPOCH_ENTRY_BYTES,
                              whole - 1,
                              whole + 1,
                              whole + RN_SA_EPOCH_ENTRY_BYTES};
    uint8_t last[RN_SA_EPOCH_ENTRY_BYTES]; /* the buffer moves when it grows */
    memcpy(last, document->data + whole - sizeof last, sizeof last);
    rn_buffer_append(document, last, sizeof last);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(lengths); i++) {
        assert_int_equal(loads(job, kind, rn_view_of(document->data, lengths[i])), RN_E_DATA);
    }
    document->length = whole;
}

/* Entries change places, and one stands twice. */
static void move_entries(const struct job *job, enum rn_record_kind kind,
                         struct rn_buffer *document, size_t head)
{
    uint8_t kept[2][RN_SA_EPOCH_ENTRY_BYTES];
    uint8_t *entries = document->data + head;
    memcpy(kept, entries, sizeof kept);
    memcpy(entries, kept[1], sizeof kept[1]);
    assert_int_equal(loads(job, kind, rn_buffer_view(document)), RN_E_DATA);
    memcpy(entries + sizeof kept[0], kept[0], sizeof kept[0]);
    assert_int_equal(loads(job, kind, rn_buffer_view(document)), RN_E_DATA);
    memcpy(entries, kept, sizeof kept);
}

static void damage(const struct job *job, enum rn_record_kind kind, struct rn_buffer *document,
                   struct rn_view other, size_t head)
{
    assert_int_equal(loads(job, kind, rn_buffer_view(document)), RN_OK);
    flip(job, kind, document, head);
    cut(job, kind, document, head);
    move_entries(job, kind, document, head);
    assert_int_equal(loads(job, kind, other), RN_E_DATA);
    assert_int_equal(loads(job, kind, rn_buffer_view(document)), RN_OK);
}

static void test_damaged_documents(void **state)
{
    (void)state;
    struct job *job = ring_job();
    until_drawn(job);
    const struct rn_job_epoch *epoch = job->nodes[COORDINATOR].coordination->epoch->job;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer set = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer reveals = {0};
    rn_buffer_append(&set, epoch->document.data, epoch->document.length);
    rn_buffer_append(&reveals, epoch->reveals.data, epoch->reveals.length);
    damage(job, RN_RECORD_EPOCH_SET, &set, rn_buffer_view(&reveals), RN_SA_EPOCH_SET_HEAD);
    damage(job, RN_RECORD_EPOCH_REVEALS, &reveals, rn_buffer_view(&set), RN_SA_EPOCH_REVEALS_HEAD);
    struct tampered none = {.kind = RN_RECORD_EPOCH_SET}; /* reveals of no set */
    const struct rn_job_basis basis = basis_with(job, COORDINATOR, &none);
    struct rn_job_epoch *alone = rn_job_epoch_new(&basis);
    assert_int_equal(rn_job_epoch_load(alone, &basis.reader, NULL).code, RN_E_DATA);
    rn_job_epoch_free(alone);
    job_free(job);
}

/* What a second coordination over these records says. */
static enum rn_code coordination_starts(struct job *job, struct tampered *t)
{
    struct job_node *node = &job->nodes[COORDINATOR];
    RN_CLEANUP(rn_effects_clear) struct rn_effects effects = {0};
    const struct rn_job_basis basis = basis_with(job, COORDINATOR, t);
    struct rn_coordination *coordination = NULL;
    const struct rn_coordination_config config = {.basis = &basis,
                                                  .signatures = &node->coordination->signatures,
                                                  .model = &node->model,
                                                  .spool = &node->spool.face};
    const rn_result result =
        rn_coordination_new(&config, (struct rn_now){0}, &effects, &coordination, NULL);
    assert_int_equal(coordination != NULL, rn_is_ok(result));
    rn_coordination_free(coordination);
    return result.code;
}

static enum rn_code participation_starts(struct job *job, struct tampered *t)
{
    struct job_node *node = &job->nodes[1];
    RN_CLEANUP(rn_effects_clear) struct rn_effects effects = {0};
    const struct rn_job_basis basis = basis_with(job, 1, t);
    struct rn_participation *participation = NULL;
    const struct rn_participation_config config = {
        .basis = &basis,
        .model = &node->model,
        .policy = &node->policy,
        .signatures = &job->nodes[COORDINATOR].coordination->signatures,
        .weight = 1,
        .name = "site-1",
    };
    const rn_result result =
        rn_participation_new(&config, (struct rn_now){0}, &effects, &participation, NULL);
    assert_int_equal(participation != NULL, rn_is_ok(result));
    rn_participation_free(participation);
    return result.code;
}

static void test_damaged_void_attempts(void **state)
{
    (void)state;
    static const uint8_t zeros[SET_BYTES + 1];
    uint8_t beyond[SET_BYTES] = {0};
    beyond[MEMBERS / 8] = 1u << MEMBERS % 8;
    const struct rn_view good = rn_view_of(zeros, SET_BYTES);
    const struct {
        struct tampered records;
        enum rn_code code;
    } cases[] = {
        {{.bodies = {good, good}, .attempts = {1, 16}, .count = 2}, RN_OK},
        {{.bodies = {rn_view_of(zeros, 0)}, .attempts = {1}, .count = 1}, RN_E_DATA},
        {{.bodies = {rn_view_of(zeros, SET_BYTES - 1)}, .attempts = {1}, .count = 1}, RN_E_DATA},
        {{.bodies = {rn_view_of(zeros, SET_BYTES + 1)}, .attempts = {1}, .count = 1}, RN_E_DATA},
        {{.bodies = {rn_view_of(beyond, sizeof beyond)}, .attempts = {1}, .count = 1}, RN_E_DATA},
        {{.bodies = {good}, .attempts = {0}, .count = 1}, RN_E_DATA},
        {{.bodies = {good}, .attempts = {17}, .count = 1}, RN_E_DATA},
        {{.bodies = {good}, .attempts = {UINT32_MAX}, .count = 1}, RN_E_DATA},
        {{.bodies = {good, good}, .attempts = {2, 2}, .count = 2}, RN_E_DATA},
    };
    struct job *job = ring_job();
    job_pass(job, 3000);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        struct tampered t = cases[i].records;
        t.kind = RN_RECORD_EPOCH_VOID;
        assert_int_equal(coordination_starts(job, &t), cases[i].code);
    }
    job_free(job);
}

static void test_nobody_starts_with_them(void **state)
{
    (void)state;
    struct job *job = ring_job();
    until_drawn(job);
    job_pass(job, 2000);
    const struct rn_job_epoch *epoch = job->nodes[COORDINATOR].coordination->epoch->job;
    for (unsigned k = 0; k < 2; k++) {
        const struct rn_buffer *kept = k == 0 ? &epoch->document : &epoch->reveals;
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
        rn_buffer_append(&bytes, kept->data, kept->length);
        for (unsigned damaged = 0; damaged < 2; damaged++) {
            struct tampered t = {.kind = k == 0 ? RN_RECORD_EPOCH_SET : RN_RECORD_EPOCH_REVEALS,
                                 .bodies = {rn_buffer_view(&bytes)},
                                 .count = 1};
            const enum rn_code code = damaged == 1 ? RN_E_DATA : RN_OK;
            assert_int_equal(coordination_starts(job, &t), code);
            assert_int_equal(participation_starts(job, &t), code);
            bytes.data[bytes.length / 2] ^= 1;
        }
    }
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_documents),
        cmocka_unit_test(test_damaged_void_attempts),
        cmocka_unit_test(test_nobody_starts_with_them),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
