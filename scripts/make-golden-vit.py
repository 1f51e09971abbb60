#!/usr/bin/env python3
"""Makes tests/golden/vit-* and those of ViT's relatives (deit, dinov2, beit, clip, siglip): tiny random models written by transformers,
with what transformers and PEFT compute from them.

Needs torch, transformers, peft (versions are stored in each file's metadata). The tests themselves need none of them.
usage: make-golden-vit.py [OUTDIR=tests/golden [CASE...]]

Each folder: config.json + model.safetensors as save_pretrained writes them, peft_adapter/ as PEFT writes it after ten
training steps from `kaiming`, and golden.safetensors:
  pixels [3,B,ch,H,W], labels [3,B]      three batches; step i uses batch i % 3
  values [3,B,7]                         instead of labels where each label holds or not (problem_type); base_values [B,n]
  logits, loss                           of the base on batch 0 with its own head (float32)
  head.weight, head.bias                 the start of a new head with another number of labels
  {kaiming,pissa}.losses [10]            AdamW 5e-3, weight decay 0.01 (not on biases), gradients clipped to norm 1
  {kaiming,pissa}.start.<module>.lora_A  and lora_B: where PEFT's adapter starts
  {kaiming,pissa}.grad.<module>.lora_A   and lora_B: gradients of the first step, before clipping; and grad.head.*
  kaiming.logits_after                   of batch 0 with the adapter in peft_adapter/
"""
import json, os, sys
import torch
from golden_common import init_lora_weights, plain_name, save_adapter, save_golden, start_folder, stir, train, trained
from peft import LoraConfig, get_peft_model
import transformers
from safetensors.torch import save_file

NEW_LABELS = 7
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]
# The head of SigLIP that pools by attention has layers of the same names, which a classifier does not use.
CLIP_TARGETS = r".*encoder.*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=16, patch_size=4)
SMALL_DINO = {k: v for k, v in SMALL.items() if k != "intermediate_size"}
TEXT = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, vocab_size=64, max_position_embeddings=8)
# size: of the pictures where it is not image_size, which preprocessor_config.json says
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
    # each label holds or not
    "vit-several": dict(config=dict(num_labels=5, problem_type="multi_label_classification", **SMALL | dict(num_hidden_layers=1)),
                        dtype=torch.float32),
    # positions of 4 x 4 patches for 6 x 5
    "vit-resized": dict(config=dict(num_labels=5, **SMALL), dtype=torch.float32, size=(24, 20)),
    "deit-tiny": dict(kind="DeiT", config=dict(num_labels=5, **SMALL), dtype=torch.float32),
    "dinov2-tiny": dict(kind="Dinov2", config=dict(num_labels=5, mlp_ratio=2, **SMALL_DINO | dict(hidden_size=24)), dtype=torch.float32),
    # the file's grid is larger, as that of the published ones; bf16
    "dinov2-resized": dict(kind="Dinov2", config=dict(num_labels=3, mlp_ratio=2, **SMALL_DINO | dict(image_size=28, num_hidden_layers=1)),
                           dtype=torch.bfloat16, size=(16, 20)),
    "dinov2-registers": dict(kind="Dinov2WithRegisters", config=dict(num_labels=4, mlp_ratio=2, num_register_tokens=3,
                                                                     **SMALL_DINO | dict(image_size=28, num_hidden_layers=1)),
                             dtype=torch.float32, size=(16, 12)),
    # the gated MLP of dinov2-giant, 24 x 32 wide
    "dinov2-gated": dict(kind="Dinov2", config=dict(num_labels=4, mlp_ratio=2, use_swiglu_ffn=True,
                                                    **SMALL_DINO | dict(hidden_size=24, num_hidden_layers=1)),
                         targets=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], dtype=torch.float32),
    "beit-tiny": dict(kind="Beit", config=dict(num_labels=5, use_relative_position_bias=True, drop_path_rate=0.0, **SMALL),
                      dtype=torch.float32),
    # one bias for all layers, absolute positions, the class token
    "beit-shared": dict(kind="Beit", config=dict(num_labels=3, use_shared_relative_position_bias=True, use_mean_pooling=False,
                                                 use_absolute_position_embeddings=True, use_mask_token=True, drop_path_rate=0.0,
                                                 **SMALL | dict(image_size=12, num_hidden_layers=1)), dtype=torch.float32),
    "clip-tiny": dict(kind="CLIP", config=dict(num_labels=5, vision_config=SMALL, text_config=TEXT), dtype=torch.float32,
                      targets=CLIP_TARGETS),
    "siglip-tiny": dict(kind="Siglip", config=dict(num_labels=5, vision_config=SMALL, text_config=TEXT), dtype=torch.float32,
                        targets=CLIP_TARGETS),
}


def base_model(case, path):
    kind = getattr(transformers, case.get("kind", "ViT") + "ForImageClassification")
    return kind.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")


def tower(config):
    """The configuration of what sees pictures."""
    return getattr(config, "vision_config", config)


def logits_of(model, pixels):
    """Models that can take pictures of another size but will not by themselves are asked to."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    size = tower(base.config).image_size
    size = list(size) if isinstance(size, (list, tuple)) else [size] * 2
    other = list(pixels.shape[-2:]) != size and not type(base).__name__.startswith("Dinov2")
    return model(pixel_values=pixels, **(dict(interpolate_pos_encoding=True) if other else {})).logits


def loss_of(model, batch):
    logits = logits_of(model, batch[0])
    if batch[1].is_floating_point():  # by transformers' own rule
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        base.config.num_labels = logits.shape[-1]
        return base.loss_function(batch[1], logits, base.config), logits
    return torch.nn.functional.cross_entropy(logits, batch[1]), logits


def short(n):
    n = plain_name(n).replace("modules_to_save.", "")
    return n.replace("classifier.", "head.") if n.startswith("classifier") else n.removesuffix(".weight")


def tune(case, path, init, batches, head, out):
    model = base_model(case, path)
    model.classifier = torch.nn.Linear(head["head.weight"].shape[1], NEW_LABELS)
    with torch.no_grad():
        model.classifier.weight.copy_(head["head.weight"])
        model.classifier.bias.copy_(head["head.bias"])
    torch.manual_seed(1)
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=6, target_modules=case.get("targets", TARGETS), modules_to_save=["classifier"],
                                             init_lora_weights=init_lora_weights(init)))
    model.train()
    named = trained(model)
    groups = [dict(params=[p for n, p in named.items() if not n.endswith("bias")], weight_decay=0.01),
              dict(params=[p for n, p in named.items() if n.endswith("bias")], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=5e-3)
    train(model, init, optimizer, loss_of, short, batches, out)
    return model


def new_model(case):
    kind = case.get("kind", "ViT")
    config = getattr(transformers, kind + "Config")(**case["config"])
    config.initializer_range = tower(config).initializer_range = 0.3
    if hasattr(config, "initializer_factor"):
        config.initializer_factor = tower(config).initializer_factor = 2.0
    model = getattr(transformers, kind + "ForImageClassification")(config)
    stir(model, 0.1)
    with torch.no_grad():  # what transformers starts at zero
        for n, p in model.named_parameters():
            if n.endswith(("_token", "_tokens", "position_embeddings", "bias_table")):
                p.add_(0.3 * torch.randn_like(p))
    return model


def make(name, case, outdir):
    path = start_folder(outdir, name)
    model = new_model(case)
    model.to(case["dtype"]).save_pretrained(path, max_shard_size=case.get("shard", "1GB"))
    config = tower(model.config)
    size = config.image_size if isinstance(config.image_size, (list, tuple)) else [config.image_size] * 2
    if "size" in case:
        size = case["size"]
        processor = dict(image_processor_type="ViTImageProcessor", size=dict(height=size[0], width=size[1]))
        json.dump(processor, open(os.path.join(path, "preprocessor_config.json"), "w"))
    pixels = torch.randn(3, 5, config.num_channels, *size)
    labels = torch.randint(0, NEW_LABELS, (3, 5))
    several = getattr(model.config, "problem_type", None) == "multi_label_classification"
    values = torch.randint(0, 2, (3, 5, NEW_LABELS)).float() if several else labels
    batches = [(pixels[i], values[i]) for i in range(3)]
    head = {"head.weight": 0.3 * torch.randn(NEW_LABELS, model.classifier.in_features), "head.bias": 0.1 * torch.randn(NEW_LABELS)}
    out = {"pixels": pixels, **({"values": values} if several else {"labels": labels.to(torch.int32)}), **head}
    base = base_model(case, path).eval()
    with torch.no_grad():
        out["logits"] = logits_of(base, pixels[0])
        if several:
            out["base_values"] = values[0][:, :model.config.num_labels].contiguous()
            out["loss"] = base(pixel_values=pixels[0], labels=out["base_values"]).loss.reshape(1)
        else:
            out["loss"] = torch.nn.functional.cross_entropy(out["logits"], labels[0] % model.config.num_labels).reshape(1)
    tuned = tune(case, path, "kaiming", batches, head, out)
    save_adapter(tuned, path, "kaiming", lambda m: loss_of(m, batches[0])[1], out)
    tune(case, path, "pissa", batches, head, out)
    save_golden(path, out)


def make_teacher(outdir):
    """deit-teacher: pixels and logits of DeiTForImageClassificationWithTeacher, the average of two heads."""
    path = start_folder(outdir, "deit-teacher")
    config = transformers.DeiTConfig(num_labels=5, initializer_range=0.3, **SMALL)
    model = transformers.DeiTForImageClassificationWithTeacher(config).eval()
    stir(model, 0.1)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if n.endswith(("_token", "position_embeddings")):
                p.add_(0.3 * torch.randn_like(p))
        model.save_pretrained(path)
        pixels = torch.randn(5, 3, 16, 16)
        save_file({"pixels": pixels, "logits": model(pixels).logits.contiguous()}, os.path.join(path, "golden.safetensors"),
                  metadata={"torch": torch.__version__, "transformers": transformers.__version__})


if __name__ == "__main__":
    if "deit-teacher" in sys.argv[2:] or not sys.argv[2:]:
        make_teacher(sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
    for name, case in CASES.items():
        if name in sys.argv[2:] or not sys.argv[2:]:
            make(name, case, sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
