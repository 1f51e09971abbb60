/* Pictures are checked once, not again by a run that goes on nor by each run of a sweep: what was found is kept as
 * FOLDER/<hash of the files' bytes and of what was asked>/checked.json, in check_cache or in the run's own folder. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "io/stored.h"
#include "task/pictures.h"

#define NAME   "checked.json"
#define FOLDER "checked_images"

enum { MOST_DECODED = 50000 };

typedef struct lf_picture_mark mark;

/* ---- what was found ---- */

/* A mark that cannot be read is none; neither is one with damage, for a run that is not to leave it out. */
static bool recall(mark *m, const char *folder, bool skip) {
    cJSON *o = NULL;
    int64_t pictures = 0, damaged = -1;
    const char *names = "";
    const bool read = !lf_json_read_in(&o, folder, NAME, NULL) &&
                      !lf_json_get_i64(o, "pictures", 0, &pictures, NAME, NULL) &&
                      !lf_json_get_i64(o, "damaged", -1, &damaged, NAME, NULL) &&
                      !lf_json_get_str(o, "names", "", &names, NAME, NULL) && damaged >= 0 && (skip || damaged == 0);
    if (read) {
        m->found = (lf_checked){.pictures = pictures, .damaged = damaged};
        snprintf(m->found.names, sizeof m->found.names, "%s", names);
    }
    cJSON_Delete(o);
    return read;
}

/* Of a process that was killed where it wrote one; whoever keeps has the folder's lock, or the run's. */
static lf_status settle(const char *folder, lf_err *err) {
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, folder, err);
    if (rc) return rc;
    for (size_t i = 0; i < count && !rc; i++)
        if (lf_leftover_of(names[i]) == strlen(NAME)) rc = lf_leftover_settle(folder, names[i], err);
    lf_free(names);
    return rc;
}

static lf_status keep(const mark *m, const char *folder, lf_err *err) {
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "pictures", (double)m->found.pictures);
    lf_obj_number(&o, "damaged", (double)m->found.damaged);
    lf_obj_string(&o, "names", m->found.names);
    lf_status rc = lf_mkdir_p(folder, err);
    if (!rc) rc = settle(folder, err);
    if (!rc) return lf_obj_write_in(&o, folder, NAME, false, err);
    cJSON_Delete(lf_obj_take(&o));
    return rc;
}

/* ---- checking ---- */

static bool is_to_decode(const lf_task *t, const lf_dataset *d) {
    const char *how = lf_cfg_str(t->cfg, LF_check_images);
    return strcmp(how, "full") == 0 || (strcmp(how, "auto") == 0 && lf_dataset_count(d) <= MOST_DECODED);
}

static bool skips(const lf_task *t) { return lf_cfg_bool(t->cfg, LF_skip_bad_images); }

static lf_status look(lf_task *t, const lf_dataset *d, mark *m, lf_err *err) {
    const lf_check_opts o = {
        .workers = lf_cfg_workers(t->cfg), .decode = is_to_decode(t, d), .interruptible = t->interruptible};
    return lf_dataset_check(&m->found, d, &o, err);
}

/* With check_cache, runs that share it wait for the one that looks. A folder that cannot be used is done without. */
static lf_status look_locked(lf_task *t, const lf_dataset *d, mark *m, const char *folder, lf_err *err) {
    int lock = -1;
    lf_err why = {0};
    lf_status rc = lf_mkdir_p(folder, &why);
    if (!rc) rc = lf_lock_take(&lock, folder, true, &why);
    if (rc == LF_EINTERRUPTED) return lf_fail(err, rc, "%s", why.message);
    const bool usable = !rc;
    if (!usable) lf_warn("check_cache: %s; going on without it", why.message);
    rc = usable && recall(m, folder, skips(t)) ? LF_OK : look(t, d, m, err);
    if (!rc && usable && (m->found.damaged == 0 || skips(t)) && keep(m, folder, &why))
        lf_warn("check_cache: %s; going on without it", why.message);
    lf_lock_drop(lock);
    return rc;
}

static lf_status find_or_look(lf_task *t, const lf_dataset *d, mark *m, lf_err *err) {
    const char *shared = lf_cfg_str(t->cfg, LF_check_cache);
    char *folder = shared ? lf_path_join(shared, m->identity)
                          : lf_format("%s/" FOLDER "/%s", lf_cfg_str(t->cfg, LF_output_dir), m->identity);
    if (!folder) return lf_no_memory(err, "checking pictures");
    lf_status rc = shared                        ? look_locked(t, d, m, folder, err)
                   : recall(m, folder, skips(t)) ? LF_OK
                                                 : look(t, d, m, err);
    lf_free(folder);
    return rc;
}

/* Another role may have the same data: what was split was checked whole. */
static bool is_known(lf_pictures *w, lf_data_role role) {
    for (int other = 0; other < LF_DATA_ROLES; other++)
        if (other != (int)role && strcmp(w->marks[other].identity, w->marks[role].identity) == 0) return true;
    return false;
}

static lf_status judge(const lf_task *t, const lf_dataset *d, const lf_checked *found, lf_err *err) {
    if (!found->damaged) return LF_OK;
    if (!skips(t))
        return lf_fail(err, LF_EDATA, "%s: %lld of %lld pictures cannot be read: %s; the first of them: %s",
                       lf_dataset_path(d), (long long)found->damaged, (long long)found->pictures, found->names,
                       found->first.message);
    lf_warn("%s: %lld of %lld pictures cannot be read and are left out: %s", lf_dataset_path(d),
            (long long)found->damaged, (long long)found->pictures, found->names);
    return LF_OK;
}

lf_status lf_pictures_check(lf_task *t, lf_data_role role, const char *hash, lf_err *err) {
    lf_pictures *w = t->data;
    const lf_dataset *d = w->data[role];
    mark *m = &w->marks[role];
    char asked[160];
    if (strcmp(lf_cfg_str(t->cfg, LF_check_images), "off") == 0) return LF_OK;
    lf_dataset_check_identity(d, is_to_decode(t, d), asked, sizeof asked);
    char *text = lf_format("%s %s", hash, asked);
    if (!text) return lf_no_memory(err, "checking pictures");
    lf_stored_hash(m->identity, text, strlen(text));
    lf_free(text);
    if (is_known(w, role)) return LF_OK;
    const lf_status rc = find_or_look(t, d, m, err);
    return rc ? rc : judge(t, d, &m->found, err);
}

lf_status lf_pictures_keep_checks(const lf_task *t, const char *dir, lf_err *err) {
    const lf_pictures *w = t->data;
    lf_status rc = LF_OK;
    for (int role = 0; role < LF_DATA_ROLES && !rc && !lf_cfg_str(t->cfg, LF_check_cache); role++) {
        const mark *m = &w->marks[role];
        if (!m->identity[0] || !m->found.pictures) continue;
        char *folder = lf_format("%s/" FOLDER "/%s", dir, m->identity);
        rc = folder ? keep(m, folder, err) : lf_no_memory(err, "%s", dir);
        lf_free(folder);
    }
    return rc;
}
