/* Texts by class: a folder of texts for each class (IMDb's pos and neg), each file a text; or a file for each class
 * (pos.txt, neg.txt), each line a text. As records: {"text": ..., "label": the folder's or the file's name}. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/left_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/splits.h"
#include "data/text/internal.h"
#include "data/walk.h"
#include "io/unpack.h"

/* A folder of texts that nobody has classified, beside those of the classes. */
static const char unclassified[] = "unsup";

typedef struct class_files {
    bool lines;           /* a record is a line; else a file */
    const char **classes; /* [n_names] of each file of the store's names */
    int64_t classes_room, names_room;
    lf_text_map *maps; /* [n_names] of lines */
    int64_t *first;    /* [n_names + 1] of lines: number of a file's first record */
    lf_left_out others;
} class_files;

static void close_files(lf_text_store *s) {
    class_files *f = s->source;
    if (!f) return;
    for (int64_t i = 0; f->maps && i < s->n_names; i++) lf_text_map_close(&f->maps[i]);
    lf_free(f->maps);
    lf_free(f->first);
    lf_free(f->classes);
    lf_free(s->names);
    lf_left_out_free(&f->others);
    lf_free(f);
}

static lf_status out_of_memory(const lf_text_store *s, lf_err *err) {
    return lf_no_memory(err, "the files of %s", s->path);
}

static lf_status add_file(lf_text_store *s, const char *path, const char *class, lf_err *err) {
    class_files *f = s->source;
    if (!lf_grow(&s->names, &f->names_room, s->n_names + 1) || !lf_grow(&f->classes, &f->classes_room, s->n_names + 1))
        return out_of_memory(s, err);
    s->names[s->n_names] = lf_arena_strdup(s->arena, path);
    f->classes[s->n_names] = class;
    return s->names[s->n_names++] ? LF_OK : out_of_memory(s, err);
}

/* ---- a folder a class ---- */

typedef struct gathering {
    lf_text_store *store;
    const char *class;
} gathering;

static lf_status meet_file(void *context, const char *path, lf_err *err) {
    gathering *g = context;
    class_files *f = g->store->source;
    if (lf_text_is_plain_name(lf_path_base(path))) return add_file(g->store, path, g->class, err);
    return lf_left_out_add_file(&f->others, path) ? LF_OK : out_of_memory(g->store, err);
}

static lf_status gather_class(lf_text_store *s, const char *folder, const char *name, lf_err *err) {
    char *path = lf_path_join(folder, name);
    gathering g = {s, lf_arena_strdup(s->arena, name)};
    const lf_walk walk = {.context = &g, .file = meet_file, .known_file = lf_text_is_plain_name};
    bool is_dir = false;
    lf_status rc = path && g.class ? lf_look_for_dir(&is_dir, path, err) : out_of_memory(s, err);
    if (!rc && is_dir) rc = lf_walk_files(&walk, path, err);
    lf_free(path);
    return rc;
}

/* ---- a file a class ---- */

/* "pos" of "a/pos.txt.gz"; in the arena. */
static const char *stem_of(lf_text_store *s, const char *path) {
    const char *base = lf_path_base(path);
    char *name = lf_arena_strdup(s->arena, base);
    if (!name) return NULL;
    name[lf_packing_stem(base)] = 0;
    char *dot = strrchr(name, '.');
    if (dot && dot > name) *dot = 0;
    return name;
}

static lf_status add_class_file(lf_text_store *s, const char *path, lf_err *err) {
    const char *class = stem_of(s, path);
    return class ? add_file(s, path, class, err) : out_of_memory(s, err);
}

/* Lines with something in them. */
static lf_status index_lines(lf_text_store *s, int64_t file, lf_err *err) {
    class_files *f = s->source;
    lf_text_map *m = &f->maps[file];
    lf_status rc = lf_text_map_open(m, s->names[file], err);
    f->first[file] = s->n;
    for (uint64_t at = 0, next; !rc && at < m->size; at = next) {
        const char *end = memchr(m->data + at, '\n', m->size - at);
        next = end ? (uint64_t)(end - m->data) + 1 : m->size;
        for (uint64_t c = at; c < next && !rc; c++)
            if (!memchr(" \t\r\n", m->data[c], 4)) {
                rc = lf_text_store_add(s, at, err);
                break;
            }
    }
    f->first[file + 1] = s->n;
    return rc;
}

static lf_status index_all_lines(lf_text_store *s, lf_err *err) {
    class_files *f = s->source;
    lf_status rc = LF_OK;
    f->lines = true;
    f->maps = lf_calloc((size_t)s->n_names, sizeof *f->maps);
    f->first = lf_calloc((size_t)s->n_names + 1, sizeof *f->first);
    if (!f->maps || !f->first) return out_of_memory(s, err);
    for (int64_t i = 0; i < s->n_names && !rc; i++) {
        rc = index_lines(s, i, err);
        s->bytes += f->maps[i].base_size;
    }
    return rc;
}

/* ---- the folder ---- */

/* The folder of the split in `folder`, else that itself. NULL: out of memory. */
static char *folder_for(const char *folder, const char *split) {
    const char *alias;
    for (int a = 0; split && (alias = lf_split_alias(split, a)); a++) {
        char *below = lf_path_join(folder, alias);
        if (!below || lf_is_dir(below)) return below;
        lf_free(below);
    }
    return lf_strdup(folder);
}

/* Folders first: files beside them say something about them. */
static lf_status search(lf_text_store *s, const char *folder, char *const *names, size_t n, lf_err *err) {
    lf_status rc = LF_OK;
    for (size_t i = 0; i < n && !rc; i++) {
        if (lf_split_known(names[i]) && s->split) /* of another split */
            return lf_fail(err, LF_EDATA, "%s: expected a folder for the split '%s', or folders of classes; found '%s'",
                           folder, s->split, names[i]);
        if (!strcmp(names[i], unclassified))
            lf_warn("%s: the texts in '%s' have no class and are left out", folder, names[i]);
        else if (!lf_is_hidden(names[i]))
            rc = gather_class(s, folder, names[i], err);
    }
    if (rc || s->n_names) return rc;
    for (size_t i = 0; i < n && !rc; i++) {
        char *path = lf_text_is_plain_name(names[i]) ? lf_path_join(folder, names[i]) : NULL;
        if (path && lf_is_file(path)) rc = add_class_file(s, path, err);
        lf_free(path);
    }
    return rc ? rc : s->n_names ? index_all_lines(s, err) : LF_OK;
}

static lf_status search_folder(lf_text_store *s, lf_err *err) {
    class_files *f = s->source;
    char *folder = folder_for(s->path, s->split), **names = NULL, found[300];
    size_t n = 0;
    lf_status rc = folder ? lf_list_dir(&names, &n, folder, err) : out_of_memory(s, err);
    if (!rc) rc = search(s, folder, names, n, err);
    if (!rc && !s->n_names)
        rc = lf_fail(err, LF_EDATA,
                     "%s: expected a folder of .txt files for each class, or a .txt file for each, or records with a "
                     "label (train.jsonl and the like), found %s",
                     folder, f->others.n ? lf_left_out_text(&f->others, found, sizeof found) : "neither");
    if (!rc && f->others.n)
        lf_warn("%s: only .txt, .text and .md files are read; left out: %s", folder,
                lf_left_out_text(&f->others, found, sizeof found));
    lf_free(names);
    lf_free(folder);
    return rc;
}

static lf_status index_files(lf_text_store *s, lf_err *err) {
    class_files *f = s->source = lf_calloc(1, sizeof *f);
    if (!f) return out_of_memory(s, err);
    lf_status rc = LF_OK;
    for (int64_t i = 0; s->given && i < s->given->n && !rc; i++) rc = add_class_file(s, s->given->at[i], err);
    if (!rc) rc = s->given ? index_all_lines(s, err) : search_folder(s, err);
    for (int64_t i = 0; i < s->n_names && !rc && !f->lines; i++) rc = lf_text_store_add(s, 0, err);
    if (!rc && !s->n) rc = lf_fail(err, LF_EDATA, "%s: nothing in its files; expected a text a line", s->path);
    return rc;
}

/* ---- a record ---- */

static int64_t file_of(const lf_text_store *s, int64_t i) {
    const class_files *f = s->source;
    if (!f->lines) return i;
    int64_t low = 0, high = s->n_names - 1;
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        if (f->first[middle] <= i)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void name_of(const lf_text_store *s, int64_t i, char *buf, size_t size) {
    const class_files *f = s->source;
    const int64_t file = file_of(s, i);
    if (f->lines)
        snprintf(buf, size, "%s: line %" PRIu64, s->names[file], lf_text_map_line(&f->maps[file], s->begin[i]));
    else
        snprintf(buf, size, "%s", s->names[file]);
}

static lf_status make_record(const lf_text_store *s, int64_t i, const char *text, size_t n, cJSON **out, lf_err *err) {
    const class_files *f = s->source;
    char name[600];
    if (n && memchr(text, 0, n)) {
        name_of(s, i, name, sizeof name);
        return lf_fail(err, LF_EDATA, "%s: a NUL byte; is this a text file?", name);
    }
    char *copy = lf_copy_text(text, n);
    cJSON *record = cJSON_CreateObject();
    const bool ok = copy && record && cJSON_AddStringToObject(record, "text", copy) &&
                    cJSON_AddStringToObject(record, "label", f->classes[file_of(s, i)]);
    lf_free(copy);
    *out = ok ? record : NULL;
    if (!ok) cJSON_Delete(record);
    return ok ? LF_OK : lf_no_memory(err, "a text of %s", s->path);
}

static lf_status record(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    const class_files *f = s->source;
    lf_text_map own = {0};
    const lf_text_map *m = f->lines ? &f->maps[file_of(s, i)] : &own;
    lf_status rc = f->lines ? LF_OK : lf_text_map_open(&own, s->names[i], err);
    if (rc) return rc;
    const uint64_t begin = f->lines ? s->begin[i] : 0;
    const char *end = f->lines ? memchr(m->data + begin, '\n', m->size - begin) : NULL;
    uint64_t n = (end ? (uint64_t)(end - m->data) : m->size) - begin;
    if (f->lines && n && m->data[begin + n - 1] == '\r') n--;
    if (n) rc = lf_text_map_check_utf8(m, begin, begin + n, err);
    if (!rc) rc = make_record(s, i, n ? m->data + begin : "", n, out, err);
    lf_text_map_close(&own);
    return rc;
}

const lf_text_format lf_text_class_files = {.name = "texts by class",
                                            .own_file = true,
                                            .many_files = true,
                                            .index = index_files,
                                            .record = record,
                                            .name_of = name_of,
                                            .close = close_files};
