#include "adapter/peft_readme.h"

#include <stdio.h>
#include <string.h>

#include "adapter/adapter_internal.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/string.h"

/* A JSON string is a Python string. */
static char *quoted(const char *s) {
    cJSON *json = cJSON_CreateString(s);
    char *text = json ? lf_json_print_line(json) : NULL;
    cJSON_Delete(json);
    return text;
}

/* The names of the labels, or their number where they have none. */
static void add_labels(lf_string *t, const lf_adapter_facts *f) {
    if (f->id2label)
        lf_string_add(t, "id2label=id2label, label2id={name: i for i, name in id2label.items()}");
    else
        lf_string_add(t, "num_labels=%lld", (long long)f->num_labels);
}

static void add_imports(lf_string *t, const lf_adapter_facts *f, const char *loader, const char *kind) {
    if (f->head && f->id2label) lf_string_add(t, "import json\n");
    lf_string_add(t, "from peft import PeftModel\nfrom transformers import ");
    if (f->tower)
        lf_string_add(t, "%sConfig, %s, %sVisionModel\n\n", kind, loader, kind);
    else
        lf_string_add(t, "%s\n\n", loader);
}

/* A classifier's class looks for the tower's weights below "vision_model.", and for its sizes in a vision_config:
 * neither is in the folder of a tower, so it is read by its own class and put in its place. */
static void add_tower(lf_string *t, const lf_adapter_facts *f, const char *loader, const char *kind) {
    lf_string_add(
        t,
        "tower = %sVisionModel.from_pretrained(BASE, dtype=\"float32\")  # %s.from_pretrained cannot read it\n"
        "base = %s(%sConfig(\n    vision_config=tower.config.to_dict(),\n    ",
        kind, loader, loader, kind);
    add_labels(t, f);
    lf_string_add(t, ")).to(tower.dtype)\nbase.vision_model = tower\n");
}

/* In float32, as here: weights are kept in it whatever the file has, and a base in bf16 has other probabilities. */
static void add_base(lf_string *t, const lf_adapter_facts *f, const char *loader) {
    lf_string_add(t, "base = %s.from_pretrained(", loader);
    if (!f->head) {
        lf_string_add(t, "BASE, dtype=\"float32\")\n");
        return;
    }
    lf_string_add(t, "\n    BASE, ");
    add_labels(t, f);
    lf_string_add(t, ",\n    dtype=\"float32\", ignore_mismatched_sizes=True)\n");
}

/* Rows of an embedding of tokens that has grown; 0: it has not. */
static int64_t grown_rows(const lf_nn *nn) {
    for (int64_t i = 0; i < nn->n_modules; i++) {
        const lf_module *m = nn->modules[i];
        if (m->of_tokens && m->weight->tensor.shape[0] > m->in) return m->weight->tensor.shape[0];
    }
    return 0;
}

static void add_python(lf_string *t, const lf_nn *nn, const lf_adapter_facts *f, const char *base) {
    const int64_t rows = grown_rows(nn);
    const char *loader = f->auto_class ? f->auto_class : "AutoModelForImageClassification";
    char kind[64]; /* "CLIP" of CLIPForImageClassification */
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(loader, "F"), loader);
    lf_string_add(t, "```python\n");
    add_imports(t, f, loader, kind);
    lf_string_add(t, "BASE = %s  # the model that was fine-tuned\n", base);
    lf_string_add(t, "ADAPTER = \".\"  # this folder\n\n");
    if (f->head && f->id2label)
        lf_string_add(
            t,
            "with open(ADAPTER + \"/" LF_ADAPTER_FACTS "\") as f:\n"
            "    id2label = {int(i): name for i, name in json.load(f)[\"id2label\"].items()}  # num_labels=%lld\n",
            (long long)f->num_labels);
    if (f->tower)
        add_tower(t, f, loader, kind);
    else
        add_base(t, f, loader);
    if (f->head && f->id2label && f->problem_type) {
        lf_string_add(t, "base.config.problem_type = \"%s\"\n", f->problem_type);
        if (f->pad_token_id >= 0)
            lf_string_add(t, "base.config.pad_token_id = %d  # of the tokenizer: behind it no state is taken\n",
                          (int)f->pad_token_id);
    }
    if (rows)
        lf_string_add(
            t,
            "base.resize_token_embeddings(%lld, mean_resizing=False)  # its new tokens are in the adapter, and "
            "in the tokenizer of this folder\n",
            (long long)rows);
    lf_string_add(t, "model = PeftModel.from_pretrained(base, ADAPTER).eval()\n```\n");
}

/* ---- the head, which hubs read ---- */

/* What stands behind the last '/' of a path, of a folder that ends in one before it. */
static lf_slice last_part(const char *path) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    return (lf_slice){path + begin, (int)(end - begin)};
}

static bool add_quoted(lf_string *t, lf_slice s) {
    char *copy = lf_copy_text(s.start, (size_t)s.length), *text = copy ? quoted(copy) : NULL;
    t->failed |= !text;
    if (text) lf_string_add(t, "%s", text);
    lf_free(text);
    lf_free(copy);
    return text != NULL;
}

/* A figure of the results: what is left of its name behind the prefix, and is no bound, count or time. */
static const char *metric_of(const char *name, const char *prefix) {
    static const char *const others[] = {"_low", "_high", "_samples", "_tokens", "_before", "_chance", "_seconds"};
    const size_t n = strlen(prefix), size = strlen(name);
    if (strncmp(name, prefix, n) != 0) return NULL;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const size_t k = strlen(others[i]);
        if (size >= k && strcmp(name + size - k, others[i]) == 0) return NULL;
    }
    return name + n;
}

static void add_metrics(lf_string *t, const lf_adapter_facts *f, const char *data, const char *split,
                        const char *const *prefixes) {
    const cJSON *figure;
    bool begun = false;
    for (; *prefixes; prefixes++) cJSON_ArrayForEach(figure, f->results) {
            const char *metric = cJSON_IsNumber(figure) ? metric_of(figure->string, *prefixes) : NULL;
            if (!metric) continue;
            if (!begun) {
                lf_string_add(t, "  - task:\n      type: %s\n    dataset:\n      name: ", f->hub_task);
                add_quoted(t, last_part(data ? data : split));
                lf_string_add(t, "\n      type: ");
                add_quoted(t, last_part(data ? data : split));
                lf_string_add(t, "\n      split: %s\n    metrics:\n", split);
                begun = true;
            }
            lf_string_add(t, "    - type: %s\n      name: %s\n      value: %.6g\n", *metric ? metric : figure->string,
                          figure->string, figure->valuedouble);
        }
}

/* Last, because who makes another adapter of this one drops them (card.c). */
static void add_results(lf_string *t, const lf_adapter_facts *f) {
    lf_string_add(t, "model-index:\n- name: ");
    add_quoted(t, last_part(f->hub_id ? f->hub_id : f->base_path ? f->base_path : "model"));
    lf_string_add(t, "\n  results:\n");
    add_metrics(t, f, f->eval_data, "validation", (const char *const[]){"eval_", NULL});
    add_metrics(t, f, f->test_data, "test", (const char *const[]){"test_", NULL});
    add_metrics(t, f, f->kept_data, "kept", (const char *const[]){"retention", "forgetting", NULL});
}

/* base_model is a name on the hub or nothing: a path of this machine is none. */
static void add_head(lf_string *t, const lf_adapter_facts *f) {
    lf_string_add(t, "---\n");
    if (f->hub_id)
        lf_string_add(t, "base_model: %s\n", f->hub_id);
    else
        lf_string_add(t, "# base_model: the name of the base on the hub (train: hub_model_id)\n");
    lf_string_add(t, "library_name: peft\n");
    if (f->hub_task) lf_string_add(t, "pipeline_tag: %s\n", f->hub_task);
    lf_string_add(t, "tags:\n- lora\n- lora-ft\n");
    if (f->results && f->hub_task) add_results(t, f);
    lf_string_add(t, "---\n\n");
}

char *lf_peft_readme(const lf_adapter *a, const lf_nn *nn, const lf_adapter_facts *f) {
    lf_string t = {0};
    char *base = quoted(f->hub_id ? f->hub_id : f->base_path ? f->base_path : "path/to/the/base/model");
    if (!base) return NULL;
    add_head(&t, f);
    lf_string_add(&t,
                  "# LoRA adapter\n\nMade by lora-ft %s. A plain LoRA on the untouched base model %s, in PEFT's format",
                  lf_version(), base);
    if (a->residual)
        lf_string_add(
            &t,
            ". It was trained with rank %lld; the rank of this file is twice that, because what is stored is the "
            "difference to the components that training started from",
            (long long)a->r);
    lf_string_add(&t, ".\n\nLoad it in PEFT:\n\n");
    add_python(&t, nn, f, base);
    if (f->head)
        lf_string_add(&t, "\nThe head (%lld labels) is in the adapter.%s\n", (long long)f->num_labels,
                      f->tower ? ""
                               : " Where the base model has another number of labels, transformers "
                                 "says that it makes a new head: PEFT then puts the trained one in its place.");
    lf_string_add(&t, "\nWith lora-ft itself: `lora-ft eval --model BASE --adapter ADAPTER --data DATA`, "
                      "`lora-ft merge --model BASE --adapter ADAPTER -o FOLDER`.\n");
    lf_free(base);
    return lf_string_take(&t);
}
