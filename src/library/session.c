/* A model that is kept open: opening it, what it can do, and closing it. */
#include "library/session.h"

#include <string.h>

#include "base/mem.h"

lf_status lf_session_begin(lf_session *s, lf_err *err) {
    lf_status rc = lf_call_begin(err);
    if (rc || lf_threads() == s->opened.threads) return rc;
    rc = lf_threads_take(&s->opened.threads, s->opened.threads, err);
    return rc ? lf_call_end(rc) : LF_OK;
}

static lf_status check_verb(const lf_config *cfg, lf_err *err) {
    static const char verbs[] = "|predict|eval|generate|";
    char name[64];
    snprintf(name, sizeof name, "|%.60s|", lf_cfg_verb(cfg));
    if (strstr(verbs, name)) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "a session: expected a configuration of predict, eval or generate, found one of '%s'",
                   lf_cfg_verb(cfg));
}

static lf_status open_texts(lf_session *s, lf_err *err) {
    lf_model *m = s->opened.model;
    lf_status rc;
    if ((rc = lf_task_open(&s->task, s->cfg, m, s->opened.g, err)) || (rc = lf_language_open_text(s->task, err)))
        return rc;
    return s->task->type->output == LF_CLASSES ? lf_head_in_use(&s->head, m, s->cfg, "a session", err) : LF_OK;
}

static lf_status open_all(lf_session *s, lf_err *err) {
    const lf_status rc = lf_opened_open(&s->opened, s->cfg, LF_LOAD_FROZEN, err);
    if (rc) return rc;
    if (s->opened.model->family->input != LF_PIXELS) return open_texts(s, err);
    return lf_open_picture_classifier(&s->head, &s->processor, s->opened.model, s->cfg, "a session", err);
}

static void close_all(lf_session *s) {
    if (s->generates) lf_generating_close(&s->generating);
    lf_task_close(s->task);
    lf_opened_close(&s->opened);
    lf_free(s);
}

lf_status lf_session_open(lf_session **out, const lf_config *cfg, lf_err *err) {
    *out = NULL;
    lf_status rc = check_verb(cfg, err);
    if (rc || (rc = lf_call_begin(err))) return rc;
    lf_session *s = lf_calloc(1, sizeof *s);
    rc = s ? LF_OK : lf_no_memory(err, "a session");
    if (s) s->cfg = cfg;
    if (!rc) rc = open_all(s, err);
    if (rc && s)
        close_all(s);
    else
        *out = s;
    return lf_call_end(rc);
}

void lf_session_close(lf_session *s) {
    if (s) close_all(s);
}

const char *const *lf_session_labels(const lf_session *s, int64_t *n, lf_problem *problem) {
    *n = s->head ? s->head->n_labels : 0;
    if (problem) *problem = s->head ? s->head->problem : LF_SINGLE_LABEL;
    return s->head ? s->head->labels : NULL;
}

bool lf_session_takes_pictures(const lf_session *s) { return !s->task; }

bool lf_session_writes(const lf_session *s) { return s->task && s->task->type->output == LF_NEXT_TOKEN; }
