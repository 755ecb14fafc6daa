/*
 * Runs the oracle's programs through MPI-IO, and writes what came of each line: the reference that
 * test/oracle compares the library with. Every rank reads the same file of programs and does its own
 * lines. Knows the format of program.ts; does not know what is right.
 *
 *   romio <programs> <file to work on> <prefix of results>
 *
 * A result file holds, for each program, "program <n>" and then for each line of this rank
 *   <step> <class> <bytes> [<name> <value>]...
 * followed by that many bytes and a newline. Rank 0 adds the file's contents as step -1.
 */
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_MAX 256
#define ARRAY_MAX 4096
#define DIMENSIONS_MAX 8
#define VALUES_MAX 512
#define PENDING_MAX 64
#define LINE_SECONDS_MAX 10 /* each takes some milliseconds; a deadlock in MPI would spin for ever */

static char *text;        /* all programs, ended by a NUL */
static char *cursor;      /* the next character of it */
static FILE *results;     /* of this rank */
static int rank;          /* in the world */
static MPI_Comm comm;     /* the ranks of the current program */
static const char *path;  /* the file that programs work on */
static MPI_File file;     /* MPI_FILE_NULL while it is not open */

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

static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL)
        fail("no memory for %zu bytes", bytes);
    return memory;
}

/* ---- reading ---- */

static void read_programs(const char *name)
{
    struct stat about;
    int descriptor = open(name, O_RDONLY);
    if (descriptor < 0 || fstat(descriptor, &about) != 0)
        fail("%s: %s", name, strerror(errno));
    size_t size = (size_t) about.st_size, done = 0;
    text = allocate(size + 1);
    while (done < size) {
        ssize_t got = read(descriptor, text + done, size - done);
        if (got <= 0)
            fail("%s: ends after %zu of %zu bytes", name, done, size);
        done += (size_t) got;
    }
    text[size] = '\0';
    cursor = text;
    close(descriptor);
}

static int is_blank(char c)
{
    return c == ' ' || c == '\n';
}

/* The next word, or an empty one at the end. It is good until the next call. */
static const char *word(void)
{
    static char token[TOKEN_MAX];
    size_t length = 0;
    while (is_blank(*cursor))
        cursor++;
    while (*cursor != '\0' && !is_blank(*cursor)) {
        if (length + 1 >= sizeof token)
            fail("a word is longer than %d characters", TOKEN_MAX);
        token[length++] = *cursor++;
    }
    token[length] = '\0';
    return token;
}

/* Whether a certain word comes next; takes it if so. */
static int is_next(const char *expected)
{
    size_t length = strlen(expected);
    while (is_blank(*cursor))
        cursor++;
    if (strncmp(cursor, expected, length) != 0 || !is_blank(cursor[length]))
        return 0;
    cursor += length;
    return 1;
}

static void skip_line(void)
{
    while (*cursor != '\0' && *cursor != '\n')
        cursor++;
}

static long long number(void)
{
    const char *token = word();
    char *end = NULL;
    errno = 0;
    long long value = strtoll(token, &end, 10);
    if (errno != 0 || end == token || *end != '\0')
        fail("'%s' is no number", token);
    return value;
}

static int small_number(void)
{
    long long value = number();
    if (value < INT32_MIN || value > INT32_MAX)
        fail("%lld does not fit an int", value);
    return (int) value;
}

/* How many entries follow, checked against the array that will hold them. */
static int entries(int max)
{
    int count = small_number();
    if (count < 0 || count > max)
        fail("%d entries, of at most %d", count, max);
    return count;
}

/* ---- datatypes ---- */

static const struct {
    const char *name;
    MPI_Datatype type;
} basics[] = {
    {"BYTE", MPI_BYTE},       {"CHAR", MPI_CHAR},       {"INT8", MPI_INT8_T},
    {"UINT8", MPI_UINT8_T},   {"INT16", MPI_INT16_T},   {"UINT16", MPI_UINT16_T},
    {"INT32", MPI_INT32_T},   {"UINT32", MPI_UINT32_T}, {"INT64", MPI_INT64_T},
    {"UINT64", MPI_UINT64_T}, {"FLOAT32", MPI_FLOAT},   {"FLOAT64", MPI_DOUBLE},
};

static MPI_Datatype basic_type(const char *name)
{
    for (size_t i = 0; i < sizeof basics / sizeof basics[0]; i++)
        if (strcmp(basics[i].name, name) == 0)
            return basics[i].type;
    return MPI_DATATYPE_NULL;
}

static void free_type(MPI_Datatype *type)
{
    int integers, addresses, types, combiner;
    if (*type == MPI_DATATYPE_NULL)
        return;
    MPI_Type_get_envelope(*type, &integers, &addresses, &types, &combiner);
    if (combiner != MPI_COMBINER_NAMED)
        MPI_Type_free(type);
}

static MPI_Datatype read_type(void);

static int read_order(void)
{
    return strcmp(word(), "C") == 0 ? MPI_ORDER_C : MPI_ORDER_FORTRAN;
}

static void read_numbers(int count, int *into)
{
    for (int i = 0; i < count; i++)
        into[i] = small_number();
}

/* indexed, hindexed, indexedBlock, hindexedBlock */
static MPI_Datatype read_blocks(int in_bytes, int one_length)
{
    MPI_Datatype made, old;
    int count = entries(ARRAY_MAX), length = one_length ? small_number() : 0;
    int *lengths = allocate(sizeof(int) * (size_t) count);
    int *places = allocate(sizeof(int) * (size_t) count);
    MPI_Aint *bytes = allocate(sizeof(MPI_Aint) * (size_t) count);
    for (int i = 0; i < count; i++) {
        lengths[i] = one_length ? length : small_number();
        places[i] = small_number();
        bytes[i] = places[i];
    }
    old = read_type();
    if (in_bytes && one_length)
        MPI_Type_create_hindexed_block(count, length, bytes, old, &made);
    else if (in_bytes)
        MPI_Type_create_hindexed(count, lengths, bytes, old, &made);
    else if (one_length)
        MPI_Type_create_indexed_block(count, length, places, old, &made);
    else
        MPI_Type_indexed(count, lengths, places, old, &made);
    free_type(&old);
    free(lengths);
    free(places);
    free(bytes);
    return made;
}

static MPI_Datatype read_struct(void)
{
    MPI_Datatype made, old[DIMENSIONS_MAX];
    MPI_Aint places[DIMENSIONS_MAX];
    int lengths[DIMENSIONS_MAX];
    int count = entries(DIMENSIONS_MAX);
    for (int i = 0; i < count; i++) {
        lengths[i] = small_number();
        places[i] = (MPI_Aint) number();
        old[i] = read_type();
    }
    MPI_Type_create_struct(count, lengths, places, old, &made);
    for (int i = 0; i < count; i++)
        free_type(&old[i]);
    return made;
}

static MPI_Datatype read_subarray(void)
{
    MPI_Datatype made, old;
    int sizes[DIMENSIONS_MAX], subsizes[DIMENSIONS_MAX], starts[DIMENSIONS_MAX];
    int dimensions = entries(DIMENSIONS_MAX), order = read_order();
    read_numbers(dimensions, sizes);
    read_numbers(dimensions, subsizes);
    read_numbers(dimensions, starts);
    old = read_type();
    MPI_Type_create_subarray(dimensions, sizes, subsizes, starts, order, old, &made);
    free_type(&old);
    return made;
}

static MPI_Datatype read_darray(void)
{
    MPI_Datatype made, old;
    int gsizes[DIMENSIONS_MAX], distribs[DIMENSIONS_MAX], dargs[DIMENSIONS_MAX],
        psizes[DIMENSIONS_MAX];
    int size = small_number(), place = small_number();
    int dimensions = entries(DIMENSIONS_MAX), order = read_order();
    for (int i = 0; i < dimensions; i++) {
        gsizes[i] = small_number();
        const char *distribution = word();
        distribs[i] = strcmp(distribution, "block") == 0    ? MPI_DISTRIBUTE_BLOCK
                      : strcmp(distribution, "cyclic") == 0 ? MPI_DISTRIBUTE_CYCLIC
                                                            : MPI_DISTRIBUTE_NONE;
        const char *darg = word();
        dargs[i] = strcmp(darg, "-") == 0 ? MPI_DISTRIBUTE_DFLT_DARG : atoi(darg);
        psizes[i] = small_number();
    }
    old = read_type();
    MPI_Type_create_darray(size, place, dimensions, gsizes, distribs, dargs, psizes, order, old,
                           &made);
    free_type(&old);
    return made;
}

static MPI_Datatype read_repeated(const char *kind)
{
    MPI_Datatype made, old;
    int is_contiguous = strcmp(kind, "contiguous") == 0, in_bytes = kind[0] == 'h';
    int count = small_number();
    int length = is_contiguous ? 1 : small_number(), stride = is_contiguous ? 1 : small_number();
    old = read_type();
    if (is_contiguous)
        MPI_Type_contiguous(count, old, &made);
    else if (in_bytes)
        MPI_Type_create_hvector(count, length, stride, old, &made);
    else
        MPI_Type_vector(count, length, stride, old, &made);
    free_type(&old);
    return made;
}

static MPI_Datatype read_resized(void)
{
    MPI_Datatype made, old;
    MPI_Aint lower = (MPI_Aint) number(), extent = (MPI_Aint) number();
    old = read_type();
    MPI_Type_create_resized(old, lower, extent, &made);
    free_type(&old);
    return made;
}

static MPI_Datatype read_type(void)
{
    char kind[TOKEN_MAX];
    strcpy(kind, word());
    MPI_Datatype basic = basic_type(kind);
    if (basic != MPI_DATATYPE_NULL || strcmp(kind, "null") == 0)
        return basic;
    if (strcmp(kind, "struct") == 0)
        return read_struct();
    if (strcmp(kind, "subarray") == 0)
        return read_subarray();
    if (strcmp(kind, "darray") == 0)
        return read_darray();
    if (strcmp(kind, "resized") == 0)
        return read_resized();
    if (strstr(kind, "indexed") != NULL)
        return read_blocks(kind[0] == 'h', strstr(kind, "Block") != NULL);
    if (strcmp(kind, "contiguous") == 0 || strstr(kind, "vector") != NULL)
        return read_repeated(kind);
    fail("no datatype '%s'", kind);
    return MPI_DATATYPE_NULL;
}

static MPI_Datatype read_committed_type(void)
{
    MPI_Datatype type = read_type();
    if (type != MPI_DATATYPE_NULL)
        MPI_Type_commit(&type);
    return type;
}

/* ---- results ---- */

static char values[VALUES_MAX]; /* of the line at hand, as text */

static void add_value(const char *name, long long value)
{
    size_t length = strlen(values);
    snprintf(values + length, sizeof values - length, " %s %lld", name, value);
}

/* What MPI calls MPI_UNDEFINED is no number. */
static void add_count(const char *name, int value)
{
    size_t length = strlen(values);
    if (value != MPI_UNDEFINED)
        add_value(name, value);
    else
        snprintf(values + length, sizeof values - length, " %s undefined", name);
}

static const char *class_name(int code)
{
    static char unknown[32];
    int class;
    MPI_Error_class(code, &class);
    static const struct {
        int class;
        const char *name;
    } names[] = {
        {MPI_SUCCESS, "MPI_SUCCESS"},
        {MPI_ERR_BUFFER, "MPI_ERR_BUFFER"},
        {MPI_ERR_COUNT, "MPI_ERR_COUNT"},
        {MPI_ERR_TYPE, "MPI_ERR_TYPE"},
        {MPI_ERR_COMM, "MPI_ERR_COMM"},
        {MPI_ERR_ARG, "MPI_ERR_ARG"},
        {MPI_ERR_OTHER, "MPI_ERR_OTHER"},
        {MPI_ERR_INTERN, "MPI_ERR_INTERN"},
        {MPI_ERR_ACCESS, "MPI_ERR_ACCESS"},
        {MPI_ERR_AMODE, "MPI_ERR_AMODE"},
        {MPI_ERR_BAD_FILE, "MPI_ERR_BAD_FILE"},
        {MPI_ERR_FILE_EXISTS, "MPI_ERR_FILE_EXISTS"},
        {MPI_ERR_FILE_IN_USE, "MPI_ERR_FILE_IN_USE"},
        {MPI_ERR_FILE, "MPI_ERR_FILE"},
        {MPI_ERR_IO, "MPI_ERR_IO"},
        {MPI_ERR_NOT_SAME, "MPI_ERR_NOT_SAME"},
        {MPI_ERR_NO_SPACE, "MPI_ERR_NO_SPACE"},
        {MPI_ERR_NO_SUCH_FILE, "MPI_ERR_NO_SUCH_FILE"},
        {MPI_ERR_QUOTA, "MPI_ERR_QUOTA"},
        {MPI_ERR_READ_ONLY, "MPI_ERR_READ_ONLY"},
        {MPI_ERR_UNSUPPORTED_DATAREP, "MPI_ERR_UNSUPPORTED_DATAREP"},
        {MPI_ERR_UNSUPPORTED_OPERATION, "MPI_ERR_UNSUPPORTED_OPERATION"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].class == class)
            return names[i].name;
    snprintf(unknown, sizeof unknown, "class_%d", class);
    return unknown;
}

/* Ends a rank that waits for another in vain, and the job with it. */
static void on_alarm(int signal)
{
    static const char said[] = "romio.c: a rank waits for too long\n";
    (void) signal;
    if (write(STDERR_FILENO, said, sizeof said - 1) < 0)
        _exit(5);
    _exit(4);
}

static void put_result(int step, const char *class, const void *bytes, size_t length)
{
    fprintf(results, "%d %s %zu%s\n", step, class, length, values);
    if (length > 0 && fwrite(bytes, 1, length, results) != length)
        fail("results: %s", strerror(errno));
    fputc('\n', results);
    /* What a program has done is told even if it does not end. */
    fflush(results);
    alarm(LINE_SECONDS_MAX);
}

/* ---- operations ---- */

/* The same as byteAt in program.ts. */
static unsigned char byte_at(uint32_t tag, uint32_t index)
{
    uint32_t bits = tag * 0x9e3779b1u + index * 0x85ebca6bu;
    bits = (bits ^ (bits >> 15)) * 0x2c1b3c6du;
    bits ^= bits >> 13;
    return (unsigned char) (1 + bits % 255);
}

/* An access from its call to its end. */
struct work {
    const struct access *access;
    int step;
    MPI_Offset offset;
    unsigned char *buffer;
    size_t bytes;
    void *memory; /* the origin of the items in the buffer */
    int count;
    MPI_Datatype type;
    int with_elements;
    MPI_Request request; /* of the nonblocking form */
    int is_split;
    MPI_Status status;
};

typedef int call(struct work *);

/* The blocking and the nonblocking form of an access; what stands before the buffer is given with its comma. */
#define FORMS(name, ...)                                                                              \
    static int call_##name(struct work *w)                                                            \
    {                                                                                                 \
        return MPI_File_##name(file, __VA_ARGS__ w->memory, w->count, w->type, &w->status);           \
    }                                                                                                 \
    static int call_i##name(struct work *w)                                                           \
    {                                                                                                 \
        return MPI_File_i##name(file, __VA_ARGS__ w->memory, w->count, w->type, &w->request);         \
    }

/* The split form of a collective access. */
#define SPLIT(name, ...)                                                                              \
    static int call_##name##_begin(struct work *w)                                                    \
    {                                                                                                 \
        return MPI_File_##name##_begin(file, __VA_ARGS__ w->memory, w->count, w->type);               \
    }                                                                                                 \
    static int call_##name##_end(struct work *w)                                                      \
    {                                                                                                 \
        return MPI_File_##name##_end(file, w->memory, &w->status);                                    \
    }

FORMS(read_at, w->offset, )
FORMS(write_at, w->offset, )
FORMS(read_at_all, w->offset, )
FORMS(write_at_all, w->offset, )
SPLIT(read_at_all, w->offset, )
SPLIT(write_at_all, w->offset, )
FORMS(read, )
FORMS(write, )
FORMS(read_all, )
FORMS(write_all, )
SPLIT(read_all, )
SPLIT(write_all, )
FORMS(read_shared, )
FORMS(write_shared, )
SPLIT(read_ordered, )
SPLIT(write_ordered, )

static int call_read_ordered(struct work *w)
{
    return MPI_File_read_ordered(file, w->memory, w->count, w->type, &w->status);
}

static int call_write_ordered(struct work *w)
{
    return MPI_File_write_ordered(file, w->memory, w->count, w->type, &w->status);
}

static const struct access {
    const char *name;
    call *blocking, *nonblocking, *begin, *end;
} accesses[] = {
    {"readAt", call_read_at, call_iread_at, NULL, NULL},
    {"writeAt", call_write_at, call_iwrite_at, NULL, NULL},
    {"readAtAll", call_read_at_all, call_iread_at_all, call_read_at_all_begin, call_read_at_all_end},
    {"writeAtAll", call_write_at_all, call_iwrite_at_all, call_write_at_all_begin,
     call_write_at_all_end},
    {"read", call_read, call_iread, NULL, NULL},
    {"write", call_write, call_iwrite, NULL, NULL},
    {"readAll", call_read_all, call_iread_all, call_read_all_begin, call_read_all_end},
    {"writeAll", call_write_all, call_iwrite_all, call_write_all_begin, call_write_all_end},
    {"readShared", call_read_shared, call_iread_shared, NULL, NULL},
    {"writeShared", call_write_shared, call_iwrite_shared, NULL, NULL},
    {"readOrdered", call_read_ordered, NULL, call_read_ordered_begin, call_read_ordered_end},
    {"writeOrdered", call_write_ordered, NULL, call_write_ordered_begin, call_write_ordered_end},
};

static const struct access *access_named(const char *name)
{
    for (size_t i = 0; i < sizeof accesses / sizeof accesses[0]; i++)
        if (strcmp(accesses[i].name, name) == 0)
            return &accesses[i];
    return NULL;
}

static struct work *pending[PENDING_MAX];
static int pending_count;

static void end_access(struct work *work, int code)
{
    values[0] = '\0';
    if (code == MPI_SUCCESS) {
        int moved, items, elements;
        MPI_Get_count(&work->status, MPI_BYTE, &moved);
        MPI_Get_count(&work->status, work->type, &items);
        add_count("bytes", moved);
        add_count("count", items);
        if (work->with_elements) {
            MPI_Get_elements(&work->status, work->type, &elements);
            add_count("elements", elements);
        }
    }
    put_result(work->step, class_name(code), work->buffer, work->bytes);
    free_type(&work->type);
    free(work->buffer);
    free(work);
}

/* Ends what was begun, in its order. */
static int run_wait(void)
{
    for (int i = 0; i < pending_count; i++) {
        struct work *work = pending[i];
        int code = work->is_split ? work->access->end(work)
                                  : MPI_Wait(&work->request, &work->status);
        end_access(work, code);
    }
    pending_count = 0;
    values[0] = '\0';
    return MPI_SUCCESS;
}

static void run_access(int step, const struct access *access)
{
    char form[TOKEN_MAX];
    struct work *work = allocate(sizeof *work);
    long long origin;
    work->access = access;
    work->step = step;
    strcpy(form, word());
    work->offset = (MPI_Offset) number();
    work->bytes = (size_t) number();
    origin = number();
    work->with_elements = strcmp(word(), "elements") == 0;
    work->count = small_number();
    work->type = read_committed_type();
    work->buffer = allocate(work->bytes);
    work->memory = work->buffer + origin;
    work->is_split = strcmp(form, "split") == 0;

    uint32_t tag = (uint32_t) step * 64 + (uint32_t) rank;
    for (size_t i = 0; i < work->bytes; i++)
        work->buffer[i] = byte_at(tag, (uint32_t) i);
    /* A status that is not written to is seen. */
    memset(&work->status, 0x7f, sizeof work->status);
    if (strcmp(form, "blocking") == 0) {
        end_access(work, access->blocking(work));
        return;
    }
    int code = work->is_split ? access->begin(work) : access->nonblocking(work);
    if (code != MPI_SUCCESS) {
        end_access(work, code);
        return;
    }
    if (pending_count == PENDING_MAX)
        fail("more than %d accesses are pending", PENDING_MAX);
    pending[pending_count++] = work;
}

static const struct {
    const char *name;
    int bit;
} modes[] = {
    {"APPEND", MPI_MODE_APPEND},
    {"CREATE", MPI_MODE_CREATE},
    {"DELETE_ON_CLOSE", MPI_MODE_DELETE_ON_CLOSE},
    {"EXCL", MPI_MODE_EXCL},
    {"RDONLY", MPI_MODE_RDONLY},
    {"RDWR", MPI_MODE_RDWR},
    {"SEQUENTIAL", MPI_MODE_SEQUENTIAL},
    {"UNIQUE_OPEN", MPI_MODE_UNIQUE_OPEN},
    {"WRONLY", MPI_MODE_WRONLY},
};

static int read_mode(void)
{
    char names[TOKEN_MAX];
    int mode = 0;
    strcpy(names, word());
    for (char *name = strtok(names, "+"); name != NULL; name = strtok(NULL, "+"))
        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
            if (strcmp(modes[i].name, name) == 0)
                mode |= modes[i].bit;
    return mode;
}

/* The mode as 1 for each of its names: MPI leaves open which bits they are. */
static int run_get_amode(void)
{
    int mode, code = MPI_File_get_amode(file, &mode);
    for (size_t i = 0; code == MPI_SUCCESS && i < sizeof modes / sizeof modes[0]; i++)
        if ((mode & modes[i].bit) != 0)
            add_value(modes[i].name, 1);
    return code;
}

static int run_get_group(void)
{
    MPI_Group group;
    int size, own, code = MPI_File_get_group(file, &group);
    if (code != MPI_SUCCESS)
        return code;
    MPI_Group_size(group, &size);
    MPI_Group_rank(group, &own);
    add_value("size", size);
    add_value("rank", own);
    MPI_Group_free(&group);
    return code;
}

static int run_get_type_extent(void)
{
    MPI_Datatype type = read_committed_type();
    MPI_Aint extent;
    int code = MPI_File_get_type_extent(file, type, &extent);
    if (code == MPI_SUCCESS)
        add_value("value", extent);
    free_type(&type);
    return code;
}

static int run_open(void)
{
    MPI_Info info;
    int mode = read_mode(), hints = entries(ARRAY_MAX), code;
    MPI_Info_create(&info);
    for (int i = 0; i < hints; i++) {
        char key[TOKEN_MAX];
        strcpy(key, word());
        MPI_Info_set(info, key, word());
    }
    code = MPI_File_open(comm, path, mode, info, &file);
    if (code != MPI_SUCCESS)
        file = MPI_FILE_NULL;
    MPI_Info_free(&info);
    return code;
}

static int run_view(void)
{
    char datarep[TOKEN_MAX];
    MPI_Offset displacement = is_next("current") ? MPI_DISPLACEMENT_CURRENT : (MPI_Offset) number();
    strcpy(datarep, word());
    MPI_Datatype etype = read_committed_type(), filetype = read_committed_type();
    int code = MPI_File_set_view(file, displacement, etype, filetype, datarep, MPI_INFO_NULL);
    free_type(&etype);
    free_type(&filetype);
    return code;
}

static int run_get_view(void)
{
    MPI_Offset displacement;
    MPI_Datatype etype, filetype;
    char datarep[MPI_MAX_DATAREP_STRING];
    MPI_Aint lower, extent;
    int size, code = MPI_File_get_view(file, &displacement, &etype, &filetype, datarep);
    if (code != MPI_SUCCESS)
        return code;
    add_value("displacement", displacement);
    MPI_Type_size(etype, &size);
    add_value("etypeSize", size);
    MPI_Type_get_extent(etype, &lower, &extent);
    add_value("etypeExtent", extent);
    MPI_Type_size(filetype, &size);
    add_value("filetypeSize", size);
    MPI_Type_get_extent(filetype, &lower, &extent);
    add_value("filetypeExtent", extent);
    add_value("isNative", strcmp(datarep, "native") == 0);
    free_type(&etype);
    free_type(&filetype);
    return code;
}

static int run_type(void)
{
    MPI_Datatype type = read_committed_type();
    MPI_Aint lower, extent, true_lower, true_extent;
    int size;
    MPI_Type_size(type, &size);
    MPI_Type_get_extent(type, &lower, &extent);
    MPI_Type_get_true_extent(type, &true_lower, &true_extent);
    add_value("size", size);
    add_value("lowerBound", lower);
    add_value("extent", extent);
    /* The true bounds of no data are not defined. */
    if (size > 0) {
        add_value("trueLowerBound", true_lower);
        add_value("trueExtent", true_extent);
    }
    free_type(&type);
    return MPI_SUCCESS;
}

static int run_seek(int (*seek)(MPI_File, MPI_Offset, int))
{
    MPI_Offset offset = (MPI_Offset) number();
    const char *whence = word();
    return seek(file, offset,
                strcmp(whence, "set") == 0   ? MPI_SEEK_SET
                : strcmp(whence, "cur") == 0 ? MPI_SEEK_CUR
                                             : MPI_SEEK_END);
}

/* An operation whose result is one number. */
static int run_query(int (*query)(MPI_File, MPI_Offset *))
{
    MPI_Offset value;
    int code = query(file, &value);
    if (code == MPI_SUCCESS)
        add_value("value", value);
    return code;
}

static int run_get_atomicity(void)
{
    int flag, code = MPI_File_get_atomicity(file, &flag);
    if (code == MPI_SUCCESS)
        add_value("value", flag);
    return code;
}

static int run_get_byte_offset(void)
{
    MPI_Offset value;
    int code = MPI_File_get_byte_offset(file, (MPI_Offset) number(), &value);
    if (code == MPI_SUCCESS)
        add_value("value", value);
    return code;
}

static int run_plain(const char *operation)
{
    if (strcmp(operation, "open") == 0)
        return run_open();
    if (strcmp(operation, "close") == 0)
        return MPI_File_close(&file);
    if (strcmp(operation, "barrier") == 0)
        return MPI_Barrier(comm);
    if (strcmp(operation, "wait") == 0)
        return run_wait();
    if (strcmp(operation, "sync") == 0)
        return MPI_File_sync(file);
    if (strcmp(operation, "delete") == 0)
        return MPI_File_delete(path, MPI_INFO_NULL);
    if (strcmp(operation, "setSize") == 0)
        return MPI_File_set_size(file, (MPI_Offset) number());
    if (strcmp(operation, "getSize") == 0)
        return run_query(MPI_File_get_size);
    if (strcmp(operation, "getPosition") == 0)
        return run_query(MPI_File_get_position);
    if (strcmp(operation, "getByteOffset") == 0)
        return run_get_byte_offset();
    if (strcmp(operation, "seek") == 0)
        return run_seek(MPI_File_seek);
    if (strcmp(operation, "setAtomicity") == 0)
        return MPI_File_set_atomicity(file, small_number());
    if (strcmp(operation, "getAtomicity") == 0)
        return run_get_atomicity();
    if (strcmp(operation, "seekShared") == 0)
        return run_seek(MPI_File_seek_shared);
    if (strcmp(operation, "getPositionShared") == 0)
        return run_query(MPI_File_get_position_shared);
    if (strcmp(operation, "preallocate") == 0)
        return MPI_File_preallocate(file, (MPI_Offset) number());
    if (strcmp(operation, "view") == 0)
        return run_view();
    if (strcmp(operation, "getView") == 0)
        return run_get_view();
    if (strcmp(operation, "getAmode") == 0)
        return run_get_amode();
    if (strcmp(operation, "getGroup") == 0)
        return run_get_group();
    if (strcmp(operation, "getTypeExtent") == 0)
        return run_get_type_extent();
    if (strcmp(operation, "type") == 0)
        return run_type();
    fail("no operation '%s'", operation);
    return MPI_ERR_OTHER;
}

/* The file as it is on the disk, from `base` on. */
static void put_file(long long base)
{
    struct stat about;
    values[0] = '\0';
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0) {
        put_result(-1, errno == ENOENT ? "MPI_ERR_NO_SUCH_FILE" : "MPI_ERR_IO", NULL, 0);
        return;
    }
    if (fstat(descriptor, &about) != 0)
        fail("%s: %s", path, strerror(errno));
    size_t length = about.st_size > base ? (size_t) (about.st_size - base) : 0, done = 0;
    unsigned char *bytes = allocate(length);
    while (done < length) {
        ssize_t got = pread(descriptor, bytes + done, length - done, base + (off_t) done);
        if (got <= 0)
            fail("%s: ends after %zu of %zu bytes", path, done, length);
        done += (size_t) got;
    }
    add_value("size", (long long) about.st_size);
    put_result(-1, "MPI_SUCCESS", bytes, length);
    free(bytes);
    close(descriptor);
}

/* Runs the lines of this rank up to "end"; the word "program" was read. */
static void run_program(int index)
{
    char operation[TOKEN_MAX];
    long long seed = number(), ranks = number(), base = number();
    int size;
    MPI_Comm_size(comm, &size);
    if (ranks != size)
        fail("program %lld is for %lld ranks, these are %d", seed, ranks, size);
    number();
    fprintf(results, "program %d\n", index);
    fflush(results);
    for (strcpy(operation, word()); strcmp(operation, "end") != 0; strcpy(operation, word())) {
        int step = atoi(operation);
        if (small_number() != rank) {
            skip_line();
            continue;
        }
        strcpy(operation, word());
        values[0] = '\0';
        const struct access *access = access_named(operation);
        if (access != NULL)
            run_access(step, access);
        else
            put_result(step, class_name(run_plain(operation)), NULL, 0);
    }
    if (file != MPI_FILE_NULL || pending_count > 0)
        fail("program %lld leaves its file open, or accesses pending", seed);
    MPI_Barrier(comm);
    if (rank == 0) {
        put_file(base);
        unlink(path);
    }
    MPI_Barrier(comm);
}

int main(int count, char **arguments)
{
    char name[4096];
    MPI_Init(&count, &arguments);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (count != 4)
        fail("usage: romio <programs> <file> <results>");
    /* What a wait tells of a request goes to the handler of the world. */
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    signal(SIGALRM, on_alarm);
    read_programs(arguments[1]);
    path = arguments[2];
    snprintf(name, sizeof name, "%s.%d", arguments[3], rank);
    results = fopen(name, "wb");
    if (results == NULL)
        fail("%s: %s", name, strerror(errno));
    file = MPI_FILE_NULL;
    for (int index = 0; strcmp(word(), "program") == 0; index++)
        run_program(index);
    if (fclose(results) != 0)
        fail("%s: %s", name, strerror(errno));
    free(text);
    alarm(0);
    MPI_Comm_free(&comm);
    MPI_Finalize();
    return 0;
}
