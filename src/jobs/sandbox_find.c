// SPDX-License-Identifier: Apache-2.0
#include "jobs/sandbox_priv.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME SANDBOX_HELPER

static bool can_run(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode) && access(path, X_OK) == 0;
}

static enum status_code not_found(struct status *st, const char *looked_at)
{
    return status_set(st, STATUS_NOT_FOUND, SANDBOX_NEEDED "looked at %s", looked_at);
}

// The directory of the running binary, without a slash at its end; "" when /proc does not tell.
static void own_directory(char *directory, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", directory, size - 1);
    directory[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(directory, '/');
    *(slash != NULL ? slash : directory) = '\0';
}

enum status_code sandbox_find(struct buf *path_r, struct status *st)
{
    buf_clear(path_r);
    const char *named = getenv("CXSINK_JSCHECK");
    if (named != NULL && *named != '\0') {
        buf_append_text(path_r, named);
        return can_run(named) ? STATUS_OK : not_found(st, named);
    }
    char own[PATH_MAX];
    own_directory(own, sizeof(own));
    const char *const places[][2] = {
        {own, "/" NAME}, {own, "/../libexec/cxsink/" NAME}, {CXSINK_LIBEXECDIR, "/" NAME}};
    struct buf looked_at = {0};
    bool found = false;
    for (size_t i = 0; !found && i < sizeof(places) / sizeof(places[0]); i++) {
        buf_clear(path_r);
        buf_printf(path_r, "%s%s", places[i][0], places[i][1]);
        buf_printf(&looked_at, "%s%s", i > 0 ? ", " : "", buf_text(path_r));
        found = can_run(buf_text(path_r));
    }
    if (!found)
        not_found(st, buf_text(&looked_at));
    buf_deinit(&looked_at);
    return found ? STATUS_OK : STATUS_NOT_FOUND;
}

enum status_code sandbox_available(struct status *st)
{
    struct buf path = {0};
    enum status_code code = sandbox_find(&path, st);
    buf_deinit(&path);
    return code;
}
