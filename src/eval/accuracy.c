/* One pass over a data set: forward in batches, count the hits, sum the losses in double. */
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "eval/counted.h"
#include "eval/eval.h"
#include "eval/eval_internal.h"

int64_t lf_argmax(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

double lf_log_sum_exp(const float *x, int64_t n) {
    const double most = (double)x[lf_argmax(x, n)];
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
    return most + log(sum);
}

double lf_count_accuracy(const lf_class_counts *c) {
    int64_t are = 0, right = 0;
    for (int64_t k = 0; k < c->n; k++) {
        are += c->are[k];
        right += c->right[k];
    }
    return are ? (double)right / (double)are : NAN;
}

typedef struct pass {
    lf_model *m;
    lf_graph *g;
    lf_module *head;
    const lf_dataset *d;
    bool base;
    float *features, *logits; /* of one batch */
    int64_t count, labelled, correct;
    lf_class_counts classes; /* its arrays are one piece of memory, at `are` */
    double loss;
} pass;

/* Fills p->features and p->logits. */
static lf_status forward(pass *p, const lf_batch *b, lf_err *err) {
    const lf_kernels *k = lf_graph_kernels(p->g);
    const lf_pass pixels = {.in = {.B = b->B, .pixels = b->pixels}, .base = p->base};
    lf_graph_begin(p->g, false, false, 0);
    lf_tensor *features = lf_model_features(p->m, p->g, &pixels);
    lf_tensor *logits = lf_model_logits(p->g, p->head, features);
    const lf_status rc = lf_graph_status(p->g, err);
    if (rc) return rc;
    k->to_f32(p->features, features->data, features->numel);
    k->to_f32(p->logits, logits->data, logits->numel);
    return LF_OK;
}

static lf_status count(pass *p, const lf_batch *b, lf_err *err) {
    const int64_t V = p->head->out;
    char name[512];
    for (int64_t i = 0; i < b->B; i++) {
        const float *logits = p->logits + i * V;
        const double lse = lf_log_sum_exp(logits, V);
        if (!isfinite(lse))
            return lf_fail(err, LF_EDIVERGED, "%s: the logits are not finite; are the weights?",
                           lf_dataset_example_name(p->d, b->indices[i], name, sizeof name));
        if (b->labels[i] >= V)
            return lf_fail(err, LF_EDATA, "%s: label %d, but the head '%s' has %lld classes",
                           lf_dataset_example_name(p->d, b->indices[i], name, sizeof name), b->labels[i], p->head->name,
                           (long long)V);
        p->count++;
        if (b->labels[i] < 0) continue;
        p->labelled++;
        const int64_t taken = lf_argmax(logits, V);
        p->correct += taken == b->labels[i];
        p->classes.are[b->labels[i]]++;
        p->classes.taken[taken]++;
        p->classes.right[taken] += taken == b->labels[i];
        p->loss += lse - (double)logits[b->labels[i]];
    }
    return LF_OK;
}

static lf_status run(pass *p, lf_loader *loader, const lf_eval_opts *opts, lf_eval_visit visit, void *context,
                     lf_err *err) {
    lf_progress bar;
    const bool shown = opts->what && opts->what[0];
    if (shown) lf_progress_begin(&bar, opts->what, lf_dataset_count(p->d));
    lf_status rc;
    for (;;) {
        const lf_batch *b;
        if ((rc = lf_loader_next(loader, &b, err)) || !b) break;
        if (opts->interruptible && lf_interrupted()) {
            rc = lf_fail(err, LF_EINTERRUPTED, "interrupted after %lld of %lld examples", (long long)p->count,
                         (long long)lf_dataset_count(p->d));
            break;
        }
        if ((rc = forward(p, b, err)) || (rc = count(p, b, err))) break;
        if (visit && (rc = visit(context, b, p->features, p->logits, p->head->out, err))) break;
        char detail[64] = "";
        if (p->labelled) snprintf(detail, sizeof detail, "accuracy %.4f", (double)p->correct / (double)p->labelled);
        if (shown) lf_progress_update(&bar, p->count + lf_loader_skipped(loader), detail);
    }
    if (shown) lf_progress_end(&bar, "");
    return rc;
}

lf_status lf_evaluate(lf_accuracy *out, lf_model *m, lf_graph *g, lf_module *head, const lf_dataset *d,
                      const lf_eval_opts *opts, lf_eval_visit visit, void *context, lf_err *err) {
    if (!head || !(lf_nn_is_frozen(head) || head->weight->tensor.data))
        return lf_fail(err, LF_EDATA,
                       "%s: the model has no classification head; train one, or give an adapter with one", m->path);
    pass p = {.m = m, .g = g, .head = head, .d = d, .base = opts->base};
    lf_loader *loader = NULL;
    const lf_loader_opts l = {.batch_size = opts->batch_size,
                              .workers = opts->workers,
                              .processor = opts->processor,
                              .skip_bad_images = opts->skip_bad_images,
                              .epochs = 1};
    p.features = lf_aligned_alloc((size_t)(opts->batch_size * m->hidden_size) * sizeof *p.features);
    p.logits = lf_aligned_alloc((size_t)(opts->batch_size * head->out) * sizeof *p.logits);
    const int64_t V = head->out;
    int64_t *counts = lf_calloc((size_t)(3 * V), sizeof *counts);
    p.classes = (lf_class_counts){V, counts, counts ? counts + V : NULL, counts ? counts + 2 * V : NULL};
    lf_status rc =
        p.features && p.logits && counts ? lf_loader_new(&loader, d, &l, err) : lf_no_memory(err, "a batch's logits");
    if (!rc && !(rc = run(&p, loader, opts, visit, context, err))) {
        const double n = (double)p.labelled;
        *out = (lf_accuracy){
            .count = p.count, .skipped = lf_loader_skipped(loader), .loss = p.labelled ? p.loss / n : NAN};
        lf_count_all(out->counted, &p.classes);
        out->accuracy = out->counted[LF_COUNTED_accuracy];
    }
    lf_loader_free(loader);
    lf_free(counts);
    lf_aligned_free(p.logits);
    lf_aligned_free(p.features);
    return rc;
}
