/* Three tasks of the same three classes, of which other colours are meant in each. */
#ifndef LF_TESTS_CONTINUAL_FIXTURE_H
#define LF_TESTS_CONTINUAL_FIXTURE_H

#include "cli/held_fixture.h"

#define SHARED                                                                                                         \
    "--model $M --threads 1 --lr 2e-2 --r 2 --batch_size 4 --max_steps 6 --lr_scheduler_type constant --init "         \
    "intermediate --forgetting_data base "

static const char *const names[] = {"one", "two", "three"};
enum { N_TASKS = 3 };

static const char list[] = "[{\"name\": \"one\", \"train_data\": \"one\"}, "
                           "{\"name\": \"two\", \"train_data\": \"two/train\", \"eval_data\": \"two/val\"}, "
                           "{\"name\": \"three\", \"train_data\": \"three/train\", \"eval_data\": \"three/val\"}]";

__attribute__((unused)) static void put(const char *name, const char *content) {
    lf_err err = {0};
    if (lf_file_write(text("%s/%s", root, name), content, strlen(content), &err)) fail_msg("%s", err.message);
}

__attribute__((unused)) static int setup_all(void **state) {
    static const char *const orders[N_TASKS][3] = {
        {"apple", "bee", "cat"}, {"bee", "cat", "apple"}, {"cat", "apple", "bee"}};
    char folder[32]; /* text() has few */
    if (setup(state)) return 1;
    for (int i = 0; i < N_TASKS; i++) {
        snprintf(folder, sizeof folder, "%s/train", names[i]);
        write_folder(folder, orders[i], 3, 6, 10000 + 1000 * (uint64_t)i);
        snprintf(folder, sizeof folder, "%s/val", names[i]);
        write_folder(folder, orders[i], 3, 5, 20000 + 1000 * (uint64_t)i);
    }
    put("tasks.json", text("{\"tasks\": %s}", list));
    return 0;
}

__attribute__((unused)) static cJSON *json_at(const char *path) {
    cJSON *o;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s", root, path), &err)) fail_msg("%s", err.message);
    return o;
}

/* A member of a member; NAN where it is null. */
__attribute__((unused)) static double number_in(const cJSON *o, const char *key, const char *inner) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    if (inner) v = cJSON_GetObjectItemCaseSensitive(v, inner);
    if (!v) fail_msg("there is no '%s' (%s)", key, inner ? inner : "");
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

__attribute__((unused)) static void same_run(const char *a, const char *b) {
    static const char *const files[] = {"adapter/adapter_model.safetensors", "adapter/lora_ft.json",
                                        "adapter/adapter_config.json", "metrics.jsonl"};
    for (int i = 0; i < 4; i++) same_files(text("%s/%s", a, files[i]), text("%s/%s", b, files[i]));
}

__attribute__((unused)) static void same_sequences(const char *a, const char *b) {
    same_files(text("%s/matrix.csv", a), text("%s/matrix.csv", b));
    same_files(text("%s/all_results.json", a), text("%s/all_results.json", b));
    for (int i = 0; i < N_TASKS; i++) {
        char x[64], y[64];
        snprintf(x, sizeof x, "%s/task-%02d-%s", a, i + 1, names[i]);
        snprintf(y, sizeof y, "%s/task-%02d-%s", b, i + 1, names[i]);
        same_run(x, y);
        same_files(text("%s/scores.json", x), text("%s/scores.json", y));
    }
}

#endif
