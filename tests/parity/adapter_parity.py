#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that peft loads an adapter that Rondo wrote and computes what Rondo computes.

Runs `rondo predict` and PeftModel.from_pretrained on the same file; the labels must be equal and the
logits within 1e-4. Prints one JSON line; exit status 1 when they differ.

Usage: python3 tests/parity/adapter_parity.py --rondo build/release/bin/rondo --model DIR
           --adapter DIR --data FILE.tsv --text COLUMN[,COLUMN] [--max-length N]
"""
import argparse
import csv
import gzip
import json
import subprocess
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast


def rows_of(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def rondo_logits(options):
    command = [options.rondo, "predict", "--model", options.model, "--adapter", options.adapter,
               "--data", options.data, "--text", options.text, "--format", "jsonl"]
    if options.max_length:
        command += ["--max-length", str(options.max_length)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return torch.tensor([json.loads(line)["logits"] for line in out.splitlines()])


def peft_logits(options, labels):
    base = AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=labels)
    model = PeftModel.from_pretrained(base, options.adapter).eval()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=f"{options.model}/tokenizer.json",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    pad = model.config.pad_token_id
    columns = options.text.split(",")
    rows = rows_of(options.data)
    most = options.max_length or (model.config.max_position_embeddings -
                                  (pad + 1 if model.config.model_type == "roberta" else 0))
    out = []
    for start in range(0, len(rows), 64):
        batch = [tokenizer(*[row[column] for column in columns], truncation=True, max_length=most)
                 for row in rows[start:start + 64]]
        width = max(len(one["input_ids"]) for one in batch)
        fill = lambda key, value: torch.tensor(
            [one[key] + [value] * (width - len(one[key])) for one in batch])
        inputs = {"input_ids": fill("input_ids", pad), "attention_mask": fill("attention_mask", 0)}
        if model.config.model_type == "bert":
            inputs["token_type_ids"] = fill("token_type_ids", 0)
        with torch.no_grad():
            out.append(model(**inputs).logits)
    return torch.cat(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("rondo", "model", "adapter", "data", "text"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--max-length", type=int, default=0)
    options = parser.parse_args()
    ours = rondo_logits(options)
    theirs = peft_logits(options, ours.shape[1])
    differing = int((ours.argmax(1) != theirs.argmax(1)).sum())
    distance = float((ours - theirs).abs().max())
    print(json.dumps({"examples": len(ours), "labels_differing": differing,
                      "logits_max_difference": distance}))
    sys.exit(0 if differing == 0 and distance <= 1e-4 else 1)


if __name__ == "__main__":
    main()
