/* Texts that are written side by side are those that are written alone: every family, every backend, greedily and
 * drawn. */
#define _XOPEN_SOURCE 700
#include "golden/tokens_fixture.h"

#include "eval/generate.h"

enum { PROMPTS = 8, MOST = 12 };

/* Prompts of 1 .. 20 tokens of the golden text, from another place each; the third and the fifth are one. */
static const int64_t lengths[PROMPTS] = {5, 1, 9, 20, 9, 2, 13, 7}, places[PROMPTS] = {0, 3, 8, 2, 8, 11, 1, 5};

typedef struct answers {
    const int32_t *ids;
    int64_t taken, failing; /* the prompt that cannot be had; -1: none */
    lf_ids of[PROMPTS];
    lf_ending ending[PROMPTS];
} answers;

static lf_status get(void *context, int64_t i, lf_ids *ids, uint64_t *number, lf_err *err) {
    const answers *a = context;
    if (i == a->failing) return lf_fail(err, LF_EDATA, "no such prompt");
    *number = (uint64_t)i;
    return lf_ids_append(ids, a->ids + places[i], lengths[i]) ? LF_OK : lf_no_memory(err, "a prompt");
}

static lf_status take(void *context, int64_t i, const lf_generated *o, lf_err *err) {
    answers *a = context;
    assert_int_equal(i, a->taken++);
    a->ending[i] = o->ending;
    return lf_ids_append(&a->of[i], o->ids.ids, o->ids.n) ? LF_OK : lf_no_memory(err, "an answer");
}

static void answer(answers *a, fixture *f, const lf_tokenizer *t, int64_t at_once, int64_t first,
                   const lf_generate_opts *opts) {
    lf_generator *o;
    int64_t n;
    *a = (answers){.taken = first, .failing = -1};
    a->ids = (const int32_t *)(const void *)golden(f, "greedy", &n);
    const lf_prompt_source from = {.n = PROMPTS, .get = get, .take = take, .context = a};
    OK(lf_generator_new(&o, f->model, f->g, t, 0, &err));
    OK(lf_generate_all(o, &from, first, at_once, opts, &err));
    assert_int_equal(a->taken, PROMPTS);
    lf_generator_free(o);
}

static void free_answers(answers *a) {
    for (int i = 0; i < PROMPTS; i++) lf_ids_free(&a->of[i]);
}

static void same(const fixture *f, const answers *a, const answers *b, int64_t first, int64_t at_once) {
    for (int64_t i = first; i < PROMPTS; i++)
        if (a->of[i].n != b->of[i].n || a->ending[i] != b->ending[i] ||
            memcmp(a->of[i].ids, b->of[i].ids, (size_t)a->of[i].n * sizeof *a->of[i].ids))
            fail_msg("%s, %s: of %lld at once, text %lld is another than alone", f->name, f->k->name,
                     (long long)at_once, (long long)i);
}

/* Alone is by the function for one text. */
static void alone(answers *a, fixture *f, const lf_tokenizer *t, const lf_generate_opts *opts) {
    int64_t n;
    *a = (answers){.failing = -1};
    a->ids = (const int32_t *)(const void *)golden(f, "greedy", &n);
    for (int64_t i = 0; i < PROMPTS; i++) {
        lf_generator *o;
        lf_generated out;
        lf_generate_opts own = *opts;
        own.sampling.text = (uint64_t)i;
        OK(lf_generator_new(&o, f->model, f->g, t, 0, &err));
        OK(lf_generate_text(&out, o, a->ids + places[i], lengths[i], &own, NULL, NULL, &err));
        OK(take(a, i, &out, &err));
        lf_generated_free(&out);
        lf_generator_free(o);
    }
}

/* Texts end at different lengths: by a token that is taken for the end, and by the model's context where that is
 * short. */
static void check_many(const char *name, const lf_kernels *k) {
    static const int64_t at_once[] = {3, 40};
    fixture f;
    answers want, got;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    lf_tokenizer *t = tokens(f.model->tokens.vocab_size);
    int32_t ends[60];
    for (int i = 0; i < 60; i++) ends[i] = i * 7 % (int32_t)f.model->tokens.vocab_size;
    for (int drawn = 0; drawn < 2; drawn++) {
        const lf_generate_opts opts = {
            .sampling = {.repetition_penalty = 1.3, .top_p = 1, .temperature = drawn, .seed = 3},
            .max_new_tokens = MOST,
            .ends = ends,
            .n_ends = drawn ? 20 : 3};
        alone(&want, &f, t, &opts);
        if (drawn) { /* the same prompt twice has other random numbers, and the prompts do not end alike */
            assert_true(want.of[2].n != want.of[4].n ||
                        memcmp(want.of[2].ids, want.of[4].ids, (size_t)want.of[2].n * 4));
            bool differ = false;
            for (int i = 1; i < PROMPTS; i++) differ = differ || want.of[i].n != want.of[0].n;
            assert_true(differ);
        }
        for (size_t b = 0; b < sizeof at_once / sizeof *at_once; b++) {
            answer(&got, &f, t, at_once[b], 0, &opts);
            same(&f, &want, &got, 0, at_once[b]);
            free_answers(&got);
        }
        answer(&got, &f, t, 4, 3, &opts); /* gone on with */
        same(&f, &want, &got, 3, 4);
        free_answers(&got);
        free_answers(&want);
    }
    lf_tokenizer_free(t);
    close_case(&f);
}

static void test_many(void **state) {
    (void)state;
    each_backend(check_many);
}
static void test_many_in_bf16(void **state) {
    (void)state;
    const lf_kernels *k; /* the reference, which is slow, has it in fp32 */
    OK(lf_kernels_select(&k, "bf16", &err));
    for (int c = 0; c < N_CASES; c++) check_many(cases[c], k);
    assert_int_equal(lf_alloc_live(), 0);
}

/* What fails in the middle ends all, with its own words; the generator serves again. */
static void test_a_prompt_that_fails(void **state) {
    (void)state;
    fixture f;
    lf_generator *o;
    lf_err why = {0};
    open_case(&f, "lm-llama", &lf_kernels_ref_f32, LF_LOAD_FROZEN);
    lf_tokenizer *t = tokens(f.model->tokens.vocab_size);
    const lf_generate_opts opts = {.sampling = {.repetition_penalty = 1, .top_p = 1}, .max_new_tokens = 4};
    answers a = {.failing = 5};
    int64_t n;
    a.ids = (const int32_t *)(const void *)golden(&f, "greedy", &n);
    const lf_prompt_source from = {.n = PROMPTS, .get = get, .take = take, .context = &a};
    OK(lf_generator_new(&o, f.model, f.g, t, 0, &err));
    assert_int_equal(lf_generate_all(o, &from, 0, 3, &opts, &why), LF_EDATA);
    assert_string_equal(why.message, "no such prompt");
    free_answers(&a);
    memset(a.of, 0, sizeof a.of);
    a.failing = -1;
    a.taken = 0;
    OK(lf_generate_all(o, &from, 0, 3, &opts, &err));
    free_answers(&a);
    lf_generator_free(o);
    lf_tokenizer_free(t);
    close_case(&f);
    assert_int_equal(lf_alloc_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_many), cmocka_unit_test(test_many_in_bf16),
                                       cmocka_unit_test(test_a_prompt_that_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
