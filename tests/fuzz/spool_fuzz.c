// SPDX-License-Identifier: Apache-2.0
// Recovery of a damaged spool. The input damages the files of a small spool, five bytes a step (see
// damage()), or, after a first byte 'R', is the whole of a segment file. Opening, reading and going
// on must come to an end; what is read is what was written, each record at most once and in order;
// a record whose bytes are whole is not lost.
#include "fuzz.h"

#include "core/buf.h"
#include "core/mem.h"
#include "spool/spool_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define SEGMENTS 3
#define PER_SEGMENT 5
#define RECORDS (SEGMENTS * PER_SEGMENT)
#define FILES (SEGMENTS + 1) // and the position
#define PAYLOAD_MAX 64

static const struct uuid id = {{1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16}};

struct file {
    char name[32];
    char data[2048];
    size_t size;
};

static char dir[64];
static int dir_fd;
static struct file pristine[FILES], files[FILES];
static struct {
    size_t file, start, end;
} places[RECORDS];

// Instead of the C library's: spool_inspect() waits for a tail that is being written, here in vain.
int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)wanted;
    (void)left;
    return 0;
}

// --- the spool as it was -------------------------------------------------------------------------

// The payload that goes with a number.
static size_t make_payload(uint64_t seq, char *payload)
{
    size_t length = (size_t)(seq * 7 % PAYLOAD_MAX);
    for (size_t i = 0; i < length; i++)
        payload[i] = (char)('a' + (seq + i) % 26);
    return length;
}

static void make_segment(size_t index, struct file *file)
{
    uint64_t first = 1 + index * PER_SEGMENT;
    struct segment_header header = {.id = id, .first_seq = first, .prev_end = first};
    char payload[PAYLOAD_MAX];
    segment_name(first, file->name);
    segment_header_encode(&header, file->data);
    file->size = SEGMENT_HEADER_SIZE;
    for (uint64_t seq = first; seq < first + PER_SEGMENT; seq++) {
        struct spool_record record = {.received_us = (int64_t)seq * 1000000,
                                      .kind = SPOOL_TEXT,
                                      .stream = "main",
                                      .stream_len = 4,
                                      .payload = payload,
                                      .len = make_payload(seq, payload)};
        record_encode(&record, seq, record_seed(&id), file->data + file->size);
        places[seq - 1].file = index;
        places[seq - 1].start = file->size;
        file->size += record_size(&record);
        places[seq - 1].end = file->size;
    }
}

static void make_position(struct file *file)
{
    struct position position = {.id = id, .acked = 2, .next_seq = RECORDS + 1};
    strcpy(file->name, POSITION_FILE);
    int fd = openat(dir_fd, file->name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    FUZZ_CHECK(position_store(&spool_io_system, fd, &position) == 0 &&
                   position_store(&spool_io_system, fd, &position) == 0,
               "position");
    ssize_t size = pread(fd, file->data, sizeof(file->data), 0);
    FUZZ_CHECK(size > 0, "position");
    file->size = (size_t)size;
    close(fd);
}

static void empty_dir(void)
{
    DIR *list = opendir(dir);
    FUZZ_CHECK(list != NULL, "%s", dir);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dir_fd, entry->d_name, 0);
    closedir(list);
}

static void tear_down(void)
{
    empty_dir();
    rmdir(dir);
}

static void set_up(void)
{
    snprintf(dir, sizeof(dir), "%s/cxsink-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_CHECK(mkdtemp(dir) != NULL, "%s", dir);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    atexit(tear_down);
    for (size_t i = 0; i < SEGMENTS; i++)
        make_segment(i, &pristine[i]);
    make_position(&pristine[SEGMENTS]);
}

// --- damage --------------------------------------------------------------------------------------

static bool touched[RECORDS], header_touched, resized;

static void touch(size_t file, size_t start, size_t end)
{
    header_touched |= file == SEGMENTS || start < SEGMENT_HEADER_SIZE;
    for (size_t i = 0; i < RECORDS; i++)
        touched[i] |= places[i].file == file && start < places[i].end && end > places[i].start;
}

// One step: what, at which offset (two bytes), in which file, and a value.
static void damage(const uint8_t step[5])
{
    size_t which = step[3] % FILES;
    struct file *file = &files[which];
    size_t at = file->size == 0 ? 0 : (size_t)(step[1] << 8 | step[2]) % file->size;
    size_t n = step[4] % 64;

    switch (step[0] % 4) {
    case 0: // other bits
        if (file->size == 0)
            return;
        file->data[at] = (char)(file->data[at] ^ (step[4] | 1));
        touch(which, at, at + 1);
        break;
    case 1: // cut off
        touch(which, at, SIZE_MAX);
        resized = true;
        file->size = at;
        break;
    case 2: // more at the end
        n = n < sizeof(file->data) - file->size ? n : sizeof(file->data) - file->size;
        memset(file->data + file->size, step[2], n);
        touch(which, file->size, file->size);
        resized = true;
        file->size += n;
        break;
    default: // a piece of the file once more, over another one
        n = n < file->size - at ? n : file->size - at;
        memmove(file->data + at, file->data, n);
        touch(which, at, at + n);
        break;
    }
}

static void write_files(void)
{
    for (size_t i = 0; i < FILES; i++) {
        const struct file *file = &files[i];
        int fd = openat(dir_fd, file->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        FUZZ_CHECK(write(fd, file->data, file->size) == (ssize_t)file->size, "%s", file->name);
        close(fd);
    }
}

static void make_files(const uint8_t *data, size_t size)
{
    memcpy(files, pristine, sizeof(files));
    memset(touched, 0, sizeof(touched));
    header_touched = resized = false;
    if (size > 0 && data[0] == 'R') {
        struct file *file = &files[SEGMENTS - 1];
        file->size = size - 1 < sizeof(file->data) ? size - 1 : sizeof(file->data);
        memcpy(file->data, data + 1, file->size);
        touch(SEGMENTS - 1, 0, SIZE_MAX);
    } else {
        for (size_t at = 0; at + 5 <= size && at < 5 * 16; at += 5)
            damage(data + at);
    }
    write_files();
}

// --- recovery ------------------------------------------------------------------------------------

static struct spool *open_spool(void)
{
    struct spool_settings settings = {
        .dir = dir, .max_bytes = 1 << 20, .segment_bytes = 64 << 10, .sync = SPOOL_SYNC_OFF};
    struct spool *spool = NULL;
    struct status st = {0};
    FUZZ_CHECK(spool_open(&settings, &spool, &st) == STATUS_OK, "%s", st.detail);
    return spool;
}

// Reads to the end; marks in `seen`, and returns the last number.
static uint64_t read_all(struct spool *spool, bool seen[RECORDS])
{
    struct spool_record record;
    struct status st = {0};
    char payload[PAYLOAD_MAX];
    uint64_t last = 0;
    enum spool_read got;
    while ((got = spool_read(spool, &record, &st)) == SPOOL_READ) {
        FUZZ_CHECK(record.seq > last && record.seq <= RECORDS, "record %llu",
                   (unsigned long long)record.seq);
        last = record.seq;
        FUZZ_CHECK(record.len == make_payload(record.seq, payload) &&
                       memcmp(record.payload, payload, record.len) == 0 && record.stream_len == 4 &&
                       memcmp(record.stream, "main", 4) == 0,
                   "record %llu", (unsigned long long)last);
        seen[last - 1] = true;
    }
    FUZZ_CHECK(got == SPOOL_EMPTY, "%s", st.detail);
    return last;
}

// Two of the files say which spool this is, so damage to records leaves the others as they were.
static void check_whole(const bool seen[RECORDS])
{
    for (size_t i = 2; i < RECORDS && !header_touched; i++) // two are acknowledged
        FUZZ_CHECK(seen[i] || touched[i], "record %zu is lost", i + 1);
}

static void check_going_on(struct spool *spool, uint64_t last)
{
    struct spool_record record = {.received_us = 1,
                                  .kind = SPOOL_TEXT,
                                  .stream = "new",
                                  .stream_len = 3,
                                  .payload = "payload",
                                  .len = 7};
    struct status st = {0};
    if (last > 0)
        spool_ack(spool, last);
    FUZZ_CHECK(spool_append(spool, &record) == SPOOL_APPENDED, "append");
    FUZZ_CHECK(spool_commit(spool, 0, &st) == STATUS_OK, "%s", st.detail);
    spool_close(&spool);
    spool = open_spool();
    FUZZ_CHECK(spool_read(spool, &record, &st) == SPOOL_READ && record.seq > last &&
                   record.len == 7 && memcmp(record.payload, "payload", 7) == 0,
               "the new record: %s", st.detail);
    FUZZ_CHECK(spool_read(spool, &record, &st) == SPOOL_EMPTY, "one more");
    spool_close(&spool);
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct spool_report report;
    struct status st = {0};
    bool seen[RECORDS] = {false};

    if (dir[0] == '\0')
        set_up();
    empty_dir();
    make_files(data, size);
    FUZZ_CHECK(spool_inspect(dir, NULL, NULL, &report, &st) == STATUS_OK, "%s", st.detail);
    FUZZ_CHECK(report.records <= RECORDS, "%llu records", (unsigned long long)report.records);
    struct spool *spool = open_spool();
    uint64_t last = read_all(spool, seen);
    check_whole(seen);
    check_going_on(spool, last);
    return 0;
}
