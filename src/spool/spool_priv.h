// SPDX-License-Identifier: Apache-2.0
// The spool from inside. Structure:
//
//   struct spool
//    |- segments[]  the files, oldest first. The last one is "active" while `fd` is open: commits
//    |              append to it. The others are only read, and removed when all is acknowledged.
//    |- pending     encoded records that wait for a commit
//    |- reader      where spool_read() is
//    |- finder      where the last spool_fetch() was
//    |- ages        when records that were read were received: for the age of the oldest
//    '- position    what the position file holds
//
// Numbers: every number below `committed_end` is in the files, acknowledged or lost; pending
// records have committed_end to next_seq - 1. Within one segment they are dense.
//
// Files: spool.c open's last steps, close, stat; list.c the segments; recover.c what open does
// before; write.c append and commit; trim.c acknowledge, remove, drop; read.c; inspect.c. Below
// them: cursor.c walks one file, segment.c and position.c know the formats, io.c calls the system.
#ifndef CXSINK_SPOOL_SPOOL_PRIV_H
#define CXSINK_SPOOL_SPOOL_PRIV_H

#include "core/buf.h"
#include "spool/cursor_priv.h"
#include "spool/io_priv.h"
#include "spool/position_priv.h"
#include "spool/segment_priv.h"
#include "spool/spool.h"

// Bytes that may be pending, and one record more.
#define SPOOL_PENDING_MAX (UINT64_C(4) << 20)
// An acknowledged active segment larger than this is emptied, or than an eighth of segment_bytes.
#define SPOOL_RECYCLE_BYTES (UINT64_C(8) << 20)
// Failed reads of one place before it is taken for damaged.
#define SPOOL_READ_TRIES 5
// The position is stored after so many acknowledgements or so much time.
#define SPOOL_STORE_ACKS 64
#define SPOOL_STORE_US (INT64_C(100) * 1000)
// Numbers left out when records that were readable may be lost after a power cut: far more than can
// be written in the time that the kernel keeps data unwritten.
#define SPOOL_SEQ_GAP (UINT64_C(1) << 32)

struct spool_segment {
    uint64_t name;  // the number in the file's name
    uint64_t first; // least number of a record in it
    uint64_t end;   // one more than the greatest; of the active one see segment_end()
    uint64_t size;  // bytes that hold; the file may be longer after a failed write. 0: the header
                    // is still to be written
};

// A place at the beginning of a record. seq 0: none.
struct spool_mark {
    uint64_t name;
    uint64_t offset;
    uint64_t seq;
};

struct spool_reader {
    struct cursor cursor;
    size_t segment;    // index
    uint64_t last_seq; // last one handed out or passed over
    int64_t last_us;   // when that was received
    // The next read after a rewind starts at `mark` at the latest: its seq is at most acked + 1.
    // `candidate` becomes the mark when that is true of it.
    struct spool_mark mark, candidate;
    uint64_t told_name, told_offset; // damage before this was told
};

struct spool_finder {
    struct cursor cursor;
    uint64_t name;     // of the segment it is in; 0: none
    uint64_t next_seq; // of the next record it meets, at least
};

// Samples of records that were read and are not acknowledged, thinner the more there are.
#define AGES_MAX 1024
struct spool_ages {
    struct {
        uint64_t seq;
        int64_t us;
    } samples[AGES_MAX]; // a ring
    unsigned first, count;
    int64_t popped_us; // of the last sample that was acknowledged
    int64_t unread_us; // of the oldest record after the reader, or older; 0: not known
};

struct spool {
    struct spool_settings settings; // `dir` is owned
    const struct spool_io *io;
    struct uuid id;
    uint32_t seed;
    int dir_fd, lock_fd, position_fd;
    int fd; // of the active segment; -1: none, the next commit makes one

    struct spool_segment *segments; // owned
    size_t n_segments, cap_segments;
    uint64_t file_bytes;    // sum of their sizes
    uint64_t segment_bytes; // a new segment starts beyond this
    bool suspect;           // the active file may hold bytes beyond its size that failed to sync
    bool unsynced;          // the active file holds committed bytes that are not synced
    bool dir_unsynced;      // a removal is not synced
    int64_t synced_us;      // monotonic, of the last sync

    struct buf pending;
    uint64_t pending_max;
    uint64_t next_seq, committed_end;
    uint64_t refused; // bytes of the record that was refused; 0: none since the last success
    bool full, failing, no_space;

    uint64_t acked;
    struct position position;
    unsigned unstored_acks;
    int64_t stored_us;
    uint64_t retry_trim; // no removal is tried below this number, after one failed

    struct spool_reader reader;
    struct spool_finder finder;
    struct spool_ages ages;
    uint64_t corrupt, dropped;
};

// spool_open() with other system calls.
enum status_code spool_open_with(const struct spool_settings *settings, const struct spool_io *io,
                                 struct spool **spool_r, struct status *st) STATUS_MUST_CHECK;

// --- list.c: the segments ------------------------------------------------------------------------
struct spool_segment *segments_add(struct spool *spool, const struct spool_segment *segment);
// Forgets the oldest (the file is the caller's business); reader and finder leave it.
void segments_remove_first(struct spool *spool);
static inline struct spool_segment *segments_last(const struct spool *spool)
{
    return spool->n_segments == 0 ? NULL : &spool->segments[spool->n_segments - 1];
}
static inline bool segment_is_active(const struct spool *spool, size_t index)
{
    return spool->fd >= 0 && index + 1 == spool->n_segments;
}
static inline uint64_t segment_end(const struct spool *spool, size_t index)
{
    return segment_is_active(spool, index) ? spool->committed_end : spool->segments[index].end;
}
void segment_resize(struct spool *spool, struct spool_segment *segment, uint64_t size);
// Opens its file for reading; -1 and errno.
int segment_open(const struct spool *spool, const struct spool_segment *segment);

// --- told to the owner ---------------------------------------------------------------------------
// Counts a damaged place and tells it. `name` is a file of the spool's directory.
void spool_tell_damage(struct spool *spool, const char *name, const struct cursor_item *place);
void spool_tell_dropped(struct spool *spool, const char *stream, size_t stream_len, uint64_t count);

// --- recover.c -----------------------------------------------------------------------------------
// Takes the lock and finds id, segments, numbers, acknowledged position.
enum status_code spool_recover(struct spool *spool, struct status *st) STATUS_MUST_CHECK;

// --- write.c -------------------------------------------------------------------------------------
// Does commit's work; `sync` overrides the policy with an immediate sync.
enum status_code spool_commit_now(struct spool *spool, int64_t now_us, bool sync,
                                  struct status *st) STATUS_MUST_CHECK;
void spool_sync_dir(struct spool *spool);
// Ends the active segment: it is only read from now on.
void spool_seal(struct spool *spool);

// --- trim.c --------------------------------------------------------------------------------------
// Removes segments that are done with; called whenever `acked` or a segment's end moved.
void spool_trim(struct spool *spool);
// Everything committed is acknowledged: empties the last file when it is larger than `beyond`.
bool spool_recycle(struct spool *spool, uint64_t beyond);
// Removes the oldest segment with all its records, telling how many are lost. False when there is
// only the active one, or it cannot be removed.
bool spool_drop_oldest(struct spool *spool);
void spool_store(struct spool *spool, bool clean);
// Opens the last segment for writing; false when that fails.
bool spool_open_last(struct spool *spool);

// --- read.c --------------------------------------------------------------------------------------
void reader_init(struct spool *spool);
// Back to the front of the segment of this index.
void reader_restart(struct spool *spool, size_t segment);
// The reader is behind everything that is committed.
bool reader_at_end(const struct spool *spool);
// After `acked` moved.
void reader_acked(struct spool *spool);
void finder_reset(struct spool *spool);
int64_t spool_oldest_us(const struct spool *spool);

#endif
