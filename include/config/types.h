// SPDX-License-Identifier: Apache-2.0
// Small types that several sections of the configuration share.
#ifndef CXSINK_CONFIG_TYPES_H
#define CXSINK_CONFIG_TYPES_H

#include <stddef.h>

#define CONFIG_NONE ((size_t)-1)

struct config_pair {
    char *name;
    char *value;
};

struct config_pairs {
    struct config_pair *items;
    size_t count;
};

// TLS of one peer: settings of net/tls by value.
struct config_tls {
    char *ca_file;   // NULL: the system's store
    char *cert_file; // NULL: none
    char *key_file;  // NULL: none
};

#endif
