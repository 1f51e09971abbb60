/* Parameters trained beside an adapter: what they were stays, and one call puts it back and forth. Everything that
 * reads a parameter reads lf_param.tensor, and who multiplies with a frozen weight asks lf_param.own first, so no
 * family has to know of it. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "nn/nn.h"

typedef struct beside {
    lf_param *param;
    lf_tensor other;  /* of the two tensors the one that is not shown */
    float *was, *put; /* for lf_nn_scale_beside: the base's numbers and its own as they were put; NULL: not yet */
    bool helps;       /* there because another part of its group is: what it was, and never written */
    struct beside *next;
} beside;

/* In the arena. Behind a pointer, because a model that is only read may still be shown as its base. */
struct lf_nn_beside {
    beside *first;
    bool base; /* what is shown now */
};

static beside *find(const lf_nn *nn, const lf_param *p) {
    beside *b = nn->beside ? nn->beside->first : NULL;
    while (b && b->param != p) b = b->next;
    return b;
}

/* ---- what a parameter is before ---- */

static bool is_product(const lf_module *m, const lf_param *p) {
    return m && m->weight == p && (m->kind == LF_MODULE_LINEAR || m->kind == LF_MODULE_CONV);
}

/* p's numbers now. A table that is looked up may be held in fewer digits than its file has. */
static lf_status values_now(const lf_nn *nn, const lf_param *p, float *out, lf_err *err) {
    const lf_module *m = lf_nn_holder(nn, p);
    if (p->tensor.data && p->tensor.dtype == nn->k->dtype)
        nn->k->to_f32(out, p->tensor.data, p->tensor.numel);
    else if (is_product(m, p))
        return lf_nn_weight(nn, m, out, err);
    else if (!(m && nn->original && nn->original(nn->original_context, m, out)))
        lf_to_f32(out, p->tensor.data, p->tensor.dtype, p->tensor.numel);
    return LF_OK;
}

/* ---- new rows ---- */

bool lf_nn_is_vocabulary(const lf_nn *nn, const lf_param *p) {
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const lf_module *m = nn->modules[i];
        if (m->weight == p && (m->of_tokens || m->head == LF_TOKEN_HEAD)) return true;
    }
    return false;
}

lf_status lf_nn_fill_rows(float *table, int64_t from, int64_t to, int64_t C, lf_err *err) {
    if (from >= to) return LF_OK;
    double *sum = lf_calloc((size_t)C, sizeof *sum);
    if (!sum) return lf_no_memory(err, "the mean of %lld rows", (long long)from);
    for (int64_t i = 0; i < from; i++)
        for (int64_t c = 0; c < C; c++) sum[c] += (double)table[i * C + c];
    for (int64_t i = from; i < to; i++)
        for (int64_t c = 0; c < C; c++) table[i * C + c] = (float)(sum[c] / (double)from);
    lf_free(sum);
    return LF_OK;
}

/* The numbers of a parameter with that many rows (0: its own). */
static int64_t numbers_of(const lf_param *p, int64_t rows) {
    return rows ? p->tensor.numel / p->tensor.shape[0] * rows : p->tensor.numel;
}

/* ---- putting ---- */

static lf_status add(lf_nn *nn, lf_param *p, int64_t rows, lf_err *err) {
    const int64_t n = numbers_of(p, rows);
    int64_t shape[LF_TENSOR_DIMS];
    if (!nn->beside && (nn->beside = lf_arena_alloc(nn->arena, sizeof *nn->beside)))
        *nn->beside = (struct lf_nn_beside){0};
    beside *b = nn->beside ? lf_arena_alloc(nn->arena, sizeof *b) : NULL;
    void *data = b ? lf_arena_alloc(nn->arena, (size_t)n * lf_dtype_size(nn->k->dtype)) : NULL;
    if (!data) return lf_no_memory(err, "the %lld trained numbers of %s", (long long)n, p->name);
    *b = (beside){.param = p, .other = p->tensor, .next = nn->beside->first};
    nn->beside->first = b;
    memcpy(shape, b->other.shape, sizeof shape);
    if (rows) shape[0] = rows;
    lf_tensor_init(&p->tensor, nn->k->dtype, b->other.ndim, shape, data, NULL);
    p->own = true;
    return LF_OK;
}

/* The same, with `values`, or (NULL) what it is now. */
static lf_status add_filled(lf_nn *nn, lf_param *p, const float *values, int64_t rows, lf_err *err) {
    const int64_t n = numbers_of(p, rows), first = p->tensor.shape[0];
    float *now = values ? NULL : lf_aligned_alloc((size_t)n * sizeof *now);
    lf_status rc = values || now ? LF_OK : lf_no_memory(err, "the numbers of %s", p->name);
    if (!rc && now && !(rc = values_now(nn, p, now, err)) && rows)
        rc = lf_nn_fill_rows(now, first, rows, p->tensor.numel / first, err);
    if (!rc && !(rc = add(nn, p, rows, err))) nn->k->from_f32(p->tensor.data, values ? values : now, n);
    lf_aligned_free(now);
    return rc;
}

/* The other parts of a frozen group, so that it can be multiplied part by part. */
static lf_status add_rest_of_group(lf_nn *nn, const lf_param *p, lf_err *err) {
    const lf_module *m = lf_nn_holder(nn, p);
    const lf_group *group = is_product(m, p) ? m->group : NULL;
    lf_status rc = LF_OK;
    for (int i = 0; !rc && group && group->frozen.data && i < group->n; i++) {
        lf_param *other = group->parts[i]->weight;
        if (!find(nn, other) && !(rc = add_filled(nn, other, NULL, 0, err))) nn->beside->first->helps = true;
    }
    return rc;
}

lf_status lf_nn_put_beside(lf_nn *nn, lf_param *p, const float *values, int64_t rows, bool trained, lf_err *err) {
    assert(!nn->beside || !nn->beside->base);
    beside *there = find(nn, p);
    lf_status rc = LF_OK;
    assert(!rows || rows >= p->tensor.shape[0]);
    if (!there && ((rc = add_filled(nn, p, values, rows, err)) || (rc = add_rest_of_group(nn, p, err)))) return rc;
    if (there && values) nn->k->from_f32(p->tensor.data, values, p->tensor.numel);
    if (there) there->helps = false;
    return trained && !p->tensor.grad ? lf_nn_train(nn, p, err) : LF_OK;
}

lf_status lf_nn_untie(lf_nn *nn, lf_module *m, lf_err *err) {
    const lf_param *shared = m->weight;
    bool tied = false;
    for (int64_t i = 0; i < nn->n_modules; i++) tied |= nn->modules[i] != m && nn->modules[i]->weight == shared;
    if (!tied) return LF_OK;
    lf_param *p = lf_nn_param(nn, m->name, m->alias, "weight", shared->tensor.ndim, shared->tensor.shape, true);
    if (!p) return lf_no_memory(err, "the weight of %s", m->name);
    p->file_dtype = shared->file_dtype;
    p->twin = shared;
    m->weight = p;
    return LF_OK;
}

/* ---- back and forth ---- */

void lf_nn_take_beside_off(lf_nn *nn) {
    lf_nn_show_base(nn, true);
    nn->beside = NULL;
}

bool lf_nn_is_beside(const lf_nn *nn, const lf_param *p) {
    const beside *b = find(nn, p);
    return b && !b->helps;
}

bool lf_nn_show_base(const lf_nn *nn, bool base) {
    if (!nn->beside || nn->beside->base == base) return base;
    for (beside *b = nn->beside->first; b; b = b->next) {
        const lf_tensor shown = b->param->tensor;
        b->param->tensor = b->other;
        b->param->own = !base;
        b->other = shown;
    }
    nn->beside->base = base;
    return !base;
}

/* ---- another size ---- */

/* While the base is shown. */
static lf_status keep_both(lf_nn *nn, beside *b, lf_err *err) {
    const lf_param *p = b->param;
    const int64_t rows = b->other.ndim ? b->other.shape[0] : 0;
    const size_t size = (size_t)b->other.numel * sizeof *b->was;
    if (b->was) return LF_OK;
    if (!p->tensor.data && !is_product(lf_nn_holder(nn, p), p))
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "'%s' is of the adapter, and the base's own numbers are not loaded here: it cannot be scaled; let "
            "rewind write the adapter at that size first",
            p->name);
    float *was = lf_arena_alloc(nn->arena, size), *put = lf_arena_alloc(nn->arena, size);
    if (!was || !put) return lf_no_memory(err, "the numbers of %s", p->name);
    nn->k->to_f32(put, b->other.data, b->other.numel);
    lf_status rc = values_now(nn, p, was, err);
    if (!rc && b->other.numel > p->tensor.numel) /* new rows begin there */
        rc = lf_nn_fill_rows(was, p->tensor.shape[0], rows, b->other.numel / rows, err);
    b->put = put;
    if (!rc) b->was = was;
    return rc;
}

lf_status lf_nn_scale_beside(lf_nn *nn, double scale, lf_err *err) {
    lf_status rc = LF_OK;
    const bool shown = lf_nn_show_base(nn, true);
    for (beside *b = nn->beside ? nn->beside->first : NULL; b && !rc; b = b->next)
        if (!b->helps) rc = keep_both(nn, b, err);
    for (beside *b = nn->beside ? nn->beside->first : NULL; b && !rc; b = b->next) {
        const int64_t n = b->other.numel;
        float *values = b->helps ? NULL : lf_aligned_alloc((size_t)n * sizeof *values);
        if (b->helps) continue;
        if (!values) rc = lf_no_memory(err, "the numbers of %s", b->param->name);
        for (int64_t i = 0; i < n && !rc; i++) {
            const double from = (double)b->was[i], to = (double)b->put[i];
            values[i] = scale == 1 ? b->put[i] : (float)(from + scale * (to - from));
        }
        if (!rc) nn->k->from_f32(b->other.data, values, n);
        lf_aligned_free(values);
    }
    lf_nn_show_base(nn, shown);
    return rc;
}
