/* The tokenizer of BERT from its older files: vocab.txt, one token a line, and tokenizer_config.json. */
#ifndef LF_TEXT_VOCAB_TXT_H
#define LF_TEXT_VOCAB_TXT_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* A tokenizer.json made of the two, as transformers' (5.24) BertTokenizer makes it, without added tokens and
 * post-processor: these need ids that come later. `names` is what the files beside it say (special_names.h); the names
 * that it lacks are put in. LF_EUNSUPPORTED if they or `model_type` (of config.json; may be NULL) say that it is
 * another tokenizer's vocabulary. The caller deletes *out. */
lf_status lf_vocab_txt_read(cJSON **out, cJSON *names, const char *model_type, const char *path, lf_err *err);
/* {"post_processor": ..}: cls before a text, sep behind it, and behind a second one of type 1. */
cJSON *lf_vocab_txt_postprocessor(int64_t cls, int64_t sep); /* NULL: no memory */

#endif
