/*
 * Programs with floats for trace.test.ts: bodies in space, a filter in single precision, conversions of every kind, loops that
 * gcc vectorizes. No library.
 */
typedef unsigned long u64;
typedef unsigned int u32;

static u64 bits(double x) {
  union {
    double d;
    u64 u;
  } both = {x};
  return both.u;
}
static double square_root(double x) {
  double r;
  __asm__("sqrtsd %1, %0" : "=x"(r) : "x"(x));
  return r;
}
static u64 state = 88172645463325252ul;
static u64 any(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static u64 bodies(long n) {
  static double at[5][3], speed[5][3];
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 3; k++) {
      at[i][k] = (double)(any() >> 44) / 1e4;
      speed[i][k] = 0;
    }
  for (; n > 0; n--)
    for (int i = 0; i < 5; i++) {
      for (int j = 0; j < i; j++) {
        double square = 1e-3;
        for (int k = 0; k < 3; k++) square += (at[i][k] - at[j][k]) * (at[i][k] - at[j][k]);
        double pull = 0.01 / (square * square_root(square));
        for (int k = 0; k < 3; k++) {
          double d = (at[i][k] - at[j][k]) * pull;
          speed[i][k] -= d;
          speed[j][k] += d;
        }
      }
      for (int k = 0; k < 3; k++) at[i][k] += speed[i][k];
    }
  u64 sum = 0;
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 3; k++) sum = sum * 31 + bits(at[i][k]);
  return sum;
}

/* Runs down into denormals, and up into infinity. */
static u64 filter(long n, float *y) {
  float a = 0, b = 1, tiny = 1e-30f, huge = 1e30f;
  for (long i = 0; i < n; i++) {
    float x = (float)(int)any() / 2147483648.0f;
    a = 0.9f * a + 0.1f * x;
    b = b < x ? x : b * 0.999f;
    tiny *= 0.37f;
    huge *= 1.9f;
    y[i] = a > b ? a - b : (a + tiny) / b;
    if (huge - huge != 0) huge = 3;
  }
  u64 sum = 0;
  for (long i = 0; i < n; i++) sum += (u64)(long)(y[i] * 1e6f);
  return sum;
}

static u64 convert(long n) {
  u64 sum = 0;
  for (long i = 0; i < n; i++) {
    long v = (long)any() >> (i & 63);
    double d = (double)v;
    float f = (float)v;
    u64 u = (u64)v;
    sum += (u64)(long)(d * 0.75) + (u64)(int)(float)(int)v + bits((double)f) + bits((double)(float)d);
    sum ^= bits((double)u) + bits((float)(u32)v * 0.5);
    sum += (u64)(d / 3.0) + (u32)(f * 1e-12f); /* some of them are out of range */
    sum += d == (double)f ? 1 : d < (double)f ? 2 : 4;
  }
  return sum;
}

static u64 vectors(long n, char *memory) {
  double *x = (double *)memory, *y = (double *)(memory + 4096);
  float *s = (float *)(memory + 8192);
  int *k = (int *)(memory + 12288);
  short *h = (short *)(memory + 16384);
  unsigned char *b = (unsigned char *)(memory + 20480);
  for (int i = 0; i < n; i++) {
    x[i] = i * 0.1;
    y[i] = 1.0 / (i + 1);
    s[i] = (float)i * 0.3f;
    k[i] = (int)any();
    h[i] = (short)any();
    b[i] = (unsigned char)any();
  }
  for (int i = 0; i < n; i++) y[i] += 2.5 * x[i];
  for (int i = 0; i < n; i++) s[i] = s[i] * s[i] - 1.5f;
  for (int i = 0; i < n; i++) k[i] = (int)s[i] + (k[i] >> 3) * 5;
  for (int i = 0; i < n; i++) h[i] = (short)((h[i] * 77) >> 8);
  for (int i = 0; i < n; i++) b[i] = (unsigned char)((b[i] + 2 * (b[i] ^ 0x55) + 1) >> 1);
  double total = 0;
  float most = -1e30f;
  u64 sum = 0;
  for (int i = 0; i < n; i++) total += y[i];
  for (int i = 0; i < n; i++) most = s[i] > most ? s[i] : most;
  for (int i = 0; i < n; i++) sum += (u64)k[i] + (u64)h[i] * 3 + b[i];
  return sum + bits(total) + bits((double)most);
}

u64 entry(int what, long n, char *memory) {
  switch (what) {
  case 0:
    return bodies(n);
  case 1:
    return filter(n, (float *)memory);
  case 2:
    return convert(n);
  default:
    return vectors(n, memory);
  }
}
