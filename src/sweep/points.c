#include "sweep/points.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "adapter/adapter.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/string.h"
#include "io/stored.h"
#include "kernels/kernels.h"
#include "report/gather/gather.h"

enum { MAX_NAME = 180 }; /* of 255 bytes that a file's name may have; endings are added */

/* ---- names ---- */

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._+-", c);
}

/* The member whose name follows that of `last` (NULL: the first). */
static const cJSON *next_by_name(const cJSON *values, const cJSON *last) {
    const cJSON *v, *next = NULL;
    cJSON_ArrayForEach(v, values) if ((!last || strcmp(v->string, last->string) > 0) &&
                                      (!next || strcmp(v->string, next->string) < 0)) next = v;
    return next;
}

/* "key=value,key=value", keys in the order of the alphabet: another order of a sweep's keys is the same run. What
 * cannot stand in a name is '-', and then, or where it is too long, a hash of the values makes it one. */
static char *make_name(const cJSON *values) {
    char name[MAX_NAME + 1] = "", text[MAX_NAME + 1];
    size_t used = 0;
    bool altered = false;
    XXH64_hash_t hash = 0;
    const cJSON *value = NULL;
    while ((value = next_by_name(values, value))) {
        char *whole = lf_json_print_line(value);
        if (!whole) return NULL;
        hash = XXH3_64bits_withSeed(whole, strlen(whole),
                                    XXH3_64bits_withSeed(value->string, strlen(value->string), hash));
        lf_value_text(text, sizeof text, value);
        altered = altered || strlen(text) == MAX_NAME;
        lf_free(whole);
        for (char *c = text; *c; c++)
            if (!is_plain(*c)) {
                *c = '-';
                altered = true;
            }
        const int n = snprintf(name + used, sizeof name - used, "%s%s=%s", used ? "," : "", value->string, text);
        altered = altered || used + (size_t)n >= sizeof name;
        used = used + (size_t)n < sizeof name ? used + (size_t)n : sizeof name - 1;
    }
    return altered ? lf_format("%.160s~%08x", name, (unsigned)(hash ^ hash >> 32)) : lf_strdup(name);
}

/* ---- configurations ---- */

/* `value` is taken over; NULL: it could not be made. */
static lf_status set(lf_config *cfg, const char *key, cJSON *value, lf_err *err) {
    return lf_cfg_set_taken(cfg, key, value, "the sweep", err);
}

/* Would a training, or each of the sequence's, read the key? */
static lf_status is_read(bool *read, const lf_config *cfg, lf_key_id key, lf_err *err) {
    char why[96];
    lf_config *run = NULL;
    const lf_status rc = lf_cfg_derive(&run, cfg, "train", err);
    *read = !rc && !lf_config_unread(run, key, why, sizeof why);
    lf_config_free(run);
    return rc;
}

/* Unless the user named one: `key` is a folder in the sweep's cache. */
static lf_status set_cache(const lf_points *p, lf_config *cfg, lf_key_id key, const char *name, lf_err *err) {
    bool read;
    lf_status rc = is_read(&read, cfg, key, err);
    if (rc || !read || lf_cfg_is_given(cfg, key)) return rc;
    char *path = lf_format("%s/cache/%s", p->dir, name);
    rc = set(cfg, lf_key_name(key), path ? cJSON_CreateString(path) : NULL, err);
    lf_free(path);
    return rc;
}

/* A limit of time is the sweep's own: each run would begin to count anew. */
static lf_status drop_limit(const lf_points *p, lf_config *cfg, lf_err *err) {
    if (!lf_cfg_is_given(p->cfg, LF_max_train_minutes)) return LF_OK;
    return set(cfg, lf_key_name(LF_max_train_minutes), cJSON_CreateNumber(0), err);
}

static lf_status configure(const lf_points *p, lf_point *at, lf_err *err) {
    lf_status rc = lf_cfg_derive(&at->cfg, p->cfg, at->kind->verb, err);
    for (const cJSON *value = at->values->child; value && !rc; value = value->next)
        rc = lf_cfg_set_json(at->cfg, value->string, value, "the sweep", err);
    if (rc || (rc = set(at->cfg, "output_dir", cJSON_CreateString(at->run_dir), err)) ||
        (rc = set(at->cfg, "threads", cJSON_CreateNumber(p->threads), err)) ||
        (rc = set(at->cfg, "resume_from_checkpoint", cJSON_CreateTrue(), err)) ||
        (rc = set(at->cfg, "overwrite_output_dir", cJSON_CreateFalse(), err)) || (rc = drop_limit(p, at->cfg, err)) ||
        (rc = set_cache(p, at->cfg, LF_decomposition_cache, "decompositions", err)) ||
        (rc = set_cache(p, at->cfg, LF_base_cache, "base", err)) ||
        (rc = set_cache(p, at->cfg, LF_check_cache, "checked", err)) || (rc = lf_adapter_take_settings(at->cfg, err)))
        return rc;
    return lf_config_finish(at->cfg, err);
}

/* What a point starts from; the sweep's own where the point does not say. */
static const cJSON *init_of(const lf_points *p, const cJSON *values) {
    const cJSON *init = cJSON_GetObjectItemCaseSensitive(values, "init_lora_weights");
    return init ? init : lf_cfg_json(p->cfg, LF_init_lora_weights);
}

/* Positions swept together with starts that read none: such a point is one, whatever its position. */
static bool drop_position(const lf_points *p, cJSON *values) {
    const char *name;
    const lf_init *init = lf_init_of(init_of(p, values), &name);
    if (!cJSON_GetObjectItemCaseSensitive(values, "init_position") || !init || lf_init_is_positioned(init))
        return false;
    cJSON_DeleteItemFromObjectCaseSensitive(values, "init_position");
    return true;
}

/* Everything that makes a run what it is, however it was spelled. */
static lf_status identify(lf_point *at, lf_err *err) {
    lf_obj o = lf_obj_of(lf_cfg_select(at->cfg, ~(unsigned)LF_IS_ASIDE, LF_IS_MACHINE | LF_IS_ASIDE));
    const cJSON *init = cJSON_GetObjectItemCaseSensitive(o.json, "init_lora_weights");
    const char *name;
    if (init && lf_init_of(init, &name)) {
        cJSON *spelled = cJSON_CreateString(name);
        lf_obj_drop(&o, "init_lora_weights");
        lf_obj_put(&o, "init_lora_weights", spelled);
    }
    cJSON *json = lf_obj_take(&o);
    char *text = json ? lf_json_print(json, true) : NULL;
    if (text) lf_stored_hash(at->identity, text, strlen(text));
    lf_free(text);
    cJSON_Delete(json);
    return text ? LF_OK : lf_no_memory(err, "the points of a sweep");
}

static lf_status make_point(const lf_points *p, lf_point *at, cJSON *values, lf_err *err) {
    at->values = values;
    at->kind = lf_point_kind_of(p->cfg, values);
    at->dropped = drop_position(p, values);
    if (!(at->name = make_name(values))) return lf_no_memory(err, "the points of a sweep");
    at->config_path = lf_format("%s/points/%s.json", p->dir, at->name);
    at->run_dir = lf_format("%s/runs/%s", p->dir, at->name);
    at->log_path = lf_format("%s/logs/%s.log", p->dir, at->name);
    if (!at->config_path || !at->run_dir || !at->log_path) return lf_no_memory(err, "the points of a sweep");
    lf_err inner = {0};
    lf_status rc = configure(p, at, &inner);
    if (!rc) rc = at->kind->check(at->cfg, &inner);
    if (!rc) rc = identify(at, &inner);
    return rc ? lf_fail(err, rc, "point %.200s: %s", at->name, inner.message) : LF_OK;
}

static void free_point(lf_point *at) {
    lf_free(at->name);
    lf_free(at->config_path);
    lf_free(at->run_dir);
    lf_free(at->log_path);
    lf_config_free(at->cfg);
}

/* ---- no run twice ---- */

static int by_identity(const void *a, const void *b) {
    const lf_point *x = *(lf_point *const *)a, *y = *(lf_point *const *)b;
    const int c = strcmp(x->identity, y->identity);
    return c ? c : (x > y) - (x < y);
}

/* Takes out the points that are marked. */
static void compact(lf_points *p) {
    int64_t kept = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (p->at[i].again)
            free_point(&p->at[i]);
        else
            p->at[kept++] = p->at[i];
    }
    if (kept < p->n)
        lf_info("%lld points differ only in an init_position that their start does not read; each is run once",
                (long long)(p->n - kept));
    p->n = kept;
}

/* The same run twice would count as two. */
static lf_status check_different(lf_points *p, lf_err *err) {
    lf_point **order = lf_calloc((size_t)p->n, sizeof *order);
    if (!order) return lf_no_memory(err, "the points of a sweep");
    for (int64_t i = 0; i < p->n; i++) order[i] = &p->at[i];
    qsort(order, (size_t)p->n, sizeof *order, by_identity);
    lf_status rc = LF_OK;
    for (int64_t i = 1, first = 0; i < p->n && !rc; i++) {
        if (strcmp(order[first]->identity, order[i]->identity) != 0)
            first = i;
        else if (order[i]->dropped)
            order[i]->again = true;
        else if (strcmp(order[first]->name, order[i]->name) == 0)
            rc = lf_cfg_fail(p->cfg, LF_sweep, err, "the point %s is there twice", order[i]->name);
        else
            rc = lf_cfg_fail(p->cfg, LF_sweep, err, "the points %s and %s are the same run", order[first]->name,
                             order[i]->name);
    }
    lf_free(order);
    if (!rc) compact(p);
    return rc;
}

/* A flag for a key that every point has its own value of would change nothing. */
static lf_status check_flags(const lf_points *p, lf_err *err) {
    for (lf_key_id id = LF_NO_KEY; (id = lf_key_next(id, ~0u));) {
        const cJSON *values = lf_cfg_is_flag(p->cfg, id) ? p->grid.points->child : NULL;
        if (!values) continue;
        while (values && cJSON_GetObjectItemCaseSensitive(values, lf_key_name(id))) values = values->next;
        if (!values)
            return lf_cfg_fail(
                p->cfg, id, err,
                "has no effect: the sweep gives each of its points one; take it out of 'sweep', or leave "
                "out the flag");
    }
    return LF_OK;
}

/* ---- what is there already ---- */

/* Reads DIR/NAME; *out is NULL if there is no such file. */
static lf_status read_member(cJSON **out, const char *dir, const char *name, lf_err *err) {
    lf_err why = {0};
    const lf_status rc = lf_json_read_in(out, dir, name, &why);
    return !rc || rc == LF_ENOTFOUND ? LF_OK : lf_fail(err, rc, "%s", why.message);
}

/* A client of NFS asks again what is in a folder when that is opened. */
static void open_once(const char *dir) {
    char **names;
    size_t count;
    if (lf_list_dir(&names, &count, dir, NULL) == LF_OK) lf_free(names);
}

lf_status lf_point_look(lf_point *at, lf_err *err) {
    cJSON *config = NULL, *results = NULL, *error = NULL;
    const char *state;
    lf_key_id longer = LF_NO_KEY;
    open_once(at->run_dir);
    lf_status rc = read_member(&config, at->run_dir, at->kind->config, err);
    if (!rc && config) rc = lf_cfg_take_inherited(at->cfg, config, at->run_dir, err);
    if (!rc && config) rc = lf_cfg_check_finished(at->cfg, config, at->run_dir, &longer, err);
    if (!rc && longer && at->kind->check_longer) rc = at->kind->check_longer(at->cfg, longer, at->run_dir, err);
    if (rc || longer || !config) goto out; /* a longer one goes on, whatever its end was */
    if ((rc = read_member(&results, at->run_dir, "all_results.json", err)) ||
        (rc = read_member(&error, at->run_dir, "error.json", err)))
        goto out;
    if (results && !error) at->state = LF_POINT_DONE; /* an error beside them is of a later try, which is made again */
    if (!results && error) {
        rc = lf_json_get_str(error, "state", "", &state, at->run_dir, err);
        if (!rc && strcmp(state, "diverged") == 0) at->state = LF_POINT_DIVERGED;
    }
out:
    cJSON_Delete(config);
    cJSON_Delete(results);
    cJSON_Delete(error);
    return rc;
}

/* ---- the sweep ---- */

/* "2/8": every eighth point, from the second on. */
static lf_status choose_shard(lf_points *p, lf_err *err) {
    const char *text = lf_cfg_str(p->cfg, LF_shard);
    long long shard = 1, of = 1;
    int end = 0;
    if (text && (sscanf(text, "%5lld/%5lld%n", &shard, &of, &end) != 2 || text[end] || shard < 1 || shard > of))
        return lf_cfg_fail(p->cfg, LF_shard, err, "expected i/n with i from 1 to n (\"2/8\"), found '%s'", text);
    for (int64_t i = 0; i < p->n; i++) p->at[i].of_shard = i % of == shard - 1;
    return LF_OK;
}

static lf_status identify_all(lf_points *p, lf_err *err) {
    lf_string all = {0};
    for (int64_t i = 0; i < p->n; i++) lf_string_add(&all, "%s %s\n", p->at[i].name, p->at[i].identity);
    lf_string_add(&all, "%d", p->threads);
    if (!all.failed) lf_stored_hash(p->identity, all.s, all.n);
    const lf_status rc = all.failed ? lf_no_memory(err, "the points of a sweep") : LF_OK;
    lf_string_free(&all);
    return rc;
}

int64_t lf_points_count(const lf_points *p, lf_point_state state) {
    int64_t n = 0;
    for (int64_t i = 0; i < p->n; i++) n += p->at[i].of_shard && p->at[i].state == state;
    return n;
}

static lf_status choose_threads(lf_points *p, const cJSON *before, int64_t jobs, lf_err *err) {
    const int64_t asked = lf_cfg_i64(p->cfg, LF_threads), all = asked > 0 ? asked : lf_threads_available(),
                  share = all / jobs > 0 ? all / jobs : 1;
    int64_t kept;
    lf_status rc = before ? lf_json_get_i64(before, "threads", share, &kept, "sweep.json", err) : LF_OK;
    if (rc || !before) {
        p->threads = (int)share;
        return rc;
    }
    if (kept < 1 || kept > 4096)
        return lf_fail(err, LF_EDATA, "%s/sweep.json: threads: expected 1 to 4096, found %lld", p->dir,
                       (long long)kept);
    if (kept != share)
        lf_info("%s was begun with %lld threads a run; its runs go on with as many", p->dir, (long long)kept);
    p->threads = (int)kept;
    return LF_OK;
}

/* Whether another process has just begun there, and has not yet written sweep.json: nothing but what it makes first. */
static bool is_beginning(char *const *names, size_t count) {
    static const char *const made[] = {"cache", "claims", "logs", "points", "runs"};
    bool claims = false;
    for (size_t i = 0; i < count; i++) {
        bool known = strncmp(names[i], "sweep.json.tmp-", 15) == 0;
        for (size_t k = 0; k < sizeof made / sizeof *made; k++) known = known || strcmp(names[i], made[k]) == 0;
        if (!known) return false;
        claims = claims || strcmp(names[i], "claims") == 0;
    }
    return claims;
}

static lf_status check_folder(const lf_points *p, bool is_sweep, lf_err *err) {
    char **names;
    size_t count;
    if (lf_is_file(p->dir)) return lf_cfg_fail(p->cfg, LF_output_dir, err, "'%s' is a file, expected a folder", p->dir);
    if (!lf_is_dir(p->dir) || is_sweep) return LF_OK;
    const lf_status rc = lf_list_dir(&names, &count, p->dir, err);
    const bool is_empty = count == 0 || is_beginning(names, count);
    lf_free(names);
    if (rc || is_empty) return rc;
    return lf_cfg_fail(p->cfg, LF_output_dir, err, "'%s' is not empty and holds no sweep; choose another", p->dir);
}

/* Each process would remove what those of the other shards have made. */
static lf_status check_shard(const lf_config *cfg, lf_err *err) {
    if (!lf_cfg_str(cfg, LF_shard) || !lf_cfg_bool(cfg, LF_overwrite_output_dir)) return LF_OK;
    return lf_cfg_fail(cfg, LF_overwrite_output_dir, err,
                       "a shard would remove what the others have made; remove the folder before the first one starts, "
                       "or choose another output_dir");
}

lf_status lf_points_open(lf_points *p, const lf_config *cfg, bool afresh, int64_t jobs, int64_t fits, lf_err *err) {
    *p = (lf_points){.cfg = cfg, .dir = lf_cfg_str(cfg, LF_output_dir), .afresh = afresh, .fits = fits};
    cJSON *before = NULL, *spec = NULL;
    lf_status rc;
    if ((rc = check_shard(cfg, err)) || (rc = read_member(&before, p->dir, "sweep.json", err)) ||
        (rc = check_folder(p, before, err)) || (rc = choose_threads(p, afresh ? NULL : before, jobs, err)) ||
        (rc = lf_sweep_spec(&spec, cfg, err)) || (rc = lf_grid_new(&p->grid, spec, "the configuration", err)))
        goto out;
    if ((rc = check_flags(p, err))) goto out;
    const int64_t n = cJSON_GetArraySize(p->grid.points);
    if (!(p->at = lf_calloc((size_t)n, sizeof *p->at))) rc = lf_no_memory(err, "the points of a sweep");
    cJSON *values;
    if (!rc) cJSON_ArrayForEach(values, p->grid.points) if ((rc = make_point(p, &p->at[p->n++], values, err))) break;
    if (!rc) rc = check_different(p, err);
    if (!rc) rc = lf_points_fit(p, afresh ? NULL : before, jobs, err);
    if (!rc && !(rc = choose_shard(p, err))) rc = identify_all(p, err);
    for (int64_t i = 0; i < p->n && !rc && !afresh; i++) rc = lf_point_look(&p->at[i], err);
out:
    cJSON_Delete(before);
    cJSON_Delete(spec);
    if (rc) lf_points_close(p);
    return rc;
}

void lf_points_close(lf_points *p) {
    for (int64_t i = 0; i < p->n; i++) free_point(&p->at[i]);
    lf_free(p->at);
    lf_grid_free(&p->grid);
    *p = (lf_points){0};
}
