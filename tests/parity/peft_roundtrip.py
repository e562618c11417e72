#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loads an adapter that Rondo wrote in `peft`, and one that `peft` wrote in Rondo.

    tests/parity/peft_roundtrip.py --rondo build/release/bin/rondo --model ../shared/data/encoder-small \\
        --train ../shared/data/glue-sst2/train.tsv.gz --dev ../shared/data/glue-sst2/dev.tsv.gz --text sentence

Without --adapter a short training run makes one. Labels must be equal on every record, logits within
1e-4. Exit code 0, 1 on a difference, 77 when torch, transformers or peft is missing.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
sys.path.insert(0, str(pathlib.Path(__file__).parent))

try:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast, logging
    from tokenizer_parity import read_texts
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

logging.set_verbosity_error()


def rondo_predict(args, adapter, max_length):
    out = subprocess.run([args.rondo, "predict", "--model", args.model, "--adapter", adapter, "--data", args.dev,
                          "--text", args.text, "--max-length", str(max_length), "--labels", args.labels,
                          "--format", "jsonl"],
                         check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in out.decode().splitlines()]


def peft_predict(args, model, texts, max_length):
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(pathlib.Path(args.model) / "tokenizer.json"),
                                        model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    pad = json.loads((pathlib.Path(args.model) / "config.json").read_text()).get("pad_token_id", 0)
    logits = []
    model.eval()
    with torch.no_grad():
        for start in range(0, len(texts), 32):
            rows = [tokenizer(*text, truncation=True, max_length=max_length) for text in texts[start:start + 32]]
            width = max(len(row["input_ids"]) for row in rows)
            fill = lambda key, value: torch.tensor([r[key] + [value] * (width - len(r[key])) for r in rows])  # noqa
            types = fill("token_type_ids", 0) if model.config.type_vocab_size > 1 else None
            logits.append(model(input_ids=fill("input_ids", pad), attention_mask=fill("attention_mask", 0),
                                token_type_ids=types).logits)
    return torch.cat(logits)


def compare(name, ours, theirs):
    ours = ours[:len(theirs)]
    labels = sum(p["class"] != int(t.argmax()) for p, t in zip(ours, theirs))
    worst = (torch.tensor([p["logits"] for p in ours]) - theirs).abs().max().item()
    print(f"{name}: {len(ours)} records, {labels} labels differ, logits differ by at most {worst:.2e}")
    return labels == 0 and worst < 1e-4 and len(ours) == len(theirs)


def peft_target(args):
    return args.targets if args.targets == "all-linear" else args.targets.split(",")


def base_model(args):
    count = len(args.labels.split(","))
    return AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=count)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rondo", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--train")
    parser.add_argument("--dev", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--label", default="label")
    parser.add_argument("--labels", default="0,1")
    parser.add_argument("--adapter")
    parser.add_argument("--targets", default="query,value")
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--rows", type=int, default=1000000)
    args = parser.parse_args()
    torch.manual_seed(3)
    texts = list(read_texts(pathlib.Path(args.dev), args.text.split(","), args.rows))
    with tempfile.TemporaryDirectory() as work:
        adapter = args.adapter or f"{work}/adapter"
        if not args.adapter:
            subprocess.run([args.rondo, "train", "--model", args.model, "--data", args.train, "--text", args.text,
                            "--label", args.label, "--labels", args.labels, "--max-length", str(args.max_length),
                            "--rank", "4", "--alpha", "8", "--targets", args.targets, "--steps", "30", "--quiet",
                            "--out", adapter], check=True, stdout=subprocess.DEVNULL)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            loaded = PeftModel.from_pretrained(base_model(args), adapter)
        for warning in seen:
            print("peft says:", str(warning.message)[:200])
        good = compare("written by rondo", rondo_predict(args, adapter, args.max_length),
                       peft_predict(args, loaded, texts, args.max_length))

        own = get_peft_model(base_model(args), LoraConfig(task_type="SEQ_CLS", r=3, lora_alpha=6,
                                                          target_modules=peft_target(args), use_rslora=True))
        for name, value in own.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(value, std=0.05)
        own.save_pretrained(f"{work}/own")
        good = compare("written by peft ", rondo_predict(args, f"{work}/own", args.max_length),
                       peft_predict(args, own, texts, args.max_length)) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
