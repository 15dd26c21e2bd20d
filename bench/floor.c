/* The floor: one epoll thread that answers each read with the same bytes. What a server in front of these sockets
 * cannot do without: epoll_wait, recv, send. It looks at nothing it reads.
 *
 * usage: floor PORT BODY_BYTES [close]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 2048)) {
        perror("floor: listen");
        exit(1);
    }
    return fd;
}

static char *render(size_t body, int closing, size_t *length)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n%s\r\n",
                     body, closing ? "Connection: close\r\n" : "");
    char *answer = malloc(n + body);
    if (!answer)
        exit(1);
    memcpy(answer, head, n);
    for (size_t i = 0; i < body; i++)
        answer[n + i] = "Hello World!"[i % 12];
    *length = n + body;
    return answer;
}

static void accept_all(int loop, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: floor PORT BODY_BYTES [close]\n");
        return 2;
    }
    int closing = argc > 3 && !strcmp(argv[3], "close");
    size_t length;
    char *answer = render(strtoul(argv[2], NULL, 10), closing, &length);
    int listener = listen_on(atoi(argv[1])), loop = epoll_create1(0);
    struct epoll_event events[BATCH], event = {.events = EPOLLIN, .data.fd = listener};
    static char buffer[65536];
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(loop, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(loop, listener);
                continue;
            }
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                continue;
            /* A short send would need a write queue; the answers are far smaller than a socket's buffer. */
            if (got <= 0 || send(fd, answer, length, MSG_NOSIGNAL) != (ssize_t)length || closing)
                close(fd);
        }
    }
}
