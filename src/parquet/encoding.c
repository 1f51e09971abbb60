/* How values and levels are written: one function an encoding. */
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "parquet/internal.h"

const char lf_pq_no_memory[] = "no memory";
static const char cut_short[] = "the data end too early";

static uint64_t left(const lf_pq_bytes *b) { return (uint64_t)(b->end - b->at); }

static uint64_t little_endian(const unsigned char *s, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v |= (uint64_t)s[i] << 8 * i;
    return v;
}

static bool read_varint(uint64_t *out, lf_pq_bytes *b) {
    *out = 0;
    for (int shift = 0; shift < 64 && b->at < b->end; shift += 7) {
        const unsigned char c = *b->at++;
        *out |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) return true;
    }
    return false;
}

/* ---- packed bits ---------------------------------------------------------------------------------------------------
 */

/* Number i of packed numbers of `width` bits (up to 64), the lowest bit first. All of its bytes are there. */
static uint64_t unpack_bits(const unsigned char *s, uint64_t i, int width) {
    const uint64_t bit = i * (uint64_t)width;
    const int shift = (int)(bit & 7);
    const size_t bytes = (size_t)(shift + width + 7) / 8;
    s += bit >> 3;
    uint64_t v = little_endian(s, bytes < 8 ? bytes : 8) >> shift;
    if (bytes > 8) v |= (uint64_t)s[8] << (64 - shift);
    return width < 64 ? v & ((UINT64_C(1) << width) - 1) : v;
}

/* A run of one number, or groups of eight packed ones; the last group may be longer than what is wanted. */
static const char *read_run(uint32_t *out, int64_t *done, int64_t n, int width, lf_pq_bytes *b) {
    uint64_t header;
    if (!read_varint(&header, b)) return cut_short;
    const uint64_t wanted = (uint64_t)(n - *done);
    if (header & 1) {
        const uint64_t groups = header >> 1;
        if (groups == 0 || groups > LF_PARQUET_MAX_VALUES) return "a run without values, or with too many";
        const uint64_t bytes = groups * (uint64_t)width, count = groups * 8 < wanted ? groups * 8 : wanted;
        if ((count * (uint64_t)width + 7) / 8 > left(b)) return cut_short;
        for (uint64_t i = 0; i < count; i++) out[*done + (int64_t)i] = (uint32_t)unpack_bits(b->at, i, width);
        b->at += bytes < left(b) ? bytes : left(b); /* some writers leave the padding of the last group out */
        *done += (int64_t)count;
        return NULL;
    }
    const uint64_t count = header >> 1;
    const size_t bytes = (size_t)(width + 7) / 8;
    if (count == 0 || count > wanted) return "a run without values, or with too many";
    if (bytes > left(b)) return cut_short;
    const uint32_t v = (uint32_t)little_endian(b->at, bytes);
    for (uint64_t i = 0; i < count; i++) out[*done + (int64_t)i] = v;
    b->at += bytes;
    *done += (int64_t)count;
    return NULL;
}

const char *lf_pq_read_runs(uint32_t *out, int64_t n, int width, lf_pq_bytes *b) {
    const char *wrong = NULL;
    for (int64_t done = 0; done < n && !wrong;) wrong = read_run(out, &done, n, width, b);
    return wrong;
}

static int bits_for(int most) {
    int width = 0;
    while (most >> width) width++;
    return width;
}

const char *lf_pq_read_levels(uint8_t *out, int64_t n, int most, lf_pq_bytes *b) {
    uint32_t *levels = lf_malloc((size_t)(n + 1) * sizeof *levels);
    if (!levels) return lf_pq_no_memory;
    const char *wrong = lf_pq_read_runs(levels, n, bits_for(most), b);
    for (int64_t i = 0; i < n && !wrong; i++) {
        if (levels[i] > (uint32_t)most) wrong = "a level beyond the schema's";
        out[i] = (uint8_t)levels[i];
    }
    lf_free(levels);
    return wrong;
}

/* ---- deltas --------------------------------------------------------------------------------------------------------
 */

typedef struct deltas {
    uint64_t block, minis, total, first;
} deltas;

static int64_t from_zigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

static const char *read_delta_header(deltas *d, int64_t n, lf_pq_bytes *b) {
    enum { MOST_IN_BLOCK = 1 << 16 };
    uint64_t first;
    if (!read_varint(&d->block, b) || !read_varint(&d->minis, b) || !read_varint(&d->total, b) ||
        !read_varint(&first, b))
        return cut_short;
    if (d->block == 0 || d->block > MOST_IN_BLOCK || d->minis == 0 || d->minis > d->block || d->block % d->minis ||
        (d->block / d->minis) % 8)
        return "a block of deltas of an impossible size";
    if (d->total != (uint64_t)n) return "another number of deltas than of values";
    d->first = (uint64_t)from_zigzag(first);
    return NULL;
}

/* Sums may wrap, as those of the writer did. */
static const char *read_delta_block(uint64_t *out, uint64_t *done, uint64_t *last, const deltas *d, lf_pq_bytes *b) {
    const uint64_t in_mini = d->block / d->minis;
    uint64_t least;
    if (!read_varint(&least, b)) return cut_short;
    least = (uint64_t)from_zigzag(least);
    const unsigned char *widths = b->at;
    if (d->minis > left(b)) return cut_short;
    b->at += d->minis;
    for (uint64_t m = 0; m < d->minis && *done < d->total; m++) {
        const uint64_t wanted = d->total - *done < in_mini ? d->total - *done : in_mini;
        if (widths[m] > 64) return "deltas of more than 64 bits";
        if ((wanted * widths[m] + 7) / 8 > left(b)) return cut_short;
        for (uint64_t i = 0; i < wanted; i++)
            out[(*done)++] = *last += least + (widths[m] ? unpack_bits(b->at, i, widths[m]) : 0);
        const uint64_t bytes = in_mini / 8 * widths[m];
        b->at += bytes < left(b) ? bytes : left(b);
    }
    return NULL;
}

static const char *read_deltas(uint64_t *out, int64_t n, lf_pq_bytes *b) {
    deltas d;
    const char *wrong = read_delta_header(&d, n, b);
    if (wrong || n == 0) return wrong;
    uint64_t done = 1, last = d.first;
    out[0] = last;
    while (done < d.total && !wrong) wrong = read_delta_block(out, &done, &last, &d, b);
    return wrong;
}

/* ---- numbers -------------------------------------------------------------------------------------------------------
 */

static uint64_t float_bits(const unsigned char *s) {
    const uint32_t narrow = (uint32_t)little_endian(s, sizeof narrow);
    float f;
    memcpy(&f, &narrow, sizeof f);
    const double wide = (double)f;
    uint64_t bits;
    memcpy(&bits, &wide, sizeof bits);
    return bits;
}

/* A number of 4 or 8 bytes as lf_pq_values has it. */
static uint64_t number_bits(const unsigned char *s, lf_pq_type type) {
    if (type == LF_PQ_FLOAT) return float_bits(s);
    if (type == LF_PQ_INT32) return (uint64_t)(int64_t)(int32_t)(uint32_t)little_endian(s, 4);
    return little_endian(s, 8);
}

static size_t number_size(lf_pq_type type) { return type == LF_PQ_INT32 || type == LF_PQ_FLOAT ? 4 : 8; }

static const char *plain_numbers(lf_pq_values *v, lf_pq_type type, lf_pq_bytes *b) {
    const size_t size = number_size(type);
    if ((uint64_t)v->n * size > left(b)) return cut_short;
    for (int64_t i = 0; i < v->n; i++, b->at += size) v->bits[i] = number_bits(b->at, type);
    return NULL;
}

static const char *plain_booleans(lf_pq_values *v, lf_pq_bytes *b) {
    if ((uint64_t)(v->n + 7) / 8 > left(b)) return cut_short;
    for (int64_t i = 0; i < v->n; i++) v->bits[i] = b->at[i / 8] >> (i % 8) & 1;
    return NULL;
}

/* Behind four bytes that say how many there are. */
static const char *run_booleans(lf_pq_values *v, lf_pq_bytes *b) {
    uint32_t *runs = lf_malloc((size_t)(v->n + 1) * sizeof *runs);
    if (!runs) return lf_pq_no_memory;
    const char *wrong = left(b) < 4 ? cut_short : NULL;
    if (!wrong) b->at += 4;
    if (!wrong) wrong = lf_pq_read_runs(runs, v->n, 1, b);
    for (int64_t i = 0; i < v->n && !wrong; i++) v->bits[i] = runs[i];
    lf_free(runs);
    return wrong;
}

static const char *delta_numbers(lf_pq_values *v, lf_pq_type type, lf_pq_bytes *b) {
    const char *wrong = read_deltas(v->bits, v->n, b);
    for (int64_t i = 0; i < v->n && !wrong && type == LF_PQ_INT32; i++)
        v->bits[i] = (uint64_t)(int64_t)(int32_t)(uint32_t)v->bits[i];
    return wrong;
}

/* The first byte of every value, then the second of every one, ... */
static const char *split_bytes(unsigned char *out, int64_t n, size_t size, lf_pq_bytes *b) {
    if ((uint64_t)n * size > left(b)) return cut_short;
    for (size_t k = 0; k < size; k++)
        for (int64_t i = 0; i < n; i++) out[(size_t)i * size + k] = b->at[k * (size_t)n + (size_t)i];
    b->at += (size_t)n * size;
    return NULL;
}

static const char *split_numbers(lf_pq_values *v, lf_pq_type type, lf_pq_bytes *b) {
    const size_t size = number_size(type);
    if ((uint64_t)v->n * size > left(b)) return cut_short;
    for (int64_t i = 0; i < v->n; i++) {
        unsigned char one[8];
        for (size_t k = 0; k < size; k++) one[k] = b->at[k * (size_t)v->n + (size_t)i];
        v->bits[i] = number_bits(one, type);
    }
    b->at += (size_t)v->n * size;
    return NULL;
}

static const char *numbers(lf_pq_values *v, lf_pq_type type, int encoding, lf_pq_bytes *b) {
    const bool integer = type == LF_PQ_INT32 || type == LF_PQ_INT64;
    if (!(v->bits = lf_malloc((size_t)(v->n + 1) * sizeof *v->bits))) return lf_pq_no_memory;
    v->size += (size_t)(v->n + 1) * sizeof *v->bits;
    if (type == LF_PQ_BOOLEAN && encoding == LF_PQ_ENC_PLAIN) return plain_booleans(v, b);
    if (type == LF_PQ_BOOLEAN && encoding == LF_PQ_ENC_RLE) return run_booleans(v, b);
    if (type != LF_PQ_BOOLEAN && encoding == LF_PQ_ENC_PLAIN) return plain_numbers(v, type, b);
    if (integer && encoding == LF_PQ_ENC_DELTA_BINARY) return delta_numbers(v, type, b);
    if (type != LF_PQ_BOOLEAN && encoding == LF_PQ_ENC_SPLIT) return split_numbers(v, type, b);
    return "an encoding that values of its type cannot have";
}

/* ---- bytes ---------------------------------------------------------------------------------------------------------
 */

static const char *plain_slices(lf_pq_values *v, const unsigned char *base, lf_pq_bytes *b) {
    for (int64_t i = 0; i < v->n; i++) {
        if (left(b) < 4) return cut_short;
        const uint32_t n = (uint32_t)little_endian(b->at, 4);
        b->at += 4;
        if (n > left(b)) return cut_short;
        v->slices[i] = (lf_pq_slice){(uint32_t)(b->at - base), n};
        b->at += n;
    }
    v->bytes = base;
    return NULL;
}

/* All lengths, then all bytes. */
static const char *delta_slices(lf_pq_values *v, const unsigned char *base, lf_pq_bytes *b) {
    uint64_t *lengths = lf_malloc((size_t)(v->n + 1) * sizeof *lengths);
    if (!lengths) return lf_pq_no_memory;
    const char *wrong = read_deltas(lengths, v->n, b);
    for (int64_t i = 0; i < v->n && !wrong; i++) {
        if (lengths[i] > left(b)) {
            wrong = cut_short;
            break;
        }
        v->slices[i] = (lf_pq_slice){(uint32_t)(b->at - base), (uint32_t)lengths[i]};
        b->at += lengths[i];
    }
    v->bytes = base;
    lf_free(lengths);
    return wrong;
}

static const char *add_up(uint64_t *total, const uint64_t *kept, const uint64_t *lengths, int64_t n, uint64_t there) {
    *total = 0;
    uint64_t before = 0, read = 0;
    for (int64_t i = 0; i < n; i++) {
        if (kept[i] > before || lengths[i] > there - read)
            return "a value that has more in common with its predecessor than there is";
        before = kept[i] + lengths[i];
        read += lengths[i];
        *total += before;
        if (*total > LF_PARQUET_PAGE_MOST) return "values of more than 1 GiB";
    }
    return NULL;
}

/* How much each has in common with the one before, the lengths of what is new, and that. */
static const char *front_coded(lf_pq_values *v, lf_pq_bytes *b) {
    const size_t n = (size_t)v->n;
    uint64_t *kept = lf_malloc((2 * n + 2) * sizeof *kept), total = 0;
    if (!kept) return lf_pq_no_memory;
    uint64_t *const lengths = kept + n + 1;
    const char *wrong = read_deltas(kept, v->n, b);
    if (!wrong) wrong = read_deltas(lengths, v->n, b);
    if (!wrong) wrong = add_up(&total, kept, lengths, v->n, left(b));
    if (!wrong && !(v->made = lf_malloc((size_t)total + 1))) wrong = lf_pq_no_memory;
    uint32_t at = 0, before = 0;
    for (size_t i = 0; i < n && !wrong; i++) {
        memcpy(v->made + at, v->made + before, (size_t)kept[i]);
        memcpy(v->made + at + kept[i], b->at, (size_t)lengths[i]);
        b->at += lengths[i];
        v->slices[i] = (lf_pq_slice){at, (uint32_t)(kept[i] + lengths[i])};
        before = at;
        at += v->slices[i].n;
    }
    v->bytes = v->made;
    v->size += (size_t)total + 1;
    lf_free(kept);
    return wrong;
}

static const char *variable_bytes(lf_pq_values *v, int encoding, const unsigned char *base, lf_pq_bytes *b) {
    if (!(v->slices = lf_malloc((size_t)(v->n + 1) * sizeof *v->slices))) return lf_pq_no_memory;
    v->size += (size_t)(v->n + 1) * sizeof *v->slices;
    if (encoding == LF_PQ_ENC_PLAIN) return plain_slices(v, base, b);
    if (encoding == LF_PQ_ENC_DELTA_LENGTH) return delta_slices(v, base, b);
    if (encoding == LF_PQ_ENC_DELTA_BYTES) return front_coded(v, b);
    return "an encoding that values of its type cannot have";
}

static const char *fixed_bytes(lf_pq_values *v, uint32_t size, int encoding, lf_pq_bytes *b) {
    v->fixed = size;
    if (encoding == LF_PQ_ENC_DELTA_BYTES) {
        const char *wrong = variable_bytes(v, encoding, NULL, b);
        for (int64_t i = 0; i < v->n && !wrong; i++)
            if (v->slices[i].n != size) wrong = "a value of another length than the schema's";
        return wrong;
    }
    if ((uint64_t)v->n * size > left(b)) return cut_short;
    if (encoding == LF_PQ_ENC_PLAIN) {
        v->bytes = b->at;
        b->at += (size_t)v->n * size;
        return NULL;
    }
    if (encoding != LF_PQ_ENC_SPLIT) return "an encoding that values of its type cannot have";
    if (!(v->made = lf_malloc((size_t)v->n * size + 1))) return lf_pq_no_memory;
    v->bytes = v->made;
    v->size += (size_t)v->n * size + 1;
    return split_bytes(v->made, v->n, size, b);
}

/* ---- all of them ---------------------------------------------------------------------------------------------------
 */

const char *lf_pq_read_values(lf_pq_values *v, int64_t n, const lf_pq_node *leaf, int encoding,
                              const unsigned char *base, lf_pq_bytes *b) {
    v->n = n;
    v->bytes = base;
    if (n == 0) return NULL; /* nothing need be there, not even a header */
    if (leaf->type == LF_PQ_INT96) return "values of type INT96";
    if (leaf->type == LF_PQ_BYTE_ARRAY) return variable_bytes(v, encoding, base, b);
    if (leaf->type == LF_PQ_FIXED) return fixed_bytes(v, (uint32_t)leaf->type_length, encoding, b);
    return numbers(v, leaf->type, encoding, b);
}

void lf_pq_values_free(lf_pq_values *v) {
    lf_free(v->bits);
    lf_free(v->slices);
    lf_free(v->owned);
    lf_free(v->made);
    *v = (lf_pq_values){0};
}
