/* Adapter folders as PEFT reads them: always a plain LoRA on the untouched base. A start that is residual is written as
 * Ahat = [A; A - A0], Bhat = [B - B0, B0]: twice the rank, the same update, and no cancellation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/adapter_internal.h"
#include "adapter/peft_readme.h"
#include "adapter/saved.h"
#include "adapter/targets.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/slice.h"

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
    if (!names) return NULL;
    for (int64_t i = 0; i < n; i++) names[i] = leaf_of(written_name(w, w->a->match.modules[i]));
    n = sort_unique(names, n);
    if (!selects_the_same(w, names, n)) {
        n = w->a->match.count;
        for (int64_t i = 0; i < n; i++) names[i] = written_name(w, w->a->match.modules[i]);
        n = sort_unique(names, n);
    }
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < n; i++) lf_list_string(&list, names[i]);
    lf_free(names);
    return lf_obj_take(&list);
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
static lf_status put_pattern(const writing *w, lf_obj *config, const char *key, double factor, lf_err *err) {
    const bool ranks = strcmp(key, "rank_pattern") == 0;
    const cJSON *given = ranks ? w->a->rank_pattern : w->a->alpha_pattern, *item;
    bool hold;
    const lf_status rc = patterns_hold(w, given, key, ranks, &hold, err);
    if (rc) return rc;
    const double usual = ranks ? (double)w->a->r : w->a->lora_alpha;
    lf_obj o = lf_obj_new();
    const cJSON *kept = hold ? given : NULL;
    cJSON_ArrayForEach(item, kept) lf_obj_number(&o, item->string, factor * item->valuedouble);
    for (int64_t i = 0; !hold && i < w->a->match.count; i++) {
        const double value = value_of(&w->a->match, i, ranks);
        if (value != usual) lf_obj_number(&o, written_name(w, w->a->match.modules[i]), factor * value);
    }
    lf_obj_put(config, key, lf_obj_take(&o));
    return LF_OK;
}

/* A layer before the head that was trained with it. */
static bool is_saved_inner(const writing *w, const lf_module *m) {
    return w->facts->head && m->feeds_head && m->head == LF_CLASS_HEAD && m->weight->tensor.requires_grad;
}

/* "classifier.dense" is below "classifier": PEFT saves both by the name of the latter. */
static bool is_below(const char *name, const char *above) {
    const size_t n = strlen(above);
    return strncmp(name, above, n) == 0 && name[n] == '.';
}

static void list_once(lf_obj *list, const char *name, int length) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list->json) if ((int)strlen(item->valuestring) == length &&
                                             strncmp(item->valuestring, name, (size_t)length) == 0) return;
    char *copy = lf_format("%.*s", length, name);
    list->failed |= !copy;
    if (copy) lf_list_string(list, copy);
    lf_free(copy);
}

/* "classifier" of "classifier.out_proj"; of a model that classifies texts both names that PEFT saves there. */
static void list_head(const writing *w, lf_obj *list, const char *part) {
    static const char *const of_peft[] = {"classifier", "score"};
    enum { N = sizeof of_peft / sizeof *of_peft };
    bool known = false;
    for (size_t i = 0; i < N; i++) known = known || !strcmp(part, of_peft[i]);
    if (!known || !w->facts->task_type)
        lf_list_string(list, part);
    else
        for (size_t i = 0; i < N; i++) lf_list_string(list, of_peft[i]);
}

static const char *written_param(const writing *w, const lf_param *p) {
    return w->facts->old_names ? p->file_name : p->name;
}

/* Is it there because of modules_to_save? The biases of the key `bias` are beside the adapter, too. */
static bool is_saved(const writing *w, const lf_param *p) {
    return lf_nn_is_beside(w->nn, p) &&
           (lf_saves_param(w->a->saves, p->name) || lf_saves_param(w->a->saves, p->file_name));
}

/* Do the user's names mean the same modules as they are written, and none that is part of another? */
static bool names_hold(const writing *w) {
    for (int64_t i = 0; w->a && i < w->nn->n_params; i++) {
        const lf_param *p = w->nn->params[i];
        const char *name = written_param(w, p);
        if (is_saved(w, p) && (!lf_saves_param(w->a->saves, name) || lf_saves_twice(w->a->saves, name))) return false;
    }
    return true;
}

static int module_length(const char *param) { return (int)(leaf_of(param) - param - 1); }

/* Is the parameter's module part of another that has saved parameters of its own (a class token)? */
static bool is_in_saved(const writing *w, const char *param) {
    for (int64_t i = 0; i < w->nn->n_params; i++) {
        const char *other = written_param(w, w->nn->params[i]);
        const int n = module_length(other);
        if (is_saved(w, w->nn->params[i]) && n < module_length(param) && strncmp(param, other, (size_t)n) == 0 &&
            param[n] == '.')
            return true;
    }
    return false;
}

/* The names as they were given, or the modules by their own. What the head is listed by, with all that is in it, is
 * there already. */
static void list_saved(const writing *w, lf_obj *list, const char *head_part) {
    const cJSON *item, *names = w->a ? w->a->saves : NULL;
    const bool hold = names_hold(w);
    cJSON_ArrayForEach(item, names) if (hold && !(head_part && is_below(item->valuestring, head_part)))
        list_once(list, item->valuestring, (int)strlen(item->valuestring));
    for (int64_t i = 0; w->a && !hold && i < w->nn->n_params; i++) {
        const char *name = written_param(w, w->nn->params[i]);
        if (is_saved(w, w->nn->params[i]) && !is_in_saved(w, name)) list_once(list, name, module_length(name));
    }
}

/* The layers before the head that the names do not mean. */
static void list_inner(const writing *w, lf_obj *list, const char *head_part) {
    const bool hold = names_hold(w);
    for (int64_t i = 0; i < w->nn->n_modules; i++) {
        const char *name = written_name(w, w->nn->modules[i]);
        const bool named = w->a && hold && lf_saves_module(w->a->saves, name);
        if (is_saved_inner(w, w->nn->modules[i]) && !is_below(name, head_part) && !named) lf_list_string(list, name);
    }
}

/* The head by the module that it is part of: "classifier" of "classifier.out_proj". */
static cJSON *saved_modules(const writing *w) {
    lf_obj list = lf_list_new();
    const char *head = w->facts->head ? written_name(w, w->facts->head) : NULL;
    char *part = head ? lf_format("%.*s", (int)strcspn(head, "."), head) : NULL;
    list.failed |= head && !part;
    if (part) list_head(w, &list, part);
    if (part) list_inner(w, &list, part);
    list_saved(w, &list, part);
    lf_free(part);
    cJSON *made = lf_obj_take(&list);
    if (!made || made->child) return made;
    cJSON_Delete(made);
    return cJSON_CreateNull();
}

/* Do the base's files hold these weights as [in, out]? A and B are the same either way; PEFT wants to know. */
static bool is_turned(const lf_adapter *a) {
    bool turned = false;
    for (int64_t i = 0; i < a->match.count; i++) turned |= a->match.modules[i]->weight->transposed;
    return turned;
}

/* Only keys that PEFT has known since 2024, so that older readers take the file too. */
static lf_status write_config(const writing *w, lf_err *err) {
    const lf_adapter *a = w->a;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "peft_type", "LORA");
    lf_obj_string(&o, "task_type", w->facts->task_type);
    lf_obj_string(&o, "base_model_name_or_path", w->facts->base_path);
    lf_obj_string(&o, "revision", NULL);
    lf_obj_bool(&o, "inference_mode", true);
    lf_obj_number(&o, "r", (double)written_rank(w, a->r));
    lf_obj_number(&o, "lora_alpha", alpha_factor(w) * a->lora_alpha);
    lf_obj_number(&o, "lora_dropout", a->lora_dropout);
    lf_obj_put(&o, "target_modules", target_list(w));
    lf_obj_string(&o, "bias", a->bias);
    lf_obj_bool(&o, "fan_in_fan_out", is_turned(a));
    lf_obj_bool(&o, "init_lora_weights", true);
    lf_obj_put(&o, "modules_to_save", saved_modules(w));
    lf_obj_string(&o, "layers_to_transform", NULL);
    lf_obj_string(&o, "layers_pattern", NULL);
    lf_obj_bool(&o, "use_rslora", a->use_rslora);
    lf_obj_bool(&o, "use_dora", a->use_dora);
    lf_status rc = put_pattern(w, &o, "rank_pattern", a->residual ? 2 : 1, err);
    if (!rc) rc = put_pattern(w, &o, "alpha_pattern", alpha_factor(w), err);
    if (!rc) return lf_obj_write_in(&o, w->dir, LF_PEFT_CONFIG, true, err);
    cJSON_Delete(lf_obj_take(&o));
    return rc;
}

/* ---- lora_ft.json ---- */

static cJSON *labels_json(const lf_adapter_facts *f) {
    lf_obj labels = lf_obj_new();
    for (int64_t i = 0; i < f->num_labels; i++) {
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)i);
        lf_obj_string(&labels, id, f->id2label[i]);
    }
    return lf_obj_take(&labels);
}

static lf_status write_facts(const writing *w, lf_err *err) {
    const lf_adapter_facts *f = w->facts;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "kind", w->a ? "lora" : "head");
    lf_obj_string(&o, "lora_ft_version", lf_version());
    lf_obj_string(&o, "base_model", f->base_path);
    lf_obj_string(&o, "base_hash", f->base_hash);
    lf_obj_string(&o, "head", f->head ? written_name(w, f->head) : NULL);
    if (f->problem_type) lf_obj_string(&o, "problem_type", f->problem_type);
    if (f->id2label) lf_obj_put(&o, "id2label", labels_json(f));
    lf_obj_number(&o, "num_labels", (double)f->num_labels);
    lf_obj_number(&o, "seed", (double)f->seed);
    lf_obj_number(&o, "threads", f->threads);
    if (w->a) lf_obj_number(&o, "trained_r", (double)w->a->r);
    if (w->a) lf_obj_bool(&o, "delta_form", w->a->residual);
    if (w->a && w->a->held) lf_obj_string(&o, LF_ADAPTER_HELD, "lora_B");
    if (f->run) lf_obj_copy(&o, "run", f->run);
    return lf_obj_write_in(&o, w->dir, LF_ADAPTER_FACTS, true, err);
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

/* What was trained beside the factors. Of an adapter's module PEFT calls it "<module>.base_layer.bias". */
static lf_status declare_beside(const writing *w, lf_st_writer *st, const lf_param *p, lf_err *err) {
    const char *name = written_param(w, p), *leaf = leaf_of(name);
    const lf_module *m = lf_nn_holder(w->nn, p);
    int64_t shape[LF_TENSOR_DIMS];
    lf_param_file_shape(p, shape);
    char *full =
        lf_format(LF_PEFT_PREFIX "%.*s%s.%s", (int)(leaf - name - 1), name, m && m->lora ? ".base_layer" : "", leaf);
    const lf_status rc = full ? lf_st_writer_declare(st, full, LF_F32, p->tensor.ndim, shape, err)
                              : lf_no_memory(err, "writing the adapter %s", w->dir);
    lf_free(full);
    return rc;
}

static lf_status declare_all(const writing *w, lf_st_writer *st, lf_err *err) {
    lf_status rc = LF_OK;
    const lf_module *head = w->facts->head;
    for (int64_t i = 0; !rc && w->a && i < w->a->match.count; i++) {
        const lf_module *m = w->a->match.modules[i];
        const int64_t R = written_rank(w, m->lora->r);
        const bool table = m->kind == LF_MODULE_EMBEDDING;
        rc = declare(w, st, m, table ? "lora_embedding_A" : "lora_A.weight", 2, R, m->in, err);
        if (!rc) rc = declare(w, st, m, table ? "lora_embedding_B" : "lora_B.weight", 2, m->out, R, err);
        if (!rc && w->a->use_dora) rc = declare(w, st, m, "lora_magnitude_vector", 1, m->out, 0, err);
    }
    for (int64_t i = 0; !rc && w->a && i < w->nn->n_params; i++)
        if (lf_nn_is_beside(w->nn, w->nn->params[i])) rc = declare_beside(w, st, w->nn->params[i], err);
    if (!rc && head) rc = declare(w, st, head, "weight", 2, head->out, head->in, err);
    if (!rc && head && head->bias) rc = declare(w, st, head, "bias", 1, head->out, 0, err);
    for (int64_t i = 0; !rc && i < w->nn->n_modules; i++) {
        const lf_module *m = w->nn->modules[i];
        if (!is_saved_inner(w, m)) continue;
        rc = declare(w, st, m, "weight", m->weight->tensor.ndim, m->out, m->in, err);
        if (!rc && m->bias) rc = declare(w, st, m, "bias", 1, m->out, 0, err);
    }
    return rc;
}

static lf_status write_lora(const writing *w, lf_st_writer *st, const lf_module *m, lf_err *err) {
    const int64_t R = written_rank(w, m->lora->r), n_A = R * m->in, n_B = m->out * R;
    float *memory = lf_malloc((size_t)(n_A + n_B) * sizeof *memory);
    if (!memory) return lf_no_memory(err, "writing the adapter %s", w->dir);
    plain_factors(m->lora, m, memory, memory + n_A);
    lf_status rc = lf_st_writer_write_f32(st, memory, n_A, err);
    if (!rc) rc = lf_st_writer_write_f32(st, memory + n_A, n_B, err);
    if (!rc && w->a->use_dora) rc = lf_st_writer_write_f32(st, m->lora->magnitude.data, m->out, err);
    lf_free(memory);
    return rc;
}

/* A parameter as a file of the base holds it. */
lf_status lf_peft_write_param(lf_st_writer *st, const lf_nn *nn, const lf_param *p, lf_err *err) {
    const int64_t n = p->tensor.numel;
    float *values = lf_malloc((size_t)n * (p->transposed ? 2 : 1) * sizeof *values);
    if (!values) return lf_no_memory(err, "writing %s", p->name);
    nn->k->to_f32(values, p->tensor.data, n);
    for (int64_t i = 0; p->plus_one && i < n; i++) values[i] -= 1;
    if (p->transposed) lf_transpose(values + n, values, p->tensor.shape[0], p->tensor.shape[1]);
    const lf_status rc = lf_st_writer_write_f32(st, p->transposed ? values + n : values, n, err);
    lf_free(values);
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

static lf_status write_inner(const writing *w, lf_st_writer *st, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < w->nn->n_modules; i++) {
        const lf_module *m = w->nn->modules[i];
        if (!is_saved_inner(w, m)) continue;
        rc = lf_peft_write_param(st, w->nn, m->weight, err);
        if (!rc && m->bias) rc = lf_peft_write_param(st, w->nn, m->bias, err);
    }
    return rc;
}

static lf_status write_weights(const writing *w, lf_err *err) {
    lf_st_writer *st = NULL;
    char *path = lf_path_join(w->dir, LF_PEFT_WEIGHTS);
    lf_status rc = path ? lf_st_writer_new(&st, path, err) : lf_no_memory(err, "writing the adapter %s", w->dir);
    if (!rc) rc = declare_all(w, st, err);
    for (int64_t i = 0; !rc && w->a && i < w->a->match.count; i++) rc = write_lora(w, st, w->a->match.modules[i], err);
    for (int64_t i = 0; !rc && w->a && i < w->nn->n_params; i++)
        if (lf_nn_is_beside(w->nn, w->nn->params[i])) rc = lf_peft_write_param(st, w->nn, w->nn->params[i], err);
    if (!rc && w->facts->head) rc = write_head(w, st, err);
    if (!rc) rc = write_inner(w, st, err);
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
    char *path = lf_path_join(w->dir, "README.md"), *text = lf_peft_readme(w->a, w->nn, w->facts);
    const lf_status rc = path && text ? lf_file_write(path, text, strlen(text), err)
                                      : lf_no_memory(err, "writing the adapter %s", w->dir);
    lf_free(path);
    lf_free(text);
    return rc;
}

static lf_status write_files(const writing *w, lf_err *err) {
    lf_status rc;
    if ((rc = lf_mkdir_p(w->dir, err)) || (rc = write_weights(w, err)) || (rc = write_facts(w, err)) ||
        (w->facts->beside && (rc = w->facts->beside(w->facts->context, w->dir, err))))
        return rc;
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
