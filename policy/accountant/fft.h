/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place that knows which library transforms. FFTW, double precision, planned by estimate
 * and never by measurement, so that a machine gives the same bits each time. Sizes are
 * those of rn_fft_size: 2^k or 3 * 2^k.
 */
#ifndef RN_POLICY_FFT_H
#define RN_POLICY_FFT_H

#include <stddef.h>

/* The least size that is no less than wanted; wanted up to 2^40. */
size_t rn_fft_size(size_t wanted);

/* n real values in `data`, which has room for n + 2: in place to n / 2 + 1 complex ones, real and
 * imaginary part in turn, frequencies 0 .. n / 2. Unscaled. */
void rn_fft_forward(double *data, size_t n);
/* Back, unscaled: n times the values that forward was given. */
void rn_fft_backward(double *data, size_t n);

#endif
