// SPDX-License-Identifier: Apache-2.0
#include "config/listen_priv.h"

#include "core/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// 0 takes a free port, which `cxsink status --json` tells as admin_port.
static bool parse_port(const char *text, unsigned short *port_r)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 5 || text[length] != '\0')
        return false;
    unsigned long port = strtoul(text, NULL, 10);
    *port_r = (unsigned short)port;
    return port <= 65535;
}

static bool valid_host(const char *host, bool bracketed)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (bracketed)
        return inet_pton(AF_INET6, host, address) == 1;
    return inet_pton(AF_INET, host, address) == 1 || strcasecmp(host, "localhost") == 0;
}

bool listen_parse(const char *text, char **host_r, unsigned short *port_r)
{
    bool bracketed = *text == '[';
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (bracketed && (colon == text || colon[-1] != ']')))
        return false;
    const char *start = text + bracketed;
    char *host = mem_strndup(start, (size_t)(colon - start) - bracketed);
    if (!valid_host(host, bracketed) || !parse_port(colon + 1, port_r)) {
        free(host);
        return false;
    }
    *host_r = host;
    return true;
}

bool listen_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(host, "localhost") == 0;
}
