#!/usr/bin/env python3
"""Makes tests/golden/enc-*: tiny random encoders written by transformers, with what transformers and PEFT compute from them.

Needs torch, transformers, peft (versions are stored in each file's metadata). The tests themselves need none of them.
usage: make-golden-encoder.py [OUTDIR=tests/golden [CASE...]]

Each folder: config.json + model.safetensors as save_pretrained writes them (of some cases then spelled as older files are), and
golden.safetensors. All cases have
  ids [3,B,T], lengths [3,B]             three batches, padded on the right; step i uses batch i % 3
  token_types [3,B,T]                    of pairs, where the case has them
Cases of "classes" (...ForSequenceClassification, and files of other classes that get its head) have
  labels [3,B]
  logits, loss                           of the base on batch 0 with its own head (float32), where the file has one
  start.<parameter>                      where what is trained whole starts: the head of another number of labels, and what the file lacks
  {kaiming,pissa}.losses [10]            AdamW 5e-3, weight decay 0.01 (not on biases and norms), gradients clipped to norm 1
  {kaiming,pissa}.start.<module>.lora_A  and lora_B: where PEFT's adapter starts
  {kaiming,pissa}.grad.<module>.lora_A   and lora_B: gradients of the first step, before clipping; and grad.whole.<parameter>
  kaiming.logits_after                   of batch 0 with the adapter in peft_adapter/, as PEFT wrote it after ten training steps
Cases with a masked-language-model head have
  mask_labels [3,B*T]                    the right token where one is to be said, else -1
  mask_logits [B,T,V], mask_loss         of batch 0; the loss is the mean over targets. Rows of padding are zero: they mean nothing
  full.grad.<parameter>                  gradients of batch 0's loss by every parameter of the base
"""
import json, os, sys
import torch
from golden_common import init_lora_weights, plain_name, save_adapter, save_golden, start_folder, stir, train, trained
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForMaskedLM, AutoModelForSequenceClassification, BertConfig, BertForMaskedLM, BertForPreTraining,
                          BertForSequenceClassification, BertModel, DistilBertConfig, DistilBertForMaskedLM,
                          DistilBertForSequenceClassification, ModernBertConfig, ModernBertForMaskedLM,
                          ModernBertForSequenceClassification, RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification,
                          XLMRobertaConfig, XLMRobertaForMaskedLM)

NEW_LABELS = 5
B, T = 4, 13
BERT = dict(vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=20,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
DISTIL = dict(vocab_size=61, dim=24, n_layers=2, n_heads=3, hidden_dim=40, max_position_embeddings=20, dropout=0.0, attention_dropout=0.0,
              seq_classif_dropout=0.0)
MODERN = dict(vocab_size=61, hidden_size=24, num_hidden_layers=4, num_attention_heads=2, intermediate_size=28, max_position_embeddings=64,
              local_attention=6, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)
CASES = {
    # pairs, its own head, all linear layers: the pooler carries an adapter too
    "enc-bert": dict(config=BertConfig(num_labels=3, **BERT), cls=BertForSequenceClassification, pairs=True),
    # a masked-language-model head, no pooler: PEFT trains none, so it is made part of modules_to_save; file in bf16
    "enc-bert-mlm": dict(config=BertConfig(hidden_act="gelu_new", **BERT), cls=BertForMaskedLM, dtype=torch.bfloat16, pairs=True,
                         save=["pooler"]),
    # as files of old are: gamma and beta, position_ids, a second copy of the tied weights, the head of the second training task
    "enc-bert-old": dict(config=BertConfig(layer_norm_eps=1e-5, **BERT), cls=BertForPreTraining, old=True, targets=["query", "value"]),
    # a body alone, whose names have no prefix
    "enc-bert-bare": dict(config=BertConfig(hidden_act="relu", **BERT), cls=BertModel, targets=["query", "value"]),
    "enc-roberta": dict(config=RobertaConfig(num_labels=4, type_vocab_size=1, layer_norm_eps=1e-5, **BERT),
                        cls=RobertaForSequenceClassification),
    "enc-roberta-mlm": dict(config=RobertaConfig(type_vocab_size=1, tie_word_embeddings=False, **BERT), cls=RobertaForMaskedLM,
                            targets=["query", "value"]),
    "enc-xlm-roberta": dict(config=XLMRobertaConfig(type_vocab_size=1, hidden_act="gelu_pytorch_tanh", **BERT), cls=XLMRobertaForMaskedLM,
                            dtype=torch.float16, targets=["query", "key", "value", "dense"]),
    "enc-distilbert": dict(config=DistilBertConfig(num_labels=3, **DISTIL), cls=DistilBertForSequenceClassification,
                           targets=["q_lin", "v_lin"]),
    # not relu: in step 1 one of the 96 inputs of the classifier is -0.02, or 0.01 where activations are rounded to bf16, and
    # its kink makes the losses part by 14 % in step 4 (in torch, in floats with activations so rounded, too)
    "enc-distilbert-mlm": dict(config=DistilBertConfig(activation="gelu_new", **DISTIL), cls=DistilBertForMaskedLM,
                               targets=["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"]),
    "enc-modernbert": dict(config=ModernBertConfig(num_labels=3, **MODERN), cls=ModernBertForSequenceClassification),
    "enc-modernbert-mean": dict(config=ModernBertConfig(num_labels=3, classifier_pooling="mean", norm_bias=True, attention_bias=True,
                                                        mlp_bias=True, classifier_bias=True, hidden_activation="silu",
                                                        global_attn_every_n_layers=2, **MODERN),
                                cls=ModernBertForSequenceClassification, targets=["Wqkv", "Wo", "Wi"]),
    "enc-modernbert-mlm": dict(config=ModernBertConfig(**MODERN), cls=ModernBertForMaskedLM, dtype=torch.bfloat16, old_modern=True,
                               targets=["Wqkv", "Wo"]),
}


def pad_of(config):
    return config.pad_token_id


def make_batches(case, out):
    config = case["config"]
    ids = torch.randint(5, config.vocab_size, (3, B, T))
    lengths = torch.randint(3, T + 1, (3, B))
    lengths[:, 0] = T
    columns = torch.arange(T)
    inside = columns[None, None, :] < lengths[:, :, None]
    ids[~inside] = pad_of(config)
    out.update(ids=ids.to(torch.int32), lengths=lengths.to(torch.int32))
    inputs = [dict(input_ids=ids[i], attention_mask=inside[i].long()) for i in range(3)]
    if case.get("pairs"):
        types = ((columns[None, None, :] >= lengths[:, :, None] // 2) & inside).long()
        out["token_types"] = types.to(torch.int32)
        for i in range(3):
            inputs[i]["token_type_ids"] = types[i]
    return inputs, inside


# ---- files as they were ----

def spell_as_of_old(path):
    """gamma and beta, position_ids, both copies of what is tied."""
    name = os.path.join(path, "model.safetensors")
    tensors = load_file(name)
    for n in list(tensors):
        new = n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        tensors[new] = tensors.pop(n)
    tensors["bert.embeddings.position_ids"] = torch.arange(BERT["max_position_embeddings"])[None]
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].clone()
    tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"].clone()
    save_file({n: t.contiguous() for n, t in tensors.items()}, name, metadata={"format": "pt"})


def spell_config_as_modernbert_of_old(path):
    """The keys that files on the Hub have."""
    name = os.path.join(path, "config.json")
    config = json.load(open(name))
    ropes = config.pop("rope_parameters")
    config.pop("layer_types")
    config.update(global_attn_every_n_layers=3, global_rope_theta=ropes["full_attention"]["rope_theta"],
                  local_rope_theta=ropes["sliding_attention"]["rope_theta"], reference_compile=False, repad_logits_with_grad=False,
                  position_embedding_type="absolute", gradient_checkpointing=False, torch_dtype="bfloat16")
    json.dump(config, open(name, "w"), indent=2)


# ---- classes ----

def classifier(path, labels=None):
    more = {} if labels is None else dict(num_labels=labels, ignore_mismatched_sizes=True)
    return AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32, attn_implementation="eager", **more)


def loss_of(model, batch):
    logits = model(**batch[0]).logits
    return torch.nn.functional.cross_entropy(logits, batch[1]), logits


def short(n):
    if "lora" in n:
        return plain_name(n).removesuffix(".weight")
    return "whole." + plain_name(n).replace("modules_to_save.", "")


def decays(name, p):
    return not name.endswith("bias") and p.ndim > 1


def tune(path, case, init, batches, start, out):
    torch.manual_seed(7)
    model = classifier(path, NEW_LABELS)
    torch.manual_seed(1)
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=case.get("targets", "all-linear"),
                                             modules_to_save=case.get("save"), init_lora_weights=init_lora_weights(init)))
    named = trained(model)
    with torch.no_grad():
        for n, p in named.items():
            if "lora" in n:
                continue
            if n not in start: # alike for both adapters
                start[n] = p + 0.1 * torch.randn_like(p)
                out["start." + plain_name(n).replace("modules_to_save.", "")] = start[n].clone()
            p.copy_(start[n])
    model.train()
    groups = [dict(params=[p for n, p in named.items() if decays(n, p)], weight_decay=0.01),
              dict(params=[p for n, p in named.items() if not decays(n, p)], weight_decay=0.0)]
    train(model, init, torch.optim.AdamW(groups, lr=5e-3), loss_of, short, batches, out)
    return model


def make_classes(path, case, inputs, out):
    labels = torch.randint(0, NEW_LABELS, (3, B))
    out["labels"] = labels.to(torch.int32)
    batches = [(inputs[i], labels[i]) for i in range(3)]
    if case["cls"].__name__.endswith("ForSequenceClassification"):
        with torch.no_grad():
            out["logits"] = classifier(path).eval()(**inputs[0]).logits
        out["loss"] = torch.nn.functional.cross_entropy(out["logits"], labels[0] % out["logits"].shape[1]).reshape(1)
    start = {}
    save_adapter(tune(path, case, "kaiming", batches, start, out), path, "kaiming", lambda model: loss_of(model, batches[0])[1], out)
    tune(path, case, "pissa", batches, start, out)


# ---- masked tokens ----

def make_masked(path, case, inputs, inside, out):
    labels = torch.randint(5, case["config"].vocab_size, (3, B, T))
    labels[(torch.rand(labels.shape) < 0.6) | ~inside] = -1
    labels[:, 0, 1] = 7 # never none
    out["mask_labels"] = labels.reshape(3, B * T).to(torch.int32)
    base = AutoModelForMaskedLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    logits = base(**inputs[0]).logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(B * T, -1), labels[0].reshape(-1), ignore_index=-1)
    loss.backward()
    out["mask_logits"], out["mask_loss"] = logits.detach() * inside[0][:, :, None], loss.detach().reshape(1)
    for n, p in base.named_parameters():
        out[f"full.grad.{n}"] = p.grad.detach().clone() if p.grad is not None else torch.zeros_like(p)


def make(name, case, outdir):
    path = start_folder(outdir, name)
    case["config"].initializer_range = 0.2
    model = case["cls"](case["config"])
    stir(model, 0.2)
    model.to(case.get("dtype", torch.float32)).save_pretrained(path)
    if case.get("old"):
        spell_as_of_old(path)
    if case.get("old_modern"):
        spell_config_as_modernbert_of_old(path)
    out = {}
    inputs, inside = make_batches(case, out)
    make_classes(path, case, inputs, out)
    if hasattr(case["cls"], "get_output_embeddings") and case["cls"].__name__.endswith(("ForMaskedLM", "ForPreTraining")):
        make_masked(path, case, inputs, inside, out)
    save_golden(path, out)


if __name__ == "__main__":
    for name, case in CASES.items():
        if len(sys.argv) < 3 or name in sys.argv[2:]:
            make(name, case, sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
