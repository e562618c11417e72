#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a GPU and the tools users have today reach, measured before our own code is.

Measures, with random weights of RoBERTa's shapes:
  gemm     bf16 matrix products through torch (cuBLAS), TF/s, as graph replays
  copy     device-to-device copy bandwidth and a LayerNorm
  sdpa     torch's attention, forward and backward, at S = 64, 128, 512, head size 64
  peft     transformers + peft LoRA steps (r = 8 on query, value): eager and torch.compile
  launch   kernels a step, and the CPU time to issue them

Prints one line a figure and writes them all as JSON:  gpu_baseline.py [--out FILE] [--only gemm,peft]
Exit code 77: no GPU here, or no torch.
"""
import argparse
import json
import statistics
import sys
import time

RESULTS = []


def note(group, name, unit, value, **more):
    RESULTS.append(dict(group=group, name=name, unit=unit, value=value, **more))
    extra = " ".join(f"{k}={v}" for k, v in more.items())
    print(f"{group:8s} {name:44s} {value:12.3f} {unit} {extra}", flush=True)


def median_ms(torch, run, repeats=20, warm=5):
    for _ in range(warm):
        run()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        run()
        b.record()
        torch.cuda.synchronize()
        times.append(a.elapsed_time(b))
    return statistics.median(times)


def graphed(torch, run):
    """run() captured once; the replay has no launch gaps of the interpreter."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run()
        run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def measure_gemm(torch):
    shapes = {  # name: (N, K, weight stored [N, K] and used transposed)
        "qkv": (3072, 1024, True), "qkv+32": (3072, 1056, True), "out": (1024, 1024, True),
        "ffn1": (4096, 1024, True), "ffn2": (1024, 4096, True), "dqkv+32": (1056, 3072, False),
        "dffn1": (1024, 4096, False), "dffn2": (4096, 1024, False)}
    for m in (512, 640, 1024, 2048, 4096, 8192, 16384):
        for name, (n, k, transposed) in shapes.items():
            sets = 4
            a = [torch.randn(m, k, device="cuda", dtype=torch.bfloat16) for _ in range(sets)]
            w = [torch.randn(*((n, k) if transposed else (k, n)), device="cuda",
                             dtype=torch.bfloat16) for _ in range(sets)]
            out = [torch.empty(m, n, device="cuda", dtype=torch.bfloat16) for _ in range(sets)]

            def run():
                for _ in range(3):
                    for i in range(sets):
                        torch.mm(a[i], w[i].t() if transposed else w[i], out=out[i])
            ms = median_ms(torch, graphed(torch, run)) / (3 * sets)
            note("gemm", f"M={m} {name} N={n} K={k}", "TF/s", 2e-9 * m * n * k / ms)
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    ms = median_ms(torch, lambda: torch.mm(a, b), repeats=10)
    note("gemm", "8192 cube", "TF/s", 2e-9 * 8192 ** 3 / ms)


def measure_copy(torch):
    a = torch.randn(1 << 30, device="cuda")
    b = torch.empty_like(a)
    ms = median_ms(torch, lambda: b.copy_(a), repeats=10)
    note("copy", "4 GiB device to device", "GB/s", 8 * a.numel() / ms * 1e-6)
    del a, b
    x = torch.randn(65536, 1024, device="cuda", dtype=torch.bfloat16)
    ln = torch.nn.LayerNorm(1024, device="cuda", dtype=torch.bfloat16)
    ms = median_ms(torch, lambda: ln(x))
    note("copy", "torch LayerNorm 65536x1024 bf16", "GB/s", 4 * x.numel() / ms * 1e-6)
    u = torch.randn(65536, 4096, device="cuda", dtype=torch.bfloat16)
    ms = median_ms(torch, lambda: torch.nn.functional.gelu(u))
    note("copy", "torch GELU 65536x4096 bf16", "GB/s", 4 * u.numel() / ms * 1e-6)


def measure_sdpa(torch):
    for s in (64, 128, 512):
        batch = 8192 // s
        q, k, v = (torch.randn(batch, 16, s, 64, device="cuda", dtype=torch.bfloat16,
                               requires_grad=True) for _ in range(3))
        g = torch.randn_like(q)
        with torch.no_grad():
            run = graphed(torch, lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v))
        forward = median_ms(torch, run)

        def both():
            o = torch.nn.functional.scaled_dot_product_attention(q, k, v)
            torch.autograd.grad(o, (q, k, v), g)
        note("sdpa", f"8192 tokens S={s} forward", "us", 1e3 * forward)
        note("sdpa", f"8192 tokens S={s} both", "us", 1e3 * median_ms(torch, graphed(torch, both)))


def glue_lengths(count, seed):
    """Log-normal, mean 39, standard deviation 17: about MNLI."""
    import numpy as np
    sigma2 = np.log(1 + (17 / 39) ** 2)
    draw = np.random.default_rng(seed).lognormal(np.log(39) - sigma2 / 2, sigma2 ** 0.5, count)
    return [int(min(max(v, 5), 512)) for v in draw]


def make_peft(torch, dtype, layers=None):
    from peft import LoraConfig, get_peft_model
    from transformers import RobertaConfig, RobertaForSequenceClassification
    config = RobertaConfig(
        vocab_size=50265, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16,
        intermediate_size=4096, max_position_embeddings=514, type_vocab_size=1,
        layer_norm_eps=1e-5, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        num_labels=2, pad_token_id=1, attn_implementation="sdpa")
    with torch.device("cuda"):
        model = RobertaForSequenceClassification(config).to(dtype)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"], lora_dropout=0.0,
                      task_type="SEQ_CLS", layers_to_transform=layers)
    model = get_peft_model(model, lora)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            if "lora_" in name:
                parameter.data = parameter.data.float()
            if "lora_B" in name:
                torch.nn.init.normal_(parameter.data, std=0.02)
    model.train()
    return model


def make_step(torch, model, lengths, width, autocast):
    ids = torch.randint(5, 50000, (len(lengths), width), device="cuda")
    mask = (torch.arange(width, device="cuda")[None, :]
            < torch.tensor(lengths, device="cuda")[:, None]).long()
    if min(lengths) == width:
        mask = None
    else:
        ids = torch.where(mask.bool(), ids, torch.ones_like(ids))
    labels = torch.randint(0, 2, (len(lengths),), device="cuda")
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=1e-4, fused=True)

    def step():
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=autocast):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimiser.step()
    return step


def count_launches(torch, step):
    from torch.profiler import ProfilerActivity, profile
    step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    issue = time.perf_counter() - start
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace:
        step()
        torch.cuda.synchronize()
    device = [e for e in trace.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    return len(device), 1e3 * issue


def measure_peft(torch, deadline):
    from functools import partial
    glue16, glue210 = glue_lengths(16, 3), glue_lengths(210, 4)
    cases = {"16 GLUE-like": (glue16, -(-max(glue16) // 8) * 8), "16x128": ([128] * 16, 128),
             "210 GLUE-like": (glue210, -(-max(glue210) // 8) * 8), "64x128": ([128] * 64, 128)}
    ways = [("fp32 base, autocast", torch.float32, True), ("bf16 base", torch.bfloat16, False),
            ("bf16 base, autocast", torch.bfloat16, True)]
    for label, layers in (("all layers", None), ("layers 15-23", list(range(15, 24))),
                          ("top 2", [22, 23])):
        for way, dtype, autocast in ways if layers is None else ways[2:]:
            model = make_peft(torch, dtype, layers)
            for case, (lengths, width) in cases.items():
                step = make_step(torch, model, lengths, width, autocast)
                torch.cuda.reset_peak_memory_stats()
                ms = median_ms(torch, step, repeats=10, warm=3)
                note("peft", f"eager {label}, {way}, {case}", "ms", ms, tokens=sum(lengths),
                     padded=len(lengths) * width, ktok_s=round(sum(lengths) / ms, 1),
                     GB=round(torch.cuda.max_memory_allocated() / 1e9, 2))
                if layers is None:
                    kernels, issue = count_launches(torch, step)
                    note("launch", f"eager {label}, {way}, {case}", "kernels", kernels,
                         issue_ms=round(issue, 2))
            del model
            torch.cuda.empty_cache()
    for label, layers in (("all layers", None), ("layers 15-23", list(range(15, 24)))):
        for mode in ("default", "reduce-overhead") if layers is None else ("default",):
            for way, dtype, autocast in ways[1:] if mode == "default" and layers is None \
                    else ways[2:]:
                for case in ("16 GLUE-like", "64x128", "210 GLUE-like"):
                    if time.time() > deadline:
                        print("peft     out of time", flush=True)
                        return
                    torch._dynamo.reset()
                    lengths, width = cases[case]
                    started = time.time()
                    try:
                        model = make_peft(torch, dtype, layers)
                        compiled = torch.compile(model, mode=mode, dynamic=False)
                        step = make_step(torch, compiled, lengths, width, autocast)
                        ms = median_ms(torch, partial(step), repeats=10, warm=4)
                        note("peft", f"compile {mode}, {label}, {way}, {case}", "ms", ms,
                             tokens=sum(lengths), ktok_s=round(sum(lengths) / ms, 1),
                             compile_s=round(time.time() - started, 1))
                        if mode == "default" and layers is None:
                            kernels, issue = count_launches(torch, step)
                            note("launch", f"compile {label}, {way}, {case}", "kernels", kernels,
                                 issue_ms=round(issue, 2))
                        del step, compiled, model
                    except Exception as problem:  # a mode that does not work is a result too
                        print(f"peft     compile {mode} {way} {case}: failed: "
                              f"{str(problem).splitlines()[0][:200]}", flush=True)
                    torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--only", default="copy,gemm,sdpa,peft", help="groups to measure")
    parser.add_argument("--seconds", type=float, default=420, help="start nothing new after this")
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("skipped: no torch in this interpreter")
        return 77
    if not torch.cuda.is_available():
        print("skipped: no GPU here")
        return 77
    began = time.time()
    torch.manual_seed(1)
    versions = dict(device=torch.cuda.get_device_name(), torch=torch.__version__,
                    multiprocessors=torch.cuda.get_device_properties(0).multi_processor_count)
    for module in ("transformers", "peft"):
        try:
            versions[module] = __import__(module).__version__
        except ImportError:
            versions[module] = "absent"
    print(versions, flush=True)
    groups = arguments.only.split(",")
    for name, measure in (("copy", measure_copy), ("gemm", measure_gemm), ("sdpa", measure_sdpa)):
        if name in groups:
            measure(torch)
            print(f"-- {name} done after {time.time() - began:.0f} s", flush=True)
    if "peft" in groups:
        measure_peft(torch, began + arguments.seconds)
    if arguments.out:
        with open(arguments.out, "w") as file:
            json.dump(dict(versions=versions, results=RESULTS), file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
