/* Text data sets: what the spec says, which files are meant, which records are drawn. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/files.h"
#include "data/text/labelled.h"

/* ---- what was asked for -------------------------------------------------------------------------------------------
 */

typedef struct request {
    const cJSON *path; /* a string or a list */
    const char *format, *split, *text_field, *prompt_template, *key;
    lf_dialect_spec dialect;
    bool classified;
    lf_text_labelling labelling; /* what is asked of records that are classified */
} request;

static const cJSON *spec_path(const cJSON *spec) {
    return cJSON_IsObject(spec) ? cJSON_GetObjectItemCaseSensitive(spec, "path") : spec;
}

static lf_status no_labels(const request *r, const char *key, lf_err *err) {
    return lf_fail(err, LF_EUSAGE, "%s: '%s' is for texts that are classified; a language model has no labels", r->key,
                   key);
}

/* A key of the spec that is a string: where it goes to. */
static lf_status read_string(request *r, const cJSON *v, lf_err *err) {
    const struct {
        const char *key;
        const char **to;
    } fields[] = {{"format", &r->format},
                  {"split", &r->split},
                  {"text_field", &r->text_field},
                  {"text_pair_field", r->classified ? &r->labelling.text_pair_field : NULL},
                  {"label_field", r->classified ? &r->labelling.label_field : NULL},
                  {"prompt_template", &r->prompt_template},
                  {"delimiter", &r->dialect.delimiter},
                  {"quoting", &r->dialect.quoting},
                  {"columns", &r->dialect.columns}};
    enum { N_FIELDS = sizeof fields / sizeof *fields };
    size_t i = 0;
    while (i < N_FIELDS && strcmp(fields[i].key, v->string)) i++;
    if (i == N_FIELDS)
        return lf_fail(err, LF_EUSAGE,
                       "%s: unknown key '%s'; expected path, format, split, text_field, text_pair_field, label_field, "
                       "label_separator, label_columns, prompt_template, delimiter, quoting or columns",
                       r->key, v->string);
    if (!cJSON_IsString(v)) return lf_fail(err, LF_EUSAGE, "%s: '%s': expected a string", r->key, v->string);
    if (!fields[i].to) return no_labels(r, v->string, err);
    *fields[i].to = v->valuestring;
    return LF_OK;
}

static lf_status read_key(request *r, const cJSON *v, lf_err *err) {
    bool taken;
    const lf_status rc = lf_label_form_take(&r->labelling.form, v, &taken, r->key, err);
    if (rc || !taken) return rc ? rc : read_string(r, v, err);
    return r->classified ? LF_OK : no_labels(r, v->string, err);
}

static lf_status read_spec(request *r, const lf_text_dataset_opts *opts, lf_err *err) {
    const cJSON *v;
    *r = (request){.path = spec_path(opts->spec),
                   .split = opts->split ? opts->split : "train",
                   .text_field = opts->text_field,
                   .prompt_template = opts->prompt_template,
                   .key = opts->key,
                   .classified = opts->labelling};
    if (opts->labelling) r->labelling = *opts->labelling;
    if (!opts->records && !cJSON_IsArray(r->path) && (!cJSON_IsString(r->path) || !*r->path->valuestring))
        return lf_fail(err, LF_EUSAGE, "%s: expected a path, a list of paths, or {\"path\": ..., \"format\": ...}",
                       r->key);
    lf_status rc = LF_OK;
    if (cJSON_IsObject(opts->spec)) cJSON_ArrayForEach(v, opts->spec) {
            if (!rc && v != r->path) rc = read_key(r, v, err);
        }
    if (rc || (rc = lf_dialect_check(&r->dialect, r->key, err))) return rc;
    if (!r->format || lf_text_format_named(r->format)) return LF_OK;
    char known[128];
    return lf_fail(err, LF_EUSAGE, "%s: unknown format '%s'; expected one of %s", r->key, r->format,
                   lf_text_format_names(known, sizeof known));
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static bool has_format(const char *name) { return lf_text_format_by_name_of(name); }

bool lf_text_dataset_has_split(const cJSON *spec, const char *split) {
    const cJSON *path = spec_path(spec);
    return cJSON_IsString(path) && lf_data_files_has_split(path->valuestring, split, has_format);
}

static lf_status open_shards(lf_text_shards **out, const request *r, const lf_text_dataset_opts *opts, lf_err *err) {
    const lf_text_format *format = r->format ? lf_text_format_named(r->format) : NULL;
    const lf_data_wanted w = {.key = r->key, .split = r->split, .ours = has_format};
    const lf_text_origin o = {.key = r->key,
                              .text_field = r->text_field,
                              .prompt_template = r->prompt_template,
                              .dialect = r->dialect,
                              .chat = opts->chat,
                              .prompts = opts->prompts,
                              .system = opts->system,
                              .labelling = r->classified ? &r->labelling : NULL,
                              .split = r->split,
                              .records = opts->records};
    lf_data_files files;
    if (opts->records) return lf_text_shards_open_given(out, &o, err);
    lf_status rc = lf_data_files_find(&files, r->path, &w, err);
    if (rc) return rc;
    lf_data_files_warn(&files);
    if (!files.folder)
        rc = lf_text_shards_open(out, format, &o, &files.paths, err);
    else if (format && !format->windowed)
        rc = lf_fail(err, LF_EDATA, "%s: %s: expected a file, or a folder with a file for split '%s'", r->key,
                     files.paths.at[0], r->split);
    else
        rc = lf_text_shards_open_folder(out, &o, files.paths.at[0], err);
    lf_data_files_free(&files);
    return rc;
}

/* ---- data sets ----------------------------------------------------------------------------------------------------
 */

static bool windowed(const lf_text_shards *s) { return s->stores[0]->format->windowed; }

/* Without the records, which others may share. */
static void free_alone(lf_text_dataset *d) {
    if (!d) return;
    lf_text_unread_free(d->unread);
    lf_free(d->pick);
    lf_free(d);
}

static lf_status dataset_over(lf_text_dataset **out, lf_text_shards *s, const lf_text_draw *draw, lf_err *err) {
    lf_text_dataset *d = lf_calloc(1, sizeof *d);
    if (!d) return lf_no_memory(err, "%s", s->path);
    *d = (lf_text_dataset){.shards = s, .draw = *draw, .n = s->first[s->n_stores]};
    lf_status rc = lf_text_unread_new(&d->unread, err);
    if (!rc && !windowed(s)) rc = lf_text_draw_from(&d->pick, &d->n, draw, d->n, s->path, err);
    if (rc)
        free_alone(d);
    else
        *out = d;
    return rc;
}

lf_status lf_text_dataset_open(lf_text_dataset **out, const lf_text_dataset_opts *opts, lf_err *err) {
    request r;
    lf_text_shards *s = NULL;
    lf_status rc;
    if ((rc = read_spec(&r, opts, err)) || (rc = open_shards(&s, &r, opts, err))) return rc;
    if (s->stores[0]->fields.label && (rc = lf_text_labels_read(&s->labels, s, &r.labelling, err))) {
        lf_text_shards_release(s);
        return rc;
    }
    const lf_text_draw draw = {.max_samples = opts->max_samples, .seed = opts->seed};
    if ((rc = dataset_over(out, s, &draw, err)))
        lf_text_shards_release(s);
    else if (opts->before)
        (*out)->before = *opts->before;
    return rc;
}

void lf_text_dataset_free(lf_text_dataset *d) {
    if (!d) return;
    lf_text_shards_release(d->shards);
    free_alone(d);
}

int64_t lf_text_dataset_count(const lf_text_dataset *d) { return d->n; }
bool lf_text_dataset_windowed(const lf_text_dataset *d) { return windowed(d->shards); }
const char *lf_text_dataset_path(const lf_text_dataset *d) { return d->shards->path; }

uint64_t lf_text_dataset_bytes(const lf_text_dataset *d) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < d->shards->n_stores; i++) sum += lf_text_store_bytes(d->shards->stores[i]);
    return sum;
}

/* Names are below the folder that all files share; of plain text in a folder, below that. */
static lf_status list_files(lf_paths *out, const lf_text_shards *s, lf_err *err) {
    for (int64_t i = 0; i < s->n_stores; i++) {
        const lf_text_store *store = s->stores[i];
        const bool many = store->format->many_files;
        const char *const *names = windowed(s) || many ? store->names : &store->path;
        for (int64_t k = 0; k < (windowed(s) ? store->n : many ? store->n_names : 1); k++)
            if (!lf_paths_add(out, names[k])) return lf_no_memory(err, "the fingerprint of %s", s->path);
    }
    return LF_OK;
}

lf_status lf_text_dataset_fingerprint(lf_fingerprint *out, const lf_text_dataset *d, lf_err *err) {
    lf_paths files = {0};
    char *root = NULL;
    lf_status rc = list_files(&files, d->shards, err);
    if (!rc && !lf_data_files_root(&root, &files)) rc = lf_no_memory(err, "the fingerprint of %s", d->shards->path);
    if (!rc)
        rc = lf_fingerprint_files(out, root, (const char *const *)files.at, files.n, false, &lf_fingerprint_usual, err);
    lf_free(root);
    lf_paths_free(&files);
    return rc;
}

static const lf_text_layout *layout_of(const lf_text_dataset *d) { return d->shards->stores[0]->layout; }

const char *lf_text_dataset_layout(const lf_text_dataset *d) {
    return layout_of(d) ? lf_text_layout_name(layout_of(d)) : "text";
}

bool lf_text_dataset_is(const lf_text_dataset *d, lf_text_trait trait) {
    return layout_of(d) && lf_text_layout_is(layout_of(d), trait);
}

/* The store of example i, which becomes its number there. */
static const lf_text_store *store_of(const lf_text_dataset *d, int64_t *i) {
    if (d->pick) *i = d->pick[*i];
    return lf_text_shards_at(d->shards, i);
}

void lf_text_dataset_say_unread(const lf_text_dataset *d) { lf_text_unread_say(d->unread, d->shards->path); }

const char *lf_text_dataset_record_name(const lf_text_dataset *d, int64_t i, char *buf, size_t size) {
    const lf_text_store *s = store_of(d, &i);
    return lf_text_store_record_name(s, i, buf, size);
}

int64_t lf_text_dataset_record(const lf_text_dataset *d, int64_t i) { return d->pick ? d->pick[i] : i; }

lf_status lf_text_dataset_example(const lf_text_dataset *d, int64_t i, lf_text_example *out, lf_err *err) {
    cJSON *record = NULL;
    const lf_text_store *s = store_of(d, &i);
    *out = (lf_text_example){0};
    lf_status rc = s->format->record(s, i, &record, err);
    if (!rc) rc = lf_text_layout_example(s, i, record, d->unread, out, err);
    cJSON_Delete(record);
    if (!rc && d->before.put && (rc = d->before.put(d->before.context, out, err))) lf_text_example_free(out);
    return rc;
}

lf_status lf_text_dataset_split(lf_text_dataset *d, double fraction, uint64_t seed, lf_text_dataset **held_out,
                                lf_err *err) {
    if (!(fraction > 0 && fraction < 1))
        return lf_fail(err, LF_EUSAGE, "train_val_split: expected a share above 0 and below 1, found %g", fraction);
    if (d->draw.held_share > 0)
        return lf_fail(err, LF_EUSAGE, "%s: a data set that was split cannot be split again", d->shards->path);
    lf_text_draw draw = d->draw;
    draw.held_share = fraction;
    draw.split_seed = seed;
    lf_text_dataset *kept = NULL, *held = NULL;
    lf_status rc = dataset_over(&kept, d->shards, &draw, err);
    draw.held = true;
    if (!rc) rc = dataset_over(&held, d->shards, &draw, err);
    if (!rc) {
        const lf_text_dataset was = *d;
        kept->before = held->before = d->before;
        atomic_fetch_add(&d->shards->users, 1);
        *d = *kept;
        *kept = was;
        *held_out = held;
    }
    free_alone(kept);
    return rc;
}
