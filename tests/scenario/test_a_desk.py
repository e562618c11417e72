#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The engineer's desk: `rondo train`, `evaluate`, `predict`, `tokenize` and `model` on the embedded
encoder, and what bad input gets.

RONDO_BIN is the folder of the programs (default: build/release/bin).
"""

import gzip
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import federation
from federation import BIN, CONFIG, DATA, DEV, IO, LIMIT, MEMORY, MODEL, NO_INPUT, TRAIN, USAGE, ok, rondo

RONDO = BIN / "rondo"
COLUMNS = ("--text", "sentence", "--label", "label")


def refused(expected_code, expected_text, *arguments):
    err = federation.refused(expected_code, expected_text, *arguments)
    assert len(err.splitlines()) == 1, f"{arguments}: more than one line\n{err}"


def train(out, *more):
    return ok("train", "--model", MODEL, "--data", TRAIN, *COLUMNS, "--rank", 4, "--batch", 16, "--lr", 3e-3,
              "--max-length", 48, "--out", out, "--quiet", *more)


def learns_and_is_used(work):
    before = json.loads(ok("evaluate", "--model", MODEL, "--data", DEV, *COLUMNS, "--format", "json"))
    report = json.loads(train(work / "one", "--steps", 60, "--dev", DEV, "--format", "json"))
    assert report["steps"] == 60 and report["examples"] == 960
    assert report["loss_last"] < report["loss_first"]
    assert report["dev"]["accuracy"] > before["accuracy"] + 0.1, (before, report)
    after = json.loads(ok("evaluate", "--model", MODEL, "--adapter", work / "one", "--data", DEV, *COLUMNS,
                          "--format", "json"))
    assert after == report["dev"], (after, report["dev"])  # labels and length come with the adapter

    lines = [json.loads(line) for line in ok("predict", "--model", MODEL, "--adapter", work / "one", "--data", DEV,
                                             "--text", "sentence", "--format", "jsonl").splitlines()]
    with gzip.open(DEV, "rt", encoding="utf-8") as file:
        labels = [row.rstrip("\n").split("\t")[1] for row in file][1:]
    assert len(lines) == len(labels) == after["count"]
    right = sum(line["label"] == label for line, label in zip(lines, labels))
    assert abs(right / len(labels) - after["accuracy"]) < 1e-9
    assert all(max(line["logits"]) == line["logits"][line["class"]] for line in lines)


def same_options_same_bytes(work):
    for name in ("a", "b"):
        train(work / name, "--steps", 5, "--seed", 9)
    train(work / "c", "--steps", 5, "--seed", 10)
    bytes_of = {n: (work / n / "adapter_model.safetensors").read_bytes() for n in "abc"}
    assert bytes_of["a"] == bytes_of["b"] != bytes_of["c"]


def tensors(folder):
    data = (folder / "adapter_model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    return {name: data[8 + length + entry["data_offsets"][0]:8 + length + entry["data_offsets"][1]]
            for name, entry in header.items() if name != "__metadata__"}


def the_frozen_matrix_keeps_its_bytes(work):
    train(work / "start", "--steps", 3)
    train(work / "only_b", "--steps", 3, "--init-adapter", work / "start", "--active", "B", "--head", "frozen")
    train(work / "only_a", "--steps", 3, "--init-adapter", work / "start", "--active", "A")
    start, only_b, only_a = (tensors(work / n) for n in ("start", "only_b", "only_a"))
    assert start.keys() == only_b.keys() == only_a.keys()
    for name, value in start.items():
        assert (only_b[name] == value) == ("lora_B" not in name), name
        assert (only_a[name] == value) == ("lora_B" in name), name


def private(work, name, data, *more):
    return ok("train", "--model", MODEL, "--data", data, *COLUMNS, "--labels", "complaint,praise", "--max-length", 48,
              "--dp-clip", 0.5, "--dp-noise", 0.7, "--dp-sampling-rate", "1e-15", "--dp-batch-cap", 64,
              "--dp-denominator", 16, "--steps", 2, "--out", work / name, "--quiet", *more)


def dp_sgd_keeps_the_data_to_itself(work):
    """Beside the weights nothing of an adapter depends on the records; two runs never share their noise; class names
    are given, not found; a run that drew no record reports no loss."""
    few, all_lines = work / "few.tsv", gzip.open(TRAIN, "rt", encoding="utf-8").read().splitlines(keepends=True)
    few.write_text("".join(all_lines[:2]))
    report = json.loads(private(work, "dp_few", few, "--format", "json"))
    assert report["examples"] == 0 and report["loss_first"] is None and report["loss_mean"] is None, report
    private(work, "dp_all", TRAIN)
    private(work, "dp_again", TRAIN)
    names = sorted(path.name for path in (work / "dp_few").iterdir())
    assert names == sorted(path.name for path in (work / "dp_all").iterdir())
    for name in names:
        same = (work / "dp_few" / name).read_bytes() == (work / "dp_all" / name).read_bytes()
        assert same == (name != "adapter_model.safetensors"), name
    one, two = tensors(work / "dp_all"), tensors(work / "dp_again")
    assert all(one[name] != two[name] for name in one)
    refused(USAGE, "--labels", "train", "--model", MODEL, "--data", TRAIN, *COLUMNS, "--dp-clip", 0.5, "--dp-noise", 1,
            "--quiet", "--out", work / "never_dp")
    assert not (work / "never_dp").exists()


def facts(work):
    hash_line = ok("model", "hash", MODEL).strip()
    assert len(hash_line) == 64 and int(hash_line, 16) >= 0
    assert json.loads(ok("model", "inspect", MODEL, "--format", "json"))["family"] == "roberta"
    assert json.loads(ok("model", "inspect", work / "one", "--format", "json"))["rank"] == 4
    plan = json.loads(ok("trainer", "plan", "--model", MODEL, "--rank", "4", "--format", "json"))
    assert plan["fits"] and plan["host"] == sum(line["bytes"] for line in plan["lines"]), plan
    refused(MEMORY, "are available", "trainer", "plan", "--model", MODEL, "--memory", "64M")
    refused(USAGE, "--memory", "trainer", "plan", "--model", MODEL, "--memory", "much")
    totals = json.loads(ok("tokenize", "--model", MODEL, "--data", DEV, "--text", "sentence", "--format", "json"))
    lines = ok("tokenize", "--model", MODEL, "--data", DEV, "--text", "sentence").splitlines()
    assert totals["records"] == len(lines) and totals["tokens"] == sum(len(line.split()) for line in lines)


def private_options(work):
    """DP-SGD: noise from the system, no epsilon claimed, options that belong together."""
    dp = ("--dp-clip", 0.05, "--dp-noise", 0.8, "--labels", "complaint,praise")
    for name in ("p", "q"):
        report = json.loads(train(work / name, "--steps", 3, *dp, "--format", "json"))
        assert report["steps"] == 3 and report["examples"] == 48, report
    files = [(work / name / "adapter_model.safetensors").read_bytes() for name in ("p", "q")]
    assert files[0] != files[1] and len(files[0]) == len(files[1])
    assert "no epsilon is claimed" in (work / "p" / "README.md").read_text()
    sampled = ("--dp-sampling-rate", 0.01, "--dp-batch-cap", 200, "--dp-denominator", 40)
    data = ("--model", MODEL, "--data", TRAIN, *COLUMNS, "--quiet", "--out", work / "s", "--overwrite")
    text = ok("train", *data, *dp, *sampled, "--steps", 3)
    assert "no epsilon is claimed" in text and "0 batches empty, 0 cut" in text, text
    never = ("--dp-sampling-rate", 1e-15, "--dp-batch-cap", 2, "--dp-denominator", 1, "--steps", 2)
    report = json.loads(ok("train", *data, *dp, *never, "--format", "json"))
    assert report["examples"] == 0 and report["loss_last"] is None, report
    picked = ("--dp-clipping", "automatic", "--dp-picks", 1, "--dp-batch-cap", 4000, "--dp-denominator", 40)
    report = json.loads(ok("train", *data, *dp, *picked, "--steps", 2, "--format", "json"))
    records = json.loads(ok("train", *data, "--epochs", 1, "--format", "json"))["examples"]
    assert report["examples"] == records, (report, records)
    refused(CONFIG, "picks must be", "train", *data, *dp, "--dp-picks", 3, *picked[4:], "--steps", 2)
    refused(USAGE, "--dp-picks needs --steps", "train", *data, *dp, *picked)
    refused(USAGE, "exclude each other", "train", *data, *dp, *picked, *sampled[:2], "--steps", 2)
    refused(USAGE, "every B is zero", "train", *data, *dp, "--steps", 1, "--active", "A")
    refused(USAGE, "--dp-noise needs --dp-clip", "train", *data, "--dp-noise", 1)
    refused(USAGE, "--dp-clip needs --dp-noise", "train", *data, "--dp-clip", 1)
    refused(USAGE, "exclude each other", "train", *data, *dp, "--clip", 1)
    refused(USAGE, "go together", "train", *data, *dp, "--dp-sampling-rate", 0.1)
    refused(USAGE, "needs --steps", "train", *data, *dp, *sampled)
    refused(USAGE, "excludes --batch", "train", *data, *dp, *sampled, "--steps", 1, "--batch", 4)
    refused(USAGE, "--dp-noise", "train", *data, "--dp-clip", 1, "--dp-noise", 0)


def bad_input(work):
    data = ("--data", TRAIN, *COLUMNS, "--steps", 1, "--quiet", "--out", work / "never")
    refused(USAGE, "did you mean \"train\"", "trian")
    refused(USAGE, "did you mean --batch", "train", "--model", MODEL, *data, "--btach", 3)
    refused(USAGE, "no column \"text\"", "train", "--model", MODEL, "--data", TRAIN, "--text", "text",
            "--label", "label", "--out", work / "never")
    refused(NO_INPUT, "/nonexistent/config.json", "train", "--model", "/nonexistent", *data)
    refused(CONFIG, "qeury", "train", "--model", MODEL, *data, "--targets", "qeury")
    refused(DATA, "train.tsv.gz:2: column \"label\"", "train", "--model", MODEL, *data, "--labels", "x,y")
    broken = work / "broken"
    shutil.copytree(MODEL, broken)
    weights = broken / "model.safetensors"
    whole = (MODEL / "model.safetensors").read_bytes()
    weights.write_bytes(whole[:-1000])
    refused(DATA, "model.safetensors", "train", "--model", broken, *data)
    weights.write_bytes(whole + b"x")
    refused(DATA, "data bytes", "train", "--model", broken, *data)
    weights.write_bytes(b"\xff" * 8 + whole[8:])
    refused(DATA, "the limit is", "train", "--model", broken, *data)
    weights.write_bytes(whole)
    config = json.loads((MODEL / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))
    refused(69, "relu", "train", "--model", broken, *data)
    (broken / "config.json").write_text(json.dumps({**config, "intermediate_size": config["intermediate_size"] + 4}))
    refused(DATA, "has shape", "train", "--model", broken, *data)
    (broken / "config.json").write_text(json.dumps({**config, "num_hidden_layers": config["num_hidden_layers"] + 1}))
    refused(DATA, "is missing", "train", "--model", broken, *data)
    (broken / "config.json").write_text(json.dumps(config))
    (broken / "tokenizer.json").write_text('{"model": {"type": "Unigram"}}')
    refused(69, "Unigram", "train", "--model", broken, *data)
    assert not (work / "never").exists()
    (work / "empty.tsv").write_text("sentence\tlabel\n")
    refused(DATA, "empty.tsv", "tokenize", "--model", MODEL, "--data", work / "empty.tsv", "--text", "sentence")
    (work / "latin.tsv").write_bytes(b"sentence\tlabel\nna\xefve\tx\n")
    refused(DATA, "latin.tsv:2", "tokenize", "--model", MODEL, "--data", work / "latin.tsv", "--text",
            "sentence")
    code, _, err = rondo("evaluate", "--model", MODEL, "--adapter", "/nonexistent", "--data", DEV, *COLUMNS,
                         "--format", "json")
    assert code == NO_INPUT and json.loads(err)["error"]["code"] == "no-input", err


def nothing_is_replaced_by_surprise(work):
    out = work / "precious"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    few = ("--model", MODEL, "--data", TRAIN, *COLUMNS, "--steps", 1, "--quiet", "--out", out)
    refused(USAGE, "holds files already", "train", *few)
    split = ("data", "split", "--data", TRAIN, *COLUMNS, "--parts", 2, "--out", out)
    refused(USAGE, "--overwrite", *split)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    ok("train", *few, "--overwrite")
    ok(*split, "--overwrite")
    (work / "empty").mkdir()
    ok("train", *few[:-1], work / "empty")


def split_says_what_it_made(work):
    text = ok("data", "split", "--data", TRAIN, *COLUMNS, "--parts", 2, "--skew", 1, "--out", work / "parts")
    report = json.loads(ok("data", "split", "--data", TRAIN, *COLUMNS, "--parts", 2, "--skew", 1, "--out",
                           work / "parts2", "--format", "json"))
    assert "--text text --label label" in text, text
    for part in report["parts"]:
        rows = [json.loads(line) for line in pathlib.Path(part["path"]).read_text().splitlines()]
        counted = {name: sum(row["label"] == name for row in rows) for name in ("complaint", "praise")}
        assert part["classes"] == counted and part["records"] == len(rows) and set(rows[0]) == {"text", "label"}
        line = f": {len(rows)} records: complaint {counted['complaint']}, praise {counted['praise']}\n"
        assert line in text, (line, text)


def few_of(work):
    """A part of the development data, for what is said whatever the records are."""
    path = work / "few_dev.tsv"
    with gzip.open(DEV, "rt", encoding="utf-8") as file:
        path.write_text("".join(line for line, _ in zip(file, range(1 + 150))), encoding="utf-8")
    return path


def what_a_person_should_know(work):
    """Said on standard error, not with --quiet; never part of the result."""
    def notes(*arguments):
        code, out, err = rondo(*arguments)
        quiet = rondo(*arguments, "--quiet")
        assert code == 0 and quiet[0] == 0 and quiet[2] == "", (arguments, err, quiet)
        return err

    base = ("--model", MODEL, "--data", few_of(work), *COLUMNS)
    assert "its head is random" in notes("evaluate", *base)
    assert "its head is random" not in notes("evaluate", *base, "--adapter", work / "one")
    numbers = work / "numbers.tsv"
    with open(few_of(work), encoding="utf-8") as file:
        numbers.write_text(file.read().replace("\tcomplaint", "\t0").replace("\tpraise", "\t1"))
    text = notes("evaluate", "--model", MODEL, "--data", numbers, *COLUMNS, "--labels", "neg,pos")
    assert "0 is taken as neg, 1 as pos" in text, text
    assert "taken as" not in notes("evaluate", *base, "--labels", "complaint,praise")
    train = ("train", "--model", MODEL, "--data", TRAIN, *COLUMNS, "--steps", 20, "--batch", 16, "--max-length", 48,
             "--overwrite")
    assert "diverged" in notes(*train, "--lr", 50, "--clip", 0, "--optimizer", "sgd", "--out", work / "wild")
    assert "diverged" not in notes(*train, "--lr", 1e-3, "--out", work / "tame")


def a_full_disk_is_said_so(work):
    few = few_of(work)
    for arguments in (("predict", "--model", MODEL, "--data", few, "--text", "sentence", "--labels", "a,b"),
                      ("evaluate", "--model", MODEL, "--data", few, *COLUMNS),
                      ("tokenize", "--model", MODEL, "--data", few, "--text", "sentence"), ("train", "--help")):
        with open("/dev/full", "w") as full:
            done = subprocess.run([RONDO, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=LIMIT)
        assert done.returncode == IO and "cannot write" in done.stderr, (arguments, done)
    cut = work / "cut.tsv.gz"
    cut.write_bytes(TRAIN.read_bytes()[:-20])
    code, _, err = rondo("tokenize", "--model", MODEL, "--data", cut, "--text", "sentence")
    assert code == DATA and "gzip" in err and "<fd:" not in err, err


def curves_say_what_is_missing(work):
    rounds = work / "rounds.csv"
    rounds.write_text("round,loss,accuracy\n1,0.7,\n2,0.6,\n")
    refused(DATA, "rondo init --dev", "curves", rounds, "--out", work / "c.svg")
    refused(DATA, "it has round,loss,accuracy", "curves", rounds, "--column", "f1", "--out", work / "c.svg")
    assert ok("curves", rounds, "--column", "loss", "--out", work / "c.svg").strip() == str(work / "c.svg")


def main():
    if not RONDO.exists():
        print(f"skipped: {RONDO} is not built")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        for step in (learns_and_is_used, same_options_same_bytes, the_frozen_matrix_keeps_its_bytes,
                     dp_sgd_keeps_the_data_to_itself, facts, private_options, bad_input,
                     nothing_is_replaced_by_surprise, split_says_what_it_made, what_a_person_should_know,
                     a_full_disk_is_said_so, curves_say_what_is_missing):
            step(pathlib.Path(folder))
            print(f"{step.__name__}: good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
