/* The tape's inside, for the files of this folder. */
#ifndef LF_GRAPH_GRAPH_INTERNAL_H
#define LF_GRAPH_GRAPH_INTERNAL_H

#include "graph/graph.h"

struct lf_graph {
    const lf_kernels *k;
    uint64_t seed;
    lf_pool *pool;
    lf_node *last; /* the tape, newest first */
    uint64_t step, n_nodes;
    bool drew; /* some node's result depends on its key */
    bool training, with_grad;
    lf_err failure; /* sticky until the next begin */
};

/* Walks the tape from its end; `t` has its gradient. */
lf_status lf_graph_walk_back(lf_graph *g, lf_tensor *t, lf_err *err);

#endif
