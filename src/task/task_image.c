/* The task of classifying pictures: a head on the model's features, labelled pictures, accuracy. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "eval/eval_internal.h"
#include "task/task.h"
#include "task/update_ratio.h"

enum { RANDOM_LABELS = 100 }; /* of the head that a model without one gets for measuring speed */
enum { STREAM_PIXELS, STREAM_LABELS };

typedef struct own {
    lf_image_processor processor;
    bool has_processor;
    lf_dataset *data[LF_DATA_ROLES]; /* NULL: not given */
    lf_forgetting *forgetting;
    lf_loader *loader;
    int64_t batch_size;
    lf_task_batch batch; /* the last one served */
    lf_batch random;     /* its arrays are ours */
} own;

static own *of(const lf_task *t) { return t->own; }

static lf_status open(lf_task *t, lf_err *err) {
    t->own = lf_calloc(1, sizeof(own));
    return t->own ? LF_OK : lf_fail(err, LF_ENOMEM, "out of memory for the task");
}

static void close(lf_task *t) {
    own *o = of(t);
    if (!o) return;
    lf_loader_free(o->loader);
    lf_forgetting_free(o->forgetting);
    for (int i = 0; i < LF_DATA_ROLES; i++) lf_dataset_free(o->data[i]);
    lf_aligned_free(o->random.pixels);
    lf_free(o->random.labels);
    lf_free(o);
}

/* ---- data ---- */

static const char **class_names(const lf_dataset *d, int64_t *n) {
    *n = lf_dataset_n_classes(d);
    const char **names = lf_calloc((size_t)*n, sizeof *names);
    for (int64_t i = 0; names && i < *n; i++) names[i] = lf_dataset_class_name(d, i);
    return names;
}

static lf_status open_train(lf_task *t, const lf_dataset_opts *o, lf_err *err) {
    lf_dataset **out = &of(t)->data[LF_DATA_TRAIN];
    const lf_model *m = t->model;
    if (!lf_cfg_bool(t->cfg, LF_reuse_head)) return lf_dataset_open(out, o, err);
    return lf_open_labelled(out, o, m->head.labels, m->head.n_labels, err);
}

/* By the labels of the training data; where nothing is trained, by those of the head that is judged. */
static lf_status open_judged(lf_task *t, lf_data_role role, const lf_dataset_opts *o, lf_err *err) {
    int64_t n;
    lf_dataset **out = &of(t)->data[role];
    const lf_dataset *train = of(t)->data[LF_DATA_TRAIN];
    if (!train) {
        const lf_classifier *head;
        const lf_status rc = lf_head_in_use(&head, t->model, t->cfg, "key 'data'", err);
        return rc ? rc : lf_open_labelled(out, o, head->labels, head->n_labels, err);
    }
    const char **names = class_names(train, &n);
    const lf_status rc =
        names ? lf_open_labelled(out, o, names, n, err) : lf_fail(err, LF_ENOMEM, "out of memory for the class names");
    lf_free(names);
    return rc;
}

static lf_status open_base(lf_task *t, lf_key_id key, const lf_dataset_opts *o, lf_err *err) {
    const lf_model *m = t->model;
    if (!m->base_head.module)
        return lf_cfg_fail(t->cfg, key, err, "the model has no head of its own, so there is no base task to forget");
    return lf_open_labelled(&of(t)->data[LF_DATA_BASE], o, m->base_head.labels, m->base_head.n_labels, err);
}

static lf_status open_data(lf_task *t, lf_data_role role, const lf_data_from *from, lf_err *err) {
    own *w = of(t);
    const lf_dataset_opts o = {.spec = lf_cfg_json(t->cfg, from->key),
                               .key = lf_key_name(from->key),
                               .split = from->split,
                               .max_samples = from->limit ? lf_cfg_i64(t->cfg, from->limit) : 0,
                               .seed = (uint64_t)lf_cfg_i64(t->cfg, LF_seed)};
    lf_status rc = w->has_processor ? LF_OK : lf_processor_for(&w->processor, t->model, err);
    w->has_processor = !rc;
    if (rc) return rc;
    if (role == LF_DATA_TRAIN) return open_train(t, &o, err);
    return role == LF_DATA_BASE ? open_base(t, from->key, &o, err) : open_judged(t, role, &o, err);
}

static lf_status split_data(lf_task *t, double share, lf_err *err) {
    return lf_dataset_split(of(t)->data[LF_DATA_TRAIN], share, (uint64_t)lf_cfg_i64(t->cfg, LF_seed),
                            &of(t)->data[LF_DATA_EVAL], err);
}

static bool has_data(const lf_task *t, lf_data_role role) { return of(t)->data[role] != NULL; }
static lf_status fingerprint(const lf_task *t, lf_data_role role, lf_fingerprint *out, lf_err *err) {
    return lf_dataset_fingerprint(out, of(t)->data[role], lf_cfg_bool(t->cfg, LF_skip_bad_images), err);
}
static int64_t count(const lf_task *t, lf_data_role role) { return lf_dataset_count(of(t)->data[role]); }

static void describe(const lf_task *t, lf_data_role role, char *text, size_t size) {
    const lf_dataset *d = of(t)->data[role];
    char classes[48] = "";
    if (role == LF_DATA_TRAIN)
        snprintf(classes, sizeof classes, " of %lld classes", (long long)lf_dataset_n_classes(d));
    snprintf(text, size, "%lld examples%s (%s)", (long long)lf_dataset_count(d), classes, lf_dataset_path(d));
}

/* ---- training ---- */

static lf_status new_head(lf_task *t, lf_err *err) {
    int64_t n;
    const char **names = class_names(of(t)->data[LF_DATA_TRAIN], &n);
    if (!names) return lf_fail(err, LF_ENOMEM, "out of memory for the class names");
    const lf_status rc = lf_model_new_head(t->model, n, names, (uint64_t)lf_cfg_i64(t->cfg, LF_seed), err);
    lf_free(names);
    return rc;
}

static lf_status prepare(lf_task *t, lf_err *err) {
    return lf_cfg_bool(t->cfg, LF_reuse_head) ? lf_model_train_head(t->model, err) : new_head(t, err);
}

static lf_status plan(lf_task *t, int64_t batch_size, int64_t *batches_per_epoch, lf_err *err) {
    (void)err;
    of(t)->batch_size = batch_size;
    *batches_per_epoch = (count(t, LF_DATA_TRAIN) + batch_size - 1) / batch_size;
    return LF_OK;
}

static lf_status start(lf_task *t, int64_t epoch, int64_t batch, lf_err *err) {
    own *w = of(t);
    const lf_eval_opts e = lf_task_eval_opts(t, "");
    lf_augmentation augmentation;
    if (!lf_augmentation_parse(lf_cfg_str(t->cfg, LF_augmentation), &augmentation))
        return lf_cfg_fail(t->cfg, LF_augmentation, err, "there is no such augmentation");
    const lf_loader_opts o = {.batch_size = w->batch_size,
                              .workers = e.workers,
                              .shuffle = true,
                              .seed = (uint64_t)lf_cfg_i64(t->cfg, LF_seed),
                              .augmentation = augmentation,
                              .processor = &w->processor,
                              .skip_bad_images = e.skip_bad_images,
                              .first_epoch = epoch,
                              .first_batch = batch,
                              .epochs = INT64_MAX};
    return lf_loader_new(&w->loader, w->data[LF_DATA_TRAIN], &o, err);
}

static lf_status next(lf_task *t, const lf_task_batch **out, lf_err *err) {
    own *w = of(t);
    const lf_batch *b;
    *out = NULL;
    const lf_status rc = lf_loader_next(w->loader, &b, err);
    if (rc || !b) return rc;
    w->batch = (lf_task_batch){.epoch = b->epoch, .number = b->number, .items = b->B, .data = b};
    *out = &w->batch;
    return LF_OK;
}

static int64_t skipped(const lf_task *t) { return of(t)->loader ? lf_loader_skipped(of(t)->loader) : 0; }
static double waited(const lf_task *t) { return of(t)->loader ? lf_loader_waited(of(t)->loader) : 0; }

static lf_tensor *loss(lf_task *t, const lf_task_batch *batch, lf_loss_counts *counts) {
    const lf_batch *b = batch->data;
    const lf_pass pass = {.in = {.B = b->B, .pixels = b->pixels}};
    const int64_t V = t->model->head.n_labels;
    lf_tensor *features = lf_model_features(t->model, t->g, &pass);
    lf_tensor *logits = lf_model_logits(t->g, t->model->head.module, features);
    lf_done(t->g, features);
    *counts = (lf_loss_counts){.targets = b->B};
    for (int64_t i = 0; logits && i < b->B; i++)
        counts->correct += lf_argmax((const float *)logits->data + i * V, V) == b->labels[i];
    return lf_cross_entropy(t->g, logits, b->labels, 1, lf_cfg_f64(t->cfg, LF_label_smoothing_factor));
}

static lf_status random_head(lf_task *t, lf_err *err) {
    if (t->model->base_head.module) return lf_model_train_head(t->model, err);
    char text[RANDOM_LABELS][24];
    const char *names[RANDOM_LABELS];
    for (int i = 0; i < RANDOM_LABELS; i++) {
        snprintf(text[i], sizeof text[i], "LABEL_%d", i);
        names[i] = text[i];
    }
    return lf_model_new_head(t->model, RANDOM_LABELS, names, (uint64_t)lf_cfg_i64(t->cfg, LF_seed), err);
}

static lf_status random_batch(lf_task *t, int64_t batch, int64_t seq, const lf_task_batch **out, lf_err *err) {
    lf_model *m = t->model;
    lf_batch *b = &of(t)->random;
    if (seq > 0)
        return lf_cfg_fail(t->cfg, LF_seq, err, "is for language models; pictures have no length, leave it out");
    const lf_status rc = random_head(t, err);
    if (rc) return rc;
    const uint64_t seed = (uint64_t)lf_cfg_i64(t->cfg, LF_seed);
    const lf_rng_key pixels = lf_rng_make(seed, LF_RNG_TEST, STREAM_PIXELS),
                     labels = lf_rng_make(seed, LF_RNG_TEST, STREAM_LABELS);
    const int64_t n = batch * m->pixels.channels * m->pixels.height * m->pixels.width;
    b->B = batch;
    b->pixels = lf_aligned_alloc((size_t)n * sizeof *b->pixels);
    b->labels = lf_calloc((size_t)batch, sizeof *b->labels);
    if (!b->pixels || !b->labels)
        return lf_fail(err, LF_ENOMEM, "out of memory for a batch of %lld; try a smaller one", (long long)batch);
    for (int64_t i = 0; i < n; i++) b->pixels[i] = (float)lf_rng_normal(pixels, (uint64_t)i);
    for (int64_t i = 0; i < batch; i++)
        b->labels[i] = (int32_t)lf_rng_below(labels, (uint64_t)i, (uint64_t)m->head.n_labels);
    of(t)->batch = (lf_task_batch){.items = batch, .data = b};
    *out = &of(t)->batch;
    return LF_OK;
}

static lf_status save_beside(const lf_task *t, const char *dir, lf_err *err) {
    cJSON *o = lf_image_processor_to_json(&of(t)->processor);
    const lf_status rc = lf_json_write_in(dir, "preprocessor_config.json", o, true, err);
    cJSON_Delete(o);
    return rc;
}

/* ---- judging ---- */

static lf_eval_opts eval_opts(const lf_task *t, const char *what) {
    lf_eval_opts o = lf_task_eval_opts(t, what);
    o.processor = &of(t)->processor;
    return o;
}

static lf_status evaluate(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, const char *save, lf_err *err) {
    const lf_dataset *d = of(t)->data[role];
    const lf_eval_opts o = eval_opts(t, "evaluate");
    const lf_classifier *head;
    lf_status rc = lf_head_in_use(&head, m, t->cfg, "key 'data'", err);
    if (rc) return rc;
    rc = save ? lf_evaluate_saving(out, m, t->g, head->module, d, &o, save, err)
              : lf_evaluate(out, m, t->g, head->module, d, &o, NULL, NULL, err);
    if (!rc) out->items = out->targets = out->count;
    return rc;
}

static lf_status measure_base(lf_task *t, lf_base_score *out, lf_err *err) {
    own *w = of(t);
    const lf_eval_opts o = eval_opts(t, "untouched base");
    lf_forgetting_free(w->forgetting);
    const lf_status rc = lf_forgetting_new(&w->forgetting, t->model, t->g, w->data[LF_DATA_BASE], &o,
                                           lf_cfg_bool(t->cfg, LF_forgetting_knn), err);
    if (!rc) *out = *lf_forgetting_before(w->forgetting);
    return rc;
}

static lf_status base_parts(lf_task *t, bool make, lf_stored_part *parts, int *n, lf_err *err) {
    own *w = of(t);
    const lf_eval_opts o = eval_opts(t, "");
    float *logits;
    uint8_t *seen;
    int64_t V, N;
    const lf_status rc = make ? lf_forgetting_room(&w->forgetting, t->model, w->data[LF_DATA_BASE], &o,
                                                   lf_cfg_bool(t->cfg, LF_forgetting_knn), err)
                              : LF_OK;
    if (rc) return rc;
    lf_forgetting_arrays(w->forgetting, &logits, &V, &seen, &N);
    parts[0] = (lf_stored_part){"logits", logits, N, V, LF_F32};
    parts[1] = (lf_stored_part){"seen", seen, 1, N, LF_U8};
    *n = 2;
    return LF_OK;
}

static void base_restored(lf_task *t, const lf_base_score *score) {
    lf_forgetting_set_before(of(t)->forgetting, score);
}

static lf_status measure_tuned(lf_task *t, lf_base_score *out, lf_model *m, lf_err *err) {
    const lf_eval_opts o = eval_opts(t, "base task");
    const lf_classifier own_head = m->base_head;
    /* The base's own head may not be in a full model's new file; the one in memory is frozen and the same. */
    if (strcmp(lf_cfg_str(t->cfg, LF_method), "full") == 0) m->base_head = t->model->base_head;
    const lf_status rc = lf_forgetting_measure(out, of(t)->forgetting, m, t->g, &o, err);
    m->base_head = own_head;
    return rc;
}

/* In an order of its own: a folder's pictures come class by class. */
static lf_status look(lf_task *t, lf_update_ratio *u, lf_model *m, lf_data_role role, lf_err *err) {
    enum { SEED = 0 };
    (void)u;
    const lf_eval_opts e = eval_opts(t, "");
    const lf_loader_opts o = {.batch_size = e.batch_size,
                              .workers = e.workers,
                              .shuffle = true,
                              .seed = SEED,
                              .processor = e.processor,
                              .skip_bad_images = e.skip_bad_images,
                              .epochs = 1};
    lf_loader *loader = NULL;
    lf_status rc = lf_loader_new(&loader, of(t)->data[role], &o, err);
    for (int64_t left = LF_UPDATE_EXAMPLES; !rc && left > 0;) {
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

/* ---- results ---- */

static double chance(const lf_model *m, bool base) {
    return 1 / (double)(base ? m->base_head.n_labels : m->head.n_labels);
}

static void compare(lf_results *r) {
    r->base_before = r->before.accuracy;
    r->base_after = r->after.accuracy;
    r->forgetting = r->base_before - r->base_after;
    r->retention = r->base_before > 0 ? r->base_after / r->base_before : NAN;
}

static void table(const lf_results *r, FILE *out) {
    const char *const share = "%.2f %%", *const unit = "examples";
    const lf_row rows[] = {
        {"new task", share, 100, r->eval_accuracy_before, r->eval_accuracy, r->eval_count, unit, false},
        {"new task, test", share, 100, NAN, r->test_accuracy, r->test_count, unit, false},
        {"base task", share, 100, r->base_before, r->base_after, r->after.count, unit, false},
        {"base task, neighbours", share, 100, r->before.knn, r->after.knn, r->after.knn_count, unit, false},
        {"forgetting (points)", "%.2f", 100, NAN, r->forgetting, 0, unit, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) lf_results_row(out, &rows[i]);
}

static void add_row(cJSON *row, const lf_accuracy *a, const lf_base_score *base) {
    if (a) {
        cJSON_AddNumberToObject(row, "eval_accuracy", a->accuracy);
        cJSON_AddNumberToObject(row, "eval_loss", a->loss);
    }
    if (!base) return;
    cJSON_AddNumberToObject(row, "base_accuracy", base->accuracy);
    cJSON_AddNumberToObject(row, "base_loss", base->loss);
    cJSON_AddNumberToObject(row, "base_ce", base->ce);
    cJSON_AddNumberToObject(row, "base_kl", base->kl);
    if (isfinite(base->knn)) cJSON_AddNumberToObject(row, "base_knn", base->knn);
}

static void say(char *text, size_t size, const lf_accuracy *a, const lf_base_score *base) {
    text[0] = 0;
    if (a) snprintf(text, size, "accuracy %.4f  loss %.4f  ", a->accuracy, a->loss);
    if (base) snprintf(text + strlen(text), size - strlen(text), "base task %.4f  KL %.5f", base->accuracy, base->kl);
}

const lf_task_type lf_task_image = {
    .unit = "images",
    .best_metric = "accuracy",
    .auto_class = NULL,
    .input = LF_PIXELS,
    .output = LF_CLASSES,
    .open = open,
    .close = close,
    .has_split = lf_dataset_has_split,
    .open_data = open_data,
    .split_data = split_data,
    .has_data = has_data,
    .count = count,
    .fingerprint = fingerprint,
    .describe = describe,
    .prepare = prepare,
    .plan = plan,
    .start = start,
    .next = next,
    .skipped = skipped,
    .waited = waited,
    .loss = loss,
    .random_batch = random_batch,
    .save_beside = save_beside,
    .evaluate = evaluate,
    .measure_base = measure_base,
    .measure_tuned = measure_tuned,
    .base_parts = base_parts,
    .base_restored = base_restored,
    .look = look,
    .judged_by = LF_BY_ACCURACY,
    .chance = chance,
    .compare = compare,
    .table = table,
    .add_row = add_row,
    .say = say,
};
