#!/usr/bin/env python3
"""lora-ft against PyTorch + PEFT on the same machine, side by side: rounds alternate, ratios are taken pair by pair.

Needs torch, transformers, peft. Nothing else should run on the machine meanwhile.
usage: bench-vs-peft.py [--program build/lora-ft] [--rounds 3] [--steps 6] [--batch 32] [--rank 16] [--init kaiming|pissa|pissa_niter_N]
                        [--eval] [--model DIR]   (DIR: a ViT in Hugging Face form; without it a random ViT-B/16 is made)

Both sides run in processes of their own with OMP_NUM_THREADS threads (2 if unset): ViT, LoRA on all linear layers of the
encoder, a trained head of 100 labels, AdamW, synthetic pictures. Prints a line a run, then median [min, max] of the ratios.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2", "query", "key", "value", "dense"]


def peer(a):
    import resource, torch
    from peft import LoraConfig, get_peft_model
    from transformers import ViTForImageClassification
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = ViTForImageClassification.from_pretrained(a.model, dtype=torch.float32)
    targets = [t for t in TARGETS if any(n.endswith("." + t) for n, _ in model.named_modules())]
    start = time.perf_counter()
    model = get_peft_model(model, LoraConfig(r=a.rank, lora_alpha=a.rank, target_modules=targets, modules_to_save=["classifier"],
                                             init_lora_weights=True if a.init == "kaiming" else a.init))
    init = time.perf_counter() - start
    size = model.config.image_size
    batch = dict(pixel_values=torch.randn(a.batch, model.config.num_channels, size, size), labels=torch.randint(0, 100, (a.batch,)))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    model.train()
    seconds = []
    for _ in range(a.steps + 2):
        start = time.perf_counter()
        if a.eval:
            with torch.inference_mode():
                model(**batch)
        else:
            model(**batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
    step = statistics.median(seconds[2:])
    print(json.dumps(dict(items_per_second=a.batch / step, step_seconds=step, init_seconds=init,
                          peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))


def make_vit_b(folder):
    import torch
    from transformers import ViTConfig, ViTForImageClassification
    torch.manual_seed(0)
    ViTForImageClassification(ViTConfig(num_labels=100)).save_pretrained(folder)


def run(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def ratio_line(what, ratios):
    print(f"{what}: median {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}] of {len(ratios)} pairs")


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--program", default="build/lora-ft")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=6)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--init", default="kaiming")
    p.add_argument("--eval", action="store_true")
    p.add_argument("--model")
    p.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    a = p.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    if a.peer:
        return peer(a)
    with tempfile.TemporaryDirectory() as folder:
        if not a.model:
            make_vit_b(folder)
            a.model = folder
        same = ["--model", a.model, "--batch", str(a.batch), "--steps", str(a.steps), "--init", a.init] + (["--eval"] if a.eval else [])
        ours = [a.program, "bench", *same, "--r", str(a.rank), "--lora_alpha", str(a.rank), "--threads", os.environ["OMP_NUM_THREADS"], "--json"]
        theirs = [sys.executable, os.path.abspath(__file__), "--peer", *same, "--rank", str(a.rank)]
        pairs = []
        for i in range(a.rounds):
            sides = [("lora-ft", ours), ("peft", theirs)]
            results = {name: run(command) for name, command in (sides if i % 2 == 0 else sides[::-1])}
            for name, r in results.items():
                print(f"round {i + 1} {name:8} {r['items_per_second']:.3f} images/s, start {r['init_seconds']:.2f} s, "
                      f"peak {r['peak_rss_mb']:.0f} MB", flush=True)
            pairs.append(results)
    ratio_line("images/s, ours / theirs", [x["lora-ft"]["items_per_second"] / x["peft"]["items_per_second"] for x in pairs])
    ratio_line("peak memory, ours / theirs", [x["lora-ft"]["peak_rss_mb"] / x["peft"]["peak_rss_mb"] for x in pairs])
    ratio_line("start of the adapter, theirs / ours", [x["peft"]["init_seconds"] / x["lora-ft"]["init_seconds"] for x in pairs])


main()
