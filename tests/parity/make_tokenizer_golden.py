#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the files of tests/parity/tokenizer: two small tokenizers, the texts, and their ids.

The tokenizers are trained by `tokenizers` on text that this script generates, so they are the
project's own work. Re-run after changing the torture list:

    tests/parity/make_tokenizer_golden.py
"""

import json
import pathlib
import random

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

import tokenizer_torture as torture

FOLDER = pathlib.Path(__file__).parent / "tokenizer"
SYLLABLES = ["ba", "con", "de", "er", "fi", "ing", "la", "mo", "na", "or", "pre", "qui", "re", "st", "tion", "un",
             "ver", "wo", "é", "ß", "日", "本", "ж", "и"]


def corpus():
    rng = random.Random(7)
    for _ in range(4000):
        words = ["".join(rng.choice(SYLLABLES) for _ in range(rng.randrange(1, 4))) for _ in range(12)]
        words[rng.randrange(12)] = rng.choice(["don't", "the", "The", "1,234", "3.14", "a-b", "(x)", "yes!"])
        yield " ".join(words)


def make_bpe():
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.add_tokens([tokenizers.AddedToken("yes", single_word=True),
                          tokenizers.AddedToken("right>", rstrip=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def make_wordpiece():
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=specials, show_progress=False,
                                        initial_alphabet=list("abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"))
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_tokens([tokenizers.AddedToken("Café", normalized=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))])
    return tokenizer


def main():
    FOLDER.mkdir(exist_ok=True)
    texts = torture.HAND + list(torture.random_texts(200, 2))
    pairs = list(torture.pairs(texts))
    (FOLDER / "texts.jsonl").write_text(
        "".join(json.dumps({"a": a, "b": b}) + "\n" for a, b in pairs))
    for name, tokenizer in (("bpe", make_bpe()), ("wordpiece", make_wordpiece())):
        text = tokenizer.to_str(pretty=False)
        (FOLDER / f"{name}.json").write_text(text + "\n")
        with open(FOLDER / f"{name}_expected.txt", "w") as file:
            for a, b in pairs:
                single = tokenizer.encode(a)
                tokenizer.enable_truncation(16, strategy="longest_first")
                pair = tokenizer.encode(a, b)
                tokenizer.no_truncation()
                for encoding in (single, pair):
                    file.write(" ".join(f"{i}:{t}" for i, t in zip(encoding.ids, encoding.type_ids)) + "\n")


if __name__ == "__main__":
    main()
