/* The verb `spectrum`: the singular values of a model's weights, which share of them a block of components holds, and
 * what an adapter's updates do to them. Weights are read from the file one a thread, and each decomposition is freed
 * before the next. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "linalg/svd.h"
#include "tools/spectrum.h"

/* ---- which modules ---- */

static bool is_adapted(const lf_model *m) {
    bool any = false;
    for (int64_t i = 0; i < m->nn.n_modules; i++) any = any || m->nn.modules[i]->lora;
    return any;
}

/* Whole names of the modules that have an adapter, embedding and output layer too, which all-linear does not mean. */
static cJSON *adapted_names(const lf_model *m) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < m->nn.n_modules; i++)
        if (m->nn.modules[i]->lora) lf_list_string(&list, m->nn.modules[i]->name);
    return lf_obj_take(&list);
}

/* With an adapter, the modules that have one, unless keys say which. */
static lf_status choose_modules(lf_spectra *s, bool adapter, lf_err *err) {
    lf_match *match = &s->match;
    const bool asked = lf_cfg_is_given(s->cfg, LF_target_modules) || lf_cfg_is_given(s->cfg, LF_exclude_modules);
    const bool of_adapter =
        adapter && !asked && !lf_cfg_is_given(s->cfg, LF_layers_to_transform) && is_adapted(s->model);
    cJSON *names = of_adapter ? adapted_names(s->model) : NULL;
    if (of_adapter && !names) return lf_no_memory(err, "the modules of an adapter");
    lf_adapter_opts o = s->o;
    if (names) o.target_modules = names;
    const lf_status rc = lf_match_modules(match, &s->model->nn, &o, err);
    cJSON_Delete(names);
    if (rc) return rc;
    int64_t kept = 0;
    for (int64_t i = 0; i < match->count; i++) {
        s->adapted = s->adapted || match->modules[i]->lora;
        if (adapter && !asked && !match->modules[i]->lora) continue;
        match->modules[kept] = match->modules[i];
        match->r[kept++] = match->r[i];
    }
    match->count = kept;
    if (!adapter || s->adapted) return LF_OK;
    return lf_cfg_fail(s->cfg, LF_adapter, err, "%s has no LoRA on %s; leave it out to see the weights alone",
                       lf_cfg_str(s->cfg, LF_adapter),
                       asked ? "a module that target_modules and exclude_modules choose"
                             : "any linear layer but the head");
}

/* What would fail in the middle of the work is found before it. */
static lf_status make_row(lf_spectra *s, int64_t i, lf_err *err) {
    const lf_module *m = s->match.modules[i];
    lf_spectrum_row *row = &s->rows[i];
    *row = (lf_spectrum_row){.m = m, .n = m->out < m->in ? m->out : m->in, .r = s->match.r[i]};
    const int64_t cells = lf_map_cells(row->n);
    if (row->r > row->n)
        return lf_fail(err, LF_EUSAGE,
                       "%s: r = %lld, but a weight of %lld x %lld has only %lld components; give it a smaller r by "
                       "rank_pattern, or leave "
                       "it out by exclude_modules",
                       m->name, (long long)row->r, (long long)m->out, (long long)m->in, (long long)row->n);
    if (s->o.position.kind == LF_POSITION_INDEX) {
        const lf_status rc = lf_init_block(&s->o, row->n, row->r, NULL, m->name, &row->start_chosen, err);
        if (rc) return rc;
    }
    row->sigma = lf_calloc((size_t)row->n, sizeof *row->sigma);
    if (m->lora) row->cells = lf_calloc((size_t)(cells * cells), sizeof *row->cells);
    return row->sigma && (row->cells || !m->lora) ? LF_OK : lf_no_memory(err, "the spectrum of %s", m->name);
}

static lf_status make_rows(lf_spectra *s, lf_err *err) {
    s->rows = lf_calloc((size_t)s->match.count, sizeof *s->rows);
    if (!s->rows) return lf_no_memory(err, "%lld modules", (long long)s->match.count);
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < s->match.count && !rc; i++) rc = make_row(s, i, err);
    return rc;
}

static void free_spectrum(lf_spectra *s) {
    for (int64_t i = 0; s->rows && i < s->match.count; i++) {
        lf_free(s->rows[i].sigma);
        lf_free(s->rows[i].cells);
    }
    lf_free(s->rows);
    lf_match_free(&s->match);
}

/* ---- a module ---- */

static lf_status measure_update(lf_spectrum_row *row, const float *W, lf_err *err) {
    const lf_module *m = row->m;
    const int64_t R = lf_lora_rank(m->lora), sides = m->out + m->in;
    double *memory = lf_malloc(sizeof *memory * (size_t)(sides * (row->n + R)));
    if (!memory)
        return lf_no_memory(err, "the decomposition of %s, a weight of %lld x %lld; try fewer threads", m->name,
                            (long long)m->out, (long long)m->in);
    double *U = memory, *V = U + m->out * row->n, *B = V + m->in * row->n, *A = B + m->out * R;
    const lf_decomposed d = {m->out, m->in, U, row->sigma, V};
    lf_lora_factors(m, B, A);
    row->update_rank = R;
    lf_status rc = lf_svd_full(W, m->out, m->in, row->sigma, U, V, m->name, err);
    if (!rc) rc = lf_geometry_measure(&row->update, W, &d, &(lf_update){R, B, A}, row->cells, m->name, err);
    lf_free(memory);
    return rc;
}

static lf_status describe(const lf_spectra *s, lf_spectrum_row *row, lf_err *err) {
    const double *sigma = row->sigma;
    const int64_t n = row->n, r = row->r;
    lf_position_start((lf_position){LF_POSITION_FRACTION, 0.5}, n, r, NULL, row->m->name, &row->start_middle, NULL);
    row->start_last = n - r;
    row->sigma_max = sigma[0];
    row->sigma_min = sigma[n - 1];
    row->condition = sigma[0] > 0 ? sigma[0] / sigma[n - 1] : NAN;
    row->effective_rank = lf_effective_rank(sigma, n);
    row->energy_first = lf_energy_share(sigma, n, 0, r);
    row->energy_middle = lf_energy_share(sigma, n, row->start_middle, r);
    row->energy_last = lf_energy_share(sigma, n, row->start_last, r);
    const lf_status rc = lf_init_block(&s->o, n, r, sigma, row->m->name, &row->start_chosen, err);
    row->energy_chosen = !rc && row->start_chosen >= 0 ? lf_energy_share(sigma, n, row->start_chosen, r) : NAN;
    return rc;
}

static lf_status look_at(const lf_spectra *s, lf_spectrum_row *row, lf_err *err) {
    const lf_module *m = row->m;
    if (m->lora && m->lora->magnitude.data)
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "adapter: has magnitudes (DoRA), so that its update of %s is no product of two factors; spectrum "
            "shows plain adapters only",
            m->name);
    float *W = lf_aligned_alloc((size_t)(m->out * m->in) * sizeof *W);
    if (!W) return lf_no_memory(err, "the weight of %s", m->name);
    lf_status rc = lf_nn_weight(&s->model->nn, m, W, err);
    if (!rc) rc = m->lora ? measure_update(row, W, err) : lf_svd_values(W, m->out, m->in, row->sigma, m->name, err);
    lf_aligned_free(W);
    return rc ? rc : describe(s, row, err);
}

/* ---- all modules, many at a time ---- */

typedef struct work {
    lf_spectra *s;
    lf_err *errors;
    atomic_bool failed;
    atomic_int_fast64_t done;
    atomic_flag drawing; /* held by the thread that updates the progress line; others do not wait for it */
    lf_progress progress;
} work;

static void look_at_one(void *context, int64_t i) {
    work *w = context;
    if (atomic_load(&w->failed) || lf_interrupted()) return;
    if (look_at(w->s, &w->s->rows[i], &w->errors[i])) atomic_store(&w->failed, true);
    const int64_t done = (int64_t)atomic_fetch_add(&w->done, 1) + 1;
    if (atomic_flag_test_and_set(&w->drawing)) return;
    lf_progress_update(&w->progress, done, w->s->rows[i].m->name);
    atomic_flag_clear(&w->drawing);
}

static lf_status look_at_all(lf_spectra *s, lf_err *err) {
    const int64_t n = s->match.count;
    work w = {.s = s, .errors = lf_calloc((size_t)n, sizeof *w.errors), .drawing = ATOMIC_FLAG_INIT};
    if (!w.errors) return lf_no_memory(err, "%lld modules", (long long)n);
    lf_progress_begin(&w.progress, "decomposing weights", n);
    lf_parallel_for(n, look_at_one, &w);
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < n && !rc; i++)
        if (w.errors[i].status) rc = lf_fail(err, w.errors[i].status, "%s", w.errors[i].message);
    if (!rc && lf_interrupted()) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted while weights were decomposed");
    lf_progress_end(&w.progress, "");
    lf_free(w.errors);
    return rc;
}

/* ---- the block that an adapter started from ---- */

static bool is_positioned(const cJSON *run) {
    const char *name;
    const lf_init *init = lf_init_of(cJSON_GetObjectItemCaseSensitive(run, "init_lora_weights"), &name);
    return init && lf_init_is_positioned(init);
}

/* `cfg` with r and the start that the adapter's lora_ft.json names, where the user names none of them. Nothing of
 * PEFT's own adapters. */
static lf_status take_start(lf_config *cfg, const char *path, lf_err *err) {
    static const lf_key_id keys[] = {LF_r, LF_init_lora_weights, LF_init_position};
    cJSON *facts = NULL;
    lf_status rc = lf_json_read(&facts, path, err);
    const cJSON *run = cJSON_GetObjectItemCaseSensitive(facts, "run");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && !rc; i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(run, lf_key_name(keys[i]));
        if (value && !cJSON_IsNull(value) && (keys[i] != LF_init_position || is_positioned(run)))
            rc = lf_cfg_set_json(cfg, lf_key_name(keys[i]), value, path, err);
    }
    cJSON_Delete(facts);
    return rc;
}

static lf_status with_start(lf_config **out, char **path, const lf_config *cfg, lf_err *err) {
    const char *adapter = lf_cfg_str(cfg, LF_adapter);
    lf_status rc = lf_cfg_derive(out, cfg, "spectrum", err);
    if (rc || !adapter || lf_cfg_is_given(cfg, LF_r) || lf_cfg_is_given(cfg, LF_init_lora_weights) ||
        lf_cfg_is_given(cfg, LF_init_position))
        return rc;
    if (!(*path = lf_path_join(adapter, "lora_ft.json"))) return lf_no_memory(err, "a path");
    return lf_is_file(*path) ? take_start(*out, *path, err) : LF_OK;
}

/* ---- the verb ---- */

static lf_status write_files(lf_spectra *s, lf_err *err) {
    lf_status rc;
    if ((rc = lf_mkdir_p(s->dir, err)) || (rc = lf_spectra_csv(s, err))) return rc;
    return lf_spectra_pictures(s, err);
}

/* The weights are the base's, and of what an adapter changes its products alone are shown. */
static void show_base(const lf_opened *o) {
    if (o->adapted.adapter && lf_adapter_saves_modules(o->adapted.adapter))
        lf_warn("adapter: the modules that it holds whole (modules_to_save) are shown as the base has them");
    lf_nn_show_base(&o->model->nn, true);
}

static lf_status run(lf_spectra *s, FILE *out, lf_err *err) {
    lf_status rc;
    if ((rc = look_at_all(s, err)) || (s->dir && (rc = write_files(s, err)))) return rc;
    if (lf_cfg_bool(s->cfg, LF_json)) return lf_spectra_json(s, out, err);
    lf_spectra_table(s, out);
    return LF_OK;
}

lf_status lf_spectrum(const lf_config *cfg, FILE *out, lf_err *err) {
    lf_opened o = {0};
    lf_spectra s = {.cfg = cfg, .dir = lf_cfg_str(cfg, LF_output_dir)};
    lf_config *started = NULL;
    char *facts = NULL; /* the source of values of `started` */
    lf_status rc;
    if (s.dir && lf_is_file(s.dir))
        return lf_cfg_fail(cfg, LF_output_dir, err, "'%s' is a file, expected a folder", s.dir);
    if (!(rc = with_start(&started, &facts, cfg, err)) && !(rc = lf_opened_open(&o, cfg, LF_LOAD_NOTHING, err))) {
        s.cfg = started;
        s.model = o.model;
        show_base(&o);
        if (!(rc = lf_adapter_opts_read(&s.o, started, err)) &&
            !(rc = choose_modules(&s, o.adapted.file != NULL, err)) && !(rc = make_rows(&s, err)))
            rc = run(&s, out, err);
    }
    free_spectrum(&s);
    lf_opened_close(&o);
    lf_config_free(started);
    lf_free(facts);
    return rc;
}
