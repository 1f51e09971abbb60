#define _GNU_SOURCE
#include "sweep/claims.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/string.h"

static const double TOUCH_SECONDS = 30, STALE_SECONDS = 600;
enum { MOST_BYTES = 4096 };

/* ---- files ---- */

/* All of it, and on the disk. */
static bool put_line(int fd, const char *line) {
    const size_t n = strlen(line);
    return write(fd, line, n) == (ssize_t)n && fsync(fd) == 0;
}

/* A new file, by the one name that nobody else has. */
static lf_status make_alone(const char *path, const char *line, lf_err *err) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return lf_fail_to(err, "create", path);
    const bool whole = put_line(fd, line);
    const lf_status rc = whole ? LF_OK : lf_fail_to(err, "write", path);
    if (close(fd) == 0 && whole) return LF_OK;
    unlink(path);
    return rc ? rc : lf_fail_to(err, "write", path);
}

/* A link that was made may be answered by "it is there", where the first answer was lost on the way. */
static bool has_second_name(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && st.st_nlink == 2;
}

static bool lacks_links(int number) {
    return number == EPERM || number == EOPNOTSUPP || number == ENOSYS || number == EMLINK;
}

/* Makes `path` unless it is there. Under its name it is whole, and its time is that of its making: an exclusive file of
 * NFS 3 shows neither at first, so that one is only for file systems without links. */
static lf_status make_once(bool *made, lf_claims *c, const char *path, const char *line, lf_err *err) {
    char *aside = lf_format("%s/.%s-%u", c->dir, c->id, c->made++);
    lf_status rc = aside ? make_alone(aside, line, err) : lf_no_memory(err, "%s", path);
    *made = false;
    if (!rc) {
        *made = link(aside, path) == 0 || (errno == EEXIST && has_second_name(aside));
        const int number = *made ? 0 : errno;
        unlink(aside);
        if (lacks_links(number)) {
            *made = !make_alone(path, line, NULL);
            if (!*made && errno != EEXIST) rc = lf_fail_to(err, "create", path);
        } else if (!*made && number != EEXIST) {
            errno = number;
            rc = lf_fail_to(err, "create", path);
        }
    }
    lf_free(aside);
    return rc;
}

/* ---- whose ---- */

static char *line_of(const lf_claims *c) {
    const lf_process *p = &c->me;
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "id", c->id);
    lf_obj_string(&o, "host", p->host);
    lf_obj_number(&o, "process", (double)p->number);
    lf_obj_string(&o, "machine", p->machine);
    lf_obj_number(&o, "since", (double)p->since);
    cJSON *json = lf_obj_take(&o);
    char *text = json ? lf_json_print_line(json) : NULL, *line = text ? lf_format("%s\n", text) : NULL;
    lf_free(text);
    cJSON_Delete(json);
    return line;
}

static void copy_string(char *to, size_t size, const cJSON *o, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    if (text) snprintf(to, size, "%s", text);
}

static int64_t whole_number(const cJSON *o, const char *key) {
    int64_t n;
    return lf_json_exact_i64(cJSON_GetObjectItemCaseSensitive(o, key), &n) ? n : 0;
}

/* What a file says, and when it was touched. A line that is no JSON says nothing: who looks in a moment too early sees
 * a claim that is held. */
typedef struct seen {
    lf_process by;
    char id[64], ended[16];
    double touched;
} seen;

static void read_lines(seen *s, char *text) {
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        cJSON *o = NULL;
        if (lf_json_parse(&o, line, (size_t)(end - line), "a claim", NULL)) continue;
        copy_string(s->ended, sizeof s->ended, o, "ended");
        if (line == text) {
            copy_string(s->id, sizeof s->id, o, "id");
            copy_string(s->by.host, sizeof s->by.host, o, "host");
            copy_string(s->by.machine, sizeof s->by.machine, o, "machine");
            s->by.number = whole_number(o, "process");
            s->by.since = whole_number(o, "since");
        }
        cJSON_Delete(o);
    }
}

static double seconds_of(const struct stat *st) {
    return (double)st->st_mtim.tv_sec + 1e-9 * (double)st->st_mtim.tv_nsec;
}

/* Opened, because that is when a client of NFS asks the server how a file is now. */
static lf_status look(bool *is_there, seen *s, const char *path, lf_err *err) {
    char text[MOST_BYTES];
    struct stat st;
    const int fd = lf_open_to_read(path);
    *s = (seen){0};
    *is_there = fd >= 0;
    if (fd < 0) return errno == ENOENT ? LF_OK : lf_fail_to(err, "read", path);
    const ssize_t n = fstat(fd, &st) ? -1 : read(fd, text, sizeof text - 1);
    const lf_status rc = n < 0 ? lf_fail_to(err, "read", path) : LF_OK;
    close(fd);
    if (rc) return rc;
    text[n] = 0;
    s->touched = seconds_of(&st);
    read_lines(s, text);
    return LF_OK;
}

/* Now, as the file server has it, whose clock the others' files go by. */
static lf_status ask_time(double *now, const lf_claims *c, lf_err *err) {
    enum { TRIES = 3 };
    struct stat st;
    for (int i = 0; utimensat(AT_FDCWD, c->clock, NULL, 0) || stat(c->clock, &st); i++) {
        if (errno != ENOENT || i == TRIES) return lf_fail_to(err, "touch", c->clock);
        (void)make_alone(c->clock, c->line, NULL); /* this process was silent for long, and its clock taken away */
    }
    *now = seconds_of(&st);
    return LF_OK;
}

/* Of one that has not ended. */
static lf_status is_held(bool *held, double *silent, const seen *s, const lf_claims *c, lf_err *err) {
    double now = 0;
    *held = false;
    *silent = 0;
    if (lf_process_is_gone(&s->by)) return LF_OK;
    const lf_status rc = ask_time(&now, c, err);
    *silent = now - s->touched;
    *held = *silent < STALE_SECONDS;
    return rc;
}

/* ---- a claim ---- */

static char *path_of(const lf_claims *c, const char *name, int64_t number) {
    return lf_format("%s/%s.%lld", c->dir, name, (long long)number);
}

/* The last file of a name, if there is one, and the number behind it. */
static lf_status find_last(int64_t *next, seen *last, const lf_claims *c, const char *name, lf_err *err) {
    bool is_there = true;
    lf_status rc = LF_OK;
    for (*next = 1; !rc; ++*next) {
        seen s;
        char *path = path_of(c, name, *next);
        rc = path ? look(&is_there, &s, path, err) : lf_no_memory(err, "a claim");
        lf_free(path);
        if (rc || !is_there) break;
        *last = s;
    }
    return rc;
}

static lf_status judge(lf_claimed *found, const seen *last, const lf_claims *c, lf_err *err) {
    found->by = last->by;
    if (!last->ended[0]) {
        const lf_status rc = is_held(&found->held, &found->silent, last, c, err);
        found->lost = !rc && !found->held;
        return rc;
    }
    if (strcmp(last->ended, LF_CLAIM_FREE) != 0) memcpy(found->ended, last->ended, sizeof found->ended);
    return LF_OK;
}

/* And the number that the next file has. */
static lf_status ask(lf_claimed *found, int64_t *next, lf_claims *c, const char *name, lf_err *err) {
    seen last = {0};
    *found = (lf_claimed){0};
    const lf_status rc = find_last(next, &last, c, name, err);
    return rc || *next == 1 ? rc : judge(found, &last, c, err);
}

lf_status lf_claim_ask(lf_claimed *found, lf_claims *c, const char *name, lf_err *err) {
    int64_t next;
    return ask(found, &next, c, name, err);
}

static lf_status make(lf_claim *out, lf_claims *c, const char *name, int64_t number, lf_err *err) {
    bool made = false;
    lf_claim claim = {
        .of = c, .path = path_of(c, name, number), .next = path_of(c, name, number + 1), .touched = lf_now()};
    const lf_status rc =
        claim.path && claim.next ? make_once(&made, c, claim.path, c->line, err) : lf_no_memory(err, "a claim");
    if (made)
        *out = claim;
    else {
        lf_free(claim.path);
        lf_free(claim.next);
    }
    return rc;
}

lf_status lf_claim_take(lf_claim *out, lf_claims *c, const char *name, lf_claimed *found, lf_err *err) {
    lf_status rc;
    *out = (lf_claim){0};
    do { /* again where another was faster */
        int64_t next;
        if ((rc = ask(found, &next, c, name, err)) || found->held || found->ended[0]) break;
        rc = make(out, c, name, next, err);
    } while (!rc && !out->path);
    return rc;
}

/* While the file is there, and is no other's, since all may have been cleared and begun anew. What cannot be read is
 * for others to judge. */
static bool is_ours(const lf_claim *c) {
    bool is_there, is_next = false;
    seen s;
    const bool read = look(&is_there, &s, c->path, NULL) == LF_OK;
    if (read && (!is_there || strcmp(s.id, c->of->id) != 0)) return false;
    return look(&is_next, &s, c->next, NULL) || !is_next;
}

bool lf_claim_keep(lf_claim *c) {
    if (lf_now() - c->touched < TOUCH_SECONDS) return true;
    c->touched = lf_now();
    const bool ours = is_ours(c);
    if (ours) (void)utimensat(AT_FDCWD, c->path, NULL, 0);
    return ours;
}

void lf_claim_end(lf_claim *c, const char *how) {
    char line[64];
    const int fd = c->path && is_ours(c) ? open(c->path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    snprintf(line, sizeof line, "{\"ended\": \"%s\"}\n", how);
    if (fd >= 0) {
        (void)put_line(fd, line);
        close(fd);
    }
    lf_free(c->path);
    lf_free(c->next);
    *c = (lf_claim){0};
}

/* ---- all of them ---- */

static void name_self(char *to, size_t size, const lf_process *me) {
    uint32_t random = 0; /* machines may have one name, and their processes one number */
    if (getrandom(&random, sizeof random, 0) != sizeof random) random = (uint32_t)me->since;
    snprintf(to, size, "%.40s-%lld-%08x", me->host, (long long)me->number, random);
    for (char *s = to; *s; s++)
        if (*s == '/') *s = '_';
}

lf_status lf_claims_open(lf_claims *c, const char *folder, lf_err *err) {
    *c = (lf_claims){.dir = lf_path_join(folder, "claims")};
    lf_process_self(&c->me);
    name_self(c->id, sizeof c->id, &c->me);
    c->line = line_of(c);
    c->clock = c->dir ? lf_format("%s/.clock-%s", c->dir, c->id) : NULL;
    lf_status rc = c->clock && c->line ? lf_mkdir_p(c->dir, err) : lf_no_memory(err, "claims");
    if (!rc) rc = make_alone(c->clock, c->line, err);
    if (rc) lf_claims_close(c);
    return rc;
}

void lf_claims_close(lf_claims *c) {
    if (c->clock) unlink(c->clock);
    lf_free(c->clock);
    lf_free(c->line);
    lf_free(c->dir);
    *c = (lf_claims){0};
}

/* NAME of "NAME.K"; its length, 0 for others. */
static size_t name_length(const char *file) {
    const char *dot = strrchr(file, '.');
    return dot && dot > file && dot[1] && !dot[1 + strspn(dot + 1, "0123456789")] ? (size_t)(dot - file) : 0;
}

lf_status lf_claims_held(int64_t *n, lf_process *first, lf_claims *c, const char *prefix, lf_err *err) {
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, c->dir, err);
    *n = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        seen s;
        bool is_there = false, held = false;
        double silent;
        if (!name_length(names[i]) || strncmp(names[i], prefix, strlen(prefix)) != 0) continue;
        char *path = lf_path_join(c->dir, names[i]);
        rc = path ? look(&is_there, &s, path, err) : lf_no_memory(err, "claims");
        if (!rc && is_there && !s.ended[0]) rc = is_held(&held, &silent, &s, c, err);
        if (held && !(*n)++) *first = s.by;
        lf_free(path);
    }
    lf_free(names);
    return rc;
}

lf_status lf_claims_clear(lf_claims *c, const char *prefix, lf_err *err) {
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, c->dir, err);
    for (size_t i = 0; i < count && !rc; i++)
        if (name_length(names[i]) && strncmp(names[i], prefix, strlen(prefix)) != 0)
            rc = lf_remove_in(c->dir, names[i], err);
    lf_free(names);
    return rc;
}

/* Of a process's own files, which no other one reads, the names begin with a dot. */
void lf_claims_tidy(const lf_claims *c) {
    char **names;
    size_t count;
    if (lf_list_dir(&names, &count, c->dir, NULL)) return;
    for (size_t i = 0; i < count; i++) {
        seen s;
        bool is_there = false, held = true;
        double silent;
        char *path = names[i][0] == '.' ? lf_path_join(c->dir, names[i]) : NULL;
        if (path && !look(&is_there, &s, path, NULL) && is_there && !is_held(&held, &silent, &s, c, NULL) && !held)
            unlink(path);
        lf_free(path);
    }
    lf_free(names);
}

lf_status lf_claims_is_recent(bool *is, const lf_claims *c, const char *path, double seconds, lf_err *err) {
    struct stat st;
    double now = 0;
    *is = false;
    if (stat(path, &st)) return errno == ENOENT ? LF_OK : lf_fail_to(err, "read", path);
    const lf_status rc = ask_time(&now, c, err);
    *is = !rc && seconds_of(&st) >= now - seconds;
    return rc;
}
