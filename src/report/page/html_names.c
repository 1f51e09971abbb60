#include "report/page/html_names.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/string.h"
#include "report/page/html_parts.h"

/* ---- the subject ---- */

static const cJSON *member(const cJSON *o, const char *key) { return cJSON_GetObjectItemCaseSensitive(o, key); }

/* A list is called by its first. */
static const char *path_of(const cJSON *spec) {
    if (cJSON_IsArray(spec)) spec = spec->child;
    if (cJSON_IsObject(spec)) spec = member(spec, "path");
    return cJSON_GetStringValue(spec);
}

/* "train", "train.jsonl.gz". */
static bool says_nothing(const char *name, size_t n) {
    const char *point = memchr(name, '.', n);
    if (point && point > name) n = (size_t)(point - name);
    static const char *const words[] = {"train", "training", "data", "model", "."};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == n && memcmp(name, words[i], n) == 0) return true;
    return false;
}

/* The last part of a path, or one before it where that says nothing ("letters/train"). */
static char *short_name(const char *path) {
    size_t end = path ? strlen(path) : 0, last = 0, last_end = 0;
    while (end) {
        while (end && path[end - 1] == '/') end--;
        size_t begin = end;
        while (begin && path[begin - 1] != '/') begin--;
        if (!last_end) {
            last = begin;
            last_end = end;
        }
        if (!says_nothing(path + begin, end - begin)) return lf_format("%.*s", (int)(end - begin), path + begin);
        end = begin;
    }
    return path ? lf_format("%.*s", (int)(last_end - last), path + last) : lf_strdup("");
}

char *lf_page_subject(const cJSON *config) {
    const char *model = path_of(member(config, "model"));
    char *of = short_name(model ? model : path_of(member(config, "init_model"))),
         *on = short_name(path_of(member(config, "train_data"))), *both = NULL;
    if (of && on) both = lf_format("%s%s%s", of, of[0] && on[0] ? " on " : "", on);
    lf_free(of);
    lf_free(on);
    return both;
}

/* ---- figures ---- */

/* Names that no rule makes; NULL: told elsewhere. */
static const struct {
    const char *key, *name, *unit;
} named[] = {
    {"init_seconds", "start of the adapter", "s"},
    {"train_seconds", "training", "s"},
    {"data_wait_seconds", "of which waiting for data", "s"},
    {"items_per_second", "speed, pictures or tokens", "a second"},
    {"peak_rss_mb", "peak memory", "MB"},
    {"trainable_parameters", "trained numbers", ""},
    {"steps", "steps", ""},
    {"threads", "threads", ""},
    {"base_kl", "KL from the base", "nats"},
    {"base_ce", "cross-entropy with the base", "nats"},
    {"update_ratio", "size of the update, |dW x| / |W x|", ""},
    {"base_by_neighbours", "base task judged by neighbours", ""},
};

/* "eval_became_wrong": "new task, became wrong". */
static void name_by_rule(FILE *f, const char *key) {
    static const char *const begins[][2] = {
        {"eval_", "new task, "}, {"test_", "new task, test, "}, {"base_", "base, "}};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        const size_t n = strlen(begins[i][0]);
        if (strncmp(key, begins[i][0], n) != 0) continue;
        fputs(begins[i][1], f);
        key += n;
        break;
    }
    for (; *key; key++) fputc(*key == '_' ? ' ' : *key, f);
}

/* Shares that figures.def has no scale for. */
static bool is_share(const char *key) {
    return strstr(key, "accuracy") || (strstr(key, "_change") && !strstr(key, "_change_p")) ||
           strstr(key, "knn_before") || strstr(key, "knn_after") || strstr(key, "_exact_match") ||
           !strcmp(key, "eval_chance");
}

static void figure_row(FILE *f, const lf_metric *m, const cJSON *v) {
    const bool share = !m && is_share(v->string);
    const char *name = m ? (m->label ? m->label : m->card) : NULL, *unit = m                              ? m->unit
                                                                           : !share                       ? ""
                                                                           : strstr(v->string, "_change") ? "points"
                                                                                                          : "%";
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strcmp(named[i].key, v->string) == 0) {
            name = named[i].name;
            unit = named[i].unit;
        }
    fputs("<tr><th>", f);
    if (name)
        fputs(name, f);
    else
        name_by_rule(f, v->string);
    fprintf(f, "</th><td>%.6g%s%s <small>",
            (m       ? m->scale
             : share ? 100
                     : 1) *
                v->valuedouble,
            unit[0] ? " " : "", unit);
    lf_html_text(f, v->string);
    fputs("</small></td></tr>\n", f);
}

void lf_html_figures(FILE *f, const cJSON *results) {
    int n;
    const lf_metric *all = lf_yardstick_in(results, &n)->figures;
    const cJSON *v;
    fputs("<table class=\"object\">\n", f);
    cJSON_ArrayForEach(v, results) {
        const lf_metric *m = all;
        if (!cJSON_IsNumber(v)) continue;
        while (m->name && strcmp(m->name, v->string) != 0) m++;
        figure_row(f, m->name && m->scale != 0 ? m : NULL, v);
    }
    fputs("</table>\n", f);
}

/* ---- when, where, by what ---- */

/* The first and the last day. */
static void days(lf_string *t, const cJSON *const *results, int64_t n) {
    const char *first = NULL, *last = NULL;
    for (int64_t i = 0; i < n; i++) {
        const char *day = cJSON_GetStringValue(member(member(results[i], "made"), "date"));
        if (!day) continue;
        if (!first || strcmp(day, first) < 0) first = day;
        if (!last || strcmp(day, last) > 0) last = day;
    }
    if (first) lf_string_add(t, "%s", first);
    if (first && strcmp(first, last) != 0) lf_string_add(t, " to %s", last);
}

/* Each value once. */
static void values(lf_string *t, const cJSON *const *results, int64_t n, const char *key, const char *before) {
    for (int64_t i = 0; i < n; i++) {
        const char *value = cJSON_GetStringValue(member(member(results[i], "made"), key));
        bool seen = !value;
        for (int64_t k = 0; k < i && !seen; k++) {
            const char *other = cJSON_GetStringValue(member(member(results[k], "made"), key));
            seen = other && strcmp(other, value) == 0;
        }
        if (seen) continue;
        if (t->n) lf_string_add(t, ", ");
        lf_string_add(t, "%s%s", before, value);
    }
}

static double total(const cJSON *const *results, int64_t n, const char *key, bool most) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const cJSON *v = member(results[i], key);
        if (cJSON_IsNumber(v)) sum = most ? fmax(sum, v->valuedouble) : sum + v->valuedouble;
    }
    return sum;
}

void lf_html_made(FILE *f, const cJSON *const *results, int64_t n) {
    lf_string t = {0};
    char time[32];
    days(&t, results, n);
    values(&t, results, n, "processor", "");
    const double threads = total(results, n, "threads", true), seconds = total(results, n, "train_seconds", false),
                 memory = total(results, n, "peak_rss_mb", true);
    if (threads > 0) lf_string_add(&t, "%s%.0f thread%s", t.n ? ", " : "", threads, threads > 1 ? "s" : "");
    values(&t, results, n, "kernels", "kernels ");
    values(&t, results, n, "precision", "");
    values(&t, results, n, "frozen_precision", "frozen weights in ");
    values(&t, results, n, "version", "lora-ft ");
    if (seconds > 0) {
        lf_string_add(&t, "; training took ");
        lf_string_add(&t, "%s", lf_number_time(time, sizeof time, seconds));
        if (n > 1) {
            lf_string_add(&t, " in all, ");
            lf_string_add(&t, "%s", lf_number_time(time, sizeof time, seconds / (double)n));
            lf_string_add(&t, " a run");
        }
    }
    if (memory > 0) lf_string_add(&t, ", at most %.0f MB of memory", memory);
    if (!t.failed && t.n) {
        fputs("<p class=\"made\">Made ", f);
        lf_html_text(f, t.s);
        fputs(".</p>\n", f);
    }
    lf_string_free(&t);
}
