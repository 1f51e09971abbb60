/* NEFTune's noise on embeddings, of every family of language models: its law is transformers'
 * (neftune_post_forward_hook), uniform within neftune_noise_alpha / sqrt(T C), and there is none outside of training.
 */
#define _XOPEN_SOURCE 700
#include "golden/lm_fixture.h"

#include "model/family.h"

static const double ALPHA = 5;

/* What enters the layers but for the family's own scale, which is given; the caller frees it. */
static float *embeddings(fixture *f, double alpha, bool trains, bool base, uint64_t step, int64_t *n) {
    const lf_pass pass = {.in = {.B = f->B, .T = f->T, .ids = batch_ids(f, 0), .positions = f->positions},
                          .base = base};
    f->model->neftune_noise_alpha = alpha;
    lf_graph_begin(f->g, trains, false, step);
    const lf_tensor *x = lf_family_embed(f->model, f->g, &pass, NULL, NULL);
    OK(lf_graph_status(f->g, &err));
    float *copy = lf_malloc((size_t)x->numel * sizeof *copy);
    assert_non_null(copy);
    lf_graph_kernels(f->g)->to_f32(copy, x->data, x->numel);
    *n = x->numel;
    return copy;
}

static void check_law(const char *name, const lf_kernels *k) {
    fixture f;
    int64_t n;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    float *plain = embeddings(&f, 0, true, false, 3, &n), *noisy = embeddings(&f, ALPHA, true, false, 3, &n),
          *again = embeddings(&f, ALPHA, true, false, 3, &n), *later = embeddings(&f, ALPHA, true, false, 4, &n),
          *judged = embeddings(&f, ALPHA, false, false, 3, &n), *base = embeddings(&f, ALPHA, true, true, 3, &n);
    const double scale = f.model->tokens.scaled_by > 0 ? f.model->tokens.scaled_by : 1,
                 size = ALPHA / sqrt((double)(n / f.B)) / scale;
    double sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        const double noise = (double)noisy[i] - (double)plain[i];
        sum += noise;
        squares += noise * noise;
        largest = fmax(largest, fabs(noise));
    }
    /* of n uniform numbers: the mean within five of its deviations, the mean square within three or more of its */
    assert_true(largest <= size * (1 + 1e-5) && largest > 0.98 * size);
    assert_true(fabs(sum / (double)n) < 5 * size / sqrt(3 * (double)n));
    assert_true(fabs(squares / (double)n / (size * size / 3) - 1) < 0.15);
    assert_memory_equal(noisy, again, (size_t)n * sizeof *noisy);
    assert_true(memcmp(noisy, later, (size_t)n * sizeof *noisy) != 0);
    assert_memory_equal(plain, judged, (size_t)n * sizeof *plain);
    assert_memory_equal(plain, base, (size_t)n * sizeof *plain);
    assert_true((strncmp(name, "lm-gemma", 8) == 0) == (f.model->tokens.scaled_by > 0));
    lf_free(plain), lf_free(noisy), lf_free(again), lf_free(later), lf_free(judged), lf_free(base);
    close_case(&f);
}

static void test_law(void **state) {
    (void)state;
    each_backend(check_law);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_law)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
