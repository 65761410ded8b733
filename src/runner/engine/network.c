#include "runner/engine/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#define MAX_RULES (256u << 10)

/* «This network», private (RFC 1918, 6598), loopback, link-local, protocol assignments, benchmarks, multicast, reserved
 * and broadcast. */
static const char *const refused[] = {"0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10", "127.0.0.0/8",
                                      "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",  "192.168.0.0/16",
                                      "198.18.0.0/15",  "224.0.0.0/4",   "240.0.0.0/4"};

bool network_is_address(const char *s, bool with_prefix)
{
    char text[INET_ADDRSTRLEN];
    const char *slash = strchr(s, '/');
    size_t n = slash ? (size_t)(slash - s) : strlen(s);
    struct in_addr a;
    unsigned long long prefix;

    if (n >= sizeof(text) || (slash != NULL) != with_prefix)
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    return inet_pton(AF_INET, text, &a) == 1 && (slash == NULL || str_to_u64(str_from(slash + 1), 32, &prefix) == 0);
}

/* --- Texts --- */

/* How one tool says that what goes there is let through or refused. `port`: DNS alone. */
typedef void (*say_rule)(struct buffer *b, const char *to, bool port, bool accept);

static void say_nft(struct buffer *b, const char *to, bool port, bool accept)
{
    buffer_printf(b, "ip daddr %s %s%s\n", to, port ? "meta l4proto { tcp, udp } th dport 53 " : "",
                  accept ? "accept" : "reject");
}

static void say_iptables(struct buffer *b, const char *to, bool port, bool accept)
{
    const char *verdict = accept ? "ACCEPT" : "REJECT";

    if (port)
        buffer_printf(b, "-A OUTPUT -d %s -p udp --dport 53 -j %s\n-A OUTPUT -d %s -p tcp --dport 53 -j %s\n", to,
                      verdict, to, verdict);
    else
        buffer_printf(b, "-A OUTPUT -d %s -j %s\n", to, verdict);
}

/* The first that fits counts: the host is refused even where a sandbox lists the network that it is in. */
static void say_all(struct buffer *b, const struct network_rules *r, say_rule say)
{
    for (size_t i = 0; i < r->name_servers_len; i++)
        if (network_is_address(r->name_servers[i], false))
            say(b, r->name_servers[i], true, true);
    for (size_t i = 0; i < r->hosts_len; i++)
        if (network_is_address(r->hosts[i], false))
            say(b, r->hosts[i], false, false);
    for (size_t i = 0; i < r->allowed_len; i++)
        if (network_is_address(r->allowed[i], true))
            say(b, r->allowed[i], false, true);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        say(b, refused[i], false, false);
}

/* The table is made where there is none, so that it can be replaced by one transaction where there is. */
void network_rules_nft(struct buffer *b, const struct network_rules *r)
{
    buffer_puts(b, "table inet open_hydra\ndelete table inet open_hydra\ntable inet open_hydra {\nchain out {\n"
                   "type filter hook output priority 0; policy accept;\noifname \"lo\" accept\n"
                   "meta nfproto ipv6 reject\n");
    say_all(b, r, say_nft);
    buffer_puts(b, "}\n}\n");
}

void network_rules_iptables(struct buffer *b, const struct network_rules *r)
{
    buffer_puts(b, "*filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT ACCEPT\n-A OUTPUT -o lo -j ACCEPT\n");
    say_all(b, r, say_iptables);
    buffer_puts(b, "COMMIT\n");
}

#define NO_IPV6                                                                                                        \
    "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT DROP\n-A INPUT -i lo -j ACCEPT\n-A OUTPUT -o lo -j ACCEPT\n-A "      \
    "OUTPUT -j REJECT\n"                                                                                               \
    "COMMIT\n"

/* --- This machine --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

const char *const *network_name_servers(struct arena *a, struct str text, size_t *n)
{
    static const struct str keyword = {"nameserver", sizeof("nameserver") - 1};
    const char **out = arena_alloc(a, (text.n / keyword.n + 1) * sizeof(*out));
    struct str line;

    *n = 0;
    while (str_split(&text, '\n', &line)) {
        line = str_trim(line);
        if (line.n <= keyword.n || memcmp(line.p, keyword.p, keyword.n) != 0 || !is_blank(line.p[keyword.n]))
            continue;
        line = str_trim((struct str){line.p + keyword.n, line.n - keyword.n});
        out[(*n)++] = arena_strndup(a, line.p, line.n);
    }
    return out;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *network_own_addresses(void)
{
    struct buffer out = BUFFER_MAX(MAX_RULES);
    struct ifaddrs *all = NULL;
    char *list[512];
    size_t n = 0;

    if (getifaddrs(&all) < 0)
        return NULL;
    for (const struct ifaddrs *i = all; i && n < ARRAY_SIZE(list); i = i->ifa_next) {
        char text[INET_ADDRSTRLEN];
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET &&
            inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, text, sizeof(text)))
            list[n++] = xstrdup(text);
    }
    freeifaddrs(all);
    qsort(list, n, sizeof(list[0]), compare);
    for (size_t i = 0; i < n; i++) {
        buffer_printf(&out, "%s%s", i ? " " : "", list[i]);
        free(list[i]);
    }
    return out.n ? buffer_steal(&out) : xstrdup("");
}

/* --- In the environment's namespace --- */

static const char *find_program(const char *const *paths)
{
    for (; *paths; paths++)
        if (access(*paths, X_OK) == 0)
            return *paths;
    return NULL;
}

/* Ours would be the host's own firewall. */
static int open_namespace(int pid, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/ns/net", pid);
    _cleanup_close_ int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    struct stat theirs, own;

    if (fd < 0 || fstat(fd, &theirs) < 0 || stat("/proc/self/ns/net", &own) < 0)
        return error_set(err, REASON_INTERNAL, "the environment has no network namespace to set rules in");
    if (theirs.st_dev == own.st_dev && theirs.st_ino == own.st_ino)
        return error_set(err, REASON_INTERNAL, "the environment is in the host's network namespace");
    return steal_fd(fd);
}

static int text_file(const char *text, size_t n, struct error **err)
{
    _cleanup_close_ int fd = memfd_create("rules", MFD_CLOEXEC);

    if (fd < 0 || write_all(fd, text, n, NULL) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "write the rules of the network");
    return steal_fd(fd);
}

/* Between fork and exec nothing but system calls: other threads may hold any lock. */
static pid_t start_in(int space, const char *program, char *const *argv, int in, int out)
{
    static char *const nothing[] = {NULL};
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (setns(space, CLONE_NEWNET) < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(127);
    execve(program, argv, nothing);
    _exit(127);
}

static int run_in(int space, const char *program, char *const *argv, struct str text, struct error **err)
{
    _cleanup_close_ int in = text_file(text.p, text.n, err);
    _cleanup_close_ int out = in < 0 ? -1 : text_file("", 0, err);
    char said[400] = "";
    int status;

    if (out < 0)
        return -1;
    pid_t pid = start_in(space, program, argv, in, out);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return error_errno(err, errno, "start %s", program);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    ssize_t n = pread(out, said, sizeof(said) - 1, 0);
    return error_set(err, REASON_INTERNAL, "%s refused the rules of the environment's network: %.*s", program,
                     (int)(n > 0 ? n : 0), said);
}

static int guard_by_iptables(int space, const struct network_rules *r, struct error **err)
{
    static const char *const four[] = {"/usr/sbin/iptables-restore", "/sbin/iptables-restore", NULL};
    static const char *const six[] = {"/usr/sbin/ip6tables-restore", "/sbin/ip6tables-restore", NULL};
    /* One program that goes by the name it is called. */
    char wait[] = "-w", seconds[] = "10";
    char *argv[] = {(char[]){"iptables-restore"}, wait, seconds, NULL};
    char *argv6[] = {(char[]){"ip6tables-restore"}, wait, seconds, NULL};
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(MAX_RULES);
    const char *program = find_program(four), *program6 = find_program(six);

    if (program == NULL || program6 == NULL)
        return error_set(err, REASON_FORBIDDEN,
                         "an environment gets a network only with rules for what it may reach, and neither nft nor "
                         "iptables is installed to set them");
    network_rules_iptables(&text, r);
    if (run_in(space, program, argv, buffer_str(&text), err) < 0)
        return -1;
    return path_exists("/proc/net/if_inet6") ? run_in(space, program6, argv6, STR(NO_IPV6), err) : 0;
}

int network_guard(int pid, const struct network_rules *r, struct error **err)
{
    static const char *const paths[] = {"/usr/sbin/nft", "/sbin/nft", NULL};
    char *argv[] = {(char[]){"nft"}, (char[]){"-f"}, (char[]){"-"}, NULL};
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(MAX_RULES);
    _cleanup_close_ int space = open_namespace(pid, err);
    const char *program = find_program(paths);

    if (space < 0)
        return -1;
    if (program == NULL)
        return guard_by_iptables(space, r, err);
    network_rules_nft(&text, r);
    return run_in(space, program, argv, buffer_str(&text), err);
}
