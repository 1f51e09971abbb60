/* A tokenizer for models of the tests, which have none; the file that includes this asks for mkdtemp (_XOPEN_SOURCE).
 */
#ifndef LF_TOKENS_FIXTURE_H
#define LF_TOKENS_FIXTURE_H

#include "golden/lm_fixture.h"

#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer.h"

/* A tokenizer of n tokens, for a model that has none. */
static inline lf_tokenizer *tokens(int64_t n) {
    char dir[] = "/tmp/lora-ft-test-XXXXXX", path[128];
    assert_non_null(mkdtemp(dir));
    cJSON *json = cJSON_CreateObject(), *model = cJSON_AddObjectToObject(json, "model");
    cJSON_AddStringToObject(model, "type", "BPE");
    cJSON *vocab = cJSON_AddObjectToObject(model, "vocab");
    cJSON_AddArrayToObject(model, "merges");
    for (int64_t i = 0; i < n; i++) {
        char token[24];
        snprintf(token, sizeof token, "<%lld>", (long long)i);
        cJSON_AddNumberToObject(vocab, token, (double)i);
    }
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    OK(lf_json_write(path, json, false, &err));
    cJSON_Delete(json);
    lf_tokenizer *t;
    OK(lf_tokenizer_open(&t, dir, &err));
    OK(lf_remove_tree(dir, &err));
    return t;
}

#endif
