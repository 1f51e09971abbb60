#define _GNU_SOURCE
#include "sweep/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "sweep/table.h"

static const char SELF[] = "/proc/self/exe"; /* also after the file was replaced or removed */

typedef struct worker {
    pid_t pid;
    int64_t point;
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
    execl(SELF, "lora-ft", "train", "--config", at->config_path, (char *)NULL);
    _exit(127);
}

static const char error_name[] = "error.json";
static char *error_path(const lf_point *at) { return lf_path_join(at->run_dir, error_name); }

static lf_status start(worker *w, const lf_points *p, int64_t i, lf_err *err) {
    char *path = error_path(&p->at[i]);
    lf_status rc =
        path ? lf_remove_tree(path, err) : lf_no_memory(err, "the workers of a sweep"); /* of an earlier try */
    lf_free(path);
    if (rc) return rc;
    const pid_t parent = getpid();
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) run_child(&p->at[i], parent);
    if (pid < 0) return lf_fail(err, LF_EIO, "a process for a run of the sweep: %s", strerror(errno));
    *w = (worker){pid, i, lf_now()};
    return LF_OK;
}

/* ---- how it ended ---- */

/* The last line of the log, for a run that could not say more. */
static void last_line(const char *path, char *text, size_t size) {
    char *log = NULL;
    size_t n;
    text[0] = '\0';
    if (lf_file_read(&log, &n, path, NULL) == LF_OK) {
        while (n && (log[n - 1] == '\n' || log[n - 1] == '\r')) log[--n] = '\0';
        const char *line = n ? memrchr(log, '\n', n) : NULL;
        snprintf(text, size, "%s", line ? line + 1 : log);
    }
    lf_free(log);
}

static void describe(const lf_point *at, int status, char *text, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(text, size, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 126)
        snprintf(text, size, "%s: cannot be written", at->log_path);
    else if (WEXITSTATUS(status) == 127)
        snprintf(text, size, "%s: cannot be run", SELF);
    else
        last_line(at->log_path, text, size);
}

/* A run that failed before it had a folder, or was killed, has not recorded it itself. */
static lf_status record(const lf_point *at, int status, lf_err *err) {
    char *path = error_path(at), message[1024];
    if (!path) return lf_no_memory(err, "the workers of a sweep");
    lf_status rc = LF_OK;
    if (!lf_is_file(path) && !(rc = lf_mkdir_p(at->run_dir, err))) {
        describe(at, status, message, sizeof message);
        lf_obj o = lf_obj_new();
        lf_obj_number(&o, "exit_code", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        lf_obj_string(&o, "state", "failed");
        lf_obj_string(&o, "message", message);
        rc = lf_obj_write_in(&o, at->run_dir, error_name, false, err);
    }
    lf_free(path);
    return rc;
}

static lf_status finish(lf_points *p, const worker *w, int status, lf_err *err) {
    lf_point *at = &p->at[w->point];
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    const int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    const bool stopped = by == SIGTERM || by == SIGINT || by == SIGHUP;        /* before it could take the signal */
    if (stopped || code == lf_status_exit_code(LF_EINTERRUPTED)) return LF_OK; /* still to do */
    if (code == 0) {
        at->state = LF_POINT_DONE;
        return LF_OK;
    }
    at->state = code == lf_status_exit_code(LF_EDIVERGED) ? LF_POINT_DIVERGED : LF_POINT_FAILED;
    return record(at, status, err);
}

/* ---- all of them ---- */

static void pass_on(const worker *workers, int64_t jobs, int number) {
    for (int64_t i = 0; i < jobs; i++)
        if (workers[i].pid) kill(workers[i].pid, number);
}

static int64_t next_todo(const lf_points *p, int64_t from) {
    while (from < p->n && p->at[from].state != LF_POINT_TODO) from++;
    return from;
}

static void wait_a_moment(void) {
    const struct timespec moment = {.tv_nsec = 50000000};
    nanosleep(&moment, NULL);
}

static bool has_ended(pid_t pid, int *status) {
    const pid_t ended = waitpid(pid, status, WNOHANG);
    return ended == pid || (ended < 0 && errno != EINTR);
}

static lf_status run_all(lf_points *p, worker *workers, int64_t jobs, lf_table *table, lf_err *err) {
    int64_t next = next_todo(p, 0), running = 0;
    bool stopping = false;
    lf_status rc = LF_OK;
    while (running || (!stopping && next < p->n)) {
        if (!stopping && (rc || lf_interrupted())) {
            stopping = true;
            pass_on(workers, jobs, SIGTERM);
            if (running) lf_table_say(table, "stopping: the runs end their steps and write checkpoints");
        }
        if (lf_checkpoint_taken()) pass_on(workers, jobs, SIGUSR1);
        for (int64_t i = 0; i < jobs; i++) {
            worker *w = &workers[i];
            int status = 1 << 8; /* of a child that cannot be waited for: failed */
            if (!w->pid && !stopping && !rc && next < p->n) {
                if ((rc = start(w, p, next, err))) break;
                running++;
                lf_table_started(table, next);
                next = next_todo(p, next + 1);
            } else if (w->pid && has_ended(w->pid, &status)) {
                const lf_status recorded = finish(p, w, status, err);
                if (!rc) rc = recorded;
                lf_table_ended(table, w->point, lf_now() - w->started);
                w->pid = 0;
                running--;
            }
        }
        lf_table_draw(table);
        wait_a_moment();
    }
    return rc ? rc : stopping ? lf_fail(err, LF_EINTERRUPTED, "stopped; the same command goes on") : LF_OK;
}

lf_status lf_workers_run(lf_points *p, int64_t jobs, const lf_point **failed, lf_err *err) {
    *failed = NULL;
    worker *workers = lf_calloc((size_t)jobs, sizeof *workers);
    lf_table *table = lf_table_new(p, jobs);
    lf_status rc = workers && table ? run_all(p, workers, jobs, table, err) : lf_no_memory(err, "the runs of a sweep");
    for (int64_t i = p->n; i-- > 0;)
        if (p->at[i].state == LF_POINT_FAILED) *failed = &p->at[i];
    lf_table_free(table);
    lf_free(workers);
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
    char program[PATH_MAX];
    const ssize_t n = readlink(SELF, program, sizeof program - 1);
    if (n < 0) return lf_fail_errno(err, "read", SELF);
    program[n] = '\0';
    for (int64_t i = 0; i < p->n; i++) {
        if (p->at[i].state != LF_POINT_TODO) continue;
        quoted(out, program);
        fputs(" train --config ", out);
        quoted(out, p->at[i].config_path);
        fputc('\n', out);
    }
    return LF_OK;
}
