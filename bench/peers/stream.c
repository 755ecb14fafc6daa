/*
 * What two C programs get out of this machine without any protocol: the limit that benches compare with.
 * One measurement a call, printed as one line of JSON.
 *
 *   stream tcp|unix  <bytes of a message> <bytes in all>   one way over one socket pair
 *   stream ping-tcp|ping-unix <bytes> <round trips>        there and back
 *   stream memcpy <bytes of a copy> <bytes in all>         from a span of 64 MiB to another
 *
 * A receiver checks that the first and the last message hold what was sent: a stream that loses bytes is no limit.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SPAN_BYTES (64u << 20) /* more than any cache of a processor */
#define MIB 1048576.0
#define GIB 1073741824.0

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("stream.c: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(3);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* CPU of this process and of its children that have ended, in seconds. */
static double cpu(void)
{
    double sum = 0;
    for (int i = 0; i < 2; i++) {
        struct rusage usage;
        getrusage(i == 0 ? RUSAGE_SELF : RUSAGE_CHILDREN, &usage);
        sum += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
        sum += (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    }
    return sum;
}

static void put(int socket, const unsigned char *from, size_t bytes)
{
    while (bytes > 0) {
        ssize_t done = write(socket, from, bytes);
        if (done <= 0)
            fail("write failed");
        from += done;
        bytes -= (size_t)done;
    }
}

static void take(int socket, unsigned char *into, size_t bytes)
{
    while (bytes > 0) {
        ssize_t done = read(socket, into, bytes);
        if (done <= 0)
            fail("read failed, or the other end is gone");
        into += done;
        bytes -= (size_t)done;
    }
}

static void tcp_pair(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0)
        fail("no loopback to listen on");
    getsockname(listener, (struct sockaddr *)&address, &length);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(ends[0], (struct sockaddr *)&address, sizeof address) != 0)
        fail("no connection over loopback");
    ends[1] = accept(listener, NULL, NULL);
    close(listener);
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void unix_pair(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        fail("no pair of unix sockets");
}

static unsigned char *memory(size_t bytes, int fill)
{
    unsigned char *some = malloc(bytes);
    if (some == NULL)
        fail("no memory for %zu bytes", bytes);
    memset(some, fill, bytes);
    return some;
}

static void expect(const unsigned char *message, size_t bytes, int value)
{
    for (size_t at = 0; at < bytes; at++)
        if (message[at] != value)
            fail("byte %zu is %d, %d was sent", at, message[at], value);
}

/* Forks the far end, which takes messages until all are there and answers with one byte. */
static void stream(const char *mode, int ends[2], size_t bytes, uint64_t total)
{
    uint64_t count = total / bytes > 0 ? total / bytes : 1;
    pid_t child = fork();
    if (child == 0) {
        unsigned char *into = memory(bytes, 0);
        close(ends[0]);
        take(ends[1], into, 1); /* both have their memory: now the clock may start */
        put(ends[1], into, 1);
        for (uint64_t i = 0; i < count; i++) {
            take(ends[1], into, bytes);
            if (i == 0 || i == count - 1)
                expect(into, bytes, 7);
        }
        put(ends[1], into, 1);
        _exit(0);
    }
    unsigned char *from = memory(bytes, 7);
    unsigned char answer;
    int status;
    close(ends[1]);
    put(ends[0], from, 1);
    take(ends[0], &answer, 1);
    double start = now();
    for (uint64_t i = 0; i < count; i++)
        put(ends[0], from, bytes);
    take(ends[0], &answer, 1);
    double seconds = now() - start;
    waitpid(child, &status, 0);
    if (status != 0)
        fail("the receiver ended with status %d", status);
    double moved = (double)count * (double)bytes;
    printf("{\"mode\":\"%s\",\"bytes\":%zu,\"MiBps\":%.3f,\"cpuSecondsPerGiB\":%.5f}\n", mode, bytes,
           moved / MIB / seconds, cpu() / (moved / GIB));
}

static void ping(const char *mode, int ends[2], size_t bytes, uint64_t trips)
{
    unsigned char *message = memory(bytes, 7);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        for (uint64_t i = 0; i < trips; i++) {
            take(ends[1], message, bytes);
            put(ends[1], message, bytes);
        }
        _exit(0);
    }
    int status;
    close(ends[1]);
    double start = now();
    for (uint64_t i = 0; i < trips; i++) {
        put(ends[0], message, bytes);
        take(ends[0], message, bytes);
    }
    double seconds = now() - start;
    waitpid(child, &status, 0);
    expect(message, bytes, 7);
    printf("{\"mode\":\"%s\",\"bytes\":%zu,\"microseconds\":%.3f}\n", mode, bytes,
           seconds * 1e6 / (double)trips);
}

static void copy(size_t bytes, uint64_t total)
{
    if (bytes > SPAN_BYTES)
        fail("a copy has at most %u bytes", SPAN_BYTES);
    unsigned char *from = memory(SPAN_BYTES, 7);
    unsigned char *into = memory(SPAN_BYTES, 0);
    size_t at = 0;
    uint64_t done = 0;
    double start = now();
    for (; done < total; done += bytes) {
        if (at + bytes > SPAN_BYTES)
            at = 0;
        memcpy(into + at, from + at, bytes);
        at += bytes;
    }
    double seconds = now() - start;
    expect(into, bytes, 7);
    printf("{\"mode\":\"memcpy\",\"bytes\":%zu,\"MiBps\":%.3f}\n", bytes, (double)done / MIB / seconds);
}

int main(int count, char **arguments)
{
    if (count != 4)
        fail("arguments: mode, bytes, and bytes in all or round trips");
    const char *mode = arguments[1];
    size_t bytes = strtoull(arguments[2], NULL, 10);
    uint64_t total = strtoull(arguments[3], NULL, 10);
    if (bytes == 0 || total == 0)
        fail("%s and %s are no numbers above 0", arguments[2], arguments[3]);
    int ends[2];
    if (strcmp(mode, "memcpy") == 0) {
        copy(bytes, total);
        return 0;
    }
    int is_ping = strncmp(mode, "ping-", 5) == 0;
    const char *wire = is_ping ? mode + 5 : mode;
    if (strcmp(wire, "tcp") == 0)
        tcp_pair(ends);
    else if (strcmp(wire, "unix") == 0)
        unix_pair(ends);
    else
        fail("%s is no mode", mode);
    if (is_ping)
        ping(mode, ends, bytes, total);
    else
        stream(mode, ends, bytes, total);
    return 0;
}
