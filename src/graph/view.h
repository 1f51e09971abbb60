/* A matrix inside somebody's numbers: where it begins, how many numbers its rows are apart, and what they are. What is
 * only read is seen through an lf_const_view. Without data there is no matrix, and no part of one. */
#ifndef LF_GRAPH_VIEW_H
#define LF_GRAPH_VIEW_H

#include "kernels/kernels.h"

typedef struct lf_view {
    void *data;
    int64_t ld;
    lf_dtype dtype;
} lf_view;

typedef struct lf_const_view {
    const void *data;
    int64_t ld;
    lf_dtype dtype;
} lf_const_view;

static inline lf_const_view lf_view_read(lf_view v) { return (lf_const_view){v.data, v.ld, v.dtype}; }

/* The part that begins at (row, column). */
static inline lf_view lf_view_at(lf_view v, int64_t row, int64_t column) {
    if (v.data) v.data = (char *)v.data + (row * v.ld + column) * (int64_t)lf_dtype_size(v.dtype);
    return v;
}
static inline lf_const_view lf_const_view_at(lf_const_view v, int64_t row, int64_t column) {
    if (v.data) v.data = (const char *)v.data + (row * v.ld + column) * (int64_t)lf_dtype_size(v.dtype);
    return v;
}

#endif
