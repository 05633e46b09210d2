/* What lies outside of every sandbox and must not be reached: a process with a file, sockets and shared memory.
 *
 *     canary FOLDER SECRET      (the secret also in the environment, as CANARY_SECRET)
 *
 * Prints what an attacker may know of it as one line of JSON, and writes each touch into FOLDER/touched: signals it
 * got, and connections to its sockets. Lives until its standard input ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *folder, *secret;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void touched(const char *how, int number) {
    char path[512], line[64];
    snprintf(path, sizeof path, "%s/touched", folder);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int length = snprintf(line, sizeof line, "%s %d\n", how, number);
    if (file < 0 || write(file, line, length) != length) fail("touched");
    close(file);
}

static void write_file(const char *path, mode_t mode) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (file < 0 || write(file, secret, strlen(secret)) < 0 || fchmod(file, mode)) fail(path);
    close(file);
}

/* Open to everybody: it is the sandbox that has to keep others away. */
static int listen_unix(const char *name, int is_abstract) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path + is_abstract, name, length);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + length + 1;
    if (server < 0 || bind(server, (struct sockaddr *)&address, size) || listen(server, 64)) fail(name);
    if (!is_abstract && chmod(name, 0777)) fail(name);
    return server;
}

static int listen_tcp(int *port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    socklen_t size = sizeof address;
    int both = 0, server = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0 || setsockopt(server, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both)) fail("socket");
    if (bind(server, (struct sockaddr *)&address, size) || listen(server, 64)) fail("listen");
    if (getsockname(server, (struct sockaddr *)&address, &size)) fail("getsockname");
    *port = ntohs(address.sin6_port);
    return server;
}

static int share_memory(void) {
    for (int key = 0x5e000000 + getpid() * 16;; key++) {
        int segment = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666);
        if (segment < 0) continue;
        char *at = shmat(segment, NULL, 0);
        if (at == (char *)-1) fail("shmat");
        strcpy(at, secret);
        return key;
    }
}

static void print_handle(const char *path) {
    struct { struct file_handle head; unsigned char bytes[128]; } handle = {.head = {.handle_bytes = 128}};
    int mount;
    unsigned length = 0;
    if (name_to_handle_at(AT_FDCWD, path, &handle.head, &mount, 0) == 0) length = handle.head.handle_bytes;
    printf("\"handle_type\": %d, \"handle\": \"", length ? handle.head.handle_type : 0);
    for (unsigned i = 0; i < length; i++) printf("%02x", handle.head.f_handle[i]);
    printf("\"");
}

int main(int count, char **arguments) {
    if (count != 3) return 64;
    folder = arguments[1], secret = arguments[2];
    char file[512], socket_path[512], abstract[64], shm_path[128];
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
    snprintf(abstract, sizeof abstract, "canary-%d-%s", getpid(), secret + strlen(secret) - 8);
    snprintf(shm_path, sizeof shm_path, "/dev/shm/%s", abstract);
    write_file(file, 0666);
    write_file(shm_path, 0666);
    int port, key = share_memory();
    sigset_t signals;
    sigfillset(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    struct pollfd watched[] = {
        {.fd = 0, .events = POLLIN},
        {.fd = signalfd(-1, &signals, SFD_CLOEXEC), .events = POLLIN},
        {.fd = listen_unix(socket_path, 0), .events = POLLIN},
        {.fd = listen_unix(abstract, 1), .events = POLLIN},
        {.fd = listen_tcp(&port), .events = POLLIN},
    };
    printf("{\"file\": \"%s\", \"unix\": \"%s\", \"abstract\": \"%s\", \"pid\": %d, \"port\": %d, \"shm_key\": %d, "
           "\"shm_name\": \"%s\", ", file, socket_path, abstract, getpid(), port, key, abstract);
    print_handle(file);
    printf("}\n");
    fflush(stdout);
    for (;;) {
        if (poll(watched, 5, -1) < 0) continue;
        if (watched[0].revents) break;
        if (watched[1].revents) {
            struct signalfd_siginfo got;
            if (read(watched[1].fd, &got, sizeof got) == sizeof got) touched("signal", got.ssi_signo);
        }
        for (int i = 2; i < 5; i++) {
            int client = watched[i].revents ? accept4(watched[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
            if (client < 0) continue;
            touched("connection", i);
            /* Whoever does not listen to the end has been counted. */
            if (send(client, secret, strlen(secret), MSG_NOSIGNAL) < 0) perror("send");
            close(client);
        }
    }
    shmctl(shmget(key, 0, 0), IPC_RMID, NULL);
    unlink(shm_path);
    return 0;
}
