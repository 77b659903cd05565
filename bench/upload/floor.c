/*
 * The floor under uploads: what this machine needs to receive a body, write it and make it durable,
 * with nothing else done: no hash, no database, one thread.
 *
 *   floor DIRECTORY      prints its port and serves one request after the other until it is killed
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[1024 * 1024];

static void fail(const char *step) {
  perror(step);
  exit(1);
}

static void write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0) fail("write");
    bytes += written;
    length -= written;
  }
}

/* Reads the request's head; the body's first bytes, moved to the buffer's start, come with it. */
static uint64_t read_head(int connection, size_t *held) {
  size_t length = 0;
  for (;;) {
    ssize_t got = recv(connection, buffer + length, sizeof buffer - 1 - length, 0);
    if (got <= 0) fail("recv");
    length += got;
    buffer[length] = 0;
    char *end = strstr(buffer, "\r\n\r\n");
    if (!end) continue;
    char *promised = strcasestr(buffer, "\r\ncontent-length:");
    if (!promised) fail("no Content-Length");
    uint64_t body = strtoull(promised + 17, NULL, 10);
    *held = length - (end + 4 - buffer);
    memmove(buffer, end + 4, *held);
    return body;
  }
}

static void serve(int connection, const char *directory, int directory_fd) {
  char staged[4096], final[4096];
  size_t held;
  uint64_t left = read_head(connection, &held);
  snprintf(staged, sizeof staged, "%s/staged", directory);
  snprintf(final, sizeof final, "%s/final", directory);
  int file = open(staged, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) fail(staged);
  for (; left > 0; held = 0) {
    while (held < sizeof buffer && held < left) {
      ssize_t got = recv(connection, buffer + held, sizeof buffer - held, 0);
      if (got <= 0) fail("recv");
      held += got;
    }
    write_all(file, buffer, held);
    left -= held;
  }
  if (fsync(file) < 0 || close(file) < 0) fail("fsync");
  if (rename(staged, final) < 0) fail("rename");
  if (fsync(directory_fd) < 0) fail("fsync of the directory");
  const char *answer = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  write_all(connection, answer, strlen(answer));
}

int main(int count, char **argument) {
  if (count != 2) return 2;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 16) < 0) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &size);
  int directory = open(argument[1], O_RDONLY | O_DIRECTORY);
  if (directory < 0) fail(argument[1]);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) fail("accept");
    serve(connection, argument[1], directory);
    close(connection);
  }
}
