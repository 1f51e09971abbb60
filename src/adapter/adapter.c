/* Attaching adapters to modules and starting them, many weights at a time. */
#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "adapter/calibrate.h"
#include "adapter/peft_file.h"
#include "adapter/targets.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/world.h"

double lf_lora_scaling(double alpha, int64_t r, bool use_rslora) {
    return use_rslora ? alpha / sqrt((double)r) : alpha / (double)r;
}

/* ---- attaching ---- */

static bool factor(lf_nn *nn, lf_tensor *t, int64_t rows, int64_t columns, bool trained, void **start, bool residual) {
    const size_t size = (size_t)(rows * columns) * sizeof(float);
    void *data = lf_arena_alloc(nn->arena, size), *grad = trained ? lf_arena_alloc(nn->arena, size) : NULL;
    lf_tensor_init(t, LF_F32, 2, (int64_t[]){rows, columns}, data, grad);
    t->requires_grad = trained;
    *start = residual ? lf_arena_alloc(nn->arena, size) : NULL;
    return data && (grad || !trained) && (*start || !residual);
}

/* The magnitudes of DoRA start as the norms of W's rows, so that each is divided by itself at step 0. */
static lf_status fill_magnitude(lf_nn *nn, const lf_module *m, lf_lora *l, lf_err *err) {
    float *W = lf_aligned_alloc((size_t)(m->out * m->in) * sizeof *W), *squares = l->squares,
          *norms = l->magnitude.data;
    if (!W) return lf_no_memory(err, "the weight of %s", m->name);
    const lf_status rc = lf_nn_weight(nn, m, W, err);
    for (int64_t o = 0; !rc && o < m->out; o++) {
        squares[o] = (float)nn->k->wide->sum_squares(W + o * m->in, m->in);
        norms[o] = (float)sqrt((double)squares[o]);
    }
    lf_aligned_free(W);
    return rc;
}

lf_status lf_lora_check_dora(const lf_module *m, const char *source, lf_err *err) {
    if (m->kind == LF_MODULE_LINEAR && !m->head) return LF_OK;
    return lf_fail(
        err, LF_EUNSUPPORTED,
        "%s: key 'use_dora': DoRA on '%s' (%s) is not supported; leave it out of target_modules, or set use_dora "
        "to false",
        source, m->name, m->head ? "the output layer of a vocabulary" : "an embedding");
}

lf_status lf_lora_add_magnitude(lf_nn *nn, lf_module *m, bool trained, lf_err *err) {
    lf_lora *l = m->lora;
    const size_t size = (size_t)m->out * sizeof(float);
    void *data = lf_arena_alloc(nn->arena, size), *grad = trained ? lf_arena_alloc(nn->arena, size) : NULL;
    l->squares = lf_arena_alloc(nn->arena, size);
    if (!data || !l->squares || (trained && !grad)) return lf_no_memory(err, "the magnitudes of %s", m->name);
    lf_tensor_init(&l->magnitude, LF_F32, 1, (int64_t[]){m->out}, data, grad);
    l->magnitude.requires_grad = trained;
    return fill_magnitude(nn, m, l, err);
}

lf_status lf_lora_attach(lf_nn *nn, lf_module *m, int64_t r, double scaling, double dropout, bool trained,
                         lf_init_form form, lf_err *err) {
    const bool residual = form == LF_FORM_SUBTRACTED, held = form == LF_FORM_HELD;
    assert(nn->k->dtype == LF_F32);
    lf_lora *l = lf_arena_alloc(nn->arena, sizeof *l);
    if (!l) goto no_memory;
    const bool table = m->kind == LF_MODULE_EMBEDDING; /* whose input is ids: there is nothing to drop */
    *l = (lf_lora){.r = r,
                   .scaling = scaling,
                   .dropout = table ? 0 : dropout,
                   .padding = table ? m->padding : -1,
                   .B_is_held = held};
    if (!factor(nn, &l->A, r, m->in, trained, &l->A0, residual) ||
        !factor(nn, &l->B, m->out, r, trained && !held, &l->B0, residual))
        goto no_memory;
    m->lora = l;
    return LF_OK;
no_memory:
    return lf_no_memory(err, "an adapter of rank %lld on %s", (long long)r, m->name);
}

void lf_lora_detach_all(lf_nn *nn) {
    for (int64_t i = 0; i < nn->n_modules; i++) nn->modules[i]->lora = NULL;
    lf_nn_take_beside_off(nn);
}

static cJSON *copy_of(const cJSON *object) {
    return lf_json_given(object) && object->child ? cJSON_Duplicate(object, true) : NULL;
}

static bool keep(cJSON **to, const cJSON *given) {
    *to = copy_of(given);
    return *to || !lf_json_given(given) || !given->child;
}

lf_status lf_adapter_keep_lists(lf_adapter *a, const cJSON *rank_pattern, const cJSON *alpha_pattern,
                                const cJSON *modules_to_save, lf_err *err) {
    if (keep(&a->rank_pattern, rank_pattern) && keep(&a->alpha_pattern, alpha_pattern) &&
        keep(&a->saves, modules_to_save))
        return LF_OK;
    return lf_no_memory(err, "rank_pattern, alpha_pattern and modules_to_save");
}

static lf_status attach_all(lf_adapter *a, lf_init_form form, lf_err *err) {
    lf_lora_detach_all(a->nn);
    for (int64_t i = 0; i < a->match.count; i++) {
        const lf_match *m = &a->match;
        const double scaling = lf_lora_scaling(m->alpha[i], m->r[i], a->use_rslora);
        lf_status rc = lf_lora_attach(a->nn, m->modules[i], m->r[i], scaling, a->lora_dropout, true, form, err);
        if (!rc && a->use_dora) rc = lf_lora_add_magnitude(a->nn, m->modules[i], true, err);
        if (rc) return rc;
    }
    return LF_OK;
}

/* ---- starting ---- */

typedef struct start {
    const lf_adapter *a;
    const lf_adapter_opts *o;
    const lf_init *init;
    lf_decompositions *cache; /* NULL: none */
    lf_calibration *found;    /* of the modules that are started now; NULL: the start reads no data */
    int64_t first;            /* the first of them */
    int64_t *streams;         /* number of each selected module in the table */
    lf_init_report *reports;
    lf_err *errors;
    atomic_bool failed;
    atomic_int_fast64_t done;
    atomic_flag drawing; /* held by the thread that updates the progress line; others do not wait for it */
    lf_progress progress;
} start;

/* Of the model itself, or of the one that the start looks at in its place. */
static lf_status read_weight(const start *s, const lf_module *m, float *W, lf_err *err) {
    const lf_nn *other = s->o->start_from;
    if (!other) return lf_nn_weight(s->a->nn, m, W, err);
    const lf_module *same = lf_nn_find(other, m->name);
    if (!same || same->kind != m->kind || same->out != m->out || same->in != m->in)
        return lf_fail(err, LF_ESHAPE,
                       "start_from: the model has %s '%s', which has %lld x %lld numbers in the one that is trained; "
                       "expected a model of the same sizes",
                       same ? "another" : "no", m->name, (long long)m->out, (long long)m->in);
    return lf_nn_weight(other, same, W, err);
}

static lf_status start_module(start *s, int64_t i, lf_err *err) {
    const lf_match *match = &s->a->match;
    const lf_module *m = match->modules[i];
    lf_lora *l = m->lora;
    float *W = NULL;
    lf_status rc;
    if (s->init->reads != LF_READS_NOTHING) {
        W = lf_aligned_alloc((size_t)(m->out * m->in) * sizeof *W);
        if (!W) return lf_no_memory(err, "the weight of %s", m->name);
        if ((rc = read_weight(s, m, W, err))) {
            lf_aligned_free(W);
            return rc;
        }
    }
    const lf_peft_entry *from = NULL;
    if (s->o->from && (rc = lf_peft_find(&from, s->o->from, m, err))) return rc;
    const lf_init_input in = {.name = m->name,
                              .W = W,
                              .out = m->out,
                              .in = m->in,
                              .r = l->r,
                              .scaling = l->scaling,
                              .position = s->o->position,
                              .sc_lora_beta = s->o->sc_lora_beta,
                              .init = s->o->init,
                              .seed = s->o->seed,
                              .stream = (uint64_t)s->streams[i],
                              .stored = lf_decompositions_weight(W ? s->cache : NULL, W, m->out, m->in),
                              .from = from,
                              .seen = lf_calibration_seen(s->found, m)};
    const bool knows_nothing = s->init->form == LF_FORM_ZERO && s->init->reads == LF_READS_NOTHING && !from;
    lf_init_fill *fill = m->kind == LF_MODULE_EMBEDDING && knows_nothing ? lf_init_table : s->init->fill;
    rc = fill(&in, l->A.data, l->B.data, &s->reports[i], err);
    if (!rc && from && from->magnitude)
        lf_to_f32(l->magnitude.data, from->magnitude->data, from->magnitude->dtype, m->out);
    lf_aligned_free(W);
    if (rc || !s->a->residual) return rc;
    memcpy(l->A0, l->A.data, (size_t)l->A.numel * sizeof(float));
    memcpy(l->B0, l->B.data, (size_t)l->B.numel * sizeof(float));
    return LF_OK;
}

/* A start that looks at the weight is worth sharing out: each rank has every so-manieth module. */
static bool is_shared_out(const start *s) { return lf_world_size() > 1 && s->init->reads != LF_READS_NOTHING; }
static int starter_of(const start *s, int64_t i) { return is_shared_out(s) ? (int)(i % lf_world_size()) : 0; }

static void start_one(void *context, int64_t of_these) {
    start *s = context;
    const int64_t i = s->first + of_these;
    if (atomic_load(&s->failed) || lf_interrupted()) return;
    if (is_shared_out(s) && starter_of(s, i) != lf_world_rank()) return;
    if (start_module(s, i, &s->errors[i])) atomic_store(&s->failed, true);
    const int64_t done = (int64_t)atomic_fetch_add(&s->done, 1) + 1;
    if (atomic_flag_test_and_set(&s->drawing)) return;
    lf_progress_update(&s->progress, done, s->a->match.modules[i]->name);
    atomic_flag_clear(&s->drawing);
}

static lf_status first_error(const start *s, lf_err *err) {
    for (int64_t i = 0; i < s->a->match.count; i++)
        if (s->errors[i].status) return lf_fail(err, s->errors[i].status, "%s", s->errors[i].message);
    if (lf_interrupted()) return lf_fail(err, LF_EINTERRUPTED, "interrupted while the adapters were started");
    return LF_OK;
}

static void warn_of_dead(const start *s) {
    int64_t n_dead = 0, n_components = 0, first = -1;
    for (int64_t i = 0; i < s->a->match.count; i++) {
        n_components += s->a->match.r[i];
        n_dead += s->reports[i].n_dead;
        if (s->reports[i].n_dead && first < 0) first = i;
    }
    if (first < 0) return;
    lf_warn("%lld of %lld components of the start have a singular value below 1e-7 of the largest: they start at zero "
            "and never "
            "learn (first in %s: %lld of %lld); try a smaller init_position or a smaller r",
            (long long)n_dead, (long long)n_components, s->a->match.modules[first]->name,
            (long long)s->reports[first].n_dead, (long long)s->a->match.r[first]);
}

/* What one rank has found, to all. */
static lf_status share_module(start *s, int64_t i, lf_err *err) {
    const lf_lora *l = s->a->match.modules[i]->lora;
    const size_t A = (size_t)l->A.numel * sizeof(float), B = (size_t)l->B.numel * sizeof(float);
    const int from = starter_of(s, i);
    lf_status rc;
    if ((rc = lf_world_share(from, l->A.data, A, err)) || (rc = lf_world_share(from, l->B.data, B, err)) ||
        (rc = lf_world_share(from, &s->reports[i], sizeof s->reports[i], err)))
        return rc;
    if (!s->a->residual) return LF_OK;
    return (rc = lf_world_share(from, l->A0, A, err)) ? rc : lf_world_share(from, l->B0, B, err);
}

/* Modules first .. first+n-1. */
static lf_status start_these(start *s, int64_t n, lf_err *err) {
    lf_parallel_for(n, start_one, s);
    lf_status rc = first_error(s, err);
    if (!is_shared_out(s)) return rc;
    rc = lf_world_agree(rc, err);
    for (int64_t i = s->first; i < s->first + n && !rc; i++) rc = share_module(s, i, err);
    return rc;
}

/* As many modules at a time as memory is meant for. */
static lf_status start_calibrated(start *s, lf_err *err) {
    const lf_match *match = &s->a->match;
    lf_status rc = LF_OK;
    for (int64_t n; !rc && s->first < match->count; s->first += n) {
        n = match->count - s->first;
        rc = lf_calibration_collect(&s->found, match->modules + s->first, &n, s->init->reads, s->o->calibrate, err);
        if (!rc) rc = start_these(s, n, err);
        lf_calibration_free(s->found);
        s->found = NULL;
    }
    return rc;
}

static lf_status run(start *s, lf_err *err) {
    const lf_nn *nn = s->a->nn;
    const int64_t n = s->a->match.count;
    for (int64_t i = 0, j = 0; i < nn->n_modules && j < n; i++)
        if (nn->modules[i] == s->a->match.modules[j]) s->streams[j++] = i;
    char what[64];
    snprintf(what, sizeof what, "starting adapters (%.32s)", s->o->init);
    lf_progress_begin(&s->progress, what, n);
    const lf_status rc = lf_init_reads_data(s->init) ? start_calibrated(s, err) : start_these(s, n, err);
    lf_progress_end(&s->progress, "");
    return rc;
}

/* PEFT's wrapper acts in its own module alone, whoever else has the weight. */
static void say_ties(const lf_adapter *a) {
    for (int64_t i = 0; i < a->match.count; i++) {
        const lf_module *m = a->match.modules[i];
        for (int64_t k = 0; k < a->nn->n_modules; k++)
            if (a->nn->modules[k] != m && a->nn->modules[k]->weight && a->nn->modules[k]->weight == m->weight &&
                a->nn->modules[k]->head != LF_MASKED_HEAD)
                lf_info("'%s' and '%s' are one weight in the base (tie_word_embeddings): the adapter of the first acts "
                        "on it "
                        "alone, as in PEFT; a merged model holds both",
                        m->name, a->nn->modules[k]->name);
    }
}

static void say_what_was_done(const start *s) {
    const long long n = (long long)s->a->match.count, n_read = (long long)lf_decompositions_n_read(s->cache);
    if (s->o->from)
        lf_info("%lld adapters go on from %s", n, s->o->from->dir);
    else if (n_read)
        lf_info("%lld adapters started from %s in %.2f s, with %lld decompositions of %s", n, s->o->init,
                s->a->init_seconds, n_read, lf_decompositions_folder(s->cache));
    else
        lf_info("%lld adapters started from %s in %.2f s", n, s->o->init, s->a->init_seconds);
    long long n_full = 0;
    for (long long i = 0; i < n; i++) n_full += s->reports[i].fell_back;
    if (n_full) lf_info("%lld of their blocks took a full decomposition, which is slower", n_full);
}

static lf_status start_all(lf_adapter *a, const lf_adapter_opts *o, const lf_init *init, lf_err *err) {
    const double began = lf_now();
    const size_t n = (size_t)a->match.count;
    start s = {.a = a,
               .o = o,
               .init = init,
               .streams = lf_calloc(n, sizeof *s.streams),
               .reports = lf_calloc(n, sizeof *s.reports),
               .errors = lf_calloc(n, sizeof *s.errors),
               .drawing = ATOMIC_FLAG_INIT};
    lf_status rc;
    if (!s.streams || !s.reports || !s.errors) {
        rc = lf_no_memory(err, "the adapters' start");
        goto out;
    }
    if (init->reads == LF_READS_COMPONENTS && (rc = lf_decompositions_open(&s.cache, o->decomposition_cache, err)))
        goto out;
    if (lf_world_is_first() && (rc = lf_decompositions_lock(s.cache, err))) goto out; /* ranks do not wait for it */
    if ((rc = run(&s, err))) goto out;
    a->init_seconds = lf_now() - began;
    if (!(a->start = lf_start_to_json(o, init, s.reports, a->match.count))) {
        rc = lf_no_memory(err, "the adapters' start");
        goto out;
    }
    warn_of_dead(&s);
    say_ties(a);
    say_what_was_done(&s);
out:
    lf_decompositions_close(s.cache);
    lf_free(s.streams);
    lf_free(s.reports);
    lf_free(s.errors);
    return rc;
}

/* What would fail in the middle of the work is found before it. */
static lf_status check_dora(const lf_adapter *a, const lf_adapter_opts *o, const lf_init *init, lf_err *err) {
    if (!o->use_dora) return LF_OK;
    for (int64_t i = 0; i < a->match.count; i++) {
        const lf_status rc = lf_lora_check_dora(a->match.modules[i], "the configuration", err);
        if (rc) return rc;
    }
    if (!lf_init_has_zero_B(init)) {
        char others[256];
        lf_init_list(others, sizeof others, lf_init_has_zero_B);
        return lf_fail(
            err, LF_EUSAGE,
            "use_dora: cannot be combined with init_lora_weights %s, whose B does not begin at zero; expected "
            "one of true, %s",
            o->init, others);
    }
    if (o->lora_dropout > 0)
        return lf_fail(
            err, LF_EUSAGE,
            "use_dora: cannot be combined with lora_dropout %g (PEFT drops inputs of the weight itself then); "
            "set lora_dropout to 0",
            o->lora_dropout);
    return LF_OK;
}

static lf_status check_start(const lf_adapter *a, const lf_adapter_opts *o, const lf_init *init, lf_err *err) {
    lf_status why = check_dora(a, o, init, err);
    if (!why && lf_init_reads_data(init)) why = lf_calibration_check(a->match.modules, a->match.count, o, err);
    if (why) return why;
    if (a->residual && o->use_rslora && (a->rank_pattern || a->alpha_pattern))
        return lf_fail(err, LF_EUSAGE,
                       "use_rslora: with init_lora_weights %s it cannot be combined with rank_pattern or alpha_pattern "
                       "(PEFT refuses "
                       "it too); leave out one of them, and set lora_alpha accordingly",
                       o->init);
    const bool indexed = lf_init_is_positioned(init) && o->position.kind == LF_POSITION_INDEX;
    for (int64_t i = 0; indexed && i < a->match.count; i++) {
        const lf_module *m = a->match.modules[i];
        const int64_t n = m->out < m->in ? m->out : m->in;
        int64_t s;
        if (a->match.r[i] > n) continue; /* init_slice.c says it */
        const lf_status rc = lf_position_start(o->position, n, a->match.r[i], NULL, m->name, &s, err);
        if (rc) return rc;
    }
    return LF_OK;
}

/* `o` names the start that init is. */
static lf_status make(lf_adapter **out, lf_nn *nn, const lf_adapter_opts *o, const lf_init *init, lf_err *err) {
    lf_status rc;
    *out = NULL;
    if (!init) return lf_fail(err, LF_EUSAGE, "init_lora_weights: there is no start named '%s'", o->init);
    lf_adapter *a = lf_calloc(1, sizeof *a);
    if (!a) return lf_no_memory(err, "the adapters");
    *a = (lf_adapter){.nn = nn,
                      .r = o->r,
                      .lora_alpha = o->lora_alpha,
                      .lora_dropout = o->lora_dropout,
                      .use_rslora = o->use_rslora,
                      .use_dora = o->use_dora,
                      .bias = lf_bias_named(o->bias),
                      .vocabulary = o->vocabulary,
                      .residual = init->form == LF_FORM_SUBTRACTED,
                      .held = init->form == LF_FORM_HELD};
    if ((rc = lf_match_modules(&a->match, nn, o, err)) ||
        (rc = lf_adapter_keep_lists(a, o->rank_pattern, o->alpha_pattern, o->modules_to_save, err)) ||
        (rc = lf_beside_list_vocabulary(a, o->from, err)) ||
        (o->from && (rc = lf_continue_check(o->from, &a->match, o->use_rslora, err))) ||
        (rc = check_start(a, o, init, err)) || (rc = attach_all(a, init->form, err)) ||
        (rc = lf_beside_put(a, o->from, true, err)) || (rc = start_all(a, o, init, err)))
        goto out;
    *out = a;
    a = NULL;
out:
    if (rc) lf_lora_detach_all(nn);
    lf_adapter_free(a);
    return rc;
}

lf_status lf_adapter_new(lf_adapter **out, lf_nn *nn, const lf_adapter_opts *o, lf_err *err) {
    lf_adapter_opts own = *o;
    if (o->from) own.init = lf_init_continued.name;
    return make(out, nn, &own, o->from ? &lf_init_continued : lf_init_find(own.init), err);
}

void lf_adapter_free(lf_adapter *a) {
    if (!a) return;
    lf_match_free(&a->match);
    cJSON_Delete(a->rank_pattern);
    cJSON_Delete(a->alpha_pattern);
    cJSON_Delete(a->saves);
    cJSON_Delete(a->start);
    lf_free(a->read_B);
    lf_free(a);
}

double lf_adapter_init_seconds(const lf_adapter *a) { return a->init_seconds; }
cJSON *lf_adapter_start_to_json(const lf_adapter *a) { return cJSON_Duplicate(a->start, true); }
const char *lf_adapter_coverage(const lf_adapter *a) { return a->match.coverage; }
int64_t lf_adapter_count(const lf_adapter *a) { return a->match.count; }
lf_module *lf_adapter_module(const lf_adapter *a, int64_t i) { return a->match.modules[i]; }
