#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "text/bpe.h"
#include "text/bytelevel.h"

void lf_bpe_close(void *model) {
    lf_bpe *bpe = model;
    if (!bpe) return;
    lf_free(bpe->merges);
    lf_free(bpe->prefix);
    lf_free(bpe->suffix);
    lf_free(bpe);
}

static lf_status part_id(const lf_bpe *bpe, const char *s, size_t n, int64_t rank, const char *where, int32_t *id,
                         lf_err *err) {
    *id = lf_vocab_find(bpe->vocab, s, n, LF_TOKEN_MODEL);
    if (*id >= 0) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key 'merges': merge %" PRId64 ": \"%.*s\" is not in 'vocab'", where, rank,
                   (int)(n < 100 ? n : 100), s);
}

/* One merge: "left right" or, in newer files, ["left", "right"]. */
static lf_status split_merge(const cJSON *item, int64_t rank, const char *where, const char **left, size_t *n_left,
                             const char **right, lf_err *err) {
    const cJSON *a = item->child, *b = a ? a->next : NULL;
    if (cJSON_IsString(item)) {
        const char *space = strchr(item->valuestring, ' ');
        *left = item->valuestring;
        *n_left = space ? (size_t)(space - *left) : 0;
        *right = space ? space + 1 : NULL;
        if (space && !strchr(space + 1, ' ')) return LF_OK;
    } else if (cJSON_IsArray(item) && cJSON_IsString(a) && cJSON_IsString(b) && !b->next) {
        *left = a->valuestring;
        *n_left = strlen(a->valuestring);
        *right = b->valuestring;
        return LF_OK;
    }
    return lf_fail(err, LF_EDATA, "%s: key 'merges': merge %" PRId64 ": expected \"left right\" or [left, right]",
                   where, rank);
}

static lf_status add_merge(lf_bpe *bpe, lf_string *key, const cJSON *item, int64_t rank, const char *where,
                           lf_err *err) {
    const char *left = "", *right = "";
    size_t n_left = 0;
    int32_t a, b, merged;
    lf_status rc = split_merge(item, rank, where, &left, &n_left, &right, err);
    if (rc || (rc = part_id(bpe, left, n_left, rank, where, &a, err)) ||
        (rc = part_id(bpe, right, strlen(right), rank, where, &b, err)))
        return rc;
    const size_t skip = bpe->prefix ? strlen(bpe->prefix) : 0;
    if (strlen(right) < skip)
        return lf_fail(err, LF_EDATA, "%s: key 'merges': merge %" PRId64 ": \"%s\" is shorter than \"%s\"", where, rank,
                       right, bpe->prefix);
    lf_string_empty(key);
    if (!lf_string_put(key, left, n_left) || !lf_string_put(key, right + skip, strlen(right + skip)))
        return lf_no_memory(err, "%s", where);
    if ((rc = part_id(bpe, key->s, key->n, rank, where, &merged, err))) return rc;
    const uint64_t pair = (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
    size_t i = lf_bpe_slot(pair) & (bpe->n_slots - 1);
    while (bpe->merges[i].pair != LF_NO_PAIR && bpe->merges[i].pair != pair) i = (i + 1) & (bpe->n_slots - 1);
    bpe->merges[i] = (lf_bpe_merge){pair, (uint32_t)rank, merged}; /* of a merge that is there twice the last counts */
    return LF_OK;
}

static lf_status open_merges(lf_bpe *bpe, const cJSON *merges, const char *where, lf_err *err) {
    const cJSON *item;
    size_t n = 0;
    int64_t rank = 0;
    lf_string key = {0};
    lf_status rc = LF_OK;
    if (!cJSON_IsArray(merges)) return lf_fail(err, LF_EDATA, "%s: key 'merges': expected a list", where);
    cJSON_ArrayForEach(item, merges) n++;
    if (n > UINT32_MAX / 8) return lf_fail(err, LF_EDATA, "%s: key 'merges': %zu of them", where, n);
    for (bpe->n_slots = 16; bpe->n_slots < 2 * n;) bpe->n_slots *= 2;
    if (!(bpe->merges = lf_malloc(bpe->n_slots * sizeof *bpe->merges)))
        return lf_no_memory(err, "the %zu merges of %s", n, where);
    for (size_t i = 0; i < bpe->n_slots; i++) bpe->merges[i].pair = LF_NO_PAIR;
    cJSON_ArrayForEach(item, merges) {
        if (cJSON_IsString(item) && strncmp(item->valuestring, "#version", 8) == 0)
            continue; /* merges.txt's first line */
        if ((rc = add_merge(bpe, &key, item, rank++, where, err))) break;
    }
    lf_string_free(&key);
    return rc;
}

/* A string that changes words; "" and null ask for nothing. */
static lf_status open_affix(char **out, const cJSON *model, const char *key, const char *where, lf_err *err) {
    const char *text;
    const lf_status rc = lf_json_get_str(model, key, "", &text, where, err);
    if (rc || !*text) return rc;
    *out = lf_strdup(text);
    return *out ? LF_OK : lf_no_memory(err, "%s", where);
}

static void find_bytes(lf_bpe *bpe) {
    for (int b = 0; b < 256; b++) {
        char name[8], c[4];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b & 255);
        bpe->fallback[b] = lf_vocab_find(bpe->vocab, name, 6, LF_TOKEN_MODEL);
        bpe->mapped[b] = lf_vocab_find(bpe->vocab, c, lf_byte_char((unsigned char)b, c), LF_TOKEN_MODEL);
    }
}

static lf_status open_keys(lf_bpe *bpe, const lf_word_model_file *file, lf_err *err) {
    const cJSON *model = file->json, *merges = cJSON_GetObjectItemCaseSensitive(model, "merges");
    const cJSON *dropout = cJSON_GetObjectItemCaseSensitive(model, "dropout");
    const char *where = file->where;
    lf_status rc;
    if (dropout && !cJSON_IsNull(dropout) && !(cJSON_IsNumber(dropout) && dropout->valuedouble == 0))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'dropout': random merges are not supported; set it to null",
                       where);
    if ((rc = lf_json_get_bool(model, "fuse_unk", false, &bpe->fuse_unk, where, err)) ||
        (rc = lf_json_get_bool(model, "byte_fallback", false, &bpe->byte_fallback, where, err)) ||
        (rc = lf_json_get_bool(model, "ignore_merges", false, &bpe->ignore_merges, where, err)) ||
        (rc = open_affix(&bpe->prefix, model, "continuing_subword_prefix", where, err)) ||
        (rc = open_affix(&bpe->suffix, model, "end_of_word_suffix", where, err)) ||
        (rc = lf_word_model_vocab(file, err)) || (rc = open_merges(bpe, merges, where, err)) ||
        (rc = lf_word_model_unk(file, NULL, err)))
        return rc;
    bpe->unk = *file->unk;
    find_bytes(bpe);
    return LF_OK;
}

lf_status lf_bpe_open(void **out, const lf_word_model_file *file, lf_err *err) {
    lf_bpe *bpe = lf_calloc(1, sizeof *bpe);
    if (!bpe) return lf_no_memory(err, "%s", file->where);
    bpe->vocab = file->vocab;
    const lf_status rc = open_keys(bpe, file, err);
    if (rc)
        lf_bpe_close(bpe);
    else
        *out = bpe;
    return rc;
}
