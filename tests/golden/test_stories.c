/* A really trained model, stories260K in Hugging Face form with its reference (ids, -log p of each token, a greedy
 * story): found beside the project, in ../shared/data or LF_SHARED_DATA, and skipped where it is not. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "graph/lm_score.h"
#include "model/model.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        lf_err err = {0};                                                                                              \
        if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message);                                              \
    } while (0)

enum { MOST = 512 };

static const char *folder(void) {
    static char path[1024];
    const char *data = getenv("LF_SHARED_DATA");
    if (data)
        snprintf(path, sizeof path, "%s/models/stories260K", data);
    else
        snprintf(path, sizeof path, "%s/../shared/data/models/stories260K", LF_SOURCE_DIR);
    return lf_is_dir(path) ? path : NULL;
}

typedef struct fixture {
    lf_model *m;
    lf_graph *g;
    cJSON *reference;
    int32_t ids[MOST], positions[MOST];
} fixture;

/* false: not here */
static bool open_stories(fixture *f, const lf_kernels *k) {
    char path[1100];
    *f = (fixture){0};
    if (!folder()) {
        print_message("[  SKIPPED ] stories260K is not beside the project\n");
        return false;
    }
    snprintf(path, sizeof path, "%s/hf", folder());
    OK(lf_model_open(&f->m, path, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    snprintf(path, sizeof path, "%s/reference.json", folder());
    OK(lf_json_read(&f->reference, path, &err));
    f->g = lf_graph_new(k, 1);
    for (int i = 0; i < MOST; i++) f->positions[i] = i;
    return true;
}

static void close_stories(fixture *f) {
    lf_graph_free(f->g);
    lf_model_free(f->m);
    cJSON_Delete(f->reference);
}

static int64_t read_ids(int32_t *out, const cJSON *list) {
    int64_t n = 0;
    const cJSON *id;
    cJSON_ArrayForEach(id, list) out[n++] = (int32_t)id->valuedouble;
    return n;
}

static void check_nll(const lf_kernels *k, double tolerance) {
    fixture f;
    if (!open_stories(&f, k)) skip();
    lf_lm_head head;
    lf_model_lm_head(f.m, false, &head);
    const cJSON *text;
    cJSON_ArrayForEach(text, cJSON_GetObjectItemCaseSensitive(f.reference, "texts")) {
        static lf_label_score tokens[MOST];
        int32_t labels[MOST];
        const cJSON *nll = cJSON_GetObjectItemCaseSensitive(text, "nll");
        const int64_t n = read_ids(f.ids, cJSON_GetObjectItemCaseSensitive(text, "ids"));
        for (int64_t i = 0; i < n; i++) labels[i] = i + 1 < n ? f.ids[i + 1] : -1;
        lf_graph_begin(f.g, false, false, 0);
        const lf_pass pass = {.in = {.B = 1, .T = n, .ids = f.ids, .positions = f.positions}};
        lf_tensor *hidden = lf_lm_hidden(f.m, f.g, &pass);
        OK(lf_graph_status(f.g, &err));
        OK(lf_lm_score(f.g, hidden->data, &head, NULL, NULL, labels, n, tokens));
        for (int64_t i = 0; i + 1 < n; i++) {
            const double want = cJSON_GetArrayItem(nll, (int)i)->valuedouble;
            if (!(fabs(tokens[i].nll - want) <= tolerance * (1 + want)))
                fail_msg("%s: token %lld: nll %.6f, expected %.6f", k->name, (long long)i, tokens[i].nll, want);
        }
    }
    close_stories(&f);
}

static void test_nll(void **state) {
    (void)state;
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    for (int i = 0; i < n; i++) check_nll(k[i], 1e-4);
    const int m = lf_kernels_available("bf16", k, 8);
    for (int i = 0; i < m; i++) check_nll(k[i], 0.15);
}

/* The most likely token after each other, through the cache: the prompt is one token, and then three at a time would do
 * as well. */
static void test_greedy_story(void **state) {
    (void)state;
    fixture f;
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    if (!open_stories(&f, k)) skip();
    const cJSON *greedy = cJSON_GetObjectItemCaseSensitive(f.reference, "greedy_from_bos");
    int32_t want[MOST];
    const int64_t n = read_ids(want, greedy);
    lf_kv_cache *cache;
    OK(lf_kv_cache_new(&cache, f.m, n, &err));
    lf_lm_head head;
    lf_model_lm_head(f.m, false, &head);
    for (int64_t i = 0; i + 1 < n; i++) {
        lf_label_score token;
        lf_graph_begin(f.g, false, false, 0);
        lf_tensor *hidden = lf_lm_hidden_cached(f.m, f.g, want + i, 1, cache);
        OK(lf_graph_status(f.g, &err));
        OK(lf_lm_score(f.g, hidden->data, &head, NULL, NULL, want + i + 1, 1, &token));
        if (!token.correct) fail_msg("token %lld of the story is not the most likely one", (long long)i + 1);
    }
    assert_int_equal(lf_kv_cache_count(cache), n - 1);
    lf_kv_cache_free(cache);
    close_stories(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nll), cmocka_unit_test(test_greedy_story)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
