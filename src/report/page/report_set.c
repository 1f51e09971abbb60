/* The report of a set of runs. */
#include <math.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "report/figure/pictures.h"
#include "report/page/report.h"

/* The files of a report, in its folder. */
typedef struct report_paths {
    char *results, *summary, *page;
} report_paths;

static void free_paths(report_paths *p) {
    lf_free(p->results);
    lf_free(p->summary);
    lf_free(p->page);
}

static cJSON *add_number(cJSON *o, const char *name, double value) {
    return isfinite(value) ? cJSON_AddNumberToObject(o, name, value) : cJSON_AddNullToObject(o, name);
}

static bool add_counts(cJSON *o, const lf_gathered *g) {
    static const lf_run_state states[] = {LF_RUN_DONE, LF_RUN_DIVERGED, LF_RUN_FAILED, LF_RUN_UNFINISHED};
    bool ok = cJSON_AddNumberToObject(o, "runs", (double)g->n_runs);
    for (int k = 0; k < 4 && ok; k++) {
        int64_t n = 0;
        for (int64_t i = 0; i < g->n_runs; i++) n += g->runs[i].state == states[k];
        ok = cJSON_AddNumberToObject(o, lf_run_state_name(states[k]), (double)n);
    }
    return ok;
}

/* A group at its best rate: the means, as all_results.json names and scales them. */
static bool add_group(cJSON *list, const lf_summary *s, const lf_cohort *g) {
    const lf_metric *m = s->from->yardstick->metrics;
    const lf_cell *best = g->best >= 0 ? &s->cells[g->best] : NULL;
    cJSON *o = cJSON_CreateObject();
    bool ok = o && cJSON_AddStringToObject(o, "name", g->name) &&
              add_number(o, "best_learning_rate", best ? best->learning_rate : NAN) &&
              add_number(o, "n", best ? (double)best->n_done : NAN);
    for (int i = 0; best && ok && m[i].name; i++)
        if (best->metrics[i].n) ok = add_number(o, m[i].name, best->metrics[i].mean);
    if (ok && cJSON_AddItemToArray(list, o)) return true;
    cJSON_Delete(o);
    return false;
}

static cJSON *to_json(const lf_summary *s, const lf_picture *pictures, int n, const report_paths *p) {
    cJSON *o = cJSON_CreateObject();
    bool ok = o && cJSON_AddStringToObject(o, "dir", s->from->dir) && add_counts(o, s->from);
    cJSON *groups = ok ? cJSON_AddArrayToObject(o, "groups") : NULL;
    ok = groups;
    for (int64_t i = 0; i < s->n_groups && ok; i++) ok = add_group(groups, s, &s->groups[i]);
    cJSON *drawn = ok ? cJSON_AddArrayToObject(o, "pictures") : NULL;
    ok = drawn;
    for (int i = 0; i < n && ok; i++) {
        cJSON *name = pictures[i].drawn ? cJSON_CreateString(pictures[i].name) : NULL;
        ok = !pictures[i].drawn || (name && cJSON_AddItemToArray(drawn, name));
    }
    ok = ok && cJSON_AddStringToObject(o, "results", p->results) && cJSON_AddStringToObject(o, "summary", p->summary) &&
         cJSON_AddStringToObject(o, "report", p->page);
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

static lf_status say(const lf_summary *s, const lf_picture *pictures, int n, const report_paths *p, bool json,
                     FILE *out, lf_err *err) {
    if (json) {
        cJSON *o = to_json(s, pictures, n, p);
        char *text = o ? lf_json_print_line(o) : NULL;
        cJSON_Delete(o);
        if (!text) return lf_fail(err, LF_ENOMEM, "%s: out of memory", s->from->dir);
        fprintf(out, "%s\n", text);
        lf_free(text);
        return LF_OK;
    }
    lf_summary_table(s, out);
    for (int i = 0; i < n; i++)
        if (pictures[i].drawn) fprintf(out, "picture: %s/%s.svg\n", s->from->dir, pictures[i].name);
    fprintf(out, "results: %s\nsummary: %s\nreport:  %s\n", p->results, p->summary, p->page);
    return LF_OK;
}

lf_status lf_report_set(const char *dir, bool json, FILE *out, lf_err *err) {
    report_paths p = {lf_path_join(dir, "results.csv"), lf_path_join(dir, "summary.csv"),
                      lf_path_join(dir, "report.html")};
    lf_picture pictures[LF_MAX_PICTURES];
    lf_gathered *g = NULL;
    lf_summary *s = NULL;
    int n = 0;
    lf_status rc = p.results && p.summary && p.page ? LF_OK : lf_fail(err, LF_ENOMEM, "%s: out of memory", dir);
    if (rc || (rc = lf_gather(&g, dir, err))) goto out;
    if (g->n_others)
        lf_info("%s: %lld other run%s below this folder %s not of this sweep", dir, (long long)g->n_others,
                g->n_others > 1 ? "s" : "", g->n_others > 1 ? "are" : "is");
    if ((rc = lf_summary_new(&s, g, err)) || (rc = lf_write_results_csv(g, p.results, err)) ||
        (rc = lf_write_summary_csv(s, p.summary, err)) || (rc = lf_draw_pictures(pictures, &n, s, err)) ||
        (rc = lf_report_set_html(s, pictures, n, err)))
        goto out;
    rc = say(s, pictures, n, &p, json, out, err);
out:
    lf_summary_free(s);
    lf_gathered_free(g);
    free_paths(&p);
    return rc;
}
