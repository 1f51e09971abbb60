/* What the files beside a tokenizer.json say of special tokens, in one place for all who ask: as transformers reads
 * them. */
#ifndef LF_TEXT_SPECIAL_NAMES_H
#define LF_TEXT_SPECIAL_NAMES_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* *out: tokenizer_config.json of the folder, {} if there is none. Where that has no "added_tokens_decoder", the older
 * files count: special_tokens_map.json wins over it, and added_tokens.json becomes its "added_tokens_decoder". `*path`
 * is its file, for errors. The caller deletes and frees both. */
lf_status lf_special_names_read(cJSON **out, char **path, const char *dir, lf_err *err);
#define LF_TOKEN_OF_OLDER_FILE "older" /* key of such a token: over it what tokenizer.json says wins */
/* The token that "eos_token" or the like names, as text or as an object with "content"; NULL: none. */
const char *lf_special_name(const cJSON *names, const char *key);

enum { LF_SPECIAL_NAMES = 7 };
extern const char *const lf_special_name_keys[LF_SPECIAL_NAMES]; /* bos_token first, then eos_token */

#endif
