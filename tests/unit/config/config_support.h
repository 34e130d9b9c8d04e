// SPDX-License-Identifier: Apache-2.0
// For the tests of config: configurations written with ' for ", in a directory of their own.
#ifndef CXSINK_TESTS_CONFIG_SUPPORT_H
#define CXSINK_TESTS_CONFIG_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/load.h"
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    char path[96]; // of the configuration
    struct config *config;
    struct config_faults faults;
};

// Every ' becomes a ".
static inline char *quoted(const char *text)
{
    char *copy = mem_strdup(text);
    for (char *p = copy; *p != '\0'; p++) {
        if (*p == '\'')
            *p = '"';
    }
    return copy;
}

static inline void write_bytes(const char *path, const void *data, size_t length)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, length, f), length);
    assert_int_equal(fclose(f), 0);
}

// Writes a file beside the configuration; its path is to be freed.
static inline char *write_beside(struct fixture *f, const char *name, const char *content)
{
    char *path = mem_printf("%s/%s", f->dir, name);
    write_bytes(path, content, strlen(content));
    return path;
}

static inline void unload(struct fixture *f)
{
    config_free(&f->config);
    config_faults_free(&f->faults);
}

static inline void load_bytes(struct fixture *f, const void *data, size_t length)
{
    unload(f);
    write_bytes(f->path, data, length);
    f->config = config_load(f->path, &f->faults);
    assert_int_equal(f->config == NULL, f->faults.count > 0);
}

static inline void load_text(struct fixture *f, const char *text)
{
    char *json = quoted(text);
    load_bytes(f, json, strlen(json));
    free(json);
}

static inline void print_faults(const struct config_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        print_message("  %u %s: %s\n", faults->items[i].line, faults->items[i].pointer,
                      faults->items[i].message);
}

// Loads what must have no fault.
static inline const struct config *load_good(struct fixture *f, const char *text)
{
    load_text(f, text);
    print_faults(&f->faults);
    assert_non_null(f->config);
    return f->config;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    strcpy(f->dir, "/tmp/cxsink-config-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/cxsink.json", f->dir);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    unload(f);
    unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0); // a test removes what else it wrote
    free(f);
    return 0;
}

#endif
