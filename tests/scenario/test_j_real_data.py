#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pretrained encoder and real sentences: four rounds of RoLoRA with three organisations on SST-2,
one adapter everywhere, and the loss goes down. Needs encoder-small and glue-sst2 below RONDO_DATA
(default: ../shared/data beside the repository); skipped without them."""

import os
import pathlib
import sys

from federation import ROOT, Skip, check, main

DATA = pathlib.Path(os.environ.get("RONDO_DATA", ROOT / "../shared/data"))


def run(scenario):
    model, train = DATA / "encoder-small", DATA / "glue-sst2/train.tsv.gz"
    for needed in (model / "model.safetensors", train):
        if not needed.exists():
            raise Skip(f"{needed} is not there (set RONDO_DATA)")
    fed = scenario.federation("sst2", members=3, rounds=4, examples=640, model=model, train=train, labels="0,1",
                              rank=4, alpha=8, steps=10, batch=16, max_length=64, lr=0.002)  # fmt: skip
    fed.start()
    fed.finish()
    rows = fed.rows()
    check(all(row["outcome"] == "ok" and row["members"] == 3 for row in rows.values()), f"{rows}")
    fed.check_agreement()
    losses = [row["loss"] for row in rows.values()]
    check(losses[-1] < losses[0], f"losses {losses}")
    scenario.say(f"SST-2, losses {[round(loss, 4) for loss in losses]}, {rows[1]['uplink_bytes_mean']} bytes a round")


if __name__ == "__main__":
    sys.exit(main("real-data", run))
