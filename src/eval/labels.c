/* How a data set's classes and pictures meet a model's labels and input. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "eval/eval.h"

/* ---- labels ---- */

static bool is_among(const char *name, const char *const *names, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

static bool all_among(const lf_dataset *d, const char *const *names, int64_t n) {
    for (int64_t i = 0; i < lf_dataset_n_classes(d); i++)
        if (!is_among(lf_dataset_class_name(d, i), names, n)) return false;
    return true;
}

/* Classes called "0", "1", ... in this order, as those of IDX files are: the numbers are the labels. */
static bool are_numbers(const lf_dataset *d) {
    for (int64_t i = 0; i < lf_dataset_n_classes(d); i++) {
        char number[24];
        snprintf(number, sizeof number, "%lld", (long long)i);
        if (strcmp(lf_dataset_class_name(d, i), number) != 0) return false;
    }
    return true;
}

lf_status lf_open_labelled(lf_dataset **out, const lf_dataset_opts *opts, const char *const *names, int64_t n_names,
                           lf_err *err) {
    *out = NULL;
    lf_dataset_opts o = *opts;
    o.class_names = NULL;
    lf_dataset *d = NULL;
    lf_status rc = lf_dataset_open(&d, &o, err);
    if (rc) return rc;
    const int64_t n = lf_dataset_n_classes(d);
    if (all_among(d, names, n_names)) { /* the same again, by the model's numbers */
        o.class_names = names;
        o.n_classes = n_names;
        lf_dataset_free(d);
        return lf_dataset_open(out, &o, err);
    }
    if (n > n_names) {
        rc = lf_fail(err, LF_EDATA,
                     "%s: %s: expected at most the model's %lld classes ('%s', ...), found %lld ('%s', ...)", o.key,
                     lf_dataset_path(d), (long long)n_names, names[0], (long long)n, lf_dataset_class_name(d, 0));
        lf_dataset_free(d);
        return rc;
    }
    if (!are_numbers(d))
        lf_warn("%s: %s: the classes ('%s', ...) are not the model's labels ('%s', ...); in sorted order they are "
                "taken for "
                "labels 0 to %lld",
                o.key, lf_dataset_path(d), lf_dataset_class_name(d, 0), names[0], (long long)n - 1);
    *out = d;
    return LF_OK;
}

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
