#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rondo train` that is stopped and goes on from its checkpoint.

RONDO_BIN is the folder of the programs (default: build/release/bin).
"""

import gzip
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from federation import BIN, DATA, INCOMPLETE, LIMIT, MODEL, NO_INPUT, TRAIN, USAGE, ok, rondo

STOPS, TRIES = 4, 40
COLUMNS = ("--text", "sentence", "--label", "label")
RECORDS = 1200 if os.environ.get("RONDO_SANITIZED") else 4000  # 25 steps, or 84


def a_stopped_training_goes_on(work):
    """Ctrl-C at any step, as often as one likes: the adapter and all it says of itself are those of a training that was
    left alone."""
    data = work / "train.tsv"
    with gzip.open(TRAIN, "rt", encoding="utf-8") as file:
        data.write_text("".join(line for line, _ in zip(file, range(1 + RECORDS))), encoding="utf-8")
    options = ("--model", MODEL, "--data", data, *COLUMNS, "--rank", 4, "--batch", 48, "--max-length", 48, "--epochs", 1,
               "--schedule", "cosine", "--warmup-steps", 5, "--format", "json", "--quiet")
    whole = json.loads(ok("train", *options, "--threads", 1, "--out", work / "undisturbed"))
    out = work / "disturbed"
    checkpoint = out / "training.checkpoint"
    none = rondo("train", *options, "--out", out, "--resume")
    assert none[0] == NO_INPUT and "no checkpoint" in none[2], none
    stops = 0
    for _ in range(TRIES):
        if stops == STOPS:
            break
        threads, more = 1 + stops % 2, ("--resume",) if stops else ()
        before = checkpoint.stat().st_mtime_ns if stops else 0
        run = subprocess.Popen([BIN / "rondo", "train", *map(str, options), "--out", out, "--checkpoint-every", "3", "--threads",
                                str(threads), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while run.poll() is None and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before):
            time.sleep(0.001)
        run.send_signal(signal.SIGINT)
        text, err = run.communicate(timeout=LIMIT)
        if run.returncode == 0:  # it was faster than the signal: all over again
            shutil.rmtree(out)
            stops = 0
            continue
        assert run.returncode == INCOMPLETE and "--resume goes on" in err and text == "", (run.returncode, text, err)
        assert checkpoint.stat().st_mode & 0o777 == 0o600
        assert not (out / "adapter_model.safetensors").exists()
        stops += 1
    assert stops == STOPS, f"{stops} stops: no signal came in time"
    for words, text in ((("--lr", 0.01), "lr"), (("--seed", 2), "seed"), (("--no-shuffle",), "no-shuffle")):
        code, _, err = rondo("train", *options, *words, "--out", out, "--resume")
        assert code == USAGE and f'\\"{text}\\" differs' in err, err
    code, _, err = rondo("train", *options, "--out", out)
    assert code == USAGE and "go on with --resume" in err, err
    good = checkpoint.read_bytes()
    for bad in (good[:-1], good + b"x", good[:60] + b"?" + good[61:], b""):
        checkpoint.write_bytes(bad)
        code, _, err = rondo("train", *options, "--out", out, "--resume")
        assert code == DATA and "training.checkpoint" in err, (code, err)
    checkpoint.write_bytes(good)
    report = json.loads(ok("train", *options, "--threads", 1, "--out", out, "--resume"))
    for key in ("steps", "examples", "tokens", "loss_first", "loss_last", "loss_mean"):
        assert abs(report[key] - whole[key]) <= 1e-12 * abs(whole[key]), (key, report, whole)
    files = sorted(path.name for path in out.iterdir())
    assert files == sorted(path.name for path in (work / "undisturbed").iterdir()), files
    for name in files:
        assert (out / name).read_bytes() == (work / "undisturbed" / name).read_bytes(), name


def main():
    if not (BIN / "rondo").exists():
        print(f"skipped: {BIN}/rondo is not built")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        a_stopped_training_goes_on(pathlib.Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
