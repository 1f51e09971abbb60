#include "examples/letters/font.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

/* stb_truetype follows counts inside a glyph or a character map without looking at where the file ends. A count has 16
 * bits; the most that one simple glyph can make it read is 2 * 32767 bytes of contours, 65535 of instructions and 5 a
 * point for 65536 points. With this many zero bytes behind the file all of that stays inside the buffer. */
#define PADDING ((size_t)512 * 1024)

struct lf_font {
    char *path;
    unsigned char *data; /* the file, then PADDING zeros */
    size_t size;
    stbtt_fontinfo info;
    lf_outline *outlines;
    int n_outlines;
};

typedef struct table {
    const unsigned char *at;
    uint32_t length;
} table;

static uint32_t be16(const unsigned char *p) { return (uint32_t)p[0] << 8 | p[1]; }
static uint32_t be32(const unsigned char *p) { return be16(p) << 16 | be16(p + 2); }

/* Sum of big-endian words, the last one filled with zeros: the file format's own checksum. */
static uint32_t checksum(table t) {
    uint32_t sum = 0, i = 0;
    for (; i + 4 <= t.length; i += 4) sum += be32(t.at + i);
    for (uint32_t shift = 24; i < t.length; i++, shift -= 8) sum += (uint32_t)t.at[i] << shift;
    return sum;
}

static lf_status check_directory(const lf_font *f, lf_err *err) {
    const uint32_t n = be16(f->data + 4);
    if (12 + (size_t)16 * n > f->size)
        return lf_fail(err, LF_EDATA, "%s: the table directory needs %zu bytes, the file has %zu; is it cut off?",
                       f->path, 12 + (size_t)16 * n, f->size);
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *e = f->data + 12 + (size_t)16 * i;
        if ((uint64_t)be32(e + 8) + be32(e + 12) > f->size)
            return lf_fail(err, LF_EDATA,
                           "%s: table '%.4s' at %" PRIu32 " with %" PRIu32
                           " bytes ends behind the file, which has %zu bytes; is it cut off?",
                           f->path, (const char *)e, be32(e + 8), be32(e + 12), f->size);
    }
    return LF_OK;
}

static const unsigned char *find_entry(const lf_font *f, const char *tag) {
    const uint32_t n = be16(f->data + 4);
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *e = f->data + 12 + (size_t)16 * i;
        if (memcmp(e, tag, 4) == 0) return e;
    }
    return NULL;
}

static lf_status find_table(const lf_font *f, const char *tag, uint32_t least, table *out, lf_err *err) {
    const unsigned char *e = find_entry(f, tag);
    if (!e) return lf_fail(err, LF_EDATA, "%s: no table '%s'; is it a TrueType font?", f->path, tag);
    *out = (table){f->data + be32(e + 8), be32(e + 12)};
    if (out->length < least)
        return lf_fail(err, LF_EDATA, "%s: table '%s': expected at least %" PRIu32 " bytes, got %" PRIu32, f->path, tag,
                       least, out->length);
    /* 'head' holds a sum over the whole file, which tools that edit fonts often leave stale. */
    if (strcmp(tag, "head") != 0 && checksum(*out) != be32(e + 4))
        return lf_fail(err, LF_EDATA,
                       "%s: table '%s': expected checksum %08" PRIx32 ", got %08" PRIx32 "; the file is damaged",
                       f->path, tag, be32(e + 4), checksum(*out));
    return LF_OK;
}

/* 'loca' holds numGlyphs + 1 rising offsets into 'glyf'. */
static lf_status check_glyph_index(const lf_font *f, lf_err *err) {
    table head, maxp, loca, glyf, unused;
    lf_status rc = find_table(f, "head", 54, &head, err);
    if (!rc) rc = find_table(f, "maxp", 6, &maxp, err);
    if (!rc) rc = find_table(f, "loca", 2, &loca, err);
    if (!rc) rc = find_table(f, "glyf", 1, &glyf, err);
    if (!rc) rc = find_table(f, "hhea", 36, &unused, err); /* stb_truetype wants these two, we do not */
    if (!rc) rc = find_table(f, "hmtx", 1, &unused, err);
    if (rc) return rc;

    const uint32_t format = be16(head.at + 50), n = be16(maxp.at + 4), width = format == 0 ? 2 : 4;
    if (format > 1)
        return lf_fail(err, LF_EDATA, "%s: head.indexToLocFormat: expected 0 or 1, got %" PRIu32, f->path, format);
    if ((n + 1) * width > loca.length)
        return lf_fail(err, LF_EDATA,
                       "%s: table 'loca': expected %" PRIu32 " bytes for %" PRIu32 " glyphs, got %" PRIu32, f->path,
                       (n + 1) * width, n, loca.length);
    for (uint32_t i = 0, last = 0; i <= n; i++) {
        const uint32_t offset = format == 0 ? 2 * be16(loca.at + (size_t)2 * i) : be32(loca.at + (size_t)4 * i);
        if (offset < last || offset > glyf.length)
            return lf_fail(err, LF_EDATA,
                           "%s: glyph %" PRIu32 ": offset %" PRIu32 " is not in [%" PRIu32 ", %" PRIu32 "]", f->path, i,
                           offset, last, glyf.length);
        last = offset;
    }
    return LF_OK;
}

/* The bytes that a character map of this format takes, 0 for a format that stb_truetype does not read. */
static uint64_t map_size(const unsigned char *map) {
    switch (be16(map)) {
    case 0: return 6 + 256;
    case 4: return 16 + (uint64_t)4 * be16(map + 6); /* segments * 4 arrays of 2 bytes; the field is segments * 2 */
    case 6: return 10 + (uint64_t)2 * be16(map + 8);
    case 12:
    case 13: return 16 + (uint64_t)12 * be32(map + 12);
    default: return 0;
    }
}

/* Looks at the character map that stb_truetype will choose: the last one for Unicode. */
static lf_status check_character_map(const lf_font *f, char unfit[128], lf_err *err) {
    table cmap;
    lf_status rc = find_table(f, "cmap", 4, &cmap, err);
    if (rc) return rc;
    const uint32_t n = be16(cmap.at + 2);
    if (4 + 8 * n > cmap.length)
        return lf_fail(err, LF_EDATA, "%s: table 'cmap': %" PRIu32 " records do not fit in %" PRIu32 " bytes", f->path,
                       n, cmap.length);
    const unsigned char *record = NULL;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *r = cmap.at + 4 + (size_t)8 * i;
        const uint32_t platform = be16(r), encoding = be16(r + 2);
        if (platform == 0 || (platform == 3 && (encoding == 1 || encoding == 10))) record = r;
    }
    if (!record) {
        snprintf(unfit, 128, "no Unicode character map (a symbol font?)");
        return LF_OK;
    }
    const uint64_t offset = be32(record + 4);
    if (offset + 16 > cmap.length)
        return lf_fail(err, LF_EDATA, "%s: table 'cmap': map at %" PRIu64 " is behind its %" PRIu32 " bytes", f->path,
                       offset, cmap.length);
    const unsigned char *map = cmap.at + offset;
    const uint64_t size = map_size(map);
    if (!size)
        snprintf(unfit, 128, "its character map has format %" PRIu32 ", which stb_truetype does not read", be16(map));
    else if (offset + size > cmap.length)
        return lf_fail(err, LF_EDATA, "%s: table 'cmap': map at %" PRIu64 " needs %" PRIu64 " bytes of %" PRIu32,
                       f->path, offset, size, cmap.length);
    return LF_OK;
}

static lf_status check(const lf_font *f, char unfit[128], lf_err *err) {
    if (f->size < 12) return lf_fail(err, LF_EDATA, "%s: %zu bytes are too few for a font", f->path, f->size);
    if (memcmp(f->data, "OTTO", 4) == 0 || memcmp(f->data, "ttcf", 4) == 0) {
        snprintf(unfit, 128, "%s",
                 f->data[0] == 'O' ? "its outlines are CFF, not TrueType" : "it is a collection of fonts");
        return LF_OK;
    }
    if (be32(f->data) != 0x00010000 && memcmp(f->data, "true", 4) != 0)
        return lf_fail(err, LF_EDATA, "%s: expected a TrueType font (first bytes 00010000), got %08" PRIx32, f->path,
                       be32(f->data));
    lf_status rc = check_directory(f, err);
    if (!rc) rc = check_glyph_index(f, err);
    if (!rc) rc = check_character_map(f, unfit, err);
    return rc;
}

static lf_status load(lf_font *f, lf_err *err) {
    char *bytes = NULL;
    lf_status rc = lf_file_read(&bytes, &f->size, f->path, err);
    if (rc) return rc;
    f->data = lf_realloc(bytes, f->size + PADDING);
    if (!f->data) {
        lf_free(bytes);
        return lf_no_memory(err, "%s", f->path);
    }
    memset(f->data + f->size, 0, PADDING);
    return LF_OK;
}

static lf_status load_outlines(lf_font *f, const char *letters, char unfit[128], lf_err *err) {
    const size_t n = strlen(letters);
    f->outlines = lf_calloc(n, sizeof *f->outlines);
    if (!f->outlines) return lf_no_memory(err, "%s", f->path);
    for (size_t i = 0; i < n; i++) {
        const int glyph = stbtt_FindGlyphIndex(&f->info, letters[i]);
        lf_outline *o = &f->outlines[i];
        f->n_outlines = (int)i + 1;
        if (glyph > 0) o->n = stbtt_GetGlyphShape(&f->info, glyph, &o->vertices);
        if (o->n <= 0) {
            snprintf(unfit, 128, "no glyph for '%c'", letters[i]);
            return LF_OK;
        }
    }
    return LF_OK;
}

lf_status lf_font_open(lf_font **out, const char *path, const char *letters, char unfit[128], lf_err *err) {
    *out = NULL;
    unfit[0] = '\0';
    lf_font *f = lf_calloc(1, sizeof *f);
    if (f) f->path = lf_strdup(path);
    lf_status rc = f && f->path ? LF_OK : lf_no_memory(err, "%s", path);
    if (!rc) rc = load(f, err);
    if (!rc) rc = check(f, unfit, err);
    if (!rc && !unfit[0] && !stbtt_InitFont(&f->info, f->data, 0))
        rc = lf_fail(err, LF_EDATA, "%s: stb_truetype cannot read it", path);
    if (!rc && !unfit[0]) rc = load_outlines(f, letters, unfit, err);
    if (rc || unfit[0])
        lf_font_free(f);
    else
        *out = f;
    return rc;
}

void lf_font_free(lf_font *f) {
    if (!f) return;
    for (int i = 0; i < f->n_outlines; i++) stbtt_FreeShape(&f->info, f->outlines[i].vertices);
    lf_free(f->outlines);
    lf_free(f->data);
    lf_free(f->path);
    lf_free(f);
}

const char *lf_font_path(const lf_font *f) { return f->path; }
const lf_outline *lf_font_outline(const lf_font *f, int letter) { return &f->outlines[letter]; }
bool lf_font_same_bytes(const lf_font *a, const lf_font *b) {
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}
