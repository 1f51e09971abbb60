/* Whether a run that is there was made with the settings that are asked for now. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/config_internal.h"

/* Where results go, how they are found faster and how they are watched: the result is the same. */
static bool is_aside(const char *key) {
    static const char *const keys[] = {"output_dir",
                                       "overwrite_output_dir",
                                       "resume_from_checkpoint",
                                       "force_resume",
                                       "dry_run",
                                       "decomposition_cache",
                                       "base_cache",
                                       "json",
                                       "threads",
                                       "dataloader_num_workers"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

static lf_status differs(const char *dir, const char *key, const cJSON *was, const cJSON *now, lf_err *err) {
    char *a = was ? lf_json_print_line(was) : NULL, *b = now ? lf_json_print_line(now) : NULL;
    const lf_status rc = lf_fail(
        err, LF_EUSAGE,
        "%.300s: was begun with %s %.150s, which is %.150s now; choose another output_dir, or set overwrite_output_dir "
        "to run it again",
        dir, key, a ? a : "not set", b ? b : "not set");
    lf_free(a);
    lf_free(b);
    return rc;
}

lf_status lf_cfg_check_same(const lf_config *cfg, const cJSON *was, const char *dir, lf_err *err) {
    for (size_t i = 0; i < lf_n_keys; i++) {
        const lf_value *now = &cfg->values[i];
        const char *key = lf_keys[i].name;
        if (!(lf_keys[i].verbs & cfg->verb->knows) || is_aside(key)) continue;
        const cJSON *then = cJSON_GetObjectItemCaseSensitive(was, key);
        const bool then_set = then && !cJSON_IsNull(then);
        bool same = false;
        if (now->json && then_set && !lf_json_same(&same, now->json, then))
            return lf_fail(err, LF_ENOMEM, "%s: out of memory", dir);
        /* a default that is not in the file is that of a newer version, or one that is not written */
        if (now->json && then_set ? !same : now->json ? now->given : then_set)
            return differs(dir, key, then_set ? then : NULL, now->json, err);
    }
    return LF_OK;
}
