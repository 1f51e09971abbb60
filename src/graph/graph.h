/* A define-by-run tape. Calling an op runs it at once and, where a gradient will be wanted, writes it down; backward
 * walks the tape from its end. One graph is made a run and reused every step: its memory is a pool of blocks, so a warm
 * step makes no heap call.
 *
 * Failure is sticky: after the first one every op returns NULL and accepts NULL; lf_graph_status tells what it was.
 *
 * Memory: the builder says lf_done(g, t) when it will not use t again. A value that nothing needs in backward is given
 * back then; one whose op is cheap (norm, activation) is given back too, and made again in backward.
 */
#ifndef LF_GRAPH_GRAPH_H
#define LF_GRAPH_GRAPH_H

#include "base/pool.h"
#include "kernels/kernels.h"

enum { LF_TENSOR_DIMS = 4, LF_MAX_INPUTS = 13, LF_MAX_SAVED = 5 };

typedef struct lf_node lf_node;
typedef struct lf_graph lf_graph;

typedef struct lf_tensor {
    int ndim;
    int64_t shape[LF_TENSOR_DIMS];
    int64_t numel;
    lf_dtype dtype; /* of data and grad: the backend's act_dtype or, of parameters and behind lf_to_real, its dtype */
    void *data;     /* numel numbers; NULL when given back */
    void *grad;     /* same; leaves: owned by the leaf's owner, added to by backward; else of the tape */
    bool requires_grad;
    bool is_leaf; /* not made by an op: a parameter or an input */
    /* the tape's own */
    lf_node *producer;
    bool done, needed;
} lf_tensor;

typedef struct lf_op_case lf_op_case;

enum { LF_NEEDS_OUTPUT = 1 << 16 };
#define LF_NEEDS(i) (1u << (i))

/* One op: one file in graph/ops and one line in ops.def. */
typedef struct lf_op {
    const char *name;
    unsigned needs; /* what backward reads: LF_NEEDS(i) the value of input i, LF_NEEDS_OUTPUT its own output */
    unsigned (*needs_of)(const lf_node *node); /* NULL: `needs`; else what this very node's backward reads */
    bool cheap; /* its output may be given back after the forward pass and computed again */
    /* Checks the inputs, sets node->out's ndim and shape. LF_ESHAPE with the op's name and the shapes. out->dtype is
     * that of the first input (of activations, if there is none) unless it is set here. */
    lf_status (*shape)(lf_node *node, lf_err *err);
    void (*forward)(lf_graph *g, lf_node *node);
    /* Adds to the gradients of the inputs that want one (lf_grad_out); node->out->grad is there. */
    void (*backward)(lf_graph *g, lf_node *node);
    const lf_op_case *cases; /* ends with name NULL */
} lf_op;

struct lf_node {
    const lf_op *op;
    int n_in;
    lf_tensor *in[LF_MAX_INPUTS]; /* NULL: an optional input that is not there */
    lf_tensor *out;
    void *saved[LF_MAX_SAVED]; /* blocks of the step's pool that forward keeps for backward */
    lf_rng_key key;            /* of this op in this step, for dropout */
    unsigned needs;            /* as lf_op says for this node */
    lf_node *previous;
    _Alignas(16) unsigned char attributes[192]; /* the op's own parameters, copied in */
};

/* A case of the gradient check: inputs filled at random (normal, but not near 0), built by `build` in double. */
struct lf_op_case {
    const char *name;
    int n_in;
    struct {
        int ndim;
        int64_t shape[LF_TENSOR_DIMS];
        bool constant; /* no gradient is checked */
    } in[LF_MAX_INPUTS];
    lf_tensor *(*build)(lf_graph *g, lf_tensor **in);
    double tolerance;
};

extern const lf_op *const lf_ops[];
extern const int lf_n_ops;

lf_graph *lf_graph_new(const lf_kernels *k, uint64_t seed);
void lf_graph_free(lf_graph *g);

/* Starts a step: forgets all tensors of the last one. `training` switches dropout on; `with_grad` writes the tape.
 * `step` numbers the random streams (use the micro-batch number since the start of the run). */
void lf_graph_begin(lf_graph *g, bool training, bool with_grad, uint64_t step);
lf_status lf_graph_status(const lf_graph *g, lf_err *err);
const lf_kernels *lf_graph_kernels(const lf_graph *g);
const lf_kernels *lf_kernels_for(const lf_graph *g,
                                 const lf_tensor *t); /* the table whose activations are of t's dtype */
bool lf_graph_training(const lf_graph *g);
void lf_graph_shrink(lf_graph *g);         /* right behind lf_graph_begin: no memory of earlier steps is kept */
int64_t lf_graph_bytes(const lf_graph *g); /* held by the pool */
/* A part of the model that is not run, because its result is known: its nodes keep their numbers, so that those behind
 * it draw what they would have drawn. `nodes`: what lf_graph_nodes grew by where it was run. */
uint64_t lf_graph_nodes(const lf_graph *g);
void lf_graph_leave_out(lf_graph *g, uint64_t nodes);
bool lf_graph_drew(const lf_graph *g); /* has anything since `begin` drawn random numbers? */

/* A leaf over activations that outlive the step; not copied. */
lf_tensor *lf_graph_input(lf_graph *g, int ndim, const int64_t *shape, void *data);
/* A leaf of its owner's: fills t (no graph needed). */
void lf_tensor_init(lf_tensor *t, lf_dtype dtype, int ndim, const int64_t *shape, void *data, void *grad);

/* The builder will not use t again. NULL is accepted. Leaves are left alone. */
void lf_done(lf_graph *g, lf_tensor *t);

/* d(loss) = dloss at `loss` (one number), then backward. All values of the step are given back. */
lf_status lf_graph_backward(lf_graph *g, lf_tensor *loss, double dloss, lf_err *err);

/* ---- for ops ---- */
/* Runs `op` over inputs (n_in <= LF_MAX_INPUTS; trailing and inner NULLs are absent optional inputs). */
lf_tensor *lf_graph_apply(lf_graph *g, const lf_op *op, int n_in, lf_tensor *const *in, const void *attributes,
                          size_t size);
void lf_graph_fail(lf_graph *g, lf_status status, const char *format, ...) LF_PRINTF(3, 4);
lf_err *lf_graph_failure(lf_graph *g); /* where what failed is kept until the next begin: for lf_no_memory */
void *lf_graph_take(lf_graph *g, lf_dtype dtype, int64_t numbers); /* pool memory; on failure sticky and NULL */
void lf_graph_give(lf_graph *g, void *block);
void *lf_graph_take_bytes(lf_graph *g, int64_t bytes);
void lf_graph_draws(lf_graph *g); /* an op's result will depend on its key */
/* node->saved[slot], taken once, kept for backward */
void *lf_save(lf_graph *g, lf_node *node, int slot, lf_dtype dtype, int64_t numbers);
/* Where to put the gradient of input i: NULL if it wants none. *add: there is something already. */
void *lf_grad_out(lf_graph *g, lf_node *node, int i, bool *add);
double lf_dloss(const lf_node *node); /* of an op whose output is one real number: its gradient */
/* The same for ops whose gradient may be written over the one it is made from, number by number: hands node->out->grad
 * over where input i, which must be of its size, has none yet. Read the output's gradient from node->out->grad or, when
 * that is NULL, from what is returned. */
void *lf_grad_in_place(lf_graph *g, lf_node *node, int i, bool *add);
static inline bool lf_wants_grad(const lf_node *node, int i) {
    return i < node->n_in && node->in[i] && node->in[i]->requires_grad;
}
bool lf_node_keeps(const lf_graph *g, const lf_node *node); /* a backward pass will visit this node */

/* Largest relative error of the analytic gradients against central differences, in double, over all inputs. */
double lf_gradcheck(const lf_op_case *c, uint64_t seed, lf_err *err);

#endif
