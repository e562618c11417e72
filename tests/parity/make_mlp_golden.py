#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden files of the family rondo-mlp: golden/mlp-37 and golden/mlp-40, from torch in
float64.

    python3 make_mlp_golden.py            writes tests/parity/golden/mlp-*

The network is the papers': f(x) = relu(x A B) W, with A [d, r], B [r, d] and W [d, classes] as torch
parameters; the files hold their transposes, as LoRA's lora_A, lora_B and a classifier do. Written
are the logits of all records, the gradients of the mean loss over the first four, each record's
gradient norm and the sum of clipped gradients (all matrices), and the values after ten steps of SGD
with momentum zero and the norm clipped, all matrices and A and B alone. Needs torch, numpy and
safetensors.
"""
import json
import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file

R, CLASSES, RECORDS = 3, 5, 18
WIDTHS = (37, 40)  # no multiple of a vector; one of 8, as a device wants it
SCALE = 2.0  # alpha 6 by rank 3
DIVISOR, MEAN, DEVIATION = 255.0, 0.1307, 0.3081
BATCH, STEPS, LR, CLIP, DP_CLIP = 6, 10, 0.05, 0.75, 0.9
MODULE = "rondo-mlp.layer.0.linear"
GOLDEN = pathlib.Path(__file__).parent / "golden"


def uniform(rng, bound, *shape):
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def write_folder(folder, a, b, w, pixels, labels):
    d = w.shape[1]
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "adapter").mkdir(parents=True, exist_ok=True)
    config = {"model_type": "rondo-mlp", "input_size": d, "num_labels": CLASSES, "input_divisor": DIVISOR,
              "input_mean": MEAN, "input_deviation": DEVIATION}
    (folder / "model" / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({"classifier.weight": w}, folder / "model" / "model.safetensors")
    adapter = {"peft_type": "LORA", "task_type": None, "r": R, "lora_alpha": R * SCALE,
               "target_modules": ["linear"], "bias": "none", "lora_dropout": 0.0, "modules_to_save": None}
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(adapter, indent=2) + "\n")
    save_file({f"base_model.model.{MODULE}.lora_A.weight": a, f"base_model.model.{MODULE}.lora_B.weight": b},
              folder / "adapter" / "adapter_model.safetensors")
    lines = [",".join([f"p{i}" for i in range(d)] + ["label"])]
    lines += [",".join([str(p) for p in row] + [str(label)]) for row, label in zip(pixels, labels)]
    (folder / "data.csv").write_text("\n".join(lines) + "\n")


class Net(torch.nn.Module):
    def __init__(self, a, b, w):
        super().__init__()
        self.a, self.b, self.w = (torch.nn.Parameter(torch.tensor(m.T.astype(np.float64))) for m in (a, b, w))

    def forward(self, x):
        return torch.relu(SCALE * (x @ self.a @ self.b)) @ self.w

    def named(self, prefix, values):
        names = (f"{MODULE}.lora_A.weight", f"{MODULE}.lora_B.weight", "classifier.weight")
        return {f"{prefix}.{n}": v.detach().numpy().T.astype(np.float32).copy() for n, v in zip(names, values)}


def gradients(net, x, y):
    net.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    return [p.grad.clone() for p in (net.a, net.b, net.w)]


def clipped(net, x, y, out):
    norms, total = [], None
    for i in range(RECORDS):
        own = gradients(net, x[i:i + 1], y[i:i + 1])
        norm = math.sqrt(sum(float((g * g).sum()) for g in own))
        norms.append(norm)
        factor = min(1.0, DP_CLIP / norm)
        own = [factor * g for g in own]
        total = own if total is None else [s + g for s, g in zip(total, own)]
    out["norms"] = np.array(norms, dtype=np.float32)
    out["clip"] = np.array([DP_CLIP], dtype=np.float32)
    out.update(net.named("sum", total))


def trained(net, x, y, with_head):
    net.w.requires_grad_(with_head)
    train = [net.a, net.b] + ([net.w] if with_head else [])
    sgd = torch.optim.SGD(train, lr=LR)
    for step in range(STEPS):
        first = step * BATCH % RECORDS
        sgd.zero_grad()
        torch.nn.functional.cross_entropy(net(x[first:first + BATCH]), y[first:first + BATCH]).backward()
        torch.nn.utils.clip_grad_norm_(train, CLIP)
        sgd.step()
    return net


def write(d):
    folder = GOLDEN / f"mlp-{d}"
    rng = np.random.default_rng(20)
    a, b, w = uniform(rng, R ** -0.5, R, d), uniform(rng, d ** -0.5, d, R), uniform(rng, CLASSES ** -0.5, CLASSES, d)
    pixels, labels = rng.integers(0, 256, (RECORDS, d)), rng.integers(0, CLASSES, RECORDS)
    write_folder(folder, a, b, w, pixels, labels)
    x = torch.tensor(((pixels / DIVISOR - MEAN) / DEVIATION).astype(np.float32).astype(np.float64))
    y = torch.tensor(labels)
    net = Net(a, b, w)
    out = {"logits": net(x).detach().numpy().astype(np.float32)}
    out.update(net.named("gradient", gradients(net, x[:4], y[:4])))
    clipped(net, x, y, out)
    for prefix, with_head in (("both", True), ("adapter", False)):
        done = trained(Net(a, b, w), x, y, with_head)
        out.update(done.named(prefix, (done.a, done.b, done.w)))
    save_file(out, folder / "golden.safetensors")
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)


def main():
    for d in WIDTHS:
        write(d)


if __name__ == "__main__":
    main()
