/* Weighted nearest neighbours on frozen features, as arXiv 2404.17245 does after DINO: cosine, votes exp(cos / T). */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "eval/eval_internal.h"

enum { ROWS = 256 }; /* of the similarity matrix that are there at a time */

typedef struct neighbours {
    int64_t count, index[LF_KNN_NEIGHBOURS];
    float cosine[LF_KNN_NEIGHBOURS]; /* descending */
} neighbours;

static void offer(neighbours *near, int64_t index, float cosine) {
    if (near->count == LF_KNN_NEIGHBOURS && !(cosine > near->cosine[near->count - 1])) return;
    int64_t at = near->count < LF_KNN_NEIGHBOURS ? near->count++ : near->count - 1;
    for (; at > 0 && cosine > near->cosine[at - 1]; at--) {
        near->cosine[at] = near->cosine[at - 1];
        near->index[at] = near->index[at - 1];
    }
    near->cosine[at] = cosine;
    near->index[at] = index;
}

static int32_t elect(const neighbours *near, const int32_t *labels, double *votes, int64_t n_classes) {
    for (int64_t c = 0; c < n_classes; c++) votes[c] = 0;
    for (int64_t i = 0; i < near->count; i++)
        votes[labels[near->index[i]]] += exp((double)near->cosine[i] / LF_KNN_TEMPERATURE);
    int32_t best = 0;
    for (int32_t c = 1; c < n_classes; c++)
        if (votes[c] > votes[best]) best = c;
    return best;
}

/* To length one, in the backend's numbers; a feature of zero stays zero, and is equally far from all. */
static void normalise(void *out, const lf_kernels *k, const float *features, float *row, int64_t n, int64_t dim) {
    const size_t stride = (size_t)dim * lf_dtype_size(k->dtype);
    for (int64_t i = 0; i < n; i++) {
        const float *f = features + i * dim;
        double squares = 0;
        for (int64_t j = 0; j < dim; j++) squares += (double)f[j] * (double)f[j];
        const double scale = squares > 0 ? 1 / sqrt(squares) : 0;
        for (int64_t j = 0; j < dim; j++) row[j] = (float)((double)f[j] * scale);
        k->from_f32((char *)out + (size_t)i * stride, row, dim);
    }
}

static int64_t count_correct(const float *cosines, int64_t first, int64_t rows, const int32_t *labels, int64_t n,
                             double *votes, int64_t n_classes) {
    int64_t correct = 0;
    for (int64_t i = 0; i < rows; i++) {
        neighbours near = {0};
        for (int64_t j = 0; j < n; j++)
            if (j != first + i) offer(&near, j, cosines[i * n + j]);
        correct += elect(&near, labels, votes, n_classes) == labels[first + i];
    }
    return correct;
}

lf_status lf_knn_accuracy(double *out, const lf_kernels *k, const float *features, const int32_t *labels, int64_t n,
                          int64_t dim, int64_t n_classes, lf_err *err) {
    *out = NAN;
    if (n < 2) return LF_OK;
    const size_t number = lf_dtype_size(k->dtype);
    const int64_t block = n < ROWS ? n : ROWS;
    char *unit = lf_aligned_alloc((size_t)(n * dim) * number),
         *product = lf_aligned_alloc((size_t)(block * n) * number);
    float *cosines = lf_aligned_alloc((size_t)(block * n) * sizeof *cosines),
          *row = lf_malloc((size_t)dim * sizeof *row);
    double *votes = lf_calloc((size_t)n_classes, sizeof *votes);
    lf_status rc = LF_OK;
    if (!unit || !product || !cosines || !row || !votes) {
        rc = lf_no_memory(err, "the nearest neighbours of %lld features", (long long)n);
        goto out;
    }
    normalise(unit, k, features, row, n, dim);
    int64_t correct = 0;
    for (int64_t first = 0; first < n; first += block) {
        const int64_t rows = n - first < block ? n - first : block;
        const char *queries = unit + (size_t)(first * dim) * number;
        if (!k->wide->gemm(false, true, rows, n, dim, queries, dim, unit, dim, false, product, n)) {
            rc = lf_no_memory(err, "the nearest neighbours of %lld features", (long long)n);
            goto out;
        }
        k->to_f32(cosines, product, rows * n);
        correct += count_correct(cosines, first, rows, labels, n, votes, n_classes);
    }
    *out = (double)correct / (double)n;
out:
    lf_free(votes);
    lf_free(row);
    lf_aligned_free(cosines);
    lf_aligned_free(product);
    lf_aligned_free(unit);
    return rc;
}
