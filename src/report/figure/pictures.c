/* The pictures of a set of runs: one table. A new picture is a function that fills a figure, and a line here. */
#include "report/figure/pictures.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "plot/plot.h"
#include "report/figure/pictures_internal.h"

static const struct {
    const char *name, *title, *caption;
    lf_figure_fill *fill;
} pictures[] = {
    {"position", "Where the adapter starts",
     "What was learned and what was forgotten, over the position of the components that the adapter starts from: "
     "0 is the largest singular values (PiSSA), 1 the smallest (MiLoRA). Plain LoRA, which has no position, is a "
     "dotted "
     "line with its band, at its own best rate.",
     lf_fill_position},
    {"tradeoff", "What is gained and what is kept",
     "Right and up is better. A line joins the learning rates of a method that none of its others is better than in "
     "both; the dashed line does so for all methods together.",
     lf_fill_tradeoff},
    {"learning-rate", "How high a learning rate it stands",
     "Each method over its learning rates; where a run diverged stands a cross at the top.", lf_fill_rate},
    {"curves", "Over the steps of training", "Each method at its best learning rate, means over seeds.",
     lf_fill_curves},
    {"update", "Forgetting and the size of the update",
     "Each run: the size of the update relative to the weights, and what was forgotten.", lf_fill_update},
    {"bars", "Methods side by side",
     "What all tasks come to in the end, what later tasks took from earlier ones (BWT, below zero), and what is left "
     "of "
     "the base's own task.",
     lf_fill_bars},
    {"sequences", "Over the tasks", "The same after each task: means over seeds and orders, with their intervals.",
     lf_fill_sequences},
};
enum { N_PICTURES = sizeof pictures / sizeof pictures[0] };
_Static_assert(sizeof pictures / sizeof pictures[0] <= (size_t)LF_MAX_PICTURES, "room for every picture");

static lf_status remove_files(const char *dir, const char *name, lf_err *err) {
    static const char *const endings[] = {"csv", "gp", "svg"};
    lf_status rc = LF_OK;
    for (int i = 0; i < 3 && !rc; i++) {
        char *file = lf_format("%s.%s", name, endings[i]);
        rc = file ? lf_remove_in(dir, file, err) : lf_no_memory(err, "%s", dir);
        lf_free(file);
    }
    return rc;
}

lf_status lf_draw_pictures(lf_picture out[LF_MAX_PICTURES], int *n, const lf_summary *s, lf_err *err) {
    const lf_draw_words words = lf_draw_words_of(s->from);
    bool missing = false;
    lf_status rc = LF_OK;
    *n = 0;
    for (int i = 0; i < N_PICTURES && !rc; i++) {
        lf_figure f = {.name = pictures[i].name, .title = pictures[i].title, .draws = words.many};
        lf_picture *p = &out[i];
        *p = (lf_picture){.name = pictures[i].name, .title = pictures[i].title, .caption = pictures[i].caption};
        if (!(rc = pictures[i].fill(&f, s, err)) && f.failed)
            rc = lf_no_memory(err, "picture %s of %s", f.name, s->from->dir);
        p->made = !rc && f.n_panels;
        if (!rc)
            rc = p->made ? lf_figure_draw(&f, s->from->dir, &p->drawn, err) : remove_files(s->from->dir, p->name, err);
        missing = missing || (p->made && !p->drawn);
        lf_figure_free(&f);
        *n = i + 1;
    }
    if (!rc && missing) lf_plot_say_how(s->from->dir, NULL);
    return rc;
}
