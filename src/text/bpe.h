/* Byte pair encoding of one word at a time: what bpe.c (lf_bpe_kind) and bpe_open.c share. */
#ifndef LF_TEXT_BPE_H
#define LF_TEXT_BPE_H

#include <cjson/cJSON.h>

#include "base/error.h"
#include "text/vocab.h"
#include "text/word_model.h"

typedef struct lf_bpe_merge {
    uint64_t pair; /* left id << 32 | right id; LF_NO_PAIR: an empty slot */
    uint32_t rank;
    int32_t merged;
} lf_bpe_merge;
#define LF_NO_PAIR UINT64_MAX

static inline size_t lf_bpe_slot(uint64_t pair) {
    return (size_t)((pair ^ pair >> 29) * 0x9e3779b97f4a7c15u >>
                    20); /* Fibonacci hashing: the high bits are the mixed ones */
}

typedef struct lf_bpe {
    const lf_vocab *vocab; /* borrowed */
    lf_bpe_merge *merges;  /* hash table */
    size_t n_slots;        /* a power of two */
    char *prefix, *suffix; /* continuing_subword_prefix, end_of_word_suffix; NULL for none */
    int32_t unk;           /* -1: characters that no token has are dropped */
    bool fuse_unk, byte_fallback, ignore_merges;
    int32_t fallback[256]; /* ids of <0x00> .. <0xFF>, -1 where missing */
    int32_t mapped[256];   /* ids of the characters that stand for bytes (bytelevel.h) */
} lf_bpe;

lf_status lf_bpe_open(void **out, const lf_word_model_file *file, lf_err *err);
void lf_bpe_close(void *bpe);

typedef struct lf_symbol {
    int32_t id, previous, next; /* -1: none; id -1: merged into the one before */
} lf_symbol;
typedef struct lf_bpe_candidate {
    uint64_t order; /* rank << 32 | position: the smallest merges first */
    int32_t merged;
} lf_bpe_candidate;

/* What one thread needs. */
typedef struct lf_bpe_work {
    lf_symbol *symbols;
    size_t n_symbols, symbols_capacity;
    lf_bpe_candidate *heap;
    size_t n_heap, heap_capacity;
    lf_string key;
} lf_bpe_work;

#endif
