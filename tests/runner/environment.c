/* What runs in the tests' environments instead of Jupyter: a small HTTP server on OPENHYDRA_SOCKET, or on TCP as LISTEN
 * says («0.0.0.0,8888»), linked statically, so that an image is this one file. BEHAVIOUR says how it misbehaves; so do
 * requests: /exit?N, /oom, /hog (a child of it is), /fork?N (as many as it can be), /fill?PATH, /remove?PATH, /room?PATH, /say?TEXT, /who, /write?PATH, /read?PATH, /list?FOLDER, /open?PATH, /variables, /kill?PID, /slow?SECONDS, /close (it listens no
 * more), /fail?1 (503 from now on), /fail?0. /echo answers with the request's body, /upgrade goes on to send back what
 * comes, /big?N says N MiB, with its end of the connection closed behind them. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int listener;
static int failing;

static void end(int signal)
{
    _exit(0);
}

static int listen_on(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(path, 0666) < 0 || listen(fd, 16) < 0) {
        perror(path);
        exit(3);
    }
    return fd;
}

static int listen_on_tcp(const char *where)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct sockaddr_in6 b = {.sin6_family = AF_INET6};
    char address[64];
    const char *comma = strchr(where, ',');
    int one = 1, six;

    snprintf(address, sizeof(address), "%.*s", (int)(comma - where), where);
    a.sin_port = b.sin6_port = htons((unsigned short)strtoul(comma + 1, NULL, 10));
    six = inet_pton(AF_INET6, address, &b.sin6_addr) == 1;
    inet_pton(AF_INET, address, &a.sin_addr);
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, six ? (struct sockaddr *)&b : (struct sockaddr *)&a, six ? sizeof(b) : sizeof(a)) < 0 ||
        listen(fd, 16) < 0) {
        perror(where);
        exit(3);
    }
    return fd;
}

static void eat_memory(void)
{
    for (;;) {
        char *p = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            exit(4);
        memset(p, 1, 16 << 20);
    }
}

static void eat_memory_in_a_child(void)
{
    if (fork() == 0)
        eat_memory();
}

static void answer(int fd, const char *status, const char *text)
{
    char out[8192];
    int n = snprintf(out, sizeof(out), "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
                     strlen(text), text);
    if (write(fd, out, (size_t)n) < 0)
        perror("write");
}

static void who(int fd)
{
    char text[4096], map[256] = "";
    FILE *f = fopen("/proc/self/uid_map", "r");

    if (f == NULL || fgets(map, sizeof(map), f) == NULL)
        map[0] = '\0';
    snprintf(text, sizeof(text), "uid %u map %s token %s user %s home %s\n", getuid(), map, getenv("OPENHYDRA_TOKEN"),
             getenv("OPENHYDRA_USER"), getenv("HOME"));
    answer(fd, "200 OK", text);
}

static void write_file(int fd, const char *path)
{
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || write(out, "x", 1) != 1) {
        answer(fd, "500 Failed", strerror(errno));
        return;
    }
    close(out);
    answer(fd, "200 OK", "written\n");
}

/* Children that wait, and are ended again. */
static void fork_many(int fd, unsigned long most)
{
    static pid_t children[10000];
    unsigned long n = 0;
    char text[64];

    while (n < most && n < 10000 && (children[n] = fork()) >= 0) {
        if (children[n] == 0)
            pause();
        n++;
    }
    snprintf(text, sizeof(text), "%lu %s", n, n < most ? strerror(errno) : "all");
    for (unsigned long i = 0; i < n; i++)
        kill(children[i], SIGKILL);
    answer(fd, "200 OK", text);
}

static void fill_file(int fd, const char *path)
{
    static char piece[65536];
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    while (out >= 0 && write(out, piece, sizeof(piece)) > 0)
        ;
    answer(fd, "200 OK", strerror(errno));
    if (out >= 0)
        close(out);
}

static void tell_room(int fd, const char *path)
{
    struct statvfs fs = {0};
    char text[64];

    snprintf(text, sizeof(text), "%llu", statvfs(path, &fs) < 0 ? 0ull : (unsigned long long)fs.f_blocks * fs.f_frsize);
    answer(fd, "200 OK", text);
}

static void list_folder(int fd, const char *path)
{
    char text[8000] = "";
    DIR *d = opendir(path);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.' && strlen(text) + strlen(e->d_name) + 2 < sizeof(text))
            strcat(strcat(text, e->d_name), "\n");
    if (d)
        closedir(d);
    answer(fd, d ? "200 OK" : "404 None", text);
}

static void open_file(int fd, const char *path)
{
    int in = open(path, O_RDWR | O_CLOEXEC);

    answer(fd, in < 0 ? "500 Failed" : "200 OK", in < 0 ? strerror(errno) : "opened\n");
    if (in >= 0)
        close(in);
}

static void list_variables(int fd)
{
    char text[8000] = "";

    for (char **v = environ; *v; v++)
        if (strlen(text) + strlen(*v) + 2 < sizeof(text))
            strcat(strcat(text, *v), "\n");
    answer(fd, "200 OK", text);
}

/* «10.0.0.1,80»; an IPv6 address is taken to be on the first interface. */
static void connect_to(int fd, char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct sockaddr_in6 b = {.sin6_family = AF_INET6, .sin6_scope_id = if_nametoindex("eth0")};
    char *comma = strchr(address, ',');
    struct timeval limit = {.tv_sec = 3};
    unsigned long port = comma ? strtoul(comma + 1, NULL, 10) : 0;

    if (comma)
        *comma = '\0';
    a.sin_port = b.sin6_port = htons((unsigned short)port);
    int six = inet_pton(AF_INET6, address, &b.sin6_addr) == 1, s = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (!six && inet_pton(AF_INET, address, &a.sin_addr) != 1)
        answer(fd, "400 What", address);
    else if (connect(s, six ? (struct sockaddr *)&b : (struct sockaddr *)&a, six ? sizeof(b) : sizeof(a)) < 0)
        answer(fd, "500 Failed", strerror(errno));
    else
        answer(fd, "200 OK", "connected\n");
    close(s);
}

/* As fast as it is read. */
static void flood(unsigned seconds)
{
    static char line[4096];
    time_t end = time(NULL) + (time_t)seconds;

    if (fork() != 0)
        return;
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    while (time(NULL) < end)
        if (write(1, line, sizeof(line)) < 0)
            _exit(1);
    _exit(0);
}

static void read_a_file(int fd, const char *path)
{
    char text[4096];
    int in = open(path, O_RDONLY);
    ssize_t n = in < 0 ? -1 : read(in, text, sizeof(text) - 1);

    if (n < 0)
        answer(fd, "500 Failed", strerror(errno));
    else
        answer(fd, "200 OK", (text[n] = '\0', text));
    if (in >= 0)
        close(in);
}

static int send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = write(fd, p, n);
        if (sent <= 0)
            return -1;
        p += sent;
        n -= (size_t)sent;
    }
    return 0;
}

/* Sends back `left` bytes of those that come, the first of which are here already. */
static void send_back(int fd, const char *begin, size_t n, unsigned long long left)
{
    static char piece[65536];
    ssize_t got = 0;

    if (send_all(fd, begin, n) < 0)
        _exit(1);
    for (left -= n < left ? n : left; left > 0 && (got = read(fd, piece, sizeof(piece))) > 0; left -= (size_t)got)
        if (send_all(fd, piece, (size_t)got) < 0)
            _exit(1);
    _exit(0);
}

static void echo(int fd, const char *in, size_t n)
{
    const char *length = strcasestr(in, "\r\nContent-Length:"), *body = strstr(in, "\r\n\r\n");
    unsigned long long size = length ? strtoull(length + strlen("\r\nContent-Length:"), NULL, 10) : 0;
    char head[128];

    if (body == NULL || fork() != 0)
        return;
    body += 4;
    int len =
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\nConnection: close\r\n\r\n", size);
    if (send_all(fd, head, (size_t)len) < 0)
        _exit(1);
    send_back(fd, body, n - (size_t)(body - in), size);
}

static void upgrade(int fd)
{
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";

    if (fork() != 0)
        return;
    if (send_all(fd, head, sizeof(head) - 1) < 0)
        _exit(1);
    send_back(fd, NULL, 0, ~0ull);
}

/* Its end of the connection is closed, and what still comes is read. */
static void say_much(int fd, unsigned long mebibytes)
{
    static char piece[1 << 20];
    static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

    if (fork() != 0)
        return;
    memset(piece, 'x', sizeof(piece));
    if (send_all(fd, head, sizeof(head) - 1) < 0)
        _exit(1);
    while (mebibytes-- > 0)
        if (send_all(fd, piece, sizeof(piece)) < 0)
            _exit(1);
    shutdown(fd, SHUT_WR);
    while (read(fd, piece, sizeof(piece)) > 0)
        ;
    _exit(0);
}

static void serve(int fd)
{
    char in[4096], *path, *argument, *blank;
    ssize_t n = read(fd, in, sizeof(in) - 1);

    if (n <= 0)
        return;
    in[n] = '\0';
    if (strncmp(in, "POST /echo", 10) == 0)
        echo(fd, in, (size_t)n);
    if (strncmp(in, "GET /", 5) != 0)
        return;
    path = in + 4;
    if ((blank = strpbrk(path, " \r\n")))
        *blank = '\0';
    if ((argument = strchr(path, '?')))
        *argument++ = '\0';
    if (strcmp(path, "/exit") == 0)
        exit(argument ? (int)strtol(argument, NULL, 10) : 0);
    if (strcmp(path, "/oom") == 0)
        eat_memory();
    if (strcmp(path, "/who") == 0) {
        who(fd);
        return;
    }
    if (strcmp(path, "/close") == 0)
        close(listener);
    if (strcmp(path, "/fail") == 0)
        failing = argument && *argument == '1';
    if (strcmp(path, "/slow") == 0 && argument) {
        if (fork() != 0)
            return;
        sleep((unsigned)strtoul(argument, NULL, 10));
        answer(fd, "200 OK", "slow\n");
        exit(0);
    }
    if (strcmp(path, "/upgrade") == 0) {
        upgrade(fd);
        return;
    }
    if (strcmp(path, "/big") == 0 && argument) {
        say_much(fd, strtoul(argument, NULL, 10));
        return;
    }
    if (strcmp(path, "/read") == 0 && argument) {
        read_a_file(fd, argument);
        return;
    }
    if (strcmp(path, "/kill") == 0 && argument) {
        answer(fd, "200 OK", kill((pid_t)strtol(argument, NULL, 10), SIGKILL) < 0 ? strerror(errno) : "killed");
        return;
    }
    if (strcmp(path, "/write") == 0 && argument) {
        write_file(fd, argument);
        return;
    }
    if (strcmp(path, "/list") == 0 && argument) {
        list_folder(fd, argument);
        return;
    }
    if (strcmp(path, "/open") == 0 && argument) {
        open_file(fd, argument);
        return;
    }
    if (strcmp(path, "/hog") == 0)
        eat_memory_in_a_child();
    if (strcmp(path, "/fork") == 0 && argument) {
        fork_many(fd, strtoul(argument, NULL, 10));
        return;
    }
    if (strcmp(path, "/fill") == 0 && argument) {
        fill_file(fd, argument);
        return;
    }
    if (strcmp(path, "/remove") == 0 && argument) {
        answer(fd, "200 OK", unlink(argument) < 0 ? strerror(errno) : "removed");
        return;
    }
    if (strcmp(path, "/room") == 0 && argument) {
        tell_room(fd, argument);
        return;
    }
    if (strcmp(path, "/variables") == 0) {
        list_variables(fd);
        return;
    }
    if (strcmp(path, "/flood") == 0 && argument)
        flood((unsigned)strtoul(argument, NULL, 10));
    if (strcmp(path, "/connect") == 0 && argument) {
        connect_to(fd, argument);
        return;
    }
    if (strcmp(path, "/say") == 0 && argument) {
        printf("%s\n", argument);
        fflush(stdout);
    }
    answer(fd, getenv("UNREADY") || (failing && strcmp(path, "/fail") != 0) ? "503 Not yet" : "200 OK", "hello\n");
}

int main(void)
{
    const char *behaviour = getenv("BEHAVIOUR");

    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGTERM, behaviour && strcmp(behaviour, "stubborn") == 0 ? SIG_IGN : end);
    printf("environment of %s\n", getenv("OPENHYDRA_USER"));
    fprintf(stderr, "its token is %s \xff\n", getenv("OPENHYDRA_TOKEN"));
    fflush(stdout);
    if (behaviour && strcmp(behaviour, "exit") == 0) {
        fprintf(stderr, "cannot go on\n");
        return 7;
    }
    if (behaviour && strcmp(behaviour, "full-home") == 0 && getenv("OPENHYDRA_SAFE_MODE") == NULL) {
        fprintf(stderr, "OSError: [Errno 28] No space left on device: '/home/student/.local'\n");
        return 1;
    }
    if (behaviour && strcmp(behaviour, "silent") == 0)
        for (;;)
            pause();
    const char *path = getenv("OPENHYDRA_SOCKET"), *where = getenv("LISTEN");
    listener = path ? listen_on(path) : listen_on_tcp(where ? where : "0.0.0.0,8888");
    for (;;) {
        int c = accept(listener, NULL, NULL);
        if (c < 0) {
            usleep(10000);
            continue;
        }
        serve(c);
        close(c);
    }
}
