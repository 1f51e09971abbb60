/* Which class is taken for which, as squares: of many classes too, where a table is too wide for a page. */
#include "report/figure/confusion.h"

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "plot/plot.h"
#include "report/figure/figure_layout.h"

/* Classes whose counts, names and squares can be told apart. */
enum { MOST_NUMBERS = 20, MOST_NAMES = 60, MOST_CLASSES = 250 };

static double sum_of(const cJSON *row) {
    double sum = 0;
    const cJSON *count;
    cJSON_ArrayForEach(count, row) sum += count->valuedouble;
    return sum;
}

/* A line a pair that occurs: column, row, share of the row, count. */
static void write_squares(FILE *f, const cJSON *counts) {
    const cJSON *row, *count;
    int y = 0;
    fputs("$squares << END\n", f);
    cJSON_ArrayForEach(row, counts) {
        const double sum = sum_of(row);
        int x = 0;
        cJSON_ArrayForEach(count, row) {
            if (count->valuedouble > 0)
                fprintf(f, "%d %d %.6g %.0f\n", x, y, count->valuedouble / sum, count->valuedouble);
            x++;
        }
        y++;
    }
    fputs("END\n", f);
}

/* ---- where things stand, in pixels ---- */

typedef struct layout {
    int side, left, below, width, height;
    bool named; /* there is room for the names of the classes; else they have numbers */
} layout;

static const char *name_of(const cJSON *label) { return cJSON_IsString(label) ? label->valuestring : ""; }

static double longest_name(const cJSON *labels) {
    const cJSON *label;
    int64_t letters = 0;
    cJSON_ArrayForEach(label, labels) {
        const lf_label shown = lf_label_of(name_of(label));
        if (lf_letters(shown.text) > letters) letters = lf_letters(shown.text);
    }
    return 7.0 * (double)letters;
}

/* Names are slanted below the squares, by 60 degrees. */
static layout layout_of(const cJSON *labels) {
    enum { TITLE = 56, SHARES = 120, AXIS = 60 };
    const int n = cJSON_GetArraySize(labels), square = n <= 10 ? 44 : n <= 30 ? 26 : n <= MOST_NAMES ? 16 : 10;
    layout l = {.side = n * square < 260 ? 260 : n * square > 1000 ? 1000 : n * square, .named = n <= MOST_NAMES};
    const double name = l.named ? longest_name(labels) : 30;
    l.left = AXIS + (int)name;
    l.below = AXIS + (int)(l.named ? 0.87 * name : 0);
    l.width = l.left + l.side + SHARES;
    l.height = TITLE + l.side + l.below;
    return l;
}

static void write_axis(FILE *f, const cJSON *labels, const layout *l, char axis) {
    const bool across = axis == 'x';
    const double middle = across ? l->left + l->side / 2.0 : l->below + l->side / 2.0;
    fprintf(f, "set label '%s%s' at screen %.4f, screen %.4f center%s font ',16'\n", across ? "said" : "right",
            l->named ? "" : " (number of the class)", across ? middle / l->width : 18.0 / l->width,
            across ? 16.0 / l->height : middle / l->height, across ? "" : " rotate by 90");
    if (!l->named) return;
    const cJSON *label;
    int i = 0;
    fprintf(f, "set %ctics %s(", axis, across ? "rotate by 60 right " : "");
    cJSON_ArrayForEach(label, labels) {
        const lf_label shown = lf_label_of(name_of(label));
        fputs(i ? ", '" : "'", f);
        lf_plot_text(f, shown.text);
        fprintf(f, "' %d", i++);
    }
    fputs(") font ',12'\n", f);
}

static void write_script(FILE *f, const cJSON *labels, const cJSON *counts, const layout *l) {
    const int n = cJSON_GetArraySize(labels);
    write_squares(f, counts);
    fputs("set title 'Which class is taken for which' font ',19'\nunset grid\nunset key\nset border 15\n"
          "set palette defined (0 '#ffffff', 0.5 '#7fb0d8', 1 '#0b3c66')\nset cbrange [0:1]\nset cbtics 0.2\n",
          f);
    fprintf(f,
            "set lmargin at screen %.4f\nset rmargin at screen %.4f\nset bmargin at screen %.4f\nset tmargin at screen "
            "%.4f\n",
            (double)l->left / l->width, (double)(l->left + l->side) / l->width, (double)l->below / l->height,
            (double)(l->below + l->side) / l->height);
    write_axis(f, labels, l, 'x');
    write_axis(f, labels, l, 'y');
    fprintf(f, "set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\n", n - 1, n - 1); /* the first class on top */
    fputs("plot $squares using 1:2:(0.5):(0.5):3 with boxxyerror fs solid noborder lc palette", f);
    if (n <= MOST_NUMBERS)
        fputs(", \\\n     $squares using 1:2:(sprintf('%d', int($4))):($3 > 0.5 ? 0xffffff : 0x222222) "
              "with labels tc rgb variable font ',12'",
              f);
    fputc('\n', f);
}

/* A matrix of as many rows and columns as there are names, with something in it. */
static bool is_drawable(const cJSON *labels, const cJSON *counts) {
    const int n = cJSON_GetArraySize(labels);
    const cJSON *row, *count;
    double all = 0;
    bool right = n >= 2 && n <= MOST_CLASSES && cJSON_GetArraySize(counts) == n;
    cJSON_ArrayForEach(row, counts) {
        right = right && cJSON_GetArraySize(row) == n;
        all += sum_of(row);
        cJSON_ArrayForEach(count, row) right = right && cJSON_IsNumber(count);
    }
    return right && all > 0;
}

static lf_status remove_old(const char *run, lf_err *err) {
    static const char *const names[] = {"confusion.gp", "confusion.svg"};
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++) {
        char *path = lf_path_join(run, names[i]);
        rc = path ? lf_remove_tree(path, err) : lf_no_memory(err, "%s", run);
        lf_free(path);
    }
    return rc;
}

static lf_status draw(const char *run, const cJSON *labels, const cJSON *counts, bool *drawn, lf_err *err) {
    const layout l = layout_of(labels);
    lf_atomic_file a = {0};
    lf_status rc = lf_plot_open(&a, run, "confusion", l.width, l.height, err);
    if (!rc) {
        write_script(a.f, labels, counts, &l);
        rc = lf_plot_draw(&a, run, "confusion", drawn, err);
    }
    lf_atomic_abort(&a);
    return rc;
}

lf_status lf_report_confusion(const char *run, bool *drawn, lf_err *err) {
    char *path = lf_path_join(run, "confusion.json");
    cJSON *json = NULL;
    *drawn = false;
    lf_status rc = path ? LF_OK : lf_no_memory(err, "%s", run);
    if (!rc && lf_is_file(path)) rc = lf_json_read(&json, path, err);
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(json, "labels"),
                *counts = cJSON_GetObjectItemCaseSensitive(json, "counts");
    if (!rc) rc = is_drawable(labels, counts) ? draw(run, labels, counts, drawn, err) : remove_old(run, err);
    cJSON_Delete(json);
    lf_free(path);
    return rc;
}
