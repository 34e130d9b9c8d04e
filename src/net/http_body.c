// SPDX-License-Identifier: Apache-2.0
// What a request sends: bytes in memory, or a source that makes them on the way.
#include "net/http_priv.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

#define SLICE_MAX ((size_t)64 << 10)

static size_t read_source(char *buffer, size_t size, size_t count, void *owner)
{
    struct http_request *request = owner;
    uint64_t left = request->body_length - request->taken;
    size_t room = size * count < SLICE_MAX ? size * count : SLICE_MAX;
    if (left < room)
        room = (size_t)left;
    if (room == 0)
        return 0;
    if (request->fn == NULL) // cancelled
        return CURL_READFUNC_ABORT;
    request->client->inside++;
    size_t n = request->source.read(request->source.owner, buffer, room);
    request->client->inside--;
    if (request->fn == NULL)
        return CURL_READFUNC_ABORT;
    if (n == 0 || n > room) {
        request->source_failed = true;
        return CURL_READFUNC_ABORT;
    }
    request->taken += n;
    return n;
}

bool http_body_rewind(struct http_request *request)
{
    const struct http_source *source = &request->source;
    if (source->read == NULL || request->taken == 0)
        return true;
    if (source->rewind == NULL || request->fn == NULL)
        return false;
    request->client->inside++;
    bool done = source->rewind(source->owner);
    request->client->inside--;
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
    if (request->source.read != NULL && request->body_length > 0) {
        HTTP_SET(request, CURLOPT_READFUNCTION, read_source);
        HTTP_SET(request, CURLOPT_READDATA, request);
        HTTP_SET(request, CURLOPT_SEEKFUNCTION, seek_source);
        HTTP_SET(request, CURLOPT_SEEKDATA, request);
        return STATUS_OK;
    }
    request->body = mem_alloc((size_t)request->body_length + 1);
    if (request->body_length > 0)
        memcpy(request->body, options->body, (size_t)request->body_length);
    HTTP_SET(request, CURLOPT_POSTFIELDS, request->body);
    return STATUS_OK;
}

enum status_code http_body_drop(struct http_request *request, struct status *st)
{
    http_body_free(request);
    request->source = (struct http_source){0};
    request->body_length = 0;
    HTTP_SET(request, CURLOPT_POSTFIELDS, NULL);
    HTTP_SET(request, CURLOPT_HTTPGET, 1L);
    HTTP_SET(request, CURLOPT_NOPROGRESS, 1L);
    return STATUS_OK;
}

void http_body_free(struct http_request *request)
{
    if (request->body != NULL)
        mem_wipe(request->body, (size_t)request->body_length);
    free(request->body);
    request->body = NULL;
}
