#define _POSIX_C_SOURCE 200809L
#include "task/base_cache.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/world.h"
#include "io/stored.h"
#include "linalg/svd.h"
#include "task/language.h"

static const char KIND[] = "base_score";
enum { N_NUMBERS = 7, MAX_DEPTH = 8 };

/* ---- identity ---- */

/* Name, size and time of the files at a path, which may be a folder of folders, as one hash after another. */
static lf_status add_files(char hash[33], const char *path, int depth, lf_err *err) {
    struct stat s;
    if (stat(path, &s) < 0) return lf_fail_errno(err, "read", path);
    char *text = lf_format("%s %s %lld %lld.%09ld", hash, path, S_ISDIR(s.st_mode) ? 0LL : (long long)s.st_size,
                           (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    if (!text) return lf_no_memory(err, "base_cache");
    lf_stored_hash(hash, text, strlen(text));
    lf_free(text);
    if (!S_ISDIR(s.st_mode)) return LF_OK;
    if (depth == MAX_DEPTH)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: folders in folders, deeper than %d", path, MAX_DEPTH);
    char **names = NULL;
    size_t n = 0;
    lf_status rc = lf_list_dir(&names, &n, path, err);
    for (size_t i = 0; i < n && !rc; i++) {
        char *inner = lf_path_join(path, names[i]);
        rc = inner ? add_files(hash, inner, depth + 1, err) : lf_no_memory(err, "base_cache");
        lf_free(inner);
    }
    lf_free(names);
    return rc;
}

/* Pictures as IDX have their labels beside them. */
static lf_status add_labels(char hash[33], const char *file, lf_err *err) {
    char *folder = lf_format("%.*s", (int)(lf_path_base(file) - file), file), **names = NULL;
    size_t n = 0;
    lf_status rc = folder ? lf_list_dir(&names, &n, folder[0] ? folder : ".", err) : lf_no_memory(err, "base_cache");
    for (size_t i = 0; i < n && !rc; i++) {
        char *path = lf_path_join(folder[0] ? folder : ".", names[i]);
        rc = !path                                          ? lf_no_memory(err, "base_cache")
             : strstr(names[i], "idx1") && lf_is_file(path) ? add_files(hash, path, 0, err)
                                                            : LF_OK;
        lf_free(path);
    }
    lf_free(names);
    lf_free(folder);
    return rc;
}

static lf_status hash_files(char hash[33], const lf_task *t, lf_data_role role, lf_err *err) {
    const lf_key_id key = lf_task_base_key(t, role);
    char *template;
    lf_status rc = lf_language_adapter_template(&template, t->cfg, err);
    if (rc) return rc;
    const cJSON *spec = lf_cfg_json(t->cfg, key),
                *labels = cJSON_IsObject(spec) ? cJSON_GetObjectItemCaseSensitive(spec, "labels") : NULL,
                *map = cJSON_IsObject(spec) ? cJSON_GetObjectItemCaseSensitive(spec, "label_map") : NULL;
    const char *data = lf_cfg_path(t->cfg, key), *paths[] = {cJSON_GetStringValue(labels),
                                                             cJSON_GetStringValue(map),
                                                             t->model->path,
                                                             lf_cfg_str(t->cfg, LF_tokenizer),
                                                             lf_cfg_str(t->cfg, LF_chat_template),
                                                             template,
                                                             lf_cfg_str(t->cfg, LF_class_embeddings)};
    lf_paths examples = {0};
    rc = lf_cfg_paths(&examples, t->cfg, key, err);
    hash[0] = '\0';
    for (int64_t i = 0; i < examples.n && !rc; i++)
        if (lf_is_file(examples.at[i]) || lf_is_dir(examples.at[i])) rc = add_files(hash, examples.at[i], 0, err);
    lf_paths_free(&examples);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0] && !rc; i++)
        if (paths[i] && (lf_is_file(paths[i]) || lf_is_dir(paths[i]))) rc = add_files(hash, paths[i], 0, err);
    lf_free(template);
    return rc || !data || !lf_is_file(data) || !strstr(lf_path_base(data), "idx3") ? rc : add_labels(hash, data, err);
}

/* Everything that may change a bit of the score. Keys say themselves whether they
 * change the examples that forgetting is measured on. */
static char *identity_text(const lf_task *t, lf_data_role role, const char *files) {
    lf_obj o = lf_obj_of(lf_cfg_select(t->cfg, LF_IS_OF_FORGETTING, 0));
    const lf_kernels *k = lf_graph_kernels(t->g);
    char solver[256]; /* BLAS and processor */
    lf_svd_solver(solver, sizeof solver);
    const int64_t batch =
        lf_cfg_is_given(t->cfg, LF_per_device_eval_batch_size) ? lf_cfg_i64(t->cfg, LF_per_device_eval_batch_size) : 0;
    lf_obj_string(&o, "base", t->model->hash);
    lf_obj_string(&o, "method", lf_cfg_str(t->cfg, LF_method));
    lf_obj_string(&o, "solver", solver);
    lf_obj_string(&o, "precision", k->precision);
    lf_obj_string(&o, "kernels", k->name);
    if (lf_nn_is_quantised(&t->model->nn)) lf_obj_string(&o, "frozen", lf_cfg_str(t->cfg, LF_frozen_precision));
    lf_obj_number(&o, "threads", lf_threads());
    lf_obj_number(&o, "batch", (double)batch);
    lf_obj_string(&o, "data", lf_key_name(lf_task_base_key(t, role)));
    lf_obj_string(&o, "part", !t->base_is_halved ? "all" : role == LF_DATA_BASE ? "kept half" : "held out half");
    lf_obj_string(&o, "version", lf_version());
    lf_obj_string(&o, "files", files);
    if (t->source->put_moment) t->source->put_moment(t, &o);
    cJSON *json = lf_obj_take(&o);
    char *text = json ? lf_json_print_line(json) : NULL;
    cJSON_Delete(json);
    return text;
}

/* ---- the numbers ---- */

static void to_numbers(double x[N_NUMBERS], const lf_base_score *s) {
    const double all[N_NUMBERS] = {(double)s->count, s->accuracy, s->loss, s->ce, s->kl, s->knn, (double)s->knn_count};
    memcpy(x, all, sizeof all);
}

static void from_numbers(lf_base_score *s, const double x[N_NUMBERS]) {
    *s = (lf_base_score){.count = (int64_t)x[0],
                         .accuracy = x[1],
                         .loss = x[2],
                         .ce = x[3],
                         .kl = x[4],
                         .knn = x[5],
                         .knn_count = (int64_t)x[6]};
}

/* Counts are whole and not huge, whatever a file says. */
static bool are_counts(const double x[N_NUMBERS]) {
    return x[0] >= 0 && x[0] < LF_NO_MAX && x[6] >= 0 && x[6] < LF_NO_MAX;
}

enum { MOST_PARTS = 3 };

/* The score, and what a comparison needs of the base beside it. Returns how many parts there are. */
static int list_parts(lf_stored_part parts[MOST_PARTS], double numbers[N_NUMBERS], lf_forgetting *f) {
    float *logits;
    uint8_t *seen;
    int64_t V, N;
    lf_forgetting_arrays(f, &logits, &V, &seen, &N);
    parts[0] = (lf_stored_part){"score", numbers, 1, N_NUMBERS, LF_F64};
    if (!V) return 1;
    parts[1] = (lf_stored_part){"logits", logits, N, V, LF_F32};
    parts[2] = (lf_stored_part){"seen", seen, 1, N, LF_U8};
    return MOST_PARTS;
}

static bool found(lf_task *t, lf_data_role role, lf_base_score *out, const char *path, const char *identity) {
    lf_stored_part parts[MOST_PARTS];
    double numbers[N_NUMBERS];
    lf_err why = {0};
    if (!lf_is_file(path)) return false;
    lf_status rc = lf_task_base_room(t, role, &why);
    if (!rc &&
        !(rc = lf_stored_read(path, KIND, identity, parts, list_parts(parts, numbers, t->forgetting[role]), &why)) &&
        are_counts(numbers)) {
        from_numbers(out, numbers);
        lf_forgetting_set_before(t->forgetting[role], out);
        *out = *lf_forgetting_before(t->forgetting[role]);
        lf_info("the untouched base's score is that of %s", path);
        return true;
    }
    lf_warn("base_cache: %s; it is measured again", rc ? why.message : path);
    return false;
}

static void keep(const lf_task *t, lf_data_role role, const lf_base_score *score, const char *path,
                 const char *identity) {
    lf_stored_part parts[MOST_PARTS];
    double numbers[N_NUMBERS];
    lf_err why = {0};
    to_numbers(numbers, score);
    if (lf_stored_write(path, KIND, identity, parts, list_parts(parts, numbers, t->forgetting[role]), &why))
        lf_warn("base_cache: %s; going on without it", why.message);
}

/* ---- with other ranks, of which the first knows the folder ---- */

static size_t bytes_of(const lf_stored_part *p) { return (size_t)(p->rows * p->columns) * lf_dtype_size(p->dtype); }

/* Whether rank 0 has found it, and what. `numbers` are those of the score. */
static lf_status share_found(lf_task *t, lf_data_role role, double numbers[N_NUMBERS], lf_err *err) {
    lf_stored_part parts[MOST_PARTS];
    const int n = list_parts(parts, numbers, t->forgetting[role]);
    lf_status rc = LF_OK;
    for (int i = 0; i < n && !rc; i++) rc = lf_world_share(0, parts[i].data, bytes_of(&parts[i]), err);
    return rc;
}

static lf_status say_whether_found(bool found, lf_err *err) {
    const lf_status rc = lf_world_first_did(LF_OK, err);
    return rc ? rc : lf_world_share(0, &found, sizeof found, err);
}

static lf_status measure(lf_task *t, lf_data_role role, lf_base_score *out, lf_err *err) {
    const lf_status rc = say_whether_found(false, err);
    return rc ? rc : lf_task_measure_base(t, role, out, err);
}

/* What the other ranks do meanwhile. */
static lf_status follow(lf_task *t, lf_data_role role, lf_base_score *out, lf_err *err) {
    bool found = false;
    double numbers[N_NUMBERS];
    lf_status rc = lf_world_first_did(LF_OK, err);
    if (rc || (rc = lf_world_share(0, &found, sizeof found, err))) return rc;
    if (!found) return lf_task_measure_base(t, role, out, err);
    if ((rc = lf_task_base_room(t, role, err)) || (rc = share_found(t, role, numbers, err))) return rc;
    from_numbers(out, numbers);
    lf_forgetting_set_before(t->forgetting[role], out);
    *out = *lf_forgetting_before(t->forgetting[role]);
    return LF_OK;
}

static lf_status tell_found(lf_task *t, lf_data_role role, const lf_base_score *score, lf_err *err) {
    double numbers[N_NUMBERS];
    const lf_status rc = say_whether_found(true, err);
    to_numbers(numbers, score);
    return rc ? rc : share_found(t, role, numbers, err);
}

/* ---- with the folder ---- */

/* Each score has a folder of its own, so that runs that need another one do not wait. */
static lf_status measure_locked(lf_task *t, lf_data_role role, lf_base_score *out, const char *folder,
                                const char *identity, lf_err *err) {
    lf_err why = {0};
    int lock = -1;
    char *path = lf_path_join(folder, "score.safetensors");
    lf_status rc = path ? lf_mkdir_p(folder, &why) : lf_no_memory(&why, "base_cache");
    if (!rc) rc = lf_lock_take(&lock, folder, true, &why);
    if (rc == LF_EINTERRUPTED || rc == LF_ENOMEM) {
        rc = lf_world_first_did(lf_fail(err, rc, "%s", why.message), err);
    } else if (rc) { /* a folder that cannot be used */
        lf_warn("base_cache: %s; going on without it", why.message);
        rc = measure(t, role, out, err);
    } else if (found(t, role, out, path, identity))
        rc = tell_found(t, role, out, err);
    else if (!(rc = measure(t, role, out, err)))
        keep(t, role, out, path, identity);
    lf_lock_drop(lock);
    lf_free(path);
    return rc;
}

lf_status lf_measure_base(lf_task *t, lf_data_role role, lf_base_score *out, lf_err *err) {
    const char *where = lf_cfg_str(t->cfg, LF_base_cache);
    if (!where || !t->model->hash[0]) return lf_task_measure_base(t, role, out, err);
    if (!lf_world_is_first()) return follow(t, role, out, err);
    char files[33], name[33];
    lf_err why = {0};
    lf_status rc = hash_files(files, t, role, &why);
    char *identity = rc ? NULL : identity_text(t, role, files), *folder = NULL;
    if (identity) {
        lf_stored_hash(name, identity, strlen(identity));
        folder = lf_path_join(where, name);
    }
    if (!rc && !folder)
        rc = lf_world_first_did(lf_no_memory(err, "base_cache"), err);
    else if (!rc)
        rc = measure_locked(t, role, out, folder, identity, err);
    else { /* not all that the score depends on is known */
        lf_warn("base_cache: %s; going on without it", why.message);
        rc = measure(t, role, out, err);
    }
    lf_free(folder);
    lf_free(identity);
    return rc;
}
