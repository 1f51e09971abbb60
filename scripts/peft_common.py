"""What the scripts that check with PEFT what lora-ft writes share."""
import contextlib, io, logging, os, re, subprocess, sys, warnings
import torch

COMPLAINTS = ("missing", "unexpected", "newly initialized", "not initialized", "mismatch", "fan_in_fan_out", "tie")
# PEFT says it of every adapter of a tied model that has one of the two in it.
OF_COURSE = "tied layer is part of the adapter"


def said_by(call):
    """Whatever is logged, warned or printed while call() runs."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(), logging.getLogger("transformers"), logging.getLogger("peft")]
    for logger in loggers:
        logger.addHandler(handler)
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(stream), contextlib.redirect_stdout(stream):
        warnings.simplefilter("always")
        result = call()
    for logger in loggers:
        logger.removeHandler(handler)
    return result, stream.getvalue() + "".join(str(w.message) + "\n" for w in caught)


def quiet(said):
    """Is there no word about keys in what was said? Shows it, if there is."""
    said = "\n".join(line for line in said.splitlines() if OF_COURSE not in line and "warnings.warn(" not in line)
    words = [w for w in COMPLAINTS if w in said.lower()]
    if words:
        print("  said:", said.strip()[:500])
    return not words


def run(*arguments):
    """What the program prints; that it fails is the end."""
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def by_the_lines_beside(adapter, model):
    """What the Python lines in an adapter's README.md make of it and the base model's folder, both read as floats of 32 bits,
    and whatever was said when the adapter was put on."""
    with open(os.path.join(adapter, "README.md")) as f:
        lines = re.search("```python\n(.*?)```", f.read(), re.DOTALL).group(1)
    lines = re.sub("^BASE = .*$", lambda _: f"BASE = {model!r}", lines, flags=re.MULTILINE)
    lines = lines.replace('ADAPTER = "."', f"ADAPTER = {adapter!r}")
    lines = re.sub(r"\bBASE(?=[,)])", "BASE, dtype=torch.float32", lines)
    before, last = lines.split("\nmodel = ")
    names = dict(torch=torch)
    said_by(lambda: exec(before, names))  # that the base has no such head is said here, and is so
    return said_by(lambda: eval(last, names))


def is_close(what, shown, difference, limit=1e-4):
    """Says how far apart two results are."""
    print(f"{what}: {shown}", "ok" if difference <= limit else "TOO MUCH")
    return difference <= limit


def compare_logits(what, a, b, limit=1e-4):
    """By max |a - b| over max |b|."""
    difference = (a - b).abs().max().item() / b.abs().max().item()
    return is_close(what, f"{tuple(b.shape)} logits, difference {difference:.2e}", difference, limit)


def reviews(n, seed):
    """Texts, and of each whether it is kind and whether it is long."""
    g = torch.Generator().manual_seed(seed)
    pick = lambda words: words[int(torch.randint(len(words), (1,), generator=g))]
    out = []
    for _ in range(n):
        good = bool(torch.rand(1, generator=g) < 0.5)
        words = [pick(["the", "a"]), pick(["film", "book", "song"]), pick(["was", "is"])] + (["very"] if torch.rand(1, generator=g) < 0.5 else [])
        words.append(pick(["good", "great", "fine"] if good else ["bad", "poor", "awful"]))
        long = bool(torch.rand(1, generator=g) < 0.4)
        out.append((" ".join(words + (["and", "long"] if long else [])), good, long))
    return out


def finish(ok):
    print("all good" if ok else "FAILED")
    sys.exit(0 if ok else 1)
