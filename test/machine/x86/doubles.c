/*
 * double and float through glibc, for doubles.test.ts: printf and strtod, libm, sorting, every rounding direction and the
 * exceptions that fenv.h tells of. What it prints must not depend on the processor.
 */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long state = 88172645463325252ul;
static unsigned long any(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}
static int order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static void say(const char *what, double x) { printf("%-12s %.17g %a %+.6e\n", what, x, x, x); }
static const char *raised(void) {
  static char text[8];
  const int flags[] = {FE_INVALID, FE_DIVBYZERO, FE_OVERFLOW, FE_UNDERFLOW, FE_INEXACT};
  for (int i = 0; i < 5; i++) text[i] = fetestexcept(flags[i]) ? "IZOUP"[i] : '-';
  feclearexcept(FE_ALL_EXCEPT);
  return text;
}

/* volatile: the compiler must leave it to the processor */
static volatile double one = 1, three = 3, zero = 0, huge = DBL_MAX, tiny = DBL_MIN;
static volatile float onef = 1, threef = 3, tinyf = FLT_MIN;

static void directions(void) {
  const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  for (int i = 0; i < 4; i++) {
    fesetround(modes[i]);
    double quotient = one / three, sum = one + tiny, product = -one / three * 0.1, root = sqrt(three);
    float single = onef / threef, narrow = (float)quotient;
    long whole = lrint(2.5 * three), other = lrintf(-threef / 2);
    fesetround(FE_TONEAREST);
    printf("direction %d: %a %a %a %a %a %a %ld %ld\n", i, quotient, sum, product, root, single, narrow, whole, other);
  }
}
static void exceptions(void) {
  volatile double r;
  volatile float f;
  volatile long n;
  feclearexcept(FE_ALL_EXCEPT);
  printf("none  %s\n", (r = one + three, raised()));
  printf("third %s\n", (r = one / three, raised()));
  printf("zero  %s\n", (r = one / zero, raised()));
  printf("nan   %s\n", (r = zero / zero, raised()));
  printf("root  %s\n", (r = sqrt(-three), raised()));
  printf("huge  %s\n", (r = huge * three, raised()));
  printf("tiny  %s\n", (r = tiny / three, raised()));
  printf("half  %s\n", (r = tiny / 2, raised()));
  printf("quiet %s\n", (r = __builtin_nan("") + one, raised()));
  printf("less  %s\n", (n = r < one, raised()));
  printf("equal %s\n", (n = r == one, raised()));
  printf("int   %s\n", (n = (long)(huge * one), raised()));
  printf("cut   %s\n", (n = (long)(one / three), raised()));
  printf("float %s\n", (f = (float)huge, raised()));
  printf("small %s\n", (f = tinyf * tinyf, raised()));
  (void)f;
  (void)n;
}

int main(void) {
  const char *texts[] = {"0.1", "1e23", "2.2250738585072011e-308", "4.9e-324", "1.7976931348623159e308", "-0", "inf", "nan",
                         "9007199254740993", "123456789.123456789", "0x1.8p-1070"};
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
    double x = strtod(texts[i], NULL);
    printf("%s: %.17g %g %a | %.9g\n", texts[i], x, x, x, (double)strtof(texts[i], NULL));
  }
  directions();
  exceptions();

  double numbers[300], sum = 0, square = 0;
  for (int i = 0; i < 300; i++) {
    numbers[i] = ldexp((double)(long)any(), -(int)(any() % 100));
    sum += numbers[i];
    square += numbers[i] * numbers[i];
  }
  qsort(numbers, 300, sizeof *numbers, order);
  say("sum", sum);
  say("square", square);
  for (int i = 0; i < 300; i += 37) say("sorted", numbers[i]);
  for (double x = 0.1; x < 40; x *= 2.7) {
    say("sqrt", sqrt(x));
    say("exp", exp(x));
    say("log", log(x));
    say("sin", sin(x));
    say("atan", atan(x));
    say("pow", pow(x, 1.7));
    say("cbrt", cbrt(-x));
    say("fmod", fmod(100, x));
    say("floor", floor(-x));
    say("rint", rint(x * 10));
    say("expf", (double)expf((float)x));
    say("sinf", (double)sinf((float)x));
  }
  float grid[64];
  for (int i = 0; i < 64; i++) grid[i] = (float)i / 7;
  for (int pass = 0; pass < 20; pass++)
    for (int i = 1; i < 63; i++) grid[i] = (grid[i - 1] + 2 * grid[i] + grid[i + 1]) * 0.25f;
  for (int i = 0; i < 64; i += 9) say("grid", (double)grid[i]);
  printf("%d %ld %u %lu\n", (int)-2.9, (long)1e15, (unsigned)3e9, (unsigned long)1.5e19);
  return (int)sum & 63;
}
