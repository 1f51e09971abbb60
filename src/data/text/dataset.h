/* Text as one indexed set of documents, whatever it is stored as, and how a document becomes tokens.
 *
 * A file is mapped, never read whole: opening makes an index of where records begin (8 bytes a record), and a record is
 * parsed when it is asked for. Lines are counted only for messages.
 *
 * Formats (formats.def), by the file's extension, else by its first character; "format" in the spec decides:
 *   jsonl      a JSON object a line; blank lines are skipped
 *   json       a list of objects, or objects one after the other
 *   csv, tsv   data/delimited.h; the first record names the columns, or "columns" in the spec; "delimiter" and
 *              "quoting" too
 *   trec       lines "CLASS:subclass text" (trec.c); where texts are classified also under the name of plain text
 *   parquet    rows of a Parquet file (parquet/parquet.h), known by its first bytes under any name
 *   text       plain text: a file is one document, and a folder of them as many; see "windows"
 * A byte order mark is skipped, lines may end in LF, CRLF or CR. In plain text each becomes LF; in quoted fields a line
 * break stays as it is.
 * A folder may instead hold a file for each split: train.jsonl, test.csv, ..., or shards of it (data/files.h). Several
 * files, by a list, a pattern or as shards, are one data set; each has a format of its own, all one layout.
 * gzip and Zstandard are unpacked into a temporary file (io/unpack.h).
 *
 * Layouts (layouts.def, docs/text-data.md), by the fields of the first record; every record must have them:
 *   messages and the like  [{"role": ..., "content": ...}, ...]; the chat template makes the text; loss on what the
 *                          assistant says
 *   choices and the like   a question, choices, and which is right; the text is the question and the right choice; loss
 *                          on the choice
 *   pairs                  a prompt and an answer under one of many names; loss on the answer
 *   text                   text (or text_field); loss on everything
 * Numbers (as Python writes them) and true/false are taken as text. prompt_template replaces what stands before the
 * answer: {field} is a field of the record (empty if it is absent but another record may have it, as input), {{ and }}
 * are braces. Fields and keys of messages that nothing reads are counted and said.
 *
 * Tokens. A document is encoded whole, with the special tokens of the tokenizer's post-processor (a chat template's
 * text: without, they are in the text). For training, the EOS token is put behind it unless it ends in one or came from
 * a chat template, whose own end of turn it is; for evaluation it is not. What is longer than max_seq_length is cut at
 * its end and counted; a prompt that leaves no token of its answer is an error. The border between prompt and answer is
 * where the tokens of the text before the border cease to be those of the whole text, so a token across the border is
 * the answer's.
 *
 * Windows. Plain text is one stream of tokens a file (BOS in front if the post-processor says so), cut into windows of
 * max_seq_length tokens that do not overlap; the rest at the end is a shorter window, or nothing if it is one token.
 * Only a tokenizer knows how many there are, so count, max_samples and split are about windows, but come to effect in
 * the loader. A file above 4 MiB is encoded in pieces of that size, cut between lines. */
#ifndef LF_DATA_TEXT_DATASET_H
#define LF_DATA_TEXT_DATASET_H

#include <cjson/cJSON.h>

#include "base/error.h"
#include "base/problem.h"
#include "data/fingerprint.h"
#include "data/label_form.h"
#include "data/label_sets.h"
#include "text/chat_template.h"
#include "text/ids.h"

/* ---- what others provide ------------------------------------------------------------------------------------------
 */

/* A tokenizer. bos, eos, pad: -1 = none. */
typedef struct lf_text_encoder {
    /* Appends the ids of text to *out. */
    lf_status (*encode)(void *context, const char *text, size_t n, bool add_special_tokens, lf_ids *out, lf_err *err);
    /* One text, or two (b NULL: one), as a classifier reads them: see lf_tokenizer_encode_pair. NULL: it cannot. */
    lf_status (*encode_pair)(void *context, const char *a, size_t na, const char *b, size_t nb, int64_t max_length,
                             lf_ids *ids, lf_ids *token_types, int64_t *n_left_out, lf_err *err);
    void *context;
    int32_t bos, eos, pad;
    int64_t vocab_size; /* ids are below it: that of the model */
    /* A context of its own for each thread that encodes beside others, where encode changes its context. Both NULL: the
     * one context may be used by several threads at once. */
    lf_status (*open_thread)(void *context, void **out, lf_err *err);
    void (*close_thread)(void *thread_context);
} lf_text_encoder;

/* A chat template, called from several threads at once. */
typedef struct lf_text_chat {
    /* As lf_chat_render: the conversation with all its special tokens, and in it what the assistant says, ascending,
     * each answer with the token that ends its turn. `tools` may be NULL. The caller frees *out. */
    lf_status (*render)(void *context, const lf_message *messages, size_t n, const cJSON *tools,
                        bool add_generation_prompt, lf_prompt *out, lf_err *err);
    bool (*reads)(void *context, const char *key); /* may it read this key of a message? NULL: it may */
    void *context;
} lf_text_chat;

/* ---- data sets ----------------------------------------------------------------------------------------------------
 */

typedef struct lf_text_dataset lf_text_dataset;

/* How records are classified: one text or two, and a label (labelled.def says by which fields). Folders may instead
 * hold a folder of texts a class, or a file a class, with a text a line. */
typedef enum lf_text_labels_asked {
    LF_TEXT_LABELS_NEEDED, /* every record must have one */
    LF_TEXT_LABELS_HOPED,  /* looked for as much, but where the first record has none, they are documents */
    LF_TEXT_LABELS_MAYBE,  /* the same, and only a field that is called label is one, unless label_field names it */
    LF_TEXT_LABELS_IGNORED /* the texts alone */
} lf_text_labels_asked;
typedef struct lf_text_labelling {
    lf_text_labels_asked labels;
    const char *label_field, *text_pair_field; /* NULL: by the fields' names; text_field is that of the data set */
    lf_label_form form;                        /* how several classes are written */
    bool problem_known;                        /* else what the labels look like */
    lf_problem problem;
} lf_text_labelling;

/* What stands before an example's text, which its answers move on by (shots.h). Thread safe. */
typedef struct lf_text_example lf_text_example;
typedef struct lf_text_before {
    lf_status (*put)(const void *context, lf_text_example *e, lf_err *err);
    const void *context; /* outlives the data set */
} lf_text_before;

typedef struct lf_text_dataset_opts {
    /* A path as string, a list of paths, or {"path":..., "format":..., "split":..., "delimiter":..., "quoting":...,
     * "text_field":..., "text_pair_field":..., "label_field":..., "label_separator":..., "label_columns":...,
     * "prompt_template":...}; what it says of fields wins. */
    const cJSON *spec;
    /* Not NULL: a list of objects, which are the records, as jsonl has them; spec is not read. Outlives the data set.
     * Errors call record 3 "KEY[3]". */
    const cJSON *records;
    const char *key;             /* the config key, for errors: "train_data" */
    const char *split;           /* which file of a folder with a file for each split; NULL: "train" */
    const char *text_field;      /* NULL: "text" */
    const char *prompt_template; /* NULL: the layout's own */
    const lf_text_chat *chat;    /* copied; NULL: messages are an error */
    /* Records are prompts, to be answered: an example's text ends where its answer would begin, and the answer, which a
     * record need not have, stands apart (`wanted`). Of a conversation that is what the assistant says last. */
    bool prompts;
    const char *system; /* of prompts that are conversations: their system message, where they have none; NULL: none */
    const lf_text_before *before;       /* copied; NULL: nothing */
    const lf_text_labelling *labelling; /* NULL: records are documents */
    int64_t max_samples;                /* 0 = all; else that many, drawn by `seed` without replacement, in order */
    uint64_t seed;
} lf_text_dataset_opts;

#define LF_GIVEN_TEXTS "texts" /* the key of records that are nobody's data, but what a program asks about */

/* The name of a file's format ("csv"), by its own name, else by its first n bytes; NULL: it has none. */
const char *lf_text_dataset_format_of(const char *name, const char *begins, size_t n);
/* LF_ENOTFOUND, LF_EDATA (empty, no known format or layout, broken structure), LF_EUSAGE (bad spec or template). Of a
 * record format only the structure that divides records is checked here; a bad record is found when it is read. */
lf_status lf_text_dataset_open(lf_text_dataset **out, const lf_text_dataset_opts *opts, lf_err *err);
void lf_text_dataset_free(lf_text_dataset *d);
int64_t lf_text_dataset_count(const lf_text_dataset *d);      /* records; files, if windowed */
bool lf_text_dataset_windowed(const lf_text_dataset *d);      /* plain text */
const char *lf_text_dataset_path(const lf_text_dataset *d);   /* for messages: "FILE and 3 more files" */
uint64_t lf_text_dataset_bytes(const lf_text_dataset *d);     /* of all files, unpacked */
const char *lf_text_dataset_layout(const lf_text_dataset *d); /* its name, for messages; plain text: "text" */
/* What a layout is to those who read its documents. */
typedef enum lf_text_trait {
    LF_TEXT_ONE_FIELD = 1, /* the document is one field, whose name text_field may give */
    LF_TEXT_CHOICES = 2,   /* the answer is one of the example's choices */
    LF_TEXT_CHAT = 4,      /* the chat template makes the document */
    LF_TEXT_CLASSIFIED = 8 /* one text or two, of which a label says something; see the labels below */
} lf_text_trait;
bool lf_text_dataset_is(const lf_text_dataset *d, lf_text_trait trait); /* of plain text: none */
/* Says, once, which fields of the examples that were made so far nothing reads, and which keys of their messages. */
void lf_text_dataset_say_unread(const lf_text_dataset *d);
/* "FILE: line 17" */
const char *lf_text_dataset_record_name(const lf_text_dataset *d, int64_t i, char *buf, size_t size);
int64_t lf_text_dataset_record(const lf_text_dataset *d, int64_t i); /* its number among all records, drawn or not */
/* Of all files that the records are read from, whichever were drawn. */
lf_status lf_text_dataset_fingerprint(lf_fingerprint *out, const lf_text_dataset *d, lf_err *err);
/* Does the folder of the spec have a file for `split`? */
bool lf_text_dataset_has_split(const cJSON *spec, const char *split);

/* Takes the share `fraction` out (drawn by seed) into *held_out; d keeps the rest. Once a data set: LF_EUSAGE if d has
 * been split before. That a share holds nothing, or leaves nothing, is LF_EDATA; for windows the loader says so. */
lf_status lf_text_dataset_split(lf_text_dataset *d, double fraction, uint64_t seed, lf_text_dataset **held_out,
                                lf_err *err);

/* ---- labels -------------------------------------------------------------------------------------------------------
 * Of a data set that is LF_TEXT_CLASSIFIED, whose labels are not ignored. */

bool lf_text_dataset_labelled(const lf_text_dataset *d); /* are there any? */
lf_problem lf_text_dataset_problem(const lf_text_dataset *d);
/* The classes, sorted by name (by number if all are numbers), those of all records, drawn or not; NULL and 0 of
 * numbers. */
const char *const *lf_text_dataset_classes(const lf_text_dataset *d, int64_t *n);
/* The classes become names[n]: what was class c is class to[c] from now on, in all data sets split from this one. */
lf_status lf_text_dataset_relabel(lf_text_dataset *d, const char *const *names, int64_t n, const int32_t *to,
                                  lf_err *err);
/* How many numbers lf_text_dataset_values gives for a record: classes of several labels, numbers, 0 of one class. */
int64_t lf_text_dataset_width(const lf_text_dataset *d);
/* [lf_text_dataset_width] 0 or 1 a class, or the numbers. */
void lf_text_dataset_values(const lf_text_dataset *d, int64_t i, float *out);
/* [lf_text_dataset_width] what the numbers of a record are called; NULL: there is one, or they are classes. */
const char *const *lf_text_dataset_numbers(const lf_text_dataset *d);
int32_t lf_text_dataset_class(const lf_text_dataset *d,
                              int64_t i); /* of one class; -1 of other problems, or unlabelled */

/* ---- one document -------------------------------------------------------------------------------------------------
 */

struct lf_text_example {
    char *text; /* the whole document; NUL at text[n] */
    size_t n;
    lf_answer *answers; /* where loss is taken; none: everywhere */
    int64_t n_answers;
    bool marked;   /* an answer is said not to be learned, so it is none of `answers` */
    bool rendered; /* by a chat template: special tokens are in the text, and it ends as the template says */
    char *second;  /* classified: the second text of a pair, with a NUL behind it; NULL: there is one text */
    size_t n_second;
    bool classified; /* encoded as a classifier reads it */
    char **choices;  /* [n_choices]; the text before the answer is text[0 .. answers[0].begin) */
    int64_t n_choices, answer;
    char *wanted; /* of a prompt: the answer that its record has; NULL: none */
};

/* Thread safe. LF_EDATA naming file and line. Not for windowed data sets. */
lf_status lf_text_dataset_example(const lf_text_dataset *d, int64_t i, lf_text_example *out, lf_err *err);
/* The right choice replaced by choice k, for scoring it. */
lf_status lf_text_example_choose(lf_text_example *e, int64_t k, lf_err *err);
void lf_text_example_free(lf_text_example *e);

/* ---- tokens -------------------------------------------------------------------------------------------------------
 */

/* What becomes of a document that is longer than max_seq_length. */
typedef enum lf_text_overlong { LF_TEXT_TRUNCATE, LF_TEXT_SKIP, LF_TEXT_STOP } lf_text_overlong;
lf_text_overlong lf_text_overlong_named(const char *name); /* of the key overlong */

typedef struct lf_text_encode_opts {
    int64_t max_seq_length; /* >= 2 */
    bool training;          /* EOS at a document's end */
    bool loss_on_prompt;    /* completion_only_loss: false */
    bool last_answer;       /* of the answers that are learned, only the last one is; not with loss_on_prompt */
    int64_t context;        /* positions of the model; 0: no limit. max_seq_length cannot be raised above it */
    lf_text_overlong overlong;
} lf_text_encode_opts;

/* What to do about a text that is longer than max_seq_length. */
const char *lf_text_longer_advice(const lf_text_encode_opts *o, const char *what, char *buf, size_t size);

/* An encoder with what its post-processor puts around a text (found out by trying). */
typedef struct lf_text_coder {
    lf_text_encoder encoder;
    lf_text_encode_opts opts;
    lf_ids before, after;
    bool owned; /* encoder.context, by lf_text_coder_for_thread */
} lf_text_coder;
lf_status lf_text_coder_init(lf_text_coder *c, const lf_text_encoder *encoder, const lf_text_encode_opts *opts,
                             lf_err *err);
/* The same coder for use beside it in another thread. */
lf_status lf_text_coder_for_thread(lf_text_coder *out, const lf_text_coder *c, lf_err *err);
void lf_text_coder_free(lf_text_coder *c);

/* Tokens, each with whether it is to be predicted; of classified texts, with whether it is of the second one. */
typedef struct lf_text_tokens {
    int32_t *ids;
    uint8_t *target;
    int64_t n, capacity;
    bool closed; /* plain text: the last token is an EOS that only training adds */
} lf_text_tokens;
bool lf_text_tokens_reserve(lf_text_tokens *t, int64_t more); /* false when out of memory */
void lf_text_tokens_free(lf_text_tokens *t);

/* Appends the document's tokens; of a classified one those of its text or two, at least one token, without an EOS of
 * training. *cut is how many were cut off: all of them, if it is left out. `name` is named in
 * errors. An id outside the vocabulary, an answer of which nothing is left: LF_EDATA. */
lf_status lf_text_encode(lf_text_tokens *out, int64_t *cut, const lf_text_coder *c, const lf_text_example *e,
                         const char *name, lf_err *err);
/* Record i of a data set, read and encoded; out as it was on failure. Thread safe. Not for windowed data sets. */
lf_status lf_text_dataset_tokens(const lf_text_dataset *d, int64_t i, const lf_text_coder *c, lf_text_tokens *out,
                                 int64_t *cut, lf_err *err);

#endif
