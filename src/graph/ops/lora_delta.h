/* The adapters' term of a linear op: for the parts of a group together, on views, a block of rows at a time. It knows
 * neither the tape nor the weight W that its term is added to. */
#ifndef LF_GRAPH_OPS_LORA_DELTA_H
#define LF_GRAPH_OPS_LORA_DELTA_H

#include "graph/ops.h"
#include "graph/view.h"

/* Where the parts of a group stand in the matrices that they share. */
typedef struct lf_part_extents {
    const lf_lora *lora; /* NULL: none, and R = 0 */
    int64_t y, out;      /* its columns of y and dy: the first, and how many */
    int64_t u, R;        /* its columns of u and v */
} lf_part_extents;
typedef struct lf_group_extents {
    int64_t rows, in, out, R; /* out and R: the sums over the parts */
    int n;
    lf_part_extents parts[LF_GROUP_PARTS];
} lf_group_extents;

int64_t lf_lora_delta_rank(const lf_lora *lora); /* 2r in delta form, r without A0 and B0, 0 without an adapter */

/* Rows from .. from+n-1 of x and y and of what belongs to them. */
typedef struct lf_rows {
    int64_t from, n;
} lf_rows;

/* What the term is computed with, in pool memory from begin to end. As activations: Ahat [R,in] of all parts one below
 * the other, and Bhat [out,R], in which a part's stands in its own rows and columns and all else is zero, so that
 * x Ahat^T and dy Bhat are one product each, of rows without gaps, which is what the library is fast at. In real
 * numbers, for what is added: Ahat [R,in], and each part's Bhat^T [its R, its out]. */
typedef struct lf_lora_delta {
    const lf_kernels *k;
    lf_group_extents e;
    bool drops;                            /* there is dropout in this pass: u is not made by blocks */
    lf_view A_act, B_real[LF_GROUP_PARTS]; /* forward reads these, */
    lf_view B_act, A_real;                 /* backward these, and A_act if there is dropout */
    lf_view v, P, D;                       /* backward makes v [rows,R], P = v^T x [R,in], D = u^T dy [R,out] */
    void *real;                            /* the block of A_real and B_real */
} lf_lora_delta;

/* False: the pool had no memory, and the graph has failed. lf_lora_delta_end in either case. */
bool lf_lora_delta_begin(lf_graph *g, lf_lora_delta *d, const lf_kernels *k, const lf_group_extents *e, bool backward);
void lf_lora_delta_end(lf_graph *g, lf_lora_delta *d);

/* The rest is false if a product could not be made.
 * Of rows b: u [rows,R] = scaling x Ahat^T, unless there is dropout, and y += u Bhat^T. */
bool lf_lora_delta_forward(const lf_lora_delta *d, lf_rows b, lf_view y, lf_view u, lf_const_view x);
/* Of rows b: v = scaling dy Bhat, D = or += u^T dy (its first half), and, unless there is dropout, P = or += v^T x and
 * dx += v Ahat. The sums begin with row 0. dx without data: not wanted. */
bool lf_lora_delta_backward(const lf_lora_delta *d, lf_rows b, lf_view dx, lf_const_view dy, lf_const_view u,
                            lf_const_view x);
/* The same of n rows that stand alone; v: room for theirs. The sums begin where `add` is false. */
bool lf_lora_delta_backward_rows(const lf_lora_delta *d, int64_t n, bool add, lf_view v, lf_view dx, lf_const_view dy,
                                 lf_const_view u, lf_const_view x);

/* With dropout each part sees an x of its own, masked by `key` and its number, so these go through all rows at once:
 * u before the first block of forward, and P and dx behind the last of backward. */
bool lf_lora_delta_drop_forward(lf_graph *g, const lf_lora_delta *d, lf_view u, lf_const_view x, lf_rng_key key);
bool lf_lora_delta_drop_backward(lf_graph *g, const lf_lora_delta *d, lf_view dx, lf_const_view x, lf_rng_key key);

/* Adds what all blocks gave to part p's dA [r,in] and dB [out,r], real; NULL: not wanted. */
void lf_lora_delta_add(const lf_lora_delta *d, int p, void *dA, void *dB);

#endif
