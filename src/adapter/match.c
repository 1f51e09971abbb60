/* Which modules get an adapter, of which rank, and the table that says so before training starts. */
#include <stdarg.h>
#include <string.h>

#include "adapter/adapter.h"
#include "adapter/saved.h"
#include "adapter/targets.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"

/* What one entry of target_modules met. */
typedef struct row {
    int64_t n_selected, n_head, n_other, n_parameters, r_min, r_max;
    const char *other; /* the first module that is not linear */
} row;

typedef struct matching {
    const lf_nn *nn;
    const lf_adapter_opts *o;
    cJSON *default_targets; /* NULL: the user named some */
    lf_targets *targets;
    lf_patterns *ranks, *alphas;
    int64_t n_rows;
    row *rows;
    bool *hits;     /* [n_modules, n_rows] */
    bool *selected; /* [n_modules] */
} matching;

/* A doubt: a warning, or with strict_targets an error. */
static LF_PRINTF(3, 4) lf_status doubt(const matching *m, lf_err *err, const char *format, ...) {
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (m->o->strict_targets) return lf_fail(err, LF_EUSAGE, "%s (strict_targets is on)", text);
    lf_warn("%s", text);
    return LF_OK;
}

/* What all-linear means. */
static bool is_layer(const lf_module *module) { return module->kind == LF_MODULE_LINEAR && !module->head; }

/* ---- matching ---- */

/* What is trained whole gets no adapter, as in PEFT. */
static bool is_saved(const matching *m, const lf_module *module) {
    const cJSON *names = m->o->modules_to_save;
    return lf_saves_instead(names, module->name) || lf_saves_instead(names, module->alias);
}

static lf_status look(matching *m, int64_t i, lf_err *err) {
    const lf_module *module = m->nn->modules[i];
    bool *hits = m->hits + i * m->n_rows, excluded = false, alias_excluded = false;
    if (lf_targets_all_linear(m->targets) && !is_layer(module)) return LF_OK;
    lf_status rc = lf_targets_look(m->targets, module->name, hits, &excluded, err);
    if (!rc && strcmp(module->name, module->alias))
        rc = lf_targets_look(m->targets, module->alias, hits, &alias_excluded, err);
    for (int64_t k = 0; !rc && k < m->n_rows; k++) {
        row *w = &m->rows[k];
        if (excluded || alias_excluded || is_saved(m, module)) hits[k] = false;
        if (!hits[k]) continue;
        if (lf_nn_may_carry(m->nn, module)) {
            m->selected[i] = true;
            w->n_selected++;
        } else if (module->head) {
            w->n_head++;
        } else {
            if (!w->other) w->other = module->name;
            w->n_other++;
        }
    }
    return rc;
}

/* ", "-joined last segments of the linear modules' names, and of their aliases where other. */
static void list_names(const matching *m, lf_string *t) {
    const int MAX = 24;
    const char *seen[24];
    int n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < m->nn->n_modules && n < MAX; i++) {
            if (!is_layer(m->nn->modules[i])) continue;
            const char *name = pass ? m->nn->modules[i]->alias : m->nn->modules[i]->name, *dot = strrchr(name, '.');
            const char *leaf = dot ? dot + 1 : name;
            bool known = false;
            for (int k = 0; k < n && !known; k++) known = strcmp(seen[k], leaf) == 0;
            if (known) continue;
            lf_string_add(t, "%s%s", n ? ", " : "", leaf);
            seen[n++] = leaf;
        }
}

static lf_status nothing_matches(const matching *m, lf_err *err) {
    lf_string names = {0};
    list_names(m, &names);
    char *list = lf_string_take(&names);
    if (!list) return lf_no_memory(err, "matching target_modules");
    const char *first = lf_targets_pattern(m->targets, 0), *more = m->n_rows > 1 ? "\", ... " : "\" ";
    const bool filtered = lf_json_given(m->o->exclude_modules) || lf_targets_layers(m->targets) > 0;
    const lf_status rc =
        lf_fail(err, LF_EUSAGE, "target_modules: \"%s%smatches no module%s; try some of: %s, or all-linear", first,
                more, filtered ? " that exclude_modules, layers_to_transform and layers_pattern leave" : "", list);
    lf_free(list);
    return rc;
}

/* An entry that selects nothing is a mistake even when others do select. */
static lf_status check_row(const matching *m, int64_t k, lf_err *err) {
    const row *w = &m->rows[k];
    const char *pattern = lf_targets_pattern(m->targets, k);
    if (w->n_selected) return LF_OK;
    if (w->n_other)
        return lf_fail(err, LF_EUSAGE,
                       "target_modules: \"%s\" matches only modules that are not linear layers ('%s'): they cannot "
                       "carry an adapter; name the linear layers themselves, or all-linear",
                       pattern, w->other);
    if (w->n_head)
        return lf_fail(err, LF_EUSAGE,
                       "target_modules: \"%s\" matches only a head that gets no adapter in this model (a classifier is "
                       "trained whole, "
                       "and what is trained beside it has no use for another head); leave it out",
                       pattern);
    for (int64_t other = 0; other < m->n_rows; other++)
        if (m->rows[other].n_selected) return doubt(m, err, "target_modules: \"%s\" matches no module", pattern);
    return nothing_matches(m, err);
}

static lf_status match_names(matching *m, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < m->nn->n_modules; i++) rc = look(m, i, err);
    for (int64_t k = 0; !rc && k < m->n_rows; k++) rc = check_row(m, k, err);
    return rc          ? rc
           : m->n_rows ? LF_OK
                       : lf_fail(err, LF_EUSAGE, "target_modules: the list is empty; name modules, or all-linear");
}

/* ---- rank_pattern and alpha_pattern ---- */

static lf_status check_used(const matching *m, const lf_patterns *p, const bool *used, const char *key, lf_err *err) {
    for (int64_t i = 0; i < lf_patterns_count(p); i++)
        if (!used[i]) {
            const lf_status rc = doubt(m, err, "%s: \"%s\" decides for no selected module", key, lf_patterns_at(p, i));
            if (rc) return rc;
        }
    return LF_OK;
}

static lf_status find_ranks(const matching *m, lf_match *out, lf_err *err) {
    const size_t n = (size_t)(lf_patterns_count(m->ranks) + lf_patterns_count(m->alphas));
    bool *used = lf_calloc(n, sizeof *used), *used_alphas = used ? used + lf_patterns_count(m->ranks) : NULL;
    if (!used) return lf_no_memory(err, "matching target_modules");
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < out->count; i++) {
        const lf_module *module = out->modules[i];
        double r = (double)m->o->r;
        int64_t by_rank, by_alpha;
        out->alpha[i] = m->o->lora_alpha;
        if ((rc = lf_patterns_find(m->ranks, module->name, module->alias, &r, &by_rank, err)) ||
            (rc = lf_patterns_find(m->alphas, module->name, module->alias, &out->alpha[i], &by_alpha, err)))
            break;
        out->r[i] = (int64_t)r;
        if (by_rank >= 0) used[by_rank] = true;
        if (by_alpha >= 0) used_alphas[by_alpha] = true;
    }
    if (!rc) rc = check_used(m, m->ranks, used, "rank_pattern", err);
    if (!rc) rc = check_used(m, m->alphas, used_alphas, "alpha_pattern", err);
    lf_free(used);
    return rc;
}

/* ---- even cover over layers ---- */

typedef struct place {
    const char *name;
    int64_t layer;
    size_t begin, end;
} place;

static bool place_of(const matching *m, int64_t i, place *p) {
    p->name = m->nn->modules[i]->name;
    return is_layer(m->nn->modules[i]) && !is_saved(m, m->nn->modules[i]) &&
           lf_layer_number(p->name, &p->layer, &p->begin, &p->end);
}

static bool same_place(const place *a, const place *b) { /* but for the layer */
    return a->begin == b->begin && memcmp(a->name, b->name, a->begin) == 0 &&
           strcmp(a->name + a->end, b->name + b->end) == 0;
}

/* How many layers have the module that stands at `first`, and in how many it is selected. False: an earlier one stands
 * for it. */
static bool count_layers(const matching *m, int64_t first, const place *p, int64_t *n_layers, int64_t *n_selected) {
    *n_layers = *n_selected = 0;
    for (int64_t i = 0; i < m->nn->n_modules; i++) {
        place q;
        if (!place_of(m, i, &q) || !same_place(p, &q)) continue;
        if (i < first) return false;
        if (!lf_targets_wants_layer(m->targets, q.layer)) continue;
        ++*n_layers;
        *n_selected += m->selected[i];
    }
    return true;
}

static lf_status check_evenness(const matching *m, lf_err *err) {
    lf_string t = {0};
    for (int64_t i = 0; i < m->nn->n_modules; i++) {
        place p;
        int64_t n_layers, n_selected;
        if (!place_of(m, i, &p) || !count_layers(m, i, &p, &n_layers, &n_selected)) continue;
        if (n_selected == 0 || n_selected == n_layers) continue;
        lf_string_add(&t, "%s'%s' in %lld of %lld layers", t.n ? ", " : "", p.name + p.end + 1, (long long)n_selected,
                      (long long)n_layers);
    }
    char *uneven = lf_string_take(&t);
    if (!uneven) return lf_no_memory(err, "matching target_modules");
    const lf_status rc =
        uneven[0] ? doubt(m, err, "target_modules: the layers are covered unevenly: %s", uneven) : LF_OK;
    lf_free(uneven);
    return rc;
}

static lf_status check_layers_exist(const matching *m, lf_err *err) {
    for (int64_t k = 0; k < lf_targets_layers(m->targets); k++) {
        const int64_t wanted = lf_targets_layer(m->targets, k);
        int64_t last = -1;
        bool found = false;
        for (int64_t i = 0; i < m->nn->n_modules && !found; i++) {
            place p;
            if (!place_of(m, i, &p)) continue;
            found = p.layer == wanted;
            if (p.layer > last) last = p.layer;
        }
        if (found) continue;
        const lf_status rc = doubt(m, err, "layers_to_transform: there is no layer %lld; the last is %lld",
                                   (long long)wanted, (long long)last);
        if (rc) return rc;
    }
    return LF_OK;
}

/* ---- the coverage table ---- */

static void count_parameters(matching *m, const lf_match *out) {
    for (int64_t i = 0, j = 0; i < m->nn->n_modules; i++) {
        if (!m->selected[i]) continue;
        const lf_module *module = m->nn->modules[i];
        const int64_t r = out->r[j++];
        for (int64_t k = 0; k < m->n_rows; k++) {
            row *w = &m->rows[k];
            if (!m->hits[i * m->n_rows + k]) continue;
            w->n_parameters += lf_init_trained(m->o, module, r);
            if (!w->r_min || r < w->r_min) w->r_min = r;
            if (r > w->r_max) w->r_max = r;
        }
    }
}

static void add_row(lf_string *t, const char *pattern, const row *w) {
    char ranks[48];
    snprintf(ranks, sizeof ranks, w->r_min == w->r_max ? "%lld" : "%lld-%lld", (long long)w->r_min,
             (long long)w->r_max);
    lf_string_add(t, "  %-24s %8lld %8s %13lld", pattern, (long long)w->n_selected, ranks, (long long)w->n_parameters);
    if (w->n_other + w->n_head)
        lf_string_add(t, "   (and %lld that cannot carry one)", (long long)(w->n_other + w->n_head));
    lf_string_add(t, "\n");
}

static void add_total(const matching *m, const lf_match *out, lf_string *t) {
    int64_t layers = 0, covered = 0, adapters = 0, held = 0;
    for (int64_t i = 0; i < m->nn->n_modules; i++) {
        if (!is_layer(m->nn->modules[i])) continue;
        layers++;
        covered += m->selected[i];
    }
    lf_string_add(t, "  %lld of %lld linear layers", (long long)covered, (long long)layers);
    for (int64_t i = 0; i < out->count; i++) {
        const lf_module *module = out->modules[i];
        adapters += lf_init_trained(m->o, module, out->r[i]);
        held += out->r[i] * (module->in + module->out) - lf_init_trained(m->o, module, out->r[i]);
        if (!is_layer(module)) lf_string_add(t, " and %s", module->name);
    }
    const int64_t others = lf_nn_count(m->nn, true), all = lf_nn_count(m->nn, false) + adapters + held;
    lf_string_add(t, " get an adapter; trainable: %lld in adapters + %lld others = %.3g %% of %lld parameters",
                  (long long)adapters, (long long)others, 100.0 * (double)(adapters + others) / (double)all,
                  (long long)all);
}

static char *coverage(matching *m, const lf_match *out) {
    lf_string t = {0};
    count_parameters(m, out);
    lf_string_add(&t, "  %-24s %8s %8s %13s\n", "target_modules", "modules", "r", "parameters");
    for (int64_t k = 0; k < m->n_rows; k++) add_row(&t, lf_targets_pattern(m->targets, k), &m->rows[k]);
    add_total(m, out, &t);
    return lf_string_take(&t);
}

/* ---- all together ---- */

static lf_status collect(const matching *m, lf_match *out, lf_err *err) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->nn->n_modules; i++) n += m->selected[i];
    out->modules = lf_calloc((size_t)n, sizeof *out->modules);
    out->r = lf_calloc((size_t)n, sizeof *out->r);
    out->alpha = lf_calloc((size_t)n, sizeof *out->alpha);
    if (!out->modules || !out->r || !out->alpha) return lf_no_memory(err, "matching target_modules");
    for (int64_t i = 0; i < m->nn->n_modules; i++)
        if (m->selected[i]) out->modules[out->count++] = m->nn->modules[i];
    return LF_OK;
}

/* "default": what PEFT takes for this family. */
static lf_status choose_targets(matching *m, const cJSON **targets, lf_err *err) {
    *targets = m->o->target_modules;
    if (!cJSON_IsString(*targets) || strcmp((*targets)->valuestring, "default") != 0) return LF_OK;
    if (!m->nn->default_targets)
        return lf_fail(err, LF_EUSAGE,
                       "target_modules: PEFT has no default for this kind of model; name modules, or all-linear");
    m->default_targets = cJSON_CreateArray();
    for (const char *const *name = m->nn->default_targets; *name; name++) {
        cJSON *item = cJSON_CreateString(*name);
        if (m->default_targets && item && cJSON_AddItemToArray(m->default_targets, item)) continue;
        cJSON_Delete(item);
        return lf_no_memory(err, "matching target_modules");
    }
    *targets = m->default_targets;
    return LF_OK;
}

static lf_status prepare(matching *m, lf_err *err) {
    const lf_adapter_opts *o = m->o;
    const cJSON *targets;
    lf_status rc = choose_targets(m, &targets, err);
    if (rc) return rc;
    const lf_target_rules rules = {targets, o->exclude_modules, o->layers_to_transform, o->layers_pattern, ""};
    if ((rc = lf_targets_new(&m->targets, &rules, err)) ||
        (rc = lf_patterns_new(&m->ranks, o->rank_pattern, "", "rank_pattern", err)) ||
        (rc = lf_patterns_new(&m->alphas, o->alpha_pattern, "", "alpha_pattern", err)))
        return rc;
    m->n_rows = lf_targets_count(m->targets);
    m->rows = lf_calloc((size_t)m->n_rows, sizeof *m->rows);
    m->hits = lf_calloc((size_t)(m->nn->n_modules * m->n_rows), sizeof *m->hits);
    m->selected = lf_calloc((size_t)m->nn->n_modules, sizeof *m->selected);
    return m->rows && m->hits && m->selected ? LF_OK : lf_no_memory(err, "matching target_modules");
}

lf_status lf_match_modules(lf_match *out, const lf_nn *nn, const lf_adapter_opts *o, lf_err *err) {
    matching m = {.nn = nn, .o = o};
    lf_status rc;
    *out = (lf_match){0};
    if ((rc = prepare(&m, err)) || (rc = match_names(&m, err)) || (rc = check_layers_exist(&m, err)) ||
        (rc = check_evenness(&m, err)) || (rc = collect(&m, out, err)) || (rc = find_ranks(&m, out, err)))
        goto out;
    out->coverage = coverage(&m, out);
    if (!out->coverage) rc = lf_no_memory(err, "matching target_modules");
out:
    if (rc) lf_match_free(out);
    lf_targets_free(m.targets);
    cJSON_Delete(m.default_targets);
    lf_patterns_free(m.ranks);
    lf_patterns_free(m.alphas);
    lf_free(m.rows);
    lf_free(m.hits);
    lf_free(m.selected);
    return rc;
}

void lf_match_free(lf_match *m) {
    lf_free(m->modules);
    lf_free(m->r);
    lf_free(m->alpha);
    lf_free(m->coverage);
    *m = (lf_match){0};
}
