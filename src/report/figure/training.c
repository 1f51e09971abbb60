#include "report/figure/training.h"

#include <math.h>

#include "base/file.h"
#include "base/mem.h"
#include "report/figure/figure.h"
#include "report/gather/steps.h"

enum { MOST = 300 }; /* dots of a line; a loss of each step is more than a picture shows */

static const struct {
    const char *key;
    int panel, series;
} lines[] = {{"loss", 0, 0}, {"eval_loss", 0, 1}, {"learning_rate", 1, 0}, {"grad_norm", 2, 0}};

static bool has(const cJSON *row, const char *key) {
    return isfinite(lf_step_value(row, "step")) && isfinite(lf_step_value(row, key));
}

/* The means of equally many values in a row, at the last one's step. */
static void add_line(lf_figure *f, const cJSON *rows, const char *key, int panel, int64_t series) {
    const cJSON *row;
    int64_t all = 0, seen = 0, n = 0;
    double sum = 0;
    cJSON_ArrayForEach(row, rows) all += has(row, key);
    const int64_t block = (all + MOST - 1) / MOST;
    cJSON_ArrayForEach(row, rows) {
        if (!has(row, key)) continue;
        sum += lf_step_value(row, key);
        n++;
        if (++seen < all && n < block) continue;
        lf_figure_dot(f, &(lf_dot){.panel = panel,
                                   .series = series,
                                   .x = lf_step_value(row, "step"),
                                   .y = sum / (double)n,
                                   .x_band = LF_NO_BAND,
                                   .y_band = LF_NO_BAND,
                                   .n = n,
                                   .learning_rate = NAN});
        sum = 0;
        n = 0;
    }
}

/* Panels that nothing is in are left out; a single dot is no curve. */
static void close_panels(lf_figure *f) {
    int to[LF_MAX_PANELS], n = 0;
    for (int p = 0; p < LF_MAX_PANELS; p++) {
        int64_t dots = 0;
        for (int64_t i = 0; i < f->n_dots; i++) dots += f->dots[i].panel == p;
        to[p] = n;
        if (dots) f->panels[n++] = f->panels[p];
    }
    for (int64_t i = 0; i < f->n_dots; i++) f->dots[i].panel = to[f->dots[i].panel];
    f->n_panels = f->n_dots > 1 ? n : 0;
}

lf_status lf_report_training(const char *run, bool *drawn, lf_err *err) {
    lf_figure f = {.name = "training",
                   .title = "How training went",
                   .x_key = "step",
                   .x_label = "step",
                   .x_unit = "",
                   .joined = true,
                   .panels = {{"loss", "loss", "", false},
                              {"learning_rate", "learning rate", "", false},
                              {"grad_norm", "gradient norm", "", false}}};
    char *path = lf_path_join(run, "metrics.jsonl");
    cJSON *rows = NULL;
    *drawn = false;
    lf_status rc = path ? lf_steps_read(&rows, path, err) : lf_no_memory(err, "%s", run);
    if (!rc) {
        lf_figure_series(&f, "training");
        lf_figure_series(&f, "evaluation");
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
            add_line(&f, rows, lines[i].key, lines[i].panel, lines[i].series);
        lf_figure_sort(&f);
        close_panels(&f);
        if (f.n_panels || f.failed) rc = lf_figure_draw(&f, run, drawn, err);
    }
    lf_figure_free(&f);
    cJSON_Delete(rows);
    lf_free(path);
    return rc;
}
