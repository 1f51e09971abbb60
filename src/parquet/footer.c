/* The footer: schema, row groups, where each column's pages are, and what `datasets` wrote beside it. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "io/unpack.h"
#include "parquet/schema.h"

static const char magic[] = "PAR1", encrypted_magic[] = "PARE";
enum { MAGIC = 4, TAIL = 8 /* the footer's size and the magic */ };

bool lf_parquet_begins(const void *bytes, size_t n) {
    return n >= MAGIC && (!memcmp(bytes, magic, MAGIC) || !memcmp(bytes, encrypted_magic, MAGIC));
}

/* ---- a column of a row group ---------------------------------------------------------------------------------------
 */

typedef struct reading {
    lf_parquet *p;
    lf_thrift t;
    uint64_t data_end; /* where the footer begins */
    int64_t n_rows;    /* as the footer says */
    lf_err *err;
} reading;

static lf_status wrong(const reading *r, const char *what) {
    return lf_fail(r->err, LF_EDATA, "%s: the footer is damaged: %s; is the download complete?", r->p->path, what);
}

/* The fields of a ColumnMetaData that are looked at. */
enum { M_TYPE = 1, M_PATH = 3, M_CODEC, M_VALUES, M_UNPACKED, M_PACKED, M_DATA = 9, M_DICTIONARY = 11 };

typedef struct column_meta {
    int64_t type, codec, n_values, unpacked, packed, data, dictionary; /* -1: not given */
} column_meta;

static void read_meta(column_meta *m, lf_thrift *t) {
    for (lf_thrift_field f = {0}; lf_thrift_next(t, &f);) {
        switch (f.id) {
        case M_TYPE: m->type = lf_thrift_i32(t, &f); break;
        case M_CODEC: m->codec = lf_thrift_i32(t, &f); break;
        case M_VALUES: m->n_values = lf_thrift_integer(t, &f); break;
        case M_UNPACKED: m->unpacked = lf_thrift_integer(t, &f); break;
        case M_PACKED: m->packed = lf_thrift_integer(t, &f); break;
        case M_DATA: m->data = lf_thrift_integer(t, &f); break;
        case M_DICTIONARY: m->dictionary = lf_thrift_integer(t, &f); break;
        default: lf_thrift_skip(t, &f);
        }
    }
}

static lf_status check_meta(lf_pq_meta *out, const column_meta *m, const lf_pq_where *w, const reading *r) {
    const lf_pq_node *leaf = &r->p->nodes[r->p->leaves[w->leaf]];
    const char *codec;
    if (m->n_values == 0) return LF_OK; /* a row group without rows has no pages, wherever it says that they are */
    const int64_t begin = m->dictionary > 0 && m->dictionary < m->data ? m->dictionary : m->data;
    if (m->type != (int64_t)leaf->type) return lf_pq_damaged(w, r->err, "its type is not that of the schema");
    if (m->n_values < 0 || m->unpacked < 0 || m->packed < 0 || begin < MAGIC || (uint64_t)begin > r->data_end ||
        (uint64_t)m->packed > r->data_end - (uint64_t)begin)
        return lf_pq_damaged(w, r->err, "its pages are not within the file");
    if (!lf_pq_codec_known((int)m->codec, &codec))
        return lf_fail(r->err, LF_EDATA,
                       "%s: column '%.100s' is compressed by %s, which is not read; write the file again with "
                       "compression='zstd'",
                       r->p->path, leaf->name, codec);
    *out = (lf_pq_meta){(int)m->codec, m->n_values, (uint64_t)begin, (uint64_t)begin + (uint64_t)m->packed};
    if (lf_add_overflow(r->p->unpacked, (uint64_t)m->unpacked, &r->p->unpacked))
        return lf_pq_damaged(w, r->err, "an impossible size");
    return LF_OK;
}

static lf_status read_chunk(lf_pq_chunk *c, const lf_pq_where *w, reading *r) {
    enum { C_FILE = 1, C_META = 3, C_CRYPTO = 8, C_ENCRYPTED };
    column_meta m = {-1, -1, -1, -1, -1, -1, -1};
    bool elsewhere = false, encrypted = false;
    for (lf_thrift_field f = {0}; lf_thrift_next(&r->t, &f);) {
        elsewhere = elsewhere || f.id == C_FILE;
        encrypted = encrypted || f.id == C_CRYPTO || f.id == C_ENCRYPTED;
        if (f.id == C_META && f.type == LF_THRIFT_STRUCT)
            read_meta(&m, &r->t);
        else
            lf_thrift_skip(&r->t, &f);
    }
    if (r->t.failed) return wrong(r, "a column is cut short");
    if (encrypted) return lf_fail(r->err, LF_EDATA, "%s: a column is encrypted; write the file without", r->p->path);
    if (elsewhere) return lf_fail(r->err, LF_EDATA, "%s: its columns are in other files", r->p->path);
    return check_meta(&c->meta, &m, w, r);
}

/* ---- row groups ----------------------------------------------------------------------------------------------------
 */

static lf_status read_chunks(lf_pq_group *g, const lf_thrift_field *f, reading *r) {
    const size_t n = lf_thrift_list(&r->t, f, LF_THRIFT_STRUCT);
    if (r->t.failed || n != (size_t)r->p->n_leaves) return wrong(r, "a row group has not the columns of the schema");
    if (g->chunks) return wrong(r, "a row group has its columns twice");
    if (!(g->chunks = lf_arena_alloc(r->p->arena, (n + 1) * sizeof *g->chunks)))
        return lf_no_memory(r->err, "the columns of %s", r->p->path);
    lf_status rc = LF_OK;
    for (size_t i = 0; i < n && !rc; i++)
        rc = read_chunk(&g->chunks[i], &(lf_pq_where){r->p, r->p->n_groups, (int)i}, r);
    return rc;
}

/* A flat column has a value, or a null, for each row. */
static lf_status check_group(const lf_pq_group *g, const reading *r) {
    const lf_parquet *p = r->p;
    if (!g->chunks || g->n_rows < 0 || p->n_rows > INT64_MAX - g->n_rows) return wrong(r, "a row group is cut short");
    for (int i = 0; i < p->n_leaves; i++) {
        const int64_t n = g->chunks[i].meta.n_values;
        const bool flat = p->nodes[p->leaves[i]].max_rep == 0;
        if (flat ? n != g->n_rows : n < g->n_rows)
            return lf_pq_damaged(&(lf_pq_where){p, p->n_groups, i}, r->err,
                                 "%" PRId64 " values, but the row group has %" PRId64 " rows", n, g->n_rows);
    }
    return LF_OK;
}

static lf_status read_group(reading *r) {
    enum { G_COLUMNS = 1, G_ROWS = 3 };
    lf_parquet *p = r->p;
    lf_pq_group *g = &p->groups[p->n_groups];
    lf_status rc = LF_OK;
    g->n_rows = -1;
    g->first_row = p->n_rows;
    for (lf_thrift_field f = {0}; !rc && lf_thrift_next(&r->t, &f);) {
        if (f.id == G_COLUMNS)
            rc = read_chunks(g, &f, r);
        else if (f.id == G_ROWS)
            g->n_rows = lf_thrift_integer(&r->t, &f);
        else
            lf_thrift_skip(&r->t, &f);
    }
    if (!rc && r->t.failed) rc = wrong(r, "a row group is cut short");
    if (!rc) rc = check_group(g, r);
    if (rc) return rc;
    p->n_rows += g->n_rows;
    p->n_groups++;
    return LF_OK;
}

static lf_status read_groups(const lf_thrift_field *f, reading *r) {
    const size_t n = lf_thrift_list(&r->t, f, LF_THRIFT_STRUCT);
    if (!r->p->nodes) return wrong(r, "row groups before the schema");
    if (r->p->groups) return wrong(r, "row groups are there twice");
    if (!(r->p->groups = lf_arena_alloc(r->p->arena, (n + 1) * sizeof *r->p->groups)))
        return lf_no_memory(r->err, "the row groups of %s", r->p->path);
    lf_status rc = LF_OK;
    for (size_t i = 0; i < n && !rc; i++) rc = read_group(r);
    return rc;
}

/* ---- what stands beside it -----------------------------------------------------------------------------------------
 */

/* Anyone may write anything there: what is not as `datasets` has it is not taken. */
static lf_status take_features(reading *r, const unsigned char *text, size_t n) {
    lf_parquet *p = r->p;
    if (p->features_of) return LF_OK;
    const lf_status rc = lf_json_parse(&p->features_of, (const char *)text, n, "huggingface", NULL);
    if (rc) return rc == LF_ENOMEM ? lf_no_memory(r->err, "the footer of %s", p->path) : LF_OK;
    const cJSON *info = cJSON_GetObjectItemCaseSensitive(p->features_of, "info");
    if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(info, "features"))) return LF_OK;
    cJSON_Delete(p->features_of);
    p->features_of = NULL;
    return LF_OK;
}

static lf_status read_key_value(reading *r) {
    enum { K_KEY = 1, K_VALUE };
    static const char wanted[] = "huggingface";
    const unsigned char *key = NULL, *value = NULL;
    size_t key_size = 0, value_size = 0;
    for (lf_thrift_field f = {0}; lf_thrift_next(&r->t, &f);) {
        if (f.id == K_KEY)
            key = lf_thrift_binary(&r->t, &f, &key_size);
        else if (f.id == K_VALUE)
            value = lf_thrift_binary(&r->t, &f, &value_size);
        else
            lf_thrift_skip(&r->t, &f);
    }
    if (key && value && key_size == sizeof wanted - 1 && !memcmp(key, wanted, key_size))
        return take_features(r, value, value_size);
    return LF_OK;
}

static lf_status read_key_values(const lf_thrift_field *f, reading *r) {
    const size_t n = lf_thrift_list(&r->t, f, LF_THRIFT_STRUCT);
    lf_status rc = LF_OK;
    for (size_t i = 0; i < n && !rc && !r->t.failed; i++) rc = read_key_value(r);
    return rc;
}

/* ---- all of it -----------------------------------------------------------------------------------------------------
 */

static lf_status read_field(const lf_thrift_field *f, reading *r) {
    enum { F_SCHEMA = 2, F_ROWS, F_GROUPS, F_KEY_VALUES, F_ENCRYPTION = 8 };
    switch (f->id) {
    case F_SCHEMA: return lf_pq_schema_read(r->p, &r->t, f, r->err);
    case F_ROWS: r->n_rows = lf_thrift_integer(&r->t, f); return LF_OK;
    case F_GROUPS: return read_groups(f, r);
    case F_KEY_VALUES: return read_key_values(f, r);
    case F_ENCRYPTION: return lf_fail(r->err, LF_EDATA, "%s: it is encrypted; write the file without", r->p->path);
    default: lf_thrift_skip(&r->t, f); return LF_OK;
    }
}

/* Where the footer is. */
static lf_status find(reading *r) {
    const lf_parquet *p = r->p;
    if (lf_packing_of(p->map, p->size))
        return lf_fail(r->err, LF_EDATA, "%s: a packed file; Parquet is packed within, so unpack it first", p->path);
    if (!lf_parquet_begins(p->map, p->size)) {
        const lf_status rc = lf_refuse_kind(p->map, p->size, p->path, r->err);
        if (rc) return rc;
    }
    if (p->size < MAGIC + TAIL && lf_parquet_begins(p->map, p->size))
        return lf_fail(r->err, LF_EDATA, "%s: it begins as Parquet and ends after %zu bytes; is the download complete?",
                       p->path, p->size);
    if (!lf_parquet_begins(p->map, p->size))
        return lf_fail(r->err, LF_EDATA, "%s: no Parquet file: it does not begin with 'PAR1'", p->path);
    const unsigned char *tail = p->map + p->size - TAIL;
    if (!memcmp(tail + 4, encrypted_magic, MAGIC))
        return lf_fail(r->err, LF_EDATA, "%s: its footer is encrypted; write the file without", p->path);
    if (memcmp(tail + 4, magic, MAGIC) != 0)
        return lf_fail(r->err, LF_EDATA, "%s: a Parquet file that does not end as one; is the download complete?",
                       p->path);
    const uint64_t n = (uint64_t)tail[0] | (uint64_t)tail[1] << 8 | (uint64_t)tail[2] << 16 | (uint64_t)tail[3] << 24;
    if (n > p->size - MAGIC - TAIL) return wrong(r, "it is larger than the file");
    r->data_end = p->size - TAIL - n;
    r->t = lf_thrift_over(p->map + r->data_end, (size_t)n);
    return LF_OK;
}

lf_status lf_pq_footer_read(lf_parquet *p, lf_err *err) {
    reading r = {.p = p, .n_rows = -1, .err = err};
    lf_status rc = find(&r);
    for (lf_thrift_field f = {0}; !rc && lf_thrift_next(&r.t, &f);) rc = read_field(&f, &r);
    if (rc) return rc;
    if (r.t.failed || !p->nodes || (!p->groups && r.n_rows != 0)) return wrong(&r, "it is cut short");
    if (r.n_rows != p->n_rows)
        return lf_fail(err, LF_EDATA, "%s: the footer is damaged: %" PRId64 " rows, but its row groups have %" PRId64,
                       p->path, r.n_rows, p->n_rows);
    return LF_OK;
}
