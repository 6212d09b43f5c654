// echod: sends back every line it gets. An example of a daemon with this library linked in:
//
//   - a thread for each connection, and a heap for each, that is destroyed when the connection ends: nothing of one
//     connection is left for the next, and no list of what to free is kept;
//   - a violation handler that tells syslog, from inside a process whose heap can no longer be trusted;
//   - a seccomp sandbox after start, with the system calls that the allocator needs.
//
// With --bug it forgets to check the length of a line: a client that sends more than 64 bytes writes beyond a block.
// One thread a connection; threads share nothing but what is set before the first of them starts.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <mimalloc-secure.h>
#include <mimalloc.h>

#include "sandbox.h"

#define LINE_SIZE 64    // with the end of the line
#define PIECE_SIZE 512  // what is read at a time

static bool has_bug;

static void fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  fputs("echod: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

// ---- violations -----------------------------------------------------------------------------------------------------

// Connected before the sandbox closes, so that the handler has nothing to do but send. -1: no syslog here.
static int syslog_socket = -1;
static char syslog_prefix[64];  // "<26>echod[PID]: "; 26 is facility daemon, severity critical

static void syslog_open(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof(address.sun_path)) fail("--syslog %s: the path is too long", path);
  strcpy(address.sun_path, path);
  syslog_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (connect(syslog_socket, (struct sockaddr*)&address, sizeof(address)) != 0) {
    fprintf(stderr, "echod: %s: %s; violations go to standard error only\n", path, strerror(errno));
    close(syslog_socket);
    syslog_socket = -1;
  }
  snprintf(syslog_prefix, sizeof(syslog_prefix), "<26>echod[%d]: ", (int)getpid());
}

// Runs on the thread at fault, perhaps with the heap's own structures in doubt: no malloc, no stdio, no syslog(3), which
// uses both. The first line of the report says what happened; the process aborts when this returns.
static void on_violation(const mi_violation_t* violation, void* arg) {
  (void)arg;
  struct iovec parts[] = {
      {syslog_prefix, strlen(syslog_prefix)},
      {(void*)violation->text, strcspn(violation->text, "\n")},
  };
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  if (syslog_socket >= 0) sendmsg(syslog_socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// ---- connections ----------------------------------------------------------------------------------------------------

typedef struct connection_s {
  int socket;
  mi_heap_t* heap;
  char* line;  // LINE_SIZE bytes
  size_t length;
} connection_t;

static bool send_all(int to, const char* from, size_t size) {
  while (size > 0) {
    ssize_t sent = send(to, from, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    from += sent;
    size -= (size_t)sent;
  }
  return true;
}

// Adds a byte to the line; sends the line back when it is whole. False: the connection is to be closed.
static bool take_byte(connection_t* connection, char c) {
  if (connection->line == NULL) {
    connection->line = mi_heap_malloc(connection->heap, LINE_SIZE);
    if (connection->line == NULL) return false;
    connection->length = 0;
  }
  if (connection->length == LINE_SIZE && !has_bug) {  // with the bug: nobody looks
    static const char text[] = "error: the line is too long\n";
    send_all(connection->socket, text, sizeof(text) - 1);
    return false;
  }
  connection->line[connection->length++] = c;
  if (c != '\n') return true;
  bool ok = send_all(connection->socket, connection->line, connection->length);
  mi_free(connection->line);  // here an overflow is noticed
  connection->line = NULL;
  return ok;
}

static void* serve(void* arg) {
  int socket = (int)(intptr_t)arg;
  mi_heap_t* heap = mi_heap_new();  // of this thread, which alone allocates from it
  connection_t* connection = heap == NULL ? NULL : mi_heap_zalloc(heap, sizeof(*connection));
  char* piece = heap == NULL ? NULL : mi_heap_malloc(heap, PIECE_SIZE);
  if (connection != NULL && piece != NULL) {
    connection->socket = socket;
    connection->heap = heap;
    for (bool more = true; more;) {
      ssize_t got = recv(socket, piece, PIECE_SIZE, 0);
      more = got > 0;
      for (ssize_t i = 0; more && i < got; i++) more = take_byte(connection, piece[i]);
    }
  }
  if (heap != NULL) mi_heap_destroy(heap);  // all of it at once
  close(socket);
  return NULL;
}

// ---- start ----------------------------------------------------------------------------------------------------------

static int listen_on(int port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(listener, (struct sockaddr*)&address, size) != 0 || listen(listener, 16) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &size) != 0) {
    fail("port %d: %s", port, strerror(errno));
  }
  printf("echod: listening on 127.0.0.1:%d, %s\n", ntohs(address.sin_port),
         mi_is_secure() ? mi_profile_name() : "without the secure library");
  fflush(stdout);
  return listener;
}

static int parse_port(const char* text) {
  char* end;
  long port = strtol(text, &end, 10);
  if (end == text || *end != 0 || port < 0 || port > 65535) fail("--port %s: expected a number from 0 to 65535", text);
  return (int)port;
}

int main(int argc, char** argv) {
  int port = 7777;
  const char* syslog_path = "/dev/log";
  for (int i = 1; i < argc; i++) {
    bool has_value = i + 1 < argc;
    if (strcmp(argv[i], "--bug") == 0) {
      has_bug = true;
    } else if (strcmp(argv[i], "--port") == 0 && has_value) {
      port = parse_port(argv[++i]);
    } else if (strcmp(argv[i], "--syslog") == 0 && has_value) {
      syslog_path = argv[++i];
    } else {
      fail("%s: expected --port NUMBER, --syslog SOCKET or --bug", argv[i]);
    }
  }
  syslog_open(syslog_path);
  mi_register_violation(on_violation, NULL);
  int listener = listen_on(port);
  if (!sandbox_close()) fail("the sandbox: %s", strerror(errno));
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (socket < 0) continue;
    pthread_t thread;
    if (pthread_create(&thread, &detached, serve, (void*)(intptr_t)socket) != 0) close(socket);
  }
}
