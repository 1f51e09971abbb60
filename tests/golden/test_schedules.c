/* Learning rates over the steps of a run against transformers' (scripts/make-golden-schedules.py), and what is refused.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "json_fixture.h"
#include "train/schedule.h"

static lf_config *config(const char *name, const char *warmup, const char *kwargs, const char *rate) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    if (lf_config_new(&cfg, "train", &err) || lf_config_set(cfg, "lr_scheduler_type", name, &err) ||
        lf_config_set(cfg, "warmup_steps", warmup, &err) || lf_config_set(cfg, "learning_rate", rate, &err) ||
        (kwargs && lf_config_set(cfg, "lr_scheduler_kwargs", kwargs, &err)))
        fail_msg("%s", err.message);
    return cfg;
}

static void compare(const cJSON *c, int64_t total, const char *rate) {
    const char *name = word(c, "name");
    char *kwargs = lf_json_print_line(member(c, "kwargs")), *warmup = lf_json_print_line(member(c, "warmup_steps"));
    lf_config *cfg = config(name, warmup, kwargs, rate);
    lf_schedule s;
    lf_err err = {0};
    if (lf_schedule_read(&s, cfg, total, &err)) fail_msg("%s %s: %s", name, kwargs, err.message);
    const cJSON *factors = member(c, "factors");
    assert_int_equal(cJSON_GetArraySize(factors), total + 1);
    for (int step = 0; step <= total; step++) {
        const double want = cJSON_GetArrayItem(factors, step)->valuedouble, found = lf_schedule_factor(&s, step);
        if (!(fabs(found - want) < 1e-12))
            fail_msg("%s, warmup %s, %s, step %d: %.17g, expected %.17g", name, warmup, kwargs, step, found, want);
    }
    lf_free(kwargs);
    lf_free(warmup);
    lf_config_free(cfg);
}

static void test_as_transformers(void **state) {
    (void)state;
    cJSON *golden = golden_json("schedules");
    const cJSON *c, *cases = member(golden, "cases");
    char *rate = lf_json_print_line(member(golden, "learning_rate"));
    assert_true(cJSON_GetArraySize(cases) >= 20);
    cJSON_ArrayForEach(c, cases) compare(c, whole(golden, "total"), rate);
    lf_free(rate);
    cJSON_Delete(golden);
}

static void watch(const cJSON *c, const char *rate) {
    char *kwargs = lf_json_print_line(member(c, "kwargs"));
    lf_config *cfg = config("reduce_lr_on_plateau", "3", kwargs, rate);
    lf_schedule s;
    lf_err err = {0};
    if (lf_schedule_read(&s, cfg, 20, &err)) fail_msg("%s: %s", kwargs, err.message);
    const bool less = !strstr(kwargs, "max");
    const cJSON *found, *rates = member(c, "rates");
    int i = 0, lowered = 0;
    assert_true(s.watches && lf_schedule_factor(&s, 0) == 1 && lf_schedule_agrees(&s, less));
    assert_true(lf_schedule_agrees(&s, !less) == !strstr(kwargs, "\"mode\""));
    cJSON_ArrayForEach(found, member(c, "found")) {
        const double before = lf_schedule_factor(&s, i), want = cJSON_GetArrayItem(rates, i)->valuedouble;
        const bool lower = lf_schedule_note(&s, found->valuedouble, less);
        const double after = lf_schedule_factor(&s, i);
        if (!(fabs(s.peak * after - want) < 1e-15) || lower != (after < before))
            fail_msg("%s, evaluation %d: %.17g, expected %.17g", kwargs, i + 1, s.peak * after, want);
        lowered += lower;
        i++;
    }
    assert_true(i == 40 && lowered > 0);
    lf_free(kwargs);
    lf_config_free(cfg);
}

static void test_plateaus_as_torch(void **state) {
    (void)state;
    cJSON *golden = golden_json("schedules");
    const cJSON *c, *cases = member(golden, "plateaus");
    char *rate = lf_json_print_line(member(golden, "learning_rate"));
    assert_true(cJSON_GetArraySize(cases) >= 10);
    cJSON_ArrayForEach(c, cases) watch(c, rate);
    lf_free(rate);
    cJSON_Delete(golden);
}

/* Without num_decay_steps a tenth, and a share of all steps below 1. */
static void test_decay_as_a_share(void **state) {
    (void)state;
    static const char *const kwargs[] = {NULL, "{\"num_decay_steps\": 0.1}", "{\"num_decay_steps\": 2}"};
    for (size_t i = 0; i < sizeof kwargs / sizeof *kwargs; i++) {
        lf_config *cfg = config("warmup_stable_decay", "3", kwargs[i], "1e-3");
        lf_schedule s;
        lf_err err = {0};
        assert_int_equal(lf_schedule_read(&s, cfg, 20, &err), LF_OK);
        assert_true(lf_schedule_factor(&s, 18) == 1 && fabs(lf_schedule_factor(&s, 19) - 0.5) < 1e-12);
        assert_true(lf_schedule_factor(&s, 20) == 0);
        lf_config_free(cfg);
    }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *name, *kwargs, *part;
    } rows[] = {
        {"linear", "{\"power\": 2}", "'power' is no setting of lr_scheduler_type linear, which has none"},
        {"polynomial", "{\"num_cycles\": 2}", "which has 'power', 'lr_end'"},
        {"polynomial", "{\"powr\": 2}", "'powr' is no setting"},
        {"polynomial", "{\"power\": \"2\"}", "'power': expected a number above 0"},
        {"polynomial", "{\"power\": 0}", "'power': expected a number above 0"},
        {"polynomial", "{\"lr_end\": 0.5}", "ends at lr_end, 0.5, which is not below learning_rate, 0.001"},
        {"polynomial", "{\"lr_end\": 1e-3}", "is not below learning_rate"},
        {"cosine_with_min_lr", NULL, "needs one of 'min_lr', 'min_lr_rate'"},
        {"cosine_with_min_lr", "{\"min_lr\": 0, \"min_lr_rate\": 0}", "give one of 'min_lr', 'min_lr_rate'"},
        {"cosine_with_min_lr", "{\"min_lr\": 1}", "'min_lr' 1 is above learning_rate 0.001"},
        {"cosine_with_min_lr", "{\"min_lr_rate\": 1.5}", "'min_lr_rate': expected a number from 0, at most 1"},
        {"warmup_stable_decay", "{\"decay_type\": \"steps\"}",
         "'decay_type': expected one of 'cosine', 'linear', '1-sqrt'"},
        {"warmup_stable_decay", "{\"decay_type\": 1}", "'decay_type': expected one of 'cosine', 'linear', '1-sqrt'"},
        {"reduce_lr_on_plateau", "{\"factor\": 1}", "'factor': expected a number from 0, at most 0.999999"},
        {"reduce_lr_on_plateau", "{\"patience\": 1.5}", "'patience': expected a whole number from 0"},
        {"reduce_lr_on_plateau", "{\"mode\": \"less\"}", "'mode': expected one of 'min', 'max'"},
        {"reduce_lr_on_plateau", "{\"min_lr\": 1}", "'min_lr' 1 is above learning_rate 0.001"},
        {"reduce_lr_on_plateau", "{\"warmup\": 1}", "'warmup' is no setting"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lf_config *cfg = config(rows[i].name, "0", rows[i].kwargs, "1e-3");
        lf_err err = {0};
        assert_int_equal(lf_schedule_check(cfg, &err), LF_EUSAGE);
        if (!strstr(err.message, rows[i].part)) fail_msg("expected '%s', found '%s'", rows[i].part, err.message);
        lf_config_free(cfg);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_transformers),
        cmocka_unit_test(test_plateaus_as_torch),
        cmocka_unit_test(test_decay_as_a_share),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
