#include "adapter/peft_readme.h"

#include "adapter/adapter_internal.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/string.h"

/* A JSON string is a Python string. */
static char *quoted(const char *s) {
    cJSON *json = cJSON_CreateString(s);
    char *text = json ? lf_json_print_line(json) : NULL;
    cJSON_Delete(json);
    return text;
}

static void add_python(lf_string *t, const lf_adapter_facts *f, const char *base) {
    const char *loader = f->auto_class ? f->auto_class : "AutoModelForImageClassification";
    lf_string_add(t, "```python\n");
    if (f->head && f->id2label) lf_string_add(t, "import json\n");
    lf_string_add(t, "from peft import PeftModel\nfrom transformers import %s\n\n", loader);
    lf_string_add(t, "BASE = %s  # the model that was fine-tuned\n", base);
    lf_string_add(t, "ADAPTER = \".\"  # this folder\n\n");
    if (!f->head) {
        lf_string_add(t, "base = %s.from_pretrained(BASE)\n", loader);
    } else if (f->id2label) {
        lf_string_add(
            t,
            "with open(ADAPTER + \"/" LF_ADAPTER_FACTS "\") as f:\n"
            "    id2label = {int(i): name for i, name in json.load(f)[\"id2label\"].items()}  # num_labels=%lld\n"
            "base = %s.from_pretrained(\n"
            "    BASE, id2label=id2label, label2id={name: i for i, name in id2label.items()},\n"
            "    ignore_mismatched_sizes=True)\n",
            (long long)f->num_labels, loader);
        if (f->problem_type) lf_string_add(t, "base.config.problem_type = \"%s\"\n", f->problem_type);
        if (f->problem_type && f->pad_token_id >= 0)
            lf_string_add(t, "base.config.pad_token_id = %d  # of the tokenizer: behind it no state is taken\n",
                          (int)f->pad_token_id);
    } else {
        lf_string_add(t, "base = %s.from_pretrained(BASE, num_labels=%lld, ignore_mismatched_sizes=True)\n", loader,
                      (long long)f->num_labels);
    }
    lf_string_add(t, "model = PeftModel.from_pretrained(base, ADAPTER).eval()\n```\n");
}

char *lf_peft_readme(const lf_adapter *a, const lf_adapter_facts *f) {
    lf_string t = {0};
    char *base = quoted(f->base_path ? f->base_path : "path/to/the/base/model");
    if (!base) return NULL;
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
    add_python(&t, f, base);
    if (f->head)
        lf_string_add(&t,
                      "\nThe head (%lld labels) is in the adapter. Where the base model has another number of labels, "
                      "transformers "
                      "says that it makes a new head: PEFT then puts the trained one in its place.\n",
                      (long long)f->num_labels);
    lf_string_add(&t, "\nWith lora-ft itself: `lora-ft eval --model BASE --adapter ADAPTER --data DATA`, "
                      "`lora-ft merge --model BASE --adapter ADAPTER -o FOLDER`.\n");
    lf_free(base);
    return lf_string_take(&t);
}
