#include <math.h>

#include "adapter/adapter.h"
#include "base/mem.h"

/* row += b * a, or b * (a - a0), in double */
static void add_row(double *row, double b, const float *a, const float *a0, int64_t n) {
    if (b == 0) return;
    if (a0)
        for (int64_t j = 0; j < n; j++) row[j] += b * ((double)a[j] - (double)a0[j]);
    else
        for (int64_t j = 0; j < n; j++) row[j] += b * (double)a[j];
}

/* What DoRA multiplies the adapted row with. */
static double share_of_norm(const double *row, int64_t n, float magnitude) {
    double squares = 0;
    for (int64_t j = 0; j < n; j++) squares += row[j] * row[j];
    return (double)magnitude / sqrt(squares);
}

lf_status lf_adapter_merge(const lf_module *m, float *W, lf_err *err) {
    const lf_lora *l = m->lora;
    if (!l) return LF_OK;
    const float *A = l->A.data, *B = l->B.data, *A0 = l->A0, *B0 = l->B0;
    double *row = lf_malloc((size_t)m->in * sizeof *row);
    if (!row) return lf_no_memory(err, "merging an adapter into %s", m->name);
    for (int64_t o = 0; o < m->out; o++) {
        for (int64_t j = 0; j < m->in; j++) row[j] = 0;
        for (int64_t k = 0; k < l->r; k++) {
            const int64_t at = o * l->r + k;
            add_row(row, (double)B[at] - (B0 ? (double)B0[at] : 0), A + k * m->in, NULL, m->in);
            if (B0) add_row(row, (double)B0[at], A + k * m->in, A0 + k * m->in, m->in);
        }
        for (int64_t j = 0; j < m->in; j++) row[j] = (double)W[o * m->in + j] + l->scaling * row[j];
        const float *magnitude = l->magnitude.data;
        const double factor = magnitude ? share_of_norm(row, m->in, magnitude[o]) : 1;
        for (int64_t j = 0; j < m->in; j++) W[o * m->in + j] = (float)(magnitude ? factor * row[j] : row[j]);
    }
    lf_free(row);
    return LF_OK;
}

int64_t lf_lora_rank(const lf_lora *l) { return l->A0 ? 2 * l->r : l->r; }

void lf_lora_factors(const lf_module *m, double *B, double *A) {
    const lf_lora *l = m->lora;
    const float *A1 = l->A.data, *B1 = l->B.data, *A0 = l->A0, *B0 = l->B0;
    const int64_t r = l->r, R = lf_lora_rank(l);
    for (int64_t i = 0; i < r * m->in; i++) {
        A[i] = (double)A1[i];
        if (A0) A[r * m->in + i] = (double)A1[i] - (double)A0[i];
    }
    for (int64_t o = 0; o < m->out; o++)
        for (int64_t k = 0; k < r; k++) {
            const double b0 = B0 ? (double)B0[o * r + k] : 0;
            B[o * R + k] = l->scaling * ((double)B1[o * r + k] - b0);
            if (B0) B[o * R + r + k] = l->scaling * b0;
        }
}
