// SPDX-License-Identifier: Apache-2.0
// The servers, all at once, on a loop of their own.
#include "ask_priv.h"
#include "check_priv.h"
#include "core/clock.h"
#include "core/loop.h"
#include "core/timer.h"
#include "net/http.h"
#include "net/resolve.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_OFF_US (60 * US_PER_S)
#define DAY_US (24 * 3600 * US_PER_S)
#define CERTIFICATE_DAYS 30
// A daemon that hangs does not hold the check.
#define DAEMON_PATIENCE_US (2 * US_PER_S)

// --- tasks ---

void check_begin(struct probe *probe, struct check_task *task, char *pointer, const char *doing)
{
    *task = (struct check_task){
        .probe = probe, .next = probe->tasks, .pointer = pointer, .doing = doing};
    probe->tasks = task;
}

bool check_is_over(const struct check_task *task)
{
    return task->pointer == NULL;
}

void check_end(struct check_task *task)
{
    struct probe *probe = task->probe;
    struct check_task **at = &probe->tasks;
    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    free(task->pointer);
    task->pointer = NULL;
    if (probe->tasks == NULL)
        loop_stop(probe->loop);
}

// --- findings ---

void check_add(struct probe *probe, enum status_code code, const char *pointer, const char *format,
               ...)
{
    char text[STATUS_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    config_faults_add(probe->faults, 0, pointer, "%s", text);
    probe->outcome->unreachable += code == STATUS_UNAVAILABLE || code == STATUS_TIMEOUT;
}

bool check_is_faulty(const struct probe *probe, const char *pointer)
{
    size_t length = strlen(pointer);
    for (size_t i = 0; i < probe->faults->count; i++) {
        const char *at = probe->faults->items[i].pointer;
        if (strncmp(at, pointer, length) == 0 && (at[length] == '\0' || at[length] == '/'))
            return true;
    }
    return false;
}

void check_clock(struct probe *probe, const char *pointer, int64_t ahead_us, const char *whose)
{
    int64_t off_us = ahead_us < 0 ? -ahead_us : ahead_us;
    if (off_us <= CLOCK_OFF_US)
        return;
    check_add(probe, STATUS_INVALID, pointer,
              "this machine's clock is %" PRId64 " s %s that of %s: set it (timedatectl set-ntp "
              "true), or have the other one set",
              off_us / US_PER_S, ahead_us > 0 ? "ahead of" : "behind", whose);
}

void check_certificate(struct probe *probe, const char *pointer, const char *whose,
                       int64_t until_us)
{
    char date[32];
    int64_t left_us = until_us - wall_read_us();
    if (until_us == 0 || left_us > CERTIFICATE_DAYS * DAY_US)
        return;
    wall_format(until_us, date, sizeof(date));
    if (left_us < 0)
        check_add(probe, STATUS_INVALID, pointer, "%s has expired on %.10s: have it renewed", whose,
                  date);
    else
        config_faults_warn(probe->faults, pointer,
                           "%s expires in %" PRId64 " days, on %.10s: have it renewed, or no "
                           "connection is made from then on",
                           whose, left_us / DAY_US, date);
}

// --- the whole ---

static void time_is_over(void *owner)
{
    struct probe *probe = owner;
    for (const struct check_task *task = probe->tasks; task != NULL; task = task->next)
        check_add(probe, STATUS_TIMEOUT, task->pointer,
                  "no answer in all the time there was (%s): is the server overloaded, or does "
                  "something on the way swallow what is sent?",
                  task->doing);
    loop_stop(probe->loop);
}

static void run(struct probe *probe, int64_t limit_us)
{
    struct timer limit;
    timer_init(&limit, probe->loop, "check limit", time_is_over, probe);
    timer_start(&limit, limit_us);
    check_database_start(probe);
    check_servers_start(probe);
    if (probe->tasks != NULL)
        loop_run(probe->loop);
    timer_stop(&limit);
    while (probe->tasks != NULL)
        check_end(probe->tasks);
    check_servers_stop(probe);
    check_database_stop(probe);
}

void check_connect(const struct config *config, int64_t limit_us, struct config_faults *faults,
                   struct check_outcome *outcome)
{
    struct buf answer = {0};
    struct probe probe = {.config = config, .faults = faults, .outcome = outcome};
    struct status st = {0};
    const char *status =
        ask_daemon(config->runtime_dir, "GET /api/status", DAEMON_PATIENCE_US, &answer, &st);
    probe.daemon_status = status != NULL ? status : "";
    probe.daemon_silent = st.code == STATUS_DENIED || st.code == STATUS_TIMEOUT;
    if ((probe.loop = loop_create(&st)) == NULL ||
        (probe.resolver = resolver_create(probe.loop, &st)) == NULL ||
        (probe.http = http_client_create(probe.loop, probe.resolver, &st)) == NULL)
        config_faults_add(faults, 0, "", "%s", st.detail);
    else
        run(&probe, limit_us);
    http_client_destroy(&probe.http);
    resolver_destroy(&probe.resolver);
    loop_destroy(&probe.loop);
    buf_deinit(&answer);
}
