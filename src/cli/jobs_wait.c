// SPDX-License-Identifier: Apache-2.0
// cxsink jobs submit --wait: asks for what is finished, a little later each time, until all is.
#include "app/daemon.h"
#include "cli/common.h"
#include "core/mem.h"
#include "core/timer.h"
#include "jobs_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define ASK_MIN_US (100 * US_PER_MS)
#define ASK_MAX_US US_PER_S

struct waiting {
    struct database *db;
    bool json, terminal;
    char **ids; // of those that are not finished; not owned
    size_t n_ids, n_all, n_failed;
    int signal_fd;
    struct loop_watch *signal_watch;
    struct timer pause, deadline;
    bool late;    // the time is up
    bool away;    // the database is
    bool refused; // it does not let us ask
    int64_t ask_us;
    struct mono started;
};

// --- telling -------------------------------------------------------------------------------------

static void clear_line(const struct waiting *w)
{
    if (w->terminal)
        fputs("\r\033[K", stderr);
}

static void show_progress(const struct waiting *w)
{
    size_t done = w->n_all - w->n_ids;
    long long seconds = mono_diff(mono_read(), w->started) / US_PER_S;
    if (!w->terminal)
        return;
    fprintf(stderr, "\r\033[K%zu of %zu done", done, w->n_all);
    if (w->n_failed > 0)
        fprintf(stderr, ", %zu failed", w->n_failed);
    fprintf(stderr, "%s, %lld s", w->away ? ", PostgreSQL is away" : "", seconds);
}

static void tell_end(const struct waiting *w, const struct pg_result *r, int row)
{
    const char *error = pg_result_text(r, row, 2);
    struct buf line = {0};
    clear_line(w);
    if (w->json) {
        printf("%s\n", pg_result_text(r, row, 3));
        fflush(stdout);
        return;
    }
    cli_append_plain(&line, pg_result_text(r, row, 0), (size_t)pg_result_length(r, row, 0), false);
    buf_printf(&line, ": %s%s", pg_result_text(r, row, 1), error[0] != '\0' ? ": " : "");
    cli_append_plain(&line, error, strlen(error), false);
    fprintf(stderr, "%s\n", buf_text(&line));
    buf_deinit(&line);
}

// --- asking --------------------------------------------------------------------------------------

static void take_end(void *owner, const struct pg_result *r, int row)
{
    struct waiting *w = owner;
    const char *id = pg_result_text(r, row, 0);
    tell_end(w, r, row);
    w->n_failed += strcmp(pg_result_text(r, row, 1), "succeeded") != 0;
    for (size_t i = 0; i < w->n_ids; i++) {
        if (strcmp(w->ids[i], id) == 0) {
            w->ids[i] = w->ids[--w->n_ids];
            break;
        }
    }
    w->ask_us = ASK_MIN_US; // more may end now
}

static bool ask(struct waiting *w)
{
    static const char sql[] =
        "select i.id, coalesce(j.state, 'gone'), j.error ->> 'message', json_build_object('id',"
        " i.id, 'action', j.action, 'state', coalesce(j.state, 'gone'), 'attempt', j.attempt,"
        " 'latency_ms', extract(epoch from j.finished_at - j.started_at) * 1000,"
        " 'result', j.result, 'error', j.error)::text"
        " from json_array_elements_text($1::json) i(id) left join cxsink.jobs j on j.id = i.id"
        " where j.id is null or j.finished_at is not null order by j.finished_at";
    struct buf names = {0};
    struct pg_param param = jobs_names(w->ids, w->n_ids, &names);
    bool ok = database_query(w->db, NULL, sql, &param, 1, take_end, w);
    buf_deinit(&names);
    return ok;
}

static bool is_stopped(const struct waiting *w)
{
    return w->db->interrupted || w->refused;
}

static void on_pause_over(void *owner)
{
    (void)owner; // a turn of the loop is all that it is for
}

static void pause_asking(struct waiting *w)
{
    timer_start(&w->pause, w->ask_us);
    while (timer_running(&w->pause) && !is_stopped(w))
        loop_turn(w->db->loop, true);
    w->ask_us = 2 * w->ask_us < ASK_MAX_US ? 2 * w->ask_us : ASK_MAX_US;
}

// While the database is away it is asked for again; what a person must mend ends it.
static void ask_or_reconnect(struct waiting *w)
{
    bool was_away = w->away;
    bool ok = w->db->conn != NULL || database_reopen(w->db, NULL);
    w->away = !(ok && ask(w));
    w->refused = w->away && pg_classify(w->db->error.sqlstate) == PG_CLASS_BLOCKED;
    if (w->db->interrupted || (w->away == was_away && !w->refused))
        return;
    clear_line(w);
    if (w->refused)
        fprintf(stderr, "cxsink jobs: PostgreSQL refuses: %s\n", w->db->error.message);
    else if (w->away)
        fprintf(stderr, "cxsink jobs: PostgreSQL: %s; waiting for it\n", w->db->error.message);
    else
        fprintf(stderr, "cxsink jobs: PostgreSQL is back\n");
}

// --- the whole -----------------------------------------------------------------------------------

static void on_signal(void *owner, unsigned events)
{
    struct waiting *w = owner;
    struct signalfd_siginfo info;
    (void)events;
    while (read(w->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        w->db->interrupted = true;
}

static void on_late(void *owner)
{
    struct waiting *w = owner;
    w->late = w->db->interrupted = true;
}

static bool set_up(struct waiting *w, int64_t timeout_us)
{
    struct loop *loop = w->db->loop;
    struct status st = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    w->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    w->signal_watch = loop_watch(loop, w->signal_fd, LOOP_READ, on_signal, w, &st);
    timer_init(&w->pause, loop, "pause", on_pause_over, w);
    timer_init(&w->deadline, loop, "deadline", on_late, w);
    if (timeout_us > 0)
        timer_start(&w->deadline, timeout_us);
    if (w->signal_watch == NULL)
        fprintf(stderr, "cxsink jobs: %s\n", st.detail);
    return w->signal_watch != NULL;
}

static void tear_down(struct waiting *w)
{
    timer_stop(&w->pause);
    timer_stop(&w->deadline);
    loop_unwatch(&w->signal_watch);
    if (w->signal_fd >= 0)
        close(w->signal_fd);
    free(w->ids);
}

static void tell_left(const struct waiting *w)
{
    clear_line(w);
    fprintf(stderr,
            "cxsink jobs: %s: %zu of %zu are not finished; they go on, `cxsink jobs show ID` "
            "tells how\n",
            w->late      ? "the time is up"
            : w->refused ? "no more is known"
                         : "interrupted",
            w->n_ids, w->n_all);
}

int jobs_wait(struct database *db, const struct submissions *jobs,
              const struct jobs_request *request)
{
    struct waiting w = {.db = db,
                        .json = request->json,
                        .terminal = isatty(STDERR_FILENO) == 1,
                        .ids = mem_alloc((jobs->count + 1) * sizeof(*w.ids)),
                        .ask_us = ASK_MIN_US,
                        .started = mono_read()};
    for (size_t i = 0; i < jobs->count; i++) {
        if (jobs_is_schedule(&jobs->items[i]))
            fprintf(stderr, "cxsink jobs: %s comes again and again; it is not waited for\n",
                    jobs->items[i].id);
        else
            w.ids[w.n_ids++] = jobs->items[i].id;
    }
    w.n_all = w.n_ids;
    bool ok = set_up(&w, request->timeout_us);
    while (ok && w.n_ids > 0 && !is_stopped(&w)) {
        ask_or_reconnect(&w);
        show_progress(&w);
        if (w.n_ids > 0)
            pause_asking(&w);
    }
    clear_line(&w);
    if (ok && w.n_ids > 0)
        tell_left(&w);
    tear_down(&w);
    if (w.refused)
        return database_exit_code(db);
    return ok && w.n_ids == 0 && w.n_failed == 0 ? EXIT_DONE : EXIT_NO;
}
