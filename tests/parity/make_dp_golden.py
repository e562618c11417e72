#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes clipped.safetensors beside the golden files of tests/parity/generate.py: what per-example clipping of DP-SGD
gives, by torch, one example at a time, in float64.

  norms [n]        of each example's gradient of its own loss, over A, B and head together
  clip [1]         the clip norm: the median of the norms
  sum.<tensor>     sum over the examples of gradient * min(1, clip / norm)

Usage: python3 tests/parity/make_dp_golden.py [--golden tests/parity/golden]
"""
import argparse
import csv
import os

import torch
from peft import PeftModel
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification

from generate import CASES, batch_of, trained


def examples_from(case, path):
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            texts = [row["text"], row["pair"]] if case["pairs"] else [row["text"]]
            yield texts, float(row["label"]) if case["labels"] == 1 else int(row["label"])


def golden_of(case, folder):
    tokenizer = Tokenizer.from_file(os.path.join(folder, "model", "tokenizer.json"))
    base = AutoModelForSequenceClassification.from_pretrained(
        os.path.join(folder, "model"), num_labels=case["labels"], attn_implementation="eager")
    model = PeftModel.from_pretrained(base, os.path.join(folder, "adapter"), is_trainable=True)
    model = model.double().eval()
    values = trained(model, "both")
    gradients = []
    for example in examples_from(case, os.path.join(folder, "data.tsv")):
        batch, _ = batch_of(case, tokenizer, [example])
        loss = model(**batch).loss
        gradients.append(torch.autograd.grad(loss, list(values.values())))
    norms = torch.stack([torch.sqrt(sum((g * g).sum() for g in each)) for each in gradients])
    clip = norms.median().float().double()
    factors = torch.clamp(clip / norms, max=1.0)
    out = {"norms": norms, "clip": clip.reshape(1)}
    for i, name in enumerate(values):
        out[f"sum.{name}"] = sum(f * each[i] for f, each in zip(factors, gradients))
    out = {name: value.detach().float().contiguous() for name, value in out.items()}
    save_file(out, os.path.join(folder, "clipped.safetensors"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--golden", default=os.path.join(os.path.dirname(__file__), "golden"))
    golden = parser.parse_args().golden
    for name, case in CASES.items():
        golden_of(case, os.path.join(golden, name))


if __name__ == "__main__":
    main()
