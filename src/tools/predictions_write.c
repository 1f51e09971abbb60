/* Where predictions go: lines of JSON or CSV, a table, one object. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "tools/predictions.h"

/* ---- JSON ---- */

static lf_status write_jsonl(const lf_predictions *p, FILE *f, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < p->count && !rc; i++) {
        cJSON *one;
        if (!(rc = lf_predictions_json(&one, p, i, err))) rc = lf_json_write_line(f, one, err);
    }
    return rc;
}

/* One object, that holds the predictions or names the file that does. */
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
        if (p->holds) rc = lf_predictions_csv_list(f, lf_predictions_held(p, i), err);
        if (!rc && p->how->csv_more) rc = p->how->csv_more(f, p, i, err);
        if (rc) return rc;
        fputc('\n', f);
    }
    return LF_OK;
}

/* ---- where to ---- */

static lf_status write_whole(const lf_predictions *p, FILE *f, lf_err *err) { return print_object(p, NULL, f, err); }

/* The choices of the key output; each is also the ending of a file in it. */
static const struct format {
    const char *name;
    lf_status (*write)(const lf_predictions *p, FILE *f, lf_err *err);
} formats[] = {{"jsonl", write_jsonl}, {"csv", write_csv}, {"json", write_whole}};

static const struct format *format_named(const char *name) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcasecmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}

/* What was asked for; else what the file's name ends in, if that is a format; else the key's default. */
static const struct format *format_of(const lf_config *cfg, const char *path) {
    const char *dot = path && !lf_cfg_is_given(cfg, LF_output) ? strrchr(path, '.') : NULL;
    const struct format *f = dot ? format_named(dot + 1) : NULL;
    return f ? f : format_named(lf_cfg_str(cfg, LF_output));
}

static lf_status write_file(const lf_predictions *p, const struct format *format, const char *path, lf_err *err) {
    lf_atomic_file file;
    lf_status rc = lf_atomic_open(&file, path, err);
    if (rc) return rc;
    if (!(rc = format->write(p, file.f, err))) return lf_atomic_commit(&file, err);
    lf_atomic_abort(&file);
    return rc;
}

lf_status lf_predictions_deliver(const lf_predictions *p, const lf_config *cfg, FILE *out, lf_err *err) {
    const char *const path = lf_cfg_str(cfg, LF_output_file);
    const struct format *format = format_of(cfg, path);
    if (path) {
        const lf_status rc = write_file(p, format, path, err);
        if (rc) return rc;
        lf_info("%lld predictions are in %s", (long long)p->count, path);
    }
    if (lf_cfg_bool(cfg, LF_json)) return print_object(p, path, out, err);
    if (!path && lf_columns_of(out) && !lf_cfg_is_given(cfg, LF_output)) return lf_predictions_table(p, out, err);
    return path ? LF_OK : format->write(p, out, err);
}
