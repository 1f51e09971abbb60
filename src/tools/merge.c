/* The verb `merge`: the model with an adapter in its weights, as a Hugging Face directory or a GGUF file. Weights
 * stream from file to file one at a time, and what is written appears whole or not at all. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/terminal.h"
#include "eval/generate.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "tools/common.h"

/* ---- where to ---- */

/* ---- what ---- */

typedef struct merging {
    const lf_nn *nn;
    float *before; /* of one weight */
    int64_t room, modules;
    double largest; /* |delta| */
    const char *where;
} merging;

static lf_status merge_one(void *context, const lf_module *m, float *W, lf_err *err) {
    merging *me = context;
    const int64_t n = m->out * m->in;
    if (!m->lora) return LF_OK;
    if (n > me->room) {
        lf_aligned_free(me->before);
        me->before = lf_aligned_alloc((size_t)n * sizeof *me->before);
        me->room = me->before ? n : 0;
        if (!me->before) return lf_no_memory(err, "merging an adapter into %s", m->name);
    }
    memcpy(me->before, W, (size_t)n * sizeof *W);
    const lf_status rc = lf_adapter_merge(m, W, err);
    if (rc) return rc;
    me->modules++;
    for (int64_t i = 0; i < n; i++) {
        const double delta = fabs((double)W[i] - (double)me->before[i]);
        if (delta <= me->largest && me->where) continue;
        me->largest = delta;
        me->where = m->name;
    }
    return LF_OK;
}

static lf_status say_template(const char *dir, lf_err *err) {
    char *text;
    const lf_status rc = lf_chat_template_source(&text, dir, err);
    if (!rc && !text)
        lf_info(
            "neither the model nor the adapter has a chat template: who chats with what is written has to name one");
    lf_free(text);
    return rc;
}

/* What belongs to the model and is no weight; no file of two tokenizers belongs in one folder. */
static lf_status copy_beside(const lf_opened *o, const lf_config *cfg, const char *dir, lf_err *err) {
    static const char *const names[] = {"preprocessor_config.json", "generation_config.json"};
    const char *model = o->model->path;
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++) rc = lf_copy_if_there(model, dir, names[i], err);
    if (!rc) rc = lf_tokenizer_copy_files(lf_tokenizer_folder(o, cfg), dir, err);
    if (!rc && lf_chat_folder(cfg)) rc = lf_copy_if_there(lf_chat_folder(cfg), dir, LF_CHAT_TEMPLATE_JINJA, err);
    return rc || !lf_model_says(o->model, LF_NEXT_TOKEN) ? rc : say_template(dir, err);
}

/* What pads a text, where config.json does not say it: as training takes it (lf_token_facts.pad). Without it
 * transformers reads no batches. */
static lf_status find_padding(lf_model *m, lf_err *err) {
    if (m->family->input != LF_TOKENS || !lf_model_says(m, LF_CLASSES) || m->tokens.pad >= 0) return LF_OK;
    if (!lf_is_file_in(m->path, LF_TOKENIZER_JSON)) {
        lf_warn("%s: no pad_token_id in config.json, and no tokenizer that says it: transformers will read the merged "
                "model's texts one by one",
                m->path);
        return LF_OK;
    }
    lf_tokenizer *t = NULL;
    lf_ids ends = {0};
    lf_status rc = lf_tokenizer_open(&t, m->path, err);
    if (!rc) m->tokens.pad = lf_tokenizer_pad(t);
    if (m->tokens.pad >= m->tokens.vocab_size) m->tokens.pad = -1;
    if (!rc && m->tokens.pad < 0 && !(rc = lf_ending_ids(&ends, m, t, err)) && ends.n) m->tokens.pad = ends.ids[0];
    lf_ids_free(&ends);
    lf_tokenizer_free(t);
    return rc;
}

static lf_status write_model(lf_opened *o, const lf_config *cfg, const char *dir, merging *me, lf_err *err) {
    char *aside = lf_name_beside(dir, "tmp");
    lf_status rc = aside ? find_padding(o->model, err) : lf_no_memory(err, "%s", dir);
    if (!rc && !(rc = lf_model_write(o->model, aside, lf_asked_dtype(cfg), merge_one, me, err)) &&
        !(rc = copy_beside(o, cfg, aside, err)))
        rc = lf_replace_dir(aside, dir, err);
    if (rc && aside) lf_remove_tree(aside, NULL);
    lf_free(aside);
    return rc;
}

static lf_status write_gguf(lf_opened *o, const lf_config *cfg, merging *me, lf_err *err) {
    lf_file_names names = {0};
    lf_status rc = lf_file_facts(&names, o, cfg, err);
    if (!rc) rc = lf_gguf_write_model(o->model, lf_tokenizer_folder(o, cfg), merge_one, me, &names.facts, err);
    lf_file_names_free(&names);
    return rc;
}

static lf_status print_merged(const merging *me, const lf_config *cfg, const char *dir, FILE *out, lf_err *err) {
    if (!lf_cfg_bool(cfg, LF_json)) {
        if (me->modules)
            lf_print_line(out, "%s: %lld weights changed, most by %.3g (%s)", dir, (long long)me->modules, me->largest,
                          me->where);
        else
            lf_print_line(out, "%s: no weight changed but the head's; the adapter holds no LoRA", dir);
        return LF_OK;
    }
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "output_dir", dir);
    lf_obj_number(&o, "merged_modules", (double)me->modules);
    lf_obj_number(&o, "max_abs_delta", me->largest);
    lf_obj_string(&o, "max_abs_delta_module", me->where);
    return lf_json_write_line(out, lf_obj_take(&o), err);
}

static const char *const model_files[] = {"config.json", "model.safetensors", NULL};

lf_status lf_merge(const lf_config *cfg, FILE *out, lf_err *err) {
    const char *dir = lf_cfg_str(cfg, LF_output_dir);
    if (!dir) return lf_fail(err, LF_EUSAGE, "key 'output_dir' is required; write --output_dir DIR");
    const bool file = lf_cfg_writes_file(cfg);
    lf_opened o = {0};
    merging me = {0};
    lf_status rc;
    if (!(rc = file ? lf_check_output_file(cfg, err) : lf_check_output_folder(cfg, "a model", model_files, err)) &&
        !(rc = lf_opened_open(&o, cfg, LF_LOAD_NOTHING, err))) {
        me.nn = &o.model->nn;
        if (!(rc = file ? write_gguf(&o, cfg, &me, err) : write_model(&o, cfg, dir, &me, err)))
            rc = print_merged(&me, cfg, dir, out, err);
    }
    lf_aligned_free(me.before);
    lf_opened_close(&o);
    return rc;
}
