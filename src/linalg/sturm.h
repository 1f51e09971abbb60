/* Eigenvalues of a symmetric tridiagonal matrix counted by Sturm sequences, to check what an eigensolver claims. */
#ifndef LF_LINALG_STURM_H
#define LF_LINALG_STURM_H

#include <stdbool.h>
#include <stdint.h>

/* Diagonal d [n], beside it e [n-1]. Borrowed, not changed. */
typedef struct lf_tridiagonal {
    int64_t n;
    const double *d, *e;
} lf_tridiagonal;

int64_t lf_tridiagonal_count_above(const lf_tridiagonal *t, double x); /* eigenvalues > x */
double lf_tridiagonal_largest(const lf_tridiagonal *t); /* largest eigenvalue, or 0 if that is negative */

/* True if `first` and `last` are eigenvalues number s and s+r-1 counted from the largest, 0-based, each up to a
 * relative difference of `cluster`. */
bool lf_tridiagonal_is_block(const lf_tridiagonal *t, int64_t s, int64_t r, double first, double last, double cluster);

#endif
