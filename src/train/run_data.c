/* A model, an adapter or data under the same name may hold something else by now; the hash of their bytes tells. */
#include <string.h>

#include "base/log.h"
#include "train/remedies.h"

/* What each role's data are called where they are given. */
static const lf_key_id keys[LF_DATA_ROLES] = {
    [LF_DATA_TRAIN] = LF_train_data,
    [LF_DATA_EVAL] = LF_eval_data,
    [LF_DATA_TEST] = LF_test_data,
    [LF_DATA_BASE] = LF_forgetting_data,
    [LF_DATA_BASE_EVAL] = LF_forgetting_eval_data,
    [LF_DATA_CALIBRATION] = LF_calibration_data,
    [LF_DATA_REPLAY] = LF_replay_data,
    [LF_DATA_KL] = LF_kl_data,
};

lf_status lf_run_hash_data(lf_run *run, lf_err *err) {
    for (int role = 0; role < LF_DATA_ROLES; role++) {
        lf_fingerprint f = {.hash = ""};
        char note[300];
        if (!run->task->source->has_data(run->task, (lf_data_role)role)) continue;
        const lf_status rc = run->task->source->fingerprint(run->task, (lf_data_role)role, &f, err);
        if (rc) return rc;
        memcpy(run->data_hash[role], f.hash, sizeof f.hash);
        if (f.sampled) lf_info("%s: %s", lf_key_name(keys[role]), lf_fingerprint_note(&f, note, sizeof note));
    }
    return LF_OK;
}

/* What figures mean less on. */
static const struct {
    lf_data_role a, b;
    const char *says;
} apart[] = {
    {LF_DATA_TEST, LF_DATA_EVAL,
     "test_data hold the same as the evaluation data: what is chosen on these, a checkpoint or a learning rate, "
     "looks better on them than it is"},
    {LF_DATA_CALIBRATION, LF_DATA_BASE,
     "calibration_data hold the same as forgetting_data: forgetting is measured on what the start has seen"},
    {LF_DATA_REPLAY, LF_DATA_BASE,
     "replay_data hold the same as forgetting_data: forgetting is measured on what was trained on"},
    {LF_DATA_KL, LF_DATA_BASE,
     "kl_data hold the same as forgetting_data: forgetting is measured on what was trained on"},
};

void lf_run_warn_of_same_data(const lf_run *run) {
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++) {
        const char *a = run->data_hash[apart[i].a], *b = run->data_hash[apart[i].b];
        if (a[0] && strcmp(a, b) == 0) lf_warn("%s", apart[i].says);
    }
}

lf_status lf_run_hash_data_again(lf_run *run, lf_err *err) {
    char before[LF_DATA_ROLES][sizeof run->data_hash[0]];
    memcpy(before, run->data_hash, sizeof before);
    const lf_status rc = lf_run_hash_data(run, err);
    for (int role = 0; role < LF_DATA_ROLES && !rc; role++)
        if (strcmp(before[role], run->data_hash[role]) != 0)
            lf_warn("%s: its files hold other bytes than when the run began (their hash was %s and is %s)",
                    lf_key_name(keys[role]), before[role], run->data_hash[role]);
    return rc;
}

cJSON *lf_run_data_hashes(const lf_run *run) {
    cJSON *o = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(o, lf_key_name(LF_model), run->model->hash) != NULL;
    for (int role = 0; role < LF_DATA_ROLES && ok; role++)
        if ((role != LF_DATA_REPLAY && role != LF_DATA_KL) || run->data_hash[role][0]) /* of none nothing, as ever */
            ok = cJSON_AddStringToObject(o, lf_key_name(keys[role]), run->data_hash[role]) != NULL;
    if (ok && run->from) ok = cJSON_AddStringToObject(o, lf_key_name(LF_continue_from), run->from_hash) != NULL;
    if (ok && lf_remedies_put_hashes(o, run)) return o;
    cJSON_Delete(o);
    return NULL;
}

static lf_status check_one(const char *name, const char *now, const cJSON *was, const char *path, lf_err *err) {
    const char *then = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(was, name));
    if (strcmp(then ? then : "", now) == 0) return LF_OK; /* not recorded: there was no such role */
    return lf_fail(
        err, LF_EUSAGE,
        "%s: the files of '%s' hold other bytes than when the run began (their hash was %.40s and is %s); put "
        "back what they were, or begin again with another output_dir",
        path, name,
        !then     ? "not recorded"
        : then[0] ? then
                  : "that of none",
        now[0] ? now : "that of none");
}

lf_status lf_run_check_data(const lf_run *run, const cJSON *was, const char *path, lf_err *err) {
    lf_status rc = check_one(lf_key_name(LF_model), run->model->hash, was, path, err);
    for (int role = 0; role < LF_DATA_ROLES && !rc; role++)
        rc = check_one(lf_key_name(keys[role]), run->data_hash[role], was, path, err);
    if (!rc && run->from) rc = check_one(lf_key_name(LF_continue_from), run->from_hash, was, path, err);
    return rc ? rc : lf_remedies_check_hashes(run, was, path, err);
}
