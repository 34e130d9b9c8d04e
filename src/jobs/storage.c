// SPDX-License-Identifier: Apache-2.0
// What an action keeps of a job: a file (mode 0600, whole or not there) or a PUT. Written in
// slices over many turns, so that megabytes do not hold the loop.
#include "core/fsio.h"
#include "core/hash.h"
#include "core/mem.h"
#include "jobs_priv.h"
#include "payload_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLICE ((size_t)64 << 10)
#define PUT_TIMEOUT_US (30 * US_PER_S)

struct storage {
    struct run *run;
    struct payload *payload; // NULL: the body alone
    struct http_request *request;
    // A file:
    int fd;
    char *path, *temporary;
    off_t size;
};

static void end(struct run *run, bool ok, const char *message)
{
    run_stop_keeping(run);
    struct job_answer answer = {
        .type = JOB_ANSWER_STORED, .body = "", .ok = ok, .message = message};
    run_answer(run, &answer);
}

void run_stop_keeping(struct run *run)
{
    struct storage *s = run->storage;
    if (s == NULL)
        return;
    run->storage = NULL;
    loop_unpost(run->jobs->loop, s);
    http_request_cancel(&s->request);
    payload_close(&s->payload);
    if (s->fd >= 0) {
        close(s->fd);
        unlink(s->temporary);
    }
    free(s->path);
    free(s->temporary);
    free(s);
}

// --- a file ---

// The job's id, where it is a name of a file; else what can be told of it and a digest.
static char *file_name(const char *id)
{
    unsigned char digest[HASH_SHA256_SIZE];
    char hex[17], name[81];
    size_t n = 0;
    bool same = true;
    for (; id[n] != '\0' && n < sizeof(name) - 1; n++) {
        bool plain = (id[n] >= 'a' && id[n] <= 'z') || (id[n] >= 'A' && id[n] <= 'Z') ||
                     (id[n] >= '0' && id[n] <= '9') || strchr("-_", id[n]) != NULL ||
                     (id[n] == '.' && n > 0);
        name[n] = plain ? id[n] : '_';
        same &= plain;
    }
    name[n] = '\0';
    if (same && id[n] == '\0')
        return mem_printf("%s.json", name);
    hash_sha256(id, strlen(id), digest);
    hash_hex(digest, 8, hex);
    return mem_printf("%s-%s.json", name, hex);
}

static bool open_file(struct storage *s, struct status *st)
{
    const char *dir = s->run->action->storage_dir;
    char *name = file_name(s->run->job->id);
    if (fsio_make_dirs(dir, 0700, st) == STATUS_OK) {
        s->path = mem_printf("%s/%s", dir, name);
        s->temporary = mem_printf("%s/.%s.tmp", dir, name);
        s->fd = open(s->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->fd < 0)
            status_set_errno(st, STATUS_IO, errno, "cannot create %s", s->temporary);
    }
    free(name);
    return s->fd >= 0;
}

static bool finish_file(struct storage *s, struct status *st)
{
    if (fdatasync(s->fd) != 0 || rename(s->temporary, s->path) != 0) {
        status_set_errno(st, STATUS_IO, errno, "cannot write %s", s->path);
        return false;
    }
    close(s->fd);
    s->fd = -1;
    return fsio_sync_dir(s->run->action->storage_dir, st) == STATUS_OK;
}

// Dirty pages go to the disk while further ones are made: little is left for the final sync.
static bool write_slice(struct storage *s, const char *data, size_t length, struct status *st)
{
    if (fsio_write_all(s->fd, data, length, st) != STATUS_OK)
        return false;
    sync_file_range(s->fd, s->size, (off_t)length, SYNC_FILE_RANGE_WRITE);
    s->size += (off_t)length;
    return true;
}

static void next_slice(void *owner)
{
    struct storage *s = owner;
    struct status st = {0};
    struct http_source source = payload_source(s->payload);
    char *slice = mem_alloc(SLICE);
    size_t n = source.read(source.owner, slice, SLICE);
    bool ok =
        n != HTTP_READ_FAILED && (n == 0 ? finish_file(s, &st) : write_slice(s, slice, n, &st));
    free(slice);
    if (n == HTTP_READ_FAILED)
        status_set(&st, STATUS_IO, "the payload cannot be read any more");
    if (n == 0 || !ok)
        end(s->run, ok, st.detail);
    else
        loop_post(s->run->jobs->loop, next_slice, s);
}

// --- a PUT ---

static void on_put(void *owner, const struct http_response *response)
{
    struct storage *s = owner;
    struct run *run = s->run;
    char text[64];
    const char *error = response->code == STATUS_OK ? NULL : response->detail;
    bool passing = response->code == STATUS_UNAVAILABLE || response->code == STATUS_TIMEOUT ||
                   response->status == 429 || response->status >= 500;
    run_record(run, response);
    snprintf(text, sizeof(text), "the storage answered HTTP %d", response->status);
    if (passing) {
        struct status st;
        status_set(&st, STATUS_UNAVAILABLE, "storage: %s", error != NULL ? error : text);
        run_stop_keeping(run);
        run_retry(run, st.detail);
        return;
    }
    bool ok = error == NULL && response->status >= 200 && response->status < 300;
    struct status st = {0};
    status_set(&st, STATUS_OK, "%s", ok ? "" : error != NULL ? error : text);
    end(run, ok, st.detail);
}

static void put(struct storage *s)
{
    const struct config_action *action = s->run->action;
    const struct http_header headers[] = {{"Content-Type", "application/json"},
                                          {"Idempotency-Key", s->run->job->idempotency_key}};
    struct http_options options = {.method = "PUT",
                                   .url = action->storage_url,
                                   .headers = headers,
                                   .n_headers = 2,
                                   .source = payload_source(s->payload),
                                   .timeout_us = PUT_TIMEOUT_US,
                                   .https_only = !action->allow_private,
                                   .public_only = !action->allow_private};
    http_request_start(s->run->jobs->http, &options, on_put, s, &s->request);
}

// --- both ---

void run_keep(struct run *run)
{
    struct storage *s = mem_zalloc(sizeof(*s));
    struct status st = {0};
    s->run = run;
    s->fd = -1;
    run->storage = s;
    run_set_state(run, RUN_KEEPING);
    s->payload = payload_open(&run->op, &st);
    bool is_file = run->action->storage_dir != NULL;
    if (s->payload == NULL || (is_file && !open_file(s, &st)))
        end(run, false, st.detail);
    else if (is_file)
        loop_post(run->jobs->loop, next_slice, s);
    else
        put(s);
}
