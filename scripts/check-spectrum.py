#!/usr/bin/env python3
"""Checks `lora-ft spectrum` against numpy's SVD by the definitions. Needs torch, transformers, safetensors; the tests do not run it.

usage: check-spectrum.py LORA_FT MODEL ADAPTER [R=8]

The weights are those of transformers' modules of the adapter's names; figures are printed with their largest relative difference over
the modules. The limit is 1e-9.
"""
import json, subprocess, sys
import numpy as np
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForImageClassification
from transformers.pytorch_utils import Conv1D


def effective_rank(sigma):
    p = sigma / sigma.sum()
    return np.exp(-sum(x * np.log(x) for x in p if x > 0))


def figures(W, dW, rank, r):
    U, S, Vt = np.linalg.svd(W, full_matrices=False)
    U2 = np.linalg.svd(W + dW, full_matrices=False)[0]
    of_update = np.linalg.svd(dW, compute_uv=False)
    n, squares, C = len(S), (S**2).sum(), (U.T @ dW @ Vt.T) ** 2
    start, top, head = (n - r) // 2, range(min(10, n)), 8 * np.arange(n) < n
    share = lambda s: (S[s:s + r] ** 2).sum() / squares
    norm = np.linalg.norm(dW)
    return {
        "sigma_max": S[0], "sigma_min": S[-1], "effective_rank": effective_rank(S), "energy_first": share(0), "energy_middle": share(start),
        "energy_last": share(n - r), "energy_chosen": share(start), "start_chosen": start, "update_norm": norm,
        "update_relative_norm": norm / np.sqrt(squares), "update_sigma_max": of_update[0],
        "update_effective_rank": effective_rank(of_update[:rank]), "map_diagonal": np.trace(C) / C.sum(),
        "map_head": C[head[:, None] | head[None, :]].sum() / C.sum(), "map_inside": C.sum() / norm**2,
        "rotation": np.mean([np.arccos(min(1, abs(U[:, j] @ U2[:, j]))) for j in top]),
        "intruders": sum(np.abs(U.T @ U2[:, j]).max() < 0.5 for j in top),
    }


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    program, folder, adapter, r = *sys.argv[1:4], int((sys.argv + ["8"])[4])
    said = subprocess.run([program, "spectrum", "--model", folder, "--adapter", adapter, "--init", "intermediate", "--r", str(r), "--json"],
                          stdout=subprocess.PIPE, check=True).stdout
    config, tensors = json.load(open(adapter + "/adapter_config.json")), load_file(adapter + "/adapter_model.safetensors")
    kind = AutoModelForImageClassification if "vit" in json.load(open(folder + "/config.json"))["model_type"] else AutoModelForCausalLM
    model = kind.from_pretrained(folder, dtype="float32")
    scaling = config["lora_alpha"] / (config["r"] ** 0.5 if config.get("use_rslora") else config["r"])
    worst, modules = {}, json.loads(said)["modules"]
    for found in modules:
        module, key = model.get_submodule(found["name"]), "base_model.model." + found["name"] + ".lora_%s.weight"
        W, A, B = (t.detach().double().numpy() for t in (module.weight, tensors[key % "A"], tensors[key % "B"]))
        W = W.T if isinstance(module, Conv1D) else W
        for name, value in figures(W, scaling * B @ A, len(A), r).items():
            difference = abs(found[name] - value) / max(abs(value), 1e-300) if value else abs(found[name])
            worst[name] = max(worst.get(name, 0), difference)
    for name, difference in worst.items():
        print(f"{name:24} {difference:.1e}")
    print(f"{len(modules)} modules")
    sys.exit(any(difference > 1e-9 for difference in worst.values()))


if __name__ == "__main__":
    main()
