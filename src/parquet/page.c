/* A page: its header, and all that is in it. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "io/blocks.h"
#include "parquet/internal.h"
#include "parquet/thrift.h"

/* ---- the header ----------------------------------------------------------------------------------------------------
 */

enum { DATA, INDEX, DICTIONARY, DATA_V2, N_KINDS };
/* The fields of a PageHeader. */
enum { H_KIND = 1, H_UNPACKED, H_PACKED, H_CRC, H_DATA, H_DICTIONARY = 7, H_DATA_V2 };

typedef struct header {
    int kind, unpacked, packed;
    bool has[H_DATA_V2 + 1];
    uint32_t crc;
    int n, encoding, def_encoding, rep_encoding, rep_size, def_size;
    bool is_packed;
} header;

static void read_data(header *h, lf_thrift *t) {
    enum { D_VALUES = 1, D_ENCODING, D_DEF, D_REP };
    for (lf_thrift_field f = {0}; lf_thrift_next(t, &f);) {
        switch (f.id) {
        case D_VALUES: h->n = lf_thrift_i32(t, &f); break;
        case D_ENCODING: h->encoding = lf_thrift_i32(t, &f); break;
        case D_DEF: h->def_encoding = lf_thrift_i32(t, &f); break;
        case D_REP: h->rep_encoding = lf_thrift_i32(t, &f); break;
        default: lf_thrift_skip(t, &f);
        }
    }
}

static void read_data_v2(header *h, lf_thrift *t) {
    enum { D_VALUES = 1, D_ENCODING = 4, D_DEF_SIZE, D_REP_SIZE, D_IS_PACKED };
    for (lf_thrift_field f = {0}; lf_thrift_next(t, &f);) {
        switch (f.id) {
        case D_VALUES: h->n = lf_thrift_i32(t, &f); break;
        case D_ENCODING: h->encoding = lf_thrift_i32(t, &f); break;
        case D_DEF_SIZE: h->def_size = lf_thrift_i32(t, &f); break;
        case D_REP_SIZE: h->rep_size = lf_thrift_i32(t, &f); break;
        case D_IS_PACKED: h->is_packed = lf_thrift_bool(t, &f); break;
        default: lf_thrift_skip(t, &f);
        }
    }
}

static void read_dictionary(header *h, lf_thrift *t) {
    enum { D_VALUES = 1, D_ENCODING };
    for (lf_thrift_field f = {0}; lf_thrift_next(t, &f);) {
        switch (f.id) {
        case D_VALUES: h->n = lf_thrift_i32(t, &f); break;
        case D_ENCODING: h->encoding = lf_thrift_i32(t, &f); break;
        default: lf_thrift_skip(t, &f);
        }
    }
}

static void read_header(header *h, lf_thrift *t) {
    *h = (header){
        .kind = -1, .encoding = -1, .is_packed = true, .def_encoding = LF_PQ_ENC_RLE, .rep_encoding = LF_PQ_ENC_RLE};
    for (lf_thrift_field f = {0}; lf_thrift_next(t, &f);) {
        if (f.id <= H_DATA_V2) h->has[f.id] = true;
        const bool is_struct = f.type == LF_THRIFT_STRUCT;
        switch (f.id) {
        case H_KIND: h->kind = lf_thrift_i32(t, &f); break;
        case H_UNPACKED: h->unpacked = lf_thrift_i32(t, &f); break;
        case H_PACKED: h->packed = lf_thrift_i32(t, &f); break;
        case H_CRC: h->crc = (uint32_t)lf_thrift_integer(t, &f); break;
        case H_DATA: is_struct ? read_data(h, t) : lf_thrift_skip(t, &f); break;
        case H_DICTIONARY: is_struct ? read_dictionary(h, t) : lf_thrift_skip(t, &f); break;
        case H_DATA_V2: is_struct ? read_data_v2(h, t) : lf_thrift_skip(t, &f); break;
        default: lf_thrift_skip(t, &f);
        }
    }
}

static const char *const encoding_names[] = {
    "PLAIN",          "GROUP_VAR_INT",       "PLAIN_DICTIONARY",        "RLE",
    "BIT_PACKED",     "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY",
    "RLE_DICTIONARY", "BYTE_STREAM_SPLIT"};
enum { N_ENCODINGS = sizeof encoding_names / sizeof *encoding_names };

static bool is_dictionary_encoding(int encoding) {
    return encoding == LF_PQ_ENC_PLAIN_DICTIONARY || encoding == LF_PQ_ENC_RLE_DICTIONARY;
}

static lf_status refuse_encoding(int encoding, const lf_pq_where *w, lf_err *err) {
    const lf_parquet *p = w->p;
    return lf_fail(err, LF_EDATA, "%s: column '%.100s': the encoding %s (%d) is not read; write the file with pyarrow",
                   p->path, p->nodes[p->leaves[w->leaf]].name,
                   encoding >= 0 && encoding < N_ENCODINGS ? encoding_names[encoding] : "of an unknown number",
                   encoding);
}

static bool is_known_encoding(int encoding) {
    return encoding == LF_PQ_ENC_PLAIN ||
           (encoding >= LF_PQ_ENC_PLAIN_DICTIONARY && encoding <= LF_PQ_ENC_SPLIT && encoding != LF_PQ_ENC_BIT_PACKED);
}

/* Of levels only run lengths are read; where there are none to be read, what is said of them does not matter. */
static lf_status check_level_encodings(const header *h, const lf_pq_where *w, lf_err *err) {
    const lf_pq_node *leaf = &w->p->nodes[w->p->leaves[w->leaf]];
    if (h->kind != DATA) return LF_OK;
    if (leaf->max_def && h->def_encoding != LF_PQ_ENC_RLE) return refuse_encoding(h->def_encoding, w, err);
    if (leaf->max_rep && h->rep_encoding != LF_PQ_ENC_RLE) return refuse_encoding(h->rep_encoding, w, err);
    return LF_OK;
}

static lf_status check_header(const header *h, const lf_pq_where *w, lf_err *err) {
    static const int of_kind[N_KINDS] = {H_DATA, 0, H_DICTIONARY, H_DATA_V2};
    const uint64_t most = (uint64_t)h->packed * LF_PARQUET_PAGE_TIMES + LF_PARQUET_PAGE_FREE;
    if (h->kind < 0 || h->kind >= N_KINDS) return lf_pq_damaged(w, err, "a page of an unknown kind");
    if (h->kind == INDEX) return LF_OK;
    if (!h->has[of_kind[h->kind]]) return lf_pq_damaged(w, err, "a page's header is cut short");
    if (!is_known_encoding(h->encoding)) return refuse_encoding(h->encoding, w, err);
    if ((uint64_t)h->unpacked > most || (uint64_t)h->unpacked > LF_PARQUET_PAGE_MOST)
        return lf_fail(
            err, LF_EDATA,
            "%s: column '%.100s': a page of %d bytes says that it unpacks to %d; write the file with smaller "
            "row groups",
            w->p->path, w->p->nodes[w->p->leaves[w->leaf]].name, h->packed, h->unpacked);
    if (h->n > LF_PARQUET_MAX_VALUES)
        return lf_fail(err, LF_EDATA,
                       "%s: column '%.100s': a page of %d values; at most %" PRId64 " are read, so write the file with "
                       "smaller row groups",
                       w->p->path, w->p->nodes[w->p->leaves[w->leaf]].name, h->n, LF_PARQUET_MAX_VALUES);
    if (h->kind == DATA_V2 && ((uint64_t)h->rep_size + (uint64_t)h->def_size > (uint64_t)h->packed ||
                               (uint64_t)h->rep_size + (uint64_t)h->def_size > (uint64_t)h->unpacked))
        return lf_pq_damaged(w, err, "levels that are larger than their page");
    return check_level_encodings(h, w, err);
}

lf_status lf_pq_page_header(lf_pq_page *page, uint64_t *at, const lf_pq_meta *m, const lf_pq_where *w, lf_err *err) {
    header h;
    lf_thrift t = lf_thrift_over(w->p->map + *at, (size_t)(m->end - *at));
    read_header(&h, &t);
    if (t.failed) return lf_pq_damaged(w, err, "a page's header is cut short");
    const lf_status rc = check_header(&h, w, err);
    if (rc) return rc;
    const uint64_t begin = (uint64_t)(t.at - w->p->map);
    if ((uint64_t)h.packed > m->end - begin) return lf_pq_damaged(w, err, "a page is cut short");
    *page = (lf_pq_page){.at = begin,
                         .packed = (uint32_t)h.packed,
                         .unpacked = (uint32_t)h.unpacked,
                         .n = h.kind == INDEX ? 0 : h.n,
                         .encoding = h.encoding,
                         .dictionary = h.kind == DICTIONARY,
                         .v2 = h.kind == DATA_V2,
                         .is_packed = h.is_packed,
                         .has_crc = h.has[H_CRC],
                         .crc = h.crc,
                         .rep_size = (uint32_t)h.rep_size,
                         .def_size = (uint32_t)h.def_size};
    *at = begin + (uint64_t)h.packed;
    return LF_OK;
}

/* ---- decoding ------------------------------------------------------------------------------------------------------
 */

typedef struct decoding {
    const lf_pq_page *page;
    const lf_pq_node *leaf;
    lf_pq_decoded *out;
    const unsigned char *base; /* of the unpacked page */
    lf_pq_bytes bytes;         /* what is left of it */
    int64_t dictionary_n;
} decoding;

/* *base and *bytes become the content; what precedes it in a v2 page, the levels, is never packed. */
static const char *unpack(decoding *d, const unsigned char *file, int codec) {
    const lf_pq_page *p = d->page;
    const size_t levels = p->v2 ? (size_t)p->rep_size + p->def_size : 0;
    if (p->has_crc && lf_crc32(file, p->packed) != p->crc) return "a page's checksum is not right";
    d->base = file;
    if (codec != LF_PQ_UNCOMPRESSED && p->is_packed && p->packed > levels) {
        const size_t n = p->unpacked;
        unsigned char *owned = d->out->values.owned = lf_malloc(n + 1);
        if (!owned) return lf_pq_no_memory;
        d->out->values.size += n + 1;
        if (levels) memcpy(owned, file, levels);
        if (!lf_pq_codec_unpack(codec)(owned + levels, n - levels, file + levels, p->packed - levels))
            return "a page cannot be unpacked";
        d->base = owned;
    } else if (p->packed != p->unpacked) {
        return "a page of another size than it says";
    }
    d->bytes = (lf_pq_bytes){d->base, d->base + p->unpacked};
    return NULL;
}

/* Levels of a v1 page stand behind their size. */
static const char *level_bytes(lf_pq_bytes *out, decoding *d, uint32_t size) {
    const uint64_t left = (uint64_t)(d->bytes.end - d->bytes.at);
    if (!d->page->v2) {
        if (left < 4) return "levels are cut short";
        const unsigned char *s = d->bytes.at;
        size = (uint32_t)s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24;
        d->bytes.at += 4;
        if (size > left - 4) return "levels are cut short";
    }
    *out = (lf_pq_bytes){d->bytes.at, d->bytes.at + size};
    d->bytes.at += size;
    return NULL;
}

static const char *read_levels(uint8_t **out, decoding *d, int most, uint32_t size) {
    lf_pq_bytes b;
    const int64_t n = d->page->n;
    if (most == 0 && d->page->v2) d->bytes.at += size;
    if (most == 0) return NULL;
    const char *wrong = level_bytes(&b, d, size);
    if (wrong) return wrong;
    if (!(*out = lf_malloc((size_t)n + 1))) return lf_pq_no_memory;
    d->out->size += (size_t)n + 1;
    return lf_pq_read_levels(*out, n, most, &b);
}

/* *values: how many entries have one. */
static const char *place_values(decoding *d, int64_t *values) {
    lf_pq_decoded *out = d->out;
    *values = out->n;
    if (!out->def) return NULL;
    if (!(out->place = lf_malloc((size_t)(out->n + 1) * sizeof *out->place))) return lf_pq_no_memory;
    out->size += (size_t)(out->n + 1) * sizeof *out->place;
    uint32_t n = 0;
    for (int64_t i = 0; i < out->n; i++) {
        out->place[i] = n;
        n += out->def[i] == d->leaf->max_def;
    }
    *values = n;
    return NULL;
}

static const char *find_starts(decoding *d) {
    lf_pq_decoded *out = d->out;
    out->n_starts = out->n;
    if (!out->rep) return NULL;
    out->n_starts = 0;
    if (!(out->starts = lf_malloc((size_t)(out->n + 1) * sizeof *out->starts))) return lf_pq_no_memory;
    out->size += (size_t)(out->n + 1) * sizeof *out->starts;
    for (int64_t i = 0; i < out->n; i++)
        if (out->rep[i] == 0) out->starts[out->n_starts++] = (uint32_t)i;
    return NULL;
}

static const char *read_indices(decoding *d, int64_t n) {
    lf_pq_decoded *out = d->out;
    out->values.n = n;
    if (!(out->index = lf_malloc((size_t)(n + 1) * sizeof *out->index))) return lf_pq_no_memory;
    out->size += (size_t)(n + 1) * sizeof *out->index;
    if (n == 0) return NULL;
    if (d->dictionary_n < 0) return "a page by a dictionary, but there is none";
    if (d->bytes.at == d->bytes.end) return "the data end too early";
    const int width = *d->bytes.at++;
    if (width > 32) return "numbers of more than 32 bits";
    const char *wrong = lf_pq_read_runs(out->index, n, width, &d->bytes);
    for (int64_t i = 0; i < n && !wrong; i++)
        if (out->index[i] >= (uint64_t)d->dictionary_n) wrong = "a number beyond the dictionary";
    return wrong;
}

static const char *decode(decoding *d) {
    const lf_pq_page *p = d->page;
    lf_pq_decoded *out = d->out;
    const char *wrong;
    int64_t n;
    out->n = p->n;
    if (p->dictionary) {
        const int encoding = p->encoding == LF_PQ_ENC_PLAIN_DICTIONARY ? LF_PQ_ENC_PLAIN : p->encoding;
        return lf_pq_read_values(&out->values, p->n, d->leaf, encoding, d->base, &d->bytes);
    }
    if ((wrong = read_levels(&out->rep, d, d->leaf->max_rep, p->rep_size)) ||
        (wrong = read_levels(&out->def, d, d->leaf->max_def, p->def_size)) || (wrong = place_values(d, &n)) ||
        (wrong = find_starts(d)))
        return wrong;
    if (is_dictionary_encoding(p->encoding)) return read_indices(d, n);
    return lf_pq_read_values(&out->values, n, d->leaf, p->encoding, d->base, &d->bytes);
}

void lf_pq_decoded_free(lf_pq_decoded *d) {
    if (!d) return;
    lf_pq_values_free(&d->values);
    lf_free(d->rep);
    lf_free(d->def);
    lf_free(d->place);
    lf_free(d->starts);
    lf_free(d->index);
    lf_free(d);
}

lf_status lf_pq_page_decode(lf_pq_decoded **out, const lf_pq_page *page, const lf_pq_meta *m, int64_t dictionary_n,
                            const lf_pq_where *w, lf_err *err) {
    lf_pq_decoded *made = lf_calloc(1, sizeof *made);
    if (!made) return lf_no_memory(err, "a page of %s", w->p->path);
    decoding d = {.page = page, .leaf = &w->p->nodes[w->p->leaves[w->leaf]], .out = made, .dictionary_n = dictionary_n};
    const char *wrong = unpack(&d, w->p->map + page->at, m->codec);
    if (!wrong) wrong = decode(&d);
    if (!wrong) {
        made->size += made->values.size + sizeof *made;
        *out = made;
        return LF_OK;
    }
    lf_pq_decoded_free(made);
    if (wrong == lf_pq_no_memory) return lf_no_memory(err, "a page of %u bytes of %s", page->unpacked, w->p->path);
    return lf_pq_damaged(w, err, "%s", wrong);
}
