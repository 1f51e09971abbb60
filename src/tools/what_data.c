/* Data sets: texts in files, pictures in folders, Parquet and IDX. Their own readers look; nothing of a model is
 * needed, so a chat is shown as what is said in it. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "data/image/dataset.h"
#include "data/splits.h"
#include "data/text/dataset.h"
#include "data/walk.h"
#include "parquet/parquet.h"
#include "tools/what_internal.h"

/* ---- records of text ---- */

/* A conversation without a template: what is said, and of the assistant that it is learned. */
static lf_status say_all(void *context, const lf_message *messages, size_t n, const cJSON *tools,
                         bool add_generation_prompt, lf_prompt *out, lf_err *err) {
    (void)context, (void)tools, (void)add_generation_prompt;
    lf_string s = {0};
    *out = (lf_prompt){.answers = lf_malloc((n ? n : 1) * sizeof *out->answers)};
    for (size_t i = 0; out->answers && i < n; i++) {
        const size_t begin = s.n;
        if (messages[i].content)
            lf_string_put(&s, messages[i].content, messages[i].n ? messages[i].n : strlen(messages[i].content));
        if (!messages[i].unlearned && strcmp(messages[i].role, "assistant") == 0 && s.n > begin)
            out->answers[out->n_answers++] = (lf_answer){begin, s.n};
    }
    out->n = s.n;
    out->text = lf_string_take(&s);
    if (out->text && out->answers) return LF_OK;
    lf_prompt_free(out);
    return lf_no_memory(err, "a conversation");
}

static lf_status look_at_records(lf_what_of *w, const lf_text_dataset *d) {
    const int64_t n = lf_text_dataset_count(d), seen = n < LF_WHAT_RECORDS ? n : LF_WHAT_RECORDS;
    int64_t longest = 0, bytes = 0;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < seen && !rc; i++) {
        lf_text_example e = {0};
        lf_err found = {0};
        rc = lf_text_dataset_example(d, i, &e, &found);
        if (!rc) {
            bytes += (int64_t)e.n;
            if ((int64_t)e.n > longest) longest = (int64_t)e.n;
            lf_text_example_free(&e);
        }
        rc = lf_interrupted() ? LF_EINTERRUPTED : lf_what_note(w, rc, &found);
    }
    if (seen < n) lf_what_count(w, "looked_at", seen);
    lf_what_count(w, "longest_bytes", longest);
    lf_what_count(w, "mean_bytes", seen ? bytes / seen : 0);
    return rc;
}

static lf_status look_at_texts(lf_what_of *w, const lf_text_dataset *d) {
    lf_what_count(w, "unpacked_bytes", (int64_t)lf_text_dataset_bytes(d));
    lf_obj_string(&w->facts, "layout", lf_text_dataset_layout(d));
    if (lf_text_dataset_windowed(d)) {
        lf_what_count(w, "texts", lf_text_dataset_count(d));
        return LF_OK;
    }
    lf_what_count(w, "records", lf_text_dataset_count(d));
    if (lf_text_dataset_is(d, LF_TEXT_CLASSIFIED) && lf_text_dataset_labelled(d)) {
        int64_t n;
        const char *const *classes = lf_text_dataset_classes(d, &n);
        if (classes) lf_what_count(w, "classes", n);
        if (classes) lf_what_names(w, "class_names", classes, n);
    }
    return look_at_records(w, d);
}

lf_status lf_what_records(lf_what_of *w, const char *path, const char *split) {
    static const lf_text_chat chat = {.render = say_all};
    static const lf_text_labelling labelling = {.labels = LF_TEXT_LABELS_MAYBE};
    lf_err found = {0};
    lf_text_dataset *d = NULL;
    cJSON *spec = cJSON_CreateString(path);
    const lf_log_level level = lf_log_set_level(LF_LOG_QUIET);
    lf_status rc = spec ? LF_OK : LF_ENOMEM;
    if (!rc) {
        const lf_text_dataset_opts opts = {
            .spec = spec, .key = "paths", .split = split, .chat = &chat, .labelling = &labelling};
        rc = lf_text_dataset_open(&d, &opts, &found);
    }
    rc = rc ? lf_what_note(w, rc, &found) : look_at_texts(w, d);
    lf_log_set_level(level);
    lf_text_dataset_free(d);
    cJSON_Delete(spec);
    return rc;
}

bool lf_kind_is_records(const lf_what_of *w) {
    return lf_text_dataset_format_of(w->path, (const char *)w->begins, w->n_begins) != NULL;
}

lf_status lf_kind_look_records(lf_what_of *w) {
    lf_obj_string(&w->facts, "format", lf_text_dataset_format_of(w->path, (const char *)w->begins, w->n_begins));
    return lf_what_records(w, w->path, "train");
}

/* ---- Parquet ---- */

bool lf_kind_is_parquet(const lf_what_of *w) { return lf_parquet_begins(w->begins, w->n_begins); }

static lf_status look_at_rows(lf_what_of *w, const lf_parquet *p) {
    const int64_t n = lf_parquet_rows(p), seen = n < LF_WHAT_RECORDS ? n : LF_WHAT_RECORDS;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < seen && !rc; i++) {
        cJSON *row = NULL;
        lf_err found = {0};
        rc = lf_parquet_row(p, i, &row, &found);
        cJSON_Delete(row);
        rc = lf_interrupted() ? LF_EINTERRUPTED : lf_what_note(w, rc, &found);
    }
    if (seen < n) lf_what_count(w, "looked_at", seen);
    return rc;
}

static void list_columns(lf_what_of *w, const lf_parquet *p) {
    lf_obj columns = lf_list_new(), others = lf_obj_new();
    for (int64_t i = 0; i < lf_parquet_columns(p); i++) {
        const lf_parquet_column *c = lf_parquet_column_at(p, i);
        lf_list_string(&columns, c->name);
        if (c->left_out) lf_obj_string(&others, c->name, c->left_out);
    }
    lf_obj_put(&w->facts, "columns", lf_obj_take(&columns));
    lf_obj_put(&w->facts, "no_text", lf_obj_take(&others));
}

lf_status lf_kind_look_parquet(lf_what_of *w) {
    lf_parquet *p = NULL;
    lf_err found = {0};
    lf_status rc = lf_parquet_open(&p, w->path, &found);
    if (rc) return lf_what_note(w, rc, &found);
    lf_what_count(w, "rows", lf_parquet_rows(p));
    lf_what_count(w, "unpacked_bytes", (int64_t)lf_parquet_bytes(p));
    list_columns(w, p);
    rc = look_at_rows(w, p);
    lf_parquet_close(p);
    return rc;
}

/* ---- pictures ---- */

typedef struct picture_walk {
    lf_what_of *w;
    int64_t pictures, others;
} picture_walk;

static lf_status look_at_picture(void *context, const char *path, lf_err *err) {
    picture_walk *p = context;
    unsigned char begins[LF_KIND_BYTES];
    size_t n = 0;
    lf_err found = {0};
    if (lf_interrupted()) return lf_fail(err, LF_EINTERRUPTED, "interrupted");
    if (!lf_image_has_extension(path) &&
        (lf_file_begins(begins, sizeof begins, &n, path, NULL) || !lf_image_format(begins, n, path))) {
        p->others++;
        return LF_OK;
    }
    if (p->pictures++ >= LF_WHAT_DECODED) return lf_what_note(p->w, lf_image_check_file(path, &found), &found);
    lf_image img = {0};
    const lf_status rc = lf_image_load(&img, path, &found);
    lf_image_free(&img);
    return lf_what_note(p->w, rc, &found);
}

/* The classes of each split that is there, or why pictures have none. */
static lf_status labels_of_split(lf_what_of *w, const char *split) {
    lf_dataset *d = NULL;
    lf_err found = {0};
    cJSON *spec = cJSON_CreateString(w->path);
    lf_status rc = spec ? LF_OK : LF_ENOMEM;
    lf_obj o = lf_obj_new();
    if (!rc) rc = lf_dataset_open(&d, &(lf_dataset_opts){.spec = spec, .key = "paths", .split = split}, &found);
    if (rc == LF_ENOMEM || rc == LF_EINTERRUPTED) goto out;
    if (rc)
        lf_obj_string(&o, "no_labels", found.message);
    else {
        lf_obj_number(&o, "examples", (double)lf_dataset_count(d));
        lf_obj_number(&o, "classes", (double)lf_dataset_n_classes(d));
    }
    rc = LF_OK;
    lf_obj_put(&w->facts, split, lf_obj_take(&o));
out:
    cJSON_Delete(lf_obj_take(&o));
    lf_dataset_free(d);
    cJSON_Delete(spec);
    return rc;
}

static lf_status labels_of(lf_what_of *w) {
    cJSON *spec = cJSON_CreateString(w->path);
    const lf_log_level level = lf_log_set_level(LF_LOG_QUIET);
    lf_status rc = spec ? LF_OK : LF_ENOMEM;
    int n = 0;
    for (int i = 0; lf_split_at(i) && !rc; i++)
        if (lf_dataset_has_split(spec, lf_split_at(i))) n++, rc = labels_of_split(w, lf_split_at(i));
    if (!rc && !n) rc = labels_of_split(w, "train");
    lf_log_set_level(level);
    cJSON_Delete(spec);
    return rc;
}

static lf_status find_picture(void *context, const char *path, lf_err *err) {
    if (!lf_image_has_extension(path)) return LF_OK;
    *(bool *)context = true;
    return lf_fail(err, LF_EFAIL, "found"); /* ends the walk */
}

bool lf_kind_is_pictures(const lf_what_of *w) {
    bool found = false;
    (void)lf_walk_files(&(lf_walk){.context = &found, .file = find_picture}, w->path, NULL);
    return found;
}

lf_status lf_kind_look_pictures(lf_what_of *w) {
    picture_walk p = {.w = w};
    lf_err found = {0};
    lf_status rc = lf_walk_files(&(lf_walk){.context = &p, .file = look_at_picture}, w->path, &found);
    rc = lf_what_note(w, rc, &found);
    lf_what_count(w, "pictures", p.pictures);
    lf_what_count(w, "other_files", p.others);
    return rc ? rc : labels_of(w);
}

bool lf_kind_is_idx_folder(const lf_what_of *w) {
    for (size_t i = 0; i < w->n_names; i++)
        if (strstr(w->names[i], "idx3-ubyte")) return true;
    return false;
}

lf_status lf_kind_look_idx_folder(lf_what_of *w) {
    const lf_status rc = labels_of(w);
    const cJSON *o;
    for (int i = 0; !rc && lf_split_at(i); i++) {
        o = cJSON_GetObjectItemCaseSensitive(w->facts.json, lf_split_at(i));
        const char *why = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "no_labels"));
        if (why) lf_what_problem(w, why);
    }
    return rc;
}

/* ---- texts in a folder ---- */

static bool is_data(const char *name) { return lf_text_dataset_format_of(name, "", 0) != NULL; }

bool lf_kind_is_texts(const lf_what_of *w) {
    for (size_t i = 0; i < w->n_names; i++)
        if (is_data(w->names[i])) return true;
    return false;
}

/* Split by split, else as a folder of texts. */
lf_status lf_kind_look_texts(lf_what_of *w) {
    cJSON *spec = cJSON_CreateString(w->path);
    lf_status rc = spec ? LF_OK : LF_ENOMEM;
    int n = 0;
    for (int i = 0; lf_split_at(i) && !rc; i++) {
        if (!lf_text_dataset_has_split(spec, lf_split_at(i))) continue;
        lf_what_of one = {.path = w->path, .facts = lf_obj_new(), .problems = w->problems, .n_problems = w->n_problems};
        rc = lf_what_records(&one, w->path, lf_split_at(i));
        w->problems = one.problems;
        w->n_problems = one.n_problems;
        lf_obj_put(&w->facts, lf_split_at(i), lf_obj_take(&one.facts));
        n++;
    }
    if (!rc && !n) rc = lf_what_records(w, w->path, "train");
    cJSON_Delete(spec);
    return rc;
}
