#define _POSIX_C_SOURCE 200809L /* st_mtim */
#include "data/fingerprint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

const lf_fingerprint_limits lf_fingerprint_usual = {
    .whole = LF_FINGERPRINT_WHOLE, .blocks = LF_FINGERPRINT_BLOCKS, .block = LF_FINGERPRINT_BLOCK, .settled = 2};

enum { CHUNK = 1 << 20 }; /* bytes read at once */

typedef struct file {
    const char *path, *name; /* name: below the root */
    bool readable;
    struct stat st; /* of a readable one */
} file;

typedef struct taking {
    const char *root;
    file *files; /* in the order of their names */
    int64_t n;
    bool skip_unreadable;
    const lf_fingerprint_limits *limits;
    unsigned char *chunk;
    XXH3_state_t *bytes; /* of the file, or of the blocks, that are being read */
    lf_fingerprint *out;
    lf_err *err;
} taking;

/* ---- looking --------------------------------------------------------------------------------------------------------
 */

static const char *name_below(const char *path, const char *root) {
    const size_t n = strlen(root);
    if (strncmp(path, root, n) || (path[n] != '/' && !(n && root[n - 1] == '/'))) return lf_path_base(path);
    path += n;
    while (*path == '/') path++;
    return path;
}

static lf_status look_at(taking *t, file *f) {
    f->readable = stat(f->path, &f->st) == 0 && S_ISREG(f->st.st_mode) && access(f->path, R_OK) == 0;
    if (f->readable) {
        t->out->bytes += (uint64_t)f->st.st_size;
        return LF_OK;
    }
    f->st = (struct stat){0};
    t->out->unreadable++;
    if (t->skip_unreadable) return LF_OK;
    if (stat(f->path, &f->st) == 0 && !S_ISREG(f->st.st_mode))
        return lf_fail(t->err, LF_EDATA, "%s: expected a file; a folder, pipe or device has no fingerprint", f->path);
    const int fd = lf_open_to_read(f->path); /* for its errno */
    if (fd < 0) return lf_fail_errno(t->err, "open", f->path);
    close(fd);
    return lf_fail(t->err, LF_EDATA, "%s: changed while it is read", f->path);
}

static int by_name(const void *a, const void *b) {
    const file *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->path, y->path);
}

static lf_status look(taking *t, const char *const *paths) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < t->n && !rc; i++) {
        t->files[i].path = paths[i];
        t->files[i].name = name_below(paths[i], t->root);
        rc = look_at(t, &t->files[i]);
    }
    if (!rc && t->n) qsort(t->files, (size_t)t->n, sizeof *t->files, by_name);
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------------------------------
 */

static bool same_state(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static lf_status changed(const taking *t, const file *f) {
    return lf_fail(t->err, LF_EDATA,
                   "%s: changed while it is read; expected %lld bytes, last changed at %lld; wait until it is written, "
                   "then try again",
                   f->path, (long long)f->st.st_size, (long long)f->st.st_mtim.tv_sec);
}

/* LF_EDATA if the file is not the one that was looked at. */
static lf_status check_unchanged(const taking *t, const file *f, int fd) {
    struct stat now;
    if (fstat(fd, &now)) return lf_fail_errno(t->err, "read", f->path);
    return same_state(&now, &f->st) ? LF_OK : changed(t, f);
}

static lf_status open_file(const taking *t, const file *f, int *fd) {
    *fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe that took its place would make us wait */
    if (*fd < 0) return lf_fail_errno(t->err, "open", f->path);
    return check_unchanged(t, f, *fd);
}

/* Hashes bytes [begin, begin + n), which must all be there. */
static lf_status read_part(taking *t, const file *f, int fd, uint64_t begin, uint64_t n) {
    while (n > 0) {
        const ssize_t got = pread(fd, t->chunk, n < CHUNK ? (size_t)n : CHUNK, (off_t)begin);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return lf_fail_errno(t->err, "read", f->path);
        if (got == 0) return changed(t, f);
        XXH3_128bits_update(t->bytes, t->chunk, (size_t)got);
        begin += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return LF_OK;
}

/* Of the whole file: also that nothing follows, for what grows need not change its size at once, or says none. */
static lf_status read_whole(taking *t, const file *f) {
    int fd;
    XXH3_128bits_reset(t->bytes);
    lf_status rc = open_file(t, f, &fd);
    if (!rc) rc = read_part(t, f, fd, 0, (uint64_t)f->st.st_size);
    if (!rc && pread(fd, t->chunk, 1, f->st.st_size) != 0) rc = changed(t, f);
    if (!rc) rc = check_unchanged(t, f, fd);
    if (fd >= 0) close(fd);
    return rc;
}

/* ---- the list -------------------------------------------------------------------------------------------------------
 */

static void put_number(XXH3_state_t *h, uint64_t v) {
    unsigned char b[8]; /* little endian on every machine */
    for (int i = 0; i < 8; i++) b[i] = (unsigned char)(v >> 8 * i);
    XXH3_128bits_update(h, b, sizeof b);
}

static void put_hash(XXH3_state_t *h, XXH128_hash_t hash) {
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, hash);
    XXH3_128bits_update(h, c.digest, sizeof c.digest);
}

/* The NUL keeps names apart, and no size is that of a file that cannot be read. */
static void put_file(XXH3_state_t *h, const file *f) {
    XXH3_128bits_update(h, f->name, strlen(f->name) + 1);
    put_number(h, f->readable ? (uint64_t)f->st.st_size : UINT64_MAX);
}

static lf_status put_whole(taking *t, XXH3_state_t *list) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < t->n && !rc; i++) {
        put_file(list, &t->files[i]);
        if (!t->files[i].readable || (rc = read_whole(t, &t->files[i]))) continue;
        put_hash(list, XXH3_128bits_digest(t->bytes));
    }
    return rc;
}

/* ---- sampling -------------------------------------------------------------------------------------------------------
 */

/* The files one after the other are one line of bytes; each of as many equal parts of it as there are blocks has one
 * block, somewhere in it. */
static uint64_t block_begin(const lf_fingerprint_limits *l, uint64_t total, uint64_t i) {
    static const uint64_t fixed_key = 0x6c6f72612d6674; /* "lora-ft" */
    const uint64_t part = total / l->blocks;
    return part * i + lf_rng_below(lf_rng_make(fixed_key, LF_RNG_SPLIT, 0), i, part - l->block + 1);
}

/* What of block [begin, end) lies in file f, whose bytes are [at, at + size). */
static lf_status read_overlap(taking *t, const file *f, int fd, uint64_t at, uint64_t begin, uint64_t end) {
    const uint64_t file_end = at + (uint64_t)f->st.st_size;
    if (begin < at) begin = at;
    if (end > file_end) end = file_end;
    return begin < end ? read_part(t, f, fd, begin - at, end - begin) : LF_OK;
}

/* The blocks from *next on that touch file f; *next is then the first that reaches beyond its end. */
static lf_status read_blocks(taking *t, const file *f, uint64_t at, uint64_t *next) {
    const lf_fingerprint_limits *l = t->limits;
    const uint64_t total = t->out->bytes, end = at + (uint64_t)f->st.st_size;
    if (*next == l->blocks || block_begin(l, total, *next) >= end) return LF_OK;
    int fd;
    lf_status rc = open_file(t, f, &fd);
    while (!rc && *next < l->blocks) {
        const uint64_t begin = block_begin(l, total, *next);
        if (begin >= end || (rc = read_overlap(t, f, fd, at, begin, begin + l->block))) break;
        if (begin + l->block > end) break; /* the rest is in the next file */
        ++*next;
    }
    if (!rc) rc = check_unchanged(t, f, fd);
    if (fd >= 0) close(fd);
    return rc;
}

static lf_status put_sampled(taking *t, XXH3_state_t *list) {
    uint64_t at = 0, next = 0;
    lf_status rc = LF_OK;
    XXH3_128bits_reset(t->bytes);
    for (int64_t i = 0; i < t->n && !rc; i++) {
        put_file(list, &t->files[i]);
        if (t->files[i].readable) rc = read_blocks(t, &t->files[i], at, &next);
        at += (uint64_t)t->files[i].st.st_size;
    }
    put_hash(list, XXH3_128bits_digest(t->bytes));
    return rc;
}

const char *lf_fingerprint_note(const lf_fingerprint *f, char *buf, size_t size) {
    if (f->sampled)
        snprintf(buf, size,
                 "of its %.1f GB a sample was compared (%d blocks of %d KiB, and every file's name and size); a change "
                 "between the blocks that keeps names and sizes is not seen",
                 (double)f->bytes / 1e9, LF_FINGERPRINT_BLOCKS, LF_FINGERPRINT_BLOCK / 1024);
    else
        snprintf(buf, size, "%s", "");
    return buf;
}

/* ---- remembering ----------------------------------------------------------------------------------------------------
 * A few data sets, the oldest forgotten first. The key is the hash of all that `stat` tells of the files. */

enum { MEMORY = 16 };
static struct {
    pthread_mutex_t lock;
    struct {
        XXH128_hash_t key;
        lf_fingerprint value;
    } at[MEMORY];
    int n, next;
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void put_time(XXH3_state_t *h, const struct timespec *at) {
    put_number(h, (uint64_t)at->tv_sec);
    put_number(h, (uint64_t)at->tv_nsec);
}

static XXH128_hash_t key_of(const taking *t, XXH3_state_t *h) {
    XXH3_128bits_reset(h);
    put_number(h, t->limits->whole);
    put_number(h, t->limits->blocks);
    put_number(h, t->limits->block);
    for (int64_t i = 0; i < t->n; i++) {
        put_file(h, &t->files[i]);
        put_number(h, (uint64_t)t->files[i].st.st_dev);
        put_number(h, (uint64_t)t->files[i].st.st_ino);
        put_time(h, &t->files[i].st.st_mtim);
        put_time(h, &t->files[i].st.st_ctim);
    }
    return XXH3_128bits_digest(h);
}

static bool recall(const taking *t, XXH128_hash_t key) {
    bool found = false;
    pthread_mutex_lock(&memory.lock);
    for (int i = 0; i < memory.n && !found; i++)
        if ((found = XXH128_isEqual(memory.at[i].key, key))) *t->out = memory.at[i].value;
    pthread_mutex_unlock(&memory.lock);
    t->out->remembered = found;
    return found;
}

/* A file that changes twice within a tick of its clock has the same times both times: what is young is not kept. */
static bool settled(const taking *t) {
    const time_t before = time(NULL) - (time_t)t->limits->settled;
    for (int64_t i = 0; i < t->n; i++)
        if (t->files[i].st.st_mtim.tv_sec > before || t->files[i].st.st_ctim.tv_sec > before) return false;
    return true;
}

static void remember(const taking *t, XXH128_hash_t key) {
    if (!settled(t)) return;
    pthread_mutex_lock(&memory.lock);
    memory.at[memory.next].key = key;
    memory.at[memory.next].value = *t->out;
    memory.next = (memory.next + 1) % MEMORY;
    if (memory.n < MEMORY) memory.n++;
    pthread_mutex_unlock(&memory.lock);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------
 */

static lf_status take(taking *t, XXH3_state_t *list) {
    const XXH128_hash_t key = key_of(t, list);
    if (recall(t, key)) return LF_OK;
    t->out->sampled = t->out->bytes > t->limits->whole;
    XXH3_128bits_reset(list);
    put_number(list, t->out->sampled);
    const lf_status rc = t->out->sampled ? put_sampled(t, list) : put_whole(t, list);
    if (rc) return rc;
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(list));
    for (size_t i = 0; i < sizeof c.digest; i++) snprintf(t->out->hash + 2 * i, 3, "%02x", c.digest[i]);
    remember(t, key);
    return LF_OK;
}

lf_status lf_fingerprint_files(lf_fingerprint *out, const char *root, const char *const *paths, int64_t n,
                               bool skip_unreadable, const lf_fingerprint_limits *limits, lf_err *err) {
    *out = (lf_fingerprint){.files = n};
    taking t = {.root = root, .n = n, .skip_unreadable = skip_unreadable, .limits = limits, .out = out, .err = err};
    t.files = lf_calloc((size_t)n, sizeof *t.files);
    t.chunk = lf_malloc(CHUNK);
    t.bytes = XXH3_createState();
    XXH3_state_t *list = XXH3_createState();
    lf_status rc = t.files && t.chunk && t.bytes && list
                       ? look(&t, paths)
                       : lf_no_memory(err, "the fingerprint of the files of %s", root);
    if (!rc) rc = take(&t, list);
    XXH3_freeState(list);
    XXH3_freeState(t.bytes);
    lf_free(t.chunk);
    lf_free(t.files);
    if (rc) *out = (lf_fingerprint){0};
    return rc;
}
