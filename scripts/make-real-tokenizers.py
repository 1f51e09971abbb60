#!/usr/bin/env python3
"""Makes tokenizers of the size and form of those on the Hub, trained on any text, for scripts/check-tokenizer.py.

    make-real-tokenizers.py OUT TEXT...
    check-tokenizer.py OUT/*/tokenizer.json

Each OUT/<form>/ is written by transformers' own class of that model, from what its files on the Hub begin with: vocab.txt,
vocab.json and merges.txt, or a sentencepiece model (nmt_nfkc's replacements and all). Needs tokenizers, transformers,
sentencepiece and protobuf."""
import itertools
import json
import pathlib
import runpy
import sys

import sentencepiece
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
TEXT = runpy.run_path(str(HERE / "make-golden-tokenizer.py"))["TEXT"]  # many scripts
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def wordpiece(out, lines, lowercase, size):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(lowercase=lowercase), pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=size, show_progress=False, special_tokens=SPECIAL))
    vocab = sorted(t.get_vocab().items(), key=lambda item: item[1])
    (out / "vocab.txt").write_text("".join(token + "\n" for token, _ in vocab))
    transformers.BertTokenizer(str(out / "vocab.txt"), do_lower_case=lowercase).save_pretrained(out)


def byte_level(lines, size, special, normalizer=None):
    t = Tokenizer(models.BPE())
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=special,
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def roberta(out, lines):
    model = json.loads(byte_level(lines, 20000, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]).to_str())["model"]
    transformers.RobertaTokenizer(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]],
                                  mask_token=AddedToken("<mask>", lstrip=True)).save_pretrained(out)


def modernbert(out, lines):
    t = byte_level(lines, 20000, [], normalizers.NFC())
    t.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    t.add_tokens([AddedToken("|||IP_ADDRESS|||", normalized=True), AddedToken("<|padding|>", normalized=False)])
    t.add_special_tokens(["<|endoftext|>", "[UNK]", "[CLS]", "[SEP]", "[PAD]", AddedToken("[MASK]", lstrip=True)])
    t.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0",
        special_tokens=[(s, t.token_to_id(s)) for s in ("[CLS]", "[SEP]")])
    transformers.PreTrainedTokenizerFast(tokenizer_object=t, pad_token="[PAD]", mask_token="[MASK]").save_pretrained(out)


def from_sentencepiece(out, text, cls, name, **options):
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(out / "spm"), max_sentence_length=100000, minloglevel=2,
        hard_vocab_limit=False, **options)
    (out / "spm.model").rename(out / name)
    (out / "spm.vocab").unlink()
    cls.from_pretrained(str(out)).save_pretrained(out)


def main():
    out, paths = pathlib.Path(sys.argv[1]), sys.argv[2:]
    out.mkdir(parents=True, exist_ok=True)
    lines = list(itertools.chain(TEXT.splitlines() * 3, *(pathlib.Path(p).read_text().splitlines() for p in paths)))
    text = out / "text.txt"
    text.write_text("\n".join(line for line in lines if line.strip()))
    t = transformers
    unigram = {"model_type": "unigram", "character_coverage": 0.9999}
    bert_ids = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3, "bos_piece": "[CLS]", "eos_piece": "[SEP]",
                "pad_piece": "<pad>"}
    makers = {
        "bert-uncased": lambda o: wordpiece(o, lines, True, 20000),
        "bert-multilingual-cased": lambda o: wordpiece(o, lines, False, 25000),
        "roberta": lambda o: roberta(o, lines),
        "modernbert": lambda o: modernbert(o, lines),
        "xlm-roberta": lambda o: from_sentencepiece(o, text, t.XLMRobertaTokenizer, "sentencepiece.bpe.model",
                                                    vocab_size=8000, **unigram),
        "t5": lambda o: from_sentencepiece(o, text, t.T5Tokenizer, "spiece.model", vocab_size=6000, pad_id=0, eos_id=1,
                                           unk_id=2, bos_id=-1, **unigram),
        "albert": lambda o: from_sentencepiece(o, text, t.AlbertTokenizer, "spiece.model", vocab_size=6000,
                                               user_defined_symbols=["[MASK]"], **bert_ids, **unigram),
        "deberta-v2": lambda o: from_sentencepiece(o, text, t.DebertaV2Tokenizer, "spm.model", vocab_size=6000,
                                                   user_defined_symbols=["[MASK]"], **bert_ids, **unigram),
        "gemma": lambda o: from_sentencepiece(
            o, text, t.GemmaTokenizer, "tokenizer.model", vocab_size=8000, model_type="bpe", byte_fallback=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False, pad_id=0, eos_id=1,
            bos_id=2, unk_id=3, bos_piece="<bos>", eos_piece="<eos>", pad_piece="<pad>", split_digits=True),
        "spm-unigram-bytes": lambda o: from_sentencepiece(o, text, t.PreTrainedTokenizerFast, "tokenizer.model",
                                                          vocab_size=6000, byte_fallback=True, **unigram),
    }
    for name, make in makers.items():
        folder = out / name
        folder.mkdir(exist_ok=True)
        try:
            make(folder)
        except Exception as problem:  # one form less is no reason to stop
            print(f"{name}: {type(problem).__name__}: {problem}"[:300])
            continue
        j = json.loads((folder / "tokenizer.json").read_text())
        print(f"{name}: {j['model']['type']}, {len(j['model']['vocab'])} tokens", flush=True)


main()
