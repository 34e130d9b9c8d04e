// SPDX-License-Identifier: Apache-2.0
// Options to a libcurl transfer.
#include "net/http_priv.h"

#include "core/mem.h"
#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// libcurl fails these calls for lack of memory only, or for an option that this build does not
// have, which a test would show.
#define SET(request, option, value)                                                        \
    do {                                                                                   \
        if (curl_easy_setopt((request)->easy, option, value) != CURLE_OK)                  \
            return status_set(st, STATUS_INTERNAL, "libcurl refuses its option " #option); \
    } while (0)

static struct curl_slist *append(struct curl_slist *list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(list, text);
    if (longer == NULL)
        abort();
    return longer;
}

static char *copy_or_null(const char *text)
{
    return text != NULL ? mem_strdup(text) : NULL;
}

// --- the URL ---

static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK)
        return NULL;
    char *copy = mem_strdup(text);
    curl_free(text);
    return copy;
}

static void take_host(struct http_request *request, char *host, char *port)
{
    request->port = port != NULL ? (unsigned)strtoul(port, NULL, 10) : 0;
    snprintf(request->origin, sizeof(request->origin), "%s:%u", host, request->port);
    size_t length = strlen(host);
    if (length > 2 && host[0] == '[')
        request->host = mem_strndup(host + 1, length - 2);
    else
        request->host = mem_strdup(host);
}

static enum status_code parse_url(struct http_request *request, struct status *st)
{
    CURLU *url = curl_url();
    CURLUcode code = curl_url_set(url, CURLUPART_URL, request->url, 0);
    char *scheme = url_part(url, CURLUPART_SCHEME, 0);
    char *host = url_part(url, CURLUPART_HOST, CURLU_PUNYCODE);
    char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    curl_url_cleanup(url);
    // The URL itself may hold secrets, so it is not named.
    enum status_code result = STATUS_OK;
    if (code != CURLUE_OK || scheme == NULL || host == NULL)
        result = status_set(st, STATUS_INVALID, "the URL is not valid: %s; use https://HOST/PATH",
                            code != CURLUE_OK ? curl_url_strerror(code) : "no host");
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        result =
            status_set(st, STATUS_INVALID,
                       "a URL for requests starts with https:// or http://, not %.16s://", scheme);
    else
        take_host(request, host, port);
    free(scheme);
    free(host);
    free(port);
    return result;
}

// --- headers and body ---

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
    SET(request, CURLOPT_HTTPHEADER, request->headers);
    SET(request, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); // none of them to a proxy
    if (!has_header(options, "User-Agent"))
        SET(request, CURLOPT_USERAGENT, "cxsink/" CXSINK_VERSION);
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
    const char *method = options->method != NULL ? options->method : "GET";
    if (options->body != NULL || sends_body(method)) {
        request->body_length = options->body != NULL ? options->body_length : 0;
        request->body = mem_alloc(request->body_length + 1);
        if (request->body_length != 0)
            memcpy(request->body, options->body, request->body_length);
        SET(request, CURLOPT_POST, 1L);
        SET(request, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        SET(request, CURLOPT_POSTFIELDS, request->body);
    } else if (strcmp(method, "HEAD") == 0) {
        SET(request, CURLOPT_NOBODY, 1L);
        return STATUS_OK;
    }
    SET(request, CURLOPT_CUSTOMREQUEST, method);
    return STATUS_OK;
}

// --- TLS ---

static CURLcode apply_tls(CURL *easy, void *context, void *owner)
{
    (void)easy;
    struct http_request *request = owner;
    if (tls_context_apply(context, &request->tls, &request->tls_fault) == STATUS_OK)
        return CURLE_OK;
    return CURLE_SSL_CERTPROBLEM;
}

// tls_context_apply() decides. libcurl is told the same files because it reuses a connection only
// for a request that names the same ones; its own bundle would be read at every connection.
static enum status_code set_tls(struct http_request *request, const struct tls_settings *tls,
                                struct status *st)
{
    request->ca_file = copy_or_null(tls->ca_file);
    request->cert_file = copy_or_null(tls->cert_file);
    request->key_file = copy_or_null(tls->key_file);
    request->tls = (struct tls_settings){request->ca_file, request->cert_file, request->key_file};
    SET(request, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(request, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(request, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(request, CURLOPT_CAPATH, NULL);
    SET(request, CURLOPT_CAINFO, request->ca_file);
    SET(request, CURLOPT_SSL_CTX_FUNCTION, apply_tls);
    SET(request, CURLOPT_SSL_CTX_DATA, request);
    if (request->cert_file != NULL) {
        SET(request, CURLOPT_SSLCERT, request->cert_file);
        SET(request, CURLOPT_SSLKEY,
            request->key_file != NULL ? request->key_file : request->cert_file);
        SET(request, CURLOPT_KEYPASSWD, ""); // else OpenSSL asks at the terminal
    }
    return STATUS_OK;
}

// --- the transfer ---

static size_t take_content(char *data, size_t size, size_t count, void *owner)
{
    struct http_request *request = owner;
    size_t length = size * count;
    if (buf_append(&request->content, data, length))
        return length;
    request->too_large = true;
    return 0;
}

static enum status_code set_transfer(struct http_request *request,
                                     const struct http_options *options, struct status *st)
{
    SET(request, CURLOPT_PRIVATE, request);
    SET(request, CURLOPT_URL, request->url);
    SET(request, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(request, CURLOPT_NOSIGNAL, 1L);
    SET(request, CURLOPT_NOPROGRESS, 1L);
    SET(request, CURLOPT_FOLLOWLOCATION, 0L);
    SET(request, CURLOPT_ERRORBUFFER, request->error);
    SET(request, CURLOPT_WRITEFUNCTION, take_content);
    SET(request, CURLOPT_WRITEDATA, request);
    SET(request, CURLOPT_CONNECTTIMEOUT_MS,
        (long)((request->connect_timeout_us + US_PER_MS - 1) / US_PER_MS));
    SET(request, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(request, CURLOPT_HTTP_VERSION,
        (long)(options->http1_only ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    SET(request, CURLOPT_FORBID_REUSE, options->close ? 1L : 0L);
    return STATUS_OK;
}

enum status_code http_setup(struct http_request *request, const struct http_options *options,
                            struct status *st)
{
    request->secret = options->secret;
    request->timeout_us = options->timeout_us > 0 ? options->timeout_us : HTTP_TIMEOUT_US;
    request->connect_timeout_us =
        options->connect_timeout_us > 0 ? options->connect_timeout_us : HTTP_CONNECT_TIMEOUT_US;
    request->content.max = options->max_response > 0 ? options->max_response : HTTP_MAX_RESPONSE;
    if (request->secret) // growing would leave copies behind
        buf_grow(&request->content, request->content.max < 16384 ? request->content.max : 16384);
    request->url = mem_strdup(options->url);
    request->easy = curl_easy_init();
    if (request->easy == NULL)
        return status_set(st, STATUS_INTERNAL, "libcurl gives no handle");
    enum status_code code = parse_url(request, st);
    if (code == STATUS_OK)
        code = set_transfer(request, options, st);
    if (code == STATUS_OK)
        code = set_tls(request, &options->tls, st);
    if (code == STATUS_OK)
        code = set_method(request, options, st);
    if (code == STATUS_OK)
        code = set_headers(request, options, st);
    return code;
}

void http_setup_addresses(struct http_request *request, const struct resolve_result *result)
{
    struct buf entry = {0};
    // The bracketless form of the host is a name here: numeric ones never come this way.
    bool ok = buf_printf(&entry, "%s:%u:", request->host, request->port);
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
        curl_easy_cleanup(request->easy);
    request->easy = NULL;
    wipe_list(request->headers);
    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->addresses);
    request->headers = request->addresses = NULL;
    mem_wipe_free(&request->url);
    if (request->body != NULL)
        mem_wipe(request->body, request->body_length);
    free(request->body);
    free(request->ca_file);
    free(request->cert_file);
    free(request->key_file);
    free(request->host);
    request->body = request->ca_file = request->cert_file = request->key_file = NULL;
    request->host = NULL;
    if (request->secret && request->content.data != NULL)
        mem_wipe(request->content.data, request->content.cap);
    buf_deinit(&request->content);
}
