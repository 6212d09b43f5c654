// Has anything been allocated by the C library's own malloc? Its main arena grows by brk, by 132 KiB at least, which shows
// as [heap] in the book of mappings (a static program has its thread-local data there: a page or two); arenas of threads
// are mappings that begin at a multiple of 64 MiB with a head that points into itself and says how much is accessible.
#ifndef ESCAPE_H
#define ESCAPE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char escape_maps[1 << 20];

static inline void escape_fail(const char* what, const char* detail) {
  fprintf(stderr, "%s %s\n%s", what, detail, escape_maps);
  _exit(1);
}

static inline void escape_read(void) {
  int file = open("/proc/self/maps", O_RDONLY);
  size_t length = 0;
  for (ssize_t got; file >= 0 && (got = read(file, escape_maps + length, sizeof(escape_maps) - 1 - length)) > 0;) {
    length += (size_t)got;
  }
  if (length == 0) _exit(77);
  close(file);
}

// Ends the program when something has.
static inline void escape_check(void) {
  const unsigned long arena = 64ul << 20;
  escape_read();
  for (const char *line = escape_maps, *next; (next = strchr(line, '\n')) != NULL; line = next + 1) {
    unsigned long start, end;
    char text[300], rights[8], name[200] = "";
    snprintf(text, sizeof(text), "%.*s", (int)(next - line), line);
    if (sscanf(text, "%lx-%lx %7s %*x %*s %*u %199s", &start, &end, rights, name) < 3) continue;
    if (strstr(name, "[heap]") != NULL && end - start > 65536) escape_fail("the C library's heap is in use", "");
    if (strncmp(rights, "rw-p", 4) != 0 || start % arena != 0 || name[0] != 0) continue;
    unsigned long head[4];  // arena, heap before, size, accessible size; read by the kernel, as it may be guarded
    int ends[2];
    if (pipe(ends) != 0) _exit(77);
    int readable = write(ends[1], (const void*)start, sizeof(head)) == (ssize_t)sizeof(head) &&
                   read(ends[0], head, sizeof(head)) == (ssize_t)sizeof(head);
    close(ends[0]);
    close(ends[1]);
    if (!readable) continue;
    if (head[0] > start && head[0] < start + 4096 && head[3] == end - start) {
      escape_fail("a thread's arena of the C library is in use", "");
    }
  }
}

// Is this block the library's? Asked by name, as the program may know it by preloading only.
int escape_is_ours(const void* p);

#define OURS(p) (escape_is_ours(p) ? (void)0 : escape_fail("not a block of the library:", #p))

#endif
