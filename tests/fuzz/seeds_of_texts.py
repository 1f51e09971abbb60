"""Seeds of what is made of texts: data sets in each format and layout, good ones and broken ones of each kind. What the
first bytes mean is said at the head of fuzz_text.c."""
import gzip
import json

JSONL, JSON, CSV, TSV, TEXT, TREC, BY_NAME = range(7)
TEMPLATE, CHAT, LABELS, PROMPTS, SPEC = 8, 16, 32, 64, 128
FOLDER, TRAINING, NO_SCAN, FEW, TOLERANT, BEFORE = 1, 2, 4, 32, 64, 128
NEEDED, HOPED, MAYBE, IGNORED = 0, 8, 16, 24


def one(what, body, how=TRAINING, **spec):
    body = body if isinstance(body, bytes) else body.encode()
    if not spec:
        return bytes([what, how]) + body
    return bytes([what | SPEC, how]) + json.dumps(spec).encode() + b"\0" + body


def records(what, *some, how=TRAINING, **spec):
    return one(what, "".join(json.dumps(r) + "\n" for r in some), how, **spec)


def folder(what, files, how=TRAINING, **spec):
    return one(what, b"\0".join(name.encode() + b"\n" + body for name, body in files.items()), how | FOLDER, **spec)


# ---- records of each layout ----

QUESTION = {"question": "q"}
CHOICES = [
    dict(QUESTION, choices=["a", "b"], answer=1), dict(QUESTION, choices=["a", "b"], answer="a"), dict(QUESTION, choices=["x", "y"], answer="B"),
    dict(QUESTION, choices=["x", "y"], answer="1"), dict(QUESTION, choices=["x", "y"], answer=True), dict(QUESTION, choices=["x", "y"], answer=[1]),
    dict(QUESTION, choices=["x", "y"], answer=""), dict(QUESTION, choices=["x", "y"], answer="-1"), dict(QUESTION, choices=["x", "y"], answer=-1),
    dict(QUESTION, choices=["x", "y"], answer=1.5), dict(QUESTION, choices=["x", {}], answer=1), dict(QUESTION, choices="x", answer=0), dict(QUESTION, choices=3, answer=None),
    dict(QUESTION, choices={"text": ["x", "y"], "label": ["P", 2]}, answerKey="2"), dict(QUESTION, options={"A": "x", "B": "y"}, answer="B"),
    dict(QUESTION, options={"A": "x", "B": "y"}, answer_idx="A", answer="x"),
    {"ctx": "c", "endings": ["e", "f"], "label": "1"}, {"ctx": "c", "endings": ["e", "f"], "label": ""},
    {"startphrase": "s", "ending0": "a", "ending1": "b", "ending2": "", "ending3": "", "label": 1}, {"startphrase": "s", "ending0": "a", "ending1": "b", "ending2": "", "ending3": "d", "label": 2},
    dict(QUESTION, passage="p", answer="Yes"), dict(QUESTION, passage="p", answer=False), dict(QUESTION, passage="p", label=1), dict(QUESTION, passage="p", label=9),
    {"goal": "g", "sol1": "a", "sol2": "b", "label": 0}, {"goal": "g", "sol1": "a", "sol2": "b", "label": "sol2"},
    {"sentence": "a _ b", "option1": "x", "option2": "y", "answer": "2"}, {"sentence": "a b", "option1": "x", "option2": "y", "answer": "2"},
    {"sentence": "a _ b", "option1": "x", "option2": "y", "answer": "3"}, dict(QUESTION, context="c", answerA="a", answerB="b", answerC="c", label=3),
    dict(QUESTION, correct_answer="a", distractor1="b", distractor2="c", distractor3="d", support=""), dict(QUESTION, A="a", B="b", C="c", D="d", answer="D"),
    dict(QUESTION, A="a", B="b", C=None, D=None, answer="C"), dict(QUESTION, choices=[str(i) for i in range(30)], answer=40)]
PAIRS = [{"instruction": "i", "input": "x", "output": "o", "system": "s"}, {"instruction": "i", "input": None, "output": "o", "more": 1}, {"instruction": "i", "response": "r", "context": "c"},
         {"query": "q", "response": "r"}, {"prompt": "p", "completion": " c"}, {"problem": "p", "solution": "s"}, {"input": "i", "output": "o"}, {"inputs": "i", "targets": "t"},
         {"prompt": "p", "completion": "c", "weight": 0}, {"prompt": "p", "completion": "c", "train": True, "mask": [1, 0]}, {"prompt": "p", "completion": "c", "loss": "false"},
         {"prompt": "p", "completion": "c", "weights": [1, 1]}, {"prompt": "p", "completion": "c", "weights": [1, True, 3]}, {"prompt": "p" * 60, "completion": "c" * 60},
         {"text": "a b c d e f g h i j k"}, {"text": 3}, {"text": 1.5}, {"text": True}, {"text": ["x"]}, {"text": None}, {"text": "x", "id": 3, "label": 1, "text2": ""}]
REFUSED = [{"prompt": "p", "chosen": "c", "rejected": "r"}, {"prompt": "p", "completion": "c", "label": True}, {"completions": ["a"], "labels": [True]}, {"text": "t", "history": [["a", "b"]]},
           {"text": "t", "images": ["x.png"]}]


def talk(*said, **more):
    return dict(messages=[{"role": role, "content": content} if not isinstance(content, dict) else dict(content, role=role) for role, content in said], **more)


USER, ANSWER = ("user", "hi"), ("assistant", "ho")
CALL = '{"name": "f", "arguments": {"a": 1}}'
TALKS = [
    talk(USER, ANSWER), talk(USER, ANSWER, system="s", tools=[{"name": "f"}]), talk(("system", "s"), USER, ANSWER, system="s"), talk(USER, ANSWER, system=3),
    talk(USER, ANSWER, tools="[1]"), talk(USER, ANSWER, tools="{}"), talk(USER, ANSWER, tools="["), talk(USER, ANSWER, tools=""), talk(USER),
    talk(USER, ("assistant", {"content": "x", "train": False})), talk(USER, ("assistant", {"content": "x", "weight": 0}), ANSWER), talk(USER, ("assistant", {"content": "x", "loss": 1})),
    talk(("user", {"content": "x", "train": True}), ANSWER), talk(("user", {"content": "x", "weight": 1}), ANSWER), talk(USER, ("assistant", {"content": "x", "trainable": "yes"})),
    talk(USER, ("assistant", {"content": "x", "loss_mask": [0]})), talk(USER, ("assistant", {"content": [{"type": "text", "text": "x"}, "y"]})),
    talk(USER, ("assistant", {"content": [{"type": "image"}]})), talk(USER, ("assistant", {"content": [3]})), talk(USER, ("assistant", {"content": None, "tool_calls": [{}], "name": "n"})),
    talk(USER, ("assistant", {"content": 3})), talk(("stranger", "x"), ("critic", "x"), ANSWER), talk(USER, ("assistant", " ")), talk(USER, ("assistant", {"content": "", "tool_calls": [1]})),
    talk(USER, ("assistant", "!")), talk(("user", "no"), ANSWER), talk(ANSWER), dict(messages=[]), dict(messages=3), dict(messages=None), dict(messages=[{"role": 3}]),
    dict(conversations=[{"from": "human", "value": "a"}, {"from": "function_call", "value": CALL}, {"from": "observation", "value": "o"}, {"from": "gpt", "value": "b"}]),
    dict(conversations=[{"from": "human", "value": "a"}, {"from": "function_call", "value": "[" + CALL + "]"}]), dict(conversations=[{"from": "human", "value": "a"}, {"from": "function_call", "value": "x"}]),
    dict(conversations=[{"from": "function_call", "value": '{"a": 1}'}]), dict(conversations=[{"from": "human", "value": ["a"]}]),
    dict(conversation=[{"from": "human", "value": "a"}, {"from": "bard", "value": "b"}]), dict(prompt=[{"role": "user", "content": "a"}], completion=[{"role": "assistant", "content": "b"}]),
    dict(prompt=[{"role": "user", "content": "a"}], completion=[]), dict(prompt=[{"role": "user", "content": "a"}], completion=[{"role": "user", "content": "b"}])]


def layouts():
    for record in CHOICES:
        yield records(JSONL, record)
    for asked in (CHOICES[0], CHOICES[8], CHOICES[27], {k: v for k, v in CHOICES[5].items() if k != "answer"}, *PAIRS[:3], {"instruction": "i"}, PAIRS[14], {"answer": "a"}):
        yield records(JSONL | PROMPTS, asked, dict(asked, question="x"))
    for record in PAIRS + REFUSED:
        yield records(JSONL, record, {"text": "other"})
    yield records(JSONL, {"prompt": "p" * 20, "completion": "c"}, how=TRAINING | FEW)
    yield records(JSONL, {"prompt": "p" * 20, "completion": "c"}, {"prompt": "p", "completion": "c"}, how=TRAINING | FEW | TOLERANT | BEFORE)
    for record in TALKS:
        yield records(JSONL | CHAT, record)
    for record in (TALKS[0], TALKS[8], TALKS[16], talk(ANSWER), talk(("system", "s"), USER), TALKS[37], {"prompt": [{"role": "user", "content": "a"}]}):
        yield records(JSONL | CHAT | PROMPTS, record)
    yield records(JSONL, TALKS[0])
    yield records(JSONL, PAIRS[1], text_field="input")
    yield records(JSONL, {"a|b": 1, "body": "t", "weight": 0}, {"body": "u"}, text_field="body")
    yield records(JSONL, {"a": 1}, text_field="body")
    for template in ("{instruction}: {input}\n", "{nope}", "{", "}", "{a}{{b}}", "{choices} {question}"):
        yield records(JSONL, PAIRS[0], PAIRS[1], prompt_template=template)
        yield records(JSONL, CHOICES[0], CHOICES[20], prompt_template=template)
        yield records(JSONL, CHOICES[26], prompt_template=template)
    yield records(JSONL | CHAT, TALKS[0], prompt_template="{a}")
    yield records(JSONL | TEMPLATE, {"question": "q", "input": "x", "answer": "a"})
    yield records(JSONL | TEMPLATE, {"question": "q"})
    yield one(JSON | TEMPLATE, '[{"question": "q", "input": 3}]')


# ---- files of each format ----

def lines_of_json():
    for body in (b'{"text": "one two"}\n{"text": "three"}\n', b'{"text": "a"}\n\n \t\r\n{"text": 3}\n', b'{"txt": "a"}\n', b'[1]\n', b'3\n', b'{"text": "a"\n', b'', b'{"text": ""}\n{"text": null}\n',
                 b'\xef\xbb\xbf{"text": "a"}', b'{"text": "a"}\r{"text": "b"}\r', b'{"text":\r"a"}\n', b'PAR1\x15', gzip.compress(b'{"text": "one two"}\n', mtime=0), b'<html>\n', b'{"text": "a\\u0000b"}\n',
                 b'{"prompt": "a", "completion": ""}\n', b'{"prompt": 1, "completion": "b"}\n', b'{"text": "a"}\n{"text": "b", "x"}\n', b'{}\n', b'{"a|b": 1}\n', b'{"prompt": "a"}\n', b'{"question": "a", "choices": 3}\n'):
        yield one(JSONL, body)
    for body in ('[{"text": "a"}, {"text": "b"}]', ' [ {"text": "\\"}"} ,\n{"text": "b"} ] ', '{"text": "a"} {"text": {"b": [1]}}', '{"data": [{"text": "a"}]}', '{"text": ["a", "b"]}', '[]', '[1, {"text": "x"}]', '3',
                 '[{"text": "a"}', '[{"text": "a"} {', '[{"text": "a"}] x', '[{"text": "a"', '[{"text": "a"},', 'PK\3\4', '<html>', '', '[{"text": "a", "text": "b"}]', '{"text": "a"} x'):
        yield one(JSON, body)


def tables():
    quoted = 'text,label\n"a ""quoted"" text",1\nplain,0\n'
    for body in (quoted, 'text\n"a\nb"\n', 'text,label\n"a,1\n', 'text,label\na\n', 'text,label\na,b,c\n', 'text;label\na;1\n', 'text|label\na|1\n', '', 'text\n', 'text,text\na,b\n', '"te""xt"\n"a"x\n',
                 'text\r\na\r\n\r\nb\r\n', 'text\ra\r', b'te\xffxt\na\n', b'text\na\xffb\n', b'text\na\0b\n', 'PK\3\4', 'sep=;\ntext;b\n"x;y";2\n', 'sep=:\r\ntext:b\nx:2\n', 'sep=x\ntext\n',
                 'text\tlabel\na\t1\n', 'text,label\n"a\nb,c",1\n"d\ne,f",1\n', 'text,b\n"a,1\nb",2\nc,3\n', '"text","b"\n"x\ny","2"\n', 'text,b\n"a ""q""\nb",2\n', '"a;b";"text"\n1;2\n',
                 'text,b\n"x",1\n', 'text\n' + '"' + 'l\n' * 120 + '"\n', ',\na,b\n', 'question,choices,answer\nq,"[""x"", ""y""]",1\nq,[x,1\n', 'text,messages\nt,[]\n', 'text\n=1+1\n-5\n+x\n@y\n"\tz"\n'):
        yield one(CSV, body)
    for body in ('prompt\tcompletion\na\tb\n', 'text\tlabel\n"a\t1\n', 'text\tlabel\n"a\t1\nb"\t2\n', 'prompt\tcompletion\r\na\tb', '"text"\t"b"\n"a\tx"\t"c"\n', 'text\tb\n"x\ty"\t1\n', 'text\tb\n"a ""b"" c"\t1\n',
                 'text\tb\n"x"\t1\n', 'text\tb\n"x\ny"\t1\n', 'text\n"a ""q""\nb"\n', 'text\tb\nx\n', 'text\tb\n"a\nb\tc"\t2\n', 'text\tb\n"u\tv\nw"\t2\n', '"text\tb\n', 'text\tb\n"x"z\t1\n', 'text\tb\nx\t"\n'):
        yield one(TSV, body)
    for spec in (dict(delimiter="|"), dict(delimiter="tab"), dict(delimiter="||"), dict(delimiter=""), dict(delimiter=3), dict(quoting="csv"), dict(quoting="none"), dict(quoting="x"), dict(columns="text, label"),
                 dict(columns="text,text"), dict(columns="text"), dict(nope="x"), dict(label_field="label"), dict(label_columns="a,b"), dict(split="test")):
        yield one(CSV, 'text|x,label\n"a|b,c\n', **spec)
        yield one(TSV, 'a\tb\n"c\td\n', **spec)
    yield one(CSV, '', columns="text")
    yield one(CSV, 'a\n"b\n', quoting="csv")
    yield one(CSV, 'a,text\nb\n', quoting="none")
    yield one(CSV, 'a,b\n', columns="text,b", delimiter=",")
    yield one(TSV, 'text,b\n"x""y\n', delimiter=",", quoting="none")


def plain():
    for body in (b'A text.\n\nAnother paragraph of it.\n', b'', b'\n\n\n', b'a\r\n\r\nb', b'\xff\xfea\0', b'a\0b', b'\xc3', b'one two three four five\nsix seven eight nine ten\neleven twelve\n', b'x' * 90,
                 b'\xc3\xa9' * 40, b' ' * 60, b'a\r' * 30, ('%s\r\n' % ('y' * 23) * 3).encode(), b'{"text": 1}', b'%PDF-1.4', gzip.compress(b'a text\nof two lines\n' * 4, mtime=0)):
        yield one(TEXT, body)
        yield one(TEXT, body, FEW)
    texts = {"a.txt": b"one two\nthree", "b/c.md": b"four", "README.md": b"no", "d.png": b"\x89PNG", "e.txt": b"", "f.text": b"%PDF-1.4", "g.txt.gz": gzip.compress(b"packed\ntext\n" * 9, mtime=0)}
    yield folder(BY_NAME, texts)
    yield folder(TEXT, texts)
    yield folder(CSV, texts)
    yield folder(BY_NAME, {"README.md": b"no", "x.bin": b"\0"})
    yield folder(BY_NAME, {})
    yield folder(BY_NAME, {"e.txt": b""})
    yield folder(BY_NAME, {"train.jsonl": b'{"text": "a"}\n', "test.jsonl": b"{"})
    yield folder(BY_NAME, {"train-00000-of-00002.csv": b"text\na\n", "train-00001-of-00002.csv": b"text\nb\n"})
    yield folder(BY_NAME, {"train.txt": b"one two\nthree", "validation.txt": b"x"}, split="validation")
    yield folder(BY_NAME, {"train.jsonl": b'{"text": "a"}\n'}, split="test")


# ---- records with labels ----

def labelled():
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    for what in (NEEDED, HOPED, MAYBE, IGNORED):
        for some in (rows, [{"text": "a"}], [{"sentence1": "a", "sentence2": "b", "label": "x"}, {"sentence1": "c", "sentence2": None, "label": "y"}], [{"text": "a", "label": None}, rows[0]],
                     [{"text": "a", "labels": [1, 0]}, {"text": "b", "labels": []}], [{"text": "a", "label": 1.5}, {"text": "b", "label": -2}], [{"text": "a", "label": [0.5, 2]}], [{"x": "a", "label": "c"}],
                     [{"text": "", "label": "c"}, {"text": "a" * 90, "label": "d"}]):
            yield records(JSONL | LABELS, *some, how=what)
        yield one(CSV | LABELS, 'text,label\na,x\nb,y\n', what)
        yield one(TREC | LABELS, 'DESC:manner How ?\n\nENTY:x What ?\nno class\n', what)
        yield folder(BY_NAME | LABELS, {"train/pos/a.txt": b"good", "train/neg/b.txt": b"bad", "test/pos/c.txt": b""}, what)
        yield folder(BY_NAME | LABELS, {"pos.txt": b"good\nbetter\n", "neg.txt": b"bad\n"}, what)
    for spec in (dict(label_field="text"), dict(label_field="no"), dict(label_separator=","), dict(label_columns="a,b"), dict(text_pair_field="b"), dict(text_field="b"), dict(label_field=3)):
        yield one(CSV | LABELS, 'text,b,label,a\nx,1,"u,v",0\ny,0,u,1\n', **spec)
    yield records(JSONL | LABELS, {"text": "a" * 90, "label": 1}, how=FEW | TOLERANT)
    yield one(TREC, 'DESC:manner How ?\n')


def text():
    for kind in (layouts, lines_of_json, tables, plain, labelled):
        yield from kind()


SEEDS = {"fuzz_text": text}
