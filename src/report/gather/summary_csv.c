/* results.csv and summary.csv: every number, as it is in the files it comes from. */
#include <math.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "config/config.h"
#include "report/gather/summary_internal.h"

/* A row being written; what fails is said once, at its end. */
typedef struct csv {
    FILE *f;
    bool begun, no_memory;
} csv;

static void separate(csv *c) {
    if (c->begun) fputc(',', c->f);
    c->begun = true;
}

static void put_text(csv *c, const char *text) {
    separate(c);
    lf_csv_text(c->f, text);
}

static void put_number(csv *c, double x) {
    char text[40] = "";
    if (isfinite(x)) lf_number_text(text, sizeof text, x);
    put_text(c, text);
}

static void put_count(csv *c, int64_t n) { put_number(c, (double)n); }

/* The whole value, however long. */
static void put_value(csv *c, const cJSON *v) {
    if (cJSON_IsString(v))
        put_text(c, v->valuestring);
    else if (cJSON_IsObject(v) || cJSON_IsArray(v)) {
        char *line = lf_json_print_line(v);
        c->no_memory = c->no_memory || !line;
        put_text(c, line ? line : "");
        lf_free(line);
    } else {
        char text[40];
        lf_value_text(text, sizeof text, v);
        put_text(c, text);
    }
}

static void end_row(csv *c) {
    fputc('\n', c->f);
    c->begun = false;
}

static lf_status finish(lf_atomic_file *a, const csv *c, const char *path, lf_err *err) {
    const lf_status rc = c->no_memory ? lf_no_memory(err, "a row of %s", path) : lf_atomic_commit(a, err);
    lf_atomic_abort(a);
    return rc;
}

/* ---- results.csv ---- */

static const char *const last[] = {"init_seconds", "train_seconds", "data_wait_seconds", "items_per_second",
                                   "peak_rss_mb"};
/* Of the member "made": what only differs where a run is made elsewhere. */
static const char *const of_made[] = {"date", "processor", "kernels", "precision", "frozen_precision", "version"};
enum { N_LAST = sizeof last / sizeof *last, N_MADE = sizeof of_made / sizeof *of_made };

typedef struct key_list {
    const char **keys;
    int64_t n, capacity;
    bool is_there[N_LAST], made_is_there;
} key_list;

static const cJSON *made_of(const lf_gathered_run *r) { return cJSON_GetObjectItemCaseSensitive(r->results, "made"); }

static bool add_column(key_list *c, const char *key) {
    for (int i = 0; i < N_LAST; i++)
        if (strcmp(last[i], key) == 0) return c->is_there[i] = true;
    for (int64_t i = 0; i < c->n; i++)
        if (strcmp(c->keys[i], key) == 0) return true;
    if (!lf_grow(&c->keys, &c->capacity, c->n + 1)) return false;
    c->keys[c->n++] = key;
    return true;
}

/* Numbers of any run, in the order in which they first stand in one. */
static bool find_columns(key_list *c, const lf_gathered *g) {
    for (int64_t i = 0; i < g->n_runs; i++) {
        const cJSON *v;
        c->made_is_there |= cJSON_IsObject(made_of(&g->runs[i]));
        cJSON_ArrayForEach(v, g->runs[i].results) if (cJSON_IsNumber(v) && !add_column(c, v->string)) return false;
    }
    return true;
}

static void results_head(csv *c, const lf_gathered *g, const key_list *columns) {
    put_text(c, "name");
    for (int64_t i = 0; i < g->n_swept; i++) put_text(c, g->swept[i]);
    put_text(c, "state");
    for (int64_t i = 0; i < columns->n; i++) put_text(c, columns->keys[i]);
    for (int i = 0; i < N_LAST; i++)
        if (columns->is_there[i]) put_text(c, last[i]);
    for (int i = 0; columns->made_is_there && i < N_MADE; i++) put_text(c, of_made[i]);
    put_text(c, "message");
    end_row(c);
}

static void results_row(csv *c, const lf_gathered *g, const key_list *columns, const lf_gathered_run *r) {
    put_text(c, r->name);
    for (int64_t i = 0; i < g->n_swept; i++) put_value(c, lf_run_value(r, g->swept[i]));
    put_text(c, lf_run_state_name(r->state));
    for (int64_t i = 0; i < columns->n; i++) put_number(c, lf_run_number(r, columns->keys[i]));
    for (int i = 0; i < N_LAST; i++)
        if (columns->is_there[i]) put_number(c, lf_run_number(r, last[i]));
    for (int i = 0; columns->made_is_there && i < N_MADE; i++) {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(made_of(r), of_made[i]));
        put_text(c, text ? text : "");
    }
    put_text(c, r->message ? r->message : "");
    end_row(c);
}

lf_status lf_write_results_csv(const lf_gathered *g, const char *path, lf_err *err) {
    key_list columns = {0};
    lf_atomic_file a = {0};
    lf_status rc =
        find_columns(&columns, g) ? lf_atomic_replace(&a, path, err) : lf_no_memory(err, "the columns of %s", path);
    if (!rc) {
        csv c = {.f = a.f};
        results_head(&c, g, &columns);
        for (int64_t i = 0; i < g->n_runs; i++) results_row(&c, g, &columns, &g->runs[i]);
        rc = finish(&a, &c, path, err);
    }
    lf_free(columns.keys);
    return rc;
}

/* ---- summary.csv ---- */

/* The rates of a cell that stand in its row: the next of `after` (LF_NO_KEY: the first): the first always, others where
 * they are swept. LF_NO_KEY: there is no other. */
static lf_key_id next_rate(const lf_gathered *g, lf_key_id after) {
    lf_key_id id = after;
    while ((id = lf_key_next(id, LF_IS_RATE))) {
        if (after == LF_NO_KEY) return id;
        for (int64_t i = 0; i < g->n_swept; i++)
            if (strcmp(g->swept[i], lf_key_name(id)) == 0) return id;
    }
    return LF_NO_KEY;
}

static void sample_head(csv *c, const char *name, const char *what) {
    static const char *const parts[] = {"mean", "sd", "n", "low", "high"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char text[120];
        snprintf(text, sizeof text, "%s%s_%s", name, what, parts[i]);
        put_text(c, text);
    }
}

/* Of nothing: no number at all, not even n. */
static void put_sample(csv *c, const lf_sample *s) {
    put_number(c, s ? s->mean : NAN);
    put_number(c, s ? s->sd : NAN);
    put_number(c, s ? (double)s->n : NAN);
    put_number(c, s ? s->low : NAN);
    put_number(c, s ? s->high : NAN);
}

static const char *const difference_names[LF_N_DIFFERS] = {[LF_DIFFERS_GAIN] = "gain_difference",
                                                           [LF_DIFFERS_COST] = "forgetting_difference",
                                                           [LF_DIFFERS_MATCHED] = "matched_forgetting_difference",
                                                           [LF_DIFFERS_VOLUME] = "hypervolume_difference"};

static void summary_head(csv *c, const lf_summary *s) {
    static const char *const counts[] = {"runs", "done", "collapsed", "diverged", "failed", "unfinished"},
                             *const of_group[] = {"hypervolume", "matched_gain", "matched_forgetting"};
    const lf_gathered *g = s->from;
    for (int64_t i = 0; i < g->n_swept; i++)
        if (lf_is_method_key(g->swept[i])) put_text(c, g->swept[i]);
    for (lf_key_id id = LF_NO_KEY; (id = next_rate(g, id));) put_text(c, lf_key_name(id));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) put_text(c, counts[i]);
    for (const lf_metric *m = g->yardstick->metrics; m->name; m++) sample_head(c, m->name, "");
    put_text(c, "best");
    put_text(c, "front");
    for (size_t i = 0; i < sizeof of_group / sizeof *of_group; i++) put_text(c, of_group[i]);
    for (int d = 0; d < LF_N_DIFFERS; d++) sample_head(c, difference_names[d], "");
    for (int d = 0; d < LF_N_DIFFERS; d++) {
        char p[80];
        snprintf(p, sizeof p, "%s_p", difference_names[d]);
        if (d != LF_DIFFERS_COST) put_text(c, p);
    }
    for (const lf_metric *m = g->yardstick->metrics; m->name; m++)
        if (m->role == LF_ROLE_COMPARED) sample_head(c, m->name, "_difference");
    put_text(c, "at_edge");
    put_text(c, "tied");
    end_row(c);
}

static void summary_row(csv *c, const lf_summary *s, int64_t index) {
    const lf_gathered *g = s->from;
    const lf_cell *cell = &s->cells[index];
    const lf_cohort *group = &s->groups[cell->group];
    const lf_gathered_run *r = &g->runs[cell->runs[0]];
    const bool speaks = index == (group->best >= 0 ? group->best : group->cells[0]),
               differs = speaks && group != &s->groups[group->baseline], chosen = speaks && group->best >= 0;
    for (int64_t i = 0; i < g->n_swept; i++)
        if (lf_is_method_key(g->swept[i])) put_value(c, lf_run_value(r, g->swept[i]));
    for (lf_key_id id = LF_NO_KEY; (id = next_rate(g, id));) put_value(c, lf_run_value(r, lf_key_name(id)));
    /* As on the page: each run is counted in one state, and they sum to all. */
    const int64_t done = cell->n_done - cell->n_collapsed;
    const int64_t counts[] = {cell->n_runs,     done,           cell->n_collapsed,
                              cell->n_diverged, cell->n_failed, cell->n_unfinished};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) put_count(c, counts[i]);
    for (int m = 0; g->yardstick->metrics[m].name; m++) put_sample(c, &cell->metrics[m]);
    put_count(c, cell->best);
    put_count(c, cell->front);
    put_number(c, speaks ? group->hypervolume : NAN);
    put_number(c, speaks ? group->matched_gain : NAN);
    put_number(c, speaks ? group->matched_cost : NAN);
    for (int d = 0; d < LF_N_DIFFERS; d++)
        put_sample(c, differs && group->differences[d].n ? &group->differences[d] : NULL);
    for (int d = 0; d < LF_N_DIFFERS; d++)
        if (d != LF_DIFFERS_COST) put_number(c, differs ? group->p[d] : NAN);
    for (int m = 0; g->yardstick->metrics[m].name; m++)
        if (g->yardstick->metrics[m].role == LF_ROLE_COMPARED)
            put_sample(c, differs && group->compared[m].n ? &group->compared[m] : NULL);
    put_number(c, chosen ? group->at_edge : NAN);
    put_number(c, chosen ? group->tied : NAN);
    end_row(c);
}

lf_status lf_write_summary_csv(const lf_summary *s, const char *path, lf_err *err) {
    lf_atomic_file a;
    const lf_status rc = lf_atomic_replace(&a, path, err);
    if (rc) return rc;
    csv c = {.f = a.f};
    summary_head(&c, s);
    for (int64_t i = 0; i < s->n_cells; i++) summary_row(&c, s, i);
    return finish(&a, &c, path, err);
}
