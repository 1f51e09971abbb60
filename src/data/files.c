/* Which files a data set is read from. */
#include "data/files.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/hub.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/splits.h"
#include "io/unpack.h"

/* ---- names of shards -----------------------------------------------------------------------------------------------
 */

/* "train.jsonl.gz" is stem "train", extension "jsonl". */
typedef struct name_parts {
    int stem;              /* bytes */
    const char *extension; /* begins behind the dot, and goes on with that of the packing */
    size_t extension_size;
} name_parts;

static bool take_apart(name_parts *p, const char *name, const lf_data_wanted *w) {
    char unpacked[256];
    const size_t n = lf_packing_stem(name);
    if (name[0] == '.' || n >= sizeof unpacked) return false;
    memcpy(unpacked, name, n);
    unpacked[n] = 0;
    const char *dot = strrchr(unpacked, '.');
    if (!dot || dot == unpacked || !w->ours(unpacked)) return false;
    *p = (name_parts){.stem = (int)(dot - unpacked), .extension = name + (dot - unpacked) + 1};
    p->extension_size = n - (size_t)p->stem - 1;
    return true;
}

typedef enum relation { STRANGER, SHARD, WHOLE } relation;

/* What a file of this name is to the split of this name. */
static relation relation_to(const char *alias, const char *name, const lf_data_wanted *w) {
    name_parts p;
    const int n = (int)strlen(alias);
    if (!take_apart(&p, name, w) || p.stem < n || strncmp(name, alias, (size_t)n)) return STRANGER;
    if (p.stem == n) return WHOLE;
    return strchr("-_.", name[n]) ? SHARD : STRANGER;
}

/* "-00003-of-00010" somewhere in the stem. */
static bool shard_number(const char *name, int64_t *number, int64_t *of) {
    const char *s = strstr(name, "-of-");
    if (!s || !isdigit((unsigned char)s[4])) return false;
    const char *digits = s;
    while (digits > name && isdigit((unsigned char)digits[-1])) digits--;
    if (digits == s || digits == name || digits[-1] != '-' || s - digits > 9 || strspn(s + 4, "0123456789") > 9)
        return false;
    *number = strtoll(digits, NULL, 10);
    *of = strtoll(s + 4, NULL, 10);
    return true;
}

/* ---- a folder ------------------------------------------------------------------------------------------------------
 */

typedef struct search {
    const lf_data_wanted *w;
    const char *folder;
    char **names; /* in it */
    size_t n;
    const char *used;   /* a folder in it in which files were found, or NULL */
    const char **found; /* [n_found] of the names */
    size_t n_found;
    lf_err *err;
} search;

static void look_for(search *s, const char *alias, relation what) {
    for (size_t i = 0; i < s->n; i++)
        if (relation_to(alias, s->names[i], s->w) == what) s->found[s->n_found++] = s->names[i];
}

static lf_status ambiguous(const search *s, const char *a, const char *b) {
    return lf_fail(s->err, LF_EUSAGE,
                   "%s: %s: '%s' and '%s' may both be meant by the split '%s'; name the file, or a list of files",
                   s->w->key, s->folder, a, b, s->w->split);
}

static lf_status check_same_format(const search *s) {
    name_parts first, p;
    for (size_t i = 1; i < s->n_found; i++)
        if (take_apart(&first, s->found[0], s->w) && take_apart(&p, s->found[i], s->w) &&
            (first.extension_size != p.extension_size ||
             strncasecmp(first.extension, p.extension, p.extension_size) != 0))
            return ambiguous(s, s->found[0], s->found[i]);
    return LF_OK;
}

/* Shards that say how many they are: each once. */
static lf_status check_complete(const search *s) {
    int64_t number, of, wanted = 0;
    if (!shard_number(s->found[0], &number, &wanted)) wanted = -1;
    for (size_t i = 0; i < s->n_found; i++) {
        const bool numbered = shard_number(s->found[i], &number, &of);
        if (numbered != (wanted >= 0) || (numbered && of != wanted)) return ambiguous(s, s->found[0], s->found[i]);
        if (numbered && i > 0) {
            int64_t before;
            shard_number(s->found[i - 1], &before, &of);
            if (before == number) return ambiguous(s, s->found[i - 1], s->found[i]);
        }
    }
    if (wanted < 0 || (int64_t)s->n_found == wanted) return LF_OK;
    return lf_fail(s->err, LF_EDATA,
                   "%s: %s: found %zu shards of the split '%s', but '%s' is of %" PRId64 "; is the download complete?",
                   s->w->key, s->folder, s->n_found, s->w->split, s->found[0], wanted);
}

/* A file by the split's name, else its shards. */
static lf_status search_names(search *s) {
    lf_status rc = LF_OK;
    const char *alias;
    for (int a = 0; !s->n_found && (alias = lf_split_alias(s->w->split, a)); a++) look_for(s, alias, WHOLE);
    if (s->n_found > 1) return ambiguous(s, s->found[0], s->found[1]);
    if (s->n_found) return LF_OK;
    for (int a = 0; !s->n_found && (alias = lf_split_alias(s->w->split, a)); a++) look_for(s, alias, SHARD);
    if (!s->n_found) return LF_OK;
    if (!(rc = check_same_format(s))) rc = check_complete(s);
    return rc;
}

/* In a folder of the split itself every file of a known format is one of its shards. */
static lf_status search_all(search *s) {
    name_parts p;
    for (size_t i = 0; i < s->n; i++)
        if (take_apart(&p, s->names[i], s->w)) s->found[s->n_found++] = s->names[i];
    if (!s->n_found) return LF_OK;
    const lf_status rc = check_same_format(s);
    return rc ? rc : check_complete(s);
}

static bool of_some_split(const char *name, const lf_data_wanted *w) {
    const char *split;
    for (int i = 0; (split = lf_split_name(i)); i++)
        if (relation_to(split, name, w)) return true;
    return false;
}

/* Is it a split's, or a folder for one, or that in which files were found? */
static bool is_accounted_for(const search *s, const char *name) {
    bool same_split = false;
    for (int a = 0; lf_split_alias(s->w->split, a); a++)
        same_split = same_split || relation_to(lf_split_alias(s->w->split, a), name, s->w);
    return lf_split_known(name) || (s->used && !strcmp(s->used, name)) || (!same_split && of_some_split(name, s->w));
}

/* What is neither taken nor another split's; of this split too, where other files were taken for it. */
static lf_status note_others(lf_left_out *other, const search *s) {
    for (size_t i = 0; i < s->n; i++) {
        bool taken = s->names[i][0] == '.';
        for (size_t k = 0; k < s->n_found && !taken; k++) taken = s->found[k] == s->names[i];
        if (taken || is_accounted_for(s, s->names[i])) continue;
        char *path = lf_path_join(s->folder, s->names[i]);
        const bool ok =
            path && (lf_is_dir(path) ? lf_left_out_add(other, "folder") : lf_left_out_add_file(other, s->names[i]));
        lf_free(path);
        if (!ok) return lf_no_memory(s->err, "the files of %s", s->folder);
    }
    return LF_OK;
}

static lf_status take_found(lf_data_files *out, const search *s) {
    for (size_t i = 0; i < s->n_found; i++) {
        char *path = lf_path_join(s->folder, s->found[i]);
        const bool ok = path && lf_paths_add(&out->paths, path);
        lf_free(path);
        if (!ok) return lf_no_memory(s->err, "the files of %s", s->folder);
    }
    if (!s->n_found) return LF_OK;
    return note_others(&out->other, s);
}

/* Appends what `how` finds in a folder. */
static lf_status search_folder(lf_data_files *out, const char *folder, const lf_data_wanted *w,
                               lf_status (*how)(search *s), lf_err *err) {
    search s = {.w = w, .folder = folder, .err = err};
    lf_status rc = lf_list_dir(&s.names, &s.n, folder, err);
    if (!rc && !(s.found = lf_malloc((s.n + 1) * sizeof *s.found))) rc = lf_no_memory(err, "the files of %s", folder);
    if (!rc) rc = how(&s);
    if (!rc) rc = take_found(out, &s);
    lf_free(s.found);
    lf_free(s.names);
    return rc;
}

/* What lies beside the folder in which files were found. */
static lf_status note_beside(lf_data_files *out, const char *folder, const char *used, const lf_data_wanted *w,
                             lf_err *err) {
    search s = {.w = w, .folder = folder, .used = used, .err = err};
    lf_status rc = lf_list_dir(&s.names, &s.n, folder, err);
    if (!rc) rc = note_others(&out->other, &s);
    lf_free(s.names);
    return rc;
}

/* The same in a folder below, if it is there. */
static lf_status search_below(lf_data_files *out, const char *folder, const char *name, const lf_data_wanted *w,
                              lf_status (*how)(search *s), lf_err *err) {
    char *below = lf_path_join(folder, name);
    lf_status rc = LF_OK;
    if (!below)
        rc = lf_no_memory(err, "the files of %s", folder);
    else if (lf_is_dir(below))
        rc = search_folder(out, below, w, how, err);
    if (!rc && out->paths.n) rc = note_beside(out, folder, name, w, err);
    lf_free(below);
    return rc;
}

/* A folder of plain text is one by what lies directly in it, whatever its subfolders are called. */
static lf_status look_for_text(search *s) {
    for (size_t i = 0; i < s->n && !s->n_found; i++) {
        const char *dot = strrchr(s->names[i], '.');
        if (dot && dot != s->names[i] && !strcmp(dot, ".txt")) s->found[s->n_found++] = s->names[i];
    }
    return LF_OK;
}

static lf_status holds_text(bool *yes, const char *folder, const lf_data_wanted *w, lf_err *err) {
    lf_data_files text = {0};
    const lf_status rc = search_folder(&text, folder, w, look_for_text, err);
    *yes = text.paths.n > 0;
    lf_data_files_free(&text);
    return rc;
}

static bool has_name(const search *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->names[i], name)) return true;
    return false;
}

/* What `datasets` saves with save_to_disk is Arrow, in folders of its own. */
static lf_status refuse_saved_to_disk(search *s) {
    if (!has_name(s, "dataset_dict.json") && !(has_name(s, "state.json") && has_name(s, "dataset_info.json")))
        return LF_OK;
    return lf_fail(s->err, LF_EDATA,
                   "%s: %s: Arrow files, as save_to_disk of `datasets` writes them; write each split as Parquet: "
                   "load_from_disk(FOLDER)[SPLIT].to_parquet('train.parquet')",
                   s->w->key, s->folder);
}

static lf_status find_split(lf_data_files *out, const char *folder, const lf_data_wanted *w, lf_err *err) {
    bool plain = false;
    if (!(out->searched = lf_strdup(folder))) return lf_no_memory(err, "the files of %s", folder);
    lf_status rc = search_folder(out, folder, w, search_names, err);
    if (!rc && !out->paths.n) rc = search_folder(out, folder, w, refuse_saved_to_disk, err);
    if (!rc && !out->paths.n) rc = holds_text(&plain, folder, w, err);
    if (!rc && !out->paths.n && !plain) rc = search_below(out, folder, "data", w, search_names, err);
    const char *alias;
    for (int a = 0; !rc && !plain && !out->paths.n && (alias = lf_split_alias(w->split, a)); a++)
        rc = search_below(out, folder, alias, w, search_all, err);
    if (rc || out->paths.n) return rc;
    out->folder = true;
    return lf_paths_add(&out->paths, folder) ? LF_OK : lf_no_memory(err, "%s", folder);
}

/* ---- all of it -----------------------------------------------------------------------------------------------------
 */

/* A name with an extension is a file's that is not there, not a data set's. */
lf_status lf_data_no_such_path(const char *path, const char *key, lf_err *err) {
    char fetch[LF_HUB_HINT] = "", option[64];
    snprintf(option, sizeof option, "--%s", key);
    if (strstr(path, "://") || !strchr(lf_path_base(path), '.')) lf_hub_hint(fetch, path, LF_HUB_DATASET, option);
    return lf_fail(err, LF_ENOTFOUND, "%s: %s: no such file or folder%s", key, path, fetch);
}

static lf_status check_files(const lf_data_files *f, const char *key, lf_err *err) {
    for (int64_t i = 0; i < f->paths.n; i++) {
        if (lf_is_dir(f->paths.at[i]))
            return lf_fail(err, LF_EUSAGE, "%s: %s: a folder among several paths; expected files, as in '%s/*.jsonl'",
                           key, f->paths.at[i], f->paths.at[i]);
        if (!lf_is_file(f->paths.at[i])) return lf_data_no_such_path(f->paths.at[i], key, err);
    }
    return LF_OK;
}

lf_status lf_data_files_find(lf_data_files *out, const cJSON *path, const lf_data_wanted *w, lf_err *err) {
    *out = (lf_data_files){0};
    const cJSON *only = cJSON_IsArray(path) && cJSON_GetArraySize(path) == 1 ? path->child : path;
    lf_status rc;
    if (cJSON_IsString(only) && lf_is_dir(only->valuestring))
        rc = find_split(out, only->valuestring, w, err);
    else if (!(rc = lf_paths_expand(&out->paths, path, w->key, err)))
        rc = check_files(out, w->key, err);
    if (rc) lf_data_files_free(out);
    return rc;
}

void lf_data_files_free(lf_data_files *f) {
    lf_paths_free(&f->paths);
    lf_left_out_free(&f->other);
    lf_free(f->searched);
    *f = (lf_data_files){0};
}

bool lf_data_files_has_split(const char *folder, const char *split, bool (*ours)(const char *name)) {
    const cJSON path = {.type = cJSON_String, .valuestring = (char *)folder};
    const lf_data_wanted w = {.key = "", .split = split, .ours = ours};
    lf_data_files files;
    if (!lf_is_dir(folder)) return false;
    if (lf_data_files_find(&files, &path, &w, NULL)) return true;
    const bool yes = !files.folder;
    lf_data_files_free(&files);
    return yes;
}

static void warn_of_twins(const lf_paths *p) {
    for (int64_t i = 1; i < p->n; i++)
        for (int64_t k = 0; k < i; k++)
            if (!strcmp(p->at[i], p->at[k])) {
                lf_warn("%s is in the list twice, so all that it holds is there twice", p->at[i]);
                return;
            }
}

void lf_data_files_warn(const lf_data_files *f) {
    static char said[512];
    char kinds[256], text[512];
    warn_of_twins(&f->paths);
    if (!f->other.total) return;
    snprintf(text, sizeof text, "%.200s: beside the files of the splits there are %s, which are not read", f->searched,
             lf_left_out_text(&f->other, kinds, sizeof kinds));
    if (!strcmp(said, text)) return;
    snprintf(said, sizeof said, "%s", text);
    lf_warn("%s", text);
}

void lf_data_files_warn_of_no_rows(const char *first, int64_t n) {
    if (n == 1) lf_warn("%s has no rows; the other files are read", first);
    if (n > 1) lf_warn("%" PRId64 " files have no rows, %s among them; the others are read", n, first);
}

const char *lf_data_files_text(const lf_paths *paths, char *buf, size_t size) {
    if (paths->n > 1)
        snprintf(buf, size, "%s and %" PRId64 " more file%s", paths->at[0], paths->n - 1, paths->n > 2 ? "s" : "");
    else
        snprintf(buf, size, "%s", paths->at[0]);
    return buf;
}

size_t lf_data_files_folder(const char *const *paths, int64_t n) {
    if (n == 0) return 0;
    const char *first = paths[0];
    size_t size = (size_t)(lf_path_base(first) - first);
    for (int64_t i = 1; i < n; i++)
        while (size > 0 && (strncmp(first, paths[i], size) != 0 || first[size - 1] != '/')) size--;
    return size;
}

bool lf_data_files_root(char **out, const lf_paths *paths) {
    *out = lf_copy_text(paths->at[0], lf_data_files_folder((const char *const *)paths->at, paths->n));
    return *out;
}
