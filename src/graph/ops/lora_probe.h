/* What an lf_lora_probe asks for (graph/ops.h). */
#ifndef LF_GRAPH_OPS_LORA_PROBE_H
#define LF_GRAPH_OPS_LORA_PROBE_H

#include "graph/ops/lora_delta.h"

bool lf_lora_is_probed(const lf_group_extents *e); /* a part has a probe that measures the term */
/* All rows of x [rows,in] to the probes that want to see them. */
void lf_lora_show_rows(lf_graph *g, const lf_kernels *k, const lf_group_extents *e, lf_const_view x);
/* dy^T x to the probes that want the gradient of W. False if a product could not be made. */
bool lf_lora_show_gradient(const lf_kernels *k, const lf_group_extents *e, lf_const_view dy, lf_const_view x);

/* Rows b of a pass whose forward is through. product [b.n,out], real: their x W^T alone, without the bias and without
 * the rounding of the layer's own y. u [rows,R] is what the layer itself multiplied with: of bf16 numbers, and after
 * dropout, if there is any. d is forward's. */
void lf_lora_probe_rows(lf_graph *g, const lf_lora_delta *d, lf_rows b, lf_const_view product, lf_const_view u);

#endif
