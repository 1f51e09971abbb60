/* Conversations: messages as {"role", "content"} or, in the form of ShareGPT, {"from", "value"}, in one list or, as TRL
 * has them, in a prompt and a completion; with tools and a system text of the record. The chat template makes the text.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/slice.h"
#include "data/text/making.h"

typedef struct talk {
    lf_text_making *m;
    lf_message *at;
    size_t n, room;
    cJSON *made;        /* a list of what is not in the record as templates read it */
    bool marked;        /* a message is said not to be learned */
    bool any_assistant; /* whatever is said */
} talk;

static lf_status bad_message(const talk *t, const char *what, const char *found) {
    char name[600];
    return lf_fail(t->m->err, LF_EDATA, "%s: message %zu: %s '%.60s'", lf_text_record(t->m, name, sizeof name), t->n,
                   what, found);
}

static bool template_reads(const lf_text_making *m, const char *key) {
    const lf_text_chat *chat = &m->store->chat;
    return !chat->reads || chat->reads(chat->context, key);
}

/* ---- roles ---- */

static const struct {
    const char *from, *role;
} roles[] = {
    {"human", "user"},     {"gpt", "assistant"},          {"chatgpt", "assistant"},       {"bing", "assistant"},
    {"bard", "assistant"}, {"model", "assistant"},        {"function_call", "assistant"}, {"observation", "tool"},
    {"function", "tool"},  {"function_response", "tool"}, {"tool_response", "tool"}};

static const char *role_of(const char *from) {
    for (size_t i = 0; from && i < sizeof roles / sizeof *roles; i++)
        if (!strcmp(roles[i].from, from)) return roles[i].role;
    return from;
}

/* Those of models' templates, and what the template itself names. A misspelt one would make its turn a stranger's, and
 * an answer nothing that is learned. */
static bool knows_role(const talk *t, const char *role) {
    return lf_has_item("system|developer|user|assistant|tool|function|ipython", role) ||
           (t->m->store->chat.reads && template_reads(t->m, role));
}

/* {"name": ..., "arguments": ...}, or a list of such calls, as text: the calls of a message as templates read them. */
static lf_status read_calls(talk *t, lf_message *message, lf_err *err) {
    cJSON *calls = NULL;
    const cJSON *call;
    lf_status rc = lf_json_parse(&calls, message->content, strlen(message->content), "function_call", err);
    if (rc) return rc;
    lf_obj o = lf_obj_new(), list = lf_list_new();
    const cJSON *first = cJSON_IsArray(calls) ? calls->child : calls;
    for (call = first; call; call = cJSON_IsArray(calls) ? call->next : NULL) {
        lf_obj one = lf_obj_new();
        if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(call, "name"))) rc = LF_EDATA;
        lf_obj_string(&one, "type", "function");
        lf_obj_copy(&one, "function", call);
        lf_list_put(&list, lf_obj_take(&one));
    }
    lf_obj_put(&o, "tool_calls", lf_obj_take(&list));
    cJSON *json = lf_obj_take(&o);
    cJSON_Delete(calls);
    if (rc) lf_fail(err, rc, "expected {\"name\": ..., \"arguments\": ...}");
    if (!rc && (!json || !cJSON_AddItemToArray(t->made, json))) rc = lf_no_memory(err, "a call");
    if (rc)
        cJSON_Delete(json);
    else
        *message = (lf_message){.role = message->role, .json = json};
    return rc;
}

/* ---- what is learned of a message ---- */

static const char *const flags[] = {"weight", "train", "training", "trainable", "loss"};
enum { N_FLAGS = sizeof flags / sizeof *flags };

/* A message of the assistant is learned unless one of its flags says 0 or false. */
static lf_status read_flag(talk *t, lf_message *message, const cJSON *v, const char *key) {
    const cJSON *item = lf_text_field(v, key);
    if (!item) return LF_OK;
    const bool off = cJSON_IsFalse(item) || (cJSON_IsNumber(item) && item->valuedouble == 0);
    const bool on = cJSON_IsTrue(item) || (cJSON_IsNumber(item) && item->valuedouble == 1);
    if (!off && !on) {
        char *found = lf_json_print_line(item), what[128];
        snprintf(what, sizeof what, "'%s' is 1 or true (it is learned) or 0 or false (it is not), found", key);
        const lf_status rc = bad_message(t, what, found ? found : "?");
        lf_free(found);
        return rc;
    }
    const bool answers = !strcmp(message->role, "assistant");
    message->unlearned |= off;
    t->marked |= off && answers;
    if (!on || answers || !strcmp(key, "weight")) return LF_OK;
    char kind[160];
    snprintf(kind, sizeof kind, "\"%s\": true of '%.60s'", key, message->role);
    return lf_text_unread_add(t->m->unread, LF_TEXT_UNREAD_KEY, kind) ? LF_OK : lf_text_out_of_memory(t->m);
}

static bool is_followed(const char *key) {
    static const char *const keys[] = {"role", "content", "from", "value"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(keys[i], key)) return true;
    for (size_t i = 0; i < N_FLAGS; i++)
        if (!strcmp(flags[i], key)) return true;
    return false;
}

static lf_status read_keys(talk *t, lf_message *message, const cJSON *v) {
    static const char *const details[] = {"train_detail", "training_detail", "weights", "masks", "loss_mask"};
    lf_status rc = LF_OK;
    const cJSON *item;
    for (size_t i = 0; i < N_FLAGS && !rc; i++) rc = read_flag(t, message, v, flags[i]);
    for (size_t i = 0; i < sizeof details / sizeof *details && !rc; i++)
        if (!lf_text_is_empty(lf_text_field(v, details[i])))
            rc = bad_message(t, "parts of a message cannot be left out of the loss; see", details[i]);
    if (rc) return rc;
    cJSON_ArrayForEach(item, v) {
        char kind[96];
        if (is_followed(item->string) || lf_text_is_empty(item) || template_reads(t->m, item->string)) continue;
        snprintf(kind, sizeof kind, "\"%.80s\"", item->string);
        if (!lf_text_unread_add(t->m->unread, LF_TEXT_UNREAD_KEY, kind)) return lf_text_out_of_memory(t->m);
    }
    return LF_OK;
}

/* ---- a message ---- */

/* Contents in parts are for the template to put together; of other things than text nothing can be made. */
static lf_status check_parts(const talk *t, const cJSON *parts) {
    const cJSON *part;
    cJSON_ArrayForEach(part, parts) {
        const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(part, "type"));
        if (cJSON_IsString(part) || (type && !strcmp(type, "text"))) continue;
        return bad_message(t, "these models read text alone, and a part of the content is", type ? type : "no text");
    }
    return LF_OK;
}

static lf_status read_message(talk *t, const cJSON *v) {
    lf_message *message = &t->at[t->n];
    const char *from = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v, "from"));
    const bool shared = from && cJSON_GetObjectItemCaseSensitive(v, "value");
    const cJSON *content = lf_text_field(v, shared ? "value" : "content");
    *message =
        (lf_message){.role = shared ? role_of(from) : cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v, "role")),
                     .content = cJSON_GetStringValue(content),
                     .json = v};
    if (!message->role || !(message->content || (!shared && cJSON_IsArray(content)) ||
                            cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(v, "tool_calls"))))
        return lf_text_bad(t->m,
                           "each message to be {\"role\": \"...\", \"content\": \"...\"} or {\"from\": \"...\", "
                           "\"value\": \"...\"}, with a text, a list of parts or tool_calls",
                           "another form");
    t->any_assistant |= !strcmp(message->role, "assistant");
    if (!knows_role(t, message->role) && !lf_text_unread_add(t->m->unread, LF_TEXT_UNKNOWN_ROLE, message->role))
        return lf_text_out_of_memory(t->m);
    lf_status rc = check_parts(t, cJSON_IsArray(content) ? content : NULL);
    if (!rc) rc = read_keys(t, message, v);
    if (!rc && shared && !strcmp(from, "function_call")) {
        lf_err err = {0};
        rc = read_calls(t, message, &err);
        if (rc == LF_ENOMEM) return lf_text_out_of_memory(t->m);
        if (rc) return bad_message(t, "of a 'function_call' the value is a call in JSON;", err.message);
    }
    t->n += !rc;
    return rc;
}

/* ---- all of them ---- */

static const char system_role[] = "system";

static lf_status put_system(talk *t) {
    const cJSON *system = lf_text_field(t->m->record, "system");
    if (lf_text_is_empty(system)) return LF_OK;
    if (!cJSON_IsString(system)) return lf_text_bad(t->m, "text in the field 'system'", "another value");
    t->at[t->n++] = (lf_message){.role = system_role, .content = system->valuestring};
    return LF_OK;
}

/* The one that was asked for, where a prompt has none. There is room for it. */
static void add_system(talk *t) {
    const char *system = t->m->store->system;
    if (!t->m->store->prompts || !system || (t->n && !strcmp(t->at[0].role, system_role))) return;
    memmove(t->at + 1, t->at, t->n++ * sizeof *t->at);
    t->at[0] = (lf_message){.role = system_role, .content = system};
}

static lf_status read_list(talk *t, const char *name, bool learned) {
    const cJSON *list = lf_text_field(t->m->record, name), *v;
    const size_t first = t->n;
    char what[128];
    snprintf(what, sizeof what, "a list of messages in the field '%.60s'", name);
    if (!list && learned && t->m->store->prompts && t->n) return LF_OK; /* the completion of a prompt */
    if (!cJSON_IsArray(list) || !list->child)
        return lf_text_bad(t->m, what, !list ? "null" : cJSON_IsArray(list) ? "none" : "another value");
    if (!lf_grow(&t->at, &t->room, t->n + (size_t)cJSON_GetArraySize(list) + 2)) return lf_text_out_of_memory(t->m);
    lf_status rc = t->n ? LF_OK : put_system(t);
    if (!learned) t->any_assistant = true;
    cJSON_ArrayForEach(v, list) if (!rc) rc = read_message(t, v);
    if (rc) return rc;
    if (first == 0) add_system(t);
    if (t->n > 1 && first == 0 && !t->at[0].json && !strcmp(t->at[1].role, t->at[0].role))
        return lf_text_bad(t->m, "one system message", "the field 'system' beside a message of it");
    for (size_t i = first; i < t->n && !learned; i++) t->at[i].unlearned = true;
    return LF_OK;
}

/* A list, or the text of one. *made is to be freed. */
static lf_status read_tools(const cJSON **tools, cJSON **made, const lf_text_making *m) {
    lf_err err = {0};
    char name[600];
    *tools = lf_text_field(m->record, "tools");
    if (!cJSON_IsString(*tools)) return LF_OK;
    if (lf_text_is_empty(*tools)) {
        *tools = NULL;
        return LF_OK;
    }
    const lf_status rc = lf_json_parse(made, (*tools)->valuestring, strlen((*tools)->valuestring), "tools", &err);
    *tools = *made;
    if (rc) return lf_fail(m->err, rc, "%s: %s", lf_text_record(m, name, sizeof name), err.message);
    if (cJSON_IsArray(*made)) return LF_OK;
    return lf_text_bad(m, "a list of tools in the text of the field 'tools'", "another value");
}

/* What a template returned is checked: spans index into text. */
static bool good_spans(const lf_text_example *e) {
    size_t at = 0;
    for (int64_t i = 0; i < e->n_answers; i++) {
        if (e->answers[i].begin < at || e->answers[i].end < e->answers[i].begin || e->answers[i].end > e->n)
            return false;
        at = e->answers[i].end;
    }
    return true;
}

/* What the assistant says last is the answer to the rest; what one in parts says is not told. */
static lf_status take_answer(talk *t) {
    const lf_message *last = t->n ? &t->at[t->n - 1] : NULL;
    for (size_t i = 0; i < t->n; i++) t->at[i].unlearned = true;
    if (!last || strcmp(last->role, "assistant")) return LF_OK;
    t->n--;
    if (!t->n) return lf_text_bad(t->m, "a message before that of the assistant, to be answered", "none");
    return last->content ? lf_text_set_wanted(t->m, last->content) : LF_OK;
}

/* An answer that says nothing, neither in a key that the template reads (calls, reasoning). */
static bool is_empty_answer(const talk *t, const lf_message *message) {
    const cJSON *item;
    if (message->unlearned || strcmp(message->role, "assistant") || !message->content ||
        !lf_text_is_blank(message->content, strlen(message->content)))
        return false;
    cJSON_ArrayForEach(item, message->json) if (!is_followed(item->string) && !lf_text_is_empty(item) &&
                                                template_reads(t->m, item->string)) return false;
    return true;
}

static lf_status count_empty_answers(const talk *t) {
    lf_status rc = LF_OK;
    for (size_t i = 0; i < t->n && !rc; i++)
        if (is_empty_answer(t, &t->at[i])) rc = lf_text_count_empty_answer(t->m);
    return rc;
}

static lf_status render(talk *t, const cJSON *tools) {
    const lf_text_making *m = t->m;
    lf_text_example *e = m->out;
    lf_err err = {0};
    char name[600];
    const lf_text_chat *chat = &m->store->chat;
    lf_prompt p = {0};
    lf_status rc = m->store->prompts ? take_answer(t) : count_empty_answers(t);
    if (rc) return rc;
    if (!lf_text_is_empty(tools) && !template_reads(m, "tools") &&
        !lf_text_unread_add(m->unread, LF_TEXT_UNREAD_KEY, "\"tools\" of the record"))
        return lf_text_out_of_memory(m);
    rc = chat->render(chat->context, t->at, t->n, tools, m->store->prompts, &p, &err);
    e->text = p.text;
    e->n = p.n;
    e->answers = p.answers;
    e->n_answers = (int64_t)p.n_answers;
    if (rc) return lf_fail(m->err, rc, "%s: %s", lf_text_record(m, name, sizeof name), err.message);
    e->rendered = true;
    if (m->store->prompts) return LF_OK;
    e->marked = t->marked;
    if (!good_spans(e)) return lf_text_bad(m, "answers inside the text of the chat template", "others");
    if (e->n_answers) return LF_OK;
    if (!t->marked) return lf_text_bad(m, "a message of role 'assistant'", t->any_assistant ? "none to learn" : "none");
    return lf_text_bad(m, "a message of the assistant that is to be learned",
                       "that each is marked as not to be (\"weight\": 0, \"train\": false); leave the record out");
}

lf_status lf_text_make_messages(lf_text_making *m) {
    talk t = {.m = m, .made = cJSON_CreateArray()};
    const char *list = m->layout->required;
    const cJSON *tools = NULL;
    cJSON *made = NULL;
    char name[LF_TEXT_FIELD];
    lf_status rc = t.made ? LF_OK : lf_text_out_of_memory(m);
    while (!rc && lf_text_next_field(&list, name, NULL)) rc = read_list(&t, name, list == NULL || !*list);
    if (!rc) rc = read_tools(&tools, &made, m);
    if (!rc) rc = render(&t, tools);
    cJSON_Delete(made);
    cJSON_Delete(t.made);
    lf_free(t.at);
    return rc;
}
