#!/usr/bin/env python3
"""Makes tests/golden/cls-*: tiny random causal language models that classify texts, with what transformers and PEFT compute from them.

Needs torch, transformers, peft (versions are stored in each file's metadata). The tests themselves need none of them.
usage: make-golden-classifier.py [OUTDIR=tests/golden [CASE...]]

Each folder: config.json + model.safetensors as save_pretrained writes them, and golden.safetensors:
  ids [3,B,T], lengths [3,B]             three batches, padded on the right; step i uses batch i % 3. Where pad is eos, some texts end in it
  labels [3,B] or values [3,B,labels]    classes; or of several labels 0 and 1, or numbers
  logits, loss                           of the base on batch 0 with its own head (float32), where the file has one
  start.score.weight                     where the new head starts
  {kaiming,pissa}.losses [10]            transformers' own losses: AdamW 5e-3, weight decay 0.01, gradients clipped to norm 1
  {kaiming,pissa}.start.<module>.lora_A  and lora_B: where PEFT's adapter starts
  {kaiming,pissa}.grad.<module>.lora_A   and lora_B: gradients of the first step, before clipping; and grad.whole.score.weight
  kaiming.logits_after                   of batch 0 with the adapter in peft_adapter/, as PEFT wrote it after ten training steps
"""
import os, sys
import torch
from golden_common import init_lora_weights, plain_name, save_adapter, save_golden, start_folder, stir, train, trained
from peft import LoraConfig, get_peft_model
from transformers import (AutoModelForSequenceClassification, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM,
                          LlamaForSequenceClassification)

B, T = 4, 13
LLAMA = dict(vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1, intermediate_size=40,
             max_position_embeddings=20, bos_token_id=1, eos_token_id=2)
# Random numbers begin with the length of the name. With nine letters, PEFT's singular vectors, found in floats, are 7e-6 off
# (ours 2e-8), which turns the sign of one of 2936 gradients (3e-7 of others up to 1e-2), and AdamW makes a whole step of it:
# PiSSA's losses part by 2e-3 in step 4.
CASES = {
    "cls-llama-class": dict(config=LlamaConfig(num_labels=3, pad_token_id=2, **LLAMA), cls=LlamaForSequenceClassification, labels=5,
                      problem="single_label_classification"),
    "cls-llama-several": dict(config=LlamaConfig(pad_token_id=0, tie_word_embeddings=True, **LLAMA), cls=LlamaForCausalLM, labels=4,
                              problem="multi_label_classification", dtype=torch.bfloat16),
    "cls-gpt2-number": dict(config=GPT2Config(vocab_size=61, n_embd=24, n_layer=2, n_head=3, n_positions=20, resid_pdrop=0.0,
                                              embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=2, eos_token_id=2, pad_token_id=2),
                            cls=GPT2LMHeadModel, labels=1, problem="regression", targets=["c_attn"]),
}


def make_batches(case, out):
    config = case["config"]
    ids = torch.randint(3, config.vocab_size, (3, B, T))
    lengths = torch.randint(3, T + 1, (3, B))
    lengths[:, 0] = T
    if config.pad_token_id == config.eos_token_id:  # texts that end in what pads them
        ids[:, 0, T - 1] = config.eos_token_id
        ids[:, 1].scatter_(1, lengths[:, 1, None] - 1, config.eos_token_id)
    inside = torch.arange(T)[None, None, :] < lengths[:, :, None]
    ids[~inside] = config.pad_token_id
    out.update(ids=ids.to(torch.int32), lengths=lengths.to(torch.int32))
    if case["problem"] == "single_label_classification":
        labels = torch.randint(0, case["labels"], (3, B))
        out["labels"] = labels.to(torch.int32)
    elif case["problem"] == "multi_label_classification":
        labels = torch.randint(0, 2, (3, B, case["labels"])).float()
        out["values"] = labels
    else:
        labels = 3 * torch.randn(3, B)
        out["values"] = labels[:, :, None].clone()
    return [(dict(input_ids=ids[i], attention_mask=inside[i].long()), labels[i]) for i in range(3)]


def classifier(path, case=None):
    more = {} if case is None else dict(num_labels=case["labels"], problem_type=case["problem"], ignore_mismatched_sizes=True)
    return AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32, attn_implementation="eager", **more)


def loss_of(model, batch):
    result = model(**batch[0], labels=batch[1])
    return result.loss, result.logits


def short(n):
    if "lora" in n:
        return plain_name(n).removesuffix(".weight")
    return "whole." + plain_name(n).replace("modules_to_save.", "")


def tune(path, case, init, batches, start, out):
    torch.manual_seed(7)
    model = classifier(path, case)
    torch.manual_seed(1)
    gpt2 = case["config"].model_type == "gpt2"
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=case.get("targets", "all-linear"),
                                             fan_in_fan_out=gpt2, init_lora_weights=init_lora_weights(init)))
    named = trained(model)
    with torch.no_grad():
        for n, p in named.items():
            if "lora" in n:
                continue
            if n not in start:  # alike for both adapters
                start[n] = p + 0.1 * torch.randn_like(p)
                out["start." + plain_name(n).replace("modules_to_save.", "")] = start[n].clone()
            p.copy_(start[n])
    model.train()
    train(model, init, torch.optim.AdamW(named.values(), lr=5e-3, weight_decay=0.01), loss_of, short, batches, out)
    return model


def make(name, case, outdir):
    path = start_folder(outdir, name)
    case["config"].initializer_range = 0.2
    model = case["cls"](case["config"])
    stir(model, 0.2)
    model.to(case.get("dtype", torch.float32)).save_pretrained(path)
    out = {}
    batches = make_batches(case, out)
    if case["cls"].__name__.endswith("ForSequenceClassification"):
        base = classifier(path).eval()
        with torch.no_grad():
            out["logits"] = base(**batches[0][0]).logits
        out["loss"] = torch.nn.functional.cross_entropy(out["logits"], batches[0][1] % out["logits"].shape[1]).reshape(1)
    start = {}
    save_adapter(tune(path, case, "kaiming", batches, start, out), path, "kaiming", lambda model: loss_of(model, batches[0])[1], out)
    tune(path, case, "pissa", batches, start, out)
    generation = os.path.join(path, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    save_golden(path, out)


if __name__ == "__main__":
    for name, case in CASES.items():
        if len(sys.argv) < 3 or name in sys.argv[2:]:
            make(name, case, sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
