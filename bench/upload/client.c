/*
 * The load generator of the benchmarks. It shares the machine with the server that it measures, so
 * it is as cheap as a client can be: bytes come from one prepared buffer (or straight from a file,
 * with sendfile), answers are read into one buffer and dropped, and one thread drives all
 * connections.
 *
 *   client fill   FILE BYTES SEED                       writes incompressible bytes
 *   client files  DIR COUNT BYTES SEED                  the same, as DIR/00000 DIR/00001 ...
 *   client send   PORT HEAD BEFORE AFTER BYTES STAMP    one request with a generated body
 *   client file   PORT HEAD FILE                        one request with a file as its body
 *   client fetch  PORT HEAD                             one request, its answer dropped
 *   client ranges PORT HEAD CONNECTIONS REQUESTS FILE_BYTES LENGTH SEED
 *   client many   PORT HEAD CONNECTIONS REQUESTS BYTES STAMP
 *   client each   PORT HEAD CONNECTIONS REQUESTS DIR    one request for each of DIR's files
 *   client repeat PORT HEAD FILE                        one after the other until there is such a file
 *
 * HEAD is a whole request head up to and without the empty line that ends it; `ranges`, `many` and
 * `each` add a line to it. BEFORE and AFTER frame the body, for multipart. `send` prints a line `mark N` for
 * each GiB sent, `fetch` for each received. The last line is `done SECONDS BYTES_RECEIVED STATUS`;
 * where answers are kept, a line `answer INDEX BODY` per request comes before it. Seconds run from
 * before the connection until the answer's last byte; those of `repeat` are what 99 of 100 requests
 * stay below.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024 * 1024)
#define GIB (1024ULL * MIB)
#define HEAD_LIMIT 16384
#define ANSWER_LIMIT 4096

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec + at.tv_nsec / 1e9;
}

static uint64_t number(const char *text) { return strtoull(text, NULL, 10); }

/* xorshift64*: incompressible enough for any compressor or chunker, and faster than the disk. */
static uint64_t next_random(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 2685821657736338717ULL;
}

static uint64_t seeded(uint64_t seed) { return seed * 0x9E3779B97F4A7C15ULL + 1; }

static void randomise(char *buffer, size_t length, uint64_t *state) {
  for (size_t at = 0; at + 8 <= length; at += 8) {
    uint64_t value = next_random(state);
    memcpy(buffer + at, &value, 8);
  }
}

static int connect_to(const char *port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(number(port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect: %m");
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void send_all(int fd, const char *bytes, size_t length, int flags) {
  while (length > 0) {
    ssize_t sent = send(fd, bytes, length, flags | MSG_NOSIGNAL);
    if (sent < 0) fail("send: %m");
    bytes += sent;
    length -= sent;
  }
}

/* What has been read of an answer: its head is kept, its body counted and its beginning kept. */
struct answer {
  char head[HEAD_LIMIT];
  size_t head_length;
  int has_head;
  int status;
  uint64_t body_length; /* as promised by Content-Length */
  int chunked;
  uint64_t body_read;
  char body[ANSWER_LIMIT];
};

static void start_answer(struct answer *answer) {
  answer->head_length = 0;
  answer->has_head = 0;
  answer->status = 0;
  answer->body_length = 0;
  answer->chunked = 0;
  answer->body_read = 0;
}

static void keep_body(struct answer *answer, const char *bytes, size_t length) {
  if (answer->body_read < ANSWER_LIMIT - 1) {
    size_t room = ANSWER_LIMIT - 1 - answer->body_read;
    size_t kept = length < room ? length : room;
    memcpy(answer->body + answer->body_read, bytes, kept);
    answer->body[answer->body_read + kept] = 0;
  }
  answer->body_read += length;
}

/* Takes bytes of an answer; 1 once it is whole. */
static int take(struct answer *answer, const char *bytes, size_t length) {
  if (!answer->has_head) {
    size_t room = HEAD_LIMIT - 1 - answer->head_length;
    size_t taken = length < room ? length : room;
    memcpy(answer->head + answer->head_length, bytes, taken);
    answer->head[answer->head_length + taken] = 0;
    char *end = strstr(answer->head, "\r\n\r\n");
    if (!end) {
      answer->head_length += taken;
      if (taken < length) fail("an answer's head is too long");
      return 0;
    }
    size_t head_length = end + 4 - answer->head;
    size_t of_these = head_length - answer->head_length;
    end[2] = 0;
    answer->has_head = 1;
    answer->body[0] = 0;
    answer->status = atoi(answer->head + 9);
    char *promised = strcasestr(answer->head, "\r\ncontent-length:");
    if (promised) answer->body_length = strtoull(promised + 17, NULL, 10);
    else if (strcasestr(answer->head, "\r\ntransfer-encoding: chunked")) answer->chunked = 1;
    else if (answer->status != 204) fail("an answer without Content-Length: %s", answer->head);
    bytes += of_these;
    length -= of_these;
  }
  keep_body(answer, bytes, length);
  /* Only small answers come in chunks here: their framing is kept with them and ends them. */
  if (answer->chunked) return answer->body_read >= 5 && strstr(answer->body, "0\r\n\r\n") != NULL;
  return answer->body_read >= answer->body_length;
}

static void require_success(const struct answer *answer) {
  if (answer->status < 200 || answer->status > 299)
    fail("answered %d: %.600s", answer->status, answer->body);
}

static void read_answer(int fd, struct answer *answer, int marks) {
  static char buffer[256 * 1024];
  uint64_t marked = 0;
  start_answer(answer);
  for (;;) {
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0) fail("recv: %m");
    if (got == 0) fail("the server went away after %llu bytes", (unsigned long long)answer->body_read);
    int whole = take(answer, buffer, got);
    if (marks && answer->body_read / GIB > marked) printf("mark %llu\n", (unsigned long long)++marked);
    if (whole) return;
  }
}

static void send_head(int fd, const char *head, int flags) {
  char text[HEAD_LIMIT];
  int length = snprintf(text, sizeof text, "%s\r\n", head);
  send_all(fd, text, length, flags);
}

/* No two 4 KiB blocks of one body, nor of two bodies with different stamps, are alike. */
static void stamp_blocks(char *buffer, size_t length, uint64_t stamp, uint64_t offset) {
  for (size_t at = 0; at + 16 <= length; at += 4096) {
    uint64_t mark[2] = {stamp, offset + at};
    memcpy(buffer + at, mark, 16);
  }
}

static void finish_one(int fd, double started) {
  static struct answer answer;
  read_answer(fd, &answer, 0);
  require_success(&answer);
  double seconds = now() - started;
  printf("answer 0 %s\n", answer.body);
  printf("done %.6f %llu %d\n", seconds, (unsigned long long)answer.body_read, answer.status);
}

static void send_generated(char **argument) {
  static char buffer[MIB];
  uint64_t bytes = number(argument[4]), stamp = number(argument[5]), state = seeded(stamp);
  randomise(buffer, sizeof buffer, &state);
  double started = now();
  int fd = connect_to(argument[0]);
  send_head(fd, argument[1], MSG_MORE);
  send_all(fd, argument[2], strlen(argument[2]), MSG_MORE);
  for (uint64_t sent = 0; sent < bytes; sent += sizeof buffer) {
    size_t length = bytes - sent < sizeof buffer ? bytes - sent : sizeof buffer;
    stamp_blocks(buffer, length, stamp, sent);
    send_all(fd, buffer, length, 0);
    if ((sent + length) % GIB == 0) printf("mark %llu\n", (unsigned long long)((sent + length) / GIB));
  }
  send_all(fd, argument[3], strlen(argument[3]), 0);
  finish_one(fd, started);
}

static void send_file(char **argument) {
  int file = open(argument[2], O_RDONLY);
  struct stat about;
  if (file < 0 || fstat(file, &about) < 0) fail("%s: %m", argument[2]);
  double started = now();
  int fd = connect_to(argument[0]);
  send_head(fd, argument[1], MSG_MORE);
  for (off_t at = 0; at < about.st_size;) {
    ssize_t sent = sendfile(fd, file, &at, about.st_size - at);
    if (sent <= 0) fail("sendfile: %m");
  }
  finish_one(fd, started);
}

static void fetch(char **argument) {
  static struct answer answer;
  double started = now();
  int fd = connect_to(argument[0]);
  send_head(fd, argument[1], 0);
  read_answer(fd, &answer, 1);
  double seconds = now() - started;
  require_success(&answer);
  printf("done %.6f %llu %d\n", seconds, (unsigned long long)answer.body_read, answer.status);
}

static int by_value(const void *one, const void *other) {
  double difference = *(const double *)one - *(const double *)other;
  return (difference > 0) - (difference < 0);
}

static void repeat(char **argument) {
  static struct answer answer;
  size_t count = 0, room = 1 << 16;
  double *seconds = malloc(room * sizeof *seconds);
  uint64_t received = 0;
  int fd = connect_to(argument[0]);
  while (access(argument[2], F_OK) != 0) {
    double started = now();
    send_head(fd, argument[1], 0);
    read_answer(fd, &answer, 0);
    require_success(&answer);
    received += answer.body_read;
    if (count == room) seconds = realloc(seconds, (room *= 2) * sizeof *seconds);
    seconds[count++] = now() - started;
  }
  if (count == 0) fail("%s was there before the first request", argument[2]);
  qsort(seconds, count, sizeof *seconds, by_value);
  printf("done %.6f %llu %d\n", seconds[count - 1 - count / 100], (unsigned long long)received,
         answer.status);
}

/* What a run over many connections sends: fills in request `index` and gives its length. */
struct plan {
  const char *head;
  uint64_t requests;
  uint64_t body_bytes;
  uint64_t seed; /* or stamp */
  uint64_t file_bytes;
  const char *directory;
  char *body;
};

typedef size_t (*compose)(struct plan *plan, uint64_t index, char *into, size_t room);

static size_t compose_range(struct plan *plan, uint64_t index, char *into, size_t room) {
  uint64_t state = seeded(plan->seed + index);
  next_random(&state);
  uint64_t start = next_random(&state) % (plan->file_bytes - plan->body_bytes);
  return snprintf(into, room, "%sRange: bytes=%llu-%llu\r\n\r\n", plan->head,
                  (unsigned long long)start, (unsigned long long)(start + plan->body_bytes - 1));
}

static size_t compose_generated(struct plan *plan, uint64_t index, char *into, size_t room) {
  size_t length = snprintf(into, room, "%sContent-Length: %llu\r\n\r\n", plan->head,
                           (unsigned long long)plan->body_bytes);
  memcpy(into + length, plan->body, plan->body_bytes);
  uint64_t mark[2] = {plan->seed, index};
  memcpy(into + length, mark, 16);
  return length + plan->body_bytes;
}

static size_t compose_from_file(struct plan *plan, uint64_t index, char *into, size_t room) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%05llu", plan->directory, (unsigned long long)index);
  int file = open(path, O_RDONLY);
  struct stat about;
  if (file < 0 || fstat(file, &about) < 0) fail("%s: %m", path);
  size_t length = snprintf(into, room, "%sContent-Length: %llu\r\n\r\n", plan->head,
                           (unsigned long long)about.st_size);
  if (length + about.st_size > room) fail("%s is too big for this", path);
  if (read(file, into + length, about.st_size) != about.st_size) fail("%s: %m", path);
  close(file);
  return length + about.st_size;
}

struct connection {
  int fd;
  uint64_t index;
  char *request;
  size_t request_length;
  size_t sent;
  struct answer answer;
};

static void push(int poll, struct connection *connection) {
  while (connection->sent < connection->request_length) {
    ssize_t sent = send(connection->fd, connection->request + connection->sent,
                        connection->request_length - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) fail("send: %m");
    connection->sent += sent;
  }
  int unsent = connection->sent < connection->request_length;
  struct epoll_event event = {.events = EPOLLIN | (unsent ? EPOLLOUT : 0), .data.ptr = connection};
  epoll_ctl(poll, EPOLL_CTL_MOD, connection->fd, &event);
}

static void drive(const char *port, uint64_t connections, struct plan *plan, compose next, int print) {
  static char buffer[256 * 1024];
  size_t room = HEAD_LIMIT + 256 * 1024;
  uint64_t started_requests = 0, ended = 0, received = 0;
  char **answers = print ? calloc(plan->requests, sizeof *answers) : NULL;
  struct connection *all = calloc(connections, sizeof *all);
  int poll = epoll_create1(0), status = 0;
  double started = now();
  for (uint64_t i = 0; i < connections && started_requests < plan->requests; i++) {
    struct connection *connection = &all[i];
    connection->fd = connect_to(port);
    connection->request = malloc(room);
    connection->index = started_requests++;
    connection->request_length = next(plan, connection->index, connection->request, room);
    start_answer(&connection->answer);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(poll, EPOLL_CTL_ADD, connection->fd, &event);
    push(poll, connection);
  }
  while (ended < plan->requests) {
    struct epoll_event events[64];
    int ready = epoll_wait(poll, events, 64, 60000);
    if (ready == 0) fail("no answer for a minute, after %llu requests", (unsigned long long)ended);
    for (int i = 0; i < ready; i++) {
      struct connection *connection = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) push(poll, connection);
      if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
      ssize_t got = recv(connection->fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) fail("the server went away after %llu requests", (unsigned long long)ended);
      if (!take(&connection->answer, buffer, got)) continue;
      require_success(&connection->answer);
      status = connection->answer.status;
      received += connection->answer.body_read;
      if (print) answers[connection->index] = strdup(connection->answer.body);
      ended++;
      if (started_requests == plan->requests) continue;
      connection->index = started_requests++;
      connection->request_length = next(plan, connection->index, connection->request, room);
      connection->sent = 0;
      start_answer(&connection->answer);
      push(poll, connection);
    }
  }
  double seconds = now() - started;
  for (uint64_t i = 0; print && i < plan->requests; i++) printf("answer %llu %s\n", (unsigned long long)i, answers[i]);
  printf("done %.6f %llu %d\n", seconds, (unsigned long long)received, status);
}

static char *random_body(uint64_t bytes, uint64_t seed) {
  char *body = calloc(1, bytes + 16);
  uint64_t state = seeded(seed);
  randomise(body, bytes, &state);
  return body;
}

static void write_random(const char *path, uint64_t bytes, uint64_t seed) {
  static char buffer[MIB];
  uint64_t state = seeded(seed);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) fail("%s: %m", path);
  for (uint64_t written = 0; written < bytes;) {
    size_t length = bytes - written < sizeof buffer ? bytes - written : sizeof buffer;
    randomise(buffer, sizeof buffer, &state);
    if (write(fd, buffer, length) != (ssize_t)length) fail("%s: %m", path);
    written += length;
  }
  close(fd);
}

static void write_files(char **argument) {
  uint64_t count = number(argument[1]), seed = number(argument[3]);
  char path[4096];
  for (uint64_t i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%05llu", argument[0], (unsigned long long)i);
    write_random(path, number(argument[2]), seed * 1000003 + i);
  }
}

int main(int count, char **argument) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char *verb = count > 1 ? argument[1] : "";
  argument += 2;
  count -= 2;
  if (!strcmp(verb, "fill") && count == 3) write_random(argument[0], number(argument[1]), number(argument[2]));
  else if (!strcmp(verb, "files") && count == 4) write_files(argument);
  else if (!strcmp(verb, "send") && count == 6) send_generated(argument);
  else if (!strcmp(verb, "file") && count == 3) send_file(argument);
  else if (!strcmp(verb, "fetch") && count == 2) fetch(argument);
  else if (!strcmp(verb, "repeat") && count == 3) repeat(argument);
  else if (!strcmp(verb, "ranges") && count == 7) {
    struct plan plan = {.head = argument[1], .requests = number(argument[3]),
                        .file_bytes = number(argument[4]), .body_bytes = number(argument[5]),
                        .seed = number(argument[6])};
    drive(argument[0], number(argument[2]), &plan, compose_range, 0);
  } else if (!strcmp(verb, "many") && count == 6) {
    uint64_t bytes = number(argument[4]), stamp = number(argument[5]);
    struct plan plan = {.head = argument[1], .requests = number(argument[3]), .body_bytes = bytes,
                        .seed = stamp, .body = random_body(bytes, stamp)};
    drive(argument[0], number(argument[2]), &plan, compose_generated, 0);
  } else if (!strcmp(verb, "each") && count == 5) {
    struct plan plan = {.head = argument[1], .requests = number(argument[3]),
                        .directory = argument[4]};
    drive(argument[0], number(argument[2]), &plan, compose_from_file, 1);
  } else fail("client: what is meant by '%s' with %d arguments?", verb, count);
  return 0;
}
