#define _POSIX_C_SOURCE 200809L
#include "base/large.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static lf_status failed(int error, size_t size, const char *what, lf_err *err) {
    return lf_fail(err, LF_EIO, "no file of %.0f MB in %s for %s: %s; set TMPDIR to a folder with room",
                   (double)size / 1e6, lf_temporary_folder(), what, strerror(error));
}

static lf_status map_file(lf_large *out, int fd, size_t size, const char *what, lf_err *err) {
    const int error = posix_fallocate(fd, 0, (off_t)size);
    if (error) return failed(error, size, what, err);
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) return failed(errno, size, what, err);
    *out = (lf_large){data, size, true};
    return LF_OK;
}

static lf_status open_file(lf_large *out, size_t size, const char *what, lf_err *err) {
    char *path = lf_format("%s/lora-ft-large-XXXXXX", lf_temporary_folder());
    if (!path) return lf_no_memory(err, "%s", what);
    const int fd = mkstemp(path);
    lf_status rc = fd < 0 ? failed(errno, size, what, err) : LF_OK;
    if (!rc) unlink(path);
    if (!rc) rc = map_file(out, fd, size, what, err);
    if (fd >= 0) close(fd); /* the mapping holds it */
    lf_free(path);
    return rc;
}

static const size_t MOST =
    (size_t)1 << 46; /* bytes of an address space, and more than sanitizers let anybody ask for */

lf_status lf_large_open(lf_large *out, size_t size, bool in_file, const char *what, lf_err *err) {
    *out = (lf_large){0};
    if (size > MOST) return lf_no_memory(err, "%s, %.0f MB", what, (double)size / 1e6);
    if (in_file) return open_file(out, size, what, err);
    out->data = lf_aligned_alloc(size);
    out->size = size;
    return out->data ? LF_OK : lf_no_memory(err, "%s, %.0f MB", what, (double)size / 1e6);
}

void lf_large_close(lf_large *l) {
    if (l->in_file)
        munmap(l->data, l->size);
    else
        lf_aligned_free(l->data);
    *l = (lf_large){0};
}
