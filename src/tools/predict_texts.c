/* `predict` of texts: records, a text a line, a text a file, or standard input. */
#define _XOPEN_SOURCE 700 /* mkstemps */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/log.h"
#include "base/mem.h"
#include "task/language.h"
#include "tools/input.h"
#include "tools/predictions.h"

/* ---- how a text is shown ---- */

static lf_status put_texts(lf_obj *o, const lf_predictions *p, int64_t index, lf_err *err) {
    lf_text_example e;
    const lf_status rc = lf_text_dataset_example(p->data, index, &e, err);
    if (rc) return rc;
    lf_obj_string(o, "text", e.text);
    if (e.second) lf_obj_string(o, "text_pair", e.second);
    lf_text_example_free(&e);
    return LF_OK;
}

static lf_status csv_texts(FILE *f, const lf_predictions *p, int64_t index, lf_err *err) {
    lf_text_example e;
    const lf_status rc = lf_text_dataset_example(p->data, index, &e, err);
    if (rc) return rc;
    lf_csv_text(f, e.text);
    if (e.second) {
        fputc(',', f);
        lf_csv_text(f, e.second);
    }
    lf_text_example_free(&e);
    return LF_OK;
}

static const lf_predicted texts = {.columns = "text", .score = "score", .put = put_texts, .csv = csv_texts},
                          pairs = {.columns = "text,text_pair", .score = "score", .put = put_texts, .csv = csv_texts};

/* ---- standard input ---- */

/* All of it in a temporary file, which is a text a line as any other; *path: freed and removed by the caller. */
static lf_status keep_input(char **path, lf_err *err) {
    const char *folder = getenv("TMPDIR");
    static const char extension[] = ".txt";
    lf_input in = {0};
    const char *text;
    size_t n;
    lf_status rc = lf_input_rest(&in, &text, &n, err);
    if (!rc && !(*path = lf_format("%s/lora-ft-input-XXXXXX%s", folder && *folder ? folder : "/tmp", extension)))
        rc = lf_no_memory(err, "standard input");
    if (!rc) {
        const int fd = mkstemps(*path, (int)strlen(extension));
        FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
        const bool good = f && fwrite(text, 1, n, f) == n;
        if (!f || fclose(f) || !good) rc = lf_fail_errno(err, "write", *path);
        if (!f && fd >= 0) close(fd);
    }
    lf_input_free(&in);
    return rc;
}

/* ---- the verb ---- */

typedef struct opened {
    lf_text_tokenizer *tokenizer;
    lf_text_dataset *data;
    lf_text_loader *loader;
    char *input; /* the temporary file; NULL: none */
} opened;

static void close_all(opened *o) {
    lf_text_loader_free(o->loader);
    lf_text_dataset_free(o->data);
    lf_text_tokenizer_free(o->tokenizer);
    if (o->input) unlink(o->input);
    lf_free(o->input);
}

static lf_status open_data(opened *o, const lf_config *cfg, lf_err *err) {
    const lf_text_labelling how = {.labels = LF_TEXT_LABELS_IGNORED,
                                   .text_pair_field = lf_cfg_str(cfg, LF_text_pair_field)};
    const cJSON *asked = lf_cfg_json(cfg, LF_data);
    const bool from_input = cJSON_IsString(asked) && !strcmp(asked->valuestring, "-");
    lf_status rc = from_input ? keep_input(&o->input, err) : LF_OK;
    if (rc) return rc;
    const cJSON input = {.type = cJSON_String, .valuestring = o->input};
    const lf_text_dataset_opts opts = {.spec = from_input ? &input : asked,
                                       .key = "data",
                                       .split = "test",
                                       .text_field = lf_cfg_str(cfg, LF_text_field),
                                       .labelling = &how,
                                       .max_samples = lf_cfg_i64(cfg, LF_max_samples)};
    return lf_text_dataset_open(&o->data, &opts, err);
}

static lf_status open_loader(opened *o, const lf_config *cfg, const lf_model *m, lf_err *err) {
    const int64_t asked = lf_cfg_i64(cfg, LF_max_seq_length), context = m->tokens.max_positions;
    const lf_text_loader_opts opts = {.batch_size = lf_cfg_i64(cfg, LF_per_device_eval_batch_size),
                                      .max_seq_length = context && context < asked ? context : asked,
                                      .context = context,
                                      .workers = lf_cfg_i64(cfg, LF_dataloader_num_workers),
                                      .epochs = 1};
    return lf_text_loader_new(&o->loader, o->data, &o->tokenizer->encoder, &opts, err);
}

static lf_status open_all(opened *o, const lf_config *cfg, lf_model *m, lf_err *err) {
    lf_status rc;
    if ((rc = lf_language_check_length(cfg, m, err)) || (rc = lf_language_tokenizer(&o->tokenizer, cfg, m, err)) ||
        (rc = open_data(o, cfg, err)))
        return rc;
    lf_language_take_padding(m, o->tokenizer);
    return open_loader(o, cfg, m, err);
}

static lf_status run(lf_predictions *p, const opened *o, const lf_config *cfg, lf_model *m, lf_graph *g,
                     const lf_classifier *head, lf_err *err) {
    const lf_eval_opts opts = {.what = "predict", .interruptible = true};
    lf_text_examples examples;
    lf_accuracy a;
    lf_text_example first;
    lf_status rc = lf_text_dataset_example(o->data, 0, &first, err);
    if (rc) return rc;
    *p = (lf_predictions){.how = first.second ? &pairs : &texts, .data = o->data};
    lf_predictions_of(p, head, cfg);
    lf_text_example_free(&first);
    if ((rc = lf_predictions_hold(p, lf_text_dataset_count(o->data), err))) return rc;
    rc = lf_evaluate(&a, m, g, head->module, lf_examples_of_text(&examples, o->data, o->loader), &opts,
                     lf_predictions_add, p, err);
    const int64_t cut = lf_text_loader_stats(o->loader).truncated_documents;
    if (!rc && cut)
        lf_warn("%lld of %lld texts are longer than max_seq_length and were cut", (long long)cut, (long long)p->count);
    return rc;
}

lf_status lf_predict_texts(const lf_config *cfg, lf_model *m, lf_graph *g, FILE *out, lf_err *err) {
    const lf_classifier *head;
    opened o = {0};
    lf_predictions p = {0};
    if (!lf_model_says(m, LF_CLASSES))
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "%s: a language model without a classifier's head; give an adapter that has one, or use generate, "
            "or eval with choices",
            m->path);
    lf_status rc = lf_head_in_use(&head, m, cfg, "predict", err);
    if (!rc && !(rc = open_all(&o, cfg, m, err)) && !(rc = run(&p, &o, cfg, m, g, head, err)))
        rc = lf_predictions_deliver(&p, cfg, out, err);
    lf_predictions_free(&p);
    close_all(&o);
    return rc;
}
