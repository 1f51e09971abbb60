/* report.html: one file that can be sent to a colleague. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "report/report.h"

static void escaped(FILE *f, const char *s) {
    for (; *s; s++) {
        switch (*s) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc(*s, f);
        }
    }
}

static void value(FILE *f, const cJSON *v) {
    if (cJSON_IsNumber(v)) {
        fprintf(f, "%.6g", v->valuedouble);
    } else if (cJSON_IsString(v)) {
        escaped(f, v->valuestring);
    } else {
        char *text = lf_json_print_line(v);
        escaped(f, text ? text : "?");
        lf_free(text);
    }
}

/* Every member of an object as a row; null members say nothing and are left out. */
static void table(FILE *f, const char *title, const cJSON *object) {
    fprintf(f, "<h2>%s</h2>\n<table>\n", title);
    const cJSON *v;
    cJSON_ArrayForEach(v, object) {
        if (cJSON_IsNull(v)) continue;
        fputs("<tr><th>", f);
        escaped(f, v->string);
        fputs("</th><td>", f);
        value(f, v);
        fputs("</td></tr>\n", f);
    }
    fputs("</table>\n", f);
}

/* The result that the tool exists for, in front of all others. */
typedef struct card {
    const char *key, *label, *unit;
    double scale;
} card;
static const card of_pictures[] = {
    {"eval_accuracy", "new task", "%", 100},       {"test_accuracy", "new task, test", "%", 100},
    {"base_before", "base task before", "%", 100}, {"base_after", "base task after", "%", 100},
    {"forgetting", "forgetting", "points", 100},   {"retention", "retention", "%", 100}, {0}};
static const card of_language[] = {
    {"eval_perplexity", "perplexity, new text", "", 1},           {"test_perplexity", "perplexity, test", "", 1},
    {"eval_choice_accuracy", "multiple choice", "%", 100},        {"eval_exact_match", "exact match", "%", 100},
    {"base_before", "perplexity, pretraining text before", "", 1}, {"base_after", "perplexity, pretraining text after", "", 1},
    {"forgetting", "forgetting", "nats", 1},                      {"retention", "retention", "%", 100}, {0}};

static bool is_language(const cJSON *results) { return cJSON_HasObjectItem(results, "eval_perplexity"); }

static void cards(FILE *f, const cJSON *results) {
    fputs("<div class=\"cards\">\n", f);
    for (const card *c = is_language(results) ? of_language : of_pictures; c->key; c++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(results, c->key);
        if (cJSON_IsNumber(v)) fprintf(f, "<div><b>%.2f %s</b><br>%s</div>\n", c->scale * v->valuedouble, c->unit, c->label);
    }
    fputs("</div>\n", f);
}

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>lora-ft run</title>\n<style>\n"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:860px;margin:0 auto;padding:1rem;color:#1c1c1c;background:#fff}\n"
    "table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #ddd;"
    "overflow-wrap:anywhere}th{font-weight:500;width:40%}\n"
    ".cards{display:flex;flex-wrap:wrap;gap:.8rem}.cards div{border:1px solid #ccc;border-radius:.5rem;padding:.5rem 1rem}.cards b{font-size:1.3rem}\n"
    "svg{max-width:100%;height:auto}pre{overflow-x:auto;border:1px solid #ddd;padding:.6rem}\n"
    "@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}th,td{border-color:#3a3a3a}}\n"
    "</style></head><body>\n<h1>lora-ft run</h1>\n";

static void picture(FILE *f, const char *run, const char *what) {
    char *path = lf_path_join(run, "curves.svg"), *svg = NULL;
    size_t size;
    if (path && lf_is_file(path) && lf_file_read(&svg, &size, path, NULL) == LF_OK) {
        const char *start = strstr(svg, "<svg"); /* an XML prologue has no place inside a page */
        fprintf(f, "<h2>%s over steps</h2>\n%s\n", what, start ? start : "");
    } else
        fputs("<p>No picture: gnuplot was not there. The numbers are in curves.csv.</p>\n", f);
    lf_free(svg);
    lf_free(path);
}

static lf_status read_member(cJSON **out, const char *run, const char *name, lf_err *err) {
    char *path = lf_path_join(run, name);
    const lf_status rc = path ? lf_json_read(out, path, err) : lf_fail(err, LF_ENOMEM, "%s: out of memory", run);
    lf_free(path);
    return rc;
}

lf_status lf_report_html(const char *run, lf_err *err) {
    cJSON *results = NULL, *config = NULL;
    char *path = lf_path_join(run, "report.html");
    lf_atomic_file a = {0};
    lf_status rc = path ? LF_OK : lf_fail(err, LF_ENOMEM, "%s: out of memory", run);
    if (!rc && !(rc = read_member(&results, run, "all_results.json", err)) && !(rc = read_member(&config, run, "config.json", err)) &&
        !(rc = lf_atomic_open(&a, path, err))) {
        fputs(head, a.f);
        cards(a.f, results);
        picture(a.f, run, is_language(results) ? "Perplexity" : "Accuracy");
        table(a.f, "Results", results);
        table(a.f, "Configuration", config);
        fputs("<h2>To repeat it</h2>\n<pre>lora-ft train --config ", a.f);
        escaped(a.f, run);
        fprintf(a.f, "/config.json --output_dir DIR</pre>\n<p>lora-ft %s</p>\n</body></html>\n", lf_version());
        rc = lf_atomic_commit(&a, err);
    }
    lf_atomic_abort(&a);
    cJSON_Delete(results);
    cJSON_Delete(config);
    lf_free(path);
    return rc;
}
