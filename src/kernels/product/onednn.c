/* oneDNN's products (C API of 2.x).
 *
 * A primitive belongs to one shape and takes a millisecond to make: the ones used last are kept, for the life of the
 * process. Its scratch memory is the library's own, which grows when a primitive is made and never in a warm step. One
 * lock covers the kept primitives and their use. */
#include <dnnl.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/product/products.h"

#if DNNL_VERSION_MAJOR != 2
#error "written for the C API of oneDNN 2.x (Debian 12: libdnnl-dev 2.6)"
#endif

/* The layout of a packed weight is chosen for this many rows. A primitive may stand in WAYS places of its own. */
enum { TYPICAL_ROWS = 512, SETS = 64, WAYS = 8 };
enum { FORWARD, BACKWARD, DIRECTIONS };
enum { SRC, WEIGHTS, DST, BIAS, ARGUMENTS };

/* At the start of a packed weight's data; offsets are from there. */
typedef struct packed {
    dnnl_memory_desc_t weights[DIRECTIONS]; /* [K, N] each */
    int64_t offset[DIRECTIONS], size;
} packed;

/* What decides a primitive. Compared byte by byte: always cleared first. */
typedef struct shape {
    int64_t M, N, K, lda, ldb, ldc;
    int threads;
    bool in_bf16, out_bf16, transpose_a, transpose_b, add, bias, packed;
    bool bytes; /* int8 in, int32 out, whatever in_bf16 and out_bf16 say */
} shape;

typedef struct kept {
    shape shape;
    dnnl_primitive_t primitive; /* NULL: this place is free */
    dnnl_memory_t memory[ARGUMENTS];
    uint64_t used; /* when it was last asked for */
} kept;

static struct {
    pthread_mutex_t lock;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    kept kept[SETS][WAYS];
    uint64_t clock;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool has_isa(dnnl_cpu_isa_t isa) {
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)isa) == (unsigned)isa;
}
bool lf_onednn_has_float(void) { return has_isa(dnnl_cpu_isa_avx512_core); }
bool lf_onednn_has_bf16(void) { return has_isa(dnnl_cpu_isa_avx512_core_bf16); }
bool lf_onednn_has_int8(void) { return has_isa(dnnl_cpu_isa_avx512_core_vnni); }
bool lf_onednn_has_amx(void) { return has_isa(dnnl_cpu_isa_avx512_core_amx); }

static bool ready(void) {
    if (!state.engine && dnnl_engine_create(&state.engine, dnnl_cpu, 0)) return false;
    return state.stream || !dnnl_stream_create(&state.stream, state.engine, dnnl_stream_default_flags);
}

/* ---- descriptions ---- */

static dnnl_data_type_t type_of(bool bf16) { return bf16 ? dnnl_bf16 : dnnl_f32; }
static dnnl_data_type_t type_in(const shape *s) { return s->bytes ? dnnl_s8 : type_of(s->in_bf16); }
static dnnl_data_type_t type_out(const shape *s) { return s->bytes ? dnnl_s32 : type_of(s->out_bf16); }

/* [rows, columns], a row or (transposed) a column after the other, `stride` numbers apart. */
static bool plain(dnnl_memory_desc_t *d, dnnl_data_type_t type, int64_t rows, int64_t columns, bool transposed,
                  int64_t stride) {
    const dnnl_dims_t dims = {rows, columns}, strides = {transposed ? 1 : stride, transposed ? stride : 1};
    return !dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides);
}

/* `weights`: a layout that is given, or format_kind_any for oneDNN's choice; NULL: plain, as the shape says. */
static bool describe(dnnl_primitive_desc_t *out, const shape *s, const dnnl_memory_desc_t *weights) {
    dnnl_memory_desc_t src, dst, bias, plain_weights;
    dnnl_matmul_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t accumulate = NULL;
    const bool ok =
        plain(&src, type_in(s), s->M, s->K, s->transpose_a, s->lda) &&
        plain(&plain_weights, type_in(s), s->K, s->N, s->transpose_b, s->ldb) &&
        plain(&dst, type_out(s), s->M, s->N, false, s->ldc) && plain(&bias, dnnl_f32, 1, s->N, false, s->N) &&
        !dnnl_matmul_desc_init(&d, &src, weights ? weights : &plain_weights, s->bias ? &bias : NULL, &dst) &&
        !dnnl_primitive_attr_create(&attr) && !dnnl_post_ops_create(&accumulate) &&
        (!s->add || !dnnl_post_ops_append_sum(accumulate, 1)) && !dnnl_primitive_attr_set_post_ops(attr, accumulate) &&
        !dnnl_primitive_desc_create(out, &d, attr, state.engine, NULL);
    if (accumulate) dnnl_post_ops_destroy(accumulate);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return ok;
}

/* ---- kept primitives ---- */

static void forget(kept *p) {
    for (int i = 0; i < ARGUMENTS; i++)
        if (p->memory[i]) dnnl_memory_destroy(p->memory[i]);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    *p = (kept){0};
}

static bool make(kept *p, const dnnl_memory_desc_t *weights) {
    dnnl_primitive_desc_t pd = NULL;
    bool ok = describe(&pd, &p->shape, weights) && !dnnl_primitive_create(&p->primitive, pd);
    static const dnnl_query_t query[] = {
        [SRC] = dnnl_query_src_md, [WEIGHTS] = dnnl_query_weights_md, [DST] = dnnl_query_dst_md};
    for (int i = 0; i < BIAS && ok; i++)
        ok = !dnnl_memory_create(&p->memory[i], dnnl_primitive_desc_query_md(pd, query[i], 0), state.engine,
                                 DNNL_MEMORY_NONE);
    if (ok && p->shape.bias)
        ok = !dnnl_memory_create(&p->memory[BIAS], dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1),
                                 state.engine, DNNL_MEMORY_NONE);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (!ok) forget(p);
    return ok;
}

static uint64_t hash(const shape *s) {
    const uint64_t parts[] = {(uint64_t)s->M,
                              (uint64_t)s->N,
                              (uint64_t)s->K,
                              (uint64_t)s->lda,
                              (uint64_t)s->ldc,
                              (uint64_t)(s->add + 2 * s->bias + 4 * s->transpose_a + 8 * s->transpose_b +
                                         16 * s->packed + 32 * s->out_bf16 + 64 * s->bytes)};
    uint64_t h = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) h = (h ^ parts[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
}

/* The kept primitive, or a new one in the place of the one of its set that was not used for longest. NULL on failure.
 */
static kept *primitive_for(const shape *s, const dnnl_memory_desc_t *weights) {
    kept *set = state.kept[hash(s) % SETS], *oldest = set;
    for (kept *p = set; p < set + WAYS; p++) {
        if (p->primitive && memcmp(&p->shape, s, sizeof *s) == 0) {
            p->used = ++state.clock;
            return p;
        }
        if (p->used < oldest->used) oldest = p;
    }
    forget(oldest);
    memcpy(&oldest->shape, s, sizeof *s);
    if (!make(oldest, weights)) return NULL;
    oldest->used = ++state.clock;
    return oldest;
}

static bool execute(const kept *p, const void *src, const void *weights, void *dst, const void *bias) {
    void *const handle[ARGUMENTS] = {[SRC] = (void *)(uintptr_t)src,
                                     [WEIGHTS] = (void *)(uintptr_t)weights,
                                     [DST] = dst,
                                     [BIAS] = (void *)(uintptr_t)bias};
    static const int name[ARGUMENTS] = {
        [SRC] = DNNL_ARG_SRC, [WEIGHTS] = DNNL_ARG_WEIGHTS, [DST] = DNNL_ARG_DST, [BIAS] = DNNL_ARG_BIAS};
    dnnl_exec_arg_t arguments[ARGUMENTS];
    const int n = bias ? ARGUMENTS : BIAS;
    for (int i = 0; i < n; i++) {
        if (dnnl_memory_set_data_handle(p->memory[i], handle[i])) return false;
        arguments[i] = (dnnl_exec_arg_t){name[i], p->memory[i]};
    }
    return !dnnl_primitive_execute(p->primitive, state.stream, n, arguments) && !dnnl_stream_wait(state.stream);
}

static bool run(const shape *s, const dnnl_memory_desc_t *layout, const void *src, const void *weights, void *dst,
                const void *bias) {
    if (s->M == 0 || s->N == 0) return true;
    pthread_mutex_lock(&state.lock);
    const kept *p = ready() ? primitive_for(s, layout) : NULL;
    const bool ok = p && execute(p, src, weights, dst, bias);
    pthread_mutex_unlock(&state.lock);
    return ok;
}

bool lf_onednn_product(const lf_product *p, const void *A, const void *B, void *C) {
    shape s;
    memset(&s, 0, sizeof s);
    s.M = p->M, s.N = p->N, s.K = p->K, s.lda = p->lda, s.ldb = p->ldb, s.ldc = p->ldc;
    s.in_bf16 = p->in_bf16, s.out_bf16 = p->out_bf16, s.transpose_a = p->transpose_a, s.transpose_b = p->transpose_b;
    s.add = p->add, s.bias = p->bias != NULL, s.threads = lf_threads();
    return run(&s, NULL, A, B, C, p->bias);
}

bool lf_onednn_int8_product(int32_t *C, int64_t ldc, const int8_t *A, int64_t lda, const int8_t *B, int64_t ldb,
                            bool transpose_b, int64_t M, int64_t N, int64_t K) {
    shape s;
    memset(&s, 0, sizeof s);
    s.M = M, s.N = N, s.K = K, s.lda = lda, s.ldb = ldb, s.ldc = ldc;
    s.bytes = true, s.transpose_b = transpose_b, s.threads = lf_threads();
    return run(&s, NULL, A, B, C, NULL);
}

/* ---- packed weights ---- */

static shape packed_shape(const lf_frozen *w, bool backward, bool out_bf16, int64_t rows, bool bias, bool add) {
    shape s;
    memset(&s, 0, sizeof s);
    s.M = rows, s.N = backward ? w->in : w->out, s.K = backward ? w->out : w->in;
    s.lda = s.K, s.ldb = s.N, s.ldc = s.N;
    s.in_bf16 = s.packed = true;
    s.out_bf16 = out_bf16;
    s.bias = bias, s.add = add, s.threads = lf_threads();
    return s;
}

static bool choose_layout(dnnl_memory_desc_t *out, const lf_frozen *w, bool backward) {
    const shape s = packed_shape(w, backward, true, TYPICAL_ROWS, false, false);
    dnnl_memory_desc_t any;
    dnnl_primitive_desc_t pd = NULL;
    if (dnnl_memory_desc_init_by_tag(&any, 2, (dnnl_dims_t){s.K, s.N}, dnnl_bf16, dnnl_format_tag_any) ||
        !describe(&pd, &s, &any))
        return false;
    *out = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_primitive_desc_destroy(pd);
    return true;
}

static bool plan(packed *p, const lf_frozen *w) {
    if (!ready() || !choose_layout(&p->weights[FORWARD], w, false) || !choose_layout(&p->weights[BACKWARD], w, true))
        return false;
    p->offset[FORWARD] = lf_align_up(sizeof *p);
    p->offset[BACKWARD] = p->offset[FORWARD] + lf_align_up((int64_t)dnnl_memory_desc_get_size(&p->weights[FORWARD]));
    p->size = p->offset[BACKWARD] + lf_align_up((int64_t)dnnl_memory_desc_get_size(&p->weights[BACKWARD]));
    return true;
}

static bool reorder(const dnnl_memory_desc_t *from, const void *source, const dnnl_memory_desc_t *to, void *target) {
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t a = NULL, b = NULL;
    bool ok = !dnnl_reorder_primitive_desc_create(&pd, from, state.engine, to, state.engine, NULL) &&
              !dnnl_primitive_create(&primitive, pd) &&
              !dnnl_memory_create(&a, from, state.engine, (void *)(uintptr_t)source) &&
              !dnnl_memory_create(&b, to, state.engine, target);
    if (ok) {
        const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}};
        ok = !dnnl_primitive_execute(primitive, state.stream, 2, arguments) && !dnnl_stream_wait(state.stream);
    }
    if (a) dnnl_memory_destroy(a);
    if (b) dnnl_memory_destroy(b);
    if (primitive) dnnl_primitive_destroy(primitive);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return ok;
}

int64_t lf_onednn_packed_size(int64_t out, int64_t in) {
    packed p;
    pthread_mutex_lock(&state.lock);
    const bool ok = plan(&p, &(lf_frozen){.out = out, .in = in});
    pthread_mutex_unlock(&state.lock);
    return ok ? p.size : -1;
}

/* W is [out,in]: W^T, which forward multiplies by, is its transpose [in,out]. */
bool lf_onednn_pack(lf_frozen *w, const float *W) {
    packed *p = w->data;
    dnnl_memory_desc_t W_t, W_;
    pthread_mutex_lock(&state.lock);
    const bool ok = plan(p, w) && plain(&W_t, dnnl_f32, w->in, w->out, true, w->in) &&
                    plain(&W_, dnnl_f32, w->out, w->in, false, w->in) &&
                    reorder(&W_t, W, &p->weights[FORWARD], (char *)p + p->offset[FORWARD]) &&
                    reorder(&W_, W, &p->weights[BACKWARD], (char *)p + p->offset[BACKWARD]);
    pthread_mutex_unlock(&state.lock);
    return ok;
}

bool lf_onednn_unpack(const lf_frozen *w, float *W) {
    const packed *p = w->data;
    dnnl_memory_desc_t W_;
    pthread_mutex_lock(&state.lock);
    const bool ok = plain(&W_, dnnl_f32, w->out, w->in, false, w->in) &&
                    reorder(&p->weights[BACKWARD], (const char *)p + p->offset[BACKWARD], &W_, W);
    pthread_mutex_unlock(&state.lock);
    return ok;
}

bool lf_onednn_packed_product(const lf_frozen *w, bool backward, bool out_bf16, void *y, const void *x, int64_t rows,
                              const float *bias, bool add) {
    const packed *p = w->data;
    const int direction = backward ? BACKWARD : FORWARD;
    const shape s = packed_shape(w, backward, out_bf16, rows, bias != NULL, add);
    return run(&s, &p->weights[direction], x, (const char *)p + p->offset[direction], y, bias);
}
