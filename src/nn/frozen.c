/* Weights that never change: which format each gets (kernels/frozen.def), whose numbers it has, and its numbers as
 * floats again. */
#include <assert.h>
#include <string.h>

#include "base/mapping.h"
#include "base/mem.h"
#include "nn/nn.h"

static const lf_kernels *kernels_of(const lf_nn *nn, const lf_module *m) {
    return m->head == LF_CLASS_HEAD ? nn->k->wide : nn->k;
}

static lf_status no_room(const lf_nn *nn, const lf_module *m, lf_err *err) {
    return lf_no_memory(err, "%s, a weight of %lld x %lld in %s", m->name, (long long)m->out, (long long)m->in,
                        nn->k->precision);
}

/* ---- the rule ---- */

/* Of a group all of it. */
static lf_frozen_format quantised_format(const lf_nn *nn, const lf_module *m) {
    const lf_frozen *w = m->group ? &m->group->frozen : &m->frozen;
    const lf_frozen_format format =
        nn->quantised == LF_FROZEN_INT8 && m->of_gate ? LF_FROZEN_INT8_BLOCKS : nn->quantised;
    return nn->k->frozen_size(format, w->out, w->in) > 0 ? format : LF_FROZEN_PLAIN;
}

bool lf_nn_quantises(const lf_nn *nn, const lf_module *m) {
    return nn->quantised != LF_FROZEN_PLAIN && m->kind == LF_MODULE_LINEAR && m->head == LF_NO_HEAD && !m->feeds_head &&
           !m->exact && quantised_format(nn, m) != LF_FROZEN_PLAIN;
}

static lf_frozen_format format_of(const lf_nn *nn, const lf_module *m) {
    const lf_kernels *k = kernels_of(nn, m);
    if (lf_nn_quantises(nn, m)) return quantised_format(nn, m);
    return nn->packs && k->frozen_size(LF_FROZEN_PACKED, m->out, m->in) > 0 ? LF_FROZEN_PACKED : LF_FROZEN_PLAIN;
}

bool lf_nn_is_plain(const lf_nn *nn, const lf_module *m) { return format_of(nn, m) == LF_FROZEN_PLAIN; }

lf_dtype lf_nn_act_dtype(const lf_nn *nn, const lf_module *m) { return kernels_of(nn, m)->act_dtype; }

/* ---- from floats ---- */

/* The weights that are given back before the model is, and the memory that their products share. */
static bool take_quantised(lf_nn *nn, lf_frozen *w, int64_t size) {
    const int64_t scratch = nn->k->frozen_scratch(w->format, w->out, w->in);
    if (!nn->of_quantised) nn->of_quantised = lf_arena_new();
    if (size > 0 && nn->of_quantised) w->data = lf_arena_alloc(nn->of_quantised, (size_t)size);
    if (scratch > nn->scratch.size) {
        lf_aligned_free(nn->scratch.data);
        nn->scratch = (lf_scratch){lf_aligned_alloc((size_t)scratch), scratch};
    }
    w->scratch = &nn->scratch;
    return w->data && nn->scratch.data;
}

bool lf_nn_is_quantised(const lf_nn *nn) { return nn->of_quantised != NULL; }

void lf_nn_release_quantised(lf_nn *nn) {
    for (int64_t i = 0; i < nn->n_modules; i++) {
        lf_module *m = nn->modules[i];
        lf_frozen *w = m->group ? &m->group->frozen : &m->frozen;
        if (w->scratch) *w = (lf_frozen){.out = w->out, .in = w->in};
        if (m->group && !w->data) m->group->n_frozen = 0;
    }
    lf_arena_free(nn->of_quantised);
    nn->of_quantised = NULL;
    lf_aligned_free(nn->scratch.data);
    nn->scratch = (lf_scratch){0};
}

/* Room for all of it, of the format that the rule says. */
static bool take_room(lf_nn *nn, const lf_module *m, lf_frozen *w) {
    const lf_kernels *k = kernels_of(nn, m);
    w->format = format_of(nn, m);
    w->act_dtype = k->act_dtype;
    const int64_t size = w->data ? 0 : k->frozen_size(w->format, w->out, w->in);
    if (lf_nn_quantises(nn, m)) return take_quantised(nn, w, size);
    if (size > 0) w->data = lf_arena_alloc(nn->arena, (size_t)size);
    return w->data != NULL;
}

static int part_of_group(const lf_module *m) {
    int i = 0;
    while (m->group->parts[i] != m) i++;
    return i;
}

static int64_t row_in_group(const lf_module *m) {
    int64_t row = 0;
    for (int i = 0; m->group->parts[i] != m; i++) row += m->group->parts[i]->out;
    return row;
}

/* The rows of one part of a plain group. */
static lf_frozen rows_of_part(const lf_module *m) {
    const lf_frozen *all = &m->group->frozen;
    const size_t before = (size_t)(row_in_group(m) * all->in) * lf_dtype_size(all->act_dtype);
    return (lf_frozen){.out = m->out,
                       .in = m->in,
                       .data = (char *)all->data + before,
                       .act_dtype = all->act_dtype,
                       .format = all->format};
}

/* Formats other than plain are made of all parts at once. */
static bool stage(lf_group *group, const lf_module *m, const float *W) {
    if (!group->staging)
        group->staging = lf_aligned_alloc((size_t)(group->frozen.out * m->in) * sizeof *group->staging);
    if (!group->staging) return false;
    memcpy(group->staging + row_in_group(m) * m->in, W, (size_t)(m->out * m->in) * sizeof *W);
    return true;
}

static bool freeze_staged(lf_nn *nn, const lf_module *m) {
    lf_group *group = m->group;
    const bool ok = take_room(nn, m, &group->frozen) && nn->k->frozen_prepare(&group->frozen, group->staging);
    lf_aligned_free(group->staging);
    group->staging = NULL;
    return ok;
}

/* ---- what stands somewhere already ---- */

static bool stand_together(const lf_group *group, size_t number) {
    const char *next = group->there[0];
    for (int i = 0; i < group->n; i++) {
        if (!next || group->there[i] != next) return false;
        next += (size_t)(group->parts[i]->out * group->frozen.in) * number;
    }
    return true;
}

/* Pages of a file, which come again when they are wanted; never memory of our own, as that of a tied table which was
 * converted, and not an output layer, which is wanted for each block of logits. */
static bool lets_go(const lf_nn *nn, const lf_module *m, const void *data) {
    return nn->lets_go && m->head == LF_NO_HEAD && lf_mapped_file(data);
}

/* A plain group whose parts are all there: borrowed, where they stand one behind the other (gate and up in a file,
 * whose tensors go by their names; q, k and v do not), else copied, because a group is one product, in bf16 with one
 * rounding of dx where three products would have three. */
static bool gather_group(lf_nn *nn, const lf_module *m) {
    lf_group *group = m->group;
    lf_frozen *all = &group->frozen;
    const size_t number = lf_dtype_size(nn->k->act_dtype);
    if (!all->data && stand_together(group, number)) {
        *all = (lf_frozen){.out = all->out,
                           .in = all->in,
                           .data = (void *)(uintptr_t)group->there[0],
                           .act_dtype = nn->k->act_dtype,
                           .lets_go = lets_go(nn, m, group->there[0])};
        return true;
    }
    if (!take_room(nn, m, all)) return false;
    for (int i = 0; i < group->n; i++) {
        const lf_frozen part = rows_of_part(group->parts[i]);
        if (group->there[i]) memcpy(part.data, group->there[i], (size_t)(part.out * part.in) * number);
    }
    return true;
}

static bool freeze_in_group(lf_nn *nn, const lf_module *m, const float *W) {
    lf_group *group = m->group;
    const bool plain = lf_nn_is_plain(nn, m);
    if (plain) {
        if (!take_room(nn, m, &group->frozen)) return false;
        lf_frozen part = rows_of_part(m);
        nn->k->frozen_prepare(&part, W);
    } else if (!stage(group, m, W)) {
        return false;
    }
    if (++group->n_frozen < group->n) return true;
    return plain ? gather_group(nn, m) : freeze_staged(nn, m);
}

lf_status lf_nn_freeze(lf_nn *nn, lf_module *m, const float *W, lf_err *err) {
    const bool ok = m->group ? freeze_in_group(nn, m, W)
                             : take_room(nn, m, &m->frozen) && kernels_of(nn, m)->frozen_prepare(&m->frozen, W);
    return ok ? LF_OK : no_room(nn, m, err);
}

/* A copy: its own room, or its rows of the group's. */
static bool copy_there(lf_nn *nn, lf_module *m, const void *there) {
    lf_frozen *w = m->group ? &m->group->frozen : &m->frozen;
    if (!take_room(nn, m, w)) return false;
    const lf_frozen to = m->group ? rows_of_part(m) : *w;
    memcpy(to.data, there, (size_t)(to.out * to.in) * lf_dtype_size(to.act_dtype));
    return true;
}

lf_status lf_nn_freeze_there(lf_nn *nn, lf_module *m, lf_nn_there there, lf_err *err) {
    lf_group *group = m->group;
    assert(lf_nn_is_plain(nn, m));
    if (!there.stays && !copy_there(nn, m, there.data)) return no_room(nn, m, err);
    if (!group && there.stays)
        m->frozen = (lf_frozen){.out = m->out,
                                .in = m->in,
                                .data = (void *)(uintptr_t)there.data,
                                .act_dtype = lf_nn_act_dtype(nn, m),
                                .lets_go = lets_go(nn, m, there.data)};
    if (!group) return LF_OK;
    if (there.stays) group->there[part_of_group(m)] = there.data;
    return ++group->n_frozen < group->n || gather_group(nn, m) ? LF_OK : no_room(nn, m, err);
}

bool lf_nn_is_frozen(const lf_module *m) {
    return m->group ? m->group->n_frozen == m->group->n : m->frozen.data != NULL;
}

int64_t lf_nn_bytes_untouched(const lf_nn *nn, bool maps) {
    int64_t bytes = 0;
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const lf_module *m = nn->modules[i];
        if (!lf_nn_quantises(nn, m)) continue;
        const bool there = maps && !nn->packs && !m->group && !m->weight->transposed &&
                           m->weight->file_dtype == lf_nn_act_dtype(nn, m);
        const int64_t packed = nn->packs ? nn->k->frozen_size(LF_FROZEN_PACKED, m->out, m->in) : 0;
        if (!there) bytes += packed > 0 ? packed : nn->k->frozen_size(LF_FROZEN_PLAIN, m->out, m->in);
    }
    return bytes;
}

/* ---- as floats again ---- */

static bool restore_from_group(const lf_nn *nn, const lf_module *m, float *W) {
    const lf_frozen *all = &m->group->frozen;
    float *buffer = lf_aligned_alloc((size_t)(all->out * all->in) * sizeof *buffer);
    const bool ok = buffer && nn->k->frozen_restore(all, buffer);
    if (ok) memcpy(W, buffer + row_in_group(m) * m->in, (size_t)(m->out * m->in) * sizeof *W);
    lf_aligned_free(buffer);
    return ok;
}

/* Of an embedding, which is held as it is looked up: [in,out], maybe in fewer digits than its file has. */
static lf_status table_weight(const lf_nn *nn, const lf_module *m, float *W, lf_err *err) {
    const lf_tensor *held = &m->weight->tensor;
    float *rows = lf_aligned_alloc((size_t)held->numel * sizeof *rows);
    if (!rows) return lf_no_memory(err, "the weight of %s", m->name);
    if (held->data && held->dtype == nn->k->dtype)
        nn->k->to_f32(rows, held->data, held->numel);
    else if (!(nn->original && nn->original(nn->original_context, m, rows)))
        lf_to_f32(rows, held->data, held->dtype, held->numel);
    for (int64_t id = 0; id < m->in; id++)
        for (int64_t c = 0; c < m->out; c++) W[c * m->in + id] = rows[id * m->out + c];
    lf_aligned_free(rows);
    return LF_OK;
}

lf_status lf_nn_weight(const lf_nn *nn, const lf_module *m, float *W, lf_err *err) {
    if (m->kind == LF_MODULE_EMBEDDING) return table_weight(nn, m, W, err);
    const lf_kernels *k = kernels_of(nn, m);
    const lf_tensor *own = &m->weight->tensor;
    const bool frozen = lf_nn_is_frozen(m), held = own->data && own->dtype == k->dtype;
    const lf_frozen_format format = m->group ? m->group->frozen.format : m->frozen.format;
    const bool exact = frozen && k->frozen_exact && lf_frozen_is_exact(format);
    assert(frozen || held || nn->original);
    if (held)
        k->to_f32(W, m->weight->tensor.data, m->out * m->in);
    else if (!exact && nn->original && nn->original(nn->original_context, m, W))
        return LF_OK;
    else if (!frozen)
        return lf_no_memory(err, "reading the weight of %s again", m->name);
    else if (!(m->group ? restore_from_group(nn, m, W) : k->frozen_restore(&m->frozen, W)))
        return lf_no_memory(err, "unpacking the weight of %s", m->name);
    return LF_OK;
}
