/* Packed files: the first byte says how the others become one, because no mutation finds a sum of what it packs. As
 * they are, or packed by gzip or Zstandard, whole or with a byte changed or the end cut off; the second says where. One
 * line of error, or the bytes that were packed. */
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "fuzz.h"
#include "io/gzip.h"
#include "io/unpack.h"

enum { AS_IS, GZIP, ZSTD, TWO_MEMBERS, N_FORMS };
enum { WHOLE, CHANGED, CUT, MORE, N_DAMAGES };

static size_t pack_gzip(unsigned char *to, size_t room, const fuzz_part *from) {
    z_stream z = {.next_in = (unsigned char *)from->s,
                  .avail_in = (unsigned)from->n,
                  .next_out = to,
                  .avail_out = (unsigned)room};
    require(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    require(deflate(&z, Z_FINISH) == Z_STREAM_END);
    const size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

static size_t pack(unsigned char *to, size_t room, int form, const fuzz_part *from) {
    size_t n = from->n;
    if (form == GZIP || form == TWO_MEMBERS) {
        n = pack_gzip(to, room, from);
        if (form == TWO_MEMBERS) n += pack_gzip(to + n, room - n, from);
    } else if (form == ZSTD) {
        n = ZSTD_compress(to, room, from->s, from->n, 1);
        require(!ZSTD_isError(n));
    } else
        memcpy(to, from->s, n);
    return n;
}

static size_t damage(unsigned char *bytes, size_t n, int how, uint8_t where) {
    const size_t at = n ? where * n / 256 : 0;
    if (how == CHANGED && n) bytes[at] = (unsigned char)(bytes[at] ^ (where | 1));
    if (how == MORE) bytes[n++] = where;
    return how == CUT ? at : n;
}

static void require_same(const unsigned char *out, size_t n, const fuzz_part *from, int form) {
    const size_t times = form == TWO_MEMBERS ? 2 : 1;
    require(n == times * from->n);
    for (size_t k = 0; k < times; k++) require(from->n == 0 || memcmp(out + k * from->n, from->s, from->n) == 0);
}

static void read_whole(const char *path, const fuzz_part *from, int form, bool whole) {
    enum { MOST = 1 << 20 };
    unsigned char *out = NULL;
    size_t n = 0;
    lf_err err = {0};
    const lf_status rc = lf_read_maybe_gzip(&out, &n, path, MOST, &err);
    require_said(rc, &err);
    require((rc == LF_OK || rc == LF_EDATA) && (rc == LF_OK) == (out != NULL) && n <= MOST);
    if (whole && (form == GZIP || form == TWO_MEMBERS)) require(rc == LF_OK);
    if (whole && (form == GZIP || form == TWO_MEMBERS)) require_same(out, n, from, form);
    if (form == GZIP && !rc && n > 1) { /* and less than it needs is refused */
        unsigned char *little = NULL;
        require(lf_read_maybe_gzip(&little, &n, path, n / 2, NULL) == LF_EDATA && !little);
    }
    lf_free(out);
}

/* The same without the content. expected: SIZE_MAX: not known. */
static void check_size(const char *path, lf_status unpacked, size_t expected) {
    lf_err err = {0};
    int64_t bytes = -1;
    const lf_status rc = lf_unpacked_size(&bytes, path, &err);
    require_said(rc, &err);
    require(rc == unpacked && (rc || (bytes >= 0 && (expected == SIZE_MAX || (size_t)bytes == expected))));
}

static void unpack(const char *path, const unsigned char *packed, size_t n, const fuzz_part *from, int form,
                   bool whole) {
    static unsigned char content[1 << 16];
    lf_err err = {0};
    const lf_packing *p = lf_packing_of(packed, n);
    lf_status rc = lf_refuse_kind(packed, n, path, &err);
    require_said(rc, &err);
    require(!whole || form == AS_IS || p);
    if (!p) return;
    const int in = open(path, O_RDONLY);
    int out = -1;
    err = (lf_err){0};
    require(in >= 0);
    rc = lf_unpack(&out, p, in, path, &err);
    require_said(rc, &err);
    require((rc == LF_OK || rc == LF_EDATA || rc == LF_EUNSUPPORTED) && (rc == LF_OK) == (out >= 0));
    require(!whole || form == AS_IS || !rc);
    if (out >= 0 && whole && form != AS_IS) {
        const ssize_t size = pread(out, content, sizeof content, 0);
        require(size >= 0);
        require_same(content, (size_t)size, from, form);
    }
    if (out >= 0) close(out);
    close(in);
    check_size(path, rc, form != AS_IS && whole ? from->n * (form == TWO_MEMBERS ? 2 : 1) : SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MOST = 8000 };
    static unsigned char packed[4 * MOST + 4096];
    fuzz_input in = {data, size};
    const uint8_t how = take_byte(&in), where = take_byte(&in);
    if (in.left > MOST) in.left = MOST;
    const fuzz_part from = take_rest(&in);
    const int form = how % N_FORMS, harm = how / N_FORMS % N_DAMAGES;
    const size_t n = damage(packed, pack(packed, sizeof packed, form, &from), harm, where);
    const char *path = put_file("file", packed, n);
    require(lf_packing_stem("file.jsonl.gz") == 10 && lf_packing_stem("file.jsonl") == 10);
    read_whole(path, &from, form, harm == WHOLE);
    unpack(path, packed, n, &from, form, harm == WHOLE);
    free(from.s);
    require(lf_alloc_live() == 0);
    return 0;
}
