#define _XOPEN_SOURCE 700
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"

/* ---- reading ---- */

static const size_t read_limit = (size_t)2 << 30;

/* Reads to the end of the file, whatever its size was said to be: a pipe has none, and files grow. */
static lf_status read_all(char **out, size_t *size, int fd, size_t expected, const char *path, lf_err *err) {
    size_t n = 0, capacity = expected + 1;
    char *s = lf_malloc(capacity);
    while (s) {
        if (n == capacity) {
            char *grown = lf_realloc(s, capacity *= 2);
            if (!grown) break;
            s = grown;
        }
        const ssize_t got = read(fd, s + n, capacity - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            const lf_status rc = lf_fail_errno(err, "read", path);
            lf_free(s);
            return rc;
        }
        if (got == 0) {
            s[n] = 0;
            *out = s;
            *size = n;
            return LF_OK;
        }
        n += (size_t)got;
        if (n > read_limit) {
            lf_free(s);
            return lf_fail(err, LF_EDATA, "%s: more than 2 GiB; is this the right file?", path);
        }
    }
    lf_free(s);
    return lf_no_memory(err, "the %zu bytes of %s", capacity, path);
}

int lf_open_to_read(const char *path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0) return fd; /* one that has a writer is waited for */
    const int why = errno;
    if (fd >= 0) close(fd);
    errno = why;
    return -1;
}

FILE *lf_fopen_to_read(const char *path) {
    const int fd = lf_open_to_read(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "rb");
    const int why = errno;
    if (fd >= 0 && !f) close(fd);
    errno = why;
    return f;
}

lf_status lf_file_read(char **out, size_t *size, const char *path, lf_err *err) {
    struct stat st;
    *out = NULL;
    *size = 0;
    const int fd = lf_open_to_read(path);
    if (fd < 0) return lf_fail_errno(err, "open", path);
    lf_status rc = LF_OK;
    if (fstat(fd, &st) != 0)
        rc = lf_fail_errno(err, "read", path);
    else if (S_ISDIR(st.st_mode))
        rc = lf_fail(err, LF_EDATA, "%s: is a folder, expected a file", path);
    else if (st.st_size > (off_t)read_limit)
        rc = lf_fail(err, LF_EDATA, "%s: %lld bytes; expected at most 2 GiB", path, (long long)st.st_size);
    else
        rc = read_all(out, size, fd, (size_t)st.st_size, path, err);
    if (!rc && S_ISFIFO(st.st_mode) && !*size) {
        lf_free(*out);
        *out = NULL;
        rc = lf_fail(err, LF_EDATA, "%s: a pipe that nobody writes into; expected a file, or a pipe with a writer",
                     path);
    }
    close(fd);
    return rc;
}

/* ---- whole or not at all ---- */

lf_status lf_fail_to(lf_err *err, const char *doing, const char *path) {
    return lf_fail(err, LF_EIO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

char *lf_name_beside(const char *path, const char *what) {
    static atomic_uint counter;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return lf_format("%.*s.%s-%ld-%u", (int)n, path, what, (long)getpid(), atomic_fetch_add(&counter, 1));
}

/* A rename is on the disk when its folder is. File systems that cannot sync a folder say so; that is no failure. */
static void sync_parent(const char *path) {
    const size_t folder = (size_t)(lf_path_base(path) - path);
    char *parent = folder ? lf_format("%.*s", (int)folder, path) : lf_strdup(".");
    const int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    lf_free(parent);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

static void forget(lf_atomic_file *a) {
    if (a->f) lf_stake_end();
    lf_free(a->path);
    lf_free(a->temporary);
    *a = (lf_atomic_file){0};
}

static bool take(lf_atomic_file *a, int fd) {
    if (fd < 0 || !(a->f = fdopen(fd, "wb"))) return false;
    lf_stake_begin(); /* until `forget` */
    return true;
}

/* Writes into what is there and is no file: a terminal, a pipe, a device. To rename over it would destroy it. */
static lf_status open_in_place(lf_atomic_file *a, lf_err *err) {
    const int fd = open(a->path, O_WRONLY | O_CLOEXEC);
    if (take(a, fd)) return LF_OK;
    const lf_status rc = lf_fail_to(err, "write to", a->path);
    if (fd >= 0) close(fd);
    forget(a);
    return rc;
}

static lf_status open_beside(lf_atomic_file *a, lf_err *err) {
    int fd = -1;
    do { /* a name may be left of a process that crashed */
        lf_free(a->temporary);
        a->temporary = lf_name_beside(a->path, "tmp");
        if (!a->temporary) {
            const lf_status rc = lf_no_memory(err, "%s", a->path);
            forget(a);
            return rc;
        }
        fd = open(a->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EEXIST);
    if (take(a, fd)) return LF_OK;
    const lf_status rc = lf_fail_to(err, "create", a->path);
    if (fd >= 0) {
        close(fd);
        unlink(a->temporary);
    }
    forget(a);
    return rc;
}

lf_status lf_atomic_open(lf_atomic_file *a, const char *path, lf_err *err) {
    struct stat st;
    char target[PATH_MAX]; /* a link stays, what it points to is replaced */
    const bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && realpath(path, target);
    *a = (lf_atomic_file){.path = lf_strdup(link ? target : path)};
    if (!a->path) return lf_no_memory(err, "%s", path);
    /* by the name that was given: behind /dev/stdout there may be a pipe, which has no path */
    const bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        const lf_status rc = lf_fail_to(err, "create", path);
        forget(a);
        return rc;
    }
    return there && !S_ISREG(st.st_mode) ? open_in_place(a, err) : open_beside(a, err);
}

void lf_atomic_abort(lf_atomic_file *a) {
    if (!a->f) return;
    fclose(a->f);
    if (a->temporary) unlink(a->temporary);
    forget(a);
}

lf_status lf_atomic_replace(lf_atomic_file *a, const char *path, lf_err *err) {
    *a = (lf_atomic_file){.path = lf_strdup(path)};
    if (!a->path) return lf_no_memory(err, "%s", path);
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return open_beside(a, err);
    errno = EISDIR;
    const lf_status rc = lf_fail_to(err, "create", a->path);
    forget(a);
    return rc;
}

lf_status lf_atomic_open_in(lf_atomic_file *a, const char *dir, const char *name, lf_err *err) {
    *a = (lf_atomic_file){0};
    char *path = lf_path_join(dir, name);
    const lf_status rc = path ? lf_atomic_replace(a, path, err) : lf_no_memory(err, "%s", dir);
    lf_free(path);
    return rc;
}

lf_status lf_atomic_put(lf_atomic_file *a, const void *data, size_t size, lf_err *err) {
    return size == 0 || fwrite(data, 1, size, a->f) == size ? LF_OK : lf_fail_to(err, "write", a->path);
}

lf_status lf_atomic_commit(lf_atomic_file *a, lf_err *err) {
    errno = 0;
    const bool failed_before = ferror(a->f) != 0;
    if (fflush(a->f) != 0 || failed_before || (a->temporary && fsync(fileno(a->f)) != 0)) {
        if (errno == 0) errno = EIO; /* the write that failed was earlier, and its errno is gone */
        const lf_status rc = lf_fail_to(err, "write", a->path);
        lf_atomic_abort(a);
        return rc;
    }
    lf_status rc = LF_OK;
    if (fclose(a->f) != 0)
        rc = lf_fail_to(err, "write", a->path);
    else if (a->temporary && rename(a->temporary, a->path) != 0)
        rc = lf_fail_to(err, "replace", a->path);
    if (a->temporary) {
        if (rc == LF_OK)
            sync_parent(a->path);
        else
            unlink(a->temporary);
    }
    forget(a);
    return rc;
}

lf_status lf_file_write(const char *path, const void *data, size_t size, lf_err *err) {
    lf_atomic_file a;
    lf_status rc = lf_atomic_open(&a, path, err);
    if (rc) return rc;
    if (!(rc = lf_atomic_put(&a, data, size, err))) return lf_atomic_commit(&a, err);
    lf_atomic_abort(&a);
    return rc;
}

/* ---- folders ---- */

static lf_status make_dir(const char *path, lf_err *err) {
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && lf_is_dir(path))) return LF_OK;
    return lf_fail_to(err, "make folder", path);
}

lf_status lf_mkdir_p(const char *path, lf_err *err) {
    if (lf_is_dir(path)) return LF_OK;
    char *part = lf_strdup(path);
    if (!part) return lf_no_memory(err, "%s", path);
    lf_status rc = LF_OK;
    for (char *s = part + 1; part[0] && *s && rc == LF_OK; s++) {
        if (*s != '/' || s[-1] == '/') continue;
        *s = 0;
        rc = make_dir(part, err);
        *s = '/';
    }
    if (rc == LF_OK) rc = make_dir(path, err);
    lf_free(part);
    return rc;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st, (void)type, (void)where;
    return remove(path);
}

lf_status lf_remove_tree(const char *path, lf_err *err) {
    /* FTW_PHYS: a link is removed, what it points to is not */
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) return LF_OK;
    return lf_fail_errno(err, "remove", path);
}

lf_status lf_remove_in(const char *dir, const char *name, lf_err *err) {
    char *path = lf_path_join(dir, name);
    const lf_status rc = path ? lf_remove_tree(path, err) : lf_no_memory(err, "%s", dir);
    lf_free(path);
    return rc;
}

lf_status lf_replace_dir(const char *temporary, const char *path, lf_err *err) {
    if (rename(temporary, path) == 0) { /* there was none, or an empty one */
        sync_parent(path);
        return LF_OK;
    }
    if (errno != ENOTEMPTY && errno != EEXIST) return lf_fail_errno(err, "replace", path);
    char *aside = lf_name_beside(path, "old");
    if (!aside) return lf_no_memory(err, "%s", path);
    lf_status rc = LF_OK;
    if (rename(path, aside) != 0) {
        rc = lf_fail_errno(err, "move aside", path);
    } else if (rename(temporary, path) != 0) {
        rc = lf_fail_errno(err, "replace", path);
        (void)rename(aside, path);
    } else {
        sync_parent(path);
        rc = lf_remove_tree(aside, err);
    }
    lf_free(aside);
    return rc;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The names one after the other, each with its NUL. */
static lf_status read_names(lf_string *names, size_t *count, DIR *dir, const char *path, lf_err *err) {
    *count = 0;
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (!e) return errno ? lf_fail_errno(err, "list", path) : LF_OK;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (!lf_string_put(names, e->d_name, strlen(e->d_name) + 1))
            return lf_no_memory(err, "the list of files of %s", path);
        ++*count;
    }
}

lf_status lf_list_dir(char ***out, size_t *count, const char *path, lf_err *err) {
    lf_string names = {0};
    size_t n = 0;
    *out = NULL;
    *count = 0;
    DIR *dir = opendir(path);
    if (!dir) return lf_fail_errno(err, "list", path);
    lf_status rc = read_names(&names, &n, dir, path, err);
    closedir(dir);
    char **list = rc ? NULL : lf_malloc((n + 1) * sizeof *list + names.n);
    if (!rc && !list) rc = lf_no_memory(err, "the list of files of %s", path);
    if (rc) goto out;
    char *copy = (char *)(list + n + 1);
    if (names.n > 0) memcpy(copy, names.s, names.n);
    for (size_t i = 0; i < n; i++, copy += strlen(copy) + 1) list[i] = copy;
    list[n] = NULL;
    qsort(list, n, sizeof *list, by_bytes);
    *out = list;
    *count = n;
out:
    lf_string_free(&names);
    return rc;
}

lf_status lf_file_begins(void *out, size_t room, size_t *n, const char *path, lf_err *err) {
    *n = 0;
    FILE *f = lf_fopen_to_read(path);
    if (!f) return lf_fail_errno(err, "open", path);
    *n = fread(out, 1, room, f);
    const lf_status rc = ferror(f) ? lf_fail_errno(err, "read", path) : LF_OK;
    fclose(f);
    return rc;
}

/* ---- names ---- */

bool lf_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

bool lf_is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

lf_status lf_look_for_dir(bool *is, const char *path, lf_err *err) {
    struct stat st;
    *is = stat(path, &st) == 0;
    if (*is)
        *is = S_ISDIR(st.st_mode);
    else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        return lf_fail(err, LF_EIO, "%s: cannot look at it: %s", path, strerror(errno));
    return LF_OK;
}

bool lf_is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

const char *lf_temporary_folder(void) {
    const char *named = getenv("TMPDIR");
    return named && *named ? named : "/tmp";
}

char *lf_path_join(const char *a, const char *b) {
    const size_t n = strlen(a);
    return lf_format("%s%s%s", a, n == 0 || a[n - 1] == '/' ? "" : "/", b);
}

const char *lf_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool lf_is_file_in(const char *dir, const char *name) {
    char *path = lf_path_join(dir, name);
    const bool is = path && lf_is_file(path);
    lf_free(path);
    return is;
}

lf_status lf_copy_file(const char *from, const char *dir, const char *name, lf_err *err) {
    char *to = lf_path_join(dir, name), *text = NULL;
    size_t size;
    lf_status rc = to ? lf_file_read(&text, &size, from, err) : lf_no_memory(err, "%s", dir);
    if (!rc) rc = lf_file_write(to, text, size, err);
    lf_free(text);
    lf_free(to);
    return rc;
}

lf_status lf_copy_if_there(const char *from_dir, const char *to_dir, const char *name, lf_err *err) {
    char *from = lf_path_join(from_dir, name);
    const lf_status rc = !from              ? lf_no_memory(err, "%s", to_dir)
                         : lf_is_file(from) ? lf_copy_file(from, to_dir, name, err)
                                            : LF_OK;
    lf_free(from);
    return rc;
}

static int64_t size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

int64_t lf_file_size(const char *path) {
    char **names;
    size_t count;
    if (!lf_is_dir(path)) return size_of(path);
    if (lf_list_dir(&names, &count, path, NULL)) return -1;
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        char *file = lf_path_join(path, names[i]);
        const int64_t size = file ? size_of(file) : -1;
        if (size > 0) sum += size;
        lf_free(file);
    }
    lf_free(names);
    return sum;
}
