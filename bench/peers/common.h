/* What the C programs here have in common: how they fail, the clock, and connected sockets. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MIB 1048576.0

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs(__BASE_FILE__ ": ", stderr);
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
