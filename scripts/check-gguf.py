#!/usr/bin/env python3
"""GGUF files of lora-ft against transformers, PEFT and tokenizers, read by the package `gguf`; and where the package xllamacpp is
installed, run by llama.cpp itself. Needs torch, transformers, peft, gguf; the tests do not run it.

usage: check-gguf.py LORA_FT [GOLDEN=tests/golden [NAME...]]

Models: each tiny model of MODELS, with a tokenizer of single letters and, where llama.cpp has not all that its config.json asks for, a
line changed (that the line is refused as it was is checked, too).
1. `merge --format gguf` in each number format: all keys are those that config.json says, and all tensors those of PEFT's merged model,
   under the names that the package has for them, rows of q and k turned by the formula of the specification.
2. `convert --format gguf`: the factors of PEFT's adapter, and alpha.
3. llama.cpp: the probabilities of the next token, of the merged model and of base and adapter, are those of PEFT.
Tokenizers: each of TOKENIZERS in a model of its size: tokens, types and merges as in tokenizer.json; llama.cpp makes the same ids of all
texts of the tests, but for those that it is known to cut otherwise (TOKENIZERS says how many).
"""
import contextlib, gzip, json, math, os, random, shutil, subprocess, sys, tempfile, unicodedata, urllib.request
import numpy as np
import torch
from gguf import GGUFReader, MODEL_ARCH_NAMES, get_tensor_name_map
from gguf.quants import dequantize
from peft import LoraConfig, PeftModel, get_peft_model
from peft_common import finish, is_close, run
from tokenizers import Tokenizer, models as token_models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.activations import GELUTanh, NewGELUActivation
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as hf_logging

try:
    import xllamacpp
except ImportError:
    xllamacpp = None

NO_WINDOW = {"use_sliding_window": False, "layer_types": None}
# What is changed so that llama.cpp can run it; what it is refused for without that (None: it is not).
MODELS = {
    "lm-llama": ("llama", {}, None), "lm-llama3": ("llama", {}, None), "lm-mistral": ("llama", {"sliding_window": None}, None),
    "lm-qwen2": ("qwen2", {**NO_WINDOW, "rope_scaling": None}, "rope_type"), "lm-qwen3": ("qwen3", {}, None),
    "lm-smollm3": ("smollm3", {**NO_WINDOW, "no_rope_layers": [1, 1, 1]}, "no_rope_layers"), "lm-olmo2": ("olmo2", {}, None),
    "lm-phi3": ("phi3", {"rope_parameters": {"rope_theta": 100.0, "rope_type": "default", "partial_rotary_factor": 0.75}}, "positions of type longrope"),
    "lm-granite": ("granite", {}, None), "lm-gemma2": ("gemma2", {"query_pre_attn_scalar": 8}, "query_pre_attn_scalar"),
    "lm-gemma3": ("gemma3", {"query_pre_attn_scalar": 16}, "query_pre_attn_scalar"), "lm-gpt2": ("gpt2", {}, None),
}
REFUSED = {"lm-dynamic": "positions of type dynamic"}
# Of how many texts llama.cpp may make other tokens: its pattern for gpt-4o knows capitals of ASCII alone, and it joins spaces to the added
# tokens of this Gemma, which no merge of it makes (lora-ft warns of that; the real one has such merges).
TOKENIZERS = {"gpt2": 0, "llama3": 0, "qwen": 0, "o200k": 28, "llama2": 0, "gemma": 105}
TURNED = ("llama", "smollm3", "granite")
LETTERS = "abcdefghijklmnopqrstuvwxyz."


def prepare(source, folder, changes):
    """The model, its config.json changed, with a tokenizer that has all its ids."""
    model = os.path.join(folder, "model")
    shutil.copytree(source, model, ignore=shutil.ignore_patterns("golden.safetensors", "peft_adapter"))
    config = json.load(open(os.path.join(model, "config.json")))
    words = list(LETTERS) + [f"t{i}" for i in range(config["vocab_size"] - len(LETTERS))]
    tokenizer = Tokenizer(token_models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(os.path.join(model, "tokenizer.json"))
    for key, value in changes.items():
        if value is None:
            config.pop(key, None)
        else:
            config[key] = value
    json.dump(config, open(os.path.join(model, "config.json"), "w"))
    return model


def value_of(field):
    return field.contents()


def tensors_of(reader):
    return {t.name: (t.tensor_type.name, dequantize(t.data, t.tensor_type).reshape([int(n) for n in reversed(t.shape)])) for t in reader.tensors}


def turned(w, heads):
    """The formula of the specification: permute()."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def wanted_tensors(arch, model):
    """Those of a model of transformers, as GGUF has them."""
    config, state, out = model.config, model.state_dict(), {}
    names = get_tensor_name_map(next(k for k, v in MODEL_ARCH_NAMES.items() if v == arch), config.num_hidden_layers)
    embedding = model.get_input_embeddings().weight.data_ptr()
    turned_over = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, Conv1D)}
    for name, w in state.items():
        if name == "lm_head.weight" and config.tie_word_embeddings and w.data_ptr() == embedding:
            continue
        to = names.get_name(name, try_suffixes=(".weight", ".bias"))
        w = (w.T if name in turned_over else w).float().numpy()
        if arch in TURNED and ".q_proj." in name:
            w = turned(w, config.num_attention_heads)
        if arch in TURNED and ".k_proj." in name:
            w = turned(w, config.num_key_value_heads)
        if arch.startswith("gemma") and "norm" in name:
            w = w + np.float32(1)
        out[to] = w
    return out


def keys_of_gpt2(config):
    return {"gpt2.feed_forward_length": config.n_inner or 4 * config.n_embd, "gpt2.attention.layer_norm_epsilon": config.layer_norm_epsilon}


def keys_of_llamas(arch, config):
    dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = getattr(config, "rope_parameters", None) or {}
    rope = rope.get("full_attention", rope)
    wanted = {
        f"{arch}.feed_forward_length": config.intermediate_size, f"{arch}.attention.head_count_kv": config.num_key_value_heads,
        f"{arch}.attention.key_length": dim, f"{arch}.attention.value_length": dim,
        f"{arch}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{arch}.rope.dimension_count": int(dim * rope.get("partial_rotary_factor", 1)), f"{arch}.rope.freq_base": rope["rope_theta"],
    }
    if rope["rope_type"] == "linear":
        wanted |= {f"{arch}.rope.scaling.type": "linear", f"{arch}.rope.scaling.factor": rope["factor"]}
    return wanted


def check_keys(reader, arch, config, scale):
    """Keys by config.json, read here once more. transformers 5 has rope_parameters."""
    found = {name: value_of(field) for name, field in reader.fields.items() if not name.startswith(("tokenizer.", "GGUF."))}
    wanted = {
        "general.architecture": arch, "general.type": "model", "general.name": "merged", "general.base_model.count": 1,
        "general.base_model.0.name": "model", "general.file_type": scale,
        f"{arch}.vocab_size": config.vocab_size, f"{arch}.context_length": config.max_position_embeddings,
        f"{arch}.embedding_length": config.hidden_size, f"{arch}.block_count": config.num_hidden_layers,
        f"{arch}.attention.head_count": config.num_attention_heads,
    }
    wanted |= keys_of_gpt2(config) if arch == "gpt2" else keys_of_llamas(arch, config)
    if arch == "granite":
        wanted |= {"granite.attention.scale": config.attention_multiplier, "granite.embedding_scale": config.embedding_multiplier,
                   "granite.residual_scale": config.residual_multiplier, "granite.logit_scale": config.logits_scaling}
    if arch.startswith("gemma"):
        wanted |= {f"{arch}.attention.sliding_window": config.sliding_window, f"{arch}.attention.sliding_window_pattern": 2}
    if arch == "gemma2":
        wanted |= {"gemma2.attn_logit_softcapping": config.attn_logit_softcapping,
                   "gemma2.final_logit_softcapping": config.final_logit_softcapping}
    if arch == "gemma3":
        wanted |= {"gemma3.rope.freq_base_swa": config.rope_parameters["sliding_attention"]["rope_theta"]}
    bad = [k for k in wanted | found if k not in wanted or k not in found or (
        found[k] != wanted[k] if isinstance(wanted[k], (str, int)) else not math.isclose(found[k], wanted[k], rel_tol=1e-6))]
    if bad:
        print("  keys:", {k: (found.get(k), wanted.get(k)) for k in bad})
    return not bad


def rounded(w, kind):
    return w if kind == "F32" else torch.from_numpy(np.ascontiguousarray(w)).to({"BF16": torch.bfloat16, "F16": torch.float16}[kind]).float().numpy()


def check_tensors(reader, wanted, kind):
    found, good = tensors_of(reader), True
    if extra := set(found) ^ set(wanted):
        print("  tensors:", sorted(extra))
        return False
    for name, (its_kind, w) in found.items():
        if its_kind != (kind if wanted[name].ndim > 1 and name != "position_embd.weight" else "F32") or w.shape != wanted[name].shape:
            print(f"  {name}: {its_kind} {w.shape}, expected {kind} {wanted[name].shape}")
            good = False
            continue
        # PEFT merges in floats, lora-ft in doubles: a number may be rounded to its neighbour
        most = np.abs(w - rounded(wanted[name], its_kind)).max() / max(1e-9, np.abs(wanted[name]).max())
        if most > {"F32": 1e-6, "F16": 1.1e-3, "BF16": 8e-3}[its_kind]:
            print(f"  {name}: differs by {most:g}")
            good = False
    return good


@contextlib.contextmanager
def silence():
    """llama.cpp logs to the process's own streams."""
    kept, nowhere = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    for fd in (1, 2):
        os.dup2(nowhere, fd)
    try:
        yield
    finally:
        for fd, was in zip((1, 2), kept):
            os.dup2(was, fd)


def serve(path, adapter=None):
    p = xllamacpp.CommonParams()
    p.model.path, p.n_ctx, p.n_parallel, p.warmup, p.n_gpu_layers, p.fit_params = path, 64, 1, False, 0, False
    p.cpuparams.n_threads = 1
    p.cache_type_k = p.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    p.swa_full = True
    if adapter:
        p.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(adapter, 1.0)]
    return xllamacpp.Server(p)


def next_by_llama(path, texts, n_vocab, adapter=None):
    """[texts, vocabulary] logarithms of probabilities."""
    out = np.full((len(texts), n_vocab), np.nan)
    with silence():
        server = serve(path, adapter)
        for i, ids in enumerate(texts):
            answer = server.handle_completions({"prompt": ids, "n_predict": 1, "n_probs": n_vocab, "temperature": 0, "cache_prompt": False})
            for one in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
                out[i, one["id"]] = one["logprob"]
        del server
    return out


class TabledGelu(torch.nn.Module):
    """llama.cpp's tanh GELU of numbers within -10 .. 10: a table of half precision, by the number in half precision."""

    def forward(self, x):
        tabled = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
        return torch.where(x <= -10, torch.zeros_like(x), torch.where(x >= 10, x, tabled))


def next_by_torch(model, texts):
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, (NewGELUActivation, GELUTanh)):
                setattr(module, name, TabledGelu())
    with torch.no_grad():
        return np.stack([torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0, -1].double(), -1).numpy() for ids in texts])


def check_model(lora_ft, source, name, good):
    arch, changes, refused = MODELS[name]
    with tempfile.TemporaryDirectory() as folder:
        adapter = os.path.join(source, "peft_adapter")
        if refused:
            good &= check_refusal(lora_ft, source, refused)
        model = prepare(source, folder, changes)
        load = lambda: PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), adapter)
        whole = load().merge_and_unload()
        random.seed(3)
        V = whole.config.vocab_size
        texts = [[random.randrange(V) for _ in range(n)] for n in (1, 2, 5, 9, 17, 30)]
        wanted = wanted_tensors(arch, whole)
        if name == "lm-llama3":  # frequencies as transformers divides them
            plain = 1 / (500.0 ** (np.arange(0, 8, 2) / 8))
            wanted["rope_freqs.weight"] = (plain / whole.model.rotary_emb.inv_freq.double().numpy()).astype(np.float32)
        path = os.path.join(folder, "merged.gguf")
        for kind, dtype, number in (("F16", "fp16", 1), ("BF16", "bf16", 32), ("F32", "fp32", 0)):
            run(lora_ft, "merge", "--model", model, "--adapter", adapter, "--format", "gguf", "-o", path, "--save_dtype", dtype,
                "--overwrite_output_dir")
            reader = GGUFReader(path)
            good &= check_keys(reader, arch, whole.config, number) & check_tensors(reader, wanted, kind)
        print(f"{name}: {len(wanted)} tensors in F32, F16 and BF16")
        factors = os.path.join(folder, "adapter.gguf")
        run(lora_ft, "convert", "--model", model, "--adapter", adapter, "--format", "gguf", "-o", factors)
        good &= check_factors(GGUFReader(factors), arch, load())
        if xllamacpp:
            base = os.path.join(folder, "base.gguf")
            run(lora_ft, "merge", "--model", model, "--adapter", adapter, "--adapter_scale", "0", "--format", "gguf", "-o", base,
                "--save_dtype", "fp32")
            for what, tuned, found in (("merged", whole, next_by_llama(path, texts, V)),
                                       ("base and adapter", load(), next_by_llama(base, texts, V, factors)),
                                       ("base", AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), next_by_llama(base, texts, V))):
                most = np.abs(found - next_by_torch(tuned, texts)).max()
                good &= is_close(f"  {what} in llama.cpp", f"largest difference of {found.size} logarithms {most:.2g}", most, 5e-4)
    return good


def check_factors(reader, arch, model):
    """Of llama.cpp: alpha / rank * B A. Names by those of the layers."""
    names = get_tensor_name_map(next(k for k, v in MODEL_ARCH_NAMES.items() if v == arch), model.config.num_hidden_layers)
    found, good, n = tensors_of(reader), True, 0
    alpha = value_of(reader.fields["adapter.lora.alpha"])
    good &= [value_of(reader.fields[k]) for k in ("general.type", "adapter.type", "general.architecture")] == ["adapter", "lora", arch]
    for name, module in model.base_model.model.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        n += 1
        to = names.get_name(name + ".weight", try_suffixes=(".weight",))
        A, B = (m["default"].weight.detach().float().numpy() for m in (module.lora_A, module.lora_B))
        if arch in TURNED and name.endswith((".q_proj", ".k_proj")):
            B = turned(B, model.config.num_attention_heads if name.endswith(".q_proj") else model.config.num_key_value_heads)
        a, b = (found.pop(f"{to}.{leaf}")[1] for leaf in ("lora_a", "lora_b"))
        same = np.array_equal(a, A) and np.allclose(alpha / a.shape[0] * b, module.scaling["default"] * B, rtol=1e-6, atol=0)
        if not same:
            print(f"  {to}: factors differ")
        good &= same
    if found or not n:
        print("  factors of nothing:", sorted(found))
    print(f"  {n} modules of the adapter, alpha {alpha:g}")
    return good and not found and n > 0


def check_refusal(lora_ft, source, words):
    with tempfile.TemporaryDirectory() as folder:
        model = prepare(source, folder, {})
        path = os.path.join(folder, "x.gguf")
        done = subprocess.run([lora_ft, "merge", "--model", model, "--adapter", os.path.join(source, "peft_adapter"), "--format", "gguf",
                               "-o", path], capture_output=True, text=True)
        good = done.returncode != 0 and words in done.stderr and not os.path.exists(path)
        print(f"{os.path.basename(source)}: refused:", done.stderr.strip()[-160:], "" if good else f"(expected {words})")
        return good


# ---- tokenizers

def strings(golden):
    with gzip.open(os.path.join(golden, "tokenizer", "strings.json.gz"), "rt") as f:
        return json.load(f)["strings"]


def ids_by_llama(path, texts):
    with silence():
        server = serve(path)
        ask = lambda text: json.load(urllib.request.urlopen(urllib.request.Request(
            server.listening_address + "/tokenize", json.dumps({"content": text, "add_special": True, "parse_special": True}).encode(),
            {"Content-Type": "application/json"})))["tokens"]
        out = [ask(text) for text in texts]
        del server
    return out


def check_tokenizer(lora_ft, golden, name, allowed, good, file=None):
    with tempfile.TemporaryDirectory() as folder:
        model, adapter, path = (os.path.join(folder, n) for n in ("model", "adapter", "m.gguf"))
        file = file or os.path.join(golden, "tokenizer", f"{name}.json")
        tokenizer = Tokenizer.from_file(file)
        rows = tokenizer.get_vocab_size() + 3  # of which three have no token
        base = LlamaForCausalLM(LlamaConfig(vocab_size=rows, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2))
        base.save_pretrained(model)
        get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(adapter)
        shutil.copy(file, os.path.join(model, "tokenizer.json"))
        run(lora_ft, "merge", "--model", model, "--adapter", adapter, "--format", "gguf", "-o", path)
        reader = GGUFReader(path)
        found = {k[len("tokenizer.ggml."):]: value_of(v) for k, v in reader.fields.items() if k.startswith("tokenizer.ggml.")}
        described = json.load(open(file))
        pieces, added = described["model"].get("byte_fallback", False), {a["id"]: a for a in described["added_tokens"]}
        by_id = {i: t for t, i in tokenizer.get_vocab().items()}
        spaced = lambda i: pieces and i in added and not added[i]["special"] and added[i]["normalized"]
        tokens = [(by_id[i].replace("▁", " ") if spaced(i) else by_id[i]) if i in by_id else f"[PAD{i}]" for i in range(rows)]
        kind = lambda i: (5 if i not in by_id else 2 if pieces and by_id[i] == described["model"]["unk_token"] else 3 if i in added and added[i]["special"]
                          else 4 if i in added else 6 if pieces and by_id[i].startswith("<0x") else 1)
        checks = {"tokens": found["tokens"] == tokens, "types": found["token_type"] == [kind(i) for i in range(rows)],
                  "model": found["model"] == ("llama" if pieces else "gpt2")}
        if pieces:
            scores, merges = found["scores"], described["model"]["merges"]
            order = [scores[tokenizer.token_to_id("".join(m if isinstance(m, list) else m.split(" ")))] for m in merges]
            checks["scores"] = len(scores) == rows and all(a >= b for a, b in zip(order, order[1:]))
        else:
            checks["merges"] = found["merges"] == [m if isinstance(m, str) else " ".join(m) for m in described["model"]["merges"]]
        for what, same in checks.items():
            if not same:
                print(f"  {what} differ")
            good &= same
        print(f"{name}: {rows} tokens, pre {found['pre']}, bos {found['add_bos_token']}, eos {found['add_eos_token']}")
        if xllamacpp:
            texts = [t for t in strings(golden) if "\0" not in t]
            if (described["normalizer"] or {}).get("type") == "NFC":  # which llama.cpp does not do
                texts = [unicodedata.normalize("NFC", t) for t in texts]
            wanted = [tokenizer.encode(t).ids for t in texts]
            bad = [(t, w, f) for t, w, f in zip(texts, wanted, ids_by_llama(path, texts)) if w != f]
            for t, w, f in bad[:3]:
                print(f"  {t[:60]!r}: {w[:12]}, llama.cpp {f[:12]}")
            good &= is_close("  llama.cpp", f"other tokens of {len(bad)} of {len(texts)} texts", len(bad), allowed)
    return good


def main():
    lora_ft, golden = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "tests/golden"
    names = sys.argv[3:] or list(MODELS) + list(REFUSED) + list(TOKENIZERS)
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    good = True
    for name in names:
        source = os.path.join(golden, name)
        if name in MODELS:
            good = check_model(lora_ft, source, name, good)
        elif name in REFUSED:
            good &= check_refusal(lora_ft, source, REFUSED[name])
        elif name.endswith(".json"):
            good = check_tokenizer(lora_ft, golden, name, 0, good, name)
        else:
            good = check_tokenizer(lora_ft, golden, name, TOKENIZERS[name], good)
    if not xllamacpp:
        print("llama.cpp itself was not run: the package xllamacpp is not installed")
    finish(good)


main()
