#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Degree, threshold and a_max of the sparse graph over a grid of rosters, by the inequalities of crypto/secagg/PROTOCOL.md,
"Sparse graph", in Python's integers, against the product: `test_graph --sizes`, which RONDO_GRAPH_TEST names."""
import os
import subprocess
import sys
from functools import lru_cache
from math import comb


@lru_cache(maxsize=None)
def corrupt_max(n, colluding, m):
    """The least a that holds."""
    def holds(a):
        tail = sum(comb(colluding, i) * comb(n - colluding, m - i) for i in range(a + 1, min(colluding, m) + 1))
        return 2**40 * 16 * n * tail <= comb(n, m)
    return next(a for a in range(m + 1) if holds(a))


def remain(n, losses, k, t):
    tail = sum(comb(losses, lost) * comb(n - 1 - losses, k - lost) for lost in range(k - t + 1, min(losses, k) + 1))
    return 2**20 * n * tail <= comb(n - 1, k)


def sizes(n, colluding, losses):
    for k in range(2, n // 2 + 1, 2):
        a = corrupt_max(n, colluding, k // 2)
        t = k // 2 + 2 + a
        if t <= k and remain(n, losses, k, t):
            return f"{k} {t} {a}"
    return "complete"


def grid():
    for n in (8, 16, 40, 129, 130, 200, 300):
        for colluding in sorted({1, 2, n // 50, n // 20, n // 10, n // 5, n // 3, n - 1} - {0}):
            for losses in sorted({0, 1, n // 50, n // 20, n // 10, n // 4, n - 1}):
                yield n, colluding, losses
    for shares in ((0.05, 0.05), (0.1, 0.05), (0.1, 0.1), (0.2, 0.1), (1 / 3, 0.1)):
        for n in (512, 1000, 1024):
            yield n, int(n * shares[0]), int(n * shares[1])


def main():
    cases = list(grid())
    text = "".join(f"{n} {colluding} {losses}\n" for n, colluding, losses in cases)
    got = subprocess.run([os.environ["RONDO_GRAPH_TEST"], "--sizes"], input=text, text=True, check=True,
                         capture_output=True).stdout.splitlines()
    wanted = [sizes(*case) for case in cases]
    bad = [f"n {c[0]} n_c {c[1]} D {c[2]}: {g}, not {w}" for c, g, w in zip(cases, got, wanted) if g != w]
    print("\n".join(bad) or f"{len(cases)} rosters, {sum(w != 'complete' for w in wanted)} of them sparse: equal")
    return 1 if bad or len(got) != len(wanted) else 0


sys.exit(main())
