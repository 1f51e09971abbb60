/* The files of a data set, opened one after the other: each a store, but plain text, which is one store for all. */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/files.h"
#include "data/text/labelled.h"
#include "data/text/trec.h"

/* ---- stores -------------------------------------------------------------------------------------------------------
 */

void lf_text_store_free(lf_text_store *s) {
    if (!s) return;
    if (s->format->close) s->format->close(s);
    lf_text_map_close(&s->map);
    for (int64_t i = 0; s->kept && i <= s->n; i++) lf_text_map_close(&s->kept[i]); /* the last may be half made */
    lf_free(s->begin);
    lf_arena_free(s->arena);
    lf_free(s);
}

/* What outlives the request. */
static lf_status keep_labelling(lf_text_store *s, const lf_text_labelling *how, lf_err *err) {
    lf_text_labelling *kept = how ? lf_arena_alloc(s->arena, sizeof *kept) : NULL;
    if (!how) return LF_OK;
    bool good = kept;
    if (good) {
        *kept = *how;
        good = lf_label_form_keep(&kept->form, s->arena) &&
               (!how->label_field || (kept->label_field = lf_arena_strdup(s->arena, how->label_field))) &&
               (!how->text_pair_field || (kept->text_pair_field = lf_arena_strdup(s->arena, how->text_pair_field)));
    }
    s->labelling = kept;
    return good ? LF_OK : lf_no_memory(err, "%s", s->path);
}

static lf_status keep_strings(lf_text_store *s, const lf_text_origin *o, const char *path, lf_err *err) {
    const struct {
        const char *from;
        const char **to;
    } strings[] = {{path, &s->path},
                   {o->text_field, &s->text_field},
                   {o->prompt_template, &s->prompt_template},
                   {o->system, &s->system},
                   {o->split, &s->split},
                   {o->dialect.delimiter, &s->dialect_spec.delimiter},
                   {o->dialect.quoting, &s->dialect_spec.quoting},
                   {o->dialect.columns, &s->dialect_spec.columns}};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (strings[i].from && !(*strings[i].to = lf_arena_strdup(s->arena, strings[i].from)))
            return lf_no_memory(err, "%s", path);
    return LF_OK;
}

static lf_status choose_layout(lf_text_store *s, lf_err *err) {
    cJSON *first = NULL;
    lf_status rc = s->prompt_template ? lf_text_template_check(s->prompt_template, err) : LF_OK;
    if (rc || s->format->windowed) return rc;
    if (!(rc = s->format->record(s, 0, &first, err))) rc = lf_text_layout_choose(s, first, err);
    cJSON_Delete(first);
    return rc;
}

static lf_status fill(lf_text_store *s, const lf_text_origin *o, const char *path, lf_err *err) {
    const lf_text_format *format = s->format;
    lf_status rc = s->arena ? keep_strings(s, o, path, err) : lf_no_memory(err, "%s", path);
    s->prompts = o->prompts;
    s->given_records = o->records;
    if (!rc) rc = keep_labelling(s, o->labelling, err);
    if (!rc && !format->delimited && (o->dialect.delimiter || o->dialect.quoting || o->dialect.columns))
        rc = lf_fail(err, LF_EUSAGE, "%s: 'delimiter', 'quoting' and 'columns' are for CSV and TSV; %s is %s", o->key,
                     path, format->name);
    if (!rc && !format->windowed && !format->own_file && !(rc = lf_text_map_open(&s->map, s->path, err)) &&
        s->map.size == 0)
        rc = lf_fail(err, LF_EDATA, "%s: %s: the file is empty; expected %s records", o->key, path, format->name);
    if (!rc) rc = format->index(s, err);
    if (rc || (s->n == 0 && format->own_file)) return rc;
    if (s->n == 0)
        return lf_fail(err, LF_EDATA, "%s: %s: nothing in it; expected %s", o->key, path,
                       format->windowed ? "text" : "records, found blank lines or a heading alone");
    return choose_layout(s, err);
}

lf_status lf_text_store_open(lf_text_store **out, const lf_text_format *format, const lf_text_origin *o,
                             const char *path, const lf_paths *given, lf_err *err) {
    lf_text_store *s = lf_calloc(1, sizeof *s);
    if (!s) return lf_no_memory(err, "%s", path);
    s->format = format;
    if (o->chat) s->chat = *o->chat;
    s->arena = lf_arena_new();
    s->given = given;
    const lf_status rc = fill(s, o, path, err);
    s->given = NULL;
    if (rc)
        lf_text_store_free(s);
    else
        *out = s;
    return rc;
}

uint64_t lf_text_store_bytes(const lf_text_store *s) {
    uint64_t sum = s->map.base_size + s->bytes;
    for (int64_t i = 0; s->format->windowed && i < s->n; i++) sum += s->begin[i];
    return sum;
}

/* ---- shards -------------------------------------------------------------------------------------------------------
 */

void lf_text_shards_release(lf_text_shards *s) {
    if (!s || atomic_fetch_sub(&s->users, 1) > 1) return;
    for (int64_t i = 0; i < s->n_stores; i++) lf_text_store_free(s->stores[i]);
    lf_labels_free(s->labels);
    lf_free(s->stores);
    lf_free(s->first);
    lf_free((char *)s->path);
    lf_free(s);
}

static lf_text_shards *new_shards(const char *path, int64_t most) {
    lf_text_shards *s = lf_calloc(1, sizeof *s);
    if (!s) return NULL;
    atomic_init(&s->users, 1);
    s->path = lf_strdup(path);
    s->stores = lf_calloc((size_t)most, sizeof *s->stores);
    s->first = lf_calloc((size_t)most + 1, sizeof *s->first);
    if (s->path && s->stores && s->first) return s;
    lf_text_shards_release(s);
    return NULL;
}

static void add_store(lf_text_shards *s, lf_text_store *store) {
    s->stores[s->n_stores++] = store;
    s->first[s->n_stores] = s->first[s->n_stores - 1] + store->n;
}

/* Behind a packing, if there is one. */
static lf_status by_content(const lf_text_format **out, const char *path, lf_err *err) {
    lf_text_map m;
    const lf_status rc = lf_text_map_open(&m, path, err);
    if (rc) return rc;
    *out = lf_text_format_by_beginning(m.data, m.size, 1);
    lf_text_map_close(&m);
    return LF_OK;
}

/* What a file certainly is by its beginning, else by its name, else by its first character. */
static lf_status recognise(const lf_text_format **out, const char *path, const char *key, lf_err *err) {
    enum { CERTAIN = 4 };
    char head[64];
    size_t n;
    lf_status rc = lf_file_begins(head, sizeof head, &n, path, err);
    if (rc) return rc;
    if ((*out = lf_text_format_by_beginning(head, n, CERTAIN)) || (*out = lf_text_format_by_name_of(path)))
        return LF_OK;
    if ((rc = by_content(out, path, err)) || *out) return rc;
    return lf_fail(
        err, LF_EDATA,
        "%s: %s: expected a .jsonl, .json, .csv, .tsv, .parquet or .txt file by its name or first character; "
        "name the format: {\"path\": ..., \"format\": \"text\"}",
        key, path);
}

static bool same_field(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

static lf_status check_like_first(const lf_text_shards *s, const lf_text_store *store, lf_err *err) {
    const lf_text_store *first = s->stores[0];
    if (store->layout == first->layout && same_field(store->fields.text, first->fields.text) &&
        same_field(store->fields.second, first->fields.second) && same_field(store->fields.label, first->fields.label))
        return LF_OK;
    if (store->layout == first->layout)
        return lf_fail(err, LF_EDATA,
                       "%s: its text and label are the fields '%s' and '%s', but those of %s are '%s' and '%s'; the "
                       "files of one data set need the same",
                       store->path, store->fields.text, store->fields.label ? store->fields.label : "none", first->path,
                       first->fields.text, first->fields.label ? first->fields.label : "none");
    return lf_fail(err, LF_EDATA,
                   "%s: its records are of layout '%s', but those of %s of '%s'; the files of one data set need one "
                   "layout",
                   store->path, lf_text_layout_name(store->layout), first->path, lf_text_layout_name(first->layout));
}

/* A file that says of itself that it has no rows adds no store. */
static lf_status open_records(lf_text_shards *s, const lf_text_format *format, const lf_text_origin *o,
                              const char *path, lf_err *err) {
    lf_text_store *store = NULL;
    lf_status rc = format ? LF_OK : recognise(&format, path, o->key, err);
    if (!rc && format->windowed)
        return lf_fail(err, LF_EUSAGE, "%s: %s is plain text, but %s holds records; they cannot be one data set",
                       o->key, path, s->n_stores ? s->stores[0]->path : s->path);
    if (rc || (rc = lf_text_store_open(&store, format, o, path, NULL, err))) return rc;
    if (store->n && s->n_stores) rc = check_like_first(s, store, err);
    if (rc || !store->n)
        lf_text_store_free(store);
    else
        add_store(s, store);
    return rc;
}

static lf_status open_all_records(lf_text_shards *s, const lf_text_format *first, const lf_text_format *format,
                                  const lf_text_origin *o, const lf_paths *files, lf_err *err) {
    const char *without = NULL;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < files->n && !rc; i++) {
        const int64_t before = s->n_stores;
        rc = open_records(s, i ? format : first, o, files->at[i], err);
        if (s->n_stores == before && !without) without = files->at[i];
    }
    if (!rc && !s->n_stores)
        rc = lf_fail(err, LF_EDATA, "%s: %s: nothing in it; expected records, found none", o->key, s->path);
    if (!rc) lf_data_files_warn_of_no_rows(without, files->n - s->n_stores);
    return rc;
}

static lf_status open_plain(lf_text_shards *s, const lf_text_format *format, const lf_text_origin *o,
                            const lf_paths *files, bool named, lf_err *err) {
    lf_text_store *store;
    const lf_text_format *other = format;
    for (int64_t i = 1; i < files->n && !named; i++) {
        const lf_status rc = recognise(&other, files->at[i], o->key, err);
        if (rc) return rc;
        if (other != format)
            return lf_fail(err, LF_EUSAGE, "%s: %s is plain text, but %s holds records; they cannot be one data set",
                           o->key, files->at[0], files->at[i]);
    }
    const lf_status rc = lf_text_store_open(&store, format, o, s->path, files, err);
    if (!rc) add_store(s, store);
    return rc;
}

/* Is plain text that of classes? What needs no label is read as documents. */
static bool by_class(const lf_text_origin *o) { return o->labelling && o->labelling->labels != LF_TEXT_LABELS_MAYBE; }

static lf_status open_class_files(lf_text_shards *s, const lf_text_origin *o, const lf_paths *files, lf_err *err) {
    lf_text_store *store;
    if (files->n < 2 && o->labelling->labels == LF_TEXT_LABELS_NEEDED)
        return lf_fail(err, LF_EDATA,
                       "%s: %s is plain text, which has no labels; expected records with a label, or a .txt file or a "
                       "folder of .txt files for each class",
                       o->key, files->at[0]);
    const lf_status rc = lf_text_store_open(&store, &lf_text_class_files, o, s->path, files, err);
    if (!rc) add_store(s, store);
    return rc;
}

/* Where texts are classified, plain text whose every line has its class in front is TREC's. */
static lf_status look_for_trec(const lf_text_format **format, const lf_text_origin *o, const char *path, lf_err *err) {
    lf_text_map m;
    if (!(*format)->windowed || !o->labelling) return LF_OK;
    const lf_status rc = lf_text_map_open(&m, path, err);
    if (rc) return rc;
    if (lf_text_trec_fits(&m)) {
        *format = &lf_text_trec;
        lf_info("%s: each line is a class, a subclass and a text, as TREC has them (\"format\" of the data says "
                "otherwise)",
                path);
    }
    lf_text_map_close(&m);
    return LF_OK;
}

lf_status lf_text_shards_open(lf_text_shards **out, const lf_text_format *format, const lf_text_origin *o,
                              const lf_paths *files, lf_err *err) {
    char path[1024];
    const lf_text_format *first = format;
    lf_status rc = first ? LF_OK : recognise(&first, files->at[0], o->key, err);
    if (rc || (!format && (rc = look_for_trec(&first, o, files->at[0], err)))) return rc;
    if (first == &lf_text_trec) format = first; /* other files are no plain text beside it */
    lf_text_shards *s = new_shards(lf_data_files_text(files, path, sizeof path), files->n);
    if (!s) return lf_no_memory(err, "%s", files->at[0]);
    if (first->windowed && by_class(o))
        rc = open_class_files(s, o, files, err);
    else if (first->windowed)
        rc = open_plain(s, first, o, files, format, err);
    else
        rc = open_all_records(s, first, format, o, files, err);
    if (rc)
        lf_text_shards_release(s);
    else
        *out = s;
    return rc;
}

/* One store for all that is at a path, or called so. */
static lf_status open_one(lf_text_shards **out, const lf_text_format *format, const lf_text_origin *o, const char *path,
                          lf_err *err) {
    lf_text_shards *s = new_shards(path, 1);
    lf_text_store *store;
    if (!s) return lf_no_memory(err, "%s", path);
    const lf_status rc = lf_text_store_open(&store, format, o, path, NULL, err);
    if (rc) {
        lf_text_shards_release(s);
        return rc;
    }
    add_store(s, store);
    *out = s;
    return LF_OK;
}

lf_status lf_text_shards_open_folder(lf_text_shards **out, const lf_text_origin *o, const char *folder, lf_err *err) {
    return open_one(out, by_class(o) ? &lf_text_class_files : lf_text_format_named("text"), o, folder, err);
}

lf_status lf_text_shards_open_given(lf_text_shards **out, const lf_text_origin *o, lf_err *err) {
    if (cJSON_GetArraySize(o->records) == 0) return lf_fail(err, LF_EDATA, "%s: there are none", o->key);
    return open_one(out, &lf_text_given, o, o->key, err);
}

const lf_text_store *lf_text_shards_at(const lf_text_shards *s, int64_t *i) {
    int64_t low = 0, high = s->n_stores - 1;
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        if (s->first[middle] <= *i)
            low = middle;
        else
            high = middle - 1;
    }
    *i -= s->first[low];
    return s->stores[low];
}
