/* Says what pictures or texts are, by a model and an adapter, with the library of lora-ft.
 *
 *     cc classify.c $(pkg-config --cflags --libs lora-ft) -o classify
 *     ./classify MODEL ADAPTER INPUT...
 *
 * ADAPTER may be "-" for none. An INPUT is a picture's path or a text, by what the model takes. A line for each: what
 * the model holds for the most probable, and how sure it is. */
#include <lora_ft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const lf_err *err) {
    fprintf(stderr, "classify: %s\n", err->message);
    return lf_status_exit_code(err->status);
}

/* Keys are those of `lora-ft predict --help`. */
static lf_status configure(lf_config **cfg, const char *model, const char *adapter, lf_err *err) {
    lf_status rc;
    if ((rc = lf_config_new(cfg, "predict", err)) || (rc = lf_config_set(*cfg, "quiet", "true", err)) ||
        (rc = lf_config_set(*cfg, "model", model, err)))
        return rc;
    if (strcmp(adapter, "-") != 0 && (rc = lf_config_set(*cfg, "adapter", adapter, err))) return rc;
    return lf_config_finish(*cfg, err);
}

/* scores [n, labels] */
static lf_status ask(lf_session *session, char *const *inputs, int64_t n, float *scores, lf_err *err) {
    if (lf_session_takes_pictures(session))
        return lf_session_classify_pictures(session, (const char *const *)inputs, n, scores, err);
    lf_text *texts = calloc((size_t)n, sizeof *texts);
    if (!texts) {
        snprintf(err->message, sizeof err->message, "%s", lf_status_text(LF_ENOMEM));
        return err->status = LF_ENOMEM;
    }
    for (int64_t i = 0; i < n; i++) texts[i].text = inputs[i];
    const lf_status rc = lf_session_classify_texts(session, texts, n, scores, err);
    free(texts);
    return rc;
}

static void print(const char *input, const char *const *labels, const float *scores, int64_t n) {
    int64_t best = 0;
    for (int64_t c = 1; c < n; c++)
        if (scores[c] > scores[best]) best = c;
    printf("%s\t%s\t%.9g\n", labels[best], input, (double)scores[best]);
}

int main(int argc, char **argv) {
    lf_err err = {0};
    lf_config *cfg = NULL;
    lf_session *session = NULL;
    float *scores = NULL;
    int64_t labels_n = 0;
    const int64_t n = argc - 3;
    if (n < 1) {
        fprintf(stderr, "usage: classify MODEL ADAPTER INPUT...\n");
        return 2;
    }
    lf_status rc = configure(&cfg, argv[1], argv[2], &err);
    if (!rc) rc = lf_session_open(&session, cfg, &err);
    if (!rc) {
        const char *const *labels = lf_session_labels(session, &labels_n, NULL);
        scores = calloc((size_t)(n * labels_n) + 1, sizeof *scores);
        if (scores) rc = ask(session, argv + 3, n, scores, &err);
        for (int64_t i = 0; scores && !rc && i < n; i++) print(argv[3 + i], labels, scores + i * labels_n, labels_n);
    }
    free(scores);
    lf_session_close(session);
    lf_config_free(cfg);
    return rc ? fail(&err) : 0;
}
