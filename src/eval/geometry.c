#include "eval/geometry.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "linalg/svd.h"

/* ---- a list of singular values ---- */

double lf_effective_rank(const double *sigma, int64_t n) {
    double sum = 0, entropy = 0;
    for (int64_t i = 0; i < n; i++) sum += sigma[i];
    if (!(sum > 0)) return NAN;
    for (int64_t i = 0; i < n; i++) {
        const double p = sigma[i] / sum;
        if (p > 0) entropy -= p * log(p);
    }
    return exp(entropy);
}

static double energy(const double *sigma, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += sigma[i] * sigma[i];
    return sum;
}

double lf_energy_share(const double *sigma, int64_t n, int64_t s, int64_t r) {
    const double all = energy(sigma, n);
    return all > 0 ? energy(sigma + s, r) / all : NAN;
}

/* ---- the map ---- */

static int64_t components(const lf_decomposed *d) { return d->out < d->in ? d->out : d->in; }
int64_t lf_map_cells(int64_t n) { return n < LF_MAP_CELLS ? n : LF_MAP_CELLS; }

/* left [n,r] = U^T B, right [r,n] = A V: C is their product. */
static void project(const lf_decomposed *d, const lf_update *u, double *left, double *right) {
    const int64_t n = components(d), r = u->r;
    memset(left, 0, sizeof *left * (size_t)(n * r));
    memset(right, 0, sizeof *right * (size_t)(n * r));
    for (int64_t i = 0; i < d->out; i++)
        for (int64_t k = 0; k < n; k++)
            for (int64_t q = 0; q < r; q++) left[k * r + q] += d->U[i * n + k] * u->B[i * r + q];
    for (int64_t j = 0; j < d->in; j++)
        for (int64_t q = 0; q < r; q++)
            for (int64_t k = 0; k < n; k++) right[q * n + k] += u->A[q * d->in + j] * d->V[j * n + k];
}

/* How many of 0 .. n-1 are in cell c of m: those i with i * m / n = c. */
static int64_t cell_size(int64_t c, int64_t n, int64_t m) { return ((c + 1) * n + m - 1) / m - (c * n + m - 1) / m; }

double lf_update_map(lf_geometry *out, const lf_decomposed *d, const lf_update *u, double *cells, double *work) {
    const int64_t n = components(d), r = u->r, m = lf_map_cells(n);
    double *left = work, *right = left + n * r, *row = right + n * r;
    double all = 0, diagonal = 0, head = 0;
    project(d, u, left, right);
    if (cells) memset(cells, 0, sizeof *cells * (size_t)(m * m));
    for (int64_t i = 0; i < n; i++) { /* a row of C at a time: all of it would be as large as W */
        memset(row, 0, sizeof *row * (size_t)n);
        for (int64_t q = 0; q < r; q++)
            for (int64_t j = 0; j < n; j++) row[j] += left[i * r + q] * right[q * n + j];
        for (int64_t j = 0; j < n; j++) {
            const double square = row[j] * row[j];
            all += square;
            if (8 * i < n || 8 * j < n) head += square;
            if (cells) cells[i * m / n * m + j * m / n] += fabs(row[j]);
        }
        diagonal += row[i] * row[i];
    }
    for (int64_t i = 0; cells && i < m * m; i++) cells[i] /= (double)(cell_size(i / m, n, m) * cell_size(i % m, n, m));
    out->map_diagonal = all > 0 ? diagonal / all : NAN;
    out->map_head = all > 0 ? head / all : NAN;
    return all;
}

/* ---- vectors that turned ---- */

double lf_rotation(const double *U, int64_t rows, int64_t n, const double *top, int64_t k) {
    double sum = 0;
    for (int64_t j = 0; j < k; j++) {
        double cosine = 0, apart = 0, together = 0;
        for (int64_t row = 0; row < rows; row++) cosine += U[row * n + j] * top[row * k + j];
        const double sign = cosine < 0 ? -1 : 1;
        for (int64_t row = 0; row < rows; row++) {
            const double a = U[row * n + j], b = sign * top[row * k + j];
            apart += (a - b) * (a - b);
            together += (a + b) * (a + b);
        }
        /* arccos |cosine| of unit vectors; near 1 the arccos itself loses half of the digits (Kahan) */
        sum += 2 * atan2(sqrt(apart), sqrt(together));
    }
    return sum / (double)k;
}

int64_t lf_intruders(const double *U, int64_t rows, int64_t n, const double *top, int64_t k, double *work) {
    int64_t count = 0;
    for (int64_t j = 0; j < k; j++) {
        double nearest = 0;
        memset(work, 0, sizeof *work * (size_t)n);
        for (int64_t row = 0; row < rows; row++) /* all n cosines at once, as U lies in memory */
            for (int64_t i = 0; i < n; i++) work[i] += U[row * n + i] * top[row * k + j];
        for (int64_t i = 0; i < n; i++) nearest = fmax(nearest, fabs(work[i]));
        count += nearest < LF_INTRUDER_COSINE;
    }
    return count;
}

/* ---- all together ---- */

static lf_status turned(lf_geometry *out, const float *W, const lf_decomposed *d, const lf_update *u, double *work,
                        const char *name, lf_err *err) {
    const int64_t n = components(d), k = n < LF_GEOMETRY_TOP ? n : LF_GEOMETRY_TOP;
    out->rotation = 0;
    out->intruders = 0;
    if (out->sigma_max == 0)
        return LF_OK; /* within a cluster of equal sigma, another decomposition of W may have other vectors */
    double *memory = lf_malloc(sizeof *memory * (size_t)((d->out + d->in + 1) * k));
    if (!memory) return lf_no_memory(err, "the first singular vectors of %s", name);
    double *top = memory, *V = top + d->out * k, *sigma = V + d->in * k;
    const lf_status rc = lf_svd_block_updated(W, u->B, u->A, d->out, d->in, u->r, 0, k, top, sigma, V, name, err);
    if (!rc) {
        out->rotation = lf_rotation(d->U, d->out, n, top, k);
        out->intruders = lf_intruders(d->U, d->out, n, top, k, work);
    }
    lf_free(memory);
    return rc;
}

lf_status lf_geometry_measure(lf_geometry *out, const float *W, const lf_decomposed *d, const lf_update *u,
                              double *cells, const char *name, lf_err *err) {
    const int64_t n = components(d), rank = u->r < n ? u->r : n;
    double *memory = lf_malloc(sizeof *memory * (size_t)(2 * n * u->r + n + rank));
    if (!memory) return lf_no_memory(err, "the geometry of the update of %s", name);
    double *sigma = memory, *work = memory + rank;
    *out = (lf_geometry){0};
    lf_status rc = lf_svd_low_rank_values(u->B, u->A, d->out, d->in, u->r, sigma, name, err);
    if (!rc) {
        const double squared = energy(sigma, rank), of_weight = energy(d->sigma, n);
        out->norm = sqrt(squared);
        out->relative_norm = of_weight > 0 ? sqrt(squared / of_weight) : NAN;
        out->sigma_max = sigma[0];
        out->effective_rank = lf_effective_rank(sigma, rank);
        const double inside = lf_update_map(out, d, u, cells, work);
        out->map_inside = squared > 0 ? inside / squared : NAN;
        rc = turned(out, W, d, u, work, name, err);
    }
    lf_free(memory);
    return rc;
}
