/* What a text format fills, open.c serves and layout.c makes documents of. */
#ifndef LF_DATA_TEXT_INTERNAL_H
#define LF_DATA_TEXT_INTERNAL_H

#include <stdatomic.h>

#include "base/mapping.h"
#include "base/paths.h"
#include "base/pool.h"
#include "base/string.h"
#include "data/delimited.h"
#include "data/label_reader.h"
#include "data/text/dataset.h"
#include "data/text/unread.h"

/* ---- a file, mapped -----------------------------------------------------------------------------------------------
 * Of a compressed file, its content in a temporary file. */

typedef struct lf_text_map {
    const char *path; /* borrowed */
    const char *data; /* behind a byte order mark; NULL if there is nothing */
    size_t size;
    const lf_mapping *mapping; /* NULL: none, the file is empty */
    size_t base_size;          /* of all of it */
    bool unpacked;
} lf_text_map;
/* LF_EDATA if it is a file of a kind that is no text, which is named. */
lf_status lf_text_map_open(lf_text_map *m, const char *path, lf_err *err);
void lf_text_map_close(lf_text_map *m);
uint64_t lf_text_map_line(const lf_text_map *m, uint64_t at); /* number of the line that byte `at` is in; counts */
/* Lets go of the pages before byte `end` (they come back when they are read), so that reading a file through does not
 * look like holding it. */
void lf_text_map_drop(const lf_text_map *m, uint64_t end);
/* LF_EDATA with the line if bytes [begin, end) are not UTF-8. */
lf_status lf_text_map_check_utf8(const lf_text_map *m, uint64_t begin, uint64_t end, lf_err *err);

/* ---- records ------------------------------------------------------------------------------------------------------
 */

typedef struct lf_text_format lf_text_format;
typedef struct lf_text_layout lf_text_layout;

/* The records of a file; or all of plain text, whatever the number of its files. */
typedef struct lf_text_store {
    const lf_text_format *format;
    const lf_text_layout *layout;
    lf_arena *arena;
    const char *path;
    lf_text_map map;       /* of the records; plain text maps its files when it reads them */
    uint64_t *begin;       /* [n] where records begin; plain text: [n] bytes of its files */
    const lf_paths *given; /* plain text: its files if they were named; NULL: those of the folder `path`. While the
                            * index is made */
    lf_text_map *kept;     /* plain text: [n] those of its files that had to be unpacked, mapped */
    int64_t n, capacity;
    const cJSON *given_records; /* of the format `given`; borrowed */
    void *source;               /* of a format that has its own file */
    uint64_t bytes;             /* of that, unpacked */
    uint64_t dropped;           /* pages of the map up to here were let go while the index was made */
    const char **names;         /* csv: [n_names] columns; plain text: [n] paths */
    int64_t n_names;
    const char *text_field, *prompt_template, *system; /* NULL if not given */
    bool prompts;                                      /* records are to be answered (lf_text_dataset_opts) */
    lf_dialect_spec dialect_spec;                      /* csv: what was asked for, and what it is */
    lf_dialect dialect;
    lf_text_chat chat;
    const lf_text_labelling *labelling; /* NULL: documents */
    const char *split;                  /* of a folder of classes; NULL: not known */
    struct {
        const char *text, *second, *label; /* of classified records; second, label: NULL: none */
    } fields;
} lf_text_store;

struct lf_text_format {
    const char *name;
    bool windowed;   /* plain text */
    bool delimited;  /* "delimiter", "quoting" and "columns" are for it */
    bool labelled;   /* its records have labels, by what the format is */
    bool own_file;   /* index opens s->path itself, and sets bytes */
    bool many_files; /* `path` is a folder, and `names` its files; fields of its records are "text" and "label" */
    lf_status (*index)(lf_text_store *s, lf_err *err); /* fills begin and n; windowed: also opens s->path itself */
    lf_status (*record)(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err); /* an object; NULL if windowed */
    void (*name_of)(const lf_text_store *s, int64_t i, char *buf, size_t size);       /* NULL: "FILE: line 17" */
    void (*close)(lf_text_store *s); /* what index made in `source`, perhaps NULL; NULL: nothing */
};

/* The formats of formats.def: by name, by the extension of a file's name; NULL: none. Their names for messages. */
const lf_text_format *lf_text_format_named(const char *name);
const lf_text_format *lf_text_format_by_name_of(const char *path);
/* By what stands behind the blanks at a file's beginning; only marks of `least` characters or more. */
const lf_text_format *lf_text_format_by_beginning(const char *text, size_t n, size_t least);
const char *lf_text_format_names(char *buf, size_t size);
bool lf_text_is_plain_name(const char *name);   /* of plain text: "a.txt", "a.MD", "a.txt.gz"; not "README.md" */
bool lf_text_is_about_folder(const char *name); /* "README.md" */

/* What the data set of these paths is read from. */
typedef struct lf_text_origin {
    const char *key, *text_field, *prompt_template, *system; /* all but the first may be NULL */
    bool prompts;
    lf_dialect_spec dialect;
    const lf_text_chat *chat;           /* NULL: none */
    const lf_text_labelling *labelling; /* NULL: none */
    const char *split;                  /* of a folder of classes */
    const cJSON *records;               /* given in memory; NULL: files */
} lf_text_origin;
/* Of `path`, which is a file; plain text: the folder, or what stands for the files `given`. Without records it is
 * LF_EDATA, but of an own_file, which says of itself that it has none: n is 0, and no layout is chosen. */
lf_status lf_text_store_open(lf_text_store **out, const lf_text_format *format, const lf_text_origin *o,
                             const char *path, const lf_paths *given, lf_err *err);
void lf_text_store_free(lf_text_store *s);
uint64_t lf_text_store_bytes(const lf_text_store *s); /* unpacked */

/* For the index functions; LF_ENOMEM. */
lf_status lf_text_store_add(lf_text_store *s, uint64_t begin, lf_err *err);
const char *lf_text_store_record_name(const lf_text_store *s, int64_t i, char *buf, size_t size);
/* Bytes [begin, end) as an object; errors name the line in the file. */
lf_status lf_text_parse_object(const lf_text_store *s, uint64_t begin, uint64_t end, cJSON **out, lf_err *err);

/* ---- layouts and templates ----------------------------------------------------------------------------------------
 */

/* The layout of this first record; also checks the prompt template's syntax and whether the layout takes one. */
lf_status lf_text_layout_choose(lf_text_store *s, const cJSON *record, lf_err *err);
const char *lf_text_layout_name(const lf_text_layout *l);
bool lf_text_layout_is(const lf_text_layout *l, lf_text_trait trait);
bool lf_text_layout_answered_by(const lf_text_layout *l, const char *field); /* does it say which choice is right? */
/* unread: NULL: what is not read is not counted. */
lf_status lf_text_layout_example(const lf_text_store *s, int64_t i, const cJSON *record, lf_text_unread *unread,
                                 lf_text_example *out, lf_err *err);

/* LF_EUSAGE naming prompt_template and the place. */
lf_status lf_text_template_check(const char *text, lf_err *err);
/* Puts the text with the fields of `record` filled in. A field that is absent is LF_EDATA (after `name`), but if it is
 * in `optional` ("a|b" or NULL) it is empty. {choices} is the n_choices choices of a question, "A. text" a line; none:
 * it is a field as any other. */
typedef struct lf_text_filling {
    const cJSON *record;
    const char *optional;
    char *const *choices;
    int64_t n_choices;
} lf_text_filling;
lf_status lf_text_template_render(lf_string *out, const char *text, const lf_text_filling *f, const char *name,
                                  lf_err *err);
bool lf_text_template_has(const char *text, const char *field); /* "{field}" */

/* ---- files in a row -----------------------------------------------------------------------------------------------
 */

/* The stores of a data set's files, one after the other; data sets that were split from one another share them. */
typedef struct lf_text_shards {
    atomic_int users;
    const char *path; /* for messages: the file, or the first and how many more */
    lf_text_store **stores;
    int64_t *first; /* [n_stores + 1] number of a store's first record among all; the last is that of all records */
    int64_t n_stores;
    lf_labels *labels; /* of all records; NULL: they are not classified, or the labels are ignored */
} lf_text_shards;
/* format: NULL: by each file's name or first character. */
lf_status lf_text_shards_open(lf_text_shards **out, const lf_text_format *format, const lf_text_origin *o,
                              const lf_paths *files, lf_err *err);
/* Plain text in a folder, or texts by class. */
lf_status lf_text_shards_open_folder(lf_text_shards **out, const lf_text_origin *o, const char *folder, lf_err *err);
/* o->records, which are called o->key. */
lf_status lf_text_shards_open_given(lf_text_shards **out, const lf_text_origin *o, lf_err *err);
void lf_text_shards_release(lf_text_shards *s);
/* The store of record i, which becomes its number there. */
const lf_text_store *lf_text_shards_at(const lf_text_shards *s, int64_t *i);

/* class_files.c and given.c: not in formats.def, because no name says it. */
extern const lf_text_format lf_text_class_files, lf_text_given;

/* ---- plain text ---------------------------------------------------------------------------------------------------
 */

typedef struct lf_text_piece {
    int64_t file;
    uint64_t begin, end; /* bytes behind the byte order mark; end: of the text at least, if `last` */
    bool first, last;    /* of its file */
} lf_text_piece;
/* Cuts all files; *out is freed by lf_free. `piece_bytes` is the least size of a piece but the last. */
lf_status lf_text_plain_pieces(lf_text_piece **out, int64_t *n, const lf_text_store *s, uint64_t piece_bytes,
                               lf_err *err);
lf_status lf_text_plain_encode(lf_text_tokens *out, const lf_text_store *s, const lf_text_piece *piece,
                               const lf_text_coder *c, lf_err *err);

/* ---- drawing ------------------------------------------------------------------------------------------------------
 */

/* Which of n records or windows a data set has: at most max_samples of them, and of those one side of a split. */
typedef struct lf_text_draw {
    int64_t max_samples;
    uint64_t seed, split_seed;
    double held_share; /* 0: not split */
    bool held;         /* the side that was taken out */
} lf_text_draw;
/* *out, ascending, freed by lf_free; NULL = all. LF_EDATA, naming path, if a side is empty. */
lf_status lf_text_draw_from(int64_t **out, int64_t *count, const lf_text_draw *draw, int64_t n, const char *path,
                            lf_err *err);

struct lf_text_dataset {
    lf_text_shards *shards;
    lf_text_draw draw;
    int64_t n;     /* records drawn; files, if windowed */
    int64_t *pick; /* [n] into all records; NULL: all */
    lf_text_unread *unread;
    lf_text_before before; /* put NULL: nothing */
};

/* Tokens for lf_text_encode's friends: out of range is LF_EDATA, naming `name`. */
lf_status lf_text_check_ids(const int32_t *ids, int64_t n, const lf_text_coder *c, const char *name, lf_err *err);

#endif
