// SPDX-License-Identifier: Apache-2.0
#include "cli/common.h"
#include "load_priv.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PLAIN_EVERY_US (5 * US_PER_S)

static double seconds_since(struct mono start)
{
    double seconds = (double)mono_diff(mono_read(), start) / 1e6;
    return seconds > 0.001 ? seconds : 0.001;
}

static uint64_t committed(const struct load *l)
{
    struct sink_stats stats;
    sink_stat(l->sink, &stats);
    return stats.inserted + stats.updated + stats.unchanged;
}

static void format_eta(const struct load *l, char *text, size_t size)
{
    double done = (double)(l->acked - l->first);
    if (l->size == 0 || done <= 0) {
        snprintf(text, size, "--:--");
        return;
    }
    double left = (double)(l->size - l->acked) * seconds_since(l->started) / done;
    snprintf(text, size, "%02d:%02d", (int)(left / 60), (int)left % 60);
}

static void print_bar(const struct load *l)
{
    char bar[CLI_BAR_WIDTH + 1];
    char eta[32];
    double part = l->size > 0 ? (double)l->acked / (double)l->size : 0;
    cli_bar(part, bar);
    format_eta(l, eta, sizeof(eta));
    const char *trouble =
        sink_state(l->sink) == SINK_READY ? "" : sink_state_name(sink_state(l->sink));
    fprintf(stderr, "\r[%s] %3.0f %%  %llu rows  %.0f/s  ETA %s  %llu rejected  %s\033[K", bar,
            part * 100, (unsigned long long)committed(l),
            (double)committed(l) / seconds_since(l->started), eta, (unsigned long long)l->rejected,
            trouble);
}

void load_print_progress(struct load *l)
{
    struct mono now = mono_read();
    if (l->terminal) {
        print_bar(l);
    } else if (mono_diff(now, l->last_line) >= PLAIN_EVERY_US && l->last_line.us != 0) {
        fprintf(stderr, "cxsink load: %s: %llu of %llu bytes, %llu rows, %llu rejected, %.0f/s\n",
                l->path, (unsigned long long)l->acked, (unsigned long long)l->size,
                (unsigned long long)committed(l), (unsigned long long)l->rejected,
                (double)committed(l) / seconds_since(l->started));
        l->last_line = now;
    }
    if (l->last_line.us == 0)
        l->last_line = now;
}

void load_clear_progress(const struct load *l)
{
    if (l->terminal)
        fputs("\r\033[K", stderr);
}

void load_print_summary(struct load *l)
{
    struct sink_stats stats;
    sink_stat(l->sink, &stats);
    load_clear_progress(l);
    printf("%s: %llu inserted, %llu updated, %llu unchanged, %llu rejected in %.1f s%s\n", l->path,
           (unsigned long long)stats.inserted, (unsigned long long)stats.updated,
           (unsigned long long)stats.unchanged, (unsigned long long)l->rejected,
           seconds_since(l->started),
           l->exit_code == 0 ? "" : "; stopped before the end, run it again to go on");
}
