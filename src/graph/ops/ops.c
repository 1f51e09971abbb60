/* The table of ops, assembled from ops.def. */
#include "graph/graph.h"

#define LF_OP(name) extern const lf_op lf_op_##name;
#include "graph/ops/ops.def"
#undef LF_OP

const lf_op *const lf_ops[] = {
#define LF_OP(name) &lf_op_##name,
#include "graph/ops/ops.def"
#undef LF_OP
};
const int lf_n_ops = sizeof lf_ops / sizeof lf_ops[0];
