/* The verb `sweep`. */
#define _POSIX_C_SOURCE 200809L
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "report/page/report.h"
#include "sweep/workers.h"

/* One sweep at a time in a folder. The lock is handed down to the runs: after a sweep was killed, its runs may need a
 * moment to write their checkpoints, and the next one waits for them. */
static lf_status take_lock(int *lock, const char *dir, lf_err *err) {
    lf_status rc = LF_OK;
    *lock = -1;
    for (int tries = 0; !rc && *lock < 0; tries++) {
        lf_err why = {0};
        rc = lf_lock_take(lock, dir, false, &why);
        if (rc == LF_EINTERRUPTED) return lf_fail(err, rc, "%s", why.message);
        if (rc) { /* some file systems have no locks for folders */
            lf_warn("%s; see to it that no other sweep is at work there", why.message);
            return LF_OK;
        }
        if (*lock >= 0) break;
        if (tries == 0) lf_info("%s: waiting for what still runs there", dir);
        if (tries == 60)
            rc = lf_fail(err, LF_EFAIL,
                         "%s: another sweep is at work in this folder; wait for it, or choose another output_dir", dir);
        sleep(1);
    }
    return rc;
}

static int64_t count(const lf_points *p, lf_point_state state) {
    int64_t n = 0;
    for (int64_t i = 0; i < p->n; i++) n += p->at[i].state == state;
    return n;
}

static void say_plan(const lf_points *p, int64_t jobs) {
    const int64_t done = count(p, LF_POINT_DONE), diverged = count(p, LF_POINT_DIVERGED);
    lf_info("%lld run%s, %lld to do, %lld at a time with %d thread%s each; results in %s", (long long)p->n,
            p->n == 1 ? "" : "s", (long long)count(p, LF_POINT_TODO), (long long)jobs, p->threads,
            p->threads == 1 ? "" : "s", p->dir);
    if (done + diverged) lf_info("%lld are finished already, %lld diverged", (long long)done, (long long)diverged);
}

static lf_status run_points(lf_points *p, int64_t jobs, const char *baseline, bool json, FILE *out, lf_err *err) {
    const lf_point *failed;
    lf_status rc = lf_workers_run(p, jobs, &failed, err);
    if (rc) return rc;
    if ((rc = lf_report_set(p->dir, baseline, json, out, err))) return rc;
    const int64_t stopped = count(p, LF_POINT_TODO);
    if (!failed && stopped)
        return lf_fail(err, LF_EFAIL,
                       "%lld of %lld runs were stopped by a signal from elsewhere; the same command goes on",
                       (long long)stopped, (long long)p->n);
    if (!failed) return LF_OK;
    return lf_fail(err, LF_EFAIL, "%lld of %lld runs failed, the first %s; see %s; the same command tries them again",
                   (long long)count(p, LF_POINT_FAILED), (long long)p->n, failed->name, failed->log_path);
}

lf_status lf_sweep(const lf_config *cfg, FILE *out, lf_err *err) {
    const int64_t jobs = lf_cfg_i64(cfg, LF_jobs);
    lf_points p;
    int lock = -1;
    const char *dir = lf_cfg_str(cfg, LF_output_dir);
    lf_status rc = lf_points_open(&p, cfg, jobs, err); /* nothing is made for a sweep that is wrong */
    if (rc) return rc;
    if (lf_cfg_bool(cfg, LF_dry_run)) {
        say_plan(&p, jobs);
        for (int64_t i = 0; i < p.n; i++) lf_info("%s", p.at[i].name);
        lf_points_close(&p);
        return LF_OK;
    }
    lf_points_close(&p); /* what it saw may change until the folder is ours */
    if (!(rc = lf_mkdir_p(dir, err)) && !(rc = take_lock(&lock, dir, err)) &&
        !(rc = lf_points_open(&p, cfg, jobs, err))) {
        say_plan(&p, jobs);
        if (!(rc = lf_points_write(&p, err)))
            rc = lf_cfg_bool(cfg, LF_print_commands)
                     ? lf_workers_commands(&p, out, err)
                     : run_points(&p, jobs, lf_cfg_str(cfg, LF_baseline), lf_cfg_bool(cfg, LF_json), out, err);
        lf_points_close(&p);
    }
    lf_lock_drop(lock);
    return rc;
}
