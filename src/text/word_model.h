/* What makes tokens of one word, by the vocabulary: BPE, WordPiece or Unigram. One more is a file and a line of the
 * table in word_model.c. */
#ifndef LF_TEXT_WORD_MODEL_H
#define LF_TEXT_WORD_MODEL_H

#include <cjson/cJSON.h>

#include "base/error.h"
#include "base/mem.h"
#include "text/vocab.h"

typedef struct lf_ids_buffer {
    int32_t *ids;
    size_t n, capacity;
} lf_ids_buffer;

/* What `open` is given: "model" of a tokenizer.json. `where` (file and key) is named in errors. */
typedef struct lf_word_model_file {
    const cJSON *json;
    const char *where;
    lf_vocab *vocab; /* filled by `open`; the model borrows it */
    int32_t *unk;    /* set to the token of what no token has; -1 as it comes: none */
} lf_word_model_file;

typedef struct lf_word_model_kind {
    const char *type;
    bool takes_bytes; /* encode can read a word as it stands instead of its byte-level form (bytelevel.h) */
    /* On failure nothing is left behind. */
    lf_status (*open)(void **out, const lf_word_model_file *file, lf_err *err);
    void (*close)(void *model);
    /* What one thread encodes with; NULL: no memory. */
    void *(*work_new)(void);
    void (*work_free)(void *work);
    /* Appends the ids of a word, UTF-8 of less than 2^31 bytes. If `bytes`, the word stands for its byte-level form. */
    lf_status (*encode)(const void *model, void *work, const char *word, size_t n, bool bytes, lf_ids_buffer *out,
                        lf_err *err);
} lf_word_model_kind;
extern const lf_word_model_kind lf_bpe_kind, lf_wordpiece_kind, lf_unigram_kind;

typedef struct lf_word_model {
    const lf_word_model_kind *kind; /* NULL: not open */
    void *model;
    int32_t unk;
} lf_word_model;

/* "model" of the tokenizer.json `path`. LF_EUNSUPPORTED for a type that we lack, LF_EDATA. */
lf_status lf_word_model_open(lf_word_model *out, lf_vocab *vocab, const cJSON *json, const char *path, lf_err *err);
void lf_word_model_close(lf_word_model *m);

/* For the kinds: "vocab" as an object of tokens and ids; and the id of the token that key "unk_token" names, which must
 * be in the vocabulary. */
lf_status lf_word_model_vocab(const lf_word_model_file *file, lf_err *err);
lf_status lf_word_model_unk(const lf_word_model_file *file, const char *fallback, lf_err *err);
static inline bool lf_ids_buffer_put(lf_ids_buffer *out, int32_t id) {
    if (!lf_grow(&out->ids, &out->capacity, out->n + 1)) return false;
    out->ids[out->n++] = id;
    return true;
}

#endif
