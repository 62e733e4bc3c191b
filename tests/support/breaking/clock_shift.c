/* Shifts the wall clock that a process sees by the microseconds in a file, which may change at any time.
 *
 * Absolute times that it hands to the kernel, whose clock isn't shifted, are shifted back.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* No machine has been up for so long: a later time on a clock of unknown kind is of the wall clock. */
#define THIRTY_YEARS 1000000000

static volatile int64_t *file;
static long (*real_syscall)(long, ...);

static void *next(const char *name) {
    void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2"); /* condition variables have older versions too */
    return found ? found : dlsym(RTLD_NEXT, name);
}

static int64_t shift(void) { return file ? *file : 0; }

__attribute__((constructor)) static void map_file(void) {
    const char *path = getenv("CLOCK_SHIFT_FILE");
    int handle = path ? open(path, O_RDONLY) : -1;
    if (handle < 0) return;
    void *found = mmap(NULL, sizeof *file, PROT_READ, MAP_SHARED, handle, 0);
    close(handle);
    if (found != MAP_FAILED) file = found;
}

static struct timespec moved(struct timespec from, int64_t microseconds) {
    int64_t nanoseconds = from.tv_nsec + microseconds % 1000000 * 1000;
    from.tv_sec += microseconds / 1000000;
    if (nanoseconds < 0) { nanoseconds += 1000000000; from.tv_sec--; }
    if (nanoseconds >= 1000000000) { nanoseconds -= 1000000000; from.tv_sec++; }
    from.tv_nsec = nanoseconds;
    return from;
}

static long call(long number, long a, long b, long c, long d, long e, long f) {
    if (!real_syscall) real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real_syscall(number, a, b, c, d, e, f);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)call(SYS_clock_gettime, clock, (long)now, 0, 0, 0, 0);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *now = moved(*now, shift());
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (where) *where = found.tv_sec;
    return found.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict end) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real) real = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))next("pthread_cond_timedwait");
    struct timespec kernels = end->tv_sec > THIRTY_YEARS ? moved(*end, -shift()) : *end;
    return real(cond, mutex, &kernels);
}

int pthread_cond_clockwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, clockid_t clock,
                           const struct timespec *restrict end) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    if (!real) real = (int (*)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *))next("pthread_cond_clockwait");
    struct timespec kernels = clock == CLOCK_REALTIME ? moved(*end, -shift()) : *end;
    return real(cond, mutex, clock, &kernels);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict end) {
    static int (*real)(sem_t *, const struct timespec *);
    if (!real) real = (int (*)(sem_t *, const struct timespec *))next("sem_timedwait");
    struct timespec kernels = moved(*end, -shift());
    return real(semaphore, &kernels);
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict end) {
    static int (*real)(sem_t *, clockid_t, const struct timespec *);
    if (!real) real = (int (*)(sem_t *, clockid_t, const struct timespec *))next("sem_clockwait");
    struct timespec kernels = clock == CLOCK_REALTIME ? moved(*end, -shift()) : *end;
    return real(semaphore, clock, &kernels);
}

long syscall(long number, ...) {
    va_list arguments;
    va_start(arguments, number);
    long a = va_arg(arguments, long), b = va_arg(arguments, long), c = va_arg(arguments, long);
    long d = va_arg(arguments, long), e = va_arg(arguments, long), f = va_arg(arguments, long);
    va_end(arguments);
    struct timespec kernels;
    if (number == SYS_futex && d && (b & FUTEX_CLOCK_REALTIME)) {
        kernels = moved(*(const struct timespec *)d, -shift());
        d = (long)&kernels;
    }
    return call(number, a, b, c, d, e, f);
}
