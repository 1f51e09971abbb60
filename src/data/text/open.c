/* Opening text: what the spec says, which file is meant, which format it is, which records are drawn. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/image/dataset_internal.h"
#include "data/text/internal.h"

/* ---- formats ------------------------------------------------------------------------------------------------------
 */

#define LF_TEXT_FORMAT(name, extensions, first) extern const lf_text_format lf_text_##name;
#include "data/text/formats.def"
#undef LF_TEXT_FORMAT

static const struct {
    const lf_text_format *format;
    const char *extensions;
    char first;
} formats[] = {
#define LF_TEXT_FORMAT(name, extensions, first) {&lf_text_##name, extensions, first},
#include "data/text/formats.def"
#undef LF_TEXT_FORMAT
};

enum { N_FORMATS = sizeof formats / sizeof *formats };

static bool has_extension(const char *path, const char *extensions) {
    char name[16];
    const char *dot = strrchr(lf_path_base(path), '.');
    const size_t n = dot ? strlen(dot + 1) : 0;
    if (n == 0 || n >= sizeof name) return false;
    for (size_t i = 0; i <= n; i++) name[i] = (char)tolower((unsigned char)dot[1 + i]);
    return lf_has_item(extensions, name);
}

static const lf_text_format *format_named(const char *name) {
    for (int i = 0; i < N_FORMATS; i++)
        if (!strcmp(name, formats[i].format->name)) return formats[i].format;
    return NULL;
}

static lf_status recognise(const lf_text_format **out, const char *path, const char *key, lf_err *err) {
    for (int i = 0; i < N_FORMATS && !*out; i++)
        if (has_extension(path, formats[i].extensions)) *out = formats[i].format;
    if (*out) return LF_OK;
    lf_text_map m;
    const lf_status rc = lf_text_map_open(&m, path, err);
    if (rc) return rc;
    size_t at = 0;
    while (at < m.size && memchr(" \t\r\n", m.data[at], 4)) at++;
    for (int i = 0; i < N_FORMATS && !*out && at < m.size; i++)
        if (formats[i].first && formats[i].first == m.data[at]) *out = formats[i].format;
    lf_text_map_close(&m);
    if (*out) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "%s: %s: expected a .jsonl, .json, .csv, .tsv or .txt file by its name or first character; name the "
                   "format: {\"path\": ..., \"format\": \"text\"}",
                   key, path);
}

/* ---- files of a split ---------------------------------------------------------------------------------------------
 */

/* *out (lf_free): FOLDER/train.jsonl or the like; NULL if there is none. */
static lf_status split_file(char **out, const char *folder, const char *split, lf_err *err) {
    char **names = NULL;
    size_t n = 0;
    lf_status rc = lf_list_dir(&names, &n, folder, err);
    *out = NULL;
    const char *alias;
    for (int a = 0; !rc && !*out && (alias = lf_split_alias(split, a)); a++)
        for (size_t i = 0; i < n && !rc && !*out; i++) {
            const char *dot = strrchr(names[i], '.');
            if (!dot || strncmp(names[i], alias, (size_t)(dot - names[i])) || alias[dot - names[i]]) continue;
            bool known = false;
            for (int f = 0; f < N_FORMATS; f++) known = known || has_extension(names[i], formats[f].extensions);
            if (known && !(*out = lf_path_join(folder, names[i]))) rc = lf_no_memory(err, "%s", folder);
        }
    lf_free(names);
    return rc;
}

bool lf_text_dataset_has_split(const cJSON *spec, const char *split) {
    const cJSON *path = cJSON_IsObject(spec) ? cJSON_GetObjectItemCaseSensitive(spec, "path") : spec;
    char *file = NULL;
    if (!cJSON_IsString(path) || !lf_is_dir(path->valuestring)) return false;
    if (split_file(&file, path->valuestring, split, NULL)) return false;
    lf_free(file);
    return file != NULL;
}

/* ---- what was asked for -------------------------------------------------------------------------------------------
 */

typedef struct request {
    const char *path, *format, *split, *text_field, *prompt_template, *key;
} request;

static lf_status read_spec(request *r, const lf_text_dataset_opts *opts, lf_err *err) {
    const struct {
        const char *key;
        const char **to;
    } fields[] = {{"path", &r->path},
                  {"format", &r->format},
                  {"split", &r->split},
                  {"text_field", &r->text_field},
                  {"prompt_template", &r->prompt_template}};
    enum { N_FIELDS = sizeof fields / sizeof *fields };
    const cJSON *v;
    *r = (request){.split = opts->split ? opts->split : "train",
                   .text_field = opts->text_field,
                   .prompt_template = opts->prompt_template,
                   .key = opts->key};
    if (cJSON_IsString(opts->spec)) r->path = opts->spec->valuestring;
    if (cJSON_IsObject(opts->spec)) {
        cJSON_ArrayForEach(v, opts->spec) {
            size_t i = 0;
            while (i < N_FIELDS && strcmp(fields[i].key, v->string)) i++;
            if (i == N_FIELDS)
                return lf_fail(err, LF_EUSAGE,
                               "%s: unknown key '%s'; expected path, format, split, text_field or prompt_template",
                               opts->key, v->string);
            if (!cJSON_IsString(v)) return lf_fail(err, LF_EUSAGE, "%s: '%s': expected a string", opts->key, v->string);
            *fields[i].to = v->valuestring;
        }
    }
    if (!r->path || !*r->path)
        return lf_fail(err, LF_EUSAGE, "%s: expected a path, or {\"path\": ..., \"format\": ...}", opts->key);
    if (r->format && !format_named(r->format)) {
        char known[128] = "";
        for (int i = 0; i < N_FORMATS; i++) lf_list_append(known, sizeof known, formats[i].format->name);
        return lf_fail(err, LF_EUSAGE, "%s: unknown format '%s'; expected one of %s", opts->key, r->format, known);
    }
    return LF_OK;
}

/* ---- stores -------------------------------------------------------------------------------------------------------
 */

static void store_release(lf_text_store *s) {
    if (!s || atomic_fetch_sub(&s->users, 1) > 1) return;
    lf_text_map_close(&s->map);
    lf_free(s->begin);
    lf_arena_free(s->arena);
    lf_free(s);
}

/* Strings that outlive the request. */
static lf_status keep_strings(lf_text_store *s, const request *r, const char *path, lf_err *err) {
    const struct {
        const char *from;
        const char **to;
    } strings[] = {{path, &s->path}, {r->text_field, &s->text_field}, {r->prompt_template, &s->prompt_template}};
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

static lf_status store_open(lf_text_store **out, const lf_text_format *format, const request *r, const char *path,
                            const lf_text_chat *chat, lf_err *err) {
    lf_text_store *s = lf_calloc(1, sizeof *s);
    if (!s) return lf_no_memory(err, "%s", path);
    atomic_init(&s->users, 1);
    s->format = format;
    if (chat) s->chat = *chat;
    s->arena = lf_arena_new();
    lf_status rc = s->arena ? keep_strings(s, r, path, err) : lf_no_memory(err, "%s", path);
    if (!rc && !format->windowed && !(rc = lf_text_map_open(&s->map, s->path, err)) && s->map.size == 0)
        rc = lf_fail(err, LF_EDATA, "%s: %s: the file is empty; expected %s records", r->key, path, format->name);
    if (!rc) rc = format->index(s, err);
    if (!rc && s->n == 0)
        rc = lf_fail(err, LF_EDATA, "%s: %s: nothing in it; expected %s", r->key, path,
                     format->windowed ? "text" : "records, found blank lines or a heading alone");
    if (!rc) rc = choose_layout(s, err);
    if (rc)
        store_release(s);
    else
        *out = s;
    return rc;
}

static lf_status open_path(lf_text_store **out, const request *r, const lf_text_chat *chat, lf_err *err) {
    const lf_text_format *format = r->format ? format_named(r->format) : NULL;
    char *file = NULL;
    lf_status rc = LF_OK;
    const bool folder = lf_is_dir(r->path);
    if (!folder && !lf_is_file(r->path))
        return lf_fail(err, LF_ENOTFOUND, "%s: %s: no such file or folder", r->key, r->path);
    if (folder && (rc = split_file(&file, r->path, r->split, err))) return rc;
    const char *path = file ? file : r->path;
    if (folder && !file) {
        if (format && !format->windowed)
            rc = lf_fail(err, LF_EDATA, "%s: %s: expected a file, or a folder with a file for split '%s'", r->key, path,
                         r->split);
        format = format_named("text");
    } else if (!format) {
        rc = recognise(&format, path, r->key, err);
    }
    if (!rc) rc = store_open(out, format, r, path, chat, err);
    lf_free(file);
    return rc;
}

/* ---- data sets ----------------------------------------------------------------------------------------------------
 */

static lf_status dataset_over(lf_text_dataset **out, lf_text_store *s, const lf_text_draw *draw, lf_err *err) {
    lf_text_dataset *d = lf_calloc(1, sizeof *d);
    if (!d) return lf_no_memory(err, "%s", s->path);
    *d = (lf_text_dataset){.store = s, .draw = *draw, .n = s->n};
    const lf_status rc = s->format->windowed ? LF_OK : lf_text_draw_from(&d->pick, &d->n, draw, s->n, s->path, err);
    if (rc)
        lf_free(d);
    else
        *out = d;
    return rc;
}

lf_status lf_text_dataset_open(lf_text_dataset **out, const lf_text_dataset_opts *opts, lf_err *err) {
    request r;
    lf_text_store *s = NULL;
    lf_status rc;
    if ((rc = read_spec(&r, opts, err)) || (rc = open_path(&s, &r, opts->chat, err))) return rc;
    const lf_text_draw draw = {.max_samples = opts->max_samples, .seed = opts->seed};
    if ((rc = dataset_over(out, s, &draw, err))) store_release(s);
    return rc;
}

void lf_text_dataset_free(lf_text_dataset *d) {
    if (!d) return;
    store_release(d->store);
    lf_free(d->pick);
    lf_free(d);
}

int64_t lf_text_dataset_count(const lf_text_dataset *d) { return d->n; }
bool lf_text_dataset_windowed(const lf_text_dataset *d) { return d->store->format->windowed; }
const char *lf_text_dataset_path(const lf_text_dataset *d) { return d->store->path; }

lf_status lf_text_dataset_fingerprint(lf_fingerprint *out, const lf_text_dataset *d, lf_err *err) {
    const lf_text_store *s = d->store;
    const char *const *files = s->format->windowed ? s->names : &s->path;
    return lf_fingerprint_files(out, s->path, files, s->format->windowed ? s->n : 1, false, &lf_fingerprint_usual, err);
}

const char *lf_text_dataset_layout(const lf_text_dataset *d) {
    return d->store->layout ? lf_text_layout_name(d->store->layout) : "text";
}

bool lf_text_dataset_is(const lf_text_dataset *d, lf_text_trait trait) {
    return d->store->layout && lf_text_layout_is(d->store->layout, trait);
}

static int64_t record_of(const lf_text_dataset *d, int64_t i) { return d->pick ? d->pick[i] : i; }

const char *lf_text_dataset_record_name(const lf_text_dataset *d, int64_t i, char *buf, size_t size) {
    return lf_text_store_record_name(d->store, record_of(d, i), buf, size);
}

lf_status lf_text_dataset_example(const lf_text_dataset *d, int64_t i, lf_text_example *out, lf_err *err) {
    cJSON *record = NULL;
    const int64_t r = record_of(d, i);
    *out = (lf_text_example){0};
    lf_status rc = d->store->format->record(d->store, r, &record, err);
    if (!rc) rc = lf_text_layout_example(d->store, r, record, out, err);
    cJSON_Delete(record);
    return rc;
}

lf_status lf_text_dataset_split(lf_text_dataset *d, double fraction, uint64_t seed, lf_text_dataset **held_out,
                                lf_err *err) {
    if (!(fraction > 0 && fraction < 1))
        return lf_fail(err, LF_EUSAGE, "train_val_split: expected a share above 0 and below 1, found %g", fraction);
    if (d->draw.held_share > 0)
        return lf_fail(err, LF_EUSAGE, "%s: a data set that was split cannot be split again", d->store->path);
    lf_text_draw draw = d->draw;
    draw.held_share = fraction;
    draw.split_seed = seed;
    lf_text_dataset *kept = NULL, *held = NULL;
    lf_status rc = dataset_over(&kept, d->store, &draw, err);
    draw.held = true;
    if (!rc) rc = dataset_over(&held, d->store, &draw, err);
    if (!rc) {
        atomic_fetch_add(&d->store->users, 1);
        lf_free(d->pick);
        *d = *kept;
        *held_out = held;
    } else if (kept) {
        lf_free(kept->pick);
    }
    lf_free(kept);
    return rc;
}
