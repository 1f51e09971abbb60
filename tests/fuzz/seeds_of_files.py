"""Seeds of what stands in files and folders beside models: patterns, templates, checkpoints, caches, runs, sweeps; good ones,
and broken ones of each kind. What an input's parts are is said at the head of each target."""
import gzip
import struct

from seeds_common import parts, text


# ---- patterns ----

def regex():
    for one in ("q_proj|v_proj", ".*\\.layers\\.(\\d+)\\..*q_proj", "(a+)+b", "\\p{L}+|\\p{N}{1,3}", "(?i:'s|'t|'re)| ?\\p{L}+", "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+",
                "\\s+(?!\\S)|\\s+", "[\\s\\S]", "\\w+|[^\\w\\s]+", "\\bI\\b|\\B.", "\\x41|\\u00e9|\\x{1F600}", "a{2,3}+b{,4}c{5}?", "x{1", "[[:alpha:]]", "[a&&b]",
                "[]a]", "[a-\\w]", "[\\w-a]", "[^a-z\\-]", "(?<=a)b(?<!c)d(?>e)", "(?-i:a)(?i:ss)", "(?i:\u00e9)", "\\p{Han}\\P{Lu}\\p{^Ll}", "\\p{Nope}",
                "[\\P{L}]", "[\\D]", "[\\W]", "[\\b]", "\\d\\D\\S\\W\\v\\e\\a\\f\\A\\z", "\\q", "\\", "(", ")", "[", "a**", "\u00e9+|^$", "(?#c)", "((((((a))))))",
                "\\x", "\\x{110000}", "\\ud800", "(?P<n>a)", "}]", "\\p{L", "[\\S]"):
        yield parts(one, "model.layers.3.q_proj aab A\u00e9 12 I'll ss")
    yield parts("(" * 70 + ")" * 70, "x")
    for one in ("\\u{41}", "\\x{4}\\x{1f600}", "\\x4", "\\u004", "(?i:\u017f)", "(?i:[\u00e9])", "(?i)a", "a?+b*+", "(?<n>a)\\k<n>", "(a)\\1", "\\R\\X", "\\h\\H", "\\o{101}", "\\101", "\\cA", "\\Qa\\E", "a|", "|", "", "()", "(?=a)", "(?:a", "a)",
                "[[:^alpha:]]", "[[:word:]\\d]", "[\\x41-\\x5a]", "[a-", "[a-\\d]", "[^]", "[]", "[\\p{Han}\\p{^Ll}]", "[[a]b]", "\\p{^L}", "\\p{}", "\\pL", "x{2,1}", "x{99999}", "{1}", "a{1,2}{3}", "(a{0,9}){0,9}", "(?x: a )", "\\G", "\\Z", "\\b{wb}", ".",
                "(a|aa)+$", "(.*)*b", "all-linear", "\\s+$|\\s*\\r?\\n+\\r*", "[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"):
        yield parts(one, "a" * 40 + "\u00e9 \n")
    name = "model.layers.3.q_proj"
    for rules in ({"target_modules": ["q_proj", "v_proj"]}, {"target_modules": ["q_proj"], "exclude_modules": ["3.q_proj"]}, {"target_modules": "all-linear", "exclude_modules": ".*3.*"}, {"target_modules": [], "exclude_modules": []}, {"target_modules": [""]},
                  {"target_modules": [3]}, {"target_modules": 3}, {"exclude_modules": 3}, {"target_modules": ["q_proj"], "layers_to_transform": 3}, {"target_modules": ["q_proj"], "layers_to_transform": [1, 12]},
                  {"target_modules": ["q_proj"], "layers_to_transform": [3], "layers_pattern": "layers"}, {"target_modules": ["q_proj"], "layers_to_transform": [3], "layers_pattern": ["h", "layers"]},
                  {"target_modules": ["q_proj"], "layers_to_transform": [3], "layers_pattern": ["("]}, {"target_modules": ["q_proj"], "layers_pattern": ["h"]}, {"target_modules": "q_proj", "layers_to_transform": [3]}, {"target_modules": "("}, {"exclude_modules": "(", "target_modules": "a"},
                  {"layers_to_transform": -1}, {"layers_to_transform": ["x"]}, {"layers_to_transform": [1.5]}, {"layers_pattern": 3, "layers_to_transform": 1}, {"target_modules": [name]}, {"target_modules": "(a|aa)+$", "exclude_modules": "(.*)*b"},
                  {"rank_pattern": {"q_proj": 3, "v": 4}}, {"rank_pattern": {"q_proj": 0.5}}, {"rank_pattern": []}, {"rank_pattern": {"(": 2}}, {"rank_pattern": {"a": "x"}}, {"rank_pattern": {}}, {"rank_pattern": {"layers": -1}}, []):
        yield parts("q_proj", name, text(rules))
        yield parts("x", "q_proj", text(rules))


# ---- chat templates ----

def chat():
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " 1 + 1? "}, {"role": "assistant", "content": "2"},
            {"role": "user", "content": [{"type": "text", "text": "and 2?"}]}, {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]}]
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": None}
    chatml = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    marked = "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content | trim }}{{ eos_token }}{% endgeneration %}{% else %}[{{ m.content }}]{% endif %}{% endfor %}"
    for template in (chatml, marked, "{{ messages }}", "{{ messages[0].content | upper }}", "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}{{ m['content'] }}{% endfor %}",
                     "{{ raise_exception('no: ' + messages[0].role) }}", "{% for m in messages %}{{ m.content[::-1] }}{% endfor %}", "{{ strftime_now('%d %b %Y') }}{{ messages[-1].content }}", "{{ x", "{{ nope() }}"):
        yield parts(text(config), template, text(talk[:3]), b"")
        yield parts(text(dict(config, chat_template=template)), b"", text(talk), text(tools))
    named = [{"name": "default", "template": chatml}, {"name": "tool_use", "template": "{{ tools }}" + chatml}]
    yield parts(text(dict(config, chat_template=named)), b"", text(talk), text(tools))
    for bad in (3, [], [{"name": "x", "template": chatml}], [{"name": 1}], {"default": chatml}, [{"name": "tool_use", "template": 1}]):
        yield parts(text(dict(config, chat_template=bad)), b"", text(talk), text(tools))
    yield parts(text({"bos_token": 3}), chatml, text(talk), b"")
    yield parts(text({"bos_token": "<s>"}), b"", text(talk[:3]), b"")
    yield parts(b"", b"", text(talk[1:3] * 2), b"")
    unlearned = [talk[1], dict(talk[2], unlearned=True), talk[1], {"role": "assistant", "content": "3"}]
    for template in (chatml, marked, "{% for m in messages %}{{ m.content | int + 1 }}{% endfor %}", "{% for m in messages %}{{ m.content | length }}{{ m.content }}{% endfor %}", "{% for m in messages | reverse %}{{ m.content }}\n{% endfor %}",
                     "{% for m in messages %}{{ m.content | replace('2', 'two') }}{{ m.content }}{% endfor %}", "{% set a = messages[1].content %}{{ a ~ a }}", "{% for m in messages %}{% if m.content == '2' %}x{% endif %}{{ m.content[1:] }}{{ m.content[:1] }}{% endfor %}",
                     "{% for m in messages %}{{ m.content.split('.') | join(',') }}{% endfor %}", "{{ messages | tojson }}", "{% for m in messages %}{{ m.content | float }}|{% endfor %}", "{% for m in messages %}{{ m.content * 2 }}{% endfor %}"):
        for some in (talk[:3], unlearned, [talk[1], {"role": "assistant", "content": " two\nlines "}]):
            yield parts(text(config), template, text(some), text(tools))
    yield parts(text({}), b"", b"[", b"")
    yield parts(b"{", chatml, text([{"role": "user"}, {"role": "assistant", "content": ""}, {}]), b"{}")


# ---- IDX, gzip ----

def idx():
    def one(images, labels, how=0, more=(b"", b""), spec=None):
        a = b"\0\0\10\3" + struct.pack(">III", *images[:3]) + images[3] + more[0]
        b = b"\0\0\10\1" + struct.pack(">I", labels[0]) + labels[1] + more[1]
        a, b = (gzip.compress(x, mtime=0) if how & 128 else x for x in (a, b))
        return bytes([how & 127 | (16 if spec else 0)]) + (text(spec) + b"\0" if spec else b"") + struct.pack(">H", len(a)) + a + b

    two = (2, 2, 3, bytes(range(12)))
    for how in (0, 1, 2, 3, 4, 5, 6, 8, 12, 128):
        yield one(two, (2, b"\0\3"), how)
    for how in (32, 34, 36, 64, 66, 32 | 128, 34 | 128, 68, 1 | 34):
        yield one(two, (2, b"\0\3"), how)
    for spec in ({"label_field": "x"}, {"label_separator": ","}, {"label_columns": ["a"]}, {"image_field": "x"}, {"labels": "nothere"}, {"labels": 3}, {"split": "test"}, {"split": "validation"}, {"nope": 1}):
        yield one(two, (2, b"\0\3"), spec=spec)
        yield one(two, (2, b"\0\3"), 2 | 64, spec=spec)
    yield one(two, (3, b"\0\3\1"))
    yield one(two, (2, b"\0"))
    yield one(two, (2, b"\0\3"), more=(b"x", b""))
    yield one((0, 2, 3, b""), (0, b""))
    yield one((1, 65536, 65536, b"x"), (1, b"\0"))
    yield one((4294967295, 4294967295, 1, b""), (4294967295, b""))
    yield b"\0\0\4\0\0\10\3"
    yield b"\0\0\4\0\0\10\1\0\0\10\1"
    yield b""


def packed():
    body = b'{"text": "one"}\n' * 40
    for form in range(4):
        for damage in range(4):
            for where in (0, 60, 255):
                yield bytes([form + 4 * damage, where]) + body
    for form in range(4):
        yield bytes([form, 0])
    for start in (b"\x1f\x8b\x08\x04\0\0\0\0\0\3\5\0abc", b"\x28\xb5\x2f\xfd", b"PAR1\x15", b"PK\3\4", b"BZh91AY&SY", b"\xff\xfea\0b\0", b"\x50\x2a\x4d\x18\0\0\0\0", b"\x28\xb5\x2f\xfd\0\x90\1\0\0"):
        yield b"\0\0" + start
    # a bomb: two megabytes of nothing
    yield b"\0\0" + gzip.compress(bytes(2 << 20), mtime=0)


# ---- checkpoints ----

def checkpoint():
    def one(json=b"", sums=b"", tensors=b"", data=b"", which=0):
        return bytes([which]) + parts(json, sums, tensors, data)

    for changes in ({}, {"global_step": 3}, {"global_step": -1}, {"global_step": 99}, {"global_step": 2.5}, {"max_steps": 10}, {"max_steps": 1e300}, {"optimizer_steps": 9},
                    {"best_global_step": 3, "best_metric": 0.5, "best_forgetting": -0.25}, {"best_global_step": 19}, {"train_seconds": -1}, {"train_seconds": "1"},
                    {"eval_accuracy_before": 1.5}, {"targets_since_log": 3, "correct_since_log": 4}, {"loss_since_log": -0.5}, {"-global_step": 0},
                    {"-segments": 0}, {"segments": {}}, {"segments": [{"from_step": 3, "key": "max_steps", "old": 10, "new": 20}]}, {"segments": [1, {"key": 3}]},
                    {"run": {"seed": 7}}, {"run": {"learning_rate": 1}}, {"run": {"threads": 2}}, {"run": {"-seed": 0}}, {"run": []}, {"-run": 0},
                    {"facts": {"kernels": "other"}}, {"facts": {"precision": "bf16"}}, {"facts": {"train_examples": 9}}, {"-facts": 0},
                    {"data_hashes": {"train_data": "0" * 32}}, {"data_hashes": 3}, {"-data_hashes": 0}, {"evaluations_without_gain": 2, "skipped_images": 1},
                    {"remedies_since_log": {"kl": 0.5}}, {"max_steps": 20, "planned_steps": 30},
                    {"max_steps": 10, "run": {"max_steps": 10}}, {"max_steps": 30, "run": {"max_steps": 30}}, {"max_steps": 10, "planned_steps": 10, "run": {"max_steps": 10, "num_train_epochs": 2}}, {"run": {"max_steps": -1, "num_train_epochs": 50}},
                    {"run": {"train_data": "/nowhere/data"}}, {"run": {"train_data": ["data"]}}, {"run": {"train_data": "nothere"}}, {"run": {"logging_steps": 3}}, {"run": {"load_best_model_at_end": False}}, {"run": {"eval_steps": 7}},
                    {"run": {"metric_for_best_model": "retention"}}, {"run": {"data_seed": 5, "-seed": 0}}, {"run": {"seed": 7, "-data_seed": 0}}, {"run": {"train_data": [["x"], "y"]}}, {"run": {"save_steps": 9}}, {"run": {"gradient_checkpointing": True}},
                    {"best_global_step": 4, "best_metric": 0.5, "best_forgetting": 0}, {"plateau_factor": 0.5, "plateau_best": 2, "plateau_bad": 1}, {"-plateau_factor": 0}, {"plateau_factor": -1}, {"global_step": 3, "optimizer_steps": 3},
                    {"facts": {"reduction": "x"}}, {"facts": {"-reduction": 0}}, {"weight_since_log": -1}, {"-weight_since_log": 0}, {"data_hashes": {"train_data": {"hash": "0" * 32}}}, {"data_hashes": {"more": "0" * 32}}):
        yield one(text(changes))
        yield one(text(changes), which=1)
    yield one(b"[]")
    yield one(b"{")
    yield one(b'{"global_step": 1, "global_step": 2}')
    for sums in ("x\n", "0" * 32 + "  trainer_state.json\n", "0" * 32 + "  /etc/passwd\n", "0" * 32 + "  ../../x\n", "0" * 32 + "  state.safetensors", "\n", "0" * 32 + "  nothere\n", "-", "0" * 32 + "  state.safetensors\n" * 2, "g" * 32 + "  state.safetensors\n"):
        yield one(b"", sums)
    for tensors in ("param.classifier.bias F32 3", "param.classifier.bias F64 2", "-param.classifier.bias", "-param.classifier.weight", "more F32 2", "exp_avg.classifier.bias F32 9"):
        yield one(b"", b"", tensors)
    yield one(data=b"\0\0\x80\x7f")
    yield one(data=b"\0\0\x80\x3f")


# ---- caches ----

def cache():
    for which in range(3):
        for data in (b"", b"\1\2\3", b"0123456789abcdef0123456789abcdef", struct.pack("<7d", 5, 0.5, 1, 1, 0, 0.5, 5), struct.pack("<7d", -5, 0.5, 1, 1, 0, 0.5, 5),
                     struct.pack("<7d", 1e300, float("nan"), 1, 1, 0, 0.5, float("inf")), struct.pack("<7d", float("nan"), 0, 0, 0, 0, 0, 0)):
            yield bytes([which, 1]) + data
        head = {"__metadata__": {"format": "pt", "hash of model files": "x", "base_score": "y", "decomposition": "z", "checksum": "0" * 32},
                "hash": {"dtype": "U8", "shape": [1, 32], "data_offsets": [0, 32]}}
        yield bytes([which, 0]) + parts(text(head), b"0" * 32)
        yield bytes([which, 0]) + parts(text({}), b"")
        yield bytes([which, 0])
        for change in range(4):  # a file that was all right, changed: its shape, its type, its checksum, its end
            yield bytes([which, 2 | change << 2])


# ---- runs ----

RESULTS = {"eval_accuracy": 0.9, "eval_accuracy_low": 0.8, "eval_accuracy_high": 0.95, "eval_loss": 0.2, "eval_accuracy_before": 0.1, "eval_samples": 100,
           "test_accuracy": 0.8, "test_loss": 0.3, "test_samples": 50, "eval_chance": 0.5, "base_chance": 0.1, "base_before": 0.9, "base_after": 0.7,
           "forgetting": 0.2, "retention": 0.7, "base_samples": 500, "base_kl": 0.4, "base_became_wrong": 9, "base_became_right": 1, "base_change": -0.1,
           "base_change_low": -0.2, "base_change_high": -0.1, "base_change_p": 1e-9, "eval_f1_macro": 0.9, "train_seconds": 3, "steps": 20,
           "start": {"name": "intermediate", "plain": True, "position": 0.5, "line": "a line", "subtracted": True, "reads": "components", "title": "position 0.5"},
           "made": {"date": "2026-11-30", "processor": "P", "kernels": "avx512", "precision": "fp32", "version": "0.1.0"}}
WORDS = {"perplexity_before": 20, "eval_perplexity": 9, "base_perplexity_before": 12, "base_perplexity_after": 13, "forgetting": 0.1, "eval_samples": 10,
         "start": {"name": "pissa", "plain": False, "position": {"energy": 0.5}, "title": "pissa"}}
STEPS = [{"step": 0, "epoch": 0, "eval_accuracy": 0.1, "eval_loss": 3, "base_accuracy": 0.9, "base_loss": 0.3, "base_kl": 0, "base_knn": 0.8},
         {"step": 10, "epoch": 0.5, "loss": 2, "train_accuracy": 0.3, "learning_rate": 1e-3, "grad_norm": 2.5},
         {"step": 20, "epoch": 1, "loss": 1, "train_accuracy": 0.6, "learning_rate": 1e-5, "grad_norm": 0.5},
         {"step": 20, "epoch": 1, "eval_accuracy": 0.9, "eval_loss": 0.2, "base_accuracy": 0.7, "base_loss": 0.5, "base_kl": 0.4, "base_knn": 0.7}]
CONFUSION = {"labels": ["cat", "dog"], "counts": [[5, 1], [0, 4]]}
TOLD = {"labels": ["cat", "dog"], "classes": [{"label": "cat", "samples": 5, "said": 4, "right": 3, "precision": 0.75, "recall": 0.6, "f1": 0.66}]}
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;\u202e\u0007=1+1"


def jsonl(rows):
    return b"".join(text(row) + b"\n" for row in rows)


def metrics():
    good = jsonl(STEPS)
    for keep in (0, 10, 255):
        yield bytes([keep]) + parts(good, text(CONFUSION))
    yield b"\12" + parts(good[:-20], text(TOLD))
    yield b"\12" + parts(jsonl(STEPS[1:2]), text({"labels": [str(i) for i in range(60)], "counts": [[1] * 60] * 60})[:3000])
    yield b"\12" + parts(jsonl([{"step": i, "loss": 10.0 ** (i - 9), "eval_perplexity": 5.5, "base_perplexity": 4 + i, "learning_rate": 10.0 ** -i} for i in range(9)]), b"")
    yield b"\12" + parts(jsonl([dict(s, loss=None, grad_norm="x", learning_rate=-1) for s in STEPS]), text({"labels": ["a"], "counts": [[1]]}))
    yield b"\12" + parts(jsonl([{"step": 3, "eval_pearson": 0.5, "base_accuracy": 1}, {"step": 2}, {"step": "x"}, {"step": 1e300}]), text({"labels": [EVIL, "b"], "counts": [[1, 2], [3]]}))
    for confusion in ({}, [], {"labels": 3, "counts": 4}, {"labels": ["a", "b"], "counts": [[1, -2], [1e308, 1e308]]}, {"labels": ["a", 2], "counts": [["x", None], {}]},
                      {"labels": [], "counts": []}, {"classes": []}, {"classes": [1, {"label": EVIL}]}):
        yield b"\1" + parts(good, text(confusion))
    for bad in (b"", b"\n", b"x\n", b"[1]\n", b"{}\n", b'{"step": 1}\n{"step": 1', b'{"step": 1}\r\n\n{"step": 2}\n', b'{"loss": NaN}\n'):
        yield b"\5" + parts(bad, b"")


def report():
    config = {"model": "m", "train_data": "d", "output_dir": "runs/a", "learning_rate": 1e-3, "seed": 1, "method": "lora", "init_lora_weights": "intermediate",
              "init_position": 0.5, "threads": 1, "forgetting_data": "f"}

    def folder(files, json_out=0):
        return bytes([json_out]) + b"\0".join(name.encode() + b"\n" + (body if isinstance(body, bytes) else text(body)) for name, body in files)

    def run(name, results=None, error=None, **keys):
        files = [(name + "/config.json", dict(config, output_dir="runs/" + name, **keys))]
        if results:
            files.append((name + "/all_results.json", results))
        if error:
            files.append((name + "/error.json", error))
        return files

    svg = b'<svg width="9" height="9" xmlns="http://www.w3.org/2000/svg"><g id="gp_x"><path d="M0,0 L1,1"/></g></svg>\n'
    yield folder(run("a", RESULTS) + [("a/metrics.jsonl", jsonl(STEPS)), ("a/confusion.json", CONFUSION), ("a/spectrum.svg", svg), ("a/update-map.svg", b'<svg onload="x"></svg>')])
    yield folder(run("a", RESULTS) + [("a/confusion.json", TOLD), ("a/training.csv", b"x\n")])
    yield folder(run("a", error={"state": "diverged", "message": EVIL, "exit_code": 4, "start": RESULTS["start"]}))
    yield folder(run("a", dict(RESULTS, eval_accuracy=0.1, eval_chance=0.1, nothing_learned=True)))
    yield folder(run("a", WORDS) + run("b", dict(WORDS, eval_perplexity=8), seed=2), 1)
    several = []
    for i, rate in enumerate((1e-4, 1e-3, 1e-2)):
        for seed in (1, 2):
            several += run("r%d-%d" % (i, seed), dict(RESULTS, eval_accuracy=0.8 + 0.03 * i + 0.01 * seed, forgetting=0.1 * i, base_after=0.9 - 0.1 * i), learning_rate=rate, seed=seed)
            if i == 1:
                several += run("p%d-%d" % (i, seed), dict(RESULTS, eval_accuracy=0.7 + 0.01 * seed, forgetting=0.05), init_position=0, seed=seed)
    yield folder(several)
    yield folder(several, 1)
    sweep = {"swept": ["learning_rate"], "runs": ["a", "c/d"], "points": [{"learning_rate": 1e-3}, {"learning_rate": 1e-2}], "config": {"model": "m"}}
    yield folder(run("a", RESULTS) + run("other", RESULTS) + [("sweep.json", sweep)])
    yield folder(run("a", RESULTS) + run("b", error={"state": "failed", "message": "x"}, learning_rate=3) + run("c", learning_rate=4), 1)
    yield folder(run("a", dict(RESULTS, start={"title": EVIL, "line": EVIL, "name": EVIL}, made={"processor": EVIL, "kernels": EVIL}), model=EVIL, **{EVIL: EVIL}) +
                 run("b", RESULTS, model=EVIL + "2", init_lora_weights=EVIL) + [("a/confusion.json", {"labels": [EVIL, EVIL], "counts": [[1, 2], [3, 4]]})])
    # broken
    for bad in ({"swept": [1]}, {"swept": [], "runs": ["../../etc"], "points": [{}]}, {"swept": [], "runs": ["a"], "points": []}, [], {"swept": ["x"], "runs": [EVIL], "points": [{"x": EVIL}]}):
        yield folder(run("a", RESULTS) + [("sweep.json", bad)])
    for bad in ({"eval_accuracy": "x"}, {"eval_accuracy": None}, [], {"eval_accuracy": 1e308, "eval_loss": -1e308, "forgetting": -5}, {"eval_accuracy": 0.5, "start": 3, "made": []},
                {"eval_accuracy": 0.5, "eval_perplexity": 3}, {"eval_pearson": 0.5, "eval_accuracy": 0.5}):
        yield folder(run("a", bad) + run("b", RESULTS, seed=2))
    for bad in ({"state": "x"}, {"state": 3}, {"state": "failed", "message": 3}, []):
        yield folder(run("a", error=bad))
    yield folder(run("a", RESULTS, learning_rate="x"))
    yield folder(run("a", RESULTS, seed=1.5))
    yield folder([("config.json", dict(config)), ("all_results.json", RESULTS), ("metrics.jsonl", jsonl(STEPS))])
    yield folder([("a/config.json", b"{"), ("a/all_results.json", RESULTS)])
    yield folder([("a/x", b"")])
    yield from sequences(folder)
    yield from studies(folder)


def sequences(folder):
    told = {"between": "keep", "says": "what it means", "measure": "accuracy", "runs": 3, "tasks": ["one", "two", EVIL], "before": [0.1, 0.2, None], "base_before": 0.9,
            "after": [{"name": "one", "scores": [0.9, 0.3, None], "base": 0.8}, {"name": "two", "scores": [0.7, 0.8, 0.2], "base": None}, {"name": EVIL, "scores": [0.5, 0.6, 0.9], "base": 0.5}]}
    results = {"average_before": 0.15, "base_before": 0.9, "average_accuracy": 0.66, "test_average_accuracy": 0.6, "average_incremental_accuracy": 0.7, "average_when_learned_accuracy": 0.86, "bwt": -0.3, "fwt": 0.1, "forgetting": 0.3, "base_after": 0.5,
               "base_forgetting": 0.4, "base_retention": 0.55, "between": "keep", "tasks": 3, "train_seconds": 9, "when_learned": {"one": 0.9, "two": 0.8}, "start": RESULTS["start"], "made": RESULTS["made"],
               "course": [{"after": "one", "average_accuracy": 0.9, "forgetting": None, "base_retention": 0.9}, {"after": EVIL, "average_accuracy": 0.66, "bwt": -0.3, "fwt": 0.1, "forgetting": 0.3, "base_retention": 0.55}]}
    config = {"model": "m", "output_dir": "runs/a", "between": "keep", "seed": 1, "tasks": [{"train_data": "a"}, {"train_data": "b"}]}

    def one(name, told=told, results=results, error=None, **keys):
        files = [(name + "/continual.json", dict(config, **keys))]
        files += [(name + "/" + kind, body) for kind, body in (("sequence.json", told), ("all_results.json", results), ("error.json", error)) if body is not None]
        return files

    other = dict(results, average_accuracy=0.7, when_learned={"one": 0.95, "two": 0.9}, alone=True)
    log = dict(told, measure="log_probability", before=[-3, -2.5, -4], after=[{"name": "one", "scores": [-1, -2, -3], "base": 12}])
    for some in (one("a"), one("a", results=None), one("a", None, None), one("a", dict(told, after=told["after"][:1]), None, {"state": "failed", "message": EVIL, "exit_code": 1}), one("a", log, {"average_log_probability": -2, "forgetting": 0.5}),
                 one("a") + one("b", results=other, seed=2), one("a") + one("b", results=other, between="merge"), one("a") + one("b", results=other, between="fresh") + one("c", seed=2) + one("d", between="merge", results=dict(results, forgetting=0.1)),
                 one("a", results=dict(results, course=3)), one("a", results=dict(results, course=[1, {}]), error={"state": "diverged", "message": "x"}), one("a") + [("a/run-1/config.json", config), ("a/run-1/all_results.json", RESULTS)], one("a/b") + one("a/c", between="merge")):
        yield folder(some)
        yield folder(some, 1)
    for bad in ({"tasks": []}, {"tasks": [1, 2, 3]}, {"tasks": "x"}, {"before": [1]}, {"before": ["x", None, 1]}, {"runs": 0}, {"runs": 1}, {"after": 3}, {"after": [{"name": 3}]}, {"after": [{"name": "a", "scores": [1]}]}, {"between": 3}, {"measure": 3},
                {"says": None}, {"base_before": "x"}, {"measure": "pearson"}):
        yield folder(one("a", dict(told, **bad)))
    yield folder(one("a", []))


def studies(folder):
    """Methods over rates and seeds: what a verdict is made of."""
    def study(methods, seeds=3, rates=(1e-4, 1e-3), words=False):
        files = []
        for m, (name, gain, cost) in enumerate(methods):
            for k, rate in enumerate(rates):
                for seed in range(seeds):
                    at = "%s%d-%d" % (name, k, seed)
                    files.append((at + "/config.json", {"model": "m", "train_data": "d", "forgetting_data": "f", "output_dir": at, "learning_rate": rate, "seed": seed, "init_lora_weights": name}))
                    noise = 0.004 * ((seed * 7 + m * 3 + k) % 5)
                    if words:
                        files.append((at + "/all_results.json", {"perplexity_before": 20, "eval_perplexity": 12 - gain * (k + 1) + noise, "base_perplexity_before": 10, "base_perplexity_after": 10 + cost * (k + 1), "forgetting": cost * (k + 1) + noise, "eval_samples": 100}))
                    else:
                        files.append((at + "/all_results.json", {"eval_accuracy": 0.5 + gain * (k + 1) + noise, "eval_accuracy_before": 0.1, "eval_loss": 1, "eval_samples": 100, "base_before": 0.9, "base_after": 0.9 - cost * (k + 1) - noise,
                                                                 "forgetting": cost * (k + 1) + noise, "retention": 0.8, "base_samples": 100, "test_accuracy": 0.5 + gain * (k + 1), "test_samples": 50,
                                                                 "start": {"name": name, "plain": name == "kaiming", "title": name}}))
        return files

    for methods in ([("kaiming", 0.1, 0.1), ("intermediate", 0.1, 0.05)], [("kaiming", 0.1, 0.05), ("intermediate", 0.1, 0.1)], [("kaiming", 0.1, 0.1), ("intermediate", 0.1, 0.1), ("pissa", 0.12, 0.05)], [("kaiming", 0.1, 0.1), ("olora", 0.3, 0.1)],
                    [("pissa", 0.1, 0.1), ("olora", 0.1, 0.02), ("milora", 0.1, 0.2)], [("kaiming", 0.1, 0.0), ("pissa", 0.1, 0.0)]):
        yield folder(study(methods))
        yield folder(study(methods, words=True), 1)
        yield folder(study(methods[:2], seeds=2))
        yield folder(study(methods[:2], rates=(1e-4, 1e-3, 1e-2)))


# ---- sweeps and configurations ----

def grid():
    for spec in ({"r": [4, 8], "seed": [1, 2]}, {"learning_rate": {"log": [1e-4, 1e-1, 4]}, "init_position": {"linear": [0, 1, 5]}},
                 {"zip": {"r": [1, 2], "lora_alpha": [2, 4]}, "seed": [1]}, {"zip": [{"r": [1]}, {"seed": [1, 2]}]}, [{"r": [1]}, {"seed": [2]}],
                 {}, [], [1], {"r": []}, {"r": 3}, {"rr": [1]}, {"output_dir": ["x"]}, {"r": [1], "lora_r": [2]}, {"zip": {"r": [1], "seed": [1, 2]}}, {"zip": 3}, {"zip": [3]}, {"zip": []}, {"zip": {}},
                 {"r": {"log": [0, 1, 3]}}, {"r": {"log": [1, 2]}}, {"r": {"linear": [1, 2, 1e9]}}, {"r": {"linear": [1, 2, 1]}}, {"r": list(range(200)), "seed": list(range(200))},
                 {"learning_rate": {"linear": [1e308, -1e308, 3]}}, {"learning_rate": {"log": [1e-308, 1e308, 9]}}, {"init_position": [{"index": 3}, 0.5, None]}):
        yield text(spec)
    yield b'{"r": [1, 2] // a comment\n}'
    yield b"{"


def config():
    def one(verb, keys, flags=b""):
        return bytes([verb]) + parts(text(keys), flags)

    train = {"model": "m", "train_data": "d", "output_dir": "o"}
    yield one(0, dict(train, r=8, lora_alpha=16, learning_rate=1e-3, init_lora_weights="intermediate", init_position={"energy": 0.5}))
    yield one(0, dict(train, forgetting_data={"path": "f", "split": "test"}, target_modules="all-linear", rank_pattern={"a": 2}, layers_to_transform=[1], lr=3e-4))
    yield one(0, dict(train, train_data=["a", "b*"], bf16=True, optim="adamw_torch", resume_from_checkpoint=True, modules_to_save=["x"]), b"r 4\nlora-alpha 3\nseed 1")
    yield one(1, dict(train, sweep={"r": [1, 2]}, jobs=2))
    yield one(2, {"model": "m", "adapter": "a", "data": "d"})
    yield one(3, {"model": "m", "data": ["x.png"], "json": True})
    yield one(4, {"model": "m", "adapter": "a", "output_dir": "o"})
    yield one(5, {"model": "m"}, b"prompt hello\ntemperature 0.5\nmax_new_tokens 3")
    yield one(6, dict(train, tasks=[{"train_data": "a"}, {"train_data": "b"}]))
    yield one(7, {"run": "r"})
    for bad in ({"learning_rat": 1}, {"r": 0}, {"r": "x"}, {"r": 1.5}, {"learning_rate": -1}, {"init_position": 2}, {"init_position": {"index": -1}}, {"init_position": {"x": 1}},
                {"rank_pattern": {"a": -1}}, {"rank_pattern": []}, {"target_modules": 3}, {"train_data": {"path": 3}}, {"train_data": []}, {"optim": "lion"}, {"r": 1, "lora_r": 2},
                {"lr_scheduler_type": "x"}, {"num_train_epochs": 1e308}, {"max_steps": 9007199254740993}, {"load_in_4bit": True}, {"": 1}, {"output_dir": ""}):
        yield one(0, dict(train, **bad))
    base = dict(train, forgetting_data="f")
    for more in ({"init_model": "m"}, {"model": None, "init_model": "c.json"}, {"model": None, "init_model": "c.json", "method": "full"}, {"num_train_epochs": 0}, {"warmup_steps": 3, "warmup_ratio": 0.1}, {"warmup_steps": 3.5}, {"warmup_steps": 0.5},
                 {"train_val_split": 0.1, "eval_data": "e"}, {"early_stopping_patience": 2}, {"load_best_model_at_end": True}, {"load_best_model_at_end": True, "eval_strategy": "steps"},
                 {"load_best_model_at_end": True, "eval_strategy": "steps", "save_strategy": "steps", "save_steps": 7, "eval_steps": 3}, {"load_best_model_at_end": True, "eval_strategy": "steps", "save_strategy": "steps", "save_steps": 7, "logging_steps": 7},
                 {"load_best_model_at_end": True, "eval_strategy": "epoch", "save_strategy": "epoch"}, {"load_best_model_at_end": True, "eval_strategy": "steps", "save_strategy": "steps", "logging_steps": 0, "eval_steps": 0},
                 {"metric_for_best_model": "retention"}, {"max_forgetting": 0.1}, {"layers_pattern": ["h"]}, {"layers_to_transform": [1]}, {"layers_to_transform": [1], "target_modules": ["q_proj"], "layers_pattern": "h"}, {"layers_to_transform": 3, "target_modules": ["a"]},
                 {"layers_to_transform": "1,2"}, {"num_fewshot": 2}, {"hub_model_id": "x"}, {"hub_model_id": "a/b"}, {"alpha_pattern": {"a": 2}}, {"alpha_pattern": {"a": 0}}, {"alpha_pattern": 3}, {"init_position": "energy:0.5"}, {"train_data": ["a", {"path": "b"}]},
                 {"target_modules": "all-linear", "exclude_modules": ["a"]}, {"modules_to_save": "a,b"}, {"modules_to_save": [1]}, {"report_to": ["none"]}, {"report_to": "tensorboard"}, {"report_to": ["x"]}, {"lr_scheduler_kwargs": {"a": 1}}, {"lr_scheduler_kwargs": 3},
                 {"resume_from_checkpoint": "x"}, {"resume_from_checkpoint": 3}, {"layers_to_transform": [-1]}, {"rank_pattern": {"a": 5000}}, {"seed": 1e30}, {"max_steps": "x"}, {"learning_rate": None}, {"bf16": "yes"}, {"bf16": 2}, {"output_dir": 3}, {"output_dir": None},
                 {"train_data": {"format": "csv"}}, {"train_data": {"path": ""}}, {"train_data": None}, {"push_to_hub": True}, {"fsdp": "full_shard"}, {"deepspeed": "x.json"}, {"learning-rate": 1}, {"Learning_Rate": 1}, {"eval_data": "e", "test_data": ["t"]}):
        yield one(0, dict(base, **more))
    for verb, keys in ((9, {"adapter": "a", "output_dir": "o"}), (9, {"adapter": "a", "output_dir": "o", "r": 2}), (9, {"adapter": "a", "output_dir": "o", "r": 2, "save_dtype": "bf16"}), (9, {"adapter": "a", "output_dir": "o", "r": 2, "adapter_scale": 0.5}),
                       (9, {"adapter": "a", "output_dir": "o.gguf", "format": "gguf"}), (9, {"adapter": "a", "output_dir": "o.gguf", "format": "gguf", "model": "m"}), (9, {"adapter": "a", "output_dir": "o", "format": "gguf", "r": 2}), (9, {"adapter": "a", "output_dir": "o.gguf", "r": 2}),
                       (4, {"model": "m", "output_dir": "o.gguf"}), (5, {"model": "m", "data": "d", "prompt": "x"}), (5, {"model": "m", "data": "-"}), (5, {"model": "m", "data": "d", "json": True}), (5, {"model": "m", "data": "d", "json": True, "output_file": "o"}),
                       (8, {"model": "m", "adapter": "a", "data": "d"}), (8, {}), (10, {"model": "m"}), (11, {"paths": ["a", "b"]}), (12, {"paths": "a"}), (13, train), (14, {"model": "m"}), (2, {}), (3, {}), (7, {})):
        yield one(verb, keys)
        yield one(verb, keys, b"r 3\n?rr\n")
    for flags in ("?learning_rat", "?--trian", "?zzzzzz", "?x" + "y" * 90, "?swepe", "?lora", "?Batch_size"):
        yield one(0, train, flags.encode() + b" ")
    for flags in ("target_modules a\n+target_modules b,c", "+target_modules a\n+target_modules b", "+report_to none", "+train_data a\n+train_data b", "init_position index:3", "init_position energy:0.4", "init_position energy:x", "layers_to_transform 1,2,x", "alpha_pattern {\"a\": 2}", "learning_rate 1/3",
                  "learning_rate 50%", "learning_rate 2^-3", "learning_rate inf", "seed 0x10", "bf16", "bf16 maybe", "no_such 1", "r 1e1", "r 1.5", "modules_to_save a,b", "exclude_modules a", "train_data {\"path\": \"x\"}", "train_data {", "rank_pattern {\"a\":", "init_lora_weights true",
                  "init_lora_weights pisa", "optim adam", "report_to a,b", "chat_template x.jinja", "frozen_precision int8", "weights x", "lr_scheduler_kwargs {\"a\": 0.5}", "save_steps 1k", "max_steps -1", "+r 3", "report_to", "eval_strategy stps", "init_lora_weights pissa_niter_4",
                  "init_lora_weights pissa_niter_04", "init_lora_weights pissa_niter_x"):
        yield one(0, train, flags.encode())
    yield one(5, {"model": "m"}, b"model z*mod-4")
    for verb, flags in ((5, "prompt hello\nchat_template x.jinja\nstop a"), (5, "+stop a\n+stop b"), (5, "prompt_template {x}.txt"), (11, "paths a\n+paths b"), (3, "+data a\n+data b")):
        yield one(verb, {"model": "m"}, flags.encode())
    for yaml in ("model: m\ntrain_data: d\noutput_dir: o\nlearning_rate: 1e-3\nbf16: yes\ntarget_modules: [a, b]\nrank_pattern: {a: 2}\ninit_position: {energy: 0.5}\n",
                 "model: &m x\ntrain_data: *m\noutput_dir: |\n  o\n# a comment\nseed: 0x10\nmax_steps: ~\n", "a: &a [1, *a]\n", "? [x]\n: y\n", "- 1\n", "x: !!set {}\n", "r: 4\nr: 5\n",
                 "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n", "[" * 80, "x: \"\\xff\"\n", "---\nmodel: m\n---\nmodel: n\n", "%YAML 9.9\n--- x", "\tmodel: m", "model: m\n train_data: d", "model: !x m", "bf16: True\nmodel: m", "{model: m, train_data: [a, b], output_dir: o}", "model: m\n" + "".join("a%d: 1\n" % i for i in range(600)), "", "model:", "model: 'it''s'\ntrain_data: \"d\\x41\"",
                 "a: {b: {c: {d: 1}}}", "*x", "x: *y", "model: @x", "seed: 1_000\nmodel: .5\nr: 010", "3: 4", "model: m\noutput_dir: >-\n  a\n  b\n"):
        yield bytes([16]) + yaml.encode()
    for verb in (0, 5, 6):
        yield one(verb, dict(train, tasks=["a"]) if verb != 5 else {"model": "m"}, b"model \xd1\1\nr 4")
    yield bytes([0]) + b"[]"
    yield bytes([0]) + b'// c\n{"model": "m", /* x */ "train_data": "d", "output_dir": "o",}'
    yield bytes([0]) + b"\0model m\ntrain_data d\noutput_dir o\ntarget_modules a,b\nrank_pattern {\"a\": 2}\ninit_position 0.5\nlearning_rate x"


SEEDS = {"fuzz_chat": chat, "fuzz_regex": regex, "fuzz_idx": idx, "fuzz_gzip": packed, "fuzz_checkpoint": checkpoint,
         "fuzz_cache": cache, "fuzz_metrics": metrics, "fuzz_report": report, "fuzz_grid": grid, "fuzz_config": config}
