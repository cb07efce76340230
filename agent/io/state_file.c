#include "io/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_NAME STATE_FILE_NAME ".new"

enum { READ_BYTES = 65536 };

struct state_file {
    int folder;
    char *path;
};

int state_file_open(struct state_file **out, const char *folder)
{
    if (access(folder, F_OK) < 0 && mkdir(folder, 0750) < 0)
        return -errno;
    AUTO(state_file_close) struct state_file *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->folder = -1;
    f->path = strdup(folder);
    if (!f->path)
        return -ENOMEM;
    f->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->folder < 0 || flock(f->folder, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    *out = TAKE(f);
    return 0;
}

struct state_file *state_file_close(struct state_file *f)
{
    if (!f)
        return NULL;
    if (f->folder >= 0)
        close(f->folder);
    free(f->path);
    free(f);
    return NULL;
}

const char *state_file_folder(const struct state_file *f)
{
    return f->path;
}

static void close_descriptor(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define close_descriptor_auto close_descriptor

int state_file_read(struct state_file *f, struct text *out)
{
    /* Whatever lies there: a FIFO would make the agent wait for a writer. */
    AUTO(close_descriptor)
    int fd = openat(f->folder, STATE_FILE_NAME, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char data[READ_BYTES];
    ssize_t got;
    while ((got = read(fd, data, sizeof(data))) > 0) {
        text_add(out, bytes_make(data, (size_t)got));
        if (text_failed(out))
            return -ENOMEM;
        if (out->size > STATE_FILE_MAX)
            return -EFBIG;
    }
    return got < 0 ? -errno : 0;
}

static int write_all(int fd, struct bytes b)
{
    while (b.size) {
        ssize_t written = write(fd, b.data, b.size);
        if (written < 0 && errno != EINTR)
            return -errno;
        bytes_take(&b, written > 0 ? (size_t)written : 0);
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int write_new(struct state_file *f, struct bytes content)
{
    unlinkat(f->folder, NEW_NAME, 0); /* of a process that died while it wrote */
    AUTO(close_descriptor)
    int fd = openat(f->folder, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    return fd < 0 ? -errno : write_all(fd, content);
}

int state_file_write(struct state_file *f, struct bytes content)
{
    int error = write_new(f, content);
    if (error == 0 && renameat(f->folder, NEW_NAME, f->folder, STATE_FILE_NAME) < 0)
        error = -errno;
    if (error < 0) {
        unlinkat(f->folder, NEW_NAME, 0);
        return error;
    }
    return fsync(f->folder) < 0 ? -errno : 0;
}

int state_file_set_aside(struct state_file *f)
{
    return renameat(f->folder, STATE_FILE_NAME, f->folder, STATE_FILE_DAMAGED) < 0 ? -errno : 0;
}
