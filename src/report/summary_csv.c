/* The tables as files: CSV as RFC 4180 has it, with numbers that read back to the same double. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "report/summary.h"

static void cell(FILE *f, const char *text) {
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (; *text; text++) fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, f);
    fputc('"', f);
}

static void value(FILE *f, const cJSON *v) {
    char text[4096];
    lf_value_text(text, sizeof text, v);
    cell(f, text);
}

/* Of 17 digits, or of fewer where they say the same. */
static void number(FILE *f, double x) {
    char text[40];
    double back = NAN;
    for (int digits = 15; digits <= 17 && back != x; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        sscanf(text, "%lf", &back);
    }
    fprintf(f, ",%s", isfinite(x) ? text : "");
}

/* ---- results.csv ---- */

/* What another run of the same configuration measures anew. */
static bool is_of_the_moment(const char *key) {
    static const char *const keys[] = {"init_seconds", "train_seconds", "data_wait_seconds", "items_per_second", "peak_rss_mb"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

typedef struct columns { const char **names; int64_t n; } columns;

static bool has(const columns *c, const char *name) {
    for (int64_t i = 0; i < c->n; i++)
        if (strcmp(c->names[i], name) == 0) return true;
    return false;
}

/* Every key of the results of any run; what is of the moment behind all others. */
static lf_status find_columns(columns *c, const lf_gathered *g, lf_err *err) {
    for (int moment = 0; moment < 2; moment++)
        for (int64_t i = 0; i < g->n_runs; i++) {
            const cJSON *v;
            cJSON_ArrayForEach(v, g->runs[i].results) {
                if (is_of_the_moment(v->string) != moment || has(c, v->string)) continue;
                const char **grown = lf_realloc(c->names, (size_t)(c->n + 1) * sizeof *grown);
                if (!grown) return lf_fail(err, LF_ENOMEM, "out of memory for results.csv");
                c->names = grown;
                c->names[c->n++] = v->string;
            }
        }
    return LF_OK;
}

static void results_row(FILE *f, const lf_gathered *g, const lf_gathered_run *r, const columns *c) {
    cell(f, r->name);
    for (int64_t i = 0; i < g->n_swept; i++) {
        fputc(',', f);
        value(f, cJSON_GetObjectItemCaseSensitive(r->config, g->swept[i]));
    }
    fprintf(f, ",%s", lf_run_state_name(r->state));
    for (int64_t i = 0; i < c->n; i++) {
        fputc(',', f);
        value(f, cJSON_GetObjectItemCaseSensitive(r->results, c->names[i]));
    }
    fputc(',', f);
    cell(f, r->message ? r->message : "");
    fputs("\r\n", f);
}

lf_status lf_write_results_csv(const lf_gathered *g, const char *path, lf_err *err) {
    columns c = {0};
    lf_atomic_file a = {0};
    lf_status rc = find_columns(&c, g, err);
    if (!rc && !(rc = lf_atomic_open(&a, path, err))) {
        fputs("run", a.f);
        for (int64_t i = 0; i < g->n_swept; i++) {
            fputc(',', a.f);
            cell(a.f, g->swept[i]);
        }
        fputs(",state", a.f);
        for (int64_t i = 0; i < c.n; i++) {
            fputc(',', a.f);
            cell(a.f, c.names[i]);
        }
        fputs(",message\r\n", a.f);
        for (int64_t i = 0; i < g->n_runs; i++) results_row(a.f, g, &g->runs[i], &c);
        rc = lf_atomic_commit(&a, err);
    }
    lf_atomic_abort(&a);
    lf_free(c.names);
    return rc;
}

/* ---- summary.csv ---- */

static bool is_grouping(const char *key) {
    return strcmp(key, "seed") != 0 && strcmp(key, "learning_rate") != 0 && strcmp(key, "head_learning_rate") != 0;
}

static void sample_names(FILE *f, const char *name) { fprintf(f, ",%s_mean,%s_sd,%s_n,%s_low,%s_high", name, name, name, name, name); }

static void sample(FILE *f, const lf_sample *s) {
    number(f, s->mean);
    number(f, s->sd);
    fprintf(f, ",%lld", (long long)s->n);
    number(f, s->low);
    number(f, s->high);
}

static void summary_header(FILE *f, const lf_summary *s) {
    const lf_metric *m = lf_metrics_of(s->from->language);
    fputs("group", f);
    for (int64_t i = 0; i < s->from->n_swept; i++)
        if (is_grouping(s->from->swept[i])) {
            fputc(',', f);
            cell(f, s->from->swept[i]);
        }
    fputs(",learning_rate,runs,done,diverged,failed,unfinished", f);
    for (; m->name; m++) sample_names(f, m->name);
    fputs(",best,front,hypervolume,matched_gain,matched_forgetting", f);
    sample_names(f, "gain_difference");
    sample_names(f, "forgetting_difference");
    fputs("\r\n", f);
}

static void summary_row(FILE *f, const lf_summary *s, const lf_cell *c) {
    const lf_group *g = &s->groups[c->group];
    const lf_sample none = lf_sample_of(NULL, 0);
    cell(f, g->name);
    for (int64_t i = 0; i < s->from->n_swept; i++)
        if (is_grouping(s->from->swept[i])) {
            fputc(',', f);
            value(f, cJSON_GetObjectItemCaseSensitive(s->from->runs[c->runs[0]].config, s->from->swept[i]));
        }
    number(f, c->learning_rate);
    fprintf(f, ",%lld,%lld,%lld,%lld,%lld", (long long)c->n_runs, (long long)c->n_done, (long long)c->n_diverged, (long long)c->n_failed, (long long)c->n_unfinished);
    const lf_metric *m = lf_metrics_of(s->from->language);
    for (int i = 0; m[i].name; i++) sample(f, &c->metrics[i]);
    fprintf(f, ",%d,%d", c->best, c->front);
    number(f, c->best ? g->hypervolume : NAN);
    number(f, c->best ? s->matched_gain : NAN);
    number(f, c->best ? g->matched_cost : NAN);
    sample(f, c->best ? &g->gain_difference : &none);
    sample(f, c->best ? &g->cost_difference : &none);
    fputs("\r\n", f);
}

lf_status lf_write_summary_csv(const lf_summary *s, const char *path, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open(&a, path, err);
    if (rc) return rc;
    summary_header(a.f, s);
    for (int64_t i = 0; i < s->n_groups; i++)
        for (int64_t j = 0; j < s->groups[i].n_cells; j++) summary_row(a.f, s, &s->cells[s->groups[i].cells[j]]);
    rc = lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    return rc;
}
