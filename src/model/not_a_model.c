/* What stands where a model was expected: people have models in many forms, and who names the wrong one is told what it
 * is and how it becomes one that is read. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hub.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "model/model_internal.h"

#define EXPECTED "expected a Hugging Face model directory (config.json, model.safetensors)"
#define PICKLE   "pickle files can run code and are not read"

/* ---- a path that is no folder ---- */

/* By the end of a file's name. */
static const struct {
    const char *endings, *what;
} files[] = {
    {"gguf|ggml", "is a GGUF file, whose weights are quantised for inference; " EXPECTED
                  " with weights in F32, F16 or BF16: take the model that it was made from"},
    {"safetensors", "is a file; " EXPECTED ": give the folder that it is in"},
    {"json", "is a file; " EXPECTED ": give the folder that it is in"},
    {"bin|pt|pth|ckpt|pkl", "is a file of PyTorch; " PICKLE "; " EXPECTED},
    {"onnx|h5|msgpack|tflite|mlmodel", "is a model of another framework; " EXPECTED},
    {"zip|tar|gz|tgz|xz|zst", "is packed; unpack it and give the folder; " EXPECTED},
};

static lf_status no_folder(const char *path, lf_err *err) {
    if (lf_is_file(path)) {
        for (size_t i = 0; i < sizeof files / sizeof *files; i++)
            if (lf_has_extension(lf_path_base(path), files[i].endings))
                return lf_fail(err, LF_EDATA, "%s: %s", path, files[i].what);
        return lf_fail(err, LF_EDATA, "%s: is a file; " EXPECTED, path);
    }
    char fetch[LF_HUB_HINT];
    return lf_fail(err, LF_ENOTFOUND, "%s: no such folder; " EXPECTED "%s", path,
                   lf_hub_hint(fetch, path, LF_HUB_MODEL, "--model"));
}

/* ---- a folder without config.json ---- */

/* By what lies in it: the first that is there. '*': a name that begins or ends so. */
static const struct {
    const char *holds, *what;
} folders[] = {
    {"adapter_config.json", "is an adapter; give it as --adapter, and as --model the model it was trained on"},
    {"lora_ft.json", "is an adapter; give it as --adapter, and as --model the model it was trained on"},
    {"all_results.json",
     "is the folder of a run; its adapter is %s/adapter (--adapter); as --model give the model that "
     "it was trained on, or what merge made of both"},
    {"metrics.jsonl", "is the folder of a run; as --model give the model that it was trained on"},
    {"snapshots", "is a folder of the hub's cache; the model is the folder below %s/snapshots"},
    {"model_index.json", "is a pipeline of diffusers, which this version does not read"},
    {"open_clip_config.json", "is a model of OpenCLIP, whose names of tensors differ; " EXPECTED},
    {"params.json", "holds a model in its maker's own form; take the one that is published for transformers"},
    {"*.gguf", "holds GGUF files, whose weights are quantised for inference; take the model that they were made from"},
    {"checkpoint-*", "holds checkpoints; give one of them"},
    {"models--*", "is the hub's cache; the models are the folders %s/models--NAME/snapshots/HASH"},
    {"0_Transformer", "is a model of sentence-transformers; the transformer is %s/0_Transformer"},
    {"saved_model.pb", "is a model of TensorFlow; " EXPECTED},
    {"model.safetensors", "has weights, but no config.json, which describes them; is the download complete?"},
    {"model.safetensors.index.json",
     "has weights, but no config.json, which describes them; is the download complete?"},
    {"pytorch_model.bin", "has weights, but no config.json, which describes them; is the download complete?"},
};

static bool is_like(const char *name, const char *pattern) {
    const size_t n = strlen(name), k = strlen(pattern) - 1;
    if (pattern[0] == '*') return n > k && strcmp(name + n - k, pattern + 1) == 0;
    return pattern[k] == '*' ? strncmp(name, pattern, k) == 0 : strcmp(name, pattern) == 0;
}

static bool holds(char *const *names, size_t n, const char *pattern) {
    for (size_t i = 0; i < n; i++)
        if (is_like(names[i], pattern)) return true;
    return false;
}

/* `what` with the folder put in for %s. */
static lf_status say_folder(const char *path, const char *what, lf_err *err) {
    const char *gap = strstr(what, "%s");
    return lf_fail(err, LF_EDATA, "%s: %.*s%s%s", path, gap ? (int)(gap - what) : (int)strlen(what), what,
                   gap ? path : "", gap ? gap + 2 : "");
}

static lf_status no_config(const char *path, char *const *names, size_t n, lf_err *err) {
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (holds(names, n, folders[i].holds)) return say_folder(path, folders[i].what, err);
    return lf_fail(err, LF_ENOTFOUND, "%s: %s; " EXPECTED, path,
                   n ? "there is no config.json in it" : "the folder is empty");
}

/* ---- a folder without weights that are read ---- */

/* "GPT2LMHeadModel": the class that reads the weights; a name and nothing else, because it becomes part of a command.
 */
static const char *class_of(const cJSON *config) {
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(config, "architectures"), 0);
    const char *name = cJSON_GetStringValue(first);
    if (!name || !isalpha((unsigned char)name[0])) return "AutoModel";
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) || c - name > 100) return "AutoModel";
    return name;
}

static lf_status no_weights(const char *path, char *const *names, size_t n, lf_err *err) {
    if (!holds(names, n, "pytorch_model.bin") && !holds(names, n, "pytorch_model.bin.index.json"))
        return LF_OK; /* who opens the weights says what is missing */
    cJSON *config = NULL;
    const lf_status rc = lf_json_read_in(&config, path, "config.json", err);
    if (rc) return rc;
    lf_fail(err, LF_EUNSUPPORTED,
            "%s: the weights are in pytorch_model.bin alone; " PICKLE
            "; where transformers is installed, this converts them: python3 -c \"import transformers as t; d = '%s'; "
            "t.%s.from_pretrained(d).save_pretrained(d + '-safetensors'); "
            "t.AutoTokenizer.from_pretrained(d).save_pretrained(d + '-safetensors')\"",
            path, path, class_of(config));
    cJSON_Delete(config);
    return LF_EUNSUPPORTED;
}

lf_status lf_model_explain_folder(const char *path, lf_err *err) {
    char **names;
    size_t n;
    if (!lf_is_dir(path)) return no_folder(path, err);
    lf_status rc = lf_list_dir(&names, &n, path, err);
    if (rc) return rc;
    if (!holds(names, n, "config.json"))
        rc = no_config(path, names, n, err);
    else if (!holds(names, n, "model.safetensors") && !holds(names, n, "model.safetensors.index.json"))
        rc = no_weights(path, names, n, err);
    lf_free(names);
    return rc;
}

/* ---- a config.json without model_type ---- */

/* By a key that it has in its place. */
static const struct {
    const char *key, *what;
} configs[] = {
    {"architecture",
     "is the configuration of a timm model, whose names of tensors differ; take the same model as it is "
     "published for transformers, or convert it (transformers has scripts for ViT and DeiT)"},
    {"model_cfg", "is the configuration of an OpenCLIP model; take the same model as it is published for transformers"},
    {"_class_name", "is the configuration of a part of a diffusers pipeline, which this version does not read"},
    {"peft_type", "is the configuration of an adapter; give its folder as --adapter"},
    {"n_heads", "is in its maker's own form; take the model that is published for transformers"},
    {"dim", "is in its maker's own form; take the model that is published for transformers"},
    {"train_data", "is the configuration of a run; give it as --config"},
};

lf_status lf_model_explain_config(const cJSON *config, const char *path, lf_err *err) {
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
        if (cJSON_GetObjectItemCaseSensitive(config, configs[i].key))
            return lf_fail(err, LF_EDATA, "%s: there is no key 'model_type', but '%s': this %s", path, configs[i].key,
                           configs[i].what);
    return lf_fail(err, LF_EDATA,
                   "%s: there is no key 'model_type', which says what kind of model this is; expected the config.json "
                   "of a Hugging Face model",
                   path);
}
