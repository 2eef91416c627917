/* Floating point as gcc -O2 makes it for every x86-64: SSE2, scalar and packed. Bodies in space, matrices, the Mandelbrot set. */
#include "programs.h"

struct body {
  double at[3], speed[3], mass;
};
static struct body bodies[5];
static void move(double dt) {
  for (int i = 0; i < 5; i++)
    for (int j = i + 1; j < 5; j++) {
      double d[3], square = 0;
      for (int k = 0; k < 3; k++) {
        d[k] = bodies[i].at[k] - bodies[j].at[k];
        square += d[k] * d[k];
      }
      double pull = dt / (square * __builtin_sqrt(square));
      for (int k = 0; k < 3; k++) {
        bodies[i].speed[k] -= d[k] * bodies[j].mass * pull;
        bodies[j].speed[k] += d[k] * bodies[i].mass * pull;
      }
    }
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 3; k++) bodies[i].at[k] += dt * bodies[i].speed[k];
}
#define SIZE 32
static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];
static void multiply(void) {
  for (int i = 0; i < SIZE; i++)
    for (int j = 0; j < SIZE; j++) c[i][j] = 0;
  for (int i = 0; i < SIZE; i++)
    for (int k = 0; k < SIZE; k++)
      for (int j = 0; j < SIZE; j++) c[i][j] += a[i][k] * b[k][j];
}
static u64 inside(double x, double y) {
  double u = 0, v = 0;
  u64 n = 0;
  for (; n < 60 && u * u + v * v < 4; n++) {
    double t = u * u - v * v + x;
    v = 2 * u * v + y;
    u = t;
  }
  return n;
}
static u64 bits(double x) {
  union {
    double d;
    u64 u;
  } both = {x};
  return both.u;
}

u64 run_floats(u64 n) {
  u64 sum = 0;
  for (int i = 0; i < 5; i++) {
    for (int k = 0; k < 3; k++) {
      bodies[i].at[k] = (double)(mixed((u64)(i * 8 + k)) >> 40) / 1e6;
      bodies[i].speed[k] = (double)((long)(mixed((u64)(i * 8 + k + 4)) >> 40) - 8000000) / 1e8;
    }
    bodies[i].mass = 1.0 / (i + 1);
  }
  for (int i = 0; i < SIZE; i++)
    for (int j = 0; j < SIZE; j++) a[i][j] = (double)(i + j) / SIZE, b[i][j] = (double)(i - j) / SIZE;
  for (u64 round = 0; round < n; round++) {
    for (int i = 0; i < 300; i++) move(0.001);
    multiply();
    for (int i = 0; i < SIZE; i++) a[i][round % SIZE] = c[i][i] / (1 + c[i][round % SIZE] * c[i][round % SIZE]);
    for (int i = 0; i < 20; i++) sum += inside(-2 + 3.0 * i / 20, -1 + (double)(round % 64) / 32);
    sum = sum * 31 + bits(c[round % SIZE][3]) + bits(bodies[round % 5].at[1]);
  }
  return sum;
}
