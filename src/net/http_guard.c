// SPDX-License-Identifier: Apache-2.0
// What is looked at before a connection is made and before a request goes out on one.
#include "net/http_priv.h"

#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static bool is_refused(struct http_request *request, const struct sockaddr *address,
                       const char *text)
{
    const char *kind = request->public_only ? address_not_public(address) : NULL;
    if (kind != NULL)
        snprintf(request->denied, sizeof(request->denied), "%.64s is %s", text, kind);
    return kind != NULL;
}

// For every connection: libcurl 7.88 would let programs that we start inherit the socket.
static curl_socket_t open_socket(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct http_request *request = owner;
    char text[INET6_ADDRSTRLEN + 1] = "?";
    getnameinfo(&address->addr, (socklen_t)address->addrlen, text, sizeof(text), NULL, 0,
                NI_NUMERICHOST);
    if (!request->proxied && is_refused(request, &address->addr, text))
        return CURL_SOCKET_BAD;
    request->dialled = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// Whether a request that libcurl repeats by itself may go out, and one over this connection, which
// may be one that another request made.
static bool may_go(struct http_request *request, const char *address_text)
{
    struct sockaddr_storage address;
    if (request->begun && request->once)
        return false;
    if (!request->public_only || request->proxied)
        return true;
    request->dialled = address_parse(address_text, &address) &&
                       !is_refused(request, (const struct sockaddr *)&address, address_text);
    return request->dialled;
}

static bool is_http2(const struct http_request *request)
{
    const struct curl_tlssessioninfo *info = NULL;
    const unsigned char *protocol = NULL;
    unsigned length = 0;
    if (curl_easy_getinfo(request->easy, CURLINFO_TLS_SSL_PTR, &info) == CURLE_OK &&
        info->internals != NULL)
        SSL_get0_alpn_selected(info->internals, &protocol, &length);
    return length == 2 && memcmp(protocol, "h2", 2) == 0;
}

static int before_sending(void *owner, char *far_address, char *near_address, int far_port,
                          int near_port)
{
    (void)near_address;
    (void)far_port;
    (void)near_port;
    struct http_request *request = owner;
    if (!may_go(request, far_address))
        return CURL_PREREQFUNC_ABORT;
    request->begun = true;
    request->http2 = is_http2(request);
    request->response.sent = true;
    request->uploaded = 0;
    request->sender = CURL_SOCKET_BAD;
    http_enter(request, request->body_length > 0 ? HTTP_SENDING : HTTP_AWAITING);
    return CURL_PREREQFUNC_OK;
}

static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t length = strlen(host);
    length -= length > 0 && host[length - 1] == '.';
    if (length < sizeof(name) - 1)
        return false;
    size_t before = length - (sizeof(name) - 1);
    return strncasecmp(host + before, name, sizeof(name) - 1) == 0 &&
           (before == 0 || host[before - 1] == '.');
}

static enum status_code check_proxied(struct http_request *request, struct status *st)
{
    struct sockaddr_storage address;
    const char *host = request->target.host;
    if (is_localhost(host))
        snprintf(request->denied, sizeof(request->denied), "%.64s is this machine", host);
    else if (!address_parse(host, &address) ||
             !is_refused(request, (const struct sockaddr *)&address, host))
        return STATUS_OK;
    return status_set(st, STATUS_DENIED, "%s; allow_private permits it", request->denied);
}

enum status_code http_guard_setup(struct http_request *request, const struct http_options *options,
                                  struct status *st)
{
    if (options->https_only && !request->target.tls)
        return status_set(st, STATUS_INVALID, "the URL must start with https://");
    HTTP_SET(request, CURLOPT_PREREQFUNCTION, before_sending);
    HTTP_SET(request, CURLOPT_PREREQDATA, request);
    HTTP_SET(request, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    HTTP_SET(request, CURLOPT_OPENSOCKETDATA, request);
    request->once = options->once;
    request->public_only = options->public_only;
    if (!request->public_only || !request->proxied)
        return STATUS_OK;
    HTTP_SET(request, CURLOPT_NOPROXY, ""); // what it lists is near, and would be connected to
    return check_proxied(request, st);
}
