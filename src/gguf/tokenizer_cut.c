/* What a tokenizer.json does before it merges, in llama.cpp's words. Its lists of steps are compared with the few that
 * llama.cpp has; all others are refused by name, because it would make other tokens of the same text in silence. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "gguf/tokenizer.h"

typedef struct step_list {
    const cJSON *at[4];
    int n; /* beyond the array: more than llama.cpp ever has */
} step_list;

static const char *type_of(const cJSON *step) {
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(step, "type"));
    return type ? type : "";
}

/* The steps of a key, one by one whether it is a Sequence or a step. */
static step_list steps_of(const cJSON *root, const char *key, const char *members) {
    const cJSON *top = cJSON_GetObjectItemCaseSensitive(root, key), *item;
    step_list s = {0};
    if (!cJSON_IsObject(top)) return s;
    if (strcmp(type_of(top), "Sequence") != 0) {
        s.at[s.n++] = top;
        return s;
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(top, members)) {
        if (s.n < 4) s.at[s.n] = item;
        s.n++;
    }
    return s;
}

static bool is_string(const cJSON *o, const char *key, const char *value) {
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    return s && strcmp(s, value) == 0;
}

static bool flag(const cJSON *o, const char *key, bool fallback) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : fallback;
}

static lf_status unknown(const cJSON *root, const char *path, const char *key, lf_err *err) {
    char *text = lf_json_print_line(cJSON_GetObjectItemCaseSensitive(root, key));
    const lf_status rc = lf_fail(err, LF_EUNSUPPORTED,
                                 "%s: key '%s': llama.cpp has no tokenizer that does this (its file has a name alone, "
                                 "no rules): %.200s",
                                 path, key, text ? text : "");
    cJSON_free(text);
    return rc;
}

/* ---- byte pairs ---- */

static bool is_bytes(const cJSON *step, bool words) {
    return strcmp(type_of(step), "ByteLevel") == 0 && !flag(step, "add_prefix_space", true) &&
           flag(step, "use_regex", true) == words;
}

static bool is_split_by(const cJSON *step, const char *pattern) {
    return strcmp(type_of(step), "Split") == 0 && is_string(step, "behavior", "Isolated") &&
           !flag(step, "invert", false) &&
           is_string(cJSON_GetObjectItemCaseSensitive(step, "pattern"), "Regex", pattern);
}

static bool is_digits(const cJSON *step) {
    return strcmp(type_of(step), "Digits") == 0 && flag(step, "individual_digits", false);
}

static bool does(const step_list *s, const char *steps, const char *pattern) {
    if (strcmp(steps, "words") == 0) return s->n == 1 && is_bytes(s->at[0], true);
    if (strcmp(steps, "digits words") == 0) return s->n == 2 && is_digits(s->at[0]) && is_bytes(s->at[1], true);
    return s->n == 2 && is_split_by(s->at[0], pattern) && is_bytes(s->at[1], false);
}

static lf_status cut_bytes(lf_gguf_cut *out, const cJSON *root, const cJSON *model, const char *path, lf_err *err) {
    static const struct {
        const char *name, *steps;
        bool ignore_merges;
        const char *pattern;
    } known[] = {
#define LF_GGUF_PRE(name, steps, ignore_merges, pattern) {name, steps, ignore_merges, pattern},
#include "gguf/pretokenizers.def"
#undef LF_GGUF_PRE
    };
    const step_list normal = steps_of(root, "normalizer", "normalizers"),
                    pre = steps_of(root, "pre_tokenizer", "pretokenizers");
    const bool ignores = flag(model, "ignore_merges", false);
    /* NFC is not done by llama.cpp: it matters only to texts that are not in that form, which hardly any are. */
    if (normal.n && !(normal.n == 1 && strcmp(type_of(normal.at[0]), "NFC") == 0))
        return unknown(root, path, "normalizer", err);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].ignore_merges == ignores && does(&pre, known[i].steps, known[i].pattern)) {
            out->pre = known[i].name;
            return LF_OK;
        }
    return unknown(root, path, "pre_tokenizer", err);
}

/* ---- pieces ---- */

static bool is_replace(const cJSON *step) {
    return strcmp(type_of(step), "Replace") == 0 && is_string(step, "content", LF_GGUF_SPACE) &&
           is_string(cJSON_GetObjectItemCaseSensitive(step, "pattern"), "String", " ");
}

static bool is_prepend(const cJSON *step) {
    return strcmp(type_of(step), "Prepend") == 0 && is_string(step, "prepend", LF_GGUF_SPACE);
}

/* Gemma's, behind Replace: there are no spaces left to split at. */
static bool is_idle_split(const cJSON *step) {
    return strcmp(type_of(step), "Split") == 0 &&
           is_string(cJSON_GetObjectItemCaseSensitive(step, "pattern"), "String", " ");
}

/* prepend_scheme counts before the older add_prefix_space. */
static bool metaspace_prepends(const cJSON *step) {
    if (cJSON_GetObjectItemCaseSensitive(step, "prepend_scheme")) return !is_string(step, "prepend_scheme", "never");
    return flag(step, "add_prefix_space", true);
}

static lf_status cut_pieces(lf_gguf_cut *out, const cJSON *root, const char *path, lf_err *err) {
    const step_list normal = steps_of(root, "normalizer", "normalizers"),
                    pre = steps_of(root, "pre_tokenizer", "pretokenizers");
    out->pieces = true;
    out->pre = "default";
    if (normal.n == 0 && pre.n == 1 && strcmp(type_of(pre.at[0]), "Metaspace") == 0) {
        out->space = metaspace_prepends(pre.at[0]);
        const bool whole =
            !flag(pre.at[0], "split", true); /* split: no piece reaches over a space, but its own first */
        return whole && is_string(pre.at[0], "replacement", LF_GGUF_SPACE) ? LF_OK
                                                                           : unknown(root, path, "pre_tokenizer", err);
    }
    out->space = normal.n == 2 && is_prepend(normal.at[0]) && is_replace(normal.at[1]);
    if (!out->space && !(normal.n == 1 && is_replace(normal.at[0]))) return unknown(root, path, "normalizer", err);
    return pre.n == 0 || (pre.n == 1 && is_idle_split(pre.at[0])) ? LF_OK : unknown(root, path, "pre_tokenizer", err);
}

lf_status lf_gguf_cut_of(lf_gguf_cut *out, const cJSON *root, const char *path, lf_err *err) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(root, "model");
    *out = (lf_gguf_cut){0};
    if (strcmp(type_of(model), "BPE") != 0)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: a tokenizer of type '%s' does not go into GGUF here; BPE does", path,
                       type_of(model));
    for (int i = 0; i < 2; i++) {
        const char *affix = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(model, affixes[i]));
        if (affix && *affix)
            return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': llama.cpp has no such", path, affixes[i]);
    }
    return flag(model, "byte_fallback", false) ? cut_pieces(out, root, path, err)
                                               : cut_bytes(out, root, model, path, err);
}
