#include "adapter/calibrate.h"

#include <math.h>

#include "base/mem.h"
#include "linalg/covariance.h"

size_t lf_calibration_bytes = (size_t)1 << 30;

/* A probe, and what it collects. */
typedef struct collector {
    lf_lora_probe probe;
    const lf_module *m;
    lf_seen seen;
    struct collector *same; /* another that sees the same x, and has the memory; NULL: this one has it */
    lf_err failure;
} collector;

struct lf_calibration {
    int64_t n;
    collector *of; /* [n] */
};

lf_status lf_calibration_check(lf_module *const *modules, int64_t n, const lf_adapter_opts *o, lf_err *err) {
    if (!o->calibrate)
        return lf_fail(err, LF_EUSAGE, "init_lora_weights %s: looks at data, of which there are none here", o->init);
    for (int64_t i = 0; i < n; i++)
        if (modules[i]->kind != LF_MODULE_LINEAR || modules[i]->head)
            return lf_fail(
                err, LF_EUNSUPPORTED,
                "init_lora_weights %s: looks at what goes into linear layers, but '%s' is %s; leave it out of "
                "target_modules",
                o->init, modules[i]->name, modules[i]->head ? "the output layer of a vocabulary" : "an embedding");
    return LF_OK;
}

/* ---- memory ---- */

static bool share(const lf_module *a, const lf_module *b) { return a->group && a->group == b->group; }

static collector *with_the_same_inputs(const lf_calibration *c, const lf_module *m) {
    for (int64_t i = 0; i < c->n; i++)
        if (!c->of[i].same && share(c->of[i].m, m)) return &c->of[i];
    return NULL;
}

static size_t inputs_size(const lf_module *m) { return (size_t)(m->in * m->in + m->in) * sizeof(double); }
static size_t gradient_size(const lf_module *m) { return (size_t)(m->out * m->in) * sizeof(float); }

/* The next module; false: its memory would be too much beside that of the others. */
static bool add(lf_calibration *c, const lf_module *m, bool gradient, size_t *bytes) {
    collector *same = gradient ? NULL : with_the_same_inputs(c, m);
    const size_t size = same ? 0 : gradient ? gradient_size(m) : inputs_size(m);
    if (c->n && *bytes + size > lf_calibration_bytes) return false;
    *bytes += size;
    c->of[c->n++] = (collector){.m = m, .same = same};
    return true;
}

static lf_status take_memory(collector *k, bool gradient, lf_err *err) {
    if (k->same) return LF_OK;
    if (gradient)
        k->seen.gradient = lf_calloc(gradient_size(k->m), 1);
    else if ((k->seen.moments = lf_calloc(inputs_size(k->m), 1)))
        k->seen.sum = k->seen.moments + k->m->in * k->m->in;
    return k->seen.gradient || k->seen.moments ? LF_OK : lf_no_memory(err, "calibrating the start of %s", k->m->name);
}

/* ---- the passes ---- */

static void see(void *context, const void *rows, int64_t n) {
    collector *k = context;
    if (k->failure.status) return;
    (void)lf_moment_add(k->seen.moments, k->seen.sum, rows, n, k->m->in, &k->failure);
    k->seen.rows += n;
}

static void hang(collector *k) {
    if (k->same) return;
    k->probe = (lf_lora_probe){.see = k->seen.moments ? see : NULL, .context = k, .gradient = k->seen.gradient};
    k->m->lora->probe = &k->probe;
}

/* A sum is finite if all of it is. */
static lf_status check(const collector *k, lf_err *err) {
    double all = 0;
    if (k->same) return LF_OK;
    if (k->failure.status) return lf_fail(err, k->failure.status, "%s", k->failure.message);
    if (k->seen.moments && !k->seen.rows)
        return lf_fail(err, LF_EDATA,
                       "%s: no row of the calibration data went through it; are they empty? Else leave it out of "
                       "target_modules",
                       k->m->name);
    if (k->seen.moments)
        for (int64_t i = 0; i < k->m->in; i++) all += k->seen.moments[i * (k->m->in + 1)];
    else
        for (int64_t i = 0; i < k->m->in * k->m->out; i++) all += fabs((double)k->seen.gradient[i]);
    if (isfinite(all) && all > 0) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: %s are %s on the calibration data; are the weights of the model finite?",
                   k->m->name, k->seen.moments ? "its inputs" : "the gradients of its weight",
                   isfinite(all) ? "all zero" : "not finite");
}

static lf_status finish(lf_calibration *c, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < c->n && !rc; i++) {
        collector *k = &c->of[i];
        if (!(rc = check(k, err)) && k->seen.moments) lf_moment_close(k->seen.moments, k->m->in);
    }
    return rc;
}

lf_status lf_calibration_collect(lf_calibration **out, lf_module *const *modules, int64_t *n, lf_init_reads reads,
                                 const lf_calibrate *calibrate, lf_err *err) {
    const bool gradient = reads == LF_READS_GRADIENT;
    size_t bytes = 0;
    lf_calibration *c = *out = lf_calloc(1, sizeof *c);
    if (c) c->of = lf_calloc((size_t)*n, sizeof *c->of);
    if (!c || !c->of) return lf_no_memory(err, "calibrating the start of %lld modules", (long long)*n);
    while (c->n < *n && add(c, modules[c->n], gradient, &bytes)) {
    }
    *n = c->n;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < c->n && !rc; i++) rc = take_memory(&c->of[i], gradient, err);
    for (int64_t i = 0; i < c->n && !rc; i++) hang(&c->of[i]);
    if (!rc) rc = calibrate->run(calibrate->context, reads, err);
    for (int64_t i = 0; i < c->n; i++) c->of[i].m->lora->probe = NULL;
    return rc ? rc : finish(c, err);
}

const lf_seen *lf_calibration_seen(const lf_calibration *c, const lf_module *m) {
    for (int64_t i = 0; c && i < c->n; i++)
        if (c->of[i].m == m) return c->of[i].same ? &c->of[i].same->seen : &c->of[i].seen;
    return NULL;
}

void lf_calibration_free(lf_calibration *c) {
    if (!c) return;
    for (int64_t i = 0; c->of && i < c->n; i++) {
        lf_free(c->of[i].seen.moments);
        lf_free(c->of[i].seen.gradient);
    }
    lf_free(c->of);
    lf_free(c);
}
