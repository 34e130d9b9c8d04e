// SPDX-License-Identifier: Apache-2.0
// Names in PostgreSQL and among a table's columns.
#ifndef CXSINK_CONFIG_NAMES_PRIV_H
#define CXSINK_CONFIG_NAMES_PRIV_H

#include "config/reader_priv.h"

// NAMEDATALEN - 1 (PostgreSQL section 4.1.1).
#define POSTGRES_NAME_MAX 63
// What event/mapping.h can hold.
#define COLUMNS_MAX 256
#define KEY_MAX 8

// What is wrong with a name of `length` bytes, or NULL: "an empty name", "longer than ...".
const char *name_fault(size_t length);
// CONFIG_NONE when it is not mapped.
size_t table_column(const struct config_table *table, const char *name);

#endif
