// SPDX-License-Identifier: Apache-2.0
// How far it is, on a terminal.
#include "cli/common.h"
#include "cli/validate_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define SHOW_EVERY_US (US_PER_S / 10)

void validate_progress_init(struct validate_progress *progress, uint64_t total)
{
    struct mono now = mono_read();

    *progress = (struct validate_progress){.on = isatty(STDERR_FILENO) == 1,
                                           .started = now,
                                           .next = mono_add(now, SHOW_EVERY_US),
                                           .total = total};
}

void validate_progress_show(struct validate_progress *progress, uint64_t bytes,
                            const struct validate_counts *counts)
{
    char bar[CLI_BAR_WIDTH + 1] = "";

    if (!progress->on)
        return;
    struct mono now = mono_read();
    if (mono_diff(now, progress->next) < 0)
        return;
    progress->next = mono_add(now, SHOW_EVERY_US);
    progress->shown = true;
    double seconds = (double)mono_diff(now, progress->started) / (double)US_PER_S;
    double part = progress->total > 0 ? (double)bytes / (double)progress->total : 0;
    if (progress->total > 0) {
        cli_bar(part, bar);
        fprintf(stderr, "\r[%s] %3.0f %%  ", bar, part * 100);
    } else {
        fprintf(stderr, "\r%.1f MB  ", (double)bytes / 1e6);
    }
    fprintf(stderr, "%" PRIu64 " lines  %" PRIu64 " invalid  %.0f MB/s\033[K", counts->lines,
            counts->invalid, (double)bytes / 1e6 / seconds);
}

void validate_progress_wipe(struct validate_progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
