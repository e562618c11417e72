#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the cases of tests/unit/trainer/golden_metrics.h, computed by scikit-learn and scipy.

    tests/parity/make_metrics_golden.py > tests/unit/trainer/golden_metrics.h
"""

import random
import warnings

from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

warnings.filterwarnings("ignore")
rng = random.Random(11)


def classes(count, kinds, luck):
    label = [rng.randrange(kinds) for _ in range(count)]
    return label, [v if rng.random() < luck else rng.randrange(kinds) for v in label]


def numbers(values):
    return ", ".join(str(v) for v in values)


def floats(values):
    return ", ".join(f"{v!r}f" for v in values)


def main():
    cases = [classes(40, 2, 0.6), classes(50, 5, 0.5), ([0, 0, 0, 1], [0, 0, 0, 0]), ([1, 1], [1, 1]),
             ([0, 1, 2, 2], [0, 0, 0, 0]), ([0, 2], [2, 0]), classes(33, 3, 0.0)]
    kinds = [2, 5, 2, 2, 3, 3, 3]
    print("/* SPDX-License-Identifier: Apache-2.0\n *\n * Made by tests/parity/make_metrics_golden.py"
          " with scikit-learn and scipy.\n */\n/* clang-format off */")
    print("static const struct golden_class {\n    uint32_t classes;\n    size_t count;\n    int32_t label[64];\n"
          "    int32_t predicted[64];\n    double accuracy, f1, matthews;\n} golden_classes[] = {")
    for (label, guess), k in zip(cases, kinds):
        average = "binary" if k == 2 else "macro"
        print(f"    {{{k}, {len(label)}, {{{numbers(label)}}},\n     {{{numbers(guess)}}},\n"
              f"     {float(accuracy_score(label, guess))!r}, {float(f1_score(label, guess, average=average))!r}, "
              f"{float(matthews_corrcoef(label, guess))!r}}},")
    print("};\n")
    pairs = []
    for _ in range(3):
        x = [round(rng.uniform(0, 5), 3) for _ in range(20)]
        pairs.append((x, [round(v + rng.gauss(0, 1), 3) for v in x]))
    pairs.append(([1.0, 1.0, 2.0, 2.0, 3.0], [2.0, 2.0, 2.0, 5.0, 1.0]))
    pairs.append(([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]))
    print("static const struct golden_target {\n    size_t count;\n    float target[32];\n    float predicted[32];\n"
          "    double pearson, spearman;\n} golden_targets[] = {")
    for x, y in pairs:
        print(f"    {{{len(x)}, {{{floats(x)}}},\n     {{{floats(y)}}},\n"
              f"     {float(pearsonr(x, y)[0])!r}, {float(spearmanr(x, y)[0])!r}}},")
    print("};\n/* clang-format on */")


if __name__ == "__main__":
    main()
