// SPDX-License-Identifier: Apache-2.0
// The files of an audit log: which they are, and what the next one is called.
#include "audit_priv.h"
#include "core/clock.h"
#include "core/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SUFFIX ".jsonl"
#define STAMP "%Y%m%d-%H%M%S"
#define STAMP_DIGITS 15

static size_t dir_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

char *audit_beside(const char *path, const char *name)
{
    return mem_printf("%.*s%s", (int)dir_length(path), path, name);
}

// The part of the name before ".jsonl".
static size_t stem_length(const char *base)
{
    size_t n = strlen(base), suffix = strlen(SUFFIX);
    return n > suffix && strcmp(base + n - suffix, SUFFIX) == 0 ? n - suffix : n;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

// NAME-YYYYMMDD-HHMMSS.jsonl; where the time stands in it.
static const char *own_stamp(const char *base, const char *name)
{
    size_t stem = stem_length(base);
    if (strncmp(name, base, stem) != 0 || name[stem] != '-')
        return NULL;
    const char *stamp = name + stem + 1;
    bool stamped = strspn(stamp, "0123456789-") == STAMP_DIGITS && stamp[8] == '-' &&
                   strcmp(stamp + STAMP_DIGITS, base + stem) == 0;
    return stamped ? stamp : NULL;
}

// NAME.jsonl.1, NAME.jsonl-20260131 and the like; what is compressed cannot be gone on from.
static bool foreign(const char *base, const char *name)
{
    size_t n = strlen(base);
    return strncmp(name, base, n) == 0 && (name[n] == '.' || name[n] == '-') &&
           name[n + 1] >= '0' && name[n + 1] <= '9' && !ends_in(name, ".gz") &&
           !ends_in(name, ".xz") && !ends_in(name, ".zst") && !ends_in(name, ".bz2");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void audit_files_list(const char *path, bool renamed_by_us, struct audit_files *files_r)
{
    const char *base = path + dir_length(path);
    char *dir_path = audit_beside(path, ".");
    DIR *dir = opendir(dir_path);
    struct dirent *entry;
    *files_r = (struct audit_files){0};
    free(dir_path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (own_stamp(base, name) == NULL && (renamed_by_us || !foreign(base, name)))
            continue;
        files_r->names = mem_realloc_array(files_r->names, files_r->n + 1, sizeof(char *));
        files_r->names[files_r->n++] = mem_strdup(name);
    }
    if (dir != NULL)
        closedir(dir);
    if (files_r->n > 0)
        qsort(files_r->names, files_r->n, sizeof(char *), by_name);
}

void audit_files_free(struct audit_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        free(files->names[i]);
    free(files->names);
    *files = (struct audit_files){0};
}

char *audit_next_name(const char *path)
{
    const char *base = path + dir_length(path);
    int stem = (int)stem_length(base);
    struct audit_files files;
    struct tm parts;
    char stamp[STAMP_DIGITS + 1];
    time_t now = (time_t)(wall_read_us() / US_PER_S);
    audit_files_list(path, true, &files);
    strftime(stamp, sizeof(stamp), STAMP, gmtime_r(&now, &parts));
    const char *newest = files.n > 0 ? own_stamp(base, files.names[files.n - 1]) : NULL;
    // The names tell the order, also after two files within a second or a step of the clock.
    if (newest != NULL && strncmp(stamp, newest, STAMP_DIGITS) <= 0) {
        parts = (struct tm){0};
        strptime(newest, STAMP, &parts);
        now = timegm(&parts) + 1;
        strftime(stamp, sizeof(stamp), STAMP, gmtime_r(&now, &parts));
    }
    audit_files_free(&files);
    return mem_printf("%.*s%.*s-%s%s", (int)dir_length(path), path, stem, base, stamp, base + stem);
}

static bool is_later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec >= b.tv_nsec);
}

char *audit_previous(const char *path, struct timespec *written_r)
{
    struct audit_files files;
    char *found = NULL;
    *written_r = (struct timespec){0};
    audit_files_list(path, false, &files);
    for (size_t i = 0; i < files.n; i++) { // of two written at the same time the later name
        struct stat info;
        char *other = audit_beside(path, files.names[i]);
        if (lstat(other, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 &&
            is_later(info.st_mtim, *written_r)) {
            *written_r = info.st_mtim;
            free(found);
            found = other;
            continue;
        }
        free(other);
    }
    audit_files_free(&files);
    return found;
}
