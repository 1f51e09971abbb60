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
    bool aside;           /* not on its series' line: a small dot beside it */
    int64_t front_of;     /* fronts with different numbers are lines of their own */
    double learning_rate; /* NAN where it is the x axis or says nothing */
    const char *run;      /* borrowed; NULL */
} lf_dot;

typedef struct lf_panel {
    const char *key, *label, *unit;
    bool log;
} lf_panel;
enum { LF_MAX_PANELS = 3 };

typedef struct lf_series {
    char *label, color[8];
    int point;
} lf_series;

/* A straight line across a panel: what is known without the method. Where it is too far from the dots to be drawn, a
 * note says its number. */
typedef struct lf_level {
    int panel;
    bool upright; /* at an x; else at a y */
    double value;
    lf_band band; /* of one at a y */
    char label[40];
} lf_level;
enum { LF_MAX_LEVELS = 6 };

/* A place on the x axis that has a name. */
typedef struct lf_named_place {
    double x;
    char name[32];
} lf_named_place;
enum { LF_MAX_PLACES = 12 };

typedef struct lf_figure {
    const char *name, *title;
    const char *draws; /* what there are several of where there is a band; NULL: seeds */
    const char *x_key, *x_label, *x_unit;
    bool x_log, x_reversed;
    bool x_rates;  /* tics at the learning rates themselves */
    bool x_counts; /* tics at whole numbers: nothing lies between */
    bool bars;     /* from 0 up to each dot, a bar of its series' colour; of many there are no numbers below them */
    bool joined;   /* a series is a line, in the order of its dots */
    bool sized;    /* larger dots for higher learning rates */
    bool marks_best, marks_front;
    lf_panel panels[LF_MAX_PANELS];
    int n_panels;
    lf_series *series;
    int64_t n_series, series_capacity;
    lf_level levels[LF_MAX_LEVELS];
    int n_levels;
    lf_named_place places[LF_MAX_PLACES]; /* tics; none: at round numbers */
    int n_places;
    lf_dot *dots; /* in the order of panels, series, and along the line */
    int64_t n_dots;
    int64_t capacity;
    bool failed; /* out of memory: said by lf_figure_draw */
} lf_figure;

/* `label` is copied; series keep their number, which is their colour and their point, until they are given others. */
int64_t lf_figure_series(lf_figure *f, const char *label);
/* One that stands in an order, from 0 to 1, is as dark; NAN: black, for what the others are compared with. */
void lf_figure_shade(lf_figure *f, int64_t series, double place);
/* Nothing where its value is not finite, or there are too many. */
void lf_figure_level(lf_figure *f, lf_level level);
void lf_figure_dot(lf_figure *f, const lf_dot *dot);
/* Orders the dots of each series by x, where they do not come so. */
void lf_figure_sort(lf_figure *f);
/* DIR/NAME.csv, .gp and, where gnuplot is there, .svg. */
lf_status lf_figure_draw(lf_figure *f, const char *dir, bool *drawn, lf_err *err);
void lf_figure_free(lf_figure *f);

bool lf_figure_script(FILE *out, const lf_figure *f);             /* figure_script.c; false: out of memory */
void lf_figure_size(const lf_figure *f, int *width, int *height); /* figure_layout.c */

#endif
