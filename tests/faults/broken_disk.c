/* A disk that breaks on command, for one process: preloaded, it fails what files of chosen names ask of it.
 *
 * BROKEN_DISK is a folder. A file `full`, `sync` or `readonly` in it holds the beginning of paths. While it is there,
 * files whose paths begin so cannot grow (ENOSPC), cannot be synced (EIO) or cannot be opened to be written (EROFS).
 * On a full disk they may grow by the size of a ballast that this process has removed: what else was freed, others took.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(result, name, ...) result (*real)(__VA_ARGS__) = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int is_broken(const char *fault, const char *path) {
    REAL(int, open, const char *, int, ...);
    const char *folder = getenv("BROKEN_DISK");
    char control[PATH_MAX], beginning[PATH_MAX];
    if (!folder || snprintf(control, sizeof control, "%s/%s", folder, fault) >= (int)sizeof control) return 0;
    int before = errno, fd = real(control, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, beginning, sizeof beginning);
    if (fd >= 0) close(fd);
    errno = before;
    return length > 0 && strncmp(path, beginning, (size_t)length) == 0;
}

static int is_broken_file(const char *fault, int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_broken(fault, path);
}

static _Atomic off_t room = 0;

static int grows(int fd, off_t end) {
    struct stat known;
    if (fstat(fd, &known) != 0 || !S_ISREG(known.st_mode) || end <= known.st_size) return 0;
    if (!is_broken_file("full", fd)) return 0;
    off_t more = end - known.st_size;
    if (more > room) return 1;
    room -= more;
    return 0;
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    struct stat known;
    char whole[PATH_MAX];
    size_t length = strlen(path), end = strlen("-ballast");
    int is_ballast = length > end && strcmp(path + length - end, "-ballast") == 0 && stat(path, &known) == 0
        && realpath(path, whole) && is_broken("full", whole);
    int done = real(path);
    if (done == 0 && is_ballast) room += known.st_size;
    return done;
}

#define FAIL(number) return errno = number, -1

ssize_t write(int fd, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (at >= 0 && grows(fd, at + (off_t)length)) FAIL(ENOSPC);
    return real(fd, data, length);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    if (grows(fd, at + (off_t)length)) FAIL(ENOSPC);
    return real(fd, data, length, at);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    if (grows(fd, at + (off_t)length)) FAIL(ENOSPC);
    return real(fd, data, length, at);
}

int ftruncate(int fd, off_t size) {
    REAL(int, ftruncate, int, off_t);
    if (grows(fd, size)) FAIL(ENOSPC);
    return real(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    REAL(int, ftruncate64, int, off64_t);
    if (grows(fd, size)) FAIL(ENOSPC);
    return real(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t size) {
    REAL(int, posix_fallocate, int, off_t, off_t);
    return grows(fd, at + size) ? ENOSPC : real(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    REAL(int, posix_fallocate64, int, off64_t, off64_t);
    return grows(fd, at + size) ? ENOSPC : real(fd, at, size);
}

int fsync(int fd) {
    REAL(int, fsync, int);
    if (is_broken_file("sync", fd)) FAIL(EIO);
    return real(fd);
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    if (is_broken_file("sync", fd)) FAIL(EIO);
    return real(fd);
}

#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & O_CREAT))

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        if (WRITES(flags) && is_broken("readonly", path)) FAIL(EROFS); \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    if (is_broken("readonly", path)) FAIL(EROFS);
    return real(path, mode);
}
