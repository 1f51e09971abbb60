/* Patterns that come from files: up to a NUL one, then a name or a text, then rules in JSON. As Python's, where PEFT
 * has them (module names), and as Oniguruma's, where tokenizers have them. One line of error, or matches that lie in
 * order within the text. */
#include "adapter/regex.h"
#include "adapter/targets.h"
#include "base/json.h"
#include "base/string.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "text/pattern.h"

static const char usual[] = "model.layers.12.self_attn.q_proj",
                  words[] = " ab\xc3\xa9 12.\r\n I'll THE\xf0\x9f\xa6\x99 e\xcc\x81\xcc\xa3 \xe1\xa0\x8e_x";

/* ---- names of modules ---- */

static void match_name(const char *pattern, const char *name) {
    lf_regex *r = NULL;
    lf_err err = {0};
    bool hit = false;
    int64_t layer = -1;
    lf_status rc = lf_regex_new(&r, "(?:.*\\.)?(?:", pattern, ")(?:\\.(?<layer>\\d+))?", "fuzz", &err);
    require((rc == LF_OK) == (r != NULL));
    if (r) rc = lf_regex_match_number(r, name, &hit, &layer, &err);
    require_said(rc, &err);
    require(rc == LF_OK || rc == LF_EUSAGE);
    require(layer >= -1 && (hit || layer < 0));
    lf_regex_free(r);
}

/* What the rules make of a name, and whether they are what they were given as. */
static void look(const lf_targets *t, const char *name) {
    const int64_t n = lf_targets_count(t);
    bool *hits = calloc((size_t)n + 1, sizeof *hits), excluded = false, any = false;
    lf_err err = {0};
    require(hits != NULL);
    const lf_status rc = lf_targets_look(t, name, hits, &excluded, &err);
    require_said(rc, &err);
    require(rc == LF_OK || rc == LF_EUSAGE);
    for (int64_t i = 0; i < n; i++) any = any || hits[i];
    require(!(excluded && any));
    free(hits);
}

static void choose(const lf_target_rules *rules, const char *name, const char *other) {
    lf_targets *t = NULL;
    lf_err err = {0};
    const lf_status rc = lf_targets_new(&t, rules, &err);
    require_said(rc, &err);
    require((rc == LF_OK) == (t != NULL) && (rc == LF_OK || rc == LF_EUSAGE));
    if (!t) return;
    for (int64_t i = 0; i < lf_targets_count(t); i++) require(lf_targets_pattern(t, i) != NULL);
    for (int64_t i = 0; i < lf_targets_layers(t); i++) require(lf_targets_wants_layer(t, lf_targets_layer(t, i)));
    (void)lf_targets_all_linear(t);
    look(t, name);
    look(t, other);
    lf_targets_free(t);
}

/* All rules of an object of JSON, as adapter_config.json has them. */
static void choose_by(const cJSON *o, const char *name) {
    const lf_target_rules rules = {.target_modules = cJSON_GetObjectItemCaseSensitive(o, "target_modules"),
                                   .exclude_modules = cJSON_GetObjectItemCaseSensitive(o, "exclude_modules"),
                                   .layers_to_transform = cJSON_GetObjectItemCaseSensitive(o, "layers_to_transform"),
                                   .layers_pattern = cJSON_GetObjectItemCaseSensitive(o, "layers_pattern"),
                                   .source = "fuzz: "};
    choose(&rules, usual, name);
}

static void find_in(const cJSON *patterns, const char *name) {
    static const char *const keys[] = {"rank_pattern", "alpha_pattern"};
    for (size_t k = 0; k < 2; k++) {
        lf_patterns *p = NULL;
        lf_err err = {0};
        double value = -8;
        int64_t index = -1;
        lf_status rc = lf_patterns_new(&p, patterns, "", keys[k], &err);
        if (!rc) rc = lf_patterns_find(p, name, usual, &value, &index, &err);
        require_said(rc, &err);
        require(rc == LF_OK || rc == LF_EUSAGE);
        require(rc || (index < 0 ? value == -8 : value > 0 && index < lf_patterns_count(p)));
        for (int64_t i = 0; p && i < lf_patterns_count(p); i++) require(lf_patterns_at(p, i) != NULL);
        lf_patterns_free(p);
    }
}

static void find_rank(const char *pattern, const char *name) {
    cJSON *ranks = cJSON_CreateObject();
    require(ranks && cJSON_AddNumberToObject(ranks, pattern, 4));
    find_in(ranks, name);
    cJSON_Delete(ranks);
}

/* ---- tokenizers ---- */

static void search(const lf_pattern *p, const char *text, size_t n) {
    lf_matcher *m = lf_matcher_new();
    lf_search at = {0};
    lf_err err = {0};
    bool hit = true;
    lf_status rc = LF_OK;
    require(m != NULL);
    for (size_t last = 0; !rc && hit; last = at.end) {
        rc = lf_pattern_next(p, m, text, n, &at, &hit, &err);
        require(rc || !hit || (last <= at.end && at.begin <= n && at.end <= n));
    }
    require_said(rc, &err);
    require(rc == LF_OK || rc == LF_EDATA);
    lf_matcher_free(m);
}

static void split(const char *pattern, bool literal, const char *text, size_t n) {
    lf_pattern *p = NULL;
    lf_err err = {0};
    const lf_status rc = lf_pattern_new(&p, pattern, literal, "fuzz", &err);
    require_said(rc, &err);
    require((rc == LF_OK) == (p != NULL) && (rc == LF_OK || rc == LF_EDATA || rc == LF_EUNSUPPORTED));
    if (p) {
        require(lf_pattern_is_literal(p) == literal);
        search(p, words, sizeof words - 1);
        if (lf_utf8_invalid(text, n) == n) search(p, text, n);
    }
    lf_pattern_free(p);
}

static void use_pattern(fuzz_part pattern, fuzz_part text) {
    cJSON *string = cJSON_CreateString(pattern.s);
    const lf_target_rules taken = {.target_modules = string, .source = ""},
                          left_out = {.target_modules = string, .exclude_modules = string, .source = ""};
    require(string != NULL);
    match_name(pattern.s, usual);
    match_name(pattern.s, text.s);
    (void)lf_name_ends(text.s, pattern.s);
    choose(&taken, usual, text.s);
    choose(&left_out, usual, text.s);
    find_rank(pattern.s, text.s);
    split(pattern.s, false, text.s, text.n);
    split(pattern.s, true, text.s, text.n);
    cJSON_Delete(string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    cJSON *rules = NULL;
    lf_log_set_level(LF_LOG_QUIET);
    const fuzz_part pattern = take_part(&in), text = take_part(&in), json = take_part(&in);
    if (pattern.n <= 300 && lf_utf8_invalid(pattern.s, pattern.n) == pattern.n) /* what JSON can hold */
        use_pattern(pattern, text);
    if (json.n && lf_json_parse(&rules, json.s, json.n, "fuzz", NULL) == LF_OK) {
        choose_by(rules, text.s);
        find_in(cJSON_GetObjectItemCaseSensitive(rules, "rank_pattern"), text.s);
        cJSON_Delete(rules);
    }
    free(pattern.s);
    free(text.s);
    free(json.s);
    require(lf_alloc_live() == 0);
    return 0;
}
