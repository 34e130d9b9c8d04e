// SPDX-License-Identifier: Apache-2.0
// One file being loaded, and what is shown of it.
#ifndef CXSINK_CLI_LOAD_PRIV_H
#define CXSINK_CLI_LOAD_PRIV_H

#include "app/pipeline.h"
#include "core/loop.h"
#include "core/timer.h"
#include "net/resolve.h"

#include <sys/stat.h>

struct load {
    const struct config *config;
    const struct schema_set *schemas;
    size_t stream; // index into config.streams
    bool terminal; // stderr is one
    // input
    const char *path;
    int fd;
    bool resumable;
    uint64_t inode, size; // size 0: unknown
    struct uuid name;     // of the file: where its position is kept
    struct uuid source;   // of its dead letters
    // The bytes from `window_base` on that were read and are not acknowledged. A line's number for
    // the sink is the offset of its first byte plus one.
    struct buf window;
    uint64_t window_base;
    uint64_t next;  // offset of the next line to decode
    uint64_t acked; // everything before this offset is committed
    uint64_t first; // where this run began
    bool at_end;    // no more bytes come
    bool drained;   // every line was pushed
    bool stopping;  // asked to stop
    bool failed;    // the input could not be read to its end
    bool told_down; // that the database is away
    uint64_t rejected;
    // machinery
    struct loop *loop;
    struct resolver *resolver;
    struct sink *sink;
    struct pipeline *pipeline;
    int signal_fd;
    struct loop_watch *signal_watch;
    struct timer tick, patience;
    struct mono started, last_line;
    int exit_code;
};

// The same file of the same stream, unchanged, is the same source: loaded again, its dead letters
// are not doubled. Once it has changed, the line at an offset is another event.
void load_name_source(struct load *load, const char *real_path, const struct stat *info);
// When it cannot be kept, says so and makes the load one that is not resumable.
void load_save_position(struct load *load);
// Of a file of a command that is done with all of its files; `common` has configuration and stream.
void load_forget_position(const struct load *common, const char *file);
// The byte to go on at, and as which source; 0 when nothing is known of this file.
uint64_t load_stored_position(struct load *load);

void load_check_done(struct load *load);
// A bar on a terminal, a plain line every five seconds elsewhere.
void load_print_progress(struct load *load);
void load_clear_progress(const struct load *load);
void load_print_summary(struct load *load);

#endif
