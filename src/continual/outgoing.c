#include "continual/outgoing.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "continual/between.h"
#include "eval/adapted.h"
#include "io/safetensors.h"
#include "task/task.h"

#define FACTS  "lora_ft.json"
#define PEFT   "adapter_config.json"
#define SUM_OF "sum_of" /* in the facts of the run: the hashes of those that were added */

/* Whose sum it is, and the file that the head is taken from: that of a task's own run. */
typedef struct parts {
    lf_adapter_file **f;
    int64_t n;
    lf_adapter_file *head;
    cJSON *hashes; /* of all of these */
} parts;

static void close_parts(parts *s) {
    for (int64_t i = 0; s->f && i < s->n; i++) lf_adapter_close(s->f[i]);
    lf_adapter_close(s->head);
    lf_free(s->f);
    cJSON_Delete(s->hashes);
}

static lf_status open_part(lf_adapter_file **f, lf_obj *hashes, const char *dir, lf_err *err) {
    char hash[33];
    lf_status rc = lf_adapter_open(f, dir, err);
    if (!rc) rc = lf_adapter_file_hash(*f, hash, err);
    if (!rc) lf_list_string(hashes, hash);
    return rc;
}

/* After run number `run`, with the head of task number `head`. */
static lf_status open_parts(parts *s, const lf_plan *p, int64_t run, int64_t head, lf_err *err) {
    const int64_t first = p->between->adds_up ? 0 : run;
    lf_obj list = lf_list_new();
    lf_status rc = LF_OK;
    *s = (parts){.f = lf_calloc((size_t)(run - first) + 1, sizeof *s->f), .n = run - first + 1};
    for (int64_t i = first; i <= run && s->f && !rc; i++) rc = open_part(&s->f[i - first], &list, p->runs[i].own, err);
    if (!rc && s->f && head != run) rc = open_part(&s->head, &list, p->runs[head].own, err);
    s->hashes = lf_obj_take(&list);
    return rc ? rc : s->f && s->hashes ? LF_OK : lf_no_memory(err, "the adapters so far");
}

/* ---- is it there? ---- */

/* What cannot be opened is made again, whatever of it is there. */
static bool opens(const char *dir) {
    lf_adapter_file *f = NULL;
    const bool whole = lf_adapter_open(&f, dir, NULL) == LF_OK;
    lf_adapter_close(f);
    return whole;
}

static bool model_opens(const char *dir) {
    lf_safetensors *st = NULL;
    const bool whole = lf_is_file_in(dir, "config.json") && lf_safetensors_open(&st, dir, NULL) == LF_OK;
    lf_safetensors_close(st);
    return whole;
}

static lf_status is_made(bool *made, const parts *s, const char *dir, lf_err *err) {
    cJSON *facts = NULL;
    *made = false;
    if (!lf_is_file_in(dir, FACTS) || !opens(dir) || lf_json_read_in(&facts, dir, FACTS, NULL)) return LF_OK;
    const cJSON *of = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(facts, "run"), SUM_OF);
    const bool known = lf_json_same(made, of, s->hashes);
    cJSON_Delete(facts);
    return known ? LF_OK : lf_no_memory(err, "the adapters so far");
}

/* ---- the adapter ---- */

/* What the last run says of itself, and whose sum this is. */
static cJSON *run_facts(const cJSON *last, const cJSON *hashes) {
    const cJSON *of_run = cJSON_GetObjectItemCaseSensitive(last, "run");
    lf_obj o = lf_obj_of(of_run ? cJSON_Duplicate(of_run, true) : cJSON_CreateObject());
    lf_obj_copy(&o, SUM_OF, hashes);
    return lf_obj_take(&o);
}

/* The folders of one adapter that is made, of the run that is its last part, and of the run whose head it has. */
typedef struct place {
    const char *dir, *last, *head;
    const lf_config *cfg; /* of the last part's run */
} place;

static lf_status save(const lf_adapter *a, const place *at, const lf_task *t, const cJSON *last, const cJSON *peft,
                      const cJSON *hashes, lf_err *err) {
    const lf_model *m = t->model;
    const bool classes = t->type->output == LF_CLASSES, pictures = m->family->input == LF_PIXELS;
    cJSON *run = run_facts(last, hashes);
    if (!run) return lf_no_memory(err, "the facts of %s", at->dir);
    const lf_adapter_facts facts = {
        .base_path = m->path,
        .base_hash = m->hash,
        .head = classes ? m->head.module : NULL,
        .num_labels = m->head.n_labels,
        .id2label = m->head.labels,
        .problem_type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(last, "problem_type")),
        .pad_token_id = classes && !pictures ? m->tokens.pad : -1,
        .seed = lf_cfg_i64(at->cfg, LF_seed),
        .threads = (int)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(last, "threads")),
        .auto_class = pictures ? m->family->class_name : t->type->auto_class,
        .tower = pictures && m->family->part_of,
        .task_type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(peft, "task_type")),
        .old_names = strcmp(lf_cfg_str(at->cfg, LF_peft_names), "transformers4") == 0,
        .run = run,
        .hub_id = lf_cfg_str(at->cfg, LF_hub_model_id),
        .hub_task = t->type->hub_task};
    const lf_status rc = lf_adapter_save(a, &m->nn, at->dir, &facts, err);
    cJSON_Delete(run);
    return rc;
}

/* The head of another run in the place of the last part's. */
static lf_status take_head(const parts *s, lf_task *t, lf_err *err) {
    return s->head ? lf_adapted_head(t->model, s->head, err) : LF_OK;
}

/* Nothing is computed: the model is there for its modules' names and sizes. */
static lf_status add(const parts *s, const place *at, lf_task *t, lf_err *err) {
    const lf_adapter_file *last = s->f[s->n - 1];
    cJSON *facts = NULL, *peft = NULL;
    lf_adapter *a = NULL;
    lf_status rc;
    if (!(rc = lf_adapted_head(t->model, last, err)) &&
        !(rc = lf_adapter_apply_sum(&a, (const lf_adapter_file *const *)s->f, s->n, &t->model->nn,
                                    t->model->head.module, err)) &&
        !(rc = take_head(s, t, err)) && !(rc = lf_json_read_in(&facts, at->head, FACTS, err)) &&
        !(rc = lf_json_read_in(&peft, at->last, PEFT, err)))
        rc = save(a, at, t, facts, peft, s->hashes, err);
    cJSON_Delete(facts);
    cJSON_Delete(peft);
    lf_adapter_free(a);
    return rc;
}

static lf_status write_adapter(const parts *s, const lf_plan *p, const place *at, int64_t task, lf_err *err) {
    const lf_kernels *k;
    lf_model *m = NULL;
    lf_graph *g = NULL;
    lf_task *t = NULL;
    lf_status rc = lf_kernels_select(&k, "fp32", err);
    if (rc) return rc;
    const lf_model_opts opts = lf_model_opts_of(p->cfg, k, LF_LOAD_NOTHING);
    if (!(rc = lf_model_open(&m, lf_cfg_str(p->cfg, LF_model), &opts, err)) && !(g = lf_graph_new(k, 0)))
        rc = lf_no_memory(err, "the adapters so far");
    if (!rc && !(rc = lf_task_open(&t, p->tasks[task].cfg, m, g, err))) rc = add(s, at, t, err);
    lf_task_close(t);
    lf_graph_free(g);
    lf_model_free(m);
    return rc;
}

/* *made: it was not there already. */
static lf_status make_adapter(bool *made, const lf_plan *p, int64_t run, int64_t task, lf_err *err) {
    const place at = {.dir = lf_plan_judged_by(p, run, task),
                      .last = p->runs[run].own,
                      .head = p->runs[task].own,
                      .cfg = p->runs[run].cfg};
    parts s = {0};
    bool there = false;
    *made = false;
    lf_status rc = at.dir ? open_parts(&s, p, run, task, err) : lf_no_memory(err, "the adapters so far");
    if (!rc) rc = is_made(&there, &s, at.dir, err);
    if (!rc && !there) {
        *made = true;
        if (p->runs[run].model) rc = lf_remove_tree(p->runs[run].model, err); /* that it is of another shows nowhere */
        if (!rc) rc = write_adapter(&s, p, &at, task, err);
    }
    close_parts(&s);
    return rc;
}

/* ---- the model ---- */

static lf_status write_model(const lf_plan *p, const lf_plan_run *r, lf_err *err) {
    lf_config *cfg = NULL;
    FILE *nowhere = fopen("/dev/null", "w");
    if (!nowhere) return lf_fail_errno(err, "open", "/dev/null");
    lf_status rc = lf_cfg_derive(&cfg, p->cfg, "merge", err);
    if (!rc && p->between->in_fp32) rc = lf_plan_set(cfg, LF_save_dtype, cJSON_CreateString("fp32"), err);
    if (!rc) rc = lf_remove_tree(r->model, err); /* of one that is damaged, what is left */
    if (!rc && !(rc = lf_plan_set(cfg, LF_adapter, cJSON_CreateString(r->adapter), err)) &&
        !(rc = lf_plan_set(cfg, LF_output_dir, cJSON_CreateString(r->model), err)) &&
        !(rc = lf_config_finish(cfg, err)))
        rc = lf_merge(cfg, nowhere, err);
    lf_config_free(cfg);
    fclose(nowhere);
    return rc;
}

lf_status lf_outgoing_make(const lf_plan *p, int64_t run, lf_err *err) {
    const lf_plan_run *r = &p->runs[run];
    lf_status rc = LF_OK;
    bool any = r->model && !model_opens(r->model);
    for (int64_t i = 0; i < p->n_tasks && !rc; i++) {
        bool made;
        if (p->own_heads ? !lf_plan_answers(p, run, i) : i != run) continue;
        if (!(rc = make_adapter(&made, p, run, i, err))) any = any || made;
    }
    if (rc || !any) return rc;
    if (!r->model) {
        lf_info("what is learned so far is in %s, an adapter with the head of each task", r->heads);
        return LF_OK;
    }
    if ((rc = write_model(p, r, err))) return rc;
    lf_info("all that is learned so far is %s, and in the weights of %s", r->adapter, r->model);
    return LF_OK;
}
