/* What data are for, and what follows from it. */
#include "task/task.h"

static const struct {
    bool is_base, is_trained_on, is_put_to_base, labels_are_read;
} roles[LF_DATA_ROLES] = {
    [LF_DATA_TRAIN] = {.is_trained_on = true, .labels_are_read = true},
    [LF_DATA_EVAL] = {.labels_are_read = true},
    [LF_DATA_TEST] = {.labels_are_read = true},
    [LF_DATA_BASE] = {.is_base = true, .is_put_to_base = true, .labels_are_read = true},
    [LF_DATA_BASE_EVAL] = {.is_base = true, .is_put_to_base = true, .labels_are_read = true},
    [LF_DATA_CALIBRATION] = {0},
    [LF_DATA_REPLAY] = {.is_trained_on = true, .labels_are_read = true},
    [LF_DATA_KL] = {.is_trained_on = true, .is_put_to_base = true}, /* of labels see lf_task_reads_labels */
};

bool lf_data_is_base(lf_data_role role) { return roles[role].is_base; }
bool lf_data_is_trained_on(lf_data_role role) { return roles[role].is_trained_on; }
bool lf_data_is_put_to_base(lf_data_role role) { return roles[role].is_put_to_base; }

bool lf_task_reads_labels(const lf_task *t, lf_data_role role) {
    return roles[role].labels_are_read || (role == LF_DATA_KL && lf_cfg_bool(t->cfg, LF_kl_mask_target));
}
