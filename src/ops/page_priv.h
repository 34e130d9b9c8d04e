// SPDX-License-Identifier: Apache-2.0
// The files of the status page, src/ops/page/, as embed-page.sh puts them into the binary.
#ifndef CXSINK_OPS_PAGE_PRIV_H
#define CXSINK_OPS_PAGE_PRIV_H

#include <stddef.h>

struct page_file {
    const char *path, *type;
    const char *data;
    size_t size;
};

extern const struct page_file page_files[];
extern const size_t n_page_files;

#endif
