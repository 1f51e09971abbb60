#define _POSIX_C_SOURCE 200809L
#include "sweep/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "report/gather/collapsed.h"
#include "report/gather/gather.h"
#include "sweep/labels.h"

enum { MAX_SHOWN = 12 }; /* running runs in the table */

struct lf_table {
    const lf_points *p;
    int64_t jobs, todo, ended; /* of those that were to do when it began */
    int64_t done;              /* of the ended ones */
    double seconds;            /* that they took, added up */
    double *started;           /* of each point; 0: it does not run */
    double last;
    int lines; /* that stand on the terminal now */
    int64_t widths[MAX_SHOWN];
    bool terminal;
    lf_point_labels labels; /* on a terminal alone: what a log says is searched for by the runs' names */
};

void lf_table_clear(lf_table *t) {
    int rows = 0;
    for (int i = 0; i < t->lines; i++) rows += lf_rows_of(STDERR_FILENO, t->widths[i]);
    if (rows) fprintf(stderr, "\r\033[%dA\033[J", rows);
    t->lines = 0;
    t->last = 0;
}

void lf_table_free(lf_table *t) {
    if (!t) return;
    lf_table_clear(t);
    lf_point_labels_free(&t->labels);
    lf_free(t->started);
    lf_free(t);
}

lf_table *lf_table_new(const lf_points *p, int64_t jobs) {
    lf_table *t = lf_calloc(1, sizeof *t);
    if (!t) return NULL;
    *t = (lf_table){
        .p = p, .jobs = jobs, .started = lf_calloc((size_t)p->n, sizeof *t->started), .terminal = lf_log_draws()};
    t->todo = lf_points_count(p, LF_POINT_TODO);
    if (t->started && (!t->terminal || lf_point_labels_make(&t->labels, p))) return t;
    lf_table_free(t);
    return NULL;
}

void lf_table_say(lf_table *t, const char *line) {
    lf_table_clear(t);
    lf_info("%s", line);
}

void lf_table_workers(lf_table *t, int64_t runs) { t->jobs = runs; }

void lf_table_started(lf_table *t, int64_t point) { t->started[point] = lf_now(); }

/* ---- how long ---- */

/* What is left of the mean run for those that run, and a mean run for each of the others, on all workers. */
static double seconds_left(const lf_table *t) {
    if (!t->done || !t->jobs) return -1;
    const double mean = t->seconds / (double)t->done;
    double work = mean * (double)(t->todo - t->ended);
    for (int64_t i = 0; i < t->p->n; i++) {
        const double gone = t->started[i] > 0 ? lf_now() - t->started[i] : 0;
        work -= gone < mean ? gone : mean;
    }
    return work / (double)(t->jobs < t->todo - t->ended ? t->jobs : t->todo - t->ended > 0 ? t->todo - t->ended : 1);
}

static void left_text(const lf_table *t, char *text, size_t size) {
    const double s = seconds_left(t);
    text[0] = '\0';
    if (t->ended == t->todo || s < 0) return;
    if (s < 90)
        snprintf(text, size, ", about %.0f s left", s);
    else if (s < 5400)
        snprintf(text, size, ", about %.0f min left", s / 60);
    else
        snprintf(text, size, ", about %.1f h left", s / 3600);
}

/* ---- a run that ended ---- */

/* The figures of all_results.json that say most, and what they come to. */
static const char *results_text(const lf_point *at, char *text, size_t size) {
    static const char *const keys[] = {
        "eval_accuracy",           "eval_perplexity",     "test_accuracy", "test_perplexity", "average_accuracy",
        "average_log_probability", "average_correlation", "bwt",           "forgetting"};
    char *path = lf_path_join(at->run_dir, "all_results.json");
    cJSON *o = NULL;
    size_t used = 0;
    int n;
    text[0] = '\0';
    if (path && lf_json_read(&o, path, NULL) == LF_OK)
        for (size_t i = 0; i < sizeof keys / sizeof keys[0] && used < size; i++) {
            const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, keys[i]);
            if (cJSON_IsNumber(v))
                used +=
                    (size_t)snprintf(text + used, size - used, "%s %s %.4g", used ? "," : ":", keys[i], v->valuedouble);
        }
    const char *how = o ? lf_collapsed_how(o, lf_yardstick_in(o, &n)) : NULL;
    if (how && used < size) snprintf(text + used, size - used, ", %s", how);
    cJSON_Delete(o);
    lf_free(path);
    return lf_run_state_name(how ? LF_RUN_COLLAPSED : LF_RUN_DONE);
}

void lf_table_ended(lf_table *t, int64_t point, double seconds, const char *why) {
    static const char *const words[] = {[LF_POINT_TODO] = "stopped",
                                        [LF_POINT_DONE] = "done",
                                        [LF_POINT_DIVERGED] = "diverged",
                                        [LF_POINT_FAILED] = "failed"};
    const lf_point *at = &t->p->at[point];
    char results[700] = "", left[48], time[32];
    const char *word = words[at->state];
    t->started[point] = 0;
    if (at->state == LF_POINT_DONE) word = results_text(at, results, sizeof results);
    if (at->state == LF_POINT_FAILED)
        snprintf(results, sizeof results, "%s%.400s; see %.250s", why && why[0] ? ": " : "", why ? why : "",
                 at->log_path);
    if (at->state != LF_POINT_TODO) t->ended++;
    if (at->state == LF_POINT_DONE && isfinite(seconds)) { /* what fails fails soon */
        t->done++;
        t->seconds += seconds;
    }
    left_text(t, left, sizeof left);
    snprintf(time, sizeof time, isfinite(seconds) ? "in %.1f s" : "elsewhere", seconds);
    lf_table_clear(t);
    const char *label = t->terminal && t->labels.of[point][0] ? t->labels.of[point] : at->name;
    if (at->state == LF_POINT_DONE && why && why[0])
        lf_warn("%s: its results are there, but not all that is made of them: %.400s; see %.250s", at->name, why,
                at->log_path);
    lf_info("[%lld/%lld] %s %s %s%s%s", (long long)t->ended, (long long)t->todo, label, word, time, results, left);
}

/* ---- the terminal ---- */

/* The last line of metrics.jsonl with a loss. */
static void progress_text(const lf_point *at, char *text, size_t size) {
    char tail[4096];
    char *path = lf_path_join(at->run_dir, "metrics.jsonl");
    FILE *f = path ? lf_fopen_to_read(path) : NULL;
    snprintf(text, size, "starting");
    lf_free(path);
    if (!f) return;
    if (fseek(f, -(long)(sizeof tail - 1), SEEK_END)) rewind(f);
    tail[fread(tail, 1, sizeof tail - 1, f)] = '\0';
    fclose(f);
    for (char *line = tail, *end; (end = strchr(line, '\n')); line = end + 1) {
        cJSON *row = NULL;
        if (lf_json_parse(&row, line, (size_t)(end - line), "metrics.jsonl", NULL) == LF_OK) {
            const cJSON *step = cJSON_GetObjectItemCaseSensitive(row, "step"),
                        *loss = cJSON_GetObjectItemCaseSensitive(row, "loss");
            if (cJSON_IsNumber(step) && cJSON_IsNumber(loss))
                snprintf(text, size, "step %.0f, loss %.4g", step->valuedouble, loss->valuedouble);
        }
        cJSON_Delete(row);
    }
}

/* A line of the table: one that wraps would not be erased. */
static void put_line(lf_table *t, const char *line) {
    char cut[512];
    lf_text_cut(cut, sizeof cut, line, lf_columns(STDERR_FILENO) - 1);
    fprintf(stderr, "%s\n", cut);
    t->widths[t->lines++] = lf_text_columns(cut);
}

/* Columns of the labels of what runs: no more than it takes, and than half of the terminal. */
static int label_columns(const lf_table *t) {
    int64_t widest = 0;
    const int64_t most = lf_columns(STDERR_FILENO) / 2;
    for (int64_t i = 0; i < t->p->n; i++)
        if (t->started[i] > 0 && lf_text_columns(t->labels.of[i]) > widest) widest = lf_text_columns(t->labels.of[i]);
    return (int)(widest < most ? widest : most);
}

static void put_running(lf_table *t, int64_t i, int columns, double now) {
    char progress[64], label[400], line[600];
    progress_text(&t->p->at[i], progress, sizeof progress);
    lf_text_cut(label, sizeof label, t->labels.of[i], columns);
    snprintf(line, sizeof line, "  %s%*s%s%s  %.0f s", label, columns - (int)lf_text_columns(label), "",
             columns ? "  " : "", progress, now - t->started[i]);
    put_line(t, line);
}

void lf_table_draw(lf_table *t) {
    const double now = lf_now();
    if (!t->terminal || !lf_log_says(LF_LOG_INFO) || now - t->last < 1) return;
    lf_table_clear(t);
    t->last = now;
    char left[48], line[512];
    const int columns = label_columns(t);
    left_text(t, left, sizeof left);
    snprintf(line, sizeof line, "%lld of %lld runs done%s%s%.300s", (long long)t->ended, (long long)t->todo, left,
             columns ? "; by " : "", columns ? t->labels.keys : "");
    put_line(t, line);
    for (int64_t i = 0; i < t->p->n && t->lines < MAX_SHOWN; i++)
        if (t->started[i] > 0) put_running(t, i, columns, now);
    fflush(stderr);
}
