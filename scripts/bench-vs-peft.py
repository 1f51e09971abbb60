#!/usr/bin/env python3
"""lora-ft against PyTorch + PEFT on the same machine, side by side: rounds alternate, ratios are taken pair by pair.

Needs torch, transformers, peft. Nothing else should run on the machine meanwhile.
usage: bench-vs-peft.py [--program build/lora-ft] [--rounds 5] [--steps 5] [--shape vit-b|dinov2-s|smollm-135m|llama-1b|bert-base]
                        [--batch 32] [--seq 256] [--rank 16] [--precision fp32|bf16] [--frozen_precision int8|nf4] [--mode autocast|cast] [--init kaiming|pissa|pissa_niter_N]
                        [--eval] [--checkpointing] [--plain-peer] [--compile] [--peer-warmup 2] [--model DIR]

Both sides run in processes of their own with OMP_NUM_THREADS threads (2 if unset), on the same random weights (or those of
DIR), synthetic data, LoRA on all linear layers, AdamW. --mode says how the peer does bf16: autocast (fp32 weights), or cast
(the model in bf16). --checkpointing: both sides with gradient checkpointing; with --plain-peer ours alone. --compile: the peer
through torch.compile. --peer-warmup: the peer's steps that are not timed (0 where one takes minutes). --frozen_precision: of ours; each round then also runs ours
without it. llama-1b is saved in bf16, as such models are, and a peer that is cast opens it so. Prints a line a run, then median [min, max] of the ratios.
"""
import argparse, contextlib, json, os, statistics, subprocess, sys, tempfile, time

OF_PICTURES = ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2", "query", "key", "value", "dense"]
SHAPES = {"vit-b": dict(unit="images", targets=OF_PICTURES),
          "dinov2-s": dict(unit="images", targets=OF_PICTURES),
          "smollm-135m": dict(unit="tokens", targets=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
          "llama-1b": dict(unit="tokens", targets=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
          "bert-base": dict(unit="tokens", targets=["query", "key", "value", "dense"])}  # a classifier, with its dropout of 0.1
CLASSIFIERS = ["vit-b", "dinov2-s", "bert-base"]


def make_model(shape, folder):
    import torch
    from transformers import (BertConfig, BertForSequenceClassification, Dinov2Config, Dinov2ForImageClassification, LlamaConfig,
                              LlamaForCausalLM, ViTConfig, ViTForImageClassification)
    torch.manual_seed(0)
    if shape == "vit-b":
        model = ViTForImageClassification(ViTConfig(num_labels=100))
    elif shape == "dinov2-s":  # at 224 pixels, 257 tokens
        model = Dinov2ForImageClassification(Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=224, num_labels=100))
    elif shape == "bert-base":
        model = BertForSequenceClassification(BertConfig())
    elif shape == "llama-1b":  # the shape of Llama-3.2-1B
        torch.set_default_dtype(torch.bfloat16)
        model = LlamaForCausalLM(LlamaConfig(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
                                             num_key_value_heads=8, vocab_size=128256, max_position_embeddings=8192, rms_norm_eps=1e-5,
                                             tie_word_embeddings=True))
    else:
        model = LlamaForCausalLM(LlamaConfig(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                                             num_key_value_heads=3, vocab_size=49152, max_position_embeddings=2048, rms_norm_eps=1e-5,
                                             tie_word_embeddings=True))
    model.save_pretrained(folder)


def open_peer(a):
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageClassification, AutoModelForSequenceClassification
    pictures, classes = SHAPES[a.shape]["unit"] == "images", a.shape in CLASSIFIERS
    auto = AutoModelForImageClassification if pictures else AutoModelForSequenceClassification if classes else AutoModelForCausalLM
    of_file = a.shape == "llama-1b" and a.precision == "bf16" and a.mode == "cast"
    model = auto.from_pretrained(a.model, dtype=torch.bfloat16 if of_file else torch.float32)
    if pictures:
        size = model.config.image_size
        batch = dict(pixel_values=torch.randn(a.batch, model.config.num_channels, size, size),
                     labels=torch.randint(0, model.config.num_labels, (a.batch,)))
        return model, batch, a.batch
    ids = torch.randint(0, model.config.vocab_size, (a.batch, a.seq))
    labels = torch.randint(0, model.config.num_labels, (a.batch,)) if classes else ids
    return model, dict(input_ids=ids, labels=labels), a.batch * a.seq


def peak_rss_mb():  # not getrusage's: that counts what the process was before it became this program
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) / 1024


def peer(a):
    import torch
    from peft import LoraConfig, get_peft_model
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model, batch, items = open_peer(a)
    cast, autocast = (a.precision == "bf16" and a.mode == m for m in ("cast", "autocast"))
    if cast:
        model = model.to(torch.bfloat16)
        if "pixel_values" in batch:
            batch["pixel_values"] = batch["pixel_values"].bfloat16()
    if a.checkpointing:
        model.gradient_checkpointing_enable()
        if hasattr(model, "enable_input_require_grads"):
            model.enable_input_require_grads()
    targets = [t for t in SHAPES[a.shape]["targets"] if any(n.endswith("." + t) for n, _ in model.named_modules())]
    start = time.perf_counter()
    model = get_peft_model(model, LoraConfig(r=a.rank, lora_alpha=a.rank, target_modules=targets,
                                             modules_to_save=["classifier"] if a.shape in CLASSIFIERS else None,
                                             init_lora_weights=True if a.init == "kaiming" else a.init))
    init = time.perf_counter() - start
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    model.train()
    if a.compile:
        model = torch.compile(model)
    seconds = []
    for _ in range(a.steps + a.peer_warmup):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast), torch.inference_mode() if a.eval else contextlib.nullcontext():
            loss = model(**batch).loss
        if not a.eval:
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
    step = statistics.median(seconds[a.peer_warmup:])
    print(json.dumps(dict(items_per_second=items / step, step_seconds=step, init_seconds=init,
                          peak_rss_mb=peak_rss_mb())))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def ratio_line(what, ratios):
    print(f"{what}: median {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}] of {len(ratios)} pairs")


def commands(a):
    threads = os.environ["OMP_NUM_THREADS"]
    same = ["--model", a.model, "--batch", str(a.batch), "--steps", str(a.steps), "--precision", a.precision, "--init", a.init]
    same += ["--eval"] if a.eval else []
    ours = [a.program, "bench", *same, "--r", str(a.rank), "--lora_alpha", str(a.rank), "--threads", threads, "--json"]
    ours += ["--seq", str(a.seq)] if SHAPES[a.shape]["unit"] != "images" else []
    ours += ["--target_modules", "all-linear"]
    ours += ["--gradient_checkpointing", "true"] if a.checkpointing else []
    theirs = [sys.executable, os.path.abspath(__file__), "--peer", *same, "--rank", str(a.rank), "--shape", a.shape, "--seq", str(a.seq),
              "--mode", a.mode, "--peer-warmup", str(a.peer_warmup)]
    theirs += ["--checkpointing"] if a.checkpointing and not a.plain_peer else []
    theirs += ["--compile"] if a.compile else []
    sides = [("lora-ft", ours), ("peft", theirs)]
    if a.frozen_precision:
        sides = [("lora-ft", [*ours, "--frozen_precision", a.frozen_precision]), ("plain", ours), ("peft", theirs)]
    return sides


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--program", default="build/lora-ft")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--shape", default="vit-b", choices=SHAPES)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--seq", type=int, default=256)
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    p.add_argument("--frozen_precision", choices=["int8", "nf4"])
    p.add_argument("--mode", default="autocast", choices=["autocast", "cast"])
    p.add_argument("--init", default="kaiming")
    p.add_argument("--eval", action="store_true")
    p.add_argument("--checkpointing", action="store_true")
    p.add_argument("--plain-peer", action="store_true")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--peer-warmup", type=int, default=2)
    p.add_argument("--model")
    p.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    a = p.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    if a.peer:
        return peer(a)
    unit = SHAPES[a.shape]["unit"]
    with tempfile.TemporaryDirectory() as folder:
        if not a.model:
            make_model(a.shape, folder)
            a.model = folder
        sides = commands(a)
        pairs = []
        for i in range(a.rounds):
            results = {name: run(command) for name, command in (sides if i % 2 == 0 else sides[::-1])}
            for name, r in results.items():
                print(f"round {i + 1} {name:8} {r['items_per_second']:.3f} {unit}/s, start {r['init_seconds']:.2f} s, "
                      f"peak {r['peak_rss_mb']:.0f} MB", flush=True)
            pairs.append(results)
    if a.frozen_precision:
        name = f"ours in {a.frozen_precision} / ours"
        ratio_line(f"{unit}/s, {name}", [x["lora-ft"]["items_per_second"] / x["plain"]["items_per_second"] for x in pairs])
        ratio_line(f"{unit}/s, ours / theirs, without {a.frozen_precision}",
                   [x["plain"]["items_per_second"] / x["peft"]["items_per_second"] for x in pairs])
        ratio_line(f"peak memory, ours / theirs, without {a.frozen_precision}",
                   [x["plain"]["peak_rss_mb"] / x["peft"]["peak_rss_mb"] for x in pairs])
    ratio_line(f"{unit}/s, ours / theirs", [x["lora-ft"]["items_per_second"] / x["peft"]["items_per_second"] for x in pairs])
    ratio_line("peak memory, ours / theirs", [x["lora-ft"]["peak_rss_mb"] / x["peft"]["peak_rss_mb"] for x in pairs])
    ratio_line("start of the adapter, theirs / ours", [x["peft"]["init_seconds"] / max(x["lora-ft"]["init_seconds"], 1e-9) for x in pairs])


main()
