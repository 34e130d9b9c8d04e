// SPDX-License-Identifier: Apache-2.0
#include "jobs/drop_priv.h"

#include "core/clock.h"
#include "core/fsio.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".json"
// Names that are tried for a file that is put away.
#define NAMES_MAX 10

// --- directories ---------------------------------------------------------------------------------

enum status_code drop_dirs_make(const struct drop_dirs *dirs, struct status *st)
{
    enum status_code code = fsio_make_dirs(dirs->in, 0700, st);
    if (code == STATUS_OK)
        code = fsio_make_dirs(dirs->done, 0700, st);
    if (code == STATUS_OK)
        code = fsio_make_dirs(dirs->failed, 0700, st);
    return code;
}

// What arrived before what left: a crash between them leaves a file in both, never in none.
enum status_code drop_dirs_sync(const struct drop_dirs *dirs, struct status *st)
{
    enum status_code code = fsio_sync_dir(dirs->done, st);
    if (code == STATUS_OK)
        code = fsio_sync_dir(dirs->failed, st);
    if (code == STATUS_OK)
        code = fsio_sync_dir(dirs->in, st);
    return code;
}

bool drop_name_fits(const char *name)
{
    size_t length = strlen(name);
    return name[0] != '.' && length > strlen(SUFFIX) &&
           strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

// --- reading -------------------------------------------------------------------------------------

static enum status_code not_opened(const char *name, int error, struct status *st)
{
    switch (error) {
    case ENOENT:
        return status_set(st, STATUS_NOT_FOUND, "%s is gone", name);
    case ELOOP:
        return status_set(st, STATUS_INVALID, "a symbolic link is not followed: put the file here");
    case ENXIO:
        return status_set(st, STATUS_INVALID, "this is no regular file");
    case EACCES:
    case EPERM:
        return status_set_errno(st, STATUS_INVALID, error, "cxsink may not read the file");
    default:
        return status_set_errno(st, STATUS_IO, error, "cannot open %s", name);
    }
}

static enum status_code read_regular(int fd, struct drop_file *file, struct buf *content,
                                     struct status *st)
{
    if (fstat(fd, &file->info) != 0)
        return status_set_errno(st, STATUS_IO, errno, "cannot look at %s", file->name);
    if (!S_ISREG(file->info.st_mode))
        return status_set(st, STATUS_INVALID, "this is no regular file");
    enum status_code code = fsio_read_fd(fd, file->name, DROP_FILE_MAX, content, st);
    if (code == STATUS_FULL)
        return status_set(st, STATUS_INVALID,
                          "the file is larger than %zu MiB: name a large payload with \"file\", "
                          "divide many jobs, or queue them with `cxsink jobs submit`, which takes "
                          "%zu MiB",
                          DROP_FILE_MAX >> 20, SUBMISSION_TEXT_MAX >> 20);
    return code;
}

enum status_code drop_file_read(const struct drop_dirs *dirs, struct drop_file *file,
                                struct buf *content, struct status *st)
{
    char *path = mem_printf("%s/%s", dirs->in, file->name);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    free(path);
    if (fd < 0)
        return not_opened(file->name, error, st);
    enum status_code code = read_regular(fd, file, content, st);
    close(fd);
    return code;
}

void drop_file_name_jobs(const struct drop_file *file, const struct buf *content,
                         struct submissions *jobs)
{
    unsigned char digest[HASH_SHA256_SIZE];
    char hex[HASH_SHA256_HEX_SIZE] = "";
    for (size_t i = 0; i < jobs->count; i++) {
        struct submission *job = &jobs->items[i];
        if (job->has_id)
            continue;
        if (hex[0] == '\0') {
            hash_sha256(content->data, content->len, digest);
            hash_hex(digest, sizeof(digest), hex);
        }
        char *seed =
            mem_printf("%s/%" PRIuMAX "/%jd.%09ld/%s/%zu", file->name, (uintmax_t)file->info.st_ino,
                       (intmax_t)file->info.st_mtim.tv_sec, file->info.st_mtim.tv_nsec, hex, i);
        struct uuid id = uuid_from_data(seed, strlen(seed));
        free(seed);
        free(job->id);
        job->id = mem_alloc(UUID_TEXT_SIZE);
        uuid_format(&id, job->id);
    }
}

// --- putting away --------------------------------------------------------------------------------

// "x.json", then "x.json.2026-01-02T03:04:05.678Z", then with a number behind that.
static char *target_name(const char *name, unsigned n)
{
    char now[32];
    if (n == 0)
        return mem_strdup(name);
    wall_format(wall_read_us(), now, sizeof(now));
    return n == 1 ? mem_printf("%s.%s", name, now) : mem_printf("%s.%s.%u", name, now, n);
}

// Old kernels and some file systems know no RENAME_NOREPLACE.
static int rename_new(const char *from, const char *to)
{
    struct stat info;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (lstat(to, &info) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

// Another file may have got its name meanwhile: that one is still to be taken.
static bool is_replaced(const char *path, const struct stat *then)
{
    struct stat now;
    return then->st_ino != 0 && lstat(path, &now) == 0 &&
           (now.st_ino != then->st_ino || now.st_dev != then->st_dev ||
            now.st_size != then->st_size || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != then->st_mtim.tv_nsec);
}

// Its errors are there before it is. STATUS_BUSY: the name is taken.
static enum status_code move_to(const char *from, const char *to, const struct buf *errors,
                                struct status *st)
{
    char *beside = mem_printf("%s.error", to);
    bool with_errors = errors->len > 0;
    enum status_code code = STATUS_OK;
    if (access(to, F_OK) == 0)
        code = STATUS_BUSY;
    else if (with_errors)
        code = fsio_write_file(beside, errors->data, errors->len, 0600, st);
    if (code == STATUS_OK && rename_new(from, to) != 0) {
        code = errno == EEXIST ? STATUS_BUSY
                               : status_set_errno(st, STATUS_IO, errno, "cannot move it to %s", to);
        if (with_errors)
            unlink(beside);
    }
    free(beside);
    return code;
}

enum status_code drop_file_finish(const struct drop_dirs *dirs, const struct drop_file *file,
                                  const struct buf *errors, char **name_r, struct status *st)
{
    char *from = mem_printf("%s/%s", dirs->in, file->name);
    const char *dir = errors->len > 0 ? dirs->failed : dirs->done;
    enum status_code code = STATUS_BUSY;
    *name_r = NULL;
    if (is_replaced(from, &file->info)) {
        free(from);
        return status_set(st, STATUS_NOT_FOUND, "another file has its name now");
    }
    for (unsigned n = 0; n < NAMES_MAX && code == STATUS_BUSY; n++) {
        free(*name_r);
        *name_r = target_name(file->name, n);
        char *to = mem_printf("%s/%s", dir, *name_r);
        code = move_to(from, to, errors, st);
        free(to);
    }
    free(from);
    if (code == STATUS_BUSY)
        status_set(st, code, "every name that it could have in %s is taken", dir);
    return code;
}
