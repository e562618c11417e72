/* SPDX-License-Identifier: Apache-2.0
 *
 * Which task and which classes: from the options, the adapter, the model, or the data.
 */
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"

#include <string.h>

/* Moves a list. */
static void take_names(struct rn_label_list *from, struct rn_label_list *to)
{
    *to = *from;
    *from = (struct rn_label_list){0};
}

/* The model's names where it names so many classes, else numbers. */
static void name_classes(struct rn_model_classes *model, size_t count, struct rn_label_list *out)
{
    if (model->names.count == count) {
        take_names(&model->names, out);
    } else {
        rn_label_list_number(out, count);
    }
}

static void settle_task(struct rn_desk *desk, const struct rn_desk_session *session,
                        const struct rn_model_classes *model)
{
    if (desk->task == NULL) {
        const bool regression =
            session->adapter.stated
                ? session->adapter.task == RN_TASK_REGRESSION
                : model->task == RN_TASK_REGRESSION && !desk->new_head && desk->labels == NULL;
        desk->task = regression ? "regression" : "classification";
    }
}

/* Labels of the data for a model that has no head. Where all of them are classes that its
 * configuration names, the model's list stands: it may have more, and its order. */
static rn_result labels_of_data(const struct rn_desk *desk, const struct rn_data_spec *data,
                                struct rn_model_classes *model, struct rn_label_list *out,
                                struct rn_error *err)
{
    if (model->names.count > 0 && !desk->new_head &&
        rn_is_ok(rn_label_list_check(data, &model->names, NULL))) {
        take_names(&model->names, out);
        return rn_ok();
    }
    RN_ENSURE(!desk->labels_public, err, RN_E_USAGE,
              "--dp-clip needs --labels: names found in the data would tell of single records");
    return rn_label_list_discover(data, out, err);
}

/* Everything but the check against the data; *out_found: the labels are the data's own. */
static rn_result find_labels(const struct rn_desk *desk, const struct rn_data_spec *data,
                             struct rn_desk_session *session, struct rn_model_classes *model,
                             bool *out_found, struct rn_error *err)
{
    struct rn_adapter_facts *adapter = &session->adapter;

    *out_found = false;
    if (desk->labels != NULL) {
        return rn_label_list_parse(desk->labels, &session->labels, err);
    }
    if (adapter->labels.count > 0) {
        take_names(&adapter->labels, &session->labels);
    } else if (adapter->head_outputs > 0) {
        name_classes(model, adapter->head_outputs, &session->labels);
    } else if (model->has_head && !desk->new_head) {
        name_classes(model, model->count, &session->labels);
    } else if (data->label_column != NULL) {
        *out_found = true;
        return labels_of_data(desk, data, model, &session->labels, err);
    } else {
        name_classes(model, model->count, &session->labels);
    }
    return rn_ok();
}

static rn_result settle(struct rn_desk *desk, const struct rn_data_spec *data,
                        struct rn_desk_session *session, struct rn_model_classes *model,
                        struct rn_error *err)
{
    bool found = false;

    settle_task(desk, session, model);
    if (rn_desk_task(desk) == RN_TASK_REGRESSION) {
        RN_ENSURE(desk->labels == NULL, err, RN_E_USAGE, "--labels: a regression has no classes");
        return rn_ok();
    }
    if (model->multi_label && !desk->new_head && session->adapter.head_outputs == 0) {
        return rn_ok(); /* the trainer refuses it, and says why */
    }
    RN_TRY(find_labels(desk, data, session, model, &found, err));
    if (found || data->label_column == NULL) {
        return rn_ok();
    }
    const bool way_on = desk->for_training && desk->labels == NULL && desk->adapter == NULL;
    const rn_result known = rn_label_list_check(data, &session->labels, err);
    return rn_is_ok(known) || !way_on
               ? known
               : rn_fail_context(err, known,
                                 "the model's head is for other classes (--new-head begins with a "
                                 "new one)");
}

rn_result rn_desk_settle_labels(struct rn_desk *desk, const struct rn_data_spec *data,
                                struct rn_desk_session *session, struct rn_error *err)
{
    struct rn_model_classes model = {0};

    rn_result result = rn_model_classes_read(desk->model, &model, err);
    if (rn_is_ok(result)) {
        result = settle(desk, data, session, &model, err);
    }
    rn_model_classes_clear(&model);
    return result;
}
