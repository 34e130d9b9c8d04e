// SPDX-License-Identifier: Apache-2.0
// The spool: a durable, bounded FIFO of raw frames in segment files. Owned by the daemon; one
// process at a time (a lock file). It knows nothing of what a frame means.
//
// Life of a record: spool_append() copies it into the pending buffer (not yet received);
// spool_commit() writes and syncs what is pending in one go (received); spool_read() hands
// committed records out in order, through a bounded buffer, however large the backlog;
// spool_ack() says that everything up to a sequence number is committed downstream, and trims whole
// segments that are done with. The ack position is also kept in a small file, so that a restart
// repeats little; it may be behind the truth, never ahead of it.
//
// Pure but for its files: time is an argument, nothing is logged; what was found is counted and
// told through struct spool_events.
#ifndef CXSINK_SPOOL_SPOOL_H
#define CXSINK_SPOOL_SPOOL_H

#include "core/buf.h"
#include "core/status.h"
#include "core/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Longest stream name in a record, bytes.
#define SPOOL_STREAM_MAX 63

enum spool_kind {
    SPOOL_TEXT = 1,     // a whole text message
    SPOOL_BINARY = 2,   // a whole binary message
    SPOOL_TOO_LARGE = 3 // the first 64 KiB of a message over the stream's cap
};

enum spool_when_full { SPOOL_BLOCK, SPOOL_DROP_NEWEST, SPOOL_DROP_OLDEST };
enum spool_sync { SPOOL_SYNC_ALWAYS, SPOOL_SYNC_INTERVAL, SPOOL_SYNC_OFF };

struct spool_record {
    uint64_t seq;        // from 1, rising, never used twice in one spool; set by the spool. Numbers
                         // are left out only by an open after a crash
    int64_t received_us; // wall clock
    enum spool_kind kind;
    const char *stream; // not NUL-terminated
    size_t stream_len;  // 1 to SPOOL_STREAM_MAX
    const char *payload;
    size_t len;
};

struct spool_stats {
    uint64_t first_seq; // oldest record that is not acknowledged; next_seq when there is none
    uint64_t next_seq;  // of the next record to append
    uint64_t events;    // committed, not acknowledged
    uint64_t pending;   // appended, not committed
    uint64_t bytes;     // of all segment files and the pending buffer
    uint64_t max_bytes;
    unsigned segments;
    int64_t oldest_us; // wall time of the oldest unacknowledged record that was seen; 0: none
    uint64_t corrupt;  // damaged places skipped since the open
    uint64_t dropped;  // records dropped by policy since the open
    bool full;         // the last append was refused or made room by dropping
    bool no_space;     // the last commit met a full file system; appends are taken until the
                       // pending buffer is at its bound
};

// What an owner may want to log and audit. Any member may be NULL. `owner` is settings.owner.
struct spool_callbacks {
    // A damaged place was skipped: where (`file` is a name in the directory), how many bytes, what
    // was met, in words. Also called by spool_open(): for an unfinished record cut off at the end,
    // for segments of another spool and strange files (left alone), for leftover "*.tmp" (removed).
    void (*corrupt)(void *owner, const char *file, uint64_t offset, uint64_t bytes,
                    const char *what);
    // Records of this stream were dropped by drop_newest or drop_oldest, or one that cannot be
    // stored at all (no stream name or one too long, an unknown kind, more than 1 GiB). The counts
    // of drop_oldest include records that were read and not yet acknowledged.
    void (*dropped)(void *owner, const char *stream, size_t stream_len, uint64_t count);
};

struct spool_settings {
    const char *dir;        // created with mode 0700 when missing
    uint64_t max_bytes;     // of files and pending records; a single larger record goes alone
    uint64_t segment_bytes; // at most a quarter of max_bytes is used
    enum spool_when_full when_full;
    enum spool_sync sync;
    int64_t sync_interval_us; // with SPOOL_SYNC_INTERVAL
    struct spool_callbacks callbacks;
    void *owner;
};

struct spool;

enum spool_append { SPOOL_APPENDED, SPOOL_DROPPED, SPOOL_FULL };
enum spool_read { SPOOL_READ, SPOOL_EMPTY, SPOOL_FAILED };

// Opens or creates, takes the lock (STATUS_BUSY names the process that holds it), recovers record
// by record: a torn tail is cut off, a damaged place is skipped to the next whole record. Reads the
// last segment, not the backlog. Only what the owner must put right is refused: STATUS_DENIED,
// STATUS_BUSY, STATUS_INVALID (not a directory), STATUS_IO, STATUS_FULL (no room for the lock
// file).
enum status_code spool_open(const struct spool_settings *settings, struct spool **spool_r,
                            struct status *st) STATUS_MUST_CHECK;
// Commits what is pending as far as it can, stores the ack position, unlocks.
void spool_close(struct spool **spool);
// New bounds and policies on reload; `dir` and `owner` must be the same.
void spool_configure(struct spool *spool, const struct spool_settings *settings);

// Of this spool for its whole life; (id, seq) names a record for ever.
const struct uuid *spool_id(const struct spool *spool);

// SPOOL_FULL: nothing was taken, try again when spool_has_room() says so. Under `block` when the
// bound is reached; under each policy when the pending buffer is at its bound (4 MiB at most, and
// one record), which the next commit changes: append never commits by itself.
// SPOOL_DROPPED: this record was dropped, and told to the callback.
enum spool_append spool_append(struct spool *spool, const struct spool_record *record);
// After a refusal: true when there is room for that record and some more (an eighth of max_bytes).
bool spool_has_room(const struct spool *spool);
// Writes what is pending, and syncs as the settings say (`now_us`: monotonic, for the interval). On
// failure everything stays pending and may be committed again: STATUS_FULL for a full disk,
// STATUS_IO otherwise. With SPOOL_SYNC_INTERVAL call it regularly: a call with nothing pending
// syncs what is due.
enum status_code spool_commit(struct spool *spool, int64_t now_us,
                              struct status *st) STATUS_MUST_CHECK;
uint64_t spool_pending_bytes(const struct spool *spool);

// Next committed record. Its pointers are valid until the next call of any spool function but
// append. SPOOL_FAILED: the file could not be read (in `st`); trying again is right.
enum spool_read spool_read(struct spool *spool, struct spool_record *record_r, struct status *st);
// One unacknowledged record by number, appended to `payload` (rare: a search from the oldest on).
// False when it is not there any more. Numbers in rising order are found without searching again.
bool spool_fetch(struct spool *spool, uint64_t seq, struct buf *payload);
// Reads again from the oldest unacknowledged record.
void spool_rewind(struct spool *spool);
// Everything up to and including `seq` is done with. Smaller than before: ignored.
void spool_ack(struct spool *spool, uint64_t seq);
// Stores the ack position, not synced. Also done every 64 acks, when all is acknowledged, by commit
// after 100 ms, and by close. Cheap.
void spool_store_position(struct spool *spool);

void spool_stat(const struct spool *spool, struct spool_stats *stats_r);

// Looks into a spool without the lock and without changing anything, also while a daemon runs.
struct spool_report {
    struct uuid id;
    uint64_t segments, bytes, records, unacknowledged, corrupt_places, corrupt_bytes;
    uint64_t first_seq, last_seq, acked_seq;
    int64_t oldest_us; // wall time of the oldest unacknowledged record; 0: none
};
enum status_code spool_inspect(const char *dir, const struct spool_callbacks *callbacks,
                               void *owner, struct spool_report *report_r,
                               struct status *st) STATUS_MUST_CHECK;

#endif
