/* That what is to be written can be, tried before anything long begins. */
#include <string.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/mem.h"
#include "config/config_internal.h"

/* These make their folder before anything else, and stay at it: another process may be at work beside them, and would
 * miss one that is removed again. A dry run makes none. */
static bool makes_folder_first(const lf_config *cfg) {
    return cfg->verb->bit & (LF_V_train | LF_V_sweep | LF_V_continual);
}

bool lf_cfg_writes_file(const lf_config *cfg) {
    const char *format = lf_cfg_str(cfg, LF_format);
    return cfg->verb->bit & (LF_V_merge | LF_V_convert) && format && strcmp(format, "gguf") == 0;
}

/* A folder is made and removed again: it appears when there is something in it. */
static lf_status try_folder(const char *path, lf_err *err) {
    int made;
    lf_status rc = lf_folder_make(path, &made, err);
    if (rc) return rc;
    rc = lf_folder_try(path, "config.json", err);
    lf_folder_unmake(path, made);
    return rc;
}

/* What is there and is no file (a pipe, a terminal) is not touched: its reader would see an end. */
static lf_status try_file(const char *path, lf_err *err) {
    const char *name = lf_path_base(path);
    if (lf_exists(path) && !lf_is_file(path) && !lf_is_dir(path)) return LF_OK;
    char *dir = name > path ? lf_format("%.*s", (int)(name - path), path) : lf_strdup(".");
    const lf_status rc = dir ? lf_folder_try(dir, name, err) : lf_no_memory(err, "%s", path);
    lf_free(dir);
    return rc;
}

lf_status lf_config_check_outputs(const lf_config *cfg, lf_err *err) {
    lf_status rc = LF_OK;
    const bool dry = lf_cfg_bool(cfg, LF_dry_run);
    for (lf_key_id id = LF_NO_KEY; !rc && (id = lf_key_next(id, LF_IS_OUTPUT));) {
        lf_err why = {0};
        const char *path = lf_cfg_is_given(cfg, id) ? lf_cfg_str(cfg, id) : NULL;
        if (!path || (id == LF_output_dir && makes_folder_first(cfg) && !dry)) continue;
        const bool folder = id == LF_output_dir && !lf_cfg_writes_file(cfg);
        if (folder && lf_is_file(path)) return lf_cfg_fail(cfg, id, err, "'%s' is a file, expected a folder", path);
        rc = folder ? (dry ? lf_folder_could : try_folder)(path, &why) : try_file(path, &why);
        if (rc == LF_ENOMEM)
            lf_fail(err, rc, "%s", why.message);
        else if (rc)
            rc = lf_cfg_fail(cfg, id, err, "%s", why.message);
    }
    return rc;
}
