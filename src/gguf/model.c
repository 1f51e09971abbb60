#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gguf/arch.h"
#include "gguf/export.h"
#include "gguf/facts.h"
#include "gguf/tokenizer.h"

typedef struct writing {
    lf_model *m;
    const lf_gguf_arch *arch;
    const lf_gguf_facts *facts;
    lf_gguf_writer *w;
    int64_t n_factors;
} writing;

static lf_dtype dtype_of(const writing *me, const lf_param *p, const char *name) {
    return lf_gguf_stays_f32(me->arch, name) ? LF_F32 : lf_gguf_dtype(me->facts, p->tensor.ndim, p->file_dtype);
}

static lf_status declare_all(const writing *me, int64_t *largest, lf_err *err) {
    lf_status rc = LF_OK;
    *largest = 0;
    for (int64_t i = 0; i < me->m->nn.n_params && !rc; i++) {
        const lf_param *p = me->m->nn.params[i];
        char *name = NULL;
        if (!lf_model_writes(me->m, p)) continue;
        if (p->tensor.numel > *largest) *largest = p->tensor.numel;
        if (!(rc = lf_gguf_tensor_name(&name, me->arch, me->m, p->name, err)))
            rc = lf_gguf_declare(me->w, name, dtype_of(me, p, name), p->tensor.ndim, p->tensor.shape, err);
        lf_free(name);
    }
    if (!rc && me->n_factors)
        rc = lf_gguf_declare(me->w, "rope_freqs.weight", LF_F32, 1, &(int64_t){me->n_factors}, err);
    return rc;
}

/* out, room: of the largest parameter. */
static lf_status write_param(const writing *me, const lf_param *p, lf_merge_fn merge, void *context, float *out,
                             float *room, lf_err *err) {
    const int64_t heads = lf_gguf_turned_heads(me->arch, me->m, p->name), rows = p->tensor.shape[0];
    const lf_status rc = lf_model_merged(me->m, p, merge, context, out, room, err);
    if (rc) return rc;
    if (heads) lf_gguf_turn_rows(room, out, heads, rows, p->tensor.numel / rows);
    return lf_gguf_write_f32(me->w, heads ? room : out, p->tensor.numel, err);
}

static lf_status write_all(const writing *me, int64_t largest, lf_merge_fn merge, void *context, lf_err *err) {
    float *out = lf_aligned_alloc(2 * (size_t)largest * sizeof *out),
          *factors = lf_calloc((size_t)me->n_factors, sizeof *factors);
    lf_status rc = out && factors ? LF_OK : lf_no_memory(err, "the largest tensor of %s", me->m->path);
    for (int64_t i = 0; i < me->m->nn.n_params && !rc; i++)
        if (lf_model_writes(me->m, me->m->nn.params[i]))
            rc = write_param(me, me->m->nn.params[i], merge, context, out, out + largest, err);
    if (!rc && me->n_factors) {
        int64_t n;
        lf_gguf_rope_factors(factors, &n, me->arch, me->m);
        rc = lf_gguf_write_f32(me->w, factors, n, err);
    }
    lf_aligned_free(out);
    lf_free(factors);
    return rc;
}

lf_status lf_gguf_write_model(lf_model *m, const char *tokenizer, lf_merge_fn merge, void *context,
                              const lf_gguf_facts *facts, lf_err *err) {
    writing me = {.m = m, .facts = facts};
    int64_t largest;
    lf_status rc;
    if ((rc = lf_gguf_arch_of(&me.arch, m, err)) || (rc = lf_model_cut_tie(m, err)) ||
        (rc = lf_gguf_writer_new(&me.w, facts->path, err)))
        return rc;
    lf_gguf_rope_factors(NULL, &me.n_factors, me.arch, m);
    lf_gguf_put_general(me.w, "model", lf_gguf_arch_name(me.arch), facts);
    lf_gguf_put_file_type(me.w, lf_gguf_dtype(facts, 2, m->tokens.embedding->file_dtype));
    lf_gguf_put_sizes(me.w, me.arch, m);
    if (!(rc = lf_gguf_put_tokenizer(me.w, tokenizer, facts->chat, m->tokens.vocab_size, err)) &&
        !(rc = declare_all(&me, &largest, err)) && !(rc = write_all(&me, largest, merge, context, err))) {
        rc = lf_gguf_writer_commit(me.w, err);
        me.w = NULL;
    }
    lf_gguf_writer_abort(me.w);
    return rc;
}
