// SPDX-License-Identifier: Apache-2.0
// The end of a line of the audit log, and the end of a file.
#include "audit_priv.h"
#include "core/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The last line is looked for in this many bytes first, then in more.
#define TAIL_BYTES ((size_t)64 << 10)
#define TAIL_MOST ((size_t)16 << 20)

#define TIME_MARK "{\"time\":\""
#define KEY_MARK ",\"key_id\":\""
#define PREV_MARK ",\"prev\":\""
#define HASH_MARK ",\"hash\":\""
#define MARK(text) (sizeof(text) - 1)
#define HASH_BYTES (MARK(HASH_MARK) + AUDIT_HASH_DIGITS + 2) // with `"}`
#define PREV_BYTES (MARK(PREV_MARK) + AUDIT_HASH_DIGITS + 1) // with `"`
#define KEY_BYTES (MARK(KEY_MARK) + AUDIT_KEY_ID_DIGITS + 1)

// Takes `mark` and `digits` of hex out of the text. False: something else is there.
static bool take(const char *text, const char *mark, size_t digits, char *value_r)
{
    size_t n = strlen(mark);
    if (memcmp(text, mark, n) != 0 || text[n + digits] != '"')
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (memchr("0123456789abcdef", text[n + i], 16) == NULL)
            return false;
    }
    memcpy(value_r, text + n, digits);
    value_r[digits] = '\0';
    return true;
}

bool audit_seal_read(const char *line, size_t length, struct audit_seal *seal_r)
{
    *seal_r = (struct audit_seal){0};
    if (length < HASH_BYTES + PREV_BYTES + 1 || line[0] != '{' || line[length - 1] != '}')
        return false;
    size_t at = seal_r->sealed = length - HASH_BYTES;
    if (!take(line + at, HASH_MARK, AUDIT_HASH_DIGITS, seal_r->hash))
        return false;
    at -= PREV_BYTES;
    if (!take(line + at, PREV_MARK, AUDIT_HASH_DIGITS, seal_r->prev))
        return false;
    if (at < KEY_BYTES + 1 ||
        !take(line + at - KEY_BYTES, KEY_MARK, AUDIT_KEY_ID_DIGITS, seal_r->key_id))
        seal_r->key_id[0] = '\0';
    return true;
}

void audit_line_time(const char *line, char time_r[AUDIT_TIME_SIZE])
{
    bool begins = strncmp(line, TIME_MARK, MARK(TIME_MARK)) == 0;
    size_t n = begins ? strcspn(line + MARK(TIME_MARK), "\"") : 0;
    n = n < AUDIT_TIME_SIZE ? n : 0;
    memcpy(time_r, line + MARK(TIME_MARK), n);
    time_r[n] = '\0';
}

void audit_seal_hash(const char *line, size_t sealed, const char *key,
                     char hash_r[AUDIT_HASH_DIGITS + 1])
{
    unsigned char digest[HASH_SHA256_SIZE];
    if (key != NULL)
        hash_hmac_sha256(key, strlen(key), line, sealed, digest);
    else
        hash_sha256(line, sealed, digest);
    hash_hex(digest, sizeof(digest), hash_r);
}

void audit_key_id(const char *key, char id_r[AUDIT_KEY_ID_DIGITS + 1])
{
    static const char text[] = "cxsink audit key";
    char hex[AUDIT_HASH_DIGITS + 1] = "";
    if (key != NULL)
        audit_seal_hash(text, sizeof(text) - 1, key, hex);
    memcpy(id_r, hex, AUDIT_KEY_ID_DIGITS);
    id_r[AUDIT_KEY_ID_DIGITS] = '\0';
}

void audit_seal_write(struct buf *line, const char *key, struct audit_seal *seal)
{
    if (seal->key_id[0] != '\0')
        buf_printf(line, KEY_MARK "%s\"", seal->key_id);
    buf_printf(line, PREV_MARK "%s\"", seal->prev);
    seal->sealed = line->len;
    audit_seal_hash(line->data, line->len, key, seal->hash);
    buf_printf(line, HASH_MARK "%s\"}\n", seal->hash);
}

// --- the end of a file ---

// The last line feed before `end`, plus one: where the line that ends there begins.
static size_t line_start(const char *data, size_t end)
{
    while (end > 0 && data[end - 1] != '\n')
        end--;
    return end;
}

// False: no whole line is in there, and the file begins before it.
static bool search(const char *data, size_t length, bool whole, struct audit_tail *tail_r)
{
    size_t end = length, start = line_start(data, end);
    struct audit_seal *seal = &tail_r->seal;
    *tail_r = (struct audit_tail){.torn = start < end};
    if (tail_r->torn && (start > 0 || whole))
        tail_r->any = audit_seal_read(data + start, end - start, seal);
    while (!tail_r->any && start > 0) { // also past lines that are none of the log
        end = start - 1;
        start = line_start(data, end);
        if (start > 0 || whole)
            tail_r->any = audit_seal_read(data + start, end - start, seal);
    }
    return tail_r->any || whole;
}

enum status_code audit_tail_read(int fd, struct audit_tail *tail_r, struct status *st)
{
    struct stat info;
    *tail_r = (struct audit_tail){0};
    if (fstat(fd, &info) != 0)
        return status_set_errno(st, STATUS_IO, errno, "cannot look at the audit log");
    size_t size = (size_t)info.st_size;
    for (size_t want = TAIL_BYTES;; want *= 4) {
        size_t length = size < want ? size : want;
        char *data = mem_alloc(length + 1);
        ssize_t n = pread(fd, data, length, (off_t)(size - length));
        int failure = errno;
        bool whole = length == size || want >= TAIL_MOST;
        bool found = n == (ssize_t)length && search(data, length, whole, tail_r);
        free(data);
        if (n != (ssize_t)length)
            return status_set_errno(st, STATUS_IO, n < 0 ? failure : EIO,
                                    "cannot read the end of the audit log");
        if (found)
            return STATUS_OK;
    }
}
