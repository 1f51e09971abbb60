#!/usr/bin/env python3
"""Checks by transformers and PEFT what lora-ft writes of encoders, and that it reads what they write.

Needs torch, transformers, peft and tokenizers; the tests do not run it. usage: check-encoder-with-peft.py LORA_FT [FAMILY...]
For a small random model of each family of FAMILIES and each class of KINDS, with a tokenizer of the family's kind learned from the
texts, and for each of WAYS to make an adapter for another number of classes than the model's, from a .csv file:
1. The lines in the adapter's README.md load it in PEFT without a word about keys, and give `lora-ft eval`'s logits.
2. The adapter that PEFT saves of that again gives those logits in lora-ft.
3. The model that `lora-ft merge` writes loads in transformers with its tokenizer, with no key missing, unexpected or of another shape
   and without a word about one, and gives the logits.
And of each model: an adapter that PEFT begins, over all linear layers that it can take, gives PEFT's logits in lora-ft.
Everything in floats; differences are max |a - b| over max |b|, the limit is 1e-5.
"""
import csv, json, os, shutil, sys, tempfile
import torch, transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft_common import by_the_lines_beside, compare_logits, finish, quiet, reviews, run, said_by
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertTokenizer,
                          DistilBertConfig, ModernBertConfig, PreTrainedTokenizerFast, RobertaConfig, RobertaTokenizer, XLMRobertaConfig,
                          XLMRobertaTokenizer)

LIMIT = 1e-5
BERT = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=66)
DISTIL = dict(dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=64)
MODERN = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48, max_position_embeddings=64, local_attention=6,
              global_attn_every_n_layers=2, pad_token_id=3, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)
WAYS = [("true", []), ("pissa", ["--target_modules", "all-linear"]), ("intermediate", ["--bias", "all"]),
        ("true", ["--use_dora", "true", "--use_rslora", "true"])]
KINDS = {"classes": AutoModelForSequenceClassification, "masked tokens": AutoModelForMaskedLM, "body": AutoModel}
# What a file that is no classifier's has not, and PEFT does not save of itself.
HEADS = {"bert": ["pooler"], "modernbert": ["head"]}
# PEFT cannot put an adapter on pre_classifier, which it saves whole, as it ends in "classifier".
LAYERS = {"distilbert": ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"]}
NAMES = ["awful", "bad", "fine", "good"]


def texts():
    return [text for text, _, _ in reviews(400, 3)]


# ---- tokenizers ----

def learned(model, trainer, split):
    t = Tokenizer(model)
    t.pre_tokenizer = split
    t.train_from_iterator(texts(), trainer)
    return t, json.loads(t.to_str())["model"]


def word_pieces():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=80, special_tokens=special, show_progress=False)
    return BertTokenizer(vocab=learned(models.WordPiece(unk_token="[UNK]"), trainer, pre_tokenizers.BertPreTokenizer())[1]["vocab"])


def pairs_of_bytes(special):
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    return learned(models.BPE(), trainer, pre_tokenizers.ByteLevel(add_prefix_space=False))


def as_roberta():
    model = pairs_of_bytes(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])[1]
    return RobertaTokenizer(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]])


def as_xlm_roberta():
    trainer = trainers.UnigramTrainer(vocab_size=80, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    pieces = learned(models.Unigram(), trainer, pre_tokenizers.Metaspace())[1]["vocab"]
    special = [(s, 0.0) for s in ("<s>", "<pad>", "</s>", "<unk>")]
    return XLMRobertaTokenizer(vocab=special + [tuple(p) for p in pieces if p[0] != "<unk>"] + [("<mask>", 0.0)])


def as_modernbert():
    t = pairs_of_bytes(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])[0]
    t.normalizer = normalizers.NFC()
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:0 [SEP]:0",
                                                     special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=t, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
                                   mask_token="[MASK]", model_input_names=["input_ids", "attention_mask"])


# The configuration, the tokenizer, and whether it is tuned on pairs of texts.
FAMILIES = {
    "bert": (BertConfig, BERT, word_pieces, True),
    "roberta": (RobertaConfig, dict(type_vocab_size=1, **BERT), as_roberta, True),
    "xlm-roberta": (XLMRobertaConfig, dict(type_vocab_size=1, **BERT), as_xlm_roberta, False),
    "distilbert": (DistilBertConfig, DISTIL, word_pieces, False),
    "modernbert": (ModernBertConfig, MODERN, as_modernbert, True),
}


# ---- a case ----

def make_model(family, loader, path):
    config, sizes, make_tokenizer, _ = FAMILIES[family]
    tokenizer = make_tokenizer()
    torch.manual_seed(5)
    model = loader.from_config(config(vocab_size=len(tokenizer), num_labels=3, initializer_range=0.2, **sizes))
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:  # biases and norms that matter
                p.add_(0.1 * torch.randn_like(p))
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)


def write_data(path, n, seed, pairs):
    """A file of texts of four classes; the texts, or both lists of them."""
    rows = [([text, "so " * (1 + long)] if pairs else [text], NAMES[2 * good + long]) for text, good, long in reviews(n, seed)]
    with open(path, "w", newline="") as f:
        out = csv.writer(f)
        out.writerow((["sentence1", "sentence2"] if pairs else ["text"]) + ["label"])
        out.writerows(inputs + [label] for inputs, label in rows)
    return [list(column) for column in zip(*(inputs for inputs, _ in rows))]


def logits_of(model, folder, columns):
    """As transformers has them, in one batch with padding."""
    batch = AutoTokenizer.from_pretrained(folder)(*columns, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model.eval()(**batch).logits


def logits_by_us(program, data, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "logits.safetensors")
        run(program, "eval", "--data", data, "--precision", "fp32", "--threads", "1", "--save_logits", path, *arguments)
        return load_file(path)["logits"]


def has_learned(tuned, folder, columns, logits):
    """Does the adapter do something, whatever the head?"""
    with torch.no_grad():
        for name, p in tuned.named_parameters():
            if "lora_B" in name:
                p.zero_()
    return (logits_of(tuned, folder, columns) - logits).abs().max() > 1e-2 * logits.abs().max()


def check_merged(folder, columns, ours):
    (whole, info), said = said_by(lambda: AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True))
    bad = {kind: keys for kind, keys in info.items() if keys}
    if bad:
        print("  merged: transformers says", bad)
    ok = quiet(said) and not bad and [whole.config.id2label[i] for i in range(len(NAMES))] == NAMES
    return compare_logits("  merged in transformers", logits_of(whole, folder, columns), ours, LIMIT) and ok


def check_way(program, model, files, columns, start, more):
    """An adapter that lora-ft makes."""
    out = os.path.join(os.path.dirname(model), "run")
    adapter, again, merged = (os.path.join(out, name) for name in ("adapter", "by-peft", "merged"))
    run(program, "train", "--model", model, "--task_type", "SEQ_CLS", "--train_data", files[0], "--max_steps", "12", "--learning_rate", "1e-2",
        "--r", "4", "--init_lora_weights", start, "--precision", "fp32", "--threads", "1", "--output_dir", out, *more)
    ours = logits_by_us(program, files[1], "--model", model, "--adapter", adapter)
    tuned, said = by_the_lines_beside(adapter, model)
    ok = quiet(said) & compare_logits("  adapter in PEFT", logits_of(tuned, model, columns), ours, LIMIT)
    tuned.save_pretrained(again)
    shutil.copy(os.path.join(adapter, "lora_ft.json"), again)  # the names of the labels, which PEFT does not write
    ok &= compare_logits("  the same, saved by PEFT", logits_by_us(program, files[1], "--model", model, "--adapter", again), ours, LIMIT)
    run(program, "merge", "--model", model, "--adapter", adapter, "-o", merged)
    ok &= check_merged(merged, columns, ours)
    ok &= bool(has_learned(tuned, model, columns, ours))
    shutil.rmtree(out)
    return ok


def check_peft_own(program, family, kind, model, files, columns):
    """An adapter that PEFT makes: random, no update being zero."""
    torch.manual_seed(6)
    base, _ = said_by(lambda: AutoModelForSequenceClassification.from_pretrained(model, num_labels=len(NAMES), ignore_mismatched_sizes=True))
    tuned = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=LAYERS.get(family, "all-linear"),
                                            modules_to_save=None if kind == "classes" else HEADS.get(family)))
    with torch.no_grad():
        for name, p in tuned.named_parameters():
            if p.requires_grad:
                p.add_(0.1 * torch.randn_like(p))
    adapter = os.path.join(os.path.dirname(model), "peft")
    tuned.save_pretrained(adapter)
    ours = logits_by_us(program, files[1], "--model", model, "--adapter", adapter)
    return compare_logits("  PEFT's own adapter", ours, logits_of(tuned, model, columns), LIMIT)


def check(program, family, kind):
    with tempfile.TemporaryDirectory() as folder:
        model, files = os.path.join(folder, "model"), [os.path.join(folder, name) for name in ("train.csv", "test.csv")]
        make_model(family, KINDS[kind], model)
        write_data(files[0], 64, 1, FAMILIES[family][3])
        columns = write_data(files[1], 24, 2, FAMILIES[family][3])
        print(f"{family}, {kind}")
        ok = check_peft_own(program, family, kind, model, files, columns)
        for start, more in WAYS:
            print(f"{family}, {kind}:", start, *more)
            ok &= check_way(program, model, files, columns, start, more)
        return ok


def main():
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_progress_bar()
    transformers.logging.disable_default_handler()  # said_by has one of its own
    ok = True
    for family in sys.argv[2:] or FAMILIES:
        for kind in KINDS:
            ok &= check(os.path.abspath(sys.argv[1]), family, kind)
    finish(ok)


main()
