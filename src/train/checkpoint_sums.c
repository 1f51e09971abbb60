/* Whether a checkpoint is what was written. Its file `xxh128sums` has a line for each of the others, as `xxhsum -c`
 * reads them: 32 hex digits of XXH3-128, two blanks, the name. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/stored.h"
#include "train/checkpoint_internal.h"
#include "train/run.h"

static const char SUMS[] = "xxh128sums";
enum { HEX = 32 };

static lf_status hash_file(char hash[HEX + 1], const char *dir, const char *name, lf_err *err) {
    char *path = lf_path_join(dir, name);
    const lf_status rc = path ? lf_stored_hash_file(hash, path, err) : lf_no_memory(err, "%s", dir);
    lf_free(path);
    return rc;
}

/* ---- writing ---- */

/* A line for each file of dir/inner (NULL: of dir itself), and of the folders in it. */
static lf_status write_lines(FILE *f, const char *dir, const char *inner, lf_err *err) {
    char *folder = inner ? lf_path_join(dir, inner) : lf_strdup(dir), **names = NULL;
    size_t n = 0;
    lf_status rc = folder ? lf_list_dir(&names, &n, folder, err) : lf_no_memory(err, "%s", dir);
    for (size_t i = 0; i < n && !rc; i++) {
        char *name = inner ? lf_path_join(inner, names[i]) : lf_strdup(names[i]);
        char *path = name ? lf_path_join(dir, name) : NULL, hash[HEX + 1];
        if (!path)
            rc = lf_no_memory(err, "%s", dir);
        else if (lf_is_dir(path))
            rc = write_lines(f, dir, name, err);
        else if (strncmp(name, SUMS, sizeof SUMS - 1) != 0 && !(rc = hash_file(hash, dir, name, err)))
            fprintf(f, "%s  %s\n", hash, name);
        lf_free(path);
        lf_free(name);
    }
    lf_free(names);
    lf_free(folder);
    return rc;
}

lf_status lf_checkpoint_seal(const char *dir, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open_in(&a, dir, SUMS, err);
    if (!rc) {
        rc = write_lines(a.f, dir, NULL, err);
        if (rc)
            lf_atomic_abort(&a);
        else
            rc = lf_atomic_commit(&a, err);
    }
    return rc;
}

/* ---- reading ---- */

static const char ADVICE[] = "take an older checkpoint, or begin again with another output_dir";

/* Plain names below the folder. */
static bool is_name(const char *name) { return *name && *name != '/' && !strstr(name, ".."); }

static lf_status check_line(const char *dir, const char *line, lf_err *err) {
    char found[HEX + 1];
    const char *name = line + HEX + 2;
    if (strlen(line) < HEX + 3 || line[HEX] != ' ' || line[HEX + 1] != ' ' || !is_name(name))
        return lf_fail(err, LF_EDATA, "%s/%s: expected lines of a hash and a name, found '%.100s'; %s", dir, SUMS, line,
                       ADVICE);
    lf_err why = {0};
    const lf_status rc = hash_file(found, dir, name, &why);
    if (rc) return lf_fail(err, rc == LF_ENOMEM ? rc : LF_EDATA, "%s; %s", why.message, ADVICE);
    if (strncmp(found, line, HEX) == 0) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s/%s: is damaged: its hash was %.32s when it was written and is %s; %s", dir, name,
                   line, found, ADVICE);
}

/* Takes the lines apart; *needed counts those that name what every checkpoint has. */
static lf_status check_lines(const char *dir, char *text, size_t size, int *needed, lf_err *err) {
    lf_status rc = LF_OK;
    if (!size || text[size - 1] != '\n' || memchr(text, 0, size))
        return lf_fail(err, LF_EDATA, "%s/%s: is cut off or no text; %s", dir, SUMS, ADVICE);
    for (char *line = text, *end; !rc && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        const char *name = strlen(line) > HEX + 2 ? line + HEX + 2 : "";
        *needed += strcmp(name, LF_STATE_FILE) == 0 || strcmp(name, LF_STATE_JSON) == 0;
        rc = check_line(dir, line, err);
    }
    return rc;
}

lf_status lf_checkpoint_check_sums(const char *dir, lf_err *err) {
    char *path = lf_path_join(dir, SUMS), *text = NULL;
    size_t size = 0;
    int needed = 0;
    lf_status rc = LF_OK;
    if (!path)
        rc = lf_no_memory(err, "%s", dir);
    else if (!lf_is_file(path))
        rc = lf_fail(err, LF_EDATA,
                     "%s: not there; the checkpoint is not whole, or of an earlier version, which wrote no hashes: %s",
                     path, ADVICE);
    else if (!(rc = lf_file_read(&text, &size, path, err)) && !(rc = check_lines(dir, text, size, &needed, err)) &&
             needed != 2)
        rc = lf_fail(err, LF_EDATA, "%s: expected one line each of %s and %s; %s", path, LF_STATE_FILE, LF_STATE_JSON,
                     ADVICE);
    lf_free(text);
    lf_free(path);
    return rc;
}

int64_t lf_checkpoint_step(const char *name) {
    static const char prefix[] = "checkpoint-";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return -1;
    char *end, again[32];
    const long long step = strtoll(name + sizeof prefix - 1, &end, 10);
    snprintf(again, sizeof again, "%lld", step);
    return step < 0 || strcmp(again, name + sizeof prefix - 1) != 0 ? -1 : (int64_t)step;
}

bool lf_checkpoint_is_ours(const char *name, size_t n) {
    char plain[32];
    const char *dot = memchr(name, '.', n);
    const size_t length = dot ? (size_t)(dot - name) : n;
    if (length >= sizeof plain) return false;
    memcpy(plain, name, length);
    plain[length] = 0;
    const size_t left = n - length;
    const bool known =
        left == 0 || (left == 4 && memcmp(dot, ".tmp", 4) == 0) || (left > 5 && memcmp(dot, ".old-", 5) == 0);
    return known && lf_checkpoint_step(plain) >= 0;
}

lf_status lf_checkpoint_any(bool *any, const char *dir, lf_err *err) {
    char **names;
    size_t count;
    *any = false;
    const lf_status rc = lf_list_dir(&names, &count, dir, err);
    if (rc) return rc;
    for (size_t i = 0; i < count; i++) *any = *any || lf_checkpoint_step(names[i]) >= 0;
    lf_free(names);
    return LF_OK;
}
