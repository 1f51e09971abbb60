#!/usr/bin/env python3
"""Writes tests/golden/pissa.safetensors: for a few weights W, PEFT's scaling * B0 @ A0 of init_lora_weights="pissa".

tests/unit/test_init.c compares ours with them. Needs torch, peft and safetensors.
"""
import pathlib

import peft
import torch
from safetensors.torch import save_file

CASES = {  # name: (out, in, r, lora_alpha)
    "tall": (40, 24, 4, 8),
    "wide": (24, 40, 5, 5),
    "square": (32, 32, 6, 3),
}


def product(weight, r, lora_alpha):
    out, in_ = weight.shape
    model = torch.nn.Sequential(torch.nn.Linear(in_, out, bias=False))
    model[0].weight.data = weight.clone()
    config = peft.LoraConfig(r=r, lora_alpha=lora_alpha, target_modules=["0"], init_lora_weights="pissa")
    layer = peft.get_peft_model(model, config).base_model.model[0]
    lora_a, lora_b = layer.lora_A["default"].weight.data, layer.lora_B["default"].weight.data
    return layer.scaling["default"] * lora_b @ lora_a


def main():
    torch.manual_seed(0)
    tensors = {}
    for name, (out, in_, r, lora_alpha) in CASES.items():
        weight = torch.randn(out, in_) * 0.05
        tensors[f"{name}.W"] = weight
        tensors[f"{name}.r_alpha"] = torch.tensor([r, lora_alpha], dtype=torch.float32)
        tensors[f"{name}.product"] = product(weight, r, lora_alpha).contiguous()
    path = pathlib.Path(__file__).parent.parent / "tests" / "golden" / "pissa.safetensors"
    save_file(tensors, path, {"torch": torch.__version__, "peft": peft.__version__})


if __name__ == "__main__":
    main()
