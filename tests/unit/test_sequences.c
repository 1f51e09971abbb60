/* The sequences that are given as configurations: each is read, its tasks are those of its source, and all that can be
 * known without the data holds. And the orders of tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "continual/order.h"
#include "continual/plan.h"
#include "sweep/grid.h"
#include "sweep/kind.h"

static char *path_of(const char *name) {
    char *path = lf_format("%s/configs/%s", LF_SOURCE_DIR, name);
    assert_non_null(path);
    return path;
}

static lf_config *load(const char *verb, const char *const *names, int n) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    if (lf_config_new(&cfg, verb, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < n; i++) {
        char *path = path_of(names[i]);
        if (lf_config_load(cfg, path, &err)) fail_msg("%s", err.message);
        lf_free(path);
    }
    return cfg;
}

static const struct {
    const char *file;
    int tasks;
    const char *names; /* in their order */
} sequences[] = {
    {"continual.json", 5, "A-F G-K L-P Q-U V-Z"},
    {"sequences/split-cifar-100.json", 10, "01 02 03 04 05 06 07 08 09 10"},
    {"sequences/imagenet-r.json", 10, "01 02 03 04 05 06 07 08 09 10"},
    {"sequences/5-datasets.json", 5, "cifar-10 mnist svhn fashion-mnist notmnist"},
    {"sequences/trace.json", 8, "c-stance fomc meetingbank py150 scienceqa numglue-cm numglue-ds 20minuten"},
    {"sequences/o-lora-order-1.json", 4, "dbpedia amazon yahoo ag"},
    {"sequences/o-lora-order-2.json", 4, "dbpedia amazon ag yahoo"},
    {"sequences/o-lora-order-3.json", 4, "yahoo amazon ag dbpedia"},
    {"sequences/o-lora-order-4.json", 15,
     "mnli cb wic copa qqp boolq rte imdb yelp amazon sst2 dbpedia ag multirc yahoo"},
    {"sequences/o-lora-order-5.json", 15,
     "multirc boolq wic mnli cb copa qqp rte imdb sst2 dbpedia ag yelp amazon yahoo"},
    {"sequences/o-lora-order-6.json", 15,
     "yelp amazon mnli cb copa qqp rte imdb sst2 dbpedia ag yahoo multirc boolq wic"},
};

static void each_is_a_sequence(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        lf_config *cfg = load("continual", &sequences[i].file, 1);
        lf_err err = {0};
        lf_plan p;
        char names[400] = "";
        if (lf_config_finish(cfg, &err) || lf_plan_open(&p, cfg, &err))
            fail_msg("%s: %s", sequences[i].file, err.message);
        for (int64_t t = 0; t < p.n_tasks; t++) strcat(strcat(names, t ? " " : ""), p.tasks[t].name);
        assert_int_equal(p.n_tasks, sequences[i].tasks);
        assert_string_equal(names, sequences[i].names);
        lf_plan_close(&p);
        lf_config_free(cfg);
    }
}

static const struct {
    const char *part;
    int points;
} parts[] = {{"study/sequence-h4tune.json", 39},
             {"study/sequence-h4.json", 45},
             {"study/sequence-h4help.json", 20},
             {"study/sequence-h4fresh.json", 15}};

static void check_point(const lf_config *sweep, const cJSON *point, const char *part) {
    lf_config *own = NULL;
    lf_plan p = {0};
    lf_err err = {0};
    lf_status rc = lf_cfg_derive(&own, sweep, lf_point_kind_of(sweep, point)->verb, &err);
    for (const cJSON *v = point->child; v && !rc; v = v->next) rc = lf_cfg_set_json(own, v->string, v, part, &err);
    if (!rc) rc = lf_config_set(own, "output_dir", "somewhere", &err);
    if (!rc) rc = lf_config_finish(own, &err);
    if (!rc) rc = lf_plan_open(&p, own, &err);
    if (rc) fail_msg("%s: %s", part, err.message);
    assert_int_equal(p.n_tasks, 5);
    lf_plan_close(&p);
    lf_config_free(own);
}

static void parts_of_the_study(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *const files[] = {"study/sequence.json", parts[i].part};
        lf_config *cfg = load("sweep", files, 2);
        lf_err err = {0};
        lf_grid grid;
        cJSON *spec = NULL;
        const cJSON *point;
        if (lf_sweep_spec(&spec, cfg, &err) || lf_grid_new(&grid, spec, parts[i].part, &err))
            fail_msg("%s", err.message);
        assert_int_equal(cJSON_GetArraySize(grid.points), parts[i].points);
        cJSON_ArrayForEach(point, grid.points) check_point(cfg, point, parts[i].part);
        lf_grid_free(&grid);
        cJSON_Delete(spec);
        lf_config_free(cfg);
    }
}

/* Of three things there are six orders, and no seventh; each is one of the three things once. */
static void orders_are_all(void **state) {
    (void)state;
    int64_t order[6][3], room[3 * 7];
    for (int64_t k = 0; k < 6; k++) {
        assert_true(lf_task_order(order[k], 3, k, room));
        assert_int_equal(order[k][0] + order[k][1] + order[k][2], 3);
        assert_true(order[k][0] != order[k][1] && order[k][1] != order[k][2] && order[k][0] != order[k][2]);
        for (int64_t j = 0; j < k; j++) assert_memory_not_equal(order[j], order[k], sizeof order[k]);
    }
    for (int i = 0; i < 3; i++) assert_int_equal(order[0][i], i);
    assert_false(lf_task_order(order[0], 3, 6, room));
    assert_true(lf_task_has_order(1, 0) && !lf_task_has_order(1, 1) && lf_task_has_order(20, 10000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_a_sequence),
        cmocka_unit_test(parts_of_the_study),
        cmocka_unit_test(orders_are_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
