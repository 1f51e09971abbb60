/* A run's metrics.jsonl, and behind a NUL its confusion.json: cut back as a run does that goes on, and drawn (without
 * gnuplot: what it would be given). One line of error, or files that are there. */
#include "base/json.h"
#include "fuzz.h"
#include "report/figure/confusion.h"
#include "report/figure/curves.h"
#include "report/figure/training.h"
#include "train/metrics.h"

static void check(lf_status rc, const lf_err *err) {
    require_said(rc, err);
    require(rc == LF_OK || rc == LF_EDATA);
}

/* What is left are whole lines of steps up to the one that is kept, and the file goes on behind them. */
static void cut_back(int64_t keep) {
    lf_metrics m;
    lf_err err = {0};
    const lf_status rc = lf_metrics_open(&m, own_folder(), keep, false, &err);
    char *text = NULL;
    size_t n = 0;
    require_said(rc, &err);
    require(rc == LF_OK);
    cJSON *row = cJSON_CreateObject();
    require(row && cJSON_AddNumberToObject(row, "step", (double)keep + 1));
    require(lf_metrics_write(&m, row, NULL) == LF_OK);
    lf_metrics_close(&m);
    require(lf_file_read(&text, &n, in_folder("metrics.jsonl"), NULL) == LF_OK);
    for (char *line = text, *end; (end = memchr(line, '\n', n - (size_t)(line - text))); line = end + 1) {
        cJSON *o = NULL;
        int64_t step = -1;
        require(lf_json_parse(&o, line, (size_t)(end - line), "kept", NULL) == LF_OK);
        require(lf_json_get_i64(o, "step", 0, &step, "kept", NULL) == LF_OK && step <= keep + 1);
        cJSON_Delete(o);
    }
    require(n > 0 && text[n - 1] == '\n');
    lf_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    bool drawn;
    lf_err err = {0};
    lf_log_set_level(LF_LOG_QUIET);
    setenv("PATH", "", 1);
    const uint8_t keep = take_byte(&in);
    const fuzz_part metrics = take_part(&in), confusion = take_rest(&in);
    put_part("metrics.jsonl", metrics);
    if (confusion.n)
        put_part("confusion.json", confusion);
    else
        remove(in_folder("confusion.json"));
    check(lf_report_curves(own_folder(), &drawn, &err), &err);
    err = (lf_err){0};
    check(lf_report_training(own_folder(), &drawn, &err), &err);
    err = (lf_err){0};
    check(lf_report_confusion(own_folder(), &drawn, &err), &err);
    cut_back(keep);
    free(metrics.s);
    free(confusion.s);
    require(lf_alloc_live() == 0);
    return 0;
}
