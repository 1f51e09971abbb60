/* Frequencies of rotary position embeddings, by the kinds that transformers knows, and their cosines and sines. A
 * table: a new kind is a function and a line. Angles are products of floats, as models were trained with them. */
#define _XOPEN_SOURCE 700 /* M_PI */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "model/family.h"

typedef struct reading {
    lf_model *m;
    const cJSON *params; /* NULL: none */
    const char *name;    /* of params, in errors */
    double theta, factor;
    int64_t size, half, original; /* original: max_position_embeddings before scaling */
} reading;

/* A key without which the kind has no meaning. */
static lf_status need(const reading *r, const char *key, double *out, lf_err *err) {
    const lf_status rc = lf_json_get_f64(r->params, key, -1, out, r->name, err);
    if (rc || *out > 0) return rc;
    return lf_fail(err, LF_EDATA, "%s: key '%s': expected a number above 0, found %s", r->name, key,
                   *out == -1 ? "none" : "another");
}

static double frequency(const reading *r, int64_t i) { return pow(r->theta, -2.0 * (double)i / (double)r->size); }

/* ---- kinds: fill [half] frequencies ---- */

static lf_status plain(const reading *r, double *f, double *factor, lf_err *err) {
    (void)factor;
    (void)err;
    for (int64_t i = 0; i < r->half; i++) f[i] = frequency(r, i);
    return LF_OK;
}

static lf_status linear(const reading *r, double *f, double *factor, lf_err *err) {
    double by;
    const lf_status rc = need(r, "factor", &by, err);
    (void)factor;
    for (int64_t i = 0; !rc && i < r->half; i++) f[i] = frequency(r, i) / by;
    return rc;
}

/* Llama 3.1: waves that turn often in a text of the first training stay, slow ones are stretched, those between are
 * mixed. */
static lf_status llama3(const reading *r, double *f, double *factor, lf_err *err) {
    double by, low, high;
    lf_status rc;
    (void)factor;
    if ((rc = need(r, "factor", &by, err)) || (rc = need(r, "low_freq_factor", &low, err)) ||
        (rc = need(r, "high_freq_factor", &high, err)))
        return rc;
    if (!(high > low))
        return lf_fail(err, LF_EDATA, "%s: key 'high_freq_factor': expected more than low_freq_factor %g, found %g",
                       r->name, low, high);
    for (int64_t i = 0; i < r->half; i++) {
        const double turns = (double)r->original * frequency(r, i) / (2 * M_PI); /* in a text of the first training */
        const double kept = turns > high ? 1 : turns < low ? 0 : (turns - low) / (high - low);
        f[i] = frequency(r, i) * (kept + (1 - kept) / by);
    }
    return LF_OK;
}

/* The pair of numbers whose wave turns `turns` times in a text of the first training. */
static double pair_of(const reading *r, double turns) {
    return (double)r->size * log((double)r->original / (turns * 2 * M_PI)) / (2 * log(r->theta));
}

static double stretch(double by, double scale) { return by <= 1 ? 1 : 0.1 * scale * log(by) + 1; }

/* YaRN (Peng et al. 2023): as llama3 with the border by pairs, and a factor on the scores. */
static lf_status yarn(const reading *r, double *f, double *factor, lf_err *err) {
    const double longer = (double)r->m->tokens.max_positions / (double)r->original;
    double by, fast, slow, scale, scale_all, given;
    bool whole;
    lf_status rc;
    if ((rc = lf_json_get_f64(r->params, "factor", longer, &by, r->name, err)) ||
        (rc = lf_json_get_f64(r->params, "beta_fast", 32, &fast, r->name, err)) ||
        (rc = lf_json_get_f64(r->params, "beta_slow", 1, &slow, r->name, err)) ||
        (rc = lf_json_get_f64(r->params, "mscale", 0, &scale, r->name, err)) ||
        (rc = lf_json_get_f64(r->params, "mscale_all_dim", 0, &scale_all, r->name, err)) ||
        (rc = lf_json_get_bool(r->params, "truncate", true, &whole, r->name, err)) ||
        (rc = lf_json_get_f64(r->params, "attention_factor",
                              scale != 0 && scale_all != 0 ? stretch(by, scale) / stretch(by, scale_all)
                                                           : stretch(by, 1),
                              &given, r->name, err)))
        return rc;
    if (!(by > 0) || !(fast >= 0) || !(slow >= 0) || !(given > 0))
        return lf_fail(err, LF_EDATA,
                       "%s: expected factor and attention_factor above 0, beta_fast and beta_slow not below", r->name);
    double low = pair_of(r, fast > 0 ? fast : 32), high = pair_of(r, slow > 0 ? slow : 1);
    if (whole) low = floor(low), high = ceil(high);
    low = fmax(low, 0);
    high = fmin(high, (double)(r->size - 1));
    if (low == high) high += 0.001;
    for (int64_t i = 0; i < r->half; i++) {
        const double stretched = fmin(fmax(((double)i - low) / (high - low), 0), 1);
        f[i] = frequency(r, i) * (1 - stretched + stretched / by);
    }
    *factor = given;
    return LF_OK;
}

static const struct {
    const char *type;
    lf_status (*fill)(const reading *r, double *f, double *factor, lf_err *err);
} kinds[] = {{"default", plain}, {"linear", linear}, {"llama3", llama3}, {"yarn", yarn}};

/* ---- config.json ---- */

static lf_status fill(const reading *r, lf_rope_table *table, const char *type, lf_err *err) {
    size_t kind = 0;
    while (kind < sizeof kinds / sizeof kinds[0] && strcmp(kinds[kind].type, type)) kind++;
    if (kind == sizeof kinds / sizeof kinds[0])
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: key 'rope_type': '%s' is not supported; known: default, linear, llama3, yarn", r->name,
                       type);
    double *f = lf_malloc((size_t)r->half * sizeof *f), factor = 1;
    float *kept = lf_arena_alloc(r->m->nn.arena, (size_t)r->half * sizeof *kept);
    lf_status rc = f && kept ? kinds[kind].fill(r, f, &factor, err) : lf_no_memory(err, "%s", r->name);
    for (int64_t i = 0; !rc && i < r->half; i++) kept[i] = (float)f[i];
    *table = (lf_rope_table){.half = r->half, .frequencies = kept, .factor = (float)factor};
    lf_free(f);
    return rc;
}

static lf_status read_params(reading *r, lf_rope_table *table, lf_err *err) {
    const lf_model *m = r->m;
    const char *type;
    double theta, partial;
    lf_status rc;
    const cJSON *item;
    cJSON_ArrayForEach(item, r->params) if (cJSON_IsObject(item)) return lf_fail(
        err, LF_EUNSUPPORTED, "%s: key '%s': rotary positions by kind of layer are not supported", r->name,
        item->string);
    if ((rc = lf_json_get_f64(m->config, "rope_theta", 10000, &theta, m->config_path, err)) ||
        (rc = lf_json_get_f64(r->params, "rope_theta", theta, &r->theta, r->name, err)) ||
        (rc = lf_json_get_f64(m->config, "partial_rotary_factor", 1, &partial, m->config_path, err)) ||
        (rc = lf_json_get_f64(r->params, "partial_rotary_factor", partial, &partial, r->name, err)) ||
        (rc = lf_json_get_str(r->params, "type", "default", &type, r->name, err)) ||
        (rc = lf_json_get_str(r->params, "rope_type", type, &type, r->name, err)) ||
        (rc = lf_json_get_i64(r->params, "original_max_position_embeddings", m->tokens.max_positions, &r->original,
                              r->name, err)) ||
        (rc = lf_json_get_i64(m->config, "original_max_position_embeddings", r->original, &r->original, m->config_path,
                              err)))
        return rc;
    if (!(r->theta > 1))
        return lf_fail(err, LF_EDATA, "%s: key 'rope_theta': expected more than 1, found %g", r->name, r->theta);
    if (r->original < 1)
        return lf_fail(err, LF_EDATA, "%s: key 'original_max_position_embeddings': expected at least 1, found %lld",
                       r->name, (long long)r->original);
    if (partial != 1)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: key 'partial_rotary_factor': only 1 is supported for model_type '%s', found %g", r->name,
                       m->family->model_type, partial);
    return fill(r, table, type, err);
}

lf_status lf_rope_read(lf_rope_table *table, lf_model *m, int64_t D, lf_err *err) {
    static const char *const keys[] = {"rope_scaling",
                                       "rope_parameters"}; /* the first that says something, as transformers 5 */
    const cJSON *params = NULL;
    const char *key = NULL;
    for (size_t i = 0; i < 2 && !params; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, keys[i]);
        if (item && !cJSON_IsNull(item) && !cJSON_IsObject(item))
            return lf_fail(err, LF_EDATA, "%s: key '%s': expected an object or null", m->config_path, keys[i]);
        if (item && item->child) params = item, key = keys[i];
    }
    char *name = key ? lf_format("%s: %s", m->config_path, key) : lf_strdup(m->config_path);
    reading r = {.m = m, .params = params, .name = name, .size = D, .half = D / 2};
    const lf_status rc = name ? read_params(&r, table, err) : lf_no_memory(err, "%s", m->config_path);
    lf_free(name);
    return rc;
}

/* ---- cosines and sines ---- */

static void fill_rows(const lf_rope_table *r, int32_t first, int64_t rows, float *cosines, float *sines) {
    for (int64_t t = 0; t < rows; t++)
        for (int64_t i = 0; i < r->half; i++) {
            const float angle = (float)(first + t) * r->frequencies[i];
            cosines[t * r->half + i] = (float)(cos((double)angle) * (double)r->factor);
            sines[t * r->half + i] = (float)(sin((double)angle) * (double)r->factor);
        }
}

/* Positions as rows of tables that begin at `first`. */
static const int32_t *from_first(lf_graph *g, const lf_model_input *in, int32_t first) {
    if (!first) return in->positions;
    const int64_t n = in->B * in->T;
    int32_t *rows = lf_graph_take_bytes(g, n * (int64_t)sizeof *rows);
    for (int64_t i = 0; rows && i < n; i++) rows[i] = in->positions[i] - first;
    return rows;
}

const lf_rope_rows *lf_rope_open(const lf_rope_table *tables, int n, lf_graph *g, const lf_model_input *in) {
    int32_t first = in->positions[0], last = first;
    for (int64_t i = 1; i < in->B * in->T; i++) {
        if (in->positions[i] < first) first = in->positions[i];
        if (in->positions[i] > last) last = in->positions[i];
    }
    const int64_t rows = (int64_t)last - first + 1;
    lf_rope_rows *out = lf_graph_take_bytes(g, n * (int64_t)sizeof *out);
    const int32_t *positions = out ? from_first(g, in, first) : NULL;
    for (int i = 0; positions && i < n; i++) {
        const int64_t numbers = rows * tables[i].half;
        float *both = lf_graph_take_bytes(g, 2 * numbers * (int64_t)sizeof *both);
        if (!both) return NULL;
        fill_rows(&tables[i], first, rows, both, both + numbers);
        out[i] = (lf_rope_rows){both, both + numbers, positions};
    }
    return positions ? out : NULL;
}
