/* Parameters trained beside an adapter: what they were stays, and one call puts it back and forth. Everything that
 * reads a parameter reads lf_param.tensor, so no family has to know of it. */
#include <assert.h>
#include <string.h>

#include "nn/nn.h"

typedef struct beside {
    lf_param *param;
    lf_tensor other; /* of the two tensors the one that is not shown */
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

static lf_status add(lf_nn *nn, lf_param *p, lf_err *err) {
    if (!nn->beside && (nn->beside = lf_arena_alloc(nn->arena, sizeof *nn->beside)))
        *nn->beside = (struct lf_nn_beside){0};
    beside *b = nn->beside ? lf_arena_alloc(nn->arena, sizeof *b) : NULL;
    const size_t size = (size_t)p->tensor.numel * lf_dtype_size(nn->k->dtype);
    void *data = b ? lf_arena_alloc(nn->arena, size) : NULL;
    if (!data) return lf_no_memory(err, "the %lld trained numbers of %s", (long long)p->tensor.numel, p->name);
    *b = (beside){.param = p, .other = p->tensor, .next = nn->beside->first};
    nn->beside->first = b;
    if (p->tensor.data) memcpy(data, p->tensor.data, size);
    lf_tensor_init(&p->tensor, nn->k->dtype, b->other.ndim, b->other.shape, data, NULL);
    return LF_OK;
}

lf_status lf_nn_put_beside(lf_nn *nn, lf_param *p, const float *values, bool trained, lf_err *err) {
    assert(!p->tensor.data || p->tensor.dtype == nn->k->dtype);
    assert(values || p->tensor.data);
    assert(!nn->beside || !nn->beside->base);
    const lf_status rc = find(nn, p) ? LF_OK : add(nn, p, err);
    if (rc) return rc;
    if (values) nn->k->from_f32(p->tensor.data, values, p->tensor.numel);
    return trained && !p->tensor.grad ? lf_nn_train(nn, p, err) : LF_OK;
}

void lf_nn_take_beside_off(lf_nn *nn) {
    lf_nn_show_base(nn, true);
    nn->beside = NULL;
}

bool lf_nn_is_beside(const lf_nn *nn, const lf_param *p) { return find(nn, p) != NULL; }

bool lf_nn_show_base(const lf_nn *nn, bool base) {
    if (!nn->beside || nn->beside->base == base) return base;
    for (beside *b = nn->beside->first; b; b = b->next) {
        const lf_tensor shown = b->param->tensor;
        b->param->tensor = b->other;
        b->other = shown;
    }
    nn->beside->base = base;
    return !base;
}
