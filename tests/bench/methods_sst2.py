#!/usr/bin/env python3
"""RoLoRA, FFA-LoRA and FedAvg-LoRA on a real task through the real programs, beside one centralised `peft` run.

    python3 tests/bench/methods_sst2.py --bin build/release/bin --model DIR --train train.tsv.gz --dev dev.tsv.gz \
        --text sentence --label label --out results [--seeds 1,2,3] [--methods rolora] [--rounds 30] [--steps 20] [--python python3]

Each federation is `rondo demo` with three organisations: coordinator and trainers as processes, mutual TLS, secure
aggregation. The centralised run makes rounds x steps optimiser steps over the undivided data; it needs torch,
transformers and peft under --python and is left out without them.

Writes DIR/<method>-<seed>.csv (the coordinator's rounds.csv), methods.csv (mean accuracy per round and method),
methods.svg, summary.json; prints the summary's table.
"""
import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys

METHODS = ("rolora", "ffa-lora", "fedavg-lora")


def federation(a, method, seed):
    directory = os.path.join(a.out, f"{method}-{seed}")
    shutil.rmtree(directory, ignore_errors=True)
    done = subprocess.run(
        [os.path.join(a.bin, "rondo"), "demo", "--model", a.model, "--data", a.train, "--dev", a.dev, "--text", a.text,
         "--label", a.label, "--members", "3", "--lose-none", "--skew", "0", "--method", method, "--rounds",
         str(a.rounds), "--steps", str(a.steps), "--batch", str(a.batch), "--rank", str(a.rank), "--alpha",
         str(a.alpha), "--targets", "query,value", "--head", "federated", "--lr", str(a.lr), "--max-length", "128",
         "--seed", str(seed), "--dir", directory, "--format", "json", "--quiet"],
        stdout=subprocess.PIPE, text=True, check=True)
    shutil.copy(os.path.join(directory, "coordinator/state/rounds.csv"), os.path.join(a.out, f"{method}-{seed}.csv"))
    shutil.rmtree(directory)
    return json.loads(done.stdout.strip().splitlines()[-1])


def centralised(a, seed):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "centralised_peft.py")
    done = subprocess.run(
        [a.python, script, "--model", a.model, "--train", a.train, "--dev", a.dev, "--text", a.text, "--label", a.label,
         "--rank", str(a.rank), "--alpha", str(a.alpha), "--lr", str(a.lr), "--batch", str(a.batch), "--steps",
         str(a.rounds * a.steps), "--seed", str(seed)], stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1]) if done.returncode == 0 else None


def curve(path):
    with open(path, newline="") as f:
        return {int(row["round"]): float(row["accuracy"]) for row in csv.DictReader(f) if row["accuracy"]}


def write_mean(a, methods, seeds):
    curves = {m: [curve(os.path.join(a.out, f"{m}-{s}.csv")) for s in seeds] for m in methods}
    for method in methods:
        with open(os.path.join(a.out, f"{method}.csv"), "w") as f:
            f.write("round,accuracy\n")
            for r in sorted(curves[method][0]):
                f.write(f"{r},{statistics.mean(c[r] for c in curves[method]):.6f}\n")
    with open(os.path.join(a.out, "methods.csv"), "w") as f:
        f.write("round," + ",".join(methods) + "\n")
        for r in sorted(curves[methods[0]][0]):
            f.write(f"{r}," + ",".join(f"{statistics.mean(c[r] for c in curves[m]):.6f}" for m in methods) + "\n")
    subprocess.run([os.path.join(a.bin, "rondo"), "curves", *(f"{m}={a.out}/{m}.csv" for m in methods), "--out",
                    os.path.join(a.out, "methods.svg")], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("bin", "model", "train", "dev", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--text", default="sentence")
    parser.add_argument("--label", default="label")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--python", default="python3")
    for name, kind, default in (("rounds", int, 30), ("steps", int, 20), ("batch", int, 32), ("rank", int, 4),
                                ("alpha", float, 16), ("lr", float, 1e-3)):
        parser.add_argument("--" + name, type=kind, default=default)
    a = parser.parse_args()
    os.makedirs(a.out, exist_ok=True)
    seeds = [int(s) for s in a.seeds.split(",")]
    summary = {"settings": {k: v for k, v in vars(a).items() if k not in ("bin", "model", "train", "dev", "out", "python")},
               "methods": {}}
    methods = a.methods.split(",")
    for method in methods:
        runs = [federation(a, method, s) for s in seeds]
        summary["methods"][method] = {"accuracy": [r["accuracy_after"] for r in runs],
                                      "mean": statistics.mean(r["accuracy_after"] for r in runs),
                                      "uplink_bytes": runs[0]["uplink_bytes"]}
        print(f"{method:12s} {summary['methods'][method]['mean']:.4f} {summary['methods'][method]['accuracy']}"
              f" uplink {runs[0]['uplink_bytes']}", flush=True)
    reference = [centralised(a, s) for s in seeds]
    if all(reference) and "rolora" in methods:
        summary["centralised"] = {"accuracy": [r["accuracy_after"] for r in reference],
                                  "mean": statistics.mean(r["accuracy_after"] for r in reference)}
        print(f"{'centralised':12s} {summary['centralised']['mean']:.4f} {summary['centralised']['accuracy']}")
        print(f"rolora is {100 * (summary['centralised']['mean'] - summary['methods']['rolora']['mean']):+.2f} points"
              " below the centralised run")
    else:
        print("centralised run left out: no rolora, or torch, transformers or peft missing", file=sys.stderr)
    write_mean(a, methods, seeds)
    with open(os.path.join(a.out, "summary.json"), "w") as f:
        json.dump(summary, f, indent=1)


if __name__ == "__main__":
    main()
