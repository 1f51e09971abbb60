#define _POSIX_C_SOURCE 200809L /* pread */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"
#include "data/text/internal.h"
#include "io/unpack.h"

static lf_status map(lf_text_map *m, int fd, lf_err *err) {
    struct stat st;
    if (fstat(fd, &st)) return lf_fail_errno(err, "read", m->path);
    if (st.st_size == 0) return LF_OK;
    const lf_status rc = lf_mapping_open(&m->mapping, fd, m->path, err);
    if (rc) return rc;
    m->data = (const char *)m->mapping->data;
    m->size = m->base_size = m->mapping->size;
    const size_t mark = lf_utf8_mark_size(m->data, m->size);
    m->data += mark;
    m->size -= mark;
    return LF_OK;
}

static lf_status read_head(unsigned char head[LF_KIND_BYTES], size_t *n, int fd, const char *path, lf_err *err) {
    const ssize_t got = pread(fd, head, LF_KIND_BYTES, 0);
    *n = got > 0 ? (size_t)got : 0;
    return got < 0 ? lf_fail_errno(err, "read", path) : LF_OK;
}

/* *fd becomes that of the content, if the file is packed. Refuses what is no text, packed or not. */
static lf_status unpack(lf_text_map *m, int *fd, lf_err *err) {
    unsigned char head[LF_KIND_BYTES];
    size_t n;
    lf_status rc = read_head(head, &n, *fd, m->path, err);
    const lf_packing *p = rc ? NULL : lf_packing_of(head, n);
    if (p) {
        int content;
        if ((rc = lf_unpack(&content, p, *fd, m->path, err))) return rc;
        close(*fd);
        *fd = content;
        m->unpacked = true;
        rc = read_head(head, &n, *fd, m->path, err);
    }
    return rc ? rc : lf_refuse_kind(head, n, m->path, err);
}

lf_status lf_text_map_open(lf_text_map *m, const char *path, lf_err *err) {
    struct stat st;
    *m = (lf_text_map){.path = path};
    int fd = lf_open_to_read(path);
    if (fd < 0) return lf_fail_errno(err, "open", path);
    lf_status rc = LF_OK;
    if (fstat(fd, &st))
        rc = lf_fail_errno(err, "read", path);
    else if (!S_ISREG(st.st_mode))
        rc = lf_fail(err, LF_EDATA, "%s: expected a file; a pipe or device cannot be read in any order", path);
    if (!rc && !(rc = unpack(m, &fd, err))) rc = map(m, fd, err);
    close(fd);
    return rc;
}

void lf_text_map_close(lf_text_map *m) {
    lf_mapping_close(m->mapping);
    m->mapping = NULL;
    m->data = NULL;
    m->size = 0;
}

void lf_text_map_drop(const lf_text_map *m, uint64_t end) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (size_t)end / page * page;
    if (m->mapping) lf_mapping_drop(m->mapping->data, size);
}

uint64_t lf_text_map_line(const lf_text_map *m, uint64_t at) {
    uint64_t line = 1;
    const char *s = m->data, *const end = m->data + (at < m->size ? at : m->size);
    while (s && s < end && (s = memchr(s, '\n', (size_t)(end - s)))) {
        line++;
        s++;
    }
    return line;
}

lf_status lf_text_map_check_utf8(const lf_text_map *m, uint64_t begin, uint64_t end, lf_err *err) {
    const uint64_t bad = begin + lf_utf8_invalid(m->data + begin, (size_t)(end - begin));
    if (bad == end) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": byte 0x%02x is not UTF-8; save the file as UTF-8", m->path,
                   lf_text_map_line(m, bad), (unsigned)(unsigned char)m->data[bad]);
}
