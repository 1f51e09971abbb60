/* The verb `eval`: a model or adapter on `data`, and what it forgot on `forgetting_data`. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/terminal.h"
#include "base/world.h"
#include "task/ranks.h"
#include "task/source.h"
#include "task/update_ratio.h"
#include "tools/common.h"
#include "tools/saved_answers.h"

/* The names of the classes that were told apart; NULL: none were. */
static const char *const *class_names(const lf_task *t) {
    const lf_classifier *head;
    if (!t->confusion.n || lf_head_in_use(&head, t->model, t->cfg, "key 'data'", &(lf_err){0})) return NULL;
    return head->labels;
}

static lf_status write_confusion(const lf_task *t, lf_err *err) {
    const char *path = lf_cfg_str(t->cfg, LF_confusion_file);
    if (!path || !lf_world_is_first()) return LF_OK;
    const char *const *names = class_names(t);
    if (!names)
        return lf_cfg_fail(t->cfg, LF_confusion_file, err, "is of data with classes, of at most %d of them",
                           LF_CONFUSION_CLASSES);
    const lf_status rc = lf_confusion_write(&t->confusion, names, path, err);
    if (!rc) lf_info("how well each class is told is in %s", path);
    return rc;
}

/* ---- whose answers they are compared with ---- */

typedef struct judged {
    lf_task *t;
    lf_opened *o;
    lf_results r;
    lf_adapted other; /* of compare_with; nothing where that is no adapter */
    bool base;        /* compared with the model without its adapter */
    lf_answers answers;
    lf_saved_answers saved;
} judged;

static bool same_labels(const lf_classifier *a, const lf_classifier *b) {
    bool same = a->n_labels == b->n_labels && a->problem == b->problem;
    for (int64_t i = 0; i < a->n_labels && same; i++) same = strcmp(a->labels[i], b->labels[i]) == 0;
    return same;
}

/* Another adapter has to answer the same questions. */
static lf_status open_other(judged *j, const char *dir, lf_err *err) {
    const lf_config *cfg = j->t->cfg;
    const lf_classifier *head, *other;
    const lf_model_opts opts = j->o->model->opts;
    lf_status rc = lf_adapted_open(&j->other, lf_cfg_str(cfg, LF_model), dir, &opts, err);
    if (!rc && j->other.model->tokens.vocab_size < j->o->model->tokens.vocab_size)
        rc = lf_cfg_fail(cfg, LF_compare_with, err, "'%s' knows %lld tokens, and what is judged %lld", dir,
                         (long long)j->other.model->tokens.vocab_size, (long long)j->o->model->tokens.vocab_size);
    if (rc || j->t->type->output != LF_CLASSES || !lf_cfg_is_set(cfg, LF_data)) return rc;
    if ((rc = lf_head_in_use(&head, j->o->model, cfg, "key 'data'", err)) ||
        (rc = lf_head_in_use(&other, j->other.model, cfg, "compare_with", err)) || same_labels(head, other))
        return rc;
    return lf_cfg_fail(cfg, LF_compare_with, err,
                       "'%s' has %lld labels ('%s', ...), and what is judged %lld ('%s', ...)", dir,
                       (long long)other->n_labels, other->labels[0], (long long)head->n_labels, head->labels[0]);
}

static lf_status choose_other(judged *j, lf_err *err) {
    const char *with = lf_cfg_str(j->t->cfg, LF_compare_with);
    const lf_adapter_file *f = j->o->adapted.file;
    if (strcmp(with, "none") == 0) return LF_OK;
    j->base = strcmp(with, "base") == 0;
    if (!j->base) return open_other(j, with, err);
    j->base = f && !lf_adapter_file_is_head(f);
    if (j->base && lf_model_has_grown(j->o->model) && lf_cfg_is_given(j->t->cfg, LF_compare_with))
        return lf_cfg_fail(
            j->t->cfg, LF_compare_with, err,
            "the base does not know the tokens that were added beside the adapter, so it cannot be asked "
            "the same; give another adapter that knows them, or none");
    j->base = j->base && lf_opened_base_answers(j->o);
    return LF_OK;
}

/* ---- the two tasks ---- */

static lf_status answer_before(judged *j, lf_err *err) {
    lf_accuracy before;
    if (j->base || j->other.model) {
        const lf_status rc = lf_task_answer_before(j->t, &before, j->other.model, &j->answers, err);
        if (rc) return rc;
    }
    if (j->base) lf_results_put_before(&j->r, &before);
    j->t->answers = &j->answers;
    lf_saved_answers_of(&j->saved, &j->answers, LF_DATA_EVAL);
    return LF_OK;
}

static lf_status new_task(judged *j, lf_err *err) {
    const lf_data_from from = {.key = LF_data, .split = "test", .limit = LF_max_samples};
    lf_task *t = j->t;
    lf_accuracy a;
    lf_status rc;
    if ((rc = lf_world_agree(t->source->open_data(t, LF_DATA_EVAL, &from, err), err)) || (rc = answer_before(j, err)))
        return rc;
    const double began = lf_now();
    t->confuses = true;
    if ((rc = t->type->evaluate(t, &a, t->model, LF_DATA_EVAL, lf_cfg_str(t->cfg, LF_save_logits), err))) return rc;
    t->answers = NULL;
    lf_results_put(&j->r, LF_DATA_EVAL, &a);
    j->r.items_per_second = (double)a.items / (lf_now() - began);
    if (a.skipped) lf_warn("%lld pictures could not be read and were left out", (long long)a.skipped);
    return write_confusion(t, err);
}

static lf_status base_task(judged *j, lf_err *err) {
    lf_task *t = j->t;
    lf_base_score before, after;
    lf_status rc;
    if ((rc = lf_world_agree(lf_task_open_base(t, false, err), err)) ||
        (rc = lf_task_measure_base(t, LF_DATA_BASE, &before, err)))
        return rc;
    lf_answers_free(&j->answers);
    t->base_answers = &j->answers;
    if (j->other.model) {
        j->answers.how = LF_ANSWERS_KEEP;
        if ((rc = lf_task_measure_tuned(t, LF_DATA_BASE, &after, j->other.model, err))) return rc;
        j->answers.how = LF_ANSWERS_AGAINST_KEPT;
    }
    if (before.by_neighbours && lf_cfg_is_set(t->cfg, LF_save_predictions))
        lf_info("save_predictions: nearest neighbours give forgetting_data no answers; the file is of data alone");
    lf_saved_answers_of(&j->saved, &j->answers, LF_DATA_BASE);
    if ((rc = lf_task_measure_tuned(t, LF_DATA_BASE, &after, t->model, err))) return rc;
    j->r.task = t->type; /* which may have become another while its data were opened */
    lf_results_put_base(&j->r, &before, &after);
    return LF_OK;
}

/* What "before" is: in training it is the step before the first, which had another head. */
static void say_before(const judged *j, bool data, FILE *out) {
    char line[600];
    if (j->base && data) lf_print_lines(out, "new task, before: the model without the adapter, under the same head", 0);
    snprintf(line, sizeof line, "compared with %s", lf_cfg_str(j->t->cfg, LF_compare_with));
    if (j->other.model) lf_print_lines(out, line, 0);
}

static lf_status deliver_results(const judged *j, bool data, lf_outlet *to, lf_err *err) {
    const lf_results *r = &j->r;
    const lf_task *t = j->t;
    if (to->out && !lf_cfg_bool(t->cfg, LF_json)) {
        lf_results_table(r, to->out);
        say_before(j, data, to->out);
        return LF_OK;
    }
    const char *const *names = class_names(t);
    lf_obj o = lf_obj_of(lf_results_to_json(r));
    if (names) lf_obj_put(&o, "eval_classes", lf_confusion_classes(&t->confusion, names));
    if (lf_cfg_is_given(t->cfg, LF_compare_with))
        lf_obj_string(&o, "compared_with", lf_cfg_str(t->cfg, LF_compare_with));
    return lf_outlet_take(to, lf_obj_take(&o), err);
}

static lf_status judge(judged *j, bool data, bool base, lf_outlet *to, lf_err *err) {
    lf_task *t = j->t;
    lf_results *r = &j->r;
    lf_status rc;
    t->interruptible = true;
    if ((rc = lf_world_agree(choose_other(j, err), err)) ||
        (rc = lf_saved_answers_open(&j->saved, t, lf_world_is_first() ? lf_cfg_str(t->cfg, LF_save_predictions) : NULL,
                                    err)) ||
        (data && (rc = new_task(j, err))) || (base && (rc = base_task(j, err))) ||
        (rc = lf_saved_answers_commit(&j->saved, err)) ||
        (rc = lf_update_ratio_measure(&r->update_ratio, t, j->o->model, base ? LF_DATA_BASE : LF_DATA_EVAL, err)))
        return rc;
    r->task = t->type;
    r->threads = j->o->threads;
    r->trainable_parameters = lf_opened_trained(j->o);
    r->peak_rss_mb = lf_peak_rss_mb();
    return deliver_results(j, data, to, err);
}

lf_status lf_eval_to(const lf_config *cfg, lf_outlet *to, lf_err *err) {
    const bool data = lf_cfg_is_set(cfg, LF_data), base = lf_cfg_is_set(cfg, LF_forgetting_data);
    if (!data && !base)
        return lf_fail(err, LF_EUSAGE, "key 'data' or 'forgetting_data' is required; write --data PATH");
    if (!data && lf_cfg_is_set(cfg, LF_save_logits))
        return lf_cfg_fail(cfg, LF_save_logits, err, "the logits are those of 'data', which is not given");
    lf_config_say_no_effect(cfg, "seed", "in eval: data_seed says which examples are drawn");
    lf_opened o = {0};
    judged j = {.o = &o};
    lf_results_clear(&j.r, NULL);
    lf_status rc;
    if (!(rc = lf_opened_open(&o, cfg, LF_LOAD_FROZEN, err))) rc = lf_task_open(&j.t, cfg, o.model, o.g, err);
    rc = lf_world_agree(rc, err);
    if (!rc && !(rc = lf_task_check_ranks(j.t, o.threads, err))) rc = judge(&j, data, base, to, err);
    lf_saved_answers_close(&j.saved);
    lf_answers_free(&j.answers);
    lf_task_close(j.t);
    lf_adapted_close(&j.other);
    lf_opened_close(&o);
    return rc;
}

lf_status lf_eval(const lf_config *cfg, FILE *out, lf_err *err) {
    lf_outlet to = {.out = out};
    return lf_eval_to(cfg, &to, err);
}
