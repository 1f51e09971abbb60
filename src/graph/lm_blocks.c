#include "graph/lm_blocks.h"

#include <string.h>

/* A block's logits take about this much. Products want many rows, so that the weight is read seldom: with fewer than
 * LEAST it is read for next to nothing, above MOST it is no faster. A multiple of LEAST suits the tiles of matrix
 * units. */
enum { LOGITS_BYTES = 132 << 20, LEAST = 16, MOST = 256 };

static int64_t block_rows(int64_t rows, int64_t V, int64_t number_bytes) {
    const int64_t fit = LOGITS_BYTES / (V * number_bytes) / LEAST * LEAST, size = fit < LEAST  ? LEAST
                                                                                  : fit > MOST ? MOST
                                                                                               : fit;
    return rows < size ? rows : size;
}

static void *bytes(lf_graph *g, int64_t count, size_t size) { return lf_graph_take_bytes(g, count * (int64_t)size); }

/* A trained weight as activations: itself, or rounded into pool memory. */
static const void *as_activations(lf_graph *g, lf_lm_blocks *b, const lf_tensor *weight) {
    if (b->k->act_dtype == b->k->dtype) return weight->data;
    b->owned = lf_graph_take(g, b->k->act_dtype, weight->numel);
    if (b->owned) b->k->to_act(b->owned, false, weight->data, weight->numel);
    return b->owned;
}

static bool begin(lf_graph *g, lf_lm_blocks *b, const lf_kernels *k, int64_t rows, const lf_lm_head *head,
                  int64_t least, bool gradients, lf_rng_key key) {
    const lf_frozen *frozen = head->frozen;
    *b = (lf_lm_blocks){.k = k,
                        .head = *head,
                        .rows = rows,
                        .says = frozen ? frozen->out : head->weight->shape[0],
                        .C = frozen ? frozen->in : head->weight->shape[1]};
    b->V = b->says < least ? least : b->says;
    if (head->scale == 0) b->head.scale = 1;
    b->size = block_rows(rows, b->V, (int64_t)lf_dtype_size(k->dtype));
    b->x = lf_graph_take(g, k->act_dtype, b->size * b->C);
    b->logits = lf_graph_take(g, k->dtype, b->size * b->V);
    b->row = bytes(g, b->size, sizeof *b->row);
    b->label = bytes(g, b->size, sizeof *b->label);
    b->nll = bytes(g, b->size, sizeof *b->nll);
    b->uniform = bytes(g, b->size, sizeof *b->uniform);
    b->correct = bytes(g, b->size, sizeof *b->correct);
    if (!frozen) b->W = as_activations(g, b, head->weight);
    return lf_lm_lora_begin(g, &b->lora, k, head->lora, b->size, b->C, b->says, gradients, key) &&
           !lf_graph_status(g, NULL);
}

bool lf_lm_blocks_begin(lf_graph *g, lf_lm_blocks *b, const lf_kernels *k, int64_t rows, const lf_lm_head *head,
                        bool gradients, lf_rng_key key) {
    return begin(g, b, k, rows, head, 0, gradients, key);
}

bool lf_lm_blocks_begin_wide(lf_graph *g, lf_lm_blocks *b, const lf_kernels *k, int64_t rows, const lf_lm_head *head,
                             int64_t V) {
    return begin(g, b, k, rows, head, V, false, (lf_rng_key){{0}});
}

bool lf_lm_blocks_next(lf_lm_blocks *b, const int32_t *labels) {
    b->before += b->n;
    b->n = 0;
    for (; b->next < b->rows && b->n < b->size; b->next++) {
        if (labels[b->next] < 0) continue;
        b->row[b->n] = b->next;
        b->label[b->n++] = labels[b->next];
    }
    return b->n > 0;
}

void lf_lm_blocks_gather(const lf_lm_blocks *b, const void *hidden) {
    const size_t size = (size_t)b->C * lf_dtype_size(b->k->act_dtype);
    for (int64_t i = 0; i < b->n; i++)
        memcpy((char *)b->x + (size_t)i * size, (const char *)hidden + (size_t)b->row[i] * size, size);
}

bool lf_lm_blocks_made(lf_graph *g, const lf_lm_blocks *b, bool ok) {
    if (!ok)
        lf_no_memory(lf_graph_failure(g), "lm_loss: a %s product of %lld rows with a weight of %lld x %lld",
                     b->k->precision, (long long)b->n, (long long)b->V, (long long)b->C);
    return ok;
}

/* Rows of `says` logits, one behind the other, to rows of V. What is put behind has no probability: e^x is 0 for it,
 * and, unlike -inf, 0 times it is 0. */
static void widen(const lf_lm_blocks *b, void *logits) {
    enum { IMPOSSIBLE = -1000000000 };
    const size_t number = lf_dtype_size(b->k->dtype);
    for (int64_t row = b->n - 1; row >= 0; row--) {
        char *to = (char *)logits + (size_t)(row * b->V) * number;
        memmove(to, (const char *)logits + (size_t)(row * b->says) * number, (size_t)b->says * number);
        b->k->wide->fill(to + (size_t)b->says * number, IMPOSSIBLE, b->V - b->says);
    }
}

bool lf_lm_blocks_logits(lf_graph *g, lf_lm_blocks *b, void *to) {
    const lf_lm_head *h = &b->head;
    bool ok = h->frozen ? b->k->frozen_forward_real(h->frozen, to, b->x, b->n)
                        : b->k->gemm_real(false, true, b->n, b->says, b->C, b->x, b->C, b->W, b->C, false, to, b->says);
    if (h->lora) ok = ok && lf_lm_lora_logits(&b->lora, b->n, to, b->x);
    if (!lf_lm_blocks_made(g, b, ok)) return false;
    if (h->bias || h->scale != 1 || h->softcap > 0)
        b->k->lm_logits(to, h->bias ? h->bias->data : NULL, b->n, b->says, h->scale, h->softcap);
    if (b->says < b->V) widen(b, to);
    return true;
}

void lf_lm_blocks_end(lf_graph *g, lf_lm_blocks *b) {
    void *const all[] = {b->x, b->logits, b->row, b->label, b->nll, b->uniform, b->correct, b->owned};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) lf_graph_give(g, all[i]);
    lf_lm_lora_end(g, &b->lora);
}
