/* The report of a set of runs. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "report/figure/pictures.h"
#include "report/gather/verdict.h"
#include "report/page/html_set.h"
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

static void put_counts(lf_obj *o, const lf_gathered *g) {
    lf_obj_number(o, "runs", (double)g->n_runs);
    for (int k = 0; k < LF_N_RUN_STATES; k++) {
        int64_t n = 0;
        for (int64_t i = 0; i < g->n_runs; i++) n += g->runs[i].state == (lf_run_state)k;
        lf_obj_number(o, lf_run_state_name((lf_run_state)k), (double)n);
    }
}

/* A group at its best rate: the means, as all_results.json names and scales them. */
static cJSON *group_json(const lf_summary *s, const lf_cohort *g) {
    const lf_metric *m = s->from->yardstick->metrics;
    const lf_cell *best = g->best >= 0 ? &s->cells[g->best] : NULL;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "name", g->name);
    lf_obj_number(&o, "best_learning_rate", best ? best->learning_rate : NAN);
    lf_obj_number(&o, "n", best ? (double)best->n_done : NAN);
    for (int i = 0; best && m[i].name; i++)
        if (best->metrics[i].n) lf_obj_number(&o, m[i].name, best->metrics[i].mean);
    return lf_obj_take(&o);
}

/* What was found of a set of runs. */
typedef struct found {
    lf_summary *s;
    lf_picture pictures[LF_MAX_PICTURES];
    int n_pictures;
    lf_verdict *verdicts;
    int64_t n_verdicts;
} found;

static cJSON *to_json(const found *r, const report_paths *p, bool written) {
    const lf_summary *s = r->s;
    lf_obj o = lf_obj_new(), groups = lf_list_new(), drawn = lf_list_new();
    for (int64_t i = 0; i < s->n_groups; i++) lf_list_put(&groups, group_json(s, &s->groups[i]));
    for (int i = 0; i < r->n_pictures; i++)
        if (r->pictures[i].drawn) lf_list_string(&drawn, r->pictures[i].name);
    lf_obj_string(&o, "dir", s->from->dir);
    put_counts(&o, s->from);
    lf_obj_put(&o, "verdicts", lf_verdicts_json(r->verdicts, r->n_verdicts));
    lf_obj_put(&o, "groups", lf_obj_take(&groups));
    lf_obj_put(&o, "pictures", lf_obj_take(&drawn));
    if (written) {
        lf_obj_string(&o, "results", p->results);
        lf_obj_string(&o, "summary", p->summary);
        lf_obj_string(&o, "report", p->page);
    }
    return lf_obj_take(&o);
}

static lf_status say(const found *r, const report_paths *p, bool json, bool written, FILE *out, lf_err *err) {
    if (json) return lf_json_write_line(out, to_json(r, p, written), err);
    lf_summary_table(r->s, out);
    lf_verdicts_print(r->verdicts, r->n_verdicts, out);
    if (!written) return LF_OK;
    for (int i = 0; i < r->n_pictures; i++)
        if (r->pictures[i].drawn) fprintf(out, "picture: %s/%s.svg\n", r->s->from->dir, r->pictures[i].name);
    fprintf(out, "results: %s\nsummary: %s\nreport:  %s\n", p->results, p->summary, p->page);
    return LF_OK;
}

/* In the order in which they are read: the page has the pictures. */
static lf_status write_all(found *r, const report_paths *p, const lf_gathered *g, lf_err *err) {
    lf_status rc;
    if ((rc = lf_write_results_csv(g, p->results, err)) || (rc = lf_write_summary_csv(r->s, p->summary, err)) ||
        (rc = lf_draw_pictures(r->pictures, &r->n_pictures, r->s, err)))
        return rc;
    return lf_report_set_html(r->s, r->verdicts, r->n_verdicts, r->pictures, r->n_pictures, err);
}

/* A folder that one may only read, a colleague's, has no files of ours, but is told of. Whatever else keeps files from
 * being written, a full disk, is an error when they are. */
static bool may_write(const char *dir) {
    if (faccessat(AT_FDCWD, dir, W_OK, AT_EACCESS) == 0 || (errno != EACCES && errno != EROFS && errno != EPERM))
        return true;
    lf_warn("%s: cannot be written: %s; the figures are printed, and no files are written", dir, strerror(errno));
    return false;
}

lf_status lf_report_set(const char *dir, const char *baseline, bool json, FILE *out, lf_err *err) {
    report_paths p = {lf_path_join(dir, "results.csv"), lf_path_join(dir, "summary.csv"),
                      lf_path_join(dir, "report.html")};
    lf_gathered *g = NULL;
    found r = {0};
    lf_status rc = p.results && p.summary && p.page ? LF_OK : lf_no_memory(err, "%s", dir);
    if (rc || (rc = lf_gather(&g, dir, err))) goto out;
    if (g->n_others)
        lf_info("%s: %lld other run%s below this folder %s not of this sweep", dir, (long long)g->n_others,
                g->n_others > 1 ? "s" : "", g->n_others > 1 ? "are" : "is");
    const bool writes = may_write(dir);
    if ((rc = lf_gathered_intransigence(g, err)) || (rc = lf_summary_new(&r.s, g, baseline, err)) ||
        (rc = lf_verdicts_new(&r.verdicts, &r.n_verdicts, r.s, err)) || (writes && (rc = write_all(&r, &p, g, err))))
        goto out;
    rc = say(&r, &p, json, writes, out, err);
out:
    lf_verdicts_free(r.verdicts, r.n_verdicts);
    lf_summary_free(r.s);
    lf_gathered_free(g);
    free_paths(&p);
    return rc;
}
