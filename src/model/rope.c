/* Rotary position embedding: angle = position * inverse frequency, in double. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "model/lm.h"

/* Where this version of config.json keeps it: rope_parameters (5; theta inside), or rope_scaling (4) beside rope_theta. */
typedef struct rope_config {
    const cJSON *options; /* NULL: none */
    const char *key, *type;
    double theta;
} rope_config;

static lf_status option(const lf_model *m, const rope_config *c, const char *name, double *out, lf_err *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->options, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble > 0))
        return lf_fail(err, LF_EDATA, "%s: key '%s': rope type '%s' needs a positive number '%s'", m->config_path, c->key, c->type, name);
    *out = item->valuedouble;
    return LF_OK;
}

static lf_status read_config(const lf_model *m, rope_config *c, lf_err *err) {
    const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(m->config, "rope_parameters"), *scaling = cJSON_GetObjectItemCaseSensitive(m->config, "rope_scaling");
    c->key = cJSON_IsObject(parameters) ? "rope_parameters" : "rope_scaling";
    c->options = cJSON_IsObject(parameters) ? parameters : cJSON_IsObject(scaling) ? scaling : NULL;
    const lf_status rc = lf_json_get_f64(m->config, "rope_theta", 10000, &c->theta, m->config_path, err);
    if (rc) return rc;
    const cJSON *theta = cJSON_GetObjectItemCaseSensitive(c->options, "rope_theta"), *type = cJSON_GetObjectItemCaseSensitive(c->options, "rope_type");
    if (!type) type = cJSON_GetObjectItemCaseSensitive(c->options, "type"); /* before transformers 4.43 */
    if (cJSON_IsNumber(theta)) c->theta = theta->valuedouble;
    c->type = cJSON_IsString(type) ? type->valuestring : "default";
    if (!(c->theta > 0)) return lf_fail(err, LF_EDATA, "%s: key 'rope_theta': expected a positive number, found %g", m->config_path, c->theta);
    return LF_OK;
}

static lf_status plain(const lf_model *m, const rope_config *c, double *frequency, int64_t n, lf_err *err) {
    (void)m, (void)c, (void)frequency, (void)n, (void)err;
    return LF_OK;
}

static lf_status linear(const lf_model *m, const rope_config *c, double *frequency, int64_t n, lf_err *err) {
    double factor = 1;
    const lf_status rc = option(m, c, "factor", &factor, err);
    for (int64_t i = 0; !rc && i < n; i++) frequency[i] /= factor;
    return rc;
}

/* Llama 3.1's: low frequencies are divided by the factor, high ones kept, those between blended. */
static lf_status llama3(const lf_model *m, const rope_config *c, double *frequency, int64_t n, lf_err *err) {
    double factor = 1, low = 1, high = 1, context = 1;
    lf_status rc;
    if ((rc = option(m, c, "factor", &factor, err)) || (rc = option(m, c, "low_freq_factor", &low, err)) ||
        (rc = option(m, c, "high_freq_factor", &high, err)) || (rc = option(m, c, "original_max_position_embeddings", &context, err)))
        return rc;
    if (!(high > low)) return lf_fail(err, LF_EDATA, "%s: key '%s': high_freq_factor %g is not above low_freq_factor %g", m->config_path, c->key, high, low);
    for (int64_t i = 0; i < n; i++) {
        const double wavelength = 2 * acos(-1.0) / frequency[i], smooth = (context / wavelength - low) / (high - low);
        if (wavelength > context / low) frequency[i] /= factor;
        else if (wavelength >= context / high) frequency[i] = (1 - smooth) * frequency[i] / factor + smooth * frequency[i];
    }
    return LF_OK;
}

static const struct { const char *type; lf_status (*scale)(const lf_model *m, const rope_config *c, double *frequency, int64_t n, lf_err *err); } types[] = {
    {"default", plain}, {"linear", linear}, {"llama3", llama3}};
enum { N_TYPES = sizeof types / sizeof types[0] };

static lf_status scale(const lf_model *m, const rope_config *c, double *frequency, int64_t n, lf_err *err) {
    for (int i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].type, c->type) == 0) return types[i].scale(m, c, frequency, n, err);
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': rope type '%s' is not supported; known: default, linear, llama3", m->config_path, c->key, c->type);
}

lf_status lf_rope_tables(lf_model *m, int64_t D, int64_t P, const float **cosines, const float **sines, lf_err *err) {
    const int64_t n = D / 2;
    rope_config c;
    lf_status rc = read_config(m, &c, err);
    if (rc) return rc;
    double *frequency = lf_arena_alloc(m->nn.arena, (size_t)n * sizeof *frequency);
    float *cosine = lf_arena_alloc(m->nn.arena, (size_t)(P * n) * sizeof *cosine), *sine = lf_arena_alloc(m->nn.arena, (size_t)(P * n) * sizeof *sine);
    if (!frequency || !cosine || !sine) return lf_fail(err, LF_ENOMEM, "%s: out of memory for %lld positions", m->path, (long long)P);
    for (int64_t i = 0; i < n; i++) frequency[i] = pow(c.theta, -2 * (double)i / (double)D);
    if ((rc = scale(m, &c, frequency, n, err))) return rc;
    for (int64_t p = 0; p < P; p++)
        for (int64_t i = 0; i < n; i++) {
            cosine[p * n + i] = (float)cos((double)p * frequency[i]);
            sine[p * n + i] = (float)sin((double)p * frequency[i]);
        }
    *cosines = cosine;
    *sines = sine;
    return LF_OK;
}
