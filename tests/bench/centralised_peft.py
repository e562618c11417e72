#!/usr/bin/env python3
"""The reference that a federation is held against: one `peft` run over all the data on one machine.

    python3 tests/bench/centralised_peft.py --model DIR --train FILE --dev FILE --text sentence --label label \
        --rank 4 --alpha 16 --lr 1e-3 --batch 32 --steps 600 --seed 1

Prints one JSON object with accuracy_before and accuracy_after. The classifier is trained (modules_to_save), as with
`head: federated`; AdamW, constant learning rate, no weight decay, gradient clipping at --clip.
"""
import argparse
import csv
import gzip
import json
import random
import warnings

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast
from transformers.utils import logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()


def rows(path, text, label):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield row[text], row[label]


def batches(count, size, seed):
    rng = random.Random(seed)
    while True:
        order = list(range(count))
        rng.shuffle(order)
        for start in range(0, count - size + 1, size):
            yield order[start:start + size]


def evaluate(model, data):
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(data), 64):
            ids, labels = collate(data[start:start + 64])
            right += (model(**ids).logits.argmax(1) == labels).sum().item()
    model.train()
    return right / len(data)


def collate(part):
    ids = torch.nn.utils.rnn.pad_sequence([x for x, _ in part], batch_first=True, padding_value=1)
    return {"input_ids": ids, "attention_mask": (ids != 1).long()}, torch.tensor([y for _, y in part])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "train", "dev", "text", "label"):
        parser.add_argument("--" + name, required=True)
    for name, kind, default in (("rank", int, 4), ("alpha", float, 16), ("lr", float, 1e-3), ("batch", int, 32),
                                ("steps", int, 600), ("seed", int, 1), ("clip", float, 1.0), ("max-length", int, 128)):
        parser.add_argument("--" + name, type=kind, default=default)
    parser.add_argument("--targets", default="query,value")
    a = parser.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(2)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=a.model + "/tokenizer.json", pad_token="<pad>")
    train, dev = list(rows(a.train, a.text, a.label)), list(rows(a.dev, a.text, a.label))
    names = sorted({y for _, y in train})

    def encode(data):
        ids = tokenizer([x for x, _ in data], truncation=True, max_length=a.max_length)["input_ids"]
        return [(torch.tensor(i), names.index(y)) for i, (_, y) in zip(ids, data)]

    train, dev = encode(train), encode(dev)
    model = AutoModelForSequenceClassification.from_pretrained(
        a.model, num_labels=len(names), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=a.rank, lora_alpha=a.alpha,
                                             target_modules=a.targets.split(","), modules_to_save=["classifier"]))
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=a.lr, weight_decay=0.0)
    before = evaluate(model, dev)
    stream = batches(len(train), a.batch, a.seed)
    for _ in range(a.steps):
        inputs, labels = collate([train[i] for i in next(stream)])
        loss = torch.nn.functional.cross_entropy(model(**inputs).logits, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, a.clip)
        optimiser.step()
        optimiser.zero_grad()
    print(json.dumps({"accuracy_before": before, "accuracy_after": evaluate(model, dev), "steps": a.steps,
                      "seed": a.seed, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
