#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training speed of `rondo train` beside PyTorch + transformers + peft: same model (random weights),
same texts, batch, adapters and number of threads, both in float32, in turns in one run. Best of
--repeats each, real tokens counted. Prints tokens per second and their ratio.

Lengths: "128" = every text 128 tokens; "glue" = log-normal, median 24, 5 to 128.

Usage: python3 tests/bench/bench_train.py --rondo build/release/bin/rondo [--shape small|base|large]
           [--lengths glue|128] [--top N] [--active both|A|B] [--batch N] [--steps N]
           [--threads N] [--repeats N] [--format text|json]
"""
import argparse
import json
import os
import platform
import subprocess
import tempfile
import time

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import RobertaConfig, RobertaForSequenceClassification

SHAPES = {  # layers, hidden, heads, intermediate
    "small": (4, 256, 4, 1024),
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
}
WORDS = 1000
RANK = 4


def lengths_of(kind, count):
    generator = torch.Generator().manual_seed(1)
    if kind == "128":
        return [128] * count
    drawn = torch.exp(torch.randn(count, generator=generator) * 0.7) * 24
    return [int(n) for n in drawn.clamp(5, 128)]


def write_model(shape, folder):
    layers, hidden, heads, inner = SHAPES[shape]
    torch.manual_seed(0)
    model = RobertaForSequenceClassification(RobertaConfig(
        vocab_size=WORDS + 4, hidden_size=hidden, num_hidden_layers=layers,
        num_attention_heads=heads, intermediate_size=inner, max_position_embeddings=130,
        type_vocab_size=1, pad_token_id=1, num_labels=2, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0))
    model.save_pretrained(folder)
    words = ["<s>", "<pad>", "</s>", "<unk>"] + [f"w{i}" for i in range(WORDS)]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    return model


def write_data(lengths, path):
    generator = torch.Generator().manual_seed(2)
    ids = []
    with open(path, "w", encoding="utf-8") as out:
        out.write("text\tlabel\n")
        for i, length in enumerate(lengths):
            words = torch.randint(0, WORDS, (length - 2,), generator=generator).tolist()
            ids.append([0] + [w + 4 for w in words] + [2])
            out.write(" ".join(f"w{w}" for w in words) + f"\t{i % 2}\n")
    return ids


def rondo_run(options, model, data, out):
    command = [options.rondo, "train", "--model", model, "--data", data, "--text", "text",
               "--label", "label", "--rank", str(RANK), "--alpha", "8", "--target", "query,value",
               "--head", "local", "--active", options.active, "--lr", "1e-4", "--batch",
               str(options.batch), "--steps", str(options.steps), "--no-shuffle", "--max-length",
               "128", "--out", out, "--format", "json", "--quiet", "--threads",
               str(options.threads)]
    if options.top:
        layers = SHAPES[options.shape][0]
        command += ["--layers", ",".join(str(i) for i in range(layers - options.top, layers))]
    result = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(result.splitlines()[-1])["tokens_per_second"]


def peft_model(options, base):
    layers = SHAPES[options.shape][0]
    chosen = list(range(layers - options.top, layers)) if options.top else None
    model = get_peft_model(base, LoraConfig(
        task_type="SEQ_CLS", r=RANK, lora_alpha=8, target_modules=["query", "value"],
        layers_to_transform=chosen))
    for name, value in model.named_parameters():
        frozen = {"A": "lora_B", "B": "lora_A"}.get(options.active)
        if frozen is not None and frozen in name:
            value.requires_grad = False
    return model.train()


def peft_run(options, model, ids):
    """Tokens per second over the steps; batches padded to their longest text."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    tokens = 0
    begun = time.perf_counter()
    for step in range(options.steps):
        first = step * options.batch % len(ids)
        rows = ids[first:first + options.batch]
        width = max(len(row) for row in rows)
        inputs = torch.tensor([row + [1] * (width - len(row)) for row in rows])
        mask = (inputs != 1).long()
        labels = torch.tensor([(first + i) % 2 for i in range(len(rows))])
        model(input_ids=inputs, attention_mask=mask, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        tokens += sum(len(row) for row in rows)
    return tokens / (time.perf_counter() - begun)


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rondo", required=True)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--lengths", choices=("glue", "128"), default="glue")
    parser.add_argument("--top", type=int, default=0, help="adapt the top N layers; 0: all")
    parser.add_argument("--active", choices=("both", "A", "B"), default="both")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        base = write_model(options.shape, os.path.join(folder, "model"))
        lengths = lengths_of(options.lengths, options.batch * options.steps)
        data = os.path.join(folder, "data.tsv")
        ids = write_data(lengths, data)
        model = peft_model(options, base)
        peft_run(argparse.Namespace(**{**vars(options), "steps": 1}), model, ids)
        ours, theirs = [], []
        for _ in range(options.repeats):
            ours.append(rondo_run(options, os.path.join(folder, "model"), data,
                                  os.path.join(folder, "adapter")))
            theirs.append(peft_run(options, model, ids))
    result = {"cpu": cpu_name(), "threads": options.threads, "shape": options.shape,
              "lengths": options.lengths, "top": options.top, "active": options.active,
              "batch": options.batch, "steps": options.steps, "torch": torch.__version__,
              "rondo_tokens_per_second": round(max(ours), 1),
              "peft_tokens_per_second": round(max(theirs), 1),
              "ratio": round(max(ours) / max(theirs), 3)}
    if options.format == "json":
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:26s} {value}")


if __name__ == "__main__":
    main()
