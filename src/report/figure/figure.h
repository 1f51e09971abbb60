/* A picture as data: dots of named series in panels one above the other, over one x axis. From it come CSV and script,
 * so that what is drawn and what is written cannot differ. */
#ifndef LF_REPORT_FIGURE_FIGURE_H
#define LF_REPORT_FIGURE_FIGURE_H

#include <stdbool.h>
#include <stdint.h>

#include "report/gather/summary.h"

/* All numbers as they are shown. */
typedef struct lf_dot {
    int panel;
    int64_t series;
    double x, y; /* y NAN: there is none, but runs that diverged */
    lf_band x_band, y_band;
    int64_t n, n_diverged; /* runs behind it; of the same cell, those that diverged */
    bool best, front;
    int64_t front_of;     /* fronts with different numbers are lines of their own */
    double learning_rate; /* NAN where it is the x axis or says nothing */
    const char *run;      /* borrowed; NULL */
} lf_dot;

typedef struct lf_panel {
    const char *key, *label, *unit;
    bool log;
} lf_panel;
enum { LF_MAX_PANELS = 3 };

typedef struct lf_figure {
    const char *name, *title;
    const char *x_key, *x_label, *x_unit;
    bool x_log, x_reversed;
    bool x_rates; /* tics at the learning rates themselves */
    bool joined;  /* a series is a line, in the order of its dots */
    bool sized;   /* larger dots for higher learning rates */
    bool marks_best, marks_front;
    lf_panel panels[LF_MAX_PANELS];
    int n_panels;
    char **series;
    int64_t n_series, series_capacity;
    lf_dot *dots; /* in the order of panels, series, and along the line */
    int64_t n_dots;
    int64_t capacity;
    bool failed; /* out of memory: said by lf_figure_draw */
} lf_figure;

/* `label` is copied; series keep their number, which is their colour. */
int64_t lf_figure_series(lf_figure *f, const char *label);
void lf_figure_dot(lf_figure *f, const lf_dot *dot);
/* Orders the dots of each series by x, where they do not come so. */
void lf_figure_sort(lf_figure *f);
/* DIR/NAME.csv, .gp and, where gnuplot is there, .svg. */
lf_status lf_figure_draw(lf_figure *f, const char *dir, bool *drawn, lf_err *err);
void lf_figure_free(lf_figure *f);

bool lf_figure_script(FILE *out, const lf_figure *f);             /* figure_script.c; false: out of memory */
void lf_figure_size(const lf_figure *f, int *width, int *height); /* figure_layout.c */

#endif
