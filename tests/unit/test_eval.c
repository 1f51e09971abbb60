/* Metrics by hand: divergences, neighbours, ties; labels; and what an untouched model and an adapter forget. */
#define _POSIX_C_SOURCE 200809L
#include "data_fixture.h"

#include <math.h>

#include "adapter/adapter.h"
#include "eval/eval.h"
#include "eval/eval_internal.h"
#include "task/task.h"

enum { LABELS = 5, SIDE = 16, PICTURES = 12 };
static const char *const names[LABELS] = {"LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3",
                                          "LABEL_4"}; /* of the golden model */

static void assert_close(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) fail_msg("%.12g is not %.12g", a, b);
}

/* ---- distributions ---- */

static void divergence_by_hand(void **state) {
    (void)state;
    /* p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2): CE = 1.75 ln 2, KL = 0.25 ln 2; any shift of the logits is the same. */
    const float p[] = {logf(0.5F), logf(0.25F), logf(0.25F)}, q[] = {3 + logf(0.25F), 3 + logf(0.25F), 3 + logf(0.5F)};
    double ce, kl;
    lf_divergence(p, q, 3, &ce, &kl);
    assert_close(ce, 1.75 * log(2), 1e-6);
    assert_close(kl, 0.25 * log(2), 1e-6);
    lf_divergence(q, q, 3, &ce, &kl);
    assert_close(ce, 1.5 * log(2), 1e-6);
    assert_true(kl == 0);
    /* p = (1/2, 1/2), q = (9/10, 1/10): KL = 0.5 ln(5/9) + 0.5 ln 5 */
    const float even[] = {100, 100}, steep[] = {logf(0.9F), logf(0.1F)};
    lf_divergence(even, steep, 2, &ce, &kl);
    assert_close(kl, 0.5 * log(5.0 / 9) + 0.5 * log(5), 1e-6);
    assert_close(ce, kl + log(2), 1e-6);
    /* of two labels by themselves: p = (1/2, 1/2), q = (9/10, 1/2), and the mean over both */
    const float unsure[] = {0, 0}, sure[] = {logf(9), 0};
    lf_divergence_of_several(unsure, sure, 2, &ce, &kl);
    assert_close(kl, (0.5 * log(5.0 / 9) + 0.5 * log(5)) / 2, 1e-6);
    assert_close(ce, kl + log(2), 1e-6);
    lf_divergence_of_several(sure, sure, 2, &ce, &kl);
    assert_true(kl == 0);
}

static void extremes_do_not_overflow(void **state) {
    (void)state;
    const float big[] = {3e38F, 0, -3e38F}, other[] = {0, 1, 2};
    double ce, kl;
    assert_true(lf_log_sum_exp(big, 3) == (double)3e38F);
    lf_divergence(big, other, 3, &ce, &kl); /* p = (1, 0, 0): both are log(1 + e + e^2) */
    assert_close(ce, log(1 + exp(1) + exp(2)), 1e-6);
    assert_close(kl, ce, 1e-12);
}

static void first_of_equals_wins(void **state) {
    (void)state;
    const float x[] = {1, 4, 2, 4};
    assert_int_equal(lf_argmax(x, 4), 1);
    assert_int_equal(lf_argmax(x + 2, 1), 0);
}

/* ---- neighbours ---- */

static double knn(const float *features, const int32_t *labels, int64_t n, int64_t dim, int64_t n_classes) {
    const lf_kernels *all[8];
    const int backends = lf_kernels_available("fp32", all, 8);
    lf_err err = {0};
    double accuracy = NAN, other;
    assert_true(backends > 0);
    for (int i = 0; i < backends; i++) {
        assert_ok(lf_knn_accuracy(&other, all[i], features, labels, n, dim, n_classes, &err), err);
        if (i && other != accuracy && !isnan(other)) fail_msg("%s says %g, not %g", all[i]->name, other, accuracy);
        accuracy = other;
    }
    assert_ok(lf_knn_accuracy(&other, &lf_kernels_ref_f64, features, labels, n, dim, n_classes, &err), err);
    assert_true(other == accuracy || (isnan(other) && isnan(accuracy)));
    return accuracy;
}

static void neighbours_by_hand(void **state) {
    (void)state;
    /* Two directions; lengths do not matter. */
    const float f[] = {1, 0, 10, 1, 0, 3, 0.01F, 0.1F};
    assert_true(knn(f, (int32_t[]){0, 0, 1, 1}, 4, 2, 2) == 1);
    assert_true(knn(f, (int32_t[]){0, 1, 0, 1}, 4, 2, 2) == 0);
    assert_true(isnan(knn(f, (int32_t[]){0}, 1, 2, 2)));
    /* Features of zero are equally far: the lower label wins a draw of votes. (1, 1, 2): right, right, wrong. */
    const float zero[6] = {0};
    assert_close(knn(zero, (int32_t[]){1, 1, 2}, 3, 2, 3), 2.0 / 3, 1e-12);
}

static void votes_are_weighed(void **state) {
    (void)state;
    /* The first example (label 1): one of label 1 at cosine 1 (vote e^(1/.07)), two of label 0 at cosine 0.6 (each less
     * by e^(0.4/.07) = 303): right. The second sees the same. Those of label 0 have each other at cosine 1: right. */
    const float f[] = {1, 0, 1, 0, 0.6F, 0.8F, 0.6F, 0.8F};
    assert_true(knn(f, (int32_t[]){1, 1, 0, 0}, 4, 2, 2) == 1);
    /* At cosine 0.99 two outvote one: e^(0.01/.07) = 1.15 < 2. Only the two of label 0 are then right. */
    const float g[] = {1, 0, 1, 0, 0.99F, 0.1411F, 0.99F, 0.1411F};
    assert_close(knn(g, (int32_t[]){1, 1, 0, 0}, 4, 2, 2), 0, 1e-12);
}

static void only_twenty_vote(void **state) {
    (void)state;
    /* 15 of label 0, and 300 of label 1 at cosine 0.9 from them. Of the 20 that vote on a label 0, 14 are its own kind.
     * All 300 would outvote them (e^(0.1/.07) = 4.2 to one). More examples than one block of rows, too. */
    enum { FEW = 15, MANY = 300 };
    float f[2 * (FEW + MANY)];
    int32_t labels[FEW + MANY];
    for (int i = 0; i < FEW + MANY; i++) {
        labels[i] = i >= FEW;
        f[2 * i] = i < FEW ? 1 : 0.9F;
        f[2 * i + 1] = i < FEW ? 0 : sqrtf(1 - 0.81F);
    }
    assert_true(knn(f, labels, FEW + MANY, 2, 2) == 1);
}

/* ---- labels ---- */

static lf_status open_labelled(lf_dataset **d, const char *folder, int64_t n_names, lf_err *err) {
    cJSON *spec = cJSON_CreateString(in_scratch(folder));
    const lf_dataset_opts o = {.spec = spec, .key = "data", .split = "test"};
    const lf_status rc = lf_open_labelled(d, &o, names, n_names, err);
    cJSON_Delete(spec);
    return rc;
}

/* Numbers of classes are labels, and no class name of the model's moves them. */
static void labels_of_idx(void **state) {
    (void)state;
    unsigned char images[16 + 3 * 4] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2};
    unsigned char labels[8 + 3] = {0, 0, 8, 1, 0, 0, 0, 3, 4, 0, 2};
    put_bytes("idx/t10k-images-idx3-ubyte", images, sizeof images);
    put_bytes("idx/t10k-labels-idx1-ubyte", labels, sizeof labels);
    lf_err err = {0};
    lf_dataset *d;
    assert_ok(open_labelled(&d, "idx", LABELS, &err), err);
    assert_int_equal(lf_dataset_label(d, 0), 4);
    assert_int_equal(lf_dataset_label(d, 2), 2);
    lf_dataset_free(d);
    assert_says(open_labelled(&d, "idx", 4, &err), LF_EDATA, err, "numbers up to 4; expected 0 to 3");
    assert_null(d);
}

/* ---- a model, its pictures, and what it forgets ---- */

typedef struct fixture {
    const lf_kernels *k;
    lf_model *m;
    lf_graph *g;
    lf_dataset *d;
    lf_image_processor processor;
    lf_eval_opts opts;
    lf_adapter *adapter;
    lf_picture_examples examples;
} fixture;

/* Pictures of noise, label i % 5 for the i-th. */
static void put_pictures(void) {
    const lf_rng_key key = lf_rng_make(7, LF_RNG_TEST, 0);
    for (int i = 0; i < PICTURES; i++) {
        unsigned char bytes[13 + SIDE * SIDE] = "P5 16 16 255\n";
        for (int j = 0; j < SIDE * SIDE; j++)
            bytes[13 + j] = (unsigned char)lf_rng_u32(key, (uint64_t)(i * SIDE * SIDE + j));
        char name[64];
        snprintf(name, sizeof name, "base/LABEL_%d/%02d.pgm", i % LABELS, i);
        put_bytes(name, bytes, sizeof bytes);
    }
}

static void open_fixture(fixture *f) {
    lf_err err = {0};
    *f = (fixture){0};
    assert_ok(lf_kernels_select(&f->k, "fp32", &err), err);
    assert_ok(
        lf_model_open(&f->m, LF_TEST_DIR "/golden/vit-base", &(lf_model_opts){.k = f->k, .load = LF_LOAD_FROZEN}, &err),
        err);
    assert_non_null(f->g = lf_graph_new(f->k, 1));
    assert_ok(lf_processor_for(&f->processor, f->m, &err), err);
    put_pictures();
    assert_ok(open_labelled(&f->d, "base", LABELS, &err), err);
    f->opts = (lf_eval_opts){.batch_size = 5, .workers = 2, .processor = &f->processor, .what = ""};
}

static void close_fixture(fixture *f) {
    lf_dataset_free(f->d);
    lf_graph_free(f->g);
    lf_adapter_free(f->adapter);
    lf_model_free(f->m);
}

/* The fixture's pictures, read as its options say now. */
static lf_examples *examples(fixture *f) { return lf_examples_of_pictures(&f->examples, f->d, &f->opts); }

/* An adapter that moves every module. */
static void attach(fixture *f) {
    lf_err err = {0};
    lf_config *cfg = NULL;
    lf_adapter_opts o;
    assert_ok(lf_config_new(&cfg, "bench", &err), err);
    assert_ok(lf_adapter_opts_read(&o, cfg, &err), err);
    assert_ok(lf_adapter_new(&f->adapter, &f->m->nn, &o, &err), err);
    const lf_rng_key key = lf_rng_make(3, LF_RNG_TEST, 1);
    for (int64_t i = 0; i < lf_adapter_count(f->adapter); i++) {
        float *B = lf_adapter_module(f->adapter, i)->lora->B.data;
        for (int64_t j = 0; j < lf_adapter_module(f->adapter, i)->lora->B.numel; j++)
            B[j] = 0.2F * (float)lf_rng_normal(key, (uint64_t)(1000 * i + j));
    }
    lf_config_free(cfg);
}

typedef struct all_logits {
    float values[PICTURES * LABELS];
    int64_t rows;
} all_logits;

static lf_status keep(void *context, const lf_example_batch *b, const float *features, const float *logits, int64_t V,
                      lf_err *err) {
    all_logits *all = context;
    (void)features;
    (void)err;
    for (int64_t i = 0; i < b->in.B; i++) assert_int_equal(b->indices[i], all->rows + i);
    memcpy(all->values + all->rows * V, logits, (size_t)(b->in.B * V) * sizeof *logits);
    all->rows += b->in.B;
    return LF_OK;
}

static void evaluate(fixture *f, bool base, all_logits *all, lf_accuracy *a) {
    lf_err err = {0};
    all->rows = 0;
    f->opts.base = base;
    assert_ok(lf_evaluate(a, f->m, f->g, f->m->base_head.module, examples(f), &f->opts, keep, all, &err), err);
    assert_int_equal(all->rows, PICTURES);
}

static void accuracy_and_loss_are_those_of_the_logits(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    all_logits all;
    lf_accuracy a;
    evaluate(&f, false, &all, &a);
    int64_t correct = 0;
    double loss = 0;
    for (int64_t i = 0; i < PICTURES; i++) {
        const float *l = all.values + i * LABELS;
        const int64_t label = lf_dataset_label(f.d, i);
        double sum = 0;
        bool best = true;
        for (int v = 0; v < LABELS; v++) {
            sum += exp((double)l[v] - (double)l[label]);
            if (v != label && (l[v] > l[label] || (l[v] == l[label] && v < label))) best = false;
        }
        correct += best;
        loss += log(sum);
    }
    assert_int_equal(a.count, PICTURES);
    assert_int_equal(a.skipped, 0);
    assert_close(a.accuracy, (double)correct / PICTURES, 1e-12);
    assert_close(a.loss, loss / PICTURES, 1e-9);
    close_fixture(&f);
}

static void untouched_model_forgets_nothing(void **state) {
    (void)state;
    fixture f;
    lf_err err = {0};
    lf_forgetting *forgetting;
    lf_base_score after;
    open_fixture(&f);
    assert_ok(lf_forgetting_new(&forgetting, f.m, f.g, LF_CLASSES, examples(&f), &f.opts, true, &err), err);
    assert_ok(lf_forgetting_measure(&after, forgetting, f.m, f.g, &f.opts, &err), err);
    const lf_base_score *before = lf_forgetting_before(forgetting);
    assert_true(after.accuracy - before->accuracy == 0);
    assert_true(fabs(after.kl) <= 1e-7 && before->kl == 0);
    assert_true(after.ce == before->ce && before->ce > 0);
    assert_true(after.knn == before->knn && before->knn >= 0);
    assert_int_equal(before->knn_count, PICTURES);
    lf_forgetting_free(forgetting);
    close_fixture(&f);
}

static void an_adapter_is_compared_with_the_base(void **state) {
    (void)state;
    fixture f;
    lf_err err = {0};
    lf_forgetting *forgetting;
    lf_base_score after;
    all_logits base, tuned;
    lf_accuracy a_base, a_tuned;
    open_fixture(&f);
    attach(&f);
    assert_ok(lf_forgetting_new(&forgetting, f.m, f.g, LF_CLASSES, examples(&f), &f.opts, false, &err), err);
    f.opts.base = true; /* the measurement is of the adapter all the same */
    assert_ok(lf_forgetting_measure(&after, forgetting, f.m, f.g, &f.opts, &err), err);
    evaluate(&f, true, &base, &a_base);
    evaluate(&f, false, &tuned, &a_tuned);
    double ce = 0, kl = 0;
    for (int64_t i = 0; i < PICTURES; i++) {
        const float *b = base.values + i * LABELS, *t = tuned.values + i * LABELS;
        double sb = 0, st = 0;
        for (int v = 0; v < LABELS; v++) {
            sb += exp((double)b[v]);
            st += exp((double)t[v]);
        }
        for (int v = 0; v < LABELS; v++) {
            const double p = exp((double)b[v]) / sb, q = exp((double)t[v]) / st;
            ce -= p * log(q) / PICTURES;
            kl += p * log(p / q) / PICTURES;
        }
    }
    assert_true(kl > 1e-3); /* else nothing is tested */
    assert_close(after.kl, kl, 1e-9);
    assert_close(after.ce, ce, 1e-9);
    assert_close(lf_forgetting_before(forgetting)->accuracy, a_base.accuracy, 0);
    assert_close(after.accuracy, a_tuned.accuracy, 0);
    assert_true(isnan(after.knn) && after.knn_count == 0);
    lf_forgetting_free(forgetting);
    close_fixture(&f);
}

static void neighbours_are_searched_in_a_spread_sample(void **state) {
    (void)state;
    fixture f;
    lf_err err = {0};
    lf_forgetting *forgetting;
    open_fixture(&f);
    f.opts.knn_samples = 7;
    assert_ok(lf_forgetting_new(&forgetting, f.m, f.g, LF_CLASSES, examples(&f), &f.opts, true, &err), err);
    assert_int_equal(lf_forgetting_before(forgetting)->knn_count, 7);
    lf_forgetting_free(forgetting);
    close_fixture(&f);
}

/* A model without a head of its own: the figure is that of the neighbours, and the same whatever with_knn says. */
static void a_base_without_a_head_is_judged_by_neighbours(void **state) {
    (void)state;
    fixture f;
    lf_err err = {0};
    lf_forgetting *with, *without;
    lf_base_score after;
    float *logits;
    uint8_t *seen;
    int64_t V, N;
    open_fixture(&f);
    assert_ok(lf_forgetting_new(&with, f.m, f.g, LF_CLASSES, examples(&f), &f.opts, true, &err), err);
    const lf_classifier own = f.m->base_head;
    f.m->base_head.module = NULL;
    assert_ok(lf_forgetting_new(&without, f.m, f.g, LF_CLASSES, examples(&f), &f.opts, false, &err), err);
    const lf_base_score *before = lf_forgetting_before(without);
    assert_true(before->knn == lf_forgetting_before(with)->knn && before->accuracy == before->knn);
    assert_int_equal(before->by_neighbours, 1);
    assert_int_equal(lf_forgetting_before(with)->by_neighbours, 0);
    assert_int_equal(before->count, PICTURES);
    assert_true(isnan(before->loss) && isnan(before->ce) && isnan(before->kl));
    lf_forgetting_arrays(without, &logits, &V, &seen, &N);
    assert_true(V == 0 && !logits && !seen);
    assert_ok(lf_forgetting_measure(&after, without, f.m, f.g, &f.opts, &err), err);
    assert_true(after.accuracy == before->accuracy && after.by_neighbours == 1);
    f.m->base_head = own; /* the way is chosen when the base is measured, and kept */
    assert_ok(lf_forgetting_measure(&after, without, f.m, f.g, &f.opts, &err), err);
    assert_int_equal(after.by_neighbours, 1);
    lf_forgetting_free(without);
    f.m->base_head.module = NULL;
    f.opts.knn_samples = 1;
    assert_says(lf_forgetting_new(&without, f.m, f.g, LF_CLASSES, examples(&f), &f.opts, false, &err), LF_EDATA, err,
                "neighbours need two");
    f.m->base_head = own;
    lf_forgetting_free(with);
    close_fixture(&f);
}

static void a_bad_picture_stops_or_is_left_out(void **state) {
    (void)state;
    fixture f;
    lf_err err = {0};
    lf_forgetting *forgetting;
    lf_accuracy a;
    lf_base_score after;
    open_fixture(&f);
    lf_dataset_free(f.d);
    put_bytes("base/LABEL_2/zz.png", "no picture", 10);
    assert_ok(open_labelled(&f.d, "base", LABELS, &err), err);
    assert_says(lf_forgetting_new(&forgetting, f.m, f.g, LF_CLASSES, examples(&f), &f.opts, true, &err), LF_EDATA, err,
                "zz.png");
    assert_null(forgetting);
    f.opts.skip_bad_images = true;
    assert_ok(lf_evaluate(&a, f.m, f.g, f.m->base_head.module, examples(&f), &f.opts, NULL, NULL, &err), err);
    assert_int_equal(a.count, PICTURES);
    assert_int_equal(a.skipped, 1);
    assert_ok(lf_forgetting_new(&forgetting, f.m, f.g, LF_CLASSES, examples(&f), &f.opts, true, &err), err);
    assert_ok(lf_forgetting_measure(&after, forgetting, f.m, f.g, &f.opts, &err), err);
    assert_int_equal(after.count, PICTURES);
    assert_true(after.kl == 0);
    lf_forgetting_free(forgetting);
    close_fixture(&f);
    assert_ok(lf_remove_tree(in_scratch("base"), &err), err);
}

static void what_cannot_be_measured_says_so(void **state) {
    (void)state;
    fixture f;
    lf_err err = {0};
    lf_accuracy a;
    open_fixture(&f);
    assert_says(lf_evaluate(&a, f.m, f.g, NULL, examples(&f), &f.opts, NULL, NULL, &err), LF_EDATA, err,
                "no classification head");
    float *bias = f.m->base_head.module->bias->tensor.data;
    const float was = bias[1];
    bias[1] = NAN;
    assert_says(lf_evaluate(&a, f.m, f.g, f.m->base_head.module, examples(&f), &f.opts, NULL, NULL, &err), LF_EDIVERGED,
                err, "not finite");
    bias[1] = was;
    lf_module *head = f.m->base_head.module;
    f.opts.interruptible = true;
    lf_interrupt();
    assert_says(lf_evaluate(&a, f.m, f.g, head, examples(&f), &f.opts, NULL, NULL, &err), LF_EINTERRUPTED, err,
                "0 of 12");
    f.opts.interruptible = false; /* an evaluation in training ends first */
    assert_ok(lf_evaluate(&a, f.m, f.g, head, examples(&f), &f.opts, NULL, NULL, &err), err);
    lf_interrupt_reset();
    close_fixture(&f);
}

/* Every allocation of a measurement fails once; nothing leaks. */
static void memory_may_run_out(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    f.opts.workers = 1;
    lf_status rc = LF_ENOMEM;
    int64_t failures = 0;
    for (int64_t n = 0; rc; n++) {
        lf_err err = {0};
        lf_forgetting *forgetting = NULL;
        lf_base_score after;
        lf_graph_free(f.g); /* a cold one, so that its memory is asked for too */
        const int64_t live = lf_alloc_live();
        lf_alloc_fail_after(n);
        f.g = lf_graph_new(f.k, 1);
        rc = !f.g ? LF_ENOMEM : lf_forgetting_new(&forgetting, f.m, f.g, LF_CLASSES, examples(&f), &f.opts, true, &err);
        if (!rc) rc = lf_forgetting_measure(&after, forgetting, f.m, f.g, &f.opts, &err);
        lf_alloc_fail_after(-1);
        lf_forgetting_free(forgetting);
        lf_graph_free(f.g);
        f.g = NULL;
        assert_int_equal(lf_alloc_live(), live);
        if (rc) assert_int_equal(rc, LF_ENOMEM);
        failures += rc != LF_OK;
    }
    assert_true(failures > 20);
    close_fixture(&f);
}

/* ---- results ---- */

static char *table_of(const lf_results *r) {
    static char text[2048];
    memset(text, 0, sizeof text);
    FILE *f = tmpfile();
    assert_non_null(f);
    lf_results_table(r, f);
    rewind(f);
    assert_true(fread(text, 1, sizeof text, f) < sizeof text); /* nothing, where nothing was measured */
    fclose(f);
    return text;
}

static void results_hold_what_was_measured(void **state) {
    (void)state;
    lf_results r;
    lf_results_clear(&r, &lf_task_image);
    cJSON *o = lf_results_to_json(&r);
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(o, "forgetting")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(o, "init_seconds")));
    assert_null(cJSON_GetObjectItemCaseSensitive(o, "base_kl"));
    cJSON_Delete(o);
    assert_null(strstr(table_of(&r), "base task"));

    r.eval_accuracy = 0.91236;
    r.eval_count = 130;
    r.base_before = 0;
    r.base_after = 0.25;
    r.forgetting = -0.25;
    r.retention = 0.25 / r.base_before; /* nothing to retain: null, not infinity */
    r.after.kl = 0.5;
    r.trainable_parameters = 5000000000;
    r.threads = 2;
    o = lf_results_to_json(&r);
    assert_true(cJSON_GetObjectItemCaseSensitive(o, "base_kl")->valuedouble == 0.5);
    assert_true(cJSON_GetObjectItemCaseSensitive(o, "trainable_parameters")->valuedouble == 5e9);
    assert_true(cJSON_GetObjectItemCaseSensitive(o, "threads")->valuedouble == 2);
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(o, "retention")));
    cJSON_Delete(o);
    const char *table = table_of(&r);
    assert_non_null(strstr(table, "91.24 %   130 examples"));
    assert_non_null(strstr(table, "0.00 %    25.00 %"));
    assert_non_null(strstr(table, "-25.00"));
    assert_null(strstr(table, "retention"));
    assert_null(strstr(table, "inf"));
    assert_null(strstr(table, "nan"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divergence_by_hand),
        cmocka_unit_test(extremes_do_not_overflow),
        cmocka_unit_test(first_of_equals_wins),
        cmocka_unit_test(neighbours_by_hand),
        cmocka_unit_test(votes_are_weighed),
        cmocka_unit_test(only_twenty_vote),
        cmocka_unit_test(labels_of_idx),
        cmocka_unit_test(accuracy_and_loss_are_those_of_the_logits),
        cmocka_unit_test(untouched_model_forgets_nothing),
        cmocka_unit_test(an_adapter_is_compared_with_the_base),
        cmocka_unit_test(neighbours_are_searched_in_a_spread_sample),
        cmocka_unit_test(a_base_without_a_head_is_judged_by_neighbours),
        cmocka_unit_test(a_bad_picture_stops_or_is_left_out),
        cmocka_unit_test(what_cannot_be_measured_says_so),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(results_hold_what_was_measured),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
