/* Patterns that come from files: up to a NUL one, then names and texts. As Python's, where PEFT has them (module
 * names), and as Oniguruma's, where tokenizers have them. One line of error, or matches that lie in order within the
 * text. */
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

static void choose(const cJSON *pattern, const char *name) {
    const lf_target_rules rules = {
        .target_modules = pattern, .exclude_modules = pattern, .layers_pattern = pattern, .source = ""};
    lf_targets *t = NULL;
    lf_err err = {0};
    bool hits[1] = {false}, excluded = false;
    lf_status rc = lf_targets_new(&t, &rules, &err);
    require((rc == LF_OK) == (t != NULL));
    if (t && lf_targets_count(t) == 1) rc = lf_targets_look(t, name, hits, &excluded, &err);
    require_said(rc, &err);
    require(rc == LF_OK || rc == LF_EUSAGE);
    lf_targets_free(t);
}

static void find_rank(const char *pattern, const char *name) {
    lf_patterns *p = NULL;
    lf_err err = {0};
    double value = 8;
    int64_t index = -1;
    cJSON *ranks = cJSON_CreateObject();
    require(ranks && cJSON_AddNumberToObject(ranks, pattern, 4));
    lf_status rc = lf_patterns_new(&p, ranks, "", "rank_pattern", &err);
    if (!rc) rc = lf_patterns_find(p, name, usual, &value, &index, &err);
    require_said(rc, &err);
    require(rc == LF_OK ? value == (index == 0 ? 4 : 8) : rc == LF_EUSAGE);
    lf_patterns_free(p);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    const fuzz_part pattern = take_part(&in), text = take_part(&in);
    if (pattern.n <= 300 && lf_utf8_invalid(pattern.s, pattern.n) == pattern.n) { /* what JSON can hold */
        cJSON *string = cJSON_CreateString(pattern.s);
        require(string != NULL);
        match_name(pattern.s, usual);
        match_name(pattern.s, text.s);
        choose(string, usual);
        find_rank(pattern.s, text.s);
        split(pattern.s, false, text.s, text.n);
        split(pattern.s, true, text.s, text.n);
        cJSON_Delete(string);
    }
    free(pattern.s);
    free(text.s);
    require(lf_alloc_live() == 0);
    return 0;
}
