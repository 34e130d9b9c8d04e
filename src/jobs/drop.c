// SPDX-License-Identifier: Apache-2.0
// Structure: a struct drop owns the watch of its directory (inotify), a timer that looks through
// it now and then (what was there before, what a full queue of events swallowed, file systems that
// tell nothing), the names that were told, and at most one file that is being queued. A turn of the
// loop takes a few files; the rest follows in the next turns.
#include "jobs/drop.h"

#include "config/load.h"
#include "core/fsio.h"
#include "core/log.h"
#include "core/log_event.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/timer.h"
#include "jobs/drop_priv.h"
#include "jobs/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define RESCAN_US (5 * US_PER_S)
// A file found by looking may still be written: it rests for so long.
#define REST_US (2 * US_PER_S)
// What one turn does at most.
#define FILES_A_TURN 16
#define ENTRIES_A_TURN 256
#define TIME_A_TURN_US (5 * US_PER_MS)
#define JOBS_A_TURN 256
// Moves after which they are made durable, when there is no pause before.
#define MOVES_A_SYNC 100
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct drop {
    struct loop *loop;
    struct queue *queue;
    const struct config *config;
    struct drop_dirs dirs; // zeros: none
    int inotify;           // < 0: the directory is not watched
    struct loop_watch *watch;
    struct timer rescan;
    struct status trouble; // as it was told
    bool posted;           // step() is
    // What is to be taken: the names that were told, then what a look finds.
    char **names;
    size_t n_names, at_name, cap_names;
    DIR *scan;
    // The file that is being queued; name NULL: none.
    struct drop_file file;
    struct submissions_reader *reader; // of `content`; NULL: it was read to its end
    struct buf content;
    struct submissions jobs;
    struct job_faults faults;
    size_t n_jobs;
    unsigned moves; // since they were made durable
};

static void step(void *owner);

static void step_soon(struct drop *drop)
{
    if (drop->posted)
        return;
    drop->posted = true;
    loop_post(drop->loop, step, drop);
}

// --- trouble with the directory ------------------------------------------------------------------

// Once a change.
static void tell_trouble(struct drop *drop, const struct status *st)
{
    if (strcmp(st->detail, drop->trouble.detail) != 0)
        log_event(LOG_ID_DROP_DIR_TROUBLE, NULL, "drop directory %s: %s; looking again every %d s",
                  drop->dirs.in, st->detail, (int)(RESCAN_US / US_PER_S));
    drop->trouble = *st;
}

static void tell_mended(struct drop *drop)
{
    if (drop->trouble.code != STATUS_OK)
        log_info(NULL, "drop directory %s: all is well again", drop->dirs.in);
    status_clear(&drop->trouble);
}

// --- what is to be taken -------------------------------------------------------------------------

static void add_name(struct drop *drop, const char *name)
{
    if (drop->n_names == drop->cap_names) {
        drop->cap_names = drop->cap_names == 0 ? 64 : drop->cap_names * 2;
        drop->names = mem_realloc_array(drop->names, drop->cap_names, sizeof(*drop->names));
    }
    drop->names[drop->n_names++] = mem_strdup(name);
}

static void drop_names(struct drop *drop)
{
    for (; drop->at_name < drop->n_names; drop->at_name++)
        free(drop->names[drop->at_name]);
    drop->at_name = drop->n_names = 0;
}

static void end_scan(struct drop *drop)
{
    if (drop->scan != NULL)
        closedir(drop->scan);
    drop->scan = NULL;
}

// Is it so old that nobody writes it any more? (Of a time far in the future it cannot be told.)
static bool has_rested(const struct drop *drop, const char *name)
{
    struct stat info;
    if (fstatat(dirfd(drop->scan), name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    int64_t at_us = (int64_t)info.st_mtim.tv_sec * US_PER_S + info.st_mtim.tv_nsec / 1000;
    int64_t age_us = wall_read_us() - at_us;
    return age_us > REST_US || age_us < -REST_US;
}

// Owned; NULL: nothing for now. `entries` bounds what it looks at.
static char *next_scanned(struct drop *drop, unsigned *entries)
{
    const struct dirent *entry;
    while (drop->scan != NULL && *entries > 0) {
        (*entries)--;
        entry = readdir(drop->scan);
        if (entry == NULL)
            end_scan(drop);
        else if (drop_name_fits(entry->d_name) && has_rested(drop, entry->d_name))
            return mem_strdup(entry->d_name);
    }
    return NULL;
}

static char *next_name(struct drop *drop, unsigned *entries)
{
    if (drop->at_name < drop->n_names)
        return drop->names[drop->at_name++];
    drop_names(drop);
    return next_scanned(drop, entries);
}

// --- one file ------------------------------------------------------------------------------------

static void end_reading(struct drop *drop)
{
    if (drop->reader != NULL)
        (void)submissions_close(&drop->reader);
    submissions_free(&drop->jobs);
    job_faults_free(&drop->faults);
    buf_deinit(&drop->content);
}

static void release_file(struct drop *drop)
{
    end_reading(drop);
    free(drop->file.name);
    drop->file = (struct drop_file){0};
}

static void sync_moves(struct drop *drop)
{
    struct status st;
    if (drop->moves > 0 && drop_dirs_sync(&drop->dirs, &st) != STATUS_OK)
        log_event(LOG_ID_DROP_DIR_TROUBLE, NULL, "drop directory %s: %s", drop->dirs.in, st.detail);
    drop->moves = 0;
}

// Where it cannot be moved it stays, is found again, and queues nothing then: its jobs keep their
// ids.
static void put_away(struct drop *drop, const struct buf *errors, size_t n_errors)
{
    struct status st;
    char *name;
    if (drop_file_finish(&drop->dirs, &drop->file, errors, &name, &st) != STATUS_OK)
        log_event(LOG_ID_DROP_DIR_TROUBLE, NULL, "drop directory %s: %s: %s; trying again later",
                  drop->dirs.in, drop->file.name, st.detail);
    else if (errors->len > 0)
        log_event(LOG_ID_JOBS_NOT_QUEUED, NULL,
                  "drop directory %s: %s is refused: %zu fault%s, see failed/%s.error",
                  drop->dirs.in, drop->file.name, n_errors, n_errors == 1 ? "" : "s", name);
    free(name);
    release_file(drop);
    if (++drop->moves >= MOVES_A_SYNC)
        sync_moves(drop);
}

static void refuse(struct drop *drop, const char *sentence)
{
    struct buf errors = {0};
    buf_printf(&errors, "%s\n", sentence);
    put_away(drop, &errors, 1);
    buf_deinit(&errors);
}

static void refuse_faults(struct drop *drop)
{
    struct buf errors = {0};
    for (size_t i = 0; i < drop->faults.count; i++) {
        const struct job_fault *fault = &drop->faults.items[i];
        buf_printf(&errors, "%s%s%s\n", fault->pointer, fault->pointer[0] != '\0' ? ": " : "",
                   fault->message);
    }
    put_away(drop, &errors, drop->faults.count);
    buf_deinit(&errors);
}

static void on_queued(void *owner, const struct status *st, size_t n_new)
{
    struct drop *drop = owner;
    const struct buf none = {0};
    if (st->code == STATUS_OK) {
        log_info(NULL, "drop directory %s: %s queued %zu job%s%s", drop->dirs.in, drop->file.name,
                 n_new, n_new == 1 ? "" : "s",
                 n_new < drop->n_jobs ? "; the others were there already" : "");
        put_away(drop, &none, 0);
    } else {
        refuse(drop, st->detail);
    }
    step_soon(drop);
}

// Some of its jobs; when there are no more, they are queued.
static void read_on(struct drop *drop)
{
    if (submissions_read(drop->reader, JOBS_A_TURN))
        return;
    if (!submissions_close(&drop->reader)) {
        refuse_faults(drop);
        return;
    }
    drop_file_name_jobs(&drop->file, &drop->content, &drop->jobs);
    drop->n_jobs = drop->jobs.count;
    queue_enqueue(drop->queue, drop->config, &drop->jobs, "drop", on_queued, drop);
    end_reading(drop);
}

// Takes the name. The file is being read or queued afterwards, or put away, or left for later.
static void take_file(struct drop *drop, char *name)
{
    struct status st;
    drop->file.name = name;
    enum status_code code = drop_file_read(&drop->dirs, &drop->file, &drop->content, &st);
    if (code == STATUS_OK) {
        const struct submissions_source source = {drop->config, drop->dirs.in, drop->content.data,
                                                  drop->content.len};
        drop->reader = submissions_open(&source, &drop->jobs, &drop->faults);
        read_on(drop);
    } else if (code == STATUS_INVALID) {
        refuse(drop, st.detail);
    } else {
        if (code != STATUS_NOT_FOUND) // told twice, and moved by now
            log_event(LOG_ID_DROP_DIR_TROUBLE, NULL, "drop directory %s: %s; trying again later",
                      drop->dirs.in, st.detail);
        release_file(drop);
    }
}

static void step(void *owner)
{
    struct drop *drop = owner;
    unsigned entries = ENTRIES_A_TURN;
    struct mono end = mono_add(mono_read(), TIME_A_TURN_US);
    drop->posted = false;
    if (drop->reader != NULL)
        read_on(drop);
    for (unsigned i = 0; i < FILES_A_TURN && drop->file.name == NULL; i++) {
        char *name = next_name(drop, &entries);
        if (name != NULL)
            take_file(drop, name);
        if (name == NULL || mono_diff(end, mono_read()) < 0)
            break;
    }
    bool more = drop->scan != NULL || drop->at_name < drop->n_names;
    if (drop->reader != NULL || (more && drop->file.name == NULL))
        step_soon(drop);
    else if (drop->file.name == NULL)
        sync_moves(drop);
}

// --- watching ------------------------------------------------------------------------------------

static void unwatch(struct drop *drop)
{
    loop_unwatch(&drop->watch);
    if (drop->inotify >= 0)
        close(drop->inotify);
    drop->inotify = -1;
}

static void start_scan(struct drop *drop)
{
    if (drop->scan == NULL)
        drop->scan = opendir(drop->dirs.in);
    step_soon(drop);
}

static void on_event(struct drop *drop, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW)
        start_scan(drop);
    else if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
        unwatch(drop); // made and watched anew at the next look
    else if (event->len > 0 && drop_name_fits(event->name))
        add_name(drop, event->name);
}

static void on_events(void *owner, unsigned ready)
{
    struct drop *drop = owner;
    char events[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    (void)ready;
    ssize_t n = read(drop->inotify, events, sizeof(events));
    for (ssize_t at = 0; at < n && drop->inotify >= 0;) {
        const struct inotify_event *event = (const struct inotify_event *)(void *)(events + at);
        on_event(drop, event);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    step_soon(drop);
}

static enum status_code watch(struct drop *drop, struct status *st)
{
    drop->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (drop->inotify < 0)
        return status_set_errno(st, STATUS_IO, errno, "inotify");
    if (inotify_add_watch(drop->inotify, drop->dirs.in, EVENTS) < 0)
        return status_set_errno(st, STATUS_IO, errno, "it cannot be watched");
    drop->watch = loop_watch(drop->loop, drop->inotify, LOOP_READ, on_events, drop, st);
    return drop->watch != NULL ? STATUS_OK : st->code;
}

static void on_rescan(void *owner)
{
    struct drop *drop = owner;
    struct status st;
    enum status_code code = drop_dirs_make(&drop->dirs, &st);
    if (code == STATUS_OK && drop->inotify < 0) {
        code = watch(drop, &st);
        if (code != STATUS_OK)
            unwatch(drop);
    }
    if (code != STATUS_OK)
        tell_trouble(drop, &st);
    else
        tell_mended(drop);
    start_scan(drop); // also where nothing can be watched
}

// --- life ----------------------------------------------------------------------------------------

static void open_dir(struct drop *drop, const char *path)
{
    if (path == NULL)
        return;
    drop->dirs = (struct drop_dirs){.in = mem_strdup(path),
                                    .done = mem_printf("%s/done", path),
                                    .failed = mem_printf("%s/failed", path)};
    timer_start_periodic(&drop->rescan, RESCAN_US);
    on_rescan(drop);
}

static void close_dir(struct drop *drop)
{
    timer_stop(&drop->rescan);
    unwatch(drop);
    end_scan(drop);
    drop_names(drop);
    queue_forget(drop->queue, drop);
    release_file(drop);
    if (drop->dirs.in != NULL)
        sync_moves(drop);
    free(drop->dirs.in);
    free(drop->dirs.done);
    free(drop->dirs.failed);
    drop->dirs = (struct drop_dirs){0};
    status_clear(&drop->trouble);
}

struct drop *drop_create(struct loop *loop, struct queue *queue, const struct config *config)
{
    struct drop *drop = mem_zalloc(sizeof(*drop));
    *drop = (struct drop){.loop = loop, .queue = queue, .config = config, .inotify = -1};
    timer_init(&drop->rescan, loop, "drop directory", on_rescan, drop);
    open_dir(drop, config->jobs.drop_dir);
    return drop;
}

void drop_reconfigure(struct drop *drop, const struct config *config)
{
    const char *path = config->jobs.drop_dir;
    if (drop->reader != NULL) // under the old one: it is found again
        release_file(drop);
    bool same = path != NULL && drop->dirs.in != NULL ? strcmp(path, drop->dirs.in) == 0
                                                      : path == drop->dirs.in;
    drop->config = config;
    if (same)
        return;
    close_dir(drop);
    open_dir(drop, path);
}

void drop_destroy(struct drop **pointer)
{
    struct drop *drop = *pointer;
    if (drop == NULL)
        return;
    *pointer = NULL;
    close_dir(drop);
    loop_unpost(drop->loop, drop);
    free(drop->names);
    loop_defer_free(drop->loop, drop, NULL);
}
