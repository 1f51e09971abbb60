/* The verb `sweep`. */
#include "base/file.h"
#include "base/log.h"
#include "report/page/report.h"
#include "sweep/trial.h"
#include "sweep/workers.h"

static void say_plan(const lf_points *p) {
    const int64_t jobs = lf_cfg_i64(p->cfg, LF_jobs);
    const int64_t done = lf_points_count(p, LF_POINT_DONE), diverged = lf_points_count(p, LF_POINT_DIVERGED);
    const char *shard = lf_cfg_str(p->cfg, LF_shard);
    lf_info("%lld run%s%s%s, %lld to do, %lld at a time with %d thread%s each; results in %s", (long long)p->n,
            p->n == 1 ? "" : "s", shard ? ", of them shard " : "", shard ? shard : "",
            (long long)lf_points_count(p, LF_POINT_TODO), (long long)jobs, p->threads, p->threads == 1 ? "" : "s",
            p->dir);
    if (done + diverged)
        lf_info("%lld %s finished already, %lld diverged", (long long)done, done == 1 ? "is" : "are",
                (long long)diverged);
}

/* The tables are written in turn, so that the last ones are of a process that has seen what all others finished. */
static lf_status write_tables(lf_share *share, const lf_points *p, FILE *out, lf_err *err) {
    lf_status rc = lf_share_take_turn(share, err);
    if (!rc) rc = lf_report_set(p->dir, lf_cfg_str(p->cfg, LF_baseline), lf_cfg_bool(p->cfg, LF_json), out, err);
    lf_claims_tidy(&share->claims);
    lf_share_leave(share); /* before the next turn, which may be of a sweep that begins anew */
    lf_share_end_turn(share);
    return rc;
}

static lf_status run_points(lf_points *p, lf_share *share, FILE *out, lf_err *err) {
    const lf_point *failed;
    lf_status rc =
        lf_workers_run(p, share, lf_cfg_i64(p->cfg, LF_jobs), lf_cfg_f64(p->cfg, LF_max_train_minutes), &failed, err);
    if (rc || (rc = write_tables(share, p, out, err))) return rc;
    const int64_t stopped = lf_points_count(p, LF_POINT_TODO);
    if (!failed && stopped)
        return lf_fail(err, LF_EFAIL,
                       "%lld of %lld runs were stopped by a signal from elsewhere; the same command goes on",
                       (long long)stopped, (long long)p->n);
    if (!failed) return LF_OK;
    return lf_fail(err, LF_EFAIL, "%lld of %lld runs failed, the first %s; see %s; the same command tries them again",
                   (long long)lf_points_count(p, LF_POINT_FAILED), (long long)p->n, failed->name, failed->log_path);
}

/* In one's turn: what there is to do, and the files that say it, which of several processes one writes for all. */
static lf_status join(lf_share *share, lf_points *p, const lf_config *cfg, int64_t fits, double began, lf_err *err) {
    const bool overwrites = lf_cfg_bool(cfg, LF_overwrite_output_dir);
    lf_status rc = lf_share_take_turn(share, err);
    if (!rc) rc = lf_share_look(share, overwrites, lf_now() - began, err);
    if (!rc && share->afresh != overwrites) fits = 0; /* found for a sweep of its own; that of the others is kept */
    if (!rc && !(rc = lf_points_open(p, cfg, share->afresh, lf_cfg_i64(cfg, LF_jobs), fits, err))) {
        if ((rc = lf_share_join(share, p, err)))
            lf_points_close(p);
        else
            say_plan(p);
    }
    if (!rc && share->others)
        lf_info("%lld other process%s at work on it", (long long)share->others, share->others > 1 ? "es are" : " is");
    lf_share_end_turn(share);
    return rc;
}

static lf_status print_plan(const lf_config *cfg, int64_t *fits, FILE *out, lf_err *err) {
    lf_points p;
    const bool afresh = lf_cfg_bool(cfg, LF_overwrite_output_dir);
    const lf_status rc = lf_points_open(&p, cfg, afresh, lf_cfg_i64(cfg, LF_jobs), 0, err);
    if (rc) return rc;
    *fits = p.fits;
    lf_status tried = LF_OK;
    if (lf_cfg_bool(cfg, LF_dry_run)) {
        say_plan(&p);
        for (int64_t i = 0; i < p.n; i++)
            if (p.at[i].of_shard) lf_info("%s", p.at[i].name);
        tried = lf_trial(&p, out, err);
    }
    lf_points_close(&p);
    return tried;
}

/* Nothing is made for a sweep that is wrong; what is seen then may change until it is this one's turn. */
lf_status lf_sweep(const lf_config *cfg, FILE *out, lf_err *err) {
    lf_points p;
    lf_share share = {0};
    const char *dir = lf_cfg_str(cfg, LF_output_dir);
    const double began = lf_now();
    int64_t fits;
    lf_status rc = print_plan(cfg, &fits, out, err);
    if (rc || lf_cfg_bool(cfg, LF_dry_run)) return rc;
    if (!lf_workers_have_program())
        return lf_fail(err, LF_EUSAGE, "a sweep's runs are processes of lora-ft, whose path lf_set_program has to say");
    lf_stake_begin(); /* the runs */
    if (!(rc = lf_mkdir_p(dir, err)) && !(rc = lf_share_open(&share, dir, err)) &&
        !(rc = join(&share, &p, cfg, fits, began, err))) {
        rc = lf_cfg_bool(cfg, LF_print_commands) ? lf_workers_commands(&p, out, err) : run_points(&p, &share, out, err);
        lf_points_close(&p);
    }
    lf_share_close(&share);
    lf_stake_end();
    return rc;
}
