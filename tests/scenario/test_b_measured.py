#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Federated evaluation: every site reads the same measure from every sum, which is the mean of what
`rondo evaluate` says at each member; the best adapter is kept beside the last; a job without
improvement ends early, and well; who has no development set is told before it joins."""

import json
import sys

from federation import CONFIG, LABELS, MODEL, check, main, ok, refused

UNIT = 2**-10  # of a metric in the vector: the mean of the members' is off by half of it at most


def own_metrics(fed, name, adapter):
    """What a member's own desk says of an adapter on its development set."""
    text = ok("evaluate", "--model", MODEL, "--adapter", adapter, "--data", fed.directory / f"{name}-dev.tsv", "--text",
              "sentence", "--label", "label", "--threads", 1, "--format", "json")  # fmt: skip
    return json.loads(text)


def site_rows(fed, site):
    text = (fed.directory / site / "state/rounds.jsonl").read_text()
    return {row["round"]: row for row in map(json.loads, text.splitlines()) if row["round"] > 0}


def measured(scenario):
    fed = scenario.federation("measured", rounds=3, member_dev=64, evaluation=True, keep_best=True).start()
    fed.finish()
    rows = fed.rows()
    check(sorted(rows) == [1, 2, 3, 4], f"rounds {sorted(rows)}")
    check(rows[4]["adapter"] == rows[3]["adapter"], "the round that only measures changed the adapter")
    check(rows[4]["examples"] == 0, f"the round that only measures trained on {rows[4]['examples']} examples")
    adapters = fed.directory / "coordinator/state/adapters"
    for number in (2, 3, 4):
        own = [own_metrics(fed, name, adapters / f"round-{number - 1:04d}") for name in fed.names]
        mean = sum(one["accuracy"] for one in own) / len(own)
        loss = sum(one["loss"] for one in own) / len(own)
        row = rows[number]
        check(abs(row["start_metric"] - mean) <= UNIT, f"round {number}: {row['start_metric']}, members' mean {mean}")
        check(abs(row["start_dev_loss"] - loss) <= 1e-4, f"round {number}: {row['start_dev_loss']}, mean loss {loss}")
    for name in fed.names:
        other = site_rows(fed, name)
        for number, row in rows.items():
            for key in ("start_metric", "start_dev_loss", "adapter"):
                check(other[number][key] == row[key], f"{name}: round {number}: {key} {other[number][key]}")
    check(not (adapters / "round-0004").exists(), "an adapter was written for the round that only measures")
    return fed


def best_is_kept(fed):
    rows = fed.rows()
    best = max(rows, key=lambda number: (rows[number]["start_metric"], -number)) - 1
    for process in fed.processes():
        folder = process.directory / "state/adapters/best"
        if best == 0:
            check(not folder.exists(), f"{process.name}: the start was published as the best")
            continue
        found, expected = (fed.directory / site / "state/adapters" / name / "adapter_model.safetensors"
                           for site, name in ((process.name, "best"), ("coordinator", f"round-{best:04d}")))  # fmt: skip
        check(found.read_bytes() == expected.read_bytes(), f"{process.name}: best is not the adapter of round {best}")
    return best


def early_stop(scenario):
    """Steps so small that no record changes its class: round 2 says that round 1 made nothing better."""
    fed = scenario.federation("still", rounds=6, member_dev=64, lr=1e-6, evaluation=True, keep_best=True, patience=1)
    fed.start().finish()
    check(sorted(fed.rows()) == [1, 2], f"rounds {sorted(fed.rows())}, not 1 and 2")
    for process in fed.processes():
        check(process.find(event="job.early-stop") is not None, f"{process.name} does not say why it ended")
        check((process.directory / "state/adapters/final").exists(), f"{process.name}: no adapter")
        check(not (process.directory / "state/adapters/best").exists(), f"{process.name}: the start is its best")


def no_development_set(scenario, fed):
    operator = scenario.work / "operator"
    ok("init", operator, "--federation", "scenario", "--address", "127.0.0.1:1", "--model", MODEL, "--labels", LABELS,
       "--members", "north,south,east", "--metrics", "summed", "--evaluation")  # fmt: skip
    refused(CONFIG, "development sets", "join", operator / "invitations/north.invite", "--dir", scenario.work / "north",
            "--model", MODEL, "--data", fed.directory / "north.tsv", "--text", "sentence", "--label", "label")  # fmt: skip


def run(scenario):
    fed = measured(scenario)
    best = best_is_kept(fed)
    scenario.say(f"4 sums, each the mean of three development sets; best after round {best}, kept everywhere")
    no_development_set(scenario, fed)
    early_stop(scenario)
    scenario.say("without improvement the job ends after round 2 of 6, with exit code 0")


if __name__ == "__main__":
    sys.exit(main("measured", run))
