# SPDX-License-Identifier: Apache-2.0
"""PROTOCOL.md, "Sparse graph" and the permutation of "Epoch": who holds whose shares."""
from functools import lru_cache
from math import comb

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from .primitives import hkdf

COMPLETE_MAX = 128


@lru_cache(maxsize=None)
def corrupt_max(n, colluding, m):
    def holds(a):
        tail = sum(comb(colluding, i) * comb(n - colluding, m - i) for i in range(a + 1, min(colluding, m) + 1))
        return 2**40 * 16 * n * tail <= comb(n, m)
    return next(a for a in range(m + 1) if holds(a))


def remain(n, losses, k, t):
    tail = sum(comb(losses, lost) * comb(n - 1 - losses, k - lost) for lost in range(k - t + 1, min(losses, k) + 1))
    return 2**20 * n * tail <= comb(n - 1, k)


@lru_cache(maxsize=None)
def ring(n, colluding, losses):
    """(degree, threshold); None: the graph is complete."""
    for k in range(2, n // 2 + 1, 2) if n > COMPLETE_MAX else ():
        t = k // 2 + 2 + corrupt_max(n, colluding, k // 2)
        if t <= k and remain(n, losses, k, t):
            return k, t
    return None


def permutation(seed, members):
    """Which member sits at each position."""
    stream = Cipher(algorithms.ChaCha20(hkdf(seed, b"", "epoch permutation"), bytes(16)), None).encryptor()

    def below(bound):
        while True:
            word = int.from_bytes(stream.update(bytes(8)), "little")
            if word >= 2**64 % bound:
                return word % bound

    order = list(range(members))
    for p in range(members - 1, 0, -1):
        q = below(p + 1)
        order[p], order[q] = order[q], order[p]
    return order


def circles(members, degree, seed):
    """Of each member, itself and its neighbours."""
    order = permutation(seed, members)
    return {order[p]: {order[(p + d) % members] for d in range(-degree // 2, degree // 2 + 1)} for p in range(members)}
