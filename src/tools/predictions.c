#include "tools/predictions.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "eval/eval_internal.h"

/* Where several labels may hold, each has its score. */
void lf_predictions_of(lf_predictions *p, const lf_classifier *head, const lf_config *cfg) {
    const int64_t usual = head->problem == LF_MULTI_LABEL ? head->n_labels : 1,
                  asked = lf_cfg_is_set(cfg, LF_top_k) ? lf_cfg_i64(cfg, LF_top_k) : usual;
    p->names = head->labels;
    p->n_labels = head->n_labels;
    p->problem = head->problem;
    p->top_k = head->problem == LF_REGRESSION ? head->n_labels : asked < head->n_labels ? asked : head->n_labels;
}

bool lf_predictions_hold_class(const lf_predictions *p, int64_t i, int64_t c) {
    return p->holds ? p->holds[i * p->n_labels + c] : p->guesses[i * p->top_k].label == c;
}

lf_status lf_predictions_hold(lf_predictions *p, int64_t n, lf_err *err) {
    uint64_t all, each;
    p->indices = lf_calloc((size_t)n, sizeof *p->indices);
    p->guesses =
        lf_mul_overflow((uint64_t)n, (uint64_t)p->top_k, &all) ? NULL : lf_calloc((size_t)all, sizeof *p->guesses);
    const bool several = p->problem == LF_MULTI_LABEL;
    if (several && !lf_mul_overflow((uint64_t)n, (uint64_t)p->n_labels, &each))
        p->holds = lf_calloc((size_t)each, sizeof *p->holds);
    return p->indices && p->guesses && (p->holds || !several) ? LF_OK
                                                              : lf_no_memory(err, "%lld predictions", (long long)n);
}

void lf_predictions_free(lf_predictions *p) {
    lf_free(p->indices);
    lf_free(p->guesses);
    lf_free(p->holds);
    *p = (lf_predictions){0};
}

/* ---- guesses ---- */

/* What a logit says: the share of a class among all, how sure it is that a class holds, or the number itself. */
static double score_of(lf_problem problem, double logit, double log_sum) {
    if (problem == LF_REGRESSION) return logit;
    return problem == LF_MULTI_LABEL ? 1 / (1 + exp(-logit)) : exp(logit - log_sum);
}

bool lf_predictions_are_several_numbers(const lf_predictions *p) {
    return p->problem == LF_REGRESSION && p->n_labels > 1;
}

/* The top_k largest, the first of equals before the others; of several numbers all. */
static void choose(const lf_predictions *p, lf_guess *top, const float *logits, int64_t V) {
    const double log_sum = lf_log_sum_exp(logits, V);
    int64_t n = 0;
    if (lf_predictions_are_several_numbers(p)) {
        for (int32_t v = 0; v < V; v++) top[v] = (lf_guess){v, logits[v]};
        return;
    }
    for (int32_t v = 0; v < V; v++) {
        if (n == p->top_k && !(logits[v] > logits[top[n - 1].label])) continue;
        int64_t at = n < p->top_k ? n++ : n - 1;
        for (; at > 0 && logits[v] > logits[top[at - 1].label]; at--) top[at] = top[at - 1];
        top[at].label = v;
    }
    for (int64_t i = 0; i < n; i++) top[i].score = (float)score_of(p->problem, (double)logits[top[i].label], log_sum);
}

lf_status lf_predictions_add(void *predictions, const lf_example_batch *b, const float *features, const float *logits,
                             int64_t V, lf_err *err) {
    (void)features;
    (void)err;
    lf_predictions *p = predictions;
    for (int64_t i = 0; i < b->in.B; i++, p->count++) {
        p->indices[p->count] = b->indices[i];
        choose(p, p->guesses + p->count * p->top_k, logits + i * V, V);
        for (int64_t v = 0; v < V && p->holds; v++) p->holds[p->count * V + v] = logits[i * V + v] > 0;
    }
    return LF_OK;
}

/* ---- JSON ---- */

static void put_guess(lf_obj *o, const lf_predictions *p, const lf_guess *g) {
    if (p->problem != LF_REGRESSION) lf_obj_string(o, "label", p->names[g->label]);
    lf_obj_number(o, p->how->score, (double)g->score);
}

/* Those that hold, in the order of the labels. */
static cJSON *held_json(const lf_predictions *p, int64_t i) {
    lf_obj list = lf_list_new();
    for (int64_t c = 0; c < p->n_labels; c++)
        if (lf_predictions_hold_class(p, i, c)) lf_list_string(&list, p->names[c]);
    return lf_obj_take(&list);
}

static cJSON *numbers_json(const lf_predictions *p, const lf_guess *all) {
    lf_obj o = lf_obj_new();
    for (int64_t k = 0; k < p->top_k; k++) lf_obj_number(&o, p->names[k], (double)all[k].score);
    return lf_obj_take(&o);
}

static cJSON *guesses_json(const lf_predictions *p, const lf_guess *top) {
    lf_obj list = lf_list_new();
    for (int64_t k = 0; k < p->top_k; k++) {
        lf_obj one = lf_obj_new();
        put_guess(&one, p, &top[k]);
        lf_list_put(&list, lf_obj_take(&one));
    }
    return lf_obj_take(&list);
}

lf_status lf_predictions_json(cJSON **out, const lf_predictions *p, int64_t i, lf_err *err) {
    const lf_guess *top = p->guesses + i * p->top_k;
    lf_obj o = lf_obj_new();
    lf_status rc = p->how->put(&o, p, p->indices[i], err);
    const bool numbers = lf_predictions_are_several_numbers(p);
    if (!rc && !numbers) put_guess(&o, p, top);
    if (!rc && numbers) lf_obj_put(&o, "scores", numbers_json(p, top));
    if (!rc && p->holds) lf_obj_put(&o, "labels", held_json(p, i));
    if (!rc && p->how->put_more) rc = p->how->put_more(&o, p, i, err);
    if (!rc && p->top_k > 1 && !numbers) lf_obj_put(&o, "top_k", guesses_json(p, top));
    *out = lf_obj_take(&o);
    if (!rc) return LF_OK;
    cJSON_Delete(*out);
    *out = NULL;
    return rc;
}

static lf_status write_jsonl(const lf_predictions *p, FILE *f, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < p->count && !rc; i++) {
        cJSON *one;
        if (!(rc = lf_predictions_json(&one, p, i, err))) rc = lf_json_write_line(f, one, err);
    }
    return rc;
}

/* With `json`: one object, that holds the predictions or names the file that does. */
static lf_status print_object(const lf_predictions *p, const char *path, FILE *out, lf_err *err) {
    lf_obj o = lf_obj_new(), list = lf_list_new();
    lf_status rc = LF_OK;
    lf_obj_number(&o, "count", (double)p->count);
    lf_obj_number(&o, "skipped", (double)p->skipped);
    for (int64_t i = 0; i < p->count && !path && !rc; i++) {
        cJSON *one = NULL;
        if (!(rc = lf_predictions_json(&one, p, i, err))) lf_list_put(&list, one);
    }
    cJSON *predictions = lf_obj_take(&list);
    if (path) {
        lf_obj_string(&o, "output_file", path);
        cJSON_Delete(predictions);
    } else
        lf_obj_put(&o, "predictions", predictions);
    cJSON *all = lf_obj_take(&o);
    if (!rc) return lf_json_write_line(out, all, err);
    cJSON_Delete(all);
    return rc;
}

/* ---- CSV ---- */

/* "a,b", and where the right ones are known "true a,true b". */
static void csv_heading_of_numbers(const lf_predictions *p, FILE *f) {
    fputs(p->how->columns, f);
    for (int known = 0; known < (p->how->csv_more ? 2 : 1); known++)
        for (int64_t k = 0; k < p->top_k; k++) {
            char name[256];
            snprintf(name, sizeof name, "%s%.200s", known ? "true " : "", p->names[k]);
            fputc(',', f);
            lf_csv_text(f, name);
        }
    fputc('\n', f);
}

static void csv_heading(const lf_predictions *p, FILE *f) {
    if (lf_predictions_are_several_numbers(p)) {
        csv_heading_of_numbers(p, f);
        return;
    }
    fprintf(f, "%s%s,%s", p->how->columns, p->problem == LF_REGRESSION ? "" : ",label", p->how->score);
    for (int64_t k = 1; k < p->top_k; k++) fprintf(f, ",label_%" PRId64 ",%s_%" PRId64, k + 1, p->how->score, k + 1);
    if (p->holds) fputs(",labels", f);
    if (p->how->more_columns) fputs(p->how->more_columns, f);
    fputc('\n', f);
}

/* As a list in JSON, which is how a table of labels is read. */
lf_status lf_predictions_csv_list(FILE *f, cJSON *list, lf_err *err) {
    char *text = list ? lf_json_print_line(list) : NULL;
    cJSON_Delete(list);
    if (!text) return lf_no_memory(err, "the predictions");
    fputc(',', f);
    lf_csv_text(f, text);
    lf_free(text);
    return LF_OK;
}

static lf_status write_csv(const lf_predictions *p, FILE *f, lf_err *err) {
    csv_heading(p, f);
    for (int64_t i = 0; i < p->count; i++) {
        lf_status rc = p->how->csv(f, p, p->indices[i], err);
        if (rc) return rc;
        for (int64_t k = 0; k < p->top_k; k++) {
            const lf_guess *g = &p->guesses[i * p->top_k + k];
            if (p->problem != LF_REGRESSION) {
                fputc(',', f);
                lf_csv_text(f, p->names[g->label]);
            }
            fprintf(f, ",%.6g", (double)g->score);
        }
        if (p->holds) rc = lf_predictions_csv_list(f, held_json(p, i), err);
        if (!rc && p->how->csv_more) rc = p->how->csv_more(f, p, i, err);
        if (rc) return rc;
        fputc('\n', f);
    }
    return LF_OK;
}

/* ---- where to ---- */

static lf_status write_lines(const lf_predictions *p, const char *format, FILE *f, lf_err *err) {
    return strcmp(format, "csv") == 0 ? write_csv(p, f, err) : write_jsonl(p, f, err);
}

static lf_status write_file(const lf_predictions *p, const char *format, const char *path, lf_err *err) {
    lf_atomic_file file;
    lf_status rc = lf_atomic_open(&file, path, err);
    if (rc) return rc;
    if (!(rc = write_lines(p, format, file.f, err))) return lf_atomic_commit(&file, err);
    lf_atomic_abort(&file);
    return rc;
}

lf_status lf_predictions_deliver(const lf_predictions *p, const lf_config *cfg, FILE *out, lf_err *err) {
    const char *const path = lf_cfg_str(cfg, LF_output_file), *const format = lf_cfg_str(cfg, LF_output);
    if (path) {
        const lf_status rc = write_file(p, format, path, err);
        if (rc) return rc;
        lf_info("%lld predictions are in %s", (long long)p->count, path);
    }
    if (lf_cfg_bool(cfg, LF_json)) return print_object(p, path, out, err);
    if (!path && lf_columns_of(out) && !lf_cfg_is_given(cfg, LF_output)) return lf_predictions_table(p, out, err);
    return path ? LF_OK : write_lines(p, format, out, err);
}
