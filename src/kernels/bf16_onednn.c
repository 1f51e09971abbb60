/* Frozen products in bf16 by oneDNN (C API of 2.x): the weight is packed twice, for x W^T and for dy W, each in the layout
 * that oneDNN asks for; activations are converted a block of rows at a time, so that the block is still in the cache when
 * it is multiplied; sums and results are fp32.
 *
 * A primitive belongs to a shape and a number of rows, and takes a millisecond to make: the ones used last are kept, for
 * the life of the process. As few as possible are needed because all blocks but the last have BLOCK rows. One lock covers
 * the kept primitives and their use. Memory to work in is the caller's (scratchpad_mode_user). */
#include <dnnl.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/bf16.h"

#if DNNL_VERSION_MAJOR != 2
#error "written for the C API of oneDNN 2.x (Debian 12: libdnnl-dev 2.6)"
#endif

/* On a Zen 4 core 128 to 2048 rows are as fast as each other, and so is K = 768 as 3072: nothing else is cut. */
enum { BLOCK = 512, KEPT = 128 };
enum { FORWARD, BACKWARD, DIRECTIONS };
enum { SRC, WEIGHTS, DST, SCRATCHPAD, ARGUMENTS };

/* At the start of a frozen weight's data; offsets are from there. */
typedef struct packed {
    dnnl_memory_desc_t weights[DIRECTIONS]; /* [K, N] each */
    int64_t offset[DIRECTIONS], size;
} packed;

typedef struct product {
    int direction;
    bool add;
    int threads;
    int64_t rows;
    dnnl_memory_desc_t weights;
    dnnl_primitive_t primitive; /* NULL: this place is free */
    dnnl_memory_t memory[ARGUMENTS];
    size_t scratchpad;
    uint64_t used; /* when it was last asked for */
} product;

static struct {
    pthread_mutex_t lock;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    product kept[KEPT];
    uint64_t clock;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool lf_bf16_native(void) {
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

static bool ready(void) {
    if (!state.engine && dnnl_engine_create(&state.engine, dnnl_cpu, 0)) return false;
    return state.stream || !dnnl_stream_create(&state.stream, state.engine, dnnl_stream_default_flags);
}

static int64_t up(int64_t size) { return (size + LF_ALIGN - 1) / LF_ALIGN * LF_ALIGN; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- descriptions ---- */

static bool plain(dnnl_memory_desc_t *d, dnnl_data_type_t type, int64_t rows, int64_t columns, bool transposed) {
    return !dnnl_memory_desc_init_by_tag(d, 2, (dnnl_dims_t){rows, columns}, type, transposed ? dnnl_ba : dnnl_ab);
}

/* rows x weights [K,N], fp32 out; the weights' layout is as given or, with format_kind_any, oneDNN's choice. */
static bool describe(dnnl_primitive_desc_t *out, const dnnl_memory_desc_t *weights, int64_t rows, bool add) {
    const int64_t K = weights->dims[0], N = weights->dims[1];
    dnnl_memory_desc_t src, dst;
    dnnl_matmul_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t accumulate = NULL;
    const bool ok = plain(&src, dnnl_bf16, rows, K, false) && plain(&dst, dnnl_f32, rows, N, false) &&
                    !dnnl_matmul_desc_init(&d, &src, weights, NULL, &dst) && !dnnl_primitive_attr_create(&attr) &&
                    !dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) &&
                    !dnnl_post_ops_create(&accumulate) && (!add || !dnnl_post_ops_append_sum(accumulate, 1)) &&
                    !dnnl_primitive_attr_set_post_ops(attr, accumulate) &&
                    !dnnl_primitive_desc_create(out, &d, attr, state.engine, NULL);
    if (accumulate) dnnl_post_ops_destroy(accumulate);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return ok;
}

static bool choose_layout(dnnl_memory_desc_t *out, int64_t K, int64_t N) {
    dnnl_memory_desc_t any;
    dnnl_primitive_desc_t pd = NULL;
    if (dnnl_memory_desc_init_by_tag(&any, 2, (dnnl_dims_t){K, N}, dnnl_bf16, dnnl_format_tag_any) ||
        !describe(&pd, &any, BLOCK, false))
        return false;
    *out = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_primitive_desc_destroy(pd);
    return true;
}

static bool plan(packed *p, int64_t out, int64_t in) {
    if (!ready() || !choose_layout(&p->weights[FORWARD], in, out) || !choose_layout(&p->weights[BACKWARD], out, in)) return false;
    p->offset[FORWARD] = up(sizeof *p);
    p->offset[BACKWARD] = p->offset[FORWARD] + up((int64_t)dnnl_memory_desc_get_size(&p->weights[FORWARD]));
    p->size = p->offset[BACKWARD] + up((int64_t)dnnl_memory_desc_get_size(&p->weights[BACKWARD]));
    return true;
}

/* ---- packing ---- */

static bool reorder(const dnnl_memory_desc_t *from, const void *source, const dnnl_memory_desc_t *to, void *target) {
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t a = NULL, b = NULL;
    bool ok = !dnnl_reorder_primitive_desc_create(&pd, from, state.engine, to, state.engine, NULL) &&
              !dnnl_primitive_create(&primitive, pd) && !dnnl_memory_create(&a, from, state.engine, (void *)(uintptr_t)source) &&
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

static int64_t frozen_size(int64_t out, int64_t in) {
    packed p;
    pthread_mutex_lock(&state.lock);
    const bool ok = plan(&p, out, in);
    pthread_mutex_unlock(&state.lock);
    return ok ? p.size : -1;
}

/* W is [out,in]: W^T, which forward multiplies by, is its transpose [in,out]. */
static bool frozen_prepare(lf_frozen *w, const float *W) {
    packed *p = w->data;
    dnnl_memory_desc_t W_t, W_;
    pthread_mutex_lock(&state.lock);
    const bool ok = plan(p, w->out, w->in) && plain(&W_t, dnnl_f32, w->in, w->out, true) && plain(&W_, dnnl_f32, w->out, w->in, false) &&
                    reorder(&W_t, W, &p->weights[FORWARD], (char *)p + p->offset[FORWARD]) &&
                    reorder(&W_, W, &p->weights[BACKWARD], (char *)p + p->offset[BACKWARD]);
    pthread_mutex_unlock(&state.lock);
    return ok;
}

static bool frozen_restore(const lf_frozen *w, float *W) {
    const packed *p = w->data;
    dnnl_memory_desc_t W_;
    pthread_mutex_lock(&state.lock);
    const bool ok = plain(&W_, dnnl_f32, w->out, w->in, false) &&
                    reorder(&p->weights[BACKWARD], (const char *)p + p->offset[BACKWARD], &W_, W);
    pthread_mutex_unlock(&state.lock);
    return ok;
}

/* ---- products ---- */

static void forget(product *p) {
    for (int i = 0; i < ARGUMENTS; i++)
        if (p->memory[i]) dnnl_memory_destroy(p->memory[i]);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    *p = (product){0};
}

static bool make(product *p) {
    dnnl_primitive_desc_t pd = NULL;
    bool ok = describe(&pd, &p->weights, p->rows, p->add) && !dnnl_primitive_create(&p->primitive, pd);
    if (ok) {
        const dnnl_memory_desc_t *const d[ARGUMENTS] = {
            [SRC] = dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0), [WEIGHTS] = &p->weights,
            [DST] = dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0),
            [SCRATCHPAD] = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0)};
        for (int i = 0; i < ARGUMENTS && ok; i++) ok = !dnnl_memory_create(&p->memory[i], d[i], state.engine, DNNL_MEMORY_NONE);
        p->scratchpad = dnnl_memory_desc_get_size(d[SCRATCHPAD]);
    }
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (!ok) forget(p);
    return ok;
}

/* The kept product, or a new one in the place of the one that was not used for longest. NULL on failure. */
static product *product_for(const packed *w, int direction, bool add, int64_t rows) {
    product *oldest = &state.kept[0];
    const int threads = lf_threads();
    for (product *p = state.kept; p < state.kept + KEPT; p++) {
        if (p->primitive && p->direction == direction && p->add == add && p->rows == rows && p->threads == threads &&
            dnnl_memory_desc_equal(&p->weights, &w->weights[direction])) {
            p->used = ++state.clock;
            return p;
        }
        if (p->used < oldest->used) oldest = p;
    }
    forget(oldest);
    *oldest = (product){.direction = direction, .add = add, .threads = threads, .rows = rows, .weights = w->weights[direction]};
    if (!make(oldest)) return NULL;
    oldest->used = ++state.clock;
    return oldest;
}

static int64_t scratchpad_of(const packed *w, int direction, bool add, int64_t rows) {
    const product *p = rows > 0 ? product_for(w, direction, add, rows) : NULL;
    return p ? (int64_t)p->scratchpad : rows > 0 ? -1 : 0;
}

/* First the converted block, then the scratchpad. */
static int64_t block_size(const packed *w, int direction, int64_t rows) {
    return up(smaller(rows, BLOCK) * w->weights[direction].dims[0] * (int64_t)sizeof(uint16_t));
}

static int64_t frozen_scratch(const lf_frozen *w, int64_t rows, bool backward) {
    const packed *p = w->data;
    const int direction = backward ? BACKWARD : FORWARD;
    int64_t most = 0;
    pthread_mutex_lock(&state.lock);
    for (int add = 0; add <= (int)backward && most >= 0; add++) {
        const int64_t whole = scratchpad_of(p, direction, add, rows >= BLOCK ? BLOCK : 0),
                      rest = scratchpad_of(p, direction, add, rows % BLOCK);
        if (whole < 0 || rest < 0) most = -1;
        else if (whole > most || rest > most) most = whole > rest ? whole : rest;
    }
    pthread_mutex_unlock(&state.lock);
    return most < 0 ? -1 : block_size(p, direction, rows) + most;
}

/* As lf_f32_to_bf16. The processor has AVX-512, or we would not be here. */
#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bw,avx512vl")))
#endif
static void convert_piece(uint16_t *restrict y, const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
        y[i] = (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
    }
}

static void convert(uint16_t *y, const float *x, int64_t n) {
    const int64_t pieces = n < 32768 ? 1 : lf_threads();
#pragma omp parallel for schedule(static) num_threads((int)pieces) if (pieces > 1)
    for (int64_t i = 0; i < pieces; i++) {
        const int64_t from = n * i / pieces, to = n * (i + 1) / pieces;
        convert_piece(y + from, x + from, to - from);
    }
}

static bool execute(const product *p, const packed *w, float *y, void *x, void *scratchpad) {
    void *const handle[ARGUMENTS] = {
        [SRC] = x, [WEIGHTS] = (char *)(uintptr_t)w + w->offset[p->direction], [DST] = y, [SCRATCHPAD] = scratchpad};
    static const int name[ARGUMENTS] = {
        [SRC] = DNNL_ARG_SRC, [WEIGHTS] = DNNL_ARG_WEIGHTS, [DST] = DNNL_ARG_DST, [SCRATCHPAD] = DNNL_ARG_SCRATCHPAD};
    dnnl_exec_arg_t arguments[ARGUMENTS];
    for (int i = 0; i < ARGUMENTS; i++) {
        if (dnnl_memory_set_data_handle(p->memory[i], handle[i])) return false;
        arguments[i] = (dnnl_exec_arg_t){name[i], p->memory[i]};
    }
    return !dnnl_primitive_execute(p->primitive, state.stream, ARGUMENTS, arguments) && !dnnl_stream_wait(state.stream);
}

/* y [rows,N] = or += x [rows,K] weights [K,N] */
static bool multiply(const packed *w, int direction, float *y, const float *x, int64_t rows, bool add, void *scratch) {
    const int64_t K = w->weights[direction].dims[0], N = w->weights[direction].dims[1];
    void *scratchpad = (char *)scratch + block_size(w, direction, rows);
    bool ok = true;
    pthread_mutex_lock(&state.lock);
    for (int64_t row = 0; row < rows && ok; row += BLOCK) {
        const int64_t n = smaller(BLOCK, rows - row);
        const product *p = product_for(w, direction, add, n);
        if (!(ok = p != NULL)) break;
        convert(scratch, x + row * K, n * K);
        ok = execute(p, w, y + row * N, scratch, scratchpad);
    }
    pthread_mutex_unlock(&state.lock);
    return ok;
}

static bool frozen_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, void *scratch) {
    return multiply(w->data, FORWARD, y, x, rows, false, scratch);
}

static bool frozen_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add, void *scratch) {
    return multiply(w->data, BACKWARD, dx, dy, rows, add, scratch);
}

void lf_bf16_onednn(lf_kernels *table) {
    table->precision = "bf16";
    table->frozen_exact = false;
    table->frozen_size = frozen_size;
    table->frozen_prepare = frozen_prepare;
    table->frozen_restore = frozen_restore;
    table->frozen_scratch = frozen_scratch;
    table->frozen_forward = frozen_forward;
    table->frozen_backward = frozen_backward;
}
