#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Rondo with transformers and peft on whole directories: what stands beside tokenizer.json, vocabulary files
without it, heads and their adapters.

    tests/parity/directory_parity.py --rondo build/release/bin/rondo

Ids must be equal, logits within 1e-4. Exit code 0, 1 on a difference, 77 when transformers or peft is missing.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scenario")]
import test_a_models as models  # noqa: E402
import tokenizer_torture as torture  # noqa: E402

try:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

logging.set_verbosity_error()
BERT = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
PLAIN = {"tokenizer_class": "PreTrainedTokenizerFast"}


def lines_of(rondo, *arguments):
    out = subprocess.run([rondo, *map(str, arguments), "--format", "jsonl"], check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in out.decode().splitlines()]


def write_texts(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def compare_ids(rondo, name, folder, texts, work):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    write_texts(work / "texts.jsonl", texts)
    wrong = 0
    for length in (0, 9):
        more = ("--max-length", length) if length else ()
        ours = [line["ids"] for line in lines_of(rondo, "tokenize", "--model", folder, "--data", work / "texts.jsonl",
                                                 "--text", "text", *more)]
        theirs = [tokenizer(text, truncation=bool(length), max_length=length or None)["input_ids"] for text in texts]
        wrong += sum(a != b for a, b in zip(ours, theirs))
        for text, a, b in [each for each in zip(texts, ours, theirs) if each[1] != each[2]][:2]:
            print(f"    {text!a:.80}\n      ours   {a[:20]}\n      theirs {b[:20]}")
    print(f"{name}: {len(texts)} texts, {wrong} differ", flush=True)
    return wrong


def tokenizer_folders(work):
    """name -> folder, each a tokenizer of tests/parity/tokenizer as somebody saved it."""
    words = json.loads((HERE / "tokenizer/wordpiece.json").read_text())
    pairs = json.loads((HERE / "tokenizer/bpe.json").read_text())
    pairs["model"]["vocab"]["<mask>"] = len(pairs["model"]["vocab"])  # as roberta-base has it
    bare = [token for token in words["added_tokens"] if token["content"] not in ("[MASK]", "[SEP]")]
    left = {"direction": "Left", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    files = {
        "as it is": {"tokenizer.json": words, "tokenizer_config.json": PLAIN},
        "side in the file": {"tokenizer.json": {**words, "truncation": left}, "tokenizer_config.json": PLAIN},
        "side in the settings": {"tokenizer.json": words, "tokenizer_config.json": {**PLAIN, "truncation_side": "left"}},
        "sides that differ": {"tokenizer.json": {**words, "truncation": left},
                              "tokenizer_config.json": {**PLAIN, "truncation_side": "right"}},
        "special tokens named": {"tokenizer.json": {**words, "added_tokens": bare}, "tokenizer_config.json": {
            **PLAIN, "mask_token": "[MASK]", "sep_token": "[SEP]"}},
        "a token with flags": {"tokenizer.json": {**words, "added_tokens": bare}, "tokenizer_config.json": {
            **PLAIN, "mask_token": {"__type": "AddedToken", "content": "[MASK]", "lstrip": True, "rstrip": False,
                                    "single_word": False, "normalized": False}}},
        "a decoder": {"tokenizer.json": {**words, "added_tokens": bare}, "tokenizer_config.json": {
            **PLAIN, "added_tokens_decoder": {"4": {"content": "[MASK]", "lstrip": False, "rstrip": True,
                                                    "single_word": False, "normalized": False, "special": True}}}},
        "old map": {"tokenizer.json": {**words, "added_tokens": bare}, "special_tokens_map.json": {
            "mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": False, "single_word": False,
                           "normalized": False}, "sep_token": "[SEP]"}, "tokenizer_config.json": PLAIN},
        "extra special tokens": {"tokenizer.json": words, "tokenizer_config.json": {
            **PLAIN, "extra_special_tokens": ["the"]}},
        "vocab.txt": {"vocab.txt": words, "tokenizer_config.json": BERT},
        "vocab.txt without settings": {"vocab.txt": words},
        "vocab.txt cased": {"vocab.txt": words, "tokenizer_config.json": {
            "tokenizer_class": "BertTokenizer", "do_lower_case": False, "strip_accents": True,
            "tokenize_chinese_chars": False}},
        "vocab.json, merges.txt": {"vocab.json": pairs},
        "vocab.json, merges.txt, a map": {"vocab.json": pairs, "special_tokens_map.json": {
            "mask_token": {"content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False,
                           "normalized": False}}, "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer",
                                                                           "add_prefix_space": True}},
    }
    for number, (name, contents) in enumerate(files.items()):
        folder = work / f"tokenizer{number}"
        folder.mkdir()
        family = "roberta" if "vocab.json" in contents else "bert"
        (folder / "config.json").write_text(json.dumps({"model_type": family}))
        for file, value in contents.items():
            if file in ("vocab.txt", "vocab.json"):
                vocab = value["model"]["vocab"]
                words_in_order = sorted(vocab, key=vocab.get)
                (folder / file).write_text("\n".join(words_in_order) + "\n" if file == "vocab.txt" else json.dumps(vocab))
                if file == "vocab.json":
                    merges = [m if isinstance(m, str) else " ".join(m) for m in value["model"]["merges"]]
                    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
            else:
                (folder / file).write_text(json.dumps(value))
        yield name, folder


def their_logits(model, folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.eval()
    with torch.no_grad():
        return torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in texts])


def compare_heads(rondo, work):
    """Every mode of head, both families: the adapter loads in peft, to equal logits."""
    wrong = 0
    write_texts(work / "words.jsonl", models.WORDS)
    labelled = models.data(work, "labelled.jsonl", [n % 3 for n in range(24)])
    for golden in ("bert-40", "roberta-24"):
        for classes in (3, 0):  # a head of the checkpoint, and none
            for head in ("local", "frozen", "new"):
                folder = models.model(work, f"{golden}-{classes}-{head}", golden, classes, num_labels=3)
                models.edit(folder / "tokenizer_config.json", **PLAIN, model_max_length=20)
                adapter = work / f"adapter-{golden}-{classes}-{head}"
                mode = ("--new-head",) if head == "new" else ("--head", head)
                subprocess.run([rondo, "train", "--model", folder, "--data", labelled, "--text", "text", "--label",
                                "label", "--labels", "0,1,2", *mode, "--steps", "3", "--quiet", "--out", adapter],
                               check=True, stdout=subprocess.DEVNULL)
                ours = torch.tensor([line["logits"] for line in lines_of(
                    rondo, "predict", "--model", folder, "--adapter", adapter, "--data", work / "words.jsonl", "--text",
                    "text")])
                base = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
                theirs = their_logits(PeftModel.from_pretrained(base, adapter), folder, models.WORDS)
                worst = (ours - theirs).abs().max().item()
                wrong += worst > 1e-4
                print(f"{golden}, {classes or 'no'} classes in the checkpoint, head {head}: logits differ by {worst:.1e}",
                      flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rondo", required=True)
    rondo = parser.parse_args().rondo
    texts = [text for text in torture.HAND if "\0" not in text] + list(torture.random_texts(400, 5))
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        wrong = sum(compare_ids(rondo, name, folder, texts, work) for name, folder in tokenizer_folders(work))
        wrong += compare_heads(rondo, work)
    print("all equal" if wrong == 0 else f"{wrong} differ")
    return 0 if wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
