# SPDX-License-Identifier: Apache-2.0
"""Contents of tokenizer.json for the parity run: those of common models, and random ones."""

import base64
import json
import pathlib
import random
import struct

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
REGEXES = [GPT4, GPT4.replace("{1,3}", ""), r"\s+", r"\S+", r"\w+", r"[^\w\s]", r"\d", r"(?=[A-Z])", r"\b", r"\B", r"^",
           r"$", r".", r"[a-e]{2,3}", r"e*", r"(?<=[aeiou])[^aeiou\s]", r"\p{Lu}\p{Ll}+|\p{Han}", r"(?i)the|ING",
           r"[\s\S]", r"[\p{P}\p{S}]++", r"a|ab|abc", r"(ab)+?", r"\u00e9|\x{e9}|\x41", r"\h+", r"[一-龥ぁ-ん]+", r"(?!a)\w",
           r"(?>a+)b?", r"\A.|.\z", r"[^\r\n\p{L}\p{N}]", r" ?[!-/:-@\[-`{-~]", r"\W\w", r"\D{,2}", r"\P{L}", r"\p{^N}+"]
REPLACED = [({"String": " "}, "\u2581"), ({"String": "aa"}, "a"), ({"String": "``"}, '"'), ({"Regex": r"\s{2,}"}, " "),
            ({"Regex": r"[\u2018\u2019]"}, "'"), ({"Regex": r"(?=x)"}, "_"), ({"Regex": r"\p{M}"}, ""), ({"Regex": "a*"}, "-")]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
TEXTS = [next(iter(json.loads(line).values())) for line in (HERE / "tokenizer/texts.jsonl").read_text().splitlines()]


def charsmap(entries):
    """SentencePiece's map of texts to texts: a double array with one block of 256 units a node."""
    units, texts = {}, bytearray()
    blocks = 1

    def place(position, node, label):
        nonlocal blocks
        base, blocks = 256 * blocks, blocks + 1
        leaf = 0x100 if "" in node else 0
        units[position] = (position ^ base) << 10 | leaf | label
        if leaf:
            units[base] = 0x80000000 | node[""]
        for byte, child in node.items():
            if byte != "":
                place(base ^ byte, child, byte)

    root = {}
    for source, target in entries.items():
        node = root
        for byte in source.encode():
            node = node.setdefault(byte, {})
        node[""] = len(texts)
        texts += target.encode() + b"\0"
    place(0, root, 0)
    trie = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(256 * blocks))
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + bytes(texts)).decode()


CHARSMAP = charsmap({"\u00a0": " ", "\u3000": " ", "\u200b": "", "\ufb01": "fi", "e\u0301": "\u00e9", "\uff21": "A", "\t": " ",
                     "\n": " ", "\u2460": "1", "A": "aa", "\u0130": "i\u0307", "\u1112\u1161\u11ab": "\ud55c", "\u2581": " "})


def normalizer(rng):
    pattern, content = rng.choice(REPLACED)
    return rng.choice([
        {"type": rng.choice(["NFC", "NFD", "NFKC", "NFKD", "StripAccents", "Lowercase"])},
        {"type": "Replace", "pattern": pattern, "content": content},
        {"type": "Replace", "pattern": {"Regex": rng.choice(REGEXES)}, "content": rng.choice(["", "x", " "])},
        {"type": "Prepend", "prepend": rng.choice(["\u2581", " ", "ab"])},
        {"type": "Strip", "strip_left": rng.random() < 0.5, "strip_right": rng.random() < 0.5},
        {"type": "Precompiled", "precompiled_charsmap": CHARSMAP},
        {"type": "BertNormalizer", "clean_text": rng.random() < 0.5, "handle_chinese_chars": rng.random() < 0.5,
         "strip_accents": rng.choice([None, True, False]), "lowercase": rng.random() < 0.5}])


def pre_tokenizer(rng):
    return rng.choice([
        {"type": rng.choice(["BertPreTokenizer", "Whitespace", "WhitespaceSplit"])},
        {"type": "Digits", "individual_digits": rng.random() < 0.5},
        {"type": "Punctuation", "behavior": rng.choice(BEHAVIORS)},
        {"type": "CharDelimiterSplit", "delimiter": rng.choice(["e", "\u2581", " ", "\u00e9"])},
        {"type": "Split", "pattern": {"String": rng.choice([" ", "a", "the", "\u2581", "  "])},
         "behavior": rng.choice(BEHAVIORS), "invert": rng.random() < 0.3},
        {"type": "Split", "pattern": {"Regex": rng.choice(REGEXES)}, "behavior": rng.choice(BEHAVIORS),
         "invert": rng.random() < 0.3}])


def sequence(rng, make, kind, field):
    count = rng.choice([0, 1, 1, 2, 3])
    if count == 0:
        return None
    return make(rng) if count == 1 else {"type": kind, field: [make(rng) for _ in range(count)]}


def character_bpe():
    """A small BPE over characters with the bytes as tokens, as Llama 2 and Gemma have it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=700, limit_alphabet=60, show_progress=False,
                                  special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)])
    tokenizer.train_from_iterator(TEXTS, trainer)
    return {**json.loads(tokenizer.to_str()), "added_tokens": []}


def added_tokens(rng, size):
    contents = rng.sample(["<m>", "the", "ing", " x", "Yes", "caf\u00e9", "[X]", "\u2581", "ab", "a", "!?"], rng.randrange(4))
    return [{"id": size + i, "content": content, **{flag: rng.random() < 0.3 for flag in ("single_word", "lstrip", "rstrip")},
             "normalized": rng.random() < 0.5, "special": rng.random() < 0.3} for i, content in enumerate(contents)]


def common(bases):
    """Shapes that many models have: name -> content."""
    split = {"type": "Split", "pattern": {"Regex": GPT4}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    gpt4 = {"type": "Sequence", "pretokenizers": [split, level]}
    llama = {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None}
    fallback = {"byte_fallback": True, "fuse_unk": True}
    return {
        "gpt4": {**bases["bpe"], "pre_tokenizer": gpt4},
        "llama3": {**bases["bpe"], "pre_tokenizer": gpt4, "model": {**bases["bpe"]["model"], "ignore_merges": True}},
        "llama2": {**bases["characters"], **llama, "model": {**bases["characters"]["model"], **fallback}},
        "gemma": {**bases["characters"], "model": {**bases["characters"]["model"], **fallback}},
        "fuse": {**bases["characters"], "model": {**bases["characters"]["model"], "fuse_unk": True}},
        "precompiled": {**bases["wordpiece"], "normalizer": {"type": "Precompiled", "precompiled_charsmap": CHARSMAP}},
    }


def all_bases():
    return {"bpe": json.loads((HERE / "tokenizer/bpe.json").read_text()),
            "wordpiece": json.loads((HERE / "tokenizer/wordpiece.json").read_text()), "characters": character_bpe()}


def random_content(rng, bases):
    kind = rng.choice(list(bases))
    content = {**bases[kind], "normalizer": sequence(rng, normalizer, "Sequence", "normalizers"),
               "pre_tokenizer": sequence(rng, pre_tokenizer, "Sequence", "pretokenizers")}
    model = content["model"] = dict(content["model"])
    if kind != "wordpiece":
        model.update({flag: rng.random() < 0.5 for flag in ("fuse_unk", "byte_fallback", "ignore_merges")})
        if rng.random() < 0.3:
            model["vocab"] = {token: number for token, number in model["vocab"].items()
                              if not token.startswith("<0x") or number % 3}
    if kind == "bpe":
        level = {"type": "ByteLevel", "add_prefix_space": rng.random() < 0.5, "use_regex": rng.random() < 0.5,
                 "trim_offsets": True}
        before = content["pre_tokenizer"]
        steps = before["pretokenizers"] if before and before["type"] == "Sequence" else [before] if before else []
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps + [level]}
    if rng.random() < 0.6:
        content["added_tokens"] = added_tokens(rng, len(model["vocab"]))
        content["post_processor"] = None
        known = model["vocab"]
        content["added_tokens"] = [{**t, "id": known.get(t["content"], t["id"])} for t in content["added_tokens"]]
        fresh = len(known)
        for token in content["added_tokens"]:
            if token["content"] not in known:
                token["id"], fresh = fresh, fresh + 1
    return content


def random_contents(count, seed):
    bases = all_bases()
    rng = random.Random(seed)
    for number in range(count):
        yield f"random-{seed}-{number}", random_content(rng, bases)
