/*
 * The shapes of our benches through MPI-IO on a local directory: the peer of collective and independent access.
 * Writes, reads back and compares first; then writes and reads <passes> times for the clock. Rank 0 prints one line of JSON.
 *
 *   romio <file> <plan> independent|collective shared|own <passes> [<hint>=<value>]...
 *
 * Line r of the plan is what rank r does, all numbers:
 *   <start> <length> <count> <stride> <count> <stride>    pieces in the file, in two loops, the inner one first
 *   <length> <count> <stride> <count> <stride>            pieces in memory, as many bytes
 *   <calls> <step> <order>                                call c lies (c * order mod calls) * step further on
 */
#include <mpi.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANARY 0xA5
#define OTHER_ROUND 100
#define TIMED_ROUND 1

struct section {
    long long start, length, inner_count, inner_stride, outer_count, outer_stride;
};

static struct section file_part, memory_part;
static long long calls, step, order, passes;
static int rank, ranks, is_collective, is_shared;
static MPI_File file;
static MPI_Datatype memory_type;
static unsigned char *buffer, *expected;
static long long buffer_bytes;

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "romio.c, rank %d: ", rank);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    MPI_Abort(MPI_COMM_WORLD, 3);
    exit(3);
}

static void expect_success(int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING];
    int length;
    if (code == MPI_SUCCESS)
        return;
    MPI_Error_string(code, text, &length);
    fail("%s: %s", what, text);
}

static long long bytes_of(const struct section *part)
{
    return part->length * part->inner_count * part->outer_count;
}

static long long extent_of(const struct section *part)
{
    return part->length + (part->inner_count - 1) * part->inner_stride +
           (part->outer_count - 1) * part->outer_stride;
}

/* Where the byte `at` of the data of a section is. */
static long long place_of(const struct section *part, long long at)
{
    long long piece = at / part->length;
    return part->start + piece / part->inner_count * part->outer_stride +
           piece % part->inner_count * part->inner_stride + at % part->length;
}

/* What stands in a file at `offset`: the same function as in shapes.ts. */
static unsigned char byte_at(long long offset, int round)
{
    uint32_t hash = (uint32_t)offset * 0x9E3779B1u;
    return (unsigned char)((hash >> 24) + (uint32_t)(offset >> 32) + (uint32_t)round * 41u);
}

static long long shift_of(long long call)
{
    return call * order % calls * step;
}

static void fill(unsigned char *into, long long call, int round)
{
    long long bytes = bytes_of(&file_part), shift = shift_of(call);
    memset(into, CANARY, (size_t)buffer_bytes);
    for (long long at = 0; at < bytes;) {
        long long run = file_part.length - at % file_part.length;
        long long other = memory_part.length - at % memory_part.length;
        long long from = place_of(&file_part, at) + shift, to = place_of(&memory_part, at);
        if (other < run)
            run = other;
        for (long long i = 0; i < run; i++)
            into[to + i] = byte_at(from + i, round);
        at += run;
    }
}

static MPI_Datatype type_of(const struct section *part)
{
    MPI_Datatype piece, row, whole;
    MPI_Type_contiguous((int)part->length, MPI_BYTE, &piece);
    MPI_Type_create_hvector((int)part->inner_count, 1, part->inner_stride, piece, &row);
    MPI_Type_create_hvector((int)part->outer_count, 1, part->outer_stride, row, &whole);
    MPI_Type_commit(&whole);
    MPI_Type_free(&piece);
    MPI_Type_free(&row);
    return whole;
}

static void move(int is_write, long long call)
{
    MPI_Offset offset = bytes_of(&file_part) == file_part.length ? file_part.start + shift_of(call) : 0;
    MPI_Status status;
    MPI_Count moved;
    int code;
    if (is_write)
        code = is_collective ? MPI_File_write_at_all(file, offset, buffer, 1, memory_type, &status)
                             : MPI_File_write_at(file, offset, buffer, 1, memory_type, &status);
    else
        code = is_collective ? MPI_File_read_at_all(file, offset, buffer, 1, memory_type, &status)
                             : MPI_File_read_at(file, offset, buffer, 1, memory_type, &status);
    expect_success(code, is_write ? "write" : "read");
    MPI_Get_elements_x(&status, MPI_BYTE, &moved);
    if (moved != bytes_of(&file_part))
        fail("%s: %lld bytes moved of %lld", is_write ? "write" : "read", (long long)moved,
             bytes_of(&file_part));
}

static void verify(void)
{
    for (long long call = 0; call < calls; call++) {
        fill(buffer, call, 0);
        move(1, call);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    for (long long call = 0; call < calls; call++) {
        fill(expected, call, 0);
        fill(buffer, call, OTHER_ROUND);
        move(0, call);
        for (long long at = 0; at < buffer_bytes; at++)
            if (buffer[at] != expected[at])
                fail("call %lld: byte %lld is %d, %d was written", call, at, buffer[at], expected[at]);
    }
}

/* Seconds that all passes of the slowest rank take. */
static double timed(int is_write)
{
    double most, seconds;
    if (is_write)
        fill(buffer, 0, TIMED_ROUND);
    MPI_Barrier(MPI_COMM_WORLD);
    seconds = MPI_Wtime();
    for (long long done = 0; done < calls * passes; done++)
        move(is_write, done % calls);
    seconds = MPI_Wtime() - seconds;
    MPI_Allreduce(&seconds, &most, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return most;
}

static void read_plan(const char *name)
{
    char line[512];
    FILE *plan = fopen(name, "r");
    if (plan == NULL)
        fail("%s cannot be opened", name);
    for (int i = 0; i <= rank; i++)
        if (fgets(line, sizeof line, plan) == NULL)
            fail("%s has no line for this rank", name);
    fclose(plan);
    struct section *f = &file_part, *m = &memory_part;
    int found = sscanf(line, "%lld %lld %lld %lld %lld %lld %lld %lld %lld %lld %lld %lld %lld %lld",
                       &f->start, &f->length, &f->inner_count, &f->inner_stride, &f->outer_count,
                       &f->outer_stride, &m->length, &m->inner_count, &m->inner_stride,
                       &m->outer_count, &m->outer_stride, &calls, &step, &order);
    if (found != 14 || bytes_of(f) != bytes_of(m) || bytes_of(f) == 0 || calls < 1)
        fail("%s: line %d is no plan", name, rank);
    if (calls > 1 && bytes_of(f) != f->length)
        fail("%s: several calls are of one piece each", name);
}

static void open_file(const char *path, int count, char **hints)
{
    char name[1024];
    MPI_Info info;
    MPI_Info_create(&info);
    for (int i = 0; i < count; i++) {
        char *value = strchr(hints[i], '=');
        if (value == NULL)
            fail("%s is no hint", hints[i]);
        *value++ = '\0';
        MPI_Info_set(info, hints[i], value);
    }
    if (is_shared)
        snprintf(name, sizeof name, "ufs:%s", path);
    else
        snprintf(name, sizeof name, "ufs:%s.%08d", path, rank);
    expect_success(MPI_File_open(is_shared ? MPI_COMM_WORLD : MPI_COMM_SELF, name,
                                 MPI_MODE_CREATE | MPI_MODE_RDWR, info, &file),
                   "open");
    MPI_Info_free(&info);
    if (bytes_of(&file_part) == file_part.length)
        return;
    MPI_Datatype filetype = type_of(&file_part);
    expect_success(MPI_File_set_view(file, file_part.start, MPI_BYTE, filetype, "native", MPI_INFO_NULL),
                   "set_view");
    MPI_Type_free(&filetype);
}

int main(int count, char **arguments)
{
    MPI_Init(&count, &arguments);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (count < 6 || (passes = atoll(arguments[5])) < 1)
        fail("arguments: file, plan, independent or collective, shared or own, passes, hints");
    is_collective = strcmp(arguments[3], "collective") == 0;
    is_shared = strcmp(arguments[4], "shared") == 0;
    read_plan(arguments[2]);
    buffer_bytes = extent_of(&memory_part);
    buffer = malloc((size_t)buffer_bytes);
    expected = malloc((size_t)buffer_bytes);
    if (buffer == NULL || expected == NULL)
        fail("no memory for %lld bytes", buffer_bytes);
    memory_type = type_of(&memory_part);
    open_file(arguments[1], count - 6, arguments + 6);
    verify();
    long long own = bytes_of(&file_part) * calls * passes, all;
    MPI_Allreduce(&own, &all, 1, MPI_LONG_LONG, MPI_SUM, MPI_COMM_WORLD);
    double write = timed(1), read = timed(0);
    expect_success(MPI_File_close(&file), "close");
    MPI_Type_free(&memory_type);
    if (rank == 0)
        printf("{\"ranks\":%d,\"bytes\":%lld,\"writeMiBps\":%.3f,\"readMiBps\":%.3f}\n", ranks, all,
               (double)all / 1048576 / write, (double)all / 1048576 / read);
    free(buffer);
    free(expected);
    MPI_Finalize();
    return 0;
}
