#include "data/image/dataset_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <xxhash.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/slice.h"
#include "data/files.h"
#include "io/unpack.h"

struct lf_dataset {
    lf_store *store;
    int64_t n;
    int64_t *pick; /* [n] into the store, ascending */
    bool sampled;  /* it was drawn from a larger one, of which the rest is no one's */
};

#define LF_DATA_FORMAT(name) extern const lf_data_format lf_data_##name;
#include "data/image/formats.def"
#undef LF_DATA_FORMAT

static const lf_data_format *const formats[] = {
#define LF_DATA_FORMAT(name) &lf_data_##name,
#include "data/image/formats.def"
#undef LF_DATA_FORMAT
};

enum { N_FORMATS = sizeof formats / sizeof *formats };

/* ---- what was asked for ---------------------------------------------------------------------------------------------
 */

static const cJSON *spec_path(const cJSON *spec) {
    return cJSON_IsObject(spec) ? cJSON_GetObjectItemCaseSensitive(spec, "path") : spec;
}

/* A key of the spec but its path; those that are strings have a place to go to. */
static lf_status read_key(lf_data_request *r, const char **format, const cJSON *v, lf_err *err) {
    bool taken;
    const lf_status rc = lf_label_form_take(&r->form, v, &taken, r->key, err);
    const struct {
        const char *key;
        const char **to;
    } fields[] = {{"format", format},
                  {"split", &r->split},
                  {"labels", &r->labels},
                  {"label_field", &r->label_field},
                  {"image_field", &r->image_field}};
    enum { N_FIELDS = sizeof fields / sizeof *fields };
    size_t i = 0;
    if (rc || taken || !strcmp(v->string, "path")) return rc;
    if (!strcmp(v->string, "label_map") && (cJSON_IsString(v) || cJSON_IsObject(v))) {
        r->label_map = v;
        return LF_OK;
    }
    while (i < N_FIELDS && strcmp(fields[i].key, v->string)) i++;
    if (i < N_FIELDS && cJSON_IsString(v)) {
        *fields[i].to = v->valuestring;
        return LF_OK;
    }
    if (i < N_FIELDS) return lf_fail(err, LF_EUSAGE, "%s: '%s': expected a string", r->key, v->string);
    if (!strcmp(v->string, "label_map"))
        return lf_fail(err, LF_EUSAGE,
                       "%s: 'label_map': expected a path, or an object from a name in the data to a class", r->key);
    return lf_fail(err, LF_EUSAGE,
                   "%s: unknown key '%s'; expected path, format, split, labels, label_map, label_field, "
                   "label_separator, label_columns or image_field",
                   r->key, v->string);
}

/* Takes spec apart. *format stays NULL if none is named. */
static lf_status read_spec(lf_data_request *r, const lf_data_format **format, const lf_dataset_opts *opts,
                           lf_err *err) {
    const char *name = NULL;
    const cJSON *v;
    lf_status rc = LF_OK;
    r->paths = spec_path(opts->spec);
    r->path = cJSON_GetStringValue(cJSON_IsArray(r->paths) ? r->paths->child : r->paths);
    if (!r->path || !*r->path)
        return lf_fail(err, LF_EUSAGE,
                       "%s: expected a path, a list of paths, or {\"path\": ..., \"format\": ..., \"split\": ...}",
                       opts->key);
    if (cJSON_IsObject(opts->spec)) cJSON_ArrayForEach(v, opts->spec) {
            if (!rc) rc = read_key(r, &name, v, err);
        }
    if (rc) return rc;
    if (r->unlabelled && (r->label_map || r->label_field || r->form.separator || r->form.columns))
        return lf_fail(err, LF_EUSAGE,
                       "%s: 'label_map', 'label_field' and the like are for data with labels, which are not read here",
                       r->key);
    if (r->label_field && r->form.columns)
        return lf_fail(err, LF_EUSAGE, "%s: 'label_field' and 'label_columns' both say where labels are; give one",
                       r->key);
    char known[128] = "";
    for (int i = 0; name && i < N_FORMATS && !*format; i++) {
        if (!strcmp(name, formats[i]->name)) *format = formats[i];
        lf_list_append(known, sizeof known, formats[i]->name);
    }
    if (name && !*format)
        return lf_fail(err, LF_EUSAGE, "%s: unknown format '%s'; expected one of %s", opts->key, name, known);
    return LF_OK;
}

static const lf_data_format *recognise(const char *path, bool unlabelled) {
    for (int i = 0; i < N_FORMATS; i++)
        if (formats[i]->recognises(path, unlabelled)) return formats[i];
    return NULL;
}

/* What a file is that nobody recognises, if it can be named. */
static lf_status name_kind(const lf_data_request *r, lf_err *err) {
    unsigned char head[LF_KIND_BYTES];
    size_t n;
    if (!lf_is_file(r->path)) return LF_OK;
    const lf_status rc = lf_file_begins(head, sizeof head, &n, r->path, err);
    return rc ? rc : lf_refuse_kind(head, n, r->path, err);
}

/* A list of folders (or of what else is no file of many pictures): each is opened by itself. */
static bool are_parts(const lf_data_format *named, const lf_data_request *r) {
    const cJSON *item;
    bool any = false, all = cJSON_IsArray(r->paths);
    cJSON_ArrayForEach(item, r->paths) {
        const char *path = cJSON_GetStringValue(item);
        const bool there = path && lf_exists(path); /* one that is not is told of when it is opened */
        const lf_data_format *f = named ? named : there ? recognise(path, r->unlabelled) : NULL;
        any = any || (f && !f->takes_lists);
        all = all && path && *path && !lf_is_pattern(path) && (f ? !f->takes_lists : !there);
    }
    return any && all;
}

/* A list of others, or a pattern, is of files that hold many pictures. */
static lf_status choose_for_several(const lf_data_format **format, const lf_data_request *r, lf_err *err) {
    for (int i = 0; i < N_FORMATS && !*format; i++)
        if (formats[i]->takes_lists) *format = formats[i];
    if ((*format)->takes_lists) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "%s: a pattern, or a list of what is no folder, is for Parquet files, not for format '%s'", r->key,
                   (*format)->name);
}

static lf_status choose_format(const lf_data_format **format, const lf_data_request *r, lf_err *err) {
    if (cJSON_IsArray(r->paths) || lf_is_pattern(r->path)) return choose_for_several(format, r, err);
    if (!lf_is_dir(r->path) && !lf_is_file(r->path)) return lf_data_no_such_path(r->path, r->key, err);
    if (!*format) *format = recognise(r->path, r->unlabelled);
    if (*format) return LF_OK;
    const lf_status rc = name_kind(r, err);
    if (rc) return rc;
    char expects[512] = "";
    for (int i = 0; i < N_FORMATS; i++) {
        const size_t used = strlen(expects);
        snprintf(expects + used, sizeof expects - used, "%s%s", i ? ", or " : "", formats[i]->expects);
    }
    return lf_fail(err, LF_EDATA, "%s: %s: not a data set that is known by its look; expected %s", r->key, r->path,
                   expects);
}

/* ---- data sets ------------------------------------------------------------------------------------------------------
 */

static lf_dataset *dataset_over(lf_store *s, int64_t n) {
    lf_dataset *d = lf_calloc(1, sizeof *d);
    int64_t *pick = lf_calloc((size_t)n, sizeof *pick);
    if (!d || !pick) {
        lf_free(pick);
        lf_free(d);
        return NULL;
    }
    *d = (lf_dataset){.store = s, .n = n, .pick = pick};
    return d;
}

static int by_index(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum { WHOLE_SET_STREAM = -1 }; /* of LF_RNG_SPLIT; those of a stratified split count up from 0 */

/* Which of a random order: each class's first, then each one's second, and so on, those of a round as they stand. */
typedef struct drawn {
    int64_t round, place, index;
} drawn;

static int by_round(const void *a, const void *b) {
    const drawn *x = a, *y = b;
    const int c = (x->round > y->round) - (x->round < y->round);
    return c ? c : (x->place > y->place) - (x->place < y->place);
}

static bool take_in_rounds(lf_dataset *d) {
    int64_t *seen = lf_calloc((size_t)d->store->n_classes + 1, sizeof *seen);
    drawn *order = lf_calloc((size_t)d->n, sizeof *order);
    const bool ok = seen && order;
    for (int64_t i = 0; i < d->n && ok; i++)
        order[i] = (drawn){seen[d->store->labels[d->pick[i]] + 1]++, i, d->pick[i]};
    if (ok) qsort(order, (size_t)d->n, sizeof *order, by_round);
    for (int64_t i = 0; i < d->n && ok; i++) d->pick[i] = order[i].index;
    lf_free(seen);
    lf_free(order);
    return ok;
}

static lf_status draw_sample(lf_dataset *d, const lf_dataset_opts *o, lf_err *err) {
    const int64_t most = o->max_samples;
    if (most <= 0 || most >= d->n) return LF_OK;
    lf_rng_permutation(lf_rng_make(o->seed, LF_RNG_SPLIT, (uint64_t)WHOLE_SET_STREAM), d->pick, d->n);
    if (o->balanced && !take_in_rounds(d)) return lf_no_memory(err, "the examples of %s", d->store->path);
    qsort(d->pick, (size_t)most, sizeof *d->pick, by_index);
    d->n = most;
    d->sampled = true;
    return LF_OK;
}

/* Opens each path of the list, and makes one of them all. */
static lf_status open_parts(lf_store **out, const lf_data_format *named, const lf_data_request *r, lf_err *err) {
    const int64_t n = cJSON_GetArraySize(r->paths);
    lf_store **parts = lf_calloc((size_t)n, sizeof *parts);
    const cJSON *item;
    int64_t opened = 0;
    lf_status rc = parts ? LF_OK : lf_no_memory(err, "%s", r->path);
    cJSON_ArrayForEach(item, r->paths) {
        lf_data_request own = *r;
        const lf_data_format *format = named;
        own.paths = item;
        own.path = item->valuestring;
        if (rc || (rc = choose_format(&format, &own, err)) || (rc = lf_store_open(&parts[opened], format, &own, err)))
            break;
        opened++;
    }
    if (!rc) rc = lf_store_join(out, parts, n, r->key, err); /* which takes them over */
    for (int64_t i = 0; i < opened && rc; i++) lf_store_release(parts[i]);
    lf_free(parts);
    return rc;
}

static lf_status open_store(lf_store **out, const lf_data_request *r, const lf_data_format *format, lf_err *err) {
    if (are_parts(format, r)) return open_parts(out, format, r, err);
    const lf_status rc = choose_format(&format, r, err);
    return rc ? rc : lf_store_open(out, format, r, err);
}

lf_status lf_dataset_open(lf_dataset **out, const lf_dataset_opts *opts, lf_err *err) {
    lf_data_request r = {.key = opts->key,
                         .split = opts->split,
                         .unlabelled = opts->unlabelled,
                         .problem = opts->problem_known ? &opts->problem : NULL};
    const lf_data_format *format = NULL;
    lf_store *s = NULL;
    lf_status rc;
    if ((rc = read_spec(&r, &format, opts, err)) || (rc = open_store(&s, &r, format, err))) return rc;
    lf_dataset *d = dataset_over(s, s->n);
    if (!d) {
        rc = lf_no_memory(err, "the %" PRId64 " examples of %s", s->n, r.path);
        lf_store_release(s);
        return rc;
    }
    for (int64_t i = 0; i < d->n; i++) d->pick[i] = i;
    if ((rc = draw_sample(d, opts, err)))
        lf_dataset_free(d);
    else
        *out = d;
    return rc;
}

void lf_dataset_free(lf_dataset *d) {
    if (!d) return;
    lf_store_release(d->store);
    lf_free(d->pick);
    lf_free(d);
}

/* The files that hold the labels are data too. */
lf_status lf_dataset_fingerprint(lf_fingerprint *out, const lf_dataset *d, bool skip_unreadable, lf_err *err) {
    const lf_store *s = d->store;
    const char **files = lf_malloc((size_t)(s->n_files + 2) * sizeof *files);
    int64_t n = s->n_files;
    if (!files) return lf_no_memory(err, "the fingerprint of %s", s->path);
    memcpy(files, s->files, (size_t)n * sizeof *files);
    if (s->table) files[n++] = s->table;
    if (s->label_map) files[n++] = s->label_map;
    const lf_status rc = lf_fingerprint_files(out, s->path, files, n, skip_unreadable, &lf_fingerprint_usual, err);
    lf_free(files);
    return rc;
}

int64_t lf_dataset_count(const lf_dataset *d) { return d->n; }
int64_t lf_dataset_n_classes(const lf_dataset *d) { return d->store->n_classes; }
const char *lf_dataset_class_name(const lf_dataset *d, int64_t label) { return d->store->class_names[label]; }

const char *lf_dataset_class_origin(const lf_dataset *d, int64_t label) {
    const char *origin = d->store->origins ? d->store->origins[label] : NULL;
    return origin ? origin : d->store->class_names[label];
}

lf_status lf_dataset_relabel(lf_dataset *d, const char *const *names, int64_t n, const int32_t *to, lf_err *err) {
    return lf_store_relabel(d->store, names, n, to, err);
}

int64_t lf_dataset_label(const lf_dataset *d, int64_t i) { return d->store->labels[d->pick[i]]; }

bool lf_dataset_several(const lf_dataset *d) { return d->store->several.begin; }

void lf_dataset_values(const lf_dataset *d, int64_t i, float *out) {
    lf_class_sets_values(&d->store->several, d->pick[i], d->store->n_classes, out);
}

const char *lf_dataset_path(const lf_dataset *d) { return d->store->path; }

const char *lf_dataset_example_name(const lf_dataset *d, int64_t i, char *buf, size_t size) {
    return d->store->format->name_of(d->store, d->pick[i], buf, size);
}

lf_status lf_dataset_image(const lf_dataset *d, int64_t i, lf_image *out, lf_err *err) {
    return d->store->format->image(d->store, d->pick[i], out, err);
}

int64_t lf_dataset_check_count(const lf_dataset *d) { return d->sampled ? d->n : d->store->n; }

lf_status lf_dataset_check_one(const lf_dataset *d, int64_t i, bool decode, lf_err *err) {
    const lf_store *s = d->store;
    const int64_t at = d->sampled ? d->pick[i] : i;
    if (!decode && s->format->check) return s->format->check(s, at, err);
    lf_image img;
    const lf_status rc = s->format->image(s, at, &img, err);
    if (!rc) lf_image_free(&img);
    return rc;
}

const char *lf_dataset_check_name(const lf_dataset *d, int64_t i, char *buf, size_t size) {
    return d->store->format->name_of(d->store, d->sampled ? d->pick[i] : i, buf, size);
}

static uint64_t hash_text(uint64_t before, const char *s) { return XXH3_64bits_withSeed(s, strlen(s) + 1, before); }

uint64_t lf_dataset_check_hash(const lf_dataset *d) {
    const lf_store *s = d->store;
    const size_t folder = lf_data_files_folder(s->files, s->n_files);
    uint64_t hash = d->sampled ? XXH3_64bits(d->pick, (size_t)d->n * sizeof *d->pick) : 0;
    for (int64_t i = 0; i < s->n_files; i++) {
        hash = hash_text(hash, s->files[i] + folder);
        if (s->columns) hash = hash_text(hash, s->columns[i]);
    }
    return hash;
}

bool lf_dataset_has_split(const cJSON *spec, const char *split) {
    const cJSON *path = spec_path(spec);
    if (!cJSON_IsString(path) || !lf_is_dir(path->valuestring)) return false;
    const lf_data_format *format = recognise(path->valuestring, false);
    return format && format->has_split(path->valuestring, split);
}

/* ---- held-out share -------------------------------------------------------------------------------------------------
 */

/* Positions in d grouped by class into members; class c stands at start[c + 1] .. start[c + 2] - 1 (c = -1: no label).
 * start has n_classes + 2 zeros. */
static void group_by_class(int64_t *members, int64_t *start, const lf_dataset *d) {
    const int64_t groups = d->store->n_classes + 1;
    for (int64_t i = 0; i < d->n; i++) start[lf_dataset_label(d, i) + 2]++;
    for (int64_t g = 1; g <= groups; g++) start[g] += start[g - 1];
    /* Filling moves each start on to its group's end, which is the next one's start: backwards puts it right again. */
    for (int64_t i = 0; i < d->n; i++) members[start[lf_dataset_label(d, i) + 1]++] = i;
    for (int64_t g = groups; g > 0; g--) start[g] = start[g - 1];
    start[0] = 0;
}

/* Marks which of d's examples go. Rounding runs on from class to class, so that the total is the share of the whole,
 * and no class gives its last example away. `order` has room for d->n. */
static int64_t mark_held_out(bool *held, const lf_dataset *d, double fraction, uint64_t seed, const int64_t *members,
                             const int64_t *start, int64_t *order) {
    int64_t total = 0;
    for (int64_t g = 0; g <= d->store->n_classes; g++) {
        const int64_t m = start[g + 1] - start[g];
        const double before = floor((double)start[g] * fraction + 0.5),
                     after = floor((double)start[g + 1] * fraction + 0.5);
        int64_t take = (int64_t)(after - before);
        if (take >= m) take = m ? m - 1 : 0;
        lf_rng_permutation(lf_rng_make(seed, LF_RNG_SPLIT, (uint64_t)g), order, m);
        for (int64_t i = 0; i < take; i++) held[members[start[g] + order[i]]] = true;
        total += take;
    }
    return total;
}

lf_status lf_dataset_split(lf_dataset *d, double fraction, uint64_t seed, lf_dataset **held_out, lf_err *err) {
    if (!(fraction > 0 && fraction < 1))
        return lf_fail(err, LF_EUSAGE, "train_val_split: expected a share above 0 and below 1, found %g", fraction);
    lf_status rc = LF_OK;
    lf_dataset *h = NULL;
    int64_t *members = lf_calloc(2 * (size_t)d->n, sizeof *members);
    int64_t *start = lf_calloc((size_t)d->store->n_classes + 2, sizeof *start);
    bool *held = lf_calloc((size_t)d->n, sizeof *held);
    if (!members || !start || !held) {
        rc = lf_no_memory(err, "splitting %s", d->store->path);
        goto out;
    }
    group_by_class(members, start, d);
    const int64_t total = mark_held_out(held, d, fraction, seed, members, start, members + d->n);
    if (!total) {
        rc =
            lf_fail(err, LF_EDATA, "%s: a share of %g holds nothing out of %" PRId64 " examples in %" PRId64 " classes",
                    d->store->path, fraction, d->n, d->store->n_classes);
        goto out;
    }
    if (!(h = dataset_over(d->store, total))) {
        rc = lf_no_memory(err, "splitting %s", d->store->path);
        goto out;
    }
    atomic_fetch_add(&d->store->users, 1);
    h->sampled = d->sampled;
    int64_t kept = 0, gone = 0;
    for (int64_t i = 0; i < d->n; i++) {
        if (held[i])
            h->pick[gone++] = d->pick[i];
        else
            d->pick[kept++] = d->pick[i];
    }
    d->n = kept;
    *held_out = h;
out:
    lf_free(held);
    lf_free(start);
    lf_free(members);
    return rc;
}
