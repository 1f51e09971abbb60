/* The ops, as a model's builder calls them. B batch, T tokens, C channels. */
#ifndef LF_GRAPH_OPS_H
#define LF_GRAPH_OPS_H

#include "graph/graph.h"

/* Looks at a layer with an adapter while passes go through it, as long as its lf_lora has one. Values do not change.
 * Measured by itself: the size of the adapter's term beside that of the frozen product it is added to; every forward
 * pass adds |dW x| / |W x| (both without the bias) of each row of x that counts. Not so where it has a `see` or a
 * `gradient`, which are for calibration (adapter/calibrate.h). */
typedef struct lf_lora_probe {
    double sum;   /* of the ratios */
    int64_t rows; /* how many; those with W x = 0 are left out */
    /* NULL, or called by each forward pass with the rows of x that count, n at a time, real [n,in]. */
    void (*see)(void *context, const void *rows, int64_t n);
    void *context;
    void *gradient; /* NULL, or real [out,in], to which backward adds dy^T x, the gradient of W */
    const bool
        *ignored; /* NULL, or n_ignored rows: in passes of as many rows, those that are true do not count (padding) */
    int64_t n_ignored;
} lf_lora_probe;

/* A LoRA adapter in delta form (docs/architecture.md): what is trained is A [r,in] and B [out,r]; A0, B0 are where they
 * started, so that y = x W^T + scaling * ( (x A^T)(B-B0)^T + (x (A-A0)^T) B0^T ). A0 = B0 = NULL: B started at zero,
 * and the term is scaling * (x A^T) B^T. Dropout acts on the x of this term alone. */
typedef struct lf_lora {
    int64_t r;
    double scaling, dropout;
    lf_tensor A, B;
    lf_tensor magnitude;  /* DoRA (lf_dora): [out] real, trained; data NULL: none */
    void *squares;        /* with a magnitude: [out] real, of each row of W the sum of squares */
    void *A0, *B0;        /* as A and B: numbers of the backend's dtype. Written by a start and by a checkpoint */
    lf_lora_probe *probe; /* NULL: nothing is measured, at no cost */
    int32_t padding; /* of an embedding: the id whose column of A gets no gradient (torch's padding_idx); -1: none */
    bool B_is_held;  /* B is no number that training changes: it has no gradient, and is not counted as trained */
} lf_lora;

/* y [.., out] = x [.., in] W^T + bias + LoRA. Exactly one of weight (trained) and frozen; bias, lora may be NULL. */
lf_tensor *lf_linear(lf_graph *g, lf_tensor *x, const lf_frozen *frozen, lf_tensor *weight, lf_tensor *bias,
                     lf_lora *lora);

/* A group: several such layers, its parts, over one x, as one. y [.., sum of out] holds their results side by side.
 * `frozen` is all weights one below the other [sum of out, in], or NULL: every part has its (trained) weight. */
enum { LF_GROUP_PARTS = 3 };
typedef struct lf_linear_part {
    int64_t out;
    lf_tensor *weight, *bias;
    lf_lora *lora;
} lf_linear_part;
lf_tensor *lf_linear_group(lf_graph *g, lf_tensor *x, const lf_frozen *frozen, const lf_linear_part *parts, int n);
/* DoRA (Liu et al. 2024) behind a group of frozen layers: z [.., sum of out] is what lf_linear_group made of the parts
 * without their biases, and y = magnitude z / |row of W + scaling B A| + bias, of parts that have a magnitude; of the
 * others y = z + bias. As in PEFT the norms are constants to backward. */
lf_tensor *lf_dora(lf_graph *g, lf_tensor *z, const lf_frozen *frozen, const lf_linear_part *parts, int n);
lf_tensor *lf_layernorm(lf_graph *g, lf_tensor *x, lf_tensor *w, lf_tensor *b, double epsilon);
lf_tensor *lf_activation(lf_graph *g, lf_tensor *x, lf_activation_kind f); /* f of each number */
/* The gated activation of an MLP, [..,2I] -> [..,I]: f(first half) * second half. SwiGLU with LF_SILU, GeGLU with
 * LF_GELU or LF_GELU_TANH, ReGLU with LF_RELU. */
lf_tensor *lf_gated(lf_graph *g, lf_tensor *gate_up, lf_activation_kind f);
lf_tensor *lf_add(lf_graph *g, lf_tensor *a, lf_tensor *b);
lf_tensor *lf_scale(lf_graph *g, lf_tensor *x, double by); /* by * x; x itself when by = 1; takes x over */
/* x itself when p = 0 or not training; takes x over: the caller says lf_done for what is returned only. */
lf_tensor *lf_dropout(lf_graph *g, lf_tensor *x, double p);
/* x with a number from -size to size, drawn uniformly, added to each of its numbers; as lf_dropout takes x over. */
lf_tensor *lf_noise(lf_graph *g, lf_tensor *x, double size);

typedef struct lf_attention_opts {
    int64_t heads, kv_heads;
    double scale; /* 0: 1/sqrt(head size) */
    bool causal;
    int64_t window;         /* as lf_attention_dims, and so are: */
    const int32_t *first;   /* borrowed until backward */
    const int32_t *lengths; /* borrowed until backward; 1 .. T each */
    double softcap;
    const lf_tensor *bias; /* [heads,Tq,T] real, a constant; borrowed until backward */
    double dropout;
} lf_attention_opts;
/* qkv [B,T,(heads + 2 kv_heads)*D], side by side -> [B,T,heads*D] */
lf_tensor *lf_attention(lf_graph *g, lf_tensor *qkv, const lf_attention_opts *opts);
/* The queries of the last Tq positions only: q [B,Tq,heads*D] (or [B,heads*D], Tq = 1), kv [B,T,2 kv_heads*D] -> as q
 */
lf_tensor *lf_attention_of(lf_graph *g, lf_tensor *q, lf_tensor *kv, const lf_attention_opts *opts);

/* pixels [B,channels,H,W] (floats, whatever the backend) -> [B, N, channels*P*P]; no gradient for pixels. */
lf_tensor *lf_patchify(lf_graph *g, const float *pixels, int64_t B, int64_t channels, int64_t H, int64_t W, int64_t P);
/* patches [B,N,C], prefix: P tokens of C numbers in front of them, pos: K + N places, K <= P -> [B,P+N,C]. The first K
 * tokens in front have places, the others (registers) none. prefix, pos: real, of any shape; NULL: none. */
lf_tensor *lf_embed_tokens(lf_graph *g, lf_tensor *patches, lf_tensor *prefix, lf_tensor *pos);
/* Each channel times its own number: x [..,C], w [C] real -> as x. */
lf_tensor *lf_layer_scale(lf_graph *g, lf_tensor *x, lf_tensor *w);
/* x [B, ..] with whole examples left out with chance p, the others / (1 - p); as lf_dropout takes x over. */
lf_tensor *lf_drop_path(lf_graph *g, lf_tensor *x, double p);
/* Rows side by side, each part seen as [its first dim, all the rest]: [R,C1], [R,C2], .. -> [R, C1 + C2 + ..]. */
lf_tensor *lf_concat(lf_graph *g, lf_tensor *const *parts, int n);
/* matrix [R,S] times x (S rows of C) -> [R,C]; the matrix is a constant of x's type. */
lf_tensor *lf_mix_rows(lf_graph *g, lf_tensor *x, lf_tensor *matrix);
lf_tensor *lf_select_token(lf_graph *g, lf_tensor *x, int64_t t); /* [B,T,C] -> [B,C] */
/* The token of each row at columns[b] (int32 [B], borrowed until backward): x [B,T,C] -> [B,C]. For texts of different
 * lengths, whose last token stands in another column in each row. */
lf_tensor *lf_select_tokens(lf_graph *g, lf_tensor *x, const int32_t *columns);
/* The mean of each row's tokens first .. lengths[b] - 1: x [B,T,C] -> [B,C]. lengths: [B], borrowed until backward, or
 * NULL for T; each larger than `first`. */
lf_tensor *lf_mean_tokens(lf_graph *g, lf_tensor *x, int64_t first, const int32_t *lengths);
/* In the backend's full precision, for classifiers and losses: x itself where it is already; takes x over, as
 * lf_dropout. */
lf_tensor *lf_to_real(lf_graph *g, lf_tensor *x);

/* block(context, g, x), of whose values nothing is kept for backward but x: they are made again then. The block may
 * call lf_done on the x it is given; the caller says lf_done for its own. `context` is borrowed until backward. */
typedef lf_tensor *(*lf_block_fn)(const void *context, lf_graph *g, lf_tensor *x);
lf_tensor *lf_checkpoint(lf_graph *g, lf_block_fn block, const void *context, lf_tensor *x);

/* ---- language models ---- */

/* Token ids [B,T] (borrowed until backward) to [B,T,C]: rows of `table` [V,C] (real when trained, of activations when
 * frozen), plus, if `positions_table` [P,C] is there, its rows for `positions` [B,T] (borrowed). An adapter on the
 * table (NULL: none) is one on W = table^T [C,V], of A [r,V] and B [C,r]: the row of an id becomes W's column, and x is
 * what picks it, so that the term is scaling B (column of A). Its dropout is not applied (PEFT does not), its probe not
 * asked.
 */
lf_tensor *lf_embed(lf_graph *g, const int32_t *ids, int64_t B, int64_t T, lf_tensor *table, lf_lora *lora,
                    lf_tensor *positions_table, const int32_t *positions);
lf_tensor *lf_rmsnorm(lf_graph *g, lf_tensor *x, lf_tensor *w, double epsilon); /* x / sqrt(mean(x^2) + epsilon) * w */
/* RMS norm of each head of q and of k (Qwen3): qkv as lf_attention takes it, w_q, w_k [D]; or, with w_q [heads*D] and
 * w_k [kv_heads*D], of all heads of q as one and of all of k (OLMo 2). v is passed on. */
lf_tensor *lf_head_norm(lf_graph *g, lf_tensor *qkv, lf_tensor *w_q, lf_tensor *w_k, int64_t heads, int64_t kv_heads,
                        double epsilon);
/* Rotary position embedding of q and k (Su et al. 2021), halves rotated as transformers does it, of the first `turned`
 * numbers of each head (even; D: of all): cosines, sines [P, turned/2] floats (borrowed until backward), positions
 * [B,T] (borrowed). The rest of a head and v are passed on. */
lf_tensor *lf_rope(lf_graph *g, lf_tensor *qkv, const float *cosines, const float *sines, const int32_t *positions,
                   int64_t turned, int64_t heads, int64_t kv_heads);

/* What a pass over the targets found; filled by lf_lm_loss when it runs. */
typedef struct lf_lm_counts {
    double nll; /* sum of -log p[label] */
    int64_t targets, correct;
} lf_lm_counts;
/* What makes logits over a vocabulary of hidden states h: z = scale p + bias, then softcap tanh(z / softcap), where p
 * is what the module makes of them, h W^T and its adapter's term (without DoRA, which is refused there). Nothing of it
 * is owned; all of it outlives backward. */
typedef struct lf_lm_head {
    const lf_frozen *frozen; /* W [V,C], or */
    lf_tensor *weight;       /* a trained one, real */
    lf_tensor *bias;         /* [V] real; NULL: none */
    double scale;            /* 0: 1 */
    double softcap;          /* 0: none */
    lf_lora *lora;           /* A [r,C], B [V,r]; NULL: none. Its probe is not asked */
} lf_lm_head;
/* The loss of a language model: hidden [B,T,C], labels [B*T] (< 0: no target; borrowed until backward) -> [1] = sum of
 * -log softmax(logits)[label] / normalizer, real. The logits are made in real precision a block of rows at a time and
 * never stand in memory whole; only rows with a target are computed. */
lf_tensor *lf_lm_loss(lf_graph *g, lf_tensor *hidden, const lf_lm_head *head, const int32_t *labels, double normalizer,
                      double smoothing, lf_lm_counts *counts);

/* The same of what the base says: hidden [B,T,C] and head as there, base_hidden [B*T,C], activations that outlive
 * backward, what the base made of the same tokens, and base_head what makes logits of it, over as many tokens or over
 * the first of them only (the others have no probability to the base) -> [1] = sum of KL(softmax(base's logits) ||
 * softmax(logits)) / normalizer over the rows whose label is not below 0. The count has no nll and no correct.
 * without_label: the label is taken out of both, as in lf_kl_to. */
lf_tensor *lf_lm_kl_to(lf_graph *g, lf_tensor *hidden, const lf_lm_head *head, const void *base_hidden,
                       const lf_lm_head *base_head, const int32_t *labels, bool without_label, double normalizer,
                       lf_lm_counts *counts);

/* logits [rows,V], labels [rows] (borrowed until backward; < 0 is ignored) -> [1]: the sum over rows divided by
 * `normalizer` (the number of targets in the whole accumulated batch), with label smoothing as torch's. */
lf_tensor *lf_cross_entropy(lf_graph *g, lf_tensor *logits, const int32_t *labels, double normalizer, double smoothing);
/* The same with a weight [V] of each class, borrowed until backward, as torch's `weight`: the caller's normalizer is
 * then what the targets weigh. NULL: all 1. */
lf_tensor *lf_weighted_cross_entropy(lf_graph *g, lf_tensor *logits, const int32_t *labels, const float *weights,
                                     double normalizer, double smoothing);

/* Losses of numbers, logits and targets [rows,V] -> [1]: the sum over all of them divided by `normalizer`. targets:
 * plain floats, borrowed until backward; NaN: no label, no term. Logits in full precision (lf_to_real).
 * bce: -[t log s(x) + (1 - t) log(1 - s(x))], s = 1 / (1 + e^-x), as torch's binary_cross_entropy_with_logits, for
 * several labels at once. mse: (x - t)^2, for regression. */
lf_tensor *lf_bce_loss(lf_graph *g, lf_tensor *logits, const float *targets, double normalizer);
lf_tensor *lf_mse_loss(lf_graph *g, lf_tensor *logits, const float *targets, double normalizer);

/* How far predictions have moved from the base's: the sum over rows of KL(softmax(base) || softmax(logits)), divided by
 * `normalizer` -> [1]. logits [rows,V] in full precision; base [rows,V] plain floats, borrowed, constants. without
 * [rows], borrowed until backward: an entry of each row that is taken out of both, whose rest then sums to 1; below 0,
 * or NULL: none. */
lf_tensor *lf_kl_to(lf_graph *g, lf_tensor *logits, const float *base, const int32_t *without, double normalizer);

#endif
