#!/usr/bin/env python3
"""Writes a LLaMA of random weights in bf16, shard by shard, to measure memory and speed of sizes that one has no model of.

    make-random-llama.py DIR [--shape 1b|3b|7b]

Needs numpy. 7b takes 13.5 GB of disk and no more memory than a shard of it."""
import argparse
import json
import pathlib
import struct

import numpy

SHAPES = {  # of Llama-3.2-1B, Llama-3.2-3B and LLaMA-7B
    "1b": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
               vocab_size=128256, tie_word_embeddings=True),
    "3b": dict(hidden_size=3072, intermediate_size=8192, num_hidden_layers=28, num_attention_heads=24, num_key_value_heads=8,
               vocab_size=128256, tie_word_embeddings=True),
    "7b": dict(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32,
               vocab_size=32000, tie_word_embeddings=False),
}


def tensors_of_layer(c, layer):
    C, M, kv = c["hidden_size"], c["intermediate_size"], c["hidden_size"] // c["num_attention_heads"] * c["num_key_value_heads"]
    name = f"model.layers.{layer}."
    return {name + "input_layernorm.weight": (C,), name + "post_attention_layernorm.weight": (C,),
            name + "self_attn.q_proj.weight": (C, C), name + "self_attn.k_proj.weight": (kv, C),
            name + "self_attn.v_proj.weight": (kv, C), name + "self_attn.o_proj.weight": (C, C),
            name + "mlp.gate_proj.weight": (M, C), name + "mlp.up_proj.weight": (M, C), name + "mlp.down_proj.weight": (C, M)}


def numbers(rng, shape):
    """bf16 as its 16 bits: norms are 1, the others normal with 0.02."""
    if len(shape) == 1:
        return numpy.full(shape, 0x3F80, numpy.uint16)
    x = rng.standard_normal(shape, dtype=numpy.float32) * numpy.float32(0.02)
    return ((x.view(numpy.uint32) + 0x8000) >> 16).astype(numpy.uint16)


def write_shard(path, shapes, rng):
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(numpy.prod(shape))
        header[name] = dict(dtype="BF16", shape=shape, data_offsets=[at, at + size])
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            file.write(numbers(rng, shape).tobytes())
    return at


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--shape", choices=SHAPES, default="1b")
    a = p.parse_args()
    c, rng = SHAPES[a.shape], numpy.random.default_rng(0)
    a.folder.mkdir(parents=True, exist_ok=True)
    config = dict(c, architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", rms_norm_eps=1e-5, torch_dtype="bfloat16",
                  max_position_embeddings=4096, rope_theta=10000.0, bos_token_id=1, eos_token_id=2)
    (a.folder / "config.json").write_text(json.dumps(config, indent=1))
    V, C = c["vocab_size"], c["hidden_size"]
    shards = [{"model.embed_tokens.weight": (V, C), "model.norm.weight": (C,), **({} if c["tie_word_embeddings"] else {"lm_head.weight": (V, C)})}]
    shards += [tensors_of_layer(c, layer) for layer in range(c["num_hidden_layers"])]
    where, total = {}, 0
    for i, shapes in enumerate(shards):
        file = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        total += write_shard(a.folder / file, shapes, rng)
        where.update({name: file for name in shapes})
    (a.folder / "model.safetensors.index.json").write_text(json.dumps(dict(metadata=dict(total_size=total), weight_map=where)))
    print(f"{a.folder}: {total / 2e9:.2f} billion numbers in {len(shards)} shards")


main()
