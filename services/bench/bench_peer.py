# SPDX-License-Identifier: Apache-2.0
"""The peer's side of `rondo-bench train`: LoRA steps of torch + transformers + peft on the same model
directory, texts, batch, adapters, precision and threads. Rondo carries this file inside itself and
runs it; it prints the same lines as Rondo's own side (services/bench/benchwork.h).

--probe prints the versions and leaves.
"""
import argparse
import contextlib
import json
import os
import sys
import time


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def probe():
    import peft
    import torch
    import transformers
    fields = {"torch": torch.__version__, "transformers": transformers.__version__,
              "peft": peft.__version__, "opacus": None}
    with contextlib.suppress(ImportError):
        import opacus
        fields["opacus"] = opacus.__version__
    say("versions", **fields)


def read_batches(path, tokenizer, batch, length):
    """(ids, mask, labels) of each batch in file order, padded to its longest text."""
    import torch
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    batches = []
    for first in range(0, len(rows), batch):
        part = rows[first:first + batch]
        ids = [tokenizer.encode(text).ids[:length] for text, _ in part]
        width = max(map(len, ids))
        inputs = torch.tensor([row + [1] * (width - len(row)) for row in ids])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
        labels = torch.tensor([int(label) for _, label in part])
        batches.append((inputs, mask, labels))
    return batches


def make_model(options, torch):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification
    dtype = torch.bfloat16 if options.variant == "bf16-weights" else torch.float32
    base = AutoModelForSequenceClassification.from_pretrained(options.model, dtype=dtype)
    chosen = list(range(options.first_layer, options.first_layer + options.layers))
    # Without a task type the head stays frozen, as on Rondo's side.
    model = get_peft_model(base, LoraConfig(r=options.rank, lora_alpha=8, lora_dropout=0.0,
                                            target_modules=["query", "value"],
                                            layers_to_transform=chosen))
    for name, value in model.named_parameters():
        frozen = {"A": "lora_B", "B": "lora_A"}.get(options.active)
        if frozen is not None and frozen in name:
            value.requires_grad = False
    return model.train()


def make_private(options, model, optimizer):
    """Opacus around model and optimiser, where it is installed."""
    try:
        from opacus.grad_sample import GradSampleModule
        from opacus.optimizers import DPOptimizer
    except ImportError:
        say("note", text="Opacus is not installed: the peer trains without differential privacy")
        return model, optimizer, True
    return (GradSampleModule(model),
            DPOptimizer(optimizer, noise_multiplier=1.0, max_grad_norm=1.0,
                        expected_batch_size=options.batch), False)


def make_step(options, torch):
    model = make_model(options, torch)
    trained = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
    clip = True
    if options.dp:
        model, optimizer, clip = make_private(options, model, optimizer)
    called = model
    if options.variant.endswith("-compiled"):
        called = torch.compile(model, dynamic=not options.fixed)
    half = options.variant.startswith("bf16") and options.variant != "bf16-weights"

    def step(inputs, mask, labels):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = called(input_ids=inputs, attention_mask=mask, labels=labels).loss
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())
    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--model")
    parser.add_argument("--warm")
    parser.add_argument("--texts")
    parser.add_argument("--variant")
    parser.add_argument("--active", default="both")
    for name in ("--length", "--batch", "--passes", "--threads", "--rank", "--first-layer", "--layers"):
        parser.add_argument(name, type=int, default=1)
    parser.add_argument("--fixed", action="store_true", help="all texts are of one length")
    parser.add_argument("--dp", action="store_true")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                         "inductor")
    if options.probe:
        return probe()
    import torch
    from tokenizers import Tokenizer
    from transformers.utils import logging
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    tokenizer = Tokenizer.from_file(os.path.join(options.model, "tokenizer.json"))
    warm = read_batches(options.warm, tokenizer, options.batch, options.length)
    batches = read_batches(options.texts, tokenizer, options.batch, options.length)
    step = make_step(options, torch)
    say("ready", detail=f"torch {torch.__version__}")
    for inputs, mask, labels in warm:
        step(inputs, mask, labels)
    if options.variant.endswith("-compiled"):  # every shape is compiled before the clock starts
        for inputs, mask, labels in batches:
            step(inputs, mask, labels)
    for number in range(options.passes):
        for inputs, mask, labels in batches:
            begun = time.perf_counter()
            step(inputs, mask, labels)
            say("step", seconds=time.perf_counter() - begun, **{"pass": number})
    return 0


if __name__ == "__main__":
    sys.exit(main())
