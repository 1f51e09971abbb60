#!/usr/bin/env python3
"""Writes tests/golden/starts.safetensors: for a few weights W, where PEFT's starts that are no draw begin: scaling * B0 @ A0
of "pissa", A0 and B0 of "olora", B0 of "mica".

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


def started(weight, r, lora_alpha, start):
    """A0, B0 and the scaling."""
    out, in_ = weight.shape
    model = torch.nn.Sequential(torch.nn.Linear(in_, out, bias=False))
    model[0].weight.data = weight.clone()
    config = peft.LoraConfig(r=r, lora_alpha=lora_alpha, target_modules=["0"], init_lora_weights=start)
    layer = peft.get_peft_model(model, config).base_model.model[0]
    return layer.lora_A["default"].weight.data, layer.lora_B["default"].weight.data, layer.scaling["default"]


def main():
    torch.manual_seed(0)
    tensors = {}
    for name, (out, in_, r, lora_alpha) in CASES.items():
        weight = torch.randn(out, in_) * 0.05
        tensors[f"{name}.W"] = weight
        tensors[f"{name}.r_alpha"] = torch.tensor([r, lora_alpha], dtype=torch.float32)
        a, b, scaling = started(weight, r, lora_alpha, "pissa")
        tensors[f"{name}.product"] = scaling * b @ a
        a, b, _ = started(weight, r, lora_alpha, "olora")
        tensors[f"{name}.olora_A"], tensors[f"{name}.olora_B"] = a, b
        tensors[f"{name}.mica_B"] = started(weight, r, lora_alpha, "mica")[1]
    path = pathlib.Path(__file__).parent.parent / "tests" / "golden" / "starts.safetensors"
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, {"torch": torch.__version__, "peft": peft.__version__})


if __name__ == "__main__":
    main()
