// What test/systems/xen/linux.test.ts runs inside a guest and natively: integers, floats, memory, strings, library calls.
// It asks for nothing that two runs could answer differently: not for sines either, which libraries compute by the processor.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
static int byValue(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

int main(void) {
  uint64_t hash = 1;
  for (int i = 1; i < 200000; i++) hash = mix(hash + i) % (0xfffffffffffffff0u / i) + (hash << (i % 64));
  printf("integers %016llx\n", (unsigned long long)hash);

  double sum = 0;
  for (int i = 1; i < 20000; i++) sum += sqrt(i) / (1 + i % 7) - floor(i / 3.0) * 1e-5 + 1.0 / (i * 0.1 + 0.7);
  float single = 0;
  for (int i = 1; i < 20000; i++) single += 1.0f / i;
  long double extended = 1;
  for (int i = 1; i < 1000; i++) extended = extended * 1.0000001L + 1.0L / i;
  printf("floats %.17g %a %.9g %La\n", sum, sum, single, extended);

  enum { COUNT = 50000 };
  uint32_t *numbers = malloc(COUNT * sizeof *numbers);
  for (int i = 0; i < COUNT; i++) numbers[i] = (uint32_t)mix(i);
  qsort(numbers, COUNT, sizeof *numbers, byValue);
  uint64_t order = 0;
  for (int i = 0; i < COUNT; i++) order = order * 31 + numbers[i];
  printf("sorted %08x %08x %016llx\n", numbers[0], numbers[COUNT - 1], (unsigned long long)order);

  char text[4096] = "";
  for (int i = 0; i < 200; i++) snprintf(text + strlen(text), sizeof text - strlen(text), "%x.", i * i);
  printf("text %zu %zu %s\n", strlen(text), strcspn(text, "f"), strstr(text, "9.10."));
  fflush(stdout);

  // Memory that was shared before a fork is each one's own after it.
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < COUNT; i++) numbers[i] += i;
    exit((int)(numbers[COUNT / 2] % 199));
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("child %d, parent's numbers %08x\n", WEXITSTATUS(status), numbers[COUNT / 2]);
  return 0;
}
