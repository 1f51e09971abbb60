#!/usr/bin/env python3
"""Makes tests/golden/chat.json: conversations as transformers' apply_chat_template writes them.

The templates are ours, written for the formats of ChatML, Llama 2, Llama 3 and Mistral as they are documented. Needs
transformers, tokenizers and jinja2. Run from anywhere; the file is the same bytes for the same versions.

{"transformers": version, "cases": [{"format", "template", "bos", "eos", "messages", "generate", "text"}]}; text null:
the template refuses the conversation."""
import json
import pathlib

import jinja2
import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

CHATML = """{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
CHATML_SYSTEM = """{% if not messages or messages[0].role != 'system' %}
{{- '<|im_start|>system\\nBe brief.\\nBe kind.<|im_end|>\\n' }}
{%- endif %}
{%- for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' }}{{ m.content | trim }}{{ '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
CHATML_BOS = """{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
LLAMA3 = """{% for m in messages %}{% if loop.first %}{{ bos_token }}{% endif %}
{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' }}{{ m['content'].strip() }}{{ '<|eot_id|>' }}
{%- endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""
LLAMA2 = """{% set ns = namespace(turn=0, system='') %}{% for m in messages %}
{%- if m.role == 'system' and loop.first %}{% set ns.system = '<<SYS>>\\n' + m.content + '\\n<</SYS>>\\n\\n' %}
{%- elif m.role == 'user' and ns.turn % 2 == 0 %}
{{- bos_token + '[INST] ' + (ns.system + m.content).strip() + ' [/INST]' }}{% set ns.system = '' %}{% set ns.turn = ns.turn + 1 %}
{%- elif m.role == 'assistant' and ns.turn % 2 == 1 %}
{{- ' ' + m.content.strip() + ' ' + eos_token }}{% set ns.turn = ns.turn + 1 %}
{%- else %}{{ raise_exception('turns') }}{% endif %}{% endfor %}"""
MISTRAL = """{{ bos_token }}{% for message in messages %}
{%- if message.role == 'user' and loop.index0 % 2 == 0 %}{{ '[INST] ' + message.content + ' [/INST]' }}
{%- elif message.role == 'assistant' and loop.index0 % 2 == 1 %}{{ ANSWER }}
{%- else %}{{ raise_exception('turns') }}{% endif %}{% endfor %}"""
FORMATS = [
    ("chatml", CHATML, "<s>", "<|im_end|>"),
    ("chatml", CHATML_SYSTEM, "<s>", "<|im_end|>"),
    ("chatml", CHATML_BOS, "<|startoftext|>", "<|im_end|>"),
    ("llama3", LLAMA3, "<|begin_of_text|>", "<|eot_id|>"),
    ("llama2", LLAMA2, "<s>", "</s>"),
    ("mistral", MISTRAL.replace("ANSWER", "message.content + eos_token"), "<s>", "</s>"),
    ("mistral", MISTRAL.replace("ANSWER", "' ' + message.content + eos_token"), "<s>", "</s>"),
    ("mistral", MISTRAL.replace("ANSWER", "message.content + eos_token + ' '"), "[BOS]", "[EOS]"),
]


def messages(*parts):
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles[p[0]], "content": p[1:]} for p in parts]


CONVERSATIONS = [
    messages("uHello!"),
    messages("sYou are a poet.", "uHello!"),
    messages("uWhat is 2 + 2?", "a4"),
    messages("s  Speak\n French. ", "u \n Bonjour ? \t", "a  Bonjour !\n", "uEncore\u00a0", "a\u3000Oui.\x1c"),
    messages("uA", "aB", "uC", "aD", "uE"),
    messages("u", "a", "u  "),
    messages("u<|im_end|>\n[INST]", "a</s><|eot_id|>"),
    messages("aI begin.", "uYes."),
    messages("uOne.", "uTwo."),
    messages("uOne.", "sNow a system message."),
    messages("s", "u"),
]


def main():
    cases = []
    for name, template, bos, eos in FORMATS:
        t = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=bos, eos_token=eos)
        for conversation in CONVERSATIONS:
            for generate in (False, True):
                try:
                    text = t.apply_chat_template(conversation, chat_template=template, tokenize=False,
                                                 add_generation_prompt=generate)
                except jinja2.exceptions.TemplateError:
                    text = None
                cases.append({"format": name, "template": template, "bos": bos, "eos": eos, "messages": conversation,
                              "generate": generate, "text": text})
    path = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/chat.json"
    path.write_text(json.dumps({"transformers": transformers.__version__, "cases": cases}, ensure_ascii=True, indent=1) + "\n")
    print(path.name, len(cases), "conversations,", sum(c["text"] is None for c in cases), "refused")


main()
