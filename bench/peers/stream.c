/*
 * What two C programs get out of this machine without any protocol: the limit that benches compare with.
 * One measurement a call, printed as one line of JSON.
 *
 *   stream tcp|unix  <bytes of a message> <bytes in all>   one way over one socket pair
 *   stream ping-tcp|ping-unix <bytes> <round trips>        there and back
 *   stream memcpy <bytes of a copy> <bytes in all>         from a span of 64 MiB to another
 *   stream gaps <bytes of a piece> <bytes in all>          pieces with gaps as large, against as many bytes side by side: gathered
 *                                                          into a window by memcpy, and sent over a pair of unix sockets
 *
 * A receiver checks that the first and the last message hold what was sent: a stream that loses bytes is no limit.
 */
#include "common.h"
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define SPAN_BYTES (64u << 20) /* more than any cache of a processor */
#define GIB 1073741824.0
#define WINDOW_BYTES (128u << 10) /* into which our clients gather */
#define MESSAGE_BYTES (64u << 10) /* what a receiver takes at a time */
#define IOV_PIECES 1024           /* IOV_MAX of Linux */
#define GAPS_ROUNDS 9             /* the first of which is compared and does not count */

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

/* What takes turns: memory with gaps and memory without, so that neither is in a cache because it came just before. */
enum way { WRITEV, SEND, GATHER_AND_SEND, COPY, GATHER, WAYS };
#define SENDS COPY /* so many of them send */

/* Memory of `bytes` bytes in pieces, at distances of `stride`. */
struct pieces {
    const unsigned char *memory;
    size_t piece, stride, bytes;
};

/* Fills the window with the pieces from byte `at` on; returns how many bytes there were. */
static size_t gather(const struct pieces *from, size_t at, unsigned char *window)
{
    size_t room = from->bytes - at < WINDOW_BYTES ? from->bytes - at : WINDOW_BYTES;
    const unsigned char *place = from->memory + at / from->piece * from->stride;
    for (size_t into = 0; into < room; into += from->piece, place += from->stride)
        memcpy(window + into, place, from->piece);
    return room;
}

static void send_pieces(int socket, const struct pieces *from)
{
    static struct iovec parts[IOV_PIECES];
    size_t left = from->bytes / from->piece;
    const unsigned char *place = from->memory;
    while (left > 0) {
        size_t count = left < IOV_PIECES ? left : IOV_PIECES;
        for (size_t i = 0; i < count; i++, place += from->stride)
            parts[i] = (struct iovec){.iov_base = (void *)place, .iov_len = from->piece};
        if (writev(socket, parts, (int)count) != (ssize_t)(count * from->piece))
            fail("writev failed");
        left -= count;
    }
}

static void send_gathered(int socket, const struct pieces *from, unsigned char *window)
{
    for (size_t at = 0, length; at < from->bytes; at += length) {
        length = gather(from, at, window);
        put(socket, window, length);
    }
}

static void gather_all(const struct pieces *from, unsigned char *window)
{
    for (size_t at = 0; at < from->bytes;) {
        at += gather(from, at, window);
        __asm__ volatile("" : : "r"(window) : "memory"); /* lest a copy that nobody reads is left out */
    }
}

static unsigned char value_of(size_t piece)
{
    return (unsigned char)(1 + piece % 251);
}

/* Takes all bytes again and again, and answers each time; what comes in the first round is compared. */
static void receive_rounds(int socket, size_t piece, size_t bytes)
{
    unsigned char *into = memory(MESSAGE_BYTES, 0);
    for (int pass = 0; pass < SENDS * GAPS_ROUNDS; pass++) {
        for (size_t at = 0; at < bytes;) {
            ssize_t done = read(socket, into, bytes - at < MESSAGE_BYTES ? bytes - at : MESSAGE_BYTES);
            if (done <= 0)
                fail("read failed, or the other end is gone");
            for (ssize_t i = 0; pass < SENDS && i < done; i++)
                if (into[i] != value_of((at + (size_t)i) / piece))
                    fail("byte %zu of pass %d is %d", at + (size_t)i, pass, into[i]);
            at += (size_t)done;
        }
        put(socket, into, 1);
    }
}

/* One pass, until all has arrived where it is sent. */
static void pass_of(enum way way, int socket, const struct pieces *from, unsigned char *window)
{
    unsigned char answer;
    if (way == WRITEV)
        send_pieces(socket, from);
    else if (way == SEND)
        put(socket, from->memory, from->bytes);
    else if (way == GATHER_AND_SEND)
        send_gathered(socket, from, window);
    else
        gather_all(from, window);
    if (way < SENDS)
        take(socket, &answer, 1);
}

static void gaps(size_t piece, size_t total)
{
    size_t window_bytes = total < WINDOW_BYTES ? total : WINDOW_BYTES;
    if (total % window_bytes != 0 || window_bytes % piece != 0)
        fail("windows of %zu bytes do not hold pieces of %zu, or all bytes are not in such windows", window_bytes, piece);
    unsigned char *scattered = memory(2 * total, 0);
    unsigned char *joined = memory(total, 0);
    unsigned char *window = memory(WINDOW_BYTES, 0);
    for (size_t i = 0; i < total / piece; i++) {
        memset(scattered + 2 * i * piece, value_of(i), piece);
        memset(joined + i * piece, value_of(i), piece);
    }
    struct pieces apart = {scattered, piece, 2 * piece, total};
    struct pieces whole = {joined, piece, piece, total};
    struct pieces windows = {joined, window_bytes, window_bytes, total};
    const struct pieces *from[WAYS] = {&apart, &whole, &apart, &windows, &apart};
    double seconds[WAYS] = {0};
    int ends[2], status;
    unix_pair(ends);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        receive_rounds(ends[1], piece, total);
        _exit(0);
    }
    close(ends[1]);
    for (int round = 0; round < GAPS_ROUNDS; round++)
        for (int way = 0; way < WAYS; way++) {
            double start = now();
            pass_of((enum way)way, ends[0], from[way], window);
            if (round > 0)
                seconds[way] += now() - start;
        }
    waitpid(child, &status, 0);
    if (status != 0)
        fail("the receiver ended with status %d", status);
    const char *names[WAYS] = {"writev", "send", "gatherAndSend", "copy", "gather"};
    printf("{\"mode\":\"gaps\",\"bytes\":%zu", piece);
    for (int way = 0; way < WAYS; way++)
        printf(",\"%s\":%.6f", names[way], seconds[way] * 1e3 / (GAPS_ROUNDS - 1));
    printf("}\n");
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
    if (strcmp(mode, "gaps") == 0) {
        gaps(bytes, total);
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
