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
    lf_inputs *now;         /* what is collected in this pass */
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

static bool reads_target(lf_init_reads reads) { return reads == LF_READS_TARGET || reads == LF_READS_BOTH; }
static bool reads_kept(lf_init_reads reads) { return reads == LF_READS_KEPT || reads == LF_READS_BOTH; }

static size_t inputs_size(const lf_module *m) { return (size_t)(m->in * m->in + m->in) * sizeof(double); }
static size_t gradient_size(const lf_module *m) { return (size_t)(m->out * m->in) * sizeof(float); }
static size_t size_of(const lf_module *m, lf_init_reads reads) {
    if (reads == LF_READS_GRADIENT) return gradient_size(m);
    return (size_t)(reads_target(reads) + reads_kept(reads)) * inputs_size(m);
}

/* The next module; false: its memory would be too much beside that of the others. */
static bool add(lf_calibration *c, const lf_module *m, lf_init_reads reads, size_t *bytes) {
    collector *same = reads == LF_READS_GRADIENT ? NULL : with_the_same_inputs(c, m);
    const size_t size = same ? 0 : size_of(m, reads);
    if (c->n && *bytes + size > lf_calibration_bytes) return false;
    *bytes += size;
    c->of[c->n++] = (collector){.m = m, .same = same};
    return true;
}

static bool take_inputs(lf_inputs *i, const lf_module *m) {
    i->moments = lf_calloc(inputs_size(m), 1);
    i->sum = i->moments ? i->moments + m->in * m->in : NULL;
    return i->moments;
}

static lf_status take_memory(collector *k, lf_init_reads reads, lf_err *err) {
    if (k->same) return LF_OK;
    if (reads == LF_READS_GRADIENT) k->seen.gradient = lf_calloc(gradient_size(k->m), 1);
    const bool ok = (reads != LF_READS_GRADIENT || k->seen.gradient) &&
                    (!reads_target(reads) || take_inputs(&k->seen.target, k->m)) &&
                    (!reads_kept(reads) || take_inputs(&k->seen.kept, k->m));
    return ok ? LF_OK : lf_no_memory(err, "calibrating the start of %s", k->m->name);
}

/* ---- the passes ---- */

static void see(void *context, const void *rows, int64_t n) {
    collector *k = context;
    if (k->failure.status) return;
    (void)lf_moment_add(k->now->moments, k->now->sum, rows, n, k->m->in, &k->failure);
    k->now->rows += n;
}

static void hang(collector *k, lf_init_reads what) {
    if (k->same) return;
    k->now = what == LF_READS_TARGET ? &k->seen.target : what == LF_READS_KEPT ? &k->seen.kept : NULL;
    k->probe = (lf_lora_probe){.see = k->now ? see : NULL, .context = k, .gradient = k->seen.gradient};
    k->m->lora->probe = &k->probe;
}

/* A sum is finite if all of it is. */
static lf_status check_sum(const collector *k, const char *what, double sum, lf_err *err) {
    if (isfinite(sum) && sum > 0) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: %s are %s on the calibration data; are the weights of the model finite?",
                   k->m->name, what, isfinite(sum) ? "all zero" : "not finite");
}

static lf_status close_inputs(const collector *k, lf_err *err) {
    const int64_t n = k->m->in;
    double sum = 0;
    if (k->failure.status) return lf_fail(err, k->failure.status, "%s", k->failure.message);
    if (!k->now->rows)
        return lf_fail(err, LF_EDATA,
                       "%s: no row of the calibration data went through it; are they empty? Else leave it out of "
                       "target_modules",
                       k->m->name);
    for (int64_t i = 0; i < n; i++) sum += k->now->moments[i * (n + 1)];
    lf_moment_close(k->now->moments, n);
    return check_sum(k, "its inputs", sum, err);
}

static lf_status check_gradient(const collector *k, lf_err *err) {
    double sum = 0;
    for (int64_t i = 0; i < k->m->in * k->m->out; i++) sum += fabs((double)k->seen.gradient[i]);
    return check_sum(k, "the gradients of its weight", sum, err);
}

static lf_status pass(lf_calibration *c, lf_init_reads what, const lf_calibrate *calibrate, lf_err *err) {
    for (int64_t i = 0; i < c->n; i++) hang(&c->of[i], what);
    lf_status rc = calibrate->run(calibrate->context, what, err);
    for (int64_t i = 0; i < c->n; i++) c->of[i].m->lora->probe = NULL;
    for (int64_t i = 0; i < c->n && !rc; i++) {
        const collector *k = &c->of[i];
        if (!k->same) rc = k->now ? close_inputs(k, err) : check_gradient(k, err);
    }
    return rc;
}

lf_status lf_calibration_collect(lf_calibration **out, lf_module *const *modules, int64_t *n, lf_init_reads reads,
                                 const lf_calibrate *calibrate, lf_err *err) {
    size_t bytes = 0;
    lf_calibration *c = *out = lf_calloc(1, sizeof *c);
    if (c) c->of = lf_calloc((size_t)*n, sizeof *c->of);
    if (!c || !c->of) return lf_no_memory(err, "calibrating the start of %lld modules", (long long)*n);
    while (c->n < *n && add(c, modules[c->n], reads, &bytes)) {
    }
    *n = c->n;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < c->n && !rc; i++) rc = take_memory(&c->of[i], reads, err);
    if (!rc && reads_target(reads)) rc = pass(c, LF_READS_TARGET, calibrate, err);
    if (!rc && reads_kept(reads)) rc = pass(c, LF_READS_KEPT, calibrate, err);
    if (!rc && reads == LF_READS_GRADIENT) rc = pass(c, reads, calibrate, err);
    return rc;
}

const lf_seen *lf_calibration_seen(const lf_calibration *c, const lf_module *m) {
    for (int64_t i = 0; c && i < c->n; i++)
        if (c->of[i].m == m) return c->of[i].same ? &c->of[i].same->seen : &c->of[i].seen;
    return NULL;
}

void lf_calibration_free(lf_calibration *c) {
    if (!c) return;
    for (int64_t i = 0; c->of && i < c->n; i++) {
        lf_free(c->of[i].seen.target.moments);
        lf_free(c->of[i].seen.kept.moments);
        lf_free(c->of[i].seen.gradient);
    }
    lf_free(c->of);
    lf_free(c);
}
