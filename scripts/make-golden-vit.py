#!/usr/bin/env python3
"""Makes tests/golden/vit-*: tiny random ViTs written by transformers, with what transformers and PEFT compute from them.

Needs torch, transformers, peft (versions are stored in each file's metadata). The tests themselves need none of them.
usage: make-golden-vit.py [OUTDIR=tests/golden]

Each folder: config.json + model.safetensors as save_pretrained writes them, peft_adapter/ as PEFT writes it after ten
training steps from `kaiming`, and golden.safetensors:
  pixels [3,B,ch,H,W], labels [3,B]      three batches; step i uses batch i % 3
  logits, loss                           of the base on batch 0 with its own head (float32)
  head.weight, head.bias                 the start of a new head with another number of labels
  {kaiming,pissa}.losses [10]            AdamW 5e-3, weight decay 0.01 (not on biases), gradients clipped to norm 1
  {kaiming,pissa}.start.<module>.lora_A  and lora_B: where PEFT's adapter starts
  {kaiming,pissa}.grad.<module>.lora_A   and lora_B: gradients of the first step, before clipping; and grad.head.*
  kaiming.logits_after                   of batch 0 with the adapter in peft_adapter/
"""
import sys
import torch
from golden_common import init_lora_weights, plain_name, save_adapter, save_golden, start_folder, stir, train, trained
from peft import LoraConfig, get_peft_model
from transformers import ViTConfig, ViTForImageClassification

NEW_LABELS = 7
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]
CASES = {
    "vit-base": dict(config=dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=16,
                                 patch_size=4, num_labels=5), dtype=torch.float32),
    # one channel, a picture that is not square, tanh gelu, no q/k/v bias, head size 12, file in bf16
    "vit-odd": dict(config=dict(hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=40, image_size=[12, 20],
                                patch_size=4, num_channels=1, num_labels=3, qkv_bias=False, hidden_act="gelu_pytorch_tanh",
                                layer_norm_eps=1e-6), dtype=torch.bfloat16),
    # 65 tokens, patch 2, file in fp16, written in two shards
    "vit-long": dict(config=dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=16,
                                 patch_size=2, num_labels=4), dtype=torch.float16, shard="4KB"),
}


def base_model(path):
    return ViTForImageClassification.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")


def loss_of(model, batch):
    logits = model(pixel_values=batch[0]).logits
    return torch.nn.functional.cross_entropy(logits, batch[1]), logits


def short(n):
    n = plain_name(n).replace("modules_to_save.", "")
    return n.replace("classifier.", "head.") if n.startswith("classifier") else n.removesuffix(".weight")


def tune(path, init, batches, head, out):
    model = base_model(path)
    model.classifier = torch.nn.Linear(model.config.hidden_size, NEW_LABELS)
    with torch.no_grad():
        model.classifier.weight.copy_(head["head.weight"])
        model.classifier.bias.copy_(head["head.bias"])
    torch.manual_seed(1)
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=6, target_modules=TARGETS, modules_to_save=["classifier"],
                                             init_lora_weights=init_lora_weights(init)))
    model.train()
    named = trained(model)
    groups = [dict(params=[p for n, p in named.items() if not n.endswith("bias")], weight_decay=0.01),
              dict(params=[p for n, p in named.items() if n.endswith("bias")], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=5e-3)
    train(model, init, optimizer, loss_of, short, batches, out)
    return model


def make(name, case, outdir):
    path = start_folder(outdir, name)
    model = ViTForImageClassification(ViTConfig(initializer_range=0.3, **case["config"]))
    stir(model, 0.1)
    model.to(case["dtype"]).save_pretrained(path, max_shard_size=case.get("shard", "1GB"))
    config = model.config
    size = config.image_size if isinstance(config.image_size, (list, tuple)) else [config.image_size] * 2
    pixels = torch.randn(3, 5, config.num_channels, *size)
    labels = torch.randint(0, NEW_LABELS, (3, 5))
    batches = [(pixels[i], labels[i]) for i in range(3)]
    head = {"head.weight": 0.3 * torch.randn(NEW_LABELS, config.hidden_size), "head.bias": 0.1 * torch.randn(NEW_LABELS)}
    out = {"pixels": pixels, "labels": labels.to(torch.int32), **head}
    base = base_model(path).eval()
    with torch.no_grad():
        out["logits"] = base(pixel_values=pixels[0]).logits
        out["loss"] = torch.nn.functional.cross_entropy(out["logits"], labels[0] % config.num_labels).reshape(1)
    save_adapter(tune(path, "kaiming", batches, head, out), path, "kaiming", lambda model: loss_of(model, batches[0])[1], out)
    tune(path, "pissa", batches, head, out)
    save_golden(path, out)


if __name__ == "__main__":
    for name, case in CASES.items():
        make(name, case, sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
