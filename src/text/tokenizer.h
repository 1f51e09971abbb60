/* Text to token ids and back, as Hugging Face `tokenizers` does it from a tokenizer.json.
 *
 * Models: BPE, on bytes (GPT-2, Llama 3, Qwen) or on characters with byte fallback (Llama 2, Mistral); WordPiece
 * (BERT); Unigram (XLM-RoBERTa, T5, ALBERT). A normalizer, pre-tokenizer, post-processor or decoder that we do not
 * have, and any other model, is LF_EUNSUPPORTED with the file, the key and the type. The keys "truncation" (but for its
 * direction, see lf_tokenizer_encode_pair) and "padding" are knowingly not followed: how long an example may be and how
 * a batch is filled up is the trainer's business.
 *
 * Threads: an open tokenizer does not change, except in lf_tokenizer_encode, which uses memory that it keeps in it.
 * Several threads may share one if each encodes with a work of its own (lf_tokenizer_encode_with); all other calls take
 * a const tokenizer and need nothing. */
#ifndef LF_TEXT_TOKENIZER_H
#define LF_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "text/ids.h"

typedef struct lf_tokenizer lf_tokenizer;
typedef struct lf_tokenizer_work lf_tokenizer_work;

/* `model_dir` is a model's folder with a tokenizer.json, or BERT's vocab.txt alone, or the path of such a file. bos,
 * eos, pad and unk are named by the files beside it (special_names.h), and tokens that those list or name and
 * tokenizer.json does not have are added, as in transformers; pad may then be beyond the model's vocabulary. (Their
 * add_bos_token and add_eos_token are not followed, nor are they there: it is the post-processor in tokenizer.json;
 * where the two differ a warning says so.) LF_EDATA or LF_EUNSUPPORTED with file and key. The caller frees *out. */
lf_status lf_tokenizer_open(lf_tokenizer **out, const char *model_dir, lf_err *err);
/* The same from the text of a tokenizer.json alone; `name` stands for the file in errors. */
lf_status lf_tokenizer_parse(lf_tokenizer **out, const char *json, size_t size, const char *name, lf_err *err);
void lf_tokenizer_free(lf_tokenizer *t);

/* tokenizer_files.c */
#define LF_TOKENIZER_JSON   "tokenizer.json"
#define LF_VOCAB_TXT        "vocab.txt"
#define LF_TOKENIZER_CONFIG "tokenizer_config.json"
/* Is there a tokenizer in the folder, a tokenizer.json or BERT's vocab.txt? */
bool lf_tokenizer_is_in(const char *dir);
/* Those of its files that are in from_dir, and the templates of chats beside them. */
lf_status lf_tokenizer_copy_files(const char *from_dir, const char *to_dir, lf_err *err);
/* A tokenizer.json or vocab.txt of any name, under the name that it has in a folder. */
lf_status lf_tokenizer_copy_one(const char *path, const char *to_dir, lf_err *err);

/* Makes each of n texts a token, found in texts as it is and not special, as transformers' add_tokens does: under its
 * own id where the vocabulary has it, else under the next one. What is one already stays as it is. made [n] (NULL: not
 * wanted): was this one added? To be called before anything is encoded. LF_EUSAGE: an empty text. */
lf_status lf_tokenizer_add_texts(lf_tokenizer *t, const char *const *texts, int64_t n, bool *made, lf_err *err);

int64_t lf_tokenizer_vocab_size(const lf_tokenizer *t); /* 1 + the largest id, added tokens included */
int32_t lf_tokenizer_bos(const lf_tokenizer *t);        /* -1: none; so the next three */
int32_t lf_tokenizer_eos(const lf_tokenizer *t);
int32_t lf_tokenizer_pad(const lf_tokenizer *t);
int32_t lf_tokenizer_unk(const lf_tokenizer *t);
/* What stands for a hidden token: mask_token, else what BERT or RoBERTa call it; -1: none. */
int32_t lf_tokenizer_mask(const lf_tokenizer *t);
const char *lf_tokenizer_token(const lf_tokenizer *t,
                               int32_t id); /* as in the file ("\u0120the"); NULL: no token; borrowed */
int32_t lf_tokenizer_id(const lf_tokenizer *t, const char *token); /* -1: no such token */
/* Bytes of the longest added token that s[0 .. n) begins with; 0: it begins with none. */
size_t lf_tokenizer_added_at(const lf_tokenizer *t, const char *s, size_t n);
bool lf_tokenizer_is_special(const lf_tokenizer *t, int32_t id);
bool lf_tokenizer_is_added(const lf_tokenizer *t, int32_t id);    /* special or not */
bool lf_tokenizer_is_of_model(const lf_tokenizer *t, int32_t id); /* words are made of it; it may be added, too */

/* Appends the ids of text[0 .. n) to *out. Added tokens inside the text are found, special ones too: text that users
 * write can hold them. LF_EDATA with the byte offset if the text is not UTF-8. On failure *out is as it was. */
lf_status lf_tokenizer_encode(lf_tokenizer *t, const char *text, size_t n, bool add_special_tokens, lf_ids *out,
                              lf_err *err);

/* What one thread encodes with; the tokenizer must outlive it. Holds a cache of words, some megabytes. */
lf_status lf_tokenizer_work_new(lf_tokenizer_work **out, const lf_tokenizer *t, lf_err *err);
void lf_tokenizer_work_free(lf_tokenizer_work *w);
lf_status lf_tokenizer_encode_with(lf_tokenizer_work *w, const char *text, size_t n, bool add_special_tokens,
                                   lf_ids *out, lf_err *err);

/* The same, but no token reaches across a cut, a byte offset between two characters; cuts are in ascending order.
 * starts[i], of n_cuts elements, is the place in *out of the first id of what follows cut i. The text behind a cut is
 * no new text: where the tokenizer puts a space before texts, it puts none there. So if the tokens of the whole text
 * end at the cuts anyway, the ids are those of the whole text. For training on parts of a text, a chat's answers. A cut
 * inside of an added token counts as behind it. */
lf_status lf_tokenizer_encode_cut(lf_tokenizer_work *w, const char *text, size_t n, const size_t *cuts, size_t n_cuts,
                                  bool add_special_tokens, lf_ids *out, int64_t *starts, lf_err *err);

/* One text, or two for a model that judges pairs (b NULL: one), with the special tokens of the post-processor and at
 * most max_length ids, special ones included (0: no limit). Too long a text is cut as transformers does by
 * truncation=True ("longest_first"): of two the longer one first, then both to the same length; at the end, or at the
 * beginning where "truncation_side" is "left". *token_types (NULL: not wanted) are the post-processor's, one an id: of
 * one text 0, of BERT's second text 1. Both lists are appended to. *n_left_out (NULL: not wanted): ids that were cut
 * off. LF_EDATA if a text is not UTF-8 or max_length has no room for the special tokens, LF_EUNSUPPORTED if the file
 * has no form for two texts. On failure the lists are as they were. */
lf_status lf_tokenizer_encode_pair(lf_tokenizer_work *w, const char *a, size_t na, const char *b, size_t nb,
                                   int64_t max_length, lf_ids *ids, lf_ids *token_types, int64_t *n_left_out,
                                   lf_err *err);

/* The text of ids, with a NUL behind it; freed by lf_free. As `tokenizers` decodes, without transformers'
 * clean_up_tokenization_spaces. Bytes that are no UTF-8 come out as U+FFFD. An id without token is LF_EDATA. */
lf_status lf_tokenizer_decode(const lf_tokenizer *t, const int32_t *ids, int64_t n, bool skip_special_tokens,
                              char **out, size_t *n_out, lf_err *err);

/* Decoding while ids come in: each push gives the text that is certain by now, whole characters only. What comes out,
 * put together, is what lf_tokenizer_decode makes of all ids. One thread at a time. */
typedef struct lf_stream lf_stream;
lf_status lf_stream_new(lf_stream **out, const lf_tokenizer *t, bool skip_special_tokens, lf_err *err);
void lf_stream_free(lf_stream *s);
/* *text is valid until the next call, has a NUL behind it, and is often empty. */
lf_status lf_stream_push(lf_stream *s, int32_t id, const char **text, size_t *n, lf_err *err);
/* What is left: half a character comes out as U+FFFD. The stream is then as new. */
lf_status lf_stream_end(lf_stream *s, const char **text, size_t *n, lf_err *err);

#endif
