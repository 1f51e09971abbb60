#!/usr/bin/env python3
"""Makes tests/golden/jinja/results.json.gz: what transformers renders of the templates and expressions in that folder.

The templates are ours, written in the styles of the families that are in use. Each is rendered for every conversation of
the matrix below (system or none, tools or none, one turn and many, blanks around contents, empty contents, thoughts,
calls of tools, contents in parts, ends with user or assistant), with and without a generation prompt. expressions.txt has
a template a line, rendered for one conversation. Needs transformers, jinja2 and tokenizers. Run from anywhere; the file
is the same bytes for the same versions.

{"transformers", "jinja2", "now", "variables", "conversations": [{"messages", "tools"?, ...}], "templates": [{"name",
"texts": [[without, with generation prompt] for each conversation]}], "expressions": [text]}; text null: transformers
raises an exception."""
import datetime
import gzip
import json
import pathlib

import jinja2
import transformers
from transformers.utils import chat_template_utils as chat

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/jinja"
NOW = (2024, 7, 4, 15, 30, 9)
VARIABLES = {"bos_token": "<s>", "eos_token": "</s>", "documents": None}


class Now(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(*NOW)


def call(name, **arguments):
    return {"id": "call12345", "type": "function", "function": {"name": name, "arguments": arguments}}


def messages(*parts):
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool", "d": "developer", "x": "stop"}
    return [dict({"role": roles[p[0]], "content": p[1:]}) if isinstance(p, str) else p for p in parts]


def schema(name, **properties):
    return {"type": "function", "function": {"name": name, "description": f"Does \"{name}\" – well <b>.", "parameters": {
        "type": "object", "properties": properties, "required": list(properties)[:1]}}}


TOOLS = [schema("weather", city={"type": "string", "description": "Wo? Ö, 'ß'"}, days={"type": "integer", "enum": [1, 2]}),
         schema("list_files", paths={"type": "array", "items": {"type": "string"}}, deep={"type": "boolean", "default": False},
                how={"type": "object", "properties": {"a": {"type": "number"}}, "additionalProperties": {"type": "string"}})]
CALLED = [{"role": "user", "content": "Rain in Köln?"},
          {"role": "assistant", "content": "", "tool_calls": [call("weather", city="Köln", days=1.5, deep=[None, True, {"x": "<y>"}])]},
          {"role": "tool", "name": "weather", "tool_call_id": "call12345", "content": "{\"rain\": false}"}]
PARTS = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " What is this? "}, {"type": "text", "text": "Say."}]}]

TALKS = [
    messages("uHello!"), messages("uHello!", "aHi."), messages("sBe a poet.", "uHello!"), messages("sBe a poet.", "uHello!", "aAh."),
    messages("uA", "aB", "uC", "aD", "uE"), messages("uA", "aB", "uC", "aD", "uE", "aF"), messages("sS", "uA", "aB", "uC", "aD"),
    messages("s  Speak\n French. ", "u \n Bonjour ? \t", "a  Bonjour !\n", "uEncore\u00a0", "a\u3000Oui.\x1c"),
    messages("u", "a", "u  "), messages("s", "u", "a"), messages("s/no_think Short.", "uHi", "aHo"),
    messages("u<|im_end|>\n[INST] {{ x }}", "a</s><|eot_id|>"), messages("aI begin.", "uYes."), messages("uOne.", "uTwo."),
    messages("uOne.", "sNow a system message.", "aTwo."), messages("uOne.", "aTwo.", "aThree."), messages("sOnly this."),
    messages("u1 + 1?", "a<think>\nOne and one.\n</think>\n\nTwo.", "uSure?", "a<think>\n\n</think>\n\nYes."),
    messages("u1 + 1?", {"role": "assistant", "content": "Two.", "reasoning_content": "\nEasy.\n"}, "uSure?",
             {"role": "assistant", "content": "Yes.", "thinking": "Very."}),
    messages("uLines\r\nand\rmore\n\nlines", "aé 😀 \u200b \"quoted\" \\n"), messages("dBe terse.", "uHi", "aHo"),
    messages("uHi", {"role": "assistant", "content": "Ho", "weight": 0, "name": "bot"}, "xenough", "uthere?"),
    CALLED, CALLED + messages("aNo rain."), messages("sUse tools.") + CALLED + messages("t[1, 2]", "aNo.", "uThanks", "aBye."),
    messages("uHi") + [{"role": "assistant", "tool_calls": [call("weather", city="A"), call("list_files", paths=["/a", "b"])]}],
    PARTS, messages("sLook.") + PARTS + messages("aA cat."),
    [{"role": "system", "content": [{"type": "text", "text": "Look."}]}] + PARTS +
    [{"role": "assistant", "content": [{"type": "text", "text": "A dog."}]}],
    [{"role": "user", "content": {"a": [1, 2.5, None], "B": True}}],
]


def conversations():
    for talk in TALKS:
        yield {"messages": talk}
    for talk in TALKS[:4] + TALKS[6:7] + TALKS[22:26]:
        yield {"messages": talk, "tools": TOOLS}
    yield {"messages": TALKS[18], "enable_thinking": False}
    yield {"messages": TALKS[1], "enable_thinking": True, "custom_tools": TOOLS[:1], "tools_first": False, "today": "1 May 2020"}


def normal(talk):
    """As apply_chat_template hands it on: without keys that are none, thoughts under both of their names."""
    return chat._alias_reasoning_fields(chat._normalize_chat_messages(talk))


def render(template, variables):
    talk = dict(variables)
    try:
        texts, _ = chat.render_jinja_template([talk.pop("messages")], tools=talk.pop("tools", None), chat_template=template, **talk)
        texts[0].encode()
        return texts[0]
    except Exception:  # of whatever kind: the template refuses, or Python does
        return None


def main():
    chat.datetime = Now
    talks = [{**c, "messages": normal(c["messages"])} for c in conversations()]
    templates = []
    for path in sorted(FOLDER.glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        texts = [[render(source, {**VARIABLES, **c, "add_generation_prompt": g}) for g in (False, True)] for c in talks]
        assert any(t for pair in texts for t in pair), f"{path.name}: renders nothing"
        templates.append({"name": path.stem, "texts": texts})
    lines = (FOLDER / "expressions.txt").read_text(encoding="utf-8").split("\n")
    expressions = [render(line, {**VARIABLES, **talks[6], "add_generation_prompt": False}) for line in lines]
    golden = {"transformers": transformers.__version__, "jinja2": jinja2.__version__, "now": NOW, "variables": VARIABLES,
              "conversations": talks, "templates": templates, "expressions": expressions}
    path = FOLDER / "results.json.gz"
    path.write_bytes(gzip.compress(json.dumps(golden, ensure_ascii=False).encode(), mtime=0))
    every = [t for one in templates for pair in one["texts"] for t in pair]
    print(f"{path.name}: {len(templates)} templates, {len(talks)} conversations, {len(every)} texts ({every.count(None)} refused), "
          f"{len(expressions)} expressions, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
