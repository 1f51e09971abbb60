#include "kernels/profile.h"

#include "base/log.h"

const char *const lf_profile_names[LF_PROFILE_KINDS] = {
#define LF_PROFILE_NAME(e, name) [e] = name,
    LF_PROFILE_LIST(LF_PROFILE_NAME)
#undef LF_PROFILE_NAME
};

static const lf_kernels *inner; /* what is counted */
static const lf_kernels *inner_wide;
static lf_kernels outer, outer_wide;
static double seconds[LF_PROFILE_KINDS];

/* The kernels that are counted: result, kind, name, parameters, arguments. A wrapper is made of each line, for both
 * tables. */
#define KERNELS(X)                                                                                                     \
    X(bool, FROZEN, frozen_forward, (const lf_frozen *w, void *y, const void *x, int64_t rows, const void *b),         \
      (w, y, x, rows, b))                                                                                              \
    X(bool, FROZEN, frozen_backward, (const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add),           \
      (w, dx, dy, rows, add))                                                                                          \
    X(bool, ADAPTER, gemm,                                                                                             \
      (bool ta, bool tb, int64_t M, int64_t N, int64_t K, const void *A, int64_t lda, const void *B, int64_t ldb,      \
       bool add, void *C, int64_t ldc),                                                                                \
      (ta, tb, M, N, K, A, lda, B, ldb, add, C, ldc))                                                                  \
    X(bool, ADAPTER, gemm_real,                                                                                        \
      (bool ta, bool tb, int64_t M, int64_t N, int64_t K, const void *A, int64_t lda, const void *B, int64_t ldb,      \
       bool add, void *C, int64_t ldc),                                                                                \
      (ta, tb, M, N, K, A, lda, B, ldb, add, C, ldc))                                                                  \
    X(bool, ADAPTER, low_rank_sum,                                                                                     \
      (void *S, int64_t lds, bool add, const void *u, int64_t ldu, const void *z, int64_t ldz, int64_t rows,           \
       int64_t R, int64_t C),                                                                                          \
      (S, lds, add, u, ldu, z, ldz, rows, R, C))                                                                       \
    X(bool, LOSS, frozen_forward_real, (const lf_frozen *w, void *y, const void *x, int64_t rows), (w, y, x, rows))    \
    X(double, LOSS, cross_entropy,                                                                                     \
      (void *lse, const void *l, const int32_t *labels, int64_t rows, int64_t V, double s),                            \
      (lse, l, labels, rows, V, s))                                                                                    \
    X(double, OPTIMISER, sum_squares, (const void *x, int64_t n), (x, n))

#define KERNELS_VOID(X)                                                                                                \
    X(ADAPTER, lora_factors,                                                                                           \
      (void *Aa, void *Ar, void *Ba, int64_t ldb, void *Br, const void *A, const void *B, const void *A0,              \
       const void *B0, int64_t r, int64_t in, int64_t out, double sa, double sb),                                      \
      (Aa, Ar, Ba, ldb, Br, A, B, A0, B0, r, in, out, sa, sb))                                                         \
    X(ADAPTER, low_rank_add,                                                                                           \
      (void *y, int64_t ldy, const void *u, int64_t ldu, const void *F, int64_t ldf, int64_t rows, int64_t C,          \
       int64_t R),                                                                                                     \
      (y, ldy, u, ldu, F, ldf, rows, C, R))                                                                            \
    X(ADAPTER, add_transposed, (void *y, const void *x, int64_t ldx, int64_t rows, int64_t C), (y, x, ldx, rows, C))   \
    X(ATTENTION, attention,                                                                                            \
      (void *o, void *lse, const void *q, const void *k, const void *v, const lf_attention_dims *d, void *s),          \
      (o, lse, q, k, v, d, s))                                                                                         \
    X(ATTENTION, attention_backward,                                                                                   \
      (void *dq, void *dk, void *dv, const void *dout, const void *o, const void *lse, const void *q, const void *k,   \
       const void *v, const lf_attention_dims *d, void *s),                                                            \
      (dq, dk, dv, dout, o, lse, q, k, v, d, s))                                                                       \
    X(NORM, layernorm,                                                                                                 \
      (void *y, void *m, void *r, const void *x, const void *w, const void *b, int64_t rows, int64_t C, double e),     \
      (y, m, r, x, w, b, rows, C, e))                                                                                  \
    X(NORM, layernorm_backward,                                                                                        \
      (void *dx, bool add, void *dw, void *db, const void *dy, const void *x, const void *m, const void *r,            \
       const void *w, int64_t rows, int64_t C),                                                                        \
      (dx, add, dw, db, dy, x, m, r, w, rows, C))                                                                      \
    X(ACTIVATION, gelu, (void *y, const void *x, int64_t n, bool t), (y, x, n, t))                                     \
    X(ACTIVATION, gelu_backward, (void *dx, bool add, const void *dy, const void *x, int64_t n, bool t),               \
      (dx, add, dy, x, n, t))                                                                                          \
    X(ELEMENTWISE, fill, (void *y, double value, int64_t n), (y, value, n))                                            \
    X(ELEMENTWISE, to_act, (void *y, bool add, const void *x, int64_t n), (y, add, x, n))                              \
    X(ELEMENTWISE, to_real, (void *y, bool add, const void *x, int64_t n), (y, add, x, n))                             \
    X(ELEMENTWISE, add, (void *y, const void *a, const void *b, int64_t n), (y, a, b, n))                              \
    X(ELEMENTWISE, axpy, (void *y, double a, const void *x, int64_t n), (y, a, x, n))                                  \
    X(ELEMENTWISE, bias, (void *y, int64_t ld, const void *b, int64_t rows, int64_t C), (y, ld, b, rows, C))           \
    X(ELEMENTWISE, column_sums, (void *db, const void *dy, int64_t ld, int64_t rows, int64_t C),                       \
      (db, dy, ld, rows, C))                                                                                           \
    X(ELEMENTWISE, dropout, (void *y, bool add, const void *x, int64_t n, double p, lf_rng_key key),                   \
      (y, add, x, n, p, key))                                                                                          \
    X(LOSS, patchify, (void *p, const float *pixels, int64_t B, int64_t c, int64_t H, int64_t W, int64_t P),           \
      (p, pixels, B, c, H, W, P))                                                                                      \
    X(LOSS, embed_tokens, (void *x, const void *p, const void *cls, const void *pos, int64_t B, int64_t N, int64_t C), \
      (x, p, cls, pos, B, N, C))                                                                                       \
    X(LOSS, select_token, (void *y, const void *x, int64_t B, int64_t T, int64_t C, int64_t t), (y, x, B, T, C, t))    \
    X(LOSS, select_token_backward, (void *dx, bool add, const void *dy, int64_t B, int64_t T, int64_t C, int64_t t),   \
      (dx, add, dy, B, T, C, t))                                                                                       \
    X(LOSS, cross_entropy_backward,                                                                                    \
      (void *d, bool add, double dl, const void *lse, const void *l, const int32_t *labels, int64_t rows, int64_t V,   \
       double s),                                                                                                      \
      (d, add, dl, lse, l, labels, rows, V, s))                                                                        \
    X(NORM, rmsnorm,                                                                                                   \
      (void *y, void *rstd, const void *x, const void *w, int64_t rows, int64_t groups, int64_t C, int64_t ld,         \
       double e),                                                                                                      \
      (y, rstd, x, w, rows, groups, C, ld, e))                                                                         \
    X(NORM, rmsnorm_backward,                                                                                          \
      (void *dx, bool add, void *dw, const void *dy, const void *x, const void *rstd, const void *w, int64_t rows,     \
       int64_t groups, int64_t C, int64_t ld),                                                                         \
      (dx, add, dw, dy, x, rstd, w, rows, groups, C, ld))                                                              \
    X(ACTIVATION, silu_mul, (void *y, const void *x, int64_t rows, int64_t C), (y, x, rows, C))                        \
    X(ACTIVATION, silu_mul_backward, (void *dx, bool add, const void *dy, const void *x, int64_t rows, int64_t C),     \
      (dx, add, dy, x, rows, C))                                                                                       \
    X(ELEMENTWISE, rope,                                                                                               \
      (void *y, bool add, const void *x, const float *c, const float *s, const int32_t *p, bool inverse, int64_t rows, \
       int64_t heads, int64_t D, int64_t ld),                                                                          \
      (y, add, x, c, s, p, inverse, rows, heads, D, ld))                                                               \
    X(ELEMENTWISE, copy_columns, (void *y, bool add, const void *x, int64_t ld, int64_t rows, int64_t C),              \
      (y, add, x, ld, rows, C))                                                                                        \
    X(LOSS, gather_rows, (void *y, bool add, const void *t, bool real, const int32_t *ids, int64_t rows, int64_t C),   \
      (y, add, t, real, ids, rows, C))                                                                                 \
    X(LOSS, scatter_rows, (void *dt, const void *dy, const int32_t *ids, int64_t rows, int64_t C),                     \
      (dt, dy, ids, rows, C))                                                                                          \
    X(LOSS, lm_cross_entropy,                                                                                          \
      (void *lse, double *nll, double *u, bool *c, const void *l, const int32_t *labels, int64_t rows, int64_t V),     \
      (lse, nll, u, c, l, labels, rows, V))                                                                            \
    X(LOSS, lm_cross_entropy_backward,                                                                                 \
      (void *d, double scale, const void *lse, const void *l, const int32_t *labels, int64_t rows, int64_t V,          \
       double s),                                                                                                      \
      (d, scale, lse, l, labels, rows, V, s))                                                                          \
    X(LOSS, embed_tokens_backward, (void *dp, void *dc, void *dpos, const void *dx, int64_t B, int64_t N, int64_t C),  \
      (dp, dc, dpos, dx, B, N, C))                                                                                     \
    X(OPTIMISER, sgd,                                                                                                  \
      (void *p, void *b, const void *g, int64_t n, double lr, double m, double wd, double s, bool first),              \
      (p, b, g, n, lr, m, wd, s, first))                                                                               \
    X(OPTIMISER, adamw, (void *p, void *m, void *v, const void *g, int64_t n, const lf_adamw_step *s),                 \
      (p, m, v, g, n, s))

#define WRAP(result, kind, name, parameters, arguments)                                                                \
    static result counted_##name parameters {                                                                          \
        const double began = lf_now();                                                                                 \
        const result r_ = inner->name arguments;                                                                       \
        seconds[LF_PROFILE_##kind] += lf_now() - began;                                                                \
        return r_;                                                                                                     \
    }                                                                                                                  \
    static result counted_wide_##name parameters {                                                                     \
        const double began = lf_now();                                                                                 \
        const result r_ = inner_wide->name arguments;                                                                  \
        seconds[LF_PROFILE_##kind] += lf_now() - began;                                                                \
        return r_;                                                                                                     \
    }
#define WRAP_VOID(kind, name, parameters, arguments)                                                                   \
    static void counted_##name parameters {                                                                            \
        const double began = lf_now();                                                                                 \
        inner->name arguments;                                                                                         \
        seconds[LF_PROFILE_##kind] += lf_now() - began;                                                                \
    }                                                                                                                  \
    static void counted_wide_##name parameters {                                                                       \
        const double began = lf_now();                                                                                 \
        inner_wide->name arguments;                                                                                    \
        seconds[LF_PROFILE_##kind] += lf_now() - began;                                                                \
    }
KERNELS(WRAP)
KERNELS_VOID(WRAP_VOID)

const lf_kernels *lf_profile_table(const lf_kernels *k) {
    inner = k;
    inner_wide = k->wide;
    outer = *k;
    outer_wide = *k->wide;
#define PUT_VOID(kind, name, parameters, arguments) outer.name = counted_##name, outer_wide.name = counted_wide_##name;
    KERNELS_VOID(PUT_VOID)
#define PUT(result, kind, name, parameters, arguments) PUT_VOID(kind, name, parameters, arguments)
    KERNELS(PUT)
    outer_wide.wide = &outer_wide;
    outer.wide = k->wide == k ? &outer : &outer_wide;
    lf_profile_reset();
    return &outer;
}

void lf_profile_reset(void) {
    for (int i = 0; i < LF_PROFILE_KINDS; i++) seconds[i] = 0;
}

double lf_profile_seconds(lf_profile_kind kind) { return seconds[kind]; }
