// SPDX-License-Identifier: Apache-2.0
// cxsink load: backfills NDJSON through decode, validate and upsert. Where it is comes from the
// sink's acknowledgements and is kept in state_dir/load/, so that a stopped load goes on.
#include "app/daemon.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/load_priv.h"
#include "cli/options.h"
#include "core/log.h"
#include "core/mem.h"
#include "database.h"
#include "pg/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES (256u << 10)
// Lines decoded in one go before the loop turns.
#define PUMP_LINES 512
// Most bytes kept of what is not acknowledged; a single line cannot be longer.
#define WINDOW_MAX (256u << 20)

static const char help[] =
    "usage: cxsink load --stream NAME [-c FILE] [--restart] FILE...\n"
    "\n"
    "Backfills NDJSON files (one event a line; - is standard input) through the stream's schema "
    "and\n"
    "mapping into its table. Rejected lines become dead letters. A load that was stopped goes on\n"
    "where it was when the same command runs again.\n"
    "\n"
    "      --stream NAME   the stream of the configuration whose schema and table are used\n"
    "      --restart       start from the beginning, whatever was loaded before\n"
    "  -c, --config FILE   the configuration (else $CXSINK_CONFIG, else /etc/cxsink/cxsink.json)\n"
    "\n"
    "Exit codes: 0 all lines are rows or dead letters; 1 stopped before the end; 69 no database;\n"
    "78 configuration fault.\n";

// --- lines: a window of bytes from the oldest unacknowledged line on ---

static char *window_at(struct load *l, uint64_t offset)
{
    return l->window.data + (offset - l->window_base);
}

static uint64_t window_end(const struct load *l)
{
    return l->window_base + l->window.len;
}

static bool fill(struct load *l)
{
    char *at = buf_reserve(&l->window, READ_BYTES);
    ssize_t n = -1;
    do {
        errno = EFBIG; // for a line that does not fit the window
        n = at != NULL ? read(l->fd, at, READ_BYTES) : -1;
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        fprintf(stderr, "cxsink load: cannot read %s at byte %llu: %s\n", l->path,
                (unsigned long long)window_end(l), strerror(errno));
    if (n <= 0) {
        l->failed = l->failed || n < 0;
        l->at_end = true;
        return false;
    }
    l->window.len += (size_t)n;
    return true;
}

// The next line without its line feed, whole, whatever its length; false at the end, or where a
// line does not fit the window.
static bool next_line(struct load *l, char **line_r, size_t *length_r, uint64_t *next_r)
{
    size_t looked = 0;
    for (;;) {
        char *start = window_at(l, l->next);
        size_t left = (size_t)(window_end(l) - l->next);
        char *end = left > looked ? memchr(start + looked, '\n', left - looked) : NULL;
        looked = left;
        if (end == NULL && !l->at_end && fill(l))
            continue;
        start = window_at(l, l->next); // the window may have moved
        if (end == NULL && left == 0)
            return false;
        *line_r = start;
        *length_r = end != NULL ? (size_t)(end - start) : left;
        *next_r = l->next + *length_r + (end != NULL);
        return true;
    }
}

static bool blank(const char *line, size_t length)
{
    return length == 0 || (length == 1 && line[0] == '\r');
}

static enum sink_push push_line(struct load *l, const char *line, size_t length)
{
    uint64_t cap = l->config->streams[l->stream].max_message;
    bool too_large = length > cap;
    struct sink_origin origin = {.seq = l->next + 1,
                                 .received_us = loop_wall_us(l->loop),
                                 .stream = l->config->streams[l->stream].name};
    size_t taken = too_large && length > 65536 ? 65536 : length;
    return pipeline_push(l->pipeline, l->stream, too_large ? DECODE_TOO_LARGE : DECODE_TEXT, line,
                         taken, &origin);
}

static void pump(void *owner)
{
    struct load *l = owner;
    char *line;
    size_t length;
    uint64_t next;
    if (!pipeline_ready(l->pipeline) || pipeline_retry(l->pipeline) == SINK_BUSY)
        return;
    for (int n = 0; n < PUMP_LINES && !l->stopping; n++) {
        if (!next_line(l, &line, &length, &next)) {
            l->drained = true;
            sink_flush(l->sink);
            load_check_done(l);
            return;
        }
        enum sink_push pushed = SINK_TAKEN;
        if (!blank(line, length))
            pushed = push_line(l, line, length);
        l->next = next;
        if (pushed == SINK_BUSY)
            return;
    }
    loop_post(l->loop, pump, l);
}

// --- the sink's events ---

static void on_acked(void *owner, uint64_t seq)
{
    struct load *l = owner;
    uint64_t start = seq - 1;
    if (start < l->window_base || start >= window_end(l))
        return;
    char *line = window_at(l, start);
    const char *end = memchr(line, '\n', (size_t)(window_end(l) - start));
    uint64_t done = end != NULL ? start + (uint64_t)(end - line) + 1 : window_end(l);
    l->acked = done;
    // Moving the rest down is worth it only when most of the window is done with.
    if (done - l->window_base > l->window.len / 2) {
        size_t rest = (size_t)(window_end(l) - done);
        memmove(l->window.data, window_at(l, done), rest);
        l->window.len = rest;
        l->window_base = done;
    }
    load_check_done(l);
}

static void on_room(void *owner)
{
    struct load *l = owner;
    loop_post(l->loop, pump, l);
}

static void on_restarted(void *owner)
{
    struct load *l = owner;
    pipeline_forget(l->pipeline);
    l->next = l->acked;
    l->drained = false;
    loop_post(l->loop, pump, l);
}

static bool on_payload(void *owner, uint64_t seq, struct buf *payload)
{
    struct load *l = owner;
    uint64_t start = seq - 1;
    if (start < l->window_base || start >= window_end(l))
        return false;
    const char *line = window_at(l, start);
    const char *end = memchr(line, '\n', (size_t)(window_end(l) - start));
    return buf_append(payload, line,
                      end != NULL ? (size_t)(end - line) : (size_t)(window_end(l) - start));
}

static void on_dead(void *owner, const char *stream, const char *reason, uint64_t count,
                    int64_t example_id)
{
    struct load *l = owner;
    (void)stream;
    (void)reason;
    (void)example_id;
    l->rejected += count;
}

static void give_up(struct load *l, int code)
{
    const struct status *trouble = sink_trouble(l->sink);
    load_clear_progress(l);
    fprintf(stderr, "cxsink load: %s%s%s\n", trouble != NULL ? trouble->detail : "no database",
            code == EXIT_NO_SERVER ? "; " : "", code == EXIT_NO_SERVER ? pg_remedy("") : "");
    l->exit_code = code;
    loop_stop(l->loop);
}

// Once an outage: it tries again by itself.
static void tell_down(struct load *l, const struct status *trouble)
{
    if (l->told_down)
        return;
    l->told_down = true;
    load_clear_progress(l);
    fprintf(stderr, "cxsink load: %s; trying again for at most %d s\n", trouble->detail,
            (int)(DATABASE_PATIENCE_US / US_PER_S));
}

static void on_state(void *owner, enum sink_state from, enum sink_state to, const struct status *st)
{
    struct load *l = owner;
    (void)from;
    if (to == SINK_BLOCKED)
        give_up(l, EXIT_CONFIG);
    if (to == SINK_READY) {
        timer_stop(&l->patience);
        l->told_down = false;
    } else if (!timer_running(&l->patience)) {
        timer_start(&l->patience, DATABASE_PATIENCE_US);
    }
    if (to == SINK_DOWN)
        tell_down(l, st);
}

static void on_patience_over(void *owner)
{
    give_up(owner, EXIT_NO_SERVER);
}

// --- end ---

void load_check_done(struct load *l)
{
    if (!(l->drained || l->stopping) || !sink_idle(l->sink))
        return;
    l->exit_code = l->stopping || l->failed ? EXIT_NO : EXIT_DONE;
    loop_stop(l->loop);
}

static void on_signal(void *owner, unsigned events)
{
    struct load *l = owner;
    struct signalfd_siginfo info;
    (void)events;
    while (read(l->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (l->stopping || sink_state(l->sink) != SINK_READY) {
            l->exit_code = EXIT_NO;
            loop_stop(l->loop);
        }
        l->stopping = true;
        sink_flush(l->sink);
        load_check_done(l);
    }
}

static void on_tick(void *owner)
{
    struct load *l = owner;
    load_print_progress(l);
    load_save_position(l);
    load_check_done(l);
}

// --- one file ---

static bool open_input(struct load *l, const char *path, bool restart)
{
    char *real = strcmp(path, "-") != 0 ? realpath(path, NULL) : NULL;
    struct stat info = {0};
    l->path = path;
    l->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (l->fd < 0 || fstat(l->fd, &info) != 0) {
        fprintf(stderr, "cxsink load: cannot open %s: %s\n", path, strerror(errno));
        free(real);
        return false;
    }
    l->resumable = real != NULL && S_ISREG(info.st_mode);
    l->inode = (uint64_t)info.st_ino;
    l->size = S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    l->source = uuid_random();
    if (l->resumable)
        load_name_source(l, real, &info);
    free(real);
    uint64_t start = l->resumable && !restart ? load_stored_position(l) : 0;
    if (start > 0 && lseek(l->fd, (off_t)start, SEEK_SET) >= 0) {
        fprintf(stderr, "cxsink load: %s: going on at byte %llu of %llu\n", path,
                (unsigned long long)start, (unsigned long long)l->size);
        l->window_base = l->acked = l->next = start;
    }
    l->first = start;
    return true;
}

static bool set_up(struct load *l, struct status *st)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    l->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if ((l->loop = loop_create(st)) == NULL ||
        (l->resolver = resolver_create(l->loop, st)) == NULL ||
        (l->signal_watch = loop_watch(l->loop, l->signal_fd, LOOP_READ, on_signal, l, st)) == NULL)
        return false;
    timer_init(&l->tick, l->loop, "progress", on_tick, l);
    timer_init(&l->patience, l->loop, "patience", on_patience_over, l);
    timer_start_periodic(&l->tick, l->terminal ? US_PER_S / 4 : US_PER_S);
    timer_start(&l->patience, DATABASE_PATIENCE_US);
    l->pipeline = pipeline_create();
    l->sink = sink_create(&(struct sink_settings){
        .loop = l->loop,
        .resolver = l->resolver,
        .config = l->config,
        .source = l->source,
        .callbacks = {.acked = on_acked,
                      .room = on_room,
                      .restarted = on_restarted,
                      .payload = on_payload,
                      .dead = on_dead,
                      .state = on_state},
        .owner = l,
    });
    pipeline_use(l->pipeline, l->config, l->schemas, l->sink);
    return true;
}

static void tear_down(struct load *l)
{
    pipeline_destroy(&l->pipeline);
    sink_destroy(&l->sink);
    loop_unwatch(&l->signal_watch);
    resolver_destroy(&l->resolver);
    loop_destroy(&l->loop);
    if (l->signal_fd >= 0)
        close(l->signal_fd);
    if (l->fd >= 0)
        close(l->fd);
    buf_deinit(&l->window);
}

static int load_file(const struct load *common, const char *path, bool restart)
{
    struct load l = *common;
    struct status st = {0};
    l.fd = l.signal_fd = -1;
    l.exit_code = EXIT_FAULT;
    l.started = mono_read();
    l.window.max = WINDOW_MAX;
    if (!open_input(&l, path, restart)) {
        l.exit_code = EXIT_NO;
    } else if (!set_up(&l, &st)) {
        fprintf(stderr, "cxsink load: %s\n", st.detail);
    } else {
        sink_start(l.sink);
        loop_run(l.loop);
        load_print_summary(&l);
        if (l.exit_code == EXIT_DONE)
            l.acked = l.next; // behind what follows the last event, too
        load_save_position(&l);
    }
    tear_down(&l);
    return l.exit_code;
}

static int load_files(const struct load *common, char **files, bool restart)
{
    int code = EXIT_DONE;
    for (char **file = files; *file != NULL && code == EXIT_DONE; file++)
        code = load_file(common, *file, restart);
    // Only now, so that the same command does not load the first ones again to go on with the last.
    for (char **file = files; *file != NULL && code == EXIT_DONE; file++)
        load_forget_position(common, *file);
    return code;
}

static size_t find_stream(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->n_streams; i++) {
        if (strcmp(config->streams[i].name, name) == 0)
            return i;
    }
    return CONFIG_NONE;
}

static void tell_no_stream(const struct config *config, const char *name)
{
    char room[CLI_SUGGESTION_SIZE];
    fprintf(
        stderr, "cxsink load: the configuration has no stream \"%s\"%s\n", name,
        cli_suggestion(name, config->streams, config->n_streams, sizeof(config->streams[0]), room));
}

static int load(const char *path, const char *stream, char **files, bool restart)
{
    struct config_faults faults = {0};
    struct load common = {.terminal = isatty(STDERR_FILENO) == 1};
    struct config *config = cli_load_config(path);
    struct schema_set *schemas = config != NULL ? schema_set_load(config, &faults) : NULL;
    int code = EXIT_CONFIG;
    config_faults_locate(cli_config_path(path), &faults);
    cli_print_faults(cli_config_path(path), &faults, false);
    if (schemas != NULL && (common.stream = find_stream(config, stream)) == CONFIG_NONE) {
        tell_no_stream(config, stream);
    } else if (schemas != NULL) {
        common.config = config;
        common.schemas = schemas;
        code = load_files(&common, files, restart);
    }
    schema_set_free(&schemas);
    config_free(&config);
    config_faults_free(&faults);
    return code;
}

struct load_request {
    const char *path, *stream;
    bool restart;
};

static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(load_request, path),
    CLI_OPTION(load_request, "stream", CLI_TEXT, stream),
    CLI_OPTION(load_request, "restart", CLI_FLAG, restart),
};
static const struct cli_options options = {.command = "load",
                                           .help = help,
                                           .list = list,
                                           .n = sizeof(list) / sizeof(list[0]),
                                           .arguments = true};

int cli_load(int argc, char **argv)
{
    struct load_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    if (request.stream == NULL)
        return cli_usage_error("load", "--stream NAME is missing");
    if (optind == argc)
        return cli_usage_error("load", "no file is named (- is standard input)");
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_ERROR);
    return load(request.path, request.stream, argv + optind, request.restart);
}
