#!/usr/bin/env python3
"""Makes tests/golden/continued.safetensors: PEFT goes on training the adapters that it wrote for the golden language models.

Needs torch, transformers, peft (versions are stored in the file's metadata). For each folder tests/golden/lm-*, of which nothing is
changed: peft_adapter/ is loaded with is_trainable=True and trained for ten steps on its batches, as make-golden-lm.py trains:
  <case>.losses [10]   AdamW 5e-3 from new moments, weight decay 0.01, gradients clipped to norm 1
usage: make-golden-continued.py [GOLDEN=tests/golden]
"""
import os, sys
import peft, torch, transformers
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

STEPS, BATCHES = 10, 3


def loss_of(model, ids, labels):
    logits = model(input_ids=ids).logits
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels, ignore_index=-1)


def go_on(path):
    gold = load_file(os.path.join(path, "golden.safetensors"))
    base = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, os.path.join(path, "peft_adapter"), is_trainable=True)
    model.train()
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(named.values(), lr=5e-3, weight_decay=0.01)
    losses = []
    for step in range(STEPS):
        loss = loss_of(model, gold["ids"][step % BATCHES].long(), gold["labels"][step % BATCHES].long())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(named.values()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return torch.tensor(losses)

def main():
    golden = sys.argv[1] if len(sys.argv) > 1 else "tests/golden"
    out = {}
    for case in sorted(c for c in os.listdir(golden) if c.startswith("lm-")):
        out[f"{case}.losses"] = go_on(os.path.join(golden, case))
        print(case, out[f"{case}.losses"].tolist())
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    save_file(out, os.path.join(golden, "continued.safetensors"), metadata=versions)


if __name__ == "__main__":
    main()
