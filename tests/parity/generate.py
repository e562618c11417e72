#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of tests/unit/trainer/test_parity_*.c with transformers and peft.

Each folder of tests/parity/golden is one random model of an odd size:
  model/    Hugging Face directory without classifier (config, weights, WordPiece tokenizer)
  adapter/  PEFT directory to start from, A and B random, with the head
  data.tsv  text, pair, label
  golden.safetensors
      ids, lengths                        token ids of every example, one after the other
      logits [n, labels], loss [n]        at the start adapter
      gradient.<tensor>                   of the mean loss over the first batch
      <setting>.<tensor>                  after 10 AdamW steps in file order; settings: both
                                          (A, B and head), a, b (one matrix, head frozen)
Everything is computed in float64 and rounded once. Tensor names are peft's without
"base_model.model.".

Usage: python3 tests/parity/generate.py [--out tests/parity/golden]
"""
import argparse
import json
import os
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    get_linear_schedule_with_warmup,
)

STEPS, BATCH, WARMUP, RATE, DECAY, CLIP = 10, 4, 2, 5e-3, 0.05, 1.0

CASES = {
    "roberta-24": dict(
        family="roberta", hidden=24, heads=3, layers=2, inner=40, vocabulary=97, longest=20,
        specials=True, pairs=True, labels=3, rank=3, alpha=7.0, rslora=False,
        targets=["query", "value"], transform=None, seed=1),
    "bert-40": dict(
        family="bert", hidden=40, heads=5, layers=3, inner=56, vocabulary=89, longest=23,
        specials=True, pairs=True, labels=2, rank=4, alpha=6.0, rslora=True,
        targets=["query", "key", "value", "attention.output.dense", "intermediate.dense",
                 "output.dense"], transform=[1, 2], seed=2),
    "bert-24": dict(
        family="bert", hidden=24, heads=3, layers=2, inner=36, vocabulary=61, longest=17,
        specials=True, pairs=False, labels=2, rank=2, alpha=3.0, rslora=False,
        targets=["dense", "value"], transform=None, seed=4),
    "roberta-56": dict(
        family="roberta", hidden=56, heads=7, layers=2, inner=72, vocabulary=97, longest=31,
        specials=False, pairs=False, labels=1, rank=5, alpha=5.0, rslora=False,
        targets=["intermediate.dense", "key"], transform=None, seed=3),
}


def tokenizer_of(case):
    """Words w0, w1, ... after the special tokens in the order that the family wants."""
    roberta = case["family"] == "roberta"
    special = ["<s>", "<pad>", "</s>", "<unk>"] if roberta else ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = special + [f"w{i}" for i in range(case["vocabulary"] - len(special))]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special[3 if roberta else 1]))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if case["specials"] and roberta:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
            special_tokens=[("<s>", 0), ("</s>", 2)])
    elif case["specials"]:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer


def model_of(case):
    shape = dict(
        vocab_size=case["vocabulary"], hidden_size=case["hidden"],
        num_hidden_layers=case["layers"], num_attention_heads=case["heads"],
        intermediate_size=case["inner"], hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, num_labels=case["labels"], initializer_range=0.15)
    if case["family"] == "roberta":
        config = RobertaConfig(max_position_embeddings=case["longest"] + 2, type_vocab_size=1,
                               pad_token_id=1, bos_token_id=0, eos_token_id=2,
                               layer_norm_eps=1e-5, **shape)
        kind = RobertaForSequenceClassification
    else:
        config = BertConfig(max_position_embeddings=case["longest"], type_vocab_size=2,
                            pad_token_id=0, **shape)
        kind = BertForSequenceClassification
    config._attn_implementation = "eager"
    model = kind(config)
    with torch.no_grad():  # biases and norms that matter
        for name, value in model.named_parameters():
            if name.endswith("LayerNorm.weight"):
                value.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                value.normal_(0, 0.2)
    return model.eval()


def examples_of(case, generator, count=18):
    """Texts whose token counts go from the least to more than the most."""
    out = []
    for i in range(count):
        most = case["longest"] + 2 if i == count - 1 else case["longest"] - 5
        words = [1 + i * most // (count - 1)]
        if case["pairs"]:
            words = [1 + i * most // count, 2 + i % 4]
        texts = [" ".join(f"w{word}" for word in torch.randint(
            0, case["vocabulary"] - 4, (n,), generator=generator).tolist()) for n in words]
        if case["labels"] == 1:
            label = round(float(torch.randn(1, generator=generator)), 3)
        else:
            label = int(torch.randint(0, case["labels"], (1,), generator=generator))
        out.append((texts, label))
    return out


def batch_of(case, tokenizer, examples):
    tokenizer.enable_truncation(case["longest"], strategy="longest_first")
    encoded = [tokenizer.encode(*texts) for texts, _ in examples]
    width = max(len(e.ids) for e in encoded)
    pad = 1 if case["family"] == "roberta" else 0
    rows = dict(
        input_ids=[e.ids + [pad] * (width - len(e.ids)) for e in encoded],
        attention_mask=[[1] * len(e.ids) + [0] * (width - len(e.ids)) for e in encoded])
    if case["family"] == "bert":
        rows["token_type_ids"] = [e.type_ids + [0] * (width - len(e.ids)) for e in encoded]
    batch = {key: torch.tensor(value) for key, value in rows.items()}
    kind = torch.float64 if case["labels"] == 1 else torch.long
    batch["labels"] = torch.tensor([label for _, label in examples], dtype=kind)
    return batch, [e.ids for e in encoded]


def plain(name):
    """A parameter's name in the PEFT file, without base_model.model."""
    name = name.removeprefix("base_model.model.").replace(".default", "")
    return name.replace(".modules_to_save", "")


def trained(model, setting):
    """Sets requires_grad for a setting; names and parameters that train."""
    out = {}
    for name, value in model.named_parameters():
        matrix = "a" if "lora_A" in name else "b" if "lora_B" in name else None
        head = "modules_to_save" in name
        value.requires_grad = setting == "both" and (head or matrix is not None) or matrix == setting
        if value.requires_grad:
            out[plain(name)] = value
    return out


def steps(case, model, tokenizer, examples, setting):
    values = trained(model, setting)
    optimizer = torch.optim.AdamW(values.values(), lr=RATE, weight_decay=DECAY)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    batches = [examples[i:i + BATCH] for i in range(0, len(examples), BATCH)]
    for step in range(STEPS):
        batch, _ = batch_of(case, tokenizer, batches[step % len(batches)])
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(values.values(), CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return {f"{setting}.{name}": value.detach().clone() for name, value in values.items()}


def write_model(case, model, tokenizer, path):
    os.makedirs(path)
    model.config.to_json_file(os.path.join(path, "config.json"))
    tokenizer.no_truncation()
    tokenizer.save(os.path.join(path, "tokenizer.json"))
    tensors = {name: value.detach().float().contiguous() for name, value in model.state_dict().items()
               if not name.startswith("classifier") and "position_ids" not in name}
    save_file(tensors, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})


def write_data(case, examples, path):
    with open(path, "w", encoding="utf-8") as out:
        out.write("\t".join((["text", "pair"] if case["pairs"] else ["text"]) + ["label"]) + "\n")
        for texts, label in examples:
            out.write("\t".join(texts + [str(label)]) + "\n")


def sort_targets(path):
    """peft writes a set in any order."""
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["target_modules"].sort()
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1, sort_keys=True)


def golden_of(case, folder):
    torch.manual_seed(case["seed"])
    generator = torch.Generator().manual_seed(case["seed"])
    tokenizer = tokenizer_of(case)
    examples = examples_of(case, generator)
    base = model_of(case)
    shutil.rmtree(folder, ignore_errors=True)
    write_model(case, base, tokenizer, os.path.join(folder, "model"))
    write_data(case, examples, os.path.join(folder, "data.tsv"))
    model = get_peft_model(base, LoraConfig(
        task_type="SEQ_CLS", r=case["rank"], lora_alpha=case["alpha"], use_rslora=case["rslora"],
        target_modules=case["targets"], layers_to_transform=case["transform"], lora_dropout=0.0))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.normal_(0, 0.2)
    model.save_pretrained(os.path.join(folder, "adapter"))
    os.remove(os.path.join(folder, "adapter", "README.md"))
    sort_targets(os.path.join(folder, "adapter", "adapter_config.json"))
    model = model.double().eval()
    start = {name: value.detach().clone() for name, value in model.state_dict().items()}

    batch, ids = batch_of(case, tokenizer, examples)
    labels = batch.pop("labels")
    with torch.no_grad():
        logits = model(**batch).logits
    loss = ((logits[:, 0] - labels) ** 2 if case["labels"] == 1
            else torch.nn.functional.cross_entropy(logits, labels, reduction="none"))
    out = {"logits": logits, "loss": loss,
           "ids": torch.tensor([float(i) for row in ids for i in row]),
           "lengths": torch.tensor([float(len(row)) for row in ids])}
    values = trained(model, "both")
    batch, _ = batch_of(case, tokenizer, examples[:BATCH])
    model(**batch).loss.backward()
    out.update({f"gradient.{name}": value.grad.clone() for name, value in values.items()})
    for setting in ("both", "a", "b"):
        model.load_state_dict(start)
        model.zero_grad()
        out.update(steps(case, model, tokenizer, examples, setting))
    save_file({name: value.float().contiguous() for name, value in out.items()},
              os.path.join(folder, "golden.safetensors"), metadata={"format": "pt"})


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(here, "golden"))
    options = parser.parse_args()
    for name, case in CASES.items():
        folder = os.path.join(options.out, name)
        golden_of(case, folder)
        for at, _, files in os.walk(folder):
            for file in files:
                os.chmod(os.path.join(at, file), 0o644)
        size = sum(os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(folder)
                   for file in files)
        print(json.dumps({"case": name, "bytes": size}))


if __name__ == "__main__":
    main()
