/* Pictures by gnuplot: a script beside its numbers, and the program called where it is installed. Whoever draws writes
 * NAME.csv (every number of the picture), NAME.gp and gets NAME.svg. Without gnuplot CSV and script are still there. */
#ifndef LF_PLOT_PLOT_H
#define LF_PLOT_PLOT_H

#include "base/error.h"
#include "base/file.h"

/* Opens DIR/NAME.gp (written aside until lf_plot_draw) and begins it: SVG of width x height pixels on white, with the
 * project's fonts, grid and borders, output NAME.svg. The caller writes the rest of the script to a->f. An older
 * NAME.svg is removed: it is no picture of these numbers. */
lf_status lf_plot_open(lf_atomic_file *a, const char *dir, const char *name, int width, int height, lf_err *err);

/* Commits the script and runs gnuplot on it in `dir`; what gnuplot says goes to stderr. *drawn: the SVG is there and
 * whole. A missing or failing gnuplot is not an error: *drawn is false. Call lf_atomic_abort(a) after either, as for
 * any atomic file. */
lf_status lf_plot_draw(lf_atomic_file *a, const char *dir, const char *name, bool *drawn, lf_err *err);

/* The colour of series i ("#1f6fb2"): they differ in lightness too, for print and for eyes that see few colours. */
const char *lf_plot_color(int64_t i);
/* Of a number from 0 to 1 a colour between dark blue and gold, as dark as it is small ("#0d0887"). */
void lf_plot_shade(char color[8], double p);
/* The point type of series i, likewise different for each. */
int lf_plot_point(int64_t i);
/* Text inside single quotes of a script, in gnuplot's enhanced mode: every sign stands for itself. */
void lf_plot_text(FILE *f, const char *text);
/* A logarithmic axis ('x' or 'y') from low > 0 to high with tics that can be read however narrow it is; ranges are the
 * caller's. */
void lf_plot_log_axis(FILE *f, char axis, double low, double high);
/* Whether there is a gnuplot in an absolute folder of PATH. */
bool lf_plot_can_draw(void);
/* The one warning of whoever got no picture in `dir`: that gnuplot failed, or how to get it and to draw then: `scripts`
 * of the folder by hand, NULL: by the verb `report`. */
void lf_plot_say_how(const char *dir, const char *scripts);

#endif
