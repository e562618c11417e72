#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`rondo-bench secagg`; `rondo-bench train` and `rondo-bench gemm` on the small shape, alone and beside a peer that is only
pretended: what is reported, what is written, what a failing peer, a missing Python and a signal do. No
verdict depends on a time.

RONDO_BIN is the folder of the programs (default: build/release/bin).
"""

import csv
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

from federation import BIN, DATA, INCOMPLETE, LIMIT, UNSUPPORTED, USAGE

RONDO, BENCH = BIN / "rondo", BIN / "rondo-bench"
FEW = ("--batch", "2", "--steps", "2", "--repeats", "1", "--backend", "cpu")

# Speaks like services/bench/bench_peer.py under Python, with made-up times.
PRETENDER = r"""#!/bin/sh
case "$*" in
*--probe*) echo '{"event": "versions", "torch": "9.0", "transformers": "8.0", "peft": "7.0", "opacus": null}'; exit 0;;
*"--variant float32 "*) echo "this one fails" >&2; exit 3;;
*"--variant bf16-compiled "*) echo '{"event": "ready", "detail": "torch 9.0"}'; exec sleep 600;;
*"--variant float32-compiled "*) echo '{"event": "ready", "detail": "torch 9.0"}'; exit 0;;
esac
echo '{"event": "ready", "detail": "torch 9.0"}'
echo 'no JSON at all'
echo '{"event": "note", "text": "made up"}'
echo '{"event": "step", "pass": 0, "seconds": 100.0}'
echo '{"event": "step", "pass": 0, "seconds": 100.0}'
"""


def rondo(work, *arguments):
    done = subprocess.run([BENCH, *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=2 * LIMIT, env={**os.environ, "TMPDIR": str(work)})
    return done.returncode, done.stdout, done.stderr


def ok(work, *arguments):
    code, out, err = rondo(work, *arguments)
    assert code == 0, f"{arguments}: exit {code}\n{out}{err}"
    return out


def nothing_is_left(work):
    assert not list(work.glob("rondo-bench-*")), list(work.iterdir())


def alone(work):
    table, plot = work / "figures.csv", work / "bars.svg"
    report = json.loads(ok(work, "train", "--setting", "small-all-glue,small-top2-128", *FEW, "--python", "none",
                           "--format", "json", "--quiet", "--csv", table, "--plot", plot, "--threads", 2))
    assert report["threads"] == 2 and report["backend"] == "cpu" and report["peer"] is None
    assert report["class"] in ("AMX", "AVX512-BF16", "AVX-512", "AVX2", "other") and "alone" in report["note"]
    glue, top2 = report["settings"]
    assert [glue["setting"], top2["setting"]] == ["small-all-glue", "small-top2-128"]
    assert top2["tokens"] == top2["padded_tokens"] == 2 * 2 * 128 and 20 <= glue["tokens"] <= glue["padded_tokens"]
    for setting in (glue, top2):
        (side,) = setting["sides"]
        assert side["side"] == "rondo" and side["failure"] is None and setting["gemm"] > 0
        assert side["peak_memory"] > 1 << 20
        for key in ("tokens_per_second", "samples_per_second", "seconds_per_step", "model_rate", "of_gemm"):
            assert side["first"][key] > 0, side
        assert setting["ratio"] is None and setting["best_peer"] is None
    assert glue["sides"][0]["later"] is None and top2["sides"][0]["later"]["tokens_per_second"] > 0
    rows = list(csv.DictReader(table.open()))
    assert [(r["setting"], r["epoch"]) for r in rows] == [
        ("small-all-glue", "first"), ("small-top2-128", "first"), ("small-top2-128", "later")]
    assert all(float(r["tokens_per_second"]) > 0 and None not in r for r in rows)
    assert xml.etree.ElementTree.parse(plot).getroot().tag.endswith("svg")
    nothing_is_left(work)


def overheads(work):
    report = json.loads(ok(work, "train", "--setting", "small-lora-128,small-all-glue-dp", *FEW, "--python", "none",
                           "--format", "json", "--quiet"))
    lora, private = report["settings"]
    assert [side["side"] for side in lora["sides"]] == ["rondo", "rondo frozen"]
    assert [side["side"] for side in private["sides"]] == ["rondo", "rondo plain"]
    for setting in (lora, private):
        assert all(side["failure"] is None for side in setting["sides"]), setting
        assert isinstance(setting["overhead"], float)


def beside_a_peer(work):
    peer = work / "pretender"
    peer.write_text(PRETENDER)
    peer.chmod(peer.stat().st_mode | stat.S_IXUSR)
    kept = work / "kept"
    out = ok(work, "train", "--setting", "all-glue", "--shape", "small", *FEW, "--python", peer, "--timeout", 600,
             "--peers", "bf16,float32,float32-compiled", "--format", "json", "--quiet", "--keep-model", kept)
    report = json.loads(out)
    assert report["peer"] == "torch 9.0, transformers 8.0, peft 7.0"
    (setting,) = report["settings"]
    sides = {side["side"]: side for side in setting["sides"]}
    assert sides["peft bf16"]["first"]["seconds_per_step"] == 100.0 and sides["peft bf16"]["note"] == "made up"
    assert sides["peft float32"]["failure"] == "this one fails" and sides["peft float32"]["first"] is None
    assert "before its last step" in sides["peft float32-compiled"]["failure"]
    assert setting["best_peer"] == "peft bf16"
    ours = sides["rondo"]["first"]["tokens_per_second"] / sides["peft bf16"]["first"]["tokens_per_second"]
    assert abs(setting["ratio"] / ours - 1) < 1e-3, setting
    table = work / "together.csv"
    for setting in ("small-all-glue", "small-top2-glue", "small-all-glue"):
        ok(work, "train", "--setting", setting, *FEW, "--python", peer, "--peers", "bf16", "--quiet", "--keep-model",
           kept, "--csv", table, "--append")
    assert sum(line.startswith("date,") for line in table.read_text().splitlines()) == 1
    assert len(table.read_text().splitlines()) == 1 + 2 + 3 + 2  # two sides, and later epochs of one
    ok(work, "plot", table, "--out", work / "ratios.svg")
    drawn = (work / "ratios.svg").read_text()
    assert drawn.count("small-all-glue<") == 1 and "small-top2-glue, later epochs" in drawn, drawn
    (work / "other.csv").write_text("a,b\n1,2\n")
    code, _, err = rondo(work, "plot", work / "other.csv", "--out", work / "never.svg")
    assert code == DATA and 'no column "setting"' in err and not (work / "never.svg").exists(), err
    weights = kept / "small" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    code, text, err = rondo(work, "train", "--setting", "small-all-glue", *FEW, "--python", peer, "--timeout", 2,
                            "--quiet", "--peers", "bf16-compiled", "--keep-model", kept)
    assert code in (0, INCOMPLETE), (code, text, err)  # the same two seconds may be too few for Rondo on a busy machine
    assert any("bf16-compiled" in line and "failed: no end within 2 s" in line for line in text.splitlines()), text
    assert weights.stat().st_mtime_ns == before, "the kept model is used again"
    text = ok(work, "train", "--setting", "small-all-glue", *FEW, "--python", work / "no-such-python", "--quiet")
    assert "note: no peer" in text and "rondo" in text
    nothing_is_left(work)


def bad_input(work):
    for code, text, *arguments in (
            (USAGE, 'did you mean "small-all-128"', "train", "--setting", "small-all-18"),
            (USAGE, "no setting is called", "train", "--setting", "everything"),
            (USAGE, "--peers", "train", "--setting", "small-all-128", "--peers", "bf61"),
            (USAGE, "--append needs --csv", "train", "--append"),
            (USAGE, "--shape", "train", "--shape", "medium"),
            (USAGE, "--backend", "gemm", "--backend", "gpu")):
        got, out, err = rondo(work, *arguments, "--quiet", *(("--python", "none") if arguments[0] == "train" else ()))
        assert got == code and text in err and len(err.splitlines()) == 1, (arguments, got, out, err)
    nothing_is_left(work)


def a_signal_leaves_no_files(work):
    run = subprocess.Popen([BENCH, "train", "--setting", "small-all-128", "--python", "none", "--steps",
                            "10000", "--backend", "cpu"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(work)})
    while not list(work.glob("rondo-bench-*/texts.tsv")):
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=LIMIT)
    assert run.returncode == INCOMPLETE and "stopped" in err, (run.returncode, err)
    nothing_is_left(work)


def gemm(work):
    report = json.loads(ok(work, "gemm", "--backend", "cpu", "--shape", "small", "--rows", 64, "--seconds", 0,
                           "--format", "json"))
    (backend,) = report["backends"]
    assert [(p["k"], p["n"]) for p in backend["products"]] == [(256, 256), (256, 768), (256, 1024), (1024, 256)]
    assert backend["best"] >= backend["layer"] > 0
    assert "goal" in ok(work, "gemm", "--backend", "cpu", "--shape", "small", "--rows", 64, "--seconds", 0)
    listed = json.loads(ok(work, "train", "--list", "--format", "json", "--shape", "base"))["settings"]
    assert {"base-all-128", "base-p2-glue", "base-lora-128"} <= {row["setting"] for row in listed}


FLOWER = """#!/bin/sh
case "$*" in *"--members 50"*) echo '{"flwr": "9.0", "client": 8.0, "server": 90.0}'; exit 0;; esac
echo 'no JSON at all'
echo '{"flwr": "9.0", "client": 4.0, "server": 50.0}'
"""


def secagg(work):
    """case 49: rows and ratios under their names; a replay that did not give the sum back would have failed."""
    pretender = work / "flower.sh"
    pretender.write_text(FLOWER)
    pretender.chmod(0o755)
    lines = ok(work, "secagg", "--quick", "--format", "json", "--quiet", "--python", pretender).splitlines()
    report = json.loads(lines[-1])
    for row in report["rows"]:
        adapter = row["elements"] * 4 / 2**20
        assert row["client_peak_mib"] <= adapter + 64, row
        assert min(row["client_mask_s"], row["server_unmask_s"], row["replay_s"]) > 0, row
        assert row["peak_mib"] >= row["client_peak_mib"] and row["bytes_per_member"] > row["elements"] * 2, row
    assert {(row["members"], row["elements"], row["lost"]) for row in report["rows"]} >= {(3, 100000, 0), (10, 1000000, 1)}
    ratios, flower = report["ratios"], report["flower"]
    assert set(ratios) >= {"mask_to_aes", "server_to_stream", "replay_to_stream", "wire_overhead", "flower_client",
                           "flower_server"}
    assert 1 < ratios["wire_overhead"] <= 1.02 and min(ratios.values()) > 0, ratios
    assert [row["members"] for row in flower] == [10, 50]
    least = min(row["server_s"] / row["rondo_server_s"] for row in flower)
    assert abs(ratios["flower_server"] / least - 1) < 1e-3, report
    one = ok(work, "secagg", "--quick", "--kernel", "evp", "--threads", 2, "--quiet")
    assert "masks by evp, threads 2" in one and "wire_overhead" in one, one
    code, _, err = rondo(work, "secagg", "--quick", "--quiet", "--python", "/bin/false")
    assert code == INCOMPLETE and err, (code, err)
    nothing_is_left(work)


def forwarded(work):
    """`rondo bench` hands over, words, output and exit code alike; alone it says what is missing."""
    words = ("train", "--list", "--shape", "small", "--format", "json")
    done = subprocess.run([RONDO, "bench", *words], capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stdout) == (0, ok(work, *words)), done
    done = subprocess.run([RONDO, "bench", "gemm", "--backend", "gpu"], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == USAGE and done.stderr.startswith("rondo-bench gemm: "), done
    lonely = work / "lonely"
    lonely.mkdir()
    shutil.copy(RONDO, lonely / "rondo")
    done = subprocess.run([lonely / "rondo", "bench", "gemm"], capture_output=True, text=True, timeout=LIMIT,
                          env={**os.environ, "PATH": str(lonely)})
    assert done.returncode == UNSUPPORTED and "program of its own" in done.stderr, done
    for program in ("rondo", "rondo-coordinator", "rondo-trainer"):
        assert b"import torch" not in (BIN / program).read_bytes(), f"{program} carries the benchmark's script"


def main():
    if not BENCH.exists():
        print(f"skipped: {BENCH} is not built")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        trained = () if os.environ.get("RONDO_SANITIZED") else (overheads, beside_a_peer)  # minutes under a sanitizer
        for check in (forwarded, secagg, alone, *trained, bad_input, a_signal_leaves_no_files, gemm):
            check(work)
            print(f"ok: {check.__name__}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
