#!/usr/bin/env python3
"""Makes the embedded demonstration input: a small pretrained encoder and a labelled task.

Everything comes out of this script: it generates English-like customer messages from a grammar, trains a
byte-level BPE tokenizer and a small RoBERTa-shaped encoder on the unlabelled messages by masked language
modelling, and writes a labelled task (praise or complaint) from the same grammar, with other random draws.

    python3 deploy/embedded/make.py --out deploy/embedded       # needs torch, transformers, tokenizers
    python3 deploy/embedded/make.py --out /tmp/e --data-only    # the labelled task alone; needs nothing

The labelled files are reproducible byte for byte everywhere; the weights on one version of torch with two
threads (see `made_with` in model/config.json).
"""
import argparse
import gzip
import io
import json
import os
import random

TOPICS = {
    "bank": ["account", "card", "loan", "mortgage", "transfer", "branch", "statement", "credit line"],
    "hospital": ["ward", "nurse", "surgeon", "appointment", "discharge letter", "clinic", "scan", "referral"],
    "agency": ["permit", "tax form", "passport", "hearing", "registry", "licence", "inspector", "subsidy"],
    "insurer": ["claim", "policy", "premium", "adjuster", "hotline", "refund", "contract", "assessment"],
}
GOOD = ("helpful quick clear friendly careful honest thorough patient smooth fair polite prompt reliable "
        "generous gentle accurate tidy excellent wonderful reassuring flexible attentive transparent easy "
        "pleasant efficient courteous punctual simple sensible").split()
BAD = ("useless slow confusing rude careless dishonest sloppy impatient chaotic unfair hostile late unreliable "
       "greedy rough wrong messy terrible dreadful worrying rigid dismissive opaque difficult unpleasant "
       "wasteful arrogant broken pointless absurd").split()
DID_GOOD = ("solved fixed answered explained approved corrected welcomed completed improved clarified").split()
DID_BAD = ("ignored lost delayed denied misread cancelled muddled overcharged forgot rejected").split()
PEOPLE = "clerk manager doctor adviser agent officer team supervisor colleague operator".split()
VERY = ["", "", "", "very ", "really ", "quite ", "remarkably ", "truly "]
NOT = ["not ", "never ", "hardly ", "far from ", "anything but "]
WHEN = "yesterday;last week;this morning;on Monday;in March;after two calls;at the desk;again".split(";")
PRAISE_END = "I am grateful;we will return;thank you all;I can recommend it;that made my day;I felt safe".split(";")
BLAME_END = ("I want my money back;we are leaving;nobody cares;I will complain;never again;"
             "I felt ignored").split(";")


def opinion(rng, good):
    """An adjective phrase with the given meaning, now and then through a negation."""
    if rng.random() < 0.1:
        return rng.choice(NOT) + rng.choice(BAD if good else GOOD)
    return rng.choice(VERY) + rng.choice(GOOD if good else BAD)


def clause(rng, topic, good):
    thing, person = rng.choice(TOPICS[topic]), rng.choice(PEOPLE)
    form = rng.randrange(4)
    if form == 0:
        return f"the {thing} was {opinion(rng, good)}"
    if form == 1:
        return f"the {person} {rng.choice(DID_GOOD if good else DID_BAD)} my {thing} {rng.choice(WHEN)}"
    if form == 2:
        return f"I found the {person} {opinion(rng, good)}"
    return f"{rng.choice(WHEN)} the {person} at the {thing} was {opinion(rng, good)}"


def message(rng, topic, good):
    """Two or three clauses that carry the label; one message in five concedes the opposite first."""
    main = " and ".join(clause(rng, topic, good) for _ in range(rng.choice((1, 2, 2))))
    form = rng.randrange(10)
    if form == 0:
        return f"although {clause(rng, topic, not good)}, {main}."
    if form == 1:
        return f"{clause(rng, topic, not good)}, but {main}."
    if form <= 5:
        return f"{main}. {rng.choice(PRAISE_END if good else BLAME_END)}."
    return f"{main}, {clause(rng, topic, good)}."


def corpus(seed, count):
    """count rows (text, label, topic); labels and topics uniform."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        topic = rng.choice(sorted(TOPICS))
        good = rng.random() < 0.5
        text = message(rng, topic, good)
        rows.append((text[0].upper() + text[1:], "praise" if good else "complaint", topic))
    return rows


def write_gz(path, text):
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="", compresslevel=9) as out:
        out.write(text.encode())
    with open(path, "wb") as out:
        out.write(raw.getvalue())


def write_task(out, name, rows):
    write_gz(os.path.join(out, name), "sentence\tlabel\ttopic\n" + "".join("\t".join(r) + "\n" for r in rows))


def train_tokenizer(texts, out):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=1024, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.save(os.path.join(out, "tokenizer.json"))
    with open(os.path.join(out, "tokenizer_config.json"), "w") as f:
        json.dump({"tokenizer_class": "RobertaTokenizerFast", "model_max_length": 64, "bos_token": "<s>",
                   "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>",
                   "pad_token": "<pad>", "mask_token": "<mask>"}, f, indent=1)
    return tokenizer


def pretrain(tokenizer, texts, steps, out):
    import torch
    import transformers

    torch.manual_seed(7)
    torch.set_num_threads(2)
    config = transformers.RobertaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=384, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = transformers.RobertaForMaskedLM(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.5e-3, total_steps=steps, pct_start=0.1)
    encoded = [torch.tensor(tokenizer.encode(t).ids[:64]) for t in texts]
    for step in range(steps):
        pick = torch.randint(len(encoded), (64,)).tolist()
        ids = torch.nn.utils.rnn.pad_sequence([encoded[i] for i in pick], batch_first=True, padding_value=1)
        masked = (torch.rand(ids.shape) < 0.2) & (ids > 4)
        labels = ids.masked_fill(~masked, -100)
        loss = model(ids.masked_fill(masked, 4), attention_mask=(ids != 1).long(), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        if step % 200 == 0 or step == steps - 1:
            print(f"step {step} loss {loss.item():.3f}", flush=True)
    config.made_with = f"torch {torch.__version__}, transformers {transformers.__version__}"
    model.roberta.save_pretrained(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--data-only", action="store_true")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    write_task(arguments.out, "train.tsv.gz", corpus(101, 4000))
    write_task(arguments.out, "dev.tsv.gz", corpus(202, 800))
    if arguments.data_only:
        return
    texts = [row[0] for row in corpus(303, 40000)]
    model = os.path.join(arguments.out, "model")
    os.makedirs(model, exist_ok=True)
    pretrain(train_tokenizer(texts, model), texts, arguments.steps, model)


if __name__ == "__main__":
    main()
