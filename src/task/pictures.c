/* Pictures as a source of batches: labelled folders and IDX files, read ahead and preprocessed. */
#include "task/pictures.h"

#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "task/preview.h"

enum { STREAM_PIXELS, STREAM_LABELS };

lf_pictures *lf_pictures_of(const lf_task *t) { return t->data; }

static lf_status open(lf_task *t, lf_err *err) {
    t->data = lf_calloc(1, sizeof(lf_pictures));
    return t->data ? LF_OK : lf_no_memory(err, "the task");
}

static void close(lf_task *t) {
    lf_pictures *w = t->data;
    if (!w) return;
    for (int i = 0; i < LF_DATA_ROLES; i++) lf_loader_free(w->loaders[i]);
    for (int i = 0; i < LF_DATA_ROLES; i++) lf_dataset_free(w->data[i]);
    for (int i = 0; i < LF_DATA_ROLES; i++) lf_free(w->classes[i]);
    lf_aligned_free(w->random.pixels);
    lf_free(w->random.labels);
    lf_free(w);
}

/* ---- the data of a role ---- */

static int64_t class_of(const void *data, int64_t i) { return lf_dataset_label(data, i); }

/* Names of classes, as the data set has them now. */
static lf_status note_classes(lf_pictures *w, lf_data_role role, lf_err *err) {
    const lf_dataset *d = w->data[role];
    const int64_t n = lf_dataset_n_classes(d);
    w->classes[role] = lf_calloc((size_t)n, sizeof *w->classes[role]);
    if (!w->classes[role]) return lf_no_memory(err, "the class names");
    for (int64_t i = 0; i < n; i++) w->classes[role][i] = lf_dataset_class_name(d, i);
    return LF_OK;
}

static bool labels(const lf_task *t, lf_data_role role, lf_data_labels *out) {
    const lf_pictures *w = t->data;
    const lf_dataset *d = w->data[role];
    if (!d || !w->classes[role]) return false;
    *out = (lf_data_labels){.path = lf_dataset_path(d),
                            .problem = lf_dataset_several(d) ? LF_MULTI_LABEL : LF_SINGLE_LABEL,
                            .classes = w->classes[role],
                            .n = lf_dataset_n_classes(d),
                            .count = lf_dataset_count(d),
                            .data = d,
                            .class_of = class_of};
    return true;
}

static lf_status open_data(lf_task *t, lf_data_role role, const lf_data_from *from, lf_err *err) {
    lf_pictures *w = t->data;
    lf_dataset_opts o = {.spec = lf_cfg_json(t->cfg, from->key),
                         .key = lf_key_name(from->key),
                         .split = from->split,
                         .max_samples = from->limit ? lf_cfg_i64(t->cfg, from->limit) : 0,
                         .balanced = role == LF_DATA_REPLAY && lf_task_balances_replay(t),
                         .seed = lf_task_data_seed(t)};
    lf_status rc = w->has_processor ? LF_OK : lf_processor_for(&w->processor, t->model, err);
    w->has_processor = !rc;
    if (rc) return rc;
    const char *const *names;
    int64_t n;
    if ((rc = t->type->labels(t, role, from->key, &names, &n, err))) return rc;
    o.problem_known = t->type->problem(t, role, &o.problem);
    rc = names ? lf_open_labelled(&w->data[role], &o, names, n, err) : lf_dataset_open(&w->data[role], &o, err);
    if (!rc) rc = note_classes(w, role, err);
    return rc ? rc : t->type->opened(t, role, err);
}

static lf_status split_data(lf_task *t, lf_data_role from, lf_data_role to, double share, lf_err *err) {
    lf_pictures *w = t->data;
    return lf_dataset_split(w->data[from], share, lf_task_data_seed(t), &w->data[to], err);
}

static bool has_split(const lf_task *t, const cJSON *spec, const char *split) {
    (void)t;
    return lf_dataset_has_split(spec, split);
}

static bool has_data(const lf_task *t, lf_data_role role) { return lf_pictures_of(t)->data[role] != NULL; }
static lf_status fingerprint(const lf_task *t, lf_data_role role, lf_fingerprint *out, lf_err *err) {
    return lf_dataset_fingerprint(out, lf_pictures_of(t)->data[role], lf_cfg_bool(t->cfg, LF_skip_bad_images), err);
}
static int64_t count(const lf_task *t, lf_data_role role) { return lf_dataset_count(lf_pictures_of(t)->data[role]); }
static const char *extent(const lf_task *t, lf_data_role role, int64_t *indices, int64_t *tokens) {
    *indices = count(t, role);
    *tokens = 0;
    return NULL;
}

static void describe(const lf_task *t, lf_data_role role, char *text, size_t size) {
    const lf_dataset *d = lf_pictures_of(t)->data[role];
    char classes[48] = "";
    if (role == LF_DATA_TRAIN)
        snprintf(classes, sizeof classes, " of %lld classes", (long long)lf_dataset_n_classes(d));
    snprintf(text, size, "%lld examples%s (%s)", (long long)lf_dataset_count(d), classes, lf_dataset_path(d));
}

static lf_status save_beside(const lf_task *t, const char *dir, lf_err *err) {
    cJSON *o = lf_image_processor_to_json(&lf_pictures_of(t)->processor);
    const lf_status rc = lf_json_write_in(dir, "preprocessor_config.json", o, true, err);
    cJSON_Delete(o);
    return rc;
}

/* ---- batches of the training data ---- */

static lf_picture_mixing mixing_of(const lf_task *t) {
    return (lf_picture_mixing){.mixup = lf_cfg_f64(t->cfg, LF_mixup), .cutmix = lf_cfg_f64(t->cfg, LF_cutmix)};
}

static lf_status plan(lf_task *t, lf_data_role role, int64_t batch_size, int64_t *batches_per_epoch, lf_err *err) {
    const lf_picture_mixing mixing = mixing_of(t);
    if (role == LF_DATA_TRAIN && lf_mixes(&mixing) && batch_size < 2)
        return lf_cfg_fail(t->cfg, mixing.mixup > 0 ? LF_mixup : LF_cutmix, err,
                           "mixes the pictures of a batch with each other: expected a per_device_train_batch_size of 2 "
                           "or more, found %lld",
                           (long long)batch_size);
    lf_pictures_of(t)->batch_size[role] = batch_size;
    *batches_per_epoch = (count(t, role) + batch_size - 1) / batch_size;
    return LF_OK;
}

static lf_picture_changes changes_of(const lf_task *t) {
    return (lf_picture_changes){.randaugment_magnitude = (int)lf_cfg_i64(t->cfg, LF_randaugment_magnitude),
                                .randaugment_ops = (int)lf_cfg_i64(t->cfg, LF_randaugment_ops),
                                .color_jitter = lf_cfg_f64(t->cfg, LF_color_jitter),
                                .random_erasing = lf_cfg_f64(t->cfg, LF_random_erasing)};
}

static lf_status open_loader(lf_task *t, lf_loader **out, lf_data_role role, int64_t batch_size, int64_t epoch,
                             int64_t batch, lf_portion portion, lf_err *err) {
    lf_pictures *w = t->data;
    const lf_eval_opts e = lf_task_eval_opts(t, "");
    lf_augmentation augmentation;
    /* What the base says of a picture is kept: it is always the same one. */
    const char *how = role == LF_DATA_KL ? "none" : lf_cfg_str(t->cfg, LF_augmentation);
    if (!lf_augmentation_parse(how, &augmentation))
        return lf_cfg_fail(t->cfg, LF_augmentation, err, "there is no such augmentation");
    const lf_loader_opts o = {.batch_size = batch_size,
                              .workers = e.workers,
                              .shuffle = true,
                              .balanced = role == LF_DATA_TRAIN && lf_task_balances(t),
                              .seed = (uint64_t)lf_cfg_i64(t->cfg, LF_seed),
                              .augmentation = augmentation,
                              .changes = role == LF_DATA_KL ? (lf_picture_changes){0} : changes_of(t),
                              .mixing = role == LF_DATA_TRAIN ? mixing_of(t) : (lf_picture_mixing){0},
                              .processor = &w->processor,
                              .skip_bad_images = e.skip_bad_images,
                              .first_epoch = epoch,
                              .first_batch = batch,
                              .epochs = INT64_MAX,
                              .portion = portion};
    return lf_loader_new(out, w->data[role], &o, err);
}

static lf_status start(lf_task *t, lf_data_role role, int64_t epoch, int64_t batch, lf_portion portion, lf_err *err) {
    lf_pictures *w = t->data;
    lf_loader_free(w->loaders[role]);
    w->loaders[role] = NULL;
    return open_loader(t, &w->loaders[role], role, w->batch_size[role], epoch, batch, portion, err);
}

static lf_status next(lf_task *t, lf_data_role role, const lf_example_batch **out, lf_err *err) {
    lf_pictures *w = t->data;
    const lf_batch *b;
    *out = NULL;
    const lf_status rc = lf_loader_next(w->loaders[role], &b, err);
    if (rc || !b) return rc;
    w->batch[role] = lf_batch_of_pictures(b);
    w->batch[role].old = role == LF_DATA_REPLAY;
    *out = &w->batch[role];
    return LF_OK;
}

static int64_t skipped(const lf_task *t) {
    const lf_pictures *w = t->data;
    int64_t n = 0;
    for (int i = 0; i < LF_DATA_ROLES; i++) n += w->loaders[i] ? lf_loader_skipped(w->loaders[i]) : 0;
    return n;
}
static double waited(const lf_task *t) {
    const lf_loader *loader = lf_pictures_of(t)->loaders[LF_DATA_TRAIN];
    return loader ? lf_loader_waited(loader) : 0;
}

static lf_status random_batch(lf_task *t, int64_t batch, int64_t seq, const lf_example_batch **out, lf_err *err) {
    const lf_model *m = t->model;
    lf_batch *b = &lf_pictures_of(t)->random;
    if (seq > 0)
        return lf_cfg_fail(t->cfg, LF_seq, err, "is for language models; pictures have no length, leave it out");
    const uint64_t seed = (uint64_t)lf_cfg_i64(t->cfg, LF_seed);
    const lf_rng_key pixels = lf_rng_make(seed, LF_RNG_TEST, STREAM_PIXELS),
                     labels = lf_rng_make(seed, LF_RNG_TEST, STREAM_LABELS);
    const int64_t n = batch * m->pixels.channels * m->pixels.height * m->pixels.width;
    b->B = batch;
    b->pixels = lf_aligned_alloc((size_t)n * sizeof *b->pixels);
    b->labels = lf_calloc((size_t)batch, sizeof *b->labels);
    if (!b->pixels || !b->labels) return lf_no_memory(err, "a batch of %lld; try a smaller one", (long long)batch);
    for (int64_t i = 0; i < n; i++) b->pixels[i] = (float)lf_rng_normal(pixels, (uint64_t)i);
    for (int64_t i = 0; i < batch; i++)
        b->labels[i] = (int32_t)lf_rng_below(labels, (uint64_t)i, (uint64_t)m->head.n_labels);
    lf_pictures_of(t)->batch[LF_DATA_TRAIN] = lf_batch_of_pictures(b);
    *out = &lf_pictures_of(t)->batch[LF_DATA_TRAIN];
    return LF_OK;
}

/* The first of the first epoch: in a folder they would come class by class. */
static lf_status preview(lf_task *t, int64_t n, const char *sheet, lf_obj *out, lf_err *err) {
    const lf_pictures *w = t->data;
    lf_loader *loader = NULL;
    lf_status rc = n > 0 ? open_loader(t, &loader, LF_DATA_TRAIN, 1, 0, 0, (lf_portion){0}, err) : LF_OK;
    if (!rc) rc = lf_preview_pictures(w->data[LF_DATA_TRAIN], loader, &w->processor, n, sheet, out, err);
    lf_loader_free(loader);
    return rc;
}

static lf_status examples(lf_task *t, lf_data_role role, lf_examples **out, lf_err *err) {
    lf_pictures *w = t->data;
    lf_eval_opts o = lf_task_eval_opts(t, "");
    (void)err;
    o.processor = &w->processor;
    *out = lf_examples_of_pictures(&w->examples[role], w->data[role], &o);
    return LF_OK;
}

/* In an order of its own: a folder's pictures come class by class. */
static lf_status look(lf_task *t, lf_model *m, lf_data_role role, const lf_look_opts *look, lf_err *err) {
    const lf_eval_opts e = lf_task_eval_opts(t, "");
    const lf_loader_opts o = {.batch_size = e.batch_size,
                              .workers = e.workers,
                              .shuffle = true,
                              .seed = look->seed,
                              .processor = &lf_pictures_of(t)->processor,
                              .skip_bad_images = e.skip_bad_images,
                              .epochs = 1};
    lf_loader *loader = NULL;
    lf_status rc = lf_loader_new(&loader, lf_pictures_of(t)->data[role], &o, err);
    for (int64_t left = look->examples; !rc && left > 0;) {
        const lf_batch *b;
        if ((rc = lf_loader_next(loader, &b, err)) || !b) break;
        const lf_pass pass = {.in = {.B = b->B < left ? b->B : left, .pixels = b->pixels}};
        lf_graph_begin(t->g, false, false, 0);
        (void)lf_model_features(m, t->g, &pass);
        rc = lf_graph_status(t->g, err);
        left -= pass.in.B;
    }
    lf_loader_free(loader);
    return rc;
}

const lf_source_type lf_source_pictures = {
    .input = LF_PIXELS,
    .unit = "images",
    .open = open,
    .close = close,
    .has_split = has_split,
    .open_data = open_data,
    .split_data = split_data,
    .has_data = has_data,
    .count = count,
    .extent = extent,
    .fingerprint = fingerprint,
    .check = lf_pictures_check,
    .keep_checks = lf_pictures_keep_checks,
    .describe = describe,
    .labels = labels,
    .save_beside = save_beside,
    .plan = plan,
    .start = start,
    .next = next,
    .skipped = skipped,
    .waited = waited,
    .random_batch = random_batch,
    .preview = preview,
    .examples = examples,
    .look = look,
};
