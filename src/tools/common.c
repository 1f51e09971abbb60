#include "tools/common.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- opening ---- */

static lf_status make_head(lf_opened *o, int64_t labels, const char *const *names, lf_err *err) {
    lf_arena *arena = lf_arena_new();
    const char **made = arena ? lf_arena_alloc(arena, (size_t)labels * sizeof *made) : NULL;
    for (int64_t i = 0; made && i < labels; i++) {
        char unnamed[32];
        snprintf(unnamed, sizeof unnamed, "LABEL_%lld", (long long)i);
        if (!(made[i] = lf_arena_strdup(arena, names ? names[i] : unnamed))) made = NULL;
    }
    const lf_status rc = made ? lf_model_new_head(o->model, labels, made, 0, err)
                              : lf_fail(err, LF_ENOMEM, "out of memory for %lld labels", (long long)labels);
    lf_arena_free(arena);
    return rc;
}

static lf_status apply_adapter(lf_opened *o, const char *dir, lf_err *err) {
    lf_status rc = lf_adapter_open(&o->file, dir, err);
    if (rc) return rc;
    const char *const *names;
    const int64_t labels = lf_adapter_file_labels(o->file, &names);
    if (labels > 0 && (rc = make_head(o, labels, names, err))) return rc;
    return lf_adapter_apply(&o->adapter, o->file, &o->model->nn, labels > 0 ? o->model->head : NULL, o->model->hash,
                            err);
}

lf_status lf_opened_open(lf_opened *o, const lf_config *cfg, lf_load load, lf_err *err) {
    *o = (lf_opened){.threads = lf_threads_set((int)lf_cfg_i64(cfg, "threads"))};
    const char *adapter = lf_cfg_str(cfg, "adapter");
    const char *precision =
        load == LF_LOAD_NOTHING ? "fp32" : lf_cfg_str(cfg, "precision"); /* merge computes nothing */
    lf_status rc;
    if ((rc = lf_kernels_select(&o->k, precision, err)) ||
        (rc = lf_model_open(&o->model, lf_cfg_str(cfg, "model"), o->k, load, err)) ||
        (adapter && (rc = apply_adapter(o, adapter, err))))
        return rc;
    o->g = lf_graph_new(o->k, 0);
    return o->g ? LF_OK : lf_fail(err, LF_ENOMEM, "out of memory");
}

void lf_opened_close(lf_opened *o) {
    lf_graph_free(o->g);
    lf_adapter_close(o->file);
    lf_adapter_free(o->adapter);
    lf_model_free(o->model);
    *o = (lf_opened){0};
}

/* ---- JSON ---- */

lf_status lf_print_json(FILE *out, cJSON *o, lf_err *err) {
    char *text = o ? lf_json_print_line(o) : NULL;
    if (text) fprintf(out, "%s\n", text);
    lf_free(text);
    cJSON_Delete(o);
    return text ? LF_OK : lf_fail(err, LF_ENOMEM, "out of memory for the results");
}

bool lf_put(cJSON *object, const char *key, cJSON *item) {
    if (object && item && cJSON_AddItemToObject(object, key, item)) return true;
    cJSON_Delete(item);
    return false;
}

bool lf_put_to_array(cJSON *array, cJSON *item) {
    if (array && item && cJSON_AddItemToArray(array, item)) return true;
    cJSON_Delete(item);
    return false;
}

bool lf_put_number(cJSON *object, const char *key, double value) {
    return lf_put(object, key, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

bool lf_put_string(cJSON *object, const char *key, const char *value) {
    return lf_put(object, key, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

bool lf_put_text(cJSON *object, const char *key, const char *text, size_t n) {
    return lf_put(object, key, lf_json_create_text(text, n));
}

double lf_peak_rss_mb(void) { return (double)lf_peak_rss_bytes() / (1024.0 * 1024.0); }
