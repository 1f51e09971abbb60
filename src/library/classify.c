/* Classes and numbers of texts and pictures that a program has. */
#include <math.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/obj.h"
#include "library/records.h"
#include "library/session.h"

static lf_status no_classes(const lf_session *s, const char *what, lf_err *err) {
    const lf_model *m = s->opened.model;
    return lf_fail(err, LF_EUNSUPPORTED, "%s: a model of type '%s' says no classes of %s%s", m->config_path,
                   m->family->model_type, what, lf_session_writes(s) ? "; score and generate are for it" : "");
}

static lf_predictor predictor_of(const lf_session *s) {
    return (lf_predictor){.cfg = s->cfg, .model = s->opened.model, .g = s->opened.g, .head = s->head, .what = ""};
}

/* All labels of every input, whatever top_k says. */
static lf_predictions all_labels(const lf_session *s) {
    lf_predictions p = {0};
    lf_predictions_of(&p, s->head, s->cfg);
    p.top_k = p.n_labels;
    return p;
}

static void put_scores(float *scores, const lf_predictions *p, int64_t n) {
    for (int64_t i = 0; i < n * p->n_labels; i++) scores[i] = NAN;
    for (int64_t i = 0; i < p->count; i++)
        for (int64_t k = 0; k < p->top_k; k++) {
            const lf_guess *g = &p->guesses[i * p->top_k + k];
            scores[p->indices[i] * p->n_labels + g->label] = g->score;
        }
}

/* ---- texts ---- */

static lf_status open_records(lf_text_dataset **out, const cJSON *records, lf_err *err) {
    const lf_text_labelling how = {.labels = LF_TEXT_LABELS_IGNORED};
    const lf_text_dataset_opts opts = {.records = records, .key = LF_GIVEN_TEXTS, .labelling = &how};
    return lf_text_dataset_open(out, &opts, err);
}

static lf_status classify_texts(const lf_session *s, const lf_text *texts, int64_t n, float *scores, lf_err *err) {
    static const lf_record_names names = {.alone = "text", .first = "sentence1", .second = "sentence2"};
    const lf_predictor by = predictor_of(s);
    lf_predictions p = all_labels(s);
    lf_text_dataset *d = NULL;
    cJSON *records;
    lf_status rc;
    if (!(rc = lf_records_of(&records, texts, n, &names, err)) && !(rc = open_records(&d, records, err)) &&
        !(rc = lf_predict_all_texts(&p, d, lf_language_of(s->task)->text, &by, err)))
        put_scores(scores, &p, n);
    lf_predictions_free(&p);
    lf_text_dataset_free(d);
    cJSON_Delete(records);
    return rc;
}

lf_status lf_session_classify_texts(lf_session *s, const lf_text *texts, int64_t n, float *scores, lf_err *err) {
    if (!s->head || !s->task) return no_classes(s, "texts", err);
    if (n <= 0) return LF_OK;
    lf_status rc = lf_session_begin(s, err);
    if (rc) return rc;
    return lf_call_end(classify_texts(s, texts, n, scores, err));
}

/* ---- pictures ---- */

static lf_status list_of(cJSON **out, const char *const *paths, int64_t n, lf_err *err) {
    lf_obj list = lf_list_new();
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < n && !rc; i++) {
        if (!paths[i])
            rc = lf_fail(err, LF_EUSAGE, "paths[%lld]: there is no path", (long long)i);
        else if (!lf_is_file(paths[i]))
            rc = lf_fail(err, LF_ENOTFOUND, "paths[%lld]: %s: there is no such file", (long long)i, paths[i]);
        else
            lf_list_put(&list, cJSON_CreateString(paths[i]));
    }
    *out = lf_obj_take(&list);
    return rc || *out ? rc : lf_no_memory(err, "%lld paths", (long long)n);
}

/* A file may hold more than a picture. */
static lf_status open_pictures(lf_dataset **out, const cJSON *paths, int64_t n, lf_err *err) {
    const lf_dataset_opts opts = {.spec = paths, .key = "paths", .unlabelled = true};
    const lf_status rc = lf_dataset_open(out, &opts, err);
    if (rc || lf_dataset_count(*out) == n) return rc;
    return lf_fail(err, LF_EDATA, "%lld paths have %lld pictures; expected one in each", (long long)n,
                   (long long)lf_dataset_count(*out));
}

static lf_status classify_pictures(const lf_session *s, const char *const *paths, int64_t n, float *scores,
                                   lf_err *err) {
    const lf_predictor by = predictor_of(s);
    lf_predictions p = all_labels(s);
    lf_dataset *d = NULL;
    cJSON *spec;
    lf_status rc;
    if (!(rc = list_of(&spec, paths, n, err)) && !(rc = open_pictures(&d, spec, n, err)) &&
        !(rc = lf_predict_all_pictures(&p, d, &s->processor, &by, err)))
        put_scores(scores, &p, n);
    lf_predictions_free(&p);
    lf_dataset_free(d);
    cJSON_Delete(spec);
    return rc;
}

lf_status lf_session_classify_pictures(lf_session *s, const char *const *paths, int64_t n, float *scores, lf_err *err) {
    if (!s->head || s->task) return no_classes(s, "pictures", err);
    if (n <= 0) return LF_OK;
    lf_status rc = lf_session_begin(s, err);
    if (rc) return rc;
    return lf_call_end(classify_pictures(s, paths, n, scores, err));
}
