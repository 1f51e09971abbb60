/* Frequencies of rotary position embeddings, by the kinds that transformers knows, from config.json. A table: a new
 * kind is a function and a line. What is made of them for the tokens of a pass: rope_rows.c. */
#define _XOPEN_SOURCE 700 /* M_PI */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "model/family.h"

typedef struct reading {
    lf_model *m;
    const lf_rope_keys *keys;
    const cJSON *params;    /* NULL: none */
    cJSON *merged;          /* owned: params, where they stand in two places; NULL else */
    const char *name;       /* of params, in errors */
    int64_t head, original; /* numbers of a head; max_position_embeddings before scaling */
    lf_rope_table *table;   /* theta, size and half are there before a kind fills the rest */
} reading;

/* A key without which the kind has no meaning. */
static lf_status need(const reading *r, const char *key, double *out, lf_err *err) {
    const lf_status rc = lf_json_get_f64(r->params, key, -1, out, r->name, err);
    if (rc || *out > 0) return rc;
    return lf_fail(err, LF_EDATA, "%s: key '%s': expected a number above 0, found %s", r->name, key,
                   *out == -1 ? "none" : "another");
}

static double frequency(const reading *r, int64_t i) {
    return pow(r->table->theta, -2.0 * (double)i / (double)r->table->size);
}

/* ---- kinds: fill [half] frequencies, and what of the table is not as in most ---- */

static lf_status plain(const reading *r, float *f, lf_err *err) {
    (void)err;
    for (int64_t i = 0; i < r->table->half; i++) f[i] = (float)frequency(r, i);
    return LF_OK;
}

static lf_status linear(const reading *r, float *f, lf_err *err) {
    double by;
    const lf_status rc = need(r, "factor", &by, err);
    for (int64_t i = 0; !rc && i < r->table->half; i++) f[i] = (float)(frequency(r, i) / by);
    r->table->divisor = by;
    return rc;
}

/* Llama 3.1: waves that turn often in a text of the first training stay, slow ones are stretched, those between are
 * mixed. */
static lf_status llama3(const reading *r, float *f, lf_err *err) {
    double by, low, high;
    lf_status rc;
    if ((rc = need(r, "factor", &by, err)) || (rc = need(r, "low_freq_factor", &low, err)) ||
        (rc = need(r, "high_freq_factor", &high, err)))
        return rc;
    if (!(high > low))
        return lf_fail(err, LF_EDATA, "%s: key 'high_freq_factor': expected more than low_freq_factor %g, found %g",
                       r->name, low, high);
    for (int64_t i = 0; i < r->table->half; i++) {
        const double turns = (double)r->original * frequency(r, i) / (2 * M_PI); /* in a text of the first training */
        const double kept = turns > high ? 1 : turns < low ? 0 : (turns - low) / (high - low);
        f[i] = (float)(frequency(r, i) * (kept + (1 - kept) / by));
    }
    return LF_OK;
}

/* The pair of numbers whose wave turns `turns` times in a text of the first training. */
static double pair_of(const reading *r, double turns) {
    return (double)r->table->size * log((double)r->original / (turns * 2 * M_PI)) / (2 * log(r->table->theta));
}

static double stretch(double by, double scale) { return by <= 1 ? 1 : 0.1 * scale * log(by) + 1; }

/* YaRN (Peng et al. 2023): as llama3 with the border by pairs, and a factor on the scores. */
static lf_status yarn(const reading *r, float *f, lf_err *err) {
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
    high = fmin(high, (double)(r->table->size - 1));
    if (low == high) high += 0.001;
    for (int64_t i = 0; i < r->table->half; i++) {
        const double stretched = fmin(fmax(((double)i - low) / (high - low), 0), 1);
        f[i] = (float)(frequency(r, i) * (1 - stretched + stretched / by));
    }
    r->table->factor = (float)given;
    return LF_OK;
}

/* NTK scaling: a text that is longer than those of the training has a larger theta, by its length. */
static lf_status dynamic(const reading *r, float *f, lf_err *err) {
    lf_rope_table *t = r->table;
    const lf_status rc = need(r, "factor", &t->stretch, err);
    if (rc) return rc;
    if (t->stretch < 1 || t->size < 4)
        return lf_fail(err, LF_EDATA, "%s: key 'factor': expected at least 1, and 4 numbers to turn; found %g and %lld",
                       r->name, t->stretch, (long long)t->size);
    t->steady = r->m->tokens.max_positions;
    t->reach = (int64_t)fmin(t->stretch * (double)t->steady, INT32_MAX);
    return plain(r, f, err);
}

/* One number for each pair that is turned, by which its frequency is divided. */
static lf_status divide(const reading *r, const char *key, float *f, lf_err *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(r->params, key), *number;
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) == r->table->half;
    int64_t i = 0;
    cJSON_ArrayForEach(number, list) {
        if (!good || !(good = cJSON_IsNumber(number) && number->valuedouble > 0)) break;
        f[i] = (float)(frequency(r, i) / number->valuedouble);
        i++;
    }
    return good ? LF_OK
                : lf_fail(err, LF_EDATA, "%s: key '%s': expected a list of %lld numbers above 0, one for each pair",
                          r->name, key, (long long)r->table->half);
}

/* LongRoPE (Ding et al. 2024): a text longer than those of the first training has other frequencies; either has a
 * divisor of its own for each. */
static lf_status longrope(const reading *r, float *f, lf_err *err) {
    lf_rope_table *t = r->table;
    double by, given;
    float *longer = lf_arena_alloc(r->m->nn.arena, (size_t)t->half * sizeof *longer);
    if (!longer) return lf_no_memory(err, "%s", r->name);
    lf_status rc;
    if ((rc = lf_json_get_f64(r->params, "factor", (double)r->m->tokens.max_positions / (double)r->original, &by,
                              r->name, err)) ||
        (rc = lf_json_get_f64(r->params, "attention_factor", by <= 1 ? 1 : sqrt(1 + log(by) / log((double)r->original)),
                              &given, r->name, err)) ||
        (rc = divide(r, "short_factor", f, err)) || (rc = divide(r, "long_factor", longer, err)))
        return rc;
    if (!(given > 0) || !isfinite(given))
        return lf_fail(err, LF_EDATA, "%s: key 'attention_factor': expected a number above 0, found %g", r->name,
                       given);
    t->factor = (float)given;
    t->steady = r->original;
    t->longer = longer;
    return LF_OK;
}

static const struct {
    const char *type;
    lf_status (*fill)(const reading *r, float *f, lf_err *err);
    bool even;
} kinds[] = {{"default", plain, true}, {"linear", linear, true},    {"llama3", llama3, false},
             {"yarn", yarn, false},    {"dynamic", dynamic, false}, {"longrope", longrope, false}};

/* ---- config.json ---- */

static lf_status fill(const reading *r, const char *type, lf_err *err) {
    size_t kind = 0;
    while (kind < sizeof kinds / sizeof kinds[0] && strcmp(kinds[kind].type, type)) kind++;
    if (kind == sizeof kinds / sizeof kinds[0])
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: key 'rope_type': '%s' is not supported; known: default, linear, llama3, yarn, dynamic, "
                       "longrope",
                       r->name, type);
    float *f = lf_arena_alloc(r->m->nn.arena, (size_t)r->table->half * sizeof *f);
    r->table->frequencies = f;
    r->table->kind = kinds[kind].type;
    r->table->even = kinds[kind].even;
    return f ? kinds[kind].fill(r, f, err) : lf_no_memory(err, "%s", r->name);
}

/* How many numbers of each head are turned. An odd count has a pair more, as transformers rounds it. */
static lf_status read_part(const reading *r, lf_err *err) {
    const lf_model *m = r->m;
    double partial;
    lf_status rc;
    if ((rc = lf_json_get_f64(m->config, "partial_rotary_factor", 1, &partial, m->config_path, err)) ||
        (rc = lf_json_get_f64(r->params, "partial_rotary_factor", partial, &partial, r->name, err)))
        return rc;
    if (partial != 1 && !r->keys->partial)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: key 'partial_rotary_factor': only 1 is supported for model_type '%s', found %g", r->name,
                       m->family->model_type, partial);
    r->table->size = partial > 0 && partial <= 1 ? (int64_t)((double)r->head * partial) : 0;
    r->table->half = (r->table->size + 1) / 2;
    if (r->table->size >= 1 && 2 * r->table->half <= r->head) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key 'partial_rotary_factor': %g of heads of %lld numbers cannot be turned",
                   r->name, partial, (long long)r->head);
}

/* Phi-3's class reads original_max_position_embeddings beside rope_parameters, and that counts. */
static lf_status read_original(reading *r, lf_err *err) {
    const lf_model *m = r->m;
    lf_status rc;
    if ((rc = lf_json_get_i64(r->params, "original_max_position_embeddings", m->tokens.max_positions, &r->original,
                              r->name, err)) ||
        (rc = lf_json_get_i64(m->config, "original_max_position_embeddings",
                              r->keys->original ? r->keys->original : r->original, &r->original, m->config_path, err)))
        return rc;
    if (r->original >= 1) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key 'original_max_position_embeddings': expected at least 1, found %lld",
                   r->name, (long long)r->original);
}

static lf_status read_params(reading *r, lf_err *err) {
    const lf_model *m = r->m;
    const lf_rope_keys *keys = r->keys;
    const char *type;
    lf_status rc;
    const cJSON *item;
    cJSON_ArrayForEach(item, r->params) if (cJSON_IsObject(item)) return lf_fail(
        err, LF_EUNSUPPORTED, "%s: key '%s': rotary positions by kind of layer are not supported for model_type '%s'",
        r->name, item->string, m->family->model_type);
    if ((rc = lf_json_get_f64(m->config, keys->theta_key ? keys->theta_key : "rope_theta",
                              keys->theta > 0 ? keys->theta : 10000, &r->table->theta, m->config_path, err)) ||
        (rc = lf_json_get_f64(r->params, "rope_theta", r->table->theta, &r->table->theta, r->name, err)) ||
        (rc = lf_json_get_str(r->params, "type", "default", &type, r->name, err)) ||
        (rc = lf_json_get_str(r->params, "rope_type", type, &type, r->name, err)) || (rc = read_original(r, err)) ||
        (rc = read_part(r, err)))
        return rc;
    if (!(r->table->theta > 1))
        return lf_fail(err, LF_EDATA, "%s: key 'rope_theta': expected more than 1, found %g", r->name, r->table->theta);
    for (const char *const *old = keys->longrope_names; old && *old; old++)
        if (strcmp(type, *old) == 0) type = "longrope";
    return fill(r, type, err);
}

/* The object of a key; *out is NULL where there is none, or nothing in it. */
static lf_status object_of(const lf_model *m, const char *key, const cJSON **out, lf_err *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, key);
    *out = NULL;
    if (item && !cJSON_IsNull(item) && !cJSON_IsObject(item))
        return lf_fail(err, LF_EDATA, "%s: key '%s': expected an object or null", m->config_path, key);
    if (item && item->child) *out = item;
    return LF_OK;
}

/* Of rope_parameters by kind of layer, those of `kind`. */
static lf_status of_kind(const lf_model *m, const cJSON *all, const char *kind, const cJSON **out, lf_err *err) {
    const cJSON *item;
    *out = NULL;
    cJSON_ArrayForEach(item, all) {
        const bool known =
            strcmp(item->string, "full_attention") == 0 || strcmp(item->string, "sliding_attention") == 0;
        if (!known || (!cJSON_IsNull(item) && !cJSON_IsObject(item)))
            return lf_fail(err, LF_EUNSUPPORTED,
                           "%s: key 'rope_parameters': expected an object for full_attention and one for "
                           "sliding_attention, as model_type '%s' has them; found '%s'",
                           m->config_path, m->family->model_type, item->string);
        if (strcmp(item->string, kind) == 0 && item->child) *out = item;
    }
    return LF_OK;
}

/* What `over` says, else what `under` does. */
static lf_status merge_params(reading *r, const cJSON *under, const cJSON *over, lf_err *err) {
    const cJSON *item;
    bool good = (r->merged = cJSON_Duplicate(under, true));
    cJSON_ArrayForEach(item, over) {
        if (good) cJSON_DeleteItemFromObjectCaseSensitive(r->merged, item->string);
        cJSON *copy = good ? cJSON_Duplicate(item, true) : NULL;
        good = copy && cJSON_AddItemToObject(r->merged, item->string, copy);
    }
    r->params = r->merged;
    return good ? LF_OK : lf_no_memory(err, "%s", r->m->config_path);
}

/* Which object of config.json says it: rope_scaling if it says something, else rope_parameters, as in transformers 5;
 * of layers of one kind, their own in rope_parameters, and over them rope_scaling, which transformers 4 had for the
 * full ones. */
static lf_status choose_params(reading *r, const char **key, lf_err *err) {
    const lf_rope_keys *keys = r->keys;
    const cJSON *old, *new;
    lf_status rc;
    if ((rc = object_of(r->m, "rope_scaling", &old, err)) || (rc = object_of(r->m, "rope_parameters", &new, err)) ||
        (keys->layers && (rc = of_kind(r->m, new, keys->layers, &new, err))))
        return rc;
    if (keys->layers && !keys->scaled) old = NULL;
    *key = old ? "rope_scaling" : new ? "rope_parameters" : NULL;
    r->params = old ? old : new;
    return keys->layers && old && new ? merge_params(r, new, old, err) : LF_OK;
}

lf_status lf_rope_read(lf_rope_table *table, lf_model *m, int64_t D, const lf_rope_keys *keys, lf_err *err) {
    reading r = {.m = m, .keys = keys, .head = D, .table = table};
    const char *key = NULL;
    *table = (lf_rope_table){.factor = 1, .divisor = 1};
    lf_status rc = choose_params(&r, &key, err);
    char *name = rc ? NULL : key ? lf_format("%s: %s", m->config_path, key) : lf_strdup(m->config_path);
    r.name = name;
    if (!rc) rc = name ? read_params(&r, err) : lf_no_memory(err, "%s", m->config_path);
    lf_free(name);
    cJSON_Delete(r.merged);
    return rc;
}

void lf_rope_limits(lf_model *m, const lf_rope_table *tables, int n) {
    lf_token_facts *f = &m->tokens;
    for (int i = 0; i < n; i++) {
        if (tables[i].reach > f->max_positions) f->max_positions = tables[i].reach;
        if (!tables[i].steady) continue;
        if (!f->steady || tables[i].steady < f->steady) f->steady = tables[i].steady;
        f->reads_again |= tables[i].longer != NULL;
    }
}
