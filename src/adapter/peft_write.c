/* Adapter folders as PEFT reads them: always a plain LoRA on the untouched base. A start that is residual is written as
 * Ahat = [A; A - A0], Bhat = [B - B0, B0]: twice the rank, the same update, and no cancellation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/adapter_internal.h"
#include "adapter/peft_readme.h"
#include "adapter/targets.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

typedef struct writing {
    const lf_adapter *a; /* NULL: a head alone */
    const lf_nn *nn;
    const lf_adapter_facts *facts;
    const char *dir; /* aside, as yet */
} writing;

static const char *written_name(const writing *w, const lf_module *m) {
    return w->facts->old_names ? m->alias : m->name;
}
static int64_t written_rank(const writing *w, int64_t r) { return w->a->residual ? 2 * r : r; }
static double alpha_factor(const writing *w) { return !w->a->residual ? 1 : w->a->use_rslora ? sqrt(2) : 2; }

/* ---- JSON ---- */

static bool put(cJSON *object, const char *key, cJSON *item) {
    if (object && item && cJSON_AddItemToObject(object, key, item)) return true;
    cJSON_Delete(item);
    return false;
}
static bool append(cJSON *array, cJSON *item) {
    if (array && item && cJSON_AddItemToArray(array, item)) return true;
    cJSON_Delete(item);
    return false;
}
static cJSON *string_or_null(const char *s) { return s ? cJSON_CreateString(s) : cJSON_CreateNull(); }

static lf_status write_json(const writing *w, const char *name, const cJSON *json, lf_err *err) {
    return lf_json_write_in(w->dir, name, json, true, err);
}

/* ---- adapter_config.json ---- */

static const char *leaf_of(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Do these suffixes select the adapter's modules and no other? */
static bool selects_the_same(const writing *w, const char *const *suffixes, int64_t n) {
    for (int64_t i = 0; i < w->nn->n_modules; i++) {
        bool hit = false;
        for (int64_t k = 0; k < n && !hit; k++) hit = lf_name_ends(written_name(w, w->nn->modules[i]), suffixes[k]);
        if (hit != (w->nn->modules[i]->lora != NULL)) return false;
    }
    return true;
}

static int64_t sort_unique(const char **names, int64_t n) {
    int64_t kept = 0;
    qsort(names, (size_t)n, sizeof *names, by_bytes);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[kept - 1])) names[kept++] = names[i];
    return kept;
}

/* Last segments of the modules' names where these say it all, else whole names. NULL when out of memory. */
static cJSON *target_list(const writing *w) {
    int64_t n = w->a->match.count;
    const char **names = lf_calloc((size_t)n, sizeof *names);
    cJSON *list = names ? cJSON_CreateArray() : NULL;
    bool ok = list != NULL;
    for (int64_t i = 0; ok && i < n; i++) names[i] = leaf_of(written_name(w, w->a->match.modules[i]));
    if (ok) n = sort_unique(names, n);
    if (ok && !selects_the_same(w, names, n)) {
        n = w->a->match.count;
        for (int64_t i = 0; i < n; i++) names[i] = written_name(w, w->a->match.modules[i]);
        n = sort_unique(names, n);
    }
    for (int64_t i = 0; ok && i < n; i++) ok = append(list, cJSON_CreateString(names[i]));
    lf_free(names);
    if (ok) return list;
    cJSON_Delete(list);
    return NULL;
}

static double value_of(const lf_match *m, int64_t i, bool ranks) { return ranks ? (double)m->r[i] : m->alpha[i]; }

/* Do the user's own patterns still decide the same over the names that are written? */
static lf_status patterns_hold(const writing *w, const cJSON *given, const char *key, bool ranks, bool *hold,
                               lf_err *err) {
    lf_patterns *p;
    lf_status rc = lf_patterns_new(&p, given, "", key, err);
    *hold = !rc;
    for (int64_t i = 0; !rc && *hold && i < w->a->match.count; i++) {
        double value = ranks ? (double)w->a->r : w->a->lora_alpha;
        int64_t index;
        rc = lf_patterns_find(p, written_name(w, w->a->match.modules[i]), NULL, &value, &index, err);
        *hold = value == value_of(&w->a->match, i, ranks);
    }
    lf_patterns_free(p);
    return rc;
}

/* rank_pattern or alpha_pattern, times `factor`: as given, or by the modules' whole names. */
static lf_status put_pattern(const writing *w, cJSON *config, const char *key, double factor, lf_err *err) {
    const bool ranks = strcmp(key, "rank_pattern") == 0;
    const cJSON *given = ranks ? w->a->rank_pattern : w->a->alpha_pattern, *item;
    bool hold, ok = true;
    const lf_status rc = patterns_hold(w, given, key, ranks, &hold, err);
    if (rc) return rc;
    cJSON *object = cJSON_CreateObject();
    if (hold) {
        for (item = given ? given->child : NULL; item && ok; item = item->next)
            ok = put(object, item->string, cJSON_CreateNumber(factor * item->valuedouble));
    } else {
        const double usual = ranks ? (double)w->a->r : w->a->lora_alpha;
        for (int64_t i = 0; ok && i < w->a->match.count; i++) {
            const double value = value_of(&w->a->match, i, ranks);
            if (value != usual)
                ok = put(object, written_name(w, w->a->match.modules[i]), cJSON_CreateNumber(factor * value));
        }
    }
    if (!ok) {
        cJSON_Delete(object);
        return lf_no_memory(err, "writing the adapter %s", w->dir);
    }
    return put(config, key, object) ? LF_OK : lf_no_memory(err, "writing the adapter %s", w->dir);
}

static cJSON *saved_modules(const writing *w) {
    if (!w->facts->head) return cJSON_CreateNull();
    cJSON *list = cJSON_CreateArray();
    if (append(list, cJSON_CreateString(written_name(w, w->facts->head)))) return list;
    cJSON_Delete(list);
    return NULL;
}

/* Do the base's files hold these weights as [in, out]? A and B are the same either way; PEFT wants to know. */
static bool is_turned(const lf_adapter *a) { return a->match.count > 0 && a->match.modules[0]->weight->transposed; }

/* Only keys that PEFT has known since 2024, so that older readers take the file too. */
static lf_status write_config(const writing *w, lf_err *err) {
    const lf_adapter *a = w->a;
    cJSON *c = cJSON_CreateObject();
    const bool ok =
        put(c, "peft_type", cJSON_CreateString("LORA")) && put(c, "task_type", string_or_null(w->facts->task_type)) &&
        put(c, "base_model_name_or_path", string_or_null(w->facts->base_path)) &&
        put(c, "revision", cJSON_CreateNull()) && put(c, "inference_mode", cJSON_CreateTrue()) &&
        put(c, "r", cJSON_CreateNumber((double)written_rank(w, a->r))) &&
        put(c, "lora_alpha", cJSON_CreateNumber(alpha_factor(w) * a->lora_alpha)) &&
        put(c, "lora_dropout", cJSON_CreateNumber(a->lora_dropout)) && put(c, "target_modules", target_list(w)) &&
        put(c, "bias", cJSON_CreateString("none")) && put(c, "fan_in_fan_out", cJSON_CreateBool(is_turned(a))) &&
        put(c, "init_lora_weights", cJSON_CreateTrue()) && put(c, "modules_to_save", saved_modules(w)) &&
        put(c, "layers_to_transform", cJSON_CreateNull()) && put(c, "layers_pattern", cJSON_CreateNull()) &&
        put(c, "use_rslora", cJSON_CreateBool(a->use_rslora)) && put(c, "use_dora", cJSON_CreateFalse());
    lf_status rc = ok ? LF_OK : lf_no_memory(err, "writing the adapter %s", w->dir);
    if (!rc) rc = put_pattern(w, c, "rank_pattern", a->residual ? 2 : 1, err);
    if (!rc) rc = put_pattern(w, c, "alpha_pattern", alpha_factor(w), err);
    if (!rc) rc = write_json(w, LF_PEFT_CONFIG, c, err);
    cJSON_Delete(c);
    return rc;
}

/* ---- lora_ft.json ---- */

static bool put_labels(const lf_adapter_facts *f, cJSON *o) {
    cJSON *labels = cJSON_CreateObject();
    bool ok = labels != NULL;
    for (int64_t i = 0; ok && i < f->num_labels; i++) {
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)i);
        ok = put(labels, id, cJSON_CreateString(f->id2label[i]));
    }
    if (ok) return put(o, "id2label", labels);
    cJSON_Delete(labels);
    return false;
}

static bool put_training(const writing *w, cJSON *o) {
    return !w->a || (put(o, "trained_r", cJSON_CreateNumber((double)w->a->r)) &&
                     put(o, "delta_form", cJSON_CreateBool(w->a->residual)));
}

static lf_status write_facts(const writing *w, lf_err *err) {
    const lf_adapter_facts *f = w->facts;
    cJSON *o = cJSON_CreateObject();
    const bool ok =
        put(o, "kind", cJSON_CreateString(w->a ? "lora" : "head")) &&
        put(o, "lora_ft_version", cJSON_CreateString(lf_version())) &&
        put(o, "base_model", string_or_null(f->base_path)) && put(o, "base_hash", string_or_null(f->base_hash)) &&
        put(o, "head", string_or_null(f->head ? written_name(w, f->head) : NULL)) &&
        (!f->id2label || put_labels(f, o)) && put(o, "num_labels", cJSON_CreateNumber((double)f->num_labels)) &&
        put(o, "seed", cJSON_CreateNumber((double)f->seed)) && put(o, "threads", cJSON_CreateNumber(f->threads)) &&
        put_training(w, o) && (!f->run || put(o, "run", cJSON_Duplicate(f->run, true)));
    const lf_status rc =
        ok ? write_json(w, LF_ADAPTER_FACTS, o, err) : lf_no_memory(err, "writing the adapter %s", w->dir);
    cJSON_Delete(o);
    return rc;
}

/* ---- adapter_model.safetensors ---- */

/* Ahat [R, in] and Bhat [out, R], R as written. */
static void plain_factors(const lf_lora *l, const lf_module *m, float *A, float *B) {
    const int64_t r = l->r, R = l->A0 ? 2 * r : r;
    const float *lora_A = l->A.data, *lora_B = l->B.data, *A0 = l->A0, *B0 = l->B0;
    memcpy(A, lora_A, (size_t)(r * m->in) * sizeof *A);
    for (int64_t i = 0; A0 && i < r * m->in; i++) A[r * m->in + i] = lora_A[i] - A0[i];
    for (int64_t o = 0; o < m->out; o++)
        for (int64_t k = 0; k < r; k++) {
            B[o * R + k] = lora_B[o * r + k] - (B0 ? B0[o * r + k] : 0);
            if (B0) B[o * R + r + k] = B0[o * r + k];
        }
}

static lf_status declare(const writing *w, lf_st_writer *st, const lf_module *m, const char *leaf, int ndim,
                         int64_t rows, int64_t columns, lf_err *err) {
    char *name = lf_format(LF_PEFT_PREFIX "%s.%s", written_name(w, m), leaf);
    const lf_status rc = name ? lf_st_writer_declare(st, name, LF_F32, ndim, (int64_t[]){rows, columns}, err)
                              : lf_no_memory(err, "writing the adapter %s", w->dir);
    lf_free(name);
    return rc;
}

static lf_status declare_all(const writing *w, lf_st_writer *st, lf_err *err) {
    lf_status rc = LF_OK;
    const lf_module *head = w->facts->head;
    for (int64_t i = 0; !rc && w->a && i < w->a->match.count; i++) {
        const lf_module *m = w->a->match.modules[i];
        const int64_t R = written_rank(w, m->lora->r);
        rc = declare(w, st, m, "lora_A.weight", 2, R, m->in, err);
        if (!rc) rc = declare(w, st, m, "lora_B.weight", 2, m->out, R, err);
    }
    if (!rc && head) rc = declare(w, st, head, "weight", 2, head->out, head->in, err);
    if (!rc && head && head->bias) rc = declare(w, st, head, "bias", 1, head->out, 0, err);
    return rc;
}

static lf_status write_lora(const writing *w, lf_st_writer *st, const lf_module *m, lf_err *err) {
    const int64_t R = written_rank(w, m->lora->r), n_A = R * m->in, n_B = m->out * R;
    float *memory = lf_malloc((size_t)(n_A + n_B) * sizeof *memory);
    if (!memory) return lf_no_memory(err, "writing the adapter %s", w->dir);
    plain_factors(m->lora, m, memory, memory + n_A);
    lf_status rc = lf_st_writer_write_f32(st, memory, n_A, err);
    if (!rc) rc = lf_st_writer_write_f32(st, memory + n_A, n_B, err);
    lf_free(memory);
    return rc;
}

static lf_status write_head(const writing *w, lf_st_writer *st, lf_err *err) {
    const lf_module *head = w->facts->head;
    float *memory = lf_malloc((size_t)(head->out * (head->in + 1)) * sizeof *memory),
          *bias = memory ? memory + head->out * head->in : NULL;
    if (!memory) return lf_no_memory(err, "writing the adapter %s", w->dir);
    lf_status rc = lf_nn_weight(w->nn, head, memory, err);
    if (!rc) rc = lf_st_writer_write_f32(st, memory, head->out * head->in, err);
    if (!rc && head->bias) {
        w->nn->k->to_f32(bias, head->bias->tensor.data, head->out);
        rc = lf_st_writer_write_f32(st, bias, head->out, err);
    }
    lf_free(memory);
    return rc;
}

static lf_status write_weights(const writing *w, lf_err *err) {
    lf_st_writer *st = NULL;
    char *path = lf_path_join(w->dir, LF_PEFT_WEIGHTS);
    lf_status rc = path ? lf_st_writer_new(&st, path, err) : lf_no_memory(err, "writing the adapter %s", w->dir);
    if (!rc) rc = declare_all(w, st, err);
    for (int64_t i = 0; !rc && w->a && i < w->a->match.count; i++) rc = write_lora(w, st, w->a->match.modules[i], err);
    if (!rc && w->facts->head) rc = write_head(w, st, err);
    if (!rc) {
        rc = lf_st_writer_commit(st, err);
        st = NULL;
    }
    lf_st_writer_abort(st);
    lf_free(path);
    return rc;
}

/* ---- the folder ---- */

static lf_status write_readme(const writing *w, lf_err *err) {
    char *path = lf_path_join(w->dir, "README.md"), *text = lf_peft_readme(w->a, w->facts);
    const lf_status rc = path && text ? lf_file_write(path, text, strlen(text), err)
                                      : lf_no_memory(err, "writing the adapter %s", w->dir);
    lf_free(path);
    lf_free(text);
    return rc;
}

static lf_status write_files(const writing *w, lf_err *err) {
    lf_status rc;
    if ((rc = lf_mkdir_p(w->dir, err)) || (rc = write_weights(w, err)) || (rc = write_facts(w, err))) return rc;
    if (!w->a) return LF_OK;
    if ((rc = write_config(w, err))) return rc;
    return write_readme(w, err);
}

/* "x//" -> "x" */
static char *without_slashes(const char *dir) {
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    return lf_format("%.*s", (int)n, dir);
}

lf_status lf_adapter_save(const lf_adapter *a, const lf_nn *nn, const char *dir, const lf_adapter_facts *facts,
                          lf_err *err) {
    lf_status rc;
    char *path = without_slashes(dir), *aside = path ? lf_format("%s.part", path) : NULL;
    const writing w = {a, nn, facts, aside};
    if (!aside) {
        rc = lf_no_memory(err, "writing the adapter %s", dir);
        goto out;
    }
    if ((rc = lf_remove_tree(aside, err))) goto out;
    if (!(rc = write_files(&w, err))) rc = lf_replace_dir(aside, path, err);
    if (rc) (void)lf_remove_tree(aside, NULL); /* the first failure is what counts */
out:
    lf_free(path);
    lf_free(aside);
    return rc;
}
