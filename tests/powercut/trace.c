/* Writes down, in order, what processes do to the files under one folder, for a simulator of power cuts.
 *
 * Preloaded (LD_PRELOAD), it stands between a program and its C library. POWERCUT_ROOT names the folder, POWERCUT_TRACE
 * the file to write to, POWERCUT_KILL_AFTER after how many operations the process is killed, if at all. Each operation
 * is done and written down under one lock, which processes share, so that the trace is the order of things. Those that
 * failed are left out. A record is a `struct head` and *length* bytes; `traces.py` reads it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FILES 65536

struct __attribute__((packed)) head {
    char kind;
    uint32_t process;
    uint32_t handle;  /* which open file of the process */
    uint64_t number;  /* an offset, a length or flags */
    uint32_t length;
};

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int trace = -1;
static long kill_after = -1;
static uint32_t last_handle;
static uint32_t handles[MOST_FILES];  /* of each file descriptor; 0: not one of ours */

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("POWERCUT_ROOT"), *path = getenv("POWERCUT_TRACE");
    const char *limit = getenv("POWERCUT_KILL_AFTER");
    if (!folder || !path || strlen(folder) >= sizeof root) return;
    root_length = strlen(strcpy(root, folder));
    if (limit) kill_after = atol(limit);
    trace = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0) {
        perror("the trace of power cuts cannot be written");
        abort();
    }
}

static void lock(void) {
    pthread_mutex_lock(&gate);
    while (flock(trace, LOCK_EX) && errno == EINTR) continue;
}

static void unlock(void) {
    int kept = errno;
    flock(trace, LOCK_UN);
    pthread_mutex_unlock(&gate);
    errno = kept;
}

static void put(const void *data, size_t length) {
    REAL(write);
    while (length) {
        ssize_t done = real(trace, data, length);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) abort();  /* a trace with holes would prove nothing */
        data = (const char *)data + done;
        length -= (size_t)done;
    }
}

static void record(char kind, uint32_t handle, uint64_t number, const void *data, size_t length) {
    int kept = errno;
    struct head head = {kind, (uint32_t)getpid(), handle, number, (uint32_t)length};
    put(&head, sizeof head);
    put(data, length);
    if (kind != 'n' && kill_after > 0 && --kill_after == 0) kill(getpid(), SIGKILL);
    errno = kept;
}

/* Let the program write into the trace what it knows: what it asked for, and what was acknowledged. */
__attribute__((visibility("default"))) void powercut_note(const void *data, size_t length) {
    lock();
    record('n', 0, 0, data, length);
    unlock();
}

/* Return *path* relative to the root, or NULL when it is not under it; *whole* is room for the path. */
static const char *inside(int folder, const char *path, char *whole) {
    if (trace < 0 || !path) return NULL;
    if (path[0] == '/') {
        if (strlen(path) >= PATH_MAX) return NULL;
        strcpy(whole, path);
    } else {
        char at[64];
        snprintf(at, sizeof at, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t length = readlink(at, whole, PATH_MAX - 1);
        if (length < 0 || (size_t)length + strlen(path) + 2 > PATH_MAX) return NULL;
        whole[length] = '/';
        strcpy(whole + length + 1, path);
    }
    if (strncmp(whole, root, root_length)) return NULL;
    if (whole[root_length] == '\0') return "";
    return whole[root_length] == '/' ? whole + root_length + 1 : NULL;
}

static uint32_t handle_of(int fd) { return trace >= 0 && fd >= 0 && fd < MOST_FILES ? handles[fd] : 0; }

static int opened(int fd, const char *path, int flags) {
    if (fd < 0 || fd >= MOST_FILES) return fd;
    handles[fd] = path ? ++last_handle : 0;
    if (path) record('o', handles[fd], (uint64_t)(uint32_t)flags, path, strlen(path));
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = (mode_t)va_arg(more, int); \
        va_end(more); \
        char whole[PATH_MAX]; \
        if (trace < 0) return real(path, flags, mode); \
        lock(); \
        int fd = opened(real(path, flags, mode), inside(AT_FDCWD, path, whole), flags); \
        unlock(); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = (mode_t)va_arg(more, int); \
        va_end(more); \
        char whole[PATH_MAX]; \
        if (trace < 0) return real(folder, path, flags, mode); \
        lock(); \
        int fd = opened(real(folder, path, flags, mode), inside(folder, path, whole), flags); \
        unlock(); \
        return fd; \
    }
OPENAT(openat)
OPENAT(openat64)

/* What programs built with _FORTIFY_SOURCE call instead. */
int __open_2(const char *path, int flags) { return open(path, flags, 0); }
int __open64_2(const char *path, int flags) { return open64(path, flags, 0); }
int __openat_2(int folder, const char *path, int flags) { return openat(folder, path, flags, 0); }
int __openat64_2(int folder, const char *path, int flags) { return openat64(folder, path, flags, 0); }
int creat(const char *path, mode_t mode) { return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open64(path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

int close(int fd) {
    REAL(close);
    uint32_t handle = handle_of(fd);
    if (!handle) return real(fd);
    lock();
    handles[fd] = 0;
    int done = real(fd);
    record('c', handle, 0, NULL, 0);
    unlock();
    return done;
}

ssize_t write(int fd, const void *data, size_t length) {
    REAL(write);
    uint32_t handle = handle_of(fd);
    if (!handle) return real(fd, data, length);
    lock();
    ssize_t done = real(fd, data, length);
    if (done > 0) record('w', handle, (uint64_t)(lseek(fd, 0, SEEK_CUR) - done), data, (size_t)done);
    unlock();
    return done;
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t length, offset_type offset) { \
        REAL(name); \
        uint32_t handle = handle_of(fd); \
        if (!handle) return real(fd, data, length, offset); \
        lock(); \
        ssize_t done = real(fd, data, length, offset); \
        if (done > 0) record('w', handle, (uint64_t)offset, data, (size_t)done); \
        unlock(); \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

static void record_pieces(uint32_t handle, uint64_t offset, const struct iovec *pieces, size_t done) {
    for (; done; pieces++) {
        size_t length = pieces->iov_len < done ? pieces->iov_len : done;
        if (length) record('w', handle, offset, pieces->iov_base, length);
        offset += length;
        done -= length;
    }
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(writev);
    uint32_t handle = handle_of(fd);
    if (!handle) return real(fd, pieces, count);
    lock();
    ssize_t done = real(fd, pieces, count);
    if (done > 0) record_pieces(handle, (uint64_t)(lseek(fd, 0, SEEK_CUR) - done), pieces, (size_t)done);
    unlock();
    return done;
}

#define PWRITEV(name, offset_type, more, ...) \
    ssize_t name(int fd, const struct iovec *pieces, int count, offset_type offset more) { \
        REAL(name); \
        uint32_t handle = handle_of(fd); \
        if (!handle) return real(fd, pieces, count, offset __VA_ARGS__); \
        lock(); \
        ssize_t done = real(fd, pieces, count, offset __VA_ARGS__); \
        if (done > 0) record_pieces(handle, (uint64_t)offset, pieces, (size_t)done); \
        unlock(); \
        return done; \
    }
#define NO_FLAGS
#define FLAGS , int flags
PWRITEV(pwritev, off_t, NO_FLAGS)
PWRITEV(pwritev64, off64_t, NO_FLAGS)
PWRITEV(pwritev2, off_t, FLAGS, , flags)
PWRITEV(pwritev64v2, off64_t, FLAGS, , flags)

/* An operation on an open file that is done by *call*, gives 0, and is written down as *kind* and *number*. */
#define ON_FILE(call, kind, number) \
    uint32_t handle = handle_of(fd); \
    if (!handle) return call; \
    lock(); \
    int done = call; \
    if (done == 0) record(kind, handle, (uint64_t)(number), NULL, 0); \
    unlock(); \
    return done

int fsync(int fd) { REAL(fsync); ON_FILE(real(fd), 's', 0); }
int fdatasync(int fd) { REAL(fdatasync); ON_FILE(real(fd), 's', 0); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); ON_FILE(real(fd, size), 't', size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); ON_FILE(real(fd, size), 't', size); }
int posix_fallocate(int fd, off_t at, off_t size) {
    REAL(posix_fallocate);
    ON_FILE(real(fd, at, size), 'a', at + size);
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
    REAL(posix_fallocate64);
    ON_FILE(real(fd, at, size), 'a', at + size);
}
int fallocate(int fd, int mode, off_t at, off_t size) {
    REAL(fallocate);
    ON_FILE(real(fd, mode, at, size), mode ? '?' : 'a', at + size);
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) {
    REAL(fallocate64);
    ON_FILE(real(fd, mode, at, size), mode ? '?' : 'a', at + size);
}

#define MMAP(name, offset_type) \
    void *name(void *at, size_t length, int protection, int flags, int fd, offset_type offset) { \
        REAL(name); \
        uint32_t handle = (flags & MAP_SHARED) && (protection & PROT_WRITE) ? handle_of(fd) : 0; \
        if (!handle) return real(at, length, protection, flags, fd, offset); \
        lock(); \
        void *done = real(at, length, protection, flags, fd, offset); \
        if (done != MAP_FAILED) record('m', handle, 0, NULL, 0); \
        unlock(); \
        return done; \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

/* An operation on names that is done by *call*; one that leaves or enters the root shows as half of itself. */
#define ON_NAMES(call, kind, from_folder, from, to_folder, to) \
    char whole[PATH_MAX], other[PATH_MAX], both[2 * PATH_MAX]; \
    const char *old = inside(from_folder, from, whole), *new = inside(to_folder, to, other); \
    if (!old && !new) return call; \
    lock(); \
    int done = call; \
    size_t length = (size_t)snprintf(both, sizeof both, "%s%c%s", old ? old : "", 0, new ? new : ""); \
    if (done == 0) record(kind, 0, 0, both, length); \
    unlock(); \
    return done
#define ON_NAME(call, kind, folder, path) ON_NAMES(call, kind, folder, path, AT_FDCWD, NULL)

int link(const char *a, const char *b) { REAL(link); ON_NAMES(real(a, b), 'l', AT_FDCWD, a, AT_FDCWD, b); }
int linkat(int from, const char *a, int to, const char *b, int flags) {
    REAL(linkat);
    ON_NAMES(real(from, a, to, b, flags), 'l', from, a, to, b);
}
int rename(const char *a, const char *b) { REAL(rename); ON_NAMES(real(a, b), 'r', AT_FDCWD, a, AT_FDCWD, b); }
int renameat(int from, const char *a, int to, const char *b) {
    REAL(renameat);
    ON_NAMES(real(from, a, to, b), 'r', from, a, to, b);
}
int renameat2(int from, const char *a, int to, const char *b, unsigned flags) {
    REAL(renameat2);
    ON_NAMES(real(from, a, to, b, flags), flags ? '?' : 'r', from, a, to, b);
}
int symlink(const char *a, const char *b) { REAL(symlink); ON_NAME(real(a, b), '?', AT_FDCWD, b); }
int truncate(const char *path, off_t size) { REAL(truncate); ON_NAME(real(path, size), '?', AT_FDCWD, path); }
int truncate64(const char *path, off64_t size) { REAL(truncate64); ON_NAME(real(path, size), '?', AT_FDCWD, path); }
int unlink(const char *path) { REAL(unlink); ON_NAME(real(path), 'u', AT_FDCWD, path); }
int unlinkat(int folder, const char *path, int flags) {
    REAL(unlinkat);
    ON_NAME(real(folder, path, flags), 'u', folder, path);
}
int rmdir(const char *path) { REAL(rmdir); ON_NAME(real(path), 'u', AT_FDCWD, path); }
int remove(const char *path) { REAL(remove); ON_NAME(real(path), 'u', AT_FDCWD, path); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); ON_NAME(real(path, mode), 'd', AT_FDCWD, path); }
int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(mkdirat);
    ON_NAME(real(folder, path, mode), 'd', folder, path);
}
