/*
 * The floor under many small uploads: what this machine's disk needs to make that many files
 * durable one by one, with nothing received, hashed or recorded.
 *
 *   disk DIRECTORY COUNT BYTES THREADS      prints the seconds that it took
 *
 * Each file takes the steps that a stored one takes: written, synced, renamed into one of 256
 * directories, that directory synced.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOLDERS 256

static const char *root;
static size_t bytes;
static long count, threads;

static void fail(const char *step) {
  perror(step);
  exit(1);
}

static void store(long number, const char *content) {
  char staged[4096], folder[4096], final[4224];
  snprintf(staged, sizeof staged, "%s/staged-%ld", root, number);
  snprintf(folder, sizeof folder, "%s/%02lx", root, number % FOLDERS);
  snprintf(final, sizeof final, "%s/%ld", folder, number);
  int file = open(staged, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (file < 0) fail(staged);
  if (write(file, content, bytes) != (ssize_t)bytes) fail("write");
  if (fdatasync(file) < 0 || close(file) < 0) fail("fdatasync");
  if (rename(staged, final) < 0) fail("rename");
  int directory = open(folder, O_RDONLY | O_DIRECTORY);
  if (directory < 0 || fsync(directory) < 0) fail("fsync of the directory");
  close(directory);
}

static void *work(void *argument) {
  char *content = malloc(bytes);
  if (!content) fail("malloc");
  memset(content, (int)(long)argument, bytes);
  for (long number = (long)argument; number < count; number += threads) store(number, content);
  free(content);
  return NULL;
}

int main(int arguments, char **argument) {
  if (arguments != 5) return 2;
  root = argument[1];
  count = atol(argument[2]);
  bytes = atol(argument[3]);
  threads = atol(argument[4]);
  for (int at = 0; at < FOLDERS; at++) {
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/%02x", root, at);
    if (mkdir(folder, 0755) < 0) fail(folder);
  }
  pthread_t *running = calloc(threads, sizeof *running);
  if (!running) fail("calloc");
  struct timespec begun, ended;
  clock_gettime(CLOCK_MONOTONIC, &begun);
  for (long at = 0; at < threads; at++)
    if (pthread_create(running + at, NULL, work, (void *)at)) fail("pthread_create");
  for (long at = 0; at < threads; at++) pthread_join(running[at], NULL);
  clock_gettime(CLOCK_MONOTONIC, &ended);
  printf("%.6f\n", ended.tv_sec - begun.tv_sec + (ended.tv_nsec - begun.tv_nsec) / 1e9);
  return 0;
}
