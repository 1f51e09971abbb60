/* Templates of ours, for models that come without one: conversations as the families' models know them. */
#include "text/chat_template_internal.h"

/* A content may be parts; these templates know text alone. */
#define TEXT_OR_CALLS(calls)                                                                                           \
    "{% macro text(m) %}" calls "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"     \
    "{% if part.type != 'text' %}{{ raise_exception('a content with a part of type ' ~ part.type) }}{% endif %}"       \
    "{{ part.text }}{% endfor %}{% endif %}{% endmacro %}"
#define TEXT_OF                                                                                                        \
    TEXT_OR_CALLS(                                                                                                     \
        "{% if m.tool_calls %}{{ raise_exception('calls of tools need a template that knows them') }}{% endif %}")

/* A call is written as Qwen and Hermes do, whose turns these are; its arguments may come as text or as JSON. */
#define CALLS_OF                                                                                                       \
    "{% macro calls(m) %}{% for call in m.tool_calls or [] %}{% set f = call.function or call %}"                      \
    "{{ '\\n' if m.content or not loop.first }}{{ '<tool_call>\\n{\"name\": ' ~ f.name | tojson ~ ', \"arguments\": "  \
    "' }}"                                                                                                             \
    "{{ f.arguments if f.arguments is string else f.arguments | tojson }}{{ '}\\n</tool_call>' }}"                     \
    "{% endfor %}{% endmacro %}"

#define CHATML                                                                                                         \
    TEXT_OR_CALLS("")                                                                                                  \
    CALLS_OF                                                                                                           \
    "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' ~ text(m) ~ calls(m) ~ '<|im_end|>\\n' }}{% endfor %}"  \
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

#define LLAMA3                                                                                                         \
    TEXT_OF                                                                                                            \
    "{{ bos_token }}{% for m in messages %}"                                                                           \
    "{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\\n\\n' ~ text(m) | trim ~ '<|eot_id|>' }}{% endfor %}"     \
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"

/* user and assistant in turns; the model answers right behind [/INST] */
#define TURNS(talk)                                                                                                    \
    "{% for m in " talk " %}{% if m.role != ('user' if loop.index0 % 2 == 0 else 'assistant') %}"                      \
    "{{ raise_exception('message ' ~ loop.index0 ~ ' of user and assistant: role \"' ~ m.role ~ '\"; they take "       \
    "turns, "                                                                                                          \
    "user first') }}{% endif %}{% endfor %}"

/* The system message and the first question are trimmed together. */
#define LLAMA2                                                                                                         \
    TEXT_OF "{% set has_system = messages[0].role == 'system' %}"                                                      \
            "{% set talk = messages[1:] if has_system else messages %}" TURNS(                                         \
                "talk") "{% for m in talk %}{% if m.role == 'user' %}"                                                 \
                        "{% set said = '<<SYS>>\\n' ~ text(messages[0]) ~ '\\n<</SYS>>\\n\\n' ~ text(m) "              \
                        "if loop.first and has_system else text(m) %}"                                                 \
                        "{{ bos_token ~ '[INST] ' ~ said | trim ~ ' [/INST]' }}"                                       \
                        "{% else %}{{ ' ' ~ text(m) | trim ~ ' ' ~ eos_token }}{% endif %}{% endfor %}"

#define MISTRAL                                                                                                        \
    TEXT_OF TURNS("messages") "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' ~ text(m) " \
                              "~ ' [/INST]' }}"                                                                        \
                              "{% else %}{{ text(m) ~ eos_token }}{% endif %}{% endfor %}"

/* A line a message, eos behind each answer. */
#define PLAIN                                                                                                          \
    TEXT_OF                                                                                                            \
    "{{ bos_token }}{% for m in messages %}"                                                                           \
    "{{ text(m) ~ (eos_token if m.role == 'assistant' else '') ~ '\\n' }}{% endfor %}"

const lf_chat_format lf_chat_formats[] = {
    {"chatml", "", "<|im_end|>", CHATML},
    {"llama3", "<|begin_of_text|>", "<|eot_id|>", LLAMA3},
    {"llama2", "<s>", "</s>", LLAMA2},
    {"mistral", "<s>", "</s>", MISTRAL},
    {"plain", "", "", PLAIN},
    {NULL, NULL, NULL, NULL},
};
