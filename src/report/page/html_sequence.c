/* report.html of a sequence of tasks. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "report/figure/sequence.h"
#include "report/page/html_names.h"
#include "report/page/html_parts.h"
#include "report/page/report.h"

enum { MOST_SHOWN = 60 }; /* tasks; of more the CSV file is the better table */

static double shown(const lf_told *t, double score) { return lf_told_how(t)->scale * score; }
static const char *unit_of(const lf_told *t) { return lf_told_how(t)->unit; }
static const char *points_of(const lf_told *t) { return lf_told_how(t)->points; }

/* ---- what came of it ---- */

/* The figures of all_results.json that decide; of the average the name says the measure. */
static void cards(FILE *f, const lf_told *t) {
    char *average = lf_format("average_%s", t->measure), *incremental = lf_format("average_incremental_%s", t->measure);
    const int decimals = lf_told_how(t)->decimals;
    lf_html_cards_begin(f);
    if (average)
        lf_html_card(f, shown(t, lf_json_number_in(t->results, average)), decimals, unit_of(t), "average of all tasks");
    if (incremental)
        lf_html_card(f, shown(t, lf_json_number_in(t->results, incremental)), decimals, unit_of(t),
                     "average over the sequence");
    lf_html_card(f, shown(t, lf_json_number_in(t->results, "bwt")), decimals, points_of(t), "BWT");
    lf_html_card(f, shown(t, lf_json_number_in(t->results, "fwt")), decimals, points_of(t), "FWT");
    lf_html_card(f, shown(t, lf_json_number_in(t->results, "forgetting")), decimals, points_of(t),
                 "forgetting of tasks");
    lf_html_card(f, shown(t, lf_json_number_in(t->results, "intransigence")), decimals, points_of(t), "intransigence");
    lf_html_card(f, 100 * lf_json_number_in(t->results, "base_retention"), 2, "%", "kept of the base's task");
    lf_html_cards_end(f);
    lf_free(average);
    lf_free(incremental);
}

static void how_far(FILE *f, const lf_told *t) {
    const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(t->error, "message")),
               *state = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(t->error, "state"));
    if (t->results && !t->error) return;
    if (t->results)
        fputs("<p class=\"bad\"><b>This sequence is finished, and what follows is of it; a later try to go on with it ",
              f);
    else
        fprintf(f, "<p class=\"bad\"><b>This sequence is not finished: %lld of %lld runs have ended%s",
                (long long)t->n_done, (long long)t->n_runs, t->error ? "; the next one " : "");
    if (t->error) lf_html_text(f, state ? state : "failed");
    fputs(".</b>", f);
    if (message) {
        fputs("<br>", f);
        lf_html_text(f, message);
    }
    fputs("</p>\n<p>To go on with it:</p>\n", f);
    char *config = lf_path_join(t->dir, LF_SEQUENCE_CONFIG);
    lf_html_command(f, (const char *const[]){"lora-ft", "continual", "--config", config ? config : "",
                                             "--resume_from_checkpoint", "true", NULL});
    lf_free(config);
}

/* ---- the matrix ---- */

typedef struct range {
    double low, high;
} range;

static range range_of(const lf_told *t) {
    range r = {INFINITY, -INFINITY};
    for (int64_t i = 0; i < t->n_done * t->n_tasks; i++)
        if (isfinite(t->scores[i])) {
            r.low = fmin(r.low, t->scores[i]);
            r.high = fmax(r.high, t->scores[i]);
        }
    if (!lf_told_how(t)->is_open) r = (range){0, 1};
    return r;
}

/* The darker, the better; a task that is learned in this very run has a border. */
static void score_cell(FILE *f, const lf_told *t, const range *r, double score, bool learned) {
    const double share = r->high > r->low ? (score - r->low) / (r->high - r->low) : 1;
    if (!isfinite(score)) {
        fputs("<td class=\"n\"></td>", f);
        return;
    }
    fprintf(f, "<td class=\"n\" style=\"background:rgba(31,111,178,%.3f)%s\">%.*f</td>", 0.6 * fmin(fmax(share, 0), 1),
            learned ? ";box-shadow:inset 0 0 0 2px #d1571b" : "", lf_told_how(t)->squares, shown(t, score));
}

static void base_cell(FILE *f, double base) {
    fputs("<td class=\"n\">", f);
    if (isfinite(base)) fprintf(f, base <= 1 ? "%.1f" : "%.4g", base <= 1 ? 100 * base : base);
    fputs("</td>", f);
}

static void matrix_row(FILE *f, const lf_told *t, const range *r, const char *name, const double *scores, double base,
                       int64_t learned) {
    fputs("<tr><th>", f);
    lf_html_text(f, name);
    fputs("</th>", f);
    for (int64_t j = 0; j < t->n_tasks; j++) score_cell(f, t, r, scores[j], j == learned);
    base_cell(f, base);
    fputs("</tr>\n", f);
}

static void matrix(FILE *f, const lf_told *t) {
    const range r = range_of(t);
    fputs("<h2>Each task after each</h2>\n", f);
    if (t->n_tasks > MOST_SHOWN) {
        fprintf(f, "<p>The scores of %lld tasks are in matrix.csv.</p>\n", (long long)t->n_tasks);
        return;
    }
    fprintf(f, "<p>A row is what is known after a run, a column a task; %s%s. Numbers are also in matrix.csv.</p>\n",
            lf_told_how(t)->says, t->n_runs > 1 ? ", framed what was just learned" : "");
    lf_html_table_begin(f);
    lf_html_column(f, "after", false);
    for (int64_t j = 0; j < t->n_tasks; j++) lf_html_column(f, t->tasks[j], true);
    lf_html_column(f, "base", true);
    lf_html_rows(f);
    matrix_row(f, t, &r, "(nothing yet)", t->before, t->base_before, -1);
    for (int64_t i = 0; i < t->n_done; i++)
        matrix_row(f, t, &r, t->after[i], t->scores + i * t->n_tasks, t->base[i], t->n_runs > 1 ? i : -1);
    lf_html_table_end(f);
}

/* ---- pictures ---- */

static lf_status pictures(FILE *f, const lf_told *t, lf_err *err) {
    static const struct {
        const char *name, *title, *caption;
    } all[] = {
        {"matrix", "Each task after each",
         "The darker, the better. Below the diagonal: what is left of earlier tasks."},
        {"tasks", "Each task over the sequence",
         "A line a task, from what is known of it before anything is learned; below it what is left of the base's own "
         "data."},
    };
    lf_status rc = LF_OK;
    bool any = false;
    for (size_t i = 0; i < sizeof all / sizeof *all && !rc; i++) {
        char *script = lf_format("%s.gp", all[i].name);
        if (!script) return lf_no_memory(err, "%s", t->dir);
        if (lf_is_file_in(t->dir, script)) {
            if (!any) fputs("<h2>Pictures</h2>\n<div class=\"pictures\">\n", f);
            any = true;
            rc = lf_html_picture(f, t->dir, all[i].name, all[i].title, all[i].caption, err);
        }
        lf_free(script);
    }
    if (any) fputs("</div>\n", f);
    return rc;
}

/* ---- the course ---- */

static void course_cell(FILE *f, const lf_told *t, const cJSON *row, const char *name, bool share) {
    const double v = lf_json_number_in(row, name);
    fputs("<td class=\"n\">", f);
    if (isfinite(v)) fprintf(f, "%.*f", share ? 1 : lf_told_how(t)->table, share ? 100 * v : shown(t, v));
    fputs("</td>", f);
}

static bool has_any(const cJSON *rows, const char *name) {
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) if (isfinite(lf_json_number_in(row, name))) return true;
    return false;
}

static void course(FILE *f, const lf_told *t) {
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(t->results, "course"), *row;
    char *average = lf_format("average_%s", t->measure);
    const struct {
        const char *name, *title;
        bool share;
    } columns[] = {{average, "average so far", false},
                   {"bwt", "BWT", false},
                   {"fwt", "FWT", false},
                   {"forgetting", "forgetting", false},
                   {"base_retention", "kept of the base's, %", true}};
    enum { N = sizeof columns / sizeof *columns };
    bool shown_at[N];
    if (average && cJSON_GetArraySize(rows)) {
        fputs("<h2>After each task</h2>\n", f);
        lf_html_table_begin(f);
        lf_html_column(f, "after", false);
        for (size_t i = 0; i < N; i++)
            if ((shown_at[i] = has_any(rows, columns[i].name))) lf_html_column(f, columns[i].title, true);
        lf_html_rows(f);
        cJSON_ArrayForEach(row, rows) {
            fputs("<tr><th>", f);
            lf_html_value(f, cJSON_GetObjectItemCaseSensitive(row, "after"));
            fputs("</th>", f);
            for (size_t i = 0; i < N; i++)
                if (shown_at[i]) course_cell(f, t, row, columns[i].name, columns[i].share);
            fputs("</tr>\n", f);
        }
        lf_html_table_end(f);
    }
    lf_free(average);
}

/* ---- the page ---- */

static lf_status begin_page(FILE *f, const lf_told *t, lf_err *err) {
    char *subject = lf_page_subject(t->config), *title = NULL;
    if (subject)
        title = lf_format("%s%s%lld tasks one after the other, %s", subject, subject[0] ? ": " : "",
                          (long long)t->n_tasks, t->between);
    if (title) lf_html_begin(f, title);
    const lf_status rc = title ? LF_OK : lf_no_memory(err, "%s", t->dir);
    lf_free(title);
    lf_free(subject);
    return rc;
}

static lf_status write_page(FILE *f, const lf_told *t, lf_err *err) {
    char *config = lf_path_join(t->dir, LF_SEQUENCE_CONFIG);
    lf_status rc = config ? begin_page(f, t, err) : lf_no_memory(err, "%s", t->dir);
    if (!rc) {
        cards(f, t);
        how_far(f, t);
        if (t->says) {
            fputs("<p>", f);
            lf_html_text(f, t->says);
            fputs("</p>\n", f);
        }
        matrix(f, t);
        rc = pictures(f, t, err);
        course(f, t);
        if (t->results) {
            fputs("<h2>Results</h2>\n", f);
            lf_html_figures(f, t->results);
        }
        fputs(
            "<p>Each task is a run, with a page of its own (<code>lora-ft report</code>) from the files of its folder "
            "in this one.</p>\n<h2>Configuration</h2>\n",
            f);
        lf_html_object(f, t->config, NULL);
        fputs("<h2>To repeat it</h2>\n", f);
        lf_html_command(f,
                        (const char *const[]){"lora-ft", "continual", "--config", config, "--output_dir", "DIR", NULL});
        lf_html_end(f);
    }
    lf_free(config);
    return rc;
}

lf_status lf_report_sequence(const char *dir, lf_err *err) {
    lf_told t;
    lf_atomic_file a = {0};
    lf_status rc = lf_told_read(&t, dir, err);
    if (!rc && !t.json)
        rc = lf_fail(err, LF_ENOTFOUND,
                     "%s: there is no sequence.json: no task of it has ended yet; to go on with it: lora-ft continual "
                     "--config %s/" LF_SEQUENCE_CONFIG " --resume_from_checkpoint true",
                     dir, dir);
    if (!rc && !(rc = lf_draw_sequence(&t, err)) && !(rc = lf_atomic_open_in(&a, dir, "report.html", err)) &&
        !(rc = write_page(a.f, &t, err)))
        rc = lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    lf_told_close(&t);
    return rc;
}
