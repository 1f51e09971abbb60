#include "train/average.h"

#include <string.h>

#include "base/mem.h"

lf_status lf_average_open(lf_average *a, const lf_kernels *k, const lf_trainable *list, int64_t count, double keep,
                          lf_err *err) {
    int64_t numbers = 0;
    *a = (lf_average){.keep = keep, .k = k, .list = list, .count = count};
    if (!(keep > 0)) return LF_OK;
    for (int64_t i = 0; i < count; i++) numbers += list[i].tensor->numel;
    a->values = lf_aligned_alloc((size_t)numbers * sizeof *a->values);
    if (!a->values) return lf_no_memory(err, "the average of %lld trained numbers", (long long)numbers);
    float *to = a->values;
    for (int64_t i = 0; i < count; to += list[i++].tensor->numel)
        memcpy(to, list[i].tensor->data, (size_t)list[i].tensor->numel * sizeof *to);
    return LF_OK;
}

void lf_average_free(lf_average *a) {
    lf_aligned_free(a->values);
    a->values = NULL;
}

void lf_average_step(lf_average *a) {
    float *to = a->values;
    for (int64_t i = 0; to && i < a->count; to += a->list[i++].tensor->numel)
        a->k->average(to, a->list[i].tensor->data, a->list[i].tensor->numel, a->keep);
}

static void swap(float *a, float *b, int64_t n) {
    enum { PIECE = 1024 };
    float held[PIECE];
    for (int64_t at = 0; at < n; at += PIECE) {
        const size_t size = (size_t)(n - at < PIECE ? n - at : PIECE) * sizeof *held;
        memcpy(held, a + at, size);
        memcpy(a + at, b + at, size);
        memcpy(b + at, held, size);
    }
}

void lf_average_swap(lf_average *a) {
    float *at = a->values;
    for (int64_t i = 0; at && i < a->count; at += a->list[i++].tensor->numel)
        swap(at, a->list[i].tensor->data, a->list[i].tensor->numel);
}

void lf_average_take(lf_average *a) {
    lf_average_swap(a);
    lf_average_free(a);
}
