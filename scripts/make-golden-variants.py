#!/usr/bin/env python3
"""Makes tests/golden/variants/<model>-<variant>: adapters with more than factors, as PEFT trains and writes them.

Needs torch, transformers, peft (versions are stored in each file's metadata). The base models are those of make-golden-lm.py,
make-golden-vit.py and make-golden-encoder.py, of which nothing is changed. Each folder: adapter_config.json and adapter_model.safetensors as PEFT writes them
after ten steps, and golden.safetensors:
  start.<module>.lora_A                  where PEFT's adapter starts (B is zero); of an embedding lora_embedding_B (A is zero)
  grad.<parameter>                       of step 0, of variants that save modules whole (modules_to_save)
  losses [10]                            AdamW 5e-3, weight decay 0.01 (not on biases and norms, as the Trainer), gradients clipped to norm 1;
                                         of "loraplus" with create_loraplus_optimizer, the same decay
                                         (of "saved_loraplus" none)
  ids, labels                            of variants whose batches are others than the base's
  logits_after                           of batch 0 with the adapter in the folder
  grad.<module>.<factor>                 of variants whose name begins with "ends": gradients of batch 1's loss there
usage: make-golden-variants.py [GOLDEN=tests/golden [VARIANT...]]
"""
import json, os, shutil, sys
import peft, torch, transformers
from golden_common import plain_name, trained
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, ViTForImageClassification

LLAMA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TARGETS = {"lm-gpt2": ["c_attn", "c_proj", "c_fc"], "vit-base": ["q_proj", "v_proj", "fc1"], "enc-bert": ["query", "value"]}
ENDS = {"lm-gpt2": ["wte", "lm_head", "c_attn"]}  # an embedding, an output layer, and something between them


def saving(*names):
    return dict(modules_to_save=list(names))


VARIANTS = [ # name, base, settings
    *(("bias_lora_only", base, dict(bias="lora_only")) for base in ("lm-qwen2", "lm-gpt2", "vit-base")),
    *(("bias_all", base, dict(bias="all")) for base in ("lm-qwen2", "lm-gpt2", "vit-base")),
    *(("dora", base, dict(use_dora=True)) for base in ("lm-qwen2", "vit-base")),
    ("dora_bias", "lm-gpt2", dict(use_dora=True, bias="lora_only")),
    ("loraplus", "lm-qwen2", dict(bias="all")),
    *(("ends", base, {}) for base in ("lm-llama", "lm-llama3", "lm-gpt2", "lm-gemma3")), # untied, tied, positions, scaled
    ("ends_patterns", "lm-qwen2",
     dict(use_rslora=True, rank_pattern={"embed_tokens": 2, "lm_head": 6}, alpha_pattern={"lm_head": 3})),
    ("ends_padded", "lm-llama", {}), # PAD's embedding is not trained
    ("ends_embed", "lm-llama3", dict(target_modules=["embed_tokens"])),
    *(("ends_head", base, dict(target_modules=["lm_head"])) for base in ("lm-llama3", "lm-granite")),
    ("ends_loraplus", "lm-qwen2", {}),
    ("ends_tied", "lm-llama3", dict(target_modules=["embed_tokens", "lm_head"], ensure_weight_tying=True)), # for its file alone
    ("ends_words", "enc-bert", dict(target_modules=["word_embeddings", "query"])),
    # untied, and of q, k and v the second; a layer that is in no group
    ("saved", "lm-llama", saving("embed_tokens", "lm_head", "model.norm", "layers.0.self_attn.k_proj", "layers.1.mlp.down_proj")),
    # tied, and apart from here on; "norm" is all norms
    ("saved", "lm-qwen2", dict(bias="all", **saving("embed_tokens", "lm_head", "norm"))),
    ("saved_head", "lm-qwen2", saving("lm_head")),
    ("saved_embedding", "lm-qwen2", saving("embed_tokens")),
    ("saved_tied", "lm-qwen2", dict(ensure_weight_tying=True, **saving("embed_tokens"))), # for reading alone
    ("saved_loraplus", "lm-qwen2", saving("embed_tokens", "norm")),
    ("saved", "lm-gpt2", saving("wte", "wpe", "ln_f", "h.0.mlp.c_fc")), # a Conv1D, [in,out] in files
    ("saved", "lm-gemma3", saving("embed_tokens", "norm")), # norms around zero, an embedding that is scaled
    # after resize_token_embeddings, whose new rows are made the mean of the others: untied, tied; and saved without being named, for reading
    *(("saved_grown", base, dict(grown=3, **saving("embed_tokens", "lm_head"))) for base in ("lm-llama", "lm-qwen2")),
    ("saved_grown", "lm-gpt2", dict(grown=1, **saving("wte", "lm_head"))),
    *(("grown_auto", base, dict(grown=3)) for base in ("lm-llama", "lm-qwen2")),
    ("saved", "vit-base", saving("classifier", "layernorm_before", "vit.embeddings", "layers.1.mlp.fc2")),
    ("saved", "enc-bert", saving("pooler", "embeddings.LayerNorm", "word_embeddings")),
]


PAD = 5  # of "padded"


def open_lm(path, gold, padded):
    more = dict(pad_token_id=PAD) if padded else {}
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager", **more)
    if padded:
        assert model.get_input_embeddings().padding_idx == PAD
        gold["ids"][:, :, ::7] = PAD
    batches = [(gold["ids"][i].long(), gold["labels"][i].long()) for i in range(3)]
    return model, batches, dict(task_type="CAUSAL_LM")


def open_vit(path, gold, padded):
    model = ViTForImageClassification.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    model.classifier = torch.nn.Linear(model.config.hidden_size, len(gold["head.bias"]))
    with torch.no_grad():
        model.classifier.weight.copy_(gold["head.weight"])
        model.classifier.bias.copy_(gold["head.bias"])
    batches = [(gold["pixels"][i], gold["labels"][i].long()) for i in range(3)]
    return model, batches, dict(modules_to_save=["classifier"])


def open_encoder(path, gold, padded):
    labels = gold["start.classifier.weight"].shape[0]
    model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32, attn_implementation="eager", num_labels=labels,
                                                               ignore_mismatched_sizes=True)
    with torch.no_grad():
        model.classifier.weight.copy_(gold["start.classifier.weight"])
        model.classifier.bias.copy_(gold["start.classifier.bias"])
    inside = torch.arange(gold["ids"].shape[2])[None, None] < gold["lengths"][:, :, None]
    batches = [(dict(input_ids=gold["ids"][i].long(), token_type_ids=gold["token_types"][i].long(), attention_mask=inside[i].long()),
                gold["labels"][i].long()) for i in range(3)]
    return model, batches, dict(task_type="SEQ_CLS")


def grow(model, gold, n):
    """n tokens more, which batches 1 and 2 have; batches as open_lm gives them."""
    ends = model.get_input_embeddings(), model.get_output_embeddings()
    means, old = [e.weight.detach().double().mean(0).float() for e in ends], ends[0].weight.shape[0]
    model.resize_token_embeddings(old + n, mean_resizing=False)
    with torch.no_grad():
        for e, mean in zip((model.get_input_embeddings(), model.get_output_embeddings()), means):
            e.weight[old:] = mean
    for what, first, every in (("ids", 0, 5), ("labels", 2, 6)):
        part = gold[what][1:, ..., first::every]
        new = (old + torch.arange(part.numel()) % n).reshape(part.shape).to(part.dtype)
        gold[what][1:, ..., first::every] = torch.where(part >= 0, new, part)
    return [(gold["ids"][i].long(), gold["labels"][i].long()) for i in range(3)]


OPENERS = {"lm": open_lm, "vit": open_vit, "enc": open_encoder}


def loss_of(model, batch):
    logits = (model(**batch[0]) if isinstance(batch[0], dict) else model(batch[0])).logits
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[1], ignore_index=-1), logits


def optimizer_of(model, variant):
    if variant.endswith("loraplus"):
        decay = 0.0 if variant.startswith("saved") else 0.01 # it would decay RMS norms, which the Trainer does not
        return create_loraplus_optimizer(model, torch.optim.AdamW, lr=5e-3, loraplus_lr_ratio=4, loraplus_weight_decay=decay)
    flat = [n for n in trained(model) if n.endswith("bias") or "norm" in n.lower() or "ln_" in n]
    groups = [dict(params=[p for n, p in trained(model).items() if (n in flat) == is_flat], weight_decay=0.0 if is_flat else 0.01)
              for is_flat in (False, True)]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=5e-3)


def make(golden, base, variant, settings):
    path, folder = os.path.join(golden, base), os.path.join(golden, "variants", f"{base}-{variant}")
    shutil.rmtree(folder, ignore_errors=True)
    gold = load_file(os.path.join(path, "golden.safetensors"))
    model, batches, more = OPENERS[base.split("-")[0]](path, gold, "padded" in variant)
    grown = settings.get("grown", 0)
    settings = {k: v for k, v in settings.items() if k != "grown"}
    if grown:
        batches = grow(model, gold, grown)
    torch.manual_seed(1)
    ends = variant.startswith("ends")
    more["target_modules"] = ENDS.get(base, ["embed_tokens", "lm_head", "q_proj", "down_proj"]) if ends else TARGETS.get(base, LLAMA_TARGETS)
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=6, **{**more, **settings}))
    model.train()
    out = {f"start.{plain_name(n).removesuffix('.weight')}": p.detach().contiguous().clone() for n, p in trained(model).items()
           if "lora_A" in n or "lora_embedding_B" in n}
    optimizer, losses = optimizer_of(model, variant), []
    for step in range(10):
        loss = loss_of(model, batches[step % 3])[0]
        loss.backward()
        for n, p in trained(model).items() if step == 0 and variant.startswith("saved") else ():
            out["grad." + plain_name(n).replace("modules_to_save.", "").replace("base_layer.", "")] = p.grad.clone()
        torch.nn.utils.clip_grad_norm_(list(trained(model).values()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        out["logits_after"] = loss_of(model, batches[0])[1].contiguous()
    if ends and "tied" not in variant:
        loss_of(model, batches[1])[0].backward()
        out.update({f"grad.{plain_name(n).removesuffix('.weight')}": p.grad.detach().clone() for n, p in trained(model).items() if "lora_" in n})
    if "padded" in variant or grown:
        out["ids"] = gold["ids"]
    if grown:
        out["labels"] = gold["labels"]
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
    for variant, base, settings in VARIANTS:
        if len(sys.argv) < 3 or variant in sys.argv[2:]:
            make(sys.argv[1] if len(sys.argv) > 1 else "tests/golden", base, variant, settings)
