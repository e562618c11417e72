/* SPDX-License-Identifier: Apache-2.0
 *
 * Example files of the tests in this folder, and edits of them.
 */
#ifndef RN_TESTS_POLICYTEXT_H
#define RN_TESTS_POLICYTEXT_H

#include "base/bytes.h"
#include "base/guard.h"

#include <stdio.h>
#include <string.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define HEX_D "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

#define PLAN_TEXT(clip, more)       \
    "version: 1\n"                  \
    "federation: clinics\n"         \
    "name: triage\n"                \
    "seed: 7\n"                     \
    "rounds: 4\n"                   \
    "method: rolora\n"              \
    "weights: uniform\n"            \
    "max_examples: 0\n"             \
    "metrics: home\n"               \
    "model:\n"                      \
    "  hash: " HEX_A "\n"           \
    "  max_length: 64\n"            \
    "task:\n"                       \
    "  kind: classification\n"      \
    "  labels: [\"no\", \"yes\"]\n" \
    "  metric: accuracy\n"          \
    "lora:\n"                       \
    "  rank: 4\n"                   \
    "  alpha: 8\n"                  \
    "  rslora: false\n"             \
    "  init: kaiming\n"             \
    "  targets: [query, value]\n"   \
    "  layers: [0, 2]\n"            \
    "  head: federated\n"           \
    "training:\n"                   \
    "  optimizer: adamw\n"          \
    "  lr_a: 0.001\n"               \
    "  lr_b: 1e-3\n"                \
    "  lr_head: 0.01\n"             \
    "  weight_decay: 0\n"           \
    "  schedule: cosine\n"          \
    "  warmup_steps: 0\n"           \
    "  clip: " clip "\n"            \
    "  batch: 16\n"                 \
    "  steps: 20\n"                 \
    "evaluation:\n"                 \
    "  federated: false\n"          \
    "  keep_best: false\n"          \
    "  early_stop:\n"               \
    "    patience: 0\n"             \
    "    min_delta: 0\n"            \
    "secagg:\n"                     \
    "  colluding: 1\n"              \
    "  losses: 1\n"                 \
    "  honest: 2\n"                 \
    "  bits: 16\n"                  \
    "  scale_a: 0.125\n"            \
    "  scale_b: 0.25\n"             \
    "  scale_head: 0.5\n"           \
    "  train_soft_s: 60\n"          \
    "  train_hard_s: 600\n"         \
    "  stage_soft_s: 10\n"          \
    "  stage_hard_s: 60\n"          \
    "  upload_rate: 1000000\n"      \
    "  attempts: 3\n"               \
    "roster:\n"                     \
    "  hash: " HEX_B "\n"           \
    "  coordinator: " HEX_C "\n" more

static const char plan_example[] = PLAN_TEXT("1.0", "");

#define PRIVATE             \
    "privacy:\n"            \
    "  mode: local\n"       \
    "  sampling: poisson\n" \
    "  rate: 0.004\n"       \
    "  noise: 1.5\n"        \
    "  clip: 0.5\n"         \
    "  clipping: flat\n"    \
    "  denominator: 4\n"    \
    "  retries: 1\n"
static const char private_plan_example[] = PLAN_TEXT("0", PRIVATE);

#define POLICY_TEXT                   \
    "version: 1\n"                    \
    "federation: clinics\n"           \
    "coordinator: " HEX_C "\n"        \
    "plan:\n"                         \
    "  hashes: []\n"                  \
    "  signers: 3\n"                  \
    "  signed_by: []\n"               \
    "cohort:\n"                       \
    "  members_min: 3\n"              \
    "  members_max: 10\n"             \
    "  colluding_min: 1\n"            \
    "  honest_min: 2\n"               \
    "  losses_max: 1\n"               \
    "  threshold_min: 3\n"            \
    "method:\n"                       \
    "  allowed: [rolora, ffa-lora]\n" \
    "  weights: [uniform]\n"          \
    "  metrics: [home]\n"             \
    "  heads: [federated, frozen]\n"  \
    "model:\n"                        \
    "  hashes: [" HEX_A "]\n"         \
    "  max_length_max: 64\n"          \
    "lora:\n"                         \
    "  targets: [query, value]\n"     \
    "  rank_max: 8\n"                 \
    "training:\n"                     \
    "  rounds_max: 10\n"              \
    "  steps_max: 50\n"               \
    "  batch_max: 32\n"               \
    "upload:\n"                       \
    "  bytes_max: 1000000\n"          \
    "  attempts_max: 3\n"             \
    "  jobs_max: 1\n"

static const char policy_example[] = POLICY_TEXT;

#define PROMISE            \
    "privacy:\n"           \
    "  required: false\n"  \
    "  lineage: wards\n"   \
    "  unit: record\n"     \
    "  records_max: 400\n" \
    "  epsilon: 4\n"       \
    "  delta: 1e-4\n"      \
    "  epsilon_plan: 2\n"  \
    "  noise_min: 1\n"     \
    "  rate_max: 0.02\n"   \
    "  clip_max: 1\n"
static const char promising_policy_example[] = POLICY_TEXT PROMISE;

static const char site_example[] = "version: 1\n"
                                   "role: member\n"
                                   "federation: clinics\n"
                                   "name: north\n"
                                   "network:\n"
                                   "  direction: dial\n"
                                   "  dial: \"fed.example.org:8443\"\n"
                                   "state: state\n"
                                   "model: /srv/model\n"
                                   "data:\n"
                                   "  train: train.tsv\n"
                                   "  text: sentence\n"
                                   "  label: label\n"
                                   "compute:\n"
                                   "  backend: cpu\n"
                                   "  threads: 2\n"
                                   "log:\n"
                                   "  format: json\n"
                                   "  level: info\n";

#define EDITED_MAX 8192

/* text with the first `from` replaced by `to`; aborts the test program when it is not there. */
static inline const char *edited(char out[static EDITED_MAX], const char *text, const char *from,
                                 const char *to)
{
    const char *at = strstr(text, from);
    RN_BUG_IF(at == NULL);
    RN_BUG_IF(!rn_text_format(out, EDITED_MAX, "%.*s%s%s", (int)(at - text), text, to,
                              at + strlen(from)));
    return out;
}

/* text with the value of a dotted field replaced, or added to its section when it is not there; a
 * section that is not there stands at the end. */
static inline const char *with_field(char *out, size_t capacity, const char *text, const char *path,
                                     const char *value)
{
    char head[128];
    int indent = 0;
    const char *at = text; /* where the section begins */
    const char *end = text + strlen(text);
    for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(path, '.')) {
        (void)rn_text_format(head, sizeof head, "\n%*s%.*s:\n", indent, "", (int)(dot - path),
                             path);
        at = strstr(at, head);
        if (at == NULL) {
            RN_BUG_IF(indent != 0 || !rn_text_format(out, capacity, "%s%s  %s: %s\n", text,
                                                     head + 1, dot + 1, value));
            return out;
        }
        at += strlen(head) - 1;
        indent += 2;
        for (end = at + 1; (int)strspn(end, " ") >= indent; end = strchr(end, '\n') + 1) {
        }
        path = dot + 1;
    }
    (void)rn_text_format(head, sizeof head, "\n%*s%s: ", indent, "", path);
    const char *line = strncmp(at, head + 1, strlen(head) - 1) == 0 ? at - 1 : strstr(at, head);
    if (indent == 0 && line == NULL) {
        RN_BUG_IF(!rn_text_format(out, capacity, "%s%s%s\n", text, head + 1, value));
        return out;
    }
    if (line == NULL || line >= end) {
        RN_BUG_IF(
            !rn_text_format(out, capacity, "%.*s%s%s%s", (int)(at - text), text, head, value, at));
        return out;
    }
    line += strlen(head);
    RN_BUG_IF(!rn_text_format(out, capacity, "%.*s%s%s", (int)(line - text), text, value,
                              strchr(line, '\n')));
    return out;
}

#endif
