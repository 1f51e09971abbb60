/* The verb `preview`: the first of the training data as the model will see them, and what all of them come to. The
 * source says it as JSON (task/source.h), and the text below prints the same object. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cells.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/plain.h"
#include "base/terminal.h"
#include "base/utf8.h"
#include "train/run.h"

enum { TEXTS = 3, PICTURES = 16 }; /* shown where the number is not given */

static const char *string(const cJSON *o, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

/* ---- text ---- */

/* What stands around the trained part. */
typedef struct marks {
    const char *begin, *end;
} marks;

static marks marks_for(FILE *out) {
    if (lf_shows_colours(fileno(out))) return (marks){"\033[32m", "\033[0m"};
    return (marks){"\u27e6", "\u27e7"};
}

/* Control characters could change a terminal; their pictures are shown. */
static void print_character(FILE *out, const char *s, size_t size) {
    char picture[4];
    uint32_t c;
    (void)lf_utf8_next(s, size, &c);
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
        fwrite(picture, 1, lf_utf8_put(picture, c == 0x7f ? 0x2421 : 0x2400 + c), out);
    else if (c >= 0x80 && c < 0xa0)
        fputs("\ufffd", out);
    else
        fwrite(s, 1, size, out);
}

static bool is_at(const cJSON *place, int64_t i) { return place && place->valuedouble == (double)i; }

/* Spans neither touch nor overlap, and are in ascending order. A new document of a row begins a line. */
static void print_text(FILE *out, const cJSON *record, marks m) {
    const cJSON *span = cJSON_GetObjectItemCaseSensitive(record, "spans")->child,
                *document = cJSON_GetObjectItemCaseSensitive(record, "documents")->child;
    const char *s = string(record, "text"), *last = s;
    if (document) document = document->next;
    for (int64_t i = 0; *s || span; i++) {
        if (span && is_at(span->child->next, i)) {
            fputs(m.end, out);
            span = span->next;
        }
        for (; is_at(document, i); document = document->next) fputs("\n-- next document of the row\n", out);
        if (span && is_at(span->child, i)) fputs(m.begin, out);
        if (!*s) break;
        const size_t size = lf_utf8_size(s);
        print_character(out, s, size);
        last = s;
        s += size;
    }
    fputs(*last == '\n' ? "\n" : "\n\n", out);
}

static void print_document(FILE *out, const cJSON *record, marks m) {
    fprintf(out, "== %s: %.0f tokens, %.0f trained", string(record, "name"), lf_json_number_in(record, "tokens"),
            lf_json_number_in(record, "trained"));
    if (lf_json_number_in(record, "cut") > 0) fprintf(out, ", %.0f cut off", lf_json_number_in(record, "cut"));
    fputc('\n', out);
    print_text(out, record, m);
}

/* A class, several of them, or a number. */
static void print_label(FILE *out, const cJSON *label) {
    const cJSON *item;
    if (cJSON_IsNumber(label)) fprintf(out, "%g", label->valuedouble);
    if (cJSON_IsString(label)) fprintf(out, "'%s'", label->valuestring);
    if (!cJSON_IsArray(label)) return;
    cJSON_ArrayForEach(item, label) fprintf(out, "%s'%s'", item == label->child ? "" : ", ", item->valuestring);
    if (!label->child) fputs("none", out);
}

static void print_classified(FILE *out, const cJSON *record) {
    const char *s = string(record, "text");
    fprintf(out, "== %s: %.0f tokens", string(record, "name"), lf_json_number_in(record, "tokens"));
    if (lf_json_number_in(record, "cut") > 0) fprintf(out, ", %.0f cut off", lf_json_number_in(record, "cut"));
    fputs(", label ", out);
    print_label(out, cJSON_GetObjectItemCaseSensitive(record, "label"));
    fputc('\n', out);
    for (size_t size; *s; s += size) {
        size = lf_utf8_size(s);
        print_character(out, s, size);
    }
    fputs("\n\n", out);
}

/* ---- what there is ---- */

static int widest_label(const cJSON *all) {
    const cJSON *record;
    int64_t widest = 0;
    cJSON_ArrayForEach(record, cJSON_GetObjectItemCaseSensitive(all, "records")) {
        const int64_t n = string(record, "label") ? lf_text_columns(string(record, "label")) : 0;
        if (n > widest) widest = n;
    }
    return (int)widest;
}

/* Names of files and labels are others' words; a text is shown with its line ends. */
static void print_records(FILE *out, const cJSON *all) {
    const cJSON *record;
    const marks m = marks_for(out);
    const int labels = widest_label(all);
    int64_t i = 0;
    cJSON_ArrayForEach(record, cJSON_GetObjectItemCaseSensitive(all, "records")) {
        lf_make_json_plain(cJSON_GetObjectItemCaseSensitive(record, "name"));
        lf_make_json_plain(cJSON_GetObjectItemCaseSensitive(record, "label"));
        if (cJSON_GetObjectItemCaseSensitive(record, "spans"))
            print_document(out, record, m);
        else if (string(record, "text"))
            print_classified(out, record);
        else
            lf_print_line(out, "%4lld  %s%*s  %s", (long long)++i, string(record, "label"),
                          labels - (int)lf_text_columns(string(record, "label")), "", string(record, "name"));
    }
    if (string(all, "sheet")) {
        fputc('\n', out);
        lf_print_line(out, "contact sheet: %s", string(all, "sheet"));
    }
}

static void print_counts(FILE *out, const cJSON *counts) {
    const cJSON *count, *class;
    lf_cells t = lf_cells_new(2, 0);
    cJSON_ArrayForEach(count, counts) {
        if (!cJSON_IsNumber(count)) continue;
        lf_cells_put(&t, "%s", count->string);
        lf_cells_put(&t, "%.0f", count->valuedouble);
    }
    cJSON_ArrayForEach(class, cJSON_GetObjectItemCaseSensitive(counts, "classes")) {
        lf_cells_put(&t, "  %s", class->string);
        lf_cells_put(&t, "%.0f", class->valuedouble);
    }
    lf_cells_print(&t, out);
}

/* ---- the verb ---- */

static int64_t how_many(const lf_run *run) {
    if (lf_cfg_is_given(run->cfg, LF_n)) return lf_cfg_i64(run->cfg, LF_n);
    return run->task->source->input == LF_PIXELS ? PICTURES : TEXTS;
}

static lf_status look(cJSON **out, const lf_config *cfg, lf_err *err) {
    lf_run run;
    lf_obj o = lf_obj_new();
    lf_status rc = lf_run_open_to_look(&run, cfg, err);
    if (!rc) rc = run.task->source->preview(run.task, how_many(&run), lf_cfg_str(cfg, LF_sheet), &o, err);
    *out = lf_obj_take(&o);
    lf_run_close(&run);
    return !rc && !*out ? lf_no_memory(err, "a preview") : rc;
}

lf_status lf_preview(const lf_config *cfg, FILE *out, lf_err *err) {
    cJSON *all;
    const lf_status rc = look(&all, cfg, err);
    if (!rc && lf_cfg_bool(cfg, LF_json)) return lf_json_write_line(out, all, err);
    if (!rc) print_records(out, all);
    lf_make_json_plain(cJSON_GetObjectItemCaseSensitive(all, "counts"));
    if (!rc) print_counts(out, cJSON_GetObjectItemCaseSensitive(all, "counts"));
    cJSON_Delete(all);
    return rc;
}
