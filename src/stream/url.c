// SPDX-License-Identifier: Apache-2.0
// Takes the URL of a stream apart.
#include "stream/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *parse_scheme(const char *text, struct ws_url *url)
{
    if (strncasecmp(text, "wss://", 6) == 0) {
        url->tls = true;
        url->port = 443;
        return text + 6;
    }
    if (strncasecmp(text, "ws://", 5) == 0) {
        url->port = 80;
        return text + 5;
    }
    return NULL;
}

// Visible ASCII only: anything else belongs percent-encoded, and CR or LF would end the header.
static bool all_visible(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~')
            return false;
    }
    return true;
}

static bool parse_port(const char *text, size_t length, unsigned short *port_r)
{
    if (length == 0 || length > 5 || strspn(text, "0123456789") < length)
        return false;
    long port = strtol(text, NULL, 10);
    if (port < 1 || port > 65535)
        return false;
    *port_r = (unsigned short)port;
    return true;
}

static bool valid_name(const char *host)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._";
    return host[0] != '\0' && host[strspn(host, allowed)] == '\0';
}

// "[v6]" or "name", then ":port" or nothing; `length` bytes.
static enum status_code parse_authority(const char *text, size_t length, struct ws_url *url,
                                        struct status *st)
{
    bool brackets = text[0] == '[';
    const char *host = text + brackets;
    const char *end = memchr(host, brackets ? ']' : ':', length - brackets);
    if (end == NULL && brackets)
        return status_set(st, STATUS_INVALID, "the URL's address lacks its closing ']'");
    if (end == NULL)
        end = text + length;
    size_t host_length = (size_t)(end - host);
    if (host_length > WS_HOST_MAX)
        return status_set(st, STATUS_INVALID, "the URL's host is longer than %d bytes",
                          WS_HOST_MAX);
    memcpy(url->host, host, host_length);
    url->host[host_length] = '\0';

    const char *rest = end + brackets;
    size_t rest_length = length - (size_t)(rest - text);
    bool has_port = rest_length > 0;
    if (has_port && (rest[0] != ':' || !parse_port(rest + 1, rest_length - 1, &url->port)))
        return status_set(st, STATUS_INVALID, "the URL's port is not a number from 1 to 65535");
    struct in6_addr v6;
    struct in_addr v4;
    bool is_v6 = inet_pton(AF_INET6, url->host, &v6) == 1;
    url->numeric = is_v6 || inet_pton(AF_INET, url->host, &v4) == 1;
    if (brackets ? !is_v6 : !valid_name(url->host))
        return status_set(st, STATUS_INVALID, "the URL's host is not a name or an address");
    return STATUS_OK;
}

static void write_authority(struct ws_url *url)
{
    bool v6 = strchr(url->host, ':') != NULL;
    int n = snprintf(url->authority, sizeof(url->authority), v6 ? "[%s]" : "%s", url->host);
    // A default port stays out: some gateways route by the literal header.
    if (url->port != (url->tls ? 443 : 80))
        snprintf(url->authority + n, sizeof(url->authority) - (size_t)n, ":%u", url->port);
}

enum status_code ws_url_parse(const char *text, struct ws_url *url_r, struct status *st)
{
    *url_r = (struct ws_url){0};
    const char *authority = parse_scheme(text, url_r);
    if (authority == NULL)
        return status_set(st, STATUS_INVALID, "the URL does not start with ws:// or wss://");
    if (!all_visible(text))
        return status_set(st, STATUS_INVALID,
                          "the URL holds a space or a byte that must be percent-encoded");
    if (strchr(text, '#') != NULL)
        return status_set(st, STATUS_INVALID,
                          "the URL has a fragment (#...), which WebSocket does not allow");
    size_t length = strcspn(authority, "/?");
    if (memchr(authority, '@', length) != NULL)
        return status_set(st, STATUS_INVALID,
                          "the URL holds a user or a password; use \"auth\" or \"headers\"");
    if (length == 0)
        return status_set(st, STATUS_INVALID, "the URL has no host");
    if (parse_authority(authority, length, url_r, st) != STATUS_OK)
        return STATUS_INVALID;
    write_authority(url_r);
    const char *target = authority + length;
    int n =
        snprintf(url_r->target, sizeof(url_r->target), "%s%s", *target == '/' ? "" : "/", target);
    if (n > WS_TARGET_MAX)
        return status_set(st, STATUS_INVALID, "the URL's path and query pass %d bytes",
                          WS_TARGET_MAX);
    return STATUS_OK;
}
