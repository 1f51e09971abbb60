/* The picture of a run: what it learned and what it forgot over steps; accuracies, or perplexities of a language model. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "report/report.h"

/* A column of curves.csv is a key of metrics.jsonl. Which they are is told by the first key that a run has. */
static const char *const picture_columns[] = {"step", "epoch", "loss", "train_accuracy", "learning_rate", "grad_norm", "eval_accuracy",
                                      "eval_loss", "base_accuracy", "base_loss", "base_ce", "base_kl", "base_knn", NULL};
static const char *const language_columns[] = {"step", "epoch", "loss", "train_accuracy", "learning_rate", "grad_norm", "eval_perplexity", "eval_loss",
                                               "eval_token_accuracy", "eval_choice_accuracy", "eval_exact_match", "base_perplexity",
                                               "base_loss", "base_token_accuracy", "base_ce", "base_kl", NULL};

/* One curve of the picture; drawn when the run has the column. The colours differ in lightness too, for print. */
static const struct { const char *column, *title, *style, *alone /* a single point has no line */; bool right; } curves[] = {
    {"eval_accuracy", "new task", "linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#1f6fb2'", "points pt 7 ps 0.5 lc rgb '#1f6fb2'", false},
    {"eval_perplexity", "new text", "linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#1f6fb2'", "points pt 7 ps 0.5 lc rgb '#1f6fb2'", false},
    {"base_perplexity", "pretraining text", "linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#d1571b'", "points pt 7 ps 0.5 lc rgb '#d1571b'", false},
    {"base_accuracy", "base task, its own head", "linespoints pt 7 ps 0.5 lw 2.5 lc rgb '#d1571b'", "points pt 7 ps 0.5 lc rgb '#d1571b'", false},
    {"base_knn", "base task, nearest neighbours", "lines lw 1.5 dt 2 lc rgb '#d1571b'", "points pt 6 ps 0.5 lc rgb '#d1571b'", false},
    {"loss", "training loss (right)", "lines lw 1.2 lc rgb '#8a8a8a'", "points pt 7 ps 0.5 lc rgb '#8a8a8a'", true},
};
enum { N_CURVES = sizeof curves / sizeof curves[0] };

/* metrics.jsonl as an array of its rows. What follows the last newline was cut off by a crash. */
static lf_status read_metrics(cJSON **out, const char *path, lf_err *err) {
    char *text = NULL;
    size_t size = 0;
    lf_status rc = lf_file_read(&text, &size, path, err);
    cJSON *rows = cJSON_CreateArray();
    if (!rc && !rows) rc = lf_fail(err, LF_ENOMEM, "%s: out of memory", path);
    for (const char *at = text, *end; !rc && at && (end = memchr(at, '\n', size - (size_t)(at - text))); at = end + 1) {
        cJSON *row = NULL;
        if (end > at && !(rc = lf_json_parse(&row, at, (size_t)(end - at), path, err))) cJSON_AddItemToArray(rows, row);
    }
    if (!rc && cJSON_GetArraySize(rows) == 0) rc = lf_fail(err, LF_EDATA, "%s: expected a line for each logged step, found none", path);
    lf_free(text);
    if (rc) {
        cJSON_Delete(rows);
        rows = NULL;
    }
    *out = rows;
    return rc;
}

static bool has_column(const cJSON *rows, const char *column) {
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) if (cJSON_GetObjectItemCaseSensitive(row, column)) return true;
    return false;
}

static bool is_language(const cJSON *rows) { return has_column(rows, "eval_perplexity") || has_column(rows, "base_perplexity"); }

static lf_status write_csv(const cJSON *rows, const char *path, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open(&a, path, err);
    if (rc) return rc;
    const char *const *columns = is_language(rows) ? language_columns : picture_columns;
    for (int c = 0; columns[c]; c++) fprintf(a.f, "%s%s", c ? "," : "", columns[c]);
    fputc('\n', a.f);
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        for (int c = 0; columns[c]; c++) {
            const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, columns[c]);
            if (c) fputc(',', a.f);
            if (cJSON_IsNumber(v)) fprintf(a.f, "%.9g", v->valuedouble);
        }
        fputc('\n', a.f);
    }
    rc = lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    return rc;
}

/* The points of one curve as a block of gnuplot data; returns how many there are. */
static int write_points(FILE *f, const cJSON *rows, const char *column) {
    int n = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        const cJSON *x = cJSON_GetObjectItemCaseSensitive(row, "step"), *y = cJSON_GetObjectItemCaseSensitive(row, column);
        if (!cJSON_IsNumber(x) || !cJSON_IsNumber(y)) continue;
        if (n++ == 0) fprintf(f, "$%s << END\n", column);
        fprintf(f, "%.9g %.9g\n", x->valuedouble, y->valuedouble);
    }
    if (n) fputs("END\n", f);
    return n;
}

static double last_step(const cJSON *rows) {
    double last = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        const cJSON *x = cJSON_GetObjectItemCaseSensitive(row, "step");
        if (cJSON_IsNumber(x) && x->valuedouble > last) last = x->valuedouble;
    }
    return last;
}

static lf_status write_script(const cJSON *rows, const char *path, bool *any, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open(&a, path, err);
    if (rc) return rc;
    fputs("# gnuplot curves.gp, in this folder, draws curves.svg\n"
          "set terminal svg size 800,440 dynamic background '#ffffff' font 'Helvetica,14'\n"
          "set output 'curves.svg'\n"
          "set xlabel 'step'\n", a.f);
    fputs(is_language(rows) ? "set ylabel 'perplexity'\nset logscale y\nset ytics nomirror\n"
                            : "set ylabel 'accuracy'\nset yrange [0:1]\nset ytics nomirror 0.1\n", a.f);
    fputs("set grid ytics lc rgb '#dddddd'\nset key below\nset border 3\nset xtics nomirror\n", a.f);
    fprintf(a.f, "set xrange [0:%.9g]\n", fmax(1, last_step(rows)));
    int points[N_CURVES];
    bool right = false;
    *any = false;
    for (int i = 0; i < N_CURVES; i++) {
        points[i] = write_points(a.f, rows, curves[i].column);
        *any = *any || points[i];
        right = right || (points[i] && curves[i].right);
    }
    if (right) fputs("set y2label 'loss'\nset y2tics\nset y2range [0:*]\nset border 11\n", a.f);
    for (int i = 0, drawn = 0; i < N_CURVES; i++)
        if (points[i])
            fprintf(a.f, "%s$%s using 1:2%s with %s title '%s'", drawn++ ? ", \\\n     " : "plot ", curves[i].column,
                    curves[i].right ? " axes x1y2" : "", points[i] == 1 ? curves[i].alone : curves[i].style, curves[i].title);
    fputc('\n', a.f);
    rc = lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    return rc;
}

/* Runs gnuplot on curves.gp in the run's folder; whatever it says goes to stderr: stdout is for results. */
static bool run_gnuplot(const char *dir) {
    const pid_t pid = fork();
    if (pid == 0) {
        if (chdir(dir) == 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0) execlp("gnuplot", "gnuplot", "curves.gp", (char *)NULL);
        _exit(127);
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

lf_status lf_report_curves(const char *run, bool *drawn, lf_err *err) {
    char *metrics = lf_path_join(run, "metrics.jsonl"), *csv = lf_path_join(run, "curves.csv"), *script = lf_path_join(run, "curves.gp");
    char *picture = lf_path_join(run, "curves.svg"); /* an older one is no picture of these numbers */
    cJSON *rows = NULL;
    bool any = false;
    *drawn = false;
    lf_status rc = metrics && csv && script && picture ? LF_OK : lf_fail(err, LF_ENOMEM, "%s: out of memory", run);
    if (!rc && !(rc = read_metrics(&rows, metrics, err)) && !(rc = write_csv(rows, csv, err)) && !(rc = write_script(rows, script, &any, err)) &&
        !(rc = lf_remove_tree(picture, err)) && any) {
        *drawn = run_gnuplot(run);
        if (!*drawn) lf_warn("no picture: gnuplot did not run; install it (Debian: gnuplot-nox), then: lora-ft report %s", run);
    }
    cJSON_Delete(rows);
    lf_free(picture);
    lf_free(script);
    lf_free(csv);
    lf_free(metrics);
    return rc;
}
