#include "train/fisher.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/world.h"

lf_status lf_fisher_check(const lf_run *run, lf_err *err) {
    const char *name;
    const lf_init *init = lf_init_of(lf_cfg_json(run->cfg, LF_init_lora_weights), &name);
    if (lf_cfg_i64(run->cfg, LF_ewc_samples) == 0 || run->method != LF_METHOD_LORA ||
        lf_cfg_is_set(run->cfg, LF_continue_from) || !init || init->form != LF_FORM_SUBTRACTED)
        return LF_OK;
    return lf_cfg_fail(run->cfg, LF_ewc_samples, err,
                       "an adapter that starts as init_lora_weights %s is written at twice its rank, and who goes on "
                       "with it trains numbers that this run has no gradient of; choose a start with B = 0 (true, eva)",
                       name);
}

/* ---- the passes ---- */

typedef struct sums {
    double **squares; /* of each trained tensor */
    int64_t rows, targets;
} sums;

static void close_sums(sums *s, const lf_run *run) {
    for (int64_t i = 0; s->squares && i < run->n_trainables; i++) lf_free(s->squares[i]);
    lf_free(s->squares);
}

static lf_status open_sums(sums *s, const lf_run *run, lf_err *err) {
    s->squares = lf_calloc((size_t)run->n_trainables, sizeof *s->squares);
    for (int64_t i = 0; s->squares && i < run->n_trainables; i++)
        if (!(s->squares[i] = lf_calloc((size_t)run->trainables[i].tensor->numel, sizeof **s->squares))) break;
    if (s->squares && (!run->n_trainables || s->squares[run->n_trainables - 1])) return LF_OK;
    return lf_no_memory(err, "the Fisher information (%lld numbers)", (long long)run->optimizer.numbers);
}

/* One example's gradient, squared. */
static lf_status add_row(sums *s, lf_run *run, const lf_example_batch *row, lf_err *err) {
    lf_loss_counts counts = {0};
    lf_optimizer_clear_gradients(&run->optimizer);
    lf_graph_begin(run->g, false, true, 0);
    lf_tensor *loss = run->task->type->loss(run->task, row, &counts);
    lf_status rc = lf_graph_status(run->g, err);
    if (!rc && counts.targets) rc = lf_graph_backward(run->g, loss, 1, err);
    s->rows++;
    s->targets += counts.targets;
    for (int64_t i = 0; !rc && counts.targets && i < run->n_trainables; i++) {
        const lf_tensor *t = run->trainables[i].tensor;
        for (int64_t j = 0; j < t->numel; j++)
            s->squares[i][j] += (double)((float *)t->grad)[j] * (double)((float *)t->grad)[j];
    }
    return rc;
}

static lf_status add_all(sums *s, lf_run *run, lf_err *err) {
    const lf_source_type *source = run->task->source;
    const int64_t most = lf_cfg_i64(run->cfg, LF_ewc_samples);
    lf_status rc = source->start(run->task, LF_DATA_TRAIN, 0, 0, (lf_portion){0}, err);
    while (!rc && s->rows < most) {
        const lf_example_batch *b;
        if ((rc = source->next(run->task, LF_DATA_TRAIN, &b, err)) || b->epoch > 0) break;
        for (int64_t i = 0; i < b->in.B && s->rows < most && !rc; i++) {
            const lf_example_batch row = lf_batch_row(b, i, &run->model->pixels);
            rc = add_row(s, run, &row, err);
        }
    }
    if (!rc && !s->targets) rc = lf_fail(err, LF_EDATA, "key 'ewc_samples': the training data have no target");
    return rc;
}

/* ---- the file ---- */

static void name_of(char *text, size_t size, const char *what, const char *name) {
    snprintf(text, size, "%s.%s", what, name);
}

static lf_status declare(lf_st_writer *w, const lf_run *run, const char *what, lf_err *err) {
    lf_status rc = LF_OK;
    char name[400];
    for (int64_t i = 0; i < run->n_trainables && !rc; i++) {
        const lf_tensor *t = run->trainables[i].tensor;
        name_of(name, sizeof name, what, run->trainables[i].name);
        rc = lf_st_writer_declare(w, name, LF_F32, t->ndim, t->shape, err);
    }
    return rc;
}

static lf_status write_squares(lf_st_writer *w, const sums *s, const lf_run *run, int64_t i, lf_err *err) {
    const lf_tensor *t = run->trainables[i].tensor;
    float *F = t->grad; /* which nobody asks for any more */
    for (int64_t j = 0; j < t->numel; j++) F[j] = (float)(s->squares[i][j] / (double)s->targets);
    return lf_st_writer_write_f32(w, F, t->numel, err);
}

static lf_status write_file(const sums *s, const lf_run *run, const char *path, lf_err *err) {
    lf_st_writer *w = NULL;
    char rows[32];
    snprintf(rows, sizeof rows, "%lld", (long long)s->rows);
    lf_status rc = lf_st_writer_new(&w, path, err);
    if (!rc) rc = lf_st_writer_meta(w, "ewc_samples", rows, err);
    if (!rc && !(rc = declare(w, run, "fisher", err))) rc = declare(w, run, "value", err);
    for (int64_t i = 0; i < run->n_trainables && !rc; i++) rc = write_squares(w, s, run, i, err);
    for (int64_t i = 0; i < run->n_trainables && !rc; i++)
        rc = lf_st_writer_write_f32(w, run->trainables[i].tensor->data, run->trainables[i].tensor->numel, err);
    if (rc) {
        lf_st_writer_abort(w);
        return rc;
    }
    return lf_st_writer_commit(w, err);
}

lf_status lf_fisher_write(lf_run *run, lf_err *err) {
    sums s = {0};
    if (lf_cfg_i64(run->cfg, LF_ewc_samples) == 0 || !lf_world_is_first()) return LF_OK;
    char *path = lf_path_join(run->dir, LF_FISHER_FILE);
    lf_status rc = path ? open_sums(&s, run, err) : lf_no_memory(err, "%s", run->dir);
    if (!rc && !(rc = add_all(&s, run, err)) && !(rc = write_file(&s, run, path, err)))
        lf_info("%s: the Fisher information of %lld examples", path, (long long)s.rows);
    close_sums(&s, run);
    lf_free(path);
    return rc;
}

/* Numbers that none should be would spread over all that is trained. */
static lf_status check_numbers(const lf_st_tensor *t, bool of_fisher, lf_err *err) {
    for (int64_t i = 0; i < t->numel; i++) {
        float x;
        memcpy(&x, (const char *)t->data + (size_t)i * sizeof x, sizeof x);
        if (!isfinite(x) || (of_fisher && x < 0))
            return lf_fail(err, LF_EDATA, "%s: tensor '%s': element %lld is %g; write it again", t->path, t->name,
                           (long long)i, (double)x);
    }
    return LF_OK;
}

lf_status lf_fisher_find(const lf_st_tensor **fisher, const lf_st_tensor **value, const lf_safetensors *st,
                         const char *name, lf_err *err) {
    char text[400];
    name_of(text, sizeof text, "fisher", name);
    *fisher = lf_safetensors_find(st, text);
    name_of(text, sizeof text, "value", name);
    *value = lf_safetensors_find(st, text);
    if (!*fisher && !*value) return LF_OK;
    if (!*fisher || !*value || (*fisher)->dtype != LF_F32 || (*value)->dtype != LF_F32 ||
        (*fisher)->numel != (*value)->numel)
        return lf_fail(err, LF_EDATA,
                       "%s: expected floats 'fisher.%s' and as many 'value.%s'; is it a " LF_FISHER_FILE "?",
                       lf_safetensors_path(st), name, name);
    const lf_status rc = check_numbers(*fisher, true, err);
    return rc ? rc : check_numbers(*value, false, err);
}
