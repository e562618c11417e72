/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/fft.h"

#include "base/guard.h"

#include <fftw3.h>
#include <limits.h>

size_t rn_fft_size(size_t wanted)
{
    size_t size = 4;
    while (size < wanted) {
        size *= 2;
    }
    return size / 4 * 3 >= wanted && size >= 8 ? size / 4 * 3 : size;
}

static void transform(fftw_plan plan)
{
    RN_BUG_IF(plan == NULL); /* only for sizes that no caller has */
    fftw_execute(plan);
    fftw_destroy_plan(plan);
}

void rn_fft_forward(double *data, size_t n)
{
    RN_BUG_IF(n > INT_MAX);
    transform(fftw_plan_dft_r2c_1d((int)n, data, (fftw_complex *)data, FFTW_ESTIMATE));
}

void rn_fft_backward(double *data, size_t n)
{
    RN_BUG_IF(n > INT_MAX);
    transform(fftw_plan_dft_c2r_1d((int)n, (fftw_complex *)data, data, FFTW_ESTIMATE));
}
