#define _GNU_SOURCE
#include "sweep/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sweep/ending.h"
#include "sweep/table.h"

static const char *program; /* that runs are processes of; NULL: none was named */

void lf_set_program(const char *path) { program = path; }
bool lf_workers_have_program(void) { return program; }

typedef struct worker {
    pid_t pid;
    int64_t point;
    lf_claim claim;
    bool lost;        /* the claim is another's: how the run ends says nothing */
    bool had_results; /* sweep/ending.h */
    double started;
} worker;

/* ---- one process ---- */

static void run_child(const lf_point *at, pid_t parent) {
    signal(SIGUSR1, SIG_IGN); /* until the run takes it: a request for a checkpoint must not be its death */
    /* Ctrl-C at the terminal reaches the sweep alone, which passes it on once: a second one would kill. Before signals
     * are let through. */
    setpgid(0, 0);
    lf_child_signals();
    /* When the sweep is killed the kernel says so once for each of its threads, and a second SIGTERM would end the run
     * without a checkpoint. The terminal's SIGHUP does not come here, so it is taken under nohup too. */
    signal(SIGHUP, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGHUP);
    if (getppid() != parent) _exit(130); /* it was gone before that was asked for */
    const int log = open(at->log_path, O_WRONLY | O_CREAT | O_APPEND, 0644), nothing = open("/dev/null", O_RDWR);
    if (log < 0 || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        _exit(126);
    close(log);
    close(nothing);
    execl(program, "lora-ft", at->kind->verb, "--config", at->config_path, (char *)NULL);
    _exit(127);
}

static lf_status start(worker *w, const lf_points *p, int64_t i, lf_err *err) {
    lf_status rc = lf_ending_expect(&w->had_results, &p->at[i], err);
    if (!rc) rc = lf_point_write(&p->at[i], err);
    if (rc) return rc;
    const pid_t parent = getpid();
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) run_child(&p->at[i], parent);
    if (pid < 0) return lf_fail(err, LF_EIO, "a process for a run of the sweep: %s", strerror(errno));
    w->pid = pid;
    w->point = i;
    w->lost = false;
    w->started = lf_now();
    return LF_OK;
}

/* What is said of the point in its claim, so that others need not look for it. */
static const char *const ends[] = {[LF_POINT_TODO] = LF_CLAIM_FREE,
                                   [LF_POINT_DONE] = "done",
                                   [LF_POINT_DIVERGED] = "diverged",
                                   [LF_POINT_FAILED] = "failed"};
enum { N_ENDS = sizeof ends / sizeof *ends };

/* ---- all of them ---- */

static const double MOST_PAUSE = 5; /* seconds between looks at what others do */

typedef struct pool {
    lf_points *p;
    lf_share *share;
    lf_table *table;
    worker *workers;
    int64_t jobs, running;
    bool *silent;          /* of each point: that its process is not heard of was said */
    bool *stopped;         /* of each point: its run was stopped by somebody, and is not begun again by this process */
    double deadline;       /* lf_now(); HUGE_VAL: none */
    double pause, look_at; /* when what others hold is looked at again, and the pause that follows */
    bool stopping, said_waiting;
} pool;

static void pass_on(const pool *l, int number) {
    for (int64_t i = 0; i < l->jobs; i++)
        if (l->workers[i].pid) kill(l->workers[i].pid, number);
}

static bool is_left(const pool *l, int64_t i) {
    return l->p->at[i].of_shard && l->p->at[i].state == LF_POINT_TODO && !l->stopped[i];
}

static bool is_at_work(const pool *l, int64_t i) {
    for (int64_t k = 0; k < l->jobs; k++)
        if (l->workers[k].pid && l->workers[k].point == i) return true;
    return false;
}

static bool any_left(const pool *l) {
    for (int64_t i = 0; i < l->p->n; i++)
        if (is_left(l, i)) return true;
    return false;
}

/* A run whose sweep was killed may still be writing its checkpoint, on this machine. */
static bool is_busy(const lf_point *at) {
    bool held;
    return lf_lock_is_held(&held, at->run_dir) || held;
}

/* Another process has run it. */
static void note_elsewhere(pool *l, int64_t i, const lf_claimed *found) {
    for (int k = 0; k < N_ENDS; k++)
        if (strcmp(ends[k], found->ended) == 0) l->p->at[i].state = (lf_point_state)k;
    l->stopped[i] = l->p->at[i].state == LF_POINT_TODO; /* it says what a later version says */
    lf_table_ended(l->table, i, NAN, NULL);
}

/* The claim is ours: what the point is now, and its run if there is one to do. */
static lf_status begin(pool *l, worker *w, int64_t i, lf_err *err) {
    lf_point *at = &l->p->at[i];
    lf_status rc = lf_point_look(at, err);
    if (!rc && at->state == LF_POINT_TODO && !(rc = start(w, l->p, i, err))) {
        l->running++;
        lf_table_started(l->table, i);
        return LF_OK;
    }
    lf_claim_end(&w->claim, ends[at->state]);
    if (!rc) lf_table_ended(l->table, i, NAN, NULL);
    return rc;
}

static void say_waiting(pool *l, int64_t held, const lf_process *by) {
    char line[512], first[320] = "";
    if (l->said_waiting || l->running || !held) return;
    if (by->host[0])
        snprintf(first, sizeof first, ", the first of process %lld on %s", (long long)by->number, by->host);
    snprintf(line, sizeof line,
             "nothing is left to begin; %lld run%s still at work%s: waiting for %s, to finish what they cannot (Ctrl-C "
             "leaves them to it)",
             (long long)held, held > 1 ? "s of other processes are" : " of another process is", first,
             held > 1 ? "them" : "it");
    lf_table_say(l->table, line);
    l->said_waiting = true;
}

static const double SILENT = 120; /* seconds: others touch their claims four times in it */

/* Of a claim whose process is not heard of: that it is waited for, once, and that its run is taken over. */
static void say_silence(pool *l, int64_t i, const lf_claimed *found, bool taken) {
    char line[700];
    if (!taken && (!found->held || found->silent < SILENT || l->silent[i])) return;
    if (taken)
        snprintf(line, sizeof line, "%.200s: taken over from process %lld on %s, which is not heard of any more",
                 l->p->at[i].name, (long long)found->by.number, found->by.host);
    else
        snprintf(line, sizeof line,
                 "%.200s: process %lld on %s was last heard of %.0f minutes ago; its run is taken over after 10",
                 l->p->at[i].name, (long long)found->by.number, found->by.host, found->silent / 60);
    l->silent[i] = true;
    lf_table_say(l->table, line);
}

/* Begins the point if it is to be had; *held: it is not, but may be. */
static lf_status try_point(pool *l, worker *w, int64_t i, bool *held, lf_process *by, lf_err *err) {
    lf_claims *claims = &l->share->claims;
    lf_claimed found;
    lf_status rc = lf_claim_ask(&found, claims, l->p->at[i].name, err);
    const bool busy = !rc && !found.held && !found.ended[0] && is_busy(&l->p->at[i]);
    if (!rc && !busy) rc = lf_claim_take(&w->claim, claims, l->p->at[i].name, &found, err);
    if (rc) return rc;
    say_silence(l, i, &found, w->claim.path && found.lost);
    if (w->claim.path) return begin(l, w, i, err);
    if (found.ended[0]) note_elsewhere(l, i, &found);
    if (found.held) *by = found.by;
    *held = found.held || busy;
    return LF_OK;
}

/* The first point that is to be had, if there is one. */
static lf_status begin_next(pool *l, worker *w, lf_err *err) {
    int64_t n_held = 0;
    lf_process by = {0};
    if (lf_now() < l->look_at) return LF_OK;
    for (int64_t i = 0; i < l->p->n && !w->pid; i++) {
        bool held = false;
        if (!is_left(l, i) || is_at_work(l, i)) continue;
        const lf_status rc = try_point(l, w, i, &held, n_held ? &(lf_process){0} : &by, err);
        if (rc) return rc;
        n_held += held;
    }
    l->pause = w->pid ? 0 : l->pause < MOST_PAUSE / 2 ? 2 * l->pause + 0.05 : MOST_PAUSE;
    l->look_at = lf_now() + l->pause;
    say_waiting(l, n_held, &by);
    return LF_OK;
}

static lf_status end(pool *l, worker *w, int status, lf_err *err) {
    lf_point *at = &l->p->at[w->point];
    char why[1024] = "";
    const lf_status rc = w->lost ? LF_OK : lf_ending_note(at, status, w->had_results, program, why, sizeof why, err);
    if (!l->stopping && !lf_cfg_is_given(l->p->cfg, LF_shard))
        lf_table_workers(l->table, l->jobs * lf_share_processes(l->share));
    if (!w->lost) l->stopped[w->point] = at->state == LF_POINT_TODO;
    lf_claim_end(&w->claim, ends[at->state]);
    lf_table_ended(l->table, w->point, lf_now() - w->started, why);
    w->pid = 0;
    l->running--;
    l->look_at = 0;
    return rc;
}

/* Its run is of no use, and would write where another one writes. */
static void lose(pool *l, worker *w) {
    lf_table_clear(l->table);
    lf_warn("%s: taken over by another process, since nothing was heard of this one for ten minutes",
            l->p->at[w->point].name);
    kill(w->pid, SIGKILL);
    w->lost = true;
}

static bool has_ended(pid_t pid, int *status) {
    const pid_t ended = waitpid(pid, status, WNOHANG);
    return ended == pid || (ended < 0 && errno != EINTR);
}

static lf_status attend(pool *l, worker *w, bool begins, lf_err *err) {
    int status = 1 << 8; /* of a child that cannot be waited for: failed */
    if (!w->pid) return begins ? begin_next(l, w, err) : LF_OK;
    if (has_ended(w->pid, &status)) return end(l, w, status, err);
    if (!w->lost && !lf_claim_keep(&w->claim)) lose(l, w);
    return LF_OK;
}

static void stop(pool *l) {
    l->stopping = true;
    lf_table_workers(l->table, 0);
    pass_on(l, SIGTERM);
    if (l->running)
        lf_table_say(
            l->table,
            "stopping: the runs end their steps and write checkpoints; a second Ctrl-C does not wait for them");
}

static lf_status check_membership(pool *l, lf_err *err) {
    if (lf_share_keep(l->share)) return LF_OK;
    for (int64_t i = 0; i < l->jobs; i++)
        if (l->workers[i].pid && !l->workers[i].lost) lose(l, &l->workers[i]);
    return lf_fail(err, LF_EFAIL,
                   "%s: nothing was heard of this process for ten minutes, and another one has begun anew; the same "
                   "command joins it",
                   l->p->dir);
}

static void wait_a_moment(void) {
    const struct timespec moment = {.tv_nsec = 50000000};
    nanosleep(&moment, NULL);
}

static lf_status run_all(pool *l, lf_err *err) {
    lf_status rc = LF_OK;
    while (l->running || (!l->stopping && any_left(l))) {
        if (!rc) rc = check_membership(l, err);
        if (!l->stopping && (rc || lf_interrupted() || lf_now() > l->deadline)) stop(l);
        if (lf_checkpoint_taken()) pass_on(l, SIGUSR1);
        for (int64_t i = 0; i < l->jobs; i++) {
            const lf_status one = attend(l, &l->workers[i], !l->stopping && !rc, err);
            if (!rc) rc = one;
        }
        lf_table_draw(l->table);
        wait_a_moment();
    }
    if (rc || !l->stopping) return rc;
    return lf_fail(err, LF_EINTERRUPTED, "%s; the same command goes on",
                   lf_interrupted() ? "stopped" : "stopped, because max_train_minutes are over");
}

lf_status lf_workers_run(lf_points *p, lf_share *share, int64_t jobs, double minutes, const lf_point **failed,
                         lf_err *err) {
    *failed = NULL;
    pool l = {.p = p,
              .share = share,
              .table = lf_table_new(p, jobs),
              .workers = lf_calloc((size_t)jobs, sizeof *l.workers),
              .silent = lf_calloc((size_t)p->n, sizeof *l.silent),
              .stopped = lf_calloc((size_t)p->n, sizeof *l.stopped),
              .jobs = jobs,
              .deadline = minutes > 0 ? lf_now() + 60 * minutes : HUGE_VAL};
    const bool ok = l.workers && l.table && l.stopped && l.silent;
    const lf_status rc = ok ? run_all(&l, err) : lf_no_memory(err, "the runs of a sweep");
    for (int64_t i = p->n; i-- > 0;)
        if (p->at[i].of_shard && p->at[i].state == LF_POINT_FAILED) *failed = &p->at[i];
    lf_table_free(l.table);
    lf_free(l.stopped);
    lf_free(l.silent);
    lf_free(l.workers);
    return rc;
}

/* ---- commands ---- */

/* As one word of a POSIX shell. */
static void quoted(FILE *out, const char *text) {
    if (text[0] && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=,+-:@%")]) {
        fputs(text, out);
        return;
    }
    fputc('\'', out);
    for (; *text; text++) fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, out);
    fputc('\'', out);
}

lf_status lf_workers_commands(const lf_points *p, FILE *out, lf_err *err) {
    char path[PATH_MAX], here[PATH_MAX];
    if (!realpath(program, path)) return lf_fail_errno(err, "find", program);
    if (!getcwd(here, sizeof here)) return lf_fail_errno(err, "name", "the current folder");
    for (int64_t i = 0; i < p->n; i++) {
        if (p->at[i].state != LF_POINT_TODO || !p->at[i].of_shard) continue;
        fputs("cd ", out);
        quoted(out, here);
        fputs(" && ", out);
        quoted(out, path);
        fprintf(out, " %s --config ", p->at[i].kind->verb);
        quoted(out, p->at[i].config_path);
        fputs(" --threads 0\n", out);
    }
    return LF_OK;
}
