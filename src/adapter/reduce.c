/* An adapter with a smaller rank: each module's update dW = s B A is replaced by its first r singular components, which
 * are the nearest matrix of that rank (Eckart, Young 1936). With dW = U S V^T the factors are B = U_r sqrt(S_r) and
 * A = sqrt(S_r) V_r^T, of scaling 1, so neither is much larger than the other. */
#include "adapter/reduce.h"

#include <math.h>
#include <string.h>

#include "adapter/card.h"
#include "adapter/peft_file.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/obj.h"
#include "linalg/svd.h"
#include "text/tokenizer.h"

typedef struct reducing {
    const lf_adapter_file *f;
    int64_t r;
    lf_reduced *modules; /* [n_entries] */
    const char *dir;
} reducing;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static double scaling_of(const reducing *me, const lf_peft_entry *e) {
    return lf_lora_scaling(e->alpha, e->r, me->f->config.use_rslora);
}

/* ---- one module ---- */

static bool to_doubles(double *to, const lf_st_tensor *from, double times) {
    float *values = lf_malloc((size_t)from->numel * sizeof *values);
    if (!values) return false;
    lf_to_f32(values, from->data, from->dtype, from->numel);
    for (int64_t i = 0; i < from->numel; i++) to[i] = times * (double)values[i];
    lf_free(values);
    return true;
}

/* What decomposing an update takes. */
typedef struct work {
    double *L, *R, *U, *V, *sigma;
} work;

static void free_work(work *w) {
    lf_free(w->L);
    lf_free(w->R);
    lf_free(w->U);
    lf_free(w->V);
    lf_free(w->sigma);
}

static bool make_work(work *w, const reducing *me, const lf_peft_entry *e, int64_t out, int64_t in, int64_t k) {
    w->L = lf_calloc((size_t)(out * e->r), sizeof *w->L);
    w->R = lf_calloc((size_t)(e->r * in), sizeof *w->R);
    w->U = lf_calloc((size_t)(out * me->r), sizeof *w->U);
    w->V = lf_calloc((size_t)(in * me->r), sizeof *w->V);
    w->sigma = lf_calloc((size_t)k, sizeof *w->sigma);
    return w->L && w->R && w->U && w->V && w->sigma && to_doubles(w->L, e->B, scaling_of(me, e)) &&
           to_doubles(w->R, e->A, 1);
}

static void put_factors(float *A, float *B, const work *w, int64_t out, int64_t in, int64_t r) {
    for (int64_t k = 0; k < r; k++) {
        const double root = sqrt(w->sigma[k]);
        for (int64_t j = 0; j < in; j++) A[k * in + j] = (float)(root * w->V[j * r + k]);
        for (int64_t o = 0; o < out; o++) B[o * r + k] = (float)(root * w->U[o * r + k]);
    }
}

/* A [r,in], B [out,r] of a module that has more than r components. */
static lf_status decompose(const reducing *me, lf_reduced *m, const lf_peft_entry *e, float *A, float *B, lf_err *err) {
    const int64_t out = e->B->shape[0], in = e->A->shape[1], k = least(e->r, least(out, in));
    work w = {0};
    lf_status rc = make_work(&w, me, e, out, in, k)
                       ? lf_svd_low_rank(w.L, w.R, out, in, e->r, m->r, w.U, w.sigma, w.V, e->module, err)
                       : lf_no_memory(err, "decomposing the update of %s", e->module);
    for (int64_t i = 0; i < k && !rc; i++) {
        m->energy += w.sigma[i] * w.sigma[i];
        if (i >= m->r) m->dropped += w.sigma[i] * w.sigma[i];
    }
    if (!rc) put_factors(A, B, &w, out, in, m->r);
    free_work(&w);
    return rc;
}

/* ---- tensors ---- */

/* The module whose A or B it is; -1: it is another tensor, which stays as it is. */
static int64_t entry_of(const lf_adapter_file *f, const lf_st_tensor *t) {
    for (int64_t i = 0; i < f->n_entries; i++)
        if (f->entries[i].A == t || f->entries[i].B == t) return i;
    return -1;
}

/* Is the module left as it is, because its rank is no larger? */
static bool is_kept(const reducing *me, int64_t i) { return me->f->entries[i].r <= me->r; }

static lf_status declare(const reducing *me, lf_st_writer *w, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < lf_safetensors_count(me->f->st); i++) {
        const lf_st_tensor *t = lf_safetensors_at(me->f->st, i);
        const int64_t entry = entry_of(me->f, t);
        if (lf_peft_is_second(me->f, t->name)) continue; /* it would still be the whole adapter */
        if (entry < 0 || is_kept(me, entry)) {
            rc = lf_st_writer_declare(w, t->name, t->dtype, t->ndim, t->shape, err);
            continue;
        }
        const bool is_A = me->f->entries[entry].A == t;
        const int64_t r = me->modules[entry].r, shape[2] = {is_A ? r : t->shape[0], is_A ? t->shape[1] : r};
        rc = lf_st_writer_declare(w, t->name, LF_F32, 2, shape, err);
    }
    return rc;
}

/* Factors of the module whose tensors are written; A and B stand beside each other in a file, more or less. */
typedef struct factors {
    int64_t entry;
    float *A, *B;
} factors;

static lf_status find_factors(reducing *me, factors *now, int64_t entry, lf_err *err) {
    const lf_peft_entry *e = &me->f->entries[entry];
    lf_reduced *m = &me->modules[entry];
    if (now->entry == entry) return LF_OK;
    lf_free(now->A);
    lf_free(now->B);
    m->energy = m->dropped = 0;
    now->entry = entry;
    now->A = lf_calloc((size_t)(m->r * e->A->shape[1]), sizeof *now->A);
    now->B = lf_calloc((size_t)(e->B->shape[0] * m->r), sizeof *now->B);
    if (!now->A || !now->B) return lf_no_memory(err, "the factors of %s", e->module);
    return decompose(me, m, e, now->A, now->B, err);
}

static lf_status write_tensor(reducing *me, lf_st_writer *w, const lf_st_tensor *t, factors *now, lf_err *err) {
    const int64_t entry = entry_of(me->f, t);
    if (entry < 0 || is_kept(me, entry)) return lf_st_writer_write(w, t->data, t->size, err);
    const lf_status rc = find_factors(me, now, entry, err);
    if (rc) return rc;
    const lf_peft_entry *e = &me->f->entries[entry];
    const int64_t r = me->modules[entry].r;
    return e->A == t ? lf_st_writer_write_f32(w, now->A, r * e->A->shape[1], err)
                     : lf_st_writer_write_f32(w, now->B, e->B->shape[0] * r, err);
}

static lf_status write_tensors(reducing *me, lf_err *err) {
    lf_st_writer *w = NULL;
    factors now = {.entry = -1};
    char *path = lf_path_join(me->dir, LF_PEFT_WEIGHTS);
    lf_status rc = path ? lf_st_writer_new(&w, path, err) : lf_no_memory(err, "writing the adapter %s", me->dir);
    if (!rc) rc = declare(me, w, err);
    for (int64_t i = 0; !rc && i < lf_safetensors_count(me->f->st); i++) {
        const lf_st_tensor *t = lf_safetensors_at(me->f->st, i);
        if (!lf_peft_is_second(me->f, t->name)) rc = write_tensor(me, w, t, &now, err);
    }
    if (!rc) {
        rc = lf_st_writer_commit(w, err);
        w = NULL;
    }
    lf_st_writer_abort(w);
    lf_free(now.A);
    lf_free(now.B);
    lf_free(path);
    return rc;
}

/* ---- what stands beside them ---- */

static void put(lf_obj *o, const char *key, cJSON *value) {
    lf_obj_drop(o, key);
    lf_obj_put(o, key, value);
}

/* As PEFT has it: rank and alpha of most, and those of modules that have others. */
static lf_status write_config(const reducing *me, lf_err *err) {
    lf_obj o = lf_obj_of(cJSON_Duplicate(me->f->config.json, true)), ranks = lf_obj_new(), alphas = lf_obj_new();
    for (int64_t i = 0; i < me->f->n_entries; i++) {
        const lf_peft_entry *e = &me->f->entries[i];
        const double alpha = is_kept(me, i) ? scaling_of(me, e) * (double)e->r : (double)me->modules[i].r;
        if (me->modules[i].r != me->r) lf_obj_number(&ranks, e->module, (double)me->modules[i].r);
        if (alpha != (double)me->r) lf_obj_number(&alphas, e->module, alpha);
    }
    put(&o, "r", cJSON_CreateNumber((double)me->r));
    put(&o, "lora_alpha", cJSON_CreateNumber((double)me->r));
    put(&o, "use_rslora", cJSON_CreateBool(false));
    put(&o, "init_lora_weights", cJSON_CreateBool(true));
    put(&o, "rank_pattern", lf_obj_take(&ranks));
    put(&o, "alpha_pattern", lf_obj_take(&alphas));
    return lf_obj_write_in(&o, me->dir, LF_PEFT_CONFIG, true, err);
}

static double share_dropped(const lf_reduced *modules, int64_t n) {
    double energy = 0, dropped = 0;
    for (int64_t i = 0; i < n; i++) {
        energy += modules[i].energy;
        dropped += modules[i].dropped;
    }
    return energy > 0 ? dropped / energy : 0;
}

/* What was said of the factors is not so any more; of the training it is. */
static lf_status write_facts(const reducing *me, lf_err *err) {
    if (!me->f->facts) return LF_OK;
    lf_obj o = lf_obj_of(cJSON_Duplicate(me->f->facts, true));
    lf_obj_drop(&o, LF_ADAPTER_HELD);
    put(&o, "delta_form", cJSON_CreateBool(false));
    put(&o, "reduced_from_r", cJSON_CreateNumber((double)me->f->config.r));
    put(&o, "reduced_dropped", cJSON_CreateNumber(share_dropped(me->modules, me->f->n_entries)));
    return lf_obj_write_in(&o, me->dir, LF_ADAPTER_FACTS, true, err);
}

static lf_status write_card(const reducing *me, lf_err *err) {
    char *more =
        lf_format("\nIts updates were reduced to rank %lld afterwards (`lora-ft convert`): of their energy, the sum "
                  "of squares, %.3g %% was dropped.\n",
                  (long long)me->r, 100 * share_dropped(me->modules, me->f->n_entries));
    const lf_status rc =
        more ? lf_card_copy(me->f->dir, me->dir, more, err) : lf_no_memory(err, "writing the adapter %s", me->dir);
    lf_free(more);
    return rc;
}

/* ---- the folder ---- */

static lf_status check(const lf_adapter_file *f, int64_t r, lf_err *err) {
    int64_t largest = 0;
    if (f->head_only) return lf_fail(err, LF_EUNSUPPORTED, "%s: is a head alone, without LoRA: it has no rank", f->dir);
    if (f->config.use_dora)
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "%s: the adapter has magnitudes (DoRA): what it changes is no product of two factors, whose rank "
            "could be reduced",
            f->dir);
    for (int64_t i = 0; i < f->n_entries; i++)
        if (f->entries[i].r > largest) largest = f->entries[i].r;
    if (r < largest) return LF_OK;
    return lf_fail(err, LF_EUSAGE, "key 'r': expected less than the adapter's rank %lld, found %lld",
                   (long long)largest, (long long)r);
}

/* Of modules that stay as they are, too. */
static lf_status measure_kept(reducing *me, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < me->f->n_entries && !rc; i++) {
        const lf_peft_entry *e = &me->f->entries[i];
        const int64_t out = e->B->shape[0], in = e->A->shape[1], k = least(e->r, least(out, in));
        me->modules[i] = (lf_reduced){.name = e->module, .was = e->r, .r = is_kept(me, i) ? e->r : least(me->r, k)};
        if (!is_kept(me, i)) continue;
        work w = {0};
        rc = make_work(&w, me, e, out, in, k) ? lf_svd_low_rank_values(w.L, w.R, out, in, e->r, w.sigma, e->module, err)
                                              : lf_no_memory(err, "decomposing the update of %s", e->module);
        for (int64_t j = 0; j < k && !rc; j++) me->modules[i].energy += w.sigma[j] * w.sigma[j];
        free_work(&w);
    }
    return rc;
}

lf_status lf_adapter_save_reduced(lf_reduced **modules, int64_t *n, const lf_adapter_file *f, int64_t r,
                                  const char *dir, lf_err *err) {
    *modules = NULL;
    *n = f->n_entries;
    lf_status rc = check(f, r, err);
    if (rc) return rc;
    char *aside = lf_name_beside(dir, "tmp");
    reducing me = {.f = f, .r = r, .dir = aside, .modules = lf_calloc((size_t)f->n_entries, sizeof *me.modules)};
    if (!aside || !me.modules) rc = lf_no_memory(err, "writing the adapter %s", dir);
    if (!rc && !(rc = measure_kept(&me, err)) && !(rc = lf_mkdir_p(aside, err)) && !(rc = write_tensors(&me, err)) &&
        !(rc = write_config(&me, err)) && !(rc = write_facts(&me, err)) && !(rc = write_card(&me, err)) &&
        !(rc = lf_tokenizer_copy_files(f->dir, aside, err)))
        rc = lf_replace_dir(aside, dir, err);
    if (rc && aside) (void)lf_remove_tree(aside, NULL); /* the first failure is what counts */
    lf_free(aside);
    if (rc)
        lf_free(me.modules);
    else
        *modules = me.modules;
    return rc;
}
