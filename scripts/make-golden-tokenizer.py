#!/usr/bin/env python3
"""Makes tests/golden/tokenizer: small tokenizers of every kind that we read, and what Hugging Face `tokenizers` makes
of a few hundred random and adversarial strings with them.

Needs tokenizers. Run from anywhere; the files are the same bytes for the same version. A <name>.json that is there is
taken as it is, because some trainers do not make the same twice: remove it to train anew.

  <name>.json         a tokenizer.json, trained on the text below
  strings.json.gz     {"tokenizers": version, "strings": [..]}
  pairs.json.gz       [{"tokenizer", "a", "b" (may be missing), "max_length" (0: none), "left": cut at the beginning,
                      "ids", "types", "left_out": ids that were cut off}]
  <name>.ids.json.gz  {"encoded": ids of each string (of some kinds only of the first), "special": the same with add_special_tokens where it differs,
                      "decoded": text of the ids, "skipped": the same with skip_special_tokens where it differs}

scripts/check-tokenizer.py takes the tokenizers and the strings from here and compares many more of them.
"""
import gzip
import json
import pathlib
import random
import runpy
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CHARSMAP = runpy.run_path(str(pathlib.Path(__file__).resolve().parent / "charsmap.py"))["charsmap"]
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/tokenizer"
TEXT = """
The old clock in the hall struck seven, and nobody in the house believed it. It hadn't been right since 1987; Grandma's
brother had wound it once, and he'd said it'd never be wound again. "We're late," said Tom, "and I'll bet they've left."
They walked down to the river, where the boats were: three red ones, two green ones, and one that had been blue.
It costs 12,500.75 euros, or 3.14159 times what you'd think; call 555-0199 before 10:45 a.m. on 2024-02-29!
    for (int i = 0; i < 10; i++) { printf("%d\\n", i * i); }   // indented, with   runs of   spaces
	tabs	too, and windows line ends\r\n\r\nand an e-mail: someone@example.org (or http://example.org/a?b=c&d=e#f).
Der Fuchs springt ueber den Zaun; Äpfel, Öl und Übermut, Straße. Où est la bibliothèque? L'été dernier, à Noël.
El niño comió piñas mañana. Привет, мир! Как дела? Всё хорошо. Γειά σου Κόσμε, τι κάνεις; ΟΔΥΣΣΕΥΣ
שלום עולם. مرحبا بالعالم، كيف حالك؟ नमस्ते दुनिया। สวัสดีชาวโลก 你好，世界！今天天气很好。こんにちは世界。カタカナ 안녕하세요 세계
Emoji: 😀😃🎉👍🏽👩‍👩‍👧‍👦🇩🇪❤️ and symbols: ± × ÷ ≠ ≤ ∞ √ ∑ § © ® ™ € £ ¥ ½ ² ³ ① Ⅳ ﬁ ſ K Å
The rain fell on the roof all night; in the morning the road was gone. "What now?" asked the girl. Her father laughed.
There is nothing to be done, he thought, that hasn't been done before, and the thing itself was the same as ever.
"""
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN = LLAMA3.replace("{1,3}", "")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
WORDS = r"(?:\w+'\w)?\b\d*|[\w.-]{2,3}+|\P{L}\S?|[一-龥\x{3040}-ヿ]+|\u00e9|^.$|\W\D"


def trained(size, alphabet, **options):
    t = Tokenizer(models.BPE(**options))
    return t, trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=[],
                                  initial_alphabet=alphabet, max_token_length=12)


def train(t, trainer):
    t.train_from_iterator(TEXT.splitlines(keepends=True), trainer)
    return t


def renewed(t, **changes):
    """The same with changes to "model", and with special tokens first, as in files that come from SentencePiece."""
    j = json.loads(t.to_str())
    j["model"].update(changes)
    return Tokenizer.from_str(json.dumps(j))


BYTES = pre_tokenizers.ByteLevel.alphabet()
CHARACTERS = sorted(set(TEXT) - {" ", "\n", "\r", "\t"})


def gpt2():
    t, trainer = trained(700, BYTES)
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    train(t, trainer).add_special_tokens(["<|endoftext|>"])
    return t


def prefix_space():
    t, trainer = trained(600, BYTES)
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    train(t, trainer).add_special_tokens(["<s>", "</s>", AddedToken("<mask>", lstrip=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")))
    return t


def split_bytes(pattern, normalizer=None):
    t, trainer = trained(800, BYTES)
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    return train(t, trainer)


def llama3():
    t = renewed(split_bytes(LLAMA3), ignore_merges=True)
    t.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"])
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])])
    return t


def qwen():
    t = split_bytes(QWEN, normalizers.NFC())
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.add_tokens([AddedToken("<think>", normalized=False), AddedToken("<tool_call>", normalized=False)])
    return t


def o200k():
    t = split_bytes(O200K)
    t.add_special_tokens(["<|return|>"])
    return t


def sentencepiece(byte_fallback=True, fuse_unk=True, size=900):
    """A metaspace BPE whose words are learned with spaces, then with ids as Llama 2 has them."""
    t, trainer = trained(size - 259, CHARACTERS)
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    train(t, trainer)
    j = json.loads(t.to_str())
    old = j["model"]["vocab"]
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    if byte_fallback:
        vocab.update({f"<0x{b:02X}>": 3 + b for b in range(256)})
    for token in sorted(old, key=old.get):
        vocab[token] = len(vocab)
    j["model"].update(vocab=vocab, unk_token="<unk>", fuse_unk=fuse_unk, byte_fallback=byte_fallback)
    t = Tokenizer.from_str(json.dumps(j))
    t.pre_tokenizer = None
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def llama2():
    t = sentencepiece()
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    return t


def metaspace_first():
    t = sentencepiece()
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    t.add_tokens(["added", AddedToken("ADDED ", rstrip=True)])
    return t


def metaspace_always():
    t = sentencepiece(byte_fallback=False, fuse_unk=False)
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $B:1 </s>:1 $A </s>:3",
                                                     special_tokens=[("<s>", 1), ("</s>", 2)])
    return t


def gemma():
    t = sentencepiece()
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    t.add_tokens([AddedToken("\n" * n, normalized=False) for n in range(2, 6)])
    t.add_tokens([AddedToken("▁" * n, normalized=False) for n in range(2, 9)])
    return t


def flags():
    t = split_bytes(GPT2, normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()]))
    t.add_special_tokens([AddedToken("<L>", lstrip=True), AddedToken("<R>", rstrip=True),
                          AddedToken("<B>", lstrip=True, rstrip=True), AddedToken("<W>", single_word=True),
                          AddedToken("<NORM>", normalized=True)])
    t.add_tokens([AddedToken("Word", single_word=True), AddedToken("word", single_word=True, normalized=False),
                  AddedToken("ÀB", lstrip=True), AddedToken("ab", normalized=False, rstrip=True), AddedToken("abc"),
                  AddedToken(" sp", normalized=False), AddedToken("ﬁx", single_word=True, lstrip=True),
                  AddedToken("<L><R>", normalized=False)])
    return t


def deepseek():
    t, trainer = trained(700, BYTES)
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"[\r\n]"), "isolated"), pre_tokenizers.Split(Regex(r"\s?\p{L}+"), "isolated"),
        pre_tokenizers.Split(Regex(r"\s?\p{P}+"), "isolated"), pre_tokenizers.Split(Regex(r"[一-龥ࠀ-一가-퟿]+"), "isolated"),
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    return train(t, trainer)


def clip():
    t, trainer = trained(600, BYTES, unk_token="!", end_of_word_suffix="</w>")
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    trainer = trainers.BpeTrainer(vocab_size=600, show_progress=False, initial_alphabet=BYTES, end_of_word_suffix="</w>")
    t.decoder = decoders.BPEDecoder()
    return train(t, trainer)


def wordpiece_like():
    """continuing_subword_prefix, no decoder, and what else is rare."""
    t = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", fuse_unk=True))
    t.normalizer = normalizers.NFKD()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("merged_with_next"), pre_tokenizers.Digits()])
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, special_tokens=["[UNK]", "[CLS]", "[SEP]"],
                                  continuing_subword_prefix="##")
    train(t, trainer)
    t.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return t


def behaviors():
    t = split_bytes(GPT2, normalizers.NFD())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split("e", "merged_with_previous"), pre_tokenizers.Split(Regex(r"[aeiou]|\s"), "contiguous"),
        pre_tokenizers.Split(Regex(r"t|\p{Lu}"), "merged_with_next"), pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("the", "removed"), pre_tokenizers.ByteLevel(),
        pre_tokenizers.Digits()])
    return t


def regexes():
    """The rest of the pattern language, over characters."""
    t = sentencepiece(byte_fallback=True, fuse_unk=False)
    t.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(WORDS), "isolated"),
                                               pre_tokenizers.Metaspace(prepend_scheme="first")])
    t.decoder = decoders.Sequence([decoders.Replace(Regex("[▁ ]"), "_"), decoders.Strip("_", 1, 0), decoders.Fuse()])
    return t


def wordpiece(lowercase, size=600, **options):
    """BERT as the files on the Hub have it, cased (all languages) or not."""
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", **options))
    t.normalizer = normalizers.BertNormalizer(True, True, None, lowercase)
    t.pre_tokenizer, t.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    some = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    train(t, trainers.WordPieceTrainer(vocab_size=size, show_progress=False, special_tokens=some))
    t.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


def bert_uncased():
    return wordpiece(True)


def bert_cased():
    return wordpiece(False, 800)


def bert_odd():
    """Every switch of BERT's parts the other way."""
    t = wordpiece(True, 400, max_input_chars_per_word=7, continuing_subword_prefix="@")
    t = Tokenizer.from_str(t.to_str().replace('"##', '"@'))
    t.normalizer = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit("e"), pre_tokenizers.BertPreTokenizer()])
    t.decoder = decoders.WordPiece(prefix="@", cleanup=False)
    return t


def replacements():
    """Some of what sentencepiece's nmt_nfkc replaces, and sequences as keys."""
    some = [chr(c) for c in [*range(0xA0, 0x180), *range(0x2000, 0x2200), *range(0x3000, 0x3400, 3), *range(0xFB00, 0xFB07),
                             *range(0xFF01, 0xFF5F, 2), *range(0x958, 0x960)]]
    out = {c: unicodedata.normalize("NFKC", c).strip() for c in some if unicodedata.normalize("NFKC", c) != c}
    out |= {c: " " for c in "\t\n\r\u00a0\u2028\u3000\ufeff\u2581"} | {c: "" for c in "\x01\x08\x7f\u200b\u200d\u00ad"}
    return out | {"e\u0301": "é", "a\u0323\u0307": "<a>", "q": "kw", "\u0301": "'", "ab": "ba", "❤": "<3"}


def unigram(size, first, unk, byte_fallback=False):
    """A Unigram model whose first tokens are `first`."""
    t = Tokenizer(models.Unigram())
    t.normalizer, t.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    train(t, trainers.UnigramTrainer(vocab_size=size, show_progress=False, special_tokens=first, unk_token=unk,
                                     max_piece_length=8))
    j = json.loads(t.to_str())
    if byte_fallback:
        j["model"]["vocab"] += [[f"<0x{b:02X}>", -30.0] for b in range(256)]
    j["model"].update(unk_id=first.index(unk), byte_fallback=byte_fallback)
    j["model"]["vocab"] = [[token, round(score, 4)] for token, score in j["model"]["vocab"]]
    return Tokenizer.from_str(json.dumps(j))


def xlm_roberta():
    t = unigram(500, ["<s>", "<pad>", "</s>", "<unk>"], "<unk>")
    t.normalizer = normalizers.Precompiled(CHARSMAP(replacements()))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.decoder = decoders.Metaspace()
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return t


def albert():
    t = unigram(400, ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], "<unk>")
    t.normalizer = normalizers.Sequence([
        normalizers.Replace("``", '"'), normalizers.Replace("\'\'", '"'), normalizers.NFKD(), normalizers.StripAccents(),
        normalizers.Lowercase(), normalizers.Precompiled(CHARSMAP(replacements()))])
    t.pre_tokenizer, t.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


def unigram_bytes():
    """byte_fallback, no division into words, the older normalizer, the prefix at the first word alone."""
    t = unigram(400, ["<unk>", "<s>", "</s>"], "<unk>", byte_fallback=True)
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.add_tokens(["added", AddedToken("ADDED ", rstrip=True)])
    return t


FEWER = 300  # strings of the first; a few hundred are enough for each kind
ZOO = [gpt2, prefix_space, llama3, qwen, o200k, llama2, metaspace_first, metaspace_always, gemma, flags, deepseek, clip,
       wordpiece_like, behaviors, regexes]
ZOO_OF_WORDS = [bert_uncased, bert_cased, bert_odd, xlm_roberta, albert, unigram_bytes]

PAIRED = [gpt2, prefix_space, llama3, metaspace_always, deepseek, wordpiece_like, bert_uncased, xlm_roberta]  # every form of post-processor

TOKENS = ["<|endoftext|>", "<s>", "</s>", "<mask>", "<unk>", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>",
          "<|im_start|>", "<|im_end|>", "<think>", "<tool_call>", "added", "ADDED ", "<L>", "<R>", "<B>", "<W>", "<NORM>",
          "<norm>", "Word", "word", "wOrD", "ÀB", "A\u0300B", "ab", "abc", "ABC", " sp", "ﬁx", "fix", "[CLS]", "[UNK]",
          "<0x41>", "<0x0A>", "<0xe2>", "▁", "▁▁▁", "Ġ", "Ċ", "##", "</w>", "\ufffd", "<|end", "<L><R>"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2003", "\u200b", "\u0085", "\u180e",
          "\u2028", "\x0b", "\x0c", "\ufeff", "        ", " \n ", "\u200d", "\u200c"]
PARTS = ["'s", "'S", "'ll", "'LL", "'\u017f", "'\u017ft", "'re", "’s", "'d", "'VE", "don't", "K", "ſ", "ß", "ẞ", "İ", "ı", "Σ", "ς",
         "ﬀ", "ﬆ", "Å", "é", "e\u0301", "a\u0323\u0307", "\u0301", "q\u0307\u0323", "각", "\u1100\u1161\u11a8", "क्ष",
         "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "❤️", "①", "Ⅳ", "½", "²", "٣", "१२", "12345678", "3.14", "1,000", "__init__", "-->",
         "...", "…", "?!", "你好", "世界。", "こんにちは", "カタカナ", "สวัสดี", "مرحبا", "\x00", "\x01", "\x7f", "\x9f", "\U0010ffff",
         "\ue000", "\U0001e030", "\u1c89", "\ua7dc", "\U00011938", "\U00011935\U00011930", "\u32ff", "\u1ace\u0323", "\U00031350", "\U0001d2c0"]
BLOCKS = [(0x20, 0x7f), (0x20, 0x7f), (0x80, 0x250), (0x250, 0x400), (0x400, 0x530), (0x590, 0x700), (0x900, 0xe80),
          (0x1e00, 0x2100), (0x2100, 0x2c00), (0x3000, 0x3100), (0x4e00, 0x9fff), (0xac00, 0xd7a4), (0xf900, 0xfb50),
          (0xff00, 0xfff0), (0x10000, 0x11fff), (0x16000, 0x19000), (0x1d000, 0x1d800), (0x1e000, 0x1f000),
          (0x1f300, 0x1fb00), (0x20000, 0x32400), (0xe0000, 0xe0200), (0x300, 0x370), (0, 0x20), (0x1, 0x110000)]


def character(r, low, high):
    while True:
        c = r.randrange(low, high)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def strings(n, seed, nul=True):
    """n strings: words of the text, odd parts, added tokens and random characters, in all mixtures."""
    r = random.Random(seed)
    words = TEXT.split(" ")
    out = ["", " ", "  ", "\n", "a", "▁", "aaaa" * 300, " " * 200, "\n" * 100 + "x", "the " * 100, "é" * 333, "e\u0301" * 99,
           "a" + "\u0323\u0301" * 50, "🎉" * 120, "x" * 2000 + " " + "1" * 1000, TEXT] + TOKENS + SPACES + PARTS
    kinds = [lambda: r.choice(words), lambda: r.choice(words) + " ", lambda: r.choice(TOKENS), lambda: r.choice(SPACES),
             lambda: r.choice(PARTS), lambda: "".join(character(r, *r.choice(BLOCKS)) for _ in range(r.randrange(1, 6))),
             lambda: r.choice(words).upper(), lambda: r.choice("abcdefghijklmnopqrstuvwxyz ") * r.randrange(1, 20),
             lambda: "".join(r.choice(TEXT) for _ in range(r.randrange(1, 10)))]
    while len(out) < n:
        weights = [r.random() ** 3 for _ in kinds]
        out.append("".join(r.choices(kinds, weights)[0]() for _ in range(r.randrange(1, 16))))
    return [s if nul else s.replace("\0", "") for s in out[:n]]


def kept(make):
    """The tokenizer of tests/golden, or a new one."""
    path = FOLDER / (make.__name__ + ".json")
    return Tokenizer.from_file(str(path)) if path.exists() else make()


def pairs(make, n, seed):
    """n texts, one or two, cut to all kinds of lengths."""
    r, t, some, out = random.Random(seed), kept(make), strings(400, seed, nul=False), []
    for _ in range(n):
        texts = ["".join(r.choices(some, k=r.randrange(4)))[:300] for _ in range(2 if r.random() < 0.8 else 1)]
        special = t.num_special_tokens_to_add(len(texts) == 2)
        most, left = r.choice([0, special + r.randrange(1, 60), special + r.randrange(1, 8)]), r.random() < 0.3
        t.no_truncation()
        whole = len(t.encode(*texts).ids)
        if most:
            t.enable_truncation(most, strategy="longest_first", direction="left" if left else "right")
        e = t.encode(*texts)
        out.append({"tokenizer": make.__name__, **dict(zip("ab", texts)), "max_length": most, "left": left,
                    "ids": e.ids, "types": e.type_ids, "left_out": whole - len(e.ids)})
    return out


def differing(some, others):
    return {str(i): b for i, (a, b) in enumerate(zip(some, others)) if a != b}


def main():
    FOLDER.mkdir(exist_ok=True)

    def write(name, value):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        if name.endswith(".gz"):
            text = gzip.compress(text, 9, mtime=0)
        (FOLDER / name).write_bytes(text)
        print(name, len(text))

    some = strings(700, 1, nul=False)
    write("strings.json.gz", {"tokenizers": tokenizers.__version__, "strings": some})
    for make in ZOO + ZOO_OF_WORDS:
        t, texts = kept(make), some[:FEWER] if make in ZOO_OF_WORDS else some
        encoded = [t.encode(s, add_special_tokens=False).ids for s in texts]
        special = [t.encode(s).ids for s in texts]
        decoded = [t.decode(ids, skip_special_tokens=False).replace("\0", "") for ids in special]
        skipped = [t.decode(ids, skip_special_tokens=True).replace("\0", "") for ids in special]
        write(make.__name__ + ".json", json.loads(t.to_str()))
        write(make.__name__ + ".ids.json.gz", {"encoded": encoded, "special": differing(encoded, special),
                                               "decoded": decoded, "skipped": differing(decoded, skipped)})
    write("pairs.json.gz", [p for i, make in enumerate(PAIRED) for p in pairs(make, 60, i)])


if __name__ == "__main__":
    main()
