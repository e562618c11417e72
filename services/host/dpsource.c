/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/dpsource.h"

#include "base/guard.h"
#include "policy/ledger/privacyrecord.h"

static void draw_noise(void *context, size_t n, double deviation, int64_t *out)
{
    struct rn_dp_source *source = context;
    rn_noise_draw_wide(&source->noises, n, deviation, out, source->threads);
}

static void draw_share(void *context, size_t n, double deviation, int64_t *out)
{
    struct rn_dp_source *source = context;
    rn_discrete_noise_draw(&source->shares, n, (uint32_t)deviation, out);
}

static void draw_uniform(void *context, size_t n, uint64_t *out)
{
    struct rn_dp_source *source = context;
    rn_stream_words(&source->samples, out, n);
}

rn_result rn_dp_source_draw(struct rn_dp_source *out, struct rn_error *err)
{
    struct rn_secret32 keys[2];
    const rn_result result = rn_random_bytes(keys, sizeof keys, err);
    if (rn_is_ok(result)) {
        rn_noise_init(&out->noises, &keys[0]);
        rn_discrete_noise_init(&out->shares, &keys[0]);
        rn_stream_init(&out->samples, &keys[1]);
        rn_privacy_keys_commit(keys[1].bytes, keys[0].bytes, out->commitment);
    }
    rn_secret_wipe(keys, sizeof keys);
    return result;
}

void rn_dp_source_clear(struct rn_dp_source *source)
{
    rn_noise_clear(&source->noises);
    rn_discrete_noise_clear(&source->shares);
    rn_stream_clear(&source->samples);
}

void rn_dp_source_lend(struct rn_dp_source *source, bool shares, struct rn_dp_spec *spec)
{
    spec->context = source;
    spec->noise = shares ? draw_share : draw_noise;
    spec->uniform = draw_uniform;
}
