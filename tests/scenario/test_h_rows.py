#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three members train a small network over rows of numbers (rondo-mlp): each has records of some
classes more than of others, the classifier is nobody's, and the final adapter knows all classes.
One epoch of the same records on one machine is the measure of what is there to be learnt."""

import json
import random
import sys

from federation import check, main, ok

INPUTS, CLASSES, RECORDS, NOISE = 24, 4, 240, 6.0


def write_rows(path, seed, order):
    """Numbers around a centre for each class, as far from it as most centres are from each other."""
    draw = random.Random(1)
    centres = [[draw.uniform(0, 16) for _ in range(INPUTS)] for _ in range(CLASSES)]
    draw = random.Random(seed)
    rows = ["\t".join([f"p{i}" for i in range(INPUTS)] + ["label"])]
    for label in order:
        rows.append("\t".join([f"{c + draw.gauss(0, NOISE):.3f}" for c in centres[label]] + [str(label)]))
    path.write_text("\n".join(rows) + "\n")


def accuracy(model, adapter, data):
    report = ok("evaluate", "--model", model, "--adapter", adapter, "--data", data, "--text", "*", "--label", "label",
                "--format", "json")  # fmt: skip
    return json.loads(report)["accuracy"]


def run(scenario):
    directory = scenario.work
    model, train, dev = directory / "model", directory / "train.tsv", directory / "dev.tsv"
    ok("model", "new-mlp", model, "--inputs", INPUTS, "--classes", CLASSES, "--input-mean", 8, "--input-deviation", 8)
    # The parts of the three members lie one behind the other: 0 and 1, 2 and 3, all.
    parts = ((0, 1), (2, 3), (0, 1, 2, 3))
    write_rows(train, 2, [part[i % len(part)] for part in parts for i in range(RECORDS)])
    write_rows(dev, 3, [i % CLASSES for i in range(400)])
    fed = scenario.federation("fed", members=3, rounds=8, examples=RECORDS, model=model, train=train, text="*",
                              labels=",".join(str(i) for i in range(CLASSES)), targets="all-linear", rank=4, alpha=4,
                              steps=20, batch=24, lr=0.01, head="frozen")  # fmt: skip
    fed.start()
    fed.finish()
    fed.check_agreement()
    first = accuracy(model, fed.directory / "coordinator/state/adapters/round-0001", dev)
    last = accuracy(model, fed.directory / "coordinator/state/adapters/final", dev)
    check(last > first and last > 0.8, f"accuracy {first} after round 1, {last} at the end")
    scenario.say(f"accuracy {first:.3f} after round 1, {last:.3f} at the end")


if __name__ == "__main__":
    sys.exit(main("rows", run))
