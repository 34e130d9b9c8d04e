// SPDX-License-Identifier: Apache-2.0
#include "ops/audit.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/fsio.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// Longest line that is looked at when finding the last one.
#define TAIL_BYTES 65536
#define HASH_MARK ",\"hash\":\""

struct audit {
    int fd;
    char *path;
    char last[HASH_SHA256_HEX_SIZE];
    unsigned missed; // events that are in the log alone since the last write that succeeded
    struct buf line, text;
};

static const char *find_last(const char *data, size_t length, const char *mark)
{
    size_t n = strlen(mark);
    for (size_t i = length; i >= n; i--) {
        if (memcmp(data + i - n, mark, n) == 0)
            return data + i - n;
    }
    return NULL;
}

// Bytes of a line's end: `,"hash":"`, 64 digits, `"}`.
#define SEAL_BYTES (sizeof(HASH_MARK) - 1 + 64 + 2)

// Whether only the line feed is missing from the last line.
static bool ends_sealed(const char *data, size_t length)
{
    return length >= SEAL_BYTES &&
           memcmp(data + length - SEAL_BYTES, HASH_MARK, sizeof(HASH_MARK) - 1) == 0 &&
           memcmp(data + length - 2, "\"}", 2) == 0;
}

// Takes the hash of the last whole line. Returns whether the file ends without a line feed.
static bool read_tail(struct audit *audit)
{
    char *tail = mem_alloc(TAIL_BYTES);
    struct stat info;
    off_t size = fstat(audit->fd, &info) == 0 ? info.st_size : 0;
    off_t start = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
    ssize_t n = pread(audit->fd, tail, (size_t)(size - start), start);
    size_t length = n > 0 ? (size_t)n : 0;
    bool torn = length > 0 && tail[length - 1] != '\n';
    while (length > 0 && tail[length - 1] != '\n' && !ends_sealed(tail, length))
        length--;
    const char *mark = find_last(tail, length, HASH_MARK);
    if (mark != NULL && (size_t)(tail + length - mark) >= SEAL_BYTES)
        memcpy(audit->last, mark + sizeof(HASH_MARK) - 1, 64);
    free(tail);
    return torn;
}

// Two writers would each go on from the line that they saw last, and break the chain. A record lock
// (fcntl(2)) tells who has it, and ends with its process.
static bool take_lock(int fd, const char *path, struct status *st)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) == 0)
        return true;
    if (errno != EACCES && errno != EAGAIN) {
        status_set_errno(st, STATUS_IO, errno, "cannot lock %s", path);
        return false;
    }
    if (fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        lock.l_pid = 0; // it just ended
    status_set(st, STATUS_BUSY, "%s is in use by process %ld; stop that one first", path,
               (long)lock.l_pid);
    return false;
}

static int open_locked(const char *path, struct status *st)
{
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        bool denied = errno == EACCES || errno == EPERM || errno == EROFS;
        status_set_errno(st, denied ? STATUS_DENIED : STATUS_IO, errno, "cannot open %s", path);
        return -1;
    }
    if (take_lock(fd, path, st))
        return fd;
    close(fd);
    return -1;
}

struct audit *audit_open(const char *path, struct status *st)
{
    int fd = open_locked(path, st);
    if (fd < 0)
        return NULL;
    struct audit *audit = mem_zalloc(sizeof(*audit));
    audit->fd = fd;
    audit->path = mem_strdup(path);
    memset(audit->last, '0', 64);
    if (read_tail(audit)) {
        if (fsio_write_all(fd, "\n", 1, st) != STATUS_OK) {
            status_prefix(st, "cannot end the last line of %s", path);
            audit_close(&audit);
            return NULL;
        }
        audit_write(audit, "audit.torn", NULL, NULL, 0);
    }
    return audit;
}

void audit_close(struct audit **pointer)
{
    struct audit *audit = *pointer;
    if (audit == NULL)
        return;
    *pointer = NULL;
    close(audit->fd);
    buf_deinit(&audit->line);
    buf_deinit(&audit->text);
    free(audit->path);
    free(audit);
}

static void add_member(struct audit *audit, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(&audit->line, ",\"%s\":", name);
    buf_json_string(&audit->line, value, strlen(value));
    buf_printf(&audit->text, " %s=%s", name, value);
}

// Ends the line with prev and hash and keeps the hash for the next one.
static void seal(struct audit *audit)
{
    unsigned char digest[HASH_SHA256_SIZE];
    buf_printf(&audit->line, ",\"prev\":\"%s\"", audit->last);
    hash_sha256(audit->line.data, audit->line.len, digest);
    hash_hex(digest, sizeof(digest), audit->last);
    buf_printf(&audit->line, HASH_MARK "%s\"}\n", audit->last);
}

// Writes the line, or nothing of it: half a line would spoil the next one too, and a hash that is
// not in the file would break the chain.
static enum status_code append_line(struct audit *audit, const char *before, struct status *st)
{
    struct stat info;
    bool known = fstat(audit->fd, &info) == 0;
    enum status_code code = fsio_write_all(audit->fd, audit->line.data, audit->line.len, st);
    if (code == STATUS_OK)
        return code;
    if (known && S_ISREG(info.st_mode))
        (void)!ftruncate(audit->fd, info.st_size);
    memcpy(audit->last, before, 64);
    return code;
}

// Makes the line, and its text for the log.
static void compose(struct audit *audit, const char *event, const char *stream,
                    const struct audit_field *fields, size_t n_fields)
{
    char when[32];
    wall_format(wall_read_us(), when, sizeof(when));
    buf_clear(&audit->line);
    buf_clear(&audit->text);
    buf_printf(&audit->line, "{\"time\":\"%s\",\"event\":\"%s\"", when, event);
    if (stream != NULL) {
        buf_append_text(&audit->line, ",\"stream\":");
        buf_json_string(&audit->line, stream, strlen(stream));
    }
    for (size_t i = 0; i < n_fields; i++)
        add_member(audit, fields[i].name, fields[i].value);
    seal(audit);
}

// Says in the file how many events are in the log alone.
static void write_missed(struct audit *audit)
{
    char count[16];
    char before[64];
    snprintf(count, sizeof(count), "%u", audit->missed);
    const struct audit_field field = {"events", count};
    memcpy(before, audit->last, 64);
    compose(audit, "audit.missed", NULL, &field, 1);
    if (append_line(audit, before, NULL) == STATUS_OK)
        audit->missed = 0;
}

void audit_write(struct audit *audit, const char *event, const char *stream,
                 const struct audit_field *fields, size_t n_fields)
{
    struct status st;
    char before[64];
    if (audit->missed > 0)
        write_missed(audit);
    memcpy(before, audit->last, 64);
    compose(audit, event, stream, fields, n_fields);
    struct log_fields about = {.stream = stream, .audit = event};
    log_info(&about, "%s%s", event, buf_text(&audit->text));
    if (append_line(audit, before, &st) == STATUS_OK)
        return;
    audit->missed++;
    log_error(&about, "the audit log %s misses an event: %s", audit->path, st.detail);
}
