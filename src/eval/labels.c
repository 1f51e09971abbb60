/* How a data set's classes, of pictures and of texts, meet a model's labels, and pictures its input. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/image/dataset_internal.h"
#include "eval/eval.h"

/* ---- labels ---- */

/* The classes of a data set and the labels that they are to become. */
typedef struct matching {
    const char *key, *path;
    const char *const *classes; /* [n] of the data */
    const char *const *origins; /* [n] what the data call them, where a label_map has renamed them */
    const char *advice;         /* how a class gets another name */
    int64_t n;
    const char *const *names; /* [n_names] the labels */
    int64_t n_names;
    int32_t *to; /* [n] */
} matching;

/* The same names in the same order, though one of them may be there twice. */
static bool are_the_labels(const matching *m) {
    bool same = m->n == m->n_names;
    for (int64_t c = 0; c < m->n && same; c++) same = !strcmp(m->names[c], m->classes[c]);
    return same;
}

/* How many have a label by their name; to[c] is -1 of the others. */
static int64_t match_names(matching *m) {
    int64_t known = 0;
    for (int64_t c = 0; c < m->n; c++) {
        m->to[c] = (int32_t)lf_class_names_find(m->classes[c], m->names, m->n_names);
        known += m->to[c] >= 0;
    }
    return known;
}

/* How many of the others have a label by the number that a label_map gives them in the place of a name. */
static int64_t match_mapped_numbers(matching *m) {
    int64_t known = 0;
    for (int64_t c = 0; c < m->n; c++) {
        const bool mapped = strcmp(m->classes[c], m->origins[c]) != 0;
        const int64_t number = m->to[c] < 0 && mapped ? lf_class_number(m->classes[c]) : -1;
        if (number < 0 || number >= m->n_names) continue;
        m->to[c] = (int32_t)number;
        known++;
    }
    return known;
}

/* Two labels may have one name: of ImageNet's, 134 and 517 are both 'crane'. */
static lf_status check_one_label_each(const matching *m, lf_err *err) {
    for (int64_t c = 0; c < m->n; c++) {
        const int64_t first = lf_class_names_find(m->classes[c], m->names, m->n_names);
        if (first < 0) continue;
        const int64_t more = lf_class_names_find(m->classes[c], m->names + first + 1, m->n_names - first - 1);
        if (more >= 0)
            return lf_fail(err, LF_EDATA,
                           "%s: %s: the class '%s' may be label %lld or label %lld, which have the same name; name its "
                           "number in a label_map: {\"%s\": %lld}",
                           m->key, m->path, m->classes[c], (long long)first, (long long)(first + 1 + more),
                           m->origins[c], (long long)first);
    }
    return LF_OK;
}

/* Classes called "0", "1", ... as those of IDX files are: the numbers are the labels. */
static bool are_numbers(const matching *m, int64_t *highest) {
    *highest = 0;
    for (int64_t c = 0; c < m->n; c++) {
        const int64_t number = lf_class_number(m->classes[c]);
        if (number < 0) return false;
        if (number > *highest) *highest = number;
    }
    return true;
}

static lf_status match_numbers(matching *m, int64_t highest, lf_err *err) {
    if (highest >= m->n_names)
        return lf_fail(err, LF_EDATA,
                       "%s: %s: its classes are numbers up to %lld; expected 0 to %lld, for the labels "
                       "('%s', ...)",
                       m->key, m->path, (long long)highest, (long long)m->n_names - 1, m->names[0]);
    for (int64_t c = 0; c < m->n; c++) m->to[c] = (int32_t)lf_class_number(m->classes[c]);
    lf_info("%s: %s: its classes are numbers, taken for those of the labels: 0 is '%s'", m->key, m->path, m->names[0]);
    return LF_OK;
}

/* The next letter or digit at *s, in small letters; 0 at the end, or at the comma of a list of names. Zeros in front of
 * a number are passed over. */
static int next_letter(const char **s, bool *in_number) {
    while (**s && **s != ',' && !isalnum((unsigned char)**s) && (unsigned char)**s < 0x80) ++*s;
    while (!*in_number && **s == '0' && isdigit((unsigned char)(*s)[1])) ++*s;
    *in_number = isdigit((unsigned char)**s);
    return **s && **s != ',' ? tolower((unsigned char)*(*s)++) : 0;
}

/* "Golden retriever" is like "golden_retriever", and "tench" like the first of "tench, Tinca tinca". */
static bool is_like(const char *name, const char *label) {
    for (const char *from = label; from; from = strchr(from, ',')) {
        const char *a = name, *b = from += *from == ',';
        bool in_a = false, in_b = false;
        int x, y;
        do {
            x = next_letter(&a, &in_a);
            y = next_letter(&b, &in_b);
        } while (x && x == y);
        if (x == y && a > name) return true;
    }
    return false;
}

/* The label that class c may have been meant for; NULL: none. */
static const char *like(const matching *m, int64_t c) {
    for (int64_t i = 0; i < m->n_names; i++)
        if (is_like(m->classes[c], m->names[i])) return m->names[i];
    return NULL;
}

static bool any_like(const matching *m) {
    bool any = false;
    for (int64_t c = 0; c < m->n && !any; c++) any = like(m, c) != NULL;
    return any;
}

/* Which are unknown, and what is known: a suggestion first. */
static lf_status unknown_classes(const matching *m, lf_err *err) {
    char unknown[256] = "", expected[200] = "", hint[200] = "";
    int64_t n = 0;
    for (int64_t c = 0; c < m->n; c++) {
        if (m->to[c] >= 0) continue;
        const char *name = m->classes[c], *origin = m->origins[c], *near = like(m, c);
        char both[160];
        n++;
        if (strcmp(name, origin))
            snprintf(both, sizeof both, "%.60s -> %.60s", origin, name); /* by a label_map */
        else
            snprintf(both, sizeof both, "%.120s", name);
        lf_list_append(unknown, sizeof unknown, both);
        if (near && !hint[0]) snprintf(hint, sizeof hint, "is '%.80s' called '%.80s'? ", name, near);
    }
    for (int64_t i = 0; i < m->n_names; i++) lf_list_append(expected, sizeof expected, m->names[i]);
    return lf_fail(
        err, LF_EDATA, "%s: %s: of its %lld classes %lld are not among the %lld expected ones: %s; expected %s; %s%s",
        m->key, m->path, (long long)m->n, (long long)n, (long long)m->n_names, unknown, expected, hint, m->advice);
}

static void warn_of_order(const matching *m) {
    lf_warn("%s: %s: none of its classes ('%s', ...) is among the labels ('%s', ...); there are as many, so in sorted "
            "order they are taken for labels 0 to %lld; a label_map says which is which",
            m->key, m->path, m->classes[0], m->names[0], (long long)m->n - 1);
}

static void match_in_order(matching *m) {
    for (int64_t c = 0; c < m->n; c++) m->to[c] = (int32_t)c;
}

/* By name; else, if no name is known, by number, or in sorted order if there are as many classes as labels. A name that
 * is like a label's but not it shows that the classes have names, and which one is misspelt. */
static lf_status match(matching *m, lf_err *err) {
    int64_t highest;
    if (are_the_labels(m)) {
        match_in_order(m);
        return LF_OK;
    }
    int64_t known = match_names(m);
    const lf_status rc = check_one_label_each(m, err);
    if (rc) return rc;
    if (!known && are_numbers(m, &highest)) return match_numbers(m, highest, err);
    known += match_mapped_numbers(m);
    if (known == m->n) return LF_OK;
    if (known || m->n != m->n_names || any_like(m)) return unknown_classes(m, err);
    match_in_order(m);
    warn_of_order(m);
    return LF_OK;
}

/* ---- pictures' classes ---- */

/* [2 n]: the classes, then what the data call them. NULL: out of memory. */
static const char **class_names_of(const lf_dataset *d) {
    const int64_t n = lf_dataset_n_classes(d);
    const char **names = lf_calloc((size_t)(2 * n), sizeof *names);
    for (int64_t c = 0; c < n && names; c++) {
        names[c] = lf_dataset_class_name(d, c);
        names[n + c] = lf_dataset_class_origin(d, c);
    }
    return names;
}

static lf_status match_pictures(lf_dataset *d, const char *key, const char *const *names, int64_t n_names,
                                lf_err *err) {
    const int64_t n = lf_dataset_n_classes(d);
    const char **classes = class_names_of(d);
    matching m = {.key = key,
                  .path = lf_dataset_path(d),
                  .advice = "rename the folders, or name the class of each in a label_map: {\"path\": ..., "
                            "\"label_map\": \"map.json\"}",
                  .n = n,
                  .names = names,
                  .n_names = n_names,
                  .to = lf_malloc((size_t)n * sizeof *m.to)};
    lf_status rc = classes && m.to ? LF_OK : lf_no_memory(err, "the classes of %s", m.path);
    if (!rc) {
        m.classes = classes;
        m.origins = classes + n;
        rc = match(&m, err);
    }
    if (!rc) rc = lf_dataset_relabel(d, names, n_names, m.to, err);
    lf_free(m.to);
    lf_free(classes);
    return rc;
}

lf_status lf_open_labelled(lf_dataset **out, const lf_dataset_opts *opts, const char *const *names, int64_t n_names,
                           lf_err *err) {
    *out = NULL;
    lf_dataset *d = NULL;
    lf_status rc = lf_dataset_open(&d, opts, err);
    if (rc || (rc = match_pictures(d, opts->key, names, n_names, err)))
        lf_dataset_free(d);
    else
        *out = d;
    return rc;
}

/* ---- texts' classes ---- */

lf_status lf_match_texts(lf_text_dataset *d, const char *key, const char *const *names, int64_t n_names, lf_err *err) {
    int64_t n;
    const char *const *classes = lf_text_dataset_classes(d, &n);
    matching m = {.key = key,
                  .path = lf_text_dataset_path(d),
                  .classes = classes,
                  .origins = classes,
                  .advice = "give the records the names of these labels, or their numbers",
                  .n = n,
                  .names = names,
                  .n_names = n_names,
                  .to = lf_malloc((size_t)n * sizeof *m.to)};
    lf_status rc = m.to ? match(&m, err) : lf_no_memory(err, "the classes of %s", m.path);
    if (!rc) rc = lf_text_dataset_relabel(d, names, n_names, m.to, err);
    lf_free(m.to);
    return rc;
}

/* ---- heads ---- */

/* Without weights (ViTModel has none) and none from an adapter, a head is a name only. */
static bool has_weights(const lf_module *head) { return head && (lf_nn_is_frozen(head) || head->weight->tensor.data); }

lf_status lf_head_in_use(const lf_classifier **out, const lf_model *m, const lf_config *cfg, const char *what,
                         lf_err *err) {
    const bool base = !has_weights(m->head.module) || strcmp(lf_cfg_str(cfg, LF_head), "base") == 0;
    *out = base ? &m->base_head : &m->head;
    if ((*out)->module) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: the model has no classification head of its own, but %s needs one", m->path,
                   what);
}

/* ---- pictures ---- */

/* The file beside config.json; freed by lf_free, NULL when out of memory. */
static char *processor_path(const lf_model *m) {
    const size_t folder = (size_t)(lf_path_base(m->config_path) - m->config_path);
    return lf_format("%.*spreprocessor_config.json", (int)folder, m->config_path);
}

static lf_status read_processor(lf_image_processor *p, const lf_model *m, const char *path, lf_err *err) {
    if (!lf_is_file(path)) {
        lf_info("%s: not there; pictures are resized to %lld x %lld, bilinear, mean and std 0.5", path,
                (long long)m->pixels.width, (long long)m->pixels.height);
        lf_image_processor_default(p, (int)m->pixels.height, (int)m->pixels.width, (int)m->pixels.channels);
        return LF_OK;
    }
    cJSON *json = NULL;
    lf_status rc = lf_json_read(&json, path, err);
    if (!rc)
        rc = lf_image_processor_read(p, json, (int)m->pixels.height, (int)m->pixels.width, (int)m->pixels.channels,
                                     path, err);
    cJSON_Delete(json);
    return rc;
}

lf_status lf_processor_for(lf_image_processor *out, const lf_model *m, lf_err *err) {
    if (m->pixels.channels != 1 && m->pixels.channels != 3)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'num_channels': pictures have 1 or 3 channels, found %lld",
                       m->config_path, (long long)m->pixels.channels);
    char *path = processor_path(m);
    const lf_status rc = path ? read_processor(out, m, path, err) : lf_no_memory(err, "%s", m->path);
    lf_free(path);
    return rc;
}
