/*
 * long double in the hands of gcc -O2 and of the C library: everything here goes through the x87 unit, in 80 bits. What
 * it prints is compared with what the same program prints on the real processor.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long double real;

static void show(const char *name, real x) {
  uint64_t significand;
  uint16_t high;
  memcpy(&significand, &x, 8);
  memcpy(&high, (char *)&x + 8, 2);
  printf("%-12s %04x %016llx  %.21Lg  %La\n", name, high, (unsigned long long)significand, x, x);
}
static real series_e(void) {
  real sum = 1, term = 1;
  for (int n = 1; n < 30; n++) sum += term /= n;
  return sum;
}
static real arctan_inverse(int x) {
  real power = 1.0L / x, sum = power;
  for (int n = 3; n < 90; n += 2) {
    power /= -(real)(x * x);
    sum += power / n;
  }
  return sum;
}
/* The remainder by subtraction of powers of two, to compare with the library's (fprem). */
static real slow_remainder(real a, real b) {
  while (a >= b) {
    real step = b;
    while (step + step <= a) step += step;
    a -= step;
  }
  return a;
}
static int by_value(const void *a, const void *b) {
  real x = *(const real *)a, y = *(const real *)b;
  return (x > y) - (x < y);
}

int main(void) {
  static const char *const texts[] = {"0.1",   "-1e4932",  "1e4933",   "3.6451995318824746025e-4951", "1e-4940", "nan",
                                      "-infinity", "1.189731495357231765e+4932", "0x1.8p-3",
                                      "123456789012345678901234567890"};
  volatile real one = 1, zero = 0, tiny = 3.3621031431120935063e-4932L;
  show("e", series_e());
  show("pi", 16 * arctan_inverse(5) - 4 * arctan_inverse(239));
  for (unsigned n = 0; n < sizeof texts / sizeof *texts; n++) show(texts[n], strtold(texts[n], NULL));
  show("1/0", one / zero);
  show("0/0", zero / zero);
  show("denormal", tiny / 3);
  show("sqrt 2", sqrtl(2));
  show("fmod", fmodl(1e300L, 7.25L));
  show("fmod small", fmodl(1e30L, 3.7L));
  show("remainder", slow_remainder(1e30L, 3.7L));
  show("ieee", remainderl(12.5L, 2));
  show("floor", floorl(-2.5L));
  show("ceil", ceill(2.000000001L));
  show("rint", rintl(2.5L));
  show("trunc", truncl(-1e18L - 0.5L));
  show("ldexp", ldexpl(1.5L, -16440));
  show("nextafter", nextafterl(1, 2));
  int exponent;
  show("frexp", frexpl(1e-4000L, &exponent));
  printf("%d %d %lld %llu %d\n",
         exponent, (int)-2.99L, (long long)-9.2e18L, (unsigned long long)1.8e19L, (short)123.5L);
  printf("%Lf %.3Lf %.0Lf %Le %30.10Lf|%-20Lg|%+.40Le\n", 1234.5678L, 2.0005L, 0.5L, 1e-10L, -3.25L, 1e100L, 0.1L);
  printf("%d %d %d %d %d\n", one < 2, zero / zero < one, zero / zero != one, isnan(zero / zero), signbit(-zero));
  float single = (float)(1 / 3.0L);
  double twice = (double)(1 / 3.0L);
  show("from single", single);
  show("from double", twice);
  real sorted[200];
  uint32_t seed = 12345;
  for (int n = 0; n < 200; n++) {
    seed = seed * 1664525 + 1013904223;
    sorted[n] = ((real)(int32_t)seed / 65536) * (n % 7 ? 1 : 1e-20L) + n;
  }
  qsort(sorted, 200, sizeof *sorted, by_value);
  real sum = 0, product = 1;
  for (int n = 0; n < 200; n++) {
    sum += sorted[n] * sorted[199 - n];
    product *= fabsl(sorted[n]) + 1e-3L;
  }
  show("sum", sum);
  show("product", product);
  show("least", sorted[0]);
  return 0;
}
