#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Model directories as users have them: classes that the model names, heads that nobody trained, weights that are no
numbers, tasks of the head, settings beside tokenizer.json, files that are something else.

RONDO_BIN is the folder of the programs (default: build/release/bin). The models are tests/parity/golden's, with a head
of random numbers.
"""

import json
import pathlib
import random
import shutil
import struct
import sys
import tempfile

from federation import BIN, CONFIG, DATA, ok, refused, rondo

GOLDEN = pathlib.Path(__file__).parent.parent / "parity/golden"
UNSUPPORTED = 69
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"
WORDS = [f"w{a} w{b} w{(a * b) % 30}" for a in range(6) for b in range(8, 12)]


def read_tensors(path):
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    return {name: (entry["shape"], data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"}


def write_tensors(path, tensors):
    header, data = {}, b""
    for name, (shape, value) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(value)]}
        data += value
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def floats(count, spread):
    return struct.pack(f"<{count}f", *(random.gauss(0, spread) for _ in range(count)))


def edit(path, **fields):
    """Sets fields of a JSON file; None takes one away."""
    value = json.loads(path.read_text()) if path.exists() else {}
    value.update(fields)
    path.write_text(json.dumps({key: field for key, field in value.items() if field is not None}))


def model(work, name, golden="bert-40", classes=3, **config):
    """A copy of a golden model, with a head of so many outputs and fields of config.json."""
    random.seed(7)
    folder = work / name
    shutil.copytree(GOLDEN / golden / "model", folder)
    weights = folder / "model.safetensors"
    weights.chmod(0o644)
    tensors = read_tensors(weights)
    hidden = json.loads((folder / "config.json").read_text())["hidden_size"]
    if classes and golden.startswith("bert"):
        tensors["classifier.weight"] = ([classes, hidden], floats(classes * hidden, 3))
        tensors["classifier.bias"] = ([classes], floats(classes, 0.1))
    elif classes:
        tensors["classifier.dense.weight"] = ([hidden, hidden], floats(hidden * hidden, 1))
        tensors["classifier.dense.bias"] = ([hidden], floats(hidden, 0.1))
        tensors["classifier.out_proj.weight"] = ([classes, hidden], floats(classes * hidden, 3))
        tensors["classifier.out_proj.bias"] = ([classes], floats(classes, 0.1))
    write_tensors(weights, tensors)
    edit(folder / "config.json", **config)
    return folder


def data(work, name, rows):
    """rows: labels, one for each text."""
    path = work / name
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in zip(WORDS, rows)))
    return path


def predicted(folder, work, *more):
    path = data(work, "texts.jsonl", [0] * len(WORDS))
    return [json.loads(line) for line in ok("predict", "--model", folder, "--data", path, "--text", "text", "--format",
                                            "jsonl", *more).splitlines()]


def balance(folder, work):
    """Moves the bias of a BERT head so that many classes occur."""
    rows = [answer["logits"] for answer in predicted(folder, work)]
    tensors = read_tensors(folder / "model.safetensors")
    shape, bias = tensors["classifier.bias"]
    middle = [sum(column) / len(rows) for column in zip(*rows)]
    moved = [b - m for b, m in zip(struct.unpack(f"<{shape[0]}f", bias), middle)]
    tensors["classifier.bias"] = (shape, struct.pack(f"<{shape[0]}f", *moved))
    write_tensors(folder / "model.safetensors", tensors)


def accuracy(folder, path, *more):
    return json.loads(ok("evaluate", "--model", folder, "--data", path, "--text", "text", "--label", "label",
                         "--format", "json", *more))["accuracy"]


def classes_are_the_models(work):
    """Names by the numbers that are id2label's keys, whatever their order in the file, and whatever the data hold."""
    names = [f"topic {chr(ord('z') - i)}" for i in range(12)]
    order = sorted(range(12), key=str)  # 0, 1, 10, 11, 2: as json.dumps(sort_keys=True) writes them
    twelve = model(work, "twelve", classes=12, id2label={str(i): names[i] for i in order})
    balance(twelve, work)
    answers = predicted(twelve, work)
    numbers = [answer["class"] for answer in answers]
    assert len(set(numbers)) > 3, numbers
    assert [answer["label"] for answer in answers] == [names[i] for i in numbers], answers
    for rows in ([names[i] for i in numbers], numbers, [str(i) for i in numbers], [f"{i}.0" for i in numbers],
                 [float(i) for i in numbers], [f"LABEL_{i}" for i in numbers]):
        assert accuracy(twelve, data(work, "own.jsonl", rows)) == 1, rows
    one_class = work / "one_class.jsonl"  # a skewed site's file
    one_class.write_text("".join(json.dumps({"text": t, "label": names[n]}) + "\n"
                                 for t, n in zip(WORDS, numbers) if n == numbers[0]))
    assert accuracy(twelve, one_class) == 1
    strange = data(work, "strange.jsonl", ["unheard of"] + numbers[1:])
    err = refused(DATA, "strange.jsonl:1: ", "evaluate", "--model", twelve, "--data", strange, "--text", "text",
                  "--label", "label")
    assert "unheard of" in err and names[0] in err, err
    plain = model(work, "plain", id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"})
    assert {str(answer["label"]) for answer in predicted(plain, work)} <= {"0", "1", "2"}
    nameless = model(work, "nameless", golden="roberta-24", classes=5)  # the head's shape alone
    assert {len(answer["logits"]) for answer in predicted(nameless, work)} == {5}


def other_classes_need_a_new_head(work):
    three = model(work, "three", id2label={"0": "a", "1": "b", "2": "c"})
    two = data(work, "two.jsonl", ["yes", "no"] * 12)
    train = ("train", "--model", three, "--data", two, "--text", "text", "--label", "label", "--steps", 2, "--quiet")
    err = refused(DATA, "--new-head", *train, "--out", work / "never")
    assert "yes" in err and "a, b, c" in err, err
    refused(CONFIG, "its head has 3 classes, but 2 are wanted", *train, "--labels", "no,yes", "--out", work / "never")
    ok(*train, "--new-head", "--out", work / "renewed")
    facts = json.loads((work / "renewed/rondo.json").read_text())
    assert facts["labels"] == ["no", "yes"], facts
    assert {answer["label"] for answer in predicted(three, work, "--adapter", work / "renewed")} <= {"no", "yes"}
    lone = data(work, "lone.jsonl", ["yes"] * 24)
    bare = model(work, "bare", classes=0)
    refused(DATA, "--labels", "train", "--model", bare, "--data", lone, "--text", "text", "--label", "label", "--steps",
            1, "--out", work / "never")
    refused(DATA, "-1", "train", "--model", bare, "--data", data(work, "glue.jsonl", [-1, 0, 1] * 8), "--text", "text",
            "--label", "label", "--steps", 1, "--out", work / "never")
    refused(DATA, "-1", "train", "--model", three, "--data", data(work, "glue.jsonl", [-1, 0, 1] * 8), "--text", "text",
            "--label", "label", "--steps", 1, "--out", work / "never")


def a_plan_keeps_the_models_order(work):
    named = model(work, "named", id2label={"0": "no", "1": "yes", "2": "maybe"})
    init = ("--federation", "fed", "--address", "fed.example.org:8443", "--members", "a,b,c", "--max-length", 16,
            "--quiet", "--model", named, "--labels")
    refused(CONFIG, "another order", "init", work / "mixed", *init, "yes,no,maybe")
    refused(CONFIG, "its head has 3 classes, but 2 are wanted", "init", work / "fewer", *init, "yes,no")
    ok("init", work / "kept", *init, "no,yes,maybe")


def a_random_head_is_said(work):
    bare = model(work, "no_head", classes=0)
    path = data(work, "plain.jsonl", ["x", "y"] * 12)
    code, out, err = rondo("evaluate", "--model", bare, "--data", path, "--text", "text", "--label", "label", "--format",
                           "json")
    assert code == 0 and "random" in err and "random" in json.loads(out)["warnings"][0], (out, err)
    out = ok("predict", "--model", bare, "--data", path, "--text", "text", "--labels", "x,y", "--format", "json")
    assert "random" in json.loads(out)["warnings"][0], out
    ok("train", "--model", bare, "--data", path, "--text", "text", "--label", "label", "--steps", 1, "--quiet", "--out",
       work / "headed")
    trained = ("evaluate", "--model", bare, "--adapter", work / "headed", "--data", path, "--text", "text", "--label",
               "label")
    assert "random" not in rondo(*trained)[2]
    tensors = read_tensors(work / "headed/adapter_model.safetensors")
    for keep, words in ((lambda name: "classifier" not in name, "promises the head"),
                        (lambda name: "classifier.bias" not in name, "1 of the 2 tensors")):
        write_tensors(work / "headed/adapter_model.safetensors", {n: v for n, v in tensors.items() if keep(n)})
        refused(DATA, words, *trained)


def adapters_promise_what_they_hold(work):
    """peft looks for the head of a SEQ_CLS adapter in the file: no head, no such promise (tests/parity compares)."""
    path = data(work, "promise.jsonl", [n % 3 for n in range(24)])
    for golden in ("bert-40", "roberta-24"):
        folder = model(work, f"promise_{golden}", golden)
        for head, held in (("frozen", False), ("local", True)):
            out = work / f"promise_{golden}_{head}"
            ok("train", "--model", folder, "--data", path, "--text", "text", "--label", "label", "--head", head, "--steps",
               1, "--quiet", "--out", out)
            config = json.loads((out / "adapter_config.json").read_text())
            names = read_tensors(out / "adapter_model.safetensors")
            assert any("classifier" in name for name in names) == held, names
            assert config["task_type"] == ("SEQ_CLS" if held else None), config
            assert config["modules_to_save"] == (["classifier"] if held else None), config


def what_is_no_number_is_refused(work):
    for golden, tensor in (("bert-40", "classifier.weight"), ("roberta-24", "classifier.out_proj.bias"),
                           ("bert-40", "bert.encoder.layer.1.output.dense.weight"),
                           ("bert-40", "bert.embeddings.LayerNorm.bias"), ("bert-40", "bert.pooler.dense.bias")):
        for value in (float("nan"), float("-inf")):
            folder = model(work, f"{tensor}{value}", golden)
            tensors = read_tensors(folder / "model.safetensors")
            shape, values = tensors[tensor]
            tensors[tensor] = (shape, values[:-4] + struct.pack("<f", value))
            write_tensors(folder / "model.safetensors", tensors)
            refused(DATA, f"tensor {tensor} ", "predict", "--model", folder, "--data",
                    data(work, "t.jsonl", [0] * 24), "--text", "text")


def the_task_is_the_models(work):
    path = data(work, "scores.jsonl", [i / 7 for i in range(24)])
    evaluate = ("--data", path, "--text", "text", "--label", "label", "--format", "json")
    for name, config in (("one", {"id2label": {"0": "LABEL_0"}}), ("said", {"problem_type": "regression"})):
        folder = model(work, f"score_{name}", classes=1, **config)
        report = json.loads(ok("evaluate", "--model", folder, *evaluate))
        assert report["pearson"] is not None and report["accuracy"] is None, report
        assert all(answer["label"] == answer["logits"][0] for answer in predicted(folder, work))
    many = model(work, "many", problem_type="multi_label_classification")
    for command in ("evaluate", "predict"):
        refused(UNSUPPORTED, "multi_label_classification", command, "--model", many, "--data", path, "--text", "text",
                *(("--label", "label") if command == "evaluate" else ()))
    refused(UNSUPPORTED, "problem_type", "predict", "--model", model(work, "odd", problem_type="ranking"), "--data", path,
            "--text", "text")
    ok("train", "--model", model(work, "ground", classes=1), "--data", path, "--text", "text", "--label", "label",
       "--task", "regression", "--steps", 1, "--quiet", "--out", work / "scores")
    report = json.loads(ok("evaluate", "--model", work / "ground", "--adapter", work / "scores", *evaluate))
    assert report["pearson"] is not None, report  # the adapter says its task


def fields_that_nobody_reads_break_nothing(work):
    folder = model(work, "odd_fields")
    before = predicted(folder, work)
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        text = path.read_text().strip() if path.exists() else "{}"
        more = ('"max": 1000000000000000019884624838656, "nan": NaN, "far": -Infinity, "huge": 1e999, "twice": 1, '
                '"twice": 2, "half": "\\ud83d"')
        path.write_text("{" + more + (", " if text != "{}" else "") + text[1:])
    assert predicted(folder, work) == before
    edit(folder / "config.json", layer_norm_eps=float("nan"))
    refused(DATA, "layer_norm_eps", "predict", "--model", folder, "--data", work / "texts.jsonl", "--text", "text")


def ids(folder, work, text, *more):
    path = work / "ids.jsonl"
    path.write_text(json.dumps({"a": text, "b": "w1 w2"}) + "\n")
    return [int(word) for word in ok("tokenize", "--model", folder, "--data", path, "--text", "a", *more).split()]


def settings_beside_the_tokenizer(work):
    folder = model(work, "settings")
    text = " ".join(f"w{i}" for i in range(12))
    whole = ids(folder, work, text)
    right = ids(folder, work, text, "--max-length", 8)
    assert right == whole[:7] + whole[-1:]
    left = whole[:1] + whole[-7:]
    edit(folder / "tokenizer.json", truncation={"direction": "Left", "max_length": 3, "strategy": "LongestFirst",
                                                "stride": 0})
    assert ids(folder, work, text, "--max-length", 8) == left
    settings = folder / "tokenizer_config.json"
    edit(settings, truncation_side="right")
    assert ids(folder, work, text, "--max-length", 8) == right
    edit(folder / "tokenizer.json", truncation=None)
    edit(settings, truncation_side="left")
    assert ids(folder, work, text, "--max-length", 8) == left
    edit(settings, truncation_side="middle")
    refused(DATA, "truncation_side", "tokenize", "--model", folder, "--data", work / "ids.jsonl", "--text", "a")
    edit(settings, truncation_side=None, model_max_length=9)
    plan = json.loads(ok("trainer", "plan", "--model", folder, "--format", "json"))
    assert plan["max_length"] == 9, plan

    edit(settings, extra_special_tokens=["w3"])  # in the vocabulary: found inside a word now
    assert ids(folder, work, "xw3x") != whole and 7 in ids(folder, work, "xw3x")
    edit(settings, extra_special_tokens=["new"])
    refused(DATA, "extra_special_tokens", "tokenize", "--model", folder, "--data", work / "ids.jsonl", "--text", "a")
    edit(settings, extra_special_tokens=None)
    (folder / "added_tokens.json").write_text('{"new": 89}')
    refused(DATA, "added_tokens.json", "tokenize", "--model", folder, "--data", work / "ids.jsonl", "--text", "a")
    (folder / "added_tokens.json").unlink()
    edit(folder / "tokenizer.json", version="2.0")
    refused(UNSUPPORTED, "version 2.0", "tokenize", "--model", folder, "--data", work / "ids.jsonl", "--text", "a")


def vocabulary_files_alone(work):
    folder = model(work, "old")
    text = "w1 W2, w3w4 [MASK] [SEP]"
    vocab = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    edit(folder / "tokenizer.json", normalizer={"type": "BertNormalizer", "lowercase": True}, added_tokens=[
        {"id": vocab[token], "content": token, "normalized": False} for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")])
    want = ids(folder, work, text)
    before = ok("model", "hash", folder)
    (folder / "vocab.txt").write_text("\r\n".join(sorted(vocab, key=vocab.get)) + "\r\n")
    assert ok("model", "hash", folder) == before  # nobody reads it beside tokenizer.json
    (folder / "tokenizer.json").unlink()
    assert ids(folder, work, text) == want
    assert ok("model", "hash", folder) != before
    now = ok("model", "hash", folder)
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    assert ids(folder, work, text) != want and ok("model", "hash", folder) != now


def types_follow_the_settings(work):
    """A pair, with token types and without: as if the template had type 0 everywhere."""
    folder, plain = model(work, "types"), model(work, "no_types")
    template = json.loads((folder / "tokenizer.json").read_text())
    edit(plain / "tokenizer.json", post_processor={
        "type": "TemplateProcessing", "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in
                                                         (("[CLS]", 2), ("[SEP]", 3))},
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
        "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}},
                 {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]})
    assert template["post_processor"], "the golden tokenizer has a template"
    path = work / "pair.jsonl"
    path.write_text(json.dumps({"a": "w1 w2", "b": "w3"}) + "\n")
    run = ("predict", "--data", path, "--text", "a,b", "--model")
    with_types, without = ok(*run, folder), ok(*run, plain)
    assert with_types != without
    for settings in ({"model_input_names": ["input_ids", "attention_mask"]}, {"tokenizer_class": "DistilBertTokenizer"}):
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        assert ok(*run, folder) == without, settings
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "DistilBertTokenizer", "model_input_names": '
                                                  '["input_ids", "token_type_ids"]}')
    assert ok(*run, folder) == with_types


def reshaped(work, name, matrices, **config):
    """A copy of golden's adapter of rank 3 and alpha 7: matrices(tensor's name, A, rows) gives its new rows, of A or of
    B transposed."""
    folder = work / f"adapter-{name}"
    shutil.copytree(GOLDEN / "roberta-24/adapter", folder)
    for file in folder.iterdir():
        file.chmod(0o644)
    tensors = read_tensors(folder / "adapter_model.safetensors")
    for tensor, (shape, value) in list(tensors.items()):
        if ".lora_" not in tensor:
            continue
        flat, (rows, columns), is_a = struct.unpack(f"<{shape[0] * shape[1]}f", value), shape, ".lora_A." in tensor
        by_rank = [flat[r * columns:(r + 1) * columns] for r in range(rows)] if is_a else [
            flat[r::columns] for r in range(columns)]
        new = matrices(tensor, is_a, by_rank)
        values = [x for row in new for x in row] if is_a else [row[i] for i in range(rows) for row in new]
        tensors[tensor] = ([len(new), columns] if is_a else [rows, len(new)], struct.pack(f"<{len(values)}f", *values))
    write_tensors(folder / "adapter_model.safetensors", tensors)
    edit(folder / "adapter_config.json", **config)
    return folder


def modules_have_ranks_and_scales_of_their_own(work):
    """rank_pattern and alpha_pattern: one update of the weights, written in four ways."""
    folder = model(work, "ruled", golden="roberta-24", num_labels=3)

    def logits(name, matrices, **config):
        adapter = reshaped(work, name, matrices, **config)
        return [x for answer in predicted(folder, work, "--adapter", adapter) for x in answer["logits"]]

    def first(factor):  # rank 1 of query alone
        return lambda name, a, rows: ([tuple(x if a else factor * x for x in rows[0])] if "query" in name else rows)

    zeros = (0.0,) * 24
    whole = logits("whole", lambda name, a, rows: rows)
    plain = logits("plain", lambda name, a, rows: [rows[0], zeros, zeros] if "query" in name and not a else rows)
    assert max(abs(x - y) for x, y in zip(whole, plain)) > 1e-3
    for name, matrices, config in (
            ("lower", first(1.0), {"rank_pattern": {"query": 1}, "alpha_pattern": {"query": 7 / 3}}),
            ("scaled", first(0.5), {"rank_pattern": {".*query": 1}, "alpha_pattern": {"self.query": 14 / 3}}),
            ("higher", lambda name, a, rows: first(1.0)(name, a, rows) if "query" in name else rows + [zeros, zeros],
             {"rank_pattern": {"query": 1, "value": 5}, "alpha_pattern": {"query": 7 / 3, "value": 35 / 3}})):
        got = logits(name, matrices, **config)
        assert max(abs(x - y) for x, y in zip(got, plain)) < 1e-5, name


def files_that_are_something_else(work):
    path = data(work, "s.jsonl", [0] * 24)
    for name, content, words in (("model.safetensors", LFS.encode(), "Git LFS"), ("tokenizer.json", LFS.encode(), "LFS"),
                                 ("config.json", b"<!doctype html><p>", "web page"),
                                 ("model.safetensors", b"PK\3\4" + bytes(200), "zip archive"),
                                 ("config.json", '{"a": 1}'.encode("utf-16"), "UTF-16")):
        folder = work / f"kind_{words}_{name}"
        shutil.copytree(GOLDEN / "bert-40/model", folder)
        (folder / name).chmod(0o644)
        (folder / name).write_bytes(content)
        refused(DATA, words, "predict", "--model", folder, "--data", path, "--text", "text", "--labels", "a,b")


def main():
    if not (BIN / "rondo").exists():
        print(f"skipped: {BIN}/rondo is not built")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        for step in (classes_are_the_models, other_classes_need_a_new_head,
                     a_plan_keeps_the_models_order, a_random_head_is_said, adapters_promise_what_they_hold,
                     what_is_no_number_is_refused, the_task_is_the_models, fields_that_nobody_reads_break_nothing,
                     settings_beside_the_tokenizer, vocabulary_files_alone, types_follow_the_settings,
                     modules_have_ranks_and_scales_of_their_own, files_that_are_something_else):
            step(pathlib.Path(folder))
            print(f"{step.__name__}: good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
