#include "data/text/shots.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

struct lf_text_shots {
    lf_text_dataset *data;
    int64_t k, n;
    int64_t *order; /* [n] */
    const char *key;
};

static lf_status check(const lf_text_shots *s, lf_err *err) {
    const lf_text_dataset *d = s->data;
    const bool whole = lf_text_dataset_windowed(d) || lf_text_dataset_is(d, LF_TEXT_ONE_FIELD),
               chat = lf_text_dataset_is(d, LF_TEXT_CHAT);
    if (whole || chat)
        return lf_fail(
            err, LF_EDATA,
            "%s: %s: %s; expected records of a prompt and an answer, as {\"question\": ..., \"answer\": ...}", s->key,
            lf_text_dataset_path(d),
            chat ? "conversations, whose earlier turns are examples already" : "texts without an answer");
    if (s->n >= s->k) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: %s: %lld records, expected at least the %lld of num_fewshot", s->key,
                   lf_text_dataset_path(d), (long long)s->n, (long long)s->k);
}

lf_status lf_text_shots_open(lf_text_shots **out, const lf_text_dataset_opts *opts, int64_t k, uint64_t seed,
                             lf_err *err) {
    lf_text_shots *s = lf_calloc(1, sizeof *s);
    if (!s) return lf_no_memory(err, "examples");
    s->k = k;
    s->key = opts->key;
    lf_status rc = lf_text_dataset_open(&s->data, opts, err);
    if (!rc) {
        s->n = lf_text_dataset_count(s->data);
        rc = check(s, err);
    }
    if (!rc && !(s->order = lf_calloc((size_t)s->n, sizeof *s->order))) rc = lf_no_memory(err, "examples");
    if (rc) {
        lf_text_shots_free(s);
        return rc;
    }
    lf_rng_permutation(lf_rng_make(seed, LF_RNG_SHOTS, 0), s->order, s->n);
    *out = s;
    return LF_OK;
}

void lf_text_shots_free(lf_text_shots *s) {
    if (!s) return;
    lf_text_dataset_free(s->data);
    lf_free(s->order);
    lf_free(s);
}

lf_status lf_text_shots_each(const lf_text_shots *s, const char *prompt, size_t n, lf_text_shot_visit visit,
                             void *context, lf_err *err) {
    int64_t shown = 0;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < s->n && shown < s->k && !rc; i++) {
        lf_text_example e;
        if ((rc = lf_text_dataset_example(s->data, s->order[i], &e, err))) return rc;
        const size_t own = e.answers[0].begin;
        const bool same = own == n && !memcmp(e.text, prompt, n);
        if (!same) rc = visit(context, &e, err);
        shown += !same;
        lf_text_example_free(&e);
    }
    if (rc || shown == s->k) return rc;
    return lf_fail(err, LF_EDATA,
                   "%s: %s: %lld records that ask something else than '%.60s', expected %lld (num_fewshot)", s->key,
                   lf_text_dataset_path(s->data), (long long)shown, prompt, (long long)s->k);
}

static lf_status put(void *string, const lf_text_example *shot, lf_err *err) {
    lf_string *all = string;
    lf_string_put(all, shot->text, shot->n);
    return lf_string_add(all, "%s", LF_TEXT_SHOT_END) ? LF_OK : lf_no_memory(err, "examples");
}

lf_status lf_text_shots_put_before(const void *shots, lf_text_example *e, lf_err *err) {
    const lf_text_shots *s = shots;
    lf_string all = {0};
    const size_t own = e->n_answers ? e->answers[0].begin : e->n;
    lf_status rc = lf_text_shots_each(s, e->text, own, put, &all, err);
    const size_t before = all.n, n = before + e->n;
    if (!rc && !lf_string_put(&all, e->text, e->n)) rc = lf_no_memory(err, "examples");
    char *text = rc ? NULL : lf_string_take(&all);
    if (!rc && !text) rc = lf_no_memory(err, "examples");
    lf_string_free(&all);
    if (rc) return rc;
    lf_free(e->text);
    e->text = text;
    e->n = n;
    for (int64_t i = 0; i < e->n_answers; i++) {
        e->answers[i].begin += before;
        e->answers[i].end += before;
    }
    return LF_OK;
}
