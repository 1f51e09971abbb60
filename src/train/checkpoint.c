/* Checkpoints hold all that a run's future depends on: trained tensors, the adapter's start, the optimiser's moments,
 * and the counters. Random numbers and the sampler need no state: they are functions of seed and counters. */

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/world.h"
#include "train/checkpoint_internal.h"
#include "train/remedies.h"

/* ---- writing ---- */

static lf_status declare_entry(void *writer, const lf_entry *e, lf_err *err) {
    return lf_st_writer_declare(writer, e->name, LF_F32, 1, &e->n, err);
}
static lf_status write_entry(void *writer, const lf_entry *e, lf_err *err) {
    return lf_st_writer_write_f32(writer, e->data, e->n, err);
}

static lf_status write_state(lf_run *run, const char *dir, lf_err *err) {
    lf_st_writer *w = NULL;
    char *path = lf_path_join(dir, LF_STATE_FILE);
    lf_status rc = path ? lf_st_writer_new(&w, path, err) : lf_no_memory(err, "%s", dir);
    if (!rc && !(rc = lf_checkpoint_each_tensor(run, declare_entry, w, err)) &&
        !(rc = lf_checkpoint_each_tensor(run, write_entry, w, err))) {
        rc = lf_st_writer_commit(w, err);
        w = NULL;
    }
    lf_st_writer_abort(w);
    lf_free(path);
    return rc;
}

static bool add(cJSON *o, const char *name, cJSON *item) {
    if (item && cJSON_AddItemToObject(o, name, item)) return true;
    cJSON_Delete(item);
    return false;
}

static cJSON *state_json(const lf_run *run) {
    const lf_counters c = lf_counters_of(run);
    cJSON *o = cJSON_CreateObject();
    const bool ok =
        o && lf_counters_put(o, &c) && lf_terms_put(o, c.at.since_log.terms) &&
        cJSON_AddNumberToObject(o, "epoch", (double)c.at.step / (double)run->steps_per_epoch) &&
        add(o, "run", lf_checkpoint_keys(run)) && add(o, "facts", lf_checkpoint_facts(run)) &&
        add(o, lf_key_name(LF_data_hashes), lf_run_data_hashes(run)) &&
        add(o, lf_key_name(LF_segments), run->segments ? cJSON_Duplicate(run->segments, true) : cJSON_CreateArray());
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

static lf_status write_state_json(const lf_run *run, const char *dir, lf_err *err) {
    cJSON *o = state_json(run);
    const lf_status rc = lf_json_write_in(dir, LF_STATE_JSON, o, false, err);
    cJSON_Delete(o);
    return rc;
}

static lf_status write_adapter(lf_run *run, const char *dir, lf_err *err) {
    if (run->method == LF_METHOD_FULL) return LF_OK;
    lf_adapter_facts facts;
    cJSON *extra = NULL;
    char *path = lf_path_join(dir, "adapter");
    lf_status rc = path ? lf_run_adapter_facts(run, &facts, &extra, err) : lf_no_memory(err, "%s", dir);
    lf_average_swap(&run->average); /* what is handed on; state.safetensors has both */
    if (!rc) rc = lf_adapter_save(run->adapter, &run->model->nn, path, &facts, err);
    lf_average_swap(&run->average);
    cJSON_Delete(extra);
    lf_free(path);
    return rc;
}

/* Removes the oldest checkpoints beyond save_total_limit; never the newest, nor the best one while it may be wanted. */
static lf_status prune(const lf_run *run, lf_err *err) {
    const int64_t limit = lf_cfg_i64(run->cfg, LF_save_total_limit);
    if (limit <= 0) return LF_OK;
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, run->dir, err);
    if (rc) return rc;
    for (;;) {
        int64_t have = 0, oldest = INT64_MAX;
        for (size_t i = 0; i < count; i++) {
            const int64_t step = lf_checkpoint_step(names[i]);
            if (step < 0) continue;
            have++;
            if (step < oldest && step != run->progress.best_step && step != run->progress.step) oldest = step;
        }
        if (rc || have <= limit || oldest == INT64_MAX) break;
        for (size_t i = 0; i < count; i++) {
            if (lf_checkpoint_step(names[i]) != oldest) continue;
            rc = lf_remove_in(run->dir, names[i], err);
            names[i][0] = 0;
        }
    }
    lf_free(names);
    return rc;
}

lf_status lf_checkpoint_check_base(const lf_run *run, lf_err *err) {
    lf_err why = {0};
    const lf_status rc = lf_model_check_unchanged(run->model, &why);
    if (rc != LF_EDATA) return rc ? lf_fail(err, rc, "%s", why.message) : LF_OK;
    return lf_fail(err, rc,
                   "step %lld: %s; nothing of the steps since the last checkpoint is kept: put the files back and go "
                   "on with --resume_from_checkpoint true",
                   (long long)run->progress.step, why.message);
}

static lf_status write_checkpoint(lf_run *run, lf_err *err) {
    char *path = lf_format("%s/checkpoint-%lld", run->dir, (long long)run->progress.step);
    char *aside = path ? lf_format("%s.tmp", path) : NULL;
    lf_status rc = aside ? LF_OK : lf_no_memory(err, "%s", run->dir);
    if (!rc && !(rc = lf_remove_tree(aside, err)) && !(rc = lf_mkdir_p(aside, err)) &&
        !(rc = write_state(run, aside, err)) && !(rc = write_adapter(run, aside, err)) &&
        !(rc = write_state_json(run, aside, err)) && !(rc = lf_checkpoint_seal(aside, err)) &&
        !(rc = lf_metrics_sync(&run->metrics, err)))
        rc = lf_replace_dir(aside, path, err);
    if (!rc) rc = prune(run, err);
    if (rc && aside) lf_remove_tree(aside, NULL);
    lf_free(aside);
    lf_free(path);
    return rc;
}

lf_status lf_checkpoint_save(lf_run *run, lf_err *err) {
    const lf_status changed = lf_world_agree(lf_checkpoint_check_base(run, err), err);
    return changed ? changed : lf_world_first_did(lf_world_is_first() ? write_checkpoint(run, err) : LF_OK, err);
}
