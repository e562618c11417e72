#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""LoRA steps of Rondo's cuda backend beside peft on the same GPU, in one run.

    tests/bench/gpu_step.py --rondo build/release/bin/rondo [--out FILE]

Random weights in RoBERTa's shape, one word a token, the same lengths for both sides; r = 8 on query and
value, AdamW. Rondo also runs with its savings one by one off, with gradients of examples (DP-SGD), and
with products timed once and kept (a plan file). peft runs eager and, with --compile, under torch.compile on the same batch padded to its
longest sequence. Prints milliseconds a step, tokens a second and the ratio, and writes them as JSON.
Exit code 77: no GPU, or torch, transformers or peft is missing. --peft none times Rondo alone.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

from gpu_baseline import glue_lengths, make_peft, make_step, median_ms

SHAPES = {  # layers, hidden, heads, intermediate
    "large": (24, 1024, 16, 4096), "base": (12, 768, 12, 3072), "tiny": (2, 64, 2, 128)}


def write_model(folder, shape):
    """A Hugging Face directory with random weights and a tokenizer of one token a word."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import RobertaConfig, RobertaForSequenceClassification
    layers, hidden, heads, inner = SHAPES[shape]
    words = ["<s>", "<pad>", "</s>", "<unk>"] + [f"w{i}" for i in range(2000)]
    torch.manual_seed(1)
    config = RobertaConfig(
        vocab_size=len(words), hidden_size=hidden, num_hidden_layers=layers,
        num_attention_heads=heads, intermediate_size=inner, max_position_embeddings=514,
        type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        num_labels=2)
    RobertaForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.save(str(pathlib.Path(folder) / "tokenizer.json"))


def write_data(path, lengths, batches):
    """Every batch has the same lengths, in the same order."""
    draw = random.Random(2)
    with open(path, "w") as file:
        file.write("text\tlabel\n")
        for _ in range(batches):
            for length in lengths:
                text = " ".join(f"w{draw.randrange(2000)}" for _ in range(length - 2))
                file.write(f"{text}\t{draw.randrange(2)}\n")


def rondo_ms(args, model, data, batch, steps, layers, active, options, variables):
    """Milliseconds a step from two runs of different length, so that start-up cancels."""
    seconds = []
    for count in (steps // 4, steps):
        command = [args.rondo, "train", "--model", model, "--data", data, "--text", "text",
                   "--label", "label", "--rank", "8", "--alpha", "16", "--steps", str(count),
                   "--batch", str(batch), "--no-shuffle", "--schedule", "constant", "--lr", "1e-4",
                   "--active", active, "--backend", args.backend, "--format", "json", "--quiet",
                   "--out", str(pathlib.Path(data).parent / f"adapter-{count}-{random.random()}")]
        command += options
        if layers:
            command += ["--layers", ",".join(map(str, layers))]
        environment = dict(os.environ, **variables)
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
        seconds.append(json.loads(out)["seconds"])
    return 1e3 * (seconds[1] - seconds[0]) / (steps - steps // 4)


def peft_ms(args, torch, lengths, layers, compiled):
    torch._dynamo.reset()
    width = -(-max(lengths) // 8) * 8
    model = make_peft(torch, torch.bfloat16, layers)
    step = make_step(torch, torch.compile(model, dynamic=False) if compiled else model, lengths,
                     width, True)
    ms = median_ms(torch, step, repeats=10, warm=4)
    torch.cuda.empty_cache()
    return ms


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rondo", required=True)
    parser.add_argument("--backend", default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="large")
    parser.add_argument("--peft", choices=("run", "none"), default="run", help="large shape only")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--savings", action="store_true",
                        help="Rondo alone, in two cases, with one thing changed at a time")
    parser.add_argument("--out")
    args = parser.parse_args()
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as missing:
        print(f"skipped: {missing}")
        return 77
    args.peft = "none" if args.savings else args.peft
    if args.peft == "run" and not torch.cuda.is_available():
        print("skipped: no GPU here")
        return 77
    depth = SHAPES[args.shape][0]
    upper = list(range(depth * 15 // 24, depth))
    cases = {"16 GLUE-like": glue_lengths(16, 3), "16x128": [128] * 16}
    if args.shape != "tiny":
        cases |= {"210 GLUE-like": glue_lengths(210, 4), "64x128": [128] * 64}
    if args.savings:
        cases = {name: cases[name] for name in ("16 GLUE-like", "64x128") if name in cases}
    top = [depth - 2, depth - 1]
    uncached = ["--prefix-cache", "off"]
    private = ["--dp-clip", "1", "--dp-noise", "1"]
    settings = [  # peft's setting, layers, active; then what differs in Rondo's run
        ("all layers", None, "both", "", [], {}),
        ("all layers", None, "both", "operations issued one by one", [], {"RONDO_CUDA_GRAPHS": "off"}),
        ("all layers", None, "both", "plan file", [], {"RONDO_CUDA_PLANS": "plans"}),
        ("all layers", None, "both", "plain last layer", ["--plain", "last-layer"], {}),
        ("all layers", None, "both", "DP-SGD", private, {}),
        ("all layers", None, "B", "", [], {}),
        ("all layers", None, "B", "DP-SGD", private, {}),
        ("all layers", None, "A", "", [], {}),
        (f"layers {upper[0]}-{upper[-1]}", upper, "both", "prefix cached", [], {}),
        (f"layers {upper[0]}-{upper[-1]}", upper, "both", "not cached", uncached, {}),
        ("top 2", top, "both", "prefix cached", [], {}),
        ("top 2", top, "both", "not cached", uncached, {})]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model")
        write_model(model, args.shape)
        peft_known = {}
        for case, lengths in cases.items():
            data = os.path.join(folder, "data.tsv")
            write_data(data, lengths, 4)
            for label, layers, active, how, options, variables in settings:
                compared = how in ("", "prefix cached")
                if (how == "prefix cached") if args.savings else not compared:
                    continue
                variables = {k: os.path.join(folder, v) if v == "plans" else v
                             for k, v in variables.items()}
                ms = rondo_ms(args, model, data, len(lengths), args.steps, layers, active, options,
                              variables)
                row = dict(case=case, setting=label, active=active, how=how, rondo_ms=round(ms, 3),
                           rondo_ktok_s=round(sum(lengths) / ms, 1))
                if args.peft == "run" and args.shape == "large":
                    for compiled in (False, True) if args.compile else (False,):
                        name = "peft_compile" if compiled else "peft_eager"
                        key = (case, label, compiled)
                        if key not in peft_known:
                            peft_known[key] = peft_ms(args, torch, lengths, layers, compiled)
                        row[f"{name}_ms"] = round(peft_known[key], 3)
                        row[f"{name}_ratio"] = round(peft_known[key] / ms, 2)
                results.append(row)
                print(" ".join(f"{k}={v}" for k, v in row.items()), flush=True)
    if args.out:
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
        with open(args.out, "w") as file:
            json.dump(dict(device=device, torch=torch.__version__, results=results), file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
