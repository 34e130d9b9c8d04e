// SPDX-License-Identifier: Apache-2.0
#include "app/daemon.h"

#include "app/actions.h"
#include "app/addresses.h"
#include "app/certificates.h"
#include "app/limits.h"
#include "core/fsio.h"
#include "core/log.h"
#include "core/log_event.h"
#include "core/mem.h"
#include "daemon_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define TICK_US US_PER_S
#define DRAIN_CHECK_US (20 * US_PER_MS)

// --- configuration ---

static void print_faults(const char *path, const struct config_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        const struct config_fault *f = &faults->items[i];
        char line[16] = ""; // not known of every fault
        if (f->line > 0)
            snprintf(line, sizeof(line), ":%u", f->line);
        // Each fault is a call site of its own, or the log would hold back all but the first few.
        log_event_write(LOG_ID_CONFIG_FAULT, NULL, path, (int)i + 1, "%s%s: %s: %s", path, line,
                        f->pointer[0] ? f->pointer : "(root)", f->message);
    }
}

// Reads configuration and schemas, and looks at TLS files and addresses; logs every fault of them.
static struct config *load_config(const char *path, struct schema_set **schemas_r)
{
    struct config_faults faults = {0};
    struct config *config = config_load(path, &faults);
    if (config != NULL) {
        *schemas_r = schema_set_load(config, &faults);
        certificates_check(config, &faults);
        addresses_check(config, &faults);
        actions_check(config, &faults);
    }
    if (config != NULL && faults.count > 0) {
        config_faults_locate(path, &faults);
        schema_set_free(schemas_r);
        config_free(&config);
    }
    print_faults(path, &faults);
    config_faults_free(&faults);
    return config;
}

// --- end ---

static void stop_now(struct daemon *d, const char *why)
{
    log_info(NULL, "stopping: %s", why);
    loop_stop(d->loop);
}

// Drained when everything that was received is committed; without a database there is nothing to
// wait for, since the spool keeps it.
static void check_drained(void *owner)
{
    struct daemon *d = owner;
    struct spool_stats stats;
    if (!app_streams_stopped(d) || !d->jobs_stopped)
        return;
    if (spool_pending_bytes(d->spool) > 0 && !d->commit_failing)
        flow_commit(d);
    sink_flush(d->sink);
    spool_stat(d->spool, &stats);
    if (stats.pending > 0)
        return; // the spool cannot be written for now; it is tried again until shutdown_timeout
    if (stats.events == 0 && sink_idle(d->sink))
        stop_now(d, "everything received is committed");
    else if (hold_is_all(d))
        stop_now(d, "everything else is committed; the spool keeps the streams that are held");
    else if (sink_state(d->sink) != SINK_READY)
        stop_now(d, "the database is not ready; the spool keeps what is not committed");
}

static const char asked_again[] = "asked again; the spool keeps what is not committed";

static void on_jobs_stopped(void *owner)
{
    struct daemon *d = owner;
    d->jobs_stopped = true;
    if (d->asked_again)
        stop_now(d, asked_again);
}

// At once, but for a moment in which jobs are given back.
static void stop_soon(struct daemon *d)
{
    bool waits = !d->asked_again && !d->jobs_stopped;
    d->asked_again = true;
    if (waits)
        jobs_stop_now(d->jobs);
    else
        stop_now(d, asked_again);
}

static void shutdown_expired(void *owner)
{
    stop_now(owner, "shutdown_timeout is over; the spool keeps what is not committed");
}

// Who sent a signal, as members of an event.
struct sender {
    char pid[16], uid[16];
};

static struct sender sender_of(const struct signalfd_siginfo *info)
{
    struct sender sender;
    snprintf(sender.pid, sizeof(sender.pid), "%" PRIu32, info->ssi_pid);
    snprintf(sender.uid, sizeof(sender.uid), "%" PRIu32, info->ssi_uid);
    return sender;
}

static void begin_drain(struct daemon *d, const struct signalfd_siginfo *info)
{
    struct sender by = sender_of(info);
    int64_t limit = d->ref->config->shutdown_timeout_us;
    d->phase = DAEMON_DRAINING;
    sd_notify(0, "STOPPING=1\nSTATUS=draining");
    log_info(NULL, "asked to stop: closing the streams and draining for at most %.0f s",
             (double)limit / 1e6);
    const struct audit_field fields[] = {
        {"signal", info->ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"},
        {"pid", by.pid},
        {"uid", by.uid}};
    audit_write(d->audit, "daemon.stopping", NULL, fields, 3);
    app_streams_stop(d);
    jobs_stop(d->jobs, limit - limit / 10, on_jobs_stopped); // leases are given back in the rest
    timer_start(&d->deadline_timer, limit);
    timer_start_periodic(&d->drain_timer, DRAIN_CHECK_US);
}

// --- reload ---

static void take_config(struct daemon *d, struct config *config, struct schema_set *schemas)
{
    struct config_ref *old = d->ref;
    struct schema_set *old_schemas = d->schemas;
    struct status st = {0};
    char *dir = mem_printf("%s/spool", old->config->state_dir);
    struct spool_settings settings = flow_spool_settings(d, config, dir);
    flow_commit(d); // what is pending is counted for the streams that are there now
    d->ref = config_ref_new(config);
    d->schemas = schemas;
    log_init(config->log_target, config->log_level);
    audit_reconfigure(d->audit, config);
    spool_configure(d->spool, &settings);
    if (!app_streams_apply(d, &st))
        log_error(NULL, "a stream could not be set up: %s", st.detail);
    pipeline_use(d->pipeline, config, schemas, d->sink);
    hold_reloaded(d);
    sink_reconfigure(d->sink, config); // on_restarted reads the spool again
    schema_set_free(&old_schemas);
    config_ref_drop(&old);
    jobs_reconfigure(d->jobs, d->ref);
    app_streams_resume(d); // the spool's new bounds or policy may have room
    if (d->phase == DAEMON_RUNNING)
        app_streams_start(d);
    free(dir);
}

static void name_restarts(struct daemon *d, const struct config *config)
{
    struct buf names = {0};
    // Those of the start are in force, whatever reloads said since.
    config_restart_needed(d->admin_ref->config, config, &names);
    if (names.len > 0)
        log_event(LOG_ID_CONFIG_RESTART, NULL, "changed, but taken only by a restart: %s",
                  buf_text(&names));
    buf_deinit(&names);
}

static void reload(struct daemon *d, const struct signalfd_siginfo *info)
{
    struct sender by = sender_of(info);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIi64, mono_read().us);
    struct schema_set *schemas = NULL;
    struct config *config = load_config(d->path, &schemas);
    if (config == NULL) {
        struct audit_field fields[] = {{"result", "refused"}, {"pid", by.pid}, {"uid", by.uid}};
        audit_write(d->audit, "config.reload", NULL, fields, 3);
        log_event(LOG_ID_CONFIG_REFUSED, NULL,
                  "the new configuration is faulty; going on with the one in force");
    } else {
        name_restarts(d, config);
        take_config(d, config, schemas);
        struct audit_field fields[] = {{"result", "taken"}, {"pid", by.pid}, {"uid", by.uid}};
        audit_write(d->audit, "config.reload", NULL, fields, 3);
    }
    sd_notify(0, "READY=1");
}

// --- signals and ticks ---

static void on_signal(void *owner, unsigned events)
{
    struct daemon *d = owner;
    struct signalfd_siginfo info;
    (void)events;
    while (read(d->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP && d->phase == DAEMON_RUNNING)
            reload(d, &info);
        else if (info.ssi_signo == SIGHUP)
            log_warn(NULL, "stopping: not reloading"); // new streams would have to end first
        else if (d->phase == DAEMON_RUNNING)
            begin_drain(d, &info);
        else
            stop_soon(d);
    }
}

static void tick(void *owner)
{
    struct daemon *d = owner;
    struct buf text = {0};
    log_flush_repeats(false);
    spool_store_position(d->spool);
    live_sample(d);
    hold_relieve(d);
    admin_tick(d->admin);
    if (d->phase == DAEMON_RUNNING) {
        report_sentence(d, &text);
        sd_notifyf(0, "STATUS=%s", buf_text(&text));
    }
    buf_deinit(&text);
}

// Runs on the loop, so it comes only while the loop turns.
static void feed_watchdog(void *owner)
{
    (void)owner;
    sd_notify(0, "WATCHDOG=1");
}

// --- life ---

static bool watch_signals(struct daemon *d, struct status *st)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    // Before any thread is made, so that all of them block these.
    sigprocmask(SIG_BLOCK, &set, NULL);
    d->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (d->signal_fd < 0) {
        status_set_errno(st, STATUS_INTERNAL, errno, "cannot watch signals");
        return false;
    }
    return true;
}

static void limit_process(const struct config *config)
{
    limits_apply(config);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); // secrets never reach a core dump
#ifndef __SANITIZE_ADDRESS__                        // the leak checker attaches to its own process
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

// Whatever is wrong with it, the operator has to mend it.
static bool make_dir(const char *path, mode_t mode, const char *setting, struct status *st)
{
    struct status cause = {0};
    if (fsio_make_dirs(path, mode, &cause) == STATUS_OK) {
        if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0)
            return true;
        status_set_errno(&cause, STATUS_DENIED, errno, "cannot write in %s", path);
    }
    status_set(st, STATUS_INVALID, "%s; set \"%s\" to a directory that this user may write",
               cause.detail, setting);
    return false;
}

static bool open_stores(struct daemon *d, struct status *st)
{
    const struct config *config = d->ref->config;
    char *spool_dir = mem_printf("%s/spool", config->state_dir);
    struct spool_settings settings = flow_spool_settings(d, config, spool_dir);
    bool ok = make_dir(config->state_dir, 0700, "state_dir", st) &&
              make_dir(config->runtime_dir, 0755, "runtime_dir", st) &&
              (d->audit = audit_open_configured(config, NULL, st)) != NULL &&
              spool_open(&settings, &d->spool, st) == STATUS_OK;
    free(spool_dir);
    return ok;
}

static bool open_admin(struct daemon *d, struct status *st)
{
    static const struct admin_callbacks callbacks = {.status = report_status,
                                                     .ready = report_ready,
                                                     .metrics = report_metrics,
                                                     .live = live_snapshot,
                                                     .change = hold_change};
    const struct config *config = d->ref->config;
    char *path = mem_printf("%s/control.sock", config->runtime_dir);
    struct admin_settings settings = {.host = config->admin.host,
                                      .port = config->admin.port,
                                      .token = config->admin.token,
                                      .socket_path = path};
    d->admin = admin_create(d->loop, &settings, &callbacks, d, st);
    // libwebsockets copies the path; the rest is the configuration's.
    d->admin_ref = config_ref_take(d->ref);
    free(path);
    return d->admin != NULL;
}

// The picture of the architecture, top to bottom.
static bool app_wire(struct daemon *d, struct status *st)
{
    // auth -> stream: tokens are asked for and handed over in streams.c
    if ((d->resolver = resolver_create(d->loop, st)) == NULL ||
        (d->http = http_client_create(d->loop, d->resolver, st)) == NULL)
        return false;
    // stream -> spool -> event -> sink, and back: flow.c
    flow_init(d);
    d->pipeline = pipeline_create();
    d->sink = sink_create(&(struct sink_settings){.loop = d->loop,
                                                  .resolver = d->resolver,
                                                  .config = d->ref->config,
                                                  .guarded = true,
                                                  .source = *spool_id(d->spool),
                                                  .callbacks = flow_sink_callbacks(),
                                                  .owner = d});
    pipeline_use(d->pipeline, d->ref->config, d->schemas, d->sink);
    // jobs: queue (pg) -> runner -> net/http, with the tokens of auth
    app_jobs_create(d);
    // ops: reads all of it
    d->history = history_create();
    return open_admin(d, st) && app_streams_apply(d, st);
}

static bool start(struct daemon *d, struct status *st)
{
    if (!watch_signals(d, st) || !open_stores(d, st) || (d->loop = loop_create(st)) == NULL ||
        (d->signal_watch = loop_watch(d->loop, d->signal_fd, LOOP_READ, on_signal, d, st)) ==
            NULL ||
        !app_wire(d, st))
        return false;
    uint64_t watchdog_us = 0;
    timer_init(&d->tick_timer, d->loop, "tick", tick, d);
    timer_init(&d->drain_timer, d->loop, "drain", check_drained, d);
    timer_init(&d->deadline_timer, d->loop, "shutdown_timeout", shutdown_expired, d);
    timer_init(&d->watchdog_timer, d->loop, "watchdog", feed_watchdog, d);
    timer_start_periodic(&d->tick_timer, TICK_US);
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        timer_start_periodic(&d->watchdog_timer, (int64_t)watchdog_us / 3);
    metric_set(metric_series(METRIC_BUILD_INFO, CXSINK_VERSION, NULL), 1);
    sink_start(d->sink);
    app_streams_start(d);
    jobs_start(d->jobs);
    return true;
}

static void announce(struct daemon *d)
{
    struct spool_stats stats;
    const struct config *config = d->ref->config;
    spool_stat(d->spool, &stats);
    audit_write(d->audit, "daemon.started", NULL,
                (struct audit_field[]){{"version", CXSINK_VERSION}, {"config", config->path}}, 2);
    log_event(LOG_ID_STARTED, NULL,
              "cxsink %s: %zu stream%s, %llu events in the spool, status on %s port %u",
              CXSINK_VERSION, d->n_streams, d->n_streams == 1 ? "" : "s",
              (unsigned long long)stats.events, config->admin.host ? config->admin.host : "no TCP",
              admin_port(d->admin));
    sd_notify(0, "READY=1");
}

// Writes what was taken off the sockets and is not in the spool yet. Told when that fails: nobody
// else has it.
static bool finish_spool(struct daemon *d)
{
    struct spool_stats stats;
    struct status st = {0};
    char count[24];
    if (spool_commit(d->spool, mono_read().us, &st) == STATUS_OK)
        return true;
    spool_stat(d->spool, &stats);
    snprintf(count, sizeof(count), "%" PRIu64, stats.pending);
    struct audit_field fields[] = {{"events", count}, {"error", st.detail}};
    audit_write(d->audit, "spool.lost", NULL, fields, 2);
    log_event(LOG_ID_SPOOL_LOST, NULL,
              "%s events were received and could not be written, and are lost: %s", count,
              st.detail);
    return false;
}

static void tear_down(struct daemon *d)
{
    jobs_destroy(&d->jobs);
    app_streams_destroy(d);
    pipeline_destroy(&d->pipeline);
    sink_destroy(&d->sink);
    admin_destroy(&d->admin);
    http_client_destroy(&d->http);
    resolver_destroy(&d->resolver);
    loop_unwatch(&d->signal_watch);
    loop_destroy(&d->loop);
    spool_close(&d->spool);
    audit_close(&d->audit);
    history_destroy(&d->history);
    schema_set_free(&d->schemas);
    config_ref_drop(&d->admin_ref);
    config_ref_drop(&d->ref);
    hold_deinit(d);
    for (size_t i = 0; i < d->n_names; i++)
        free(d->names[i]);
    free(d->names);
    if (d->signal_fd >= 0)
        close(d->signal_fd);
}

static int exit_code(enum status_code code)
{
    bool operators = code == STATUS_INVALID || code == STATUS_DENIED || code == STATUS_BUSY ||
                     code == STATUS_NOT_FOUND;
    return operators ? EXIT_CONFIG : EXIT_FAULT;
}

int daemon_run(const char *path)
{
    struct daemon d = {.path = path, .signal_fd = -1, .started_us = wall_read_us()};
    struct status st = {0};
    log_init(LOG_TARGET_AUTO, LOG_LEVEL_INFO);
    struct config *config = load_config(path, &d.schemas);
    if (config == NULL)
        return EXIT_CONFIG;
    d.ref = config_ref_new(config);
    log_init(config->log_target, config->log_level);
    limit_process(config);
    int code = EXIT_DONE;
    if (start(&d, &st)) {
        announce(&d);
        loop_run(d.loop);
        code = finish_spool(&d) ? EXIT_DONE : EXIT_FAULT;
        audit_write(d.audit, "daemon.stopped", NULL, NULL, 0);
        log_event(LOG_ID_STOPPED, NULL, "stopped");
    } else {
        log_event(LOG_ID_START_FAILED, NULL, "cannot start: %s", st.detail);
        code = exit_code(st.code);
    }
    tear_down(&d);
    return code;
}
