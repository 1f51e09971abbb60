/* What the arithmetic of frozen weights in int8 is made of (the kernels int8_* of kernels.def).
 *
 * A weight W [out,in] becomes bytes with a scale for each of its rows, W = diag(s) Q, once and for both directions:
 *
 *   y = x W^T    x = diag(t) P: the rows of x become bytes with scales of their own, y = diag(t) (P Q^T) diag(s)
 *   dx = dy W    the weight's scales are put into dy first: dy diag(s) = diag(t) P, dx = diag(t) (P Q)
 *
 * P Q^T and P Q are sums of whole numbers in 32 bits: exact, so every backend and any number of threads makes the same.
 * A row with a few very large numbers leaves the others few steps: such an x may have a scale for each LF_INT8_BLOCK
 * columns of a row. */
#ifndef LF_KERNELS_INT8_H
#define LF_KERNELS_INT8_H

#include <float.h>

#define LF_INT8_LEAST 0x1p-100f /* what is nowhere larger than this is zero: 127 over it would be too large */
#define LF_INT8_MOST  FLT_MAX   /* beyond is infinity: the scale says so */

enum {
    LF_INT8_BLOCK = 128,
    LF_INT8_LONGEST = 1 << 17 /* numbers in a sum: 2^17 x 127 x 127 is below 2^31 */
};

#endif
