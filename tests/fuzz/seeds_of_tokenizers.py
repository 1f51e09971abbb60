"""Seeds of tokenizers: each model and step that a tokenizer.json can have, the files beside it, and broken ones. What the
first byte means is said at the head of fuzz_tokenizer.c."""
import base64
import json

FOLDER, VOCAB_TXT, ADD, COPY = 1, 2, 4, 8
TEXT = "ab  the\u00e9 I'm\u0301 12,3\u4e2d\u6587 <s>a a<s> \ufb01 \u2581b."


def of(tokenizer, text=TEXT, how=0):
    return bytes([how]) + text.encode() + b"\0" + (tokenizer if isinstance(tokenizer, bytes) else json.dumps(tokenizer).encode())


def folder(files, text=TEXT, how=COPY):
    body = b"\0".join(name.encode() + b"\n" + (f if isinstance(f, bytes) else json.dumps(f).encode()) for name, f in files.items())
    return bytes([how | FOLDER]) + text.encode() + b"\0" + body


def token(number, content, **flags):
    return dict({"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}, **flags)


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BPE = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "<s>": 3, "\u0120": 4, "t": 5}, "merges": ["a b"], "unk_token": None, "byte_fallback": False}
WHOLE = {"version": "1.0", "added_tokens": [token(3, "<s>")], "normalizer": {"type": "NFC"}, "pre_tokenizer": BYTES, "post_processor": None, "decoder": {"type": "ByteLevel"}, "model": BPE}
BARE = dict(WHOLE, normalizer=None, pre_tokenizer=None, decoder=None)
FALLBACK = dict(BPE, byte_fallback=True, unk_token="a", fuse_unk=True, vocab=dict(BPE["vocab"], **{"<0x%02X>" % i: 10 + i for i in range(0x60, 0x64)}))
WORDS = {"type": "WordPiece", "unk_token": "u", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9, "vocab": {"u": 0, "a": 1, "##b": 2, "the": 3, ",": 4, "I": 5, "'": 6, "m": 7}}
UNIGRAM = {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": [["u", 0.0], ["a", -1.5], ["b", -2.0], ["ab", -3.25], ["\u2581", -2.0], ["<0x41>", -9.0]]}


def pair_of(**changes):
    return dict({"type": "TemplateProcessing", "special_tokens": {"u": {"id": "u", "ids": [0], "tokens": ["u"]}},
                 "single": [{"SpecialToken": {"id": "u", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                 "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "u", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]}, **changes)


def trie_of_a():
    """Darts' double array with the key "a": 99 units, of which three are used."""
    units = [0] * 99
    units[0], units[1 ^ 97], units[1 ^ 97 ^ 2] = 1 << 10, 97 | 1 << 8 | 2 << 10, 1 << 31
    return b"".join(u.to_bytes(4, "little") for u in units)


def charsmap(trie=None, texts=b"X\0", size=None):
    """"a" becomes "X": one key."""
    trie = trie_of_a() if trie is None else trie
    return base64.b64encode((len(trie) if size is None else size).to_bytes(4, "little") + trie + texts).decode()


# ---- tokenizer.json ----

def models():
    for model in (BPE, FALLBACK, dict(BPE, merges=[["a", "b"], "a b"], ignore_merges=True), dict(BPE, merges=["#version: 0.2", "a b"]), dict(BPE, end_of_word_suffix="</w>", vocab={"a": 0, "b</w>": 1, "ab</w>": 2, "</w>": 3}, merges=["a b</w>"]),
                  dict(BPE, continuing_subword_prefix="##", vocab={"a": 0, "##b": 1, "ab": 2, "<s>": 3}, merges=["a ##b"]), dict(BPE, unk_token="a"), dict(BPE, unk_token="nope"), dict(BPE, dropout=0.1), dict(BPE, dropout=0),
                  dict(BPE, merges=["ab"]), dict(BPE, merges=["a b c"]), dict(BPE, merges=[["a"]]), dict(BPE, merges=["a z"]), dict(BPE, merges=["b a"]), dict(BPE, merges={}), dict(BPE, vocab=[]), dict(BPE, vocab={"a": -1}),
                  dict(BPE, vocab={"a": 1e10}), dict(BPE, vocab={"a": 0, "b": 0}), dict(BPE, vocab={}, merges=[]), dict(BPE, continuing_subword_prefix="##", merges=["a b"]), dict(BPE, vocab={"a": 0, "b": 7}, merges=[]),
                  dict(BPE, byte_fallback=3), dict(BPE, end_of_word_suffix=3), {"vocab": BPE["vocab"], "merges": []}, {"type": "Unknown"}, {"type": 3}, 3, None, {"vocab": WORDS["vocab"]},
                  dict(WORDS, max_input_chars_per_word=-1), dict(WORDS, unk_token="nope"), dict(WORDS, continuing_subword_prefix=""), dict(WORDS, unk_token=None),
                  UNIGRAM, dict(UNIGRAM, unk_id=None), dict(UNIGRAM, unk_id=9), dict(UNIGRAM, unk_id=-2), dict(UNIGRAM, byte_fallback=False), dict(UNIGRAM, alpha=0.1), dict(UNIGRAM, nbest_size=None),
                  dict(UNIGRAM, vocab={}), dict(UNIGRAM, vocab=[["a"]]), dict(UNIGRAM, vocab=[["a", "b"]]), dict(UNIGRAM, vocab=[["a", 1e999]]), dict(UNIGRAM, vocab=[]), dict(UNIGRAM, vocab=[["", 0.0], ["a", 0.0]]),
                  dict(UNIGRAM, byte_fallback=True, vocab=UNIGRAM["vocab"] + [["<0x%02X>" % i, -9.0] for i in (0x20, 0x62, 0xc3, 0xa9)])):
        yield of(dict(WHOLE, model=model))
        yield of(dict(BARE, added_tokens=[], model=model))
    for bad in (b"[]", b"{", b"3", b'{"model": {}}', b""):
        yield of(bad)


def steps():
    regex = {"Regex": "\\s+|[a-c]"}
    normalizers = [{"type": t} for t in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel", "BertNormalizer", "Strip")]
    normalizers += [{"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False}, {"type": "BertNormalizer", "strip_accents": 3}, {"type": "Prepend", "prepend": "\u2581"},
                    {"type": "Replace", "pattern": {"String": "a"}, "content": "bb"}, {"type": "Replace", "pattern": regex, "content": ""}, {"type": "Replace", "pattern": {"String": "a", "Regex": "b"}, "content": ""},
                    {"type": "Replace", "pattern": 3, "content": ""}, {"type": "Replace", "pattern": regex}, {"type": "Strip", "strip_left": True, "strip_right": False}, {"type": "Precompiled", "precompiled_charsmap": charsmap()},
                    {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}]}, {"type": "Sequence"}, {"type": "x"}, 3, {"type": 3}]
    normalizers += [{"type": "Precompiled", "precompiled_charsmap": c} for c in (3, "", "!!!!", charsmap(b""), charsmap(size=2), charsmap(size=1 << 30), charsmap(texts=b""), charsmap(texts=b"X"), charsmap(trie_of_a()[:200]),
                                                                                charsmap(b"\xff" * 400), charsmap(texts=b"\xff\0"), charsmap()[:-3])]
    # each doubles the text; there is an end to it
    normalizers += [{"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"}] * 8}]
    for one in normalizers:
        yield of(dict(BARE, normalizer=one, added_tokens=[token(3, "<s>"), token(6, "A\u00e9", normalized=True)]))
        yield of(dict(BARE, normalizer=one, model=UNIGRAM, added_tokens=[]))
    split = {"type": "Split", "pattern": regex, "behavior": "Isolated", "invert": False}
    before = [dict(split, behavior=b, invert=i) for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous") for i in (False, True)]
    before += [dict(split, behavior="x"), dict(split, pattern={"String": "a"}), dict(split, pattern={"Regex": "("}), dict(split, pattern={"Regex": ""}), dict(split, invert=3), dict(BYTES, add_prefix_space=True), dict(BYTES, use_regex=False),
               dict(BYTES, use_regex=3), {"type": "Digits"}, {"type": "Digits", "individual_digits": True}, {"type": "Punctuation"}, {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"},
               {"type": "BertPreTokenizer"}, {"type": "CharDelimiterSplit", "delimiter": "a"}, {"type": "CharDelimiterSplit", "delimiter": ""}, {"type": "CharDelimiterSplit"}, {"type": "Sequence", "pretokenizers": [dict(BYTES), split]},
               {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, BYTES]}, {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, dict(BYTES, add_prefix_space=True, use_regex=False), {"type": "Punctuation"}]}]
    before += [dict({"type": "Metaspace", "replacement": "\u2581"}, **more) for more in ({}, {"prepend_scheme": "first"}, {"prepend_scheme": "never"}, {"prepend_scheme": "x"}, {"add_prefix_space": False}, {"split": False}, {"replacement": ""},
                                                                                         {"replacement": "ab"}, {"prepend_scheme": 3}, {"replacement": "a"})]
    for one in before:
        yield of(dict(BARE, pre_tokenizer=one))
        yield of(dict(BARE, pre_tokenizer=one, model=WORDS, added_tokens=[token(8, "<s>", lstrip=True, rstrip=True), token(9, "the", single_word=True, special=False)]))
    for one in ({"type": "ByteLevel"}, {"type": "Fuse"}, {"type": "ByteFallback"}, {"type": "Strip", "content": " ", "start": 1, "stop": 1}, {"type": "Strip", "content": "a", "start": 1, "stop": 1}, {"type": "Strip", "content": ""},
                {"type": "Strip", "content": "a", "start": -1}, {"type": "Replace", "pattern": {"String": "a"}, "content": " "}, {"type": "BPEDecoder"}, {"type": "BPEDecoder", "suffix": "b"}, {"type": "BPEDecoder", "suffix": 3}, {"type": "WordPiece"},
                {"type": "WordPiece", "prefix": "a", "cleanup": False}, {"type": "WordPiece", "prefix": 3}, {"type": "Metaspace", "replacement": "\u2581"}, {"type": "Metaspace", "replacement": "a", "prepend_scheme": "never"},
                {"type": "Metaspace", "replacement": "xy"}, {"type": "Metaspace"}, {"type": "CTC"},
                {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}):
        for model in (FALLBACK, WORDS, UNIGRAM):
            yield of(dict(BARE, decoder=one, model=model, added_tokens=[token(999 if model is FALLBACK else len(model["vocab"]), "<s>")] if model is not FALLBACK else []), "ab the \u00e9c\u00e9`")
    bert = {"type": "BertProcessing", "cls": ["a", 0], "sep": ["b", 1]}
    for one in (pair_of(), bert, dict(bert, type="RobertaProcessing"), dict(bert, sep=["b"]), dict(bert, cls=["b", 99]), dict(bert, cls=["b", -1]), {"type": "ByteLevel"}, {"type": "Sequence", "processors": [{"type": "ByteLevel"}, pair_of()]},
                pair_of(single=3), pair_of(single=[3]), pair_of(single=[{"Sequence": {"id": "B"}}]), pair_of(single=[]), pair_of(pair=[{"Sequence": {"id": "C"}}]), pair_of(special_tokens={}), pair_of(single=[{"Sequence": {"id": "A", "type_id": -1}}]),
                pair_of(special_tokens={"u": {"ids": ["x"]}}), pair_of(special_tokens={"u": {"ids": [4, 4, 4]}}), pair_of(pair=[{"Sequence": {"id": "B"}}, {"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}]), pair_of(single=[{"Sequence": {"id": 3}}]),
                pair_of(single=[{"Sequence": {"id": "A"}}] * 2), pair_of(single=[{"SpecialToken": {"id": 3}}]), pair_of(pair=[]), {"type": "Sequence", "processors": [pair_of(), bert]}):
        yield of(dict(BARE, post_processor=one), "ab ab ab ab")
        yield of(dict(BARE, post_processor=one, truncation={"direction": "Left"}), "ab" * 50, ADD)


def added():
    for some in ([token(3, "<s>"), token(6, "new")], [token(9, "new")], [token(3, "<s>"), token(3, "<s>")], [token(6, "")], [{"id": 6}], [{"content": "x"}], [token("x", "x")], 3, [3], [token(2, "ab", special=False)],
                 [token(6, "the", normalized=True, lstrip=True, rstrip=True, single_word=True)], [token(6, "A"), token(7, "a", normalized=True), token(8, "AB", normalized=True)], [token(6, "x", special=3)],
                 [token(6, " "), token(7, "  ", special=False)], [token(3, "<s>", special=False), token(6, "<0x41>")]):
        yield of(dict(WHOLE, added_tokens=some, normalizer={"type": "Lowercase"}), how=ADD)
        yield of(dict(BARE, added_tokens=some, normalizer={"type": "Prepend", "prepend": "_"}), how=ADD)


# ---- the files beside it ----

def folders():
    lines = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nthe \nthe\n,\n"
    bert = {"tokenizer_class": "BertTokenizer"}
    for config in ({}, {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": True}, "pad_token": None, "unk_token": "a", "mask_token": "<mask>"}, {"bos_token": 3}, {"add_bos_token": True, "bos_token": "<s>"},
                   {"added_tokens_decoder": {"3": token(3, "<s>", lstrip=True), "6": token(6, "<x>")}}, {"added_tokens_decoder": {"9": token(9, "<x>")}}, {"added_tokens_decoder": {"x": token(6, "<x>")}}, {"added_tokens_decoder": {"6": 3}},
                   {"added_tokens_decoder": {"7": token(7, "y"), "6": token(6, "x")}}, {"added_tokens_decoder": {"3": token(3, "<s>", special=3)}},
                   {"extra_special_tokens": ["<e>", {"content": "<f>"}, 3], "additional_special_tokens": ["<e>", ""], "image_token": "<i>", "x_token": 3}, {"split_special_tokens": True}, {"truncation_side": "left"}, {"truncation_side": "up"},
                   {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False, "strip_accents": True}, {"tokenizer_class": "BertTokenizer", "do_lower_case": 3}, [], 3):
        yield folder({"tokenizer.json": WHOLE, "tokenizer_config.json": config})
        yield folder({"tokenizer.json": dict(BARE, normalizer={"type": "BertNormalizer"}, post_processor=pair_of()), "tokenizer_config.json": config}, how=ADD)
        yield folder({"vocab.txt": lines, "tokenizer_config.json": config})
    yield folder({"tokenizer.json": WHOLE, "special_tokens_map.json": {"bos_token": "<s>", "extra_special_tokens": ["<q>"]}, "tokenizer_config.json": {"extra_special_tokens": ["<p>"]}})
    yield folder({"tokenizer.json": WHOLE, "special_tokens_map.json": [], "added_tokens.json": {}})
    yield folder({"tokenizer.json": WHOLE, "special_tokens_map.json": {"eos_token": "</s>"}, "added_tokens.json": {"</s>": 6, "<x>": 7}})
    yield folder({"tokenizer.json": WHOLE, "added_tokens.json": {"</s>": "x"}})
    yield folder({"tokenizer.json": WHOLE, "added_tokens.json": 3, "chat_template.jinja": b"x", "additional_chat_templates/tool.jinja": b"y"})
    yield folder({"tokenizer.json": b"{"})
    yield folder({})
    for source in ("tokenizer.model", "vocab.json"):
        yield folder({source: b"x"})
    for text in (lines, lines[:-1], b"", b"\n", b"\xff\n", b"a\0b\n", b"\xef\xbb\xbf[UNK]\n", b"[UNK]\na\n", b"[CLS]\n[SEP]\n[UNK]\na \xc2\xa0\n", b"a\na\n[UNK]\n"):
        yield folder({"vocab.txt": text})
        yield folder({"vocab.txt": text}, how=VOCAB_TXT)
    for config in (dict(bert, never_split=["a"], do_basic_tokenize=False), dict(bert, do_lower_case=False, tokenize_chinese_chars=False, strip_accents=True), dict(bert, do_lower_case="x"), {"tokenizer_class": "XLNetTokenizer"},
                   dict(bert, cls_token="a", sep_token="the", unk_token="[UNK]"), dict(bert, cls_token=None), dict(bert, sep_token=None), dict(bert, unk_token=None)):
        yield folder({"vocab.txt": lines, "tokenizer_config.json": config})
    for config in ({"model_type": "bert"}, {"model_type": "xlnet"}, {"model_type": 3}, []):
        yield folder({"vocab.txt": lines, "config.json": config})
    yield folder({"vocab.txt": lines, "config.json": b"{"})
    yield folder({"vocab.txt/x": b"y"})


def tokenizer():
    for kind in (models, steps, added, folders):
        yield from kind()
    yield of(dict(WHOLE, pre_tokenizer={"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated", "invert": False}), "ab a(b|c)+")
    yield of({"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece"}, "post_processor": pair_of(), "model": WORDS}, "ab the")
    yield of({"normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap()}, "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581"}, "post_processor": pair_of(),
              "decoder": {"type": "Metaspace", "replacement": "\u2581"}, "model": UNIGRAM}, "ab")
    yield bytes([0]) + b"\xff\xfe\0" + json.dumps(WHOLE).encode()
    yield of(WHOLE, "\u1100\u1161\u11a8 e\u0301\u0323 \u0958 \u2126 \u1e9b\u0323 \U0001f468\u200d\U0001f469 \u0e33 \r\n\x1f\u200b\ufffd")


SEEDS = {"fuzz_tokenizer": tokenizer}
