#!/usr/bin/env python3
"""Makes data/verse-lm's tokenizer.json and tokenizer_config.json: byte-level BPE of 2,048 tokens, trained on the pretraining
text alone (scripts/make-texts.sh). Needs the package tokenizers.
usage: make-verse-lm-tokenizer.py TEXTS/verses/train.jsonl data/verse-lm
"""
import json, os, sys
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

texts, folder = sys.argv[1:]
tokenizer = Tokenizer(models.BPE())
# letters with what stands before them, numbers digit by digit, punctuation, white space
words = Regex(r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(words, "isolated"),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(vocab_size=2048, special_tokens=["<|begin|>", "<|end|>"], show_progress=False,
                              initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
tokenizer.train_from_iterator((json.loads(line)["text"] for line in open(texts, encoding="utf-8")), trainer)
tokenizer.post_processor = processors.TemplateProcessing(single="<|begin|> $A", pair="<|begin|> $A $B", special_tokens=[("<|begin|>", 0)])
os.makedirs(folder, exist_ok=True)
tokenizer.save(os.path.join(folder, "tokenizer.json"))
with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
    json.dump({"bos_token": "<|begin|>", "eos_token": "<|end|>", "pad_token": "<|end|>", "model_max_length": 512,
               "tokenizer_class": "PreTrainedTokenizerFast"}, f, indent=2)
    f.write("\n")
