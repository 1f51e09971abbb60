#!/usr/bin/env python3
"""Makes tests/golden/lm-*: tiny random language models written by transformers, with what transformers and PEFT compute from them.

Needs torch, transformers, peft (versions are stored in each file's metadata). The tests themselves need none of them.
usage: make-golden-lm.py [OUTDIR=tests/golden [CASE...]]

Each folder: config.json + model.safetensors as save_pretrained writes them (of some cases then spelled as transformers 4 did),
peft_adapter/ as PEFT writes it after ten training steps from `kaiming`, and golden.safetensors:
  ids [3,B,T], labels [3,B*T]            three batches; step i uses batch i % 3. labels are the next ids, some -1 (no target)
  logits [B,T,V], loss                   of the base on batch 0 (float32); loss is the mean over targets
  {kaiming,pissa}.losses [10]            AdamW 5e-3, weight decay 0.01, gradients clipped to norm 1
  {kaiming,pissa}.start.<module>.lora_A  and lora_B: where PEFT's adapter starts
  {kaiming,pissa}.grad.<module>.lora_A   and lora_B: gradients of the first step, before clipping
  kaiming.logits_after                   of batch 0 with the adapter in peft_adapter/
  full.grad.<parameter>                  gradients of batch 0's loss by every parameter of the base
  greedy [1,n]                           batch 0's first 8 ids, and what generate() goes on with: 50 ids, or up to the model's last position;
                                         the most probable with repetition_penalty 3
"""
import json, os, sys
import torch
from golden_common import init_lora_weights, plain_name, save_adapter, save_golden, start_folder, stir, train, trained
from peft import LoraConfig, get_peft_model
from transformers import (AutoModelForCausalLM, Gemma2Config, Gemma3TextConfig, GPT2Config, GraniteConfig, LlamaConfig, MistralConfig,
                          Olmo2Config, Phi3Config, Qwen2Config, Qwen3Config, SmolLM3Config)

LLAMA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
YARN = dict(rope_type="yarn", rope_theta=300.0, factor=4.0, original_max_position_embeddings=16)
DYNAMIC = dict(rope_type="dynamic", rope_theta=200.0, factor=4.0)
LONGROPE = dict(rope_type="longrope", rope_theta=100.0, partial_rotary_factor=0.75, short_factor=[1.0, 1.5, 2.0], long_factor=[1.25, 4.0, 9.0])
BY_LAYER = dict(full_attention=dict(rope_type="linear", rope_theta=1000.0, factor=4.0), sliding_attention=dict(rope_type="default", rope_theta=50.0))
NO_IDS = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
CASES = {
    # grouped queries, untied, head size of its own, biases everywhere, file in two shards
    "lm-llama": dict(config=LlamaConfig(vocab_size=211, hidden_size=48, intermediate_size=56, num_hidden_layers=2, num_attention_heads=6,
                                        num_key_value_heads=2, head_dim=10, max_position_embeddings=64, attention_bias=True, mlp_bias=True,
                                        rms_norm_eps=1e-5), shard="60KB"),
    # tied, Llama 3's scaling, config.json of transformers 4, file in bf16
    "lm-llama3": dict(config=LlamaConfig(vocab_size=150, hidden_size=32, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
                                         num_key_value_heads=4, max_position_embeddings=256, tie_word_embeddings=True,
                                         rope_parameters=LLAMA3), dtype=torch.bfloat16, old=True),
    # a window shorter than the text
    "lm-mistral": dict(config=MistralConfig(vocab_size=120, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                                            num_key_value_heads=2, sliding_window=5, max_position_embeddings=64)),
    # biases of q, k, v; YaRN; a window in the second layer only; config.json of transformers 4
    "lm-qwen2": dict(config=Qwen2Config(vocab_size=130, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True, use_sliding_window=True,
                                        sliding_window=6, max_window_layers=1, rope_parameters=YARN), old=True),
    # norms of heads, heads wider than the model
    "lm-qwen3": dict(config=Qwen3Config(vocab_size=140, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=1, head_dim=16, max_position_embeddings=64)),
    # matrices the other way round; file in fp16
    "lm-gpt2": dict(config=GPT2Config(vocab_size=160, n_positions=32, n_embd=32, n_layer=2, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0,
                                      attn_pdrop=0.0, bos_token_id=0, eos_token_id=0), dtype=torch.float16,
                    targets=["c_attn", "c_proj", "c_fc"]),
    # texts longer than those of the training; ReLU in the gate
    "lm-dynamic": dict(config=LlamaConfig(vocab_size=110, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                                          num_key_value_heads=2, max_position_embeddings=12, hidden_act="relu", rope_parameters=DYNAMIC)),
    # tied; the layer without rotary positions has a window
    "lm-smollm3": dict(config=SmolLM3Config(vocab_size=110, hidden_size=24, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
                                            num_key_value_heads=2, max_position_embeddings=64, no_rope_layer_interval=2, use_sliding_window=True,
                                            sliding_window=6, **NO_IDS)),
    # norms behind the branches, and of whole projections
    "lm-olmo2": dict(config=Olmo2Config(vocab_size=120, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2, max_position_embeddings=64, **NO_IDS)),
    # fused projections; a part of each head is turned, by other factors from 13 tokens on
    "lm-phi3": dict(config=Phi3Config(vocab_size=120, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                                      num_key_value_heads=2, max_position_embeddings=64, original_max_position_embeddings=12,
                                      rope_parameters=LONGROPE, **NO_IDS), targets=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]),
    # four scalars, all biases, tied
    "lm-granite": dict(config=GraniteConfig(vocab_size=120, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                                            num_key_value_heads=2, max_position_embeddings=64, attention_bias=True, mlp_bias=True,
                                            tie_word_embeddings=True, embedding_multiplier=3.5, attention_multiplier=0.2,
                                            residual_multiplier=0.6, logits_scaling=2.5, **NO_IDS)),
    # soft-caps on scores and logits that are larger; tied
    "lm-gemma2": dict(config=Gemma2Config(vocab_size=120, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                                          num_key_value_heads=2, head_dim=8, max_position_embeddings=64, sliding_window=5,
                                          query_pre_attn_scalar=20, attn_logit_softcapping=2.0, final_logit_softcapping=4.0, **NO_IDS)),
    # norms around zero, four a layer, of heads too; two kinds of layers, each with its rotary positions; tied, scaled
    "lm-gemma3": dict(config=Gemma3TextConfig(vocab_size=120, hidden_size=24, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
                                              num_key_value_heads=1, head_dim=16, max_position_embeddings=64, sliding_window=5,
                                              sliding_window_pattern=2, query_pre_attn_scalar=20, rope_parameters=BY_LAYER, **NO_IDS)),
}
B, T = 2, 17
PENALTY = 3.0  # or random models with tied embeddings say one word for ever


def base_model(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")


def spell_as_transformers_4(path):
    name = os.path.join(path, "config.json")
    config = json.load(open(name))
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)
    config["transformers_version"] = "4.51.0"
    json.dump(config, open(name, "w"), indent=2)


def loss_of(model, batch):
    logits = model(input_ids=batch[0]).logits
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[1].reshape(-1), ignore_index=-1), logits


def greedy(model, prompt):
    rope = getattr(model.config, "rope_parameters", None) or {}
    reach = model.config.max_position_embeddings * (int(rope["factor"]) if rope.get("rope_type") == "dynamic" else 1)
    n = min(50, reach - prompt.shape[1])
    model.generation_config.eos_token_id = None
    return model.generate(prompt, max_new_tokens=n, do_sample=False, repetition_penalty=PENALTY, use_cache=True).to(torch.int32)


def tune(path, init, targets, batches, out):
    torch.manual_seed(1)
    model = get_peft_model(base_model(path), LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules=targets,
                                                        init_lora_weights=init_lora_weights(init)))
    model.train()
    optimizer = torch.optim.AdamW(trained(model).values(), lr=5e-3, weight_decay=0.01)
    train(model, init, optimizer, loss_of, lambda n: plain_name(n).removesuffix(".weight"), batches, out)
    return model


def make(name, case, outdir):
    path = start_folder(outdir, name)
    case["config"].initializer_range = 0.3
    model = AutoModelForCausalLM.from_config(case["config"])
    stir(model, 0.2)
    model.to(case.get("dtype", torch.float32)).save_pretrained(path, max_shard_size=case.get("shard", "1GB"))
    generation = os.path.join(path, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    if case.get("old"):
        spell_as_transformers_4(path)
    ids = torch.randint(0, case["config"].vocab_size, (3, B, T + 1))
    labels = ids[:, :, 1:].clone()
    labels[torch.rand(labels.shape) < 0.2] = -1
    ids = ids[:, :, :-1].contiguous()
    batches = [(ids[i], labels[i]) for i in range(3)]
    out = {"ids": ids.to(torch.int32), "labels": labels.reshape(3, B * T).to(torch.int32)}
    base = base_model(path).eval()
    loss, logits = loss_of(base, batches[0])
    loss.backward()
    out["logits"], out["loss"] = logits.detach(), loss.detach().reshape(1)
    for n, p in base.named_parameters():
        out[f"full.grad.{n}"] = p.grad.detach().clone()
    out["greedy"] = greedy(base_model(path).eval(), ids[0, :1, :8])
    targets = case.get("targets", LLAMA_TARGETS)
    save_adapter(tune(path, "kaiming", targets, batches, out), path, "kaiming", lambda model: loss_of(model, batches[0])[1], out)
    tune(path, "pissa", targets, batches, out)
    save_golden(path, out)


if __name__ == "__main__":
    for name, case in CASES.items():
        if len(sys.argv) < 3 or name in sys.argv[2:]:
            make(name, case, sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
