/* The gradients of an adapter on a quantised base beside the exact ones, of a model that has learned something
 * (data/verse-lm), on a verse: random weights would make every error larger. */
#include "golden/golden_fixture.h"

#include "text/tokenizer.h"

static const char verse[] =
    "And God said, Let there be light: and there was light. And God saw the light, that it was good: and God divided "
    "the "
    "light from the darkness. And God called the light Day, and the darkness he called Night. And the evening and the "
    "morning were the first day.";
enum { MOST = 128 };

typedef struct found {
    float *gradients; /* of all factors, one after the other */
    int64_t n;
    lf_ids ids;
} found;

static lf_tensor *loss_on(fixture *f, const lf_ids *ids) {
    int32_t labels[MOST], positions[MOST];
    lf_lm_head head;
    lf_lm_counts counts;
    assert_true(ids->n > 40 && ids->n <= MOST);
    for (int i = 0; i < ids->n; i++) {
        labels[i] = i + 1 < ids->n ? ids->ids[i + 1] : -1;
        positions[i] = i;
    }
    const lf_pass pass = {.in = {.B = 1, .T = ids->n, .ids = ids->ids, .positions = positions}};
    lf_graph_begin(f->g, true, true, 0);
    lf_tensor *hidden = lf_lm_hidden(f->model, f->g, &pass);
    lf_model_lm_head(f->model, false, &head);
    lf_tensor *loss = lf_lm_loss(f->g, hidden, &head, labels, (double)(ids->n - 1), 0, &counts);
    OK(lf_graph_status(f->g, &err));
    OK(lf_graph_backward(f->g, loss, 1, &err));
    return loss;
}

static found gradients_on(const lf_kernels *k, lf_frozen_format format) {
    static const char path[] = LF_SOURCE_DIR "/data/verse-lm";
    const lf_model_opts opts = {.k = k, .load = LF_LOAD_FROZEN, .quantised = format};
    fixture f = {.name = "verse-lm", .k = k, .g = lf_graph_new(k, 1)};
    training t;
    lf_tokenizer *tokenizer;
    found out = {0};
    OK(lf_model_open(&f.model, path, &opts, &err));
    assert_int_equal(lf_nn_is_quantised(&f.model->nn), format != LF_FROZEN_PLAIN);
    OK(lf_tokenizer_open(&tokenizer, path, &err));
    OK(lf_tokenizer_encode(tokenizer, verse, sizeof verse - 1, true, &out.ids, &err));
    /* pissa starts from the original weights whatever the base is held in: the factors are the same to the bit */
    open_training(&t, &f, "pissa", "all-linear", 0);
    lf_optimizer_clear_gradients(&t.optimizer);
    loss_on(&f, &out.ids);
    out.gradients = lf_malloc((size_t)t.optimizer.numbers * sizeof *out.gradients);
    assert_non_null(out.gradients);
    for (int64_t i = 0; i < t.count; i++) {
        k->to_f32(out.gradients + out.n, t.list[i].tensor->grad, t.list[i].tensor->numel);
        out.n += t.list[i].tensor->numel;
    }
    close_training(&t);
    lf_tokenizer_free(tokenizer);
    lf_graph_free(f.g);
    lf_model_free(f.model);
    return out;
}

static void free_found(found *f) {
    lf_free(f->gradients);
    lf_ids_free(&f->ids);
}

static double cosine_of(const found *a, const found *b) {
    double dot = 0, aa = 0, bb = 0;
    assert_int_equal(a->n, b->n);
    for (int64_t i = 0; i < a->n; i++) {
        dot += (double)a->gradients[i] * (double)b->gradients[i];
        aa += (double)a->gradients[i] * (double)a->gradients[i];
        bb += (double)b->gradients[i] * (double)b->gradients[i];
    }
    return dot / sqrt(aa * bb);
}

static void test_cosine_to_the_exact_gradients(void **state) {
    (void)state;
    static const struct {
        lf_frozen_format format;
        double least;
    } formats[] = {{LF_FROZEN_INT8, 0.999}, {LF_FROZEN_NF4, 0.95}};
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    found exact = gradients_on(k, LF_FROZEN_PLAIN);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        found f = gradients_on(k, formats[i].format);
        const double cosine = cosine_of(&exact, &f);
        print_message("format %d: cosine %.5f\n", (int)formats[i].format, cosine);
        if (!(cosine >= formats[i].least && cosine < 1))
            fail_msg("format %d: cosine %.5f", (int)formats[i].format, cosine);
        free_found(&f);
    }
    free_found(&exact);
    assert_int_equal(lf_alloc_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cosine_to_the_exact_gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
