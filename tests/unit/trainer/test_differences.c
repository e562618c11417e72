/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of the reference backend against central differences of its own loss, in float64, for
 * every trained tensor of a BERT and a RoBERTa model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

#include "tests/unit/trainer/goldenmodel.h"

static const struct rn_state *state_of_trainer;

static double loss_of(struct rn_pass *pass, uint32_t count)
{
    struct rn_error err;
    rn_adapter_refresh(pass->adapter, state_of_trainer, pass->lane);
    rn_pass_forward(pass);
    rn_pass_loss(pass, RN_TASK_CLASSIFICATION, 1.0f, false);
    must(rn_pass_losses(pass, &err), &err);
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        sum += pass->host_loss[i] / (double)count;
    }
    return sum;
}

/* Five-point difference (error of fourth order) in one parameter. */
static double slope_of(struct rn_pass *pass, float *value, uint32_t count)
{
    const float middle = *value;
    const float step = 0x1p-9f;
    double at[4];
    for (int i = 0; i < 4; i++) {
        *value = middle + step * (float)(i < 2 ? i - 2 : i - 1);
        at[i] = loss_of(pass, count);
    }
    *value = middle;
    return (8.0 * (at[2] - at[1]) - (at[3] - at[0])) / (12.0 * (double)step);
}

static void check_folder(const char *folder)
{
    struct rn_trainer *trainer = golden_trainer(folder, "ref", 1, RN_HEAD_FEDERATED);
    struct rn_dataset *data = golden_data(trainer, folder);
    struct rn_error err;
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    struct rn_pass *pass = &trainer->lanes.passes[0];
    struct rn_example examples[3] = {rn_dataset_at(data, 0), rn_dataset_at(data, 5),
                                     rn_dataset_at(data, 8)};
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    rn_pass_load(pass, examples, 3);
    rn_pass_forward(pass);
    rn_pass_loss(pass, RN_TASK_CLASSIFICATION, (float)(1.0 / 3.0), true);
    rn_pass_backward(pass, &active);
    const struct rn_adapter *adapter = &trainer->adapter;
    state_of_trainer = &trainer->state;
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        double difference = 0.0;
        double size = 0.0;
        for (size_t j = 0; j < segment->count; j += 1 + segment->count / 12) {
            const double slope = slope_of(pass, trainer->state.values + adapter->places[i] + j, 3);
            const double gradient = (double)pass->gradient[adapter->places[i] + j];
            difference += (slope - gradient) * (slope - gradient);
            size += slope * slope;
        }
        if (!(sqrt(difference) <= 5e-5 * sqrt(size) + 1e-9)) {
            fail_msg("%s: %s differs by %g of %g", folder, segment->name, sqrt(difference),
                     sqrt(size));
        }
    }
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

static void gradients_are_slopes(void **state)
{
    (void)state;
    check_folder("roberta-24");
    check_folder("bert-40");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_are_slopes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
