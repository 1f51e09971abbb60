#define _DEFAULT_SOURCE /* mkdtemp, strtok_r */
/* What is named as a model and is none: each kind is told for what it is, with what to do. */
#include "folder_fixture.h"

#include "kernels/kernels.h"
#include "model/model.h"

/* `holds`: files of the folder, "a|b"; an item that ends in '/' is a folder, "config.json=TEXT" has a text. */
static const struct {
    const char *name, *holds;
    lf_status status;
    const char *words[4];
} cases[] = {
    {"adapter", "adapter_config.json|adapter_model.safetensors", LF_EDATA, {"is an adapter", "--adapter", "--model"}},
    {"head", "lora_ft.json|adapter_model.safetensors", LF_EDATA, {"is an adapter"}},
    {"run", "all_results.json|adapter/", LF_EDATA, {"folder of a run", "/run/adapter (--adapter)"}},
    {"stopped", "metrics.jsonl|checkpoint-10/", LF_EDATA, {"folder of a run"}},
    {"cached", "blobs/|refs/|snapshots/", LF_EDATA, {"hub's cache", "/cached/snapshots"}},
    {"hub", "models--Qwen--Qwen2-0.5B/|version.txt", LF_EDATA, {"hub's cache", "/hub/models--NAME/snapshots/HASH"}},
    {"pipeline", "model_index.json|unet/", LF_EDATA, {"diffusers"}},
    {"clip", "open_clip_config.json|open_clip_pytorch_model.bin", LF_EDATA, {"OpenCLIP"}},
    {"maker", "params.json|consolidated.00.pth", LF_EDATA, {"maker's own form", "transformers"}},
    {"gguf", "Qwen2-0.5B-Q4_K_M.gguf|README.md", LF_EDATA, {"GGUF", "quantised"}},
    {"trainer", "checkpoint-10/|checkpoint-20/", LF_EDATA, {"checkpoints; give one"}},
    {"sentences", "modules.json|0_Transformer/", LF_EDATA, {"/sentences/0_Transformer"}},
    {"half", "model.safetensors", LF_EDATA, {"no config.json", "download complete"}},
    {"shards", "model.safetensors.index.json", LF_EDATA, {"no config.json", "download complete"}},
    {"empty", "", LF_ENOTFOUND, {"the folder is empty", "Hugging Face"}},
    {"other", "notes.txt", LF_ENOTFOUND, {"no config.json", "Hugging Face"}},
    {"pickle",
     "config.json={\"architectures\": [\"GPT2LMHeadModel\"]}|pytorch_model.bin",
     LF_EUNSUPPORTED,
     {"pickle", "t.GPT2LMHeadModel.from_pretrained(d)", "/pickle'", "-safetensors"}},
    {"pickles", "config.json={}|pytorch_model.bin.index.json", LF_EUNSUPPORTED, {"t.AutoModel.from_pretrained(d)"}},
    {"sly",
     "config.json={\"architectures\": [\"A;import os\"]}|pytorch_model.bin",
     LF_EUNSUPPORTED,
     {"t.AutoModel.from_pretrained(d)"}},
    {"none", "config.json={\"model_type\": \"gpt2\"}", LF_ENOTFOUND, {"model.safetensors", "found neither"}},
    {"timm",
     "config.json={\"architecture\": \"vit_tiny_patch16_224\"}|model.safetensors",
     LF_EDATA,
     {"no key 'model_type', but 'architecture'", "timm"}},
    {"openclip", "config.json={\"model_cfg\": {}}|model.safetensors", LF_EDATA, {"'model_cfg'", "OpenCLIP"}},
    {"unet", "config.json={\"_class_name\": \"UNet2DConditionModel\"}|model.safetensors", LF_EDATA, {"diffusers"}},
    {"lora", "config.json={\"peft_type\": \"LORA\"}|model.safetensors", LF_EDATA, {"an adapter", "--adapter"}},
    {"meta", "config.json={\"dim\": 4096, \"n_heads\": 32}|model.safetensors", LF_EDATA, {"maker's own form"}},
    {"ours", "config.json={\"train_data\": \"x\"}|model.safetensors", LF_EDATA, {"--config"}},
    {"blank", "config.json={}|model.safetensors", LF_EDATA, {"no key 'model_type'", "what kind of model"}},
    {"unknown",
     "config.json={\"model_type\": \"mamba\"}|model.safetensors",
     LF_EUNSUPPORTED,
     {"'mamba' is not supported", "llama"}},
};

/* Paths that are no folder; `path` is taken from the working folder, so it must not be there. */
static const struct {
    const char *path;
    lf_status status;
    const char *words[4];
} paths[] = {
    {"Qwen/Qwen2-0.5B", LF_ENOTFOUND, {"no such folder", "hf download Qwen/Qwen2-0.5B --local-dir Qwen2-0.5B"}},
    {"gpt2", LF_ENOTFOUND, {"hf download gpt2 --local-dir gpt2"}},
    {"https://huggingface.co/openai/clip",
     LF_ENOTFOUND,
     {"hf download openai/clip --local-dir clip, then --model clip"}},
    {"s3://bucket/model", LF_ENOTFOUND, {"no such folder", "nothing is fetched from addresses"}},
    {"./no/such", LF_ENOTFOUND, {"no such folder", "model.safetensors)"}},
    {"/no/such", LF_ENOTFOUND, {"no such folder"}},
    {"a/b/c", LF_ENOTFOUND, {"no such folder"}},
    {"a b", LF_ENOTFOUND, {"no such folder"}},
};

static const struct {
    const char *name, *words[2];
} files[] = {
    {"m.gguf", {"GGUF"}},
    {"model.safetensors", {"is a file", "give the folder"}},
    {"config.json", {"is a file", "give the folder"}},
    {"pytorch_model.BIN", {"pickle"}},
    {"model.onnx", {"another framework"}},
    {"model.tar.gz", {"unpack"}},
    {"notes", {"is a file"}},
};

static void put(const char *dir, const char *item) {
    const char *text = strchr(item, '=');
    char name[160];
    snprintf(name, sizeof name, "%s/%.*s", dir, text ? (int)(text - item) : (int)strlen(item), item);
    if (name[strlen(name) - 1] == '/')
        assert_int_equal(lf_mkdir_p(in_folder(name), NULL), LF_OK);
    else
        put_text(name, text ? text + 1 : "x");
}

static void fails(const char *path, lf_status status, const char *const *words, size_t n) {
    lf_model *m = NULL;
    lf_err err = {0};
    const lf_status rc =
        lf_model_open(&m, path, &(lf_model_opts){.k = &lf_kernels_ref_f32, .load = LF_LOAD_NOTHING}, &err);
    if (rc != status || strncmp(err.message, path, strlen(path)) != 0)
        fail_msg("%s: expected status %d, found %d: %s", path, (int)status, (int)rc, err.message);
    for (size_t i = 0; i < n && words[i]; i++)
        if (!strstr(err.message, words[i])) fail_msg("no '%s' in: %s", words[i], err.message);
    assert_null(m);
    for (long k = 0; k < 200; k++) { /* whatever allocation fails, it says so or the same */
        lf_alloc_fail_after(k);
        const lf_status again =
            lf_model_open(&m, path, &(lf_model_opts){.k = &lf_kernels_ref_f32, .load = LF_LOAD_NOTHING}, NULL);
        lf_alloc_fail_after(-1);
        if (again != LF_ENOMEM && again != status) fail_msg("%s: allocation %ld: status %d", path, k, (int)again);
    }
}

static void test_folders(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char list[160];
        snprintf(list, sizeof list, "%s", cases[i].holds);
        assert_int_equal(lf_mkdir_p(in_folder(cases[i].name), NULL), LF_OK);
        for (char *rest, *item = strtok_r(list, "|", &rest); item; item = strtok_r(NULL, "|", &rest))
            put(cases[i].name, item);
        fails(in_folder(cases[i].name), cases[i].status, cases[i].words, 4);
    }
}

static void test_paths(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) fails(paths[i].path, paths[i].status, paths[i].words, 4);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        put_text(files[i].name, "x");
        fails(in_folder(files[i].name), LF_EDATA, files[i].words, 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {IN_FOLDER(test_folders), IN_FOLDER(test_paths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
