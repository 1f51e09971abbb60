/* Scores of pieces from the order of merges. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "gguf/tokenizer.h"

bool lf_gguf_merge_sides(const cJSON *merge, const char **left, size_t *n_left, const char **right) {
    const char *text = cJSON_GetStringValue(merge);
    if (text) {
        const char *space = strchr(text, ' ');
        if (!space) return false;
        *left = text;
        *n_left = (size_t)(space - text);
        *right = space + 1;
        return true;
    }
    const char *a = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 0)),
               *b = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 1));
    if (!a || !b) return false;
    *left = a;
    *n_left = strlen(a);
    *right = b;
    return true;
}

typedef struct pair {
    int32_t left, right;
} pair;

static int by_ids(const void *a, const void *b) {
    const pair *x = a, *y = b;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

typedef struct scoring {
    const lf_tokenizer *t;
    const char *path;
    float *scores;
    int64_t rows;
    bool *merged; /* [rows]: a merge makes it */
    pair *pairs;  /* of all merges, sorted when they are all there */
    size_t n;
    lf_string text; /* of one token, with a NUL */
} scoring;

/* -1: there is none such that the model has a row for. */
static int32_t find(scoring *s, const char *a, size_t n, const char *b, size_t m) {
    lf_string_empty(&s->text);
    if (!lf_string_put(&s->text, a, n) || !lf_string_put(&s->text, b, m)) return -1;
    const int32_t id = s->text.s ? lf_tokenizer_id(s->t, s->text.s) : -1;
    return id < s->rows ? id : -1;
}

/* The first merge's piece gets 0, and each that comes later a lower score. */
static lf_status go_through(scoring *s, const cJSON *merges, lf_err *err) {
    const cJSON *merge;
    int32_t last = -1;
    int64_t place = 0;
    cJSON_ArrayForEach(merge, merges) {
        const char *left, *right;
        size_t n;
        if (!lf_gguf_merge_sides(merge, &left, &n, &right)) continue; /* merges.txt's first line */
        const size_t m = strlen(right);
        const pair p = {find(s, left, n, "", 0), find(s, right, m, "", 0)};
        const int32_t id = find(s, left, n, right, m);
        if (s->text.failed) return lf_no_memory(err, "the merges of %s", s->path);
        if (id < 0 || p.left < 0 || p.right < 0) continue; /* of a token that the model lacks */
        s->pairs[s->n++] = p;
        if (id == last) continue;
        if (s->merged[id])
            return lf_fail(err, LF_EUNSUPPORTED,
                           "%s: key 'merges': '%.60s' is merged before and after other pieces, which scores of pieces "
                           "cannot say; llama.cpp has nothing else for a tokenizer with byte_fallback",
                           s->path, lf_tokenizer_token(s->t, id));
        s->merged[id] = true;
        s->scores[id] = (float)-place++;
        last = id;
    }
    for (int64_t id = 0; id < s->rows; id++)
        if (!s->merged[id])
            s->scores[id] = (float)-(place + id); /* in no order that matters: nothing is merged to it */
    return LF_OK;
}

/* Into which two tokens of the model can it be cut, that no merge joins? */
static bool is_joined_unasked(scoring *s, int32_t id) {
    const char *text = lf_tokenizer_token(s->t, id);
    const size_t size = text ? strlen(text) : 0;
    for (size_t i = 1; i < size; i++) {
        if (((unsigned char)text[i] & 0xc0) == 0x80) continue; /* within a character */
        const pair p = {find(s, text, i, "", 0), find(s, text + i, size - i, "", 0)};
        if (p.left >= 0 && p.right >= 0 && !bsearch(&p, s->pairs, s->n, sizeof p, by_ids)) return true;
    }
    return false;
}

static lf_status look_for_others(scoring *s, lf_err *err) {
    int64_t n = 0;
    int32_t first = -1;
    qsort(s->pairs, s->n, sizeof *s->pairs, by_ids);
    for (int32_t id = 0; id < s->rows; id++) {
        if (lf_tokenizer_is_special(s->t, id) || !is_joined_unasked(s, id)) continue;
        if (n++ == 0) first = id;
    }
    if (s->text.failed) return lf_no_memory(err, "the merges of %s", s->path);
    if (n)
        lf_warn("%s: key 'merges': %lld pieces can be joined of two that no merge joins (the first is '%.60s'): "
                "llama.cpp joins them all the same, so it may make other tokens of some texts",
                s->path, (long long)n, lf_tokenizer_token(s->t, first));
    return LF_OK;
}

lf_status lf_gguf_scores(float *scores, int64_t rows, const lf_tokenizer *t, const cJSON *root, const char *path,
                         lf_err *err) {
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "model"), "merges");
    scoring s = {.t = t, .path = path, .scores = scores, .rows = rows};
    s.merged = lf_calloc((size_t)rows, sizeof *s.merged);
    s.pairs = lf_calloc((size_t)cJSON_GetArraySize(merges), sizeof *s.pairs);
    lf_status rc = s.merged && s.pairs ? go_through(&s, merges, err) : lf_no_memory(err, "the merges of %s", path);
    if (!rc) rc = look_for_others(&s, err);
    lf_string_free(&s.text);
    lf_free(s.merged);
    lf_free(s.pairs);
    return rc;
}
