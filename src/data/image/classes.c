/* What the classes of a data set are called, and the numbers that their names get in a label_map. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "data/image/dataset_internal.h"
#include "data/rows.h"

/* ---- names --------------------------------------------------------------------------------------------------------
 */

/* What is not UTF-8 as \xff. */
static const char *escaped(const char *name, char *buf, size_t size) {
    size_t used = 0;
    for (size_t left = strlen(name), n; left && used + 5 < size; name += n, left -= n) {
        uint32_t c;
        n = lf_utf8_next(name, left, &c);
        if (n)
            memcpy(buf + used, name, n);
        else
            snprintf(buf + used, size - used, "\\x%02x", (unsigned)(unsigned char)*name);
        used += n ? n : 4;
        n += !n;
    }
    buf[used] = 0;
    return buf;
}

/* An adapter keeps the names in JSON: another text would come back than was put in, and fit its own data no more. */
static lf_status check_names(const lf_store *s, const char *const *names, int64_t n, lf_err *err) {
    char name[160];
    for (int64_t i = 0; i < n; i++)
        if (lf_utf8_invalid(names[i], strlen(names[i])) < strlen(names[i]))
            return lf_fail(err, LF_EDATA,
                           "%s: the name of the class '%s' is not UTF-8; expected text that is; rename the class's "
                           "folder, or save the labels again as UTF-8",
                           s->path, escaped(names[i], name, sizeof name));
    return LF_OK;
}

lf_status lf_store_name_classes(lf_store *s, const char *const *names, int64_t n, lf_err *err) {
    const lf_status rc = check_names(s, names, n, err);
    if (rc) return rc;
    s->class_names = lf_arena_alloc(s->arena, (size_t)n * sizeof *s->class_names);
    s->n_classes = 0;
    while (s->class_names && s->n_classes < n) {
        const char *copy = lf_arena_strdup(s->arena, names[s->n_classes]);
        if (!copy) break;
        s->class_names[s->n_classes++] = copy;
    }
    return s->class_names && s->n_classes == n ? LF_OK : lf_no_memory(err, "the classes of %s", s->path);
}

lf_status lf_store_take_labels(lf_label_reader *reader, const lf_data_request *r, lf_labels **out, lf_err *err) {
    const lf_problem looks = reader->lists ? LF_MULTI_LABEL : LF_SINGLE_LABEL;
    return lf_label_reader_take(reader, r->problem ? r->problem : &looks, out, err);
}

lf_status lf_store_make_several(lf_store *s, lf_err *err) {
    lf_class_sets *sets = &s->several;
    sets->ids = lf_malloc((size_t)(s->n + 1) * sizeof *sets->ids);
    sets->begin = lf_calloc((size_t)s->n + 1, sizeof *sets->begin);
    if (!sets->ids || !sets->begin) return lf_no_memory(err, "the labels of %s", s->path);
    sets->n = s->n;
    for (int64_t i = 0; i < s->n; i++) {
        sets->begin[i + 1] = i + 1;
        sets->ids[i] = s->labels[i];
        s->labels[i] = -1;
    }
    return LF_OK;
}

lf_status lf_store_relabel(lf_store *s, const char *const *names, int64_t n, const int32_t *to, lf_err *err) {
    const char **origins = lf_arena_alloc(s->arena, (size_t)n * sizeof *origins);
    if (!origins) return lf_no_memory(err, "the classes of %s", s->path);
    for (int64_t c = 0; c < s->n_classes; c++)
        if (to[c] >= 0 && !origins[to[c]]) origins[to[c]] = s->origins ? s->origins[c] : s->class_names[c];
    for (int64_t i = 0; i < s->n; i++)
        if (s->labels[i] >= 0) s->labels[i] = to[s->labels[i]];
    if (s->several.begin) lf_class_sets_renumber(&s->several, to);
    s->origins = origins;
    return lf_store_name_classes(s, names, n, err);
}

/* ---- a label_map --------------------------------------------------------------------------------------------------
 */

typedef struct entry {
    const char *from, *to;
    uint64_t line; /* 0: not of a file with lines */
} entry;

typedef struct label_map {
    const char *key, *name; /* the config key; the file, or "label_map" */
    lf_arena *arena;
    entry *entries; /* sorted by from */
    int64_t n, room;
} label_map;

static lf_status add_entry(label_map *m, const char *from, const char *to, uint64_t line, lf_err *err) {
    entry e = {lf_arena_strdup(m->arena, from), lf_arena_strdup(m->arena, to), line};
    if (!e.from || !e.to || !lf_grow(&m->entries, &m->room, m->n + 1)) return lf_no_memory(err, "%s", m->name);
    m->entries[m->n++] = e;
    return LF_OK;
}

static lf_status add_object(label_map *m, const cJSON *object, lf_err *err) {
    const cJSON *v;
    lf_status rc = LF_OK;
    if (!cJSON_IsObject(object))
        return lf_fail(err, LF_EDATA,
                       "%s: %s: expected an object from a name in the data to a class: {\"n02123045\": "
                       "\"tabby\"}",
                       m->key, m->name);
    cJSON_ArrayForEach(v, object) {
        char number[24];
        int64_t i;
        const char *to = cJSON_GetStringValue(v);
        if (!to && lf_json_exact_i64(v, &i)) {
            snprintf(number, sizeof number, "%" PRId64, i);
            to = number;
        }
        if (!rc && (!to || !*to))
            rc = lf_fail(err, LF_EDATA, "%s: %s: key '%s': expected the name of a class", m->key, m->name, v->string);
        if (!rc) rc = add_entry(m, v->string, to, 0, err);
    }
    return rc;
}

static lf_status add_row(void *context, const lf_row *row, lf_err *err) {
    label_map *m = context;
    if (row->n != 2 || !row->fields[0][0] || !row->fields[1][0])
        return lf_fail(err, LF_EDATA,
                       "%s: %s: line %" PRIu64 ": expected two fields, a name in the data and its class, found %" PRId64
                       "%s",
                       m->key, m->name, row->line, row->n, row->n == 2 ? ", of which one is empty" : "");
    return add_entry(m, row->fields[0], row->fields[1], row->line, err);
}

static bool has_table_name(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (!strcasecmp(dot, ".csv") || !strcasecmp(dot, ".tsv"));
}

static lf_status read_entries(label_map *m, const cJSON *given, lf_err *err) {
    if (!cJSON_IsString(given)) return add_object(m, given, err);
    m->name = given->valuestring;
    if (has_table_name(m->name)) return lf_rows_each(m->name, add_row, m, err);
    cJSON *object = NULL;
    lf_status rc = lf_json_read(&object, m->name, err);
    if (!rc) rc = add_object(m, object, err);
    cJSON_Delete(object);
    return rc;
}

static int by_from(const void *a, const void *b) { return strcmp(((const entry *)a)->from, ((const entry *)b)->from); }

static lf_status check_once(label_map *m, lf_err *err) {
    if (!m->n) return lf_fail(err, LF_EDATA, "%s: %s: there is nothing in it", m->key, m->name);
    qsort(m->entries, (size_t)m->n, sizeof *m->entries, by_from);
    for (int64_t i = 1; i < m->n; i++)
        if (!by_from(&m->entries[i - 1], &m->entries[i]))
            return lf_fail(err, LF_EDATA, "%s: %s: '%s' is there twice, in lines %" PRIu64 " and %" PRIu64, m->key,
                           m->name, m->entries[i].from, m->entries[i - 1].line, m->entries[i].line);
    return LF_OK;
}

static const entry *find_entry(const label_map *m, const char *from) {
    const entry key = {.from = from};
    return bsearch(&key, m->entries, (size_t)m->n, sizeof key, by_from);
}

static bool is_target(const label_map *m, const char *name) {
    for (int64_t i = 0; i < m->n; i++)
        if (!strcmp(m->entries[i].to, name)) return true;
    return false;
}

/* ---- applying it --------------------------------------------------------------------------------------------------
 */

/* What no name is mapped to may be: the other way round, or forgotten. */
static lf_status not_mapped(const label_map *m, const lf_store *s, const char *name, lf_err *err) {
    char known[160] = "";
    for (int64_t i = 0; i < m->n; i++) lf_list_append(known, sizeof known, m->entries[i].from);
    return lf_fail(err, LF_EDATA,
                   "%s: %s: class '%s' is neither a name nor a class in the label_map %s, which has %s; add it", m->key,
                   s->path, name, m->name, known);
}

/* The class of each name of the store; what is a class of the map already, or has no example, keeps its name. */
static lf_status map_names(const char **out, const label_map *m, const lf_store *s, const bool *used, lf_err *err) {
    const char *turned = NULL; /* the first that is on the right side alone */
    int64_t found = 0;
    for (int64_t c = 0; c < s->n_classes; c++) {
        const entry *e = find_entry(m, s->class_names[c]);
        out[c] = e ? e->to : s->class_names[c];
        found += e != NULL;
        if (!e && !turned && is_target(m, s->class_names[c])) turned = s->class_names[c];
    }
    if (!found && turned)
        return lf_fail(err, LF_EDATA,
                       "%s: %s: the label_map %s has the class '%s' on its right side only; expected names in the data "
                       "on the left and classes on the right; is it the other way round?",
                       m->key, s->path, m->name, turned);
    for (int64_t c = 0; c < s->n_classes; c++)
        if (used[c] && !find_entry(m, s->class_names[c]) && !is_target(m, s->class_names[c]))
            return not_mapped(m, s, s->class_names[c], err);
    return LF_OK;
}

/* used [n_classes]: has the class an example? */
static void mark_used(bool *used, const lf_store *s) {
    const lf_class_sets *sets = &s->several;
    for (int64_t i = 0; i < s->n && !sets->begin; i++) used[s->labels[i]] = true;
    for (int64_t k = 0; sets->begin && k < sets->begin[s->n]; k++) used[sets->ids[k]] = true;
}

static lf_status apply(lf_store *s, const label_map *m, lf_err *err) {
    const size_t n = (size_t)s->n_classes;
    const char **names = lf_malloc(n * sizeof *names), **sorted = lf_malloc(n * sizeof *sorted);
    int32_t *to = lf_malloc(n * sizeof *to);
    bool *used = lf_calloc(n, sizeof *used);
    lf_status rc = names && sorted && to && used ? LF_OK : lf_no_memory(err, "%s", m->name);
    if (!rc) mark_used(used, s);
    if (!rc && !(rc = map_names(names, m, s, used, err))) {
        int64_t classes = 0;
        for (size_t c = 0; c < n; c++)
            if (used[c]) sorted[classes++] = names[c];
        classes = lf_class_names_sort(sorted, classes);
        for (size_t c = 0; c < n; c++) to[c] = used[c] ? (int32_t)lf_class_names_find(names[c], sorted, classes) : -1;
        rc = lf_store_relabel(s, sorted, classes, to, err);
    }
    lf_free(used);
    lf_free(to);
    lf_free(sorted);
    lf_free(names);
    return rc;
}

lf_status lf_store_map_labels(lf_store *s, const lf_data_request *r, lf_err *err) {
    label_map m = {.key = r->key, .name = "label_map", .arena = lf_arena_new()};
    lf_status rc = m.arena ? read_entries(&m, r->label_map, err) : lf_no_memory(err, "a label_map");
    if (!rc) rc = check_once(&m, err);
    if (!rc) rc = apply(s, &m, err);
    if (!rc && cJSON_IsString(r->label_map) && !(s->label_map = lf_arena_strdup(s->arena, r->label_map->valuestring)))
        rc = lf_no_memory(err, "%s", m.name);
    lf_free(m.entries);
    lf_arena_free(m.arena);
    return rc;
}
