// SPDX-License-Identifier: Apache-2.0
#ifndef CXSINK_PG_CATALOG_PRIV_H
#define CXSINK_PG_CATALOG_PRIV_H

#include "core/buf.h"

// Appends a name as a quoted identifier.
void catalog_quote(struct buf *out, const char *name);

#endif
