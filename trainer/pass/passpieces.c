/* SPDX-License-Identifier: Apache-2.0
 *
 * A block whose sequences belong to several adapters: the base products take all rows at once, what
 * depends on an adapter takes the rows of each piece. One piece is the ordinary case.
 */
#include "trainer/pass/passparts.h"

#include "base/guard.h"

void rn_pass_split(struct rn_pass *pass, const struct rn_piece *pieces, uint32_t count)
{
    RN_BUG_IF(count == 0 || count > pass->piece_max);
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct rn_piece piece = pieces[i];
        RN_BUG_IF(piece.first != next || piece.count == 0 ||
                  piece.count > pass->sequences.count - next);
        next += piece.count;
        piece.row = (uint32_t)pass->host_cu[piece.first];
        piece.rows = (uint32_t)pass->host_cu[next] - piece.row;
        pass->pieces[i] = piece;
        for (uint32_t s = piece.first; s < next && count > 1; s++) {
            pass->host_owner_first[s] = (int32_t)piece.owner;
        }
        for (uint32_t t = 0; t < piece.rows && count > 1; t++) {
            pass->host_owner[piece.row + t] = (int32_t)piece.owner;
        }
    }
    RN_BUG_IF(next != pass->sequences.count);
    pass->piece_count = count;
    if (count > 1) {
        const struct rn_kernels *k = pass->kernels;
        k->upload(pass->lane, pass->owner, pass->host_owner,
                  pass->sequences.tokens * sizeof(int32_t));
        k->upload(pass->lane, pass->owner_first, pass->host_owner_first,
                  pass->sequences.count * sizeof(int32_t));
    }
}

struct rn_mat rn_piece_rows(const struct rn_pass *pass, const struct rn_piece *piece,
                            struct rn_mat m)
{
    if (pass->piece_count == 1) {
        return m; /* with rows rounded up, if they are */
    }
    /* Where both counts are equal, so are the rows. */
    return m.rows == pass->sequences.count ? rn_mat_rows(m, piece->first, piece->count)
                                           : rn_mat_rows(m, piece->row, piece->rows);
}

const float *rn_piece_values(const struct rn_pass *pass, const struct rn_piece *piece, size_t place)
{
    return pass->values + piece->owner * pass->values_stride + place;
}

void rn_pass_thin(struct rn_pass *pass, struct rn_mat x, const float *first, size_t stride,
                  struct rn_mat h)
{
    for (uint32_t i = 0; i < pass->piece_count; i++) {
        const struct rn_piece *piece = &pass->pieces[i];
        pass->kernels->thin(pass->lane, rn_piece_rows(pass, piece, x),
                            first + piece->owner * stride, rn_piece_rows(pass, piece, h));
    }
}

void rn_pass_rank_update(const struct rn_pass *pass, struct rn_mat h, const float *first,
                         size_t stride, struct rn_epilogue *epilogue)
{
    epilogue->rank_h = h;
    epilogue->rank_b = first;
    if (pass->piece_count == 1) {
        epilogue->rank_b += pass->pieces[0].owner * stride;
        return;
    }
    epilogue->owner = h.rows == pass->sequences.count ? pass->owner_first : pass->owner;
    epilogue->owner_stride = stride;
}
