// SPDX-License-Identifier: Apache-2.0
// The helper as a process: started, killed, reaped, measured.
#include "jobs/sandbox_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

// A pipe whose end `ours` (0: reading, 1: writing) does not block.
static bool make_pipe(int ends[2], unsigned ours)
{
    return pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[ours], F_SETFL, O_NONBLOCK) == 0;
}

// In a group of its own: the terminal's Ctrl-C is not for it, and what it might start dies with it.
// Signals as at the start of a program: the daemon blocks some and ignores SIGPIPE.
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
}

// Nothing of ours but the pipes, whatever some library left open.
static int set_files(posix_spawn_file_actions_t *files, int input, int output)
{
    int error = posix_spawn_file_actions_adddup2(files, input, STDIN_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(files, output, STDERR_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
    return error;
}

static int spawn(const char *path, bool module, int input, int output, pid_t *pid_r)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    char mode[] = "script", other_mode[] = "module";
    char *name = strdup(path);
    char *const argv[] = {name, module ? other_mode : mode, NULL};
    char *const environment[] = {NULL};
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&files);
    int error = name == NULL ? ENOMEM : set_attributes(&attributes);
    if (error == 0)
        error = set_files(&files, input, output);
    if (error == 0)
        error = posix_spawn(pid_r, path, &files, &attributes, argv, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    free(name);
    return error;
}

static enum status_code start_failed(const char *path, int error, struct status *st)
{
    if (error == ENOENT || error == EACCES || error == ENOEXEC || error == ENOTDIR)
        return status_set_errno(st, STATUS_NOT_FOUND, error, SANDBOX_NEEDED "cannot run %s", path);
    return status_set_errno(st, STATUS_IO, error, "cannot start %s", path);
}

enum status_code sandbox_process_start(const char *path, bool module,
                                       struct sandbox_process *process_r, struct status *st)
{
    int input[2] = {-1, -1}, output[2] = {-1, -1};
    *process_r = (struct sandbox_process){.pidfd = -1, .input = -1, .output = -1};
    int error = 0;
    if (!make_pipe(input, 1) || !make_pipe(output, 0))
        error = errno;
    else
        error = spawn(path, module, input[0], output[1], &process_r->pid);
    close_fd(&input[0]);
    close_fd(&output[1]);
    process_r->input = input[1];
    process_r->output = output[0];
    if (error == 0) {
        process_r->pidfd = pidfd_open(process_r->pid, 0);
        if (process_r->pidfd >= 0)
            return STATUS_OK;
        error = errno;
        sandbox_process_kill(process_r);
        sandbox_process_reap(process_r);
    }
    close_fd(&process_r->input);
    close_fd(&process_r->output);
    return start_failed(path, error, st);
}

void sandbox_process_kill(const struct sandbox_process *process)
{
    kill(-process->pid, SIGKILL);
}

int sandbox_process_reap(struct sandbox_process *process)
{
    int status = 0;
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close_fd(&process->pidfd);
    close_fd(&process->input);
    close_fd(&process->output);
    return status;
}

bool sandbox_process_resident(const struct sandbox_process *process, size_t *bytes_r)
{
    char path[64], text[128];
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)process->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    int error = n < 0 ? errno : EIO;
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    unsigned long pages;
    errno = error;
    if (sscanf(text, "%*u %lu", &pages) != 1) // size resident ..., proc(5)
        return false;
    *bytes_r = pages * (size_t)sysconf(_SC_PAGESIZE);
    return true;
}
