// SPDX-License-Identifier: Apache-2.0
// What this machine has to give: room for the spool, directories, descriptors. Only --connect looks
// at it, since a configuration may be checked on another machine than the one it is for.
#include "app/limits.h"
#include "check_priv.h"
#include "config/units.h"
#include "core/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

// --- directories ---

// The path, or the nearest directory above it that is there; owned.
static char *nearest(const char *path)
{
    char *at = mem_strdup(path);
    struct stat st;
    while (at[1] != '\0' && stat(at, &st) != 0 && errno == ENOENT) {
        char *slash = strrchr(at, '/');
        if (slash == NULL)
            break;
        slash[slash == at ? 1 : 0] = '\0';
    }
    return at;
}

// May this user make files in it, or make it?
static void check_dir(const char *path, const char *pointer, struct config_faults *faults)
{
    struct stat st;
    char *at = nearest(path);
    bool there = strcmp(at, path) == 0;
    int error = 0;
    if (stat(at, &st) != 0)
        error = errno;
    else if (!S_ISDIR(st.st_mode))
        error = ENOTDIR;
    else if (faccessat(AT_FDCWD, at, R_OK | W_OK | X_OK, AT_EACCESS) != 0)
        error = errno;
    if (error != 0 && there)
        config_faults_add(faults, 0, pointer,
                          "user %u may not write in %s (%s): chown it, or name another directory",
                          (unsigned)geteuid(), path, strerror(error));
    else if (error != 0)
        config_faults_warn(faults, pointer,
                           "%s is missing, and user %u may not make it in %s (%s): make it, unless "
                           "systemd does (StateDirectory=, RuntimeDirectory=)",
                           path, (unsigned)geteuid(), at, strerror(error));
    free(at);
}

static void check_action_dirs(const struct config_jobs *jobs, struct config_faults *faults)
{
    for (size_t i = 0; i < jobs->n_actions; i++) {
        const struct config_action *action = &jobs->actions[i];
        if (action->storage_dir == NULL)
            continue;
        char *pointer = mem_printf("/jobs/actions/%s/storage/dir", action->name);
        check_dir(action->storage_dir, pointer, faults);
        free(pointer);
    }
}

// --- room ---

// What the spool takes already; what cannot be read counts as nothing.
static uint64_t spool_bytes(const char *dir)
{
    uint64_t bytes = 0;
    struct stat st;
    const struct dirent *entry;
    DIR *list = opendir(dir);
    while (list != NULL && (entry = readdir(list)) != NULL) {
        if (fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            bytes += (uint64_t)st.st_blocks * 512;
    }
    if (list != NULL)
        closedir(list);
    return bytes;
}

static void check_room(const struct config *config, struct config_faults *faults)
{
    struct statvfs fs;
    char *dir = mem_printf("%s/spool", config->state_dir);
    char *at = nearest(dir);
    uint64_t mib = (uint64_t)1 << 20;
    if (statvfs(at, &fs) == 0) {
        uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize + spool_bytes(dir);
        char has[UNITS_TEXT_SIZE], wants[UNITS_TEXT_SIZE];
        units_size_format(room / mib * mib, has);
        units_size_format(config->spool.max_bytes, wants);
        if (room < config->spool.max_bytes)
            config_faults_add(faults, 0, "/spool/max_bytes",
                              "the file system of %s has room for %s, and the spool may grow to "
                              "%s: lower max_bytes, make room, or put state_dir elsewhere",
                              at, has, wants);
    }
    free(at);
    free(dir);
}

void check_machine(const struct config *config, struct config_faults *faults)
{
    check_dir(config->state_dir, "/state_dir", faults);
    check_dir(config->runtime_dir, "/runtime_dir", faults);
    if (config->jobs.enabled && config->jobs.drop_dir != NULL)
        check_dir(config->jobs.drop_dir, "/jobs/drop_dir", faults);
    check_action_dirs(&config->jobs, faults);
    check_room(config, faults);
    limits_check(config, faults);
}
