/* report.html of one run: one file that can be sent to a colleague. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "report/gather/collapsed.h"
#include "report/gather/gather.h"
#include "report/page/html_names.h"
#include "report/page/html_parts.h"
#include "report/page/report.h"

typedef struct page {
    const char *run;
    cJSON *results, *config, *error;
} page;

/* Where the adapter starts, in a sentence. */
static void start(FILE *f, const cJSON *results) {
    const char *line = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(results, "start"), "line"));
    if (!line) return;
    fputs("<p>The adapter starts from ", f);
    lf_html_text(f, line);
    fputs(".</p>\n", f);
}

static void how_base_is_judged(FILE *f, const cJSON *results) {
    if (cJSON_GetObjectItemCaseSensitive(results, "base_by_neighbours"))
        fputs("<p>The model has no head of its own, so its base task is judged by the nearest neighbours of its "
              "features, before and after.</p>\n",
              f);
}

/* What is chosen by forgetting is chosen on examples of their own. */
static void what_chose(FILE *f, const cJSON *results) {
    const cJSON *chose = cJSON_GetObjectItemCaseSensitive(results, "selection_samples");
    if (cJSON_IsNumber(chose))
        fprintf(f,
                "<p>Forgetting and retention are of examples of the base's task that chose nothing; "
                "%.0f others chose.</p>\n",
                chose->valuedouble);
}

static void collapse(FILE *f, const cJSON *results) {
    int n;
    const char *how = lf_collapsed_how(results, lf_yardstick_in(results, &n));
    if (how) fprintf(f, "<p class=\"bad\"><b>This run collapsed:</b> %s.</p>\n", how);
}

/* The results that the tool exists for, in front of all others. */
static void cards(FILE *f, const cJSON *results) {
    int n;
    lf_html_cards_begin(f);
    for (const lf_metric *m = lf_yardstick_in(results, &n)->figures; m->name; m++) {
        if (m->card) lf_html_card(f, m->scale * lf_json_number_in(results, m->name), m->decimals, m->unit, m->card);
    }
    lf_html_cards_end(f);
}

/* How a run ended that has no results. */
static void ending(FILE *f, const cJSON *error) {
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(error, "state"),
                *message = cJSON_GetObjectItemCaseSensitive(error, "message");
    fputs("<p class=\"bad\"><b>This run has no results: it ", f);
    lf_html_text(f, cJSON_IsString(state) ? state->valuestring : "failed");
    fputs(".</b>", f);
    if (cJSON_IsString(message)) {
        fputs("<br>", f);
        lf_html_text(f, message->valuestring);
    }
    fputs("</p>\n", f);
}

/* Those that stand in the folder; that of the curves is always named. */
static lf_status pictures(FILE *f, const page *p, lf_err *err) {
    static const struct {
        const char *name, *title, *caption;
    } all[] = {
        {"curves", "Curves", "What was learned and what was forgotten over the steps of training."},
        {"training", "Training",
         "The loss in training and on evaluation data, the learning rate, and the norm of the gradients before they "
         "are clipped."},
        {"confusion", "Confusion", "A row is what is right, a column what was said; the darker, the larger its share."},
        {"spectrum", "Spectrum",
         "Singular values of the adapted weights, and the components that the adapter starts from."},
        {"update-map", "Update", "Where the update lies in the basis of the weights' own singular vectors."},
    };
    lf_status rc = LF_OK;
    fputs("<h2>Pictures</h2>\n<div class=\"pictures\">\n", f);
    for (size_t i = 0; i < sizeof all / sizeof all[0] && !rc; i++) {
        char *file = lf_format("%s.svg", all[i].name), *csv = lf_format("%s.csv", all[i].name);
        char *path = file ? lf_path_join(p->run, file) : NULL, *numbers = csv ? lf_path_join(p->run, csv) : NULL;
        if (!path || !numbers)
            rc = lf_no_memory(err, "%s", p->run);
        else if (lf_is_file(path) || (i == 0 && lf_is_file(numbers)))
            rc = lf_html_picture(f, p->run, all[i].name, all[i].title, all[i].caption, err);
        lf_free(numbers);
        lf_free(path);
        lf_free(csv);
        lf_free(file);
    }
    fputs("</div>\n", f);
    return rc;
}

/* ---- which class is taken for which ---- */

enum { MOST_SHOWN = 40 }; /* classes; of more the CSV file is the better table */

/* The darker, the larger its share of the row. */
static void confusion_cell(FILE *f, double count, double of_row, bool right) {
    fprintf(f, "<td class=\"n\" style=\"background:rgba(%s,%.3f)\">", right ? "46,139,87" : "205,92,92",
            of_row > 0 ? 0.75 * count / of_row : 0);
    if (count > 0) fprintf(f, "%.0f", count);
    fputs("</td>", f);
}

static void confusion_row(FILE *f, const cJSON *labels, const cJSON *row, int label) {
    double sum = 0;
    const cJSON *count;
    int said = 0;
    cJSON_ArrayForEach(count, row) sum += count->valuedouble;
    const cJSON *right = cJSON_GetArrayItem(row, label);
    fputs("<tr><th>", f);
    lf_html_value(f, cJSON_GetArrayItem(labels, label));
    fprintf(f, "</th><td class=\"n\">%.0f</td><td class=\"n\">", sum);
    if (sum > 0) fprintf(f, "%.1f %%", 100 * (right ? right->valuedouble : 0) / sum);
    fputs("</td>", f);
    cJSON_ArrayForEach(count, row) confusion_cell(f, count->valuedouble, sum, said++ == label);
    fputs("</tr>\n", f);
}

/* ---- how well each of several labels is told ---- */

static void told_cell(FILE *f, const cJSON *class, const char *key, bool share) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(class, key);
    fputs("<td class=\"n\">", f);
    if (cJSON_IsNumber(v)) fprintf(f, share ? "%.1f %%" : "%.0f", share ? 100 * v->valuedouble : v->valuedouble);
    fputs("</td>", f);
}

static void told(FILE *f, const cJSON *classes) {
    static const struct {
        const char *key, *title;
        bool share;
    } columns[] = {{"samples", "examples", false},   {"said", "said", false},    {"right", "right", false},
                   {"precision", "precision", true}, {"recall", "recall", true}, {"f1", "F1", true}};
    const cJSON *class;
    fputs("<h2>How well each class is told</h2>\n", f);
    lf_html_table_begin(f);
    lf_html_column(f, "class", false);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) lf_html_column(f, columns[i].title, true);
    lf_html_rows(f);
    cJSON_ArrayForEach(class, classes) {
        fputs("<tr><th>", f);
        lf_html_value(f, cJSON_GetObjectItemCaseSensitive(class, "label"));
        fputs("</th>", f);
        for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
            told_cell(f, class, columns[i].key, columns[i].share);
        fputs("</tr>\n", f);
    }
    lf_html_table_end(f);
}

/* confusion.json of the run, as a table of which the cells are shaded. */
static void confusion(FILE *f, const char *run) {
    cJSON *json = NULL;
    if (lf_json_read_in(&json, run, "confusion.json", &(lf_err){0})) return;
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(json, "labels"),
                *counts = cJSON_GetObjectItemCaseSensitive(json, "counts"), *label, *row;
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(json, "classes");
    int number = 0;
    if (classes) {
        told(f, classes);
        cJSON_Delete(json);
        return;
    }
    fputs("<h2>Which class is taken for which</h2>\n", f);
    if (cJSON_GetArraySize(labels) > MOST_SHOWN) {
        fprintf(f, "<p>The numbers of %d classes are in confusion.csv.</p>\n", cJSON_GetArraySize(labels));
    } else {
        fputs("<p>A row is what is right, a column what was said; numbers are also in confusion.csv.</p>\n", f);
        lf_html_table_begin(f);
        lf_html_column(f, "class", false);
        lf_html_column(f, "examples", true);
        lf_html_column(f, "right", true);
        cJSON_ArrayForEach(label, labels) lf_html_column(f, cJSON_IsString(label) ? label->valuestring : "", true);
        lf_html_rows(f);
        cJSON_ArrayForEach(row, counts) confusion_row(f, labels, row, number++);
        lf_html_table_end(f);
    }
    cJSON_Delete(json);
}

static lf_status write_page(FILE *f, const page *p, lf_err *err) {
    char *config = lf_path_join(p->run, "config.json"), *subject = lf_page_subject(p->config);
    lf_html_begin(f, subject && subject[0] ? subject : "lora-ft run");
    if (p->results)
        cards(f, p->results);
    else
        ending(f, p->error);
    if (p->results) collapse(f, p->results);
    start(f, p->results ? p->results : p->error);
    how_base_is_judged(f, p->results);
    what_chose(f, p->results);
    const lf_status rc = config ? pictures(f, p, err) : lf_no_memory(err, "%s", p->run);
    if (p->results) {
        confusion(f, p->run);
        fputs("<h2>Results</h2>\n", f);
        lf_html_figures(f, p->results);
        lf_html_made(f, (const cJSON *const[]){p->results}, 1);
    }
    fputs("<h2>Configuration</h2>\n", f);
    lf_html_object(f, p->config, NULL);
    fputs("<h2>To repeat it</h2>\n", f);
    lf_html_command(
        f, (const char *const[]){"lora-ft", "train", "--config", config ? config : "", "--output_dir", "DIR", NULL});
    lf_html_end(f);
    lf_free(subject);
    lf_free(config);
    return rc;
}

static bool has_member(const char *run, const char *name) {
    char *path = lf_path_join(run, name);
    const bool there = path && lf_is_file(path);
    lf_free(path);
    return there;
}

lf_status lf_report_html(const char *run, lf_err *err) {
    page p = {.run = run};
    const bool ended_well = has_member(run, "all_results.json"),
               ended_badly = !ended_well && has_member(run, "error.json");
    lf_atomic_file a = {0};
    lf_status rc = LF_OK;
    if (!ended_well && !ended_badly)
        rc = lf_fail(err, LF_ENOTFOUND,
                     "%s: there is no all_results.json: the run is still going, or was interrupted; to go on with it: "
                     "lora-ft train --config %s/config.json --resume_from_checkpoint true",
                     run, run);
    if (!rc)
        rc = ended_badly ? lf_json_read_in(&p.error, run, "error.json", err)
                         : lf_json_read_in(&p.results, run, "all_results.json", err);
    if (!rc && !(rc = lf_json_read_in(&p.config, run, "config.json", err)) &&
        !(rc = lf_atomic_open_in(&a, run, "report.html", err)) && !(rc = write_page(a.f, &p, err)))
        rc = lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    cJSON_Delete(p.error);
    cJSON_Delete(p.config);
    cJSON_Delete(p.results);
    return rc;
}
