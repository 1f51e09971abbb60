/* Results of `spectrum` as tables, JSON and CSV: all from one list of columns. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cells.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/terminal.h"
#include "tools/spectrum.h"

/* ---- columns ---- */

typedef struct column {
    const char *key, *head; /* head NULL: only in files */
    const char *format;
    double scale; /* shown = scale x value */
    bool whole, update;
    size_t offset;
} column;

#define REAL(key, head, format, scale, update, member)                                                                 \
    { key, head, format, scale, false, update, offsetof(lf_spectrum_row, member) }
#define WHOLE(key, head, update, member)                                                                               \
    { key, head, "%.0f", 1, true, update, offsetof(lf_spectrum_row, member) }

static const column columns[] = {
    WHOLE("components", NULL, false, n),
    WHOLE("r", NULL, false, r),
    REAL("sigma_max", "s_1", "%.4g", 1, false, sigma_max),
    REAL("sigma_min", "s_n", "%.4g", 1, false, sigma_min),
    REAL("condition", "s_1/s_n", "%.4g", 1, false, condition),
    REAL("effective_rank", "eff. rank", "%.1f", 1, false, effective_rank),
    REAL("energy_first", "first %", "%.3g", 100, false, energy_first),
    REAL("energy_middle", "middle %", "%.3g", 100, false, energy_middle),
    REAL("energy_last", "last %", "%.3g", 100, false, energy_last),
    REAL("energy_chosen", "chosen %", "%.3g", 100, false, energy_chosen),
    WHOLE("start_middle", NULL, false, start_middle),
    WHOLE("start_last", NULL, false, start_last),
    WHOLE("start_chosen", "chosen at", false, start_chosen),
    WHOLE("update_rank", "rank", true, update_rank),
    REAL("update_norm", NULL, "%.4g", 1, true, update.norm),
    REAL("update_relative_norm", "|dW|/|W|", "%.4f", 1, true, update.relative_norm),
    REAL("update_sigma_max", "s_1(dW)", "%.4g", 1, true, update.sigma_max),
    REAL("update_effective_rank", "eff. rank", "%.1f", 1, true, update.effective_rank),
    REAL("map_diagonal", "diagonal %", "%.3g", 100, true, update.map_diagonal),
    REAL("map_head", "top n/8 %", "%.3g", 100, true, update.map_head),
    REAL("map_inside", NULL, "%.4g", 1, true, update.map_inside),
    REAL("rotation", "rotation", "%.4f", 1, true, update.rotation),
    WHOLE("intruders", "intruders", true, update.intruders),
};
enum { N_COLUMNS = sizeof columns / sizeof columns[0] };

/* NAN: not there. */
static double value_of(const lf_spectrum_row *row, const column *c) {
    const char *at = (const char *)row + c->offset;
    double real;
    int64_t whole;
    if (c->update && !row->update_rank) return NAN;
    if (!c->whole) {
        memcpy(&real, at, sizeof real);
        return real;
    }
    memcpy(&whole, at, sizeof whole);
    return whole < 0 ? NAN : (double)whole;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Over the modules that have the figure; NAN when out of memory, too: it is only shown. */
static double median_of(const lf_spectra *s, const column *c) {
    double *values = lf_malloc((size_t)s->match.count * sizeof *values), median = NAN;
    int64_t n = 0;
    for (int64_t i = 0; values && i < s->match.count; i++) {
        const double value = value_of(&s->rows[i], c);
        if (!isnan(value)) values[n++] = value;
    }
    if (n) {
        qsort(values, (size_t)n, sizeof *values, by_value);
        median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    }
    lf_free(values);
    return median;
}

/* ---- for a terminal ---- */

static bool is_shown(int c, bool update) { return columns[c].head && columns[c].update == update; }

static void put_value(lf_cells *t, const char *format, double value) {
    char text[48];
    snprintf(text, sizeof text, format, value); /* one of the table's own */
    lf_cells_put(t, "%s", isnan(value) ? "-" : text);
}

static void put_head(lf_cells *t, bool update) {
    lf_cells_put(t, update ? "update" : "weight");
    lf_cells_put(t, "[out, in]");
    for (int c = 0; c < N_COLUMNS; c++)
        if (is_shown(c, update)) lf_cells_put(t, "%s", columns[c].head);
}

static void print_part(const lf_spectra *s, FILE *out, bool update) {
    int n = 2;
    for (int c = 0; c < N_COLUMNS; c++) n += is_shown(c, update);
    lf_cells t = lf_cells_new(n, LF_CELLS_HEAD);
    put_head(&t, update);
    for (int64_t i = 0; i < s->match.count; i++) {
        const lf_spectrum_row *row = &s->rows[i];
        if (update && !row->update_rank) continue;
        lf_cells_put(&t, "%s", row->m->name);
        lf_cells_put(&t, "[%lld, %lld]", (long long)row->m->out, (long long)row->m->in);
        for (int c = 0; c < N_COLUMNS; c++)
            if (is_shown(c, update)) put_value(&t, columns[c].format, columns[c].scale * value_of(row, &columns[c]));
    }
    lf_cells_put(&t, "median");
    lf_cells_put(&t, "%s", "");
    for (int c = 0; c < N_COLUMNS; c++)
        if (is_shown(c, update))
            put_value(&t, columns[c].whole ? "%.1f" : columns[c].format, columns[c].scale * median_of(s, &columns[c]));
    lf_cells_print(&t, out);
}

void lf_spectra_table(const lf_spectra *s, FILE *out) {
    const bool chosen = s->rows[0].start_chosen >= 0;
    print_part(s, out, false);
    lf_print_line(out, "blocks: the share of the sum of s^2 in the first, middle and last r components%s%s",
                  chosen ? ", and in those of init_lora_weights " : "", chosen ? s->o.init : "");
    if (s->adapted) {
        fputc('\n', out);
        print_part(s, out, true);
        lf_print_line(out, "diagonal, top n/8: shares of |U^T dW V|^2; rotation (radians) and intruders: of the first "
                           "10 left singular vectors");
    }
    if (s->dir)
        lf_print_line(out, "files: %s/spectrum.csv, singular-values.csv%s%s%s", s->dir,
                      s->drawn ? ", spectrum.svg" : "", s->adapted ? ", update-map.csv" : "",
                      s->map_drawn ? ", update-map.svg" : "");
}

/* ---- JSON ---- */

static cJSON *row_json(const lf_spectrum_row *row) {
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "name", row->m->name);
    lf_obj_put(&o, "shape", cJSON_CreateDoubleArray((double[]){(double)row->m->out, (double)row->m->in}, 2));
    for (int c = 0; c < N_COLUMNS; c++)
        if (!columns[c].update || row->update_rank) lf_obj_number(&o, columns[c].key, value_of(row, &columns[c]));
    return lf_obj_take(&o);
}

static cJSON *median_json(const lf_spectra *s) {
    lf_obj o = lf_obj_new();
    for (int c = 0; c < N_COLUMNS; c++)
        if (!columns[c].update || s->adapted) lf_obj_number(&o, columns[c].key, median_of(s, &columns[c]));
    return lf_obj_take(&o);
}

static cJSON *modules_json(const lf_spectra *s) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < s->match.count; i++) lf_list_put(&list, row_json(&s->rows[i]));
    return lf_obj_take(&list);
}

static void put_setting(lf_obj *o, const lf_spectra *s, lf_key_id key, bool read) {
    lf_obj_copy(o, lf_key_name(key), read ? lf_cfg_json(s->cfg, key) : NULL);
}

lf_status lf_spectra_json(const lf_spectra *s, FILE *out, lf_err *err) {
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "model", s->model->path);
    lf_obj_string(&o, "adapter", lf_cfg_str(s->cfg, LF_adapter));
    lf_obj_number(&o, "r", (double)s->o.r);
    put_setting(&o, s, LF_init_lora_weights, true);
    put_setting(&o, s, LF_init_position, lf_init_is_positioned(lf_init_find(s->o.init)));
    lf_obj_string(&o, "output_dir", s->dir);
    lf_obj_put(&o, "median", median_json(s));
    lf_obj_put(&o, "modules", modules_json(s));
    return lf_json_write_line(out, lf_obj_take(&o), err);
}

/* ---- CSV ---- */

static lf_status close_csv(lf_atomic_file *a, lf_err *err) {
    const lf_status rc = lf_atomic_commit(a, err);
    lf_atomic_abort(a);
    return rc;
}

static void write_row(FILE *f, const lf_spectra *s, const lf_spectrum_row *row) {
    fprintf(f, "%s,%lld,%lld", row->m->name, (long long)row->m->out, (long long)row->m->in);
    for (int c = 0; c < N_COLUMNS; c++) {
        if (columns[c].update && !s->adapted) continue;
        const double value = value_of(row, &columns[c]);
        fputc(',', f);
        if (isfinite(value)) fprintf(f, "%.9g", value);
    }
    fputc('\n', f);
}

lf_status lf_spectra_csv(const lf_spectra *s, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open_in(&a, s->dir, "spectrum.csv", err);
    if (rc) return rc;
    fputs("module,out,in", a.f);
    for (int c = 0; c < N_COLUMNS; c++)
        if (!columns[c].update || s->adapted) fprintf(a.f, ",%s", columns[c].key);
    fputc('\n', a.f);
    for (int64_t i = 0; i < s->match.count; i++) write_row(a.f, s, &s->rows[i]);
    if ((rc = close_csv(&a, err)) || (rc = lf_atomic_open_in(&a, s->dir, "singular-values.csv", err))) return rc;
    fputs("module,i,sigma\n", a.f);
    for (int64_t i = 0; i < s->match.count; i++)
        for (int64_t k = 0; k < s->rows[i].n; k++)
            fprintf(a.f, "%s,%lld,%.12g\n", s->rows[i].m->name, (long long)k, s->rows[i].sigma[k]);
    return close_csv(&a, err);
}
