#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the table of tests/unit/crypto/test_noise.c: rounded Gaussian draws of chosen words by mpmath, 60 digits.

Usage: python3 tests/parity/make_noise_vectors.py
"""
import random

import mpmath as mp

mp.mp.dps = 60
random.seed(7)


def draw(high, low, deviation):
    tail = ((high & (2**63 - 1)) << 64) + low
    p = (mp.mpf(tail) + mp.mpf(1) / 2) / mp.mpf(2) ** 128
    if p > mp.mpf(10) ** -8:
        z = mp.sqrt(2) * mp.erfinv(1 - 2 * p)
    else:
        z = mp.findroot(lambda t: mp.log(mp.erfc(t / mp.sqrt(2)) / 2) - mp.log(p), mp.sqrt(-2 * mp.log(p)))
    k = int(mp.floor(z * mp.mpf(deviation) + mp.mpf(1) / 2))
    return -k if high >> 63 else k


for s in (0.5, 2.75, 2.0**20, 1.1 * 2**23, 2.0**32):
    for h in (1, random.getrandbits(64), random.getrandbits(64), random.getrandbits(60),
              random.getrandbits(44), 2**63 + random.getrandbits(34)):
        l = random.getrandbits(64)
        print("{0x%016xu, 0x%016xu, %s, %d}," % (h, l, float(s).hex(), draw(h, l, s)))
