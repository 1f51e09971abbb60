/* Cosines and sines of the tokens of a pass. Angles are products of floats, as models were trained with them. */
#include <math.h>

#include "model/family.h"

static void fill_row(const lf_rope_table *r, const float *frequencies, int32_t position, float *cosines, float *sines) {
    for (int64_t i = 0; i < r->half; i++) {
        const float angle = (float)position * frequencies[i];
        cosines[i] = (float)(cos((double)angle) * (double)r->factor);
        sines[i] = (float)(sin((double)angle) * (double)r->factor);
    }
}

/* ---- angles by position alone: a row for each position that the pass has ---- */

/* Positions as rows of tables that begin at `first`. */
static const int32_t *from_first(lf_graph *g, const lf_model_input *in, int32_t first) {
    if (!first) return in->positions;
    const int64_t n = in->B * in->T;
    int32_t *rows = lf_graph_take_bytes(g, n * (int64_t)sizeof *rows);
    for (int64_t i = 0; rows && i < n; i++) rows[i] = in->positions[i] - first;
    return rows;
}

static bool by_position(lf_rope_rows *out, const lf_rope_table *r, lf_graph *g, const lf_model_input *in) {
    int32_t first = in->positions[0], last = first;
    for (int64_t i = 1; i < in->B * in->T; i++) {
        if (in->positions[i] < first) first = in->positions[i];
        if (in->positions[i] > last) last = in->positions[i];
    }
    const int64_t rows = (int64_t)last - first + 1, numbers = rows * r->half;
    const int32_t *positions = from_first(g, in, first);
    float *both = lf_graph_take_bytes(g, 2 * numbers * (int64_t)sizeof *both);
    if (!positions || !both) return false;
    for (int64_t t = 0; t < rows; t++)
        fill_row(r, r->frequencies, first + (int32_t)t, both + t * r->half, both + numbers + t * r->half);
    *out = (lf_rope_rows){both, both + numbers, positions, 2 * r->half};
    return true;
}

/* ---- angles by position and length of the text: a row for each token ---- */

/* Those of a text of `length` tokens; `room` [half] may hold them. */
static const float *frequencies_of(const lf_rope_table *r, int64_t length, float *room) {
    if (length <= r->steady) return r->frequencies;
    if (r->longer) return r->longer;
    const double size = (double)r->size, times = (double)length / (double)r->steady,
                 theta = r->theta * pow(r->stretch * times - (r->stretch - 1), size / (size - 2));
    for (int64_t i = 0; i < r->half; i++) room[i] = (float)pow(theta, -2.0 * (double)i / size);
    return room;
}

/* Where the text that begins in column t of row b ends, for the tokens of this pass. */
static int64_t end_of_text(const lf_model_input *in, int64_t b, int64_t t) {
    const int32_t *first = in->first ? in->first + b * in->T : NULL;
    const int64_t padding = in->lengths && t < in->lengths[b] ? in->lengths[b] : in->T;
    int64_t end = t + 1;
    while (end < padding && (!first || first[end] == first[t])) end++;
    return end;
}

static void fill_text(const lf_rope_table *r, const int32_t *positions, int64_t n, float *cosines, float *sines,
                      float *room) {
    int64_t length = 0;
    for (int64_t i = 0; i < n; i++)
        if (positions[i] >= length) length = positions[i] + 1;
    const float *frequencies = frequencies_of(r, length, room);
    for (int64_t i = 0; i < n; i++) fill_row(r, frequencies, positions[i], cosines + i * r->half, sines + i * r->half);
}

static bool by_token(lf_rope_rows *out, const lf_rope_table *r, lf_graph *g, const lf_model_input *in) {
    const int64_t n = in->B * in->T, numbers = n * r->half;
    int32_t *rows = lf_graph_take_bytes(g, n * (int64_t)sizeof *rows);
    float *both = lf_graph_take_bytes(g, (2 * numbers + r->half) * (int64_t)sizeof *both);
    if (!rows || !both) return false;
    for (int64_t b = 0; b < in->B; b++)
        for (int64_t t = 0, end; t < in->T; t = end) {
            end = end_of_text(in, b, t);
            const int64_t at = b * in->T + t;
            fill_text(r, in->positions + at, end - t, both + at * r->half, both + numbers + at * r->half,
                      both + 2 * numbers);
        }
    for (int64_t i = 0; i < n; i++) rows[i] = (int32_t)i;
    *out = (lf_rope_rows){both, both + numbers, rows, 2 * r->half};
    return true;
}

const lf_rope_rows *lf_rope_open(const lf_rope_table *tables, int n, lf_graph *g, const lf_model_input *in) {
    lf_rope_rows *out = lf_graph_take_bytes(g, n * (int64_t)sizeof *out);
    bool ok = out != NULL;
    for (int i = 0; ok && i < n; i++) ok = (tables[i].steady ? by_token : by_position)(&out[i], &tables[i], g, in);
    return ok ? out : NULL;
}
