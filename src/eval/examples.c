/* Pictures and text behind one face. */
#include "eval/examples.h"

#include <stdio.h>

/* ---- pictures ---- */

lf_example_batch lf_batch_of_pictures(const lf_batch *b) {
    int64_t targets = b->values ? b->B : 0;
    for (int64_t i = 0; i < b->B && !b->values; i++) targets += b->labels[i] >= 0;
    return (lf_example_batch){.in = {.B = b->B, .pixels = b->pixels},
                              .labels = b->labels,
                              .values = b->values,
                              .n_labels = b->B,
                              .partners = b->partners,
                              .share = b->share,
                              .n_values = b->values ? b->B * b->n_values : 0,
                              .indices = b->indices,
                              .examples = b->B,
                              .items = b->B,
                              .targets = targets,
                              .epoch = b->epoch,
                              .number = b->number};
}

static lf_status begin_pictures(void *data, lf_portion portion, lf_err *err) {
    lf_picture_examples *p = data;
    const lf_loader_opts o = {.batch_size = p->opts.batch_size,
                              .workers = p->opts.workers,
                              .processor = p->opts.processor,
                              .skip_bad_images = p->opts.skip_bad_images,
                              .epochs = 1,
                              .portion = portion};
    return lf_loader_new(&p->loader, p->d, &o, err);
}

static lf_status next_pictures(void *data, const lf_example_batch **out, lf_err *err) {
    lf_picture_examples *p = data;
    const lf_batch *b;
    *out = NULL;
    const lf_status rc = lf_loader_next(p->loader, &b, err);
    if (rc || !b) return rc;
    p->batch = lf_batch_of_pictures(b);
    *out = &p->batch;
    return LF_OK;
}

static void end_pictures(void *data) {
    lf_picture_examples *p = data;
    lf_loader_free(p->loader);
    p->loader = NULL;
}

static int64_t skipped_pictures(const void *data) {
    const lf_picture_examples *p = data;
    return lf_loader_skipped(p->loader);
}

static const char *picture_name(const void *data, int64_t index, char *buf, size_t size) {
    const lf_picture_examples *p = data;
    return lf_dataset_example_name(p->d, index, buf, size);
}

lf_examples *lf_examples_of_pictures(lf_picture_examples *out, const lf_dataset *d, const lf_eval_opts *opts) {
    *out = (lf_picture_examples){.d = d, .opts = *opts};
    out->examples = (lf_examples){.data = out,
                                  .count = lf_dataset_count(d),
                                  .unit = "examples",
                                  .path = lf_dataset_path(d),
                                  .begin = begin_pictures,
                                  .next = next_pictures,
                                  .end = end_pictures,
                                  .skipped = skipped_pictures,
                                  .name = picture_name};
    return &out->examples;
}

/* ---- text ---- */

lf_example_batch lf_batch_of_text(const lf_text_batch *b) {
    return (lf_example_batch){
        .in = {.B = b->B,
               .T = b->T,
               .ids = b->ids,
               .positions = b->positions,
               .first = b->lengths ? NULL : b->document, /* a text a row: nothing of its own is behind its padding */
               .lengths = b->lengths,
               .token_types = b->lengths ? b->token_types : NULL},
        .labels = b->classes ? b->classes : b->labels,
        .values = b->values,
        .n_labels = b->classes ? b->B : b->B * b->T,
        .n_values = b->values ? b->B * b->n_values : 0,
        .indices = b->indices,
        .filled = b->filled,
        .examples = b->n_documents,
        .items = b->n_tokens,
        .targets = b->n_targets,
        .epoch = b->epoch,
        .number = b->number};
}

lf_example_batch lf_batch_row(const lf_example_batch *b, int64_t i, const lf_pixel_facts *pixels) {
    const int64_t T = b->in.T, labels = b->labels ? b->n_labels / b->in.B : 0, values = b->n_values / b->in.B;
    lf_example_batch row = *b;
#define MOVE(member, by) row.member = b->member ? b->member + i * (by) : NULL
    MOVE(in.pixels, pixels->channels * pixels->height * pixels->width);
    MOVE(in.ids, T);
    MOVE(in.positions, T);
    MOVE(in.first, T);
    MOVE(in.lengths, 1);
    MOVE(in.token_types, T);
    MOVE(labels, labels);
    MOVE(partners, 1);
    MOVE(values, values);
    MOVE(indices, 1);
    MOVE(filled, 1);
#undef MOVE
    row.in.B = row.examples = row.items = 1;
    row.n_labels = labels;
    row.n_values = values;
    row.targets = row.values ? 1 : 0;
    for (int64_t k = 0; k < labels && !row.values; k++) row.targets += row.labels[k] >= 0;
    return row;
}

static lf_status begin_text(void *data, lf_portion portion, lf_err *err) {
    const lf_text_examples *t = data;
    return lf_text_loader_restart(t->loader, 0, 0, portion, err);
}

static lf_status next_text(void *data, const lf_example_batch **out, lf_err *err) {
    lf_text_examples *t = data;
    const lf_text_batch *b;
    *out = NULL;
    const lf_status rc = lf_text_loader_next(t->loader, &b, err);
    if (rc || !b) return rc;
    t->batch = lf_batch_of_text(b);
    *out = &t->batch;
    return LF_OK;
}

static void end_text(void *data) { (void)data; /* the loader is its owner's */ }

static int64_t skipped_text(const void *data) {
    (void)data;
    return 0; /* a record that cannot be read is an error */
}

static const char *row_name(const void *data, int64_t index, char *buf, size_t size) {
    const lf_text_examples *t = data;
    snprintf(buf, size, "%s: document or window %lld", t->examples.path, (long long)index + 1);
    return buf;
}

lf_examples *lf_examples_of_text(lf_text_examples *out, const lf_text_dataset *d, lf_text_loader *loader) {
    *out = (lf_text_examples){.d = d, .loader = loader};
    out->examples = (lf_examples){.data = out,
                                  .count = lf_text_loader_rows_per_epoch(loader),
                                  .unit = "rows of tokens",
                                  .path = lf_text_dataset_path(d),
                                  .begin = begin_text,
                                  .next = next_text,
                                  .end = end_text,
                                  .skipped = skipped_text,
                                  .name = row_name};
    return &out->examples;
}
