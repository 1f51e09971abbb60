#include "nn/nn.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_NAME = 256 };

lf_status lf_nn_init(lf_nn *nn, const lf_kernels *k, lf_err *err) {
    *nn = (lf_nn){.k = k, .packs = true, .arena = lf_arena_new()};
    return nn->arena ? LF_OK : lf_no_memory(err, "a model's table");
}

void lf_nn_free(lf_nn *nn) {
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i]->group) {
            lf_aligned_free(nn->modules[i]->group->staging); /* of a model that was not read to its end */
            nn->modules[i]->group->staging = NULL;
        }
    lf_nn_release_quantised(nn);
    lf_arena_free(nn->arena);
    *nn = (lf_nn){0};
}

/* Appends to an array in the arena that doubles; the old copies stay until the model is freed. */
static bool append(lf_arena *arena, void ***array, int64_t *count, void *item) {
    const int64_t n = *count;
    if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4, ...: full */
        void **bigger = lf_arena_alloc(arena, (size_t)(n ? 2 * n : 1) * sizeof *bigger);
        if (!bigger) return false;
        if (n) memcpy(bigger, *array, (size_t)n * sizeof *bigger);
        *array = bigger;
    }
    (*array)[(*count)++] = item;
    return true;
}

lf_module *lf_nn_module(lf_nn *nn, lf_module_kind kind, int64_t out, int64_t in, const char *name, const char *alias) {
    lf_module *m = lf_arena_alloc(nn->arena, sizeof *m);
    if (!m) return NULL;
    *m = (lf_module){.kind = kind,
                     .out = out,
                     .in = in,
                     .frozen = {.out = out, .in = in},
                     .name = lf_arena_strdup(nn->arena, name),
                     .alias = lf_arena_strdup(nn->arena, alias)};
    const bool kept = append(nn->arena, (void ***)&nn->modules, &nn->n_modules, m);
    return m->name && m->alias && kept ? m : NULL;
}

lf_param *lf_nn_param(lf_nn *nn, const char *module, const char *file_prefix, const char *leaf, int ndim,
                      const int64_t *shape, bool decays) {
    char name[MAX_NAME], file_name[MAX_NAME];
    const char *dot = leaf[0] ? "." : "";
    snprintf(name, sizeof name, "%s%s%s", module, dot, leaf);
    snprintf(file_name, sizeof file_name, "%s%s%s", file_prefix, dot, leaf);
    lf_param *p = lf_arena_alloc(nn->arena, sizeof *p);
    if (!p) return NULL;
    p->name = lf_arena_strdup(nn->arena, name);
    p->file_name = lf_arena_strdup(nn->arena, file_name);
    p->file_dtype = LF_F32;
    p->decays = decays;
    lf_tensor_init(&p->tensor, nn->k->dtype, ndim, shape, NULL, NULL);
    const bool kept = append(nn->arena, (void ***)&nn->params, &nn->n_params, p);
    return p->name && p->file_name && kept ? p : NULL;
}

lf_module *lf_nn_find(const lf_nn *nn, const char *name) {
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (strcmp(nn->modules[i]->name, name) == 0 || strcmp(nn->modules[i]->alias, name) == 0) return nn->modules[i];
    return NULL;
}

lf_module *lf_nn_holder(const lf_nn *nn, const lf_param *p) {
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i]->weight == p || nn->modules[i]->bias == p) return nn->modules[i];
    return NULL;
}

bool lf_nn_may_carry(const lf_nn *nn, const lf_module *m) {
    if (m->kind != LF_MODULE_LINEAR) return m->of_tokens;
    if (m->head == LF_NO_HEAD) return true;
    bool classifies = false;
    for (int64_t i = 0; i < nn->n_modules; i++) classifies |= nn->modules[i]->head == LF_CLASS_HEAD;
    return m->head == LF_TOKEN_HEAD && !classifies;
}

static bool is_shared(const lf_nn *nn, const lf_module *m, const lf_param *p) {
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i] != m && (nn->modules[i]->weight == p || nn->modules[i]->bias == p)) return true;
    return false;
}

static void drop_param(lf_nn *nn, const lf_module *m, const lf_param *p) {
    int64_t kept = 0;
    if (!p || is_shared(nn, m, p)) return;
    for (int64_t i = 0; i < nn->n_params; i++)
        if (nn->params[i] != p) nn->params[kept++] = nn->params[i];
    nn->n_params = kept;
}

void lf_nn_drop(lf_nn *nn, const lf_module *m) {
    int64_t kept = 0;
    drop_param(nn, m, m->weight);
    drop_param(nn, m, m->bias);
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i] != m) nn->modules[kept++] = nn->modules[i];
    nn->n_modules = kept;
}

void lf_param_file_shape(const lf_param *p, int64_t shape[LF_TENSOR_DIMS]) {
    for (int i = 0; i < p->tensor.ndim; i++) shape[i] = p->tensor.shape[p->transposed ? p->tensor.ndim - 1 - i : i];
}

void lf_transpose(float *to, const float *from, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}

static void *numbers(lf_nn *nn, int64_t n) {
    return lf_arena_alloc(nn->arena, (size_t)n * lf_dtype_size(nn->k->dtype));
}

lf_status lf_nn_hold(lf_nn *nn, lf_param *p, lf_err *err) {
    if (!p->tensor.data) p->tensor.data = numbers(nn, p->tensor.numel);
    return p->tensor.data ? LF_OK : lf_no_memory(err, "the %lld numbers of %s", (long long)p->tensor.numel, p->name);
}

static lf_status room_for_act(lf_nn *nn, lf_param *p, lf_err *err) {
    p->tensor.dtype = nn->k->act_dtype;
    if (!p->tensor.data)
        p->tensor.data = lf_arena_alloc(nn->arena, (size_t)p->tensor.numel * lf_dtype_size(p->tensor.dtype));
    return p->tensor.data ? LF_OK : lf_no_memory(err, "the %lld numbers of %s", (long long)p->tensor.numel, p->name);
}

lf_status lf_nn_hold_act(lf_nn *nn, lf_param *p, const float *values, lf_err *err) {
    const lf_status rc = room_for_act(nn, p, err);
    if (!rc) nn->k->to_act(p->tensor.data, false, values, p->tensor.numel);
    return rc;
}

lf_status lf_nn_hold_there(lf_nn *nn, lf_param *p, lf_nn_there there, lf_err *err) {
    if (there.stays) p->tensor.data = (void *)(uintptr_t)there.data;
    const lf_status rc = room_for_act(nn, p, err);
    if (!rc && !there.stays)
        memcpy(p->tensor.data, there.data, (size_t)p->tensor.numel * lf_dtype_size(p->tensor.dtype));
    return rc;
}

lf_status lf_nn_group(lf_nn *nn, lf_group **out, lf_module *const *parts, int n, lf_err *err) {
    assert(n >= 1 && n <= LF_GROUP_PARTS);
    lf_group *group = *out = lf_arena_alloc(nn->arena, sizeof *group);
    if (!group) return lf_no_memory(err, "the group of %s", parts[0]->name);
    *group = (lf_group){.n = n, .frozen.in = parts[0]->in};
    for (int i = 0; i < n; i++) {
        assert(parts[i]->in == parts[0]->in && !parts[i]->head && !parts[i]->group);
        group->parts[i] = parts[i];
        group->frozen.out += parts[i]->out;
        parts[i]->group = group;
    }
    return LF_OK;
}

lf_status lf_nn_train(lf_nn *nn, lf_param *p, lf_err *err) {
    assert(p->tensor.data);
    p->tensor.grad = numbers(nn, p->tensor.numel);
    p->tensor.requires_grad = true;
    return p->tensor.grad ? LF_OK : lf_no_memory(err, "the gradient of %s", p->name);
}

static bool add_trainable(lf_nn *nn, lf_trainable ***list, int64_t *count, lf_trainable t) {
    lf_trainable *copy = lf_arena_alloc(nn->arena, sizeof *copy);
    if (!copy || !t.name) return false;
    *copy = t;
    return append(nn->arena, (void ***)list, count, copy);
}

static const char *joined(lf_nn *nn, const char *a, const char *b) {
    char name[MAX_NAME];
    snprintf(name, sizeof name, "%s.%s", a, b);
    return lf_arena_strdup(nn->arena, name);
}

lf_status lf_nn_trainables(lf_nn *nn, lf_trainable **out, int64_t *count, lf_err *err) {
    lf_trainable **list = NULL;
    int64_t n = 0;
    bool ok = true;
    for (int64_t i = 0; i < nn->n_params && ok; i++) {
        lf_param *p = nn->params[i];
        if (!p->tensor.requires_grad) continue;
        const lf_module *m = lf_nn_holder(nn, p);
        ok = add_trainable(
            nn, &list, &n,
            (lf_trainable){p->name, &p->tensor, .decays = p->decays, .is_head = m && m->head != LF_NO_HEAD});
    }
    for (int64_t i = 0; i < nn->n_modules && ok; i++) {
        lf_module *m = nn->modules[i];
        if (!m->lora) continue;
        const bool table = m->kind == LF_MODULE_EMBEDDING;
        const lf_trainable of_adapter[] = {
            {joined(nn, m->name, table ? "lora_embedding_A" : "lora_A"), &m->lora->A, .decays = true,
             .of_embedding = table},
            {joined(nn, m->name, table ? "lora_embedding_B" : "lora_B"), &m->lora->B, .decays = true, .is_B = !table,
             .of_embedding = table},
            {joined(nn, m->name, "lora_magnitude_vector"), &m->lora->magnitude, .decays = true}};
        for (int k = 0; k < (m->lora->magnitude.data ? 3 : 2); k++)
            ok = ok && ((of_adapter[k].tensor == &m->lora->B && m->lora->B_is_held) ||
                        add_trainable(nn, &list, &n, of_adapter[k]));
    }
    *out = ok ? lf_arena_alloc(nn->arena, (size_t)(n + 1) * sizeof **out) : NULL;
    if (!*out) return lf_no_memory(err, "the list of trained tensors");
    for (int64_t i = 0; i < n; i++) (*out)[i] = *list[i];
    *count = n;
    return LF_OK;
}

int64_t lf_nn_count(const lf_nn *nn, bool trained_only) {
    int64_t n = 0;
    for (int64_t i = 0; i < nn->n_params; i++)
        if (!trained_only || nn->params[i]->tensor.requires_grad) n += nn->params[i]->tensor.numel;
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const lf_lora *l = nn->modules[i]->lora;
        if (!l) continue;
        n += l->A.numel + (l->magnitude.data ? nn->modules[i]->out : 0);
        if (!trained_only || !l->B_is_held) n += l->B.numel;
    }
    return n;
}

/* Parts with magnitudes (DoRA) get their biases behind these. */
static lf_tensor *linear_parts(lf_graph *g, lf_tensor *x, const lf_frozen *frozen, const lf_linear_part *parts, int n) {
    lf_linear_part bare[LF_GROUP_PARTS];
    bool scaled = false;
    for (int i = 0; i < n; i++) {
        bare[i] = parts[i];
        bare[i].bias = NULL;
        scaled = scaled || (parts[i].lora && parts[i].lora->magnitude.data);
    }
    if (!scaled) return lf_linear_group(g, x, frozen, parts, n);
    lf_tensor *z = lf_linear_group(g, x, frozen, bare, n);
    return lf_nn_then(g, z, lf_dora(g, z, frozen, parts, n));
}

static lf_linear_part part_of(const lf_module *m, bool base, bool frozen) {
    return (lf_linear_part){m->out, frozen ? NULL : &m->weight->tensor, m->bias ? &m->bias->tensor : NULL,
                            base ? NULL : m->lora};
}

lf_tensor *lf_nn_linear_group(lf_graph *g, bool base, const lf_group *group, lf_tensor *x) {
    lf_linear_part parts[LF_GROUP_PARTS];
    bool frozen = group->frozen.data != NULL;
    for (int i = 0; i < group->n; i++) frozen = frozen && !group->parts[i]->weight->own;
    for (int i = 0; i < group->n; i++) parts[i] = part_of(group->parts[i], base, frozen);
    return linear_parts(g, x, frozen ? &group->frozen : NULL, parts, group->n);
}

lf_tensor *lf_nn_linear(lf_graph *g, bool base, lf_module *m, lf_tensor *x) {
    assert(!m->group);
    const bool frozen = m->frozen.data && !m->weight->own;
    const lf_linear_part only = part_of(m, base, frozen);
    return linear_parts(g, x, frozen ? &m->frozen : NULL, &only, 1);
}

lf_tensor *lf_nn_layernorm(lf_graph *g, lf_module *m, lf_tensor *x, double epsilon) {
    return lf_layernorm(g, x, &m->weight->tensor, &m->bias->tensor, epsilon);
}

lf_tensor *lf_nn_rmsnorm(lf_graph *g, lf_module *m, lf_tensor *x, double epsilon) {
    return lf_rmsnorm(g, x, &m->weight->tensor, epsilon);
}

lf_tensor *lf_nn_then(lf_graph *g, lf_tensor *x, lf_tensor *y) {
    lf_done(g, x);
    return y;
}

lf_tensor *lf_nn_residual(lf_graph *g, lf_tensor *x, lf_tensor *branch) {
    lf_tensor *y = lf_add(g, x, branch);
    lf_done(g, x);
    lf_done(g, branch);
    return y;
}
