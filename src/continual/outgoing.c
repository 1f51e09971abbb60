#include "continual/outgoing.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "eval/adapted.h"
#include "task/task.h"

#define FACTS  "lora_ft.json"
#define PEFT   "adapter_config.json"
#define SUM_OF "sum_of" /* in the facts of the run: the hashes of those that were added */

typedef struct parts {
    lf_adapter_file **f;
    int64_t n;
    cJSON *hashes;
} parts;

static void close_parts(parts *s) {
    for (int64_t i = 0; s->f && i < s->n; i++) lf_adapter_close(s->f[i]);
    lf_free(s->f);
    cJSON_Delete(s->hashes);
}

static lf_status open_parts(parts *s, const lf_plan *p, int64_t run, lf_err *err) {
    lf_obj list = lf_list_new();
    lf_status rc = LF_OK;
    *s = (parts){.f = lf_calloc((size_t)run + 1, sizeof *s->f), .n = run + 1};
    for (int64_t i = 0; i <= run && s->f && !rc; i++) {
        char hash[33];
        if ((rc = lf_adapter_open(&s->f[i], p->runs[i].own, err)) || (rc = lf_adapter_file_hash(s->f[i], hash, err)))
            break;
        lf_list_string(&list, hash);
    }
    s->hashes = lf_obj_take(&list);
    return rc ? rc : s->f && s->hashes ? LF_OK : lf_no_memory(err, "the adapters so far");
}

/* ---- is it there? ---- */

static lf_status is_made(bool *made, const parts *s, const lf_plan_run *r, lf_err *err) {
    cJSON *facts = NULL;
    *made = false;
    if (!lf_is_file_in(r->adapter, FACTS) || !lf_is_file_in(r->model, "config.json")) return LF_OK;
    if (lf_json_read_in(&facts, r->adapter, FACTS, NULL)) return LF_OK; /* it is made again */
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

static lf_status save(const lf_adapter *a, const lf_plan_run *r, const lf_task *t, const cJSON *last, const cJSON *peft,
                      const cJSON *hashes, lf_err *err) {
    const lf_model *m = t->model;
    const bool classes = t->type->output == LF_CLASSES, pictures = m->family->input == LF_PIXELS;
    cJSON *run = run_facts(last, hashes);
    if (!run) return lf_no_memory(err, "the facts of %s", r->adapter);
    const lf_adapter_facts facts = {
        .base_path = m->path,
        .base_hash = m->hash,
        .head = classes ? m->head.module : NULL,
        .num_labels = m->head.n_labels,
        .id2label = m->head.labels,
        .problem_type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(last, "problem_type")),
        .pad_token_id = classes && !pictures ? m->tokens.pad : -1,
        .seed = lf_cfg_i64(r->cfg, LF_seed),
        .threads = (int)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(last, "threads")),
        .auto_class = pictures ? m->family->class_name : t->type->auto_class,
        .tower = pictures && m->family->part_of,
        .task_type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(peft, "task_type")),
        .old_names = strcmp(lf_cfg_str(r->cfg, LF_peft_names), "transformers4") == 0,
        .run = run};
    const lf_status rc = lf_adapter_save(a, &m->nn, r->adapter, &facts, err);
    cJSON_Delete(run);
    return rc;
}

/* Nothing is computed: the model is there for its modules' names and sizes. */
static lf_status add(const parts *s, const lf_plan_run *r, lf_task *t, lf_err *err) {
    const lf_adapter_file *last = s->f[s->n - 1];
    cJSON *facts = NULL, *peft = NULL;
    lf_adapter *a = NULL;
    lf_status rc;
    if (!(rc = lf_adapted_head(t->model, last, err)) &&
        !(rc = lf_adapter_apply_sum(&a, (const lf_adapter_file *const *)s->f, s->n, &t->model->nn,
                                    t->model->head.module, err)) &&
        !(rc = lf_json_read_in(&facts, r->own, FACTS, err)) && !(rc = lf_json_read_in(&peft, r->own, PEFT, err)))
        rc = save(a, r, t, facts, peft, s->hashes, err);
    cJSON_Delete(facts);
    cJSON_Delete(peft);
    lf_adapter_free(a);
    return rc;
}

static lf_status write_adapter(const parts *s, const lf_plan *p, const lf_plan_run *r, lf_err *err) {
    const lf_kernels *k;
    lf_model *m = NULL;
    lf_graph *g = NULL;
    lf_task *t = NULL;
    lf_status rc = lf_kernels_select(&k, "fp32", err);
    if (rc) return rc;
    const lf_model_opts opts = lf_model_opts_of(p->cfg, k, LF_LOAD_NOTHING);
    if (!(rc = lf_model_open(&m, lf_cfg_str(p->cfg, LF_model), &opts, err)) && !(g = lf_graph_new(k, 0)))
        rc = lf_no_memory(err, "the adapters so far");
    if (!rc && !(rc = lf_task_open(&t, p->tasks[s->n - 1].cfg, m, g, err))) rc = add(s, r, t, err);
    lf_task_close(t);
    lf_graph_free(g);
    lf_model_free(m);
    return rc;
}

/* ---- the model ---- */

static lf_status write_model(const lf_plan *p, const lf_plan_run *r, lf_err *err) {
    lf_config *cfg = NULL;
    FILE *nowhere = fopen("/dev/null", "w");
    if (!nowhere) return lf_fail_errno(err, "open", "/dev/null");
    lf_status rc = lf_cfg_derive(&cfg, p->cfg, "merge", err);
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
    parts s;
    bool made = false;
    lf_status rc = open_parts(&s, p, run, err);
    if (!rc && !(rc = is_made(&made, &s, r, err)) && !made && !(rc = lf_remove_tree(r->model, err)) &&
        !(rc = write_adapter(&s, p, r, err)))
        rc = write_model(p, r, err);
    if (!rc && !made) lf_info("all that is learned so far is %s, and in the weights of %s", r->adapter, r->model);
    close_parts(&s);
    return rc;
}
