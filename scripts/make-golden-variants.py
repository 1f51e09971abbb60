#!/usr/bin/env python3
"""Makes tests/golden/variants/<model>-<variant>: adapters with more than factors, as PEFT trains and writes them.

Needs torch, transformers, peft (versions are stored in each file's metadata). The base models are those of make-golden-lm.py and
make-golden-vit.py, of which nothing is changed. Each folder: adapter_config.json and adapter_model.safetensors as PEFT writes them
after ten steps, and golden.safetensors:
  start.<module>.lora_A                  where PEFT's adapter starts (B is zero)
  losses [10]                            AdamW 5e-3, weight decay 0.01 (not on biases and norms), gradients clipped to norm 1;
                                         of "loraplus" with create_loraplus_optimizer, the same decay
  logits_after                           of batch 0 with the adapter in the folder
usage: make-golden-variants.py [GOLDEN=tests/golden [VARIANT...]]
"""
import json, os, shutil, sys
import peft, torch, transformers
from golden_common import plain_name, trained
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, ViTForImageClassification

LLAMA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TARGETS = {"lm-gpt2": ["c_attn", "c_proj", "c_fc"], "vit-base": ["q_proj", "v_proj", "fc1"]}
VARIANTS = {
    "bias_lora_only": (["lm-qwen2", "lm-gpt2", "vit-base"], dict(bias="lora_only")),
    "bias_all": (["lm-qwen2", "lm-gpt2", "vit-base"], dict(bias="all")),
    "dora": (["lm-qwen2", "vit-base"], dict(use_dora=True)),
    "dora_bias": (["lm-gpt2"], dict(use_dora=True, bias="lora_only")),
    "loraplus": (["lm-qwen2"], dict(bias="all")),
}


def open_lm(path, gold):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    batches = [(gold["ids"][i].long(), gold["labels"][i].long()) for i in range(3)]
    return model, batches, dict(task_type="CAUSAL_LM")


def open_vit(path, gold):
    model = ViTForImageClassification.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    model.classifier = torch.nn.Linear(model.config.hidden_size, len(gold["head.bias"]))
    with torch.no_grad():
        model.classifier.weight.copy_(gold["head.weight"])
        model.classifier.bias.copy_(gold["head.bias"])
    batches = [(gold["pixels"][i], gold["labels"][i].long()) for i in range(3)]
    return model, batches, dict(modules_to_save=["classifier"])


def loss_of(model, batch):
    logits = model(batch[0]).logits
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[1], ignore_index=-1), logits


def optimizer_of(model, variant):
    if variant == "loraplus":
        return create_loraplus_optimizer(model, torch.optim.AdamW, lr=5e-3, loraplus_lr_ratio=4, loraplus_weight_decay=0.01)
    flat = [n for n in trained(model) if n.endswith("bias") or "norm" in n or "ln_" in n]
    groups = [dict(params=[p for n, p in trained(model).items() if (n in flat) == is_flat], weight_decay=0.0 if is_flat else 0.01)
              for is_flat in (False, True)]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=5e-3)


def make(golden, base, variant, settings):
    path, folder = os.path.join(golden, base), os.path.join(golden, "variants", f"{base}-{variant}")
    shutil.rmtree(folder, ignore_errors=True)
    gold = load_file(os.path.join(path, "golden.safetensors"))
    model, batches, more = (open_lm if base.startswith("lm") else open_vit)(path, gold)
    torch.manual_seed(1)
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=6, target_modules=TARGETS.get(base, LLAMA_TARGETS), **{**more, **settings}))
    model.train()
    out = {f"start.{plain_name(n).removesuffix('.weight')}": p.detach().clone() for n, p in trained(model).items() if "lora_A" in n}
    optimizer, losses = optimizer_of(model, variant), []
    for step in range(10):
        loss = loss_of(model, batches[step % 3])[0]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(trained(model).values()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        out["logits_after"] = loss_of(model, batches[0])[1].contiguous()
    out["losses"] = torch.tensor(losses)
    model.save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))
    config_path = os.path.join(folder, "adapter_config.json")
    config = json.load(open(config_path))
    config["base_model_name_or_path"] = base
    json.dump(config, open(config_path, "w"), indent=2, sort_keys=True)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    save_file(out, os.path.join(folder, "golden.safetensors"), metadata=versions)
    print(base, variant, [round(x, 5) for x in losses])


if __name__ == "__main__":
    for variant, (bases, settings) in VARIANTS.items():
        if len(sys.argv) < 3 or variant in sys.argv[2:]:
            for base in bases:
                make(sys.argv[1] if len(sys.argv) > 1 else "tests/golden", base, variant, settings)
