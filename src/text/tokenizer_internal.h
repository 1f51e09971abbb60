/* A tokenizer is four lists of steps around a model. Each list is read from one key of tokenizer.json, through one
 * table of types: a new type is one line there and its functions beside it. */
#ifndef LF_TEXT_TOKENIZER_INTERNAL_H
#define LF_TEXT_TOKENIZER_INTERNAL_H

#include <cjson/cJSON.h>

#include "text/added_tokens.h"
#include "text/charsmap.h"
#include "text/pattern.h"
#include "text/pieces.h"
#include "text/tokenizer.h"
#include "text/vocab.h"
#include "text/word_cache.h"
#include "text/word_model.h"

typedef struct lf_step lf_step;

typedef struct lf_step_kind {
    const char *type;
    /* Reads the step's keys; NULL: it has none that matter here. */
    lf_status (*open)(lf_step *s, const cJSON *json, lf_err *err);
    /* Normalizers change w->now.text, pre-tokenizers and decoders w->now, post-processors w->ids. NULL: nothing to do.
     */
    lf_status (*apply)(const lf_step *s, lf_tokenizer_work *w, lf_err *err);
} lf_step_kind;

typedef enum lf_behavior {
    LF_REMOVED,
    LF_ISOLATED,
    LF_MERGED_WITH_PREVIOUS,
    LF_MERGED_WITH_NEXT,
    LF_CONTIGUOUS
} lf_behavior;
typedef enum lf_prepend { LF_PREPEND_FIRST, LF_PREPEND_NEVER, LF_PREPEND_ALWAYS } lf_prepend;

/* What a post-processor puts around texts: special tokens by id, and where the texts go. */
typedef struct lf_template_item {
    int32_t id;   /* LF_TEXT_HERE: the text, or the first of two; LF_SECOND_HERE: the second */
    int32_t type; /* token type of what is put here */
} lf_template_item;
enum { LF_TEXT_HERE = -1, LF_SECOND_HERE = -2 };
typedef struct lf_template {
    lf_template_item *at;
    size_t n, capacity;
} lf_template;

struct lf_step {
    const lf_step_kind *kind;
    char *where;              /* file and key, for errors */
    bool last;                /* of its list */
    lf_pattern *pattern;      /* Split, Replace, ByteLevel */
    char *content;            /* Replace, Prepend; Metaspace's replacement; Strip's character */
    lf_behavior behavior;     /* Split, Punctuation */
    lf_prepend prepend;       /* Metaspace; ByteLevel's add_prefix_space */
    bool invert;              /* Split */
    bool split;               /* Metaspace; Digits' individual_digits */
    bool left, right;         /* Strip (normalizer) */
    int64_t start, stop;      /* Strip (decoder) */
    bool clean, chinese;      /* BertNormalizer's clean_text and handle_chinese_chars; WordPiece's cleanup */
    bool accents, lower;      /* its strip_accents and lowercase */
    lf_charsmap *charsmap;    /* Precompiled */
    lf_template single, pair; /* post-processors: what surrounds one text, and two */
};

typedef struct lf_step_list {
    const char *key;      /* "pre_tokenizer" */
    const char *list_key; /* "pretokenizers", of a Sequence */
    const lf_step_kind *kinds;
    size_t n_kinds;
} lf_step_list;
extern const lf_step_list lf_normalizers, lf_pretokenizers, lf_postprocessors, lf_decoders;

typedef struct lf_steps {
    lf_step *at;
    size_t n, capacity;
} lf_steps;

/* Reads member family->key of `root`; absent or null is no step, a Sequence its members. */
lf_status lf_steps_open(lf_steps *out, const lf_step_list *family, const cJSON *root, const char *path, lf_err *err);
lf_status lf_steps_apply(const lf_steps *steps, lf_tokenizer_work *w, lf_err *err);
void lf_steps_free(lf_steps *steps);

/* For the `open` functions. A key that must be there as a string. */
lf_status lf_step_string(char **out, const lf_step *s, const cJSON *json, const char *key, lf_err *err);
/* "pattern": {"String": ..} or {"Regex": ..} */
lf_status lf_step_pattern(lf_step *s, const cJSON *json, lf_err *err);

struct lf_tokenizer {
    lf_vocab vocab;
    lf_word_model model;
    lf_added_tokens added;
    lf_steps normalizers, pretokenizers, postprocessors, decoders;
    int32_t bos, eos, pad, unk, mask;
    bool truncates_left;     /* "truncation_side": what is cut off is the beginning */
    lf_tokenizer_work *work; /* lf_tokenizer_encode's; made when first needed */
};

/* tokenizer_added.c. The id that `tokenizers` gives a token: that of the vocabulary, else the next one. */
int64_t lf_tokenizer_place(const lf_tokenizer *t, const char *content);
/* {"content", "special", "normalized", "single_word", "lstrip", "rstrip"} */
lf_status lf_tokenizer_add(lf_tokenizer *t, const cJSON *json, int64_t id, const char *where, lf_err *err);
/* What another file says of a token that is added: its flags count, but special it stays, and its text when decoded
 * too. *changed is set where they differ: index all then. */
lf_status lf_tokenizer_add_again(lf_tokenizer *t, const cJSON *json, int64_t id, bool *changed, const char *where,
                                 lf_err *err);
lf_status lf_tokenizer_index_all_added(lf_tokenizer *t, lf_err *err);
lf_status lf_tokenizer_index_added(lf_tokenizer *t, size_t first, lf_err *err); /* those from number `first` on */
lf_status lf_tokenizer_open_added(lf_tokenizer *t, const cJSON *root, const char *path, lf_err *err);

/* tokenizer_config.c: what the files beside tokenizer.json say (special_names.h); `path` is named in errors. */
lf_status lf_tokenizer_use_names(lf_tokenizer *t, const cJSON *names, const char *path, lf_err *err);

typedef struct lf_span {
    size_t begin, end;
    bool hit;
} lf_span;

struct lf_tokenizer_work {
    const lf_tokenizer *t;
    lf_pieces now, next; /* what a step reads, what it writes */
    lf_pieces whole;     /* encode: text and pieces before pre-tokenizing */
    size_t head;         /* normalizers: lf_piece.head of now.text, */
    bool continues;      /* and lf_piece.continues */
    const size_t *cuts;  /* lf_tokenizer_encode_cut; NULL and 0 otherwise */
    size_t n_cuts;
    int64_t *starts; /* in ids */
    size_t most;     /* bytes that the steps may make of this text; see lf_work_allow */
    bool bytes;      /* the pieces' text stands for its byte-level form */
    lf_span *spans;
    size_t n_spans, spans_capacity;
    int32_t *code_points; /* normal forms */
    size_t code_points_capacity;
    lf_matcher *matcher;
    void *model; /* lf_word_model_kind.work_new's */
    lf_string bytes_of_word;
    lf_word_cache cache;
    lf_ids_buffer ids, next_ids;
};

lf_matcher *lf_work_matcher(lf_tokenizer_work *w); /* made when first needed; NULL: no memory */
/* Before the steps see a text of n bytes. A file could have every step double it, so there is a bound that no sensible
 * step comes near (NFKC makes at most 11 bytes of one). */
void lf_work_allow(lf_tokenizer_work *w, size_t n);
lf_status lf_too_long(const lf_tokenizer_work *w, const char *where, lf_err *err);
void lf_work_take_text(lf_tokenizer_work *w);   /* next.text becomes now.text */
void lf_work_take_pieces(lf_tokenizer_work *w); /* next's pieces become now's, next is emptied */

/* Divides s[0 .. n) into matches and what lies between them: w->spans, which cover it. */
lf_status lf_find_spans(lf_tokenizer_work *w, const lf_pattern *p, const char *s, size_t n, lf_err *err);
lf_status lf_find_char_spans(lf_tokenizer_work *w, bool (*is_hit)(uint32_t), const char *s, size_t n, lf_err *err);
/* Appends to next the pieces that `behavior` makes of the spans of `piece`; empty ones are left out. */
lf_status lf_split_piece(lf_tokenizer_work *w, const lf_piece *piece, lf_behavior behavior, bool invert, lf_err *err);
/* Normalizers: now.text with each character as what `one` makes of it: up to 3 characters, or none. */
typedef size_t (*lf_char_map)(uint32_t c, uint32_t out[3]);
lf_status lf_map_chars(lf_tokenizer_work *w, lf_char_map one, lf_err *err);
/* ... in a normal form; `options` are utf8proc's. */
lf_status lf_normal_form(lf_tokenizer_work *w, int options, lf_err *err);
/* normalizer_bert.c, normalizer_sentencepiece.c: lines of the normalizers' table */
lf_status lf_open_bert_normalizer(lf_step *s, const cJSON *json, lf_err *err);
lf_status lf_apply_bert_normalizer(const lf_step *s, lf_tokenizer_work *w, lf_err *err);
lf_status lf_apply_strip_accents(const lf_step *s, lf_tokenizer_work *w, lf_err *err);
lf_status lf_apply_nmt(const lf_step *s, lf_tokenizer_work *w, lf_err *err);
lf_status lf_open_precompiled(lf_step *s, const cJSON *json, lf_err *err);
lf_status lf_apply_precompiled(const lf_step *s, lf_tokenizer_work *w, lf_err *err);

/* Appends to `out` s with all matches replaced. *head as in lf_piece, updated; may be NULL. */
lf_status lf_replace(lf_tokenizer_work *w, const lf_step *step, const char *s, size_t n, lf_string *out, size_t *head,
                     lf_err *err);

/* Appends the text of ids to *out: lf_tokenizer_decode with memory that can be used again. */
lf_status lf_decode_with(lf_tokenizer_work *w, const int32_t *ids, int64_t n, bool skip_special_tokens, lf_string *out,
                         lf_err *err);

#endif
