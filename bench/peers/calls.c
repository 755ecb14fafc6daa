/*
 * Little calls of two clients to servers, each a process, over loopback TCP: the limit of event loops that send as many messages
 * as our ranks do. The messages are those of bare-rank.ts and bare-server.ts, and so is where calls go.
 * First all is written, read and compared; then the calls are made once more for the clock. One line of JSON.
 *
 *   calls write|read independent|collective <bytes> <calls of a client> <bytes of a strip> <servers> <start of the servers' files>
 */
#include "common.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define CLIENTS 2
#define SERVERS_MAX 16
#define BYTES_MAX 16384
#define ANSWER_BYTES 8

enum { WRITE = 1, READ = 2 };
enum order { FILL = 'f', COMPARE = 'c', TIMED = 't' };

struct request {
    uint32_t operation, length;
    double offset;
};

/* One end of a connection, and what has arrived but was not received yet. */
struct link {
    int socket;
    size_t have;
    unsigned char arrived[sizeof(struct request) + CLIENTS * BYTES_MAX];
};

static int operation, is_collective, servers;
static size_t bytes, calls, strip;

/* Of one client. */
static int number, events;
static struct link links[SERVERS_MAX + 1], *other = &links[SERVERS_MAX];

static void watch(int epoll, struct link *link, int socket)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
    link->socket = socket;
    if (fcntl(socket, F_SETFL, O_NONBLOCK) != 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) != 0)
        fail("a socket cannot be watched");
}

/* Waits for links that something has arrived on; returns how many. */
static int wait_for_links(int epoll, struct link *ready[SERVERS_MAX + 1])
{
    struct epoll_event found[SERVERS_MAX + 1];
    int count = epoll_wait(epoll, found, SERVERS_MAX + 1, -1);
    for (int i = 0; i < count; i++) {
        struct link *link = ready[i] = found[i].data.ptr;
        ssize_t done = read(link->socket, link->arrived + link->have, sizeof link->arrived - link->have);
        if (done <= 0)
            fail("read failed, or the other end is gone");
        link->have += (size_t)done;
    }
    return count;
}

/* One system call. Nothing else is on its way, so there is room for all of it. */
static void send_parts(struct link *link, const void *head, size_t head_bytes, const void *data, size_t data_bytes)
{
    struct iovec parts[2] = {{(void *)head, head_bytes}, {(void *)data, data_bytes}};
    if (writev(link->socket, parts, data_bytes > 0 ? 2 : 1) != (ssize_t)(head_bytes + data_bytes))
        fail("a message of %zu bytes was not sent whole", head_bytes + data_bytes);
}

static void receive(struct link *link, void *into, size_t length)
{
    struct link *ready[SERVERS_MAX + 1];
    while (link->have < length)
        wait_for_links(events, ready);
    memcpy(into, link->arrived, length);
    link->have -= length;
    memmove(link->arrived, link->arrived + length, link->have);
}

static void answer_request(struct link *link, int file)
{
    static unsigned char data[CLIENTS * BYTES_MAX];
    struct request request;
    if (link->have < sizeof request)
        return;
    memcpy(&request, link->arrived, sizeof request);
    if (request.operation == READ) {
        link->have = 0;
        if (pread(file, data, request.length, (off_t)request.offset) != (ssize_t)request.length)
            fail("a server has not got what it is asked for");
        send_parts(link, data, request.length, NULL, 0);
    } else if (link->have == sizeof request + request.length) {
        link->have = 0;
        if (pwrite(file, link->arrived + sizeof request, request.length, (off_t)request.offset) != (ssize_t)request.length)
            fail("a server cannot write");
        send_parts(link, data, ANSWER_BYTES, NULL, 0);
    }
}

static void serve(const char *path, const int sockets[CLIENTS])
{
    static struct link own[CLIENTS];
    struct link *ready[SERVERS_MAX + 1];
    int epoll = epoll_create1(0);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0)
        fail("%s cannot be opened", path);
    for (int i = 0; i < CLIENTS; i++)
        watch(epoll, &own[i], sockets[i]);
    for (;;) {
        int count = wait_for_links(epoll, ready);
        for (int i = 0; i < count; i++)
            answer_request(ready[i], file);
    }
}

/* A request and its answer. */
static void move(int kind, size_t offset, unsigned char *data, size_t length)
{
    unsigned char answer[ANSWER_BYTES];
    size_t at = offset / strip;
    struct link *server = &links[at % (size_t)servers];
    struct request request = {(uint32_t)kind, (uint32_t)length, (double)(at / (size_t)servers * strip + offset % strip)};
    if (kind == READ) {
        send_parts(server, &request, sizeof request, NULL, 0);
        receive(server, data, length);
    } else {
        send_parts(server, &request, sizeof request, data, length);
        receive(server, answer, sizeof answer);
    }
}

/* Client 1 hands its bytes to client 0, which writes all and says so. */
static void write_together(size_t offset, unsigned char *data)
{
    static unsigned char both[CLIENTS * BYTES_MAX];
    unsigned char answer[ANSWER_BYTES] = {0};
    if (number == 1) {
        send_parts(other, data, bytes, NULL, 0);
        receive(other, answer, sizeof answer);
        return;
    }
    receive(other, both + bytes, bytes);
    memcpy(both, data, bytes);
    move(WRITE, offset, both, CLIENTS * bytes);
    send_parts(other, answer, sizeof answer, NULL, 0);
}

/* Each reads its own, then each tells the other. */
static void read_together(size_t offset, unsigned char *data)
{
    unsigned char word[ANSWER_BYTES] = {0};
    move(READ, offset, data, bytes);
    send_parts(other, word, sizeof word, NULL, 0);
    receive(other, word, sizeof word);
}

/* No two places of a file hold the same. */
static void fill(unsigned char *data, size_t offset)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)(((offset + i) / 8 * 0x9E3779B97F4A7C15u) >> (offset + i) % 8 * 8);
}

static void make_calls(int kind, enum order order)
{
    static unsigned char data[BYTES_MAX], expected[BYTES_MAX];
    for (size_t call = 0; call < calls; call++) {
        /* Each a block of its own, or side by side. */
        size_t offset = bytes * (is_collective ? CLIENTS * call + (size_t)number : (size_t)number * calls + call);
        if (order == FILL)
            fill(data, offset);
        if (!is_collective)
            move(kind, offset, data, bytes);
        else if (kind == READ)
            read_together(offset, data);
        else
            write_together(offset, data);
        if (order != COMPARE)
            continue;
        fill(expected, offset);
        if (memcmp(data, expected, bytes) != 0)
            fail("client %d, call %zu: it is not what was written", number, call);
    }
}

/* Makes all calls whenever it is told to, and answers. */
static void attend(int control)
{
    for (;;) {
        unsigned char order;
        take(control, &order, 1);
        make_calls(order == FILL ? WRITE : order == COMPARE ? READ : operation, order);
        put(control, &order, 1);
    }
}

static pid_t children[SERVERS_MAX + CLIENTS];
static int born;

static void end_of_child(int signal)
{
    (void)signal;
    _exit(3); /* it has said why */
}

/* Whether this is the child. It does not outlive its parent. */
static int forked(void)
{
    pid_t child = fork();
    if (child < 0)
        fail("no process");
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    else
        children[born++] = child;
    return child == 0;
}

static double cpu_of_children(void)
{
    double sum = 0;
    for (int i = 0; i < born; i++) {
        clockid_t clock;
        struct timespec time;
        if (clock_getcpuclockid(children[i], &clock) != 0 || clock_gettime(clock, &time) != 0)
            fail("the CPU time of a process is not known");
        sum += (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    }
    return sum;
}

static void have_all(const int controls[CLIENTS], enum order order)
{
    unsigned char byte = (unsigned char)order;
    for (int i = 0; i < CLIENTS; i++)
        put(controls[i], &byte, 1);
    for (int i = 0; i < CLIENTS; i++)
        take(controls[i], &byte, 1);
}

static void start_all(const char *path, int controls[CLIENTS])
{
    int far[SERVERS_MAX][CLIENTS], near[CLIENTS][SERVERS_MAX], pair[2], between[2];
    for (int i = 0; i < servers; i++)
        for (int client = 0; client < CLIENTS; client++) {
            tcp_pair(pair);
            near[client][i] = pair[0];
            far[i][client] = pair[1];
        }
    tcp_pair(between);
    for (int i = 0; i < servers; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s-%d", path, i);
        if (forked())
            serve(name, far[i]);
    }
    for (number = 0; number < CLIENTS; number++) {
        tcp_pair(pair);
        controls[number] = pair[0];
        if (!forked())
            continue;
        events = epoll_create1(0);
        for (int i = 0; i < servers; i++)
            watch(events, &links[i], near[number][i]);
        watch(events, other, between[number]);
        attend(pair[1]);
    }
}

int main(int count, char **arguments)
{
    if (count != 8)
        fail("arguments: write|read, independent|collective, bytes, calls, bytes of a strip, servers, and a path");
    operation = strcmp(arguments[1], "read") == 0 ? READ : WRITE;
    is_collective = strcmp(arguments[2], "collective") == 0;
    bytes = strtoull(arguments[3], NULL, 10);
    calls = strtoull(arguments[4], NULL, 10);
    strip = strtoull(arguments[5], NULL, 10);
    servers = atoi(arguments[6]);
    if (bytes == 0 || bytes > BYTES_MAX || calls == 0 || strip % (CLIENTS * bytes) != 0 || servers < 1 || servers > SERVERS_MAX)
        fail("at most %d bytes, of which a strip holds an even number of times, and %d servers", BYTES_MAX, SERVERS_MAX);
    int controls[CLIENTS];
    signal(SIGCHLD, end_of_child);
    start_all(arguments[7], controls);
    have_all(controls, FILL);
    have_all(controls, COMPARE);
    double cpu = cpu_of_children();
    double start = now();
    have_all(controls, TIMED);
    double seconds = now() - start;
    cpu = cpu_of_children() - cpu;
    double made = (double)(CLIENTS * calls);
    printf("{\"MiBps\":%.3f,\"cpuSecondsPerCall\":%.9f}\n", made * (double)bytes / MIB / seconds, cpu / made);
    signal(SIGCHLD, SIG_DFL);
    for (int i = 0; i < born; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    return 0;
}
