#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a federation that lost a member leaves behind is of use: the adapter is better than the
one after the first round, and `rondo predict` gives the labels that `rondo evaluate` counts. What
`peft` makes of an adapter: test_i_peft.py."""

import json
import sys

from federation import DEV, MODEL, check, lines, main, ok

TRAINING = {"targets": "all-linear", "rank": 8, "alpha": 16, "steps": 15, "batch": 32, "max_length": 48, "lr": 0.003}


def accuracy(adapter):
    report = ok("evaluate", "--model", MODEL, "--adapter", adapter, "--data", DEV, "--text", "sentence", "--label",
                "label", "--format", "json")  # fmt: skip
    return json.loads(report)["accuracy"]


def predicted_accuracy(adapter):
    said = ok("predict", "--model", MODEL, "--adapter", adapter, "--data", DEV, "--text", "sentence", "--format",
              "jsonl")  # fmt: skip
    truth = [line.split("\t")[1] for line in lines(DEV)[1:]]
    found = [json.loads(line)["label"] for line in said.splitlines()]
    check(len(found) == len(truth), f"{len(found)} predictions for {len(truth)} records")
    return sum(a == b for a, b in zip(found, truth)) / len(truth)


def run(scenario):
    fed = scenario.federation("fed", members=4, rounds=4, examples=640, dev=True, **TRAINING)
    lost = fed.trainers["west"]
    trap = lost.gate(event="stage.enter", round=3, stage="R1")
    fed.start()
    lost.kill_at(trap)
    fed.finish()
    rows = fed.rows()
    check(rows[3]["members"] == rows[4]["members"] == 3, f"{rows}")
    fed.names.remove("west")
    fed.check_agreement()
    adapter = fed.directory / "coordinator/state/adapters/final"
    measured = accuracy(adapter)
    check(abs(measured - rows[4]["accuracy"]) < 1e-9, f"evaluate {measured}, the coordinator {rows[4]['accuracy']}")
    check(abs(predicted_accuracy(adapter) - measured) < 1e-9, "predict and evaluate differ")
    first = fed.directory / "coordinator/state/adapters/round-0001"
    check(measured > accuracy(first), f"accuracy {measured} is no better than after round 1")
    scenario.say(f"one of four lost in round 3; accuracy {accuracy(first):.3f} after round 1, {measured:.3f} at the end")


if __name__ == "__main__":
    sys.exit(main("adapter", run))
