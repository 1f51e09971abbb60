/* Pairs of IDX files, as MNIST and its relatives come: grey pictures of one size in one file, labels in another,
 * either gzipped or not. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/image/dataset_internal.h"
#include "data/image/internal.h"
#include "io/gzip.h"

enum { IMAGES_MAGIC = 0x803, LABELS_MAGIC = 0x801 }; /* 08 = unsigned bytes, then the number of dimensions */
static const size_t MOST_BYTES = (size_t)4 << 30;

typedef struct idx {
    unsigned char *bytes;
    const unsigned char *data; /* past the header */
    int64_t n, h, w;           /* h = w = 1 for labels */
} idx;

static int64_t dimension(const unsigned char *bytes, int i) {
    const unsigned char *p = bytes + 4 * (i + 1);
    return (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | p[3];
}

static lf_status idx_read(idx *out, const char *path, uint32_t magic, const char *what, lf_err *err) {
    const int dims = (int)(magic & 0xff);
    const size_t header = 4 * (size_t)(dims + 1);
    size_t size = 0;
    *out = (idx){0};
    lf_status rc = lf_read_maybe_gzip(&out->bytes, &size, path, MOST_BYTES, err);
    if (rc) return rc;
    const unsigned char *b = out->bytes;
    const uint32_t found = size < 4 ? 0 : (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    if (found != magic)
        return lf_fail(err, LF_EDATA,
                       "%s: expected the magic number 0x%08" PRIx32 " of an IDX file of %s, found 0x%08" PRIx32
                       " (%zu bytes)",
                       path, magic, what, found, size);
    if (size < header)
        return lf_fail(err, LF_EDATA, "%s: the IDX header is cut short: expected %zu bytes, found %zu", path, header,
                       size);
    out->n = dimension(b, 0);
    out->h = dims > 1 ? dimension(b, 1) : 1;
    out->w = dims > 2 ? dimension(b, 2) : 1;
    out->data = b + header;
    if (!out->n || !out->h || !out->w || out->h > LF_IMAGE_MAX_PIXELS / out->w) /* and no product that overflows */
        return lf_fail(err, LF_EDATA,
                       "%s: %" PRId64 " %s of %" PRId64 " x %" PRId64 ": expected at least one, of 1 to %d pixels",
                       path, out->n, what, out->h, out->w, LF_IMAGE_MAX_PIXELS);
    uint64_t want; /* no overflow: the first factor is below 2^32, the other at most LF_IMAGE_MAX_PIXELS */
    if (lf_mul_overflow((uint64_t)out->n, (uint64_t)(out->h * out->w), &want) || want != size - header)
        return lf_fail(err, LF_EDATA,
                       "%s: %" PRId64 " %s of %" PRId64 " x %" PRId64 ": expected %" PRIu64
                       " bytes after the header, found %zu; is the download complete?",
                       path, out->n, what, out->h, out->w, want, size - header);
    return LF_OK;
}

/* ---- names ----------------------------------------------------------------------------------------------------------
 */

static bool names_images(const char *name) { return strstr(name, "images") && strstr(name, "idx3"); }

/* The length of the name without ".gz". */
static size_t stem(const char *name) {
    const size_t n = strlen(name);
    return n > 3 && !strcmp(name + n - 3, ".gz") ? n - 3 : n;
}

/* "train-images-idx3-ubyte" is of "train": a name of the split comes right before "-images". */
static bool of_split(const char *name, const char *split) {
    for (int i = 0; lf_split_alias(split, i); i++) {
        char token[64];
        snprintf(token, sizeof token, "%s-images", lf_split_alias(split, i));
        if (strstr(name, token)) return true;
    }
    return false;
}

/* The images file of `split` (NULL: of any) in a folder; a file and its .gz are one, and the plain one is taken.
 * Borrows from names. *n is how many there are; *list has their names. */
static const char *find_images(char **names, size_t count, const char *split, int *n, char *list, size_t size) {
    const char *found = NULL;
    *n = 0;
    list[0] = 0;
    for (size_t i = 0; i < count; i++) {
        if (!names_images(names[i]) || (split && !of_split(names[i], split))) continue;
        if (found && stem(found) == stem(names[i]) && !strncmp(found, names[i], stem(found))) continue;
        if (!found) found = names[i];
        lf_list_append(list, size, names[i]);
        ++*n;
    }
    return found;
}

/* *path: r->path itself, or the images file of the split in it. The caller frees it. */
static lf_status choose_images(char **path, const lf_data_request *r, lf_err *err) {
    if (!lf_is_dir(r->path)) {
        *path = lf_strdup(r->path);
        return *path ? LF_OK : lf_no_memory(err, "%s", r->path);
    }
    char **names = NULL, list[256], all[256];
    size_t count = 0;
    int n, any;
    lf_status rc = lf_list_dir(&names, &count, r->path, err);
    if (rc) return rc;
    find_images(names, count, NULL, &any, all, sizeof all);
    const char *found = find_images(names, count, r->split, &n, list, sizeof list);
    if (n == 1) {
        *path = lf_path_join(r->path, found);
        if (!*path) rc = lf_no_memory(err, "%s", r->path);
    } else if (!any) {
        rc = lf_fail(err, LF_EDATA, "%s: %s: no IDX files; expected names like train-images-idx3-ubyte.gz", r->key,
                     r->path);
    } else if (!n) {
        rc = lf_fail(err, LF_ENOTFOUND, "%s: %s: no IDX files of the split '%s'; there is %s", r->key, r->path,
                     r->split, all);
    } else {
        rc = lf_fail(err, LF_EUSAGE, "%s: %s: %s; say which one by \"split\", or give the images file as the path",
                     r->key, r->path, list);
    }
    lf_free(names);
    return rc;
}

/* Turns images into labels and idx3 into idx1 in the file's name, with or without .gz, whichever is there. NULL when
 * out of memory; *there tells whether the file exists. */
static char *labels_beside(const char *images, bool *there) {
    const char *base = lf_path_base(images), *a = strstr(base, "images"), *b = a ? strstr(a, "idx3") : NULL;
    *there = false;
    if (!b) return lf_strdup("");
    const int plain = (int)stem(b);
    for (int with_gz = 0;; with_gz++) {
        char *path = lf_format("%.*slabels%.*sidx1%.*s%s", (int)(a - images), images, (int)(b - a) - 6, a + 6,
                               plain - 4, b + 4, with_gz ? ".gz" : "");
        *there = path && lf_is_file(path);
        if (!path || *there || with_gz) return path;
        lf_free(path);
    }
}

/* ---- opening -------------------------------------------------------------------------------------------------------
 */

static lf_status name_classes(lf_store *s, int64_t highest, lf_err *err) {
    s->n_classes = highest + 1;
    s->class_names = lf_arena_alloc(s->arena, (size_t)s->n_classes * sizeof *s->class_names);
    bool ok = s->class_names;
    for (int64_t i = 0; i < s->n_classes && ok; i++) {
        char number[24];
        snprintf(number, sizeof number, "%" PRId64, i);
        ok = (s->class_names[i] = lf_arena_strdup(s->arena, number)) != NULL;
    }
    return ok ? LF_OK : lf_no_memory(err, "the classes of %s", s->path);
}

static lf_status take_labels(lf_store *s, const idx *labels, const char *path, lf_err *err) {
    if (labels->n != s->n)
        return lf_fail(err, LF_EDATA, "%s: expected %" PRId64 " labels, one for each picture in %s, found %" PRId64,
                       path, s->n, s->path, labels->n);
    int64_t highest = 0;
    for (int64_t i = 0; i < s->n; i++) {
        s->labels[i] = labels->data[i];
        if (labels->data[i] > highest) highest = labels->data[i];
    }
    return name_classes(s, highest, err);
}

/* The images file, then that of the labels. */
static lf_status add_file(lf_store *s, const char *path, lf_err *err) {
    enum { MOST = 2 };
    if (!s->files) s->files = lf_arena_alloc(s->arena, MOST * sizeof *s->files);
    const char *copy = s->files ? lf_arena_strdup(s->arena, path) : NULL;
    if (!copy) return lf_no_memory(err, "%s", path);
    s->files[s->n_files++] = copy;
    return LF_OK;
}

static lf_status read_labels(lf_store *s, const lf_data_request *r, lf_err *err) {
    idx labels = {0};
    bool there = true;
    char *path = r->labels ? lf_strdup(r->labels) : labels_beside(s->path, &there);
    lf_status rc;
    if (!path)
        rc = lf_no_memory(err, "the labels of %s", s->path);
    else if (!there)
        rc = lf_fail(err, LF_ENOTFOUND, "%s: %s: no labels file beside it%s%s; give it as \"labels\"", r->key, s->path,
                     path[0] ? ", expected " : "", path);
    else if (!(rc = add_file(s, path, err)) && !(rc = idx_read(&labels, path, LABELS_MAGIC, "labels", err)))
        rc = take_labels(s, &labels, path, err);
    lf_free(labels.bytes);
    lf_free(path);
    return rc;
}

static lf_status idx_open(lf_store *s, const lf_data_request *r, lf_err *err) {
    char *path = NULL;
    idx *images = s->source = lf_calloc(1, sizeof *images);
    if (!images) return lf_no_memory(err, "%s", s->path);
    if (r->label_field)
        return lf_fail(err, LF_EUSAGE, "%s: 'label_field' is for a metadata.csv in a folder of pictures; %s is IDX",
                       r->key, r->path);
    if (r->form.separator || r->form.columns)
        return lf_fail(
            err, LF_EUSAGE,
            "%s: 'label_separator' and 'label_columns' are for files with columns; %s is IDX, so leave it out", r->key,
            r->path);
    if (r->image_field)
        return lf_fail(err, LF_EUSAGE, "%s: 'image_field' names a column of Parquet files; %s is IDX, so leave it out",
                       r->key, r->path);
    lf_status rc = choose_images(&path, r, err);
    if (rc) return rc;
    rc = add_file(s, path, err);
    lf_free(path);
    if (rc) return rc;
    s->path = s->files[0];
    if ((rc = idx_read(images, s->path, IMAGES_MAGIC, "pictures", err))) return rc;
    s->n = images->n;
    s->labels = lf_calloc((size_t)s->n, sizeof *s->labels);
    if (!s->labels) return lf_no_memory(err, "the labels of %s", s->path);
    if (!r->unlabelled) return read_labels(s, r, err);
    for (int64_t i = 0; i < s->n; i++) s->labels[i] = -1;
    return LF_OK;
}

static void idx_close(lf_store *s) {
    idx *images = s->source;
    if (images) lf_free(images->bytes);
    lf_free(images);
}

static lf_status idx_image(const lf_store *s, int64_t i, lf_image *out, lf_err *err) {
    const idx *images = s->source;
    *out = (lf_image){0};
    const lf_status rc = lf_image_new(out, (int)images->w, (int)images->h, 1, err);
    const size_t size = (size_t)(images->w * images->h);
    if (!rc) memcpy(out->pixels, images->data + (size_t)i * size, size);
    return rc;
}

static const char *idx_name_of(const lf_store *s, int64_t i, char *buf, size_t size) {
    snprintf(buf, size, "%s[%" PRId64 "]", s->path, i);
    return buf;
}

static bool idx_recognises(const char *path, bool unlabelled) {
    (void)unlabelled;
    if (!lf_is_dir(path)) return strstr(lf_path_base(path), "idx3") || strstr(lf_path_base(path), "-ubyte");
    char **names = NULL, list[256];
    size_t count = 0;
    int n;
    if (lf_list_dir(&names, &count, path, NULL)) return false;
    const bool yes = find_images(names, count, NULL, &n, list, sizeof list);
    lf_free(names);
    return yes;
}

static bool idx_has_split(const char *path, const char *split) {
    char **names = NULL, list[256];
    size_t count = 0;
    int n;
    if (lf_list_dir(&names, &count, path, NULL)) return false;
    const bool yes = find_images(names, count, split, &n, list, sizeof list);
    lf_free(names);
    return yes;
}

const lf_data_format lf_data_idx = {
    .name = "idx",
    .expects = "IDX files (*-images-idx3-ubyte[.gz] with *-labels-idx1-ubyte[.gz])",
    .recognises = idx_recognises,
    .has_split = idx_has_split,
    .open = idx_open,
    .image = idx_image,
    .name_of = idx_name_of,
    .close = idx_close,
};
