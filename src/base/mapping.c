#define _GNU_SOURCE /* madvise */
#include "base/mapping.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- the state of a file ---- */

static lf_file_state state_of(const struct stat *st) {
    return (lf_file_state){(uint64_t)st->st_dev,
                           (uint64_t)st->st_ino,
                           (int64_t)st->st_size,
                           {(int64_t)st->st_mtim.tv_sec, (int64_t)st->st_mtim.tv_nsec},
                           {(int64_t)st->st_ctim.tv_sec, (int64_t)st->st_ctim.tv_nsec}};
}

lf_status lf_file_state_of(lf_file_state *out, const char *path, lf_err *err) {
    struct stat st;
    if (stat(path, &st) != 0) return lf_fail_errno(err, "read", path);
    *out = state_of(&st);
    return LF_OK;
}

bool lf_file_state_same(const lf_file_state *a, const lf_file_state *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->modified[0] == b->modified[0] &&
           a->modified[1] == b->modified[1] && a->changed[0] == b->changed[0] && a->changed[1] == b->changed[1];
}

/* ---- all that is mapped ---- */

typedef struct shared {
    lf_mapping mapping; /* first: what a user holds */
    char *path;
    int users;
    struct shared *next;
} shared;

static shared *all;
/* Held for a few instructions that touch no mapped file, so that a handler of SIGBUS may wait for it. */
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void take(void) {
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {
    }
}
static void give(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

/* NULL: it is not mapped yet. */
static shared *join(const lf_file_state *file) {
    shared *s;
    take();
    for (s = all; s && !lf_file_state_same(&s->mapping.file, file);) s = s->next;
    if (s) s->users++;
    give();
    return s;
}

static lf_status map(shared *s, int fd, const char *path, lf_err *err) {
    void *data = mmap(NULL, s->mapping.size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return lf_fail_errno(err, "map", path);
    s->mapping.data = data;
    s->users = 1;
    take();
    s->next = all;
    all = s;
    give();
    return LF_OK;
}

lf_status lf_mapping_open(const lf_mapping **out, int fd, const char *path, lf_err *err) {
    struct stat st;
    *out = NULL;
    if (fstat(fd, &st) != 0) return lf_fail_errno(err, "read", path);
    const lf_file_state file = state_of(&st);
    shared *s = join(&file);
    if (s) {
        *out = &s->mapping;
        return LF_OK;
    }
    if (!(s = lf_calloc(1, sizeof *s)) || !(s->path = lf_strdup(path))) {
        lf_free(s);
        return lf_no_memory(err, "%s", path);
    }
    s->mapping.size = (size_t)st.st_size;
    s->mapping.file = file;
    const lf_status rc = map(s, fd, path, err);
    if (rc) {
        lf_free(s->path);
        lf_free(s);
    } else {
        *out = &s->mapping;
    }
    return rc;
}

void lf_mapping_close(const lf_mapping *m) {
    shared *s = NULL, **at = &all;
    if (!m) return;
    take();
    while (*at && &(*at)->mapping != m) at = &(*at)->next;
    if (*at && --(*at)->users == 0) {
        s = *at;
        *at = s->next;
    }
    give();
    if (!s) return;
    munmap((void *)(uintptr_t)s->mapping.data, s->mapping.size);
    lf_free(s->path);
    lf_free(s);
}

void lf_mapping_drop(const void *begin, size_t size) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)begin / page * page;
    if (size > 0) (void)madvise((void *)first, (uintptr_t)begin + size - first, MADV_DONTNEED); /* advice alone */
}

const char *lf_mapped_file(const void *address) {
    enum { TRIES = 1 << 20 }; /* who holds it may be the one that was interrupted, by a SIGBUS from elsewhere */
    const char *path = NULL;
    int tries = 0;
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        if (++tries == TRIES) return NULL;
    for (const shared *s = all; s && !path; s = s->next) {
        const uintptr_t begin = (uintptr_t)s->mapping.data, at = (uintptr_t)address;
        if (at >= begin && at - begin < (s->mapping.size + 4095) / 4096 * 4096) path = s->path;
    }
    give();
    return path;
}

/* ---- where it is ---- */

bool lf_is_remote(const char *path) {
    static const unsigned long networks[] = {
        0x6969 /* NFS */,      0x517b /* SMB */,        0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */,
        0x65735546 /* FUSE */, 0x5346414f /* AFS */,    0x6b414653 /* kAFS */, 0x00c36400 /* Ceph */,
        0x01021997 /* 9P */,   0x0bd00bd0 /* Lustre */, 0x47504653 /* GPFS */, 0x19830326 /* BeeGFS */,
        0x73757245 /* Coda */, 0x7461636f /* OCFS2 */,  0x01161970 /* GFS2 */, 0xaad7aaea /* PanFS */,
        0x564c /* NCP */,      0x786f4256 /* vboxsf */,
    };
    struct statfs fs;
    if (statfs(path, &fs) != 0) return false;
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (((unsigned long)fs.f_type & 0xffffffffu) == networks[i]) return true;
    return false;
}
