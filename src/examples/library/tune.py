"""Tunes a language model on a file of texts and watches it, then asks the tuned model what a text's probability is and how it
goes on: with the library of lora-ft, by ctypes alone.

    python3 tune.py MODEL DATA OUTPUT_DIR PROMPT [KEY=VALUE]...

Keys are those of `lora-ft train --help`. LORA_FT_LIBRARY says where the library is, if not where the system looks."""
import ctypes
import os
import sys
from ctypes import POINTER, byref, c_bool, c_char, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_void_p

lib = ctypes.CDLL(os.environ.get("LORA_FT_LIBRARY", "liblora_ft.so.0"))


# ---- what lora_ft.h declares ----

class Err(ctypes.Structure):
    _fields_ = [("status", c_int), ("message", c_char * 1024)]


class Number(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_double)]


class Figures(ctypes.Structure):
    _fields_ = [("n", c_int64), ("at", POINTER(Number))]


class Moment(ctypes.Structure):
    _fields_ = [("step", c_int64), ("max_steps", c_int64), ("epoch", c_double), ("loss", c_double), ("learning_rate", c_double),
                ("row", POINTER(Number)), ("n_row", c_int64)]


class Text(ctypes.Structure):
    _fields_ = [("text", c_char_p), ("second", c_char_p)]


class TextScore(ctypes.Structure):
    _fields_ = [("tokens", c_int64), ("right", c_int64), ("loss", c_double)]


class Written(ctypes.Structure):
    _fields_ = [("text", c_char_p), ("n", c_size_t), ("ids", POINTER(c_int32)), ("n_ids", c_int64), ("prompt_tokens", c_int64),
                ("ended_by", c_char_p), ("prompt_seconds", c_double), ("seconds", c_double)]


Watch = ctypes.CFUNCTYPE(c_bool, c_void_p, POINTER(Moment))
Visit = ctypes.CFUNCTYPE(c_bool, c_void_p, POINTER(c_char), c_size_t)
for name, arguments in {
        "lf_config_new": [POINTER(c_void_p), c_char_p], "lf_config_set": [c_void_p, c_char_p, c_char_p], "lf_config_finish": [c_void_p],
        "lf_train_watched": [c_void_p, Watch, c_void_p, POINTER(POINTER(Figures))], "lf_session_open": [POINTER(c_void_p), c_void_p],
        "lf_session_score": [c_void_p, POINTER(Text), c_int64, POINTER(TextScore), POINTER(TextScore)],
        "lf_session_generate": [c_void_p, c_char_p, Visit, c_void_p, POINTER(Written)]}.items():
    getattr(lib, name).argtypes = arguments + [POINTER(Err)]
for name, argument in {"lf_config_free": c_void_p, "lf_session_close": c_void_p, "lf_figures_free": POINTER(Figures),
                       "lf_written_free": POINTER(Written)}.items():
    getattr(lib, name).argtypes = [argument]
    getattr(lib, name).restype = None


def call(name, *arguments):
    err = Err()
    if getattr(lib, name)(*arguments, byref(err)):
        raise RuntimeError(err.message.decode())


# ---- the same, as Python has it ----

def configuration(verb, **keys):
    """The caller frees it."""
    cfg = c_void_p()
    call("lf_config_new", byref(cfg), verb.encode())
    for key, value in keys.items():
        call("lf_config_set", cfg, key.encode(), str(value).encode())
    call("lf_config_finish", cfg)
    return cfg


def numbers(at, n):
    return {at[i].name.decode(): at[i].value for i in range(n)}


def train(watch, **keys):
    """Calls watch(step, max_steps, row) for each row of metrics.jsonl, until it returns False; returns the results."""
    def seen(_, moment):
        m = moment.contents
        return watch(m.step, m.max_steps, numbers(m.row, m.n_row)) if m.n_row else True

    figures = POINTER(Figures)()
    cfg = configuration("train", **keys)
    try:
        call("lf_train_watched", cfg, Watch(seen), None, byref(figures))
        return numbers(figures.contents.at, figures.contents.n)
    finally:
        lib.lf_figures_free(figures)
        lib.lf_config_free(cfg)


class Model:
    def __init__(self, **keys):
        self.cfg = configuration("generate", **keys)
        self.session = c_void_p()
        call("lf_session_open", byref(self.session), self.cfg)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        lib.lf_session_close(self.session)
        lib.lf_config_free(self.cfg)

    def score(self, *texts):
        """(tokens, mean of -ln p) of each."""
        given = (Text * len(texts))(*[Text(text.encode(), None) for text in texts])
        found = (TextScore * len(texts))()
        call("lf_session_score", self.session, given, len(texts), found, None)
        return [(score.tokens, score.loss) for score in found]

    def generate(self, prompt, heard):
        """Calls heard(text) for each piece; returns why the text ended."""
        def piece(_, text, n):
            heard(ctypes.string_at(text, n).decode())
            return True

        written = Written()
        call("lf_session_generate", self.session, prompt.encode(), Visit(piece), None, byref(written))
        try:
            return written.ended_by.decode()
        finally:
            lib.lf_written_free(byref(written))


# ---- the program ----

def say(step, max_steps, row):
    if "loss" in row:
        print(f"step {step} of {max_steps}: loss {row['loss']:.17g}")
    return True


def main(model, data, output_dir, prompt, *more):
    keys = dict(pair.split("=", 1) for pair in more)
    results = train(say, model=model, train_data=data, output_dir=output_dir, quiet="true", **keys)
    print(f"{results['steps']:.0f} steps, {results['trainable_parameters']:.0f} numbers were trained")
    with Model(model=model, adapter=f"{output_dir}/adapter", quiet="true", threads=keys.get("threads", 0), max_new_tokens=8) as tuned:
        [(tokens, loss)] = tuned.score(prompt)
        print(f"the prompt: {tokens} tokens, loss {loss:.17g}")
        print(prompt, end="")
        print(f" ({tuned.generate(prompt, lambda text: print(text, end=''))})")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit("usage: python3 tune.py MODEL DATA OUTPUT_DIR PROMPT [KEY=VALUE]...")
    try:
        main(*sys.argv[1:])
    except RuntimeError as error:
        sys.exit(f"tune: {error}")
