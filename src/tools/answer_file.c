#define _GNU_SOURCE
#include "tools/answer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- taking the file ---- */

/* Held until the file is closed, by whatever end of the process. */
static lf_status take_lock(lf_answer_file *a, lf_err *err) {
    a->locked = flock(fileno(a->f), LOCK_EX | LOCK_NB) == 0;
    if (a->locked) return LF_OK;
    if (errno != EWOULDBLOCK) return lf_fail_errno(err, "lock", a->path);
    return lf_fail(err, LF_EUSAGE, "%s: another process is writing it; wait for that one, or name another output_file",
                   a->path);
}

static lf_status check_made(const lf_answer_file *a, lf_err *err) {
    if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(a->was, "made_of"))) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: expected an object with an object 'made_of'; remove it and %s", a->made_path,
                   a->path);
}

/* It stands beside the name that was given, whatever that is a link to. */
static lf_status read_made(lf_answer_file *a, lf_err *err) {
    if (lf_is_file(a->made_path)) {
        const lf_status rc = lf_json_read(&a->was, a->made_path, err);
        return rc ? rc : check_made(a, err);
    }
    return lf_fail(
        err, LF_EUSAGE,
        "%s: is not empty, and no %s beside it says what made it; expected a new file, or one to go on with; "
        "name another output_file, or remove this one",
        a->path, lf_path_base(a->made_path));
}

lf_status lf_answer_file_open(lf_answer_file *a, const char *path, lf_err *err) {
    struct stat s;
    *a = (lf_answer_file){.path = path, .made_path = lf_format("%s.made.json", path)};
    if (!a->made_path) return lf_no_memory(err, "%s", path);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || !(a->f = fdopen(fd, "r+"))) {
        const lf_status rc = lf_fail_to(err, "write", path);
        if (fd >= 0) close(fd);
        return rc;
    }
    if (fstat(fd, &s)) return lf_fail_errno(err, "look at", path);
    a->regular = S_ISREG(s.st_mode);
    if (!a->regular) return LF_OK;
    const lf_status rc = take_lock(a, err);
    return rc || s.st_size == 0 ? rc : read_made(a, err);
}

/* ---- what is there ---- */

static lf_status compare(const lf_answer_file *a, const cJSON *made, lf_err *err) {
    const cJSON *now = cJSON_GetObjectItemCaseSensitive(made, "made_of"),
                *was = cJSON_GetObjectItemCaseSensitive(a->was, "made_of"), *item;
    cJSON_ArrayForEach(item, now) {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(was, item->string);
        bool same;
        if (!lf_json_same(&same, old, item)) return lf_no_memory(err, "%s", a->made_path);
        if (same) continue;
        char *x = old ? lf_json_print_line(old) : lf_strdup("null"), *y = lf_json_print_line(item);
        const lf_status rc =
            x && y ? lf_fail(err, LF_EUSAGE,
                             "%s: its answers were made with '%s' %.200s, now it is %.200s; name another output_file, "
                             "or remove this one",
                             a->path, item->string, x, y)
                   : lf_no_memory(err, "%s", a->made_path);
        lf_free(x);
        lf_free(y);
        return rc;
    }
    cJSON_ArrayForEach(item, was) if (!cJSON_GetObjectItemCaseSensitive(now, item->string)) return lf_fail(
        err, LF_EUSAGE,
        "%s: its answers were made with '%s', which is not set now; name another output_file, or remove "
        "this one",
        a->path, item->string);
    return LF_OK;
}

/* Line i, n bytes at s with their end. */
static lf_status check_line(const lf_answer_file *a, int64_t i, const char *s, size_t n, int64_t index, lf_err *err) {
    cJSON *o = NULL;
    int64_t found = -1;
    lf_err why = {0};
    lf_status rc = lf_json_parse(&o, s, n, a->path, &why);
    if (!rc) rc = lf_json_get_i64(o, "index", -1, &found, a->path, &why);
    const char *const told[] = {"text", "finish_reason"};
    for (size_t k = 0; !rc && k < sizeof told / sizeof *told; k++)
        if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(o, told[k]))) found = -1;
    cJSON_Delete(o);
    if (rc == LF_ENOMEM) return lf_fail(err, rc, "%s", why.message);
    if (!rc && found == index) return LF_OK;
    return lf_fail(
        err, LF_EDATA,
        "%s: line %lld is not the answer with the index %lld that belongs there; was it edited? name another "
        "output_file, or remove this one",
        a->path, (long long)i + 1, (long long)index);
}

/* Counts whole lines; what stands behind the last of them is cut off. */
static lf_status go_behind_lines(lf_answer_file *a, int64_t n, int64_t (*index_of)(const void *context, int64_t i),
                                 const void *context, lf_err *err) {
    char *line = NULL;
    size_t room = 0;
    off_t end = 0;
    lf_status rc = LF_OK;
    for (ssize_t got; !rc && (got = getline(&line, &room, a->f)) > 0 && line[got - 1] == '\n';) {
        if (a->before == n)
            rc =
                lf_fail(err, LF_EDATA, "%s: has more than the %lld answers that belong there; name another output_file",
                        a->path, (long long)n);
        else
            rc = check_line(a, a->before, line, (size_t)got, index_of(context, a->before), err);
        end += got;
        a->before += !rc;
    }
    free(line); /* getline's, not ours */
    if (!rc && ferror(a->f)) rc = lf_fail_errno(err, "read", a->path);
    if (!rc && (ftruncate(fileno(a->f), end) || fseeko(a->f, end, SEEK_SET))) rc = lf_fail_to(err, "write", a->path);
    return rc;
}

lf_status lf_answer_file_begin(lf_answer_file *a, const cJSON *made, int64_t n,
                               int64_t (*index_of)(const void *context, int64_t i), const void *context, lf_err *err) {
    if (!a->regular) return LF_OK;
    if (!a->was) return lf_json_write(a->made_path, made, true, err);
    const lf_status rc = compare(a, made, err);
    return rc ? rc : go_behind_lines(a, n, index_of, context, err);
}

lf_status lf_answer_file_add(lf_answer_file *a, cJSON *line, lf_err *err) {
    const lf_status rc = lf_json_write_line(a->f, line, err);
    if (rc) return rc;
    return fflush(a->f) || (a->regular && fdatasync(fileno(a->f))) ? lf_fail_to(err, "write", a->path) : LF_OK;
}

/* Was it made for nothing? */
static bool is_empty(const lf_answer_file *a) {
    struct stat s;
    return a->locked && fstat(fileno(a->f), &s) == 0 && s.st_size == 0;
}

void lf_answer_file_close(lf_answer_file *a) {
    if (a->f && is_empty(a)) (void)unlink(a->path);
    if (a->f) fclose(a->f);
    cJSON_Delete(a->was);
    lf_free(a->made_path);
    *a = (lf_answer_file){0};
}
