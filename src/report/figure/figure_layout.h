/* Where things stand in a figure: legend, notes, axes. Within figure_*.c; names are short in confusion.c too. */
#ifndef LF_REPORT_FIGURE_FIGURE_LAYOUT_H
#define LF_REPORT_FIGURE_FIGURE_LAYOUT_H

#include "report/figure/figure.h"

/* Pixels. The legend stands below the panels and is given the room it needs, so it covers nothing. */
enum {
    LF_FIGURE_WIDTH = 640,
    LF_FIGURE_LEFT = 96,
    LF_FIGURE_RIGHT = 24,
    LF_FIGURE_TITLE = 44,
    LF_FIGURE_GAP = 20,
    LF_FIGURE_LINE = 24,
    LF_FIGURE_NOTE = 22,
    LF_FIGURE_BELOW = 8,
    LF_FIGURE_SAMPLE = 36 /* of a line, in the legend */
};
enum {
    LF_FIGURE_SERIES = 24, /* that the legend names */
    LF_FIGURE_LETTERS = 62 /* of a name */
};

typedef struct lf_legend {
    int64_t named, unnamed;
    int columns, rows;
    double width; /* of a column */
} lf_legend;
/* What the legend cannot show, as lines of text. */
typedef struct lf_notes {
    char text[5][96];
    int n;
} lf_notes;

/* A series' name as the legend has room for it. */
typedef struct lf_label {
    char text[4 * LF_FIGURE_LETTERS + 8];
} lf_label;
lf_label lf_label_of(const char *name); /* the name of anything */
lf_label lf_series_label(const lf_figure *f, int64_t series);

lf_legend lf_legend_of(const lf_figure *f);
lf_notes lf_notes_of(const lf_figure *f);
int lf_panel_height(const lf_figure *f);
int lf_legend_top(const lf_figure *f);
bool lf_series_has_dots(const lf_figure *f, int64_t series);
int64_t lf_letters(const char *text);

typedef struct lf_range {
    double low, high;
    bool log;
} lf_range;
bool lf_fits(bool log, double v);                             /* may stand on such an axis */
bool lf_level_is_near(const lf_figure *f, const lf_level *l); /* and is drawn */
lf_range lf_x_range(const lf_figure *f);
lf_range lf_y_range(const lf_figure *f, int panel);             /* with room at the top for crosses */
double lf_cross_y(const lf_figure *f, int64_t dot, lf_range y); /* where the cross of a dot that diverged stands */

#endif
