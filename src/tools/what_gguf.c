/* GGUF files: what llama.cpp, and what is built on it, would find in one. */
#include <string.h>

#include "base/mem.h"
#include "gguf/tokenizer.h"
#include "tools/what_internal.h"

bool lf_kind_is_gguf(const lf_what_of *w) { return w->n_begins >= 4 && memcmp(w->begins, LF_GGUF_MAGIC, 4) == 0; }

static void put_string(lf_what_of *w, const lf_gguf *g, const char *fact, const char *key) {
    const char *s;
    size_t n;
    char *text = lf_gguf_string(g, key, &s, &n) ? lf_copy_text(s, n) : NULL;
    if (text) lf_obj_string(&w->facts, fact, text);
    lf_free(text);
}

static void put_number(lf_what_of *w, const lf_gguf *g, const char *fact, const char *key) {
    double x;
    if (lf_gguf_number(g, key, &x)) lf_obj_number(&w->facts, fact, x);
}

/* Those below the architecture's name. */
static void put_sizes(lf_what_of *w, const lf_gguf *g) {
    static const char *const keys[] = {"context_length", "embedding_length", "block_count", "attention.head_count",
                                       "attention.head_count_kv"};
    const char *arch;
    size_t n;
    if (!lf_gguf_string(g, "general.architecture", &arch, &n)) return;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *key = lf_format("%.*s.%s", n < 64 ? (int)n : 64, arch, keys[i]);
        if (key) put_number(w, g, keys[i], key);
        lf_free(key);
    }
}

static void put_tensors(lf_what_of *w, const lf_gguf *g) {
    uint64_t numbers = 0;
    lf_obj kinds = lf_obj_new();
    for (int64_t i = 0; i < lf_gguf_n_tensors(g); i++) {
        const lf_gguf_tensor *t = lf_gguf_tensor_at(g, i);
        const char *kind = lf_gguf_type_name(t->type);
        const cJSON *known = cJSON_GetObjectItemCaseSensitive(kinds.json, kind);
        const double n = 1 + (known ? known->valuedouble : 0);
        lf_obj_drop(&kinds, kind);
        lf_obj_number(&kinds, kind, n);
        numbers += t->numel;
    }
    lf_what_count(w, "tensors", lf_gguf_n_tensors(g));
    lf_obj_number(&w->facts, "numbers", (double)numbers);
    lf_obj_put(&w->facts, "tensors_of", lf_obj_take(&kinds));
}

lf_status lf_kind_look_gguf(lf_what_of *w) {
    lf_gguf *g = NULL;
    lf_err found = {0};
    const lf_status rc = lf_gguf_open(&g, w->path, &found);
    if (rc) return lf_what_note(w, rc, &found);
    const lf_gguf_key *tokens = lf_gguf_find_key(g, "tokenizer.ggml.tokens");
    put_string(w, g, "type", "general.type");
    put_string(w, g, "architecture", "general.architecture");
    put_string(w, g, "name", "general.name");
    put_string(w, g, "base_model", "general.base_model.0.name");
    put_string(w, g, "adapter_type", "adapter.type");
    put_number(w, g, "lora_alpha", "adapter.lora.alpha");
    put_sizes(w, g);
    put_string(w, g, "tokenizer", "tokenizer.ggml.model");
    put_string(w, g, "tokenizer_cut", "tokenizer.ggml.pre");
    if (tokens) lf_obj_bool(&w->facts, "chat_template", lf_gguf_find_key(g, LF_GGUF_CHAT_TEMPLATE) != NULL);
    if (tokens && tokens->is_array) lf_obj_number(&w->facts, "vocab_size", (double)tokens->count);
    put_tensors(w, g);
    lf_gguf_close(g);
    return LF_OK;
}
