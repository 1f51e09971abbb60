/* What the tests of text data share: files in a scratch folder and a stand-in for the tokenizer. */
#ifndef LF_TEST_TEXT_FIXTURE_H
#define LF_TEST_TEXT_FIXTURE_H

#include "data_fixture.h"

#include "data/text/loader.h"

/* A byte is its own id, but a space and the letter behind it are one token (so that tokens go across borders). */
enum { SPACED = 256, BOS = 600, EOS = 601, PAD = 602, VOCAB = 603 };

typedef struct stand_in {
    bool adds_bos, adds_eos;
} stand_in;

static inline lf_status stand_in_encode(void *context, const char *text, size_t n, bool special, lf_ids *out,
                                        lf_err *err) {
    const stand_in *s = context;
    if (!lf_ids_reserve(out, (int64_t)n + 2)) return lf_no_memory(err, "the stand-in");
    if (special && s->adds_bos) out->ids[out->n++] = BOS;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        const bool joins = c == ' ' && i + 1 < n && text[i + 1] > ' ';
        out->ids[out->n++] = joins ? SPACED + (unsigned char)text[++i] : c == '@' ? VOCAB : c;
    }
    if (special && s->adds_eos) out->ids[out->n++] = EOS;
    return LF_OK;
}

static inline lf_status stand_in_open_thread(void *context, void **out, lf_err *err) {
    const stand_in *s = context;
    stand_in *copy = lf_malloc(sizeof *copy);
    if (!copy) return lf_no_memory(err, "the stand-in");
    *copy = *s;
    *out = copy;
    return LF_OK;
}

static inline lf_text_encoder encoder_over(stand_in *s) {
    return (lf_text_encoder){.encode = stand_in_encode,
                             .context = s,
                             .bos = BOS,
                             .eos = EOS,
                             .pad = PAD,
                             .vocab_size = VOCAB,
                             .open_thread = stand_in_open_thread,
                             .close_thread = lf_free};
}

/* "<role>content;" for each message, the assistant's content and semicolon being the answers; "[tools]" before them if
 * there are any, and "..." for a content that is no text. */
static inline lf_status stand_in_render(void *context, const lf_message *m, size_t n, const cJSON *tools,
                                        bool add_generation_prompt, lf_prompt *out, lf_err *err) {
    (void)context;
    size_t size = 20, at = 0;
    for (size_t i = 0; i < n; i++) size += strlen(m[i].role) + (m[i].content ? strlen(m[i].content) : 3) + 3;
    out->text = lf_malloc(size);
    out->answers = lf_malloc(n * sizeof *out->answers);
    if (!out->text || !out->answers) return lf_no_memory(err, "the stand-in");
    if (tools) at += (size_t)snprintf(out->text, size, "[tools]");
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(m[i].role, "nobody")) return lf_fail(err, LF_EDATA, "the template knows no role 'nobody'");
        at += (size_t)snprintf(out->text + at, size - at, "<%s>", m[i].role);
        const size_t begin = at;
        at += (size_t)snprintf(out->text + at, size - at, "%s;", m[i].content ? m[i].content : "...");
        if (!strcmp(m[i].role, "assistant") && !m[i].unlearned) out->answers[out->n_answers++] = (lf_answer){begin, at};
        out->n = at;
    }
    if (add_generation_prompt) out->n += (size_t)snprintf(out->text + at, size - at, "<assistant>");
    return LF_OK;
}

static inline void put_text(const char *name, const char *text) { put_bytes(name, text, strlen(text)); }

/* Data beside the source tree, or where LF_SHARED_DIR says; a test skips where it is not. */
static inline void shared_path(char *out, size_t size, const char *name) {
    const char *folder = getenv("LF_SHARED_DIR");
    snprintf(out, size, "%s/data/text/%s", folder ? folder : LF_SOURCE_DIR "/../shared", name);
}

/* Opens a file of the scratch folder; the other options may be given. */
static inline lf_status try_open(lf_text_dataset **out, const char *name, lf_text_dataset_opts o, lf_err *err) {
    static const lf_text_chat chat = {.render = stand_in_render};
    cJSON *spec = cJSON_CreateString(in_scratch(name));
    *out = NULL;
    if (!spec) return lf_fail(err, LF_ENOMEM, "no memory for a spec");
    o.spec = spec;
    o.key = "train_data";
    o.chat = &chat;
    const lf_status rc = lf_text_dataset_open(out, &o, err);
    cJSON_Delete(spec);
    return rc;
}

static inline lf_text_dataset *open_with(const char *name, lf_text_dataset_opts o) {
    lf_err err = {0};
    lf_text_dataset *d;
    assert_ok(try_open(&d, name, o, &err), err);
    return d;
}

static inline lf_text_dataset *open_text(const char *name) { return open_with(name, (lf_text_dataset_opts){0}); }

#endif
