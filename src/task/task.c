/* Which task a model is for. */
#include <stdio.h>
#include <string.h>

#include "task/source.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/world.h"

static const lf_task_type *const tasks[] = {
#define LF_TASK(name) &lf_task_##name,
#include "task/tasks.def"
#undef LF_TASK
};

static const lf_source_type *const sources[] = {
#define LF_SOURCE(name) &lf_source_##name,
#include "task/sources.def"
#undef LF_SOURCE
};

const lf_source_type *lf_source_for(lf_input_kind input) {
    size_t i = 0;
    while (sources[i]->input != input) i++;
    return sources[i];
}

static const struct {
    lf_input_kind input;
    lf_output_kind output;
    const char *what, *keys;
} other_keys[] = {
#define LF_OTHER_KEYS(input, output, what, keys) {input, output, what, keys},
#include "task/other_keys.def"
#undef LF_OTHER_KEYS
};

static void say_other_keys(const lf_config *cfg, const lf_task_type *type) {
    for (size_t i = 0; i < sizeof other_keys / sizeof *other_keys; i++) {
        char why[64];
        snprintf(why, sizeof why, "on %s", other_keys[i].what);
        if (other_keys[i].input == type->input && other_keys[i].output == type->output)
            lf_config_say_no_effect(cfg, other_keys[i].keys, why);
    }
}

/* What the model is for: what the key task_type says, else what it has a head for. */
static lf_status choose_output(lf_output_kind *out, const lf_config *cfg, lf_model *m, lf_err *err) {
    const char *asked = lf_cfg_str(cfg, LF_task_type);
    const bool classes = lf_model_says(m, LF_CLASSES), given = m->family->input == LF_TOKENS && strcmp(asked, "auto");
    *out = given     ? strcmp(asked, lf_task_classification.peft_task_type) ? LF_NEXT_TOKEN : LF_CLASSES
           : classes ? LF_CLASSES
                     : LF_NEXT_TOKEN;
    if (*out == LF_CLASSES && m->family->input == LF_TOKENS) return lf_model_add_classifier(m, err);
    if (!given && !lf_model_says(m, *out) && m->family->hidden)
        return lf_cfg_fail(cfg, LF_task_type, err,
                           "expected SEQ_CLS for %s, whose file has neither a head for the next token nor one for "
                           "classes (an architecture that ends in Model), found '%s'",
                           m->path, asked);
    if (given && !lf_model_says(m, *out))
        return lf_cfg_fail(cfg, LF_task_type, err,
                           "expected SEQ_CLS for a model without a causal lm_head (%s), found '%s'", m->config_path,
                           asked);
    return LF_OK;
}

lf_status lf_task_open(lf_task **out, const lf_config *cfg, lf_model *m, lf_graph *g, lf_err *err) {
    *out = NULL;
    const lf_task_type *type = NULL;
    lf_output_kind wanted;
    lf_status rc = choose_output(&wanted, cfg, m, err);
    if (rc) return rc;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks && !type; i++)
        if (tasks[i]->input == m->family->input && tasks[i]->output == wanted && lf_model_says(m, wanted))
            type = tasks[i];
    if (!type)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: nothing is known that a model of type '%s' is for", m->config_path,
                       m->family->model_type);
    lf_task *t = lf_calloc(1, sizeof *t);
    if (!t) return lf_no_memory(err, "the task");
    say_other_keys(cfg, type);
    *t = (lf_task){.type = type, .source = lf_source_for(type->input), .cfg = cfg, .model = m, .g = g};
    rc = t->source->open(t, err);
    if (!rc && type->check) rc = type->check(t, err);
    if (rc)
        lf_task_close(t);
    else
        *out = t;
    return rc;
}

bool lf_task_balances(const lf_task *t) { return strcmp(lf_cfg_str(t->cfg, LF_sampler), "balanced") == 0; }

bool lf_task_balances_replay(const lf_task *t) {
    return strcmp(lf_cfg_str(t->cfg, LF_replay_choice), "balanced") == 0 &&
           lf_cfg_i64(t->cfg, LF_max_replay_samples) > 0;
}

lf_status lf_task_open_part(lf_task *t, lf_data_role role, const lf_data_from *from, lf_err *err) {
    if (lf_cfg_json(t->cfg, from->key)) return t->source->open_data(t, role, from, err);
    const lf_data_from beside = {.key = LF_train_data, .split = from->split, .limit = from->limit};
    if (!t->source->has_split(t, lf_cfg_json(t->cfg, LF_train_data), from->split)) return LF_OK;
    return t->source->open_data(t, role, &beside, err);
}

lf_status lf_task_open_eval(lf_task *t, lf_err *err) {
    const lf_data_from from = {.key = LF_eval_data, .split = "val", .limit = LF_max_eval_samples};
    return lf_task_open_part(t, LF_DATA_EVAL, &from, err);
}

uint64_t lf_task_data_seed(const lf_task *t) { return (uint64_t)lf_cfg_i64(t->cfg, LF_data_seed); }

lf_status lf_task_prepare(lf_task *t, lf_err *err) { return t->type->prepare ? t->type->prepare(t, err) : LF_OK; }

void lf_task_close(lf_task *t) {
    if (!t) return;
    for (int i = 0; i < LF_DATA_ROLES; i++) lf_forgetting_free(t->forgetting[i]);
    lf_free(t->confusion.counts);
    lf_free(t->class_weights);
    t->source->close(t);
    lf_free(t);
}

lf_eval_opts lf_task_eval_opts(const lf_task *t, const char *what) {
    return (lf_eval_opts){.batch_size = lf_cfg_i64(t->cfg, LF_per_device_eval_batch_size),
                          .workers = lf_cfg_workers(t->cfg),
                          .skip_bad_images = lf_cfg_bool(t->cfg, LF_skip_bad_images),
                          .what = what,
                          .knn_samples = lf_cfg_i64(t->cfg, LF_knn_reference_samples),
                          .interruptible = t->interruptible};
}

lf_eval_opts lf_task_judge_opts(lf_task *t, lf_data_role role, const char *what) {
    lf_eval_opts o = lf_task_eval_opts(t, what);
    lf_free(t->confusion.counts);
    t->confusion = (lf_confusion){0};
    if (t->confuses) o.confusion = &t->confusion;
    o.base = t->untouched;
    if (t->answers && role == LF_DATA_EVAL) {
        o.answers = t->answers;
        lf_answers_begin(o.answers, o.answers->how);
    }
    return o;
}

lf_status lf_task_answer_before(lf_task *t, lf_accuracy *before, lf_model *m, lf_answers *a, lf_err *err) {
    t->answers = a;
    t->untouched = !m;
    lf_answers_begin(a, LF_ANSWERS_KEEP);
    const lf_status rc = t->type->evaluate(t, before, m ? m : t->model, LF_DATA_EVAL, NULL, err);
    t->untouched = false;
    lf_answers_begin(a, LF_ANSWERS_AGAINST_KEPT);
    return rc;
}

/* ---- forgetting ---- */

static bool trains_all(const lf_task *t) { return strcmp(lf_cfg_str(t->cfg, LF_method), "full") == 0; }

static lf_status base_examples(lf_task *t, lf_data_role role, lf_examples **out, lf_err *err) {
    lf_forgetting_free(t->forgetting[role]);
    t->forgetting[role] = NULL;
    return t->source->examples(t, role, out, err);
}

lf_output_kind lf_task_base_output(const lf_task *t) {
    return t->type->base_output ? t->type->base_output(t) : t->type->output;
}

lf_status lf_task_base_room(lf_task *t, lf_data_role role, lf_err *err) {
    const lf_eval_opts o = lf_task_eval_opts(t, "");
    lf_examples *e;
    const lf_status rc = base_examples(t, role, &e, err);
    if (rc) return rc;
    return lf_forgetting_room(&t->forgetting[role], t->model, lf_task_base_output(t), e, &o,
                              lf_cfg_bool(t->cfg, LF_forgetting_knn), err);
}

/* Who gets nothing right has nothing to forget: then the labels are not those that the model knows (or no two examples
 * are of one class, whose neighbours could vote for it), and a forgetting of 0.00 would say that all is well. */
static lf_status check_known(const lf_task *t, lf_data_role role, const lf_base_score *base, lf_err *err) {
    enum { ENOUGH = 20 }; /* of fewer it may be chance */
    const char *key = lf_key_name(lf_task_base_key(t, role));
    const char *what = base->by_neighbours
                           ? "forgetting cannot be measured on it; are there several examples of each class?"
                           : "forgetting cannot be measured on it; do its classes mean the model's "
                             "labels, in their order (see label_map, and inspect for the model's)?";
    if (lf_task_base_output(t) != LF_CLASSES || base->accuracy > 0 || base->count == 0) return LF_OK;
    const bool all_right = t->model->base_head.module && t->model->base_head.problem == LF_MULTI_LABEL; /* is much */
    if (base->count >= ENOUGH && !all_right)
        return lf_world_all_know(lf_fail(err, LF_EDATA,
                                         "key '%s': of %lld examples the untouched base gets none right: %s", key,
                                         (long long)base->count, what));
    lf_warn("key '%s': of %lld examples the untouched base gets none right: %s", key, (long long)base->count, what);
    return LF_OK;
}

lf_status lf_task_measure_base(lf_task *t, lf_data_role role, lf_base_score *out, lf_err *err) {
    const lf_eval_opts o = lf_task_eval_opts(t, "untouched base");
    lf_examples *e;
    lf_status rc = base_examples(t, role, &e, err);
    if (!rc)
        rc = lf_forgetting_new(&t->forgetting[role], t->model, t->g, lf_task_base_output(t), e, &o,
                               lf_cfg_bool(t->cfg, LF_forgetting_knn), err);
    if (rc) return rc;
    *out = *lf_forgetting_before(t->forgetting[role]);
    return check_known(t, role, out, err);
}

lf_status lf_task_measure_tuned(lf_task *t, lf_data_role role, lf_base_score *out, lf_model *m, lf_err *err) {
    lf_eval_opts o = lf_task_eval_opts(t, t->type->base_data);
    o.answers = t->base_answers;
    const lf_classifier own_head = m->base_head;
    /* The base's own head may not be in a full model's new file, nor one of class_embeddings in any; the one in memory
     * is frozen and the same. */
    o.base_is_gone = trains_all(t);
    if (o.base_is_gone || t->model->base_head.comparing) /* of other features than a classifier's, too */
        m->base_head = t->model->base_head;
    const lf_status rc = lf_forgetting_measure(out, t->forgetting[role], m, t->g, &o, err);
    m->base_head = own_head;
    return rc;
}
