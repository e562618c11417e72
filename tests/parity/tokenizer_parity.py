#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `rondo tokenize` with Hugging Face `tokenizers`, id by id.

    tests/parity/tokenizer_parity.py --rondo build/release/bin/rondo --data ../shared/data

Tokenizers: encoder-small, roberta-base and bert-base-uncased from the data directory, and the two
small ones of tests/parity/tokenizer with variants of their normalizer and pre-tokenizer, and those of
tokenizer_configs.py. Texts: real data sets (single sentences and pairs, with and
without truncation), the torture list, random Unicode, and every assigned character. Exit code 0 when
all ids are equal, 1 otherwise, 77 when something is missing.
"""

import argparse
import csv
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tokenizer_torture as torture  # noqa: E402

try:
    import tokenizers
    import tokenizer_configs as configs
except ImportError:
    print("skipped: the Python package tokenizers is missing")
    sys.exit(77)

HERE = pathlib.Path(__file__).parent
SETS = [  # file, columns, number of them without header, rows
    ("glue-sst2/dev.tsv.gz", ["sentence"], 872),
    ("glue-sst2/train.tsv.gz", ["sentence"], 6000),
    ("glue-qnli/dev.tsv.gz", ["question", "sentence"], 2000),
    ("glue-mrpc/train.tsv.gz", ["sentence1", "sentence2"], 2000),
    ("agnews/test.tsv.gz", ["text"], 2000),
    ("multidomain-sentiment/books-dev.tsv.gz", ["sentence"], 300),
]


VARIANTS = {  # name: fields of wordpiece.json that are other
    **{name.lower(): {"normalizer": {"type": name}} for name in ("NFC", "NFD", "NFKC", "NFKD", "StripAccents")},
    "accents": {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"},
                                                                    {"type": "Lowercase"}]}},
    "replace": {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Strip", "strip_left": True, "strip_right": False},
        {"type": "Replace", "pattern": {"String": "the"}, "content": "a the"},
        {"type": "Replace", "pattern": {"String": "aa"}, "content": ""}]}},
    "strip": {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}},
    "whitespace": {"pre_tokenizer": {"type": "Whitespace"}},
    "whitespace-split": {"pre_tokenizer": {"type": "WhitespaceSplit"}},
    "digits": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, {"type": "Digits", "individual_digits": False}]}},
    "each-digit": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "BertPreTokenizer"}, {"type": "Digits", "individual_digits": True}]}},
    "punctuation": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}]}},
    "no-presplit": {"pre_tokenizer": None},
}


def make_variants(work):
    """Variants of wordpiece.json, one of bpe.json, and one whose added tokens stand in no order."""
    base = json.loads((HERE / "tokenizer/wordpiece.json").read_text())
    bpe = json.loads((HERE / "tokenizer/bpe.json").read_text())
    variants = {name: {**base, **fields} for name, fields in VARIANTS.items()}
    variants["unordered"] = {**base, "added_tokens": base["added_tokens"][::-1]}
    variants["bpe-digits"] = {**bpe, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, bpe["pre_tokenizer"]]}}
    return make_folders(work, variants)


def make_folders(work, contents):
    """A directory with a tokenizer.json for each: name -> directory."""
    for name, value in contents.items():
        (work / name).mkdir()
        (work / name / "tokenizer.json").write_text(json.dumps(value))
    return {name: work / name for name in contents}


def read_texts(path, columns, rows):
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        reader = csv.reader((line.rstrip("\n") for line in file), delimiter="\t", quoting=csv.QUOTE_NONE)
        header = next(reader)
        places = [header.index(c) for c in columns]
        for number, row in enumerate(reader):
            if number == rows:
                return
            yield tuple(row[p] for p in places)


def make_directories(data, work):
    """Model directories with a tokenizer.json each: name -> directory."""
    found = {}
    for name in ("bpe", "wordpiece"):
        folder = work / name
        folder.mkdir()
        (folder / "tokenizer.json").write_bytes((HERE / "tokenizer" / f"{name}.json").read_bytes())
        found[name] = folder
    found.update(make_variants(work))
    found.update(make_folders(work, configs.common(configs.all_bases())))
    if data is None:
        return found
    found["encoder-small"] = data / "encoder-small"
    folder = work / "roberta-base"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(
        gzip.decompress((data / "tokenizers/roberta-base-tokenizer.json.gz").read_bytes()))
    found["roberta-base"] = folder
    words = gzip.decompress((data / "tokenizers/bert-base-uncased-vocab.txt.gz").read_bytes()).decode()
    vocabulary = {word: i for i, word in enumerate(words.split("\n")) if word}
    for cased in (False, True):
        bert = tokenizers.BertWordPieceTokenizer(vocabulary, lowercase=not cased)
        folder = work / ("bert-lower" if not cased else "bert-keep-case")
        folder.mkdir()
        bert.save(str(folder / "tokenizer.json"))
        found[folder.name] = folder
    return found


def reference(folder, max_length):
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if max_length:
        tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer


def rondo_ids(rondo, folder, texts, max_length, work):
    path = work / "texts.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps(dict(zip(("a", "b"), text)), ensure_ascii=False) + "\n")
    columns = ",".join(("a", "b")[:len(texts[0])])
    out = subprocess.run([rondo, "tokenize", "--model", folder, "--data", path, "--text", columns,
                          *(("--max-length", str(max_length)) if max_length else ()), "--format", "jsonl"],
                         check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line)["ids"] for line in out.decode().splitlines()]


def ids_of(tokenizer, text):
    """None where tokenizers panics, which it does on some texts behind some steps."""
    try:
        return tokenizer.encode(*text).ids
    except BaseException as error:  # pyo3's PanicException is no Exception
        if type(error).__name__ != "PanicException":
            raise
        return None


def compare(rondo, name, folder, label, texts, max_length, work):
    """Number of texts whose ids differ; prints the first few."""
    texts = list(texts)
    tokenizer = reference(folder, max_length)
    ours = rondo_ids(rondo, folder, texts, max_length, work)
    theirs = [ids_of(tokenizer, text) for text in texts]
    wrong = [i for i in range(len(texts)) if theirs[i] is not None and ours[i] != theirs[i]]
    print(f"{name:15} {label:34} max {max_length:4}: {len(texts):7} texts, {sum(len(ids or ()) for ids in theirs):8} ids, "
          f"{len(wrong)} differ", flush=True)
    for i in wrong[:5]:
        names = [unicodedata.name(c, f"U+{ord(c):04X}") for c in texts[i][0] if ord(c) > 126][:4]
        print(f"    {texts[i]!a:.100}\n      {names}\n      ours   {ours[i][:24]}\n      theirs {theirs[i][:24]}")
    return len(wrong)


def compare_random(args, work):
    """Random contents of tokenizer.json; those that `tokenizers` itself refuses are left out."""
    wrong = refused = tried = 0
    texts = [(t,) for t in [*torture.HAND, *torture.random_texts(300, args.seed)]]
    for name, content in configs.random_contents(args.random, args.seed):
        folder = make_folders(work, {name: content})[name]
        try:
            reference(folder, 0)
        except Exception as error:  # tokenizers knows no narrower type
            print(f"{name}: tokenizers refuses: {error}")
            continue
        tried += 1
        try:
            differ = compare(args.rondo, name, folder, "torture and random", texts, 0, work)
        except subprocess.CalledProcessError as error:
            refused += 1
            if error.returncode not in (65, 69):  # 65: two added tokens of one content
                wrong += 1
                print(f"{name}: exit code {error.returncode}")
            continue
        wrong += differ
        if differ > 0:
            shown = {k: v for k, v in content.items() if k in ("normalizer", "pre_tokenizer", "added_tokens")}
            shown["model"] = {k: v for k, v in content["model"].items() if k not in ("vocab", "merges")}
            print("   ", json.dumps(shown).replace(configs.CHARSMAP, "..."))
    print(f"{tried} random contents, {refused} of them refused, {wrong} texts differ")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rondo", required=True)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--random", type=int, default=0, metavar="N", help="only N random contents of tokenizer.json")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every-character", action="store_true", help="also every assigned character (slow)")
    args = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        if args.random:
            return 0 if compare_random(args, work) == 0 else 1
        hand = [(t,) for t in torture.HAND]
        random = [(t,) for t in torture.random_texts(3000, 1)]
        for name, folder in make_directories(args.data, work).items():
            wrong += compare(args.rondo, name, folder, "torture list", hand, 0, work)
            wrong += compare(args.rondo, name, folder, "random Unicode", random, 0, work)
            for length in (8, 9, 10, 17):
                wrong += compare(args.rondo, name, folder, "torture pairs",
                                 torture.pairs(torture.HAND), length, work)
            if args.every_character:
                wrong += compare(args.rondo, name, folder, "every character",
                                 [(t,) for t in torture.every_character()], 0, work)
            for file, columns, rows in SETS if args.data else []:
                texts = list(read_texts(args.data / file, columns, rows))
                wrong += compare(args.rondo, name, folder, file, texts, 0, work)
                wrong += compare(args.rondo, name, folder, file, texts, 32, work)
    print("all ids equal" if wrong == 0 else f"{wrong} texts differ")
    return 0 if wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
