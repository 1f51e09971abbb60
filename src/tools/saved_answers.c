#include "tools/saved_answers.h"

#include <math.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "task/language.h"
#include "task/pictures.h"

/* ---- classes and numbers: as `predict` shows them ---- */

static lf_status set_up(lf_saved_answers *s, const lf_answered *said, lf_err *err) {
    const lf_task *t = s->task;
    const lf_classifier *head = &t->model->base_head;
    lf_predictions_free(&s->one);
    if (s->role != LF_DATA_BASE) {
        const lf_status rc = lf_head_in_use(&head, t->model, t->cfg, "key 'data'", err);
        if (rc) return rc;
    }
    s->one = (lf_predictions){
        .names = head->labels, .n_labels = said->V, .problem = head->problem, .how = &s->how, .top_k = 1};
    if (head->problem != LF_SINGLE_LABEL) s->one.top_k = said->V; /* each has its score */
    if (t->type->input == LF_PIXELS) {
        s->how = *lf_predicted_pictures(head->problem == LF_MULTI_LABEL);
        s->one.data = lf_pictures_of(t)->data[s->role];
    } else {
        s->how = lf_predicted_texts(head->problem, false, true);
        s->one.data = lf_language_of(t)->data[s->role];
    }
    return lf_predictions_hold(&s->one, 1, err);
}

static lf_status of_classes(cJSON **out, lf_saved_answers *s, const lf_one_answer *a, lf_err *err) {
    const lf_answered *said = a->said;
    lf_example_batch row = *said->batch;
    lf_status rc = s->one.indices ? LF_OK : set_up(s, said, err);
    if (rc) return rc;
    row.in.B = 1;
    row.indices += a->row;
    s->one.count = 0;
    if ((rc = lf_predictions_add(&s->one, &row, NULL, said->logits + a->row * said->V, said->V, err)) ||
        (rc = lf_predictions_json(out, &s->one, 0, err)))
        return rc;
    lf_obj o = lf_obj_of(*out);
    if (said->judged && a->was_right >= 0) lf_obj_bool(&o, "was_right", a->was_right > 0);
    *out = lf_obj_take(&o);
    return LF_OK;
}

/* ---- language ---- */

static cJSON *of_question(const lf_one_answer *a) {
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "answer", a->answer);
    lf_obj_string(&o, "right_answer", a->right_answer);
    lf_obj_bool(&o, "right", a->right > 0);
    if (a->was_right >= 0) lf_obj_bool(&o, "was_right", a->was_right > 0);
    return lf_obj_take(&o);
}

static cJSON *of_text(const lf_one_answer *a) {
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "tokens", (double)a->targets);
    lf_obj_number(&o, "tokens_right", (double)a->right);
    if (a->was_right >= 0) lf_obj_number(&o, "tokens_were_right", (double)a->was_right);
    lf_obj_number(&o, "perplexity", exp(a->loss));
    return lf_obj_take(&o);
}

/* ---- lines ---- */

static lf_status write_line(void *context, const lf_one_answer *a, lf_err *err) {
    lf_saved_answers *s = context;
    cJSON *line = NULL;
    lf_status rc = LF_OK;
    if (!a->said)
        line = of_question(a);
    else if (!a->said->logits)
        line = of_text(a);
    else
        rc = of_classes(&line, s, a, err);
    if (rc) return rc;
    lf_obj o = lf_obj_of(line);
    if (isfinite(a->loss)) lf_obj_number(&o, "loss", a->loss);
    lf_obj_string(&o, "task", s->of);
    lf_obj_number(&o, "index", (double)a->index);
    return lf_json_write_line(s->file.f, lf_obj_take(&o), err);
}

lf_status lf_saved_answers_open(lf_saved_answers *s, const lf_task *t, const char *path, lf_err *err) {
    *s = (lf_saved_answers){.task = t};
    return path ? lf_atomic_open(&s->file, path, err) : LF_OK;
}

void lf_saved_answers_of(lf_saved_answers *s, lf_answers *a, lf_data_role role) {
    lf_predictions_free(&s->one);
    s->role = role;
    s->of = role == LF_DATA_BASE ? "base" : "new";
    a->visit = s->file.f ? write_line : NULL;
    a->context = s;
}

lf_status lf_saved_answers_commit(lf_saved_answers *s, lf_err *err) {
    return s->file.f ? lf_atomic_commit(&s->file, err) : LF_OK;
}

void lf_saved_answers_close(lf_saved_answers *s) {
    lf_atomic_abort(&s->file);
    lf_predictions_free(&s->one);
}
