/* Starts from r singular components of the weight: A0 = sqrt(sigma / scaling) V^T, B0 = U sqrt(sigma / scaling), so
 * that scaling * B0 A0 is the block. The strategies differ in which components they take, and by which decomposition;
 * two take half of it: slice_zero's A0 (B0 = 0), and mica's directions U as B, which stays (A0 = 0). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/adapter_internal.h"
#include "base/mem.h"
#include "linalg/svd.h"

static const double DEAD = 1e-7; /* times sigma_1: below, a component is the rounding of fp32 weights */

/* U [out, r], V [in, r], sigma [r], in one block of memory. */
typedef struct slice {
    double *U, *V, *sigma;
    lf_init_report report;
} slice;

typedef lf_status (*choose_fn)(const lf_init_input *in, slice *s, lf_err *err);

static int64_t smaller_side(const lf_init_input *in) { return in->out < in->in ? in->out : in->in; }

/* ---- from components to factors ---- */

/* Fills A0 and B0, which are zero, and says how many components never learn. */
typedef int64_t fill_fn(const lf_init_input *in, const slice *s, float *A, float *B);

static int64_t fill_scaled(const lf_init_input *in, const slice *s, float *A, float *B) {
    int64_t n_dead = 0;
    for (int64_t k = 0; k < in->r; k++) {
        const bool dead = !(s->sigma[k] > DEAD * s->report.sigma_max);
        const double root = dead ? 0 : sqrt(s->sigma[k] / in->scaling);
        for (int64_t j = 0; j < in->in; j++) A[k * in->in + j] = (float)(root * s->V[j * in->r + k]);
        for (int64_t i = 0; B && i < in->out; i++) B[i * in->r + k] = (float)(root * s->U[i * in->r + k]);
        n_dead += dead;
    }
    return n_dead;
}

static int64_t fill_A(const lf_init_input *in, const slice *s, float *A, float *B) {
    (void)B;
    return fill_scaled(in, s, A, NULL);
}

/* U is orthonormal even where sigma is dead, so all of A learns. */
static int64_t fill_directions_B(const lf_init_input *in, const slice *s, float *A, float *B) {
    (void)A;
    for (int64_t i = 0; i < in->out * in->r; i++) B[i] = (float)s->U[i];
    return 0;
}

/* The one path from a choice of components to A0, B0. */
static lf_status start_from(choose_fn choose, fill_fn *fill, const lf_init_input *in, float *A, float *B,
                            lf_init_report *report, lf_err *err) {
    lf_status rc = lf_init_check_rank(in, err);
    if (rc) return rc;
    double *memory = lf_calloc((size_t)((in->out + in->in + 1) * in->r), sizeof *memory);
    if (!memory) return lf_no_memory(err, "the decomposition of %s", in->name);
    slice s = {.U = memory, .V = memory + in->out * in->r, .sigma = memory + (in->out + in->in) * in->r};
    rc = choose(in, &s, err);
    if (!rc) {
        memset(A, 0, (size_t)(in->r * in->in) * sizeof *A);
        memset(B, 0, (size_t)(in->out * in->r) * sizeof *B);
        s.report.n_dead = fill(in, &s, A, B);
        *report = s.report;
    }
    lf_free(memory);
    return rc;
}

/* ---- what is kept on disk ---- */

enum { N_PARTS = 4, N_FACTS = 3 };

static void parts_of(const lf_init_input *in, const slice *s, double *facts, lf_stored_part *parts) {
    facts[0] = (double)s->report.start;
    facts[1] = s->report.sigma_max;
    facts[2] = s->report.fell_back;
    parts[0] = (lf_stored_part){"U", s->U, in->out, in->r, LF_F64};
    parts[1] = (lf_stored_part){"sigma", s->sigma, 1, in->r, LF_F64};
    parts[2] = (lf_stored_part){"V", s->V, in->in, in->r, LF_F64};
    parts[3] = (lf_stored_part){"facts", facts, 1, N_FACTS, LF_F64};
}

/* `what` names the result among those of the weight. */
static bool read_kept(const lf_init_input *in, const char *what, slice *s) {
    double facts[N_FACTS];
    lf_stored_part parts[N_PARTS];
    parts_of(in, s, facts, parts);
    if (!lf_decompositions_read(&in->stored, what, parts, N_PARTS)) return false;
    s->report.start = (int64_t)facts[0];
    s->report.sigma_max = facts[1];
    s->report.fell_back = facts[2] > 0;
    return true;
}

static void keep(const lf_init_input *in, const char *what, const slice *s) {
    double facts[N_FACTS];
    lf_stored_part parts[N_PARTS];
    parts_of(in, s, facts, parts);
    lf_decompositions_write(&in->stored, what, parts, N_PARTS);
}

/* Fills s by `find`, unless the result is there from another run. */
static lf_status kept(const lf_init_input *in, const char *what, choose_fn find, slice *s, lf_err *err) {
    if (read_kept(in, what, s)) return LF_OK;
    const lf_status rc = find(in, s, err);
    if (!rc) keep(in, what, s);
    return rc;
}

/* ---- a block of neighbours ---- */

enum { NAME_SIZE = 80 };
static void name_block(char *what, const lf_init_input *in, int64_t start) {
    snprintf(what, NAME_SIZE, "block-r%lld-s%lld", (long long)in->r, (long long)start);
}

static void report_block(slice *s, const lf_svd_block_info *info) {
    s->report.sigma_max = info->sigma_max;
    s->report.fell_back = info->way == LF_SVD_FULL;
}

static lf_status find_block(const lf_init_input *in, slice *s, lf_err *err) {
    lf_svd_block_info info;
    const lf_status rc =
        lf_svd_block(in->W, in->out, in->in, s->report.start, in->r, s->U, s->sigma, s->V, &info, in->name, err);
    if (!rc) report_block(s, &info);
    return rc;
}

static lf_status block_at(const lf_init_input *in, int64_t start, slice *s, lf_err *err) {
    char what[NAME_SIZE];
    name_block(what, in, start);
    s->report.start = start;
    return kept(in, what, find_block, s, err);
}

static lf_status choose_first(const lf_init_input *in, slice *s, lf_err *err) { return block_at(in, 0, s, err); }
static lf_status choose_last(const lf_init_input *in, slice *s, lf_err *err) {
    return block_at(in, smaller_side(in) - in->r, s, err);
}

static lf_status place(const void *context, const double *sigma, int64_t *start, lf_err *err) {
    const lf_init_input *in = context;
    return lf_position_start(in->position, smaller_side(in), in->r, sigma, in->name, start, err);
}

/* The block, and all singular values too, into all [n]. */
static lf_status block_and_values(const lf_init_input *in, double *all, slice *s, lf_err *err) {
    const lf_stored_part values = {"sigma", all, 1, smaller_side(in), LF_F64};
    int64_t start;
    lf_status rc;
    if (lf_decompositions_read(&in->stored, "values", &values, 1))
        return (rc = place(in, all, &start, err)) ? rc : block_at(in, start, s, err);
    char what[NAME_SIZE];
    lf_svd_block_info info;
    rc = lf_svd_block_placed(in->W, in->out, in->in, place, in, in->r, all, s->U, s->sigma, s->V, &info, in->name, err);
    if (rc || (rc = place(in, all, &s->report.start, err))) return rc;
    report_block(s, &info);
    name_block(what, in, s->report.start);
    lf_decompositions_write(&in->stored, "values", &values, 1);
    keep(in, what, s);
    return LF_OK;
}

static lf_status choose_at_position(const lf_init_input *in, slice *s, lf_err *err) {
    int64_t start;
    lf_status rc;
    if (in->position.kind != LF_POSITION_ENERGY)
        return (rc = place(in, NULL, &start, err)) ? rc : block_at(in, start, s, err);
    double *all = lf_malloc((size_t)smaller_side(in) * sizeof *all);
    if (!all) return lf_no_memory(err, "the decomposition of %s", in->name);
    rc = block_and_values(in, all, s, err);
    lf_free(all);
    return rc;
}

/* The same directions with every sigma replaced by the mean of all n: magnitude no longer depends on the position. U
 * and V are orthonormal even where sigma is dead, so no direction is lost. */
static lf_status choose_equal_magnitude(const lf_init_input *in, slice *s, lf_err *err) {
    const int64_t n = smaller_side(in);
    double *all = lf_malloc((size_t)n * sizeof *all), mean = 0;
    if (!all) return lf_no_memory(err, "the decomposition of %s", in->name);
    const lf_status rc = block_and_values(in, all, s, err);
    if (!rc) {
        for (int64_t i = 0; i < n; i++) mean += all[i] / (double)n;
        for (int64_t k = 0; k < in->r; k++) s->sigma[k] = mean;
    }
    lf_free(all);
    return rc;
}

/* ---- others ---- */

static int by_value(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void gather(const lf_init_input *in, const int64_t *chosen, const double *U, const double *sigma,
                   const double *V, slice *s) {
    const int64_t n = smaller_side(in), r = in->r;
    for (int64_t k = 0; k < r; k++) {
        s->sigma[k] = sigma[chosen[k]];
        for (int64_t i = 0; i < in->out; i++) s->U[i * r + k] = U[i * n + chosen[k]];
        for (int64_t j = 0; j < in->in; j++) s->V[j * r + k] = V[j * n + chosen[k]];
    }
}

/* r of the n components, drawn by seed without replacement, in descending order of sigma. */
static lf_status find_random(const lf_init_input *in, slice *s, lf_err *err) {
    const int64_t n = smaller_side(in);
    int64_t *order = lf_malloc((size_t)n * sizeof *order);
    double *memory = lf_calloc((size_t)((in->out + in->in + 1) * n), sizeof *memory);
    lf_status rc = LF_OK;
    if (!order || !memory) {
        rc = lf_no_memory(err, "the decomposition of %s", in->name);
        goto out;
    }
    double *U = memory, *V = memory + in->out * n, *sigma = memory + (in->out + in->in) * n;
    if ((rc = lf_svd_full(in->W, in->out, in->in, sigma, U, V, in->name, err))) goto out;
    lf_rng_permutation(lf_rng_make(in->seed, LF_RNG_SLICE, in->stream), order, n);
    qsort(order, (size_t)in->r, sizeof *order, by_value);
    gather(in, order, U, sigma, V, s);
    s->report.start = -1;
    s->report.sigma_max = sigma[0];
out:
    lf_free(order);
    lf_free(memory);
    return rc;
}

static lf_status choose_random(const lf_init_input *in, slice *s, lf_err *err) {
    char what[NAME_SIZE];
    snprintf(what, sizeof what, "random-r%lld-seed%llu-%llu", (long long)in->r, (unsigned long long)in->seed,
             (unsigned long long)in->stream);
    return kept(in, what, find_random, s, err);
}

static int niter_of(const lf_init_input *in) { return atoi(in->init + strlen("pissa_niter_")); }

static lf_status find_randomized(const lf_init_input *in, slice *s, lf_err *err) {
    const lf_status rc = lf_svd_randomized(in->W, in->out, in->in, in->r, niter_of(in), in->seed, in->stream, s->U,
                                           s->sigma, s->V, in->name, err);
    s->report.sigma_max = rc ? 0 : s->sigma[0];
    return rc;
}

static lf_status choose_randomized(const lf_init_input *in, slice *s, lf_err *err) {
    char what[NAME_SIZE];
    snprintf(what, sizeof what, "niter%d-r%lld-seed%llu-%llu", niter_of(in), (long long)in->r,
             (unsigned long long)in->seed, (unsigned long long)in->stream);
    return kept(in, what, find_randomized, s, err);
}

/* ---- the table's entries ---- */

#define LF_SLICE(id, chooser, filler)                                                                                  \
    lf_status lf_init_##id(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {         \
        return start_from(chooser, filler, in, A, B, report, err);                                                     \
    }

LF_SLICE(pissa, choose_first, fill_scaled)
LF_SLICE(pissa_niter, choose_randomized, fill_scaled)
LF_SLICE(milora, choose_last, fill_scaled)
LF_SLICE(intermediate, choose_at_position, fill_scaled)
LF_SLICE(slice_random, choose_random, fill_scaled)
LF_SLICE(slice_eqmag, choose_equal_magnitude, fill_scaled)
LF_SLICE(slice_zero, choose_at_position, fill_A)
LF_SLICE(mica, choose_at_position, fill_directions_B)
