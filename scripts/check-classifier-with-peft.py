#!/usr/bin/env python3
"""Tunes tiny random models for classes, several labels and numbers with the program, and lets PEFT and transformers read what came out.

Needs torch, transformers, peft and tokenizers, and a built program. usage: check-classifier-with-peft.py [PROGRAM=build/lora-ft]
For each model and problem (of several labels and of numbers with modules saved whole beside the adapter): the adapter loads in PEFT (AutoPeftModelForSequenceClassification where the base is a classifier's file, else
PeftModel over it) and its predictions are the program's; the merged folder loads in transformers without a word about keys, is a
...ForSequenceClassification with labels, problem_type and pad_token_id, and says the same, in batches; an adapter that PEFT wrote anew is
evaluated by the program to the same loss."""
import json, os, shutil, sys, tempfile
import torch, transformers
from peft import PeftModel
from peft_common import reviews, run
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (AutoModelForSequenceClassification, BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig,
                          LlamaForCausalLM, PreTrainedTokenizerFast)

PROGRAM = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/lora-ft")
WORDS = "[PAD] [CLS] [SEP] [UNK] the a film book song was is very good great fine bad poor awful and long short so".split()
SMALL = dict(vocab_size=len(WORDS))
MODELS = {
    "llama": LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                                          num_key_value_heads=2, initializer_range=0.3, bos_token_id=None, eos_token_id=2, **SMALL)),
    "gpt2": GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3, bos_token_id=2,
                                       eos_token_id=2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **SMALL)),
    "bert": BertModel(BertConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                                 max_position_embeddings=64, initializer_range=0.3, **SMALL)),
}

SAVED = {
    "multi_label_classification": {"llama": "embed_tokens,norm", "gpt2": "wte,ln_f,1.mlp.c_proj",
                                   "bert": "pooler,embeddings.LayerNorm,word_embeddings"},
    "regression": {"llama": "layers.0,0.mlp", "gpt2": "h.1,1.mlp", "bert": "embeddings,encoder.layer.1"}, # one in another
}


def record(problem, text, good, long):
    if problem == "single_label_classification":
        return dict(text=text, label="good" if good else "bad")
    if problem == "multi_label_classification":
        return dict(text=text, labels=["good"] * good + ["long"] * long)
    return dict(sentence1=text, sentence2="so " * (1 + long), score=2.5 * good + 0.25 * long)


def make_tokenizer(path, pair):
    t = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    if pair:
        t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                         special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    PreTrainedTokenizerFast(tokenizer_object=t, pad_token="[PAD]", unk_token="[UNK]", eos_token="[SEP]").save_pretrained(path)


def predicted(*arguments):
    return json.loads(run(PROGRAM, "predict", *arguments, "--top_k", "2", "--threads", "1", "--json"))["predictions"]


def scores(model, tokenizer, records, problem):
    firsts = [r.get("text", r.get("sentence1")) for r in records]
    seconds = [r["sentence2"] for r in records] if "sentence2" in records[0] else None
    kinds = ["input_ids", "attention_mask"] + (["token_type_ids"] if model.config.model_type == "bert" else [])
    batch = {k: v for k, v in tokenizer(firsts, seconds, padding=True, return_tensors="pt", return_token_type_ids=True).items() if k in kinds}
    with torch.no_grad():
        logits = model(**batch).logits
    return logits if problem == "regression" else logits.sigmoid() if problem.startswith("multi") else logits.softmax(-1)


def compare(what, found, theirs, problem, names):
    worst = 0.0
    for one, row in zip(found, theirs):
        if problem == "regression":
            worst = max(worst, abs(one["score"] - row[0].item()))
        for guess in one.get("top_k", []):
            worst = max(worst, abs(guess["score"] - row[names.index(guess["label"])].item()))
    if not worst < 2e-5:
        sys.exit(f"{what}: scores differ by {worst}")
    print(f"{what}: scores agree to {worst:.1e}")


def load(path, **more):
    model, info = AutoModelForSequenceClassification.from_pretrained(path, output_loading_info=True, **more)
    return model.eval(), info


def check(folder, name, problem):
    base, out = os.path.join(folder, name), os.path.join(folder, f"{name}-{problem}")
    train, judged = [[record(problem, *t) for t in reviews(n, seed)] for n, seed in ((64, 1), (16, 2))]
    for file, records in (("train.jsonl", train), ("judged.jsonl", judged)):
        with open(os.path.join(folder, file), "w") as f:
            f.writelines(json.dumps(r) + "\n" for r in records)
    data, test = os.path.join(folder, "train.jsonl"), os.path.join(folder, "judged.jsonl")
    run(PROGRAM, "train", "--model", base, "--task_type", "SEQ_CLS", "--train_data", data, "--max_steps", "20", "--lr", "1e-2", "--r", "4",
        "--init_lora_weights", "pissa", "--threads", "1", "--output_dir", out,
        *(["--modules_to_save", SAVED[problem][name]] if problem in SAVED else []))
    adapter = os.path.join(out, "adapter")
    facts = json.load(open(os.path.join(adapter, "lora_ft.json")))
    names = [facts["id2label"][str(i)] for i in range(facts["num_labels"])]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    found = predicted("--model", base, "--adapter", adapter, "--data", test)

    model, _ = load(base, num_labels=len(names), problem_type=problem)
    model.config.pad_token_id = tokenizer.pad_token_id
    model = PeftModel.from_pretrained(model, adapter).eval()
    compare(f"{out} in PEFT", found, scores(model, tokenizer, judged, problem), problem, names)

    again = os.path.join(out, "by-peft")
    model.save_pretrained(again)
    for stale in ("lora_ft.json",):
        assert not os.path.exists(os.path.join(again, stale))
    shutil.copy(os.path.join(adapter, "lora_ft.json"), again)  # the names of the labels, which PEFT does not write
    compare(f"{out} written by PEFT", predicted("--model", base, "--adapter", again, "--data", test),
            scores(model, tokenizer, judged, problem), problem, names)

    merged = os.path.join(out, "merged")
    run(PROGRAM, "merge", "--model", base, "--adapter", adapter, "--output_dir", merged)
    whole, info = load(merged)
    words = {k: v for k, v in info.items() if v}
    if words or not whole.config.architectures[0].endswith("ForSequenceClassification"):
        sys.exit(f"{merged}: transformers says {words}, {whole.config.architectures}")
    assert whole.config.problem_type == problem and whole.config.pad_token_id == tokenizer.pad_token_id
    assert [whole.config.id2label[i] for i in range(len(names))] == names
    compare(f"{out} merged", predicted("--model", merged, "--data", test), scores(whole, tokenizer, judged, problem), problem, names)


def main():
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        for name, model in MODELS.items():
            path = os.path.join(folder, name)
            model.save_pretrained(path)
            make_tokenizer(path, name == "bert")
            for problem in ("single_label_classification", "multi_label_classification", "regression"):
                check(folder, name, problem)
    print("all agree")


if __name__ == "__main__":
    main()
