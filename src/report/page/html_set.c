/* report.html of a set of runs. */
#include "report/page/html_set.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "config/config.h"
#include "report/figure/pictures.h"
#include "report/gather/makers.h"
#include "report/gather/start.h"
#include "report/page/html_names.h"
#include "report/page/html_parts.h"

enum { OPEN_ROWS = 60 }; /* a longer table is folded, but on the page */

static int64_t count_state(const lf_gathered *g, lf_run_state state) {
    int64_t n = 0;
    for (int64_t i = 0; i < g->n_runs; i++) n += g->runs[i].state == state;
    return n;
}

static void cards(FILE *f, const lf_summary *s) {
    lf_html_cards_begin(f);
    lf_html_card(f, (double)s->n_groups, 0, "", s->n_groups == 1 ? "method" : "methods");
    lf_html_card(f, (double)s->from->n_runs, 0, "", s->from->n_runs == 1 ? "run" : "runs");
    for (int i = 0; i < LF_N_RUN_STATES; i++) {
        const int64_t n = count_state(s->from, (lf_run_state)i);
        if (n || i == LF_RUN_DONE) lf_html_card(f, (double)n, 0, "", lf_run_state_name((lf_run_state)i));
    }
    lf_html_cards_end(f);
}

/* ---- what was run ---- */

/* Whether an earlier run has the same value. */
static bool seen_before(const lf_gathered *g, const char *key, int64_t run) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(g->runs[run].config, key);
    for (int64_t i = 0; i < run; i++) {
        const cJSON *w = cJSON_GetObjectItemCaseSensitive(g->runs[i].config, key);
        if (lf_value_compare(v, w) == 0) return true;
    }
    return false;
}

static void swept_row(FILE *f, const lf_gathered *g, const char *key) {
    enum { MOST = 60 };
    int64_t n = 0;
    fputs("<tr><th>", f);
    lf_html_text(f, key);
    fputs("</th><td>", f);
    for (int64_t i = 0; i < g->n_runs; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(g->runs[i].config, key);
        if (!v || cJSON_IsNull(v) || seen_before(g, key, i) || n++ >= MOST) continue;
        char text[300];
        lf_value_text(text, sizeof text, v);
        if (n > 1) fputs(", ", f);
        lf_html_text(f, text);
    }
    if (n > MOST) fprintf(f, " and %lld more", (long long)(n - MOST));
    fputs("</td></tr>\n", f);
}

/* The configuration in which all runs agree; NULL: out of memory. */
static cJSON *shared_config(const lf_gathered *g) {
    const cJSON *first = NULL, *v;
    for (int64_t i = 0; i < g->n_runs && !first; i++) first = g->runs[i].config;
    lf_obj shared = lf_obj_new();
    cJSON_ArrayForEach(v, first) {
        bool same = !cJSON_IsNull(v) && !(lf_key_traits(v->string) & (LF_IS_CALL | LF_IS_RECORD));
        for (int64_t i = 0; i < g->n_runs && same; i++) {
            if (!g->runs[i].config) continue;
            same = lf_value_compare(v, cJSON_GetObjectItemCaseSensitive(g->runs[i].config, v->string)) == 0;
        }
        for (int64_t k = 0; k < g->n_swept && same; k++) same = strcmp(v->string, g->swept[k]) != 0;
        if (same) lf_obj_copy(&shared, v->string, v);
    }
    return lf_obj_take(&shared);
}

static lf_status what_was_run(FILE *f, const lf_gathered *g, lf_err *err) {
    const char *main_keys[LF_N_KEYS + 1];
    lf_key_names(main_keys, LF_IS_MAIN);
    cJSON *shared = shared_config(g);
    if (!shared) return lf_no_memory(err, "%s", g->dir);
    fputs("<h2>What was run</h2>\n", f);
    if (g->n_swept) {
        fputs("<p>These values differ between the runs:</p>\n<table class=\"object\">\n", f);
        for (int64_t k = 0; k < g->n_swept; k++) swept_row(f, g, g->swept[k]);
        fputs("</table>\n<p>All runs share:</p>\n", f);
    } else
        fputs("<p>The runs do not differ in any value.</p>\n", f);
    lf_html_object(f, shared, main_keys);
    fputs("<details><summary>Everything that they share</summary>\n", f);
    lf_html_object(f, shared, NULL);
    fputs("</details>\n", f);
    cJSON_Delete(shared);
    return LF_OK;
}

/* ---- the rest ---- */

static bool varies(const lf_summary *s, const lf_cohort *g) {
    (void)s;
    return lf_start_varies(g->start);
}

/* Runs of earlier versions, whose files do not say where they start. It matters where starts are compared. */
static bool is_unknown(const lf_summary *s, const lf_cohort *g) {
    int64_t n_done = 0;
    bool swept = false;
    for (int64_t i = 0; i < s->from->n_swept; i++) swept = swept || lf_key_traits(s->from->swept[i]) & LF_IS_START;
    for (int64_t i = 0; i < g->n_cells; i++) n_done += s->cells[g->cells[i]].n_done;
    return swept && n_done && !g->start;
}

static const struct {
    bool (*holds)(const lf_summary *s, const lf_cohort *g);
    const char *why;
} left_out[] = {
    {varies,
     "A position given as an index or an energy is another fraction in each weight, so it has no place on that axis."},
    {is_unknown, "The files of these runs do not say where their adapters start; earlier versions did not write it."},
};

static void say_left_out(FILE *f, const lf_summary *s) {
    enum { MOST = 20 };
    for (size_t k = 0; k < sizeof left_out / sizeof left_out[0]; k++) {
        int64_t n = 0;
        for (int64_t i = 0; i < s->n_groups; i++) {
            if (!left_out[k].holds(s, &s->groups[i]) || n++ >= MOST) continue;
            fputs(n == 1 ? "<p>Not in “Where the adapter starts”: " : "; ", f);
            lf_html_text(f, s->groups[i].name);
        }
        if (n > MOST) fprintf(f, "; and %lld more", (long long)(n - MOST));
        if (n) fprintf(f, ". %s</p>\n", left_out[k].why);
    }
}

static lf_status pictures_section(FILE *f, const lf_summary *s, const lf_picture *pictures, int n, lf_err *err) {
    lf_status rc = LF_OK;
    int made = 0;
    for (int i = 0; i < n; i++) made += pictures[i].made;
    if (!made) return LF_OK;
    fputs("<h2>Pictures</h2>\n<div class=\"pictures\">\n", f);
    for (int i = 0; i < n && !rc; i++)
        if (pictures[i].made)
            rc = lf_html_picture(f, s->from->dir, pictures[i].name, pictures[i].title, pictures[i].caption, err);
    fputs("</div>\n", f);
    say_left_out(f, s);
    return rc;
}

static void begin_fold(FILE *f, const char *title, int64_t rows) {
    fprintf(f, "<h2>%s</h2>\n<details%s><summary>%lld rows</summary>\n", title, rows <= OPEN_ROWS ? " open" : "",
            (long long)rows);
}

static lf_status to_repeat(FILE *f, const lf_gathered *g, lf_err *err) {
    char *sweep = lf_path_join(g->dir, "sweep-config.json");
    if (!sweep) return lf_no_memory(err, "%s", g->dir);
    fputs("<h2>To repeat it</h2>\n", f);
    if (lf_is_file(sweep)) {
        lf_html_command(f, (const char *const[]){"lora-ft", "sweep", "--config", sweep, "--output_dir", "DIR", NULL});
    } else {
        fputs("<p>These runs were not made by one sweep but gathered from a folder. Each is repeated from its own "
              "configuration:</p>\n",
              f);
        lf_html_command(
            f, (const char *const[]){"lora-ft", "train", "--config", "RUN/config.json", "--output_dir", "DIR", NULL});
    }
    fputs("<p>This page again, from the files of the runs:</p>\n", f);
    lf_html_command(f, (const char *const[]){"lora-ft", "report", g->dir, NULL});
    fputs("<p>All numbers: results.csv has a row a run, summary.csv a row a method and learning rate, and each picture "
          "its own CSV.</p>\n",
          f);
    lf_free(sweep);
    return LF_OK;
}

/* A model of language writes, the others say what something is. */
static void to_use(FILE *f, const lf_summary *s, const lf_verdict *v) {
    const bool writes = s->from->yardstick->writes;
    lf_html_command(f, (const char *const[]){"lora-ft", writes ? "generate" : "predict", "--model",
                                             v->model ? v->model : "MODEL", "--adapter", v->adapter,
                                             writes ? "--prompt" : "--data", writes ? "TEXT" : "DATA", NULL});
}

/* First on the page: which to take, at what price, how sure. */
static void verdict_section(FILE *f, const lf_summary *s, const lf_verdict *v) {
    fputs("<div class=\"verdict\">\n", f);
    if (v->of) {
        fputs("<p class=\"of\">", f);
        lf_html_text(f, v->of);
        fputs("</p>\n", f);
    }
    if (v->take) {
        fputs("<p class=\"answer\"><b>Take ", f);
        lf_html_text(f, v->take);
        fputs("</b></p>\n", f);
    }
    fputs("<p class=\"answer\">", f);
    lf_html_text(f, v->answer);
    fputs("</p>\n", f);
    if (v->n_notes) fputs("<p>How sure that is, and what would make it surer:</p>\n<ul>\n", f);
    for (int64_t i = 0; i < v->n_notes; i++) {
        fputs("<li>", f);
        lf_html_text(f, v->notes[i]);
        fputs("</li>\n", f);
    }
    if (v->n_notes) fputs("</ul>\n", f);
    if (v->adapter) {
        fprintf(f, "<p>Its best run%s:</p>\n", s->by_eval ? ", by evaluation data" : "");
        to_use(f, s, v);
    }
    fputs("</div>\n", f);
}

/* What all runs are of, where they are of one. */
static lf_status begin_page(FILE *f, const lf_gathered *g, lf_err *err) {
    static const char *const keys[] = {"model", "init_model", "train_data"};
    bool one = true;
    for (int64_t k = 0; k < g->n_swept; k++)
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) one = one && strcmp(g->swept[k], keys[i]) != 0;
    char *subject = one && g->n_runs ? lf_page_subject(g->runs[0].config) : lf_strdup("");
    char *title =
        subject ? lf_format("%s%s%lld runs compared", subject, subject[0] ? ": " : "", (long long)g->n_runs) : NULL;
    if (title) lf_html_begin(f, title);
    const lf_status rc = title ? LF_OK : lf_no_memory(err, "%s", g->dir);
    lf_free(title);
    lf_free(subject);
    return rc;
}

static lf_status made(FILE *f, const lf_gathered *g, lf_err *err) {
    const cJSON **results = lf_calloc((size_t)g->n_runs + 1, sizeof *results);
    int64_t n = 0;
    if (!results) return lf_no_memory(err, "%s", g->dir);
    for (int64_t i = 0; i < g->n_runs; i++)
        if (g->runs[i].results) results[n++] = g->runs[i].results;
    lf_html_made(f, results, n);
    lf_free(results);
    lf_string marked = {0};
    lf_makers_put(&marked, g);
    if (marked.n && !marked.failed) {
        fputs("<p>", f);
        lf_html_text(f, marked.s);
        fputs(".</p>\n", f);
    }
    lf_string_free(&marked);
    return LF_OK;
}

static lf_status write_page(FILE *f, const lf_summary *s, const lf_verdict *verdicts, int64_t n_verdicts,
                            const lf_picture *pictures, int n, lf_err *err) {
    lf_status rc = begin_page(f, s->from, err);
    if (rc) return rc;
    for (int64_t i = 0; i < n_verdicts; i++) verdict_section(f, s, &verdicts[i]);
    cards(f, s);
    if (s->from->n_others)
        fprintf(f, "<p>%lld other run%s below this folder %s not of this sweep, and not shown.</p>\n",
                (long long)s->from->n_others, s->from->n_others > 1 ? "s" : "", s->from->n_others > 1 ? "are" : "is");
    if ((rc = made(f, s->from, err))) return rc;
    fputs("<h2>Summary</h2>\n", f);
    lf_html_groups(f, s);
    lf_html_choice(f, s);
    if ((rc = pictures_section(f, s, pictures, n, err)) || (rc = what_was_run(f, s->from, err))) return rc;
    begin_fold(f, "All learning rates", s->n_cells);
    lf_html_all_cells(f, s);
    fputs("</details>\n", f);
    begin_fold(f, "All runs", s->from->n_runs);
    lf_html_all_runs(f, s->from);
    fputs("</details>\n", f);
    rc = to_repeat(f, s->from, err);
    lf_html_end(f);
    return rc;
}

lf_status lf_report_set_html(const lf_summary *s, const lf_verdict *verdicts, int64_t n_verdicts,
                             const lf_picture *pictures, int n, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open_in(&a, s->from->dir, "report.html", err);
    if (!rc && !(rc = write_page(a.f, s, verdicts, n_verdicts, pictures, n, err))) rc = lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    return rc;
}
