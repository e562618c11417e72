/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention with tensor cores for head size RN_HEAD; included by cuda_attention.cu once a size, and
 * therefore without an include guard. A block has TILE queries (or keys), 16 a warp, and goes over
 * the sequence's keys (or queries) TILE at a time. Tiles lie in shared memory with 8 elements of
 * padding a row, so that the eight rows of an ldmatrix fall into different banks. Rows beyond the
 * sequence are zero.
 */
#define TILE RN_NAMED(tile_)
#define PITCH RN_NAMED(pitch_)
#define STEPS RN_NAMED(steps_)
#define GROUPS RN_NAMED(groups_)
#define THREADS RN_NAMED(threads_)
enum {
    TILE = RN_HEAD <= 64 ? 64 : 32,
    PITCH = RN_HEAD + 8,
    STEPS = RN_HEAD / 16, /* mma steps along the head */
    GROUPS = TILE / 8,    /* groups of 8 columns of a tile of scores */
    THREADS = TILE / 16 * 32,
};

/* Rows first .. first+TILE-1 of this head into shared memory, zero from `count` on. */
static __device__ __forceinline__ void RN_NAMED(load_tile_)(struct rn_bf16 *tile,
                                                            struct rn_cuda_mat m, int32_t base,
                                                            int32_t first, int32_t count)
{
    const int32_t column = (int32_t)blockIdx.y * RN_HEAD;
    for (int i = (int)threadIdx.x; i < TILE * RN_HEAD / 8; i += THREADS) {
        const int row = i / (RN_HEAD / 8), c = i % (RN_HEAD / 8) * 8;
        struct rn_bf16 *to = tile + row * PITCH + c;
        if (first + row < count) {
            rn_copy16(to, rn_at(m, base + first + row, column + c));
        } else {
            struct rn_word4 zero;
            zero.x = zero.y = zero.z = zero.w = 0;
            *(struct rn_word4 *)(void *)to = zero;
        }
    }
}

/* Row of the tile, or column, that this lane names for ldmatrix: the left operand of a product
 * (16 rows by 16 along the sum), and the right one (16 columns by 16 along the sum) when its rows
 * lie along the columns. The transposed right operand uses the left one's addresses. */
static __device__ __forceinline__ const struct rn_bf16 *RN_NAMED(left_)(const struct rn_bf16 *tile,
                                                                        int row, int column)
{
    const int lane = (int)(threadIdx.x % LANES);
    return tile + (row + lane % 16) * PITCH + column + lane / 16 * 8;
}

static __device__ __forceinline__ const struct rn_bf16 *RN_NAMED(right_)(const struct rn_bf16 *tile,
                                                                         int row, int column)
{
    const int lane = (int)(threadIdx.x % LANES);
    return tile + (row + lane / 16 * 8 + lane % 8) * PITCH + column + lane / 8 % 2 * 8;
}

/* s[16 rows from `row`][TILE] = x y^T over the head. */
static __device__ __forceinline__ void
RN_NAMED(scores_)(const struct rn_bf16 *x, int row, const struct rn_bf16 *y, float s[GROUPS][4])
{
#pragma unroll
    for (int n = 0; n < GROUPS; n++) {
        s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f;
    }
#pragma unroll
    for (int k = 0; k < STEPS; k++) {
        uint32_t left[4], right[4];
        rn_ldmatrix(left, RN_NAMED(left_)(x, row, k * 16));
#pragma unroll
        for (int n = 0; n < GROUPS; n += 2) {
            rn_ldmatrix(right, RN_NAMED(right_)(y, n * 8, k * 16));
            rn_mma(s[n], left, right);
            rn_mma(s[n + 1], left, right + 2);
        }
    }
}

/* sum[16][RN_HEAD] += p[16][TILE] y, y's rows along the sum. */
static __device__ __forceinline__ void RN_NAMED(weigh_)(float p[GROUPS][4], const struct rn_bf16 *y,
                                                        float sum[STEPS * 2][4])
{
#pragma unroll
    for (int k = 0; k < GROUPS; k += 2) {
        uint32_t left[4], right[4];
        left[0] = rn_pack(p[k][0], p[k][1]);
        left[1] = rn_pack(p[k][2], p[k][3]);
        left[2] = rn_pack(p[k + 1][0], p[k + 1][1]);
        left[3] = rn_pack(p[k + 1][2], p[k + 1][3]);
#pragma unroll
        for (int n = 0; n < STEPS; n++) {
            rn_ldmatrix_transposed(right, RN_NAMED(left_)(y, k * 8, n * 16));
            rn_mma(sum[2 * n], left, right);
            rn_mma(sum[2 * n + 1], left, right + 2);
        }
    }
}

static __device__ __forceinline__ void RN_NAMED(clear_)(float sum[STEPS * 2][4])
{
#pragma unroll
    for (int n = 0; n < STEPS * 2; n++) {
        sum[n][0] = sum[n][1] = sum[n][2] = sum[n][3] = 0.0f;
    }
}

/* Rows `row` and row+8 of this lane, times their factors, to m; rows from `count` on are dropped.
 */
static __device__ __forceinline__ void RN_NAMED(store_)(float sum[STEPS * 2][4], float low,
                                                        float high, struct rn_cuda_mat m,
                                                        int32_t base, int32_t row, int32_t count)
{
    const int32_t column = (int32_t)blockIdx.y * RN_HEAD + (int32_t)(threadIdx.x % 4) * 2;
#pragma unroll
    for (int n = 0; n < STEPS * 2; n++) {
        if (row < count) {
            *(uint32_t *)(void *)rn_at(m, base + row, column + n * 8) =
                rn_pack(sum[n][0] * low, sum[n][1] * low);
        }
        if (row + 8 < count) {
            *(uint32_t *)(void *)rn_at(m, base + row + 8, column + n * 8) =
                rn_pack(sum[n][2] * high, sum[n][3] * high);
        }
    }
}

/* Scales the scores and hides the columns from `count` on; then brings maximum and sum of the two
 * rows of this lane up to date and turns the scores into exp(s - maximum). rescale: what the sums
 * so far have to be multiplied with. The sum is this lane's share of the row. */
static __device__ __forceinline__ void RN_NAMED(soften_)(float s[GROUPS][4], float scale,
                                                         int32_t count, float most[2], float sum[2],
                                                         float rescale[2])
{
    const int32_t column = (int32_t)(threadIdx.x % 4) * 2;
    float peak[2];
    peak[0] = most[0];
    peak[1] = most[1];
#pragma unroll
    for (int n = 0; n < GROUPS; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            s[n][i] = n * 8 + column + i % 2 < count ? s[n][i] * scale : RN_MINUS_INFINITY;
            peak[i / 2] = fmaxf(peak[i / 2], s[n][i]);
        }
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        peak[half] = quad_max(peak[half]);
        rescale[half] = expf(most[half] - peak[half]);
        sum[half] *= rescale[half];
        most[half] = peak[half];
    }
#pragma unroll
    for (int n = 0; n < GROUPS; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            s[n][i] = expf(s[n][i] - most[i / 2]);
            sum[i / 2] += s[n][i];
        }
    }
}

/* p = exp(scale s - lse) and s = p (dp - delta) scale, per element; columns from `count` on are 0.
 */
static __device__ __forceinline__ void RN_NAMED(slope_)(float s[GROUPS][4], float p[GROUPS][4],
                                                        float dp[GROUPS][4], int n, int i,
                                                        float scale, float lse, float delta,
                                                        int inside)
{
    p[n][i] = inside ? expf(s[n][i] * scale - lse) : 0.0f;
    s[n][i] = p[n][i] * (dp[n][i] - delta) * scale;
}

RN_KERNEL(RN_NAMED(rn_cuda_attention_), struct rn_attention_args)
{
    RN_SHARED struct rn_bf16 q[TILE * PITCH];
    RN_SHARED struct rn_bf16 k[TILE * PITCH];
    RN_SHARED struct rn_bf16 v[TILE * PITCH];
    const struct place at = place_of(a);
    const int32_t first = (int32_t)blockIdx.x * TILE;
    const int row = (int)(threadIdx.x / LANES) * 16;
    float most[2], sum[2], rescale[2], out[STEPS * 2][4];
    if (first >= at.queries) {
        return;
    }
    most[0] = most[1] = RN_MINUS_INFINITY;
    sum[0] = sum[1] = 0.0f;
    RN_NAMED(clear_)(out);
    RN_NAMED(load_tile_)(q, a.q, at.query_first, first, at.queries);
    for (int32_t key = 0; key < at.keys; key += TILE) {
        float s[GROUPS][4];
        RN_NAMED(load_tile_)(k, a.k, at.key_first, key, at.keys);
        RN_NAMED(load_tile_)(v, a.v, at.key_first, key, at.keys);
        rn_copy_wait();
        __syncthreads();
        RN_NAMED(scores_)(q, row, k, s);
        RN_NAMED(soften_)(s, a.scale, at.keys - key, most, sum, rescale);
#pragma unroll
        for (int n = 0; n < STEPS * 2; n++) {
            out[n][0] *= rescale[0];
            out[n][1] *= rescale[0];
            out[n][2] *= rescale[1];
            out[n][3] *= rescale[1];
        }
        RN_NAMED(weigh_)(s, v, out);
        __syncthreads(); /* k and v are loaded again */
    }
    sum[0] = quad_sum(sum[0]);
    sum[1] = quad_sum(sum[1]);
    const int32_t mine = first + row + (int32_t)(threadIdx.x % LANES / 4);
    RN_NAMED(store_)(out, 1.0f / sum[0], 1.0f / sum[1], a.out, at.query_first, mine, at.queries);
    if (threadIdx.x % 4 == 0 && a.lse.data) {
        if (mine < at.queries) {
            rn_put(a.lse, at.query_first + mine, blockIdx.y, most[0] + logf(sum[0]));
        }
        if (mine + 8 < at.queries) {
            rn_put(a.lse, at.query_first + mine + 8, blockIdx.y, most[1] + logf(sum[1]));
        }
    }
}

/* delta of the two rows of this lane, from the tile of dout and the output in memory. */
static __device__ __forceinline__ void RN_NAMED(delta_)(struct rn_attention_args a,
                                                        const struct rn_bf16 *dout, int row,
                                                        struct place at, int32_t first,
                                                        float delta[2])
{
    const int32_t lane = (int32_t)(threadIdx.x % LANES);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int mine = row + lane / 4 + half * 8;
        float sum = 0.0f;
        if (first + mine < at.queries) {
            for (int c = lane % 4; c < RN_HEAD; c += 4) {
                const float o =
                    rn_get(a.out, at.query_first + first + mine, (int32_t)blockIdx.y * RN_HEAD + c);
                sum = fmaf(o, rn_from_bf16(dout[mine * PITCH + c]), sum);
            }
        }
        delta[half] = quad_sum(sum);
    }
}

RN_KERNEL(RN_NAMED(rn_cuda_attention_back_queries_), struct rn_attention_args)
{
    RN_SHARED struct rn_bf16 q[TILE * PITCH];
    RN_SHARED struct rn_bf16 dout[TILE * PITCH];
    RN_SHARED struct rn_bf16 k[TILE * PITCH];
    RN_SHARED struct rn_bf16 v[TILE * PITCH];
    const struct place at = place_of(a);
    const int32_t first = (int32_t)blockIdx.x * TILE;
    const int row = (int)(threadIdx.x / LANES) * 16;
    const int32_t column = (int32_t)(threadIdx.x % 4) * 2;
    const int32_t mine = first + row + (int32_t)(threadIdx.x % LANES / 4);
    float lse[2], delta[2], dq[STEPS * 2][4];
    float s[GROUPS][4], p[GROUPS][4], dp[GROUPS][4];
    if (first >= at.queries) {
        return;
    }
    RN_NAMED(clear_)(dq);
    RN_NAMED(load_tile_)(q, a.q, at.query_first, first, at.queries);
    RN_NAMED(load_tile_)(dout, a.dout, at.query_first, first, at.queries);
    for (int half = 0; half < 2; half++) { /* rows that are not there: any finite number */
        const int32_t i = mine + half * 8;
        lse[half] = i < at.queries ? rn_get(a.lse, at.query_first + i, blockIdx.y) : 0.0f;
    }
    rn_copy_wait();
    __syncthreads(); /* dout is read below */
    RN_NAMED(delta_)(a, dout, row, at, first, delta);
    for (int32_t key = 0; key < at.keys; key += TILE) {
        RN_NAMED(load_tile_)(k, a.k, at.key_first, key, at.keys);
        RN_NAMED(load_tile_)(v, a.v, at.key_first, key, at.keys);
        rn_copy_wait();
        __syncthreads();
        RN_NAMED(scores_)(q, row, k, s);
        RN_NAMED(scores_)(dout, row, v, dp);
#pragma unroll
        for (int n = 0; n < GROUPS; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                RN_NAMED(slope_)
                (s, p, dp, n, i, a.scale, lse[i / 2], delta[i / 2],
                 key + n * 8 + column + i % 2 < at.keys);
            }
        }
        RN_NAMED(weigh_)(s, k, dq);
        __syncthreads(); /* k and v are loaded again */
    }
    RN_NAMED(store_)(dq, 1.0f, 1.0f, a.dq, at.query_first, mine, at.queries);
    if (threadIdx.x % 4 == 0) {
        const int64_t kept = (int64_t)blockIdx.y * a.queries + at.query_first;
        for (int half = 0; half < 2; half++) {
            if (mine + half * 8 < at.queries) {
                a.row_delta[kept + mine + half * 8] = delta[half];
            }
        }
    }
}

/* Rows are keys here, columns queries. */
RN_KERNEL(RN_NAMED(rn_cuda_attention_back_keys_), struct rn_attention_args)
{
    RN_SHARED struct rn_bf16 q[TILE * PITCH];
    RN_SHARED struct rn_bf16 dout[TILE * PITCH];
    RN_SHARED struct rn_bf16 k[TILE * PITCH];
    RN_SHARED struct rn_bf16 v[TILE * PITCH];
    RN_SHARED float lse[TILE];
    RN_SHARED float delta[TILE];
    const struct place at = place_of(a);
    const int32_t first = (int32_t)blockIdx.x * TILE;
    const int row = (int)(threadIdx.x / LANES) * 16;
    const int32_t column = (int32_t)(threadIdx.x % 4) * 2;
    float dk[STEPS * 2][4], dv[STEPS * 2][4];
    float s[GROUPS][4], p[GROUPS][4], dp[GROUPS][4];
    if (first >= at.keys) {
        return;
    }
    RN_NAMED(clear_)(dk);
    RN_NAMED(clear_)(dv);
    RN_NAMED(load_tile_)(k, a.k, at.key_first, first, at.keys);
    RN_NAMED(load_tile_)(v, a.v, at.key_first, first, at.keys);
    for (int32_t query = 0; query < at.queries; query += TILE) {
        RN_NAMED(load_tile_)(q, a.q, at.query_first, query, at.queries);
        RN_NAMED(load_tile_)(dout, a.dout, at.query_first, query, at.queries);
        if (threadIdx.x < TILE) {
            const int32_t i = query + (int32_t)threadIdx.x;
            const int64_t kept = (int64_t)blockIdx.y * a.queries + at.query_first + i;
            lse[threadIdx.x] =
                i < at.queries ? rn_get(a.lse, at.query_first + i, blockIdx.y) : 0.0f;
            delta[threadIdx.x] = i < at.queries ? a.row_delta[kept] : 0.0f;
        }
        rn_copy_wait();
        __syncthreads();
        RN_NAMED(scores_)(k, row, q, s);
        RN_NAMED(scores_)(v, row, dout, dp);
#pragma unroll
        for (int n = 0; n < GROUPS; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int32_t c = n * 8 + column + i % 2;
                RN_NAMED(slope_)(s, p, dp, n, i, a.scale, lse[c], delta[c], query + c < at.queries);
            }
        }
        RN_NAMED(weigh_)(p, dout, dv);
        RN_NAMED(weigh_)(s, q, dk);
        __syncthreads(); /* q, dout, lse and delta are loaded again */
    }
    const int32_t mine = first + row + (int32_t)(threadIdx.x % LANES / 4);
    RN_NAMED(store_)(dk, 1.0f, 1.0f, a.dk, at.key_first, mine, at.keys);
    RN_NAMED(store_)(dv, 1.0f, 1.0f, a.dv, at.key_first, mine, at.keys);
}
#undef TILE
#undef PITCH
#undef STEPS
#undef GROUPS
#undef THREADS
