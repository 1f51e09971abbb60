/* What tokenizer_config.json and the older files say of tokens, as transformers (5.24) takes it: tokens that
 * tokenizer.json does not have among its added ones are added, first those listed by id, then those with a name, then
 * the rest; of those that it has, "added_tokens_decoder" wins in how they are found. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "text/special_names.h"
#include "text/tokenizer_internal.h"

/* ---- which tokens are to be added ---- */

static bool is_added(const lf_tokenizer *t, const char *content) {
    return lf_vocab_find(&t->vocab, content, strlen(content), LF_TOKEN_ADDED) >= 0;
}

typedef struct adding {
    lf_tokenizer *t;
    const cJSON *names;
    const char *path;
    cJSON *made;  /* a list: tokens that the file has as mere text */
    bool changed; /* what tokenizer.json says of a token */
    lf_err *err;
} adding;

/* A name's token, as text or object: special whatever it says. */
static lf_status add_special(adding *a, const cJSON *v) {
    const char *content = cJSON_GetStringValue(cJSON_IsObject(v) ? cJSON_GetObjectItemCaseSensitive(v, "content") : v);
    if (!content || !*content || is_added(a->t, content)) return LF_OK;
    lf_obj o = cJSON_IsObject(v) ? lf_obj_of(cJSON_Duplicate(v, true)) : lf_obj_new();
    if (!cJSON_IsObject(v)) lf_obj_string(&o, "content", content);
    lf_obj_drop(&o, "special");
    lf_obj_bool(&o, "special", true);
    cJSON *token = lf_obj_take(&o);
    if (!token || !cJSON_AddItemToArray(a->made, token)) {
        cJSON_Delete(token);
        return lf_no_memory(a->err, "tokens");
    }
    return lf_tokenizer_add(a->t, token, lf_tokenizer_place(a->t, content), a->path, a->err);
}

typedef struct listed {
    int64_t id;
    const cJSON *token;
} listed;

static int by_id(const void *a, const void *b) {
    const listed *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* transformers lets the place win over the id that the file says; whoever wrote the id meant it. */
static lf_status wrong_id(const adding *a, const char *content, const char *id, int64_t place) {
    return lf_fail(a->err, LF_EUNSUPPORTED,
                   "%s: key 'added_tokens_decoder': token \"%.100s\" has id %.20s here, and %" PRId64
                   " by tokenizer.json, which is the one that is read; make the two agree",
                   a->path, content, id, place);
}

static lf_status add_one_listed(adding *a, const listed *one) {
    const char *content = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one->token, "content"));
    if (!content) return lf_fail(a->err, LF_EDATA, "%s: key 'added_tokens_decoder': expected tokens by id", a->path);
    const int64_t place = lf_tokenizer_place(a->t, content);
    if (one->id != place) return wrong_id(a, content, one->token->string, place);
    if (!is_added(a->t, content)) return lf_tokenizer_add(a->t, one->token, place, a->path, a->err);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(one->token, LF_TOKEN_OF_OLDER_FILE))) return LF_OK;
    return lf_tokenizer_add_again(a->t, one->token, place, &a->changed, a->path, a->err);
}

static lf_status add_listed(adding *a) {
    const cJSON *decoder = cJSON_GetObjectItemCaseSensitive(a->names, "added_tokens_decoder"), *item;
    const size_t n = (size_t)cJSON_GetArraySize(decoder);
    listed *all = lf_malloc((n + 1) * sizeof *all);
    size_t i = 0;
    lf_status rc = all ? LF_OK : lf_no_memory(a->err, "tokens");
    cJSON_ArrayForEach(item, decoder) {
        char *end = NULL;
        if (rc) break;
        all[i].id = item->string ? strtoll(item->string, &end, 10) : -1;
        all[i++].token = item;
        if (!end || end == item->string || *end)
            rc = lf_fail(a->err, LF_EDATA, "%s: key 'added_tokens_decoder': expected tokens by id", a->path);
    }
    if (!rc) qsort(all, n, sizeof *all, by_id);
    for (i = 0; i < n && !rc; i++) rc = add_one_listed(a, &all[i]);
    lf_free(all);
    return rc;
}

/* "image_token" and the like: names that only some models have. */
static bool is_own_name(const cJSON *item) {
    const size_t n = strlen(item->string);
    if (!cJSON_IsString(item) || n < 6 || strcmp(item->string + n - 6, "_token") != 0) return false;
    for (int i = 0; i < LF_SPECIAL_NAMES; i++)
        if (!strcmp(item->string, lf_special_name_keys[i])) return false;
    return true;
}

static lf_status add_all(adding *a) {
    static const char *const more[] = {"extra_special_tokens", "additional_special_tokens"};
    const cJSON *item;
    lf_status rc = add_listed(a);
    for (int i = 0; i < LF_SPECIAL_NAMES && !rc; i++)
        rc = add_special(a, cJSON_GetObjectItemCaseSensitive(a->names, lf_special_name_keys[i]));
    cJSON_ArrayForEach(item, a->names) if (!rc && is_own_name(item)) rc = add_special(a, item);
    for (size_t i = 0; i < 2; i++)
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(a->names, more[i])) if (!rc) rc =
            add_special(a, item);
    return rc;
}

/* ---- what else changes ids ---- */

static lf_status refuse_splitting(const adding *a) {
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(a->names, "split_special_tokens"))) return LF_OK;
    return lf_fail(a->err, LF_EUNSUPPORTED,
                   "%s: key 'split_special_tokens': true is not supported: special tokens in a text are one token each",
                   a->path);
}

/* transformers does not follow these where there is a tokenizer.json; who set one may not know it. */
static lf_status warn_unfollowed(const adding *a) {
    const struct {
        const char *key, *name;
        int32_t id;
    } ends[] = {{"add_bos_token", "bos_token", a->t->bos}, {"add_eos_token", "eos_token", a->t->eos}};
    lf_ids ids = {0};
    lf_status rc = lf_tokenizer_encode(a->t, "a", 1, true, &ids, a->err);
    for (size_t i = 0; i < 2 && !rc; i++) {
        bool there = false;
        if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(a->names, ends[i].key)) || ends[i].id < 0) continue;
        for (int64_t k = 0; k < ids.n; k++) there = there || ids.ids[k] == ends[i].id;
        if (!there)
            lf_warn(
                "%s: '%s' is true, but the post-processor of tokenizer.json adds no %s, and it is that one which is "
                "followed, as in transformers",
                a->path, ends[i].key, ends[i].name);
    }
    lf_ids_free(&ids);
    return rc;
}

/* Which end of a text that is too long is cut off (lf_tokenizer_encode_pair). */
static lf_status read_side(const adding *a) {
    const char *side;
    const lf_status rc =
        lf_json_get_str(a->names, "truncation_side", a->t->truncates_left ? "left" : "right", &side, a->path, a->err);
    if (rc) return rc;
    if (strcmp(side, "left") != 0 && strcmp(side, "right") != 0)
        return lf_fail(a->err, LF_EDATA, "%s: key 'truncation_side': expected left or right, found \"%.20s\"", a->path,
                       side);
    a->t->truncates_left = side[0] == 'l';
    return LF_OK;
}

/* ---- all of it ---- */

static void read_ids(lf_tokenizer *t, const cJSON *names) {
    const struct {
        const char *key;
        int32_t *id;
    } ids[] = {{"bos_token", &t->bos},
               {"eos_token", &t->eos},
               {"pad_token", &t->pad},
               {"unk_token", &t->unk},
               {"mask_token", &t->mask}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const char *s = lf_special_name(names, ids[i].key);
        if (s && *s) *ids[i].id = lf_tokenizer_id(t, s);
    }
}

/* A name that is neither a token nor nothing. */
static lf_status check_names(const adding *a) {
    for (int i = 0; i < LF_SPECIAL_NAMES; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(a->names, lf_special_name_keys[i]);
        if (v && !cJSON_IsNull(v) && !lf_special_name(a->names, lf_special_name_keys[i]))
            return lf_fail(a->err, LF_EDATA, "%s: key '%s': expected a token", a->path, lf_special_name_keys[i]);
    }
    return LF_OK;
}

/* Where the class is BERT's, transformers makes its normalizer anew of this file's switches, whatever tokenizer.json
 * says. */
static lf_status read_switches(const adding *a, lf_step *s) {
    lf_status rc;
    if ((rc = lf_json_get_bool(a->names, "do_lower_case", true, &s->lower, a->path, a->err)) ||
        (rc = lf_json_get_bool(a->names, "tokenize_chinese_chars", true, &s->chinese, a->path, a->err)))
        return rc;
    return lf_json_get_bool(a->names, "strip_accents", s->lower, &s->accents, a->path, a->err);
}

static lf_status use_switches(adding *a) {
    const char *class = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(a->names, "tokenizer_class"));
    lf_status rc = LF_OK;
    if (!class || !strstr(class, "BertTokenizer")) return LF_OK;
    for (size_t i = 0; i < a->t->normalizers.n && !rc; i++) {
        lf_step *s = &a->t->normalizers.at[i];
        const lf_step old = *s;
        if (strcmp(s->kind->type, "BertNormalizer") != 0) continue;
        rc = read_switches(a, s);
        if (rc || (old.lower == s->lower && old.chinese == s->chinese && old.accents == s->accents)) continue;
        a->changed = true; /* added tokens are found in their normalized form */
        lf_warn(
            "%s: of a %.60s: to lower case: %s, accents removed: %s, Chinese characters set apart: %s; tokenizer.json "
            "says otherwise, but is not followed in this, as in transformers",
            a->path, class, s->lower ? "yes" : "no", s->accents ? "yes" : "no", s->chinese ? "yes" : "no");
    }
    return rc;
}

lf_status lf_tokenizer_use_names(lf_tokenizer *t, const cJSON *names, const char *path, lf_err *err) {
    const size_t first = t->added.n;
    adding a = {.t = t, .names = names, .path = path, .made = cJSON_CreateArray(), .err = err};
    lf_status rc = a.made ? LF_OK : lf_no_memory(err, "tokens");
    if (!rc && !(rc = refuse_splitting(&a)) && !(rc = check_names(&a)) && !(rc = read_side(&a)) &&
        !(rc = use_switches(&a)) && !(rc = add_all(&a)) &&
        !(rc = a.changed ? lf_tokenizer_index_all_added(t, err) : lf_tokenizer_index_added(t, first, err))) {
        read_ids(t, names);
        rc = warn_unfollowed(&a);
    }
    cJSON_Delete(a.made);
    return rc;
}
