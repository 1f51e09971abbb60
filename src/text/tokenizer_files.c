/* The files that a tokenizer is of in a model's folder, by all the names that transformers gives them: whoever writes a
 * folder that somebody else will open takes them along. */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

/* Those that are read here come first; the others are for programs that have no tokenizer.json. */
static const char *const names[] = {
    LF_TOKENIZER_JSON,      LF_VOCAB_TXT, LF_TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json",
    LF_CHAT_TEMPLATE_JINJA, "vocab.json", "merges.txt",        "tokenizer.model",         "sentencepiece.bpe.model",
    "spiece.model"};

bool lf_tokenizer_is_in(const char *dir) {
    return lf_is_file_in(dir, LF_TOKENIZER_JSON) || lf_is_file_in(dir, LF_VOCAB_TXT);
}

static lf_status copy_more_templates(const char *from_dir, const char *to_dir, lf_err *err) {
    static const char name[] = LF_CHAT_MORE_TEMPLATES "/tool_use.jinja";
    if (!lf_is_file_in(from_dir, name)) return LF_OK;
    char *to = lf_path_join(to_dir, LF_CHAT_MORE_TEMPLATES);
    lf_status rc = to ? lf_mkdir_p(to, err) : lf_no_memory(err, "%s", to_dir);
    if (!rc) rc = lf_copy_if_there(from_dir, to_dir, name, err);
    lf_free(to);
    return rc;
}

lf_status lf_tokenizer_copy_files(const char *from_dir, const char *to_dir, lf_err *err) {
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++)
        rc = lf_copy_if_there(from_dir, to_dir, names[i], err);
    return rc ? rc : copy_more_templates(from_dir, to_dir, err);
}

lf_status lf_tokenizer_copy_one(const char *path, const char *to_dir, lf_err *err) {
    const bool words = strcmp(lf_path_base(path), LF_VOCAB_TXT) == 0;
    return lf_copy_file(path, to_dir, words ? LF_VOCAB_TXT : LF_TOKENIZER_JSON, err);
}
