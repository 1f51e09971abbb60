/* Several data sets read as one: folders of tasks, say, that are trained together. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "data/files.h"
#include "data/image/dataset_internal.h"

typedef struct joined {
    lf_store **parts;
    int64_t n;
    int64_t *first; /* [n + 1] number of each part's first picture */
} joined;

static const lf_store *part_of(const lf_store *s, int64_t *i) {
    const joined *j = s->source;
    int64_t k = 0;
    while (*i >= j->first[k + 1]) k++;
    *i -= j->first[k];
    return j->parts[k];
}

static lf_status image(const lf_store *s, int64_t i, lf_image *out, lf_err *err) {
    const lf_store *part = part_of(s, &i);
    return part->format->image(part, i, out, err);
}

/* A format without a look that is cheaper decodes. */
static lf_status check(const lf_store *s, int64_t i, lf_err *err) {
    const lf_store *part = part_of(s, &i);
    lf_image decoded;
    if (part->format->check) return part->format->check(part, i, err);
    const lf_status rc = part->format->image(part, i, &decoded, err);
    if (!rc) lf_image_free(&decoded);
    return rc;
}

static const char *name_of(const lf_store *s, int64_t i, char *buf, size_t size) {
    const lf_store *part = part_of(s, &i);
    return part->format->name_of(part, i, buf, size);
}

static void close(lf_store *s) {
    joined *j = s->source;
    for (int64_t i = 0; j && i < j->n; i++) lf_store_release(j->parts[i]);
}

static const lf_data_format format = {
    .name = "joined", .image = image, .check = check, .name_of = name_of, .close = close};

/* The folder that all are in, or else the first. */
static const char *common_path(lf_arena *arena, lf_store *const *parts, int64_t n) {
    const char **paths = lf_arena_alloc(arena, (size_t)n * sizeof *paths);
    for (int64_t i = 0; i < n && paths; i++) paths[i] = parts[i]->path;
    size_t length = paths ? lf_data_files_folder(paths, n) : 0;
    char *path = paths ? lf_arena_strdup(arena, paths[0]) : NULL;
    if (length > 1) length--; /* its slash */
    if (path && length) path[length] = 0;
    return path;
}

/* What is read: pictures, and the files that say their labels. */
static bool list_files(lf_store *s, lf_store *const *parts, int64_t n) {
    int64_t room = 0;
    for (int64_t i = 0; i < n; i++) room += parts[i]->n_files + 2;
    s->files = lf_arena_alloc(s->arena, (size_t)room * sizeof *s->files);
    for (int64_t i = 0; i < n && s->files; i++) {
        const lf_store *p = parts[i];
        for (int64_t k = 0; k < p->n_files; k++) s->files[s->n_files++] = p->files[k];
        if (p->table) s->files[s->n_files++] = p->table;
        if (p->label_map) s->files[s->n_files++] = p->label_map;
    }
    return s->files;
}

static lf_status name_classes(lf_store *s, lf_store *const *parts, int64_t n, lf_err *err) {
    int64_t room = 1, named = 0;
    for (int64_t i = 0; i < n; i++) room += parts[i]->n_classes;
    const char **names = lf_calloc((size_t)room, sizeof *names);
    if (!names) return lf_no_memory(err, "the classes of %s", s->path);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < parts[i]->n_classes; c++) names[named++] = parts[i]->class_names[c];
    const lf_status rc = lf_store_name_classes(s, names, lf_class_names_sort(names, named), err);
    lf_free(names);
    return rc;
}

static bool take_labels(lf_store *s, const joined *j) {
    if (!(s->labels = lf_malloc((size_t)(s->n + 1) * sizeof *s->labels))) return false;
    for (int64_t p = 0; p < j->n; p++) {
        const lf_store *part = j->parts[p];
        for (int64_t i = 0; i < part->n; i++) {
            const int32_t own = part->labels[i];
            s->labels[j->first[p] + i] =
                own < 0 ? -1 : (int32_t)lf_class_names_find(part->class_names[own], s->class_names, s->n_classes);
        }
    }
    return true;
}

static lf_status fill(lf_store *s, lf_store *const *parts, int64_t n, const char *key, lf_err *err) {
    s->path = common_path(s->arena, parts, n);
    joined *j = lf_arena_alloc(s->arena, sizeof *j);
    if (!s->path || !j || !(j->parts = lf_arena_alloc(s->arena, (size_t)n * sizeof *j->parts)) ||
        !(j->first = lf_arena_alloc(s->arena, (size_t)(n + 1) * sizeof *j->first)) || !list_files(s, parts, n))
        return lf_no_memory(err, "the data of %s", parts[0]->path);
    for (int64_t i = 0; i < n; i++) {
        if (parts[i]->several.begin)
            return lf_fail(err, LF_EUNSUPPORTED,
                           "%s: %s: pictures with several classes each are not joined from a list of folders; give one "
                           "folder, or Parquet files",
                           key, parts[i]->path);
        j->parts[i] = parts[i];
        j->first[i] = s->n;
        s->n += parts[i]->n;
    }
    j->first[n] = s->n;
    j->n = n;
    const lf_status rc = name_classes(s, parts, n, err);
    if (rc || !take_labels(s, j)) return rc ? rc : lf_no_memory(err, "the labels of %s", s->path);
    s->source = j; /* from here on they are its own */
    return LF_OK;
}

lf_status lf_store_join(lf_store **out, lf_store *const *parts, int64_t n, const char *key, lf_err *err) {
    lf_store *s = lf_calloc(1, sizeof *s);
    if (!s) return lf_no_memory(err, "the data of %s", parts[0]->path);
    atomic_init(&s->users, 1);
    s->format = &format;
    s->arena = lf_arena_new();
    const lf_status rc = s->arena ? fill(s, parts, n, key, err) : lf_no_memory(err, "the data of %s", parts[0]->path);
    if (rc)
        lf_store_release(s);
    else
        *out = s;
    return rc;
}
