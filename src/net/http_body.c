// SPDX-License-Identifier: Apache-2.0
// What a request sends: bytes in memory, or a source that makes them on the way.
#include "net/http_priv.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// One TLS record. The longer libcurl sends at a stretch, the longer it does not look for an answer.
#define SLICE_MAX ((size_t)16 << 10)

// --- a slice after the other ---

static void enter_source(struct http_request *request)
{
    request->client->inside++;
    request->in_source = true;
}

static void leave_source(struct http_request *request)
{
    request->client->inside--;
    request->in_source = false;
}

static bool take_slice(struct http_request *request, size_t size)
{
    uint64_t left = request->body_length - request->taken;
    size_t room = left < size ? (size_t)left : size;
    char *slice = buf_reserve(&request->slice, room);
    enter_source(request);
    size_t n = request->source.read(request->source.owner, slice, room);
    leave_source(request);
    request->source_failed = n == 0 || n > room;
    if (request->source_failed || request->fn == NULL) // cancelled
        return false;
    request->taken += n;
    request->slice.len = n;
    return true;
}

// Has the server something to say that libcurl has not read? A server that refuses a body may
// answer, and reset the connection: then a send fails, and libcurl throws away the answer. So it
// must read before it sends. (With HTTP/2 the stream is ended, not the connection.)
static bool server_speaks(const struct http_request *request)
{
    char byte;
    return request->phase == HTTP_SENDING && !request->http2 &&
           request->sender != CURL_SOCKET_BAD &&
           recv(request->sender, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static size_t read_source(char *buffer, size_t size, size_t count, void *owner)
{
    struct http_request *request = owner;
    size_t room = size * count < SLICE_MAX ? size * count : SLICE_MAX;
    if (request->slice.len == 0 && request->taken == request->body_length)
        return 0;
    if (request->fn == NULL || (request->slice.len == 0 && !take_slice(request, room)))
        return CURL_READFUNC_ABORT;
    if (server_speaks(request)) {
        request->client->paused += !request->paused;
        request->paused = true;
        return CURL_READFUNC_PAUSE;
    }
    // A slice that waited may meet less room than it was made for.
    size_t n = request->slice.len < room ? request->slice.len : room;
    memcpy(buffer, request->slice.data, n);
    request->slice.len -= n;
    memmove(request->slice.data, request->slice.data + n, request->slice.len);
    return n;
}

void http_body_unpause(struct http_request *request)
{
    request->client->paused -= request->paused;
    request->paused = false;
}

void http_body_resume(struct http_request *request)
{
    if (!request->paused)
        return;
    http_body_unpause(request);
    curl_easy_pause(request->easy, CURLPAUSE_CONT);
}

// --- from the start ---

static size_t read_memory(void *owner, char *buffer, size_t size)
{
    const struct http_request *request = owner;
    memcpy(buffer, request->body + request->taken, size);
    return size;
}

static bool rewind_memory(void *owner)
{
    (void)owner; // `taken` is all there is to it
    return true;
}

bool http_body_rewind(struct http_request *request)
{
    const struct http_source *source = &request->source;
    buf_clear(&request->slice);
    http_body_unpause(request);
    if (source->read == NULL || request->taken == 0)
        return true;
    if (source->rewind == NULL || request->fn == NULL)
        return false;
    enter_source(request);
    bool done = source->rewind(source->owner);
    leave_source(request);
    request->taken = 0;
    return done && request->fn != NULL;
}

static int seek_source(void *owner, curl_off_t offset, int origin)
{
    bool to_start = offset == 0 && origin == SEEK_SET;
    return to_start && http_body_rewind(owner) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static int note_progress(void *owner, curl_off_t to_come, curl_off_t came, curl_off_t to_go,
                         curl_off_t gone)
{
    (void)to_come;
    (void)came;
    (void)to_go;
    struct http_request *request = owner;
    if ((uint64_t)gone == request->uploaded)
        return 0;
    request->uploaded = (uint64_t)gone;
    http_moved(request);
    if (request->phase == HTTP_SENDING && http_body_sent(request))
        http_enter(request, HTTP_AWAITING);
    return 0;
}

bool http_body_sent(const struct http_request *request)
{
    return request->uploaded >= request->body_length;
}

enum status_code http_body_setup(struct http_request *request, const struct http_options *options,
                                 struct status *st)
{
    request->source = options->source;
    request->body_length =
        options->source.read != NULL ? options->source.length : options->body_length;
    HTTP_SET(request, CURLOPT_POST, 1L);
    HTTP_SET(request, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    HTTP_SET(request, CURLOPT_NOPROGRESS, 0L);
    HTTP_SET(request, CURLOPT_XFERINFOFUNCTION, note_progress);
    HTTP_SET(request, CURLOPT_XFERINFODATA, request);
    if (request->source.read == NULL) {
        request->body = mem_alloc((size_t)request->body_length + 1);
        if (request->body_length > 0)
            memcpy(request->body, options->body, (size_t)request->body_length);
        request->source =
            (struct http_source){.read = read_memory, .rewind = rewind_memory, .owner = request};
    }
    if (request->body_length <= SLICE_MAX && request->body != NULL) {
        HTTP_SET(request, CURLOPT_POSTFIELDS, request->body); // in one go with the head
        return STATUS_OK;
    }
    if (request->body_length == 0) {
        HTTP_SET(request, CURLOPT_POSTFIELDS, "");
        return STATUS_OK;
    }
    HTTP_SET(request, CURLOPT_UPLOAD_BUFFERSIZE, (long)SLICE_MAX);
    HTTP_SET(request, CURLOPT_READFUNCTION, read_source);
    HTTP_SET(request, CURLOPT_READDATA, request);
    HTTP_SET(request, CURLOPT_SEEKFUNCTION, seek_source);
    HTTP_SET(request, CURLOPT_SEEKDATA, request);
    return STATUS_OK;
}

enum status_code http_body_drop(struct http_request *request, struct status *st)
{
    http_body_free(request);
    HTTP_SET(request, CURLOPT_POSTFIELDS, NULL);
    HTTP_SET(request, CURLOPT_HTTPGET, 1L);
    HTTP_SET(request, CURLOPT_CUSTOMREQUEST, NULL);
    HTTP_SET(request, CURLOPT_NOPROGRESS, 1L);
    return STATUS_OK;
}

void http_body_free(struct http_request *request)
{
    if (request->body != NULL)
        mem_wipe(request->body, (size_t)request->body_length);
    free(request->body);
    if (request->secret && request->slice.data != NULL)
        mem_wipe(request->slice.data, request->slice.cap);
    buf_deinit(&request->slice);
    request->body = NULL;
    request->body_length = request->taken = 0;
    request->source = (struct http_source){0};
}
