#include "text/special_names.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "text/tokenizer.h"

/* In the order in which transformers adds those that a tokenizer.json lacks. */
const char *const lf_special_name_keys[LF_SPECIAL_NAMES] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                            "pad_token", "cls_token", "mask_token"};

const char *lf_special_name(const cJSON *names, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(names, key);
    if (cJSON_IsObject(item)) item = cJSON_GetObjectItemCaseSensitive(item, "content");
    return cJSON_GetStringValue(item);
}

/* *out = NULL where there is no such file. */
static lf_status read_object(cJSON **out, const char *dir, const char *name, lf_err *err) {
    char *path = lf_path_join(dir, name);
    *out = NULL;
    lf_status rc = path ? LF_OK : lf_no_memory(err, "tokens");
    if (!rc && lf_is_file(path)) rc = lf_json_read(out, path, err);
    if (!rc && *out && !cJSON_IsObject(*out)) rc = lf_fail(err, LF_EDATA, "%s: expected an object", path);
    lf_free(path);
    return rc;
}

static void merge(lf_obj *names, const cJSON *map) {
    const cJSON *item;
    cJSON_ArrayForEach(item, map) {
        const cJSON *one, *extra = cJSON_IsArray(item) && !strcmp(item->string, "extra_special_tokens") ? item : NULL;
        cJSON *old = extra ? cJSON_GetObjectItemCaseSensitive(names->json, item->string) : NULL;
        if (cJSON_IsArray(old)) { /* these come behind the others */
            cJSON_ArrayForEach(one, extra) if (!cJSON_AddItemToArray(old, cJSON_Duplicate(one, true))) names->failed =
                true;
            continue;
        }
        lf_obj_drop(names, item->string);
        lf_obj_copy(names, item->string, item);
    }
}

static bool is_named(const cJSON *names, const char *token) {
    for (int i = 0; i < LF_SPECIAL_NAMES; i++) {
        const char *s = lf_special_name(names, lf_special_name_keys[i]);
        if (s && !strcmp(s, token)) return true;
    }
    return false;
}

/* {"<x>": 32000} as {"32000": {"content": "<x>", ...}}. */
static void add_older(lf_obj *names, const cJSON *added) {
    const cJSON *item;
    lf_obj decoder = lf_obj_new();
    cJSON_ArrayForEach(item, added) {
        char id[24] = "none";
        int64_t i;
        const bool special = is_named(names->json, item->string);
        lf_obj token = lf_obj_new();
        if (lf_json_exact_i64(item, &i)) snprintf(id, sizeof id, "%lld", (long long)i);
        lf_obj_string(&token, "content", item->string);
        lf_obj_bool(&token, "special", special);
        lf_obj_bool(&token, "normalized", !special);
        lf_obj_bool(&token, LF_TOKEN_OF_OLDER_FILE, true);
        lf_obj_put(&decoder, id, lf_obj_take(&token));
    }
    lf_obj_put(names, "added_tokens_decoder", lf_obj_take(&decoder));
}

lf_status lf_special_names_read(cJSON **out, char **path, const char *dir, lf_err *err) {
    cJSON *config = NULL, *map = NULL, *added = NULL;
    *out = NULL;
    *path = lf_path_join(dir, LF_TOKENIZER_CONFIG);
    lf_status rc = *path ? read_object(&config, dir, LF_TOKENIZER_CONFIG, err) : lf_no_memory(err, "tokens");
    if (!rc && !cJSON_GetObjectItemCaseSensitive(config, "added_tokens_decoder") &&
        !(rc = read_object(&map, dir, "special_tokens_map.json", err)))
        rc = read_object(&added, dir, "added_tokens.json", err);
    if (!rc) {
        lf_obj names = config ? lf_obj_of(config) : lf_obj_new();
        config = NULL;
        if (map) merge(&names, map);
        if (added) add_older(&names, added);
        *out = lf_obj_take(&names);
        if (!*out) rc = lf_no_memory(err, "tokens");
    }
    cJSON_Delete(config);
    cJSON_Delete(map);
    cJSON_Delete(added);
    return rc;
}
