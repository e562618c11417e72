#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The adapter of a federation in `peft`: the same labels on the whole development set, logits within
1e-4. RONDO_PYTHON names a python3 with torch, transformers and peft; skipped without one."""

import subprocess
import sys

from federation import BIN, DEV, LIMIT, MODEL, PYTHON, ROOT, Failure, Skip, main


def run(scenario):
    probe = subprocess.run([PYTHON, "-c", "import torch, transformers, peft"], capture_output=True, text=True)
    if probe.returncode != 0:
        raise Skip(f"{PYTHON}: {probe.stderr.strip().splitlines()[-1]} (set RONDO_PYTHON)")
    fed = scenario.federation("fed", members=3, rounds=2, targets="all-linear", rank=4, steps=8, lr=0.01).start()
    fed.finish()
    fed.check_agreement()
    done = subprocess.run(
        [PYTHON, ROOT / "tests/parity/peft_roundtrip.py", "--rondo", BIN / "rondo", "--model", MODEL, "--dev", DEV,
         "--text", "sentence", "--labels", fed.labels, "--adapter", fed.directory / "north/state/adapters/final"],
        capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    if done.returncode != 0:
        raise Failure(f"peft_roundtrip.py: exit {done.returncode}\n{done.stdout}{done.stderr}")
    scenario.say(next(line for line in done.stdout.splitlines() if line.startswith("written by rondo")))


if __name__ == "__main__":
    sys.exit(main("peft", run))
