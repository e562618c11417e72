#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The linear model of RoLoRA's theory (arXiv 2502.01755): federated regression Y_i = X_i a* b*^T of rank 1, with
||a|| = 1 and b = 0 at the start. In each pair of rounds every client minimises over b exactly and the mean is taken;
then every client makes one gradient step for a, and the mean is taken and normalised. The clients' data are real
matrices here, with X^T X / m = I; then, with theta the angle between a and a*, beta = ||b*||, and loss
||X(ab^T - a*b*^T)||^2 / m,

    tan theta' = tan theta (1 - 2 eta beta^2 cos^2 theta) / (1 + 2 eta beta^2 sin^2 theta)

holds exactly, and the theorem bounds sin theta' by sin theta sqrt(1 - eta (1 - delta0^2) beta^2). FFA-LoRA, which
never moves a, ends at the loss delta0^2 beta^2. Checked: the recursion to 1e-9 in every round, the bound in every
round, the floor to 1e-9. Exit status 1 when one does not hold. `--csv FILE` writes the rounds."""

import argparse
import math
import random
import sys

FEATURES, OUTPUTS, CLIENTS, RECORDS, ROUNDS = 10, 4, 5, 20, 30
ETA, DELTA, BETA = 0.25, 0.9, 1.0


def dot(x, y):
    return math.fsum(a * b for a, b in zip(x, y))


def scaled(x, factor):
    return [factor * a for a in x]


def unit(x):
    return scaled(x, 1 / math.sqrt(dot(x, x)))


def across(x, other):
    """x without its part along the unit vector other; twice, for the rounding of the first."""
    for _ in range(2):
        along = dot(x, other)
        x = [a - along * b for a, b in zip(x, other)]
    return x


def design(rng):
    """RECORDS x FEATURES with orthogonal columns of length sqrt(RECORDS)."""
    columns = []
    for _ in range(FEATURES):
        column = [rng.gauss(0, 1) for _ in range(RECORDS)]
        for _ in range(2):
            for other in columns:
                column = across(column, other)
        columns.append(unit(column))
    return [[math.sqrt(RECORDS) * column[i] for column in columns] for i in range(RECORDS)]


def targets(x, a_star, b_star):
    return [[dot(row, a_star) * b for b in b_star] for row in x]


def best_b(x, y, a):
    """Least squares over b with features z = X a."""
    z = [dot(row, a) for row in x]
    return [math.fsum(zi * row[k] for zi, row in zip(z, y)) / dot(z, z) for k in range(OUTPUTS)]


def gradient_a(x, y, a, b):
    """Of ||X a b^T - Y||^2 / m."""
    z = [dot(row, a) for row in x]
    along = [math.fsum((zi * b[k] - row[k]) * b[k] for k in range(OUTPUTS)) for zi, row in zip(z, y)]
    return [2 / RECORDS * math.fsum(r * row[j] for r, row in zip(along, x)) for j in range(FEATURES)]


def loss(x, y, a, b):
    return math.fsum((dot(row, a) * b[k] - want[k]) ** 2 for row, want in zip(x, y) for k in range(OUTPUTS)) / RECORDS


def mean(vectors):
    return [math.fsum(column) / len(vectors) for column in zip(*vectors)]


def sine(a, a_star):
    """Of the angle, as a length: sqrt(1 - cos^2) would end at the root of the rounding unit."""
    rest = across(a, a_star)
    return math.sqrt(dot(rest, rest))


def expected_tangent(tangent):
    cos2 = 1 / (1 + tangent * tangent)
    return tangent * (1 - 2 * ETA * BETA**2 * cos2) / (1 + 2 * ETA * BETA**2 * (1 - cos2))


def begin(rng):
    a_star = unit([rng.gauss(0, 1) for _ in range(FEATURES)])
    away = unit(across([rng.gauss(0, 1) for _ in range(FEATURES)], a_star))
    a = [math.sqrt(1 - DELTA**2) * s + DELTA * w for s, w in zip(a_star, away)]
    b_star = scaled(unit([rng.gauss(0, 1) for _ in range(OUTPUTS)]), BETA)
    x = [design(rng) for _ in range(CLIENTS)]
    return a, a_star, x, [targets(each, a_star, b_star) for each in x]


def rolora(a, a_star, x, y):
    """Rows of (round, sine, the recursion's tangent minus ours, the bound's sine, mean loss)."""
    rows = []
    for number in range(1, ROUNDS + 1):
        before = sine(a, a_star)
        want = expected_tangent(before / dot(a, a_star))
        b = mean([best_b(each, want_y, a) for each, want_y in zip(x, y)])
        step = mean([gradient_a(each, want_y, a, b) for each, want_y in zip(x, y)])
        a = unit([value - ETA * slope for value, slope in zip(a, step)])
        now = sine(a, a_star)
        bound = before * math.sqrt(1 - ETA * (1 - DELTA**2) * BETA**2)
        b = mean([best_b(each, want_y, a) for each, want_y in zip(x, y)])
        rows.append((number, now, abs(now / dot(a, a_star) - want), bound,
                     mean([[loss(each, want_y, a, b)] for each, want_y in zip(x, y)])[0]))  # fmt: skip
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--csv", help="write the rounds here")
    options = parser.parse_args()
    a, a_star, x, y = begin(random.Random(1))
    rows = rolora(a, a_star, x, y)
    b = mean([best_b(each, want, a) for each, want in zip(x, y)])
    floor = mean([[loss(each, want, a, b)] for each, want in zip(x, y)])[0]
    if options.csv:
        with open(options.csv, "w", encoding="utf-8") as file:
            file.write("round,sine,recursion_error,bound,rolora_loss,ffa_loss\n")
            file.writelines(f"{n},{s:.12g},{e:.3g},{t:.12g},{l:.12g},{floor:.12g}\n" for n, s, e, t, l in rows)
    worst = max(row[2] for row in rows)
    held = all(row[1] <= row[3] for row in rows)
    print(f"recursion: largest difference {worst:.2e} in {ROUNDS} rounds; sine {rows[0][1]:.5f} after 1, {rows[-1][1]:.3e} at "
          f"the end; the bound {'held' if held else 'was broken'}; RoLoRA's loss {rows[-1][4]:.2e}, FFA-LoRA's floor "
          f"{floor:.9f} (expected {DELTA**2 * BETA**2:.9f})")  # fmt: skip
    return 0 if worst < 1e-9 and held and abs(floor - DELTA**2 * BETA**2) < 1e-9 else 1


if __name__ == "__main__":
    sys.exit(main())
