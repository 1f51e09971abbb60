/* An adapter's factors for llama.cpp. Its file has one alpha for all modules, and each module's own rank by its shape,
 * so a module whose scaling is another (alpha_pattern, rslora with several ranks) has the difference in B. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gguf/arch.h"
#include "gguf/export.h"
#include "gguf/facts.h"

typedef struct writing {
    const lf_model *m;
    const lf_gguf_arch *arch;
    const lf_gguf_facts *facts;
    lf_gguf_writer *w;
    double alpha;
} writing;

/* alpha for which alpha / rank is the module's scaling */
static double alpha_of(const lf_lora *l) { return l->scaling * (double)l->r; }

static lf_status refuse(const lf_model *m, const char *what, const char *name, lf_err *err) {
    return lf_fail(
        err, LF_EUNSUPPORTED,
        "%s: the adapter has %s (%s), which a GGUF adapter cannot hold; `lora-ft merge --format gguf` writes "
        "the whole model",
        m->path, what, name);
}

/* llama.cpp finds an adapter by the tensor's name, and of tied models has one name for the embedding and the output
 * layer, whose adapters are two here. */
static lf_status check(const writing *me, lf_err *err) {
    const lf_nn *nn = &me->m->nn;
    for (int64_t i = 0; i < nn->n_params; i++)
        if (lf_nn_is_beside(nn, nn->params[i]))
            return refuse(me->m, "other numbers than factors", nn->params[i]->name, err);
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const lf_module *m = nn->modules[i];
        if (!m->lora) continue;
        if (m->lora->magnitude.data) return refuse(me->m, "magnitudes (DoRA)", m->name, err);
        if (me->m->tied && (m == me->m->lm_head || m == me->m->tokens.table))
            return refuse(me->m, "factors for one of two layers that share a weight", m->name, err);
    }
    return LF_OK;
}

static lf_dtype dtype_of(const writing *me) { return lf_gguf_dtype(me->facts, 2, LF_F32); }

/* The embedding's A is looked up row by row: [V,r]. */
static bool is_table(const lf_module *m) { return m->kind == LF_MODULE_EMBEDDING; }

static lf_status declare(const writing *me, const lf_module *m, lf_err *err) {
    const int64_t r = m->lora->r, A[2] = {is_table(m) ? m->in : r, is_table(m) ? r : m->in}, B[2] = {m->out, r};
    char *base, *a = NULL, *b = NULL;
    lf_status rc = lf_gguf_tensor_name(&base, me->arch, me->m, m->weight->name, err);
    if (rc) return rc;
    if (!(a = lf_format("%s.lora_a", base)) || !(b = lf_format("%s.lora_b", base)))
        rc = lf_no_memory(err, "%s", me->facts->path);
    if (!rc && !(rc = lf_gguf_declare(me->w, a, dtype_of(me), 2, A, err)))
        rc = lf_gguf_declare(me->w, b, dtype_of(me), 2, B, err);
    lf_free(base);
    lf_free(a);
    lf_free(b);
    return rc;
}

static lf_status write_A(const writing *me, const lf_module *m, float *A, float *room, lf_err *err) {
    const int64_t n = m->lora->r * m->in;
    me->m->nn.k->to_f32(A, m->lora->A.data, n);
    if (is_table(m)) lf_transpose(room, A, m->lora->r, m->in);
    return lf_gguf_write_f32(me->w, is_table(m) ? room : A, n, err);
}

static lf_status write_B(const writing *me, const lf_module *m, float *B, float *room, lf_err *err) {
    const int64_t n = m->out * m->lora->r, heads = lf_gguf_turned_heads(me->arch, me->m, m->weight->name);
    const double share = alpha_of(m->lora) / me->alpha;
    me->m->nn.k->to_f32(B, m->lora->B.data, n);
    for (int64_t i = 0; share != 1 && i < n; i++) B[i] = (float)(share * (double)B[i]);
    if (heads) lf_gguf_turn_rows(room, B, heads, m->out, m->lora->r);
    return lf_gguf_write_f32(me->w, heads ? room : B, n, err);
}

static lf_status write_factors(const writing *me, const lf_module *m, lf_err *err) {
    const int64_t n = m->lora->r * (m->in > m->out ? m->in : m->out);
    float *memory = lf_malloc(2 * (size_t)n * sizeof *memory);
    lf_status rc = memory ? write_A(me, m, memory, memory + n, err) : lf_no_memory(err, "%s", me->facts->path);
    if (!rc) rc = write_B(me, m, memory, memory + n, err);
    lf_free(memory);
    return rc;
}

typedef lf_status each_fn(const writing *me, const lf_module *m, lf_err *err);

static lf_status each(const writing *me, each_fn *act, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < me->m->nn.n_modules && !rc; i++)
        if (me->m->nn.modules[i]->lora) rc = act(me, me->m->nn.modules[i], err);
    return rc;
}

/* The first module's. */
static double find_alpha(const lf_nn *nn) {
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i]->lora) return alpha_of(nn->modules[i]->lora);
    return 0;
}

lf_status lf_gguf_write_adapter(lf_model *m, const lf_gguf_facts *facts, lf_err *err) {
    writing me = {.m = m, .facts = facts, .alpha = find_alpha(&m->nn)};
    lf_status rc;
    if (!(me.alpha > 0))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: the adapter holds no LoRA; there is nothing to write", m->path);
    if ((rc = lf_gguf_arch_of(&me.arch, m, err)) || (rc = check(&me, err)) ||
        (rc = lf_gguf_writer_new(&me.w, facts->path, err)))
        return rc;
    lf_gguf_put_general(me.w, "adapter", lf_gguf_arch_name(me.arch), facts);
    lf_gguf_put_file_type(me.w, dtype_of(&me));
    lf_gguf_put_string(me.w, "adapter.type", "lora");
    lf_gguf_put_f32(me.w, "adapter.lora.alpha", me.alpha);
    if (!(rc = each(&me, declare, err)) && !(rc = each(&me, write_factors, err))) {
        rc = lf_gguf_writer_commit(me.w, err);
        me.w = NULL;
    }
    lf_gguf_writer_abort(me.w);
    return rc;
}
