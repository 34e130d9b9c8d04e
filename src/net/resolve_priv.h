// SPDX-License-Identifier: Apache-2.0
// The seam of net/resolve for its tests: what the thread calls instead of getaddrinfo(3).
#ifndef CXSINK_NET_RESOLVE_PRIV_H
#define CXSINK_NET_RESOLVE_PRIV_H

#include <netdb.h>

struct resolver;

struct resolve_lookup {
    int (*resolve)(const char *host, const char *service, const struct addrinfo *hints,
                   struct addrinfo **list_r);
    void (*release)(struct addrinfo *list);
};

// For lookups that are not started yet. The functions must outlive the thread.
void resolver_set_lookup(struct resolver *resolver, const struct resolve_lookup *lookup);

#endif
