/* A model's tokenizer in the keys of GGUF (tokenizer.ggml.*, tokenizer.chat_template). */
#ifndef LF_GGUF_TOKENIZER_H
#define LF_GGUF_TOKENIZER_H

#include <cjson/cJSON.h>

#include "gguf/format.h"
#include "text/tokenizer.h"

/* Of the tokenizer.json in folder `dir`, for a model of `rows` tokens: ids without a token are filled, and tokens
 * beyond are left out with a warning. Byte pairs by llama.cpp's "gpt2", pieces with byte fallback (SentencePiece) by
 * its "llama". The chat template is that of folder `chat`; NULL: of dir. LF_EUNSUPPORTED, naming what llama.cpp would
 * do otherwise; LF_ENOTFOUND: there is no tokenizer.json. */
lf_status lf_gguf_put_tokenizer(lf_gguf_writer *w, const char *dir, const char *chat, int64_t rows, lf_err *err);

#define LF_GGUF_CHAT_TEMPLATE "tokenizer.chat_template"

/* ---- between tokenizer.c and what it is made of ---- */

#define LF_GGUF_SPACE "\xe2\x96\x81" /* what stands for a space in SentencePiece's pieces */

/* tokenizer_cut.c: which of llama.cpp's models it is, what its tokens are cut by. */
typedef struct lf_gguf_cut {
    bool pieces;     /* SentencePiece's; else byte pairs */
    const char *pre; /* tokenizer.ggml.pre; static */
    bool space;      /* of pieces: a space is put before texts */
} lf_gguf_cut;
lf_status lf_gguf_cut_of(lf_gguf_cut *out, const cJSON *root, const char *path, lf_err *err);

/* tokenizer_scores.c: llama.cpp merges the two neighbours whose piece has the highest score, tokenizer.json those whose
 * merge comes first. scores [rows], by id, give the same order. LF_EUNSUPPORTED where none can: a piece is merged
 * before and after another. Where a piece is in the vocabulary whose two halves no merge joins, llama.cpp joins them
 * all the same, which is a warning. */
lf_status lf_gguf_scores(float *scores, int64_t rows, const lf_tokenizer *t, const cJSON *root, const char *path,
                         lf_err *err);
/* The two sides of a merge: "left right", or ["left", "right"]. False: it is neither. */
bool lf_gguf_merge_sides(const cJSON *merge, const char **left, size_t *n_left, const char **right);

#endif
