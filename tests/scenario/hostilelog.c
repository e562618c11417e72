/* SPDX-License-Identifier: Apache-2.0
 *
 * loglies: the federation's log says of the attacked round that one member more was in the sum.
 */
#include "attacks.h"

#include "policy/tlog/tlogentry.h"
#include "tests/scenario/hostile.h"

void __wrap_rn_tlog_entry_write(const struct rn_tlog_entry *entry, struct rn_buffer *out);
void __real_rn_tlog_entry_write(const struct rn_tlog_entry *entry, struct rn_buffer *out);

static void stand_by(struct rn_sa_aggregator *a, struct rn_sa_actions *actions, size_t from)
{
    (void)a;
    (void)actions;
    (void)from;
}

const struct attack attack_loglies = {.name = "loglies", .act = stand_by};

void __wrap_rn_tlog_entry_write(const struct rn_tlog_entry *entry, struct rn_buffer *out)
{
    struct rn_tlog_entry said = *entry;
    const struct rn_sa_context context = {.round = entry->round, .attempt = entry->attempt};
    if (entry->kind == RN_TLOG_ROUND && attack_strikes("loglies", &context)) {
        said.included++;
        attack_tell("struck", "loglies", &context);
    }
    __real_rn_tlog_entry_write(&said, out);
}
