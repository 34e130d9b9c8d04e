// SPDX-License-Identifier: Apache-2.0
// Options to a libcurl transfer.
#include "net/http_priv.h"

#include "core/mem.h"
#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EXPECT_TIMEOUT_MS 250L // for callers that send "Expect: 100-continue"

static struct curl_slist *append(struct curl_slist *list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(list, text);
    if (longer == NULL)
        abort();
    return longer;
}

// --- headers and method ---

static bool has_header(const struct http_options *options, const char *name)
{
    for (size_t i = 0; i < options->n_headers; i++) {
        if (strcasecmp(options->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

static enum status_code add_header(struct http_request *request, const struct http_header *header,
                                   struct status *st)
{
    // A line break would start a header of the value's own making.
    if (header->name[0] == '\0' || strpbrk(header->name, ":\r\n \t") != NULL)
        return status_set(st, STATUS_INVALID, "\"%.64s\" is not the name of a header",
                          header->name);
    if (strpbrk(header->value, "\r\n") != NULL)
        return status_set(st, STATUS_INVALID,
                          "the value of the header %.64s holds a line break; remove it",
                          header->name);
    // libcurl's own form for an empty value; "Name:" would mean no such header.
    char *line = header->value[0] != '\0' ? mem_printf("%s: %s", header->name, header->value)
                                          : mem_printf("%s;", header->name);
    request->headers = append(request->headers, line);
    mem_wipe_free(&line);
    return STATUS_OK;
}

static enum status_code set_headers(struct http_request *request,
                                    const struct http_options *options, struct status *st)
{
    for (size_t i = 0; i < options->n_headers; i++) {
        if (add_header(request, &options->headers[i], st) != STATUS_OK)
            return STATUS_INVALID;
    }
    // What libcurl would add by itself: a content type nobody asked for, and a question before a
    // large body that some servers leave unanswered.
    if (!has_header(options, "Content-Type"))
        request->headers = append(request->headers, "Content-Type:");
    if (!has_header(options, "Expect"))
        request->headers = append(request->headers, "Expect:");
    HTTP_SET(request, CURLOPT_HTTPHEADER, request->headers);
    HTTP_SET(request, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); // none of them to a proxy
    if (!has_header(options, "User-Agent"))
        HTTP_SET(request, CURLOPT_USERAGENT, "cxsink/" CXSINK_VERSION);
    return STATUS_OK;
}

static bool sends_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

static enum status_code set_method(struct http_request *request, const struct http_options *options,
                                   struct status *st)
{
    request->method = mem_strdup(options->method != NULL ? options->method : "GET");
    if (strcmp(request->method, "HEAD") == 0) {
        HTTP_SET(request, CURLOPT_NOBODY, 1L);
        return STATUS_OK;
    }
    if (options->body != NULL || options->source.read != NULL || sends_body(request->method)) {
        enum status_code code = http_body_setup(request, options, st);
        if (code != STATUS_OK)
            return code;
    }
    HTTP_SET(request, CURLOPT_CUSTOMREQUEST, request->method);
    return STATUS_OK;
}

enum status_code http_setup_bodyless(struct http_request *request, struct status *st)
{
    struct curl_slist *kept = NULL;
    for (struct curl_slist *line = request->headers; line != NULL; line = line->next) {
        if (strncasecmp(line->data, "Content-", 8) != 0)
            kept = append(kept, line->data);
        mem_wipe(line->data, strlen(line->data));
    }
    curl_slist_free_all(request->headers);
    request->headers = kept;
    HTTP_SET(request, CURLOPT_HTTPHEADER, request->headers);
    return STATUS_OK;
}

// --- the transfer ---

static size_t take_content(char *data, size_t size, size_t count, void *owner)
{
    struct http_request *request = owner;
    size_t length = size * count;
    http_moved(request);
    if (buf_append(&request->content, data, length))
        return length;
    request->too_large = true;
    return 0;
}

// "HTTP/1.1 100 Continue": an answer is still to come.
static bool is_interim(const char *line, size_t length)
{
    const char *space = memchr(line, ' ', length);
    return space != NULL && space + 1 < line + length && space[1] == '1';
}

static size_t take_header(char *line, size_t size, size_t count, void *owner)
{
    struct http_request *request = owner;
    size_t length = size * count;
    bool starts = length > 5 && memcmp(line, "HTTP/", 5) == 0;
    http_moved(request);
    request->header_bytes += length;
    if (starts || line[0] == '\r' || line[0] == '\n') // trailers have no such line
        request->headers_ended = !starts;
    if (starts && !is_interim(line, length) && request->phase != HTTP_RECEIVING)
        http_enter(request, HTTP_RECEIVING);
    return request->header_bytes <= HTTP_MAX_HEADERS ? length : 0;
}

static enum status_code set_receivers(struct http_request *request, struct status *st)
{
    HTTP_SET(request, CURLOPT_ERRORBUFFER, request->error);
    HTTP_SET(request, CURLOPT_WRITEFUNCTION, take_content);
    HTTP_SET(request, CURLOPT_WRITEDATA, request);
    HTTP_SET(request, CURLOPT_HEADERFUNCTION, take_header);
    HTTP_SET(request, CURLOPT_HEADERDATA, request);
    HTTP_SET(request, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); // those of a proxy
    return STATUS_OK;
}

static enum status_code set_transfer(struct http_request *request,
                                     const struct http_options *options, struct status *st)
{
    HTTP_SET(request, CURLOPT_PRIVATE, request);
    HTTP_SET(request, CURLOPT_URL, request->url);
    HTTP_SET(request, CURLOPT_PROTOCOLS_STR, "http,https");
    HTTP_SET(request, CURLOPT_NOSIGNAL, 1L);
    HTTP_SET(request, CURLOPT_NOPROGRESS, 1L);
    HTTP_SET(request, CURLOPT_FOLLOWLOCATION, 0L);
    HTTP_SET(request, CURLOPT_TCP_KEEPALIVE, 1L);
    HTTP_SET(request, CURLOPT_EXPECT_100_TIMEOUT_MS, EXPECT_TIMEOUT_MS);
    HTTP_SET(request, CURLOPT_HTTP_VERSION,
             (long)(options->http1_only ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    HTTP_SET(request, CURLOPT_FORBID_REUSE, options->close ? 1L : 0L);
    HTTP_SET(request, CURLOPT_CONNECT_ONLY, options->connect_only ? 1L : 0L);
    return set_receivers(request, st);
}

static int64_t positive_or(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static void take_limits(struct http_request *request, const struct http_options *options)
{
    request->timeout_us = positive_or(options->timeout_us, HTTP_TIMEOUT_US);
    request->connect_timeout_us = positive_or(options->connect_timeout_us, HTTP_CONNECT_TIMEOUT_US);
    request->response_timeout_us = options->response_timeout_us;
    request->idle_timeout_us = options->idle_timeout_us;
    request->redirects = options->redirects;
    request->content.max = options->max_response > 0 ? options->max_response : HTTP_MAX_RESPONSE;
}

static CURL *take_handle(struct http_client *client)
{
    return client->n_spare > 0 ? client->spare[--client->n_spare] : curl_easy_init();
}

// It remembers nothing of its transfer: neither options nor sessions of TLS (http_tls_setup). One
// that only connected has the connection still; the client may be gone (NULL).
static void give_back_handle(const struct http_request *request)
{
    struct http_client *client = request->client;
    if (client == NULL || request->connect_only || client->n_spare == HTTP_HANDLES_KEPT) {
        curl_easy_cleanup(request->easy);
        return;
    }
    curl_easy_reset(request->easy);
    client->spare[client->n_spare++] = request->easy;
}

void http_setup_free_spare(struct http_client *client)
{
    while (client->n_spare > 0)
        curl_easy_cleanup(client->spare[--client->n_spare]);
}

enum status_code http_setup(struct http_request *request, const struct http_options *options,
                            struct status *st)
{
    request->secret = options->secret;
    request->connect_only = options->connect_only;
    request->pool = options->pool;
    take_limits(request, options);
    if (request->secret) // growing would leave copies behind
        buf_grow(&request->content, request->content.max < 16384 ? request->content.max : 16384);
    request->url = mem_strdup(options->url);
    request->easy = take_handle(request->client);
    if (request->easy == NULL)
        return status_set(st, STATUS_INTERNAL, "libcurl gives no handle");
    enum status_code code = http_target_parse(request->url, &request->target, st);
    if (code != STATUS_OK)
        return code;
    request->proxied = http_target_has_proxy(&request->target);
    code = set_transfer(request, options, st);
    if (code == STATUS_OK)
        code = http_guard_setup(request, options, st);
    if (code == STATUS_OK)
        code = http_tls_setup(request, &options->tls, st);
    if (code == STATUS_OK)
        code = set_method(request, options, st);
    if (code == STATUS_OK)
        code = set_headers(request, options, st);
    return code;
}

void http_setup_addresses(struct http_request *request, const struct resolve_result *result)
{
    struct buf entry = {0};
    // The bracketless form of the host is a name here: IPv6 addresses never come this way.
    // '+': libcurl may forget them in time.
    bool ok = buf_printf(&entry, "+%s:%u:", request->target.host, request->target.port);
    for (size_t i = 0; i < result->count; i++) {
        bool v6 = strchr(result->addresses[i], ':') != NULL;
        ok = ok &&
             buf_printf(&entry, v6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "", result->addresses[i]);
    }
    if (ok) {
        request->addresses = append(NULL, buf_text(&entry));
        curl_easy_setopt(request->easy, CURLOPT_RESOLVE, request->addresses);
    }
    buf_deinit(&entry);
}

// --- the end ---

static void wipe_list(struct curl_slist *list)
{
    for (; list != NULL; list = list->next)
        mem_wipe(list->data, strlen(list->data));
}

void http_setup_free(struct http_request *request)
{
    if (request->easy != NULL)
        give_back_handle(request);
    request->easy = NULL;
    wipe_list(request->headers);
    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->addresses);
    request->headers = request->addresses = NULL;
    mem_wipe_free(&request->url);
    http_target_free(&request->target);
    http_body_free(request);
    http_tls_free(request);
    free(request->method);
    request->method = NULL;
    if (request->secret && request->content.data != NULL)
        mem_wipe(request->content.data, request->content.cap);
    buf_deinit(&request->content);
}
